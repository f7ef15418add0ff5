//! A delivery on its way to the intake's thread: encoded, but for the number that it gets there.

use serde::Serialize;
use sha2::{Digest, Sha256};

use super::{NewDelivery, StoreError, codec};
use crate::model::{DeliveryId, DeliveryOutcome, Parsed, Platform, Problem, Time};

/// An encoded delivery without number and id.
pub struct Received {
    /// When it was received.
    pub at: Time,
    /// 128 bits of the SHA-256 of platform and the sender's retry id.
    pub retry: Option<u128>,
    rest: Vec<u8>,
}

/// The fields of `Delivery` that stand behind number and id.
#[derive(Serialize)]
struct Rest<'a> {
    at: Time,
    platform: &'a Platform,
    outcome: DeliveryOutcome,
    problem: &'a Option<Problem>,
    headers: &'a [(String, String)],
    #[serde(serialize_with = "as_bytes")]
    body: &'a [u8],
    parsed: &'a Parsed,
    replay_of: Option<u64>,
}

/// The fields before them.
#[derive(Serialize)]
struct Head {
    seq: u64,
    id: DeliveryId,
}

impl Received {
    /// Encodes it.
    pub fn new(delivery: &NewDelivery) -> Result<Self, StoreError> {
        let NewDelivery { at, platform, outcome, problem, headers, body, parsed, replay_of } = delivery;
        let rest = Rest { at: *at, platform, outcome: *outcome, problem, headers, body, parsed, replay_of: *replay_of };
        let retry = parsed.retry_id.as_deref().map(|id| retry_key(platform, id));
        // What was read from a body says much of it again, under longer names.
        Ok(Self { at: *at, retry, rest: codec::encode_about(&rest, 1024 + 2 * body.len())? })
    }

    /// About how many bytes it will take.
    pub fn size(&self) -> usize {
        self.rest.len()
    }

    /// The row of the delivery, now that its number is known.
    pub fn row(&self, seq: u64, id: DeliveryId) -> Result<Vec<u8>, StoreError> {
        codec::joined(&codec::encode_about(&Head { seq, id }, 64)?, &self.rest)
    }
}

/// What a sender's retry id is known by, for one platform.
pub(super) fn retry_key(platform: &str, id: &str) -> u128 {
    let digest = Sha256::new().chain_update(platform).chain_update([0]).chain_update(id).finalize();
    digest.iter().take(16).fold(0, |n, b| (n << 8) | u128::from(*b))
}

fn as_bytes<S: serde::Serializer>(bytes: &[u8], s: S) -> Result<S::Ok, S::Error> {
    s.serialize_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Delivery, Signal};

    #[test]
    fn a_row_put_together_is_the_row_of_the_delivery() {
        let at = Time::from_millis(1_772_500_000_123);
        let problem = Problem { code: "c".into(), detail: "d".into(), path: None };
        for (seq, problem, replay_of) in [(1, None, None), (300, Some(problem), Some(7)), (u64::MAX, None, Some(1))] {
            let new = NewDelivery {
                at,
                platform: "grafana".into(),
                outcome: DeliveryOutcome::Accepted,
                problem,
                headers: vec![("user-agent".into(), "Grafana".into())],
                body: vec![0, 255, b'{'],
                parsed: Parsed { signals: vec![Signal::new("grafana:a", "a title")], ..Parsed::default() },
                replay_of,
            };
            let id = DeliveryId::new(at, seq);
            let row = Received::new(&new).unwrap().row(seq, id).unwrap();
            let NewDelivery { at, platform, outcome, problem, headers, body, parsed, replay_of } = new;
            let delivery = Delivery { seq, id, at, platform, outcome, problem, headers, body, parsed, replay_of };
            assert_eq!(row, codec::encode(&delivery).unwrap());
        }
    }
}
