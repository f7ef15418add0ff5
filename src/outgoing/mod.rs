//! The one client for calls that leave the process: to monitoring tools, to Netdata Cloud, to a language model.
//!
//! What it sees to, so that no caller has to:
//!
//! - A call ends: 5 s to connect, and a time for the whole of it, the answer's body included ([`Request::within`], 10 s).
//! - An answer is bounded ([`Request::most`], 1 MiB). A text beyond that is cut and says so; JSON beyond it is an error.
//! - Redirects are not followed: what was asked of one host, with its credentials, goes to no other. The error names where
//!   the host wants to lead. Only a guarded client goes on where a host says 307 or 308 and names another path of its own.
//! - Link-local addresses and those at which clouds give their machines credentials are refused. Names are looked at after
//!   they were resolved, and the connection goes to the very address that was looked at, so that a name that changes its
//!   mind meanwhile leads nowhere else. Loopback and private networks are allowed: monitoring lives there.
//! - Certificates are those that the machine trusts and those of `outgoing.ca`. Where `HTTPS_PROXY` and its like are set, a
//!   proxy makes the connection, and resolves the name by its own rules; a guarded client refuses a name before that which
//!   leads to a refused address here as well.
//! - Errors are sentences that name the host and what to do, and neither path, query, header nor body.
//!
//! ```no_run
//! # async fn ask(client: watchfire::outgoing::Client) -> Result<(), watchfire::outgoing::OutgoingError> {
//! use std::time::Duration;
//! use watchfire::outgoing::{Credentials, address};
//!
//! let base = address::base("http://prometheus.example:9090").map_err(watchfire::outgoing::OutgoingError::Address)?;
//! let url = address::under(&base, "api/v1/query", &[("query", "up")]);
//! let answer = client.get(&url).credentials(&Credentials::Bearer("…".into())).within(Duration::from_secs(2)).send().await?;
//! let figures: serde_json::Value = answer.good()?.json().await?;
//!
//! // A body that comes piece by piece, such as the events of a language model:
//! let body = serde_json::json!({"stream": true});
//! let answer = client.post(&url).json(&body).within(Duration::from_secs(180)).most(8 << 20).send().await?;
//! let mut lines = answer.good()?.stream(Duration::from_secs(30));
//! while let Some(line) = lines.line().await? {
//!     println!("{line}");
//! }
//! # Ok(())
//! # }
//! ```

pub mod address;
mod answer;
mod error;
mod guard;

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
    time::Duration,
};

use ipnet::IpNet;
use reqwest::{
    Certificate, Identity,
    header::{HeaderName, HeaderValue},
    redirect::Policy,
};

pub use address::Url;
pub use answer::{Answer, Stream, Text};
pub use error::OutgoingError;
use guard::{Guard, Looked, proxied};

use crate::runtime::tls;

/// To make a connection.
const CONNECT: Duration = Duration::from_secs(5);
/// A whole call, when its caller does not say.
const WHOLE: Duration = Duration::from_secs(10);
/// An answer, when its caller does not say.
const MOST: usize = 1 << 20;
/// Paths of one host that are followed.
const HOPS: usize = 3;

/// Makes calls. Cheap to clone; clones share their connections.
#[derive(Clone, Debug)]
pub struct Client {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    ca: Vec<Certificate>,
    // The same as PEM, for what is no HTTP.
    pem: Vec<u8>,
    // What the other side sees of us.
    identity: Option<Identity>,
    guard: Arc<Guard>,
    // Without TLS nothing is verified, and the machine may have no certificates at all.
    plain: OnceLock<Result<reqwest::Client, OutgoingError>>,
    secure: OnceLock<Result<reqwest::Client, OutgoingError>>,
}

/// Who asks.
#[derive(Clone, PartialEq, Eq)]
pub enum Credentials {
    /// `Authorization: Bearer …`.
    Bearer(String),
    /// `Authorization: Basic …`.
    Basic {
        /// The user.
        user: String,
        /// The password.
        password: String,
    },
    /// A header of its own, such as `x-api-key`.
    Header {
        /// Its name.
        name: &'static str,
        /// The secret.
        value: String,
    },
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Credentials(…)")
    }
}

impl Client {
    /// With what the machine trusts, and the certificates of this PEM file on top.
    ///
    /// # Errors
    /// The file cannot be read or holds no certificate.
    pub fn open(ca: Option<&Path>) -> Result<Self, OutgoingError> {
        // For programs and tests that make calls without serving.
        tls::install_provider();
        let ca = ca.map_or(Ok((Vec::new(), Vec::new())), certificates)?;
        Ok(Self::of(ca, None, Guard::default()))
    }

    fn of((ca, pem): (Vec<Certificate>, Vec<u8>), identity: Option<Identity>, guard: Guard) -> Self {
        let (plain, secure) = (OnceLock::new(), OnceLock::new());
        Self { inner: Arc::new(Inner { ca, pem, identity, guard: Arc::new(guard), plain, secure }) }
    }

