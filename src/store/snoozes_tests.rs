//! Incidents that wait, severities that people set, and what happens when two decide at once.

use std::time::Duration;

use super::{
    tests::{Fixture, firing, me, minutes, resolved, titled},
    *,
};

const ONE: IncidentId = IncidentId(1);

async fn opened() -> Fixture {
    let f = Fixture::new();
    f.send("grafana", vec![firing("grafana:a", Some("api"))]).await;
    f
}

fn worse(key: &str, severity: Severity) -> Signal {
    Signal { severity, ..firing(key, Some("api")) }
}

fn severity(severity: Option<Severity>, reason: &str) -> IncidentPatch {
    IncidentPatch { severity: Some(severity), reason: Some(reason.to_owned()), ..IncidentPatch::default() }
}

fn told(f: &Fixture) -> Vec<String> {
    let timeline = f.store.view().unwrap().timeline(ONE, None, 100).unwrap();
    timeline.into_iter().map(|e| format!("{}: {}", e.actor, e.text)).collect()
}

fn last(f: &Fixture) -> String {
    told(f).pop().unwrap()
}

impl Fixture {
    async fn awake(&self) {
        let mut changes = self.store.changes();
        let woken = async {
            while self.incident(1).snoozed.is_some() {
                changes.changed().await.unwrap();
            }
        };
        tokio::time::timeout(Duration::from_secs(20), woken).await.expect("it should have woken");
    }
}

#[tokio::test]
async fn a_snooze_is_quiet_and_ends_by_time_by_hand_when_it_gets_worse_and_with_the_incident() {
    let f = opened().await;
    let unowned = |f: &Fixture| f.store.view().unwrap().overview(f.clock.now()).unwrap().unowned;
    assert_eq!(unowned(&f), 1);
    let until = f.clock.now().plus(minutes(60));
    let snoozed = f.store.snooze(ONE, until, me()).await.unwrap();
    assert_eq!(snoozed.snoozed, Some(Snooze { until, by: "sre-1".into(), at: f.clock.now() }));
    assert!(snoozed.is_quiet());
    assert_eq!(unowned(&f), 0, "it calls for nobody");
    f.consistent();

    // Another alert that is no worse leaves it alone.
    f.send("grafana", vec![worse("grafana:b", Severity::Low)]).await;
    assert!(f.incident(1).snoozed.is_some());
    f.clock.advance(minutes(61));
    f.awake().await;
    assert_eq!(last(&f), "system: No longer snoozed: its time has come.");
    assert_eq!(unowned(&f), 1);
    f.consistent();

    f.store.snooze(ONE, f.clock.now().plus(minutes(5)), me()).await.unwrap();
    f.store.snooze(ONE, f.clock.now().plus(minutes(50)), me()).await.unwrap();
    f.consistent();
    assert_eq!(f.store.wake(ONE, me()).await.unwrap().snoozed, None);
    assert_eq!(last(&f), "sre-1: Woken by hand.");
    assert!(matches!(f.store.wake(ONE, me()).await, Err(CommandError::Conflict { .. })));

    f.store.snooze(ONE, f.clock.now().plus(minutes(50)), me()).await.unwrap();
    f.send("grafana", vec![worse("grafana:c", Severity::Critical)]).await;
    assert_eq!(f.incident(1).snoozed, None);
    assert!(told(&f).contains(&"system: No longer snoozed: it is critical now.".to_owned()), "{:?}", told(&f));

    f.store.snooze(ONE, f.clock.now().plus(minutes(50)), me()).await.unwrap();
    f.store.resolve(ONE, None, me()).await.unwrap();
    assert_eq!(f.incident(1).snoozed, None);
    f.consistent();
    let refused = f.store.snooze(ONE, f.clock.now().plus(minutes(5)), me()).await;
    assert!(matches!(refused, Err(CommandError::Conflict { .. })), "{refused:?}");
}

