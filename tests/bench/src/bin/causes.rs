//! What one investigation costs without reading: five hundred alerts among a thousand services, with two thousand ended
//! incidents remembered. Prints the times of many runs; `--alerts`, `--services`, `--ended` and `--runs` change them.

use std::{collections::BTreeMap, sync::Arc, time::Instant};

use serde_json::json;
use watchfire::{
    correlation::topology::Topology,
    investigation::{Case, examine},
    model::*,
};
use watchfire_bench::args::{arg, quit};

const RULES: &[&str] = &["latency p95", "error rate", "CPU usage", "memory usage", "requests dropped", "disk usage"];

fn draw(seed: &mut u64, n: u64) -> u64 {
    *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*seed >> 33) % n.max(1)
}

fn alert(n: u64, service: u64, rule: u64, at: Time) -> Alert {
    let name = format!("service-{service}");
    let mut signal = Signal::new(format!("grafana:{n}"), format!("{} is high on {name}", RULES[rule as usize]));
    signal.severity = Severity::ALL[(n % 3) as usize];
    let row = json!({
        "id": AlertId::new(at, n), "fingerprint": Fingerprint::of(&signal.dedup_key), "dedup_key": signal.dedup_key,
        "platform": "grafana", "title": signal.title, "service": name, "severity": signal.severity, "status": "firing",
        "started_at": at, "onset_at": at, "first_seen": at, "last_seen": at, "count": 1,
        "labels": BTreeMap::from([("alertname", RULES[rule as usize])]), "annotations": {}, "test": false,
        "repaired": false, "incident": IncidentId(1_000_000), "first_delivery": n, "last_delivery": n,
    });
    serde_json::from_value(row).unwrap_or_else(|e| quit(&e.to_string()))
}

fn incident(at: Time, alerts: u64) -> Incident {
    let row = json!({
        "id": IncidentId(1_000_000), "status": "investigating", "severity": "critical", "severity_pinned": false,
        "title": "latency p95 is high", "service": "service-0", "affected_services": [], "affected_hosts": [],
        "source": "grafana", "started_at": at, "onset_at": at, "detected_at": at, "updated_at": at, "last_alert_at": at,
        "alert_count": alerts, "firing_count": alerts, "sender_groups": [], "muted_count": 0, "muted": false, "mutes": [],
        "flapping_count": 0, "flapping": false, "test": false, "manual": false, "labels": {}, "version": 1,
        "merging": Merging::default(), "investigation": InvestigationHead::default(),
    });
    serde_json::from_value(row).unwrap_or_else(|e| quit(&e.to_string()))
}

fn main() {
    let (alerts, services): (u64, u64) = (arg("alerts", 500), arg("services", 1_000));
    let (ended, runs): (u64, u64) = (arg("ended", 2_000), arg("runs", 200));
    let mut seed = 7;
    let at = Time::from_secs(1_772_500_000);
    let names: Vec<String> = (0..services).map(|n| format!("service-{n}")).collect();
    let mut calls: Vec<(usize, usize)> = Vec::new();
    for n in 1..services {
        for _ in 0..3 {
            calls.push((draw(&mut seed, n) as usize, n as usize));
        }
    }
    let none: [&Service; 0] = [];
    let topology = Arc::new(Topology::new(none, calls.iter().map(|(a, b)| (names[*a].as_str(), names[*b].as_str()))));
    let of_incident = |seed: &mut u64, count: u64| -> Vec<Alert> {
        (0..count)
            .map(|n| {
                let (service, rule) = (draw(seed, services), draw(seed, RULES.len() as u64));
                alert(n + 1, service, rule, at.plus(std::time::Duration::from_secs(n)))
            })
            .collect()
    };
    let outcomes: Vec<(IncidentId, Outcome)> = (0..ended)
        .map(|n| {
            let shown = of_incident(&mut seed, 40);
            let cause = KnownCause { service: shown[0].service.clone(), host: None, symptom: None };
            (
                IncidentId(n + 1),
                Outcome { at, places: Outcome::shown(&shown), cause: Some(cause), said: None, right: None },
            )
        })
        .collect();
    let mut case = Case::new(incident(at, alerts), at.plus(std::time::Duration::from_secs(900)))
        .with_alerts(of_incident(&mut seed, alerts))
        .with_outcomes(outcomes);
    case.topology = topology;
    let mut times: Vec<f64> = (0..runs)
        .map(|_| {
            let begin = Instant::now();
            let (lines, finish) = examine(&case);
            assert!(!lines.is_empty() && !finish.answer.causes.is_empty());
            begin.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    times.sort_by(f64::total_cmp);
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize];
    println!(
        "{} alerts, {services} services, {ended} ended incidents: p50 {:.1} ms, p95 {:.1} ms",
        alerts,
        at(0.5),
        at(0.95)
    );
}
