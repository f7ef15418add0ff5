//! Whether the tables of notifications say one thing: messages and the lists that they are found by, escalations and their
//! timers, and that nothing leads to what is not there.

use std::{collections::BTreeSet, fmt::Display};

use redb::ReadableTable;
use serde::de::DeserializeOwned;

use super::View;
use crate::{
    model::*,
    store::{
        StoreError, codec,
        seal::Sealer,
        tables::{self, meta},
    },
};

/// A table of pairs of numbers, as a set.
macro_rules! pairs {
    ($view:expr, $table:expr) => {{
        let mut all = BTreeSet::new();
        for row in $view.table($table)?.iter()? {
            all.insert(row?.0.value());
        }
        all
    }};
}

/// What people have set, for asking what leads where.
struct Book {
    channels: BTreeSet<ChannelId>,
    schedules: BTreeSet<ScheduleId>,
    policies: BTreeSet<PolicyId>,
}

impl Book {
    /// What targets name that is not there.
    fn missing(&self, targets: &[Target]) -> Vec<String> {
        let missing = |t: &Target| match t {
            Target::Channel(id) => (!self.channels.contains(id)).then(|| format!("channel {id}")),
            Target::OnCall(id) => (!self.schedules.contains(id)).then(|| format!("schedule {id}")),
            // An account may be removed; nobody is told then.
            Target::Person(_) => None,
        };
        targets.iter().filter_map(missing).collect()
    }
}

impl View {
    /// Every violated invariant of what people set about notifications, of messages and of escalations.
    pub(super) fn check_notices(&self) -> Result<Vec<String>, StoreError> {
        let mut found = self.check_book()?;
        found.extend(self.check_outbox()?);
        found.extend(self.check_escalations()?);
        Ok(found)
    }

    /// Channels with secrets that the key file does not open.
    pub(in crate::store) fn check_secrets(&self, sealer: &Sealer) -> Result<Vec<String>, StoreError> {
        let mut found = Vec::new();
        for channel in self.channels()? {
            for (name, _) in channel.secrets.iter().filter(|(_, sealed)| sealer.open(sealed).is_err()) {
                found.push(format!(
                    "the key file does not open `{name}` of channel “{}” ({}); enter it again",
                    channel.name, channel.id
                ));
            }
        }
        Ok(found)
    }

    /// Rows that stand under another number than their own, and the highest number.
    fn numbered<T: DeserializeOwned>(
        &self,
        table: tables::Rows,
        id: impl Fn(&T) -> (u64, String),
        found: &mut Vec<String>,
    ) -> Result<(Vec<T>, u64), StoreError> {
        let (mut all, mut last) = (Vec::new(), 0);
        for row in self.table(table)?.iter()? {
            let (number, bytes) = row?;
            let row: T = codec::decode(bytes.value())?;
            let (own, name) = id(&row);
            if own != number.value() {
                found.push(format!("{name} stands under the number {}", number.value()));
            }
            last = last.max(number.value());
            all.push(row);
        }
        Ok((all, last))
    }

    fn check_book(&self) -> Result<Vec<String>, StoreError> {
        let mut found = Vec::new();
        let named = |id: u64, name: &dyn Display| (id, name.to_string());
        let (channels, a) = self.numbered(tables::CHANNELS, |c: &ChannelRow| named(c.id.0, &c.id), &mut found)?;
        let (rules, b) = self.numbered(tables::NOTICE_RULES, |r: &NoticeRule| named(r.id.0, &r.id), &mut found)?;
        let (schedules, c) = self.numbered(tables::SCHEDULES, |s: &OnCallSchedule| named(s.id.0, &s.id), &mut found)?;
        let (policies, d) = self.numbered(tables::POLICIES, |p: &EscalationPolicy| named(p.id.0, &p.id), &mut found)?;
        let (_, e) = self.numbered(tables::HEARTBEATS, |h: &Heartbeat| named(h.id.0, &h.id), &mut found)?;
        let (last, given) = ([a, b, c, d, e].into_iter().max().unwrap_or(0), self.number(meta::BOOK)?);
        if last > given {
            found.push(format!("the last {} has the number {last}, and its counter says {given}", meta::BOOK));
        }
        let book = Book {
            channels: channels.iter().map(|c| c.id).collect(),
            schedules: schedules.iter().map(|s| s.id).collect(),
            policies: policies.iter().map(|p| p.id).collect(),
        };
        let mut names = BTreeSet::new();
        for channel in &channels {
            if !names.insert(channel.name.to_lowercase()) {
                found.push(format!("two channels are called “{}”", channel.name));
            }
            if let Some(other) = channel.fallback.filter(|o| *o == channel.id || !book.channels.contains(o)) {
                found.push(format!("{other} stands in for {}, and is not there or is itself", channel.id));
            }
        }
        for rule in &rules {
            let policy = rule.policy.filter(|p| !book.policies.contains(p)).map(|p| format!("policy {p}"));
            for what in book.missing(&rule.targets).into_iter().chain(policy) {
                found.push(format!("{} leads to {what}, which is not there", rule.id));
            }
        }
        for policy in &policies {
            for what in policy.steps.iter().flat_map(|s| book.missing(&s.targets)) {
                found.push(format!("{} leads to {what}, which is not there", policy.id));
            }
        }
        for row in self.table(tables::CONTACTS)?.iter()? {
            let (name, bytes) = row?;
            let row: Contacts = codec::decode(bytes.value())?;
            if row.person != name.value() {
                found.push(format!("the contacts of {} stand under {}", row.person, name.value()));
            }
            for contact in row.contacts.iter().filter(|c| !book.channels.contains(&c.channel)) {
                found.push(format!("{} is reached by {}, which is not there", row.person, contact.channel));
            }
        }
        Ok(found)
    }

