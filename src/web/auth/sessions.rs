//! Signing in and out, and the first account.

use std::time::Duration;

use axum::http::{HeaderMap, HeaderValue};

use super::{
    Client, cookie,
    password::{self, PasswordError},
    secret,
};
use crate::{
    model::*,
    store::CommandError,
    web::{error::ApiError, state::AppState},
};

/// Why nobody was signed in.
#[derive(Debug, thiserror::Error)]
pub enum LoginError {
    /// Name or password; which one is not said.
    #[error("the name or the password is wrong")]
    Wrong,
    /// Too many tries.
    #[error("too many tries; try again in {0} s")]
    TooMany(u32),
    /// Something failed here.
    #[error("signing in is not possible now")]
    Failed(ApiError),
}

/// Why the first account was not made.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The link is not the one in the log.
    #[error("this link is not the one that the log shows; it changes with every start")]
    WrongLink,
    /// There is an account already.
    #[error("set-up is done already; sign in")]
    Done,
    /// Name.
    #[error("a name has 1 to 64 characters of a-z, 0-9, dot, hyphen, underscore and @")]
    Name,
    /// Password.
    #[error(transparent)]
    Password(#[from] PasswordError),
    /// Something failed here.
    #[error("the account could not be made now")]
    Failed(ApiError),
}

/// Signs a person in: the `Set-Cookie` of a new session. `keep` lets it outlive the browser.
pub async fn login(
    state: &AppState,
    client: &Client,
    name: &str,
    password: &str,
    keep: bool,
) -> Result<HeaderValue, LoginError> {
    let name = name.trim().to_ascii_lowercase();
    state.shared.logins.take(&name, client.addr).map_err(LoginError::TooMany)?;
    let wanted = name.clone();
    let account =
        state.store.read(move |view| view.account(&wanted)).await.map_err(|e| LoginError::Failed(e.into()))?;
    // An unknown name takes as long as a wrong password; so does one that somebody else signs in.
    let hash = match &account {
        Some(account) if account.origin == Voucher::Local => account.password_hash.clone(),
        _ => nobodys_hash(state).await.map_err(LoginError::Failed)?,
    };
    let right = verify_password(state, password.to_owned(), hash).await.map_err(LoginError::Failed)?;
    match account.filter(|account| right && !account.disabled && account.origin == Voucher::Local) {
        Some(account) => start(state, client, account, keep).await.map_err(LoginError::Failed),
        None => {
            tracing::info!(addr = %client.addr, "a sign-in failed");
            Err(LoginError::Wrong)
        }
    }
}

/// Signs out: ends the session and gives the `Set-Cookie` that takes the cookie away.
pub async fn logout(state: &AppState, client: &Client, headers: &HeaderMap) -> Result<Option<HeaderValue>, ApiError> {
    if let Some(value) = cookie::read(headers, client) {
        match state.store.end_session(secret::digest(value)).await {
            Ok(()) | Err(CommandError::NotFound(_)) => {}
            Err(e) => return Err(e.into()),
        }
    }
    Ok(cookie::clear(client))
}

/// Makes the first account, as administrator, and signs it in.
pub async fn set_up(
    state: &AppState,
    client: &Client,
    link_secret: &str,
    name: &str,
    password: &str,
) -> Result<HeaderValue, SetupError> {
    let failed = |e: ApiError| SetupError::Failed(e);
    let first = state.store.read(|view| Ok(view.accounts()?.is_empty())).await.map_err(|e| failed(e.into()))?;
    if !first {
        return Err(SetupError::Done);
    }
    if !state.shared.is_setup_secret(link_secret) {
        return Err(SetupError::WrongLink);
    }
    let name = check_name(name).ok_or(SetupError::Name)?;
    let password_hash = hash_password(state, password.to_owned()).await.map_err(failed)??;
    let account = Account::local(name, Role::Admin, password_hash, state.clock.now());
    match state.store.create_first_account(account.clone()).await {
        Ok(()) => start(state, client, account, false).await.map_err(failed),
        Err(CommandError::Conflict { .. }) => Err(SetupError::Done),
        Err(e) => Err(failed(e.into())),
    }
}

/// The name as it is stored, if it can be one.
pub fn check_name(name: &str) -> Option<String> {
    let name = name.trim().to_ascii_lowercase();
    let fits = (1..=64).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'_' | b'-' | b'@'));
    // `none` and `me` mean something in queries.
    (fits && !["none", "me", "system"].contains(&name.as_str())).then_some(name)
}

/// Hashes a password away from the request threads, a few at a time.
pub async fn hash_password(state: &AppState, password: String) -> Result<Result<String, PasswordError>, ApiError> {
    blocking(state, move || password::hash(&password)).await
}

