use crate::{
    model::*,
    store::{CommandError, Store},
};

/// What a person changes at once; `None` leaves as it is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct IncidentPatch {
    /// Only where the lifecycle allows it; 409 with the allowed ones otherwise.
    pub status: Option<IncidentStatus>,
    /// Pins it.
    pub severity: Option<Severity>,
    /// 1 to 500 characters.
    pub title: Option<String>,
    /// `Some(None)` gives it back to nobody.
    pub owner: Option<Option<String>>,
    /// `Some(None)` clears it.
    pub service: Option<Option<String>>,
}

impl Store {
    /// Takes an open incident: owner and time. By somebody else's name it is taken over.
    pub async fn acknowledge(&self, _id: IncidentId, _actor: Actor) -> Result<Incident, CommandError> {
        unimplemented!()
    }

    /// Takes the acknowledgement back.
    pub async fn unacknowledge(&self, _id: IncidentId, _actor: Actor) -> Result<Incident, CommandError> {
        unimplemented!()
    }

    /// Ends it and closes its alerts.
    pub async fn resolve(
        &self,
        _id: IncidentId,
        _reason: Option<String>,
        _actor: Actor,
    ) -> Result<Incident, CommandError> {
        unimplemented!()
    }

    /// Opens a resolved one again.
    pub async fn reopen(&self, _id: IncidentId, _actor: Actor) -> Result<Incident, CommandError> {
        unimplemented!()
    }

    /// Writes a line into the timeline.
    pub async fn comment(&self, _id: IncidentId, _text: String, _actor: Actor) -> Result<Incident, CommandError> {
        unimplemented!()
    }

    /// Changes fields.
    pub async fn patch_incident(
        &self,
        _id: IncidentId,
        _patch: IncidentPatch,
        _actor: Actor,
    ) -> Result<Incident, CommandError> {
        unimplemented!()
    }
}
