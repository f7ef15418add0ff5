//! The door and the pages: routes, layers, API, server-rendered pages, streams. The only room that names axum and askama.

pub mod api;
pub mod assets;
pub mod auth;
pub mod backup;
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
pub mod server;
pub mod shared;
pub mod sse;
pub mod state;
pub mod storage;
pub mod tls;

use std::time::Duration;

use crate::{model::Applied, store::StoreError};

pub use router::serve_router;

/// What each signal of a delivery did; none when it was not applied in time.
async fn applied(state: &state::AppState, seq: u64, within: Duration) -> Result<Option<Vec<Applied>>, StoreError> {
    if !state.store.applied(seq, within).await {
        return Ok(None);
    }
    state.store.read(move |view| view.results(seq)).await
}

#[cfg(test)]
pub(crate) mod tests {
    use std::{collections::BTreeMap, time::Duration};

    use crate::config::{Config, CorrelationMode, LogFormat};

    /// Settings as they are without any option.
    pub(crate) fn config() -> Config {
        Config {
            file: None,
            data_dir: "/nonexistent".into(),
            listen: "127.0.0.1:8080".into(),
            public_url: None,
            tls_cert: None,
            tls_key: None,
            tls_client_ca: None,
            trusted_proxies: Vec::new(),
            proxy_cert_header: None,
            proxy_subject_header: None,
            proxy_verify_header: None,
            bootstrap_token: None,
            log_format: LogFormat::Text,
            log_level: "info".into(),
            max_body: 1 << 20,
            body_deadline: Duration::from_secs(30),
            session_lifetime: Duration::from_secs(30 * 86_400),
            cache_bytes: 1 << 20,
            reserve: 0,
            keep_deliveries: Duration::from_secs(30 * 24 * 3600),
            keep_incidents: Duration::from_secs(400 * 24 * 3600),
            keep_bytes: 0,
            backup_dir: None,
            backup_every: Duration::from_secs(86_400),
            backup_keep: 7,
            correlation_mode: CorrelationMode::default(),
            fixed: Default::default(),
            cluster_window: Duration::from_secs(300),
            reopen_within: Duration::from_secs(900),
            test_closes_after: Duration::from_secs(600),
            investigation_delay: Duration::from_secs(5),
            investigation_workers: 1,
            max_behind: 100_000,
            outside: None,
            connectors: BTreeMap::new(),
            sources: BTreeMap::new(),
        }
    }
}
