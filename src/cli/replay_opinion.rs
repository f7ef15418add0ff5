//! `replay-opinion`: the conversation of an investigation with a language model once more, from the store of a stopped
//! server and without the network. For those who change tools or rules; not among the listed commands.

use clap::Args;

use super::{CliError, options::AllOptions, out::Out};
use crate::{app, model::IncidentId, runtime::clock::Clock};

/// Arguments of `replay-opinion`.
#[derive(Debug, Args)]
pub struct ReplayOpinionArgs {
    /// The incident, such as INC-42
    incident: IncidentId,
    /// Which run; the newest when left out
    #[arg(long, value_name = "N")]
    run: Option<u64>,
    /// Print the conversation as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    options: AllOptions,
}

/// Says in what it differs from the transcript; fails when it does.
pub async fn run(args: ReplayOpinionArgs) -> Result<(), CliError> {
    let config = args.options.load()?;
    // Opening would make an empty one.
    if !config.data_dir.join("watchfire.redb").exists() {
        let dir = config.data_dir.display();
        return Err(CliError::Failed(format!("there is no store in {dir}; name another folder with --data-dir")));
    }
    let Some(once_more) = app::replay_opinion(&config, Clock::System, args.incident, args.run).await? else {
        return Err(CliError::Failed(format!(
            "no such conversation with a language model about {} is kept",
            args.incident
        )));
    };
    let mut out = Out::new();
    if args.json {
        out.line(format_args!("{}", serde_json::to_string(&once_more.transcript).unwrap_or_default()))?;
    }
    for difference in &once_more.differences {
        out.line(format_args!("{difference}"))?;
    }
    if once_more.differences.is_empty() && !args.json {
        let requests = once_more.transcript.rounds.len();
        out.line(format_args!(
            "{}, run {}: the same after {requests} requests",
            args.incident, once_more.transcript.run
        ))?;
    }
    out.flush()?;
    match once_more.differences.len() {
        0 => Ok(()),
        n => Err(CliError::Failed(format!("{n} differences"))),
    }
}
