//! Azure Monitor: the common alert schema of action groups, and the older schemas that were there before it.

use serde_json::Value;

use super::{Connector, Info, Overload, Request, body, fields::Obj, identity, labels, text};
use crate::model::{Note, Parsed, Problem, Severity, Signal, SignalStatus};

pub(super) struct Azure;

/// Stateless alerts (activity log, some log alerts) never say that they are over.
const QUIET_SECS: u32 = 3600;

static INFO: Info = Info {
    slug: "azure",
    name: "Azure Monitor",
    tile: "Az",
    way: "Action group, webhook",
    success: 202,
    overload: Overload::TooMany,
    lenient: false,
    builds: false,
    signature: None,
    steps: &[
        "In the Azure portal, open Monitor, Alerts, Action groups, and choose Create (or edit a group).",
        "On the tab Actions choose the Action type Webhook, with the URI {url}/{key}: webhooks of action groups can \
         carry no header, so the key goes into the URL.",
        "Set Enable the common alert schema to Yes, and save the group.",
        "Choose Test action group with a sample; it arrives here as a test.",
        "Give the action group to your alert rules. In metric and log alert rules leave Automatically resolve alerts on; \
         activity log alerts never resolve, and end here an hour after the last one.",
    ],
    fields: &[
        ("Title", "alertRule"),
        ("Description", "description, else the condition with its value"),
        ("Severity", "severity: Sev0 is critical, Sev1 high, Sev2 medium, Sev3 low, Sev4 info"),
        ("Service", "customProperties or labels service, else the resource of alertTargetIDs"),
        ("Host", "a virtual machine among alertTargetIDs or configurationItems"),
        ("Environment", "customProperties env or environment"),
        (
            "Identity",
            "alertId, which Fired and Resolved share; of service health trackingId, of resource health the resource",
        ),
        ("State", "monitorCondition; of service health the status"),
        ("Link", "investigationLink, else the alert in the portal"),
        ("Time", "firedDateTime, resolvedDateTime"),
    ],
    sample: include_str!("samples/azure.json"),
};

impl Connector for Azure {
    fn info(&self) -> &'static Info {
        &INFO
    }

    fn parse(&self, request: &Request<'_>) -> Result<Parsed, Problem> {
        let mut body = body::read(request)?;
        let mut parsed = Parsed { notes: std::mem::take(&mut body.notes), ..Parsed::default() };
        if let Some(code) = validation(&body.root) {
            let code = text::line(&code, 60);
            parsed.notes.push(Note::Ping(format!("Event Grid asks whether this address wants its events ({code}).")));
            return Ok(parsed);
        }
        let root = body.object(INFO.name)?;
        let data = root.object("data");
        let essentials = data.object("essentials");
        let signal = if essentials.exists() {
            common(essentials, data)
        } else if root.object("context").exists() {
            older(root.object("context"), root.text("status"), root.object("properties"))
        } else if data.object("context").exists() {
            older(data.object("context"), data.text("status"), data.object("properties"))
        } else {
            None
        };
        let Some(mut signal) = signal else {
            let looked_for = "`data.essentials` (the common alert schema), or `context` with `status`";
            return Err(body::unrecognised(INFO.name, looked_for, root));
        };
        signal.repaired = body.repaired;
        parsed.signals.push(signal);
        Ok(parsed)
    }

    fn success(&self, request: &Request<'_>) -> u16 {
        if self.reply(request).is_some() { 200 } else { INFO.success }
    }

    fn reply(&self, request: &Request<'_>) -> Option<(&'static str, String)> {
        // Everything else is read once more for nothing, so only a body that may be one.
        memchr::memmem::find(request.body, b"Microsoft.EventGrid.SubscriptionValidationEvent")?;
        Some(("validationResponse", validation(&body::read(request).ok()?.root)?))
    }
}

/// The code that Event Grid wants back before it sends anything.
fn validation(root: &Value) -> Option<String> {
    let event = Obj::of(root.as_array().and_then(|list| list.first()).or(Some(root)));
    let kind = event.first(&["eventType", "type"])?;
    (kind == "Microsoft.EventGrid.SubscriptionValidationEvent").then(|| event.object("data").text("validationCode"))?
}

