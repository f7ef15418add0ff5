//! What looks after notifications: the auditor, the heartbeat of this server that goes out, and those that others owe it.
//! Each says what it should, and says nothing because of a restart or a clock that is set by an hour.

use std::time::Duration;

use serde_json::{Value, json};
use watchfire::{model::*, runtime::clock::Clock};

use crate::{
    delivery_faults::{ALL, channel, me, open, rule},
    receiver::Receiver,
    support::{PATIENCE, TestApp, start_of_time},
};

const HOUR: Duration = Duration::from_secs(3600);

/// A server that tells another one that it is well after each look: so a test knows when a look is over.
struct Watched {
    test: TestApp,
    outside: Receiver,
    looks: usize,
}

impl Watched {
    async fn start() -> Self {
        let outside = Receiver::start().await;
        let beat = format!("{}/ping/abc", outside.url);
        let test = TestApp::start_with(Clock::manual(start_of_time()), |c| {
            c.notify_allow = vec!["127.0.0.1/32".parse().unwrap()];
            c.notify_plain_http = true;
            c.notify_heartbeat_url = Some(beat.parse().unwrap());
        })
        .await;
        let mut watched = Self { test, outside, looks: 0 };
        watched.looked().await;
        watched
    }

    /// Waits for the end of the next look.
    async fn looked(&mut self) {
        self.looks += 1;
        self.outside.wait(self.looks).await;
    }

    /// So much time passes, with every look in it.
    async fn pass(&mut self, secs: u64) {
        for _ in 0..secs / 30 {
            self.test.clock.advance(Duration::from_secs(30));
            self.looked().await;
        }
    }

    /// The clock is set, by which no time passes, and it is looked.
    async fn set(&mut self, to: Time) {
        self.test.clock.set(to);
        self.pass(30).await;
    }

    async fn restart(&mut self) {
        self.test.restart().await;
        self.looked().await;
    }

