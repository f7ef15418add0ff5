//! All alerts, and one beside the list.

use std::collections::BTreeMap;

use askama::{Template, filters::HtmlSafe};

use super::{
    alerts_chart::Chart,
    frame::Frame,
    incidents::QueryError,
    platforms,
    terms::{self, href},
    text,
    ui::{self, Markup, When},
    words,
};
use crate::{model::*, store::Listing};

/// What the list shows when nothing is asked for.
pub const DEFAULT_QUERY: &str = "since:24h";
/// Rows on a page.
pub const PAGE: usize = 50;
const RAW: usize = 64 * 1024;

/// One alert of the list.
#[derive(Debug, Template)]
#[template(path = "fragments/alert_row.html")]
pub struct AlertRow {
    id: AlertId,
    chosen: bool,
    href: String,
    severity: Markup,
    title: String,
    times: u64,
    service: String,
    host: String,
    source: Markup,
    status: Markup,
    incident: Option<IncidentId>,
    flapping: bool,
    muted: Option<String>,
    waits: Option<String>,
    seen: When,
}
impl HtmlSafe for AlertRow {}

impl AlertRow {
    /// A row of the list of `q`.
    pub fn new(a: &Alert, q: &str, before: Option<u64>, chosen: bool, waiting: &Waiting, now: Time) -> Self {
        let short = |s: &Option<String>| s.as_deref().map(|s| text::visible(&text::shorten(s, 80))).unwrap_or_default();
        let id = a.id.to_string();
        let before = before.map(|b| b.to_string());
        let mut more = vec![("id", id.as_str())];
        more.extend(before.as_deref().map(|b| ("before", b)));
        Self {
            id: a.id,
            chosen,
            href: format!("{}#detail", href("/alerts", if q == DEFAULT_QUERY { "" } else { q }, &more)),
            severity: ui::severity(a.severity),
            title: text::visible(&text::shorten(&a.title, 160)),
            times: a.count,
            service: short(&a.service),
            host: short(&a.host),
            source: ui::source(&a.platform),
            status: ui::alert_status(a.status),
            incident: a.incident,
            flapping: a.flapping.is_some(),
            muted: muted(a),
            waits: waits(a, waiting),
            seen: When::age(a.last_seen, now),
        }
    }
}

/// How far each threshold is that some alert waits for: `2 of 5`.
pub type Waiting = BTreeMap<ThresholdId, String>;

/// `by S-4, M-5`; none when it is not muted.
fn muted(a: &Alert) -> Option<String> {
    let ids: Vec<String> = a.muted_by.iter().map(ToString::to_string).collect();
    a.is_muted().then(|| format!("by {}", ids.join(", ")))
}

/// `waits for T-2: 2 of 5`; none when it does not wait.
fn waits(a: &Alert, waiting: &Waiting) -> Option<String> {
    let id = a.threshold.filter(|_| a.is_waiting())?;
    Some(format!("waiting for threshold {id}: {}", waiting.get(&id).map_or("", String::as_str)))
}

/// A fact of the detail.
#[derive(Debug)]
pub struct Fact {
    name: &'static str,
    value: Markup,
}

#[derive(Template)]
#[template(
    source = "{% if was %}at its end {% endif %}by{% for id in ids %} <a class=\"mono\" href=\"/silences/{{ id }}\">{{ id }}</a>{% endfor %}",
    ext = "html"
)]
struct Mutes<'a> {
    ids: &'a [MuteId],
    was: bool,
}

#[derive(Template)]
#[template(source = "<a href=\"/silences/thresholds/{{ id }}\">{{ words }}</a>", ext = "html")]
struct Waits {
    id: ThresholdId,
    words: String,
}

/// Why it is in its incident.
#[derive(Debug)]
pub struct Why {
    words: &'static str,
    score: Option<(String, Markup)>,
    text: Markup,
}

/// Names and values.
#[derive(Debug)]
pub struct Table {
    name: &'static str,
    rows: Vec<(String, String)>,
}

/// A payload.
#[derive(Debug)]
pub struct Payload {
    text: String,
    href: String,
}

/// What happened to an alert, and when.
#[derive(Debug)]
pub struct Happened {
    at: When,
    text: Markup,
    href: Option<String>,
}