fn severity(word: &str) -> Option<Severity> {
    Some(match word.to_ascii_lowercase().as_str() {
        "sev0" | "0" => Severity::Critical,
        "sev1" | "1" => Severity::High,
        "sev2" | "2" => Severity::Medium,
        "sev3" | "3" => Severity::Low,
        "sev4" | "4" | "verbose" => Severity::Info,
        other => return text::severity(other),
    })
}

/// A list of texts, which is sometimes one text.
fn texts(value: Option<&Value>) -> Vec<String> {
    match value {
        Some(Value::Array(list)) => list.iter().filter_map(text::scalar).collect(),
        Some(one) => text::scalar(one).into_iter().collect(),
        None => Vec::new(),
    }
}

fn common(essentials: Obj<'_>, data: Obj<'_>) -> Option<Signal> {
    let context = data.object("alertContext");
    let properties = context.object("properties");
    let rule = essentials.text("alertRule");
    let title = rule.as_deref().and_then(text::title);
    let id = essentials.text("alertId");
    let origin = essentials.text("originAlertId");
    let title = title.or_else(|| properties.text("title").and_then(|t| text::title(&t)));
    let title = title.or_else(|| id.as_ref().or(origin.as_ref()).map(|_| "Azure Monitor alert".to_owned()))?;
    let targets = texts(essentials.get("alertTargetIDs"));
    let target = targets.first().map(|t| t.to_ascii_lowercase());
    // Alerts of the activity log have no state: what Azure says of the same trouble later is an alert with an id of its own.
    let tracking = properties.text("trackingId");
    let mut signal = if tracking.is_some() {
        let parts = [("trackingId", tracking.as_deref()), ("target", target.as_deref())];
        identity::signal(INFO.slug, "The tracking id of service health, and the subscription.", &parts, title)
    } else if id.is_some() && !properties.has("currentHealthStatus") {
        let parts = [("alertId", id.as_deref())];
        identity::signal(INFO.slug, "The id of the alert, which Fired and Resolved share.", &parts, title)
    } else {
        let parts = [("alertRule", rule.as_deref()), ("target", target.as_deref())];
        identity::signal(INFO.slug, "The rule and its target, as no `alertId` lasts until the end.", &parts, title)
    };
    let health = properties.first(&["stage", "status", "currentHealthStatus"]).or_else(|| context.text("status"));
    let condition = essentials.text("monitorCondition");
    let word = condition.clone().map(|c| c.to_ascii_lowercase());
    let ended = health.as_deref().is_some_and(|h| matches!(h.to_ascii_lowercase().as_str(), "resolved" | "available"));
    signal.status = match word.as_deref() {
        Some("resolved" | "deactivated") => SignalStatus::Resolved,
        // Service health fires again with a status of its own when it is over.
        _ if ended => SignalStatus::Resolved,
        _ => SignalStatus::Firing,
    };
    let level = essentials.text("severity");
    signal.severity = level.as_deref().and_then(severity).unwrap_or(Severity::Medium);
    signal.severity_raw = level.and_then(|l| text::name(&l));
    signal.started_at = essentials.time("firedDateTime").or_else(|| essentials.time("eventDateTime"));
    if signal.status == SignalStatus::Resolved {
        signal.ended_at = essentials.time("resolvedDateTime");
    }
    let service = essentials.text("monitoringService");
    let stateless =
        essentials.text("signalType").is_some_and(|t| t.eq_ignore_ascii_case("Activity Log")) || condition.is_none();
    if signal.status == SignalStatus::Firing && stateless {
        signal.quiet_after_secs = Some(QUIET_SECS);
    }
    signal.labels = labels::read(data.get("customProperties"));
    for (name, value) in labels::read(context.get("labels")) {
        labels::add(&mut signal.labels, &name, Some(&value));
    }
    let conditions = context.object("condition").list("allOf");
    for dimension in conditions.iter().flat_map(|c| Obj::of(Some(c)).list("dimensions")).map(|d| Obj::of(Some(d))) {
        if let Some(name) = dimension.text("name").and_then(|n| text::name(&n)) {
            labels::add(&mut signal.labels, &name, dimension.text("value").as_deref());
        }
    }
    for (label, value) in [
        ("monitoring_service", service),
        ("signal_type", essentials.text("signalType")),
        ("target", targets.first().cloned()),
        ("resource_group", targets.first().and_then(|t| part(t, "resourcegroups"))),
        ("subscription", targets.first().and_then(|t| part(t, "subscriptions"))),
    ] {
        labels::add(&mut signal.labels, label, value.as_deref());
    }
    place(&mut signal, &targets, &texts(essentials.get("configurationItems")));
    let described = essentials.text("description").or_else(|| context.object("annotations").text("description"));
    let told = described.or_else(|| properties.first(&["communication", "defaultLanguageContent", "cause", "title"]));
    signal.description = told.or_else(|| measured(conditions)).and_then(|d| text::description(&d));
    for (note, value) in [
        ("condition", measured(conditions)),
        ("origin_alert_id", origin),
        ("status", health),
        ("operation", context.text("operationName")),
        ("caller", context.text("caller")),
        ("tracking_id", tracking),
    ] {
        labels::add(&mut signal.annotations, note, value.as_deref());
    }
    signal.runbook_url = context.object("annotations").url("runbook_url");
    signal.url = essentials.url("investigationLink").or_else(|| id.as_deref().and_then(portal));
    // The samples of Test action group.
    signal.is_test = rule.as_deref().is_some_and(|r| r.to_ascii_lowercase().starts_with("test-"))
        || properties.text("TestProperty").is_some();
    Some(signal)
}

