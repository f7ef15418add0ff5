//! The door and the pages: routes, layers, API, server-rendered pages, streams. The only room that names axum and askama.

pub mod api;
pub mod assets;
pub mod auth;
pub mod backup;
pub mod channels;
pub mod connections;
pub mod editing;
pub mod error;
pub mod extract;
pub mod guarded;
pub mod health;
pub mod hooks;
pub mod lasting;
pub mod layers;
pub mod metrics;
pub mod pages;
pub mod prefer;
pub mod query;
pub mod room;
pub mod router;
pub mod saved_views;
mod scripts;
pub mod server;
pub mod shared;
pub mod sse;
pub mod state;
pub mod storage;
pub mod tls;
pub mod undo;

use std::time::Duration;

use crate::{model::Applied, store::StoreError};

pub use router::Routes;

/// What each signal of a delivery did; none when it was not applied in time.
async fn applied(state: &state::AppState, seq: u64, within: Duration) -> Result<Option<Vec<Applied>>, StoreError> {
    if !state.store.applied(seq, within).await {
        return Ok(None);
    }
    state.store.read(move |view| view.results(seq)).await
}

#[cfg(test)]
pub(crate) mod tests {
    use std::time::Duration;

    use crate::config::{Config, defaults};

    /// Settings as they are without any option, with less room.
    pub(crate) fn config() -> Config {
        Config {
            cache_bytes: 1 << 20,
            reserve: 0,
            keep_bytes: 0,
            investigation_delay: Duration::from_secs(5),
            investigation_workers: 1,
            model: Default::default(),
            max_behind: 100_000,
            ..defaults("/nonexistent".into())
        }
    }
}
