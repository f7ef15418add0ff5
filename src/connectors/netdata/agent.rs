//! What agents send themselves: the flat body with `hostname` and `when`, and the Opsgenie-style one.

use super::{Alert, rooms};
use crate::{
    connectors::{
        fields::Obj,
        labels::{self, Labels},
        text,
    },
    model::{Signal, SignalStatus},
};

pub(super) fn read(root: Obj<'_>) -> Option<Signal> {
    let name = root.first(&["alarm", "name", "alert"])?;
    let host = root.first(&["hostname", "host"]).and_then(|h| text::host(&h));
    let state = root.text("status").or_else(|| root.text("severity"));
    // A name alone says nothing about Netdata.
    let state = match (state, root.text("priority").as_deref()) {
        (Some(state), _) => state,
        (None, Some("P1")) => "CRITICAL".to_owned(),
        (None, Some("P3")) => "WARNING".to_owned(),
        (None, Some("P5")) => "CLEAR".to_owned(),
        _ => return None,
    };
    if host.is_none() && !root.has("chart") {
        return None;
    }
    let value = root.text("value_string").or_else(|| {
        let value = root.text("value")?;
        Some(root.text("units").map_or_else(|| value.clone(), |units| format!("{value} {units}")))
    });
    let mut labels = Labels::new();
    for field in ["family", "context", "class", "service"] {
        labels::add(&mut labels, field, root.text(field).as_deref());
    }
    labels::add(&mut labels, "rooms", rooms(root).as_deref());
    let alert = Alert {
        space: root.text("space"),
        chart: root.text("chart"),
        message: root.text("message"),
        info: root.text("info"),
        node: None,
        host,
        name,
        state,
        value,
        labels,
    };
    let mut signal = alert.signal();
    let at = root.time("when").or_else(|| root.time("date"));
    signal.observed_at = at;
    match signal.status {
        SignalStatus::Firing => signal.started_at = at,
        SignalStatus::Resolved => signal.ended_at = at,
        SignalStatus::Acknowledged | SignalStatus::Info => {}
    }
    signal.url = ["goto_url", "alert_url", "alarm_url", "url"].iter().find_map(|name| root.url(name));
    for field in ["units", "old_status", "old_value", "duration", "non_clear_duration", "calc_expression", "src"] {
        labels::add(&mut signal.annotations, field, root.text(field).as_deref());
    }
    Some(signal)
}
