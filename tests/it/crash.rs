//! kill -9 of the real process at any moment, its start and its end among them: every acknowledged alert and comment is
//! there exactly once and applied exactly once, and whatever follows the store catches up.
//!
//! `CRASH_ROUNDS` says how many rounds (50 without it); `CRASH_ROUNDS=200 cargo test --test it crash` is the long run.
//! `CRASH_ALERTS=200000 cargo test --release --test it crash` measures how soon it is ready with so many alerts stored.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use reqwest::RequestBuilder;
use serde_json::{Value, json};
use tokio::sync::watch;
use watchfire::{
    app::App,
    config,
    model::{
        Alert, DeliveryOutcome, IncidentId, IncidentStatus, InvestigationState, Parsed, Severity, Signal, SignalStatus,
        Time, TimelineKind,
    },
    runtime::clock::Clock,
    search::Search,
    store::{AlertFilter, NewDelivery, Policy, Store, StoreOptions},
};

use crate::support::{PATIENCE, fixture};

const TOKEN: &str = "crash-test-token-0123456789";
const CLIENTS: u64 = 4;
/// Alerts that the clients share, so that repeats and ends are under test as well.
const SHARED: u64 = 40;
/// Real formats, of which each request takes the next.
const FORMATS: u64 = 5;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

fn random(below: u64) -> u64 {
    getrandom::u64().unwrap() % below
}

fn spawn(dir: &Path) -> Child {
    Command::new(env!("CARGO_BIN_EXE_watchfire"))
        .args(["serve", "--listen", "127.0.0.1:0", "--store-reserve", "0", "--data-dir"])
        .arg(dir)
        .env("WATCHFIRE_BOOTSTRAP_TOKEN", TOKEN)
        .stdout(Stdio::piped())
        .stderr(std::fs::File::options().create(true).append(true).open(dir.with_extension("log")).unwrap())
        .spawn()
        .unwrap()
}

fn start(dir: &Path) -> (Child, String) {
    let mut child = spawn(dir);
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let url = line.trim().rsplit(' ').next().unwrap().to_owned();
    let log = || std::fs::read_to_string(dir.with_extension("log")).unwrap();
    assert!(url.starts_with("http://127.0.0.1:"), "the first line says where it listens: {line:?}\n{}", log());
    (child, url)
}

/// Alert `key` as one of the platforms sends it; `n` is new for every request.
fn request(http: &reqwest::Client, url: &str, n: u64, key: u64, fires: bool) -> RequestBuilder {
    let (platform, name, set): (_, _, &[(&str, Value)]) = match key % FORMATS {
        0 => ("alertmanager", "alertmanager/instance", &[("/alerts/0/fingerprint", json!(format!("{key:016x}")))]),
        1 => ("grafana", "grafana/unified", &[("/alerts/0/fingerprint", json!(format!("{key:016x}")))]),
        2 => ("netdata", "netdata/agent-opsgenie", &[("/name", json!(format!("alarm_{key}")))]),
        3 => ("pagerduty", "pagerduty/incident", &[("/event/data/id", json!(format!("P{key}")))]),
        _ => (
            "datadog",
            "datadog/monitor",
            &[("/alert_id", json!(key.to_string())), ("/aggreg_key", json!(format!("{key:032x}")))],
        ),
    };
    let (mut body, headers) = fixture(&format!("{name}.{}", if fires { "firing" } else { "resolved" }));
    for (path, value) in set {
        *body.pointer_mut(path).unwrap_or_else(|| panic!("{name} has {path}")) = value.clone();
    }
    if let Some(Value::Array(alerts)) = body.get_mut("alerts") {
        alerts.truncate(1);
    }
    if platform == "pagerduty" {
        body["event"]["id"] = json!(format!("E{n}"));
    }
    let mut request = http.post(format!("{url}/api/webhooks/{platform}")).bearer_auth(TOKEN);
    for (name, value) in headers.iter().filter(|(name, _)| name != "content-length") {
        let value = if name == "x-webhook-id" { format!("webhook-{n}") } else { value.clone() };
        request = request.header(name, value);
    }
    request.body(body.to_string())
}

