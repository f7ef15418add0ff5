//! How incidents ended, and how far what was said of them came true.

use super::View;
use crate::{
    model::*,
    store::{StoreError, codec, tables},
};

/// Ended incidents that are looked at, the newest.
const OUTCOMES: usize = 2_000;

impl View {
    /// The newest ended incidents, newest first, at most `limit`.
    pub fn outcomes(&self, limit: usize) -> Result<Vec<(IncidentId, Outcome)>, StoreError> {
        let rows = self.newest(tables::OUTCOMES, None)?.take(limit);
        rows.map(|row| {
            let (number, bytes) = row?;
            Ok((IncidentId(number), codec::decode(bytes.value())?))
        })
        .collect()
    }

    /// What was said of ended incidents, held against what people recorded.
    pub fn reliability(&self) -> Result<Reliability, StoreError> {
        Ok(Reliability::of(self.outcomes(OUTCOMES)?.iter().map(|(_, o)| o)))
    }
}
