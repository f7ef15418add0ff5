//! Deliveries, as the API shows them.

use serde::Serialize;
use utoipa::ToSchema;

use crate::model::*;

/// A delivery as lists show it.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct DeliveryObject {
    /// Its id.
    pub id: DeliveryId,
    /// For whom.
    pub platform: String,
    /// When it was received.
    pub received_at: Time,
    /// When it was applied.
    pub applied_at: Option<Time>,
    /// What became of it.
    pub outcome: DeliveryOutcome,
    /// Why not accepted.
    pub problem: Option<Problem>,
    /// Bytes.
    pub size: u64,
    /// Alerts in it.
    pub alerts: u32,
    /// Changes in it.
    pub changes: u32,
    /// What was read besides, in words.
    pub notes: Vec<String>,
    /// Incidents touched, the first ten.
    pub incidents: Vec<IncidentId>,
    /// The first alert's title.
    pub title: Option<String>,
    /// Parsed again from this one.
    pub replay_of: Option<DeliveryId>,
}

impl DeliveryObject {
    /// From the stored row.
    pub fn of(r: &DeliveryRow) -> Self {
        Self {
            id: r.id,
            platform: r.platform.clone(),
            received_at: r.at,
            applied_at: Some(r.applied_at),
            outcome: r.outcome,
            problem: r.problem.clone(),
            size: r.size,
            alerts: r.signals,
            changes: r.changes,
            notes: r.notes.iter().map(note).collect(),
            incidents: r.incidents.clone(),
            title: r.title.clone(),
            replay_of: r.replay_of,
        }
    }
}

/// A delivery with its content.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct DeliveryDetail {
    /// As in lists.
    #[serde(flatten)]
    pub delivery: DeliveryObject,
    /// Without secrets.
    pub headers: Vec<(String, String)>,
    /// As received; none when it is no longer kept.
    pub body: Option<String>,
    /// `utf-8`, or `base64` for a body that is no text.
    pub body_encoding: &'static str,
    /// What each alert in it did.
    pub results: Vec<Applied>,
}

/// A note in words. A verification token is for the connector's page and stays out of lists.
fn note(note: &Note) -> String {
    match note {
        Note::Ping(text) | Note::Heartbeat(text) | Note::Ignored(text) | Note::Warning(text) => text.clone(),
        Note::TestToken(_) => "a verification token; the connector shows it".to_owned(),
    }
}
