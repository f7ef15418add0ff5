//! Rows of mutes and thresholds, and what follows from them: which open alerts are muted, how many of an incident's, and
//! whether it calls for somebody.

use std::collections::{BTreeMap, BTreeSet};

use redb::ReadableTable;
use serde_json::json;

use super::{Tx, put};
use crate::{
    correlation::mutes::{Verdict, quiet_end, verdict},
    model::*,
    store::{StoreError, codec, tables::meta, world::Calm},
};

/// Mutes listed on an incident's row.
const MUTES_ON_ROW: usize = 50;
/// Rows looked at for those that ended long ago.
const LOOK: usize = 2_000;

/// Numbers of rows that this transaction changed in memory, to be written once.
#[derive(Debug, Default)]
pub(super) struct Changed {
    mutes: BTreeSet<u64>,
    thresholds: BTreeSet<u64>,
}

impl Tx<'_> {
    // ---- rows ----

    /// The next number for a mute or a threshold.
    pub fn next_mute(&mut self) -> u64 {
        self.world.next(meta::MUTE)
    }

    /// One mute, ended or not.
    pub fn mute(&self, number: u64) -> Result<Option<Mute>, StoreError> {
        match self.world.calm.mute(number) {
            Some(mute) => Ok(Some(mute.clone())),
            None => super::get(&self.mutes, number),
        }
    }

    /// Writes a mute.
    pub fn put_mute(&mut self, mute: &Mute) -> Result<(), StoreError> {
        self.world.touched = true;
        self.world.calm.put_mute(mute);
        self.mutes_changed = true;
        self.calm_changed.mutes.remove(&mute.id.number);
        put(&mut self.mutes, mute.id.number, mute)
    }

    /// Counts something on a mute that has not ended.
    fn count_mute(&mut self, number: u64, count: impl FnOnce(&mut Mute)) {
        self.world.touched = true;
        if let Some(mute) = self.world.calm.count_mute(number) {
            count(mute);
            self.calm_changed.mutes.insert(number);
        }
    }

    /// One threshold.
    pub fn threshold(&self, id: ThresholdId) -> Option<Threshold> {
        self.world.calm.threshold(id).cloned()
    }

    /// Writes a threshold.
    pub fn put_threshold(&mut self, threshold: &Threshold) -> Result<(), StoreError> {
        self.world.touched = true;
        self.world.calm.put_threshold(threshold);
        self.mutes_changed = true;
        self.calm_changed.thresholds.remove(&threshold.id.0);
        put(&mut self.thresholds, threshold.id.0, threshold)
    }

    /// Counts something on a threshold.
    pub fn count_threshold(&mut self, id: ThresholdId, count: impl FnOnce(&mut Threshold)) {
        self.world.touched = true;
        if let Some(threshold) = self.world.calm.count_threshold(id) {
            count(threshold);
            self.calm_changed.thresholds.insert(id.0);
        }
    }

    /// Removes a threshold that nothing waits for.
    pub fn remove_threshold(&mut self, id: ThresholdId) -> Result<(), StoreError> {
        self.world.touched = true;
        self.world.calm.remove_threshold(id);
        self.calm_changed.thresholds.remove(&id.0);
        self.thresholds.remove(id.0)?;
        Ok(())
    }

    /// An alert waits for its threshold, or something of it changed while it does. Whether it did not wait before.
    pub fn wait(&mut self, id: ThresholdId, alert: &Alert) -> Result<bool, StoreError> {
        let number = alert.id.number();
        self.world.touched = true;
        let new = self.world.calm.wait(id, number, Calm::waits(alert));
        if new {
            self.waiting.insert((id.0, number), ())?;
        }
        Ok(new)
    }

    /// An alert waits no more. Its row is the caller's to write.
    pub fn wait_no_more(&mut self, alert: &mut Alert) -> Result<(), StoreError> {
        alert.threshold_hits.clear();
        let Some(id) = alert.threshold else { return Ok(()) };
        self.world.touched = true;
        if self.world.calm.wait_no_more(id, alert.id.number()) {
            self.waiting.remove((id.0, alert.id.number()))?;
        }
        Ok(())
    }

    // ---- what is muted ----

    /// Brings the table of what is muted, and every count that follows, in line with an alert as it is written.
    pub(super) fn follow_mutes(&mut self, alert: &Alert) -> Result<(), StoreError> {
        let number = alert.id.number();
        if let Some(id) = alert.threshold.filter(|_| alert.is_waiting()) {
            self.wait(id, alert)?;
        }
        let before = self.muted_row(number)?;
        if before.is_empty() && !alert.is_muted() {
            return Ok(());
        }
        let incident = alert.incident.map_or(0, |i| i.0);
        let after: Vec<(u64, u64)> = match alert.is_open() {
            true => alert.muted_by.iter().map(|m| (m.number, incident)).collect(),
            false => Vec::new(),
        };
        if before == after {
            return Ok(());
        }
        let now = self.now;
        for (mute, was_in) in &before {
            if !after.iter().any(|(m, _)| m == mute) {
                self.muted.remove((number, *mute))?;
                self.count_mute(*mute, |m| {
                    m.muted_now = m.muted_now.saturating_sub(1);
                    if m.muted_now == 0 {
                        m.quiet_since = Some(now);
                    }
                });
            } else if *was_in != incident {
                self.muted.insert((number, *mute), incident)?;
            }
        }
        for (mute, _) in &after {
            if !before.iter().any(|(m, _)| m == mute) {
                self.muted.insert((number, *mute), incident)?;
                self.count_mute(*mute, |m| {
                    m.muted_now += 1;
                    m.quiet_since = None;
                    m.last_matched_at = Some(now);
                });
            }
        }
        let (was, is) = (before.first().map(|(_, i)| *i), after.first().map(|(_, i)| *i));
        if was != is {
            self.count_muted(was, -1)?;
            self.count_muted(is, 1)?;
        }
        for id in alert.muted_by.iter().filter(|_| incident != 0 && alert.is_open()) {
            self.first_of_incident(IncidentId(incident), *id)?;
        }
        Ok(())
    }

    fn muted_row(&self, alert: u64) -> Result<Vec<(u64, u64)>, StoreError> {
        let row = self.muted.range((alert, 0)..=(alert, u64::MAX))?;
        row.map(|row| {
            let (key, incident) = row?;
            Ok((key.value().1, incident.value()))
        })
        .collect()
    }

    /// One more or one less of an incident's open alerts is muted; also of those that it was merged into.
    fn count_muted(&mut self, incident: Option<u64>, by: i64) -> Result<(), StoreError> {
        let Some(id) = incident.filter(|i| *i != 0).map(IncidentId) else { return Ok(()) };
        if self.incident(id)?.is_none() {
            return Ok(());
        }
        let home = self.count_all_muted(id, by)?;
        self.changed(home, IncidentChange::Muted);
        Ok(())
    }

    /// So many more open alerts that are muted are under an incident and under all that it was merged into. Returns where
    /// it lives on.
    pub fn count_all_muted(&mut self, id: IncidentId, by: i64) -> Result<IncidentId, StoreError> {
        let mut home = id;
        for part in self.lineage(id)? {
            let incident = self.known_incident(part)?;
            incident.muted_count = incident.muted_count.saturating_add_signed(by);
            home = part;
        }
        Ok(home)
    }

    /// A mute meets an incident: for the first time, this is counted and said.
    fn first_of_incident(&mut self, id: IncidentId, mute: MuteId) -> Result<(), StoreError> {
        let id = self.home(id)?;
        let incident = self.known_incident(id)?;
        if incident.mutes.contains(&mute) || incident.mutes.len() >= MUTES_ON_ROW {
            return Ok(());
        }
        incident.mutes.push(mute);
        self.count_mute(mute.number, |m| m.muted_incidents += 1);
        let Some(m) = self.world.calm.mute(mute.number) else { return Ok(()) };
        let until = m.on_until.map(|t| format!(" until {}", clock(t))).unwrap_or_default();
        let text =
            format!("{} mutes alerts of it{until}: {} ({}).", titled(m.id), m.reason.trim_end_matches('.'), m.author);
        let data = json!({ "mute": mute, "until": m.on_until });
        self.note(id, TimelineKind::Muted, &Actor::System, text, data)
    }

    /// Whether an incident calls for somebody, as it is written. One that has ended keeps what it was: nobody is told of
    /// the end of what nobody was told of.
    pub(super) fn judge_muted(&mut self, incident: &mut Incident) -> Result<Option<IncidentChange>, StoreError> {
        if !incident.is_open() {
            return Ok(None);
        }
        let (open, count) = (incident.firing_count, incident.muted_count);
        let muted = verdict(open, count) == Verdict::Muted;
        if std::mem::replace(&mut incident.muted, muted) == muted {
            return Ok(None);
        }
        if open == 0 {
            return Ok(Some(IncidentChange::Muted));
        }
        let data = json!({ "muted": muted, "open": open, "muted_count": count });
        let (kind, text) = match (muted, open) {
            (true, 1) => (TimelineKind::Muted, "Muted: its open alert is muted, and it calls for nobody.".to_owned()),
            (true, n) => {
                (TimelineKind::Muted, format!("Muted: all {n} open alerts are muted, and it calls for nobody."))
            }
            (false, n) => {
                let loud = n.saturating_sub(count);
                (TimelineKind::Unmuted, format!("No longer muted: {loud} of {n} open alerts call for somebody."))
            }
        };
        self.note(incident.id, kind, &Actor::System, text, data)?;
        Ok(Some(IncidentChange::Muted))
    }

    /// Counts an alert that a mute had never muted.
    pub fn first_alert(&mut self, mute: MuteId) {
        self.count_mute(mute.number, |m| m.muted_alerts += 1);
    }

    /// Open alerts that these mutes mute now, oldest first.
    pub fn muted_alerts(&self, mutes: &BTreeSet<u64>) -> Result<Vec<u64>, StoreError> {
        let mut found = BTreeSet::new();
        for row in self.muted.iter()? {
            let (alert, mute) = row?.0.value();
            if mutes.contains(&mute) {
                found.insert(alert);
            }
        }
        Ok(found.into_iter().collect())
    }

    /// Incidents with open alerts that a mute mutes now, and how many each.
    pub fn muted_incidents(&self, mute: u64) -> Result<Vec<(IncidentId, u64)>, StoreError> {
        let mut under: BTreeMap<IncidentId, u64> = BTreeMap::new();
        for row in self.muted.iter()? {
            let (key, incident) = row?;
            if key.value().1 == mute && incident.value() != 0 {
                *under.entry(IncidentId(incident.value())).or_insert(0) += 1;
            }
        }
        let mut found: BTreeMap<IncidentId, u64> = BTreeMap::new();
        for (id, count) in under {
            *found.entry(self.home(id)?).or_insert(0) += count;
        }
        Ok(found.into_iter().collect())
    }

    /// The numbers of all open alerts.
    pub fn open_alerts(&self) -> Vec<u64> {
        let open = self.world.alerts.values().filter(|a| a.closed_at.is_none());
        let mut numbers: Vec<u64> = open.map(|a| a.number).collect();
        numbers.sort_unstable();
        numbers
    }

    /// An alert's row is removed.
    pub(super) fn forget_muted(&mut self, alert: &Alert) -> Result<(), StoreError> {
        let gone = Alert { status: AlertStatus::Resolved, flapping: None, ..alert.clone() };
        self.follow_mutes(&gone)?;
        self.wait_no_more(&mut alert.clone())
    }

    /// Removes mutes that ended before `horizon`, at most `budget` of them.
    pub fn forget_mutes(&mut self, horizon: Time, budget: usize) -> Result<usize, StoreError> {
        let mut old = Vec::new();
        for row in self.mutes.iter()?.take(LOOK) {
            let (number, bytes) = row?;
            let ended = codec::decode::<Mute>(bytes.value())?.ended_at;
            if old.len() < budget && ended.is_some_and(|at| at < horizon) {
                old.push(number.value());
            }
        }
        for number in &old {
            self.mutes.remove(number)?;
        }
        Ok(old.len())
    }

    /// The clock was set back: what is on ends as soon as it would have, and what waits counts as long. Windows that come
    /// back, and those that have not begun, keep to the clock.
    pub(super) fn set_mutes_back(&mut self, by: std::time::Duration) -> Result<(), StoreError> {
        let all: Vec<Mute> = self.world.calm.mutes().cloned().collect();
        for mut mute in all {
            if mute.on_until.is_some() && mute.recurrence.is_none() {
                mute.starts_at = mute.starts_at.minus(by);
                for at in [&mut mute.ends_at, &mut mute.on_until, &mut mute.quiet_since, &mut mute.warned_of] {
                    *at = at.map(|t| t.minus(by));
                }
            }
            mute.look_at = Some(self.now);
            self.put_mute(&mute)?;
        }
        let waiting: Vec<u64> =
            self.waiting.iter()?.map(|row| Ok(row?.0.value().1)).collect::<Result<_, StoreError>>()?;
        for number in waiting {
            let Some(mut alert) = self.alert(number)? else { continue };
            for hit in &mut alert.threshold_hits {
                *hit = hit.minus(by);
            }
            let timer = alert.timer();
            self.put_alert(&alert, timer)?;
        }
        Ok(())
    }

    /// Writes what was counted.
    pub(super) fn write_mutes(&mut self) -> Result<(), StoreError> {
        let changed = std::mem::take(&mut self.calm_changed);
        for number in changed.mutes {
            if let Some(mute) = self.world.calm.mute(number).cloned() {
                // Counting may have begun its quiet time; what is due besides stays due.
                let look_at = [mute.look_at, quiet_end(&mute)].into_iter().flatten().min();
                self.put_mute(&Mute { look_at, ..mute })?;
            }
        }
        for number in changed.thresholds {
            if let Some(threshold) = self.threshold(ThresholdId(number)) {
                self.put_threshold(&threshold)?;
            }
        }
        Ok(())
    }
}

/// `Silence S-4`.
pub fn titled(id: MuteId) -> String {
    match id.kind {
        MuteKind::Silence => format!("Silence {id}"),
        MuteKind::Maintenance => format!("Maintenance window {id}"),
    }
}

/// `2026-03-03 12:00 UTC`, for sentences in the timeline.
pub fn clock(at: Time) -> String {
    let zoned = at.timestamp().to_zoned(jiff::tz::TimeZone::UTC);
    zoned.strftime("%Y-%m-%d %H:%M UTC").to_string()
}
