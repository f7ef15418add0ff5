//! What cannot be written or applied costs itself alone, and is said.

use std::time::Duration;

use super::{tests::*, *};

#[tokio::test]
async fn a_change_that_panics_costs_itself_alone() {
    let f = Fixture::new();
    let broken = f.store.command::<()>(|tx| {
        tx.world.next(tables::meta::INCIDENT);
        panic!("a fault");
    });
    assert!(matches!(broken.await, Err(CommandError::Store(StoreError::Damaged(_)))));
    let after = f.send("grafana", vec![firing("grafana:a", Some("api"))]).await;
    assert_eq!(after[0].incident_id, Some(IncidentId(1)), "what it left in memory is gone");
    f.store.health().unwrap();
}

#[tokio::test]
async fn a_delivery_that_cannot_be_applied_is_set_aside_and_the_others_go_on() {
    let f = Fixture::new();
    let first = f.send("grafana", vec![firing("grafana:a", Some("api"))]).await;
    // Its alert refers to an incident that is not there.
    let alert = first[0].alert_id.unwrap();
    f.store
        .command(move |tx| {
            let mut alert = tx.alert(alert.number())?.unwrap();
            alert.incident = Some(IncidentId(99));
            Ok(tx.put_alert(&alert, None)?)
        })
        .await
        .unwrap();
    let (broken, sound) =
        tokio::join!(f.store.submit(plain(&f.clock, "grafana:a")), f.store.submit(plain(&f.clock, "grafana:sound")));
    let (broken, sound) = (broken.unwrap(), sound.unwrap());
    assert!(f.store.applied(sound.seq.max(broken.seq), PATIENCE).await);
    f.store.health().unwrap();
    let view = f.store.view().unwrap();
    let row = view.delivery_row(broken.seq).unwrap().unwrap();
    assert_eq!((row.outcome, row.problem.unwrap().code.as_str()), (DeliveryOutcome::Unparsed, "not_applied"));
    assert_eq!(view.delivery(broken.seq).unwrap().unwrap().parsed.signals.len(), 1);
    assert!(view.results(sound.seq).unwrap().unwrap()[0].incident_id.is_some());
}

#[tokio::test]
async fn what_stands_before_a_delivery_that_cannot_be_applied_is_applied_as_well() {
    let f = Fixture::new();
    let first = f.send("grafana", vec![firing("grafana:a", Some("api")), firing("grafana:b", Some("api"))]).await;
    let (sound, broken) = (first[0].alert_id.unwrap(), first[1].alert_id.unwrap());
    // Until both are stored, so that they are one group.
    let (started, has_started) = tokio::sync::oneshot::channel();
    let (go, may_go) = std::sync::mpsc::channel();
    let store = f.store.clone();
    let held = tokio::spawn(async move {
        let work = move |tx: &mut tx::Tx<'_>| {
            let mut alert = tx.alert(broken.number())?.unwrap();
            alert.incident = Some(IncidentId(99));
            tx.put_alert(&alert, None)?;
            started.send(()).unwrap();
            may_go.recv().unwrap();
            Ok(())
        };
        store.command(work).await
    });
    has_started.await.unwrap();
    // Neither changes what the writer keeps in memory, but for its position.
    let repeat = f.store.submit(plain(&f.clock, "grafana:a")).await.unwrap();
    let not = f.store.submit(plain(&f.clock, "grafana:b")).await.unwrap();
    go.send(()).unwrap();
    held.await.unwrap().unwrap();
    assert!(f.store.applied(not.seq, PATIENCE).await);
    let view = f.store.view().unwrap();
    let row = |seq| view.delivery_row(seq).unwrap().map(|row| row.outcome);
    assert_eq!((row(repeat.seq), row(not.seq)), (Some(DeliveryOutcome::Accepted), Some(DeliveryOutcome::Unparsed)));
    assert_eq!(view.alert(sound).unwrap().unwrap().count, 2);
}

