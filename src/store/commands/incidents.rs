//! What people do with an incident.

use serde_json::json;

use crate::{
    model::*,
    store::{
        CommandError, Store,
        apply::{lifecycle, told},
        commands::feedback::{self, Resolution},
        tx::Tx,
    },
};

const TITLE: usize = 500;
const NAME: usize = 255;
const TEXT: usize = 16 * 1024;

/// What a person changes at once; `None` leaves as it is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct IncidentPatch {
    /// Only where the lifecycle allows it; 409 with the allowed ones otherwise.
    pub status: Option<IncidentStatus>,
    /// Holds against what alerts say, until `Some(None)` gives it back to them: it is then the worst of its alerts again.
    pub severity: Option<Option<Severity>>,
    /// Why it has another severity, for the timeline.
    pub reason: Option<String>,
    /// 1 to 500 characters.
    pub title: Option<String>,
    /// `Some(None)` gives it back to nobody.
    pub owner: Option<Option<String>>,
    /// `Some(None)` clears it.
    pub service: Option<Option<String>>,
    /// What they saw of it: where somebody else was faster, nothing is changed.
    pub seen: Seen,
}

/// Fields as somebody saw them when they decided to change them; `None` where it does not matter.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Seen {
    /// Who had it.
    pub owner: Option<Option<String>>,
    /// How bad it was.
    pub severity: Option<Severity>,
    /// What it was called.
    pub title: Option<String>,
}

impl Seen {
    /// The conflict, when it is different by now and not what is wanted anyway.
    fn differs(&self, i: &Incident, wanted: &IncidentPatch) -> Option<String> {
        let owner = |o: &Option<String>| o.clone().unwrap_or_else(|| "nobody".to_owned());
        if let Some(seen) = self.owner.as_ref().filter(|s| **s != i.owner && wanted.owner.as_ref() != Some(&i.owner)) {
            return Some(format!("{} was {}'s and is {}'s by now", i.id, owner(seen), owner(&i.owner)));
        }
        if let Some(seen) = self.severity.filter(|s| *s != i.severity && wanted.severity != Some(Some(i.severity))) {
            return Some(format!("{} was {seen} and is {} by now", i.id, i.severity));
        }
        let title = self.title.as_ref().filter(|s| **s != i.title && wanted.title.as_ref() != Some(&i.title));
        title.map(|_| format!("{} has another title by now: “{}”", i.id, i.title))
    }
}

impl Store {
    /// Takes an open incident: owner and time. Somebody else's is taken over.
    pub async fn acknowledge(&self, id: IncidentId, actor: Actor) -> Result<Incident, CommandError> {
        self.acknowledge_as(id, None, actor).await
    }

    /// The same, when it is still theirs whom the person saw as its owner; a conflict otherwise.
    pub async fn acknowledge_as(
        &self,
        id: IncidentId,
        seen: Option<Option<String>>,
        actor: Actor,
    ) -> Result<Incident, CommandError> {
        let owner = Some(Some(actor.to_string()));
        let seen = Seen { owner: seen, ..Seen::default() };
        self.patch_incident(id, IncidentPatch { owner, seen, ..IncidentPatch::default() }, actor).await
    }

    /// Takes the acknowledgement back.
    pub async fn unacknowledge(&self, id: IncidentId, actor: Actor) -> Result<Incident, CommandError> {
        self.on_incident(id, move |tx| {
            let incident = open(tx, id, "given back")?;
            let Some(owner) = incident.owner.take() else { return Ok(()) };
            incident.acknowledged_at = None;
            let data = changed("owner", &owner, &serde_json::Value::Null);
            tx.changed(id, IncidentChange::Owner);
            let text =
                if owner == actor.to_string() { "Given back.".to_owned() } else { format!("Taken from {owner}.") };
            tx.note(id, TimelineKind::Unacknowledged, &actor, text, json!({ "owner": owner }))?;
            Ok(tx.audit(&actor, "incident.unacknowledge", id.to_string(), data)?)
        })
        .await
    }

    /// Ends it and closes its alerts.
    pub async fn resolve(
        &self,
        id: IncidentId,
        reason: Option<String>,
        actor: Actor,
    ) -> Result<Incident, CommandError> {
        self.resolve_with(id, Resolution { reason, cause: None }, actor).await
    }

