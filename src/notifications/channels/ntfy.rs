//! ntfy: a message as JSON to the server's address. A message is not changed later; each event is one of its own.

use std::time::Duration;

use serde_json::{Value, json};

use super::{
    Answered, CA, Call, Channel, Credentials, Field, FieldKind, Follows, HttpCall, Info, Judged, Settings, To, common,
    text,
};
use crate::{
    model::{Mistake, NoticeEvent, Severity},
    notifications::message::{About, Message},
};

/// What a message may have, in bytes; longer ones become attachments (<https://docs.ntfy.sh/publish/#limitations>).
const MOST_BYTES: usize = 4_096;
/// What all of the JSON may have: the server reads twice the limit of a message, and no more.
const MOST_JSON: usize = 2 * MOST_BYTES;
const TITLE: usize = 250;
/// Longer addresses are left out: three buttons share the JSON with the message.
const ADDRESS: usize = 800;

static INFO: Info = Info {
    kind: "ntfy",
    name: "ntfy",
    tile: "Nt",
    what: "Sends to a topic of ntfy.sh or of an ntfy server of your own; phones and browsers subscribe to it.",
    steps: &[
        "Choose a topic. On ntfy.sh whoever knows its name can read it: make it hard to guess.",
        "Subscribe to it in the ntfy app or in the browser.",
        "Where the topic is protected, make an access token (Account > Access tokens) and put it in here.",
    ],
    fields: &[
        Field {
            key: "base",
            label: "Server",
            help: "https://ntfy.sh, or your own: https://ntfy.example.com",
            kind: FieldKind::Url,
            secret: false,
            required: false,
            default: "https://ntfy.sh",
        },
        Field {
            key: "topic",
            label: "Topic",
            help: "Letters, digits, - and _, at most 64: incidents-Xk29dTq7",
            kind: FieldKind::Text,
            secret: false,
            required: true,
            default: "",
        },
        Field {
            key: "token",
            label: "Access token",
            help: "Begins with tk_; empty where the topic is open.",
            kind: FieldKind::Text,
            secret: true,
            required: false,
            default: "",
        },
        Field {
            key: "user",
            label: "User",
            help: "Instead of a token, such as watchfire.",
            kind: FieldKind::Text,
            secret: false,
            required: false,
            default: "",
        },
        Field {
            key: "password",
            label: "Password",
            help: "Of that user at the ntfy server.",
            kind: FieldKind::Text,
            secret: true,
            required: false,
            default: "",
        },
        CA,
    ],
    address: Some("topic"),
    follows: Follows::Read,
    rate: (1, Duration::from_secs(5)),
};

/// The channel.
pub struct Ntfy;

impl Channel for Ntfy {
    fn info(&self) -> &'static Info {
        &INFO
    }

    fn check(&self, settings: &Settings) -> Vec<Mistake> {
        let mut wrong = Vec::new();
        let topic = settings.get("topic");
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        if !topic.is_empty() && (topic.len() > 64 || !topic.chars().all(plain)) {
            wrong.push(Mistake::new("/settings/topic", "A topic has letters, digits, - and _, at most 64."));
        }
        if settings.given("token").is_some() && settings.given("user").is_some() {
            wrong.push(Mistake::new("/settings/user", "Either a token, or user and password."));
        }
        if settings.given("password").is_some() && settings.given("user").is_none() {
            wrong.push(Mistake::new("/settings/user", "The password needs its user."));
        }
        wrong
    }

    fn calls(&self, to: &To, message: &Message) -> Vec<Call> {
        let look = text::look(message);
        let mut body = json!({
            "topic": to.settings.get("topic"),
            "title": format!("{} {}", look.sign, common::headline(message, TITLE - 2)),
            "message": text::cut_bytes(&common::plain_body(message), MOST_BYTES),
            "priority": priority(message),
        });
        let view = |label: &str, url: &str| json!({ "action": "view", "label": label, "url": url, "clear": true });
        match &message.about {
            About::Incident(subject) => {
                let ack = message.ack_url.as_deref().map(|url| view("Acknowledge", url));
                let short = |url: &&str| url.starts_with("http") && url.len() <= ADDRESS;
                let runbook = subject.runbook_url.as_deref().filter(short);
                let runbook = runbook.map(|url| view("Runbook", url));
                let open = view("Open incident", &subject.url);
                let actions: Vec<Value> = ack.into_iter().chain([open]).chain(runbook).take(3).collect();
                common::put(&mut body, "click", json!(subject.url));
                common::put(&mut body, "actions", json!(actions));
                let tags = [Some(look.word.to_lowercase()), subject.service.clone(), subject.environment.clone()];
                let tags: Vec<String> = tags.into_iter().flatten().map(|t| common::foreign_line(&t, 50)).collect();
                common::put(&mut body, "tags", json!(tags));
            }
            About::Digest(digest) => common::put(&mut body, "click", json!(digest.url)),
            About::Test { .. } => common::put(&mut body, "click", json!(message.base_url)),
        }
        // What is escaped is longer there than here.
        let mut room = MOST_BYTES;
        while body.to_string().len() > MOST_JSON && room > 200 {
            room = room * 3 / 4;
            common::put(&mut body, "message", json!(text::cut_bytes(&common::plain_body(message), room)));
        }
        let url = format!("{}/", to.settings.get("base").trim_end_matches('/'));
        let credentials = match (to.settings.given("token"), to.settings.given("user")) {
            (Some(token), _) => Credentials::Bearer(token.to_owned()),
            (None, Some(user)) => Credentials::Basic(user.to_owned(), to.settings.get("password").to_owned()),
            (None, None) => Credentials::None,
        };
        vec![Call::Http(HttpCall { credentials, ..HttpCall::post("post", url, body) })]
    }

    fn judge(&self, _to: &To, message: &Message, _call: &Call, answer: &Answered) -> Judged {
        let said = answer.json();
        let error = text::cut(&text::line(common::at(&said, "error").as_str().unwrap_or_default()), 200);
        // Its disk or its quota is full: that passes.
        if answer.status == 507 {
            return Judged::Later { after: None, why: format!("{}: {error}", text::status(507)) };
        }
        if answer.status == 400 && error.to_lowercase().contains("topic") {
            let why = format!("{}: {error}. Look at the topic's name.", text::status(400));
            return Judged::Never { why, broken: true };
        }
        let advice = match answer.status {
            401 | 403 => "Look at the token or the user, and whether it may write to this topic.",
            _ => "Look at the server's address.",
        };
        common::advised(Judged::by_status(answer, message.now), answer, advice)
    }
}

