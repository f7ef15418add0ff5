//! Leaves a tool alone for a while that did not answer several times in a row, so that a storm of incidents does not wait
//! for it again and again.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crate::{model::Time, runtime::clock::Clock};

/// Failures in a row until it is left alone.
pub(super) const FAILURES: u32 = 3;
/// For so long.
const PAUSE: Duration = Duration::from_secs(60);
/// Hosts remembered; there are no more tools than that.
const REMEMBERED: usize = 1_000;

/// How hosts did.
#[derive(Debug)]
pub(super) struct Breaker {
    clock: Clock,
    // Failures in a row, and when the last was, in running time.
    hosts: Mutex<BTreeMap<String, (u32, Duration)>>,
}

impl Breaker {
    pub(super) fn new(clock: Clock) -> Self {
        Self { clock, hosts: Mutex::default() }
    }

    /// Until when it is left alone; none when it may be asked.
    pub(super) fn open(&self, host: &str) -> Option<Time> {
        let (failures, last) = self.hosts().get(host).copied()?;
        let passed = self.clock.uptime().saturating_sub(last);
        (failures >= FAILURES && passed < PAUSE).then(|| self.clock.now().plus(PAUSE - passed))
    }

    /// It answered.
    pub(super) fn answered(&self, host: &str) {
        self.hosts().remove(host);
    }

    /// It did not. After its pause one more failure is enough.
    pub(super) fn failed(&self, host: &str) {
        let now = self.clock.uptime();
        let mut hosts = self.hosts();
        if hosts.len() >= REMEMBERED {
            hosts.clear();
        }
        let (failures, last) = hosts.entry(host.to_owned()).or_insert((0, now));
        (*failures, *last) = (failures.saturating_add(1), now);
    }

    fn hosts(&self) -> MutexGuard<'_, BTreeMap<String, (u32, Duration)>> {
        self.hosts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_in_a_row_and_a_minute() {
        let clock = Clock::manual(Time::from_secs(1_000));
        let breaker = Breaker::new(clock.clone());
        breaker.failed("a");
        breaker.failed("a");
        breaker.answered("a");
        breaker.failed("a");
        breaker.failed("a");
        assert_eq!(breaker.open("a"), None, "an answer between them counts from anew");
        breaker.failed("a");
        clock.advance(Duration::from_secs(20));
        assert_eq!(breaker.open("a"), Some(Time::from_secs(1_060)));
        assert_eq!(breaker.open("b"), None);
        clock.advance(Duration::from_secs(40));
        assert_eq!(breaker.open("a"), None);
        breaker.failed("a");
        assert!(breaker.open("a").is_some(), "one more is enough then");
    }
}
