//! How often somebody may try to sign in.

use std::{hash::Hash, net::IpAddr, num::NonZeroU32, time::Duration};

use governor::{Quota, RateLimiter, middleware::NoOpMiddleware, nanos::Nanos, state::keyed::HashMapStateStore};

use crate::ingest::rate::{SharedTicks, wait_secs};

type Keyed<K> = RateLimiter<K, HashMapStateStore<K>, SharedTicks, NoOpMiddleware<Nanos>>;

/// Three limits: guesses of one address at one name, of one address at any name, and of all addresses at one name. The
/// last is wide, so that a stranger cannot lock somebody out easily.
#[derive(Debug)]
pub struct LoginLimits {
    ticks: SharedTicks,
    pair: Keyed<(String, IpAddr)>,
    address: Keyed<IpAddr>,
    name: Keyed<String>,
}

// Beyond this many keys, those that have recovered are dropped.
const MANY: usize = 4096;

impl LoginLimits {
    /// Nobody has tried yet.
    pub fn new(ticks: SharedTicks) -> Self {
        Self {
            pair: keyed(&ticks, Duration::from_secs(30), 10),
            address: keyed(&ticks, Duration::from_secs(5), 60),
            name: keyed(&ticks, Duration::from_secs(5), 120),
            ticks,
        }
    }

    /// Takes one try. `Err` is the seconds until the next one.
    pub fn take(&self, name: &str, addr: IpAddr) -> Result<(), u32> {
        let addr = network(addr);
        // Nobody's name is longer, and what strangers make up must not fill the memory.
        let name = name.chars().take(64).collect::<String>().to_ascii_lowercase();
        self.check(&self.address, &addr)?;
        // Before the name's own, so that tries that are refused here do not count against everybody.
        self.check(&self.pair, &(name.clone(), addr))?;
        self.check(&self.name, &name)
    }

    /// Takes one try of somebody who gives no name here. `Err` is the seconds until the next one.
    pub fn take_address(&self, addr: IpAddr) -> Result<(), u32> {
        self.check(&self.address, &network(addr))
    }

    fn check<K: Hash + Eq + Clone>(&self, limit: &Keyed<K>, key: &K) -> Result<(), u32> {
        if limit.len() > MANY {
            limit.retain_recent();
        }
        limit.check_key(key).map_err(|not_until| wait_secs(&not_until, &self.ticks))
    }
}

fn keyed<K: Hash + Eq + Clone>(ticks: &SharedTicks, each: Duration, burst: u32) -> Keyed<K> {
    let burst = NonZeroU32::new(burst).unwrap_or(NonZeroU32::MIN);
    let quota = Quota::with_period(each).unwrap_or(Quota::per_minute(burst)).allow_burst(burst);
    RateLimiter::new(quota, HashMapStateStore::default(), ticks.clone())
}

// Whoever has one address of IPv6 has the other 2^64 of its network too.
fn network(addr: IpAddr) -> IpAddr {
    match addr.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6((v6.to_bits() & !u128::from(u64::MAX)).into()),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{model::Time, runtime::clock::Clock};

    #[test]
    fn a_few_strangers_cannot_lock_somebody_out() {
        let clock = Clock::manual(Time::from_secs(1_772_500_000));
        let limits = LoginLimits::new(SharedTicks::new(clock.clone()));
        for _ in 0..60 {
            for stranger in 1..=4u8 {
                let _ = limits.take("ann", IpAddr::from([192, 0, 2, stranger]));
            }
            clock.advance(Duration::from_secs(5));
        }
        assert!(limits.take("ann", IpAddr::from([198, 51, 100, 1])).is_ok());
    }

    #[test]
    fn guessing_slows_down_and_others_are_not_hit() {
        let clock = Clock::manual(Time::from_secs(1_772_500_000));
        let limits = LoginLimits::new(SharedTicks::new(clock.clone()));
        let a: IpAddr = "192.0.2.1".parse().unwrap();
        let b: IpAddr = "192.0.2.2".parse().unwrap();
        assert_eq!((0..50).filter(|_| limits.take("Ann", a).is_ok()).count(), 10);
        assert!(limits.take("ann", a).is_err());
        assert!(limits.take("ann", b).is_ok(), "the person itself, from elsewhere");
        clock.advance(Duration::from_secs(31));
        assert!(limits.take("ann", a).is_ok());
    }

    #[test]
    fn a_whole_ipv6_network_counts_as_one() {
        let limits = LoginLimits::new(SharedTicks::new(Clock::manual(Time::from_secs(0))));
        let passed = (0..50u128).filter(|n| limits.take("ann", IpAddr::V6((0x2001 << 112 | n).into())).is_ok()).count();
        assert_eq!(passed, 10);
    }
}
