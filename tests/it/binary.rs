//! The real program, as people and service managers start it.

use std::{
    io::{BufRead, BufReader, Read, Write},
    path::Path,
    process::{Child, Command, Output, Stdio},
};

pub fn watchfire(dir: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_watchfire"));
    command.args(args).env_clear().env("HOME", dir).env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command
}

pub fn run(dir: &Path, args: &[&str], input: &str) -> Output {
    let mut command = watchfire(dir, args);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // The command may not want it and be gone already.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    child.wait_with_output().unwrap()
}

pub fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

pub fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A server on a free port, ended with the test.
pub struct Server {
    child: Child,
    pub url: String,
}

impl Server {
    fn start(dir: &Path) -> Self {
        Self::spawn(watchfire(dir, &["--listen", "127.0.0.1:0"]), Stdio::null())
    }

    pub fn spawn(mut command: Command, log: Stdio) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let url = line.trim().strip_prefix("watchfire: listening on ").unwrap_or_else(|| panic!("`{line}`"));
        let (scheme, port) = url.split_once("://127.0.0.1:").unwrap_or_else(|| panic!("`{url}`"));
        assert!(matches!(scheme, "http" | "https") && port != "0", "{url}");
        Self { url: url.to_owned(), child }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn stop(mut self) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        let mut rest = String::new();
        self.child.stdout.take().unwrap().read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "", "one line on standard output, no more");
        assert_eq!(self.child.wait().unwrap().code(), Some(0));
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Only when a test failed half way; otherwise it has ended.
        let _ = self.child.kill();
    }
}

#[test]
fn wrong_usage_is_two_and_names_all_problems() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("w.toml"), "[corelation]\nmode = \"any\"\n").unwrap();
    let file = dir.path().join("w.toml").display().to_string();
    let out = run(dir.path(), &["--config", &file, "--listen", "nowhere"], "");
    assert_eq!(out.status.code(), Some(2));
    let said = stderr(&out);
    assert!(said.contains("w.toml:1:2: corelation: unknown key; did you mean `correlation`?"), "{said}");
    assert!(said.contains("--listen: listen: `nowhere` is not `host:port`"), "{said}");
    assert_eq!(run(dir.path(), &["burn"], "").status.code(), Some(2));
    assert_eq!(run(dir.path(), &["--version"], "").status.code(), Some(0));
    for shell in ["bash", "zsh", "fish"] {
        assert!(stdout(&run(dir.path(), &["completions", shell], "")).contains("watchfire"));
    }
    assert!(stdout(&run(dir.path(), &["man"], "")).contains(".TH watchfire 1"));
}

#[test]
fn people_and_tokens_on_a_stopped_and_on_a_running_server() {
    let dir = tempfile::tempdir().unwrap();
    let ok = |args: &[&str], input: &str| {
        let out = run(dir.path(), args, input);
        assert_eq!(out.status.code(), Some(0), "{args:?}: {}", stderr(&out));
        stdout(&out)
    };
    let server = Server::start(dir.path());
    server.stop();
    let early = run(dir.path(), &["user", "add", "kim", "--password-stdin"], "correct horse battery\n");
    assert_eq!(early.status.code(), Some(2), "the first must be an administrator: {}", stderr(&early));
    ok(&["user", "add", "kim", "--role", "admin", "--password-stdin"], "correct horse battery\n");
    let secret = ok(&["token", "create", "ci", "--scope", "write"], "");
    assert!(secret.trim().len() > 40, "{secret}");
    assert!(ok(&["check"], "").contains("store: good"));

    // The same commands, now answered by the server that runs on the folder.
    let server = Server::start(dir.path());
    ok(&["user", "add", "lee", "--role", "viewer", "--password-stdin"], "another long secret\n");
    let people = ok(&["user", "list"], "");
    assert!(people.contains("kim") && people.contains("lee"), "{people}");
    ok(&["user", "remove", "lee"], "");
    let key = ok(&["connectors", "generic", "--key-only"], "");
    assert!(key.trim().len() >= 32 && key.lines().count() == 1, "{key}");
    ok(&["token", "revoke", "ci"], "");
    let refused = run(dir.path(), &["incidents", "--url", &server.url, "--token", secret.trim()], "");
    assert_eq!(refused.status.code(), Some(1), "a revoked token works no more");
    server.stop();
    let tokens = ok(&["token", "list"], "");
    assert!(!tokens.contains("ci"), "{tokens}");
}

