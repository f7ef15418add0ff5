//! Alerts, and why they belong to an incident.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{AlertId, Fingerprint, IncidentId, MuteId, Platform, Severity, ThresholdId, Time, words};

words! {
    /// Where an alert stands.
    AlertStatus {
        /// It burns.
        Firing = "firing",
        /// Somebody took it, in the sender's tool.
        Acknowledged = "acknowledged",
        /// It is over.
        Resolved = "resolved",
    }
}

words! {
    /// Why an alert is part of an incident. One alert may carry several; the strongest is named.
    Strategy {
        /// The incident was opened by it.
        Primary = "primary",
        /// Same service.
        ServiceMatch = "service_match",
        /// Began at about the same time.
        TimeCluster = "time_cluster",
        /// Says about the same.
        SemanticSimilarity = "semantic_similarity",
        /// One service calls the other.
        Topology = "topology",
        /// Both need the same third thing.
        SharedDependency = "shared_dependency",
        /// Same machine.
        SameHost = "same_host",
        /// Same tags.
        TagMatch = "tag_match",
        /// A person said so.
        Manual = "manual",
    }
}

/// Which rule made an alert's identity, from which fields with which values.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct IdentityRule {
    /// The rule in one sentence: "the fingerprint that Grafana computes from the labels".
    #[serde(default)]
    pub rule: String,
    /// The fields used and their values, in order.
    #[serde(default)]
    pub fields: Vec<(String, String)>,
    /// Fields of the rule that people set for the connector which gave nothing: it was not used then.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<String>,
}

/// One sentence of "why".
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Reason {
    /// The kind of evidence.
    pub strategy: Strategy,
    /// How strong, 0 to 1.
    pub score: f64,
    /// The sentence, with its numbers.
    pub text: String,
}

/// One alert: one identity over one episode, with its repeats.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Alert {
    /// Its id.
    pub id: AlertId,
    /// Its identity.
    pub fingerprint: Fingerprint,
    /// The readable key behind the fingerprint.
    pub dedup_key: String,
    /// How the key was made.
    #[serde(default)]
    pub identity: IdentityRule,
    /// Who sent it.
    pub platform: Platform,
    /// One line.
    pub title: String,
    /// More.
    #[serde(default)]
    pub description: Option<String>,
    /// The service concerned.
    #[serde(default)]
    pub service: Option<String>,
    /// The machine concerned.
    #[serde(default)]
    pub host: Option<String>,
    /// `production`, …
    #[serde(default)]
    pub environment: Option<String>,
    /// On our scale, after the connector's map.
    pub severity: Severity,
    /// As sent.
    #[serde(default)]
    pub severity_raw: Option<String>,
    /// Now.
    pub status: AlertStatus,
    /// As the sender wrote it, else when it was received.
    pub started_at: Time,
    /// The same, clamped to between 24 h before and 5 min after receipt: what correlation uses.
    pub onset_at: Time,
    /// First received.
    pub first_seen: Time,
    /// Last received, firing or not.
    pub last_seen: Time,
    /// When it ended, as sent, else when the end was received.
    #[serde(default)]
    pub ended_at: Option<Time>,
    /// When we learned of the end: what the reopening window counts from.
    #[serde(default)]
    pub closed_at: Option<Time>,
    /// How often it was received firing.
    pub count: u64,
    /// Deep link.
    #[serde(default)]
    pub source_url: Option<String>,
    /// Picture.
    #[serde(default)]
    pub image_url: Option<String>,
    /// Runbook named by the sender.
    #[serde(default)]
    pub runbook_url: Option<String>,
    /// What identifies.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// What explains.
    #[serde(default)]
    pub annotations: BTreeMap<String, String>,
    /// The sender's test button.
    #[serde(default)]
    pub test: bool,
    /// Read from mended JSON.
    #[serde(default)]
    pub repaired: bool,
    /// The incident it is part of; none for `info` and for severities that the connector does not open on.
    #[serde(default)]
    pub incident: Option<IncidentId>,
    /// Sequence number of the first delivery that spoke of it.
    pub first_delivery: u64,
    /// Sequence number of the latest delivery that spoke of it.
    pub last_delivery: u64,
    /// JSON pointer of it in the latest delivery.
    #[serde(default)]
    pub path: String,
    /// The sender's own grouping.
    #[serde(default)]
    pub group_key: Option<String>,
    /// When it resolves by itself, where the platform never says so, or it is a test. Of no account while an end is held
    /// down.
    #[serde(default)]
    pub quiet_at: Option<Time>,
    /// The silences and maintenance windows that mute it, or that did when it ended; in order of their numbers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub muted_by: Vec<MuteId>,
    /// Those that did before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub was_muted_by: Vec<MuteId>,
    /// The threshold that it waits for, or waited for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threshold: Option<ThresholdId>,
    /// When it was received while it waits; none when it does not wait.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub threshold_hits: Vec<Time>,
    /// When it fired again after an end: the latest, as many as tell flapping.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refires: Vec<Time>,
    /// How often it began to flap.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub flaps: u32,
    /// While it goes up and down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flapping: Option<Flapping>,
}

#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_zero(n: &u32) -> bool {
    *n == 0
}

/// An alert goes up and down: its ends count only when it stays quiet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Flapping {
    /// When that was noticed.
    pub since: Time,
    /// When it is over if nothing changes: its hold-down after an end, or a long time of burning without one.
    pub until: Time,
    /// How often it fired again, those times that told it included.
    pub times: u64,
}

impl Alert {
    /// Not over: it burns, or it flaps and has not been quiet for long enough.
    pub fn is_open(&self) -> bool {
        self.status != AlertStatus::Resolved || self.flapping.is_some()
    }

    /// The sender said that it is over; it flaps, so that this has to last before it counts.
    pub fn is_held(&self) -> bool {
        self.status == AlertStatus::Resolved && self.flapping.is_some()
    }

    /// When something about it changes by itself.
    pub fn timer(&self) -> Option<Time> {
        let calm = self.flapping.map(|f| f.until);
        if self.is_held() { calm } else { self.quiet_at.into_iter().chain(calm).min() }
    }

    /// It burns, and calls for nobody.
    pub fn is_muted(&self) -> bool {
        self.is_open() && !self.muted_by.is_empty()
    }

    /// It is stored, and an incident waits for more like it.
    pub fn is_waiting(&self) -> bool {
        !self.threshold_hits.is_empty()
    }
}

/// That an alert is part of an incident, and why.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Membership {
    /// The incident.
    pub incident: IncidentId,
    /// The alert.
    pub alert: AlertId,
    /// The strongest reason's kind.
    pub strategy: Strategy,
    /// The strongest reason's score, 0 to 1.
    pub score: f64,
    /// All reasons, strongest first.
    #[serde(default)]
    pub reasons: Vec<Reason>,
    /// Since when.
    pub at: Time,
}
