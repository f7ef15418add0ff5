//! Makes the calls of channels: with their certificates, past the guard, and nothing secret in what is told of them.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use hmac::{Hmac, KeyInit, Mac};
use ipnet::IpNet;
use sha2::Sha256;

use super::{
    super::{
        CALL,
        channels::{Answered, Body, Call, Channel, Credentials, HttpCall, Method, Settings, said},
    },
    mail,
};
use crate::{
    model::*,
    outgoing::{self, Client, OutgoingError, Url},
    runtime::clock::Clock,
    store::{StoreError, seal::Sealer},
};

/// What is read of an answer: the wire's bound.
const MOST: usize = 64 << 10;

/// What is called, and how.
#[derive(Debug)]
pub struct Caller {
    client: Client,
    clock: Clock,
    plain_http: bool,
    plain_mail: bool,
    rates: Mutex<HashMap<ChannelId, (u32, Duration)>>,
}

/// Why nothing answered.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// By HTTP.
    #[error(transparent)]
    Http(#[from] OutgoingError),
    /// By mail.
    #[error("{0}")]
    Mail(String),
    /// By mail, and no answer in time.
    #[error("{host}:{port} did not take the mail within {} s", CALL.as_secs())]
    MailLate {
        /// Its server.
        host: String,
        /// And the port there.
        port: u16,
    },
    /// It may not be called so.
    #[error("{0}")]
    Refused(&'static str),
}

impl CallError {
    /// Trying again does not help.
    pub fn is_final(&self) -> bool {
        match self {
            Self::Refused(_) => true,
            Self::Http(e) => matches!(
                e,
                OutgoingError::Address(_) | OutgoingError::Forbidden { .. } | OutgoingError::Redirected { .. }
            ),
            Self::Mail(_) | Self::MailLate { .. } => false,
        }
    }

    /// The call may have arrived all the same: it was made, and no answer came.
    pub fn is_open(&self) -> bool {
        match self {
            Self::MailLate { .. } => true,
            Self::Http(e) => matches!(e, OutgoingError::Late { .. } | OutgoingError::Broken { .. }),
            Self::Mail(_) | Self::Refused(_) => false,
        }
    }
}

/// The settings of a channel with its secrets and defaults, and with a person's own address in its place.
///
/// # Errors
/// The key file is another one.
pub fn opened(
    sealer: &Sealer,
    channel: &dyn Channel,
    row: &ChannelRow,
    address: Option<&str>,
) -> Result<Settings, StoreError> {
    let info = channel.info();
    let mut settings = Settings::default();
    for field in info.fields {
        let given = match row.secrets.get(field.key) {
            Some(sealed) => Some(sealer.open(sealed)?),
            None => row.settings.get(field.key).cloned(),
        };
        let value = given.filter(|v| !v.is_empty()).unwrap_or_else(|| field.default.to_owned());
        settings.0.insert(field.key.to_owned(), value);
    }
    if let (Some(key), Some(own)) = (info.address, address) {
        settings.0.insert(key.to_owned(), own.to_owned());
    }
    Ok(settings)
}

/// What a target said, for people: its status and the beginning of its words.
pub fn heard(answer: &Answered) -> String {
    let words = said(&answer.body);
    if words.is_empty() {
        format!("answered {}", answer.status)
    } else {
        format!("answered {}: {words}", answer.status)
    }
}

impl Caller {
    /// Calls with this client. Addresses of this machine are refused, but for those of `allow`.
    pub fn new(client: &Client, clock: Clock, allow: Vec<IpNet>, plain_http: bool, plain_mail: bool) -> Self {
        Self { client: client.guarded(allow), clock, plain_http, plain_mail, rates: Mutex::default() }
    }

    /// How often a channel may be called, once it was.
    pub fn rate(&self, id: ChannelId) -> Option<(u32, Duration)> {
        self.rates.lock().unwrap_or_else(PoisonError::into_inner).get(&id).copied()
    }

    /// Sets that.
    pub fn set_rate(&self, id: ChannelId, rate: (u32, Duration)) {
        self.rates.lock().unwrap_or_else(PoisonError::into_inner).insert(id, rate);
    }

    /// Whether addresses may begin with `http://`.
    pub fn plain_http(&self) -> bool {
        self.plain_http
    }

    /// Makes a call.
    ///
    /// # Errors
    /// Nothing answered, or it may not be called so.
    pub async fn make(&self, settings: &Settings, call: &Call) -> Result<Answered, CallError> {
        match call {
            Call::Http(call) => self.http(settings, call).await,
            Call::Mail(mail) => mail::send(&self.client, settings, mail, self.plain_mail).await,
        }
    }

    async fn http(&self, settings: &Settings, call: &HttpCall) -> Result<Answered, CallError> {
        let url = Url::parse(&call.url).map_err(|_| CallError::Refused("the address in its settings is none"))?;
        match url.scheme() {
            "https" => {}
            "http" if self.plain_http => {}
            _ => {
                return Err(CallError::Refused(
                    "its address does not begin with https://; allow others with notifications.plain_http",
                ));
            }
        }
        let certificate = settings.given("client_certificate").map(|c| format!("{c}\n{}", settings.get("client_key")));
        let client = match (settings.given("ca"), certificate) {
            (None, None) => self.client.clone(),
            (ca, certificate) => self.client.presenting(ca, certificate.as_deref())?,
        };
        let method = match call.method {
            Method::Get => "GET",
            Method::Post => "POST",
            Method::Put => "PUT",
            Method::Patch => "PATCH",
        };
        let mut request = client.call(method, &url).within(call.within).most(MOST);
        for (name, value) in &call.headers {
            request = request.named(name, value, false);
        }
        request = match &call.credentials {
            Credentials::None => request,
            Credentials::Bearer(token) => request.credentials(&outgoing::Credentials::Bearer(token.clone())),
            Credentials::Basic(user, password) => {
                request.credentials(&outgoing::Credentials::Basic { user: user.clone(), password: password.clone() })
            }
            Credentials::Other(whole) => request.named("authorization", whole, true),
        };
        let body = match &call.body {
            Body::Empty => Vec::new(),
            Body::Json(value) => value.to_string().into_bytes(),
            Body::Form(fields) => form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish().into(),
        };
        if let Some(secret) = &call.sign {
            let at = self.clock.now().millis().div_euclid(1000);
            let signed = [at.to_string().as_bytes(), b".", &body].concat();
            request = request.named("x-watchfire-timestamp", &at.to_string(), false);
            request = request.named("x-watchfire-signature", &signature(secret, &signed), false);
        }
        let typed = call.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type"));
        request = match &call.body {
            Body::Empty => request,
            Body::Json(_) | Body::Form(_) if typed => request.raw(body),
            Body::Json(_) => request.bytes("application/json; charset=UTF-8", body),
            Body::Form(_) => request.bytes("application/x-www-form-urlencoded", body),
        };
        let answer = request.send().await?;
        let (status, headers) = (answer.status(), answer.headers());
        // What it said is worth having; that its end did not come is not worth another try.
        let body = answer.text().await.map(|t| t.text).unwrap_or_default();
        Ok(Answered { status, headers, body })
    }

    /// A text without the channel's secrets, should a target repeat them.
    pub fn without_secrets(&self, settings: &Settings, channel: &dyn Channel, text: &str) -> String {
        let secrets = channel.info().fields.iter().filter(|f| f.secret).map(|f| settings.get(f.key));
        let mut text = text.to_owned();
        for secret in secrets.filter(|s| s.len() >= 4) {
            text = text.replace(secret, "…");
            // Of an address also what is behind the host: a target may name its path.
            if let Some(path) = Url::parse(secret).ok().map(|u| u.path().to_owned()).filter(|p| p.len() >= 8) {
                text = text.replace(&path, "/…");
            }
        }
        text
    }
}

/// `sha256=` and the digest in hexadecimal.
pub(super) fn signature(secret: &str, signed: &[u8]) -> String {
    let mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).map(|mut mac| {
        mac.update(signed);
        mac.finalize().into_bytes()
    });
    let hex: String = mac.map(|d| d.iter().map(|b| format!("{b:02x}")).collect()).unwrap_or_default();
    format!("sha256={hex}")
}
