//! Opening: the folder's lock, both files, the schema, and whether the files belong together.

use std::{
    fs,
    panic::catch_unwind,
    path::{Path, PathBuf},
    sync::Arc,
};

use redb::{Database, ReadableTable, ReadableTableMetadata, TableHandle};

use super::{
    StoreError, StoreOptions,
    file::File,
    insights, intake, migrate, seal,
    tables::{self, meta},
};

/// Part of the name of a folder that a restore fills.
pub(super) const UNFINISHED: &str = ".restoring-";

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
    if holds_anything(&dir.join("watchfire.redb")) {
        migrate::folder(dir, options.cache_bytes)?;
    }
    let intake = file(made_both(dir)?, options.cache_bytes / 8)?;
    ours(&intake, "intake.redb", tables::BLOBS, dir)?;
    make_intake_tables(&intake)?;
    if intake::last_seq(&intake)? > 0 && !holds_anything(&dir.join("watchfire.redb")) {
        return Err(StoreError::Damaged(format!(
            "{} has deliveries in intake.redb but no watchfire.redb, or an empty one; restore both from one backup",
            dir.display()
        )));
    }
    let main = file(made(dir, "watchfire.redb")?, options.cache_bytes)?;
    together(lock, intake, main, dir)
}

/// The path of intake.redb. In a new folder both files are made at the same time: either waits for the disk.
fn made_both(dir: &Path) -> Result<PathBuf, StoreError> {
    let (intake, main) = ("intake.redb", "watchfire.redb");
    if holds_anything(&dir.join(intake)) || holds_anything(&dir.join(main)) {
        return made(dir, intake);
    }
    std::thread::scope(|threads| {
        let other = threads.spawn(|| made(dir, main));
        let intake = made(dir, intake)?;
        // One that panicked made no file, which the next step does.
        if let Ok(other) = other.join() {
            other?;
        }
        Ok(intake)
    })
}

/// Both files with their tables, found to belong together, and the key.
pub(super) fn together(lock: fs::File, intake: File, main: File, dir: &Path) -> Result<Files, StoreError> {
    ours(&main, "watchfire.redb", tables::META, dir)?;
    make_intake_tables(&intake)?;
    let stored = intake::last_seq(&intake)?;
    let (position, last_change, nonce) = prepare_main(&main, dir)?;
    if let Some(first) = intake::first_seq(&intake)?.filter(|first| *first > position + 1) {
        return Err(StoreError::Damaged(format!(
            "intake.redb begins at delivery {first}, and watchfire.redb ends at {position}: what was between them is missing, so the files do not belong together; restore both from one backup"
        )));
    }
    if stored < position {
        return Err(StoreError::Damaged(format!(
            "intake.redb ends at delivery {stored}, before watchfire.redb's position {position}; the files do not belong together, restore both from one backup"
        )));
    }
    // The last to be made: where it is, both files were whole once.
    let sealer = seal::Sealer::open_file(dir, seals_nothing(&main)?)?;
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

/// Makes an empty file that only its owner can read; there must be none: redb would make it for everybody.
fn private_file(path: &Path) -> Result<(), StoreError> {
    let mut options = fs::OpenOptions::new();
    options.create_new(true).append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(path).map_err(|e| StoreError::Io(format!("{}: {e}", path.display())))?;
    for_owner(path, &file);
    Ok(())
}

/// Gives a file that was just made to the account that its folder belongs to: what an administrator does as root must not
/// keep the service out. Never for a file that was there: it may be a link to something else.
pub(super) fn for_owner(path: &Path, made: &fs::File) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::{MetadataExt, fchown};
        let Some(Ok(folder)) = path.parent().map(fs::metadata) else { return };
        if made.metadata().is_ok_and(|m| m.uid() != folder.uid())
            && let Err(e) = fchown(made, Some(folder.uid()), Some(folder.gid()))
        {
            tracing::debug!(path = %path.display(), error = %e, "a file could not be given to the owner of its folder");
        }
    }
}

/// One process a folder: redb locks its own files, this says it before anything is touched, and in words.
pub(super) fn lock(dir: &Path) -> Result<fs::File, StoreError> {
    let path = dir.join("lock");
    let file = match fs::OpenOptions::new().create_new(true).write(true).open(&path) {
        Ok(file) => {
            for_owner(&path, &file);
            file
        }
        Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => fs::OpenOptions::new().write(true).open(&path)?,
        Err(e) => return Err(e.into()),
    };
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => Err(StoreError::Locked(dir.display().to_string())),
        Err(fs::TryLockError::Error(e)) => Err(e.into()),
    }
}

/// Whether a file is there with something in it.
fn holds_anything(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|m| m.len() > 0)
}

/// Whether a restore was broken off while it put its files into this folder: what it moved aside is in there as well.
fn half_restored(dir: &Path) -> bool {
    let mut names = fs::read_dir(dir).into_iter().flatten().flatten().map(|e| e.file_name());
    names.any(|name| name.to_string_lossy().contains(UNFINISHED))
}

/// The path of a database file of the folder, made when the folder is new. In a folder with a key the store was whole once:
/// an empty file put in the place of a lost one would look like a store that never had anything in it.
fn made(dir: &Path, name: &str) -> Result<PathBuf, StoreError> {
    let path = dir.join(name);
    if holds_anything(&path) {
        return Ok(path);
    }
    if seal::key_file(dir).exists() {
        return Err(StoreError::Damaged(format!(
            "{} is missing or empty, and secret.key shows that this folder held a store; restore the folder from a backup, or remove secret.key and both .redb files to begin an empty one",
            path.display()
        )));
    }
    if half_restored(dir) {
        return Err(StoreError::Damaged(format!(
            "{} is missing or empty, because a restore into this folder was broken off; run `watchfire restore --replace` again, or move back what is in its folder before-restore-* and remove .*{UNFINISHED}*",
            path.display()
        )));
    }
    // Under another name until it is whole: half a database would be refused at the next start.
    let unfinished = path.with_extension("new");
    match fs::remove_file(&unfinished) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(e.into()),
        _ => {}
    }
    private_file(&unfinished)?;
    drop(Database::create(&unfinished)?);
    fs::File::open(&unfinished)?.sync_all()?;
    fs::rename(&unfinished, &path)?;
    seal::sync_folder(dir)?;
    Ok(path)
}

