//! Times as senders write them.

use jiff::{Timestamp, civil::DateTime, tz::TimeZone};
use serde_json::Value;

use crate::model::Time;

/// Any accepted form: RFC 3339 with any offset and fraction, ISO without zone (UTC), `… UTC`, and epochs in seconds,
/// milliseconds, microseconds or nanoseconds as number or text. Year 1, zero and anything negative mean absent.
pub(super) fn time(value: &Value) -> Option<Time> {
    match value {
        Value::Number(n) => n.as_i64().map_or_else(|| n.as_f64().and_then(epoch_fraction), epoch),
        Value::String(s) => parse(s),
        _ => None,
    }
}

/// The same, from text.
pub(super) fn parse(text: &str) -> Option<Time> {
    let text = text.trim();
    if let Ok(n) = text.parse::<i64>() {
        return epoch(n);
    }
    if text.len() < 40 && text.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
        return text.parse().ok().and_then(epoch_fraction);
    }
    let text = ["UTC", "GMT", "utc"].iter().find_map(|zone| text.strip_suffix(zone)).unwrap_or(text).trim_end();
    let text = near_offset(&short_fraction(text));
    let time = match text.parse::<Timestamp>() {
        Ok(at) => at,
        Err(_) => text.parse::<DateTime>().ok()?.to_zoned(TimeZone::UTC).ok()?.timestamp(),
    };
    Some(Time::from(time)).filter(|t| t.millis() > 0)
}

fn epoch(n: i64) -> Option<Time> {
    let ms = match n {
        ..=0 => return None,
        1..100_000_000_000 => n * 1000,
        100_000_000_000..100_000_000_000_000 => n,
        100_000_000_000_000..100_000_000_000_000_000 => n / 1000,
        _ => n / 1_000_000,
    };
    Some(Time::from_millis(ms))
}

fn epoch_fraction(n: f64) -> Option<Time> {
    let ms = match n {
        n if n.is_nan() || n <= 0.0 => return None,
        n if n < 1e11 => n * 1e3,
        n if n < 1e14 => n,
        n if n < 1e17 => n / 1e3,
        n => n / 1e6,
    };
    #[allow(clippy::cast_possible_truncation, reason = "a float outside i64 saturates, and times are clamped")]
    Some(Time::from_millis(ms as i64)).filter(|t| t.millis() > 0)
}

/// More than nine digits of a second's fraction say nothing and are refused by the parser.
fn short_fraction(text: &str) -> String {
    let Some((head, tail)) = text.split_once('.') else { return text.to_owned() };
    let digits = tail.bytes().take_while(u8::is_ascii_digit).count();
    let (fraction, zone) = tail.split_at_checked(digits).unwrap_or((tail, ""));
    format!("{head}.{}{zone}", fraction.get(..9).unwrap_or(fraction))
}

/// GitLab leaves a space before the offset: `2026-03-03 10:28:00 +0200`.
fn near_offset(text: &str) -> String {
    match text.rsplit_once(' ') {
        Some((head, offset)) if offset.starts_with(['+', '-']) => format!("{}{offset}", head.trim_end()),
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_form_is_read() {
        let want = "2026-03-03T10:30:00.000Z";
        for value in [
            json!("2026-03-03T10:30:00Z"),
            json!("2026-03-03T11:30:00.000000000+01:00"),
            json!("2026-03-03T10:30:00.0000000Z"),
            json!("2026-03-03T10:30:00.00000000000012Z"),
            json!("2026-03-03T10:30:00+0000"),
            json!("2026-03-03 12:30:00 +0200"),
            json!("2026-03-03T10:30:00"),
            json!("2026-03-03 10:30:00"),
            json!("2026-03-03 10:30:00 UTC"),
            json!(" 2026-03-03 10:30:00.000 "),
            json!(1_772_533_800),
            json!(1_772_533_800_000_i64),
            json!(1_772_533_800_000_000_i64),
            json!(1_772_533_800_000_000_000_i64),
            json!(1_772_533_800.0),
            json!("1772533800"),
            json!("1772533800000"),
            json!("1772533800.000"),
        ] {
            assert_eq!(time(&value).map(|t| t.to_string()).as_deref(), Some(want), "{value}");
        }
    }

    #[test]
    fn absent_and_senseless_times_are_none() {
        for value in [
            json!("0001-01-01T00:00:00Z"),
            json!("1970-01-01T00:00:00Z"),
            json!(0),
            json!(-1),
            json!("-1"),
            json!("0"),
            json!(-1.5),
            json!(""),
            json!("yesterday"),
            json!(".."),
            json!(null),
            json!([1]),
        ] {
            assert_eq!(time(&value), None, "{value}");
        }
        assert!(time(&json!(i64::MAX)).is_some() && time(&json!(1e300)).is_some() && time(&json!(u64::MAX)).is_some());
    }
}
