//! Backups: one tar file with a fresh, verified copy of both databases, made from one snapshot while everything goes on.
//!
//! The archive holds, in this order: `watchfire.redb`, `intake.redb`, `secret.key.sealed` when a passphrase was given,
//! `manifest.json`, and `SHA256SUMS` over all of these as `sha256sum -c` reads it. The sums come last: an archive that
//! was cut off has none. Copying an open database file is not safe, so the rows are read from a snapshot and written anew.

mod archive;
pub mod digest;
mod every;
mod inside;
pub mod key;
pub mod restore;
pub mod schedule;
#[cfg(test)]
mod tests;

use std::{
    fs::{self, File},
    io::{self, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use redb::{Database, Durability, Key, ReadTransaction, ReadableDatabase, ReadableTable, TableDefinition, Value};
use serde::{Deserialize, Serialize};

use super::{CommandError, Store, StoreError, View, space, tables};
use crate::model::Time;
use archive::BLOCK;
use digest::{RowDigest, TableDigest};
use every::{EachTable, Part};
use inside::Inside;

pub use archive::{Contents, look, verify};

/// How archives are laid out; grows when an older version could not restore a new one.
pub const FORMAT: u32 = 1;
/// Rows copied in one transaction, in bytes: small, so that the disk is not held up for others.
const BATCH: u64 = 16 << 20;
/// The cache of a copy while it is written or verified.
const CACHE: usize = 16 << 20;
/// A backup leaves at least this much of a disk free, and what the store keeps for itself if that is more: senders come
/// first.
pub const RESERVE: u64 = 64 << 20;

/// A backup could not be made, read or restored.
#[derive(Clone, Debug, thiserror::Error)]
pub enum BackupError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A file outside the store.
    #[error("{path}: {why}")]
    File {
        /// Which.
        path: String,
        /// What the system says.
        why: String,
    },
    /// There is a file of that name.
    #[error("{0} exists already; name another file, or overwrite it with --force")]
    Exists(String),
    /// Too little space.
    #[error(
        "too little space for the backup in {dir}: {free_mib} MiB are free and {left_mib} MiB must stay free for others; free some, or name a folder on another disk"
    )]
    NoSpace {
        /// Where.
        dir: String,
        /// What is there.
        free_mib: u64,
        /// What must be left.
        left_mib: u64,
    },
    /// Not what a backup should be.
    #[error("this is no whole backup: {0}; take another one")]
    Broken(String),
    /// Made by a newer version.
    #[error("this backup was made by version {version} ({what}), and this one is {}; install that version or a newer one and restore with it", env!("CARGO_PKG_VERSION"))]
    Newer {
        /// The version that made it.
        version: String,
        /// What is newer.
        what: String,
    },
    /// The passphrase is missing, too short or wrong.
    #[error("{0}")]
    Passphrase(String),
    /// The folder to restore to has something in it.
    #[error(
        "the data folder {0} is not empty and nothing was changed; add --replace to move it aside, or name another with --data-dir"
    )]
    NotEmpty(String),
    /// Another one is being made.
    #[error("another backup is being made; try again when it is done")]
    Busy,
    /// Whoever asked went away, or the process stops.
    #[error("the backup was broken off")]
    Stopped,
}

impl From<CommandError> for BackupError {
    fn from(e: CommandError) -> Self {
        match e {
            CommandError::Store(e) => Self::Store(e),
            other => Self::Store(StoreError::Damaged(other.to_string())),
        }
    }
}

impl BackupError {
    /// About a file.
    fn file(path: &Path) -> impl FnOnce(io::Error) -> Self + '_ {
        move |e| match e.kind() {
            io::ErrorKind::StorageFull => {
                Self::NoSpace { dir: path.display().to_string(), free_mib: 0, left_mib: RESERVE >> 20 }
            }
            _ => Self::File { path: path.display().to_string(), why: e.to_string() },
        }
    }
}

/// What an archive says about itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// See `FORMAT`.
    pub format: u32,
    /// The schema of the databases.
    pub schema: u32,
    /// The version that made it.
    pub version: String,
    /// When its snapshot was taken.
    pub made_at: Time,
    /// The random number of the store that it was made from, in hexadecimal.
    pub store: String,
    /// Sequence number of the last delivery that was applied.
    pub position: u64,
    /// Sequence number of the last change.
    pub last_change: u64,
    /// The key file is in it, under a passphrase.
    pub with_key: bool,
    /// What that means, for who reads this.
    pub note: String,
    /// Every table of both databases.
    pub tables: Vec<TableDigest>,
}

