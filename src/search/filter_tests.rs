//! Lists and counts by whatever way they are found, held against a look at every incident with the predicate alone.

use std::{collections::BTreeMap, time::Duration};

use proptest::{
    prelude::{ProptestConfig, Strategy as Makes, any},
    sample::select,
    test_runner::TestRunner,
};

use super::*;
use crate::{
    model::*,
    query::{self, Asker, IncidentSeen},
    runtime::clock::Clock,
    store::{AlertFilter, IncidentFilter, IncidentPatch, NewDelivery, Policy, StoreOptions},
};

struct Site {
    store: Store,
    clock: Clock,
    search: Search,
    _dir: tempfile::TempDir,
}

impl Site {
    async fn send(&self, platform: &str, signal: Signal) {
        let new = NewDelivery {
            at: self.clock.now(),
            platform: platform.into(),
            outcome: DeliveryOutcome::Accepted,
            problem: None,
            headers: Vec::new(),
            body: b"{}".to_vec(),
            parsed: Parsed { signals: vec![signal], ..Parsed::default() },
            replay_of: None,
        };
        let submitted = self.store.submit(new).await.unwrap();
        assert!(self.store.applied(submitted.seq, Duration::from_secs(120)).await);
    }
}

fn person() -> Actor {
    Actor::Person("Ann".into())
}

/// Sixty incidents of all kinds. The index has seen most of what happened, and the last third of it not.
async fn site() -> Site {
    let dir = tempfile::tempdir().unwrap();
    let clock = Clock::manual(Time::from_secs(1_772_500_000));
    // Every alert is an incident of its own, but for those that are put together below.
    let policy = Policy { reserve: 0, cluster_window: Duration::ZERO, ..Policy::default() };
    let options = StoreOptions { dir: dir.path().to_owned(), cache_bytes: 8 << 20, policy };
    let store = Store::open(options, clock.clone()).unwrap();
    let search = Search::open(store.clone()).unwrap();
    let site = Site { store, clock, search, _dir: dir };
    for n in 0..60u64 {
        site.clock.advance(Duration::from_secs(3 * 3600));
        let mut signal = Signal::new(format!("k:{n}"), format!("{} of shard {n}", ["Lag", "Timeout"][n as usize % 2]));
        signal.service = (n % 7 > 0).then(|| format!("{}-{n}", ["Pay", "pay-api", "orders", "Straße"][n as usize % 4]));
        signal.host = (n % 3 > 0).then(|| format!("Host-{}", n % 5));
        signal.severity = Severity::ALL[n as usize % 4];
        signal.labels.insert("env".into(), ["Prod", "dev"][n as usize % 2].into());
        signal.is_test = n % 11 == 0;
        site.send(["grafana", "datadog", "netdata"][n as usize % 3], signal).await;
        let id = IncidentId(n + 1);
        match n % 10 {
            1 | 2 => drop(site.store.resolve(id, None, person()).await),
            3 => drop(site.store.acknowledge(id, person()).await.unwrap()),
            7 => drop(site.store.snooze(id, site.clock.now().plus(Duration::from_secs(900)), person()).await),
            4 => {
                let patch = IncidentPatch { owner: Some(Some("sre-2".into())), ..IncidentPatch::default() };
                drop(site.store.patch_incident(id, patch, person()).await.unwrap());
            }
            // Of some the other one has ended by itself meanwhile: those stay what they are.
            5 => drop(site.store.merge_incidents(IncidentId(n), vec![id], person()).await),
            _ => {}
        }
        if n == 40 {
            site.search.catch_up().unwrap();
        }
    }
    // What the index thinks it knows of these is not so any more.
    for n in [7, 8, 17] {
        let _ = site.store.resolve(IncidentId(n), None, person()).await;
    }
    site
}

const TERMS: &[&str] = &[
    "status:open",
    "status:resolved",
    "status:merged,resolved",
    "severity:critical",
    "severity:>=high",
    "severity:low,info",
    "source:grafana",
    "source:data*,netdata",
    "service:pay*",
    "service:orders-2",
    "service:STRASSE*,straße*",
    "service:*",
    "host:host-1",
    "host:HOST-*",
    "owner:none",
    "owner:me",
    "owner:sre*",
    "alerts:>1",
    "alerts:1",
    "since:4d",
    "until:2d",
    "age:<36h",
    "closed:<5d",
    "closed:>3d",
    "incident:INC-7,INC-8,INC-60",
    "label.env:prod",
    "label.env:*",
    "is:acknowledged",
    "is:test,merger",
    "is:closed",
    "state:queued,running",
    "strategy:manual,primary",
    "strategy:manual",
];

