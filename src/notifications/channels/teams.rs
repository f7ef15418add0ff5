//! Microsoft Teams, by a workflow that posts adaptive cards (<https://adaptivecards.io/explorer/>). A card cannot be changed
//! later; each event is one of its own. That the workflow took it does not say that the card was shown.

use std::time::Duration;

use serde_json::{Value, json};

use super::{
    Answered, Call, Channel, Field, FieldKind, Follows, HttpCall, Info, Judged, Settings, To, call::said, chat, text,
};
use crate::{
    model::{IncidentStatus, Mistake, Severity},
    notifications::message::{About, Digest, Message, Subject},
};

/// Of a whole message, in bytes: 28 KB, less what the flow adds.
const MOST: usize = 27_000;

static INFO: Info = Info {
    kind: "teams",
    name: "Microsoft Teams",
    tile: "Te",
    what: "Posts cards into a Teams channel or chat by a workflow.",
    steps: &[
        "In Teams open the channel's menu (…) > Workflows, and choose “Send webhook alerts to a channel”.",
        "Sign in as the account that shall own the workflow: it ends when that account is deleted, so take one of a team, not \
         a person's.",
        "Choose team and channel, press Save, and copy the address that is shown.",
    ],
    fields: &[Field {
        key: "url",
        label: "Workflow address",
        help: "As the workflow shows it, whole, with everything after the question mark: \
               https://prod-01.westeurope.logic.azure.com:443/workflows/…?api-version=…&sig=… The workflow belongs to whoever \
               made it and stops when that account is deleted.",
        kind: FieldKind::Url,
        secret: true,
        required: true,
        default: "",
    }],
    address: None,
    follows: Follows::Read,
    rate: (4, Duration::from_secs(1)),
};

/// The channel.
pub struct Teams;

impl Channel for Teams {
    fn info(&self) -> &'static Info {
        &INFO
    }

    fn check(&self, settings: &Settings) -> Vec<Mistake> {
        let url = settings.get("url");
        if chat::base(url).contains("webhook.office.com") {
            let what = "This is the address of an Office 365 connector, which Microsoft has retired. Make a workflow instead: \
                        the channel's menu > Workflows > “Send webhook alerts to a channel”.";
            return vec![Mistake::new("/settings/url", what)];
        }
        Vec::new()
    }

    fn calls(&self, to: &To, message: &Message) -> Vec<Call> {
        let body = chat::fitting(MOST, |room| whole(message, room));
        vec![Call::Http(HttpCall::post("post", to.settings.get("url"), body))]
    }

    fn judge(&self, _to: &To, message: &Message, _call: &Call, answer: &Answered) -> Judged {
        let json = answer.json();
        let words = chat::at(chat::at(&json, "error"), "message").as_str().map_or_else(|| said(&answer.body), said);
        let what = "The workflow was switched off or deleted, perhaps because its owner's account was: look at it in Teams \
                    under Workflows, or make a new one and put its address here, whole.";
        chat::judged(answer, message.now, &words, what)
    }
}

fn whole(message: &Message, room: usize) -> Value {
    let head = json!({
        "type": "TextBlock", "text": chat::head(message, 300, markdown), "weight": "Bolder", "size": "Medium", "wrap": true,
        "color": colour(message),
    });
    let reason = json!({
        "type": "TextBlock", "text": chat::line(&message.reason, 300, markdown), "wrap": true, "isSubtle": true,
        "size": "Small",
    });
    let (mut body, actions) = match &message.about {
        About::Incident(subject) => (incident(message, subject, room), buttons(message, subject)),
        About::Digest(digest) => (list(digest, room), open("Open all of them", &digest.url).into_iter().collect()),
        About::Test { .. } => (Vec::new(), Vec::new()),
    };
    body.insert(0, head);
    if let (Some(remarks), None) = (text::remarks(message), message.subject()) {
        body.push(block(&remarks));
    }
    body.push(reason);
    let mut card = json!({
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": body,
        "msteams": { "width": "Full" },
    });
    if let (Value::Object(card), false) = (&mut card, actions.is_empty()) {
        card.insert("actions".to_owned(), Value::Array(actions));
    }
    json!({
        "type": "message",
        "attachments": [{
            "contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": null, "content": card,
        }],
    })
}

fn incident(message: &Message, subject: &Subject, room: usize) -> Vec<Value> {
    let happened = chat::line(&text::happened(message), 300, markdown);
    let mut body = vec![block(&format!("**{happened}** · {}", text::count(subject)))];
    let story = chat::story(message, subject, room, markdown);
    if !story.is_empty() {
        body.push(block(&story));
    }
    let facts = chat::facts(message, subject, markdown).into_iter();
    let facts: Vec<Value> = facts.map(|(title, value)| json!({ "title": title, "value": value })).collect();
    body.push(json!({ "type": "FactSet", "facts": facts }));
    body
}

