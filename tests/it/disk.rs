//! The real program on a real disk that is full, or takes no more for another reason: nothing is acknowledged that is not
//! stored, everything else goes on, and it recovers by itself. Needs root, or user namespaces: the small disk is mounted.

use std::{
    collections::BTreeSet,
    fs,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use watchfire::{
    runtime::clock::Clock,
    search::Search,
    store::{Policy, Store, StoreOptions},
};

use crate::{
    binary::Server,
    support::{PATIENCE, crypto},
};

const TOKEN: &str = "disk-test-token-0123456789";
/// Nobody waits longer for a refusal.
const QUICK: Duration = Duration::from_secs(12);
const MIB: u64 = 1 << 20;

/// A small disk of its own in memory, gone with the test.
struct Small(tempfile::TempDir);

impl Small {
    fn mount(megabytes: u64) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let size = format!("size={megabytes}m");
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", &size, "watchfire-test"]).arg(dir.path()).output();
        let said = mounted.map_or_else(|e| e.to_string(), |o| String::from_utf8_lossy(&o.stderr).into_owned());
        assert_eq!(
            said, "",
            "this test mounts a small disk: run it as root, or under `unshare --map-root-user --mount`"
        );
        Self(dir)
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        // Busy while a process that failed to end uses it: then it goes with that.
        let _ = Command::new("umount").arg("--lazy").arg(self.0.path()).status();
    }
}

struct Client {
    http: reqwest::Client,
    url: String,
    acknowledged: BTreeSet<String>,
    counter: u64,
}

impl Client {
    fn new(server: &Server) -> Self {
        crypto();
        let http = reqwest::Client::builder().timeout(PATIENCE).build().unwrap();
        Self { http, url: server.url.clone(), acknowledged: BTreeSet::new(), counter: 0 }
    }

    /// A delivery of `size` bytes that do not pack well. Whether it was taken; a refusal says so rightly.
    async fn send(&mut self, size: usize) -> bool {
        self.counter += 1;
        let mut noise = vec![0; size / 2];
        getrandom::fill(&mut noise).unwrap();
        let noise: String = noise.iter().map(|b| format!("{b:02x}")).collect();
        let name = format!("alert {}", self.counter);
        let body = json!({"id": name, "title": name, "service": name, "severity": "high", "labels": {"noise": noise}});
        let request = self.http.post(format!("{}/api/webhooks/generic", self.url)).bearer_auth(TOKEN).json(&body);
        let began = Instant::now();
        let response = request.send().await.unwrap();
        let (status, retry) = (response.status().as_u16(), response.headers().contains_key("retry-after"));
        let answer: Value = response.json().await.unwrap();
        if status == 202 {
            self.acknowledged.insert(answer["delivery_id"].as_str().unwrap().to_owned());
            return true;
        }
        assert!([503, 507].contains(&status) && retry, "{status} {answer}");
        assert!(began.elapsed() < QUICK, "refused after {:?}", began.elapsed());
        false
    }

    async fn get(&self, path: &str) -> u16 {
        let request = self.http.get(format!("{}{path}", self.url)).bearer_auth(TOKEN);
        request.send().await.unwrap().status().as_u16()
    }

    async fn comment(&self) -> u16 {
        let request = self.http.post(format!("{}/api/incidents/INC-1/comment", self.url)).bearer_auth(TOKEN);
        let began = Instant::now();
        let status = request.json(&json!({"text": "is it there?"})).send().await.unwrap().status().as_u16();
        assert!(began.elapsed() < QUICK, "answered after {:?}", began.elapsed());
        status
    }

