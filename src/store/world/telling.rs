//! The writer's copy of who is told what: channels, rules, people, schedules, policies, heartbeats. Conditions are read
//! once.

use std::collections::BTreeMap;

use redb::{ReadTransaction, ReadableTable};
use serde::de::DeserializeOwned;

use crate::{
    correlation::mutes::{self, Facts, Matchers},
    model::*,
    notifications::policy::{Book, Rule},
    store::{StoreError, codec, tables},
};

/// Everything that people set about notifications.
#[derive(Debug, Default)]
pub struct Telling {
    /// By number.
    pub channels: BTreeMap<u64, ChannelRow>,
    rules: BTreeMap<u64, NoticeRule>,
    /// By name.
    pub people: BTreeMap<String, Contacts>,
    /// By number.
    pub schedules: BTreeMap<u64, OnCallSchedule>,
    /// By number.
    pub policies: BTreeMap<u64, EscalationPolicy>,
    /// By number.
    pub heartbeats: BTreeMap<u64, Heartbeat>,
    // Follow from the rows: rules in their order, and alerts that are heartbeats.
    read: Vec<Rule>,
    beats: Vec<(HeartbeatId, Matchers)>,
}

// What follows from the rows is the same when they are.
impl PartialEq for Telling {
    fn eq(&self, other: &Self) -> bool {
        self.channels == other.channels
            && self.rules == other.rules
            && self.people == other.people
            && self.schedules == other.schedules
            && self.policies == other.policies
            && self.heartbeats == other.heartbeats
    }
}

fn rows<T: DeserializeOwned>(txn: &ReadTransaction, table: tables::Rows) -> Result<BTreeMap<u64, T>, StoreError> {
    let table = txn.open_table(table)?;
    let rows = table.iter()?.map(|row| {
        let (number, bytes) = row?;
        Ok((number.value(), codec::decode(bytes.value())?))
    });
    rows.collect()
}

impl Telling {
    /// Reads it from the tables.
    pub fn load(txn: &ReadTransaction) -> Result<Self, StoreError> {
        let mut people = BTreeMap::new();
        for row in txn.open_table(tables::CONTACTS)?.iter()? {
            let (name, bytes) = row?;
            people.insert(name.value().to_owned(), codec::decode(bytes.value())?);
        }
        let mut telling = Self {
            channels: rows(txn, tables::CHANNELS)?,
            rules: rows(txn, tables::NOTICE_RULES)?,
            people,
            schedules: rows(txn, tables::SCHEDULES)?,
            policies: rows(txn, tables::POLICIES)?,
            heartbeats: rows(txn, tables::HEARTBEATS)?,
            read: Vec::new(),
            beats: Vec::new(),
        };
        telling.reread();
        telling.reread_heartbeats();
        Ok(telling)
    }

    fn reread(&mut self) {
        let mut rules: Vec<NoticeRule> = self.rules.values().cloned().collect();
        rules.sort_by_key(|r| (r.position, r.id));
        self.read = rules.into_iter().map(Rule::read).collect();
    }

    fn reread_heartbeats(&mut self) {
        let of = |h: &Heartbeat| match &h.from {
            // Rows are checked before they are written; what a later version cannot read is no heartbeat.
            HeartbeatFrom::Alerts(matchers) if h.enabled => Some((h.id, mutes::matchers(matchers).ok()?)),
            _ => None,
        };
        self.beats = self.heartbeats.values().filter_map(of).collect();
    }

    /// Whether some alerts are heartbeats.
    pub fn expects_alerts(&self) -> bool {
        !self.beats.is_empty()
    }

    /// The first heartbeat that such an alert is.
    pub fn heartbeat_of(&self, facts: &Facts<'_>) -> Option<HeartbeatId> {
        self.beats.iter().find(|(_, matchers)| matchers.fit(facts)).map(|(id, _)| *id)
    }

    /// Takes a heartbeat as it is written now; none removes it.
    pub fn put_heartbeat(&mut self, id: HeartbeatId, row: Option<&Heartbeat>) {
        let before = match row {
            Some(row) => self.heartbeats.insert(id.0, row.clone()),
            None => self.heartbeats.remove(&id.0),
        };
        let says = |h: &Heartbeat| (h.from.clone(), h.enabled);
        if before.as_ref().map(says) != row.map(says) {
            self.reread_heartbeats();
        }
    }

    /// Whether nobody is ever told anything: there is no rule.
    pub fn is_silent(&self) -> bool {
        self.rules.is_empty()
    }

    /// What the policy decides by.
    pub fn book(&self) -> Book<'_> {
        Book {
            rules: &self.read,
            people: &self.people,
            schedules: &self.schedules,
            policies: &self.policies,
            channels: &self.channels,
        }
    }

    /// Rules as they are stored.
    pub fn rules(&self) -> impl Iterator<Item = &NoticeRule> {
        self.rules.values()
    }

    /// One rule.
    pub fn rule(&self, id: RuleId) -> Option<&NoticeRule> {
        self.rules.get(&id.0)
    }

    /// Takes a rule as it is written now; none removes it.
    pub fn put_rule(&mut self, id: RuleId, rule: Option<&NoticeRule>) {
        match rule {
            Some(rule) => drop(self.rules.insert(id.0, rule.clone())),
            None => drop(self.rules.remove(&id.0)),
        }
        self.reread();
    }
}
