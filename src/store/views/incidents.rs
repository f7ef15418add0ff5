use super::{Listing, View};
use crate::{model::*, store::StoreError};

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

impl View {
    /// One incident.
    pub fn incident(&self, _id: IncidentId) -> Result<Option<Incident>, StoreError> {
        unimplemented!()
    }

    /// Newest id first, those with an id below `before` only.
    pub fn incidents(
        &self,
        _filter: &IncidentFilter,
        _before: Option<u64>,
        _limit: usize,
    ) -> Result<Listing<Incident>, StoreError> {
        unimplemented!()
    }

    /// Every open incident (at most `limit`), newest id first, and how many there are.
    pub fn open_incidents(&self, _limit: usize) -> Result<(Vec<Incident>, u64), StoreError> {
        unimplemented!()
    }

    /// Closed ones, latest end first, that ended at or after `since`; and how many there are.
    pub fn closed_since(&self, _since: Time, _limit: usize) -> Result<(Vec<Incident>, u64), StoreError> {
        unimplemented!()
    }

    /// Members with their alerts, strongest first, at most `limit`.
    pub fn members(&self, _id: IncidentId, _limit: usize) -> Result<Vec<(Membership, Alert)>, StoreError> {
        unimplemented!()
    }

    /// The last `limit` timeline entries, oldest first; only those before the sequence `before`, if given.
    pub fn timeline(
        &self,
        _id: IncidentId,
        _before: Option<u64>,
        _limit: usize,
    ) -> Result<Vec<TimelineEntry>, StoreError> {
        unimplemented!()
    }

    /// All thoughts in order.
    pub fn thoughts(&self, _id: IncidentId) -> Result<Vec<Thought>, StoreError> {
        unimplemented!()
    }

    /// One thought.
    pub fn thought(&self, _id: IncidentId, _n: u32) -> Result<Option<Thought>, StoreError> {
        unimplemented!()
    }

    /// Causes, evidence and suggestions.
    pub fn investigation(&self, _id: IncidentId) -> Result<Investigation, StoreError> {
        unimplemented!()
    }

    /// Earlier incidents (lower id) that touched the service, newest first.
    pub fn earlier_incidents(
        &self,
        _service: &str,
        _before: IncidentId,
        _limit: usize,
    ) -> Result<Vec<Incident>, StoreError> {
        unimplemented!()
    }

    /// The job of an incident, while it waits or runs.
    pub fn job(&self, _id: IncidentId) -> Result<Option<Job>, StoreError> {
        unimplemented!()
    }

    /// All jobs that wait or run, oldest first.
    pub fn jobs(&self, _limit: usize) -> Result<Vec<Job>, StoreError> {
        unimplemented!()
    }

    /// Changes with a time in `from..=to`, latest first; of the service only, if given (compared without case).
    pub fn changes(
        &self,
        _service: Option<&str>,
        _from: Time,
        _to: Time,
        _limit: usize,
    ) -> Result<Vec<Change>, StoreError> {
        unimplemented!()
    }
}
