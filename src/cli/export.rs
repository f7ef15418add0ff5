use std::time::Duration;

use base64::{Engine, engine::general_purpose::STANDARD};
use clap::{Args, Subcommand};
use reqwest::Method;
use serde::de::IgnoredAny;
use serde_json::{Value, json};

use super::{
    CliError,
    access::Access,
    client::Client,
    options::Reach,
    out::{Out, note},
};
use crate::{
    config::parse_duration,
    model::{Delivery, DeliveryOutcome, Incident, IncidentId, IncidentStatus, Time},
    runtime::clock::Clock,
    store::{DeliveryFilter, IncidentFilter, Store, StoreError},
};

/// What.
#[derive(Debug, Subcommand)]
pub enum ExportCommand {
    /// Deliveries as {"at","platform","body"}, with reported changes and what people resolved, oldest first: the input of
    /// `backtest`. Refused ones are left out
    Deliveries(Window),
    /// Incidents, oldest first
    Incidents(Window),
}

/// How far back.
#[derive(Debug, Args)]
pub struct Window {
    /// Only what was received within this time, such as 30d
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    since: Option<Duration>,
    #[command(flatten)]
    reach: Reach,
}

/// The word of the audit log for an end by a person.
const RESOLVED: &str = "incident.resolve";
/// Alerts that tell which incident was ended.
const MEMBERS: usize = 200;
/// Rows read in one snapshot: a long one would pin old pages of the store.
const PAGE: usize = 200;

/// Writes one JSON object a line.
pub async fn run(command: ExportCommand) -> Result<(), CliError> {
    let (ExportCommand::Deliveries(window) | ExportCommand::Incidents(window)) = &command;
    let since = window.since.map_or(Time::from_millis(i64::MIN), |d| Clock::System.now().minus(d));
    let access = Access::open(&window.reach).await?;
    let mut out = Out::new();
    let done = match (&command, &access) {
        (ExportCommand::Deliveries(_), Access::Folder(store, _)) => deliveries(store, since, &mut out).await,
        (ExportCommand::Deliveries(_), Access::Server(client)) => remote_deliveries(client, since, &mut out).await,
        (ExportCommand::Incidents(_), Access::Folder(store, _)) => incidents(store, since, &mut out).await,
        (ExportCommand::Incidents(_), Access::Server(client)) => remote_incidents(client, since, &mut out).await,
    };
    access.close().await;
    done?;
    out.flush()
}

/// Something recorded, by when it happened.
struct Line {
    at: Time,
    text: String,
}

// Lists come newest first, and a reader wants them as they happened: the numbers are collected, then read back to front.
async fn deliveries(store: &Store, since: Time, out: &mut Out) -> Result<(), CliError> {
    let mut numbers = Vec::new();
    let mut before = None;
    loop {
        let page = store.read(move |v| v.deliveries(&DeliveryFilter::default(), before, PAGE)).await?;
        let end = page.items.iter().any(|row| row.at < since);
        let wanted = |outcome| outcome != DeliveryOutcome::Refused;
        numbers.extend(
            page.items
                .iter()
                .filter(|row| row.at >= since && wanted(row.outcome) && row.replay_of.is_none())
                .map(|row| row.seq),
        );
        before = page.next;
        if end || before.is_none() {
            break;
        }
    }
    numbers.reverse();
    let mut ended = resolutions(store, since).await?.into_iter().peekable();
    for chunk in numbers.chunks(PAGE) {
        let chunk = chunk.to_vec();
        let read = move |v: &crate::store::View| -> Result<Vec<Delivery>, StoreError> {
            chunk.into_iter().filter_map(|seq| v.delivery(seq).transpose()).collect()
        };
        for d in store.read(read).await?.into_iter().filter(|d| !is_sample(&d.headers)) {
            while let Some(line) = ended.next_if(|line| line.at < d.at) {
                out.line(line.text)?;
            }
            out.line(delivery_line(&d.at.to_string(), &d.platform, &d.headers, &d.body))?;
        }
    }
    ended.try_for_each(|line| out.line(line.text))
}

