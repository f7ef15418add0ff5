//! Every file in `tests/fixtures/backtest` through a backtest, to the lines beside it. `WATCHFIRE_BLESS=1` writes those, to
//! be read before they are committed.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::*;
use crate::{
    app, config,
    model::{Service, Time},
};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/backtest")
}

fn configured(file: &Path) -> Config {
    let file = file.exists().then(|| file.to_owned());
    let sources = config::Sources { file, flags: vec![("data_dir".into(), ".".into())], env: Vec::new() };
    config::load(&sources, &app::platforms()).unwrap()
}

/// The lines that a backtest of this file prints.
fn played(file: &Path) -> Vec<String> {
    let config = configured(&file.with_extension("toml"));
    let services = file.with_extension("topology.json");
    let services = if services.exists() { Topology::read(&services).unwrap() } else { Topology::default() };
    let mut input = Input::open(file).unwrap();
    let report = run(&mut input, &services, &config, app::policy(&config), true).unwrap();
    let deliveries = report.deliveries.iter().map(|d| serde_json::to_string(d).unwrap());
    let incidents = report.incidents.iter().map(|i| serde_json::to_string(i).unwrap());
    deliveries.chain(incidents).chain(report.summary().iter().map(|l| format!("# {l}"))).collect()
}

#[test]
fn recorded_lines_become_what_stands_beside_them_every_time() {
    let mut tried = 0;
    for entry in fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let Some(case) = name.strip_suffix(".ndjson").filter(|n| !n.ends_with(".expected")) else { continue };
        tried += 1;
        let lines = played(&path);
        assert_eq!(lines, played(&path), "{case}: the same input gives the same bytes");
        let expected = path.with_file_name(format!("{case}.expected.ndjson"));
        if std::env::var_os("WATCHFIRE_BLESS").is_some() {
            fs::write(&expected, lines.join("\n") + "\n").unwrap();
        }
        let want = fs::read_to_string(&expected).unwrap_or_default();
        assert_eq!(lines, want.lines().collect::<Vec<_>>(), "{case}");
    }
    assert!(tried >= 5);
}

/// Hundreds of alerts of services that call each other: enough for the order of anything unordered to show.
#[test]
fn many_alerts_are_weighed_to_the_same_bytes() {
    let mut seed = 7_u64;
    let mut draw = |n: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % n
    };
    let what = ["latency is high", "connections used up", "queue grows", "errors on requests", "disk is full"];
    let (mut lines, mut at) = (String::new(), 1_772_500_000_000_i64);
    for n in 0..600 {
        at += i64::try_from(draw(40_000)).unwrap();
        let (service, symptom) = (draw(24), draw(5));
        let status = if draw(4) == 0 { "resolved" } else { "firing" };
        let title = format!("{} on svc-{service}", what[symptom as usize]);
        let body = serde_json::json!({
            "id": format!("{service}-{symptom}"), "title": title, "service": format!("svc-{service}"),
            "host": format!("node-{}", service / 3), "status": status, "severity": "high",
        });
        lines += &serde_json::json!({ "at": Time::from_millis(at), "platform": "generic", "body": body }).to_string();
        lines.push('\n');
        if n % 150 == 149 {
            lines += &serde_json::json!({ "at": Time::from_millis(at), "resolve": "latest" }).to_string();
            lines.push('\n');
        }
    }
    let services = (0..24).map(|n| Service {
        name: format!("svc-{n}"),
        depends_on: vec![format!("svc-{}", (n * 7 + 3) % 24), format!("svc-{}", (n + 1) % 24)],
        ..Service::default()
    });
    let topology = Topology::of(services.collect());
    let config = configured(Path::new("/none.toml"));
    let play = || {
        let mut input = opened(&lines).unwrap();
        let report = run(&mut input, &topology, &config, app::policy(&config), true).unwrap();
        serde_json::to_string(&(&report.deliveries, &report.incidents)).unwrap()
    };
    let first = play();
    for _ in 0..3 {
        assert_eq!(first, play());
    }
}

fn opened(text: &str) -> Result<Input, BacktestError> {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("in.ndjson");
    fs::write(&file, text).unwrap();
    Input::open(&file)
}

#[test]
fn what_cannot_be_understood_is_named_with_its_place() {
    for (line, place, what) in [
        ("{\"at\":\"2026-03-03T09:00:00Z\"}", "1:1", "one of `platform`"),
        ("{\"at\":\"soon\",\"platform\":\"grafana\",\"body\":{}}", "1:12", "not a time"),
        ("  {\"at\":\"2026-03-03T09:00:00Z\",\"platform\":\"grafana\",\"body\":{", "1:", "EOF"),
        ("{\"at\":\"2026-03-03T09:00:00Z\",\"platform\":\"grafana\"}", "1:1", "`body` is missing"),
        ("{\"at\":\"2026-03-03T09:00:00Z\",\"change\":{\"kind\":\"deploy\"}}", "1:1", "change/title"),
        ("{\"at\":\"2026-03-03T09:00:00Z\",\"change\":{\"title\":\"x\",\"kind\":\"party\"}}", "1:", "party"),
        ("{\"at\":\"2026-03-03T09:00:00Z\",\"resolve\":\"all\"}", "1:1", "INC-3"),
        ("{\"at\":\"2026-03-03T09:00:00Z\",\"change\":{\"title\":\"x\"},\"cause\":{}}", "1:1", "`cause`"),
        ("\n\n[1]", "3:", "invalid"),
    ] {
        let said = opened(line).unwrap_err().to_string();
        assert!(said.contains(&format!("in.ndjson:{place}")) && said.contains(what), "{line}\n{said}");
    }
    let said = opened(&"x\n".repeat(25)).unwrap_err().to_string();
    assert!(said.contains("25 lines") && said.contains("in.ndjson:20:") && said.ends_with("and 5 more"), "{said}");
    assert!(!said.contains("in.ndjson:21:"), "{said}");
}

