//! Icinga: the webhook channel of Icinga Notifications, and what notification scripts of Icinga 2 send.

use super::{
    Connector, Info, Overload, Request, body,
    fields::Obj,
    identity, labels,
    states::{self, State},
    text,
};
use crate::model::{Parsed, Problem, Severity, Signal, SignalStatus};

pub(super) struct Icinga;

static INFO: Info = Info {
    slug: "icinga",
    name: "Icinga",
    tile: "Ic",
    way: "Channel of type webhook",
    success: 202,
    overload: Overload::Unavailable,
    lenient: false,
    builds: false,
    signature: None,
    steps: &[
        "With Icinga Notifications: in Icinga Web, open Notifications, Configuration, Channels, create a channel of the \
         type Webhook with the method POST and the URL {url}/{key}, and leave its request body as it is.",
        "Give a contact this channel, and add it to an event rule without a condition on severity: the end of an incident \
         comes with the severity ok.",
        "With Icinga 2 alone: in a NotificationCommand for hosts and one for services call `curl -fsS -H 'X-Watchfire-Key: {key}' \
         --data-urlencode \"notification_type=$notification.type$\" --data-urlencode \"host=$host.name$\" \
         --data-urlencode \"service=$service.name$\" --data-urlencode \"state=$service.state$\" --data-urlencode \
         \"output=$service.output$\" {url}` (for hosts without service, and with host.state and host.output).",
        "Let the Notification objects send the types Problem, Recovery, Acknowledgement: without Recovery nothing will \
         ever resolve here.",
    ],
    fields: &[
        ("Title", "object.name, else host and service, and the state"),
        ("Description", "event.message, check_result.output, output"),
        (
            "Severity",
            "emerg, alert, crit: critical; err: high; warning: medium; notice: low; of states DOWN is critical, CRITICAL high, else medium",
        ),
        ("Host", "object.tags.host, host.name, host"),
        ("Service", "a service of Icinga is one check of a host: it is kept as label check"),
        ("Identity", "incident.id, else host and service, else the name of the object"),
        (
            "State",
            "severity ok or state OK or UP resolves; acknowledgements; other types of events are lines in the timeline",
        ),
        ("Link", "incident.url, else object.url, url"),
        ("Time", "event.time, check_result.execution_end, time"),
    ],
    sample: include_str!("samples/icinga.json"),
};

impl Connector for Icinga {
    fn info(&self) -> &'static Info {
        &INFO
    }

    fn parse(&self, request: &Request<'_>) -> Result<Parsed, Problem> {
        let body = body::read(request)?;
        let root = body.object(INFO.name)?;
        let read = if root.object("object").exists() || root.object("incident").exists() {
            channel(root)
        } else if root.object("check_result").exists() {
            check_result(root)
        } else if root.has("severity") && root.has("name") {
            process_event(root)
        } else {
            script(root)
        };
        let Some(mut signal) = read else {
            let looked_for = "`object` and `incident` or `event`, `check_result` with `host`, or `host` with `state`";
            return Err(body::unrecognised(INFO.name, looked_for, root));
        };
        signal.repaired = body.repaired;
        Ok(Parsed { signals: vec![signal], notes: body.notes, ..Parsed::default() })
    }
}

/// The severities of Icinga Notifications, which are those of syslog: there, `alert` is worse than critical.
fn severity(word: &str) -> Option<Severity> {
    Some(match word.trim().to_ascii_lowercase().as_str() {
        "emerg" | "alert" | "crit" => Severity::Critical,
        "err" => Severity::High,
        "warning" => Severity::Medium,
        "notice" => Severity::Low,
        "ok" | "info" | "debug" => Severity::Info,
        other => return text::severity(other),
    })
}

/// What all forms share.
#[derive(Default)]
struct Said {
    host: Option<String>,
    check: Option<String>,
    state: String,
    raw: Option<String>,
    severity: Option<Severity>,
    description: Option<String>,
}

impl Said {
    fn onto(self, mut signal: Signal) -> Signal {
        signal.severity = self.severity.unwrap_or(Severity::Medium);
        signal.severity_raw = self.raw.as_deref().and_then(text::name);
        signal.host = self.host.as_deref().and_then(text::host);
        signal.description = self.description.as_deref().and_then(text::description);
        labels::add(&mut signal.labels, "check", self.check.as_deref());
        labels::add(&mut signal.annotations, "state", Some(self.state.as_str()));
        match signal.status {
            SignalStatus::Firing => signal.started_at = signal.observed_at,
            SignalStatus::Resolved => signal.ended_at = signal.observed_at,
            SignalStatus::Acknowledged | SignalStatus::Info => {}
        }
        signal
    }
}

