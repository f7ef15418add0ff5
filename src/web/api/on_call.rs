//! Who is on call: now, at a moment, over a span, in calendars; and somebody else for a while.

use std::time::Duration;

use axum::{
    Json as Answer,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    listing,
    params::{Params, wrong},
    schedules::{OnCallNow, ScheduleObject, id, object, one},
};
use crate::{
    model::*,
    notifications::{calendar, policy::on_call},
    web::{
        auth::{Client, Responder, Viewer, identify, secret},
        error::ApiError,
        extract::{Json, Path},
        state::AppState,
    },
};

const DAY: Duration = Duration::from_secs(24 * 3600);
/// The span of shifts that is told when none is asked for, in days.
const USUAL: u32 = 14;
/// The longest span that is told, in days.
const LONGEST: u32 = 400;

listing! {
    /// Every schedule with who is on call.
    OnCall { on_call: OnCallNow }
}

/// Shifts of a schedule.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Shifts {
    /// Which schedule.
    schedule: ScheduleId,
    /// IANA name of its clock.
    time_zone: String,
    /// From when.
    from: Time,
    /// Until when; earlier than asked for where there are more than 2,000 shifts.
    until: Time,
    /// Every shift and gap, in order; the first begins with the span, whenever the shift did.
    shifts: Vec<Shift>,
    /// How many of them are gaps, in which nobody is on call.
    gaps: u64,
    /// How long those are together, in seconds.
    gap_secs: u64,
}

/// Somebody else for a while.
#[derive(Debug, Deserialize, ToSchema)]
pub struct MakeOverride {
    /// Now, when left out.
    #[serde(default)]
    from: Option<Time>,
    /// Until when.
    until: Time,
    /// Who: an account's name.
    person: String,
}

/// Who is on call in every schedule, until when, and who is next.
#[utoipa::path(get, path = "/api/on-call", tag = "notifications", operation_id = "on_call", responses((status = 200, body = OnCall)))]
pub async fn now(_: Viewer, State(state): State<AppState>) -> Result<Answer<OnCall>, ApiError> {
    let now = state.clock.now();
    let rows = state.store.read(|view| Ok(view.telling()?.schedules)).await?;
    Ok(Answer(OnCall::all(rows.values().map(|row| OnCallNow::of(row, now)).collect())))
}

/// Who is on call in a schedule.
#[utoipa::path(get, path = "/api/schedules/{id}/on-call", tag = "notifications", operation_id = "schedule_on_call",
    params(("id" = String, Path), ("at" = Option<String>, Query, description = "RFC 3339; now, when left out")),
    responses((status = 200, body = OnCallNow)))]
pub async fn at(
    _: Viewer,
    State(state): State<AppState>,
    Path(named): Path<String>,
    params: Params,
) -> Result<Answer<OnCallNow>, ApiError> {
    let now = state.clock.now();
    let at = params.time("at", now)?.unwrap_or(now);
    let row = one(&state, id(&named)?).await?;
    Ok(Answer(OnCallNow::of(&row, at)))
}

/// Every shift of a schedule from a moment to another, with its gaps.
#[utoipa::path(get, path = "/api/schedules/{id}/shifts", tag = "notifications", operation_id = "schedule_shifts",
    params(("id" = String, Path), ("from" = Option<String>, Query, description = "RFC 3339; now, when left out"),
        ("until" = Option<String>, Query, description = "RFC 3339, at most 400 days after `from`; 14 days after it, when left out")),
    responses((status = 200, body = Shifts)))]
pub async fn shifts(
    _: Viewer,
    State(state): State<AppState>,
    Path(named): Path<String>,
    params: Params,
) -> Result<Answer<Shifts>, ApiError> {
    let now = state.clock.now();
    let from = params.time("from", now)?.unwrap_or(now);
    let until = params.time("until", now)?.unwrap_or_else(|| from.plus(DAY * USUAL));
    if until <= from || until > from.plus(DAY * LONGEST) {
        return Err(wrong("until", "a time after `from` is needed, at most 400 days"));
    }
    let row = one(&state, id(&named)?).await?;
    let shifts = on_call::shifts(&row, from, until);
    let gaps: Vec<&Shift> = shifts.iter().filter(|s| s.person.is_none()).collect();
    Ok(Answer(Shifts {
        schedule: row.id,
        time_zone: row.time_zone.clone(),
        from,
        until: shifts.last().map_or(until, |s| s.until),
        gaps: u64::try_from(gaps.len()).unwrap_or(u64::MAX),
        gap_secs: gaps.iter().map(|s| s.until.since(s.from).as_secs()).sum(),
        shifts,
    }))
}

/// Puts somebody else on call for a while.
#[utoipa::path(post, path = "/api/schedules/{id}/overrides", tag = "notifications", operation_id = "schedule_override",
    request_body = MakeOverride, params(("id" = String, Path)),
    responses((status = 201, body = ScheduleObject), (status = 422, description = "every mistake with its place")))]
pub async fn make_override(
    who: Responder,
    State(state): State<AppState>,
    client: Client,
    Path(named): Path<String>,
    Json(new): Json<MakeOverride>,
) -> Result<(StatusCode, Answer<ScheduleObject>), ApiError> {
    let from = new.from.unwrap_or_else(|| state.clock.now());
    let new = Override { from, until: new.until, person: new.person, by: String::new() };
    let changed = state.store.override_schedule(id(&named)?, new, who.actor).await?;
    Ok((StatusCode::CREATED, Answer(object(&state, &client, changed))))
}

/// A schedule for calendar programs: they read it with the key of its address and no session.
#[utoipa::path(get, path = "/api/schedules/{id}/calendar.ics", tag = "notifications", operation_id = "schedule_calendar",
    params(("id" = String, Path), ("key" = Option<String>, Query, description = "of `calendar_url`; not needed by who may read")),
    responses((status = 200, body = String, content_type = "text/calendar")),
    security((), ("token" = []), ("session" = [])))]
pub async fn feed(
    State(state): State<AppState>,
    client: Client,
    headers: HeaderMap,
    Path(named): Path<String>,
    params: Params,
) -> Result<Response, ApiError> {
    let key = params.one("key");
    let identity = if key.is_none() { identify(&state, &headers, &client).await? } else { None };
    if key.is_none() && !identity.is_some_and(|i| i.may(Scope::Read)) {
        return Err(ApiError::unauthorized("the key of the schedule's `calendar_url` is needed: `?key=…`"));
    }
    let unknown = || ApiError::not_found("such calendar, or its key is another one");
    let schedule = id(&named).map_err(|_| unknown())?;
    let row = state.store.read(move |view| view.schedule(schedule)).await?.ok_or_else(unknown)?;
    let right = |key: &str| secret::same(&secret::digest(key), &secret::digest(&row.feed_secret));
    if !key.is_none_or(right) {
        return Err(unknown());
    }
    let text = calendar::of(&row, state.clock.now());
    let headers = [
        (header::CONTENT_TYPE, "text/calendar; charset=utf-8".to_owned()),
        (header::CONTENT_DISPOSITION, format!("inline; filename=\"{}.ics\"", row.id)),
    ];
    Ok((headers, text).into_response())
}
