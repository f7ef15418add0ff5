//! The buckets of insights against a full recount from the rows, whatever happens. `View::check` compares them; every
//! step of every test of the store asks it.

use proptest::{
    collection,
    prelude::{ProptestConfig, proptest},
    prop_oneof,
    strategy::Strategy as Drawn,
};

use super::{
    insights::{self, day, hour, weekday},
    tests::{Fixture, START, firing, me, minutes, resolved},
    *,
};

const DAY: Duration = Duration::from_secs(24 * 3600);

fn fixture() -> Fixture {
    Fixture::new()
}

fn insights(f: &Fixture, back: i64, service: Option<&str>) -> Insights {
    let today = day(f.clock.now());
    f.store.view().unwrap().insights(today - back, today + 1, service).unwrap()
}

#[tokio::test]
async fn figures_are_of_the_events_and_a_merged_incident_leaves_them_and_comes_back() {
    let f = fixture();
    let sent = |key: &str, service: &str, ago: u64| {
        let mut signal = firing(key, Some(service));
        signal.started_at = Some(f.clock.now().minus(minutes(ago)));
        // Texts that are not alike.
        signal.title = match service {
            "db" => "Disk of the primary is nearly full".to_owned(),
            "api" => "Certificate expires tomorrow".to_owned(),
            _ => "Latency of checkout above objective".to_owned(),
        };
        signal
    };
    f.send("grafana", vec![sent("grafana:disk", "db", 10)]).await;
    f.clock.advance(minutes(2));
    f.store.acknowledge(IncidentId(1), me()).await.unwrap();
    f.clock.advance(minutes(28));
    // It was over five minutes ago, and only now we learn of it.
    let mut end = resolved("grafana:disk");
    end.ended_at = Some(f.clock.now().minus(minutes(5)));
    f.send("grafana", vec![end]).await;
    let now = insights(&f, 6, None);
    assert_eq!((now.period.acknowledge.count, now.period.resolve.count), (1, 1));
    let near = |found: Option<f64>, want: f64| (found.unwrap() - want).abs() <= want * PERCENTILE_ERROR;
    assert!(near(now.period.acknowledge.median_s, 120.0), "{:?}", now.period.acknowledge);
    // Ten minutes before it was received, thirty after, five of them unknown to us.
    assert!(near(now.period.resolve.median_s, 35.0 * 60.0), "{:?}", now.period.resolve);
    let funnel = now.period.funnel;
    assert_eq!((funnel.webhooks, funnel.received, funnel.alerts, funnel.incidents), (Some(2), 1, 1, 1));
    let at = Time::from_secs(START);
    assert_eq!(now.hours[weekday(day(at)) as usize][hour(at)], 1);

    // A test counts nowhere.
    let mut test = sent("grafana:try", "db", 0);
    test.is_test = true;
    f.send("grafana", vec![test]).await;
    assert_eq!(insights(&f, 6, None).period, now.period);

    f.send("grafana", vec![sent("grafana:one", "api", 0)]).await;
    f.clock.advance(minutes(30));
    f.send("grafana", vec![sent("grafana:two", "web", 0)]).await;
    let apart = insights(&f, 6, None);
    assert_eq!((apart.period.funnel.groups, apart.period.funnel.incidents), (3, 3));
    f.store.merge_incidents(IncidentId(3), vec![IncidentId(4)], me()).await.unwrap();
    f.consistent();
    let merged = insights(&f, 6, None);
    assert_eq!((merged.period.funnel.groups, merged.period.funnel.incidents), (3, 2));
    // The survivor is of both services now.
    assert_eq!(insights(&f, 6, Some("Web")).period.funnel.incidents, 1);
    f.store.unmerge(IncidentId(4), me()).await.unwrap();
    assert_eq!(insights(&f, 6, None), apart);
    let names: Vec<_> = apart.services.iter().map(|s| (s.service.as_str(), s.incidents, s.high)).collect();
    assert_eq!(names, [("api", 1, 1), ("db", 1, 1), ("web", 1, 1)]);
    f.consistent();
}

