//! What a connector costs: from the bytes of a typical payload to signals, without HTTP and without the store. One line for
//! each payload: CPU time of the whole process per payload, which `tests/bench/signals` puts beside counted instructions.
//!
//! Every connector of the registry is read with its sample and with what it sends most, and one source is declared.
//! `signals --list` names the payloads; `signals --payload grafana/unified.firing --times 1000` reads one as often as said.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Instant,
};

use serde_json::{Value, json};
use watchfire::{
    connectors::{ALL, Handle, Registry, Request, declared::Declared},
    model::Time,
};
use watchfire_bench::args::{arg, quit};

/// What a platform sends most: an alert that fires, as today's version of the sender writes it. A platform that is not
/// named here is read with the first of its fixtures that fires.
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
/// The source that is declared here, as in the README; its sample is its own.
const DECLARED: &str = "batch-jobs";
/// A payload that is a connector's own sample instead of a fixture.
const SAMPLE: &str = "sample";

struct Payload {
    connector: Handle,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

fn fixtures(platform: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures").join(platform)
}

/// The names of a platform's fixtures that fire, in order.
fn firing(platform: &str) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(fixtures(platform))
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok()?.strip_suffix(".firing.json").map(str::to_owned))
        .collect();
    names.sort();
    names
}

/// Every payload, as `platform/name`, in the order of the registry.
fn names() -> Vec<String> {
    let mut all = Vec::new();
    for connector in ALL {
        let slug = connector.info().slug;
        all.push(format!("{slug}/{SAMPLE}"));
        let known = all.len();
        all.extend(TYPICAL.iter().filter(|t| t.split('/').next() == Some(slug)).map(|t| (*t).to_owned()));
        if all.len() == known {
            match firing(slug).first() {
                Some(name) => all.push(format!("{slug}/{name}.firing")),
                None => quit(&format!("no fixture of {slug} fires")),
            }
        }
    }
    all.push(format!("{DECLARED}/{SAMPLE}"));
    all
}

/// A source that uses every field and most kinds of expressions: the README's.
fn declared() -> Declared {
    let run = |job: &str, result: &str, class: &str| {
        json!({"job": job, "run": 71, "result": result, "class": class, "node": "w-3:22", "owner": {"team": "billing"},
               "tags": ["nightly", "db:orders"], "log": ["fetching orders", "connection to db-1 refused"],
               "at": 1_772_533_800})
    };
    let sample = json!({"site": "production", "runs": [run("invoices", "FAILED", "gold")]});
    let declaration = json!({
        "items": "body.runs",
        "key": "item.job",
        "status": "item.result",
        "severity": "item.class",
        "title": "item.job ~ ' ' ~ item.result",
        "description": "item.log | join('\n')",
        "labels": "item.tags",
        "service": "item.owner.team",
        "host": "item.node | split(':') | first",
        "environment": "body.site",
        "time": "item.at",
        "link": "'https://jobs.example.com/runs/' ~ item.run",
        "resolved": ["Succeeded"],
        "severities": {"gold": "critical"},
        "sample": sample.to_string(),
    });
    let declaration = serde_json::from_value(declaration).unwrap_or_else(|e| quit(&format!("the declaration: {e}")));
    Declared::new(DECLARED, declaration, false).unwrap_or_else(|wrong| quit(&format!("the declaration: {wrong:?}")))
}

fn load(name: &str) -> Payload {
    let Some((platform, fixture)) = name.split_once('/') else { quit("a payload is `platform/name`") };
    let registry = Registry::default();
    registry.put(Arc::new(declared()));
    let Some(connector) = registry.find(platform) else { quit(&format!("there is no connector {platform}")) };
    if fixture == SAMPLE {
        let body = connector.sample().as_bytes().to_vec();
        return Payload { connector, headers: Vec::new(), body };
    }
    let path = fixtures(platform).join(format!("{fixture}.json"));
    let text = fs::read(&path).unwrap_or_else(|e| quit(&format!("{}: {e}", path.display())));
    let file: Value = serde_json::from_slice(&text).unwrap_or_else(|e| quit(&format!("{}: {e}", path.display())));
    let headers = file["headers"].as_object().into_iter().flatten();
    let headers = headers.map(|(n, v)| (n.clone(), v.as_str().unwrap_or_default().to_owned())).collect();
    let body = match &file["body"] {
        Value::String(text) => text.clone().into_bytes(),
        other => other.to_string().into_bytes(),
    };
    Payload { connector, headers, body }
}

/// Reads it as often as said; how many signals and changes came of it, so that the work cannot be left out.
fn read(payload: &Payload, times: u32) -> usize {
    let mut found = 0;
    for _ in 0..times {
        let request = Request {
            headers: &payload.headers,
            query: &[],
            body: std::hint::black_box(&payload.body),
            received_at: Time::from_secs(1_772_533_860),
            rca_enabled: true,
        };
        match payload.connector.parse(&request) {
            Ok(parsed) => found += parsed.signals.len() + parsed.changes.len(),
            Err(problem) => quit(&format!("{}: {}", payload.connector.slug(), problem.detail)),
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
        names().iter().for_each(|name| println!("{name}"));
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
