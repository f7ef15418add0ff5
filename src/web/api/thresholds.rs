//! Grouping thresholds: alerts that open an incident only when enough of them come.

use axum::{
    Json as Answer,
    extract::State,
    http::{HeaderName, StatusCode, header},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    incidents::given,
    listing,
    mutes::{Caught, Try, caught},
};
use crate::{
    model::*,
    store::{NewThreshold, StoreError, ThresholdPatch, View},
    web::{
        auth::{Responder, Viewer},
        error::ApiError,
        extract::{Json, Path},
        state::AppState,
    },
};

/// A threshold.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct ThresholdObject {
    /// `T-2`.
    id: ThresholdId,
    /// Which alerts wait: those that fit all of these.
    matchers: Vec<Matcher>,
    /// Reached when so many were received, repeats included.
    count: Option<u32>,
    /// Reached when so many different ones were received.
    distinct: Option<u32>,
    /// What makes them different.
    distinct_by: DistinctBy,
    /// Within so many minutes.
    within_minutes: u32,
    /// Who made it.
    author: String,
    /// What for.
    reason: String,
    /// When it was made.
    created_at: Time,
    /// When a person last changed it.
    updated_at: Time,
    /// How far it is now: `2 of 5`.
    progress: String,
    /// The alerts that wait now, oldest first.
    waiting: Vec<AlertId>,
    /// How often it was reached.
    reached: u64,
    /// When it last was.
    reached_at: Option<Time>,
    /// The incident of that time. While it is open, nothing waits.
    incident_id: Option<IncidentId>,
    /// Alerts that ever waited.
    held: u64,
    /// Alerts that waited in vain: they stay stored, without an incident.
    passed: u64,
}

listing! {
    /// Thresholds, newest first.
    Thresholds { thresholds: ThresholdObject }
}

impl ThresholdObject {
    fn of(view: &View, t: Threshold, now: Time) -> Result<Self, StoreError> {
        Ok(Self {
            progress: view.threshold_progress(t.id, now)?.unwrap_or_default(),
            waiting: view.waiting_for(t.id)?.iter().map(|a| a.id).collect(),
            id: t.id,
            matchers: t.matchers,
            count: t.count,
            distinct: t.distinct,
            distinct_by: t.distinct_by,
            within_minutes: t.within_minutes,
            author: t.author,
            reason: t.reason,
            created_at: t.created_at,
            updated_at: t.updated_at,
            reached: t.reached,
            reached_at: t.reached_at,
            incident_id: t.incident,
            held: t.held,
            passed: t.passed,
        })
    }
}

fn by_fingerprint() -> DistinctBy {
    DistinctBy::Fingerprint
}

/// A threshold to be made.
#[derive(Debug, Deserialize, ToSchema)]
pub struct MakeThreshold {
    /// Which alerts wait: those that fit all of these.
    matchers: Vec<Matcher>,
    /// Reached when so many were received, repeats included. One of `count` and `distinct` is needed.
    #[serde(default)]
    count: Option<u32>,
    /// Reached when so many different ones were received.
    #[serde(default)]
    distinct: Option<u32>,
    /// What makes them different.
    #[serde(default = "by_fingerprint")]
    distinct_by: DistinctBy,
    /// Within so many minutes.
    within_minutes: u32,
    /// What for.
    #[serde(default)]
    reason: String,
}

/// What is changed of one.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default)]
pub struct ChangeThreshold {
    /// Which alerts wait.
    matchers: Option<Vec<Matcher>>,
    /// Null for none.
    #[serde(deserialize_with = "given")]
    #[schema(value_type = Option<u32>)]
    count: Option<Option<u32>>,
    /// Null for none.
    #[serde(deserialize_with = "given")]
    #[schema(value_type = Option<u32>)]
    distinct: Option<Option<u32>>,
    /// What makes them different.
    distinct_by: Option<DistinctBy>,
    /// Within so many minutes.
    within_minutes: Option<u32>,
    /// What for.
    reason: Option<String>,
}

/// `T-2` or `2`.
fn id(text: &str) -> Result<ThresholdId, ApiError> {
    let bare = text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok()).flatten();
    let id = bare.map(ThresholdId).or_else(|| text.parse().ok());
    id.ok_or_else(|| ApiError::not_found(format!("threshold `{}`", text.chars().take(60).collect::<String>())))
}

