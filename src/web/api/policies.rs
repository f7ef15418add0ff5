//! Escalation policies: who is told one after the other until somebody acknowledges.

use axum::{
    Json as Answer,
    extract::State,
    http::{HeaderName, StatusCode, header},
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::{listing, patched::patched};
use crate::{
    model::*,
    web::{
        auth::{Admin, Viewer},
        error::ApiError,
        extract::{Json, Path},
        state::AppState,
    },
};

listing! {
    /// Escalation policies, oldest first.
    Policies { policies: EscalationPolicy }
}

/// A policy as people set it. What is left out is as it says here.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct PolicyBody {
    /// 1 to 100 characters.
    name: String,
    /// In this order.
    steps: Vec<EscalationStep>,
    /// How often all steps are gone through once more; never.
    repeat: u8,
    /// An acknowledgement holds for so many seconds, and the steps begin anew after that; for good.
    unacknowledge_secs: Option<u32>,
}

impl PolicyBody {
    /// The row, but for what the store keeps of it.
    fn row(self) -> EscalationPolicy {
        EscalationPolicy {
            id: PolicyId::default(),
            name: self.name,
            steps: self.steps,
            repeat: self.repeat,
            unacknowledge_secs: self.unacknowledge_secs,
            created_at: Time::default(),
            created_by: String::new(),
            updated_at: Time::default(),
        }
    }
}

fn id(text: &str) -> Result<PolicyId, ApiError> {
    let unknown = || ApiError::not_found(format!("escalation policy `{}`", text.chars().take(60).collect::<String>()));
    text.parse().map_err(|_| unknown())
}

async fn one(state: &AppState, id: PolicyId) -> Result<EscalationPolicy, ApiError> {
    let found = state.store.read(move |view| Ok(view.telling()?.policies.remove(&id.0))).await?;
    found.ok_or_else(|| ApiError::not_found(format!("escalation policy {id}")))
}

/// Escalation policies.
#[utoipa::path(get, path = "/api/escalation-policies", tag = "notifications", operation_id = "policies_list",
    responses((status = 200, body = Policies)))]
pub async fn list(_: Viewer, State(state): State<AppState>) -> Result<Answer<Policies>, ApiError> {
    let rows = state.store.read(|view| Ok(view.telling()?.policies)).await?;
    Ok(Answer(Policies::all(rows.into_values().collect())))
}

/// Makes a policy; rules begin it.
#[utoipa::path(post, path = "/api/escalation-policies", tag = "notifications", operation_id = "policy_make",
    request_body = PolicyBody, responses((status = 201, body = EscalationPolicy), (status = 422, description = "every mistake with its place")))]
pub async fn make(
    who: Admin,
    State(state): State<AppState>,
    Json(new): Json<PolicyBody>,
) -> Result<(StatusCode, [(HeaderName, String); 1], Answer<EscalationPolicy>), ApiError> {
    let made = state.store.put_policy(None, new.row(), who.actor).await?;
    let location = [(header::LOCATION, format!("/api/escalation-policies/{}", made.id))];
    Ok((StatusCode::CREATED, location, Answer(made)))
}

/// One policy.
#[utoipa::path(get, path = "/api/escalation-policies/{id}", tag = "notifications", operation_id = "policy_get",
    params(("id" = String, Path)), responses((status = 200, body = EscalationPolicy)))]
pub async fn get(
    _: Viewer,
    State(state): State<AppState>,
    Path(named): Path<String>,
) -> Result<Answer<EscalationPolicy>, ApiError> {
    Ok(Answer(one(&state, id(&named)?).await?))
}

/// Sets all of a policy. Escalations that run go on by it.
#[utoipa::path(put, path = "/api/escalation-policies/{id}", tag = "notifications", operation_id = "policy_put",
    request_body = PolicyBody, params(("id" = String, Path)),
    responses((status = 200, body = EscalationPolicy), (status = 422, description = "every mistake with its place")))]
pub async fn put(
    who: Admin,
    State(state): State<AppState>,
    Path(named): Path<String>,
    Json(body): Json<PolicyBody>,
) -> Result<Answer<EscalationPolicy>, ApiError> {
    Ok(Answer(state.store.put_policy(Some(id(&named)?), body.row(), who.actor).await?))
}

/// Changes some of a policy; null takes a value back to what it is for a new one.
#[utoipa::path(patch, path = "/api/escalation-policies/{id}", tag = "notifications", operation_id = "policy_change",
    request_body = PolicyBody, params(("id" = String, Path)),
    responses((status = 200, body = EscalationPolicy), (status = 422, description = "every mistake with its place")))]
pub async fn change(
    who: Admin,
    State(state): State<AppState>,
    Path(named): Path<String>,
    Json(patch): Json<Map<String, Value>>,
) -> Result<Answer<EscalationPolicy>, ApiError> {
    let b = one(&state, id(&named)?).await?;
    let before =
        PolicyBody { name: b.name, steps: b.steps, repeat: b.repeat, unacknowledge_secs: b.unacknowledge_secs };
    let row = patched(&before, patch)?.row();
    Ok(Answer(state.store.put_policy(Some(b.id), row, who.actor).await?))
}

/// Removes a policy that no rule uses. Escalations that run by it end.
#[utoipa::path(delete, path = "/api/escalation-policies/{id}", tag = "notifications", operation_id = "policy_remove",
    params(("id" = String, Path)), responses((status = 204), (status = 409, description = "a rule uses it")))]
pub async fn remove(
    who: Admin,
    State(state): State<AppState>,
    Path(named): Path<String>,
) -> Result<StatusCode, ApiError> {
    state.store.remove_policy(id(&named)?, who.actor).await?;
    Ok(StatusCode::NO_CONTENT)
}
