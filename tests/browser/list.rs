//! The incident list under somebody's hands: completion, choosing all that match, saved views.

use std::time::Duration;

use serde_json::json;

use crate::{
    browser::Browser,
    support::{TestApp, start_of_time},
};

const ENTER: &str = "\u{E007}";
const ESCAPE: &str = "\u{E00C}";
const DOWN: &str = "\u{E015}";
const UP: &str = "\u{E013}";
const VALUE: &str = "document.getElementById('q').value";

async fn many(test: &TestApp, n: u64) {
    // Something is known of each, so that the clock alone does not put them together.
    let names: Vec<String> = (0..n).map(|n| format!("queue-{n}")).collect();
    let apart: Vec<_> = names.iter().map(|s| json!({"name": s, "depends_on": [format!("{s}-store")]})).collect();
    assert!(test.put("/api/topology", &json!({"services": apart})).await.status.is_success());
    for n in 0..n {
        let started = start_of_time().minus(Duration::from_secs(n * 2400));
        let severity = if n == 0 { "critical" } else { "high" };
        let body = json!({"title": format!("Queue {n} is late"), "host": format!("host-{n}"), "service": format!("queue-{n}"), "severity": severity,
            "started_at": started});
        assert_eq!(test.deliver("generic", &body).await.status, 202);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_is_completed_by_keys() {
    let test = TestApp::start().await;
    many(&test, 2).await;
    let browser = Browser::signed_in(&test).await;
    browser.until("scripts", "document.querySelector('#q[role=combobox]')?.ariaExpanded === 'false'").await;
    browser.fill("#q", "sev").await;
    browser.sees("#q-list", "severity:").await;
    browser.press(DOWN).await;
    browser.until("an option", "document.getElementById('q').getAttribute('aria-activedescendant') === 'qc0'").await;
    browser.press(ENTER).await;
    assert_eq!(browser.js(VALUE).await, "severity:");
    // Its values follow by themselves; up from the field is the last of them.
    browser.sees("#q-list", "critical").await;
    browser.press(UP).await;
    browser.press(DOWN).await;
    browser.press(ENTER).await;
    assert_eq!(browser.js(VALUE).await, "severity:critical ");
    browser.press("-ow").await;
    browser.sees("#q-list", "owner:").await;
    browser.press(ESCAPE).await;
    browser.until("it is closed", "document.getElementById('q-list').hidden").await;
    assert_eq!(browser.js("document.activeElement.id").await, "q", "the first Escape closes the list only");
    browser.fill("#q", "severity:critical").await;
    browser.press(ENTER).await;
    browser
        .until(
            "the filtered list",
            "location.search.includes('severity%3Acritical') && !location.search.includes('was')",
        )
        .await;
    browser.sees("tr[data-row='INC-1']", "Queue 0").await;
    browser.gone("tr[data-row='INC-2']").await;
    assert_eq!(browser.complaints().await, [""; 0]);
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_that_match_are_chosen_and_a_view_is_kept() {
    let test = TestApp::start().await;
    many(&test, 28).await;
    let browser = Browser::signed_in(&test).await;
    browser.open("/incidents?q=severity:high&limit=25").await;
    browser.until("scripts", "document.documentElement.classList.contains('on')").await;
    browser.click("[data-all]").await;
    browser.sees("[data-count-selected]", "25 selected").await;
    browser.click("[data-whole]").await;
    browser.sees("[data-count-selected]", "27 selected").await;
    browser.click("#bulk [value=acknowledge]").await;
    browser.sees(".toasts", "27 acknowledged").await;
    test.until("/api/incidents?q=owner:none", |all| all["total"] == 1).await;

    browser.open("/incidents?q=severity:critical").await;
    browser.until("scripts", "document.documentElement.classList.contains('on')").await;
    browser.click("#keep summary").await;
    browser.fill("#v-name", "Burning").await;
    browser.click("#keep .btn.primary").await;
    browser.until("the view", "location.search === '?view=V-1'").await;
    browser.sees(".rail .saved [data-count='V-1']", "1").await;
    browser.sees(".views [aria-current]", "Burning").await;
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_reaches_every_page_and_chooses_with_the_thumb() {
    let test = TestApp::start().await;
    many(&test, 3).await;
    let browser = Browser::signed_in(&test).await;
    browser.size(390, 844).await;
    browser.open("/incidents").await;
    let bar =
        "[...document.querySelectorAll('.tabbar a')].map((a) => a.textContent.trim().replace(/\\d+$/, '')).join(' ')";
    assert_eq!(browser.js(bar).await, "Incidents Alerts Connectors Insights Settings");
    // What has no place in it is linked from the page that it goes with.
    for (page, link) in [("/insights", "/postmortems"), ("/connectors", "/topology"), ("/alerts", "/silences")] {
        browser.open(page).await;
        let seen =
            format!("[...document.querySelectorAll('main a[href=\"{link}\"]')].some((a) => a.checkVisibility())");
        assert_eq!(browser.js(&seen).await, true, "{link} on {page}");
    }
    browser.open("/incidents").await;
    browser.until("scripts", "document.documentElement.classList.contains('on')").await;
    browser.click(".facetrow details:nth-of-type(2) summary").await;
    // It stands on the bar at the bottom, as wide as the screen.
    let sheet = "(() => { const p = document.querySelector('.facetrow details[open] .pop').getBoundingClientRect(), b = document.querySelector('.tabbar').getBoundingClientRect(); return Math.abs(p.bottom - b.top) < 2 && p.left === 0 && p.width === innerWidth })()";
    browser.until("a sheet at the bottom", sheet).await;
    browser.click(".facetrow details[open] input[value=critical]").await;
    browser.click(".facetrow details[open] .btn.primary").await;
    browser.until("the list of them", "location.search.includes('severity%3Acritical')").await;
    browser.gone("tr[data-row='INC-2']").await;
    // One alert is a page of its own, and the way back leads to the list.
    browser.open("/alerts").await;
    browser.click("tr[data-row] a.t").await;
    browser.until("the alert", "location.search.includes('id=') && !!document.querySelector('#detail')").await;
    let alone = "[...document.querySelectorAll('.beside')].every((e) => !e.checkVisibility()) && document.querySelector('#detail').checkVisibility()";
    assert_eq!(browser.js(alone).await, true);
    browser.click("#detail [aria-label=Close]").await;
    browser.until("the list again", "location.pathname === '/alerts' && !document.querySelector('#detail')").await;
    assert_eq!(browser.complaints().await, [""; 0]);
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sound_is_switched_in_the_rail_and_alerts_are_put_together() {
    let test = TestApp::start().await;
    many(&test, 3).await;
    let browser = Browser::signed_in(&test).await;
    browser.open("/alerts").await;
    browser.until("scripts", "document.documentElement.classList.contains('on')").await;
    browser.until("it is off", "document.querySelector('[name=sound]').ariaPressed === 'false'").await;
    browser.click("[name=sound]").await;
    browser.until("it is on", "document.documentElement.dataset.sound === 'once'").await;
    assert_eq!(
        browser.js("location.pathname + document.querySelector('[name=sound]').ariaPressed").await,
        "/alertstrue"
    );
    browser.run("const s = document.querySelector('#by'); s.value = 'service'; s.dispatchEvent(new Event('change', { bubbles: true }))").await;
    browser.until("groups", "location.search === '?group=service'").await;
    browser.sees(".tbl tbody", "queue-1").await;
    browser.click(".tbl a.t").await;
    browser.until("one group", "location.search.includes('service%3Aqueue')").await;
    assert_eq!(browser.count("tr[data-row]").await, 1);
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_are_snoozed_at_once_and_woken_again() {
    let test = TestApp::start().await;
    many(&test, 3).await;
    let browser = Browser::signed_in(&test).await;
    browser.press("jxjx").await;
    browser.sees("[data-count-selected]", "2 selected").await;
    browser.click("#bulk summary").await;
    browser.click("#bulk [value=snooze-240]").await;
    browser.sees(".toasts", "2 snoozed").await;
    browser.until("both say until when", "document.querySelectorAll('tr[data-group=muted]').length === 2").await;
    browser.sees("tr[data-group=muted] .why time", "14:30").await;
    browser.gone("#bulk").await;
    browser.click(".toast button").await;
    browser.sees(".toasts", "2 undone").await;
    browser.until("both are awake", "!document.querySelector('tr[data-group=muted]')").await;
    // What is closed cannot wait: it is refused, and said in its row.
    assert_eq!(test.post("/api/incidents/2/resolve", &json!({})).await.status, 200);
    browser.open("/incidents").await;
    browser.until("scripts", "document.documentElement.classList.contains('on')").await;
    browser.click("[data-all]").await;
    browser.click("#bulk summary").await;
    browser.click("#bulk [value=snooze-morning]").await;
    browser.sees(".toasts", "2 snoozed, 1 could not be").await;
    browser.sees("tr[data-row='INC-2'].no .why", "resolved").await;
    assert_eq!(test.get("/api/incidents/1").await.json["snoozed"]["until"], "2026-03-04T09:00:00.000Z");
    test.stop().await;
}

/// Of the rows, the least and the largest height.
const HEIGHTS: &str =
    "(() => { const all = [...document.querySelectorAll('tr[data-row]')].map((r) => r.getBoundingClientRect().height);
    return [Math.min(...all), Math.max(...all)]; })()";

#[tokio::test(flavor = "multi_thread")]
async fn rows_have_their_heights_and_the_page_its_number_of_nodes() {
    let test = TestApp::start().await;
    many(&test, 60).await;
    let browser = Browser::signed_in(&test).await;
    browser.until("the stream", "document.documentElement.dataset.stream === 'live'").await;
    assert_eq!(browser.count("tr[data-row]").await, 50);
    let nodes = browser.count("*").await;
    assert!(nodes <= 1_500, "{nodes} nodes with 50 rows");
    let check = async |address: &str, from: f64, to: f64, fit: u64| {
        browser.open(address).await;
        let heights = browser.js(HEIGHTS).await;
        let (least, most) = (heights[0].as_f64().unwrap(), heights[1].as_f64().unwrap());
        assert!(from <= least && most <= to, "{address}: rows of {least} to {most} px");
        let seen = "[...document.querySelectorAll('tr[data-row]')].filter((r) => r.getBoundingClientRect().bottom <= innerHeight).length";
        let seen = browser.js(seen).await.as_u64().unwrap();
        assert!(seen >= fit, "{address}: {seen} rows on a laptop");
    };
    check("/incidents?density=roomy", 52.0, 55.0, 10).await;
    check("/incidents?density=compact", 34.0, 36.0, 14).await;
    // The reader's setting is what holds without a word in the address.
    browser.js("(document.cookie = 'density=compact; path=/', 1)").await;
    check("/incidents", 34.0, 36.0, 14).await;
    // The query and its facets stand on one line, at 1440 as on a laptop.
    let line = "(() => { const at = (s) => document.querySelector(s).getBoundingClientRect(), f = at('.facetrow'), q = at('.q');
        return [f.height <= q.height + 2, Math.abs(f.top - q.top) <= 2, q.width >= 208] })()";
    assert_eq!(browser.js(line).await, json!([true, true, true]));
    // Beside the rail of a small laptop, titles are still read.
    browser.size(1024, 768).await;
    browser.open("/incidents").await;
    let title = browser.js("document.querySelector('.inc .c-t').clientWidth").await.as_u64().unwrap();
    assert!(title >= 200, "a title has {title} px");
    test.stop().await;
}
