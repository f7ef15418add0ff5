//! kill -9 of the real process between each two steps of a delivery: the row is written, it is taken, the connection is
//! open, the request is read, the answer is half and wholly sent, the outcome is written down, the next step comes. Each
//! message arrives; at most the one that was on its way arrives twice, under the same key and marked.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use serde_json::{Value, json};
use watchfire::{
    model::*,
    runtime::clock::Clock,
    store::{NewChannel, Policy, Store, StoreOptions},
};

use crate::{
    holder::{Heard, Holder},
    support::{PATIENCE, TOKEN, crypto},
};

/// The real program on a folder; killed with the test.
struct Process {
    child: Child,
    url: String,
    http: reqwest::Client,
}

impl Drop for Process {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

impl Process {
    async fn start(dir: &Path) -> Self {
        let log = std::fs::File::options().create(true).append(true).open(dir.with_extension("log")).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_watchfire"));
        command
            .args(["serve", "--listen", "127.0.0.1:0", "--store-reserve", "0", "--data-dir"])
            .arg(dir)
            .env("WATCHFIRE_BOOTSTRAP_TOKEN", TOKEN)
            .env("WATCHFIRE_NOTIFICATIONS_ALLOW", "127.0.0.1/32")
            .env("WATCHFIRE_NOTIFICATIONS_PLAIN_HTTP", "true")
            .stdout(Stdio::piped())
            .stderr(log);
        let began = tokio::task::spawn_blocking(move || {
            let mut child = command.spawn().unwrap();
            let mut line = String::new();
            BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
            (child, line)
        });
        let (child, line) = began.await.unwrap();
        let url = line.trim().rsplit(' ').next().unwrap().to_owned();
        assert!(url.starts_with("http://"), "{}", std::fs::read_to_string(dir.with_extension("log")).unwrap());
        Self { child, url, http: reqwest::Client::new() }
    }

    /// kill -9.
    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    async fn post(&self, path: &str, body: Value) {
        let request = self.http.post(format!("{}{path}", self.url)).bearer_auth(TOKEN).json(&body);
        let answer = request.send().await.unwrap();
        assert!(answer.status().is_success(), "{path}: {}", answer.text().await.unwrap());
    }

    async fn open(&self, name: &str) {
        self.post("/api/incidents", json!({"title": format!("{name} fails"), "service": name, "severity": "high"}))
            .await;
    }

    /// Asks until all messages, so many, stand so.
    async fn until(&self, many: usize, state: &str) {
        let asking = async {
            loop {
                let url = format!("{}/api/notifications", self.url);
                let answer = self.http.get(url).bearer_auth(TOKEN).send().await.unwrap();
                let told: Value = answer.json().await.unwrap();
                let now: Vec<&Value> = told["notifications"].as_array().unwrap().iter().map(|n| &n["state"]).collect();
                if now == vec![state; many] {
                    return;
                }
            }
        };
        tokio::time::timeout(PATIENCE, asking).await.unwrap_or_else(|_| panic!("{many} did not become {state}"));
    }
}

async fn opened(dir: &Path) -> Store {
    let dir = dir.to_owned();
    let options = StoreOptions { dir, cache_bytes: 8 << 20, policy: Policy::default() };
    tokio::task::spawn_blocking(move || Store::open(options, Clock::System).unwrap()).await.unwrap()
}

fn me() -> Actor {
    Actor::Person("ada".to_owned())
}

/// A folder with a channel of this kind and a rule that tells it of everything.
async fn furnish(dir: &Path, kind: &str, target: &str, steps: &[u32]) {
    let store = opened(dir).await;
    let (settings, url) = match kind {
        "pagerduty" => (vec![("region", "other"), ("base", target)], None),
        "discord" => (vec![("channel_type", "forum")], Some(format!("{target}/api/webhooks/1/abc"))),
        _ => (Vec::new(), Some(format!("{target}/hooks/abc"))),
    };
    let seal = |text: &str| store.sealer().seal(text).unwrap();
    let secrets = match url {
        Some(url) => BTreeMap::from([("url".to_owned(), seal(&url))]),
        None => BTreeMap::from([("routing_key".to_owned(), seal("0123456789abcdef0123456789abcdef"))]),
    };
    let settings = settings.into_iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect();
    let (name, kind) = (kind.to_owned(), kind.to_owned());
    let new = NewChannel { name, kind, settings, secrets, shown: BTreeMap::new(), enabled: true, fallback: None };
    let channel = Target::Channel(store.make_channel(new, me()).await.unwrap().id);
    let now = Time::default();
    let rule = NoticeRule {
        id: RuleId(0),
        name: "All".to_owned(),
        enabled: true,
        position: 1,
        from: None,
        matchers: Vec::new(),
        condition: None,
        times: None,
        events: vec![NoticeEvent::Opened, NoticeEvent::Resolved],
        targets: vec![channel.clone()],
        policy: None,
        wait_secs: 0,
        gather_secs: 0,
        quiet: None,
        remind_secs: None,
        last: false,
        created_at: now,
        created_by: String::new(),
        updated_at: now,
    };
    let rule = if steps.is_empty() {
        rule
    } else {
        let step = |secs: &u32| EscalationStep { after_secs: *secs, targets: vec![channel.clone()] };
        let policy = EscalationPolicy {
            id: PolicyId(0),
            name: "On call".to_owned(),
            steps: steps.iter().map(step).collect(),
            repeat: 0,
            unacknowledge_secs: None,
            created_at: now,
            created_by: String::new(),
            updated_at: now,
        };
        let policy = Some(store.put_policy(None, policy, me()).await.unwrap().id);
        NoticeRule { policy, targets: Vec::new(), ..rule }
    };
    store.put_notice_rule(None, rule, me()).await.unwrap();
    tokio::task::spawn_blocking(move || store.close()).await.unwrap();
}

/// What is stored once it was killed for the last time: whole, every message sent, none in doubt.
async fn settled(dir: &Path) {
    let store = opened(dir).await;
    assert_eq!(store.check().await.unwrap(), Vec::<String>::new());
    let rows = store.read(|v| v.latest_notices(None, 100)).await.unwrap();
    let wrong = rows.iter().any(|n| n.state != NoticeState::Sent || n.in_doubt);
    assert!(!rows.is_empty() && !wrong, "{rows:#?}");
    tokio::task::spawn_blocking(move || store.close()).await.unwrap();
}

fn folder() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("data");
    (folder, dir)
}

