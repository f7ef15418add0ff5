//! Incidents and what hangs on them.

use std::{cmp::Reverse, collections::BTreeMap};

use super::{Fit, Found, Listing, View, page};
use crate::{
    model::*,
    query::{IncidentFilter, IncidentIs, IncidentSeen, Wants},
    store::{
        StoreError, codec,
        fields::{fields, optional, text, value},
        tables,
        world::key,
    },
};
use redb::ReadableTable;
use serde::Deserialize;

/// A clock may be set back by less than this without hiding incidents from a list.
const CLOCK_SET_BACK: std::time::Duration = std::time::Duration::from_secs(24 * 3600);
/// Ended incidents that are gathered by when they ended; of more, all are walked newest first.
const ENDED: usize = 20_000;
/// Members of one incident that are looked at for why they are in it.
const MEMBERS: usize = 1_000;

/// Where the rows that may fit are found.
enum Way<'f> {
    Numbers(Vec<u64>),
    Open,
    /// Open ones, and those that were resolved since.
    OpenAnd(Vec<u64>),
    Service(&'f str),
    Newest,
}

/// What words are looked for in, of an investigation.
#[derive(Deserialize)]
struct Summary<'a> {
    #[serde(default)]
    summary: Option<&'a str>,
}

/// The state of an investigation.
#[derive(Deserialize)]
struct State {
    state: InvestigationState,
}

#[derive(Default, Deserialize)]
struct Merges {
    #[serde(default)]
    absorbed: Vec<IncidentId>,
}

/// Whether the words of a filter stand in a row.
pub(super) fn words_in_row(filter: &IncidentFilter, row: &[u8]) -> Result<bool, StoreError> {
    let [id, title, services, hosts, investigation] =
        fields(row, ["id", "title", "affected_services", "affected_hosts", "investigation"])?;
    let id: IncidentId = value(id)?;
    let names = |names| Ok::<_, StoreError>(optional::<Vec<&str>>(names)?.unwrap_or_default().join(" "));
    let found: Option<Summary<'_>> = optional(investigation)?;
    let summary = found.and_then(|f| f.summary).unwrap_or_default();
    Ok(filter.words_fit(&[text(title)?, &id.to_string(), &names(services)?, &names(hosts)?, summary]))
}

/// What a filter looks at in a row.
fn seen<'r>(row: &'r [u8], wants: Wants) -> Result<IncidentSeen<'r>, StoreError> {
    let [id, status, severity, source, owner, detected_at, resolved_at, updated_at] =
        fields(row, ["id", "status", "severity", "source", "owner", "detected_at", "resolved_at", "updated_at"])?;
    let mut seen = IncidentSeen {
        id: value(id)?,
        status: value(status)?,
        severity: value(severity)?,
        source: value(source)?,
        owner: optional(owner)?,
        detected_at: value(detected_at)?,
        resolved_at: optional(resolved_at)?,
        updated_at: value(updated_at)?,
        services: Vec::new(),
        hosts: Vec::new(),
        labels: BTreeMap::new(),
        alerts: 0,
        state: InvestigationState::Idle,
        marks: Vec::new(),
        strategies: Vec::new(),
    };
    if wants.names {
        let [services, hosts] = fields(row, ["affected_services", "affected_hosts"])?;
        seen.services = optional(services)?.unwrap_or_default();
        seen.hosts = optional(hosts)?.unwrap_or_default();
    }
    if wants.labels {
        let [labels] = fields(row, ["labels"])?;
        seen.labels = optional(labels)?.unwrap_or_default();
    }
    if wants.rest {
        let [alerts, acknowledged, muted, snoozed, flapping, test, manual, merging, investigation, told, postmortem] =
            fields(
                row,
                [
                    "alert_count",
                    "acknowledged_at",
                    "muted",
                    "snoozed",
                    "flapping",
                    "test",
                    "manual",
                    "merging",
                    "investigation",
                    "told_at",
                    "postmortem",
                ],
            )?;
        let is = |mark| Ok::<bool, StoreError>(optional::<bool>(mark)?.unwrap_or(false));
        let open = seen.status.is_open();
        let marks = [
            (IncidentIs::Open, open),
            (IncidentIs::Closed, !open),
            (IncidentIs::Acknowledged, optional::<Time>(acknowledged)?.is_some()),
            (IncidentIs::Silenced, is(muted)?),
            (IncidentIs::Snoozed, optional::<Snooze>(snoozed)?.is_some()),
            (IncidentIs::Flapping, is(flapping)?),
            (IncidentIs::Test, is(test)?),
            (IncidentIs::Manual, is(manual)?),
            (IncidentIs::Merger, !optional::<Merges>(merging)?.unwrap_or_default().absorbed.is_empty()),
            (IncidentIs::Told, optional::<Time>(told)?.is_some()),
            (IncidentIs::Postmortem, optional::<PostmortemState>(postmortem)?.is_some()),
        ];
        seen.marks = marks.into_iter().filter(|(_, has)| *has).map(|(mark, _)| mark).collect();
        seen.alerts = value(alerts)?;
        seen.state = optional::<State>(investigation)?.map_or(InvestigationState::Idle, |i| i.state);
    }
    Ok(seen)
}

