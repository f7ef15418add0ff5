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
    let doubled = Duration::from_secs(1 << tries.saturating_sub(1).min(16)).min(LONGEST);
    // Between three quarters and five quarters, so that what failed together is not tried together.
    let jitter = u32::try_from(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 55).unwrap_or(0);
    let pause = doubled * (768 + jitter) / 1024;
    pause.max(asked.unwrap_or_default().min(ASKED))
}
