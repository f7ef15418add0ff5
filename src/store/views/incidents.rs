//! Incidents and what hangs on them.

use super::{Fit, Found, Listing, View, all_words, among, page};
use crate::{
    model::*,
    store::{
        StoreError, codec,
        fields::{fields, optional, text, value},
        tables,
        world::key,
    },
};
use redb::ReadableTable;
use serde::Deserialize;

/// Which incidents. Empty lists mean any.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct IncidentFilter {
    /// Empty: all but merged.
    pub statuses: Vec<IncidentStatus>,
    /// Any of these.
    pub severities: Vec<Severity>,
    /// Platforms.
    pub sources: Vec<String>,
    /// Among the affected services, compared without case; `*` at the end is a prefix.
    pub services: Vec<String>,
    /// Among the affected hosts.
    pub hosts: Vec<String>,
    /// Names; `none` for nobody.
    pub owners: Vec<String>,
    /// Detected at or after.
    pub since: Option<Time>,
    /// Detected before.
    pub until: Option<Time>,
    /// Resolved or merged ones only when they ended at or after this.
    pub closed_since: Option<Time>,
    /// Words that must all stand in title, service, id or summary, compared without case.
    pub words: Vec<String>,
}

impl IncidentFilter {
    /// Whether an incident is wanted.
    pub fn matches(&self, i: &Incident) -> bool {
        let head = Head {
            status: i.status,
            severity: i.severity,
            source: &i.source,
            owner: i.owner.as_deref(),
            detected_at: i.detected_at,
            resolved_at: i.resolved_at,
            updated_at: i.updated_at,
        };
        self.head_fits(&head) && (!self.wants_names() || self.names_fit(i))
    }

    pub(super) fn fits(&self, row: &[u8]) -> Result<Fit, StoreError> {
        let head = Head::of(row)?;
        // Numbers grow with the time of detection, but for a clock that was set back.
        if self.since.is_some_and(|since| head.detected_at < since.minus(CLOCK_SET_BACK)) {
            return Ok(Fit::NoneOlder);
        }
        Ok((self.head_fits(&head) && (!self.wants_names() || self.names_in_row_fit(row)?)).into())
    }

    fn head_fits(&self, i: &Head<'_>) -> bool {
        let status = if self.statuses.is_empty() {
            i.status != IncidentStatus::Merged
        } else {
            self.statuses.contains(&i.status)
        };
        let owner = self.owners.is_empty()
            || match i.owner {
                None => self.owners.iter().any(|o| o == "none"),
                Some(owner) => self.owners.iter().any(|o| o.eq_ignore_ascii_case(owner)),
            };
        status
            && owner
            && (self.severities.is_empty() || self.severities.contains(&i.severity))
            && among(&self.sources, Some(i.source))
            && self.since.is_none_or(|t| i.detected_at >= t)
            && self.until.is_none_or(|t| i.detected_at < t)
            && self.closed_since.is_none_or(|t| i.status.is_open() || i.resolved_at.unwrap_or(i.updated_at) >= t)
    }

    fn wants_names(&self) -> bool {
        !(self.services.is_empty() && self.hosts.is_empty() && self.words.is_empty())
    }

    fn names_fit(&self, i: &Incident) -> bool {
        let any =
            |wanted: &[String], names: &[String]| wanted.is_empty() || names.iter().any(|n| among(wanted, Some(n)));
        any(&self.services, &i.affected_services)
            && any(&self.hosts, &i.affected_hosts)
            && (self.words.is_empty()
                || all_words(
                    &self.words,
                    &[
                        &i.title,
                        &i.id.to_string(),
                        &i.affected_services.join(" "),
                        &i.affected_hosts.join(" "),
                        i.investigation.summary.as_deref().unwrap_or(""),
                    ],
                ))
    }

    fn names_in_row_fit(&self, row: &[u8]) -> Result<bool, StoreError> {
        let [services, hosts] = fields(row, ["affected_services", "affected_hosts"])?;
        let any = |wanted: &[String], names: Option<&[u8]>| -> Result<bool, StoreError> {
            let names: Vec<&str> =
                if wanted.is_empty() { return Ok(true) } else { optional(names)?.unwrap_or_default() };
            Ok(names.iter().any(|n| among(wanted, Some(n))))
        };
        Ok(any(&self.services, services)? && any(&self.hosts, hosts)? && self.words_in_row_fit(row)?)
    }

    pub(super) fn words_in_row_fit(&self, row: &[u8]) -> Result<bool, StoreError> {
        if self.words.is_empty() {
            return Ok(true);
        }
        let [id, title, services, hosts, investigation] =
            fields(row, ["id", "title", "affected_services", "affected_hosts", "investigation"])?;
        let id: IncidentId = value(id)?;
        let names = |names| Ok::<_, StoreError>(optional::<Vec<&str>>(names)?.unwrap_or_default().join(" "));
        let found: Option<Summary<'_>> = optional(investigation)?;
        let summary = found.and_then(|f| f.summary).unwrap_or_default();
        Ok(all_words(&self.words, &[text(title)?, &id.to_string(), &names(services)?, &names(hosts)?, summary]))
    }

    /// The one service that is asked for by its whole name: its incidents have a table of their own.
    fn one_service(&self) -> Option<&str> {
        match self.services.as_slice() {
            [one] if !one.ends_with('*') => Some(one),
            _ => None,
        }
    }
}

/// A clock may be set back by less than this without hiding incidents from a list.
const CLOCK_SET_BACK: std::time::Duration = std::time::Duration::from_secs(24 * 3600);

/// What words are looked for in, of an investigation.
#[derive(Deserialize)]
struct Summary<'a> {
    #[serde(default)]
    summary: Option<&'a str>,
}

/// What every filter looks at.
struct Head<'a> {
    status: IncidentStatus,
    severity: Severity,
    source: &'a str,
    owner: Option<&'a str>,
    detected_at: Time,
    resolved_at: Option<Time>,
    updated_at: Time,
}

impl<'a> Head<'a> {
    fn of(row: &'a [u8]) -> Result<Self, StoreError> {
        let [status, severity, source, owner, detected_at, resolved_at, updated_at] =
            fields(row, ["status", "severity", "source", "owner", "detected_at", "resolved_at", "updated_at"])?;
        Ok(Self {
            status: value(status)?,
            severity: value(severity)?,
            source: value(source)?,
            owner: optional::<&str>(owner)?,
            detected_at: value(detected_at)?,
            resolved_at: optional(resolved_at)?,
            updated_at: value(updated_at)?,
        })
    }
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
        let open_only = !filter.statuses.is_empty() && filter.statuses.iter().all(|s| s.is_open());
        let rows = |before| match filter.one_service() {
            _ if open_only => self.open_rows(before),
            Some(service) => self.rows_of_service(service, before),
            None => self.newest(tables::INCIDENTS, before),
        };
        let mut listing: Listing<Incident> = page(rows, before, limit, |row| filter.fits(row))?;
        listing.items = listing.items.into_iter().map(|i| self.at_home(i)).collect::<Result<_, _>>()?;
        Ok(listing)
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
