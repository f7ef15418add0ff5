//! One incident while it is investigated and handled, by one person and by two.

use std::time::Duration;

use serde_json::{Value, json};

use crate::{
    browser::{Browser, NAME, PASSWORD},
    support::{TestApp, start_of_time},
};

const ENTER: &str = "\u{E007}";

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
    browser.sees("#refused", "failover").await;
    test.stop().await;
}

const LIVE: &str = "document.documentElement.dataset.stream === 'live'";

#[tokio::test(flavor = "multi_thread")]
async fn two_browsers_on_one_incident() {
    let test = TestApp::start_any().await;
    burst(&test).await;
    test.analyzed("1").await;
    let ann = Browser::signed_in(&test).await;
    let made = test.post("/api/users", &json!({"name": "bob", "role": "responder", "password": PASSWORD})).await;
    assert_eq!(made.status, 201, "{}", made.text);
    let bob = Browser::new(&test).await;
    bob.sign_in("bob", PASSWORD).await;
    bob.at("/incidents").await;
    for browser in [&ann, &bob] {
        browser.open("/incidents/1").await;
        browser.until("the stream", LIVE).await;
    }

    // One takes it: the other sees it at once, without a reload.
    bob.js("(window.same = true)").await;
    ann.click(".acts [data-key=a]").await;
    bob.sees(".acts", "Take over").await;
    bob.sees("[data-panel=head]", NAME).await;

    // Both are about to say how bad it is. The slower one is refused, sees why, and keeps the words.
    bob.click(".acts details.menu summary").await;
    bob.click(".acts a[href*='do=severity']").await;
    bob.fill("dialog #sev-why", "Only two shops are hit").await;
    bob.click("dialog input[value=medium]").await;
    ann.click(".acts details.menu summary").await;
    ann.click(".acts a[href*='do=severity']").await;
    ann.click("dialog input[value=low]").await;
    ann.fill("dialog #sev-why", "It is staging").await;
    ann.click("dialog .btn.primary").await;
    ann.sees("[data-panel=head]", "Low").await;
    ann.gone("dialog[open]").await;
    bob.sees("[data-panel=timeline]", "from critical to low: It is staging").await;
    bob.click("dialog .btn.primary").await;
    bob.sees("dialog #refused", "was critical and is low by now").await;
    bob.sees("dialog #refused", &format!("Last: {NAME}")).await;
    assert_eq!(bob.js("document.getElementById('sev-why').value").await, "Only two shops are hit", "it is kept");
    assert_eq!(bob.js("window.same").await, true, "without a reload");
    assert_eq!(test.get("/api/incidents/1").await.json["severity"], "low");

    // A title that somebody types in is left alone while the other one sets another.
    bob.click("dialog [data-close]").await;
    bob.click(".retitle summary").await;
    bob.fill("#retitle", "Payments database is full").await;
    ann.click(".retitle summary").await;
    ann.fill("#retitle", "Connections of pg-1").await;
    ann.press(ENTER).await;
    ann.sees("h1", "Connections of pg-1").await;
    ann.sees(".toast", "Title set by you").await;
    bob.sees("[data-panel=timeline]", "Title set to “Connections of pg-1”").await;
    bob.click(".retitle .btn").await;
    bob.sees("#refused", "has another title by now").await;
    assert_eq!(bob.js("document.getElementById('retitle').value").await, "Payments database is full", "it is kept");
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_done_is_taken_back() {
    let test = TestApp::start_any().await;
    burst(&test).await;
    test.analyzed("1").await;
    let browser = Browser::signed_in(&test).await;
    browser.open("/incidents/1").await;
    browser.until("scripts", "document.documentElement.classList.contains('on')").await;
    let owner = async || test.get("/api/incidents/1").await.json["owner"].clone();
    let undo = async |said: &str| {
        let toast = "[...document.querySelectorAll('.toast')].at(-1)";
        browser
            .until(said, &format!("{toast}?.textContent.includes('{said}') && {toast}.querySelector('button')"))
            .await;
        browser.js(&format!("{toast}.querySelector('button').click()")).await;
        browser.until("taken back", &format!("{toast}?.textContent === 'Taken back'")).await;
    };

    let assigned = test.patch("/api/incidents/1", &json!({"owner": "sre-2"})).await;
    assert_eq!(assigned.status, 200, "{}", assigned.text);
    browser.sees(".acts", "Take over").await;
    browser.click(".acts [data-key=a]").await;
    browser.sees(".acts", "Take back").await;
    undo("Acknowledged").await;
    assert_eq!(owner().await, "sre-2", "to whom it was before");
    browser.sees(".acts", "Take over").await;

    browser.click(".acts details.menu summary").await;
    browser.click(".acts a[href*='do=assign']").await;
    browser.click("dialog [value=nobody]").await;
    undo("Assigned").await;
    // The toast of the first undo may still stand.
    test.until("/api/incidents/1", |i| i["owner"] == "sre-2").await;

    // One alert does not belong here: one press, and back.
    assert_eq!(browser.count("#members tr").await, 3);
    browser.click("#members tr:nth-child(2) button[name=only]").await;
    browser.until("two alerts", "document.querySelectorAll('#members tr').length === 2").await;
    browser.at("/incidents/1").await;
    undo("Taken out").await;
    browser.until("three alerts", "document.querySelectorAll('#members tr').length === 3").await;
    assert_eq!(test.get("/api/incidents/1").await.json["alert_count"], 3);

    // What sticks to the top of the page may lie over it where the page was scrolled to.
    browser.js("document.querySelector('#sug .sug [value=dismissed]').click()").await;
    browser.until("dismissed", "document.querySelector('#sug .sug.out')").await;
    undo("Suggestion dismissed").await;
    browser.gone("#sug .sug.out").await;

    // Quiet for an hour, shown with its time, and awake again by hand.
    browser.click(".acts details.menu summary").await;
    browser.click(".acts a[href*='do=snooze']").await;
    browser.click("dialog [value='60']").await;
    browser.sees("[data-panel=head]", "snoozed until").await;
    browser.click(".acts details.menu summary").await;
    browser.click(".acts form[action$='/wake'] button").await;
    browser.until("awake", "!document.querySelector('[data-panel=head]').textContent.includes('snoozed')").await;

    // From the list: all at once, and back.
    browser.open("/incidents").await;
    browser.until("scripts", "document.documentElement.classList.contains('on')").await;
    browser.press("jx").await;
    browser.press("a").await;
    undo("1 acknowledged").await;
    assert_eq!(owner().await, "sre-2");
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_else_takes_out_says_so_and_the_log_folds_at_its_end() {
    let test = TestApp::start_any().await;
    burst(&test).await;
    let browser = Browser::signed_in(&test).await;
    // Nothing of the log is in sight, so nothing that is read moves by it.
    browser.size(1440, 400).await;
    browser.open("/incidents/1").await;
    browser.until("the stream", LIVE).await;
    assert_eq!(browser.count(".thoughts-fold[open]").await, 1, "open while it is written");
    test.analyzed("1").await;
    browser.until("one line", "!document.querySelector('.thoughts-fold').open").await;
    browser
        .until("its words", "document.querySelector('.thoughts-fold summary').textContent.includes('steps in')")
        .await;

    let second = "document.querySelectorAll('#members tr')[1]";
    let alert = browser.js(&format!("{second}.dataset.alert")).await;
    browser.js(&format!("({second}.querySelector('.pick').checked = true)")).await;
    let out = test.post("/api/incidents/1/split", &json!({"alert_ids": [alert]})).await;
    assert!(out.status.is_success(), "{}", out.text);
    browser.until("it says so", &format!("{second}.classList.contains('gone')")).await;
    assert_eq!(browser.count("#members tr").await, 3, "it stays where it is read");
    assert_eq!(browser.count("#members tr.gone").await, 1);
    assert_eq!(browser.js(&format!("{second}.querySelector('.pick').disabled")).await, true, "it is not sent");
    browser.sees("[data-n=al]", "2").await;
    let back = test.post("/api/incidents/1/merge", &json!({"incident_ids": [out.json["id"]]})).await;
    assert_eq!(back.status, 200, "{}", back.text);
    browser.until("it is back", "!document.querySelector('#members tr.gone')").await;
    test.stop().await;
}
