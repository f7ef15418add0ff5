//! What a delivery does to the store, inside the writer's transaction: deterministic, given the rows and the policy.

pub mod flapping;
pub mod lifecycle;
pub mod moves;
pub mod mutes;
pub mod notices;
pub mod outcomes;
pub mod place;
mod replies;
pub mod signals;
pub mod taught;
pub mod thresholds;
pub mod timers;
pub mod told;

use std::time::Duration;

use super::{
    StoreError,
    tables::meta,
    tx::{Tx, get, put},
};
use crate::{
    correlation::{self, weighted::Doc},
    model::*,
};

/// Incidents named in a delivery's row; the results name them all.
const INCIDENTS_IN_ROW: usize = 10;

/// How long before an incident a change may lie to be told of in its investigation.
const CHANGE_BEFORE: Duration = Duration::from_secs(2 * 3600);
/// Open incidents of one service that are investigated anew for a change of it.
const RECONSIDERED: usize = 8;

/// Applies one delivery and moves the position to it. `read` is what its signals say, in their order, where somebody had
/// the time to read them before; empty, they are read when that is needed.
pub fn delivery(tx: &mut Tx<'_>, delivery: &Delivery, read: &[Option<Doc>]) -> Result<(), StoreError> {
    let accepted = delivery.outcome == DeliveryOutcome::Accepted;
    let mut results = Vec::new();
    if accepted {
        results = signals::apply(tx, delivery, read)?;
        for change in &delivery.parsed.changes {
            let at = correlation::onset(change.at, delivery.at);
            let change = Change { at: Some(at), source: delivery.platform.clone(), ..change.clone() };
            tx.put_change(&change, at)?;
            reconsider(tx, &change, at)?;
        }
        replies::apply(tx, delivery)?;
    }
    declared(tx, delivery, &results)?;
    notes(tx, delivery)?;
    count(tx, delivery)?;
    let mut incidents: Vec<IncidentId> = Vec::new();
    for id in results.iter().filter_map(|r| r.incident_id) {
        if incidents.len() < INCIDENTS_IN_ROW && !incidents.contains(&id) {
            incidents.push(id);
        }
    }
    let title = delivery.parsed.signals.first().map(|s| s.title.clone());
    let row = DeliveryRow {
        seq: delivery.seq,
        id: delivery.id,
        at: delivery.at,
        applied_at: tx.now,
        platform: delivery.platform.clone(),
        outcome: delivery.outcome,
        problem: delivery.problem.clone(),
        size: delivery.body.len() as u64,
        signals: u32::try_from(delivery.parsed.signals.len()).unwrap_or(u32::MAX),
        tests: u32::try_from(delivery.parsed.signals.iter().filter(|s| s.is_test).count()).unwrap_or(u32::MAX),
        changes: u32::try_from(delivery.parsed.changes.len()).unwrap_or(u32::MAX),
        notes: delivery.parsed.notes.clone(),
        incidents,
        title: title.or_else(|| delivery.parsed.changes.first().map(|c| c.title.clone())),
        replay_of: None,
    };
    let replay_of = match delivery.replay_of {
        Some(seq) => get::<_, DeliveryRow>(&tx.deliveries, seq)?.map(|r| r.id),
        None => None,
    };
    tx.put_delivery(&DeliveryRow { replay_of, ..row })?;
    put(&mut tx.results, delivery.seq, &results)?;
    // Also when nothing else changed: what follows in the transaction may fail, and then this is to be read again.
    tx.world.touched = true;
    tx.world.numbers.insert(meta::POSITION, delivery.seq);
    Ok(())
}

/// Notes who declared an incident, with the incident: however late it is applied.
fn declared(tx: &mut Tx<'_>, delivery: &Delivery, results: &[Applied]) -> Result<(), StoreError> {
    let Some((actor, address)) = delivery.declared_by() else { return Ok(()) };
    let from = std::mem::replace(&mut tx.from, address);
    for id in results.iter().filter(|r| r.new_incident).filter_map(|r| r.incident_id) {
        tx.audit(&actor, "incident.declare", id.to_string(), serde_json::Value::Null)?;
    }
    tx.from = from;
    Ok(())
}

fn notes(tx: &mut Tx<'_>, delivery: &Delivery) -> Result<(), StoreError> {
    for note in &delivery.parsed.notes {
        match note {
            Note::TestToken(token) => {
                let platform = delivery.platform.as_str();
                if let Some(mut settings) = get::<_, ConnectorSettings>(&tx.connectors, platform)? {
                    settings.test_token = Some(token.clone());
                    put(&mut tx.connectors, platform, &settings)?;
                }
            }
            Note::Heartbeat(name) => {
                tx.counters(&delivery.platform)?.last_heartbeat = Some(delivery.at);
                signals::heard_of(tx, delivery, name)?;
            }
            Note::Ping(_) | Note::Ignored(_) | Note::Warning(_) => {}
        }
    }
    Ok(())
}

fn count(tx: &mut Tx<'_>, delivery: &Delivery) -> Result<(), StoreError> {
    let accepted = delivery.outcome == DeliveryOutcome::Accepted;
    let counters = tx.counters(&delivery.platform)?;
    counters.count(delivery.at, accepted);
    counters.last = Some((delivery.id, delivery.at, delivery.outcome));
    if accepted {
        counters.last_accepted = Some(delivery.at);
    } else if let Some(problem) = &delivery.problem {
        counters.last_problem = Some((problem.clone(), delivery.at));
    }
    // What is parsed again came before, and says nothing of the way now.
    if delivery.replay_of.is_none() {
        let (own, test) = (delivery.is_own_test(), delivery.is_test());
        let at = Some(delivery.at);
        if own {
            counters.last_own_test = at;
        } else {
            counters.last_from_there = at;
            if delivery.outcome != DeliveryOutcome::Refused {
                counters.last_proven = at;
            }
            if accepted && !test && !(delivery.parsed.signals.is_empty() && delivery.parsed.changes.is_empty()) {
                counters.last_real = at;
            }
        }
        if accepted && (own || test) {
            counters.last_test = at;
        }
    }
    for signal in &delivery.parsed.signals {
        // Only where people set a rule does a signal say so.
        if signal.own_key.is_some() || !signal.identity.missing.is_empty() {
            counters.identity_asked += 1;
        }
        for field in &signal.identity.missing {
            if counters.identity_missing.len() < IdentityField::MOST || counters.identity_missing.contains_key(field) {
                *counters.identity_missing.entry(field.clone()).or_default() += 1;
            }
        }
    }
    tx.received(&delivery.platform, delivery.outcome);
    Ok(())
}

/// A change that is told of late, as pipelines do when they are done, may be the cause of what burns already.
fn reconsider(tx: &mut Tx<'_>, change: &Change, at: Time) -> Result<(), StoreError> {
    let Some(service) = &change.service else { return Ok(()) };
    for id in tx.world.open_at(&crate::store::world::key(service), RECONSIDERED) {
        let onset = tx.known_incident(id)?.onset_at;
        if at <= onset && onset.since(at) <= CHANGE_BEFORE {
            lifecycle::reconsider(tx, id)?;
        }
    }
    Ok(())
}
