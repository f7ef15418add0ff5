//! Receivers that hang, reset, are slow, answer 500 for ten minutes or refuse: the others hear everything meanwhile, and the
//! one that recovers hears one message. Order is measured, not time: what is held stays held until the others were told.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use serde_json::{Value, json};
use watchfire::{
    model::*,
    runtime::clock::Clock,
    store::{NewChannel, Store},
};

use crate::{
    holder::Holder,
    receiver::Receiver,
    support::{PATIENCE, TestApp, start_of_time},
};

pub fn me() -> Actor {
    Actor::Person("ada".to_owned())
}

pub async fn start() -> TestApp {
    TestApp::start_with(Clock::manual(start_of_time()), |c| {
        c.notify_allow = vec!["127.0.0.1/32".parse().unwrap()];
        c.notify_plain_http = true;
    })
    .await
}

/// A channel of a kind that has an address, or of PagerDuty's.
pub async fn channel(store: &Store, name: &str, kind: &str, to: &str, fallback: Option<ChannelId>) -> ChannelId {
    let seal = |text: &str| store.sealer().seal(text).unwrap();
    let (settings, secrets) = if kind == "pagerduty" {
        let settings = BTreeMap::from([("region", "other"), ("base", to)].map(|(k, v)| (k.to_owned(), v.to_owned())));
        (settings, BTreeMap::from([("routing_key".to_owned(), seal("0123456789abcdef0123456789abcdef"))]))
    } else {
        (BTreeMap::new(), BTreeMap::from([("url".to_owned(), seal(&format!("{to}/hooks/{name}")))]))
    };
    let (name, kind) = (name.to_owned(), kind.to_owned());
    let new = NewChannel { name, kind, settings, secrets, shown: BTreeMap::new(), enabled: true, fallback };
    store.make_channel(new, me()).await.unwrap().id
}

