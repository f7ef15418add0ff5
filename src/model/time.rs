//! Points in time, to the millisecond.

use std::{fmt, str::FromStr, time::Duration};

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Milliseconds since 1970-01-01T00:00:00Z; may be negative. JSON: RFC 3339 in UTC with three digits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(i64);

/// The text is not a time in RFC 3339.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not a time such as 2026-03-03T10:30:00Z")]
pub struct ParseTimeError(String);

impl Time {
    /// The earliest and the latest moment that RFC 3339 can write (years 0001 to 9998, so that offsets fit).
    const MIN: i64 = -62_135_596_800_000;
    const MAX: i64 = 253_339_228_800_000;

    /// From milliseconds since the epoch, clamped to what RFC 3339 can write.
    pub const fn from_millis(ms: i64) -> Self {
        if ms < Self::MIN {
            Self(Self::MIN)
        } else if ms > Self::MAX {
            Self(Self::MAX)
        } else {
            Self(ms)
        }
    }

    /// From whole seconds since the epoch.
    pub const fn from_secs(s: i64) -> Self {
        Self::from_millis(s.saturating_mul(1000))
    }

    /// Milliseconds since the epoch.
    pub const fn millis(self) -> i64 {
        self.0
    }

    /// This time plus `d`.
    #[must_use]
    pub fn plus(self, d: Duration) -> Self {
        Self::from_millis(self.0.saturating_add(i64::try_from(d.as_millis()).unwrap_or(i64::MAX)))
    }

    /// This time minus `d`.
    #[must_use]
    pub fn minus(self, d: Duration) -> Self {
        Self::from_millis(self.0.saturating_sub(i64::try_from(d.as_millis()).unwrap_or(i64::MAX)))
    }

    /// How long after `earlier` this is; zero when it is not after it, so that no duration is ever negative.
    pub fn since(self, earlier: Time) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// The distance between two times, whichever is first.
    pub fn distance(self, other: Time) -> Duration {
        Duration::from_millis(self.0.abs_diff(other.0))
    }

    /// The same moment as jiff has it, for calendars and formats.
    pub fn timestamp(self) -> Timestamp {
        Timestamp::from_millisecond(self.0).unwrap_or(Timestamp::UNIX_EPOCH)
    }
}

impl From<Timestamp> for Time {
    fn from(t: Timestamp) -> Self {
        Self::from_millis(t.as_millisecond())
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3}", self.timestamp())
    }
}

impl FromStr for Time {
    type Err = ParseTimeError;
    fn from_str(s: &str) -> Result<Self, ParseTimeError> {
        s.trim().parse::<Timestamp>().map(Time::from).map_err(|_| ParseTimeError(s.to_owned()))
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        if s.is_human_readable() { s.collect_str(self) } else { s.serialize_i64(self.0) }
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        if d.is_human_readable() {
            String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
        } else {
            i64::deserialize(d).map(Self::from_millis)
        }
    }
}

impl utoipa::PartialSchema for Time {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        utoipa::openapi::ObjectBuilder::new()
            .schema_type(utoipa::openapi::schema::Type::String)
            .format(Some(utoipa::openapi::SchemaFormat::KnownFormat(utoipa::openapi::KnownFormat::DateTime)))
            .into()
    }
}

impl utoipa::ToSchema for Time {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_milliseconds_and_reads_offsets() {
        let t: Time = "2026-03-03T11:30:00.1239999+01:00".parse().unwrap();
        assert_eq!(t.to_string(), "2026-03-03T10:30:00.123Z");
        assert_eq!(serde_json::to_string(&t).unwrap(), "\"2026-03-03T10:30:00.123Z\"");
        let compact = rmp_serde::to_vec(&t).unwrap();
        assert_eq!(rmp_serde::from_slice::<Time>(&compact).unwrap(), t);
    }

    #[test]
    fn extremes_stay_writable_and_durations_never_negative() {
        for ms in [i64::MIN, -1, 0, i64::MAX] {
            let t = Time::from_millis(ms);
            assert_eq!(t.to_string().parse::<Time>().unwrap(), t);
            assert!(t.plus(Duration::MAX) >= t && t.minus(Duration::MAX) <= t);
        }
        assert_eq!(Time::from_secs(1).since(Time::from_secs(5)), Duration::ZERO);
        assert_eq!(Time::from_secs(1).distance(Time::from_secs(5)), Duration::from_secs(4));
    }
}