fn file(path: PathBuf, cache: usize) -> Result<File, StoreError> {
    File::open(move || {
        // What stands in a damaged file can break assumptions that redb makes only with an assertion.
        catch_unwind(|| database(&path, cache))
            .unwrap_or_else(|_| Err(damaged(&path, "its contents contradict each other")))
    })
}

/// Damage of a file or folder, with the remedy.
pub(super) fn damaged(path: &Path, what: &str) -> StoreError {
    StoreError::Damaged(format!("{}: {what}; restore the folder from a backup", path.display()))
}

// Never makes one: also when it is opened again after an error, an empty file is no substitute.
pub(super) fn database(path: &Path, cache: usize) -> Result<Database, StoreError> {
    let shown = path.display().to_string();
    Database::builder()
        .set_cache_size(cache)
        .set_repair_callback(move |r| {
            tracing::warn!(file = %shown, percent = format!("{:.0}", r.progress() * 100.0), "repairing after an unclean end");
        })
        .open(path)
        .map_err(|e| match e {
            redb::DatabaseError::Storage(redb::StorageError::Io(io))
                if matches!(io.kind(), std::io::ErrorKind::InvalidData | std::io::ErrorKind::UnexpectedEof) =>
            {
                StoreError::Damaged(io.to_string())
            }
            other => other.into(),
        })
        .map_err(|e| match e {
            StoreError::Damaged(what) => damaged(path, &what),
            StoreError::Io(what) => StoreError::Io(format!("{}: {what}", path.display())),
            other => other,
        })
}

/// Refuses a database that has other tables than ours, or none in a folder whose store was whole once.
fn ours<K: redb::Key, V: redb::Value>(
    file: &File,
    name: &str,
    table: redb::TableDefinition<'static, K, V>,
    dir: &Path,
) -> Result<(), StoreError> {
    let tables: Vec<String> = file.read()?.list_tables()?.map(|t| t.name().to_owned()).collect();
    let new = tables.is_empty() && !seal::key_file(dir).exists();
    if new || tables.iter().any(|t| t == table.name()) {
        return Ok(());
    }
    Err(damaged(&dir.join(name), "it is a database, but not this one"))
}

/// Whether no row needs the key: then a missing one can be made.
fn seals_nothing(main: &File) -> Result<bool, StoreError> {
    Ok(main.read()?.open_table(tables::CONNECTORS)?.is_empty()?)
}

/// How many tables `make_intake_tables` makes.
const INTAKE_TABLES: usize = 3;

pub(super) fn make_intake_tables(file: &File) -> Result<(), StoreError> {
    // Each commit is two syncs, which a start waits for.
    if file.read()?.list_tables()?.count() >= INTAKE_TABLES {
        return Ok(());
    }
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
        if table.get(meta::SCHEMA)?.is_none() {
            // There is nothing to be counted yet.
            table.insert(meta::INSIGHTS, insights::RULES)?;
        }
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
    txn.open_table(tables::SERVICES)?;
    txn.open_table(tables::EDGES)?;
    txn.open_table(tables::PROFILES)?;
    txn.open_table(tables::LOOKS)?;
    txn.open_table(tables::SNOOZES)?;
    txn.open_table(tables::APART)?;
    txn.open_table(tables::LESSONS)?;
    txn.open_table(tables::MUTES)?;
    txn.open_table(tables::MUTED)?;
    txn.open_table(tables::THRESHOLDS)?;
    txn.open_table(tables::WAITING)?;
    txn.open_table(tables::SETTINGS)?;
    txn.open_table(tables::BACKTESTS)?;
    txn.open_table(tables::OUTCOMES)?;
    txn.open_table(tables::POSTMORTEMS)?;
    txn.open_table(tables::POSTMORTEM_VERSIONS)?;
    txn.open_table(tables::TRANSCRIPTS)?;
    txn.open_table(tables::SPENDING)?;
    txn.open_table(tables::RUNBOOKS)?;
    txn.open_table(tables::SAVED_VIEWS)?;
    txn.open_table(tables::CHANNELS)?;
    txn.open_table(tables::NOTICE_RULES)?;
    txn.open_table(tables::CONTACTS)?;
    txn.open_table(tables::SCHEDULES)?;
    txn.open_table(tables::POLICIES)?;
    txn.open_table(tables::HEARTBEATS)?;
    txn.open_table(tables::NOTICES)?;
    txn.open_table(tables::NOTICES_DUE)?;
    txn.open_table(tables::NOTICES_PENDING)?;
    txn.open_table(tables::NOTICES_OF)?;
    txn.open_table(tables::CONSIDERED)?;
    txn.open_table(tables::RECEIPTS)?;
    txn.open_table(tables::ESCALATIONS)?;
    txn.open_table(tables::ESCALATIONS_DUE)?;
    txn.open_table(tables::INSIGHT_DAYS)?;
    txn.open_table(tables::INSIGHT_SEVERITIES)?;
    txn.open_table(tables::INSIGHT_RECEIVED)?;
    txn.open_table(tables::INSIGHT_KINDS)?;
    txn.open_table(tables::INSIGHT_NAMES)?;
    txn.commit()?;
    Ok(state)
}