#[tokio::test]
async fn a_snooze_needs_a_time_that_comes_and_moves_with_a_clock_that_is_set_back() {
    let f = opened().await;
    let now = f.clock.now();
    for until in [now, now.minus(minutes(1)), now.plus(minutes(32 * 24 * 60))] {
        let refused = f.store.snooze(ONE, until, me()).await;
        assert!(matches!(refused, Err(CommandError::Invalid { .. })), "{refused:?}");
    }
    f.store.snooze(ONE, now.plus(minutes(60)), me()).await.unwrap();
    f.clock.set(now.minus(minutes(600)));
    f.send("grafana", vec![firing("grafana:b", Some("other"))]).await;
    // Any command comes after the timers of the delivery before it.
    f.store.release_notices().await.unwrap();
    let until = f.incident(1).snoozed.unwrap().until;
    assert!(until <= now.minus(minutes(500)), "{until}");
    f.consistent();
}

#[tokio::test]
async fn a_snooze_outlasts_a_restart() {
    let mut f = opened().await;
    f.store.snooze(ONE, f.clock.now().plus(minutes(60)), me()).await.unwrap();
    f.restart();
    assert!(f.incident(1).snoozed.is_some());
    f.clock.advance(minutes(61));
    f.awake().await;
    f.consistent();
}

#[tokio::test]
async fn what_is_merged_is_no_longer_snoozed() {
    let f = opened().await;
    f.clock.advance(minutes(60));
    f.send("grafana", vec![titled("Certificate expires", firing("grafana:z", Some("other")))]).await;
    let until = f.clock.now().plus(minutes(30));
    f.store.snooze(IncidentId(2), until, me()).await.unwrap();
    f.store.merge_incidents(ONE, vec![IncidentId(2)], me()).await.unwrap();
    assert_eq!(f.incident(2).snoozed, None);
    f.consistent();
    f.store.unmerge(IncidentId(2), me()).await.unwrap();
    assert_eq!(f.incident(2).snoozed, None, "it calls again");
    f.consistent();
}

#[tokio::test]
async fn a_persons_severity_holds_until_it_is_given_back() {
    let mut f = opened().await;
    f.store.patch_incident(ONE, severity(Some(Severity::Low), "only staging."), me()).await.unwrap();
    assert_eq!(last(&f), "sre-1: Severity set from high to low: only staging.");
    f.send("grafana", vec![worse("grafana:b", Severity::Critical)]).await;
    f.restart();
    f.send("grafana", vec![worse("grafana:c", Severity::Critical)]).await;
    assert_eq!((f.incident(1).severity, f.incident(1).alert_count), (Severity::Low, 3));
    let back = f.store.patch_incident(ONE, severity(None, ""), me()).await.unwrap();
    assert_eq!((back.severity, back.severity_pinned), (Severity::Critical, false));
    assert_eq!(last(&f), "sre-1: Severity is its alerts' again: critical instead of low.");
    // The same word as the alerts': it holds from now on.
    let held = f.store.patch_incident(ONE, severity(Some(Severity::Critical), ""), me()).await.unwrap();
    assert!(held.severity_pinned);
    assert_eq!(last(&f), "sre-1: Severity stays critical, whatever its alerts say.");
    let lines = told(&f).len();
    f.store.patch_incident(ONE, severity(Some(Severity::Critical), "again"), me()).await.unwrap();
    assert_eq!(told(&f).len(), lines, "nothing changed, nothing is told");
    f.consistent();
}

#[tokio::test]
async fn a_person_who_makes_it_worse_wakes_it() {
    let f = opened().await;
    let until = f.clock.now().plus(minutes(60));
    f.store.snooze(ONE, until, me()).await.unwrap();
    f.store.patch_incident(ONE, severity(Some(Severity::Low), ""), me()).await.unwrap();
    assert!(f.incident(1).snoozed.is_some());
    f.store.patch_incident(ONE, severity(Some(Severity::Critical), ""), me()).await.unwrap();
    assert!(f.incident(1).snoozed.is_none());
    f.consistent();
}