impl View {
    /// The rows under an incident, in order.
    pub(super) fn children<T: serde::de::DeserializeOwned>(
        &self,
        definition: tables::ChildRows,
        id: IncidentId,
    ) -> Result<Vec<T>, StoreError> {
        let table = self.table(definition)?;
        table.range((id.0, 0)..=(id.0, u64::MAX))?.map(|row| codec::decode(row?.1.value())).collect()
    }

    /// One incident.
    pub fn incident(&self, id: IncidentId) -> Result<Option<Incident>, StoreError> {
        self.row(tables::INCIDENTS, id.0)?.map(|i| self.at_home(i)).transpose()
    }

    /// Newest id first, those with an id below `before` only.
    pub fn incidents(
        &self,
        filter: &IncidentFilter,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Listing<Incident>, StoreError> {
        let way = self.way(filter)?;
        let words = filter.wants().words;
        let fit = |row: &[u8]| match self.incident_fits(filter, row)? {
            Fit::Yes if words => Ok(words_in_row(filter, row)?.into()),
            fit => Ok(fit),
        };
        let mut listing: Listing<Incident> = page(|before| self.on_the_way(&way, before), before, limit, fit)?;
        listing.items = listing.items.into_iter().map(|i| self.at_home(i)).collect::<Result<_, _>>()?;
        Ok(listing)
    }

    /// Whether there is a table with few rows among which all are that fit.
    pub fn has_short_way(&self, filter: &IncidentFilter) -> Result<bool, StoreError> {
        Ok(!matches!(self.way(filter)?, Way::Newest))
    }

    /// The rows that may fit by one of the tables, newest first.
    pub(super) fn likely_rows(
        &self,
        filter: &IncidentFilter,
        before: Option<u64>,
    ) -> Result<Option<Found>, StoreError> {
        match self.way(filter)? {
            Way::Newest => Ok(None),
            way => self.on_the_way(&way, before).map(Some),
        }
    }

    fn way<'f>(&self, filter: &'f IncidentFilter) -> Result<Way<'f>, StoreError> {
        if let Some(ids) = filter.numbers() {
            let mut numbers: Vec<u64> = ids.iter().map(|id| id.0).collect();
            highest_first(&mut numbers);
            return Ok(Way::Numbers(numbers));
        }
        let resolved_only = filter.statuses == [IncidentStatus::Resolved];
        match filter.closed_since {
            None if filter.open_only() => return Ok(Way::Open),
            Some(t) if filter.open_only() => {
                if let Some(ended) = self.ended_since(t)? {
                    return Ok(Way::OpenAnd(ended));
                }
            }
            Some(t) if resolved_only => {
                if let Some(ended) = self.ended_since(t)? {
                    return Ok(Way::Numbers(ended));
                }
            }
            _ => {}
        }
        Ok(filter.one_service().map_or(Way::Newest, Way::Service))
    }

    fn on_the_way(&self, way: &Way<'_>, before: Option<u64>) -> Result<Found, StoreError> {
        let below = |numbers: &[u64]| -> Vec<u64> {
            let before = before.unwrap_or(u64::MAX);
            numbers.iter().copied().filter(|n| *n < before).collect()
        };
        match way {
            Way::Numbers(numbers) => self.picked(tables::INCIDENTS, below(numbers).into_iter().map(Ok)),
            Way::Open => self.open_rows(before),
            Way::OpenAnd(ended) => {
                let mut numbers = below(ended);
                for row in self.table(tables::OPEN)?.range(..before.unwrap_or(u64::MAX))? {
                    numbers.push(row?.0.value());
                }
                highest_first(&mut numbers);
                self.picked(tables::INCIDENTS, numbers.into_iter().map(Ok))
            }
            Way::Service(service) => self.rows_of_service(service, before),
            Way::Newest => self.newest(tables::INCIDENTS, before),
        }
    }

    /// The numbers of those that were resolved at or after a time, highest first; none when there are very many.
    fn ended_since(&self, since: Time) -> Result<Option<Vec<u64>>, StoreError> {
        let mut numbers = Vec::new();
        for row in self.table(tables::CLOSED)?.range((since.millis(), 0)..)? {
            numbers.push(row?.0.value().1);
            if numbers.len() > ENDED {
                return Ok(None);
            }
        }
        highest_first(&mut numbers);
        Ok(Some(numbers))
    }

    /// Whether all that a filter asks fits a row, but for its words.
    pub(super) fn incident_fits(&self, filter: &IncidentFilter, row: &[u8]) -> Result<Fit, StoreError> {
        let wants = filter.wants();
        let mut seen = seen(row, wants)?;
        // Numbers grow with the time of detection, but for a clock that was set back.
        if filter.since.is_some_and(|since| seen.detected_at < since.minus(CLOCK_SET_BACK)) {
            return Ok(Fit::NoneOlder);
        }
        if wants.strategies {
            seen.strategies = self.strategies(seen.id)?;
        }
        Ok(filter.fits(&seen).into())
    }

    /// Why the alerts of an incident are in it, each once. What was merged into it has its own.
    fn strategies(&self, id: IncidentId) -> Result<Vec<Strategy>, StoreError> {
        let mut found = Vec::new();
        for row in self.table(tables::MEMBERS)?.range((id.0, 0)..=(id.0, u64::MAX))?.take(MEMBERS) {
            let row = row?.1;
            let row = codec::plain(row.value())?;
            let [strategy] = fields(&row, ["strategy"])?;
            let strategy = value(strategy)?;
            if !found.contains(&strategy) {
                found.push(strategy);
            }
        }
        Ok(found)
    }

    pub(super) fn open_rows(&self, before: Option<u64>) -> Result<Found, StoreError> {
        let open = self.table(tables::OPEN)?.range(..before.unwrap_or(u64::MAX))?.rev();
        self.picked(tables::INCIDENTS, open.map(|row| Ok(row?.0.value())))
    }

    fn rows_of_service(&self, service: &str, before: Option<u64>) -> Result<Found, StoreError> {
        let service = key(service);
        let numbers = (service.as_str(), 0)..(service.as_str(), before.unwrap_or(u64::MAX));
        let found = self.table(tables::BY_SERVICE)?.range(numbers)?.rev();
        self.picked(tables::INCIDENTS, found.map(|row| Ok(row?.0.value().1)))
    }

    /// Every open incident (at most `limit`), newest id first, and how many there are.
    pub fn open_incidents(&self, limit: usize) -> Result<(Vec<Incident>, u64), StoreError> {
        let open = self.table(tables::OPEN)?;
        let total = redb::ReadableTableMetadata::len(&open)?;
        let mut found = Vec::new();
        for row in open.iter()?.rev().take(limit) {
            found.extend(self.incident(IncidentId(row?.0.value()))?);
        }
        Ok((found, total))
    }

    /// Closed ones, latest end first, that ended at or after `since`; and how many there are.
    pub fn closed_since(&self, since: Time, limit: usize) -> Result<(Vec<Incident>, u64), StoreError> {
        let closed = self.table(tables::CLOSED)?;
        let mut found = Vec::new();
        let mut total = 0;
        for row in closed.range((since.millis(), 0)..)?.rev() {
            let (_, number) = row?.0.value();
            total += 1;
            if found.len() < limit {
                found.extend(self.incident(IncidentId(number))?);
            }
        }
        Ok((found, total))
    }

    /// The last `limit` timeline entries, oldest first; only those before the sequence `before`, if given.
    pub fn timeline(
        &self,
        id: IncidentId,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<TimelineEntry>, StoreError> {
        let table = self.table(tables::TIMELINE)?;
        let mut found = Vec::new();
        for row in table.range((id.0, 0)..(id.0, before.unwrap_or(u64::MAX)))?.rev().take(limit) {
            found.push(codec::decode(row?.1.value())?);
        }
        found.reverse();
        Ok(found)
    }

    /// All thoughts in order.
    pub fn thoughts(&self, id: IncidentId) -> Result<Vec<Thought>, StoreError> {
        self.children(tables::THOUGHTS, id)
    }

    /// One thought.
    pub fn thought(&self, id: IncidentId, n: u32) -> Result<Option<Thought>, StoreError> {
        self.row(tables::THOUGHTS, (id.0, u64::from(n)))
    }

    /// Causes, evidence and suggestions.
    pub fn investigation(&self, id: IncidentId) -> Result<Investigation, StoreError> {
        Ok(self.row(tables::ANSWERS, id.0)?.unwrap_or_default())
    }

    /// Earlier incidents (lower id) that touched the service, newest first.
    pub fn earlier_incidents(
        &self,
        service: &str,
        before: IncidentId,
        limit: usize,
    ) -> Result<Vec<Incident>, StoreError> {
        let table = self.table(tables::BY_SERVICE)?;
        let service = key(service);
        let mut found = Vec::new();
        for row in table.range((service.as_str(), 0)..(service.as_str(), before.0))?.rev().take(limit) {
            found.extend(self.incident(IncidentId(row?.0.value().1))?);
        }
        Ok(found)
    }

    /// The job of an incident, while it waits or runs.
    pub fn job(&self, id: IncidentId) -> Result<Option<Job>, StoreError> {
        self.row(tables::JOBS, id.0)
    }

    /// All jobs that wait or run, oldest first.
    pub fn jobs(&self, limit: usize) -> Result<Vec<Job>, StoreError> {
        let mut found: Vec<Job> = Vec::new();
        for row in self.table(tables::JOBS)?.iter()?.take(limit) {
            found.push(codec::decode(row?.1.value())?);
        }
        found.sort_by_key(|j| (j.queued_at, j.incident));
        Ok(found)
    }

    /// The place of a waiting investigation in the queue, 1 for the next, and how many wait or run; none when it does not
    /// wait. The worst goes first, and among equals the oldest.
    pub fn queue_place(&self, id: IncidentId) -> Result<Option<(usize, usize)>, StoreError> {
        let table = self.table(tables::JOBS)?;
        let urgency = |number: u64, row: &[u8]| -> Result<(bool, Severity, Time, u64), StoreError> {
            let row = codec::plain(row)?;
            let [queued_at, leased_until, severity] = fields(&row, ["queued_at", "leased_until", "severity"])?;
            let runs = optional::<Time>(leased_until)?.is_some();
            Ok((!runs, value(severity)?, value(queued_at)?, number))
        };
        let Some(row) = table.get(id.0)? else { return Ok(None) };
        let mine = urgency(id.0, row.value())?;
        if !mine.0 {
            return Ok(None);
        }
        let (mut before, mut all) = (0, 0);
        for row in table.iter()? {
            let (number, row) = row?;
            let other = urgency(number.value(), row.value())?;
            all += 1;
            before += usize::from(other.0 && other < mine);
        }
        Ok(Some((before + 1, all)))
    }

    /// Changes with a time in `from..=to`, latest first; of the service only, if given (compared without case).
    pub fn changes(
        &self,
        service: Option<&str>,
        from: Time,
        to: Time,
        limit: usize,
    ) -> Result<Vec<Change>, StoreError> {
        let table = self.table(tables::CHANGES)?;
        let mut found = Vec::new();
        for row in table.range((from.millis(), 0)..=(to.millis(), u64::MAX))?.rev() {
            let change: Change = codec::decode(row?.1.value())?;
            let fits = service.is_none_or(|s| change.service.as_deref().is_some_and(|c| key(c) == key(s)));
            if fits {
                found.push(change);
            }
            if found.len() == limit {
                break;
            }
        }
        Ok(found)
    }
}

fn highest_first(numbers: &mut Vec<u64>) {
    numbers.sort_unstable_by_key(|n| Reverse(*n));
    numbers.dedup();
}
