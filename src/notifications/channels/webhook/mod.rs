//! Webhook: JSON to an address of one's own, in Netdata Cloud's form or in Watchfire's. The receiver can be asked to show
//! that it knows a secret before the settings are saved, as Netdata Cloud asks.

mod bodies;
#[cfg(test)]
mod tests;

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use http::{HeaderName, HeaderValue};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use super::{
    Answered, Body, CA, Call, Channel, Credentials, Field, FieldKind, Follows, HttpCall, Info, Judged, Method,
    Settings, To, common,
};
use crate::{model::Mistake, notifications::message::Message};

/// The time for the answer to a challenge.
const CHALLENGE: Duration = Duration::from_secs(5);

static INFO: Info = Info {
    kind: "webhook",
    name: "Webhook",
    tile: "Wh",
    what: "Posts JSON to an address of your own, in the form of Netdata Cloud's webhook or in Watchfire's own.",
    steps: &[
        "Have a service ready that takes POST with JSON by HTTPS and answers with any 2xx within 15 seconds.",
        "For mutual TLS put in a client certificate and its key, and let the service check it. What Watchfire shows there is \
         the certificate that you put in.",
        "With a challenge secret, the service must answer GET ?crc_token=… with {\"response_token\": \"sha256=…\"}, the \
         base64 of the HMAC-SHA256 of the token with the secret. It is asked whenever this is saved.",
    ],
    fields: &[
        Field {
            key: "url",
            label: "Address",
            help: "Where the JSON goes, such as https://hooks.example.com/watchfire",
            kind: FieldKind::Url,
            secret: true,
            required: true,
            default: "",
        },
        Field {
            key: "format",
            label: "Form of the body",
            help: "netdata-v1 has the fields of Netdata Cloud's webhook (message, alert, severity, …). watchfire-v1 has \
                   the whole incident and its alerts.",
            kind: FieldKind::Choice(&["netdata-v1", "watchfire-v1"]),
            secret: false,
            required: false,
            default: "netdata-v1",
        },
        Field {
            key: "legacy_names",
            label: "Netdata's older names",
            help: "on for receivers made before 2024: alarm, alarm_url and rooms instead of alert, alert_url and Rooms.",
            kind: FieldKind::Switch,
            secret: false,
            required: false,
            default: "off",
        },
        Field {
            key: "headers",
            label: "Extra headers",
            help: "One in a line, name and value: X-Team: payments",
            kind: FieldKind::Lines,
            secret: true,
            required: false,
            default: "",
        },
        Field {
            key: "authentication",
            label: "Authentication",
            help: "none leaves it to the client certificate or the address; basic sends user and password, bearer a token.",
            kind: FieldKind::Choice(&["none", "basic", "bearer"]),
            secret: false,
            required: false,
            default: "none",
        },
        Field {
            key: "user",
            label: "User",
            help: "For basic, such as watchfire; without a colon.",
            kind: FieldKind::Text,
            secret: false,
            required: false,
            default: "",
        },
        Field {
            key: "password",
            label: "Password",
            help: "For basic: what the receiver knows of this user.",
            kind: FieldKind::Text,
            secret: true,
            required: false,
            default: "",
        },
        Field {
            key: "token",
            label: "Token",
            help: "For bearer: sent as Authorization: Bearer TOKEN.",
            kind: FieldKind::Text,
            secret: true,
            required: false,
            default: "",
        },
        Field {
            key: "client_certificate",
            label: "Client certificate",
            help: "For mutual TLS, as PEM: it begins with -----BEGIN CERTIFICATE-----, with its chain after it.",
            kind: FieldKind::Lines,
            secret: false,
            required: false,
            default: "",
        },
        Field {
            key: "client_key",
            label: "Key of the client certificate",
            help: "As PEM, without a passphrase: it begins with -----BEGIN PRIVATE KEY-----",
            kind: FieldKind::Lines,
            secret: true,
            required: false,
            default: "",
        },
        Field {
            key: "signing_secret",
            label: "Signing secret",
            help: "When given, X-Watchfire-Signature is sha256= and the hex HMAC-SHA256 of X-Watchfire-Timestamp, a dot and \
                   the body: the receiver can check who sent it.",
            kind: FieldKind::Text,
            secret: true,
            required: false,
            default: "",
        },
        Field {
            key: "challenge_secret",
            label: "Challenge secret",
            help: "When given, the receiver must show whenever this is saved that it knows it: GET with crc_token, answered \
                   within 5 seconds.",
            kind: FieldKind::Text,
            secret: true,
            required: false,
            default: "",
        },
        CA,
    ],
    address: None,
    follows: Follows::Fed,
    rate: (10, Duration::from_secs(1)),
};

