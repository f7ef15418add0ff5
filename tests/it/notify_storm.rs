//! A storm of incidents to one chat that takes few messages: it ends in digests, nothing is lost, and others do not wait.

use std::{collections::BTreeMap, time::Duration};

use serde_json::{Value, json};
use watchfire::{
    model::*,
    runtime::clock::Clock,
    store::{NewChannel, Store},
};

use crate::{
    receiver::{Got, Receiver},
    support::{TestApp, start_of_time},
};

const MANY: u64 = 300;
/// As Discord refuses: the time stands in the body.
const TOO_MANY: &str = r#"{"message": "You are being rate limited.", "retry_after": 1.5, "global": false}"#;
pub const TAKEN: &str = r#"{"id": "1", "channel_id": "2"}"#;

pub async fn start() -> TestApp {
    TestApp::start_with(Clock::manual(start_of_time()), |c| {
        c.notify_allow = vec!["127.0.0.1/32".parse().unwrap()];
        c.notify_plain_http = true;
        // What begins together does not belong together.
        c.cluster_window = Duration::ZERO;
    })
    .await
}

/// A channel, and a rule that tells it of what has such a label.
pub async fn told(store: &Store, kind: &str, url: String, what: &str) -> ChannelId {
    let by = || Actor::Person("ada".to_owned());
    let secrets = BTreeMap::from([("url".to_owned(), store.sealer().seal(&url).unwrap())]);
    let new = NewChannel {
        name: what.to_owned(),
        kind: kind.to_owned(),
        settings: BTreeMap::new(),
        secrets,
        shown: BTreeMap::new(),
        enabled: true,
        fallback: None,
    };
    let id = store.make_channel(new, by()).await.unwrap().id;
    let rule = NoticeRule {
        id: RuleId(0),
        name: what.to_owned(),
        enabled: true,
        position: 1,
        from: None,
        matchers: vec![format!("label.what = {what}").parse().unwrap()],
        condition: None,
        times: None,
        events: vec![NoticeEvent::Opened],
        targets: vec![Target::Channel(id)],
        policy: None,
        wait_secs: 0,
        gather_secs: 0,
        quiet: None,
        remind_secs: None,
        last: false,
        created_at: start_of_time(),
        created_by: String::new(),
        updated_at: start_of_time(),
    };
    store.put_notice_rule(None, rule, by()).await.unwrap();
    id
}

/// Letters that stand for a number: nothing about two of them is alike, so that each is an incident of its own.
pub fn word(number: u64) -> String {
    let mut rest = (number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut letters = String::new();
    for _ in 0..13 {
        letters.push(char::from(b'a' + (rest % 26) as u8));
        rest = (rest / 26) ^ (rest << 7);
    }
    letters
}

/// Alerts of as many services, in one delivery.
async fn fire(test: &TestApp, what: &str, numbers: std::ops::Range<u64>) {
    let alert = |n: u64| {
        json!({"status": "firing", "startsAt": "2026-03-03T10:30:00Z", "annotations": {"summary": word(3 * n)},
            "labels": {"alertname": word(3 * n + 1), "service": word(3 * n + 2), "severity": "critical", "what": what}})
    };
    let alerts: Vec<Value> = numbers.map(alert).collect();
    let body = json!({"version": "4", "status": "firing", "receiver": "watchfire", "alerts": alerts});
    assert_eq!(test.deliver("alertmanager", &body).await.status, 202);
}

/// Of how many incidents a message tells.
pub fn incidents(got: &Got) -> u64 {
    let title = got.json()["embeds"][0]["title"].as_str().unwrap().to_owned();
    let before = title.split(" incidents:").next().unwrap();
    before.rsplit(' ').next().unwrap().parse().unwrap_or(1)
}

/// Waits until of a channel's messages, newest first, this holds.
async fn until(store: &Store, channel: ChannelId, holds: impl Fn(&[Notice]) -> bool) -> Vec<Notice> {
    let mut changes = store.changes();
    loop {
        changes.mark_unchanged();
        let rows = store.read(move |v| v.latest_notices(Some(channel), 5_000)).await.unwrap();
        if holds(&rows) {
            return rows;
        }
        let changed = tokio::time::timeout(Duration::from_secs(20), changes.changed()).await;
        assert!(changed.is_ok(), "messages still wait: {:?}", rows.first());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storm_that_is_refused_stays_a_digest_and_holds_up_nobody_else() {
    let (mut test, chat, other) = (start().await, Receiver::start().await, Receiver::start().await);
    let store = test.app().store().clone();
    let stormy = told(&store, "discord", format!("{}/api/webhooks/1/token", chat.url), "storm").await;
    told(&store, "mattermost", format!("{}/hooks/calm", other.url), "calm").await;
    chat.usually(200, TAKEN);
    chat.answers(&[(429, TOO_MANY), (429, TOO_MANY)]);
    fire(&test, "storm", 0..MANY).await;
    chat.wait(1).await;
    // While the chat waits for its next try, across a restart as well.
    fire(&test, "calm", 5 * MANY..5 * MANY + 1).await;
    assert!(other.wait(1).await[0].text().contains(&word(15 * MANY)));
    test.restart().await;
    let store = test.app().store().clone();
    for n in 2..=3 {
        test.clock.advance(Duration::from_secs(4));
        chat.wait(n).await;
        until(&store, stormy, |rows| rows.iter().all(|r| r.state != NoticeState::Sending)).await;
    }
    // More comes; what is told is told.
    fire(&test, "storm", MANY..2 * MANY).await;
    test.clock.advance(Duration::from_secs(4));
    let got = chat.wait(4).await;
    let rows = until(&store, stormy, |rows| rows.iter().all(|r| !r.is_pending())).await;
    let told: Vec<u64> = got.iter().map(incidents).collect();
    assert_eq!(told, [MANY; 4], "each try tells the same storm");
    let ended = |state: NoticeState| rows.iter().filter(|n| n.state == state).count() as u64;
    assert_eq!((ended(NoticeState::Sent), ended(NoticeState::Included)), (2, 2 * (MANY - 1)));
    assert!(rows.iter().all(|n| n.tries == if n.id <= rows[MANY as usize].id { 3 } else { 1 }), "{rows:#?}");
    assert_eq!((chat.all().len(), other.all().len()), (4, 1));
    test.stop().await;
}
