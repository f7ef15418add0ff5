//! What people say of the grouping: merge, undo a merge, split, attach; and forgetting what that taught.

use std::collections::BTreeMap;

use serde_json::json;

use crate::{
    model::*,
    store::{
        CommandError, Store, StoreError,
        apply::{lifecycle, moves, taught},
        tx::{Tx, get},
    },
};

/// Incidents merged at once.
const INCIDENTS: usize = 100;
/// Alerts split off or attached at once.
const ALERTS: usize = 1_000;
const TITLE: usize = 500;

impl Store {
    /// Merges incidents into `into`, all or none. Conflict where one of them is not open.
    pub async fn merge_incidents(
        &self,
        into: IncidentId,
        from: Vec<IncidentId>,
        actor: Actor,
    ) -> Result<Incident, CommandError> {
        some("/incident_ids", from.len(), INCIDENTS, "incidents")?;
        self.on_incident(into, move |tx| merge(tx, into, from, &actor)).await
    }

    /// Undoes the merge of an incident: it comes back as it was, with what has happened to its alerts since.
    pub async fn unmerge(&self, id: IncidentId, actor: Actor) -> Result<Incident, CommandError> {
        self.on_incident(id, move |tx| unmerge(tx, id, &actor)).await
    }

    /// Makes a new incident of some alerts of `from`; the new one.
    pub async fn split(
        &self,
        from: IncidentId,
        alerts: Vec<AlertId>,
        title: Option<String>,
        actor: Actor,
    ) -> Result<Incident, CommandError> {
        some("/alert_ids", alerts.len(), ALERTS, "alerts")?;
        let title = title.map(|t| t.trim().to_owned()).filter(|t| !t.is_empty());
        if title.as_ref().is_some_and(|t| t.chars().count() > TITLE) {
            return Err(invalid("/title", format!("at most {TITLE} characters are taken")));
        }
        self.command(move |tx| {
            let id = split(tx, from, &alerts, title, &actor)?;
            Ok(tx.asked_incident(id)?.clone())
        })
        .await
    }

    /// Undoes a split: what was taken out as `new` becomes part of `from` again, and what that taught is taken back.
    pub async fn undo_split(&self, from: IncidentId, new: IncidentId, actor: Actor) -> Result<Incident, CommandError> {
        self.on_incident(from, move |tx| {
            if tx.asked_incident(new)?.status == IncidentStatus::Resolved && tx.asked_incident(from)?.is_open() {
                // It ended as it was taken out, because its alerts were over.
                lifecycle::reopen(tx, new, &actor, "Opened again to go back.".to_owned())?;
            }
            let (gone, kept) = (tx.asked_incident(new)?.clone(), tx.asked_incident(from)?.clone());
            if let Some(why) = moves::obstacle(&gone, &kept, &actor) {
                return Err(conflict(why));
            }
            taught::unparted(tx, new, from)?;
            let text = format!("{actor} took it back that it was taken out.");
            let reason = Reason { strategy: Strategy::Manual, score: 1.0, text };
            moves::merge(tx, new, from, vec![reason], &actor)?;
            Ok(tx.audit(&actor, "incident.undo_split", from.to_string(), json!({ "from": new }))?)
        })
        .await
    }

    /// Puts alerts of other incidents, or of none, into an open one.
    pub async fn attach(&self, to: IncidentId, alerts: Vec<AlertId>, actor: Actor) -> Result<Incident, CommandError> {
        some("/alert_ids", alerts.len(), ALERTS, "alerts")?;
        self.on_incident(to, move |tx| attach(tx, to, &alerts, &actor)).await
    }

    /// Forgets a lesson: the next alert of its kind is placed as if nobody had said anything.
    pub async fn forget_lesson(&self, id: String, actor: Actor) -> Result<(), CommandError> {
        self.command(move |tx| {
            let found: Option<Lesson> = get(&tx.lessons, id.as_str())?;
            let lesson = found.ok_or_else(|| CommandError::NotFound(format!("lesson {id}")))?;
            taught::forget_lesson(tx, &lesson)?;
            let data = json!({ "alert": lesson.alert, "incident": lesson.incident });
            Ok(tx.audit(&actor, "lesson.forget", id, data)?)
        })
        .await
    }
}

fn invalid(field: impl Into<String>, detail: String) -> CommandError {
    CommandError::Invalid { field: field.into(), detail }
}

fn conflict(detail: String) -> CommandError {
    CommandError::Conflict { detail, allowed: Vec::new() }
}

fn some(path: &str, given: usize, most: usize, what: &str) -> Result<(), CommandError> {
    match given {
        0 => Err(invalid(path, format!("at least one is needed: the ids of {what}"))),
        n if n > most => Err(invalid(path, format!("{n} {what} are too many at once; at most {most} are taken"))),
        _ => Ok(()),
    }
}

fn merge(tx: &mut Tx<'_>, into: IncidentId, from: Vec<IncidentId>, actor: &Actor) -> Result<(), CommandError> {
    let kept = tx.asked_incident(into)?.clone();
    let mut done = Vec::new();
    for (n, id) in from.into_iter().enumerate() {
        if done.contains(&id) {
            continue;
        }
        let Some(gone) = tx.incident(id)?.cloned() else {
            return Err(invalid(format!("/incident_ids/{n}"), format!("there is no incident {id}")));
        };
        if let Some(why) = moves::obstacle(&gone, &kept, actor) {
            return Err(conflict(why));
        }
        let text = format!("{actor} said that they are one.");
        let reason = Reason { strategy: Strategy::Manual, score: 1.0, text };
        taught::merged(tx, id, into, actor)?;
        moves::merge(tx, id, into, vec![reason], actor)?;
        done.push(id);
    }
    Ok(tx.audit(actor, "incident.merge", into.to_string(), json!({ "incident_ids": done }))?)
}