#[test]
fn an_incident_that_is_not_there_cannot_be_resolved() {
    let mut input = opened("\n{\"at\":\"2026-03-03T09:00:00Z\",\"resolve\":\"INC-3\"}\n").unwrap();
    let config = configured(Path::new("/none.toml"));
    let said = run(&mut input, &Topology::default(), &config, app::policy(&config), false).unwrap_err().to_string();
    assert!(said.contains(":2:1: resolve: there was no incident INC-3 by then"), "{said}");
}

#[test]
fn what_editors_put_around_lines_is_no_mistake() {
    let line = r#"{"at":"2026-03-03T09:00:00Z","platform":"generic","body":{"title":"x"}}"#;
    let input = opened(&format!("\u{feff}{line}\r\n \r\n  {line}\r\n")).unwrap();
    assert_eq!(input.lines().collect::<Vec<_>>(), [1, 3]);
}

#[test]
fn an_empty_file_has_an_empty_answer() {
    let config = configured(Path::new("/none.toml"));
    let report = run(&mut opened("\n").unwrap(), &Topology::default(), &config, app::policy(&config), true).unwrap();
    assert_eq!((report.deliveries.len(), report.incidents.len(), report.alerts), (0, 0, 0));
}

#[test]
fn odd_topologies_lose_what_is_odd() {
    let service = |name: &str, aliases: &[&str], depends_on: &[&str]| Service {
        name: name.into(),
        aliases: aliases.iter().map(|a| (*a).into()).collect(),
        depends_on: depends_on.iter().map(|a| (*a).into()).collect(),
        ..Service::default()
    };
    let topology = Topology::of(vec![
        service("a", &["B", "x", "A"], &["b", "x", "unknown"]),
        service(" b ", &["X", "y"], &["a"]),
        service("A", &[], &[]),
        service("", &["z"], &[]),
    ]);
    assert_eq!(topology.services, [service("a", &["x"], &["b", "unknown"]), service("b", &["y"], &["a"])]);
    assert_eq!(topology.left_out.len(), 4, "{:?}", topology.left_out);
    assert_eq!((topology.name("Y"), topology.name("q")), ("b", "q"));
    let config = configured(Path::new("/none.toml"));
    run(&mut opened("").unwrap(), &topology, &config, app::policy(&config), false).unwrap();
}

/// Nothing of these has a cause that alerts could tell: one that flaps, some that have nothing to do with each other.
#[test]
fn streams_with_nothing_to_find_accuse_nobody() {
    let config = configured(Path::new("/none.toml"));
    let services = (0..40).map(|n| Service {
        name: format!("svc-{n}"),
        depends_on: if n % 3 == 0 { vec![format!("svc-{}", n + 1)] } else { Vec::new() },
        ..Service::default()
    });
    let topology = Topology::of(services.collect());
    let titles =
        ["latency is high", "CPU usage above 80 %", "errors on requests", "memory usage above 85 %", "traffic drop"];
    let mut accused = Vec::new();
    for stream in 0..100_u64 {
        let mut seed = 1_000 + stream;
        let mut draw = |n: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) % n
        };
        let mut lines = String::new();
        let mut at = 1_772_500_000_000_i64;
        let tell = |lines: &mut String, at: i64, service: u64, what: u64, status: &str, severity: &str| {
            let body = serde_json::json!({
                "id": format!("{service}-{what}"), "title": format!("{} on svc-{service}", titles[what as usize]),
                "service": format!("svc-{service}"), "status": status, "severity": severity,
            });
            let line = serde_json::json!({ "at": Time::from_millis(at), "platform": "generic", "body": body });
            *lines += &format!("{line}\n");
        };
        let severities = ["low", "medium", "high"];
        if stream % 2 == 0 {
            let (service, what) = (draw(40), draw(5));
            for _ in 0..3 + draw(6) {
                let severity = severities[draw(3) as usize];
                tell(&mut lines, at, service, what, "firing", severity);
                at += i64::try_from(60_000 + draw(240_000)).unwrap();
                tell(&mut lines, at, service, what, "resolved", severity);
                at += i64::try_from(60_000 + draw(240_000)).unwrap();
            }
        } else {
            // Far apart in the topology, in name and in kind; now and then two at the same time.
            for n in 0..2 + draw(4) {
                tell(&mut lines, at, (draw(8) + n * 9) % 40, (n + draw(2)) % 5, "firing", severities[draw(3) as usize]);
                at += i64::try_from(draw(900_000)).unwrap();
            }
        }
        let mut input = opened(&lines).unwrap();
        let report = run(&mut input, &topology, &config, app::policy(&config), true).unwrap();
        let incidents = report.incidents.iter().map(|i| serde_json::to_value(i).unwrap());
        let sure: Vec<_> = incidents.filter(|i| i["conclusion"] != "inconclusive").collect();
        if !sure.is_empty() {
            accused.push((stream, serde_json::to_string(&sure).unwrap()));
        }
    }
    assert!(accused.len() <= 5, "{} of 100: {accused:#?}", accused.len());
}
