//! Buttons in Slack's messages: whoever presses one has the incident, when Slack's signature shows that it was them, and
//! the message changes in place.

use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use reqwest::Method;
use serde_json::{Value, json};
use sha2::Sha256;
use watchfire::{model::*, runtime::clock::Clock};

use crate::{
    receiver::{Got, Receiver},
    support::{Answer, TestApp, answer, start_of_time},
};

const SECRET: &str = "8f742231b10e8888abcd99yyyzzz85a5";

struct Press<'a> {
    secret: &'a str,
    at: Time,
    user: (&'a str, &'a str),
    action: &'a str,
    value: &'a str,
}

impl Press<'_> {
    fn body(&self) -> String {
        let payload = json!({
            "type": "block_actions", "user": {"id": self.user.0, "username": self.user.1, "team_id": "T1"},
            "container": {"type": "message_attachment", "message_ts": "17.01", "channel_id": "C1"},
            "actions": [{"action_id": self.action, "value": self.value, "type": "button"}],
            "response_url": "https://hooks.slack.com/actions/T1/1/x",
        });
        form_urlencoded::Serializer::new(String::new()).append_pair("payload", &payload.to_string()).finish()
    }

    fn signed(&self, body: &str) -> (String, String) {
        let stamp = (self.at.millis() / 1000).to_string();
        let mut mac = Hmac::<Sha256>::new_from_slice(self.secret.as_bytes()).unwrap();
        mac.update(format!("v0:{stamp}:{body}").as_bytes());
        let hex: String = mac.finalize().into_bytes().iter().map(|b| format!("{b:02x}")).collect();
        (stamp, format!("v0={hex}"))
    }

    async fn send(&self, test: &TestApp, channel: &str) -> Answer {
        let body = self.body();
        let signed = self.signed(&body);
        told(test, channel, &signed, body).await
    }
}

async fn told(test: &TestApp, channel: &str, signed: &(String, String), body: String) -> Answer {
    let request = test.request(Method::POST, &format!("/api/channels/{channel}/interactions"));
    let request = request.header("content-type", "application/x-www-form-urlencoded");
    let request = request.header("x-slack-request-timestamp", &signed.0).header("x-slack-signature", &signed.1);
    answer(request.body(body)).await
}

