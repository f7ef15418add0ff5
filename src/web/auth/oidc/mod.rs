//! Signing in at an OpenID provider: the authorization code flow with PKCE (OpenID Connect Core 1.0, RFC 7636). What was
//! begun is remembered here, each once, and only the browser that began it can end it.

pub mod claims;
mod provider;
mod token;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::http::{HeaderMap, HeaderValue};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{Client, check_name, cookie, secret, sessions};
use crate::{
    config::SignIn,
    model::*,
    outgoing::{Credentials, OutgoingError, Url},
    store::CommandError,
    web::{error::ApiError, state::AppState},
};
use provider::{Document, Provider};
use token::{Expected, TokenError};

/// A person has this long for the provider's page.
const PATIENCE: Duration = Duration::from_secs(600);
/// Sign-ins under way at most; beyond it the oldest is forgotten.
const MOST: usize = 10_000;

/// Why nobody was signed in.
#[derive(Debug, thiserror::Error)]
pub enum OidcError {
    /// There is no provider.
    #[error("no OpenID provider is configured")]
    NotConfigured,
    /// Nobody began it, it was ended already, it took too long, or another browser began it.
    #[error(
        "this sign-in was not begun in this browser, is over already, or took longer than ten minutes; begin again"
    )]
    Stale,
    /// The provider says no.
    #[error("the provider did not sign you in: {0}")]
    Denied(String),
    /// The provider answers with nonsense.
    #[error("{0}")]
    Provider(String),
    /// The provider cannot be asked.
    #[error("the provider cannot be asked: {0}")]
    Outgoing(#[from] OutgoingError),
    /// It failed again and again, and is left alone for so many seconds.
    #[error("the provider did not answer several times and is asked again in {0} s; until then a password still works")]
    Resting(u32),
    /// What it says is not believed.
    #[error("the provider's answer is not believed: {0}")]
    Token(#[from] TokenError),
    /// The person may not come in.
    #[error("you are not let in: {0}")]
    Refused(String),
    /// Too many tries.
    #[error("too many tries; try again in {0} s")]
    TooMany(u32),
    /// Something failed here.
    #[error("signing in is not possible now")]
    Failed(ApiError),
}

impl From<secret::NoRandom> for OidcError {
    fn from(_: secret::NoRandom) -> Self {
        Self::Failed(ApiError::internal())
    }
}

/// A sign-in under way.
struct Begun {
    nonce: String,
    verifier: String,
    browser: [u8; 32],
    next: String,
    keep: bool,
    redirect: String,
    until: Time,
}

/// The provider, and the sign-ins under way.
pub struct Oidc {
    provider: Provider,
    begun: Mutex<HashMap<[u8; 32], Begun>>,
}

impl Oidc {
    /// As configured.
    pub fn of(settings: &SignIn) -> Option<Self> {
        let provider = Provider::new(settings.issuer.clone()?);
        Some(Self { provider, begun: Mutex::default() })
    }

    /// How long the provider is left alone because it failed again and again.
    pub fn rest(&self, now: Time) -> Option<Duration> {
        self.provider.rest(now)
    }

    fn remember(&self, state: &str, begun: Begun, now: Time) {
        let mut all = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= MOST {
            all.retain(|_, b| b.until > now);
        }
        if all.len() >= MOST
            && let Some(oldest) = all.iter().min_by_key(|(_, b)| b.until).map(|(key, _)| *key)
        {
            all.remove(&oldest);
        }
        all.insert(secret::digest(state), begun);
    }

    fn take(&self, state: &str) -> Option<Begun> {
        self.begun.lock().unwrap_or_else(PoisonError::into_inner).remove(&secret::digest(state))
    }
}

/// A way on: the browser goes there with this cookie.
#[derive(Debug)]
pub struct Onwards {
    /// Where to.
    pub to: String,
    /// `Set-Cookie`s.
    pub cookies: Vec<HeaderValue>,
}

fn parts(state: &AppState) -> Result<(&Oidc, &SignIn, &str), OidcError> {
    let oidc = state.shared.oidc.as_ref().ok_or(OidcError::NotConfigured)?;
    let settings = &state.config.sign_in;
    let client_id = settings.client_id.as_deref().ok_or(OidcError::NotConfigured)?;
    Ok((oidc, settings, client_id))
}

/// Begins: where the browser signs in.
pub async fn begin(state: &AppState, client: &Client, next: &str, keep: bool) -> Result<Onwards, OidcError> {
    let (oidc, settings, client_id) = parts(state)?;
    state.shared.logins.take_address(client.addr).map_err(OidcError::TooMany)?;
    let now = state.clock.now();
    let document = oidc.provider.document(&state.client, now).await?;
    let (key, nonce, verifier) = (secret::random::<32>()?, secret::random::<32>()?, secret::random::<32>()?);
    let browser = secret::random::<32>()?;
    let challenge = URL_SAFE_NO_PAD.encode(secret::digest(&verifier));
    let redirect = format!("{}/login/oidc/return", client.base_url(&state.config));
    let scope = ["openid"].into_iter().chain(settings.scopes.iter().map(String::as_str)).collect::<Vec<_>>().join(" ");
    let mut to = endpoint(&document.authorization_endpoint)?;
    to.query_pairs_mut().extend_pairs([
        ("response_type", "code"),
        ("client_id", client_id),
        ("redirect_uri", &redirect),
        ("scope", &scope),
        ("state", &key),
        ("nonce", &nonce),
        ("code_challenge", &challenge),
        ("code_challenge_method", "S256"),
    ]);
    let until = now.plus(PATIENCE);
    let begun =
        Begun { nonce, verifier, browser: secret::digest(&browser), next: next.to_owned(), keep, redirect, until };
    oidc.remember(&key, begun, now);
    let cookie = cookie::set_begun(client, &browser, PATIENCE.as_secs())
        .ok_or_else(|| OidcError::Failed(ApiError::internal()))?;
    Ok(Onwards { to: to.into(), cookies: vec![cookie] })
}

/// What came back with the browser.
#[derive(Clone, Copy, Debug)]
pub struct Answer<'a> {
    /// The sign-in that it answers.
    pub state: &'a str,
    /// What becomes a token.
    pub code: &'a str,
    /// Why there is none.
    pub error: &'a str,
    /// The same in words.
    pub said: &'a str,
    /// Who answers (RFC 9207).
    pub issuer: &'a str,
}

