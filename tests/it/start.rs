//! Starting and stopping.

use std::time::Duration;

use reqwest::Method;
use watchfire::{
    app::{self, App, AppError},
    model::{AuthMode, Severity},
    runtime::{clock::Clock, supervise::TaskState},
    store::StoreError,
};

use crate::support::{TestApp, answer, start_of_time};

#[tokio::test(flavor = "multi_thread")]
async fn it_starts_on_a_free_port_and_answers() {
    let test = TestApp::start().await;
    assert_ne!(test.app().addr().port(), 0);
    assert_eq!(answer(test.request(Method::GET, "/healthz")).await.status, 200);
    assert!(test.app().tasks().iter().all(|t| t.state == TaskState::Running), "{:?}", test.app().tasks());
    assert_eq!(test.get("/api/no-such-thing").await.status, 404);
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_platform_has_a_key_that_outlives_a_restart() {
    let mut test = TestApp::start().await;
    let mut keys = Vec::new();
    for platform in app::platforms() {
        let key = test.key(platform).await;
        assert!(key.len() >= 32, "nobody guesses it");
        keys.push(key);
    }
    test.restart().await;
    for (platform, before) in app::platforms().into_iter().zip(&keys) {
        assert_eq!(&test.key(platform).await, before);
    }
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len(), app::platforms().len(), "no two are the same");
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_configuration_fixes_is_in_force_as_long_as_it_says_so() {
    let mut test = TestApp::start_with(Clock::manual(start_of_time()), |c| {
        let generic = c.connectors.entry("generic".to_owned()).or_default();
        generic.rate_per_minute = Some(7);
        generic.auth = Some(AuthMode::Open);
        generic.opens = Some(vec![Severity::Critical]);
    })
    .await;
    let knock = async |test: &TestApp, severity: &str| {
        let body = serde_json::json!({"title": severity, "severity": severity, "service": severity});
        let request = test.request(Method::POST, "/api/webhooks/generic").header("Prefer", "wait=5").json(&body);
        let answer = answer(request).await;
        (answer.status.as_u16(), answer.json["alerts"][0]["incident_id"].is_string())
    };
    assert_eq!(test.get("/api/connectors/generic").await.json["rate_per_minute"], 7);
    assert_eq!((knock(&test, "high").await, knock(&test, "critical").await), ((202, false), (202, true)));

    test.config.connectors.clear();
    test.restart().await;
    assert_eq!(test.get("/api/connectors/generic").await.json["rate_per_minute"], 6000);
    assert_eq!(knock(&test, "critical").await.0, 401, "no longer open");
    let medium = serde_json::json!({"title": "b", "severity": "medium", "service": "b"});
    let opened = test.deliver("generic", &medium).await.json;
    assert!(opened["alerts"][0]["incident_id"].is_string(), "{opened}");
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_setup_link_is_there_until_somebody_is() {
    let test = TestApp::start().await;
    let link = test.app().setup_link().await.unwrap().unwrap();
    assert!(link.starts_with(&format!("{}/setup?token=", test.app().url())), "{link}");
    let role = watchfire::model::Role::Admin;
    let account = watchfire::model::Account::local("kim".to_owned(), role, "none".to_owned(), test.clock.now());
    test.app().store().create_first_account(account).await.unwrap();
    assert_eq!(test.app().setup_link().await.unwrap(), None);
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_has_one_server_and_says_so() {
    let test = TestApp::start().await;
    match App::start(test.config.clone(), test.clock.clone()).await {
        Err(AppError::Store(StoreError::Locked(_))) => {}
        other => panic!("{:?}", other.map(|a| a.addr())),
    }
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_taken_port_leaves_the_folder_free() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap().to_string();
    let dir = tempfile::tempdir().unwrap();
    let mut config = watchfire::config::defaults(dir.path().to_owned());
    config.listen = addr.clone();
    let error = App::start(config.clone(), Clock::System).await.map(|a| a.addr()).unwrap_err();
    assert!(error.to_string().contains(&addr) && error.to_string().contains("--listen"), "{error}");
    config.listen = "127.0.0.1:0".to_owned();
    App::start(config, Clock::System).await.unwrap().stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_stops_in_time_with_an_open_stream() {
    let test = TestApp::start().await;
    let token = crate::support::TOKEN;
    let stream = test.request(Method::GET, "/api/incidents/stream").bearer_auth(token).send().await.unwrap();
    assert_eq!(stream.status(), 200);
    let reader = tokio::spawn(stream.text());
    tokio::time::timeout(Duration::from_secs(15), test.stop()).await.expect("within 15 s");
    // Ended or cut off: either way nobody waits for it.
    let _ = tokio::time::timeout(Duration::from_secs(5), reader).await.expect("the stream has ended");
}
