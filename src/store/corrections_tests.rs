//! Merging, unmerging, splitting, attaching: what comes back, what is counted, what is refused.

use super::{
    tests::{Fixture, firing as plain, me, minutes, resolved},
    *,
};

/// With titles that have nothing in common: the rule of texts must not join them.
fn firing(key: &str, service: Option<&str>) -> Signal {
    let title = match key {
        "grafana:a" => "Checkout latency above 2 s",
        "grafana:b" => "Disk full on volume",
        "grafana:b2" => "Replication broken",
        "grafana:c" => "Certificate expires soon",
        "grafana:d" => "Pod restarts often",
        _ => return plain(key, service),
    };
    Signal { title: title.to_owned(), ..plain(key, service) }
}

/// Incidents 1, 2 and 3, each an hour after the other; the second one of two alerts.
async fn three() -> Fixture {
    let f = Fixture::with(Policy { mode: CorrelationMode::Any, reserve: 0, ..Policy::default() });
    f.send("grafana", vec![firing("grafana:a", Some("api"))]).await;
    f.clock.advance(minutes(60));
    let mut worse = firing("grafana:b", Some("db"));
    worse.severity = Severity::Critical;
    worse.host = Some("db-1".into());
    f.send("grafana", vec![worse]).await;
    f.send("grafana", vec![firing("grafana:b2", Some("db"))]).await;
    f.clock.advance(minutes(60));
    f.send("grafana", vec![firing("grafana:c", Some("web"))]).await;
    f
}

/// What must come back: all but the numbers of changes, the time of the last one, and the investigation's state.
pub(super) fn essence(mut i: Incident) -> Incident {
    (i.version, i.updated_at) = (0, Time::from_millis(0));
    i.investigation.state = InvestigationState::Idle;
    i
}

pub(super) fn memberships(f: &Fixture, n: u64) -> Vec<Membership> {
    let mut found: Vec<Membership> =
        f.store.view().unwrap().members(IncidentId(n), 1_000).unwrap().into_iter().map(|(m, _)| m).collect();
    found.sort_by_key(|m| m.alert.number());
    found
}

fn alert_of(f: &Fixture, n: u64, key: &str) -> AlertId {
    let members = f.store.view().unwrap().members(IncidentId(n), 1_000).unwrap();
    members.iter().find(|(_, a)| a.dedup_key == key).unwrap_or_else(|| panic!("{key} is not in {n}")).1.id
}

fn conflict<T: std::fmt::Debug>(result: Result<T, CommandError>) -> String {
    match result {
        Err(CommandError::Conflict { detail, .. }) => detail,
        other => panic!("{other:?}"),
    }
}

