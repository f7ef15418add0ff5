//! Steps, reminders and waits, in the rows that they leave: what stops them, and what nobody is told of any more.

use std::time::Duration;

use super::{
    outbox_tests::{ALL, LATER, policy, rule},
    tests::{Fixture, PATIENCE, me, minutes, resolved},
    *,
};

const ONE: IncidentId = IncidentId(1);

impl Fixture {
    /// Waits until the first incident has so many messages.
    async fn written(&self, many: usize) {
        let mut changes = self.store.changes();
        let reached = async {
            while self.told(1).len() < many {
                changes.changed().await.unwrap();
            }
        };
        tokio::time::timeout(PATIENCE, reached).await.unwrap_or_else(|_| panic!("{many}: {:?}", self.told(1)));
    }

    /// The time passes, and the writer has done what it asks for. In a round that comes after the deliveries, so that only the
    /// second one finds it done.
    async fn pass(&self, by: Duration) {
        self.clock.advance(by);
        for _ in 0..2 {
            self.send("grafana", vec![resolved("grafana:nothing")]).await;
        }
    }

    fn escalation(&self) -> Escalation {
        self.store.view().unwrap().escalation(ONE).unwrap().unwrap()
    }

    /// Sends what is due.
    async fn sends(&self) -> usize {
        let packages = self.take().await;
        for package in &packages {
            self.ends(package, SentEnd::Done).await;
        }
        packages.len()
    }
}

#[tokio::test]
async fn acknowledging_stops_every_later_step_with_one_on_its_way_and_across_a_restart() {
    for (tried, in_doubt) in [("on its way", false), ("on its way", true), ("refused", false), ("killed", true)] {
        let mut f = Fixture::telling();
        let (one, two) = (f.channel("one", "mattermost", None).await, f.channel("two", "mattermost", None).await);
        let steps = EscalationPolicy { repeat: 3, ..policy(&[(0, one), (600, two)]) };
        let steps = f.store.put_policy(None, steps, me()).await.unwrap().id;
        f.rule(NoticeRule { policy: Some(steps), ..rule(ALL, Vec::new()) }).await;
        f.open_incident(1).await;
        f.clock.advance(Duration::from_secs(1));
        f.written(1).await;
        let package = f.taken().await;
        if tried == "refused" {
            f.ends(&package, LATER).await;
        }
        f.store.acknowledge(ONE, me()).await.unwrap();
        if tried == "on its way" {
            f.ends_so(&package, LATER, in_doubt).await;
        }
        if tried == "killed" {
            f.restart();
            f.store.release_notices().await.unwrap();
        }
        // Whom it may have reached is told who has it.
        let follows = if tried == "refused" { &[][..] } else { &["CH-1 acknowledged waiting"][..] };
        let want = [&["CH-1 escalated dropped"][..], follows].concat();
        assert_eq!(f.told(1), want, "{tried} {in_doubt}");
        f.restart();
        f.pass(minutes(24 * 60)).await;
        assert_eq!(f.told(1), want, "{tried} {in_doubt}");
        assert_eq!((f.escalation().acknowledged, f.escalation().next_at), (true, None));
    }
}

#[tokio::test]
async fn steps_end_with_their_rule_and_with_their_policy_and_take_nobody_their_incident() {
    for removed in ["rule", "policy"] {
        let f = Fixture::telling();
        let one = f.channel("one", "mattermost", None).await;
        let steps = EscalationPolicy { unacknowledge_secs: Some(600), ..policy(&[(0, one), (600, one)]) };
        let steps = f.store.put_policy(None, steps, me()).await.unwrap().id;
        let by = f.rule(NoticeRule { policy: Some(steps), ..rule(ALL, Vec::new()) }).await;
        f.open_incident(1).await;
        f.clock.advance(Duration::from_secs(1));
        f.written(1).await;
        if removed == "rule" {
            f.store.remove_notice_rule(by, me()).await.unwrap();
        } else {
            f.store.acknowledge(ONE, me()).await.unwrap();
            f.store.put_notice_rule(Some(by), rule(ALL, vec![Target::Channel(one)]), me()).await.unwrap();
            f.store.remove_policy(steps, me()).await.unwrap();
        }
        let before = f.told(1);
        f.pass(minutes(11)).await;
        assert_eq!(f.told(1), before, "{removed}");
        assert!(f.escalation().ended.is_some(), "{removed}: {:?}", f.escalation());
        assert_eq!(f.incident(1).acknowledged_at.is_some(), removed == "policy");
    }
}

