//! Lists by whatever way they are found: each must be what a look at every row says.

use super::*;
use crate::{
    model::*,
    store::{
        AlertFilter, DeliveryFilter, IncidentFilter, Policy,
        tests::{Fixture, firing, me, minutes, resolved},
    },
};

/// Sixty alerts of seven services, a third of them over, one incident ended by hand and one taken by somebody.
async fn filled() -> Fixture {
    let f = Fixture::with(Policy { reserve: 0, ..Policy::default() });
    for n in 0..60u64 {
        f.clock.advance(minutes(20));
        let mut signal = firing(&format!("grafana:{n}"), Some(["Api", "db", "web", "Straße"][n as usize % 4]));
        signal.severity = Severity::ALL[n as usize % 3];
        signal.host = (n % 5 > 0).then(|| format!("Host-{}", n % 9));
        signal.title = format!("{} of queue {n}", if n % 2 == 0 { "Lag" } else { "Depth" });
        signal.description = (n % 7 == 0).then(|| "Said in the RUNBOOK".to_owned());
        signal.labels.insert("team".into(), format!("t{}", n % 3));
        f.send(if n % 6 == 0 { "datadog" } else { "grafana" }, vec![signal]).await;
        if n % 3 == 0 {
            f.send("grafana", vec![resolved(&format!("grafana:{n}"))]).await;
        }
        if n % 8 == 0 {
            f.store.resolve(IncidentId(1 + n / 8), None, me()).await.ok();
        }
    }
    f.store.acknowledge(open_one(&f), me()).await.unwrap();
    f
}

fn open_one(f: &Fixture) -> IncidentId {
    f.store.view().unwrap().open_incidents(1).unwrap().0[0].id
}

/// Walks a list by pages of `limit` and holds it against the numbers wanted.
fn walk<T>(
    what: &str,
    limit: usize,
    want: &[u64],
    list: impl Fn(Option<u64>, usize) -> Listing<T>,
    number: impl Fn(&T) -> u64,
) {
    let (mut seen, mut before) = (Vec::new(), None);
    loop {
        let page = list(before, limit);
        assert_eq!((page.total, page.total_is_exact), (want.len() as u64, true), "{what} after {before:?}");
        assert!(page.items.len() <= limit);
        seen.extend(page.items.iter().map(&number));
        before = page.next;
        if before.is_none() {
            break;
        }
    }
    assert_eq!(seen, want, "{what} by {limit}");
}

