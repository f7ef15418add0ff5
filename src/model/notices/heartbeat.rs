//! Heartbeats: what must be heard from time to time, and opens an incident when it is not.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::HeartbeatId;
use crate::model::{IncidentId, Matcher, Platform, Severity, Time, words};

words! {
    /// Where a heartbeat stands.
    HeartbeatState {
        /// It was never heard.
        Waiting = "waiting",
        /// It was heard in time.
        Alive = "alive",
        /// It is missing.
        Missing = "missing",
        /// It is not looked at.
        Off = "off",
    }
}

/// What counts as a heartbeat.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum HeartbeatFrom {
    /// Any webhook of this platform that was taken.
    Platform(Platform),
    /// Alerts that fit all of these, such as `name = Watchdog`. They open no incident.
    Alerts(Vec<Matcher>),
}

/// Something that must be heard from time to time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Heartbeat {
    /// Its id.
    pub id: HeartbeatId,
    /// As people call it.
    pub name: String,
    /// What counts.
    pub from: HeartbeatFrom,
    /// At least every so many seconds.
    pub every_secs: u32,
    /// How bad its absence is.
    pub severity: Severity,
    /// It is looked at.
    pub enabled: bool,
    /// When it was last heard.
    #[serde(default)]
    pub last_at: Option<Time>,
    /// It is missing since then.
    #[serde(default)]
    pub missing_since: Option<Time>,
    /// The incident that says so.
    #[serde(default)]
    pub incident: Option<IncidentId>,
    /// When it was made.
    pub created_at: Time,
    /// By whom.
    pub created_by: String,
    /// When a person last changed it.
    pub updated_at: Time,
}

impl Heartbeat {
    /// Where it stands.
    pub fn state(&self) -> HeartbeatState {
        match (self.enabled, self.missing_since, self.last_at) {
            (false, ..) => HeartbeatState::Off,
            (true, Some(_), _) => HeartbeatState::Missing,
            (true, None, Some(_)) => HeartbeatState::Alive,
            (true, None, None) => HeartbeatState::Waiting,
        }
    }
}
