//! What every handler can reach.

use std::sync::Arc;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{
    backtest::Backtests,
    config::Config,
    ingest::Door,
    investigation::{Library, Probes},
    live::Hub,
    model::{ModelStatus, Session, Token},
    notifications::Caller,
    outgoing::Client,
    runtime::clock::Clock,
    search::Search,
    store::{Store, backup::schedule::Backups},
};

/// Shared by all handlers. One count to go up and down, however often a request hands it on.
pub type AppState = Arc<Parts>;

/// What they share.
#[derive(Debug)]
pub struct Parts {
    /// The store.
    pub store: Store,
    /// Live changes.
    pub live: Hub,
    /// Text: which incidents read alike.
    pub search: Search,
    /// Makes backups.
    pub backups: Backups,
    /// Tries settings on stored deliveries.
    pub backtests: Backtests,
    /// Makes calls to other services.
    pub client: Client,
    /// What the people of the house have written for investigations.
    pub library: Arc<Library>,
    /// Asks monitoring tools; how they did is shown.
    pub probes: Arc<Probes>,
    /// The settings.
    pub config: Arc<Config>,
    /// The time.
    pub clock: Clock,
    /// Set when the process stops: streams end on it.
    pub stop: CancellationToken,
    /// What the web room keeps in memory: limits, set-up link, metrics.
    pub shared: Arc<super::shared::Shared>,
    /// How the language model stands; none when none is configured.
    pub model: Option<watch::Receiver<ModelStatus>>,
    /// Makes the calls of notifications.
    pub caller: Arc<Caller>,
}

impl Parts {
    /// The door that deliveries come through.
    pub fn door(&self) -> Door {
        Door {
            store: self.store.clone(),
            config: self.config.clone(),
            clock: self.clock.clone(),
            memory: self.shared.door.clone(),
        }
    }

    /// Notes that a session was used, and from where, at most every five minutes, while the caller goes on.
    pub fn touch_session(&self, hash: [u8; 32], session: &Session, address: std::net::IpAddr) {
        let now = self.clock.now();
        if self.shared.should_touch_session(hash, session, now) {
            let store = self.store.clone();
            tokio::spawn(async move {
                if let Err(e) = store.touch_session(hash, now, address.to_string()).await {
                    tracing::debug!(error = %e, "the last use of a session was not noted");
                }
            });
        }
    }

    /// Notes that a token was used, at most once an hour, while the caller goes on: losing a note is harmless.
    pub fn touch(&self, token: &Token) {
        let now = self.clock.now();
        if self.shared.should_touch(token, now) {
            let (store, hash) = (self.store.clone(), token.hash);
            tokio::spawn(async move {
                if let Err(e) = store.touch_token(hash, now).await {
                    tracing::debug!(error = %e, "the last use of a token was not noted");
                }
            });
        }
    }
}