/// `avg Percentage CPU is 97.2 (GreaterThan 90)`, line by line.
fn measured(conditions: &[Value]) -> Option<String> {
    let lines: Vec<String> = conditions
        .iter()
        .take(20)
        .filter_map(|c| {
            let c = Obj::of(Some(c));
            let name = c.first(&["metricName", "searchQuery"])?;
            let value = c.first(&["metricValue"]).map(|v| format!(" is {v}")).unwrap_or_default();
            let bound = c.text("operator").zip(c.text("threshold")).map(|(o, t)| format!(" ({o} {t})"));
            Some(format!("{}{value}{}", text::line(&name, 500), bound.unwrap_or_default()))
        })
        .collect();
    (!lines.is_empty()).then(|| lines.join("\n"))
}

/// What follows this word in the id of a resource: `/subscriptions/<id>/resourceGroups/<name>/…`.
fn part(id: &str, word: &str) -> Option<String> {
    let mut parts = id.split('/');
    parts.find(|p| p.eq_ignore_ascii_case(word))?;
    parts.next().and_then(text::name)
}

/// Service and host, by what is tagged and by the kind of the resource.
fn place(signal: &mut Signal, targets: &[String], items: &[String]) {
    let machine = |id: &str| {
        let id = id.to_ascii_lowercase();
        id.contains("/microsoft.compute/virtualmachines/") || id.contains("/microsoft.hybridcompute/machines/")
    };
    let last = |id: &String| id.trim_end_matches('/').rsplit('/').next().and_then(text::name);
    let first = targets.first();
    let item = items.first().and_then(|i| text::name(i));
    let is_machine = first.is_some_and(|id| machine(id));
    signal.host = labels::host(&signal.labels);
    if is_machine {
        signal.host = signal.host.take().or_else(|| first.and_then(last)).or_else(|| item.clone());
    }
    signal.service = labels::service(&signal.labels);
    // The whole subscription is no service.
    let resource = first.filter(|id| !is_machine && id.to_ascii_lowercase().contains("/providers/"));
    signal.service = signal.service.take().or_else(|| resource.and_then(last));
    signal.environment = labels::environment(&signal.labels);
    labels::add(&mut signal.labels, "resource", first.and_then(last).or(item).as_deref());
}

/// The page of an alert in the portal.
fn portal(id: &str) -> Option<String> {
    if !id.starts_with("/subscriptions/") {
        return None;
    }
    let id: String = form_urlencoded::byte_serialize(id.as_bytes()).collect();
    text::url(&format!(
        "https://portal.azure.com/#view/Microsoft_Azure_Monitoring_Alerts/AlertDetails.ReactView/alertId/{id}"
    ))
}

