//! Silences and maintenance windows: the same in two lists. A silence is made in the middle of trouble, a window is planned
//! and can come back.

use std::collections::BTreeMap;

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
    params::{Params, wrong},
};
use crate::{
    model::*,
    store::{CommandError, MutePatch, NewMute, Preview, Stale},
    web::{
        auth::{Responder, Viewer},
        error::ApiError,
        extract::{Json, Path},
        state::AppState,
    },
};

/// A silence or maintenance window.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct MuteObject {
    /// `S-4`, `M-5`.
    id: MuteId,
    /// Which kind.
    kind: MuteKind,
    /// Where it stands.
    state: MuteState,
    /// What it mutes: alerts that fit all of these.
    matchers: Vec<Matcher>,
    /// From when.
    starts_at: Time,
    /// Until when; none for a window that comes back without end.
    ends_at: Option<Time>,
    /// Until when it mutes this time; none while it does not.
    active_until: Option<Time>,
    /// Ends so many minutes after the last alert that it mutes has resolved, if that is earlier.
    quiet_minutes: Option<u32>,
    /// Comes back.
    recurrence: Option<Recurrence>,
    /// Who made it.
    author: String,
    /// What for.
    reason: String,
    /// When it was made.
    created_at: Time,
    /// When a person last changed it.
    updated_at: Time,
    /// Who did.
    updated_by: Option<String>,
    /// When it ended for good.
    ended_at: Option<Time>,
    /// How it ended.
    ended_how: Option<String>,
    /// Open alerts that it mutes now.
    muted_now: u64,
    /// Alerts that it ever muted.
    muted_alerts: u64,
    /// Incidents of which it ever muted an alert.
    muted_incidents: u64,
    /// When it last muted another one.
    last_matched_at: Option<Time>,
    /// It ends within minutes, and alerts that it mutes still burn.
    ends_soon: bool,
    /// Why it can probably go.
    stale: Option<String>,
}

/// Why a mute can probably go, in a sentence.
pub fn stale_words(why: &Stale) -> String {
    match why {
        Stale::NothingSince(at) => format!("It has muted nothing since {at}."),
        Stale::NeverHad(matcher) => format!("No alert that is known ever fitted {matcher}."),
    }
}

impl MuteObject {
    fn of(m: Mute, stale: Option<&Stale>, now: Time) -> Self {
        Self {
            ends_soon: m.ends_soon(now),
            stale: stale.map(stale_words),
            id: m.id,
            kind: m.id.kind,
            state: m.state(),
            matchers: m.matchers,
            starts_at: m.starts_at,
            ends_at: m.ends_at,
            active_until: m.on_until,
            quiet_minutes: m.quiet_minutes,
            recurrence: m.recurrence,
            author: m.author,
            reason: m.reason,
            created_at: m.created_at,
            updated_at: m.updated_at,
            updated_by: m.updated_by,
            ended_at: m.ended_at,
            ended_how: m.ended_how,
            muted_now: m.muted_now,
            muted_alerts: m.muted_alerts,
            muted_incidents: m.muted_incidents,
            last_matched_at: m.last_matched_at,
        }
    }
}

listing! {
    /// Silences, newest first.
    Silences { silences: MuteObject }
}
listing! {
    /// Maintenance windows, newest first.
    Windows { maintenance: MuteObject }
}

/// A silence or maintenance window to be made.
#[derive(Debug, Deserialize, ToSchema)]
pub struct Make {
    /// What it mutes: alerts that fit all of these.
    matchers: Vec<Matcher>,
    /// Now, when left out.
    #[serde(default)]
    starts_at: Option<Time>,
    /// Needed, but for a window that comes back.
    #[serde(default)]
    ends_at: Option<Time>,
    /// Ends so many minutes after the last alert that it mutes has resolved, if that is earlier.
    #[serde(default)]
    quiet_minutes: Option<u32>,
    /// For maintenance windows.
    #[serde(default)]
    recurrence: Option<Recurrence>,
    /// What for.
    #[serde(default)]
    reason: String,
}

/// What is changed of one.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default)]
pub struct ChangeMute {
    /// What it mutes.
    matchers: Option<Vec<Matcher>>,
    /// Only of one that has not begun.
    starts_at: Option<Time>,
    /// Its end; null for a window that comes back without end.
    #[serde(deserialize_with = "given")]
    #[schema(value_type = Option<String>, format = DateTime)]
    ends_at: Option<Option<Time>>,
    /// Its end so many minutes later than it is.
    extend_minutes: Option<u32>,
    /// Null for none.
    #[serde(deserialize_with = "given")]
    #[schema(value_type = Option<u32>)]
    quiet_minutes: Option<Option<u32>>,
    /// Null for none.
    #[serde(deserialize_with = "given")]
    #[schema(value_type = Option<Recurrence>)]
    recurrence: Option<Option<Recurrence>>,
    /// What for.
    reason: Option<String>,
}

/// Matchers to try.
#[derive(Debug, Deserialize, ToSchema)]
pub struct Try {
    /// Alerts that fit all of these.
    pub(super) matchers: Vec<Matcher>,
}

