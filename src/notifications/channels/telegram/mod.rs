//! Telegram, Bot API: the first message about an incident is kept up to date in place, and what follows is a short reply to
//! it. A group that became a supergroup has another id: it is kept.

#[cfg(test)]
mod tests;

use std::time::Duration;

use serde_json::{Value, json};

use super::{
    Answered, CA, Call, Channel, Field, FieldKind, Follows, HttpCall, Info, Judged, Receipt, Settings, To, common, text,
};
use crate::{
    model::{Mistake, NoticeEvent},
    notifications::message::{About, Message, Subject},
};

/// What a text may have after its markup is read, in UTF-16 code units (<https://core.telegram.org/bots/api#sendmessage>).
const MOST: usize = 4_096;

static INFO: Info = Info {
    kind: "telegram",
    name: "Telegram",
    tile: "Tg",
    what: "A bot writes into a chat, group or channel of Telegram.",
    steps: &[
        "In Telegram write /newbot to @BotFather, answer its questions, and copy the token that it gives.",
        "Write something to the new bot, or add it to the group or channel; in a channel it must be an administrator.",
        "Open https://api.telegram.org/bot<token>/getUpdates in a browser: chat.id there is the chat's number.",
    ],
    fields: &[
        Field {
            key: "token",
            label: "Bot token",
            help: "As @BotFather gave it: 123456789:AAExampleExampleExampleExampleExample",
            kind: FieldKind::Text,
            secret: true,
            required: true,
            default: "",
        },
        Field {
            key: "chat_id",
            label: "Chat",
            help: "The number of a person (123456789) or group (-1001234567890), or a public channel's name (@example).",
            kind: FieldKind::Text,
            secret: false,
            required: true,
            default: "",
        },
        Field {
            key: "message_thread_id",
            label: "Topic",
            help: "For groups with topics: its number, such as 42, the last part of a link to the topic. Empty: General.",
            kind: FieldKind::Text,
            secret: false,
            required: false,
            default: "",
        },
        Field {
            key: "base",
            label: "Server",
            help: "Another one only if you run a Bot API server of your own: https://telegram.example.com",
            kind: FieldKind::Url,
            secret: false,
            required: false,
            default: "https://api.telegram.org",
        },
        CA,
    ],
    address: Some("chat_id"),
    follows: Follows::Read,
    rate: (1, Duration::from_secs(1)),
};

/// The channel.
pub struct Telegram;