/// In one sentence, what is not in a backup.
pub const WITHOUT_KEY: &str = "The key file secret.key is not in this backup: keep a copy of it elsewhere, because without it connector keys and secrets cannot be read and must be made anew.";
/// The same for one that holds the key.
pub const WITH_KEY: &str = "The key file secret.key is in this backup, encrypted under the passphrase.";

/// A backup to be made.
#[derive(Clone, Copy)]
pub struct Order<'a> {
    /// The file to write; its folder is there.
    pub path: &'a Path,
    /// The time.
    pub made_at: Time,
    /// Takes the key file along, encrypted under this.
    pub passphrase: Option<&'a str>,
    /// Called with the bytes of rows copied and verified so far; `false` breaks it off.
    pub going: &'a dyn Fn(u64) -> bool,
    /// Tells what a disk has left.
    pub free: fn(&Path) -> Option<u64>,
}

impl<'a> Order<'a> {
    /// Without the key.
    pub fn new(path: &'a Path, made_at: Time, going: &'a dyn Fn(u64) -> bool) -> Self {
        Self { path, made_at, passphrase: None, going, free: space::free }
    }
}

impl std::fmt::Debug for Order<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Order").field("path", &self.path).finish_non_exhaustive()
    }
}

/// A backup that was made.
#[derive(Clone, Debug)]
pub struct Made {
    /// Bytes of the file.
    pub bytes: u64,
    /// What it holds.
    pub manifest: Manifest,
}

/// Whether a snapshot can be backed up whole, and the key file that belongs to it. Quick.
fn prepared(store: &Store, order: &Order<'_>) -> Result<Option<Vec<u8>>, BackupError> {
    let Some(passphrase) = order.passphrase else { return Ok(None) };
    let path = store.dir().join("secret.key");
    let key = fs::read(&path).map_err(BackupError::file(&path))?;
    key::seal(&key, passphrase).map(Some)
}

/// Writes a backup of the snapshot to the order's file, which stays only when it is whole and on the disk. Blocking, and
/// as long as it takes to read everything twice.
pub fn write(store: &Store, view: &View, order: &Order<'_>) -> Result<Made, BackupError> {
    let key = prepared(store, order)?;
    let file = private_new(order.path).map_err(BackupError::file(order.path))?;
    let done = fill(file, view, key, order, store.reserve().max(RESERVE));
    if done.is_err() {
        // The reason is told; a file that cannot be removed now is not taken for a backup either.
        let _ = fs::remove_file(order.path);
    }
    done
}

