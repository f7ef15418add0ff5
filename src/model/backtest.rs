//! Backtests of settings: what the deliveries of the last days would have become.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{AlertId, CorrelationSettings, IncidentId, Time, words};

words! {
    /// Where a backtest stands.
    BacktestState {
        /// It runs.
        Running = "running",
        /// It has an outcome.
        Done = "done",
        /// A person stopped it.
        Cancelled = "cancelled",
        /// The process ended before it did.
        BrokenOff = "broken_off",
        /// It could not be done.
        Failed = "failed",
    }
}

/// A run over stored deliveries, with the present settings and with others.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Backtest {
    /// Its number.
    pub id: u64,
    /// Where it stands.
    pub state: BacktestState,
    /// What is tried.
    pub settings: CorrelationSettings,
    /// Over deliveries received from then on.
    pub since: Time,
    /// Who asked for it.
    pub by: String,
    /// When.
    pub at: Time,
    /// When it ended.
    #[serde(default)]
    pub ended_at: Option<Time>,
    /// Why it could not be done.
    #[serde(default)]
    pub error: Option<String>,
    /// What came out.
    #[serde(default)]
    pub outcome: Option<BacktestOutcome>,
}

/// What came out of a backtest.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct BacktestOutcome {
    /// When the first delivery that was played was received: the oldest may be more than can be played.
    #[serde(default)]
    pub from: Option<Time>,
    /// Deliveries played.
    pub deliveries: u64,
    /// Alerts of the whole time, after deduplication, that are part of an incident.
    pub alerts: u64,
    /// With the settings of then.
    pub now: BacktestFigures,
    /// With those that were tried.
    pub then: BacktestFigures,
    /// Alerts that would be together with others than now.
    pub regrouped: u64,
    /// Of them those whose company changes most, at most 200.
    #[serde(default)]
    pub changes: Vec<Regrouped>,
}

/// How much became how little.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BacktestFigures {
    /// Incidents, without those that are part of others.
    pub incidents: u64,
    /// Incidents of one alert.
    pub alone: u64,
    /// Alerts of the largest.
    pub largest: u64,
}

/// An alert that would be together with others.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Regrouped {
    /// The alert as it is stored.
    pub alert_id: AlertId,
    /// Its title.
    pub title: String,
    /// Its service.
    #[serde(default)]
    pub service: Option<String>,
    /// The incident that it is part of, as stored.
    #[serde(default)]
    pub incident_id: Option<IncidentId>,
    /// Alerts that it is with now, and then not.
    pub apart: u64,
    /// One of them.
    #[serde(default)]
    pub apart_from: Option<String>,
    /// Alerts that it is not with now, and then is.
    pub together: u64,
    /// One of them.
    #[serde(default)]
    pub together_with: Option<String>,
}
