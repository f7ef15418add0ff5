//! Alerts: lists (also as CSV), and one with what explains it.

use axum::{
    Json as Answer,
    extract::State,
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
};

use super::{listing, objects::*, params::Params};
use crate::{
    model::*,
    store::{AlertFilter, StoreError, View},
    web::{auth::Viewer, error::ApiError, extract::Path, query, state::AppState},
};

listing! {
    /// Alerts, newest first.
    Alerts { alerts: AlertObject }
}

fn filter(params: &Params, now: Time) -> Result<AlertFilter, ApiError> {
    let mut filter = AlertFilter {
        statuses: query::values("status", &params.all("status"))?,
        severities: query::values("severity", &params.all("severity"))?,
        sources: params.words("source"),
        services: params.words("service"),
        hosts: params.words("host"),
        incident: params.one("incident").map(super::incident_id).transpose()?,
        since: params.time("since", now)?,
        until: params.time("until", now)?,
        ..AlertFilter::default()
    };
    query::alerts(params.one("q").unwrap_or_default(), query::Asker { now, me: None }, &mut filter)?;
    Ok(filter)
}

/// Alerts, newest first. As CSV with `Accept: text/csv`.
#[utoipa::path(get, path = "/api/alerts", tag = "alerts", operation_id = "alerts_list",
    params(("q" = Option<String>, Query, description = "words, and `field:value` terms"), ("status" = Option<String>, Query), ("severity" = Option<String>, Query),
        ("source" = Option<String>, Query), ("service" = Option<String>, Query), ("host" = Option<String>, Query), ("incident" = Option<String>, Query),
        ("since" = Option<String>, Query), ("until" = Option<String>, Query), ("limit" = Option<usize>, Query), ("cursor" = Option<String>, Query)),
    responses((status = 200, body = Alerts)))]
pub async fn list(
    _: Viewer,
    State(state): State<AppState>,
    params: Params,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let (filter, cursor, limit) = (filter(&params, state.clock.now())?, params.cursor()?, params.limit()?);
    let search = state.search.clone();
    let page = move |view: &View| {
        let mut page = search.alerts(view, &filter, cursor, limit)?;
        let alerts = std::mem::take(&mut page.items);
        let rows = alerts.iter().map(|a| Ok(AlertObject::of(a, view.membership(a)?.as_ref())));
        let rows = rows.collect::<Result<Vec<_>, StoreError>>()?;
        Ok(Alerts { alerts: rows, ..Alerts::of(page, |a| AlertObject::of(a, None)) })
    };
    let page = state.store.read(page).await?;
    if wants_csv(&headers) {
        let next = page.next_cursor.clone();
        let mut response = ([(header::CONTENT_TYPE, "text/csv; charset=utf-8")], csv(&page.alerts)).into_response();
        if let Some(next) = next.and_then(|n| n.parse().ok()) {
            response.headers_mut().insert("x-next-cursor", next);
        }
        return Ok(response);
    }
    Ok(Answer(page).into_response())
}

pub(super) fn wants_csv(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|v| v.to_str().ok()).unwrap_or_default();
    accept.split(',').any(|part| part.split(';').next().is_some_and(|t| t.trim().eq_ignore_ascii_case("text/csv")))
}

const COLUMNS: &[&str] = &[
    "alert_id",
    "fingerprint",
    "platform",
    "title",
    "service",
    "host",
    "severity",
    "status",
    "started_at",
    "ended_at",
    "count",
    "source_url",
    "strategy",
    "correlation_score",
    "description",
    "environment",
    "labels",
    "test",
    "incident_id",
];

