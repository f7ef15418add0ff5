//! Alerts.

use super::{Listing, View, all_words, among};
use crate::{
    model::*,
    store::{StoreError, tables},
};

/// Which alerts. Empty lists mean any.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AlertFilter {
    /// Any of these.
    pub statuses: Vec<AlertStatus>,
    /// Any of these.
    pub severities: Vec<Severity>,
    /// Platforms.
    pub sources: Vec<String>,
    /// Compared without case; `*` at the end is a prefix.
    pub services: Vec<String>,
    /// Compared without case; `*` at the end is a prefix.
    pub hosts: Vec<String>,
    /// Of this incident.
    pub incident: Option<IncidentId>,
    /// Last seen at or after.
    pub since: Option<Time>,
    /// Last seen before.
    pub until: Option<Time>,
    /// Words that must all stand in title, service, host or description.
    pub words: Vec<String>,
    /// Label name and value.
    pub labels: Vec<(String, String)>,
}

impl AlertFilter {
    /// Whether an alert is wanted.
    pub fn matches(&self, a: &Alert) -> bool {
        (self.statuses.is_empty() || self.statuses.contains(&a.status))
            && (self.severities.is_empty() || self.severities.contains(&a.severity))
            && among(&self.sources, Some(&a.platform))
            && among(&self.services, a.service.as_deref())
            && among(&self.hosts, a.host.as_deref())
            && self.incident.is_none_or(|i| a.incident == Some(i))
            && self.since.is_none_or(|t| a.last_seen >= t)
            && self.until.is_none_or(|t| a.last_seen < t)
            && self
                .labels
                .iter()
                .all(|(name, value)| a.labels.get(name).is_some_and(|v| among(std::slice::from_ref(value), Some(v))))
            && (self.words.is_empty()
                || all_words(
                    &self.words,
                    &[
                        &a.title,
                        a.service.as_deref().unwrap_or(""),
                        a.host.as_deref().unwrap_or(""),
                        a.description.as_deref().unwrap_or(""),
                    ],
                ))
    }
}

impl View {
    /// One alert.
    pub fn alert(&self, id: AlertId) -> Result<Option<Alert>, StoreError> {
        let found: Option<Alert> = self.row(tables::ALERTS, id.number())?;
        Ok(found.filter(|a| a.id == id))
    }

    /// Newest first, those with a number below `before` only.
    pub fn alerts(
        &self,
        filter: &AlertFilter,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Listing<Alert>, StoreError> {
        if let Some(id) = filter.incident {
            // An incident's alerts are found through it, however many others there are.
            let mut listing = Listing { items: Vec::new(), next: None, total: 0, total_is_exact: true };
            let members = self.table(tables::MEMBERS)?;
            for row in members.range((id.0, 0)..=(id.0, u64::MAX))?.rev() {
                let number = row?.0.value().1;
                let Some(alert) = self.row::<u64, Alert>(tables::ALERTS, number)?.filter(|a| filter.matches(a)) else {
                    continue;
                };
                listing.total += 1;
                if before.is_some_and(|b| number >= b) {
                    continue;
                }
                if listing.items.len() < limit {
                    listing.items.push(alert);
                } else if listing.next.is_none() {
                    listing.next = Some(number + 1);
                }
            }
            return Ok(listing);
        }
        let everything = *filter == AlertFilter::default();
        self.page(tables::ALERTS, before, limit, everything, |a| filter.matches(a))
    }

    /// Why the alert is where it is; none without an incident.
    pub fn membership(&self, alert: &Alert) -> Result<Option<Membership>, StoreError> {
        match alert.incident {
            Some(id) => self.row(tables::MEMBERS, (id.0, alert.id.number())),
            None => Ok(None),
        }
    }
}
