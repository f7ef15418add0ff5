//! The edges of the main job: crowds, odd times, both kinds at once, tests, pages of lists.

use std::{collections::BTreeSet, time::Duration};

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{TestApp, answer, fixture};

fn alert(id: &str, service: &str, more: Value) -> Value {
    let mut body = json!({"id": id, "title": id, "service": service, "severity": "high"});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

async fn send(test: &TestApp, body: &Value) -> Value {
    let sent = test.deliver("generic", body).await;
    assert_eq!(sent.status, 202, "{}", sent.text);
    sent.json["alerts"][0].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_of_the_same_alert_is_one() {
    let test = TestApp::start().await;
    let key = test.key("generic").await;
    let mut crowd = tokio::task::JoinSet::new();
    for n in 0..100 {
        let request = test.request(Method::POST, &format!("/api/webhooks/generic/{key}")).header("prefer", "wait=10");
        crowd.spawn(answer(request.json(&alert(&format!("a{}", n % 4), "api", json!({})))));
    }
    let answers = crowd.join_all().await;
    assert!(answers.iter().all(|a| a.status == 202 && a.json["alerts"][0]["incident_id"] == "INC-1"));
    assert_eq!(answers.iter().filter(|a| a.json["alerts"][0]["new_incident"] == true).count(), 1);
    let deliveries: BTreeSet<String> = answers.iter().map(|a| a.json["delivery_id"].to_string()).collect();
    assert_eq!(deliveries.len(), 100);
    let incident = test.get("/api/incidents/1").await.json;
    let counts: Vec<u64> =
        incident["alerts"].as_array().unwrap().iter().map(|a| a["count"].as_u64().unwrap()).collect();
    assert_eq!(counts, [25, 25, 25, 25]);
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_times_are_shown_as_sent_and_group_as_received() {
    let test = TestApp::start().await;
    for (n, (at, shown)) in [
        (json!("0001-01-01T00:00:00Z"), "2026-03-03T10:30:00.000Z"),
        (json!(0), "2026-03-03T10:30:00.000Z"),
        (json!(-1), "2026-03-03T10:30:00.000Z"),
        (json!("never"), "2026-03-03T10:30:00.000Z"),
        (json!("2100-01-01T00:00:00Z"), "2100-01-01T00:00:00.000Z"),
        (json!("2026-03-04T00:00:00+14:00"), "2026-03-03T10:00:00.000Z"),
        (json!(1_772_533_800), "2026-03-03T10:30:00.000Z"),
        (json!("1772533800123"), "2026-03-03T10:30:00.123Z"),
        (json!(1_772_533_800_123_456_789_i64), "2026-03-03T10:30:00.123Z"),
        (json!("1999-01-01T00:00:00Z"), "1999-01-01T00:00:00.000Z"),
    ]
    .into_iter()
    .enumerate()
    {
        let sent =
            send(&test, &alert(&format!("t{n}"), &format!("service {n}"), json!({"started_at": at.clone()}))).await;
        let got = test.get(&format!("/api/alerts/{}", sent["alert_id"].as_str().unwrap())).await.json;
        assert_eq!(got["started_at"], shown, "{at}");
    }
    // What claims to be from last century, or the far future, does not group with what is from now.
    let incidents = test.get("/api/incidents?sort=-started&limit=200").await;
    assert_eq!(incidents.status, 200, "{}", incidents.text);
    let whole = test.get("/api/incidents/1").await.json;
    assert!(whole["alert_count"].as_u64().unwrap() >= 6, "{whole:.300}");
    test.analyzed("INC-1").await;
    for path in [
        "/incidents",
        "/incidents/1",
        "/alerts",
        "/api/incidents?since=2026-03-03T00:00:00Z&until=2100-01-01T00:00:00Z",
    ] {
        assert_eq!(test.get(path).await.status, 200, "{path}");
    }
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn both_kinds_of_one_alert_in_one_body_end_it() {
    let test = TestApp::start().await;
    let one = |status: &str| json!({"status": status, "labels": {"alertname": "A", "service": "api"}, "startsAt": "2026-03-03T10:30:00Z"});
    for (n, pair) in [["firing", "resolved"], ["resolved", "firing"]].iter().enumerate() {
        let sent = test.deliver("grafana", &json!({"status": "firing", "alerts": [one(pair[0]), one(pair[1])]})).await;
        let said: Vec<&str> =
            sent.json["alerts"].as_array().unwrap().iter().map(|a| a["status"].as_str().unwrap()).collect();
        assert_eq!(said, *pair, "in the order of the body");
        assert_eq!(test.get("/api/incidents/1").await.json["status"], "resolved", "{n}: {}", sent.text);
    }
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn test_notifications_stay_apart_and_close_by_themselves() {
    let test = TestApp::start().await;
    send(&test, &alert("real", "api", json!({}))).await;
    let sent = test.deliver("grafana", &fixture("grafana/test").0).await;
    let id = sent.json["alerts"][0]["incident_id"].as_str().unwrap().to_owned();
    assert_eq!(id, "INC-2", "not joined, though it is near in time");
    assert_eq!(test.get(&format!("/api/incidents/{id}")).await.json["test"], true);
    let joined = send(&test, &alert("another", "grafana", json!({}))).await;
    assert_ne!(joined["incident_id"], id.as_str(), "and nothing joins it");
    test.clock.advance(Duration::from_secs(601));
    test.until(&format!("/api/incidents/{id}"), |i| i["status"] == "resolved").await;
    assert_ne!(test.get("/api/incidents/1").await.json["status"], "resolved");
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_a_list_hold_while_rows_change() {
    let test = TestApp::start().await;
    for n in 0..25 {
        test.clock.advance(Duration::from_secs(600));
        send(&test, &alert(&format!("a{n}"), &format!("s{n}"), json!({}))).await;
    }
    let mut seen = Vec::new();
    let mut path = "/api/incidents?limit=7".to_owned();
    loop {
        let page = test.get(&path).await.json;
        seen.extend(page["incidents"].as_array().unwrap().iter().map(|i| i["id"].as_str().unwrap().to_owned()));
        let Some(next) = page["next_cursor"].as_str() else { break };
        path = format!("/api/incidents?limit=7&cursor={next}");
        // Between two pages one more opens and one that was seen ends.
        send(&test, &alert(&format!("new {}", seen.len()), &format!("new {}", seen.len()), json!({}))).await;
        test.post(&format!("/api/incidents/{}/resolve", seen[0]), &json!({})).await;
        test.clock.advance(Duration::from_secs(600));
    }
    let wanted: Vec<String> = (1..=25).rev().map(|n| format!("INC-{n}")).collect();
    assert_eq!(seen, wanted, "each once, none left out");
    for bad in
        ["limit=0", "limit=x", "cursor=x", "sort=x", "status=x", "severity=x", "since=x", "q=status:x", "q=%22open"]
    {
        let refused = test.get(&format!("/api/incidents?{bad}")).await;
        assert!([400, 422].contains(&refused.status.as_u16()), "{bad}: {} {}", refused.status, refused.text);
        assert!(refused.json["errors"][0]["path"].is_string(), "{bad}: {}", refused.text);
    }
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn closing_by_hand_closes_the_alerts_by_any_way() {
    let test = TestApp::start().await;
    for (n, way) in ["resolve", "patch", "bulk"].into_iter().enumerate() {
        test.clock.advance(Duration::from_secs(3600));
        let id = send(&test, &alert(&format!("a{n}"), &format!("s{n}"), json!({}))).await["incident_id"]
            .as_str()
            .unwrap()
            .to_owned();
        let done = match way {
            "resolve" => test.post(&format!("/api/incidents/{id}/resolve"), &json!({})).await,
            "patch" => test.patch(&format!("/api/incidents/{id}"), &json!({"status": "resolved"})).await,
            _ => test.post("/api/incidents/bulk", &json!({"action": "resolve", "incident_ids": [id]})).await,
        };
        assert_eq!(done.status, 200, "{way}: {}", done.text);
        let incident = test.get(&format!("/api/incidents/{id}")).await.json;
        assert_eq!((&incident["status"], &incident["firing_count"]), (&json!("resolved"), &json!(0)), "{way}");
        assert_eq!(incident["alerts"][0]["status"], "resolved", "{way}");
        // The source's own end comes too late and changes nothing.
        let late = send(&test, &alert(&format!("a{n}"), &format!("s{n}"), json!({"status": "resolved"}))).await;
        assert_eq!(late["incident_id"], id.as_str(), "{way}");
        assert_eq!(test.get(&format!("/api/incidents/{id}")).await.json["status"], "resolved", "{way}");
    }
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_is_as_it_was_after_a_restart() {
    let mut test = TestApp::start().await;
    test.patch(
        "/api/connectors/generic",
        &json!({"opens": ["high"], "rate_per_minute": 100, "severity_map": {"Boom": "high"}}),
    )
    .await;
    send(&test, &alert("a", "api", json!({"severity": "boom"}))).await;
    test.analyzed("INC-1").await;
    test.post("/api/incidents/1/comment", &json!({"text": "seen"})).await;
    let paths = [
        "/api/incidents/1",
        "/api/incidents",
        "/api/alerts",
        "/api/deliveries",
        "/api/connectors/generic",
        "/api/audit",
        "/api/generic/status",
    ];
    let mut before = Vec::new();
    for path in paths {
        before.push(test.get(path).await.json);
    }
    test.restart().await;
    for (path, before) in paths.into_iter().zip(before) {
        let mut now = test.get(path).await.json;
        let mut then = before.clone();
        for v in [&mut now, &mut then] {
            // The port is another one.
            if let Some(url) = v.get_mut("webhook_url") {
                *url = Value::Null;
            }
        }
        assert_eq!(now, then, "{path}");
    }
    assert_eq!(send(&test, &alert("a", "api", json!({"severity": "boom"}))).await["incident_id"], "INC-1");
    assert_eq!(send(&test, &alert("b", "api", json!({"severity": "low"}))).await["incident_id"], Value::Null);
    test.stop().await;
}
