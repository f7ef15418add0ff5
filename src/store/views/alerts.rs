//! Alerts.

use std::collections::BTreeMap;

use serde::de::IgnoredAny;

use super::{
    Fit, Found, Listing, View, Words,
    family::Homes,
    newest::{Brief, NEWEST},
    page,
};
use crate::{
    model::*,
    query::{AlertFilter, AlertIs, AlertSeen, Wants},
    store::{
        StoreError, codec,
        fields::{fields, optional, text, value},
        tables,
    },
};

/// Whether the words of a filter stand in a row.
pub(super) fn words_in_row(filter: &AlertFilter, row: &[u8]) -> Result<bool, StoreError> {
    let [title, description, service, host] = fields(row, ["title", "description", "service", "host"])?;
    Ok(filter.words_fit(&[text(title)?, text(service)?, text(host)?, text(description)?]))
}

/// What a filter looks at in a row, but for what stands in other tables.
pub(super) fn seen<'r>(row: &'r [u8], wants: Wants) -> Result<AlertSeen<'r>, StoreError> {
    let [platform, service, host, severity, status, first_seen, last_seen] =
        fields(row, ["platform", "service", "host", "severity", "status", "first_seen", "last_seen"])?;
    let mut seen = AlertSeen {
        status: value(status)?,
        severity: value(severity)?,
        title: "",
        source: value(platform)?,
        service: optional(service)?,
        host: optional(host)?,
        first_seen: value(first_seen)?,
        last_seen: value(last_seen)?,
        ended_at: None,
        incident: None,
        count: 0,
        labels: BTreeMap::new(),
        marks: Vec::new(),
        strategy: None,
    };
    if wants.names {
        let [title] = fields(row, ["title"])?;
        seen.title = text(title)?;
    }
    if wants.labels {
        let [labels] = fields(row, ["labels"])?;
        seen.labels = optional(labels)?.unwrap_or_default();
    }
    if wants.rest {
        let [ended_at, count, test, repaired, muted_by, flapping, hits] =
            fields(row, ["ended_at", "count", "test", "repaired", "muted_by", "flapping", "threshold_hits"])?;
        let is = |mark| Ok::<bool, StoreError>(optional::<bool>(mark)?.unwrap_or(false));
        let some = |list| Ok::<bool, StoreError>(!optional::<Vec<IgnoredAny>>(list)?.unwrap_or_default().is_empty());
        let flaps = optional::<Flapping>(flapping)?.is_some();
        let open = seen.status != AlertStatus::Resolved || flaps;
        let marks = [
            (AlertIs::Open, open),
            (AlertIs::Flapping, flaps),
            (AlertIs::Silenced, open && some(muted_by)?),
            (AlertIs::Waiting, some(hits)?),
            (AlertIs::Test, is(test)?),
            (AlertIs::Mended, is(repaired)?),
        ];
        seen.marks = marks.into_iter().filter(|(_, has)| *has).map(|(mark, _)| mark).collect();
        seen.ended_at = optional(ended_at)?;
        seen.count = value(count)?;
    }
    Ok(seen)
}

