//! Opsgenie, Alert API v2 (and Jira Service Management, which has the same under another address): an alert there is kept
//! under an alias of ours, and follows its incident. Its fields are changed by `PUT`: a second create only counts up.

#[cfg(test)]
mod tests;

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::{
    Answered, CA, Call, Channel, Credentials, Field, FieldKind, Follows, HttpCall, Info, Judged, Method, Receipt,
    Settings, To,
    common::{self, Turn},
    text,
};
use crate::{
    model::{Mistake, NoticeEvent, Severity},
    notifications::message::{About, Message, Subject},
};

const REGIONS: &[(&str, &str)] = &[
    ("us", "https://api.opsgenie.com"),
    ("eu", "https://api.eu.opsgenie.com"),
    ("jsm", "https://api.atlassian.com/jsm/ops/integration"),
];
/// Limits of the fields, in characters (<https://docs.opsgenie.com/docs/alert-api>).
const MESSAGE: usize = 130;
const DESCRIPTION: usize = 15_000;
const DETAILS: usize = 8_000;
const ENTITY: usize = 512;
const NOTE: usize = 25_000;
const TAG: usize = 50;
const RESPONDERS: usize = 50;

static INFO: Info = Info {
    kind: "opsgenie",
    name: "Opsgenie",
    tile: "Og",
    what: "Opens, acknowledges and closes an alert in Opsgenie or Jira Service Management, which calls whoever is on call.",
    steps: &[
        "In Opsgenie open Teams > your team > Integrations > Add integration, and choose API.",
        "Give it the rights Read and Create and Update, switch it on, and copy its API key.",
        "To acknowledge from Opsgenie, add its webhook as well: Connectors > Opsgenie here has the steps.",
    ],
    fields: &[
        Field {
            key: "api_key",
            label: "API key",
            help: "Of an API integration, not of your own account: 01234567-89ab-cdef-0123-456789abcdef",
            kind: FieldKind::Text,
            secret: true,
            required: true,
            default: "",
        },
        Field {
            key: "region",
            label: "Service region",
            help: "eu when you sign in at app.eu.opsgenie.com, jsm for alerts of Jira Service Management, else us. other is \
                   for another product that takes Opsgenie's alerts.",
            kind: FieldKind::Choice(&["us", "eu", "jsm", "other"]),
            secret: false,
            required: false,
            default: "us",
        },
        Field {
            key: "base",
            label: "Other address",
            help: "Only with the region other; /v2/alerts is added to it: https://alerts.example.com",
            kind: FieldKind::Url,
            secret: false,
            required: false,
            default: "",
        },
        Field {
            key: "responders",
            label: "Responders",
            help: "Who is called, one in a line: team:Payments, user:ada@example.com, escalation:Night or schedule:Payments. \
                   Empty: whoever the integration's team says.",
            kind: FieldKind::Lines,
            secret: false,
            required: false,
            default: "",
        },
        CA,
    ],
    address: None,
    follows: Follows::Keyed,
    rate: (5, Duration::from_secs(1)),
};

/// The channel.
pub struct Opsgenie;

