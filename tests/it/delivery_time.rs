//! Time travel: holds, quiet hours, gathering, reminders, steps, acknowledgements that run out, days on which clocks change.
//! The clock stands where the test puts it, and a message that was not expected there fails it.

use std::time::Duration;

use serde_json::json;
use watchfire::model::*;

use crate::{
    delivery_faults::{ALL, channel, me, open, resolve, rule, start},
    holder::Holder,
    receiver::{Got, Receiver},
    support::{PATIENCE, TestApp, start_of_time},
};

/// A server and a target of chats that is told of everything.
struct Travel {
    test: TestApp,
    target: Receiver,
    seen: usize,
}

/// `ops db: Opened`; of a digest its headline, of a person's own address that instead of the channel.
fn said(got: &Got) -> String {
    let body = got.json();
    let to = body["channel"].as_str().unwrap_or(got.path.rsplit('/').next().unwrap());
    let card = &body["attachments"][0];
    let Some(text) = card["text"].as_str() else {
        let head = body["text"].as_str().unwrap().lines().next().unwrap();
        return format!("{to} {}", head.trim_matches(|c: char| !c.is_alphanumeric()));
    };
    let what = text.split("**").nth(1).unwrap();
    format!("{to} {}: {what}", card["title"].as_str().unwrap().trim_end_matches(" fails"))
}

impl Travel {
    async fn start() -> Self {
        Self { test: start().await, target: Receiver::start().await, seen: 0 }
    }

    async fn channel(&self, name: &str) -> ChannelId {
        channel(self.test.app().store(), name, "mattermost", &self.target.url, None).await
    }

    async fn rule(&self, rule: NoticeRule) {
        self.test.app().store().put_notice_rule(None, rule, me()).await.unwrap();
    }

    /// Waits until all is done that this moment asks for.
    async fn quiet(&self) {
        let store = self.test.app().store().clone();
        let mut changes = store.changes();
        loop {
            changes.mark_unchanged();
            let now = self.test.clock.now();
            let looked = store.read(move |v| {
                let steps = v.overdue_escalations(now.plus(Duration::from_millis(1)))?.len();
                let sends = v.latest_notices(None, 1_000)?.iter().any(|n| n.state == NoticeState::Sending);
                Ok(steps == 0 && !sends && !v.takeable(now, &Default::default(), &Default::default())?)
            });
            if looked.await.unwrap() {
                return;
            }
            tokio::time::timeout(PATIENCE, changes.changed()).await.expect("it comes to rest").unwrap();
        }
    }

    /// Exactly this has come since the last look.
    #[track_caller]
    fn heard(&mut self, want: &[&str]) -> impl Future<Output = ()> {
        let at = std::panic::Location::caller();
        async move {
            self.quiet().await;
            let all = self.target.all();
            let mut told: Vec<String> = all[self.seen..].iter().map(said).collect();
            told.sort();
            assert_eq!(told, want, "{at}, at {}", self.test.clock.now());
            self.seen = all.len();
        }
    }

    /// At this moment after the beginning, in seconds, exactly this comes, and a second before nothing does.
    #[track_caller]
    fn at(&mut self, secs: u64, want: &[&str]) -> impl Future<Output = ()> {
        self.at_time(start_of_time().plus(Duration::from_secs(secs)), want)
    }

    #[track_caller]
    fn at_time(&mut self, at: Time, want: &[&str]) -> impl Future<Output = ()> {
        let caller = std::panic::Location::caller();
        async move {
            let second = Duration::from_secs(1);
            let before = at.minus(second).since(self.test.clock.now());
            if !before.is_zero() {
                self.test.clock.advance(before);
                self.quiet().await;
                let told: Vec<String> = self.target.all()[self.seen..].iter().map(said).collect();
                assert_eq!(told, Vec::<String>::new(), "{caller}, a second too early");
            }
            self.test.clock.advance(at.since(self.test.clock.now()));
            self.heard(want).await;
        }
    }

    /// A day passes in which nobody is told anything.
    async fn ends(mut self) {
        for _ in 0..24 {
            self.test.clock.advance(Duration::from_secs(3600));
            self.heard(&[]).await;
        }
        self.test.stop().await;
    }
}

