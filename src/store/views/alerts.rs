//! Alerts.

use std::collections::BTreeMap;

use super::{Fit, Found, Listing, View, all_words, among, page};
use crate::{
    model::*,
    store::{
        StoreError,
        fields::{fields, optional, text, value},
        tables,
    },
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
    pub(super) fn fits(&self, row: &[u8]) -> Result<bool, StoreError> {
        let [platform, service, host, severity, status, last_seen] =
            fields(row, ["platform", "service", "host", "severity", "status", "last_seen"])?;
        let last_seen: Time = value(last_seen)?;
        Ok((self.statuses.is_empty() || self.statuses.contains(&value(status)?))
            && (self.severities.is_empty() || self.severities.contains(&value(severity)?))
            && self.since.is_none_or(|t| last_seen >= t)
            && self.until.is_none_or(|t| last_seen < t)
            && (self.sources.is_empty() || among(&self.sources, Some(value(platform)?)))
            && (self.services.is_empty() || among(&self.services, value(service)?))
            && (self.hosts.is_empty() || among(&self.hosts, value(host)?))
            && self.words_fit(row)?
            && self.labels_fit(row)?)
    }

    pub(super) fn words_fit(&self, row: &[u8]) -> Result<bool, StoreError> {
        if self.words.is_empty() {
            return Ok(true);
        }
        let [title, description, service, host] = fields(row, ["title", "description", "service", "host"])?;
        Ok(all_words(&self.words, &[text(title)?, text(service)?, text(host)?, text(description)?]))
    }

    fn labels_fit(&self, row: &[u8]) -> Result<bool, StoreError> {
        if self.labels.is_empty() {
            return Ok(true);
        }
        let [labels] = fields(row, ["labels"])?;
        let labels: BTreeMap<&str, &str> = optional(labels)?.unwrap_or_default();
        let fits = |name: &str, wanted: &String| {
            labels.get(name).is_some_and(|v| among(std::slice::from_ref(wanted), Some(v)))
        };
        Ok(self.labels.iter().all(|(name, wanted)| fits(name, wanted)))
    }

    /// Only alerts that are open are wanted: they have a table of their own.
    pub(super) fn wants_open_only(&self) -> bool {
        !self.statuses.is_empty() && !self.statuses.contains(&AlertStatus::Resolved)
    }
}

impl View {
    /// One alert.
    pub fn alert(&self, id: AlertId) -> Result<Option<Alert>, StoreError> {
        let mut found: Option<Alert> = self.row(tables::ALERTS, id.number())?.filter(|a: &Alert| a.id == id);
        self.alerts_at_home(found.as_mut_slice())?;
        Ok(found)
    }

    /// Newest first, those with a number below `before` only.
    pub fn alerts(
        &self,
        filter: &AlertFilter,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Listing<Alert>, StoreError> {
        let mut listing = self.alert_rows(filter, before, limit)?;
        self.alerts_at_home(&mut listing.items)?;
        Ok(listing)
    }

    fn alert_rows(
        &self,
        filter: &AlertFilter,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Listing<Alert>, StoreError> {
        if *filter == AlertFilter::default() {
            return self.everything(tables::ALERTS, before, limit);
        }
        if let Some(id) = filter.incident
            && *filter == (AlertFilter { incident: Some(id), ..AlertFilter::default() })
        {
            // Nothing but its incident is asked for, which knows how many it has: one row more tells of a next page.
            let rows = |before| Ok(Box::new(self.alerts_of(id, before)?.take(limit.saturating_add(1))) as Found);
            let listing = page(rows, before, limit, |_| Ok(Fit::Yes))?;
            let total = self.incident(id)?.map_or(0, |i| i.alert_count);
            return Ok(Listing { total, total_is_exact: true, ..listing });
        }
        let rows = |before| match filter.incident {
            // An incident's alerts are found through it, however many others there are.
            Some(id) => self.alerts_of(id, before),
            None if filter.wants_open_only() => self.open_alerts(before),
            None => self.newest(tables::ALERTS, before),
        };
        page(rows, before, limit, |row| filter.fits(row).map(Fit::from))
    }

    pub(super) fn open_alerts(&self, before: Option<u64>) -> Result<Found, StoreError> {
        let live = self.table(tables::LIVE_ALERTS)?.range(..before.unwrap_or(u64::MAX))?.rev();
        let open = live.filter_map(|row| match row {
            Ok((number, state)) => (state.value().1 == i64::MAX).then(|| Ok(number.value())),
            Err(e) => Some(Err(e.into())),
        });
        self.picked(tables::ALERTS, open)
    }
}