/// An alert that would be caught.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct CaughtAlert {
    alert_id: AlertId,
    title: String,
    service: Option<String>,
    host: Option<String>,
    severity: Severity,
    platform: String,
    incident_id: Option<IncidentId>,
}

/// An incident that would lose alerts.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct CaughtIncident {
    incident_id: IncidentId,
    title: String,
    severity: Severity,
    /// Open alerts of it that would be caught.
    alerts: u64,
    /// Its open alerts.
    firing_count: u64,
}

/// What matchers catch. Nothing is changed.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Caught {
    /// Open alerts, now.
    open_alerts: u64,
    /// Incidents that they are in.
    open_incidents: u64,
    /// Of those the incidents of which no other alert burns: they would call for nobody.
    muted_incidents: u64,
    /// Alerts last seen in the last seven days.
    week_alerts: u64,
    /// Incidents that they are in.
    week_incidents: u64,
    /// Whether all alerts of the seven days were looked at.
    week_is_exact: bool,
    /// The newest ten of the open ones.
    alerts: Vec<CaughtAlert>,
    /// The newest ten of the incidents.
    incidents: Vec<CaughtIncident>,
}

impl From<Preview> for Caught {
    fn from(p: Preview) -> Self {
        let alert = |a: Alert| CaughtAlert {
            alert_id: a.id,
            title: a.title,
            service: a.service,
            host: a.host,
            severity: a.severity,
            platform: a.platform,
            incident_id: a.incident,
        };
        let incident = |(i, alerts): (Incident, u64)| CaughtIncident {
            incident_id: i.id,
            title: i.title,
            severity: i.severity,
            alerts,
            firing_count: i.firing_count,
        };
        Self {
            open_alerts: p.open_alerts,
            open_incidents: p.open_incidents,
            muted_incidents: p.muted_incidents,
            week_alerts: p.week_alerts,
            week_incidents: p.week_incidents,
            week_is_exact: p.week_is_exact,
            alerts: p.alerts.into_iter().map(alert).collect(),
            incidents: p.incidents.into_iter().map(incident).collect(),
        }
    }
}

/// What matchers catch, for both kinds and for thresholds.
pub(super) async fn caught(state: &AppState, matchers: Vec<Matcher>) -> Result<Answer<Caught>, ApiError> {
    let now = state.clock.now();
    let preview = state.store.read(move |view| view.preview(&matchers, now)).await?;
    Ok(Answer(preview.map_err(CommandError::Mistakes)?.into()))
}

/// `S-4` or `4`.
fn id(text: &str, kind: MuteKind) -> Result<MuteId, ApiError> {
    let bare = text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok()).flatten();
    let id = bare.map(|number| MuteId { number, kind }).or_else(|| text.parse().ok()).filter(|id| id.kind == kind);
    id.ok_or_else(|| ApiError::not_found(format!("{kind} `{}`", text.chars().take(60).collect::<String>())))
}

async fn all(state: &AppState, kind: MuteKind, params: &Params) -> Result<Vec<MuteObject>, ApiError> {
    const STATES: &str = "active, scheduled, expired or stale is needed";
    let wanted = params.words("state");
    let stale_only = wanted.iter().any(|w| w == "stale");
    let states: Vec<MuteState> = wanted
        .iter()
        .filter(|w| *w != "stale")
        .map(|w| w.parse().map_err(|_| wrong("state", STATES)))
        .collect::<Result<_, _>>()?;
    let now = state.clock.now();
    let (mutes, stale) = state.store.read(move |view| Ok((view.mutes()?, view.stale_mutes(now)?))).await?;
    let stale: BTreeMap<MuteId, Stale> = stale.into_iter().map(|(m, why)| (m.id, why)).collect();
    let fits = |m: &Mute| {
        m.id.kind == kind
            && (wanted.is_empty() || states.contains(&m.state()) || (stale_only && stale.contains_key(&m.id)))
    };
    Ok(mutes.into_iter().filter(fits).map(|m| MuteObject::of(m.clone(), stale.get(&m.id), now)).collect())
}

async fn one(state: &AppState, id: MuteId) -> Result<Answer<MuteObject>, ApiError> {
    let now = state.clock.now();
    let found = state.store.read(move |view| Ok((view.mute(id)?, view.stale_mutes(now)?))).await?;
    let (Some(mute), stale) = found else { return Err(ApiError::not_found(format!("{} {id}", id.kind))) };
    let why = stale.into_iter().find(|(m, _)| m.id == id).map(|(_, why)| why);
    Ok(Answer(MuteObject::of(mute, why.as_ref(), now)))
}

type Made = (StatusCode, [(HeaderName, String); 1], Answer<MuteObject>);

