//! Forms of the incident pages: each is one command, answered with the way back, or with fragments for the script.

use axum::{
    extract::{FromRequest, FromRequestParts, Path, Request, State},
    response::{IntoResponse, Response},
};
use http::{StatusCode, request::Parts};
use serde_json::{Value, json};

use super::{
    ask::{Ask, Fields, back, json},
    incident::{Asks, Read, Refused, RefusedBanner, members, panels},
    read::{incident_id, incident_page},
    row::Row,
    said::Said,
    time,
    ui::Markup,
};
use crate::{
    connectors,
    model::*,
    store::{CommandError, GivenCause, IncidentPatch, Resolution, SeenBefore},
    web::{
        auth::{Denied, Responder},
        error::ApiError,
        state::AppState,
        undo::Undo,
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

/// What an action is called, and what follows from it.
#[derive(Default)]
pub(super) struct Act {
    pub(super) said: &'static str,
    pub(super) not: &'static str,
    /// How it is taken back.
    pub(super) undo: Option<Undo>,
    /// What the page asks again where it was refused.
    pub(super) asks: Asks,
    /// Alerts came or went: the reader who did that sees the table without them.
    pub(super) moves: bool,
}

impl Act {
    /// One that is not taken back by a press.
    pub(super) fn of(said: &'static str, not: &'static str) -> Self {
        Self { said, not, ..Self::default() }
    }

    /// One that can be.
    fn undone(self, undo: Option<Undo>) -> Self {
        Self { undo, ..self }
    }
}

async fn answer(
    state: &AppState,
    form: Form,
    id: IncidentId,
    act: Act,
    result: Result<Incident, CommandError>,
) -> Result<Response, ApiError> {
    let Form { ask, fields, .. } = form;
    let me = ask.identity.name();
    match result {
        Ok(_) => {
            let undo = act.undo.map(|undo| state.shared.undos.keep(&me, undo, ask.now));
            let said = Said::new(act.said).undone_by(undo);
            if !ask.script {
                let to = match fields.get("to") {
                    "" => format!("/incidents/{id}"),
                    to => to.to_owned(),
                };
                return Ok(back(&to, Some(said)));
            }
            let (search, now) = (state.search.clone(), ask.now);
            let (read, sparks) =
                state.store.read(move |view| Ok((Read::of(view, &search, id)?, view.sparks(&[id], now)?))).await?;
            let read = read.ok_or_else(|| ApiError::not_found(id))?;
            let mut panels = panels(&read, &me, ask.identity.may_act(), ask.now);
            if act.moves {
                panels.insert("members", members(&read, ask.now));
            }
            let row = Markup::of(&Row::new(&read.incident, sparks.get(&id), ask.now)).to_string();
            let undo = undo.map(|n| format!("/undo/{n}"));
            Ok(json(
                StatusCode::OK,
                &json!({"said": said.to_string(), "undo": undo, "panels": panels, "row": row, "id": id}),
            ))
        }
        Err(e @ (CommandError::Conflict { .. } | CommandError::Invalid { .. })) => {
            let search = state.search.clone();
            let read = state.store.read(move |view| Read::of(view, &search, id)).await?;
            let read = read.ok_or_else(|| ApiError::not_found(id))?;
            let refused = Refused {
                what: act.not.to_owned(),
                detail: why(e, &read),
                reason: fields.get("reason").to_owned(),
                comment: fields.get("text").to_owned(),
                title: fields.get("title").to_owned(),
            };
            if ask.script {
                // What the reader sees is brought up to date with it.
                let panels = panels(&read, &me, ask.identity.may_act(), ask.now);
                let banner = RefusedBanner { what: refused.what, detail: refused.detail };
                let banner = Markup::of(&banner).to_string();
                return Ok(json(StatusCode::CONFLICT, &json!({"refused": banner, "panels": panels, "id": id})));
            }
            incident_page(state, &ask, id, Some(refused), act.asks).await
        }
        Err(e) => Err(e.into()),
    }
}

/// Why it was refused, and for a conflict what was done last, by whom.
fn why(e: CommandError, read: &Read) -> String {
    let (detail, conflict) = match e {
        CommandError::Conflict { detail, .. } => (detail, true),
        CommandError::Invalid { detail, .. } => (detail, false),
        other => (other.to_string(), false),
    };
    use TimelineKind as K;
    let decides = |e: &&TimelineEntry| {
        matches!(
            e.kind,
            K::Acknowledged
                | K::Unacknowledged
                | K::Owner
                | K::Resolved
                | K::Reopened
                | K::Merged
                | K::Unmerged
                | K::Severity
                | K::Title
                | K::Snoozed
                | K::Woken
                | K::AlertMoved
        )
    };
    let last = read.timeline.iter().rev().find(decides).filter(|_| conflict);
    let last = last.map(|e| {
        let by = if e.actor == "system" { String::new() } else { format!("{}, ", e.actor) };
        format!(" Last: {by}{} {}: {}", time::clock(e.at), time::zone_name(e.at), e.text)
    });
    sentence(&detail) + &last.unwrap_or_default()
}

fn sentence(s: &str) -> String {
    let mut chars = s.chars();
    let first = chars.next().map(|c| c.to_uppercase().to_string()).unwrap_or_default();
    let stop = if s.ends_with('.') { "" } else { "." };
    format!("{first}{}{stop}", chars.as_str())
}

macro_rules! acts {
    ($($(#[$meta:meta])* $name:ident: $said:literal, $not:literal, |$store:ident, $id:ident, $actor:ident, $fields:ident| $call:expr;)+) => {
        $($(#[$meta])*
        pub async fn $name(State(state): State<AppState>, Path(id): Path<String>, form: Form) -> Result<Response, ApiError> {
            let $id = incident_id(&id)?;
            let ($store, $actor, $fields) = (&state.store, form.actor.clone(), &form.fields);
            let result = $call.await;
            answer(&state, form, $id, Act::of($said, $not), result).await
        })+
    };
}

acts! {
    /// `POST /incidents/{id}/unacknowledge`
    unacknowledge: "unacknowledged", "Nothing to take back.",
        |store, id, actor, _fields| store.unacknowledge(id, actor);
    /// `POST /incidents/{id}/resolve`
    resolve: "resolved", "Not resolved.",
        |store, id, actor, fields| store.resolve_with(id, resolution(fields), actor);
    /// `POST /incidents/{id}/reopen`
    reopen: "reopened", "Not reopened.", |store, id, actor, _fields| store.reopen(id, actor);
    /// `POST /incidents/{id}/comment`
    comment: "commented", "Not added.",
        |store, id, actor, fields| store.comment(id, fields.get("text").to_owned(), actor);
    /// `POST /incidents/{id}/investigate`
    investigate: "investigate", "No analysis was started.",
        |store, id, actor, _fields| store.investigate(id, actor);
    /// `POST /incidents/{id}/wake`
    wake: "woken", "Not woken.", |store, id, actor, _fields| store.wake(id, actor);
    /// `POST /incidents/{id}/cancel-investigation`
    cancel: "cancelled", "Nothing to stop.",
        |store, id, actor, _fields| store.cancel_investigation(id, actor);
}

/// Who has it.
async fn owner_of(state: &AppState, id: IncidentId) -> Result<Option<String>, ApiError> {
    Ok(state.store.read(move |view| Ok(view.incident(id)?.and_then(|i| i.owner))).await?)
}

/// What the form says that its reader saw; none where it says nothing of that.
fn seen(fields: &Fields) -> Option<&str> {
    fields.checked("was").then(|| fields.get("was"))
}

fn some(text: &str) -> Option<String> {
    Some(text.to_owned()).filter(|t| !t.is_empty())
}

/// `POST /incidents/{id}/acknowledge`
pub async fn acknowledge(
    State(state): State<AppState>,
    Path(id): Path<String>,
    form: Form,
) -> Result<Response, ApiError> {
    let id = incident_id(&id)?;
    let before = owner_of(&state, id).await?;
    let saw = seen(&form.fields).map_or_else(|| before.clone(), some);
    let result = state.store.acknowledge_as(id, Some(saw), form.actor.clone()).await;
    let now = Some(form.actor.to_string());
    let undo = (before != now).then(|| Undo::Owners { back: vec![(id, before)], now });
    answer(&state, form, id, Act::of("acknowledged", "Not acknowledged.").undone(undo), result).await
}

/// `POST /incidents/{id}/assign`: to oneself, to somebody, to nobody.
pub async fn assign(State(state): State<AppState>, Path(id): Path<String>, form: Form) -> Result<Response, ApiError> {
    let id = incident_id(&id)?;
    let before = owner_of(&state, id).await?;
    let owner = match form.fields.get("who") {
        "me" => Some(form.actor.to_string()),
        "nobody" => None,
        _ => some(&connectors::line(form.fields.get("owner"), 256)),
    };
    let saw = seen(&form.fields).map_or_else(|| before.clone(), some);
    let seen = SeenBefore { owner: Some(saw), ..SeenBefore::default() };
    let patch = IncidentPatch { owner: Some(owner.clone()), seen, ..IncidentPatch::default() };
    let result = state.store.patch_incident(id, patch, form.actor.clone()).await;
    let undo = (before != owner).then(|| Undo::Owners { back: vec![(id, before)], now: owner });
    let asks = Asks::Assign(people(&state).await?);
    answer(&state, form, id, Act { asks, ..Act::of("assigned", "Not assigned.").undone(undo) }, result).await
}

/// `POST /incidents/{id}/title`
pub async fn title(State(state): State<AppState>, Path(id): Path<String>, form: Form) -> Result<Response, ApiError> {
    let id = incident_id(&id)?;
    let back = state.store.read(move |view| Ok(view.incident(id)?.map(|i| i.title))).await?.unwrap_or_default();
    let title = connectors::line(form.fields.get("title"), 501);
    let seen = SeenBefore { title: seen(&form.fields).map(str::to_owned), ..SeenBefore::default() };
    let patch = IncidentPatch { title: Some(title.clone()), seen, ..IncidentPatch::default() };
    let result = state.store.patch_incident(id, patch, form.actor.clone()).await;
    let undo = (back != title).then_some(Undo::Title { id, back, now: title });
    answer(&state, form, id, Act::of("renamed", "The title was not changed.").undone(undo), result).await
}

/// `POST /incidents/{id}/severity`: as a person says, or as its alerts say again.
pub async fn severity(State(state): State<AppState>, Path(id): Path<String>, form: Form) -> Result<Response, ApiError> {
    let id = incident_id(&id)?;
    let fields = &form.fields;
    let back = fields.checked("back");
    let wanted: Option<Severity> = match fields.get("severity") {
        _ if back => None,
        word => Some(word.parse().map_err(|e: String| ApiError::invalid("severity", e))?),
    };
    let seen = SeenBefore { severity: seen(fields).and_then(|s| s.parse().ok()), ..SeenBefore::default() };
    let patch = IncidentPatch { severity: Some(wanted), reason: reason(fields), seen, ..IncidentPatch::default() };
    let result = state.store.patch_incident(id, patch, form.actor.clone()).await;
    let said = if back { "severity-back" } else { "severity" };
    let act = Act { asks: Asks::Severity, ..Act::of(said, "The severity was not changed.") };
    answer(&state, form, id, act, result).await
}

/// Until when something is snoozed, as a form says it: so many minutes, or until tomorrow morning.
pub(super) fn snoozed_until(how: &str, now: Time) -> Option<Time> {
    match how {
        "morning" => Some(time::morning(now)),
        minutes => minutes.parse::<u32>().ok().map(|m| now.plus(std::time::Duration::from_secs(u64::from(m) * 60))),
    }
}

/// `POST /incidents/{id}/snooze`: for some minutes, until tomorrow morning, or until a time in the reader's zone.
pub async fn snooze(State(state): State<AppState>, Path(id): Path<String>, form: Form) -> Result<Response, ApiError> {
    let id = incident_id(&id)?;
    let now = form.ask.now;
    let until = match form.fields.get("for") {
        "until" => time::read_local(form.fields.get("until")),
        how => snoozed_until(how, now),
    };
    let result = match until {
        Some(until) => state.store.snooze(id, until, form.actor.clone()).await,
        None => {
            let detail = "a time such as 2026-03-03 09:00 is needed".to_owned();
            Err(CommandError::Invalid { field: "until".to_owned(), detail })
        }
    };
    let act = Act { asks: Asks::Snooze, ..Act::of("snoozed", "Not snoozed.").undone(Some(Undo::Snooze(vec![id]))) };
    answer(&state, form, id, act, result).await
}

/// `POST /undo/{token}`: what was done just before is taken back, by whoever did it.
pub async fn undo(State(state): State<AppState>, Path(token): Path<String>, form: Form) -> Result<Response, ApiError> {
    let me = form.ask.identity.name();
    let found = token.parse().ok().and_then(|token| state.shared.undos.take(token, &me, form.ask.now));
    let undo = found.ok_or_else(|| {
        let what = "it was taken back already, or is too long ago; take it back on the incident's page";
        ApiError::new(StatusCode::CONFLICT, "conflict", what)
    })?;
    let (store, actor) = (&state.store, form.actor.clone());
    let act = Act::of("taken-back", "Not taken back.");
    match undo {
        Undo::Owners { back: incidents, now } => {
            let (mut done, mut refused) = (0, Vec::new());
            for (id, before) in &incidents {
                let seen = SeenBefore { owner: Some(now.clone()), ..SeenBefore::default() };
                let patch = IncidentPatch { owner: Some(before.clone()), seen, ..IncidentPatch::default() };
                let result = store.patch_incident(*id, patch, actor.clone()).await;
                match result {
                    result if incidents.len() == 1 => return answer(&state, form, *id, act, result).await,
                    Ok(_) => done += 1,
                    Err(CommandError::Store(e)) => return Err(e.into()),
                    Err(e) => refused.push(json!({"id": id, "why": e.to_string()})),
                }
            }
            Ok(undone(&form, done, &refused))
        }
        Undo::Title { id, back, now } => {
            let seen = SeenBefore { title: Some(now), ..SeenBefore::default() };
            let patch = IncidentPatch { title: Some(back), seen, ..IncidentPatch::default() };
            let result = store.patch_incident(id, patch, actor).await;
            answer(&state, form, id, act, result).await
        }
        Undo::Suggestion(id, sid, before) => {
            let result = store.set_suggestion_state(id, sid, before, actor).await;
            let result = after(&state, id, result).await;
            answer(&state, form, id, act, result).await
        }
        Undo::Cause(id, rank, mark, before) => {
            let result = store.judge_cause(id, rank, mark, before, actor).await;
            let result = after(&state, id, result).await;
            answer(&state, form, id, act, result).await
        }
        Undo::TakenOut { from, new } => {
            // It is looked at where it has returned to.
            let fields = Fields(vec![("to".to_owned(), format!("/incidents/{from}"))]);
            let result = store.undo_split(from, new, actor).await;
            answer(&state, Form { fields, ..form }, from, Act { moves: true, ..act }, result).await
        }
        Undo::Snooze(ids) => {
            let (mut done, mut refused) = (0, Vec::new());
            for id in &ids {
                match store.wake(*id, actor.clone()).await {
                    result if ids.len() == 1 => return answer(&state, form, *id, act, result).await,
                    Ok(_) => done += 1,
                    Err(CommandError::Store(e)) => return Err(e.into()),
                    Err(e) => refused.push(json!({"id": id, "why": e.to_string()})),
                }
            }
            Ok(undone(&form, done, &refused))
        }
    }
}

/// The answer to taking back what was done to several.
fn undone(form: &Form, done: u32, refused: &[Value]) -> Response {
    let said = Said::many("undone", done, u32::try_from(refused.len()).unwrap_or(u32::MAX));
    if form.ask.script {
        return json(StatusCode::OK, &json!({"said": said.to_string(), "rows": refused}));
    }
    let to = some(form.fields.get("to")).unwrap_or_else(|| "/incidents".to_owned());
    back(&to, Some(said))
}

/// Whom an incident can be assigned to: those who may act.
pub(super) async fn people(state: &AppState) -> Result<Vec<String>, ApiError> {
    let all = state.store.read(|view| view.accounts()).await?;
    Ok(all.into_iter().filter(|a| a.role >= Role::Responder && !a.disabled).map(|a| a.name).collect())
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
    let mark = some(form.fields.get("mark"));
    let result = state.store.judge_cause(id, rank, mark.clone(), verdict, form.actor.clone()).await;
    let undo = verdict.map(|_| Undo::Cause(id, rank, mark, None));
    let result = after(&state, id, result).await;
    answer(&state, form, id, Act::of(said, "Not noted.").undone(undo), result).await
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
    let undo = (wanted != SuggestionState::Open).then(|| Undo::Suggestion(id, sid.clone(), SuggestionState::Open));
    let result = state.store.set_suggestion_state(id, sid, wanted, form.actor.clone()).await;
    let result = after(&state, id, result).await;
    answer(&state, form, id, Act::of(said, "Not noted.").undone(undo), result).await
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
            let undo = act.undo.map(|undo| state.shared.undos.keep(&form.ask.identity.name(), undo, form.ask.now));
            Ok(back(&to, Some(Said::new(act.said).undone_by(undo))))
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
    let act = Act::of("merged", "Not merged.");
    gone_to(&state, form, id, act, result.map(|i| i.id)).await
}

/// `POST /incidents/{id}/unmerge`
pub async fn unmerge(State(state): State<AppState>, Path(id): Path<String>, form: Form) -> Result<Response, ApiError> {
    let id = incident_id(&id)?;
    let result = state.store.unmerge(id, form.actor.clone()).await;
    let act = Act::of("unmerged", "The merge was not undone.");
    gone_to(&state, form, id, act, result.map(|i| i.id)).await
}

/// `POST /incidents/{id}/split`: the checked alerts become an incident of their own, or only the one whose button it was.
pub async fn split(State(state): State<AppState>, Path(id): Path<String>, form: Form) -> Result<Response, ApiError> {
    let id = incident_id(&id)?;
    let only: Option<AlertId> = form.fields.get("only").parse().ok();
    let checked = || form.fields.all("alert").iter().filter_map(|a| a.parse().ok()).collect();
    let alerts: Vec<AlertId> = only.map_or_else(checked, |one| vec![one]);
    let result = if alerts.is_empty() {
        let detail = "check the alerts that do not belong here".to_owned();
        Err(CommandError::Invalid { field: "alert".to_owned(), detail })
    } else {
        let title = some(form.fields.get("title")).filter(|_| only.is_none());
        state.store.split(id, alerts, title, form.actor.clone()).await
    };
    let not = "Nothing was taken out.";
    let new = result.as_ref().ok().map(|new| new.id);
    // What has ended takes nothing back.
    let open = state.store.read(move |view| Ok(view.incident(id)?.is_some_and(|i| i.is_open()))).await?;
    let undo = new.filter(|_| open).map(|new| Undo::TakenOut { from: id, new });
    if only.is_some() {
        // One that does not belong here: the reader stays.
        let result = after(&state, id, result).await;
        return answer(&state, form, id, Act { moves: true, ..Act::of("taken-out", not).undone(undo) }, result).await;
    }
    gone_to(&state, form, id, Act::of("split", not).undone(undo), result.map(|i| i.id)).await
}

/// `POST /alerts/{id}/attach`: the alert goes to the incident that the form names.
pub async fn attach(State(state): State<AppState>, Path(id): Path<String>, form: Form) -> Result<Response, ApiError> {
    let alert: AlertId = id.parse().map_err(|_| ApiError::not_found("such alert"))?;
    let to = form.fields.get("incident").trim().to_owned();
    let to: IncidentId = to.parse().map_err(|_| ApiError::invalid("incident", "an id such as INC-42 is taken"))?;
    let result = state.store.attach(to, vec![alert], form.actor.clone()).await;
    let act = Act::of("attached", "Not moved.");
    gone_to(&state, form, to, act, result.map(|i| i.id)).await
}
