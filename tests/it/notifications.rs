//! Who is told what: from a webhook to the bytes that a target gets, on a clock that the test moves. A message that was
//! not expected fails each of them.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use serde_json::json;
use watchfire::{
    model::*,
    runtime::clock::Clock,
    store::{NewChannel, Store},
};

use crate::{
    receiver::Receiver,
    support::{TestApp, start_of_time},
};

fn me() -> Actor {
    Actor::Person("ada".to_owned())
}

async fn start() -> TestApp {
    TestApp::start_with(Clock::manual(start_of_time()), |c| {
        c.notify_allow = vec!["127.0.0.1/32".parse().unwrap()];
        c.notify_plain_http = true;
    })
    .await
}

async fn channel(store: &Store, name: &str, to: &Receiver, fallback: Option<ChannelId>) -> ChannelId {
    let url = format!("{}/hooks/{name}", to.url);
    let secrets = BTreeMap::from([("url".to_owned(), store.sealer().seal(&url).unwrap())]);
    let new = NewChannel {
        name: name.to_owned(),
        kind: "mattermost".to_owned(),
        settings: BTreeMap::new(),
        secrets,
        shown: BTreeMap::new(),
        enabled: true,
        fallback,
    };
    store.make_channel(new, me()).await.unwrap().id
}

fn rule(name: &str, events: &[NoticeEvent], targets: Vec<Target>) -> NoticeRule {
    NoticeRule {
        id: RuleId(0),
        name: name.to_owned(),
        enabled: true,
        position: 1,
        from: None,
        matchers: Vec::new(),
        condition: None,
        times: None,
        events: events.to_vec(),
        targets,
        policy: None,
        wait_secs: 0,
        gather_secs: 0,
        quiet: None,
        remind_secs: None,
        last: false,
        created_at: start_of_time(),
        created_by: String::new(),
        updated_at: start_of_time(),
    }
}

const ALL: &[NoticeEvent] = &[NoticeEvent::Opened, NoticeEvent::Acknowledged, NoticeEvent::Resolved];

/// Opens an incident of its own, whatever else is open.
async fn open(test: &TestApp, name: &str) {
    let body = json!({"title": format!("{name} fails"), "service": name, "severity": "high"});
    assert_eq!(test.post("/api/incidents", &body).await.status, 201);
}

async fn resolve(test: &TestApp, id: u64) {
    test.app().store().resolve(IncidentId(id), None, me()).await.unwrap();
}

