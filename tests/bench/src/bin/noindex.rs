//! The server without its text index following the store: what the index costs is the difference to the whole.

use std::{sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;
use watchfire::{
    app,
    backtest::Backtests,
    config::{self, Sources},
    investigation::{Probes, Runner},
    live::Hub,
    notifications::Caller,
    outgoing::Client,
    runtime::{background::Aside, clock::Clock, files, tls},
    search::Search,
    store::backup::schedule::Backups,
    web::{Routes, server, shared::Shared, state::Parts, tls::Tls},
};
use watchfire_bench::args::{quit, text};

#[tokio::main]
async fn main() {
    if let Err(e) = serve().await {
        quit(&e.to_string());
    }
}

async fn serve() -> Result<(), Box<dyn std::error::Error>> {
    tls::install_provider();
    let flags = vec![("data_dir".to_owned(), text("dir")), ("listen".to_owned(), text("listen"))];
    let config = config::load(&Sources::of_process(None, flags), &app::platforms()).map_err(|p| p.to_string())?;
    let (clock, stop) = (Clock::System, CancellationToken::new());
    let store = app::open_store(&config, clock.clone()).await?;
    let listener = tokio::net::TcpListener::bind(&config.listen).await?;
    app::ensure_connectors(&store, &clock, &config).await?;
    let live = Hub::new(store.clone());
    tokio::spawn(live.clone().run(stop.clone()));
    let client = Client::open(None)?;
    let probes = Arc::new(Probes::open(client.clone(), clock.clone(), config.probes.clone())?);
    let aside = Aside::start("investigation")?;
    let runner = Runner::new(store.clone(), clock.clone(), probes.clone(), config.investigation_workers);
    tokio::spawn(aside.run(runner.run(stop.clone())));
    let of = store.clone();
    let search = tokio::task::spawn_blocking(move || Search::open(of)).await??;
    let config = Arc::new(config);
    let tls = Arc::new(Tls::open(Arc::clone(&config), clock.now())?);
    let shared = Arc::new(Shared::new(&config, &clock, tls)?);
    let backups = Backups::new(store.clone(), clock.clone(), None, stop.clone());
    let backtests = Backtests::open(store.clone(), app::policy(&config)).await?;
    let caller = Arc::new(Caller::new(&client, clock.clone(), Vec::new(), false, false));
    let state = Arc::new(Parts {
        store: store.clone(),
        live,
        search,
        backups,
        backtests,
        library: Arc::default(),
        probes,
        config,
        clock,
        stop: stop.clone(),
        client,
        model: None,
        caller,
        shared,
    });
    server::serve(listener, Routes::new(), state, files::connections()).await;
    // As long as the requests; the process is killed anyway when it is measured.
    tokio::time::sleep(Duration::from_secs(1)).await;
    store.close();
    Ok(())
}