/// What the clients were told.
#[derive(Default)]
struct Told {
    deliveries: BTreeSet<String>,
    /// Identity → acknowledged deliveries in which it fires.
    alerts: BTreeMap<String, u64>,
    comments: BTreeSet<String>,
    declared: BTreeSet<String>,
    /// Whether `INC-1` was acknowledged by a person.
    taken: bool,
    /// PagerDuty's requests that got no answer, to be sent again with the same id.
    unanswered: Vec<(u64, u64, bool)>,
}

/// Sends until the connection breaks: nothing was promised then.
async fn client(url: String, numbers: Arc<AtomicU64>, told: Arc<Mutex<Told>>, count: watch::Sender<u64>) {
    let http = reqwest::Client::new();
    loop {
        let n = numbers.fetch_add(1, Ordering::SeqCst);
        let done = match n % 16 {
            7 => comment(&http, &url, n, &told).await,
            11 => take(&http, &url, &told).await,
            13 => declare(&http, &url, n, &told).await,
            _ => send(&http, &url, n, &told).await,
        };
        if done.is_none() {
            return;
        }
        count.send_modify(|c| *c += 1);
    }
}

/// The answer; none when the server is gone or going.
async fn asked(request: RequestBuilder) -> Option<(u16, Value)> {
    let response = request.send().await.ok()?;
    let status = response.status().as_u16();
    let answer = response.json::<Value>().await.ok()?;
    (status != 503).then_some((status, answer))
}

