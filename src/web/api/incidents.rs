//! Incidents: lists, the whole object, and what people do with them.

use axum::{
    extract::{Request, State},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Deserializer};
use utoipa::ToSchema;

use super::{
    idempotency_key, incident_id, listing,
    objects::*,
    params::{Params, wrong},
};
use crate::{
    connectors,
    ingest::declare::NewIncident,
    model::*,
    query::Sort,
    search::Search,
    store::{GivenCause, IncidentFilter, IncidentPatch, Listing, Resolution, SeenBefore, StoreError, View},
    web::{
        auth::{Identity, Responder, Viewer, secret},
        error::{ApiError, FieldError},
        extract::{Json, OptionalJson, Path, parse_json, read_body},
        prefer, query,
        state::AppState,
    },
};

listing! {
    /// Incidents.
    Incidents { incidents: IncidentRow }
}
// Other orders than by id are made in memory, of the newest that match.
const SORTED_AT_MOST: usize = 1000;

/// The filter of a list: parameters and `q` together.
pub(super) fn filter(params: &Params, identity: &Identity, now: Time) -> Result<IncidentFilter, ApiError> {
    let me = identity.name();
    let owner = |o: String| if o == "me" { me.clone() } else { o };
    let mut filter = IncidentFilter {
        statuses: query::values("status", &params.all("status"))?,
        severities: query::values("severity", &params.all("severity"))?,
        sources: params.words("source"),
        services: params.words("service"),
        hosts: params.words("host"),
        owners: params.words("owner").into_iter().map(owner).collect(),
        since: params.time("since", now)?,
        until: params.time("until", now)?,
        ..IncidentFilter::default()
    };
    query::incidents(params.one("q").unwrap_or_default(), query::Asker { now, me: Some(&me) }, &mut filter)?;
    Ok(filter)
}

/// Incidents, newest first; merged ones only when asked for.
#[utoipa::path(get, path = "/api/incidents", tag = "incidents", operation_id = "incidents_list",
    params(("q" = Option<String>, Query, description = "words, and `field:value` terms"), ("status" = Option<String>, Query),
        ("severity" = Option<String>, Query), ("source" = Option<String>, Query), ("service" = Option<String>, Query),
        ("owner" = Option<String>, Query, description = "a name, `me` or `none`"), ("since" = Option<String>, Query), ("until" = Option<String>, Query),
        ("sort" = Option<String>, Query, description = "-id, -started, -severity, -alerts, -updated or triage; all but -id order the newest thousand"),
        ("limit" = Option<usize>, Query), ("cursor" = Option<String>, Query)),
    responses((status = 200, body = Incidents)))]
pub async fn list(
    viewer: Viewer,
    State(state): State<AppState>,
    params: Params,
) -> Result<axum::Json<Incidents>, ApiError> {
    let filter = filter(&params, &viewer.identity, state.clock.now())?;
    let (cursor, limit) = (params.cursor()?, params.limit()?);
    let sort: Sort = match params.one("sort").map(str::parse) {
        None => Sort::Newest,
        Some(Ok(sort)) => sort,
        Some(Err(_)) => return Err(wrong("sort", &format!("one of {} is needed", Sort::WORDS.join(", ")))),
    };
    let search = state.search.clone();
    let listing = if sort == Sort::Newest {
        state.store.read(move |view| search.incidents(view, &filter, cursor, limit)).await?
    } else {
        state.store.read(move |view| sorted(view, &search, &filter, sort, cursor, limit)).await?
    };
    Ok(axum::Json(Incidents::of(listing, IncidentRow::of)))
}

fn sorted(
    view: &View,
    search: &Search,
    filter: &IncidentFilter,
    sort: Sort,
    cursor: Option<u64>,
    limit: usize,
) -> Result<Listing<Incident>, StoreError> {
    let mut all = search.incidents(view, filter, None, SORTED_AT_MOST)?;
    all.items.sort_by(|a, b| sort.compare(a, b));
    let skip = usize::try_from(cursor.unwrap_or(0)).unwrap_or(usize::MAX);
    let found = all.items.len();
    let items: Vec<Incident> = std::mem::take(&mut all.items).into_iter().skip(skip).take(limit).collect();
    let seen = skip.saturating_add(items.len());
    let next = (seen < found).then(|| u64::try_from(seen).unwrap_or(u64::MAX));
    Ok(Listing { items, next, ..all })
}

