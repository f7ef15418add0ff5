//! The parts of an incident, each by itself.

use axum::{Json as Answer, extract::State};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{incident_id, incidents::given, listing, objects::*, params::Params};
use crate::{
    model::*,
    store::{Listing, StoreError, View},
    web::{
        auth::{Responder, Viewer},
        error::ApiError,
        extract::{Json, Path},
        state::AppState,
    },
};

listing! {
    /// Alerts of an incident, strongest first.
    Members { alerts: MemberObject }
}
listing! {
    /// Lines of a timeline, oldest first; the next page is older.
    Timeline { timeline: TimelineEntry }
}
listing! {
    /// Thoughts in order.
    Thoughts { thoughts: Thought }
}
listing! {
    /// Suggestions.
    Suggestions { suggestions: Suggestion }
}
listing! {
    /// Earlier incidents, nearest first.
    Similars { similar: SimilarObject }
}

async fn read<R: Send + 'static>(
    state: &AppState,
    id: &str,
    f: impl FnOnce(&View, Incident) -> Result<R, StoreError> + Send + 'static,
) -> Result<R, ApiError> {
    let id = incident_id(id)?;
    let found = state.store.read(move |view| view.incident(id)?.map(|i| f(view, i)).transpose()).await?;
    found.ok_or_else(|| ApiError::not_found(id))
}

/// Its alerts.
#[utoipa::path(get, path = "/api/incidents/{id}/alerts", tag = "incidents", operation_id = "incident_alerts",
    params(("id" = String, Path), ("limit" = Option<usize>, Query), ("cursor" = Option<String>, Query)), responses((status = 200, body = Members)))]
pub async fn alerts(
    _: Viewer,
    State(state): State<AppState>,
    Path(id): Path<String>,
    params: Params,
) -> Result<Answer<Members>, ApiError> {
    let (limit, skip) = (params.limit()?, usize::try_from(params.cursor()?.unwrap_or(0)).unwrap_or(usize::MAX));
    let page = move |view: &View, incident: Incident| {
        // Ordered by strength, so that a page needs those before it.
        let upto = skip.saturating_add(limit);
        let members = view.members(incident.id, upto)?;
        let total = incident.alert_count;
        let items: Vec<MemberObject> = members.iter().skip(skip).map(|(m, a)| MemberObject::of(a, Some(m))).collect();
        let next = u64::try_from(upto).ok().filter(|upto| *upto < total && !items.is_empty());
        Ok(Listing { items, next, total, total_is_exact: true, looked_through: None })
    };
    Ok(Answer(Members::of(read(&state, &id, page).await?, Clone::clone)))
}

/// Its timeline.
#[utoipa::path(get, path = "/api/incidents/{id}/timeline", tag = "incidents", operation_id = "incident_timeline",
    params(("id" = String, Path), ("limit" = Option<usize>, Query), ("cursor" = Option<String>, Query)), responses((status = 200, body = Timeline)))]
pub async fn timeline(
    _: Viewer,
    State(state): State<AppState>,
    Path(id): Path<String>,
    params: Params,
) -> Result<Answer<Timeline>, ApiError> {
    let (limit, before) = (params.limit()?, params.cursor()?);
    let page = move |view: &View, incident: Incident| {
        // One more than asked for tells whether there are older ones.
        let mut items = view.timeline(incident.id, before, limit + 1)?;
        let more = items.len() > limit;
        if more {
            items.remove(0);
        }
        let total = u64::try_from(items.len()).unwrap_or(u64::MAX);
        let next = items.first().filter(|_| more).map(|first| first.seq);
        Ok(Listing { items, next, total, total_is_exact: !more && before.is_none(), looked_through: None })
    };
    Ok(Answer(Timeline::of(read(&state, &id, page).await?, Clone::clone)))
}

/// The log of its investigation.
#[utoipa::path(get, path = "/api/incidents/{id}/thoughts", tag = "incidents", operation_id = "incident_thoughts",
    params(("id" = String, Path)), responses((status = 200, body = Thoughts)))]
pub async fn thoughts(
    _: Viewer,
    State(state): State<AppState>,
    Path(id): Path<String>,
) -> Result<Answer<Thoughts>, ApiError> {
    Ok(Answer(Thoughts::all(read(&state, &id, |view, i| view.thoughts(i.id)).await?)))
}

/// What to do.
#[utoipa::path(get, path = "/api/incidents/{id}/suggestions", tag = "incidents", operation_id = "incident_suggestions",
    params(("id" = String, Path)), responses((status = 200, body = Suggestions)))]
