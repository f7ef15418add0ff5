//! Mattermost, incoming webhook. A message cannot be changed later; each event is one of its own.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Answered, Call, Channel, Field, FieldKind, Follows, HttpCall, Info, Judged, To, text};
use crate::notifications::message::{About, Message, Subject};

/// What a post may have, in characters (<https://developers.mattermost.com/integrate/webhooks/incoming/>).
const MOST: usize = 16_383;

static INFO: Info = Info {
    kind: "mattermost",
    name: "Mattermost",
    tile: "Mm",
    what: "Posts into a Mattermost channel by an incoming webhook.",
    steps: &[
        "In Mattermost open Integrations > Incoming Webhooks > Add Incoming Webhook.",
        "Choose the channel, save, and copy the address that is shown.",
    ],
    fields: &[
        Field {
            key: "url",
            label: "Webhook address",
            help: "As Mattermost shows it: https://chat.example.com/hooks/…",
            kind: FieldKind::Url,
            secret: true,
            required: true,
            default: "",
        },
        Field {
            key: "channel",
            label: "Channel",
            help: "Another channel than the webhook's own, such as incidents, or @name for one person; only where \
                           the webhook is not locked to its channel.",
            kind: FieldKind::Text,
            secret: false,
            required: false,
            default: "",
        },
        Field {
            key: "username",
            label: "Shown as",
            help: "Only where Mattermost allows webhooks another name.",
            kind: FieldKind::Text,
            secret: false,
            required: false,
            default: "Watchfire",
        },
    ],
    address: Some("channel"),
    follows: Follows::Read,
    rate: (2, Duration::from_secs(1)),
};

/// The channel.
pub struct Mattermost;

impl Channel for Mattermost {
    fn info(&self) -> &'static Info {
        &INFO
    }

    fn calls(&self, to: &To, message: &Message) -> Vec<Call> {
        let mut body = match &message.about {
            About::Incident(subject) => incident(message, subject),
            About::Digest(digest) => {
                let lines = digest.first.iter().map(|l| {
                    let look = text::severity(l.severity);
                    format!("{} [{}]({}) {}", look.sign, l.id, l.url, markdown(&l.title))
                });
                let list: Vec<String> = lines.chain([format!("[All of them]({})", digest.url)]).collect();
                let head = format!("**{}**", markdown(&text::headline(message)));
                json!({ "text": text::cut(&format!("{head}\n{}", list.join("\n")), MOST) })
            }
            About::Test { .. } => json!({ "text": markdown(&text::headline(message)) }),
        };
        if let Value::Object(body) = &mut body {
            let mut put = |key: &str, name: &str| {
                if let Some(value) = to.settings.given(key) {
                    body.insert(name.to_owned(), json!(value));
                }
            };
            put("channel", "channel");
            put("username", "username");
        }
        vec![Call::Http(HttpCall::post("post", to.settings.get("url"), body))]
    }

    fn judge(&self, _to: &To, message: &Message, _call: &Call, answer: &Answered) -> Judged {
        Judged::by_status(answer, message.now)
    }
}

fn incident(message: &Message, subject: &Subject) -> Value {
    let look = text::look(message);
    let head = text::headline(message);
    let mut words = vec![format!("**{}** · {}", markdown(&text::happened(message)), markdown(&text::count(subject)))];
    words.extend(subject.description.as_deref().map(|d| markdown(&text::cut(&text::plain(d), 2_900))));
    words.extend(subject.answer.as_ref().map(|a| markdown(&text::answer(a))));
    words.extend(text::remarks(message));
    words.extend(message.ack_url.as_ref().map(|url| format!("[Acknowledge]({url})")));
    let fields: Vec<Value> = text::facts(message, subject)
        .into_iter()
        .map(|(title, value)| json!({ "title": title, "value": markdown(&value), "short": true }))
        .collect();
    json!({
        // What a notification of the desktop shows.
        "text": format!("{} {}", look.sign, markdown(&head)),
        "attachments": [{
            "fallback": text::cut(&text::unmentioned(&head), 200),
            "color": look.colour,
            "title": text::cut(&markdown(&text::line(&subject.title)), 250),
            "title_link": subject.url,
            "text": text::cut(&words.join("\n\n"), 8_000),
            "fields": fields,
            "footer": text::cut(&text::line(&message.reason), 200),
        }],
    })
}

/// Foreign text without marks that would call people or make links.
fn markdown(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text::unmentioned(&text::plain(text)).chars() {
        if matches!(c, '\\' | '`' | '*' | '_' | '{' | '}' | '[' | ']' | '<' | '>' | '#' | '|' | '~' | '!') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}
