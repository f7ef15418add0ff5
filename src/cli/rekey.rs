use std::path::PathBuf;

use clap::Args;

use super::{CliError, options::Reach, out::Out};
use crate::{app, config::Config, runtime::clock::Clock};

/// Which data folder.
#[derive(Debug, Args)]
pub struct RekeyArgs {
    /// The data folder [env: WATCHFIRE_DATA_DIR]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<String>,
    /// Settings in TOML [env: WATCHFIRE_CONFIG]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// Makes a new key file, and new keys for what the lost one protected.
pub async fn run(args: RekeyArgs) -> Result<(), CliError> {
    let reach = Reach { config: args.config, data_dir: args.data_dir, url: None, token: None };
    let config = reach.load()?;
    if !config.data_dir.join("watchfire.redb").exists() {
        let dir = config.data_dir.display();
        return Err(CliError::Failed(format!("there is no store in {dir}; name another folder with --data-dir")));
    }
    renew(&config).await
}

/// The same for a folder that was just restored.
pub async fn renew(config: &Config) -> Result<(), CliError> {
    let key = config.data_dir.join("secret.key");
    let mut out = Out::new();
    let Some(renewed) = app::rekey(config, Clock::System).await? else {
        out.line(format_args!("key file: {} fits; nothing was changed", key.display()))?;
        return out.flush();
    };
    out.line(format_args!("key file: {} is new", key.display()))?;
    if let Some(aside) = renewed.aside {
        out.line(format_args!("the one that did not fit is in {}", aside.display()))?;
    }
    out.line(format_args!(
        "new keys: {}; give them to the senders (`watchfire connectors` shows them)",
        renewed.keys.join(", ")
    ))?;
    if !renewed.lost_secrets.is_empty() {
        let lost = renewed.lost_secrets.join(", ");
        out.line(format_args!("enter the signing secret or password again for: {lost}"))?;
    }
    out.flush()
}
