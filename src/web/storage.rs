//! What the store takes on the disk, for the storage page and for `/metrics`.

use std::path::Path;

use super::state::AppState;

/// Files and folders of the data folder that are shown one by one.
const OURS: [&str; 3] = ["watchfire.redb", "intake.redb", "index"];

/// Sizes at the time of asking.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sizes {
    /// The databases and the text index, in bytes.
    pub files: Vec<(&'static str, u64)>,
    /// What the disk has left; none where that cannot be known.
    pub free: Option<u64>,
}

impl Sizes {
    /// Looks at the data folder, on the blocking pool.
    pub async fn of(state: &AppState) -> Self {
        let store = state.store.clone();
        let dir = store.dir().to_owned();
        let look = move || Self {
            files: OURS.iter().map(|name| (*name, size(&dir.join(name), 3))).collect(),
            free: store.free_space(),
        };
        tokio::task::spawn_blocking(look).await.unwrap_or_default()
    }
}

fn size(path: &Path, depth: u8) -> u64 {
    let Ok(meta) = std::fs::symlink_metadata(path) else { return 0 };
    if !meta.is_dir() || depth == 0 {
        return meta.len();
    }
    std::fs::read_dir(path).map(|d| d.flatten().map(|e| size(&e.path(), depth - 1)).sum()).unwrap_or(0)
}
