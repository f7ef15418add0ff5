//! Backtests: recorded deliveries through the same parsing, deduplication, correlation and investigation as the server's,
//! in memory and on the recorded clock. The same input gives the same bytes.

mod input;
mod report;

use std::{io, path::Path, time::Duration};

use serde::Deserialize;

pub use input::{Faults, Input};
pub use report::{DeliveryLine, IncidentLine, Report};

use crate::{
    config::Config,
    ingest::{recorded::Reader, sources::SourceError},
    model::*,
    store::{Policy, StoreError, rehearsal::Rehearsal},
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
}

/// Services as a topology file declares them.
#[derive(Debug, Deserialize)]
struct Topology {
    services: Vec<Service>,
}

/// Reads a topology file: `{"services":[{"name","aliases":[],"depends_on":[],"hosts":[]}]}`.
pub fn topology(path: &Path) -> Result<Vec<Service>, BacktestError> {
    let shown = path.display().to_string();
    let bytes = std::fs::read(path).map_err(|source| BacktestError::Io { path: shown.clone(), source })?;
    let read: Result<Topology, serde_json::Error> = serde_json::from_slice(&bytes);
    read.map(|t| t.services).map_err(|e| BacktestError::Topology {
        path: shown,
        line: e.line(),
        column: e.column(),
        what: input::plain(&e),
    })
}

/// Plays a file of recorded lines.
pub fn run(input: &mut Input, services: &[Service], config: &Config, policy: Policy) -> Result<Report, BacktestError> {
    let reader = Reader::new(config, Vec::new())?;
    let mut rehearsal = Rehearsal::new(policy)?;
    rehearsal.put_services(services)?;
    let last = input.last();
    rehearsal.play(input.cues(&reader), None)?;
    if let Some(last) = last {
        rehearsal.pass_until(last.plus(AFTER), None)?;
    }
    input.missing(rehearsal.played())?;
    Report::new(input, &rehearsal, services)
}
