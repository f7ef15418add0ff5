//! Handlers of the pages about incidents: extract, one snapshot, answer. And what lists have in common.

use axum::{
    extract::{Path, State},
    response::{IntoResponse, Response},
};
use http::{StatusCode, header};
use serde_json::json;

use super::{
    act::people,
    ask::{Ask, Fields, Params, json},
    frame::{Section, counts_and_seq},
    incident::{Asks, IncidentPage, MergeWith, Read, Refused, panels},
    incidents::QueryError,
    terms,
};
use crate::{
    model::*,
    postmortem,
    store::{IncidentFilter, View},
    web::{
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
/// Rows of alerts that a page has at most, with those that came while it was open.
const SHOWN: usize = 50;

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
    Params(params): Params,
) -> Result<Response, ApiError> {
    let id = incident_id(&id)?;
    let shown: Vec<AlertId> = params.get("alerts").split(',').filter_map(|a| a.parse().ok()).take(SHOWN).collect();
    let search = state.search.clone();
    let read = state.store.read(move |view| {
        let home = view.home(id)?;
        let mut gone = Vec::new();
        for alert in shown {
            if view.alert(alert)?.is_none_or(|a| a.incident != Some(home)) {
                gone.push(alert.to_string());
            }
        }
        Ok(Read::of(view, &search, id)?.map(|read| (read, gone)))
    });
    let (read, gone) = read.await?.ok_or_else(|| ApiError::not_found(id))?;
    let mut panels = panels(&read, &ask.identity.name(), ask.identity.may_act(), ask.now);
    // Rows that the page has and the incident no longer.
    panels.insert("gone", gone.join(","));
    Ok(json(StatusCode::OK, &json!({ "panels": panels })))
}

/// An incident's number in an address.
pub fn incident_id(s: &str) -> Result<IncidentId, ApiError> {
    s.parse().map_err(|_| ApiError::not_found(format_args!("incident “{}”", super::text::shorten(s, 40))))
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