#[tokio::test]
async fn what_is_forgotten_stays_counted_but_for_kinds_of_alerts() {
    let retention = Retention { deliveries: DAY * 2, incidents: DAY * 5, bytes: 0 };
    let policy = Policy { mode: CorrelationMode::Any, retention, reserve: 0, ..Policy::default() };
    let f = Fixture::with(policy);
    for n in 0..6 {
        let mut signal = firing(&format!("grafana:{n}"), Some("api"));
        signal.labels.insert("alertname".into(), "DiskFull".into());
        f.send("grafana", vec![signal.clone()]).await;
        f.send("grafana", vec![signal]).await;
        f.send("grafana", vec![resolved(&format!("grafana:{n}"))]).await;
        f.clock.advance(minutes(60));
    }
    let before = insights(&f, 20, Some("api"));
    let all = insights(&f, 20, None);
    assert_eq!((all.noisiest.len(), all.noisiest[0].times, all.noisiest[0].alerts), (1, 12, 6));
    assert_eq!((all.noisiest[0].name.as_str(), all.noisiest[0].incidents), ("DiskFull", 6));
    assert_eq!(before.period.funnel.received, 12);
    let incidents = || {
        let filter = IncidentFilter { statuses: IncidentStatus::ALL.to_vec(), ..IncidentFilter::default() };
        f.store.view().unwrap().incidents(&filter, None, 1).unwrap().total
    };
    f.clock.advance(DAY * 8);
    while incidents() > 0 {
        f.clock.advance(Duration::from_secs(61));
        for _ in 0..20 {
            f.store.exclusive_view().await.unwrap();
        }
    }
    // A delivery that is younger, so that every one of before is forgotten.
    f.send("grafana", vec![firing("grafana:late", Some("web"))]).await;
    f.consistent();
    let after = insights(&f, 28, Some("api"));
    assert_eq!((after.period.funnel, after.period.resolve), (before.period.funnel, before.period.resolve));
    assert_eq!(after.hours, before.hours);
    let late = insights(&f, 28, None);
    assert_eq!(late.period.funnel.webhooks, Some(13 + 6));
    assert_eq!(late.noisiest.iter().map(|n| n.alerts).sum::<u64>(), 1, "{:?}", late.noisiest);
}

#[tokio::test]
async fn buckets_of_other_rules_are_counted_anew_and_wrong_ones_are_found() {
    let mut f = fixture();
    f.send("grafana", vec![firing("grafana:a", Some("api"))]).await;
    f.send("grafana", vec![firing("grafana:b", Some("db"))]).await;
    let before = insights(&f, 6, None);
    let main = f.dir.path().join("watchfire.redb");
    let broken = |f: &mut Fixture, rules: bool| {
        f.store.close();
        let placeholder = tempfile::tempdir().unwrap();
        drop(std::mem::replace(&mut f.store, Fixture::open(placeholder.path(), &f.clock)));
        let db = redb::Database::open(&main).unwrap();
        let txn = db.begin_write().unwrap();
        txn.open_table(tables::INSIGHT_SEVERITIES).unwrap().insert((0, 7, ""), (1, 2, 3, 4, 5)).unwrap();
        txn.open_table(tables::INSIGHT_KINDS).unwrap().insert((0, 7), (1, 2, 3, 4, 5)).unwrap();
        if rules {
            txn.open_table(tables::META).unwrap().remove(tables::meta::INSIGHTS).unwrap();
        }
        txn.commit().unwrap();
        drop(db);
        f.store = Fixture::open(f.dir.path(), &f.clock);
    };
    broken(&mut f, true);
    assert_eq!(insights(&f, 6, None), before);
    f.consistent();
    broken(&mut f, false);
    let found = f.store.view().unwrap().check().unwrap();
    let told = |what: &str| found.iter().any(|f| f.contains(what));
    assert!(told("incidents by severity") && told("kinds of alerts") && told("reindex"), "{found:?}");
    f.store.recount_insights().await.unwrap();
    assert_eq!(insights(&f, 6, None), before);
}