    /// The same, and records what it was.
    pub async fn resolve_with(
        &self,
        id: IncidentId,
        resolution: Resolution,
        actor: Actor,
    ) -> Result<Incident, CommandError> {
        let reason = resolution.reason.map(|r| r.trim().to_owned()).filter(|r| !r.is_empty());
        at_most("reason", reason.as_deref(), TEXT)?;
        resolution.cause.as_ref().map(feedback::checked).transpose()?;
        self.on_incident(id, move |tx| {
            // First, because what is written at the end goes by it; without an end nothing of it is kept.
            open(tx, id, "resolved")?;
            if let Some(cause) = resolution.cause {
                feedback::record(tx, id, cause, &actor)?;
            }
            resolve(tx, id, reason, &actor)
        })
        .await
    }

    /// Opens a resolved one again.
    pub async fn reopen(&self, id: IncidentId, actor: Actor) -> Result<Incident, CommandError> {
        self.on_incident(id, move |tx| reopen(tx, id, &actor)).await
    }

    /// Writes a line into the timeline.
    pub async fn comment(&self, id: IncidentId, text: String, actor: Actor) -> Result<Incident, CommandError> {
        let text = text.trim().to_owned();
        if text.is_empty() {
            return Err(invalid("text", "a comment needs some text".to_owned()));
        }
        at_most("text", Some(&text), TEXT)?;
        self.on_incident(id, move |tx| {
            tx.asked_incident(id)?;
            tx.changed(id, IncidentChange::Comment);
            // The text stands in the timeline; what people say to each other is not for the log of acts.
            let data = json!({ "characters": text.chars().count() });
            tx.note(id, TimelineKind::Comment, &actor, text, serde_json::Value::Null)?;
            Ok(tx.audit(&actor, "incident.comment", id.to_string(), data)?)
        })
        .await
    }

    /// Changes fields.
    pub async fn patch_incident(
        &self,
        id: IncidentId,
        patch: IncidentPatch,
        actor: Actor,
    ) -> Result<Incident, CommandError> {
        if let Some(title) = &patch.title {
            if title.trim().is_empty() {
                return Err(invalid("title", "a title needs at least one character".to_owned()));
            }
            at_most("title", Some(title), TITLE)?;
        }
        at_most("owner", patch.owner.as_ref().and_then(|o| o.as_deref()), NAME)?;
        at_most("reason", patch.reason.as_deref(), TEXT)?;
        at_most("service", patch.service.as_ref().and_then(|s| s.as_deref()), NAME)?;
        self.on_incident(id, move |tx| apply(tx, id, patch, &actor)).await
    }

