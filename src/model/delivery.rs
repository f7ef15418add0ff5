//! Deliveries: requests of senders, kept as they came.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    Actor, AlertId, DeliveryId, Fingerprint, HeartbeatId, IncidentId, Note, Parsed, Platform, SignalStatus, Strategy,
    Time, words,
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

/// Headers of what people declare here: who did, and from which address. No sender can have them; they are not shown.
pub const DECLARED_BY: &str = "x-watchfire-declared-by";
/// See `DECLARED_BY`.
pub const DECLARED_FROM: &str = "x-watchfire-declared-from";

/// `User-Agent` of tests that Watchfire sends itself.
pub const OWN_TEST: &str = concat!("watchfire/", env!("CARGO_PKG_VERSION"), " (test)");

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

impl Delivery {
    /// Whether Watchfire sent it itself, to try the way; of whichever version.
    pub fn is_own_test(&self) -> bool {
        let agent = self.headers.iter().find(|(name, _)| name == "user-agent").map(|(_, value)| value.as_str());
        agent.is_some_and(|a| a.starts_with("watchfire/") && a.ends_with(" (test)"))
    }

    /// Who declared it here, and from which address.
    pub fn declared_by(&self) -> Option<(Actor, Option<String>)> {
        let find = |wanted: &str| self.headers.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str());
        let who = find(DECLARED_BY).filter(|_| self.platform == "manual" && self.replay_of.is_none())?;
        let actor = match who.strip_prefix("token:") {
            Some(program) => Actor::Program(program.to_owned()),
            None => Actor::Person(who.to_owned()),
        };
        Some((actor, find(DECLARED_FROM).map(str::to_owned)))
    }

    /// The headers that its sender sent.
    pub fn sent_headers(&self) -> impl Iterator<Item = &(String, String)> {
        self.headers.iter().filter(|(name, _)| name != DECLARED_BY && name != DECLARED_FROM)
    }

    /// Whether it says nothing but that somebody tries the way.
    pub fn is_test(&self) -> bool {
        let p = &self.parsed;
        let told = p.changes.is_empty() && !p.notes.iter().any(|n| matches!(n, Note::Heartbeat(_)));
        let trying = p.notes.iter().any(|n| matches!(n, Note::Ping(_) | Note::TestToken(_)));
        told && p.signals.iter().all(|s| s.is_test) && (!p.signals.is_empty() || trying)
    }
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
    /// It is a heartbeat, and became no alert.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heartbeat: Option<HeartbeatId>,
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
