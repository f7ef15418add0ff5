//! What the provider says of itself: its addresses and its keys, remembered for a while.

use std::{sync::Arc, time::Duration};

use serde::Deserialize;
use tokio::sync::Mutex;

use super::{
    OidcError,
    token::{self, Expected, Key, TokenError},
};
use crate::{
    model::Time,
    outgoing::{Client, Url, address},
};

/// What a provider says is asked for again after this time.
const FRESH: Duration = Duration::from_secs(3600);
/// Keys are asked for again at most this often, whatever tokens name.
const PAUSE: Duration = Duration::from_secs(10);
/// After the second failure in a row it is left alone for so long, after each further one twice as long, up to the other.
const REST: Duration = Duration::from_secs(10);
const MOST_REST: Duration = Duration::from_secs(300);
/// Keys of a provider at most.
const MOST_KEYS: usize = 100;

/// OpenID Connect Discovery 1.0, as much of it as is used.
#[derive(Clone, Debug, Deserialize)]
pub struct Document {
    /// As tokens name it.
    pub issuer: String,
    /// Where people sign in.
    pub authorization_endpoint: String,
    /// Where a code becomes a token.
    pub token_endpoint: String,
    jwks_uri: String,
    /// Where more is told of a person.
    #[serde(default)]
    pub userinfo_endpoint: Option<String>,
    /// Where people sign out.
    #[serde(default)]
    pub end_session_endpoint: Option<String>,
    /// How the secret may be shown; the first one of the list below is taken.
    #[serde(default)]
    pub token_endpoint_auth_methods_supported: Option<Vec<String>>,
    /// RFC 9207: every answer names the issuer.
    #[serde(default)]
    pub authorization_response_iss_parameter_supported: bool,
}

#[derive(Deserialize)]
struct Keys {
    keys: Vec<serde_json::Value>,
}

struct Known {
    document: Arc<Document>,
    at: Time,
    keys: Vec<Key>,
    keys_at: Time,
}

/// A provider.
pub struct Provider {
    issuer: Url,
    known: Mutex<Option<Known>>,
    failures: std::sync::Mutex<Failures>,
}

/// Failures in a row, and when the last one was.
#[derive(Clone, Copy, Debug, Default)]
struct Failures {
    count: u32,
    last: Time,
}

impl Failures {
    /// How long it is still left alone; a clock that was set back leaves nobody alone.
    fn rest(self, now: Time) -> Option<Duration> {
        let doubled = self.count.checked_sub(2)?.min(10);
        let rest = (REST * (1 << doubled)).min(MOST_REST);
        (now >= self.last).then(|| rest.checked_sub(now.since(self.last)).filter(|left| !left.is_zero())).flatten()
    }
}

impl Provider {
    /// Nothing is asked yet.
    pub fn new(issuer: Url) -> Self {
        Self { issuer, known: Mutex::new(None), failures: std::sync::Mutex::default() }
    }

    /// How long it is left alone because it failed again and again.
    pub fn rest(&self, now: Time) -> Option<Duration> {
        self.failures().rest(now)
    }

    fn failures(&self) -> std::sync::MutexGuard<'_, Failures> {
        self.failures.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// What it says of itself.
    pub async fn document(&self, client: &Client, now: Time) -> Result<Arc<Document>, OidcError> {
        let mut known = self.known.lock().await;
        let known = self.ask(&mut known, client, now).await?;
        Ok(known.document.clone())
    }

    /// The claims of a token. Keys are asked for again when it names one that is not known: providers change theirs.
    pub async fn verify(
        &self,
        client: &Client,
        token: &str,
        expected: Expected<'_>,
    ) -> Result<serde_json::Map<String, serde_json::Value>, OidcError> {
        let mut known = self.known.lock().await;
        let known = self.ask(&mut known, client, expected.now).await?;
        match token::verify(token, &known.keys, expected) {
            // A key without a name may have been replaced by another without one.
            Err(TokenError::Key | TokenError::Signature)
                if expected.now.since(known.keys_at) >= PAUSE || known.keys_at > expected.now =>
            {
                (known.keys, known.keys_at) = (keys(client, &known.document).await?, expected.now);
                Ok(token::verify(token, &known.keys, expected)?)
            }
            other => Ok(other?),
        }
    }

