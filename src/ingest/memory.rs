//! What the door remembers between requests: rates, opened settings, and who was turned away.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::sync::Semaphore;

use super::{
    certificate::Trust,
    outside::Outside,
    rate::{Rates, SharedTicks},
    settings::Effective,
};
use crate::{
    config::Config,
    connectors::Registry,
    model::Time,
    store::{Store, StoreError},
};

/// A little less than the intake's own queue, so that nobody waits for a place in that.
const QUEUE: usize = 4000;

/// After so long without another one, a run of refusals is over.
const RUN_ENDS: Duration = Duration::from_secs(3600);

/// Deliveries refused for the same reason, one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Run {
    /// How many.
    pub count: u64,
    /// The first one.
    pub since: Time,
    /// The latest one.
    pub last: Time,
}

impl Run {
    /// One more. A long silence before it begins a new run, and so does a clock that was set back.
    fn more(runs: &Mutex<HashMap<String, Self>>, platform: &str, now: Time) {
        let mut runs = lock(runs);
        let run = runs.entry(platform.to_owned()).or_insert(Self { count: 0, since: now, last: now });
        if now.since(run.last) >= RUN_ENDS || now < run.since {
            *run = Self { count: 0, since: now, last: now };
        }
        run.count = run.count.saturating_add(1);
        run.last = now;
    }
}

/// One for each process; nothing in it is worth keeping over a restart.
#[derive(Debug)]
pub struct Memory {
    /// How much each platform may send.
    pub rates: Rates,
    /// The connectors in use, with those that people declared.
    pub registry: Registry,
    /// Deliveries between the door and the disk; beyond this number senders are told to come back.
    pub queue: Semaphore,
    /// Large bodies that are read at the same time.
    pub reading: Semaphore,
    /// The way to senders' own hosts.
    pub outside: Outside,
    /// Whose client certificates prove a sender.
    pub trust: Trust,
    settings: Mutex<HashMap<String, Arc<Effective>>>,
    // Grows with every `forget`, so that settings read before a change are not remembered after it.
    generation: AtomicU64,
    turned_away: Mutex<HashMap<String, Run>>,
    dropped: Mutex<HashMap<String, Run>>,
    /// Held while a declared source is changed, so that what is stored and what is in use stay the same.
    pub(super) declaring: tokio::sync::Mutex<()>,
}

impl Memory {
    /// Nothing yet. With `outside`, senders' own hosts are asked at that address.
    pub fn new(ticks: SharedTicks, trust: Trust, outside: Option<String>) -> Self {
        Self {
            rates: Rates::new(ticks),
            registry: Registry::default(),
            queue: Semaphore::new(QUEUE),
            reading: Semaphore::new(std::thread::available_parallelism().map_or(2, |n| n.get().clamp(2, 8))),
            outside: Outside::new(outside),
            trust,
            settings: Mutex::default(),
            generation: AtomicU64::new(0),
            turned_away: Mutex::default(),
            dropped: Mutex::default(),
            declaring: tokio::sync::Mutex::default(),
        }
    }

    /// The settings of a connector, opened; none for a platform that the store does not know.
    pub async fn settings(
        &self,
        platform: &str,
        store: &Store,
        config: &Config,
    ) -> Result<Option<Arc<Effective>>, StoreError> {
        if let Some(known) = lock(&self.settings).get(platform) {
            return Ok(Some(known.clone()));
        }
        let before = self.generation.load(Ordering::SeqCst);
        let wanted = platform.to_owned();
        let Some(stored) = store.read(move |view| view.connector(&wanted)).await? else { return Ok(None) };
        let opened = Arc::new(Effective::open(&stored, config.connectors.get(platform), store.sealer())?);
        let mut settings = lock(&self.settings);
        if self.generation.load(Ordering::SeqCst) == before {
            settings.insert(platform.to_owned(), opened.clone());
        }
        Ok(Some(opened))
    }

    /// Must follow every change of a connector's settings: the next delivery reads them anew.
    pub fn forget(&self, platform: &str) {
        let mut settings = lock(&self.settings);
        self.generation.fetch_add(1, Ordering::SeqCst);
        settings.remove(platform);
    }

    /// Notes that a sender could not prove who it is. Only here: strangers must not fill the disk.
    pub fn note_turned_away(&self, platform: &str, now: Time) {
        Run::more(&self.turned_away, platform, now);
    }

    /// The latest run of deliveries whose sender failed to prove who it is.
    pub fn turned_away(&self, platform: &str) -> Option<Run> {
        lock(&self.turned_away).get(platform).copied()
    }

    /// Notes that a delivery was over the connector's rate.
    pub fn note_dropped(&self, platform: &str, now: Time) {
        Run::more(&self.dropped, platform, now);
    }

    /// The latest run of deliveries over the connector's rate.
    pub fn dropped(&self, platform: &str) -> Option<Run> {
        lock(&self.dropped).get(platform).copied()
    }
}

fn lock<T>(m: &Mutex<T>) -> MutexGuard<'_, T> {
    m.lock().unwrap_or_else(PoisonError::into_inner)
}
