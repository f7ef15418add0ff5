//! The life of an incident: opened, joined, resolved, reopened, queued for investigation.

use std::{collections::BTreeMap, time::Duration};

use serde_json::json;

use super::{outcomes, place};
use crate::{
    correlation,
    model::*,
    store::{StoreError, insights, tx::Tx},
};

/// Services, hosts and senders' groups listed on an incident's row; the rest is found through its alerts.
pub const NAMES_ON_ROW: usize = 50;
/// Why an investigation is made again by itself.
pub const CHANGED: &str = "changed";
/// The same because of another incident of the same time.
pub const NEARBY: &str = "nearby";

/// Opens an incident for an alert and makes it the first member.
pub fn open(tx: &mut Tx<'_>, alert: &mut Alert, manual_source: Option<&str>) -> Result<IncidentId, StoreError> {
    let id = IncidentId(tx.world.next(crate::store::tables::meta::INCIDENT));
    let manual = manual_source.is_some();
    let source = manual_source.unwrap_or(&alert.platform).to_owned();
    alert.incident = Some(id);
    tx.create_incident(Incident {
        source: source.clone(),
        alert_count: 1,
        firing_count: 1,
        flapping_count: u64::from(alert.flapping.is_some()),
        flapping: alert.flapping.is_some(),
        manual,
        // When it was received, however far behind the writer is.
        detected_at: alert.last_seen.min(tx.now),
        ..of_first(id, alert, tx.now)
    });
    let text =
        if manual { "Declared by hand.".to_owned() } else { format!("Opened by the first alert, from {source}.") };
    tx.note(
        id,
        TimelineKind::Opened,
        &Actor::Sender(source),
        text,
        json!({ "alert_id": alert.id, "title": alert.title }),
    )?;
    let reason = Reason {
        strategy: Strategy::Primary,
        score: 1.0,
        text: if manual {
            "Declared by hand: it always opens an incident of its own.".to_owned()
        } else if alert.test {
            "A test notification: it always opens an incident of its own.".to_owned()
        } else {
            "The first alert: no open incident matched it.".to_owned()
        },
    };
    member(tx, id, alert, 1.0, vec![reason])?;
    queue(tx, id, "opened")?;
    Ok(id)
}

/// An incident as its first alert makes it, without any alert yet.
pub fn of_first(id: IncidentId, alert: &Alert, now: Time) -> Incident {
    Incident {
        id,
        status: IncidentStatus::Investigating,
        severity: alert.severity,
        severity_pinned: false,
        title: alert.title.clone(),
        service: alert.service.clone(),
        host: alert.host.clone(),
        environment: alert.environment.clone(),
        affected_services: alert.service.iter().cloned().collect(),
        affected_hosts: alert.host.iter().cloned().collect(),
        source: alert.platform.clone(),
        source_url: alert.source_url.clone(),
        owner: None,
        started_at: alert.started_at,
        onset_at: alert.onset_at,
        detected_at: now,
        acknowledged_at: None,
        analyzed_at: None,
        resolved_at: None,
        resolution: None,
        updated_at: now,
        last_alert_at: alert.onset_at,
        alert_count: 0,
        firing_count: 0,
        merged_into: None,
        sender_groups: Vec::new(),
        muted_count: 0,
        muted: false,
        mutes: Vec::new(),
        snoozed: None,
        merging: Merging::default(),
        flapping_count: 0,
        over_at: None,
        first_right: None,
        told_at: None,
        kind: insights::kind_of(alert),
        flapping: false,
        test: alert.test,
        manual: false,
        labels: alert.labels.clone(),
        investigation: InvestigationHead::default(),
        leading: None,
        postmortem: None,
        version: 0,
    }
}

/// Makes an alert a member of an open incident.
pub fn join(
    tx: &mut Tx<'_>,
    id: IncidentId,
    alert: &mut Alert,
    score: f64,
    reasons: Vec<Reason>,
) -> Result<(), StoreError> {
    alert.incident = Some(id);
    let incident = tx.known_incident(id)?;
    incident.alert_count += 1;
    incident.firing_count += 1;
    incident.flapping_count += u64::from(alert.flapping.is_some());
    incident.flapping = incident.flapping_count > 0;
    incident.last_alert_at = incident.last_alert_at.max(alert.onset_at);
    incident.labels.retain(|name, value| alert.labels.get(name) == Some(value));
    push_name(&mut incident.affected_services, alert.service.as_deref());
    push_name(&mut incident.affected_hosts, alert.host.as_deref());
    raise_severity(tx, id, alert.severity)?;
    tx.changed(id, IncidentChange::Alerts);
    let first = reasons.first().cloned();
    tx.note(
        id,
        TimelineKind::AlertCorrelated,
        &Actor::System,
        format!("{} joined. {}", alert.title, first.as_ref().map_or("", |r| r.text.as_str())),
        json!({ "alert_id": alert.id, "strategy": first.as_ref().map(|r| r.strategy), "score": score }),
    )?;
    member(tx, id, alert, score, reasons)?;
    tx.log(ChangeSubject::AlertCorrelated(id, alert.id))?;
    reconsider(tx, id)
}

