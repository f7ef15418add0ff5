//! Handlers of the pages about incidents and alerts: extract, one snapshot, answer.

use std::collections::btree_map::Entry;

use axum::{
    extract::{Path, State},
    response::{IntoResponse, Redirect, Response},
};
use http::{HeaderValue, StatusCode, header};
use serde_json::json;

use super::{
    act::people,
    alerts::{self, AlertRow, AlertsPage, Detail, Past},
    alerts_chart::{Chart, Seen},
    ask::{Ask, Fields, Params, json},
    frame::{Section, counts_and_seq},
    incident::{Asks, IncidentPage, MergeWith, Read, Refused, panels},
    incidents::QueryError,
    platforms, terms,
};
use crate::{
    model::*,
    postmortem,
    search::Search,
    store::{AlertFilter, IncidentFilter, StoreError, View},
    web::{
        api::{alerts::csv, objects::AlertObject},
        auth::{Client, Viewer},
        error::ApiError,
        query,
        state::AppState,
    },
};

/// Open incidents that are offered to merge with; others by their number, or looked for.
const MERGE_WITH: usize = 5;
/// The newest open ones that are looked at for that; older ones only when they read alike.
const LOOKED_AT: usize = 100;
/// Entries of a timeline in which an alert's own are looked for.
const TOLD: usize = 500;
/// Alerts in a file, and read at once.
const EXPORTED: usize = 50_000;
const EXPORTED_AT_ONCE: usize = 1_000;

/// What is wrong with a query, as the page says it.
pub fn query_error(e: query::QueryError) -> QueryError {
    let mut message = e.message;
    let first = message.chars().next().map(|c| c.to_uppercase().to_string()).unwrap_or_default();
    message.replace_range(..message.chars().next().map_or(0, char::len_utf8), &first);
    if !message.ends_with(['.', '?']) {
        message.push('.');
    }
    if !e.allowed.is_empty() && e.meant.is_none() && !message.contains(e.allowed.first().map_or("", String::as_str)) {
        message = format!("{message} Allowed: {}.", e.allowed.join(", "));
    }
    let at = Some(format!("{} (character {})", e.term, e.at + 1));
    QueryError { message, at, meant: e.meant.map(|m| (m.term, m.query)), shown: "the default list".to_owned() }
}

/// The query with the terms of a submitted facet form in it; none when the form was the text field's.
pub fn folded(params: &Fields, fields: &[&str]) -> Option<String> {
    let mut q = params.get("q").to_owned();
    // A link such as ?severity=high works as well as the form.
    let named = |f: &&str| {
        params.get("by") == *f || params.get("by") == "facets" || (params.get("by").is_empty() && params.checked(f))
    };
    let chosen: Vec<&&str> = fields.iter().filter(|f| named(f)).collect();
    if chosen.is_empty() {
        return None;
    }
    for field in chosen {
        let values: Vec<String> = params
            .all(field)
            .iter()
            .flat_map(|v| v.split(',').map(|s| s.trim().to_owned()).collect::<Vec<_>>())
            .collect();
        q = terms::exchange(&q, field, &values);
    }
    Some(q)
}

/// `GET /incidents/{id}`
pub async fn incident(
    State(state): State<AppState>,
    ask: Ask,
    Path(id): Path<String>,
    Params(params): Params,
) -> Result<Response, ApiError> {
    let id = incident_id(&id)?;
    let asks = match params.get("do") {
        "resolve" => Asks::Resolve,
        "merge" => Asks::Merge(merge_with(&state, &ask, id, params.get("find").trim()).await?),
        "assign" => Asks::Assign(people(&state).await?),
        "severity" => Asks::Severity,
        "snooze" => Asks::Snooze,
        _ => Asks::Nothing,
    };
    incident_page(&state, &ask, id, None, asks).await
}

