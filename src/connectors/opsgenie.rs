//! Opsgenie: its outgoing webhook, which Jira Service Management sends as well.

use super::{Connector, Info, Overload, Request, body, body::problem, fields::Obj, identity, labels, text};
use crate::model::{Note, Parsed, Problem, Reply, ReplyAct, Severity, Signal, SignalStatus};

pub(super) struct Opsgenie;

static INFO: Info = Info {
    slug: "opsgenie",
    name: "Opsgenie",
    tile: "Og",
    way: "Webhook integration",
    success: 202,
    overload: Overload::Unavailable,
    lenient: false,
    builds: false,
    signature: None,
    steps: &[
        "In Opsgenie, open Settings, Integrations, and add the integration Webhook.",
        "Set Webhook URL to {url} and add the custom header X-Watchfire-Key with the value {key}.",
        "Switch on Add Alert Description to Payload and Add Alert Details to Payload.",
        "Leave the actions on: at least alert is created, acknowledged, unacknowledged, closed and deleted.",
    ],
    fields: &[
        ("Title", "alert.message"),
        ("Severity", "alert.priority: P1 is critical, P2 high, P3 medium, P4 low, P5 info"),
        ("Service, environment, host", "alert.details, then tags as name:value; host else alert.entity"),
        (
            "Identity",
            "alert.alertId; those that Watchfire opened there (alias watchfire-…) open nothing here, and who acknowledges or \
             closes one there does so here",
        ),
        (
            "State",
            "action: Create and UnAcknowledge fire, Acknowledge acknowledges, Close and Delete resolve; other actions are \
             repeats or lines in the timeline",
        ),
        ("Time", "alert.createdAt, updatedAt"),
    ],
    sample: include_str!("samples/opsgenie.json"),
};

/// What begins the alias of every alert that Watchfire opens in Opsgenie.
const OWN: &str = "watchfire-";

impl Connector for Opsgenie {
    fn info(&self) -> &'static Info {
        &INFO
    }

    fn parse(&self, request: &Request<'_>) -> Result<Parsed, Problem> {
        let body = body::read(request)?;
        let root = body.object(INFO.name)?;
        let alert = root.object("alert");
        let (Some(action), true) = (root.text("action"), alert.exists()) else {
            return Err(body::unrecognised(INFO.name, "`action` and `alert`", root));
        };
        let Some(id) = alert.text("alertId") else {
            let what = format!("`{}` names no alert.", text::line(&action, 60));
            return Err(problem("unrecognised", what, Some("/alert/alertId".to_owned())));
        };
        let mut parsed = Parsed::default();
        if let Some(alias) = alert.text("alias").filter(|a| a.starts_with(OWN)) {
            parsed.replies.extend(reply(root, alert, &action, &alias));
            let alias = text::line(&alias, 60);
            parsed.notes.push(Note::Ignored(format!("Opsgenie's alert was made from ours ({alias}).")));
        } else {
            let mut signal = read(alert, &id, &action);
            signal.repaired = body.repaired;
            parsed.signals.push(signal);
        }
        parsed.notes.extend(body.notes);
        Ok(parsed)
    }
}

/// What a person did there to one of ours. Watchfire itself acts there under its own name.
fn reply(root: Obj<'_>, alert: Obj<'_>, action: &str, alias: &str) -> Option<Reply> {
    let incident = alias.strip_prefix(OWN)?.parse().ok()?;
    let act = match action {
        "Acknowledge" => ReplyAct::Acknowledge,
        "Close" => ReplyAct::Resolve,
        _ => return None,
    };
    let by = text::line(&alert.first(&["username", "userId"])?, 120);
    let ours = |name: &str| name.eq_ignore_ascii_case("watchfire");
    let by_us = ours(&by) || root.object("source").text("name").is_some_and(|n| ours(&n));
    // A policy that closes by itself is nobody.
    let nobody = by.is_empty() || by.eq_ignore_ascii_case("system");
    (!by_us && !nobody).then(|| Reply { incident, act, by, at: alert.time("updatedAt") })
}

fn read(alert: Obj<'_>, id: &str, action: &str) -> Signal {
    let title = alert.text("message").and_then(|m| text::title(&m));
    let title = title.unwrap_or_else(|| format!("Opsgenie alert {}", text::line(id, 60)));
    let mut signal = identity::signal(INFO.slug, "The id of Opsgenie's alert.", &[("alert id", Some(id))], title);
    let over = alert.text("status").is_some_and(|s| s.eq_ignore_ascii_case("closed"));
    (signal.status, signal.repeat_only) = match action {
        "Create" => (SignalStatus::Firing, false),
        "UnAcknowledge" | "SnoozeEnded" | "Escalate" | "EscalateNext" | "UpdatePriority" | "UpdateMessage"
        | "UpdateDescription"
            if !over =>
        {
            (SignalStatus::Firing, action != "UnAcknowledge")
        }
        "Acknowledge" => (SignalStatus::Acknowledged, false),
        "Close" | "Delete" => (SignalStatus::Resolved, false),
        _ => (SignalStatus::Info, false),
    };
    let priority = alert.text("priority");
    signal.severity = priority.as_deref().map_or(Severity::Medium, severity);
    signal.severity_raw = priority.and_then(|p| text::name(&p));
    signal.description = alert.text("description").and_then(|d| text::description(&d));
    signal.labels = labels::read(alert.get("details"));
    for (name, value) in labels::tags(alert.get("tags")) {
        signal.labels.entry(name).or_insert(value);
    }
    let entity = alert.text("entity");
    signal.service = labels::service(&signal.labels);
    signal.environment = labels::environment(&signal.labels);
    signal.host = labels::host(&signal.labels).or_else(|| entity.as_deref().and_then(text::host));
    for (label, name) in [("entity", "entity"), ("alias", "alias"), ("source", "source"), ("tiny_id", "tinyId")] {
        labels::add(&mut signal.labels, label, alert.text(name).as_deref());
    }
    for name in ["owner", "note", "username"] {
        labels::add(&mut signal.annotations, name, alert.text(name).as_deref());
    }
    signal.started_at = alert.time("createdAt");
    signal.observed_at = alert.time("updatedAt");
    if signal.status == SignalStatus::Resolved {
        signal.ended_at = signal.observed_at;
    }
    signal.path = "/alert".to_owned();
    signal
}

/// `P3`, or only its digit.
fn severity(priority: &str) -> Severity {
    match priority.trim_start_matches(['P', 'p']) {
        "1" => Severity::Critical,
        "2" => Severity::High,
        "4" => Severity::Low,
        "5" => Severity::Info,
        _ => Severity::Medium,
    }
}
