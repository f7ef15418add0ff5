//! Who may do what.

use reqwest::{Method, header};
use serde_json::json;

use crate::support::{Answer, TestApp, answer};
use watchfire::model::Scope;

const PASSWORD: &str = "a long password";

async fn form(test: &TestApp, path: &str, fields: &[(&str, &str)], cookie: Option<&str>) -> Answer {
    let body: String = reqwest::Url::parse_with_params("http://x/", fields).unwrap().query().unwrap().to_owned();
    let mut request = test.request(Method::POST, path).header("content-type", "application/x-www-form-urlencoded");
    if let Some(cookie) = cookie {
        request = request.header("cookie", cookie);
    }
    answer(request.body(body)).await
}

fn cookie(answer: &Answer) -> String {
    let mut set = answer.headers.get_all(header::SET_COOKIE).iter().map(|v| v.to_str().unwrap());
    let session = set.find(|c| c.starts_with("watchfire=")).unwrap_or_else(|| panic!("no session in {answer:?}"));
    for part in ["HttpOnly", "SameSite=Lax", "Path=/"] {
        assert!(session.contains(part), "{session}");
    }
    session.split(';').next().unwrap().to_owned()
}

async fn sign_in(test: &TestApp, name: &str) -> String {
    let made = test.post("/api/users", &json!({"name": name, "role": "admin", "password": PASSWORD})).await;
    assert_eq!(made.status, 201, "{}", made.text);
    cookie(&form(test, "/login", &[("user", name), ("password", PASSWORD)], None).await)
}

