//! Mattermost, incoming webhook. A message cannot be changed later; each event is one of its own.

use std::time::Duration;

use serde_json::{Value, json};

use super::{
    Answered, CA, Call, Channel, Field, FieldKind, Follows, HttpCall, Info, Judged, To, call::said, chat, text,
};
use crate::{
    model::Severity,
    notifications::message::{About, Digest, Message, Subject},
};

/// What a post may have, in characters (<https://developers.mattermost.com/integrate/webhooks/incoming/>). An attachment's
/// text is not bounded by it, but nobody reads more.
const MOST: usize = 16_383;
/// An attachment's text.
const WORDS: usize = 6_000;

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
            help: "The name messages appear under, such as Watchfire; only where Mattermost allows webhooks another name.",
            kind: FieldKind::Text,
            secret: false,
            required: false,
            default: "Watchfire",
        },
        Field {
            key: "icon_url",
            label: "Picture",
            help: "Address of a picture, such as https://example.com/flame.png; only where Mattermost allows webhooks \
                   another picture. Empty: the webhook's own.",
            kind: FieldKind::Url,
            secret: false,
            required: false,
            default: "",
        },
        Field {
            key: "urgent",
            label: "Mark critical incidents as urgent",
            help: "on shows a red Urgent label over messages about open critical incidents, and Important over high ones. \
                   Mattermost must have message priority switched on.",
            kind: FieldKind::Switch,
            secret: false,
            required: false,
            default: "off",
        },
        CA,
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
            About::Digest(digest) => json!({ "text": list(message, digest) }),
            About::Test { .. } => json!({ "text": chat::head(message, 300, chat::markdown) }),
        };
        let priority = match (message.subject().filter(|s| s.status.is_open()), message.severity()) {
            (Some(_), Severity::Critical) if to.settings.on("urgent") => Some("urgent"),
            (Some(_), Severity::High) if to.settings.on("urgent") => Some("important"),
            _ => None,
        };
        if let Value::Object(body) = &mut body {
            for key in ["channel", "username", "icon_url"] {
                if let Some(value) = to.settings.given(key) {
                    body.insert(key.to_owned(), json!(value));
                }
            }
            if let Some(priority) = priority {
                body.insert("priority".to_owned(), json!({ "priority": priority }));
            }
        }
        vec![Call::Http(HttpCall::post("post", to.settings.get("url"), body))]
    }

    fn judge(&self, _to: &To, message: &Message, _call: &Call, answer: &Answered) -> Judged {
        let json = answer.json();
        let words = chat::at(&json, "message").as_str().map_or_else(|| said(&answer.body), said);
        let id = chat::at(&json, "id").as_str().unwrap_or_default();
        // Another channel than the webhook's own, which is not there or not allowed.
        if answer.status < 500 && id.contains("channel") {
            let what = "Look at the channel in the settings: leave it empty, or let the webhook post into others.";
            return chat::never(&format!("Mattermost said: {words}"), what, true);
        }
        let what = match answer.status {
            403 => "Incoming webhooks are switched off in Mattermost: ask its administrator.",
            _ => {
                "The webhook was removed: make a new one in Mattermost (Integrations > Incoming Webhooks) and put its address \
                  here."
            }
        };
        chat::judged(answer, message.now, &words, what)
    }
}

fn incident(message: &Message, subject: &Subject) -> Value {
    let look = text::look(message);
    let happened = chat::line(&text::happened(message), 300, chat::markdown);
    let top = format!("**{happened}** · {}", text::count(subject));
    let links = chat::markdown_links(message, subject, chat::markdown);
    let parts =
        [top, chat::story(message, subject, WORDS, chat::markdown), links].into_iter().filter(|p| !p.is_empty());
    let facts = chat::facts(message, subject, chat::markdown).into_iter();
    let facts = facts.map(|(title, value)| json!({ "title": title, "value": value, "short": true }));
    json!({
        // What a notification of the desktop shows.
        "text": chat::head(message, 300, chat::markdown),
        "attachments": [{
            "fallback": chat::line(&text::headline(message), 200, chat::quiet),
            "color": look.colour,
            "title": chat::line(&subject.title, 250, chat::markdown),
            "title_link": chat::href(&subject.url, 2_000),
            "text": parts.collect::<Vec<_>>().join("\n\n"),
            "fields": facts.collect::<Vec<_>>(),
            "footer": chat::line(&message.reason, 200, chat::quiet),
        }],
    })
}

