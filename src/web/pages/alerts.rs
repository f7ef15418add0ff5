//! All alerts, and one beside the list.

use std::collections::BTreeMap;

use askama::{Template, filters::HtmlSafe};

use super::{
    alerts_chart::Chart,
    alerts_groups::Groups,
    alerts_list::Asked,
    facets::Tab,
    frame::Frame,
    incidents::QueryError,
    platforms,
    saved::{Keep, Own},
    terms::{self, href},
    text,
    ui::{self, Markup, When},
    words,
};
use crate::{model::*, query::AlertsBy, store::Looked, web::saved_views::Kept};

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
    /// A row of the list that is asked for.
    pub fn new(a: &Alert, asked: &Asked, waiting: &Waiting, now: Time) -> Self {
        let short = |s: &Option<String>| s.as_deref().map(|s| text::visible(&text::shorten(s, 80))).unwrap_or_default();
        Self {
            id: a.id,
            chosen: asked.id == Some(a.id),
            href: asked.beside(a.id),
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
        close: String,
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
            close,
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

/// The rows of a page, and the ways to others.
#[derive(Debug, Default)]
pub struct Shown {
    /// The alerts.
    pub rows: Vec<Alert>,
    /// How many stand before them in the order of the list; none where they are in the order of their numbers.
    pub from: Option<usize>,
    /// Rows that were looked at for them, where that is why there are few.
    pub among: Option<u64>,
    /// There is a page before.
    pub newer: bool,
    /// The address of the next.
    pub older: Option<String>,
}

/// All that the page is made from.
#[derive(Debug)]
pub struct Input {
    /// What the address asks for, with the query that is shown.
    pub asked: Asked,
    /// The query as typed, which may be wrong; empty for the default.
    pub typed: String,
    /// What was looked at.
    pub looked: Looked,
    /// The rows.
    pub shown: Shown,
    /// Alerts that are stored.
    pub stored: u64,
    /// For rows that wait.
    pub waiting: Waiting,
    /// Of what fits.
    pub chart: Option<Chart>,
    /// Beside the list.
    pub detail: Option<Detail>,
    /// The query was not understood.
    pub error: Option<QueryError>,
    /// Name in URLs and name for people of the platforms to choose from.
    pub sources: Vec<(String, String)>,
    /// Saved views of alerts that the reader has.
    pub views: Vec<Kept>,
    /// Who reads.
    pub me: String,
}

/// The foot of the list.
#[derive(Debug)]
pub struct Pager {
    text: String,
    newer: Option<String>,
    older: Option<String>,
}

/// A choice of how alerts are put together.
#[derive(Debug)]
pub struct By {
    value: &'static str,
    name: &'static str,
    chosen: bool,
}

/// The page.
#[derive(Debug, Template)]
#[template(path = "pages/alerts.html")]
pub struct AlertsPage {
    frame: Frame,
    /// In the text field: as typed.
    typed: String,
    /// The query of the rows below.
    q: String,
    filtered: bool,
    error: Option<QueryError>,
    tabs: Vec<Tab>,
    bys: Vec<By>,
    facets: Vec<Facet>,
    detail: Option<Detail>,
    heading: String,
    sub: String,
    chart: Option<Chart>,
    csv: Option<String>,
    first_page: bool,
    order: &'static str,
    groups: Option<Groups>,
    rows: Vec<AlertRow>,
    none: &'static str,
    none_why: &'static str,
    pager: Option<Pager>,
    keep: Keep,
}

/// The fields of the facet forms.
pub const FACETS: [&str; 4] = ["severity", "status", "source", "incident"];

impl AlertsPage {
    /// The list, in groups where that is asked for, with one alert beside it.
    pub fn new(frame: Frame, input: Input) -> Self {
        let Input { asked, typed, looked, shown, stored, waiting, chart, detail, error, sources, views, me } = input;
        let q = asked.shown().to_owned();
        let filtered = !asked.q.is_empty();
        let (heading, sub) = heading(&looked, &q, stored);
        let groups = asked.by.map(|by| Groups::new(&looked, by, &asked, frame.now));
        let rows: Vec<AlertRow> = shown.rows.iter().map(|a| AlertRow::new(a, &asked, &waiting, frame.now)).collect();
        let own = views.iter().find(|v| Some(v.id) == asked.view && (v.owner == me || frame.may_admin()));
        Self {
            tabs: tabs(&asked, &views),
            bys: bys(asked.by),
            facets: facets(&q, &sources),
            csv: (!looked.alerts.is_empty()).then(|| href("/alerts.csv", &q, &[])),
            first_page: asked.before.is_none() && asked.after.is_none() && asked.by.is_none() && error.is_none(),
            order: if asked.before.is_some() { "received last first" } else { "last seen first" },
            chart,
            none: if filtered { "No alert matches" } else { "No alert in the last 24 hours" },
            none_why: if filtered {
                "Take a term away, or look further back with since:7d."
            } else {
                "What your platforms send appears here, one line for each alert with its repeats."
            },
            pager: pager(&asked, &looked, &shown, rows.len()),
            keep: Keep { kind: ViewKind::Alerts, q: q.clone(), own: own.map(Own::of) },
            typed: if typed.is_empty() { DEFAULT_QUERY.to_owned() } else { typed },
            filtered,
            groups,
            rows,
            heading,
            sub,
            detail,
            q,
            error,
            frame,
        }
    }

    /// The marks of severities, as the chart stacks them.
    fn legend(&self) -> Vec<Markup> {
        Severity::ALL.iter().copied().map(ui::severity).collect()
    }
}

fn facets(q: &str, sources: &[(String, String)]) -> Vec<Facet> {
    let facet = |name, field, values: Vec<(String, Markup)>| {
        let set = terms::values(q, field);
        let options =
            values.into_iter().map(|(value, name)| Choice { checked: set.contains(&value), value, name }).collect();
        Facet { name, field, options }
    };
    let part = [("any", "an incident"), ("none", "nothing, on its own")];
    let mut all = vec![
        facet("Severity", "severity", Severity::ALL.iter().map(|s| (s.to_string(), ui::severity(*s))).collect()),
        facet("State", "status", AlertStatus::ALL.iter().map(|s| (s.to_string(), ui::own(s.as_str()))).collect()),
        facet("Source", "source", sources.iter().map(|(s, n)| (s.clone(), ui::foreign(n))).collect()),
        facet("Part of", "incident", part.map(|(v, n)| (v.to_owned(), ui::own(n))).into()),
    ];
    all.retain(|f| !f.options.is_empty());
    all
}

/// Saved views of alerts; without any there is nothing to choose between.
fn tabs(asked: &Asked, views: &[Kept]) -> Vec<Tab> {
    let tab = |key: &str, name, q: &str| Tab {
        key: key.to_owned(),
        name: ui::own(name),
        href: href("/alerts", q, &[]),
        count: None,
        current: asked.view.is_none() && asked.q == q,
    };
    let saved = views.iter().map(|v| Tab {
        key: v.id.to_string(),
        name: ui::foreign(&v.name),
        href: v.href(),
        count: Some(v.badge()),
        current: asked.view == Some(v.id),
    });
    match views.is_empty() {
        true => Vec::new(),
        false => {
            [tab("day", "Last 24 h", ""), tab("firing", "Firing", "status:firing")].into_iter().chain(saved).collect()
        }
    }
}

fn bys(chosen: Option<AlertsBy>) -> Vec<By> {
    let name = |by: AlertsBy| match by {
        AlertsBy::Service => "By service",
        AlertsBy::Name => "By alert name",
        AlertsBy::Host => "By host",
        AlertsBy::Incident => "By incident",
    };
    let none = By { value: "", name: "No grouping", chosen: chosen.is_none() };
    let all = AlertsBy::ALL.iter().map(|by| By { value: by.as_str(), name: name(*by), chosen: chosen == Some(*by) });
    std::iter::once(none).chain(all).collect()
}

fn pager(asked: &Asked, looked: &Looked, shown: &Shown, rows: usize) -> Option<Pager> {
    if asked.by.is_some() || (!shown.newer && shown.older.is_none()) {
        return None;
    }
    let text = match (shown.from, shown.among) {
        (Some(from), _) if looked.older.is_none() => {
            format!("{} to {} of {}", from.min(from + rows) + 1, from + rows, ui::count(looked.alerts.len() as u64))
        }
        (Some(from), _) => format!(
            "{} to {} of the newest {}, by when they were last seen",
            from + 1,
            from + rows,
            ui::count(looked.alerts.len() as u64)
        ),
        (None, None) => format!("{rows} of those before, by when they were received first"),
        (None, Some(n)) => {
            format!("{rows} found in the next {} alerts, by when they were received first", ui::count(n))
        }
    };
    Some(Pager { text, newer: shown.newer.then(|| asked.with("", "")), older: shown.older.clone() })
}

/// `318 firing`, and `of 4,812 in 24 h, 1,024,406 stored`.
pub fn heading(looked: &Looked, q: &str, stored: u64) -> (String, String) {
    let firing = looked.alerts.iter().filter(|a| a.status == AlertStatus::Firing).count() as u64;
    let all = ui::count(looked.alerts.len() as u64);
    let of = match (looked.older, q == DEFAULT_QUERY) {
        (None, true) => format!("of {all} in 24\u{a0}h"),
        (None, false) => format!("of {all} that match"),
        // Older ones may fit as well: nobody has counted them.
        (Some(_), _) => format!("of {all} among the newest {}", ui::count(looked.rows)),
    };
    (format!("{} firing", ui::count(firing)), format!("{of}, {} stored", ui::count(stored)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        store::LookedAlert,
        web::pages::{alerts_chart::Seen, frame::Section, samples},
    };

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
        let detail = Detail::new(&a, Some(&m), Some(&d), &past, String::new(), &Waiting::new());
        let one = LookedAlert {
            number: 3,
            seen: a.last_seen,
            severity: a.severity,
            status: a.status,
            key: Some(evil.to_owned()),
        };
        let looked = Looked { alerts: vec![one], rows: 1, older: Some(3) };
        let seen = Seen { alerts: vec![(a.last_seen, a.severity)], whole: true, ..Seen::default() };
        let page = |by, rows| {
            let asked = Asked { q: evil.to_owned(), id: Some(a.id), by, ..Asked::default() };
            let shown = Shown { rows, from: Some(0), older: Some("/alerts".into()), ..Shown::default() };
            let input = Input {
                typed: asked.q.clone(),
                asked,
                looked: looked.clone(),
                shown,
                stored: 1_024_406,
                waiting: Waiting::new(),
                chart: Chart::new(&seen, evil, samples::now()),
                detail: None,
                error: None,
                sources: Vec::new(),
                views: Vec::new(),
                me: "ann".into(),
            };
            (samples::frame("Alerts", Section::Alerts), input)
        };
        let (frame, mut input) = page(None, vec![a.clone()]);
        input.detail = Some(detail);
        let html = AlertsPage::new(frame, input).render().unwrap();
        assert!(!html.contains("<script>") && !html.contains("<img") && !html.contains("javascript:"), "{html}");
        assert!(html.contains("1 to 1 of the newest 1") && html.contains("Same time"), "{html}");
        assert!(html.contains("aria-current=\"true\"") && html.contains("1,024,406 stored"), "{html}");
        let (frame, input) = page(Some(AlertsBy::Host), Vec::new());
        let html = AlertsPage::new(frame, input).render().unwrap();
        assert!(!html.contains("<script>") && !html.contains("<img") && html.contains("Host or target"), "{html}");
    }
}
