//! The agent's other senders (`alarm-notify.sh`) whose address can be set: messages made for Slack, Rocket.Chat, Flock,
//! Teams, StackPulse, Alerta and Gotify. Each is put into the agent's own names, and read as those are.

use serde_json::{Map, Value};

use super::agent;
use crate::{
    connectors::{fields::Obj, text},
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
        || (says(b"\"priority\"") && says(b"\"title\"") && says(b", on "))
}

/// Reads such a message; none when it is none.
pub(super) fn read(root: Obj<'_>) -> Option<Signal> {
    let own = stackpulse(root).or_else(|| alerta(root)).or_else(|| chat(root)).or_else(|| gotify(root))?;
    agent::read(Obj::new(&own))
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

/// What is said to people differs from chat to chat; the link under it always says the same in its query.
fn chat(root: Obj<'_>) -> Option<Fields> {
    let first = |list: &'static str| root.list(list).first().map_or_else(Obj::default, |v| Obj::of(Some(v)));
    let attachment = first("attachments");
    let target = first("potentialAction").list("targets").first().map_or_else(Obj::default, |v| Obj::of(Some(v)));
    let link = attachment.first(&["title_link", "url"]).or_else(|| target.text("uri"))?;
    let says = |name: &str| text::url_parameter(&link, name);
    Some(fields([
        ("name", Some(says("alarm")?)),
        ("host", says("host")),
        ("chart", says("chart")),
        ("family", says("family")),
        ("status", Some(says("alarm_status")?)),
        ("value_string", says("alarm_value")),
        ("when", says("alarm_when")),
        ("info", attachment.text("text")),
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