pub fn rule(events: &[NoticeEvent], channels: &[ChannelId]) -> NoticeRule {
    NoticeRule {
        id: RuleId(0),
        name: "All".to_owned(),
        enabled: true,
        position: 1,
        from: None,
        matchers: Vec::new(),
        condition: None,
        times: None,
        events: events.to_vec(),
        targets: channels.iter().copied().map(Target::Channel).collect(),
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

pub const ALL: &[NoticeEvent] = &[NoticeEvent::Opened, NoticeEvent::Acknowledged, NoticeEvent::Resolved];

/// Opens an incident of its own, whatever else is open.
pub async fn open(test: &TestApp, name: &str) {
    let body = json!({"title": format!("{name} fails"), "service": name, "severity": "high"});
    assert_eq!(test.post("/api/incidents", &body).await.status, 201);
}

pub async fn resolve(test: &TestApp, id: u64) {
    test.app().store().resolve(IncidentId(id), None, me()).await.unwrap();
}

/// Waits until nothing is on its way and nothing could be taken.
pub async fn settled(test: &TestApp) {
    until(test, |rows| rows.iter().all(|n| n.state != NoticeState::Sending)).await;
}

/// Waits until nothing could be taken, and the messages, newest first, are so.
pub async fn until(test: &TestApp, ready: impl Fn(&[Notice]) -> bool) -> Vec<Notice> {
    let store = test.app().store().clone();
    let mut changes = store.changes();
    loop {
        changes.mark_unchanged();
        let now = test.clock.now();
        let none = (BTreeSet::new(), BTreeSet::new());
        let both = store.read(move |v| Ok((v.takeable(now, &none.0, &none.1)?, v.latest_notices(None, 1_000)?)));
        let (more, rows) = both.await.unwrap();
        if !more && ready(&rows) {
            return rows;
        }
        let next = tokio::time::timeout(PATIENCE, changes.changed()).await;
        assert!(next.is_ok(), "messages still wait: {rows:#?}");
    }
}

/// Where the messages to a channel stand, oldest first.
fn of(rows: &[Notice], id: ChannelId) -> Vec<NoticeState> {
    rows.iter().rev().filter(|n| n.channel == id).map(|n| n.state).collect()
}

async fn told_again(target: &Holder) {
    let again = target.answer(200, "ok").await;
    assert!(again.is_marked() && again.body.contains("Resolved"), "{again:#?}");
    let last = target.answer(200, "ok").await;
    assert!(last.body.contains("queue fails") && !last.is_marked(), "{last:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn receivers_that_hang_reset_or_trickle_hold_up_nobody_else_and_are_told_once_more() {
    let (test, other) = (start().await, Receiver::start().await);
    let store = test.app().store().clone();
    let (hangs, resets, trickles) = (Holder::start().await, Holder::start().await, Holder::start().await);
    let mut ids = Vec::new();
    for (name, to) in
        [("hangs", &hangs.url), ("resets", &resets.url), ("trickles", &trickles.url), ("works", &other.url)]
    {
        ids.push(channel(&store, name, "mattermost", to, None).await);
    }
    store.put_notice_rule(None, rule(ALL, &ids), me()).await.unwrap();
    open(&test, "db").await;
    let mut on_hanging = hangs.accept().await;
    assert!(!on_hanging.read().await.is_marked());
    let mut on_trickling = trickles.accept().await;
    on_trickling.read().await;
    on_trickling.say("HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n").await;
    let mut on_resetting = resets.accept().await;
    on_resetting.read().await;
    on_resetting.reset();
    other.wait(1).await;
    let tried =
        |rows: &[Notice], id: ChannelId| rows.iter().rev().find(|n| n.channel == id).is_some_and(|n| n.tries == 1);
    until(&test, |rows| tried(rows, ids[1])).await;
    // Three are still on their way or wait; whoever works hears the rest.
    resolve(&test, 1).await;
    open(&test, "queue").await;
    test.clock.advance(Duration::from_secs(1));
    let told = other.wait(3).await;
    assert!(told[1].text().contains("Resolved") && told[2].text().contains("queue fails"), "{told:#?}");
    // The one that was slow was told, and hears the rest.
    on_trickling.say("ok").await;
    drop(on_trickling);
    test.clock.advance(Duration::from_secs(1));
    assert!(trickles.answer(200, "ok").await.body.contains("Resolved"));
    assert!(trickles.answer(200, "ok").await.body.contains("queue fails"));
    // Of what got no answer it is not known whether it arrived: told again, marked, with what happened since, and once.
    told_again(&resets).await;
    on_hanging.reset();
    until(&test, |rows| tried(rows, ids[0])).await;
    // Less than a call may take, or one that is on its way would be given up.
    test.clock.advance(Duration::from_secs(2));
    told_again(&hangs).await;
    let rows = until(&test, |rows| rows.iter().all(|n| !n.is_pending())).await;
    use NoticeState::{Included, Sent};
    assert_eq!(of(&rows, ids[3]), [Sent, Sent, Sent]);
    assert_eq!((of(&rows, ids[0]), of(&rows, ids[1])), (vec![Sent, Included, Sent], vec![Sent, Included, Sent]));
    assert_eq!(other.all().len(), 3);
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_ten_minutes_of_500_each_receiver_is_told_what_its_kind_needs() {
    let (test, works) = (start().await, Receiver::start().await);
    let store = test.app().store().clone();
    let (chat, pager, program) = (Receiver::start().await, Receiver::start().await, Receiver::start().await);
    let one = channel(&store, "chat", "mattermost", &chat.url, None).await;
    let two = channel(&store, "pager", "pagerduty", &pager.url, None).await;
    let three = channel(&store, "program", "webhook", &program.url, None).await;
    let four = channel(&store, "works", "webhook", &works.url, None).await;
    store.put_notice_rule(None, rule(ALL, &[one, two, three, four]), me()).await.unwrap();
    for target in [&chat, &pager, &program] {
        target.usually(500, "no");
    }
    open(&test, "db").await;
    for target in [&chat, &pager, &program, &works] {
        target.wait(1).await;
    }
    settled(&test).await;
    resolve(&test, 1).await;
    works.wait(2).await;
    let (began, mut tries) = (test.clock.now(), 1);
    let mut pauses = Vec::new();
    while test.clock.now().since(began) < Duration::from_secs(600) {
        let rows = until(&test, |rows| rows.iter().all(|n| n.state != NoticeState::Sending)).await;
        let due = |id| rows.iter().find(|n| n.channel == id && n.tries > 0).unwrap().due_at;
        let next = [one, two, three].map(due);
        pauses.push(next[0].since(test.clock.now()));
        assert!(next[0] != next[1] && next[1] != next[2], "what failed together is not tried together: {next:?}");
        let last = next.into_iter().max().unwrap();
        test.clock.advance(last.since(test.clock.now()));
        tries += 1;
        for target in [&chat, &pager, &program] {
            target.wait(tries).await;
        }
    }
    assert!(pauses.windows(2).all(|w| w[1] >= w[0] || w[0] > Duration::from_secs(200)), "they grow: {pauses:?}");
    settled(&test).await;
    let before = [&chat, &pager, &program].map(|t| t.all().len());
    for target in [&chat, &pager, &program] {
        target.usually(200, "ok");
    }
    test.clock.advance(Duration::from_secs(400));
    // Where people read, one message that says all of it, and that it is late.
    let told = chat.wait(before[0] + 1).await;
    let text = told.last().unwrap().text();
    assert!(text.contains("Resolved") && text.contains("late"), "{text}");
    // A pager is told both, in order, because it may know of it.
    let told = pager.wait(before[1] + 2).await;
    let actions: Vec<Value> = told[before[1]..].iter().map(|g| g.json()["event_action"].clone()).collect();
    assert_eq!(actions, ["trigger", "resolve"]);
    // A program each by itself.
    program.wait(before[2] + 2).await;
    let rows = until(&test, |rows| rows.iter().all(|n| !n.is_pending())).await;
    assert_eq!([&chat, &pager, &program].map(|t| t.all().len()), [before[0] + 1, before[1] + 2, before[2] + 2]);
    assert_eq!((of(&rows, one), works.all().len()), (vec![NoticeState::Sent, NoticeState::Included], 2));
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_pager_was_never_told_of_is_not_told_when_it_is_over() {
    let (test, pager, works) = (start().await, Holder::start().await, Receiver::start().await);
    let store = test.app().store().clone();
    let one = channel(&store, "pager", "pagerduty", &pager.url, None).await;
    let two = channel(&store, "works", "webhook", &works.url, None).await;
    store.put_notice_rule(None, rule(ALL, &[one, two]), me()).await.unwrap();
    open(&test, "db").await;
    // Its place is taken while the second one comes and goes.
    let mut held = pager.accept().await;
    assert_eq!(held.read().await.json()["dedup_key"], "watchfire:INC-1");
    open(&test, "queue").await;
    resolve(&test, 2).await;
    works.wait(3).await;
    held.answer(202, &[], "{}").await;
    open(&test, "disk").await;
    let next = pager.answer(202, "{}").await;
    assert_eq!(next.json()["dedup_key"], "watchfire:INC-3", "{next:#?}");
    let rows = until(&test, |rows| rows.iter().all(|n| !n.is_pending())).await;
    use NoticeState::{Dropped, Sent};
    assert_eq!(of(&rows, one), [Sent, Dropped, Dropped, Sent]);
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_that_a_target_asks_for_is_kept_as_seconds_and_as_a_date() {
    let (test, target) = (start().await, Holder::start().await);
    let store = test.app().store().clone();
    let id = channel(&store, "ops", "mattermost", &target.url, None).await;
    store.put_notice_rule(None, rule(ALL, &[id]), me()).await.unwrap();
    for (n, (status, asked, want)) in [
        (429, "90", 90),
        // It is 10:30; more than an hour is not waited.
        (503, "Tue, 03 Mar 2026 10:33:20 GMT", 110),
        (429, "86400", 3_600),
    ]
    .into_iter()
    .enumerate()
    {
        if n == 0 {
            open(&test, "db").await;
        }
        let mut held = target.accept().await;
        held.read().await;
        held.answer(status, &[("retry-after", asked)], "slow down").await;
        let tries = u32::try_from(n).unwrap() + 1;
        let rows = until(&test, |rows| rows[0].tries == tries).await;
        assert_eq!(rows[0].due_at.since(test.clock.now()), Duration::from_secs(want), "{asked}");
        test.clock.advance(Duration::from_secs(want));
    }
    let late = target.answer(200, "ok").await;
    assert!(late.body.contains("h\u{a0}03 late."), "{late:#?}");
    until(&test, |rows| rows.iter().all(|n| n.state == NoticeState::Sent)).await;
    test.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_channel_that_refuses_is_given_up_says_so_elsewhere_and_comes_back_with_a_test() {
    let (test, gone, spare) = (start().await, Receiver::start().await, Receiver::start().await);
    let store = test.app().store().clone();
    let second = channel(&store, "spare", "webhook", &spare.url, None).await;
    let first = channel(&store, "gone", "mattermost", &gone.url, Some(second)).await;
    store.put_notice_rule(None, rule(&[NoticeEvent::Opened], &[first]), me()).await.unwrap();
    gone.usually(404, "no such hook");
    for (n, name) in ["db", "queue", "disk"].into_iter().enumerate() {
        open(&test, name).await;
        gone.wait(n + 1).await;
        // The second channel has it at once: another try would not help.
        spare.wait(n + 1).await;
        test.clock.advance(Duration::from_secs(1));
    }
    settled(&test).await;
    // Nobody is called there any more, and the product says so itself: an incident, told where it still can be.
    test.clock.advance(Duration::from_secs(30));
    let incidents = test.until("/api/incidents", |l| l["total"] == 4).await;
    assert_eq!(incidents["incidents"][0]["title"], "Channel “gone” is given up", "{incidents}");
    let told = spare.wait(4).await;
    assert!(told[3].text().contains("is given up"), "{}", told[3].text());
    settled(&test).await;
    assert_eq!((gone.all().len(), spare.all().len()), (3, 4));
    gone.usually(200, "ok");
    store.test_channel(first, None, me()).await.unwrap();
    gone.wait(4).await;
    settled(&test).await;
    test.clock.advance(Duration::from_secs(60));
    test.until("/api/incidents/INC-4", |i| i["status"] == "resolved").await;
    open(&test, "dns").await;
    test.clock.advance(Duration::from_secs(1));
    let told = gone.wait(5).await;
    assert!(told[4].text().contains("dns fails"), "{}", told[4].text());
    settled(&test).await;
    assert_eq!((gone.all().len(), spare.all().len()), (5, 4));
    test.stop().await;
}
