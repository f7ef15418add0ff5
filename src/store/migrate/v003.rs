//! Schema 3 → 4: tables for the services, for what the correlator remembers and is taught, for mutes, settings and
//! backtests. They begin empty; opening the file makes them.

use super::{Files, set_schema};
use crate::store::StoreError;

/// Runs the step.
pub fn run(files: &Files<'_>) -> Result<(), StoreError> {
    let txn = files.main.begin_write()?;
    set_schema(&txn, 4)?;
    Ok(txn.commit()?)
}
