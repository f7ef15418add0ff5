//! Fan-out of changes: follows the store's change log, coalesces, and serves any number of streams with replay.
//!
//! One task reads each change once and keeps the newest in a ring. A stream is only a place in the order of changes and
//! asks for what comes after it; a slow client therefore holds nothing back and costs nothing.

mod pages;
mod ring;
mod source;

use std::{
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
    time::Duration,
};

use tokio::sync::{Mutex, watch};
use tokio_util::sync::CancellationToken;

use crate::{
    model::*,
    runtime::clock::Clock,
    store::{Store, StoreError},
};
use pages::Pages;
use ring::{Found, Ring};
use source::{Piece, Source};

/// Events kept in memory for streams that keep up or come back soon.
const RING: usize = 4096;
/// And this many bytes of them, as they would be written: an alert may carry much.
const RING_BYTES: usize = 32 << 20;
/// Changes read in one snapshot.
const BATCH: usize = 512;
/// Changes read at start, so that the streams that come back after a restart do not each read the store.
const BACKFILL: u64 = 1024;
/// Events given to a stream at once.
const MOST: usize = 256;
/// The least time between two rounds.
const ROUND: Duration = Duration::from_millis(250);
/// How long to wait after the store could not be read.
const RETRY: Duration = Duration::from_secs(1);

/// One change with what it is about, as it stands now. Shared by all streams.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Its place; the `id:` of the stream.
    pub seq: u64,
    /// When.
    pub at: Time,
    /// What.
    pub what: What,
    size: usize,
}

impl Event {
    /// A change with its subject.
    pub fn new(seq: u64, at: Time, what: What) -> Self {
        let size = what.size();
        Self { seq, at, what, size }
    }

    /// About how many bytes of memory it holds.
    pub fn size(&self) -> usize {
        self.size
    }
}

/// A change with its subject read from the store.
#[derive(Clone, Debug, PartialEq)]
pub enum What {
    /// An incident changed.
    Incident(IncidentChange, Box<Incident>),
    /// An alert joined an incident.
    AlertCorrelated(IncidentId, Box<Alert>, Box<Membership>),
    /// A thought was written.
    Thought(IncidentId, Thought),
    /// A suggestion was made or changed.
    Suggestion(IncidentId, Suggestion),
    /// A cause was ranked.
    Cause(IncidentId, Cause),
    /// Deliveries were applied.
    Delivery {
        /// For whom.
        platform: Platform,
        /// What became of them.
        outcome: DeliveryOutcome,
        /// How many.
        count: u64,
    },
    /// Services, or edges between them, changed.
    Topology,
    /// What people set about notifications, or how a channel does, changed.
    Notifications,
    /// Silences, maintenance windows or thresholds changed.
    Mutes,
    /// More was missed than can be replayed: reload.
    Reset,
}

impl What {
    /// About the memory it takes: its length when written, and something for each event.
    fn size(&self) -> usize {
        const EACH: usize = 512;
        let written = match self {
            Self::Incident(_, incident) => length(incident),
            Self::AlertCorrelated(_, alert, member) => length(alert).saturating_add(length(member)),
            Self::Thought(_, thought) => length(thought),
            Self::Suggestion(_, suggestion) => length(suggestion),
            Self::Cause(_, cause) => length(cause),
            Self::Delivery { .. } | Self::Topology | Self::Mutes | Self::Notifications | Self::Reset => 0,
        };
        written.saturating_add(EACH)
    }
}

