//! Single fields of a row, without reading the rest: lists look at thousands of rows to find the fifty that they show.
//!
//! A reader that makes a value of the whole row, even one that leaves fields out, checks every text in it. Here what is not
//! wanted is stepped over by its length, and nothing is read after the last field that is.

use serde::Deserialize;

use super::{StoreError, codec};

/// The values of the named fields of a row without its tag, as bytes; none for fields that it does not have.
pub fn fields<'a, const N: usize>(row: &'a [u8], names: [&str; N]) -> Result<[Option<&'a [u8]>; N], StoreError> {
    let mut found = [None; N];
    let mut missing = N;
    let mut rest = Rest(row);
    for _ in 0..rest.map().ok_or_else(damaged)? {
        if missing == 0 {
            break;
        }
        let name = rest.text().ok_or_else(damaged)?;
        let value = rest.value().ok_or_else(damaged)?;
        let wanted = names.iter().zip(&mut found).find(|(n, slot)| slot.is_none() && n.as_bytes() == name);
        if let Some((_, slot)) = wanted {
            *slot = Some(value);
            missing -= 1;
        }
    }
    Ok(found)
}

/// A field that every row has.
pub fn value<'a, T: Deserialize<'a>>(bytes: Option<&'a [u8]>) -> Result<T, StoreError> {
    codec::value(bytes.ok_or_else(damaged)?)
}

/// A field that may be missing, or empty.
pub fn optional<'a, T: Deserialize<'a>>(bytes: Option<&'a [u8]>) -> Result<Option<T>, StoreError> {
    bytes.map_or(Ok(None), codec::value)
}

/// A text that may be missing; empty then.
pub fn text(bytes: Option<&[u8]>) -> Result<&str, StoreError> {
    Ok(optional::<&str>(bytes)?.unwrap_or_default())
}

fn damaged() -> StoreError {
    StoreError::Damaged("a row cannot be read: it is no list of fields".to_owned())
}

/// What is left of a row in MessagePack. Every step is none where the row ends too early or is something else.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn take(&mut self, n: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(n)?;
        self.0 = rest;
        Some(taken)
    }

    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    /// A length of that many bytes.
    fn length(&mut self, bytes: usize) -> Option<usize> {
        Some(self.take(bytes)?.iter().fold(0, |n, b| (n << 8) | usize::from(*b)))
    }

    fn map(&mut self) -> Option<usize> {
        match self.byte()? {
            marker @ 0x80..=0x8f => Some(usize::from(marker & 0x0f)),
            0xde => self.length(2),
            0xdf => self.length(4),
            _ => None,
        }
    }

    fn text(&mut self) -> Option<&'a [u8]> {
        let length = match self.byte()? {
            marker @ 0xa0..=0xbf => usize::from(marker & 0x1f),
            0xd9 => self.length(1)?,
            0xda => self.length(2)?,
            0xdb => self.length(4)?,
            _ => return None,
        };
        self.take(length)
    }

    /// The next value, whatever it is, with all that is in it. Not recursive: depth costs nothing.
    fn value(&mut self) -> Option<&'a [u8]> {
        let all = self.0;
        let mut left = 1usize;
        while left > 0 {
            left -= 1;
            let (skip, inside) = match self.byte()? {
                // Small numbers, nil, booleans.
                0x00..=0x7f | 0xe0..=0xff | 0xc0..=0xc3 => (0, 0),
                marker @ 0x80..=0x8f => (0, 2 * usize::from(marker & 0x0f)),
                marker @ 0x90..=0x9f => (0, usize::from(marker & 0x0f)),
                marker @ 0xa0..=0xbf => (usize::from(marker & 0x1f), 0),
                // Bytes and texts after their length.
                0xc4 | 0xd9 => (self.length(1)?, 0),
                0xc5 | 0xda => (self.length(2)?, 0),
                0xc6 | 0xdb => (self.length(4)?, 0),
                // Extensions have a byte for their type.
                0xc7 => (self.length(1)?.checked_add(1)?, 0),
                0xc8 => (self.length(2)?.checked_add(1)?, 0),
                0xc9 => (self.length(4)?.checked_add(1)?, 0),
                marker @ 0xd4..=0xd8 => (1 + (1 << (marker - 0xd4)), 0),
                // Numbers of one to eight bytes.
                0xcc | 0xd0 => (1, 0),
                0xcd | 0xd1 => (2, 0),
                0xca | 0xce | 0xd2 => (4, 0),
                0xcb | 0xcf | 0xd3 => (8, 0),
                0xdc => (0, self.length(2)?),
                0xdd => (0, self.length(4)?),
                0xde => (0, self.length(2)?.checked_mul(2)?),
                0xdf => (0, self.length(4)?.checked_mul(2)?),
            };
            self.take(skip)?;
            left = left.checked_add(inside)?;
        }
        all.get(..all.len() - self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn fields_are_found_whatever_stands_before_them() {
        let long = "x".repeat(70_000);
        let before = [
            json!(null),
            json!(true),
            json!(0),
            json!(-1),
            json!(-200),
            json!(70_000),
            json!(5_000_000_000u64),
            json!(-5_000_000_000i64),
            json!(1.5),
            json!("short"),
            json!("y".repeat(200)),
            json!(long),
            json!(vec![1; 20]),
            json!((0..70_000).collect::<Vec<_>>()),
            json!({"a": {"b": [{}, [], "c"]}}),
            Value::Object((0..300).map(|n| (n.to_string(), json!(n))).collect()),
        ];
        for value_before in before {
            let row = codec::encode(&BTreeMap::from([
                ("a", value_before.clone()),
                ("b", json!("found")),
                ("c", json!(null)),
                ("d", json!([1, 2])),
            ]))
            .unwrap();
            let row = codec::plain(&row).unwrap();
            let [b, c, d, e, a] = fields(&row, ["b", "c", "d", "e", "a"]).unwrap();
            assert_eq!(value::<&str>(b).unwrap(), "found");
            assert_eq!(optional::<&str>(b).unwrap(), Some("found"));
            assert_eq!((optional::<&str>(c).unwrap(), optional::<u8>(e).unwrap()), (None, None));
            assert_eq!(value::<Vec<u8>>(d).unwrap(), [1, 2]);
            assert_eq!(value::<Value>(a).unwrap(), value_before);
            assert!(value::<u8>(e).is_err(), "a field that is missing");
        }
    }

    #[test]
    fn bytes_and_extensions_are_stepped_over() {
        for before in [
            &b"\xc4\x02xy"[..],
            b"\xc5\x00\x01x",
            b"\xc6\x00\x00\x00\x01x",
            b"\xc7\x02\x09xy",
            b"\xc8\x00\x01\x09x",
            b"\xc9\x00\x00\x00\x01\x09x",
            b"\xd4\x09x",
            b"\xd6\x09abcd",
            b"\xd8\x090123456789abcdef",
            b"\xca0000",
        ] {
            let row = [b"\x82\xa1a", before, b"\xa1b\x07"].concat();
            let [b] = fields(&row, ["b"]).unwrap();
            assert_eq!(value::<u8>(b).unwrap(), 7, "{before:?}");
        }
    }

    proptest! {
        #[test]
        fn damage_is_an_error_not_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let row = [&[0xde, 0xff, 0xff, 0xa1, b'a'], bytes.as_slice()].concat();
            let _ = fields(&row, ["b"]);
            let _ = fields(&bytes, ["b"]);
        }
    }
}