/// Open incidents to merge with: the likeliest, or those that a query finds.
async fn merge_with(state: &AppState, ask: &Ask, id: IncidentId, find: &str) -> Result<MergeWith, ApiError> {
    let search = state.search.clone();
    let mut filter = IncidentFilter::default();
    if !find.is_empty() {
        let asker = query::Asker { now: ask.now, me: Some(&ask.identity.name()) };
        query::incidents(&format!("status:open {find}"), asker, &mut filter)?;
    }
    let by_likeness = find.is_empty();
    let read = move |view: &View| {
        let Some(incident) = view.incident(id)? else { return Ok(Vec::new()) };
        if by_likeness {
            let found = search.beside(view, &incident, view.open_incidents(LOOKED_AT)?.0, MERGE_WITH)?;
            return Ok(found.into_iter().map(|(other, alike)| (other, Some(alike))).collect());
        }
        let found = search.incidents(view, &filter, None, 2 * MERGE_WITH)?.items;
        Ok(found.into_iter().filter(|i| i.id != id).map(|i| (i, None)).collect())
    };
    Ok(MergeWith { offered: state.store.read(read).await?, find: find.to_owned() })
}

/// The page, at 409 with a banner when something was refused.
pub async fn incident_page(
    state: &AppState,
    ask: &Ask,
    id: IncidentId,
    refused: Option<Refused>,
    asks: Asks,
) -> Result<Response, ApiError> {
    let now = ask.now;
    let search = state.search.clone();
    let (found, overview, seq) = state
        .store
        .read(move |view| {
            let (overview, seq) = counts_and_seq(view, now)?;
            Ok((Read::of(view, &search, id)?, overview, seq))
        })
        .await?;
    let read = found.ok_or_else(|| ApiError::not_found(id))?;
    let status = if refused.is_some() { StatusCode::CONFLICT } else { StatusCode::OK };
    let frame = ask.frame("", Section::Incidents, &overview, seq);
    Ok(ask.page(status, &IncidentPage::new(frame, &read, refused, asks)))
}

/// `GET /incidents/{id}/markdown`: to be copied into a chat or a ticket.
pub async fn incident_markdown(
    State(state): State<AppState>,
    _: Viewer,
    client: Client,
    Path(id): Path<String>,
) -> Result<Response, ApiError> {
    let id = incident_id(&id)?;
    let search = state.search.clone();
    let read =
        state.store.read(move |view| Read::of(view, &search, id)).await?.ok_or_else(|| ApiError::not_found(id))?;
    let address = format!("{}/incidents/{id}", client.base_url(&state.config));
    let text = postmortem::brief(&read.incident, &read.answer, &read.members, &read.timeline, &address);
    // As text, because browsers save what they do not know.
    Ok(([(header::CONTENT_TYPE, "text/plain; charset=utf-8"), (header::CACHE_CONTROL, "no-store")], text)
        .into_response())
}

/// `GET /incidents/{id}/panels`: the parts that change on their own.
pub async fn incident_panels(
    State(state): State<AppState>,
    ask: Ask,
    Path(id): Path<String>,
) -> Result<Response, ApiError> {
    let id = incident_id(&id)?;
    let search = state.search.clone();
    let read =
        state.store.read(move |view| Read::of(view, &search, id)).await?.ok_or_else(|| ApiError::not_found(id))?;
    let panels = panels(&read, &ask.identity.name(), ask.identity.may_act(), ask.now);
    Ok(json(StatusCode::OK, &json!({ "panels": panels })))
}

/// An incident's number in an address.
pub fn incident_id(s: &str) -> Result<IncidentId, ApiError> {
    s.parse().map_err(|_| ApiError::not_found(format_args!("incident “{}”", super::text::shorten(s, 40))))
}