/// Makes a file of that name that only its owner can read; there must be none.
pub fn private_new(path: &Path) -> io::Result<File> {
    let mut options = fs::OpenOptions::new();
    options.read(true).write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

fn fill(
    mut file: File,
    view: &View,
    key: Option<Vec<u8>>,
    order: &Order<'_>,
    reserve: u64,
) -> Result<Made, BackupError> {
    let failed = || BackupError::file(order.path);
    let mut tables = Vec::new();
    let mut places = Vec::new();
    let mut watch = Watch { order, reserve, done: 0 };
    for part in Part::ALL {
        let head = file.seek(SeekFrom::End(0)).map_err(failed())?;
        let start = head + BLOCK;
        file.set_len(start).map_err(failed())?;
        tables.extend(copy(&file, start, part, view.snapshot(part), &mut watch)?);
        let length = file.metadata().map_err(failed())?.len() - start;
        file.seek(SeekFrom::Start(head)).map_err(failed())?;
        file.write_all(&archive::header(part.file(), length, order.made_at)).map_err(failed())?;
        archive::pad(&mut file).map_err(failed())?;
        places.push((part.file(), start, length));
    }
    let numbers = view.numbers()?;
    let manifest = Manifest {
        format: FORMAT,
        schema: numbers.schema,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        made_at: order.made_at,
        store: format!("{:016x}", numbers.nonce),
        position: numbers.position,
        last_change: numbers.change,
        with_key: key.is_some(),
        note: if key.is_some() { WITH_KEY } else { WITHOUT_KEY }.to_owned(),
        tables,
    };
    let said = serde_json::to_vec_pretty(&manifest).map_err(|e| StoreError::Damaged(e.to_string()))?;
    let mut sums = String::new();
    for (name, start, length) in places {
        let sum = archive::sum(&mut file, start, length, &mut |_| watch.tick(0)).map_err(failed())?;
        sums.push_str(&format!("{}  {name}\n", sum.ok_or(BackupError::Stopped)?));
    }
    file.seek(SeekFrom::End(0)).map_err(failed())?;
    let mut small = vec![("manifest.json", said)];
    small.extend(key.map(|key| (key::FILE, key)));
    small.sort_by_key(|(name, _)| *name != key::FILE);
    for (name, bytes) in small {
        sums.push_str(&format!("{}  {name}\n", archive::sum_of(&bytes)));
        archive::append(&mut file, name, &bytes, order.made_at).map_err(failed())?;
    }
    archive::append(&mut file, archive::SUMS, sums.as_bytes(), order.made_at).map_err(failed())?;
    archive::end(&mut file).map_err(failed())?;
    file.sync_all().map_err(failed())?;
    let bytes = file.metadata().map_err(failed())?.len();
    Ok(Made { bytes, manifest })
}

/// What is asked again and again while it is being made.
struct Watch<'a> {
    order: &'a Order<'a>,
    reserve: u64,
    done: u64,
}

impl Watch<'_> {
    fn tick(&mut self, bytes: u64) -> bool {
        self.done += bytes;
        (self.order.going)(self.done)
    }

    /// Before `bytes` more are written.
    fn go_on(&mut self, bytes: u64) -> Result<(), BackupError> {
        if !self.tick(bytes) {
            return Err(BackupError::Stopped);
        }
        let dir = self.order.path.parent().unwrap_or(Path::new("."));
        // Where it cannot be known, the write itself will say it.
        let free = (self.order.free)(dir).unwrap_or(u64::MAX);
        let left = self.reserve + BATCH;
        if free < left {
            let (free_mib, left_mib) = (free >> 20, left >> 20);
            return Err(BackupError::NoSpace { dir: dir.display().to_string(), free_mib, left_mib });
        }
        Ok(())
    }
}

/// Copies every table of a snapshot into a database at `start` of the file, opens that again, and compares.
fn copy(
    file: &File,
    start: u64,
    part: Part,
    from: &ReadTransaction,
    watch: &mut Watch<'_>,
) -> Result<Vec<TableDigest>, BackupError> {
    part.knows(from)?;
    let open = || -> Result<Database, StoreError> {
        Ok(Database::builder().set_cache_size(CACHE).create_with_backend(Inside::new(file.try_clone()?, start))?)
    };
    let mut to = open()?;
    let mut copier = Copier { from, to: &to, watch, stopped: None, copied: Vec::new() };
    let done = part.each(&mut copier);
    let (stopped, copied) = (copier.stopped, copier.copied);
    if let Some(e) = stopped {
        return Err(e);
    }
    done?;
    // What was copied without waiting for the disk is durable with this.
    to.begin_write().map_err(StoreError::from)?.commit().map_err(StoreError::from)?;
    // Each call moves a part; the last one finds nothing to move.
    while to.compact().map_err(StoreError::from)? {
        watch.go_on(0)?;
    }
    drop(to);
    let again = open()?;
    let seen = digest::of(part, &again.begin_read().map_err(StoreError::from)?)?;
    drop(again);
    watch.go_on(0)?;
    if seen != copied {
        return Err(StoreError::Io(format!("the copy of {} does not say the same as the store", part.file())).into());
    }
    Ok(copied)
}

struct Copier<'a, 'w> {
    from: &'a ReadTransaction,
    to: &'a Database,
    watch: &'a mut Watch<'w>,
    stopped: Option<BackupError>,
    copied: Vec<TableDigest>,
}

