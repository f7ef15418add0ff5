//! The account at Netdata Cloud: checked there before it is kept, never shown, and forgotten again.

use std::sync::{Arc, Mutex};

use axum::{Json, Router, extract::State, http::HeaderMap, response::Redirect, routing::get};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{TestApp, answer};

pub const API_TOKEN: &str = "nd-token-that-nobody-may-see";

/// What stands in for Netdata Cloud: the headers of the last request.
pub type Seen = Arc<Mutex<Option<HeaderMap>>>;

async fn spaces(State(seen): State<Seen>, headers: HeaderMap) -> (StatusCode, Json<Value>) {
    let right = headers.get("authorization").is_some_and(|v| v == &format!("Bearer {API_TOKEN}"));
    *seen.lock().unwrap() = Some(headers);
    let list = json!([{"id": "0d2c", "slug": "acme-x1", "name": "Acme"}, {"id": "7", "slug": "lab", "name": "Lab"}]);
    if right { (StatusCode::OK, Json(list)) } else { (StatusCode::UNAUTHORIZED, Json(json!({"error": "no"}))) }
}

/// Its address.
pub async fn cloud(seen: Seen) -> String {
    let router = Router::new()
        .route("/cloud/api/v2/spaces", get(spaces))
        .route("/odd/api/v2/spaces", get(|| async { "<html>" }))
        .route("/down/api/v2/spaces", get(|| async { StatusCode::BAD_GATEWAY }))
        .route("/moved/api/v2/spaces", get(|| async { Redirect::temporary("/cloud/api/v2/spaces") }))
        .with_state(seen);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    // Ends with the test's runtime.
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    format!("http://{addr}")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_checked_where_it_was_made() {
    let mut test = TestApp::start().await;
    let seen = Seen::default();
    let at = cloud(seen.clone()).await;
    let nothing = json!({"connected": false, "base_url": null, "spaces": [], "checked_at": null});
    assert_eq!(test.get("/netdata/status").await.json, nothing);

    let connect = async |test: &TestApp, body: Value| test.post("/netdata/connect", &body).await;
    let wrong = connect(&test, json!({"api_token": "wrong", "base_url": format!("{at}/cloud"), "force": true})).await;
    assert_eq!((wrong.status.as_u16(), &wrong.json["code"]), (400, &json!("netdata_refused")), "{}", wrong.text);
    assert!(wrong.json["detail"].as_str().unwrap().contains("401") && !wrong.text.contains("wrong\""));
    assert_eq!(test.get("/netdata/status").await.json, nothing, "a refused token is not saved");

    let given = json!({"api_token": API_TOKEN, "base_url": format!("{at}/cloud/")});
    let done = connect(&test, given).await;
    assert_eq!(done.status, 200, "{}", done.text);
    let want = json!({"connected": true, "base_url": format!("{at}/cloud"), "spaces": ["Acme", "Lab"],
        "checked_at": "2026-03-03T10:30:00.000Z"});
    assert_eq!(done.json, want);
    let agent = seen.lock().unwrap().clone().unwrap()["user-agent"].to_str().unwrap().to_owned();
    assert!(agent.starts_with("Watchfire/"), "{agent}");

    // It outlives the process, and is nowhere in the clear.
    test.restart().await;
    assert_eq!(test.get("/netdata/status").await.json, want);
    for path in ["/api/audit", "/api/connectors/netdata", "/connectors/netdata"] {
        let shown = test.get(path).await;
        assert!(shown.status == 200 && !shown.text.contains(API_TOKEN), "{path}");
    }
    for file in ["watchfire.redb", "intake.redb"] {
        let bytes = std::fs::read(test.data_dir().join(file)).unwrap();
        assert!(!bytes.windows(API_TOKEN.len()).any(|w| w == API_TOKEN.as_bytes()), "{file}");
    }

    // The saved token is checked again, at its own place only.
    test.clock.advance(std::time::Duration::from_secs(60));
    let again = connect(&test, json!({"space_name": "acme-x1"})).await;
    assert_eq!(
        (&again.json["spaces"], &again.json["checked_at"]),
        (&json!(["Acme"]), &json!("2026-03-03T10:31:00.000Z")),
        "{}",
        again.text
    );
    assert_eq!(connect(&test, json!({"base_url": format!("{at}/moved")})).await.status, 422);
    let none = connect(&test, json!({"space_name": "Nowhere"})).await;
    assert!(none.status == 400 && none.json["detail"].as_str().unwrap().contains("Acme"), "{}", none.text);

    let gone = test.delete("/netdata/disconnect").await;
    assert_eq!((gone.status.as_u16(), gone.json), (200, nothing.clone()));
    assert_eq!(test.post("/netdata/disconnect", &json!({})).await.json, nothing);
    assert_eq!(connect(&test, json!({})).await.status, 422, "there is no saved token any more");
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cloud_out_of_reach_saves_only_what_is_forced() {
    let test = TestApp::start().await;
    let at = cloud(Seen::default()).await;
    // Nobody listens on a port that was just given back.
    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    for base in [format!("http://{closed}"), format!("{at}/odd"), format!("{at}/down"), format!("{at}/moved")] {
        let lost = test.post("/netdata/connect", &json!({"api_token": API_TOKEN, "base_url": base})).await;
        assert_eq!((lost.status.as_u16(), &lost.json["code"]), (502, &json!("netdata_unreachable")), "{}", lost.text);
        assert_eq!(test.get("/netdata/status").await.json["base_url"], Value::Null, "{base}");
    }
    let forced = json!({"api_token": API_TOKEN, "base_url": format!("http://{closed}"), "force": true});
    let saved = test.post("/netdata/connect", &forced).await;
    let want = json!({"connected": false, "base_url": format!("http://{closed}"), "spaces": [], "checked_at": null});
    assert_eq!((saved.status.as_u16(), &saved.json), (200, &want), "{}", saved.text);
    assert_eq!(test.get("/netdata/status").await.json, want);
    for (field, wrong) in [("base_url", "ftp://a"), ("base_url", "https://u:p@a"), ("api_token", "a b")] {
        let mut body = json!({"api_token": API_TOKEN});
        body[field] = json!(wrong);
        let refused = test.post("/netdata/connect", &body).await;
        assert_eq!((refused.status.as_u16(), &refused.json["errors"][0]["path"]), (422, &json!(format!("/{field}"))));
    }
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_administrators_connect() {
    let test = TestApp::start().await;
    let made = test.post("/api/tokens", &json!({"name": "w", "scopes": ["write"]})).await.json["token"].clone();
    for (method, path) in [
        (Method::POST, "/netdata/connect"),
        (Method::DELETE, "/netdata/disconnect"),
        (Method::POST, "/netdata/disconnect"),
    ] {
        let asked = test.request(method.clone(), path).json(&json!({"api_token": "x"}));
        let refused = answer(asked.bearer_auth(made.as_str().unwrap())).await;
        assert_eq!(refused.status, 403, "{method} {path}");
    }
    test.stop().await;
}