/// Classic metric alerts, near-real-time metric alerts, and activity log alerts, before the common schema.
fn older(context: Obj<'_>, status: Option<String>, custom: Obj<'_>) -> Option<Signal> {
    let activity = context.object("activityLog");
    let name = context.text("name").or_else(|| activity.first(&["operationName", "description"]));
    let id = context.first(&["resourceId"]).or_else(|| activity.text("resourceId"));
    let sent = name.clone().or_else(|| context.text("id"))?;
    let title = text::title(&sent)?;
    let rule = context.text("id").or(name);
    let parts = [("alert", rule.as_deref()), ("resource", id.as_deref())];
    let mut signal = identity::signal(INFO.slug, "The alert rule and the resource.", &parts, title);
    let state = status.or_else(|| activity.text("status"));
    let word = state.as_deref().map(str::to_ascii_lowercase);
    signal.status = match word.as_deref() {
        Some("resolved" | "deactivated" | "succeeded") if !activity.exists() => SignalStatus::Resolved,
        Some("resolved") => SignalStatus::Resolved,
        _ => SignalStatus::Firing,
    };
    let level = context.text("severity").or_else(|| activity.text("level"));
    signal.severity = level.as_deref().and_then(severity).unwrap_or(Severity::Medium);
    signal.severity_raw = level.or(state.clone()).and_then(|l| text::name(&l));
    let at = context.time("timestamp").or_else(|| activity.time("eventTimestamp"));
    signal.observed_at = at;
    match signal.status {
        SignalStatus::Firing => signal.started_at = at,
        SignalStatus::Resolved => signal.ended_at = at,
        SignalStatus::Acknowledged | SignalStatus::Info => {}
    }
    if signal.status == SignalStatus::Firing && activity.exists() {
        signal.quiet_after_secs = Some(QUIET_SECS);
    }
    for (name, value) in custom.iter() {
        if let Some(name) = text::name(name) {
            labels::add(&mut signal.labels, &name, text::scalar(value).as_deref());
        }
    }
    let targets: Vec<String> = id.into_iter().collect();
    place(&mut signal, &targets, &[]);
    let conditions = context.object("condition").list("allOf");
    let single = context.object("condition");
    let one = single.text("metricName").map(|name| {
        let value = single.text("metricValue").map(|v| format!(" is {v}")).unwrap_or_default();
        format!("{name}{value}")
    });
    let told = context.text("description").or_else(|| activity.text("description"));
    signal.description = told.or_else(|| measured(conditions)).or(one).and_then(|d| text::description(&d));
    signal.url = context.url("portalLink");
    for (note, value) in [("status", state), ("resource_group", context.text("resourceGroupName"))] {
        labels::add(&mut signal.annotations, note, value.as_deref());
    }
    Some(signal)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Time;

    #[test]
    fn event_grids_code_is_sent_back() {
        let check = |body: &str, want: Option<&str>| {
            let request = Request {
                headers: &[],
                query: &[],
                body: body.as_bytes(),
                received_at: Time::default(),
                rca_enabled: false,
            };
            let want = want.map(|code| ("validationResponse", code.to_owned()));
            assert_eq!(Azure.reply(&request), want, "{body}");
            if want.is_some() {
                assert!(matches!(Azure.parse(&request).unwrap().notes.as_slice(), [Note::Ping(_)]));
            }
        };
        let kind = r#""eventType":"Microsoft.EventGrid.SubscriptionValidationEvent""#;
        check(&format!(r#"[{{{kind},"data":{{"validationCode":"0BFE-1"}}}}]"#), Some("0BFE-1"));
        check(&format!(r#"{{{kind},"data":{{"validationCode":"0BFE-2"}}}}"#), Some("0BFE-2"));
        check(&format!("[{{{kind}}}]"), None);
        check(r#"[{"eventType":"Microsoft.Storage.BlobCreated","data":{"validationCode":"x"}}]"#, None);
    }
}
