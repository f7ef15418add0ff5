//! How long it takes from an alert's way out of its sender to the screen of a reader.

use std::{
    fs,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde_json::json;

use crate::{
    browser::Browser,
    support::{TestApp, start_of_time},
};

const ALERTS: u64 = 40;
/// Far above what is aimed at, which `tests/bench` measures: this machine does other things meanwhile.
const AT_MOST: u64 = 10_000;

/// Notes when a cell or the button with the number of new ones has been painted: two frames after the change.
const RECORD: &str = "(window.painted = [], new MutationObserver((all) => {
    if (all.some((m) => m.target.nodeName === 'TR' || m.target.closest?.('#newpill')))
        requestAnimationFrame(() => requestAnimationFrame(() => painted.push(Date.now())));
}).observe(document.getElementById('main'), { subtree: true, childList: true }), 1)";

fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    u64::try_from(now.as_millis()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn from_the_sender_to_the_screen() {
    let test = TestApp::start_any().await;
    for n in 0..20_u64 {
        let started = start_of_time().minus(Duration::from_secs(n * 1200));
        let body = json!({"title": format!("Queue {n} is late"), "service": format!("queue-{n}"), "severity": "high",
            "key": format!("q-{n}"), "started_at": started});
        test.deliver("generic", &body).await;
    }
    let browser = Browser::signed_in(&test).await;
    browser.until("the stream", "document.documentElement.dataset.stream === 'live'").await;
    browser.js(RECORD).await;
    let mut took = Vec::new();
    for n in 0..ALERTS {
        // Alerts of rows that are in sight, which count one more.
        let body = json!({"title": format!("Job {n} waits"), "service": format!("queue-{}", n % 5), "severity": "high",
            "key": format!("j-{n}")});
        let before = browser.js("painted.length").await;
        let sent = now();
        let answer = test.deliver("generic", &body).await;
        assert_eq!(answer.json["alerts"][0]["new_incident"], false, "{}", answer.text);
        browser.until("a change on the screen", &format!("painted.length > {before}")).await;
        let painted = browser.js(&format!("painted[{before}]")).await.as_u64().unwrap();
        took.push(painted.saturating_sub(sent));
    }
    took.sort_unstable();
    let at = |share: usize| took[(took.len() * share / 100).min(took.len() - 1)];
    let said =
        format!("event to pixel over {ALERTS} alerts: median {} ms, p95 {} ms, most {} ms\n", at(50), at(95), at(100));
    print!("{said}");
    fs::write(crate::look::pictures().join("event-to-pixel.txt"), &said).unwrap();
    assert!(at(95) < AT_MOST, "{said}");
    test.stop().await;
}
