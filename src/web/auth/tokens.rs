//! Tokens of programs. Only the digest is stored; the token itself is shown once.

use super::secret;
use crate::{
    model::*,
    web::{error::ApiError, state::AppState},
};

/// What a new token shall be.
#[derive(Clone, Debug, PartialEq)]
pub struct NewToken {
    /// Unique, 1 to 64 characters.
    pub name: String,
    /// At least one.
    pub scopes: Vec<Scope>,
    /// Works until.
    pub expires_at: Option<Time>,
}

/// Makes a token: the stored part, and the token itself, which nobody can see again.
pub async fn create_token(state: &AppState, new: NewToken, actor: Actor) -> Result<(Token, String), ApiError> {
    let name = new.name.trim().to_owned();
    if name.is_empty() || name.chars().count() > 64 || name.chars().any(char::is_control) {
        return Err(ApiError::invalid("/name", "a name has 1 to 64 characters"));
    }
    if name == "bootstrap" {
        return Err(ApiError::invalid("/name", "`bootstrap` is the token of the configuration"));
    }
    let mut scopes = new.scopes;
    scopes.sort();
    scopes.dedup();
    if scopes.is_empty() {
        return Err(ApiError::invalid("/scopes", "a token needs at least one of ingest, read, write, admin"));
    }
    let now = state.clock.now();
    if new.expires_at.is_some_and(|at| at <= now) {
        return Err(ApiError::invalid("/expires_at", "this time is past"));
    }
    let random = secret::random::<32>().map_err(|_| ApiError::internal())?;
    let plain = format!("wf_{random}");
    let token = Token {
        name,
        scopes,
        hash: secret::digest(&plain),
        hint: plain.chars().take(7).collect(),
        created_at: now,
        created_by: actor.to_string(),
        expires_at: new.expires_at,
        last_used: None,
    };
    state.store.create_token(token.clone(), actor).await?;
    Ok((token, plain))
}
