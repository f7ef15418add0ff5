//! What counts for insights, and where: pure functions of single rows, so that the buckets are at any time the sum over all
//! rows. Whoever changes a row takes out what it was and puts in what it has become (`tx::insights`).
//!
//! An incident counts on the day on which it was opened, for all and for every service that it touched; merged ones count
//! as groups only. An alert counts on the day on which it was last heard of, with all its repeats: so the lists of the same
//! days and services show as many. Tests count nowhere.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::{
    StoreError, codec,
    tables::{FORGOTTEN, STORED},
    world::key,
};
use crate::model::*;

/// The rules below. Raised when they change: then every store counts anew at its next start.
pub const RULES: u64 = 2;
const DAY_MS: i64 = 24 * 3600 * 1000;
/// Hours of the night: from here, and to before there.
const NIGHT: (usize, usize) = (22, 7);
/// Characters kept of the name of a kind.
const NAME: usize = 120;

/// `STORED` or `FORGOTTEN`, day, service.
pub type Key = (u8, i64, String);

/// The day of a moment, since the epoch.
pub fn day(at: Time) -> i64 {
    at.millis().div_euclid(DAY_MS)
}

/// When a day begins.
pub fn midnight(day: i64) -> Time {
    Time::from_millis(day.saturating_mul(DAY_MS))
}

/// The Monday of a day's week.
pub fn monday(day: i64) -> i64 {
    // The epoch was a Thursday.
    day - weekday(day)
}

/// Days since Monday.
pub fn weekday(day: i64) -> i64 {
    (day + 3).rem_euclid(7)
}

/// The hour of a moment.
pub fn hour(at: Time) -> usize {
    usize::try_from(at.millis().rem_euclid(DAY_MS) / (3600 * 1000)).unwrap_or(0)
}

/// What rows count, or by how much that changed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tally {
    /// For `INSIGHT_DAYS`.
    pub days: BTreeMap<Key, DayFigures>,
    /// For `INSIGHT_SEVERITIES`.
    pub severities: BTreeMap<Key, [i64; 5]>,
    /// For `INSIGHT_RECEIVED`: webhooks, alerts, times.
    pub received: BTreeMap<Key, [i64; 3]>,
    /// For `INSIGHT_KINDS`: alerts, times, flapped, incidents, acted on.
    pub kinds: BTreeMap<(i64, u64), [i64; 5]>,
    /// What these kinds are called.
    pub names: BTreeMap<u64, KindName>,
}

fn add<K: Ord, const N: usize>(to: &mut BTreeMap<K, [i64; N]>, key: K, counts: [i64; N], times: i64) {
    let sums = to.entry(key).or_insert([0; N]);
    for (sum, n) in sums.iter_mut().zip(counts) {
        *sum += n * times;
    }
}

impl Tally {
    /// An incident, so many times.
    pub fn incident(&mut self, of: u8, i: &Incident, times: i64) {
        if i.test {
            return;
        }
        let day = day(i.detected_at);
        let merged = i.status == IncidentStatus::Merged;
        let figures = if merged { DayFigures { groups: 1, ..DayFigures::default() } } else { figures(i) };
        let services: BTreeSet<String> = i.affected_services.iter().map(|s| key(s)).filter(|s| !s.is_empty()).collect();
        for scope in services.into_iter().chain([String::new()]) {
            self.days.entry((of, day, scope.clone())).or_default().add(&figures, times);
            if !merged {
                let mut severities = [0; 5];
                let at = Severity::ALL.iter().position(|s| *s == i.severity);
                at.and_then(|n| severities.get_mut(n)).into_iter().for_each(|n| *n = 1);
                add(&mut self.severities, (of, day, scope), severities, times);
            }
        }
        if of == STORED && !merged && i.kind != 0 {
            let by_hand = i.status == IncidentStatus::Resolved && i.over_at.is_none();
            let acted = i.acknowledged_at.is_some() || i.owner.is_some() || by_hand;
            add(&mut self.kinds, (monday(day), i.kind), [0, 0, 0, 1, i64::from(acted)], times);
        }
    }

    /// An alert, so many times.
    pub fn alert(&mut self, of: u8, a: &Heard<'_>, times: i64) {
        if a.test {
            return;
        }
        let day = day(a.last_seen);
        let repeats = i64::try_from(a.count).unwrap_or(i64::MAX);
        let service = a.service.map(key).filter(|s| !s.is_empty());
        for scope in service.into_iter().chain([String::new()]) {
            add(&mut self.received, (of, day, scope), [0, 1, repeats], times);
        }
        if of == STORED {
            let (kind, name, label) = a.kind();
            let week = monday(day);
            add(&mut self.kinds, (week, kind), [1, repeats, i64::from(a.flaps > 0), 0, 0], times);
            let known = self.names.entry(kind).or_insert_with(|| KindName {
                platform: a.platform.to_owned(),
                name,
                label: label.map(str::to_owned),
                week,
            });
            known.week = known.week.max(week);
        }
    }

