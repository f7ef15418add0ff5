//! One database file that can be opened again. After a read or write that failed, redb refuses everything until then: a
//! disk that was full for a minute would otherwise stop the server until somebody starts it anew.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
};

use redb::{Database, ReadTransaction, ReadableDatabase, WriteTransaction};

use super::{StoreError, trouble::Trouble};

type Opener = Box<dyn Fn() -> Result<Database, StoreError> + Send + Sync>;

/// A database file.
pub struct File {
    opener: Opener,
    // None while it is being opened again.
    database: RwLock<Option<Database>>,
    failed: Trouble,
    generation: AtomicU64,
}

impl std::fmt::Debug for File {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("File").field("failed", &self.failed()).finish_non_exhaustive()
    }
}

impl File {
    /// Opens it by `opener`, which also opens it again.
    pub fn open(opener: impl Fn() -> Result<Database, StoreError> + Send + Sync + 'static) -> Result<Self, StoreError> {
        let database = RwLock::new(Some(opener()?));
        let (failed, generation) = (Trouble::default(), AtomicU64::default());
        Ok(Self { opener: Box::new(opener), database, failed, generation })
    }

    /// A snapshot.
    pub fn read(&self) -> Result<ReadTransaction, StoreError> {
        let database = self.database.read().unwrap_or_else(PoisonError::into_inner);
        Ok(database.as_ref().ok_or_else(closed)?.begin_read()?)
    }

    /// A transaction.
    pub fn write(&self) -> Result<WriteTransaction, StoreError> {
        let database = self.database.read().unwrap_or_else(PoisonError::into_inner);
        Ok(database.as_ref().ok_or_else(closed)?.begin_write()?)
    }

    /// Notes that reading or writing it failed, if the error is of that kind: it must be opened again.
    pub fn note(&self, error: &StoreError) {
        if matches!(error, StoreError::Io(_) | StoreError::Full) {
            self.failed.keep(error);
        }
    }

    /// Why it must be opened again, if so.
    pub fn failed(&self) -> Option<StoreError> {
        self.failed.get()
    }

    /// Grows whenever it is opened again: what was remembered of it may no longer be what it says.
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Closes it.
    pub fn close(&self) {
        if let Some(database) = self.database.write().unwrap_or_else(PoisonError::into_inner).take() {
            shut(database);
        }
    }

    /// Opens it again. Snapshots from before fail from now on.
    pub fn reopen(&self) -> Result<(), StoreError> {
        // Closed first: a file is open only once at a time.
        self.close();
        let database = (self.opener)()?;
        *self.database.write().unwrap_or_else(PoisonError::into_inner) = Some(database);
        self.generation.fetch_add(1, Ordering::AcqRel);
        self.failed.set(None);
        Ok(())
    }
}

/// Closes a database. What cannot be noted in it at its end is made anew from its rows when it is opened next; a damaged one
/// can make redb panic here.
pub(super) fn shut(database: Database) {
    let why = match catch_unwind(AssertUnwindSafe(|| database.close())) {
        Ok(Ok(())) => return,
        Ok(Err(e)) => e.to_string(),
        Err(_) => "its contents contradict each other".to_owned(),
    };
    tracing::warn!(error = %why, "a file of the store could not be closed as whole; it is repaired when it is opened next");
}

fn closed() -> StoreError {
    StoreError::Io("the file is closed: the process is stopping, or it is being opened again after an error".to_owned())
}