impl EachTable for Copier<'_, '_> {
    fn table<K: Key + 'static, V: Value + 'static>(
        &mut self,
        definition: TableDefinition<'static, K, V>,
    ) -> Result<(), StoreError> {
        use redb::TableHandle;
        let from = self.from.open_table(definition)?;
        let mut rows = from.iter()?;
        let mut digest = RowDigest::default();
        loop {
            let mut txn = self.to.begin_write()?;
            let mut bytes: u64 = 0;
            {
                let mut to = txn.open_table(definition)?;
                while bytes < BATCH {
                    let Some(row) = rows.next() else { break };
                    let (key, value) = row?;
                    let (key, value) = (key.value(), value.value());
                    {
                        let (k, v) = (K::as_bytes(&key), V::as_bytes(&value));
                        let (k, v) = (k.as_ref(), v.as_ref());
                        digest.row(definition.name(), k, v);
                        bytes += (k.len() + v.len()) as u64;
                    }
                    to.insert(&key, &value)?;
                }
            }
            let more = bytes >= BATCH;
            if !more {
                txn.set_durability(Durability::None)?;
            }
            txn.commit()?;
            if let Err(e) = self.watch.go_on(bytes) {
                self.stopped = Some(e);
                return Err(StoreError::Stopped);
            }
            if !more {
                break;
            }
        }
        self.copied.push(digest.finish(definition.name()));
        Ok(())
    }
}

/// Numbers of a store that name a backup of it.
pub(super) struct Numbers {
    pub schema: u32,
    pub nonce: u64,
    pub position: u64,
    pub change: u64,
}

impl View {
    /// The snapshot of one file.
    fn snapshot(&self, part: Part) -> &ReadTransaction {
        let (main, intake) = self.transactions();
        match part {
            Part::Main => main,
            Part::Intake => intake,
        }
    }

    fn numbers(&self) -> Result<Numbers, StoreError> {
        use tables::meta;
        let table = self.snapshot(Part::Main).open_table(tables::META)?;
        let read = |name: &str| -> Result<u64, StoreError> { Ok(table.get(name)?.map_or(0, |n| n.value())) };
        Ok(Numbers {
            schema: u32::try_from(read(meta::SCHEMA)?).unwrap_or(u32::MAX),
            nonce: read(meta::NONCE)?,
            position: read(meta::POSITION)?,
            change: read(meta::CHANGE)?,
        })
    }
}

/// Makes a backup under the order's name: it is written under another one, and gets its own when it is whole and on the
/// disk. `force` overwrites a file of that name. Blocking.
pub fn to_file(store: &Store, view: &View, order: &Order<'_>, force: bool) -> Result<Made, BackupError> {
    free_name(order.path, force)?;
    let partial = partial(order.path);
    forget(&partial)?;
    let made = write(store, view, &Order { path: &partial, ..*order })?;
    put(&partial, order.path, force)?;
    Ok(made)
}

/// The name of a backup while it is written.
pub fn partial(to: &Path) -> PathBuf {
    let mut name = to.file_name().unwrap_or_default().to_owned();
    name.push(".partial");
    to.with_file_name(name)
}

/// Refuses a name that is taken.
pub fn free_name(to: &Path, force: bool) -> Result<(), BackupError> {
    if to.is_dir() {
        return Err(BackupError::File {
            path: to.display().to_string(),
            why: "is a folder; name a file in it".to_owned(),
        });
    }
    if !force && to.symlink_metadata().is_ok() {
        return Err(BackupError::Exists(to.display().to_string()));
    }
    Ok(())
}

/// Removes what an earlier attempt left.
pub fn forget(partial: &Path) -> Result<(), BackupError> {
    match fs::remove_file(partial) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(BackupError::file(partial)(e)),
        _ => Ok(()),
    }
}

/// Gives a whole backup its name, durably.
pub fn put(partial: &Path, to: &Path, force: bool) -> Result<(), BackupError> {
    free_name(to, force)?;
    fs::rename(partial, to).map_err(BackupError::file(to))?;
    sync_folder(to.parent().unwrap_or(Path::new(".")));
    Ok(())
}

/// A new name in a folder survives a power cut only after this. Not every file system can, and the file itself is there.
fn sync_folder(dir: &Path) {
    let dir = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
    if let Err(e) = File::open(dir).and_then(|d| d.sync_all()) {
        tracing::debug!(dir = %dir.display(), error = %e, "a folder could not be synced");
    }
}
