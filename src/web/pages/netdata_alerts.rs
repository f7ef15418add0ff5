//! Netdata's alerts in Netdata's words.

use std::collections::BTreeSet;

use askama::Template;
use axum::{extract::State, response::Response};
use http::StatusCode;

use super::{
    ask::{Ask, Params},
    frame::{Frame, Section, counts_and_seq},
    incidents::QueryError,
    read::query_error,
    terms::href,
    text,
    ui::{self, Markup, When},
};
use crate::{
    model::*,
    store::{AlertFilter, Listing, StoreError, View},
    web::{error::ApiError, query, state::AppState},
};

const PATH: &str = "/connectors/netdata/alerts";
const DEFAULT_QUERY: &str = "since:24h";
/// Rows that a page may have; the first is what it has unless asked for more or less.
const ROWS: [usize; 3] = [50, 25, 100];
/// The newest alerts of which the spaces and rooms are offered to choose from.
const OFFERED: usize = 300;

/// The tabs: what they are called in the address and on the page.
const STATES: [(&str, &str); 4] = [("", "All"), ("critical", "Critical"), ("warning", "Warning"), ("clear", "Clear")];

/// Narrows a filter down to one of Netdata's states.
fn only(mut filter: AlertFilter, state: &str) -> AlertFilter {
    let open = vec![AlertStatus::Firing, AlertStatus::Acknowledged];
    match state {
        "critical" => (filter.statuses, filter.severities) = (open, vec![Severity::Critical]),
        "warning" => {
            let milder = Severity::ALL.iter().copied().filter(|s| *s != Severity::Critical).collect();
            (filter.statuses, filter.severities) = (open, milder);
        }
        "clear" => filter.statuses = vec![AlertStatus::Resolved],
        _ => {}
    }
    filter
}

/// A tab with how many it has.
#[derive(Debug)]
pub struct Tab {
    name: &'static str,
    href: String,
    count: String,
    current: bool,
}

/// A value of a list.
#[derive(Debug)]
pub struct Choice {
    value: String,
    name: String,
    checked: bool,
}

/// One alert.
#[derive(Debug)]
pub struct Row {
    href: String,
    state: Markup,
    alert: String,
    node: String,
    chart: String,
    value: String,
    space: String,
    rooms: String,
    incident: Option<IncidentId>,
    seen: When,
    link: Option<String>,
}

impl Row {
    fn new(a: &Alert, now: Time) -> Self {
        let label = |name: &str| a.labels.get(name).or_else(|| a.annotations.get(name));
        let short = |s: Option<&String>| s.map(|s| text::visible(&text::shorten(s, 80))).unwrap_or_default();
        let alert = label("alert").unwrap_or(&a.title);
        let mut value = short(label("value"));
        if value.is_empty() && alert.to_lowercase().contains("reachab") {
            value = if a.status == AlertStatus::Resolved { "replies" } else { "no reply" }.to_owned();
        }
        Self {
            href: format!("{}#detail", href("/alerts", "source:netdata", &[("id", &a.id.to_string())])),
            state: state(a),
            alert: text::visible(&text::shorten(alert, 120)),
            node: short(a.host.as_ref()),
            chart: short(label("chart")),
            value,
            space: short(label("space")),
            rooms: short(label("rooms")),
            incident: a.incident,
            seen: When::age(a.last_seen, now),
            link: text::url(&a.source_url).map(str::to_owned),
        }
    }
}

/// CRITICAL, WARNING or CLEAR, as colour, shape and word.
fn state(a: &Alert) -> Markup {
    #[derive(Template)]
    #[template(source = "<span class=\"{{ class }}\">{{ mark }}{{ word }}</span>", ext = "html")]
    struct State {
        class: &'static str,
        mark: Markup,
        word: &'static str,
    }
    let (class, mark, word) = match (a.status, a.severity) {
        (AlertStatus::Resolved, _) => ("st resolved", ui::icon("check"), "CLEAR"),
        (_, Severity::Critical) => ("sev critical", ui::icon("sev-critical"), "CRITICAL"),
        _ => ("sev high", ui::icon("sev-high"), "WARNING"),
    };
    Markup::of(&State { class, mark, word })
}

/// The page.
#[derive(Debug, Template)]
#[template(path = "pages/netdata_alerts.html")]
pub struct NetdataAlertsPage {
    frame: Frame,
    asked: Asked,
    error: Option<QueryError>,
    tabs: Vec<Tab>,
    spaces: Vec<Choice>,
    rooms: Vec<Choice>,
    sizes: Vec<Choice>,
    rows: Vec<Row>,
    filtered: bool,
    pager: String,
    newer: Option<String>,
    older: Option<String>,
}

