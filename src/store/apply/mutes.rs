//! What mutes do: they begin, pause and end, and mark the open alerts that they fit, at once in both directions.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use crate::{
    correlation::mutes::{self, Facts},
    model::*,
    store::{
        StoreError,
        tx::{Tx, mutes::titled},
    },
};

/// Earlier mutes remembered on an alert.
const REMEMBERED: usize = 20;

/// Marks an alert as muted by what fits it now. Its row is the caller's to write. Whether that changed anything.
pub fn mark(tx: &mut Tx<'_>, alert: &mut Alert) -> bool {
    if alert.muted_by.is_empty() && tx.world.calm.is_loud() {
        return false;
    }
    let now = tx.world.calm.muting(&Facts::of(alert));
    if now == alert.muted_by {
        return false;
    }
    for id in &now {
        if !alert.muted_by.contains(id) && !alert.was_muted_by.contains(id) {
            tx.first_alert(*id);
        }
    }
    let before = std::mem::take(&mut alert.muted_by);
    alert.was_muted_by.retain(|id| !now.contains(id));
    for id in before.into_iter().filter(|id| !now.contains(id)) {
        if alert.was_muted_by.len() < REMEMBERED && !alert.was_muted_by.contains(&id) {
            alert.was_muted_by.push(id);
        }
    }
    alert.muted_by = now;
    true
}

/// What became of a mute when it was looked at.
#[derive(Debug, Default)]
struct Turned {
    /// They mute from now on, or other alerts than before.
    on: BTreeSet<u64>,
    /// They mute no more, for now or for good.
    off: BTreeSet<u64>,
    /// They have ended for good: number, and how.
    ended: Vec<(u64, String)>,
}

/// Does what the time asks for of every mute.
pub fn look(tx: &mut Tx<'_>) -> Result<(), StoreError> {
    let due = tx.world.calm.due_mutes(tx.now);
    turn(tx, &due, &BTreeSet::new(), &Actor::System)
}

/// Brings mutes that were made or changed in line with their rows and with the time. `other` ask for other alerts than
/// before.
pub fn turn(tx: &mut Tx<'_>, due: &[u64], other: &BTreeSet<u64>, by: &Actor) -> Result<(), StoreError> {
    let now = tx.now;
    let mut turned = Turned { on: other.clone(), ..Turned::default() };
    for number in due {
        let Some(mut mute) = tx.world.calm.mute(*number).cloned() else { continue };
        let was_on = mute.on_until.is_some();
        mute.on_until = mutes::window(&mute, now).map(|(_, until)| until);
        if let Some(quiet) = mutes::quiet_end(&mute).filter(|at| *at <= now) {
            mute.on_until = None;
            let minutes = mute.quiet_minutes.unwrap_or_default();
            tracing::debug!(mute = %mute.id, %quiet, "nothing that it mutes burns any more");
            turned.ended.push((*number, format!("Nothing that it mutes had burned for {minutes}\u{a0}min.")));
        } else if mute.ends_at.is_some_and(|end| end <= now) {
            turned.ended.push((*number, "Its time was over.".to_owned()));
        }
        match (was_on, mute.on_until.is_some()) {
            (false, true) => drop(turned.on.insert(*number)),
            (true, false) => drop(turned.off.insert(*number)),
            _ => {}
        }
        if let Some(end) = mutes::near_end(&mute, now).filter(|end| mute.warned_of != Some(*end)) {
            mute.warned_of = Some(end);
            if was_on {
                warn(tx, &mute, end)?;
            }
        }
        mute.look_at = mutes::look_at(&mute, now);
        tx.put_mute(&mute)?;
    }
    let freed = remark(tx, &turned)?;
    tell(tx, &turned, &freed, by)?;
    for (number, how) in turned.ended {
        end_row(tx, number, how)?;
    }
    Ok(())
}

