//! Netdata: Cloud's webhook in all its generations, reachability, the test notification, and the agent's own senders.

mod agent;
mod cloud;
mod senders;

use base64::{Engine, prelude::BASE64_STANDARD};

use super::{
    ClientCertificate, Connector, Info, Overload, Request, body,
    fields::Obj,
    identity,
    labels::{self, Labels},
    signature, text,
};
use crate::model::{Note, Parsed, Problem, Severity, Signal, SignalStatus};

pub(super) struct Netdata;

static INFO: Info = Info {
    slug: "netdata",
    name: "Netdata",
    tile: "Nd",
    way: "Cloud webhook, or an agent",
    success: 202,
    // Nothing is known of retries, so nothing may be turned away.
    overload: Overload::NeverRefuse,
    lenient: false,
    builds: false,
    signature: None,
    steps: &[
        "In Netdata Cloud, open Space settings, Alerts & Notifications, Add configuration, Webhook. Pick the rooms, and All \
         Alerts and unreachable, so that silent nodes arrive too.",
        "Paste the Webhook URL {url}. Netdata accepts only https addresses.",
        "Choose Bearer as authentication and give {key} as the token. Basic (the key as password) and Mutual TLS work \
         too.",
        "Where a challenge secret is asked for, put the same one here. Netdata then asks for a signed answer when you save; \
         it is given with this secret.",
        "Press Test. The verification token of the test notification then stands on this page; paste it into Netdata's \
         form where it is asked for, and save.",
        "Agents without Cloud: in health_alarm_notify.conf set SEND_OPSGENIE=YES, OPSGENIE_API_KEY={key} and \
         OPSGENIE_API_URL to the address of this server.",
        "Other senders of the agent work as well: STACKPULSE_WEBHOOK, SLACK_WEBHOOK_URL, DISCORD_WEBHOOK_URL, \
         ROCKETCHAT_WEBHOOK_URL, FLOCK_WEBHOOK_URL, MSTEAMS_WEBHOOK_URL, ILERT_ALERT_SOURCE_URL, SIGNL4_WEBHOOK_URL or \
         DEFAULT_RECIPIENT_NTFY with {url}/{key}; ALERTA_WEBHOOK_URL with {url} and ALERTA_API_KEY \
         with {key}; GOTIFY_APP_URL with {url} and GOTIFY_APP_TOKEN with {key}.",
        "Or let custom_sender() of that file send it: `curl -sS -H 'Authorization: Bearer {key}' {url} --data-urlencode \
         \"alarm=$name\" --data-urlencode \"status=$status\" --data-urlencode \"hostname=$host\" --data-urlencode \
         \"chart=$chart\" --data-urlencode \"value_string=$value_string\" --data-urlencode \"when=$when\" --data-urlencode \
         \"info=$info\"`.",
    ],
    fields: &[
        ("Title", "message, else alert (or alarm) with its state and host"),
        ("Description", "info, with value and units"),
        ("Severity", "severity, or status: critical is critical, warning is medium, unreachable is critical"),
        ("Host", "hostname, host or node.hostname, else the name after “ on ” in the message"),
        ("Service", "only what the payload names; else the topology knows the host"),
        ("Environment", "a room named after one"),
        ("Identity", "space, host, chart and alert"),
        ("State", "clear and reachable resolve"),
        ("Time", "date, or when"),
    ],
    sample: include_str!("../samples/netdata.json"),
};

/// The answer to Netdata Cloud's challenge: `sha256=` and the Base64 of the HMAC-SHA256 of the token.
pub fn challenge(secret: &str, crc_token: &str) -> String {
    let digest = signature::hmac_sha256(secret.as_bytes(), &[crc_token.as_bytes()]);
    format!("sha256={}", BASE64_STANDARD.encode(digest))
}