    /// A delivery, so many times.
    pub fn delivery(&mut self, of: u8, d: &DeliveryRow, times: i64) {
        if d.outcome == DeliveryOutcome::Accepted && d.signals > d.tests {
            add(&mut self.received, (of, day(d.at), String::new()), [1, 0, 0], times);
        }
    }

    /// A row that counts no longer as stored, but as forgotten.
    pub fn forget(&mut self, counts: impl Fn(&mut Self, u8, i64)) {
        counts(self, STORED, -1);
        counts(self, FORGOTTEN, 1);
    }
}

/// What one incident that is not merged adds.
fn figures(i: &Incident) -> DayFigures {
    let mut figures = DayFigures { groups: 1, told: i64::from(!i.muted), ..DayFigures::default() };
    let hour = hour(i.detected_at);
    if let Some(n) = figures.hours.get_mut(hour) {
        *n = 1;
    }
    let (from, to) = NIGHT;
    figures.night = i64::from(!i.muted && (hour >= from || hour < to));
    if let Some(at) = i.acknowledged_at {
        figures.acknowledged.count(at.since(i.detected_at), 1);
    }
    if let (IncidentStatus::Resolved, Some(resolved)) = (i.status, i.resolved_at) {
        figures.resolved.count(i.over_at.unwrap_or(resolved).since(i.onset_at), 1);
    }
    figures.judged = i64::from(i.first_right.is_some());
    figures.right = i64::from(i.first_right == Some(true));
    figures.notified = i64::from(i.told_at.is_some());
    figures
}

/// Whether two states of an incident count the same: most changes are of other things.
pub fn counts_alike(a: &Incident, b: &Incident) -> bool {
    let of = |i: &Incident| {
        (
            (i.test, i.status == IncidentStatus::Merged, i.status == IncidentStatus::Resolved, i.severity, i.muted),
            (i.detected_at, i.onset_at, i.acknowledged_at, i.over_at, i.resolved_at),
            (i.owner.is_some(), i.first_right, i.told_at.is_some(), i.kind),
        )
    };
    of(a) == of(b) && a.affected_services == b.affected_services
}

/// What counts of an alert, from its row or from itself.
#[derive(Debug, Deserialize)]
pub struct Heard<'a> {
    platform: &'a str,
    title: &'a str,
    #[serde(default)]
    service: Option<&'a str>,
    #[serde(default)]
    host: Option<&'a str>,
    last_seen: Time,
    count: u64,
    #[serde(default)]
    test: bool,
    #[serde(default)]
    flaps: u32,
    #[serde(borrow, default)]
    labels: BTreeMap<&'a str, &'a str>,
}

impl<'a> Heard<'a> {
    /// From an alert.
    pub fn of(a: &'a Alert) -> Self {
        // The others are not asked for.
        let labels = RULE_LABELS.iter().filter_map(|l| Some((*l, a.labels.get(*l)?.as_str())));
        Self {
            platform: &a.platform,
            title: &a.title,
            service: a.service.as_deref(),
            host: a.host.as_deref(),
            last_seen: a.last_seen,
            count: a.count,
            test: a.test,
            flaps: a.flaps,
            labels: labels.collect(),
        }
    }

    /// From a row without its tag.
    pub fn read(row: &'a [u8]) -> Result<Self, StoreError> {
        codec::value(row)
    }

    /// The kind of alert that it is one of: its sender's rule, wherever that fires. Its number, its name, and the label that
    /// has it.
    fn kind(&self) -> (u64, String, Option<&'static str>) {
        // A tag such as `monitor` without a value is no name.
        let named = |value: &&str| !matches!(*value, "" | "true" | "false");
        let found = |l: &&'static str| self.labels.get(*l).map(|v| v.trim()).filter(named).map(|v| (*l, v));
        let label = RULE_LABELS.iter().find_map(found);
        let name: String = match label {
            Some((_, rule)) => rule.chars().take(NAME).collect(),
            None => {
                let mut title = self.title.to_owned();
                for name in [self.service, self.host].into_iter().flatten().filter(|n| !n.is_empty()) {
                    title = title.replace(name, " ");
                }
                without_values(&title).chars().take(NAME).collect()
            }
        };
        // FNV-1a: the same on every machine.
        let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        let bytes = self.platform.bytes().chain([0]).chain(name.bytes());
        let number = bytes.fold(0xcbf2_9ce4_8422_2325, |h, b| step(h, b.to_ascii_lowercase()));
        // 0 is that of no kind.
        (number.max(1), name, label.map(|(label, _)| label))
    }
}

/// The kind of an alert, as a number.
pub fn kind_of(alert: &Alert) -> u64 {
    Heard::of(alert).kind().0
}
