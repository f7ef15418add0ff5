//! The two bodies of the webhook.

use serde_json::{Map, Value, json};

use super::super::{
    common,
    text::{self, cut},
};
use crate::{
    model::Severity,
    notifications::message::{About, AlertLine, Message, Subject},
};

/// No text of a body is longer, in characters: a receiver takes 1 MiB.
const LONG: usize = 8_000;
const SHORT: usize = 1_000;

/// As Netdata Cloud writes it (its documentation of the webhook): every field is there, unknown ones are empty. `legacy`
/// has the names of the older documentation.
pub(super) fn netdata(message: &Message, legacy: bool) -> Value {
    match &message.about {
        About::Test { token, .. } => {
            json!({ "message": summary(message), "title": "Test Notification", "token": token })
        }
        About::Incident(subject) => match reachability(subject) {
            Some(host) => unreachable(message, subject, &host),
            None => alert(message, subject, legacy),
        },
        About::Digest(digest) => {
            let info = cut(&common::digest_lines(digest).join("\n"), LONG);
            let counts = |kinds: &[Severity]| -> u64 {
                digest.severities.iter().filter(|(s, _)| kinds.contains(s)).map(|(_, n)| n).sum()
            };
            fields(
                Fields {
                    message: summary(message),
                    alert: text::digest_headline(digest),
                    info,
                    severity: word(message.severity()),
                    date: message.now.to_string(),
                    critical: counts(&[Severity::Critical, Severity::High]),
                    warning: counts(&[Severity::Medium, Severity::Low, Severity::Info]),
                    url: digest.url.clone(),
                    ..Fields::default()
                },
                legacy,
            )
        }
    }
}

#[derive(Default)]
struct Fields {
    message: String,
    alert: String,
    info: String,
    chart: String,
    context: String,
    space: String,
    rooms: Map<String, Value>,
    family: String,
    class: String,
    severity: &'static str,
    date: String,
    duration: String,
    critical: u64,
    warning: u64,
    url: String,
}

fn fields(f: Fields, legacy: bool) -> Value {
    let (alert, url, rooms) = if legacy { ("alarm", "alarm_url", "rooms") } else { ("alert", "alert_url", "Rooms") };
    json!({
        "message": f.message,
        alert: f.alert,
        "info": f.info,
        "chart": f.chart,
        "context": f.context,
        "space": f.space,
        rooms: f.rooms,
        "family": f.family,
        "class": f.class,
        "severity": f.severity,
        "date": f.date,
        "duration": f.duration,
        "additional_active_critical_alerts": f.critical,
        "additional_active_warning_alerts": f.warning,
        url: f.url,
    })
}

fn alert(message: &Message, subject: &Subject, legacy: bool) -> Value {
    let first = subject.alerts.first();
    let label = |name: &str| {
        let value = first.and_then(|a| a.labels.get(name)).or_else(|| subject.labels.get(name));
        cut(&value.map_or(String::new(), |v| text::line(v)), SHORT)
    };
    let named = ["alert", "alarm", "alertname"].into_iter().map(&label).find(|name| !name.is_empty());
    // The names are joined by a comma in one label; where each room is found is not known here.
    let rooms = label("rooms").split(", ").filter(|r| !r.is_empty()).map(|r| (r.to_owned(), json!(""))).collect();
    let ended = subject.resolved_at.filter(|_| message.is_over());
    fields(
        Fields {
            message: summary(message),
            alert: named.unwrap_or_else(|| cut(&text::line(&subject.title), SHORT)),
            info: cut(&text::plain(subject.description.as_deref().unwrap_or_default()), LONG),
            chart: label("chart"),
            context: label("context"),
            space: label("space"),
            rooms,
            family: label("family"),
            class: label("class"),
            severity: if message.is_over() { "clear" } else { word(subject.severity) },
            date: ended.unwrap_or(subject.started_at).to_string(),
            duration: words(ended.unwrap_or(message.now).since(subject.started_at).as_secs()),
            critical: subject.other_critical,
            warning: subject.other_warning,
            url: subject.url.clone(),
        },
        legacy,
    )
}

/// The machine, where the incident is that it cannot be reached.
fn reachability(subject: &Subject) -> Option<String> {
    let alert = subject.alerts.first().filter(|a| a.labels.get("alert").is_some_and(|l| l == "reachability"))?;
    alert.host.clone().or_else(|| subject.host.clone())
}

fn unreachable(message: &Message, subject: &Subject, host: &str) -> Value {
    let reachable = message.is_over();
    json!({
        "message": summary(message),
        "url": subject.url,
        "host": cut(&text::line(host), SHORT),
        "severity": if reachable { "info" } else { "critical" },
        "status": { "reachable": reachable, "text": if reachable { "reachable" } else { "unreachable" } },
    })
}

fn word(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical | Severity::High => "critical",
        Severity::Medium | Severity::Low | Severity::Info => "warning",
    }
}

/// One line: `Critical: Disk full on db-1 (INC-42, opened)`.
fn summary(message: &Message) -> String {
    let head = cut(&text::headline(message), SHORT);
    match message.subject() {
        Some(subject) => format!("{head} ({}, {})", subject.id, low(&text::happened(message))),
        None => head,
    }
}

fn low(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|c| c.to_lowercase().chain(chars).collect()).unwrap_or_default()
}