/// What people ended, oldest first.
async fn resolutions(store: &Store, since: Time) -> Result<Vec<Line>, CliError> {
    let mut found = Vec::new();
    let mut before = None;
    loop {
        let page = store.read(move |v| v.audit(before, PAGE)).await?;
        let end = page.items.iter().any(|entry| entry.at < since);
        for entry in page.items.iter().filter(|e| e.at >= since && e.action == RESOLVED) {
            let Ok(id) = entry.subject.parse::<IncidentId>() else { continue };
            let at = entry.at;
            let read = move |v: &crate::store::View| Ok((v.members(id, MEMBERS)?, v.investigation(id)?.recorded));
            let (members, cause) = store.read(read).await?;
            let alerts = members.iter().filter(|(_, a)| a.first_seen <= at).map(|(_, a)| a.fingerprint.to_string());
            let cause = cause.map(|c| json!({ "service": c.service, "symptom": c.symptom }));
            found.extend(resolve_line(at, alerts.collect(), cause));
        }
        before = page.next;
        if end || before.is_none() {
            break;
        }
    }
    found.reverse();
    Ok(found)
}

/// An end by a person, told by alerts: the number of the incident would be another one elsewhere.
fn resolve_line(at: Time, mut alerts: Vec<String>, cause: Option<Value>) -> Option<Line> {
    if alerts.is_empty() {
        return None;
    }
    alerts.sort();
    let mut line = json!({ "at": at, "resolve": alerts });
    if let (Some(line), Some(cause)) = (line.as_object_mut(), cause) {
        line.insert("cause".to_owned(), cause);
    }
    Some(Line { at, text: line.to_string() })
}

async fn incidents(store: &Store, since: Time, out: &mut Out) -> Result<(), CliError> {
    let mut found: Vec<Incident> = Vec::new();
    let mut before = None;
    loop {
        let filter =
            IncidentFilter { statuses: IncidentStatus::ALL.to_vec(), since: Some(since), ..IncidentFilter::default() };
        let page = store.read(move |v| v.incidents(&filter, before, PAGE)).await?;
        found.extend(page.items);
        before = page.next;
        if before.is_none() {
            break;
        }
    }
    for incident in found.iter().rev() {
        out.line(serde_json::to_string(incident).map_err(|e| CliError::Failed(e.to_string()))?)?;
    }
    Ok(())
}

/// A platform's sample, sent by ourselves as a test: read again, it would look like somebody's alert.
fn is_sample(headers: &[(String, String)]) -> bool {
    headers.iter().any(|(n, v)| n == "user-agent" && v.starts_with("watchfire/") && v.ends_with("(test)"))
}

/// One line in the form that can be fed in again; changes that were reported have a form of their own. A JSON body is written as it came, so that no number loses digits.
fn delivery_line(at: &str, platform: &str, headers: &[(String, String)], body: &[u8]) -> String {
    let body = match std::str::from_utf8(body) {
        // Line ends stand only between the values of JSON text, where any space will do.
        // A JSON text is not told from one in quotation marks of ours.
        Ok(text) if !text.trim().starts_with('"') && serde_json::from_str::<IgnoredAny>(text).is_ok() => {
            text.trim().replace(['\n', '\r'], " ")
        }
        _ => Value::from(String::from_utf8_lossy(body)).to_string(),
    };
    match platform {
        "changes" => format!("{{\"at\":{},\"change\":{body}}}", json!(at)),
        _ => {
            // What the body alone does not say.
            let plain = |n: &str, v: &str| n == "content-type" && v.starts_with("application/json");
            let told = headers.iter().filter(|(n, v)| n != "user-agent" && !plain(n, v));
            let told: serde_json::Map<String, Value> = told.map(|(n, v)| (n.clone(), json!(v))).collect();
            let headers = if told.is_empty() { String::new() } else { format!("\"headers\":{},", Value::Object(told)) };
            format!("{{\"at\":{},\"platform\":{},{headers}\"body\":{body}}}", json!(at), json!(platform))
        }
    }
}

fn text<'a>(row: &'a Value, name: &str) -> &'a str {
    row.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn time(row: &Value, name: &str) -> Time {
    text(row, name).parse().unwrap_or_default()
}

