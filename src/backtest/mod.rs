//! Backtests: recorded deliveries through the same parsing, deduplication, correlation and investigation as the server's,
//! in memory and on the recorded clock. The same input gives the same bytes.

mod desk;
mod input;
mod report;
mod stored;
mod summary;
mod topology;

use std::{io, time::Duration};

pub use desk::{Backtests, MOST_DAYS};
pub use input::{Faults, Input};
pub use report::{DeliveryLine, IncidentLine, Report};
pub use topology::Topology;

use crate::{
    config::Config,
    ingest::{recorded::Reader, sources::SourceError},
    investigation::{self, Library, Shelf},
    store::{
        CommandError, Policy, StoreError,
        rehearsal::{Engine, Rehearsal},
    },
};

/// Timers run on for this long after the last line.
const AFTER: Duration = Duration::from_secs(10 * 60);

/// Why there is no result.
#[derive(Debug, thiserror::Error)]
pub enum BacktestError {
    /// A file cannot be read.
    #[error("{path}: {source}")]
    Io {
        /// Which.
        path: String,
        /// What the system says.
        source: io::Error,
    },
    /// Lines that cannot be understood.
    #[error("{0}")]
    Input(Faults),
    /// The topology cannot be understood.
    #[error("{path}:{line}:{column}: {what}")]
    Topology {
        /// The file.
        path: String,
        /// From 1.
        line: usize,
        /// From 1.
        column: usize,
        /// What is wrong.
        what: String,
    },
    /// A source that the configuration declares.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The store in memory.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The topology cannot be kept.
    #[error("the topology cannot be kept: {0}")]
    Refused(#[from] CommandError),
}

/// Plays a file of recorded lines; with `investigate`, incidents are investigated when the server would do it.
pub fn run(
    input: &mut Input,
    topology: &Topology,
    config: &Config,
    policy: Policy,
    investigate: bool,
) -> Result<Report, BacktestError> {
    let reader = Reader::new(config, Vec::new())?;
    let mut rehearsal = Rehearsal::new(policy)?;
    rehearsal.declare(topology.services.clone())?;
    let last = input.last();
    // Read once: the past is not investigated with a file that changes meanwhile.
    let shelf = if investigate { Library::new(config).look() } else { Shelf::default() };
    let of_stored: &Engine<'_> = &|view, id, now| investigation::of_stored(view, id, now, &shelf);
    let engine = investigate.then_some((investigation::ENGINE, of_stored));
    rehearsal.play(input.cues(&reader), engine)?;
    if let Some(last) = last {
        rehearsal.pass_until(last.plus(AFTER), engine)?;
    }
    input.missing(rehearsal.played())?;
    Report::new(input, &rehearsal, topology)
}

#[cfg(test)]
mod tests;
