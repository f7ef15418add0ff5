//! In how many transactions the writer applies what waits.

use tokio::{
    sync::oneshot,
    task::{JoinSet, yield_now},
};

use super::{
    tests::{Fixture, PATIENCE, firing},
    *,
};

/// How many commits apply so many deliveries of so many bytes each, all of which wait when the writer turns to them.
async fn commits(many: usize, bytes: usize) -> usize {
    let f = Fixture::new();
    let (go, wait) = std::sync::mpsc::channel::<()>();
    let (holds, held) = oneshot::channel();
    let store = f.store.clone();
    let busy = tokio::spawn(async move {
        let hold = move || {
            let _ = holds.send(());
            let _ = wait.recv();
            Ok(())
        };
        store.inner.writer.look_at(hold).await
    });
    held.await.unwrap();
    let mut sent = JoinSet::new();
    for n in 0..many {
        let delivery = NewDelivery {
            at: f.clock.now(),
            platform: "grafana".into(),
            outcome: DeliveryOutcome::Accepted,
            problem: None,
            headers: Vec::new(),
            body: vec![b'x'; bytes],
            parsed: Parsed { signals: vec![firing(&format!("grafana:{n}"), Some("api"))], ..Parsed::default() },
            replay_of: None,
        };
        let store = f.store.clone();
        sent.spawn(async move { store.submit(delivery).await.unwrap().seq });
    }
    let last = sent.join_all().await.into_iter().max().unwrap();
    assert_eq!(f.store.behind(), many as u64);
    let mut position = f.store.position();
    position.mark_unchanged();
    go.send(()).unwrap();
    let counted = async {
        let mut commits = 0;
        while *position.borrow() < last {
            position.changed().await.unwrap();
            commits += 1;
            yield_now().await;
        }
        commits
    };
    let commits = tokio::time::timeout(PATIENCE, counted).await.unwrap();
    busy.await.unwrap().unwrap();
    f.consistent();
    commits
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_is_applied_at_once_whether_deliveries_are_small_or_large() {
    for (many, bytes) in [(300, 10), (300, 10_000), (60, 100_000)] {
        assert_eq!(commits(many, bytes).await, 1, "{many} deliveries of {bytes} bytes");
    }
}