fn unmerge(tx: &mut Tx<'_>, id: IncidentId, actor: &Actor) -> Result<(), CommandError> {
    let incident = tx.asked_incident(id)?;
    let Some(parent) = incident.merged_into else {
        return Err(conflict(format!("{id} is {} and not merged into another incident", incident.status)));
    };
    // Of the system's there is no other name: people's are never `system`.
    let by_hand = incident.merging.before.as_ref().is_some_and(|b| b.by != Actor::System.to_string());
    let from = tx.home(parent)?;
    if !moves::unmerge(tx, id, actor)? {
        return Err(conflict(format!("none of the alerts of {id} is left in {from}; they were moved elsewhere")));
    }
    taught::unmerged(tx, id, from, by_hand, actor)?;
    Ok(tx.audit(actor, "incident.unmerge", id.to_string(), json!({ "from": from }))?)
}

/// An alert that somebody names, with the incident that it is part of.
fn named(tx: &Tx<'_>, n: usize, id: AlertId) -> Result<(Alert, Option<IncidentId>), CommandError> {
    let found = tx.alert(id.number())?.filter(|a| a.id == id);
    let alert = found.ok_or_else(|| invalid(format!("/alert_ids/{n}"), format!("there is no alert {id}")))?;
    let home = alert.incident.map(|i| tx.home(i)).transpose()?;
    Ok((alert, home))
}

fn split(
    tx: &mut Tx<'_>,
    from: IncidentId,
    alerts: &[AlertId],
    title: Option<String>,
    actor: &Actor,
) -> Result<IncidentId, CommandError> {
    let incident = tx.asked_incident(from)?.clone();
    if let Some(into) = incident.merged_into {
        let into = tx.home(into)?;
        return Err(conflict(format!("{from} is merged into {into}; take the alerts out there, or undo the merge")));
    }
    let mut numbers = Vec::new();
    for (n, id) in alerts.iter().enumerate() {
        let (alert, home) = named(tx, n, *id)?;
        if home != Some(from) {
            let where_it_is = home.map_or_else(|| "of no incident".to_owned(), |i| format!("of {i}"));
            return Err(invalid(format!("/alert_ids/{n}"), format!("alert {id} is {where_it_is}, not of {from}")));
        }
        numbers.push(alert.id.number());
    }
    numbers.sort_unstable();
    numbers.dedup();
    if numbers.len() as u64 >= incident.alert_count {
        return Err(invalid("/alert_ids", format!("these are all alerts of {from}; at least one has to stay")));
    }
    let moved = taught::Named::of_alerts(tx, &numbers)?;
    let new = moves::split(tx, from, &numbers, title, actor)?;
    let new = new.ok_or_else(|| StoreError::Damaged(format!("{from} counts alerts that it does not have")))?;
    taught::parted(tx, &moved, from, new, actor)?;
    tx.audit(actor, "incident.split", from.to_string(), json!({ "to": new, "alerts": numbers.len() }))?;
    Ok(new)
}

fn attach(tx: &mut Tx<'_>, to: IncidentId, alerts: &[AlertId], actor: &Actor) -> Result<(), CommandError> {
    let target = tx.asked_incident(to)?.clone();
    if let Some(into) = target.merged_into {
        let into = tx.home(into)?;
        return Err(conflict(format!("{to} is merged into {into}; attach the alerts to that one")));
    }
    if !target.is_open() {
        return Err(conflict(format!(
            "{to} is {}; only open incidents take alerts, so reopen it first",
            target.status
        )));
    }
    let mut lone: Vec<Alert> = Vec::new();
    let mut theirs: BTreeMap<IncidentId, Vec<u64>> = BTreeMap::new();
    for (n, id) in alerts.iter().enumerate() {
        match named(tx, n, *id)? {
            (_, Some(home)) if home == to => {
                return Err(invalid(format!("/alert_ids/{n}"), format!("alert {id} is part of {to} already")));
            }
            (alert, Some(home)) => {
                let numbers = theirs.entry(home).or_default();
                if !numbers.contains(&alert.id.number()) {
                    numbers.push(alert.id.number());
                }
            }
            (alert, None) => {
                if !lone.iter().any(|a| a.id == alert.id) {
                    lone.push(alert);
                }
            }
        }
    }
    let reason = |text| vec![Reason { strategy: Strategy::Manual, score: 1.0, text }];
    let count = lone.len();
    let kind = taught::kind_of(&target);
    if count > 0 {
        let numbers: Vec<u64> = lone.iter().map(|a| a.id.number()).collect();
        let moved = taught::Named::of_alerts(tx, &numbers)?;
        taught::joined(tx, &moved, &kind, actor)?;
        moves::attach_lone(tx, lone, to, &reason(format!("Attached by {actor}.")), actor)?;
    }
    for (from, numbers) in &theirs {
        let text = format!("Attached by {actor}; it was in {from}.");
        let moved = taught::Named::of_alerts(tx, numbers)?;
        taught::joined(tx, &moved, &kind, actor)?;
        if !moves::move_alerts(tx, numbers, *from, to, reason(text), actor, "")? {
            let status = tx.known_incident(*from)?.status;
            return Err(conflict(format!(
                "{from} would be left without alerts, and it is {status}; only open incidents become part of another"
            )));
        }
        if tx.known_incident(*from)?.status != IncidentStatus::Merged {
            taught::parted(tx, &moved, *from, to, actor)?;
        }
    }
    let from: Vec<&IncidentId> = theirs.keys().collect();
    Ok(tx.audit(actor, "incident.attach", to.to_string(), json!({ "from": from, "alerts": alerts.len() }))?)
}
