//! The writer's copy of what mutes alerts and what makes them wait: mutes that have not ended, thresholds, and the alerts
//! that wait for them. What is asked of every alert is compiled once.

use std::collections::{BTreeMap, BTreeSet};

use redb::{ReadTransaction, ReadableTable};

use crate::{
    correlation::{
        mutes::{self, Facts, Index},
        thresholds,
    },
    model::{Alert, Mute, MuteId, Threshold, ThresholdId, Time, Waiting},
    store::{StoreError, codec, tables},
};

/// Mutes, thresholds, and what waits.
#[derive(Debug, Default)]
pub struct Calm {
    mutes: BTreeMap<u64, Mute>,
    thresholds: BTreeMap<u64, Threshold>,
    // Threshold, then alert.
    waiting: BTreeMap<u64, BTreeMap<u64, Waiting>>,
    // Both follow from the rows.
    muting: Index,
    holding: Index,
}

// What follows from the rows is the same when they are.
impl PartialEq for Calm {
    fn eq(&self, other: &Self) -> bool {
        (&self.mutes, &self.thresholds, &self.waiting) == (&other.mutes, &other.thresholds, &other.waiting)
    }
}

impl Calm {
    /// How an alert waits.
    pub fn waits(alert: &Alert) -> Waiting {
        Waiting { fingerprint: alert.fingerprint, host: alert.host.clone(), hits: alert.threshold_hits.clone() }
    }

    /// Reads it from the tables.
    pub fn load(txn: &ReadTransaction) -> Result<Self, StoreError> {
        let mut calm = Self::default();
        for row in txn.open_table(tables::MUTES)?.iter()? {
            let (number, bytes) = row?;
            let mute: Mute = codec::decode(bytes.value())?;
            if mute.ended_at.is_none() {
                calm.mutes.insert(number.value(), mute);
            }
        }
        for row in txn.open_table(tables::THRESHOLDS)?.iter()? {
            let (number, bytes) = row?;
            calm.thresholds.insert(number.value(), codec::decode(bytes.value())?);
        }
        let alerts = txn.open_table(tables::ALERTS)?;
        for row in txn.open_table(tables::WAITING)?.iter()? {
            let (threshold, alert) = row?.0.value();
            let bytes = alerts.get(alert)?.ok_or_else(|| {
                StoreError::Damaged(format!("alert {alert} waits for threshold T-{threshold} and has no row"))
            })?;
            let row: Alert = codec::decode(bytes.value())?;
            calm.waiting.entry(threshold).or_default().insert(alert, Self::waits(&row));
        }
        calm.compile_mutes();
        calm.compile_thresholds();
        Ok(calm)
    }

    // Rows are checked before they are written; matchers that a later version cannot read fit nothing.
    fn compile_mutes(&mut self) {
        let on = self.mutes.iter().filter(|(_, m)| m.on_until.is_some());
        self.muting = Index::new(on.filter_map(|(n, m)| Some((*n, mutes::matchers(&m.matchers).ok()?))));
    }

    fn compile_thresholds(&mut self) {
        let all = self.thresholds.iter();
        self.holding = Index::new(all.filter_map(|(n, t)| Some((*n, mutes::matchers(&t.matchers).ok()?))));
    }

    // ---- mutes ----

    /// Those that have not ended.
    pub fn mutes(&self) -> impl Iterator<Item = &Mute> {
        self.mutes.values()
    }

    /// One that has not ended.
    pub fn mute(&self, number: u64) -> Option<&Mute> {
        self.mutes.get(&number)
    }

    /// Takes a row as it is written now.
    pub(in crate::store) fn put_mute(&mut self, mute: &Mute) {
        let number = mute.id.number;
        let asks = |m: &Mute| m.on_until.is_some().then(|| m.matchers.clone());
        let before = match mute.ended_at {
            None => self.mutes.insert(number, mute.clone()),
            Some(_) => self.mutes.remove(&number),
        };
        let is = if mute.ended_at.is_none() { asks(mute) } else { None };
        if before.as_ref().and_then(asks) != is {
            self.compile_mutes();
        }
    }

