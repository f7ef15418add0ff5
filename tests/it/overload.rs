//! More than can be taken: every answer is a 202 that holds, or a refusal that comes at once and says when to come back.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use reqwest::Method;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
};
use watchfire::runtime::clock::Clock;

use crate::support::{Answer, PATIENCE, TestApp, answer, start_of_time};

fn body(n: u64) -> Value {
    json!({"id": n.to_string(), "title": format!("alert {n}"), "severity": "high", "service": format!("s{}", n % 9)})
}

/// A refusal that its sender can work with.
fn says_when(a: &Answer, code: &str) {
    assert!([429, 503].contains(&a.status.as_u16()), "{} {}", a.status, a.text);
    assert_eq!(a.json["code"], code, "{}", a.text);
    let after: u64 = a.headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=60).contains(&after), "{after}");
}

/// A figure of `/metrics`, by the beginning of its line.
async fn figure(test: &TestApp, of: &str) -> u64 {
    let text = test.get("/metrics").await.text;
    let lines = text.lines().filter_map(|l| l.strip_prefix(of)).filter_map(|rest| rest.trim().parse::<f64>().ok());
    lines.map(|n| n as u64).sum()
}

/// What clients that ask as fast as they are answered got in a while: ids of what was taken, refusals, slowest refusal.
async fn storm(test: &TestApp, key: &str, clients: u64, first: u64, lasts: Duration) -> (Vec<String>, u64, Duration) {
    let began = Instant::now();
    let mut all = JoinSet::new();
    for client in 0..clients {
        let post = {
            let (request, key) = (test.request(Method::POST, "/api/webhooks/generic"), key.to_owned());
            move |n| request.try_clone().unwrap().header("x-watchfire-key", &key).json(&body(n))
        };
        all.spawn(async move {
            let (mut taken, mut refused, mut slowest) = (Vec::new(), 0, Duration::ZERO);
            let mut n = first + client * 100_000;
            while began.elapsed() < lasts {
                n += 1;
                let asked = Instant::now();
                let a = answer(post(n)).await;
                if a.status == 202 {
                    taken.push(a.json["delivery_id"].as_str().unwrap().to_owned());
                } else {
                    says_when(&a, "overloaded");
                    assert_eq!(a.status, 429, "generic senders are told 429");
                    refused += 1;
                    slowest = slowest.max(asked.elapsed());
                }
            }
            (taken, refused, slowest)
        });
    }
    let (mut taken, mut refused, mut slowest) = (Vec::new(), 0, Duration::ZERO);
    while let Some(done) = all.join_next().await {
        let (t, r, s) = done.unwrap();
        taken.extend(t);
        refused += r;
        slowest = slowest.max(s);
    }
    (taken, refused, slowest)
}

#[tokio::test(flavor = "multi_thread")]
async fn beyond_its_capacity_it_goes_on_and_refuses_at_once() {
    // So little may wait that the writer's pace is the capacity.
    let test = TestApp::start_with(Clock::System, |c| c.max_behind = 150).await;
    let key = test.key("generic").await;
    let (mut taken, mut refused, mut slowest) = (Vec::new(), 0u64, Duration::ZERO);
    let mut goodput = [0, 0];
    // In turns, so that what else the machine does meets both alike.
    for turn in 0..12u64 {
        let (few, clients) = if turn.is_multiple_of(2) { (0, 24) } else { (1, 96) };
        let (t, r, s) = storm(&test, &key, clients, turn * 10_000_000, Duration::from_millis(500)).await;
        goodput[few] += t.len();
        taken.extend(t);
        refused += r;
        slowest = slowest.max(s);
    }
    println!("{goodput:?} taken from few and from four times as many, {refused} refused, slowest refusal {slowest:?}");
    // The clients share the machine with the server and take their part of it: a collapse is told from that here, and the
    // figure itself is measured from outside, in `tests/bench`.
    assert!(goodput[1] as f64 >= 0.5 * goodput[0] as f64, "{goodput:?}: less is taken when more come");
    assert!(refused > 100, "the test went beyond the capacity: {refused} refusals");
    assert!(slowest < Duration::from_secs(2), "a refusal took {slowest:?}");
    assert_eq!(figure(&test, "watchfire_refusals_total{platform=\"generic\",reason=\"behind\"}").await, refused);
    // All that was acknowledged is there, and nothing else.
    let store = test.app().store().clone();
    let last = store.behind() + *store.position().borrow();
    assert!(store.applied(last, PATIENCE).await, "what was stored is applied");
    let stored =
        store.read(move |v| (1..=last).map(|seq| v.delivery(seq)).collect::<Result<Vec<_>, _>>()).await.unwrap();
    let mut stored: Vec<String> = stored.into_iter().flatten().map(|d| d.id.to_string()).collect();
    stored.sort();
    taken.sort();
    assert_eq!(stored, taken);
    test.stop().await;
}

