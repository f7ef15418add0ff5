//! Several tabs of one browser: one connection for all of them, and a tab that nobody looks at does not draw.

use std::time::Duration;

use serde_json::{Value, json};

use crate::{
    browser::Browser,
    support::{PATIENCE, TestApp, start_of_time},
};

async fn send(test: &TestApp, n: u64) {
    let started = start_of_time().minus(Duration::from_secs(n * 600));
    let body = json!({"title": format!("Queue {n} is late"), "service": format!("queue-{n}"), "severity": "high",
        "key": format!("q-{n}"), "started_at": started});
    assert_eq!(test.deliver("generic", &body).await.json["alerts"][0]["new_incident"], true);
}

async fn is_live(browser: &Browser) {
    browser.until("the stream", "document.documentElement.dataset.stream === 'live'").await;
}

/// Open streams, as the server counts them.
async fn streams(test: &TestApp) -> u64 {
    let all = test.get("/metrics").await.text;
    let line = all.lines().find_map(|l| l.strip_prefix("watchfire_sse_clients ")).expect("the figure");
    line.parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn all_tabs_share_one_connection_also_when_its_tab_goes() {
    let test = TestApp::start().await;
    send(&test, 0).await;
    let browser = Browser::signed_in(&test).await;
    is_live(&browser).await;
    let first = browser.new_tab().await;
    browser.open("/incidents").await;
    let second = browser.new_tab().await;
    browser.open("/alerts").await;
    send(&test, 1).await;
    browser.sees("#newalerts", "1 new alert").await;
    is_live(&browser).await;
    let third = browser.new_tab().await;
    browser.open("/incidents/1").await;
    send(&test, 2).await;
    browser.until("the badge", "document.querySelector('[data-open]').textContent.trim() === '3'").await;
    for (tab, new) in [(&first, 2), (&second, 2)] {
        browser.to_tab(tab).await;
        browser.sees("#newpill", &format!("{new} new incidents")).await;
    }
    assert_eq!(streams(&test).await, 1, "four tabs, one connection");

    // The first tab holds it. When it is closed another one goes on, and nothing is lost.
    browser.to_tab(&first).await;
    browser.close_tab().await;
    browser.to_tab(&second).await;
    send(&test, 3).await;
    browser.sees("#newpill", "3 new incidents").await;
    browser.to_tab(&third).await;
    browser.sees("#newalerts", "3 new alerts").await;
    let deadline = std::time::Instant::now() + PATIENCE;
    while streams(&test).await != 1 {
        assert!(std::time::Instant::now() < deadline, "the old connection stays");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    test.stop().await;
}

/// As if another tab were in front.
const HIDE: &str = "(Object.defineProperty(document, 'hidden', { value: true, configurable: true }),
    document.dispatchEvent(new Event('visibilitychange')), window.drawn = [],
    new MutationObserver((all) => drawn.push(...all.map((m) => m.target.id || m.target.className || m.target.nodeName)))
        .observe(document.getElementById('main'), { subtree: true, childList: true, characterData: true, attributes: true }),
    performance.clearResourceTimings(), 1)";
const SHOW: &str = "(delete document.hidden, document.dispatchEvent(new Event('visibilitychange')), 1)";
const DONE: &str =
    "[drawn, performance.getEntriesByType('resource').map((r) => r.name).filter((n) => !n.includes('favicon'))]";

#[tokio::test(flavor = "multi_thread")]
async fn a_hidden_tab_keeps_its_title_and_draws_when_it_is_looked_at() {
    let test = TestApp::start().await;
    for n in 0..3 {
        send(&test, n).await;
    }
    let browser = Browser::signed_in(&test).await;
    is_live(&browser).await;
    // The panel over the list is asked for when figures change; that of this change is drawn before the tab is hidden.
    browser.js("(document.querySelector('#watch').firstElementChild.dataset.old = 'yes')").await;
    send(&test, 3).await;
    browser.sees("#newpill", "1 new incident").await;
    browser.until("the panel", "!document.querySelector('#watch [data-old]')").await;
    browser.js(HIDE).await;
    for n in 4..8 {
        send(&test, n).await;
    }
    test.post("/api/incidents/1/acknowledge", &Value::Null).await;
    browser.until("the title", "document.title.startsWith('(7) 8 open')").await;
    assert_eq!(browser.js(DONE).await, json!([[], []]), "nothing is drawn and nothing asked for");
    browser.js("(document.querySelector('#watch').firstElementChild.dataset.old = 'yes')").await;
    browser.js(SHOW).await;
    browser.sees("#newpill", "5 new incidents").await;
    browser.until("the owner", "document.querySelector(\"tr[data-row='INC-1'] .av\")").await;
    browser.until("the panel of now", "!document.querySelector('#watch [data-old]')").await;
    test.stop().await;
}