async fn one(state: &AppState, id: ThresholdId) -> Result<ThresholdObject, ApiError> {
    let now = state.clock.now();
    let found = state.store.read(move |view| {
        let found = view.threshold(id)?;
        found.map(|t| ThresholdObject::of(view, t, now)).transpose()
    });
    found.await?.ok_or_else(|| ApiError::not_found(format!("threshold {id}")))
}

/// All of them, newest first.
#[utoipa::path(get, path = "/api/thresholds", tag = "thresholds", operation_id = "thresholds_list",
    responses((status = 200, body = Thresholds)))]
pub async fn list(_: Viewer, State(state): State<AppState>) -> Result<Answer<Thresholds>, ApiError> {
    let now = state.clock.now();
    let rows = state.store.read(move |view| {
        let rows = view.thresholds()?.into_iter().map(|t| ThresholdObject::of(view, t, now));
        rows.collect::<Result<Vec<_>, _>>()
    });
    Ok(Answer(Thresholds::all(rows.await?)))
}

/// Makes one: alerts that come from now on wait for it.
#[utoipa::path(post, path = "/api/thresholds", tag = "thresholds", operation_id = "threshold_make", request_body = MakeThreshold,
    responses((status = 201, body = ThresholdObject), (status = 422, description = "every mistake with its place")))]
pub async fn make(
    who: Responder,
    State(state): State<AppState>,
    Json(made): Json<MakeThreshold>,
) -> Result<(StatusCode, [(HeaderName, String); 1], Answer<ThresholdObject>), ApiError> {
    let MakeThreshold { matchers, count, distinct, distinct_by, within_minutes, reason } = made;
    let new = NewThreshold { matchers, count, distinct, distinct_by, within_minutes, reason };
    let made = state.store.make_threshold(new, who.actor).await?;
    let location = [(header::LOCATION, format!("/api/thresholds/{}", made.id))];
    Ok((StatusCode::CREATED, location, Answer(one(&state, made.id).await?)))
}

/// What matchers catch now, and caught in the last seven days. Nothing is changed.
#[utoipa::path(post, path = "/api/thresholds/preview", tag = "thresholds", operation_id = "threshold_preview", request_body = Try,
    responses((status = 200, body = Caught), (status = 422, description = "every mistake with its place")))]
pub async fn preview(
    _: Responder,
    State(state): State<AppState>,
    Json(tried): Json<Try>,
) -> Result<Answer<Caught>, ApiError> {
    caught(&state, tried.matchers).await
}

/// One of them.
#[utoipa::path(get, path = "/api/thresholds/{id}", tag = "thresholds", operation_id = "threshold_get", params(("id" = String, Path)),
    responses((status = 200, body = ThresholdObject)))]
pub async fn get(
    _: Viewer,
    State(state): State<AppState>,
    Path(named): Path<String>,
) -> Result<Answer<ThresholdObject>, ApiError> {
    Ok(Answer(one(&state, id(&named)?).await?))
}

/// Changes one. What waits and now need not opens an incident with this answer.
#[utoipa::path(patch, path = "/api/thresholds/{id}", tag = "thresholds", operation_id = "threshold_change", request_body = ChangeThreshold,
    params(("id" = String, Path)), responses((status = 200, body = ThresholdObject)))]
pub async fn change(
    who: Responder,
    State(state): State<AppState>,
    Path(named): Path<String>,
    Json(c): Json<ChangeThreshold>,
) -> Result<Answer<ThresholdObject>, ApiError> {
    let patch = ThresholdPatch {
        matchers: c.matchers,
        count: c.count,
        distinct: c.distinct,
        distinct_by: c.distinct_by,
        within_minutes: c.within_minutes,
        reason: c.reason,
    };
    let changed = state.store.change_threshold(id(&named)?, patch, who.actor).await?;
    Ok(Answer(one(&state, changed.id).await?))
}

/// Removes one. What waits for it and burns opens an incident.
#[utoipa::path(delete, path = "/api/thresholds/{id}", tag = "thresholds", operation_id = "threshold_remove", params(("id" = String, Path)),
    responses((status = 204)))]
pub async fn remove(
    who: Responder,
    State(state): State<AppState>,
    Path(named): Path<String>,
) -> Result<StatusCode, ApiError> {
    state.store.remove_threshold(id(&named)?, who.actor).await?;
    Ok(StatusCode::NO_CONTENT)
}
