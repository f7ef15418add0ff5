//! Deliveries: requests of senders, kept as they came.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    AlertId, DeliveryId, Fingerprint, IncidentId, Note, Parsed, Platform, SignalStatus, Strategy, Time, words,
};

words! {
    /// What became of a delivery.
    DeliveryOutcome {
        /// Understood and applied.
        Accepted = "accepted",
        /// Authenticated, but turned away (switched off, over its rate, wrong signature).
        Refused = "refused",
        /// Kept, but not understood.
        Unparsed = "unparsed",
    }
}

/// Why something was not understood or not done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// Stable word for programs.
    pub code: String,
    /// What happened and what to do.
    pub detail: String,
    /// Where in the body, as a JSON pointer, or `line 3, column 7`.
    #[serde(default)]
    pub path: Option<String>,
}

/// One request as the intake keeps it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Delivery {
    /// Order of arrival; given by the intake.
    pub seq: u64,
    /// Its id; carries the same number.
    pub id: DeliveryId,
    /// When it was received.
    pub at: Time,
    /// For whom.
    pub platform: Platform,
    /// Decided at the door.
    pub outcome: DeliveryOutcome,
    /// Why not accepted, or what to know although it was.
    #[serde(default)]
    pub problem: Option<Problem>,
    /// `Content-Type`, `User-Agent` and the like; never credentials.
    #[serde(default)]
    pub headers: Vec<(String, String)>,
    /// As received, after decompression.
    #[serde(with = "serde_bytes_compat")]
    pub body: Vec<u8>,
    /// What was read from it.
    #[serde(default)]
    pub parsed: Parsed,
    /// Parsed again from an earlier delivery.
    #[serde(default)]
    pub replay_of: Option<u64>,
}

/// What one signal of a delivery did.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Applied {
    /// Identity.
    pub fingerprint: Fingerprint,
    /// What was said.
    pub status: SignalStatus,
    /// The alert; none when a resolve met nothing open.
    #[serde(default)]
    pub alert_id: Option<AlertId>,
    /// The incident.
    #[serde(default)]
    pub incident_id: Option<IncidentId>,
    /// Why there.
    #[serde(default)]
    pub strategy: Option<Strategy>,
    /// How strongly.
    #[serde(default)]
    pub correlation_score: Option<f64>,
    /// This signal opened the incident.
    #[serde(default)]
    pub new_incident: bool,
}

/// The row of a delivery for lists; body and headers stay in the intake.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DeliveryRow {
    /// Order of arrival.
    pub seq: u64,
    /// Its id.
    pub id: DeliveryId,
    /// When it was received.
    pub at: Time,
    /// When it was applied.
    pub applied_at: Time,
    /// For whom.
    pub platform: Platform,
    /// What became of it.
    pub outcome: DeliveryOutcome,
    /// Why not accepted.
    #[serde(default)]
    pub problem: Option<Problem>,
    /// Bytes.
    pub size: u64,
    /// Signals in it.
    pub signals: u32,
    /// Those of them that are tests.
    #[serde(default)]
    pub tests: u32,
    /// Changes in it.
    #[serde(default)]
    pub changes: u32,
    /// What was read besides.
    #[serde(default)]
    pub notes: Vec<Note>,
    /// Incidents touched, the first ten.
    #[serde(default)]
    pub incidents: Vec<IncidentId>,
    /// Its title for lists: the first signal's.
    #[serde(default)]
    pub title: Option<String>,
    /// Parsed again from an earlier delivery.
    #[serde(default)]
    pub replay_of: Option<DeliveryId>,
}

/// Bytes as bytes in the compact form (serde would write a list of numbers).
mod serde_bytes_compat {
    use serde::{Deserializer, Serializer, de::Visitor};

    pub fn serialize<S: Serializer>(bytes: &[u8], s: S) -> Result<S::Ok, S::Error> {
        s.serialize_bytes(bytes)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<u8>, D::Error> {
        struct Bytes;
        impl<'de> Visitor<'de> for Bytes {
            type Value = Vec<u8>;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("bytes")
            }
            fn visit_bytes<E>(self, v: &[u8]) -> Result<Vec<u8>, E> {
                Ok(v.to_vec())
            }
            fn visit_byte_buf<E>(self, v: Vec<u8>) -> Result<Vec<u8>, E> {
                Ok(v)
            }
            fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut a: A) -> Result<Vec<u8>, A::Error> {
                let mut out = Vec::new();
                while let Some(b) = a.next_element()? {
                    out.push(b);
                }
                Ok(out)
            }
        }
        d.deserialize_byte_buf(Bytes)
    }
}
