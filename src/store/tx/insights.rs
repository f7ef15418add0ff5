//! The buckets of insights: changed in the transaction of the rows that they are of, each written once.

use redb::{ReadableTable, Table, WriteTransaction};

use super::{Tx, get, put};
use crate::{
    model::*,
    store::{
        CommandError, Store, StoreError, codec,
        counted::Counted,
        insights::{self, Heard, Tally},
        tables::{self, DayKey, FORGOTTEN, Five, STORED, meta},
    },
};

/// What was forgotten is counted for so many days: three years and a little.
const KEPT_DAYS: i64 = 1_100;

/// Its tables, and what this transaction changes in them.
pub struct Tables<'t> {
    tally: Tally,
    days: Counted<'t, DayKey>,
    severities: Table<'t, DayKey, Five>,
    received: Table<'t, DayKey, (i64, i64, i64)>,
    kinds: Table<'t, (i64, u64), Five>,
    names: Counted<'t, u64>,
}

impl<'t> Tables<'t> {
    /// Opens them.
    pub fn open(txn: &'t WriteTransaction) -> Result<Self, StoreError> {
        Ok(Self {
            tally: Tally::default(),
            days: Counted::new(txn.open_table(tables::INSIGHT_DAYS)?),
            severities: txn.open_table(tables::INSIGHT_SEVERITIES)?,
            received: txn.open_table(tables::INSIGHT_RECEIVED)?,
            kinds: txn.open_table(tables::INSIGHT_KINDS)?,
            names: Counted::new(txn.open_table(tables::INSIGHT_NAMES)?),
        })
    }

    /// By how many bytes the counted ones have grown.
    pub fn grown(&self) -> i64 {
        self.days.grown() + self.names.grown()
    }

    fn write(&mut self) -> Result<(), StoreError> {
        let tally = std::mem::take(&mut self.tally);
        for ((of, day, scope), figures) in tally.days {
            if figures.is_empty() {
                continue;
            }
            let key = (of, day, scope.as_str());
            let mut sum: DayFigures = get(&self.days, key)?.unwrap_or_default();
            sum.add(&figures, 1);
            if sum.is_empty() {
                self.days.remove(key)?;
            } else {
                put(&mut self.days, key, &sum)?;
            }
        }
        for ((of, day, scope), n) in tally.severities.into_iter().filter(|(_, n)| *n != [0; 5]) {
            let key = (of, day, scope.as_str());
            let before = self.severities.get(key)?.map_or([0; 5], |v| v.value().into());
            match plus(before, n) {
                [0, 0, 0, 0, 0] => drop(self.severities.remove(key)?),
                [a, b, c, d, e] => drop(self.severities.insert(key, (a, b, c, d, e))?),
            }
        }
        for ((of, day, scope), n) in tally.received.into_iter().filter(|(_, n)| *n != [0; 3]) {
            let key = (of, day, scope.as_str());
            let before = self.received.get(key)?.map_or([0; 3], |v| v.value().into());
            match plus(before, n) {
                [0, 0, 0] => drop(self.received.remove(key)?),
                [a, b, c] => drop(self.received.insert(key, (a, b, c))?),
            }
        }
        for ((week, kind), n) in tally.kinds.into_iter().filter(|(_, n)| *n != [0; 5]) {
            let before = self.kinds.get((week, kind))?.map(|v| v.value().into());
            // Looked at once a week, so that this costs nothing the rest of the time.
            if before.is_none()
                && let Some(name) = tally.names.get(&kind)
                && get::<_, KindName>(&self.names, kind)?.is_none_or(|known| known.week < name.week)
            {
                put(&mut self.names, kind, name)?;
            }
            match plus(before.unwrap_or([0; 5]), n) {
                [0, 0, 0, 0, 0] => {
                    self.kinds.remove((week, kind))?;
                    // What was forgotten last was heard of last.
                    if get::<_, KindName>(&self.names, kind)?.is_some_and(|known| known.week <= week) {
                        self.names.remove(kind)?;
                    }
                }
                [a, b, c, d, e] => drop(self.kinds.insert((week, kind), (a, b, c, d, e))?),
            }
        }
        Ok(())
    }

    /// Empties everything that is of stored rows.
    fn clear(&mut self) -> Result<(), StoreError> {
        let below = (FORGOTTEN, i64::MIN, "");
        let stored: Vec<(i64, String)> = self
            .days
            .range(..below)?
            .map(|row| row.map(|(key, _)| (key.value().1, key.value().2.to_owned())))
            .collect::<Result<_, _>>()?;
        for (day, scope) in &stored {
            self.days.remove((STORED, *day, scope.as_str()))?;
        }
        self.severities.retain_in(..below, |_, _| false)?;
        self.received.retain_in(..below, |_, _| false)?;
        self.kinds.retain(|_, _| false)?;
        Ok(())
    }
}

fn plus<const N: usize>(mut a: [i64; N], b: [i64; N]) -> [i64; N] {
    for (a, b) in a.iter_mut().zip(b) {
        *a += b;
    }
    a
}

