//! What is kept of people's corrections: pairs of alerts that stay apart, and lessons; and what follows from them for the
//! next alert.

use std::collections::{BTreeMap, BTreeSet};

use super::moves;
use crate::{
    correlation::lessons::{Correction, Verdict, side},
    model::*,
    store::{
        StoreError, codec,
        tx::{Tx, get, put},
    },
};
use redb::ReadableTable;

/// Alerts on the other side that one which was taken out is kept apart from.
const OTHERS: usize = 16;
/// Alerts of an undone merge that pairs are kept of: as many at most, the earliest and the latest.
const PARTED: usize = 1_000;
/// Alerts of an incident looked at for pairs that fall, when it is merged again.
const LOOKED_AT: usize = 10_000;
/// Pairs kept; beyond, the oldest tenth goes.
const PAIRS: usize = 200_000;
/// Kinds of alerts that one correction teaches about.
const KINDS: usize = 16;
/// Open incidents looked at for one lesson.
const INCIDENTS: usize = 16;
/// Alerts that it is kept apart from, looked at for one alert.
const MET: usize = 256;

/// What people's corrections say of a new alert.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Advice {
    /// Open incidents that it must not join, each with the sentence that says why.
    pub kept_out: BTreeMap<IncidentId, String>,
    /// The incident that it joins, whatever else speaks for another.
    pub join: Option<(IncidentId, Reason)>,
}

/// What people's corrections say of an alert that looks for its incident.
pub fn advice(tx: &mut Tx<'_>, alert: &Alert) -> Result<Advice, StoreError> {
    let mut advice = Advice::default();
    for (id, text) in partners(tx, alert.fingerprint)? {
        if tx.known_incident(id)?.is_open() {
            advice.kept_out.insert(id, text);
        }
    }
    let kind = side(alert.service.as_deref(), alert.host.as_deref(), &alert.title);
    let learned: Vec<(Side, Verdict)> = tx.world.lessons.of_alert(&kind).map(|(s, v)| (s.clone(), v)).collect();
    for (like, verdict) in learned {
        let Some(place) = &like.place else { continue };
        for id in tx.world.open_at(place, INCIDENTS) {
            let incident = tx.known_incident(id)?;
            if !incident.is_open() || kind_of(incident) != like {
                continue;
            }
            match &verdict {
                Verdict::Apart(text) => drop(advice.kept_out.entry(id).or_insert_with(|| text.clone())),
                // The newest of them: what began long ago is another trouble.
                Verdict::Join(text) if advice.join.as_ref().is_none_or(|(other, _)| *other < id) => {
                    let reason = Reason { strategy: Strategy::Manual, score: 0.95, text: text.clone() };
                    advice.join = Some((id, reason));
                }
                Verdict::Join(_) => {}
            }
        }
    }
    // A pair that was taken apart says more than what was learned of its kind.
    advice.join = advice.join.filter(|(id, _)| !advice.kept_out.contains_key(id));
    Ok(advice)
}

/// Where alerts are that it was taken apart from, and who did that.
fn partners(tx: &Tx<'_>, fingerprint: Fingerprint) -> Result<BTreeMap<IncidentId, String>, StoreError> {
    let mut found = BTreeMap::new();
    let Some(others) = tx.world.apart.get(&fingerprint) else { return Ok(found) };
    // The earliest alert of an incident is the one that is named.
    let mut live: Vec<(u64, Fingerprint)> =
        others.iter().take(MET).filter_map(|o| tx.world.alerts.get(o).map(|live| (live.number, *o))).collect();
    live.sort_unstable();
    for (number, other) in &live {
        let Some(alert) = tx.alert(*number)? else { continue };
        let Some(under) = alert.incident else { continue };
        let id = tx.home(under)?;
        let kept: Option<Apart> = get(&tx.apart, pair(fingerprint, *other))?;
        let who = kept.map(|k| format!("{} took it apart from {}", k.by, quoted(&alert.title)));
        found.entry(id).or_insert(who.map_or_else(String::new, |w| format!("{w}.")));
    }
    Ok(found)
}

