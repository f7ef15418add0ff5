//! Alerts that go up and down. Once one has, its ends count only when it stays quiet: one incident stays open meanwhile, and
//! each turn is counted instead of told. After a real recovery it begins anew, so that the next problem is told.

use std::time::Duration;

use serde_json::json;

use super::lifecycle;
use crate::{
    model::*,
    store::{StoreError, tx::Tx},
};

/// An alert flaps when it has fired again after an end so often …
pub const TIMES: usize = 3;
/// … within this time. It no longer does when it burns for as long without an end …
pub const WITHIN: Duration = Duration::from_secs(30 * 60);
/// … or is quiet for this long.
pub const HOLD: Duration = Duration::from_secs(5 * 60);

/// It fired after an end, received at `at`. Whether it flaps from now on. Its row is the caller's to write.
pub fn fired_again(tx: &Tx<'_>, alert: &mut Alert, at: Time) -> bool {
    if alert.test {
        return false;
    }
    let at = at.min(tx.now);
    alert.refires.retain(|before| *before <= at && at.since(*before) <= WITHIN);
    alert.refires.push(at);
    let most = alert.refires.len().saturating_sub(TIMES);
    alert.refires.drain(..most);
    let until = tx.now.plus(WITHIN);
    if let Some(flapping) = &mut alert.flapping {
        flapping.until = until;
        flapping.times += 1;
        return false;
    }
    let begins = alert.refires.len() >= TIMES;
    if begins {
        alert.flaps += 1;
        alert.flapping = Some(Flapping { since: tx.now, until, times: alert.refires.len() as u64 });
    }
    begins
}

/// Says that an alert flaps from now on.
pub fn tell_begin(tx: &mut Tx<'_>, id: IncidentId, alert: &Alert, by: &Actor) -> Result<(), StoreError> {
    let text = format!(
        "{} is flapping: it fired again {TIMES} times within {}\u{a0}min. Until it stays quiet for {}\u{a0}min, this incident stays \
         open and nothing is told of its turns.",
        alert.title,
        minutes(WITHIN),
        minutes(HOLD)
    );
    tx.note(id, TimelineKind::FlappingBegan, by, text, json!({ "alert_id": alert.id }))
}

/// It ended at `at`. While it flaps, that is written down and has to last: true then, and nothing is left to do.
pub fn hold(tx: &mut Tx<'_>, alert: &mut Alert, at: Time, timer: Option<Time>) -> Result<bool, StoreError> {
    let Some(flapping) = &mut alert.flapping else { return Ok(false) };
    flapping.until = at.plus(HOLD);
    tx.put_alert(alert, timer)?;
    if let Some(under) = alert.incident {
        let id = tx.home(under)?;
        tx.known_incident(id)?;
        tx.changed(id, IncidentChange::Alerts);
    }
    Ok(true)
}

/// It no longer flaps: it has been quiet for long enough, which ends it, or has burned for long enough.
pub fn over(tx: &mut Tx<'_>, mut alert: Alert) -> Result<(), StoreError> {
    let (timer, ends) = (alert.timer(), alert.is_held());
    let Some(flapping) = alert.flapping.take() else { return Ok(()) };
    alert.refires.clear();
    if ends {
        alert.quiet_at = None;
        // When its time came, which may be a while ago: nothing ran meanwhile.
        alert.closed_at = Some(flapping.until.min(tx.now));
    }
    tx.put_alert(&alert, timer)?;
    let Some(under) = alert.incident else { return Ok(()) };
    tx.count_flapping(under, -1)?;
    let id = tx.home(under)?;
    tx.known_incident(id)?;
    tx.changed(id, IncidentChange::Alerts);
    let (how, time) = if ends { ("been quiet", HOLD) } else { ("burned without an end", WITHIN) };
    let (time, times) = (minutes(time), flapping.times);
    let text = format!(
        "{} stopped flapping: it has {how} for {time}\u{a0}min. It had fired again {times} times.",
        alert.title
    );
    let data = json!({ "alert_id": alert.id, "times": times, "resolved": ends });
    tx.note(id, TimelineKind::FlappingEnded, &Actor::System, text, data)?;
    if ends {
        let how = format!("resolved and stayed quiet for {time}\u{a0}min");
        lifecycle::alert_ended(tx, under, &alert, &Actor::System, &how)?;
    }
    Ok(())
}

const fn minutes(time: Duration) -> u64 {
    time.as_secs() / 60
}
