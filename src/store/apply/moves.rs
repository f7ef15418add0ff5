//! Alerts that change their incident, and incidents that become one: used by people's commands and by the correlator.
//!
//! Merging moves no alert. A merged incident keeps its row, its memberships and its timeline, points at the incident that
//! it was merged into, and is counted there as well (`tx::family`); so a merge of a hundred thousand alerts costs as much
//! as one of two, and undoing it gives back exactly what was there. What happens to its alerts meanwhile happens at the
//! survivor, `Tx::home`. Alerts that are moved for themselves change their rows.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use super::{lifecycle, outcomes, place, taught, told};
use crate::{
    model::*,
    store::{StoreError, tables::meta, tx::Tx},
};

/// Ids of alerts named in the data of a timeline entry, and told one by one to streams.
const NAMED: usize = 100;
/// Timeline entries of the survivor that are looked at when a merge is undone.
const COPIED: usize = 10_000;

/// Whether this is a person or a program that acts for one.
pub fn by_hand(by: &Actor) -> bool {
    matches!(by, Actor::Person(_) | Actor::Program(_))
}

/// Why one incident cannot be merged into another, in a sentence; none when it can.
pub fn obstacle(from: &Incident, into: &Incident, by: &Actor) -> Option<String> {
    let at = |i: &Incident| i.merged_into.map_or_else(|| format!("is {}", i.status), |m| format!("is merged into {m}"));
    if from.id == into.id {
        return Some(format!("{} cannot be merged into itself", from.id));
    }
    for i in [from, into] {
        if !i.is_open() {
            return Some(format!("{} {}; only open incidents are merged", i.id, at(i)));
        }
        if (i.manual || i.test) && !by_hand(by) {
            return Some(format!("{} is merged by people only", i.id));
        }
    }
    None
}

/// Makes `from` part of `into`: its status is merged, its alerts count there, and what is needed to bring both back is
/// remembered. The survivor is investigated again. False, and nothing changed, where that is not allowed (`obstacle`), or
/// where the product would join what people took apart; people doing it end that.
pub fn merge(
    tx: &mut Tx<'_>,
    from: IncidentId,
    into: IncidentId,
    reasons: Vec<Reason>,
    by: &Actor,
) -> Result<bool, StoreError> {
    let (gone, kept) = (tx.known_incident(from)?.clone(), tx.known_incident(into)?.clone());
    if obstacle(&gone, &kept, by).is_some() {
        return Ok(false);
    }
    let (ours, theirs) = (taught::kept_apart(tx, into, by)?, taught::kept_apart(tx, from, by)?);
    if by_hand(by) {
        taught::reunite(tx, &theirs, &ours)?;
    } else if taught::any_apart(tx, &theirs, &ours) {
        return Ok(false);
    }
    tx.remove_job(from)?;
    let before = BeforeMerge {
        at: tx.now,
        seq: tx.world.last(meta::CHANGE),
        alert: tx.world.last(meta::ALERT),
        by: by.to_string(),
        reasons: reasons.clone(),
        status: gone.status,
        investigation: gone.investigation.state,
        firing_count: gone.firing_count,
        into: told::of(&kept),
    };
    let incident = tx.known_incident(from)?;
    incident.status = IncidentStatus::Merged;
    incident.merged_into = Some(into);
    incident.merging.before = Some(Box::new(before));
    if busy(gone.investigation.state) {
        incident.investigation.state = InvestigationState::Cancelled;
    }
    outcomes::forget(tx, from)?;
    let known = tx.world.engine.profile(from).cloned();
    tx.world.close(from);
    tx.changed(from, IncidentChange::Merged);
    let why = reasons.first().map(|r| format!(" {}", r.text)).unwrap_or_default();
    let data = json!({ "from": from, "into": into });
    tx.note(from, TimelineKind::Merged, by, format!("Merged into {into}.{why}"), data.clone())?;

    let incident = tx.known_incident(into)?;
    incident.alert_count += gone.alert_count;
    incident.firing_count += gone.firing_count;
    incident.muted_count += gone.muted_count;
    incident.flapping_count += gone.flapping_count;
    incident.flapping = incident.flapping_count > 0;
    incident.merging.absorbed.push(from);
    told::take(tx, into, &told::of(&gone))?;
    place::absorb(tx, known, into);
    tx.changed(into, IncidentChange::Alerts);
    let alerts = counted(gone.alert_count);
    let text = format!("{from}, “{}”, with {alerts} became part of this incident.{why}", gone.title);
    tx.note(into, TimelineKind::Merged, by, text, data)?;
    lifecycle::raise_severity(tx, into, gone.severity)?;
    lifecycle::queue(tx, into, "merged")?;
    Ok(true)
}