fn length(value: &impl serde::Serialize) -> usize {
    struct Count(usize);
    impl std::io::Write for Count {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0 = self.0.saturating_add(bytes.len());
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut count = Count(0);
    // What cannot be written is not streamed either, and so takes little.
    let _ = serde_json::to_writer(&mut count, value);
    count.0
}

/// The fan-out. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Hub {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    source: Box<dyn Source>,
    clock: Clock,
    ring: RwLock<Ring>,
    // Told after every round; streams look at the ring and not at the value, but for the end.
    rounds: watch::Sender<Round>,
    // What the ring no longer has, read by one stream for all that are as far behind.
    pages: Mutex<Pages>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Round {
    ended: bool,
}

/// One stream's place.
#[derive(Debug)]
pub struct Subscription {
    shared: Arc<Shared>,
    rounds: watch::Receiver<Round>,
    place: u64,
}

impl Hub {
    /// A hub that follows the store; `run` must be spawned.
    pub fn new(store: Store) -> Self {
        Self::over(Box::new(store), Clock::System, RING)
    }

    fn over(source: Box<dyn Source>, clock: Clock, capacity: usize) -> Self {
        let head = *source.changes().borrow();
        let shared = Shared {
            source,
            clock,
            ring: RwLock::new(Ring::new(head, capacity, RING_BYTES)),
            rounds: watch::Sender::new(Round::default()),
            pages: Mutex::default(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Follows until `stop`: wakes on the store's change watch, coalesces for 250 ms at most, reads each change once.
    pub async fn run(self, stop: CancellationToken) {
        tokio::select! {
            () = self.follow() => {}
            () = stop.cancelled() => {}
        }
        self.shared.rounds.send_replace(Round { ended: true });
    }

    async fn follow(&self) {
        let mut changes = self.shared.source.changes();
        if let Err(e) = self.backfill().await {
            tracing::warn!(error = %e, "recent changes could not be read; streams that come back will read the store");
        }
        loop {
            changes.mark_unchanged();
            match self.catch_up().await {
                Ok(()) => {}
                Err(StoreError::Stopped) => return,
                Err(e) => {
                    tracing::warn!(error = %e, "changes could not be read; live pages wait");
                    self.shared.clock.sleep(RETRY).await;
                    continue;
                }
            }
            // The first change after a quiet time goes out at once; what follows within a round goes out together.
            self.shared.clock.sleep(ROUND).await;
            if changes.changed().await.is_err() {
                return;
            }
        }
    }

    /// Puts the newest changes from before the start into the ring.
    async fn backfill(&self) -> Result<(), StoreError> {
        let head = self.shared.ring().head();
        let mut ring = self.shared.ring().anew(head.saturating_sub(BACKFILL));
        while ring.head() < head {
            let piece = self.shared.source.read(ring.head(), BATCH).await?;
            if !take(&mut ring, piece) {
                break;
            }
        }
        if ring.head() >= head {
            *self.shared.ring_mut() = ring;
            // What was written while it read is among it.
            self.shared.rounds.send_replace(Round::default());
        }
        Ok(())
    }

    /// Reads all that is new into the ring. When nobody listens nothing is read: a stream that comes back later is told by
    /// the store what it missed.
    async fn catch_up(&self) -> Result<(), StoreError> {
        loop {
            if self.shared.rounds.receiver_count() == 0 {
                let last = *self.shared.source.changes().borrow();
                self.shared.ring_mut().pass(last);
                return Ok(());
            }
            let after = self.shared.ring().head();
            let piece = self.shared.source.read(after, BATCH).await?;
            if !take(&mut self.shared.ring_mut(), piece) {
                return Ok(());
            }
            self.shared.rounds.send_replace(Round::default());
        }
    }

    /// A stream from now on, or after the change `after` (`Last-Event-ID`).
    pub fn subscribe(&self, after: Option<u64>) -> Subscription {
        let rounds = self.shared.rounds.subscribe();
        let place = after.unwrap_or_else(|| self.shared.ring().head());
        Subscription { shared: Arc::clone(&self.shared), rounds, place }
    }
}

/// Adds a piece to the ring; whether there was anything in it.
fn take(ring: &mut Ring, piece: Piece) -> bool {
    if piece.misses_after(ring.head()) {
        // The log was cut before it was read. Streams that stood here learn of it from the store.
        ring.restart(if piece.upto.is_some() { piece.first.saturating_sub(1) } else { piece.last });
    }
    let Some((upto, at)) = piece.upto else { return false };
    ring.push(piece.events, upto, at);
    true
}

impl Shared {
    fn ring(&self) -> RwLockReadGuard<'_, Ring> {
        self.ring.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn ring_mut(&self) -> RwLockWriteGuard<'_, Ring> {
        self.ring.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn reset(&self) -> Arc<Event> {
        let ring = self.ring();
        Arc::new(Event::new(ring.head(), ring.head_at(), What::Reset))
    }

    /// Whether the store knows the change `place`.
    async fn knows(&self, place: u64) -> Result<bool, StoreError> {
        // The watch is told a moment after a snapshot can show the change, so the store has the last word.
        Ok(*self.source.changes().borrow() >= place || self.source.read(place, 1).await?.last >= place)
    }
}

impl Subscription {
    /// The next events in order, at least one. Waits. Falls back to the store when the ring has moved on, and to `Reset`
    /// (with the newest sequence) when the store no longer has what was missed, or never had it. `Stopped` once the hub
    /// has ended. Dropping the future loses nothing.
    pub async fn next(&mut self) -> Result<Vec<Arc<Event>>, StoreError> {
        loop {
            // Before the ring is looked at, so that no round slips by between the look and the wait.
            let ended = self.rounds.borrow_and_update().ended;
            let found = self.shared.ring().after(self.place, MOST);
            match found {
                Found::Events(events, upto) => {
                    self.place = upto;
                    if events.is_empty() {
                        continue;
                    }
                    return Ok(events);
                }
                Found::Older => {
                    let shared = Arc::clone(&self.shared);
                    let found = shared.pages.lock().await.after(&*shared.source, self.place).await?;
                    match found {
                        Some((events, upto)) => {
                            self.place = upto;
                            if !events.is_empty() {
                                return Ok(events);
                            }
                        }
                        None => return Ok(self.start_over()),
                    }
                    continue;
                }
                Found::Ahead if !self.shared.knows(self.place).await? => return Ok(self.start_over()),
                Found::Ahead | Found::Quiet => {}
            }
            if ended || self.rounds.changed().await.is_err() {
                return Err(StoreError::Stopped);
            }
        }
    }

    fn start_over(&mut self) -> Vec<Arc<Event>> {
        let reset = self.shared.reset();
        self.place = reset.seq;
        vec![reset]
    }
}

#[cfg(test)]
mod tests;