/// Everything about an incident; none when there is none.
pub(super) fn whole(view: &View, search: &Search, id: IncidentId) -> Result<Option<IncidentObject>, StoreError> {
    let Some(incident) = view.incident(id)? else { return Ok(None) };
    let answer = view.investigation(id)?;
    Ok(Some(IncidentObject {
        row: IncidentRow::of(&incident),
        muted_by: MutedBy::all(view, &incident)?,
        causes: answer.causes,
        opinion: answer.opinion,
        recorded: answer.recorded,
        alerts: view.members(id, 100)?.iter().map(|(m, a)| MemberObject::of(a, Some(m))).collect(),
        thoughts: view.thoughts(id)?,
        evidence: answer.evidence,
        suggestions: answer.suggestions,
        timeline: view.timeline(id, None, 100)?,
        similar: search.earlier(view, &incident, SimilarObject::MOST)?.into_iter().map(SimilarObject::of).collect(),
    }))
}

pub(super) async fn answer(state: &AppState, id: IncidentId) -> Result<axum::Json<IncidentObject>, ApiError> {
    let search = state.search.clone();
    let found = state.store.read(move |view| whole(view, &search, id)).await?;
    found.map(axum::Json).ok_or_else(|| ApiError::not_found(id))
}

/// One incident with everything in it.
#[utoipa::path(get, path = "/api/incidents/{id}", tag = "incidents", operation_id = "incident_get",
    params(("id" = String, Path, description = "`INC-42` or `42`")), responses((status = 200, body = IncidentObject)))]
pub async fn get(
    _: Viewer,
    State(state): State<AppState>,
    Path(id): Path<String>,
) -> Result<axum::Json<IncidentObject>, ApiError> {
    answer(&state, incident_id(&id)?).await
}

/// Declares an incident by hand.
#[utoipa::path(post, path = "/api/incidents", tag = "incidents", operation_id = "incident_declare", request_body = NewIncident,
    params(("Idempotency-Key" = Option<String>, Header, description = "a retry with the same key changes nothing")),
    responses((status = 201, body = IncidentObject), (status = 200, description = "it was open already", body = IncidentObject)))]
pub async fn declare(who: Responder, State(state): State<AppState>, request: Request) -> Result<Response, ApiError> {
    let (parts, body) = request.into_parts();
    let retry = idempotency_key(&parts.headers);
    let bytes = read_body(body, state.config.max_body).await?;
    let new: NewIncident = parse_json(&bytes)?;
    // A retry must have the key that its first try had, or it would open another one.
    let unique = match &retry {
        Some(key) => format!("{}:{key}", who.actor),
        None => secret::random::<16>().map_err(|_| ApiError::internal())?,
    };
    let signal = new.signal(&unique, &who.actor).map_err(all_wrong)?;
    let parsed = Parsed { signals: vec![signal], ..Parsed::default() };
    let stored = state.door().declare("manual", parsed, bytes.to_vec(), retry.as_deref(), &who.actor).await?;
    state.shared.metrics.delivery("manual", "accepted");
    let applied = crate::web::applied(&state, stored.seq, prefer::LONGEST).await?;
    let Some((id, new)) = applied.and_then(|a| a.first().and_then(|a| Some((a.incident_id?, a.new_incident)))) else {
        let what = "the incident is stored, but not applied yet; it appears by itself";
        return Err(ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "not_applied_yet", what).retry_after(5));
    };
    let status = if new { StatusCode::CREATED } else { StatusCode::OK };
    let mut response = (status, answer(&state, id).await?).into_response();
    if let Ok(location) = HeaderValue::from_str(&format!("/api/incidents/{id}")) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
}