/// Takes a merged incident out of the one that it was merged into: it is again what it was, with what has happened to its
/// alerts since. What joined the survivor meanwhile stays there. False when it is not merged, or none of its alerts is left
/// in it.
pub fn unmerge(tx: &mut Tx<'_>, id: IncidentId, by: &Actor) -> Result<bool, StoreError> {
    let gone = tx.known_incident(id)?.clone();
    let (Some(parent), Some(before)) = (gone.merged_into, gone.merging.before.clone()) else { return Ok(false) };
    if gone.alert_count == 0 {
        return Ok(false);
    }
    let above = tx.lineage(parent)?;
    let root = tx.home(parent)?;
    copy_timeline(tx, id, &above, before.seq)?;
    let (alerts, firing) = (signed(gone.alert_count), signed(gone.firing_count));
    tx.count(parent, -alerts, -firing)?;
    tx.count_all_muted(parent, -signed(gone.muted_count))?;
    tx.count_flapping(parent, -signed(gone.flapping_count))?;
    tx.known_incident(parent)?.merging.absorbed.retain(|i| *i != id);
    let incident = tx.known_incident(id)?;
    incident.status = before.status;
    incident.merged_into = None;
    incident.merging.before = None;
    incident.investigation.state = before.investigation;
    for part in &above {
        drop_groups(tx.known_incident(*part)?, &gone, &before.into.groups);
        let told = (*part == parent).then_some(before.as_ref());
        told::without(tx, *part, Some(gone.severity), told, by)?;
    }

    let data = json!({ "from": id, "into": root });
    let survivor = tx.known_incident(root)?.clone();
    tx.changed(id, IncidentChange::Merged);
    tx.changed(id, IncidentChange::Status);
    tx.note(id, TimelineKind::Unmerged, by, format!("No longer part of {root}: the merge was undone."), data.clone())?;
    tx.changed(root, IncidentChange::Alerts);
    let text =
        format!("{id}, “{}”, with {} is no longer part of this incident.", gone.title, counted(gone.alert_count));
    tx.note(root, TimelineKind::Unmerged, by, text, data)?;

    let over = gone.firing_count == 0 && before.firing_count > 0 && !gone.manual;
    if over || !survivor.is_open() {
        let how = survivor.resolution.as_deref().map(|r| format!(": {r}")).unwrap_or_else(|| ".".to_owned());
        lifecycle::end(tx, id, &Actor::System, format!("Ended while it was part of {root}{how}"))?;
        if let Some(at) = survivor.resolved_at {
            let incident = tx.known_incident(id)?;
            (incident.resolved_at, incident.over_at) = (Some(at), survivor.over_at);
        }
        if busy(before.investigation) {
            tx.known_incident(id)?.investigation.state = InvestigationState::Cancelled;
        }
    } else {
        let open = tx.known_incident(id)?.clone();
        tx.world.open(&open);
        if busy(before.investigation) {
            tx.known_incident(id)?.investigation.state = InvestigationState::Idle;
            lifecycle::queue(tx, id, "unmerged")?;
        }
    }
    place::read_again(tx, id)?;
    place::read_again(tx, root)?;
    if survivor.is_open() {
        let burned = root != parent || before.into.firing_count > 0;
        if !ended_without(tx, root, burned, &format!("Its open alerts went back to {id}."))? {
            lifecycle::queue(tx, root, "moved")?;
        }
    }
    Ok(true)
}

/// The groups that came with a merged incident go with it.
fn drop_groups(incident: &mut Incident, gone: &Incident, before: &[Fingerprint]) {
    incident.sender_groups.retain(|g| before.contains(g) || !gone.sender_groups.contains(g));
}

/// What happened to a merged incident's alerts since is told in its own timeline as well.
fn copy_timeline(tx: &mut Tx<'_>, id: IncidentId, above: &[IncidentId], since: u64) -> Result<(), StoreError> {
    let family = tx.family(id)?;
    for part in above {
        for entry in tx.timeline_after(*part, since, COPIED)? {
            let named = entry.data.get("alert_id").and_then(|v| v.as_str()).and_then(|s| s.parse::<AlertId>().ok());
            let Some(number) = named.map(AlertId::number) else { continue };
            for one in &family {
                if tx.stands_under(*one, number)? {
                    tx.copy_note(id, &entry)?;
                    break;
                }
            }
        }
    }
    Ok(())
}

