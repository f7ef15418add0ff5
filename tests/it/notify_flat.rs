//! What telling takes of memory does not grow with what waits to be told.

use std::{collections::BTreeSet, process::Command, sync::Arc, time::Duration};

use peak_alloc::PeakAlloc;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use watchfire::{
    connectors,
    model::*,
    notifications::{Caller, Runner},
    outgoing::Client,
    runtime::clock::Clock,
    store::{NewDelivery, Policy, Store, StoreOptions},
};

use crate::{
    notify_storm::{TAKEN, incidents, told, word},
    receiver::Receiver,
    support::start_of_time,
};

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// Says to the test, started anew, how many incidents wait: in a process of its own nobody else allocates.
const WAITING: &str = "WATCHFIRE_TEST_WAITING";
const FEW: u64 = 3_000;
const MANY: u64 = 20_000;
/// A message takes 600 bytes and more, so that those of `MANY` would need 10 MB. Their numbers, of 20,000 at most, may be
/// known.
const SLACK: i64 = 4 << 20;
const DELIVERY: u64 = 250;

fn delivery(numbers: std::ops::Range<u64>) -> NewDelivery {
    let alert = |n: u64| {
        json!({"status": "firing", "startsAt": "2026-03-03T10:30:00Z", "annotations": {"summary": word(3 * n)},
            "labels": {"alertname": word(3 * n + 1), "service": word(3 * n + 2), "severity": "critical", "what": "storm"}})
    };
    let alerts: Vec<Value> = numbers.map(alert).collect();
    let body = json!({"version": "4", "status": "firing", "receiver": "watchfire", "alerts": alerts}).to_string();
    let at = start_of_time();
    let request =
        connectors::Request { headers: &[], query: &[], body: body.as_bytes(), received_at: at, rca_enabled: false };
    let parsed = connectors::find("alertmanager").unwrap().parse(&request).unwrap();
    NewDelivery {
        at,
        platform: "alertmanager".into(),
        outcome: DeliveryOutcome::Accepted,
        problem: None,
        headers: Vec::new(),
        body: body.into_bytes(),
        parsed,
        replay_of: None,
    }
}

/// Bytes that the process had at most while it told of so many, above what it had before.
async fn telling(many: u64) -> i64 {
    let (dir, clock, chat) = (tempfile::tempdir().unwrap(), Clock::manual(start_of_time()), Receiver::start().await);
    chat.usually(200, TAKEN);
    let policy = Policy { cluster_window: Duration::ZERO, ..Policy::default() };
    let store =
        Store::open(StoreOptions { dir: dir.path().into(), cache_bytes: 4 << 20, policy }, clock.clone()).unwrap();
    told(&store, "discord", format!("{}/api/webhooks/1/token", chat.url), "storm").await;
    let mut last = 0;
    for from in (0..many).step_by(DELIVERY as usize) {
        last = store.submit(delivery(from..from + DELIVERY)).await.unwrap().seq;
    }
    assert!(store.applied(last, Duration::from_secs(120)).await);

    let client = Client::open(None).unwrap();
    let caller = Arc::new(Caller::new(&client, clock.clone(), vec!["127.0.0.1/32".parse().unwrap()], true, true));
    let runner = Runner::new(store.clone(), clock.clone(), caller, "http://watchfire.test".to_owned());
    let (stop, mut changes) = (CancellationToken::new(), store.changes());
    let before = MEMORY.current_usage();
    MEMORY.reset_peak_usage();
    let work = tokio::spawn(runner.run(stop.clone()));
    loop {
        changes.mark_unchanged();
        let now = clock.now();
        let none = (BTreeSet::new(), BTreeSet::new());
        if store.read(move |v| v.next_notice()).await.unwrap().is_none() {
            break;
        }
        // Its limit is one of time, which stands still.
        if !store.read(move |v| v.takeable(now, &none.0, &none.1)).await.unwrap() {
            clock.advance(Duration::from_secs(1));
        }
        let _ = tokio::time::timeout(Duration::from_millis(50), changes.changed()).await;
        clock.advance(Duration::from_millis(100));
    }
    let peak = MEMORY.peak_usage();
    stop.cancel();
    work.await.unwrap();
    assert_eq!(chat.all().iter().map(incidents).sum::<u64>(), many);
    i64::try_from(peak).unwrap() - i64::try_from(before).unwrap()
}

#[test]
fn what_waits_to_be_told_takes_no_memory() {
    if let Ok(many) = std::env::var(WAITING) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        println!("took {}.", runtime.block_on(telling(many.parse().unwrap())));
        return;
    }
    let measured = |many: u64| {
        let mut child = Command::new(std::env::current_exe().unwrap());
        child.args(["notify_flat::what_waits_to_be_told_takes_no_memory", "--exact", "--nocapture"]);
        let out = child.env(WAITING, many.to_string()).output().unwrap();
        let said = String::from_utf8_lossy(&out.stdout).into_owned();
        let took = said.split_once("took ").and_then(|(_, rest)| rest.split_once('.')).map(|(n, _)| n.parse::<i64>());
        took.unwrap_or_else(|| panic!("{said}\n{}", String::from_utf8_lossy(&out.stderr))).unwrap()
    };
    let (few, many) = (measured(FEW), measured(MANY));
    assert!(many - few < SLACK, "{FEW} that wait take {few} bytes, {MANY} take {many}");
}
