//! Uptime Kuma: the notification type Webhook, as JSON or as a form with one field.

use serde_json::Value;

use super::{Connector, Info, Overload, Request, body, fields::Obj, identity, labels, moment, text};
use crate::model::{Note, Parsed, Problem, Severity, Signal, SignalStatus};

pub(super) struct UptimeKuma;

static INFO: Info = Info {
    slug: "uptime-kuma",
    name: "Uptime Kuma",
    tile: "Uk",
    way: "Notification, type webhook",
    success: 202,
    overload: Overload::NeverRefuse,
    lenient: false,
    builds: false,
    signature: None,
    steps: &[
        "In Uptime Kuma, open Settings, Notifications, Setup Notification, and choose the Notification Type Webhook.",
        "Set Post URL to {url} and Request Body to Preset - application/json. Method GET works too.",
        "Switch on Additional Headers and give `{\"X-Watchfire-Key\": \"{key}\"}`. Without headers the URL {url}/{key} \
         does the same.",
        "Press Test: it arrives here as a test that opens nothing.",
        "Check Default enabled and Apply on all existing monitors, and save. Give monitors tags such as service, env or \
         severity with values; they are read.",
    ],
    fields: &[
        ("Title", "monitor.name"),
        ("Severity", "tag severity or priority, else high"),
        ("Service, environment", "tags service, app, env, environment"),
        ("Host", "monitor.hostname, else the host of monitor.url"),
        ("Identity", "monitor.id"),
        ("State", "heartbeat.status: 0 down, 1 up; 2 pending and 3 maintenance are lines in the timeline"),
        ("Link", "the monitored address"),
        ("Time", "heartbeat.time, which is UTC"),
    ],
    sample: include_str!("samples/uptime-kuma.json"),
};

impl Connector for UptimeKuma {
    fn info(&self) -> &'static Info {
        &INFO
    }

    fn takes_query(&self) -> bool {
        true
    }

    fn parse(&self, request: &Request<'_>) -> Result<Parsed, Problem> {
        let mut body = body::read(request)?;
        let mut parsed = Parsed { notes: std::mem::take(&mut body.notes), ..Parsed::default() };
        let root = body.object(INFO.name)?;
        // A query or a form of separate fields carries both as texts.
        let (beat, monitor) = (inner(root, "heartbeat"), inner(root, "monitor"));
        let (beat, monitor) = (Obj::of(beat.as_ref()), Obj::of(monitor.as_ref()));
        let said = root.text("msg");
        if !beat.exists() && !monitor.exists() {
            // The test button, and news of certificates: a sentence without a monitor.
            let Some(said) = said.as_deref().and_then(text::title) else {
                return Err(body::unrecognised(INFO.name, "`heartbeat`, `monitor` and `msg`", root));
            };
            match certificate(&said) {
                Some(mut signal) => {
                    signal.repaired = body.repaired;
                    parsed.signals.push(signal);
                }
                None => parsed.notes.push(Note::Ping(said)),
            }
            return Ok(parsed);
        }
        let Some(mut signal) = read(beat, monitor, said.as_deref()) else {
            return Err(body::unrecognised(INFO.name, "`monitor.id` or `monitor.name`", root));
        };
        signal.repaired = body.repaired;
        parsed.signals.push(signal);
        Ok(parsed)
    }
}

fn inner(root: Obj<'_>, name: &str) -> Option<Value> {
    match root.get(name)? {
        Value::String(text) => serde_json::from_str(text).ok().filter(Value::is_object),
        other => Some(other.clone()).filter(Value::is_object),
    }
}