/// Buckets of a year as a million alerts of 300 services and 3,000 rules leave them, written as they are. What a page of a
/// server reads depends on nothing else. The bound is that of an unoptimised build beside other tests; an optimised one is
/// held against 150 ms by row 9 of `tests/bench`.
#[tokio::test]
async fn a_year_of_very_many_buckets_is_read_in_time() {
    let mut f = fixture();
    let today = day(f.clock.now());
    f.store.close();
    let placeholder = tempfile::tempdir().unwrap();
    drop(std::mem::replace(&mut f.store, Fixture::open(placeholder.path(), &f.clock)));
    let db = redb::Database::open(f.dir.path().join("watchfire.redb")).unwrap();
    let txn = db.begin_write().unwrap();
    {
        let mut figures = DayFigures { hours: [9; 24], groups: 300, told: 216, night: 60, ..DayFigures::default() };
        for n in 0..250 {
            figures.acknowledged.count(Duration::from_secs(20 + n * n), 1);
            figures.resolved.count(Duration::from_secs(200 + n * n * 3), 1);
        }
        let row = codec::encode_row(&figures).unwrap();
        let mut days = txn.open_table(tables::INSIGHT_DAYS).unwrap();
        let mut received = txn.open_table(tables::INSIGHT_RECEIVED).unwrap();
        let mut severities = txn.open_table(tables::INSIGHT_SEVERITIES).unwrap();
        let mut kinds = txn.open_table(tables::INSIGHT_KINDS).unwrap();
        let mut names = txn.open_table(tables::INSIGHT_NAMES).unwrap();
        for day in today - 730..=today {
            days.insert((tables::STORED, day, ""), row.as_slice()).unwrap();
            received.insert((tables::STORED, day, ""), (2_500, 2_700, 9_000)).unwrap();
            for service in 0..300 {
                let name = format!("service-{service}");
                severities.insert((tables::STORED, day, name.as_str()), (1, 2, 3, 4, 0)).unwrap();
            }
        }
        let name = codec::encode_row(&KindName { name: "rule".into(), ..KindName::default() }).unwrap();
        for kind in 0..3_000_u64 {
            names.insert(kind, name.as_slice()).unwrap();
            for week in 0..53 {
                let monday = insights::monday(today) - 7 * week;
                kinds.insert((monday, kind), (3, i64::try_from(kind).unwrap(), 0, 1, 0)).unwrap();
            }
        }
    }
    txn.commit().unwrap();
    drop(db);
    f.store = Fixture::open(f.dir.path(), &f.clock);
    let mut took = Vec::new();
    for _ in 0..5 {
        let began = std::time::Instant::now();
        let year = insights(&f, 363, None);
        took.push(began.elapsed());
        assert_eq!((year.services.len(), year.noisiest.len(), year.weeks.len()), (50, 10, 52));
        assert_eq!(year.period.funnel.incidents, 364 * 24 * 9);
    }
    took.sort();
    println!("a year of 364 days, 300 services, 3,000 rules: {took:?}");
    assert!(took[2] < Duration::from_secs(5), "{took:?}");
}

#[derive(Clone, Debug)]
enum Step {
    Fire(u8, u8),
    End(u8),
    Test(u8),
    Acknowledge(u8),
    Release(u8),
    Resolve(u8),
    Reopen(u8),
    Merge(u8, u8),
    Unmerge(u8),
    Split(u8),
    Raise(u8, u8),
    Judge(u8, bool),
    Silence(u8),
    Wait(u16),
}

fn step() -> impl Drawn<Value = Step> {
    use Step::*;
    prop_oneof![
        8 => (0..14_u8, 0..4_u8).prop_map(|(k, s)| Fire(k, s)),
        4 => (0..14_u8).prop_map(End),
        1 => (0..4_u8).prop_map(Test),
        2 => (0..9_u8).prop_map(Acknowledge),
        1 => (0..9_u8).prop_map(Release),
        2 => (0..9_u8).prop_map(Resolve),
        1 => (0..9_u8).prop_map(Reopen),
        2 => (0..9_u8, 0..9_u8).prop_map(|(a, b)| Merge(a, b)),
        1 => (0..9_u8).prop_map(Unmerge),
        1 => (0..9_u8).prop_map(Split),
        1 => (0..9_u8, 0..5_u8).prop_map(|(i, s)| Raise(i, s)),
        2 => (0..9_u8, proptest::bool::ANY).prop_map(|(i, r)| Judge(i, r)),
        1 => (0..4_u8).prop_map(Silence),
        3 => (1..1_500_u16).prop_map(Wait),
    ]
}

const PLACES: [&str; 4] = ["api", "db", "Web", ""];

impl Fixture {
    fn any_incident(&self, n: u8) -> Option<IncidentId> {
        let filter = IncidentFilter { statuses: IncidentStatus::ALL.to_vec(), ..IncidentFilter::default() };
        let all = self.store.view().unwrap().incidents(&filter, None, 100).unwrap().items;
        all.get(usize::from(n) % all.len().max(1)).map(|i| i.id)
    }

