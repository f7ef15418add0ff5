//! Messages as blocks (<https://docs.slack.dev/reference/block-kit/blocks>). Limits are in characters, as Slack counts
//! them: with the escapes.

use serde_json::{Map, Value, json};

use super::{super::text, ACKNOWLEDGE, chat, fields, is_bot};
use crate::notifications::{
    channels::To,
    message::{About, Digest, Message, Subject},
};

/// `text`, what a notification of the desktop shows. Recommended are at most 4,000.
const FALLBACK: usize = 500;
/// The text of a `header`.
const HEADER: usize = 150;
/// The text of a `section` may have 3,000; the wire's bound for a description is less.
const SECTION: usize = 2_900;
/// An element of a `context`.
const CONTEXT: usize = 500;
/// The address of a button.
const ADDRESS: usize = 3_000;

/// A whole message: what both ways send, without saying where to.
pub fn whole(to: &To, message: &Message) -> Map<String, Value> {
    let look = text::look(message);
    let blocks = match &message.about {
        About::Incident(subject) => incident(to, message, subject),
        About::Digest(digest) => vec![section(&list(digest)), context(&[&message.reason], message), all(digest)],
        About::Test { .. } => vec![context(&[&message.reason], message)],
    };
    let header = line_of(message, HEADER);
    fields(json!({
        "text": line_of_markup(message),
        "blocks": [{ "type": "header", "text": { "type": "plain_text", "text": header, "emoji": false } }],
        // For the coloured bar.
        "attachments": [{ "color": look.colour, "fallback": header, "blocks": blocks }],
        "unfurl_links": false,
        "unfurl_media": false,
    }))
}

/// What happened, for the thread under the first message.
pub fn follow_up(message: &Message, subject: &Subject) -> Map<String, Value> {
    let (first, news) = chat::follow_up(message, subject, SECTION, mrkdwn);
    let text: Vec<String> = [format!("*{first}*")].into_iter().chain(news).collect();
    fields(json!({
        "text": text.join("\n"), "unfurl_links": false, "unfurl_media": false, "parse": "none", "link_names": false,
    }))
}

fn incident(to: &To, message: &Message, subject: &Subject) -> Vec<Value> {
    let happened = format!("*{}*", chat::line(&text::happened(message), 300, mrkdwn));
    let room = SECTION.saturating_sub(happened.chars().count() + 1);
    let words = format!("{happened}\n{}", chat::story(message, subject, room, mrkdwn));
    // Eight at most; ten would be taken, of 2,000 each.
    let facts: Vec<Value> = chat::facts(message, subject, mrkdwn)
        .into_iter()
        .map(|(name, value)| markup(&format!("*{name}*\n{value}")))
        .collect();
    let further = chat::links(message, subject, ADDRESS).into_iter().filter(|(_, url)| {
        // Those with a button are not told twice.
        url != &subject.url && Some(url) != message.ack_url.as_ref()
    });
    let further: Vec<String> = further.map(|(name, url)| link(&url, &name)).collect();
    let mut blocks = vec![
        section(words.trim_end()),
        json!({ "type": "section", "fields": facts }),
        context(&[&text::count(subject), &message.reason], message),
    ];
    if let (Some(Value::Array(elements)), false) =
        (blocks.last_mut().and_then(|b| b.get_mut("elements")), further.is_empty())
    {
        elements.push(markup(&further.join(" · ")));
    }
    let open = chat::href(&subject.url, ADDRESS).map(|url| button("Open incident", "watchfire_open", &url));
    let buttons: Vec<Value> = open.into_iter().chain(acknowledge(to, message, subject)).collect();
    if !buttons.is_empty() {
        blocks.push(json!({ "type": "actions", "elements": buttons }));
    }
    blocks
}

/// A button that is answered inside Slack where its presses reach this server, a link elsewhere.
fn acknowledge(to: &To, message: &Message, subject: &Subject) -> Option<Value> {
    let url = message.ack_url.as_ref()?;
    if is_bot(&to.settings) && to.settings.given("signing_secret").is_some() {
        return Some(json!({
            "type": "button", "action_id": ACKNOWLEDGE, "value": subject.id.to_string(), "style": "primary",
            "text": { "type": "plain_text", "text": "Acknowledge" },
        }));
    }
    Some(button("Acknowledge", "watchfire_ack_link", &chat::href(url, ADDRESS)?))
}

fn button(name: &str, action: &str, url: &str) -> Value {
    json!({
        "type": "button", "action_id": action, "url": url, "text": { "type": "plain_text", "text": name },
    })
}

/// The list of a digest, with the addresses of at most ten incidents.
fn list(digest: &Digest) -> String {
    let lines = digest.first.iter().map(|l| {
        let name = chat::href(&l.url, 500).map_or_else(|| l.id.to_string(), |url| link(&url, &l.id.to_string()));
        format!("{} {name} {}", text::severity(l.severity).sign, chat::line(&l.title, 120, mrkdwn))
    });
    let mut text = String::new();
    for line in [chat::places(digest, mrkdwn)].into_iter().filter(|l| !l.is_empty()).chain(lines) {
        // A line is left out whole: half a link would be none.
        if text.chars().count() + line.chars().count() < SECTION {
            text.push_str(&line);
            text.push('\n');
        }
    }
    text.trim_end().to_owned()
}

fn all(digest: &Digest) -> Value {
    let url = chat::href(&digest.url, ADDRESS).unwrap_or_default();
    json!({ "type": "actions", "elements": [button("Open all of them", "watchfire_open", &url)] })
}

fn section(text: &str) -> Value {
    json!({ "type": "section", "text": markup(text) })
}

fn context(words: &[&str], message: &Message) -> Value {
    let remarks = match &message.about {
        // The story of an incident has them.
        About::Incident(_) => None,
        About::Digest(_) | About::Test { .. } => text::remarks(message),
    };
    let words = words.iter().map(|w| (*w).to_owned()).chain(remarks).filter(|w| !w.trim().is_empty());
    let elements: Vec<Value> = words.map(|w| markup(&chat::line(&w, CONTEXT, mrkdwn))).collect();
    json!({ "type": "context", "elements": elements })
}

/// `verbatim`: Slack looks for no names and addresses in foreign words; our own links are marked as such.
fn markup(text: &str) -> Value {
    json!({ "type": "mrkdwn", "text": text, "verbatim": true })
}

fn link(url: &str, name: &str) -> String {
    let name: String = text::line(name).chars().filter(|c| !matches!(c, '|' | '>')).collect();
    format!("<{}|{}>", url.replace('&', "&amp;"), chat::line(&name, 75, mrkdwn))
}

fn line_of(message: &Message, most: usize) -> String {
    chat::head(message, most, chat::quiet)
}

fn line_of_markup(message: &Message) -> String {
    chat::head(message, FALLBACK, mrkdwn)
}

/// As Slack wants text of others (<https://docs.slack.dev/messaging/formatting-message-text#escaping>).
fn mrkdwn(c: char, out: &mut String) {
    match c {
        '&' => out.push_str("&amp;"),
        '<' => out.push_str("&lt;"),
        '>' => out.push_str("&gt;"),
        '@' => out.push_str("@\u{200b}"),
        c => out.push(c),
    }
}