impl Channel for Opsgenie {
    fn info(&self) -> &'static Info {
        &INFO
    }

    fn check(&self, settings: &Settings) -> Vec<Mistake> {
        let mut wrong: Vec<Mistake> = common::check_base(settings).into_iter().collect();
        let mistake = |what: String| Mistake::new("/settings/responders", what);
        for line in lines(settings.get("responders")).filter(|l| responder(l).is_none()) {
            let line = text::cut(line, 60);
            wrong.push(mistake(format!("“{line}” is not team:NAME, user:ADDRESS, escalation:NAME or schedule:NAME.")));
        }
        if lines(settings.get("responders")).count() > RESPONDERS {
            wrong.push(mistake(format!("Opsgenie takes {RESPONDERS} responders at most.")));
        }
        wrong
    }

    fn calls(&self, to: &To, message: &Message) -> Vec<Call> {
        let made = Api { to, alias: alias(message) };
        match &message.about {
            About::Incident(subject) => {
                let known = to.receipt.contains_key("alias");
                let turns = common::turns(message, known).into_iter();
                turns.flat_map(|turn| made.turn(turn, known, message, subject)).collect()
            }
            About::Digest(digest) => {
                let lines = common::digest_lines(digest);
                let description = format!("{}\n\n{}", lines.join("\n"), digest.url);
                vec![made.create(message, &text::headline(message), &description, "Watchfire", Value::Null, &[])]
            }
            // Closed at once, so that nothing stays open there.
            About::Test { .. } => {
                let head = text::headline(message);
                let create = made.create(message, &head, &text::line(&message.reason), "Watchfire", Value::Null, &[]);
                vec![create, made.act("close", "The test is over.")]
            }
        }
    }

    fn judge(&self, _to: &To, message: &Message, call: &Call, answer: &Answered) -> Judged {
        let body = common::sent(call);
        let field = |name: &str| body.and_then(|b| common::at(b, name).as_str()).unwrap_or_default().to_owned();
        let kept = |pairs: &[(&str, String)]| Judged::Done {
            receipt: pairs.iter().map(|(k, v)| ((*k).to_owned(), v.clone())).collect(),
            lasting: Receipt::new(),
        };
        match (answer.status, call.step()) {
            (200..300, "create") => kept(&[
                ("alias", field("alias")),
                ("message", field("message")),
                ("description", mark(&field("description"))),
                ("priority", field("priority")),
            ]),
            (200..300, "message") => kept(&[("message", field("message"))]),
            (200..300, "description") => kept(&[("description", mark(&field("description")))]),
            (200..300, "priority") => kept(&[("priority", field("priority"))]),
            // Over there already, or never opened: there is nothing left to close.
            (404, "close") => Judged::done(),
            (404, step) if step != "create" => Judged::Never {
                why: format!("{}: Opsgenie has no open alert with this alias.", text::status(404)),
                broken: false,
            },
            (422, _) => {
                let said = answer.json();
                let errors: Vec<String> = common::at(&said, "errors")
                    .as_object()
                    .into_iter()
                    .flatten()
                    .map(|(name, what)| format!("{name} {}", what.as_str().unwrap_or("is wrong")))
                    .collect();
                let errors = if errors.is_empty() { super::call::said(&answer.body) } else { errors.join("; ") };
                let why = format!("{}: {}.", text::status(422), text::cut(&text::line(&errors), 200));
                Judged::Never { why, broken: false }
            }
            _ => {
                let advice = "Look at the API key, its rights (Create and Update) and the region.";
                match common::advised(Judged::by_status(answer, message.now), answer, advice) {
                    Judged::Later { after: None, why } if answer.status == 429 => {
                        let period = answer.header("x-ratelimit-period-in-sec");
                        Judged::Later { after: period.and_then(|v| text::retry_after(v, message.now)), why }
                    }
                    other => other,
                }
            }
        }
    }
}

fn alias(message: &Message) -> String {
    match &message.about {
        About::Incident(subject) => format!("watchfire-{}", subject.id),
        About::Digest(_) => format!("watchfire-digest-{}", message.key),
        About::Test { .. } => format!("watchfire-test-{}", message.key),
    }
}

fn priority(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => "P1",
        Severity::High => "P2",
        Severity::Medium => "P3",
        Severity::Low => "P4",
        Severity::Info => "P5",
    }
}

fn lines(value: &str) -> impl Iterator<Item = &str> {
    value.lines().map(str::trim).filter(|l| !l.is_empty())
}

/// `team:NAME` and so on, as the API has it.
fn responder(line: &str) -> Option<Value> {
    let (kind, name) = line.split_once(':')?;
    let (kind, name) = (kind.trim(), name.trim());
    let by = match kind {
        "team" | "escalation" | "schedule" => "name",
        "user" => "username",
        _ => return None,
    };
    (!name.is_empty()).then(|| json!({ "type": kind, by: name }))
}

/// What a long text is told apart by, short enough to be kept.
fn mark(text: &str) -> String {
    use sha2::Digest as _;
    sha2::Sha256::digest(text.as_bytes()).iter().take(8).map(|b| format!("{b:02x}")).collect()
}

/// What the alert says of the incident: changes are told by `PUT`.
fn description(message: &Message, subject: &Subject) -> String {
    let mut parts: Vec<String> = subject.description.iter().map(|d| text::cut(&text::plain(d), 9_000)).collect();
    parts.extend(subject.answer.as_ref().map(|a| format!("Analysis: {}", text::cut(&text::answer(a), 3_000))));
    let mut links = vec![format!("Incident: {}", subject.url)];
    links.extend(subject.runbook_url.as_ref().map(|url| format!("Runbook: {url}")));
    links.extend(subject.source_url.as_ref().map(|url| format!("Where it comes from: {url}")));
    parts.push(links.join("\n"));
    parts.push(text::cut(&text::line(&message.reason), 500));
    text::cut(&parts.join("\n\n"), DESCRIPTION)
}

/// Facts and labels, together within what is taken.
fn details(message: &Message, subject: &Subject) -> Value {
    let facts = text::facts(message, subject).into_iter().map(|(name, value)| (name.to_lowercase(), value));
    let own = [("incident".to_owned(), subject.id.to_string()), ("alerts".to_owned(), subject.alert_count.to_string())];
    let labels = subject.labels.iter().map(|(name, value)| (text::line(name), text::line(value)));
    let mut left = DETAILS;
    let mut details = Map::new();
    for (name, value) in own.into_iter().chain(facts).chain(labels) {
        let value = text::cut(&value, 500);
        let size = name.chars().count() + value.chars().count();
        if size <= left && !details.contains_key(&name) {
            left -= size;
            details.insert(name, json!(value));
        }
    }
    Value::Object(details)
}

