//! Names of what notifications are made of: `CH-2`, `R-5`. Letters, a hyphen and a number.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A name such as `CH-4` in a path is none.
#[derive(Debug, thiserror::Error)]
#[error("`{text}` is not {expected}")]
pub struct ParseNameError {
    text: String,
    expected: &'static str,
}

/// The number behind a prefix; the bare number is read too, as people copy it.
fn number(text: &str, prefix: &str) -> Option<u64> {
    let digits = match text.split_once('-') {
        Some((letters, digits)) if letters.eq_ignore_ascii_case(prefix) => digits,
        Some(_) => return None,
        None => text,
    };
    let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    plain.then(|| digits.parse().ok()).flatten()
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident = $prefix:literal, $expected:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "-{}"), self.0)
            }
        }

        impl FromStr for $name {
            type Err = ParseNameError;
            fn from_str(s: &str) -> Result<Self, ParseNameError> {
                number(s, $prefix)
                    .map(Self)
                    .ok_or_else(|| ParseNameError { text: s.chars().take(60).collect(), expected: $expected })
            }
        }

        // As text in rows too: a few bytes, and the kind is part of it.
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
            }
        }

        impl utoipa::PartialSchema for $name {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
                utoipa::openapi::ObjectBuilder::new()
                    .schema_type(utoipa::openapi::schema::Type::String)
                    .examples([concat!($prefix, "-4")])
                    .into()
            }
        }
        impl utoipa::ToSchema for $name {}
    )*};
}

ids! {
    /// A channel's name.
    ChannelId = "CH", "a channel such as CH-2";
    /// A rule's name.
    RuleId = "R", "a rule such as R-2";
    /// A schedule's name.
    ScheduleId = "SC", "a schedule such as SC-2";
    /// An escalation policy's name.
    PolicyId = "EP", "an escalation policy such as EP-2";
    /// An expected heartbeat's name.
    HeartbeatId = "HB", "a heartbeat such as HB-2";
    /// The name of one message to one target.
    NoticeId = "N", "a notification such as N-2";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_and_written() {
        for (text, want) in [
            ("CH-4", Some(4)),
            ("ch-12", Some(12)),
            ("4", Some(4)),
            ("CH-", None),
            ("CH-+4", None),
            ("R-4", None),
            ("", None),
            ("ü-4", None),
        ] {
            let read = text.parse::<ChannelId>().ok();
            assert_eq!(read.map(|c| c.0), want, "{text}");
        }
        assert_eq!(RuleId(7).to_string(), "R-7");
    }
}
