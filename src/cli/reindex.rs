//! `reindex`: the text index anew, from the store of a stopped server, with its progress.

use super::{
    CliError,
    options::AllOptions,
    out::{Out, note},
};
use crate::{app, runtime::clock::Clock};

/// Says how many incidents the index holds at the end.
pub async fn run(options: &AllOptions) -> Result<(), CliError> {
    let config = options.load()?;
    let count = app::reindex(&config, Clock::System, |done, all| note(format_args!("{done} of {all} alerts"))).await?;
    let mut out = Out::new();
    out.line(format_args!("index: made anew, {count} incidents ({})", config.data_dir.join("index").display()))?;
    out.flush()
}
