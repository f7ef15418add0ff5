//! Pushover: what is critical rings until somebody presses its button, or until the incident is taken or over here.

use std::time::Duration;

use serde_json::{Value, json};

use super::{
    Answered, Body, CA, Call, Channel, Field, FieldKind, Follows, HttpCall, Info, Judged, Receipt, Settings, To,
    common, text,
};
use crate::{
    model::{Mistake, NoticeEvent, Severity, Time},
    notifications::message::{About, Message},
};

/// Limits in characters (<https://pushover.net/api#limits>).
const MESSAGE: usize = 1_024;
const TITLE: usize = 250;
const URL: usize = 512;
/// Who one message may go to.
const USERS: usize = 50;
/// An emergency rings every so many seconds, for so many.
const RETRY: u32 = 60;
const EXPIRE: u32 = 3_600;

static INFO: Info = Info {
    kind: "pushover",
    name: "Pushover",
    tile: "Po",
    what: "Sends to phones by Pushover; what is critical rings again every minute until somebody takes it.",
    steps: &[
        "On pushover.net choose Create an Application/API Token, name it Watchfire, and copy the API token.",
        "Copy your user key from the first page there, or make a delivery group and copy its key.",
    ],
    fields: &[
        Field {
            key: "token",
            label: "API token",
            help: "Of the application, 30 letters and digits: azGDORePK8gMaC0QOYAMyEEuzJnyUi",
            kind: FieldKind::Text,
            secret: true,
            required: true,
            default: "",
        },
        Field {
            key: "user",
            label: "User or group key",
            help: "30 letters and digits: uQiRzpo4DXghDmr9QzzfQu27cmVRsG. Several with commas between them, at most 50.",
            kind: FieldKind::Text,
            secret: false,
            required: true,
            default: "",
        },
        Field {
            key: "sound",
            label: "Sound",
            help: "Its name at Pushover, such as siren; empty for what each phone is set to.",
            kind: FieldKind::Text,
            secret: false,
            required: false,
            default: "",
        },
        Field {
            key: "base",
            label: "Server",
            help: "Another one only behind a gateway of your own: https://pushover.example.com",
            kind: FieldKind::Url,
            secret: false,
            required: false,
            default: "https://api.pushover.net",
        },
        CA,
    ],
    address: Some("user"),
    follows: Follows::Read,
    rate: (2, Duration::from_secs(1)),
};

/// The channel.
pub struct Pushover;

impl Channel for Pushover {
    fn info(&self) -> &'static Info {
        &INFO
    }

    fn check(&self, settings: &Settings) -> Vec<Mistake> {
        let key = |k: &str| k.len() == 30 && k.bytes().all(|b| b.is_ascii_alphanumeric());
        let mut wrong = Vec::new();
        if settings.given("token").is_some_and(|t| !key(t)) {
            wrong.push(Mistake::new("/settings/token", "An API token has 30 letters and digits."));
        }
        let users: Vec<&str> = users(settings).collect();
        if !users.iter().all(|u| key(u)) {
            let what = "A user or group key has 30 letters and digits; write commas between several.";
            wrong.push(Mistake::new("/settings/user", what));
        }
        if users.len() > USERS {
            wrong.push(Mistake::new("/settings/user", format!("At most {USERS} keys; a delivery group reaches more.")));
        }
        wrong
    }

    fn calls(&self, to: &To, message: &Message) -> Vec<Call> {
        let base = to.settings.get("base").trim_end_matches('/');
        let token = to.settings.get("token");
        let mut calls = Vec::new();
        // An earlier emergency must not go on beside a new one, nor after somebody has it. An analysis ends nothing.
        if message.subject().is_some()
            && message.event() != NoticeEvent::Analyzed
            && let Some(receipt) = to.receipt.get("receipt").filter(|r| !r.is_empty())
        {
            let url = format!("{base}/1/receipts/{}/cancel.json", common::segment(receipt));
            let body = Body::Form(vec![("token".to_owned(), token.to_owned())]);
            calls.push(Call::Http(HttpCall { body, ..HttpCall::post("cancel", url, Value::Null) }));
        }
        calls.push(Call::Http(HttpCall::post("post", format!("{base}/1/messages.json"), body(to, message))));
        calls
    }

    fn judge(&self, _to: &To, message: &Message, call: &Call, answer: &Answered) -> Judged {
        let said = answer.json();
        let keep = |receipt: &str| Judged::Done {
            receipt: Receipt::from([("receipt".to_owned(), receipt.to_owned())]),
            lasting: Receipt::new(),
        };
        // Too old, or answered there: nothing rings any more.
        if call.step() == "cancel" && ((200..300).contains(&answer.status) || matches!(answer.status, 400 | 404 | 410))
        {
            return keep("");
        }
        let refused = common::at(&said, "status").as_i64().is_some_and(|s| s != 1);
        if answer.is_success() && !refused {
            let receipt =
                common::at(&said, "receipt").as_str().filter(|r| !r.is_empty() && message.subject().is_some());
            return receipt.map_or_else(Judged::done, keep);
        }
        if answer.status == 429 {
            // The month's messages are used up: it says when the next month begins.
            let reset = answer.header("x-limit-app-reset").and_then(|v| v.trim().parse::<i64>().ok());
            let at = reset.map(|secs| Time::from_secs(secs).since(message.now));
            let header = answer.header("retry-after").and_then(|v| text::retry_after(v, message.now));
            let why = "Pushover takes no more messages of this application: the month's are used up".to_owned();
            return Judged::Later { after: header.or(at), why };
        }
        let errors: Vec<&str> =
            common::at(&said, "errors").as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        if (400..500).contains(&answer.status) && answer.status != 408 && answer.status != 425
            || answer.is_success() && refused
        {
            let what = text::cut(&text::line(&errors.join("; ")), 200);
            let low = what.to_lowercase();
            let advice = if low.contains("token") || matches!(answer.status, 401 | 403) {
                "Copy the application's API token again"
            } else if low.contains("user") || low.contains("device") {
                "Look at the user or group key, and whether a device is registered there"
            } else if answer.status == 404 {
                "Look at the server's address"
            } else {
                return Judged::Never { why: format!("{}: {what}.", text::status(answer.status)), broken: false };
            };
            return Judged::Never { why: format!("{}: {what}. {advice}.", text::status(answer.status)), broken: true };
        }
        common::advised(Judged::by_status(answer, message.now), answer, "Look at the server's address.")
    }
}