    /// Runs `f` and answers with the incident as it leaves it.
    pub(super) async fn on_incident(
        &self,
        id: IncidentId,
        f: impl FnOnce(&mut Tx<'_>) -> Result<(), CommandError> + Send + 'static,
    ) -> Result<Incident, CommandError> {
        self.command(move |tx| {
            f(tx)?;
            Ok(tx.asked_incident(id)?.clone())
        })
        .await
    }
}

fn invalid(field: &str, detail: String) -> CommandError {
    CommandError::Invalid { field: field.to_owned(), detail }
}

/// What the audit log says of a field that has another value now.
fn changed<T: serde::Serialize>(field: &str, before: &T, after: &impl serde::Serialize) -> serde_json::Value {
    json!({ "before": { field: before }, "after": { field: after } })
}

fn at_most(field: &str, text: Option<&str>, max: usize) -> Result<(), CommandError> {
    let length = text.map_or(0, |t| t.chars().count());
    if length > max {
        return Err(invalid(field, format!("{field} has {length} characters; {max} are allowed")));
    }
    Ok(())
}

pub(super) fn conflict(incident: &Incident, wanted: &str) -> CommandError {
    // Merging is not a status that can be set: it needs the other incident.
    let next = incident.status.next().iter().filter(|s| **s != IncidentStatus::Merged);
    let allowed: Vec<String> = next.map(ToString::to_string).collect();
    let into = incident.merged_into.map(|i| format!(" into {i}")).unwrap_or_default();
    CommandError::Conflict {
        detail: format!("{} is {}{into} and cannot be {wanted}", incident.id, incident.status),
        allowed,
    }
}

pub(super) fn open<'a>(tx: &'a mut Tx<'_>, id: IncidentId, wanted: &str) -> Result<&'a mut Incident, CommandError> {
    let incident = tx.asked_incident(id)?;
    if incident.is_open() { Ok(incident) } else { Err(conflict(incident, wanted)) }
}

fn own(tx: &mut Tx<'_>, id: IncidentId, owner: Option<String>, actor: &Actor) -> Result<(), CommandError> {
    let now = tx.now;
    let incident = open(tx, id, "assigned")?;
    if incident.owner == owner {
        return Ok(());
    }
    let before = std::mem::replace(&mut incident.owner, owner.clone());
    // The first answer counts; a change of hands does not make it later.
    incident.acknowledged_at = owner.as_ref().map(|_| incident.acknowledged_at.unwrap_or(now));
    tx.changed(id, IncidentChange::Owner);
    let (kind, text) = match (&before, &owner) {
        (None, Some(o)) if *o == actor.to_string() => (TimelineKind::Acknowledged, "Acknowledged.".to_owned()),
        (Some(b), Some(o)) if *o == actor.to_string() => (TimelineKind::Acknowledged, format!("Taken over from {b}.")),
        (_, Some(o)) => (TimelineKind::Owner, format!("Assigned to {o}.")),
        (_, None) => (TimelineKind::Unacknowledged, "Given back to nobody.".to_owned()),
    };
    let data = json!({ "from": before, "to": owner });
    tx.note(id, kind, actor, text, data)?;
    Ok(tx.audit(actor, "incident.owner", id.to_string(), changed("owner", &before, &owner))?)
}

/// Ends an open incident and closes its alerts.
pub(in crate::store) fn resolve(
    tx: &mut Tx<'_>,
    id: IncidentId,
    reason: Option<String>,
    actor: &Actor,
) -> Result<(), CommandError> {
    let before = open(tx, id, "resolved")?.status;
    let now = tx.now;
    for number in tx.member_numbers(id)? {
        let Some(mut alert) = tx.alert(number)?.filter(Alert::is_open) else { continue };
        let timer = alert.timer();
        if !alert.is_held() {
            alert.ended_at = Some(now);
        }
        alert.status = AlertStatus::Resolved;
        alert.closed_at = Some(now);
        alert.quiet_at = None;
        // How often it fired again is kept: if it goes on, that is seen at once.
        alert.flapping = None;
        tx.put_alert(&alert, timer)?;
    }
    for part in tx.family(id)? {
        let incident = tx.known_incident(part)?;
        (incident.firing_count, incident.flapping_count, incident.flapping) = (0, 0, false);
    }
    let text = reason.clone().unwrap_or_else(|| "Resolved by hand.".to_owned());
    lifecycle::end(tx, id, actor, text)?;
    Ok(tx.audit(
        actor,
        "incident.resolve",
        id.to_string(),
        json!({
            "before": { "status": before }, "after": { "status": IncidentStatus::Resolved }, "reason": reason,
        }),
    )?)
}

fn reopen(tx: &mut Tx<'_>, id: IncidentId, actor: &Actor) -> Result<(), CommandError> {
    let incident = tx.asked_incident(id)?;
    if incident.status != IncidentStatus::Resolved {
        return Err(conflict(incident, "reopened"));
    }
    lifecycle::reopen(tx, id, actor, "Reopened by hand.".to_owned())?;
    let after = tx.known_incident(id)?.status;
    let data = changed("status", &IncidentStatus::Resolved, &after);
    Ok(tx.audit(actor, "incident.reopen", id.to_string(), data)?)
}

/// A person says how bad it is, or gives that back to its alerts.
fn judge(
    tx: &mut Tx<'_>,
    id: IncidentId,
    wanted: Option<Severity>,
    reason: Option<&str>,
    actor: &Actor,
) -> Result<(), CommandError> {
    let worst = match wanted {
        Some(severity) => severity,
        // Without alerts there is nothing that it could be given back to.
        None => told::worst(tx, id)?.unwrap_or(tx.known_incident(id)?.severity),
    };
    let incident = tx.known_incident(id)?;
    let (before, was_pinned) = (incident.severity, incident.severity_pinned);
    (incident.severity, incident.severity_pinned) = (worst, wanted.is_some());
    if before == worst && was_pinned == wanted.is_some() {
        return Ok(());
    }
    let why = reason.map(|r| format!(": {}", r.trim_end_matches('.'))).unwrap_or_default();
    let text = match wanted {
        Some(_) if before == worst => format!("Severity stays {worst}, whatever its alerts say{why}."),
        Some(_) => format!("Severity set from {before} to {worst}{why}."),
        None if before == worst => format!("Severity is its alerts' again: still {worst}{why}."),
        None => format!("Severity is its alerts' again: {worst} instead of {before}{why}."),
    };
    lifecycle::urgency(tx, id, worst)?;
    tx.changed(id, IncidentChange::Severity);
    let data = json!({ "from": before, "to": worst, "by_hand": wanted.is_some(), "reason": reason });
    tx.note(id, TimelineKind::Severity, actor, text, data)?;
    let data = json!({
        "before": { "severity": before, "by_hand": was_pinned },
        "after": { "severity": worst, "by_hand": wanted.is_some() },
        "reason": reason,
    });
    tx.audit(actor, "incident.severity", id.to_string(), data)?;
    if worst < before {
        lifecycle::worse(tx, id, worst)?;
    }
    Ok(())
}

fn apply(tx: &mut Tx<'_>, id: IncidentId, patch: IncidentPatch, actor: &Actor) -> Result<(), CommandError> {
    let incident = tx.asked_incident(id)?;
    if let Some(status) = patch.status.filter(|s| *s != incident.status)
        && (!incident.status.next().contains(&status) || status == IncidentStatus::Merged)
    {
        return Err(conflict(incident, status.as_str()));
    }
    if incident.status == IncidentStatus::Merged {
        return Err(conflict(incident, "changed"));
    }
    if patch.owner.is_some() && !incident.is_open() && patch.status != Some(IncidentStatus::Investigating) {
        return Err(conflict(incident, "assigned"));
    }
    if let Some(detail) = patch.seen.differs(incident, &patch) {
        let next = incident.status.next().iter().map(ToString::to_string);
        return Err(CommandError::Conflict { detail, allowed: next.collect() });
    }
    if patch.status == Some(IncidentStatus::Investigating) && incident.status == IncidentStatus::Resolved {
        // First, because an owner is for open ones.
        reopen(tx, id, actor)?;
    }
    if let Some(wanted) = patch.severity {
        judge(tx, id, wanted, patch.reason.as_deref().map(str::trim).filter(|r| !r.is_empty()), actor)?;
    }
    if let Some(title) = patch.title {
        let title = title.trim().to_owned();
        let before = std::mem::replace(&mut tx.known_incident(id)?.title, title.clone());
        if before != title {
            let data = json!({ "from": before, "to": title });
            tx.changed(id, IncidentChange::Title);
            tx.note(id, TimelineKind::Title, actor, format!("Title set to “{title}”."), data)?;
            tx.audit(actor, "incident.title", id.to_string(), changed("title", &before, &title))?;
        }
    }
    if let Some(service) = patch.service {
        let service = service.map(|s| s.trim().to_owned()).filter(|s| !s.is_empty());
        let incident = tx.known_incident(id)?;
        let before = std::mem::replace(&mut incident.service, service.clone());
        if before != service {
            if let Some(service) = &service
                && !incident.affected_services.iter().any(|s| s.eq_ignore_ascii_case(service))
            {
                incident.affected_services.insert(0, service.clone());
            }
            let data = json!({ "from": before, "to": service });
            tx.changed(id, IncidentChange::Service);
            let text = format!("Service set to {}.", service.as_deref().unwrap_or("none"));
            tx.note(id, TimelineKind::Service, actor, text, data)?;
            tx.audit(actor, "incident.service", id.to_string(), changed("service", &before, &service))?;
        }
    }
    if let Some(owner) = patch.owner {
        own(tx, id, owner.map(|o| o.trim().to_owned()).filter(|o| !o.is_empty()), actor)?;
    }
    let current = tx.known_incident(id)?.status;
    match patch.status.filter(|s| *s != current) {
        Some(IncidentStatus::Resolved) => resolve(tx, id, None, actor),
        Some(IncidentStatus::Investigating) => reopen(tx, id, actor),
        Some(IncidentStatus::Analyzed) => {
            let now = tx.now;
            let incident = tx.known_incident(id)?;
            let before = incident.status;
            incident.status = IncidentStatus::Analyzed;
            incident.analyzed_at = Some(now);
            tx.changed(id, IncidentChange::Status);
            Ok(tx.audit(
                actor,
                "incident.analyzed",
                id.to_string(),
                changed("status", &before, &IncidentStatus::Analyzed),
            )?)
        }
        Some(IncidentStatus::Merged) | None => Ok(()),
    }
}
