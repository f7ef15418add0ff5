//! Which messages of the outbox could go out now, found by its indexes. Rows are read only of those: very many more may
//! wait for the morning, for their reminder, or behind a target that does not answer.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    time::Duration,
};

use redb::ReadableTable;

use super::{StoreError, commands::Place};
use crate::model::*;

/// The longest that a message waits for another try: what a target may ask for, and some more.
const RETRY: Duration = Duration::from_secs(3600 + 60);
/// Entries of the index that are looked at; with more than that, rows say themselves when they are due.
const KEYS: usize = if cfg!(test) { 10_000 } else { 20_000 };

/// Numbers of messages whose time has come, and of those among which some may wait for another try.
#[derive(Debug)]
pub struct Ready {
    now: Time,
    due: HashSet<u64>,
    soon: HashSet<u64>,
    /// All that is due is known.
    whole: bool,
}

/// What is looked for at the places of a channel.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    /// So many places at most.
    pub places: usize,
    /// So many messages are read at most.
    pub rows: usize,
}

impl Ready {
    /// Reads the index of times.
    pub fn read(due: &impl ReadableTable<(i64, u64), ()>, now: Time) -> Result<Self, StoreError> {
        let numbers = |from: i64, to: i64| -> Result<HashSet<u64>, StoreError> {
            let keys = due.range((from, 0)..=(to, u64::MAX))?.take(KEYS);
            keys.map(|row| Ok(row?.0.value().1)).collect()
        };
        let at = now.millis();
        let soon = numbers(at.saturating_add(1), now.plus(RETRY).millis())?;
        let due = numbers(i64::MIN, at)?;
        Ok(Self { now, whole: due.len() < KEYS, due, soon })
    }

    /// Nothing is due.
    pub fn is_empty(&self) -> bool {
        self.due.is_empty()
    }

    /// Channels that may have messages that are due, the one whose turn came first leading; `row` reads a message.
    pub fn channels(
        &self,
        pending: &impl ReadableTable<(u64, u64), ()>,
        resting: &BTreeSet<ChannelId>,
        row: impl Fn(u64) -> Result<Option<Notice>, StoreError>,
    ) -> Result<Vec<ChannelId>, StoreError> {
        let mut found: Vec<(Time, ChannelId)> = Vec::new();
        let mut from = 0_u64;
        // From one channel to the next, past all of its messages.
        while let Some(first) = pending.range((from, 0_u64)..)?.next() {
            let channel = first?.0.value().0;
            if !resting.contains(&ChannelId(channel))
                && let Some(number) = self.of(pending, channel, &self.due)?.next().transpose()?
                && let Some(notice) = row(number)?
            {
                found.push((notice.due_at, notice.channel));
            }
            let Some(next) = channel.checked_add(1) else { break };
            from = next;
        }
        found.sort_unstable();
        Ok(found.into_iter().map(|(_, channel)| channel).collect())
    }

    /// What is due at free places of a channel, in order. A place is held by whatever was tried there and waits for another
    /// try, so that order stays.
    pub fn places(
        &self,
        pending: &impl ReadableTable<(u64, u64), ()>,
        channel: ChannelId,
        busy: &BTreeSet<Place>,
        wanted: Wanted,
        row: impl Fn(u64) -> Result<Option<Notice>, StoreError>,
    ) -> Result<Vec<Vec<Notice>>, StoreError> {
        let held = |n: &Notice| n.tries > 0 && n.due_at > self.now;
        let place = |n: &Notice| (n.channel, n.address.clone());
        let mut taken = busy.clone();
        if self.whole {
            for number in self.of(pending, channel.0, &self.soon)?.take(wanted.rows) {
                taken.extend(row(number?)?.filter(held).map(|n| place(&n)));
            }
        }
        let mut free: BTreeMap<Place, Vec<Notice>> = BTreeMap::new();
        for number in self.of(pending, channel.0, &self.due)?.take(wanted.rows) {
            let Some(notice) = row(number?)?.filter(|n| n.state == NoticeState::Waiting) else { continue };
            if held(&notice) {
                free.remove(&place(&notice));
                taken.insert(place(&notice));
            } else if notice.due_at <= self.now && !taken.contains(&place(&notice)) {
                free.entry(place(&notice)).or_default().push(notice);
                if free.len() >= wanted.places {
                    break;
                }
            }
        }
        Ok(free.into_values().collect())
    }

    /// Those messages of a channel, in order; all of them where it is not known which are due.
    fn of<'a>(
        &self,
        pending: &'a impl ReadableTable<(u64, u64), ()>,
        channel: u64,
        among: &'a HashSet<u64>,
    ) -> Result<impl Iterator<Item = Result<u64, StoreError>>, StoreError> {
        let (rows, whole) = (pending.range((channel, 0)..=(channel, u64::MAX))?, self.whole);
        Ok(rows.filter_map(move |row| match row {
            Ok((key, _)) => Some(key.value().1).filter(|n| !whole || among.contains(n)).map(Ok),
            Err(e) => Some(Err(StoreError::from(e))),
        }))
    }
}

