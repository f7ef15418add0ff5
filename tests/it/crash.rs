//! kill -9 of the real process under load: every acknowledged alert is there, exactly once, and applied exactly once.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::sync::watch;
use watchfire::{
    model::{Alert, DeliveryOutcome, Time},
    runtime::clock::Clock,
    store::{AlertFilter, Policy, Store, StoreOptions},
};

const TOKEN: &str = "crash-test-token-0123456789";
const CLIENTS: u64 = 4;
/// Alerts that the clients share, so that repeats are under test as well.
const SHARED: u64 = 50;

fn rounds() -> u64 {
    std::env::var("CRASH_ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(8)
}

fn start(dir: &Path) -> (Child, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_watchfire"))
        .args(["serve", "--listen", "127.0.0.1:0", "--store-reserve", "0", "--data-dir"])
        .arg(dir)
        .env("WATCHFIRE_BOOTSTRAP_TOKEN", TOKEN)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let url = line.trim().rsplit(' ').next().unwrap().to_owned();
    assert!(url.starts_with("http://127.0.0.1:"), "the first line says where it listens: {line:?}");
    (child, url)
}

fn body(key: u64, firing: bool) -> String {
    let status = if firing { "firing" } else { "resolved" };
    serde_json::json!({
        "version": "4", "status": status, "receiver": "r", "groupKey": "g", "externalURL": "http://am:9093",
        "groupLabels": {}, "commonLabels": {}, "commonAnnotations": {},
        "alerts": [{
            "status": status, "labels": { "alertname": format!("alert {key}"), "severity": "critical", "service": format!("s{}", key % 7) },
            "annotations": {}, "startsAt": "2026-03-03T10:30:00Z", "endsAt": "0001-01-01T00:00:00Z", "fingerprint": format!("{key:016x}"),
        }],
    })
    .to_string()
}

/// What a client was told.
#[derive(Default)]
struct Acknowledged {
    /// Alert → acknowledged firing deliveries of it.
    alerts: BTreeMap<u64, u64>,
    /// Ids of deliveries.
    deliveries: BTreeSet<String>,
}

async fn client(url: String, numbers: Arc<AtomicU64>, log: Arc<Mutex<Acknowledged>>, count: watch::Sender<u64>) {
    let http = reqwest::Client::new();
    loop {
        let n = numbers.fetch_add(1, Ordering::SeqCst);
        // Every third alert is one that others send as well.
        let key = if n.is_multiple_of(3) { n % SHARED } else { 1_000 + n };
        let request = http.post(format!("{url}/api/webhooks/alertmanager")).bearer_auth(TOKEN).body(body(key, true));
        // The connection breaks when the server is killed: nothing was promised then.
        let Ok(response) = request.send().await else { return };
        let status = response.status();
        let Ok(answer) = response.json::<serde_json::Value>().await else { return };
        assert_eq!(status, 202, "{answer}");
        let mut log = log.lock().unwrap();
        *log.alerts.entry(key).or_default() += 1;
        log.deliveries.insert(answer["delivery_id"].as_str().unwrap().to_owned());
        drop(log);
        count.send_modify(|c| *c += 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_acknowledged_alert_is_there_exactly_once_after_kills() {
    watchfire::runtime::tls::install_provider();
    let dir = tempfile::tempdir().unwrap();
    let numbers = Arc::new(AtomicU64::new(1));
    let log = Arc::new(Mutex::new(Acknowledged::default()));
    for round in 0..rounds() {
        let (mut child, url) = start(dir.path());
        let count = watch::Sender::new(0);
        let clients: Vec<_> = (0..CLIENTS)
            .map(|_| tokio::spawn(client(url.clone(), Arc::clone(&numbers), Arc::clone(&log), count.clone())))
            .collect();
        // A random moment, counted in acknowledgements: the same number of them takes a different time on every machine.
        let moment = 20 + (getrandom::u32().unwrap() % 200) as u64;
        count.subscribe().wait_for(|c| *c >= moment).await.unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        for client in clients {
            client.await.unwrap();
        }
        tracing::info!(round, moment, "killed");
    }
    let acknowledged = std::mem::take(&mut *log.lock().unwrap());
    verify(dir.path(), &acknowledged).await;
}

async fn verify(dir: &Path, acknowledged: &Acknowledged) {
    let options = StoreOptions { dir: dir.to_owned(), cache_bytes: 16 << 20, policy: Policy::default() };
    let store = Store::open(options, Clock::System).unwrap();
    let last = store.behind() + *store.position().borrow();
    assert!(store.applied(last, Duration::from_secs(30)).await, "what was stored is applied after the start");
    let view = store.view().unwrap();
    assert_eq!(view.check().unwrap(), Vec::<String>::new());

    // What the intake holds is the truth; an unanswered request may be in it.
    let mut stored: BTreeMap<String, u64> = BTreeMap::new();
    let mut ids = BTreeSet::new();
    for seq in 1..=last {
        let delivery = view.delivery(seq).unwrap().unwrap();
        assert_eq!(delivery.outcome, DeliveryOutcome::Accepted);
        assert!(ids.insert(delivery.id.to_string()), "delivery {seq} is there twice");
        assert_eq!(view.results(seq).unwrap().unwrap().len(), 1, "delivery {seq} was applied");
        *stored.entry(delivery.parsed.signals[0].dedup_key.clone()).or_default() += 1;
    }
    assert!(acknowledged.deliveries.is_subset(&ids), "an acknowledged delivery is missing");

    let mut alerts: BTreeMap<String, Alert> = BTreeMap::new();
    let mut before = None;
    loop {
        let page = view.alerts(&AlertFilter::default(), before, 200).unwrap();
        for alert in page.items {
            let twice = alerts.insert(alert.dedup_key.clone(), alert);
            assert!(twice.is_none(), "{twice:?} is there twice");
        }
        before = page.next;
        if before.is_none() {
            break;
        }
    }
    assert_eq!(alerts.keys().collect::<Vec<_>>(), stored.keys().collect::<Vec<_>>());
    for (key, alert) in &alerts {
        assert_eq!(Some(&alert.count), stored.get(key), "{key} counts each stored delivery once");
        assert!(alert.incident.is_some() && alert.first_seen <= Time::from(jiff::Timestamp::now()));
    }
    for (key, count) in &acknowledged.alerts {
        let suffix = format!("{key:016x}");
        let alert =
            alerts.values().find(|a| a.dedup_key.ends_with(&suffix)).unwrap_or_else(|| panic!("alert {key} is lost"));
        assert!(alert.count >= *count, "alert {key} was acknowledged {count} times and counts {}", alert.count);
    }
    store.close();
}
