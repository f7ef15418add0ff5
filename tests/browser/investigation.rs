//! What an investigation shows: marks, tables beside pictures, why a score is what it is, and what comes while it is read.

use serde_json::{Value, json};

use crate::{
    browser::Browser,
    support::{TOKEN, TestApp, answer, start_of_time},
};

async fn alert(test: &TestApp, second: u64, title: &str, service: &str) {
    let at = start_of_time().plus(std::time::Duration::from_secs(second));
    let body = json!({"title": title, "service": service, "severity": "critical", "started_at": at});
    let sent = test.deliver("generic", &body).await;
    assert_eq!(sent.json["alerts"][0]["incident_id"], "INC-1", "{}", sent.text);
}

/// Three services that call each other, a deployment, and three alerts.
async fn outage() -> TestApp {
    let test = TestApp::start_any().await;
    let services = json!({"services": [
        {"name": "checkout-api", "depends_on": ["payments-worker"]},
        {"name": "payments-worker", "depends_on": ["payments-db"]},
    ]});
    let put = test.request(reqwest::Method::PUT, "/api/topology").bearer_auth(TOKEN).json(&services);
    assert_eq!(answer(put).await.status, 200);
    let deploy = json!({"service": "payments-worker", "kind": "deploy", "title": "payments-worker 2.14.0",
        "version": "2.14.0", "at": start_of_time().minus(std::time::Duration::from_secs(120))});
    assert!(test.post("/api/changes", &deploy).await.status.is_success());
    alert(&test, 0, "PostgreSQL connections above 95 %", "payments-db").await;
    alert(&test, 20, "Pool of payments-worker exhausted", "payments-worker").await;
    alert(&test, 40, "Checkout error rate above 5 %", "checkout-api").await;
    test
}

#[tokio::test(flavor = "multi_thread")]
async fn marks_lead_to_evidence_and_shares_add_up() {
    let test = outage().await;
    test.analyzed("1").await;
    let browser = Browser::signed_in(&test).await;
    browser.open("/incidents/1").await;

    // The line of a mark is shown to those who come by keyboard, too.
    let id = browser.js("document.querySelector('#answer .ev').hash.slice(1)").await;
    let id = id.as_str().unwrap();
    browser.js("(document.querySelector('#answer .ev').focus({focusVisible: true}), 1)").await;
    let line = browser.js("getComputedStyle(document.activeElement, '::after').content").await;
    let entry = browser.text(&format!("#{id} dd")).await;
    let title = entry.lines().next().unwrap();
    assert!(line.as_str().unwrap().contains(title), "{line}: {entry}");
    browser.click("#answer .ev").await;
    browser.until("the entry", &format!("document.querySelector('#ev div:target')?.id === '{id}'")).await;

    assert_eq!(browser.count("#hyp details[open]").await, 0);
    browser.js("(document.getElementById('hyp').scrollIntoView(), 1)").await;
    browser.click("#hyp .why summary").await;
    let shares = "[...document.querySelectorAll('#hyp .why[open] :is(tbody,tfoot) td:last-child')]
        .map((e) => Number(e.innerText.replace('\u{2212}', '-')))";
    let shares: Vec<f64> = serde_json::from_value(browser.js(shares).await).unwrap();
    let (score, shares) = shares.split_last().unwrap();
    assert!(!shares.is_empty() && (shares.iter().sum::<f64>() - score).abs() < 1e-9, "{shares:?} of {score}");
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pictures_have_tables_and_stay_open_while_alerts_join() {
    let test = outage().await;
    test.analyzed("1").await;
    let browser = Browser::signed_in(&test).await;
    browser.open("/incidents/1").await;
    browser.until("the stream", "document.documentElement.dataset.stream === 'live'").await;

    let lanes = "[...document.querySelectorAll('.story-fig .lab')].map((e) => e.textContent)";
    assert_eq!(browser.js(lanes).await, json!(["payments-db", "payments-worker", "checkout-api"]));
    assert_eq!(browser.count(".story-fig use").await, 3);
    browser.sees("#spread .sub", "3 alerts on 3 services in 40 s").await;
    assert_eq!(browser.count("#spread .map .node").await, 3);
    assert_eq!(browser.count("#spread .map .origin").await, 1);
    browser.click("#spread details:nth-of-type(1) summary").await;
    browser.sees("#spread table", "payments-worker 2.14.0").await;
    browser.click("#spread .map-fig + details summary").await;
    let rows = "[...document.querySelectorAll('#spread .map-fig + details tbody tr')].map((e) => [...e.cells].map((c) => c.innerText).join(' '))";
    assert_eq!(
        browser.js(rows).await,
        json!(["checkout-api payments-worker 1, 1", "payments-worker payments-db 1, 1"])
    );
    browser.js("(document.querySelector('#spread .map-fig + details summary').focus(), 1)").await;

    alert(&test, 50, "Checkout latency above 2 s", "checkout-api").await;
    browser.sees("#spread .sub", "4 alerts on 3 services in 50 s").await;
    browser.sees("#spread .map-fig + details", "2, 1").await;
    assert_eq!(browser.count("#spread details[open]").await, 2, "what is open stays open");
    let focus = "document.activeElement.closest('details')?.previousElementSibling?.className";
    assert_eq!(browser.js(focus).await, "map-fig", "the focus stays");
    test.stop().await;
}

const AT_END: &str = "((l) => l.scrollHeight > l.clientHeight && l.scrollHeight - l.scrollTop - l.clientHeight < 24)(document.querySelector('.thoughts'))";

#[tokio::test(flavor = "multi_thread")]
async fn thoughts_are_followed_only_by_those_at_their_end() {
    let test = outage().await;
    let browser = Browser::signed_in(&test).await;
    browser.open("/incidents/1").await;
    browser.until("the stream", "document.documentElement.dataset.stream === 'live'").await;
    // A box of few lines, so that there is something to scroll.
    browser.js("(document.querySelector('.thoughts').style.maxHeight = '4rem')").await;
    // Whoever is in it reads it: it does not fold.
    browser.js("(document.querySelector('.thoughts').focus(), 1)").await;
    let done = test.analyzed("1").await;
    let lines =
        format!("document.querySelectorAll('.thoughts li').length === {}", done["thoughts"].as_array().unwrap().len());
    browser.until("all lines", &lines).await;
    browser.until("the end", AT_END).await;
    browser.sees("#th header", "steps in").await;
    browser.until("the steps", "document.querySelector('[data-follow]').getAttribute('aria-pressed') === 'true'").await;

    // Whoever reads further up stays there, and Follow says so.
    browser.js("(document.querySelector('.thoughts').scrollTop = 0)").await;
    browser
        .until("no following", "document.querySelector('[data-follow]').getAttribute('aria-pressed') === 'false'")
        .await;
    browser.js("(document.querySelector('.thoughts li').dataset.old = 1)").await;
    assert!(test.post("/api/incidents/1/investigate", &Value::Null).await.status.is_success());
    test.analyzed("1").await;
    browser.until("a second run", "!document.querySelector('.thoughts [data-old]')").await;
    browser.until("all lines", &lines).await;
    assert_eq!(browser.js("document.querySelector('.thoughts').scrollTop").await, 0, "the reader is left alone");
    browser.click("[data-follow]").await;
    browser.until("the end", AT_END).await;

    // Folded once it is done.
    browser.open("/incidents/1").await;
    assert_eq!(browser.count(".thoughts-fold[open]").await, 0);
    browser.sees(".thoughts-fold summary", "steps in").await;
    test.stop().await;
}
