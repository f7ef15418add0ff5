//! Messages as embeds (<https://docs.discord.com/developers/resources/message#embed-object-embed-limits>).

use serde_json::{Value, json};

use super::{super::text, NAME, chat};
use crate::notifications::{
    channels::Settings,
    message::{About, Digest, Message, Subject},
};

/// `content`.
const CONTENT: usize = 2_000;
/// An embed's title.
const TITLE: usize = 256;
/// An embed's description may have 4,096; all texts of a message together 6,000, so it has less.
const DESCRIPTION: usize = 3_200;
/// The text at the foot may have 2,048.
const FOOT: usize = 300;

/// A whole message.
pub fn whole(settings: &Settings, message: &Message) -> Value {
    let look = text::look(message);
    let mut embed = json!({
        "title": chat::head(message, TITLE, chat::markdown),
        "color": text::colour_number(look.colour),
    });
    let mut put = |key: &str, value: Value| {
        if let (Value::Object(embed), false) = (&mut embed, value.is_null() || value == "") {
            embed.insert(key.to_owned(), value);
        }
    };
    match &message.about {
        About::Incident(subject) => {
            put("url", json!(chat::href(&subject.url, 2_000)));
            put("description", json!(words(message, subject)));
            let facts = chat::facts(message, subject, chat::markdown);
            let facts = facts.iter().map(|(name, value)| json!({ "name": name, "value": value, "inline": true }));
            put("fields", facts.collect());
            put("footer", json!({ "text": foot(message, &format!("{} · ", text::count(subject))) }));
            put("timestamp", json!(subject.started_at.to_string()));
        }
        About::Digest(digest) => {
            put("url", json!(chat::href(&digest.url, 2_000)));
            put("description", json!(list(message, digest)));
            put("footer", json!({ "text": foot(message, "") }));
        }
        About::Test { .. } => put("footer", json!({ "text": foot(message, "") })),
    }
    let mut body = json!({ "embeds": [embed], "allowed_mentions": { "parse": [] } });
    sender(&mut body, settings);
    body
}

/// A short message after the first one.
pub fn follow_up(settings: &Settings, message: &Message, subject: &Subject) -> Value {
    let (first, news) = chat::follow_up(message, subject, CONTENT - 600, chat::markdown);
    let name = chat::line(&subject.title, 200, chat::markdown);
    // `<…>` around the address: no preview of the page.
    let link =
        chat::href(&subject.url, 300).map_or_else(|| subject.id.to_string(), |u| format!("[{}](<{u}>)", subject.id));
    let lines: Vec<String> = [format!("**{first}** · {link} {name}")].into_iter().chain(news).collect();
    let mut body = json!({ "content": lines.join("\n"), "allowed_mentions": { "parse": [] } });
    sender(&mut body, settings);
    body
}

/// What a new thread is called: `Critical Connection pool of payments-db is exhausted`.
pub fn thread_name(message: &Message) -> String {
    let name = match &message.about {
        About::Incident(subject) => format!("{} {}", text::severity(subject.severity).word, subject.title),
        About::Digest(_) | About::Test { .. } => text::headline(message),
    };
    chat::line(&name, NAME, chat::quiet)
}

fn sender(body: &mut Value, settings: &Settings) {
    if let Value::Object(body) = body {
        for key in ["username", "avatar_url"] {
            if let Some(value) = settings.given(key) {
                body.insert(key.to_owned(), json!(value));
            }
        }
    }
}

fn words(message: &Message, subject: &Subject) -> String {
    let happened = format!("**{}**", chat::line(&text::happened(message), 300, chat::markdown));
    let links = chat::markdown_links(message, subject, chat::markdown);
    // Addresses are long and not cut; what is told has the rest.
    let room = DESCRIPTION.saturating_sub(happened.chars().count() + links.chars().count() + 4).max(300);
    let story = chat::story(message, subject, room, chat::markdown);
    let parts: Vec<String> = [happened, story, links].into_iter().filter(|p| !p.is_empty()).collect();
    parts.join("\n\n")
}

fn list(message: &Message, digest: &Digest) -> String {
    let lines = digest.first.iter().map(|l| {
        let title = chat::line(&l.title, 120, chat::markdown);
        let name = chat::href(&l.url, 300).map_or_else(|| l.id.to_string(), |url| format!("[{}]({url})", l.id));
        format!("{} {name} {title}", text::severity(l.severity).sign)
    });
    let all = chat::href(&digest.url, 500).map(|url| format!("[Open all of them]({url})"));
    let places = chat::places(digest, chat::markdown);
    let mut text = String::new();
    let rest = all.into_iter().chain(text::remarks(message));
    for line in [places].into_iter().chain(lines).chain(rest).filter(|l| !l.is_empty()) {
        if text.chars().count() + line.chars().count() < DESCRIPTION {
            text.push_str(&line);
            text.push('\n');
        }
    }
    text.trim_end().to_owned()
}

/// A foot has no markup.
fn foot(message: &Message, before: &str) -> String {
    chat::line(&format!("{before}{}", message.reason), FOOT, chat::quiet)
}
