//! The figures of the watch panel.

use std::sync::{Mutex, PoisonError};

use super::View;
use crate::{
    model::*,
    store::{
        StoreError, codec,
        fields::{fields, optional, value},
        tables::{self, meta},
    },
};

const DAY: std::time::Duration = std::time::Duration::from_secs(24 * 3600);
/// With so many open incidents a tenth more or less makes no difference to what a message says of the others.
const CROWD: u64 = 1_000;
/// Six hours.
const MINUTES_SHOWN: usize = 360;

/// An incident as a fire on the ridge.
#[derive(Clone, Debug, PartialEq)]
pub struct Opened {
    /// When.
    pub at: Time,
    /// Which.
    pub id: IncidentId,
    /// How bad.
    pub severity: Severity,
}

/// The figures of the watch panel. Tests are left out.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Overview {
    /// Open incidents.
    pub open: u64,
    /// Of them those that are muted or snoozed: they call for nobody, and are left out of the next three.
    pub muted: u64,
    /// Open and critical.
    pub critical: u64,
    /// Open without owner.
    pub unowned: u64,
    /// The longest-waiting of those, since when.
    pub oldest_unowned: Option<Time>,
    /// Firing signals received in the last 24 h, repeats included.
    pub alerts_24h: u64,
    /// Incidents opened in the last 24 h.
    pub incidents_24h: u64,
    /// Median of detected to acknowledged over the last 7 days, in milliseconds.
    pub ack_median_ms: Option<u64>,
    /// Firing signals per minute over the last 6 h, oldest first: 360 values.
    pub volume: Vec<u32>,
    /// Incidents opened in the last 6 h, oldest first.
    pub opened: Vec<Opened>,
}

/// What the figures are made from.
struct Brief {
    severity: Severity,
    owned: bool,
    detected_at: Time,
    test: bool,
    muted: bool,
}

impl Brief {
    fn of(row: &[u8]) -> Result<Self, StoreError> {
        let [severity, owner, detected_at, test, muted, snoozed] =
            fields(row, ["severity", "owner", "detected_at", "test", "muted", "snoozed"])?;
        Ok(Self {
            severity: value(severity)?,
            owned: optional::<&str>(owner)?.is_some(),
            detected_at: value(detected_at)?,
            test: optional(test)?.unwrap_or(false),
            muted: optional(muted)?.unwrap_or(false) || optional::<Snooze>(snoozed)?.is_some(),
        })
    }
}

/// The figures that were worked out last: every page shows them, and most pages come while nothing has changed.
#[derive(Debug, Default)]
pub struct Last(Mutex<Option<(Of, Overview)>>);

/// What figures are of: the last change and the last delivery in the snapshot, and the second.
type Of = (u64, u64, i64);

impl View {
    /// The figures of the watch panel at `now`.
    pub fn overview(&self, now: Time) -> Result<Overview, StoreError> {
        let of = (self.number(meta::CHANGE)?, self.number(meta::POSITION)?, now.millis().div_euclid(1000));
        let lock = || self.remembered.overviews.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, known)) = lock().as_ref().filter(|(known, _)| *known == of) {
            return Ok(known.clone());
        }
        let overview = self.work_out(now)?;
        *lock() = Some((of, overview.clone()));
        Ok(overview)
    }

    /// Open incidents, and those of them that are critical; about so many where there is a crowd of them, so that a
    /// storm's messages do not each count it anew.
    pub fn open_about(&self, now: Time) -> Result<(u64, u64), StoreError> {
        let change = self.number(meta::CHANGE)?;
        let near = |(of, known): &&(Of, Overview)| known.open >= CROWD && change.abs_diff(of.0) <= known.open / 10;
        let known = self.remembered.overviews.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, known)) = known.as_ref().filter(near) {
            return Ok((known.open, known.critical));
        }
        drop(known);
        self.overview(now).map(|o| (o.open, o.critical))
    }

    fn work_out(&self, now: Time) -> Result<Overview, StoreError> {
        let mut o = Overview { volume: vec![0; MINUTES_SHOWN], ..Overview::default() };
        for row in self.open_rows(None)? {
            let (_, bytes) = row?;
            let incident = Brief::of(&codec::plain(bytes.value())?)?;
            if incident.test {
                continue;
            }
            o.open += 1;
            if incident.muted {
                o.muted += 1;
                continue;
            }
            if incident.severity == Severity::Critical {
                o.critical += 1;
            }
            if !incident.owned {
                o.unowned += 1;
                o.oldest_unowned = Some(o.oldest_unowned.map_or(incident.detected_at, |t| t.min(incident.detected_at)));
            }
        }
        self.volume(now, &mut o)?;
        self.opened(now, &mut o)?;
        let week_ago = now.minus(DAY * 7).millis();
        let mut waits: Vec<u64> = Vec::new();
        for row in self.table(tables::ACKS)?.range((week_ago, 0)..)? {
            waits.push(row?.1.value());
        }
        waits.sort_unstable();
        o.ack_median_ms = waits.get(waits.len() / 2).copied();
        Ok(o)
    }

    fn volume(&self, now: Time, o: &mut Overview) -> Result<(), StoreError> {
        let this_minute = now.millis().div_euclid(60_000);
        let day = this_minute - 24 * 60;
        for row in self.table(tables::MINUTES)?.range(day + 1..=this_minute)? {
            let (minute, count) = row?;
            o.alerts_24h += u64::from(count.value());
            let ago = usize::try_from(this_minute - minute.value()).unwrap_or(usize::MAX);
            if let Some(slot) = MINUTES_SHOWN.checked_sub(ago + 1).and_then(|n| o.volume.get_mut(n)) {
                *slot = count.value();
            }
        }
        Ok(())
    }

    /// Incident numbers grow with time, so the walk ends with the first one that is too old.
    fn opened(&self, now: Time, o: &mut Overview) -> Result<(), StoreError> {
        let (day, shown) = (now.minus(DAY), now.minus(DAY / 4));
        for row in self.newest(tables::INCIDENTS, None)? {
            let (number, bytes) = row?;
            let incident = Brief::of(&codec::plain(bytes.value())?)?;
            if incident.detected_at < day {
                break;
            }
            if incident.test {
                continue;
            }
            o.incidents_24h += 1;
            if incident.detected_at >= shown {
                o.opened.push(Opened { at: incident.detected_at, id: IncidentId(number), severity: incident.severity });
            }
        }
        o.opened.reverse();
        Ok(())
    }
}