#[tokio::test]
async fn an_alert_that_cannot_fall_quiet_stops_neither_the_others_nor_deliveries() {
    let f = Fixture::new();
    let quiet = |key: &str| Signal { quiet_after_secs: Some(60), ..firing(key, Some(key)) };
    let alerts = f.send("grafana", vec![quiet("grafana:broken"), quiet("grafana:sound")]).await;
    let broken = alerts[0].alert_id.unwrap();
    // Its alert refers to an incident that is not there.
    let damage = f.store.command(move |tx| {
        let mut alert = tx.alert(broken.number())?.unwrap();
        alert.incident = Some(IncidentId(99));
        let before = alert.quiet_at;
        Ok(tx.put_alert(&alert, before)?)
    });
    damage.await.unwrap();
    let mut changes = f.store.changes();
    f.clock.advance(minutes(2));
    let sound = alerts[1].alert_id.unwrap();
    tokio::time::timeout(Duration::from_secs(20), async {
        while f.store.view().unwrap().alert(sound).unwrap().unwrap().is_open() {
            changes.changed().await.unwrap();
        }
    })
    .await
    .expect("the other one falls quiet");
    let sent = f.store.submit(plain(&f.clock, "grafana:next")).await.unwrap();
    assert!(f.store.applied(sent.seq, PATIENCE).await);
    f.store.health().unwrap();
}

/// A store whose files are on disks that can be full.
fn on_disks(dir: &Path, clock: &Clock, main: Option<&faults::Disk>, intake: Option<&faults::Disk>) -> Store {
    let options = StoreOptions { dir: dir.to_owned(), cache_bytes: 8 << 20, policy: Policy::default() };
    let mut files = open::files(&options).unwrap();
    if let Some(disk) = main {
        files.main = Arc::new(disk.file());
        open::prepare_main(&files.main, dir).unwrap();
    }
    if let Some(disk) = intake {
        files.intake = Arc::new(disk.file());
        open::make_intake_tables(&files.intake).unwrap();
    }
    Store::on(files, options, clock.clone()).unwrap()
}

async fn healthy(store: &Store) {
    tokio::time::timeout(Duration::from_secs(20), async {
        while store.health().is_err() {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_under_the_intake_is_said_and_forgotten_when_there_is_room_again() {
    let (dir, clock, disk) =
        (tempfile::tempdir().unwrap(), Clock::manual(Time::from_secs(START)), faults::Disk::default());
    let store = on_disks(dir.path(), &clock, None, Some(&disk));
    let first = store.submit(plain(&clock, "grafana:a")).await.unwrap();
    assert!(store.applied(first.seq, PATIENCE).await);
    disk.set_full(true);
    let refused = store.submit(plain(&clock, "grafana:b")).await.unwrap_err();
    assert!(matches!(refused, SubmitError::Store(StoreError::Full)), "{refused}");
    assert!(matches!(store.health(), Err(StoreError::Full)));
    disk.set_full(false);
    healthy(&store).await;
    let next = store.submit(plain(&clock, "grafana:c")).await.unwrap();
    assert!(store.applied(next.seq, PATIENCE).await);
    let view = store.view().unwrap();
    assert_eq!(view.check().unwrap(), Vec::<String>::new());
    assert_eq!(view.delivery(first.seq).unwrap().unwrap().id, first.id);
    let rows = view.deliveries(&DeliveryFilter::default(), None, 9).unwrap();
    assert_eq!(view.incident(IncidentId(1)).unwrap().unwrap().alert_count, rows.total);
    store.close();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_under_the_main_file_loses_nothing_that_was_acknowledged() {
    let (dir, clock, disk) =
        (tempfile::tempdir().unwrap(), Clock::manual(Time::from_secs(START)), faults::Disk::default());
    let store = on_disks(dir.path(), &clock, Some(&disk), None);
    let first = store.submit(plain(&clock, "grafana:a")).await.unwrap();
    assert!(store.applied(first.seq, PATIENCE).await);
    disk.set_full(true);
    let taken = store.submit(plain(&clock, "grafana:b")).await.unwrap();
    let refused = store.comment(IncidentId(1), "lost?".into(), me()).await.unwrap_err();
    assert!(matches!(refused, CommandError::Store(StoreError::Full)), "{refused}");
    disk.set_full(false);
    assert!(store.applied(taken.seq, PATIENCE).await);
    healthy(&store).await;
    let view = store.view().unwrap();
    assert_eq!(view.check().unwrap(), Vec::<String>::new());
    assert_eq!(view.incident(IncidentId(1)).unwrap().unwrap().alert_count, 2);
    store.comment(IncidentId(1), "there".into(), me()).await.unwrap();
    store.close();
}
