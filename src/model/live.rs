//! The change log: what happened, in order, as small rows. Streams replay from it after any break.

use serde::{Deserialize, Serialize};

use super::{AlertId, DeliveryOutcome, IncidentId, Platform, Time, words};

words! {
    /// What about an incident changed.
    IncidentChange {
        /// It is new.
        Created = "created",
        /// Its status.
        Status = "status",
        /// Its severity.
        Severity = "severity",
        /// Its owner or acknowledgement.
        Owner = "owner",
        /// Its alerts or their counts.
        Alerts = "alerts",
        /// Merged into another.
        Merged = "merged",
        /// The state of its investigation.
        Investigation = "investigation",
        /// Its title.
        Title = "title",
        /// Its service.
        Service = "service",
        /// A comment was written.
        Comment = "comment",
        /// Its postmortem was begun, changed or published.
        Postmortem = "postmortem",
        /// How many of its alerts are muted, or whether it is.
        Muted = "muted",
        /// Somebody was told of it, or could not be.
        Notified = "notified",
        /// It is quiet for a while, or no longer.
        Snoozed = "snoozed",
        /// Its time to be kept is over: it is gone.
        Removed = "removed",
    }
}

/// What a change is about.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum ChangeSubject {
    /// An incident's own fields.
    Incident(IncidentId, IncidentChange),
    /// An alert joined an incident.
    AlertCorrelated(IncidentId, AlertId),
    /// A thought was written, by its number.
    Thought(IncidentId, u32),
    /// A suggestion was made or changed, by its id.
    Suggestion(IncidentId, String),
    /// A cause was ranked or judged, by its rank.
    Cause(IncidentId, u32),
    /// Deliveries of a platform were applied.
    Delivery {
        /// For whom.
        platform: Platform,
        /// What became of them.
        outcome: DeliveryOutcome,
        /// How many in one step.
        count: u64,
    },
    /// Services were declared, or an edge between services was learned or judged.
    Topology,
    /// What people set about notifications, or how a channel does.
    Notifications,
    /// A silence, a maintenance window or a threshold was made or changed, began or ended.
    Mutes,
}

/// One row of the change log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChangeLogEntry {
    /// Its place.
    pub seq: u64,
    /// When.
    pub at: Time,
    /// What.
    pub subject: ChangeSubject,
}