/// The calls about one alert.
struct Api<'a> {
    to: &'a To,
    alias: String,
}

impl Api<'_> {
    fn call(&self, step: &'static str, method: Method, path: &str, body: Value) -> Call {
        let url = format!("{}/v2/alerts{path}", common::base(&self.to.settings, REGIONS));
        let key = format!("GenieKey {}", self.to.settings.get("api_key"));
        Call::Http(HttpCall { method, credentials: Credentials::Other(key), ..HttpCall::post(step, url, body) })
    }

    /// Something below the alert.
    fn below(&self, step: &'static str, method: Method, what: &str, body: Value) -> Call {
        let path = format!("/{}/{what}?identifierType=alias", common::segment(&self.alias));
        self.call(step, method, &path, body)
    }

    /// By Watchfire itself, whoever did it here: so what comes back by Opsgenie's webhook is known for our own doing.
    fn act(&self, step: &'static str, note: &str) -> Call {
        let body = json!({ "user": "Watchfire", "source": "Watchfire", "note": text::cut(note, NOTE) });
        self.below(step, Method::Post, step, body)
    }

    fn create(
        &self,
        message: &Message,
        head: &str,
        description: &str,
        entity: &str,
        details: Value,
        tags: &[String],
    ) -> Call {
        let mut body = json!({
            "message": text::cut(&text::line(head), MESSAGE),
            "alias": self.alias,
            "description": text::cut(description, DESCRIPTION),
            "entity": text::cut(entity, ENTITY),
            "source": "Watchfire",
            "user": "Watchfire",
            "priority": priority(message.severity()),
            "tags": std::iter::once("watchfire".to_owned()).chain(tags.iter().cloned()).collect::<Vec<_>>(),
        });
        if let Value::Object(body) = &mut body {
            if !details.is_null() {
                body.insert("details".to_owned(), details);
            }
            let responders: Vec<Value> = lines(self.to.settings.get("responders")).filter_map(responder).collect();
            if !responders.is_empty() {
                body.insert("responders".to_owned(), json!(responders));
            }
        }
        self.call("create", Method::Post, "", body)
    }

    fn turn(&self, turn: Turn, known: bool, message: &Message, subject: &Subject) -> Vec<Call> {
        let happened = text::happened(message);
        match turn {
            Turn::Take => vec![self.act("acknowledge", &happened)],
            Turn::End => {
                let how = subject.resolution.as_deref().map(|r| format!("{happened}. {}", text::plain(r)));
                vec![self.act("close", &how.unwrap_or(happened))]
            }
            Turn::Tell => {
                let description = description(message, subject);
                // One that was closed is not changed any more: it is opened anew.
                if !known || message.events.iter().any(|e| matches!(e, NoticeEvent::Opened | NoticeEvent::Reopened)) {
                    let entity = [&subject.host, &subject.service].into_iter().flatten().map(|s| text::line(s));
                    let entity = entity.into_iter().find(|e| !e.is_empty()).unwrap_or_else(|| "Watchfire".to_owned());
                    let tags: Vec<String> = [&subject.service, &subject.environment]
                        .into_iter()
                        .flatten()
                        .chain([&subject.source_name])
                        .map(|t| text::cut(&text::line(t).replace(',', " "), TAG))
                        .filter(|t| !t.is_empty())
                        .collect();
                    let details = details(message, subject);
                    return vec![self.create(
                        message,
                        &text::line(&subject.title),
                        &description,
                        &entity,
                        details,
                        &tags,
                    )];
                }
                self.changes(message, subject, &description)
            }
        }
    }

    /// What differs from what the alert there says, and a note of what happened.
    fn changes(&self, message: &Message, subject: &Subject, description: &str) -> Vec<Call> {
        let said = |key: &str| self.to.receipt.get(key).map_or("", String::as_str);
        let mut calls = Vec::new();
        let mut put = |step, body| calls.push(self.below(step, Method::Put, step, body));
        let (head, priority) = (text::cut(&text::line(&subject.title), MESSAGE), priority(subject.severity));
        if said("message") != head {
            put("message", json!({ "message": head }));
        }
        if said("description") != mark(description) {
            put("description", json!({ "description": description }));
        }
        if said("priority") != priority {
            put("priority", json!({ "priority": priority }));
        }
        let mut note = text::happened(message);
        if message.events.contains(&NoticeEvent::Analyzed)
            && let Some(answer) = &subject.answer
        {
            note = format!("{note}. {}", text::answer(answer));
        }
        let body = json!({ "user": "Watchfire", "source": "Watchfire", "note": text::cut(&note, NOTE) });
        calls.push(self.below("note", Method::Post, "notes", body));
        calls
    }
}
