//! One incident while it is investigated and handled, by one person and by two.

use std::time::Duration;

use serde_json::{Value, json};

use crate::{
    browser::Browser,
    support::{TestApp, start_of_time},
};

async fn burst(test: &TestApp) {
    for (n, (name, service, host)) in [
        ("PostgreSQL connections above 95 %", "payments-db", "pg-1"),
        ("Checkout error rate above 5 %", "checkout-api", "node-7"),
        ("PostgreSQL waits for locks", "payments-db", "pg-1"),
    ]
    .into_iter()
    .enumerate()
    {
        let body = json!({"title": name, "service": service, "host": host, "severity": "critical",
            "started_at": start_of_time().plus(Duration::from_secs(n as u64))});
        let sent = test.deliver("generic", &body).await;
        assert_eq!(sent.json["alerts"][0]["incident_id"], "INC-1", "{}", sent.text);
    }
}

const LINES: &str = "[...document.querySelectorAll('.thoughts li')].map((l) => Number(l.dataset.n))";

#[tokio::test(flavor = "multi_thread")]
async fn thoughts_appear_as_they_are_written() {
    let test = TestApp::start_any().await;
    burst(&test).await;
    let browser = Browser::signed_in(&test).await;
    browser.open("/incidents/1").await;
    browser.until("the stream", "document.documentElement.dataset.stream === 'live'").await;
    browser.js("(window.same = true)").await;
    let before = browser.js(LINES).await.as_array().unwrap().len();
    let done = test.analyzed("1").await;
    let written = done["thoughts"].as_array().unwrap().len();
    assert!(written > before + 3, "{written} lines");
    browser.until("all lines", &format!("document.querySelectorAll('.thoughts li').length === {written}")).await;
    let numbers: Vec<u64> = serde_json::from_value(browser.js(LINES).await).unwrap();
    assert!(numbers.is_sorted_by(|a, b| a < b), "in order, each once: {numbers:?}");
    browser.sees("[data-panel=head]", "Analyzed").await;
    browser.sees("#hyp", done["causes"][0]["title"].as_str().unwrap()).await;
    assert_eq!(browser.js("window.same").await, true, "without a reload");
    browser.open("/incidents/1").await;
    let again: Vec<u64> = serde_json::from_value(browser.js(LINES).await).unwrap();
    assert_eq!(again, numbers, "the same after a reload");
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn from_acknowledged_to_open_again() {
    let test = TestApp::start_any().await;
    burst(&test).await;
    test.analyzed("1").await;
    let browser = Browser::signed_in(&test).await;
    browser.open("/incidents/1").await;

    browser.sees("#members", "Same service").await;
    browser.sees("#members", "Same time").await;
    browser.sees("#members .sub", "within the window of 5 min").await;
    assert_eq!(browser.count("#members tr").await, 3);
    assert_eq!(browser.count("#raw details[open]").await, 0);
    browser.click("#raw summary").await;
    browser.sees("#rawjson", "PostgreSQL connections above 95 %").await;

    browser.click(".acts [data-key=a]").await;
    browser.sees(".toast", "Acknowledged").await;
    browser.sees(".acts", "Take back").await;
    browser.sees("[data-panel=timeline]", "cknowledged").await;

    browser.fill("#cm", "Connections are <b>full</b>;\nkilling idle ones").await;
    browser.click("form[action$='/comment'] .btn").await;
    browser.sees("[data-panel=timeline] .said", "Connections are <b>full</b>;\nkilling idle ones").await;
    browser.until("an empty field", "document.getElementById('cm').value === ''").await;

    browser.click(".acts [data-key=r]").await;
    browser.sees("#resolve", "Resolve INC-1").await;
    browser.fill("#resolve-why", "Idle connections killed").await;
    browser.click("#resolve .btn.primary").await;
    browser.sees("[data-panel=head]", "Resolved").await;
    browser.gone("#resolve").await;
    browser.sees("[data-panel=timeline]", "Idle connections killed").await;

    browser.click(".acts form[action$='/reopen'] button").await;
    browser.sees(".acts", "Resolve").await;
    assert_eq!(test.get("/api/incidents/1").await.json["resolved_at"], Value::Null);
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_people_at_once() {
    let test = TestApp::start_any().await;
    burst(&test).await;
    test.analyzed("1").await;
    let browser = Browser::signed_in(&test).await;
    browser.open("/incidents/1").await;
    browser.until("the stream", "document.documentElement.dataset.stream === 'live'").await;

    test.post("/api/incidents/1/acknowledge", &Value::Null).await;
    browser.sees(".acts", "Take over").await;
    let commented = test.post("/api/incidents/1/comment", &json!({"text": "I am looking at pg-1"})).await;
    assert!(commented.status.is_success(), "{}", commented.text);
    browser.sees("[data-panel=timeline] .said", "I am looking at pg-1").await;

    // The dialog is open, and something is typed elsewhere, when the other one is faster.
    browser.fill("#cm", "half a sentence").await;
    browser.js("document.activeElement.blur()").await;
    browser.click(".acts [data-key=r]").await;
    browser.fill("#resolve-why", "It was the pool").await;
    test.post("/api/incidents/1/resolve", &json!({"reason": "failover"})).await;
    browser.sees("[data-panel=timeline]", "failover").await;
    assert_eq!(browser.js("document.getElementById('resolve-why').value").await, "It was the pool");
    browser.click("#resolve .btn.primary").await;
    browser.sees("#refused", "esolved").await;
    assert_eq!(browser.js("document.getElementById('resolve-why').value").await, "It was the pool", "it is kept");
    assert_eq!(browser.js("document.getElementById('cm').value").await, "half a sentence", "it is kept");
    test.stop().await;
}
