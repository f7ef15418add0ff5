//! Crowds at the door of the real program: thousands of idle connections, a thousand streams of which half are never read.
//! Its memory is read from the system, so it is a process of its own.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{
    binary::{Server, watchfire},
    support::{PATIENCE, TOKEN},
};

/// What an idle connection may cost, in bytes. Measured in an unoptimised build: see ARCHITECTURE.md, "Crowds".
const EACH_IDLE: u64 = 30 << 10;
/// What a stream may cost, read or not.
const EACH_STREAM: u64 = 100 << 10;

/// One crowd at a time: they need handles and processors.
static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

fn start(dir: &Path) -> Server {
    // The test itself needs a handle for each connection.
    watchfire::runtime::files::raise();
    let mut command = watchfire(dir, &["--listen", "127.0.0.1:0"]);
    command.env("WATCHFIRE_BOOTSTRAP_TOKEN", TOKEN);
    Server::spawn(command, std::process::Stdio::null())
}

/// Memory that the process has in use, in bytes.
fn resident(server: &Server) -> u64 {
    let statm = std::fs::read_to_string(format!("/proc/{}/statm", server.pid())).unwrap();
    let pages: u64 = statm.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4096
}

fn address(server: &Server) -> String {
    server.url.strip_prefix("http://").unwrap().to_owned()
}

async fn post(http: &reqwest::Client, server: &Server, n: u64) -> (u16, Duration) {
    let body = json!({"id": n.to_string(), "title": format!("alert {n}"), "severity": "high", "service": "api"});
    let began = Instant::now();
    let request = http.post(format!("{}/api/webhooks/generic", server.url)).bearer_auth(TOKEN).json(&body);
    let status = request.send().await.unwrap().status().as_u16();
    (status, began.elapsed())
}

