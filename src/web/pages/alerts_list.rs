//! The list of alerts: what its address asks for, and what is read for it.

use std::{cmp::Reverse, collections::btree_map::Entry, time::Duration};

use axum::{
    extract::State,
    response::{IntoResponse, Redirect, Response},
};
use http::{HeaderValue, StatusCode, header};
use serde_json::json;

use super::{
    alerts::{self, AlertRow, AlertsPage, DEFAULT_QUERY, Detail, Input, PAGE, Past, Shown},
    alerts_chart::{Chart, Seen},
    ask::{Ask, Fields, Params, json},
    frame::{Section, counts_and_seq},
    incidents::QueryError,
    platforms,
    read::{folded, query_error},
    terms,
};
use crate::{
    model::*,
    query::AlertsBy,
    search::Search,
    store::{AlertFilter, Looked, LookedAlert, NEWEST, StoreError, View},
    web::{
        api::{alerts::csv, objects::AlertObject},
        error::ApiError,
        query,
        saved_views::Kept,
        state::AppState,
    },
};

/// Rows that are looked at for order, chart, groups and totals, the newest.
pub const LOOKED: usize = NEWEST;
/// Entries of a timeline in which an alert's own are looked for.
const TOLD: usize = 500;
/// Alerts in a file, and read at once.
const EXPORTED: usize = 50_000;
const EXPORTED_AT_ONCE: usize = 1_000;

/// What the address asks for.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    /// The query; empty for the default list.
    pub q: String,
    /// The saved view that it is.
    pub view: Option<ViewId>,
    /// How alerts are put together.
    pub by: Option<AlertsBy>,
    /// What follows this one in the order of the list: when it was last seen, in ms, and its number.
    pub after: Option<(i64, u64)>,
    /// Numbers below this one, in the order of numbers.
    pub before: Option<u64>,
    /// The one that is shown beside the list.
    pub id: Option<AlertId>,
}

impl Asked {
    /// From the fields of an address. What cannot be read is as if it were not there.
    pub fn of(fields: &Fields, kept: &[Kept]) -> Self {
        let typed = fields.get("q").trim().to_owned();
        let named = |v: &&Kept| v.kind == ViewKind::Alerts && fields.get("view").parse() == Ok(v.id);
        // A query in the address goes before a view.
        let view = kept.iter().find(named).filter(|_| typed.is_empty());
        let q = view.map_or(typed, |v| v.q.clone());
        Self {
            q: if q == DEFAULT_QUERY { String::new() } else { q },
            view: view.map(|v| v.id),
            by: fields.get("group").parse().ok(),
            after: fields.get("after").split_once('.').and_then(|(at, n)| Some((at.parse().ok()?, n.parse().ok()?))),
            before: fields.get("before").parse().ok(),
            id: fields.get("id").parse().ok(),
        }
    }

    /// The query of the rows.
    pub fn shown(&self) -> &str {
        if self.q.is_empty() { DEFAULT_QUERY } else { &self.q }
    }

    /// The address of this list with something else in it, from its first page unless that is what is given.
    pub fn with(&self, name: &str, value: &str) -> String {
        self.address(&[(name, value)])
    }

    /// The address of this page with an alert beside it.
    pub fn beside(&self, id: AlertId) -> String {
        let after = self.after.map(|(at, n)| format!("{at}.{n}")).unwrap_or_default();
        let before = self.before.map(|n| n.to_string()).unwrap_or_default();
        format!("{}#detail", self.address(&[("after", &after), ("before", &before), ("id", &id.to_string())]))
    }

    fn address(&self, given: &[(&str, &str)]) -> String {
        let mut all: Vec<(&str, String)> = Vec::new();
        match self.view {
            Some(view) => all.push(("view", view.to_string())),
            None if !self.q.is_empty() => all.push(("q", self.q.clone())),
            None => {}
        }
        all.extend(self.by.map(|by| ("group", by.to_string())));
        all.retain(|(name, _)| given.iter().all(|(n, _)| n != name));
        all.extend(given.iter().filter(|(_, v)| !v.is_empty()).map(|(n, v)| (*n, (*v).to_owned())));
        let more: Vec<(&str, &str)> = all.iter().map(|(n, v)| (*n, v.as_str())).collect();
        terms::href("/alerts", "", &more)
    }
}

/// What is wrong with a query of alerts, if anything is; else its filter.
fn filter_of(q: &str, now: Time) -> Result<AlertFilter, QueryError> {
    let mut filter = AlertFilter::default();
    let q = if q.trim().is_empty() { DEFAULT_QUERY } else { q };
    query::alerts(q, query::Asker { now, me: None }, &mut filter).map_err(query_error)?;
    Ok(filter)
}

