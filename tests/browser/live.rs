//! The open list while things happen: what is read does not move.

use std::time::Duration;

use serde_json::{Value, json};

use crate::{
    browser::{Browser, NAME, PASSWORD},
    support::{TestApp, start_of_time},
};

/// Alerts of services of their own, that began far enough from each other to be incidents of their own.
async fn alerts(test: &TestApp, numbers: std::ops::Range<u64>, severity: &str) {
    for n in numbers {
        let started = start_of_time().minus(Duration::from_secs(n * 600));
        let body = json!({"title": format!("Queue {n} is late"), "service": format!("queue-{n}"), "severity": severity,
            "key": format!("q-{n}"), "started_at": started});
        let sent = test.deliver("generic", &body).await;
        assert_eq!(sent.json["alerts"][0]["new_incident"], true, "{}", sent.text);
    }
}

/// Where the reader is: the first row in sight, how far the page is scrolled, and the order of the rows.
const PLACE: &str = "[document.querySelector('tr[data-row]').getBoundingClientRect().top, scrollY,
    [...document.querySelectorAll('tr[data-row]')].map((r) => r.dataset.row).join()]";

async fn is_live(browser: &Browser) {
    browser.until("the stream", "document.documentElement.dataset.stream === 'live'").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn new_rows_wait_and_known_ones_change_in_place() {
    let test = TestApp::start().await;
    alerts(&test, 0..30, "high").await;
    let browser = Browser::signed_in(&test).await;
    is_live(&browser).await;
    assert_eq!(browser.count("tr[data-row]").await, 30);
    browser.js("scrollTo(0, 300)").await;
    browser.until("the scroll", "scrollY === 300").await;
    browser.js("(watched.moved = 0, watched.moves.length = 0)").await;
    let before = browser.js(PLACE).await;

    alerts(&test, 30..32, "critical").await;
    browser.sees("#newpill", "2 new incidents, 2 critical").await;
    browser.until("the number of open ones in the title", "document.title.includes('32')").await;

    test.post("/api/incidents/7/acknowledge", &Value::Null).await;
    let owner = test.get("/api/incidents/7").await.json["owner"].as_str().unwrap().to_owned();
    let cell = "tr[data-row='INC-7'] .c-own .av";
    browser.until("the owner", &format!("document.querySelector({})?.title === {}", json!(cell), json!(owner))).await;
    assert_eq!(browser.js(PLACE).await, before, "what is read stays where it is");
    let moves = browser.js("watched.moves").await;
    assert_eq!(browser.js("watched.moved").await, json!(0), "{moves}");

    browser.press(".").await;
    browser.gone("#newpill").await;
    assert_eq!(browser.count("tr[data-row]").await, 32);
    assert_eq!(browser.count("tr[data-row='INC-31']").await, 1);
    assert_eq!(browser.js("scrollY").await, json!(0));
    assert_eq!(browser.count("tr.cur.new").await, 1, "the cursor is on a new one");
    alerts(&test, 32..33, "high").await;
    browser.click("#newpill button").await;
    browser.sees("tr[data-row='INC-33']", "Queue 32 is late").await;
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_or_doubled_over_a_cut() {
    let mut test = TestApp::start().await;
    alerts(&test, 0..6, "high").await;
    let browser = Browser::signed_in(&test).await;
    is_live(&browser).await;
    let before = browser.js(PLACE).await;
    browser.sees("#live", "Live").await;

    test.take_away().await;
    browser.sees("#live", "Reconnecting").await;
    browser.sees("#offline", "Live updates paused").await;
    browser.sees("#beacon", "Not live").await;
    test.bring_back().await;
    alerts(&test, 6..11, "high").await;
    test.post("/api/incidents/2/acknowledge", &Value::Null).await;

    browser.sees("#newpill", "5 new incidents").await;
    browser.sees("#live", "Live").await;
    browser.gone("#offline").await;
    browser.sees("#beacon", "open").await;
    browser.until("the changed row", "document.querySelector(\"tr[data-row='INC-2'] .av\")").await;
    assert_eq!(browser.js(&PLACE.replace(".top", ".left")).await[2], before[2]);
    browser.click("#newpill button").await;
    browser.until("the new rows", "document.querySelectorAll('tr[data-row]').length === 11").await;
    let ids =
        browser.js("[...new Set([...document.querySelectorAll('tr[data-row]')].map((r) => r.dataset.row))].length");
    assert_eq!(ids.await, json!(11), "each once");
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn paused_by_the_reader_it_catches_up_afterwards() {
    let test = TestApp::start().await;
    alerts(&test, 0..2, "high").await;
    let browser = Browser::signed_in(&test).await;
    is_live(&browser).await;
    let other = Browser::new(&test).await;
    other.sign_in(NAME, PASSWORD).await;
    other.at("/incidents").await;
    is_live(&other).await;
    browser.click("#live").await;
    browser.sees("#live", "Paused by you").await;
    alerts(&test, 2..5, "high").await;
    // Whoever is not paused has them by now.
    other.sees("#newpill", "3 new incidents").await;
    assert_eq!(browser.js("document.getElementById('newpill').hidden").await, true);
    browser.click("#live").await;
    browser.sees("#newpill", "3 new incidents").await;
    test.stop().await;
}