/// What is known of an alert's past.
#[derive(Debug, Default)]
pub struct Past {
    /// When it was received first and last, and as what.
    pub received: Vec<(Time, DeliveryId, Option<SignalStatus>)>,
    /// What its incident's timeline says of it.
    pub told: Vec<TimelineEntry>,
}

impl Past {
    fn tell(&self, a: &Alert) -> Vec<Happened> {
        let mut all: Vec<(Time, String, Option<String>)> = Vec::new();
        for (n, (at, id, status)) in self.received.iter().enumerate() {
            let which = if n == 0 {
                "Received first".to_owned()
            } else {
                format!("Received last, {} in all", ui::count(a.count))
            };
            let status = status.map(|s| format!(", {s}")).unwrap_or_default();
            all.push((*at, format!("{which}{status}"), Some(format!("/deliveries/{id}"))));
        }
        all.extend(self.told.iter().map(|e| (e.at, e.text.clone(), None)));
        all.sort_by_key(|(at, ..)| *at);
        let told = |(at, text, href): (Time, String, _)| Happened {
            at: When::full(at),
            text: ui::foreign(&text::shorten(&text, 200)),
            href,
        };
        all.into_iter().map(told).collect()
    }
}

/// One alert beside the list.
#[derive(Debug)]
pub struct Detail {
    id: AlertId,
    severity: Markup,
    title: String,
    description: Option<String>,
    close: String,
    silence: Option<String>,
    facts: Vec<Fact>,
    incident: String,
    reasons: Vec<Why>,
    rule: Markup,
    identity: Vec<(String, String)>,
    tables: Vec<Table>,
    history: Vec<Happened>,
    raw: Option<Payload>,
}

impl Detail {
    /// With why it is where it is, and what was last received of it.
    pub fn new(
        a: &Alert,
        m: Option<&Membership>,
        raw: Option<&Delivery>,
        past: &Past,
        q: &str,
        waiting: &Waiting,
    ) -> Self {
        #[derive(Template)]
        #[template(
            source = "{% if let Some(t) = at %}{{ t }}{% endif %}{% if let Some(h) = href %}<a href=\"{{ h }}\" rel=\"noopener noreferrer\">{{ words }}</a>{% endif %}{% if let Some(s) = signal %}{{ s }}{% endif %}",
            ext = "html"
        )]
        struct Value<'a> {
            at: Option<When>,
            href: Option<&'a str>,
            words: &'a str,
            signal: Option<Markup>,
        }
        let when = |at| Markup::of(&Value { at: Some(When::full(at)), href: None, words: "", signal: None });
        let link = |href: &str, words: &str| Markup::of(&Value { at: None, href: Some(href), words, signal: None });
        let mut facts = Vec::new();
        let mut fact = |name, value| facts.push(Fact { name, value });
        fact("State", ui::alert_status(a.status));
        fact("Source", ui::source(&a.platform));
        for (name, value) in [("Service", &a.service), ("Host", &a.host), ("Environment", &a.environment)] {
            if let Some(v) = value {
                fact(name, ui::foreign(v));
            }
        }
        if let Some(raw) = a.severity_raw.as_ref().filter(|r| !r.eq_ignore_ascii_case(a.severity.as_str())) {
            fact("Sent as", ui::foreign(raw));
        }
        fact("Received", ui::foreign(&ui::plural(a.count, "time")));
        fact("Began", when(a.started_at));
        fact("First seen", when(a.first_seen));
        fact("Last seen", when(a.last_seen));
        if let Some(at) = a.ended_at {
            fact("Ended", when(at));
        }
        if let Some(flaps) = &a.flapping {
            let until = if a.is_held() {
                "is over if it stays quiet for 5 min"
            } else {
                "burns; its next end is held down for 5 min"
            };
            fact("Flapping", ui::foreign(&format!("fired again {}, and {until}", ui::plural(flaps.times, "time"))));
            fact("Flapping since", when(flaps.since));
        }
        if let Some(href) = text::url(&a.source_url) {
            let (_, name) = platforms::tile_and_name(&a.platform);
            fact("Source page", link(href, &format!("Open in {name}")));
        }
        if let Some(href) = text::url(&a.runbook_url) {
            fact("Runbook", link(href, &text::shorten(href, 60)));
        }
        if !a.muted_by.is_empty() {
            fact("Muted", Markup::of(&Mutes { ids: &a.muted_by, was: !a.is_open() }));
        }
        match (waits(a, waiting), a.threshold) {
            (Some(words), Some(id)) => fact("Incident", Markup::of(&Waits { id, words })),
            (None, Some(id)) if a.incident.is_none() => {
                let words = "none: the threshold that it waited for was not reached in time".to_owned();
                fact("Incident", Markup::of(&Waits { id, words }));
            }
            _ => {}
        }
        if a.test {
            fact("Test", ui::foreign("sent by the test button; left out of every figure"));
        }
        if a.repaired {
            fact("Mended", ui::foreign("the JSON was not valid and was mended before reading"));
        }
        let pairs = |m: &std::collections::BTreeMap<String, String>| {
            m.iter().map(|(k, v)| (text::visible(k), text::visible(v))).collect::<Vec<_>>()
        };
        let tables = [("Labels", pairs(&a.labels)), ("Annotations", pairs(&a.annotations))];
        Self {
            id: a.id,
            severity: ui::severity_box(a.severity),
            title: text::visible(&a.title),
            description: a.description.as_deref().map(text::visible),
            close: href("/alerts", if q == DEFAULT_QUERY { "" } else { q }, &[]),
            silence: a.is_open().then(|| format!("/silences/new?alert={}", a.id)),
            facts,
            incident: a.incident.map(|i| i.to_string()).unwrap_or_default(),
            reasons: m
                .into_iter()
                .flat_map(|m| &m.reasons)
                .map(|r| Why {
                    words: words::strategy(r.strategy),
                    score: (r.strategy != Strategy::Primary).then(|| (format!("{:.2}", r.score), ui::bar(r.score, ""))),
                    text: ui::foreign(&r.text),
                })
                .collect(),
            rule: ui::foreign(&if a.identity.rule.is_empty() {
                format!("Its key is {}", a.dedup_key)
            } else {
                a.identity.rule.clone()
            }),
            identity: a.identity.fields.iter().map(|(k, v)| (text::visible(k), text::visible(v))).collect(),
            tables: tables
                .into_iter()
                .filter(|(_, r)| !r.is_empty())
                .map(|(name, rows)| Table { name, rows })
                .collect(),
            history: past.tell(a),
            raw: raw.map(|d| Payload { text: text::body(&d.body, RAW).0, href: format!("/deliveries/{}", d.id) }),
        }
    }
}