fn usual(now: Time) -> AlertFilter {
    AlertFilter { since: Some(now.minus(Duration::from_secs(86_400))), ..AlertFilter::default() }
}

/// The latest first; of those of one moment, the one that was received last.
pub fn in_order(looked: &Looked) -> Vec<&LookedAlert> {
    let mut all: Vec<&LookedAlert> = looked.alerts.iter().collect();
    all.sort_unstable_by_key(|a| Reverse((a.seen, a.number)));
    all
}

/// A page of them in that order, and how many come before it. Only what is shown is sorted.
fn page_of(looked: &Looked, after: Option<(i64, u64)>) -> (Vec<&LookedAlert>, usize) {
    let place = |a: &LookedAlert| (a.seen.millis(), a.number);
    let mut left: Vec<&LookedAlert> =
        looked.alerts.iter().filter(|a| after.is_none_or(|after| place(a) < after)).collect();
    let from = looked.alerts.len() - left.len();
    if left.len() > PAGE {
        left.select_nth_unstable_by_key(PAGE, |a| Reverse(place(a)));
        left.truncate(PAGE);
    }
    left.sort_unstable_by_key(|a| Reverse(place(a)));
    (left, from)
}

/// The rows of a page, and the ways to others.
fn rows_of(
    view: &View,
    search: &Search,
    filter: &AlertFilter,
    asked: &Asked,
    looked: &Looked,
) -> Result<Shown, StoreError> {
    if let Some(before) = asked.before {
        let listing = search.alerts(view, filter, Some(before), PAGE)?;
        let among = listing.looked_through;
        let older = listing.next.map(|n| asked.with("before", &n.to_string()));
        return Ok(Shown { rows: listing.items, from: None, among, newer: true, older });
    }
    let (page, from) = page_of(looked, asked.after);
    let numbers: Vec<u64> = page.iter().map(|a| a.number).collect();
    let older = match (page.last(), looked.older) {
        (Some(last), _) if from + page.len() < looked.alerts.len() => {
            Some(asked.with("after", &format!("{}.{}", last.seen.millis(), last.number)))
        }
        // What is older than all that was looked at, in the order of numbers.
        (_, Some(lowest)) => Some(asked.with("before", &lowest.to_string())),
        (_, None) => None,
    };
    Ok(Shown { rows: view.alerts_numbered(&numbers)?, from: Some(from), among: None, newer: from > 0, older })
}

/// How far each threshold is that some of these wait for.
fn waiting<'a>(view: &View, alerts: impl Iterator<Item = &'a Alert>, now: Time) -> Result<alerts::Waiting, StoreError> {
    let mut waiting = alerts::Waiting::new();
    for id in alerts.filter(|a| a.is_waiting()).filter_map(|a| a.threshold) {
        if let Entry::Vacant(entry) = waiting.entry(id) {
            entry.insert(view.threshold_progress(id, now)?.unwrap_or_default());
        }
    }
    Ok(waiting)
}

/// When it was received, and what its incident's timeline says of it.
fn past(view: &View, a: &Alert) -> Result<Past, StoreError> {
    let mut past = Past::default();
    let mut deliveries = vec![a.first_delivery, a.last_delivery];
    deliveries.dedup();
    for seq in deliveries {
        if let Some(row) = view.delivery_row(seq)? {
            let results = view.results(seq)?.unwrap_or_default();
            let status = results.iter().find(|r| r.fingerprint == a.fingerprint).map(|r| r.status);
            past.received.push((row.at, row.id, status));
        }
    }
    if let Some(id) = a.incident {
        let own = a.id.to_string();
        past.told = view.timeline(id, None, TOLD)?;
        past.told.retain(|e| e.data.get("alert_id").and_then(|v| v.as_str()) == Some(own.as_str()));
    }
    Ok(past)
}

