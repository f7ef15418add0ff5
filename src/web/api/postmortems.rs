//! Postmortems: what stands, drafts, saving against others, versions, Markdown.

use std::{collections::BTreeMap, time::Duration};

use axum::{
    Json as Answer,
    body::Body,
    extract::State,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{incident_id, listing, params::Params};
use crate::{
    model::*,
    postmortem::{self, Material},
    search::Search,
    store::{Against, PostmortemEdit, Saved, StoreError, View},
    web::{
        auth::{Responder, Viewer},
        error::ApiError,
        extract::{Json, OptionalJson, Path, read_body},
        state::AppState,
    },
};

/// Alerts that a draft is made from.
const ALERTS: usize = 500;
/// Timeline entries that a draft is made from.
const TIMELINE: usize = 2_000;
/// Services whose changes a draft tells, and changes of each.
const SERVICES: usize = 8;
const CHANGES: usize = 20;
/// Changes this long before the first alert belong to the story.
const BEFORE: Duration = Duration::from_secs(2 * 3600);
/// Earlier incidents that a draft names.
const EARLIER: usize = 3;

listing! {
    /// Postmortems.
    Postmortems { postmortems: PostmortemHead }
}
listing! {
    /// Versions of a postmortem, newest first.
    PostmortemVersions { versions: VersionHead }
}

/// A postmortem as lists show it.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct PostmortemHead {
    /// Of which incident.
    pub incident_id: IncidentId,
    /// One line.
    pub title: String,
    /// Whether it is finished.
    pub state: PostmortemState,
    /// The version that stands.
    pub version: u64,
    /// When it was begun.
    pub created_at: Time,
    /// When its text changed last.
    pub updated_at: Time,
    /// Who changed it.
    pub updated_by: String,
    /// When it was published.
    pub published_at: Option<Time>,
    /// Who published it.
    pub published_by: Option<String>,
    /// Actions in it.
    pub action_count: u64,
    /// Those that are not done although their day is over.
    pub overdue: u64,
    /// Places that people still have to fill in.
    pub gaps: u64,
}

impl PostmortemHead {
    /// From the stored row.
    pub fn of(p: &Postmortem, now: Time) -> Self {
        let today = today(now);
        let count = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
        Self {
            incident_id: p.incident,
            title: p.text.title.clone(),
            state: p.state,
            version: p.version,
            created_at: p.created_at,
            updated_at: p.updated_at,
            updated_by: p.updated_by.clone(),
            published_at: p.published_at,
            published_by: p.published_by.clone(),
            action_count: count(p.text.actions.len()),
            overdue: count(p.text.actions.iter().filter(|a| a.is_overdue(today)).count()),
            gaps: count(postmortem::gaps(&p.text)),
        }
    }
}

/// The day, in UTC.
pub fn today(now: Time) -> jiff::civil::Date {
    now.timestamp().to_zoned(jiff::tz::TimeZone::UTC).date()
}

/// A postmortem with its text.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct PostmortemObject {
    /// As in lists.
    #[serde(flatten)]
    pub head: PostmortemHead,
    /// A draft that was made later than what people wrote, to compare with.
    pub newer_draft: Option<u64>,
    /// Markdown by section: `summary`, `impact`, `timeline`, `causes`, `went_well`, `went_badly`.
    #[schema(value_type = BTreeMap<String, String>)]
    pub sections: BTreeMap<PostmortemSection, String>,
    /// What is to be done.
    pub actions: Vec<PostmortemAction>,
    /// The whole as one document.
    pub markdown: String,
}

/// A postmortem after a draft was made.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct DraftedPostmortem {
    /// As it stands; the draft is its text only while nobody has changed it.
    #[serde(flatten)]
    pub postmortem: PostmortemObject,
    /// The draft's version.
    pub draft_version: u64,
}

