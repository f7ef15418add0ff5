//! New Relic: workflows (a template with a fixed default) and the older alert channels.

use serde_json::Value;

use super::{Connector, Info, Overload, Request, body, fields::Obj, identity, labels, text};
use crate::model::{Change, ChangeKind, Parsed, Problem, Severity, Signal, SignalStatus};

pub(super) struct NewRelic;

static INFO: Info = Info {
    slug: "newrelic",
    name: "New Relic",
    tile: "Nr",
    way: "Workflow, webhook",
    success: 202,
    overload: Overload::NeverRefuse,
    lenient: false,
    builds: false,
    signature: None,
    steps: &[
        "In New Relic, open Alerts, Destinations, and choose Add a destination, Webhook.",
        "Set Endpoint URL to {url}, and under Authorization choose Bearer token with the token {key}.",
        "Open Alerts, Workflows, Add a workflow; filter the issues, choose Webhook under Notify, and that destination.",
        "Leave the default Template, or add to it inside the braces: `\"acknowledgedAt\": {{ json acknowledgedAt }}, \
         \"closedAt\": {{ json closedAt }}, \"entityNames\": {{ json entitiesData.names }}, \"entityTypes\": \
         {{ json entitiesData.types }}, \"runbookUrl\": {{ json accumulations.runbookUrl }}, \"chart\": \
         {{ json violationChartUrl }}`.",
        "Under Notify when, leave Activated, Acknowledged and Closed on, or nothing will ever resolve. Press Send test \
         notification, then Activate workflow.",
    ],
    fields: &[
        ("Title", "title, else condition_name; a list of impacted entities is kept"),
        ("Severity", "priority, else severity"),
        ("Service, host", "impactedEntities by entityTypes, else the first as service; targets[] of channels"),
        ("Environment", "a label of targets[]"),
        ("Identity", "id of the issue in its account; incident_id of channels"),
        ("State", "state or current_state; trigger says only why it was sent"),
        ("Link", "issueUrl or incident_url; runbookUrl or runbook_url; chart"),
        ("Time", "createdAt, updatedAt, closedAt, timestamp"),
    ],
    sample: include_str!("samples/newrelic.json"),
};

impl Connector for NewRelic {
    fn info(&self) -> &'static Info {
        &INFO
    }

    fn parse(&self, request: &Request<'_>) -> Result<Parsed, Problem> {
        let body = body::read(request)?;
        let root = body.object(INFO.name)?;
        // The oldest channels post a form with one field that holds the document.
        let inner = ["alert", "deployment"].into_iter().find_map(|name| Some((name, document(root, name)?)));
        let mut parsed = Parsed::default();
        match &inner {
            Some(("deployment", value)) => parsed.changes.push(deployment(Obj::of(Some(value)))),
            Some((_, value)) => parsed.signals.extend(channel(Obj::of(Some(value)))),
            None if root.has("current_state") || root.has("incident_id") || root.has("condition_id") => {
                parsed.signals.extend(channel(root));
            }
            None => parsed.signals.extend(issue(root)),
        }
        if parsed.signals.is_empty() && parsed.changes.is_empty() {
            let looked_for = "`id` and `state` (workflow), or `incident_id` and `current_state` (alert channel)";
            return Err(body::unrecognised(INFO.name, looked_for, root));
        }
        parsed.signals.iter_mut().for_each(|signal| signal.repaired = body.repaired);
        parsed.notes = body.notes;
        Ok(parsed)
    }
}

fn document(root: Obj<'_>, name: &str) -> Option<Value> {
    match root.get(name)? {
        object @ Value::Object(_) => Some(object.clone()),
        Value::String(text) => serde_json::from_str(text).ok().filter(Value::is_object),
        _ => None,
    }
}

