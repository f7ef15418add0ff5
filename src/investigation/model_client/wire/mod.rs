//! How endpoints of language models are spoken to: requests as JSON, answers as events of a stream or as one JSON. Pure.

mod anthropic;
mod openai;
mod sse;

use std::collections::BTreeSet;

use serde_json::Value;

pub(super) use sse::Sse;

use super::tools;
use crate::model::ModelKind;

/// Letters of one text or of one call's arguments in an answer; more is no answer to what was asked.
const MOST_TEXT: usize = 256 << 10;
/// Calls of tools in one answer.
const MOST_CALLS: usize = 32;

/// What is sent in one request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ask<'a> {
    /// The rules. Nothing of others stands in them.
    pub system: &'a str,
    /// What was said so far.
    pub messages: &'a [Message],
    /// Which tools are offered.
    pub tools: Offer,
    /// Tokens that the answer may have.
    pub most_out: u32,
}

/// Which tools a request offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Offer {
    /// None: the single-prompt form.
    None,
    /// All of them.
    All,
    /// All of them, and `finish` must be called.
    Finish,
    /// A harmless one, to see whether tools are called.
    Trial,
}

/// One message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Message {
    /// By Watchfire.
    User(String),
    /// By the model.
    Model {
        /// What it wrote.
        text: String,
        /// What it called.
        calls: Vec<Call>,
    },
    /// What the tools answered.
    Results(Vec<Answered>),
}

/// A call of a tool.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Call {
    /// Its id in the conversation.
    pub id: String,
    /// The tool.
    pub name: String,
    /// JSON, as far as the model keeps to it.
    pub arguments: String,
}

/// What a tool answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answered {
    /// The call's id.
    pub id: String,
    /// The answer.
    pub text: String,
    /// It is an error.
    pub refused: bool,
}

/// A whole answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Reply {
    /// What it wrote.
    pub text: String,
    /// What it called.
    pub calls: Vec<Call>,
    /// Tokens read, as the endpoint counts them.
    pub tokens_in: Option<u64>,
    /// Tokens written.
    pub tokens_out: Option<u64>,
    /// It stopped because it had no more tokens.
    pub cut: bool,
}

/// Parameters that some endpoints know by another name or refuse; learned from their errors.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Quirks(BTreeSet<&'static str>);

impl Quirks {
    const KNOWN: [&'static str; 5] =
        ["temperature", "stream_options", "max_completion_tokens", "max_tokens", "tool_choice"];

    fn has(&self, name: &str) -> bool {
        self.0.contains(name)
    }

    /// Takes in what an error says about a parameter; whether that tells something new.
    pub fn learn(&mut self, error: &str) -> bool {
        // An error about one names the other as well: the first that it names is the one that is wrong, and each is
        // tried once.
        let error = error.to_ascii_lowercase();
        let named = Self::KNOWN.iter().filter_map(|name| Some((error.find(name)?, *name)));
        named.min().is_some_and(|(_, name)| self.0.insert(name))
    }
}

/// The path of the API under the configured address.
pub(super) fn path(kind: ModelKind, base: &str) -> &'static str {
    match kind {
        ModelKind::Openai => "chat/completions",
        ModelKind::Anthropic if base.ends_with("/v1") => "messages",
        ModelKind::Anthropic => "v1/messages",
    }
}

/// The body of a request.
pub(super) fn body(kind: ModelKind, model: &str, ask: &Ask<'_>, quirks: &Quirks) -> Value {
    match kind {
        ModelKind::Openai => openai::body(model, ask, quirks),
        ModelKind::Anthropic => anthropic::body(model, ask, quirks),
    }
}

/// What an error's body says: both kinds have `error.message`; others write `detail`, `message` or plain text.
pub(super) fn error_text(body: &str) -> String {
    let read: Value = serde_json::from_str(body).unwrap_or(Value::Null);
    let at = ["/error/message", "/error", "/message", "/detail", "/detail/0/msg"];
    let said = at.iter().find_map(|path| read.pointer(path)?.as_str());
    said.unwrap_or(if read.is_null() { body } else { "" }).trim().chars().take(300).collect()
}

/// An answer as it comes.
#[derive(Debug)]
pub(super) enum Reading {
    /// OpenAI's chunks.
    Openai(openai::Reading),
    /// Anthropic's events.
    Anthropic(anthropic::Reading),
}

impl Reading {
    /// Of nothing yet.
    pub fn new(kind: ModelKind) -> Self {
        match kind {
            ModelKind::Openai => Self::Openai(openai::Reading::default()),
            ModelKind::Anthropic => Self::Anthropic(anthropic::Reading::default()),
        }
    }

    /// Takes in an event.
    ///
    /// # Errors
    /// What the endpoint says went wrong, or what is wrong with the event, as a clause.
    pub fn event(&mut self, data: &str) -> Result<(), String> {
        match self {
            Self::Openai(r) => r.event(data),
            Self::Anthropic(r) => r.event(data),
        }
    }

    /// Whether the endpoint said that nothing more comes.
    pub fn is_over(&self) -> bool {
        match self {
            Self::Openai(r) => r.over,
            Self::Anthropic(r) => r.ended,
        }
    }

    /// A body that came in one piece.
    pub fn whole(kind: ModelKind, body: &str) -> Result<Reply, String> {
        match kind {
            ModelKind::Openai => openai::whole(body),
            ModelKind::Anthropic => anthropic::whole(body),
        }
    }

    /// The answer, once the stream has ended.
    ///
    /// # Errors
    /// It ended before the answer did.
    pub fn reply(self) -> Result<Reply, String> {
        let (reply, ended) = match self {
            Self::Openai(r) => r.reply(),
            Self::Anthropic(r) => r.reply(),
        };
        if ended { sound(reply) } else { Err("the answer broke off half-way".to_owned()) }
    }
}

/// Ids where the endpoint gave none, and no call without a name.
fn sound(mut reply: Reply) -> Result<Reply, String> {
    reply.calls.retain(|c| !c.name.is_empty() || !c.arguments.is_empty());
    for (n, call) in reply.calls.iter_mut().enumerate() {
        if call.id.is_empty() {
            call.id = format!("call_{n}");
        }
    }
    if reply.text.trim().is_empty() && reply.calls.is_empty() {
        return Err("the answer is empty".to_owned());
    }
    Ok(reply)
}

fn grow(text: &mut String, more: &str) -> Result<(), String> {
    if text.len() + more.len() > MOST_TEXT {
        return Err("the answer is too long to be one".to_owned());
    }
    text.push_str(more);
    Ok(())
}

fn too_many(calls: usize) -> Result<(), String> {
    if calls > MOST_CALLS { Err(format!("it calls more than {MOST_CALLS} tools at once")) } else { Ok(()) }
}

/// The schema of each tool that a request offers, with its name and what it is for.
fn offered(offer: Offer) -> Vec<(&'static str, &'static str, Value)> {
    match offer {
        Offer::None => Vec::new(),
        Offer::All | Offer::Finish => tools::TOOLS.iter().map(|t| (t.name, t.about, tools::schema(t.params))).collect(),
        Offer::Trial => vec![(tools::TRIAL.name, tools::TRIAL.about, tools::schema(tools::TRIAL.params))],
    }
}

/// Arguments as an object: those that are none are sent back as an empty one, since endpoints read them again.
fn object(arguments: &str) -> Value {
    serde_json::from_str::<Value>(arguments)
        .ok()
        .filter(Value::is_object)
        .unwrap_or_else(|| Value::Object(Default::default()))
}

#[cfg(test)]
#[path = "../wire_tests.rs"]
mod tests;
