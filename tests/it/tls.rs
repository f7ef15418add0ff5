//! TLS of the listener: what it speaks, changed files while it serves, and clients that do not finish their handshake.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{Router, routing::get};
use reqwest::{Method, Version};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tokio_util::sync::CancellationToken;
use watchfire::{
    config,
    runtime::clock::Clock,
    web::{
        connections::Limits,
        server::Server,
        tls::{LOOK_EVERY, Tls},
    },
};

use crate::{
    binary::{self, run, stderr, stdout, watchfire},
    pki::{Ca, Pair},
    support::{PATIENCE, TOKEN, TestApp, answer, start_of_time},
};

/// A server with a certificate of this CA.
async fn start(ca: &Ca, dir: &Path) -> TestApp {
    let (cert, key) = ca.server().write(dir);
    TestApp::start_with(Clock::manual(start_of_time()), |c| (c.tls_cert, c.tls_key) = (Some(cert), Some(key))).await
}

#[tokio::test(flavor = "multi_thread")]
async fn both_versions_of_http_by_the_clients_choice() {
    let (ca, dir) = (Ca::new("CA"), tempfile::tempdir().unwrap());
    let test = start(&ca, dir.path()).await;
    let url = test.url("/api/connectors/generic");
    assert!(url.starts_with("https://127.0.0.1:"), "{url}");
    for (client, want) in
        [(ca.http(None), Version::HTTP_2), (ca.builder(None).http1_only().build().unwrap(), Version::HTTP_11)]
    {
        let response = client.get(&url).bearer_auth(TOKEN).send().await.unwrap();
        assert_eq!((response.status().as_u16(), response.version()), (200, want));
        let said: serde_json::Value = response.json().await.unwrap();
        let webhook = said["webhook_url"].as_str().unwrap();
        assert!(webhook.starts_with("https://"), "links lead back by TLS: {webhook}");
    }
    // Cookies of people are for TLS only.
    let link = test.app().setup_link().await.unwrap().unwrap();
    assert!(link.starts_with("https://"), "{link}");
    let http = ca.http(None);
    let user = json!({"name": "kim", "role": "admin", "password": "correct horse battery"});
    assert_eq!(answer(http.post(test.url("/api/users")).bearer_auth(TOKEN).json(&user)).await.status, 201);
    let form = http.post(test.url("/login")).header("content-type", "application/x-www-form-urlencoded");
    let signed_in = answer(form.body("user=kim&password=correct+horse+battery")).await;
    let cookie = signed_in.headers["set-cookie"].to_str().unwrap();
    assert!(cookie.starts_with("__Host-") && cookie.contains("; Secure"), "{cookie}");
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_in_plain_http_is_told_so() {
    let (ca, dir) = (Ca::new("CA"), tempfile::tempdir().unwrap());
    let test = start(&ca, dir.path()).await;
    let mut stream = TcpStream::connect(test.app().addr()).await.unwrap();
    let mut request = b"POST /api/webhooks/generic HTTP/1.1\r\nhost: a\r\ncontent-length: 100000\r\n\r\n".to_vec();
    request.extend([b'x'; 100_000]);
    stream.write_all(&request).await.unwrap();
    let mut said = String::new();
    tokio::time::timeout(PATIENCE, stream.read_to_string(&mut said)).await.unwrap().unwrap();
    assert!(said.starts_with("HTTP/1.1 400 ") && said.ends_with("begin it with https://.\r\n"), "{said}");
    let length = said.split_once("content-length: ").unwrap().1.split_once("\r\n").unwrap().0;
    assert_eq!(length.parse::<usize>().unwrap(), said.split_once("\r\n\r\n").unwrap().1.len());
    test.stop().await;
}

/// As certbot lays them out: links that are replaced, one after the other.
fn point(live: &Path, to: &Pair, name: &str) -> (PathBuf, PathBuf) {
    to.write(&live.join(name));
    std::fs::create_dir_all(live).unwrap();
    let link = |file: &str| {
        let (new, link) = (live.join(format!(".{file}")), live.join(file));
        std::os::unix::fs::symlink(Path::new(name).join(file), &new).unwrap();
        std::fs::rename(&new, &link).unwrap();
        link
    };
    (link("fullchain.pem"), link("privkey.pem"))
}

#[tokio::test(flavor = "multi_thread")]
async fn changed_files_are_taken_while_it_serves_and_broken_ones_are_not() {
    let (first, second, dir) = (Ca::new("First"), Ca::new("Second"), tempfile::tempdir().unwrap());
    let (cert, key) = point(dir.path(), &first.server(), "1");
    let test = TestApp::start_with(Clock::manual(start_of_time()), |c| {
        (c.tls_cert, c.tls_key) = (Some(cert.clone()), Some(key.clone()));
    })
    .await;
    let works =
        async |client: &reqwest::Client| client.get(test.url("/healthz")).send().await.is_ok_and(|r| r.status() == 200);
    let mut looks = test.app().tls().looks();
    let mut look = async || {
        let before = *looks.borrow_and_update();
        test.clock.advance(LOOK_EVERY);
        tokio::time::timeout(PATIENCE, looks.wait_for(|n| *n > before)).await.unwrap().unwrap();
    };
    let kept = first.http(None);
    assert!(works(&kept).await);
    look().await;
    assert!(works(&first.http(None)).await, "nothing has changed");

    point(dir.path(), &second.server(), "2");
    look().await;
    assert!(works(&second.http(None)).await);
    assert!(!works(&first.http(None)).await);
    assert!(works(&kept).await, "connections go on");

    for (broken, what) in [("no key at all", "garbage"), (first.server().key.as_str(), "the key of another")] {
        std::fs::write(&key, broken).unwrap();
        look().await;
        assert!(works(&second.http(None)).await, "{what}");
        assert!(test.app().tls().figures().failing, "{what}");
    }
    std::fs::remove_file(&cert).unwrap();
    look().await;
    assert!(works(&second.http(None)).await, "without a file");
    let metrics = answer(second.http(None).get(test.url("/metrics")).bearer_auth(TOKEN)).await.text;
    for line in ["tls_reloads_total 1", "tls_reload_failures_total 3", "tls_reload_failing 1"] {
        assert!(metrics.contains(&format!("watchfire_{line}\n")), "{line}\n{metrics}");
    }
    point(dir.path(), &first.server(), "3");
    look().await;
    assert!(works(&first.http(None)).await);
    assert!(!test.app().tls().figures().failing);
    test.stop().await;
}

struct Short {
    addr: std::net::SocketAddr,
    stop: CancellationToken,
    ended: tokio::task::JoinHandle<()>,
    tls: Arc<Tls>,
    ca: Ca,
    _dir: tempfile::TempDir,
}

/// A server with little time and few places.
async fn short(connections: usize, head: Duration) -> Short {
    let (ca, dir) = (Ca::new("CA"), tempfile::tempdir().unwrap());
    let (cert, key) = ca.server().write(dir.path());
    let mut config = config::defaults(dir.path().to_owned());
    (config.tls_cert, config.tls_key) = (Some(cert), Some(key));
    let tls = Arc::new(Tls::open(Arc::new(config), start_of_time()).unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let router = Router::new().route("/", get(|| async { "here" }));
    let stop = CancellationToken::new();
    let limits = Limits { head, ..Limits::new(connections) };
    let server = Server::new(router, limits, stop.clone()).over(tls.clone());
    let ended = tokio::spawn(server.serve(listener, Duration::from_secs(5)));
    Short { addr, stop, ended, tls, ca, _dir: dir }
}

/// Until the server closes.
async fn closed(stream: &mut TcpStream) {
    let mut said = Vec::new();
    let _ = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut said)).await.expect("it is cut off");
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_handshakes_are_cut_by_one_deadline_for_all_of_it() {
    let head = Duration::from_millis(400);
    let server = short(64, head).await;
    let began = Instant::now();
    let mut silent = TcpStream::connect(server.addr).await.unwrap();
    closed(&mut silent).await;
    assert!(began.elapsed() >= head, "{:?}", began.elapsed());

    // The start of a hello that never ends: no pause is long.
    let began = Instant::now();
    let (mut reader, mut writer) = TcpStream::connect(server.addr).await.unwrap().into_split();
    writer.write_all(&[0x16, 3, 1, 0x20, 0]).await.unwrap();
    let trickle = tokio::spawn(async move {
        let mut ticks = tokio::time::interval(Duration::from_millis(20));
        while writer.write_all(&[1]).await.is_ok() {
            ticks.tick().await;
        }
    });
    let mut said = Vec::new();
    let _ = tokio::time::timeout(PATIENCE, reader.read_to_end(&mut said)).await.expect("it is cut off");
    assert!(began.elapsed() >= head && began.elapsed() < head * 10, "{:?}", began.elapsed());
    trickle.abort();

    // A handshake and then nothing.
    let began = Instant::now();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(rustls::pki_types::pem::PemObject::from_pem_slice(server.ca.pem.as_bytes()).unwrap()).unwrap();
    let config = rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let stream = TcpStream::connect(server.addr).await.unwrap();
    let mut spoken = connector.connect("localhost".try_into().unwrap(), stream).await.unwrap();
    let _ = tokio::time::timeout(PATIENCE, spoken.read_to_end(&mut said)).await.expect("it is cut off");
    assert!(began.elapsed() < head * 5, "{:?}", began.elapsed());

    assert_eq!(server.tls.figures().handshakes_failed, 2);
    server.stop.cancel();
    server.ended.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn handshakes_make_room_and_do_not_hold_up_the_end() {
    // So long that nothing ends by itself within this test.
    let server = short(3, Duration::from_secs(600)).await;
    let mut silent = Vec::new();
    for _ in 0..3 {
        silent.push(TcpStream::connect(server.addr).await.unwrap());
    }
    let url = format!("https://127.0.0.1:{}/", server.addr.port());
    let said = server.ca.http(None).get(&url).send().await.unwrap().text().await.unwrap();
    assert_eq!(said, "here");
    closed(&mut silent[0]).await;
    server.stop.cancel();
    let began = Instant::now();
    server.ended.await.unwrap();
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
}

#[test]
fn the_program_names_what_is_wrong_with_its_files_and_commands_reach_it() {
    let (ca, dir) = (Ca::new("CA"), tempfile::tempdir().unwrap());
    let pair = ca.server();
    let (cert, key) = pair.write(&dir.path().join("live"));
    let args = |cert: &Path, key: &Path, command: &str| {
        let text = |p: &Path| p.display().to_string();
        vec![
            command.to_owned(),
            "--listen".into(),
            "127.0.0.1:0".into(),
            "--tls-cert".into(),
            text(cert),
            "--tls-key".into(),
            text(key),
        ]
    };
    for (cert, key, want) in [
        (key.as_path(), key.as_path(), "holds no certificate"),
        (cert.as_path(), cert.as_path(), "holds no private key"),
        (cert.as_path(), Path::new("/nowhere.pem"), "/nowhere.pem cannot be read"),
    ] {
        for command in ["serve", "check"] {
            let args = args(cert, key, command);
            let args: Vec<&str> = args
                .iter()
                .map(String::as_str)
                .filter(|a| command == "serve" || !a.contains("listen") && *a != "127.0.0.1:0")
                .collect();
            let out = run(dir.path(), &args, "");
            assert_eq!(out.status.code(), Some(1), "{command}");
            assert!(stderr(&out).contains(want), "{command}: {}", stderr(&out));
        }
    }
    // Everything that can be logged is, and nothing of the key.
    let log = dir.path().join("log");
    let args = args(&cert, &key, "serve");
    let mut command = watchfire(dir.path(), &args.iter().map(String::as_str).collect::<Vec<_>>());
    command.env("WATCHFIRE_LOG_LEVEL", "trace,watchfire=trace,rustls=trace,hyper=trace,tokio_rustls=trace");
    let server = binary::Server::spawn(command, std::fs::File::create(&log).unwrap().into());
    assert!(server.url.starts_with("https://"), "{}", server.url);
    let listed = run(dir.path(), &["connectors", "generic"], "");
    assert!(stdout(&listed).contains("https://127.0.0.1:"), "{}{}", stdout(&listed), stderr(&listed));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let shown = ca.client("somebody");
    let post = ca.http(Some(&shown)).request(Method::POST, format!("{}/api/webhooks/netdata", server.url)).body("{}");
    assert_eq!(runtime.block_on(answer(post)).status, 401);
    server.stop();
    let log = std::fs::read_to_string(&log).unwrap();
    assert!(log.contains("ready"), "{log}");
    for secret in [&pair.key, &shown.key] {
        for line in secret.lines().filter(|l| !l.starts_with("-----")) {
            assert!(!log.contains(line), "the key is in the log");
        }
    }
}