#[derive(Deserialize)]
struct Tokens {
    id_token: String,
    #[serde(default)]
    access_token: Option<String>,
}

/// Ends: the session's cookie, and where the person wanted to go.
pub async fn finish(
    state: &AppState,
    client: &Client,
    headers: &HeaderMap,
    answer: Answer<'_>,
) -> Result<Onwards, OidcError> {
    let (oidc, settings, client_id) = parts(state)?;
    let now = state.clock.now();
    // Taken before anything else: whatever comes of it, it comes once.
    let begun = oidc.take(answer.state).filter(|b| b.until > now).ok_or(OidcError::Stale)?;
    let browser = cookie::read_begun(headers, client).map(secret::digest);
    if !browser.is_some_and(|b| secret::same(&b, &begun.browser)) {
        return Err(OidcError::Stale);
    }
    let document = oidc.provider.document(&state.client, now).await?;
    let named = !answer.issuer.is_empty();
    if (named || document.authorization_response_iss_parameter_supported) && answer.issuer != document.issuer {
        return Err(OidcError::Stale);
    }
    if !answer.error.is_empty() || answer.code.is_empty() {
        let said = if answer.said.is_empty() { answer.error } else { answer.said };
        return Err(OidcError::Denied(claims::shown(said).unwrap_or_else(|| "it does not say why".to_owned())));
    }
    let tokens = exchange(state, &document, settings, client_id, &begun, answer.code).await?;
    let expected = Expected { issuer: &document.issuer, client_id, nonce: &begun.nonce, now };
    let mut told = oidc.provider.verify(&state.client, &tokens.id_token, expected).await?;
    if claims::groups(&told, &settings.groups_claim).is_none() || claims::claim(&told, &settings.name_claim).is_none() {
        more(state, &document, tokens.access_token.as_deref(), &mut told).await?;
    }
    let who = foreign(settings, &document.issuer, &told)?;
    let name = who.name.clone();
    let account = state.store.welcome(who).await.map_err(|e| match e {
        CommandError::Conflict { detail, .. } => {
            tracing::info!(name, addr = %client.addr, why = detail, "somebody whom the provider signed in is not let in");
            OidcError::Refused(detail)
        }
        other => OidcError::Failed(other.into()),
    })?;
    let session = sessions::start(state, client, account, begun.keep).await.map_err(OidcError::Failed)?;
    let cookies = [Some(session), cookie::set_begun(client, "", 0)].into_iter().flatten().collect();
    Ok(Onwards { to: begun.next, cookies })
}

