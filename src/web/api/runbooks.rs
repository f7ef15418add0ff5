//! Runbooks: those of the store to read and change, those of the folder to read.

use std::collections::BTreeMap;

use axum::{
    Json as Answer,
    extract::State,
    http::{HeaderName, StatusCode, header},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{incidents::given, listing};
use crate::{
    investigation::{
        Shelf,
        runbooks::{Book, address},
    },
    model::*,
    store::{NewRunbook, RunbookPatch},
    web::{
        auth::{Responder, Viewer},
        error::ApiError,
        extract::{Json, Path},
        state::AppState,
    },
};

/// A runbook.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct RunbookObject {
    /// `R-3`, or the path of a file of the folder.
    id: String,
    /// `store`, or `folder`: that is changed by changing its file.
    source: &'static str,
    /// One line.
    title: String,
    /// Where it is, when it is kept elsewhere.
    url: Option<String>,
    /// Its page on this server.
    page: Option<String>,
    /// Its text; not in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    markdown: Option<String>,
    /// Names of alerts that it is for; `*` stands for anything.
    alerts: Vec<String>,
    /// Services that it is for.
    services: Vec<String>,
    /// Labels that an alert must have, all of them.
    labels: BTreeMap<String, String>,
    /// Words or phrases in titles and descriptions of alerts.
    keywords: Vec<String>,
    /// Who made it.
    author: Option<String>,
    /// When.
    created_at: Option<Time>,
    /// When it was last changed.
    updated_at: Option<Time>,
    /// By whom.
    updated_by: Option<String>,
}

listing! {
    /// Runbooks: of the store, then of the folder.
    Runbooks { runbooks: RunbookObject }
}

impl RunbookObject {
    fn of(r: Runbook, whole: bool) -> Self {
        Self {
            page: r.markdown.is_some().then(|| address(&r.id.to_string())),
            id: r.id.to_string(),
            source: "store",
            title: r.title,
            url: r.url,
            markdown: r.markdown.filter(|_| whole),
            alerts: r.alerts,
            services: r.services,
            labels: r.labels,
            keywords: r.keywords,
            author: Some(r.author),
            created_at: Some(r.created_at),
            updated_at: Some(r.updated_at),
            updated_by: r.updated_by,
        }
    }

    fn of_file(book: &Book) -> Self {
        Self {
            id: book.name.clone(),
            source: "folder",
            title: book.title.clone(),
            url: None,
            page: Some(address(&book.name)),
            markdown: None,
            alerts: book.alerts.clone(),
            services: book.services.clone(),
            labels: book.labels.clone(),
            keywords: book.keywords(),
            author: None,
            created_at: None,
            updated_at: None,
            updated_by: None,
        }
    }
}

/// A runbook to be made: one of `url` and `markdown` is needed.
#[derive(Debug, Default, Deserialize, ToSchema)]
pub struct MakeRunbook {
    /// One line.
    title: String,
    /// Where it is, when it is kept elsewhere.
    #[serde(default)]
    url: Option<String>,
    /// Its text, at most 64 KiB.
    #[serde(default)]
    markdown: Option<String>,
    /// Names of alerts that it is for; `*` stands for anything.
    #[serde(default)]
    alerts: Vec<String>,
    /// Services that it is for.
    #[serde(default)]
    services: Vec<String>,
    /// Labels that an alert must have, all of them.
    #[serde(default)]
    labels: BTreeMap<String, String>,
    /// Words or phrases in titles and descriptions of alerts.
    #[serde(default)]
    keywords: Vec<String>,
}

/// What is changed of one.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default)]
pub struct ChangeRunbook {
    /// One line.
    title: Option<String>,
    /// Null for none.
    #[serde(deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    url: Option<Option<String>>,
    /// Null for none.
    #[serde(deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    markdown: Option<Option<String>>,
    /// All of them.
    alerts: Option<Vec<String>>,
    /// All of them.
    services: Option<Vec<String>>,
    /// All of them.
    labels: Option<BTreeMap<String, String>>,
    /// All of them.
    keywords: Option<Vec<String>>,
}