/// Between which steps it is killed.
#[derive(Clone, Copy, Debug, PartialEq)]
enum At {
    /// The row is written with the change, and nobody has taken it: its place is busy.
    Written,
    /// It was taken; there is no connection.
    Taken,
    /// The connection is open; nothing of the request was read.
    Open,
    /// The request was read.
    Read,
    /// A part of the answer was sent.
    Half,
    /// All of it.
    Answered,
    /// What came of it is written down.
    Recorded,
}

const ANSWER: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok";

async fn killed(kind: &'static str, at: At) {
    let (_folder, dir) = folder();
    let mut target = if at == At::Taken { Holder::crowded().await } else { Holder::start().await };
    furnish(&dir, kind, &target.url, &[]).await;
    let process = Process::start(&dir).await;
    process.open("db").await;
    let mut heard: Vec<Heard> = Vec::new();
    let mut held = None;
    if at == At::Taken {
        process.until(1, "sending").await;
    } else {
        let mut connection = target.accept().await;
        if at != At::Open {
            heard.push(connection.read().await);
        }
        match at {
            At::Written => process.open("queue").await,
            At::Half => connection.say(&ANSWER[..ANSWER.len() / 2]).await,
            At::Answered | At::Recorded => connection.say(ANSWER).await,
            _ => {}
        }
        held = Some(connection);
    }
    if at == At::Recorded {
        process.until(1, "sent").await;
    }
    process.kill();
    drop(held);
    target.let_in().await;

    let process = Process::start(&dir).await;
    // One place is told one after the other: what comes before this is all there is.
    process.open("last").await;
    while heard.last().is_none_or(|h| !h.body.contains("last fails")) {
        let mut connection = target.accept().await;
        // A connection of the process that was killed has nothing more to say.
        if let Some(request) = connection.read_or_end().await {
            heard.push(request);
            connection.answer(200, &[], "ok").await;
        }
    }
    process.until(if at == At::Written { 3 } else { 2 }, "sent").await;
    process.kill();

    let of = |name: &str| heard.iter().filter(|h| h.body.contains(&format!("{name} fails"))).collect::<Vec<_>>();
    let (db, queue) = (of("db"), of("queue"));
    let times = match at {
        At::Taken | At::Open | At::Recorded => 1..=1,
        // It may be written down before the kill.
        At::Answered => 1..=2,
        At::Written | At::Read | At::Half => 2..=2,
    };
    assert!(times.contains(&db.len()), "{kind} {at:?}: {heard:#?}");
    assert_eq!(queue.len(), usize::from(at == At::Written), "{kind} {at:?}: {heard:#?}");
    let key = |h: &Heard| match kind {
        "webhook" => h.header("x-watchfire-delivery").to_owned(),
        "pagerduty" => h.json()["dedup_key"].to_string(),
        _ => String::new(),
    };
    assert!(db.iter().all(|h| key(h) == key(db[0])), "{kind} {at:?}: the same key, {heard:#?}");
    // A program knows the repeat by its key; where people read, it says so.
    if kind != "webhook" {
        let marked: Vec<bool> = db.iter().map(|h| h.is_marked()).collect();
        let want = if matches!(at, At::Taken | At::Open) { &[true][..] } else { &[false, true][..db.len()] };
        assert_eq!(marked, want, "{kind} {at:?}: {heard:#?}");
    }
    assert!(queue.iter().chain(&of("last")).all(|h| !h.is_marked()), "{kind} {at:?}: {heard:#?}");
    settled(&dir).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_and_at_most_one_message_doubled_between_any_two_steps() {
    crypto();
    let all = [
        ("webhook", At::Written),
        ("mattermost", At::Taken),
        ("mattermost", At::Open),
        ("mattermost", At::Read),
        ("pagerduty", At::Read),
        ("webhook", At::Read),
        ("mattermost", At::Half),
        ("pagerduty", At::Answered),
        ("webhook", At::Recorded),
    ];
    for three in all.chunks(3) {
        let mut running = tokio::task::JoinSet::new();
        for (kind, at) in three.iter().copied() {
            running.spawn(killed(kind, at));
        }
        while let Some(done) = running.join_next().await {
            done.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_of_two_calls_goes_on_in_the_thread_that_there_is() {
    crypto();
    let (_folder, dir) = folder();
    let target = Holder::start().await;
    furnish(&dir, "discord", &target.url, &[]).await;
    let process = Process::start(&dir).await;
    process.open("db").await;
    let first = target.answer(200, r#"{"id": "700", "channel_id": "800"}"#).await;
    assert!(first.json()["thread_name"].is_string(), "{first:#?}");
    process.until(1, "sent").await;
    process.kill();
    // What the answer said is kept; the end changes the first message and says so in its thread.
    let process = Process::start(&dir).await;
    process.post("/api/incidents/INC-1/resolve", json!({})).await;
    let mut heard = vec![target.answer(200, r#"{"id": "700"}"#).await];
    let mut held = target.accept().await;
    heard.push(held.read().await);
    process.kill();
    drop(held);
    let process = Process::start(&dir).await;
    heard.push(target.answer(200, r#"{"id": "700"}"#).await);
    heard.push(target.answer(200, r#"{"id": "701"}"#).await);
    process.until(2, "sent").await;
    process.kill();
    let calls: Vec<String> =
        heard.iter().map(|h| format!("{} {}", h.method, h.path.trim_start_matches("/api/webhooks/1/abc"))).collect();
    let (edit, post) = ("PATCH /messages/700?thread_id=800", "POST ?wait=true&thread_id=800");
    assert_eq!(calls, [edit, post, edit, post]);
    assert_eq!(heard.iter().map(Heard::is_marked).collect::<Vec<_>>()[1..], [false, true, true], "{heard:#?}");
    settled(&dir).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_next_step_of_a_policy_comes_once_after_the_one_that_was_on_its_way() {
    crypto();
    let (_folder, dir) = folder();
    let target = Holder::start().await;
    furnish(&dir, "webhook", &target.url, &[0, 1]).await;
    let process = Process::start(&dir).await;
    process.open("db").await;
    let mut held = target.accept().await;
    let first = held.read().await;
    process.kill();
    drop(held);
    let process = Process::start(&dir).await;
    let (again, second) = (target.answer(200, "ok").await, target.answer(200, "ok").await);
    let key = |h: &Heard| h.header("x-watchfire-delivery").to_owned();
    assert_eq!(key(&again), key(&first));
    assert_ne!(key(&second), key(&first));
    process.until(2, "sent").await;
    // All steps were gone through; the next message is of something else.
    process.post("/api/incidents/INC-1/resolve", json!({})).await;
    assert_eq!(target.answer(200, "ok").await.header("x-watchfire-event"), "resolved");
    process.until(3, "sent").await;
    process.kill();
    settled(&dir).await;
}
