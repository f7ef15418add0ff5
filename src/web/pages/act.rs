//! Forms of the incident pages: each is one command, answered with the way back, or with fragments for the script.

use axum::{
    extract::{FromRequest, FromRequestParts, Path, Request, State},
    response::{IntoResponse, Response},
};
use http::{StatusCode, request::Parts};
use serde_json::json;

use super::{
    ask::{Ask, Fields, back, json},
    incident::{Asks, Read, Refused, RefusedBanner, panels},
    read::{incident_id, incident_page},
    row::Row,
    said::Said,
    ui::Markup,
};
use crate::{
    connectors,
    model::*,
    store::{CommandError, GivenCause, Resolution},
    web::{
        auth::{Denied, Responder},
        error::ApiError,
        state::AppState,
    },
};

/// Somebody who acts, with what they sent.
#[derive(Debug)]
pub struct Form {
    /// Who looks.
    pub ask: Ask,
    /// Who acts.
    pub actor: Actor,
    /// What was sent.
    pub fields: Fields,
}

impl FromRequest<AppState> for Form {
    type Rejection = Response;

    async fn from_request(request: Request, state: &AppState) -> Result<Self, Response> {
        let (mut parts, body) = request.into_parts();
        let (ask, actor) = responder(&mut parts, state).await.map_err(IntoResponse::into_response)?;
        let fields = Fields::from_request(Request::from_parts(parts, body), state).await;
        Ok(Self { ask, actor, fields: fields.map_err(IntoResponse::into_response)? })
    }
}

async fn responder(parts: &mut Parts, state: &AppState) -> Result<(Ask, Actor), Denied> {
    let actor = Responder::from_request_parts(parts, state).await?.actor;
    Ok((Ask::from_request_parts(parts, state).await?, actor))
}

/// What an action is called.
pub(super) struct Act {
    pub(super) said: &'static str,
    pub(super) not: &'static str,
    /// Where under the incident it is taken back.
    pub(super) undo: Option<String>,
}

async fn answer(
    state: &AppState,
    form: Form,
    id: IncidentId,
    act: Act,
    result: Result<Incident, CommandError>,
) -> Result<Response, ApiError> {
    let Form { ask, fields, .. } = form;
    match result {
        Ok(_) if ask.script => {
            let search = state.search.clone();
            let now = ask.now;
            let (read, sparks) =
                state.store.read(move |view| Ok((Read::of(view, &search, id)?, view.sparks(&[id], now)?))).await?;
            let read = read.ok_or_else(|| ApiError::not_found(id))?;
            let panels = panels(&read, &ask.identity.name(), ask.identity.may_act(), ask.now);
            let row = Markup::of(&Row::new(&read.incident, sparks.get(&id), ask.now)).to_string();
            let undo = act.undo.map(|u| format!("/incidents/{id}/{u}"));
            Ok(json(
                StatusCode::OK,
                &json!({"said": Said::new(act.said).to_string(), "undo": undo, "panels": panels, "row": row, "id": id}),
            ))
        }
        Ok(_) => {
            let to = match fields.get("to") {
                "" => format!("/incidents/{id}"),
                to => to.to_owned(),
            };
            Ok(back(&to, Some(Said::new(act.said))))
        }
        Err(CommandError::Conflict { detail, .. } | CommandError::Invalid { detail, .. }) => {
            let refused = Refused {
                what: act.not.to_owned(),
                detail: sentence(&detail),
                reason: fields.get("reason").to_owned(),
                comment: fields.get("text").to_owned(),
            };
            if ask.script {
                let banner = RefusedBanner { what: refused.what, detail: refused.detail };
                return Ok(json(StatusCode::CONFLICT, &json!({"refused": Markup::of(&banner).to_string()})));
            }
            incident_page(state, &ask, id, Some(refused), Asks::Nothing).await
        }
        Err(e) => Err(e.into()),
    }
}

fn sentence(s: &str) -> String {
    let mut chars = s.chars();
    let first = chars.next().map(|c| c.to_uppercase().to_string()).unwrap_or_default();
    let stop = if s.ends_with('.') { "" } else { "." };
    format!("{first}{}{stop}", chars.as_str())
}

