//! Notifications: what people have set, what was considered, what became of messages.

use std::collections::{BTreeMap, BTreeSet};

use redb::ReadableTable;

use super::View;
use crate::{
    model::*,
    store::{
        StoreError, codec,
        commands::{AT_ONCE, Place},
        ready::{Ready, Wanted},
        tables,
        world::Telling,
    },
};

/// Messages of one channel looked at for one that could be taken.
const LOOK: usize = 2_000;
/// Messages of one incident that are shown: the latest.
const SHOWN: usize = 500;

impl View {
    /// Everything that people have set.
    pub fn telling(&self) -> Result<Telling, StoreError> {
        Telling::load(self.transactions().0)
    }

    /// Channels, oldest first.
    pub fn channels(&self) -> Result<Vec<ChannelRow>, StoreError> {
        let rows = self.table(tables::CHANNELS)?;
        rows.iter()?.map(|row| codec::decode(row?.1.value())).collect()
    }

    /// One channel.
    pub fn channel(&self, id: ChannelId) -> Result<Option<ChannelRow>, StoreError> {
        self.row(tables::CHANNELS, id.0)
    }

    /// One schedule.
    pub fn schedule(&self, id: ScheduleId) -> Result<Option<OnCallSchedule>, StoreError> {
        self.row(tables::SCHEDULES, id.0)
    }

    /// One message.
    pub fn notice(&self, id: NoticeId) -> Result<Option<Notice>, StoreError> {
        self.row(tables::NOTICES, id.0)
    }

    /// Messages of an incident, oldest first; of very many the latest.
    pub fn notices_of(&self, id: IncidentId) -> Result<Vec<Notice>, StoreError> {
        let of = self.table(tables::NOTICES_OF)?;
        let mut found = Vec::new();
        for row in of.range((id.0, 0)..=(id.0, u64::MAX))?.rev().take(SHOWN) {
            found.extend(self.notice(NoticeId(row?.0.value().1))?);
        }
        found.reverse();
        Ok(found)
    }

    /// The latest messages of all, newest first; of one channel where one is given, among the newest few thousand.
    pub fn latest_notices(&self, channel: Option<ChannelId>, most: usize) -> Result<Vec<Notice>, StoreError> {
        let rows = self.table(tables::NOTICES)?;
        let all = rows.iter()?.rev().take(5_000).map(|row| codec::decode::<Notice>(row?.1.value()));
        all.filter(|n| n.as_ref().map_or(true, |n| channel.is_none_or(|c| n.channel == c))).take(most).collect()
    }

    /// What was considered when something happened to an incident, oldest first.
    pub fn considered(&self, id: IncidentId) -> Result<Vec<Considerations>, StoreError> {
        let rows = self.table(tables::CONSIDERED)?;
        let mut found: Vec<Considerations> = Vec::new();
        for row in rows.range((id.0, 0)..=(id.0, u64::MAX))?.rev().take(SHOWN) {
            found.push(codec::decode(row?.1.value())?);
        }
        found.reverse();
        Ok(found)
    }

    /// Incidents that were opened since then, newest first, at most `most`; whether those are all. What was merged into
    /// another one is left out.
    pub fn detected_since(&self, since: Time, most: usize) -> Result<(Vec<Incident>, bool), StoreError> {
        let mut found = Vec::new();
        for row in self.newest(tables::INCIDENTS, None)? {
            let incident: Incident = codec::decode(row?.1.value())?;
            if incident.detected_at < since {
                break;
            }
            if found.len() >= most {
                return Ok((found, false));
            }
            if incident.status != IncidentStatus::Merged {
                found.push(incident);
            }
        }
        Ok((found, true))
    }

    /// Where the escalation of an incident stands.
    pub fn escalation(&self, id: IncidentId) -> Result<Option<Escalation>, StoreError> {
        self.row(tables::ESCALATIONS, id.0)
    }

    /// When a message is tried next; none when none waits.
    pub fn next_notice(&self) -> Result<Option<Time>, StoreError> {
        let due = self.table(tables::NOTICES_DUE)?;
        Ok(due.first()?.map(|(key, _)| Time::from_millis(key.value().0)))
    }

    /// When the first message is tried that is not due yet.
    pub fn notice_after(&self, now: Time) -> Result<Option<Time>, StoreError> {
        let due = self.table(tables::NOTICES_DUE)?;
        let next = due.range((now.millis().saturating_add(1), 0_u64)..)?.next().transpose()?;
        Ok(next.map(|(key, _)| Time::from_millis(key.value().0)))
    }

    /// Messages that wait and should have gone before that time, oldest first, at most `most`.
    pub fn overdue_notices(&self, before: Time, most: usize) -> Result<Vec<Notice>, StoreError> {
        let due = self.table(tables::NOTICES_DUE)?;
        let mut found = Vec::new();
        for row in due.range(..(before.millis(), 0))?.take(most) {
            found.extend(self.notice(NoticeId(row?.0.value().1))?);
        }
        Ok(found)
    }

    /// Escalations whose step should have come before that time.
    pub fn overdue_escalations(&self, before: Time) -> Result<Vec<IncidentId>, StoreError> {
        let due = self.table(tables::ESCALATIONS_DUE)?;
        due.range(..(before.millis(), 0))?.take(100).map(|row| Ok(IncidentId(row?.0.value().1))).collect()
    }

    /// Which of these identities have an open alert.
    pub fn burning(&self, wanted: &BTreeSet<Fingerprint>) -> Result<BTreeSet<Fingerprint>, StoreError> {
        let mut found = BTreeSet::new();
        for row in self.table(tables::LIVE_ALERTS)?.iter()? {
            let (fingerprint, closed) = row?.1.value();
            if closed == i64::MAX && wanted.contains(&Fingerprint(fingerprint)) {
                found.insert(Fingerprint(fingerprint));
            }
        }
        Ok(found)
    }

    /// Whether a message could be taken: its time has come, its place is free, and nothing before it waits for another try.
    pub fn takeable(
        &self,
        now: Time,
        busy: &BTreeSet<Place>,
        resting: &BTreeSet<ChannelId>,
    ) -> Result<bool, StoreError> {
        let ready = Ready::read(&self.table(tables::NOTICES_DUE)?, now)?;
        if ready.is_empty() {
            return Ok(false);
        }
        let (pending, row) = (self.table(tables::NOTICES_PENDING)?, |n| self.notice(NoticeId(n)));
        for channel in ready.channels(&pending, resting, row)? {
            let called = busy.iter().filter(|(c, _)| *c == channel).count();
            let wanted = Wanted { places: 1, rows: LOOK };
            if called < AT_ONCE && !ready.places(&pending, channel, busy, wanted, row)?.is_empty() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether something at the same place is on its way, or waits for another try.
    pub fn is_held(&self, now: Time, notice: &Notice) -> Result<bool, StoreError> {
        let pending = self.table(tables::NOTICES_PENDING)?;
        for row in pending.range((notice.channel.0, 0)..=(notice.channel.0, u64::MAX))?.take(LOOK) {
            let Some(other) = self.notice(NoticeId(row?.0.value().1))? else { continue };
            let waits = other.state == NoticeState::Sending || (other.tries > 0 && other.due_at > now);
            if other.place() == notice.place() && waits {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// How many messages wait, by channel.
    pub fn waiting_notices(&self) -> Result<BTreeMap<ChannelId, u64>, StoreError> {
        let pending = self.table(tables::NOTICES_PENDING)?;
        let mut counts = BTreeMap::new();
        for row in pending.iter()? {
            *counts.entry(ChannelId(row?.0.value().0)).or_default() += 1;
        }
        Ok(counts)
    }
}
