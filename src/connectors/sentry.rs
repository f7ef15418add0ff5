//! Sentry: the integration platform's signed webhooks, and the older plugin's flat body.

use serde_json::Value;

use super::{
    Connector, Info, Overload, Request, Signature, body, fields::Obj, identity, labels, labels::Labels, signature, text,
};
use crate::model::{Note, Parsed, Problem, Severity, Signal, SignalStatus};

pub(super) struct Sentry;

/// An alert rule tells when an issue is seen and never when it is over.
const QUIET_SECS: u32 = 3600;

static INFO: Info = Info {
    slug: "sentry",
    name: "Sentry",
    tile: "Se",
    way: "Internal integration",
    success: 202,
    overload: Overload::NeverRefuse,
    lenient: false,
    builds: false,
    signature: Some("Sentry-Hook-Signature with the Client Secret of the internal integration"),
    steps: &[
        "In Sentry, open Settings, Developer Settings (Custom Integrations), and choose Create New Integration, \
         Internal Integration.",
        "Set Webhook URL to {url}/{key}, switch on Alert Rule Action, and under Webhooks check issue if issues \
         themselves are to open incidents.",
        "Give Issue & Event the permission Read, save, and put the Client Secret here as signing secret; with that the \
         URL {url} without the key is enough.",
        "In each alert (Alerts, Create Alert), add the action Send a notification via an integration and choose this \
         one. Metric alerts resolve by themselves; issue alerts end after an hour without a repeat, or when their issue \
         is resolved and issue is checked.",
        "The older WebHooks plugin of a project (Settings, Integrations, WebHooks) takes {url}/{key} as callback URL.",
    ],
    fields: &[
        ("Title", "the event's, issue's or metric alert's title"),
        ("Severity", "level: fatal is critical, error high; metric alerts: critical, or warning as medium"),
        ("Service", "the project; tag service"),
        ("Host", "tag server_name or host"),
        ("Environment", "the event's or alert rule's environment"),
        ("Identity", "the issue's id, or the metric alert's"),
        ("State", "action: triggered, created, unresolved; resolved, archived, ignored"),
        ("Link", "web_url, permalink or url"),
    ],
    sample: include_str!("samples/sentry.json"),
};

impl Connector for Sentry {
    fn info(&self) -> &'static Info {
        &INFO
    }

    fn parse(&self, request: &Request<'_>) -> Result<Parsed, Problem> {
        let mut body = body::read(request)?;
        let mut parsed = Parsed { notes: std::mem::take(&mut body.notes), ..Parsed::default() };
        let root = body.object(INFO.name)?;
        let data = root.object("data");
        let action = root.text("action").unwrap_or_default().to_ascii_lowercase();
        let signal = if data.object("metric_alert").exists() {
            metric_alert(data, &action)
        } else if data.object("event").exists() {
            let alert = data.text("triggered_rule").or_else(|| data.object("issue_alert").text("title"));
            event(data.object("event"), None, alert)
        } else if data.object("issue").exists() {
            match issue(data.object("issue"), &action) {
                Some(signal) => Some(signal),
                None if data.object("issue").has("id") => {
                    parsed.notes.push(Note::Ignored(format!("Issue: {}.", text::line(&action, 60))));
                    return Ok(parsed);
                }
                None => None,
            }
        } else if root.object("event").exists() || root.has("project_slug") || root.has("triggering_rules") {
            event(root.object("event"), Some(root), first_word(root.get("triggering_rules")))
        } else if root.object("installation").exists() || data.has("installation") || data.has("comment_id") {
            let what = request.header("sentry-hook-resource").unwrap_or("installation");
            parsed.notes.push(Note::Ignored(format!("{}: {}.", text::line(what, 40), text::line(&action, 60))));
            return Ok(parsed);
        } else {
            None
        };
        let Some(mut signal) = signal else {
            let looked_for = "`data.metric_alert`, `data.event` or `data.issue` (integration), or `event` (plugin)";
            return Err(body::unrecognised(INFO.name, looked_for, root));
        };
        signal.repaired = body.repaired;
        parsed.signals.push(signal);
        parsed.retry_id = request.header("request-id").map(|id| text::line(id, 200)).filter(|id| !id.is_empty());
        Ok(parsed)
    }

    fn verify(&self, request: &Request<'_>, secrets: &[&str]) -> Signature {
        signature::verify_hex(request, &["sentry-hook-signature"], secrets)
    }
}

fn first_word(value: Option<&Value>) -> Option<String> {
    value?.as_array()?.iter().find_map(text::scalar)
}

fn level(word: &str) -> Option<Severity> {
    Some(match word.to_ascii_lowercase().as_str() {
        "fatal" => Severity::Critical,
        "error" => Severity::High,
        "warning" => Severity::Medium,
        "info" | "debug" | "sample" => Severity::Info,
        other => return text::severity(other),
    })
}

