//! Orders of a list of incidents, and how alerts are put together.

use std::cmp::Ordering;

use crate::model::*;

words! {
    /// An order.
    Sort {
        /// What needs somebody first: open before closed, nobody's before somebody's, then the worst, then the youngest.
        Triage = "triage",
        /// The latest onset first.
        Started = "-started",
        /// The worst first.
        Severity = "-severity",
        /// Most alerts first.
        Alerts = "-alerts",
        /// The latest change first.
        Updated = "-updated",
        /// The highest number first: the order in which they were opened.
        Newest = "-id",
    }
}

words! {
    /// How alerts are put together.
    AlertsBy {
        /// By their service.
        Service = "service",
        /// By what they are called.
        Name = "name",
        /// By their host.
        Host = "host",
        /// By the incident that they are part of.
        Incident = "incident",
    }
}

impl Sort {
    /// Which of two comes first. No two are equal.
    pub fn compare(self, a: &Incident, b: &Incident) -> Ordering {
        let first = match self {
            Self::Triage => {
                need(a).cmp(&need(b)).then(a.severity.cmp(&b.severity)).then(b.detected_at.cmp(&a.detected_at))
            }
            Self::Started => b.started_at.cmp(&a.started_at),
            Self::Severity => a.severity.cmp(&b.severity),
            Self::Alerts => b.alert_count.cmp(&a.alert_count),
            Self::Updated => b.updated_at.cmp(&a.updated_at),
            Self::Newest => Ordering::Equal,
        };
        first.then(b.id.cmp(&a.id))
    }
}

/// How soon somebody has to look.
fn need(i: &Incident) -> u8 {
    match (i.is_open(), i.is_quiet(), &i.owner) {
        (true, false, None) => 0,
        (true, false, Some(_)) => 1,
        (true, true, _) => 2,
        (false, ..) => 3,
    }
}