/// Moves open or closed alerts of `from` to `to`, which must be open. Counts, services, hosts, labels and severity of both
/// are of their alerts afterwards; both timelines say it, with `text` as the reason. When no alert would be left, `from` is
/// merged into `to` instead, so that it can be undone. False, and nothing changed, where that is not allowed.
pub fn move_alerts(
    tx: &mut Tx<'_>,
    alerts: &[u64],
    from: IncidentId,
    to: IncidentId,
    reasons: Vec<Reason>,
    by: &Actor,
    text: &str,
) -> Result<bool, StoreError> {
    let (source, target) = (tx.known_incident(from)?.clone(), tx.known_incident(to)?.clone());
    if from == to || !target.is_open() || source.status == IncidentStatus::Merged {
        return Ok(false);
    }
    if !by_hand(by) && (source.manual || source.test || target.manual || target.test) {
        return Ok(false);
    }
    let mut theirs = Vec::new();
    for number in alerts {
        let Some(alert) = tx.alert(*number)? else { continue };
        if let Some(under) = alert.incident
            && tx.home(under)? == from
        {
            theirs.push(alert);
        }
    }
    if theirs.is_empty() {
        return Ok(false);
    }
    if !together(tx, &theirs, to, by)? {
        return Ok(false);
    }
    if theirs.len() as u64 == source.alert_count {
        return merge(tx, from, to, reasons, by);
    }
    let moved = relocate(tx, theirs, to, &reasons, by)?;
    let text = if text.is_empty() { String::new() } else { format!(" {text}") };
    let data = json!({ "alert_ids": moved.ids, "from": from, "to": to });
    tx.changed(from, IncidentChange::Alerts);
    tx.note(from, TimelineKind::AlertMoved, by, format!("{} moved to {to}.{text}", moved.what), data.clone())?;
    tx.changed(to, IncidentChange::Alerts);
    tx.note(to, TimelineKind::AlertMoved, by, format!("{} came from {from}.{text}", moved.what), data)?;
    lifecycle::raise_severity(tx, to, moved.worst)?;
    lifecycle::queue(tx, to, "moved")?;
    left_behind(tx, from, source.firing_count > 0, &format!("Its open alerts were moved to {to}."))?;
    Ok(true)
}

/// Puts alerts that have no incident into an open one. False where it is not open.
pub fn attach_lone(
    tx: &mut Tx<'_>,
    alerts: Vec<Alert>,
    to: IncidentId,
    reasons: &[Reason],
    by: &Actor,
) -> Result<bool, StoreError> {
    if !tx.known_incident(to)?.is_open() || alerts.is_empty() {
        return Ok(false);
    }
    if !together(tx, &alerts, to, by)? {
        return Ok(false);
    }
    let moved = relocate(tx, alerts, to, reasons, by)?;
    tx.changed(to, IncidentChange::Alerts);
    let data = json!({ "alert_ids": moved.ids, "to": to });
    tx.note(to, TimelineKind::AlertMoved, by, format!("{} joined.", moved.what), data)?;
    lifecycle::raise_severity(tx, to, moved.worst)?;
    lifecycle::queue(tx, to, "moved")?;
    Ok(true)
}

/// A new incident of some of the alerts of `from`, titled after the first of them or as given. None, and nothing changed,
/// when none of them is in `from`, when none would stay there, or when `from` is merged.
pub fn split(
    tx: &mut Tx<'_>,
    from: IncidentId,
    alerts: &[u64],
    title: Option<String>,
    by: &Actor,
) -> Result<Option<IncidentId>, StoreError> {
    let source = tx.known_incident(from)?.clone();
    let mut theirs = Vec::new();
    for number in alerts {
        let Some(alert) = tx.alert(*number)? else { continue };
        if let Some(under) = alert.incident
            && tx.home(under)? == from
        {
            theirs.push(alert);
        }
    }
    theirs.sort_by_key(|a| (a.onset_at, a.id.number()));
    theirs.dedup_by_key(|a| a.id);
    let Some(first) = theirs.first().cloned() else { return Ok(None) };
    if theirs.len() as u64 >= source.alert_count || source.status == IncidentStatus::Merged {
        return Ok(None);
    }
    let id = IncidentId(tx.world.next(meta::INCIDENT));
    let named = title.unwrap_or_else(|| first.title.clone());
    tx.create_incident(Incident { title: named, ..lifecycle::of_first(id, &first, tx.now) });
    let text = format!("Taken out of {from} by {by}.");
    let reason = Reason { strategy: Strategy::Manual, score: 1.0, text };
    let moved = relocate(tx, theirs, id, &[reason], by)?;
    tx.known_incident(id)?.severity = moved.worst;
    let data = json!({ "alert_ids": moved.ids, "from": from, "to": id });
    let text = format!("Taken out of {from}: {}.", moved.what);
    tx.note(id, TimelineKind::Opened, by, text, data.clone())?;
    tx.changed(from, IncidentChange::Alerts);
    tx.note(from, TimelineKind::AlertMoved, by, format!("{} became {id}.", moved.what), data)?;
    left_behind(tx, from, source.firing_count > 0, &format!("Its open alerts became {id}."))?;
    if tx.known_incident(id)?.firing_count == 0 {
        lifecycle::end(tx, id, by, format!("Its alerts were over when they were taken out of {from}."))?;
    } else {
        lifecycle::queue(tx, id, "opened")?;
    }
    Ok(Some(id))
}

