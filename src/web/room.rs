//! How much memory the bodies of all requests may hold at the same time, from reading to the answer. A sender waits a
//! moment for room, and is told to come back when there is none.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// For the first part of each body, so that small ones never wait for large ones.
const SMALL: usize = 16 << 20;
/// For everything beyond the first part.
const LARGE: usize = 64 << 20;
/// The first part.
const FIRST: usize = 16 << 10;
/// Room is counted in pieces of this size.
const UNIT: usize = 1 << 10;
/// How long a sender waits for room.
const WAIT: Duration = Duration::from_millis(if cfg!(test) { 50 } else { 2_000 });

tokio::task_local! {
    /// What the request of this task holds.
    static HELD: Held;
}

/// There was no room in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too much is being received")]
pub struct NoRoom;

/// The room for all bodies.
#[derive(Clone, Debug)]
pub struct Room {
    small: Arc<Semaphore>,
    large: Arc<Semaphore>,
    units: usize,
}

/// What one request holds of it, until it is dropped. Clones share it.
#[derive(Clone, Debug)]
pub struct Held(Arc<Share>);

#[derive(Debug)]
struct Share {
    room: Room,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    small: Option<OwnedSemaphorePermit>,
    large: Option<OwnedSemaphorePermit>,
}

impl Default for Room {
    fn default() -> Self {
        Self::new(SMALL, LARGE)
    }
}

impl Room {
    /// For this many bytes.
    pub fn new(small: usize, large: usize) -> Self {
        let (small, large) = (small / UNIT, large / UNIT);
        Self { small: Arc::new(Semaphore::new(small)), large: Arc::new(Semaphore::new(large)), units: small + large }
    }

    /// For a request that holds nothing yet.
    pub fn hold(&self) -> Held {
        Held(Arc::new(Share { room: self.clone(), taken: Mutex::default() }))
    }

    /// Bytes that are held now.
    pub fn held(&self) -> usize {
        let free = self.small.available_permits() + self.large.available_permits();
        self.units.saturating_sub(free) * UNIT
    }
}

impl Held {
    /// The one of the request that this task answers; none outside of requests.
    pub fn current() -> Option<Self> {
        HELD.try_with(Clone::clone).ok()
    }

    /// Answers a request that holds this.
    pub async fn during<F: Future>(self, answer: F) -> F::Output {
        HELD.scope(self, answer).await
    }

    /// Has room for `bytes` in all. Waits a moment for it.
    pub async fn reach(&self, bytes: usize) -> Result<(), NoRoom> {
        let (small, large) = (bytes.min(FIRST).div_ceil(UNIT), bytes.saturating_sub(FIRST).div_ceil(UNIT));
        let have = |permit: &Option<OwnedSemaphorePermit>| permit.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        let (small, large) = {
            let taken = self.taken();
            (small.saturating_sub(have(&taken.small)), large.saturating_sub(have(&taken.large)))
        };
        if let Some(more) = acquire(&self.0.room.small, small).await? {
            add(&mut self.taken().small, more);
        }
        if let Some(more) = acquire(&self.0.room.large, large).await? {
            add(&mut self.taken().large, more);
        }
        Ok(())
    }

    /// Gives back what is held: the body is gone.
    pub fn release(&self) {
        *self.taken() = Taken::default();
    }

    fn taken(&self) -> std::sync::MutexGuard<'_, Taken> {
        self.0.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn add(to: &mut Option<OwnedSemaphorePermit>, more: OwnedSemaphorePermit) {
    match to {
        Some(have) => have.merge(more),
        None => *to = Some(more),
    }
}

async fn acquire(of: &Arc<Semaphore>, units: usize) -> Result<Option<OwnedSemaphorePermit>, NoRoom> {
    if units == 0 {
        return Ok(None);
    }
    let units = u32::try_from(units).map_err(|_| NoRoom)?;
    if let Ok(permit) = Arc::clone(of).try_acquire_many_owned(units) {
        return Ok(Some(permit));
    }
    match tokio::time::timeout(WAIT, Arc::clone(of).acquire_many_owned(units)).await {
        Ok(Ok(permit)) => Ok(Some(permit)),
        _ => Err(NoRoom),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn large_bodies_wait_and_small_ones_do_not() {
        let room = Room::new(64 << 10, 100 << 10);
        let first = room.hold();
        first.reach(FIRST + (60 << 10)).await.unwrap();
        let second = room.hold();
        // Grows in steps; what it has counts.
        second.reach(FIRST).await.unwrap();
        second.reach(FIRST + (40 << 10)).await.unwrap();
        let third = room.hold();
        assert_eq!(third.reach(1 << 20).await, Err(NoRoom));
        assert_eq!(third.reach(FIRST).await, Ok(()), "a small one fits");
        assert_eq!(room.hold().reach(FIRST + 1).await, Err(NoRoom));
        let waiting = tokio::spawn({
            let third = third.clone();
            async move { third.reach(FIRST + (50 << 10)).await }
        });
        tokio::task::yield_now().await;
        first.release();
        assert_eq!(waiting.await.unwrap(), Ok(()));
        drop((first, second, third));
        assert_eq!((room.small.available_permits(), room.large.available_permits()), (64, 100));
    }
}