#[test]
fn an_alert_by_hand_shows_up_and_can_be_exported() {
    let dir = tempfile::tempdir().unwrap();
    let payload = dir.path().join("alert.json");
    std::fs::write(&payload, r#"{"title": "Disk full on db-1", "severity": "critical", "service": "db"}"#).unwrap();
    let payload = payload.display().to_string();
    let server = Server::start(dir.path());
    let sent = run(dir.path(), &["send", &payload, "--platform", "generic"], "");
    assert_eq!(sent.status.code(), Some(0), "{}", stderr(&sent));
    assert!(stdout(&sent).contains("1 alert in INC-1"), "{}", stdout(&sent));
    let list = stdout(&run(dir.path(), &["incidents"], ""));
    assert!(list.contains("INC-1") && list.contains("Disk full on db-1"), "{list}");
    let one = stdout(&run(dir.path(), &["incident", "INC-1", "--json"], ""));
    assert!(one.contains("\"severity\":\"critical\""), "{one}");
    let running = stdout(&run(dir.path(), &["export", "deliveries", "--since", "1h"], ""));
    server.stop();
    let stopped = stdout(&run(dir.path(), &["export", "deliveries"], ""));
    assert!(stopped.contains("\"platform\":\"generic\"") && stopped.contains("Disk full on db-1"), "{stopped}");
    assert_eq!(running, stopped);
    assert!(stdout(&run(dir.path(), &["export", "incidents"], "")).contains("INC-1"));
}

#[cfg(unix)]
/// As in a minimal container: commands to the server next door need no certificates, and an address that does need them
/// is answered with the remedy.
#[test]
fn commands_work_on_a_machine_without_certificates() {
    let home = tempfile::tempdir().unwrap();
    let server = Server::start(home.path());
    let without = |args: &[&str]| {
        let mut command = watchfire(home.path(), args);
        command.env("SSL_CERT_FILE", home.path().join("none")).env("SSL_CERT_DIR", home.path().join("none"));
        command.output().unwrap()
    };
    let listed = without(&["connectors", "generic", "--key-only"]);
    assert_eq!(listed.status.code(), Some(0), "{}", stderr(&listed));

    let refused = without(&["incidents", "--url", "https://127.0.0.1:1", "--token", "a token that is long enough"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(stderr(&refused).contains("ca-certificates"), "{}", stderr(&refused));
    server.stop();
}

#[test]
fn systemd_is_told_of_ready_alive_and_stopping() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("notify");
    let socket = std::os::unix::net::UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(std::time::Duration::from_secs(20))).unwrap();
    let mut command = watchfire(dir.path(), &["--listen", "127.0.0.1:0"]);
    command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "400000");
    let server = Server::spawn(command, Stdio::null());
    let mut wanted = vec!["READY=1", "WATCHDOG=1", "WATCHDOG=1"];
    let receive = |wanted: &mut Vec<&str>| {
        while !wanted.is_empty() {
            let mut buffer = [0; 4096];
            let length = socket.recv(&mut buffer).expect("a message comes in time");
            let message = String::from_utf8_lossy(&buffer[..length]).into_owned();
            if let Some(found) = wanted.iter().position(|w| message.lines().any(|l| l == *w)) {
                wanted.remove(found);
            }
        }
    };
    receive(&mut wanted);
    server.stop();
    receive(&mut vec!["STOPPING=1"]);
}

#[test]
fn secrets_stay_out_of_the_log() {
    let dir = tempfile::tempdir().unwrap();
    let token = "a-token-that-must-not-be-logged";
    let log = dir.path().join("log");
    let mut command = watchfire(dir.path(), &["--listen", "127.0.0.1:0", "--log-level", "trace"]);
    command.env("WATCHFIRE_BOOTSTRAP_TOKEN", token);
    let server = Server::spawn(command, std::fs::File::create(&log).unwrap().into());
    let payload = dir.path().join("alert.json");
    std::fs::write(&payload, r#"{"title": "a"}"#).unwrap();
    let payload = payload.display().to_string();
    let wrong = "a-wrong-key-that-must-not-be-logged";
    for credentials in [["--token", token], ["--key", wrong]] {
        run(
            dir.path(),
            &[&["send", &payload, "--platform", "generic", "--url", &server.url], &credentials[..]].concat(),
            "",
        );
    }
    let in_url = format!("{}/api/webhooks/generic/{wrong}?key={wrong}", server.url);
    post_nothing(&in_url);
    server.stop();
    let said = std::fs::read_to_string(&log).unwrap();
    assert!(said.contains("ready"), "{said}");
    assert!(!said.contains(token) && !said.contains(wrong), "{said}");
}

fn post_nothing(url: &str) {
    crate::support::crypto();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { reqwest::Client::new().post(url).body("{}").send().await }).unwrap();
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let dir = tempfile::tempdir().unwrap();
    let mut child =
        watchfire(dir.path(), &["completions", "bash"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!((child.wait().unwrap().code(), said.as_str()), (Some(0), ""));
}