/// A version without its text.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct VersionHead {
    /// 1, 2, 3 … in order.
    pub version: u64,
    /// When.
    pub at: Time,
    /// Who.
    pub by: String,
    /// How it came about.
    pub kind: VersionKind,
    /// What was done.
    pub what: String,
}

impl VersionHead {
    fn of(v: &PostmortemVersion) -> Self {
        Self { version: v.version, at: v.at, by: v.by.clone(), kind: v.kind, what: v.what.clone() }
    }
}

/// A version with its text.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct VersionObject {
    /// As in lists.
    #[serde(flatten)]
    pub head: VersionHead,
    /// One line.
    pub title: String,
    /// Markdown by section.
    #[schema(value_type = BTreeMap<String, String>)]
    pub sections: BTreeMap<PostmortemSection, String>,
    /// What was to be done.
    pub actions: Vec<PostmortemAction>,
}

/// What a draft is made from; none when there is no such incident.
pub fn material(view: &View, search: &Search, id: IncidentId, now: Time) -> Result<Option<Material>, StoreError> {
    let Some(incident) = view.incident(id)? else { return Ok(None) };
    let alerts: Vec<Alert> = view.members(id, ALERTS)?.into_iter().map(|(_, a)| a).collect();
    let mut material = Material {
        alerts,
        answer: view.investigation(id)?,
        timeline: view.timeline(id, None, TIMELINE)?,
        changes: Vec::new(),
        before: search.earlier(view, &incident, EARLIER)?.into_iter().map(|(i, _)| i).collect(),
        now,
        incident,
    }
    .in_order();
    let (from, to) = (material.onset().minus(BEFORE), material.end());
    for service in material.incident.affected_services.iter().take(SERVICES) {
        material.changes.extend(view.changes(Some(service), from, to, CHANGES)?);
    }
    Ok(Some(material.in_order()))
}

/// A postmortem with what is read beside it.
pub fn object(view: &View, p: &Postmortem, now: Time) -> Result<PostmortemObject, StoreError> {
    let evidence = view.investigation(p.incident)?.evidence;
    let markdown = match view.incident(p.incident)? {
        Some(incident) => postmortem::markdown(&incident, p, &evidence),
        None => String::new(),
    };
    Ok(PostmortemObject {
        head: PostmortemHead::of(p, now),
        newer_draft: newer_draft(view, p)?,
        sections: p.text.sections.clone(),
        actions: p.text.actions.clone(),
        markdown,
    })
}

/// The last version, where it is a draft beside the text.
pub fn newer_draft(view: &View, p: &Postmortem) -> Result<Option<u64>, StoreError> {
    if p.last_version == p.version {
        return Ok(None);
    }
    let last = view.postmortem_version(p.incident, p.last_version)?;
    Ok(last.filter(|v| v.kind == VersionKind::Draft).map(|v| v.version))
}

async fn standing(state: &AppState, id: IncidentId) -> Result<PostmortemObject, ApiError> {
    let now = state.clock.now();
    let found = state.store.read(move |view| view.postmortem(id)?.map(|p| object(view, &p, now)).transpose()).await?;
    found.ok_or_else(|| ApiError::not_found(format!("postmortem of {id}")))
}

/// All postmortems, newest incident first.
#[utoipa::path(get, path = "/api/postmortems", tag = "postmortems", operation_id = "postmortems_list",
    params(("limit" = Option<usize>, Query), ("cursor" = Option<String>, Query)), responses((status = 200, body = Postmortems)))]
pub async fn list(_: Viewer, State(state): State<AppState>, params: Params) -> Result<Answer<Postmortems>, ApiError> {
    let (cursor, limit, now) = (params.cursor()?, params.limit()?, state.clock.now());
    let listing = state.store.read(move |view| view.postmortems(cursor, limit)).await?;
    Ok(Answer(Postmortems::of(listing, |p| PostmortemHead::of(p, now))))
}