fn id(text: &str) -> Result<RunbookId, ApiError> {
    text.parse().map_err(|_| ApiError::not_found(format!("runbook `{}`", text.chars().take(60).collect::<String>())))
}

/// What the folders hold; the disk may make it wait.
pub async fn shelf(state: &AppState) -> Result<Shelf, ApiError> {
    let library = state.library.clone();
    let looked = tokio::task::spawn_blocking(move || library.look()).await;
    looked.map_err(|e| ApiError::from(crate::store::StoreError::Io(e.to_string())))
}

/// All of them, those of the folder too.
#[utoipa::path(get, path = "/api/runbooks", tag = "runbooks", operation_id = "runbooks_list",
    responses((status = 200, body = Runbooks)))]
pub async fn list(_: Viewer, State(state): State<AppState>) -> Result<Answer<Runbooks>, ApiError> {
    let shelf = shelf(&state).await?;
    let rows = state.store.read(|view| view.runbooks()).await?;
    let stored = rows.into_iter().map(|r| RunbookObject::of(r, false));
    Ok(Answer(Runbooks::all(stored.chain(shelf.runbooks.iter().map(|b| RunbookObject::of_file(b))).collect())))
}

/// Makes one. Incidents that are investigated from now on know it.
#[utoipa::path(post, path = "/api/runbooks", tag = "runbooks", operation_id = "runbook_make", request_body = MakeRunbook,
    responses((status = 201, body = RunbookObject), (status = 422, description = "every mistake with its place")))]
pub async fn make(
    who: Responder,
    State(state): State<AppState>,
    Json(made): Json<MakeRunbook>,
) -> Result<(StatusCode, [(HeaderName, String); 1], Answer<RunbookObject>), ApiError> {
    let MakeRunbook { title, url, markdown, alerts, services, labels, keywords } = made;
    let new = NewRunbook { title, url, markdown, alerts, services, labels, keywords };
    let made = state.store.make_runbook(new, who.actor).await?;
    let location = [(header::LOCATION, format!("/api/runbooks/{}", made.id))];
    Ok((StatusCode::CREATED, location, Answer(RunbookObject::of(made, true))))
}

/// One of the store, with its text.
#[utoipa::path(get, path = "/api/runbooks/{id}", tag = "runbooks", operation_id = "runbook_get", params(("id" = String, Path)),
    responses((status = 200, body = RunbookObject)))]
pub async fn get(
    _: Viewer,
    State(state): State<AppState>,
    Path(named): Path<String>,
) -> Result<Answer<RunbookObject>, ApiError> {
    let id = id(&named)?;
    let found = state.store.read(move |view| view.runbook(id)).await?;
    found.map(|r| Answer(RunbookObject::of(r, true))).ok_or_else(|| ApiError::not_found(format!("runbook {id}")))
}

/// Changes one of the store.
#[utoipa::path(patch, path = "/api/runbooks/{id}", tag = "runbooks", operation_id = "runbook_change", request_body = ChangeRunbook,
    params(("id" = String, Path)), responses((status = 200, body = RunbookObject), (status = 422, description = "every mistake with its place")))]
pub async fn change(
    who: Responder,
    State(state): State<AppState>,
    Path(named): Path<String>,
    Json(c): Json<ChangeRunbook>,
) -> Result<Answer<RunbookObject>, ApiError> {
    let patch = RunbookPatch {
        title: c.title,
        url: c.url,
        markdown: c.markdown,
        alerts: c.alerts,
        services: c.services,
        labels: c.labels,
        keywords: c.keywords,
    };
    let changed = state.store.change_runbook(id(&named)?, patch, who.actor).await?;
    Ok(Answer(RunbookObject::of(changed, true)))
}

/// Removes one of the store.
#[utoipa::path(delete, path = "/api/runbooks/{id}", tag = "runbooks", operation_id = "runbook_remove", params(("id" = String, Path)),
    responses((status = 204)))]
pub async fn remove(
    who: Responder,
    State(state): State<AppState>,
    Path(named): Path<String>,
) -> Result<StatusCode, ApiError> {
    state.store.remove_runbook(id(&named)?, who.actor).await?;
    Ok(StatusCode::NO_CONTENT)
}
