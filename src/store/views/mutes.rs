//! Silences, maintenance windows and thresholds, what they mute and hold back, and what they would.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use redb::ReadableTable;

use super::View;
use crate::{
    correlation::{
        mutes::{self, Facts},
        thresholds,
    },
    model::*,
    store::{StoreError, codec, tables, world::Calm},
};

/// Alerts looked at for what came in the past.
const LOOK: usize = 10_000;
/// How far back a preview looks.
const WEEK: Duration = Duration::from_secs(7 * 24 * 3600);
/// One that has matched nothing for so long is stale.
const STALE: Duration = Duration::from_secs(14 * 24 * 3600);
/// Alerts and incidents that a preview names.
const NAMED: usize = 10;

/// What a set of matchers catches.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Preview {
    /// Open alerts, now.
    pub open_alerts: u64,
    /// Incidents that they are in.
    pub open_incidents: u64,
    /// Of those the incidents of which no other alert burns: they would call for nobody.
    pub muted_incidents: u64,
    /// Alerts last seen in the last seven days.
    pub week_alerts: u64,
    /// Incidents that they are in.
    pub week_incidents: u64,
    /// Whether all alerts of the seven days were looked at.
    pub week_is_exact: bool,
    /// Open ones, newest first; the first ten.
    pub alerts: Vec<Alert>,
    /// Incidents with open ones and how many of their open alerts, newest first; the first ten.
    pub incidents: Vec<(Incident, u64)>,
}

/// Why a mute can probably go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stale {
    /// It has matched nothing since then.
    NothingSince(Time),
    /// No alert that is known ever fitted this matcher.
    NeverHad(Matcher),
}

impl View {
    /// Every silence and maintenance window, newest first; those that have ended too, for as long as they are kept.
    pub fn mutes(&self) -> Result<Vec<Mute>, StoreError> {
        let rows = self.table(tables::MUTES)?;
        rows.iter()?.rev().map(|row| codec::decode(row?.1.value())).collect()
    }

    /// One of them.
    pub fn mute(&self, id: MuteId) -> Result<Option<Mute>, StoreError> {
        let found: Option<Mute> = self.row(tables::MUTES, id.number)?;
        Ok(found.filter(|m| m.id == id))
    }

    /// Those that are named, in their order; what is no longer kept is left out.
    pub fn mutes_named(&self, ids: &[MuteId]) -> Result<Vec<Mute>, StoreError> {
        ids.iter().filter_map(|id| self.mute(*id).transpose()).collect()
    }

    /// Open alerts that a mute mutes now, newest first.
    pub fn muted_by(&self, id: MuteId, limit: usize) -> Result<Vec<Alert>, StoreError> {
        let mut numbers = Vec::new();
        for row in self.table(tables::MUTED)?.iter()?.rev() {
            let (alert, mute) = row?.0.value();
            if mute == id.number {
                numbers.push(alert);
            }
            if numbers.len() == limit {
                break;
            }
        }
        numbers.into_iter().filter_map(|n| self.row(tables::ALERTS, n).transpose()).collect()
    }

    /// How many open alerts of an incident each mute mutes now.
    pub fn muted_in(&self, incident: &Incident) -> Result<BTreeMap<MuteId, u64>, StoreError> {
        let mut found = BTreeMap::new();
        if incident.muted_count == 0 {
            return Ok(found);
        }
        let family: BTreeSet<u64> = self.family(incident.id)?.iter().map(|i| i.0).collect();
        let mut counts: BTreeMap<u64, u64> = BTreeMap::new();
        for row in self.table(tables::MUTED)?.iter()? {
            let (key, of) = row?;
            if family.contains(&of.value()) {
                *counts.entry(key.value().1).or_insert(0) += 1;
            }
        }
        for (number, count) in counts {
            if let Some(mute) = self.row::<_, Mute>(tables::MUTES, number)? {
                found.insert(mute.id, count);
            }
        }
        Ok(found)
    }

    /// Every threshold, newest first.
    pub fn thresholds(&self) -> Result<Vec<Threshold>, StoreError> {
        let rows = self.table(tables::THRESHOLDS)?;
        rows.iter()?.rev().map(|row| codec::decode(row?.1.value())).collect()
    }

    /// One of them.
    pub fn threshold(&self, id: ThresholdId) -> Result<Option<Threshold>, StoreError> {
        self.row(tables::THRESHOLDS, id.0)
    }

