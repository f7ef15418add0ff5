//! Space on the disk of the data folder: deliveries are refused while less than a reserve is left, before the database
//! fails. The reserve is what the writer needs to apply what was acknowledged, and people to resolve and tidy up.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use super::StoreError;
use crate::runtime::clock::Wait;

/// Asking the system takes longer than anything else that is asked before a body is read.
const ASK_AGAIN: Duration = Duration::from_millis(100);

/// The disk of a folder, and how much of it must stay free. Clones share what they know.
#[derive(Clone, Debug)]
pub struct Space {
    dir: PathBuf,
    reserve: u64,
    since: Wait,
    // Up to when, in milliseconds from `since`, the last answer counts that there is enough; 0 when it said the contrary.
    enough_until: Arc<AtomicU64>,
}

impl Space {
    /// `reserve` bytes must stay free for deliveries to be taken; 0 never refuses.
    pub fn new(dir: &Path, reserve: u64) -> Self {
        Self { dir: dir.to_owned(), reserve, since: Wait::begin(Duration::ZERO), enough_until: Arc::default() }
    }

    /// `StoreError::Full` while less than the reserve is free. A disk that does not say how much is free counts as having
    /// enough: the database fails by itself when it has not.
    pub fn enough(&self) -> Result<(), StoreError> {
        let is_full = free(&self.dir).is_some_and(|free| free < self.reserve);
        let until = if is_full { 0 } else { self.passed().saturating_add(millis(ASK_AGAIN)) };
        self.enough_until.store(until, Ordering::Relaxed);
        if is_full { Err(StoreError::Full) } else { Ok(()) }
    }

    /// The same, without asking the system when it said a moment ago that there is enough. For the door, which asks for
    /// each delivery: what is written is preceded by `enough`.
    pub fn enough_lately(&self) -> Result<(), StoreError> {
        if self.passed() < self.enough_until.load(Ordering::Relaxed) { Ok(()) } else { self.enough() }
    }

    fn passed(&self) -> u64 {
        millis(self.since.passed())
    }

    /// Bytes that must stay free.
    pub fn reserve(&self) -> u64 {
        self.reserve
    }
}

fn millis(d: Duration) -> u64 {
    u64::try_from(d.as_millis()).unwrap_or(u64::MAX)
}

/// Bytes that this process may still write on the disk of a folder; none when the system does not say.
pub fn free(dir: &Path) -> Option<u64> {
    let stat = rustix::fs::statvfs(dir).ok()?;
    Some(stat.f_bavail.saturating_mul(stat.f_frsize))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_has_enough_until_the_reserve_is_touched() {
        let dir = tempfile::tempdir().unwrap();
        let free = free(dir.path()).unwrap();
        assert!(Space::new(dir.path(), 0).enough().is_ok());
        assert!(Space::new(dir.path(), free / 2).enough().is_ok());
        assert!(matches!(Space::new(dir.path(), u64::MAX).enough(), Err(StoreError::Full)));
        assert!(Space::new(&dir.path().join("not there"), u64::MAX).enough().is_ok());
    }

    #[test]
    fn that_there_is_enough_is_believed_for_a_moment_and_the_contrary_never() {
        let dir = tempfile::tempdir().unwrap();
        let mut space = Space::new(dir.path(), 0);
        assert!(space.enough_lately().is_ok());
        assert!(space.enough_until.load(Ordering::Relaxed) > 0, "the answer counts for a moment");
        space.enough_until.store(u64::MAX, Ordering::Relaxed);
        space.reserve = u64::MAX;
        assert!(space.enough_lately().is_ok(), "it was asked a moment ago");
        assert!(space.enough().is_err());
        assert!(space.enough_lately().is_err(), "whoever asked meanwhile told the others");
        space.reserve = 0;
        assert!(space.enough_lately().is_ok(), "there is room again, and it is seen at once");
    }
}
