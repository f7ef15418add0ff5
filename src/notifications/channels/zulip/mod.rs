//! Zulip, as a bot. In a channel each incident has its topic, which is marked as resolved at the end; the first message is
//! changed as the incident changes, and what happens is told after it. Limits: <https://zulip.com/api/send-message>.

#[cfg(test)]
mod tests;

use std::time::Duration;

use serde_json::Value;

use super::{
    Answered, Body, CA, Call, Channel, Credentials, Field, FieldKind, Follows, HttpCall, Info, Judged, Method,
    Settings, To, call::said, chat, text,
};
use crate::{
    model::Mistake,
    notifications::message::{About, Digest, Message, Subject},
};

/// `content`.
const MOST: usize = 10_000;
/// `topic`.
const TOPIC: usize = 60;
/// What marks a topic as resolved.
const RESOLVED: &str = "✔ ";

static INFO: Info = Info {
    kind: "zulip",
    name: "Zulip",
    tile: "Zu",
    what: "Posts into a Zulip channel with a topic per incident, marked as resolved at its end; or to people directly.",
    steps: &[
        "In Zulip open Settings > Personal > Bots > Add a new bot, with the type Generic bot.",
        "Copy its e-mail address and its API key, and subscribe it to the channel if that is private.",
        "To have topics marked as resolved, let the bot move messages: Organization settings > Organization permissions.",
    ],
    fields: &[
        Field {
            key: "server",
            label: "Server",
            help: "Where Zulip is: https://example.zulipchat.com",
            kind: FieldKind::Url,
            secret: false,
            required: true,
            default: "",
        },
        Field {
            key: "email",
            label: "E-mail address of the bot",
            help: "As Zulip shows it in the list of bots: watchfire-bot@example.zulipchat.com",
            kind: FieldKind::Text,
            secret: false,
            required: true,
            default: "",
        },
        Field {
            key: "key",
            label: "API key of the bot",
            help: "32 letters and digits, in the list of bots under the bot's name.",
            kind: FieldKind::Text,
            secret: true,
            required: true,
            default: "",
        },
        Field {
            key: "to",
            label: "Channel or people",
            help: "A channel's name, such as incidents; or people's e-mail addresses with commas between them, such as \
                   ada@example.com, for direct messages.",
            kind: FieldKind::Text,
            secret: false,
            required: true,
            default: "",
        },
        Field {
            key: "topic",
            label: "Topic",
            help: "Empty: one topic per incident, such as “INC-42 Disk full on db-1”. With a name, such as alerts: all in that \
                   topic.",
            kind: FieldKind::Text,
            secret: false,
            required: false,
            default: "",
        },
        CA,
    ],
    address: Some("to"),
    follows: Follows::Read,
    rate: (200, Duration::from_secs(60)),
};

/// The channel.
pub struct Zulip;

/// Addresses are people; a channel's name is a word.
fn people(settings: &Settings) -> Option<Vec<&str>> {
    let to = settings.get("to");
    let all = to.contains('@').then(|| to.split(',').map(str::trim).filter(|a| !a.is_empty()).collect::<Vec<_>>());
    all.filter(|a| !a.is_empty())
}

