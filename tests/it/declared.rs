//! Incidents and changes that people and programs declare.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Answer, TOKEN, TestApp, answer};

fn body() -> Value {
    json!({"source_type": "custom", "alert_title": "Checkout fails", "alert_service": "checkout",
        "alert_environment": "production", "severity": "high", "source_alert_id": "mon-7",
        "alert_metadata": {"description": "since noon", "region": "eu"}, "started_at": "2026-03-03T10:00:00Z"})
}

async fn declare(test: &TestApp, body: &Value, key: Option<&str>) -> Answer {
    let mut request = test.request(Method::POST, "/api/incidents").bearer_auth(TOKEN).json(body);
    if let Some(key) = key {
        request = request.header("idempotency-key", key);
    }
    answer(request).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_incident_is_created_once() {
    let test = TestApp::start().await;
    let first = declare(&test, &body(), None).await;
    assert_eq!(first.status, 201, "{}", first.text);
    assert_eq!(first.headers["location"], "/api/incidents/INC-1");
    let i = &first.json;
    assert_eq!((i["id"].as_str(), i["severity"].as_str()), (Some("INC-1"), Some("high")));
    assert_eq!((i["source"].as_str(), i["status"].as_str()), (Some("custom"), Some("investigating")));
    assert_eq!((i["started_at"].as_str(), i["alert_count"].as_u64()), (Some("2026-03-03T10:00:00.000Z"), Some(1)));
    let again = declare(&test, &body(), None).await;
    assert_eq!((again.status.as_u16(), again.json["id"].as_str()), (200, Some("INC-1")), "{}", again.text);
    assert_eq!(again.json["alerts"][0]["count"], 2);
    // Without an id of its own each is a new one, and the service does not join them.
    let mut loose = body();
    loose.as_object_mut().unwrap().remove("source_alert_id");
    assert_eq!(declare(&test, &loose, None).await.json["id"], "INC-2");
    assert_eq!(declare(&test, &loose, None).await.json["id"], "INC-3");
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_with_the_same_key_changes_nothing() {
    let test = TestApp::start().await;
    let body = json!({"title": "x"});
    let first = declare(&test, &body, Some("k-1")).await;
    let again = declare(&test, &body, Some("k-1")).await;
    assert_eq!((first.status.as_u16(), again.status.as_u16()), (201, 201), "the first answer again: {}", again.text);
    assert_eq!((&again.json["id"], &again.json["alerts"][0]["count"]), (&first.json["id"], &json!(1)));
    assert_eq!(declare(&test, &body, Some("k-2")).await.json["id"], "INC-2");
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_fields_are_named_all_at_once() {
    let test = TestApp::start().await;
    let check = async |body: Value, want: &[&str]| {
        let refused = declare(&test, &body, None).await;
        assert_eq!(
            (refused.status.as_u16(), refused.json["code"].as_str()),
            (422, Some("invalid")),
            "{}",
            refused.text
        );
        assert_eq!(refused.headers["content-type"], "application/problem+json");
        let paths: Vec<&str> =
            refused.json["errors"].as_array().unwrap().iter().map(|e| e["path"].as_str().unwrap()).collect();
        assert_eq!(paths, want, "{}", refused.text);
        for name in ["type", "title", "status", "code", "detail", "request_id"] {
            assert!(!refused.json[name].is_null(), "{name}: {}", refused.text);
        }
    };
    check(json!({"alert_title": "x", "severity": "purple"}), &["/severity"]).await;
    check(json!({}), &["/alert_title"]).await;
    check(
        json!({"alert_title": "  ", "source_type": "A b", "started_at": "soon"}),
        &["/alert_title", "/source_type", "/started_at"],
    )
    .await;
    check(json!({"alert_title": 5}), &["/alert_title"]).await;
    check(json!({"alert_title": "x", "alert_metadata": []}), &["/alert_metadata"]).await;
    let broken =
        answer(test.request(Method::POST, "/api/incidents").bearer_auth(TOKEN).body("{\"alert_title\":")).await;
    assert_eq!((broken.status.as_u16(), broken.json["code"].as_str()), (400, Some("not_json")));
    assert_eq!(test.get("/api/incidents").await.json["total"], 0);
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_left_alone_by_alerts_and_stays_until_somebody_closes_it() {
    let test = TestApp::start().await;
    declare(&test, &body(), None).await;
    let alert = json!({"id": "a", "title": "checkout down", "service": "checkout", "severity": "critical"});
    let joined = test.deliver("generic", &alert).await;
    assert_eq!(joined.json["alerts"][0]["incident_id"], "INC-2", "alerts never join a declared one: {}", joined.text);
    let acknowledged = test.post("/api/incidents/1/acknowledge", &json!({})).await.json;
    assert_eq!(
        (&acknowledged["owner"], acknowledged["acknowledged_at"].is_string()),
        (&json!("token:bootstrap"), true)
    );
    let closed = test.post("/api/incidents/1/resolve", &json!({"reason": "fixed"})).await;
    assert_eq!((closed.json["status"].as_str(), closed.json["resolution"].as_str()), (Some("resolved"), Some("fixed")));
    // Declared again within 15 minutes it is the same; later another.
    let again = declare(&test, &body(), None).await;
    assert_eq!((again.status.as_u16(), again.json["id"].as_str()), (200, Some("INC-1")), "{}", again.text);
    test.post("/api/incidents/1/resolve", &json!({})).await;
    test.clock.advance(Duration::from_secs(16 * 60));
    let later = declare(&test, &body(), None).await;
    assert_eq!((later.status.as_u16(), later.json["id"].as_str()), (201, Some("INC-3")), "{}", later.text);
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_lifecycle_allows_what_it_allows_and_says_it() {
    let test = TestApp::start().await;
    declare(&test, &body(), None).await;
    let refused = test.post("/api/incidents/1/reopen", &json!({})).await;
    assert_eq!((refused.status.as_u16(), refused.json["code"].as_str()), (409, Some("conflict")), "{}", refused.text);
    assert!(!refused.json["errors"].as_array().unwrap().is_empty(), "it names what is allowed: {}", refused.text);
    assert_eq!(test.post("/api/incidents/1/resolve", &json!({})).await.status, 200);
    assert_eq!(test.post("/api/incidents/1/resolve", &json!({})).await.status, 409);
    assert_eq!(test.patch("/api/incidents/1", &json!({"status": "merged"})).await.status, 409);
    assert_eq!(test.post("/api/incidents/1/reopen", &json!({})).await.json["status"], "investigating");
    let patched = test.patch("/api/incidents/1", &json!({"severity": "low", "title": "T", "owner": "kim"})).await.json;
    assert_eq!(
        (patched["severity"].as_str(), patched["title"].as_str(), patched["owner"].as_str()),
        (Some("low"), Some("T"), Some("kim"))
    );
    for path in ["/api/incidents/INC-99", "/api/incidents/0", "/api/incidents/x", "/api/incidents/18446744073709551616"]
    {
        let missing = test.get(path).await;
        assert_eq!((missing.status.as_u16(), missing.json["code"].as_str()), (404, Some("not_found")), "{path}");
    }
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_are_kept_and_open_nothing() {
    let test = TestApp::start().await;
    let change = json!({"service": "api", "kind": "deploy", "title": "v2", "url": "https://ci.example/2", "version": "2", "at": "2026-03-03T10:29:00Z"});
    let told = test.post("/api/changes", &change).await;
    assert_eq!(told.status, 202, "{}", told.text);
    let path = format!("/api/deliveries/{}", told.json["delivery_id"].as_str().unwrap());
    let kept = test.until(&path, |d| d["applied_at"].is_string()).await;
    assert_eq!((&kept["changes"], &kept["alerts"]), (&json!(1), &json!(0)));
    assert_eq!(test.get("/api/incidents").await.json["total"], 0);
    for (body, path) in [
        (json!({"service": "api"}), "/title"),
        (json!({"title": "x", "url": "javascript:alert(1)"}), "/url"),
        (json!({"title": "x", "kind": "party"}), "/kind"),
        (json!({"title": "x", "at": "noon"}), "/at"),
    ] {
        let refused = test.post("/api/changes", &body).await;
        assert_eq!(
            (refused.status.as_u16(), refused.json["errors"][0]["path"].as_str()),
            (422, Some(path)),
            "{}",
            refused.text
        );
    }
    test.stop().await;
}