/// A facet with its values.
#[derive(Debug)]
pub struct Facet {
    name: &'static str,
    field: &'static str,
    options: Vec<Choice>,
}

/// One value.
#[derive(Debug)]
pub struct Choice {
    value: String,
    name: Markup,
    checked: bool,
}

/// The foot of the list.
#[derive(Debug)]
pub struct Pager {
    text: String,
    newer: Option<String>,
    older: Option<String>,
}

/// The page.
#[derive(Debug, Template)]
#[template(path = "pages/alerts.html")]
pub struct AlertsPage {
    frame: Frame,
    q: String,
    filtered: bool,
    error: Option<QueryError>,
    facets: Vec<Facet>,
    detail: Option<Detail>,
    heading: String,
    chart: Option<Chart>,
    csv: Option<String>,
    first_page: bool,
    rows: Vec<AlertRow>,
    none: &'static str,
    none_why: &'static str,
    pager: Option<Pager>,
}

/// The fields of the facet forms.
pub const FACETS: [&str; 4] = ["severity", "status", "source", "incident"];

impl AlertsPage {
    /// The address of another query.
    fn to(&self, q: &str) -> String {
        href("/alerts", q, &[])
    }

    /// The list of `q`, with one alert beside it.
    pub fn new(
        frame: Frame,
        q: &str,
        (listing, waiting, chart): (&Listing<Alert>, &Waiting, Option<Chart>),
        before: Option<u64>,
        detail: Option<(AlertId, Detail)>,
        error: Option<QueryError>,
        sources: &[(String, String)],
    ) -> Self {
        let q = if q.is_empty() { DEFAULT_QUERY } else { q };
        let chosen = detail.as_ref().map(|(id, _)| *id);
        let facet = |name, field, values: Vec<(String, Markup)>| {
            let set = terms::values(q, field);
            let options =
                values.into_iter().map(|(value, name)| Choice { checked: set.contains(&value), value, name }).collect();
            Facet { name, field, options }
        };
        let about = if listing.total_is_exact { "" } else { "about " };
        let filtered = q != DEFAULT_QUERY;
        Self {
            filtered,
            facets: vec![
                facet(
                    "Severity",
                    "severity",
                    Severity::ALL.iter().map(|s| (s.to_string(), ui::severity(*s))).collect(),
                ),
                facet(
                    "State",
                    "status",
                    AlertStatus::ALL.iter().map(|s| (s.to_string(), ui::foreign(s.as_str()))).collect(),
                ),
                facet("Source", "source", sources.iter().map(|(s, n)| (s.clone(), ui::foreign(n))).collect()),
                facet(
                    "Part of an incident",
                    "incident",
                    [("any", "yes"), ("none", "no")].map(|(v, n)| (v.to_owned(), ui::foreign(n))).into(),
                ),
            ]
            .into_iter()
            .filter(|f| !f.options.is_empty())
            .collect(),
            heading: heading(listing),
            csv: (!listing.items.is_empty()).then(|| href("/alerts.csv", q, &[])),
            first_page: before.is_none() && error.is_none(),
            chart,
            rows: listing
                .items
                .iter()
                .map(|a| AlertRow::new(a, q, before, chosen == Some(a.id), waiting, frame.now))
                .collect(),
            none: if filtered { "No alert matches" } else { "No alert in the last 24 hours" },
            none_why: if filtered {
                "Take a term away, or look further back with since:7d."
            } else {
                "What your platforms send appears here, one line for each alert with its repeats."
            },
            pager: (before.is_some() || listing.next.is_some()).then(|| Pager {
                text: format!("{} shown, {about}{} match", listing.items.len(), ui::count(listing.total)),
                newer: before.map(|_| href("/alerts", q, &[])),
                older: listing.next.map(|n| href("/alerts", q, &[("before", &n.to_string())])),
            }),
            detail: detail.map(|(_, d)| d),
            q: q.to_owned(),
            error,
            frame,
        }
    }
}