/// The postmortem of an incident.
#[utoipa::path(get, path = "/api/incidents/{id}/postmortem", tag = "postmortems", operation_id = "postmortem_get",
    params(("id" = String, Path)), responses((status = 200, body = PostmortemObject)))]
pub async fn get(
    _: Viewer,
    State(state): State<AppState>,
    Path(id): Path<String>,
) -> Result<Answer<PostmortemObject>, ApiError> {
    Ok(Answer(standing(&state, incident_id(&id)?).await?))
}

/// What is changed at once; what is left out stays.
#[derive(Debug, Default, Deserialize, ToSchema)]
pub struct PostmortemPut {
    /// The version that was read before; left out or 0 to begin one.
    version: Option<u64>,
    /// 1 to 300 characters.
    title: Option<String>,
    /// Markdown by section.
    #[serde(default)]
    #[schema(value_type = BTreeMap<String, String>)]
    sections: BTreeMap<PostmortemSection, String>,
    /// All actions.
    actions: Option<Vec<PostmortemAction>>,
}

/// Saves what was written as a new version, or says who was faster.
async fn save(
    state: &AppState,
    id: IncidentId,
    version: Option<u64>,
    edit: PostmortemEdit,
    actor: Actor,
) -> Result<Answer<PostmortemObject>, ApiError> {
    let yours = serde_json::json!({ "version": version, "title": edit.title, "sections": edit.sections, "actions": edit.actions });
    match state.store.save_postmortem(id, version, edit, Against::Whole, actor).await? {
        Saved::Done(_) => Ok(Answer(standing(state, id).await?)),
        Saved::Overtaken(p) => {
            let now = state.clock.now();
            let by = p.updated_by.clone();
            let current = state.store.read(move |view| object(view, &p, now)).await?;
            let detail = match version {
                None => format!("{id} has a postmortem: `version` is needed, {} is what stands", current.head.version),
                Some(had) => format!("version {had} no longer stands: {by} saved {} meanwhile", current.head.version),
            };
            let current = serde_json::to_value(current).unwrap_or_default();
            let error = ApiError::new(StatusCode::CONFLICT, "overtaken", detail);
            Err(error.with("current", current).with("yours", yours))
        }
    }
}

/// Saves a new version. When somebody saved meanwhile, 409 has what stands in `current` and what was sent in `yours`.
#[utoipa::path(put, path = "/api/incidents/{id}/postmortem", tag = "postmortems", operation_id = "postmortem_put", request_body = PostmortemPut,
    params(("id" = String, Path)), responses((status = 200, body = PostmortemObject), (status = 409, description = "somebody saved meanwhile; `current` is what stands, `yours` what was sent")))]
pub async fn put(
    who: Responder,
    State(state): State<AppState>,
    Path(id): Path<String>,
    Json(body): Json<PostmortemPut>,
) -> Result<Answer<PostmortemObject>, ApiError> {
    let id = incident_id(&id)?;
    let edit = PostmortemEdit { title: body.title, sections: body.sections, actions: body.actions };
    save(&state, id, body.version, edit, who.actor).await
}

/// Drafts it from what is stored; what people wrote stays, and the draft is a version beside it.
#[utoipa::path(post, path = "/api/incidents/{id}/postmortem/draft", tag = "postmortems", operation_id = "postmortem_draft",
    params(("id" = String, Path)), responses((status = 200, body = DraftedPostmortem), (status = 409, description = "the incident is merged")))]
pub async fn draft(
    who: Responder,
    State(state): State<AppState>,
    Path(id): Path<String>,
) -> Result<Answer<DraftedPostmortem>, ApiError> {
    let id = incident_id(&id)?;
    let draft_version = make_draft(&state, id, who.actor).await?;
    Ok(Answer(DraftedPostmortem { postmortem: standing(&state, id).await?, draft_version }))
}

