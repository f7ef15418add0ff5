//! Silences and maintenance windows: made, changed and ended. What they mute is marked in the same transaction.

use std::collections::BTreeSet;

use serde_json::json;

use crate::{
    correlation::mutes,
    model::*,
    store::{CommandError, Store, apply, tx::Tx},
};

/// Mutes that have not ended, at most.
const MOST: usize = 1_000;
/// Characters of a reason.
const REASON: usize = 1_000;

/// A silence or maintenance window to be made.
#[derive(Clone, Debug, PartialEq)]
pub struct NewMute {
    /// Which kind.
    pub kind: MuteKind,
    /// What it mutes.
    pub matchers: Vec<Matcher>,
    /// Now, when left out.
    pub starts_at: Option<Time>,
    /// Needed without a recurrence.
    pub ends_at: Option<Time>,
    /// See `Mute`.
    pub quiet_minutes: Option<u32>,
    /// For maintenance windows.
    pub recurrence: Option<Recurrence>,
    /// What for.
    pub reason: String,
}

/// What is changed of one; `None` leaves as it is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MutePatch {
    /// What it mutes.
    pub matchers: Option<Vec<Matcher>>,
    /// Only of one that has not begun.
    pub starts_at: Option<Time>,
    /// Its end; `Some(None)` for a recurrence without end.
    pub ends_at: Option<Option<Time>>,
    /// Its end this much later.
    pub extend_minutes: Option<u32>,
    /// See `Mute`.
    pub quiet_minutes: Option<Option<u32>>,
    /// See `Mute`.
    pub recurrence: Option<Option<Recurrence>>,
    /// What for.
    pub reason: Option<String>,
}

/// What is wrong with a reason.
pub(super) fn check_reason(reason: &str, wrong: &mut Vec<Mistake>) {
    let length = reason.chars().count();
    if reason.is_empty() {
        wrong.push(Mistake::new("/reason", "a reason is needed: others will ask"));
    } else if length > REASON {
        wrong.push(Mistake::new("/reason", format!("it has {length} characters; {REASON} are allowed")));
    }
}

fn check(mute: &Mute, now: Time) -> Result<(), CommandError> {
    let mut wrong = mutes::matchers(&mute.matchers).err().unwrap_or_default();
    wrong.extend(mutes::check_schedule(mute, now));
    check_reason(&mute.reason, &mut wrong);
    if wrong.is_empty() { Ok(()) } else { Err(CommandError::Mistakes(wrong)) }
}

fn audited(mute: &Mute) -> serde_json::Value {
    let matchers: Vec<String> = mute.matchers.iter().map(ToString::to_string).collect();
    json!({ "matchers": matchers, "starts_at": mute.starts_at, "ends_at": mute.ends_at, "quiet_minutes": mute.quiet_minutes,
        "recurrence": mute.recurrence, "reason": mute.reason })
}

impl Store {
    /// Makes one. It takes effect with this, when its time is now.
    pub async fn make_mute(&self, new: NewMute, actor: Actor) -> Result<Mute, CommandError> {
        self.command(move |tx| {
            let now = tx.now;
            let mut mute = Mute {
                id: MuteId { number: 0, kind: new.kind },
                matchers: new.matchers,
                starts_at: new.starts_at.unwrap_or(now),
                ends_at: new.ends_at,
                quiet_minutes: new.quiet_minutes,
                recurrence: new.recurrence,
                author: actor.to_string(),
                reason: new.reason.trim().to_owned(),
                created_at: now,
                updated_at: now,
                updated_by: None,
                ended_at: None,
                ended_how: None,
                on_until: None,
                look_at: None,
                quiet_since: None,
                warned_of: None,
                muted_now: 0,
                muted_alerts: 0,
                muted_incidents: 0,
                last_matched_at: None,
            };
            check(&mute, now)?;
            if tx.world.calm.mutes().count() >= MOST {
                let detail = format!("there are {MOST} silences and maintenance windows; end some first");
                return Err(CommandError::Conflict { detail, allowed: Vec::new() });
            }
            mute.id.number = tx.next_mute();
            tx.put_mute(&mute)?;
            apply::mutes::turn(tx, &[mute.id.number], &BTreeSet::new(), &actor)?;
            tx.audit(&actor, &format!("{}.create", mute.id.kind), mute.id.to_string(), audited(&mute))?;
            known(tx, mute.id)
        })
        .await
    }

