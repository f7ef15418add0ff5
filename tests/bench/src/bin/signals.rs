//! What a connector costs: from the bytes of a typical payload to signals, without HTTP and without the store. One line for
//! each payload: CPU time of the whole process per payload, which `tests/bench/signals` puts beside counted instructions.
//!
//! `signals --list` names the payloads; `signals --payload grafana/unified.firing --times 1000` reads one as often as said.

use std::{fs, path::Path, time::Instant};

use serde_json::Value;
use watchfire::{
    connectors::{Request, find},
    model::Time,
};
use watchfire_bench::args::{arg, quit};

/// For each platform what it sends most: an alert that fires, as today's version of the sender writes it.
const TYPICAL: [&str; 15] = [
    "grafana/unified.firing",
    "grafana/brief",
    "pagerduty/incident.firing",
    "datadog/monitor.firing",
    "datadog/brief",
    "netdata/nested.firing",
    "netdata/agent-opsgenie.firing",
    "dynatrace/problem.firing",
    "dynatrace/davis.firing",
    "splunk/search.firing",
    "splunk/observability.firing",
    "jenkins/build.firing",
    "cloudbees/controller.firing",
    "alertmanager/instance.firing",
    "generic/own.firing",
];

struct Payload {
    platform: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

fn load(name: &str) -> Payload {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../fixtures/{name}.json"));
    let text = fs::read(&path).unwrap_or_else(|e| quit(&format!("{}: {e}", path.display())));
    let file: Value = serde_json::from_slice(&text).unwrap_or_else(|e| quit(&format!("{}: {e}", path.display())));
    let headers = file["headers"].as_object().into_iter().flatten();
    let headers = headers.map(|(n, v)| (n.clone(), v.as_str().unwrap_or_default().to_owned())).collect();
    let body = match &file["body"] {
        Value::String(text) => text.clone().into_bytes(),
        other => other.to_string().into_bytes(),
    };
    let platform = name.split('/').next().unwrap_or_default().to_owned();
    Payload { platform, headers, body }
}

/// Reads it as often as said; how many signals and changes came of it, so that the work cannot be left out.
fn read(payload: &Payload, times: u32) -> usize {
    let Some(connector) = find(&payload.platform) else { quit(&format!("there is no connector {}", payload.platform)) };
    let mut found = 0;
    for _ in 0..times {
        let request = Request {
            headers: &payload.headers,
            query: &[],
            body: std::hint::black_box(&payload.body),
            received_at: Time::from_secs(1_772_533_860),
            rca_enabled: true,
        };
        match connector.parse(&request) {
            Ok(parsed) => found += parsed.signals.len() + parsed.changes.len(),
            Err(problem) => quit(&format!("{}: {}", payload.platform, problem.detail)),
        }
    }
    found
}

/// CPU time of this process so far in nanoseconds, by the kernel's own account.
fn cpu_ns() -> Option<u64> {
    fs::read_to_string("/proc/self/schedstat").ok()?.split(' ').next()?.parse().ok()
}

fn main() {
    if std::env::args().any(|a| a == "--list") {
        TYPICAL.iter().for_each(|name| println!("{name}"));
        return;
    }
    let name = arg("payload", String::new());
    let times = arg("times", 20_000u32);
    if name.is_empty() {
        quit("--payload NAME is needed; --list names all");
    }
    let payload = load(&name);
    // The first readings fill caches and the allocator.
    let warm = read(&payload, times / 10);
    let (cpu, wall) = (cpu_ns(), Instant::now());
    let found = read(&payload, times);
    let spent = match (cpu, cpu_ns()) {
        (Some(before), Some(after)) => after - before,
        _ => u64::try_from(wall.elapsed().as_nanos()).unwrap_or(u64::MAX),
    };
    let us = spent as f64 / 1e3 / f64::from(times.max(1));
    println!("{name} {} bytes, {us:.2} µs ({} read)", payload.body.len(), warm + found);
}
