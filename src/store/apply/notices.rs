//! What is told of what happens to incidents: rows written in the transaction of the change itself. Called for each
//! incident that a transaction leaves otherwise than it found it, so that nobody who changes one need think of it.

use std::time::Duration;

use serde_json::json;

use crate::{
    model::*,
    notifications::policy::{self, Happened, Wish},
    store::{StoreError, tx::Tx},
};

/// Something may have happened to an incident that somebody is told of.
pub fn happened(tx: &mut Tx<'_>, before: Option<&Incident>, incident: &Incident) -> Result<(), StoreError> {
    if tx.world.telling.is_silent() {
        return Ok(());
    }
    let given_back = before.is_some_and(|b| b.acknowledged_at.is_some()) && incident.acknowledged_at.is_none();
    if given_back && incident.is_open() {
        restart(tx, incident.id)?;
    }
    for (event, severity_before) in policy::told(before, incident) {
        let earlier = tx.notices_of(incident.id)?;
        let happened = Happened { event, incident, severity_before, now: tx.now };
        let plan = policy::plan(tx.world.telling.book(), happened, &earlier);
        for (id, why) in plan.drop {
            end(tx, id, NoticeState::Dropped, why)?;
        }
        let mut written = Vec::new();
        for wish in plan.wishes {
            written.push(write(tx, Some(incident.id), wish)?);
        }
        let considered = plan.considered.into_iter().map(|(considered, (from, to))| Considered {
            notices: written.get(from..to).unwrap_or_default().to_vec(),
            ..considered
        });
        let considered = Considerations { at: tx.now, event, considered: considered.collect() };
        tx.put_considered(incident.id, &considered)?;
        match event {
            NoticeEvent::Opened | NoticeEvent::Reopened | NoticeEvent::SeverityUp => {
                if let Some((policy, rule)) = plan.escalate {
                    begin(tx, incident, policy, rule)?;
                }
            }
            NoticeEvent::Acknowledged => pause(tx, incident.id)?,
            NoticeEvent::Resolved => stop(tx, incident.id, "The incident is over.")?,
            NoticeEvent::Merged => stop(tx, incident.id, "The incident is part of another one.")?,
            _ => {}
        }
    }
    Ok(())
}

/// Writes a message.
fn write(tx: &mut Tx<'_>, incident: Option<IncidentId>, wish: Wish) -> Result<NoticeId, StoreError> {
    let id = NoticeId(tx.next_notice());
    let notice = Notice {
        id,
        incident,
        event: wish.event,
        severity_before: wish.severity_before,
        rule: Some(wish.rule),
        rung: wish.rung,
        reason: wish.reason,
        channel: wish.channel,
        person: wish.person,
        address: wish.address,
        created_at: tx.now,
        planned_at: wish.due_at,
        due_at: wish.due_at,
        state: NoticeState::Waiting,
        why: None,
        attempts: Vec::new(),
        tries: 0,
        steps_done: Vec::new(),
        in_doubt: false,
        gathers: wish.gathers,
        remind_secs: wish.remind_secs,
        key: key(tx.now, id),
        ended_at: None,
        told_in: None,
        instead_of: None,
    };
    tx.put_notice(&notice, None)?;
    Ok(id)
}

/// What targets tell repeats by.
pub fn key(now: Time, id: NoticeId) -> String {
    numbered_uuid(now, id.0).to_string()
}

/// Ends a message that still waits.
pub fn end(tx: &mut Tx<'_>, id: NoticeId, state: NoticeState, why: String) -> Result<(), StoreError> {
    let Some(before) = tx.notice(id)?.filter(Notice::is_pending) else { return Ok(()) };
    let notice = Notice { state, why: Some(why), ended_at: Some(tx.now), ..before.clone() };
    tx.put_notice(&notice, Some(&before))
}

// ---- escalation ----

fn after(tx: &Tx<'_>, policy: &EscalationPolicy, step: u32) -> Option<Time> {
    let step = policy.steps.get(usize::try_from(step).ok()?)?;
    Some(tx.now.plus(Duration::from_secs(u64::from(step.after_secs))))
}

fn begin(tx: &mut Tx<'_>, incident: &Incident, policy: PolicyId, rule: RuleId) -> Result<(), StoreError> {
    let runs = tx.escalation(incident.id)?.is_some_and(|e| e.ended.is_none());
    let Some(row) = tx.world.telling.policies.get(&policy.0).cloned().filter(|_| !runs) else { return Ok(()) };
    let acknowledged = incident.acknowledged_at.is_some();
    let next_at = if acknowledged { None } else { after(tx, &row, 0) };
    let (began_at, incident) = (tx.now, incident.id);
    let escalation =
        Escalation { incident, policy, rule, began_at, step: 0, round: 0, next_at, acknowledged, ended: None };
    tx.put_escalation(&escalation)
}