    /// Changes one that has not ended.
    pub async fn change_mute(&self, id: MuteId, patch: MutePatch, actor: Actor) -> Result<Mute, CommandError> {
        self.command(move |tx| {
            let now = tx.now;
            let before = live(tx, id)?;
            let mut mute = before.clone();
            if let Some(at) = patch.starts_at.filter(|at| *at != mute.starts_at) {
                if mute.recurrence.is_none() && mute.on_until.is_some() {
                    return Err(CommandError::Mistakes(vec![Mistake::new("/starts_at", "it has begun")]));
                }
                mute.starts_at = at;
            }
            mute.matchers = patch.matchers.unwrap_or(mute.matchers);
            mute.ends_at = patch.ends_at.unwrap_or(mute.ends_at);
            if let Some(minutes) = patch.extend_minutes {
                let Some(end) = mute.ends_at else {
                    let what = "it has no end that could be later";
                    return Err(CommandError::Mistakes(vec![Mistake::new("/extend_minutes", what)]));
                };
                mute.ends_at = Some(end.plus(std::time::Duration::from_secs(u64::from(minutes) * 60)));
            }
            mute.quiet_minutes = patch.quiet_minutes.unwrap_or(mute.quiet_minutes);
            mute.recurrence = patch.recurrence.unwrap_or(mute.recurrence);
            if let Some(reason) = patch.reason {
                mute.reason = reason.trim().to_owned();
            }
            check(&mute, now)?;
            if mute == before {
                return Ok(mute);
            }
            mute.updated_at = now;
            mute.updated_by = Some(actor.to_string());
            let other = mute.matchers != before.matchers;
            tx.put_mute(&mute)?;
            let other: BTreeSet<u64> = other.then_some(id.number).into_iter().collect();
            apply::mutes::turn(tx, &[id.number], &other, &actor)?;
            let data = json!({ "from": audited(&before), "to": audited(&mute) });
            tx.audit(&actor, &format!("{}.change", id.kind), id.to_string(), data)?;
            known(tx, id)
        })
        .await
    }

    /// Ends one now. It stays in the list for a while.
    pub async fn end_mute(&self, id: MuteId, actor: Actor) -> Result<Mute, CommandError> {
        self.command(move |tx| {
            let mute = live(tx, id)?;
            let how = match mute.state() {
                MuteState::Scheduled if mute.last_matched_at.is_none() => format!("Called off by {actor}."),
                _ => format!("Ended by {actor}."),
            };
            apply::mutes::end(tx, id.number, how, &actor)?;
            tx.audit(&actor, &format!("{}.end", id.kind), id.to_string(), audited(&mute))?;
            known(tx, id)
        })
        .await
    }
}

/// As it stands now, with what was counted in this transaction.
fn known(tx: &Tx<'_>, id: MuteId) -> Result<Mute, CommandError> {
    let found = tx.mute(id.number)?.filter(|m| m.id == id);
    found.ok_or_else(|| CommandError::NotFound(format!("{} {id}", id.kind)))
}

fn live(tx: &Tx<'_>, id: MuteId) -> Result<Mute, CommandError> {
    let mute = known(tx, id)?;
    match mute.ended_at {
        None => Ok(mute),
        Some(_) => {
            let how = mute.ended_how.unwrap_or_default();
            let detail = format!("{id} has ended and cannot be changed; make a new one. {how}");
            Err(CommandError::Conflict { detail: detail.trim().to_owned(), allowed: Vec::new() })
        }
    }
}
