//! People.

use axum::{Json as Answer, extract::State, http::StatusCode};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{incidents::given, listing, objects::UserObject};
use crate::{
    model::*,
    store::CommandError,
    web::{
        auth::{Admin, Client, Identity, Viewer, check_name, hash_password, verify_password},
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

/// What is changed; what is left out stays.
#[derive(Deserialize, ToSchema)]
pub struct UserPatch {
    /// May do.
    #[serde(default)]
    role: Option<Role>,
    /// Ends the person's sessions.
    #[serde(default)]
    password: Option<String>,
    /// Shut out, which ends their sessions, or let in again.
    #[serde(default)]
    disabled: Option<bool>,
    /// The name that they are called by; null takes it away.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    full_name: Option<Option<String>>,
}

/// The name that somebody is called by.
pub fn full_name(text: Option<String>) -> Result<Option<String>, ApiError> {
    let name = text.map(|t| t.trim().to_owned()).filter(|t| !t.is_empty());
    match name {
        Some(n) if n.chars().count() > 100 || n.chars().any(char::is_control) => {
            Err(ApiError::invalid("/full_name", "at most 100 characters on one line are taken"))
        }
        other => Ok(other),
    }
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
    let account = Account::local(name, new.role, password_hash, state.clock.now());
    let object = UserObject::of(&account);
    state.store.create_account(account, who.actor).await?;
    Ok((StatusCode::CREATED, Answer(object)))
}

/// One person.
#[utoipa::path(get, path = "/api/users/{name}", tag = "access", operation_id = "user_get", params(("name" = String, Path)),
    responses((status = 200, body = UserObject)))]
pub async fn get(
    _: Admin,
    State(state): State<AppState>,
    Path(name): Path<String>,
) -> Result<Answer<UserObject>, ApiError> {
    one(&state, name).await
}

async fn one(state: &AppState, name: String) -> Result<Answer<UserObject>, ApiError> {
    let wanted = name.clone();
    let found = state.store.read(move |view| view.account(&wanted)).await?;
    Ok(Answer(UserObject::of(&found.ok_or(CommandError::NotFound(format!("person {name}")))?)))
}

/// Changes role, password, name, or whether they may sign in.
#[utoipa::path(patch, path = "/api/users/{name}", tag = "access", operation_id = "user_patch", request_body = UserPatch,
    params(("name" = String, Path)), responses((status = 200, body = UserObject), (status = 409, description = "the last administrator stays one; groups of a provider are changed there")))]
pub async fn patch(
    who: Admin,
    State(state): State<AppState>,
    Path(name): Path<String>,
    Json(patch): Json<UserPatch>,
) -> Result<Answer<UserObject>, ApiError> {
    let called = patch.full_name.map(full_name).transpose()?;
    if let Some(password) = patch.password {
        let hash = hashed(&state, password).await?;
        state.store.set_password(name.clone(), hash, None, who.actor.clone()).await?;
    }
    if let Some(role) = patch.role {
        state.store.set_role(name.clone(), role, who.actor.clone()).await?;
    }
    if let Some(called) = called {
        state.store.set_full_name(name.clone(), called, who.actor.clone()).await?;
    }
    if let Some(disabled) = patch.disabled {
        state.store.set_disabled(name.clone(), disabled, who.actor).await?;
    }
    one(&state, name).await
}

/// Sessions that have ended.
#[derive(Serialize, ToSchema)]
pub struct Ended {
    /// How many.
    ended: usize,
}

/// Ends all sessions of a person.
#[utoipa::path(post, path = "/api/users/{name}/sign-out", tag = "access", operation_id = "user_sign_out", params(("name" = String, Path)),
    responses((status = 200, body = Ended)))]
pub async fn sign_out(
    who: Admin,
    State(state): State<AppState>,
    Path(name): Path<String>,
) -> Result<Answer<Ended>, ApiError> {
    Ok(Answer(Ended { ended: state.store.revoke_sessions(name, None, who.actor).await? }))
}

/// Who asks, and what they may do.
#[derive(Serialize, ToSchema)]
pub struct Me {
    /// As timelines and the audit log write it; tokens as `token:NAME`.
    name: String,
    /// A person's role.
    role: Option<Role>,
    /// The name that a person is called by.
    full_name: Option<String>,
    /// Who says that it is them; none for tokens.
    origin: Option<Voucher>,
    /// May act on incidents.
    may_act: bool,
    /// May set up.
    may_set_up: bool,
    /// When the session ends; none without one.
    session_ends: Option<Time>,
}

/// Who asks.
#[utoipa::path(get, path = "/api/me", tag = "access", operation_id = "me", responses((status = 200, body = Me)))]
pub async fn me(who: Viewer) -> Answer<Me> {
    let account = who.account.as_ref();
    Answer(Me {
        name: who.identity.name(),
        role: account.map(|a| a.role),
        full_name: account.and_then(|a| a.full_name.clone()),
        origin: account.map(|a| a.origin),
        may_act: who.identity.may_act(),
        may_set_up: who.identity.may_set_up(),
        session_ends: who.identity.session.map(|s| s.ends),
    })
}

/// What people change of themselves.
#[derive(Deserialize, ToSchema)]
pub struct MyPatch {
    /// The name that they are called by; null takes it away.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    full_name: Option<Option<String>>,
    /// A new password, with the one now; ends all other sessions.
    #[serde(default)]
    password: Option<NewPassword>,
}

/// A change of one's own password.
#[derive(Deserialize, ToSchema)]
pub struct NewPassword {
    /// The one now.
    now: String,
    /// The one from now on; 10 to 1024 characters.
    new: String,
}

/// Changes one's own name or password.
#[utoipa::path(patch, path = "/api/me", tag = "access", operation_id = "me_patch", request_body = MyPatch,
    responses((status = 200, body = UserObject), (status = 403, description = "tokens are no people")))]
pub async fn change_me(
    who: Viewer,
    State(state): State<AppState>,
    client: Client,
    Json(patch): Json<MyPatch>,
) -> Result<Answer<UserObject>, ApiError> {
    let Some(account) = who.account else {
        return Err(ApiError::forbidden("a token is no person"));
    };
    let called = patch.full_name.map(full_name).transpose()?;
    if let Some(password) = patch.password {
        change_password(&state, &client, &who.identity, password.now, password.new).await?;
    }
    if let Some(called) = called {
        state.store.set_full_name(account.name.clone(), called, who.actor).await?;
    }
    one(&state, account.name).await
}

/// Changes the password of whoever asks, who shows the one now; all their other sessions end.
pub async fn change_password(
    state: &AppState,
    client: &Client,
    who: &Identity,
    now: String,
    new: String,
) -> Result<(), ApiError> {
    let Some(account) = &who.account else {
        return Err(ApiError::forbidden("a token has no password"));
    };
    let name = account.name.clone();
    state.shared.logins.take(&name, client.addr).map_err(|secs| {
        ApiError::new(StatusCode::TOO_MANY_REQUESTS, "too_many_tries", "too many tries").retry_after(secs)
    })?;
    let wanted = name.clone();
    let stored = state.store.read(move |view| view.account(&wanted)).await?;
    let stored = stored.ok_or_else(|| ApiError::not_found("account"))?;
    if !verify_password(state, now, stored.password_hash).await? {
        return Err(ApiError::invalid("/password/now", "the password now is not right"));
    }
    let hash = hash_password(state, new).await?.map_err(|e| ApiError::invalid("/password/new", e.to_string()))?;
    Ok(state.store.set_password(name, hash, who.session.map(|s| s.hash), who.actor.clone()).await?)
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
