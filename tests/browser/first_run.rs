//! From the link in the log to the first incident in the list.

use reqwest::Method;
use serde_json::Value;

use crate::{
    browser::{Browser, NAME, PASSWORD},
    support::{TestApp, answer},
};

/// What the command on the page sends: path, key and body.
fn command(text: &str) -> (String, String, Value) {
    let between = |from: &str, to: &str| text.split_once(from).unwrap().1.split_once(to).unwrap().0.to_owned();
    let url = between("curl -X POST ", " ");
    let path = url.split_once("/api/").unwrap().1;
    let body = text.split_once("-d '").unwrap().1.trim_end().trim_end_matches('\'');
    (format!("/api/{path}"), between("Authorization: Bearer ", "\""), serde_json::from_str(body).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn from_the_link_to_the_first_incident() {
    let test = TestApp::start().await;
    let browser = Browser::new(&test).await;
    browser.open("/incidents").await;
    browser.at("/setup").await;
    browser.sees("h1", "Set-up needs its link").await;

    browser.follow(&test.app().setup_link().await.unwrap().unwrap()).await;
    browser.fill("#u", NAME).await;
    browser.fill("#p", PASSWORD).await;
    browser.fill("#p2", "something else entirely").await;
    browser.click("form .btn.primary").await;
    browser.sees("#e", "not the same").await;
    assert_eq!(browser.js("document.getElementById('u').value").await, NAME, "what was typed stays");
    browser.fill("#p", PASSWORD).await;
    browser.fill("#p2", PASSWORD).await;
    browser.click("form .btn.primary").await;

    browser.at("/setup/first-alert").await;
    browser.sees("#waiting", "Waiting for the first webhook").await;
    let (path, key, body) = command(&browser.text("#curl").await);
    let sent = answer(test.request(Method::POST, &path).bearer_auth(key).json(&body)).await;
    assert_eq!(sent.status, 202, "{}", sent.text);
    browser.at("/setup/people").await;
    browser.sees("main", "The first alert has arrived and opened INC-1").await;
    browser.fill("#nn", "lee").await;
    browser.fill("#npw", PASSWORD).await;
    browser.click("form .btn").await;
    browser.sees("main li", "lee").await;
    browser.click("a.btn.primary").await;
    browser.at("/setup/done").await;
    browser.sees("main", "2 accounts so far").await;
    browser.click("a.btn.primary").await;
    browser.at("/incidents").await;
    browser.sees("tr[data-row='INC-1']", body["title"].as_str().unwrap()).await;
    assert_eq!(browser.count("tr[data-row]").await, 1);
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn out_and_in_again() {
    let test = TestApp::start().await;
    let browser = Browser::signed_in(&test).await;
    browser.click("form[action='/logout'] button").await;
    browser.at("/login").await;
    browser.open("/connectors").await;
    browser.at("/login").await;
    browser.fill("#u", NAME).await;
    browser.fill("#p", "not the password").await;
    browser.click("form .btn.primary").await;
    browser.sees("#e", "password is wrong").await;
    assert_eq!(browser.js("document.getElementById('u').value").await, NAME, "the name stays");
    assert_eq!(browser.js("document.activeElement.id").await, "p");
    browser.fill("#p", PASSWORD).await;
    browser.click("form .btn.primary").await;
    browser.at("/connectors").await;
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_typed_outlives_the_session() {
    let test = TestApp::start().await;
    test.deliver("generic", &serde_json::json!({"title": "Slow", "service": "api", "severity": "high"})).await;
    let browser = Browser::signed_in(&test).await;
    let day = std::time::Duration::from_secs(86_400);
    browser.open("/incidents/1").await;
    assert_eq!(browser.count("#ending").await, 0, "a day is left");
    test.clock.advance(day - std::time::Duration::from_secs(90));
    browser.open("/incidents/1").await;
    browser.sees("#ending", "Your session ends in 2 minutes").await;
    browser.fill("[data-comment]", "It began with the").await;
    browser.click("#ending .btn").await;
    browser.gone("#ending").await;
    assert_eq!(browser.js("document.querySelector('[data-comment]').value").await, "It began with the");

    // The next time nobody presses it: the form is sent too late, and nothing of it is lost.
    test.clock.advance(day + std::time::Duration::from_secs(60));
    browser.click("form[action$='/comment'] .btn").await;
    browser.at("/login").await;
    browser.fill("#u", NAME).await;
    browser.fill("#p", PASSWORD).await;
    browser.click("form .btn.primary").await;
    browser.at("/incidents/1").await;
    browser.until("the text", "document.querySelector('[data-comment]').value === 'It began with the'").await;
    browser.click("form[action$='/comment'] .btn").await;
    browser.sees(".tl", "It began with the").await;
    browser.open("/incidents/1").await;
    browser.until("scripts", "document.documentElement.classList.contains('on')").await;
    assert_eq!(
        browser.js("document.querySelector('[data-comment]').value").await,
        "",
        "sent once, and not proposed again"
    );
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn times_of_this_browser() {
    let test = TestApp::start().await;
    test.deliver("generic", &serde_json::json!({"id": "a", "title": "Slow", "service": "api", "severity": "high"}))
        .await;
    let browser = Browser::signed_in(&test).await;
    browser.open("/settings/browser").await;
    browser.until("a proposal", "document.getElementById('tz').value !== ''").await;
    browser.fill("#tz", "America/New_York").await;
    browser.click("form[data-browser] .btn.primary").await;
    browser.sees(".toast", "Saved").await;
    browser.open("/incidents/1").await;
    browser.sees(".tl", "05:30:00").await;
    // What is sent to everybody is said in the same zone.
    test.clock.advance(std::time::Duration::from_secs(3600));
    browser.open("/incidents").await;
    browser.until("scripts", "document.documentElement.classList.contains('on')").await;
    test.deliver("generic", &serde_json::json!({"id": "b", "title": "New", "service": "other", "severity": "high"}))
        .await;
    browser.sees("#newpill", "1 new incident").await;
    browser.press(".").await;
    browser
        .until(
            "its time",
            "[...document.querySelectorAll('tr[data-row=\"INC-2\"] time')].some((t) => t.title.endsWith('EST'))",
        )
        .await;
    test.stop().await;
}
