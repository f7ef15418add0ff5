use super::*;
use crate::{
    model::*,
    store::{
        AlertFilter, DeliveryFilter, IncidentFilter, NewDelivery, Policy,
        tests::{Fixture, firing, me, minutes, resolved, titled},
    },
};

fn days(n: u64) -> Duration {
    Duration::from_secs(n * 24 * 3600)
}

fn keeping(retention: Retention) -> Fixture {
    Fixture::with(Policy { mode: crate::config::CorrelationMode::Any, retention, reserve: 0, ..Policy::default() })
}

/// Advances the clock and waits for the writer to have come to rest: the position of a delivery after it says so.
async fn later(f: &Fixture, by: Duration) {
    f.clock.advance(by);
    settle(f).await;
}

/// Waits until nothing more is removed: a removal is a change of the numbers below, and the steps follow each other.
async fn settle(f: &Fixture) {
    let mut before = None;
    loop {
        // Commands and steps take turns in the writer: after some commands it has looked at the time.
        for _ in 0..40 {
            f.store.exclusive_view().await.unwrap();
        }
        f.clock.advance(Duration::from_secs(61));
        for _ in 0..40 {
            f.store.exclusive_view().await.unwrap();
        }
        let now = counts(f);
        if before == Some(now) {
            return;
        }
        before = Some(now);
    }
}

/// Deliveries, incidents, alerts.
fn counts(f: &Fixture) -> (u64, u64, u64) {
    let view = f.store.view().unwrap();
    let incidents = IncidentFilter { statuses: IncidentStatus::ALL.to_vec(), ..IncidentFilter::default() };
    (
        view.deliveries(&DeliveryFilter::default(), None, 1).unwrap().total,
        view.incidents(&incidents, None, 1).unwrap().total,
        view.alerts(&AlertFilter::default(), None, 1).unwrap().total,
    )
}

#[tokio::test]
async fn what_is_too_old_goes_with_all_that_hangs_on_it_and_open_incidents_stay() {
    let f = keeping(Retention { deliveries: days(30), incidents: days(400), bytes: 0 });
    f.send("grafana", vec![firing("grafana:ends", Some("api")), firing("grafana:with it", Some("api"))]).await;
    f.store.acknowledge(IncidentId(1), me()).await.unwrap();
    f.store.comment(IncidentId(1), "looking".into(), me()).await.unwrap();
    f.send("grafana", vec![resolved("grafana:ends"), resolved("grafana:with it")]).await;
    f.clock.advance(minutes(60));
    f.send("grafana", vec![titled("Certificate expires", firing("grafana:burns", Some("db")))]).await;
    let mut mild = firing("grafana:mild", None);
    mild.severity = Severity::Info;
    f.send("grafana", vec![mild]).await;
    assert_eq!(counts(&f), (4, 2, 4));

    later(&f, days(29)).await;
    assert_eq!(counts(&f), (4, 2, 4), "everything is young enough");
    later(&f, days(2)).await;
    assert_eq!(counts(&f), (1, 2, 4), "deliveries are gone but for the last, which tells the position");
    f.consistent();
    let view = f.store.view().unwrap();
    assert!(view.delivery(1).unwrap().is_none() && view.delivery(4).unwrap().is_some());
    drop(view);

    later(&f, days(370)).await;
    assert_eq!(counts(&f), (1, 1, 1), "the resolved incident is gone with its alerts, and the lone alert");
    f.consistent();
    let view = f.store.view().unwrap();
    assert!(view.incident(IncidentId(1)).unwrap().is_none());
    assert!(view.timeline(IncidentId(1), None, 10).unwrap().is_empty());
    let gone = view.change_log(0, 10_000).unwrap();
    let removed = ChangeSubject::Incident(IncidentId(1), IncidentChange::Removed);
    assert_eq!(gone.iter().filter(|e| e.subject == removed).count(), 1, "followers are told");
    drop(view);
    assert!(f.incident(2).is_open());
    // Numbers are never given again, and what fires again opens anew.
    let again = f.send("grafana", vec![titled("Disk full", firing("grafana:ends", Some("api")))]).await;
    assert_eq!((again[0].incident_id, again[0].new_incident), (Some(IncidentId(3)), true));
    f.store.close();
}

#[tokio::test]
async fn an_incident_with_very_many_alerts_goes_in_steps_that_each_leave_a_whole_store() {
    let f = keeping(Retention { deliveries: days(1), incidents: days(400), bytes: 0 });
    let many = 3_000;
    for start in (0..many).step_by(1_000) {
        let keys = (start..start + 1_000).map(|n| format!("grafana:{n}"));
        f.send("grafana", keys.clone().map(|k| firing(&k, Some("api"))).collect()).await;
    }
    f.store.resolve(IncidentId(1), None, me()).await.unwrap();
    later(&f, minutes(20)).await;
    f.clock.advance(days(401));
    let mut seen = std::collections::BTreeSet::new();
    loop {
        let view = f.store.exclusive_view().await.unwrap();
        assert_eq!(view.check().unwrap(), Vec::<String>::new());
        match view.incident(IncidentId(1)).unwrap() {
            Some(incident) => seen.insert(incident.alert_count),
            None => break,
        };
    }
    assert!(seen.len() > 2, "in steps, with the count going down: {seen:?}");
    assert_eq!(counts(&f), (1, 0, 0));
    f.store.close();
}

