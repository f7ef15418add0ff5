//! Discord, webhooks. In a text channel the first message of an incident is changed as the incident changes, and short
//! messages follow it. In a forum channel each incident has its thread; or all have one, under a fixed name.

mod answers;
mod form;
#[cfg(test)]
mod tests;

use std::time::Duration;

use serde_json::{Value, json};

use super::{Answered, Call, Channel, Field, FieldKind, Follows, HttpCall, Info, Judged, Method, Settings, To, chat};
use crate::{model::Mistake, notifications::message::Message};

/// A thread's name, like any channel's.
const NAME: usize = 100;

static INFO: Info = Info {
    kind: "discord",
    name: "Discord",
    tile: "Dc",
    what: "Posts into a Discord text channel, or into a forum channel with a thread per incident.",
    steps: &[
        "In Discord open Server Settings > Integrations > Webhooks > New Webhook.",
        "Give it a name, choose the channel, and press Copy Webhook URL.",
    ],
    fields: &[
        Field {
            key: "url",
            label: "Webhook URL",
            help: "As Discord copies it: https://discord.com/api/webhooks/1234567890/abcdef",
            kind: FieldKind::Url,
            secret: true,
            required: true,
            default: "",
        },
        Field {
            key: "channel_type",
            label: "Type of channel",
            help: "text for an ordinary channel; forum for a forum or media channel, where every message is in a thread.",
            kind: FieldKind::Choice(&["text", "forum"]),
            secret: false,
            required: true,
            default: "text",
        },
        Field {
            key: "thread_name",
            label: "Thread name",
            help: "Only for a forum. Empty: one thread per incident. With a name, such as Alerts: one thread of that name \
                   for everything.",
            kind: FieldKind::Text,
            secret: false,
            required: false,
            default: "",
        },
        Field {
            key: "tags",
            label: "Tags of new threads",
            help: "Only for a forum that demands tags: their ids with commas between them, such as 1201,1202 (right-click \
                   the tag with Discord's developer mode on). At most five.",
            kind: FieldKind::Text,
            secret: false,
            required: false,
            default: "",
        },
        Field {
            key: "username",
            label: "Shown as",
            help: "The name messages appear under, such as Watchfire. Discord refuses names with clyde or discord in them.",
            kind: FieldKind::Text,
            secret: false,
            required: false,
            default: "Watchfire",
        },
        Field {
            key: "avatar_url",
            label: "Picture",
            help: "Address of a picture that Discord can reach, such as https://example.com/flame.png. Empty: the webhook's \
                   own.",
            kind: FieldKind::Url,
            secret: false,
            required: false,
            default: "",
        },
    ],
    address: None,
    follows: Follows::Read,
    rate: (5, Duration::from_secs(2)),
};

/// The channel.
pub struct Discord;

fn is_forum(settings: &Settings) -> bool {
    settings.get("channel_type") == "forum"
}

/// The ids of tags.
fn tags(settings: &Settings) -> Vec<&str> {
    settings.get("tags").split([',', ' ']).map(str::trim).filter(|t| !t.is_empty()).collect()
}

impl Channel for Discord {
    fn info(&self) -> &'static Info {
        &INFO
    }

    fn check(&self, settings: &Settings) -> Vec<Mistake> {
        let mut wrong = Vec::new();
        let mut say = |key: &str, what: &str| wrong.push(Mistake::new(format!("/settings/{key}"), what));
        let path = chat::base(settings.get("url"));
        if !path.contains("/webhooks/") {
            say(
                "url",
                "This is no webhook's address: that one has /api/webhooks/ in it. Press Copy Webhook URL in Discord.",
            );
        } else if ["/slack", "/github"].iter().any(|end| path.ends_with(end)) {
            say("url", "Leave out the end /slack or /github: Watchfire writes Discord's own messages.");
        }
        let name = settings.get("thread_name");
        if !name.is_empty() && !is_forum(settings) {
            say("thread_name", "Only forum channels have threads by name. Leave it empty, or choose the type forum.");
        }
        if name.chars().count() > NAME {
            say("thread_name", "At most 100 characters.");
        }
        let tags = tags(settings);
        if tags.len() > 5 || tags.iter().any(|t| !t.bytes().all(|b| b.is_ascii_digit())) {
            say("tags", "At most five ids, which are digits, with commas between them, such as 1201,1202.");
        }
        let username = settings.get("username").to_lowercase();
        if username.chars().count() > 80 || ["clyde", "discord"].iter().any(|w| username.contains(w)) {
            say("username", "At most 80 characters, and neither clyde nor discord in it: Discord refuses those.");
        }
        wrong
    }

    fn calls(&self, to: &To, message: &Message) -> Vec<Call> {
        let first = message.subject().zip(to.receipt.get("message"));
        let Some((subject, id)) = first else { return vec![posted("post", to, message)] };
        let follow_up = form::follow_up(&to.settings, message, subject);
        vec![changed("edit", to, message, id), Call::Http(HttpCall::post("thread", place(to, thread(to)), follow_up))]
    }

    fn judge(&self, to: &To, message: &Message, call: &Call, answer: &Answered) -> Judged {
        answers::judge(to, message, call, answer)
    }
}

/// The thread that the incident is told in, of a forum.
fn thread(to: &To) -> Option<&str> {
    to.receipt.get("thread").map(String::as_str).filter(|t| !t.is_empty() && is_forum(&to.settings))
}

/// The thread under the fixed name, if it was made already.
fn fixed_thread(to: &To) -> Option<&str> {
    let name = to.settings.given("thread_name")?;
    let same = to.lasting.get("thread_name").is_some_and(|n| n == name);
    to.lasting.get("thread").map(String::as_str).filter(|t| same && !t.is_empty() && is_forum(&to.settings))
}

/// Where messages are posted. The answer is waited for: it has the ids.
fn place(to: &To, thread: Option<&str>) -> String {
    let mut parameters = vec![("wait", "true")];
    parameters.extend(thread.map(|id| ("thread_id", id)));
    chat::with_query(to.settings.get("url"), &parameters)
}

/// A whole message: in a forum in the thread that there is, or with the name of a new one.
fn posted(step: &'static str, to: &To, message: &Message) -> Call {
    let mut body = form::whole(&to.settings, message);
    let known = thread(to).filter(|_| message.subject().is_some()).or_else(|| fixed_thread(to));
    if let (true, None, Value::Object(fields)) = (is_forum(&to.settings), known, &mut body) {
        let name = to.settings.given("thread_name").map_or_else(|| form::thread_name(message), str::to_owned);
        fields.insert("thread_name".to_owned(), json!(name));
        let tags = tags(&to.settings);
        if !tags.is_empty() {
            fields.insert("applied_tags".to_owned(), json!(tags));
        }
    }
    Call::Http(HttpCall::post(step, place(to, known), body))
}

/// The first message, as things stand now.
fn changed(step: &'static str, to: &To, message: &Message, id: &str) -> Call {
    let mut body = form::whole(&to.settings, message);
    if let Value::Object(fields) = &mut body {
        // A message keeps the name it was sent under.
        fields.remove("username");
        fields.remove("avatar_url");
    }
    let url = to.settings.get("url");
    let (path, query) = url.split_once('?').map_or((url, String::new()), |(path, query)| (path, format!("?{query}")));
    let url = format!("{}/messages/{id}{query}", path.trim_end_matches('/'));
    let url = match thread(to) {
        Some(thread) => chat::with_query(&url, &[("thread_id", thread)]),
        None => url,
    };
    Call::Http(HttpCall { method: Method::Patch, ..HttpCall::post(step, url, body) })
}
