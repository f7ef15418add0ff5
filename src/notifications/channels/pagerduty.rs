//! PagerDuty, Events API v2: an alert there is kept under a key of ours, and follows its incident.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::{
    Answered, CA, Call, Channel, Field, FieldKind, Follows, HttpCall, Info, Judged, Receipt, Settings, To,
    common::{self, Turn},
    text,
};
use crate::{
    model::{Mistake, Severity, Time},
    notifications::message::{About, Message, Subject},
};

/// What an event may take: 512 KB (<https://developer.pagerduty.com/docs/send-alert-event>), by the smaller reading.
const MOST_BYTES: usize = 512_000;
/// The vendor's pause after 429, when it names none.
const PAUSE: Duration = Duration::from_secs(30);
const REGIONS: &[(&str, &str)] = &[("us", "https://events.pagerduty.com"), ("eu", "https://events.eu.pagerduty.com")];

static INFO: Info = Info {
    kind: "pagerduty",
    name: "PagerDuty",
    tile: "Pd",
    what: "Opens, acknowledges and resolves an alert in PagerDuty, which pages whoever is on call there.",
    steps: &[
        "In PagerDuty open the service > Integrations > Add an integration, and choose Events API V2.",
        "Open the new integration and copy its Integration Key.",
        "To acknowledge from PagerDuty, add its webhook as well: Connectors > PagerDuty here has the steps.",
    ],
    fields: &[
        Field {
            key: "routing_key",
            label: "Integration key",
            help: "32 letters and digits, as the integration's page in PagerDuty shows it: \
                   0123456789abcdef0123456789abcdef",
            kind: FieldKind::Text,
            secret: true,
            required: true,
            default: "",
        },
        Field {
            key: "region",
            label: "Service region",
            help: "eu when your PagerDuty's address has .eu. in it (acme.eu.pagerduty.com), else us. other is for another \
                   product that takes PagerDuty's events.",
            kind: FieldKind::Choice(&["us", "eu", "other"]),
            secret: false,
            required: false,
            default: "us",
        },
        Field {
            key: "base",
            label: "Other address",
            help: "Only with the region other; /v2/enqueue is added to it: https://alerts.example.com",
            kind: FieldKind::Url,
            secret: false,
            required: false,
            default: "",
        },
        CA,
    ],
    address: None,
    follows: Follows::Keyed,
    rate: (120, Duration::from_secs(60)),
};

/// The channel.
pub struct PagerDuty;

impl Channel for PagerDuty {
    fn info(&self) -> &'static Info {
        &INFO
    }

    fn check(&self, settings: &Settings) -> Vec<Mistake> {
        let key = settings.get("routing_key");
        let right = key.len() == 32 && key.bytes().all(|b| b.is_ascii_alphanumeric());
        let wrong = (!right && !key.is_empty() && settings.get("region") != "other").then(|| {
            Mistake::new(
                "/settings/routing_key",
                "An integration key has 32 letters and digits. It is on the integration's page, not among API keys.",
            )
        });
        wrong.into_iter().chain(common::check_base(settings)).collect()
    }

    fn calls(&self, to: &To, message: &Message) -> Vec<Call> {
        let call = |step, mut event: Value| {
            if let Value::Object(event) = &mut event {
                event.insert("routing_key".to_owned(), json!(to.settings.get("routing_key")));
            }
            let url = format!("{}/v2/enqueue", common::base(&to.settings, REGIONS));
            Call::Http(HttpCall::post(step, url, bounded(event)))
        };
        let key = key(message);
        let end = |step, action: &str| call(step, json!({ "event_action": action, "dedup_key": key }));
        match &message.about {
            About::Incident(subject) => common::turns(message, to.receipt.contains_key("dedup_key"))
                .into_iter()
                .map(|turn| match turn {
                    Turn::Tell => call("trigger", incident(message, subject, &key)),
                    Turn::Take => end("acknowledge", "acknowledge"),
                    Turn::End => end("resolve", "resolve"),
                })
                .collect(),
            About::Digest(digest) => {
                let lines = common::digest_lines(digest);
                let details = json!({ "incidents": lines, "why": common::foreign_line(&message.reason, 500) });
                let payload = payload(message, "watchfire", message.now, details);
                vec![call("trigger", trigger(&key, payload, &digest.url, &[("All of them", &digest.url)]))]
            }
            // Ended at once, so that nothing stays open there.
            About::Test { .. } => {
                let url = &message.base_url;
                let payload = payload(message, "watchfire", message.now, json!({}));
                vec![call("trigger", trigger(&key, payload, url, &[])), end("resolve", "resolve")]
            }
        }
    }

    fn judge(&self, _to: &To, message: &Message, call: &Call, answer: &Answered) -> Judged {
        match answer.status {
            200..300 if call.step() == "trigger" => {
                let kept = common::at(&answer.json(), "dedup_key").as_str().map_or_else(|| key(message), str::to_owned);
                Judged::Done { receipt: Receipt::from([("dedup_key".to_owned(), kept)]), lasting: Receipt::new() }
            }
            400 => {
                let said = answer.json();
                let errors: Vec<&str> =
                    common::at(&said, "errors").as_array().into_iter().flatten().filter_map(Value::as_str).collect();
                let errors = if errors.is_empty() { super::call::said(&answer.body) } else { errors.join("; ") };
                let errors = text::cut(&text::line(&errors), 200);
                let broken = errors.to_lowercase().replace(['_', '\''], " ").contains("routing key");
                let advice = if broken { ". Copy the integration key from PagerDuty again" } else { "" };
                Judged::Never { why: format!("{}: {errors}{advice}.", text::status(400)), broken }
            }
            _ => {
                let judged = Judged::by_status(answer, message.now);
                let advice = "Look at the integration key and the region.";
                match common::advised(judged, answer, advice) {
                    Judged::Later { after: None, why } if answer.status == 429 => {
                        Judged::Later { after: Some(PAUSE), why }
                    }
                    other => other,
                }
            }
        }
    }
}