    /// The alerts that wait for a threshold, oldest first.
    pub fn waiting_for(&self, id: ThresholdId) -> Result<Vec<Alert>, StoreError> {
        let waiting = self.table(tables::WAITING)?;
        let numbers = waiting.range((id.0, 0)..=(id.0, u64::MAX))?.map(|row| Ok(row?.0.value().1));
        let numbers: Vec<u64> = numbers.collect::<Result<_, StoreError>>()?;
        numbers.into_iter().filter_map(|n| self.row(tables::ALERTS, n).transpose()).collect()
    }

    /// How far a threshold is, in words: `2 of 5`. None when it is gone.
    pub fn threshold_progress(&self, id: ThresholdId, now: Time) -> Result<Option<String>, StoreError> {
        let Some(threshold) = self.threshold(id)? else { return Ok(None) };
        let waiting: Vec<Waiting> = self.waiting_for(id)?.iter().map(Calm::waits).collect();
        Ok(Some(thresholds::words(&threshold, thresholds::progress(&threshold, &waiting, now))))
    }

    /// What matchers catch now, and caught in the last seven days. The matchers are refused as they would be when saved.
    pub fn preview(&self, matchers: &[Matcher], now: Time) -> Result<Result<Preview, Vec<Mistake>>, StoreError> {
        let compiled = match mutes::matchers(matchers) {
            Ok(compiled) => compiled,
            Err(wrong) => return Ok(Err(wrong)),
        };
        let mut preview = Preview { week_is_exact: true, ..Preview::default() };
        let mut open_in: BTreeMap<IncidentId, u64> = BTreeMap::new();
        for row in self.open_alerts(None)? {
            let alert: Alert = codec::decode(row?.1.value())?;
            if !compiled.fit(&Facts::of(&alert)) {
                continue;
            }
            preview.open_alerts += 1;
            if let Some(incident) = alert.incident {
                *open_in.entry(incident).or_insert(0) += 1;
            }
            if preview.alerts.len() < NAMED {
                preview.alerts.push(alert);
            }
        }
        preview.open_incidents = u64::try_from(open_in.len()).unwrap_or(u64::MAX);
        for (id, count) in open_in.iter().rev() {
            let Some(incident) = self.incident(*id)? else { continue };
            // Others may be muted already by something else.
            if *count >= incident.firing_count {
                preview.muted_incidents += 1;
            }
            if preview.incidents.len() < NAMED {
                preview.incidents.push((incident, *count));
            }
        }
        let mut week_in = BTreeSet::new();
        for (looked, row) in self.newest(tables::ALERTS, None)?.enumerate() {
            if looked == LOOK {
                preview.week_is_exact = false;
                break;
            }
            let alert: Alert = codec::decode(row?.1.value())?;
            if alert.last_seen >= now.minus(WEEK) && compiled.fit(&Facts::of(&alert)) {
                preview.week_alerts += 1;
                week_in.extend(alert.incident);
            }
        }
        preview.week_incidents = u64::try_from(week_in.len()).unwrap_or(u64::MAX);
        Ok(Ok(preview))
    }

    /// Mutes that can probably go, and why: they have matched nothing for 14 days, or one of their matchers never fitted
    /// any of the newest ten thousand alerts.
    pub fn stale_mutes(&self, now: Time) -> Result<Vec<(Mute, Stale)>, StoreError> {
        let mut stale = Vec::new();
        let mut unmatched = Vec::new();
        for mute in self.mutes()?.into_iter().filter(|m| m.ended_at.is_none()) {
            let since = mute.last_matched_at.unwrap_or(mute.created_at);
            if mute.muted_now == 0 && now.since(since) >= STALE {
                stale.push((mute, Stale::NothingSince(since)));
            } else if mute.last_matched_at.is_none()
                && let Ok(compiled) = mutes::matchers(&mute.matchers)
            {
                let fitted = vec![false; mute.matchers.len()];
                unmatched.push((mute, compiled, fitted));
            }
        }
        let mut looked = 0;
        if !unmatched.is_empty() {
            for row in self.newest(tables::ALERTS, None)?.take(LOOK) {
                let alert: Alert = codec::decode(row?.1.value())?;
                looked += 1;
                let facts = Facts::of(&alert);
                for (_, compiled, fitted) in &mut unmatched {
                    for (fits, seen) in compiled.each(&facts).zip(fitted.iter_mut()) {
                        *seen |= fits;
                    }
                }
            }
        }
        // Before the first alert nothing is known.
        for (mute, _, fitted) in unmatched.into_iter().filter(|_| looked > 0) {
            let never = mute.matchers.iter().zip(&fitted).find(|(_, fitted)| !**fitted).map(|(m, _)| m.clone());
            if let Some(matcher) = never {
                stale.push((mute, Stale::NeverHad(matcher)));
            }
        }
        Ok(stale)
    }
}