/// Ends a mute for good.
pub fn end(tx: &mut Tx<'_>, number: u64, how: String, by: &Actor) -> Result<(), StoreError> {
    let Some(mute) = tx.world.calm.mute(number).cloned() else { return Ok(()) };
    let mut turned = Turned::default();
    if mute.on_until.is_some() {
        turned.off.insert(number);
        tx.put_mute(&Mute { on_until: None, ..mute })?;
    }
    turned.ended.push((number, how.clone()));
    let freed = remark(tx, &turned)?;
    tell(tx, &turned, &freed, by)?;
    end_row(tx, number, how)
}

// After its alerts were marked anew: they count down on the row of a mute that has not ended.
fn end_row(tx: &mut Tx<'_>, number: u64, how: String) -> Result<(), StoreError> {
    let Some(mute) = tx.world.calm.mute(number).cloned() else { return Ok(()) };
    let row =
        Mute { ended_at: Some(tx.now), ended_how: Some(how), on_until: None, look_at: None, quiet_since: None, ..mute };
    tx.put_mute(&row)
}

/// Marks open alerts anew. Returns how many of which incident each mute that is off muted until now.
fn remark(tx: &mut Tx<'_>, turned: &Turned) -> Result<BTreeMap<(IncidentId, u64), u64>, StoreError> {
    let mut freed = BTreeMap::new();
    let numbers = match (turned.on.is_empty(), turned.off.is_empty()) {
        (false, _) => tx.open_alerts(),
        (true, false) => tx.muted_alerts(&turned.off)?,
        (true, true) => return Ok(freed),
    };
    for number in numbers {
        let Some(mut alert) = tx.alert(number)?.filter(Alert::is_open) else { continue };
        let before = alert.muted_by.clone();
        if !mark(tx, &mut alert) {
            continue;
        }
        for id in before.iter().filter(|id| turned.off.contains(&id.number)) {
            if let Some(incident) = alert.incident {
                *freed.entry((tx.home(incident)?, id.number)).or_insert(0) += 1;
            }
        }
        let timer = alert.timer();
        tx.put_alert(&alert, timer)?;
    }
    Ok(freed)
}

/// Says on the incidents concerned that a mute is off.
fn tell(
    tx: &mut Tx<'_>,
    turned: &Turned,
    freed: &BTreeMap<(IncidentId, u64), u64>,
    by: &Actor,
) -> Result<(), StoreError> {
    for ((incident, number), count) in freed {
        let Some(id) = tx.world.calm.mute(*number).map(|m| m.id) else { continue };
        let how = turned.ended.iter().find(|(n, _)| n == number).map(|(_, how)| how.as_str());
        let over = if how.is_some() { "ended" } else { "pauses" };
        let alerts =
            if *count == 1 { "1 alert burns and is".to_owned() } else { format!("{count} alerts burn and are") };
        let mut text = format!("{} {over}: {alerts} no longer muted by it.", titled(id));
        if let Some(how) = how {
            text = format!("{text} {how}");
        }
        tx.known_incident(*incident)?;
        tx.changed(*incident, IncidentChange::Muted);
        tx.note(*incident, TimelineKind::Unmuted, by, text, json!({ "mute": id, "alerts": count }))?;
    }
    Ok(())
}

/// Says on the incidents concerned that a mute will soon be off, while alerts still burn.
fn warn(tx: &mut Tx<'_>, mute: &Mute, end: Time) -> Result<(), StoreError> {
    let minutes = end.since(tx.now).as_secs().div_ceil(60);
    for (incident, count) in tx.muted_incidents(mute.id.number)? {
        let alerts = if count == 1 { "1 alert still fires".to_owned() } else { format!("{count} alerts still fire") };
        let text = format!("{} ends in {minutes}\u{a0}min and {alerts}.", titled(mute.id));
        tx.known_incident(incident)?;
        tx.changed(incident, IncidentChange::Muted);
        let data = json!({ "mute": mute.id, "ends_at": end, "alerts": count });
        tx.note(incident, TimelineKind::Unmuted, &Actor::System, text, data)?;
    }
    Ok(())
}
