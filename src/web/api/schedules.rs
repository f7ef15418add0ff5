//! Schedules: who is on call when.

use std::time::Duration;

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
    notifications::policy::on_call,
    web::{
        auth::{Admin, Client, Viewer},
        error::ApiError,
        extract::{Json, Path},
        state::AppState,
    },
};

/// How far ahead is looked for who is next.
const AHEAD: Duration = Duration::from_secs(90 * 24 * 3600);

/// Who is on call at a moment, and who is after that.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct OnCallNow {
    /// Which schedule.
    schedule: ScheduleId,
    /// What it is called.
    name: String,
    /// Of which moment this is.
    at: Time,
    /// Who; none when nobody is.
    person: Option<String>,
    /// By an override.
    overridden: bool,
    /// Until when; none when nothing changes within 90 days.
    until: Option<Time>,
    /// Who is next; none when nobody else is within 90 days.
    next: Option<Shift>,
}

impl OnCallNow {
    /// By a schedule.
    pub fn of(schedule: &OnCallSchedule, at: Time) -> Self {
        let end = at.plus(AHEAD);
        let mut shifts = on_call::shifts(schedule, at, end).into_iter();
        let now = shifts.next();
        let person = now.as_ref().and_then(|s| s.person.clone());
        Self {
            schedule: schedule.id,
            name: schedule.name.clone(),
            at,
            overridden: now.as_ref().is_some_and(|s| s.overridden),
            until: now.map(|s| s.until).filter(|until| *until < end),
            next: shifts.find(|s| s.person.is_some() && s.person != person),
            person,
        }
    }
}

/// A schedule.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct ScheduleObject {
    /// `SC-2`.
    id: ScheduleId,
    /// As people call it.
    name: String,
    /// IANA name of its clock.
    time_zone: String,
    /// At a moment the last of these counts that has somebody.
    rotations: Vec<Rotation>,
    /// These come first; of several, the one that was made last.
    overrides: Vec<Override>,
    /// Who is on call now.
    now: OnCallNow,
    /// Where calendar programs read it; whoever has this address may.
    calendar_url: String,
    /// When it was made.
    created_at: Time,
    /// By whom.
    created_by: String,
    /// When a person last changed it.
    updated_at: Time,
}

impl ScheduleObject {
    /// As it is told; `base_url` is our address for others.
    pub fn of(row: OnCallSchedule, base_url: &str, at: Time) -> Self {
        Self {
            now: OnCallNow::of(&row, at),
            calendar_url: format!("{base_url}/api/schedules/{}/calendar.ics?key={}", row.id, row.feed_secret),
            id: row.id,
            name: row.name,
            time_zone: row.time_zone,
            rotations: row.rotations,
            overrides: row.overrides,
            created_at: row.created_at,
            created_by: row.created_by,
            updated_at: row.updated_at,
        }
    }
}

listing! {
    /// Schedules, oldest first.
    Schedules { schedules: ScheduleObject }
}

/// A schedule as people set it. What is left out is as it says here.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct ScheduleBody {
    /// 1 to 100 characters.
    name: String,
    /// IANA name of its clock, such as `Europe/Berlin`; `UTC`.
    time_zone: String,
    /// At a moment the last of these counts that has somebody.
    rotations: Vec<Rotation>,
    /// These come first; of several, the one that was made last.
    overrides: Vec<Override>,
}

impl Default for ScheduleBody {
    fn default() -> Self {
        Self { name: String::new(), time_zone: "UTC".to_owned(), rotations: Vec::new(), overrides: Vec::new() }
    }
}

impl ScheduleBody {
    /// The row, but for what the store keeps of it.
    fn row(self) -> OnCallSchedule {
        OnCallSchedule {
            id: ScheduleId::default(),
            name: self.name,
            time_zone: self.time_zone,
            rotations: self.rotations,
            overrides: self.overrides,
            feed_secret: String::new(),
            created_at: Time::default(),
            created_by: String::new(),
            updated_at: Time::default(),
        }
    }
}

/// `SC-2`.
pub fn id(text: &str) -> Result<ScheduleId, ApiError> {
    text.parse().map_err(|_| ApiError::not_found(format!("schedule `{}`", text.chars().take(60).collect::<String>())))
}

