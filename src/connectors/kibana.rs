//! Elastic: rules of Kibana through a webhook connector, whose body is a template, and watches of Watcher.

use serde_json::Value;

use super::{Connector, Info, Overload, Request, body, fields::Obj, identity, labels, text};
use crate::model::{Parsed, Problem, Severity, Signal, SignalStatus};

pub(super) struct Kibana;

/// A watch says each time that its condition holds, and never that it does not any more.
const QUIET_SECS: u32 = 3600;

static INFO: Info = Info {
    slug: "kibana",
    name: "Elastic Kibana",
    tile: "Ki",
    way: "Connector of type Webhook",
    success: 202,
    overload: Overload::Unavailable,
    lenient: false,
    builds: false,
    signature: None,
    steps: &[
        "In Kibana, open Stack Management, Connectors, Create connector, and choose Webhook. Method POST, URL {url}, \
         Authentication None, and under Add header `X-Watchfire-Key` with `{key}` and `Content-Type` with \
         `application/json`.",
        "In the rule, under Actions, choose this connector, For each alert, On status changes, Run when Active (or the \
         group of the rule), with the Body: {\"rule_id\":\"{{rule.id}}\",\"rule_name\":\"{{rule.name}}\",\"alert_id\":\"{{alert.id}}\",\
         \"alert_uuid\":\"{{alert.uuid}}\",\"action_group\":\"{{alert.actionGroup}}\",\"reason\":\"{{context.reason}}\",\
         \"message\":\"{{context.message}}\",\"value\":\"{{context.value}}\",\"tags\":\"{{rule.tags}}\",\"space\":\"{{rule.spaceId}}\",\
         \"date\":\"{{date}}\",\"url\":\"{{rule.url}}\",\"severity\":\"high\"}",
        "Add the same action once more with Run when Recovered: without it nothing will ever resolve. Write the severity \
         that the rule deserves into both.",
        "In the connector, open Test, and run it with a body such as {\"title\": \"Test\", \"test\": true, \"rule_id\": \
         \"1\", \"alert_id\": \"1\", \"action_group\": \"recovered\"}.",
        "A watch of Watcher sends its ctx: set the body of its webhook action to {{#toJson}}ctx{{/toJson}}.",
    ],
    fields: &[
        ("Title", "rule_name and alert_id; metadata.name or watch_id of a watch"),
        ("Description", "reason, message"),
        ("Severity", "severity, else tag severity:, else high"),
        ("Service, host, environment", "tags service:, host:, env:"),
        ("Identity", "rule_id and alert_id; watch_id"),
        ("State", "action_group recovered resolves, any other fires"),
        ("Link", "url"),
        ("Time", "date; trigger.triggered_time"),
    ],
    sample: include_str!("samples/kibana.json"),
};

impl Connector for Kibana {
    fn info(&self) -> &'static Info {
        &INFO
    }

    fn parse(&self, request: &Request<'_>) -> Result<Parsed, Problem> {
        let mut body = body::read(request)?;
        unwrap(&mut body.root);
        let root = body.object(INFO.name)?;
        let ctx = if root.object("ctx").exists() { root.object("ctx") } else { root };
        let read = if ctx.has("watch_id") { watch(ctx) } else { rule(root) };
        let Some(mut signal) = read else {
            return Err(body::unrecognised(
                INFO.name,
                "`rule_id` or `rule_name` with `action_group`, or `watch_id`",
                root,
            ));
        };
        signal.repaired = body.repaired;
        Ok(Parsed { signals: vec![signal], notes: body.notes, ..Parsed::default() })
    }
}

/// Keep's template wraps three objects, each as text: `webhook_body.{context_info,alert_info,rule_info}`.
fn unwrap(root: &mut Value) {
    let Some(Value::Object(wrapped)) = root.get_mut("webhook_body").map(Value::take) else { return };
    let mut flat = serde_json::Map::new();
    for (from, before) in [("rule_info", "rule_"), ("alert_info", "alert_"), ("context_info", "")] {
        let inner = match wrapped.get(from) {
            Some(Value::String(text)) => serde_json::from_str(&unescaped(text)).ok(),
            Some(other) => Some(other.clone()),
            None => None,
        };
        for (name, value) in inner.as_ref().and_then(Value::as_object).into_iter().flatten() {
            let name = match (from, name.as_str()) {
                ("alert_info", "actionGroup") => "action_group".to_owned(),
                ("rule_info", "tags" | "url") => name.clone(),
                ("rule_info", "spaceId") => "space".to_owned(),
                _ => format!("{before}{name}"),
            };
            flat.entry(name).or_insert_with(|| value.clone());
        }
    }
    *root = Value::Object(flat);
}

