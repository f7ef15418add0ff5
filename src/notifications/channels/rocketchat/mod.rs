//! Rocket.Chat, in two ways. An incoming webhook only posts. With a user's token the first message of an incident is
//! changed as the incident changes, and what happens is told in a thread under it.

#[cfg(test)]
mod tests;

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::{
    Answered, CA, Call, Channel, Field, FieldKind, Follows, HttpCall, Info, Judged, Receipt, Settings, To, call::said,
    chat, text,
};
use crate::{
    model::Mistake,
    notifications::message::{About, Digest, Message, Subject},
};

/// A text and an attachment's text. Servers take 5,000 characters unless they are set to take fewer.
const MOST: usize = 4_000;

static INFO: Info = Info {
    kind: "rocketchat",
    name: "Rocket.Chat",
    tile: "Rc",
    what: "Posts into a Rocket.Chat room; with a user's token it keeps one thread per incident and changes its first message \
           as the incident changes.",
    steps: &[
        "For a webhook: in Rocket.Chat open Administration > Workspace > Integrations > New > Incoming, enable it, choose \
         the room and the user to post as, save, and copy the Webhook URL.",
        "For a token: make a user with the role bot, sign in as it, open My Account > Personal Access Tokens, add one \
         (Ignore Two Factor), and copy both the token and the user id. Invite the user to the room.",
    ],
    fields: &[
        Field {
            key: "mode",
            label: "Way",
            help: "webhook is quick to set up and only posts. rest, with a user's token, keeps one thread per incident and \
                   changes its first message.",
            kind: FieldKind::Choice(&["webhook", "rest"]),
            secret: false,
            required: true,
            default: "webhook",
        },
        Field {
            key: "url",
            label: "Webhook URL",
            help: "Only for the way webhook, as Rocket.Chat shows it: https://chat.example.com/hooks/abc/def",
            kind: FieldKind::Url,
            secret: true,
            required: false,
            default: "",
        },
        Field {
            key: "server",
            label: "Server",
            help: "Only for the way rest: https://chat.example.com",
            kind: FieldKind::Url,
            secret: false,
            required: false,
            default: "",
        },
        Field {
            key: "user_id",
            label: "User id",
            help: "Only for the way rest: the id that is shown together with the personal access token, such as \
                   aobEdbYhXfu5hkeqG. It is not the user's name.",
            kind: FieldKind::Text,
            secret: false,
            required: false,
            default: "",
        },
        Field {
            key: "token",
            label: "Personal access token",
            help: "Only for the way rest, as Rocket.Chat shows it once under My Account > Personal Access Tokens.",
            kind: FieldKind::Text,
            secret: true,
            required: false,
            default: "",
        },
        Field {
            key: "channel",
            label: "Room",
            help: "#incidents for a room, @ada for a person. With a webhook only where its integration allows another room; \
                   empty is the webhook's own.",
            kind: FieldKind::Text,
            secret: false,
            required: false,
            default: "",
        },
        Field {
            key: "alias",
            label: "Shown as",
            help: "Only for the way webhook: the name messages appear under, such as Watchfire.",
            kind: FieldKind::Text,
            secret: false,
            required: false,
            default: "Watchfire",
        },
        Field {
            key: "emoji",
            label: "Picture",
            help: "Only for the way webhook: an emoji as the picture, such as :fire:. Empty: the integration's own.",
            kind: FieldKind::Text,
            secret: false,
            required: false,
            default: "",
        },
        CA,
    ],
    address: Some("channel"),
    follows: Follows::Read,
    rate: (1, Duration::from_secs(1)),
};

/// The channel.
pub struct RocketChat;

fn is_rest(settings: &Settings) -> bool {
    settings.get("mode") == "rest"
}

