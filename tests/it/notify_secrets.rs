//! Secrets of channels: given, used, said back by their targets, and told nowhere.

use reqwest::{Method, header};
use serde_json::{Value, json};
use watchfire::runtime::clock::Clock;

use crate::{
    receiver::Receiver,
    support::{TestApp, answer, start_of_time},
};

/// In every secret.
const MARK: &str = "NobodySees77";
const PASSWORD: &str = "a long password";

/// Every kind with settings of every way, in which secrets have the mark; targets are ours.
fn settings(at: &str) -> Vec<(&'static str, Value)> {
    let hook = format!("{at}/hooks/{MARK}");
    let (key, token) = (format!("{MARK}{}", "0".repeat(20)), format!("{MARK}{}", "0".repeat(18)));
    vec![
        ("slack", json!({"url": format!("{at}/services/T0/B0/{MARK}")})),
        (
            "slack",
            json!({"mode": "bot", "token": format!("xoxb-{MARK}"), "channel": "C1", "signing_secret": MARK, "api": at}),
        ),
        ("teams", json!({"url": format!("{at}/workflows/x?api-version=1&sig={MARK}")})),
        ("discord", json!({"url": format!("{at}/api/webhooks/1/{MARK}")})),
        ("mattermost", json!({"url": hook})),
        ("rocketchat", json!({"url": hook})),
        ("rocketchat", json!({"mode": "rest", "server": at, "user_id": "u", "token": MARK, "channel": "#x"})),
        ("googlechat", json!({"url": format!("{at}/v1/spaces/A/messages?key={MARK}&token={MARK}")})),
        ("zulip", json!({"server": at, "email": "bot@example.com", "key": MARK, "to": "x"})),
        ("telegram", json!({"token": format!("1:{MARK}"), "chat_id": "1", "base": at})),
        ("pagerduty", json!({"routing_key": key, "region": "other", "base": at})),
        ("opsgenie", json!({"api_key": MARK, "region": "other", "base": at})),
        (
            "webhook",
            json!({"url": hook, "headers": format!("X-Key: {MARK}"), "authentication": "basic", "user": "u", "password": MARK,
            "signing_secret": MARK}),
        ),
        ("webhook", json!({"url": hook, "authentication": "bearer", "token": MARK, "challenge_secret": MARK})),
        ("ntfy", json!({"base": at, "topic": "x", "token": MARK})),
        ("ntfy", json!({"base": at, "topic": "x", "user": "u", "password": MARK})),
        ("pushover", json!({"token": token, "user": "u".repeat(30), "base": at})),
        ("matrix", json!({"homeserver": at, "token": MARK, "room": "!a:b"})),
        // Nobody listens there.
        (
            "email",
            json!({"host": "127.0.0.1", "port": "1", "security": "none", "user": "u", "password": MARK, "from": "a@example.com",
            "to": "b@example.com"}),
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_of_channels_are_told_nowhere_also_when_targets_say_them_back() {
    let target = Receiver::start().await;
    target.knows(MARK);
    let test = TestApp::start_with(Clock::manual(start_of_time()), |c| {
        c.notify_allow = vec!["127.0.0.1/32".parse().unwrap()];
        (c.notify_plain_http, c.notify_plain_mail) = (true, true);
    })
    .await;
    let root = json!({"name": "root", "role": "admin", "password": PASSWORD});
    assert_eq!(test.post("/api/users", &root).await.status, 201);
    let login = test.request(Method::POST, "/login").header("content-type", "application/x-www-form-urlencoded");
    let login = answer(login.body(format!("user=root&password={}", PASSWORD.replace(' ', "+")))).await;
    let cookie = login.headers[header::SET_COOKIE].to_str().unwrap().split(';').next().unwrap().to_owned();
    let kinds = test.get("/api/channel-kinds").await.json;
    let kinds: Vec<&str> = kinds["kinds"].as_array().unwrap().iter().map(|k| k["kind"].as_str().unwrap()).collect();
    let all = settings(&target.url);
    assert!(kinds.iter().all(|k| all.iter().any(|(kind, _)| kind == k)), "each of {kinds:?} is here");
    let mut paths: Vec<String> = [
        "/api/channels",
        "/api/channel-kinds",
        "/api/notifications",
        "/api/audit",
        "/api/audit.csv",
        "/api/incidents",
        "/api/incidents/1",
        "/api/incidents/1/notifications",
        "/api/incidents/1/timeline",
        "/metrics",
        "/settings/notifications",
        "/settings/audit",
        "/settings/about",
        "/incidents/1",
        "/setup/people",
    ]
    .map(str::to_owned)
    .to_vec();
    let mut targets = Vec::new();
    for (n, (kind, settings)) in all.iter().enumerate() {
        // What is refused names the place, and not what was typed there.
        let mut odd = settings.clone();
        odd["nothing"] = json!(MARK);
        let refused = test.post("/api/channels", &json!({"name": "odd", "kind": kind, "settings": odd})).await;
        assert!(refused.status == 422 && !refused.text.contains(MARK), "{kind}: {}", refused.text);
        let made = json!({"name": format!("{kind} {n}"), "kind": kind, "settings": settings});
        let made = test.post("/api/channels", &made).await;
        assert!(made.status == 201 && !made.text.contains(MARK), "{kind}: {}", made.text);
        let id = made.json["id"].as_str().unwrap().to_owned();
        // The target repeats everything that it was told.
        let repeated: Vec<&str> = settings.as_object().unwrap().values().map(|v| v.as_str().unwrap()).collect();
        for (status, body) in [(403, repeated.join(" ")), (500, format!("<b>{}</b>", repeated.join("</b> <b>")))] {
            target.usually(status, &body);
            test.clock.advance(std::time::Duration::from_secs(61));
            let tested = test.post(&format!("/api/channels/{id}/test"), &json!({})).await;
            assert_eq!(tested.json["ok"], false, "{kind}: {}", tested.text);
            assert!(!tested.text.contains(MARK), "{kind}: {}", tested.text);
        }
        target.usually(200, r#"{"ok":true,"success":true,"result":"success","status":1}"#);
        let patched = test.patch(&format!("/api/channels/{id}"), &json!({"name": format!("{kind} {n} changed")})).await;
        assert!(patched.status == 200 && !patched.text.contains(MARK), "{kind}: {}", patched.text);
        paths.extend([format!("/api/channels/{id}"), format!("/settings/notifications/channels/{id}")]);
        targets.push(json!({"channel": id}));
    }
    assert!(target.all().iter().any(|g| g.path.contains(MARK)), "they were used");
    let rule = json!({"name": "All", "targets": targets});
    assert_eq!(test.post("/api/rules", &rule).await.status, 201);
    target.usually(400, "no");
    test.clock.advance(std::time::Duration::from_secs(61));
    let incident = json!({"title": "db fails", "service": "db", "severity": "high"});
    assert_eq!(test.post("/api/incidents", &incident).await.status, 201);
    test.until("/api/incidents/1/notifications", |told| {
        let all = told["notifications"].as_array().unwrap();
        all.len() >= targets.len() && all.iter().all(|n| !n["attempts"].as_array().unwrap().is_empty())
    })
    .await;
    let mut read = 0;
    for path in &paths {
        let got = answer(test.request(Method::GET, path).header("cookie", &cookie)).await;
        read += usize::from(got.status == 200);
        assert!(!got.text.contains(MARK), "{path} tells a secret: {}", got.text);
    }
    assert!(read >= paths.len() - 2, "{read} of {}", paths.len());
    // Nor is anything of it on the disk as it is.
    for file in std::fs::read_dir(test.data_dir()).unwrap() {
        let path = file.unwrap().path();
        let Ok(bytes) = std::fs::read(&path) else { continue };
        assert_eq!(memchr::memmem::find(&bytes, MARK.as_bytes()), None, "{}", path.display());
    }
    test.stop().await;
}

/// What a target says is text wherever it is shown.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_target_says_is_no_markup_on_a_page() {
    let target = Receiver::start().await;
    let test = TestApp::start_with(Clock::manual(start_of_time()), |c| {
        c.notify_allow = vec!["127.0.0.1/32".parse().unwrap()];
        c.notify_plain_http = true;
    })
    .await;
    let settings = json!({"url": format!("{}/hooks/x", target.url)});
    let made = test.post("/api/channels", &json!({"name": "ops", "kind": "mattermost", "settings": settings})).await;
    let id = made.json["id"].as_str().unwrap().to_owned();
    target.usually(400, "<script>alert(1)</script><img src=x onerror=alert(1)>\u{202e}{{ 7 * 7 }}");
    let tested = test.post(&format!("/api/channels/{id}/test"), &json!({})).await.json;
    let page = format!("/settings/notifications/channels/{id}?tested={}", tested["notification"].as_str().unwrap());
    for path in [page.as_str(), "/settings/notifications"] {
        let shown = test.get(path).await;
        assert_eq!(shown.status, 200);
        assert!(!shown.text.contains("<script>alert") && !shown.text.contains("<img src=x"), "{path}: {}", shown.text);
        assert!(!shown.text.contains('\u{202e}'), "{path}");
    }
    assert!(
        test.get(&page).await.text.contains("&lt;script&gt;") || test.get(&page).await.text.contains("&#60;script")
    );
    test.stop().await;
}
