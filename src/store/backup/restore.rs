//! Restoring: everything is read, compared and opened in a folder beside the data folder, and takes its place in one
//! rename. Nothing that is there is overwritten.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use redb::{Database, ReadableDatabase, ReadableTable};

use super::{BackupError, Contents, Manifest, digest, every::Part, key, look, sync_folder, verify};
use crate::{
    model::{ConnectorSettings, Time},
    store::{StoreError, codec, open, seal, tables},
};

const KEY: &str = "secret.key";

/// What to restore, and where.
pub struct Restore<'a> {
    /// The backup.
    pub from: &'a Path,
    /// The data folder.
    pub dir: &'a Path,
    /// Moves what is in that folder aside.
    pub replace: bool,
    /// Opens the key file in the backup; without it, the key stays in there.
    pub passphrase: Option<&'a str>,
    /// The time, for the name of what is moved aside.
    pub now: Time,
    /// Called with the bytes read; `false` breaks it off.
    pub going: &'a mut dyn FnMut(u64) -> bool,
}

impl std::fmt::Debug for Restore<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Restore").field("from", &self.from).field("dir", &self.dir).finish_non_exhaustive()
    }
}

/// Where the key file of a restored folder came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RestoredKey {
    /// Out of the backup.
    Backup,
    /// From the folder that was there before: it belongs to the restored database.
    Kept,
    /// Nowhere: it must be put there, or made anew.
    Missing,
}

/// What was done.
#[derive(Clone, Debug)]
pub struct Restored {
    /// What the backup says of itself.
    pub manifest: Manifest,
    /// Where the folder is now that was there before.
    pub aside: Option<PathBuf>,
    /// Whether secrets can be read.
    pub key: RestoredKey,
}

/// The way to the place: by a rename beside it, or inside it where that cannot be (a mount point, a folder of others).
struct Place {
    unfinished: PathBuf,
    inside: bool,
}

/// Restores. Blocking. When it fails, everything is as it was.
pub fn restore(what: Restore<'_>) -> Result<Restored, BackupError> {
    let Contents { sealed_key, .. } = look(what.from)?;
    let key = match (&sealed_key, what.passphrase) {
        (Some(sealed), Some(passphrase)) => Some(key::open(sealed, passphrase)?),
        _ => None,
    };
    let there = entries(what.dir).map_err(BackupError::file(what.dir))?;
    let occupied = there.iter().any(|name| name != "lock" && name != "lost+found");
    if occupied && !what.replace {
        return Err(BackupError::NotEmpty(what.dir.display().to_string()));
    }
    // A server that runs on it would go on with files that have gone elsewhere.
    let _lock = if occupied { Some(open::lock(what.dir)?) } else { None };
    into_place(&place(what.dir)?, what, key, occupied)
}

fn into_place(place: &Place, what: Restore<'_>, key: Option<Vec<u8>>, occupied: bool) -> Result<Restored, BackupError> {
    let done = fill(&place.unfinished, what.from, key, what.going).and_then(|manifest| {
        let key = settle_key(&place.unfinished, what.dir)?;
        give_to_owner(what.dir, &place.unfinished);
        let aside = put(place, what.dir, occupied, what.now)?;
        Ok(Restored { manifest, aside, key })
    });
    if done.is_err() {
        // What is left is only what this attempt has made.
        let _ = fs::remove_dir_all(&place.unfinished);
    }
    done
}

fn entries(dir: &Path) -> io::Result<Vec<String>> {
    match fs::read_dir(dir) {
        Ok(all) => all.map(|e| Ok(e?.file_name().to_string_lossy().into_owned())).collect(),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(e) => Err(e),
    }
}

