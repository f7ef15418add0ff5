//! Datadog's webhooks integration. The body is the operator's template: every field may be missing or a text.

use super::{Connector, Info, Overload, Request, body, fields::Obj, identity, labels, text};
use crate::model::{Parsed, Problem, Severity, Signal, SignalStatus};

pub(super) struct Datadog;

static INFO: Info = Info {
    slug: "datadog",
    name: "Datadog",
    tile: "Dd",
    way: "Webhook @webhook-watchfire",
    success: 202,
    overload: Overload::Unavailable,
    lenient: false,
    builds: false,
    signature: None,
    steps: &[
        "In Datadog, open Integrations, Webhooks, and choose New under Webhooks.",
        "Set Name to watchfire and URL to {url}.",
        "Check Custom Headers and give {\"X-Watchfire-Key\": \"{key}\"}.",
        "Set Payload to: {\"id\":\"$ID\",\"title\":\"$EVENT_TITLE\",\"text\":\"$TEXT_ONLY_MSG\",\"event_type\":\"$EVENT_TYPE\",\
         \"alert_id\":\"$ALERT_ID\",\"alert_cycle_key\":\"$ALERT_CYCLE_KEY\",\"aggreg_key\":\"$AGGREG_KEY\",\
         \"alert_transition\":\"$ALERT_TRANSITION\",\"alert_type\":\"$ALERT_TYPE\",\"alert_status\":\"$ALERT_STATUS\",\
         \"alert_title\":\"$ALERT_TITLE\",\"alert_metric\":\"$ALERT_METRIC\",\"alert_query\":\"$ALERT_QUERY\",\
         \"alert_scope\":\"$ALERT_SCOPE\",\"alert_priority\":\"$ALERT_PRIORITY\",\"hostname\":\"$HOSTNAME\",\"tags\":\"$TAGS\",\
         \"date\":\"$DATE\",\"last_updated\":\"$LAST_UPDATED\",\"link\":\"$LINK\",\"snapshot\":\"$SNAPSHOT\",\
         \"org\":{\"id\":\"$ORG_ID\",\"name\":\"$ORG_NAME\"}}",
        "Add @webhook-watchfire to the message of your monitors, and press Test Notifications there.",
    ],
    fields: &[
        ("Title", "alert_title, else title without its state"),
        ("Description", "text, else body, else alert_status"),
        ("Severity", "alert_priority, else priority (normal is medium), else the transition"),
        ("Service, host, environment", "tags service:, host:, env:, and hostname"),
        ("Identity", "org.id, alert_id and alert_scope; else aggreg_key; else title, host and tags"),
        ("State", "alert_transition, else alert_type, else the title's first word in brackets"),
        ("Link", "link; picture: snapshot"),
        ("Time", "date, last_updated"),
    ],
    sample: include_str!("samples/datadog.json"),
};

impl Connector for Datadog {
    fn info(&self) -> &'static Info {
        &INFO
    }

    fn parse(&self, request: &Request<'_>) -> Result<Parsed, Problem> {
        let body = body::read(request)?;
        let event = body.object(INFO.name)?;
        let Some(title) = event.first(&["title", "alert_title", "event_title"]) else {
            return Err(body::unrecognised(INFO.name, "`title` or `alert_title`", event));
        };
        let mut signal = read(event, &title);
        signal.repaired = body.repaired;
        Ok(Parsed { signals: vec![signal], notes: body.notes, ..Parsed::default() })
    }
}

/// What a monitor's change of state means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Transition {
    status: SignalStatus,
    severity: Severity,
    /// A reminder of a state that has not changed.
    reminder: bool,
}

fn transition(word: &str) -> Option<Transition> {
    let plain: String = word.chars().filter(char::is_ascii_alphabetic).map(|c| c.to_ascii_lowercase()).collect();
    let (status, severity) = match plain.as_str() {
        "triggered" | "retriggered" | "error" | "alert" | "renotify" => (SignalStatus::Firing, Severity::High),
        "warn" | "rewarn" | "warning" | "nodata" | "renodata" => (SignalStatus::Firing, Severity::Medium),
        "recovered" | "resolved" | "success" | "ok" => (SignalStatus::Resolved, Severity::Info),
        "muted" | "null" | "info" => (SignalStatus::Info, Severity::Info),
        _ => return None,
    };
    Some(Transition { status, severity, reminder: plain == "renotify" })
}