/// Mustache writes for HTML, also into JSON: undone once.
fn unescaped(text: &str) -> String {
    if !text.contains('&') {
        return text.to_owned();
    }
    [
        ("&quot;", "\""),
        ("&#39;", "'"),
        ("&#x2F;", "/"),
        ("&#x60;", "`"),
        ("&#x3D;", "="),
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&amp;", "&"),
    ]
    .iter()
    .fold(text.to_owned(), |text, (entity, c)| text.replace(entity, c))
}

fn rule(root: Obj<'_>) -> Option<Signal> {
    let of = |names: &[&str]| root.first(names).map(|t| unescaped(&t));
    let rule = of(&["rule_id", "ruleId"]);
    let name = of(&["rule_name", "ruleName"]);
    let alert = of(&["alert_id", "alertId"]);
    let group = of(&["action_group", "alert_actionGroup", "actionGroup", "alert_action_group"]);
    let known = rule.clone().or_else(|| name.clone())?;
    group.as_ref().or(alert.as_ref())?;
    // Rules without groups of their own alert for `*` or for the query.
    let instance = alert.as_deref().filter(|a| *a != "*" && name.as_deref() != Some(*a) && *a != "query matched");
    let base = of(&["title"]).or_else(|| name.clone()).unwrap_or_else(|| format!("Rule {known}"));
    let title = match instance {
        Some(instance) if !base.contains(instance) => text::title(&format!("{base}: {instance}"))?,
        _ => text::title(&base)?,
    };
    let by = if rule.is_some() { "rule_id" } else { "rule_name" };
    let parts = [(by, Some(known.as_str())), ("alert_id", alert.as_deref())];
    let mut signal = identity::signal(INFO.slug, "The rule and its alert.", &parts, title);
    if group.as_deref().is_some_and(|g| g.eq_ignore_ascii_case("recovered")) {
        signal.status = SignalStatus::Resolved;
    }
    signal.labels = tags(root.get("tags"));
    let word = of(&["severity"]).or_else(|| labels::first(&signal.labels, &["severity", "priority"]));
    signal.severity = word.as_deref().and_then(text::severity).unwrap_or(Severity::High);
    signal.severity_raw = word.as_deref().and_then(text::name);
    signal.service = labels::service(&signal.labels);
    signal.host = of(&["host", "hostname"]).and_then(|h| text::host(&h)).or_else(|| labels::host(&signal.labels));
    signal.environment = labels::environment(&signal.labels);
    signal.description = of(&["reason", "message"]).and_then(|d| text::description(&d));
    let at = root.time("date");
    signal.observed_at = at;
    match signal.status {
        SignalStatus::Resolved => signal.ended_at = at,
        _ => signal.started_at = at,
    }
    signal.url = of(&["url", "alertDetailsUrl", "rule_url"]).and_then(|u| text::url(&u));
    labels::add(&mut signal.labels, "space", of(&["space"]).as_deref());
    for (name, value) in [("action_group", group), ("value", of(&["value"])), ("alert_uuid", of(&["alert_uuid"]))] {
        labels::add(&mut signal.annotations, name, value.as_deref());
    }
    signal.is_test = root.flag("test") == Some(true);
    Some(signal)
}

/// What Watcher knows while it acts, whole.
fn watch(ctx: Obj<'_>) -> Option<Signal> {
    let id = ctx.text("watch_id")?;
    let about = ctx.object("metadata");
    let title = about.first(&["name", "title"]).unwrap_or_else(|| id.clone());
    let rule = "The watch, which tells nothing else apart.";
    let mut signal = identity::signal(INFO.slug, rule, &[("watch_id", Some(id.as_str()))], text::title(&title)?);
    signal.labels = labels::read(ctx.get("metadata"));
    signal.labels.remove("xpack");
    let word = labels::first(&signal.labels, &["severity", "priority"]);
    signal.severity = word.as_deref().and_then(text::severity).unwrap_or(Severity::High);
    signal.severity_raw = word;
    signal.service = labels::service(&signal.labels);
    signal.host = labels::host(&signal.labels);
    signal.environment = labels::environment(&signal.labels);
    let at = ctx.object("trigger").time("triggered_time").or_else(|| ctx.time("execution_time"));
    (signal.started_at, signal.observed_at) = (at, at);
    let hits = ctx.object("payload").object("hits");
    let total = hits.text("total").or_else(|| hits.object("total").text("value"));
    signal.description = total.as_ref().map(|n| format!("{n} hits"));
    labels::add(&mut signal.annotations, "hits", total.as_deref());
    signal.quiet_after_secs = Some(QUIET_SECS);
    Some(signal)
}

/// A list, or its text: `a,env:production`, as Mustache joins lists.
fn tags(value: Option<&Value>) -> labels::Labels {
    match value {
        Some(Value::String(list)) => labels::tags(Some(&Value::String(unescaped(list)))),
        other => labels::tags(other),
    }
}