fn hours(zone: &str, from: &str, until: &str) -> WeekTimes {
    WeekTimes { time_zone: zone.to_owned(), days: Vec::new(), from: from.to_owned(), until: until.to_owned() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hold_ends_at_its_time_or_with_the_incident() {
    let mut t = Travel::start().await;
    let ops = t.channel("ops").await;
    t.rule(NoticeRule { wait_secs: 300, ..rule(ALL, &[ops]) }).await;
    open(&t.test, "db").await;
    open(&t.test, "queue").await;
    t.at(200, &[]).await;
    resolve(&t.test, 1).await;
    t.heard(&[]).await;
    t.at(300, &["ops queue: Opened"]).await;
    t.at(310, &[]).await;
    resolve(&t.test, 2).await;
    t.heard(&["ops queue: Resolved after 5 min"]).await;
    t.ends().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn quiet_hours_hold_back_all_but_the_worst_until_the_morning() {
    let mut t = Travel::start().await;
    let ops = t.channel("ops").await;
    // It is 10:30.
    let quiet = Some(Quiet { times: hours("UTC", "22:00", "06:00"), but_from: Some(Severity::Critical) });
    t.rule(NoticeRule { quiet, ..rule(ALL, &[ops]) }).await;
    open(&t.test, "db").await;
    t.heard(&["ops db: Opened"]).await;
    t.at(12 * 3600, &[]).await;
    resolve(&t.test, 1).await;
    open(&t.test, "queue").await;
    open(&t.test, "disk").await;
    t.heard(&[]).await;
    let critical = json!({"title": "site fails", "service": "site", "severity": "critical"});
    assert_eq!(t.test.post("/api/incidents", &critical).await.status, 201);
    t.heard(&["ops site: Opened"]).await;
    t.at(16 * 3600, &[]).await;
    // What came and went in the night is nobody's concern.
    resolve(&t.test, 3).await;
    t.heard(&[]).await;
    t.at(19 * 3600 + 1800, &["ops db: Resolved after 12 h 00", "ops queue: Opened"]).await;
    t.ends().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_rule_gathers_is_told_at_once_when_the_first_has_waited() {
    let mut t = Travel::start().await;
    let ops = t.channel("ops").await;
    t.rule(NoticeRule { gather_secs: 120, ..rule(ALL, &[ops]) }).await;
    open(&t.test, "db").await;
    t.at(60, &[]).await;
    open(&t.test, "queue").await;
    t.at(100, &[]).await;
    open(&t.test, "disk").await;
    t.at(120, &["ops 3 incidents: 3 high"]).await;
    // One alone is told as it is.
    t.at(300, &[]).await;
    open(&t.test, "site").await;
    t.at(420, &["ops site: Opened"]).await;
    t.ends().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reminders_come_while_it_is_open_also_across_a_restart() {
    let mut t = Travel::start().await;
    let ops = t.channel("ops").await;
    t.rule(NoticeRule { remind_secs: Some(3600), ..rule(ALL, &[ops]) }).await;
    open(&t.test, "db").await;
    t.heard(&["ops db: Opened"]).await;
    t.at(3600, &["ops db: Still open"]).await;
    t.test.restart().await;
    t.heard(&[]).await;
    t.at(7200, &["ops db: Still open"]).await;
    t.at(9000, &[]).await;
    resolve(&t.test, 1).await;
    t.heard(&["ops db: Resolved after 2 h 30"]).await;
    t.ends().await;
}

fn policy(steps: &[(u32, ChannelId)], repeat: u8, unacknowledge_secs: Option<u32>) -> EscalationPolicy {
    let step = |(after_secs, id): &(u32, ChannelId)| EscalationStep {
        after_secs: *after_secs,
        targets: vec![Target::Channel(*id)],
    };
    EscalationPolicy {
        id: PolicyId(0),
        name: "On call".to_owned(),
        steps: steps.iter().map(step).collect(),
        repeat,
        unacknowledge_secs,
        created_at: start_of_time(),
        created_by: String::new(),
        updated_at: start_of_time(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn steps_repeat_until_acknowledged_and_begin_anew_when_that_runs_out() {
    let mut t = Travel::start().await;
    let (one, two) = (t.channel("one").await, t.channel("two").await);
    let store = t.test.app().store().clone();
    let steps = store.put_policy(None, policy(&[(60, one), (600, two)], 1, Some(3600)), me()).await.unwrap().id;
    t.rule(NoticeRule { policy: Some(steps), ..rule(ALL, &[]) }).await;
    open(&t.test, "db").await;
    let (first, second) = ("one db: Not acknowledged yet", "two db: Not acknowledged yet");
    t.at(60, &[first]).await;
    t.at(660, &[second]).await;
    t.at(720, &[first]).await;
    t.test.restart().await;
    t.heard(&[]).await;
    t.at(1320, &[second]).await;
    // All was gone through, twice.
    t.at(9_000, &[]).await;
    open(&t.test, "queue").await;
    t.at(9_060, &["one queue: Not acknowledged yet"]).await;
    let store = t.test.app().store().clone();
    store.acknowledge(IncidentId(2), me()).await.unwrap();
    t.heard(&["one queue: Acknowledged by ada"]).await;
    t.test.restart().await;
    // It runs out, and the steps begin with the first.
    t.at(9_060 + 3_600, &[]).await;
    t.at(9_060 + 3_660, &["one queue: Not acknowledged yet"]).await;
    t.at(9_060 + 4_260, &["two queue: Not acknowledged yet"]).await;
    resolve(&t.test, 2).await;
    t.heard(&["one queue: Resolved after 1 h 12", "two queue: Resolved after 1 h 12"]).await;
    t.ends().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn acknowledging_stops_the_step_that_is_on_its_way_and_all_after_it() {
    let mut t = Travel::start().await;
    let slow = Holder::start().await;
    let store = t.test.app().store().clone();
    let (one, two) = (channel(&store, "slow", "mattermost", &slow.url, None).await, t.channel("two").await);
    let steps = store.put_policy(None, policy(&[(60, one), (600, two)], 3, None), me()).await.unwrap().id;
    t.rule(NoticeRule { policy: Some(steps), ..rule(ALL, &[]) }).await;
    open(&t.test, "db").await;
    t.test.clock.advance(Duration::from_secs(60));
    let mut held = slow.accept().await;
    held.read().await;
    store.acknowledge(IncidentId(1), me()).await.unwrap();
    held.reset();
    drop(store);
    // Whom the step may have reached is told who has it, and nothing else comes.
    let next = slow.answer(200, "ok").await;
    assert!(next.body.contains("Acknowledged by ada"), "{next:#?}");
    t.heard(&[]).await;
    t.test.restart().await;
    t.ends().await;
}

/// Zone; the moment of a hand-over at 09:00 on the day on which the clocks change; the end of the night, 06:00, that day.
const CHANGES: &[(&str, &str, &str)] = &[
    ("Europe/Berlin", "2026-03-29T07:00:00Z", "2026-03-29T04:00:00Z"),
    ("Europe/Berlin", "2026-10-25T08:00:00Z", "2026-10-25T05:00:00Z"),
    ("America/New_York", "2026-11-01T14:00:00Z", "2026-11-01T11:00:00Z"),
    ("Australia/Lord_Howe", "2026-04-04T22:30:00Z", "2026-04-04T19:30:00Z"),
];

#[tokio::test(flavor = "multi_thread")]
async fn on_the_days_on_which_clocks_change_the_right_person_is_told_at_the_right_time() {
    for (zone, hand_over, morning) in CHANGES {
        let mut t = Travel::start().await;
        let chat = t.channel("chat").await;
        let store = t.test.app().store().clone();
        for (name, role) in [("root", "admin"), ("ada", "responder"), ("bob", "responder")] {
            let body = json!({"name": name, "role": role, "password": "a long password"});
            assert_eq!(t.test.post("/api/users", &body).await.status, 201);
            let contact = Contact { channel: chat, address: Some(format!("@{name}")), from: None };
            store.put_contacts(Contacts { person: name.to_owned(), contacts: vec![contact] }, me()).await.unwrap();
        }
        let (hand_over, morning): (Time, Time) = (hand_over.parse().unwrap(), morning.parse().unwrap());
        let day = Duration::from_secs(24 * 3600);
        let begins = hand_over.minus(day).timestamp().to_zoned(jiff::tz::TimeZone::get(zone).unwrap()).date();
        let rotation = Rotation {
            people: vec!["ada".to_owned(), "bob".to_owned()],
            starts_on: begins.to_string(),
            hand_over: "09:00".to_owned(),
            days: 1,
            only: None,
        };
        let schedule = OnCallSchedule {
            id: ScheduleId(0),
            name: "Daily".to_owned(),
            time_zone: (*zone).to_owned(),
            rotations: vec![rotation],
            overrides: Vec::new(),
            feed_secret: String::new(),
            created_at: start_of_time(),
            created_by: String::new(),
            updated_at: start_of_time(),
        };
        let schedule = store.put_schedule(None, schedule, me()).await.unwrap().id;
        let on_call = NoticeRule { targets: vec![Target::OnCall(schedule)], ..rule(&[NoticeEvent::Opened], &[]) };
        t.rule(NoticeRule { from: Some(Severity::High), ..on_call }).await;
        let quiet = Some(Quiet { times: hours(zone, "22:00", "06:00"), but_from: None });
        let condition = Some("severity == 'low'".to_owned());
        t.rule(NoticeRule { quiet, condition, ..rule(&[NoticeEvent::Opened], &[chat]) }).await;
        // In the night, before the clocks change.
        t.at_time(morning.minus(day / 4), &[]).await;
        let low = json!({"title": "disk fails", "service": "disk", "severity": "low"});
        assert_eq!(t.test.post("/api/incidents", &low).await.status, 201);
        t.heard(&[]).await;
        t.at_time(morning, &["chat disk: Opened"]).await;
        t.at_time(hand_over.minus(Duration::from_secs(2)), &[]).await;
        open(&t.test, "db").await;
        t.heard(&["@ada db: Opened"]).await;
        t.at_time(hand_over, &[]).await;
        open(&t.test, "queue").await;
        t.heard(&["@bob queue: Opened"]).await;
        t.test.stop().await;
    }
}