macro_rules! acts {
    ($($(#[$meta:meta])* $name:ident: $said:literal, $not:literal, $undo:expr, |$store:ident, $id:ident, $actor:ident, $fields:ident| $call:expr;)+) => {
        $($(#[$meta])*
        pub async fn $name(State(state): State<AppState>, Path(id): Path<String>, form: Form) -> Result<Response, ApiError> {
            let $id = incident_id(&id)?;
            let ($store, $actor, $fields) = (&state.store, form.actor.clone(), &form.fields);
            let result = $call.await;
            answer(&state, form, $id, Act { said: $said, not: $not, undo: $undo.map(str::to_owned) }, result).await
        })+
    };
}

acts! {
    /// `POST /incidents/{id}/acknowledge`
    acknowledge: "acknowledged", "Not acknowledged.", Some("unacknowledge"),
        |store, id, actor, _fields| store.acknowledge(id, actor);
    /// `POST /incidents/{id}/unacknowledge`
    unacknowledge: "unacknowledged", "Nothing to take back.", None,
        |store, id, actor, _fields| store.unacknowledge(id, actor);
    /// `POST /incidents/{id}/resolve`
    resolve: "resolved", "Not resolved.", None,
        |store, id, actor, fields| store.resolve_with(id, resolution(fields), actor);
    /// `POST /incidents/{id}/reopen`
    reopen: "reopened", "Not reopened.", None, |store, id, actor, _fields| store.reopen(id, actor);
    /// `POST /incidents/{id}/comment`
    comment: "commented", "Not added.", None,
        |store, id, actor, fields| store.comment(id, fields.get("text").to_owned(), actor);
    /// `POST /incidents/{id}/investigate`
    investigate: "investigate", "No analysis was started.", None,
        |store, id, actor, _fields| store.investigate(id, actor);
    /// `POST /incidents/{id}/cancel-investigation`
    cancel: "cancelled", "Nothing to stop.", None,
        |store, id, actor, _fields| store.cancel_investigation(id, actor);
}

pub(super) fn reason(fields: &Fields) -> Option<String> {
    Some(fields.get("reason").trim().to_owned()).filter(|r| !r.is_empty())
}

/// What a form says of the end: a cause by its rank, or another by its service.
fn resolution(fields: &Fields) -> Resolution {
    let name = |field: &str| Some(connectors::line(fields.get(field), 256)).filter(|n| !n.is_empty());
    let service = name("cause_service");
    let found =
        fields.get("cause").split_once(' ').and_then(|(rank, mark)| Some((rank.parse().ok()?, mark.to_owned())));
    let cause = match (found, service) {
        (Some((rank, mark)), _) => Some(GivenCause::Found { rank, mark: Some(mark) }),
        (None, Some(service)) => Some(GivenCause::Named { service: Some(service), host: None, symptom: None }),
        (None, None) => None,
    };
    Resolution { reason: reason(fields), cause }
}

/// The incident as it stands after something about it was done.
async fn after<T>(state: &AppState, id: IncidentId, done: Result<T, CommandError>) -> Result<Incident, CommandError> {
    done?;
    state.store.read(move |view| view.incident(id)).await?.ok_or_else(|| CommandError::NotFound(id.to_string()))
}

/// `POST /incidents/{id}/causes/{rank}`: this is it, not this, or neither any more.
pub async fn cause(
    State(state): State<AppState>,
    Path((id, rank)): Path<(String, String)>,
    form: Form,
) -> Result<Response, ApiError> {
    let id = incident_id(&id)?;
    let rank: u32 = rank.parse().map_err(|_| ApiError::not_found("such cause"))?;
    let verdict: Option<Verdict> = match form.fields.get("verdict") {
        "" => None,
        said => Some(said.parse().map_err(|e: String| ApiError::invalid("verdict", e))?),
    };
    let said = match verdict {
        Some(Verdict::Right) => "right",
        Some(Verdict::Wrong) => "wrong",
        None => "taken-back",
    };
    let mark = Some(form.fields.get("mark").to_owned()).filter(|m| !m.is_empty());
    let result = state.store.judge_cause(id, rank, mark, verdict, form.actor.clone()).await;
    // Without a verdict the same address takes it back.
    let undo = verdict.map(|_| format!("causes/{rank}"));
    let result = after(&state, id, result).await;
    answer(&state, form, id, Act { said, not: "Not noted.", undo }, result).await
}

/// `POST /incidents/{id}/suggestions/{sid}`; without a state it is as if nothing had been said.
pub async fn suggestion(
    State(state): State<AppState>,
    Path((id, sid)): Path<(String, String)>,
    form: Form,
) -> Result<Response, ApiError> {
    let id = incident_id(&id)?;
    let wanted: SuggestionState = match form.fields.get("state") {
        "" => SuggestionState::Open,
        state => state.parse().map_err(|e: String| ApiError::invalid("state", e))?,
    };
    let said = match wanted {
        SuggestionState::Done => "used",
        SuggestionState::Dismissed => "dismissed",
        SuggestionState::Open => "taken-back",
    };
    let quoted: String = form_urlencoded::byte_serialize(sid.as_bytes()).collect();
    let undo = (wanted != SuggestionState::Open).then(|| format!("suggestions/{quoted}"));
    let result = state.store.set_suggestion_state(id, sid, wanted, form.actor.clone()).await;
    let result = after(&state, id, result).await;
    answer(&state, form, id, Act { said, not: "Not noted.", undo }, result).await
}

/// Ids as people write them: with spaces or commas between.
fn named(fields: &Fields, name: &str) -> Result<Vec<IncidentId>, CommandError> {
    let texts = fields.all(name);
    let words = texts.iter().flat_map(|t| t.split([' ', ',', ';', '\n'])).map(str::trim).filter(|w| !w.is_empty());
    words
        .map(|word| {
            word.parse().map_err(|_| CommandError::Invalid {
                field: name.to_owned(),
                detail: format!("“{}” is no incident; write INC-7", word.chars().take(40).collect::<String>()),
            })
        })
        .collect()
}

/// The page to go to, or why not.
pub(super) async fn gone_to(
    state: &AppState,
    form: Form,
    id: IncidentId,
    act: Act,
    result: Result<IncidentId, CommandError>,
) -> Result<Response, ApiError> {
    match result {
        Ok(to) if !form.ask.script => {
            let to = match form.fields.get("to") {
                "" => format!("/incidents/{to}"),
                to => to.to_owned(),
            };
            Ok(back(&to, Some(Said::new(act.said))))
        }
        Ok(to) => {
            let incident = state.store.read(move |view| view.incident(to)).await?;
            let incident = incident.ok_or_else(|| ApiError::not_found(to))?;
            answer(state, form, to, act, Ok(incident)).await
        }
        Err(e) => answer(state, form, id, act, Err(e)).await,
    }
}

/// `POST /incidents/{id}/merge`: others into this one, or this one into another.
pub async fn merge(State(state): State<AppState>, Path(id): Path<String>, form: Form) -> Result<Response, ApiError> {
    let id = incident_id(&id)?;
    let actor = form.actor.clone();
    let result = match named(&form.fields, "with") {
        Ok(others) if form.fields.get("how") == "there" => match others.as_slice() {
            [one] => state.store.merge_incidents(*one, vec![id], actor).await,
            _ => Err(CommandError::Invalid {
                field: "with".to_owned(),
                detail: format!("choose exactly one incident for {id} to become part of"),
            }),
        },
        Ok(others) => state.store.merge_incidents(id, others, actor).await,
        Err(e) => Err(e),
    };
    let act = Act { said: "merged", not: "Not merged.", undo: None };
    gone_to(&state, form, id, act, result.map(|i| i.id)).await
}

/// `POST /incidents/{id}/unmerge`
pub async fn unmerge(State(state): State<AppState>, Path(id): Path<String>, form: Form) -> Result<Response, ApiError> {
    let id = incident_id(&id)?;
    let result = state.store.unmerge(id, form.actor.clone()).await;
    let act = Act { said: "unmerged", not: "The merge was not undone.", undo: None };
    gone_to(&state, form, id, act, result.map(|i| i.id)).await
}

/// `POST /incidents/{id}/split`: the checked alerts become an incident of their own.
pub async fn split(State(state): State<AppState>, Path(id): Path<String>, form: Form) -> Result<Response, ApiError> {
    let id = incident_id(&id)?;
    let alerts: Vec<AlertId> = form.fields.all("alert").iter().filter_map(|a| a.parse().ok()).collect();
    let result = if alerts.is_empty() {
        let detail = "check the alerts that do not belong here".to_owned();
        Err(CommandError::Invalid { field: "alert".to_owned(), detail })
    } else {
        let title = Some(form.fields.get("title").to_owned());
        state.store.split(id, alerts, title, form.actor.clone()).await
    };
    let act = Act { said: "split", not: "Nothing was taken out.", undo: None };
    gone_to(&state, form, id, act, result.map(|i| i.id)).await
}

/// `POST /alerts/{id}/attach`: the alert goes to the incident that the form names.
pub async fn attach(State(state): State<AppState>, Path(id): Path<String>, form: Form) -> Result<Response, ApiError> {
    let alert: AlertId = id.parse().map_err(|_| ApiError::not_found("such alert"))?;
    let to = form.fields.get("incident").trim().to_owned();
    let to: IncidentId = to.parse().map_err(|_| ApiError::invalid("incident", "an id such as INC-42 is taken"))?;
    let result = state.store.attach(to, vec![alert], form.actor.clone()).await;
    let act = Act { said: "attached", not: "Not moved.", undo: None };
    gone_to(&state, form, to, act, result.map(|i| i.id)).await
}
