//! Prometheus Alertmanager's webhook, versions 3 and 4.

use super::{
    Connector, Info, Overload, Request, alert_group, alert_group::GroupAlert, body, fields::Obj, generic, identity,
    labels, text,
};
use crate::model::{Note, Parsed, Problem, Severity, SignalStatus};

pub(super) struct Alertmanager;

static INFO: Info = Info {
    slug: "alertmanager",
    name: "Alertmanager",
    tile: "Am",
    way: "Receiver, webhook_configs",
    success: 202,
    // Alertmanager tries again after 5xx only: a 429 would lose the notification.
    overload: Overload::Unavailable,
    lenient: false,
    builds: false,
    signature: None,
    steps: &[
        "In alertmanager.yml, add a receiver: `receivers: [{name: watchfire, webhook_configs: [{url: '{url}', \
         send_resolved: true, http_config: {authorization: {credentials: '{key}'}}}]}]`.",
        "Set `receiver: watchfire` in `route`, or add a route with `continue: true` beside your others.",
        "Leave `max_alerts` at 0, so that no alert is left out.",
        "Check with `amtool check-config alertmanager.yml`, then reload with `POST /-/reload`.",
    ],
    fields: &[
        ("Title", "annotation summary, else label alertname"),
        ("Description", "annotation description, else message"),
        ("Severity", "label severity"),
        ("Service", "label service, app, … and last job"),
        ("Host", "label instance without port, else node"),
        ("Environment", "label env, environment, … and last cluster"),
        ("Identity", "fingerprint, else computed from the labels"),
        ("State", "status of each alert; Watchdog and DeadMansSwitch are heartbeats"),
        ("Time", "startsAt and endsAt"),
    ],
    sample: include_str!("samples/alertmanager.json"),
};

impl Connector for Alertmanager {
    fn info(&self) -> &'static Info {
        &INFO
    }

    fn groups(&self) -> bool {
        true
    }

    fn parse(&self, request: &Request<'_>) -> Result<Parsed, Problem> {
        let body = body::read(request)?;
        let group = Obj::of(Some(&body.root));
        let mut parsed = if group.exists() && !group.has("alerts") {
            // A `payload` map in the configuration can replace the whole body.
            generic::read(INFO.slug, "a list `alerts`, or a title of a custom payload", &body)?
        } else {
            let mut parsed = read(alert_group::recognise(INFO.name, &body)?, body.repaired)?;
            heartbeats(&mut parsed);
            parsed
        };
        parsed.notes.extend(body.notes);
        Ok(parsed)
    }
}

fn read(group: Obj<'_>, repaired: bool) -> Result<Parsed, Problem> {
    let external = group.url("externalURL");
    alert_group::read(INFO.name, group, repaired, |alert| {
        let title = title(alert)?;
        // Peers of one cluster send the same alert from different hosts, so the host is no part of the key.
        let mut signal = identity::signal(INFO.slug, &alert.rule(INFO.name), &[alert.identity(&title)], title.clone());
        signal.description =
            labels::first_text(&alert.annotations, &["description", "message"]).and_then(|d| text::description(&d));
        let word = alert.labels.get("severity");
        signal.severity = word.and_then(|w| text::severity(w)).unwrap_or(Severity::Medium);
        signal.severity_raw = word.map(|w| text::line(w, 100));
        signal.service = labels::first(&alert.labels, &["service", "app"])
            .or_else(|| labels::service(&alert.labels))
            .or_else(|| labels::first(&alert.labels, &["job"]));
        signal.host = labels::first(&alert.labels, &["instance", "node"])
            .and_then(|h| text::host(&h))
            .or_else(|| labels::host(&alert.labels));
        signal.environment = labels::first(&alert.labels, &["env", "environment"])
            .or_else(|| labels::environment(&alert.labels))
            .or_else(|| labels::first(&alert.labels, &["cluster"]));
        signal.url = alert.item.url("generatorURL").or_else(|| external.clone());
        Some(signal)
    })
}

fn title(alert: &GroupAlert<'_>) -> Option<String> {
    labels::first_text(&alert.annotations, &["summary"])
        .and_then(|s| text::title(&s))
        .or_else(|| alert.labels.get("alertname").and_then(|n| text::title(n)))
        .or_else(|| alert.fingerprint.as_ref().map(|f| format!("Alertmanager alert {}", text::line(f, 40))))
}

/// An alert that always fires says that the sender is alive; it opens nothing. Its end says the contrary.
fn heartbeats(parsed: &mut Parsed) {
    let notes = &mut parsed.notes;
    parsed.signals.retain(|signal| {
        let name = signal.labels.get("alertname").map(String::as_str);
        let Some(name @ ("Watchdog" | "DeadMansSwitch")) = name else { return true };
        let note = match signal.status {
            SignalStatus::Resolved => Note::Warning(format!("{name} ended: Prometheus may have stopped evaluating.")),
            _ => Note::Heartbeat(name.to_owned()),
        };
        if !notes.contains(&note) {
            notes.push(note);
        }
        false
    });
}