    /// What is trusted besides what the machine trusts, as PEM; empty when that is nothing.
    pub fn trusted(&self) -> &[u8] {
        &self.inner.pem
    }

    /// The same for addresses that people put in for others to be told at: this machine itself is not asked either, but for
    /// what is in `allow`.
    #[must_use]
    pub fn guarded(&self, allow: Vec<IpNet>) -> Self {
        let guard = Guard { loopback: false, allow, proxied: proxied() };
        Self::of((self.inner.ca.clone(), self.inner.pem.clone()), self.inner.identity.clone(), guard)
    }

    /// The same with certificates to trust besides, and with a certificate to show, both in PEM.
    ///
    /// # Errors
    /// What cannot be read.
    pub fn presenting(&self, ca: Option<&str>, identity: Option<&str>) -> Result<Self, OutgoingError> {
        let (mut all, pem) =
            (self.inner.ca.clone(), [self.inner.pem.as_slice(), b"\n", ca.unwrap_or_default().as_bytes()]);
        let pem = pem.concat();
        if let Some(ca) = ca {
            let more = Certificate::from_pem_bundle(ca.as_bytes()).ok().filter(|c| !c.is_empty());
            let wrong = "the CA is no certificate in PEM, beginning with -----BEGIN CERTIFICATE-----";
            all.extend(more.ok_or_else(|| OutgoingError::Address(wrong.to_owned()))?);
        }
        let wrong = "the client certificate and its key are not PEM that belongs together";
        let read = |pem: &str| Identity::from_pem(pem.as_bytes()).map_err(|_| OutgoingError::Address(wrong.to_owned()));
        let identity = identity.map(read).transpose()?;
        Ok(Self::of((all, pem), identity, (*self.inner.guard).clone()))
    }

    /// Where a name leads that may be asked: for what is no HTTP.
    ///
    /// # Errors
    /// It leads nowhere, or only where nobody is asked.
    pub async fn look_up(&self, host: &str, port: u16) -> Result<SocketAddr, OutgoingError> {
        let unreachable = |why: String| OutgoingError::Unreachable { host: host.to_owned(), why };
        let found = tokio::time::timeout(CONNECT, tokio::net::lookup_host((host, port))).await;
        let found = found.map_err(|_| OutgoingError::Late { host: host.to_owned(), within: CONNECT })?;
        let found: Vec<SocketAddr> = found.map_err(|e| unreachable(e.to_string()))?.collect();
        let first = found.first().map(SocketAddr::ip);
        match (found.into_iter().find(|a| !self.inner.guard.refuses(a.ip())), first) {
            (Some(address), _) => Ok(address),
            (None, Some(address)) => Err(OutgoingError::Forbidden { host: host.to_owned(), address }),
            (None, None) => Err(unreachable("the name leads to no address".to_owned())),
        }
    }

    /// A call of any method.
    pub fn call(&self, method: &'static str, url: &Url) -> Request {
        self.request(reqwest::Method::from_bytes(method.as_bytes()).unwrap_or(reqwest::Method::POST), url)
    }

    /// A question.
    pub fn get(&self, url: &Url) -> Request {
        self.request(reqwest::Method::GET, url)
    }

    /// A question with a body.
    pub fn post(&self, url: &Url) -> Request {
        self.request(reqwest::Method::POST, url)
    }

    fn request(&self, method: reqwest::Method, url: &Url) -> Request {
        let built = self.inner.of(url).map(|client| client.request(method, url.clone()));
        let built = built.and_then(|request| self.inner.guard.allows(url).map(|()| request));
        let named = address::literal(url).is_none().then(|| url.host_str().map(ToOwned::to_owned)).flatten();
        let behind = named.filter(|_| self.inner.guard.proxied).map(|name| (self.inner.guard.clone(), name));
        Request { host: address::host(url), built, within: WHOLE, most: MOST, behind }
    }
}

impl Inner {
    fn of(&self, url: &Url) -> Result<reqwest::Client, OutgoingError> {
        if url.scheme() == "https" {
            let make = || {
                let builder = reqwest::Client::builder().tls_certs_merge(self.ca.clone());
                let shown = self.identity.clone().into_iter().fold(builder, reqwest::ClientBuilder::identity);
                built(shown, &self.guard)
            };
            self.secure.get_or_init(make).clone()
        } else {
            self.plain.get_or_init(|| built(reqwest::Client::builder().tls_certs_only([]), &self.guard)).clone()
        }
    }
}

