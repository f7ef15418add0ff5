//! Heartbeats: what must be heard from time to time, and opens an incident when it is not.

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
    store::{StoreError, View},
    web::{
        auth::{Admin, Viewer},
        error::ApiError,
        extract::{Json, Path},
        state::AppState,
    },
};

/// A heartbeat with where it stands.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct HeartbeatObject {
    /// The heartbeat; `last_at` is when it was last heard.
    #[serde(flatten)]
    heartbeat: Heartbeat,
    /// Where it stands.
    state: HeartbeatState,
}

impl HeartbeatObject {
    fn of(view: &View, row: Heartbeat) -> Result<Self, StoreError> {
        let last_at = match &row.from {
            HeartbeatFrom::Platform(platform) => view.counters(platform)?.last_accepted,
            HeartbeatFrom::Alerts(_) => row.last_at,
        };
        let heartbeat = Heartbeat { last_at, ..row };
        Ok(Self { state: heartbeat.state(), heartbeat })
    }
}

listing! {
    /// Heartbeats, oldest first.
    Heartbeats { heartbeats: HeartbeatObject }
}

/// A heartbeat as people set it. What is left out is as it says here.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct HeartbeatBody {
    /// 1 to 100 characters.
    name: String,
    /// What counts; it must be given.
    #[schema(required = true, value_type = HeartbeatFrom)]
    from: Option<HeartbeatFrom>,
    /// At least every so many seconds; 600.
    every_secs: u32,
    /// How bad its absence is; high.
    severity: Severity,
    /// It is looked at; yes.
    enabled: bool,
}

impl Default for HeartbeatBody {
    fn default() -> Self {
        Self { name: String::new(), from: None, every_secs: 600, severity: Severity::High, enabled: true }
    }
}

impl HeartbeatBody {
    /// The row, but for what the store keeps of it.
    fn row(self, state: &AppState) -> Result<Heartbeat, ApiError> {
        let from = self.from.ok_or_else(|| ApiError::invalid("/from", "a `platform` or `alerts` is needed"))?;
        if let HeartbeatFrom::Platform(platform) = &from
            && state.shared.door.registry.find(platform).is_none()
        {
            let name: String = platform.chars().take(60).collect();
            return Err(ApiError::invalid("/from/platform", format!("there is no connector `{name}`")));
        }
        Ok(Heartbeat {
            id: HeartbeatId::default(),
            name: self.name,
            from,
            every_secs: self.every_secs,
            severity: self.severity,
            enabled: self.enabled,
            last_at: None,
            missing_since: None,
            incident: None,
            created_at: Time::default(),
            created_by: String::new(),
            updated_at: Time::default(),
        })
    }
}

fn id(text: &str) -> Result<HeartbeatId, ApiError> {
    text.parse().map_err(|_| ApiError::not_found(format!("heartbeat `{}`", text.chars().take(60).collect::<String>())))
}

async fn one(state: &AppState, id: HeartbeatId) -> Result<Heartbeat, ApiError> {
    let found = state.store.read(move |view| Ok(view.telling()?.heartbeats.remove(&id.0))).await?;
    found.ok_or_else(|| ApiError::not_found(format!("heartbeat {id}")))
}

async fn object(state: &AppState, row: Heartbeat) -> Result<HeartbeatObject, ApiError> {
    Ok(state.store.read(move |view| HeartbeatObject::of(view, row)).await?)
}

/// Heartbeats with where they stand.
#[utoipa::path(get, path = "/api/heartbeats", tag = "notifications", operation_id = "heartbeats_list",
    responses((status = 200, body = Heartbeats)))]
pub async fn list(_: Viewer, State(state): State<AppState>) -> Result<Answer<Heartbeats>, ApiError> {
    let all = state.store.read(|view| {
        let rows = view.telling()?.heartbeats.into_values();
        rows.map(|row| HeartbeatObject::of(view, row)).collect::<Result<Vec<_>, _>>()
    });
    Ok(Answer(Heartbeats::all(all.await?)))
}