    // Refusals are part of it: they must change nothing.
    async fn live_through(&self, step: &Step) {
        let id = |n: &u8| self.any_incident(*n).unwrap_or(IncidentId(1));
        match step {
            Step::Fire(k, s) => {
                let service = PLACES[usize::from(*s)];
                let mut signal = firing(&format!("k{k}"), Some(service).filter(|s| !s.is_empty()));
                signal.severity = Severity::ALL[usize::from(*k) % 5];
                if k % 2 == 0 {
                    signal.labels.insert("alertname".into(), format!("Rule{}", k % 3));
                }
                signal.started_at = Some(self.clock.now().minus(minutes(u64::from(*k) * 400)));
                self.send("grafana", vec![signal]).await;
            }
            Step::End(k) => {
                let mut end = resolved(&format!("k{k}"));
                end.ended_at = Some(self.clock.now().minus(minutes(u64::from(*k))));
                self.send("grafana", vec![end]).await;
            }
            Step::Test(k) => {
                let mut test = firing(&format!("t{k}"), Some("api"));
                test.is_test = true;
                self.send("grafana", vec![test]).await;
            }
            Step::Acknowledge(n) => drop(self.store.acknowledge(id(n), me()).await),
            Step::Release(n) => drop(self.store.unacknowledge(id(n), me()).await),
            Step::Resolve(n) => drop(self.store.resolve(id(n), None, me()).await),
            Step::Reopen(n) => drop(self.store.reopen(id(n), me()).await),
            Step::Merge(a, b) => drop(self.store.merge_incidents(id(a), vec![id(b)], me()).await),
            Step::Unmerge(n) => drop(self.store.unmerge(id(n), me()).await),
            Step::Split(n) => {
                let of = AlertFilter { incident: Some(id(n)), ..AlertFilter::default() };
                let alerts = self.store.view().unwrap().alerts(&of, None, 1).unwrap().items;
                if let Some(alert) = alerts.first() {
                    let _ = self.store.split(id(n), vec![alert.id], None, me()).await;
                }
            }
            Step::Raise(n, s) => {
                let severity = Some(Some(Severity::ALL[usize::from(*s)]));
                let patch = IncidentPatch { severity, ..IncidentPatch::default() };
                let _ = self.store.patch_incident(id(n), patch, me()).await;
            }
            Step::Judge(n, right) => {
                let service = Some(if *right { "api" } else { "db" }.to_owned());
                let cause = GivenCause::Named { service, host: None, symptom: None };
                let resolution = Resolution { reason: None, cause: Some(cause) };
                let _ = self.store.resolve_with(id(n), resolution, me()).await;
            }
            Step::Silence(s) => {
                let matcher = format!("service = {}", PLACES[usize::from(*s)].to_lowercase()).parse();
                let _ = match matcher {
                    Ok(matcher) => {
                        let new = NewMute {
                            kind: MuteKind::Silence,
                            matchers: vec![matcher],
                            starts_at: None,
                            ends_at: Some(self.clock.now().plus(minutes(300))),
                            quiet_minutes: None,
                            recurrence: None,
                            reason: "known".into(),
                        };
                        self.store.make_mute(new, me()).await.map(drop)
                    }
                    Err(_) => Ok(()),
                };
            }
            Step::Wait(n) => self.clock.advance(minutes(u64::from(*n))),
        }
        self.store.exclusive_view().await.unwrap();
        self.consistent();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), max_shrink_iters: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn buckets_are_what_the_rows_count(forgets in proptest::bool::ANY, steps in collection::vec(step(), 10..60)) {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
            let retention = match forgets {
                true => Retention { deliveries: DAY, incidents: DAY * 2, bytes: 0 },
                false => Retention::default(),
            };
            let mode = if forgets { CorrelationMode::Any } else { CorrelationMode::Weighted };
            let f = Fixture::with(Policy { mode, retention, reserve: 0, ..Policy::default() });
            for step in &steps {
                f.live_through(step).await;
            }
            // The same once more after a recount: nothing of what was forgotten is lost.
            let today = day(f.clock.now());
            let all = || f.store.view().unwrap().insights(today - 200, today + 1, None).unwrap();
            let before = all();
            f.store.recount_insights().await.unwrap();
            assert_eq!(all(), before);
            f.consistent();
        });
    }
}

/// A few by default; `INSIGHTS_RUNS=1000` is a long run.
fn cases() -> u32 {
    std::env::var("INSIGHTS_RUNS").ok().and_then(|n| n.parse().ok()).unwrap_or(8)
}
