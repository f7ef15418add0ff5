//! Google Cloud Monitoring: webhooks, and the same wrapped by Pub/Sub.

use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::Value;

use super::{Connector, Info, Overload, Request, body, fields::Obj, identity, labels, text};
use crate::model::{Parsed, Problem, Severity, Signal, SignalStatus};

pub(super) struct GoogleCloud;

static INFO: Info = Info {
    slug: "gcp",
    name: "Google Cloud Monitoring",
    tile: "Gc",
    way: "Notification channel, webhook",
    success: 202,
    overload: Overload::Unavailable,
    lenient: false,
    builds: false,
    signature: None,
    steps: &[
        "In the Google Cloud console, open Monitoring, Alerting, Edit notification channels, and choose Add new at \
         Webhooks.",
        "Set Endpoint URL to {url}, check Use HTTP Basic Auth, and give any Auth username and the Auth password {key}. \
         The URL {url}?auth_token={key} does the same without.",
        "Press Test connection: it arrives here as a test. Save.",
        "In each alerting policy choose this channel under Notifications and name, leave Notify on incident closure on, \
         or nothing will ever resolve, and set the Severity level. Policy user labels such as service and env are read.",
        "By Pub/Sub instead: a push subscription to {url}/{key} on the topic of a Pub/Sub notification channel.",
    ],
    fields: &[
        ("Title", "policy_name with condition_name, else summary"),
        ("Description", "summary, and documentation.content kept"),
        ("Severity", "severity: Critical, Error as high, Warning as medium; without one high"),
        ("Service", "policy_user_labels or metadata service, else the container, service, database or function"),
        ("Host", "the instance's name or id"),
        ("Environment", "policy_user_labels or metadata env or environment"),
        ("Identity", "incident_id in its project"),
        ("State", "state: open, closed"),
        ("Link", "url; runbook: the first of documentation.links"),
        ("Time", "started_at, ended_at"),
    ],
    sample: include_str!("samples/gcp.json"),
};

impl Connector for GoogleCloud {
    fn info(&self) -> &'static Info {
        &INFO
    }

    fn parse(&self, request: &Request<'_>) -> Result<Parsed, Problem> {
        let body = body::read(request)?;
        let root = body.object(INFO.name)?;
        let message = root.object("message");
        let wrapped = unwrap(message)?;
        let inner = wrapped.as_ref().map_or(root, |value| Obj::of(Some(value)));
        let Some(mut signal) = read(inner) else {
            let looked_for = "`incident` with `incident_id` or `policy_name`";
            return Err(body::unrecognised(INFO.name, looked_for, inner));
        };
        signal.repaired = body.repaired;
        let retry_id = message.first(&["messageId", "message_id"]).map(|id| text::line(&id, 200));
        Ok(Parsed { signals: vec![signal], notes: body.notes, retry_id, ..Parsed::default() })
    }
}

/// What Pub/Sub carries, if it is Pub/Sub that sends.
fn unwrap(message: Obj<'_>) -> Result<Option<Value>, Problem> {
    let Some(data) = message.text("data") else { return Ok(None) };
    let bytes = BASE64_STANDARD.decode(data.trim()).ok();
    match bytes.and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok()).filter(Value::is_object) {
        Some(value) => Ok(Some(value)),
        None => Err(body::problem(
            "unrecognised",
            "The data of this Pub/Sub message is not the base64 of a JSON object. Check that the subscription is on the \
             topic of a notification channel of Cloud Monitoring.",
            Some("/message/data".to_owned()),
        )),
    }
}