/// The default body of the webhook channel: the notification request as JSON.
fn channel(root: Obj<'_>) -> Option<Signal> {
    let (object, incident, event) = (root.object("object"), root.object("incident"), root.object("event"));
    let tags = labels::tags(object.get("tags"));
    let name = object.text("name");
    let word = incident.text("severity").or_else(|| event.text("severity"));
    let level = word.as_deref().and_then(severity);
    let over = word.as_deref().is_some_and(|w| w.eq_ignore_ascii_case("ok"));
    let kind = event.text("type").map(|k| k.to_ascii_lowercase());
    let title =
        name.as_deref().and_then(text::title).or_else(|| event.text("message").and_then(|m| text::title(&m)))?;
    let id = incident.text("id");
    let mut signal = if id.is_some() {
        identity::signal(INFO.slug, "The id of the incident at Icinga.", &[("incident.id", id.as_deref())], title)
    } else {
        let rule = "The name of the object, as no incident was named.";
        identity::signal(INFO.slug, rule, &[("object.name", name.as_deref())], title)
    };
    signal.status = match (over, kind.as_deref()) {
        (true, _) => SignalStatus::Resolved,
        (false, Some("acknowledgement-set")) => SignalStatus::Acknowledged,
        (false, Some("state" | "incident-age") | None) if level != Some(Severity::Info) => SignalStatus::Firing,
        (false, _) => SignalStatus::Info,
    };
    signal.observed_at = event.time("time");
    signal.url = incident.url("url").or_else(|| object.url("url"));
    signal.labels = tags;
    let said = Said {
        host: signal.labels.get("host").cloned(),
        check: signal.labels.get("service").cloned(),
        state: word.clone().unwrap_or_default(),
        severity: level,
        raw: word,
        description: event.text("message"),
    };
    // A check is no service of ours.
    signal.labels.remove("service");
    for (name, value) in [("event_type", kind), ("username", event.text("username"))] {
        labels::add(&mut signal.annotations, name, value.as_deref());
    }
    Some(said.onto(signal))
}

/// What goes into Icinga Notifications, when somebody sends it here instead: `POST /process-event`.
fn process_event(root: Obj<'_>) -> Option<Signal> {
    let word = root.text("severity")?;
    let level = severity(&word)?;
    let name = root.text("name")?;
    let title = text::title(&name)?;
    let rule = "The name of the object.";
    let mut signal = identity::signal(INFO.slug, rule, &[("name", Some(name.as_str()))], title);
    let is_state = root.text("type").is_none_or(|t| t.eq_ignore_ascii_case("state"));
    signal.status = match (word.eq_ignore_ascii_case("ok"), level, is_state) {
        (true, ..) => SignalStatus::Resolved,
        (false, Severity::Info, _) | (false, _, false) => SignalStatus::Info,
        (false, _, true) => SignalStatus::Firing,
    };
    signal.labels = labels::tags(root.get("tags"));
    signal.url = root.url("url");
    signal.observed_at = root.time("time");
    let said = Said {
        host: signal.labels.get("host").cloned(),
        check: signal.labels.remove("service"),
        state: word.clone(),
        severity: Some(level),
        raw: Some(word),
        description: root.text("message"),
    };
    Some(said.onto(signal))
}

/// A check's result with its host and service around it, as scripts take it from the API of Icinga 2.
fn check_result(root: Obj<'_>) -> Option<Signal> {
    let result = root.object("check_result");
    let named = |object: &str| {
        let inner = root.object(object).first(&["display_name", "name"]);
        (root.object(object).first(&["name", "display_name"]).or_else(|| root.text(object)), inner)
    };
    let ((host, shown_host), (check, shown_check)) = (named("host"), named("service"));
    let state = result.first(&["state", "exit_status"])?;
    let state = State::read(&state, check.is_some())?;
    let soft = result.text("state_type").is_some_and(|t| t.eq_ignore_ascii_case("soft") || t == "0");
    let status = states::status(root.text("notification_type").as_deref(), Some(state))?;
    let mut signal = of_state(root, host.as_deref(), check.as_deref(), (shown_host, shown_check), state)?;
    // Icinga looks again before it is sure.
    signal.status = if soft && status == SignalStatus::Firing { SignalStatus::Info } else { status };
    signal.observed_at = result.time("execution_end").or_else(|| result.time("execution_start"));
    let said = Said {
        host,
        check,
        state: state.as_str().to_owned(),
        severity: Some(state.severity()),
        raw: Some(state.as_str().to_owned()),
        description: result.text("output"),
    };
    Some(said.onto(signal))
}

/// Fields of a script, as on the connector's page; the same names as for Nagios.
fn script(root: Obj<'_>) -> Option<Signal> {
    let filled = |names: &[&str]| root.first(names).filter(|t| !(t.starts_with('$') && t.ends_with('$')));
    let host = filled(&["host", "hostname", "host_name"]);
    let check = filled(&["service", "servicedesc", "service_name"]);
    let kind = filled(&["notification_type", "notificationtype", "type"]);
    let state = filled(&["state", "service_state", "host_state", "status"]);
    let state = state.as_deref().and_then(|s| State::read(s, check.is_some()))?;
    let mut signal = of_state(root, host.as_deref(), check.as_deref(), (None, None), state)?;
    signal.status = states::status(kind.as_deref(), Some(state))?;
    signal.observed_at = root.time("time");
    labels::add(&mut signal.labels, "address", filled(&["address"]).as_deref());
    let said = Said {
        host,
        check,
        state: state.as_str().to_owned(),
        severity: Some(state.severity()),
        raw: Some(state.as_str().to_owned()),
        description: filled(&["ack_comment", "comment"]).or_else(|| filled(&["output", "long_output"])),
    };
    labels::add(&mut signal.annotations, "author", filled(&["ack_author", "author"]).as_deref());
    Some(said.onto(signal))
}

fn of_state(
    root: Obj<'_>,
    host: Option<&str>,
    check: Option<&str>,
    shown: (Option<String>, Option<String>),
    state: State,
) -> Option<Signal> {
    let (shown_host, shown_check) = (shown.0.or(host.map(str::to_owned))?, shown.1.or(check.map(str::to_owned)));
    let subject = shown_check.map_or_else(|| shown_host.clone(), |check| format!("{shown_host}: {check}"));
    let title = text::title(&format!("{subject} {}", state.as_str()))?;
    let parts = [("host", host), ("service", check)];
    let mut signal = identity::signal(INFO.slug, "Host and service of Icinga.", &parts, title);
    signal.url = root.url("url");
    Some(signal)
}