/// The databases out of the archive, each compared with what the archive says of it.
fn fill(
    dir: &Path,
    from: &Path,
    key: Option<Vec<u8>>,
    going: &mut dyn FnMut(u64) -> bool,
) -> Result<Manifest, BackupError> {
    let Contents { manifest, .. } = verify(from, Some(dir), going)?;
    // The tables of an older schema are those of its version; the sums of its files have just been compared.
    if manifest.schema == tables::SCHEMA && digest::of_folder(dir)? != manifest.tables {
        return Err(BackupError::Broken("its databases do not hold what its manifest says".to_owned()));
    }
    new_name(&dir.join(Part::Main.file()))?;
    if let Some(key) = key {
        let path = dir.join(KEY);
        super::private_new(&path)
            .and_then(|mut file| io::Write::write_all(&mut file, &key).and_then(|()| file.sync_all()))
            .map_err(BackupError::file(&path))?;
    }
    Ok(manifest)
}

/// A store that goes on from an earlier state is another one: positions that others remember mean nothing in it.
fn new_name(path: &Path) -> Result<(), StoreError> {
    let database = Database::open(path)?;
    let mut txn = database.begin_write()?;
    txn.set_quick_repair(true);
    let mut nonce = [0; 8];
    seal::random(&mut nonce)?;
    txn.open_table(tables::META)?.insert(tables::meta::NONCE, u64::from_be_bytes(nonce))?;
    Ok(txn.commit()?)
}

/// Whether the folder has a key; takes the one of the folder that is replaced when it opens the restored secrets.
fn settle_key(dir: &Path, before: &Path) -> Result<RestoredKey, BackupError> {
    if dir.join(KEY).exists() {
        return Ok(RestoredKey::Backup);
    }
    let old = before.join(KEY);
    if !old.exists() || !fits(before, dir).unwrap_or(false) {
        return Ok(RestoredKey::Missing);
    }
    let bytes = fs::read(&old).map_err(BackupError::file(&old))?;
    let new = dir.join(KEY);
    super::private_new(&new)
        .and_then(|mut file| io::Write::write_all(&mut file, &bytes).and_then(|()| file.sync_all()))
        .map_err(BackupError::file(&new))?;
    Ok(RestoredKey::Kept)
}

