//! Proof: of senders, of people, of browsers; and what must never be told.

use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use reqwest::{Method, RequestBuilder, header};
use serde_json::json;
use watchfire::{model::Time, runtime::clock::Clock};

use crate::support::{Answer, TOKEN, TestApp, answer};

const PASSWORD: &str = "correct horse battery";

fn form(test: &TestApp, path: &str, fields: &[(&str, &str)]) -> RequestBuilder {
    let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    test.request(Method::POST, path).header("content-type", "application/x-www-form-urlencoded").body(body)
}

fn cookie(answer: &Answer) -> Option<String> {
    let set = answer.headers.get_all(header::SET_COOKIE).iter().map(|v| v.to_str().unwrap());
    set.filter(|c| c.contains("watchfire=")).map(|c| c.split(';').next().unwrap().to_owned()).next()
}

async fn person(test: &TestApp, name: &str, role: &str) {
    let made = test.post("/api/users", &json!({"name": name, "role": role, "password": PASSWORD})).await;
    assert_eq!(made.status, 201, "{}", made.text);
}

async fn sign_in(test: &TestApp, name: &str) -> String {
    cookie(&answer(form(test, "/login", &[("user", name), ("password", PASSWORD)])).await).expect("signed in")
}

fn hex_hmac(secret: &str, parts: &[&[u8]]) -> String {
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    parts.iter().for_each(|p| mac.update(p));
    mac.finalize().into_bytes().iter().map(|b| format!("{b:02x}")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_mode_takes_its_own_proof_and_no_other() {
    let test = TestApp::start().await;
    let key = test.key("pagerduty").await;
    let body = watchfire::connectors::find("pagerduty").unwrap().info().sample;
    let set = test.patch("/api/connectors/pagerduty", &json!({"signing_secret": "s3cr3t/=="})).await;
    assert_eq!(set.status, 200, "{}", set.text);
    let right = format!("v1={}", hex_hmac("s3cr3t/==", &[body.as_bytes()]));
    let old_and_right = format!("v1={}, v2=abc, {right}", "0".repeat(64));
    let wrong = format!("v1={}", hex_hmac("other", &[body.as_bytes()]));
    let send = async |name: &'static str, value: &str| {
        let mut request = test.request(Method::POST, "/api/webhooks/pagerduty").body(body);
        if !name.is_empty() {
            request = request.header(name, value);
        }
        answer(request).await
    };
    for (mode, by_key, by_signature, by_nothing) in [
        ("key", 202, 401, 401),
        ("signature", 401, 202, 401),
        ("any-of", 202, 202, 401),
        ("open", 202, 202, 202),
        ("mtls", 401, 401, 401),
    ] {
        let set = test.patch("/api/connectors/pagerduty", &json!({"auth": mode})).await;
        assert_eq!(set.json["auth"], mode, "{}", set.text);
        assert_eq!(send("x-watchfire-key", &key).await.status, by_key, "{mode}: key");
        for signature in [&right, &old_and_right] {
            assert_eq!(send("x-pagerduty-signature", signature).await.status, by_signature, "{mode}: {signature}");
        }
        let nothing = send("", "").await;
        assert_eq!(nothing.status, by_nothing, "{mode}: nothing");
        if mode != "open" {
            for signature in [wrong.as_str(), "v1=", "", &right.replace("v1=", ""), &right.to_uppercase()] {
                assert_eq!(send("x-pagerduty-signature", signature).await.status, 401, "{mode}: {signature}");
            }
            assert!(nothing.json["ways"].as_array().is_some_and(|w| !w.is_empty()), "{mode}: {}", nothing.text);
            assert!(!nothing.text.contains(&key) && !nothing.text.contains("s3cr3t"), "{mode}");
        }
        // A program's token for ingest serves in every mode.
        assert_eq!(send("authorization", &format!("Bearer {TOKEN}")).await.status, 202, "{mode}: token");
    }
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_open_unless_it_was_chosen() {
    let test = TestApp::start().await;
    for platform in watchfire::app::platforms() {
        let sample = watchfire::connectors::find(platform).unwrap().info().sample;
        for offered in ["", "?key=", "?token=wrong", "?apiKey=x"] {
            let path = format!("/api/webhooks/{platform}{offered}");
            let refused = answer(test.request(Method::POST, &path).body(sample)).await;
            assert_eq!((refused.status.as_u16(), refused.json["code"].as_str()), (401, Some("unauthorized")), "{path}");
            assert!(
                refused.json["detail"].as_str().unwrap().contains("Connectors"),
                "where the key is: {}",
                refused.text
            );
        }
        let state = test.get(&format!("/api/{platform}/status")).await.json;
        assert_eq!(state["state"], "refused", "{platform}: the page says that somebody is turned away");
    }
    assert_eq!(test.get("/api/deliveries").await.json["total"], 0, "strangers fill nothing");
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn grafana_signs_with_and_without_the_time() {
    let at = Time::from_secs(1_700_000_000);
    let test = TestApp::start_with(Clock::manual(at), |_| {}).await;
    let settings = json!({"auth": "signature", "signing_secret": "watchfire"});
    assert_eq!(test.patch("/api/connectors/grafana", &settings).await.status, 200);
    let plain = "2107d1bc5ccc5288fb5bdc42474252decec572083043de1a12757d36df406508";
    let timed = "82fd3f2dea7c9d2a206616877f35d3f351ad60c49b02448fbf6acb4d3f54a9f1";
    let send = async |signature: &str, time: Option<&str>, body: &'static str| {
        let mut request = test.request(Method::POST, "/api/webhooks/grafana").body(body);
        request = request.header("x-grafana-alerting-signature", signature);
        if let Some(time) = time {
            request = request.header("x-grafana-alerting-timestamp", time);
        }
        // Proved, but no group of alerts: 422 says that it was read.
        answer(request).await.status.as_u16()
    };
    let body = r#"{"status":"firing"}"#;
    assert_eq!(send(plain, None, body).await, 422);
    assert_eq!(send(timed, Some("1700000000"), body).await, 422);
    assert_eq!(send(timed, Some("1700000001"), body).await, 401, "another time");
    assert_eq!(send(timed, None, body).await, 401);
    assert_eq!(send(plain, None, r#"{"status":"firing" }"#).await, 401, "another body");
    test.clock.advance(Duration::from_secs(301));
    assert_eq!(send(timed, Some("1700000000"), body).await, 401, "too old");
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotated_key_lives_for_a_day_whoever_rotates_it() {
    let test = TestApp::start().await;
    person(&test, "kim", "admin").await;
    let works = async |key: &str| {
        let body = r#"{"title": "x", "severity": "info"}"#;
        answer(test.request(Method::POST, &format!("/api/webhooks/generic/{key}")).body(body)).await.status == 202
    };
    for by_page in [false, true] {
        let old = test.key("generic").await;
        let session = sign_in(&test, "kim").await;
        if by_page {
            let press = async |what: &str| {
                let path = format!("/connectors/generic/{what}");
                answer(form(&test, &path, &[("a", "b")]).header("cookie", &session)).await.status.as_u16()
            };
            assert!(press("reveal").await < 400 && press("rotate").await < 400);
            let audit = test.get("/api/audit").await.json["audit"].clone();
            let looked = audit.as_array().unwrap().iter().find(|e| e["action"] == "connector.reveal_key");
            assert!(looked.is_some_and(|e| e.to_string().contains("kim")), "{audit}");
        } else {
            assert_eq!(test.post("/api/connectors/generic/rotate-key", &json!({})).await.status, 200);
        }
        let new = test.key("generic").await;
        assert_ne!(old, new);
        assert!(works(&old).await && works(&new).await);
        test.clock.advance(Duration::from_secs(24 * 3600 - 1));
        assert!(works(&old).await, "to the last second");
        test.clock.advance(Duration::from_secs(1));
        assert!(!works(&old).await && works(&new).await);
        let later = answer(test.request(Method::GET, "/api/incidents").header("cookie", &session)).await;
        assert_eq!(later.status, 401, "a session that is not kept lasts a day at most");
    }
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn other_sites_cannot_use_a_persons_session() {
    let test = TestApp::start_with(Clock::manual(crate::support::start_of_time()), |c| {
        c.public_url = Some("https://wf.example.com".to_owned());
    })
    .await;
    person(&test, "kim", "admin").await;
    let session = sign_in(&test, "kim").await;
    assert!(session.starts_with("__Host-watchfire="), "behind TLS: {session}");
    test.deliver("generic", &json!({"id": "a", "title": "A", "severity": "high"})).await;
    let post = async |path: &str, headers: &[(&'static str, &str)]| {
        let mut request = form(&test, path, &[("text", "hello"), ("name", "x")]).header("cookie", &session);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        answer(request).await.status.as_u16()
    };
    let paths = [
        "/incidents/1/comment",
        "/api/incidents/1/investigate",
        "/connectors/grafana/rotate",
        "/settings/tokens",
        "/api/connectors/grafana/reveal-key",
        "/logout",
        "/login",
        "/theme",
        "/setup",
    ];
    for path in paths {
        for headers in [
            &[("sec-fetch-site", "cross-site"), ("origin", "https://evil.example")][..],
            &[("sec-fetch-site", "same-site"), ("origin", "https://other.example.com")],
            &[("origin", "https://wf.example.com.evil.example")],
            &[("origin", "http://wf.example.com")],
            &[("origin", "null")],
            &[("origin", "")],
        ] {
            assert_eq!(post(path, headers).await, 403, "{path} {headers:?}");
        }
    }
    let here = test.url("");
    for headers in [
        &[("sec-fetch-site", "same-origin"), ("origin", "https://wf.example.com")][..],
        // Through a proxy that changes the host.
        &[("sec-fetch-site", "cross-site"), ("origin", "https://wf.example.com")],
        &[("origin", here.as_str())],
        &[],
    ] {
        let status = post("/incidents/1/comment", headers).await;
        assert!((200..400).contains(&status), "{headers:?}: {status}");
    }
    let timeline = test.get("/api/incidents/1").await.json["timeline"].to_string();
    assert_eq!(timeline.matches("hello").count(), 4, "{timeline}");
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_set_up_link_makes_one_administrator() {
    let test = TestApp::start().await;
    let link = test.app().setup_link().await.unwrap().unwrap();
    let secret = link.split_once("token=").unwrap().1.to_owned();
    assert!(secret.len() >= 32, "nobody guesses it");
    let make = |token: &str, user: &str| {
        form(&test, "/setup", &[("token", token), ("user", user), ("password", PASSWORD), ("again", PASSWORD)])
    };
    for wrong in ["", "x", &secret[1..]] {
        let refused = answer(make(wrong, "eve")).await;
        assert!(refused.status == 422 && cookie(&refused).is_none(), "{} {:.200}", refused.status, refused.text);
    }
    assert!(!answer(test.request(Method::GET, "/setup")).await.text.contains(&secret));
    // Everybody at once: one wins.
    let mut tries = tokio::task::JoinSet::new();
    for n in 0..8 {
        tries.spawn(answer(make(&secret, &format!("admin{n}"))));
    }
    let tries = tries.join_all().await;
    assert_eq!(tries.iter().filter(|t| cookie(t).is_some()).count(), 1);
    assert_eq!(test.get("/api/users").await.json["users"].as_array().unwrap().len(), 1);
    let late = answer(make(&secret, "late")).await;
    assert!(cookie(&late).is_none(), "{} {:.200}", late.status, late.text);
    let page = answer(test.request(Method::GET, &format!("/setup?token={secret}"))).await;
    assert!(page.status.is_redirection() && !page.text.contains("password"), "{}", page.status);
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_and_an_unknown_name_are_told_the_same() {
    let test = TestApp::start().await;
    person(&test, "ann", "admin").await;
    person(&test, "kim", "viewer").await;
    let ask = async |user: &str, password: &str| {
        let got = answer(form(&test, "/login", &[("user", user), ("password", password)])).await;
        assert!(cookie(&got).is_none());
        (got.status, got.text.replace(user, "NAME"))
    };
    assert_eq!(ask("kim", "wrong wrong").await, ask("kay", "wrong wrong").await);
    assert_eq!(ask("kim", "").await.0, 401);
    // A session is only as good as its account.
    let session = sign_in(&test, "KIM ").await;
    let status = async || answer(test.request(Method::GET, "/api/incidents").header("cookie", &session)).await.status;
    assert_eq!(status().await, 200);
    assert_eq!(
        answer(test.request(Method::POST, "/api/changes").header("cookie", &session).body("{}")).await.status,
        403
    );
    let (name, value) = session.split_once('=').unwrap();
    let odd = format!("{name}={}x", &value[..value.len() - 1]);
    assert_eq!(answer(test.request(Method::GET, "/api/incidents").header("cookie", odd)).await.status, 401);
    test.delete("/api/users/kim").await;
    assert_eq!(status().await, 401, "the person is gone");
    test.stop().await;
}