fn read(beat: Obj<'_>, monitor: Obj<'_>, said: Option<&str>) -> Option<Signal> {
    let id = monitor.text("id").or_else(|| beat.first(&["monitorID", "monitor_id"]));
    let name = monitor.text("name");
    let title = name.as_deref().and_then(text::title);
    let title = title.or_else(|| said.and_then(text::title)).or_else(|| Some(format!("Monitor {}", id.as_ref()?)))?;
    let mut signal = if id.is_some() {
        identity::signal(INFO.slug, "The id of the monitor.", &[("monitor.id", id.as_deref())], title)
    } else {
        let rule = "The name of the monitor, as no id was sent.";
        identity::signal(INFO.slug, rule, &[("monitor.name", Some(name.as_deref()?))], title)
    };
    let status = beat.text("status");
    signal.status = match status.as_deref() {
        Some("0" | "false") => SignalStatus::Firing,
        Some("1" | "true") => SignalStatus::Resolved,
        _ => SignalStatus::Info,
    };
    signal.labels = labels::tags(monitor.get("tags"));
    let word = labels::first(&signal.labels, &["severity", "priority"]);
    signal.severity = match signal.status {
        SignalStatus::Info => Severity::Info,
        _ => word.as_deref().and_then(text::severity).unwrap_or(Severity::High),
    };
    let words = match status.as_deref() {
        Some("0" | "false") => "down",
        Some("1" | "true") => "up",
        Some("2") => "pending",
        Some("3") => "maintenance",
        _ => "unknown",
    };
    signal.severity_raw = word.or_else(|| Some(words.to_owned()));
    // What is not used holds the beginning of an address.
    let address = monitor.url("url").filter(|u| text::url_host(u).is_some());
    let machine = monitor.text("hostname").and_then(|h| text::host(&h));
    signal.host = machine.or_else(|| address.as_deref().and_then(text::url_host));
    signal.service = labels::service(&signal.labels);
    signal.environment = labels::environment(&signal.labels);
    signal.description = beat.text("msg").or_else(|| said.map(str::to_owned)).and_then(|d| text::description(&d));
    let at = beat.time("time");
    signal.observed_at = at;
    match signal.status {
        SignalStatus::Firing => signal.started_at = at,
        SignalStatus::Resolved => {
            signal.ended_at = at;
            signal.started_at = beat.get("lastDownTime").and_then(moment::time);
        }
        SignalStatus::Acknowledged | SignalStatus::Info => {}
    }
    signal.url = address;
    for (label, name) in [("monitor_type", "type"), ("path", "pathName"), ("port", "port")] {
        labels::add(&mut signal.labels, label, monitor.text(name).as_deref());
    }
    labels::add(&mut signal.annotations, "status", Some(words));
    for name in ["ping", "retries", "duration", "timezone", "localDateTime"] {
        labels::add(&mut signal.annotations, name, beat.text(name).as_deref());
    }
    Some(signal)
}

/// `[shop][https://shop.example.com] server certificate shop.example.com will be expired in 7 days`
fn certificate(said: &str) -> Option<Signal> {
    if !said.contains("certificate") || !said.contains("expire") {
        return None;
    }
    let name = said.strip_prefix('[').and_then(|rest| rest.split_once(']')).map(|(name, _)| name);
    let rule = "The monitor whose certificate expires, as the message names it.";
    let subject = name.or_else(|| said.split(" will ").next());
    let parts = [("about", Some("certificate")), ("monitor", subject)];
    let mut signal = identity::signal(INFO.slug, rule, &parts, said);
    // Told once at each of a few days before; worth a look, and nobody says when it was renewed.
    signal.severity = Severity::Medium;
    signal.quiet_after_secs = Some(24 * 3600);
    let host = said.split(['[', ']', ' ']).find_map(text::url_host);
    signal.host = host;
    Some(signal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificates_that_expire() {
        let said = "[shop][https://shop.example.com] server certificate shop.example.com will be expired in 7 days";
        let signal = certificate(said).unwrap();
        assert_eq!(
            (signal.dedup_key.as_str(), signal.host.as_deref()),
            ("uptime-kuma:certificate:shop", Some("shop.example.com"))
        );
        assert!(certificate("My Webhook Testing").is_none());
    }
}
