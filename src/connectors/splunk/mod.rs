//! Splunk: the webhook alert action of Enterprise and Cloud, and the detectors of Splunk Observability.

mod observability;

use serde_json::Value;

use super::{
    Connector, Info, Overload, Request, Signature, blank::blank, body, fields::Obj, identity, labels, moment, text,
};
use crate::model::{Parsed, Problem, Severity, Signal, SignalStatus, Time};

pub(super) struct Splunk;

/// A search never says that it found nothing any more.
const QUIET_SECS: u32 = 3600;
/// Enough of a raw event to know it by.
const RAW: usize = 2 << 10;

static INFO: Info = Info {
    slug: "splunk",
    name: "Splunk",
    tile: "Sp",
    way: "Alert action, webhook",
    success: 202,
    overload: Overload::NeverRefuse,
    lenient: false,
    builds: false,
    signature: Some("Splunk Observability: X-SFX-Signature (HMAC-SHA256) with the shared secret of the webhook"),
    steps: &[
        "Splunk's webhook can carry no header, so the key goes into the URL: {url}/{key}.",
        "In Splunk, allow that address under Settings, Server settings, Webhook allow list.",
        "Open the search, choose Save As, Alert (or edit the alert), then Add Actions, Webhook, and paste the URL.",
        "Let the search keep the fields severity, service and host, for example with `table _time host service \
         severity message`; Throttle as you like.",
        "There is no message when it is over: the alert ends after an hour without a repeat, or when a result has the \
         field status with the value ok.",
        "Splunk Observability: Data Management, Webhook, with the URL {url} and a shared secret; put the same secret here.",
    ],
    fields: &[
        ("Title", "search_name"),
        ("Description", "result.message, else result._raw"),
        ("Severity", "result.severity, urgency or level; without any: medium"),
        ("Service", "result.service, app or application"),
        ("Host", "result.host"),
        ("Environment", "result.env or environment"),
        ("Identity", "app, search_name, and result.dedup_key, alert_key, host or service"),
        ("State", "firing; result.status ok, resolved, cleared or normal resolves"),
        ("Link", "results_link"),
        ("Time", "result._time, else the time in sid"),
        ("Evidence", "every column of the result row, several values of one joined by commas"),
    ],
    sample: include_str!("../samples/splunk.json"),
};

impl Connector for Splunk {
    fn info(&self) -> &'static Info {
        &INFO
    }

    fn parse(&self, request: &Request<'_>) -> Result<Parsed, Problem> {
        let body = body::read(request)?;
        let root = body.object(INFO.name)?;
        let read = if observability::is(root) { observability::read(root) } else { search(root) };
        let mut signal = read.ok_or_else(|| {
            body::unrecognised(
                INFO.name,
                "`search_name`, `sid` or `result` (alert action), or `detector` or `incidentId` (Observability)",
                root,
            )
        })?;
        signal.repaired = body.repaired;
        Ok(Parsed { signals: vec![signal], notes: body.notes, ..Parsed::default() })
    }

    fn success(&self, request: &Request<'_>) -> u16 {
        // Observability repeats for a day whatever is not answered with just this code.
        if observability::is_from(request) { 200 } else { INFO.success }
    }

    fn quiet_secs(&self) -> Option<u32> {
        Some(QUIET_SECS)
    }

    fn redact(&self, body: &mut [u8]) {
        // A custom alert action may send the key of the session that it runs in.
        blank(body, "session_key");
    }

    fn verify(&self, request: &Request<'_>, secrets: &[&str]) -> Signature {
        observability::verify(request, secrets)
    }
}

fn search(root: Obj<'_>) -> Option<Signal> {
    let result = root.object("result");
    let app = root.text("app");
    let name = root.first(&["search_name", "name"]);
    let title = name.as_deref().and_then(text::title).unwrap_or_else(|| "Splunk search without a name".to_owned());
    let field = |names: &[&str]| names.iter().find_map(|name| one(result.get(name)?));
    let by = ["dedup_key", "alert_key", "host", "service"]
        .into_iter()
        .find_map(|name| Some((name, one(result.get(name)?)?)));
    let sid = root.text("sid");
    if name.is_none() && by.is_none() && sid.is_none() {
        return None;
    }
    let mut parts = vec![("app", app.as_deref()), ("search_name", name.as_deref())];
    if let Some((field, value)) = &by {
        parts.push((field, Some(value)));
    } else if name.is_none() {
        // Each run has its own, but there is nothing else to tell searches without a name apart.
        parts.push(("sid", sid.as_deref()));
    }
    let rule = "The saved search in its app, and the first of dedup_key, alert_key, host and service in the result.";
    let mut signal = identity::signal(INFO.slug, rule, &parts, title);
    let over = field(&["status", "state"])
        .is_some_and(|s| matches!(s.to_ascii_lowercase().as_str(), "ok" | "resolved" | "cleared" | "normal"));
    signal.status = if over { SignalStatus::Resolved } else { SignalStatus::Firing };
    let word = field(&["severity", "urgency", "level"]).or_else(|| root.first(&["severity", "alert_severity"]));
    signal.severity = word.as_deref().and_then(severity).unwrap_or(Severity::Medium);
    signal.severity_raw = word.and_then(|w| text::name(&w));
    signal.service = field(&["service", "app", "application"]).and_then(|s| text::name(&s));
    signal.host = field(&["host", "hostname"]).and_then(|h| text::host(&h));
    signal.environment = field(&["env", "environment"]).and_then(|e| text::name(&e));
    let raw = field(&["_raw"]).map(|raw| text::head(&raw, RAW).to_owned());
    signal.description = field(&["message"]).or(raw).and_then(|d| text::description(&d));
    let at = field(&["_time"]).and_then(|t| moment::parse(&t)).or_else(|| sid.as_deref().and_then(time_of));
    signal.observed_at = at;
    if over {
        signal.ended_at = at;
    } else {
        signal.started_at = at;
        signal.quiet_after_secs = Some(QUIET_SECS);
    }
    signal.url = root.url("results_link");
    signal.labels = labels::read(root.get("result"));
    // Splunk's own fields say nothing about the alert, and `_raw` is the description.
    signal.labels.retain(|name, _| !name.starts_with('_') && !name.starts_with("date_") && name != "punct");
    for name in ["app", "owner", "sid", "results_count", "result_count", "search", "search_query", "server_host"] {
        labels::add(&mut signal.annotations, name, root.text(name).as_deref());
    }
    Some(signal)
}

/// A field of the result; of several values the first.
fn one(value: &Value) -> Option<String> {
    match value {
        Value::Array(list) => list.iter().find_map(text::scalar),
        single => text::scalar(single),
    }
}

/// The time of the run in `scheduler__admin__search__RMD5…_at_1791467606_3`.
fn time_of(sid: &str) -> Option<Time> {
    let (_, after) = sid.rsplit_once("_at_")?;
    // Ten digits since 2001; the documentation's own sample has eight.
    moment::parse(after.split('_').next().filter(|seconds| seconds.len() >= 10)?)
}

/// Splunk counts upwards: 6 is the worst.
fn severity(word: &str) -> Option<Severity> {
    Some(match word.trim() {
        "1" | "2" => Severity::Info,
        "3" => Severity::Medium,
        "4" | "5" => Severity::High,
        "6" => Severity::Critical,
        other => return text::severity(other),
    })
}
