//! What comes from outside is text, whatever it looks like.

use reqwest::Method;
use serde_json::json;

use crate::{browser::Browser, support::TestApp};

fn words() -> Vec<(&'static str, String)> {
    vec![
        ("script", "<script>window.ran = 1; alert(1)</script>".to_owned()),
        ("image", "\"><img src=x onerror=\"window.ran=1\">'><svg onload=window.ran=1>".to_owned()),
        (
            "template",
            "</textarea></title></style></template>{{7*7}}${7*7}<iframe srcdoc='<script>top.ran=1</script>'>"
                .to_owned(),
        ),
        ("direction", "\u{202E}\u{2067}gnp.exe\u{200F} \u{5D0}\u{5D1}\u{5D2} \u{202D}end".to_owned()),
        (
            "control",
            "\u{0}\u{7}\u{1b}[31mred\u{1b}[0m\u{8}\u{85}\u{2028}\u{feff}\r\nX-Header: 1\t\u{1b}]8;;http://x\u{7}"
                .to_owned(),
        ),
        ("long", "W".repeat(4096)),
        ("link", "javascript:window.ran=1".to_owned()),
    ]
}

/// What must not be on a page: things that run, things that were not written by us, and a page wider than the window.
const WRONG: &str = "[
    window.ran ? 'something ran' : '',
    ...[...document.querySelectorAll('img,iframe,object,embed,base')].map((e) => 'extra ' + e.outerHTML.slice(0, 80)),
    ...[...document.scripts].filter((s) => s.textContent || !s.src.startsWith(location.origin + '/assets/')).map((s) => 'script ' + s.outerHTML.slice(0, 80)),
    ...[...document.querySelectorAll('*')].filter((e) => [...e.attributes].some((a) => a.name.startsWith('on'))).map((e) => 'handler ' + e.outerHTML.slice(0, 80)),
    ...[...document.links].filter((a) => !/^https?:$/.test(a.protocol)).map((a) => 'link ' + a.href.slice(0, 80)),
    document.documentElement.scrollWidth > innerWidth ? 'wide ' + document.documentElement.scrollWidth + ' by '
        + [...document.querySelectorAll('body *')].filter((e) => e.getBoundingClientRect().right > innerWidth + 1 && e.checkVisibility() && !e.closest('.scroll'))
        .slice(-3).map((e) => e.tagName + '#' + e.id + '.' + (e.className.baseVal ?? e.className)).join(', ') : '',
].filter(Boolean).join('; ')";

