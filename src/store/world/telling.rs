//! The writer's copy of who is told what: channels, rules, people, schedules, policies, heartbeats. Conditions are read
//! once.

use std::collections::BTreeMap;

use redb::{ReadTransaction, ReadableTable};
use serde::de::DeserializeOwned;

use crate::{
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
    // Follow from the rows: rules in their order.
    read: Vec<Rule>,
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
        };
        telling.reread();
        Ok(telling)
    }

    fn reread(&mut self) {
        let mut rules: Vec<NoticeRule> = self.rules.values().cloned().collect();
        rules.sort_by_key(|r| (r.position, r.id));
        self.read = rules.into_iter().map(Rule::read).collect();
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