/// 422 with every wrong field.
pub(super) fn all_wrong(wrong: Vec<crate::ingest::declare::Wrong>) -> ApiError {
    let errors: Vec<FieldError> = wrong.into_iter().map(|(path, message)| FieldError::new(path, message)).collect();
    let detail = errors.iter().map(|e| format!("{}: {}", e.path, e.message)).collect::<Vec<_>>().join("; ");
    ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", detail).with_errors(errors)
}

/// What may be changed at once; what is left out stays.
#[derive(Debug, Default, Deserialize, ToSchema)]
pub struct Patch {
    /// Where the lifecycle allows it.
    status: Option<IncidentStatus>,
    /// Holds against what alerts say; null gives it back to them.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<Severity>)]
    severity: Option<Option<Severity>>,
    /// Why it has another severity.
    reason: Option<String>,
    /// 1 to 500 characters.
    title: Option<String>,
    /// A name; null gives it back to nobody.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    owner: Option<Option<String>>,
    /// A service; null clears it.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    service: Option<Option<String>>,
}

// Tells null from left out.
pub(super) fn given<'de, D: Deserializer<'de>, T: Deserialize<'de>>(d: D) -> Result<Option<Option<T>>, D::Error> {
    Option::<T>::deserialize(d).map(Some)
}

/// Changes fields.
#[utoipa::path(patch, path = "/api/incidents/{id}", tag = "incidents", operation_id = "incident_patch", request_body = Patch,
    params(("id" = String, Path)), responses((status = 200, body = IncidentObject), (status = 409, description = "the lifecycle does not allow it; `errors` has what it allows")))]
pub async fn patch(
    who: Responder,
    State(state): State<AppState>,
    Path(id): Path<String>,
    Json(patch): Json<Patch>,
) -> Result<axum::Json<IncidentObject>, ApiError> {
    let id = incident_id(&id)?;
    let patch = IncidentPatch {
        status: patch.status,
        severity: patch.severity,
        reason: patch.reason,
        seen: SeenBefore::default(),
        // One more than is taken, so that what is too long is still refused as such.
        title: patch.title.map(|t| connectors::line(&t, 501)),
        owner: patch.owner.map(|o| o.map(|o| if o == "me" { who.identity.name() } else { o })),
        service: patch.service.map(|s| s.map(|s| connectors::line(&s, 256)).filter(|s| !s.is_empty())),
    };
    state.store.patch_incident(id, patch, who.actor).await?;
    answer(&state, id).await
}

macro_rules! action {
    ($(#[$meta:meta])* $name:ident, $path:literal, $id:literal, $command:ident) => {
        $(#[$meta])*
        #[utoipa::path(post, path = $path, tag = "incidents", operation_id = $id, params(("id" = String, Path)),
            responses((status = 200, body = IncidentObject), (status = 409, description = "its state does not allow it")))]
        pub async fn $name(
            who: Responder,
            State(state): State<AppState>,
            Path(id): Path<String>,
        ) -> Result<axum::Json<IncidentObject>, ApiError> {
            let id = incident_id(&id)?;
            state.store.$command(id, who.actor).await?;
            answer(&state, id).await
        }
    };
}
action!(
    /// Takes it.
    acknowledge, "/api/incidents/{id}/acknowledge", "incident_acknowledge", acknowledge);
action!(
    /// Gives it back.
    unacknowledge, "/api/incidents/{id}/unacknowledge", "incident_unacknowledge", unacknowledge);
action!(
    /// Opens a resolved one again.
    reopen, "/api/incidents/{id}/reopen", "incident_reopen", reopen);
action!(
    /// Asks for an investigation.
    investigate, "/api/incidents/{id}/investigate", "incident_investigate", investigate);
action!(
    /// Stops its investigation.
    cancel_investigation, "/api/incidents/{id}/cancel-investigation", "incident_cancel_investigation", cancel_investigation);

action!(
    /// Ends its snooze before the time.
    wake, "/api/incidents/{id}/wake", "incident_wake", wake);

