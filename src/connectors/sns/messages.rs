//! What topics carry: CloudWatch alarms, EventBridge events (among them AWS Health and GuardDuty), and plain text.

use serde_json::Value;

use super::INFO;
use crate::{
    connectors::{fields::Obj, identity, labels, moment, text},
    model::{Severity, Signal, SignalStatus},
};

/// Whoever sends to a topic without being an alarm never says that it is over.
const QUIET_SECS: u32 = 3600;
/// Dimensions that name what is watched, best first.
const SERVICES: &[&str] = &[
    "ServiceName",
    "FunctionName",
    "DBInstanceIdentifier",
    "DBClusterIdentifier",
    "LoadBalancer",
    "LoadBalancerName",
    "TargetGroup",
    "ApiName",
    "ApiId",
    "QueueName",
    "TableName",
    "StreamName",
    "StateMachineArn",
    "CacheClusterId",
    "ClusterName",
    "Cluster Name",
    "DomainName",
    "BucketName",
    "DistributionId",
    "AutoScalingGroupName",
];

/// The message of an envelope.
pub(super) fn notification(envelope: Obj<'_>) -> Option<Signal> {
    let topic = envelope.text("TopicArn");
    let message = envelope.text("Message").unwrap_or_default();
    let inner = serde_json::from_str::<Value>(&message).ok().filter(Value::is_object);
    let subject = envelope.text("Subject");
    let read = inner.as_ref().and_then(|v| json(Obj::of(Some(v)), topic.as_deref()));
    let mut signal = match read {
        Some(signal) => signal,
        None => plain(topic.as_deref(), subject.as_deref(), &message)?,
    };
    let at = envelope.time("Timestamp");
    signal.observed_at = signal.observed_at.or(at);
    match signal.status {
        SignalStatus::Firing => signal.started_at = signal.started_at.or(at),
        SignalStatus::Resolved => signal.ended_at = signal.ended_at.or(at),
        SignalStatus::Acknowledged | SignalStatus::Info => {}
    }
    labels::add(&mut signal.annotations, "subject", subject.as_deref());
    let attributes = envelope.object("MessageAttributes");
    for (name, value) in attributes.iter() {
        if let Some(name) = text::name(name) {
            labels::add(&mut signal.labels, &name, Obj::of(Some(value)).text("Value").as_deref());
        }
    }
    Some(signal)
}

/// A message that is an object; none when it is neither an alarm nor an event.
pub(super) fn json(root: Obj<'_>, topic: Option<&str>) -> Option<Signal> {
    let mut signal = if root.has("AlarmName") {
        alarm(root)?
    } else if root.has("detail-type") {
        event(root)?
    } else {
        return None;
    };
    labels::add(&mut signal.labels, "topic", topic.and_then(|t| t.rsplit(':').next()));
    Some(signal)
}

/// What can be read of any text: the subject and the message.
pub(super) fn plain(topic: Option<&str>, subject: Option<&str>, message: &str) -> Option<Signal> {
    let first = message.lines().find(|l| !text::absent(l));
    let title = subject.and_then(text::title).or_else(|| first.and_then(text::title))?;
    let parts = [("topic", topic), ("subject", Some(title.as_str()))];
    let rule = "The topic and the subject: the message is no alarm and no event with an identity of its own.";
    let mut signal = identity::signal(INFO.slug, rule, &parts, title.clone());
    signal.description = text::description(message).filter(|d| *d != signal.title);
    signal.quiet_after_secs = Some(QUIET_SECS);
    labels::add(&mut signal.labels, "topic", topic.and_then(|t| t.rsplit(':').next()));
    Some(signal)
}

fn status(state: &str) -> Option<SignalStatus> {
    Some(match state {
        "ALARM" => SignalStatus::Firing,
        "OK" => SignalStatus::Resolved,
        "INSUFFICIENT_DATA" => SignalStatus::Info,
        _ => return None,
    })
}