fn read(event: Obj<'_>, sent_title: &str) -> Signal {
    let head = Head::of(sent_title);
    let raw = event.get("alert_transition").and_then(serde_json::Value::as_str).map(str::trim);
    // `Null` is a transition of its own; in any other spelling the word means that there is none.
    let word = raw.filter(|w| *w == "Null" || !text::absent(w)).map(str::to_owned);
    let alert_type = event.text("alert_type");
    let of_type = alert_type.as_deref().and_then(transition);
    let moved = word
        .as_deref()
        .and_then(transition)
        .or(of_type.filter(|t| t.status != SignalStatus::Info))
        .or_else(|| head.state.and_then(transition))
        .or(of_type)
        .unwrap_or(Transition { status: SignalStatus::Firing, severity: Severity::Medium, reminder: false });

    let title = event.text("alert_title").map(|t| Head::of(&t).rest.to_owned()).and_then(|t| text::title(&t));
    let title = title.or_else(|| text::title(head.rest)).unwrap_or_else(|| "Datadog alert".to_owned());
    let tags = labels::tags(event.get("tags"));
    let mut scope = labels::tags(event.get("alert_scope"));
    if let Some(group) = head.scope {
        scope.extend(labels::tags(Some(&group.trim_matches(['{', '}']).into())));
    }
    scope.remove("*");
    let hostname = event.text("hostname").and_then(|h| text::host(&h));
    let message = event.first(&["text", "body", "event_msg"]);
    let is_test = sent_title.contains("[TEST]")
        || message.as_deref().is_some_and(|m| m.contains("Test notification triggered by"));
    let mut signal = identify(event, &title, head.scope, hostname.as_deref(), &tags);
    if is_test {
        // The button's alert carries the monitor's own ids; it must not touch the real one.
        signal.dedup_key.push_str(":test");
        signal.identity.fields.push(("test".to_owned(), "true".to_owned()));
        signal.quiet_after_secs = Some(600);
    }
    signal.is_test = is_test;
    signal.status = moved.status;
    let priority = event.first(&["alert_priority", "priority"]).or_else(|| head.priority.map(str::to_owned));
    // A reminder says nothing of its own; the type says what it reminds of.
    let by_state = of_type.filter(|_| moved.reminder).map_or(moved.severity, |t| t.severity.worst(Severity::Medium));
    signal.severity = priority.as_deref().and_then(priority_word).unwrap_or(by_state);
    signal.severity_raw = priority.or_else(|| word.clone()).or(alert_type).and_then(|w| text::name(&w));
    signal.repeat_only = moved.reminder && of_type.is_none_or(|t| t.status != SignalStatus::Firing);
    signal.episode = event.text("alert_cycle_key").filter(|k| k != "0").map(|k| text::label(&k));
    signal.description = message
        .map(|m| plain_message(text::head(&m, MESSAGE)))
        .filter(|m| !m.is_empty())
        .or_else(|| event.text("alert_status"))
        .and_then(|m| text::description(&m));
    signal.labels = tags;
    for (name, value) in &scope {
        labels::add(&mut signal.labels, name, Some(value));
    }
    signal.service = labels::service(&signal.labels);
    signal.host = hostname.or_else(|| labels::host(&signal.labels));
    signal.environment = labels::first(&signal.labels, &["env"]).or_else(|| labels::environment(&signal.labels));
    // `$DATE` is the time of this event, not of the start of the alert.
    let at = event.time("date");
    signal.observed_at = event.time("last_updated").or(at);
    let again = word.as_deref().is_some_and(|w| w.to_ascii_lowercase().starts_with("re-")) || moved.reminder;
    match signal.status {
        SignalStatus::Firing if !again => signal.started_at = at,
        SignalStatus::Resolved => signal.ended_at = at,
        _ => {}
    }
    signal.url = event.url("link").or_else(|| event.url("url"));
    signal.image_url = event.url("snapshot");
    for name in ["alert_status", "alert_query", "alert_metric", "alert_scope", "event_type"] {
        labels::add(&mut signal.annotations, name, event.text(name).as_deref());
    }
    signal
}

fn identify(event: Obj<'_>, title: &str, scope: Option<&str>, host: Option<&str>, tags: &labels::Labels) -> Signal {
    let org = event.object("org").text("id").or_else(|| event.text("org_id"));
    let org = ("org.id", org.as_deref());
    if let Some(monitor) = event.text("alert_id") {
        let scope = event.text("alert_scope").map(|s| sorted(s.split(',')));
        let parts = [org, ("alert_id", Some(monitor.as_str())), ("alert_scope", scope.as_deref())];
        return identity::signal(INFO.slug, "The monitor and the group of it that changed.", &parts, title);
    }
    if let Some(key) = event.text("aggreg_key") {
        let rule = "Datadog's aggregation key, as no `alert_id` was sent.";
        return identity::signal(INFO.slug, rule, &[org, ("aggreg_key", Some(&key))], title);
    }
    let tags: Vec<String> = tags.iter().map(|(name, value)| format!("{name}:{value}")).collect();
    let tags = Some(sorted(tags.iter().map(String::as_str))).filter(|t| !t.is_empty());
    let rule = "The title without its state, with host and tags, as neither `alert_id` nor `aggreg_key` was sent.";
    let parts = [org, ("title", Some(title)), ("group", scope), ("hostname", host), ("tags", tags.as_deref())];
    identity::signal(INFO.slug, rule, &parts, title)
}

