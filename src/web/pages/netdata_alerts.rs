//! Netdata's alerts in Netdata's words.

use std::collections::BTreeSet;

use askama::Template;
use axum::{
    extract::State,
    response::{IntoResponse, Redirect, Response},
};
use http::StatusCode;

use super::{
    alerts_list::{LOOKED, in_order},
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
    search::Search,
    store::{AlertFilter, Looked, LookedAlert, StoreError, View},
    web::{error::ApiError, query, state::AppState},
};

const PATH: &str = "/connectors/netdata/alerts";
const DEFAULT_QUERY: &str = "since:24h";
/// Rows that a page may have; the first is what it has unless asked for more or less.
const ROWS: [usize; 3] = [50, 25, 100];
/// The newest alerts of which the spaces and rooms are offered to choose from.
const OFFERED: usize = 300;

/// The tabs: what they are called in the address and on the page.
const STATES: [(&str, &str); 4] = [("", "All"), ("CRITICAL", "Critical"), ("WARNING", "Warning"), ("CLEAR", "Clear")];

/// One of Netdata's states.
fn state_of(status: AlertStatus, severity: Severity) -> &'static str {
    match (status, severity) {
        (AlertStatus::Resolved, _) => "CLEAR",
        (_, Severity::Critical) => "CRITICAL",
        _ => "WARNING",
    }
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
    let word = state_of(a.status, a.severity);
    let (class, mark) = match word {
        "CLEAR" => ("st resolved", ui::icon("check")),
        "CRITICAL" => ("sev critical", ui::icon("sev-critical")),
        _ => ("sev high", ui::icon("sev-high")),
    };
    Markup::of(&State { class, mark, word })
}

/// The page.
#[derive(Debug, Template)]
#[template(path = "pages/netdata_alerts.html")]
pub struct NetdataAlertsPage {
    frame: Frame,
    asked: Asked,
    /// In the text field: as typed.
    typed: String,
    error: Option<QueryError>,
    tabs: Vec<Tab>,
    spaces: Vec<Choice>,
    rooms: Vec<Choice>,
    sizes: Vec<Choice>,
    rows: Vec<Row>,
    filtered: bool,
    pager: String,
    newer: Option<String>,
    older: Option<(String, usize)>,
}

/// What is asked for, as it stands in the address: in the words of Netdata's own API.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    q: String,
    status: &'static str,
    space: String,
    room: String,
    limit: usize,
    offset: usize,
}

