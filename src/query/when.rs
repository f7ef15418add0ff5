//! Times and durations as people write them in lists.

use std::time::Duration;

use crate::model::Time;

/// `6h`, `7d`, `30m`, `2w` before now, or a time such as `2026-03-02T15:14Z`.
pub fn time(text: &str, now: Time) -> Option<Time> {
    let text = text.trim().trim_start_matches('<');
    if let Some(ago) = duration(text) {
        return Some(now.minus(ago));
    }
    // Seconds, and the whole time of day, may be left out.
    let zoned = |suffix: &str| format!("{}{suffix}", text.trim_end_matches('Z')).parse().ok();
    text.parse().ok().or_else(|| zoned(":00Z")).or_else(|| zoned("Z")).or_else(|| zoned("T00:00:00Z"))
}

/// `90s`, `30m`, `6h`, `7d`, `2w`.
pub fn duration(text: &str) -> Option<Duration> {
    let unit = text.chars().last()?;
    let secs = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 86_400,
        'w' => 7 * 86_400,
        _ => return None,
    };
    let n: u64 = text.strip_suffix(unit)?.parse().ok()?;
    Some(Duration::from_secs(n.checked_mul(secs)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_people_write_them() {
        let now: Time = "2026-03-03T12:00:00Z".parse().unwrap();
        for (text, want) in [
            ("7d", "2026-02-24T12:00:00Z"),
            ("<12h", "2026-03-03T00:00:00Z"),
            ("2026-03-02T15:14Z", "2026-03-02T15:14:00Z"),
            ("2026-03-02T15:14:05.5+01:00", "2026-03-02T14:14:05.5Z"),
            ("2026-03-02", "2026-03-02T00:00:00Z"),
        ] {
            assert_eq!(time(text, now), Some(want.parse().unwrap()), "{text}");
        }
        assert_eq!(time("soon", now), None);
        assert_eq!(time("99999999999999999999d", now), None);
    }
}