impl Connector for Netdata {
    fn info(&self) -> &'static Info {
        &INFO
    }

    // Cloud shows it with every request, whatever else it proves itself with. Only the CA is published, so that the
    // certificate may change; `api` is the older name. https://learn.netdata.cloud (Webhook, Mutual TLS).
    fn client_certificate(&self) -> ClientCertificate {
        ClientCertificate {
            ca: Some(include_str!("netdata-ca.pem")),
            names: &["app.netdata.cloud", "api.netdata.cloud"],
        }
    }

    fn parse(&self, request: &Request<'_>) -> Result<Parsed, Problem> {
        if let Some(signal) = senders::ntfy(request) {
            return Ok(Parsed { signals: vec![signal], ..Parsed::default() });
        }
        let body = body::read(request)?;
        let root = body.object(INFO.name)?;
        let mut parsed = Parsed::default();
        if let Some(notes) = test(root) {
            parsed.notes = notes;
        } else if root.has("nodes") || root.object("status").exists() {
            parsed.signals = cloud::reachability(root)?;
        } else if root.object("alert").exists() {
            parsed.signals.push(cloud::nested(root)?);
        } else if let Some(signal) = flat(root) {
            parsed.signals.push(signal);
        } else {
            return Err(body::unrecognised(
                INFO.name,
                "`alert` or `alarm` (an alert), `status` with `host` or `nodes` (reachability), or `token` (a test)",
                root,
            ));
        }
        for signal in &mut parsed.signals {
            signal.repaired = body.repaired;
        }
        let link = root.object("alert").first(&["url"]).or_else(|| root.first(&["alert_url", "alarm_url", "url"]));
        parsed.retry_id = link.and_then(|url| text::url_parameter(&url, "transition"));
        parsed.notes.extend(body.notes);
        Ok(parsed)
    }

    fn success(&self, request: &Request<'_>) -> u16 {
        if senders::is(request.body) || senders::ntfy_link(request).is_some() { 200 } else { INFO.success }
    }
}

/// The agent's body, or one of the flat ones of Cloud.
fn flat(root: Obj<'_>) -> Option<Signal> {
    if let Some(signal) = senders::read(root) {
        return Some(signal);
    }
    if root.has("severity") && (root.has("alert") || root.has("alarm")) && !root.has("hostname") {
        return cloud::flat(root);
    }
    agent::read(root).or_else(|| cloud::flat(root))
}

fn test(root: Obj<'_>) -> Option<Vec<Note>> {
    let token = root.text("token");
    let titled = root.text("title").is_some_and(|t| t.eq_ignore_ascii_case("test notification"));
    let alert = ["alert", "alarm", "name", "status", "severity"].iter().any(|name| root.has(name));
    if alert || (token.is_none() && !titled) {
        return None;
    }
    let said = root.text("message").and_then(|m| text::title(&m)).unwrap_or_else(|| "Test notification".to_owned());
    Some(token.map(|t| Note::TestToken(text::line(&t, 200))).into_iter().chain([Note::Ping(said)]).collect())
}

/// The value in `Raised to Critical, cpu usage = 95.2 %, on web-1`.
fn value_in(message: &str) -> Option<String> {
    let (_, after) = message.split_once(" = ")?;
    let value = after.rsplit_once(" on ").map_or(after, |(value, _)| value.trim_end_matches(','));
    (value.len() <= 60).then(|| text::name(value)).flatten()
}

/// What all forms of an alert have in common.
struct Alert {
    space: Option<String>,
    host: Option<String>,
    chart: Option<String>,
    name: String,
    /// Netdata's word: CRITICAL, warning, Clear, REMOVED, …
    state: String,
    message: Option<String>,
    info: Option<String>,
    value: Option<String>,
    node: Option<String>,
    labels: Labels,
}

