//! What an incident's row says because of its alerts: taken over when others come, worked out anew when some leave.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use super::{
    lifecycle::{NAMES_ON_ROW, push_name},
    moves::by_hand,
};
use crate::{
    model::*,
    store::{StoreError, tx::Tx, world::key},
};

/// Alerts looked at to work out names, labels and severity anew. Of an incident with more, those that left stay in what it
/// says: a superset that nobody could read, and the writer is not held up for it.
const LOOKED_AT: usize = if cfg!(test) { 64 } else { 10_000 };

/// The same where the product moves an alert by itself: a second look has a thousand in one transaction.
const LOOKED_AT_AGAIN: usize = if cfg!(test) { 64 } else { 256 };

/// What it says now.
pub fn of(i: &Incident) -> Told {
    Told {
        firing_count: i.firing_count,
        severity: i.severity,
        services: i.affected_services.clone(),
        hosts: i.affected_hosts.clone(),
        groups: i.sender_groups.clone(),
        labels: i.labels.clone(),
        last_alert_at: i.last_alert_at,
    }
}

/// Takes over what another incident, or an alert, tells; not the counts and not the severity. Whether a service is new.
pub fn take(tx: &mut Tx<'_>, id: IncidentId, more: &Told) -> Result<bool, StoreError> {
    let incident = tx.known_incident(id)?;
    let mut new_service = false;
    for service in &more.services {
        new_service |= push_name(&mut incident.affected_services, Some(service));
    }
    for host in &more.hosts {
        push_name(&mut incident.affected_hosts, Some(host));
    }
    for group in &more.groups {
        if incident.sender_groups.len() < NAMES_ON_ROW && !incident.sender_groups.contains(group) {
            incident.sender_groups.push(*group);
        }
    }
    incident.labels.retain(|name, value| more.labels.get(name) == Some(value));
    incident.last_alert_at = incident.last_alert_at.max(more.last_alert_at);
    if incident.is_open() {
        let found_by = incident.clone();
        tx.world.open(&found_by);
    }
    Ok(new_service)
}

/// What the alerts that are left say.
#[derive(Default)]
struct Left {
    services: BTreeSet<String>,
    hosts: BTreeSet<String>,
    names: Vec<(Option<String>, Option<String>)>,
    worst: Option<Severity>,
    labels: Option<BTreeMap<String, String>>,
    last: Option<Time>,
    all: bool,
}

/// Reads the alerts that are left. With `since`, all but the worst severity is of what came after that only.
fn left(tx: &Tx<'_>, id: IncidentId, since: Option<&BeforeMerge>, most: usize) -> Result<Left, StoreError> {
    let (members, all) = tx.some_members(id, most)?;
    let mut left = Left { all, ..Left::default() };
    for member in members {
        let Some(alert) = tx.alert(member.alert.number())? else { continue };
        left.worst = Some(left.worst.map_or(alert.severity, |w| w.worst(alert.severity)));
        // What was merged into it may have come later, whenever its alerts joined that.
        let later = |b: &BeforeMerge| member.at > b.at || alert.id.number() > b.alert || member.incident != id;
        if since.is_none_or(later) {
            left.services.extend(alert.service.as_deref().map(key));
            left.hosts.extend(alert.host.as_deref().map(key));
            match &mut left.labels {
                Some(labels) => labels.retain(|name, value| alert.labels.get(name) == Some(value)),
                None => left.labels = Some(alert.labels.clone()),
            }
            left.last = left.last.max(Some(alert.onset_at));
        }
        left.names.push((alert.service, alert.host));
    }
    Ok(left)
}

/// The worst severity of an incident's alerts, of at most `LOOKED_AT` of them; none without any.
pub fn worst(tx: &Tx<'_>, id: IncidentId) -> Result<Option<Severity>, StoreError> {
    Ok(left(tx, id, None, LOOKED_AT)?.worst)
}

/// Some alerts left an incident: services, hosts, labels and severity are of those that stay. `gone` is the worst severity
/// that left. `before` is what it said before they came, where they came together.
pub fn without(
    tx: &mut Tx<'_>,
    id: IncidentId,
    gone: Option<Severity>,
    before: Option<&BeforeMerge>,
    by: &Actor,
) -> Result<(), StoreError> {
    let most = if by_hand(by) { LOOKED_AT } else { LOOKED_AT_AGAIN };
    // Of too many nothing would follow.
    let left = match tx.known_incident(id)?.alert_count {
        n if n > most as u64 => Left::default(),
        _ => left(tx, id, before, most)?,
    };
    let before = before.map(|b| &b.into);
    let incident = tx.known_incident(id)?;
    if left.all {
        let own = incident.service.clone();
        let said = |names: Option<&Vec<String>>, name: &String| {
            names.is_some_and(|n| n.iter().any(|n| n.eq_ignore_ascii_case(name)))
        };
        incident.affected_services.retain(|s| {
            left.services.contains(&key(s)) || own.as_ref() == Some(s) || said(before.map(|b| &b.services), s)
        });
        incident.affected_hosts.retain(|h| left.hosts.contains(&key(h)) || said(before.map(|b| &b.hosts), h));
        match before {
            Some(told) => {
                incident.labels.clone_from(&told.labels);
                if let Some(since) = &left.labels {
                    incident.labels.retain(|name, value| since.get(name) == Some(value));
                }
                incident.last_alert_at = left.last.map_or(told.last_alert_at, |t| t.max(told.last_alert_at));
            }
            None => {
                for (service, host) in &left.names {
                    push_name(&mut incident.affected_services, service.as_deref());
                    push_name(&mut incident.affected_hosts, host.as_deref());
                }
                incident.labels = left.labels.unwrap_or_default();
                incident.last_alert_at = left.last.unwrap_or(incident.last_alert_at);
            }
        }
    }
    let was = incident.severity;
    let floor = before.map(|b| b.severity);
    let stays = match (left.worst, floor) {
        (Some(a), Some(b)) => Some(a.worst(b)),
        (a, b) => a.or(b),
    };
    // Only what it was raised to by those that left can fall.
    if let Some(now) = stays.filter(|now| left.all && *now > was && gone.is_some_and(|g| g <= was))
        && !incident.severity_pinned
    {
        incident.severity = now;
        if incident.is_open() {
            tx.changed(id, IncidentChange::Severity);
            let text = format!("Severity went from {was} to {now}: what was worse is no longer part of it.");
            tx.note(id, TimelineKind::Severity, &Actor::System, text, json!({ "from": was, "to": now }))?;
        }
    }
    let incident = tx.known_incident(id)?;
    if incident.is_open() {
        let found_by = incident.clone();
        tx.world.open(&found_by);
    }
    Ok(())
}