fn built(builder: reqwest::ClientBuilder, guard: &Arc<Guard>) -> Result<reqwest::Client, OutgoingError> {
    builder
        .redirect(if guard.loopback { Policy::none() } else { within_a_host() })
        .connect_timeout(CONNECT)
        .pool_max_idle_per_host(4)
        .user_agent(concat!("Watchfire/", env!("CARGO_PKG_VERSION")))
        .dns_resolver(Looked(guard.clone()))
        .build()
        .map_err(|e| OutgoingError::Unable(error::last(&e)))
}

/// Goes on where a host names another path of its own and the request stays what it is; anything else is left for the caller
/// to name.
fn within_a_host() -> Policy {
    Policy::custom(|attempt| {
        let stays = matches!(attempt.status().as_u16(), 307 | 308)
            && attempt.previous().len() <= HOPS
            && attempt.previous().last().is_some_and(|from| from.origin() == attempt.url().origin());
        if stays { attempt.follow() } else { attempt.stop() }
    })
}

fn certificates(file: &Path) -> Result<(Vec<Certificate>, Vec<u8>), OutgoingError> {
    let broken = |why: String| OutgoingError::Ca { file: PathBuf::from(file), why };
    let text = std::fs::read(file).map_err(|e| broken(format!("cannot be read: {e}")))?;
    match Certificate::from_pem_bundle(&text) {
        Ok(found) if !found.is_empty() => Ok((found, text)),
        _ => Err(broken("holds no certificate; it must be PEM, beginning with -----BEGIN CERTIFICATE-----".to_owned())),
    }
}

/// A call before it is made.
#[derive(Debug)]
pub struct Request {
    host: String,
    built: Result<reqwest::RequestBuilder, OutgoingError>,
    within: Duration,
    most: usize,
    // A name that a proxy will resolve.
    behind: Option<(Arc<Guard>, String)>,
}

impl Request {
    /// With credentials; they are sent to this host only.
    #[must_use]
    pub fn credentials(self, who: &Credentials) -> Self {
        match who {
            Credentials::Bearer(token) => self.with(|r| Some(r.bearer_auth(token))),
            Credentials::Basic { user, password } => self.with(|r| Some(r.basic_auth(user, Some(password)))),
            Credentials::Header { name, value } => self.with(|r| {
                let mut value = HeaderValue::from_str(value).ok()?;
                value.set_sensitive(true);
                Some(r.header(HeaderName::from_static(name), value))
            }),
        }
    }

    /// With a header that is no secret.
    #[must_use]
    pub fn header(self, name: &'static str, value: &str) -> Self {
        self.with(|r| Some(r.header(HeaderName::from_static(name), HeaderValue::from_str(value).ok()?)))
    }

    /// With a header of any name.
    #[must_use]
    pub fn named(self, name: &str, value: &str, secret: bool) -> Self {
        self.with(|r| {
            let mut value = HeaderValue::from_str(value).ok()?;
            value.set_sensitive(secret);
            Some(r.header(HeaderName::from_bytes(name.as_bytes()).ok()?, value))
        })
    }

    /// With these bytes as its body, whose kind a header tells.
    #[must_use]
    pub fn raw(self, body: Vec<u8>) -> Self {
        self.with(|r| Some(r.body(body)))
    }

    /// With these bytes as its body.
    #[must_use]
    pub fn bytes(self, kind: &'static str, body: Vec<u8>) -> Self {
        self.with(|r| Some(r.header("content-type", kind).body(body)))
    }

    /// With a JSON body.
    #[must_use]
    pub fn json<T: serde::Serialize + ?Sized>(self, body: &T) -> Self {
        self.with(|r| Some(r.json(body)))
    }

    /// With the fields of a form as its body.
    #[must_use]
    pub fn form(self, fields: &[(&str, &str)]) -> Self {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        self.with(|r| Some(r.header("content-type", "application/x-www-form-urlencoded").body(body)))
    }

    /// How long the whole call may take, with the body of its answer.
    #[must_use]
    pub fn within(mut self, time: Duration) -> Self {
        self.within = time;
        self
    }

    /// How many bytes the answer's body may have.
    #[must_use]
    pub fn most(mut self, bytes: usize) -> Self {
        self.most = bytes;
        self
    }

    /// Makes the call. The answer may have any status but those that lead elsewhere; see [`Answer::good`].
    pub async fn send(self) -> Result<Answer, OutgoingError> {
        let Self { host, built, within, most, behind } = self;
        if let Some((guard, name)) = behind {
            guard.allows_name(&host, &name).await?;
        }
        let response = built?.timeout(within).send().await.map_err(|e| OutgoingError::of(&host, within, &e))?;
        Answer::new(host, within, most, response)
    }

    fn with(mut self, add: impl FnOnce(reqwest::RequestBuilder) -> Option<reqwest::RequestBuilder>) -> Self {
        let what =
            || OutgoingError::Address("a header or credential has characters that no header can have".to_owned());
        self.built = self.built.and_then(|request| add(request).ok_or_else(what));
        self
    }
}

#[cfg(test)]
mod tests;
