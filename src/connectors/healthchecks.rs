//! Healthchecks.io: a template for down and one for up.

use serde_json::Value;

use super::{Connector, Info, Overload, Request, body, fields::Obj, identity, labels, text};
use crate::model::{Parsed, Problem, Severity, Signal, SignalStatus};

pub(super) struct Healthchecks;

static INFO: Info = Info {
    slug: "healthchecks",
    name: "Healthchecks.io",
    tile: "Hc",
    way: "Integration, webhook",
    success: 202,
    overload: Overload::Unavailable,
    lenient: false,
    builds: false,
    signature: None,
    steps: &[
        "In Healthchecks, open Integrations, and choose Add Integration at Webhook.",
        "Under Execute when a check goes down choose POST and the URL {url}, with the Request Headers `X-Watchfire-Key: \
         {key}` and `Content-Type: application/json`.",
        "Set Request Body to: {\"check\": $JSON, \"code\": \"$CODE\", \"status\": \"$STATUS\", \"name\": $NAME_JSON, \
         \"tags\": \"$TAGS\", \"now\": \"$NOW\", \"exitstatus\": \"$EXITSTATUS\", \"output\": $BODY_JSON}",
        "Give the same four under Execute when a check goes up, or nothing will ever resolve.",
        "Save, and choose Test! in the list of integrations. Tags of a check such as env:production or severity:critical \
         are read.",
    ],
    fields: &[
        ("Title", "name"),
        ("Description", "check.desc, and the last output"),
        ("Severity", "tag severity: or priority:, else high"),
        ("Service, host, environment", "tags service:, host:, env:, else the slug as service"),
        ("Identity", "code, else check.uuid or check.unique_key, else the slug or name"),
        ("State", "status: down fires, up resolves"),
        ("Time", "now"),
    ],
    sample: include_str!("samples/healthchecks.json"),
};

impl Connector for Healthchecks {
    fn info(&self) -> &'static Info {
        &INFO
    }

    fn takes_query(&self) -> bool {
        true
    }

    fn parse(&self, request: &Request<'_>) -> Result<Parsed, Problem> {
        let body = body::read(request)?;
        let root = body.object(INFO.name)?;
        let Some(mut signal) = read(root) else {
            return Err(body::unrecognised(INFO.name, "`status`, with `check`, `code` or `name`", root));
        };
        signal.repaired = body.repaired;
        Ok(Parsed { signals: vec![signal], notes: body.notes, ..Parsed::default() })
    }
}

fn read(root: Obj<'_>) -> Option<Signal> {
    // `$JSON` alone is the check itself.
    let check = if root.object("check").exists() { root.object("check") } else { root };
    let status = root.text("status").or_else(|| check.text("status"))?.to_ascii_lowercase();
    let name = root.text("name").or_else(|| check.text("name"));
    let slug = root.text("slug").or_else(|| check.text("slug"));
    let code = root.first(&["code", "uuid"]).or_else(|| check.first(&["uuid", "unique_key"]));
    let ping = check.url("ping_url").and_then(|u| text::name(u.rsplit('/').next()?));
    let code = code.or(ping);
    let title = [name.as_deref(), slug.as_deref()].into_iter().flatten().find_map(text::title);
    let title = title.or_else(|| Some(format!("Check {}", code.as_ref()?)))?;
    let mut signal = if code.is_some() {
        identity::signal(INFO.slug, "The code of the check.", &[("code", code.as_deref())], title)
    } else {
        let by = if slug.is_some() { ("slug", slug.as_deref()) } else { ("name", name.as_deref()) };
        identity::signal(INFO.slug, "The check's slug or name, as no code was sent.", &[by], title)
    };
    signal.status = match status.as_str() {
        "down" | "fail" => SignalStatus::Firing,
        "up" | "ok" => SignalStatus::Resolved,
        // Grace, new, paused, started: nothing is wrong yet.
        _ => SignalStatus::Info,
    };
    signal.labels = tags(root.get("tags").or_else(|| check.get("tags")));
    let word = labels::first(&signal.labels, &["severity", "priority"]);
    signal.severity = match signal.status {
        SignalStatus::Info => Severity::Info,
        _ => word.as_deref().and_then(text::severity).unwrap_or(Severity::High),
    };
    signal.severity_raw = word.or_else(|| text::name(&status));
    signal.service = labels::service(&signal.labels).or_else(|| slug.as_deref().and_then(text::name));
    signal.host = labels::host(&signal.labels);
    signal.environment = labels::environment(&signal.labels);
    let output = root.first(&["output", "body"]);
    signal.description = check.text("desc").or_else(|| output.clone()).and_then(|d| text::description(&d));
    let at = root.time("now");
    signal.observed_at = at;
    match signal.status {
        SignalStatus::Firing => signal.started_at = at,
        SignalStatus::Resolved => signal.ended_at = at,
        SignalStatus::Acknowledged | SignalStatus::Info => {}
    }
    signal.url = root.url("url").or_else(|| check.url("details_url")).or_else(|| details(check));
    for name in ["last_ping", "next_ping", "grace", "timeout", "schedule", "tz", "n_pings", "methods"] {
        labels::add(&mut signal.annotations, name, check.text(name).as_deref());
    }
    labels::add(&mut signal.annotations, "exit_status", root.text("exitstatus").as_deref());
    labels::add(&mut signal.annotations, "output", output.as_deref());
    // The button's check has this name and an id of zeros.
    signal.is_test =
        name.as_deref() == Some("TEST") || code.as_deref().is_some_and(|c| c.bytes().all(|b| matches!(b, b'0' | b'-')));
    Some(signal)
}

/// The page of the check stands where its API does: `https://host/api/v3/checks/<uuid>`.
fn details(check: Obj<'_>) -> Option<String> {
    let api = check.url("update_url")?;
    let (base, uuid) = api.split_once("/api/")?;
    let uuid = uuid.rsplit('/').next()?;
    text::url(&format!("{base}/checks/{uuid}/details/"))
}

/// Tags are words with spaces between; `env:production` is a label, a word alone a flag.
fn tags(value: Option<&Value>) -> labels::Labels {
    match value {
        Some(Value::String(words)) if !text::absent(words) => {
            labels::tags(Some(&Value::String(words.split_whitespace().collect::<Vec<_>>().join(","))))
        }
        other => labels::tags(other.filter(|v| !v.is_string())),
    }
}