/// How long it can wait: one of both.
#[derive(Debug, Default, Deserialize, ToSchema)]
pub struct Wait {
    /// Until when; within 31 days.
    until: Option<Time>,
    /// For how many minutes from now.
    minutes: Option<u32>,
}

/// Makes it quiet until a time: it calls for nobody until then, until it gets worse or until somebody wakes it.
#[utoipa::path(post, path = "/api/incidents/{id}/snooze", tag = "incidents", operation_id = "incident_snooze", request_body = Wait,
    params(("id" = String, Path)), responses((status = 200, body = IncidentObject), (status = 409, description = "it is not open")))]
pub async fn snooze(
    who: Responder,
    State(state): State<AppState>,
    Path(id): Path<String>,
    Json(body): Json<Wait>,
) -> Result<axum::Json<IncidentObject>, ApiError> {
    let id = incident_id(&id)?;
    let minutes = |m: u32| state.clock.now().plus(std::time::Duration::from_secs(u64::from(m) * 60));
    let until = match (body.until, body.minutes) {
        (Some(until), None) => until,
        (None, Some(m)) => minutes(m),
        _ => return Err(ApiError::invalid("/until", "either `until` or `minutes` is needed")),
    };
    state.store.snooze(id, until, who.actor).await?;
    answer(&state, id).await
}

/// Why it is over.
#[derive(Debug, Default, Deserialize, ToSchema)]
pub struct Resolve {
    /// In one sentence.
    reason: Option<String>,
    /// The same under the name that the incident has it by; `reason` counts where both are given.
    resolution: Option<String>,
    /// What it was.
    cause: Option<NamedCause>,
}

/// A cause as a person names it; a service or a host is needed.
#[derive(Debug, Default, Deserialize, ToSchema)]
pub struct NamedCause {
    /// The service at fault.
    service: Option<String>,
    /// The machine at fault.
    host: Option<String>,
    /// What was wrong with it.
    symptom: Option<Symptom>,
}

/// Ends it and closes its alerts; with a cause, records that as well.
#[utoipa::path(post, path = "/api/incidents/{id}/resolve", tag = "incidents", operation_id = "incident_resolve", request_body = Option<Resolve>,
    params(("id" = String, Path)), responses((status = 200, body = IncidentObject), (status = 409, description = "its state does not allow it")))]
pub async fn resolve(
    who: Responder,
    State(state): State<AppState>,
    Path(id): Path<String>,
    OptionalJson(body): OptionalJson<Resolve>,
) -> Result<axum::Json<IncidentObject>, ApiError> {
    let id = incident_id(&id)?;
    let text = |t: Option<String>| t.map(|t| t.trim().to_owned()).filter(|t| !t.is_empty());
    let reason = text(body.reason).or(text(body.resolution));
    let cause = body.cause.map(|c| GivenCause::Named {
        // One more than is taken, so that what is too long is still refused as such.
        service: c.service.map(|s| connectors::line(&s, 256)),
        host: c.host.map(|h| connectors::line(&h, 256)),
        symptom: c.symptom,
    });
    state.store.resolve_with(id, Resolution { reason, cause }, who.actor).await?;
    answer(&state, id).await
}

/// A line for the timeline.
#[derive(Debug, Deserialize, ToSchema)]
pub struct Comment {
    /// 1 to 10,000 characters.
    text: String,
}

/// Writes a comment.
#[utoipa::path(post, path = "/api/incidents/{id}/comment", tag = "incidents", operation_id = "incident_comment", request_body = Comment,
    params(("id" = String, Path)), responses((status = 200, body = IncidentObject)))]
pub async fn comment(
    who: Responder,
    State(state): State<AppState>,
    Path(id): Path<String>,
    Json(body): Json<Comment>,
) -> Result<axum::Json<IncidentObject>, ApiError> {
    let id = incident_id(&id)?;
    let text = body.text.trim();
    if text.is_empty() || text.chars().count() > 10_000 {
        return Err(ApiError::invalid("/text", "1 to 10,000 characters are taken"));
    }
    state.store.comment(id, text.to_owned(), who.actor).await?;
    answer(&state, id).await
}
