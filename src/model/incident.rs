//! Incidents: what people see and act on.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    Conclusion, Fingerprint, IncidentId, InvestigationState, MuteId, Platform, PostmortemState, Reason, Severity, Time,
    words,
};

words! {
    /// Where an incident stands. Acknowledgement is an owner and a time, not a status.
    IncidentStatus {
        /// The analysis has not finished.
        Investigating = "investigating",
        /// The analysis is done; it waits for a person.
        Analyzed = "analyzed",
        /// A person or the source ended it.
        Resolved = "resolved",
        /// Part of another incident.
        Merged = "merged",
    }
}

impl IncidentStatus {
    /// Investigating or analyzed.
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Investigating | Self::Analyzed)
    }

    /// The states that can follow this one; every other change is refused.
    pub const fn next(self) -> &'static [IncidentStatus] {
        match self {
            Self::Investigating => &[Self::Analyzed, Self::Resolved, Self::Merged],
            Self::Analyzed => &[Self::Resolved, Self::Merged],
            Self::Resolved => &[Self::Investigating],
            Self::Merged => &[],
        }
    }
}

/// The state of an incident's investigation, without its children.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InvestigationHead {
    /// Where it stands.
    pub state: InvestigationState,
    /// How sure it is.
    #[serde(default)]
    pub conclusion: Option<Conclusion>,
    /// Two or three sentences.
    #[serde(default)]
    pub summary: Option<String>,
    /// Who made it: `built-in`, or a model's name.
    #[serde(default)]
    pub engine: Option<String>,
    /// When it began.
    #[serde(default)]
    pub started_at: Option<Time>,
    /// When it ended.
    #[serde(default)]
    pub finished_at: Option<Time>,
    /// Thoughts written.
    #[serde(default)]
    pub steps: u32,
    /// Why it failed, in one sentence.
    #[serde(default)]
    pub error: Option<String>,
    /// How far a run is; none when none runs.
    #[serde(default)]
    pub progress: Option<Progress>,
}

/// How many checks of an investigation are done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Progress {
    /// Checks that are done.
    pub done: u32,
    /// All of them.
    pub of: u32,
}

impl Progress {
    /// What a run is at once so many of its checks are done (`investigation::runner` makes them in this order), for those
    /// who wait. `builds`: it began with a build, whose log is what tools are asked for first.
    pub const fn doing(self, builds: bool) -> &'static str {
        match (self.done, builds) {
            (0, _) => "Reading its alerts",
            (1, _) => "Looking for earlier incidents like it",
            (2, _) => "Reading what was changed before",
            (3, _) => "Looking for a runbook",
            (4, true) => "Reading the build log",
            (4, false) => "Asking the monitoring tools",
            _ => "Weighing what was found",
        }
    }
}

impl Default for InvestigationHead {
    fn default() -> Self {
        Self {
            state: InvestigationState::Idle,
            conclusion: None,
            summary: None,
            engine: None,
            started_at: None,
            finished_at: None,
            steps: 0,
            error: None,
            progress: None,
        }
    }
}

/// The leading hypothesis, for the list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Leading {
    /// The hypothesis in one line.
    pub title: String,
    /// 0 to 1.
    pub confidence: f64,
}

/// Merges of an incident, in both directions. An incident that is merged keeps its row, its alerts and its timeline; the
/// survivor counts them as well and names it here.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Merging {
    /// What was merged into it directly, in that order.
    #[serde(default)]
    pub absorbed: Vec<IncidentId>,
    /// While it is merged: what brings both back.
    #[serde(default)]
    pub before: Option<Box<BeforeMerge>>,
}

impl Merging {
    /// Nothing was merged.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

/// What two incidents were before one was merged into the other.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BeforeMerge {
    /// When they were merged.
    pub at: Time,
    /// Change sequence then: what stands in timelines after it happened since.
    pub seq: u64,
    /// The last alert's number then.
    #[serde(default)]
    pub alert: u64,
    /// Who did it.
    pub by: String,
    /// Why, strongest first.
    #[serde(default)]
    pub reasons: Vec<Reason>,
    /// The merged one's status.
    pub status: IncidentStatus,
    /// The merged one's investigation.
    pub investigation: InvestigationState,
    /// The merged one's alerts that burned.
    pub firing_count: u64,
    /// What the other one's alerts had told of it.
    pub into: Told,
}

/// What an incident's row says because of its alerts, apart from the counts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Told {
    /// Alerts that burned.
    pub firing_count: u64,
    /// The worst.
    pub severity: Severity,
    /// Services.
    #[serde(default)]
    pub services: Vec<String>,
    /// Hosts.
    #[serde(default)]
    pub hosts: Vec<String>,
    /// Senders' groups.
    #[serde(default)]
    pub groups: Vec<Fingerprint>,
    /// Labels of all.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// Onset of the latest.
    pub last_alert_at: Time,
}