#[tokio::test]
async fn alerts_are_found_as_a_look_at_every_row_finds_them() {
    let f = filled().await;
    let view = f.store.view().unwrap();
    let all = view.alerts(&AlertFilter::default(), None, 1_000).unwrap().items;
    let (of, since) = (open_one(&f), all[20].last_seen);
    let any = AlertFilter::default;
    type Case = (&'static str, AlertFilter, Box<dyn Fn(&Alert) -> bool>);
    let cases: Vec<Case> = vec![
        ("all", any(), Box::new(|_| true)),
        ("firing", AlertFilter { statuses: vec![AlertStatus::Firing], ..any() }, Box::new(|a| a.is_open())),
        (
            "firing of one team",
            AlertFilter {
                statuses: vec![AlertStatus::Firing, AlertStatus::Acknowledged],
                labels: vec![("team".into(), "T1".into())],
                ..any()
            },
            Box::new(|a| a.is_open() && a.labels["team"] == "t1"),
        ),
        (
            "resolved",
            AlertFilter { statuses: vec![AlertStatus::Resolved], ..any() },
            Box::new(|a| a.status == AlertStatus::Resolved),
        ),
        (
            "a severity",
            AlertFilter { severities: vec![Severity::High], ..any() },
            Box::new(|a| a.severity == Severity::High),
        ),
        ("a source", AlertFilter { sources: vec!["datadog".into()], ..any() }, Box::new(|a| a.platform == "datadog")),
        (
            "services",
            AlertFilter { services: vec!["API".into(), "STRASSE".into(), "straße".into()], ..any() },
            Box::new(|a| matches!(a.service.as_deref(), Some("Api" | "Straße"))),
        ),
        (
            "a service's beginning",
            AlertFilter { services: vec!["w*".into(), "straS*".into(), "STRAß*".into()], ..any() },
            Box::new(|a| matches!(a.service.as_deref(), Some("web" | "Straße"))),
        ),
        (
            "a host's beginning",
            AlertFilter { hosts: vec!["host-7*".into()], ..any() },
            Box::new(|a| a.host.as_deref() == Some("Host-7")),
        ),
        (
            "words",
            AlertFilter { words: vec!["LAG".into(), "runbook".into()], ..any() },
            Box::new(|a| a.title.starts_with("Lag") && a.description.is_some()),
        ),
        ("an incident's", AlertFilter { incident: Some(of), ..any() }, Box::new(move |a| a.incident == Some(of))),
        (
            "an incident's that fire",
            AlertFilter { incident: Some(of), statuses: vec![AlertStatus::Firing], ..any() },
            Box::new(move |a| a.incident == Some(of) && a.is_open()),
        ),
        ("since", AlertFilter { since: Some(since), ..any() }, Box::new(move |a| a.last_seen >= since)),
        ("until", AlertFilter { until: Some(since), ..any() }, Box::new(move |a| a.last_seen < since)),
        ("none", AlertFilter { services: vec!["x".into()], ..any() }, Box::new(|_| false)),
    ];
    for (what, filter, wanted) in cases {
        let want: Vec<u64> = all.iter().filter(|a| wanted(a)).map(|a| a.id.number()).collect();
        assert_eq!(want.is_empty(), what == "none", "{what}");
        for limit in [1, 3, 1_000] {
            walk(what, limit, &want, |before, limit| view.alerts(&filter, before, limit).unwrap(), |a| a.id.number());
        }
    }
}

#[tokio::test]
async fn incidents_are_found_as_a_look_at_every_row_finds_them() {
    let f = filled().await;
    let view = f.store.view().unwrap();
    let any = IncidentFilter::default;
    let all = view.incidents(&any(), None, 1_000).unwrap().items;
    let since = all[all.len() / 2].detected_at;
    let burning = f.incident(open_one(&f).0).service.unwrap();
    let of_open = burning.clone();
    type Case = (&'static str, IncidentFilter, Box<dyn Fn(&Incident) -> bool>);
    let cases: Vec<Case> = vec![
        ("all", any(), Box::new(|_| true)),
        (
            "open",
            IncidentFilter { statuses: vec![IncidentStatus::Investigating, IncidentStatus::Analyzed], ..any() },
            Box::new(Incident::is_open),
        ),
        (
            "open and somebody's",
            IncidentFilter { statuses: vec![IncidentStatus::Investigating], owners: vec!["SRE-1".into()], ..any() },
            Box::new(|i| i.is_open() && i.owner.is_some()),
        ),
        (
            "resolved",
            IncidentFilter { statuses: vec![IncidentStatus::Resolved], ..any() },
            Box::new(|i| i.status == IncidentStatus::Resolved),
        ),
        ("of a service", IncidentFilter { services: vec!["API".into()], ..any() }, Box::new(|i| of(i, &["Api"]))),
        (
            "open, of a service",
            IncidentFilter {
                services: vec![burning.to_lowercase()],
                statuses: vec![IncidentStatus::Investigating],
                ..any()
            },
            Box::new(move |i| i.is_open() && i.affected_services.contains(&of_open)),
        ),
        (
            "of services",
            IncidentFilter { services: vec!["db".into(), "STRA*".into()], ..any() },
            Box::new(|i| of(i, &["db", "Straße"])),
        ),
        (
            "a host",
            IncidentFilter { hosts: vec!["host-3".into()], ..any() },
            Box::new(|i| i.affected_hosts.iter().any(|h| h == "Host-3")),
        ),
        (
            "severity",
            IncidentFilter { severities: vec![Severity::Critical], ..any() },
            Box::new(|i| i.severity == Severity::Critical),
        ),
        ("words", IncidentFilter { words: vec!["depth".into()], ..any() }, Box::new(|i| i.title.starts_with("Depth"))),
        ("since", IncidentFilter { since: Some(since), ..any() }, Box::new(move |i| i.detected_at >= since)),
        (
            "closed since",
            IncidentFilter { closed_since: Some(since), ..any() },
            Box::new(move |i| i.is_open() || i.resolved_at.unwrap() >= since),
        ),
        ("none", IncidentFilter { services: vec!["ap".into()], ..any() }, Box::new(|_| false)),
    ];
    for (what, filter, wanted) in cases {
        let want: Vec<u64> = all.iter().filter(|i| wanted(i)).map(|i| i.id.0).collect();
        assert_eq!(want.is_empty(), what == "none", "{what}");
        assert!(all.iter().all(|i| filter.matches(i) == wanted(i)), "{what}");
        for limit in [1, 3, 1_000] {
            walk(what, limit, &want, |before, limit| view.incidents(&filter, before, limit).unwrap(), |i| i.id.0);
        }
    }
}

fn of(i: &Incident, services: &[&str]) -> bool {
    i.affected_services.iter().any(|s| services.contains(&s.as_str()))
}

#[tokio::test]
async fn deliveries_are_found_as_a_look_at_every_row_finds_them() {
    let f = filled().await;
    let view = f.store.view().unwrap();
    let all = view.deliveries(&DeliveryFilter::default(), None, 1_000).unwrap().items;
    for platform in [None, Some("datadog"), Some("netdata")] {
        for outcome in [None, Some(DeliveryOutcome::Accepted), Some(DeliveryOutcome::Refused)] {
            let filter = DeliveryFilter { platform: platform.map(str::to_owned), outcome, ..DeliveryFilter::default() };
            let fits =
                |d: &&DeliveryRow| platform.is_none_or(|p| p == d.platform) && outcome.is_none_or(|o| o == d.outcome);
            let want: Vec<u64> = all.iter().filter(fits).map(|d| d.seq).collect();
            for limit in [1, 7, 1_000] {
                let list = |before, limit| view.deliveries(&filter, before, limit).unwrap();
                walk(&format!("{filter:?}"), limit, &want, list, |d| d.seq);
            }
        }
    }
}

#[test]
fn long_lists_are_not_counted_to_their_end() {
    let numbers: Vec<u64> = (1..=3 * SCAN as u64).collect();
    let (dir, db) = (tempfile::tempdir().unwrap(), tables::INCIDENTS);
    let database = redb::Database::create(dir.path().join("x.redb")).unwrap();
    let txn = database.begin_write().unwrap();
    for n in &numbers {
        txn.open_table(db).unwrap().insert(n, codec::encode(n).unwrap().as_slice()).unwrap();
    }
    txn.commit().unwrap();
    let rows = |before: Option<u64>| -> Result<Found, StoreError> {
        let read = redb::ReadableDatabase::begin_read(&database)?.open_table(db)?;
        let rows = read.range(..before.unwrap_or(u64::MAX))?.rev();
        Ok(Box::new(rows.map(|row| row.map(|(k, v)| (k.value(), v)).map_err(Into::into))))
    };
    let even = |row: &[u8]| Ok(Fit::from(codec::value::<u64>(row)?.is_multiple_of(2)));
    let last = numbers.len() as u64;
    let first: Listing<u64> = page(rows, None, 2, even).unwrap();
    assert_eq!((first.items, first.next), (vec![last, last - 2], Some(last - 3)));
    assert_eq!((first.total, first.total_is_exact), (COUNT as u64 / 2, false));
    let deep: Listing<u64> = page(rows, Some(9), 2, even).unwrap();
    assert_eq!((deep.items, deep.next, deep.total_is_exact), (vec![8, 6], Some(5), false));
    let none: Listing<u64> = page(rows, None, 2, |_| Ok(Fit::No)).unwrap();
    assert_eq!((none.items, none.next), (vec![], Some(last - SCAN as u64 + 1)), "its cursor goes on");
    let ended: Listing<u64> = page(rows, None, 2, |_| Ok(Fit::NoneOlder)).unwrap();
    assert_eq!((ended.total, ended.next, ended.total_is_exact), (0, None, true));
}
