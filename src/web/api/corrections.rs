//! What people say of the grouping, and what was learned from it.

use std::{fmt::Display, str::FromStr};

use axum::{
    Json as Answer,
    extract::State,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{incident_id, incidents::answer, listing, objects::IncidentObject};
use crate::{
    model::*,
    web::{
        auth::{Responder, Viewer},
        error::ApiError,
        extract::{Json, Path},
        state::AppState,
    },
};

/// Ids as a body names them, each wrong one with its place.
fn ids<T: FromStr<Err: Display>>(path: &str, given: &[String]) -> Result<Vec<T>, ApiError> {
    let read =
        |(n, id): (usize, &String)| id.parse().map_err(|e| ApiError::invalid(format!("{path}/{n}"), format!("{e}")));
    given.iter().enumerate().map(read).collect()
}

/// Which incidents become part of this one.
#[derive(Debug, Deserialize, ToSchema)]
pub struct Merge {
    /// 1 to 100 open incidents.
    incident_ids: Vec<String>,
}

/// Merges incidents into this one, all or none. Each can be brought back.
#[utoipa::path(post, path = "/api/incidents/{id}/merge", tag = "incidents", operation_id = "incident_merge", request_body = Merge,
    params(("id" = String, Path)), responses((status = 200, body = IncidentObject),
        (status = 409, description = "one of them is not open"), (status = 422, description = "one of them is not there")))]
pub async fn merge(
    who: Responder,
    State(state): State<AppState>,
    Path(id): Path<String>,
    Json(body): Json<Merge>,
) -> Result<Answer<IncidentObject>, ApiError> {
    let id = incident_id(&id)?;
    state.store.merge_incidents(id, ids("/incident_ids", &body.incident_ids)?, who.actor).await?;
    answer(&state, id).await
}

/// Takes a merged incident out again: it is what it was, with what has happened to its alerts since.
#[utoipa::path(post, path = "/api/incidents/{id}/unmerge", tag = "incidents", operation_id = "incident_unmerge",
    params(("id" = String, Path, description = "the one that was merged into another")),
    responses((status = 200, body = IncidentObject), (status = 409, description = "it is not merged, or none of its alerts is left in it")))]
pub async fn unmerge(
    who: Responder,
    State(state): State<AppState>,
    Path(id): Path<String>,
) -> Result<Answer<IncidentObject>, ApiError> {
    let id = incident_id(&id)?;
    state.store.unmerge(id, who.actor).await?;
    answer(&state, id).await
}

/// Which alerts become an incident of their own.
#[derive(Debug, Deserialize, ToSchema)]
pub struct Split {
    /// 1 to 1,000 alerts of this incident, not all.
    alert_ids: Vec<String>,
    /// Of the new incident; that of the first alert when left out.
    #[serde(default)]
    title: Option<String>,
}

/// Makes a new incident of some of this one's alerts, or of one; the answer is the new one.
#[utoipa::path(post, path = "/api/incidents/{id}/split", tag = "incidents", operation_id = "incident_split", request_body = Split,
    params(("id" = String, Path)), responses((status = 200, description = "the new incident; `Location` names it", body = IncidentObject),
        (status = 409, description = "it is merged into another"), (status = 422, description = "an alert is not of this incident, or none would stay")))]
pub async fn split(
    who: Responder,
    State(state): State<AppState>,
    Path(id): Path<String>,
    Json(body): Json<Split>,
) -> Result<Response, ApiError> {
    let id = incident_id(&id)?;
    let new = state.store.split(id, ids("/alert_ids", &body.alert_ids)?, body.title, who.actor).await?;
    let mut response = answer(&state, new.id).await?.into_response();
    if let Ok(location) = HeaderValue::from_str(&format!("/api/incidents/{}", new.id)) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
}

/// Which alerts become part of this incident.
#[derive(Debug, Deserialize, ToSchema)]
pub struct Attach {
    /// 1 to 1,000 alerts of other incidents, or of none.
    alert_ids: Vec<String>,
}

/// Puts alerts of other incidents, or of none, into this one. An incident that would be left without alerts is merged into
/// it.
#[utoipa::path(post, path = "/api/incidents/{id}/attach", tag = "incidents", operation_id = "incident_attach", request_body = Attach,
    params(("id" = String, Path)), responses((status = 200, body = IncidentObject), (status = 409, description = "it is not open"),
        (status = 422, description = "an alert is not there, or part of it already")))]
pub async fn attach(
    who: Responder,
    State(state): State<AppState>,
    Path(id): Path<String>,
    Json(body): Json<Attach>,
) -> Result<Answer<IncidentObject>, ApiError> {
    let id = incident_id(&id)?;
    state.store.attach(id, ids("/alert_ids", &body.alert_ids)?, who.actor).await?;
    answer(&state, id).await
}

/// A kind of alert or incident.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct KindObject {
    /// Its service, else its host.
    place: Option<String>,
    /// Its title without numbers and hosts.
    name: String,
}

impl KindObject {
    fn of(side: &Side) -> Self {
        Self { place: side.place.clone(), name: side.name.clone() }
    }
}

/// What people's corrections taught of a kind of alert and a kind of incident.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct LessonObject {
    /// Its name.
    id: String,
    /// The alerts.
    alert: KindObject,
    /// The incidents.
    incident: KindObject,
    /// Corrections that put them together.
    joined: u32,
    /// Corrections that took them apart.
    parted: u32,
    /// The latest.
    last_at: Time,
    /// By whom.
    last_by: String,
    /// `join` or `apart` once it was confirmed often enough; nothing until then.
    verdict: Option<&'static str>,
}

impl LessonObject {
    fn of(lesson: &Lesson) -> Self {
        Self {
            id: lesson.id(),
            alert: KindObject::of(&lesson.alert),
            incident: KindObject::of(&lesson.incident),
            joined: lesson.joined,
            parted: lesson.parted,
            last_at: lesson.last_at,
            last_by: lesson.last_by.clone(),
            verdict: lesson.learned().map(|v| match v {
                Learned::Join => "join",
                Learned::Apart => "apart",
            }),
        }
    }
}

listing! {
    /// Lessons, the latest confirmed first.
    Lessons { lessons: LessonObject }
}

/// What people's corrections taught.
#[utoipa::path(get, path = "/api/lessons", tag = "correlation", operation_id = "lessons_list", responses((status = 200, body = Lessons)))]
pub async fn lessons(_: Viewer, State(state): State<AppState>) -> Result<Answer<Lessons>, ApiError> {
    let all = state.store.read(|view| view.lessons()).await?;
    Ok(Answer(Lessons::all(all.iter().map(LessonObject::of).collect())))
}

/// Forgets a lesson: the next such alert is placed as if nobody had said anything.
#[utoipa::path(delete, path = "/api/lessons/{lesson}", tag = "correlation", operation_id = "lesson_forget",
    params(("lesson" = String, Path)), responses((status = 204)))]
pub async fn forget(
    who: Responder,
    State(state): State<AppState>,
    Path(lesson): Path<String>,
) -> Result<StatusCode, ApiError> {
    state.store.forget_lesson(lesson, who.actor).await?;
    Ok(StatusCode::NO_CONTENT)
}
