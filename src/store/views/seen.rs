//! The newest alerts as lists, charts and groups look at them: a few fields of each row, in one walk.

use std::collections::HashMap;

use super::{AlertFilter, Fit, View, Words, alerts::words_in_row};
use crate::{
    model::*,
    query::AlertsBy,
    store::{
        StoreError, codec,
        fields::{fields, optional, value},
        tables,
    },
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
        let says = filter.wants().words && (words.is_none() || filter.incident.is_some());
        let rows = match (filter.incident, words) {
            (Some(id), _) => self.alerts_of(id, None)?,
            (None, Some(words)) => self.said_alerts(filter, &words, None)?,
            (None, None) if filter.open_only() => self.open_alerts(None)?,
            (None, None) => self.newest(tables::ALERTS, None)?,
        };
        let bare = filter.wordless();
        let mut homes: HashMap<IncidentId, IncidentId> = HashMap::new();
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
            let [severity, seen, status, title, service, host, incident] =
                fields(&row, ["severity", "last_seen", "status", "title", "service", "host", "incident"])?;
            let key = match by {
                None => None,
                Some(AlertsBy::Service) => optional::<String>(service)?,
                Some(AlertsBy::Name) => optional::<String>(title)?,
                Some(AlertsBy::Host) => optional::<String>(host)?,
                Some(AlertsBy::Incident) => match optional::<IncidentId>(incident)? {
                    Some(id) => Some(match homes.get(&id) {
                        Some(home) => *home,
                        None => *homes.entry(id).or_insert(self.home(id)?),
                    })
                    .map(|id| id.to_string()),
                    None => None,
                },
            };
            let (seen, severity, status) = (value(seen)?, value(severity)?, value(status)?);
            looked.alerts.push(LookedAlert { number, seen, severity, status, key: key.filter(|k| !k.is_empty()) });
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