/// Waits until every message has come to an end.
async fn settled(test: &TestApp) {
    let store = test.app().store().clone();
    let mut changes = store.changes();
    loop {
        changes.mark_unchanged();
        let now = test.clock.now();
        let none = (BTreeSet::new(), BTreeSet::new());
        let (more, rows) = store
            .read(move |v| Ok((v.takeable(now, &none.0, &none.1)?, v.latest_notices(None, 1_000)?)))
            .await
            .unwrap();
        if !more && rows.iter().all(|n| n.state != NoticeState::Sending) {
            return;
        }
        let next = tokio::time::timeout(Duration::from_secs(20), changes.changed()).await;
        assert!(next.is_ok(), "messages still wait: {rows:#?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_channel_is_told_that_an_incident_opens_is_taken_and_is_over() {
    let (test, target) = (start().await, Receiver::start().await);
    let store = test.app().store().clone();
    let id = channel(&store, "ops", &target, None).await;
    store.put_notice_rule(None, rule("All", ALL, vec![Target::Channel(id)]), me()).await.unwrap();
    open(&test, "db").await;
    let got = target.wait(1).await;
    assert_eq!(got[0].path, "/hooks/ops");
    assert!(got[0].text().contains("High: db fails"), "{}", got[0].text());
    assert!(got[0].text().contains("/ack/"), "{}", got[0].text());
    store.acknowledge(IncidentId(1), me()).await.unwrap();
    let got = target.wait(2).await;
    assert!(got[1].text().contains("Acknowledged by ada"), "{}", got[1].text());
    // A chat takes two a second.
    test.clock.advance(Duration::from_secs(1));
    resolve(&test, 1).await;
    let got = target.wait(3).await;
    assert!(got[2].text().contains("Resolved after"), "{}", got[2].text());
    settled(&test).await;
    let timeline = test.get("/api/incidents/INC-1/timeline").await.text;
    assert_eq!(timeline.matches("Told ops.").count(), 3, "{timeline}");
    assert_eq!(target.all().len(), 3);
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_to_look_next_is_not_told_of_what_is_over() {
    let (test, target) = (start().await, Receiver::start().await);
    let store = test.app().store().clone();
    let id = channel(&store, "ops", &target, None).await;
    let events = [NoticeEvent::Analyzed, NoticeEvent::Resolved];
    store.put_notice_rule(None, rule("All", &events, vec![Target::Channel(id)]), me()).await.unwrap();
    open(&test, "db").await;
    test.clock.advance(Duration::from_secs(10));
    let got = target.wait(1).await;
    assert!(got[0].text().contains("Look next"), "{}", got[0].text());
    resolve(&test, 1).await;
    let got = target.wait(2).await;
    assert!(got[1].text().contains("Resolved after"), "{}", got[1].text());
    assert!(!got[1].text().contains("Look next") && !got[1].text().contains("First:"), "{}", got[1].text());
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_over_before_its_wait_ends_is_never_told() {
    let (test, target) = (start().await, Receiver::start().await);
    let store = test.app().store().clone();
    let id = channel(&store, "ops", &target, None).await;
    let held = NoticeRule { wait_secs: 300, ..rule("All", ALL, vec![Target::Channel(id)]) };
    store.put_notice_rule(None, held, me()).await.unwrap();
    open(&test, "db").await;
    open(&test, "queue").await;
    test.clock.advance(Duration::from_secs(200));
    resolve(&test, 1).await;
    let first = store.read(|v| v.notices_of(IncidentId(1))).await.unwrap();
    let states: Vec<NoticeState> = first.iter().map(|n| n.state).collect();
    assert_eq!(states, [NoticeState::Dropped], "{first:#?}");
    assert_eq!(target.all().len(), 0);
    test.clock.advance(Duration::from_secs(101));
    let got = target.wait(1).await;
    assert!(got[0].text().contains("queue fails"), "{}", got[0].text());
    settled(&test).await;
    assert_eq!(target.all().len(), 1);
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_fails_is_told_later_once_and_in_order() {
    let (test, target, other) = (start().await, Receiver::start().await, Receiver::start().await);
    let store = test.app().store().clone();
    let spare = channel(&store, "spare", &other, None).await;
    let id = channel(&store, "ops", &target, Some(spare)).await;
    store.put_notice_rule(None, rule("All", ALL, vec![Target::Channel(id)]), me()).await.unwrap();
    target.usually(500, "no");
    open(&test, "db").await;
    target.wait(1).await;
    settled(&test).await;
    // What comes later does not overtake.
    open(&test, "queue").await;
    for n in 2..6 {
        test.clock.advance(Duration::from_secs(400));
        target.wait(n).await;
        settled(&test).await;
    }
    assert_eq!(other.wait(1).await.len(), 1, "the spare one is told once");
    target.usually(200, "ok");
    test.clock.advance(Duration::from_secs(400));
    let got = target.wait(7).await;
    settled(&test).await;
    assert!(got[5].text().contains("db fails") && got[5].text().contains("late"), "{}", got[5].text());
    assert!(got[6].text().contains("queue fails"), "{}", got[6].text());
    assert_eq!((target.all().len(), other.all().len()), (7, 1));
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storm_ends_in_a_digest_with_nothing_lost() {
    let (test, target) = (start().await, Receiver::start().await);
    let store = test.app().store().clone();
    let id = channel(&store, "ops", &target, None).await;
    store.put_notice_rule(None, rule("All", ALL, vec![Target::Channel(id)]), me()).await.unwrap();
    for n in 0..60 {
        let body = json!({"title": format!("thing {n}"), "source_id": format!("t{n}")});
        assert_eq!(test.post("/api/incidents", &body).await.status, 201);
    }
    test.clock.advance(Duration::from_secs(60));
    settled(&test).await;
    let rows = store.read(|v| v.latest_notices(None, 1_000)).await.unwrap();
    assert_eq!(rows.len(), 60);
    assert!(rows.iter().all(|n| matches!(n.state, NoticeState::Sent | NoticeState::Included)), "{rows:#?}");
    let messages = target.all().len();
    assert!(messages < 20, "{messages} messages");
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn steps_come_until_somebody_acknowledges_also_across_a_restart() {
    let (mut test, target) = (start().await, Receiver::start().await);
    let store = test.app().store().clone();
    let (one, two) = (channel(&store, "one", &target, None).await, channel(&store, "two", &target, None).await);
    let step = |after_secs: u32, id: ChannelId| EscalationStep { after_secs, targets: vec![Target::Channel(id)] };
    let policy = EscalationPolicy {
        id: PolicyId(0),
        name: "On call".to_owned(),
        steps: vec![step(0, one), step(600, two)],
        repeat: 1,
        unacknowledge_secs: Some(3600),
        created_at: start_of_time(),
        created_by: String::new(),
        updated_at: start_of_time(),
    };
    let policy = store.put_policy(None, policy, me()).await.unwrap().id;
    let escalates = NoticeRule { policy: Some(policy), ..rule("All", ALL, Vec::new()) };
    store.put_notice_rule(None, escalates, me()).await.unwrap();
    open(&test, "db").await;
    // The step at once is the writer's next timer.
    test.clock.advance(Duration::from_secs(1));
    assert_eq!(target.wait(1).await[0].path, "/hooks/one");
    settled(&test).await;
    test.clock.advance(Duration::from_secs(500));
    test.restart().await;
    assert_eq!(target.all().len(), 1);
    test.clock.advance(Duration::from_secs(101));
    assert_eq!(target.wait(2).await[1].path, "/hooks/two");
    let store = test.app().store().clone();
    store.acknowledge(IncidentId(1), me()).await.unwrap();
    // Both who were told learn of it.
    target.wait(4).await;
    test.clock.advance(Duration::from_secs(3000));
    settled(&test).await;
    assert_eq!(target.all().len(), 4);
    // The acknowledgement runs out, and it begins anew.
    test.clock.advance(Duration::from_secs(700));
    let got = target.wait(5).await;
    assert_eq!(got[4].path, "/hooks/one");
    let incident = store.read(|v| v.incident(IncidentId(1))).await.unwrap().unwrap();
    assert_eq!(incident.owner, None);
    resolve(&test, 1).await;
    test.clock.advance(Duration::from_secs(7200));
    let all = target.wait(7).await;
    settled(&test).await;
    let texts: Vec<String> = target.all().iter().map(|g| format!("{} {}", g.path, g.text())).collect();
    assert_eq!((all.len(), texts.len()), (7, 7), "{texts:#?}");
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_people_do_in_pagerduty_is_done_here() {
    let test = start().await;
    open(&test, "db").await;
    let body = |event: &str| {
        json!({"event": {"id": format!("01{event}"), "event_type": format!("incident.{event}"), "resource_type": "incident",
            "occurred_at": "2026-03-03T10:31:00Z", "agent": {"type": "user_reference", "summary": "Ada L.", "id": "P1"},
            "data": {"id": "PGR0VU2", "type": "incident", "incident_key": "watchfire:INC-1", "title": "db fails",
                "status": event, "service": {"id": "S", "summary": "db"}, "urgency": "high"}}})
    };
    let answer = test.deliver("pagerduty", &body("acknowledged")).await;
    assert!(answer.status.is_success(), "{}", answer.text);
    let incident = test.get("/api/incidents/INC-1").await.json;
    assert_eq!(incident["owner"], "Ada L. (pagerduty)", "{incident}");
    test.deliver("pagerduty", &body("resolved")).await;
    let incident = test.get("/api/incidents/INC-1").await.json;
    assert_eq!(incident["status"], "resolved");
    assert_eq!(test.get("/api/incidents").await.json["total"], 1, "no incident of its own");
    test.stop().await;
}
