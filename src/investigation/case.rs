//! What an investigation knows: plain data, read from the store by `gather`, or put together by a test.

use std::sync::Arc;

use super::{finding::Finding, runbooks::RunbookMatch, suggest::Catalogue, symptoms::Symptoms};
use crate::{
    correlation::topology::Topology,
    model::{Alert, Cause, Change, Incident, IncidentId, Outcome, Service, Time},
};

/// One incident with what was read about it.
#[derive(Clone, Debug, PartialEq)]
pub struct Case {
    /// The incident.
    pub incident: Incident,
    /// When it was read.
    pub now: Time,
    /// Its alerts, in order of onset.
    pub alerts: Vec<Alert>,
    /// Alerts of other incidents that were open around its onset, in order of onset: one fault may be told in several.
    pub around: Vec<Nearby>,
    /// Who calls whom, as far as it is known.
    pub topology: Arc<Topology>,
    /// Earlier incidents of its services, newest first.
    pub earlier: Vec<Earlier>,
    /// How incidents ended, newest first, this one not among them.
    pub outcomes: Arc<[(IncidentId, Outcome)]>,
    /// Changes with a known time, in order: of its services from two hours before the onset, of others from half an hour
    /// before.
    pub changes: Vec<Change>,
    /// What monitoring tools answered, in the order in which they were asked.
    pub findings: Vec<Finding>,
    /// What is declared of its services.
    pub declared: Vec<Service>,
    /// Runbooks that fit it, best first.
    pub runbooks: Vec<RunbookMatch>,
    /// What may be suggested.
    pub catalogue: Catalogue,
    /// Which words tell which symptom.
    pub symptoms: Symptoms,
}

/// An alert of another incident of the same time.
#[derive(Clone, Debug, PartialEq)]
pub struct Nearby {
    /// The alert; its incident is the other one.
    pub alert: Alert,
    /// Its service is within some calls of this incident's; otherwise nothing but the time connects them.
    pub connected: bool,
}

/// An incident of before.
#[derive(Clone, Debug, PartialEq)]
pub struct Earlier {
    /// The incident.
    pub incident: Incident,
    /// What its investigation put first.
    pub cause: Option<Cause>,
}

impl Case {
    /// A case of which nothing is known yet but the incident itself.
    pub fn new(incident: Incident, now: Time) -> Self {
        Self {
            incident,
            now,
            alerts: Vec::new(),
            around: Vec::new(),
            topology: Arc::default(),
            earlier: Vec::new(),
            outcomes: Arc::default(),
            changes: Vec::new(),
            findings: Vec::new(),
            declared: Vec::new(),
            runbooks: Vec::new(),
            catalogue: Catalogue::default(),
            symptoms: Symptoms::default(),
        }
    }

    /// Takes the alerts and puts them in order of onset.
    #[must_use]
    pub fn with_alerts(mut self, mut alerts: Vec<Alert>) -> Self {
        alerts.sort_by_key(|a| (a.onset_at, a.id));
        self.alerts = alerts;
        self
    }

    /// Takes alerts of other incidents and puts them in order of onset.
    #[must_use]
    pub fn with_around(mut self, mut around: Vec<Nearby>) -> Self {
        around.sort_by_key(|n| (n.alert.onset_at, n.alert.id));
        self.around = around;
        self
    }

    /// An alert by its number: its own first, then those around.
    pub fn alert(&self, i: usize) -> Option<&Alert> {
        match i.checked_sub(self.alerts.len()) {
            None => self.alerts.get(i),
            Some(i) => self.around.get(i).map(|n| &n.alert),
        }
    }

    /// All alerts that it knows, by their numbers.
    pub fn every_alert(&self) -> impl Iterator<Item = (usize, &Alert)> {
        self.alerts.iter().chain(self.around.iter().map(|n| &n.alert)).enumerate()
    }

    /// Takes earlier incidents and puts the newest first.
    #[must_use]
    pub fn with_earlier(mut self, mut earlier: Vec<Earlier>) -> Self {
        earlier.sort_by_key(|e| std::cmp::Reverse(e.incident.id));
        earlier.dedup_by_key(|e| e.incident.id);
        self.earlier = earlier;
        self
    }

    /// Takes how incidents ended and puts the newest first.
    #[must_use]
    pub fn with_outcomes(mut self, mut outcomes: Vec<(IncidentId, Outcome)>) -> Self {
        outcomes.retain(|(id, _)| *id != self.incident.id);
        outcomes.sort_by_key(|(id, _)| std::cmp::Reverse(*id));
        self.outcomes = outcomes.into();
        self
    }

    /// Takes changes and puts them in order; those without a time tell nothing.
    #[must_use]
    pub fn with_changes(mut self, mut changes: Vec<Change>) -> Self {
        changes.retain(|c| c.at.is_some());
        changes.sort_by(|a, b| (a.at, &a.service, &a.title, &a.version).cmp(&(b.at, &b.service, &b.title, &b.version)));
        changes.dedup();
        self.changes = changes;
        self
    }

    /// Other names of a service, as declared.
    pub fn aliases_of(&self, service: Option<&str>) -> impl Iterator<Item = &String> {
        let declared = self.declared.iter().find(|d| service.is_some_and(|s| same(s, &d.name)));
        declared.into_iter().flat_map(|d| &d.aliases)
    }

    /// The incidents that its alerts around belong to, those with most of them first.
    pub fn neighbours(&self, most: usize) -> Vec<IncidentId> {
        let mut alerts: std::collections::BTreeMap<IncidentId, usize> = std::collections::BTreeMap::new();
        for id in self.around.iter().filter_map(|n| n.alert.incident) {
            *alerts.entry(id).or_default() += 1;
        }
        let mut found: Vec<(usize, IncidentId)> = alerts.into_iter().map(|(id, n)| (n, id)).collect();
        found.sort_by_key(|(n, id)| (std::cmp::Reverse(*n), *id));
        found.into_iter().take(most).map(|(_, id)| id).collect()
    }

    /// When it began: the first onset among its alerts, else the incident's.
    pub fn onset(&self) -> Time {
        self.alerts.first().map_or(self.incident.onset_at, |a| a.onset_at)
    }

    /// What times are counted from, in words.
    pub fn beginning(&self) -> &'static str {
        if self.alerts.is_empty() { "it was opened" } else { "the first alert" }
    }

    /// The services it touches: of its alerts, and of the incident itself.
    pub fn services(&self) -> Vec<String> {
        let mut services: Vec<String> = Vec::new();
        let of_alerts = self.alerts.iter().filter_map(|a| a.service.as_ref());
        for service in of_alerts.chain(&self.incident.service).chain(&self.incident.affected_services) {
            if !services.iter().any(|s| same(s, service)) {
                services.push(service.clone());
            }
        }
        services
    }
}

/// Names are compared without case.
pub fn same(a: &str, b: &str) -> bool {
    a.eq_ignore_ascii_case(b) || (!a.is_ascii() && a.to_lowercase() == b.to_lowercase())
}

/// The same for names that may be missing; a missing one is like no other.
pub fn same_known(a: Option<&str>, b: Option<&str>) -> bool {
    matches!((a, b), (Some(a), Some(b)) if same(a, b))
}
