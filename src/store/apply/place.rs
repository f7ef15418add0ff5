//! Which incident an alert goes into, and what the correlator is told of it: the bridge between rows and `correlation`.

use std::collections::BTreeSet;

use serde_json::json;

use super::{
    lifecycle, moves,
    taught::{self, Advice},
};
use crate::{
    config::CorrelationMode,
    correlation::{
        self, Group,
        weighted::{Doc, Placed, Profile, Standing, Subject},
    },
    model::*,
    store::{StoreError, tx::Tx},
};

/// Alerts read to know an incident anew: its first and its latest.
const READ_AGAIN: usize = 64;
/// An incident of fewer alerts may become part of another as a whole at a second look.
const SMALL: usize = 6;
/// When an alert of which the decision was a near thing is looked at again.
const LOOK_AFTER: std::time::Duration = std::time::Duration::from_secs(90);

/// An incident found for an alert.
pub struct Found {
    /// Which.
    pub incident: IncidentId,
    /// The strongest reason's score, 0 to 1.
    pub score: f64,
    /// Why, strongest first.
    pub reasons: Vec<Reason>,
    // Others that turn out to be part of it.
    merge: Vec<Placed>,
}

/// What is decided about an alert.
#[derive(Default)]
pub struct Decided {
    /// Its incident; none opens a new one.
    pub found: Option<Found>,
    subject: Option<Subject>,
    doubtful: bool,
}

impl Decided {
    /// When nothing was found: what something else says of it.
    pub fn or_with(self, found: Option<correlation::Match>) -> Self {
        let other = found.filter(|_| self.found.is_none()).map(|m| Found {
            incident: m.incident,
            score: m.reasons.first().map_or(0.0, |r| r.score),
            reasons: m.reasons,
            merge: Vec::new(),
        });
        Self { found: other.or(self.found), ..self }
    }
}

/// Looks for the incident of an alert. `doc` is what it says, if it was read before.
pub fn decide(tx: &mut Tx<'_>, alert: &Alert, doc: Option<Doc>, group: Option<Group<'_>>, advice: &Advice) -> Decided {
    tx.world.catch_up();
    let doc = doc.unwrap_or_else(|| Subject::read(&alert.title, alert.description.as_deref()));
    let subject = Subject::with(doc, alert, group, &tx.world.engine.topology);
    let forbidden: BTreeSet<IncidentId> = advice.kept_out.keys().copied().collect();
    if let Some((incident, reason)) = &advice.join {
        let (incident, score, reasons) = (*incident, reason.score, vec![reason.clone()]);
        let found = Some(Found { incident, score, reasons, merge: Vec::new() });
        return Decided { found, subject: Some(subject), doubtful: false };
    }
    let decided = match tx.policy.mode {
        CorrelationMode::Weighted => {
            let decision = tx.world.engine.place(&subject, &forbidden, |id| tx.standing(id));
            let found = decision.placed.map(|p| Found {
                incident: p.incident,
                score: p.score,
                reasons: p.reasons,
                merge: decision.merge,
            });
            Decided { found, subject: None, doubtful: decision.doubtful }
        }
        CorrelationMode::Any => {
            let found = any(tx, alert, &subject, group, &forbidden);
            Decided { found, ..Decided::default() }
        }
    };
    Decided { subject: Some(subject), ..decided }
}

fn any(
    tx: &Tx<'_>,
    alert: &Alert,
    subject: &Subject,
    group: Option<Group<'_>>,
    forbidden: &BTreeSet<IncidentId>,
) -> Option<Found> {
    let window = tx.policy.cluster_window;
    let nearest = tx.world.engine.nearest(&subject.doc, correlation::NEAREST);
    let asked = correlation::Subject {
        platform: &alert.platform,
        service: alert.service.as_deref(),
        host: alert.host.as_deref(),
        onset: alert.onset_at,
        group,
        nearest: &nearest,
    };
    let candidates = tx.world.candidates(&asked, window);
    let found = correlation::best(asked, candidates.into_iter().filter(|c| !forbidden.contains(&c.incident)), window)?;
    let score = found.reasons.first().map_or(0.0, |r| r.score);
    Some(Found { incident: found.incident, score, reasons: found.reasons, merge: Vec::new() })
}