fn users(settings: &Settings) -> impl Iterator<Item = &str> {
    settings.get("user").split(',').map(str::trim).filter(|u| !u.is_empty())
}

/// The severity's, where somebody is called to work; what was taken or is over comes quietly.
fn priority(message: &Message) -> i8 {
    let of = match message.severity() {
        Severity::Critical => 2,
        Severity::High => 1,
        Severity::Medium => 0,
        Severity::Low => -1,
        Severity::Info => -2,
    };
    match (message.event(), &message.about) {
        (_, About::Test { .. }) => 0,
        // Nobody could end the ringing of a digest.
        (_, About::Digest(_)) => of.min(1),
        (NoticeEvent::Acknowledged | NoticeEvent::Resolved | NoticeEvent::Merged, _) => -1,
        (NoticeEvent::Analyzed, _) => of.min(0),
        _ => of,
    }
}

fn body(to: &To, message: &Message) -> Value {
    let look = text::look(message);
    let mut words = common::plain_body(message);
    // The link that acknowledges stands whole at the end, or not at all.
    let ack = message.ack_url.as_deref().map(|url| format!("\n\nAcknowledge: {url}"));
    let ack = ack.filter(|a| a.chars().count() <= MESSAGE / 2).unwrap_or_default();
    words = format!("{}{ack}", text::cut(&words, MESSAGE - ack.chars().count()));
    let (url, label) = match &message.about {
        About::Incident(subject) => (subject.url.as_str(), format!("Open {}", subject.id)),
        About::Digest(digest) => (digest.url.as_str(), "All of them".to_owned()),
        About::Test { .. } => (message.base_url.as_str(), "Open Watchfire".to_owned()),
    };
    let priority = priority(message);
    let mut body = json!({
        "token": to.settings.get("token"),
        "user": users(&to.settings).collect::<Vec<_>>().join(","),
        "title": format!("{} {}", look.sign, common::headline(message, TITLE - 2)),
        "message": words,
        "priority": priority,
        "timestamp": message.now.millis() / 1_000,
    });
    if url.chars().count() <= URL {
        common::put(&mut body, "url", json!(url));
        common::put(&mut body, "url_title", json!(label));
    }
    if priority == 2 {
        common::put(&mut body, "retry", json!(RETRY));
        common::put(&mut body, "expire", json!(EXPIRE));
    }
    if let Some(sound) = to.settings.given("sound") {
        common::put(&mut body, "sound", json!(sound));
    }
    body
}

#[cfg(test)]
mod tests {
    use super::{
        super::{samples, tests},
        *,
    };

    const YES: &str = r#"{"status":1,"request":"r"}"#;
    const RINGS: &str = r#"{"status":1,"request":"r","receipt":"rcpt1"}"#;

