//! Schema 2 → 3: rows may be squeezed against a dictionary, which earlier versions cannot read. Rows that are there stay
//! as they are, until they are written anew.

use super::{Files, set_schema};
use crate::store::StoreError;

/// Runs the step.
pub fn run(files: &Files<'_>) -> Result<(), StoreError> {
    let txn = files.main.begin_write()?;
    set_schema(&txn, 3)?;
    Ok(txn.commit()?)
}
