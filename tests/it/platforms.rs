//! What holds for every platform, driven by its fixtures.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Answer, TestApp, answer, fixture};

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
async fn a_sender_that_is_set_to_get_is_read_from_its_query() {
    let test = TestApp::start().await;
    let (body, _) = fixture("uptime-kuma/down.firing");
    let text = |name: &str| body[name].as_str().map_or_else(|| body[name].to_string(), str::to_owned);
    let fields: Vec<(&str, String)> = ["msg", "heartbeat", "monitor"].map(|name| (name, text(name))).into();
    let send = async |method: Method, platform: &str, fields: &[(&str, String)]| {
        let key = test.key(platform).await;
        let mut query = form_urlencoded::Serializer::new(String::new());
        let query = query.extend_pairs(fields).append_pair("key", &key).finish();
        answer(test.request(method, &format!("/api/webhooks/{platform}?{query}")).header("prefer", "wait=10")).await
    };
    let sent = send(Method::GET, "uptime-kuma", &fields).await;
    assert_eq!(sent.status, 202, "{}", sent.text);
    let alert = test.get(&format!("/api/alerts/{}", sent.json["alerts"][0]["alert_id"].as_str().unwrap())).await.json;
    assert_eq!((&alert["title"], &alert["incident_id"]), (&json!("Shop front"), &json!("INC-1")));
    // Kept as a body, whole and without the key, so that it can be replayed.
    let delivery = format!("/api/deliveries/{}", sent.json["delivery_id"].as_str().unwrap());
    let kept = test.get(&delivery).await;
    assert!(kept.text.contains("Shop+front") && !kept.text.contains(&test.key("uptime-kuma").await), "{}", kept.text);
    let again = test.post(&format!("{delivery}/replay"), &json!({})).await;
    assert!(again.status.is_success(), "{}", again.text);
    // Only where a sender does so, and HEAD asks for nothing.
    let plain = [("title", "Disk full".to_owned())];
    assert_eq!(send(Method::GET, "generic", &plain).await.status, 202);
    assert_eq!(send(Method::POST, "generic", &plain).await.status, 202);
    assert_eq!(send(Method::HEAD, "generic", &plain).await.status, 405);
    assert_eq!(send(Method::GET, "grafana", &plain).await.status, 405);
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sender_that_waits_to_be_asked_for_its_password_is() {
    let test = TestApp::start().await;
    let refused = answer(test.request(Method::POST, "/api/webhooks/sns").body("{}")).await;
    let asked: Vec<_> = refused.headers.get_all("www-authenticate").iter().collect();
    assert_eq!(asked, ["Basic realm=\"watchfire\"", "Bearer realm=\"watchfire\""]);
    let request = test.request(Method::POST, "/api/webhooks/sns").basic_auth("sns", Some(test.key("sns").await));
    let (body, _) = fixture("sns/raw");
    let taken = answer(request.header("x-amz-sns-rawdelivery", "true").body(body.to_string())).await;
    assert_eq!(taken.status, 202, "{}", taken.text);
    // Not where Basic opens nothing.
    test.patch("/api/connectors/sns", &json!({"auth": "signature"})).await;
    let refused = answer(test.request(Method::POST, "/api/webhooks/sns").body("{}")).await;
    assert_eq!(refused.headers.get_all("www-authenticate").iter().count(), 1, "{}", refused.text);
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_senders_own_groups_count_where_that_is_set() {
    let test = TestApp::start().await;
    assert_eq!(test.get("/api/connectors/alertmanager").await.json["group_by_sender"], false);
    let set = test.patch("/api/connectors/alertmanager", &json!({"group_by_sender": true})).await;
    assert_eq!((set.status.as_u16(), &set.json["group_by_sender"]), (200, &json!(true)), "{}", set.text);
    let alert =
        |name: &str, service: &str| json!({"status": "firing", "labels": {"alertname": name, "service": service}});
    for (key, name, service) in [("g1", "A", "api"), ("g1", "B", "db")] {
        let body = json!({"version": "4", "groupKey": key, "status": "firing", "alerts": [alert(name, service)]});
        test.deliver("alertmanager", &body).await;
    }
    let incident = test.until("/api/incidents/1", |i| i["alert_count"] == 2).await;
    let joined = incident["alerts"].as_array().unwrap().iter().find(|a| a["service"] == "db").unwrap();
    assert_eq!((&joined["strategy"], &joined["correlation_score"]), (&json!("tag_match"), &json!(0.95)), "{joined}");
    let why = joined["reasons"][0]["text"].as_str().unwrap();
    assert_eq!(why, "alertmanager put it into the same group (g1), within the window of 5\u{a0}min.");
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_key_of_splunk_is_not_kept() {
    let test = TestApp::start().await;
    let sent = send(&test, "splunk/action").await;
    assert!(fixture("splunk/action").0.to_string().contains("1234512345"));
    let kept = test.get(&format!("/api/deliveries/{}", sent.json["delivery_id"].as_str().unwrap())).await;
    assert!(kept.text.contains("session_key") && !kept.text.contains("1234512345"), "{}", kept.text);
    // Nor where it stands in a text of JSON, in a form, or in what an alert says.
    let text = r#"{"search_name":"A","result":{"message":"failed with {\"session_key\": \"1234512345\"}"}}"#;
    let payload = ("payload", r#"{"search_name":"B","session_key":"1234512345"}"#);
    let form = reqwest::Url::parse_with_params("http://x/", [payload]).unwrap().query().unwrap().to_owned();
    for (content_type, body) in [("application/json", text.to_owned()), ("application/x-www-form-urlencoded", form)] {
        let headers = [("content-type", content_type), ("prefer", "wait=10")];
        let sent = test.knock("splunk", &headers, body.into_bytes()).await;
        assert_eq!(sent.status, 202, "{}", sent.text);
        let id = sent.json["delivery_id"].as_str().unwrap();
        for path in [
            format!("/api/deliveries/{id}"),
            format!("/deliveries/{id}"),
            "/api/alerts".to_owned(),
            "/alerts".to_owned(),
        ] {
            let shown = test.get(&path).await;
            assert!(shown.status == 200 && !shown.text.contains("1234512345"), "{path}: {}", shown.text);
        }
    }
    // The same for a body that is not understood, and for one that is refused.
    test.knock("splunk", &[], br#"{"session_key":"1234512345"}"#.to_vec()).await;
    test.patch("/api/connectors/splunk", &json!({"enabled": false})).await;
    assert_eq!(send(&test, "splunk/action").await.status, 403);
    let all = test.until("/api/deliveries?platform=splunk", |d| d["total"] == 5).await;
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
    // Discord's puts a word of its own behind the address.
    let (body, headers) = fixture("netdata/agent-discord.firing");
    let path = format!("/api/webhooks/netdata/{}/slack", test.key("netdata").await);
    let request = test.request(Method::POST, &path).header("content-type", headers[0].1.as_str());
    let sent = answer(request.body(body.as_str().unwrap().to_owned())).await;
    assert_eq!((sent.status.as_u16(), &sent.json["alerts"][0]["status"]), (200, &json!("firing")), "{}", sent.text);
    // What ntfy is told in headers is there when it is parsed again.
    let sent = send(&test, "netdata/agent-ntfy.firing").await;
    let again = format!("/api/deliveries/{}/replay", sent.json["delivery_id"].as_str().unwrap());
    let again = test.post(&again, &Value::Null).await;
    assert_eq!(again.json["alerts"][0]["fingerprint"], sent.json["alerts"][0]["fingerprint"], "{}", again.text);
    // Alerta's clients put their own word before the key.
    let (body, _) = fixture("netdata/agent-alerta.firing");
    for (proof, want) in [(format!("Key {}", test.key("netdata").await), 200), ("Key wrong".to_owned(), 401)] {
        let request = test.request(reqwest::Method::POST, "/api/webhooks/netdata/alert").header("authorization", proof);
        assert_eq!(request.json(&body).send().await.unwrap().status(), want);
    }
    test.stop().await;
}
