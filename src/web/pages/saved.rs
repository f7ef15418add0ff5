//! Forms of saved views.

use axum::{
    extract::{Path, State},
    response::Response,
};

use super::{act::Form, ask::back, incidents::DEFAULT_QUERY, said::Said, terms::href};
use crate::{
    model::ViewId,
    store::{CommandError, ViewPatch},
    web::{error::ApiError, state::AppState},
};

fn id(text: &str) -> Result<ViewId, ApiError> {
    text.parse().map_err(|_| ApiError::not_found("such saved view"))
}

fn address(id: ViewId) -> String {
    href("/incidents", "", &[("view", &id.to_string())])
}

/// The view of the list that was made or changed; or why not, as a page of its own.
fn answer(state: &AppState, done: Result<String, CommandError>, word: &str) -> Result<Response, ApiError> {
    let to = done?;
    state.shared.saved.forget();
    Ok(back(&to, Some(Said::new(word))))
}

/// `POST /incidents/views`
pub async fn save(State(state): State<AppState>, form: Form) -> Result<Response, ApiError> {
    let q = match form.fields.get("q").trim() {
        "" => DEFAULT_QUERY,
        q => q,
    };
    let shared = form.fields.checked("shared");
    let made = state.store.save_view(form.fields.get("name").to_owned(), q.to_owned(), shared, form.actor).await;
    answer(&state, made.map(|v| address(v.id)), "view-saved")
}

/// `POST /incidents/views/{id}`: another name, other readers, or the query that is shown now.
pub async fn change(
    State(state): State<AppState>,
    Path(named): Path<String>,
    form: Form,
) -> Result<Response, ApiError> {
    let all = form.ask.identity.may_set_up();
    let q = form.fields.get("q").trim().to_owned();
    let patch = ViewPatch {
        name: Some(form.fields.get("name").to_owned()),
        q: Some(q).filter(|q| !q.is_empty()),
        shared: Some(form.fields.checked("shared")),
    };
    let changed = state.store.change_view(id(&named)?, patch, all, form.actor).await;
    answer(&state, changed.map(|v| address(v.id)), "view-saved")
}

/// `POST /incidents/views/{id}/remove`
pub async fn remove(
    State(state): State<AppState>,
    Path(named): Path<String>,
    form: Form,
) -> Result<Response, ApiError> {
    let all = form.ask.identity.may_set_up();
    let removed = state.store.remove_view(id(&named)?, all, form.actor).await;
    answer(&state, removed.map(|()| "/incidents".to_owned()), "view-gone")
}