    /// Counts something on a row; nothing that it is asked by.
    pub(in crate::store) fn count_mute(&mut self, number: u64) -> Option<&mut Mute> {
        self.mutes.get_mut(&number)
    }

    /// Whether none mutes now.
    pub fn is_loud(&self) -> bool {
        self.muting.is_empty()
    }

    /// The mutes that an alert fits now, in order.
    pub fn muting(&self, facts: &Facts<'_>) -> Vec<MuteId> {
        self.muting.fitting(facts).iter().filter_map(|n| Some(self.mutes.get(n)?.id)).collect()
    }

    /// Mutes that are to be looked at by now.
    pub fn due_mutes(&self, now: Time) -> Vec<u64> {
        self.mutes.iter().filter(|(_, m)| m.look_at.is_some_and(|at| at <= now)).map(|(n, _)| *n).collect()
    }

    // ---- thresholds ----

    /// All of them.
    pub fn thresholds(&self) -> impl Iterator<Item = &Threshold> {
        self.thresholds.values()
    }

    /// One of them.
    pub fn threshold(&self, id: ThresholdId) -> Option<&Threshold> {
        self.thresholds.get(&id.0)
    }

    /// Takes a row as it is written now.
    pub(in crate::store) fn put_threshold(&mut self, threshold: &Threshold) {
        let before = self.thresholds.insert(threshold.id.0, threshold.clone());
        if before.is_none_or(|b| b.matchers != threshold.matchers) {
            self.compile_thresholds();
        }
    }

    /// Counts something on a row; nothing that it is asked by.
    pub(in crate::store) fn count_threshold(&mut self, id: ThresholdId) -> Option<&mut Threshold> {
        self.thresholds.get_mut(&id.0)
    }

    /// It is gone. Nothing may wait for it any more.
    pub(in crate::store) fn remove_threshold(&mut self, id: ThresholdId) {
        self.thresholds.remove(&id.0);
        self.compile_thresholds();
    }

    /// The thresholds that an alert fits, in order.
    pub fn holding(&self, facts: &Facts<'_>) -> Vec<ThresholdId> {
        self.holding.fitting(facts).into_iter().map(ThresholdId).collect()
    }

    /// The alerts that wait for a threshold.
    pub fn waiting(&self, id: ThresholdId) -> impl Iterator<Item = (u64, &Waiting)> {
        self.waiting.get(&id.0).into_iter().flatten().map(|(n, w)| (*n, w))
    }

    /// An alert waits, or was received again while it does.
    pub(in crate::store) fn wait(&mut self, id: ThresholdId, alert: u64, waiting: Waiting) -> bool {
        self.waiting.entry(id.0).or_default().insert(alert, waiting).is_none()
    }

    /// It waits no more.
    pub(in crate::store) fn wait_no_more(&mut self, id: ThresholdId, alert: u64) -> bool {
        let Some(waiting) = self.waiting.get_mut(&id.0) else { return false };
        let waited = waiting.remove(&alert).is_some();
        if waiting.is_empty() {
            self.waiting.remove(&id.0);
        }
        waited
    }

    /// Alerts that waited in vain: nothing of them counts any more.
    pub fn waited_in_vain(&self, now: Time) -> BTreeSet<(ThresholdId, u64)> {
        let mut found = BTreeSet::new();
        for (number, waiting) in &self.waiting {
            let Some(threshold) = self.thresholds.get(number) else { continue };
            for (alert, waiting) in waiting {
                if waiting.hits.last().is_none_or(|hit| thresholds::is_past(threshold, *hit, now)) {
                    found.insert((threshold.id, *alert));
                }
            }
        }
        found
    }

    /// Whether the time asks for something.
    pub fn is_due(&self, now: Time) -> bool {
        self.mutes.values().any(|m| m.look_at.is_some_and(|at| at <= now)) || !self.waited_in_vain(now).is_empty()
    }
}
