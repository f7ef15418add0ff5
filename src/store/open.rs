//! Opening: the folder's lock, both files, the schema, and whether the files belong together.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use redb::{Database, ReadableTable};

use super::{
    StoreError, StoreOptions,
    file::File,
    intake, migrate, seal,
    tables::{self, meta},
};

/// The files of a store, opened and checked.
pub struct Files {
    /// Held as long as the store is open.
    pub lock: fs::File,
    /// watchfire.redb.
    pub main: Arc<File>,
    /// intake.redb.
    pub intake: Arc<File>,
    /// secret.key.
    pub sealer: seal::Sealer,
    /// The last delivery applied.
    pub position: u64,
    /// The last change.
    pub last_change: u64,
    /// Random number of this store.
    pub nonce: u64,
}

/// Opens or makes everything in the data folder.
pub fn files(options: &StoreOptions) -> Result<Files, StoreError> {
    let dir = options.dir.as_path();
    private_folder(dir).map_err(|e| {
        StoreError::Io(format!("the data folder {} cannot be made: {e}; choose another with --data-dir", dir.display()))
    })?;
    let lock = lock(dir)?;
    let fresh = !dir.join("watchfire.redb").exists();
    let sealer = seal::Sealer::open_file(dir, fresh)?;
    if !fresh {
        migrate::folder(dir, options.cache_bytes)?;
    }
    // The intake first: after a crash in between it is empty, the main file is missing, and the folder counts as fresh.
    let intake = file(dir.join("intake.redb"), options.cache_bytes / 4)?;
    make_intake_tables(&intake)?;
    let stored = intake::last_seq(&intake)?;
    if fresh && stored > 0 {
        return Err(StoreError::Damaged(format!(
            "{} has deliveries in intake.redb but no watchfire.redb; restore both from a backup",
            dir.display()
        )));
    }
    let main = file(dir.join("watchfire.redb"), options.cache_bytes)?;
    let (position, last_change, nonce) = prepare_main(&main, dir)?;
    if stored < position {
        return Err(StoreError::Damaged(format!(
            "intake.redb ends at delivery {stored}, before watchfire.redb's position {position}; the files do not belong together, restore both from one backup"
        )));
    }
    Ok(Files { lock, main: Arc::new(main), intake: Arc::new(intake), sealer, position, last_change, nonce })
}

/// Makes a folder that only its owner can look into, with those above it. One that is there stays as it is.
pub fn private_folder(path: &Path) -> std::io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// Makes an empty file that only its owner can read, unless there is one: redb would make it for everybody.
fn private_file(path: &Path) -> Result<(), StoreError> {
    let mut options = fs::OpenOptions::new();
    options.create(true).append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map(drop).map_err(|e| StoreError::Io(format!("{}: {e}", path.display())))
}

/// One process a folder: redb locks its own files, this says it before anything is touched, and in words.
pub(super) fn lock(dir: &Path) -> Result<fs::File, StoreError> {
    let file = fs::OpenOptions::new().create(true).write(true).truncate(false).open(dir.join("lock"))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => Err(StoreError::Locked(dir.display().to_string())),
        Err(fs::TryLockError::Error(e)) => Err(e.into()),
    }
}

fn file(path: PathBuf, cache: usize) -> Result<File, StoreError> {
    File::open(move || database(&path, cache))
}

pub(super) fn database(path: &Path, cache: usize) -> Result<Database, StoreError> {
    private_file(path)?;
    let shown = path.display().to_string();
    Database::builder()
        .set_cache_size(cache)
        .set_repair_callback(move |r| {
            tracing::warn!(file = %shown, percent = format!("{:.0}", r.progress() * 100.0), "repairing after an unclean end");
        })
        .create(path)
        .map_err(|e| match StoreError::from(e) {
            StoreError::Damaged(what) => {
                StoreError::Damaged(format!("{}: {what}; restore the folder from a backup", path.display()))
            }
            StoreError::Io(what) => StoreError::Io(format!("{}: {what}", path.display())),
            other => other,
        })
}

pub(super) fn make_intake_tables(file: &File) -> Result<(), StoreError> {
    let txn = file.write()?;
    txn.open_table(tables::BLOBS)?;
    txn.open_table(tables::RETRIES)?;
    txn.open_table(tables::RETRY_ORDER)?;
    Ok(txn.commit()?)
}

/// The schema of a main file; none when it is new.
pub(super) fn schema(txn: &redb::ReadTransaction) -> Result<Option<u32>, StoreError> {
    let found = match txn.open_table(tables::META) {
        Ok(table) => table.get(meta::SCHEMA)?.map(|n| n.value()),
        Err(redb::TableError::TableDoesNotExist(_)) => None,
        Err(e) => return Err(e.into()),
    };
    Ok(found.map(|n| u32::try_from(n).unwrap_or(u32::MAX)))
}

/// Refuses a file of another schema; a new one has none yet.
pub(super) fn known_schema(txn: &redb::ReadTransaction, dir: &Path) -> Result<(), StoreError> {
    match schema(txn)? {
        Some(found) if found > tables::SCHEMA => {
            Err(StoreError::Newer { dir: dir.display().to_string(), found, known: tables::SCHEMA })
        }
        Some(found) if found < tables::SCHEMA => Err(StoreError::Older { dir: dir.display().to_string(), found }),
        _ => Ok(()),
    }
}

/// Makes the tables of a new file, refuses a newer one, and reads where it stands.
pub(super) fn prepare_main(file: &File, dir: &Path) -> Result<(u64, u64, u64), StoreError> {
    known_schema(&file.read()?, dir)?;
    let mut txn = file.write()?;
    txn.set_quick_repair(true);
    let state = {
        let mut table = txn.open_table(tables::META)?;
        table.insert(meta::SCHEMA, u64::from(tables::SCHEMA))?;
        if table.get(meta::NONCE)?.is_none() {
            let nonce =
                getrandom::u64().map_err(|e| StoreError::Io(format!("no random numbers from the system: {e}")))?;
            table.insert(meta::NONCE, nonce)?;
        }
        let read = |name: &str| -> Result<u64, StoreError> { Ok(table.get(name)?.map_or(0, |n| n.value())) };
        (read(meta::POSITION)?, read(meta::CHANGE)?, read(meta::NONCE)?)
    };
    txn.open_table(tables::INCIDENTS)?;
    txn.open_table(tables::OPEN)?;
    txn.open_table(tables::CLOSED)?;
    txn.open_table(tables::BY_SERVICE)?;
    txn.open_table(tables::ACKS)?;
    txn.open_table(tables::ALERTS)?;
    txn.open_table(tables::LIVE_ALERTS)?;
    txn.open_table(tables::QUIET)?;
    txn.open_table(tables::MEMBERS)?;
    txn.open_table(tables::TIMELINE)?;
    txn.open_table(tables::THOUGHTS)?;
    txn.open_table(tables::ANSWERS)?;
    txn.open_table(tables::JOBS)?;
    txn.open_table(tables::CHANGES)?;
    txn.open_table(tables::RAW)?;
    txn.open_table(tables::DELIVERIES)?;
    txn.open_table(tables::RESULTS)?;
    txn.open_table(tables::MINUTES)?;
    txn.open_table(tables::CHANGE_LOG)?;
    txn.open_table(tables::CONNECTORS)?;
    txn.open_table(tables::COUNTERS)?;
    txn.open_table(tables::ACCOUNTS)?;
    txn.open_table(tables::SESSIONS)?;
    txn.open_table(tables::TOKENS)?;
    txn.open_table(tables::AUDIT)?;
    txn.commit()?;
    Ok(state)
}