impl Alert {
    fn signal(self) -> Signal {
        let title = self.message.as_deref().and_then(text::title).unwrap_or_else(|| {
            let on = self.host.as_deref().map_or_else(String::new, |h| format!(" on {h}"));
            text::line(&format!("{} {}{on}", self.name, self.state.to_lowercase()), 500)
        });
        let mut parts = vec![
            ("space", self.space.as_deref()),
            ("host", self.host.as_deref()),
            ("chart", self.chart.as_deref()),
            ("alert", Some(self.name.as_str())),
        ];
        if self.node.is_some() {
            parts.push(("node", self.node.as_deref()));
        }
        let mut signal = identity::signal(
            INFO.slug,
            "The alert of that name on that chart of that host in that space.",
            &parts,
            title,
        );
        (signal.status, signal.severity) = state(&self.state);
        signal.severity_raw = text::name(&self.state);
        let value = self.value.as_deref().map(|v| format!("Value: {v}"));
        let lines: Vec<String> = self.info.into_iter().chain(value).collect();
        signal.description = text::description(&lines.join("\n"));
        signal.labels = self.labels;
        for (name, value) in [
            ("alert", Some(self.name.as_str())),
            ("chart", self.chart.as_deref()),
            ("host", self.host.as_deref()),
            ("space", self.space.as_deref()),
        ] {
            labels::add(&mut signal.labels, name, value);
        }
        labels::add(&mut signal.annotations, "value", self.value.as_deref());
        signal.service = signal.labels.get("service").and_then(|s| text::name(s));
        signal.environment = environment(&signal.labels);
        signal.host = self.host;
        signal
    }
}

fn state(word: &str) -> (SignalStatus, Severity) {
    match word.to_ascii_lowercase().as_str() {
        "critical" | "unreachable" => (SignalStatus::Firing, Severity::Critical),
        "warning" => (SignalStatus::Firing, Severity::Medium),
        "clear" | "cleared" | "info" | "reachable" | "ok" | "removed" => (SignalStatus::Resolved, Severity::Info),
        "uninitialized" | "undefined" => (SignalStatus::Info, Severity::Info),
        other => (SignalStatus::Firing, text::severity(other).unwrap_or(Severity::Medium)),
    }
}

/// The names of rooms: an object of names and links by the documentation; lists of texts or objects have been seen.
fn rooms(root: Obj<'_>) -> Option<String> {
    let rooms = root.get("Rooms").or_else(|| root.get("rooms"))?;
    let names: Vec<String> = match rooms {
        serde_json::Value::Object(map) => map.keys().cloned().collect(),
        serde_json::Value::Array(list) => list
            .iter()
            .flat_map(|room| match room {
                serde_json::Value::Object(map) => {
                    let room = Obj::new(map);
                    room.text("name").map_or_else(|| room.keys().cloned().collect(), |name| vec![name])
                }
                other => text::scalar(other).into_iter().collect(),
            })
            .collect(),
        other => text::scalar(other).into_iter().collect(),
    };
    Some(names.join(", ")).filter(|n| !n.is_empty())
}

/// A room that is named after an environment tells it; other rooms tell nothing.
fn environment(labels: &Labels) -> Option<String> {
    const WORDS: [&str; 10] =
        ["prod", "production", "stage", "staging", "dev", "development", "test", "testing", "qa", "preprod"];
    let room = labels.get("rooms")?.split(", ").find(|room| {
        room.split(|c: char| !c.is_ascii_alphanumeric()).any(|w| WORDS.iter().any(|e| w.eq_ignore_ascii_case(e)))
    });
    room.and_then(text::name).or_else(|| super::labels::environment(labels))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn challenge_is_answered() {
        assert_eq!(
            challenge("watchfire-crc-secret", "test-token-0001"),
            "sha256=TFJ5an0SrX4XgXe+NNlqQQdUqW256RUVnSpoLufyRyc="
        );
    }

    #[test]
    fn values_in_messages() {
        assert_eq!(value_in("Raised to Critical, cpu = 95.2 %, on web-1").as_deref(), Some("95.2 %"));
        assert_eq!(value_in("cpu = 95").as_deref(), Some("95"));
        assert_eq!(value_in("cpu is high on web-1"), None);
    }

    #[test]
    fn states() {
        for (word, status, severity) in [
            ("Critical", SignalStatus::Firing, Severity::Critical),
            ("WARNING", SignalStatus::Firing, Severity::Medium),
            ("clear", SignalStatus::Resolved, Severity::Info),
            ("REMOVED", SignalStatus::Resolved, Severity::Info),
            ("UNDEFINED", SignalStatus::Info, Severity::Info),
            ("unreachable", SignalStatus::Firing, Severity::Critical),
        ] {
            assert_eq!(state(word), (status, severity), "{word}");
        }
    }
}
