//! Alerts over time, what is told outside of the page, and two people at one postmortem.

use std::time::Duration;

use serde_json::{Value, json};

use crate::{
    browser::Browser,
    support::{TestApp, start_of_time},
};

async fn is_live(browser: &Browser) {
    browser.until("the stream", "document.documentElement.dataset.stream === 'live'").await;
}

async fn send(test: &TestApp, n: u64, severity: &str) {
    let started = start_of_time().minus(Duration::from_secs(n * 600));
    let body = json!({"title": format!("Queue {n} is late"), "service": format!("queue-{n}"), "severity": severity,
        "key": format!("q-{n}"), "started_at": started});
    assert_eq!(test.deliver("generic", &body).await.status, 202);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_time_is_chosen_on_the_chart_and_new_alerts_wait() {
    let test = TestApp::start().await;
    for n in 0..3 {
        send(&test, n, "high").await;
        test.clock.advance(Duration::from_secs(3 * 3600));
    }
    let browser = Browser::signed_in(&test).await;
    browser.open("/alerts").await;
    is_live(&browser).await;
    assert_eq!(browser.count("[data-chart] a").await, 3, "a bar for each slice with something in it");
    browser.js("(watched.moved = 0, watched.moves.length = 0)").await;
    send(&test, 7, "critical").await;
    browser.sees("#newalerts", "1 new alert").await;
    browser.sees("[data-heading]", "4").await;
    assert_eq!(browser.count("#alert-rows tr").await, 3, "what is read stays");
    assert_eq!(browser.js("watched.moved").await, json!(0), "{}", browser.js("watched.moves").await);
    browser.press(".").await;
    browser.sees("#alert-rows tr:first-child", "Queue 7 is late").await;
    // A bar leads to the list that it counts.
    let bar = "document.querySelector('[data-chart] a').getAttribute('href')";
    let href = browser.js(bar).await.as_str().unwrap().to_owned();
    assert!(href.contains("since") && href.contains("until"), "{href}");
    browser.open(&href).await;
    assert_eq!(browser.count("#alert-rows tr").await, 1);
    browser.sees("#alert-rows tr", "Queue 0 is late").await;
    // Dragging over the middle one chooses its time.
    browser.open("/alerts").await;
    browser.until("scripts", "document.documentElement.classList.contains('on')").await;
    let middle = "(() => { const r = document.querySelectorAll('[data-chart] a rect.hit')[1].getBoundingClientRect();
        return [r.left, r.right, r.top + 5]; })()";
    let at = browser.js(middle).await;
    let (left, right, y) = (at[0].as_f64().unwrap(), at[1].as_f64().unwrap(), at[2].as_f64().unwrap());
    for (kind, x) in [
        ("mousePressed", left - 30.0),
        ("mouseMoved", left),
        ("mouseMoved", right + 30.0),
        ("mouseReleased", right + 30.0),
    ] {
        let event = json!({"type": kind, "x": x, "y": y, "button": "left", "buttons": 1, "clickCount": 1});
        browser.devtools("Input.dispatchMouseEvent", event).await;
    }
    browser.until("the time in the query", "document.getElementById('q')?.value.includes('until')").await;
    assert_eq!(browser.count("#alert-rows tr").await, 1);
    browser.sees("#alert-rows tr", "Queue 1 is late").await;
    let file = test.get("/alerts.csv?q=since%3A24h").await;
    assert_eq!(file.text.lines().count(), 5, "{}", file.text);
    assert!(browser.complaints().await.is_empty());
    test.stop().await;
}

/// A stand-in for the system's notifications, which remembers what was shown.
const STAND_IN: &str = "(window.shown = [], window.Notification = class {
    static permission = 'granted';
    static requestPermission = async () => 'granted';
    constructor(title, o) { window.shown.push(title + '|' + o.tag); }
    close() {} }, 1)";

