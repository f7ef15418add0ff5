//! Who asks, and what they may do. `Viewer`, `Responder` and `Admin` in a handler's signature are its access rule.

pub mod certificate;
pub mod cookie;
pub mod csrf;
pub mod limits;
pub mod oidc;
pub mod password;
pub mod proxied;
pub mod secret;

mod client;
mod sessions;
mod tokens;

use std::time::Duration;

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, header, request::Parts},
    response::{IntoResponse, Redirect, Response},
};

use super::{
    error::{ApiError, Audience, audience},
    state::AppState,
};
use crate::model::*;
pub use client::{Client, of_parts};
pub use sessions::{
    LoginError, SetupError, check_name, current, extend, hash_password, login, logout, set_up, verify_password,
};
pub use tokens::{NewToken, create_token};

/// Somebody or something that has proved who it is.
#[derive(Clone, Debug, PartialEq)]
pub struct Identity {
    /// For timelines and the audit log.
    pub actor: Actor,
    /// The person; none for tokens. Without the password's hash.
    pub account: Option<Account>,
    /// The session that it was shown by; none for tokens, and for people whom a proxy names.
    pub session: Option<Signed>,
    scopes: Vec<Scope>,
}

/// The session of a browser.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signed {
    /// Its key in the store.
    pub hash: [u8; 32],
    /// When it ends.
    pub ends: Time,
}

impl Identity {
    /// Whether it may do what the scope allows.
    pub fn may(&self, wanted: Scope) -> bool {
        self.scopes.iter().any(|s| s.allows(wanted))
    }

    /// Whether it may act on incidents.
    pub fn may_act(&self) -> bool {
        self.may(Scope::Write)
    }

    /// Whether it may set up.
    pub fn may_set_up(&self) -> bool {
        self.may(Scope::Admin)
    }

    /// The name that owns what this one takes.
    pub fn name(&self) -> String {
        self.actor.to_string()
    }

    fn person(mut account: Account) -> Self {
        account.password_hash = String::new();
        let scope = match account.role {
            Role::Viewer => Scope::Read,
            Role::Responder => Scope::Write,
            Role::Admin => Scope::Admin,
        };
        Self { actor: Actor::Person(account.name.clone()), account: Some(account), session: None, scopes: vec![scope] }
    }

    fn program(name: &str, scopes: Vec<Scope>) -> Self {
        Self { actor: Actor::Program(name.to_owned()), account: None, session: None, scopes }
    }
}

/// Who sent these headers; none when they prove nothing.
pub async fn identify(state: &AppState, headers: &HeaderMap, client: &Client) -> Result<Option<Identity>, ApiError> {
    if let Some(token) = bearer(headers) {
        return identify_token(state, token).await;
    }
    if let Some(account) = proxied::identify(state, headers, client).await? {
        return Ok(Some(Identity::person(account)));
    }
    let Some(value) = cookie::read(headers, client) else { return Ok(None) };
    let hash = secret::digest(value);
    let now = state.clock.now();
    let found = state
        .store
        .read(move |view| match view.session(&hash)? {
            Some(session) if session.expires_at > now => {
                let account = view.account(&session.account)?.filter(|account| !account.disabled);
                Ok(account.map(|account| (account, session)))
            }
            _ => Ok(None),
        })
        .await?;
    let Some((account, session)) = found else { return Ok(None) };
    state.touch_session(hash, &session, client.addr);
    let signed = Signed { hash, ends: session.expires_at };
    Ok(Some(Identity { session: Some(signed), ..Identity::person(account) }))
}

/// A stream of somebody whom a proxy names ends after this time: what the proxy says now is known with the next request.
const PROXIED_STREAM: Duration = Duration::from_secs(60);

/// Whether somebody who opened a stream at `began` may read on. What headers said then says nothing of the present where
/// a proxy wrote them, so such a stream is short, and between its ends the stored person is asked.
pub async fn reads_on(
    state: &AppState,
    headers: &HeaderMap,
    client: &Client,
    who: &Identity,
    began: Time,
) -> Result<bool, ApiError> {
    match &who.account {
        Some(account) if who.session.is_none() => {
            Ok(state.clock.now().since(began) < PROXIED_STREAM && proxied::still(state, &account.name).await?)
        }
        _ => Ok(identify(state, headers, client).await?.is_some_and(|i| i.may(Scope::Read))),
    }
}

/// The program that holds this token.
pub async fn identify_token(state: &AppState, token: &str) -> Result<Option<Identity>, ApiError> {
    let hash = secret::digest(token);
    if state.shared.is_bootstrap(&hash) {
        return Ok(Some(Identity::program("bootstrap", vec![Scope::Admin])));
    }
    let now = state.clock.now();
    let found = state.store.read(move |view| view.token(&hash)).await?;
    let Some(found) = found.filter(|t| t.expires_at.is_none_or(|until| until > now)) else { return Ok(None) };
    state.touch(&found);
    Ok(Some(Identity::program(&found.name, found.scopes)))
}

/// The token of `Authorization: Bearer …`.
pub fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    (scheme.eq_ignore_ascii_case("bearer")).then(|| token.trim()).filter(|t| !t.is_empty())
}

/// Why a request may not pass.
#[derive(Debug)]
pub enum Denied {
    /// A browser is sent to sign in, and comes back afterwards.
    SignIn {
        /// Where it wanted to go.
        next: String,
        /// Nobody has an account yet.
        first: bool,
    },
    /// Anything else.
    Error(ApiError),
}

