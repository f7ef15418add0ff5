//! Clients that are slow, silent or too many.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use watchfire::runtime::clock::Clock;

use crate::support::{PATIENCE, TestApp, answer, start_of_time};

/// Writes a byte whenever `pause` has passed, until the server closes or has answered; what it said.
async fn trickle(stream: &mut TcpStream, bytes: impl Iterator<Item = u8>, pause: Duration) -> String {
    let (mut reader, mut writer) = stream.split();
    let write = async {
        let mut ticks = tokio::time::interval(pause);
        for byte in bytes {
            ticks.tick().await;
            if writer.write_all(&[byte]).await.is_err() {
                break;
            }
        }
        std::future::pending::<()>().await;
    };
    let mut said = Vec::new();
    let read = async {
        // Closing while we still send may end it with an error; what came before counts.
        let _ = reader.read_to_end(&mut said).await;
    };
    tokio::time::timeout(PATIENCE, async {
        tokio::select! {
            () = write => {}
            () = read => {}
        }
    })
    .await
    .expect("it is cut off");
    String::from_utf8_lossy(&said).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_comes_byte_by_byte_is_cut_off() {
    let test = TestApp::start().await;
    let began = Instant::now();
    let mut stream = TcpStream::connect(test.app().addr()).await.unwrap();
    // Without end: no pause is long, the whole is.
    let head = b"POST /api/webhooks/generic HTTP/1.1\r\nx-a: ".iter().copied().chain(std::iter::repeat(b'a'));
    let said = trickle(&mut stream, head, Duration::from_millis(100)).await;
    assert!(began.elapsed() < Duration::from_secs(25), "{:?}", began.elapsed());
    assert!(said.is_empty() || said.starts_with("HTTP/1.1 408") || said.starts_with("HTTP/1.1 400"), "{said}");
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_trickles_is_cut_off_at_its_deadline() {
    let test =
        TestApp::start_with(Clock::manual(start_of_time()), |c| c.body_deadline = Duration::from_millis(500)).await;
    let key = test.key("generic").await;
    let token = crate::support::TOKEN.to_owned();
    let known = ("content-length: 100000", &b" "[..]);
    // Each chunk is whole, and there is always another.
    let chunks = ("transfer-encoding: chunked", &b"1\r\n \r\n"[..]);
    for (path, who, (length, piece)) in [
        ("/api/webhooks/generic", &key, known),
        ("/api/webhooks/generic", &key, chunks),
        ("/api/incidents", &token, known),
        ("/api/changes", &token, chunks),
        ("/api/connectors/generic/test", &token, chunks),
    ] {
        let began = Instant::now();
        let mut stream = TcpStream::connect(test.app().addr()).await.unwrap();
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {who}\r\n{length}\r\nconnection: close\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        let said = trickle(&mut stream, piece.iter().copied().cycle(), Duration::from_millis(5)).await;
        if path.ends_with("/test") {
            // It needs no body, and does not wait for one.
            assert!(said.starts_with("HTTP/1.1 2"), "{path}: {said}");
            continue;
        }
        assert!(said.starts_with("HTTP/1.1 408"), "{path}: {said}");
        assert!(said.contains("too_slow"), "{path}: {said}");
        assert!(began.elapsed() < Duration::from_secs(15), "{path}: {:?}", began.elapsed());
    }
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_that_trickles_is_cut_off_sooner() {
    let test = TestApp::start().await;
    let began = Instant::now();
    let mut stream = TcpStream::connect(test.app().addr()).await.unwrap();
    let head = "POST /api/webhooks/generic HTTP/1.1\r\nhost: a\r\ncontent-length: 100000\r\nconnection: close\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let said = trickle(&mut stream, std::iter::repeat(b' '), Duration::from_millis(20)).await;
    assert!(said.starts_with("HTTP/1.1 401"), "{said}");
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn idle_connections_do_not_hold_up_others() {
    let test = TestApp::start().await;
    let mut idle = Vec::new();
    for n in 0..500 {
        let mut stream = TcpStream::connect(test.app().addr()).await.unwrap();
        // Some say nothing, some begin a head, some begin a body.
        let part: &[u8] = match n % 3 {
            0 => b"",
            1 => b"POST /api/webhooks/generic HTTP/1.1\r\n",
            _ => b"POST /api/webhooks/generic HTTP/1.1\r\nhost: a\r\ncontent-length: 50\r\n\r\n{",
        };
        stream.write_all(part).await.unwrap();
        idle.push(stream);
    }
    for n in 0..20 {
        let began = Instant::now();
        let body = json!({"id": n.to_string(), "title": "x", "severity": "high"});
        assert_eq!(test.deliver("generic", &body).await.status, 202);
        assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
    }
    let began = Instant::now();
    test.stop().await;
    assert!(began.elapsed() < Duration::from_secs(15), "they do not hold up the end: {:?}", began.elapsed());
    drop(idle);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_sender_is_told_what_it_understands() {
    let test = TestApp::start_with(Clock::manual(start_of_time()), |c| {
        for platform in watchfire::app::platforms() {
            c.connectors.entry(platform.to_owned()).or_default().rate_per_minute = Some(3);
        }
    })
    .await;
    for (platform, want) in [
        ("generic", Some(429)),
        ("pagerduty", Some(429)),
        ("alertmanager", Some(503)),
        ("datadog", Some(503)),
        ("netdata", None),
        ("splunk", None),
    ] {
        let key = test.key(platform).await;
        let sample = watchfire::connectors::find(platform).unwrap().info().sample;
        let mut refused = None;
        for _ in 0..40 {
            let post = test.request(Method::POST, &format!("/api/webhooks/{platform}/{key}")).body(sample);
            let got = answer(post).await;
            if !got.status.is_success() {
                refused = Some(got);
                break;
            }
        }
        assert_eq!(refused.as_ref().map(|r| r.status.as_u16()), want, "{platform}");
        if let Some(refused) = refused {
            assert_eq!(refused.json["code"], "over_rate", "{}", refused.text);
            let after: u64 = refused.headers["retry-after"].to_str().unwrap().parse().unwrap();
            assert!((1..=60).contains(&after), "{platform}: {after}");
            // It means what it says.
            test.clock.advance(Duration::from_secs(after));
            let post = test.request(Method::POST, &format!("/api/webhooks/{platform}/{key}")).body(sample);
            assert_eq!(answer(post).await.status, 202, "{platform} after {after} s");
            test.until(&format!("/api/{platform}/status"), |s| s["refused_24h"] == 1).await;
        }
    }
    test.stop().await;
}