/// The key of the alert there. What begins with `watchfire:` is known again when PagerDuty's own webhooks tell of it.
fn key(message: &Message) -> String {
    match &message.about {
        About::Incident(subject) => format!("watchfire:{}", subject.id),
        About::Digest(_) => format!("watchfire:digest:{}", message.key),
        About::Test { .. } => format!("watchfire:test:{}", message.key),
    }
}

fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => "critical",
        Severity::High => "error",
        Severity::Medium | Severity::Low => "warning",
        Severity::Info => "info",
    }
}

fn payload(message: &Message, source: &str, at: Time, details: Value) -> Value {
    json!({
        "summary": text::cut(&text::line(&text::headline(message)), 1024),
        "source": text::cut(&text::line(source), 255),
        "severity": severity(message.severity()),
        "timestamp": at.to_string(),
        "custom_details": details,
    })
}

fn trigger(key: &str, payload: Value, url: &str, links: &[(&str, &str)]) -> Value {
    let links: Vec<Value> = links.iter().map(|(text, href)| json!({ "href": href, "text": text })).collect();
    json!({
        "event_action": "trigger", "dedup_key": key, "client": "Watchfire", "client_url": url, "payload": payload,
        "links": links,
    })
}

fn incident(message: &Message, subject: &Subject, key: &str) -> Value {
    let mut details = Map::new();
    let mut detail = |name: &str, value: Option<String>| {
        if let Some(value) = value.filter(|v| !v.is_empty()) {
            details.insert(name.to_owned(), json!(text::cut(&value, 20_000)));
        }
    };
    detail("incident", Some(subject.id.to_string()));
    detail("what happened", Some(text::happened(message)));
    detail("description", subject.description.as_deref().map(|d| text::plain(d).into_owned()));
    detail("analysis", subject.answer.as_ref().map(text::answer));
    for (name, value) in text::facts(message, subject) {
        detail(&name.to_lowercase(), Some(value));
    }
    detail("alerts", Some(subject.alert_count.to_string()));
    detail("firing", Some(subject.firing_count.to_string()));
    for (name, value) in &subject.labels {
        detail(&format!("label {}", text::line(name)), Some(text::line(value)));
    }
    detail("why", Some(text::line(&message.reason)));
    detail("note", text::remarks(message));
    let source = [&subject.host, &subject.service].into_iter().flatten().map(|s| text::line(s)).find(|s| !s.is_empty());
    let source = source.unwrap_or_else(|| "watchfire".to_owned());
    // A headline that says critical, high or the like, as PagerDuty shows it in calls and on phones.
    let mut payload = payload(message, &source, subject.started_at, Value::Object(details));
    let class = subject.alerts.first().and_then(|a| a.labels.get("class"));
    let extra = [("component", &subject.service), ("group", &subject.environment), ("class", &class.cloned())];
    if let Value::Object(payload) = &mut payload {
        for (name, value) in extra {
            if let Some(value) = value.as_deref().map(text::line).filter(|v| !v.is_empty()) {
                payload.insert(name.to_owned(), json!(text::cut(&value, 255)));
            }
        }
    }
    let mut links = vec![("Incident in Watchfire", subject.url.as_str())];
    links.extend(message.ack_url.as_deref().map(|url| ("Acknowledge in Watchfire", url)));
    links.extend(subject.runbook_url.as_deref().map(|url| ("Runbook", url)));
    links.extend(subject.source_url.as_deref().map(|url| ("Where it comes from", url)));
    trigger(key, payload, &subject.url, &links)
}

