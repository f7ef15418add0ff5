use super::{Listing, View};
use crate::{model::*, store::StoreError};

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

impl View {
    /// One alert.
    pub fn alert(&self, _id: AlertId) -> Result<Option<Alert>, StoreError> {
        unimplemented!()
    }

    /// Newest first, those with a number below `before` only.
    pub fn alerts(
        &self,
        _filter: &AlertFilter,
        _before: Option<u64>,
        _limit: usize,
    ) -> Result<Listing<Alert>, StoreError> {
        unimplemented!()
    }

    /// Why the alert is where it is; none without an incident.
    pub fn membership(&self, _alert: &Alert) -> Result<Option<Membership>, StoreError> {
        unimplemented!()
    }
}