/// Headers that are the connection's, the body's or ours.
const DENIED: &[&str] = &[
    "host",
    "content-length",
    "transfer-encoding",
    "connection",
    "content-type",
    "content-encoding",
    "keep-alive",
    "te",
    "trailer",
    "upgrade",
    "user-agent",
];

/// The channel.
pub struct Webhook;

impl Channel for Webhook {
    fn info(&self) -> &'static Info {
        &INFO
    }

    fn check(&self, settings: &Settings) -> Vec<Mistake> {
        let mut wrong = Vec::new();
        let mut mistake = |key: &str, what: String| wrong.push(Mistake::new(format!("/settings/{key}"), what));
        for line in lines(settings.get("headers")) {
            if let Err(what) = header(line, settings.get("authentication")) {
                mistake("headers", what);
            }
        }
        match settings.get("authentication") {
            "basic" if settings.get("user").is_empty() => mistake("user", "Basic needs a user.".to_owned()),
            "basic" if settings.get("user").contains(':') => {
                mistake("user", "A user of Basic has no colon: what follows one would be read as password.".to_owned());
            }
            "bearer" if settings.get("token").is_empty() => mistake("token", "Bearer needs a token.".to_owned()),
            "bearer" if HeaderValue::from_str(settings.get("token")).is_err() => {
                mistake("token", "A token has no line breaks.".to_owned());
            }
            _ => {}
        }
        let (certificate, key) = (settings.get("client_certificate"), settings.get("client_key"));
        let found = CertificateDer::pem_slice_iter(certificate.as_bytes()).collect::<Result<Vec<_>, _>>();
        if !certificate.is_empty() && found.map_or(true, |all| all.is_empty()) {
            let what = "This holds no certificate in PEM: it begins with -----BEGIN CERTIFICATE-----";
            mistake("client_certificate", what.to_owned());
        }
        if !key.is_empty() && PrivateKeyDer::from_pem_slice(key.as_bytes()).is_err() {
            let what = "This holds no key in PEM that can be read without a passphrase: it begins with -----BEGIN PRIVATE \
                        KEY-----";
            mistake("client_key", what.to_owned());
        }
        match (certificate.is_empty(), key.is_empty()) {
            (false, true) => mistake("client_key", "The certificate needs its key.".to_owned()),
            (true, false) => mistake("client_certificate", "The key needs its certificate.".to_owned()),
            _ => {}
        }
        wrong
    }

    fn challenge(&self, settings: &Settings, nonce: &str) -> Option<Call> {
        settings.given("challenge_secret")?;
        let url = settings.get("url");
        let url = url.split_once('#').map_or(url, |(before, _)| before);
        let join = if url.contains('?') { '&' } else { '?' };
        let mut call = call(settings, format!("{url}{join}crc_token={}", common::segment(nonce)), Body::Empty);
        (call.step, call.method, call.within) = ("challenge", Method::Get, CHALLENGE);
        Some(Call::Http(call))
    }

    fn shown(&self, settings: &Settings, nonce: &str, answer: &Answered) -> Result<(), String> {
        if answer.status != 200 {
            return Err(format!("The challenge was answered with {}, and must be with 200.", answer.status));
        }
        let said = answer.json();
        if !said.is_object() {
            return Err("The answer to the challenge is not a JSON object.".to_owned());
        }
        let Some(token) = common::at(&said, "response_token").as_str() else {
            return Err("The answer to the challenge has no text response_token.".to_owned());
        };
        let right = right_token(settings.get("challenge_secret"), nonce);
        if bool::from(token.as_bytes().ct_eq(right.as_bytes())) {
            Ok(())
        } else {
            Err("The answer's response_token is not the right one: the challenge secret here and at the receiver must be \
                 the same, and the token is sha256= and the base64 of the HMAC-SHA256 of crc_token."
                .to_owned())
        }
    }

    fn calls(&self, to: &To, message: &Message) -> Vec<Call> {
        let settings = &to.settings;
        let body = match settings.get("format") {
            "watchfire-v1" => bodies::watchfire(message),
            _ => bodies::netdata(message, settings.on("legacy_names")),
        };
        let mut call = call(settings, settings.get("url").to_owned(), Body::Json(body));
        call.headers.push(("X-Watchfire-Event".to_owned(), message.event().to_string()));
        call.headers.push(("X-Watchfire-Delivery".to_owned(), message.key.clone()));
        call.sign = settings.given("signing_secret").map(str::to_owned);
        if call.sign.is_none() {
            // Where it is signed, the moment of the signature stands there.
            let secs = message.now.millis().div_euclid(1000);
            call.headers.push(("X-Watchfire-Timestamp".to_owned(), secs.to_string()));
        }
        vec![Call::Http(call)]
    }

    fn judge(&self, _to: &To, message: &Message, _call: &Call, answer: &Answered) -> Judged {
        let advice = "Look at the address and at what the receiver wants to know who asks.";
        common::advised(Judged::by_status(answer, message.now), answer, advice)
    }
}