#[cfg(test)]
mod tests {
    use redb::{Database, ReadableDatabase, backends::InMemoryBackend};
    use serde_json::json;

    use super::*;
    use crate::store::tables;

    const ALL: Wanted = Wanted { places: usize::MAX, rows: 2_000 };
    const NOW: i64 = 1_772_500_000_000;

    /// One message: channel, address, when it is due from now in seconds, tries.
    type Row = (u64, &'static str, i64, u32);

    fn notice(number: u64, (channel, address, due, tries): Row) -> Notice {
        let at = Time::from_millis(NOW + due * 1000);
        serde_json::from_value(json!({
            "id": format!("N-{number}"), "event": "opened", "reason": "", "channel": format!("CH-{channel}"),
            "address": Some(address).filter(|a| !a.is_empty()), "created_at": at, "planned_at": at, "due_at": at,
            "state": "waiting", "tries": tries, "key": "",
        }))
        .unwrap()
    }

    /// What could go out of these messages, whose numbers count from 1: for each place the numbers.
    fn check(rows: &[Row], busy: &[(u64, &str)], resting: &[u64], want: &[&[u64]]) {
        let all: BTreeMap<u64, Notice> = (1..).zip(rows.iter().copied()).map(|(n, row)| (n, notice(n, row))).collect();
        let database = Database::builder().create_with_backend(InMemoryBackend::new()).unwrap();
        let txn = database.begin_write().unwrap();
        let mut due = txn.open_table(tables::NOTICES_DUE).unwrap();
        let mut pending = txn.open_table(tables::NOTICES_PENDING).unwrap();
        for notice in all.values() {
            due.insert((notice.due_at.millis(), notice.id.0), ()).unwrap();
            pending.insert((notice.channel.0, notice.id.0), ()).unwrap();
        }
        drop((due, pending));
        txn.commit().unwrap();
        let txn = database.begin_read().unwrap();
        let ready = Ready::read(&txn.open_table(tables::NOTICES_DUE).unwrap(), Time::from_millis(NOW)).unwrap();
        let pending = txn.open_table(tables::NOTICES_PENDING).unwrap();
        let row = |n: u64| Ok(all.get(&n).cloned());
        let busy = busy.iter().map(|(c, a)| (ChannelId(*c), Some((*a).to_owned()).filter(|a| !a.is_empty()))).collect();
        let resting = resting.iter().map(|c| ChannelId(*c)).collect();
        let mut found: Vec<Vec<u64>> = Vec::new();
        for channel in ready.channels(&pending, &resting, row).unwrap() {
            for place in ready.places(&pending, channel, &busy, ALL, row).unwrap() {
                found.push(place.iter().map(|n| n.id.0).collect());
            }
        }
        assert_eq!(found, want, "{} messages", rows.len());
    }

    #[test]
    fn what_could_go_out_is_found_by_its_place() {
        let both: &[Row] = &[(1, "", 0, 0), (2, "", -5, 0), (1, "", -1, 0), (2, "ada", 0, 0), (2, "bo", 0, 0)];
        check(&[], &[], &[], &[]);
        check(both, &[], &[], &[&[2], &[4], &[5], &[1, 3]]);
        check(both, &[(2, "ada"), (1, "")], &[], &[&[2], &[5]]);
        check(both, &[], &[2], &[&[1, 3]]);
        // What comes later does not go now; what waits for another try holds up its place, and no other.
        check(&[(1, "", 60, 0), (1, "", 0, 0), (1, "", 7200, 1)], &[], &[], &[&[2]]);
        check(&[(1, "", 60, 1), (1, "", 0, 0), (1, "ada", 0, 0), (2, "", 0, 0)], &[], &[], &[&[3], &[4]]);
        check(&[(1, "", -1, 3), (1, "", 0, 0)], &[], &[], &[&[1, 2]]);
    }

    #[test]
    fn however_much_waits_nobody_else_does() {
        // A channel that is on its way, one of which everything waits for the morning, and one that fails.
        let mut rows: Vec<Row> = Vec::new();
        for _ in 0..ALL.rows + 500 {
            rows.extend([(1, "", -60, 0), (2, "", 9 * 3600, 0), (3, "", -60, 0)]);
        }
        rows.extend([(3, "", 30, 2), (2, "", 0, 0), (4, "", 0, 0)]);
        let last = rows.len() as u64;
        check(&rows, &[(1, "")], &[], &[&[last - 1], &[last]]);
    }

    #[test]
    fn with_very_much_that_is_due_rows_say_it_themselves() {
        let mut rows: Vec<Row> = vec![(2, "", 60, 0), (2, "", 0, 0), (3, "", 60, 1), (3, "", 0, 0), (4, "", 60, 0)];
        rows.extend(std::iter::repeat_n((1, "", -60, 0), KEYS + 1));
        check(&rows, &[(1, "")], &[], &[&[2]]);
        let storm: Vec<u64> = (6..).take(ALL.rows).collect();
        check(&rows, &[], &[], &[&storm, &[2]]);
    }
}