pub async fn suggestions(
    _: Viewer,
    State(state): State<AppState>,
    Path(id): Path<String>,
) -> Result<Answer<Suggestions>, ApiError> {
    Ok(Answer(Suggestions::all(read(&state, &id, |view, i| view.investigation(i.id)).await?.suggestions)))
}

/// What a person did with a suggestion.
#[derive(Debug, Deserialize, ToSchema)]
pub struct SuggestionPatch {
    /// `done`, `dismissed`, or `open` to take it back.
    state: SuggestionState,
}

/// Notes what a person did with a suggestion.
#[utoipa::path(patch, path = "/api/incidents/{id}/suggestions/{sid}", tag = "incidents", operation_id = "suggestion_patch", request_body = SuggestionPatch,
    params(("id" = String, Path), ("sid" = String, Path, description = "`S1`")), responses((status = 200, body = Suggestion)))]
pub async fn set_suggestion(
    who: Responder,
    State(state): State<AppState>,
    Path((id, sid)): Path<(String, String)>,
    Json(patch): Json<SuggestionPatch>,
) -> Result<Answer<Suggestion>, ApiError> {
    let id = incident_id(&id)?;
    Ok(Answer(state.store.set_suggestion_state(id, sid, patch.state, who.actor).await?))
}

/// Where a waiting investigation stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct QueuePlace {
    /// 1 for the next.
    position: usize,
    /// All that wait or run.
    of: usize,
}

/// What a person said of a cause.
#[derive(Debug, Deserialize, ToSchema)]
pub struct CausePatch {
    /// `right`, `wrong`, or null to take it back.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<Verdict>)]
    verdict: Option<Option<Verdict>>,
}

/// Says that a cause is it, which records it, or that it is not.
#[utoipa::path(patch, path = "/api/incidents/{id}/causes/{rank}", tag = "incidents", operation_id = "cause_patch", request_body = CausePatch,
    params(("id" = String, Path), ("rank" = String, Path, description = "`1` is the first")), responses((status = 200, body = Cause)))]
pub async fn judge_cause(
    who: Responder,
    State(state): State<AppState>,
    Path((id, rank)): Path<(String, String)>,
    Json(patch): Json<CausePatch>,
) -> Result<Answer<Cause>, ApiError> {
    let id = incident_id(&id)?;
    let missing = || ApiError::not_found(format!("cause {} of {id}", rank.chars().take(20).collect::<String>()));
    let rank = rank.parse().map_err(|_| missing())?;
    let verdict = patch.verdict.ok_or_else(|| ApiError::invalid("/verdict", "`right`, `wrong` or null is needed"))?;
    Ok(Answer(state.store.judge_cause(id, rank, None, verdict, who.actor).await?))
}

/// An investigation with its answer.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct InvestigationDetail {
    /// Its state.
    #[serde(flatten)]
    head: InvestigationObject,
    /// Its place among those that wait; none when it does not wait.
    queue: Option<QueuePlace>,
    /// Ranked.
    causes: Vec<Cause>,
    /// What a person found to be the cause.
    recorded: Option<RecordedCause>,
    /// What people said of causes, of earlier runs as well.
    judged: Vec<Judged>,
    /// What was put first before anybody had judged.
    first: Option<FirstAnswer>,
    /// In order of discovery.
    evidence: Vec<Evidence>,
    /// Diagnostics before fixes.
    suggestions: Vec<Suggestion>,
    /// In order.
    thoughts: Vec<Thought>,
    /// What a language model thinks of it, where one is asked.
    opinion: Option<Opinion>,
    /// The conversations with it that are kept, newest last.
    transcripts: Vec<TranscriptHead>,
}

/// A conversation with a language model, without what was said.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct TranscriptHead {
    /// Which run of the investigation.
    run: u64,
    /// When.
    at: Time,
    /// The model.
    model: String,
    /// How it was asked.
    form: OpinionForm,
    /// Requests, those without an answer among them.
    requests: usize,
    /// Calls of tools.
    calls: usize,
    /// Tokens read by the model.
    tokens_in: u64,
    /// Tokens written by it.
    tokens_out: u64,
    /// What that cost by the configured prices.
    cost: f64,
    /// Milliseconds that it took to answer.
    took_ms: u64,
}

