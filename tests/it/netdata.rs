//! Netdata in all its generations, its challenge, its verification token, and the old addresses.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{TOKEN, TestApp, answer, fixture};

#[tokio::test(flavor = "multi_thread")]
async fn every_generation_is_taken_and_closes_what_it_opened() {
    for (firing, over, alerts) in [
        ("brief.firing", "brief.resolved", 1),
        ("documented.firing", "documented.resolved", 1),
        ("old.firing", "old.resolved", 1),
        ("nested.firing", "nested.resolved", 1),
        ("reachability.firing", "reachability.resolved", 1),
        ("several-nodes.firing", "several-nodes.resolved", 2),
        ("agent-opsgenie.firing", "agent-opsgenie.resolved", 1),
    ] {
        let test = TestApp::start().await;
        let begun = test.deliver("netdata", &fixture(&format!("netdata/{firing}")).0).await;
        assert!(begun.status.is_success(), "{firing}: {}", begun.text);
        let list = begun.json["alerts"].as_array().unwrap();
        assert_eq!(list.len(), alerts, "{firing}");
        assert!(list.iter().all(|a| a["incident_id"] == "INC-1"), "{firing}: {}", begun.text);
        let ended = test.deliver("netdata", &fixture(&format!("netdata/{over}")).0).await;
        for (a, b) in list.iter().zip(ended.json["alerts"].as_array().unwrap()) {
            assert_eq!((&a["fingerprint"], &b["status"]), (&b["fingerprint"], &json!("resolved")), "{over}");
        }
        assert_eq!(test.get("/api/incidents/1").await.json["status"], "resolved", "{over}");
        test.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn alerts_of_one_host_are_one_incident() {
    let test = TestApp::start_any().await;
    let alarm = |name: &str, host: &str, when: i64| json!({"alarm": name, "status": "CRITICAL", "hostname": host, "chart": name, "family": "f", "value": 1, "when": when});
    // 10:30, and then an hour apart, so that time alone does not join them.
    let start = crate::support::start_of_time().millis() / 1000;
    let send = async |name: &str, host: &str, when: i64| {
        test.deliver("netdata", &alarm(name, host, when)).await.json["alerts"][0].clone()
    };
    send("cpu", "web-1", start).await;
    test.clock.advance(std::time::Duration::from_secs(3600));
    let same = send("disk", "web-1", start + 3600).await;
    assert_eq!((&same["incident_id"], &same["strategy"]), (&json!("INC-1"), &json!("same_host")));
    assert_eq!(same["correlation_score"], 0.9);
    assert_eq!(send("swap", "web-2", start + 3600).await["incident_id"], "INC-2");
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transition_that_comes_twice_is_a_retry() {
    let test = TestApp::start().await;
    let (body, _) = fixture("netdata/documented.firing");
    let first = test.deliver("netdata", &body).await;
    assert_eq!(test.deliver("netdata", &body).await.json, first.json);
    assert_eq!(test.get("/api/incidents/1").await.json["alerts"][0]["count"], 1);
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_challenge_is_answered_with_the_secret_and_only_then() {
    let test = TestApp::start().await;
    let ask = async |path: &str| answer(test.request(Method::GET, path)).await;
    assert_eq!(ask("/api/webhooks/netdata?crc_token=x").await.status, 404, "no secret yet");
    let secret = json!({"challenge_secret": "watchfire-crc-secret"});
    assert_eq!(test.patch("/api/connectors/netdata", &secret).await.status, 200);
    let want = "sha256=TFJ5an0SrX4XgXe+NNlqQQdUqW256RUVnSpoLufyRyc=";
    for path in ["/api/webhooks/netdata", "/api/webhooks/netdata/any", "/netdata/alerts/webhook/user-1"] {
        let given = ask(&format!("{path}?crc_token=test-token-0001")).await;
        assert_eq!((given.status.as_u16(), given.json["response_token"].as_str()), (200, Some(want)), "{path}");
    }
    assert_eq!(ask("/api/webhooks/netdata").await.status, 400);
    assert_eq!(ask("/api/webhooks/grafana?crc_token=x").await.status, 405);
    let odd = ask("/api/webhooks/netdata?crc_token=a%2Bb%2Fc%3D").await.json["response_token"].clone();
    assert_eq!(odd, watchfire_challenge("a+b/c="), "decoded once");
    test.stop().await;
}

fn watchfire_challenge(token: &str) -> Value {
    json!(watchfire::connectors::netdata::challenge("watchfire-crc-secret", token))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_token_of_a_test_notification_is_shown() {
    let test = TestApp::start().await;
    assert_eq!(test.get("/netdata/alerts/webhook-url").await.json["verification_token"], Value::Null);
    let (body, _) = fixture("netdata/test");
    let sent = test.deliver("netdata", &body).await;
    assert_eq!((sent.status.as_u16(), &sent.json["alerts"]), (202, &json!([])), "{}", sent.text);
    let shown = test.get("/netdata/alerts/webhook-url").await.json;
    assert_eq!(shown["verification_token"], "b1a7c5de-4f3e-4d2c-9b8a-7f6e5d4c3b2a");
    assert!(shown["webhook_url"].as_str().unwrap().ends_with("/api/webhooks/netdata"));
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_agents_own_sender_is_answered_with_200() {
    let test = TestApp::start().await;
    let key = test.key("netdata").await;
    let (body, _) = fixture("netdata/agent-opsgenie.firing");
    let path = format!("/v1/json/integrations/webhooks/netdata?apiKey={key}");
    let sent = answer(test.request(Method::POST, &path).header("prefer", "wait=10").json(&body)).await;
    assert_eq!(sent.status, 200, "{}", sent.text);
    assert!(sent.json["alerts"][0]["incident_id"].is_string());
    let wrong =
        answer(test.request(Method::POST, "/v1/json/integrations/webhooks/netdata?apiKey=no").json(&body)).await;
    assert_eq!(wrong.status, 401);
    // What the agent's shell writes is not always JSON, and it says that it is a form.
    let (broken, headers) = fixture("netdata/agent-broken-json");
    let headers: Vec<(&str, &str)> = headers.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    let sent = test.knock("netdata", &headers, broken.as_str().unwrap().as_bytes().to_vec()).await;
    assert_eq!((sent.status.is_success(), sent.json["alerts"].as_array().unwrap().len()), (true, 1), "{}", sent.text);
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn alerts_can_be_listed_in_netdatas_words() {
    let test = TestApp::start().await;
    test.deliver("netdata", &fixture("netdata/brief.firing").0).await;
    test.deliver("netdata", &fixture("netdata/old.firing").0).await;
    let all = test.get("/netdata/alerts?limit=50&offset=0").await.json;
    assert_eq!((&all["total"], &all["limit"], &all["offset"]), (&json!(2), &json!(50), &json!(0)), "{all}");
    let alert = &test.get("/netdata/alerts?status=CRITICAL").await.json["alerts"][0];
    assert_eq!((alert["alert_name"].as_str(), alert["host"].as_str()), (Some("cpu_usage"), Some("prod-server-01")));
    assert_eq!((alert["status"].as_str(), alert["chart"].as_str()), (Some("CRITICAL"), Some("system.cpu")));
    assert_eq!(alert["payload"]["family"], "cpu");
    assert_eq!(test.get("/netdata/alerts?offset=1").await.json["alerts"].as_array().unwrap().len(), 1);
    assert_eq!(test.get("/netdata/alerts?status=WARNING").await.json["total"], 1);
    test.deliver("netdata", &fixture("netdata/brief.resolved").0).await;
    assert_eq!(test.get("/netdata/alerts?status=CLEAR").await.json["alerts"][0]["alert_name"], "cpu_usage");
    assert_eq!(test.get("/netdata/alerts?status=PURPLE").await.status, 400);
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_id_in_the_old_address_needs_its_proof_elsewhere() {
    let test = TestApp::start().await;
    let (body, _) = fixture("netdata/brief.firing");
    let key = test.key("netdata").await;
    let post = |proof: &str| {
        let request = test.request(Method::POST, "/netdata/alerts/webhook/user-7").json(&body);
        if proof.is_empty() { request } else { request.bearer_auth(proof) }
    };
    for (proof, want) in [(key.as_str(), 202), ("wrong", 401), ("", 401)] {
        assert_eq!(answer(post(proof)).await.status, want, "`{proof}`");
    }
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_old_addresses_work_for_every_platform() {
    let test = TestApp::start().await;
    for platform in watchfire::app::platforms() {
        let key = test.key(platform).await;
        let sample = watchfire::connectors::find(platform).unwrap().info().sample;
        for path in [
            format!("/api/webhooks/{platform}/{key}"),
            format!("/{platform}/webhook/{key}"),
            format!("/{platform}/alerts/webhook/{key}"),
        ] {
            let sent = answer(test.request(Method::POST, &path).body(sample)).await;
            assert!(sent.status.is_success(), "{platform}: {} {}", sent.status, sent.text);
            assert!(sent.json["delivery_id"].is_string(), "{platform}: {}", sent.text);
            let wrong = answer(test.request(Method::POST, &path.replace(&key, "wrong")).body(sample)).await;
            assert_eq!(wrong.status, 401, "{path}");
        }
        let put = test.request(Method::PUT, &format!("/api/webhooks/{platform}")).bearer_auth(TOKEN).body(sample);
        assert!(answer(put).await.status.is_success(), "{platform}: PUT");
    }
    test.stop().await;
}
