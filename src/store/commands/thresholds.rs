//! Grouping thresholds: made, changed and removed.

use serde_json::json;

use super::mutes::check_reason;
use crate::{
    correlation::{
        mutes::{self, Facts},
        thresholds,
    },
    model::*,
    store::{CommandError, Store, apply, tx::Tx},
};

/// Thresholds at most.
const MOST: usize = 200;

/// A threshold to be made.
#[derive(Clone, Debug, PartialEq)]
pub struct NewThreshold {
    /// Which alerts wait.
    pub matchers: Vec<Matcher>,
    /// See `Threshold`.
    pub count: Option<u32>,
    /// See `Threshold`.
    pub distinct: Option<u32>,
    /// See `Threshold`.
    pub distinct_by: DistinctBy,
    /// See `Threshold`.
    pub within_minutes: u32,
    /// What for.
    pub reason: String,
}

/// What is changed of one; `None` leaves as it is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ThresholdPatch {
    /// Which alerts wait.
    pub matchers: Option<Vec<Matcher>>,
    /// See `Threshold`.
    pub count: Option<Option<u32>>,
    /// See `Threshold`.
    pub distinct: Option<Option<u32>>,
    /// See `Threshold`.
    pub distinct_by: Option<DistinctBy>,
    /// See `Threshold`.
    pub within_minutes: Option<u32>,
    /// What for.
    pub reason: Option<String>,
}

fn check(threshold: &Threshold) -> Result<(), CommandError> {
    let mut wrong: Vec<Mistake> = mutes::matchers(&threshold.matchers).err().unwrap_or_default();
    wrong.extend(thresholds::check_numbers(threshold));
    check_reason(&threshold.reason, &mut wrong);
    if wrong.is_empty() { Ok(()) } else { Err(CommandError::Mistakes(wrong)) }
}

fn audited(t: &Threshold) -> serde_json::Value {
    let matchers: Vec<String> = t.matchers.iter().map(ToString::to_string).collect();
    json!({ "matchers": matchers, "count": t.count, "distinct": t.distinct, "distinct_by": t.distinct_by,
        "within_minutes": t.within_minutes, "reason": t.reason })
}

fn known(tx: &Tx<'_>, id: ThresholdId) -> Result<Threshold, CommandError> {
    tx.threshold(id).ok_or_else(|| CommandError::NotFound(format!("threshold {id}")))
}

impl Store {
    /// Makes one: alerts that come from now on wait for it.
    pub async fn make_threshold(&self, new: NewThreshold, actor: Actor) -> Result<Threshold, CommandError> {
        self.command(move |tx| {
            let mut threshold = Threshold {
                id: ThresholdId(0),
                matchers: new.matchers,
                count: new.count,
                distinct: new.distinct,
                distinct_by: new.distinct_by,
                within_minutes: new.within_minutes,
                author: actor.to_string(),
                reason: new.reason.trim().to_owned(),
                created_at: tx.now,
                updated_at: tx.now,
                reached: 0,
                reached_at: None,
                incident: None,
                held: 0,
                passed: 0,
                passed_since: 0,
            };
            check(&threshold)?;
            if tx.world.calm.thresholds().count() >= MOST {
                let detail = format!("there are {MOST} thresholds; remove some first");
                return Err(CommandError::Conflict { detail, allowed: Vec::new() });
            }
            threshold.id = ThresholdId(tx.next_mute());
            tx.put_threshold(&threshold)?;
            tx.audit(&actor, "threshold.create", threshold.id.to_string(), audited(&threshold))?;
            Ok(threshold)
        })
        .await
    }

    /// Changes one. What waits and now need not is let go at once.
    pub async fn change_threshold(
        &self,
        id: ThresholdId,
        patch: ThresholdPatch,
        actor: Actor,
    ) -> Result<Threshold, CommandError> {
        self.command(move |tx| {
            let before = known(tx, id)?;
            let threshold = Threshold {
                matchers: patch.matchers.unwrap_or_else(|| before.matchers.clone()),
                count: patch.count.unwrap_or(before.count),
                distinct: patch.distinct.unwrap_or(before.distinct),
                distinct_by: patch.distinct_by.unwrap_or(before.distinct_by),
                within_minutes: patch.within_minutes.unwrap_or(before.within_minutes),
                reason: patch.reason.map_or_else(|| before.reason.clone(), |r| r.trim().to_owned()),
                ..before.clone()
            };
            check(&threshold)?;
            if threshold == before {
                return Ok(threshold);
            }
            tx.put_threshold(&Threshold { updated_at: tx.now, ..threshold.clone() })?;
            let mut free = Vec::new();
            for (number, _) in tx.world.calm.waiting(id) {
                let alert = tx.alert(number)?;
                if alert.is_some_and(|a| !tx.world.calm.holding(&Facts::of(&a)).contains(&id)) {
                    free.push(number);
                }
            }
            apply::thresholds::let_go(tx, id, &free, "It was changed and no longer concerns them.")?;
            let progress = thresholds::progress(&threshold, tx.world.calm.waiting(id).map(|(_, w)| w), tx.now);
            if progress.reached {
                let all: Vec<u64> = tx.world.calm.waiting(id).map(|(n, _)| n).collect();
                apply::thresholds::let_go(tx, id, &all, "It was changed and is reached.")?;
            }
            let data = json!({ "from": audited(&before), "to": audited(&threshold) });
            tx.audit(&actor, "threshold.change", id.to_string(), data)?;
            known(tx, id)
        })
        .await
    }

    /// Removes one. What waits for it and burns opens an incident.
    pub async fn remove_threshold(&self, id: ThresholdId, actor: Actor) -> Result<(), CommandError> {
        self.command(move |tx| {
            let threshold = known(tx, id)?;
            let all: Vec<u64> = tx.world.calm.waiting(id).map(|(n, _)| n).collect();
            apply::thresholds::let_go(tx, id, &all, "It was removed.")?;
            tx.remove_threshold(id)?;
            Ok(tx.audit(&actor, "threshold.remove", id.to_string(), audited(&threshold))?)
        })
        .await
    }
}
