//! Saved views of lists.

use axum::{
    Json as Answer,
    extract::State,
    http::{HeaderName, StatusCode, header},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::listing;
use crate::{
    model::*,
    store::ViewPatch,
    web::{
        auth::{Responder, Viewer},
        error::ApiError,
        extract::{Json, Path},
        saved_views::counted,
        state::AppState,
    },
};

/// A saved view with how many incidents it shows.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct ViewObject {
    /// The view.
    #[serde(flatten)]
    view: SavedView,
    /// How many incidents or alerts fit it now, up to 100.
    count: u64,
    /// Its page on this server.
    page: String,
}

listing! {
    /// Saved views, oldest first.
    SavedViews { views: ViewObject }
}

/// A view to be kept.
#[derive(Debug, Deserialize, ToSchema)]
pub struct MakeView {
    /// One line of at most 60 characters.
    name: String,
    /// What it lists.
    #[serde(default = "ViewKind::usual")]
    kind: ViewKind,
    /// What it shows.
    q: String,
    /// Everybody sees it.
    #[serde(default)]
    shared: bool,
}

/// What is changed of one.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default)]
pub struct ChangeView {
    /// One line of at most 60 characters.
    name: Option<String>,
    /// What it shows.
    q: Option<String>,
    /// Everybody sees it.
    shared: Option<bool>,
}

fn id(text: &str) -> Result<ViewId, ApiError> {
    text.parse().map_err(|_| ApiError::not_found(format!("saved view `{}`", text.chars().take(60).collect::<String>())))
}

async fn object(state: &AppState, view: SavedView, me: String) -> Result<ViewObject, ApiError> {
    let (search, now) = (state.search.clone(), state.clock.now());
    let page = format!("/{}?view={}", view.kind, view.id);
    let (count, view) = state.store.read(move |v| Ok((counted(v, &search, &view, &me, now)?, view))).await?;
    Ok(ViewObject { view, count, page })
}

/// Own views and those that are shared.
#[utoipa::path(get, path = "/api/views", tag = "views", operation_id = "views_list", responses((status = 200, body = SavedViews)))]
pub async fn list(who: Viewer, State(state): State<AppState>) -> Result<Answer<SavedViews>, ApiError> {
    let me = who.identity.name();
    let name = me.clone();
    let mut found = Vec::new();
    for view in state.store.read(move |view| view.saved_views(&name)).await? {
        found.push(object(&state, view, me.clone()).await?);
    }
    Ok(Answer(SavedViews::all(found)))
}

/// Keeps a view.
#[utoipa::path(post, path = "/api/views", tag = "views", operation_id = "view_make", request_body = MakeView,
    responses((status = 201, body = ViewObject), (status = 422, description = "every mistake with its place")))]
pub async fn make(
    who: Responder,
    State(state): State<AppState>,
    Json(new): Json<MakeView>,
) -> Result<(StatusCode, [(HeaderName, String); 1], Answer<ViewObject>), ApiError> {
    let me = who.identity.name();
    let made = state.store.save_view((new.kind, new.name), new.q, new.shared, who.actor).await?;
    state.shared.saved.forget();
    let location = [(header::LOCATION, format!("/api/views/{}", made.id))];
    Ok((StatusCode::CREATED, location, Answer(object(&state, made, me).await?)))
}

/// One of them.
#[utoipa::path(get, path = "/api/views/{id}", tag = "views", operation_id = "view_get", params(("id" = String, Path)),
    responses((status = 200, body = ViewObject)))]
pub async fn get(
    who: Viewer,
    State(state): State<AppState>,
    Path(named): Path<String>,
) -> Result<Answer<ViewObject>, ApiError> {
    let (id, me) = (id(&named)?, who.identity.name());
    let name = me.clone();
    let found = state.store.read(move |view| view.saved_view(id, &name)).await?;
    let view = found.ok_or_else(|| ApiError::not_found(format!("saved view {id}")))?;
    Ok(Answer(object(&state, view, me).await?))
}

/// Changes an own one; whoever may set up changes any that is shared.
#[utoipa::path(patch, path = "/api/views/{id}", tag = "views", operation_id = "view_change", request_body = ChangeView,
    params(("id" = String, Path)), responses((status = 200, body = ViewObject), (status = 422, description = "every mistake with its place")))]
pub async fn change(
    who: Responder,
    State(state): State<AppState>,
    Path(named): Path<String>,
    Json(c): Json<ChangeView>,
) -> Result<Answer<ViewObject>, ApiError> {
    let (me, all) = (who.identity.name(), who.identity.may_set_up());
    let patch = ViewPatch { name: c.name, q: c.q, shared: c.shared };
    let changed = state.store.change_view(id(&named)?, patch, all, who.actor).await?;
    state.shared.saved.forget();
    Ok(Answer(object(&state, changed, me).await?))
}

/// Removes an own one; whoever may set up removes any that is shared.
#[utoipa::path(delete, path = "/api/views/{id}", tag = "views", operation_id = "view_remove", params(("id" = String, Path)),
    responses((status = 204)))]
pub async fn remove(
    who: Responder,
    State(state): State<AppState>,
    Path(named): Path<String>,
) -> Result<StatusCode, ApiError> {
    let all = who.identity.may_set_up();
    state.store.remove_view(id(&named)?, all, who.actor).await?;
    state.shared.saved.forget();
    Ok(StatusCode::NO_CONTENT)
}