/// The alert is in its incident: the correlator is told, incidents that it tied together become one, and a near thing is
/// noted down for a second look.
pub fn settled(tx: &mut Tx<'_>, alert: &Alert, decided: Decided, opened: bool) -> Result<(), StoreError> {
    let (Some(id), Some(subject)) = (alert.incident, decided.subject) else { return Ok(()) };
    let by_itself =
        || Subject { group: subject.group, group_name: subject.group_name.clone(), ..Subject::plain(alert) };
    let plain = opened && subject == by_itself();
    tx.world.engine.add(id, &subject, plain);
    tx.profiled(id);
    for other in decided.found.map(|f| f.merge).unwrap_or_default() {
        let gone = tx.known_incident(other.incident)?;
        // The one that somebody has already stays.
        if gone.is_open() && gone.owner.is_none() && !taught::kept_from(tx, other.incident, id)? {
            moves::merge(tx, other.incident, id, other.reasons, &Actor::System)?;
            tx.audit(&Actor::System, "incident.merge", id.to_string(), json!({ "incident_ids": [other.incident] }))?;
        }
    }
    if decided.doubtful && !alert.test {
        tx.look_again(alert.id.number(), tx.now.plus(LOOK_AFTER))?;
    }
    Ok(())
}

/// The second look at an alert: when by now another incident fits it clearly better, it moves there, and both timelines say
/// so; when all alerts of its small incident fit there, that becomes part of it.
pub fn look(tx: &mut Tx<'_>, number: u64) -> Result<(), StoreError> {
    if tx.policy.mode != CorrelationMode::Weighted {
        return Ok(());
    }
    let Some(alert) = tx.alert(number)? else { return Ok(()) };
    let Some(under) = alert.incident else { return Ok(()) };
    let own = tx.home(under)?;
    let incident = tx.known_incident(own)?.clone();
    // What people put somewhere stays there, and what somebody has taken stays as they found it.
    let by_hand =
        tx.membership(under, alert.id)?.is_some_and(|m| m.strategy == Strategy::Manual) || merged_by_hand(tx, under)?;
    if !incident.is_open() || incident.manual || incident.test || incident.owner.is_some() || by_hand {
        return Ok(());
    }
    tx.world.catch_up();
    let group = alert.group_key.as_deref().filter(|_| !incident.sender_groups.is_empty());
    let group = group.map(|key| Group::new(&alert.platform, key));
    let subject = Subject::of(&alert, group, &tx.world.engine.topology);
    let advice = taught::advice(tx, &alert)?;
    let forbidden: BTreeSet<IncidentId> = advice.kept_out.keys().copied().collect();
    let Some(better) = tx.world.engine.better(&subject, own, &forbidden, |id| tx.standing(id)) else { return Ok(()) };
    let to = better.to.incident;
    if better.without.size > 0 && (better.without.size as usize) < SMALL {
        let (members, all) = tx.some_members(own, SMALL)?;
        let mut subjects = Vec::new();
        for member in members.iter().filter(|_| all) {
            let Some(other) = tx.alert(member.alert.number())? else { continue };
            subjects.push(Subject::of(&other, None, &tx.world.engine.topology));
        }
        if !taught::kept_from(tx, own, to)? && tx.world.engine.fits_all(&subjects, to, |id| tx.standing(id)) {
            moves::merge(tx, own, to, better.to.reasons, &Actor::System)?;
            return tx.audit(&Actor::System, "incident.merge", to.to_string(), json!({ "incident_ids": [own] }));
        }
    }
    if !better.clearly {
        return Ok(());
    }
    let text = format!(
        "At the second look it fits {to} clearly better ({:.0}\u{a0}% against {:.0}\u{a0}%).",
        better.to.probability * 100.0,
        better.stays * 100.0
    );
    moves::move_alerts(tx, &[number], own, to, better.to.reasons, &Actor::System, &text)?;
    tx.audit(&Actor::System, "incident.attach", to.to_string(), json!({ "from": [own], "alerts": 1 }))
}

