//! How often a channel is called.

use std::{collections::VecDeque, time::Duration};

use crate::model::Time;

/// When the latest calls of a channel began: no span of its rate has more of them than the rate says, because a target
/// may count in any way.
#[derive(Debug, Default)]
pub struct Pace(VecDeque<Time>);

impl Pace {
    /// So many calls began.
    pub fn called(&mut self, calls: usize, now: Time) {
        self.0.extend(std::iter::repeat_n(now, calls));
    }

    /// Until when it may not be called, if so: it takes `most` calls in `span`.
    pub fn rests(&mut self, now: Time, (most, span): (u32, Duration)) -> Option<Time> {
        // Neither what is long ago, nor what a clock that was set back has in the future.
        self.0.retain(|at| *at <= now && now.since(*at) < span);
        let more = (self.0.len() + 1).checked_sub(usize::try_from(most).unwrap_or(usize::MAX))?;
        Some(self.0.get(more.checked_sub(1)?)?.plus(span))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Calls at these times in ms, five in two seconds; until when it rests at `now`.
    fn check(calls: &[(i64, usize)], now: i64, want: Option<i64>) {
        let mut pace = Pace::default();
        for (at, many) in calls {
            pace.called(*many, Time::from_millis(*at));
        }
        let until = pace.rests(Time::from_millis(now), (5, Duration::from_secs(2)));
        assert_eq!(until.map(Time::millis), want, "{calls:?} at {now}");
    }

    #[test]
    fn no_span_has_more_calls_than_the_rate_says() {
        check(&[], 0, None);
        check(&[(0, 4)], 0, None);
        check(&[(0, 5)], 0, Some(2_000));
        check(&[(0, 5)], 1_999, Some(2_000));
        check(&[(0, 5)], 2_000, None);
        check(&[(0, 1), (300, 4)], 1_000, Some(2_000));
        check(&[(0, 1), (300, 4)], 2_000, None);
        check(&[(0, 1), (300, 4), (2_000, 1)], 2_000, Some(2_300));
        // One message took many calls.
        check(&[(0, 1), (500, 6)], 600, Some(2_500));
        // The clock was set back.
        check(&[(90_000, 5)], 1_000, None);
    }
}
