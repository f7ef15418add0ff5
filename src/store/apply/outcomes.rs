//! How incidents ended, for later investigations. One row for each that is resolved, true to what is known of it: written
//! when it ends and when somebody records or takes back its cause, gone when it opens again or becomes part of another.

use crate::{
    model::*,
    store::{
        StoreError,
        tx::{Tx, get, put},
    },
};

/// Alerts read of an incident that ends.
const MEMBERS: usize = 300;

/// Makes an incident's row say what is so.
pub fn settle(tx: &mut Tx<'_>, id: IncidentId) -> Result<(), StoreError> {
    let incident = tx.known_incident(id)?.clone();
    let Some(at) = incident.resolved_at.filter(|_| incident.status == IncidentStatus::Resolved && !incident.test)
    else {
        return forget(tx, id);
    };
    let answer: Investigation = get(&tx.answers, id.0)?.unwrap_or_default();
    let (places, said) = match get::<_, Outcome>(&tx.outcomes, id.0)? {
        // What was said before the end counts, not what was found when the end was known.
        Some(known) => (known.places, known.said),
        None => {
            let (members, _) = tx.some_members(id, MEMBERS)?;
            let mut alerts = Vec::with_capacity(members.len());
            for member in members {
                alerts.extend(tx.alert(member.alert.number())?);
            }
            (Outcome::shown(&alerts), SaidFirst::of(&answer))
        }
    };
    let cause = answer.recorded.as_ref().map(|r| KnownCause {
        service: r.service.as_deref().map(|s| tx.world.canonical(s).to_owned()),
        host: r.host.clone(),
        symptom: r.symptom,
    });
    let right = said.as_ref().zip(cause.as_ref()).and_then(|(said, cause)| {
        let service = |name: &str| name_key(tx.world.canonical(name));
        match (&cause.service, &cause.host, cause.symptom) {
            (Some(known), ..) => Some(said.service.as_deref().is_some_and(|s| service(s) == service(known))),
            (None, Some(known), _) => Some(said.host.as_deref().is_some_and(|h| name_key(h) == name_key(known))),
            (None, None, Some(symptom)) => Some(said.symptom == Some(symptom)),
            (None, None, None) => None,
        }
    });
    if places.is_empty() && cause.is_none() {
        return Ok(());
    }
    put(&mut tx.outcomes, id.0, &Outcome { at, places, cause, said, right })
}

/// The incident is open, or no longer one of its own.
pub fn forget(tx: &mut Tx<'_>, id: IncidentId) -> Result<(), StoreError> {
    tx.outcomes.remove(id.0).map(drop)
}