/// An investigation that waits is as urgent as its incident is bad.
pub fn urgency(tx: &mut Tx<'_>, id: IncidentId, severity: Severity) -> Result<(), StoreError> {
    match tx.job(id)? {
        Some(job) => tx.put_job(&Job { severity, ..job }),
        None => Ok(()),
    }
}

/// What an investigation was made from is no longer all there is: it is made again, unless a person stopped it or somebody
/// recorded the cause. Repeats and flapping are not told here.
pub fn reconsider(tx: &mut Tx<'_>, id: IncidentId) -> Result<(), StoreError> {
    let head = &tx.known_incident(id)?.investigation;
    let known = head.conclusion == Some(Conclusion::Confirmed);
    let made = matches!(head.state, InvestigationState::Complete | InvestigationState::Error);
    if head.state == InvestigationState::Running || (made && !known) { queue(tx, id, CHANGED) } else { Ok(()) }
}

/// The same when an incident of the same time became known or changed.
pub fn nearby(tx: &mut Tx<'_>, id: IncidentId) -> Result<(), StoreError> {
    let head = &tx.known_incident(id)?.investigation;
    let known = head.conclusion == Some(Conclusion::Confirmed);
    if head.state == InvestigationState::Complete && !known { queue(tx, id, NEARBY) } else { Ok(()) }
}

/// An alert that opened an incident says which ones it was kept out of, and why.
pub fn kept_out(
    tx: &mut Tx<'_>,
    id: IncidentId,
    alert: &Alert,
    why: &BTreeMap<IncidentId, String>,
) -> Result<(), StoreError> {
    let Some(mut membership) = tx.membership(id, alert.id)?.filter(|_| !why.is_empty()) else { return Ok(()) };
    for (other, text) in why.iter().take(3) {
        let text = format!("Kept out of {other}: {text}");
        membership.reasons.push(Reason { strategy: Strategy::Manual, score: 1.0, text });
    }
    tx.put_membership(&membership)
}

/// One of the sender's groups reaches an incident: what comes later in that group finds it.
pub fn group(tx: &mut Tx<'_>, id: IncidentId, group: Fingerprint) -> Result<(), StoreError> {
    let incident = tx.known_incident(id)?;
    if incident.sender_groups.len() < NAMES_ON_ROW && !incident.sender_groups.contains(&group) {
        incident.sender_groups.push(group);
        let found_by = incident.clone();
        tx.world.open(&found_by);
    }
    Ok(())
}

pub fn push_name(names: &mut Vec<String>, name: Option<&str>) -> bool {
    match name {
        Some(name) if names.len() < NAMES_ON_ROW && !names.iter().any(|n| n.eq_ignore_ascii_case(name)) => {
            names.push(name.to_owned());
            true
        }
        _ => false,
    }
}

fn member(
    tx: &mut Tx<'_>,
    incident: IncidentId,
    alert: &Alert,
    score: f64,
    reasons: Vec<Reason>,
) -> Result<(), StoreError> {
    let strategy = reasons.first().map_or(Strategy::Primary, |r| r.strategy);
    tx.put_membership(&Membership { incident, alert: alert.id, strategy, score, reasons, at: tx.now })
}

/// Raises an incident's severity to an alert's, unless a person set it; and that of all that it was merged into.
pub fn raise_severity(tx: &mut Tx<'_>, id: IncidentId, severity: Severity) -> Result<(), StoreError> {
    let mut parts = tx.lineage(id)?;
    let id = parts.pop().unwrap_or(id);
    for part in parts {
        let merged = tx.known_incident(part)?;
        if !merged.severity_pinned {
            merged.severity = merged.severity.worst(severity);
        }
    }
    let incident = tx.known_incident(id)?;
    let before = incident.severity;
    if incident.severity_pinned || severity >= before {
        return Ok(());
    }
    incident.severity = severity;
    urgency(tx, id, severity)?;
    tx.changed(id, IncidentChange::Severity);
    let text = format!("Severity went from {before} to {severity}.");
    tx.note(id, TimelineKind::Severity, &Actor::System, text, json!({ "from": before, "to": severity }))?;
    worse(tx, id, severity)
}

