//! Giving the space of what was removed back to the disk. The server uses it again by itself; this is for a file that will
//! not grow to its old size any more.

use std::path::Path;

use redb::ReadableDatabase;

use super::{StoreError, open};

/// What compacting did to a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compacted {
    /// The file's name.
    pub name: &'static str,
    /// Bytes before.
    pub before: u64,
    /// Bytes after.
    pub after: u64,
}

/// Compacts both files of a stopped store; calls `done` after each. Blocking: about as long as reading and writing them once.
///
/// Fails when a server runs on the folder, or when it has another schema; then nothing is changed. A kill loses nothing.
pub fn compact(dir: &Path, cache_bytes: usize, mut done: impl FnMut(&Compacted)) -> Result<(), StoreError> {
    if !dir.join("watchfire.redb").exists() {
        return Err(StoreError::Io(format!(
            "there is no watchfire.redb in {}; name the folder with --data-dir",
            dir.display()
        )));
    }
    let _lock = open::lock(dir)?;
    for name in ["watchfire.redb", "intake.redb"] {
        let path = dir.join(name);
        let size = || std::fs::metadata(&path).map_or(0, |m| m.len());
        let before = size();
        let mut database = open::database(&path, cache_bytes)?;
        if name == "watchfire.redb" {
            open::known_schema(&database.begin_read()?, dir)?;
        }
        // Each call moves a part; the last one finds nothing to move.
        while database.compact()? {}
        drop(database);
        done(&Compacted { name, before, after: size() });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{
        Policy,
        tests::{Fixture, firing},
    };

    #[tokio::test]
    async fn a_file_with_freed_space_shrinks_and_says_the_same() {
        let f = Fixture::with(Policy { reserve: 0, ..Policy::default() });
        for n in 0..5 {
            let keys: Vec<String> = (0..500).map(|k| format!("grafana:{n} {k}")).collect();
            f.send("grafana", keys.iter().map(|k| firing(k, Some("api"))).collect()).await;
        }
        f.store.resolve(crate::model::IncidentId(1), None, crate::store::tests::me()).await.unwrap();
        let dir = f.dir.path().to_owned();
        assert!(matches!(compact(&dir, 8 << 20, |_| {}), Err(StoreError::Locked(_))), "a server runs on it");
        f.store.close();
        let Fixture { dir: folder, clock, store } = f;
        drop(store);
        let mut done = Vec::new();
        compact(&dir, 8 << 20, |c| done.push(c.clone())).unwrap();
        assert_eq!(done.iter().map(|c| c.name).collect::<Vec<_>>(), ["watchfire.redb", "intake.redb"]);
        assert!(done.iter().all(|c| c.after <= c.before) && done[0].after < done[0].before, "{done:?}");
        let store = Fixture::open(folder.path(), &clock);
        let view = store.exclusive_view().await.unwrap();
        assert_eq!(view.check().unwrap(), Vec::<String>::new());
        assert_eq!(view.incident(crate::model::IncidentId(1)).unwrap().unwrap().alert_count, 2_500);
        drop(view);
        store.close();
    }

    #[test]
    fn a_folder_without_a_store_is_said() {
        let dir = tempfile::tempdir().unwrap();
        let said = compact(dir.path(), 8 << 20, |_| {}).unwrap_err().to_string();
        assert!(said.contains("--data-dir") && !dir.path().join("watchfire.redb").exists(), "{said}");
    }
}
