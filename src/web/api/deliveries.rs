//! Deliveries: what senders sent, as it came.

use axum::{
    Json as Answer,
    extract::State,
    http::{HeaderMap, StatusCode},
};
use base64::{Engine, engine::general_purpose::STANDARD};

use super::{
    listing,
    objects::*,
    params::{Params, wrong},
};
use crate::{
    ingest::Refusal,
    model::*,
    store::{DeliveryFilter, StoreError, View},
    web::{
        auth::{Responder, Viewer},
        error::ApiError,
        extract::Path,
        hooks::{Taken, TakenAlert, refused},
        prefer,
        state::AppState,
    },
};

listing! {
    /// Deliveries, newest first.
    Deliveries { deliveries: DeliveryObject }
}

/// Deliveries, newest first.
#[utoipa::path(get, path = "/api/deliveries", tag = "deliveries", operation_id = "deliveries_list",
    params(("platform" = Option<String>, Query), ("outcome" = Option<String>, Query, description = "accepted, refused or unparsed"),
        ("limit" = Option<usize>, Query), ("cursor" = Option<String>, Query)), responses((status = 200, body = Deliveries)))]
pub async fn list(_: Viewer, State(state): State<AppState>, params: Params) -> Result<Answer<Deliveries>, ApiError> {
    let outcome = params.one("outcome").map(|o| o.parse().map_err(|e: String| wrong("outcome", &e))).transpose()?;
    let filter =
        DeliveryFilter { platform: params.one("platform").map(str::to_owned), outcome, ..DeliveryFilter::default() };
    let (cursor, limit) = (params.cursor()?, params.limit()?);
    let page = state.store.read(move |view| view.deliveries(&filter, cursor, limit)).await?;
    Ok(Answer(Deliveries::of(page, DeliveryObject::of)))
}

fn delivery_id(text: &str) -> Result<DeliveryId, ApiError> {
    text.parse().map_err(|_| ApiError::not_found("such delivery"))
}

/// One delivery with headers, body and what each alert in it did.
#[utoipa::path(get, path = "/api/deliveries/{id}", tag = "deliveries", operation_id = "delivery_get", params(("id" = String, Path)),
    responses((status = 200, body = DeliveryDetail)))]
pub async fn get(
    _: Viewer,
    State(state): State<AppState>,
    Path(id): Path<String>,
) -> Result<Answer<DeliveryDetail>, ApiError> {
    let id = delivery_id(&id)?;
    let found = state.store.read(move |view| detail(view, id)).await?;
    found.map(Answer).ok_or_else(|| ApiError::not_found(format!("delivery {id}, or it is no longer kept")))
}

fn detail(view: &View, id: DeliveryId) -> Result<Option<DeliveryDetail>, StoreError> {
    let row = view.delivery_row(id.number())?.filter(|r| r.id == id);
    let kept = view.delivery(id.number())?.filter(|d| d.id == id);
    let delivery = match (row, &kept) {
        (Some(row), _) => DeliveryObject::of(&row),
        // Stored, but not applied yet.
        (None, Some(kept)) => waiting(kept),
        (None, None) => return Ok(None),
    };
    let (headers, body) = kept.map(|d| (d.sent_headers().cloned().collect::<Vec<_>>(), d.body)).unzip();
    let (body, body_encoding) = match body.map(String::from_utf8) {
        Some(Err(e)) => (Some(STANDARD.encode(e.as_bytes())), "base64"),
        Some(Ok(text)) => (Some(text), "utf-8"),
        None => (None, "utf-8"),
    };
    let results = view.results(id.number())?.unwrap_or_default();
    Ok(Some(DeliveryDetail { delivery, headers: headers.unwrap_or_default(), body, body_encoding, results }))
}

fn waiting(d: &Delivery) -> DeliveryObject {
    let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    DeliveryObject {
        id: d.id,
        platform: d.platform.clone(),
        received_at: d.at,
        applied_at: None,
        outcome: d.outcome,
        problem: d.problem.clone(),
        size: u64::try_from(d.body.len()).unwrap_or(u64::MAX),
        alerts: count(d.parsed.signals.len()),
        changes: count(d.parsed.changes.len()),
        notes: Vec::new(),
        incidents: Vec::new(),
        title: d.parsed.signals.first().map(|s| s.title.clone()),
        replay_of: None,
    }
}

/// Parses a stored delivery again and applies what it says now.
#[utoipa::path(post, path = "/api/deliveries/{id}/replay", tag = "deliveries", operation_id = "delivery_replay", params(("id" = String, Path)),
    responses((status = 202, body = Taken), (status = 422, description = "still not understood")))]
pub async fn replay(
    who: Responder,
    State(state): State<AppState>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<(StatusCode, Answer<Taken>), ApiError> {
    let id = delivery_id(&id)?;
    let taken = match state.door().replay(id).await {
        Ok(Some(taken)) => taken,
        Ok(None) => return Err(ApiError::not_found(format!("delivery {id}, or it is no longer kept"))),
        Err(Refusal::UnknownPlatform(_)) => {
            let detail = "this delivery did not come from a connector and cannot be parsed again";
            return Err(ApiError::new(StatusCode::CONFLICT, "conflict", detail));
        }
        Err(refusal) => return Err(refused("", refusal, state.config.max_body)),
    };
    state.store.audit(who.actor, "delivery.replay", id.to_string(), serde_json::Value::Null).await?;
    let mut alerts: Vec<TakenAlert> = taken
        .signals
        .iter()
        .map(|(fingerprint, status)| TakenAlert::Stored { fingerprint: *fingerprint, status: *status })
        .collect();
    if let Some(wait) = prefer::wait(&headers)
        && let Some(applied) = crate::web::applied(&state, taken.stored.seq, wait).await?
    {
        alerts = applied.into_iter().map(TakenAlert::Applied).collect();
    }
    Ok((StatusCode::ACCEPTED, Answer(Taken { delivery_id: taken.stored.id, alerts, problem: taken.problem })))
}