impl Asked {
    fn of(params: &super::ask::Fields) -> Self {
        let status = params.get("status").to_uppercase();
        let limit: usize = params.get("limit").parse().unwrap_or(0);
        Self {
            q: match params.get("q").trim() {
                "" => DEFAULT_QUERY.to_owned(),
                q => q.to_owned(),
            },
            status: STATES.iter().find(|(word, _)| *word == status).map(|(word, _)| *word).unwrap_or_default(),
            space: params.get("space").to_owned(),
            room: params.get("room").to_owned(),
            limit: ROWS.into_iter().find(|n| *n == limit).unwrap_or(50),
            offset: params.get("offset").parse().unwrap_or(0),
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

    fn href(&self, status: &str, offset: usize) -> String {
        let (limit, offset) = (self.limit.to_string(), offset.to_string());
        let mut more = vec![("status", status), ("space", &self.space), ("room", &self.room)];
        if self.limit != 50 {
            more.push(("limit", &limit));
        }
        more.push(("offset", if offset == "0" { "" } else { &offset }));
        more.retain(|(_, v)| !v.is_empty());
        href(PATH, if self.q == DEFAULT_QUERY { "" } else { &self.q }, &more)
    }

    fn wants(&self, a: &LookedAlert) -> bool {
        self.status.is_empty() || state_of(a.status, a.severity) == self.status
    }
}

/// What the page reads.
struct Read {
    looked: Looked,
    alerts: Vec<Alert>,
    spaces: BTreeSet<String>,
    rooms: BTreeSet<String>,
}

fn read(view: &View, search: &Search, asked: &Asked, filter: &AlertFilter) -> Result<Read, StoreError> {
    let looked = search.alerts_looked(view, filter, None, LOOKED)?;
    let wanted = in_order(&looked).into_iter().filter(|a| asked.wants(a));
    let numbers: Vec<u64> = wanted.skip(asked.offset).take(asked.limit).map(|a| a.number).collect();
    let alerts = view.alerts_numbered(&numbers)?;
    let newest = AlertFilter { sources: vec!["netdata".to_owned()], ..AlertFilter::default() };
    let newest = view.alerts(&newest, None, OFFERED)?.items;
    let values = |name: &str| newest.iter().filter_map(|a| a.labels.get(name).cloned()).collect::<BTreeSet<_>>();
    Ok(Read { looked, alerts, spaces: values("space"), rooms: values("rooms") })
}

impl NetdataAlertsPage {
    fn new(frame: Frame, asked: Asked, typed: String, read: &Read, error: Option<QueryError>) -> Self {
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
        let many = |status: &str| {
            let one =
                Asked { status: STATES.iter().find(|(s, _)| *s == status).map_or("", |(s, _)| s), ..asked.clone() };
            read.looked.alerts.iter().filter(|a| one.wants(a)).count()
        };
        let tabs = STATES.iter().map(|(status, name)| Tab {
            name,
            href: asked.href(status, 0),
            count: ui::count(many(status) as u64),
            current: *status == asked.status,
        });
        let sizes =
            ROWS.iter().map(|n| Choice { value: n.to_string(), name: format!("{n} rows"), checked: *n == asked.limit });
        let (total, shown) = (many(asked.status), read.alerts.len());
        let among = match read.looked.older {
            None => String::new(),
            Some(_) => format!(", found among the newest {} alerts", ui::count(read.looked.rows)),
        };
        let end = asked.offset + shown;
        Self {
            tabs: tabs.collect(),
            spaces: choices(&read.spaces, &asked.space),
            rooms: choices(&read.rooms, &asked.room),
            sizes: sizes.collect(),
            rows: read.alerts.iter().map(|a| Row::new(a, frame.now)).collect(),
            filtered: asked.href("", 0) != PATH || !asked.status.is_empty(),
            pager: format!("{} to {end} of {}{among}", (asked.offset + 1).min(end), ui::count(total as u64)),
            newer: (asked.offset > 0).then(|| asked.href(asked.status, asked.offset.saturating_sub(asked.limit))),
            older: (end < total).then(|| (asked.href(asked.status, end), asked.limit.min(total - end))),
            typed,
            asked,
            error,
            frame,
        }
    }
}

/// `GET /connectors/netdata/alerts?q=&status=&space=&room=&limit=&offset=`
pub async fn list(State(state): State<AppState>, ask: Ask, Params(params): Params) -> Result<Response, ApiError> {
    let now = ask.now;
    let mut asked = Asked::of(&params);
    let typed = asked.q.clone();
    let (filter, error) = match asked.filter(now) {
        // What was sent by the form gets an address that can be passed on.
        Ok(_) if params.0.iter().any(|(name, _)| name == "was") => {
            return Ok(Redirect::to(&asked.href(asked.status, asked.offset)).into_response());
        }
        Ok(filter) => (filter, None),
        Err(e) => {
            // The last list that could be read stays, dimmed.
            let mut error = query_error(e);
            let last = Asked { q: params.get("was").trim().to_owned(), ..asked.clone() };
            let known = !last.q.is_empty() && last.filter(now).is_ok();
            asked.q = if known { last.q } else { DEFAULT_QUERY.to_owned() };
            error.shown =
                if asked.q == DEFAULT_QUERY { "the default list".to_owned() } else { format!("“{}”", asked.q) };
            error.meant = error.meant.take().map(|(term, q)| {
                let mended = Asked { q, ..asked.clone() };
                (term, mended.href(asked.status, 0))
            });
            (asked.filter(now).unwrap_or_default(), Some(error))
        }
    };
    let (wanted, search) = (asked.clone(), state.search.clone());
    let (overview, seq, found) = state
        .store
        .read(move |view| {
            let (overview, seq) = counts_and_seq(view, now)?;
            Ok((overview, seq, read(view, &search, &wanted, &filter)?))
        })
        .await?;
    let frame = ask.frame("Netdata alerts", Section::Connectors, &overview, seq);
    Ok(ask.page(StatusCode::OK, &NetdataAlertsPage::new(frame, asked, typed, &found, error)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::pages::samples;

    fn page(alerts: Vec<Alert>, asked: Asked) -> String {
        let spaces = alerts.iter().filter_map(|a| a.labels.get("space").cloned()).collect();
        let looked = |n: usize| {
            let of = |a: &Alert| LookedAlert {
                number: a.id.number(),
                seen: a.last_seen,
                severity: a.severity,
                status: a.status,
                key: None,
            };
            alerts.iter().cycle().take(n).map(of).collect()
        };
        let looked = Looked { alerts: looked(90), rows: 90, older: None };
        let read = Read { looked, alerts, spaces, rooms: BTreeSet::new() };
        let frame = samples::frame("Netdata alerts", Section::Connectors);
        let typed = asked.q.clone();
        NetdataAlertsPage::new(frame, asked, typed, &read, None).render().unwrap()
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
        let asked = Asked { status: "WARNING", limit: 25, ..Asked::of(&Default::default()) };
        let html = page(vec![a, gone, over], asked);
        for want in ["WARNING", "CRITICAL", "CLEAR", "cpu_usage", "system.cpu", "91.4 %", "no reply", "production"] {
            assert!(html.contains(want), "{want}");
        }
        assert!(html.contains("href=\"https://app.netdata.cloud/alerts\""));
        // A third of ninety is a warning, and three are on the page.
        assert!(html.contains("1 to 3 of 30") && html.contains(">Next 25</a>"), "{html}");
        assert!(html.contains("status=WARNING&#38;limit=25&#38;offset=3"), "the address keeps what is asked for");
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
        let address = "status=warning&limit=100&offset=200&space=edge";
        let asked = Asked::of(&super::super::ask::Fields::parse(address.as_bytes()));
        assert_eq!((asked.status, asked.limit, asked.offset), ("WARNING", 100, 200));
        assert_eq!(asked.href("CLEAR", 300), "/connectors/netdata/alerts?status=CLEAR&space=edge&limit=100&offset=300");
    }
}