/// Makes a draft and stores it. Its version.
pub async fn make_draft(state: &AppState, id: IncidentId, actor: Actor) -> Result<u64, ApiError> {
    let (search, now) = (state.search.clone(), state.clock.now());
    let material = state.store.read(move |view| material(view, &search, id, now)).await?;
    let material = material.ok_or_else(|| ApiError::not_found(id))?;
    Ok(state.store.draft_postmortem(id, postmortem::draft(&material), actor).await?.1)
}

/// Publishes it; its incident must be resolved, and stays so.
#[utoipa::path(post, path = "/api/incidents/{id}/postmortem/publish", tag = "postmortems", operation_id = "postmortem_publish",
    params(("id" = String, Path)), responses((status = 200, body = PostmortemObject), (status = 409, description = "the incident is not resolved")))]
pub async fn publish(
    who: Responder,
    State(state): State<AppState>,
    Path(id): Path<String>,
) -> Result<Answer<PostmortemObject>, ApiError> {
    let id = incident_id(&id)?;
    state.store.publish_postmortem(id, true, who.actor).await?;
    Ok(Answer(standing(&state, id).await?))
}

/// Makes it a draft again.
#[utoipa::path(post, path = "/api/incidents/{id}/postmortem/unpublish", tag = "postmortems", operation_id = "postmortem_unpublish",
    params(("id" = String, Path)), responses((status = 200, body = PostmortemObject)))]
pub async fn unpublish(
    who: Responder,
    State(state): State<AppState>,
    Path(id): Path<String>,
) -> Result<Answer<PostmortemObject>, ApiError> {
    let id = incident_id(&id)?;
    state.store.publish_postmortem(id, false, who.actor).await?;
    Ok(Answer(standing(&state, id).await?))
}

/// Its versions, newest first.
#[utoipa::path(get, path = "/api/incidents/{id}/postmortem/versions", tag = "postmortems", operation_id = "postmortem_versions",
    params(("id" = String, Path), ("limit" = Option<usize>, Query), ("cursor" = Option<String>, Query)), responses((status = 200, body = PostmortemVersions)))]
pub async fn versions(
    _: Viewer,
    State(state): State<AppState>,
    Path(id): Path<String>,
    params: Params,
) -> Result<Answer<PostmortemVersions>, ApiError> {
    let id = incident_id(&id)?;
    let (cursor, limit) = (params.cursor()?, params.limit()?);
    let found = state
        .store
        .read(move |view| {
            if view.postmortem(id)?.is_none() {
                return Ok(None);
            }
            // One more than asked for tells whether there are older ones.
            Ok(Some(view.postmortem_versions(id, cursor, limit + 1)?))
        })
        .await?;
    let mut items = found.ok_or_else(|| ApiError::not_found(format!("postmortem of {id}")))?;
    let more = items.len() > limit;
    items.truncate(limit);
    let next = items.last().filter(|_| more).map(|v| v.version);
    let total = u64::try_from(items.len()).unwrap_or(u64::MAX);
    let listing =
        crate::store::Listing { items, next, total, total_is_exact: !more && cursor.is_none(), looked_through: None };
    Ok(Answer(PostmortemVersions::of(listing, VersionHead::of)))
}

fn version_number(text: &str) -> Result<u64, ApiError> {
    text.parse().map_err(|_| ApiError::not_found(format!("version `{}`", text.chars().take(20).collect::<String>())))
}

/// One version with its text.
#[utoipa::path(get, path = "/api/incidents/{id}/postmortem/versions/{version}", tag = "postmortems", operation_id = "postmortem_version",
    params(("id" = String, Path), ("version" = String, Path)), responses((status = 200, body = VersionObject)))]
pub async fn version(
    _: Viewer,
    State(state): State<AppState>,
    Path((id, n)): Path<(String, String)>,
) -> Result<Answer<VersionObject>, ApiError> {
    let (id, n) = (incident_id(&id)?, version_number(&n)?);
    let found = state.store.read(move |view| view.postmortem_version(id, n)).await?;
    let v = found.ok_or_else(|| ApiError::not_found(format!("version {n} of the postmortem of {id}")))?;
    let head = VersionHead::of(&v);
    Ok(Answer(VersionObject { head, title: v.text.title, sections: v.text.sections, actions: v.text.actions }))
}