/// Where people sign out at the provider, if it has such a place.
pub async fn sign_out_at(state: &AppState, client: &Client) -> Result<Option<String>, OidcError> {
    let (oidc, _, client_id) = parts(state)?;
    // Anybody may ask, and while the provider does not answer each of them waits for it.
    state.shared.logins.take_address(client.addr).map_err(OidcError::TooMany)?;
    let document = oidc.provider.document(&state.client, state.clock.now()).await?;
    let Some(at) = &document.end_session_endpoint else { return Ok(None) };
    let mut to = endpoint(at)?;
    let back = format!("{}/login", client.base_url(&state.config));
    to.query_pairs_mut().extend_pairs([("client_id", client_id), ("post_logout_redirect_uri", &back)]);
    Ok(Some(to.into()))
}

fn endpoint(text: &str) -> Result<Url, OidcError> {
    let wrong = || OidcError::Provider("the provider's configuration has an address that is none".to_owned());
    Url::parse(text).ok().filter(|url| matches!(url.scheme(), "https" | "http")).ok_or_else(wrong)
}

async fn exchange(
    state: &AppState,
    document: &Arc<Document>,
    settings: &SignIn,
    client_id: &str,
    begun: &Begun,
    code: &str,
) -> Result<Tokens, OidcError> {
    let at = endpoint(&document.token_endpoint)?;
    let mut fields = vec![
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", &begun.redirect),
        ("code_verifier", &begun.verifier),
    ];
    let request = state.client.post(&at);
    let ways = document.token_endpoint_auth_methods_supported.as_deref();
    // Basic is what a provider takes that does not say.
    let basic = ways.is_none_or(|w| w.iter().any(|w| w == "client_secret_basic"));
    let request = match &settings.client_secret {
        Some(secret) if basic => {
            // RFC 6749, 2.3.1: both are written as in a form first.
            let coded = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
            let (user, password) = (coded(client_id), coded(secret));
            request.credentials(&Credentials::Basic { user, password })
        }
        Some(secret) => {
            fields.extend([("client_id", client_id), ("client_secret", secret)]);
            request
        }
        None => {
            fields.push(("client_id", client_id));
            request
        }
    };
    Ok(request.header("accept", "application/json").form(&fields).send().await?.good_or_said().await?.json().await?)
}

/// Adds what the provider tells of the person beside the token; claims of the token itself, which is signed, stay.
async fn more(
    state: &AppState,
    document: &Document,
    access: Option<&str>,
    told: &mut Map<String, Value>,
) -> Result<(), OidcError> {
    let (Some(at), Some(access)) = (&document.userinfo_endpoint, access) else { return Ok(()) };
    let request = state.client.get(&endpoint(at)?).credentials(&Credentials::Bearer(access.to_owned()));
    let found: Map<String, Value> = request.send().await?.good()?.json().await?;
    // Core 5.3.2: without this check it could be what another person's token says.
    if found.get("sub") != told.get("sub") {
        return Err(OidcError::Token(TokenError::Claim("sub")));
    }
    for (name, value) in found {
        told.entry(name).or_insert(value);
    }
    Ok(())
}

fn foreign(settings: &SignIn, issuer: &str, told: &Map<String, Value>) -> Result<Foreign, OidcError> {
    let text = |name: &str| claims::claim(told, name).and_then(Value::as_str);
    let no_name = || {
        OidcError::Refused(format!(
            "the claim `{}` is no name here; it needs 1 to 64 characters of a-z, 0-9, dot, hyphen, underscore and @",
            settings.name_claim
        ))
    };
    let name = text(&settings.name_claim).and_then(check_name).ok_or_else(no_name)?;
    let subject = text("sub").unwrap_or_default();
    let groups = claims::groups(told, &settings.groups_claim).unwrap_or_default();
    Ok(Foreign {
        name,
        origin: Voucher::Oidc,
        role: settings.role(&groups),
        full_name: text("name").and_then(claims::shown),
        subject: Some(format!("{issuer} {subject}")),
    })
}
