//! What holds for every platform, driven by its fixtures.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use serde_json::{Value, json};

use crate::support::{Answer, TestApp, fixture};

/// `platform/name` of every fixture, with what is read from it.
fn fixtures() -> BTreeMap<String, Value> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let mut found = BTreeMap::new();
    for platform in watchfire::app::platforms() {
        for entry in std::fs::read_dir(root.join(platform)).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            if let Some(name) = name.strip_suffix(".expected.json") {
                let text = std::fs::read_to_string(&path).unwrap();
                found.insert(format!("{platform}/{name}"), serde_json::from_str(&text).unwrap());
            }
        }
    }
    found
}

async fn send(test: &TestApp, name: &str) -> Answer {
    let (body, headers) = fixture(name);
    let body = body.as_str().map_or_else(|| body.to_string(), str::to_owned);
    let mut headers: Vec<(&str, &str)> = headers.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    headers.push(("prefer", "wait=10"));
    test.knock(name.split('/').next().unwrap(), &headers, body.into_bytes()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_alert_or_its_end_opens_no_incident() {
    let test = TestApp::start().await;
    for platform in ["jenkins", "cloudbees"] {
        test.patch(&format!("/api/connectors/{platform}"), &json!({"rca_enabled": true})).await;
    }
    let mut tried = 0;
    for (name, expected) in fixtures() {
        let said: Vec<&Value> = expected["signals"].as_array().into_iter().flatten().map(|s| &s["status"]).collect();
        let opens = |s: &&Value| **s == "firing" || **s == "acknowledged";
        let off = expected["changes"].is_array() && said.is_empty();
        if said.iter().any(opens) || off {
            continue;
        }
        tried += 1;
        let sent = send(&test, &name).await;
        assert!(sent.status.is_success() || sent.status == 422, "{name}: {} {}", sent.status, sent.text);
    }
    assert!(tried > 40, "{tried}");
    assert_eq!(test.get("/api/incidents?status=investigating&status=analyzed&status=resolved").await.json["total"], 0);
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recovery_ends_the_alert_and_the_incident_on_every_platform() {
    for (name, expected) in fixtures().iter().filter(|(name, _)| name.ends_with(".firing")) {
        let test = TestApp::start().await;
        let platform = name.split('/').next().unwrap();
        // What is only said for information opens nothing, and ends all the same.
        let mild = expected["signals"].as_array().is_some_and(|all| all.iter().all(|s| s["severity"] == "info"));
        test.patch(&format!("/api/connectors/{platform}"), &json!({"rca_enabled": true})).await;
        let begun = send(&test, name).await;
        let over = send(&test, &name.replace(".firing", ".resolved")).await;
        assert!(begun.status.is_success() && over.status.is_success(), "{name}: {} {}", begun.text, over.text);
        let open = test.get("/api/incidents?status=investigating&status=analyzed").await.json;
        let ended = test.get("/api/incidents?status=resolved").await.json;
        assert_eq!((&open["total"], ended["total"].as_u64() >= Some(1)), (&json!(0), !mild), "{name}: {open}");
        if mild {
            assert!(begun.json["alerts"][0]["alert_id"].is_string(), "{name}: {}", begun.text);
            assert_eq!(
                over.json["alerts"][0]["alert_id"], begun.json["alerts"][0]["alert_id"],
                "{name}: {}",
                over.text
            );
        }
        test.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_platform_that_never_says_that_it_is_over_has_a_timeout_that_is_shown() {
    let test = TestApp::start().await;
    let of =
        async |platform: &str| test.get(&format!("/api/connectors/{platform}")).await.json["closes_after_secs"].clone();
    assert_eq!((of("splunk").await, of("grafana").await), (json!(3600), Value::Null));
    let sent = send(&test, "splunk/search.firing").await;
    let alert = format!("/api/alerts/{}", sent.json["alerts"][0]["alert_id"].as_str().unwrap());
    assert_eq!(test.get(&alert).await.json["closes_at"], "2026-03-03T11:30:00.000Z");
    test.clock.advance(Duration::from_secs(3601));
    let over = test.until(&alert, |a| a["status"] == "resolved").await;
    assert_eq!(over["closes_at"], Value::Null);
    assert_eq!(test.get("/api/incidents/1").await.json["status"], "resolved");
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sender_that_is_told_to_send_no_ends_can_be_given_a_timeout() {
    let test = TestApp::start().await;
    let set = async |secs: Value| test.patch("/api/connectors/alertmanager", &json!({"closes_after_secs": secs})).await;
    let done = set(json!(600)).await;
    assert_eq!((done.status.as_u16(), &done.json["closes_after_secs"]), (200, &json!(600)), "{}", done.text);
    let sent = send(&test, "alertmanager/instance.firing").await;
    let alert = format!("/api/alerts/{}", sent.json["alerts"][0]["alert_id"].as_str().unwrap());
    assert_eq!(test.get(&alert).await.json["closes_at"], "2026-03-03T10:40:00.000Z");
    test.clock.advance(Duration::from_secs(601));
    test.until(&alert, |a| a["status"] == "resolved").await;
    for wrong in [json!(59), json!(2_592_001)] {
        assert_eq!(set(wrong.clone()).await.status, 422, "{wrong}");
    }
    assert_eq!(set(Value::Null).await.json["closes_after_secs"], Value::Null);
    assert_eq!(test.patch("/api/connectors/alertmanager", &json!({})).await.status, 200);
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_key_of_splunk_is_not_kept() {
    let test = TestApp::start().await;
    let sent = send(&test, "splunk/action").await;
    assert!(fixture("splunk/action").0.to_string().contains("1234512345"));
    let kept = test.get(&format!("/api/deliveries/{}", sent.json["delivery_id"].as_str().unwrap())).await;
    assert!(kept.text.contains("session_key") && !kept.text.contains("1234512345"), "{}", kept.text);
    // The same for a body that is not understood, and for one that is refused.
    test.knock("splunk", &[], br#"{"session_key":"1234512345"}"#.to_vec()).await;
    test.patch("/api/connectors/splunk", &json!({"enabled": false})).await;
    assert_eq!(send(&test, "splunk/action").await.status, 403);
    let all = test.until("/api/deliveries?platform=splunk", |d| d["total"] == 3).await;
    for row in all["deliveries"].as_array().unwrap() {
        let id = row["id"].as_str().or_else(|| row["delivery_id"].as_str()).unwrap();
        let kept = test.get(&format!("/api/deliveries/{id}")).await;
        assert!(kept.status == 200 && !kept.text.contains("1234512345"), "{}", kept.text);
    }
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_agents_senders_get_the_one_code_that_they_take_for_success() {
    let test = TestApp::start().await;
    for name in fixtures().keys().filter(|n| n.starts_with("netdata/agent-") && !n.contains("broken")) {
        assert_eq!(send(&test, name).await.status, 200, "{name}");
    }
    // Alerta's clients put their own word before the key.
    let (body, _) = fixture("netdata/agent-alerta.firing");
    for (proof, want) in [(format!("Key {}", test.key("netdata").await), 200), ("Key wrong".to_owned(), 401)] {
        let request = test.request(reqwest::Method::POST, "/api/webhooks/netdata/alert").header("authorization", proof);
        assert_eq!(request.json(&body).send().await.unwrap().status(), want);
    }
    test.stop().await;
}