/// Whether alerts may come to an incident: people end what was kept apart, the product keeps to it.
fn together(tx: &mut Tx<'_>, alerts: &[Alert], to: IncidentId, by: &Actor) -> Result<bool, StoreError> {
    let theirs: BTreeSet<Fingerprint> = alerts.iter().map(|a| a.fingerprint).collect();
    let ours = taught::kept_apart(tx, to, by)?;
    if by_hand(by) {
        taught::reunite(tx, &theirs, &ours)?;
        return Ok(true);
    }
    Ok(!taught::any_apart(tx, &theirs, &ours))
}

/// What was moved, for sentences.
struct Moved {
    what: String,
    ids: Vec<AlertId>,
    worst: Severity,
}

/// Moves rows: the alerts stand under `to` afterwards, and nowhere else.
fn relocate(
    tx: &mut Tx<'_>,
    alerts: Vec<Alert>,
    to: IncidentId,
    reasons: &[Reason],
    by: &Actor,
) -> Result<Moved, StoreError> {
    let what = match alerts.as_slice() {
        [one] => format!("“{}”", one.title),
        many => counted(many.len() as u64),
    };
    let ids: Vec<AlertId> = alerts.iter().take(NAMED).map(|a| a.id).collect();
    let worst = alerts.iter().map(|a| a.severity).min().unwrap_or(Severity::Info);
    // Those that they leave, and all that these were merged into, with the worst that each loses.
    let mut poorer: BTreeMap<IncidentId, Severity> = BTreeMap::new();
    // Each by itself, unless reading what is left anew is less work.
    let few = alerts.len() <= NAMED;
    let mut left: BTreeSet<IncidentId> = BTreeSet::new();
    for mut alert in alerts {
        let firing = i64::from(alert.is_open());
        let flapping = i64::from(alert.flapping.is_some());
        if let Some(under) = alert.incident {
            let home = tx.home(under)?;
            if few {
                place::leaves(tx, &alert, home);
            }
            left.insert(home);
            tx.count(under, -1, -firing)?;
            tx.count_flapping(under, -flapping)?;
            tx.remove_membership(under, alert.id)?;
            for part in tx.lineage(under)? {
                let lost = poorer.entry(part).or_insert(alert.severity);
                *lost = lost.worst(alert.severity);
            }
        }
        alert.incident = Some(to);
        let timer = alert.timer();
        tx.put_alert(&alert, timer)?;
        if few {
            place::comes(tx, &alert, to);
        }
        let (strategy, score) = reasons.first().map_or((Strategy::Manual, 1.0), |r| (r.strategy, r.score));
        let (reasons, at) = (reasons.to_vec(), tx.now);
        tx.put_membership(&Membership { incident: to, alert: alert.id, strategy, score, reasons, at })?;
        tx.count(to, 1, firing)?;
        tx.count_flapping(to, flapping)?;
        let more = Told {
            firing_count: 0,
            severity: alert.severity,
            services: alert.service.iter().cloned().collect(),
            hosts: alert.host.iter().cloned().collect(),
            groups: Vec::new(),
            labels: alert.labels.clone(),
            last_alert_at: alert.onset_at,
        };
        told::take(tx, to, &more)?;
    }
    if few {
        for id in left {
            place::left(tx, id)?;
        }
    } else {
        for id in left.into_iter().chain([to]) {
            place::read_again(tx, id)?;
        }
    }
    for id in &ids {
        tx.log(ChangeSubject::AlertCorrelated(to, *id))?;
    }
    for (part, lost) in poorer {
        told::without(tx, part, Some(lost), None, by)?;
    }
    Ok(Moved { what, ids, worst })
}

/// The incident that alerts were taken from ends with the last one that burned, or is investigated again.
fn left_behind(tx: &mut Tx<'_>, id: IncidentId, burned: bool, text: &str) -> Result<(), StoreError> {
    if !ended_without(tx, id, burned, text)? && tx.known_incident(id)?.is_open() {
        lifecycle::queue(tx, id, "moved")?;
    }
    Ok(())
}

/// Ends an open incident of which nothing burns any more, unless a person declared it or opened it again before.
fn ended_without(tx: &mut Tx<'_>, id: IncidentId, burned: bool, text: &str) -> Result<bool, StoreError> {
    let i = tx.known_incident(id)?;
    if !i.is_open() || i.firing_count > 0 || i.manual || !burned {
        return Ok(false);
    }
    lifecycle::end(tx, id, &Actor::System, text.to_owned())?;
    Ok(true)
}

const fn busy(state: InvestigationState) -> bool {
    matches!(state, InvestigationState::Queued | InvestigationState::Running)
}

fn counted(n: u64) -> String {
    if n == 1 { "1 alert".to_owned() } else { format!("{n} alerts") }
}

fn signed(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}