fn hours(from: &str, until: &str) -> WeekTimes {
    WeekTimes { time_zone: "UTC".to_owned(), days: Vec::new(), from: from.to_owned(), until: until.to_owned() }
}

#[tokio::test]
async fn reminders_keep_to_quiet_hours_and_end_with_their_rule() {
    let f = Fixture::telling();
    let id = f.channel("ops", "mattermost", None).await;
    // It is 01:06 in UTC.
    let quiet = Quiet { times: hours("02:00", "06:00"), but_from: Some(Severity::Critical) };
    let reminds = NoticeRule { remind_secs: Some(3600), quiet: Some(quiet), ..rule(ALL, vec![Target::Channel(id)]) };
    let by = f.rule(reminds.clone()).await;
    f.open_incident(1).await;
    assert_eq!(f.sends().await, 1);
    let next = || f.store.view().unwrap().next_notice().unwrap();
    assert_eq!(next(), Some("2026-03-03T06:00:00Z".parse().unwrap()));
    f.clock.set("2026-03-03T06:00:00Z".parse().unwrap());
    assert_eq!(f.sends().await, 1);
    assert_eq!(next(), Some("2026-03-03T07:00:00Z".parse().unwrap()));
    // Switched off while one waits: that one is the last.
    f.store.put_notice_rule(Some(by), NoticeRule { enabled: false, ..reminds }, me()).await.unwrap();
    f.clock.advance(minutes(60));
    assert_eq!((f.sends().await, next()), (1, None));
    assert_eq!(f.told(1), ["CH-1 opened sent", "CH-1 reminder sent", "CH-1 reminder sent"]);
}

#[tokio::test]
async fn what_is_snoozed_before_its_time_is_not_told_until_it_is_loud_again() {
    let f = Fixture::telling();
    let (one, two) = (f.channel("one", "mattermost", None).await, f.channel("two", "mattermost", None).await);
    f.rule(NoticeRule { wait_secs: 600, ..rule(ALL, vec![Target::Channel(one)]) }).await;
    f.rule(NoticeRule { remind_secs: Some(600), ..rule(ALL, vec![Target::Channel(two)]) }).await;
    f.open_incident(1).await;
    assert_eq!(f.sends().await, 1);
    f.store.snooze(ONE, f.clock.now().plus(minutes(25)), me()).await.unwrap();
    f.clock.advance(minutes(11));
    assert_eq!(f.sends().await, 0, "{:?}", f.told(1));
    assert_eq!(f.told(1), ["CH-1 opened dropped", "CH-2 opened sent", "CH-2 reminder waiting"]);
    f.clock.advance(minutes(11));
    assert_eq!(f.sends().await, 0, "{:?}", f.told(1));
    f.pass(minutes(10)).await;
    // The reminder goes on, and whoever was not told will be.
    assert_eq!(f.sends().await, 1);
    let told = f.told(1);
    assert_eq!(told.iter().filter(|t| *t == "CH-1 opened waiting").count(), 1, "{told:?}");
    f.clock.advance(minutes(11));
    assert_eq!(f.sends().await, 2);
    assert!(f.told(1).contains(&"CH-1 opened sent".to_owned()), "{:?}", f.told(1));
}

#[tokio::test]
async fn who_is_removed_is_reached_by_nothing() {
    let f = Fixture::telling();
    let id = f.channel("mail", "email", None).await;
    let account = |name: &str| Account::local(name.to_owned(), Role::Admin, "x".to_owned(), f.clock.now());
    f.store.create_first_account(account("root")).await.unwrap();
    f.store.create_account(account("ada"), me()).await.unwrap();
    let contact = Contact { channel: id, address: Some("ada@example.com".to_owned()), from: None };
    let contacts = Contacts { person: "ada".to_owned(), contacts: vec![contact] };
    f.store.put_contacts(contacts, me()).await.unwrap();
    f.rule(rule(ALL, vec![Target::Person("ada".to_owned())])).await;
    f.open_incident(1).await;
    assert_eq!(f.told(1), ["CH-1 opened waiting"]);
    f.store.remove_account("ada".to_owned(), me()).await.unwrap();
    f.open_incident(2).await;
    assert_eq!(f.told(2), Vec::<String>::new());
}