fn running(tx: &Tx<'_>, id: IncidentId) -> Result<Option<Escalation>, StoreError> {
    Ok(tx.escalation(id)?.filter(|e| e.ended.is_none()))
}

/// Somebody has it: nothing more comes, unless that ends.
fn pause(tx: &mut Tx<'_>, id: IncidentId) -> Result<(), StoreError> {
    let Some(row) = running(tx, id)? else { return Ok(()) };
    let holds = tx.world.telling.policies.get(&row.policy.0).and_then(|p| p.unacknowledge_secs);
    let next_at = holds.map(|secs| tx.now.plus(Duration::from_secs(u64::from(secs))));
    tx.put_escalation(&Escalation { acknowledged: true, next_at, ..row })
}

/// It is nobody's again.
fn restart(tx: &mut Tx<'_>, id: IncidentId) -> Result<(), StoreError> {
    let Some(row) = running(tx, id)?.filter(|e| e.acknowledged) else { return Ok(()) };
    let policy = tx.world.telling.policies.get(&row.policy.0).cloned();
    let next_at = policy.and_then(|p| after(tx, &p, 0));
    tx.put_escalation(&Escalation { acknowledged: false, step: 0, round: 0, next_at, ..row })
}

fn stop(tx: &mut Tx<'_>, id: IncidentId, why: &str) -> Result<(), StoreError> {
    let Some(row) = running(tx, id)? else { return Ok(()) };
    tx.put_escalation(&Escalation { next_at: None, ended: Some(why.to_owned()), ..row })
}

/// The time of an incident's next step has come.
pub fn step(tx: &mut Tx<'_>, id: IncidentId) -> Result<(), StoreError> {
    let Some(row) = running(tx, id)? else { return tx.forget_escalation(id) };
    let Some(incident) = tx.incident(id)?.map(|i| i.clone()) else { return tx.forget_escalation(id) };
    if !incident.is_open() {
        return stop(tx, id, "The incident is over.");
    }
    let Some(policy) = tx.world.telling.policies.get(&row.policy.0).cloned() else {
        return stop(tx, id, "The policy was removed.");
    };
    if tx.world.telling.rule(row.rule).is_none() {
        return stop(tx, id, "The rule that began it was removed.");
    }
    if row.acknowledged {
        return unacknowledge(tx, row, &incident);
    }
    // Without any rule nobody looks at what happens; the rules may be back by now.
    if incident.acknowledged_at.is_some() {
        return pause(tx, id);
    }
    let rung = Rung { policy: policy.id, step: row.step, round: row.round };
    let happened = Happened { event: NoticeEvent::Escalated, incident: &incident, severity_before: None, now: tx.now };
    let (wishes, mut considered) = policy::escalate(tx.world.telling.book(), &policy, rung, row.rule, happened);
    if incident.is_quiet() {
        considered.outcome = Considering::Muted;
        considered.why = "Nobody is told: the incident is muted or snoozed.".to_owned();
    } else {
        for wish in wishes {
            considered.notices.push(write(tx, Some(id), wish)?);
        }
    }
    let considered = Considerations { at: tx.now, event: NoticeEvent::Escalated, considered: vec![considered] };
    tx.put_considered(id, &considered)?;
    tx.log(ChangeSubject::Notifications)?;
    let mut next = Escalation { step: row.step + 1, ..row };
    if usize::try_from(next.step).is_ok_and(|step| step >= policy.steps.len()) {
        next = Escalation { step: 0, round: next.round.saturating_add(1), ..next };
    }
    next.next_at = if next.round > policy.repeat { None } else { after(tx, &policy, next.step) };
    if next.next_at.is_none() {
        next.ended = Some("All steps were gone through.".to_owned());
    }
    tx.put_escalation(&next)
}

/// An acknowledgement holds no longer: the incident is nobody's again, and the steps begin anew.
fn unacknowledge(tx: &mut Tx<'_>, row: Escalation, incident: &Incident) -> Result<(), StoreError> {
    let id = incident.id;
    let Some(owner) = incident.owner.clone() else {
        return tx.put_escalation(&Escalation { next_at: None, ..row });
    };
    let known = tx.known_incident(id)?;
    (known.owner, known.acknowledged_at) = (None, None);
    tx.changed(id, IncidentChange::Owner);
    let text = format!("The acknowledgement of {owner} has run out; the incident is nobody's again.");
    tx.note(id, TimelineKind::Unacknowledged, &Actor::System, text, json!({ "owner": owner }))?;
    // Until the end of the transaction sees it and begins anew.
    tx.put_escalation(&Escalation { next_at: None, ..row })
}