impl Channel for Telegram {
    fn info(&self) -> &'static Info {
        &INFO
    }

    fn check(&self, settings: &Settings) -> Vec<Mistake> {
        let mut wrong = Vec::new();
        let mut mistake = |key: &str, what: &str| wrong.push(Mistake::new(format!("/settings/{key}"), what));
        let of_token = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        let token = settings.get("token");
        let right = token.split_once(':').is_some_and(|(id, secret)| {
            !id.is_empty()
                && id.bytes().all(|b| b.is_ascii_digit())
                && !secret.is_empty()
                && secret.chars().all(of_token)
        });
        if !token.is_empty() && !right {
            mistake("token", "A token is a number, a colon and letters: 123456789:AAExample");
        }
        let chat = settings.get("chat_id");
        let named = chat.strip_prefix('@').is_some_and(|n| !n.is_empty() && n.chars().all(of_token));
        if !chat.is_empty() && !named && chat.parse::<i64>().is_err() {
            mistake("chat_id", "A chat is a number such as -1001234567890, or @name of a public channel.");
        }
        if settings.given("message_thread_id").is_some_and(|t| t.parse::<u32>().is_err()) {
            mistake("message_thread_id", "A topic is a number such as 42.");
        }
        wrong
    }

    /// A person's chat takes one a second; a group or channel twenty a minute, and no more than one a second of them.
    fn rate(&self, settings: &Settings) -> (u32, Duration) {
        let many = settings.get("chat_id").starts_with(['-', '@']);
        if many { (1, Duration::from_secs(3)) } else { INFO.rate }
    }

    fn calls(&self, to: &To, message: &Message) -> Vec<Call> {
        let chat = chat(to);
        // What was written into another chat cannot be changed or answered from this one.
        let known = to.receipt.get("message").filter(|_| to.receipt.get("chat") == Some(&chat));
        match (known.and_then(|id| id.parse::<i64>().ok()), message.subject()) {
            (Some(id), Some(subject)) => vec![
                method(to, "edit", "editMessageText", edit(&chat, id, message)),
                method(to, "reply", "sendMessage", reply(to, &chat, id, message, subject)),
            ],
            _ => vec![method(to, "send", "sendMessage", first(to, &chat, message))],
        }
    }

    fn judge(&self, to: &To, message: &Message, call: &Call, answer: &Answered) -> Judged {
        let said = answer.json();
        let chat = common::sent(call).map_or_else(String::new, |b| match common::at(b, "chat_id") {
            Value::String(name) => name.clone(),
            number => number.to_string(),
        });
        if answer.is_success() && common::at(&said, "ok").as_bool() != Some(false) {
            // What stands by itself is what later messages refer to.
            let anchor = common::sent(call).is_some_and(|b| common::at(b, "reply_parameters").is_null())
                && call.step() != "edit";
            let id = common::at(&said, "result/message_id").as_i64().filter(|_| anchor && message.subject().is_some());
            let receipt = id.map(|id| [("message".to_owned(), id.to_string()), ("chat".to_owned(), chat)]);
            return Judged::Done { receipt: receipt.into_iter().flatten().collect(), lasting: Receipt::new() };
        }
        let status =
            common::at(&said, "error_code").as_u64().and_then(|c| u16::try_from(c).ok()).unwrap_or(answer.status);
        let answer = &Answered { status, ..answer.clone() };
        let description = text::cut(&text::line(common::at(&said, "description").as_str().unwrap_or_default()), 200);
        let low = description.to_lowercase();
        if let Some(moved) = common::at(&said, "parameters/migrate_to_chat_id").as_i64().map(|id| id.to_string())
            && moved != chat
        {
            let lasting = Receipt::from([(moved_key(&chat), moved.clone())]);
            // Ids of messages count in one chat only: what is told stands by itself there, under the step that would have
            // come last.
            let step = if call.step() == "send" { "send" } else { "reply" };
            let calls = vec![method(to, step, "sendMessage", first(to, &moved, message))];
            return Judged::Instead { calls, lasting, forget: vec!["message".to_owned(), "chat".to_owned()] };
        }
        match (status, call.step()) {
            (400, "edit") if low.contains("message is not modified") => Judged::done(),
            // Deleted, or too old: the reply tells it all the same.
            (400, "edit") if low.contains("message to edit not found") || low.contains("can't be edited") => {
                Judged::done()
            }
            // An address that Telegram takes for none, such as http://localhost: told without buttons.
            (400, _) if low.contains("button") || low.contains("wrong http url") => match without_buttons(call) {
                Some(call) => Judged::Instead { calls: vec![call], lasting: Receipt::new(), forget: Vec::new() },
                None => Judged::Never { why: format!("Telegram: {description}."), broken: false },
            },
            (400 | 401 | 403 | 404, _) => {
                let advice = match status {
                    401 | 404 => "Copy the bot's token from @BotFather again",
                    403 => "Let the bot back into the chat: write to it, or add it to the group",
                    _ if low.contains("chat not found") => {
                        "Look at the chat, and write to the bot or add it there first"
                    }
                    _ if low.contains("thread not found") => "The topic is gone; choose another, or none",
                    _ if low.contains("not enough rights") => {
                        "Make the bot an administrator, or let members write there"
                    }
                    _ => return Judged::Never { why: format!("Telegram: {description}."), broken: false },
                };
                let what = if description.is_empty() { text::status(status) } else { description };
                Judged::Never { why: format!("Telegram: {what}. {advice}."), broken: true }
            }
            _ => match common::advised(Judged::by_status(answer, message.now), answer, "Look at the bot's token.") {
                Judged::Later { after, why } => {
                    let wish = common::at(&said, "parameters/retry_after").as_u64().map(Duration::from_secs);
                    Judged::Later { after: wish.or(after), why }
                }
                other => other,
            },
        }
    }
}

fn moved_key(chat: &str) -> String {
    format!("moved {chat}")
}

/// The chat, where it is by now.
fn chat(to: &To) -> String {
    let chat = to.settings.get("chat_id");
    to.lasting.get(&moved_key(chat)).map_or(chat, String::as_str).to_owned()
}

/// A number as a number, a name as a text.
fn chat_value(chat: &str) -> Value {
    chat.parse::<i64>().map_or_else(|_| json!(chat), |id| json!(id))
}

fn method(to: &To, step: &'static str, name: &str, body: Value) -> Call {
    let base = to.settings.get("base").trim_end_matches('/');
    Call::Http(HttpCall::post(step, format!("{base}/bot{}/{name}", to.settings.get("token")), body))
}

/// What every text has: markup, and no preview of its links.
fn body(chat: &str, text: String, buttons: Vec<Value>) -> Value {
    let mut body = json!({
        "chat_id": chat_value(chat), "text": text, "parse_mode": "HTML", "link_preview_options": { "is_disabled": true },
    });
    if !buttons.is_empty() {
        common::put(&mut body, "reply_markup", json!({ "inline_keyboard": [buttons] }));
    }
    body
}

fn sending(to: &To, message: &Message, mut body: Value) -> Value {
    if let Some(topic) = to.settings.given("message_thread_id").and_then(|t| t.parse::<u32>().ok()) {
        common::put(&mut body, "message_thread_id", json!(topic));
    }
    if message.is_over() {
        common::put(&mut body, "disable_notification", json!(true));
    }
    body
}