#[tokio::test(flavor = "multi_thread")]
async fn it_is_shown_and_does_nothing() {
    let test = TestApp::start().await;
    let browser = Browser::signed_in(&test).await;
    let mut pages =
        vec!["/incidents".to_owned(), "/alerts".to_owned(), "/deliveries".to_owned(), "/connectors".to_owned()];
    for (n, (name, text)) in words().into_iter().enumerate() {
        let body = json!({"title": format!("{name} {text}"), "description": text, "service": format!("{n}{text}"),
            "host": text, "environment": text, "severity": "critical", "url": text, "runbook_url": text, "key": text,
            "labels": {"plain": text, (text.clone()): "value"}, "tags": [text.clone()], "value": text,
            "started_at": crate::support::start_of_time().minus(std::time::Duration::from_secs(n as u64 * 3600))});
        let sent = test.deliver("generic", &body).await;
        let alert = &sent.json["alerts"][0];
        let id = alert["incident_id"].as_str().unwrap_or_else(|| panic!("{name}: {}", sent.text)).to_owned();
        test.analyzed(&id).await;
        let commented = test.post(&format!("/api/incidents/{id}/comment"), &json!({"text": text})).await;
        assert!(commented.status.is_success(), "{name}: {}", commented.text);
        let drafted = test.post(&format!("/api/incidents/{id}/postmortem/draft"), &json!({})).await;
        assert!(drafted.status.is_success(), "{name}: {}", drafted.text);
        let renamed = test.patch(&format!("/api/incidents/{id}"), &json!({"title": format!("{name} {text}")})).await;
        assert!(renamed.status.is_success() || renamed.status == 422, "{name}: {}", renamed.text);
        let change = json!({"service": format!("{n}{text}"), "kind": "deploy", "title": text, "version": text});
        test.post("/api/changes", &change).await;
        let matcher = json!({"field": "service", "op": "=", "value": text});
        let silence = json!({"matchers": [matcher], "ends_at": "2026-03-04T11:00:00Z", "reason": text});
        test.post("/api/silences", &silence).await;
        test.post("/api/views", &json!({"name": text, "q": "status:open", "shared": true})).await;
        let cause = json!({"reason": text, "cause": {"service": text, "description": text}});
        pages.push(format!("/incidents/{id}"));
        pages.push(format!("/incidents/{id}?do=resolve"));
        pages.push(format!("/incidents/{id}?do=merge"));
        pages.push(format!("/postmortems/{id}"));
        pages.push(format!("/postmortems/{id}?edit=summary"));
        pages.push(format!("/silences/new?incident={id}"));
        if n == 0 {
            // One is resolved with such a reason; the others stay open.
            test.post(&format!("/api/incidents/{id}/resolve"), &cause).await;
        }
        pages.push(format!("/alerts?id={}", alert["alert_id"].as_str().unwrap()));
        pages.push(format!("/deliveries/{}", sent.json["delivery_id"].as_str().unwrap()));
        if !matches!(name, "long" | "direction" | "control") {
            let encoded: String = form_urlencoded::byte_serialize(text.as_bytes()).collect();
            pages.push(format!("/incidents?q={encoded}"));
            pages.push(format!("/alerts?q={encoded}"));
        }
    }
    let refused =
        test.request(Method::POST, "/api/webhooks/generic").header("x-watchfire-key", test.key("generic").await);
    refused.body(words()[0].1.clone()).send().await.unwrap();
    for (name, text) in words() {
        let node = json!({"message": text, "alert": text, "info": text, "chart": text, "context": text, "space": text,
            "Rooms": {(text.clone()): text}, "family": text, "class": text, "severity": "critical", "host": text,
            "alert_url": text, "date": crate::support::start_of_time()});
        let sent = test.deliver("netdata", &node).await;
        assert!(sent.status.as_u16() < 500, "{name}: {}", sent.text);
    }
    let others = [
        "/deliveries?outcome=unparsed",
        "/incidents?display=wall",
        "/incidents?group=service",
        "/incidents?q=status%3Aresolved",
        "/incidents?view=V-1",
        "/connectors/generic",
        "/connectors/netdata",
        "/connectors/netdata/alerts",
        "/topology",
        "/insights",
        "/postmortems",
        "/silences",
        "/silences?tab=stale",
        "/settings/audit",
        "/settings/lessons",
        "/settings/correlation",
        "/connectors/new",
    ];
    pages.extend(others.map(str::to_owned));
    let service: String = form_urlencoded::byte_serialize(format!("0{}", words()[0].1).as_bytes()).collect();
    pages.extend(["topology/service?name", "insights?service", "topology?service"].map(|p| format!("/{p}={service}")));

    let mut wrong = Vec::new();
    for (width, height) in [(1440, 900), (360, 740)] {
        browser.size(width, height).await;
        for page in &pages {
            browser.open(page).await;
            assert!(!browser.has_alert().await, "{page}: a dialog");
            let found = browser.js(WRONG).await;
            if found != "" {
                wrong.push(format!("{page} at {width}: {}", found.as_str().unwrap()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_stays_text_when_it_arrives_live() {
    let test = TestApp::start().await;
    test.deliver("generic", &json!({"title": "plain", "service": "plain", "severity": "low"})).await;
    let browser = Browser::signed_in(&test).await;
    browser.until("the stream", "document.documentElement.dataset.stream === 'live'").await;
    for (n, (name, text)) in words().into_iter().enumerate() {
        let started = crate::support::start_of_time().minus(std::time::Duration::from_secs((n as u64 + 1) * 3600));
        test.deliver(
            "generic",
            &json!({"title": format!("{name} {text}"), "service": format!("{n}{text}"), "host": text,
            "severity": "critical", "started_at": started}),
        )
        .await;
    }
    browser.sees("#newpill", "7 new").await;
    browser.press(".").await;
    browser.until("the rows", "document.querySelectorAll('tr[data-row]').length === 8").await;
    assert_eq!(browser.js(WRONG).await, "");
    browser.open("/incidents/1").await;
    browser.until("the stream", "document.documentElement.dataset.stream === 'live'").await;
    for (_, text) in words() {
        test.post("/api/incidents/1/comment", &json!({"text": text})).await;
    }
    browser.until("the comments", "document.querySelectorAll('[data-panel=timeline] .said').length === 7").await;
    assert_eq!(browser.js(WRONG).await, "");
    test.stop().await;
}
