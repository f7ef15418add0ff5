//! Silences and maintenance windows, and thresholds: what keeps alerts from calling for somebody.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use utoipa::ToSchema;

use super::{Fingerprint, Time, words};

words! {
    /// Which kind of mute.
    MuteKind {
        /// Made in the middle of trouble, for a while.
        Silence = "silence",
        /// Planned, once or again and again.
        Maintenance = "maintenance",
    }
}

words! {
    /// How a matcher compares.
    MatchOp {
        /// The same, but for case and surrounding space.
        Equal = "=",
        /// Not the same.
        NotEqual = "!=",
        /// The whole value fits the expression.
        Fits = "=~",
        /// The whole value does not fit the expression.
        FitsNot = "!~",
    }
}

words! {
    /// A day of the week.
    Weekday {
        /// Monday.
        Monday = "mon",
        /// Tuesday.
        Tuesday = "tue",
        /// Wednesday.
        Wednesday = "wed",
        /// Thursday.
        Thursday = "thu",
        /// Friday.
        Friday = "fri",
        /// Saturday.
        Saturday = "sat",
        /// Sunday.
        Sunday = "sun",
    }
}

words! {
    /// How often a maintenance window comes back.
    Every {
        /// On the same days of each week.
        Week = "week",
        /// On the same weekdays of each month: the second Tuesday, the last Sunday.
        Month = "month",
    }
}

words! {
    /// Where a silence or maintenance window stands.
    MuteState {
        /// It mutes now.
        Active = "active",
        /// It will.
        Scheduled = "scheduled",
        /// It will never again.
        Expired = "expired",
    }
}

words! {
    /// What makes two alerts different for a threshold.
    DistinctBy {
        /// Their identity.
        Fingerprint = "fingerprint",
        /// Their host; those without one count by their identity.
        Host = "host",
    }
}

/// A name such as `S-4` in a path is none.
#[derive(Debug, thiserror::Error)]
#[error("`{text}` is not {expected}")]
pub struct ParseMuteError {
    text: String,
    expected: &'static str,
}

/// A silence's or maintenance window's name: `S-4`, `M-5`. Numbers are given once for both and for thresholds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MuteId {
    /// Its number: the key of its row.
    pub number: u64,
    /// Which kind.
    pub kind: MuteKind,
}

impl fmt::Display for MuteId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let letter = match self.kind {
            MuteKind::Silence => "S",
            MuteKind::Maintenance => "M",
        };
        write!(f, "{letter}-{}", self.number)
    }
}

/// The number behind a letter and a hyphen.
fn numbered<'a>(text: &'a str, letters: &str) -> Option<(char, u64)> {
    let mut parts = text.splitn(2, '-');
    let letter = parts.next().filter(|p| p.len() == 1)?.chars().next()?.to_ascii_uppercase();
    let digits: &'a str = parts.next()?;
    let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    (plain && letters.contains(letter)).then(|| digits.parse().ok()).flatten().map(|n| (letter, n))
}

impl FromStr for MuteId {
    type Err = ParseMuteError;
    fn from_str(s: &str) -> Result<Self, ParseMuteError> {
        match numbered(s, "SM") {
            Some(('S', number)) => Ok(Self { number, kind: MuteKind::Silence }),
            Some((_, number)) => Ok(Self { number, kind: MuteKind::Maintenance }),
            None => Err(ParseMuteError { text: s.to_owned(), expected: "a silence or window such as S-4 or M-5" }),
        }
    }
}

/// A threshold's name: `T-2`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ThresholdId(pub u64);

impl fmt::Display for ThresholdId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "T-{}", self.0)
    }
}

impl FromStr for ThresholdId {
    type Err = ParseMuteError;
    fn from_str(s: &str) -> Result<Self, ParseMuteError> {
        let number = numbered(s, "T").map(|(_, n)| n);
        number.map(Self).ok_or_else(|| ParseMuteError { text: s.to_owned(), expected: "a threshold such as T-2" })
    }
}

