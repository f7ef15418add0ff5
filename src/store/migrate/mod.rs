//! Bringing a folder of an earlier version up to this one's schema: one file a step, each safe to run again after a kill.
//! Before the first step both files are copied, so that the earlier version can be gone back to.

mod v001;
mod v002;
mod v003;

use std::{fs, path::Path};

use redb::{Database, ReadableDatabase};

use super::{
    StoreError, file, open, space,
    tables::{self, meta},
};

/// Both files of a folder, open.
struct Files<'a> {
    main: &'a Database,
    intake: &'a Database,
}

/// A step: from which schema, and what brings it to the next one. Each step leaves the files as they were, or done.
type Step = (u32, fn(&Files<'_>) -> Result<(), StoreError>);

/// Every step, in order.
const STEPS: &[Step] = &[(1, v001::run), (2, v002::run), (3, v003::run)];

/// Migrates the folder, if it is of an earlier version. A folder of this one or of a newer one is left as it is.
pub fn folder(dir: &Path, cache: usize) -> Result<(), StoreError> {
    let main_path = dir.join("watchfire.redb");
    let Some(found) = schema_of(&main_path, cache)?.filter(|n| *n < tables::SCHEMA) else { return Ok(()) };
    copy(dir, found)?;
    tracing::info!(from = found, to = tables::SCHEMA, "bringing the data folder up to this version");
    let main = open::database(&main_path, cache)?;
    let intake = open::database(&dir.join("intake.redb"), cache / 4)?;
    let files = Files { main: &main, intake: &intake };
    for (from, step) in STEPS.iter().filter(|(from, _)| *from >= found) {
        step(&files)?;
        tracing::info!(schema = from + 1, "migrated");
    }
    Ok(())
}

/// The schema of a file, which is closed again afterwards.
fn schema_of(path: &Path, cache: usize) -> Result<Option<u32>, StoreError> {
    let database = open::database(path, cache)?;
    let found = open::schema(&database.begin_read()?);
    file::shut(database);
    found
}

/// Copies both files and the key into a folder of their own, unless an attempt before this one has done so.
fn copy(dir: &Path, schema: u32) -> Result<(), StoreError> {
    let to = dir.join(format!("before-schema-{}", tables::SCHEMA));
    if to.exists() {
        return Ok(());
    }
    let names = ["watchfire.redb", "intake.redb", "secret.key"];
    let size = |name: &str| fs::metadata(dir.join(name)).map_or(0, |m| m.len());
    // The copy, and about as much again while the rows are rewritten.
    let need = 2 * names.iter().map(|name| size(name)).sum::<u64>();
    if let Some(free) = space::free(dir).filter(|free| *free < need) {
        return Err(StoreError::Io(format!(
            "the data in {} has schema {schema} and must be brought to {}: that needs {} MiB free for a copy, and there are {} MiB; free some space and start again, nothing was changed",
            dir.display(),
            tables::SCHEMA,
            need >> 20,
            free >> 20
        )));
    }
    let partial = dir.join(format!("before-schema-{}.partial", tables::SCHEMA));
    if partial.exists() {
        fs::remove_dir_all(&partial)?;
    }
    open::private_folder(&partial)?;
    for name in names.into_iter().filter(|name| dir.join(name).exists()) {
        fs::copy(dir.join(name), partial.join(name))?;
        fs::File::open(partial.join(name))?.sync_all()?;
    }
    fs::rename(&partial, &to)?;
    fs::File::open(dir)?.sync_all()?;
    tracing::info!(copy = %to.display(), "copied the data folder; remove the copy when this version has proved itself");
    Ok(())
}

/// Writes the schema number, in the transaction of the last change of a step.
fn set_schema(txn: &redb::WriteTransaction, schema: u32) -> Result<(), StoreError> {
    txn.open_table(tables::META)?.insert(meta::SCHEMA, u64::from(schema))?;
    Ok(())
}

#[cfg(test)]
mod tests;