    async fn incidents(&self) -> u64 {
        self.test.get("/api/incidents").await.json["total"].as_u64().unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_expected_of_senders_is_missed_at_its_time_and_for_no_other_reason() {
    let mut w = Watched::start().await;
    let watchdog = json!([{"field": "label.alertname", "op": "=", "value": "Watchdog"}]);
    let mut beats = Vec::new();
    for (name, from) in [("Prometheus", json!({"alerts": watchdog})), ("Scripts", json!({"platform": "generic"}))] {
        let made = w.test.post("/api/heartbeats", &json!({"name": name, "every_secs": 600, "from": from})).await;
        assert_eq!(made.status, 201, "{}", made.text);
        beats.push(format!("/api/heartbeats/{}", made.json["id"].as_str().unwrap()));
    }
    let alert = json!({"id": "w", "title": "Always", "labels": {"alertname": "Watchdog"}});
    let states = async |w: &Watched| -> Vec<Value> {
        let mut states = Vec::new();
        for beat in &beats {
            states.push(w.test.get(beat).await.json["state"].clone());
        }
        states
    };
    w.test.deliver("generic", &alert).await;
    w.pass(570).await;
    assert_eq!(states(&w).await, ["alive", "alive"]);
    w.test.deliver("generic", &alert).await;
    // An hour that is skipped, and one that comes twice, with and without a heartbeat in it.
    let now = w.test.clock.now();
    w.set(now.plus(HOUR)).await;
    assert_eq!(states(&w).await, ["alive", "alive"]);
    w.pass(300).await;
    w.test.deliver("generic", &alert).await;
    w.pass(60).await;
    let now = w.test.clock.now();
    w.set(now.minus(HOUR)).await;
    w.pass(300).await;
    assert_eq!(states(&w).await, ["alive", "alive"]);
    w.test.deliver("generic", &alert).await;
    w.pass(570).await;
    assert_eq!((states(&w).await, w.incidents().await), (vec![json!("alive"), json!("alive")], 0));
    // Nothing could be heard while nothing ran.
    w.restart().await;
    w.pass(570).await;
    assert_eq!((states(&w).await, w.incidents().await), (vec![json!("alive"), json!("alive")], 0));
    // Now it is missing.
    w.pass(90).await;
    assert_eq!(states(&w).await, ["missing", "missing"]);
    w.test.until("/api/incidents", |l| l["total"].as_u64() >= Some(1)).await;
    let told = w.test.until("/api/alerts", |l| l["total"] == 2).await;
    let titles = told["alerts"].as_array().unwrap().iter().map(|a| a["title"].as_str().unwrap());
    assert!(titles.clone().all(|t| t.starts_with("No heartbeat of")), "{told}");
    let open = w.incidents().await;
    // It stays so over a restart and whatever the clock is set to, and is told once.
    w.restart().await;
    let now = w.test.clock.now();
    w.set(now.plus(HOUR)).await;
    w.set(now).await;
    w.restart().await;
    w.pass(60).await;
    assert_eq!((states(&w).await, w.incidents().await), (vec![json!("missing"), json!("missing")], open));
    let alerts = w.test.get("/api/alerts").await.json;
    let all = alerts["alerts"].as_array().unwrap();
    assert!(all.iter().all(|a| a["status"] == "firing" && a["count"] == 1), "{alerts}");
    // Heard again.
    w.test.deliver("generic", &alert).await;
    w.pass(30).await;
    assert_eq!(states(&w).await, ["alive", "alive"]);
    w.test.until("/api/alerts", |l| l["alerts"].as_array().unwrap().iter().all(|a| a["status"] == "resolved")).await;
    w.test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_that_do_not_go_are_told_and_nothing_is_told_for_another_reason() {
    let mut w = Watched::start().await;
    let target = Receiver::start().await;
    let store = w.test.app().store().clone();
    let works = channel(&store, "works", "webhook", &target.url, None).await;
    // Messages that wait for their time are late after an hour that is skipped, and gone at once.
    let held = store.put_notice_rule(None, NoticeRule { wait_secs: 1800, ..rule(ALL, &[works]) }, me()).await.unwrap();
    open(&w.test, "db").await;
    let now = w.test.clock.now();
    w.set(now.plus(HOUR)).await;
    target.wait(1).await;
    open(&w.test, "queue").await;
    let now = w.test.clock.now();
    w.set(now.minus(HOUR)).await;
    w.pass(1800).await;
    target.wait(2).await;
    // What is late because nothing ran.
    open(&w.test, "disk").await;
    let later = w.test.clock.now().plus(24 * HOUR);
    w.test.restart_at(later).await;
    w.looked().await;
    target.wait(3).await;
    w.pass(420).await;
    assert_eq!(w.incidents().await, 3);
    drop(store);

    // A message that nobody takes: this version knows no such channel.
    let store = w.test.app().store().clone();
    let strange = channel(&store, "strange", "pigeon", &target.url, None).await;
    let both = rule(&[NoticeEvent::Opened], &[strange, works]);
    store.put_notice_rule(Some(held.id), both, me()).await.unwrap();
    open(&w.test, "dns").await;
    target.wait(4).await;
    w.pass(300).await;
    assert_eq!(w.incidents().await, 4);
    // Late at one look may be a pause of the machine; at two it is not, and the server outside hears nothing more.
    w.pass(30).await;
    let looks = w.looks;
    w.test.clock.advance(Duration::from_secs(30));
    let told = w.test.until("/api/incidents", |l| l["total"] == 5).await;
    assert_eq!(told["incidents"][0]["title"], "Notifications are stuck", "{told}");
    assert!(target.wait(5).await[4].text().contains("Notifications are stuck"));
    // A restart does not mend it, and does not say so.
    w.test.restart().await;
    for _ in 0..3 {
        w.test.clock.advance(Duration::from_secs(30));
    }
    w.test.restart().await;
    assert_eq!(w.outside.all().len(), looks, "an outside server is told nothing while it is stuck");
    assert_eq!(w.test.get("/api/incidents/INC-5").await.json["status"], "investigating");
    let store = w.test.app().store().clone();
    store.put_notice_rule(Some(held.id), rule(&[NoticeEvent::Opened], &[works]), me()).await.unwrap();
    store.remove_channel(strange, me()).await.unwrap();
    let over = async {
        while w.test.get("/api/incidents/INC-5").await.json["status"] != "resolved" {
            w.test.clock.advance(Duration::from_secs(30));
        }
    };
    tokio::time::timeout(PATIENCE, over).await.expect("it is over once nothing is stuck");
    w.outside.wait(looks + 1).await;
    assert_eq!(target.all().len(), 5);
    w.test.stop().await;
}