/// An alarm of CloudWatch, as its own action writes it.
fn alarm(root: Obj<'_>) -> Option<Signal> {
    let name = root.text("AlarmName")?;
    let title = text::title(&name)?;
    let arn = root.text("AlarmArn");
    let account = root.text("AWSAccountId");
    let region = arn.as_deref().and_then(region).or_else(|| root.text("Region"));
    let mut signal = if arn.is_some() {
        identity::signal(INFO.slug, "The ARN of the alarm.", &[("AlarmArn", arn.as_deref())], title)
    } else {
        let parts = [("AWSAccountId", account.as_deref()), ("Region", region.as_deref()), ("AlarmName", Some(&*name))];
        identity::signal(INFO.slug, "Account, region and name, as no `AlarmArn` was sent.", &parts, title)
    };
    let state = root.text("NewStateValue").unwrap_or_else(|| "ALARM".to_owned());
    signal.status = status(&state).unwrap_or(SignalStatus::Firing);
    let told = root.text("AlarmDescription");
    rate(&mut signal, &state, &name, told.as_deref(), root.text("Priority"));
    let at = root.time("StateChangeTime");
    signal.observed_at = at;
    match signal.status {
        SignalStatus::Firing => signal.started_at = at,
        SignalStatus::Resolved => signal.ended_at = at,
        SignalStatus::Acknowledged | SignalStatus::Info => {}
    }
    let trigger = root.object("Trigger");
    let metrics = trigger.list("Metrics").iter().map(|m| Obj::of(Some(m)).object("MetricStat").object("Metric"));
    for metric in std::iter::once(trigger).chain(metrics) {
        for dimension in metric.list("Dimensions").iter().map(|d| Obj::of(Some(d))) {
            if let Some(name) = dimension.text("name").or_else(|| dimension.text("Name")).and_then(|n| text::name(&n)) {
                let value = dimension.text("value").or_else(|| dimension.text("Value"));
                labels::add(&mut signal.labels, &name, value.as_deref());
            }
        }
    }
    let namespace = trigger.text("Namespace");
    place(&mut signal, namespace.as_deref());
    let reason = root.text("NewStateReason");
    signal.description = told.or_else(|| reason.clone()).and_then(|d| text::description(&d));
    for (label, value) in [
        ("namespace", namespace),
        ("metric", trigger.text("MetricName")),
        ("account", account),
        ("region", region.clone()),
    ] {
        labels::add(&mut signal.labels, label, value.as_deref());
    }
    let children: Vec<String> = root
        .list("TriggeringChildren")
        .iter()
        .filter_map(|c| Obj::of(Some(c)).first(&["Arn", "AlarmArn", "AlarmName"]))
        .take(20)
        .collect();
    for (note, value) in [
        ("reason", reason),
        ("old_state", root.text("OldStateValue")),
        ("threshold", trigger.text("Threshold")),
        ("comparison", trigger.text("ComparisonOperator")),
        ("rule", root.text("AlarmRule")),
        ("triggering_children", Some(children.join(", "))),
    ] {
        labels::add(&mut signal.annotations, note, value.as_deref());
    }
    signal.url = arn.as_deref().and_then(console);
    Some(signal)
}

/// Words that say how bad it is. Others, such as `low` in `disk space low`, say what it is about.
fn rate(signal: &mut Signal, state: &str, name: &str, told: Option<&str>, priority: Option<String>) {
    let written = told.and_then(|told| {
        let lower = told.to_ascii_lowercase();
        ["severity", "priority"].iter().find_map(|word| {
            let (_, rest) = lower.split_once(word)?;
            let rest = rest.trim_start().strip_prefix([':', '='])?.trim_start();
            rest.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-')).next().map(str::to_owned)
        })
    });
    let named = name.split(|c: char| !c.is_ascii_alphanumeric()).find(|word| {
        let word = word.to_ascii_lowercase();
        ["critical", "crit", "fatal", "emergency", "major", "minor", "warning", "warn"].contains(&word.as_str())
            || word
                .strip_prefix("sev")
                .or_else(|| word.strip_prefix('p'))
                .is_some_and(|n| n.len() == 1 && n.bytes().all(|b| b.is_ascii_digit()))
    });
    let words = [priority, written, named.map(str::to_owned)];
    let word = words.into_iter().flatten().find(|w| text::severity(w).is_some());
    signal.severity = match signal.status {
        SignalStatus::Info => Severity::Info,
        _ => word.as_deref().and_then(text::severity).unwrap_or(Severity::High),
    };
    signal.severity_raw = word.or_else(|| Some(state.to_owned())).and_then(|w| text::name(&w));
}

/// Service, host and environment, by the dimensions.
fn place(signal: &mut Signal, namespace: Option<&str>) {
    let named = |names: &[&str]| labels::first(&signal.labels, names);
    let service = named(SERVICES).or_else(|| labels::service(&signal.labels));
    // `AWS/EC2` is a kind of thing and no service of anybody's; a namespace of one's own names one.
    let own = namespace.filter(|n| !n.starts_with("AWS/") && *n != "CWAgent").and_then(text::name);
    let host = named(&["InstanceId", "NodeName"]).or_else(|| labels::host(&signal.labels));
    let environment = named(&["Environment", "Stage", "EnvironmentName"]);
    signal.host = host.and_then(|h| text::host(&h));
    signal.service = service.or(own);
    signal.environment = environment.or_else(|| labels::environment(&signal.labels));
}