/// What a list of alerts is asked for, and what is wrong with it; then it is of the last day.
fn alerts_wanted(typed: &str, now: Time) -> (String, AlertFilter, Option<QueryError>) {
    let typed = typed.trim();
    let q = if typed.is_empty() { alerts::DEFAULT_QUERY } else { typed };
    let mut filter = AlertFilter::default();
    match query::alerts(q, query::Asker { now, me: None }, &mut filter) {
        Ok(()) => (q.to_owned(), filter, None),
        Err(e) => {
            let since = Some(now.minus(std::time::Duration::from_secs(86_400)));
            (q.to_owned(), AlertFilter { since, ..AlertFilter::default() }, Some(query_error(e)))
        }
    }
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
pub async fn alerts(State(state): State<AppState>, ask: Ask, Params(params): Params) -> Result<Response, ApiError> {
    // From the chart: a time instead of the one in the query.
    if params.get("by") == "range" {
        let one = |field| vec![params.get(field).to_owned()];
        let q = terms::exchange(params.get("q"), "since", &one("since"));
        return Ok(
            Redirect::to(&terms::href("/alerts", &terms::exchange(&q, "until", &one("until")), &[])).into_response()
        );
    }
    if let Some(q) = folded(&params, &alerts::FACETS) {
        let q = if q == alerts::DEFAULT_QUERY { "" } else { &q };
        return Ok(Redirect::to(&terms::href("/alerts", q, &[])).into_response());
    }
    let now = ask.now;
    let id: Option<AlertId> = params.get("id").parse().ok();
    let (q, filter, error) = alerts_wanted(params.get("q"), now);
    let before: Option<u64> = params.get("before").parse().ok();
    let search = state.search.clone();
    let (overview, seq, listing, seen, chosen, senders, waiting) = state
        .store
        .read(move |view| {
            let (overview, seq) = counts_and_seq(view, now)?;
            let listing = search.alerts(view, &filter, before, alerts::PAGE)?;
            let seen = Seen::read(view, &search, &filter)?;
            let chosen = match id {
                Some(id) => view.alert(id)?,
                None => None,
            };
            let chosen = match chosen {
                Some(a) => Some((view.membership(&a)?, view.delivery(a.last_delivery)?, past(view, &a)?, a)),
                None => None,
            };
            let waiting = waiting(view, chosen.iter().map(|(.., a)| a).chain(&listing.items), now)?;
            Ok((overview, seq, listing, seen, chosen, view.senders()?, waiting))
        })
        .await?;
    if let (Some(id), None) = (id, &chosen) {
        return Err(ApiError::not_found(format_args!("alert {id}")));
    }
    let detail = chosen.map(|(m, raw, past, a)| (a.id, Detail::new(&a, m.as_ref(), raw.as_ref(), &past, &q, &waiting)));
    let sources = platforms::names(&state.shared.door.registry, &senders, &terms::values(&q, "source"));
    let frame = ask.frame("Alerts", Section::Alerts, &overview, seq);
    let chart = Chart::new(&seen, &q, now);
    let page = AlertsPage::new(frame, &q, (&listing, &waiting, chart), before, detail, error, &sources);
    Ok(ask.page(StatusCode::OK, &page))
}

/// `GET /alerts/rows`: the first page of a query, for a list that is open.
pub async fn alert_rows(State(state): State<AppState>, ask: Ask, Params(params): Params) -> Result<Response, ApiError> {
    let now = ask.now;
    let (q, filter, _) = alerts_wanted(params.get("q"), now);
    let search = state.search.clone();
    let read = move |view: &View| {
        let listing = search.alerts(view, &filter, None, alerts::PAGE)?;
        let waiting = waiting(view, listing.items.iter(), now)?;
        Ok((listing, waiting))
    };
    let (listing, waiting) = state.store.read(read).await?;
    let row = |a: &Alert| super::ui::Markup::of(&AlertRow::new(a, &q, None, false, &waiting, now)).to_string();
    let rows: Vec<_> = listing.items.iter().map(|a| json!({"id": a.id, "html": row(a)})).collect();
    Ok(json(StatusCode::OK, &json!({ "heading": alerts::heading(&listing), "rows": rows })))
}

/// `GET /alerts.csv`: what matches a query, the newest first, up to a number that spreadsheets take.
pub async fn alerts_csv(State(state): State<AppState>, ask: Ask, Params(params): Params) -> Result<Response, ApiError> {
    let (q, filter, error) = alerts_wanted(params.get("q"), ask.now);
    if let Some(e) = error {
        return Err(ApiError::invalid("q", format!("{} in `{q}`", e.message)));
    }
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

    #[test]
    fn the_text_wins_unless_a_facet_was_applied() {
        let check = |form: &str, want: Option<&str>| {
            let fields = Fields::parse(form.as_bytes());
            assert_eq!(folded(&fields, &["status", "severity"]).as_deref(), want, "{form}");
        };
        check("q=status:open", None);
        check("q=status:open+severity:low&severity=high&by=severity", Some("status:open severity:high"));
        check("q=severity:low&by=severity", Some(""));
        check("q=severity:high&severity=low&by=text", None);
        check("q=x&severity=high,low", Some("x severity:high,low"));
        check("q=severity:low+x&status=open&by=facets", Some("x status:open"));
    }
}