/// Whether people made an incident part of another one.
fn merged_by_hand(tx: &mut Tx<'_>, id: IncidentId) -> Result<bool, StoreError> {
    for part in tx.lineage(id)? {
        let before = &tx.known_incident(part)?.merging.before;
        if before.as_ref().is_some_and(|b| b.by != Actor::System.to_string()) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// An alert is about to be told anew. The correlator keeps what it knew when it decided; an incident whose only alert says
/// all that is known of it gets a row for that, for it is made from the alert's row otherwise.
pub fn restating(tx: &mut Tx<'_>, alert: &Alert, signal: &Signal) {
    let Some(id) = alert.incident.filter(|id| tx.world.engine.is_plain(*id)) else { return };
    let same = |ours: &Option<String>, theirs: &Option<String>| theirs.is_none() || ours == theirs;
    let unchanged = alert.title == signal.title
        && same(&alert.description, &signal.description)
        && same(&alert.service, &signal.service)
        && same(&alert.host, &signal.host)
        && same(&alert.environment, &signal.environment)
        && alert.labels == signal.labels
        && alert.quiet_at.is_some() == signal.quiet_after_secs.is_some();
    if !unchanged && let Some(profile) = tx.world.engine.profile(id).cloned() {
        tx.world.engine.know(id, profile, false);
        tx.profiled(id);
    }
}

/// An alert leaves an open incident for another.
pub fn leaves(tx: &mut Tx<'_>, alert: &Alert, id: IncidentId) {
    tx.world.catch_up();
    let subject = Subject::of(alert, None, &tx.world.engine.topology);
    if let Some(known) = tx.world.engine.profile(id) {
        let left = known.without(&subject);
        tx.world.engine.know(id, left, false);
        tx.profiled(id);
    }
}

/// An alert came into an open incident by other ways than `put`.
pub fn comes(tx: &mut Tx<'_>, alert: &Alert, id: IncidentId) {
    tx.world.catch_up();
    let subject = Subject::of(alert, None, &tx.world.engine.topology);
    tx.world.engine.add(id, &subject, false);
    tx.profiled(id);
}

/// After some alerts left an open incident: where that leaves nothing that is known of it, it is read anew from the others.
pub fn left(tx: &mut Tx<'_>, id: IncidentId) -> Result<(), StoreError> {
    match tx.world.engine.profile(id) {
        Some(profile) if profile.size == 0 => read_again(tx, id),
        _ => Ok(()),
    }
}

/// Makes what is known of an open incident anew from its alerts, after people moved some.
pub fn read_again(tx: &mut Tx<'_>, id: IncidentId) -> Result<(), StoreError> {
    tx.world.catch_up();
    if tx.world.engine.profile(id).is_none() {
        return Ok(());
    }
    let (members, _) = tx.some_members(id, READ_AGAIN)?;
    let mut subjects = Vec::with_capacity(members.len());
    for member in members {
        if let Some(alert) = tx.alert(member.alert.number())? {
            subjects.push(Subject::of(&alert, None, &tx.world.engine.topology));
        }
    }
    subjects.sort_by_key(|s| s.at);
    let mut profile = Profile::default();
    for subject in &subjects {
        profile.add(subject);
    }
    tx.world.engine.know(id, profile, false);
    tx.profiled(id);
    Ok(())
}

/// An open incident takes over what is known of another that becomes part of it.
pub fn absorb(tx: &mut Tx<'_>, gone: Option<Profile>, into: IncidentId) {
    let Some(mut kept) = tx.world.engine.profile(into).cloned() else { return };
    // Nothing is known of a manual incident; but from now on not all follows from the only alert of the other.
    if let Some(gone) = gone {
        kept.merge(gone);
    }
    tx.world.engine.know(into, kept, false);
    tx.profiled(into);
}

impl Tx<'_> {
    /// How an incident in the hands of this transaction stands.
    fn standing(&self, id: IncidentId) -> Option<Standing> {
        self.held_incident(id).map(Standing::from)
    }
}

/// The incident that an alert opens or joins, with all that follows. Whether it was opened.
pub fn put(
    tx: &mut Tx<'_>,
    alert: &mut Alert,
    decided: Decided,
    group: Option<Group<'_>>,
    source: Option<&str>,
) -> Result<bool, StoreError> {
    let (id, opened) = match &decided.found {
        Some(found) => {
            lifecycle::join(tx, found.incident, alert, found.score, found.reasons.clone())?;
            (found.incident, false)
        }
        None => (lifecycle::open(tx, alert, source)?, true),
    };
    if let Some(group) = group {
        lifecycle::group(tx, id, group.of)?;
    }
    settled(tx, alert, decided, opened)?;
    Ok(opened)
}