/// A table with a head, for spreadsheets.
pub fn csv(alerts: &[AlertObject]) -> String {
    let mut out = COLUMNS.join(",");
    out.push_str("\r\n");
    let text = |v: &Option<String>| v.clone().unwrap_or_default();
    for a in alerts {
        let m = &a.member;
        let cells = [
            m.alert_id.to_string(),
            m.fingerprint.to_string(),
            m.platform.clone(),
            m.title.clone(),
            text(&m.service),
            text(&m.host),
            m.severity.to_string(),
            m.status.to_string(),
            m.started_at.to_string(),
            m.ended_at.map(|t| t.to_string()).unwrap_or_default(),
            m.count.to_string(),
            text(&m.source_url),
            m.strategy.map(|s| s.to_string()).unwrap_or_default(),
            m.correlation_score.map(|s| s.to_string()).unwrap_or_default(),
            text(&a.description),
            text(&a.environment),
            a.labels.iter().map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>().join(" "),
            a.test.to_string(),
            a.incident_id.map(|i| i.to_string()).unwrap_or_default(),
        ];
        out.push_str(&cells.map(|c| cell(&c)).join(","));
        out.push_str("\r\n");
    }
    out
}

/// A field of CSV (RFC 4180). Text from outside may begin like a formula, which spreadsheets would run.
pub(super) fn cell(text: &str) -> String {
    let guard = if text.starts_with(['=', '+', '-', '@', '\t', '\r']) { "'" } else { "" };
    if !guard.is_empty() || text.contains(['"', ',', '\n', '\r']) {
        format!("\"{guard}{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

/// One alert with labels, history, raw payload, and why it is this alert and in that incident.
#[utoipa::path(get, path = "/api/alerts/{id}", tag = "alerts", operation_id = "alert_get", params(("id" = String, Path)),
    responses((status = 200, body = AlertDetail)))]
pub async fn get(
    _: Viewer,
    State(state): State<AppState>,
    Path(id): Path<String>,
) -> Result<Answer<AlertDetail>, ApiError> {
    let id: AlertId = id.parse().map_err(|_| ApiError::not_found("such alert"))?;
    let now = state.clock.now();
    let found = state.store.read(move |view| detail(view, id, now)).await?;
    found.map(Answer).ok_or_else(|| ApiError::not_found(format!("alert {id}")))
}

fn detail(view: &View, id: AlertId, now: Time) -> Result<Option<AlertDetail>, StoreError> {
    let Some(alert) = view.alert(id)? else { return Ok(None) };
    let membership = view.membership(&alert)?;
    let waiting = match alert.threshold.filter(|_| alert.is_waiting()) {
        Some(threshold) => view.threshold_progress(threshold, now)?,
        None => None,
    };
    let mut deliveries = vec![alert.first_delivery, alert.last_delivery];
    deliveries.dedup();
    let mut history = Vec::new();
    for seq in deliveries {
        if let Some(row) = view.delivery_row(seq)? {
            let results = view.results(seq)?.unwrap_or_default();
            let status = results.iter().find(|r| r.fingerprint == alert.fingerprint).map(|r| r.status);
            history.push(HistoryEntry { delivery_id: row.id, at: row.at, status });
        }
    }
    let raw = view.delivery(alert.last_delivery)?.map(|d| String::from_utf8_lossy(&d.body).into_owned());
    let closes_at = if alert.is_held() { alert.timer() } else { alert.quiet_at };
    Ok(Some(AlertDetail {
        alert: AlertObject::of(&alert, membership.as_ref()),
        annotations: alert.annotations,
        dedup_key: alert.dedup_key,
        identity: alert.identity,
        runbook_url: alert.runbook_url,
        image_url: alert.image_url,
        repaired: alert.repaired,
        group_key: alert.group_key,
        waiting,
        threshold: alert.threshold,
        closes_at,
        flaps: alert.flapping,
        history,
        raw,
        raw_path: alert.path,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_quoted_and_formulas_disarmed() {
        for (text, want) in [
            ("plain", "plain"),
            ("a,b", "\"a,b\""),
            ("say \"x\"", "\"say \"\"x\"\"\""),
            ("two\nlines", "\"two\nlines\""),
            ("=HYPERLINK(1)", "\"'=HYPERLINK(1)\""),
        ] {
            assert_eq!(cell(text), want);
        }
    }

    #[test]
    fn csv_is_asked_for_by_name() {
        let check = |accept: &str, want: bool| {
            let mut h = HeaderMap::new();
            h.insert(header::ACCEPT, accept.parse().unwrap());
            assert_eq!(wants_csv(&h), want, "{accept}");
        };
        check("text/csv", true);
        check("application/json;q=0.5, text/csv;q=0.9", true);
        check("*/*", false);
    }
}
