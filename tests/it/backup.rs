//! Backups of a running server and of a stopped one, and what is restored from them.

use std::{
    collections::BTreeSet,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use reqwest::Method;
use serde_json::json;
use tokio::sync::watch;
use watchfire::{
    runtime::clock::Clock,
    store::{
        Policy, Store, StoreOptions,
        backup::{digest, restore, verify},
    },
};

use crate::{
    binary::{Server, run, stderr, stdout, watchfire},
    support::{PATIENCE, TOKEN, TestApp, answer, start_of_time},
};

/// Each sends 25 a second, together 500.
const CLIENTS: u64 = 20;
const PACE: Duration = Duration::from_millis(40);
/// Stored before, so that a backup takes a while.
const STORED: u64 = 4_000;

/// What was acknowledged, by delivery id.
#[derive(Clone)]
struct Log {
    ids: Arc<Mutex<BTreeSet<String>>>,
    count: Arc<watch::Sender<u64>>,
}

impl Log {
    fn new() -> Self {
        Self { ids: Arc::default(), count: Arc::new(watch::Sender::new(0)) }
    }

    fn ids(&self) -> BTreeSet<String> {
        self.ids.lock().unwrap().clone()
    }

    async fn reached(&self, n: u64) {
        let mut count = self.count.subscribe();
        tokio::time::timeout(3 * PATIENCE, count.wait_for(|c| *c >= n)).await.expect("in time").unwrap();
    }
}

/// Sends numbered alerts, each at its time or as soon after it as it can, until told to stop.
async fn client(url: String, numbers: Arc<AtomicU64>, log: Log, stop: Arc<AtomicBool>, pace: Option<Duration>) {
    let http = reqwest::Client::new();
    let mut ticks = pace.map(tokio::time::interval);
    while !stop.load(Ordering::SeqCst) {
        if let Some(ticks) = &mut ticks {
            ticks.tick().await;
        }
        let n = numbers.fetch_add(1, Ordering::SeqCst);
        if pace.is_none() && n >= STORED {
            return;
        }
        let body = json!({"title": format!("alert {n}"), "key": format!("k{n}"), "severity": "high",
            "service": format!("service {}", n % 40), "description": "x".repeat(1500)});
        let request = http.post(format!("{url}/api/webhooks/generic")).bearer_auth(TOKEN).json(&body);
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 202, "acknowledgements go on while a backup is made");
        let answer: serde_json::Value = answer.json().await.unwrap();
        log.ids.lock().unwrap().insert(answer["delivery_id"].as_str().unwrap().to_owned());
        log.count.send_modify(|c| *c += 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_during_ingest_holds_everything_acknowledged_before_and_agrees_with_itself() {
    let test = TestApp::start_with(Clock::System, |c| c.investigation_delay = Duration::from_secs(3600)).await;
    test.patch("/api/connectors/generic", &json!({"rate_per_minute": 0})).await;
    let (numbers, log, stop) = (Arc::new(AtomicU64::new(0)), Log::new(), Arc::new(AtomicBool::new(false)));
    let begin = |pace| {
        let (numbers, log, stop) = (Arc::clone(&numbers), log.clone(), Arc::clone(&stop));
        tokio::spawn(client(test.app().url(), numbers, log, stop, pace))
    };
    let filling: Vec<_> = (0..CLIENTS).map(|_| begin(None)).collect();
    for client in filling {
        client.await.unwrap();
    }
    let clients: Vec<_> = (0..CLIENTS).map(|_| begin(Some(PACE))).collect();
    log.reached(STORED + 100).await;

    let before = log.ids();
    let request = test.request(Method::POST, "/api/backup").bearer_auth(TOKEN).json(&json!({}));
    let mut response = request.timeout(6 * PATIENCE).send().await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "application/x-tar");
    let whole = response.content_length().expect("its length is known");
    let named = response.headers()["content-disposition"].to_str().unwrap().to_owned();
    assert!(named.starts_with("attachment; filename=\"watchfire-2") && named.ends_with("Z.tar\""), "{named}");
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("b.tar");
    let mut bytes = Vec::new();
    while let Some(piece) = response.chunk().await.unwrap() {
        bytes.extend_from_slice(&piece);
    }
    let meanwhile = log.ids().len() - before.len();
    assert_eq!(bytes.len() as u64, whole);
    std::fs::write(&file, bytes).unwrap();
    stop.store(true, Ordering::SeqCst);
    for client in clients {
        client.await.unwrap();
    }
    // How many depends on the machine; that they go on does not.
    assert!(meanwhile >= 50, "{meanwhile} acknowledged while the backup was made");
    assert_eq!(test.get("/api/audit?limit=1").await.json["audit"][0]["action"], "backup.download");
    test.stop().await;

    let dir = home.path().join("elsewhere");
    let contents = verify(&file, None, &mut |_| true).unwrap();
    let what = restore::Restore {
        from: &file,
        dir: &dir,
        replace: false,
        passphrase: None,
        now: start_of_time(),
        going: &mut |_| true,
    };
    let restored = restore::restore(what).unwrap();
    assert_eq!(restored.manifest, contents.manifest);
    assert_eq!(digest::of_folder(&dir).unwrap(), contents.manifest.tables);
    watchfire::store::seal::Sealer::open_file(&dir, true).unwrap();
    let options = StoreOptions { dir: dir.clone(), cache_bytes: 16 << 20, policy: Policy::default() };
    let store = Store::open(options, Clock::System).unwrap();
    let last = store.behind() + *store.position().borrow();
    assert!(store.applied(last, PATIENCE).await);
    let view = store.view().unwrap();
    assert_eq!(view.check().unwrap(), Vec::<String>::new());
    let there: BTreeSet<String> = (1..=last).map(|seq| view.delivery(seq).unwrap().unwrap().id.to_string()).collect();
    let lost: Vec<&String> = before.difference(&there).collect();
    assert!(lost.is_empty(), "{} of {} acknowledged deliveries are lost", lost.len(), before.len());
    assert_eq!(there.len() as u64, last, "each is there once");
    drop(view);
    store.close();
}

fn names(dir: &Path) -> Vec<String> {
    let mut all: Vec<String> =
        std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().to_string_lossy().into_owned()).collect();
    all.sort();
    all
}

#[test]
fn the_commands_on_a_stopped_and_on_a_running_server() {
    let home = tempfile::tempdir().unwrap();
    let path = |name: &str| home.path().join(name).display().to_string();
    let data = path("data");
    let ok = |args: &[&str], input: &str| {
        let out = run(home.path(), args, input);
        assert_eq!(out.status.code(), Some(0), "{args:?}: {}", stderr(&out));
        stdout(&out)
    };
    let refused = |args: &[&str], input: &str| {
        let out = run(home.path(), args, input);
        assert_eq!(out.status.code(), Some(1), "{args:?}: {}", stdout(&out));
        stderr(&out)
    };
    let start = |data: &str| {
        let command = watchfire(home.path(), &["--listen", "127.0.0.1:0", "--data-dir", data]);
        Server::spawn(command, std::process::Stdio::null())
    };
    let key = |data: &str| ok(&["connectors", "generic", "--key-only", "--data-dir", data], "");
    let no_store = refused(&["backup", "--to", &path("x.tar"), "--data-dir", &path("nothing")], "");
    assert!(no_store.contains("there is no store in"), "{no_store}");

    // A running server, through its API.
    let server = start(&data);
    let payload = path("alert.json");
    std::fs::write(&payload, r#"{"title": "Disk full on db-1", "service": "db"}"#).unwrap();
    ok(&["send", &payload, "--platform", "generic", "--data-dir", &data], "");
    let said = ok(&["backup", "--to", &path("running.tar"), "--data-dir", &data], "");
    assert!(said.contains("delivery 1") && said.contains("The key file secret.key is not in this backup"), "{said}");
    let taken = refused(&["backup", "--to", &path("running.tar"), "--data-dir", &data], "");
    assert!(taken.contains("exists already") && taken.contains("--force"), "{taken}");
    let in_use = refused(&["restore", "--from", &path("running.tar"), "--data-dir", &data, "--replace"], "");
    assert!(in_use.contains("in use by another watchfire process"), "{in_use}");
    let first_key = key(&data);
    server.stop();

    // A stopped one, with the key file.
    let short = run(home.path(), &["backup", "--to", &path("s.tar"), "--data-dir", &data, "--with-key"], "short\n");
    assert_eq!(short.status.code(), Some(2), "{}", stderr(&short));
    let said = ok(&["backup", "--to", &path("stopped.tar"), "--data-dir", &data, "--with-key"], "a good passphrase\n");
    assert!(said.contains("encrypted under the passphrase"), "{said}");
    assert_eq!(names(home.path()), ["alert.json", "data", "running.tar", "stopped.tar"], "no parts are left");

    // Into another folder: the same key, the same alert.
    let copy = path("copy");
    let wrong = refused(&["restore", "--from", &path("stopped.tar"), "--data-dir", &copy], "a bad passphrase\n");
    assert!(wrong.contains("the passphrase is not the one of this backup; nothing was changed"), "{wrong}");
    assert!(!home.path().join("copy").exists());
    let said = ok(&["restore", "--from", &path("stopped.tar"), "--data-dir", &copy], "a good passphrase\n");
    assert!(said.contains("key file: out of the backup") && said.contains("text index anew"), "{said}");
    let said = ok(&["check", "--data-dir", &copy], "");
    assert!(said.contains("store: good") && said.contains("digest: "), "{said}");
    assert_eq!(key(&copy), first_key);
    let full = refused(&["restore", "--from", &path("running.tar"), "--data-dir", &copy], "");
    assert!(full.contains("is not empty and nothing was changed; add --replace"), "{full}");

    // Over it: what was there is moved aside, and its key fits.
    let said = ok(&["restore", "--from", &path("running.tar"), "--data-dir", &copy, "--replace"], "");
    assert!(said.contains(&format!("{copy}.before-restore-2")) && said.contains("it fits"), "{said}");
    let server = start(&copy);
    assert!(ok(&["incidents", "--data-dir", &copy], "").contains("Disk full on db-1"));
    server.stop();

    // Without any key: it says what follows, the server refuses in one sentence, and there is a way on.
    let bare = path("bare");
    let said = ok(&["restore", "--from", &path("running.tar"), "--data-dir", &bare], "");
    assert!(said.contains("key file: missing.") && said.contains("`watchfire rekey`"), "{said}");
    let said = refused(&["serve", "--listen", "127.0.0.1:0", "--data-dir", &bare], "");
    assert!(said.contains("secret.key is missing") && said.contains("`watchfire rekey`"), "{said}");
    std::fs::write(home.path().join("bare/secret.key"), [7; 32]).unwrap();
    let said = refused(&["serve", "--listen", "127.0.0.1:0", "--data-dir", &bare], "");
    assert!(said.contains("does not open the connector keys") && said.contains("`watchfire rekey`"), "{said}");
    let said = refused(&["check", "--data-dir", &bare], "");
    assert!(said.contains("has 1 problem"), "{said}");
    let said = ok(&["rekey", "--data-dir", &bare], "");
    assert!(said.contains("is new") && said.contains("secret.key.before-2") && said.contains("new keys: "), "{said}");
    assert!(ok(&["rekey", "--data-dir", &bare], "").contains("fits; nothing was changed"));
    let server = start(&bare);
    assert_ne!(key(&bare), first_key);
    ok(&["send", &payload, "--platform", "generic", "--data-dir", &bare], "");
    server.stop();
    let said = ok(&["restore", "--from", &path("running.tar"), "--data-dir", &path("anew"), "--new-key"], "");
    assert!(said.contains("is new") && !said.contains("missing"), "{said}");
    assert_ne!(key(&path("anew")), first_key);
}

#[tokio::test(flavor = "multi_thread")]
async fn scheduled_backups_are_made_and_shown() {
    let kept = tempfile::tempdir().unwrap();
    let dir = kept.path().join("backups");
    let test = TestApp::start_with(Clock::manual(start_of_time()), |c| {
        c.backup_dir = Some(dir.clone());
        c.backup_every = Duration::from_secs(3600);
        c.backup_keep = 2;
    })
    .await;
    let mut attempts = test.app().backups().attempts();
    for n in 1..=3 {
        tokio::time::timeout(PATIENCE, attempts.wait_for(|a| *a == n)).await.expect("in time").unwrap();
        if n < 3 {
            test.clock.advance(Duration::from_secs(3600));
        }
    }
    assert_eq!(names(&dir), ["watchfire-20260303T113000Z.tar", "watchfire-20260303T123000Z.tar"]);
    let page = test.get("/settings/storage").await;
    for part in [
        "every 1h, the newest 2 are kept",
        "2\u{a0}backups",
        "intake.redb",
        "Download a backup now",
        &dir.display().to_string(),
    ] {
        assert!(page.text.contains(part), "{part} is missing in {}", page.text);
    }
    let metrics = test.get("/metrics").await.text;
    assert!(metrics.contains("watchfire_backup_failures_total 0"), "{metrics}");
    assert!(metrics.contains("watchfire_backup_last_success_timestamp_seconds 1772541000"), "{metrics}");
    assert!(metrics.contains("watchfire_store_file_bytes{file=\"watchfire.redb\"}"), "{metrics}");

    // A folder that cannot be written is told everywhere.
    std::fs::remove_dir_all(&dir).unwrap();
    std::fs::write(&dir, "in the way").unwrap();
    test.clock.advance(Duration::from_secs(3600));
    tokio::time::timeout(PATIENCE, attempts.wait_for(|a| *a == 4)).await.expect("in time").unwrap();
    assert!(test.get("/metrics").await.text.contains("watchfire_backup_failures_total 1"));
    let page = test.get("/settings/storage").await.text;
    assert!(page.contains("The last scheduled backup failed"), "{page}");
    std::fs::remove_file(&dir).unwrap();
    test.clock.advance(Duration::from_secs(3600));
    tokio::time::timeout(PATIENCE, attempts.wait_for(|a| *a >= 5)).await.expect("in time").unwrap();
    assert!(!test.get("/settings/storage").await.text.contains("backup failed"));
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_gives_a_backup_to_administrators_only() {
    let test = TestApp::start().await;
    let viewer = test.post("/api/tokens", &json!({"name": "viewer", "scopes": ["read"]})).await.json["token"].clone();
    let seen = answer(test.request(Method::GET, "/settings/storage").bearer_auth(viewer.as_str().unwrap())).await;
    assert_eq!(seen.status, 200);
    assert!(
        !seen.text.contains("Download a backup now") && seen.text.contains("Only an administrator"),
        "{}",
        seen.text
    );
    assert!(!seen.text.contains(&test.data_dir().display().to_string()), "paths are for those who run it");
    let form = |body: &'static str| {
        let request = test.request(Method::POST, "/settings/storage/backup").bearer_auth(TOKEN).body(body);
        request.header("content-type", "application/x-www-form-urlencoded")
    };
    let send = |body: &'static str| form(body).send();
    let made = form("passphrase=&again=").header("accept-encoding", "gzip").send().await.unwrap();
    assert_eq!(
        (made.status().as_u16(), &made.headers()["content-type"].to_str().unwrap()),
        (200, &"application/x-tar")
    );
    assert!(made.headers().get("content-encoding").is_none(), "its length is told instead");
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("b.tar");
    std::fs::write(&file, made.bytes().await.unwrap()).unwrap();
    assert!(!verify(&file, None, &mut |_| true).unwrap().manifest.with_key);
    for (body, want) in
        [("passphrase=long+enough+x&again=other", "are not the same"), ("passphrase=short&again=short", "has 10 to")]
    {
        let page = send(body).await.unwrap();
        assert_eq!(page.status(), 422);
        let page = page.text().await.unwrap();
        assert!(page.contains(want) && page.contains("<h1>Settings</h1>"), "{page}");
    }
    let with_key = send("passphrase=long+enough+x&again=long+enough+x").await.unwrap();
    std::fs::write(&file, with_key.bytes().await.unwrap()).unwrap();
    assert!(verify(&file, None, &mut |_| true).unwrap().manifest.with_key);
    // Another site cannot have a browser fetch one.
    let elsewhere = test.request(Method::POST, "/settings/storage/backup").header("sec-fetch-site", "cross-site");
    assert_eq!(answer(elsewhere.header("cookie", "watchfire=x")).await.status, 403);
    assert!(names(&test.data_dir()).iter().all(|n| !n.starts_with("backup-download")), "no copy is left");
    test.stop().await;
}