/// Quiet for a while: somebody said that it can wait. It ends by itself when its time comes, when the incident gets worse,
/// and when the incident ends.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Snooze {
    /// Until when.
    pub until: Time,
    /// Who said so.
    pub by: String,
    /// When.
    pub at: Time,
}

/// One incident, as its row holds it: all that a list shows, and the heads of what its page shows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Incident {
    /// Its number.
    pub id: IncidentId,
    /// Where it stands.
    pub status: IncidentStatus,
    /// The worst of its alerts, or what a person set.
    pub severity: Severity,
    /// A person set the severity: alerts no longer change it, until a person gives it back to them.
    #[serde(default)]
    pub severity_pinned: bool,
    /// The first alert's title, or what a person wrote.
    pub title: String,
    /// The service it began with.
    #[serde(default)]
    pub service: Option<String>,
    /// The machine it began with.
    #[serde(default)]
    pub host: Option<String>,
    /// The environment it began in.
    #[serde(default)]
    pub environment: Option<String>,
    /// Every service of its alerts, in order of appearance.
    #[serde(default)]
    pub affected_services: Vec<String>,
    /// Every host of its alerts, in order of appearance.
    #[serde(default)]
    pub affected_hosts: Vec<String>,
    /// The platform of the first alert, or the manual incident's `source_type`.
    pub source: Platform,
    /// Deep link of the first alert.
    #[serde(default)]
    pub source_url: Option<String>,
    /// Who has it.
    #[serde(default)]
    pub owner: Option<String>,
    /// As the first alert's sender wrote it.
    pub started_at: Time,
    /// The same, clamped: what correlation uses.
    pub onset_at: Time,
    /// When we opened it.
    pub detected_at: Time,
    /// When somebody took it.
    #[serde(default)]
    pub acknowledged_at: Option<Time>,
    /// When the analysis ended.
    #[serde(default)]
    pub analyzed_at: Option<Time>,
    /// When it was resolved.
    #[serde(default)]
    pub resolved_at: Option<Time>,
    /// When it was over as its alerts tell, which may be sooner than we learned of it; none while it is open, and when a
    /// person ended it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub over_at: Option<Time>,
    /// How it ended, in one sentence.
    #[serde(default)]
    pub resolution: Option<String>,
    /// Last change of anything in it.
    pub updated_at: Time,
    /// Onset of its latest alert.
    pub last_alert_at: Time,
    /// Members.
    pub alert_count: u64,
    /// Members that are not over: also those that flap and ended too short a time ago for that to count.
    pub firing_count: u64,
    /// Members that flap.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub flapping_count: u64,
    /// Members that are not resolved and are muted.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub muted_count: u64,
    /// All members that are not resolved are muted, and there are some: it calls for nobody.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub muted: bool,
    /// The silences and maintenance windows that ever muted an alert of it; the first fifty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mutes: Vec<MuteId>,
    /// Open, and quiet until then: it calls for nobody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snoozed: Option<Snooze>,
    /// The incident that it was merged into. That one may have been merged again: views name the survivor here.
    #[serde(default)]
    pub merged_into: Option<IncidentId>,
    /// What was merged into it, and what it was before it was merged itself.
    #[serde(default, skip_serializing_if = "Merging::is_none")]
    pub merging: Merging,
    /// Digests of the senders' groups of its alerts, where their connectors group by them; the first fifty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sender_groups: Vec<Fingerprint>,
    /// Some of its alerts go up and down.
    #[serde(default)]
    pub flapping: bool,
    /// Opened by a test notification; left out of every figure.
    #[serde(default)]
    pub test: bool,
    /// Opened by a person or a program through the API: never joined or merged by itself.
    #[serde(default)]
    pub manual: bool,
    /// Labels that all its alerts share.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// The investigation's head.
    #[serde(default)]
    pub investigation: InvestigationHead,
    /// The leading hypothesis.
    #[serde(default)]
    pub leading: Option<Leading>,
    /// Whether what its investigation put first was right; none while nobody has said what it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_right: Option<bool>,
    /// When a message about it first arrived somewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub told_at: Option<Time>,
    /// The kind of its first alert, as insights count kinds; 0 when it is not known.
    #[serde(default)]
    pub kind: u64,
    /// Whether it has a postmortem, and whether that is finished.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub postmortem: Option<PostmortemState>,
    /// Change sequence of the latest change: tells two people acting at once apart.
    #[serde(default)]
    pub version: u64,
}

#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_zero(n: &u64) -> bool {
    *n == 0
}

impl Incident {
    /// Investigating or analyzed.
    pub fn is_open(&self) -> bool {
        self.status.is_open()
    }

    /// It is open and calls for nobody: all that burns of it is muted, or it is snoozed.
    pub fn is_quiet(&self) -> bool {
        self.muted || self.snoozed.is_some()
    }
}