#[tokio::test]
async fn who_was_slower_changes_nothing() {
    let f = opened().await;
    let other = || Actor::Person("sre-2".into());
    let check = |result: Result<Incident, CommandError>, want: &str| match result {
        Err(CommandError::Conflict { detail, .. }) => assert_eq!(detail, want),
        other => panic!("{want}: {other:?}"),
    };
    f.store.acknowledge(ONE, other()).await.unwrap();
    check(f.store.acknowledge_as(ONE, Some(None), me()).await, "INC-1 was nobody's and is sre-2's by now");
    assert_eq!(f.incident(1).owner.as_deref(), Some("sre-2"));
    let taken = f.store.acknowledge_as(ONE, Some(Some("sre-2".into())), me()).await.unwrap();
    assert_eq!(taken.owner.as_deref(), Some("sre-1"), "knowing whose it is, it is taken over");
    f.store.acknowledge_as(ONE, Some(None), me()).await.expect("it is mine already");

    f.store.patch_incident(ONE, severity(Some(Severity::Low), ""), other()).await.unwrap();
    let seen = SeenBefore { severity: Some(Severity::High), ..SeenBefore::default() };
    let patch = IncidentPatch { seen, ..severity(Some(Severity::Critical), "") };
    check(f.store.patch_incident(ONE, patch, me()).await, "INC-1 was high and is low by now");

    let title = |t: &str, seen: &str| IncidentPatch {
        title: Some(t.to_owned()),
        seen: SeenBefore { title: Some(seen.to_owned()), ..SeenBefore::default() },
        ..IncidentPatch::default()
    };
    let first = f.incident(1).title;
    f.store.patch_incident(ONE, title("Theirs", &first), other()).await.unwrap();
    let late = f.store.patch_incident(ONE, title("Mine", &first), me()).await;
    check(late, "INC-1 has another title by now: “Theirs”");
    f.store.resolve(ONE, None, other()).await.unwrap();
    check(f.store.acknowledge_as(ONE, Some(None), me()).await, "INC-1 is resolved and cannot be assigned");
}

#[tokio::test]
async fn what_was_taken_out_goes_back_with_what_that_taught() {
    let f = opened().await;
    f.send("grafana", vec![firing("grafana:b", Some("api"))]).await;
    let members = f.store.view().unwrap().members(ONE, 10).unwrap();
    let (_, alert) = members.iter().find(|(_, a)| a.dedup_key == "grafana:b").unwrap();
    let lessons = |f: &Fixture| f.store.view().unwrap().lessons().unwrap().len();
    let new = f.store.split(ONE, vec![alert.id], None, me()).await.unwrap();
    assert_eq!((new.id, f.incident(1).alert_count), (IncidentId(2), 1));
    let taught = lessons(&f);
    let back = f.store.undo_split(ONE, new.id, me()).await.unwrap();
    assert_eq!((back.alert_count, f.incident(2).status), (2, IncidentStatus::Merged));
    assert!(taught == 0 || lessons(&f) < taught, "{taught}, then {}", lessons(&f));
    f.consistent();
    // It may join again by itself.
    f.send("grafana", vec![resolved("grafana:b")]).await;
    f.clock.advance(minutes(1));
    f.send("grafana", vec![firing("grafana:b", Some("api"))]).await;
    assert_eq!(f.incident(1).firing_count, 2);
    assert!(matches!(f.store.undo_split(ONE, new.id, me()).await, Err(CommandError::Conflict { .. })));
    // Taken out when it was over, it is an incident that has ended, and goes back all the same.
    f.send("grafana", vec![firing("grafana:c", Some("api"))]).await;
    f.send("grafana", vec![resolved("grafana:c")]).await;
    let members = f.store.view().unwrap().members(ONE, 10).unwrap();
    let (_, alert) = members.iter().find(|(_, a)| a.dedup_key == "grafana:c").unwrap();
    let count = f.incident(1).alert_count;
    let new = f.store.split(ONE, vec![alert.id], None, me()).await.unwrap();
    assert_eq!(new.status, IncidentStatus::Resolved);
    assert_eq!(f.store.undo_split(ONE, new.id, me()).await.unwrap().alert_count, count);
    f.consistent();
}
