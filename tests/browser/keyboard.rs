//! From the list to a resolved incident without a pointer.

use std::time::Duration;

use serde_json::json;

use crate::{
    browser::Browser,
    support::{TestApp, start_of_time},
};

const ENTER: &str = "\u{E007}";
const ESCAPE: &str = "\u{E00C}";
const TAB: &str = "\u{E004}";

async fn three(test: &TestApp) {
    for n in 0..3_u64 {
        let started = start_of_time().minus(Duration::from_secs(n * 3600));
        let body = json!({"title": format!("Queue {n} is late"), "service": format!("queue-{n}"), "severity": "high",
            "started_at": started});
        test.deliver("generic", &body).await;
    }
}

const CURSOR: &str = "document.querySelector('tr.cur')?.dataset.row";

#[tokio::test(flavor = "multi_thread")]
async fn from_the_list_to_a_resolved_incident() {
    let test = TestApp::start().await;
    three(&test).await;
    let browser = Browser::signed_in(&test).await;
    let rows = browser.js("[...document.querySelectorAll('tr[data-row]')].map((r) => r.dataset.row)").await;
    browser.until("scripts", "document.documentElement.classList.contains('on')").await;
    browser.press("j").await;
    assert_eq!(browser.js(CURSOR).await, rows[0]);
    browser.press("jj").await;
    assert_eq!(browser.js(CURSOR).await, rows[2]);
    browser.press("j").await;
    assert_eq!(browser.js(CURSOR).await, rows[2], "the last one");
    browser.press("k").await;
    assert_eq!(browser.js(CURSOR).await, rows[1]);
    browser.press("x").await;
    browser.sees("[data-count-selected]", "1 selected").await;
    browser.press("x").await;
    browser.press(ENTER).await;
    let id = rows[1].as_str().unwrap();
    browser.at(&format!("/incidents/{id}")).await;
    browser.until("scripts", "document.documentElement.classList.contains('on')").await;

    browser.press("a").await;
    browser.sees(".acts", "Take back").await;
    browser.press("c").await;
    browser.until("the comment field", "document.activeElement.id === 'cm'").await;
    browser.press("jar?").await;
    assert_eq!(browser.js("document.getElementById('cm').value").await, "jar?", "keys are text in a field");
    assert_eq!(browser.count("dialog[open]").await, 0);
    browser.press(TAB).await;
    browser.press(ENTER).await;
    browser.sees("[data-panel=timeline] .said", "jar?").await;

    browser.press(ESCAPE).await;
    browser.press("r").await;
    browser.until("the reason field", "document.activeElement.id === 'resolve-why'").await;
    browser.press("All caught up").await;
    browser.press(TAB).await;
    browser.press(ENTER).await;
    browser.sees("[data-panel=head]", "Resolved").await;
    assert_eq!(test.get(&format!("/api/incidents/{id}")).await.json["status"], "resolved");

    browser.press("j").await;
    browser.at(&format!("/incidents/{}", rows[2].as_str().unwrap())).await;
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn from_the_list_itself() {
    let test = TestApp::start().await;
    three(&test).await;
    let browser = Browser::signed_in(&test).await;
    browser.until("scripts", "document.documentElement.classList.contains('on')").await;
    browser.press("?").await;
    browser.sees("#keys .keys", "Acknowledge").await;
    browser.press("j").await;
    assert_eq!(browser.count("tr.cur").await, 0, "keys belong to the dialog");
    browser.press(ESCAPE).await;
    browser.gone("#keys").await;

    browser.press("ja").await;
    let id = browser.js(CURSOR).await.as_str().unwrap().to_owned();
    browser.until("the owner", &format!("document.querySelector(\"tr[data-row='{id}'] .av\")")).await;
    assert_eq!(browser.js(CURSOR).await, id.as_str(), "the cursor stays on the incident");
    browser.press("r").await;
    browser.sees("#resolve", &id).await;
    browser.press(TAB).await;
    browser.press(ENTER).await;
    browser.sees(&format!("tr[data-row='{id}'] .c-st"), "Resolved").await;

    browser.press("jxkX").await;
    browser.press("r").await;
    browser.sees("#resolve", "2 incidents").await;
    browser.press("both are fine").await;
    browser.press(TAB).await;
    browser.press(ENTER).await;
    browser.gone("#resolve").await;
    test.until("/api/incidents", |all| {
        all["incidents"].as_array().unwrap().iter().filter(|i| i["status"] == "resolved").count() >= 2
    })
    .await;

    browser.press("/").await;
    browser.until("the search field", "document.activeElement.matches('[data-search]')").await;
    browser.press("ga").await;
    assert_eq!(browser.js("document.activeElement.value").await, "ga");
    browser.press(ESCAPE).await;
    browser.press("ga").await;
    browser.at("/alerts").await;
    test.stop().await;
}
