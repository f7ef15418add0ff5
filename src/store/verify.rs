//! Whether the files of a stopped store are what was written: every page against its checksum.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
};

use redb::ReadableDatabase;

use super::{StoreError, open};

/// Reads every page of both files. A sentence for each file that is not what was written; none when both are.
/// Blocking: as long as reading them takes.
///
/// Fails when a server runs on the folder, or when it has another schema.
pub fn verify(dir: &Path, cache_bytes: usize) -> Result<Vec<String>, StoreError> {
    let _lock = open::lock(dir)?;
    let mut found = Vec::new();
    for name in ["watchfire.redb", "intake.redb"] {
        // On damaged pages the database may panic instead of saying so.
        match catch_unwind(AssertUnwindSafe(|| sound(dir, name, cache_bytes))) {
            Ok(Ok(true)) => {}
            Ok(Ok(false)) => found.push(format!("{name} had damaged parts, which were made anew from its rows")),
            Ok(Err(StoreError::Damaged(what))) => found.push(what),
            Ok(Err(e)) => return Err(e),
            Err(_) => found.push(open::damaged(Path::new(name), "it cannot be read").to_string()),
        }
    }
    Ok(found)
}

fn sound(dir: &Path, name: &str, cache_bytes: usize) -> Result<bool, StoreError> {
    let path = dir.join(name);
    let mut database = open::database(&path, cache_bytes)?;
    if name == "watchfire.redb" {
        open::known_schema(&database.begin_read()?, dir)?;
    }
    match database.check_integrity() {
        Err(redb::DatabaseError::Storage(redb::StorageError::Corrupted(what))) => Err(open::damaged(&path, &what)),
        done => Ok(done?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{
        Policy,
        tests::{Fixture, firing},
    };

    #[tokio::test]
    async fn a_bit_that_turned_is_found() {
        let f = Fixture::with(Policy { reserve: 0, ..Policy::default() });
        for n in 0..20 {
            let mut signal = firing(&format!("grafana:{n}"), Some("api"));
            signal.description = Some("a text that is looked for in the file ".repeat(20));
            f.send("grafana", vec![signal]).await;
        }
        let dir = f.dir.path().to_owned();
        f.store.close();
        let Fixture { dir: folder, store, .. } = f;
        drop(store);
        assert_eq!(verify(&dir, 8 << 20).unwrap(), Vec::<String>::new());
        let path = dir.join("watchfire.redb");
        let mut bytes = std::fs::read(&path).unwrap();
        let text = b"looked for in the file";
        let at = bytes.windows(text.len()).rposition(|w| w == text).unwrap();
        // Every copy of it: which of them is the row in use, only the database knows.
        for n in 0..=at {
            if bytes[n..].starts_with(text) {
                bytes[n] ^= 1;
            }
        }
        std::fs::write(&path, bytes).unwrap();
        let found = verify(&dir, 8 << 20).unwrap();
        assert!(found.len() == 1 && found[0].contains("watchfire.redb"), "{found:?}");
        drop(folder);
    }
}