#[tokio::test(flavor = "multi_thread")]
async fn scopes_hold_on_every_kind_of_route() {
    let test = TestApp::start().await;
    let mut tokens = Vec::new();
    for scope in Scope::ALL {
        let made = test.post("/api/tokens", &json!({"name": scope, "scopes": [scope]})).await;
        tokens.push((*scope, made.json["token"].as_str().unwrap().to_owned()));
    }
    for (method, path, wanted) in [
        (Method::GET, "/api/incidents", Scope::Read),
        (Method::GET, "/api/alerts", Scope::Read),
        (Method::GET, "/api/deliveries", Scope::Read),
        (Method::GET, "/api/connectors", Scope::Read),
        (Method::GET, "/metrics", Scope::Read),
        (Method::POST, "/api/incidents/bulk", Scope::Write),
        (Method::POST, "/api/changes", Scope::Write),
        (Method::PATCH, "/api/connectors/grafana", Scope::Admin),
        (Method::POST, "/api/connectors/grafana/reveal-key", Scope::Admin),
        (Method::GET, "/api/users", Scope::Admin),
        (Method::GET, "/api/tokens", Scope::Admin),
        (Method::GET, "/api/audit", Scope::Admin),
    ] {
        let nobody = answer(test.request(method.clone(), path)).await;
        assert_eq!(nobody.status, 401, "{path}");
        assert_eq!(nobody.headers[header::WWW_AUTHENTICATE], "Bearer realm=\"watchfire\"");
        for (scope, token) in &tokens {
            let got = answer(test.request(method.clone(), path).bearer_auth(token).body("{}")).await.status;
            assert_eq!(got == 403, !scope.allows(wanted), "{scope} on {path}: {got}");
            assert_ne!(got, 401);
        }
    }
    for path in ["/healthz", "/readyz", "/api/version"] {
        assert_eq!(answer(test.request(Method::GET, path)).await.status, 200, "{path}");
    }
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn people_sign_in_and_out() {
    let test = TestApp::start().await;
    let session = sign_in(&test, "kim").await;
    let with = |method, path: &str| test.request(method, path).header("cookie", &session);
    assert_eq!(answer(with(Method::GET, "/api/incidents")).await.status, 200);
    for (name, password) in [("kim", "another password"), ("nobody", PASSWORD), ("", "")] {
        let refused = form(&test, "/login", &[("user", name), ("password", password)], None).await;
        assert!(!refused.headers.contains_key(header::SET_COOKIE), "{name}");
    }
    // Made by another site in kim's browser.
    for (name, value) in [("origin", "https://evil.example"), ("sec-fetch-site", "cross-site"), ("origin", "null")] {
        let forged = answer(with(Method::POST, "/api/incidents/bulk").header(name, value).body("{}")).await;
        assert_eq!(
            (forged.status.as_u16(), forged.json["code"].as_str()),
            (403, Some("cross_site")),
            "{name}: {value}"
        );
    }
    form(&test, "/logout", &[("x", "y")], Some(&session)).await;
    assert_eq!(
        answer(with(Method::GET, "/api/incidents")).await.status,
        401,
        "the session is gone, not only the cookie"
    );
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_end_with_their_time_and_with_a_new_password() {
    let test = TestApp::start().await;
    let session = sign_in(&test, "kim").await;
    let status = async |session: &str| {
        answer(test.request(Method::GET, "/api/incidents").header("cookie", session)).await.status.as_u16()
    };
    assert_eq!(status(&session).await, 200);
    assert_eq!(test.patch("/api/users/kim", &json!({"password": "yet another one"})).await.status, 200);
    assert_eq!(status(&session).await, 401);
    let again = form(&test, "/login", &[("user", "kim"), ("password", "yet another one")], None).await;
    let session = cookie(&again);
    assert_eq!(status(&session).await, 200);
    test.clock.advance(test.config.session_lifetime + std::time::Duration::from_secs(1));
    assert_eq!(status(&session).await, 401);
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn guessing_is_slowed_down() {
    let test = TestApp::start().await;
    sign_in(&test, "kim").await;
    let mut last = None;
    for _ in 0..20 {
        last = Some(form(&test, "/login", &[("user", "kim"), ("password", "guess guess")], None).await);
    }
    assert_eq!(last.unwrap().status, 429);
    // The right password does not help either until some time has passed.
    assert!(
        !form(&test, "/login", &[("user", "kim"), ("password", PASSWORD)], None)
            .await
            .headers
            .contains_key(header::SET_COOKIE)
    );
    test.clock.advance(std::time::Duration::from_secs(60));
    cookie(&form(&test, "/login", &[("user", "kim"), ("password", PASSWORD)], None).await);
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_shown_masked_and_each_look_is_written_down() {
    let test = TestApp::start().await;
    let key = test.key("grafana").await;
    let list = test.get("/api/connectors").await;
    assert!(!list.text.contains(&key));
    let shown = test.post("/api/connectors/grafana/reveal-key", &json!({})).await;
    assert_eq!(shown.json["key"], key.as_str());
    test.patch("/api/connectors/grafana", &json!({"signing_secret": "sh-secret"})).await;
    let connector = test.get("/api/connectors/grafana").await;
    assert_eq!(connector.json["has_signing_secret"], true);
    assert!(!connector.text.contains("sh-secret"), "written, never read");
    let log = test.get("/api/audit").await;
    assert!(!log.text.contains("sh-secret") && !log.text.contains(&key));
    let actions: Vec<&str> =
        log.json["audit"].as_array().unwrap().iter().filter_map(|e| e["action"].as_str()).collect();
    assert!(actions.contains(&"connector.reveal_key") && actions.contains(&"connector.update"), "{actions:?}");
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_carry_the_security_headers() {
    let test = TestApp::start().await;
    for path in ["/login", "/api/version", "/no-such-page"] {
        let got = answer(test.request(Method::GET, path)).await;
        let policy = got.headers["content-security-policy"].to_str().unwrap();
        for part in [
            "default-src 'self'",
            "frame-ancestors 'none'",
            "base-uri 'none'",
            "form-action 'self'",
            "object-src 'none'",
        ] {
            assert!(policy.contains(part), "{path}: {policy}");
        }
        assert_eq!(got.headers["x-content-type-options"], "nosniff");
        assert_eq!(got.headers["referrer-policy"], "same-origin");
        assert!(got.headers["cache-control"].to_str().unwrap().contains("no-store"), "{path}");
        assert!(got.headers.contains_key("x-request-id"));
    }
    // Nobody looks at what a sender is answered.
    let refused = answer(test.request(Method::POST, "/api/webhooks/grafana").body("{}")).await;
    assert_eq!(refused.status, 401);
    assert_eq!(refused.headers["x-content-type-options"], "nosniff");
    assert_eq!(refused.headers["x-request-id"], refused.json["request_id"].as_str().unwrap());
    assert_eq!(refused.headers["cache-control"], "no-store");
    assert!(!refused.headers.contains_key("content-security-policy"));
    let page = answer(test.request(Method::GET, "/incidents?q=a")).await;
    assert_eq!(page.status, 303);
    assert_eq!(page.headers[header::LOCATION], "/setup", "nobody has an account yet");
    sign_in(&test, "kim").await;
    let page = answer(test.request(Method::GET, "/incidents?q=a")).await;
    assert_eq!(page.headers[header::LOCATION], "/login?next=%2Fincidents%3Fq%3Da");
    test.stop().await;
}