macro_rules! named_id {
    ($name:ident, $example:literal) => {
        // As text in rows too: three or four bytes, and the kind is part of it.
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
                    .examples([$example])
                    .into()
            }
        }
        impl utoipa::ToSchema for $name {}
    };
}

named_id!(MuteId, "S-4");
named_id!(ThresholdId, "T-2");

/// One condition on an alert. All matchers of a mute must hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Matcher {
    /// `service`, `host`, `environment`, `platform`, `severity`, `title`, `name`, or `label.` and a label's name.
    pub field: String,
    /// How it compares.
    pub op: MatchOp,
    /// With what; an expression for `=~` and `!~`. A field that an alert does not have is empty.
    pub value: String,
}

impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.field, self.op, self.value)
    }
}

impl FromStr for Matcher {
    type Err = String;

    /// `service = api`; space around the parts does not count.
    fn from_str(s: &str) -> Result<Self, String> {
        let at = s.find(['=', '!']).filter(|at| *at > 0);
        let (field, rest) = at
            .and_then(|at| s.split_at_checked(at))
            .ok_or_else(|| format!("`{s}` has no =, !=, =~ or !~; a matcher is written as service = checkout"))?;
        let (op, value) = [MatchOp::Fits, MatchOp::FitsNot, MatchOp::NotEqual, MatchOp::Equal]
            .iter()
            .find_map(|op| rest.strip_prefix(op.as_str()).map(|value| (*op, value)))
            .ok_or_else(|| format!("`{s}` has no =, !=, =~ or !~; a matcher is written as service = checkout"))?;
        Ok(Self { field: field.trim().to_owned(), op, value: value.trim().to_owned() })
    }
}

/// When a maintenance window comes back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Recurrence {
    /// How often.
    pub every: Every,
    /// On which days.
    pub days: Vec<Weekday>,
    /// For `month`: the first to fifth of these days in the month, or −1 for the last.
    #[serde(default)]
    pub nth: Option<i8>,
    /// When on the clock of the time zone: `02:00`. A time that a change of the clocks leaves out is an hour later; of one
    /// that comes twice it is the first.
    pub at: String,
    /// How long, in minutes that pass; a change of the clocks makes it neither longer nor shorter.
    pub minutes: u32,
    /// IANA name: `Europe/Berlin`.
    pub time_zone: String,
}

/// A silence or maintenance window.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Mute {
    /// Its name.
    pub id: MuteId,
    /// What it mutes: alerts that fit all of these.
    pub matchers: Vec<Matcher>,
    /// From when; with a recurrence, no window begins before this.
    pub starts_at: Time,
    /// Until when; always there without a recurrence.
    #[serde(default)]
    pub ends_at: Option<Time>,
    /// Ends so many minutes after the last alert that it mutes has resolved, if that is before `ends_at`.
    #[serde(default)]
    pub quiet_minutes: Option<u32>,
    /// Comes back.
    #[serde(default)]
    pub recurrence: Option<Recurrence>,
    /// Who made it.
    pub author: String,
    /// What for.
    pub reason: String,
    /// When it was made.
    pub created_at: Time,
    /// When a person last changed it.
    pub updated_at: Time,
    /// Who did.
    #[serde(default)]
    pub updated_by: Option<String>,
    /// When it ended for good.
    #[serde(default)]
    pub ended_at: Option<Time>,
    /// How it ended, in one sentence.
    #[serde(default)]
    pub ended_how: Option<String>,
    /// It mutes now, until then; kept by the writer.
    #[serde(default)]
    pub on_until: Option<Time>,
    /// When the writer must look at it again.
    #[serde(default)]
    pub look_at: Option<Time>,
    /// Since when nothing that it mutes burns, after something did.
    #[serde(default)]
    pub quiet_since: Option<Time>,
    /// The end for which the warning was given.
    #[serde(default)]
    pub warned_of: Option<Time>,
    /// Open alerts that it mutes now.
    #[serde(default)]
    pub muted_now: u64,
    /// Alerts that it ever muted.
    #[serde(default)]
    pub muted_alerts: u64,
    /// Incidents of which it ever muted an alert.
    #[serde(default)]
    pub muted_incidents: u64,
    /// When it last muted one that it had not muted before, or one that fired again.
    #[serde(default)]
    pub last_matched_at: Option<Time>,
}

