//! People.

use axum::{Json as Answer, extract::State, http::StatusCode};
use serde::Deserialize;
use utoipa::ToSchema;

use super::{listing, objects::UserObject};
use crate::{
    model::*,
    store::CommandError,
    web::{
        auth::{Admin, check_name, hash_password},
        error::ApiError,
        extract::{Json, Path},
        state::AppState,
    },
};

listing! {
    /// People, by name.
    Users { users: UserObject }
}

/// Everybody.
#[utoipa::path(get, path = "/api/users", tag = "access", operation_id = "users_list", responses((status = 200, body = Users)))]
pub async fn list(_: Admin, State(state): State<AppState>) -> Result<Answer<Users>, ApiError> {
    let all = state.store.read(|view| view.accounts()).await?;
    Ok(Answer(Users::all(all.iter().map(UserObject::of).collect())))
}

/// A person more.
#[derive(Deserialize, ToSchema)]
pub struct NewUser {
    /// 1 to 64 characters of a-z, 0-9, dot, hyphen, underscore and @.
    name: String,
    /// May do.
    role: Role,
    /// 10 to 1024 characters.
    password: String,
}

/// What is changed.
#[derive(Deserialize, ToSchema)]
pub struct UserPatch {
    /// May do.
    #[serde(default)]
    role: Option<Role>,
    /// Ends the person's sessions.
    #[serde(default)]
    password: Option<String>,
}

async fn hashed(state: &AppState, password: String) -> Result<String, ApiError> {
    hash_password(state, password).await?.map_err(|e| ApiError::invalid("/password", e.to_string()))
}

/// Adds a person.
#[utoipa::path(post, path = "/api/users", tag = "access", operation_id = "user_create", request_body = NewUser,
    responses((status = 201, body = UserObject), (status = 409, description = "the name is taken")))]
pub async fn create(
    who: Admin,
    State(state): State<AppState>,
    Json(new): Json<NewUser>,
) -> Result<(StatusCode, Answer<UserObject>), ApiError> {
    let Some(name) = check_name(&new.name) else {
        let message =
            "1 to 64 characters of a-z, 0-9, dot, hyphen, underscore and @ are needed, and not a word with a meaning";
        return Err(ApiError::invalid("/name", message));
    };
    let first = state.store.read(|view| Ok(view.accounts()?.is_empty())).await?;
    if first && new.role != Role::Admin {
        return Err(ApiError::invalid("/role", "the first person must be able to set up everything: `admin`"));
    }
    let password_hash = hashed(&state, new.password).await?;
    let account = Account { name, role: new.role, password_hash, created_at: state.clock.now(), last_seen: None };
    let object = UserObject::of(&account);
    state.store.create_account(account, who.actor).await?;
    Ok((StatusCode::CREATED, Answer(object)))
}

/// Changes role or password.
#[utoipa::path(patch, path = "/api/users/{name}", tag = "access", operation_id = "user_patch", request_body = UserPatch,
    params(("name" = String, Path)), responses((status = 200, body = UserObject), (status = 409, description = "the last administrator stays one")))]
pub async fn patch(
    who: Admin,
    State(state): State<AppState>,
    Path(name): Path<String>,
    Json(patch): Json<UserPatch>,
) -> Result<Answer<UserObject>, ApiError> {
    if let Some(password) = patch.password {
        let hash = hashed(&state, password).await?;
        state.store.set_password(name.clone(), hash, who.actor.clone()).await?;
    }
    if let Some(role) = patch.role {
        state.store.set_role(name.clone(), role, who.actor).await?;
    }
    let wanted = name.clone();
    let found = state.store.read(move |view| view.account(&wanted)).await?;
    Ok(Answer(UserObject::of(&found.ok_or(CommandError::NotFound(format!("person {name}")))?)))
}

/// Takes a person away.
#[utoipa::path(delete, path = "/api/users/{name}", tag = "access", operation_id = "user_remove", params(("name" = String, Path)),
    responses((status = 204), (status = 409, description = "the last administrator stays")))]
pub async fn remove(
    who: Admin,
    State(state): State<AppState>,
    Path(name): Path<String>,
) -> Result<StatusCode, ApiError> {
    state.store.remove_account(name, who.actor).await?;
    Ok(StatusCode::NO_CONTENT)
}