/// A clock may be set back by less than this without hiding alerts from a list.
const CLOCK_SET_BACK: std::time::Duration = std::time::Duration::from_secs(24 * 3600);

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
            None if filter.open_only() => self.open_alerts(before),
            None => self.newest(tables::ALERTS, before),
        };
        let words = filter.wants().words;
        page(rows, before, limit, |row| match self.alert_fits(filter, row)? {
            Fit::Yes if words => Ok(words_in_row(filter, row)?.into()),
            fit => Ok(fit),
        })
    }

    /// Whether all that a filter asks fits a row, but for its words and its incident.
    pub(super) fn alert_fits(&self, filter: &AlertFilter, row: &[u8]) -> Result<Fit, StoreError> {
        let wants = filter.wants();
        let mut seen = seen(row, wants)?;
        // Numbers grow with the time of receipt, but for a clock that was set back.
        if filter.began_since().is_some_and(|since| seen.first_seen < since.minus(CLOCK_SET_BACK)) {
            return Ok(Fit::NoneOlder);
        }
        self.fill(&mut seen, row, wants)?;
        Ok(filter.fits(&seen).into())
    }

    /// What a filter wants of other tables.
    pub(super) fn fill(&self, seen: &mut AlertSeen<'_>, row: &[u8], wants: Wants) -> Result<(), StoreError> {
        if !(wants.home || wants.strategies) {
            return Ok(());
        }
        let [id, incident] = fields(row, ["id", "incident"])?;
        let Some(under) = optional::<IncidentId>(incident)? else { return Ok(()) };
        if wants.home {
            seen.incident = Some(self.home(under)?);
        }
        if wants.strategies {
            let number = value::<AlertId>(id)?.number();
            if let Some(row) = self.table(tables::MEMBERS)?.get((under.0, number))? {
                let row = codec::plain(row.value())?;
                let [strategy] = fields(&row, ["strategy"])?;
                seen.strategy = Some(value(strategy)?);
            }
        }
        Ok(())
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

/// How many alerts there are of each value of the facets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AlertCounts {
    /// As `severity:high`, `status:firing`, `source:grafana`, `incident:any`.
    pub by: BTreeMap<String, u64>,
    /// The newest alerts that were looked at, where there are older ones.
    pub looked_through: Option<u64>,
}

impl AlertCounts {
    fn add(&mut self, filter: &AlertFilter, seen: &AlertSeen<'_>, in_incident: bool) {
        let mut misses: Vec<&str> = filter.misses(seen).collect();
        misses.dedup();
        let values = [
            ("severity", seen.severity.as_str()),
            ("status", seen.status.as_str()),
            ("source", seen.source),
            ("incident", if in_incident { "any" } else { "none" }),
        ];
        for (field, value) in values {
            // What is chosen of a field says nothing about what else there is to choose of it.
            if misses.iter().all(|miss| *miss == field) {
                *self.by.entry(format!("{field}:{value}")).or_default() += 1;
            }
        }
    }
}

impl View {
    /// How many alerts there are of each severity, status and source, and with an incident and without, among those that
    /// fit what the filter asks of the others, all of the newest only. `words`: the numbers that its words were found in,
    /// if it has some.
    pub fn alert_counts(&self, filter: &AlertFilter, words: Option<Words>) -> Result<AlertCounts, StoreError> {
        let mut counts = AlertCounts::default();
        if filter.incident.is_none() && Brief::answers(filter.wants()) {
            let (held, follows, mut homes) = (self.newest_alerts()?, filter.wants().home, Homes::new(self));
            for brief in held.alerts.iter() {
                let mut seen = brief.seen();
                seen.incident = brief.incident.filter(|_| follows).map(|id| homes.of(id)).transpose()?;
                counts.add(filter, &seen, brief.incident.is_some());
            }
            counts.looked_through = held.older.then_some(held.alerts.len() as u64);
            return Ok(counts);
        }
        let rows = match (filter.incident, words) {
            (Some(id), _) => self.alerts_of(id, None)?,
            (None, Some(words)) => self.said_alerts(filter, &words, None)?,
            (None, None) => self.newest(tables::ALERTS, None)?,
        };
        let bare = filter.wordless();
        let (mut wants, says) = (bare.wants(), filter.incident.is_some() && filter.wants().words);
        // Whether it is part of an incident is counted; of which one is seldom asked.
        let follows = wants.home;
        wants.home = false;
        for (read, row) in rows.enumerate() {
            let (_, bytes) = row?;
            if read == NEWEST {
                counts.looked_through = u64::try_from(read).ok();
                break;
            }
            let row = codec::plain(bytes.value())?;
            if says && !words_in_row(filter, &row)? {
                continue;
            }
            let mut seen = seen(&row, wants)?;
            self.fill(&mut seen, &row, Wants { home: follows, ..wants })?;
            let [incident] = fields(&row, ["incident"])?;
            counts.add(&bare, &seen, optional::<IncidentId>(incident)?.is_some());
        }
        Ok(counts)
    }
}