fn first(to: &To, chat: &str, message: &Message) -> Value {
    sending(to, message, body(chat, whole(message), buttons(message)))
}

fn edit(chat: &str, id: i64, message: &Message) -> Value {
    let mut body = body(chat, whole(message), buttons(message));
    common::put(&mut body, "message_id", json!(id));
    body
}

fn reply(to: &To, chat: &str, id: i64, message: &Message, subject: &Subject) -> Value {
    let look = text::look(message);
    let mut text = Marked::default();
    text.bold(&format!("{} {}", look.sign, line(&text::happened(message), 200)));
    text.push(&format!("\n{}: {}", subject.id, line(&subject.title, 300)));
    if message.events.contains(&NoticeEvent::Analyzed)
        && let Some(answer) = &subject.answer
    {
        text.push(&format!("\n\n{}", text::cut_utf16(&common::foreign(&text::answer(answer)), 2_500)));
    }
    if let Some(how) = subject.resolution.as_deref().filter(|_| message.is_over()) {
        text.push(&format!("\n{}", line(how, 500)));
    }
    if let Some(remarks) = text::remarks(message) {
        text.push(&format!("\n{remarks}"));
    }
    let mut body = sending(to, message, body(chat, text.html, buttons(message)));
    common::put(&mut body, "reply_parameters", json!({ "message_id": id, "allow_sending_without_reply": true }));
    body
}

fn buttons(message: &Message) -> Vec<Value> {
    let button = |text: &str, url: &str| json!({ "text": text, "url": url });
    match &message.about {
        About::Incident(subject) => {
            let ack = message.ack_url.as_deref().map(|url| button("Acknowledge", url));
            std::iter::once(button("Open incident", &subject.url)).chain(ack).collect()
        }
        About::Digest(digest) => vec![button("All of them", &digest.url)],
        About::Test { .. } => Vec::new(),
    }
}

fn without_buttons(call: &Call) -> Option<Call> {
    let Call::Http(http) = call else { return None };
    let mut http = http.clone();
    let super::Body::Json(Value::Object(body)) = &mut http.body else { return None };
    body.remove("reply_markup")?;
    Some(Call::Http(http))
}

fn line(value: &str, most: usize) -> String {
    text::cut_utf16(&text::unmentioned(&text::line(value)), most)
}

/// Markup, and how long its text is once it is read.
#[derive(Default)]
struct Marked {
    html: String,
    units: usize,
}

impl Marked {
    fn push(&mut self, words: &str) {
        self.units += words.encode_utf16().count();
        self.html.push_str(&text::html(words));
    }

    fn bold(&mut self, words: &str) {
        self.html.push_str("<b>");
        self.push(words);
        self.html.push_str("</b>");
    }
}

/// All of a message. What is foreign and long comes into what the rest leaves free.
fn whole(message: &Message) -> String {
    let look = text::look(message);
    let (mut head, mut tail) = (Marked::default(), Marked::default());
    head.bold(&format!("{} {}", look.sign, line(&text::headline(message), 400)));
    let mut long = Vec::new();
    match &message.about {
        About::Incident(subject) => {
            head.push(&format!("\n{}", common::lead(message, subject)));
            long.extend(subject.description.as_deref().map(common::foreign));
            long.extend(subject.answer.as_ref().map(|a| common::foreign(&text::answer(a))));
            tail.push("\n");
            for (name, value) in text::facts(message, subject) {
                tail.push("\n");
                tail.bold(name);
                tail.push(&format!(": {}", line(&value, 150)));
            }
            if let Some(runbook) = subject.runbook_url.as_deref().filter(|url| url.len() <= 500) {
                tail.push("\n");
                tail.bold("Runbook");
                tail.push(&format!(": {runbook}"));
            }
        }
        About::Digest(digest) => {
            let lines = common::digest_lines(digest);
            tail.push(&format!("\n{}", lines.get(1..).unwrap_or_default().join("\n")));
        }
        About::Test { .. } => tail.push("\nIf you can read this, messages arrive here."),
    }
    if let Some(remarks) = text::remarks(message) {
        tail.push(&format!("\n\n{remarks}"));
    }
    tail.push(&format!("\n\n{}", line(&message.reason, 200)));
    let count = long.len();
    for (n, words) in long.into_iter().filter(|w| !w.trim().is_empty()).enumerate() {
        // Each may have an even part of what is left.
        let left = (MOST - "\n\n".len()).saturating_sub(head.units + tail.units) / (count - n).max(1);
        if left > 20 {
            head.push(&format!("\n\n{}", text::cut_utf16(words.trim(), left - 2)));
        }
    }
    head.html + &tail.html
}
