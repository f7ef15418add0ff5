//! Reads a case from the store, a piece at a time, each in a snapshot of its own so that none is long.

use std::{collections::HashSet, sync::Arc, time::Duration};

use super::{
    case::{Case, Earlier, Nearby, same, same_known},
    library::{Library, Shelf},
    rank::{BEFORE, BEFORE_ELSEWHERE},
    runbooks,
};
use crate::{
    correlation::{names::Key, topology::Topology},
    model::*,
    store::{StoreError, View},
};

/// Alerts read: beyond that more of the same tells nothing new.
const ALERTS: usize = 500;
/// Other open incidents looked at, the newest first, and alerts read of them.
const OPEN: usize = 200;
const AROUND: usize = 300;
const AROUND_EACH: usize = 100;
/// So far before and after this one's onset may another incident begin that is about the same fault.
const WINDOW: Duration = Duration::from_secs(15 * 60);
/// The same where no call is known between the two.
const UNCONNECTED: Duration = Duration::from_secs(5 * 60);
/// Services whose past is read.
const SERVICES: usize = 8;
/// Earlier incidents read for each service, and in all.
const EARLIER: usize = 10;
const EARLIER_IN_ALL: usize = 30;
/// Ended incidents read for what they tell together.
const OUTCOMES: usize = 2_000;
/// Changes read for each service, and of any.
const CHANGES: usize = 20;
const CHANGES_OF_ANY: usize = 50;

/// The incident and its alerts; none when the incident is gone.
pub(super) fn alerts(view: &View, id: IncidentId, now: Time) -> Result<Option<Case>, StoreError> {
    let Some(incident) = view.incident(id)? else { return Ok(None) };
    let alerts = view.members(id, ALERTS)?.into_iter().map(|(_, alert)| alert).collect();
    let mut case = Case::new(incident, now).with_alerts(alerts);
    case.topology = Arc::new(topology(view)?);
    around(view, case).map(Some)
}

/// Everything known of services and of who calls whom, as the correlator reads it.
fn topology(view: &View) -> Result<Topology, StoreError> {
    let (services, edges) = (view.services()?, view.learned_edges()?);
    let learned = edges.iter().filter(|e| e.holds()).map(|e| (e.from.as_str(), e.to.as_str()));
    Ok(Topology::new(&services, learned))
}

/// Alerts of other incidents that are open and began at about the same time.
fn around(view: &View, case: Case) -> Result<Case, StoreError> {
    let onset = case.onset();
    let hosts = case.alerts.iter().filter_map(|a| a.host.clone());
    let own: HashSet<Key> = case.services().into_iter().chain(hosts).map(|s| case.topology.key(&s)).collect();
    let hood: HashSet<Key> = own
        .iter()
        .filter_map(|k| case.topology.near(*k))
        .flat_map(|near| near.keys().copied())
        .chain(own.iter().copied())
        .collect();
    let mut found: Vec<Nearby> = Vec::new();
    for other in view.open_incidents(OPEN)?.0 {
        if other.id == case.incident.id || other.test || case.incident.test || other.onset_at.distance(onset) > WINDOW {
            continue;
        }
        for (_, alert) in view.members(other.id, AROUND_EACH)? {
            let far = alert.onset_at.distance(onset);
            let name = alert.service.as_deref().or(alert.host.as_deref());
            let connected = name.is_some_and(|n| hood.contains(&case.topology.key(n)));
            if far <= if connected { WINDOW } else { UNCONNECTED } {
                found.push(Nearby { alert, connected });
            }
        }
    }
    // The connected ones and the nearest ones tell most.
    found.sort_by_key(|n| (!n.connected, n.alert.onset_at.distance(onset), n.alert.id));
    found.truncate(AROUND);
    Ok(case.with_around(found))
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
        // What a person says is worth more than what a program thought, also when they say what it was not.
        let recorded = answer.recorded.as_ref().map(RecordedCause::as_cause);
        let cause = recorded.or_else(|| answer.leading().cloned());
        earlier.push(Earlier { incident, cause });
    }
    Ok(case.with_earlier(earlier).with_outcomes(view.outcomes(OUTCOMES)?))
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
    case.symptoms = shelf.symptoms;
    Ok(case)
}