/// What a workflow says of an issue.
fn issue(root: Obj<'_>) -> Option<Signal> {
    let id = root.first(&["id", "issueId"]);
    let sent = first_of(root, &["title", "annotations.title"]);
    let url = root.url("issueUrl").or_else(|| root.url("issuePageUrl"));
    let title = sent.as_deref().and_then(text::title);
    if title.is_none() && (id.is_none() || !(root.has("state") || root.has("priority"))) {
        return None;
    }
    let title = title.unwrap_or_else(|| "New Relic issue".to_owned());
    let account = url.as_deref().and_then(account);
    let mut signal = if id.is_some() {
        let parts = [("account", account.as_deref()), ("id", id.as_deref())];
        identity::signal(INFO.slug, "The id of the issue in its account.", &parts, title)
    } else {
        let parts = [("account", account.as_deref()), ("title", sent.as_deref())];
        identity::signal(INFO.slug, "The title in its account, as no `id` was sent.", &parts, title)
    };
    let state = root.text("state");
    let closed = root.time("closedAt");
    signal.status = match state.as_deref().map(str::to_ascii_uppercase).as_deref() {
        Some("CLOSED" | "RESOLVED" | "DEACTIVATED") => SignalStatus::Resolved,
        Some("ACKNOWLEDGED") => SignalStatus::Acknowledged,
        None if closed.is_some() => SignalStatus::Resolved,
        _ => SignalStatus::Firing,
    };
    let word = root.first(&["priority", "severity"]);
    signal.severity = word.as_deref().and_then(text::severity).unwrap_or(Severity::Medium);
    signal.severity_raw = word.and_then(|w| text::name(&w));
    signal.started_at = root.time("createdAt").or_else(|| root.time("activatedAt"));
    signal.observed_at = root.time("updatedAt");
    if signal.status == SignalStatus::Resolved {
        signal.ended_at = closed.or(signal.observed_at);
    }
    (signal.service, signal.host) = entities(root);
    signal.description =
        first_of(root, &["description", "annotations.description", "details"]).and_then(|d| text::description(&d));
    signal.url = url;
    signal.image_url = root.url("chart").or_else(|| root.url("violationChartUrl"));
    signal.runbook_url = link_of(root, "runbookUrl").or_else(|| link_of(root, "runbook_url"));
    for (label, name) in [
        ("policy", "alertPolicyNames"),
        ("condition", "alertConditionNames"),
        ("entity", "impactedEntities"),
        ("source", "sources"),
        ("workflow", "workflowName"),
        ("owner", "owner"),
    ] {
        labels::add(&mut signal.labels, label, words(root, name).as_deref());
    }
    for (note, name) in [("state", "state"), ("trigger", "trigger"), ("incidents", "totalIncidents")] {
        labels::add(&mut signal.annotations, note, root.text(name).as_deref());
    }
    // The workflow's test button fills in this title.
    signal.is_test = sent.as_deref().is_some_and(|t| t.trim().to_ascii_lowercase().starts_with("test notification"));
    Some(signal)
}

/// `https://radar-api.service.newrelic.com/accounts/12345/issues/…`
fn account(url: &str) -> Option<String> {
    let (_, rest) = url.split_once("/accounts/")?;
    rest.split(['/', '?']).next().and_then(text::name)
}

fn first_of(root: Obj<'_>, names: &[&str]) -> Option<String> {
    names.iter().find_map(|name| words(root, name))
}

/// A scalar, or a list of them with commas between. Lists of New Relic hold what was accumulated over the issue.
fn words(root: Obj<'_>, name: &str) -> Option<String> {
    let list: Vec<String> = match root.get(name)? {
        Value::Array(list) => list.iter().filter_map(text::scalar).collect(),
        one => text::scalar(one).into_iter().collect(),
    };
    (!list.is_empty()).then(|| list.join(","))
}

fn link_of(root: Obj<'_>, name: &str) -> Option<String> {
    root.list(name).iter().filter_map(text::scalar).find_map(|u| text::url(&u)).or_else(|| root.url(name))
}

/// Service and host among the impacted entities.
fn entities(root: Obj<'_>) -> (Option<String>, Option<String>) {
    let lists = [("entityNames", "entityTypes"), ("impactedEntities", "entityTypes")];
    let Some((names, types)) = lists.iter().find(|(names, _)| !root.list(names).is_empty()) else {
        return (None, None);
    };
    let types = root.list(types);
    let (mut service, mut host) = (None, None);
    for (n, name) in root.list(names).iter().enumerate() {
        let Some(name) = text::scalar(name) else { continue };
        match types.get(n).and_then(text::scalar).as_deref().map(str::to_ascii_uppercase).as_deref() {
            Some("HOST" | "INFRASTRUCTURE_HOST") => host = host.or_else(|| text::host(&name)),
            // Without a type it is what New Relic watches most: an application.
            Some("APPLICATION" | "SERVICE" | "MONITOR") | None => service = service.or_else(|| text::name(&name)),
            Some(_) => {}
        }
    }
    (service, host)
}

