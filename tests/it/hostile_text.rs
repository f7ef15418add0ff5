//! Hostile text in every field that people get to see: it is shown as text, on every page and in every list.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{TOKEN, TestApp, answer};

/// Marks that must never come back as markup; each is searched for as written.
const SCRIPT: &str = "<script>alert(1)</script>";
const MARKUP: &[&str] = &[SCRIPT, "<img src=x", "<svg/onload", "</title><h1", "\"onmouseover=", "'onfocus="];

fn texts() -> Vec<(&'static str, String)> {
    vec![
        ("script", SCRIPT.to_owned()),
        ("image", "<img src=x onerror=alert(1)>".to_owned()),
        ("svg", "<svg/onload=alert(1)>".to_owned()),
        ("end of title", "</title><h1>x</h1></script></style>--></textarea>".to_owned()),
        ("double quote", "x\"onmouserover=\"onmouseover=\"alert(1)".to_owned()),
        ("single quote", "x'onfocus='alert(1)' autofocus".to_owned()),
        ("address", "javascript:alert(1)".to_owned()),
        ("data address", "data:text/html,<script>alert(1)</script>".to_owned()),
        ("control characters", "a\u{0}b\u{1b}[31mc\u{7}\u{8}\u{85}\u{2028}d\r\nx-evil: 1\r\n".to_owned()),
        ("direction", "\u{202e}\u{2066}drowssap\u{202c}\u{200f}".to_owned()),
        ("invisible", "\u{200b}\u{feff}\u{ad}\u{e0001}".to_owned()),
        ("long", "A".repeat(100 * 1024)),
        ("long words", "wort ".repeat(20 * 1024)),
        ("marks over marks", format!("e{}", "\u{301}".repeat(5000))),
        ("templates", "{{7*7}} ${7*7} %s %n {% raw %} $(reboot) `reboot`".to_owned()),
        ("query", "service:\"a\" OR 1=1; DROP TABLE alerts; --".to_owned()),
        ("CSV", "=HYPERLINK(\"http://evil.example\",\"x\")".to_owned()),
        ("emoji", "\u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467}\u{1f3fd}".to_owned()),
        ("nothing", String::new()),
        ("space", "\u{3000}\u{a0} \t".to_owned()),
    ]
}

