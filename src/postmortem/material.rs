//! What a draft is made from: plain data, read from one snapshot of the store by whoever asks for a draft.

use crate::model::{Alert, Change, Incident, Investigation, Symptom, Time, TimelineEntry};

/// One incident with everything that a postmortem can tell of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Material {
    /// The incident.
    pub incident: Incident,
    /// Its alerts, in order of onset; with very many, the strongest.
    pub alerts: Vec<Alert>,
    /// Causes, evidence, suggestions.
    pub answer: Investigation,
    /// Oldest first; with very many, the latest.
    pub timeline: Vec<TimelineEntry>,
    /// Changes before and during it, in order.
    pub changes: Vec<Change>,
    /// Earlier incidents like it, nearest first.
    pub before: Vec<Incident>,
    /// When it was read.
    pub now: Time,
}

impl Material {
    /// When it began: the first onset among its alerts, else its own.
    pub fn onset(&self) -> Time {
        self.alerts.first().map_or(self.incident.onset_at, |a| a.onset_at.min(self.incident.onset_at))
    }

    /// When it was over, or when it was read.
    pub fn end(&self) -> Time {
        self.incident.resolved_at.unwrap_or(self.now)
    }

    /// Puts alerts and changes in order.
    #[must_use]
    pub fn in_order(mut self) -> Self {
        self.alerts.sort_by_key(|a| (a.onset_at, a.id));
        self.changes.sort_by(|a, b| (a.at, &a.service, &a.title).cmp(&(b.at, &b.service, &b.title)));
        self.changes.dedup();
        self
    }
}

/// A symptom as people read it.
pub fn symptom(s: Symptom) -> String {
    s.as_str().replace('_', " ")
}