/// What is taken back.
#[derive(Debug, Default, Deserialize, ToSchema)]
pub struct RestorePart {
    /// Only this section; the whole version when left out.
    section: Option<PostmortemSection>,
}

/// Makes an earlier version, or one section of it, what stands: as a new version.
#[utoipa::path(post, path = "/api/incidents/{id}/postmortem/versions/{version}/restore", tag = "postmortems", operation_id = "postmortem_restore",
    request_body = Option<RestorePart>, params(("id" = String, Path), ("version" = String, Path)), responses((status = 200, body = PostmortemObject)))]
pub async fn restore(
    who: Responder,
    State(state): State<AppState>,
    Path((id, n)): Path<(String, String)>,
    OptionalJson(part): OptionalJson<RestorePart>,
) -> Result<Answer<PostmortemObject>, ApiError> {
    let (id, n) = (incident_id(&id)?, version_number(&n)?);
    state.store.restore_postmortem(id, n, part.section, who.actor).await?;
    Ok(Answer(standing(&state, id).await?))
}

/// The whole as a file of Markdown.
#[utoipa::path(get, path = "/api/incidents/{id}/postmortem.md", tag = "postmortems", operation_id = "postmortem_markdown",
    params(("id" = String, Path)), responses((status = 200, description = "the document", body = String, content_type = "text/markdown")))]
pub async fn markdown(_: Viewer, State(state): State<AppState>, Path(id): Path<String>) -> Result<Response, ApiError> {
    let id = incident_id(&id)?;
    let text = standing(&state, id).await?.markdown;
    let mut response = text.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/markdown; charset=utf-8"));
    let disposition = format!("attachment; filename=\"{}\"", postmortem::file_name(id));
    if let Ok(value) = HeaderValue::from_str(&disposition) {
        headers.insert(header::CONTENT_DISPOSITION, value);
    }
    Ok(response)
}

/// Saves the whole from a document of Markdown, in the form in which it is read: title, sections, the table of actions.
/// What the document leaves out stays; facts and evidence in it are passed over. The version that it was made of stands in
/// it, or in `version`. When somebody saved meanwhile, 409 as for the parts.
#[utoipa::path(put, path = "/api/incidents/{id}/postmortem.md", tag = "postmortems", operation_id = "postmortem_put_markdown",
    request_body(content = String, content_type = "text/markdown"),
    params(("id" = String, Path), ("version" = Option<u64>, Query, description = "the version that was read before; else what the document says")),
    responses((status = 200, body = PostmortemObject), (status = 409, description = "somebody saved meanwhile; `current` is what stands, `yours` what was sent"),
        (status = 422, description = "the line that cannot be read, and what would be right")))]
pub async fn put_markdown(
    who: Responder,
    State(state): State<AppState>,
    Path(id): Path<String>,
    params: Params,
    body: Body,
) -> Result<Answer<PostmortemObject>, ApiError> {
    let id = incident_id(&id)?;
    let bytes = read_body(body, state.config.max_body).await?;
    let text = std::str::from_utf8(&bytes).map_err(|e| {
        ApiError::bad_request("not_text", format!("the document is not UTF-8 from byte {} on", e.valid_up_to()))
    })?;
    let read = postmortem::read(text).map_err(|e| ApiError::invalid(format!("/line/{}", e.line), e.to_string()))?;
    let postmortem::Written { version, title, sections, actions } = read;
    let given = params.one("version").map(str::parse).transpose();
    let given = given.map_err(|_| ApiError::invalid("version", "a number is needed"))?;
    save(&state, id, given.or(version), PostmortemEdit { title, sections, actions }, who.actor).await
}