/// `arn:aws:cloudwatch:eu-west-1:123456789012:alarm:name`
fn region(arn: &str) -> Option<String> {
    arn.split(':').nth(3).filter(|r| r.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')).and_then(text::name)
}

/// The alarm's page in the console of its partition.
fn console(arn: &str) -> Option<String> {
    let mut parts = arn.splitn(7, ':');
    let partition = parts.nth(1)?;
    let name: String = form_urlencoded::byte_serialize(parts.nth(4)?.as_bytes()).collect();
    let host = match partition {
        "aws-cn" => "console.amazonaws.cn",
        "aws-us-gov" => "console.amazonaws-us-gov.com",
        _ => "console.aws.amazon.com",
    };
    let region = region(arn)?;
    text::url(&format!("https://{host}/cloudwatch/home?region={region}#alarmsV2:alarm/{}", name.replace('+', "%20")))
}

/// An event of EventBridge.
fn event(root: Obj<'_>) -> Option<Signal> {
    let kind = root.text("detail-type")?;
    let detail = root.object("detail");
    let source = root.text("source");
    let mut signal = match source.as_deref() {
        Some("aws.cloudwatch") if detail.has("alarmName") => state_change(root, detail)?,
        Some("aws.health") => health(detail)?,
        Some("aws.guardduty") => finding(detail)?,
        _ => {
            let resource = root.list("resources").iter().find_map(text::scalar);
            let title = text::title(
                &[Some(kind.clone()), source.clone()].into_iter().flatten().collect::<Vec<_>>().join(" of "),
            )?;
            let parts = [
                ("source", source.as_deref()),
                ("detail-type", Some(kind.as_str())),
                ("account", None),
                ("resource", resource.as_deref()),
            ];
            let mut signal = identity::signal(INFO.slug, "The kind of event and its first resource.", &parts, title);
            signal.quiet_after_secs = Some(QUIET_SECS);
            labels::add(&mut signal.labels, "resource", resource.as_deref());
            let state = detail.first(&["state", "status", "lastStatus"]);
            labels::add(&mut signal.annotations, "state", state.as_deref());
            signal.description = root.get("detail").map(Value::to_string).and_then(|d| text::description(&d));
            signal
        }
    };
    let at = root.time("time");
    signal.observed_at = signal.observed_at.or(at);
    for name in ["source", "account", "region"] {
        labels::add(&mut signal.labels, name, root.text(name).as_deref());
    }
    labels::add(&mut signal.annotations, "detail_type", Some(&kind));
    Some(signal)
}

/// The same alarm, told by EventBridge.
fn state_change(root: Obj<'_>, detail: Obj<'_>) -> Option<Signal> {
    let name = detail.text("alarmName")?;
    let arn = root.list("resources").iter().find_map(text::scalar);
    let (account, region) = (root.text("account"), root.text("region"));
    let parts =
        [("AWSAccountId", account.as_deref()), ("Region", region.as_deref()), ("AlarmName", Some(name.as_str()))];
    let by_arn = [("AlarmArn", arn.as_deref())];
    let parts = if arn.is_some() { &by_arn[..] } else { &parts[..] };
    let mut signal = identity::signal(INFO.slug, "The ARN of the alarm.", parts, text::title(&name)?);
    let state = detail.object("state");
    let value = state.text("value").unwrap_or_else(|| "ALARM".to_owned());
    signal.status = status(&value).unwrap_or(SignalStatus::Firing);
    let configuration = detail.object("configuration");
    let told = configuration.text("description");
    rate(&mut signal, &value, &name, told.as_deref(), None);
    let at = state.get("timestamp").and_then(moment::time);
    signal.observed_at = at;
    match signal.status {
        SignalStatus::Firing => signal.started_at = at,
        SignalStatus::Resolved => signal.ended_at = at,
        SignalStatus::Acknowledged | SignalStatus::Info => {}
    }
    let metrics = configuration.list("metrics").iter().map(|m| Obj::of(Some(m)).object("metricStat").object("metric"));
    let mut namespace = None;
    for metric in metrics {
        namespace = namespace.or_else(|| metric.text("namespace"));
        for (name, value) in labels::read(metric.get("dimensions")) {
            labels::add(&mut signal.labels, &name, Some(&value));
        }
    }
    place(&mut signal, namespace.as_deref());
    let reason = state.text("reason");
    signal.description = told.or_else(|| reason.clone()).and_then(|d| text::description(&d));
    labels::add(&mut signal.annotations, "reason", reason.as_deref());
    signal.url = arn.as_deref().and_then(console);
    Some(signal)
}

fn health(detail: Obj<'_>) -> Option<Signal> {
    let arn = detail.text("eventArn")?;
    let code = detail.text("eventTypeCode");
    let title = code.as_deref().and_then(text::title).unwrap_or_else(|| "AWS Health event".to_owned());
    let mut signal = identity::signal(INFO.slug, "The ARN of the health event.", &[("eventArn", Some(&arn))], title);
    let state = detail.text("statusCode");
    signal.status = match state.as_deref() {
        Some("closed") => SignalStatus::Resolved,
        Some("upcoming") => SignalStatus::Info,
        _ => SignalStatus::Firing,
    };
    let category = detail.text("eventTypeCategory");
    signal.severity = match category.as_deref() {
        Some("issue") => Severity::High,
        Some("investigation") => Severity::Medium,
        _ => Severity::Low,
    };
    signal.severity_raw = category.and_then(|c| text::name(&c));
    signal.service = detail.text("service").and_then(|s| text::name(&s));
    signal.started_at = detail.get("startTime").and_then(http_date);
    if signal.status == SignalStatus::Resolved {
        signal.ended_at = detail.get("endTime").and_then(http_date);
    }
    let told = detail.list("eventDescription").iter().find_map(|d| Obj::of(Some(d)).text("latestDescription"));
    signal.description = told.and_then(|d| text::description(&d));
    signal.url = text::url(&format!(
        "https://health.aws.amazon.com/health/home#/account/event-log?eventID={}",
        form_urlencoded::byte_serialize(arn.as_bytes()).collect::<String>()
    ));
    labels::add(&mut signal.annotations, "state", state.as_deref());
    Some(signal)
}

/// Health alone writes `Sat, 04 Jun 2016 05:01:10 GMT`.
fn http_date(value: &Value) -> Option<crate::model::Time> {
    moment::time(value).or_else(|| jiff::fmt::rfc2822::parse(value.as_str()?.trim()).ok().map(|z| z.timestamp().into()))
}

fn finding(detail: Obj<'_>) -> Option<Signal> {
    let id = detail.text("id")?;
    let title = detail.first(&["title", "type"]).and_then(|t| text::title(&t));
    let title = title.unwrap_or_else(|| "GuardDuty finding".to_owned());
    let parts = [("finding", Some(id.as_str()))];
    let mut signal = identity::signal(INFO.slug, "The id of GuardDuty's finding.", &parts, title);
    let level = detail.text("severity");
    signal.severity = match level.as_deref().and_then(|l| l.parse::<f64>().ok()) {
        Some(n) if n >= 9.0 => Severity::Critical,
        Some(n) if n >= 7.0 => Severity::High,
        Some(n) if n >= 4.0 => Severity::Medium,
        Some(_) => Severity::Low,
        None => Severity::Medium,
    };
    signal.severity_raw = level.and_then(|l| text::name(&l));
    signal.description = detail.text("description").and_then(|d| text::description(&d));
    let resource = detail.object("resource");
    signal.host = resource.object("instanceDetails").text("instanceId").and_then(|h| text::host(&h));
    signal.started_at = detail.object("service").time("eventFirstSeen").or_else(|| detail.time("createdAt"));
    signal.observed_at = detail.object("service").time("eventLastSeen").or_else(|| detail.time("updatedAt"));
    signal.quiet_after_secs = Some(QUIET_SECS);
    // The button Generate sample findings.
    signal.is_test = signal.title.starts_with("[SAMPLE]");
    labels::add(&mut signal.labels, "type", detail.text("type").as_deref());
    if let (Some(region), Some(_)) = (detail.text("region"), detail.text("accountId")) {
        let region = form_urlencoded::byte_serialize(region.as_bytes()).collect::<String>();
        let id: String = form_urlencoded::byte_serialize(id.as_bytes()).collect();
        signal.url = text::url(&format!(
            "https://console.aws.amazon.com/guardduty/home?region={region}#/findings?macros=current&fId={id}"
        ));
    }
    Some(signal)
}