/// Checks a password away from the request threads, a few at a time.
pub async fn verify_password(state: &AppState, password: String, hash: String) -> Result<bool, ApiError> {
    blocking(state, move || password::verify(&password, &hash)).await
}

/// The session that a cookie stands for, with its key.
pub async fn current(
    state: &AppState,
    client: &Client,
    headers: &HeaderMap,
) -> Result<Option<([u8; 32], Session)>, ApiError> {
    let Some(value) = cookie::read(headers, client) else { return Ok(None) };
    let hash = secret::digest(value);
    Ok(state.store.read(move |view| Ok(view.session(&hash)?.map(|session| (hash, session)))).await?)
}

/// The longest of a session of somebody whom a provider vouched for: whoever was removed there comes no further.
const VOUCHED: Duration = Duration::from_secs(12 * 3600);

fn longest(state: &AppState, origin: Voucher) -> Duration {
    let most = state.config.session_lifetime;
    if origin == Voucher::Local { most } else { most.min(VOUCHED) }
}

// A browser that forgets the cookie at its end should not leave a session for weeks.
fn lifetime(state: &AppState, keep: bool, origin: Voucher) -> Duration {
    let most = longest(state, origin);
    if keep { most } else { most.min(Duration::from_secs(86_400)) }
}

/// Lets a session last as long as a new one would, but for no more than the longest one after its beginning: then its
/// person signs in again. When it ends now, and the `Set-Cookie` of one that outlives the browser.
pub async fn extend(
    state: &AppState,
    client: &Client,
    headers: &HeaderMap,
) -> Result<(Time, Option<HeaderValue>), ApiError> {
    let now = state.clock.now();
    let found = current(state, client, headers).await?.filter(|(_, session)| session.expires_at > now);
    let (hash, session) = found.ok_or_else(|| ApiError::unauthorized("sign in"))?;
    let longest = match session.origin {
        Voucher::Local => state.config.session_lifetime.max(Duration::from_secs(86_400)),
        _ => longest(state, session.origin),
    };
    let most = session.created_at.plus(longest);
    let until = now.plus(lifetime(state, session.kept, session.origin)).min(most).max(session.expires_at);
    if until > session.expires_at {
        state.store.extend_session(hash, until).await?;
    }
    let value = cookie::read(headers, client).filter(|_| session.kept);
    Ok((until, value.and_then(|v| cookie::set(client, v, Some(until.since(now).as_secs())))))
}

/// Signs a person in whose word was taken: the `Set-Cookie` of a new session.
pub(super) async fn start(
    state: &AppState,
    client: &Client,
    account: Account,
    keep: bool,
) -> Result<HeaderValue, ApiError> {
    let value = secret::random::<32>().map_err(|_| ApiError::internal())?;
    let now = state.clock.now();
    let lifetime = lifetime(state, keep, account.origin);
    let session = Session {
        account: account.name,
        created_at: now,
        expires_at: now.plus(lifetime),
        user_agent: client.user_agent.clone(),
        last_used: Some(now),
        address: Some(client.addr.to_string()),
        kept: keep,
        origin: account.origin,
    };
    state.store.start_session(secret::digest(&value), session).await?;
    cookie::set(client, &value, keep.then_some(lifetime.as_secs())).ok_or_else(ApiError::internal)
}

async fn nobodys_hash(state: &AppState) -> Result<String, ApiError> {
    if let Some(hash) = state.shared.nobodys_hash.get() {
        return Ok(hash.clone());
    }
    let random = secret::random::<32>().map_err(|_| ApiError::internal())?;
    let hash = hash_password(state, random).await?.map_err(|_| ApiError::internal())?;
    Ok(state.shared.nobodys_hash.get_or_init(|| hash).clone())
}

async fn blocking<R: Send + 'static>(
    state: &AppState,
    work: impl FnOnce() -> R + Send + 'static,
) -> Result<R, ApiError> {
    // Each takes 19 MiB and much processor time: a flood of sign-ins must not take all of both.
    let permit = state.shared.hashing.clone().acquire_owned().await.map_err(|_| ApiError::internal())?;
    tokio::task::spawn_blocking(move || {
        let result = work();
        drop(permit);
        result
    })
    .await
    .map_err(|_| ApiError::internal())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for (name, want) in [
            (" Ann.B@example.com ", Some("ann.b@example.com")),
            ("", None),
            ("a b", None),
            ("none", None),
            ("münch", None),
        ] {
            assert_eq!(check_name(name).as_deref(), want, "{name}");
        }
        assert_eq!(check_name(&"x".repeat(65)), None);
    }
}
