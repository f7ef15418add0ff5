//! What was said between investigations and a language model, and what it cost.

use super::View;
use crate::{
    model::*,
    store::{StoreError, commands::spending_day, tables},
};

impl View {
    /// The transcripts that are kept of an incident, oldest run first.
    pub fn transcripts(&self, id: IncidentId) -> Result<Vec<Transcript>, StoreError> {
        self.children(tables::TRANSCRIPTS, id)
    }

    /// The transcript of one run.
    pub fn transcript(&self, id: IncidentId, run: u64) -> Result<Option<Transcript>, StoreError> {
        self.row(tables::TRANSCRIPTS, (id.0, run))
    }

    /// What was spent on language models on the day (UTC) of `at`.
    pub fn spending(&self, at: Time) -> Result<Spending, StoreError> {
        Ok(self.row(tables::SPENDING, spending_day(at))?.unwrap_or_default())
    }

    /// Whether a run may still write: nobody cancelled it or took it over.
    pub fn holds(&self, lease: Lease) -> Result<bool, StoreError> {
        let job: Option<Job> = self.row(tables::JOBS, lease.incident.0)?;
        Ok(job.is_some_and(|j| j.leased_until.is_some() && j.lease == lease.number))
    }
}