/// As Netdata writes durations: `4 minutes`, `1 hour and 21 minutes`.
fn words(secs: u64) -> String {
    let unit = |n: u64, name: &str| if n == 1 { format!("1 {name}") } else { format!("{n} {name}s") };
    let pair = |big: u64, of: &str, small: u64, than: &str| match small {
        0 => unit(big, of),
        small => format!("{} and {}", unit(big, of), unit(small, than)),
    };
    match secs {
        0..60 => unit(secs, "second"),
        60..3_600 => unit(secs / 60, "minute"),
        3_600..86_400 => pair(secs / 3_600, "hour", secs % 3_600 / 60, "minute"),
        _ => pair(secs / 86_400, "day", secs % 86_400 / 3_600, "hour"),
    }
}

/// All that is known, under Watchfire's own names.
pub(super) fn watchfire(message: &Message) -> Value {
    let mut body = json!({ "version": 1, "event": message.event(), "test": false, "sent_at": message.now });
    let Value::Object(fields) = &mut body else { return body };
    fields.insert("message".to_owned(), json!(summary(message)));
    fields.insert("reason".to_owned(), json!(cut(&text::line(&message.reason), SHORT)));
    fields.insert("alerts".to_owned(), json!([]));
    match &message.about {
        About::Incident(subject) => {
            fields.insert("incident".to_owned(), incident(subject));
            fields.insert("alerts".to_owned(), subject.alerts.iter().map(line).collect());
        }
        About::Digest(digest) => {
            let first: Vec<Value> = digest
                .first
                .iter()
                .map(|l| {
                    json!({
                        "id": l.id.to_string(), "number": l.id.0, "title": cut(&text::line(&l.title), SHORT),
                        "status": l.status, "severity": l.severity, "url": l.url,
                    })
                })
                .collect();
            let severities: Map<String, Value> =
                digest.severities.iter().map(|(s, n)| (s.to_string(), json!(n))).collect();
            fields.insert("incident".to_owned(), Value::Null);
            let digest =
                json!({ "incidents": digest.incidents, "severities": severities, "first": first, "url": digest.url });
            fields.insert("digest".to_owned(), digest);
        }
        About::Test { token, .. } => {
            fields.insert("incident".to_owned(), Value::Null);
            fields.insert("test".to_owned(), json!(true));
            fields.insert("title".to_owned(), json!("Test Notification"));
            fields.insert("token".to_owned(), json!(token));
        }
    }
    body
}

fn incident(subject: &Subject) -> Value {
    let clean = |value: &Option<String>| value.as_deref().map(|v| cut(&text::line(v), SHORT));
    let long = |value: &Option<String>| value.as_deref().map(|v| cut(&text::plain(v), LONG));
    // What explains, as its labels are what identifies.
    let mut annotations = Map::new();
    let answer = subject.answer.as_ref();
    for (name, value) in [
        ("resolution", long(&subject.resolution)),
        ("runbook_url", clean(&subject.runbook_url)),
        ("source_url", clean(&subject.source_url)),
        ("analysis", answer.map(|a| cut(&text::answer(a), LONG))),
        ("likely_cause", answer.and_then(|a| a.leading.as_ref()).map(|(cause, _)| cut(&text::line(cause), SHORT))),
    ] {
        if let Some(value) = value {
            annotations.insert(name.to_owned(), json!(value));
        }
    }
    json!({
        "id": subject.id.to_string(),
        "number": subject.id.0,
        "title": cut(&text::line(&subject.title), SHORT),
        "description": long(&subject.description),
        "status": subject.status,
        "severity": subject.severity,
        "service": clean(&subject.service),
        "services": subject.services.iter().take(20).map(|s| cut(&text::line(s), SHORT)).collect::<Vec<_>>(),
        "host": clean(&subject.host),
        "environment": clean(&subject.environment),
        "owner": clean(&subject.owner),
        "started_at": subject.started_at,
        "acknowledged_at": subject.acknowledged_at,
        "resolved_at": subject.resolved_at,
        "url": subject.url,
        "source": subject.source,
        "labels": labels(&subject.labels),
        "annotations": annotations,
        "alert_count": subject.alert_count,
        "firing_count": subject.firing_count,
    })
}

fn line(alert: &AlertLine) -> Value {
    let clean = |value: &Option<String>| value.as_deref().map(|v| cut(&text::line(v), SHORT));
    json!({
        "id": alert.id,
        "title": cut(&text::line(&alert.title), SHORT),
        "description": alert.description.as_deref().map(|d| cut(&text::plain(d), SHORT)),
        "service": clean(&alert.service),
        "host": clean(&alert.host),
        "severity": alert.severity,
        "status": alert.status,
        "started_at": alert.started_at,
        "ended_at": alert.ended_at,
        "labels": labels(&alert.labels),
        "source_url": alert.source_url,
    })
}

/// Labels, the first hundred of them.
fn labels(labels: &std::collections::BTreeMap<String, String>) -> Value {
    let pair = |(name, value): (&String, &String)| (text::line(name), json!(cut(&text::line(value), SHORT)));
    Value::Object(labels.iter().take(100).map(pair).collect())
}

#[cfg(test)]
mod tests {
    use super::words;

    #[test]
    fn durations_are_words() {
        for (secs, want) in [
            (0, "0 seconds"),
            (61, "1 minute"),
            (240, "4 minutes"),
            (3_600, "1 hour"),
            (4_860, "1 hour and 21 minutes"),
            (90_000, "1 day and 1 hour"),
        ] {
            assert_eq!(words(secs), want);
        }
    }
}