/// A server with a bot's channel that tells of incidents that open.
async fn start() -> (TestApp, Receiver, String) {
    let target = Receiver::start().await;
    target.usually(200, r#"{"ok":true,"channel":"C1","ts":"17.01"}"#);
    let test = TestApp::start_with(Clock::manual(start_of_time()), |c| {
        c.notify_allow = vec!["127.0.0.1/32".parse().unwrap()];
        c.notify_plain_http = true;
    })
    .await;
    for (name, role) in [("root", "admin"), ("ada", "viewer"), ("bob", "viewer")] {
        let body = json!({"name": name, "role": role, "password": "a long password"});
        assert_eq!(test.post("/api/users", &body).await.status, 201);
    }
    let channel = made(&test, "chat", &target, SECRET).await;
    let rule = json!({"name": "All", "events": ["opened"], "targets": [{"channel": channel}]});
    assert_eq!(test.post("/api/rules", &rule).await.status, 201);
    (test, target, channel)
}

async fn made(test: &TestApp, name: &str, target: &Receiver, secret: &str) -> String {
    let settings = json!({"mode": "bot", "token": "xoxb-1", "channel": "#incidents", "signing_secret": secret,
        "api": format!("{}/api", target.url)});
    let made = test.post("/api/channels", &json!({"name": name, "kind": "slack", "settings": settings})).await;
    assert_eq!(made.status, 201, "{}", made.text);
    made.json["id"].as_str().unwrap().to_owned()
}

/// Opens an incident, which is told.
async fn open(test: &TestApp, target: &Receiver, service: &str) -> Got {
    let before = target.all().len();
    test.clock.advance(Duration::from_secs(5));
    let body = json!({"title": format!("{service} fails"), "service": service, "severity": "high"});
    assert_eq!(test.post("/api/incidents", &body).await.status, 201);
    target.wait(before + 1).await[before].clone()
}

async fn owner(test: &TestApp, id: u32) -> Value {
    test.get(&format!("/api/incidents/{id}")).await.json["owner"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_presses_the_button_has_the_incident_and_the_message_changes() {
    let (test, target, channel) = start().await;
    // Ada has her Slack id as her own address there.
    let ways = json!({"contacts": [{"channel": channel, "address": "U1"}]});
    assert_eq!(test.put("/api/people/ada/contacts", &ways).await.status, 200);
    let first = open(&test, &target, "db").await;
    assert_eq!(first.path, "/api/chat.postMessage");
    assert!(first.text().contains(r#""action_id":"watchfire_ack""#), "{}", first.text());
    let now = test.clock.now();
    let press = Press { secret: SECRET, at: now, user: ("U1", "ada.l"), action: "watchfire_ack", value: "INC-1" };
    let taken = press.send(&test, &channel).await;
    assert_eq!((taken.status.as_u16(), taken.text.as_str()), (200, ""));
    assert_eq!(owner(&test, 1).await, "ada");
    let edit = target.wait(2).await[1].clone();
    assert_eq!(edit.path, "/api/chat.update");
    let body = edit.json();
    assert_eq!((&body["ts"], &body["channel"]), (&json!("17.01"), &json!("C1")));
    assert!(edit.text().contains("Acknowledged by ada") && !edit.text().contains("watchfire_ack"), "{}", edit.text());
    // The log of acts names the person and the address that told of it.
    let acts = test.get("/api/audit?limit=50").await.json;
    let acts: Vec<&Value> =
        acts["audit"].as_array().unwrap().iter().filter(|a| a["action"] == "incident.owner").collect();
    assert_eq!((acts.len(), &acts[0]["actor"], &acts[0]["address"]), (1, &json!("ada"), &json!("127.0.0.1")));

    // Somebody without an account has it under the name there; a second press changes nothing.
    open(&test, &target, "mail").await;
    let other = Press { user: ("U9", "Zoe\u{202e}\n@here"), at: test.clock.now(), value: "INC-2", ..press };
    assert_eq!(other.send(&test, &channel).await.status, 200);
    assert_eq!(owner(&test, 2).await, "Zoe @here (slack)");
    target.wait(4).await;
    let late = Press { user: ("U1", "ada.l"), at: test.clock.now(), value: "INC-2", ..other };
    assert_eq!(late.send(&test, &channel).await.status, 200);
    assert_eq!(owner(&test, 2).await, "Zoe @here (slack)");
    let said = target.wait(5).await[4].text();
    assert!(said.contains("Acknowledged by Zoe") && !said.contains("<@") && !said.contains("@here"), "{said}");

    // What is over says so.
    open(&test, &target, "queue").await;
    assert_eq!(test.post("/api/incidents/3/resolve", &json!({})).await.status, 200);
    let over = Press { at: test.clock.now(), value: "INC-3", ..late };
    assert_eq!(over.send(&test, &channel).await.status, 200);
    assert!(target.wait(7).await[6].text().contains("Resolved after"));
    assert_eq!(owner(&test, 3).await, Value::Null);
    // What is part of another one is taken where it lives on.
    open(&test, &target, "cache").await;
    open(&test, &target, "disk").await;
    assert_eq!(test.post("/api/incidents/5/merge", &json!({"incident_ids": ["4"]})).await.status, 200);
    let merged = Press { at: test.clock.now(), value: "INC-4", ..over };
    assert_eq!(merged.send(&test, &channel).await.status, 200);
    assert_eq!(owner(&test, 5).await, "ada");
    // Links are told of too, and do nothing.
    open(&test, &target, "web").await;
    let link = Press { action: "watchfire_open", at: test.clock.now(), value: "INC-6", ..merged };
    assert_eq!(link.send(&test, &channel).await.status, 200);
    assert_eq!(owner(&test, 6).await, Value::Null);
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_press_that_comes_again_harms_nothing() {
    let (test, target, channel) = start().await;
    open(&test, &target, "db").await;
    let press =
        Press { secret: SECRET, at: test.clock.now(), user: ("U9", "zoe"), action: "watchfire_ack", value: "INC-1" };
    let (body, acts) = (press.body(), || async {
        let log = test.get("/api/audit?limit=100").await.json;
        log["audit"].as_array().unwrap().len()
    });
    let signed = press.signed(&body);
    assert_eq!(told(&test, &channel, &signed, body.clone()).await.status, 200);
    assert_eq!(owner(&test, 1).await, "zoe (slack)");
    let before = acts().await;
    for _ in 0..3 {
        assert_eq!(told(&test, &channel, &signed, body.clone()).await.status, 200);
    }
    assert_eq!(acts().await, before);
    // Given back meanwhile: it does not come back by an old press, but by a new one.
    test.clock.advance(Duration::from_secs(30));
    assert_eq!(test.post("/api/incidents/1/unacknowledge", &json!({})).await.status, 200);
    assert_eq!(told(&test, &channel, &signed, body.clone()).await.status, 200);
    assert_eq!(owner(&test, 1).await, Value::Null);
    test.clock.advance(Duration::from_secs(30));
    let again = Press { at: test.clock.now(), ..press };
    assert_eq!(again.send(&test, &channel).await.status, 200);
    assert_eq!(owner(&test, 1).await, "zoe (slack)");
    // Long after, the same is refused.
    test.clock.advance(Duration::from_secs(300));
    assert_eq!(told(&test, &channel, &signed, body).await.status, 401);
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_signed_by_the_channels_app_does_nothing() {
    let (test, target, channel) = start().await;
    open(&test, &target, "db").await;
    let url = format!("{}/hooks/x", target.url);
    let mattermost = json!({"name": "other", "kind": "mattermost", "settings": {"url": url}});
    let mattermost = test.post("/api/channels", &mattermost).await.json["id"].as_str().unwrap().to_owned();
    let silent = made(&test, "silent", &target, "").await;
    let elsewhere = made(&test, "elsewhere", &target, "another secret of another app").await;
    // An id that somebody has at another app's channel is not theirs here.
    let ways = json!({"contacts": [{"channel": elsewhere, "address": "U2"}]});
    assert_eq!(test.put("/api/people/bob/contacts", &ways).await.status, 200);
    let now = test.clock.now();
    let press = Press { secret: SECRET, at: now, user: ("U2", "mallory"), action: "watchfire_ack", value: "INC-1" };
    let body = press.body();
    let right = press.signed(&body);
    let minutes = |n: u64| Duration::from_secs(60 * n);
    let old = Press { at: now.minus(minutes(6)), ..press };
    let early = Press { at: now.plus(minutes(6)), ..press };
    let forged = Press { secret: "guessed", ..press };
    let empty = Press { secret: "", ..press };
    for (to, signed, body) in [
        (channel.as_str(), forged.signed(&body), body.clone()),
        (&channel, empty.signed(&body), body.clone()),
        (&channel, old.signed(&body), body.clone()),
        (&channel, early.signed(&body), body.clone()),
        (&channel, right.clone(), body.replace("U2", "U1")),
        (&channel, (right.0.clone(), String::new()), body.clone()),
        (&channel, (String::new(), right.1.clone()), body.clone()),
        // Other channels, and one that is not there, answer the same.
        (&mattermost, right.clone(), body.clone()),
        (&silent, empty.signed(&body), body.clone()),
        (&elsewhere, right.clone(), body.clone()),
        ("CH-999", right.clone(), body.clone()),
        ("nothing", right.clone(), body.clone()),
    ] {
        let refused = told(&test, to, &signed, body).await;
        assert_eq!(
            (refused.status.as_u16(), &refused.json["code"]),
            (401, &json!("unauthorized")),
            "{to}: {}",
            refused.text
        );
        assert!(!refused.text.contains(SECRET), "{}", refused.text);
    }
    assert_eq!(owner(&test, 1).await, Value::Null);
    // Signed, but by an app that was not told of this incident.
    let stranger = Press { secret: "another secret of another app", ..press };
    assert_eq!(stranger.send(&test, &elsewhere).await.status, 200);
    assert_eq!(owner(&test, 1).await, Value::Null);
    // Signed, and not to be read.
    for odd in ["", "payload=", "payload=%7B", "ssl_check=1"] {
        let signed = press.signed(odd);
        assert_eq!(told(&test, &channel, &signed, odd.to_owned()).await.status, 400, "{odd}");
    }
    let unknown = Press { value: "INC-77", ..press };
    assert_eq!(unknown.send(&test, &channel).await.status, 200);
    // A token opens it no more than nothing does, and a browser cannot be made to send it.
    assert_eq!(test.post(&format!("/api/channels/{channel}/interactions"), &json!({})).await.status, 401);
    let cross = test.request(Method::POST, &format!("/api/channels/{channel}/interactions"));
    let cross = cross.header("sec-fetch-site", "cross-site").header("x-slack-request-timestamp", &right.0);
    assert_eq!(answer(cross.header("x-slack-signature", &right.1).body(body)).await.status, 403);
    // Bob is bob at the other app only.
    assert_eq!(press.send(&test, &channel).await.status, 200);
    assert_eq!(owner(&test, 1).await, "mallory (slack)");
    // Its page has the address, and not the secret.
    let page = test.get(&format!("/settings/notifications/channels/{channel}")).await.text;
    assert!(page.contains(&format!("/api/channels/{channel}/interactions")) && !page.contains(SECRET), "{page}");
    test.stop().await;
}