impl TranscriptHead {
    fn of(t: &Transcript) -> Self {
        let sum = |f: fn(&Round) -> u64| t.rounds.iter().map(f).sum();
        Self {
            run: t.run,
            at: t.at,
            model: t.model.clone(),
            form: t.form,
            requests: t.rounds.len(),
            calls: t.rounds.iter().map(|r| r.calls.len()).sum(),
            tokens_in: sum(|r| r.tokens_in),
            tokens_out: sum(|r| r.tokens_out),
            cost: t.rounds.iter().map(|r| r.cost).sum(),
            took_ms: sum(|r| r.took_ms),
        }
    }
}

/// Its investigation.
#[utoipa::path(get, path = "/api/incidents/{id}/investigation", tag = "incidents", operation_id = "incident_investigation",
    params(("id" = String, Path)), responses((status = 200, body = InvestigationDetail)))]
pub async fn investigation(
    _: Viewer,
    State(state): State<AppState>,
    Path(id): Path<String>,
) -> Result<Answer<InvestigationDetail>, ApiError> {
    let detail = |view: &View, incident: Incident| {
        let answer = view.investigation(incident.id)?;
        Ok(InvestigationDetail {
            head: IncidentRow::of(&incident).investigation,
            queue: view.queue_place(incident.id)?.map(|(position, of)| QueuePlace { position, of }),
            causes: answer.causes,
            recorded: answer.recorded,
            judged: answer.judged,
            first: answer.first,
            evidence: answer.evidence,
            suggestions: answer.suggestions,
            thoughts: view.thoughts(incident.id)?,
            opinion: answer.opinion,
            transcripts: view.transcripts(incident.id)?.iter().map(TranscriptHead::of).collect(),
        })
    };
    Ok(Answer(read(&state, &id, detail).await?))
}

/// Conversations with a language model.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Transcripts {
    /// Oldest first.
    transcripts: Vec<Transcript>,
}

/// Everything that was said between its investigation and a language model, in the runs that are kept or in one of them.
/// For those who act on incidents, since it may hold lines of logs that nobody else is shown.
#[utoipa::path(get, path = "/api/incidents/{id}/investigation/transcript", tag = "incidents", operation_id = "incident_transcript",
    params(("id" = String, Path), ("run" = Option<u64>, Query)), responses((status = 200, body = Transcripts)))]
pub async fn transcript(
    _: Responder,
    State(state): State<AppState>,
    Path(id): Path<String>,
    params: Params,
) -> Result<Answer<Transcripts>, ApiError> {
    let number = |run: &str| run.parse::<u64>().map_err(|_| ApiError::invalid("run", "a number is taken"));
    let run = params.one("run").map(number).transpose()?;
    let found = move |view: &View, incident: Incident| {
        let mut transcripts = view.transcripts(incident.id)?;
        transcripts.retain(|t| run.is_none_or(|run| t.run == run));
        Ok(Transcripts { transcripts })
    };
    Ok(Answer(read(&state, &id, found).await?))
}

/// A language model, and what it may cost.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct ModelObject {
    /// Whether one is configured.
    enabled: bool,
    /// How it stands; none when none is configured.
    status: Option<ModelStatus>,
    /// What was spent today (UTC).
    spent: Spending,
}

/// The language model that gives second opinions.
#[utoipa::path(get, path = "/api/investigation/model", tag = "system", operation_id = "investigation_model",
    responses((status = 200, body = ModelObject)))]
pub async fn model(_: Viewer, State(state): State<AppState>) -> Result<Answer<ModelObject>, ApiError> {
    let status = state.model.as_ref().map(|m| m.borrow().clone());
    let now = state.clock.now();
    let spent = state.store.read(move |view| view.spending(now)).await?;
    Ok(Answer(ModelObject { enabled: status.is_some(), status, spent }))
}

/// Earlier incidents like it; maybe none.
#[utoipa::path(get, path = "/api/incidents/{id}/similar", tag = "incidents", operation_id = "incident_similar",
    params(("id" = String, Path)), responses((status = 200, body = Similars)))]
pub async fn similar(
    _: Viewer,
    State(state): State<AppState>,
    Path(id): Path<String>,
) -> Result<Answer<Similars>, ApiError> {
    let search = state.search.clone();
    let earlier = move |view: &View, incident: Incident| {
        let found = search.earlier(view, &incident, SimilarObject::MOST)?;
        Ok(found.into_iter().map(SimilarObject::of).collect())
    };
    Ok(Answer(Similars::all(read(&state, &id, earlier).await?)))
}
