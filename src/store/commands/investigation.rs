use std::time::Duration;

use crate::{
    model::*,
    store::{CommandError, Store},
};

/// How an investigation ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Finish {
    /// `Complete`, `Error` or `Cancelled`.
    pub state: InvestigationState,
    /// How sure.
    pub conclusion: Option<Conclusion>,
    /// Two or three sentences.
    pub summary: Option<String>,
    /// Why it failed.
    pub error: Option<String>,
    /// Causes, evidence, suggestions; replaces the earlier ones, keeping the states that people gave suggestions.
    pub answer: Investigation,
}

impl Store {
    /// Asks for an investigation: queues a job, or marks the running one to run again.
    pub async fn investigate(&self, _id: IncidentId, _actor: Actor) -> Result<Incident, CommandError> {
        unimplemented!()
    }

    /// Stops a queued or running investigation.
    pub async fn cancel_investigation(&self, _id: IncidentId, _actor: Actor) -> Result<Incident, CommandError> {
        unimplemented!()
    }

    /// Takes the most urgent job that is due (severity, then age) and leases it. The incident's investigation becomes
    /// `running`, with the thoughts of an earlier run taken away.
    pub async fn lease_job(&self, _lease: Duration, _engine: &str) -> Result<Option<Job>, CommandError> {
        unimplemented!()
    }

    /// Gives a leased job back to the queue.
    pub async fn release_job(&self, _id: IncidentId) -> Result<(), CommandError> {
        unimplemented!()
    }

    /// Writes a thought; its number. `Conflict` when the run was cancelled meanwhile: stop.
    pub async fn add_thought(
        &self,
        _id: IncidentId,
        _kind: ThoughtKind,
        _text: String,
        _evidence: Vec<String>,
    ) -> Result<u32, CommandError> {
        unimplemented!()
    }

    /// Ends a run: the job goes, the answer is stored, `investigating` becomes `analyzed`.
    pub async fn finish_investigation(&self, _id: IncidentId, _finish: Finish) -> Result<Incident, CommandError> {
        unimplemented!()
    }

    /// A person used or dismissed a suggestion.
    pub async fn set_suggestion_state(
        &self,
        _id: IncidentId,
        _suggestion: String,
        _state: SuggestionState,
        _actor: Actor,
    ) -> Result<Suggestion, CommandError> {
        unimplemented!()
    }
}