/// What is asked for, as it stands in the address.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    q: String,
    state: String,
    space: String,
    room: String,
    rows: usize,
    before: Option<u64>,
}

impl Asked {
    fn of(params: &super::ask::Fields) -> Self {
        let state = params.get("state").to_lowercase();
        let rows: usize = params.get("rows").parse().unwrap_or(0);
        Self {
            q: match params.get("q").trim() {
                "" => DEFAULT_QUERY.to_owned(),
                q => q.to_owned(),
            },
            state: STATES.iter().find(|(word, _)| *word == state).map(|(word, _)| *word).unwrap_or_default().to_owned(),
            space: params.get("space").to_owned(),
            room: params.get("room").to_owned(),
            rows: ROWS.into_iter().find(|n| *n == rows).unwrap_or(50),
            before: params.get("before").parse().ok(),
        }
    }

    fn filter(&self, now: Time) -> Result<AlertFilter, query::QueryError> {
        let mut filter = AlertFilter::default();
        query::alerts(&self.q, query::Asker { now, me: None }, &mut filter)?;
        // Whatever is typed, this page is about Netdata.
        filter.sources = vec!["netdata".to_owned()];
        for (name, value) in [("space", &self.space), ("rooms", &self.room)] {
            if !value.is_empty() {
                filter.labels.push((name.to_owned(), value.clone()));
            }
        }
        Ok(filter)
    }

    fn href(&self, state: &str, before: Option<u64>) -> String {
        let (rows, before) = (self.rows.to_string(), before.map(|b| b.to_string()));
        let mut more = vec![("state", state), ("space", &self.space), ("room", &self.room)];
        if self.rows != 50 {
            more.push(("rows", &rows));
        }
        more.extend(before.as_deref().map(|b| ("before", b)));
        more.retain(|(_, v)| !v.is_empty());
        href(PATH, if self.q == DEFAULT_QUERY { "" } else { &self.q }, &more)
    }
}

/// What the page reads.
struct Read {
    listing: Listing<Alert>,
    totals: Vec<(u64, bool)>,
    spaces: BTreeSet<String>,
    rooms: BTreeSet<String>,
}

fn read(view: &View, asked: &Asked, filter: &AlertFilter) -> Result<Read, StoreError> {
    let listing = view.alerts(&only(filter.clone(), &asked.state), asked.before, asked.rows)?;
    let totals = STATES.iter().map(|(state, _)| {
        let all = view.alerts(&only(filter.clone(), state), None, 1)?;
        Ok((all.total, all.total_is_exact))
    });
    let totals = totals.collect::<Result<Vec<_>, StoreError>>()?;
    let newest = AlertFilter { sources: vec!["netdata".to_owned()], ..AlertFilter::default() };
    let newest = view.alerts(&newest, None, OFFERED)?.items;
    let values = |name: &str| newest.iter().filter_map(|a| a.labels.get(name).cloned()).collect::<BTreeSet<_>>();
    Ok(Read { listing, totals, spaces: values("space"), rooms: values("rooms") })
}

fn number((n, exact): (u64, bool)) -> String {
    format!("{}{}", if exact { "" } else { "about " }, ui::count(n))
}

impl NetdataAlertsPage {
    fn new(frame: Frame, asked: Asked, read: &Read, error: Option<QueryError>) -> Self {
        let choices = |all: &BTreeSet<String>, chosen: &str| {
            let mut all = all.clone();
            if !chosen.is_empty() {
                all.insert(chosen.to_owned());
            }
            let choice = |value: String| Choice {
                checked: value == chosen,
                name: text::visible(&text::shorten(&value, 60)),
                value,
            };
            all.into_iter().map(choice).collect::<Vec<_>>()
        };
        let tabs = STATES.iter().zip(&read.totals).map(|((state, name), total)| Tab {
            name,
            href: asked.href(state, None),
            count: number(*total),
            current: *state == asked.state,
        });
        let sizes =
            ROWS.iter().map(|n| Choice { value: n.to_string(), name: format!("{n} rows"), checked: *n == asked.rows });
        let listing = &read.listing;
        Self {
            tabs: tabs.collect(),
            spaces: choices(&read.spaces, &asked.space),
            rooms: choices(&read.rooms, &asked.room),
            sizes: sizes.collect(),
            rows: listing.items.iter().map(|a| Row::new(a, frame.now)).collect(),
            filtered: asked.href("", None) != PATH || !asked.state.is_empty(),
            pager: format!("{} shown, {} match", listing.items.len(), number((listing.total, listing.total_is_exact))),
            newer: asked.before.map(|_| asked.href(&asked.state, None)),
            older: listing.next.map(|n| asked.href(&asked.state, Some(n))),
            asked,
            error,
            frame,
        }
    }
}