impl Channel for RocketChat {
    fn info(&self) -> &'static Info {
        &INFO
    }

    fn check(&self, settings: &Settings) -> Vec<Mistake> {
        let needed: &[(&str, &str)] = if is_rest(settings) {
            &[
                ("server", "The way rest needs the server's address, such as https://chat.example.com."),
                ("user_id", "The way rest needs the user's id; it is shown together with the token."),
                ("token", "The way rest needs a personal access token: My Account > Personal Access Tokens."),
                ("channel", "The way rest needs a room, such as #incidents."),
            ]
        } else {
            &[("url", "The way webhook needs the address that Rocket.Chat shows as Webhook URL.")]
        };
        let missing = needed.iter().filter(|(key, _)| settings.given(key).is_none());
        let mut wrong: Vec<Mistake> =
            missing.map(|(key, what)| Mistake::new(format!("/settings/{key}"), *what)).collect();
        if settings.given("channel").is_some_and(|c| !is_rest(settings) && !c.starts_with(['#', '@'])) {
            wrong.push(Mistake::new("/settings/channel", "A room begins with #, such as #incidents, a person with @."));
        }
        wrong
    }

    fn calls(&self, to: &To, message: &Message) -> Vec<Call> {
        if !is_rest(&to.settings) {
            return vec![Call::Http(HttpCall::post("post", to.settings.get("url"), by_webhook(to, message)))];
        }
        let first = message.subject().zip(to.receipt.get("message").zip(to.receipt.get("room")));
        let Some((subject, (id, room))) = first else { return vec![posted("post", to, message)] };
        let edit = json!({ "roomId": room, "msgId": id, "text": whole(message) });
        let (first, news) = chat::follow_up(message, subject, MOST - 100, chat::apart);
        let text: Vec<String> = [format!("*{first}*")].into_iter().chain(news).collect();
        let thread = json!({ "roomId": room, "tmid": id, "text": text.join("\n") });
        vec![api("edit", to, "chat.update", edit), api("thread", to, "chat.postMessage", thread)]
    }

    fn judge(&self, to: &To, message: &Message, call: &Call, answer: &Answered) -> Judged {
        let json = answer.json();
        // Failures come with 200 as well.
        if answer.is_success()
            && (chat::at(&json, "success") == true || (!is_rest(&to.settings) && chat::at(&json, "success").is_null()))
        {
            return done(to, message, call, &json);
        }
        if answer.is_success() && chat::at(&json, "success").is_null() {
            let what = "Look at the server's address in this channel's settings.";
            return chat::never("answered 200, but not as Rocket.Chat does", what, true);
        }
        let words =
            ["error", "message"].iter().find_map(|key| chat::at(&json, key).as_str()).map_or(said(&answer.body), said);
        let kind = chat::at(&json, "errorType").as_str().unwrap_or_default();
        refused(to, message, call, answer, &words, kind)
    }
}

fn done(to: &To, message: &Message, call: &Call, json: &Value) -> Judged {
    let is_reply = chat::sent(call, "tmid").is_string();
    if !is_rest(&to.settings) || message.subject().is_none() || call.step() == "edit" || is_reply {
        return Judged::done();
    }
    chat::kept([
        ("message", chat::word(chat::at(chat::at(json, "message"), "_id"))),
        ("room", chat::word(chat::at(chat::at(json, "message"), "rid"))),
    ])
}

/// What a word of refusal means; they come with 200, with 400 and with others.
fn refused(to: &To, message: &Message, call: &Call, answer: &Answered, words: &str, kind: &str) -> Judged {
    let has = |word: &str| kind.contains(word) || words.contains(word);
    let why = format!("Rocket.Chat said: {words}");
    if has("too-many-requests") && answer.status != 429 {
        return Judged::Later { after: None, why };
    }
    if matches!(answer.status, 200..300 | 400 | 403 | 404) {
        // The server allows no changes, or none after some minutes: the thread says what happened.
        if call.step() == "edit"
            && (has("editing-blocked") || has("editing not allowed") || has("error-action-not-allowed"))
        {
            return Judged::done();
        }
        let first_is_gone = has("No message found") || has("does not match") || has("invalid-message");
        let room_is_gone = has("room-not-found") || has("invalid-room") || has("invalid-channel");
        let follows = call.step() == "edit" || chat::sent(call, "tmid").is_string();
        if follows && (first_is_gone || room_is_gone) {
            return Judged::Instead {
                calls: vec![posted("thread", to, message)],
                lasting: Receipt::new(),
                forget: vec!["message".to_owned(), "room".to_owned()],
            };
        }
        if room_is_gone || has("channel") {
            let what = if is_rest(&to.settings) {
                "Look at the room's name (#incidents, or @ada for a person), and invite the user to it."
            } else {
                "Look at the room's name; for another room than its own the integration must allow that."
            };
            return chat::never(&why, what, true);
        }
        if has("not-allowed") || has("not-authorized") || has("unauthorized") {
            let what = "Give the user the role bot in Rocket.Chat, and invite it to the room.";
            return chat::never(&why, what, true);
        }
        if answer.is_success() || answer.status == 400 {
            return chat::never(&why, "", false);
        }
    }
    let what = if is_rest(&to.settings) {
        "Look at the server's address; make a new personal access token in Rocket.Chat and put it and the user id here."
    } else {
        "The integration was removed or switched off: look at it in Rocket.Chat and put its Webhook URL here."
    };
    chat::judged(answer, message.now, words, what)
}