impl Channel for Zulip {
    fn info(&self) -> &'static Info {
        &INFO
    }

    fn check(&self, settings: &Settings) -> Vec<Mistake> {
        let mut wrong = Vec::new();
        if !settings.get("email").contains('@') {
            let what = "The bot's e-mail address, such as watchfire-bot@example.zulipchat.com; not its name.";
            wrong.push(Mistake::new("/settings/email", what));
        }
        if settings.get("topic").chars().count() > TOPIC {
            wrong.push(Mistake::new("/settings/topic", "At most 60 characters."));
        }
        wrong
    }

    fn calls(&self, to: &To, message: &Message) -> Vec<Call> {
        let first = message.subject().zip(to.receipt.get("message"));
        let Some((subject, id)) = first else {
            return vec![post("post", to, &topic(&to.settings, message), whole(message))];
        };
        let edit = change("edit", to, id, vec![("content", whole(message))]);
        // Only topics of one incident are kept; a fixed one is of all and is never marked.
        let Some(current) = to.receipt.get("topic") else {
            return vec![edit, post("thread", to, &topic(&to.settings, message), follow_up(message, subject))];
        };
        let unmarked = current.strip_prefix(RESOLVED);
        match (message.is_over(), unmarked) {
            (false, Some(name)) => {
                vec![renamed(to, id, name), edit, post("thread", to, name, follow_up(message, subject))]
            }
            (true, None) => {
                let name = format!("{RESOLVED}{current}");
                vec![edit, post("thread", to, current, follow_up(message, subject)), renamed(to, id, &name)]
            }
            _ => vec![edit, post("thread", to, current, follow_up(message, subject))],
        }
    }

    fn judge(&self, to: &To, message: &Message, call: &Call, answer: &Answered) -> Judged {
        let json = answer.json();
        if answer.is_success() {
            if chat::at(&json, "result") != "success" {
                let what = "Look at the server's address in this channel's settings.";
                return chat::never("answered 200, but not as Zulip does", what, true);
            }
            return match call.step() {
                "topic" => chat::kept([("topic", form(call, "topic"))]),
                "post" if message.subject().is_some() => {
                    let own = to.settings.given("topic").is_none() && people(&to.settings).is_none();
                    chat::kept([
                        ("message", chat::word(chat::at(&json, "id"))),
                        ("topic", form(call, "topic").filter(|_| own)),
                    ])
                }
                _ => Judged::done(),
            };
        }
        let words = chat::at(&json, "msg").as_str().map_or_else(|| said(&answer.body), said);
        // The organization may allow no changes, or none after some minutes; somebody may have deleted the message. What
        // follows tells what happened.
        if matches!(call.step(), "edit" | "topic") && matches!(answer.status, 400 | 403 | 404) {
            return Judged::done();
        }
        if answer.status == 429 {
            let wish = chat::at(&json, "retry-after").as_f64().and_then(|s| Duration::try_from_secs_f64(s).ok());
            if let Judged::Later { after, why } = chat::judged(answer, message.now, &words, "") {
                return Judged::Later { after: wish.or(after), why };
            }
        }
        let why = format!("Zulip said: {words}");
        let code = chat::at(&json, "code").as_str().unwrap_or_default();
        if answer.status == 400 && (code == "STREAM_DOES_NOT_EXIST" || words.contains("Not authorized to send")) {
            let what = "Look at the channel's name, and subscribe the bot to it if it is private.";
            return chat::never(&why, what, true);
        }
        if answer.status == 400 && words.starts_with("Invalid email") {
            return chat::never(&why, "Look at the people's e-mail addresses: they must have an account there.", true);
        }
        let what = "Look at the server's address, the bot's e-mail address and its API key (Settings > Personal > Bots); the \
                    bot may have been deactivated.";
        chat::judged(answer, message.now, &words, what)
    }
}

fn api(step: &'static str, to: &To, path: &str, method: Method, fields: Vec<(&str, String)>) -> Call {
    let url = format!("{}/api/v1/{path}", chat::base(to.settings.get("server")));
    let credentials = Credentials::Basic(to.settings.get("email").to_owned(), to.settings.get("key").to_owned());
    let body = Body::Form(fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect());
    Call::Http(HttpCall { method, credentials, body, ..HttpCall::post(step, url, Value::Null) })
}

fn post(step: &'static str, to: &To, topic: &str, content: String) -> Call {
    // The older names of both types: servers of all ages know them.
    let mut fields = match people(&to.settings) {
        Some(people) => vec![("type", "private".to_owned()), ("to", serde_json::json!(people).to_string())],
        None => {
            vec![("type", "stream".to_owned()), ("to", to.settings.get("to").to_owned()), ("topic", topic.to_owned())]
        }
    };
    fields.push(("content", content));
    api(step, to, "messages", Method::Post, fields)
}

