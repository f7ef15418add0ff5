//! What can go wrong with the store.

use crate::model::Mistake;

/// The store cannot be opened, read or written.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process has the folder.
    #[error(
        "the data folder {0} is in use by another watchfire process; stop that one, or choose another folder with --data-dir"
    )]
    Locked(String),
    /// Written by a newer version.
    #[error(
        "the data in {dir} has schema {found}, and this version knows only up to {known}; install the newer version again, or restore a backup made before the upgrade"
    )]
    Newer {
        /// The data folder.
        dir: String,
        /// Its schema.
        found: u32,
        /// Ours.
        known: u32,
    },
    /// The key file of a database that is there is gone.
    #[error(
        "the key file {0} is missing, and connector keys and secrets cannot be read without it; put its copy back, or, when there is none, run `watchfire rekey`, which makes a new one and new connector keys"
    )]
    NoKey(String),
    /// Written by an older version, where nothing migrates it.
    #[error(
        "the data in {dir} has the older schema {found}; start the server on it once, which brings it up to this version"
    )]
    Older {
        /// The data folder.
        dir: String,
        /// Its schema.
        found: u32,
    },
    /// Not what it should be.
    #[error("the store is damaged: {0}")]
    Damaged(String),
    /// No space on the disk.
    #[error("no space left on the disk of the data folder; free some, nothing was lost and writing goes on by itself")]
    Full,
    /// The disk or the file system refused.
    #[error("the store could not be read or written: {0}")]
    Io(String),
    /// The process is stopping.
    #[error("the store is closed, the process is stopping")]
    Stopped,
}

/// A delivery was not stored, and so must not be acknowledged.
#[derive(Clone, Debug, thiserror::Error)]
pub enum SubmitError {
    /// Too much waits to be applied.
    #[error("too many deliveries wait to be applied; try again in {retry_after_secs} s")]
    Overloaded {
        /// Seconds.
        retry_after_secs: u32,
    },
    /// It could not be written.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A command was not done; nothing changed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CommandError {
    /// It is about something that is not there.
    #[error("there is no {0}")]
    NotFound(String),
    /// The state does not allow it.
    #[error("{detail}")]
    Conflict {
        /// What and why.
        detail: String,
        /// What would be allowed.
        allowed: Vec<String>,
    },
    /// A value is wrong.
    #[error("{detail}")]
    Invalid {
        /// Which field.
        field: String,
        /// What is wrong with it and what would be right.
        detail: String,
    },
    /// Several values are wrong.
    #[error("{}", .0.first().map_or("a value is wrong", |m| &m.what))]
    Mistakes(Vec<Mistake>),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

macro_rules! from_redb {
    ($($t:ty),+ $(,)?) => {
        $(impl From<$t> for StoreError {
            fn from(e: $t) -> Self {
                from_redb(redb::Error::from(e))
            }
        }
        impl From<$t> for CommandError {
            fn from(e: $t) -> Self {
                CommandError::Store(e.into())
            }
        })+
    };
}

from_redb!(
    redb::DatabaseError,
    redb::TransactionError,
    redb::TableError,
    redb::StorageError,
    redb::CommitError,
    redb::SetDurabilityError,
    redb::CompactionError,
);

fn from_redb(e: redb::Error) -> StoreError {
    match e {
        redb::Error::Io(io) if io.kind() == std::io::ErrorKind::StorageFull => StoreError::Full,
        redb::Error::Io(io) => StoreError::Io(io.to_string()),
        // What it holds in memory was given up, after a panic for example: the file may be sound, and is opened again.
        redb::Error::Corrupted(what) if what.contains("reopen the database") => StoreError::Io(what),
        redb::Error::Corrupted(what) => StoreError::Damaged(what),
        other => StoreError::Io(other.to_string()),
    }
}

impl From<std::io::Error> for StoreError {
    fn from(e: std::io::Error) -> Self {
        if e.kind() == std::io::ErrorKind::StorageFull { Self::Full } else { Self::Io(e.to_string()) }
    }
}
