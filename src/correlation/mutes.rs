//! What mutes an alert, and when. Pure: the caller gives the time.

mod index;
mod matchers;
mod schedule;

pub use index::Index;
pub use matchers::{Facts, Matchers, matchers};
pub use schedule::{Window, active, check_schedule, look_at, near_end, next_change, occurrences, quiet_end, window};

/// Whether an incident calls for somebody, as far as mutes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// None of its alerts burns.
    Quiet,
    /// None of those that burn is muted.
    Loud,
    /// Some of those that burn are muted; it calls all the same.
    Partly,
    /// All that burn are muted: it calls for nobody.
    Muted,
}

impl Verdict {
    /// Somebody is to be told.
    pub const fn tells(self) -> bool {
        matches!(self, Self::Loud | Self::Partly)
    }
}

/// The verdict on an incident with so many open alerts, and so many of them muted.
pub const fn verdict(open: u64, muted: u64) -> Verdict {
    match (open, muted) {
        (0, _) => Verdict::Quiet,
        (_, 0) => Verdict::Loud,
        (open, muted) if muted >= open => Verdict::Muted,
        _ => Verdict::Partly,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_alert_that_is_not_muted_is_enough() {
        for (open, muted, want) in [
            (0, 0, Verdict::Quiet),
            (3, 0, Verdict::Loud),
            (3, 1, Verdict::Partly),
            (3, 2, Verdict::Partly),
            (3, 3, Verdict::Muted),
            (1, 1, Verdict::Muted),
        ] {
            assert_eq!(verdict(open, muted), want, "{muted} of {open}");
            assert_eq!(want.tells(), open > muted, "{want:?}");
        }
    }
}
