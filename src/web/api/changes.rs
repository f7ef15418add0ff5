//! Changes: deploys, builds, configuration. Evidence for investigations, never an incident.

use axum::{
    Json as Answer,
    extract::{Request, State},
    http::StatusCode,
};
use serde::Serialize;
use utoipa::ToSchema;

use super::{idempotency_key, incidents::all_wrong};
use crate::{
    ingest::declare::NewChange,
    model::*,
    web::{
        auth::Responder,
        error::ApiError,
        extract::{parse_json, read_body},
        state::AppState,
    },
};

/// Where the change is kept.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Reported {
    /// Names the delivery.
    delivery_id: DeliveryId,
}

/// Reports a change.
#[utoipa::path(post, path = "/api/changes", tag = "changes", operation_id = "change_report", request_body = NewChange,
    params(("Idempotency-Key" = Option<String>, Header, description = "a retry with the same key changes nothing")),
    responses((status = 202, body = Reported)))]
pub async fn report(
    who: Responder,
    State(state): State<AppState>,
    request: Request,
) -> Result<(StatusCode, Answer<Reported>), ApiError> {
    let (parts, body) = request.into_parts();
    let retry = idempotency_key(&parts.headers);
    let bytes = read_body(body, state.config.max_body).await?;
    let change = parse_json::<NewChange>(&bytes)?.change(&who.actor).map_err(all_wrong)?;
    let parsed = Parsed { changes: vec![change], ..Parsed::default() };
    let stored = state.door().declare("changes", parsed, bytes.to_vec(), retry.as_deref(), &who.actor).await?;
    state.shared.metrics.delivery("changes", "accepted");
    state.store.audit(who.actor, "change.report", stored.id.to_string(), serde_json::Value::Null).await?;
    Ok((StatusCode::ACCEPTED, Answer(Reported { delivery_id: stored.id })))
}
