//! Prometheus' Watchdog, which Alertmanager sends for ever: a heartbeat of alerts hears it, although it is no alert here.

use std::time::Duration;

use serde_json::json;

use crate::support::{TestApp, fixture};

#[tokio::test(flavor = "multi_thread")]
async fn the_watchdog_of_alertmanager_is_the_heartbeat_that_people_expect() {
    let test = TestApp::start().await;
    let (watchdog, _) = fixture("alertmanager/watchdog-only");
    let mut beats = Vec::new();
    for (name, field, value) in [
        ("by label", "label.alertname", "Watchdog"),
        ("another one", "label.alertname", "DeadMansSwitch"),
        ("another platform", "platform", "grafana"),
    ] {
        let matchers = json!([{"field": field, "op": "=", "value": value}]);
        let body = json!({"name": name, "every_secs": 600, "from": {"alerts": matchers}});
        let made = test.post("/api/heartbeats", &body).await;
        assert_eq!(made.status, 201, "{}", made.text);
        beats.push(format!("/api/heartbeats/{}", made.json["id"].as_str().unwrap()));
    }
    test.deliver("alertmanager", &watchdog).await;
    for (at, want) in beats.iter().zip(["alive", "waiting", "waiting"]) {
        assert_eq!(test.get(at).await.json["state"], want, "{at}");
    }
    // It goes on, and then it does not.
    for _ in 0..3 {
        test.clock.advance(Duration::from_secs(500));
        test.deliver("alertmanager", &watchdog).await;
    }
    assert_eq!(test.get(&beats[0]).await.json["state"], "alive");
    // The other two are missing by now, which is an alert of the product's own.
    assert_eq!(test.get("/api/incidents?source=alertmanager").await.json["total"], 0);
    test.clock.advance(Duration::from_secs(700));
    test.until(&beats[0], |b| b["state"] == "missing").await;
    test.deliver("alertmanager", &watchdog).await;
    test.clock.advance(Duration::from_secs(31));
    test.until(&beats[0], |b| b["state"] == "alive").await;
    test.stop().await;
}
