//! The whole site over a connection in memory: any bytes are answered or the connection ends.

use std::{path::Path, sync::Arc, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, duplex},
    runtime::Runtime,
};
use tokio_util::sync::CancellationToken;

use crate::{
    app::{self, AppError},
    backtest::Backtests,
    config,
    investigation::Probes,
    live::Hub,
    notifications::Caller,
    outgoing::Client,
    runtime::{clock::Clock, tls},
    search::Search,
    store::{Store, backup::schedule::Backups},
    web::{self, connections::Limits, server::Server, shared::Shared, state::Parts, tls::Tls},
};

/// The token that opens everything, for seeds that get past the door.
pub const TOKEN: &str = "a-token-that-everybody-knows";
/// Nothing takes this long unless it hangs.
const PATIENCE: Duration = Duration::from_secs(20);

/// A site on a store of its own.
pub struct Site {
    // None only while it is dropped.
    runtime: Option<Runtime>,
    server: Server,
    store: Store,
}

impl std::fmt::Debug for Site {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Site(…)")
    }
}

impl Site {
    /// On this folder, which should be empty.
    pub fn open(dir: &Path) -> Result<Self, AppError> {
        tls::install_provider();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|e| AppError::Interrupted(e.to_string()))?;
        let mut config = config::defaults(dir.to_owned());
        config.bootstrap_token = Some(TOKEN.to_owned());
        config.cache_bytes = 4 << 20;
        config.body_deadline = Duration::from_secs(1);
        let clock = Clock::manual(super::now());
        let (store, server) = runtime.block_on(async {
            let store = app::open_store(&config, clock.clone()).await?;
            app::ensure_connectors(&store, &clock, &config).await?;
            let config = Arc::new(config);
            let state = Arc::new(Parts {
                store: store.clone(),
                live: Hub::new(store.clone()),
                search: Search::open(store.clone())?,
                backups: Backups::new(store.clone(), clock.clone(), None, CancellationToken::new()),
                library: Arc::default(),
                backtests: Backtests::open(store.clone(), app::policy(&config)).await?,
                probes: Arc::new(Probes::open(Client::open(None)?, clock.clone(), config.probes.clone())?),
                client: Client::open(None)?,
                model: None,
                caller: Arc::new(Caller::new(&Client::open(None)?, clock.clone(), Vec::new(), false, false)),
                config: Arc::clone(&config),
                clock: clock.clone(),
                stop: CancellationToken::new(),
                shared: Arc::new(Shared::new(&config, &clock, Arc::new(Tls::open(Arc::clone(&config), clock.now())?))?),
            });
            let limits =
                Limits { head: Duration::from_millis(500), idle: Duration::from_millis(500), ..Limits::new(64) };
            let server = Server::new(web::Routes::new().serve(state), limits, CancellationToken::new());
            Ok::<_, AppError>((store, server))
        })?;
        Ok(Self { runtime: Some(runtime), server, store })
    }

    /// Sends the bytes on a connection of their own, and then nothing more.
    pub fn http(&self, bytes: &[u8]) {
        let (mut peer, ours) = duplex(256 << 10);
        let Some(runtime) = &self.runtime else { return };
        let said = runtime.block_on(async {
            let served = tokio::spawn(self.server.clone().connection(
                ours,
                ([127, 0, 0, 1], 9).into(),
                self.server.open().await,
            ));
            let mut said = Vec::new();
            let talk = async {
                let _ = peer.write_all(bytes).await;
                // What is answered at all is answered while we still could send more.
                let mut first = [0; 4096];
                if let Ok(Ok(n)) = tokio::time::timeout(Duration::from_millis(20), peer.read(&mut first)).await {
                    said.extend(first.get(..n).unwrap_or_default());
                }
                let _ = peer.shutdown().await;
                let _ = peer.read_to_end(&mut said).await;
            };
            assert!(tokio::time::timeout(PATIENCE, talk).await.is_ok(), "the connection neither answers nor ends");
            assert!(
                tokio::time::timeout(PATIENCE, served).await.is_ok_and(|s| s.is_ok()),
                "the connection ended in a panic"
            );
            said
        });
        let one = said.starts_with(b"HTTP/1.");
        // The first frame of HTTP/2 is one of settings, or goodbye.
        let two = matches!(said.get(3), Some(4 | 7));
        assert!(said.is_empty() || one || two, "{:?}", said.get(..40));
        if one {
            let code = said.get(9..12).unwrap_or_default();
            assert!(code != b"500", "{}", String::from_utf8_lossy(&said));
        }
    }

    /// Whether the store is whole.
    pub fn check(&self) -> Vec<String> {
        self.store.view().and_then(|v| v.check()).unwrap_or_else(|e| vec![e.to_string()])
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        // A task that still waits for its delivery to be stored holds the store's intake open, and nothing drives it any
        // more: it goes first.
        drop(self.runtime.take());
        self.store.close();
    }
}
