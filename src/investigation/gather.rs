//! Reads a case from the store, a piece at a time, each in a snapshot of its own so that none is long.

use super::{
    case::{Case, Earlier, same, same_known},
    library::{Library, Shelf},
    rank::{BEFORE, BEFORE_ELSEWHERE},
    runbooks,
};
use crate::{
    model::*,
    store::{StoreError, View},
};

/// Alerts read: beyond that more of the same tells nothing new.
const ALERTS: usize = 500;
/// Services whose past is read.
const SERVICES: usize = 8;
/// Earlier incidents read for each service, and in all.
const EARLIER: usize = 10;
const EARLIER_IN_ALL: usize = 30;
/// Changes read for each service, and of any.
const CHANGES: usize = 20;
const CHANGES_OF_ANY: usize = 50;

/// The incident and its alerts; none when the incident is gone.
pub(super) fn alerts(view: &View, id: IncidentId, now: Time) -> Result<Option<Case>, StoreError> {
    let Some(incident) = view.incident(id)? else { return Ok(None) };
    let alerts = view.members(id, ALERTS)?.into_iter().map(|(_, alert)| alert).collect();
    Ok(Some(Case::new(incident, now).with_alerts(alerts)))
}

/// Earlier incidents of its services, with what came first in their investigations.
pub(super) fn earlier(view: &View, case: Case) -> Result<Case, StoreError> {
    let mut found: Vec<Incident> = Vec::new();
    for service in case.services().iter().take(SERVICES) {
        found.extend(view.earlier_incidents(service, case.incident.id, EARLIER)?);
    }
    found.retain(|i| !i.test && i.id != case.incident.id && i.status != IncidentStatus::Merged);
    found.sort_by_key(|i| std::cmp::Reverse(i.id));
    found.dedup_by_key(|i| i.id);
    found.truncate(EARLIER_IN_ALL);
    let mut earlier = Vec::with_capacity(found.len());
    for incident in found {
        let answer = view.investigation(incident.id)?;
        // What a person says is worth more than what a program thought.
        let recorded = answer.recorded.map(|r| r.as_cause());
        let cause = recorded.or_else(|| answer.causes.into_iter().find(|c| !c.ruled_out));
        earlier.push(Earlier { incident, cause });
    }
    Ok(case.with_earlier(earlier))
}

/// Changes around its onset.
pub(super) fn changes(view: &View, case: Case) -> Result<Case, StoreError> {
    let onset = case.onset();
    let until = case.now.max(onset);
    let services = case.services();
    let mut found = Vec::new();
    for service in services.iter().take(SERVICES) {
        found.extend(view.changes(Some(service), onset.minus(BEFORE), until, CHANGES)?);
    }
    let elsewhere = view.changes(None, onset.minus(BEFORE_ELSEWHERE), onset, CHANGES_OF_ANY)?;
    let read = |c: &Change| services.iter().any(|s| same_known(Some(s), c.service.as_deref()));
    found.extend(elsewhere.into_iter().filter(|c| !read(c)));
    Ok(case.with_changes(found))
}

/// What is declared of its services, the runbooks that fit it, and what may be suggested.
pub(super) fn runbooks(view: &View, mut case: Case, library: &Library, shelf: Shelf) -> Result<Case, StoreError> {
    let services = case.services();
    let mut declared = view.services()?;
    declared.retain(|d| std::iter::once(&d.name).chain(&d.aliases).any(|n| services.iter().any(|s| same(s, n))));
    case.declared = declared;
    let stored = library.stored(view.runbooks()?);
    case.runbooks = runbooks::find(&case, stored.iter().chain(shelf.runbooks.iter()).map(AsRef::as_ref));
    case.catalogue = shelf.catalogue;
    Ok(case)
}