/// `GET /connectors/netdata/alerts?q=&state=&space=&room=&rows=&before=`
pub async fn list(State(state): State<AppState>, ask: Ask, Params(params): Params) -> Result<Response, ApiError> {
    let now = ask.now;
    let asked = Asked::of(&params);
    let (filter, error) = match asked.filter(now) {
        Ok(filter) => (filter, None),
        Err(e) => {
            let default = Asked { q: DEFAULT_QUERY.to_owned(), ..asked.clone() };
            (default.filter(now).unwrap_or_default(), Some(query_error(e)))
        }
    };
    let wanted = asked.clone();
    let (overview, seq, found) = state
        .store
        .read(move |view| {
            let (overview, seq) = counts_and_seq(view, now)?;
            Ok((overview, seq, read(view, &wanted, &filter)?))
        })
        .await?;
    let frame = ask.frame("Netdata alerts", Section::Connectors, &overview, seq);
    Ok(ask.page(StatusCode::OK, &NetdataAlertsPage::new(frame, asked, &found, error)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::pages::samples;

    fn page(alerts: Vec<Alert>, asked: Asked) -> String {
        let spaces = alerts.iter().filter_map(|a| a.labels.get("space").cloned()).collect();
        let total = alerts.len() as u64;
        let read = Read {
            listing: Listing { items: alerts, next: Some(2), total, total_is_exact: true, looked_through: None },
            totals: vec![(total, true); 4],
            spaces,
            rooms: BTreeSet::new(),
        };
        let frame = samples::frame("Netdata alerts", Section::Connectors);
        NetdataAlertsPage::new(frame, asked, &read, None).render().unwrap()
    }

    #[test]
    fn the_columns_are_netdatas() {
        let mut a = samples::alert(3, "CPU is high", "netdata", Severity::High, "db");
        a.labels.insert("alert".into(), "cpu_usage".into());
        a.labels.insert("chart".into(), "system.cpu".into());
        a.labels.insert("space".into(), "production".into());
        a.annotations.insert("value".into(), "91.4 %".into());
        a.source_url = Some("https://app.netdata.cloud/alerts".into());
        let mut gone = samples::alert(4, "node", "netdata", Severity::Critical, "db");
        gone.labels.insert("alert".into(), "reachability".into());
        let mut over = a.clone();
        over.status = AlertStatus::Resolved;
        let asked = Asked { state: "warning".into(), rows: 25, ..Asked::of(&Default::default()) };
        let html = page(vec![a, gone, over], asked);
        for want in ["WARNING", "CRITICAL", "CLEAR", "cpu_usage", "system.cpu", "91.4 %", "no reply", "production"] {
            assert!(html.contains(want), "{want}");
        }
        assert!(html.contains("href=\"https://app.netdata.cloud/alerts\""));
        assert!(html.contains("state=warning&#38;rows=25&#38;before=2"), "the address keeps what is asked for");
    }

    #[test]
    fn hostile_alerts_stay_text() {
        let evil = "<script>alert(1)</script>\u{202e}\"><img src=x>";
        let mut a = samples::alert(3, evil, "netdata", Severity::High, evil);
        a.source_url = Some("javascript:alert(1)".into());
        for name in ["alert", "chart", "space", "rooms", "value"] {
            a.labels.insert(name.into(), evil.into());
        }
        let html = page(vec![a], Asked { q: evil.into(), space: evil.into(), ..Asked::of(&Default::default()) });
        assert!(!html.contains("<script>") && !html.contains("<img") && !html.contains("javascript:"), "{html}");
    }

    #[test]
    fn what_is_typed_stays_about_netdata() {
        let asked = Asked { q: "source:grafana host:db-*".into(), room: "CI".into(), ..Asked::default() };
        let filter = asked.filter(samples::now()).unwrap();
        assert_eq!((filter.sources.as_slice(), filter.hosts.len()), (["netdata".to_owned()].as_slice(), 1));
        assert_eq!(filter.labels, [("rooms".to_owned(), "CI".to_owned())]);
        assert_eq!(only(filter, "clear").statuses, [AlertStatus::Resolved]);
    }
}
