//! The end of a transaction: whatever was held back is written, each row once.

use std::collections::BTreeSet;

use redb::ReadableTable;

use super::{Held, Tx, put};
use crate::{
    model::*,
    store::{StoreError, apply, tables::meta, world},
};

/// The list that an incident is in. What was merged has its survivor's end, and goes with it.
#[derive(Clone, Copy, PartialEq)]
enum Listed {
    Open,
    Closed(i64),
    Nowhere,
}

impl Listed {
    fn of(i: &Incident) -> Self {
        match i.status {
            IncidentStatus::Merged => Self::Nowhere,
            IncidentStatus::Resolved => Self::Closed(i.resolved_at.unwrap_or(i.updated_at).millis()),
            IncidentStatus::Investigating | IncidentStatus::Analyzed => Self::Open,
        }
    }
}

impl Tx<'_> {
    /// Writes everything held back. The transaction is ready to commit. Gives the alerts that it wrote or removed.
    pub fn finish(mut self) -> Result<Vec<u64>, StoreError> {
        if let Some((first, blob)) = self.pack.finish() {
            self.raw.put_bytes(first, &blob)?;
        }
        self.write_edges()?;
        for ((platform, outcome), count) in std::mem::take(&mut self.received) {
            self.log(ChangeSubject::Delivery { platform, outcome, count })?;
        }
        self.world.catch_up();
        self.write_mutes()?;
        for (_, held) in std::mem::take(&mut self.held) {
            self.write_incident(held)?;
        }
        for number in std::mem::take(&mut self.profiled) {
            match self.world.engine.kept(IncidentId(number)) {
                Some(profile) => put(&mut self.profiles, number, profile)?,
                None => drop(self.profiles.remove(number)?),
            }
        }
        self.write_insights()?;
        for (platform, counters) in std::mem::take(&mut self.counters) {
            put(&mut self.connector_counters, platform.as_str(), &counters)?;
        }
        for (minute, count) in std::mem::take(&mut self.minutes) {
            let before = self.signals_per_minute.get(minute)?.map_or(0, |n| n.value());
            self.signals_per_minute.insert(minute, before.saturating_add(count))?;
        }
        self.world.touched = true;
        for (kind, grown) in self.grown() {
            let bytes = self.world.numbers.entry(kind).or_default();
            *bytes = bytes.saturating_add_signed(grown);
        }
        for (name, n) in &self.world.numbers {
            self.meta.insert(*name, *n)?;
        }
        Ok(self.alerts_touched)
    }

    /// By how many bytes each kind of rows has grown; in the same groups as `tables::measure`.
    pub(in crate::store) fn grown(&self) -> [(&'static str, i64); 4] {
        let deliveries = self.raw.grown() + self.deliveries.grown() + self.results.grown();
        let alerts = self.alerts.grown() + self.members.grown();
        let incidents = self.incidents.grown()
            + self.timeline.grown()
            + self.thoughts.grown()
            + self.answers.grown()
            + self.jobs.grown()
            + self.outcomes.grown()
            + self.postmortems.grown()
            + self.postmortem_versions.grown()
            + self.transcripts.grown()
            + self.notices.grown();
        let other = self.changes.grown()
            + self.change_log.grown()
            + self.connectors.grown()
            + self.connector_counters.grown()
            + self.accounts.grown()
            + self.sessions.grown()
            + self.tokens.grown()
            + self.audit.grown()
            + self.services.grown()
            + self.edges.grown()
            + self.profiles.grown()
            + self.apart.grown()
            + self.lessons.grown()
            + self.mutes.grown()
            + self.thresholds.grown()
            + self.settings.grown()
            + self.backtests.grown()
            + self.spending.grown()
            + self.runbooks.grown()
            + self.saved_views.grown()
            + self.notices.book_grown()
            + self.insights.grown();
        [
            (meta::DELIVERY_BYTES, deliveries),
            (meta::ALERT_BYTES, alerts),
            (meta::INCIDENT_BYTES, incidents),
            (meta::OTHER_BYTES, other),
        ]
    }

    /// Writes an incident with its indexes and its rows of the change log.
    fn write_incident(&mut self, held: Held) -> Result<(), StoreError> {
        let Held { mut incident, before, mut changed } = held;
        changed.extend(self.judge_muted(&mut incident)?);
        if !incident.is_open() {
            incident.snoozed = None;
        }
        if before.as_ref() == Some(&incident) && changed.is_empty() {
            return Ok(());
        }
        self.count_incident(before.as_ref(), &incident);
        apply::notices::happened(self, before.as_ref(), &incident)?;
        let number = incident.id.0;
        for what in changed {
            incident.version = self.log(ChangeSubject::Incident(incident.id, what))?;
        }
        let (was, is) = (before.as_ref().map(Listed::of), Listed::of(&incident));
        if was != Some(is) {
            match was {
                Some(Listed::Open) => drop(self.open.remove(number)?),
                Some(Listed::Closed(at)) => drop(self.closed.remove((at, number))?),
                Some(Listed::Nowhere) | None => {}
            }
            match is {
                Listed::Open => drop(self.open.insert(number, ())?),
                Listed::Closed(at) => drop(self.closed.insert((at, number), ())?),
                Listed::Nowhere => {}
            }
        }
        let until = |i: &Incident| i.snoozed.as_ref().map(|s| (s.until.millis(), i.id.0));
        let (was, is) = (before.as_ref().and_then(until), until(&incident));
        if was != is {
            if let Some(timer) = was {
                self.snoozes.remove(timer)?;
            }
            if let Some(timer) = is {
                self.snoozes.insert(timer, ())?;
            }
        }
        // Its onset may have changed.
        self.world.opened(&incident);
        if incident.is_open() {
            self.world.open(&incident);
        } else {
            self.world.close(incident.id);
            if before.as_ref().is_some_and(Incident::is_open) {
                self.profiles.remove(number)?;
            }
        }
        let services =
            |i: &Incident| -> BTreeSet<String> { i.affected_services.iter().map(|s| world::key(s)).collect() };
        let (old, new) = (before.as_ref().map(services).unwrap_or_default(), services(&incident));
        for service in new.difference(&old) {
            self.by_service.insert((service.as_str(), number), ())?;
        }
        for service in old.difference(&new) {
            self.by_service.remove((service.as_str(), number))?;
        }
        let ack_before = before.as_ref().and_then(|b| b.acknowledged_at);
        if ack_before != incident.acknowledged_at && !incident.test {
            if let Some(at) = ack_before {
                self.acks.remove((at.millis(), number))?;
            }
            if let Some(at) = incident.acknowledged_at {
                let waited = u64::try_from(at.since(incident.detected_at).as_millis()).unwrap_or(u64::MAX);
                self.acks.insert((at.millis(), number), waited)?;
            }
        }
        put(&mut self.incidents, number, &incident)
    }
}
