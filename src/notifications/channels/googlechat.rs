//! Google Chat, webhooks of a space. A message cannot be changed later; all of an incident are in one thread, under a key of
//! ours.

use std::time::Duration;

use serde_json::{Value, json};

use super::{
    Answered, Call, Channel, Field, FieldKind, Follows, HttpCall, Info, Judged, Settings, To, call::said, chat, text,
};
use crate::{
    model::Mistake,
    notifications::message::{About, Digest, Message, Subject},
};

/// `text`, in characters.
const TEXT: usize = 4_096;
/// Of a whole message, in bytes: 32,000.
const MOST: usize = 31_000;

static INFO: Info = Info {
    kind: "googlechat",
    name: "Google Chat",
    tile: "Gc",
    what: "Posts into a Google Chat space, one thread per incident.",
    steps: &[
        "In Google Chat open the space, then its name > Apps & integrations > Webhooks > Add webhook.",
        "Name it Watchfire, press Save, and copy the address with the menu behind it.",
    ],
    fields: &[Field {
        key: "url",
        label: "Webhook address",
        help: "As Google Chat copies it, whole: https://chat.googleapis.com/v1/spaces/AAAA/messages?key=…&token=…",
        kind: FieldKind::Url,
        secret: true,
        required: true,
        default: "",
    }],
    address: None,
    follows: Follows::Read,
    rate: (1, Duration::from_secs(1)),
};

/// The channel.
pub struct GoogleChat;

impl Channel for GoogleChat {
    fn info(&self) -> &'static Info {
        &INFO
    }

    fn check(&self, settings: &Settings) -> Vec<Mistake> {
        let url = settings.get("url");
        let whole = ["key=", "token="].iter().all(|part| url.contains(part));
        if chat::base(url).ends_with("/messages") && whole {
            return Vec::new();
        }
        let what = "This is not a whole webhook address: that one ends with /messages?key=…&token=… Copy it again in Google \
                    Chat.";
        vec![Mistake::new("/settings/url", what)]
    }

    fn calls(&self, to: &To, message: &Message) -> Vec<Call> {
        let mut body = chat::fitting(MOST, |room| whole(message, room));
        let mut url = to.settings.get("url").to_owned();
        if let (Some(subject), Value::Object(body)) = (message.subject(), &mut body) {
            body.insert("thread".to_owned(), json!({ "threadKey": subject.id.to_string() }));
            // Without it the key is passed over.
            url = chat::with_query(&url, &[("messageReplyOption", "REPLY_MESSAGE_FALLBACK_TO_NEW_THREAD")]);
        }
        // Google wants the letters' encoding to be named.
        let headers = vec![("content-type".to_owned(), "application/json; charset=UTF-8".to_owned())];
        vec![Call::Http(HttpCall { headers, ..HttpCall::post("post", url, body) })]
    }

    fn judge(&self, _to: &To, message: &Message, _call: &Call, answer: &Answered) -> Judged {
        let json = answer.json();
        let error = chat::at(&json, "error");
        let words = chat::at(error, "message").as_str().map_or_else(|| said(&answer.body), said);
        let what = "The webhook or its space was removed, or apps are not allowed there: make a new webhook in the space \
                    (Apps & integrations > Webhooks) and put its address here.";
        // A wrong key is called a wrong argument.
        let details = chat::at(error, "details").as_array().into_iter().flatten();
        let key = details.into_iter().any(|d| chat::at(d, "reason") == "API_KEY_INVALID")
            || words.contains("API key not valid");
        if answer.status == 400 && key {
            return chat::never(&format!("Google Chat said: {words}"), what, true);
        }
        chat::judged(answer, message.now, &words, what)
    }
}

fn whole(message: &Message, room: usize) -> Value {
    let (mut widgets, buttons) = match &message.about {
        About::Incident(subject) => (incident(message, subject, room), buttons(message, subject)),
        About::Digest(digest) => (list(digest, room), open("Open all of them", &digest.url).into_iter().collect()),
        About::Test { .. } => (Vec::new(), Vec::new()),
    };
    if let (Some(remarks), None) = (text::remarks(message), message.subject()) {
        widgets.push(paragraph(&chat::line(&remarks, 300, html)));
    }
    widgets.push(paragraph(&format!("<i>{}</i>", chat::line(&message.reason, 300, html))));
    if !buttons.is_empty() {
        widgets.push(json!({ "buttonList": { "buttons": buttons } }));
    }
    // What a notification shows; the card has the rest.
    let head = chat::head(message, TEXT.min(300), chat::quiet);
    json!({ "text": head, "cardsV2": [{ "cardId": message.key, "card": { "sections": [{ "widgets": widgets }] } }] })
}

fn incident(message: &Message, subject: &Subject, room: usize) -> Vec<Value> {
    let happened = chat::line(&text::happened(message), 300, html);
    let mut widgets = vec![paragraph(&format!("<b>{happened}</b> · {}", text::count(subject)))];
    let story = chat::story(message, subject, room, html);
    if !story.is_empty() {
        widgets.push(paragraph(&story.replace('\n', "<br>")));
    }
    let facts = chat::facts(message, subject, html).into_iter();
    widgets.extend(facts.map(|(name, value)| json!({ "decoratedText": { "topLabel": name, "text": value } })));
    widgets
}