/// A call of the API.
fn api(step: &'static str, to: &To, method: &str, body: Value) -> Call {
    let url = format!("{}/api/v1/{method}", chat::base(to.settings.get("server")));
    let headers = [("X-Auth-Token", "token"), ("X-User-Id", "user_id")];
    let headers = headers.map(|(name, key)| (name.to_owned(), to.settings.get(key).to_owned())).to_vec();
    Call::Http(HttpCall { headers, ..HttpCall::post(step, url, body) })
}

/// A whole message of its own.
fn posted(step: &'static str, to: &To, message: &Message) -> Call {
    let body = json!({ "channel": to.settings.get("channel"), "text": whole(message) });
    api(step, to, "chat.postMessage", body)
}

/// A message as text alone: a change reaches the text only, and would leave an attachment as it was.
fn whole(message: &Message) -> String {
    let head = chat::head(message, 300, chat::apart);
    match &message.about {
        About::Incident(subject) => {
            let happened = chat::line(&text::happened(message), 300, chat::apart);
            let facts: Vec<String> = chat::facts(message, subject, chat::apart)
                .into_iter()
                .map(|(name, value)| format!("{name}: {value}"))
                .collect();
            let facts = facts.join(" · ");
            let top = format!("*{head}*\n*{happened}* · {}", text::count(subject));
            let links = chat::markdown_links(message, subject, chat::apart);
            let end = format!("{links}\n_{}_", chat::line(&message.reason, 200, chat::apart));
            let taken = [&top, &facts, &end].iter().map(|p| p.chars().count() + 2).sum();
            let story = chat::story(message, subject, MOST.saturating_sub(taken).max(300), chat::apart);
            let parts = [top, story, facts, end].into_iter().filter(|p| !p.is_empty());
            parts.collect::<Vec<_>>().join("\n\n")
        }
        About::Digest(digest) => format!("*{head}*\n{}", list(message, digest)),
        About::Test { .. } => format!("*{head}*\n_{}_", chat::line(&message.reason, 200, chat::apart)),
    }
}

fn list(message: &Message, digest: &Digest) -> String {
    let lines = digest.first.iter().map(|l| {
        let name = chat::href(&l.url, 200).map_or_else(|| l.id.to_string(), |url| format!("[{}]({url})", l.id));
        format!("{} {name} {}", text::severity(l.severity).sign, chat::line(&l.title, 100, chat::apart))
    });
    let all = chat::href(&digest.url, 400).map(|url| format!("[Open all of them]({url})"));
    let places = [chat::places(digest, chat::apart)];
    let lines = places.into_iter().chain(lines).chain(all).chain(text::remarks(message)).filter(|l| !l.is_empty());
    let mut text = String::new();
    for line in lines {
        if text.chars().count() + line.chars().count() < MOST - 400 {
            text.push_str(&line);
            text.push('\n');
        }
    }
    text.trim_end().to_owned()
}

fn by_webhook(to: &To, message: &Message) -> Value {
    let look = text::look(message);
    let mut body = Map::new();
    body.insert("text".to_owned(), json!(chat::head(message, 300, chat::apart)));
    let attachment = match &message.about {
        About::Incident(subject) => attachment(message, subject),
        About::Digest(digest) => json!({ "text": list(message, digest) }),
        About::Test { .. } => json!({ "text": chat::line(&message.reason, 200, chat::apart) }),
    };
    if let Value::Object(mut attachment) = attachment {
        attachment.insert("color".to_owned(), json!(look.colour));
        body.insert("attachments".to_owned(), json!([attachment]));
    }
    for key in ["channel", "alias", "emoji"] {
        if let Some(value) = to.settings.given(key) {
            body.insert(key.to_owned(), json!(value));
        }
    }
    Value::Object(body)
}

fn attachment(message: &Message, subject: &Subject) -> Value {
    let top = format!("*{}* · {}", chat::line(&text::happened(message), 300, chat::apart), text::count(subject));
    let links = chat::markdown_links(message, subject, chat::apart);
    let end = format!("{links}\n_{}_", chat::line(&message.reason, 200, chat::apart));
    let room = MOST.saturating_sub(top.chars().count() + end.chars().count() + 4).max(300);
    let story = chat::story(message, subject, room, chat::apart);
    let parts = [top, story, end].into_iter().filter(|p| !p.is_empty());
    let facts = chat::facts(message, subject, chat::apart).into_iter();
    let facts = facts.map(|(title, value)| json!({ "title": title, "value": value, "short": true }));
    json!({
        "title": chat::line(&subject.title, 250, chat::quiet),
        "title_link": chat::href(&subject.url, 2_000),
        "text": parts.collect::<Vec<_>>().join("\n\n"),
        "fields": facts.collect::<Vec<_>>(),
        "ts": subject.started_at.to_string(),
    })
}