/// The row of a schedule.
pub async fn one(state: &AppState, id: ScheduleId) -> Result<OnCallSchedule, ApiError> {
    let found = state.store.read(move |view| view.schedule(id)).await?;
    found.ok_or_else(|| ApiError::not_found(format!("schedule {id}")))
}

/// As it is told to this client.
pub fn object(state: &AppState, client: &Client, row: OnCallSchedule) -> ScheduleObject {
    ScheduleObject::of(row, &client.base_url(&state.config), state.clock.now())
}

/// Schedules, each with who is on call now.
#[utoipa::path(get, path = "/api/schedules", tag = "notifications", operation_id = "schedules_list",
    responses((status = 200, body = Schedules)))]
pub async fn list(_: Viewer, State(state): State<AppState>, client: Client) -> Result<Answer<Schedules>, ApiError> {
    let rows = state.store.read(|view| Ok(view.telling()?.schedules)).await?;
    Ok(Answer(Schedules::all(rows.into_values().map(|row| object(&state, &client, row)).collect())))
}

/// Makes a schedule.
#[utoipa::path(post, path = "/api/schedules", tag = "notifications", operation_id = "schedule_make", request_body = ScheduleBody,
    responses((status = 201, body = ScheduleObject), (status = 422, description = "every mistake with its place")))]
pub async fn make(
    who: Admin,
    State(state): State<AppState>,
    client: Client,
    Json(new): Json<ScheduleBody>,
) -> Result<(StatusCode, [(HeaderName, String); 1], Answer<ScheduleObject>), ApiError> {
    let made = state.store.put_schedule(None, new.row(), who.actor).await?;
    let location = [(header::LOCATION, format!("/api/schedules/{}", made.id))];
    Ok((StatusCode::CREATED, location, Answer(object(&state, &client, made))))
}

/// One schedule.
#[utoipa::path(get, path = "/api/schedules/{id}", tag = "notifications", operation_id = "schedule_get",
    params(("id" = String, Path)), responses((status = 200, body = ScheduleObject)))]
pub async fn get(
    _: Viewer,
    State(state): State<AppState>,
    client: Client,
    Path(named): Path<String>,
) -> Result<Answer<ScheduleObject>, ApiError> {
    let row = one(&state, id(&named)?).await?;
    Ok(Answer(object(&state, &client, row)))
}

/// Sets all of a schedule.
#[utoipa::path(put, path = "/api/schedules/{id}", tag = "notifications", operation_id = "schedule_put", request_body = ScheduleBody,
    params(("id" = String, Path)), responses((status = 200, body = ScheduleObject), (status = 422, description = "every mistake with its place")))]
pub async fn put(
    who: Admin,
    State(state): State<AppState>,
    client: Client,
    Path(named): Path<String>,
    Json(body): Json<ScheduleBody>,
) -> Result<Answer<ScheduleObject>, ApiError> {
    let changed = state.store.put_schedule(Some(id(&named)?), body.row(), who.actor).await?;
    Ok(Answer(object(&state, &client, changed)))
}

/// Changes some of a schedule; null takes a value back to what it is for a new one.
#[utoipa::path(patch, path = "/api/schedules/{id}", tag = "notifications", operation_id = "schedule_change", request_body = ScheduleBody,
    params(("id" = String, Path)), responses((status = 200, body = ScheduleObject), (status = 422, description = "every mistake with its place")))]
pub async fn change(
    who: Admin,
    State(state): State<AppState>,
    client: Client,
    Path(named): Path<String>,
    Json(patch): Json<Map<String, Value>>,
) -> Result<Answer<ScheduleObject>, ApiError> {
    let b = one(&state, id(&named)?).await?;
    let before = ScheduleBody { name: b.name, time_zone: b.time_zone, rotations: b.rotations, overrides: b.overrides };
    let changed = state.store.put_schedule(Some(b.id), patched(&before, patch)?.row(), who.actor).await?;
    Ok(Answer(object(&state, &client, changed)))
}

/// Removes a schedule that nothing uses.
#[utoipa::path(delete, path = "/api/schedules/{id}", tag = "notifications", operation_id = "schedule_remove",
    params(("id" = String, Path)), responses((status = 204), (status = 409, description = "something uses it")))]
pub async fn remove(
    who: Admin,
    State(state): State<AppState>,
    Path(named): Path<String>,
) -> Result<StatusCode, ApiError> {
    state.store.remove_schedule(id(&named)?, who.actor).await?;
    Ok(StatusCode::NO_CONTENT)
}
