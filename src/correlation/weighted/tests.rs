//! What the weighing decides, in small stories.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::{Just, ProptestConfig, prop, prop_assert_eq, prop_oneof, proptest};

use super::*;
use crate::{correlation::Group, model::*};

const T: i64 = 1_772_500_000;

fn at(secs: i64) -> Time {
    Time::from_secs(T + secs)
}

fn alert(n: u64, secs: i64, service: Option<&str>, host: Option<&str>, title: &str, text: &str) -> Alert {
    let row = serde_json::json!({
        "id": AlertId::new(at(secs), n), "fingerprint": Fingerprint::of(&n.to_string()), "dedup_key": n.to_string(),
        "platform": "grafana", "title": title, "description": text, "service": service, "host": host,
        "severity": "high", "status": "firing", "started_at": at(secs), "onset_at": at(secs), "first_seen": at(secs),
        "last_seen": at(secs), "count": 1, "first_delivery": n, "last_delivery": n,
    });
    serde_json::from_value(row).unwrap()
}

fn incident(n: u64, secs: i64) -> Incident {
    let row = serde_json::json!({
        "id": format!("INC-{n}"), "status": "investigating", "severity": "high", "title": "", "source": "x",
        "started_at": at(secs), "onset_at": at(secs), "detected_at": at(secs), "updated_at": at(secs),
        "last_alert_at": at(secs), "alert_count": 1, "firing_count": 1,
    });
    serde_json::from_value(row).unwrap()
}

fn shop() -> Topology {
    let service = |name: &str, calls: &[&str], hosts: &[&str]| Service {
        name: name.to_owned(),
        depends_on: calls.iter().map(|s| (*s).to_owned()).collect(),
        hosts: hosts.iter().map(|s| (*s).to_owned()).collect(),
        ..Service::default()
    };
    let mut ledger = service("ledger-postgres", &[], &["db-7"]);
    ledger.aliases = vec!["SERVICE-4F2A".to_owned()];
    Topology::new(
        &[
            service("checkout-api", &["payments-api", "cart-redis"], &["web-1", "web-2"]),
            service("payments-api", &["ledger-postgres"], &["web-1"]),
            ledger,
            service("cart-redis", &[], &["cache-1"]),
            service("reports-worker", &["ledger-postgres"], &["batch-1"]),
        ],
        [],
    )
}

/// An engine in which these alerts opened an incident each, in order.
fn engine(opened: &[Alert]) -> Engine {
    let mut engine = Engine::new(shop());
    for (n, a) in opened.iter().enumerate() {
        let id = n as u64 + 1;
        let opens = incident(id, (a.onset_at.millis() - at(0).millis()) / 1000);
        engine.note_opened(opens.id, opens.onset_at, id);
        engine.open(&opens);
        let subject = Subject::of(a, None, &engine.topology);
        engine.add(opens.id, &subject, false);
    }
    engine
}

fn decide(engine: &Engine, a: &Alert) -> Decision {
    engine.place(&Subject::of(a, None, &engine.topology), &BTreeSet::new(), |_| None)
}