impl AlertsPage {
    /// The marks of severities, as the chart stacks them.
    fn legend(&self) -> Vec<Markup> {
        Severity::ALL.iter().copied().map(ui::severity).collect()
    }
}

/// `about 12,000 alerts`.
pub fn heading(listing: &Listing<Alert>) -> String {
    let about = if listing.total_is_exact { "" } else { "about " };
    format!("{about}{}", ui::plural(listing.total, "alert"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::pages::{alerts_chart::Seen, frame::Section, samples};

    #[test]
    fn hostile_alerts_stay_text_in_list_and_detail() {
        let evil = "<script>alert(1)</script>\u{202e}\u{7}\"><img src=x>";
        let mut a = samples::alert(3, evil, evil, Severity::High, evil);
        a.description = Some(evil.into());
        a.source_url = Some("javascript:alert(1)".into());
        a.labels.insert(evil.into(), evil.into());
        a.dedup_key = evil.into();
        a.identity.rule = evil.into();
        let mut d = samples::delivery();
        d.body = evil.as_bytes().to_vec();
        let m = samples::membership(&a, Strategy::TimeCluster, 0.7, evil);
        let told = TimelineEntry {
            seq: 1,
            at: d.at,
            kind: TimelineKind::AlertNote,
            actor: evil.into(),
            text: evil.into(),
            data: serde_json::Value::Null,
        };
        let past = Past { received: vec![(d.at, d.id, Some(SignalStatus::Firing))], told: vec![told] };
        let detail = Detail::new(&a, Some(&m), Some(&d), &past, evil, &Waiting::new());
        let id = a.id;
        let alerts = vec![(a.last_seen, a.severity)];
        let seen = Seen { alerts, whole: true, ..Seen::default() };
        let chart = Chart::new(&seen, evil, samples::now());
        let listing = Listing { items: vec![a], next: Some(2), total: 9, total_is_exact: false, looked_through: None };
        let page = AlertsPage::new(
            samples::frame("Alerts", Section::Alerts),
            evil,
            (&listing, &Waiting::new(), chart),
            None,
            Some((id, detail)),
            None,
            &[],
        );
        let html = page.render().unwrap();
        assert!(!html.contains("<script>") && !html.contains("<img") && !html.contains("javascript:"), "{html}");
        assert!(html.contains("about 9") && html.contains("Same time") && html.contains("aria-current=\"true\""));
    }
}
