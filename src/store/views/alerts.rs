//! Alerts.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{Fit, Found, Listing, View, all_words, among, page};
use crate::{
    model::*,
    store::{StoreError, codec, tables},
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
    fn fits(&self, row: &[u8]) -> Result<bool, StoreError> {
        let a: Facts<'_> = codec::peek(row)?;
        let fits = (self.statuses.is_empty() || self.statuses.contains(&a.status))
            && (self.severities.is_empty() || self.severities.contains(&a.severity))
            && among(&self.sources, Some(a.platform))
            && among(&self.services, a.service)
            && among(&self.hosts, a.host)
            && self.incident.is_none_or(|i| a.incident == Some(i))
            && self.since.is_none_or(|t| a.last_seen >= t)
            && self.until.is_none_or(|t| a.last_seen < t)
            && (self.words.is_empty()
                || all_words(
                    &self.words,
                    &[a.title, a.service.unwrap_or(""), a.host.unwrap_or(""), a.description.unwrap_or("")],
                ));
        if !fits || self.labels.is_empty() {
            return Ok(fits);
        }
        let Labels { labels } = codec::peek(row)?;
        Ok(self.labels.iter().all(|(name, value)| {
            labels.get(name.as_str()).is_some_and(|v| among(std::slice::from_ref(value), Some(v)))
        }))
    }

    /// Only alerts that are open are wanted: they have a table of their own.
    fn wants_open_only(&self) -> bool {
        !self.statuses.is_empty() && !self.statuses.contains(&AlertStatus::Resolved)
    }
}

/// What a filter looks at.
#[derive(Deserialize)]
struct Facts<'a> {
    platform: &'a str,
    title: &'a str,
    #[serde(default)]
    description: Option<&'a str>,
    #[serde(default)]
    service: Option<&'a str>,
    #[serde(default)]
    host: Option<&'a str>,
    severity: Severity,
    status: AlertStatus,
    last_seen: Time,
    #[serde(default)]
    incident: Option<IncidentId>,
}

/// What few filters look at.
#[derive(Deserialize)]
struct Labels<'a> {
    #[serde(default, borrow)]
    labels: BTreeMap<&'a str, &'a str>,
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
        if *filter == AlertFilter::default() {
            return self.everything(tables::ALERTS, before, limit);
        }
        let rows = |before| match filter.incident {
            // An incident's alerts are found through it, however many others there are.
            Some(id) => self.alerts_of(id, before),
            None if filter.wants_open_only() => self.open_alerts(before),
            None => self.newest(tables::ALERTS, before),
        };
        let mut listing = page(rows, before, limit, |row| filter.fits(row).map(Fit::from))?;
        // Nothing but its incident is asked for: that knows how many it has.
        if let Some(id) = filter.incident
            && *filter == (AlertFilter { incident: Some(id), ..AlertFilter::default() })
        {
            listing.total = self.incident(id)?.map_or(0, |i| i.alert_count);
            listing.total_is_exact = true;
        }
        Ok(listing)
    }

    fn alerts_of(&self, id: IncidentId, before: Option<u64>) -> Result<Found, StoreError> {
        let members = self.table(tables::MEMBERS)?.range((id.0, 0)..(id.0, before.unwrap_or(u64::MAX)))?.rev();
        self.picked(tables::ALERTS, members.map(|row| Ok(row?.0.value().1)))
    }

    fn open_alerts(&self, before: Option<u64>) -> Result<Found, StoreError> {
        let live = self.table(tables::LIVE_ALERTS)?.range(..before.unwrap_or(u64::MAX))?.rev();
        let open = live.filter_map(|row| match row {
            Ok((number, state)) => (state.value().1 == i64::MAX).then(|| Ok(number.value())),
            Err(e) => Some(Err(e.into())),
        });
        self.picked(tables::ALERTS, open)
    }

    /// Why the alert is where it is; none without an incident.
    pub fn membership(&self, alert: &Alert) -> Result<Option<Membership>, StoreError> {
        match alert.incident {
            Some(id) => self.row(tables::MEMBERS, (id.0, alert.id.number())),
            None => Ok(None),
        }
    }
}