fn read(q: &str, now: Time) -> IncidentFilter {
    let mut filter = IncidentFilter::default();
    query::incidents(q, Asker { now, me: Some("Ann") }, &mut filter).unwrap();
    filter
}

fn queries() -> impl Makes<Value = Vec<String>> {
    let term = (select(TERMS), any::<bool>(), any::<bool>())
        .prop_map(|(term, a, b)| format!("{}{term}", if a && b { "-" } else { "" }));
    proptest::collection::vec(term, 0..4)
}

fn runs(default: u32) -> TestRunner {
    let cases = std::env::var("FILTER_RUNS").ok().and_then(|n| n.parse().ok()).unwrap_or(default);
    TestRunner::new(ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() })
}

/// Every incident, with why its alerts are in it.
fn everything(view: &crate::store::View) -> Vec<(Incident, Vec<Strategy>)> {
    let mut all = Vec::new();
    for n in (1..=60).rev() {
        let incident = view.incident(IncidentId(n)).unwrap().unwrap();
        let mut strategies = Vec::new();
        // Of its own alerts: what came with others has the reasons of the merge for people, and its own here.
        let own: Vec<Membership> = match incident.merged_into {
            None if incident.merging.absorbed.is_empty() => {
                view.members(incident.id, 100).unwrap().into_iter().map(|(m, _)| m).collect()
            }
            _ => Vec::new(),
        };
        strategies.extend(own.iter().map(|m| m.strategy));
        // Each has one alert of its own, which opened it.
        strategies.push(Strategy::Primary);
        all.push((incident, strategies));
    }
    all
}

fn fits(filter: &IncidentFilter, incident: &Incident, strategies: &[Strategy]) -> bool {
    let seen = IncidentSeen { strategies: strategies.to_vec(), ..IncidentSeen::of(incident) };
    filter.fits(&seen)
}

#[tokio::test]
async fn a_list_is_what_a_look_at_every_incident_finds() {
    let site = site().await;
    let (view, now) = (site.store.view().unwrap(), site.clock.now());
    let all = everything(&view);
    let check = |terms: Vec<String>, limit: usize| {
        let q = terms.join(" ");
        let filter = read(&q, now);
        let want: Vec<u64> = all.iter().filter(|(i, s)| fits(&filter, i, s)).map(|(i, _)| i.id.0).collect();
        let (mut found, mut before) = (Vec::new(), None);
        loop {
            let page = site.search.incidents(&view, &filter, before, limit).unwrap();
            assert_eq!((page.total, page.total_is_exact), (want.len() as u64, true), "{q}");
            found.extend(page.items.iter().map(|i| i.id.0));
            before = page.next;
            if before.is_none() {
                break;
            }
        }
        assert_eq!(found, want, "{q} by {limit}");
    };
    for term in TERMS {
        check(vec![(*term).to_owned()], 50);
        check(vec![format!("-{term}")], 50);
    }
    let cases = (queries(), select(&[3usize, 50][..]));
    let run = |(terms, limit)| {
        check(terms, limit);
        Ok(())
    };
    runs(150).run(&cases, run).unwrap();
    // Once everything is indexed nothing is different.
    site.search.catch_up().unwrap();
    runs(100).run(&cases, run).unwrap();
    // Words go with the rest.
    let found = |q: &str| site.search.incidents(&view, &read(q, now), None, 100).unwrap().total;
    for (with, without) in [("timeout", "-timeout"), ("text:timeout,nothing", "-text:timeout,nothing")] {
        for rest in ["", "status:open", "severity:high", "service:pay*"] {
            let of = |q: &str| found(&format!("{rest} {q}"));
            // What was merged into others says it too, in those.
            let says = |i: &Incident| i.title.contains("Timeout") || !i.merging.absorbed.is_empty();
            let said = all.iter().filter(|(i, s)| says(i) && fits(&read(rest, now), i, s)).count();
            assert_eq!(of(with), said as u64, "{rest} {with}");
            assert_eq!(of(with) + of(without), found(rest), "{rest} {without}");
        }
    }
}