/// What is refused was not read before: neither unpacked nor parsed.
#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_costs_little_and_comes_after_the_proof() {
    let test = TestApp::start_with(Clock::manual(start_of_time()), |c| {
        c.max_behind = 0;
        c.connectors.entry("alertmanager".to_owned()).or_default().rate_per_minute = Some(0);
    })
    .await;
    // No JSON at all: whoever reads it would say 422.
    for (platform, status) in [("generic", 429), ("alertmanager", 503), ("netdata", 503)] {
        let a = test.knock(platform, &[], vec![b'{'; 900_000]).await;
        says_when(&a, "overloaded");
        assert_eq!((a.status.as_u16(), a.json["reason"].as_str()), (status, Some("behind")), "{platform}");
        assert_eq!(
            figure(&test, &format!("watchfire_refusals_total{{platform=\"{platform}\",reason=\"behind\"}}")).await,
            1
        );
    }
    // A stranger is told of the missing proof and not of our troubles.
    let stranger = answer(test.request(Method::POST, "/api/webhooks/generic").body("{}")).await;
    assert_eq!(stranger.status, 401);
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_over_the_rate_is_refused_cheaply_and_counted() {
    let test = TestApp::start_with(Clock::manual(start_of_time()), |c| {
        c.connectors.entry("generic".to_owned()).or_default().rate_per_minute = Some(30);
    })
    .await;
    let key = test.key("generic").await;
    let mut sent = JoinSet::new();
    let mut statuses: BTreeMap<u16, u64> = BTreeMap::new();
    for n in 0..500 {
        let post = test.request(Method::POST, "/api/webhooks/generic").header("x-watchfire-key", &key).json(&body(n));
        sent.spawn(answer(post));
    }
    while let Some(done) = sent.join_next().await {
        let a = done.unwrap();
        if a.status != 202 {
            says_when(&a, "over_rate");
        }
        *statuses.entry(a.status.as_u16()).or_default() += 1;
    }
    // 30 a minute have a burst of 100; of the others a hundred are kept to be looked at, and no more.
    assert_eq!(statuses, BTreeMap::from([(202, 100), (429, 400)]));
    assert_eq!(figure(&test, "watchfire_refusals_total{platform=\"generic\",reason=\"rate\"}").await, 400);
    let store = test.app().store();
    let last = store.behind() + *store.position().borrow();
    assert_eq!(last, 200, "100 taken and 100 refused are stored");
    assert!(store.applied(last, PATIENCE).await);
    test.stop().await;
}

/// Begins a large body and stays there.
async fn half_sent(test: &TestApp, key: &str, send: usize) -> TcpStream {
    let mut stream = TcpStream::connect(test.app().addr()).await.unwrap();
    let head = format!(
        "POST /api/webhooks/generic HTTP/1.1\r\nhost: a\r\nx-watchfire-key: {key}\r\ncontent-length: 10000000\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&vec![b' '; send]).await.unwrap();
    stream
}

/// Large bodies that are being received have a bound in all, and leave room for small ones.
#[tokio::test(flavor = "multi_thread")]
async fn large_bodies_do_not_fill_the_memory_and_small_ones_pass() {
    let test = TestApp::start_with(Clock::System, |c| c.max_body = 10 << 20).await;
    let key = test.key("generic").await;
    let mut large = JoinSet::new();
    for _ in 0..12 {
        let mut stream = half_sent(&test, &key, 8 << 20).await;
        large.spawn(async move {
            let mut answer = vec![0; 4096];
            let n = stream.read(&mut answer).await.unwrap_or(0);
            String::from_utf8_lossy(&answer[..n]).into_owned()
        });
    }
    // 64 MiB of them are held; the rest is told to come back.
    for _ in 0..4 {
        let said = tokio::time::timeout(PATIENCE, large.join_next()).await.unwrap().unwrap().unwrap();
        let told = said.starts_with("HTTP/1.1 429") && said.contains("retry-after: 2") && said.contains("memory");
        assert!(told, "{said}");
    }
    let held = figure(&test, "watchfire_body_bytes").await;
    assert!((40 << 20..=81 << 20).contains(&held), "{held} bytes are held");
    let began = Instant::now();
    assert_eq!(test.deliver("generic", &body(1)).await.status, 202);
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    assert!(figure(&test, "watchfire_refusals_total{platform=\"generic\",reason=\"memory\"}").await >= 4);
    drop(large);
    // All of it is given back.
    let gone = async {
        while figure(&test, "watchfire_body_bytes").await > 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, gone).await.expect("the room is given back");
    test.stop().await;
}

/// Whoever goes away while the delivery is being taken changes nothing: it is stored, once.
#[tokio::test(flavor = "multi_thread")]
async fn a_sender_that_goes_away_leaves_nothing_half_done() {
    let test = TestApp::start_with(Clock::System, |_| {}).await;
    let key = test.key("generic").await;
    for n in 0..60 {
        let mut stream = TcpStream::connect(test.app().addr()).await.unwrap();
        let json = body(n).to_string();
        let head = format!(
            "POST /api/webhooks/generic HTTP/1.1\r\nhost: a\r\nx-watchfire-key: {key}\r\ncontent-length: {}\r\n\r\n{json}",
            json.len()
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        drop(stream);
    }
    assert_eq!(test.deliver("generic", &body(100)).await.status, 202);
    let gone = async {
        while figure(&test, "watchfire_body_bytes").await > 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, gone).await.expect("the room is given back");
    let incidents = test.get("/api/alerts?limit=200").await.json;
    assert!(incidents["alerts"].as_array().unwrap().len() <= 61);
    test.stop().await;
}