async fn make(state: &AppState, who: Responder, kind: MuteKind, made: Make) -> Result<Made, ApiError> {
    let Make { matchers, starts_at, ends_at, quiet_minutes, recurrence, reason } = made;
    let new = NewMute { kind, matchers, starts_at, ends_at, quiet_minutes, recurrence, reason };
    let mute = state.store.make_mute(new, who.actor).await?;
    let list = match kind {
        MuteKind::Silence => "silences",
        MuteKind::Maintenance => "maintenance",
    };
    let location = [(header::LOCATION, format!("/api/{list}/{}", mute.id))];
    Ok((StatusCode::CREATED, location, Answer(MuteObject::of(mute, None, state.clock.now()))))
}

async fn change(state: &AppState, who: Responder, id: MuteId, c: ChangeMute) -> Result<Answer<MuteObject>, ApiError> {
    let patch = MutePatch {
        matchers: c.matchers,
        starts_at: c.starts_at,
        ends_at: c.ends_at,
        extend_minutes: c.extend_minutes,
        quiet_minutes: c.quiet_minutes,
        recurrence: c.recurrence,
        reason: c.reason,
    };
    let mute = state.store.change_mute(id, patch, who.actor).await?;
    Ok(Answer(MuteObject::of(mute, None, state.clock.now())))
}

macro_rules! routes_of {
    ($kind:expr, $list_path:literal, $preview_path:literal, $one_path:literal, $tag:literal, $list_body:ident,
     $list:ident $list_op:literal, $preview:ident $preview_op:literal, $get:ident $get_op:literal, $make:ident $make_op:literal,
     $change:ident $change_op:literal, $end:ident $end_op:literal) => {
        /// All of them, newest first, those that ended in the last 30 days too.
        #[utoipa::path(get, path = $list_path, tag = $tag, operation_id = $list_op,
            params(("state" = Option<String>, Query, description = "active, scheduled, expired or stale")),
            responses((status = 200, body = $list_body)))]
        pub async fn $list(
            _: Viewer,
            State(state): State<AppState>,
            params: Params,
        ) -> Result<Answer<$list_body>, ApiError> {
            Ok(Answer($list_body::all(all(&state, $kind, &params).await?)))
        }

        /// Makes one. It takes effect with this answer, when its time is now.
        #[utoipa::path(post, path = $list_path, tag = $tag, operation_id = $make_op, request_body = Make,
            responses((status = 201, body = MuteObject), (status = 422, description = "every mistake with its place")))]
        pub async fn $make(who: Responder, State(state): State<AppState>, Json(made): Json<Make>) -> Result<Made, ApiError> {
            make(&state, who, $kind, made).await
        }

        /// What matchers catch now, and caught in the last seven days. Nothing is changed.
        #[utoipa::path(post, path = $preview_path, tag = $tag, operation_id = $preview_op, request_body = Try,
            responses((status = 200, body = Caught), (status = 422, description = "every mistake with its place")))]
        pub async fn $preview(
            _: Responder,
            State(state): State<AppState>,
            Json(tried): Json<Try>,
        ) -> Result<Answer<Caught>, ApiError> {
            caught(&state, tried.matchers).await
        }

        /// One of them.
        #[utoipa::path(get, path = $one_path, tag = $tag, operation_id = $get_op, params(("id" = String, Path)),
            responses((status = 200, body = MuteObject)))]
        pub async fn $get(
            _: Viewer,
            State(state): State<AppState>,
            Path(named): Path<String>,
        ) -> Result<Answer<MuteObject>, ApiError> {
            one(&state, id(&named, $kind)?).await
        }

        /// Changes one that has not ended; what it mutes changes with this answer.
        #[utoipa::path(patch, path = $one_path, tag = $tag, operation_id = $change_op, request_body = ChangeMute,
            params(("id" = String, Path)), responses((status = 200, body = MuteObject), (status = 409, description = "it has ended")))]
        pub async fn $change(
            who: Responder,
            State(state): State<AppState>,
            Path(named): Path<String>,
            Json(patch): Json<ChangeMute>,
        ) -> Result<Answer<MuteObject>, ApiError> {
            change(&state, who, id(&named, $kind)?, patch).await
        }

        /// Ends one now. It stays in the list for 30 days.
        #[utoipa::path(delete, path = $one_path, tag = $tag, operation_id = $end_op, params(("id" = String, Path)),
            responses((status = 204), (status = 409, description = "it has ended")))]
        pub async fn $end(
            who: Responder,
            State(state): State<AppState>,
            Path(named): Path<String>,
        ) -> Result<StatusCode, ApiError> {
            state.store.end_mute(id(&named, $kind)?, who.actor).await?;
            Ok(StatusCode::NO_CONTENT)
        }
    };
}

routes_of!(MuteKind::Silence, "/api/silences", "/api/silences/preview", "/api/silences/{id}", "silences", Silences,
    silences "silences_list", preview_silence "silence_preview", silence "silence_get", make_silence "silence_make",
    change_silence "silence_change", end_silence "silence_end");
routes_of!(MuteKind::Maintenance, "/api/maintenance", "/api/maintenance/preview", "/api/maintenance/{id}", "maintenance", Windows,
    windows "maintenance_list", preview_window "maintenance_preview", window "maintenance_get", make_window "maintenance_make",
    change_window "maintenance_change", end_window "maintenance_end");