fn read(root: Obj<'_>) -> Option<Signal> {
    let incident = root.object("incident");
    let id = incident.text("incident_id");
    let (policy, condition) = (incident.text("policy_name"), incident.text("condition_name"));
    let summary = incident.text("summary");
    let named = match (&policy, &condition) {
        (Some(policy), Some(condition)) if policy != condition => Some(format!("{policy}: {condition}")),
        (policy, condition) => policy.clone().or_else(|| condition.clone()),
    };
    id.as_ref().or(named.as_ref())?;
    let is_test = root.text("version").is_some_and(|v| v.eq_ignore_ascii_case("test"));
    let subject = incident.object("documentation").text("subject").filter(|_| !is_test);
    let title = [named, subject, summary.clone()].into_iter().flatten().find_map(|t| text::title(&t));
    let title = title.unwrap_or_else(|| "Google Cloud incident".to_owned());
    let project = incident.first(&["scoping_project_id"]);
    let resource = incident.object("resource");
    let mut signal = if id.is_some() {
        let parts = [("project", project.as_deref()), ("incident_id", id.as_deref())];
        identity::signal(INFO.slug, "The id of the incident in its project.", &parts, title)
    } else {
        let name = incident.first(&["resource_name", "resource_display_name"]);
        let parts = [
            ("project", project.as_deref()),
            ("policy", policy.as_deref()),
            ("condition", condition.as_deref()),
            ("resource", name.as_deref()),
        ];
        identity::signal(INFO.slug, "Policy, condition and resource, as no `incident_id` was sent.", &parts, title)
    };
    let state = incident.text("state");
    signal.status = match state.as_deref().map(str::to_ascii_lowercase).as_deref() {
        Some("closed" | "resolved") => SignalStatus::Resolved,
        Some("acknowledged") => SignalStatus::Acknowledged,
        _ => SignalStatus::Firing,
    };
    let word = incident.text("severity");
    signal.severity = match word.as_deref().map(str::to_ascii_lowercase).as_deref() {
        Some("critical") => Severity::Critical,
        Some("error") => Severity::High,
        Some("warning") => Severity::Medium,
        None | Some("no severity") => Severity::High,
        Some(other) => text::severity(other).unwrap_or(Severity::High),
    };
    signal.severity_raw = word.and_then(|w| text::name(&w));
    signal.started_at = incident.time("started_at");
    if signal.status == SignalStatus::Resolved {
        signal.ended_at = incident.time("ended_at");
    }
    let metadata = incident.object("metadata");
    for group in [
        incident.get("policy_user_labels"),
        metadata.get("user_labels"),
        resource.get("labels"),
        incident.object("metric").get("labels"),
        metadata.get("system_labels"),
    ] {
        for (name, value) in labels::read(group) {
            labels::add(&mut signal.labels, &name, Some(&value));
        }
    }
    let tagged = |names: &[&str]| labels::first(&signal.labels, names);
    let service = labels::service(&signal.labels)
        .or_else(|| tagged(&["container_name", "module_id", "function_name", "database_id", "job_name", "queue_id"]));
    let host = tagged(&["instance_name", "node_name", "host"]).or_else(|| {
        let machine = resource.text("type").is_some_and(|t| t.contains("instance"));
        machine.then(|| incident.text("resource_display_name")).flatten().or_else(|| tagged(&["instance_id"]))
    });
    signal.service = service;
    signal.host = host.and_then(|h| text::host(&h));
    signal.environment = labels::environment(&signal.labels);
    for (label, value) in [
        ("project", project),
        ("policy", policy),
        ("condition", condition),
        ("resource_type", resource.text("type")),
        ("metric", incident.object("metric").text("type")),
    ] {
        labels::add(&mut signal.labels, label, value.as_deref());
    }
    let documentation = incident.object("documentation");
    let written = documentation.text("content").or_else(|| incident.text("documentation"));
    signal.description = summary.or_else(|| written.clone()).and_then(|d| text::description(&d));
    for (note, value) in [
        ("observed_value", incident.text("observed_value")),
        ("threshold_value", incident.text("threshold_value")),
        ("resource", incident.first(&["resource_display_name", "resource_name"])),
        ("documentation", written),
        ("state", state),
    ] {
        labels::add(&mut signal.annotations, note, value.as_deref());
    }
    signal.url = incident.url("url");
    signal.runbook_url = documentation.list("links").iter().find_map(|link| Obj::of(Some(link)).url("url"));
    signal.is_test = is_test;
    if is_test {
        // Every test has the same made-up id, which must touch nothing else.
        signal.url = signal.url.filter(|u| text::url_host(u).as_deref() != Some("www.example.com"));
    }
    Some(signal)
}
