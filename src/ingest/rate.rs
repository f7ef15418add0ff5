//! How much a sender may send: a sustained rate with a burst on top, on our clock.

use std::{
    collections::HashMap,
    num::NonZeroU32,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use governor::{
    Quota, RateLimiter,
    middleware::NoOpMiddleware,
    nanos::Nanos,
    state::{InMemoryState, NotKeyed},
};

use crate::{model::Time, runtime::clock::Clock};

/// A clock that never goes back: when the machine's clock is set back, limits go on from where they were instead of
/// refusing everything until the old time comes again.
#[derive(Debug)]
pub struct Ticks {
    clock: Clock,
    last: Mutex<(Time, u64)>,
}

impl Ticks {
    /// From zero on.
    pub fn new(clock: Clock) -> Self {
        let now = clock.now();
        // Far from zero, so that limiters can look back.
        Self { clock, last: Mutex::new((now, 1 << 40)) }
    }
}

/// `Ticks` as the limiters take them.
#[derive(Clone, Debug)]
pub struct SharedTicks(std::sync::Arc<Ticks>);

impl SharedTicks {
    /// Shared by limiters.
    pub fn new(clock: Clock) -> Self {
        Self(std::sync::Arc::new(Ticks::new(clock)))
    }
}

impl governor::clock::Clock for SharedTicks {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        let now = self.0.clock.now();
        let mut last = lock(&self.0.last);
        let passed = u64::try_from(now.since(last.0).as_millis()).unwrap_or(0);
        *last = (now, last.1.saturating_add(passed));
        Nanos::from(Duration::from_millis(last.1))
    }
}

fn lock<T>(m: &Mutex<T>) -> MutexGuard<'_, T> {
    m.lock().unwrap_or_else(PoisonError::into_inner)
}

type Limiter = RateLimiter<NotKeyed, InMemoryState, SharedTicks, NoOpMiddleware<Nanos>>;

/// One limiter for each platform; remade when its rate is changed.
#[derive(Debug)]
pub struct Rates {
    ticks: SharedTicks,
    limiters: Mutex<HashMap<String, (u32, Limiter)>>,
    // Deliveries that were refused are kept as well, but not without end.
    refused: Mutex<HashMap<String, Limiter>>,
}

impl Rates {
    /// No platform yet.
    pub fn new(ticks: SharedTicks) -> Self {
        Self { ticks, limiters: Mutex::default(), refused: Mutex::default() }
    }

    /// Takes one delivery. `Err` is the seconds until the next one fits.
    pub fn take(&self, platform: &str, per_minute: u32) -> Result<(), u32> {
        let Some(rate) = NonZeroU32::new(per_minute) else { return Ok(()) };
        let mut limiters = lock(&self.limiters);
        let fresh = || (per_minute, limiter(&self.ticks, rate, burst(rate)));
        let entry = match limiters.get_mut(platform) {
            Some(entry) => entry,
            None => limiters.entry(platform.to_owned()).or_insert_with(fresh),
        };
        if entry.0 != per_minute {
            *entry = fresh();
        }
        entry.1.check().map_err(|not_until| wait_secs(&not_until, &self.ticks))
    }

    /// Whether one more refused delivery of the platform may be kept: 60 a minute, 100 at once.
    pub fn may_keep_refused(&self, platform: &str) -> bool {
        let (sixty, hundred) = (NonZeroU32::MIN.saturating_add(59), NonZeroU32::MIN.saturating_add(99));
        let mut refused = lock(&self.refused);
        refused.entry(platform.to_owned()).or_insert_with(|| limiter(&self.ticks, sixty, hundred)).check().is_ok()
    }
}

// The default of 6,000 a minute comes with a burst of 20,000; other rates keep that proportion.
fn burst(per_minute: NonZeroU32) -> NonZeroU32 {
    let scaled = u64::from(per_minute.get()) * 10 / 3;
    NonZeroU32::new(u32::try_from(scaled).unwrap_or(u32::MAX)).unwrap_or(per_minute)
}

fn limiter(ticks: &SharedTicks, per_minute: NonZeroU32, burst: NonZeroU32) -> Limiter {
    RateLimiter::direct_with_clock(Quota::per_minute(per_minute).allow_burst(burst), ticks.clone())
}

/// Whole seconds until a limiter lets the next one pass, at least one.
pub fn wait_secs(not_until: &governor::NotUntil<Nanos>, ticks: &SharedTicks) -> u32 {
    let wait = not_until.wait_time_from(governor::clock::Clock::now(ticks));
    u32::try_from(wait.as_millis().div_ceil(1000)).unwrap_or(u32::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_and_then_the_rate_holds() {
        let clock = Clock::manual(Time::from_secs(1_772_500_000));
        let rates = Rates::new(SharedTicks::new(clock.clone()));
        let passed = (0..1000).filter(|_| rates.take("x", 60).is_ok()).count();
        assert_eq!(passed, 200);
        assert_eq!(rates.take("x", 60), Err(1));
        clock.advance(Duration::from_secs(3));
        let passed = (0..1000).filter(|_| rates.take("x", 60).is_ok()).count();
        assert_eq!(passed, 3);
        assert!(rates.take("y", 60).is_ok(), "each platform has its own");
        assert!((0..100_000).all(|_| rates.take("x", 0).is_ok()), "0 is unlimited");
    }

    #[test]
    fn the_default_rate_has_a_burst_of_twenty_thousand() {
        assert_eq!(burst(NonZeroU32::new(6000).unwrap()).get(), 20_000);
        assert_eq!(burst(NonZeroU32::new(1).unwrap()).get(), 3);
    }

    #[test]
    fn refused_deliveries_are_kept_within_bounds() {
        let rates = Rates::new(SharedTicks::new(Clock::manual(Time::from_secs(0))));
        assert_eq!((0..1000).filter(|_| rates.may_keep_refused("x")).count(), 100);
    }
}