/// `GET /alerts`
pub async fn list(State(state): State<AppState>, ask: Ask, Params(params): Params) -> Result<Response, ApiError> {
    // From the chart: a time instead of the one in the query.
    if params.get("by") == "range" {
        let one = |field| vec![params.get(field).to_owned()];
        let q = terms::exchange(params.get("q"), "since", &one("since"));
        let q = terms::exchange(&q, "until", &one("until"));
        return Ok(Redirect::to(&Asked { q, ..Asked::default() }.with("", "")).into_response());
    }
    let mut asked = Asked::of(&params, &ask.views);
    // A facet narrows the saved view down that the address names.
    let mut base = params.clone();
    if asked.view.is_some() {
        base.0.insert(0, ("q".to_owned(), asked.q.clone()));
    }
    if let Some(q) = folded(&base, &alerts::FACETS) {
        let q = if q == DEFAULT_QUERY { String::new() } else { q };
        return Ok(Redirect::to(&Asked { q, view: None, ..asked }.with("", "")).into_response());
    }
    let now = ask.now;
    let typed = asked.q.clone();
    let (filter, error) = match filter_of(&typed, now) {
        // What was sent by the form gets an address that can be passed on.
        Ok(_) if params.0.iter().any(|(name, _)| name == "was") => {
            return Ok(Redirect::to(&asked.with("", "")).into_response());
        }
        Ok(filter) => (filter, None),
        Err(mut error) => {
            // The last list that could be read stays, dimmed.
            let was = params.get("was").trim();
            let last = if was.is_empty() { None } else { filter_of(was, now).ok() };
            let known = last.is_some() && was != DEFAULT_QUERY;
            asked = Asked { q: if known { was.to_owned() } else { String::new() }, view: None, ..asked };
            error.meant = error.meant.take().map(|(term, q)| (term, asked.with("q", &q)));
            error.shown = if known { format!("“{was}”") } else { "the default list".to_owned() };
            (last.filter(|_| known).unwrap_or_else(|| usual(now)), Some(error))
        }
    };
    let (search, wanted) = (state.search.clone(), asked.clone());
    let (overview, seq, looked, seen, shown, stored, chosen, senders, waiting) = state
        .store
        .read(move |view| {
            let (overview, seq) = counts_and_seq(view, now)?;
            let looked = search.alerts_looked(view, &filter, wanted.by, LOOKED)?;
            let seen = Seen::of(&looked, &filter);
            let shown = match wanted.by {
                None => rows_of(view, &search, &filter, &wanted, &looked)?,
                Some(_) => Shown::default(),
            };
            let chosen = match wanted.id {
                Some(id) => view.alert(id)?,
                None => None,
            };
            let chosen = match chosen {
                Some(a) => Some((view.membership(&a)?, view.delivery(a.last_delivery)?, past(view, &a)?, a)),
                None => None,
            };
            let waiting = waiting(view, chosen.iter().map(|(.., a)| a).chain(&shown.rows), now)?;
            let (_, _, stored) = view.alert_range()?;
            Ok((overview, seq, looked, seen, shown, stored, chosen, view.senders()?, waiting))
        })
        .await?;
    if let (Some(id), None) = (asked.id, &chosen) {
        return Err(ApiError::not_found(format_args!("alert {id}")));
    }
    let close = asked.with("", "");
    let detail = chosen.map(|(m, raw, past, a)| Detail::new(&a, m.as_ref(), raw.as_ref(), &past, close, &waiting));
    let sources = platforms::names(&state.shared.door.registry, &senders, &terms::values(asked.shown(), "source"));
    let frame = ask.frame("Alerts", Section::Alerts, &overview, seq);
    let chart = Chart::new(&seen, asked.shown(), now);
    let views = ask.views.iter().filter(|v| v.kind == ViewKind::Alerts).cloned().collect();
    let me = ask.identity.name();
    let input = Input { asked, typed, looked, shown, stored, waiting, chart, detail, error, sources, views, me };
    Ok(ask.page(StatusCode::OK, &AlertsPage::new(frame, input)))
}

/// `GET /alerts/rows`: the first page of a query, for a list that is open.
pub async fn rows(State(state): State<AppState>, ask: Ask, Params(params): Params) -> Result<Response, ApiError> {
    let now = ask.now;
    let asked = Asked { after: None, before: None, id: None, by: None, ..Asked::of(&params, &[]) };
    let filter = filter_of(&asked.q, now).unwrap_or_else(|_| usual(now));
    let (search, wanted) = (state.search.clone(), asked.clone());
    let read = move |view: &View| {
        let looked = search.alerts_looked(view, &filter, None, LOOKED)?;
        let shown = rows_of(view, &search, &filter, &wanted, &looked)?;
        let waiting = waiting(view, shown.rows.iter(), now)?;
        let (_, _, stored) = view.alert_range()?;
        Ok((looked, shown, waiting, stored))
    };
    let (looked, shown, waiting, stored) = state.store.read(read).await?;
    let row = |a: &Alert| super::ui::Markup::of(&AlertRow::new(a, &asked, &waiting, now)).to_string();
    let rows: Vec<_> = shown.rows.iter().map(|a| json!({"id": a.id, "html": row(a)})).collect();
    let (heading, sub) = alerts::heading(&looked, asked.shown(), stored);
    Ok(json(StatusCode::OK, &json!({ "heading": heading, "sub": sub, "rows": rows })))
}

