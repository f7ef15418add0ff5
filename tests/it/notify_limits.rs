//! When a channel is called no more: at once where whoever goes on is shut out, after three refusals elsewhere, and after very
//! many failures of whatever kind. That it is so becomes an incident.

use std::time::Duration;

use serde_json::{Value, json};
use watchfire::runtime::clock::Clock;

use crate::{
    receiver::Receiver,
    support::{TestApp, start_of_time},
};

async fn start() -> (TestApp, Receiver) {
    let test = TestApp::start_with(Clock::manual(start_of_time()), |c| {
        c.notify_allow = vec!["127.0.0.1/32".parse().unwrap()];
        c.notify_plain_http = true;
    })
    .await;
    (test, Receiver::start().await)
}

async fn made(test: &TestApp, kind: &str, url: &str) -> String {
    let body = json!({"name": kind, "kind": kind, "settings": {"url": url}});
    let made = test.post("/api/channels", &body).await;
    assert_eq!(made.status, 201, "{}", made.text);
    made.json["id"].as_str().unwrap().to_owned()
}

/// Opens an incident and waits for the end of its message: its state.
async fn told(test: &TestApp, n: u32) -> String {
    test.clock.advance(Duration::from_secs(5));
    let body =
        json!({"title": format!("db fails {n}"), "source_id": format!("s{n}"), "service": "db", "severity": "high"});
    let made = test.post("/api/incidents", &body).await;
    assert_eq!(made.status, 201, "{}", made.text);
    let at = format!("/api/incidents/{}/notifications", made.json["id"].as_str().unwrap());
    let ended = |t: &Value| {
        t["notifications"].as_array().is_some_and(|n| n.iter().all(|n| !n["ended_at"].is_null()) && !n.is_empty())
    };
    let told = test.until(&at, ended).await;
    told["notifications"][0]["state"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_channel_is_given_up_at_once_or_after_three_refusals() {
    for (kind, path, body, calls) in [
        ("discord", "/api/webhooks/1/token", r#"{"message":"Unknown Webhook","code":10015}"#, 1),
        ("mattermost", "/hooks/x", r#"{"message":"Invalid webhook"}"#, 3),
    ] {
        let (test, target) = start().await;
        target.usually(404, body);
        let id = made(&test, kind, &format!("{}{path}", target.url)).await;
        let db = json!([{"field": "service", "op": "=", "value": "db"}]);
        let rule = json!({"name": "Db", "matchers": db, "events": ["opened"], "targets": [{"channel": id}]});
        assert_eq!(test.post("/api/rules", &rule).await.status, 201);
        for n in 1..6 {
            assert_eq!(told(&test, n).await, "failed", "{kind} {n}");
        }
        assert_eq!(target.all().len(), calls, "{kind}");
        let at = format!("/api/channels/{id}");
        let health = test.get(&at).await.json["health"].clone();
        assert!(health["broken_since"].is_string(), "{kind}: {health}");
        test.clock.advance(Duration::from_secs(31));
        let given_up = |l: &Value| {
            l["incidents"].as_array().unwrap().iter().any(|i| i["title"] == format!("Channel “{kind}” is given up"))
        };
        test.until("/api/incidents", given_up).await;
        // Whoever tries it has it called all the same, and what arrives makes it whole.
        target.usually(200, r#"{"id":"1","channel_id":"2"}"#);
        test.clock.advance(Duration::from_secs(5));
        let tested = test.post(&format!("{at}/test"), &json!({})).await.json;
        assert_eq!((&tested["ok"], &tested["health"]["broken_since"]), (&json!(true), &Value::Null), "{tested}");
        assert_eq!(told(&test, 6).await, "sent");
        test.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn after_fifty_failures_a_channel_is_given_up_whatever_was_wrong() {
    let (test, target) = start().await;
    // It is the message that is refused, and not the channel.
    target.usually(400, "no");
    let id = made(&test, "webhook", &format!("{}/in", target.url)).await;
    let at = format!("/api/channels/{id}");
    for n in 1..=50 {
        test.clock.advance(Duration::from_secs(1));
        let health = test.post(&format!("{at}/test"), &json!({})).await.json["health"].clone();
        assert_eq!((&health["failures"], health["broken_since"].is_string()), (&json!(n), n == 50), "{health}");
    }
    assert_eq!(target.all().len(), 50);
    test.stop().await;
}
