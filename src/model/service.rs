//! Services: what is declared of them, and what alerts told about who calls whom.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Platform, Time};

/// A service as people declare it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Service {
    /// Its name; the one shown everywhere.
    pub name: String,
    /// Other names of it in alerts: tags, entity ids, names of jobs.
    #[serde(default)]
    pub aliases: Vec<String>,
    /// Names of the services that it calls.
    #[serde(default)]
    pub depends_on: Vec<String>,
    /// Machines it runs on.
    #[serde(default)]
    pub hosts: Vec<String>,
    /// Person or team.
    #[serde(default)]
    pub owner: Option<String>,
    /// How important it is, in the words of the house: `1`, `gold`.
    #[serde(default)]
    pub tier: Option<String>,
    /// Where its runbook is.
    #[serde(default)]
    pub runbook_url: Option<String>,
    /// Selector of its series in Prometheus, for investigations.
    #[serde(default)]
    pub prometheus: Option<String>,
    /// Address of the Netdata agent of its host, for investigations.
    #[serde(default)]
    pub netdata: Option<String>,
}

/// That one service calls another, as labels of alerts told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct LearnedEdge {
    /// The service that calls.
    pub from: String,
    /// The service that is called.
    pub to: String,
    /// Alerts that said so.
    pub count: u64,
    /// The first of them.
    pub first_at: Time,
    /// The latest of them.
    pub last_at: Time,
    /// Who sent the latest.
    #[schema(value_type = String)]
    pub platform: Platform,
    /// Who said that it is not so; such an edge counts for nothing, and is kept so that it is not learned anew.
    #[serde(default)]
    pub dismissed_by: Option<String>,
    /// When they said so.
    #[serde(default)]
    pub dismissed_at: Option<Time>,
}

impl LearnedEdge {
    /// Nobody said that it is not so.
    pub fn holds(&self) -> bool {
        self.dismissed_by.is_none()
    }
}