fn list(message: &Message, digest: &Digest) -> String {
    let head = format!("**{}**", chat::head(message, 300, chat::markdown));
    let places = chat::places(digest, chat::markdown);
    let lines = digest.first.iter().map(|l| {
        let name = chat::href(&l.url, 500).map_or_else(|| l.id.to_string(), |url| format!("[{}]({url})", l.id));
        format!("{} {name} {}", text::severity(l.severity).sign, chat::line(&l.title, 120, chat::markdown))
    });
    let all = chat::href(&digest.url, 500).map(|url| format!("[Open all of them]({url})"));
    let rest = all.into_iter().chain(text::remarks(message));
    let lines = [head, places].into_iter().chain(lines).chain(rest).filter(|l| !l.is_empty());
    text::cut(&lines.collect::<Vec<_>>().join("\n"), MOST)
}

#[cfg(test)]
mod tests {
    use super::{super::proof::*, *};

    const HOOK: &str = r#"{"url":"https://chat.example.com/hooks/abc"}"#;
    const URGENT: &str = r#"{"url":"https://chat.example.com/hooks/abc","urgent":"on"}"#;

    #[test]
    fn each_event_is_a_message_of_its_own() {
        let mut story = Story::new(&Mattermost, HOOK);
        for name in ["opened", "acknowledged", "resolved"] {
            assert_eq!(story.tell(name, &["ok"]), ["post POST https://chat.example.com/hooks/abc"]);
        }
        assert!(story.to.receipt.is_empty());
    }

    #[test]
    fn answers_mean_what_mattermost_says_of_them() {
        let gone = r#"{"id":"web.incoming_webhook.invalid.app_error","message":"Invalid webhook.","status_code":404}"#;
        let locked = r#"{"id":"web.incoming_webhook.channel_locked.app_error","message":"Locked.","status_code":403}"#;
        let off = r#"{"id":"web.incoming_webhook.disabled.app_error","message":"Disabled.","status_code":403}"#;
        for (status, headers, body, want) in [
            (200, [].as_slice(), "ok", "done"),
            (
                400,
                &[],
                r#"{"id":"web.incoming_webhook.parse.app_error","message":"Unable to parse."}"#,
                "never: Unable to parse.",
            ),
            (404, &[], gone, "broken: Invalid webhook. The webhook was removed"),
            (403, &[], locked, "broken: let the webhook post into others"),
            (403, &[], off, "broken: ask its administrator"),
            (429, &[("retry-after", "2")], "limit exceeded", "later 2000: limit exceeded"),
            (429, &[("x-ratelimit-reset", "1")], "limit exceeded", "later 1000: limit exceeded"),
            (501, &[], "", "later: 501"),
            (500, &[], r#"{"id":"app.channel.get.app_error","message":"No."}"#, "later: No."),
        ] {
            assert_judged(&Story::new(&Mattermost, HOOK), "opened", "post", headers, status, body, want);
        }
    }

    #[test]
    fn texts_keep_to_their_limits() {
        each_sample(&Story::new(&Mattermost, HOOK), |name, body| {
            assert!(body["text"].as_str().unwrap().chars().count() <= MOST, "{name}");
            let all = body.to_string().chars().count();
            assert!(all <= MOST, "{name}: {all}");
        });
    }

    #[test]
    fn only_open_incidents_are_urgent() {
        for (settings, name, want) in [
            (URGENT, "opened", json!("urgent")),
            (URGENT, "resolved", Value::Null),
            (URGENT, "bare", Value::Null),
            (URGENT, "digest", Value::Null),
            (HOOK, "opened", Value::Null),
        ] {
            let body = bodies(&Story::new(&Mattermost, settings).calls(name)).remove(0);
            assert_eq!(body["priority"]["priority"], want, "{settings} {name}");
        }
    }

    #[test]
    fn foreign_markdown_stays_text() {
        let body = bodies(&Story::new(&Mattermost, HOOK).calls("hostile")).remove(0);
        let words = body["attachments"][0]["text"].as_str().unwrap();
        assert!(words.contains(r"\*bold\* \[x\](http://evil) \`c\`") && words.contains(r"\|a\>b&c"), "{words}");
    }
}