fn sorted<'a>(tags: impl Iterator<Item = &'a str>) -> String {
    let mut tags: Vec<&str> = tags.map(str::trim).filter(|t| !t.is_empty()).collect();
    tags.sort_unstable();
    tags.dedup();
    tags.join(",")
}

fn priority_word(word: &str) -> Option<Severity> {
    // Of the event's own priority, `normal` is by far the commonest and says little.
    if word.eq_ignore_ascii_case("normal") { Some(Severity::Medium) } else { text::severity(word) }
}

/// A title taken apart: `[P1] [Triggered on {host:web-1}] CPU is high`.
struct Head<'a> {
    priority: Option<&'a str>,
    state: Option<&'a str>,
    scope: Option<&'a str>,
    rest: &'a str,
}

impl<'a> Head<'a> {
    fn of(title: &'a str) -> Self {
        let mut head = Self { priority: None, state: None, scope: None, rest: title.trim() };
        while let Some((word, rest)) = head.rest.strip_prefix('[').and_then(|t| t.split_once(']')) {
            let (state, scope) = word.split_once(" on ").map_or((word, None), |(state, scope)| (state, Some(scope)));
            if word.len() == 2 && text::severity(word).is_some() {
                head.priority = Some(word);
            } else if transition(state).is_some() && head.state.is_none() {
                head.state = Some(state);
                head.scope = scope;
            } else if word != "TEST" {
                break;
            }
            head.rest = rest.trim();
        }
        head
    }
}

/// As much of a message as is read, in bytes.
const MESSAGE: usize = 32 << 10;

/// A message without Datadog's fences, mentions of webhooks and pictures.
fn plain_message(message: &str) -> String {
    let lines: Vec<String> = message.lines().map(plain_line).collect();
    let kept = lines.iter().zip(message.lines()).filter(|(plain, sent)| !plain.is_empty() || sent.trim().is_empty());
    kept.map(|(plain, _)| plain.as_str()).collect::<Vec<_>>().join("\n").trim().to_owned()
}

fn plain_line(line: &str) -> String {
    let mut line = line.replace("%%%", "");
    // A picture is `![alt](link)`, and often a link itself: `[![alt](link)](link)`.
    while let Some((before, (_, after))) =
        line.split_once("![").and_then(|(before, rest)| Some((before, rest.split_once("](")?)))
    {
        let after = after.split_once(')').map_or("", |(_, after)| after);
        let outer = before.strip_suffix('[').zip(after.strip_prefix("]("));
        line = match outer {
            Some((before, link)) => format!("{before}{}", link.split_once(')').map_or("", |(_, after)| after)),
            None => format!("{before}{after}"),
        };
    }
    line.split(' ').filter(|word| !word.starts_with("@webhook-")).collect::<Vec<_>>().join(" ").trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn titles_are_taken_apart() {
        for (title, priority, state, scope, rest) in [
            ("[Triggered] CPU high", None, Some("Triggered"), None, "CPU high"),
            ("[P1] [Re-Triggered on {host:a}] CPU", Some("P1"), Some("Re-Triggered"), Some("{host:a}"), "CPU"),
            ("[No data on {*}] Heartbeat", None, Some("No data"), Some("{*}"), "Heartbeat"),
            ("[Triggered] [TEST] CPU high", None, Some("Triggered"), None, "CPU high"),
            ("[checkout] CPU high", None, None, None, "[checkout] CPU high"),
            ("CPU high", None, None, None, "CPU high"),
        ] {
            let head = Head::of(title);
            assert_eq!((head.priority, head.state, head.scope, head.rest), (priority, state, scope, rest), "{title}");
        }
    }

    #[test]
    fn transitions() {
        for (word, want) in [
            ("Re-No Data", Some((SignalStatus::Firing, Severity::Medium, false))),
            ("Renotify", Some((SignalStatus::Firing, Severity::High, true))),
            ("Re-Notify", Some((SignalStatus::Firing, Severity::High, true))),
            ("Recovered", Some((SignalStatus::Resolved, Severity::Info, false))),
            ("Null", Some((SignalStatus::Info, Severity::Info, false))),
            ("user_update", None),
        ] {
            assert_eq!(transition(word).map(|t| (t.status, t.severity, t.reminder)), want, "{word}");
        }
    }

    #[test]
    fn messages_lose_their_dressing() {
        let sent = "%%%\nCPU is **high** @webhook-watchfire\n[![Metric Graph](https://x/y.png)](https://x)\n\n%%%";
        assert_eq!(plain_message(sent), "CPU is **high**");
    }
}
