//! Rows of notifications: messages with their indexes, what was considered, escalations, and what people have set.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use redb::{ReadableTable, Table, WriteTransaction};

use super::{ChildRows, NamedRows, Rows, Tx, get, put};
use crate::{
    model::*,
    store::{
        StoreError,
        commands::Place,
        counted::Counted,
        ready::{Ready, Wanted},
        tables::{self, meta},
    },
};

/// Messages of one incident that are looked at when something happens to it: the latest.
const LOOKED_AT: usize = 500;

/// Its tables.
pub struct Tables<'t> {
    channels: Rows<'t>,
    rules: Rows<'t>,
    contacts: NamedRows<'t>,
    schedules: Rows<'t>,
    policies: Rows<'t>,
    heartbeats: Rows<'t>,
    notices: Rows<'t>,
    due: Table<'t, (i64, u64), ()>,
    pending: Table<'t, (u64, u64), ()>,
    of: Table<'t, (u64, u64), ()>,
    considered: ChildRows<'t>,
    receipts: ChildRows<'t>,
    escalations: Rows<'t>,
    pub(in crate::store) escalations_due: Table<'t, (i64, u64), ()>,
}

impl<'t> Tables<'t> {
    /// Opens them.
    pub fn open(txn: &'t WriteTransaction) -> Result<Self, StoreError> {
        Ok(Self {
            channels: Counted::new(txn.open_table(tables::CHANNELS)?),
            rules: Counted::new(txn.open_table(tables::NOTICE_RULES)?),
            contacts: Counted::new(txn.open_table(tables::CONTACTS)?),
            schedules: Counted::new(txn.open_table(tables::SCHEDULES)?),
            policies: Counted::new(txn.open_table(tables::POLICIES)?),
            heartbeats: Counted::new(txn.open_table(tables::HEARTBEATS)?),
            notices: Counted::new(txn.open_table(tables::NOTICES)?),
            due: txn.open_table(tables::NOTICES_DUE)?,
            pending: txn.open_table(tables::NOTICES_PENDING)?,
            of: txn.open_table(tables::NOTICES_OF)?,
            considered: Counted::new(txn.open_table(tables::CONSIDERED)?),
            receipts: Counted::new(txn.open_table(tables::RECEIPTS)?),
            escalations: Counted::new(txn.open_table(tables::ESCALATIONS)?),
            escalations_due: txn.open_table(tables::ESCALATIONS_DUE)?,
        })
    }

    /// By how many bytes what is of incidents has grown.
    pub fn grown(&self) -> i64 {
        self.notices.grown() + self.considered.grown() + self.receipts.grown() + self.escalations.grown()
    }

    /// By how many bytes what people set has grown.
    pub fn book_grown(&self) -> i64 {
        self.channels.grown()
            + self.rules.grown()
            + self.contacts.grown()
            + self.schedules.grown()
            + self.policies.grown()
            + self.heartbeats.grown()
    }
}