/// The most connections that the test can have open, with room for the rest of it.
fn possible(wanted: usize) -> usize {
    let most = watchfire::runtime::files::connections();
    assert!(most >= 1000, "the limit of open files allows {most} connections, too few to test anything");
    wanted.min(most * 9 / 10)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_thousand_idle_connections_keep_nobody_out_and_cost_little() {
    let _alone = ALONE.lock().await;
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path());
    crate::support::crypto();
    let http = reqwest::Client::builder().pool_max_idle_per_host(0).timeout(PATIENCE).build().unwrap();
    for n in 0..50 {
        assert_eq!(post(&http, &server, n).await.0, 202);
    }
    let before = resident(&server);
    let (address, wanted) = (address(&server), possible(5000));
    let mut idle = Vec::with_capacity(wanted);
    for n in 0..wanted {
        let mut stream = TcpStream::connect(&address).await.unwrap();
        // Some say nothing, some begin a head, some have been answered and are kept for the next request.
        let part: &[u8] = match n % 3 {
            0 => b"",
            1 => b"POST /api/webhooks/generic HTTP/1.1\r\nx: ",
            _ => b"GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n",
        };
        stream.write_all(part).await.unwrap();
        idle.push(stream);
    }
    for n in 50..80 {
        let (status, took) = post(&http, &server, n).await;
        assert_eq!(status, 202);
        assert!(took < Duration::from_secs(2), "{took:?} with {wanted} idle connections");
    }
    let after = resident(&server);
    let each = after.saturating_sub(before) / wanted as u64;
    println!("{wanted} idle connections: {before} bytes before, {after} after, {each} each");
    assert!(each < EACH_IDLE, "{each} bytes for each of {wanted} idle connections");
    drop(idle);
    server.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_all_places_are_taken_the_oldest_idle_connection_makes_room() {
    let _alone = ALONE.lock().await;
    let dir = tempfile::tempdir().unwrap();
    // 600 files leave 344 places.
    let mut command = std::process::Command::new("sh");
    command.args(["-c", "ulimit -n 600 && exec \"$0\" --listen 127.0.0.1:0", env!("CARGO_BIN_EXE_watchfire")]);
    command.env_clear().env("HOME", dir.path()).env("WATCHFIRE_BOOTSTRAP_TOKEN", TOKEN);
    let server = Server::spawn(command, std::process::Stdio::null());
    crate::support::crypto();
    let http = reqwest::Client::builder().pool_max_idle_per_host(0).timeout(PATIENCE).build().unwrap();
    let began = Instant::now();
    let mut idle = Vec::new();
    for n in 0..700 {
        idle.push(TcpStream::connect(address(&server)).await.unwrap());
        if n % 50 == 0 {
            let (status, took) = post(&http, &server, n).await;
            assert_eq!(status, 202);
            assert!(took < Duration::from_secs(2), "{took:?} after {n} idle connections");
        }
    }
    // Idle ones end by themselves after ten seconds; nobody waited for that.
    assert!(began.elapsed() < Duration::from_secs(9), "{:?}", began.elapsed());
    let closed = tokio::time::timeout(PATIENCE, idle[0].read(&mut [0; 1])).await.unwrap();
    assert!(matches!(closed, Ok(0) | Err(_)), "the oldest was ended");
    drop(idle);
    server.stop();
}

/// Opens a stream and reads its head.
async fn stream(address: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = format!("GET /api/incidents/stream HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {TOKEN}\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut start = [0; 12];
    tokio::time::timeout(PATIENCE, stream.read_exact(&mut start)).await.unwrap().unwrap();
    assert_eq!(&start, b"HTTP/1.1 200");
    stream
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_thousand_streams_of_which_half_are_never_read() {
    const STREAMS: usize = 1000;
    const ALERTS: u64 = 300;
    let _alone = ALONE.lock().await;
    let dir = tempfile::tempdir().unwrap();
    let server = start(dir.path());
    crate::support::crypto();
    let http = reqwest::Client::builder().timeout(PATIENCE).build().unwrap();
    assert_eq!(post(&http, &server, 0).await.0, 202);
    let address = address(&server);
    let before = resident(&server);
    let (mut never, mut readers) = (Vec::new(), tokio::task::JoinSet::new());
    let last = format!("\"title\":\"alert {ALERTS}\"");
    for n in 0..possible(STREAMS) {
        let mut stream = stream(&address).await;
        if n % 2 == 0 {
            never.push(stream);
            continue;
        }
        let last = last.clone();
        readers.spawn(async move {
            let (mut seen, mut correlated) = (String::new(), 0);
            let mut buffer = [0; 16 << 10];
            loop {
                let n = stream.read(&mut buffer).await.unwrap();
                assert!(n > 0, "a stream that is read ended");
                seen.push_str(&String::from_utf8_lossy(&buffer[..n]));
                let end = seen.rfind("\n\n").unwrap_or(0);
                correlated += seen[..end].matches("\"type\":\"alert_correlated\"").count();
                if seen[..end].contains("\"type\":\"alert_correlated\"") && seen[..end].contains(&last) {
                    return correlated;
                }
                seen.drain(..end);
            }
        });
    }
    let mut slowest = Duration::ZERO;
    for n in 1..=ALERTS {
        let (status, took) = post(&http, &server, n).await;
        assert_eq!(status, 202);
        slowest = slowest.max(took);
    }
    while let Some(seen) = tokio::time::timeout(PATIENCE, readers.join_next()).await.expect("they see every event") {
        assert_eq!(seen.unwrap() as u64, ALERTS, "a reader sees every alert");
    }
    let after = resident(&server);
    let each = after.saturating_sub(before) / STREAMS as u64;
    println!(
        "{STREAMS} streams, half of them not read: {before} bytes before, {after} after, {each} each; slowest answer {slowest:?}"
    );
    assert!(each < EACH_STREAM, "{each} bytes for each stream");
    assert!(slowest < Duration::from_secs(3), "{slowest:?}");
    drop(never);
    server.stop();
}
