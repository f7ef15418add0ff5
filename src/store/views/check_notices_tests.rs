//! Each table of notifications is damaged in each way that the check is for, and the check says so.

use redb::{Database, ReadableTable, WriteTransaction};

use crate::{
    model::*,
    store::{
        SentEnd,
        codec::encode_row,
        outbox_tests::{ALL, blank, policy, rule},
        tables::{self, meta},
        tests::{Fixture, me, minutes},
    },
};

/// A store with some of everything.
async fn furnished() -> Fixture {
    let f = Fixture::telling();
    let one = f.channel("one", "mattermost", None).await;
    let two = f.channel("two", "mattermost", Some(one)).await;
    let steps = f.store.put_policy(None, policy(&[(600, one), (600, two)]), me()).await.unwrap().id;
    f.rule(NoticeRule { policy: Some(steps), ..rule(ALL, vec![Target::Channel(two)]) }).await;
    f.open_incident(1).await;
    for package in f.take().await {
        f.ends(&package, SentEnd::Done).await;
    }
    f.open_incident(2).await;
    assert_eq!(f.store.check().await.unwrap(), Vec::<String>::new());
    f
}

/// Writes into the file behind the store's back, and gives what the check says then.
async fn after(change: impl FnOnce(&WriteTransaction)) -> Vec<String> {
    let mut f = furnished().await;
    f.store.close();
    let elsewhere = tempfile::tempdir().unwrap();
    drop(std::mem::replace(&mut f.store, Fixture::open(elsewhere.path(), &f.clock)));
    let db = Database::open(f.dir.path().join("watchfire.redb")).unwrap();
    let txn = db.begin_write().unwrap();
    change(&txn);
    txn.commit().unwrap();
    drop(db);
    f.store = Fixture::open(f.dir.path(), &f.clock);
    let found = f.store.check().await.unwrap();
    f.store.close();
    found
}

#[track_caller]
fn tells(found: &[String], wanted: &[&str]) {
    for want in wanted {
        assert!(found.iter().any(|f| f.contains(want)), "{want:?} is not told: {found:#?}");
    }
}

#[tokio::test]
async fn messages_and_the_lists_that_they_are_found_by_agree() {
    let now = Time::from_secs(1_772_500_000);
    let waiting = |n: u64| blank(now, NoticeId(n), ChannelId(1), None);
    let found = after(|txn| {
        let mut notices = txn.open_table(tables::NOTICES).unwrap();
        let mut put = |n: u64, row: &Notice| drop(notices.insert(n, encode_row(row).unwrap().as_slice()).unwrap());
        // In none of the lists, to a channel and about an incident that are not there.
        put(90, &Notice { channel: ChannelId(77), incident: Some(IncidentId(66)), ..waiting(90) });
        put(91, &waiting(92));
        put(93, &Notice { state: NoticeState::Sent, ..waiting(93) });
        put(94, &Notice { state: NoticeState::Included, ended_at: Some(now), ..waiting(94) });
        let mut due = txn.open_table(tables::NOTICES_DUE).unwrap();
        due.insert((now.millis(), 93), ()).unwrap();
        due.insert((5, 95), ()).unwrap();
        let mut pending = txn.open_table(tables::NOTICES_PENDING).unwrap();
        pending.insert((1, 93), ()).unwrap();
        pending.insert((1, 96), ()).unwrap();
        txn.open_table(tables::NOTICES_OF).unwrap().insert((1, 97), ()).unwrap();
        let row = encode_row(&Considerations { at: now, event: NoticeEvent::Opened, considered: Vec::new() }).unwrap();
        txn.open_table(tables::CONSIDERED).unwrap().insert((66, 98), row.as_slice()).unwrap();
        txn.open_table(tables::RECEIPTS).unwrap().insert((66, 1), row.as_slice()).unwrap();
    })
    .await;
    tells(
        &found,
        &[
            "N-90 is waiting and the list of what is due says otherwise",
            "N-90 is waiting and the list of its channel says otherwise",
            "N-90 is not listed under its incident",
            "N-90 waits for CH-77, which is not there",
            "N-90 is about INC-66, which has no row",
            "N-92 stands under the number 91",
            "N-93 is sent and the list of what is due says otherwise",
            "N-93 is sent and the list of its channel says otherwise",
            "N-93 is sent and says otherwise of its end",
            "N-94 is included and says otherwise of its end",
            "the list of what is due names N-95",
            "the list of a channel names N-96",
            "the list of an incident names N-97",
            "what was considered belongs to INC-66",
            "a receipt belongs to INC-66",
            "the last notice has the number 98",
        ],
    );
}

#[tokio::test]
async fn what_people_set_leads_to_what_is_there() {
    let found = after(|txn| {
        txn.open_table(tables::CHANNELS).unwrap().remove(1).unwrap();
        txn.open_table(tables::CHANNELS).unwrap().remove(2).unwrap();
        txn.open_table(tables::POLICIES).unwrap().remove(3).unwrap();
        txn.open_table(tables::META).unwrap().insert(meta::BOOK, 2).unwrap();
        let contact = Contact { channel: ChannelId(1), address: None, from: None };
        let row = encode_row(&Contacts { person: "ada".to_owned(), contacts: vec![contact] }).unwrap();
        txn.open_table(tables::CONTACTS).unwrap().insert("bob", row.as_slice()).unwrap();
    })
    .await;
    tells(
        &found,
        &[
            "R-4 leads to channel CH-2, which is not there",
            "R-4 leads to policy EP-3, which is not there",
            "the last book has the number 4, and its counter says 2",
            "the contacts of ada stand under bob",
            "ada is reached by CH-1, which is not there",
        ],
    );
}

#[tokio::test]
async fn channels_have_names_of_their_own_and_secrets_that_can_be_read() {
    let found = after(|txn| {
        let mut table = txn.open_table(tables::CHANNELS).unwrap();
        let bytes = table.get(2).unwrap().unwrap().value().to_vec();
        let mut row: ChannelRow = crate::store::codec::decode(&bytes).unwrap();
        (row.name, row.fallback) = ("ONE".to_owned(), Some(ChannelId(9)));
        row.secrets.insert("url".to_owned(), Sealed(vec![7; 60]));
        table.insert(2, encode_row(&row).unwrap().as_slice()).unwrap();
    })
    .await;
    tells(
        &found,
        &[
            "two channels are called “ONE”",
            "CH-9 stands in for CH-2, and is not there or is itself",
            "the key file does not open `url` of channel “ONE” (CH-2)",
        ],
    );
}

#[tokio::test]
async fn escalations_and_their_timers_agree() {
    let found = after(|txn| {
        let mut rows = txn.open_table(tables::ESCALATIONS).unwrap();
        let bytes = rows.get(1).unwrap().unwrap().value().to_vec();
        let row: Escalation = crate::store::codec::decode(&bytes).unwrap();
        let mut put = |n: u64, row: &Escalation| drop(rows.insert(n, encode_row(row).unwrap().as_slice()).unwrap());
        let later = row.next_at.unwrap().plus(minutes(1));
        put(1, &Escalation { next_at: Some(later), ended: Some("It ended.".to_owned()), ..row.clone() });
        put(66, &Escalation { next_at: None, ..row });
    })
    .await;
    tells(
        &found,
        &[
            "the next step of INC-1 is not listed at its time",
            "the escalation of INC-1 has ended and goes on",
            "a step of INC-1 is listed at a time that it does not say",
            "the escalation of INC-1 stands under the number 66",
            "an escalation belongs to INC-66, which has no row",
        ],
    );
}
