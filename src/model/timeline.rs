use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::{Time, words};

words! {
    /// What happened to an incident.
    TimelineKind {
        /// It was opened.
        Opened = "opened",
        /// An alert joined.
        AlertCorrelated = "alert_correlated",
        /// An alert of it resolved.
        AlertResolved = "alert_resolved",
        /// A resolved alert of it fired again.
        AlertRefired = "alert_refired",
        /// An alert goes up and down: what it does counts, and is not told each time.
        FlappingBegan = "flapping_began",
        /// An alert no longer goes up and down.
        FlappingEnded = "flapping_ended",
        /// An alert was acknowledged in the sender's tool.
        AlertAcknowledged = "alert_acknowledged",
        /// The sender told something about an alert: a note, a reassignment.
        AlertNote = "alert_note",
        /// Somebody took it.
        Acknowledged = "acknowledged",
        /// The acknowledgement was taken back.
        Unacknowledged = "unacknowledged",
        /// It ended.
        Resolved = "resolved",
        /// It is open again.
        Reopened = "reopened",
        /// A person wrote something.
        Comment = "comment",
        /// Alerts were moved here from another incident, or from here to another.
        AlertMoved = "alert_moved",
        /// Merged into another incident, or another one into it.
        Merged = "merged",
        /// A merge was undone.
        Unmerged = "unmerged",
        /// Severity changed.
        Severity = "severity",
        /// Somebody said that it can wait.
        Snoozed = "snoozed",
        /// It no longer waits.
        Woken = "woken",
        /// Title changed.
        Title = "title",
        /// Owner changed.
        Owner = "owner",
        /// Service changed.
        Service = "service",
        /// An investigation began.
        InvestigationStarted = "investigation_started",
        /// An investigation ended.
        InvestigationFinished = "investigation_finished",
        /// Alerts of it are muted.
        Muted = "muted",
        /// Alerts of it are no longer muted, or soon will not be.
        Unmuted = "unmuted",
        /// What a threshold held back came together.
        Threshold = "threshold",
        /// Somebody used or dismissed a suggestion, or judged a cause.
        Feedback = "feedback",
        /// Somebody was told.
        Notified = "notified",
        /// A postmortem was begun, drafted again or published.
        Postmortem = "postmortem",
    }
}

/// One line of an incident's timeline.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TimelineEntry {
    /// Change sequence: the order of things, whatever clocks say.
    pub seq: u64,
    /// When.
    pub at: Time,
    /// What.
    pub kind: TimelineKind,
    /// A person's name, `token:name`, a platform, or `system`.
    pub actor: String,
    /// One sentence.
    pub text: String,
    /// The facts behind it.
    #[serde(default)]
    pub data: Value,
}