#[tokio::test]
async fn counts_are_what_a_look_at_every_incident_counts() {
    let site = site().await;
    site.search.catch_up().unwrap();
    let (view, now) = (site.store.view().unwrap(), site.clock.now());
    let all = everything(&view);
    runs(150)
        .run(&queries(), |mut terms| {
            terms.retain(|t| !t.contains("strategy:"));
            let counts = site.search.facets(&read(&terms.join(" "), now)).unwrap();
            assert!(!counts.about, "{terms:?}");
            let mut want: BTreeMap<String, u64> = BTreeMap::new();
            for field in ["status", "severity", "source", "service", "owner"] {
                let others: Vec<&str> = terms
                    .iter()
                    .map(String::as_str)
                    .filter(|t| !t.trim_start_matches('-').starts_with(&format!("{field}:")))
                    .collect();
                let mut filter = read(&others.join(" "), now);
                if field == "status" {
                    // Of a status nothing else is asked: what is merged is counted too, and what has ended however long ago.
                    filter.statuses = IncidentStatus::ALL.to_vec();
                    filter.closed_since = None;
                }
                for (i, _) in all.iter().filter(|(i, s)| fits(&filter, i, s)) {
                    let values = match field {
                        "status" => vec![i.status.to_string()],
                        "severity" => vec![i.severity.to_string()],
                        "source" => vec![i.source.clone()],
                        "owner" => vec![i.owner.clone().unwrap_or("none".into())],
                        _ => i.affected_services.clone(),
                    };
                    for value in values {
                        *want.entry(format!("{field}:{}", value.to_lowercase())).or_default() += 1;
                    }
                }
            }
            assert_eq!(counts.by, want, "{terms:?}");
            Ok(())
        })
        .unwrap();
    let none = AlertFilter::default();
    let mut severe = none.clone();
    query::alerts("severity:critical incident:any", Asker { now, me: None }, &mut severe).unwrap();
    let counts = site.search.alert_counts(&view, &severe).unwrap();
    let alerts = view.alerts(&none, None, 200).unwrap().items;
    let count = |f: &dyn Fn(&Alert) -> bool| alerts.iter().filter(|a| f(a)).count() as u64;
    let critical = |a: &Alert| a.severity == Severity::Critical;
    assert_eq!(counts.by["severity:high"], count(&|a| a.severity == Severity::High));
    assert_eq!(counts.by["incident:any"], count(&|a| critical(a) && a.incident.is_some()));
    assert_eq!(counts.by["source:grafana"], count(&|a| critical(a) && a.platform == "grafana"));
    assert_eq!(counts.by["status:firing"], count(&|a| critical(a) && a.status == AlertStatus::Firing));
}

/// Whatever the order, those that come first of all are found, not of the newest.
#[tokio::test(flavor = "multi_thread")]
async fn what_comes_first_in_an_order_is_of_all_that_fit() {
    let site = site().await;
    let now = site.clock.now();
    let most = 12;
    let mut by_index = 0;
    for q in ["", "status:open,closed", "severity:>=high", "source:grafana -is:test", "since:20d status:open"] {
        for sort in [query::Sort::Triage, query::Sort::Severity, query::Sort::Alerts, query::Sort::Updated] {
            let filter = read(q, now);
            let search = site.search.clone();
            let (all, (mut first, ranked)) = site
                .store
                .read(move |view| {
                    let all = view.incidents(&filter, None, 1_000)?;
                    Ok((all, search.incidents_by(view, &filter, sort, most)?))
                })
                .await
                .unwrap();
            let mut all = all.items;
            all.sort_by(|a, b| sort.compare(a, b));
            first.items.sort_by(|a, b| sort.compare(a, b));
            if !ranked {
                continue;
            }
            by_index += 1;
            // Those of one need are in the order of their numbers as far as the index knows.
            let ids = |of: &[Incident]| of.iter().take(most / 2).map(|i| i.id).collect::<Vec<_>>();
            assert_eq!(ids(&first.items), ids(&all), "{q} {sort}");
        }
    }
    assert!(by_index >= 9, "{by_index}");
}