async fn send(http: &reqwest::Client, url: &str, n: u64, told: &Mutex<Told>) -> Option<()> {
    let again = told.lock().unwrap().unanswered.pop();
    let (n, key, fires) = again.unwrap_or_else(|| {
        // Every third alert is one that others send as well; some of those end.
        let key = if n.is_multiple_of(3) { random(SHARED) } else { 1_000 + n };
        (n, key, key >= SHARED || random(4) > 0)
    });
    let answered = asked(request(http, url, n, key, fires)).await;
    let mut told = told.lock().unwrap();
    let Some((status, answer)) = answered else {
        if key % FORMATS == 3 {
            told.unanswered.push((n, key, fires));
        }
        return None;
    };
    assert!((200..300).contains(&status), "{status} {answer}");
    assert!(answer["problem"].is_null(), "{answer}");
    told.deliveries.insert(answer["delivery_id"].as_str().unwrap().to_owned());
    if fires {
        *told.alerts.entry(answer["alerts"][0]["fingerprint"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    Some(())
}

async fn comment(http: &reqwest::Client, url: &str, n: u64, told: &Mutex<Told>) -> Option<()> {
    let text = format!("comment {n}");
    let request = http.post(format!("{url}/api/incidents/INC-1/comment")).bearer_auth(TOKEN);
    let (status, _) = asked(request.json(&json!({ "text": text }))).await?;
    if status == 200 {
        told.lock().unwrap().comments.insert(text);
    }
    Some(())
}

async fn take(http: &reqwest::Client, url: &str, told: &Mutex<Told>) -> Option<()> {
    let request = http.post(format!("{url}/api/incidents/INC-1/acknowledge")).bearer_auth(TOKEN);
    let (status, _) = asked(request.json(&json!({}))).await?;
    told.lock().unwrap().taken |= status == 200;
    Some(())
}

async fn declare(http: &reqwest::Client, url: &str, n: u64, told: &Mutex<Told>) -> Option<()> {
    let request = http.post(format!("{url}/api/incidents")).bearer_auth(TOKEN);
    let body = json!({ "title": format!("declared {n}"), "service": format!("service {n}"), "severity": "high" });
    let (status, answer) = asked(request.json(&body)).await?;
    if status == 201 {
        told.lock().unwrap().declared.insert(answer["id"].as_str().unwrap().to_owned());
    }
    Some(())
}

/// What a follower of the stream has got, over all kills.
#[derive(Default)]
struct Followed {
    last: Option<u64>,
    created: BTreeSet<String>,
}

/// Follows from where it was until `enough` or the end of the connection.
async fn follow(url: String, followed: Arc<Mutex<Followed>>, enough: impl Fn(&Followed) -> bool) {
    let last = followed.lock().unwrap().last;
    let request = reqwest::Client::new().get(format!("{url}/api/incidents/stream")).bearer_auth(TOKEN);
    // From the very beginning: without a place, a stream begins with what comes next.
    let request = request.header("last-event-id", last.unwrap_or(0));
    let Ok(mut response) = request.send().await else { return };
    let mut bytes = Vec::new();
    while let Ok(Some(piece)) = response.chunk().await {
        bytes.extend_from_slice(&piece);
        while let Some(end) = bytes.windows(2).position(|w| w == b"\n\n") {
            let block = String::from_utf8(bytes.drain(..end + 2).collect()).unwrap();
            let field = |name: &str| block.lines().find_map(|l| l.strip_prefix(name)).map(str::to_owned);
            let (Some(id), Some(data)) = (field("id: "), field("data: ")) else { continue };
            let (id, data): (u64, Value) = (id.parse().unwrap(), serde_json::from_str(&data).unwrap());
            let mut followed = followed.lock().unwrap();
            assert!(followed.last.is_none_or(|last| last < id), "{id} comes after {:?}", followed.last);
            followed.last = Some(id);
            assert_ne!(data["type"], "reset", "nothing is so old that it cannot be told again");
            if data["type"] == "incident_update" && data["change"] == "created" {
                let incident = data["incident_id"].as_str().unwrap().to_owned();
                assert!(followed.created.insert(incident), "told twice: {data}");
            }
            if enough(&followed) {
                return;
            }
        }
    }
}

fn end(mut child: Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_acknowledged_alert_is_there_exactly_once_after_kills() {
    watchfire::runtime::tls::install_provider();
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("data");
    let (numbers, told) = (Arc::new(AtomicU64::new(1)), Arc::new(Mutex::new(Told::default())));
    let followed = Arc::new(Mutex::new(Followed::default()));
    for round in 0..number("CRASH_ROUNDS").unwrap_or(50) {
        if round % 3 == 1 {
            // While it starts: the first time in an empty folder, later with work that waits.
            let child = spawn(&dir);
            std::thread::sleep(Duration::from_micros(random(if round == 1 { 40_000 } else { 120_000 })));
            end(child);
            continue;
        }
        let (child, url) = start(&dir);
        let count = watch::Sender::new(0);
        let clients: Vec<_> = (0..CLIENTS)
            .map(|_| tokio::spawn(client(url.clone(), Arc::clone(&numbers), Arc::clone(&told), count.clone())))
            .collect();
        let follower = tokio::spawn(follow(url, Arc::clone(&followed), |_| false));
        // A random moment, counted in answers: the same number of them takes a different time on every machine.
        let moment = 5 + random(80);
        let reached =
            tokio::time::timeout(PATIENCE, async { count.subscribe().wait_for(|c| *c >= moment).await.map(|_| ()) });
        reached.await.expect("the clients get answers").unwrap();
        if round % 3 == 2 {
            // While it stops.
            let pid = child.id().to_string();
            assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
            std::thread::sleep(Duration::from_micros(random(30_000)));
        }
        end(child);
        for task in clients.into_iter().chain([follower]) {
            task.await.unwrap();
        }
    }
    let told = std::mem::take(&mut *told.lock().unwrap());
    let incidents = followers_catch_up(&dir, followed).await;
    assert!(told.declared.is_subset(&incidents), "a declared incident is missing");
    verify(&dir, &told).await;
}

/// Starts it once more: jobs end, and the stream goes on from where it broke off. The ids of all incidents.
async fn followers_catch_up(dir: &Path, followed: Arc<Mutex<Followed>>) -> BTreeSet<String> {
    let mut config = config::defaults(dir.to_owned());
    config.listen = "127.0.0.1:0".to_owned();
    config.bootstrap_token = Some(TOKEN.to_owned());
    let app = App::start(config, Clock::System).await.unwrap();
    let store = app.store().clone();
    let mut changes = store.changes();
    let quiet = async {
        // An answer that is there is made anew only after a pause, for which nobody waits here.
        let due = |jobs: Vec<watchfire::model::Job>| jobs.iter().any(|j| j.reason != "changed");
        while store.behind() > 0 || due(store.read(|v| v.jobs(usize::MAX)).await.unwrap()) {
            changes.changed().await.unwrap();
        }
    };
    if tokio::time::timeout(2 * PATIENCE, quiet).await.is_err() {
        panic!("investigations wait for ever: {:?}", store.read(|v| v.jobs(5)).await);
    }
    let incidents = store
        .read(|view| {
            let mut incidents = BTreeSet::new();
            for n in 1.. {
                let Some(incident) = view.incident(IncidentId(n))? else { break };
                let state = incident.investigation.state;
                let again = view.job(incident.id)?.is_some_and(|j| j.reason == "changed");
                // One that was broken off by three kills is given up, and says so.
                let ended = matches!(state, InvestigationState::Complete | InvestigationState::Error);
                // One that became part of another has none of its own any more.
                let merged = incident.status == IncidentStatus::Merged;
                assert!(ended || again || merged, "{} is {state}", incident.id);
                incidents.insert(incident.id.to_string());
            }
            Ok(incidents)
        })
        .await
        .unwrap();
    let want = incidents.clone();
    let caught_up = follow(app.url(), Arc::clone(&followed), move |f| f.created == want);
    if followed.lock().unwrap().created != incidents && tokio::time::timeout(PATIENCE, caught_up).await.is_err() {
        let followed = followed.lock().unwrap();
        let untold: Vec<_> = incidents.difference(&followed.created).collect();
        panic!("the stream tells of every incident, but not of {untold:?}; it has come to {:?}", followed.last);
    }
    assert_eq!(followed.lock().unwrap().created, incidents);
    app.stop().await;
    incidents
}

async fn verify(dir: &Path, told: &Told) {
    let options = StoreOptions { dir: dir.to_owned(), cache_bytes: 16 << 20, policy: Policy::default() };
    let store = Store::open(options, Clock::System).unwrap();
    assert_eq!(store.behind(), 0, "the server has applied all");
    let last = *store.position().borrow();
    let search = Search::open(store.clone()).unwrap();
    assert!(search.seq() > 0, "the text index was kept");
    search.catch_up().unwrap();
    assert_eq!(search.seq(), *store.changes().borrow());

    let view = store.view().unwrap();
    assert_eq!(view.check().unwrap(), Vec::<String>::new());
    assert_eq!(search.len(), view.overview(Time::from(jiff::Timestamp::now())).unwrap().incidents_24h);

    // What is stored is the truth; an unanswered request may be in it.
    let (mut stored, mut ids, mut retries) = (BTreeMap::<String, u64>::new(), BTreeSet::new(), BTreeSet::new());
    for seq in 1..=last {
        let delivery = view.delivery(seq).unwrap().unwrap();
        assert_eq!(delivery.outcome, DeliveryOutcome::Accepted);
        assert!(ids.insert(delivery.id.to_string()), "delivery {seq} is there twice");
        assert!(delivery.parsed.retry_id.is_none_or(|id| retries.insert((delivery.platform, id))), "a retry is stored");
        let signals = delivery.parsed.signals;
        assert_eq!(view.results(seq).unwrap().unwrap().len(), signals.len(), "delivery {seq} was applied");
        for signal in signals.iter().filter(|s| s.status == SignalStatus::Firing) {
            *stored.entry(signal.fingerprint().to_string()).or_default() += 1;
        }
    }
    assert!(retries.len() > 1);
    assert!(told.deliveries.is_subset(&ids), "an acknowledged delivery is missing");
    let alerts = all_alerts(&view);
    let counted: BTreeMap<String, u64> = alerts.iter().map(|(key, alert)| (key.clone(), alert.count)).collect();
    assert_eq!(counted, stored, "each stored delivery counts once");
    for (key, count) in &told.alerts {
        let alert = alerts.get(key).unwrap_or_else(|| panic!("alert {key} is lost"));
        assert!(alert.count >= *count, "alert {key} was acknowledged {count} times and counts {}", alert.count);
        assert!(alert.incident.is_some());
    }
    let timeline = view.timeline(IncidentId(1), None, usize::MAX).unwrap();
    let comments: Vec<&String> = timeline.iter().filter(|e| e.kind == TimelineKind::Comment).map(|e| &e.text).collect();
    let once: BTreeSet<&String> = comments.iter().copied().collect();
    assert_eq!(once.len(), comments.len(), "a comment is there twice");
    assert!(!told.comments.is_empty() && told.comments.iter().all(|c| once.contains(c)), "a comment is lost");
    let first = view.incident(IncidentId(1)).unwrap().unwrap();
    assert!(!told.taken || first.acknowledged_at.is_some());
    store.close();
}

fn all_alerts(view: &watchfire::store::View) -> BTreeMap<String, Alert> {
    let (mut alerts, mut before) = (BTreeMap::new(), None);
    loop {
        let page = view.alerts(&AlertFilter::default(), before, 200).unwrap();
        for alert in page.items {
            let twice = alerts.insert(alert.fingerprint.to_string(), alert);
            assert!(twice.is_none(), "{twice:?} is there twice");
        }
        before = page.next;
        if before.is_none() {
            return alerts;
        }
    }
}

/// Fills a folder with alerts, fifty to a delivery.
async fn fill(dir: &Path, alerts: u64) {
    let options = StoreOptions { dir: dir.to_owned(), cache_bytes: 256 << 20, policy: Policy::default() };
    let store = Store::open(options, Clock::System).unwrap();
    let mut last = 0;
    for group in (0..alerts / 50).collect::<Vec<_>>().chunks(200) {
        let mut asked = tokio::task::JoinSet::new();
        for n in group.iter().copied() {
            let signals = (0..50).map(|k| {
                let mut signal = Signal::new(format!("grafana:{n}-{k}"), format!("alert {n} {k}"));
                (signal.severity, signal.service) = (Severity::High, Some(format!("service-{}", n % 300)));
                signal
            });
            let parsed = Parsed { signals: signals.collect(), ..Parsed::default() };
            let delivery = NewDelivery {
                at: Time::from(jiff::Timestamp::now()),
                platform: "grafana".into(),
                outcome: DeliveryOutcome::Accepted,
                problem: None,
                headers: Vec::new(),
                body: vec![b'x'; 5_000],
                parsed,
                replay_of: None,
            };
            let store = store.clone();
            asked.spawn(async move { store.submit(delivery).await.unwrap().seq });
        }
        while let Some(seq) = asked.join_next().await {
            last = last.max(seq.unwrap());
        }
        assert!(store.applied(last, Duration::from_secs(600)).await);
    }
    store.close();
}

/// How long it takes until it is ready again after a kill under load.
async fn ready_after_kill(alerts: u64) -> Duration {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("data");
    fill(&dir, alerts).await;
    let told = Arc::new(Mutex::new(Told::default()));
    let numbers = Arc::new(AtomicU64::new(1));
    let (child, url) = start(&dir);
    let count = watch::Sender::new(0);
    let client = tokio::spawn(client(url, numbers, told, count.clone()));
    count.subscribe().wait_for(|c| *c >= 20).await.unwrap();
    end(child);
    client.await.unwrap();
    let mut best = Duration::MAX;
    for _ in 0..3 {
        let began = Instant::now();
        let (child, _) = start(&dir);
        best = best.min(began.elapsed());
        end(child);
    }
    let log = std::fs::read_to_string(dir.with_extension("log")).unwrap();
    let walked = log.lines().filter(|l| l.contains("repairing") && l.contains("watchfire.redb")).count();
    assert_eq!(walked, 0, "the large file is not walked through after a kill");
    best
}

/// The figures are for the machine that measured them; what must hold everywhere is that ten times as many alerts do not
/// take ten times as long.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_is_ready_soon_after_a_kill_however_much_is_stored() {
    watchfire::runtime::tls::install_provider();
    let most = number("CRASH_ALERTS").unwrap_or(10_000);
    let (few, many) = (ready_after_kill(most / 10).await, ready_after_kill(most).await);
    println!("ready after a kill: {few:?} with {} alerts, {many:?} with {most}", most / 10);
    assert!(many < few * 4 + Duration::from_millis(200), "{few:?} with a tenth, {many:?} with {most}");
}
