//! Every fixture through its connector, and every connector against damaged fixtures.
//!
//! A fixture is `tests/fixtures/<platform>/<case>.json` with what was sent; `<case>.expected.json` beside it says what
//! is read from it, without empty fields. `WATCHFIRE_BLESS=1` writes the expectations anew: look at the difference.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    time::Instant,
};

use proptest::{prelude::*, sample::Index, test_runner::TestRunner};
use serde_json::{Value, json};

use super::*;
use crate::model::{Note, SignalStatus};

#[derive(serde::Deserialize)]
struct Fixture {
    /// Which vendor page or code the form follows.
    source: String,
    /// What it shows of its platform.
    #[serde(default)]
    kind: Kind,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(default)]
    rca_enabled: bool,
    /// A text is sent as it is, anything else as JSON.
    body: Value,
}

/// The platforms of the brief show each of these.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Firing,
    Resolved,
    /// What the platform sends when somebody tries out whether it arrives.
    Test,
    /// Allowed, and not what one expects; or broken.
    Odd,
    /// As earlier versions send it.
    Older,
    /// Neither an alert nor its end.
    #[default]
    Other,
}

struct Case {
    platform: String,
    name: String,
    path: PathBuf,
    fixture: Fixture,
}

impl Case {
    fn bytes(&self) -> Vec<u8> {
        match &self.fixture.body {
            Value::String(text) => text.clone().into_bytes(),
            other => serde_json::to_vec_pretty(other).unwrap(),
        }
    }

    fn parse(&self, connector: &dyn Connector, body: &[u8]) -> Result<Parsed, Problem> {
        let headers: Vec<(String, String)> = self.fixture.headers.clone().into_iter().collect();
        connector.parse(&Request {
            headers: &headers,
            query: &[],
            body,
            received_at: received_at(),
            rca_enabled: self.fixture.rca_enabled,
        })
    }
}

fn received_at() -> Time {
    "2026-03-03T10:31:00Z".parse().unwrap()
}

fn cases() -> Vec<Case> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let mut cases = Vec::new();
    for connector in ALL {
        let platform = connector.info().slug;
        let mut paths: Vec<PathBuf> = fs::read_dir(root.join(platform))
            .unwrap_or_else(|e| panic!("tests/fixtures/{platform}: {e}"))
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.to_string_lossy().ends_with(".json"))
            .filter(|path| !path.to_string_lossy().ends_with(".expected.json"))
            .collect();
        paths.sort();
        for path in paths {
            let fixture =
                serde_json::from_slice(&fs::read(&path).unwrap()).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            cases.push(Case { platform: platform.to_owned(), name, path, fixture });
        }
    }
    cases
}

/// Without what says nothing, so that an expectation shows only what was read.
fn pruned(value: Value) -> Option<Value> {
    match value {
        Value::Null | Value::Bool(false) => None,
        Value::String(s) if s.is_empty() => None,
        Value::Array(list) => {
            // Places count in lists, as in identity fields.
            let list: Vec<Value> = list.into_iter().map(|v| pruned(v).unwrap_or(Value::Null)).collect();
            (!list.is_empty()).then_some(Value::Array(list))
        }
        Value::Object(map) => {
            let map: serde_json::Map<_, _> =
                map.into_iter().filter_map(|(name, value)| Some((name, pruned(value)?))).collect();
            (!map.is_empty()).then_some(Value::Object(map))
        }
        other => Some(other),
    }
}

