//! Better Stack (Uptime): the webhook integration, whose body is the incident as its API gives it.

use serde_json::Value;

use super::{Connector, Info, Overload, Request, body, fields::Obj, identity, labels, text};
use crate::model::{Parsed, Problem, Severity, Signal, SignalStatus};

pub(super) struct BetterStack;

static INFO: Info = Info {
    slug: "better-stack",
    name: "Better Stack",
    tile: "Bs",
    way: "Outgoing webhook",
    success: 202,
    overload: Overload::Unavailable,
    lenient: false,
    builds: false,
    signature: None,
    steps: &[
        "In Better Stack, open Uptime, Integrations, Exporting data, and choose Outgoing webhook, Incident.",
        "Set URL to {url} and choose the events On incident started, acknowledged and resolved: without resolved nothing \
         will ever resolve here.",
        "Add the request header `X-Watchfire-Key` with the value `{key}`, or use the URL {url}/{key}.",
        "Leave the body as it is. Metadata of a monitor such as service, env, host or severity is read.",
    ],
    fields: &[
        ("Title", "attributes.name and attributes.cause"),
        ("Severity", "metadata severity or priority, else high"),
        ("Service, environment", "metadata service, app, env, environment"),
        ("Host", "metadata host, else the host of attributes.url"),
        ("Identity", "data.id"),
        (
            "State",
            "attributes.status: Started fires, Acknowledged and Validating are acknowledged, Resolved resolves, \
             Unconfirmed is a line in the timeline",
        ),
        ("Link", "attributes.origin_url, else the monitored address"),
        ("Time", "attributes.started_at, resolved_at"),
    ],
    sample: include_str!("samples/better-stack.json"),
};

impl Connector for BetterStack {
    fn info(&self) -> &'static Info {
        &INFO
    }

    fn parse(&self, request: &Request<'_>) -> Result<Parsed, Problem> {
        let body = body::read(request)?;
        let root = body.object(INFO.name)?;
        let Some(mut signal) = read(root) else {
            let looked_for = "`data.id` and `data.attributes` with `status`, or the time of its start";
            return Err(body::unrecognised(INFO.name, looked_for, root));
        };
        signal.repaired = body.repaired;
        Ok(Parsed { signals: vec![signal], notes: body.notes, ..Parsed::default() })
    }
}

fn read(root: Obj<'_>) -> Option<Signal> {
    let data = if root.object("data").exists() { root.object("data") } else { root };
    let about = data.object("attributes");
    let id = data.text("id");
    let status = status(about)?;
    let name = about.text("name").or_else(|| about.text("url"));
    let cause = about.text("cause");
    let title = match (&name, &cause) {
        (Some(name), Some(cause)) => text::title(&format!("{name}: {cause}")),
        (Some(one), None) | (None, Some(one)) => text::title(one),
        (None, None) => None,
    };
    let title = title.or_else(|| Some(format!("Incident {}", id.as_ref()?)))?;
    let parts = [("data.id", id.as_deref())];
    let mut signal = identity::signal(INFO.slug, "The id of the incident at Better Stack.", &parts, title);
    signal.status = status;
    signal.labels = metadata(about.object("metadata"));
    let word = labels::first(&signal.labels, &["severity", "priority"]);
    signal.severity = match status {
        SignalStatus::Info => Severity::Info,
        _ => word.as_deref().and_then(text::severity).unwrap_or(Severity::High),
    };
    signal.severity_raw = word;
    let address = about.url("url");
    signal.service = labels::service(&signal.labels);
    signal.host = labels::host(&signal.labels).or_else(|| address.as_deref().and_then(text::url_host));
    signal.environment = labels::environment(&signal.labels);
    signal.description = cause.as_deref().and_then(text::description);
    signal.started_at = about.time("started_at");
    if status == SignalStatus::Resolved {
        signal.ended_at = about.time("resolved_at");
    }
    signal.url = about.url("origin_url").or(address);
    signal.image_url = about.url("screenshot_url");
    for (label, name) in [("team", "team_name"), ("group", "incident_group_id")] {
        labels::add(&mut signal.labels, label, about.text(name).as_deref());
    }
    for name in ["status", "http_method", "acknowledged_by", "resolved_by", "response_url", "response_content"] {
        labels::add(&mut signal.annotations, name, about.text(name).as_deref());
    }
    let regions: Vec<String> = about.list("regions").iter().filter_map(text::scalar).collect();
    labels::add(&mut signal.annotations, "regions", Some(regions.join(", ").as_str()));
    Some(signal)
}

/// By the word, in any case; where a template leaves it out, by the times.
fn status(about: Obj<'_>) -> Option<SignalStatus> {
    let word = about.text("status").map(|s| s.to_ascii_lowercase());
    Some(match word.as_deref() {
        Some("started") => SignalStatus::Firing,
        Some("acknowledged" | "validating") => SignalStatus::Acknowledged,
        Some("resolved") => SignalStatus::Resolved,
        // Unconfirmed, and whatever comes to be added.
        Some(_) => SignalStatus::Info,
        None if about.has("resolved_at") => SignalStatus::Resolved,
        None if about.has("acknowledged_at") => SignalStatus::Acknowledged,
        None if about.has("started_at") => SignalStatus::Firing,
        None => return None,
    })
}

/// Names with a value, or with a list of `{type, value}`, which the newer API writes.
fn metadata(object: Obj<'_>) -> labels::Labels {
    let mut found = labels::Labels::new();
    for (name, value) in object.iter() {
        let values: Vec<String> = match value {
            Value::Array(list) => {
                let inner = |v: &Value| Obj::of(Some(v)).text("value").or_else(|| text::scalar(v));
                list.iter().filter_map(inner).collect()
            }
            other => text::scalar(other).into_iter().collect(),
        };
        if let Some(name) = text::name(name) {
            labels::add(&mut found, &name, Some(values.join(",").as_str()));
        }
    }
    found
}