fn list(digest: &Digest, room: usize) -> Vec<Value> {
    let places = chat::places(digest, markdown);
    let lines = digest.first.iter().map(|l| {
        let name = chat::href(&l.url, 500).map_or_else(|| l.id.to_string(), |url| format!("[{}]({url})", l.id));
        let title = chat::line(&l.title, (room / 20).min(120), markdown);
        format!("{} {name} {title}", text::severity(l.severity).sign)
    });
    [places].into_iter().filter(|p| !p.is_empty()).chain(lines).map(|line| block(&line)).collect()
}

fn block(text: &str) -> Value {
    // A single line break is none.
    json!({ "type": "TextBlock", "text": text.replace("\n\n", "\n").replace('\n', "\n\n"), "wrap": true })
}

fn buttons(message: &Message, subject: &Subject) -> Vec<Value> {
    let acknowledge = message.ack_url.as_ref().and_then(|url| open("Acknowledge", url));
    open("Open incident", &subject.url).into_iter().chain(acknowledge).collect()
}

fn open(title: &str, url: &str) -> Option<Value> {
    Some(json!({ "type": "Action.OpenUrl", "title": title, "url": chat::href(url, 2_000)? }))
}

/// Cards know no colours of their own but these words.
fn colour(message: &Message) -> &'static str {
    match (message.subject().map(|s| s.status), message.severity()) {
        (Some(IncidentStatus::Resolved), _) => "Good",
        (Some(IncidentStatus::Merged), _) | (_, Severity::Low | Severity::Info) => "Default",
        (_, Severity::Critical) => "Attention",
        (_, Severity::High | Severity::Medium) => "Warning",
    }
}

/// Cards know a part of Markdown: bold, italic, lists, links.
fn markdown(c: char, out: &mut String) {
    match c {
        '@' | '<' => out.extend([c, '\u{200b}']),
        '\\' | '*' | '_' | '[' | ']' | '`' | '~' | '#' => out.extend(['\\', c]),
        c => out.push(c),
    }
}

#[cfg(test)]
mod tests {
    use super::{super::proof::*, *};

    const URL: &str = r#"{"url":"https://prod-01.westeurope.logic.azure.com:443/workflows/a/triggers/manual/paths/invoke?api-version=2016-06-01&sp=%2Ftriggers&sv=1.0&sig=a_b-c"}"#;

    #[test]
    fn each_event_is_a_card_at_the_address_as_it_is() {
        let mut story = Story::new(&Teams, URL);
        let want = "post POST https://prod-01.westeurope.logic.azure.com:443/workflows/a/triggers/manual/paths/invoke?api-version=2016-06-01&sp=%2Ftriggers&sv=1.0&sig=a_b-c";
        for (name, colour) in
            [("opened", "Attention"), ("acknowledged", "Attention"), ("resolved", "Good"), ("bare", "Default")]
        {
            let body = bodies(&story.calls(name)).remove(0);
            assert_eq!(body["attachments"][0]["content"]["body"][0]["color"], colour, "{name}");
            assert_eq!(story.tell(name, &["202 "]), [want]);
        }
        assert!(story.to.receipt.is_empty());
    }

    #[test]
    fn answers_mean_what_the_workflow_says_of_them() {
        let gone = r#"{"error":{"code":"WorkflowNotFound","message":"The workflow could not be found."}}"#;
        for (status, headers, body, want) in [
            (202, [].as_slice(), "", "done"),
            (200, &[], "", "done"),
            (400, &[], r#"{"error":{"message":"Bad JSON."}}"#, "never: Bad JSON."),
            (401, &[], "", "broken: make a new one"),
            (403, &[], "", "broken: switched off"),
            (404, &[], gone, "broken: could not be found. The workflow was"),
            (429, &[("retry-after", "7")], "", "later 7000: 429"),
            (500, &[], "", "later: 500"),
            (502, &[], "", "later: 502"),
        ] {
            assert_judged(&Story::new(&Teams, URL), "opened", "post", headers, status, body, want);
        }
    }

    #[test]
    fn a_message_has_no_more_than_28_kb() {
        each_sample(&Story::new(&Teams, URL), |name, body| {
            let len = body.to_string().len();
            assert!(len <= 28 * 1024, "{name}: {len}");
            let card = &body["attachments"][0]["content"];
            let actions = card["actions"].as_array().map_or(0, Vec::len);
            let want = match name {
                "test" => 0,
                "digest" | "acknowledged" | "resolved" | "opened-and-resolved" | "merged" => 1,
                _ => 2,
            };
            assert_eq!(actions, want, "{name}");
        });
    }

    #[test]
    fn foreign_markdown_stays_text() {
        let body = bodies(&Story::new(&Teams, URL).calls("hostile")).remove(0).to_string();
        assert!(body.contains(r"\\[x\\](http://evil)") && body.contains(r"\\*bold\\*"), "{body}");
    }

    #[test]
    fn retired_connectors_are_refused() {
        assert_eq!(mistakes(&Teams, URL), "");
        assert_eq!(mistakes(&Teams, r#"{"url":"https://x.webhook.office.com/webhookb2/1"}"#), "/settings/url");
    }
}
