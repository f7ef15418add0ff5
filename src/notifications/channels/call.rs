//! Calls that channels want made, and what came of them.

use std::time::Duration;

use super::Receipt;

/// One call, by HTTP or by mail.
#[derive(Clone, Debug, PartialEq)]
pub enum Call {
    /// A request.
    Http(HttpCall),
    /// A mail.
    Mail(Box<MailCall>),
}

impl Call {
    /// Its name within the message.
    pub fn step(&self) -> &'static str {
        match self {
            Call::Http(call) => call.step,
            Call::Mail(call) => call.step,
        }
    }
}

/// How a request is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Asks.
    Get,
    /// Sends.
    Post,
    /// Puts in its place.
    Put,
    /// Changes.
    Patch,
}

/// Who asks.
#[derive(Clone, PartialEq, Eq)]
pub enum Credentials {
    /// Nobody; or the address says it.
    None,
    /// `Authorization: Bearer …`.
    Bearer(String),
    /// `Authorization: Basic …`: user, password.
    Basic(String, String),
    /// `Authorization:` with a scheme of its own, whole.
    Other(String),
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Credentials(…)")
    }
}

/// A body.
#[derive(Clone, Debug, PartialEq)]
pub enum Body {
    /// None.
    Empty,
    /// JSON, `application/json`.
    Json(serde_json::Value),
    /// A form.
    Form(Vec<(String, String)>),
}

/// A request. The address may be a secret: it is never logged or shown whole.
#[derive(Clone, Debug, PartialEq)]
pub struct HttpCall {
    /// Its name within the message: `post`, `edit`, `thread`.
    pub step: &'static str,
    /// How.
    pub method: Method,
    /// Where, whole.
    pub url: String,
    /// Headers besides those of the body and of the client; a `content-type` here takes the place of the body's.
    pub headers: Vec<(String, String)>,
    /// Who asks.
    pub credentials: Credentials,
    /// What is sent.
    pub body: Body,
    /// Sign it: the runner adds `X-Watchfire-Timestamp` and `X-Watchfire-Signature` with this secret over the very bytes
    /// it sends.
    pub sign: Option<String>,
    /// The time for the whole call.
    pub within: Duration,
}

impl HttpCall {
    /// A `POST` of JSON, without credentials.
    pub fn post(step: &'static str, url: impl Into<String>, body: serde_json::Value) -> Self {
        Self {
            step,
            method: Method::Post,
            url: url.into(),
            headers: Vec::new(),
            credentials: Credentials::None,
            body: Body::Json(body),
            sign: None,
            within: super::super::CALL,
        }
    }
}

/// A mail. The runner makes bytes of it and hands it to the server that the settings name.
#[derive(Clone, Debug, PartialEq)]
pub struct MailCall {
    /// Its name within the message: `mail`, or one of each recipient's.
    pub step: &'static str,
    /// From whom: an address, maybe with a name before it.
    pub from: String,
    /// To whom.
    pub to: Vec<String>,
    /// One line, at most 200 characters.
    pub subject: String,
    /// `Message-ID`, with its angle brackets.
    pub message_id: String,
    /// `In-Reply-To` and `References`, likewise.
    pub reply_to: Option<String>,
    /// Headers besides.
    pub headers: Vec<(String, String)>,
    /// For readers of text.
    pub text: String,
    /// For others; everything foreign in it is escaped.
    pub html: String,
}

/// What came of a call, where something answered.
#[derive(Clone, Debug, PartialEq)]
pub struct Answered {
    /// Of HTTP, or the three digits of SMTP.
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// At most 64 KiB.
    pub body: String,
}

impl Answered {
    /// A header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    /// The body as JSON; null when it is none.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }

    /// Any status that says yes.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

/// What an answer means for the message.
#[derive(Clone, Debug, PartialEq)]
pub enum Judged {
    /// This call did what it should.
    Done {
        /// What later messages about the incident need.
        receipt: Receipt,
        /// What all later messages of the channel need.
        lasting: Receipt,
    },
    /// Not now: tried again, after this time if the target says one.
    Later {
        /// The target's wish.
        after: Option<Duration>,
        /// In one sentence.
        why: String,
    },
    /// Never: this message cannot be told here.
    Never {
        /// In one sentence, with what to do.
        why: String,
        /// It is not the message but the channel: address gone, key refused.
        broken: bool,
    },
    /// Never, and whoever goes on calling there is shut out: the channel is given up at once.
    Gone {
        /// In one sentence, with what to do.
        why: String,
    },
    /// These calls instead of this one (and of those with the same steps): the chat has moved, the thread is gone.
    Instead {
        /// What is to be made.
        calls: Vec<Call>,
        /// What all later messages need to know of it.
        lasting: Receipt,
        /// What is no longer true of the receipt.
        forget: Vec<String>,
    },
}

impl Judged {
    /// Done, with nothing to keep.
    pub fn done() -> Self {
        Judged::Done { receipt: Receipt::new(), lasting: Receipt::new() }
    }

    /// What most targets mean by their status (the wire's rules for every channel): 2xx is done; 408, 425, 429, 500 to
    /// 504 and 520 to 529 are for later, with `Retry-After` as seconds or as a date; the rest is never.
    pub fn by_status(answer: &Answered, now: crate::model::Time) -> Self {
        let said = said(&answer.body);
        let said = if said.is_empty() { String::new() } else { format!(": {said}") };
        let why = format!("{}{said}", super::text::status(answer.status));
        match answer.status {
            200..300 => Self::done(),
            408 | 425 | 429 | 500..=504 | 520..=529 => {
                let after = answer.header("retry-after").and_then(|v| super::text::retry_after(v, now));
                Judged::Later { after, why }
            }
            status => Judged::Never { why, broken: matches!(status, 401 | 403 | 404 | 410) },
        }
    }
}

/// The beginning of what a target says, as one line; for people to read.
pub fn said(body: &str) -> String {
    let words: Vec<&str> =
        body.split(|c: char| c.is_whitespace() || c.is_control()).filter(|w| !w.is_empty()).collect();
    super::text::cut(&words.join(" "), 200)
}