fn list(digest: &Digest, room: usize) -> Vec<Value> {
    let lines = digest.first.iter().map(|l| {
        let id = l.id.to_string();
        let name = chat::href(&l.url, 500).map_or(id.clone(), |url| format!("<a href=\"{url}\">{id}</a>"));
        let title = chat::line(&l.title, (room / 20).min(120), html);
        format!("{} {name} {title}", text::severity(l.severity).sign)
    });
    let places = [chat::places(digest, html)].into_iter().filter(|p| !p.is_empty());
    vec![paragraph(&places.chain(lines).collect::<Vec<_>>().join("<br>"))]
}

fn paragraph(text: &str) -> Value {
    json!({ "textParagraph": { "text": text } })
}

fn buttons(message: &Message, subject: &Subject) -> Vec<Value> {
    let acknowledge = message.ack_url.as_ref().and_then(|url| open("Acknowledge", url));
    open("Open incident", &subject.url).into_iter().chain(acknowledge).collect()
}

fn open(name: &str, url: &str) -> Option<Value> {
    Some(json!({ "text": name, "onClick": { "openLink": { "url": chat::href(url, 2_000)? } } }))
}

/// Cards know some of HTML's tags.
fn html(c: char, out: &mut String) {
    match c {
        '@' => out.push_str("@\u{200b}"),
        '&' => out.push_str("&amp;"),
        '<' => out.push_str("&lt;"),
        '>' => out.push_str("&gt;"),
        '"' => out.push_str("&quot;"),
        c => out.push(c),
    }
}

#[cfg(test)]
mod tests {
    use super::{super::proof::*, *};

    const URL: &str = r#"{"url":"https://chat.googleapis.com/v1/spaces/AAAA/messages?key=k1&token=t%3D1"}"#;

    #[test]
    fn an_incident_is_one_thread() {
        let mut story = Story::new(&GoogleChat, URL);
        let place = "post POST https://chat.googleapis.com/v1/spaces/AAAA/messages?key=k1&token=t%3D1";
        for name in ["opened", "acknowledged", "resolved"] {
            let body = bodies(&story.calls(name)).remove(0);
            assert_eq!(body["thread"]["threadKey"], "INC-42", "{name}");
            let want = format!("{place}&messageReplyOption=REPLY_MESSAGE_FALLBACK_TO_NEW_THREAD");
            assert_eq!(story.tell(name, &[r#"{"name":"spaces/AAAA/messages/1"}"#]), [want]);
        }
        for name in ["digest", "test"] {
            assert_eq!(bodies(&story.calls(name))[0]["thread"], Value::Null, "{name}");
            assert_eq!(story.tell(name, &["{}"]), [place]);
        }
    }

    #[test]
    fn answers_mean_what_google_says_of_them() {
        let error = |message: &str, status: &str| {
            format!(r#"{{"error":{{"code":0,"message":"{message}","status":"{status}"}}}}"#)
        };
        let key = r#"{"error":{"message":"No.","details":[{"reason":"API_KEY_INVALID"}]}}"#.to_owned();
        for (status, headers, body, want) in [
            (200, [].as_slice(), "{}".to_owned(), "done"),
            (400, &[], error("Invalid JSON payload", "INVALID_ARGUMENT"), "never: Invalid JSON payload"),
            (400, &[], error("API key not valid.", "INVALID_ARGUMENT"), "broken: make a new webhook"),
            (400, &[], key, "broken: make a new webhook"),
            (401, &[], error("Bad token", "UNAUTHENTICATED"), "broken: Bad token. The webhook"),
            (403, &[], error("Denied", "PERMISSION_DENIED"), "broken: Denied. The webhook"),
            (404, &[], error("Space not found", "NOT_FOUND"), "broken: put its address here"),
            (429, &[], error("Quota", "RESOURCE_EXHAUSTED"), "later: Quota"),
            (429, &[("retry-after", "2")], error("Quota", "RESOURCE_EXHAUSTED"), "later 2000: Quota"),
            (500, &[], error("Internal", "INTERNAL"), "later: Internal"),
            (503, &[], String::new(), "later: 503"),
        ] {
            assert_judged(&Story::new(&GoogleChat, URL), "opened", "post", headers, status, &body, want);
        }
    }

    #[test]
    fn texts_keep_to_their_limits() {
        each_sample(&Story::new(&GoogleChat, URL), |name, body| {
            assert!(body["text"].as_str().unwrap().chars().count() <= TEXT, "{name}");
            assert!(body.to_string().len() <= 32_000, "{name}");
        });
    }

    #[test]
    fn foreign_text_calls_nobody_and_has_no_tags() {
        let body = bodies(&Story::new(&GoogleChat, URL).calls("hostile")).remove(0);
        let card = body["cardsV2"].to_string();
        assert!(!body["text"].as_str().unwrap().contains("<!") && !body["text"].as_str().unwrap().contains("<s"));
        assert!(card.contains("&lt;script&gt;") && !card.contains("<script"), "{card}");
    }

    #[test]
    fn half_an_address_is_refused() {
        for (url, want) in [
            ("https://chat.googleapis.com/v1/spaces/A/messages?key=k&token=t", ""),
            ("https://chat.googleapis.com/v1/spaces/A/messages?key=k", "/settings/url"),
            ("https://chat.google.com/room/A?key=k&token=t", "/settings/url"),
        ] {
            assert_eq!(mistakes(&GoogleChat, &format!(r#"{{"url":"{url}"}}"#)), want, "{url}");
        }
    }
}
