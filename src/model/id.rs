//! Names of things. Alerts and deliveries are UUIDv7 whose last 62 bits are the growing number that the store gave
//! them: the id alone finds the row, without an index of random keys.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::Time;

/// The text names no incident, alert or delivery.
#[derive(Debug, thiserror::Error)]
#[error("`{text}` is not {expected}")]
pub struct ParseIdError {
    text: String,
    expected: &'static str,
}

/// An incident's number. Written `INC-42`; read with or without the prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IncidentId(pub u64);

impl fmt::Display for IncidentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "INC-{}", self.0)
    }
}

impl FromStr for IncidentId {
    type Err = ParseIdError;
    fn from_str(s: &str) -> Result<Self, ParseIdError> {
        let digits = s.get(..4).filter(|p| p.eq_ignore_ascii_case("inc-")).map_or(s, |_| s.get(4..).unwrap_or(""));
        let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
        match digits.parse() {
            Ok(n) if plain => Ok(Self(n)),
            _ => Err(ParseIdError { text: s.to_owned(), expected: "an incident such as INC-42" }),
        }
    }
}

impl Serialize for IncidentId {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        if s.is_human_readable() { s.collect_str(self) } else { s.serialize_u64(self.0) }
    }
}

impl<'de> Deserialize<'de> for IncidentId {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        if d.is_human_readable() {
            String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
        } else {
            u64::deserialize(d).map(Self)
        }
    }
}

const NUMBER_BITS: u128 = (1 << 62) - 1;

/// A UUID of version 7 made of a time and a number: the same for the same two.
pub fn numbered_uuid(at: Time, n: u64) -> Uuid {
    let ms = u128::from(u64::try_from(at.millis()).unwrap_or(0)) & ((1 << 48) - 1);
    Uuid::from_u128((ms << 80) | (0x7 << 76) | (0b10 << 62) | (u128::from(n) & NUMBER_BITS))
}

macro_rules! numbered_id {
    ($(#[$meta:meta])* $name:ident, $expected:literal) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl $name {
            /// The id of the `n`-th of its kind, made at `at`.
            pub fn new(at: Time, n: u64) -> Self {
                Self(numbered_uuid(at, n))
            }

            /// The growing number inside the id: the key of its row.
            pub fn number(self) -> u64 {
                u64::try_from(self.0.as_u128() & NUMBER_BITS).unwrap_or(0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;
            fn from_str(s: &str) -> Result<Self, ParseIdError> {
                Uuid::try_parse(s).map(Self).map_err(|_| ParseIdError { text: s.to_owned(), expected: $expected })
            }
        }

        impl utoipa::PartialSchema for $name {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
                string_schema("0192f0c4-8a00-7000-8000-000000000001")
            }
        }
        impl utoipa::ToSchema for $name {}
    };
}

numbered_id!(
    /// One alert: one identity over one episode, with its repeats.
    AlertId, "the id of an alert (a UUID)");
numbered_id!(
    /// One request of a sender, as it was received.
    DeliveryId, "the id of a delivery (a UUID)");

/// What makes two signals the same alert: the first 128 bits of the SHA-256 of its readable key. Written as 32 hex digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint(pub u128);

impl Fingerprint {
    /// The fingerprint of a readable key such as `grafana:grafana.example.com:1:a1b2c3d4`.
    pub fn of(key: &str) -> Self {
        let digest = Sha256::digest(key.as_bytes());
        let mut first = [0u8; 16];
        for (to, from) in first.iter_mut().zip(digest.iter()) {
            *to = *from;
        }
        Self(u128::from_be_bytes(first))
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl FromStr for Fingerprint {
    type Err = ParseIdError;
    fn from_str(s: &str) -> Result<Self, ParseIdError> {
        u128::from_str_radix(s, 16)
            .map(Self)
            .map_err(|_| ParseIdError { text: s.to_owned(), expected: "a fingerprint of 32 hex digits" })
    }
}

impl Serialize for Fingerprint {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        if s.is_human_readable() { s.collect_str(self) } else { self.0.to_be_bytes().serialize(s) }
    }
}

impl<'de> Deserialize<'de> for Fingerprint {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        if d.is_human_readable() {
            String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
        } else {
            <[u8; 16]>::deserialize(d).map(|b| Self(u128::from_be_bytes(b)))
        }
    }
}

fn string_schema(example: &str) -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
    utoipa::openapi::ObjectBuilder::new()
        .schema_type(utoipa::openapi::schema::Type::String)
        .examples([serde_json::Value::from(example)])
        .into()
}

impl utoipa::PartialSchema for IncidentId {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        string_schema("INC-42")
    }
}
impl utoipa::ToSchema for IncidentId {}

impl utoipa::PartialSchema for Fingerprint {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        string_schema("5f2d8c0e9a41b7d36c1e0f4a8b9d2c3e")
    }
}
impl utoipa::ToSchema for Fingerprint {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn incidents_are_read_with_and_without_prefix() {
        for (text, want) in [
            ("INC-42", Some(42)),
            ("42", Some(42)),
            ("inc-7", Some(7)),
            ("INC-", None),
            ("", None),
            ("+4", None),
            ("INC--1", None),
            ("ÄÄ", None),
        ] {
            assert_eq!(text.parse::<IncidentId>().ok().map(|i| i.0), want, "{text}");
        }
    }

    #[test]
    fn numbered_ids_are_uuid_v7_and_give_their_number_back() {
        let id = AlertId::new(Time::from_millis(1_772_500_000_123), 77);
        assert_eq!(id.0.get_version_num(), 7);
        assert_eq!(id.number(), 77);
        assert_eq!(id.to_string().parse::<AlertId>().unwrap(), id);
        assert!(AlertId::new(Time::from_millis(5), 1) < AlertId::new(Time::from_millis(6), 0));
    }

    #[test]
    fn fingerprints_survive_both_forms() {
        let f = Fingerprint::of("grafana:a");
        assert_ne!(f, Fingerprint::of("grafana:b"));
        assert_eq!(serde_json::from_str::<Fingerprint>(&serde_json::to_string(&f).unwrap()).unwrap(), f);
        assert_eq!(rmp_serde::from_slice::<Fingerprint>(&rmp_serde::to_vec(&f).unwrap()).unwrap(), f);
    }
}