#[tokio::test]
async fn more_than_may_be_stored_is_removed_oldest_first() {
    let f = keeping(Retention { deliveries: days(3_000), incidents: days(3_000), bytes: 150_000 });
    for n in 0..100 {
        let key = format!("grafana:{n}");
        f.send("grafana", vec![firing(&key, Some(&key))]).await;
        f.send("grafana", vec![resolved(&key)]).await;
        f.clock.advance(days(1));
    }
    f.send("grafana", vec![firing("grafana:burns", None)]).await;
    settle(&f).await;
    f.consistent();
    let stored: u64 = f.store.view().unwrap().sizes().unwrap().iter().map(|(_, bytes)| bytes).sum();
    assert!(stored <= 150_000 && stored > 75_000, "{stored} bytes are left");
    let (deliveries, incidents, _) = counts(&f);
    assert!(deliveries < 20 && incidents > 20, "deliveries go before incidents: {deliveries}, {incidents}");
    assert!(f.store.view().unwrap().incident(IncidentId(101)).unwrap().is_some_and(|i| i.is_open()));
    f.store.close();
}

/// A clock that was ahead for a moment must not keep everything that came after it, until that time has come.
#[tokio::test]
async fn what_was_received_while_the_clock_was_ahead_holds_nothing_up() {
    let f = keeping(Retention { deliveries: days(30), incidents: days(400), bytes: 0 });
    let mild = |key: &str| Signal { severity: Severity::Info, ..firing(key, None) };
    f.send("grafana", vec![mild("grafana:before")]).await;
    let astray = NewDelivery {
        at: f.clock.now().plus(days(3_000)),
        platform: "grafana".into(),
        outcome: DeliveryOutcome::Accepted,
        problem: None,
        headers: Vec::new(),
        body: Vec::new(),
        parsed: Parsed { signals: vec![mild("grafana:ahead")], ..Parsed::default() },
        replay_of: None,
    };
    f.store.submit(astray).await.unwrap();
    for n in 0..3 {
        f.send("grafana", vec![mild(&format!("grafana:{n}"))]).await;
    }
    later(&f, days(31)).await;
    assert_eq!(counts(&f).0, 1, "deliveries after it are gone as well, but for the last");
    later(&f, days(400)).await;
    assert_eq!(counts(&f), (1, 0, 1), "and alerts; its own goes in its time");
    f.consistent();
    f.store.close();
}

/// However little may be removed in a step.
#[tokio::test]
async fn no_incident_goes_while_there_are_older_deliveries() {
    let f = keeping(Retention { deliveries: days(3_000), incidents: days(3_000), bytes: 1 });
    f.send("grafana", vec![firing("grafana:a", None), firing("grafana:b", None)]).await;
    f.send("grafana", vec![resolved("grafana:a"), resolved("grafana:b")]).await;
    let removed = f.store.command(|tx| {
        tx.now = tx.now.plus(days(2));
        Ok(sweep(tx, false, 1)?)
    });
    assert!(removed.await.unwrap() >= 1);
    assert_eq!((counts(&f).0, f.incident(1).alert_count), (1, 2));
    f.store.close();
}

#[tokio::test]
async fn freed_space_is_used_again() {
    let f = keeping(Retention { deliveries: days(1), incidents: days(1), bytes: 0 });
    let path = f.dir.path().join("watchfire.redb");
    let mut lengths = Vec::new();
    for day in 0..8 {
        for n in 0..4 {
            let keys: Vec<String> = (0..100).map(|k| format!("grafana:{day} {n} {k}")).collect();
            f.send("grafana", keys.iter().map(|k| firing(k, Some("api"))).collect()).await;
            f.send("grafana", keys.iter().map(|k| resolved(k)).collect()).await;
        }
        later(&f, days(1)).await;
        lengths.push(std::fs::metadata(&path).unwrap().len());
    }
    let (third, last) = (lengths[2], lengths[7]);
    assert!(last <= third + third / 2, "the file does not grow with the days: {lengths:?}");
    f.consistent();
    f.store.close();
}

#[test]
fn a_clock_that_jumps_is_not_trusted_for_a_while() {
    let start = Time::from_secs(1_772_500_000);
    let minutes = |n: u64| Duration::from_secs(n * 60);
    let mut trust = Trust { seen: None, from: TRUST_AFTER };
    // (minutes that the process runs, what the clock shows in minutes after the start, trusted)
    let year = 365 * 24 * 60;
    for (ran, shown, want) in [
        (0, 0, false),
        (9, 9, false),
        (10, 10, true),
        (11, 20, true),
        (12, year, false),
        (21, year + 9, false),
        (22, year + 10, true),
        (23, 23, false),
        (33, 33, true),
    ] {
        assert_eq!(trust.at(start.plus(minutes(shown)), minutes(ran)), want, "after {ran} minutes");
    }
}
