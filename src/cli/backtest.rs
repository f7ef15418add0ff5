use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use super::{
    CliError,
    options::Reach,
    out::{Out, note, plain},
};
use crate::{
    app,
    backtest::{self, BacktestError, Input, Report, Topology},
};

/// What to play, and with what.
#[derive(Debug, Args)]
pub struct BacktestArgs {
    /// Recorded deliveries, one JSON object a line, as `export deliveries` writes them
    #[arg(value_name = "FILE.ndjson")]
    file: PathBuf,
    /// Services with their other names, dependencies and hosts, as `GET /api/topology` answers
    #[arg(long, value_name = "FILE.json")]
    topology: Option<PathBuf>,
    /// Settings in TOML [env: WATCHFIRE_CONFIG]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Investigate incidents as the server would, at the recorded time
    #[arg(long)]
    investigate: bool,
    /// Print one JSON object for each line and each incident
    #[arg(long)]
    json: bool,
}

/// Plays recorded deliveries in memory. Needs no server and changes nothing.
pub async fn run(args: BacktestArgs) -> Result<(), CliError> {
    let reach = Reach { config: args.config.clone(), data_dir: Some(".".to_owned()), url: None, token: None };
    let config = reach.load()?;
    let json = args.json;
    if args.investigate {
        for fault in app::check_library(&config).faults.iter() {
            note(plain(&fault.to_string()));
        }
    }
    let work = move || -> Result<Report, BacktestError> {
        let topology = args.topology.as_deref().map(Topology::read).transpose()?.unwrap_or_default();
        for what in &topology.left_out {
            note(format_args!("topology: {} is left out", plain(what)));
        }
        let mut input = Input::open(&args.file)?;
        backtest::run(&mut input, &topology, &config, app::policy(&config), args.investigate)
    };
    let report = tokio::task::spawn_blocking(work).await.map_err(|e| CliError::Failed(e.to_string()))??;
    let mut out = Out::new();
    if json {
        report.deliveries.iter().try_for_each(|d| line(&mut out, d))?;
        report.incidents.iter().try_for_each(|i| line(&mut out, i))?;
    } else {
        report.summary().iter().try_for_each(|text| out.line(plain(text)))?;
    }
    for (what, count) in report.not_understood() {
        note(format_args!("{count} × {}", plain(&what)));
    }
    out.flush()
}

fn line(out: &mut Out, row: &impl Serialize) -> Result<(), CliError> {
    out.line(serde_json::to_string(row).map_err(|e| CliError::Failed(e.to_string()))?)
}
