//! How rows are written: one tag byte, then MessagePack with field names, so that a field can be added without a
//! migration. Bodies are packed and compressed by `intake`.

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::StoreError;

const TAG: u8 = 1;
/// What we write is nested less: JSON is read to 128 levels. A damaged row must not use up the stack.
const DEPTH: usize = 200;

/// A row as bytes.
pub fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, StoreError> {
    let mut out = vec![TAG];
    rmp_serde::encode::write_named(&mut out, value)
        .map_err(|e| StoreError::Damaged(format!("a row cannot be written: {e}")))?;
    Ok(out)
}

/// Bytes as a row.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, StoreError> {
    value(untagged(bytes)?)
}

/// A row without its tag.
pub fn untagged(bytes: &[u8]) -> Result<&[u8], StoreError> {
    match bytes.split_first() {
        Some((&TAG, rest)) => Ok(rest),
        Some((tag, _)) => Err(StoreError::Damaged(format!("a row has the unknown tag {tag}"))),
        None => Err(StoreError::Damaged("a row is empty".to_owned())),
    }
}

/// A value of a row.
pub fn value<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, StoreError> {
    let mut row = rmp_serde::Deserializer::from_read_ref(bytes);
    row.set_max_depth(DEPTH);
    T::deserialize(&mut row).map_err(|e| StoreError::Damaged(format!("a row cannot be read: {e}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::*;

    #[test]
    fn rows_come_back_as_they_were() {
        let mut signal = Signal::new("grafana:a", "a title");
        signal.started_at = Some(Time::from_millis(1_772_500_000_123));
        signal.identity.fields.push(("fingerprint".into(), "a".into()));
        let delivery = Delivery {
            seq: 9,
            id: DeliveryId::new(Time::from_secs(1), 9),
            at: Time::from_secs(1),
            platform: "grafana".into(),
            outcome: DeliveryOutcome::Accepted,
            problem: None,
            headers: vec![("user-agent".into(), "Grafana".into())],
            body: b"{\"a\":[1,2.5,null]}".to_vec(),
            parsed: Parsed { signals: vec![signal], ..Parsed::default() },
            replay_of: None,
        };
        assert_eq!(decode::<Delivery>(&encode(&delivery).unwrap()).unwrap(), delivery);
        let evidence = Evidence {
            id: "E1".into(),
            kind: EvidenceKind::Alert,
            title: "t".into(),
            at: Time::from_secs(1),
            url: None,
            data: serde_json::json!({"a": [1, -2, 2.5, null, "x", {"b": true}]}),
        };
        assert_eq!(decode::<Evidence>(&encode(&evidence).unwrap()).unwrap(), evidence);
    }

    #[test]
    fn damage_is_an_error_not_a_panic() {
        let deep = [&[TAG][..], &[0x91; 100_000]].concat();
        assert!(decode::<serde_json::Value>(&deep).is_err());
        for bytes in [&b""[..], b"\x02", b"\x01", b"\x01\xc1\xff"] {
            assert!(decode::<Incident>(bytes).is_err(), "{bytes:?}");
        }
    }
}