    /// Messages stand in the lists that they are found by, and nothing else does.
    fn check_outbox(&self) -> Result<Vec<String>, StoreError> {
        let mut found = Vec::new();
        let channels: BTreeSet<ChannelId> = self.channels()?.into_iter().map(|c| c.id).collect();
        let incidents = self.table(tables::INCIDENTS)?;
        let (mut due, mut pending) = (pairs!(self, tables::NOTICES_DUE), pairs!(self, tables::NOTICES_PENDING));
        let mut of = pairs!(self, tables::NOTICES_OF);
        let mut last = 0;
        for row in self.table(tables::NOTICES)?.iter()? {
            let (number, bytes) = row?;
            let (number, n) = (number.value(), codec::decode::<Notice>(bytes.value())?);
            last = number;
            if n.id.0 != number {
                found.push(format!("{} stands under the number {number}", n.id));
            }
            if (n.state == NoticeState::Waiting) != due.remove(&(n.due_at.millis(), number)) {
                found.push(format!("{} is {} and the list of what is due says otherwise", n.id, n.state));
            }
            if n.is_pending() != pending.remove(&(n.channel.0, number)) {
                found.push(format!("{} is {} and the list of its channel says otherwise", n.id, n.state));
            }
            if !of.remove(&(n.incident.map_or(0, |i| i.0), number)) {
                found.push(format!("{} is not listed under its incident", n.id));
            }
            if n.is_pending() && !channels.contains(&n.channel) {
                found.push(format!("{} waits for {}, which is not there", n.id, n.channel));
            }
            if let Some(id) = n.incident
                && incidents.get(id.0)?.is_none()
            {
                found.push(format!("{} is about {id}, which has no row", n.id));
            }
            if n.is_pending() == n.ended_at.is_some() || (n.state == NoticeState::Included) != n.told_in.is_some() {
                found.push(format!("{} is {} and says otherwise of its end", n.id, n.state));
            }
        }
        let due = due.into_iter().map(|(_, number)| ("of what is due", number));
        let pending = pending.into_iter().map(|(_, number)| ("of a channel", number));
        for (what, number) in due.chain(pending).chain(of.into_iter().map(|(_, number)| ("of an incident", number))) {
            found.push(format!("the list {what} names N-{number}, which is not so"));
        }
        for (what, table) in [("what was considered", tables::CONSIDERED), ("a receipt", tables::RECEIPTS)] {
            for (incident, number) in pairs!(self, table) {
                if incidents.get(incident)?.is_none() {
                    found.push(format!("{what} belongs to INC-{incident}, which has no row"));
                }
                // They are numbered together with messages.
                if what != "a receipt" {
                    last = last.max(number);
                }
            }
        }
        let given = self.number(meta::NOTICE)?;
        if last > given {
            found.push(format!("the last {} has the number {last}, and its counter says {given}", meta::NOTICE));
        }
        Ok(found)
    }

    /// Escalations are of incidents that are there, and their timers are theirs.
    fn check_escalations(&self) -> Result<Vec<String>, StoreError> {
        let mut found = Vec::new();
        let mut due = pairs!(self, tables::ESCALATIONS_DUE);
        for row in self.table(tables::ESCALATIONS)?.iter()? {
            let (number, bytes) = row?;
            let (number, e) = (number.value(), codec::decode::<Escalation>(bytes.value())?);
            if e.incident.0 != number {
                found.push(format!("the escalation of {} stands under the number {number}", e.incident));
            }
            if self.row::<_, Incident>(tables::INCIDENTS, number)?.is_none() {
                found.push(format!("an escalation belongs to INC-{number}, which has no row"));
            }
            if e.next_at.is_some_and(|at| !due.remove(&(at.millis(), number))) {
                found.push(format!("the next step of INC-{number} is not listed at its time"));
            }
            if e.ended.is_some() && e.next_at.is_some() {
                found.push(format!("the escalation of INC-{number} has ended and goes on"));
            }
        }
        for (_, number) in due {
            found.push(format!("a step of INC-{number} is listed at a time that it does not say"));
        }
        Ok(found)
    }
}
