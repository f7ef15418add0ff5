//! With scripts switched off: plain links and forms do it all.

use serde_json::json;

use crate::{
    browser::{Browser, With},
    support::TestApp,
};

#[tokio::test(flavor = "multi_thread")]
async fn read_filter_and_act() {
    let test = TestApp::start().await;
    for (title, service, hours) in [("Disk full", "log-store", 0), ("Queue is late", "mailer", 2)] {
        let started = crate::support::start_of_time().minus(std::time::Duration::from_secs(hours * 3600));
        test.deliver(
            "generic",
            &json!({"title": title, "service": service, "severity": "high", "started_at": started}),
        )
        .await;
    }
    test.analyzed("1").await;
    let browser = Browser::signed_in_with(&test, With { scripts: false, ..With::default() }).await;
    browser.sees("tr[data-row='INC-1']", "Disk full").await;
    assert_eq!(browser.count("html.on").await, 0, "scripts are off");
    browser.gone(".js").await;

    browser.fill("#q", "service:mailer status:open").await;
    browser.press("\u{E007}").await;
    browser.sees("tr[data-row='INC-2']", "Queue is late").await;
    browser.gone("tr[data-row='INC-1']").await;
    browser.open("/incidents").await;
    browser.click("details.menu:has(input[value=low]) summary").await;
    browser.click("details.menu[open] input[value=low]").await;
    browser.click("details.menu[open] .btn.primary").await;
    browser.sees("#empty", "No incident matches").await;

    browser.open("/incidents").await;
    browser.click("tr[data-row='INC-1'] a.t").await;
    browser.at("/incidents/INC-1").await;
    browser.sees("#th", "steps").await;
    browser.click("#spread details summary").await;
    browser.sees("#spread table", "Worst").await;
    browser.click(".acts [data-key=a]").await;
    browser.sees(".acts", "Take back").await;
    browser.sees(".toast", "Acknowledged").await;
    browser.click(".toast button").await;
    browser.sees(".toast", "Taken back").await;
    browser.sees(".acts [data-key=a]", "Acknowledge").await;
    let more = async |what: &str| {
        browser.click(".acts details.menu summary").await;
        browser.click(&format!(".acts details.menu {what}")).await;
    };
    more("a[href*='do=assign']").await;
    browser.click("#ask [value=me]").await;
    browser.sees(".acts", "Take back").await;
    more("a[href*='do=severity']").await;
    browser.click("#ask input[value=low]").await;
    browser.fill("#sev-why", "Nobody reads these logs").await;
    browser.click("#ask .btn.primary").await;
    browser.sees("[data-panel=head]", "severity set by hand").await;
    browser.sees("[data-panel=timeline]", "from high to low: Nobody reads these logs.").await;
    more("a[href*='do=severity']").await;
    browser.click("#ask [name=back]").await;
    browser.sees("[data-panel=timeline]", "Severity is its alerts' again").await;
    more("a[href*='do=snooze']").await;
    browser.click("#ask [value=morning]").await;
    browser.sees("[data-panel=head]", "snoozed until").await;
    more("form[action$='/wake'] button").await;
    browser.sees(".toast", "Woken by you").await;
    browser.click(".retitle summary").await;
    browser.fill("#retitle", "Disk of the logs is full").await;
    browser.click(".retitle .btn").await;
    browser.sees("h1", "Disk of the logs is full").await;
    more("a[href$='/markdown']").await;
    browser.sees("pre", "# INC-1: Disk of the logs is full").await;
    browser.open("/incidents/1").await;
    browser.click(".acts [data-key=m]").await;
    browser.sees("#merge-form", "INC-2").await;
    browser.open("/incidents/1").await;
    browser.fill("#cm", "Old logs go first").await;
    browser.click("form[action$='/comment'] .btn").await;
    browser.sees("[data-panel=timeline] .said", "Old logs go first").await;
    browser.click(".acts [data-key=r]").await;
    browser.fill("#why", "Old logs deleted").await;
    browser.click("#resolve-form .btn.primary").await;
    browser.sees("[data-panel=head]", "Resolved").await;
    browser.sees("[data-panel=timeline]", "Old logs deleted").await;
    browser.click(".acts form[action$='/reopen'] button").await;
    browser.sees(".acts", "Resolve").await;
    assert_eq!(test.get("/api/incidents/1").await.json["resolved_at"], serde_json::Value::Null);
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_of_your_own_is_tried_made_and_removed() {
    let test = TestApp::start().await;
    test.deliver("generic", &json!({"title": "Disk full", "level": "hihg"})).await;
    let browser = Browser::signed_in_with(&test, With { scripts: false, ..With::default() }).await;
    browser.open("/connectors").await;
    browser.click("a.tile[href='/connectors/new']").await;
    browser.at("/connectors/new").await;
    browser.fill("#f-slug", "my-disks").await;
    browser.fill("#f-title", "'Disk: ' ~ item.title").await;
    browser.click("#f-on option:nth-child(2)").await;
    browser.click("button[value=try]").await;
    browser.sees("#tried", "Disk: Disk full").await;
    browser.click("button[value=save]").await;
    browser.at("/connectors/my-disks").await;
    browser.sees("#url", "/api/webhooks/my-disks").await;
    browser.sees(".toast", "Saved").await;
    browser.click("a[href='/connectors/my-disks/declaration']").await;
    browser.click("details.fold summary").await;
    browser.click("button[value=remove]").await;
    browser.at("/connectors").await;
    browser.sees(".toast", "Source removed").await;
    assert_eq!(test.get("/api/connectors/my-disks").await.status, 404);
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connector_is_set_up_tried_and_paused() {
    let test = TestApp::start().await;
    let browser = Browser::signed_in_with(&test, With { scripts: false, ..With::default() }).await;
    browser.open("/connectors/jenkins").await;
    browser.click("#rca button").await;
    browser.sees("#rca", "On: a failed build opens an incident").await;
    browser.fill("#rate", "60").await;
    browser.click("#limits button").await;
    browser.sees(".toast", "Saved").await;
    assert_eq!(test.get("/api/connectors/jenkins").await.json["rate_per_minute"], 60);
    browser.click("#test button").await;
    browser.sees("#test [role=status]", "ms. Understood").await;
    browser.click("#switch button[value=pause]").await;
    browser.sees("#connector-state", "Paused until").await;
    browser.click("#switch button").await;
    browser.sees("#connector-state", "Receiving").await;
    browser.open("/connectors").await;
    browser.click("tr[data-platform=jenkins] .rca button").await;
    browser.at("/connectors").await;
    browser.sees(".toast", "Saved").await;
    assert_eq!(test.get("/api/connectors/jenkins").await.json["rca_enabled"], false);
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_keeps_what_was_typed() {
    let test = TestApp::start().await;
    test.deliver("generic", &json!({"title": "Disk full", "service": "log-store", "severity": "high"})).await;
    let browser = Browser::signed_in_with(&test, With { scripts: false, ..With::default() }).await;
    browser.open("/incidents/1?do=resolve").await;
    browser.fill("#why", "My own reason").await;
    test.post("/api/incidents/1/resolve", &json!({"reason": "somebody was faster"})).await;
    browser.click("#resolve-form .btn.primary").await;
    browser.sees("#refused", "esolved").await;
    let typed = browser.js("[...document.querySelectorAll('textarea')].map((t) => t.value).join()").await;
    assert!(typed.as_str().unwrap().contains("My own reason"), "{typed}");
    test.stop().await;
}