/// What calls nobody to work does not ring at night either.
fn priority(message: &Message) -> u8 {
    let of = match message.severity() {
        Severity::Critical => 5,
        Severity::High => 4,
        Severity::Medium => 3,
        Severity::Low => 2,
        Severity::Info => 1,
    };
    match message.event() {
        NoticeEvent::Resolved | NoticeEvent::Merged | NoticeEvent::Test => 3,
        NoticeEvent::Acknowledged | NoticeEvent::Analyzed => of.min(3),
        _ => of,
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{samples, tests},
        *,
    };

    fn body(name: &str) -> Value {
        let (_, message) = samples::all().into_iter().find(|(n, _)| *n == name).unwrap();
        common::sent(&Ntfy.calls(&tests::to(&Ntfy, 0), &message)[0]).unwrap().clone()
    }

    #[test]
    fn each_event_is_a_message_of_its_own() {
        let yes = [("post", 200, r#"{"id":"x","event":"message"}"#)];
        tests::follow(&Ntfy, &[("opened", &yes), ("acknowledged", &yes), ("resolved", &yes)], &[]);
        for (name, want) in
            [("opened", 5), ("acknowledged", 3), ("resolved", 3), ("bare", 1), ("test", 3), ("digest", 5)]
        {
            assert_eq!(body(name)["priority"], want, "{name}");
        }
    }

    #[test]
    fn messages_have_their_limits_in_bytes() {
        let mut all = samples::all();
        // What JSON writes with two letters or six.
        for (name, letter) in [("quotes", "\""), ("lines", "a\n"), ("emoji", "😀")] {
            let long = Some(letter.repeat(20_000));
            let subject = crate::notifications::message::Subject {
                title: letter.repeat(20_000),
                description: long.clone(),
                service: long.clone(),
                host: long.clone(),
                environment: long,
                runbook_url: Some(format!("https://wiki.example.com/{}", "x".repeat(20_000))),
                ..samples::subject()
            };
            all.push((name, samples::message(NoticeEvent::Opened, subject)));
        }
        for (name, message) in all {
            let sent = Ntfy.calls(&tests::to(&Ntfy, 0), &message);
            let body = common::sent(&sent[0]).unwrap();
            let bytes = body["message"].as_str().unwrap().len();
            assert!((1..=MOST_BYTES).contains(&bytes), "{name}: {bytes}");
            assert!(body["title"].as_str().unwrap().chars().count() <= TITLE, "{name}");
            assert!(body["actions"].as_array().map_or(0, Vec::len) <= 3);
            let json = body.to_string().len();
            assert!(json <= MOST_JSON, "{name}: {json}");
        }
    }

    #[test]
    fn answers_are_judged() {
        tests::judged(
            &Ntfy,
            "opened",
            &[
                (200, "", r#"{"id":"x"}"#, "done"),
                (
                    400,
                    "",
                    r#"{"code":40009,"http":400,"error":"invalid request: topic invalid"}"#,
                    "broken: topic's name",
                ),
                (400, "", r#"{"code":40024,"http":400,"error":"invalid message"}"#, "never: invalid message"),
                (401, "", r#"{"code":40101,"http":401,"error":"unauthorized"}"#, "broken: token"),
                (403, "", r#"{"code":40301,"http":403,"error":"forbidden"}"#, "broken: may write"),
                (404, "", "", "broken: server's address"),
                (413, "", r#"{"code":41301,"http":413,"error":"too large"}"#, "never: too large"),
                (429, "", r#"{"code":42901,"http":429,"error":"limit reached"}"#, "later"),
                (429, "retry-after: 60", "", "later 60"),
                (507, "", r#"{"code":50701,"http":507,"error":"no space"}"#, "later: no space"),
                (502, "", "", "later"),
            ],
        );
    }

    #[test]
    fn settings_are_checked() {
        for (pairs, fine) in [
            (&[("topic", "incidents-Xk29")][..], true),
            (&[("topic", "a/b")], false),
            (&[("topic", "x"), ("token", "tk_a"), ("user", "u")], false),
            (&[("topic", "x"), ("password", "u")], false),
            (&[("topic", "x"), ("user", "u"), ("password", "u")], true),
        ] {
            let settings = Settings(pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect());
            assert_eq!(Ntfy.check(&settings).is_empty(), fine, "{pairs:?}");
        }
    }
}
