//! Signed-in browsers: everybody sees and ends their own, administrators all.

use axum::{Json as Answer, extract::State, http::StatusCode};

use super::{listing, objects::SessionObject, params::Params};
use crate::web::{
    auth::{Identity, Viewer},
    error::ApiError,
    extract::Path,
    state::AppState,
};

listing! {
    /// Sessions, the one used last first.
    Sessions { sessions: SessionObject }
}

/// Those that somebody may see: their own, and for administrators all, or those of `user`.
pub async fn seen(state: &AppState, who: &Identity, user: Option<&str>) -> Result<Vec<SessionObject>, ApiError> {
    let own = who.account.as_ref().map(|a| a.name.clone());
    if user.is_some_and(|user| own.as_deref() != Some(user)) && !who.may_set_up() {
        return Err(ApiError::forbidden("only administrators see the sessions of others"));
    }
    let of = match (user, who.may_set_up()) {
        (Some(user), _) => Some(user.to_owned()),
        (None, true) => None,
        // A token has none.
        (None, false) => Some(own.unwrap_or_default()),
    };
    let (now, mine) = (state.clock.now(), who.session.map(|s| s.hash));
    let all = state.store.read(move |view| view.sessions(now)).await?;
    let wanted = all.iter().filter(|(_, s)| of.as_ref().is_none_or(|name| *name == s.account));
    Ok(wanted.map(|(hash, s)| SessionObject::of(hash, s, mine)).collect())
}

/// Ends one that somebody may end.
pub async fn end(state: &AppState, who: &Identity, id: String) -> Result<(), ApiError> {
    let own = who.account.as_ref().map(|a| a.name.clone()).unwrap_or_default();
    let of = if who.may_set_up() { None } else { Some(own) };
    Ok(state.store.revoke_session(id, of, who.actor.clone()).await?)
}

/// Signed-in browsers: one's own, or for administrators everybody's.
#[utoipa::path(get, path = "/api/sessions", tag = "access", operation_id = "sessions_list",
    params(("user" = Option<String>, Query, description = "of this person only")), responses((status = 200, body = Sessions)))]
pub async fn list(who: Viewer, State(state): State<AppState>, params: Params) -> Result<Answer<Sessions>, ApiError> {
    Ok(Answer(Sessions::all(seen(&state, &who.identity, params.one("user")).await?)))
}

/// Ends a session: one's own, or for administrators anybody's.
#[utoipa::path(delete, path = "/api/sessions/{id}", tag = "access", operation_id = "session_revoke", params(("id" = String, Path)),
    responses((status = 204)))]
pub async fn revoke(
    who: Viewer,
    State(state): State<AppState>,
    Path(id): Path<String>,
) -> Result<StatusCode, ApiError> {
    end(&state, &who.identity, id).await?;
    Ok(StatusCode::NO_CONTENT)
}