impl IntoResponse for Denied {
    fn into_response(self) -> Response {
        match self {
            Self::SignIn { first: true, .. } => Redirect::to("/setup").into_response(),
            Self::SignIn { next, .. } => {
                let next: String = form_urlencoded::byte_serialize(next.as_bytes()).collect();
                Redirect::to(&format!("/login?next={next}")).into_response()
            }
            Self::Error(e) => e.into_response(),
        }
    }
}

impl From<ApiError> for Denied {
    fn from(e: ApiError) -> Self {
        Self::Error(e)
    }
}

/// Where to go after signing in: a path on this site, or the front page.
pub fn safe_next(next: Option<&str>) -> &str {
    next.filter(|n| n.starts_with('/') && !n.starts_with("//") && !n.contains('\\') && !n.contains(char::is_control))
        .unwrap_or("/")
}

/// Whether somebody must make the first account: nobody has one, and nobody else can say who people are.
pub async fn nobody_yet(state: &AppState) -> Result<bool, ApiError> {
    let elsewhere = state.shared.oidc.is_some() || state.config.sign_in.user_header.is_some();
    Ok(!elsewhere && state.store.read(|view| Ok(view.accounts()?.is_empty())).await?)
}

/// Path and query of the page of ours that a form was sent from.
fn page_of<'h>(headers: &'h HeaderMap, client: &Client) -> Option<&'h str> {
    let from = headers.get(header::REFERER)?.to_str().ok()?;
    let (host, _) = from.split_once("://")?.1.split_once('/')?;
    (Some(host) == client.host.as_deref()).then(|| from.split_once(host).map(|(_, path)| path))?
}

async fn require(parts: &Parts, state: &AppState, wanted: Scope) -> Result<Identity, Denied> {
    let client = of_parts(parts, &state.config);
    match identify(state, &parts.headers, &client).await? {
        Some(identity) if identity.may(wanted) => Ok(identity),
        Some(identity) => {
            let need = match wanted {
                Scope::Admin => "an administrator, or a token with scope `admin`",
                Scope::Write => "a responder, or a token with scope `write`",
                _ => "a viewer, or a token with scope `read`",
            };
            Err(ApiError::forbidden(format!("{} may not do this; it needs {need}", identity.actor)).into())
        }
        None if audience(parts.uri.path()) == Audience::Person => {
            let first = nobody_yet(state).await?;
            // What can be asked for again by following a link is worth coming back to; so is the page with the form.
            let page = || page_of(&parts.headers, &client).unwrap_or("/");
            let wanted = parts.uri.path_and_query().filter(|_| parts.method.is_safe());
            Err(Denied::SignIn { next: wanted.map_or_else(page, |p| p.as_str()).to_owned(), first })
        }
        None => Err(ApiError::unauthorized(
            "sign in, or send a token as `Authorization: Bearer …`; tokens are made in Settings or with `watchfire token create`",
        )
        .into()),
    }
}

macro_rules! access {
    ($($(#[$meta:meta])* $name:ident => $scope:expr),+ $(,)?) => {
        $($(#[$meta])*
        #[derive(Clone, Debug, PartialEq)]
        pub struct $name {
            /// For timelines and the audit log.
            pub actor: Actor,
            /// The person; none for tokens. Without the password's hash.
            pub account: Option<Account>,
            /// Both, and what else it may do.
            pub identity: Identity,
        }

        impl FromRequestParts<AppState> for $name {
            type Rejection = Denied;

            async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, Denied> {
                let identity = require(parts, state, $scope).await?;
                Ok(Self { actor: identity.actor.clone(), account: identity.account.clone(), identity })
            }
        })+
    };
}

access! {
    /// May look.
    Viewer => Scope::Read,
    /// May act on incidents.
    Responder => Scope::Write,
    /// May set up.
    Admin => Scope::Admin,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bearer_tokens_are_read() {
        let check = |value: &str, want: Option<&str>| {
            let mut h = HeaderMap::new();
            h.insert(header::AUTHORIZATION, value.parse().unwrap());
            assert_eq!(bearer(&h), want, "{value}");
        };
        check("Bearer abc", Some("abc"));
        check("bearer  abc ", Some("abc"));
        check("Bearer ", None);
        check("Basic abc", None);
    }

    #[test]
    fn only_paths_of_this_site_are_gone_back_to() {
        for (next, want) in [
            (Some("/incidents?q=a"), "/incidents?q=a"),
            (Some("//evil.example"), "/"),
            (Some("/\\evil.example"), "/"),
            (Some("/\t/evil.example"), "/"),
            (Some("/a\u{1}"), "/"),
            (Some("https://evil.example"), "/"),
            (None, "/"),
        ] {
            assert_eq!(safe_next(next), want);
        }
    }

    #[test]
    fn roles_include_the_ones_before_and_hashes_stay_inside() {
        let account = |role| Account::local("ann".into(), role, "$argon2id$".into(), Time::default());
        for (role, read, write, admin) in
            [(Role::Viewer, true, false, false), (Role::Responder, true, true, false), (Role::Admin, true, true, true)]
        {
            let i = Identity::person(account(role));
            assert_eq!((i.may(Scope::Read), i.may_act(), i.may_set_up()), (read, write, admin));
            assert!(!format!("{i:?}").contains("argon2"));
        }
        assert!(!Identity::program("ci", vec![Scope::Ingest]).may(Scope::Read));
    }
}