impl Mute {
    /// Where it stands.
    pub fn state(&self) -> MuteState {
        match (self.ended_at, self.on_until) {
            (Some(_), _) => MuteState::Expired,
            (None, Some(_)) => MuteState::Active,
            (None, None) => MuteState::Scheduled,
        }
    }

    /// It was warned of the end that is next, and alerts that it mutes still burn.
    pub fn ends_soon(&self, now: Time) -> bool {
        self.on_until.is_some_and(|end| self.warned_of == Some(end) && end > now) && self.muted_now > 0
    }
}

/// A number of alerts that must come before an incident is opened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Threshold {
    /// Its name.
    pub id: ThresholdId,
    /// Which alerts wait: those that fit all of these.
    pub matchers: Vec<Matcher>,
    /// Reached when so many were received, repeats included.
    #[serde(default)]
    pub count: Option<u32>,
    /// Reached when so many different ones were received.
    #[serde(default)]
    pub distinct: Option<u32>,
    /// What makes them different.
    pub distinct_by: DistinctBy,
    /// Within so many minutes.
    pub within_minutes: u32,
    /// Who made it.
    pub author: String,
    /// What for.
    pub reason: String,
    /// When it was made.
    pub created_at: Time,
    /// When a person last changed it.
    pub updated_at: Time,
    /// How often it was reached.
    #[serde(default)]
    pub reached: u64,
    /// When it was last reached.
    #[serde(default)]
    pub reached_at: Option<Time>,
    /// The incident that its alerts went into then.
    #[serde(default)]
    pub incident: Option<super::IncidentId>,
    /// Alerts that ever waited.
    #[serde(default)]
    pub held: u64,
    /// Alerts whose time passed without it being reached.
    #[serde(default)]
    pub passed: u64,
    /// Of them those since it was last reached.
    #[serde(default)]
    pub passed_since: u64,
}

/// An alert that waits for a threshold, as the threshold counts it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// Its identity.
    pub fingerprint: Fingerprint,
    /// Its host.
    pub host: Option<String>,
    /// When it was received, oldest first.
    pub hits: Vec<Time>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_and_written() {
        for (text, want) in [
            ("S-4", Some(MuteId { number: 4, kind: MuteKind::Silence })),
            ("m-12", Some(MuteId { number: 12, kind: MuteKind::Maintenance })),
            ("4", None),
            ("S-", None),
            ("S-+4", None),
            ("T-4", None),
            ("INC-4", None),
            ("ü-4", None),
        ] {
            let read = text.parse::<MuteId>().ok();
            assert_eq!(read, want, "{text}");
            if let Some(id) = read {
                assert_eq!(id.to_string(), text.to_uppercase());
            }
        }
        assert_eq!("t-2".parse::<ThresholdId>().unwrap().to_string(), "T-2");
        assert!("S-2".parse::<ThresholdId>().is_err());
    }

    #[test]
    fn matchers_are_read_from_a_line() {
        for (line, want) in [
            ("service=api", Some(("service", MatchOp::Equal, "api"))),
            ("host =~ db-\\d+=x", Some(("host", MatchOp::Fits, "db-\\d+=x"))),
            ("label.env != prod ", Some(("label.env", MatchOp::NotEqual, "prod"))),
            ("title !~ a!=b", Some(("title", MatchOp::FitsNot, "a!=b"))),
            ("label.team =", Some(("label.team", MatchOp::Equal, ""))),
            ("service", None),
            ("= api", None),
            ("service ! api", None),
        ] {
            let read: Option<Matcher> = line.parse().ok();
            let got = read.as_ref().map(|m| (m.field.as_str(), m.op, m.value.as_str()));
            assert_eq!(got, want, "{line}");
        }
    }
}