/// An incident that got worse waits no longer.
pub fn worse(tx: &mut Tx<'_>, id: IncidentId, severity: Severity) -> Result<(), StoreError> {
    let text = format!("No longer snoozed: it is {severity} now.");
    wake(tx, id, &Actor::System, text).map(drop)
}

/// Ends the quiet of an incident that is snoozed; the snooze that ended.
pub fn wake(tx: &mut Tx<'_>, id: IncidentId, by: &Actor, text: String) -> Result<Option<Snooze>, StoreError> {
    let Some(snooze) = tx.known_incident(id)?.snoozed.take() else { return Ok(None) };
    tx.changed(id, IncidentChange::Snoozed);
    tx.note(id, TimelineKind::Woken, by, text, json!({ "until": snooze.until, "by": snooze.by }))?;
    Ok(Some(snooze))
}

/// One alert fewer burns, of that incident and of what it was merged into. That ends with the last one, unless a person
/// declared it.
pub fn alert_ended(tx: &mut Tx<'_>, id: IncidentId, alert: &Alert, by: &Actor, how: &str) -> Result<(), StoreError> {
    tx.count(id, 0, -1)?;
    let id = tx.home(id)?;
    let incident = tx.known_incident(id)?;
    let over = incident.firing_count == 0 && incident.is_open() && !incident.manual;
    let count = incident.alert_count;
    tx.changed(id, IncidentChange::Alerts);
    if over {
        let text = match count {
            1 => format!("Its alert {how}."),
            n => format!("All {n} alerts {how}."),
        };
        end(tx, id, by, text)?;
        let now = tx.now;
        let incident = tx.known_incident(id)?;
        // As the sender says, where that can be: not before it began, nor in the future.
        let over = alert.ended_at.map_or(now, |at| correlation::onset(Some(at), now).min(now));
        incident.over_at = Some(over.max(incident.onset_at));
    }
    Ok(())
}

/// Ends an open incident. Its alerts are the caller's business.
pub fn end(tx: &mut Tx<'_>, id: IncidentId, by: &Actor, resolution: String) -> Result<(), StoreError> {
    let now = tx.now;
    let incident = tx.known_incident(id)?;
    incident.status = IncidentStatus::Resolved;
    incident.resolved_at = Some(now);
    incident.resolution = Some(resolution.clone());
    incident.over_at = (!super::moves::by_hand(by)).then_some(now);
    tx.world.close(id);
    tx.changed(id, IncidentChange::Status);
    tx.note(id, TimelineKind::Resolved, by, resolution, serde_json::Value::Null)?;
    outcomes::settle(tx, id)
}

/// Opens a resolved incident again and has it investigated anew.
pub fn reopen(tx: &mut Tx<'_>, id: IncidentId, by: &Actor, text: String) -> Result<(), StoreError> {
    let incident = tx.known_incident(id)?;
    incident.status = IncidentStatus::Investigating;
    incident.resolved_at = None;
    incident.resolution = None;
    incident.over_at = None;
    incident.analyzed_at = None;
    let open = incident.clone();
    outcomes::forget(tx, id)?;
    tx.world.open(&open);
    tx.changed(id, IncidentChange::Status);
    tx.note(id, TimelineKind::Reopened, by, text, serde_json::Value::Null)?;
    place::read_again(tx, id)?;
    queue(tx, id, "reopened")
}

/// How long an answer stands at least before what joined since has it made anew: longer where many joined already, since
/// each of them tells less.
fn pause(alerts: u64) -> Duration {
    Duration::from_secs(match alerts {
        0..=9 => 10,
        10..=99 => 20,
        _ => 60,
    })
}

/// Asks for an investigation. One that waits stays as it is; one that runs is run once more afterwards.
pub fn queue(tx: &mut Tx<'_>, id: IncidentId, reason: &str) -> Result<(), StoreError> {
    if let Some(mut job) = tx.job(id)? {
        if job.leased_until.is_some() && !job.again {
            job.again = true;
            tx.put_job(&job)?;
        }
        return Ok(());
    }
    let now = tx.now;
    let mut not_before = now.plus(tx.policy.investigation_delay);
    let incident = tx.known_incident(id)?;
    if let Some(finished) = incident.investigation.finished_at.filter(|_| reason == CHANGED || reason == NEARBY) {
        // Against a clock that was set back: never later than from now on.
        not_before = not_before.max(finished.min(now).plus(pause(incident.alert_count)));
    }
    let job = Job {
        incident: id,
        severity: incident.severity,
        lease: 0,
        queued_at: now,
        not_before,
        leased_until: None,
        attempts: 0,
        reason: reason.to_owned(),
        again: false,
        answered: false,
    };
    incident.investigation.state = InvestigationState::Queued;
    tx.put_job(&job)?;
    tx.changed(id, IncidentChange::Investigation);
    Ok(())
}
