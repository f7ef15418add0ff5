//! What every handler can reach.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::{config::Config, live::Hub, runtime::clock::Clock, store::Store};

/// Shared by all handlers. Cheap to clone.
#[derive(Clone, Debug)]
pub struct AppState {
    /// The store.
    pub store: Store,
    /// Live changes.
    pub live: Hub,
    /// The settings.
    pub config: Arc<Config>,
    /// The time.
    pub clock: Clock,
    /// Set when the process stops: streams end on it.
    pub stop: CancellationToken,
    /// What the web room keeps in memory: limits, set-up link, metrics.
    pub shared: Arc<super::shared::Shared>,
}
