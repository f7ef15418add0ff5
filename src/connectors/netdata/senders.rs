//! The agent's other senders (`alarm-notify.sh`) whose address can be set: messages made for Slack, Discord, Rocket.Chat,
//! Flock, Teams, StackPulse, Alerta, Gotify, ilert, SIGNL4 and ntfy. Each is put into the agent's own names, and read as
//! those are.

use serde_json::{Map, Value};

use super::agent;
use crate::{
    connectors::{Request, fields::Obj, text},
    model::Signal,
};

/// The agent compares the answer with 200 and nothing else; whether these bytes look like a message of it.
pub(super) fn is(body: &[u8]) -> bool {
    let says = |key: &[u8]| memchr::memmem::find(body, key).is_some();
    body.starts_with(b"payload=")
        || (says(b"\"alarmId\"") && says(b"\"non_clear_duration\""))
        || says(b"\"attachments\"")
        || says(b"\"MessageCard\"")
        || says(b"\"NonClearDuration\"")
        || says(b"\"netdataAlarm\"")
        || (says(b"\"alarm_id\"") && says(b"\"alert_url\""))
        || (says(b"\"priority\"") && says(b"\"title\"") && says(b", on "))
}

/// Reads such a message; none when it is none.
pub(super) fn read(root: Obj<'_>) -> Option<Signal> {
    let own = stackpulse(root)
        .or_else(|| alerta(root))
        .or_else(|| responder(root))
        .or_else(|| chat(root))
        .or_else(|| gotify(root))?;
    agent::read(Obj::new(&own))
}

/// A message for ntfy: text, with everything else in headers. None when it is none.
pub(super) fn ntfy(request: &Request<'_>) -> Option<Signal> {
    let link = ntfy_link(request)?;
    let said = String::from_utf8_lossy(request.body);
    agent::read(Obj::new(&linked(link, text::description(&said))?))
}

/// The link behind `view, View node, https://…, clear=true;`.
pub(super) fn ntfy_link(request: &Request<'_>) -> Option<String> {
    let link = request.header("actions")?.split(", ").map(str::trim).find(|part| part.starts_with("http"))?;
    let known = |name| text::url_parameter(link, name).is_some();
    (known("alarm") && known("alarm_status")).then(|| link.to_owned())
}

type Fields = Map<String, Value>;

fn fields(pairs: impl IntoIterator<Item = (&'static str, Option<String>)>) -> Fields {
    pairs.into_iter().filter_map(|(name, value)| Some((name.to_owned(), Value::String(value?)))).collect()
}

fn stackpulse(root: Obj<'_>) -> Option<Fields> {
    root.has("NonClearDuration").then(|| {
        fields([
            ("name", root.text("Alarm")),
            ("host", root.text("Node")),
            ("chart", root.text("Chart")),
            ("status", root.text("Status")),
            ("old_status", root.text("OldStatus")),
            ("value", root.text("Value")),
            ("old_value", root.text("OldValue")),
            ("units", root.text("Units")),
            ("info", root.text("Description")),
            ("when", root.text("Date")),
            ("duration", root.text("Duration")),
            ("non_clear_duration", root.text("NonClearDuration")),
            ("calc_expression", root.text("CalcExpression")),
        ])
    })
}

fn alerta(root: Obj<'_>) -> Option<Fields> {
    if root.text("type").as_deref() != Some("netdataAlarm") {
        return None;
    }
    let more = root.object("attributes");
    let status = match root.text("severity")?.as_str() {
        "cleared" => "CLEAR".to_owned(),
        "indeterminate" => "UNDEFINED".to_owned(),
        other => other.to_ascii_uppercase(),
    };
    let link = more.text("moreInfo").and_then(|html| Some(html.split('"').nth(1)?.to_owned()));
    Some(fields([
        ("name", more.text("name")),
        ("host", root.text("origin").map(|o| o.strip_prefix("netdata/").unwrap_or(&o).to_owned())),
        ("chart", more.text("chart")),
        ("family", more.text("family")),
        ("status", Some(status)),
        ("value_string", root.text("value")),
        ("info", root.text("text")),
        ("src", more.text("source")),
        ("when", link.as_deref().and_then(|l| text::url_parameter(l, "alarm_when"))),
        ("goto_url", link),
    ]))
}

/// ilert and SIGNL4: the same names, but for that of the alert. The message says only `is critical`.
fn responder(root: Obj<'_>) -> Option<Fields> {
    if !["alarm_id", "host", "chart"].iter().all(|name| root.has(name)) {
        return None;
    }
    let name = if root.has("X-S4-Status") { root.text("title") } else { root.text("alert") };
    Some(fields([
        ("name", Some(name?)),
        ("host", root.text("host")),
        ("chart", root.text("chart")),
        ("status", Some(root.text("severity")?)),
        ("value_string", root.text("value")),
        ("info", root.text("info")),
        ("when", root.text("date")),
        ("duration", root.text("duration")),
        ("src", root.text("src")),
        ("goto_url", root.text("alert_url")),
    ]))
}

/// What is said to people differs from chat to chat; the link under it always says the same in its query.
fn chat(root: Obj<'_>) -> Option<Fields> {
    let first = |list: &'static str| root.list(list).first().map_or_else(Obj::default, |v| Obj::of(Some(v)));
    let attachment = first("attachments");
    let target = first("potentialAction").list("targets").first().map_or_else(Obj::default, |v| Obj::of(Some(v)));
    let link = attachment.first(&["title_link", "url"]).or_else(|| target.text("uri"))?;
    linked(link, attachment.text("text"))
}

/// What the link of a notification says in its query.
fn linked(link: String, info: Option<String>) -> Option<Fields> {
    let says = |name: &str| text::url_parameter(&link, name);
    Some(fields([
        ("name", Some(says("alarm")?)),
        ("host", says("host")),
        ("chart", says("chart")),
        ("family", says("family")),
        ("status", Some(says("alarm_status")?)),
        ("value_string", says("alarm_value")),
        ("when", says("alarm_when")),
        ("info", info),
        ("goto_url", Some(link)),
    ]))
}

/// `CRITICAL, disk_space_usage = 98.5%, on db-1`, and as the message `<date>: <chart> <value>`.
fn gotify(root: Obj<'_>) -> Option<Fields> {
    root.get("priority")?;
    let title = root.text("title")?;
    let (state, rest) = title.split_once(", ")?;
    let (rest, host) = rest.rsplit_once(", on ")?;
    let (name, value) = rest.split_once(" = ").unwrap_or((rest, ""));
    let message = root.text("message").unwrap_or_default();
    let chart = message.strip_suffix(value).unwrap_or(&message).trim_end().rsplit_once(": ").map(|(_, chart)| chart);
    let known = ["CRITICAL", "WARNING", "CLEAR"].contains(&state);
    known.then(|| {
        fields([
            ("name", Some(name.to_owned())),
            ("host", Some(host.to_owned())),
            ("chart", chart.map(str::to_owned)),
            ("status", Some(state.to_owned())),
            ("value_string", Some(value.to_owned())),
        ])
    })
}
