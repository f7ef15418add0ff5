//! Saved views: how a list offers to keep one, and the forms.

use axum::{
    extract::{Path, State},
    response::Response,
};

use super::{act::Form, alerts, ask::back, incidents, said::Said};
use crate::{
    model::{SavedView, ViewId, ViewKind},
    store::{CommandError, ViewPatch},
    web::{error::ApiError, saved_views::Kept, state::AppState},
};

/// What a list offers to keep.
#[derive(Clone, Debug)]
pub struct Keep {
    /// Of which list.
    pub kind: ViewKind,
    /// What it shows.
    pub q: String,
    /// The saved view that is shown, where the reader may change it.
    pub own: Option<Own>,
}

/// A saved view that the reader may change.
#[derive(Clone, Debug)]
pub struct Own {
    /// Its name in addresses.
    pub id: ViewId,
    /// Its name.
    pub name: String,
    /// Everybody sees it.
    pub shared: bool,
}

impl Own {
    /// Of one that is kept.
    pub fn of(v: &Kept) -> Self {
        Self { id: v.id, name: v.name.clone(), shared: v.shared }
    }
}

fn id(text: &str) -> Result<ViewId, ApiError> {
    text.parse().map_err(|_| ApiError::not_found("such saved view"))
}

fn address(v: &SavedView) -> String {
    format!("/{}?view={}", v.kind, v.id)
}

/// The view of the list that was made or changed; or why not, as a page of its own.
fn answer(state: &AppState, done: Result<String, CommandError>, word: &str) -> Result<Response, ApiError> {
    let to = done?;
    state.shared.saved.forget();
    Ok(back(&to, Some(Said::new(word))))
}

/// `POST /incidents/views`
pub async fn save(State(state): State<AppState>, form: Form) -> Result<Response, ApiError> {
    let kind: ViewKind = form.fields.get("kind").parse().unwrap_or(ViewKind::usual());
    let q = match (form.fields.get("q").trim(), kind) {
        ("", ViewKind::Incidents) => incidents::DEFAULT_QUERY,
        ("", ViewKind::Alerts) => alerts::DEFAULT_QUERY,
        (q, _) => q,
    };
    let shared = form.fields.checked("shared");
    let name = form.fields.get("name").to_owned();
    let made = state.store.save_view((kind, name), q.to_owned(), shared, form.actor).await;
    answer(&state, made.map(|v| address(&v)), "view-saved")
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
    answer(&state, changed.map(|v| address(&v)), "view-saved")
}

/// `POST /incidents/views/{id}/remove`
pub async fn remove(
    State(state): State<AppState>,
    Path(named): Path<String>,
    form: Form,
) -> Result<Response, ApiError> {
    let all = form.ask.identity.may_set_up();
    let list = format!("/{}", form.fields.get("kind").parse().unwrap_or(ViewKind::usual()));
    let removed = state.store.remove_view(id(&named)?, all, form.actor).await;
    answer(&state, removed.map(|()| list), "view-gone")
}
