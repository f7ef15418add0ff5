//! Dashboard alerts of Grafana 8 and before: one rule, one state, no times.

use serde_json::Value;

use super::{INFO, text};
use crate::{
    connectors::{fields::Obj, identity, labels},
    model::{Note, Parsed, Severity, SignalStatus},
};

pub(super) fn read(alert: Obj<'_>, repaired: bool) -> Parsed {
    let state = alert.text("state").unwrap_or_default().to_ascii_lowercase();
    let rule = alert.text("ruleId");
    let link = alert.url("ruleUrl");
    let host = link.as_deref().and_then(text::url_host);
    let org = alert.text("orgId");
    let title = alert
        .first(&["ruleName", "title"])
        .and_then(|t| text::title(&t))
        .unwrap_or_else(|| format!("Grafana rule {}", rule.as_deref().unwrap_or("without name")));
    let mut signal = identity::signal(
        INFO.slug,
        "The number of the dashboard alert rule, with Grafana's host and organisation.",
        &[
            ("kind", Some("legacy")),
            ("ruleUrl host", host.as_deref()),
            ("orgId", org.as_deref()),
            ("ruleId", rule.as_deref()),
        ],
        title,
    );
    signal.labels = labels::tags(alert.get("tags"));
    signal.status = match state.as_str() {
        "ok" => SignalStatus::Resolved,
        "paused" | "pending" => SignalStatus::Info,
        _ => SignalStatus::Firing,
    };
    let word = labels::first(&signal.labels, &["severity", "priority", "level"]);
    signal.severity = word.as_deref().and_then(text::severity).unwrap_or(match state.as_str() {
        "no_data" => Severity::Medium,
        _ => Severity::High,
    });
    signal.severity_raw = word;
    signal.description = alert.text("message").and_then(|m| text::description(&m));
    signal.service = labels::service(&signal.labels);
    signal.host = labels::host(&signal.labels);
    signal.environment = labels::environment(&signal.labels);
    signal.url = link;
    signal.image_url = alert.url("imageUrl");
    signal.is_test = rule.as_deref() == Some("0") && signal.title.eq_ignore_ascii_case("test notification");
    if signal.is_test {
        signal.quiet_after_secs = Some(600);
    }
    for found in alert.list("evalMatches").iter().map(|m| Obj::of(Some(m))) {
        if let Some(metric) = found.text("metric").and_then(|m| text::name(&m)) {
            labels::add(&mut signal.annotations, &metric, found.get("value").map(Value::to_string).as_deref());
        }
    }
    signal.repaired = repaired;
    let mut parsed = Parsed::default();
    if signal.status == SignalStatus::Info {
        parsed.notes.push(Note::Ignored(format!("The rule is {state}.")));
    }
    parsed.signals.push(signal);
    parsed
}