fn invalid<T: std::fmt::Debug>(result: Result<T, CommandError>) -> (String, String) {
    match result {
        Err(CommandError::Invalid { field, detail }) => (field, detail),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_merge_counts_at_the_survivor_and_comes_back_exactly() {
    let f = three().await;
    let before = [1, 2].map(|n| (essence(f.incident(n)), memberships(&f, n)));
    let survivor = f.store.merge_incidents(IncidentId(1), vec![IncidentId(2)], me()).await.unwrap();
    f.consistent();
    assert_eq!((survivor.alert_count, survivor.firing_count, survivor.severity), (3, 3, Severity::Critical));
    assert_eq!(survivor.affected_services, ["api", "db"]);
    let merged = f.incident(2);
    assert_eq!((merged.status, merged.merged_into), (IncidentStatus::Merged, Some(IncidentId(1))));
    let view = f.store.view().unwrap();
    let alerts =
        view.alerts(&AlertFilter { incident: Some(IncidentId(1)), ..AlertFilter::default() }, None, 10).unwrap();
    assert_eq!((alerts.total, alerts.items.len()), (3, 3));
    assert!(alerts.items.iter().all(|a| a.incident == Some(IncidentId(1))));
    let why = memberships(&f, 1)[1].reasons[0].text.clone();
    assert_eq!(why, "Came with INC-2, which was merged into INC-1 by sre-1.");
    // What happens to its alerts happens at the survivor; what is new for its service joins that as well.
    let repeat = f.send("grafana", vec![firing("grafana:b", Some("db"))]).await;
    assert_eq!(repeat[0].incident_id, Some(IncidentId(1)));

    f.store.unmerge(IncidentId(2), me()).await.unwrap();
    f.consistent();
    for (n, (row, members)) in [1, 2].into_iter().zip(before) {
        assert_eq!(essence(f.incident(n)), row);
        assert_eq!(memberships(&f, n), members);
    }
    let kinds: Vec<TimelineKind> =
        f.store.view().unwrap().timeline(IncidentId(2), None, 2).unwrap().iter().map(|e| e.kind).collect();
    assert_eq!(kinds, [TimelineKind::Merged, TimelineKind::Unmerged]);
}

#[tokio::test]
async fn what_happened_meanwhile_comes_back_too() {
    let f = three().await;
    f.store.merge_incidents(IncidentId(1), vec![IncidentId(2)], me()).await.unwrap();
    f.send("grafana", vec![resolved("grafana:b"), firing("grafana:d", Some("api"))]).await;
    assert_eq!((f.incident(1).alert_count, f.incident(1).firing_count, f.incident(2).firing_count), (4, 3, 1));
    f.store.unmerge(IncidentId(2), me()).await.unwrap();
    f.consistent();
    // What joined the survivor stays with it.
    assert_eq!((f.incident(1).alert_count, f.incident(2).alert_count, f.incident(2).firing_count), (2, 2, 1));
    let told = f.store.view().unwrap().timeline(IncidentId(2), None, 10).unwrap();
    assert!(told.iter().any(|e| e.text == "Disk full on volume resolved."), "{told:?}");

    // All of its alerts end while it is merged: it comes back resolved.
    f.store.merge_incidents(IncidentId(1), vec![IncidentId(2)], me()).await.unwrap();
    f.send("grafana", vec![resolved("grafana:b2")]).await;
    f.store.unmerge(IncidentId(2), me()).await.unwrap();
    assert_eq!(f.incident(2).status, IncidentStatus::Resolved);
    f.consistent();

    // The survivor is resolved by hand, with all that is part of it; a re-fire of a part reopens it.
    f.store.merge_incidents(IncidentId(1), vec![IncidentId(3)], me()).await.unwrap();
    f.store.resolve(IncidentId(1), Some("restarted".into()), me()).await.unwrap();
    f.consistent();
    let back = f.send("grafana", vec![firing("grafana:c", Some("web"))]).await;
    assert_eq!((back[0].incident_id, f.incident(1).status), (Some(IncidentId(1)), IncidentStatus::Investigating));
    f.store.resolve(IncidentId(1), Some("again".into()), me()).await.unwrap();
    f.store.unmerge(IncidentId(3), me()).await.unwrap();
    assert_eq!(f.incident(3).resolution.as_deref(), Some("Ended while it was part of INC-1: again"));
    f.consistent();
}

#[tokio::test]
async fn merges_of_merges_are_undone_in_any_order() {
    for order in [[1, 2], [2, 1]] {
        let f = three().await;
        let before = [1, 2, 3].map(|n| (essence(f.incident(n)), memberships(&f, n)));
        f.store.merge_incidents(IncidentId(2), vec![IncidentId(1)], me()).await.unwrap();
        f.store.merge_incidents(IncidentId(3), vec![IncidentId(2)], me()).await.unwrap();
        f.consistent();
        assert_eq!((f.incident(3).alert_count, f.incident(1).merged_into), (4, Some(IncidentId(3))));
        let repeat = f.send("grafana", vec![firing("grafana:a", Some("api"))]).await;
        assert_eq!(repeat[0].incident_id, Some(IncidentId(3)));
        for n in order {
            f.store.unmerge(IncidentId(n), me()).await.unwrap();
            f.consistent();
        }
        for (n, (row, members)) in [1, 2, 3].into_iter().zip(before) {
            assert_eq!((essence(f.incident(n)), memberships(&f, n)), (row, members), "{order:?}");
        }
    }
}

#[tokio::test]
async fn what_is_not_allowed_says_why_and_changes_nothing() {
    let f = three().await;
    let merge = |into, from: Vec<u64>| {
        f.store.merge_incidents(IncidentId(into), from.into_iter().map(IncidentId).collect(), me())
    };
    assert_eq!(conflict(merge(1, vec![1]).await), "INC-1 cannot be merged into itself");
    assert_eq!(invalid(merge(1, vec![2, 9]).await), ("/incident_ids/1".into(), "there is no incident INC-9".into()));
    assert_eq!(invalid(merge(1, vec![]).await).0, "/incident_ids");
    f.store.resolve(IncidentId(3), None, me()).await.unwrap();
    assert_eq!(conflict(merge(1, vec![2, 3]).await), "INC-3 is resolved; only open incidents are merged");
    assert!(f.incident(2).is_open(), "all or nothing");
    merge(1, vec![2]).await.unwrap();
    assert_eq!(conflict(merge(1, vec![2]).await), "INC-2 is merged into INC-1; only open incidents are merged");
    assert_eq!(
        conflict(f.store.unmerge(IncidentId(1), me()).await),
        "INC-1 is investigating and not merged into another incident"
    );
    let b = alert_of(&f, 1, "grafana:b");
    assert!(
        conflict(f.store.split(IncidentId(2), vec![b], None, me()).await).starts_with("INC-2 is merged into INC-1")
    );
    let c = alert_of(&f, 3, "grafana:c");
    assert_eq!(invalid(f.store.split(IncidentId(1), vec![b, c], None, me()).await).0, "/alert_ids/1");
    let all = ["grafana:a", "grafana:b", "grafana:b2"].map(|k| alert_of(&f, 1, k)).to_vec();
    assert_eq!(invalid(f.store.split(IncidentId(1), all, None, me()).await).0, "/alert_ids");
    assert!(conflict(f.store.attach(IncidentId(3), vec![b], me()).await).starts_with("INC-3 is resolved"));
    assert!(
        conflict(f.store.attach(IncidentId(1), vec![c], me()).await).starts_with("INC-3 would be left without alerts")
    );
    assert_eq!(invalid(f.store.attach(IncidentId(1), vec![b], me()).await).0, "/alert_ids/0");
    f.consistent();
}

#[tokio::test]
async fn a_split_and_what_stays_say_what_their_alerts_say() {
    let f = three().await;
    f.store.merge_incidents(IncidentId(1), vec![IncidentId(2)], me()).await.unwrap();
    let (b, b2) = (alert_of(&f, 1, "grafana:b"), alert_of(&f, 1, "grafana:b2"));
    let new = f.store.split(IncidentId(1), vec![b], Some(" The disk ".into()), me()).await.unwrap();
    f.consistent();
    assert_eq!(
        (new.id, new.title.as_str(), new.severity, new.firing_count),
        (IncidentId(4), "The disk", Severity::Critical, 1)
    );
    assert_eq!(
        (new.affected_services.as_slice(), new.affected_hosts.as_slice()),
        (["db".to_owned()].as_slice(), ["db-1".to_owned()].as_slice())
    );
    let old = f.incident(1);
    assert_eq!((old.alert_count, old.severity), (2, Severity::High));
    assert!(old.affected_hosts.is_empty() && old.affected_services == ["api", "db"]);
    // Back again: its only alert is attached, and so it is merged, which can be undone.
    f.store.attach(IncidentId(1), vec![b], me()).await.unwrap();
    assert_eq!(
        (f.incident(4).status, f.incident(1).alert_count, f.incident(1).severity),
        (IncidentStatus::Merged, 3, Severity::Critical)
    );
    f.consistent();
    // One that was merged loses its alerts one by one: nothing is left to come back.
    f.store.split(IncidentId(1), vec![b2], None, me()).await.unwrap();
    f.consistent();
    assert!(conflict(f.store.unmerge(IncidentId(2), me()).await).starts_with("none of the alerts of INC-2"));
    // The last alert that burns leaves: what stays is over.
    f.send("grafana", vec![resolved("grafana:a"), resolved("grafana:b")]).await;
    f.consistent();
}

#[tokio::test]
async fn alerts_without_an_incident_are_attached() {
    let f = three().await;
    let mut mild = firing("grafana:i", Some("cache"));
    mild.severity = Severity::Info;
    let sent = f.send("grafana", vec![mild]).await;
    f.store.attach(IncidentId(1), vec![sent[0].alert_id.unwrap()], me()).await.unwrap();
    f.consistent();
    assert_eq!((f.incident(1).alert_count, f.incident(1).severity), (2, Severity::High));
    assert_eq!(memberships(&f, 1)[1].strategy, Strategy::Manual);
}

#[tokio::test]
async fn what_was_taken_apart_is_not_joined_again_until_people_say_so() {
    let f = three().await;
    f.store.merge_incidents(IncidentId(1), vec![IncidentId(2)], me()).await.unwrap();
    let b = alert_of(&f, 1, "grafana:b");
    f.store.split(IncidentId(1), vec![b], None, me()).await.unwrap();
    f.consistent();
    // It ends, and comes anew, of a service that would join: it stays out, and says why.
    f.send("grafana", vec![resolved("grafana:b")]).await;
    f.clock.advance(minutes(16));
    let again = f.send("grafana", vec![firing("grafana:b", Some("api"))]).await;
    assert_eq!(again[0].incident_id, Some(IncidentId(5)));
    let why = memberships(&f, 5)[0].reasons[1].text.clone();
    assert_eq!(why, "Kept out of INC-1: sre-1 took it apart from “Checkout latency above 2 s”.");
    // By hand it may join again, and then the next time as well.
    f.store.merge_incidents(IncidentId(1), vec![IncidentId(5)], me()).await.unwrap();
    f.send("grafana", vec![resolved("grafana:b")]).await;
    f.clock.advance(minutes(16));
    let again = f.send("grafana", vec![firing("grafana:b", Some("api"))]).await;
    assert_eq!(again[0].incident_id, Some(IncidentId(1)));
    // An undone merge keeps apart as well.
    f.store.unmerge(IncidentId(2), me()).await.unwrap();
    f.send("grafana", vec![resolved("grafana:b2")]).await;
    f.clock.advance(minutes(16));
    let again = f.send("grafana", vec![firing("grafana:b2", Some("api"))]).await;
    assert_ne!(again[0].incident_id, Some(IncidentId(1)));
    f.consistent();
}

#[tokio::test]
async fn three_equal_corrections_teach_and_can_be_forgotten() {
    let named = |n: u64, service: &str, title: &str| {
        let mut signal = firing(&format!("grafana:{service}-{n}"), Some(service));
        signal.title = format!("{title} {n}");
        signal
    };
    let f = Fixture::with(Policy { mode: CorrelationMode::Any, reserve: 0, ..Policy::default() });
    let round = async |n: u64| {
        let api = f.send("grafana", vec![named(n, "api", "errors")]).await;
        f.clock.advance(minutes(10));
        let db = f.send("grafana", vec![named(n, "db", "slow")]).await;
        let ids = [&api, &db].map(|sent| sent[0].incident_id.unwrap());
        (ids[0], ids[1], db[0].strategy)
    };
    let end = async |id: IncidentId| {
        f.store.resolve(id, None, me()).await.unwrap();
        f.clock.advance(minutes(60));
    };
    for n in 1..4 {
        let (api, db, _) = round(n).await;
        assert_ne!(api, db, "round {n}");
        f.store.merge_incidents(api, vec![db], me()).await.unwrap();
        f.consistent();
        end(api).await;
    }
    let (api, db, strategy) = round(4).await;
    assert_eq!((api, strategy), (db, Some(Strategy::Manual)));
    let why = memberships(&f, api.0)[1].reasons[0].text.clone();
    assert_eq!(why, "People put such alerts together 3 times (last by sre-1 on 2026-03-03).");
    end(api).await;
    let lessons = f.store.view().unwrap().lessons().unwrap();
    assert_eq!(lessons.len(), 2, "each kind of alert of each kind of incident: {lessons:?}");
    for lesson in lessons {
        f.store.forget_lesson(lesson.id(), me()).await.unwrap();
    }
    let (api, db, _) = round(5).await;
    assert_ne!(api, db, "forgotten");
    assert!(matches!(f.store.forget_lesson("x".into(), me()).await, Err(CommandError::NotFound(_))));
    f.consistent();
}

#[tokio::test]
async fn lessons_keep_apart_what_the_rules_join() {
    let f = Fixture::with(Policy { mode: CorrelationMode::Any, reserve: 0, ..Policy::default() });
    for n in 1..5 {
        // Within the window: they join by time.
        let api = f.send("grafana", vec![firing(&format!("a{n}"), Some("api"))]).await;
        let batch = f.send("grafana", vec![firing(&format!("b{n}"), Some("batch"))]).await;
        let id = api[0].incident_id.unwrap();
        assert_eq!(batch[0].incident_id == Some(id), n < 4, "round {n}");
        if n < 4 {
            f.store.split(id, vec![batch[0].alert_id.unwrap()], None, me()).await.unwrap();
        } else {
            let why = &memberships(&f, batch[0].incident_id.unwrap().0)[0].reasons[1].text;
            assert_eq!(
                *why,
                format!("Kept out of {id}: People took such alerts apart 3 times (last by sre-1 on 2026-03-03).")
            );
        }
        f.consistent();
        for open in f.store.view().unwrap().open_incidents(10).unwrap().0 {
            f.store.resolve(open.id, None, me()).await.unwrap();
        }
        f.clock.advance(minutes(60));
    }
}

#[tokio::test]
async fn an_old_alert_that_is_moved_is_not_met_again() {
    let f = three().await;
    let mut mild = firing("grafana:i", Some("cache"));
    mild.severity = Severity::Info;
    let old = f.send("grafana", vec![mild.clone()]).await;
    f.send("grafana", vec![resolved("grafana:i")]).await;
    f.clock.advance(minutes(16));
    let new = f.send("grafana", vec![mild.clone()]).await;
    assert_ne!(old[0].alert_id, new[0].alert_id);
    f.store.attach(IncidentId(1), vec![old[0].alert_id.unwrap()], me()).await.unwrap();
    f.consistent();
    assert_eq!(f.send("grafana", vec![mild]).await[0].alert_id, new[0].alert_id);
}
