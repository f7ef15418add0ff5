//! What the engine keeps: exact where it forgets, and fair where it looks at a part only.

use super::*;
use crate::{
    correlation::{
        names::{self, Key},
        topology::Meant,
    },
    model::Service,
};

const T: i64 = 1_772_500_000;

fn meant(name: &str) -> Meant {
    Meant { key: names::plain(name), name: name.to_owned() }
}

fn subject(at: i64, service: Option<&str>, host: Option<&str>, title: &str) -> Subject {
    Subject {
        at: Time::from_secs(T + at),
        service: service.map(meant),
        host: host.map(meant),
        environment: None,
        name: names::plain(title),
        doc: Doc::read(title, ""),
        named: Vec::new(),
        group: None,
        group_name: None,
        machine: false,
        network: false,
        endless: false,
    }
}

/// An open incident of one burning alert.
fn begin(engine: &mut Engine, id: u64, subject: &Subject) {
    let open = engine.open.entry(id).or_default();
    open.standing = Standing { firing: 1, alerts: 1, owned: false };
    engine.add(IncidentId(id), subject, false);
}

fn index_is_exact(engine: &Engine) {
    let mut index = Index::default();
    for (number, open) in &engine.open {
        index.all(*number, &open.profile, &open.groups);
    }
    assert!(index == engine.index, "the index says what the profiles say");
}

#[test]
fn what_is_forgotten_of_a_large_incident_is_found_no_more() {
    let mut engine = Engine::default();
    begin(&mut engine, 1, &subject(0, Some("api"), None, "first"));
    for n in 0..700_i64 {
        // Some began before all others, and are the first to go.
        let at = if n % 7 == 0 { -n } else { n };
        let (service, host) = (format!("s-{n}"), format!("h-{}", n * 3));
        let mut s = subject(at, Some(&service).filter(|_| n % 3 > 0).map(|s| s.as_str()), Some(&host), &service);
        s.named = (0..8).map(|k| Key((n * 8 + k) as u64)).collect();
        engine.add(IncidentId(1), &s, false);
        if n % 50 == 0 || n > 650 {
            index_is_exact(&engine);
        }
    }
    engine.close(IncidentId(1));
    assert!(engine.index == Index::default(), "and nothing is left when it closes");
}

#[test]
fn two_names_that_come_to_mean_one_service_are_told_apart_when_one_goes() {
    let mut engine = Engine::default();
    begin(&mut engine, 1, &subject(0, Some("checkout"), None, "a"));
    engine.add(IncidentId(1), &subject(1, Some("kasse"), None, "b"), false);
    let service = Service { name: "checkout".into(), aliases: vec!["kasse".into()], ..Service::default() };
    engine.learn(Topology::new([&service], []));
    index_is_exact(&engine);
    let known = engine.profile(IncidentId(1)).unwrap();
    let left = known.without(&subject(1, Some("checkout"), None, "b"));
    assert_eq!(left.services.len(), 1, "one of two alerts went");
    for n in 0..511_i64 {
        engine.add(IncidentId(1), &subject(2 + n, Some(&format!("s-{n}")), None, "c"), false);
        index_is_exact(&engine);
    }
    assert!(engine.profile(IncidentId(1)).unwrap().service(names::plain("checkout")).is_some());
}

#[test]
fn learning_of_services_leaves_an_exact_index() {
    let mut engine = Engine::default();
    for n in 1..40_u64 {
        let title = format!("title {n}");
        begin(&mut engine, n, &subject(n as i64, Some(&format!("svc-{n}")), Some("h"), &title));
    }
    let service = |n: u64| Service {
        name: format!("core-{n}"),
        aliases: vec![format!("svc-{n}")],
        depends_on: vec!["svc-3".into()],
        ..Service::default()
    };
    let services: Vec<Service> = (5..9).map(service).collect();
    for all in [&services[..], &services[1..], &[]] {
        engine.learn(Topology::new(all, []));
        index_is_exact(&engine);
        let key = engine.topology.key("svc-5");
        assert!(engine.profile(IncidentId(5)).unwrap().service(key).is_some());
    }
}

#[test]
fn many_that_nobody_closed_do_not_hide_an_old_storm() {
    let mut engine = Engine::default();
    begin(&mut engine, 1, &subject(0, Some("s-0"), None, "storm"));
    for id in 2..=200 {
        begin(&mut engine, id, &subject(0, Some("s-7"), None, "left behind"));
    }
    for n in 0..500_i64 {
        engine.add(IncidentId(1), &subject(4 * 3600 + n / 10, Some(&format!("s-{n}")), None, "storm"), false);
    }
    let late = subject(4 * 3600 + 60, Some("s-7"), None, "errors");
    let decision = engine.place(&late, &BTreeSet::new(), |_| None);
    assert_eq!(decision.placed.map(|p| p.incident), Some(IncidentId(1)));
}

#[test]
fn a_shared_dependency_is_found_from_both_sides() {
    let mut engine = Engine::default();
    let service = |name: &str, calls: &[&str]| Service {
        name: name.into(),
        depends_on: calls.iter().map(|c| (*c).to_owned()).collect(),
        ..Service::default()
    };
    let services = [service("api", &["db", "cache"]), service("web", &["db", "mail"]), service("cron", &["cache"])];
    engine.learn(Topology::new(&services, []));
    begin(&mut engine, 1, &subject(0, Some("web"), None, "slow"));
    let mut sims = Sims::new(doc(), 0);
    for (asked, want) in [("api", true), ("cron", false), ("mail", false)] {
        let s = subject(5, Some(asked), None, "errors");
        let open = engine.open.get(&1).unwrap();
        let openings = engine.openings(s.at);
        let score = engine.score(&s, &open.profile, open, open.standing, openings, &mut sims);
        let reasons = score.reasons(&s, &engine.topology);
        let both = reasons.iter().any(|r| r.text == format!("{asked} and web both call db."));
        assert_eq!(both, want, "{asked}: {reasons:?}");
    }
}

fn doc() -> &'static Doc {
    static DOC: std::sync::OnceLock<Doc> = std::sync::OnceLock::new();
    DOC.get_or_init(|| Doc::read("errors", ""))
}