/// Within what is taken: details go first.
fn bounded(mut event: Value) -> Value {
    if event.to_string().len() > MOST_BYTES
        && let Some(Value::Object(payload)) = event.get_mut("payload")
    {
        payload.remove("custom_details");
    }
    event
}

#[cfg(test)]
mod tests {
    use super::{
        super::{samples, tests},
        *,
    };

    #[test]
    fn the_alert_there_follows_the_incident() {
        tests::follow(
            &PagerDuty,
            &[
                ("opened", &[("trigger", 202, r#"{"status":"success","dedup_key":"watchfire:INC-42"}"#)]),
                ("severity-up", &[("trigger", 202, "{}")]),
                ("acknowledged", &[("acknowledge", 202, "{}")]),
                ("resolved", &[("resolve", 202, "{}")]),
                // It was told there: its end is, although it began and ended meanwhile.
                ("opened-and-resolved", &[("resolve", 202, "{}")]),
            ],
            &[("dedup_key", "watchfire:INC-42")],
        );
        tests::follow(&PagerDuty, &[("opened-and-resolved", &[])], &[]);
        tests::follow(&PagerDuty, &[("test", &[("trigger", 202, "{}"), ("resolve", 202, "{}")])], &[]);
    }

    #[test]
    fn answers_are_judged() {
        tests::judged(
            &PagerDuty,
            "opened",
            &[
                (202, "", r#"{"status":"success"}"#, "done"),
                (200, "", "", "done"),
                (400, "", r#"{"errors":["'payload.severity' is invalid"]}"#, "never: 'payload.severity' is invalid"),
                (400, "", r#"{"errors":["Invalid routing key"]}"#, "broken: Copy the integration key"),
                (400, "", "nonsense", "never: nonsense"),
                (401, "", "", "broken: region"),
                (413, "", "", "never: too large"),
                (429, "", "", "later 30"),
                (429, "retry-after: 7", "", "later 7"),
                (302, "location: https://x", "", "broken: another one"),
                (500, "", "", "later"),
                (503, "", "", "later"),
            ],
        );
    }

    #[test]
    fn details_go_first_where_an_event_is_too_large() {
        let mut subject = samples::subject();
        let size = |subject: &Subject| {
            let message = samples::message(crate::model::NoticeEvent::Opened, subject.clone());
            let calls = PagerDuty.calls(&tests::to(&PagerDuty, 0), &message);
            let event = common::sent(&calls[0]).unwrap().clone();
            (event["payload"].get("custom_details").is_some(), event.to_string().len())
        };
        assert!(size(&subject).0);
        subject.labels = (0..60).map(|n| (format!("l{n}"), "ü".repeat(20_000))).collect();
        let (details, bytes) = size(&subject);
        assert!(!details && bytes < 10_000, "{bytes}");
    }

    #[test]
    fn summaries_and_sources_have_their_limits() {
        let (_, long) = samples::all().into_iter().find(|(name, _)| *name == "long").unwrap();
        let calls = PagerDuty.calls(&tests::to(&PagerDuty, 0), &long);
        let event = common::sent(&calls[0]).unwrap();
        assert_eq!(event["payload"]["summary"].as_str().unwrap().chars().count(), 1024);
        assert!(event["payload"]["source"].as_str().unwrap().chars().count() <= 255);
        assert!(event.to_string().len() <= MOST_BYTES);
    }

    #[test]
    fn keys_and_regions_are_checked() {
        for (n, key, region, base, wrong) in [
            (0, "0123456789abcdef0123456789abcdef", "us", "", &[][..]),
            (1, "short", "eu", "", &["/settings/routing_key"]),
            (2, "short", "other", "https://alerts.example.com/", &[]),
            (3, "short", "other", "", &["/settings/base"]),
        ] {
            let pairs = [("routing_key", key), ("region", region), ("base", base)];
            let settings = Settings(pairs.into_iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect());
            let paths: Vec<String> = PagerDuty.check(&settings).into_iter().map(|m| m.path).collect();
            assert_eq!(paths, wrong, "{n}");
        }
    }
}
