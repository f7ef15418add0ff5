//! The newest alerts as lists, charts and groups look at them: a few fields of each row, in one walk.

use std::sync::Arc;

use super::{
    AlertFilter, Fit, View, Words,
    alerts::words_in_row,
    family::Homes,
    newest::{Brief, NEWEST},
};
use crate::{
    model::*,
    query::AlertsBy,
    store::{StoreError, codec, tables},
};

/// What is looked at of an alert.
#[derive(Clone, Debug, PartialEq)]
pub struct LookedAlert {
    /// Its number.
    pub number: u64,
    /// Last received.
    pub seen: Time,
    /// How bad.
    pub severity: Severity,
    /// Where it stands.
    pub status: AlertStatus,
    /// The value of what alerts are put together by; none where it has none, or nothing is asked for.
    pub key: Option<String>,
}

/// Alerts that fit a filter.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Looked {
    /// Those that fit, the highest number first.
    pub alerts: Vec<LookedAlert>,
    /// Rows that were looked at.
    pub rows: u64,
    /// The lowest number that was looked at, where older ones may fit as well.
    pub older: Option<u64>,
}

impl LookedAlert {
    fn of(brief: &Brief, by: Option<AlertsBy>, homes: &mut Homes<'_>) -> Result<Self, StoreError> {
        let text = |text: &Arc<str>| (!text.is_empty()).then(|| text.to_string());
        let key = match by {
            None => None,
            Some(AlertsBy::Service) => brief.service.as_ref().and_then(text),
            Some(AlertsBy::Name) => text(&brief.title),
            Some(AlertsBy::Host) => brief.host.as_ref().and_then(text),
            Some(AlertsBy::Incident) => brief.incident.map(|id| homes.of(id)).transpose()?.map(|id| id.to_string()),
        };
        let Brief { number, last_seen: seen, severity, status, .. } = *brief;
        Ok(Self { number, seen, severity, status, key })
    }
}

impl View {
    /// The alerts that fit, of at most `most` rows, the newest. `words`: the numbers that its words were found in, if it
    /// has some and they were looked for.
    pub fn alerts_looked(
        &self,
        filter: &AlertFilter,
        words: Option<Words>,
        by: Option<AlertsBy>,
        most: usize,
    ) -> Result<Looked, StoreError> {
        let newest = filter.incident.is_none() && !filter.open_only() && most <= NEWEST;
        if newest && Brief::answers(filter.wants()) {
            self.looked_in_memory(filter, by, most)
        } else {
            self.looked_in_rows(filter, words, by, most)
        }
    }

    fn looked_in_memory(&self, filter: &AlertFilter, by: Option<AlertsBy>, most: usize) -> Result<Looked, StoreError> {
        let held = self.newest_alerts()?;
        let (wants, mut homes) = (filter.wants(), Homes::new(self));
        let mut looked = Looked::default();
        let mut alerts = held.alerts.iter().rev().peekable();
        for brief in alerts.by_ref().take(most) {
            looked.rows += 1;
            let mut seen = brief.seen();
            if wants.home {
                seen.incident = brief.incident.map(|id| homes.of(id)).transpose()?;
            }
            if filter.fits(&seen) {
                looked.alerts.push(LookedAlert::of(brief, by, &mut homes)?);
            }
        }
        if held.older || alerts.peek().is_some() {
            let last = held.alerts.len().saturating_sub(most);
            looked.older = held.alerts.get(last).map(|brief| brief.number);
        }
        Ok(looked)
    }

    fn looked_in_rows(
        &self,
        filter: &AlertFilter,
        words: Option<Words>,
        by: Option<AlertsBy>,
        most: usize,
    ) -> Result<Looked, StoreError> {
        let says = filter.wants().words && (words.is_none() || filter.incident.is_some());
        let rows = match (filter.incident, words) {
            (Some(id), _) => self.alerts_of(id, None)?,
            (None, Some(words)) => self.said_alerts(filter, &words, None)?,
            (None, None) if filter.open_only() => self.open_alerts(None)?,
            (None, None) => self.newest(tables::ALERTS, None)?,
        };
        let (bare, mut homes) = (filter.wordless(), Homes::new(self));
        let mut looked = Looked::default();
        let mut last = 0;
        for row in rows {
            if looked.rows >= u64::try_from(most).unwrap_or(u64::MAX) {
                looked.older = Some(last);
                break;
            }
            let (number, bytes) = row?;
            let row = codec::plain(bytes.value())?;
            (last, looked.rows) = (number, looked.rows + 1);
            match self.alert_fits(&bare, &row)? {
                Fit::Yes => {}
                Fit::No => continue,
                Fit::NoneOlder => break,
            }
            if says && !words_in_row(filter, &row)? {
                continue;
            }
            looked.alerts.push(LookedAlert::of(&Brief::of(number, &row)?, by, &mut homes)?);
        }
        Ok(looked)
    }

    /// The alerts with these numbers, in this order.
    pub fn alerts_numbered(&self, numbers: &[u64]) -> Result<Vec<Alert>, StoreError> {
        let found = numbers.iter().filter_map(|n| self.row(tables::ALERTS, *n).transpose());
        let mut found = found.collect::<Result<Vec<Alert>, StoreError>>()?;
        self.alerts_at_home(&mut found)?;
        Ok(found)
    }
}