fn metric_alert(data: Obj<'_>, action: &str) -> Option<Signal> {
    let alert = data.object("metric_alert");
    let rule = alert.object("alert_rule");
    let id = alert.first(&["id", "identifier"])?;
    let sent = data.text("description_title").map(|t| bare(&t).to_owned());
    let title = [alert.text("title"), sent, rule.text("name")].into_iter().flatten().find_map(|t| text::title(&t));
    let title = title.unwrap_or_else(|| format!("Sentry metric alert {id}"));
    let organization = alert.text("organization_id");
    let parts = [("organization", organization.as_deref()), ("metric_alert", Some(id.as_str()))];
    let mut signal = identity::signal(INFO.slug, "The id of the metric alert's incident.", &parts, title);
    (signal.status, signal.severity) = match action {
        "resolved" => (SignalStatus::Resolved, Severity::Info),
        "critical" => (SignalStatus::Firing, Severity::Critical),
        "warning" => (SignalStatus::Firing, Severity::Medium),
        _ => (SignalStatus::Firing, Severity::High),
    };
    signal.severity_raw = text::name(action);
    signal.started_at = alert.time("date_started");
    signal.observed_at = alert.time("date_detected").or_else(|| alert.time("date_created"));
    if signal.status == SignalStatus::Resolved {
        signal.ended_at = alert.time("date_closed");
    }
    signal.description = data.text("description_text").and_then(|d| text::description(&d));
    let projects = rule.list("projects").iter().chain(alert.list("projects"));
    signal.service = projects.filter_map(text::scalar).find_map(|p| text::name(&p));
    signal.environment = rule.text("environment").and_then(|e| text::name(&e));
    labels::add(&mut signal.labels, "rule", rule.text("name").as_deref());
    labels::add(&mut signal.labels, "aggregate", rule.text("aggregate").as_deref());
    labels::add(&mut signal.annotations, "query", rule.text("query").as_deref());
    labels::add(&mut signal.annotations, "identifier", alert.text("identifier").as_deref());
    signal.url = data.url("web_url");
    Some(signal)
}

/// `Critical: Error rate` without its state, which changes.
fn bare(title: &str) -> &str {
    match title.split_once(": ") {
        Some(("Critical" | "Warning" | "Resolved" | "Open", rest)) => rest,
        _ => title,
    }
}

/// An event that an alert rule told of, as the integration or (with `plugin`) the older plugin sends it.
fn event(event: Obj<'_>, plugin: Option<Obj<'_>>, alert: Option<String>) -> Option<Signal> {
    let outer = plugin.unwrap_or_default();
    let issue = outer.text("id").or_else(|| event.text("issue_id")).or_else(|| issue_of(event));
    let sent = event
        .first(&["title"])
        .or_else(|| outer.text("message"))
        .or_else(|| event.first(&["message", "culprit", "event_id"]))
        .or_else(|| outer.text("culprit"));
    let title = sent.as_deref().and_then(text::title)?;
    let project = outer.first(&["project_slug", "project"]).or_else(|| event.first(&["project_slug", "project_name"]));
    let project = project.or_else(|| project_of(event)).or_else(|| event.text("project"));
    let mut signal = if issue.is_some() {
        identity::signal(INFO.slug, "The id of the issue.", &[("issue", issue.as_deref())], title)
    } else {
        let parts = [("project", project.as_deref()), ("title", sent.as_deref())];
        identity::signal(INFO.slug, "Project and title, as no issue was named.", &parts, title)
    };
    let word = event.text("level").or_else(|| outer.text("level"));
    signal.severity = word.as_deref().and_then(level).unwrap_or(Severity::High);
    signal.severity_raw = word.as_deref().and_then(text::name);
    signal.labels = tags(event.get("tags"));
    signal.service = labels::service(&signal.labels).or_else(|| project.as_deref().and_then(text::name));
    let machine = labels::first(&signal.labels, &["server_name"]).and_then(|h| text::host(&h));
    signal.host = machine.or_else(|| labels::host(&signal.labels));
    signal.environment = event.text("environment").and_then(|e| text::name(&e));
    signal.environment = signal.environment.or_else(|| labels::environment(&signal.labels));
    signal.description = event
        .object("metadata")
        .text("value")
        .or_else(|| event.first(&["message", "culprit"]))
        .or_else(|| outer.text("culprit"))
        .filter(|d| *d != signal.title)
        .and_then(|d| text::description(&d));
    let at = event.time("datetime").or_else(|| event.time("timestamp")).or_else(|| event.time("received"));
    (signal.started_at, signal.observed_at) = (at, at);
    signal.quiet_after_secs = Some(QUIET_SECS);
    signal.url = event.url("web_url").or_else(|| outer.url("url"));
    labels::add(&mut signal.labels, "project", project.as_deref());
    labels::add(&mut signal.labels, "alert_rule", alert.as_deref());
    for name in ["culprit", "platform", "release", "logger"] {
        labels::add(&mut signal.annotations, name, event.text(name).or_else(|| outer.text(name)).as_deref());
    }
    // The test button of plugin and rules sends this made-up exception.
    signal.is_test = signal.title.starts_with("This is an example") || word.as_deref() == Some("sample");
    Some(signal)
}