#[tokio::test(flavor = "multi_thread")]
async fn notifications_and_sound_are_for_those_who_asked_for_them_and_never_twice() {
    let test = TestApp::start().await;
    send(&test, 0, "high").await;
    let browser = Browser::signed_in(&test).await;
    browser.js(STAND_IN).await;
    is_live(&browser).await;
    send(&test, 1, "critical").await;
    browser.until("the badge", "document.querySelector('[data-open]').textContent.trim() === '2'").await;
    assert_eq!(
        browser.js("[shown.length, document.documentElement.dataset.rang || 0]").await,
        json!([0, 0]),
        "it is off"
    );
    // As the settings of this browser put it on the page.
    browser.js("(Object.assign(document.documentElement.dataset, { notify: 'critical', sound: 'until' }), 1)").await;
    send(&test, 2, "high").await;
    send(&test, 3, "critical").await;
    browser.until("the notification", "shown.length").await;
    assert_eq!(browser.js("shown").await, json!(["Critical: Queue 3 is late|wf-INC-4"]));
    assert_eq!(browser.js("document.documentElement.dataset.rang").await, "1");
    browser.press(".").await;
    browser.sees("tr[data-row='INC-4']", "Critical").await;
    for (severity, words) in [("high", "High"), ("critical", "Critical")] {
        assert_eq!(test.patch("/api/incidents/4", &json!({"severity": severity})).await.status, 200);
        browser.sees("tr[data-row='INC-4']", words).await;
    }
    assert_eq!(browser.js("shown.length").await, 1, "one for each incident");
    // What follows of it is no news, and what somebody has rings no more.
    test.post("/api/incidents/4/acknowledge", &Value::Null).await;
    send(&test, 4, "high").await;
    browser.until("the badge", "document.querySelector('[data-open]').textContent.trim() === '5'").await;
    assert_eq!(browser.js("shown.length").await, 1);
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_editor_is_told_while_reading() {
    let test = TestApp::start().await;
    send(&test, 0, "high").await;
    test.post("/api/incidents/1/postmortem/draft", &json!({})).await;
    let browser = Browser::signed_in(&test).await;
    browser.open("/postmortems/1").await;
    is_live(&browser).await;
    let made = json!({"name": "kim", "role": "responder", "password": "a-long-password"});
    assert_eq!(test.post("/api/users", &made).await.status, 201);
    let other = Browser::new(&test).await;
    other.sign_in("kim", "a-long-password").await;
    other.at("/incidents").await;
    browser.js("(watched.moved = 0, watched.moves.length = 0)").await;
    other.open("/postmortems/1?edit=causes").await;
    browser.sees("[data-editor=causes]", "kim is editing Causes").await;
    assert_eq!(browser.js("watched.moved").await, json!(0), "{}", browser.js("watched.moves").await);
    other.open("/postmortems/1?left=causes").await;
    browser.until("the end of it", "document.querySelector('[data-editor=causes]').hidden").await;
    test.stop().await;
}

/// What must be the same before and after: where the page is scrolled, and where the first row stands.
const PLACE: &str = "[scrollY, document.querySelector('tr[data-row]').getBoundingClientRect().top,
    document.querySelector('tr.cur')?.dataset.row]";

#[tokio::test(flavor = "multi_thread")]
async fn twenty_arrive_and_five_change_while_the_stream_is_cut() {
    let mut test = TestApp::start().await;
    for n in 0..30 {
        send(&test, n, "high").await;
    }
    let browser = Browser::signed_in(&test).await;
    is_live(&browser).await;
    browser.press("jjjj").await;
    browser.js("scrollTo(0, 240)").await;
    browser.until("the scroll", "scrollY === 240").await;
    let before = browser.js(PLACE).await;
    test.take_away().await;
    browser.sees("#live", "Reconnecting").await;
    browser.sees("#offline", "Live updates paused").await;
    // The banner stands over what is read; what follows must not move by what arrives.
    browser.js("(watched.moved = 0, watched.moves.length = 0)").await;
    test.bring_back().await;
    for n in 30..50 {
        send(&test, n, if n < 33 { "critical" } else { "high" }).await;
    }
    for n in 3..8 {
        test.post(&format!("/api/incidents/{n}/acknowledge"), &Value::Null).await;
    }
    browser.sees("#newpill", "20 new incidents, 3 critical").await;
    browser.sees("#live", "Live").await;
    browser.gone("#offline").await;
    for n in 3..8 {
        browser.until("the changed row", &format!("document.querySelector(\"tr[data-row='INC-{n}'] .av\")")).await;
    }
    assert_eq!(browser.count("tr[data-row]").await, 30, "what is new waits");
    assert_eq!(browser.js(PLACE).await, before, "scrolled and marked as before");
    assert_eq!(browser.js("watched.moved").await, json!(0), "{}", browser.js("watched.moves").await);
    browser.until("the title", "document.title.includes('50')").await;
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_of_alerts_is_walked_by_keys_and_keys_can_be_off() {
    let test = TestApp::start().await;
    for n in 0..3 {
        send(&test, n, "high").await;
    }
    let browser = Browser::signed_in(&test).await;
    browser.press("ga").await;
    browser.at("/alerts").await;
    browser.until("scripts", "document.documentElement.classList.contains('on')").await;
    browser.press("jj").await;
    let second = browser.js("document.querySelectorAll('tr[data-row]')[1].dataset.row").await;
    assert_eq!(browser.js("document.querySelector('tr.cur').dataset.row").await, second);
    browser.press("\u{E007}").await;
    browser.until("the detail", "document.getElementById('detail')").await;
    browser.sees("#detail", "History").await;
    browser.press("gi").await;
    browser.at("/incidents").await;
    browser.until("scripts", "document.documentElement.classList.contains('on')").await;
    browser.press("jm").await;
    browser.until("whom to merge with", "document.getElementById('merge-form')").await;
    browser.js("(document.cookie = 'keys=off; path=/', 1)").await;
    browser.open("/incidents").await;
    browser.until("scripts", "document.documentElement.classList.contains('on')").await;
    browser.press("j?").await;
    assert_eq!(browser.count("tr.cur, dialog[open]").await, 0, "they are off");
    test.stop().await;
}
