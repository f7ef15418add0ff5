//! Settings that people change on pages.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Time, words};

words! {
    /// How alerts are grouped.
    CorrelationMode {
        /// All evidence is weighed together.
        Weighted = "weighted",
        /// Any one rule is enough: same service, or within five minutes of the incident's start, or (Netdata) same host.
        Any = "any",
    }
}

// By hand: the list of words makes the type.
#[allow(clippy::derivable_impls)]
impl Default for CorrelationMode {
    fn default() -> Self {
        Self::Weighted
    }
}

/// What people set about the grouping of alerts. What is left out is as configured, or else the default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CorrelationSettings {
    /// How alerts are grouped.
    #[serde(default)]
    pub mode: Option<CorrelationMode>,
    /// An alert within this many seconds of an incident's start belongs to it (`time_cluster`).
    #[serde(default)]
    pub cluster_window_secs: Option<u32>,
    /// An alert that fires again within this many seconds of its end reopens its incident.
    #[serde(default)]
    pub reopen_within_secs: Option<u32>,
}

/// What people set about investigations. What is left out is as configured, or else the default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InvestigationSettings {
    /// How long one waits for the rest of a burst, in milliseconds.
    #[serde(default)]
    pub delay_ms: Option<u64>,
    /// How long one question to a tool may take, in milliseconds.
    #[serde(default)]
    pub question_ms: Option<u64>,
    /// How long all questions of one investigation may take, in milliseconds.
    #[serde(default)]
    pub time_ms: Option<u64>,
    /// How many questions one investigation may ask.
    #[serde(default)]
    pub questions: Option<u64>,
}

/// The same with how it came about.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InvestigationSet {
    /// What holds.
    pub settings: InvestigationSettings,
    /// Who set it.
    pub by: String,
    /// When.
    pub at: Time,
}

/// The same with how it came about.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CorrelationSet {
    /// What holds.
    pub settings: CorrelationSettings,
    /// What held before, so that it can be taken back.
    #[serde(default)]
    pub previous: CorrelationSettings,
    /// Who set it.
    pub by: String,
    /// When.
    pub at: Time,
}