fn change(step: &'static str, to: &To, id: &str, fields: Vec<(&str, String)>) -> Call {
    api(step, to, &format!("messages/{id}"), Method::Patch, fields)
}

/// The topic of all its messages. Zulip's own note about that is left out: the message before it says why.
fn renamed(to: &To, id: &str, name: &str) -> Call {
    let fields = vec![
        ("topic", name.to_owned()),
        ("propagate_mode", "change_all".to_owned()),
        ("send_notification_to_old_thread", "false".to_owned()),
        ("send_notification_to_new_thread", "false".to_owned()),
    ];
    change("topic", to, id, fields)
}

/// A field of a form.
fn form(call: &Call, name: &str) -> Option<String> {
    match call {
        Call::Http(HttpCall { body: Body::Form(fields), .. }) => {
            fields.iter().find(|(n, _)| n == name).map(|(_, value)| value.clone())
        }
        _ => None,
    }
}

/// Room is left for the mark.
fn topic(settings: &Settings, message: &Message) -> String {
    let room = TOPIC - RESOLVED.chars().count();
    match (settings.given("topic"), &message.about) {
        (Some(topic), _) => topic.to_owned(),
        (None, About::Incident(s)) => chat::line(&format!("{} {}", s.id, s.title), room, chat::quiet),
        (None, About::Digest(_) | About::Test { .. }) => "Watchfire".to_owned(),
    }
}

fn whole(message: &Message) -> String {
    let head = chat::head(message, 300, chat::apart);
    let reason = chat::line(&message.reason, 300, chat::apart);
    match &message.about {
        About::Incident(subject) => {
            let happened = chat::line(&text::happened(message), 300, chat::apart);
            let top = format!("**{head}**\n{happened} · {}", text::count(subject));
            let facts: Vec<String> = chat::facts(message, subject, chat::apart)
                .into_iter()
                .map(|(name, value)| format!("* {name}: {value}"))
                .collect();
            let links = chat::markdown_links(message, subject, chat::apart);
            let (facts, end) = (facts.join("\n"), format!("{links}\n{reason}"));
            let taken = [&top, &facts, &end].iter().map(|p| p.chars().count() + 2).sum();
            // Half a limit is enough for anybody at night.
            let room = MOST.saturating_sub(taken).clamp(300, 5_000);
            let parts = [top, chat::story(message, subject, room, chat::apart), facts, end];
            parts.into_iter().filter(|p| !p.is_empty()).collect::<Vec<_>>().join("\n\n")
        }
        About::Digest(digest) => format!("**{head}**\n{}\n\n{reason}", list(message, digest)),
        About::Test { .. } => format!("**{head}**\n{reason}"),
    }
}

fn list(message: &Message, digest: &Digest) -> String {
    let places = [chat::places(digest, chat::apart)];
    let lines = digest.first.iter().map(|l| {
        let name = chat::href(&l.url, 300).map_or_else(|| l.id.to_string(), |url| format!("[{}]({url})", l.id));
        format!("{} {name} {}", text::severity(l.severity).sign, chat::line(&l.title, 120, chat::apart))
    });
    let all = chat::href(&digest.url, 500).map(|url| format!("[Open all of them]({url})"));
    let lines = places.into_iter().chain(lines).chain(all).chain(text::remarks(message)).filter(|l| !l.is_empty());
    lines.collect::<Vec<_>>().join("\n")
}

fn follow_up(message: &Message, subject: &Subject) -> String {
    let (first, news) = chat::follow_up(message, subject, 3_000, chat::apart);
    let link =
        chat::href(&subject.url, 500).map_or_else(|| subject.id.to_string(), |u| format!("[{}]({u})", subject.id));
    let lines: Vec<String> = [format!("**{first}** · {link}")].into_iter().chain(news).collect();
    lines.join("\n\n")
}
