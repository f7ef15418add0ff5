use std::{io::Read, path::PathBuf};

use clap::Args;
use reqwest::Method;
use serde_json::Value;

use super::{
    CliError,
    access::Access,
    client::{Answer, Client, encode},
    options::Reach,
    out::{Out, note, plain},
};

/// What, and as whom.
#[derive(Debug, Args)]
pub struct SendArgs {
    /// Payloads as the platform would send them; `-` is standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Which platform's connector
    #[arg(long, value_name = "PLATFORM")]
    platform: String,
    /// The connector's key, instead of a token
    #[arg(long, value_name = "KEY", conflicts_with = "token", env = "WATCHFIRE_KEY", hide_env_values = true)]
    key: Option<String>,
    #[command(flatten)]
    reach: Reach,
}

/// Posts each file and says what became of it.
pub async fn run(args: SendArgs) -> Result<(), CliError> {
    let client = match (&args.key, &args.reach.url) {
        (Some(_), Some(url)) => Client::new(url, None)?,
        _ => Access::server(&args.reach)?,
    };
    let path = format!("/api/webhooks/{}", encode(&args.platform));
    let mut headers = vec![("content-type", "application/json".to_owned()), ("prefer", "wait=5".to_owned())];
    headers.extend(args.key.iter().map(|k| ("x-watchfire-key", k.clone())));
    let (mut out, mut refused) = (Out::new(), 0);
    for file in &args.files {
        let name = file.display();
        let body = read(file).map_err(|e| CliError::Failed(format!("{name} cannot be read: {e}")))?;
        let answer = client.send(Method::POST, &path, &headers, Some(body)).await?;
        if answer.status.is_success() {
            out.line(format_args!("{name}: {}", summary(&answer)))?;
        } else {
            refused += 1;
            note(format_args!("{name}: {}", client.refused(&answer)));
        }
    }
    out.flush()?;
    match refused {
        0 => Ok(()),
        n => Err(CliError::Failed(format!("{n} of {} were refused", args.files.len()))),
    }
}

fn read(file: &PathBuf) -> std::io::Result<Vec<u8>> {
    if file.as_os_str() != "-" {
        return std::fs::read(file);
    }
    let mut body = Vec::new();
    std::io::stdin().lock().read_to_end(&mut body)?;
    Ok(body)
}

/// `202, delivery 0192…, 2 alerts in INC-1`.
fn summary(answer: &Answer) -> String {
    let alerts = answer.body.get("alerts").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let mut incidents: Vec<&str> = alerts.iter().filter_map(|a| a.get("incident_id")?.as_str()).collect();
    incidents.dedup();
    let counted = match alerts.len() {
        0 => "no alert".to_owned(),
        1 => "1 alert".to_owned(),
        n => format!("{n} alerts"),
    };
    let place = if incidents.is_empty() { String::new() } else { format!(" in {}", incidents.join(", ")) };
    let delivery = answer.body.get("delivery_id").and_then(Value::as_str).unwrap_or("without a number");
    let problem = answer.body.pointer("/problem/detail").and_then(Value::as_str).map(|p| format!("; {p}"));
    plain(&format!("{}, delivery {delivery}, {counted}{place}{}", answer.status.as_u16(), problem.unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn summaries() {
        let in_one = |id| json!({"fingerprint": "f", "incident_id": id});
        for (body, want) in [
            (json!({"delivery_id": "d", "alerts": []}), "202, delivery d, no alert"),
            (json!({"delivery_id": "d", "alerts": [in_one(json!("INC-1"))]}), "202, delivery d, 1 alert in INC-1"),
            (
                json!({"delivery_id": "d", "alerts": [in_one(json!("INC-1")), in_one(json!("INC-1")), in_one(json!(null))]}),
                "202, delivery d, 3 alerts in INC-1",
            ),
            (
                json!({"delivery_id": "d", "problem": {"detail": "no title\u{1b}"}}),
                "202, delivery d, no alert; no title ",
            ),
        ] {
            assert_eq!(summary(&Answer { status: reqwest::StatusCode::ACCEPTED, body }), want);
        }
    }
}
