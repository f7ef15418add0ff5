//! Event time: what correlation and onset order use.

use std::time::Duration;

use crate::model::Time;

const BEFORE: Duration = Duration::from_secs(24 * 3600);
const AFTER: Duration = Duration::from_secs(5 * 60);

/// The payload's time where there is one, clamped to between 24 h before and 5 min after receipt, so that a sender's wrong
/// clock can neither hide an alert in the past nor hold an incident open in the future.
pub fn onset(sent: Option<Time>, received: Time) -> Time {
    sent.map_or(received, |t| t.clamp(received.minus(BEFORE), received.plus(AFTER)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clamps_to_a_day_before_and_five_minutes_after() {
        let now = Time::from_secs(1_772_500_000);
        for (sent, want) in [
            (None, now),
            (Some(now.minus(Duration::from_secs(60))), now.minus(Duration::from_secs(60))),
            (Some(Time::from_secs(0)), now.minus(BEFORE)),
            (Some(Time::from_secs(4_000_000_000)), now.plus(AFTER)),
        ] {
            assert_eq!(onset(sent, now), want, "{sent:?}");
        }
    }
}
