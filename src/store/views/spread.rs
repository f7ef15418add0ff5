//! The alerts of an incident as a picture of them needs them: when, where and how bad, and nothing else of their rows.

use super::View;
use crate::{
    model::*,
    store::{
        StoreError, codec,
        fields::{fields, optional, value},
        tables,
    },
};

/// One alert.
#[derive(Clone, Debug, PartialEq)]
pub struct Dot {
    /// Its number; later alerts have higher ones.
    pub number: u64,
    /// One line.
    pub title: String,
    /// The service concerned.
    pub service: Option<String>,
    /// The machine concerned.
    pub host: Option<String>,
    /// How bad.
    pub severity: Severity,
    /// Its onset.
    pub at: Time,
}

impl View {
    /// The alerts of an incident and of what was merged into it in order of onset; of more than `limit`, those received
    /// first. Only a few fields of each row are read: an incident may have ten thousand.
    pub fn dots(&self, id: IncidentId, limit: usize) -> Result<Vec<Dot>, StoreError> {
        let members = self.table(tables::MEMBERS)?;
        let alerts = self.table(tables::ALERTS)?;
        let mut numbers = Vec::new();
        for part in self.family(id)? {
            for row in members.range((part.0, 0)..=(part.0, u64::MAX))?.take(limit) {
                numbers.push(row?.0.value().1);
            }
        }
        numbers.sort_unstable();
        numbers.truncate(limit);
        let mut dots = Vec::with_capacity(numbers.len());
        for number in numbers {
            let Some(row) = alerts.get(number)? else { continue };
            let row = codec::plain(row.value())?;
            let [title, service, host, severity, at] =
                fields(&row, ["title", "service", "host", "severity", "onset_at"])?;
            dots.push(Dot {
                number,
                title: value(title)?,
                service: optional(service)?,
                host: optional(host)?,
                severity: value(severity)?,
                at: value(at)?,
            });
        }
        dots.sort_by_key(|d| (d.at, d.number));
        Ok(dots)
    }
}