/// What an alert channel says of an incident.
fn channel(root: Obj<'_>) -> Option<Signal> {
    let title = root.first(&["condition_name", "message", "short_description", "details", "policy_name"]);
    let id = root.text("incident_id");
    let state = root.text("current_state").map(|s| s.to_ascii_lowercase());
    let title =
        title.as_deref().and_then(text::title).or_else(|| Some(format!("New Relic incident {}", id.clone()?)))?;
    let account = root.first(&["account_id", "account_name"]);
    let is_test = state.as_deref() == Some("test") || id.as_deref() == Some("0");
    let mut signal = if let Some(id) = id.as_deref().filter(|_| !is_test) {
        let parts = [("account_id", account.as_deref()), ("incident_id", Some(id))];
        identity::signal(INFO.slug, "The id of the incident in its account.", &parts, title)
    } else {
        let condition = root.first(&["condition_id", "condition_name", "application_name"]);
        let test = is_test.then_some("test");
        let parts = [("account_id", account.as_deref()), ("condition", condition.as_deref()), ("incident_id", test)];
        let parts = if test.is_some() { &parts[..] } else { parts.get(..2).unwrap_or(&parts) };
        identity::signal(INFO.slug, "The condition in its account, as no `incident_id` was sent.", parts, title)
    };
    signal.is_test = is_test;
    let event = root.text("event_type").map(|e| e.to_ascii_uppercase());
    signal.status = match (state.as_deref(), event.as_deref()) {
        (Some("closed" | "resolved"), _) | (None, Some("INCIDENT_RESOLVED")) => SignalStatus::Resolved,
        (Some("acknowledged"), _) | (None, Some("INCIDENT_ACKNOWLEDGED")) => SignalStatus::Acknowledged,
        _ => SignalStatus::Firing,
    };
    let word = root.text("severity");
    signal.severity = word.as_deref().and_then(text::severity).unwrap_or(Severity::Medium);
    signal.severity_raw = word.and_then(|w| text::name(&w));
    let at = root.time("timestamp").or_else(|| root.time("created_at"));
    signal.observed_at = at;
    match signal.status {
        SignalStatus::Firing => signal.started_at = at,
        SignalStatus::Resolved => signal.ended_at = at,
        SignalStatus::Acknowledged | SignalStatus::Info => {}
    }
    signal.description =
        root.first(&["details", "long_description"]).filter(|d| *d != signal.title).and_then(|d| text::description(&d));
    for target in root.list("targets").iter().map(|t| Obj::of(Some(t))) {
        let name = target.text("name");
        match target.text("type").as_deref().map(str::to_ascii_lowercase).as_deref() {
            Some("host" | "server") => {
                signal.host = signal.host.take().or_else(|| name.as_deref().and_then(text::host));
            }
            Some("application" | "service" | "browserapplication") => {
                signal.service = signal.service.take().or_else(|| name.as_deref().and_then(text::name));
            }
            _ => labels::add(&mut signal.labels, "target", name.as_deref()),
        }
        for (name, value) in labels::tags(target.get("labels")) {
            labels::add(&mut signal.labels, &name, Some(&value));
        }
    }
    signal.service = signal.service.take().or_else(|| root.text("application_name").and_then(|s| text::name(&s)));
    signal.service = signal.service.take().or_else(|| labels::service(&signal.labels));
    signal.host = signal.host.take().or_else(|| labels::host(&signal.labels));
    signal.environment = labels::environment(&signal.labels);
    for name in ["policy_name", "condition_name", "account_name", "owner"] {
        labels::add(&mut signal.labels, name, root.text(name).as_deref());
    }
    labels::add(&mut signal.annotations, "event_type", event.as_deref());
    labels::add(&mut signal.annotations, "state", state.as_deref());
    signal.url = root.url("incident_url").or_else(|| root.url("alert_url"));
    signal.runbook_url = root.url("runbook_url");
    if signal.status == SignalStatus::Firing && root.text("alert_url").is_some() {
        // The oldest form tells of the end only sometimes, and with no id that it shares with the start.
        signal.quiet_after_secs = Some(3600);
    }
    Some(signal)
}

/// The oldest channels tell of deployments as well.
fn deployment(root: Obj<'_>) -> Change {
    let service = root.text("application_name").and_then(|s| text::name(&s));
    let version = root.text("revision").and_then(|v| text::name(&v));
    let what = root.first(&["description", "changelog"]).or_else(|| version.clone());
    let title = format!(
        "Deployment of {}: {}",
        service.as_deref().unwrap_or("an application"),
        what.as_deref().unwrap_or("no description")
    );
    let mut change = Change {
        service,
        kind: ChangeKind::Deploy,
        title: text::line(&title, 500),
        url: root.url("deployment_url"),
        version,
        at: root.time("created_at"),
        source: INFO.slug.to_owned(),
        outcome: None,
        details: labels::Labels::new(),
    };
    for name in ["changelog", "deployed_by", "account_name"] {
        labels::add(&mut change.details, name, root.text(name).as_deref());
    }
    change
}