/// Makes a heartbeat. It is missing once nothing was heard for its time from now on.
#[utoipa::path(post, path = "/api/heartbeats", tag = "notifications", operation_id = "heartbeat_make", request_body = HeartbeatBody,
    responses((status = 201, body = HeartbeatObject), (status = 422, description = "every mistake with its place")))]
pub async fn make(
    who: Admin,
    State(state): State<AppState>,
    Json(new): Json<HeartbeatBody>,
) -> Result<(StatusCode, [(HeaderName, String); 1], Answer<HeartbeatObject>), ApiError> {
    let made = state.store.put_heartbeat(None, new.row(&state)?, who.actor).await?;
    let location = [(header::LOCATION, format!("/api/heartbeats/{}", made.id))];
    Ok((StatusCode::CREATED, location, Answer(object(&state, made).await?)))
}

/// One heartbeat.
#[utoipa::path(get, path = "/api/heartbeats/{id}", tag = "notifications", operation_id = "heartbeat_get",
    params(("id" = String, Path)), responses((status = 200, body = HeartbeatObject)))]
pub async fn get(
    _: Viewer,
    State(state): State<AppState>,
    Path(named): Path<String>,
) -> Result<Answer<HeartbeatObject>, ApiError> {
    let row = one(&state, id(&named)?).await?;
    Ok(Answer(object(&state, row).await?))
}

/// Sets all of a heartbeat. Its time counts from now on.
#[utoipa::path(put, path = "/api/heartbeats/{id}", tag = "notifications", operation_id = "heartbeat_put", request_body = HeartbeatBody,
    params(("id" = String, Path)), responses((status = 200, body = HeartbeatObject), (status = 422, description = "every mistake with its place")))]
pub async fn put(
    who: Admin,
    State(state): State<AppState>,
    Path(named): Path<String>,
    Json(body): Json<HeartbeatBody>,
) -> Result<Answer<HeartbeatObject>, ApiError> {
    let before = one(&state, id(&named)?).await?;
    let row = Heartbeat { incident: before.incident, ..body.row(&state)? };
    let changed = state.store.put_heartbeat(Some(before.id), row, who.actor).await?;
    Ok(Answer(object(&state, changed).await?))
}

/// Changes some of a heartbeat; null takes a value back to what it is for a new one. Its time counts from now on.
#[utoipa::path(patch, path = "/api/heartbeats/{id}", tag = "notifications", operation_id = "heartbeat_change",
    request_body = HeartbeatBody, params(("id" = String, Path)),
    responses((status = 200, body = HeartbeatObject), (status = 422, description = "every mistake with its place")))]
pub async fn change(
    who: Admin,
    State(state): State<AppState>,
    Path(named): Path<String>,
    Json(patch): Json<Map<String, Value>>,
) -> Result<Answer<HeartbeatObject>, ApiError> {
    let b = one(&state, id(&named)?).await?;
    let before = HeartbeatBody {
        name: b.name,
        from: Some(b.from),
        every_secs: b.every_secs,
        severity: b.severity,
        enabled: b.enabled,
    };
    let row = Heartbeat { incident: b.incident, ..patched(&before, patch)?.row(&state)? };
    let changed = state.store.put_heartbeat(Some(b.id), row, who.actor).await?;
    Ok(Answer(object(&state, changed).await?))
}

/// Removes a heartbeat.
#[utoipa::path(delete, path = "/api/heartbeats/{id}", tag = "notifications", operation_id = "heartbeat_remove",
    params(("id" = String, Path)), responses((status = 204)))]
pub async fn remove(
    who: Admin,
    State(state): State<AppState>,
    Path(named): Path<String>,
) -> Result<StatusCode, ApiError> {
    state.store.remove_heartbeat(id(&named)?, who.actor).await?;
    Ok(StatusCode::NO_CONTENT)
}
