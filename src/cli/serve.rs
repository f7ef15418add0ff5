use super::{CliError, options::AllOptions, out::Out};
use crate::{
    app::App,
    runtime::{clock::Clock, files, shutdown, systemd, telemetry},
};

/// Serves until a signal comes.
pub async fn run(options: &AllOptions) -> Result<(), CliError> {
    let config = options.load()?;
    telemetry::init(&config).map_err(|e| CliError::Failed(e.to_string()))?;
    files::raise();
    // Before anything starts, so that a signal during the start is not lost.
    let asked = shutdown::on_signal().map_err(|e| CliError::Failed(format!("signals cannot be received: {e}")))?;
    let app = App::start(config, Clock::System).await?;

    let mut out = Out::new();
    // A closed standard output is no reason to stop serving.
    let _ = out
        .line(format_args!("watchfire: listening on {}://{}", app.config().scheme(), app.addr()))
        .and_then(|()| out.flush());
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