    /// Through an outage that `begin` brings and `end` ends.
    async fn survive(&mut self, begin: impl FnOnce(), end: impl FnOnce()) {
        for _ in 0..5 {
            assert!(self.send(2_000).await);
        }
        // What was taken is applied a moment later; the outage must not come before.
        let began = Instant::now();
        while self.get("/api/incidents/INC-1").await != 200 {
            assert!(began.elapsed() < PATIENCE, "what was taken is not applied");
        }
        let stream = self.http.get(format!("{}/api/incidents/stream", self.url)).bearer_auth(TOKEN);
        let mut stream = stream.timeout(10 * PATIENCE).send().await.unwrap();
        begin();
        let mut refused = 0;
        for _ in 0..600 {
            refused += u32::from(!self.send(60_000).await);
            if refused >= 10 {
                break;
            }
        }
        assert!(refused >= 10, "it is refused when nothing more can be stored");
        assert_eq!(self.get("/readyz").await, 503);
        for path in ["/", "/incidents/INC-1", "/api/incidents", "/api/incidents/INC-1", "/metrics"] {
            assert_eq!(self.get(path).await, 200, "{path} goes on");
        }
        assert!([200, 503, 507].contains(&self.comment().await));
        end();
        let began = Instant::now();
        while !(self.get("/readyz").await == 200 && self.send(2_000).await && self.comment().await == 200) {
            assert!(began.elapsed() < 2 * PATIENCE, "it recovers by itself");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        // The stream has lived through all of it, and tells what came afterwards.
        let last = format!("alert {}", self.counter);
        let told = async {
            let mut text = Vec::new();
            while let Some(piece) = stream.chunk().await.unwrap() {
                text.extend_from_slice(&piece);
                if text.windows(last.len()).any(|w| w == last.as_bytes()) {
                    return;
                }
            }
            panic!("the stream ended");
        };
        tokio::time::timeout(PATIENCE, told).await.expect("the stream goes on");
    }
}

/// What is on the disk afterwards: every acknowledged delivery, whole and applied.
async fn verify(dir: &Path, acknowledged: &BTreeSet<String>) {
    let options = StoreOptions { dir: dir.to_owned(), cache_bytes: 4 << 20, policy: Policy::default() };
    let store = Store::open(options, Clock::System).unwrap();
    assert_eq!(store.behind(), 0, "the server has applied all");
    let view = store.view().unwrap();
    assert_eq!(view.check().unwrap(), Vec::<String>::new());
    let mut there = BTreeSet::new();
    for seq in 1..=*store.position().borrow() {
        let delivery = view.delivery(seq).unwrap().unwrap();
        assert_eq!(view.results(seq).unwrap().unwrap().len(), 1);
        assert!(there.insert(delivery.id.to_string()));
    }
    assert!(acknowledged.is_subset(&there), "what was acknowledged is there");
    let search = Search::open(store.clone()).unwrap();
    search.catch_up().unwrap();
    assert_eq!(search.seq(), *store.changes().borrow());
    store.close();
}

fn command(dir: &Path, program: &mut Command) -> Command {
    let mut command = std::mem::replace(program, Command::new("true"));
    command.args(["serve", "--listen", "127.0.0.1:0", "--store-reserve", "0", "--data-dir"]).arg(dir);
    command.env("WATCHFIRE_BOOTSTRAP_TOKEN", TOKEN);
    command
}

/// Writes a file until the disk takes no more.
fn fill(path: &Path) {
    let mut file = fs::File::create(path).unwrap();
    for size in [256 * 1024, 4096, 512] {
        while std::io::Write::write_all(&mut file, &vec![7; size]).is_ok() {}
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_said_and_forgotten() {
    let disk = Small::mount(48);
    let (dir, filler) = (disk.0.path().join("data"), disk.0.path().join("filler"));
    let log = tempfile::NamedTempFile::new().unwrap();
    let mut program = Command::new(env!("CARGO_BIN_EXE_watchfire"));
    let server = Server::spawn(command(&dir, &mut program), log.reopen().unwrap().into());
    let mut client = Client::new(&server);
    for _ in 0..2 {
        client.survive(|| fill(&filler), || fs::remove_file(&filler).unwrap()).await;
    }
    server.stop();
    verify(&dir, &client.acknowledged).await;
}

/// Another disk that takes no more: files may not grow. Unlike a full one this is an error nobody foresaw.
#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_fails_is_said_and_forgotten() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("data");
    let mut program = Command::new("env");
    program.arg("--ignore-signal=XFSZ").arg(env!("CARGO_BIN_EXE_watchfire"));
    let server = Server::spawn(command(&dir, &mut program), Stdio::null());
    let mut client = Client::new(&server);
    let limit = |bytes: &str| {
        let pid = format!("--pid={}", server.pid());
        let done = Command::new("prlimit").args([&pid, &format!("--fsize={bytes}:unlimited")]).status().unwrap();
        assert!(done.success());
    };
    let limited = (2 * MIB).to_string();
    client.survive(|| limit(&limited), || limit("unlimited")).await;
    server.stop();
    verify(&dir, &client.acknowledged).await;
}