    async fn ask<'k>(
        &self,
        known: &'k mut Option<Known>,
        client: &Client,
        now: Time,
    ) -> Result<&'k mut Known, OidcError> {
        let fresh = known.as_ref().is_some_and(|k| k.at <= now && now.since(k.at) < FRESH);
        let rest = self.rest(now);
        if let (None, Some(left)) = (known.as_ref(), rest) {
            return Err(OidcError::Resting(u32::try_from(left.as_secs().max(1)).unwrap_or(u32::MAX)));
        }
        if !fresh && rest.is_none() {
            let asked = async {
                let document = discover(client, &self.issuer).await?;
                let keys = keys(client, &document).await?;
                Ok::<_, OidcError>(Known { document: Arc::new(document), at: now, keys, keys_at: now })
            };
            let asked = asked.await;
            {
                let mut failures = self.failures();
                let count = if asked.is_ok() { 0 } else { failures.count.saturating_add(1) };
                *failures = Failures { count, last: now };
            }
            match (asked, known.is_some()) {
                (Ok(found), _) => *known = Some(found),
                // What it said before still holds while it cannot be asked.
                (Err(e), true) => tracing::warn!(error = %e, "the OpenID provider could not be asked again"),
                (Err(e), false) => return Err(e),
            }
        }
        known.as_mut().ok_or(OidcError::NotConfigured)
    }
}

async fn discover(client: &Client, issuer: &Url) -> Result<Document, OidcError> {
    let at = address::under(issuer, ".well-known/openid-configuration", &[]);
    let document: Document = client.get(&at).send().await?.good()?.json().await?;
    // A document that speaks for somebody else would have us believe their tokens. A slash at the end is how addresses are
    // written, not another issuer.
    if document.issuer.trim_end_matches('/') != issuer.as_str().trim_end_matches('/') {
        return Err(OidcError::Provider("the provider's configuration names another issuer".to_owned()));
    }
    let needed = [&document.authorization_endpoint, &document.token_endpoint, &document.jwks_uri];
    for url in needed.into_iter().chain(&document.userinfo_endpoint) {
        endpoint(url, issuer)?;
    }
    Ok(document)
}

/// An address that the provider names: as well protected as the issuer's own.
fn endpoint(text: &str, issuer: &Url) -> Result<Url, OidcError> {
    let wrong = || OidcError::Provider("the provider's configuration has an address that is none".to_owned());
    let url = Url::parse(text).map_err(|_| wrong())?;
    let fits = url.scheme() == "https" || (url.scheme() == "http" && issuer.scheme() == "http");
    if fits && url.host_str().is_some() { Ok(url) } else { Err(wrong()) }
}

async fn keys(client: &Client, document: &Document) -> Result<Vec<Key>, OidcError> {
    let at = Url::parse(&document.jwks_uri).map_err(|_| OidcError::NotConfigured)?;
    let found: Keys = client.get(&at).send().await?.good()?.json().await?;
    // A key of a kind that nobody here knows takes nothing away from the others.
    let read = found.keys.into_iter().take(MOST_KEYS).filter_map(|key| serde_json::from_value(key).ok());
    Ok(read.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_provider_that_fails_again_and_again_is_left_alone_ever_longer() {
        let at = Time::from_secs(1_772_500_000);
        let check = |count: u32, after: u64, want: Option<u64>| {
            let rest = Failures { count, last: at }.rest(at.plus(Duration::from_secs(after)));
            assert_eq!(rest.map(|r| r.as_secs()), want, "{count} {after}");
        };
        check(0, 0, None);
        check(1, 0, None);
        check(2, 0, Some(10));
        check(2, 9, Some(1));
        check(2, 10, None);
        check(3, 0, Some(20));
        check(5, 0, Some(80));
        check(40, 0, Some(300));
        assert_eq!(Failures { count: 9, last: at.plus(REST) }.rest(at), None);
    }
}