    fn sent(name: &str) -> Value {
        let (_, message) = samples::all().into_iter().find(|(n, _)| *n == name).unwrap();
        common::sent(Pushover.calls(&tests::to(&Pushover, 0), &message).last().unwrap()).unwrap().clone()
    }

    #[test]
    fn an_emergency_rings_until_it_is_taken_or_over() {
        let calls = tests::follow(
            &Pushover,
            &[
                ("opened", &[("post", 200, RINGS)]),
                ("analyzed", &[("post", 200, YES)]),
                ("reminder", &[("cancel", 200, YES), ("post", 200, r#"{"status":1,"receipt":"rcpt2"}"#)]),
                ("acknowledged", &[("cancel", 200, YES), ("post", 200, YES)]),
                ("resolved", &[("post", 200, YES)]),
            ],
            &[("receipt", "")],
        );
        let url = |n: usize| match &calls[n] {
            Call::Http(call) => (call.url.clone(), call.body.clone()),
            Call::Mail(_) => panic!("not a request"),
        };
        let token = ("token".to_owned(), "azGDORePK8gMaC0QOYAMyEEuzJnyUi".to_owned());
        let (first, second) = (url(2), url(4));
        assert_eq!(first.0, "https://api.pushover.net/1/receipts/rcpt1/cancel.json");
        assert_eq!(first.1, Body::Form(vec![token]));
        assert_eq!(second.0, "https://api.pushover.net/1/receipts/rcpt2/cancel.json");
        let gone = [("cancel", 400, r#"{"status":0,"receipt":"not found"}"#), ("post", 200, YES)];
        tests::follow(&Pushover, &[("opened", &[("post", 200, RINGS)]), ("resolved", &gone)], &[("receipt", "")]);
    }

    #[test]
    fn priorities_are_by_severity_and_event() {
        for (name, want) in [
            ("opened", 2),
            ("reminder", 2),
            ("analyzed", 0),
            ("acknowledged", -1),
            ("resolved", -1),
            ("merged", -1),
            ("digest", 1),
            ("test", 0),
            ("bare", -2),
        ] {
            let body = sent(name);
            assert_eq!(body["priority"], want, "{name}");
            assert_eq!(body.get("retry").is_some() && body.get("expire").is_some(), want == 2, "{name}");
        }
    }

    #[test]
    fn fields_have_their_limits() {
        for (name, message) in samples::all() {
            let calls = Pushover.calls(&tests::to(&Pushover, 0), &message);
            let body = common::sent(&calls[0]).unwrap();
            let chars = |field: &str| body[field].as_str().map_or(0, |t| t.chars().count());
            assert!((1..=MESSAGE).contains(&chars("message")) && chars("title") <= TITLE, "{name}");
            assert!(chars("url") <= URL && chars("url_title") <= 100);
            let ack = message.ack_url.as_deref();
            assert!(ack.is_none_or(|url| body["message"].as_str().unwrap().ends_with(url)), "{name}");
        }
    }

    #[test]
    fn answers_are_judged() {
        tests::judged(
            &Pushover,
            "opened",
            &[
                (200, "", RINGS, "done"),
                (200, "", r#"{"status":0,"errors":["message is too long"]}"#, "never: too long"),
                (400, "", r#"{"status":0,"errors":["application token is invalid"]}"#, "broken: API token"),
                (400, "", r#"{"status":0,"errors":["user identifier is not a valid user"]}"#, "broken: group key"),
                (400, "", r#"{"status":0,"errors":["message cannot be blank"]}"#, "never: blank"),
                (404, "", "", "broken: address"),
                (429, "x-limit-app-reset: 1772424120", r#"{"status":0}"#, "later 3600"),
                (429, "", r#"{"status":0}"#, "later"),
                (500, "", "", "later"),
            ],
        );
        let to = To { receipt: Receipt::from([("receipt".into(), "r".into())]), ..tests::to(&Pushover, 0) };
        let table = [(200, "", YES, "done"), (404, "", "", "done"), (429, "", "", "later"), (503, "", "", "later")];
        tests::judged_from(&Pushover, &to, "resolved", 0, &table);
    }

    #[test]
    fn keys_are_checked() {
        let one = "uQiRzpo4DXghDmr9QzzfQu27cmVRsG";
        for (key, value, fine) in [
            ("token", one.to_owned(), true),
            ("token", "short".to_owned(), false),
            ("user", format!("{one}, {one}"), true),
            ("user", format!("{one} {one}"), false),
            ("user", vec![one; USERS + 1].join(","), false),
        ] {
            assert_eq!(Pushover.check(&Settings([(key.into(), value.clone())].into())).is_empty(), fine, "{value}");
        }
    }
}
