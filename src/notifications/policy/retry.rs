//! When a message that did not get through is tried again. Pure.

use std::time::Duration;

/// The longest pause.
const LONGEST: Duration = Duration::from_secs(5 * 60);
/// What a target may ask for at most.
const ASKED: Duration = Duration::from_secs(3600);
/// After so many tries another channel is told as well.
pub const FALLBACK_AFTER: u32 = 3;
/// So many answers in a row that say that the channel is wrong, and it is given up.
pub const BROKEN_AFTER: u32 = 3;
/// So many failures in a row, of whatever kind, and a channel is given up.
pub const PAUSED_AFTER: u32 = 50;
/// A message is tried at least so often, however late it is: it may be late because nothing ran here.
pub const SOME_TRIES: u32 = 10;
/// A message is given up after this time; mail, whose servers promise to try for days, after twice that.
pub const GIVEN_UP: Duration = Duration::from_secs(24 * 3600);

/// The pause after so many tries (1 is the first), with a part of chance that `seed` decides, at least what the target
/// asked for.
pub fn pause(tries: u32, asked: Option<Duration>, seed: u64) -> Duration {
    // Between three quarters and five quarters, so that what failed together is not tried together; never above the longest.
    let doubled = Duration::from_secs(1 << tries.saturating_sub(1).min(16)).min(LONGEST * 4 / 5);
    let jitter = u32::try_from(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 55).unwrap_or(0);
    let pause = doubled * (768 + jitter) / 1024;
    pause.max(asked.unwrap_or_default().min(ASKED))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_to_five_minutes_with_a_part_of_chance() {
        for (tries, secs) in
            [(0, 1), (1, 1), (2, 2), (3, 4), (4, 8), (8, 128), (9, 240), (10, 240), (40, 240), (u32::MAX, 240)]
        {
            let all: Vec<Duration> = (0..500).map(|seed| pause(tries, None, seed)).collect();
            let (least, most) = (all.iter().min().unwrap(), all.iter().max().unwrap());
            let usual = Duration::from_secs(secs);
            assert!(
                *least >= usual * 3 / 4 && *most <= usual * 5 / 4 && *most <= LONGEST,
                "{tries}: {least:?} {most:?}"
            );
            // What failed together is spread over much of that.
            assert!(*most - *least > usual / 4, "{tries}: {least:?} {most:?}");
            assert_eq!(pause(tries, None, 7), pause(tries, None, 7));
        }
    }

    #[test]
    fn a_target_may_ask_for_longer_within_an_hour() {
        for (tries, asked, least, most) in [
            (1, 0, 0, 2),
            (1, 30, 30, 30),
            // It never makes a pause shorter.
            (10, 1, 180, 300),
            (10, 600, 600, 600),
            (1, 3_600, 3_600, 3_600),
            (1, 86_400, 3_600, 3_600),
        ] {
            let got = pause(tries, Some(Duration::from_secs(asked)), 3);
            let bounds = Duration::from_secs(least)..=Duration::from_secs(most);
            assert!(bounds.contains(&got), "{tries} {asked}: {got:?}");
        }
    }
}