/// A body for each way in, with the text in every field that takes one.
fn bodies(t: &str) -> [(&'static str, Value); 5] {
    [
        (
            "grafana",
            json!({"receiver": t, "status": "firing", "title": t, "message": t, "groupKey": t, "externalURL": t, "orgId": 1,
                "groupLabels": {"a": t}, "commonLabels": {"b": t}, "commonAnnotations": {t: t}, "version": "1", "state": t,
                "alerts": [{"status": "firing", "labels": {"alertname": t, "service": t, "severity": "critical", "instance": t, "env": t, t: t},
                    "annotations": {"summary": t, "description": t, "runbook_url": t, t: t}, "startsAt": "2026-03-03T10:30:00Z",
                    "generatorURL": t, "fingerprint": format!("f{}", t.len()), "silenceURL": t, "dashboardURL": t, "panelURL": t,
                    "imageURL": t, "valueString": t, "values": {t: 1}}]}),
        ),
        (
            "generic",
            json!({"id": t, "title": format!("T {t}"), "description": t, "message": t, "service": t, "host": t, "environment": t,
                "severity": "high", "url": t, "image_url": t, "runbook_url": t, "labels": {t: t}, "annotations": {t: t}, "tags": [t, format!("a:{t}")], t: t}),
        ),
        (
            "netdata",
            json!({"alarm": t, "status": "CRITICAL", "hostname": t, "chart": t, "family": t, "value": t, "units": t, "info": t,
                "message": t, "space": t, "rooms": [t], "url": t, "goto_url": t, "when": 1772533800}),
        ),
        (
            "pagerduty",
            json!({"event": {"id": t, "event_type": "incident.triggered", "resource_type": "incident", "occurred_at": "2026-03-03T10:30:00Z",
                "data": {"id": format!("P{}", t.len()), "type": "incident", "html_url": t, "title": format!("T {t}"), "service": {"id": t, "summary": t},
                    "incident_key": t, "priority": {"summary": t}, "urgency": t, "status": "triggered"}}}),
        ),
        (
            "jenkins",
            json!({"name": t, "display_name": t, "url": t, "build": {"number": 7, "phase": "FINALIZED", "status": "FAILURE", "full_url": t, "url": t,
            "scm": {"commit": t, "branch": t, "culprits": [t]}, "log": t, "notes": t, "parameters": {t: t}}}),
        ),
    ]
}

/// What must not be in a page: markup that came from outside.
fn clean(what: &str, page: &str) {
    // Pages hold no inline script at all, so whatever looks like a handler came from outside.
    for mark in MARKUP {
        assert!(!page.contains(mark), "{what}: `{mark}` is in the page: {}", around(page, mark));
    }
    let low = page.to_ascii_lowercase();
    for bad in ["href=\"javascript:", "href=\"data:", "src=\"javascript:", "src=\"data:text", "action=\"javascript:"] {
        assert!(!low.contains(bad), "{what}: {}", around(&low, bad));
    }
    for tag in low.split('<').skip(1).filter_map(|t| t.split('>').next()) {
        for handler in [" onerror=", " onload=", " onmouseover=", " onfocus=", " onclick="] {
            // Within the quotes of a value it is only text.
            let outside: String = tag.split('"').step_by(2).collect();
            assert!(!outside.contains(handler), "{what}: a handler in <{tag:.200}>");
        }
    }
    let odd =
        page.chars().find(|c| matches!(c, '\u{0}'..='\u{8}' | '\u{b}'..='\u{1f}' | '\u{7f}' | '\u{85}') && *c != '\r');
    let place = odd.map(|c| around(page, &c.to_string()));
    assert_eq!(place, None, "{what}: a control character is in the page");
}

fn pieces(value: &Value) -> Vec<&str> {
    match value {
        Value::String(s) => vec![s],
        Value::Array(list) => list.iter().flat_map(pieces).collect(),
        Value::Object(map) => map.values().flat_map(pieces).collect(),
        _ => Vec::new(),
    }
}

fn around(page: &str, mark: &str) -> String {
    let at = page.find(mark).unwrap_or(0);
    page.chars().skip(page[..at].chars().count().saturating_sub(200)).take(400).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_text_is_shown_as_text_everywhere() {
    let test = TestApp::start().await;
    test.patch("/api/connectors/jenkins", &json!({"rca_enabled": true})).await;
    let mut deliveries = Vec::new();
    for (name, t) in texts() {
        for (platform, body) in bodies(&t) {
            let sent = test.deliver(platform, &body).await;
            let status = sent.status.as_u16();
            assert!([202, 413, 422].contains(&status), "{platform}, {name}: {status} {:.300}", sent.text);
            assert!(!sent.text.contains("connector_failed"), "{platform}, {name}");
            // The large ones together are over the limit; otherwise it is taken or kept.
            if status != 413 {
                deliveries.push(sent.json["delivery_id"].as_str().unwrap().to_owned());
            }
        }
        let manual = json!({"alert_title": t, "alert_service": t, "alert_environment": t, "severity": "high", "source_alert_id": t,
            "alert_metadata": {"description": t, &t: t, "n": {&t: [t]}}});
        let declared = test.post("/api/incidents", &manual).await.status.as_u16();
        assert!([200, 201, 422].contains(&declared), "{name}: {declared}");
        let patch = json!({"title": t, "owner": t, "service": t});
        assert!([200, 422].contains(&test.patch("/api/incidents/1", &patch).await.status.as_u16()), "{name}");
        assert!(
            [200, 422].contains(&test.post("/api/incidents/1/comment", &json!({"text": t})).await.status.as_u16()),
            "{name}"
        );
        let service = json!({"name": t, "aliases": [format!("{t}2")], "depends_on": [format!("on {t}")], "hosts": [t], "owner": t,
            "tier": t, "runbook_url": t, "prometheus": t, "netdata": t});
        let put = test.request(Method::PUT, "/api/services").bearer_auth(TOKEN).json(&service);
        assert!([200, 422].contains(&answer(put).await.status.as_u16()), "{name}");
        let change = json!({"title": t, "service": t, "version": t, "url": t});
        assert!([202, 422].contains(&test.post("/api/changes", &change).await.status.as_u16()), "{name}");
        let named = test.post("/api/tokens", &json!({"name": t, "scopes": ["read"]})).await.status.as_u16();
        assert!([201, 409, 422].contains(&named), "{name}: {named}");
    }
    let incidents = test.get("/api/incidents?limit=200").await.json;
    let numbers: Vec<String> =
        incidents["incidents"].as_array().unwrap().iter().map(|i| i["id"].as_str().unwrap().to_owned()).collect();
    assert!(numbers.len() > 10, "{incidents:.400}");
    test.analyzed(&numbers[0]).await;

    let mut paths: Vec<String> = [
        "/incidents",
        "/incidents/1",
        "/incidents?q=%3Cscript%3Ealert(1)%3C/script%3E",
        "/alerts",
        "/connectors",
        "/connectors/grafana",
        "/connectors/generic",
        "/deliveries",
        "/deliveries?platform=%3Cscript%3Ealert(1)%3C/script%3E",
        "/topology",
        "/topology?q=%3Cscript%3Ealert(1)%3C/script%3E&service=%3Cscript%3Ealert(1)%3C/script%3E",
        "/topology/service?name=%3Cscript%3Ealert(1)%3C/script%3E",
        "/settings/tokens",
        "/settings/people",
        "/settings/about",
        "/incidents/rows",
        "/incidents/1/panels",
        "/login?next=%22%3E%3Cscript%3Ealert(1)%3C/script%3E",
    ]
    .map(str::to_owned)
    .to_vec();
    paths.extend(numbers.iter().map(|id| format!("/incidents/{id}")));
    paths.extend(deliveries.iter().map(|id| format!("/deliveries/{id}")));
    let mut answered = 0;
    for path in paths {
        let page = answer(test.request(Method::GET, &path).bearer_auth(TOKEN)).await;
        let kind = page.headers.get("content-type").and_then(|v| v.to_str().ok()).unwrap_or_default().to_owned();
        assert!(page.status.as_u16() < 500, "{path}: {} {:.300}", page.status, page.text);
        if page.status == 200 {
            answered += 1;
            // Scripts put the pieces of such an answer into the page as they are.
            if kind.starts_with("application/json") {
                pieces(&page.json).iter().for_each(|piece| clean(&path, piece));
            } else {
                assert!(kind.starts_with("text/html"), "{path}: {kind}");
                clean(&path, &page.text);
            }
            assert!(page.text.len() < 2 << 20, "{path}: {} bytes", page.text.len());
        }
    }
    assert!(answered > 60, "{answered}");
    for path in
        ["/incidents", "/incidents/1", "/alerts", "/topology", "/connectors", "/connectors/grafana", "/deliveries"]
    {
        assert_eq!(test.get(path).await.status, 200, "{path}");
    }
    let csv =
        answer(test.request(Method::GET, "/api/alerts?limit=200").bearer_auth(TOKEN).header("accept", "text/csv"))
            .await;
    assert_eq!(csv.status, 200);
    let cells = cells(&csv.text);
    assert!(cells.len() > 100 && cells.iter().any(|c| c.starts_with("'=HYPERLINK")), "{} cells", cells.len());
    let formula = cells.iter().find(|c| c.starts_with(['=', '+', '-', '@']));
    assert_eq!(formula, None, "spreadsheets would run it");
    test.stop().await;
}

/// All cells of a CSV file, in order.
fn cells(csv: &str) -> Vec<String> {
    let (mut cells, mut cell, mut quoted) = (Vec::new(), String::new(), false);
    let mut chars = csv.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => cell.extend(chars.next()),
            '"' => quoted = !quoted,
            ',' | '\n' if !quoted => cells.push(std::mem::take(&mut cell)),
            c => cell.push(c),
        }
    }
    cells
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_text_does_not_come_back_as_markup() {
    let test = TestApp::start().await;
    let encoded = "%3Cscript%3Ealert(1)%3C%2Fscript%3E";
    for path in [
        format!("/{encoded}"),
        format!("/incidents/{encoded}"),
        format!("/connectors/{encoded}"),
        format!("/deliveries/{encoded}"),
        format!("/incidents?q=status:{encoded}"),
        format!("/incidents?cursor={encoded}&limit={encoded}&sort={encoded}"),
        format!("/alerts?q={encoded}&cursor={encoded}"),
        format!("/setup?token={encoded}"),
        format!("/settings/{encoded}"),
    ] {
        let page = test.get(&path).await;
        assert!(page.status.as_u16() < 500, "{path}: {}", page.status);
        clean(&path, &page.text);
        let stranger = answer(test.request(Method::GET, &path)).await;
        clean(&path, &stranger.text);
        if let Some(to) = stranger.headers.get("location") {
            assert!(to.to_str().unwrap().starts_with('/'), "{path}: {to:?}");
        }
    }
    test.stop().await;
}