#[test]
fn evidence_leads_to_the_incident_and_says_why() {
    let check = |opened: Alert, next: Alert, want: Option<(Strategy, &str)>| {
        let engine = engine(&[opened]);
        let decision = decide(&engine, &next);
        let got = decision.placed.as_ref().and_then(|p| p.reasons.first()).map(|r| (r.strategy, r.text.as_str()));
        assert_eq!(got, want, "{}: {decision:?}", next.title);
    };
    let down = || alert(1, 0, Some("ledger-postgres"), None, "DatabaseDown", "not accepting connections");
    let check_down = |next: Alert, want| check(down(), next, want);
    check_down(
        alert(2, 60, Some("prod/ledger_postgres"), None, "Replica lag", ""),
        Some((Strategy::ServiceMatch, "Same service, ledger-postgres; its latest alert was 60\u{a0}s away.")),
    );
    check_down(
        alert(2, 60, Some("payments-api"), None, "HighErrorRate", "answering 12% of requests with 5xx"),
        Some((Strategy::Topology, "payments-api calls ledger-postgres; ledger-postgres alerted 60\u{a0}s apart.")),
    );
    check_down(
        alert(2, 60, None, None, "Upstream timeouts", "java.net.SocketTimeoutException connecting to ledger-postgres"),
        Some((Strategy::ServiceMatch, "Same service, ledger-postgres; its latest alert was 60\u{a0}s away.")),
    );
    check_down(
        alert(2, 30, None, Some("db-7.internal:9100"), "Disk latency", "await high"),
        Some((Strategy::ServiceMatch, "Same service, ledger-postgres; its latest alert was 30\u{a0}s away.")),
    );
    // Callers often alert before what they call does.
    check(
        alert(1, 0, Some("payments-api"), None, "HighErrorRate", "answering 12% of requests with 5xx"),
        alert(2, 20, Some("ledger-postgres"), None, "DatabaseDown", "not accepting connections"),
        Some((Strategy::Topology, "payments-api calls ledger-postgres; payments-api alerted 20\u{a0}s apart.")),
    );
    // Nothing in common, and a day later.
    check_down(alert(2, 60, Some("cart-redis"), None, "CacheEvictions", "evicts keys at a high rate"), None);
    check_down(alert(2, 86_400, Some("ledger-postgres"), None, "Replica lag", ""), None);
    check(
        alert(1, 0, None, Some("web-1"), "10min_cpu_usage", "CPU utilization"),
        alert(2, 45, None, Some("WEB-1.ec2.internal"), "ram_in_use", "memory utilization"),
        Some((Strategy::SameHost, "Same machine, web-1; its latest alert was 45\u{a0}s away.")),
    );
}

#[test]
fn another_environment_and_alerts_long_over_speak_against() {
    let mut first = alert(1, 0, Some("checkout-api"), None, "HighErrorRate", "");
    first.environment = Some("production".to_owned());
    let mut next = alert(2, 30, Some("checkout-api"), None, "SlowRequests", "");
    let engine = engine(&[first]);
    assert!(decide(&engine, &next).placed.is_some());
    next.environment = Some("staging".to_owned());
    assert_eq!(decide(&engine, &next).placed, None);
    next.environment = Some("production".to_owned());
    let over = |_| Some(Standing { firing: 1, alerts: 10, owned: false });
    let subject = Subject::of(&next, None, &engine.topology);
    let placed = engine.place(&subject, &BTreeSet::new(), over).placed;
    assert_eq!(placed, None, "nine of ten have ended");
}

#[test]
fn what_is_forbidden_is_never_taken() {
    let engine = engine(&[alert(1, 0, Some("checkout-api"), None, "HighErrorRate", "")]);
    let next = alert(2, 30, Some("checkout-api"), None, "SlowRequests", "");
    let subject = Subject::of(&next, None, &engine.topology);
    assert!(engine.place(&subject, &[IncidentId(1)].into(), |_| None).placed.is_none());
}

#[test]
fn a_senders_group_outweighs_everything_within_its_window() {
    let mut engine = engine(&[
        alert(1, 0, Some("cart-redis"), None, "CacheEvictions", ""),
        alert(2, 1, Some("checkout-api"), None, "SlowRequests", ""),
    ]);
    let group = Group::new("grafana", "{}:{team=\"shop\"}");
    let mut grouped = incident(1, 0);
    grouped.sender_groups = vec![group.of];
    engine.open(&grouped);
    for (secs, want) in [(60, IncidentId(1)), (600, IncidentId(2))] {
        let next = alert(3, secs, Some("checkout-api"), None, "SlowRequests", "");
        let subject = Subject::of(&next, Some(group), &engine.topology);
        let placed = engine.place(&subject, &BTreeSet::new(), |_| None).placed.unwrap();
        assert_eq!(placed.incident, want, "{secs} s after: {placed:?}");
    }
}

#[test]
fn one_alert_ties_two_young_incidents_together_unless_both_are_taken() {
    // Two callers alert before what they call does.
    let opened = [
        alert(1, 0, Some("payments-api"), None, "UpstreamTimeouts", "times out calling ledger-postgres"),
        alert(2, 5, Some("reports-worker"), None, "Job failed", "cannot reach ledger-postgres"),
    ];
    let engine = engine(&opened);
    let culprit = alert(3, 40, Some("ledger-postgres"), None, "DatabaseDown", "not accepting connections");
    let subject = Subject::of(&culprit, None, &engine.topology);
    let tied = |owned: bool| {
        let standing = move |_| Some(Standing { firing: 1, alerts: 1, owned });
        engine.place(&subject, &BTreeSet::new(), standing).merge.len()
    };
    assert_eq!(tied(false), 1);
    assert_eq!(tied(true), 0);
}

