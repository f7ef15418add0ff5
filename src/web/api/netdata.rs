//! Netdata's own small API, as tools made for it expect it.

use axum::{Json as Answer, extract::State};
use serde::Serialize;
use utoipa::ToSchema;

use super::params::{MOST, Params, wrong};
use crate::{
    model::*,
    store::{AlertFilter, StoreError, View},
    web::{
        auth::{Client, Viewer},
        error::ApiError,
        state::AppState,
    },
};

/// An alert in Netdata's words.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct NetdataAlert {
    id: AlertId,
    alert_name: String,
    /// `WARNING`, `CRITICAL` or `CLEAR`.
    status: &'static str,
    chart: Option<String>,
    host: Option<String>,
    space: Option<String>,
    room: Option<String>,
    value: Option<String>,
    message: Option<String>,
    /// The latest body, while it is kept.
    #[schema(value_type = Object)]
    payload: serde_json::Value,
    received_at: Time,
}

/// A page of them.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct NetdataAlerts {
    alerts: Vec<NetdataAlert>,
    total: u64,
    limit: usize,
    offset: usize,
}

const STATUSES: [&str; 3] = ["WARNING", "CRITICAL", "CLEAR"];
// Pages by number are counted from the start each time.
const DEEPEST: usize = 10_000;

/// Netdata's alerts, newest first.
#[utoipa::path(get, path = "/netdata/alerts", tag = "netdata", operation_id = "netdata_alerts",
    params(("limit" = Option<usize>, Query), ("offset" = Option<usize>, Query), ("status" = Option<String>, Query, description = "WARNING, CRITICAL or CLEAR")),
    responses((status = 200, body = NetdataAlerts)))]
pub async fn alerts(
    _: Viewer,
    State(state): State<AppState>,
    params: Params,
) -> Result<Answer<NetdataAlerts>, ApiError> {
    let limit = params.limit()?;
    let offset = match params.one("offset").map(str::parse::<usize>) {
        None => 0,
        Some(Ok(n)) if n <= DEEPEST => n,
        Some(_) => return Err(wrong("offset", "a number from 0 to 10000 is needed")),
    };
    let status = params.one("status").map(str::to_ascii_uppercase);
    if status.as_deref().is_some_and(|s| !STATUSES.contains(&s)) {
        return Err(wrong("status", "one of WARNING, CRITICAL, CLEAR is needed"));
    }
    let (alerts, total) = state.store.read(move |view| page(view, status.as_deref(), limit, offset)).await?;
    Ok(Answer(NetdataAlerts { alerts, total, limit, offset }))
}

fn page(
    view: &View,
    status: Option<&str>,
    limit: usize,
    offset: usize,
) -> Result<(Vec<NetdataAlert>, u64), StoreError> {
    let mut filter = AlertFilter { sources: vec!["netdata".to_owned()], ..AlertFilter::default() };
    let open = vec![AlertStatus::Firing, AlertStatus::Acknowledged];
    match status {
        Some("CLEAR") => filter.statuses = vec![AlertStatus::Resolved],
        Some("CRITICAL") => (filter.statuses, filter.severities) = (open, vec![Severity::Critical]),
        Some(_) => {
            let milder = Severity::ALL.iter().copied().filter(|s| *s != Severity::Critical).collect();
            (filter.statuses, filter.severities) = (open, milder);
        }
        None => {}
    }
    let (mut found, mut before, mut skip) = (Vec::new(), None, offset);
    let total = loop {
        let listing = view.alerts(&filter, before, MOST)?;
        let here = listing.items.len();
        for alert in listing.items.iter().skip(skip).take(limit - found.len()) {
            found.push(row(view, alert)?);
        }
        skip = skip.saturating_sub(here);
        before = listing.next;
        if before.is_none() || found.len() == limit {
            break listing.total;
        }
    };
    Ok((found, total))
}

fn row(view: &View, a: &Alert) -> Result<NetdataAlert, StoreError> {
    let text = |name: &str| a.labels.get(name).or_else(|| a.annotations.get(name)).cloned();
    let body = view.delivery(a.last_delivery)?.map(|d| d.body);
    Ok(NetdataAlert {
        id: a.id,
        alert_name: text("alert").unwrap_or_else(|| a.title.clone()),
        status: match (a.status, a.severity) {
            (AlertStatus::Resolved, _) => "CLEAR",
            (_, Severity::Critical) => "CRITICAL",
            _ => "WARNING",
        },
        chart: text("chart"),
        host: a.host.clone(),
        space: text("space"),
        room: text("rooms"),
        value: text("value"),
        message: text("message").or_else(|| a.description.clone()),
        payload: body.and_then(|b| serde_json::from_slice(&b).ok()).unwrap_or_default(),
        received_at: a.last_seen,
    })
}

/// What is entered in Netdata.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct WebhookUrl {
    webhook_url: String,
    /// The token of the latest test notification.
    verification_token: Option<String>,
}

/// The address and the verification token of the latest test notification.
#[utoipa::path(get, path = "/netdata/alerts/webhook-url", tag = "netdata", operation_id = "netdata_webhook_url", responses((status = 200, body = WebhookUrl)))]
pub async fn webhook_url(
    _: Viewer,
    State(state): State<AppState>,
    client: Client,
) -> Result<Answer<WebhookUrl>, ApiError> {
    let settings = state.store.read(|view| view.connector("netdata")).await?;
    Ok(Answer(WebhookUrl {
        webhook_url: format!("{}/api/webhooks/netdata", client.base_url(&state.config)),
        verification_token: settings.and_then(|s| s.test_token),
    }))
}
