//! How rows are written: one tag byte, then MessagePack with field names, so that a field can be added without a
//! migration. Rows of tables are compressed against a dictionary, which makes the names nearly free; deliveries are not,
//! because `pack` compresses neighbours together.

use std::{borrow::Cow, sync::LazyLock};

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{StoreError, squeeze::Dictionary};

const PLAIN: u8 = 1;
/// After the tag the length before compression, then an LZ4 block that begins where `DICTIONARY` ends.
const SQUEEZED: u8 = 2;
/// The same with `FIRST_SMALL` as its dictionary: still read, no longer written.
const FIRST_SMALL_SQUEEZED: u8 = 3;
/// The same with `SMALL` as its dictionary.
const SMALL_SQUEEZED: u8 = 4;
/// Typical rows, the most frequent kind last. Never to be changed: what is stored refers to its bytes. Another one needs a
/// tag of its own.
const DICTIONARY: &[u8] = include_bytes!("rows.dict");
/// The small rows among them.
const FIRST_SMALL: &[u8] = DICTIONARY.split_at(FIRST_SMALL_END).0.split_at(FIRST_SMALL_BEGIN).1;
const FIRST_SMALL_BEGIN: usize = 1237;
const FIRST_SMALL_END: usize = 1964;
/// These, and the sentences of the correlator, of which each membership has some. It is no longer than that because it is
/// to stay in the nearest cache: there are four small rows to an alert. Never to be changed, either.
const SMALL: &[u8] = include_bytes!("small.dict");
/// Rows of up to this many bytes are small.
const SMALL_ROW: usize = 700;
static DICTIONARY_INDEXED: LazyLock<Dictionary> = LazyLock::new(|| Dictionary::new(DICTIONARY));
static SMALL_INDEXED: LazyLock<Dictionary> = LazyLock::new(|| Dictionary::new(SMALL));
/// What is shorter gains too little.
const WORTH_SQUEEZING: usize = 128;
/// Most rows are shorter.
const ROW: usize = 1024;
/// What we write is nested less: JSON is read to 128 levels. A damaged row must not use up the stack.
const DEPTH: usize = 200;

/// A row as bytes.
pub fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, StoreError> {
    encode_about(value, ROW)
}

/// The same for a row of about so many bytes, so that it is not copied while it grows.
pub fn encode_about<T: Serialize>(value: &T, bytes: usize) -> Result<Vec<u8>, StoreError> {
    let mut out = Vec::with_capacity(bytes);
    out.push(PLAIN);
    rmp_serde::encode::write_named(&mut out, value)
        .map_err(|e| StoreError::Damaged(format!("a row cannot be written: {e}")))?;
    Ok(out)
}

/// A row as bytes, for a table.
pub fn encode_row<T: Serialize>(value: &T) -> Result<Vec<u8>, StoreError> {
    let plain = encode(value)?;
    let body = plain.get(1..).unwrap_or_default();
    let Some(length) = u32::try_from(body.len()).ok().filter(|_| body.len() >= WORTH_SQUEEZING) else {
        return Ok(plain);
    };
    let (tag, dictionary, indexed) = if body.len() > SMALL_ROW {
        (SQUEEZED, DICTIONARY, &DICTIONARY_INDEXED)
    } else {
        (SMALL_SQUEEZED, SMALL, &SMALL_INDEXED)
    };
    let mut squeezed = Vec::with_capacity(body.len() + 64);
    squeezed.push(tag);
    squeezed.extend_from_slice(&length.to_le_bytes());
    if indexed.squeeze(body, &mut squeezed).is_none() {
        squeezed.extend(lz4_flex::block::compress_with_dict(body, dictionary));
    }
    Ok(if squeezed.len() < plain.len() { squeezed } else { plain })
}

/// Two rows of fifteen fields together at most as one, the fields of the first before those of the second.
pub fn joined(first: &[u8], second: &[u8]) -> Result<Vec<u8>, StoreError> {
    match (first.split_at_checked(2), second.split_at_checked(2)) {
        (Some(([PLAIN, a @ 0x80..=0x8f], before)), Some(([PLAIN, b @ 0x80..=0x8f], after)))
            if (a & 15) + (b & 15) < 16 =>
        {
            Ok([&[PLAIN, a + (b & 15)], before, after].concat())
        }
        _ => Err(StoreError::Damaged("a row cannot be written: its parts are no short lists of fields".to_owned())),
    }
}