impl Store {
    /// Counts what insights show anew from all rows; see `Tx::recount`.
    pub async fn recount_insights(&self) -> Result<(), CommandError> {
        self.command(|tx| Ok(tx.recount()?)).await
    }
}

impl Tx<'_> {
    /// An incident is written.
    pub(super) fn count_incident(&mut self, before: Option<&Incident>, now: &Incident) {
        if before.is_some_and(|b| insights::counts_alike(b, now)) {
            return;
        }
        let tally = &mut self.insights.tally;
        if let Some(before) = before {
            tally.incident(STORED, before, -1);
        }
        tally.incident(STORED, now, 1);
    }

    /// An alert is written; `before` is the row that was there.
    pub(super) fn count_alert(&mut self, alert: &Alert, before: Option<&[u8]>) -> Result<(), StoreError> {
        let tally = &mut self.insights.tally;
        if let Some(before) = before {
            tally.alert(STORED, &Heard::read(&codec::plain(before)?)?, -1);
        }
        tally.alert(STORED, &Heard::of(alert), 1);
        Ok(())
    }

    /// A delivery is written. That happens once.
    pub(super) fn count_delivery(&mut self, row: &DeliveryRow) {
        self.insights.tally.delivery(STORED, row, 1);
    }

    /// An incident's row goes.
    pub(super) fn forget_counted_incident(&mut self, incident: &Incident) {
        self.insights.tally.forget(|tally, of, times| tally.incident(of, incident, times));
    }

    /// An alert's row goes.
    pub(super) fn forget_counted_alert(&mut self, alert: &Alert) {
        let heard = Heard::of(alert);
        self.insights.tally.forget(|tally, of, times| tally.alert(of, &heard, times));
    }

    /// A delivery's row goes.
    pub(super) fn forget_counted_delivery(&mut self, row: &DeliveryRow) {
        self.insights.tally.forget(|tally, of, times| tally.delivery(of, row, times));
    }

    /// Writes what changed.
    pub(super) fn write_insights(&mut self) -> Result<(), StoreError> {
        self.insights.write()
    }

    /// Removes what was counted of forgotten rows very long ago. Returns how many.
    pub(super) fn forget_insights(&mut self, budget: usize) -> Result<usize, StoreError> {
        let until = (FORGOTTEN, insights::day(self.now) - KEPT_DAYS, "");
        let from = (FORGOTTEN, i64::MIN, "");
        let mut old: Vec<(i64, String)> = Vec::new();
        for row in self.insights.received.range(from..until)?.take(budget) {
            let (key, _) = row?;
            let (_, day, scope) = key.value();
            old.push((day, scope.to_owned()));
        }
        for row in self.insights.days.range(from..until)?.take(budget) {
            let (key, _) = row?;
            let (_, day, scope) = key.value();
            old.push((day, scope.to_owned()));
        }
        for (day, scope) in &old {
            let key = (FORGOTTEN, *day, scope.as_str());
            self.insights.days.remove(key)?;
            self.insights.severities.remove(key)?;
            self.insights.received.remove(key)?;
        }
        Ok(old.len())
    }

    /// Counts every stored row anew, for a store that was written by other rules, or whose buckets do not add up. What was
    /// counted of forgotten rows stays.
    pub fn recount(&mut self) -> Result<(), StoreError> {
        self.insights.clear()?;
        let numbers: Vec<u64> =
            self.incidents.iter()?.map(|row| Ok(row?.0.value())).collect::<Result<_, StoreError>>()?;
        let mut tally = Tally::default();
        for number in numbers {
            let Some(mut incident) = get::<_, Incident>(&self.incidents, number)? else { continue };
            // Rows of an earlier version do not have these.
            let answer: Investigation = get(&self.answers, number)?.unwrap_or_default();
            let (first_right, mut kind) = (answer.first_was_right(), incident.kind);
            if kind == 0
                && let Some((first, _)) = self.members.range((number, 0)..=(number, u64::MAX))?.next().transpose()?
                && let Some(alert) = self.alert(first.value().1)?
            {
                kind = insights::kind_of(&alert);
            }
            let told_at =
                incident.told_at.or(self.notices_of(incident.id)?.iter().filter_map(Notice::arrived_at).min());
            if (first_right, told_at, kind) != (incident.first_right, incident.told_at, incident.kind) {
                (incident.first_right, incident.told_at, incident.kind) = (first_right, told_at, kind);
                put(&mut self.incidents, number, &incident)?;
            }
            tally.incident(STORED, &incident, 1);
        }
        for row in self.alerts.iter()? {
            tally.alert(STORED, &Heard::read(&codec::plain(row?.1.value())?)?, 1);
        }
        for row in self.deliveries.iter()? {
            tally.delivery(STORED, &codec::decode(row?.1.value())?, 1);
        }
        self.insights.tally = tally;
        self.meta.insert(meta::INSIGHTS, insights::RULES)?;
        self.world.touched = true;
        Ok(())
    }
}