impl Tx<'_> {
    // ---- what people set: the rows and the writer's memory of them, always both ----

    /// The next number for a channel, rule, schedule, policy or heartbeat.
    pub fn next_in_book(&mut self) -> u64 {
        self.world.next(meta::BOOK)
    }

    /// Writes a channel.
    pub fn put_channel(&mut self, row: &ChannelRow) -> Result<(), StoreError> {
        self.world.touched = true;
        self.world.telling.channels.insert(row.id.0, row.clone());
        put(&mut self.notices.channels, row.id.0, row)
    }

    /// Removes a channel.
    pub fn remove_channel(&mut self, id: ChannelId) -> Result<(), StoreError> {
        self.world.touched = true;
        self.world.telling.channels.remove(&id.0);
        self.notices.channels.remove(id.0)?;
        Ok(())
    }

    /// Writes a rule.
    pub fn put_rule(&mut self, row: &NoticeRule) -> Result<(), StoreError> {
        self.world.touched = true;
        self.world.telling.put_rule(row.id, Some(row));
        put(&mut self.notices.rules, row.id.0, row)
    }

    /// Removes a rule.
    pub fn remove_rule(&mut self, id: RuleId) -> Result<(), StoreError> {
        self.world.touched = true;
        self.world.telling.put_rule(id, None);
        self.notices.rules.remove(id.0)?;
        Ok(())
    }

    /// Writes how a person is reached; without contacts the row goes.
    pub fn put_contacts(&mut self, row: &Contacts) -> Result<(), StoreError> {
        self.world.touched = true;
        if row.contacts.is_empty() {
            self.world.telling.people.remove(&row.person);
            self.notices.contacts.remove(row.person.as_str())?;
            return Ok(());
        }
        self.world.telling.people.insert(row.person.clone(), row.clone());
        put(&mut self.notices.contacts, row.person.as_str(), row)
    }

    /// Writes a schedule.
    pub fn put_schedule(&mut self, row: &OnCallSchedule) -> Result<(), StoreError> {
        self.world.touched = true;
        self.world.telling.schedules.insert(row.id.0, row.clone());
        put(&mut self.notices.schedules, row.id.0, row)
    }

    /// Removes a schedule.
    pub fn remove_schedule(&mut self, id: ScheduleId) -> Result<(), StoreError> {
        self.world.touched = true;
        self.world.telling.schedules.remove(&id.0);
        self.notices.schedules.remove(id.0)?;
        Ok(())
    }

    /// Writes a policy.
    pub fn put_policy(&mut self, row: &EscalationPolicy) -> Result<(), StoreError> {
        self.world.touched = true;
        self.world.telling.policies.insert(row.id.0, row.clone());
        put(&mut self.notices.policies, row.id.0, row)
    }

    /// Removes a policy.
    pub fn remove_policy(&mut self, id: PolicyId) -> Result<(), StoreError> {
        self.world.touched = true;
        self.world.telling.policies.remove(&id.0);
        self.notices.policies.remove(id.0)?;
        Ok(())
    }

    /// Writes a heartbeat.
    pub fn put_heartbeat(&mut self, row: &Heartbeat) -> Result<(), StoreError> {
        self.world.touched = true;
        self.world.telling.put_heartbeat(row.id, Some(row));
        put(&mut self.notices.heartbeats, row.id.0, row)
    }

    /// Removes a heartbeat.
    pub fn remove_heartbeat(&mut self, id: HeartbeatId) -> Result<(), StoreError> {
        self.world.touched = true;
        self.world.telling.put_heartbeat(id, None);
        self.notices.heartbeats.remove(id.0)?;
        Ok(())
    }

    // ---- messages ----

    /// The next number for a message or for what was considered.
    pub fn next_notice(&mut self) -> u64 {
        self.world.next(meta::NOTICE)
    }

    /// One message.
    pub fn notice(&self, id: NoticeId) -> Result<Option<Notice>, StoreError> {
        get(&self.notices.notices, id.0)
    }

    /// Writes a message with its indexes. `before` is the row as it was.
    pub fn put_notice(&mut self, notice: &Notice, before: Option<&Notice>) -> Result<(), StoreError> {
        let number = notice.id.0;
        let waits = |n: &Notice| (n.state == NoticeState::Waiting).then(|| n.due_at.millis());
        let (was, is) = (before.and_then(waits), waits(notice));
        if was != is {
            if let Some(at) = was {
                self.notices.due.remove((at, number))?;
            }
            if let Some(at) = is {
                self.notices.due.insert((at, number), ())?;
            }
        }
        let key = (notice.channel.0, number);
        match (before.is_some_and(Notice::is_pending), notice.is_pending()) {
            (false, true) => drop(self.notices.pending.insert(key, ())?),
            (true, false) => drop(self.notices.pending.remove(key)?),
            _ => {}
        }
        if before.is_none() {
            self.notices.of.insert((notice.incident.map_or(0, |i| i.0), number), ())?;
        }
        put(&mut self.notices.notices, number, notice)
    }

    /// Messages of an incident, oldest first; of very many the latest.
    pub fn notices_of(&self, id: IncidentId) -> Result<Vec<Notice>, StoreError> {
        let range = self.notices.of.range((id.0, 0)..=(id.0, u64::MAX))?;
        let numbers: Vec<u64> =
            range.rev().take(LOOKED_AT).map(|row| Ok(row?.0.value().1)).collect::<Result<_, StoreError>>()?;
        numbers.into_iter().rev().filter_map(|n| self.notice(NoticeId(n)).transpose()).collect()
    }

    /// What could go out now.
    pub fn ready_notices(&self) -> Result<Ready, StoreError> {
        Ready::read(&self.notices.due, self.now)
    }

    /// Channels for which something is due, the one whose turn came first leading.
    pub fn ready_channels(&self, ready: &Ready, resting: &BTreeSet<ChannelId>) -> Result<Vec<ChannelId>, StoreError> {
        ready.channels(&self.notices.pending, resting, |n| self.notice(NoticeId(n)))
    }

    /// What is due at each free place of a channel, in order.
    pub fn ready_places(
        &self,
        ready: &Ready,
        channel: ChannelId,
        busy: &BTreeSet<Place>,
        wanted: Wanted,
    ) -> Result<Vec<Vec<Notice>>, StoreError> {
        ready.places(&self.notices.pending, channel, busy, wanted, |n| self.notice(NoticeId(n)))
    }

    /// Messages to a channel that wait or are on their way, in order, at most `limit`.
    pub fn pending_notices(&self, channel: ChannelId, limit: usize) -> Result<Vec<Notice>, StoreError> {
        let range = self.notices.pending.range((channel.0, 0)..=(channel.0, u64::MAX))?;
        let numbers: Vec<u64> = range.take(limit).map(|row| Ok(row?.0.value().1)).collect::<Result<_, StoreError>>()?;
        numbers.into_iter().filter_map(|n| self.notice(NoticeId(n)).transpose()).collect()
    }

    /// Those messages of all that wait or are on their way. Their numbers: very many more may wait than one is to hold.
    pub fn pending_where(&self, wanted: impl Fn(&Notice) -> bool) -> Result<Vec<NoticeId>, StoreError> {
        let mut found = Vec::new();
        for row in self.notices.pending.iter()? {
            let id = NoticeId(row?.0.value().1);
            found.extend(self.notice(id)?.filter(&wanted).map(|_| id));
        }
        Ok(found)
    }

    /// Writes what was considered.
    pub fn put_considered(&mut self, id: IncidentId, what: &Considerations) -> Result<(), StoreError> {
        let number = self.next_notice();
        put(&mut self.notices.considered, (id.0, number), what)
    }

    /// What earlier messages about an incident left at an address of a channel.
    pub fn receipt(
        &self,
        id: IncidentId,
        place: (ChannelId, Option<&str>),
    ) -> Result<BTreeMap<String, String>, StoreError> {
        let all: Option<BTreeMap<String, BTreeMap<String, String>>> = get(&self.notices.receipts, (id.0, place.0.0))?;
        Ok(all.and_then(|mut all| all.remove(place.1.unwrap_or_default())).unwrap_or_default())
    }

    /// Writes that.
    pub fn put_receipt(
        &mut self,
        id: IncidentId,
        place: (ChannelId, Option<&str>),
        receipt: BTreeMap<String, String>,
    ) -> Result<(), StoreError> {
        let key = (id.0, place.0.0);
        let mut all: BTreeMap<String, BTreeMap<String, String>> = get(&self.notices.receipts, key)?.unwrap_or_default();
        all.insert(place.1.unwrap_or_default().to_owned(), receipt);
        put(&mut self.notices.receipts, key, &all)
    }

    // ---- escalations ----

    /// Where the escalation of an incident stands.
    pub fn escalation(&self, id: IncidentId) -> Result<Option<Escalation>, StoreError> {
        get(&self.notices.escalations, id.0)
    }

    /// Writes that, with its timer.
    pub fn put_escalation(&mut self, row: &Escalation) -> Result<(), StoreError> {
        let number = row.incident.0;
        let before = self.escalation(row.incident)?.and_then(|e| e.next_at);
        if before != row.next_at {
            if let Some(at) = before {
                self.notices.escalations_due.remove((at.millis(), number))?;
            }
            if let Some(at) = row.next_at {
                self.notices.escalations_due.insert((at.millis(), number), ())?;
            }
        }
        put(&mut self.notices.escalations, number, row)
    }

    /// Incidents whose next step has come, at most `limit`.
    pub fn take_escalations(&mut self, limit: usize) -> Result<Vec<u64>, StoreError> {
        let due = self.notices.escalations_due.range(..=(self.now.millis(), u64::MAX))?;
        due.take(limit).map(|row| Ok(row?.0.value().1)).collect()
    }

    /// Takes the timer of an escalation away that cannot go on.
    pub fn forget_escalation(&mut self, id: IncidentId) -> Result<(), StoreError> {
        if let Some(at) = self.escalation(id)?.and_then(|e| e.next_at) {
            self.notices.escalations_due.remove((at.millis(), id.0))?;
        }
        self.notices.escalations.remove(id.0)?;
        Ok(())
    }

    /// Removes everything about the notifications of an incident. Returns how many rows.
    pub fn forget_notices(&mut self, id: IncidentId) -> Result<usize, StoreError> {
        let whole = (id.0, 0)..=(id.0, u64::MAX);
        let numbers: Vec<u64> =
            self.notices.of.range(whole.clone())?.map(|row| Ok(row?.0.value().1)).collect::<Result<_, StoreError>>()?;
        for number in &numbers {
            if let Some(notice) = self.notice(NoticeId(*number))? {
                self.notices.due.remove((notice.due_at.millis(), *number))?;
                self.notices.pending.remove((notice.channel.0, *number))?;
            }
            self.notices.of.remove((id.0, *number))?;
            self.notices.notices.remove(*number)?;
        }
        let mut removed = numbers.len();
        for children in [&mut self.notices.considered, &mut self.notices.receipts] {
            let keys: Vec<(u64, u64)> =
                children.range(whole.clone())?.map(|row| Ok(row?.0.value())).collect::<Result<_, StoreError>>()?;
            for key in &keys {
                children.remove(*key)?;
            }
            removed += keys.len();
        }
        self.forget_escalation(id)?;
        Ok(removed)
    }

    /// The clock was set back: nobody waits longer for it.
    pub fn set_notices_back(&mut self, by: Duration) -> Result<(), StoreError> {
        for id in self.pending_where(|_| true)? {
            let Some(before) = self.notice(id)? else { continue };
            let (due_at, planned_at) = (before.due_at.minus(by), before.planned_at.minus(by));
            self.put_notice(&Notice { due_at, planned_at, ..before.clone() }, Some(&before))?;
        }
        let incidents: Vec<u64> =
            self.notices.escalations_due.iter()?.map(|row| Ok(row?.0.value().1)).collect::<Result<_, StoreError>>()?;
        for number in incidents {
            if let Some(row) = self.escalation(IncidentId(number))? {
                self.put_escalation(&Escalation { next_at: row.next_at.map(|t| t.minus(by)), ..row })?;
            }
        }
        Ok(())
    }
}
