//! Space on the disk of the data folder: deliveries are refused while less than a reserve is left, before the database
//! fails. The reserve is what the writer needs to apply what was acknowledged, and people to resolve and tidy up.

use std::path::{Path, PathBuf};

use super::StoreError;

/// The disk of a folder, and how much of it must stay free.
#[derive(Clone, Debug)]
pub struct Space {
    dir: PathBuf,
    reserve: u64,
}

impl Space {
    /// `reserve` bytes must stay free for deliveries to be taken; 0 never refuses.
    pub fn new(dir: &Path, reserve: u64) -> Self {
        Self { dir: dir.to_owned(), reserve }
    }

    /// `StoreError::Full` while less than the reserve is free. A disk that does not say how much is free counts as having
    /// enough: the database fails by itself when it has not.
    pub fn enough(&self) -> Result<(), StoreError> {
        match free(&self.dir) {
            Some(free) if free < self.reserve => Err(StoreError::Full),
            _ => Ok(()),
        }
    }

    /// Bytes that must stay free.
    pub fn reserve(&self) -> u64 {
        self.reserve
    }
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
}