/// Whether the key file of one folder opens the secrets of the database in another.
fn fits(key: &Path, dir: &Path) -> Result<bool, StoreError> {
    let sealer = seal::Sealer::open_file(key, false)?;
    let database = redb::ReadOnlyDatabase::open(dir.join(Part::Main.file()))?;
    for row in database.begin_read()?.open_table(tables::CONNECTORS)?.iter()? {
        let settings: ConnectorSettings = codec::decode(row?.1.value())?;
        if sealer.open(&settings.key).is_err() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Makes the folder to fill.
fn place(dir: &Path) -> Result<Place, BackupError> {
    let name = dir.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut random = [0; 4];
    seal::random(&mut random)?;
    let unfinished = format!(".{name}.restoring-{}", digest::hex(&random));
    let beside = dir.with_file_name(&unfinished);
    if !is_mount(dir) {
        match open::private_folder(&beside) {
            Ok(()) => return Ok(Place { unfinished: beside, inside: false }),
            Err(e) if dir.is_dir() && refused(&e) => {}
            Err(e) => return Err(BackupError::file(&beside)(e)),
        }
    }
    Place::within(dir, &unfinished)
}

impl Place {
    /// In the folder itself.
    fn within(dir: &Path, unfinished: &str) -> Result<Self, BackupError> {
        let unfinished = dir.join(unfinished);
        open::private_folder(&unfinished).map_err(BackupError::file(&unfinished))?;
        Ok(Self { unfinished, inside: true })
    }
}

fn refused(e: &io::Error) -> bool {
    matches!(e.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem)
}

/// Whether a folder is another file system than the one it stands in: it cannot be renamed.
#[cfg(unix)]
fn is_mount(dir: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let device = |path: &Path| fs::metadata(path).map(|m| m.dev()).ok();
    let parent = dir.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    device(dir).is_some_and(|d| device(parent) != Some(d))
}

#[cfg(not(unix))]
fn is_mount(_: &Path) -> bool {
    false
}

/// Whoever restores as root restores for the account that the folder belongs to.
#[cfg(unix)]
fn give_to_owner(before: &Path, unfinished: &Path) {
    use std::os::unix::fs::{MetadataExt, chown};
    let Ok(owner) = fs::metadata(before) else { return };
    let ours = |path: &Path| fs::metadata(path).is_ok_and(|m| (m.uid(), m.gid()) == (owner.uid(), owner.gid()));
    let files = fs::read_dir(unfinished).into_iter().flatten().flatten().map(|e| e.path());
    for path in files.chain([unfinished.to_owned()]).filter(|p| !ours(p)) {
        if let Err(e) = chown(&path, Some(owner.uid()), Some(owner.gid())) {
            tracing::warn!(path = %path.display(), error = %e, "a restored file could not be given to the owner of the data folder");
        }
    }
}

#[cfg(not(unix))]
fn give_to_owner(_: &Path, _: &Path) {}

/// Puts the filled folder in its place, and what was there aside.
fn put(place: &Place, dir: &Path, occupied: bool, now: Time) -> Result<Option<PathBuf>, BackupError> {
    let when = now.timestamp().strftime("%Y%m%dT%H%M%SZ").to_string();
    if place.inside {
        return put_inside(&place.unfinished, dir, occupied, &format!("before-restore-{when}"));
    }
    let name = dir.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let aside = dir.with_file_name(format!("{name}.before-restore-{when}"));
    if occupied {
        if aside.exists() {
            return Err(BackupError::Exists(aside.display().to_string()));
        }
        fs::rename(dir, &aside).map_err(BackupError::file(dir))?;
    } else if dir.exists() {
        // Only a lock that nobody holds can be in it.
        let _ = fs::remove_file(dir.join("lock"));
    }
    if let Err(e) = fs::rename(&place.unfinished, dir) {
        if occupied {
            // Back as it was; if that fails too, the message below names both folders.
            let _ = fs::rename(&aside, dir);
        }
        return Err(BackupError::file(dir)(e));
    }
    sync_folder(dir.parent().unwrap_or(Path::new(".")));
    Ok(occupied.then_some(aside))
}

/// The same where the folder itself must stay. `watchfire.redb` goes first and comes last: without it the folder is
/// refused at a start, so that a half-way state is never served.
fn put_inside(unfinished: &Path, dir: &Path, occupied: bool, aside: &str) -> Result<Option<PathBuf>, BackupError> {
    let main = Part::Main.file();
    let move_all = |from: &Path, to: &Path, mut names: Vec<String>| -> Result<(), BackupError> {
        for name in std::mem::take(&mut names) {
            fs::rename(from.join(&name), to.join(&name)).map_err(BackupError::file(&from.join(&name)))?;
        }
        sync_folder(to);
        Ok(())
    };
    let moved = dir.join(aside);
    if occupied {
        open::private_folder(&moved).map_err(BackupError::file(&moved))?;
        let own = unfinished.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let stays = |n: &String| *n == own || n == "lock" || n == "lost+found" || n.starts_with("before-restore-");
        let mut old = entries(dir).map_err(BackupError::file(dir))?;
        old.retain(|n| !stays(n));
        old.sort_by_key(|n| n != main);
        move_all(dir, &moved, old)?;
    }
    let mut new = entries(unfinished).map_err(BackupError::file(unfinished))?;
    new.sort_by_key(|n| n == main);
    move_all(unfinished, dir, new)?;
    let _ = fs::remove_dir(unfinished);
    Ok(occupied.then_some(moved))
}

#[cfg(test)]
/// For tests: as into a folder that cannot be renamed.
pub(super) fn restore_within(what: Restore<'_>, occupied: bool) -> Result<Restored, BackupError> {
    into_place(&Place::within(what.dir, ".restoring")?, what, None, occupied)
}