async fn remote_deliveries(client: &Client, since: Time, out: &mut Out) -> Result<(), CliError> {
    let mut ids = Vec::new();
    client
        .list("/api/deliveries", "deliveries", |row| {
            let recent = time(&row, "received_at") >= since;
            let replay = row.get("replay_of").is_some_and(|r| !r.is_null());
            if recent && !replay && text(&row, "outcome") != DeliveryOutcome::Refused.as_str() {
                ids.push(text(&row, "id").to_owned());
            }
            Ok(recent)
        })
        .await?;
    let mut ended = remote_resolutions(client, since).await?.into_iter().peekable();
    for id in ids.iter().rev() {
        let d = client.call(Method::GET, &format!("/api/deliveries/{}", super::client::encode(id)), None).await?;
        let headers: Vec<(String, String)> =
            d.get("headers").and_then(|h| serde_json::from_value(h.clone()).ok()).unwrap_or_default();
        if is_sample(&headers) {
            continue;
        }
        let body = match (text(&d, "body_encoding"), text(&d, "body")) {
            ("base64", body) => STANDARD.decode(body).map_err(|e| CliError::Failed(format!("delivery {id}: {e}")))?,
            (_, body) => body.as_bytes().to_vec(),
        };
        if d.get("body").is_some_and(|b| !b.is_null()) {
            while let Some(line) = ended.next_if(|line| line.at < time(&d, "received_at")) {
                out.line(line.text)?;
            }
            out.line(delivery_line(text(&d, "received_at"), text(&d, "platform"), &headers, &body))?;
        }
    }
    ended.try_for_each(|line| out.line(line.text))
}

async fn remote_resolutions(client: &Client, since: Time) -> Result<Vec<Line>, CliError> {
    let mut ends = Vec::new();
    let read = client
        .list("/api/audit", "audit", |entry| {
            let recent = time(&entry, "at") >= since;
            if recent && text(&entry, "action") == RESOLVED {
                ends.push((time(&entry, "at"), text(&entry, "subject").to_owned()));
            }
            Ok(recent)
        })
        .await;
    if let Err(e) = read {
        note(format_args!("what people resolved is left out, it takes a token with scope admin: {e}"));
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    for (at, id) in ends.into_iter().rev() {
        let mut alerts = Vec::new();
        let path = format!("/api/incidents/{}/alerts", super::client::encode(&id));
        client
            .list(&path, "alerts", |alert| {
                alerts.push(text(&alert, "fingerprint").to_owned());
                Ok(alerts.len() < MEMBERS)
            })
            .await?;
        found.extend(resolve_line(at, alerts, None));
    }
    Ok(found)
}

async fn remote_incidents(client: &Client, since: Time, out: &mut Out) -> Result<(), CliError> {
    let mut found = Vec::new();
    let all: Vec<&str> = IncidentStatus::ALL.iter().map(|s| s.as_str()).collect();
    client
        .list(&format!("/api/incidents?status={}", all.join(",")), "incidents", |row| {
            let recent = time(&row, "detected_at") >= since;
            if recent {
                found.push(row);
            }
            Ok(recent)
        })
        .await?;
    found.iter().rev().try_for_each(|row| out.line(row))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_stay_as_they_came() {
        for (body, want) in [
            (
                &b"{\"n\": 12345678901234567890.10,\n \"t\":\"a\\nb\"}"[..],
                "{\"n\": 12345678901234567890.10,  \"t\":\"a\\nb\"}",
            ),
            (b"payload=1&x=2", "\"payload=1&x=2\""),
            (b"{broken", "\"{broken\""),
            (b"\"a\"", r#""\"a\"""#),
            (b"\xff", "\"\u{fffd}\""),
            (b"", "\"\""),
        ] {
            let line = delivery_line("2026-03-03T10:30:00.000Z", "generic", &[], body);
            assert_eq!(
                line,
                format!("{{\"at\":\"2026-03-03T10:30:00.000Z\",\"platform\":\"generic\",\"body\":{want}}}")
            );
            assert!(serde_json::from_str::<Value>(&line).is_ok());
            assert!(!line.contains('\n'));
        }
        let change = delivery_line("2026-03-03T10:30:00.000Z", "changes", &[], b"{\"kind\":\"deploy\"}");
        assert_eq!(change, r#"{"at":"2026-03-03T10:30:00.000Z","change":{"kind":"deploy"}}"#);
    }
}
