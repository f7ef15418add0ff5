use clap::Args;
use reqwest::Method;
use serde_json::Value;

use super::{
    CliError,
    access::Access,
    client::encode,
    options::Reach,
    out::{Out, plain},
};
use crate::model::{IncidentId, IncidentStatus, Severity};

/// Which.
#[derive(Debug, Args)]
pub struct IncidentsArgs {
    /// Only with this status; may be given several times
    #[arg(long, value_name = "STATUS")]
    status: Vec<IncidentStatus>,
    /// Only with this severity; may be given several times
    #[arg(long, value_name = "SEVERITY")]
    severity: Vec<Severity>,
    /// Only of this service
    #[arg(long, value_name = "NAME")]
    service: Option<String>,
    /// At most this many, newest first
    #[arg(long, default_value_t = 50, value_name = "N")]
    limit: usize,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    reach: Reach,
}

/// One.
#[derive(Debug, Args)]
pub struct IncidentArgs {
    /// Such as INC-42
    id: IncidentId,
    /// The whole object as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    reach: Reach,
}

/// Lists incidents.
pub async fn list(args: IncidentsArgs) -> Result<(), CliError> {
    let client = Access::server(&args.reach)?;
    let join = |words: Vec<&str>| words.join(",");
    let statuses = join(args.status.iter().map(|s| s.as_str()).collect());
    let severities = join(args.severity.iter().map(|s| s.as_str()).collect());
    let service = args.service.unwrap_or_default();
    let query: Vec<String> = [("status", &statuses), ("severity", &severities), ("service", &service)]
        .into_iter()
        .filter(|(_, v)| !v.is_empty())
        .map(|(k, v)| format!("{k}={}", encode(v)))
        .collect();
    let mut found = Vec::new();
    if args.limit > 0 {
        client
            .list(format!("/api/incidents?{}", query.join("&")).trim_end_matches('?'), "incidents", |row| {
                found.push(row);
                Ok(found.len() < args.limit)
            })
            .await?;
    }
    let mut out = Out::new();
    if args.json {
        found.iter().try_for_each(|row| out.line(row))?;
    } else {
        let names = ["id", "severity", "status", "owner", "alert_count", "detected_at", "service", "title"];
        let rows: Vec<_> = found.iter().map(|row| cells(row, &names)).collect();
        out.table(&["ID", "SEVERITY", "STATUS", "OWNER", "ALERTS", "DETECTED", "SERVICE", "TITLE"], &rows)?;
    }
    out.flush()
}

/// Shows one incident.
pub async fn show(args: IncidentArgs) -> Result<(), CliError> {
    let client = Access::server(&args.reach)?;
    let incident = client.call(Method::GET, &format!("/api/incidents/{}", args.id), None).await?;
    let mut out = Out::new();
    if args.json {
        out.line(&incident)?;
    } else {
        page(&incident, &mut out)?;
    }
    out.flush()
}

fn page(incident: &Value, out: &mut Out) -> Result<(), CliError> {
    out.line(format_args!("{}  {}", cell(incident, "id"), cell(incident, "title")))?;
    for name in ["severity", "status", "service", "owner", "started_at", "detected_at", "resolved_at", "source_url"] {
        let value = cell(incident, name);
        if !value.is_empty() {
            out.line(format_args!("  {:<12} {value}", name.replace('_', " ")))?;
        }
    }
    if let Some(summary) = incident.pointer("/investigation/summary").and_then(Value::as_str) {
        out.line(format_args!("\n{}", plain(summary)))?;
    }
    section(incident, "causes", "Causes", &["confidence", "service", "title"], out)?;
    section(incident, "suggestions", "Suggestions", &["risk", "title", "command"], out)?;
    section(incident, "alerts", "Alerts", &["severity", "status", "platform", "count", "title"], out)?;
    section(incident, "timeline", "Timeline", &["at", "actor", "text"], out)
}

fn section(incident: &Value, name: &str, title: &str, fields: &[&str], out: &mut Out) -> Result<(), CliError> {
    let rows = incident.get(name).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    if rows.is_empty() {
        return Ok(());
    }
    out.line(format_args!("\n{title}"))?;
    for row in rows {
        out.line(format_args!("  {}", cells(row, fields).join("  ").trim_end()))?;
    }
    Ok(())
}

/// Fields of a JSON object as text for a table.
pub fn cells(row: &Value, names: &[&str]) -> Vec<String> {
    names.iter().map(|name| cell(row, name)).collect()
}

fn cell(row: &Value, name: &str) -> String {
    match row.get(name) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(s)) => plain(s),
        Some(Value::Array(items)) => {
            items.iter().map(|i| i.as_str().map_or_else(|| i.to_string(), plain)).collect::<Vec<_>>().join(",")
        }
        Some(other) => other.to_string(),
    }
}
