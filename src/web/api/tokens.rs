//! Tokens of programs.

use axum::{Json as Answer, extract::State, http::StatusCode};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{listing, objects::TokenObject};
use crate::{
    model::*,
    web::{
        auth::{self, Admin, NewToken},
        error::ApiError,
        extract::{Json, Path},
        state::AppState,
    },
};

listing! {
    /// Tokens, by name.
    Tokens { tokens: TokenObject }
}

/// All tokens, without the tokens themselves.
#[utoipa::path(get, path = "/api/tokens", tag = "access", operation_id = "tokens_list", responses((status = 200, body = Tokens)))]
pub async fn list(_: Admin, State(state): State<AppState>) -> Result<Answer<Tokens>, ApiError> {
    let all = state.store.read(|view| view.tokens()).await?;
    Ok(Answer(Tokens::all(all.iter().map(TokenObject::of).collect())))
}

/// A token more.
#[derive(Debug, Deserialize, ToSchema)]
pub struct TokenWish {
    /// Unique, 1 to 64 characters.
    name: String,
    /// At least one.
    scopes: Vec<Scope>,
    /// Works until; for ever when left out.
    #[serde(default)]
    expires_at: Option<Time>,
}

/// A new token; the only time that it is shown.
#[derive(Serialize, ToSchema)]
pub struct MadeToken {
    /// The token.
    token: String,
    /// What is kept of it.
    #[serde(flatten)]
    kept: TokenObject,
}

/// Makes a token.
#[utoipa::path(post, path = "/api/tokens", tag = "access", operation_id = "token_create", request_body = TokenWish,
    responses((status = 201, body = MadeToken), (status = 409, description = "the name is taken")))]
pub async fn create(
    who: Admin,
    State(state): State<AppState>,
    Json(wish): Json<TokenWish>,
) -> Result<(StatusCode, Answer<MadeToken>), ApiError> {
    let new = NewToken { name: wish.name, scopes: wish.scopes, expires_at: wish.expires_at };
    let (kept, token) = auth::create_token(&state, new, who.actor).await?;
    Ok((StatusCode::CREATED, Answer(MadeToken { token, kept: TokenObject::of(&kept) })))
}

/// Takes a token away; it stops working at once.
#[utoipa::path(delete, path = "/api/tokens/{name}", tag = "access", operation_id = "token_revoke", params(("name" = String, Path)),
    responses((status = 204)))]
pub async fn revoke(
    who: Admin,
    State(state): State<AppState>,
    Path(name): Path<String>,
) -> Result<StatusCode, ApiError> {
    state.store.revoke_token(name, who.actor).await?;
    Ok(StatusCode::NO_CONTENT)
}