/// Bytes as a row.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, StoreError> {
    value(&plain(bytes)?)
}

/// A row without its tag, as MessagePack.
pub fn plain(bytes: &[u8]) -> Result<Cow<'_, [u8]>, StoreError> {
    match bytes.split_first() {
        Some((&PLAIN, rest)) => Ok(Cow::Borrowed(rest)),
        Some((&tag @ (SQUEEZED | FIRST_SMALL_SQUEEZED | SMALL_SQUEEZED), rest)) => {
            let dictionary = match tag {
                SQUEEZED => DICTIONARY,
                FIRST_SMALL_SQUEEZED => FIRST_SMALL,
                _ => SMALL,
            };
            let (length, block) = rest.split_first_chunk::<4>().ok_or_else(|| damaged("it ends too early"))?;
            let length = u32::from_le_bytes(*length) as usize;
            // The length is believed: damage must not ask for more memory than any block can unpack to.
            if length / 255 > block.len() {
                return Err(damaged("it says that it is longer than it can be"));
            }
            let row = lz4_flex::block::decompress_with_dict(block, length, dictionary);
            row.map(Cow::Owned).map_err(|e| damaged(&e.to_string()))
        }
        Some((tag, _)) => Err(damaged(&format!("it has the unknown tag {tag}"))),
        None => Err(damaged("it is empty")),
    }
}

fn damaged(why: &str) -> StoreError {
    StoreError::Damaged(format!("a row cannot be read: {why}"))
}

/// A value of a row.
pub fn value<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, StoreError> {
    let mut row = rmp_serde::Deserializer::from_read_ref(bytes);
    row.set_max_depth(DEPTH);
    T::deserialize(&mut row).map_err(|e| damaged(&e.to_string()))
}

#[cfg(test)]
mod tests {
    use sha2::Digest;

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
    fn what_is_stored_refers_to_these_dictionaries() {
        let digest = |bytes: &[u8]| {
            let digest: [u8; 32] = sha2::Sha256::digest(bytes).into();
            digest.iter().take(16).map(|b| format!("{b:02x}")).collect::<String>()
        };
        assert_eq!(digest(DICTIONARY), "dcd4155cf31778cd592a8a6cbff7f447");
        assert_eq!(digest(FIRST_SMALL), "349368484285a59753c43d51dfab58a6");
        assert_eq!(digest(SMALL), "9dcd61267b6ddcfbf277522bfeaa2386");
    }

    #[test]
    fn squeezed_rows_come_back_and_are_smaller() {
        for (length, tag) in [(20, PLAIN), (200, SMALL_SQUEEZED), (2_000, SQUEEZED), (200_000, SQUEEZED)] {
            let text = "severity critical, status firing; ".repeat(length).chars().take(length).collect::<String>();
            let row = encode_row(&text).unwrap();
            assert_eq!(row.first(), Some(&tag), "{length}");
            assert!(row.len() < length + 4, "{length}");
            assert_eq!(decode::<String>(&row).unwrap(), text);
        }
    }

    #[test]
    fn rows_of_the_first_small_dictionary_are_read() {
        let text = "strategy time_cluster, It began 15 s after the incident began".repeat(4);
        let plain = encode(&text).unwrap();
        let mut row = vec![FIRST_SMALL_SQUEEZED];
        row.extend_from_slice(&u32::try_from(plain.len() - 1).unwrap().to_le_bytes());
        Dictionary::new(FIRST_SMALL).squeeze(&plain[1..], &mut row).unwrap();
        assert!(row.len() < text.len());
        assert_eq!(decode::<String>(&row).unwrap(), text);
    }

    #[test]
    fn damage_is_an_error_not_a_panic() {
        let deep = [&[PLAIN][..], &[0x91; 100_000]].concat();
        assert!(decode::<serde_json::Value>(&deep).is_err());
        for bytes in [
            &b""[..],
            b"\x02",
            b"\x02\0\0\0\0",
            b"\x02\xff\xff\xff\xff\x01",
            b"\x03",
            b"\x04",
            b"\x05",
            b"\x01",
            b"\x01\xc1\xff",
        ] {
            assert!(decode::<Incident>(bytes).is_err(), "{bytes:?}");
        }
    }
}