/// What shows that the receiver knows the secret.
fn right_token(secret: &str, nonce: &str) -> String {
    // An HMAC takes a key of any length; the error type has no other use here.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else { return String::new() };
    mac.update(nonce.as_bytes());
    format!("sha256={}", STANDARD.encode(mac.finalize().into_bytes()))
}

fn lines(value: &str) -> impl Iterator<Item = &str> {
    value.lines().map(str::trim).filter(|l| !l.is_empty())
}

/// A line `Name: value`, or what is wrong with it.
fn header(line: &str, authentication: &str) -> Result<(String, String), String> {
    let shown = line.split(':').next().unwrap_or_default().trim();
    let Some((name, value)) = line.split_once(':') else {
        return Err("A header is a name, a colon and a value: X-Team: payments".to_owned());
    };
    let (name, value) = (name.trim(), value.trim());
    if HeaderName::from_bytes(name.as_bytes()).is_err() {
        return Err(format!("“{shown}” is no name of a header: letters, digits and dashes."));
    }
    if HeaderValue::from_str(value).is_err() || !value.is_ascii() {
        return Err(format!("The value of {shown} has letters that headers do not take."));
    }
    let low = name.to_ascii_lowercase();
    if DENIED.contains(&low.as_str()) || low.starts_with("x-watchfire-") || low.starts_with("proxy-") {
        return Err(format!("{shown} is set by Watchfire itself; leave it out."));
    }
    if low == "authorization" && matches!(authentication, "basic" | "bearer") {
        return Err(format!("Authorization is sent for {authentication} already; leave it out or choose none."));
    }
    Ok((name.to_owned(), value.to_owned()))
}

/// A request as all of this channel are: extra headers and who asks.
fn call(settings: &Settings, url: String, body: Body) -> HttpCall {
    let authentication = settings.get("authentication");
    let get = |key: &str| settings.get(key).to_owned();
    HttpCall {
        headers: lines(settings.get("headers")).filter_map(|l| header(l, authentication).ok()).collect(),
        credentials: match authentication {
            "basic" => Credentials::Basic(get("user"), get("password")),
            "bearer" => Credentials::Bearer(get("token")),
            _ => Credentials::None,
        },
        body,
        ..HttpCall::post("post", url, serde_json::Value::Null)
    }
}
