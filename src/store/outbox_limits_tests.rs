//! What is given up and when, and that what fails holds up nobody else.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use super::{
    outbox_tests::{ALL, LATER, blank, rule},
    tests::{Fixture, me, minutes},
    *,
};

#[tokio::test]
async fn a_message_whose_rule_is_removed_while_it_is_on_its_way_is_not_tried_again() {
    let f = Fixture::telling();
    let id = f.channel("ops", "mattermost", None).await;
    let all = f.rule(rule(ALL, vec![Target::Channel(id)])).await;
    f.open_incident(1).await;
    let package = f.taken().await;
    f.store.remove_notice_rule(all, me()).await.unwrap();
    f.ends(&package, LATER).await;
    f.clock.advance(minutes(10));
    assert!(f.take().await.is_empty());
    let ended = &f.notices(1)[0];
    assert_eq!((ended.state, ended.tries), (NoticeState::Dropped, 1));
}

#[tokio::test]
async fn what_waited_for_days_because_nothing_ran_is_tried_and_then_given_up_with_its_channel() {
    let f = Fixture::telling();
    let id = f.channel("ops", "mattermost", None).await;
    f.rule(rule(ALL, vec![Target::Channel(id)])).await;
    f.open_incident(1).await;
    f.clock.advance(minutes(3 * 24 * 60));
    for n in 1..=10 {
        f.ends(&f.taken().await, LATER).await;
        assert_eq!(f.notices(1)[0].state == NoticeState::Failed, n == 10, "try {n}");
        assert_eq!(f.health(id).broken_since.is_some(), n == 10, "try {n}");
        f.clock.advance(minutes(10));
    }
    // Somebody tries it, and it works again.
    f.store.test_channel(id, None, me()).await.unwrap();
    f.ends(&f.taken().await, SentEnd::Done).await;
    assert_eq!(f.health(id).broken_since, None);
}

#[tokio::test]
async fn fifty_failures_in_a_row_give_a_channel_up_but_not_those_of_fifty_people_at_once() {
    let f = Fixture::telling();
    let id = f.channel("ops", "mattermost", None).await;
    f.rule(rule(ALL, vec![Target::Channel(id)])).await;
    f.open_incident(1).await;
    for n in 1..=50 {
        assert_eq!(f.health(id).broken_since, None, "before try {n}");
        f.ends(&f.taken().await, LATER).await;
        f.clock.advance(minutes(7));
    }
    assert_eq!((f.health(id).failures, f.health(id).broken_since.is_some()), (50, true));
    assert!(f.take().await.is_empty());
    assert_eq!(f.told(1), ["CH-1 opened failed"]);
    let many = f.channel("mail", "email", None).await;
    due(&f, many, 60).await;
    for _ in 0..8 {
        for package in f.take().await {
            let refused = Sent { in_doubt: false, ..sent(&package, LATER) };
            f.store.record_notices(vec![refused]).await.unwrap();
        }
    }
    assert_eq!((f.health(many).failures, f.health(many).broken_since), (60, None));
}

fn sent(package: &Package, end: SentEnd) -> Sent {
    Sent {
        notices: package.notices.iter().map(|n| n.id).collect(),
        attempt: None,
        end,
        receipt: BTreeMap::new(),
        lasting: BTreeMap::new(),
        steps_done: Vec::new(),
        in_doubt: false,
    }
}

/// Messages about nothing to so many people of a channel, due at once.
async fn due(f: &Fixture, channel: ChannelId, people: u64) {
    let made = f.store.command(move |tx| {
        for n in 0..people {
            let id = NoticeId(tx.next_notice());
            let notice = blank(tx.now, id, channel, Some(format!("person-{n}@example.com")));
            tx.put_notice(&notice, None)?;
        }
        Ok(())
    });
    made.await.unwrap();
}

#[tokio::test]
async fn one_channel_with_many_people_leaves_workers_to_the_others() {
    let f = Fixture::telling();
    let (mail, ops) = (f.channel("mail", "email", None).await, f.channel("ops", "mattermost", None).await);
    due(&f, mail, 40).await;
    due(&f, ops, 1).await;
    let taken = f.take().await;
    let of = |id| taken.iter().filter(|p| p.channel.id == id).count();
    assert_eq!((of(mail), of(ops)), (8, 1));
    let busy: BTreeSet<Place> = taken.iter().map(Package::place).collect();
    let view = f.store.view().unwrap();
    assert!(!view.takeable(f.clock.now(), &busy, &BTreeSet::new()).unwrap(), "the rest waits for places");
}

#[tokio::test]
async fn a_place_that_fails_with_thousands_waiting_holds_up_no_other() {
    let f = Fixture::telling();
    let (broken, works) = (f.channel("broken", "webhook", None).await, f.channel("works", "webhook", None).await);
    let write = f.store.command(move |tx| {
        for n in 0..4_200 {
            let id = NoticeId(tx.next_notice());
            let notice = blank(tx.now, id, broken, None);
            // The first was tried and rests.
            let rests = Notice { tries: 1, due_at: tx.now.plus(minutes(5)), ..notice.clone() };
            tx.put_notice(if n == 0 { &rests } else { &notice }, None)?;
        }
        Ok(())
    });
    write.await.unwrap();
    f.clock.advance(Duration::from_secs(1));
    let none = (BTreeSet::new(), BTreeSet::new());
    assert!(!f.store.view().unwrap().takeable(f.clock.now(), &none.0, &none.1).unwrap());
    due(&f, works, 1).await;
    assert!(f.store.view().unwrap().takeable(f.clock.now(), &none.0, &none.1).unwrap());
    assert_eq!(f.taken().await.channel.id, works);
}
