use clap::Args;

use super::{
    CliError,
    options::AllOptions,
    out::{Out, note},
};
use crate::{
    app::App,
    config::Config,
    runtime::{clock::Clock, files, shutdown, systemd, telemetry},
};

/// Flags of `serve`.
#[derive(Clone, Debug, Default, Args)]
pub struct ServeArgs {
    #[command(flatten)]
    pub(super) options: AllOptions,
    /// Fill an empty data folder with the months of a made-up company, tell a story of two minutes, and go on quietly
    #[arg(long)]
    pub(super) demo: bool,
}

/// Serves until a signal comes.
pub async fn run(args: &ServeArgs) -> Result<(), CliError> {
    let config = Config { demo: args.demo, ..args.options.load()? };
    telemetry::init(&config).map_err(|e| CliError::Failed(e.to_string()))?;
    files::raise();
    // Before anything starts, so that a signal during the start is not lost.
    let asked = shutdown::on_signal().map_err(|e| CliError::Failed(format!("signals cannot be received: {e}")))?;
    if args.demo {
        note(format_args!("demo: made-up data; the first start makes some months of it, which takes a moment"));
    }
    let app = App::start(config, Clock::System).await?;

    let mut out = Out::new();
    // A closed standard output is no reason to stop serving.
    let _ = out
        .line(format_args!("watchfire: listening on {}://{}", app.config().scheme(), app.addr()))
        .and_then(|()| out.flush());
    if let Some((name, password)) = app.demo_account() {
        note(format_args!("demo: sign in at {} as {name} with the password {password}", app.public_url()));
    }
    tracing::info!(addr = %app.addr(), data_dir = %app.config().data_dir.display(), version = env!("CARGO_PKG_VERSION"), "ready");
    if let Some(link) = app.setup_link().await? {
        tracing::warn!("no account yet; set up at {link}");
    }
    systemd::ready(&app.url());

    let failed = tokio::select! {
        () = asked.cancelled() => None,
        why = app.failed() => Some(why),
    };
    systemd::stopping();
    app.stop().await;
    tracing::info!("stopped");
    match failed {
        None => Ok(()),
        Some(why) => Err(CliError::Failed(format!("stopped, because a part failed that cannot be missing: {why}"))),
    }
}