/// `GET /alerts.csv`: what matches a query, the newest first, up to a number that spreadsheets take.
pub async fn as_csv(State(state): State<AppState>, ask: Ask, Params(params): Params) -> Result<Response, ApiError> {
    let q = Asked::of(&params, &ask.views).q;
    let filter = filter_of(&q, ask.now).map_err(|e| ApiError::invalid("q", format!("{} in `{q}`", e.message)))?;
    let search = state.search.clone();
    let text = state.store.read(move |view| export(view, &search, &filter)).await?;
    let name = HeaderValue::from_static("attachment; filename=\"alerts.csv\"");
    let kind = HeaderValue::from_static("text/csv; charset=utf-8");
    Ok(([(header::CONTENT_TYPE, kind), (header::CONTENT_DISPOSITION, name)], text).into_response())
}

fn export(view: &View, search: &Search, filter: &AlertFilter) -> Result<String, StoreError> {
    let mut text = String::new();
    let (mut before, mut left) = (None, EXPORTED);
    loop {
        let page = search.alerts(view, filter, before, left.min(EXPORTED_AT_ONCE))?;
        let rows = page.items.iter().map(|a| Ok(AlertObject::of(a, view.membership(a)?.as_ref())));
        let rows = rows.collect::<Result<Vec<_>, StoreError>>()?;
        // The head stands once.
        let part = csv(&rows);
        let part = if before.is_none() { part.as_str() } else { part.split_once("\r\n").map_or("", |(_, rest)| rest) };
        text.push_str(part);
        left = left.saturating_sub(page.items.len());
        match page.next.filter(|_| left > 0) {
            Some(next) => before = Some(next),
            None => return Ok(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(address: &str) -> Asked {
        let kept = |n, kind, q: &str| Kept {
            id: ViewId(n),
            name: "Disks".into(),
            kind,
            q: q.into(),
            shared: true,
            owner: "ann".into(),
            count: 2,
        };
        let kept = [kept(3, ViewKind::Alerts, "name:disk*"), kept(4, ViewKind::Incidents, "disk")];
        Asked::of(&Fields::parse(address.as_bytes()), &kept)
    }

    #[test]
    fn the_address_holds_all_that_is_not_usual() {
        for (address, want) in [
            ("", "/alerts"),
            ("q=since:24h&group=none", "/alerts"),
            ("q=disk&group=host&after=7.3&before=9&id=x", "/alerts?q=disk&group=host"),
            ("view=V-3&group=name", "/alerts?view=V-3&group=name"),
            ("view=V-3&q=x", "/alerts?q=x"),
            ("view=V-4", "/alerts"),
        ] {
            assert_eq!(asked(address).with("", ""), want, "{address}");
        }
        assert_eq!(asked("view=V-3").q, "name:disk*");
        assert_eq!(asked("view=V-3").with("q", "x"), "/alerts?view=V-3&q=x");
        let id: AlertId = "alt_00000000000000000000000003"
            .parse()
            .unwrap_or_else(|_| crate::web::pages::samples::alert(3, "a", "generic", Severity::Low, "s").id);
        assert_eq!(asked("after=7.3").beside(id), format!("/alerts?after=7.3&id={id}#detail"));
        assert_eq!((asked("after=7.3").after, asked("after=x.3").after), (Some((7, 3)), None));
    }

    #[test]
    fn the_latest_come_first() {
        let one = |number, at| LookedAlert {
            number,
            seen: Time::from_millis(at),
            severity: Severity::Low,
            status: AlertStatus::Firing,
            key: None,
        };
        let looked = Looked { alerts: vec![one(9, 5), one(8, 7), one(7, 7), one(6, 1)], rows: 4, older: None };
        let order: Vec<u64> = in_order(&looked).iter().map(|a| a.number).collect();
        assert_eq!(order, [8, 7, 9, 6]);

        // In pages it is the same order.
        let many = (0..3 * PAGE as u64 - 7).map(|n| one(n, (n * 7919 % 101) as i64)).collect();
        let looked = Looked { alerts: many, rows: 0, older: None };
        let (mut paged, mut after) = (Vec::new(), None);
        loop {
            let (page, from) = page_of(&looked, after);
            assert!(from == paged.len() && page.len() <= PAGE);
            let Some(last) = page.last() else { break };
            after = Some((last.seen.millis(), last.number));
            paged.extend(page);
        }
        assert_eq!(paged, in_order(&looked));
    }
}
