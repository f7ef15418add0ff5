use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Platform, Time, words};

words! {
    /// What was changed.
    ChangeKind {
        /// A release went out.
        Deploy = "deploy",
        /// Something was built.
        Build = "build",
        /// Configuration.
        Config = "config",
        /// A feature flag.
        Flag = "flag",
        /// Anything else.
        Other = "other",
    }
}

/// Something that people or machines changed: evidence for investigations, never an incident.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Change {
    /// Where.
    #[serde(default)]
    pub service: Option<String>,
    /// What kind.
    pub kind: ChangeKind,
    /// One line.
    pub title: String,
    /// Where to see it.
    #[serde(default)]
    pub url: Option<String>,
    /// Version, commit or build number.
    #[serde(default)]
    pub version: Option<String>,
    /// When; none means when it was received.
    #[serde(default)]
    pub at: Option<Time>,
    /// Who told us.
    #[serde(default)]
    #[schema(value_type = String)]
    pub source: Platform,
    /// How it went, in the sender's words (`SUCCESS`, `FAILURE`).
    #[serde(default)]
    pub outcome: Option<String>,
    /// Branch, author, log tail and so on.
    #[serde(default)]
    pub details: std::collections::BTreeMap<String, String>,
}
