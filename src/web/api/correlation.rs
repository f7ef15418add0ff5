//! How alerts are grouped: what holds, and what people set.

use std::time::Duration;

use axum::{Json as Answer, extract::State, http::StatusCode};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::incidents::given;
use crate::{
    config::options::correlation_mode,
    model::*,
    store::Policy,
    web::{
        auth::{Admin, Viewer},
        error::ApiError,
        extract::Json,
        state::AppState,
    },
};

/// The longest window, in seconds.
pub const MOST_WINDOW: u32 = 3_600;
/// The longest time of reopening, in seconds.
pub const MOST_REOPEN: u32 = 7 * 86_400;

/// How alerts are grouped.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct CorrelationObject {
    /// How alerts are grouped.
    pub mode: CorrelationMode,
    /// An alert within this many seconds of an incident's start belongs to it (`time_cluster`).
    pub cluster_window_secs: u32,
    /// An alert that fires again within this many seconds of its end reopens its incident.
    pub reopen_within_secs: u32,
    /// Keys that the configuration fixes; they cannot be changed here.
    pub fixed: Vec<String>,
    /// What people set, and what was set before; none when nobody has.
    pub set: Option<CorrelationSet>,
}

impl CorrelationObject {
    /// Of what is configured and what was set.
    pub fn of(configured: &Policy, set: Option<CorrelationSet>) -> Self {
        let policy = configured.with(&set.as_ref().map(|s| s.settings).unwrap_or_default());
        let secs = |d: Duration| u32::try_from(d.as_secs()).unwrap_or(u32::MAX);
        Self {
            mode: policy.mode,
            cluster_window_secs: secs(policy.cluster_window),
            reopen_within_secs: secs(policy.reopen_within),
            fixed: configured
                .fixed
                .iter()
                .filter(|key| key.starts_with("correlation."))
                .map(|key| (*key).to_owned())
                .collect(),
            set,
        }
    }
}

/// What may be set; what is left out stays, and null is as configured.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
pub struct CorrelationPatch {
    /// How alerts are grouped.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<CorrelationMode>)]
    pub mode: Option<Option<CorrelationMode>>,
    /// 0 to 3,600.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<u32>)]
    pub cluster_window_secs: Option<Option<u32>>,
    /// 0 to 604,800.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<u32>)]
    pub reopen_within_secs: Option<Option<u32>>,
}

/// The settings, when all of them can be taken.
pub fn checked(configured: &Policy, settings: CorrelationSettings) -> Result<CorrelationSettings, ApiError> {
    if let Some(mode) = settings.mode {
        correlation_mode(mode.as_str()).map_err(|e| ApiError::invalid("/mode", e))?;
    }
    for (path, value, most) in [
        ("/cluster_window_secs", settings.cluster_window_secs, MOST_WINDOW),
        ("/reopen_within_secs", settings.reopen_within_secs, MOST_REOPEN),
    ] {
        if value.is_some_and(|v| v > most) {
            return Err(ApiError::invalid(path, format!("0 to {most} seconds are taken")));
        }
    }
    for (key, path, is_set) in [
        ("correlation.mode", "/mode", settings.mode.is_some()),
        ("correlation.cluster_window", "/cluster_window_secs", settings.cluster_window_secs.is_some()),
        ("correlation.reopen_within", "/reopen_within_secs", settings.reopen_within_secs.is_some()),
    ] {
        if is_set && configured.fixed.contains(key) {
            let what = format!("{path}: the configuration fixes `{key}`; change it there");
            return Err(ApiError::new(StatusCode::CONFLICT, "fixed", what));
        }
    }
    Ok(settings)
}

/// How alerts are grouped.
#[utoipa::path(get, path = "/api/correlation", tag = "correlation", operation_id = "correlation_get",
    responses((status = 200, body = CorrelationObject)))]
pub async fn get(_: Viewer, State(state): State<AppState>) -> Result<Answer<CorrelationObject>, ApiError> {
    let set = state.store.read(|view| view.correlation()).await?;
    Ok(Answer(CorrelationObject::of(state.backtests.configured(), set)))
}

/// Sets how alerts are grouped; in force from the next delivery on.
#[utoipa::path(patch, path = "/api/correlation", tag = "correlation", operation_id = "correlation_patch", request_body = CorrelationPatch,
    responses((status = 200, body = CorrelationObject), (status = 409, description = "the configuration fixes it")))]
pub async fn patch(
    who: Admin,
    State(state): State<AppState>,
    Json(patch): Json<CorrelationPatch>,
) -> Result<Answer<CorrelationObject>, ApiError> {
    let before = state.store.read(|view| view.correlation()).await?.map(|s| s.settings).unwrap_or_default();
    let configured = state.backtests.configured();
    // Only what is asked for now is looked at: what was set before a line of the configuration fixed it may stay.
    let asked = CorrelationSettings {
        mode: patch.mode.flatten(),
        cluster_window_secs: patch.cluster_window_secs.flatten(),
        reopen_within_secs: patch.reopen_within_secs.flatten(),
    };
    checked(configured, asked)?;
    let settings = CorrelationSettings {
        mode: patch.mode.unwrap_or(before.mode),
        cluster_window_secs: patch.cluster_window_secs.unwrap_or(before.cluster_window_secs),
        reopen_within_secs: patch.reopen_within_secs.unwrap_or(before.reopen_within_secs),
    };
    let set = state.store.set_correlation(settings, who.actor).await?;
    Ok(Answer(CorrelationObject::of(configured, Some(set))))
}
