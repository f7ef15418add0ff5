//! What is forgotten, and when: by age, and by size when more is stored than there may be. Done in small steps beside the
//! writer's other work; the space of what is removed is used again.

use std::time::Duration;

use super::{
    StoreError,
    tables::meta,
    tx::{Tx, services::UNSEEN},
};
use crate::{model::Time, runtime::clock::Clock};

/// What is younger than this is not removed to save space, as long as there is anything older.
const FRESH: Duration = Duration::from_secs(24 * 3600);
/// Nothing is removed by age so soon after the start, nor so soon after the clock jumped: a machine that starts with a
/// wrong clock must not lose its history before the clock is set.
const TRUST_AFTER: Duration = Duration::from_secs(10 * 60);
/// The machine's clock and its steady clock may differ by this much between two looks.
const JUMP: Duration = Duration::from_secs(10 * 60);
/// Silences and maintenance windows are listed for so long after their end.
const ENDED_MUTES: Duration = Duration::from_secs(30 * 24 * 3600);
/// Rows removed in one step when there is nothing else to do.
pub const IDLE_STEP: usize = if cfg!(test) { 200 } else { 2_000 };
/// Rows that may be removed with each delivery that is applied: a delivery with its results and its share of the alert.
pub const PER_DELIVERY: usize = 8;

/// How long things are kept. Open incidents are never removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Deliveries as received, with what became of them.
    pub deliveries: Duration,
    /// Resolved incidents after their end, with alerts, timeline and investigation; also changes, audit entries and counts.
    pub incidents: Duration,
    /// Bytes of rows stored at most; 0 is unlimited. The oldest deliveries go first, then the oldest resolved incidents.
    pub bytes: u64,
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            deliveries: Duration::from_secs(30 * 24 * 3600),
            incidents: Duration::from_secs(400 * 24 * 3600),
            bytes: 20 << 30,
        }
    }
}

/// Removes up to about `budget` rows of what is too old, or too much. Returns how many; less than the budget means that
/// nothing more is due. `by_age` is false while the clock cannot be trusted.
pub fn sweep(tx: &mut Tx<'_>, by_age: bool, budget: usize) -> Result<usize, StoreError> {
    let retention = tx.policy.retention;
    let mut removed = 0;
    if by_age {
        let deliveries = tx.now.minus(retention.deliveries);
        let incidents = tx.now.minus(retention.incidents);
        removed += tx.forget_deliveries(deliveries, budget)?;
        removed += tx.forget_incidents(incidents, budget.saturating_sub(removed))?;
        removed += tx.forget_lone_alerts(incidents, budget.saturating_sub(removed))?;
        removed += tx.forget_records(incidents, budget.saturating_sub(removed))?;
        removed += tx.forget_mutes(tx.now.minus(ENDED_MUTES), budget.saturating_sub(removed))?;
        removed += tx.forget_edges(tx.now.minus(UNSEEN), budget.saturating_sub(removed));
    }
    if retention.bytes > 0 {
        let fresh = tx.now.minus(FRESH);
        while removed < budget && stored(tx) > retention.bytes {
            let left = budget - removed;
            // Two at least, a delivery with its results: with less, an incident would go although there are older deliveries.
            let left = left.clamp(2, 100);
            let done = match tx.forget_deliveries(fresh, left)? {
                0 => tx.forget_incidents(fresh, left)?,
                n => n,
            };
            if done == 0 {
                break;
            }
            removed += done;
        }
    }
    Ok(removed)
}

/// Bytes of rows, as this transaction will leave them.
fn stored(tx: &Tx<'_>) -> u64 {
    let before: u64 = meta::BYTES.iter().map(|name| tx.world.last(name)).sum();
    before.saturating_add_signed(tx.grown().iter().map(|(_, n)| n).sum())
}

/// Whether the clock can be trusted with removing by age.
#[derive(Debug)]
pub struct Trust {
    // The last look: what the clock showed and how long the process had run.
    seen: Option<(Time, Duration)>,
    // From which running time on.
    from: Duration,
}

impl Trust {
    /// Nothing is known yet.
    pub fn new(clock: &Clock) -> Self {
        Self { seen: None, from: clock.uptime().saturating_add(TRUST_AFTER) }
    }

    /// Looks at the clock.
    pub fn look(&mut self, clock: &Clock) -> bool {
        self.at(clock.now(), clock.uptime())
    }

    fn at(&mut self, now: Time, uptime: Duration) -> bool {
        if let Some((then, before)) = self.seen {
            let ran = uptime.saturating_sub(before);
            if then.plus(ran).distance(now) > JUMP {
                tracing::warn!(from = %then, to = %now, "the clock jumped; nothing is removed by age for ten minutes");
                self.from = uptime.saturating_add(TRUST_AFTER);
            }
        }
        self.seen = Some((now, uptime));
        uptime >= self.from
    }
}

#[cfg(test)]
mod tests;