#[test]
fn fixtures_are_read_as_expected() {
    let bless = std::env::var_os("WATCHFIRE_BLESS").is_some();
    let mut wrong = Vec::new();
    for case in cases() {
        assert!(!case.fixture.source.is_empty(), "{} names no source", case.path.display());
        let read = case.parse(find(&case.platform).unwrap(), &case.bytes());
        let got = match read {
            Ok(parsed) => serde_json::to_value(parsed).unwrap(),
            Err(problem) => json!({ "problem": problem }),
        };
        let got = pruned(got).unwrap_or_else(|| json!({}));
        let expected = case.path.with_extension("expected.json");
        if bless {
            fs::write(&expected, serde_json::to_string_pretty(&got).unwrap() + "\n").unwrap();
            continue;
        }
        let want: Value = fs::read(&expected)
            .map(|bytes| serde_json::from_slice(&bytes).unwrap())
            .unwrap_or_else(|e| panic!("{}: {e}", expected.display()));
        if got != want {
            wrong.push(format!("{}/{}:\n got {got:#}\nwant {want:#}", case.platform, case.name));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

const OF_THE_BRIEF: &[&str] =
    &["grafana", "pagerduty", "datadog", "netdata", "dynatrace", "splunk", "jenkins", "cloudbees"];

#[test]
fn every_platform_of_the_brief_shows_five_kinds() {
    let cases = cases();
    for slug in OF_THE_BRIEF {
        let kinds: BTreeSet<Kind> = cases.iter().filter(|c| c.platform == *slug).map(|c| c.fixture.kind).collect();
        for kind in [Kind::Firing, Kind::Resolved, Kind::Test, Kind::Odd, Kind::Older] {
            assert!(kinds.contains(&kind), "{slug} shows no {kind:?}: {kinds:?}");
        }
    }
    for case in &cases {
        let what = case.path.display();
        let Ok(parsed) = case.parse(find(&case.platform).unwrap(), &case.bytes()) else { continue };
        let all = |status| !parsed.signals.is_empty() && parsed.signals.iter().all(|s| s.status == status);
        match case.fixture.kind {
            Kind::Firing => assert!(all(SignalStatus::Firing), "{what}"),
            Kind::Resolved => assert!(all(SignalStatus::Resolved), "{what}"),
            Kind::Test => {
                let ping = parsed.notes.iter().any(|n| matches!(n, Note::Ping(_)));
                let marked = !parsed.signals.is_empty() && parsed.signals.iter().all(|s| s.is_test);
                assert!(ping || marked || TRIED_BY_HAND.contains(&case.platform.as_str()), "{what}");
            }
            Kind::Odd | Kind::Older | Kind::Other => {}
        }
    }
}

/// Platforms whose test looks like anything else that they send.
const TRIED_BY_HAND: &[&str] = &["splunk", "jenkins", "cloudbees"];

#[test]
fn both_ends_of_an_alert_have_one_identity() {
    let cases = cases();
    for connector in ALL {
        let slug = connector.info().slug;
        let names: BTreeSet<&str> = cases.iter().filter(|c| c.platform == slug).map(|c| c.name.as_str()).collect();
        let pairs: Vec<&str> = names.iter().filter_map(|n| n.strip_suffix(".firing")).collect();
        assert!(!pairs.is_empty(), "{slug} has only {names:?}");
        for pair in pairs {
            let keys = |end: &str| -> Vec<(String, SignalStatus)> {
                let name = format!("{pair}.{end}");
                let case = cases.iter().find(|c| c.platform == slug && c.name == name);
                let case = case.unwrap_or_else(|| panic!("{slug}/{name}.json is missing"));
                let parsed = case.parse(*connector, &case.bytes()).unwrap();
                parsed.signals.into_iter().map(|s| (s.dedup_key, s.status)).collect()
            };
            let (firing, resolved) = (keys("firing"), keys("resolved"));
            // An end may be told of more alerts than one (a good build ends those that never knew their branch).
            assert!(!firing.is_empty() && firing.len() <= resolved.len(), "{slug}/{pair}");
            for ((fired, up), (ended, down)) in firing.iter().zip(&resolved) {
                assert_eq!(fired, ended, "{slug}/{pair}");
                assert_eq!((*up, *down), (SignalStatus::Firing, SignalStatus::Resolved), "{slug}/{pair}");
            }
        }
    }
}

/// What holds for every signal of every platform, whatever was sent.
fn check_invariants(connector: &dyn Connector, parsed: &Parsed) {
    let slug = connector.info().slug;
    for signal in &parsed.signals {
        assert!(signal.dedup_key.starts_with(&format!("{slug}:")), "{}", signal.dedup_key);
        assert!(!signal.identity.rule.is_empty() && !signal.identity.fields.is_empty(), "{signal:?}");
        assert!(!signal.title.is_empty() && signal.title.chars().count() <= 500, "{signal:?}");
        assert!(!signal.title.chars().any(char::is_control), "{:?}", signal.title);
        assert!(signal.labels.values().all(|v| v.len() <= 4096), "{:?}", signal.labels);
        for url in [&signal.url, &signal.image_url, &signal.runbook_url].into_iter().flatten() {
            assert!(text::url(url).is_some(), "{url}");
        }
        for name in [&signal.service, &signal.host, &signal.environment].into_iter().flatten() {
            assert!(!text::absent(name), "{name}");
        }
    }
    for change in &parsed.changes {
        assert!(change.source == slug && !change.title.is_empty(), "{change:?}");
    }
}

#[test]
fn samples_are_read_by_their_platform() {
    for connector in ALL {
        let info = connector.info();
        for rca_enabled in [false, true] {
            let parsed = connector
                .parse(&Request {
                    headers: &[],
                    query: &[],
                    body: info.sample.as_bytes(),
                    received_at: received_at(),
                    rca_enabled,
                })
                .unwrap_or_else(|p| panic!("{}: {}", info.slug, p.detail));
            check_invariants(*connector, &parsed);
            assert_eq!(parsed.signals.len(), usize::from(rca_enabled || !info.builds), "{}", info.slug);
            assert_eq!(parsed.changes.len(), usize::from(info.builds), "{}", info.slug);
        }
        assert!(info.steps.iter().any(|s| s.contains("{url}")), "{} shows no URL", info.slug);
        assert!(info.slug == info.slug.to_lowercase() && info.tile.chars().count() == 2 && !info.fields.is_empty());
    }
}

#[test]
fn senders_get_the_one_code_that_they_take_for_success() {
    for (path, want) in [
        ("netdata/agent-opsgenie.firing", 200),
        ("netdata/nested.firing", 202),
        ("splunk/observability.firing", 200),
        ("splunk/search.firing", 202),
        ("grafana/unified.firing", 202),
    ] {
        let case = cases().into_iter().find(|c| format!("{}/{}", c.platform, c.name) == path).unwrap();
        let body = case.bytes();
        let request = Request { headers: &[], query: &[], body: &body, received_at: received_at(), rca_enabled: false };
        assert_eq!(find(&case.platform).unwrap().success(&request), want, "{path}");
    }
}

#[test]
fn hostile_text_is_read_in_no_time() {
    // Each would take half a minute and more where reading is quadratic.
    let many = |piece: &str| piece.repeat((3 << 20) / piece.len());
    for (field, piece) in [
        ("text", "![a](b)"),
        ("text", "<script>"),
        ("text", "<script></script>"),
        ("text", "<b "),
        ("text", "@webhook-x "),
        ("title", "[P1]"),
        ("tags", "a:1234,"),
        ("tags", "a:"),
        ("Tags", "[x]"),
    ] {
        let body = json!({"title": "t", "name": "n", "search_name": "s", "ProblemTitle": "p", "alerts": [], field: many(piece)});
        let unique = serde_json::to_vec(&body).unwrap();
        for connector in ALL {
            let began = Instant::now();
            let _ = connector.parse(&Request {
                headers: &[],
                query: &[],
                body: &unique,
                received_at: received_at(),
                rca_enabled: true,
            });
            assert!(began.elapsed().as_secs() < 10, "{} {field} {piece}: {:?}", connector.info().slug, began.elapsed());
        }
    }
}

#[test]
fn names_are_found_and_near_ones_offered() {
    for connector in ALL {
        assert_eq!(find(connector.info().slug).unwrap().info().slug, connector.info().slug);
    }
    assert!(find("nagios").is_none());
    for (wanted, want) in [
        ("grafanna", vec!["grafana"]),
        ("Netdata", vec!["netdata"]),
        ("alert-manager", vec!["alertmanager"]),
        ("grafana-cloud", vec!["grafana"]),
        ("zzz", vec![]),
        ("", vec![]),
    ] {
        assert_eq!(near(wanted), want, "{wanted}");
    }
}

#[test]
fn ten_thousand_alerts_are_read_quickly_and_no_more_are() {
    let alert = |n: usize| {
        json!({
            "status": "firing",
            "labels": {"alertname": "HighErrorRate", "severity": "critical", "instance": format!("api-{n}:9090"),
                       "job": "api", "cluster": "eu-1"},
            "annotations": {"summary": format!("Error rate above 5% on api-{n}"), "description": "5xx for 10 minutes"},
            "startsAt": "2026-03-03T10:30:00.123456789Z", "endsAt": "0001-01-01T00:00:00Z",
            "generatorURL": "https://prometheus.example.com/graph?g0.expr=errors",
        })
    };
    let body = |n: usize| serde_json::to_vec(&json!({"alerts": (0..n).map(alert).collect::<Vec<_>>()})).unwrap();
    let (most, more) = (body(10_000), body(10_001));
    for slug in ["grafana", "alertmanager", "generic"] {
        let request = |body| Request { headers: &[], query: &[], body, received_at: received_at(), rca_enabled: false };
        let began = Instant::now();
        let parsed = find(slug).unwrap().parse(&request(&most)).unwrap();
        // Far above what it takes, far below what anything quadratic would.
        assert!(began.elapsed().as_secs() < 10, "{slug}: {:?}", began.elapsed());
        println!("{slug}: {:?}", began.elapsed());
        let keys: BTreeSet<String> = parsed.signals.iter().map(|s| s.dedup_key.clone()).collect();
        assert_eq!(keys.len(), 10_000, "{slug}");
        assert_eq!(find(slug).unwrap().parse(&request(&more)).unwrap_err().code, "too_many", "{slug}");
    }
}

/// Replaces the scalar or branch at the place that `at` chooses.
fn swap(value: &mut Value, at: usize, with: &Value) -> usize {
    if at == 0 {
        *value = with.clone();
        return 0;
    }
    let mut left = at - 1;
    let children: Vec<&mut Value> = match value {
        Value::Array(list) => list.iter_mut().collect(),
        Value::Object(map) => map.values_mut().collect(),
        _ => Vec::new(),
    };
    for child in children {
        let size = size(child);
        if left < size {
            return swap(child, left, with);
        }
        left -= size;
    }
    left
}

fn size(value: &Value) -> usize {
    1 + match value {
        Value::Array(list) => list.iter().map(size).sum(),
        Value::Object(map) => map.values().map(size).sum(),
        _ => 0,
    }
}

fn strange() -> impl Strategy<Value = Value> {
    prop::sample::select(vec![
        json!(null),
        json!(true),
        json!(0),
        json!(-1),
        json!(1e300),
        json!(u64::MAX),
        json!(""),
        json!("null"),
        json!("{State}"),
        json!("\u{202e}\u{0}\n"),
        json!("<script>alert(1)</script>"),
        json!("javascript:alert(1)"),
        json!("ä".repeat(3000)),
        json!(" on : :::/?&="),
        json!([]),
        json!([null, 1, "x", {}]),
        json!({}),
        json!({"a": {"b": []}}),
    ])
}

fn try_all(case: &Case, body: &[u8]) {
    let headers: Vec<(String, String)> = case.fixture.headers.clone().into_iter().collect();
    for connector in ALL {
        if let Ok(parsed) = case.parse(*connector, body) {
            check_invariants(*connector, &parsed);
        }
        let received_at = received_at();
        let request = Request { headers: &headers, query: &[], body, received_at, rca_enabled: false };
        assert!((200..300).contains(&connector.success(&request)));
        let _ = connector.verify(&request, &["secret"]);
        let mut kept = body.to_vec();
        connector.redact(&mut kept);
        assert_eq!(kept.len(), body.len(), "{}", connector.info().slug);
    }
}

/// Runs `test` on every fixture, each with this many mutations: a fixture that is added is covered by itself, and so is a
/// connector, since every one reads what was made.
fn mutate<S: Strategy>(strategy: S, test: impl Fn(&Case, S::Value)) {
    let config = ProptestConfig { cases: 8, failure_persistence: None, ..ProptestConfig::default() };
    for case in cases() {
        let mut runner = TestRunner::new(config.clone());
        let ran = runner.run(&strategy, |value| {
            test(&case, value);
            Ok(())
        });
        ran.unwrap_or_else(|e| panic!("{}: {e}", case.path.display()));
    }
}

#[test]
fn damaged_bytes_never_panic() {
    let flips = prop::collection::vec((any::<Index>(), any::<u8>()), 0..6);
    mutate((flips, prop::option::of(any::<Index>())), |case, (flips, keep)| {
        let mut body = case.bytes();
        for (at, byte) in flips {
            if !body.is_empty() {
                let at = at.index(body.len());
                body[at] = byte;
            }
        }
        if let Some(keep) = keep {
            body.truncate(keep.index(body.len() + 1));
        }
        try_all(case, &body);
    });
}

#[test]
fn swapped_types_never_panic() {
    mutate(prop::collection::vec((any::<Index>(), strange()), 1..4), |case, swaps| {
        let mut body = match &case.fixture.body {
            Value::String(text) => serde_json::from_str(text).unwrap_or_else(|_| json!({"title": text})),
            other => other.clone(),
        };
        for (at, with) in swaps {
            let at = at.index(size(&body));
            swap(&mut body, at, &with);
        }
        try_all(case, &serde_json::to_vec(&body).unwrap());
    });
}