#[test]
fn a_second_look_finds_the_better_home() {
    // The first alert came before anything it belongs to.
    let early = alert(1, 0, Some("checkout-api"), None, "SlowRequests", "responds slowly");
    let later = alert(2, 30, Some("payments-api"), None, "HighErrorRate", "5xx");
    let engine = engine(&[early.clone(), later]);
    let subject = Subject::of(&early, None, &engine.topology);
    let better = engine.better(&subject, IncidentId(1), &BTreeSet::new(), |_| None).unwrap();
    assert_eq!((better.to.incident, better.clearly), (IncidentId(2), true), "{better:?}");
    assert_eq!(better.without.size, 0);
    assert_eq!(better.to.reasons[0].text, "checkout-api calls payments-api; payments-api alerted 30\u{a0}s apart.");
}

#[test]
fn what_one_alert_told_goes_with_it() {
    let a = alert(1, 0, Some("checkout-api"), Some("web-1"), "SlowRequests", "calling payments-api");
    let b = alert(2, 60, Some("cart-redis"), Some("cache-1"), "CacheEvictions", "");
    let t = shop();
    let (a, b) = (Subject::of(&a, None, &t), Subject::of(&b, None, &t));
    let mut one = Profile::default();
    one.add(&a);
    let mut both = one.clone();
    both.add(&b);
    let left = both.without(&b);
    assert_eq!((left.size, &left.services, &left.hosts, &left.said), (1, &one.services, &one.hosts, &one.said));
    let mut merged = one.clone();
    let mut other = Profile::default();
    other.add(&b);
    merged.merge(other);
    assert_eq!((merged.size, merged.services.len(), merged.root.as_deref()), (2, 2, Some("checkout-api")));
}

/// What may stand in any field.
fn word() -> impl proptest::strategy::Strategy<Value = String> {
    prop_oneof!["[a-zA-Z0-9 ._/-]{0,24}", Just("ledger-postgres".to_owned()), Just("checkout-api down".to_owned())]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: if cfg!(debug_assertions) { 64 } else { 512 }, ..ProptestConfig::default() })]

    /// Whatever alerts say and however services hang together: a finite score, a known incident, the same again.
    #[test]
    fn odd_input_is_decided_and_always_the_same(
        alerts in prop::collection::vec(
            (prop::option::of(word()), prop::option::of(word()), word(), word(), -100_000_i64..100_000),
            1..40,
        ),
        edges in prop::collection::vec((0_usize..6, 0_usize..6), 0..20),
        names in prop::collection::vec(word(), 6),
    ) {
        let mut services: BTreeMap<String, Service> = BTreeMap::new();
        for (from, to) in edges {
            let service = services.entry(names[from].clone()).or_default();
            service.name.clone_from(&names[from]);
            service.depends_on.push(names[to].clone());
            service.hosts.push(names[to].clone());
        }
        let run = || {
            let mut engine = Engine::new(Topology::new(services.values(), []));
            let mut decided = Vec::new();
            for (n, (service, host, title, text, secs)) in alerts.iter().enumerate() {
                let a = alert(n as u64 + 1, *secs, service.as_deref(), host.as_deref(), title, text);
                let subject = Subject::of(&a, None, &engine.topology);
                let decision = engine.place(&subject, &BTreeSet::new(), |_| None);
                let id = decision.placed.as_ref().map_or(IncidentId(n as u64 + 1), |p| p.incident);
                if let Some(placed) = &decision.placed {
                    assert!(engine.profile(id).is_some() && !placed.reasons.is_empty());
                    assert!((0.0..=1.0).contains(&placed.score) && (0.5..=1.0).contains(&placed.probability));
                    assert!(placed.reasons.iter().all(|r| (-1.0..=1.0).contains(&r.score) && !r.text.is_empty()));
                } else {
                    engine.note_opened(id, a.onset_at, id.0);
                    engine.open(&incident(id.0, *secs));
                }
                engine.add(id, &subject, false);
                engine.better(&subject, id, &BTreeSet::new(), |_| None);
                decided.push(decision);
            }
            for n in 1..=alerts.len() as u64 {
                engine.close(IncidentId(n));
            }
            assert!(engine.index.is_empty(), "{:?}", engine.index);
            decided
        };
        prop_assert_eq!(run(), run());
    }
}