/// Whether people took alerts of one incident apart from alerts of another: the correlator does not make them one.
pub fn kept_from(tx: &Tx<'_>, one: IncidentId, other: IncidentId) -> Result<bool, StoreError> {
    if tx.world.apart.is_empty() {
        return Ok(false);
    }
    for member in tx.some_members(one, MET)?.0 {
        let Some(alert) = tx.alert(member.alert.number())? else { continue };
        if partners(tx, alert.fingerprint)?.contains_key(&other) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn quoted(title: &str) -> String {
    let short: String = title.chars().take(80).collect();
    if short.len() < title.len() { format!("“{short}…”") } else { format!("“{short}”") }
}

/// What kind of incident it is.
pub fn kind_of(incident: &Incident) -> Side {
    side(incident.service.as_deref(), incident.host.as_deref(), &incident.title)
}

fn pair(a: Fingerprint, b: Fingerprint) -> (u128, u128) {
    (a.0.min(b.0), a.0.max(b.0))
}

/// Alerts by their identity and kind, for what is kept of a correction.
#[derive(Default)]
pub struct Named {
    fingerprints: Vec<Fingerprint>,
    kinds: BTreeSet<Side>,
}

impl Named {
    /// Of some alerts of an incident, the first one among them.
    fn of_incident(tx: &Tx<'_>, id: IncidentId, most: usize) -> Result<Self, StoreError> {
        let mut numbers: Vec<u64> = tx.some_members(id, most)?.0.iter().map(|m| m.alert.number()).collect();
        numbers.sort_unstable();
        Self::of_alerts(tx, &numbers)
    }

    /// Of these alerts.
    pub fn of_alerts(tx: &Tx<'_>, numbers: &[u64]) -> Result<Self, StoreError> {
        let mut named = Self::default();
        for number in numbers {
            let Some(alert) = tx.alert(*number)? else { continue };
            named.fingerprints.push(alert.fingerprint);
            if named.kinds.len() < KINDS {
                named.kinds.insert(side(alert.service.as_deref(), alert.host.as_deref(), &alert.title));
            }
        }
        Ok(named)
    }
}

/// People said that these alerts do not belong into `from`; they are in `now`. Call when they have left.
pub fn parted(
    tx: &mut Tx<'_>,
    alerts: &Named,
    from: IncidentId,
    now: IncidentId,
    by: &Actor,
) -> Result<(), StoreError> {
    let others = Named::of_incident(tx, from, OTHERS)?;
    keep_apart(tx, alerts, &others, by)?;
    let (from, now) = (kind_of(tx.known_incident(from)?), kind_of(tx.known_incident(now)?));
    teach(tx, &alerts.kinds, &from, Correction::Parted, by)?;
    teach(tx, &others.kinds, &now, Correction::Parted, by)
}

/// Takes back what `parted` taught of alerts that are in `now`, before they return to `from`. The pairs fall with the merge.
pub fn unparted(tx: &mut Tx<'_>, now: IncidentId, from: IncidentId) -> Result<(), StoreError> {
    let (gone, kept) = (Named::of_incident(tx, now, PARTED)?, Named::of_incident(tx, from, OTHERS)?);
    let (gone_kind, kept_kind) = (kind_of(tx.known_incident(now)?), kind_of(tx.known_incident(from)?));
    take_back(tx, &gone.kinds, &kept_kind, Correction::Parted)?;
    take_back(tx, &kept.kinds, &gone_kind, Correction::Parted)
}

fn take_back(tx: &mut Tx<'_>, kinds: &BTreeSet<Side>, incident: &Side, what: Correction) -> Result<(), StoreError> {
    for kind in kinds {
        match tx.world.lessons.take_back(kind, incident, what) {
            Some((lesson, true)) => drop(tx.lessons.remove(lesson.id().as_str())?),
            Some((lesson, false)) => put(&mut tx.lessons, lesson.id().as_str(), &lesson)?,
            None => {}
        }
        tx.world.touched = true;
    }
    Ok(())
}

fn keep_apart(tx: &mut Tx<'_>, ours: &Named, theirs: &Named, by: &Actor) -> Result<(), StoreError> {
    for one in &ours.fingerprints {
        for other in theirs.fingerprints.iter().take(OTHERS).filter(|o| *o != one) {
            let row = Apart { by: by.to_string(), at: tx.now };
            put(&mut tx.apart, pair(*one, *other), &row)?;
            tx.world.part(*one, *other);
        }
    }
    if tx.world.pairs() > PAIRS {
        forget_pairs(tx)?;
    }
    Ok(())
}

/// People put these alerts into an incident that was of that kind.
pub fn joined(tx: &mut Tx<'_>, alerts: &Named, into: &Side, by: &Actor) -> Result<(), StoreError> {
    teach(tx, &alerts.kinds, into, Correction::Joined, by)
}

/// People merged two incidents: what is taught about both, before it is done.
pub fn merged(tx: &mut Tx<'_>, from: IncidentId, into: IncidentId, by: &Actor) -> Result<(), StoreError> {
    let (gone, kept) = (Named::of_incident(tx, from, PARTED)?, Named::of_incident(tx, into, PARTED)?);
    let (gone_kind, kept_kind) = (kind_of(tx.known_incident(from)?), kind_of(tx.known_incident(into)?));
    teach(tx, &gone.kinds, &kept_kind, Correction::Joined, by)?;
    teach(tx, &kept.kinds, &gone_kind, Correction::Joined, by)
}

/// A merge is undone, which is done already. Where people had made it, what it taught is taken back; where the product had,
/// they teach that it was wrong.
pub fn unmerged(
    tx: &mut Tx<'_>,
    id: IncidentId,
    from: IncidentId,
    was_by_hand: bool,
    by: &Actor,
) -> Result<(), StoreError> {
    let gone = Named::of_incident(tx, id, PARTED)?;
    if !was_by_hand {
        return parted(tx, &gone, from, id, by);
    }
    let kept = Named::of_incident(tx, from, PARTED)?;
    keep_apart(tx, &gone, &kept, by)?;
    let (gone_kind, kept_kind) = (kind_of(tx.known_incident(id)?), kind_of(tx.known_incident(from)?));
    take_back(tx, &gone.kinds, &kept_kind, Correction::Joined)?;
    take_back(tx, &kept.kinds, &gone_kind, Correction::Joined)
}

fn teach(
    tx: &mut Tx<'_>,
    alerts: &BTreeSet<Side>,
    incident: &Side,
    what: Correction,
    by: &Actor,
) -> Result<(), StoreError> {
    // Of one kind there would be no incident left that its own alerts may join; and what says nothing teaches nothing.
    for alert in alerts.iter().filter(|a| *a != incident && (a.place.is_some() || !a.name.is_empty())) {
        tx.world.touched = true;
        let lesson = tx.world.lessons.teach(alert.clone(), incident.clone(), what, tx.now, &by.to_string());
        put(&mut tx.lessons, lesson.id().as_str(), &lesson)?;
        if let Some(old) = tx.world.lessons.surplus() {
            forget_lesson(tx, &old)?;
        }
    }
    Ok(())
}

/// Forgets a lesson.
pub fn forget_lesson(tx: &mut Tx<'_>, lesson: &Lesson) -> Result<(), StoreError> {
    tx.world.touched = true;
    tx.world.lessons.remove(lesson);
    tx.lessons.remove(lesson.id().as_str())?;
    Ok(())
}

/// The alerts of two incidents belong together after all.
pub fn reunite(tx: &mut Tx<'_>, one: &BTreeSet<Fingerprint>, other: &BTreeSet<Fingerprint>) -> Result<(), StoreError> {
    for a in one {
        let Some(partners) = tx.world.apart.get(a) else { continue };
        let fall: Vec<Fingerprint> = partners.intersection(other).copied().collect();
        for b in fall {
            tx.apart.remove(pair(*a, b))?;
            tx.world.unpart(*a, b);
        }
    }
    Ok(())
}

/// Identities of an incident's alerts that are kept apart from any other; of very many, the earliest and the latest.
pub fn kept_apart(tx: &Tx<'_>, id: IncidentId, by: &Actor) -> Result<BTreeSet<Fingerprint>, StoreError> {
    let mut found = BTreeSet::new();
    if tx.world.apart.is_empty() {
        return Ok(found);
    }
    // The product merges in the middle of a storm, and has asked `kept_from` before.
    let most = if moves::by_hand(by) { LOOKED_AT } else { MET };
    for member in tx.some_members(id, most)?.0 {
        let alert = tx.alert(member.alert.number())?;
        found.extend(alert.map(|a| a.fingerprint).filter(|f| tx.world.apart.contains_key(f)));
    }
    Ok(found)
}

/// Whether any alert of one is kept apart from any of the other.
pub fn any_apart(tx: &Tx<'_>, one: &BTreeSet<Fingerprint>, other: &BTreeSet<Fingerprint>) -> bool {
    one.iter().filter_map(|f| tx.world.apart.get(f)).any(|partners| !partners.is_disjoint(other))
}

fn forget_pairs(tx: &mut Tx<'_>) -> Result<(), StoreError> {
    let mut all: Vec<(Time, (u128, u128))> = Vec::new();
    for row in tx.apart.iter()? {
        let (key, bytes) = row?;
        all.push((codec::decode::<Apart>(bytes.value())?.at, key.value()));
    }
    all.sort_unstable();
    for (_, key) in all.into_iter().take(PAIRS / 10) {
        tx.apart.remove(key)?;
        tx.world.unpart(Fingerprint(key.0), Fingerprint(key.1));
    }
    Ok(())
}