/// `https://sentry.io/api/0/issues/1117540176/` and `…/organizations/acme/issues/1117540176/events/…`
fn issue_of(event: Obj<'_>) -> Option<String> {
    let url = event.url("issue_url").or_else(|| event.url("web_url"))?;
    let (_, rest) = url.split_once("/issues/")?;
    rest.split('/').next().and_then(text::name)
}

/// `https://sentry.io/api/0/projects/acme/front-end/events/…`
fn project_of(event: Obj<'_>) -> Option<String> {
    let url = event.url("url")?;
    let (_, rest) = url.split_once("/projects/")?;
    rest.split('/').nth(1).and_then(text::name)
}

/// `[["browser", "Chrome 75"], …]`, and the forms that others use.
fn tags(value: Option<&Value>) -> Labels {
    let pairs = value.and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let mut found = Labels::new();
    for pair in pairs.iter().filter_map(Value::as_array) {
        if let (Some(name), value) = (pair.first().and_then(text::scalar), pair.get(1).and_then(text::scalar))
            && let Some(name) = text::name(&name)
        {
            labels::add(&mut found, &name, value.as_deref());
        }
    }
    if found.is_empty() { labels::tags(value) } else { found }
}

/// None for what says nothing of the issue's state.
fn issue(issue: Obj<'_>, action: &str) -> Option<Signal> {
    let id = issue.text("id")?;
    let status = match action {
        "resolved" | "archived" | "ignored" => SignalStatus::Resolved,
        "created" | "unresolved" => SignalStatus::Firing,
        "assigned" => SignalStatus::Info,
        _ => return None,
    };
    let title = issue.first(&["title", "shortId"]).and_then(|t| text::title(&t));
    let title = title.unwrap_or_else(|| format!("Sentry issue {id}"));
    let mut signal = identity::signal(INFO.slug, "The id of the issue.", &[("issue", Some(&id))], title);
    signal.status = status;
    let word = issue.text("level");
    signal.severity = word.as_deref().and_then(level).unwrap_or(Severity::High);
    signal.severity_raw = word.as_deref().and_then(text::name);
    let project = issue.object("project");
    signal.service = project.first(&["slug", "name"]).and_then(|p| text::name(&p));
    signal.started_at = issue.time("firstSeen");
    signal.observed_at = issue.time("lastSeen");
    if action == "unresolved" {
        // It began long ago; what begins now is its return.
        signal.started_at = signal.observed_at;
    }
    let value = issue.object("metadata").first(&["value", "title"]).or_else(|| issue.text("culprit"));
    signal.description = value.filter(|d| *d != signal.title).and_then(|d| text::description(&d));
    signal.url = issue.url("permalink").or_else(|| issue.url("web_url"));
    signal.is_test = signal.title.starts_with("This is an example");
    for (label, name) in [("short_id", "shortId"), ("platform", "platform")] {
        labels::add(&mut signal.labels, label, issue.text(name).as_deref());
    }
    for name in ["culprit", "count", "userCount", "status", "substatus"] {
        labels::add(&mut signal.annotations, name, issue.text(name).as_deref());
    }
    Some(signal)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Time;

    #[test]
    fn signature_is_the_bare_hex_of_the_bodys_hmac() {
        let body = br#"{"action":"created","data":{}}"#;
        let right = "c07fff135cf3db69f57b1f80316d46fd6ae284f29cbde05a7cc9abeff03f6b17";
        let check = |sent: &str, want| {
            let headers = [("sentry-hook-signature".to_owned(), sent.to_owned())];
            let request =
                Request { headers: &headers, query: &[], body, received_at: Time::default(), rca_enabled: false };
            assert_eq!(Sentry.verify(&request, &["client-secret"]), want, "{sent}");
        };
        check(right, Signature::Valid);
        check(&right.replace('0', "1"), Signature::Invalid);
        check("", Signature::Invalid);
    }

    #[test]
    fn states_leave_the_title() {
        for (title, want) in [
            ("Critical: Error rate", "Error rate"),
            ("Resolved: a: b", "a: b"),
            ("ValueError: bad", "ValueError: bad"),
            ("plain", "plain"),
        ] {
            assert_eq!(bare(title), want);
        }
    }
}
