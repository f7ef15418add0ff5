//! What makes two signals the same alert, set for a connector; and alerts that go up and down.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Answer, TOKEN, TestApp, answer};

async fn form(test: &TestApp, path: &str, fields: &[(&str, &str)]) -> Answer {
    let body = reqwest::Url::parse_with_params("http://x/", fields).unwrap().query().unwrap_or_default().to_owned();
    let request = test.request(Method::POST, path).header("content-type", "application/x-www-form-urlencoded");
    answer(request.bearer_auth(TOKEN).body(body)).await
}

/// One of a generic sender.
fn event(key: &str, service: &str, host: &str, status: &str) -> Value {
    json!({
        "title": format!("Queue is long on {host}"), "dedup_key": key, "status": status, "severity": "high",
        "service": service, "host": host, "labels": {"queue": "mail"},
    })
}

async fn send(test: &TestApp, event: &Value) -> String {
    let got = test.deliver("generic", event).await;
    assert_eq!(got.status, 202, "{}", got.text);
    let id = got.json["alerts"][0]["alert_id"].as_str().unwrap_or_default().to_owned();
    assert!(!id.is_empty(), "{}", got.text);
    id
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_is_tried_saved_used_and_taken_back() {
    let test = TestApp::start().await;
    let api = "/api/connectors/generic";
    let one = send(&test, &event("1", "mailer", "h1", "firing")).await;
    let two = send(&test, &event("2", "mailer", "h2", "firing")).await;
    assert_ne!(one, two);

    let tried = test.post(&format!("{api}/identity/try"), &json!({"fields": ["service", "labels.queue"]})).await;
    assert_eq!(tried.status, 200, "{}", tried.text);
    assert_eq!((&tried.json["alerts_now"], &tried.json["alerts_then"]), (&json!(2), &json!(1)), "{}", tried.text);
    assert_eq!(tried.json["together"][0]["one"]["dedup_key"], "generic:rule:service=mailer:labels.queue=mail");
    assert_eq!(tried.json["warnings"], json!([]));
    let missing = test.post(&format!("{api}/identity/try"), &json!({"fields": ["labels.nothing"], "last": 1})).await;
    assert_eq!(missing.json["missing"], json!([{"field": "labels.nothing", "count": 1}]), "{}", missing.text);
    for (body, path) in [
        (json!({"fields": ["service", "nothing"]}), "/fields/1"),
        (json!({"fields": ["host", "host"]}), "/fields"),
        (json!({"fields": [], "last": 5000}), "/last"),
    ] {
        let wrong = test.post(&format!("{api}/identity/try"), &body).await;
        assert_eq!((wrong.status.as_u16(), &wrong.json["errors"][0]["path"]), (422, &json!(path)), "{}", wrong.text);
    }
    assert_eq!(test.post("/api/connectors/nobody/identity/try", &json!({"fields": []})).await.status, 404);

    let page = "/connectors/generic/identity";
    let shown = form(&test, page, &[("fields", "service\nlabels.queue"), ("do", "try")]).await;
    assert_eq!(shown.status, 200);
    for part in ["1\u{a0}alert instead of 2", "2\u{a0}alerts fall together", "Nothing is saved yet"] {
        assert!(shown.text.contains(part), "{part}: {}", shown.text);
    }
    let wrong = form(&test, page, &[("fields", "color"), ("do", "save")]).await;
    assert!(wrong.status == 422 && wrong.text.contains("is no field"), "{}", wrong.text);
    assert_eq!(test.get(api).await.json["identity"], json!([]));
    assert_eq!(form(&test, page, &[("fields", "service, labels.queue"), ("do", "save")]).await.status, 303);
    assert_eq!(test.get(api).await.json["identity"], json!(["service", "labels.queue"]));

    // What began under the rule before ends under it; what comes anew has the new key.
    assert_eq!(send(&test, &event("1", "mailer", "h1", "resolved")).await, one);
    assert_eq!(send(&test, &event("2", "mailer", "h2", "resolved")).await, two);
    let joint = send(&test, &event("1", "mailer", "h1", "firing")).await;
    assert_eq!(send(&test, &event("2", "mailer", "h2", "firing")).await, joint);
    assert!(joint != one && joint != two);
    let told = test.get(&format!("/api/alerts/{joint}")).await.json;
    assert_eq!(told["identity"]["fields"], json!([["service", "mailer"], ["labels.queue", "mail"]]), "{told}");
    let own = send(&test, &event("3", "", "h3", "firing")).await;
    let told = test.get(&format!("/api/alerts/{own}")).await.json;
    let rule = told["identity"]["rule"].as_str().unwrap();
    assert!(rule.starts_with("service is missing, so the connector's own rule was used."), "{rule}");
    let warned = test.get(api).await.json["identity_warnings"].clone();
    let want = "service said nothing in 1 of 5 signals: the connector's own rule was used for them.";
    assert_eq!(warned, json!([want]));
    assert!(test.get("/connectors/generic").await.text.contains("service said nothing in 1 of 5 signals"));

    // Saving warns of what the last deliveries say.
    let saved = test.patch(api, &json!({"identity": ["title"]})).await;
    assert_eq!((saved.status.as_u16(), &saved.json["identity"]), (200, &json!(["title"])), "{}", saved.text);
    assert_eq!(form(&test, page, &[("do", "own")]).await.status, 303);
    assert_eq!(test.get(api).await.json["identity"], json!([]));
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alert_that_goes_up_and_down_is_flapping_and_its_incident_stays_open() {
    let test = TestApp::start().await;
    let mut id = send(&test, &event("1", "mailer", "h1", "firing")).await;
    for _ in 0..5 {
        test.clock.advance(Duration::from_secs(60));
        send(&test, &event("1", "mailer", "h1", "resolved")).await;
        test.clock.advance(Duration::from_secs(60));
        id = send(&test, &event("1", "mailer", "h1", "firing")).await;
    }
    send(&test, &event("1", "mailer", "h1", "resolved")).await;
    let alert = test.get(&format!("/api/alerts/{id}")).await.json;
    assert_eq!(
        (&alert["status"], &alert["flapping"], &alert["flaps"]["times"]),
        (&json!("resolved"), &json!(true), &json!(5))
    );
    let incident = test.get("/api/incidents/INC-1").await.json;
    assert!(incident["flapping"] == true && incident["status"] != "resolved", "{incident}");
    assert!(test.get(&format!("/alerts?id={id}")).await.text.contains("is over if it stays quiet for 5 min"));
    test.clock.advance(Duration::from_secs(301));
    test.until("/api/incidents/INC-1", |i| i["status"] == "resolved" && i["flapping"] == false).await;
    let kinds = test.get("/api/incidents/INC-1").await.json["timeline"].clone();
    let count = |kind: &str| kinds.as_array().unwrap().iter().filter(|e| e["kind"] == kind).count();
    assert_eq!((count("flapping_began"), count("flapping_ended"), count("alert_refired")), (1, 1, 2), "{kinds}");
    test.stop().await;
}
