//! What the writer does because of the time: alerts that fall quiet, what is too old, a clock that was set back.

use std::time::Duration;

use super::{Writer, as_store};
use crate::{
    model::Time,
    runtime::clock::Wait,
    store::{StoreError, apply, retention},
};

/// How long the retention rests after it met a row that it cannot read.
const SWEEP_REST: Duration = Duration::from_secs(3600);
/// How long it rests after the disk failed.
const SWEEP_LATER: Duration = Duration::from_secs(60);
/// A clock that falls back by less is being adjusted, not set.
const SET_BACK: Duration = Duration::from_secs(5);

impl Writer {
    /// What the time asks for, after `applied` deliveries.
    pub(super) fn timers(&mut self, applied: usize) -> Result<(), StoreError> {
        let now = self.clock.now();
        self.notice_set_back(now)?;
        let due = self.something_is_due(now).inspect_err(|e| self.main.note(e))?;
        // A clock that was set back must not stop the trimming until it has caught up again.
        let trim = now.distance(self.last_trim) >= Duration::from_secs(60);
        if trim || self.sweeping {
            self.sweep(applied)?;
        }
        if !due && !trim {
            return Ok(());
        }
        let done = self.transaction(|tx| {
            apply::timers::due(tx)?;
            tx.forget_closed()?;
            tx.trim_sessions()?;
            Ok(())
        });
        match done.map_err(as_store) {
            Err(StoreError::Damaged(_)) => {
                self.quiet_singly()?;
                self.look_singly()?;
                self.wake_singly()?;
            }
            done => done?,
        }
        self.last_trim = now;
        Ok(())
    }

    /// What the time asks for of mutes and thresholds: before deliveries are applied, so that they meet what is on.
    pub(super) fn mutes(&mut self) -> Result<(), StoreError> {
        self.refresh()?;
        if !self.world.calm.is_due(self.clock.now()) || !self.mutes_again.left().is_zero() {
            return Ok(());
        }
        let done = self.transaction(|tx| {
            apply::mutes::look(tx)?;
            Ok(apply::thresholds::expire(tx)?)
        });
        match done.map_err(as_store) {
            // A row that cannot be read: taking deliveries goes on.
            Err(StoreError::Damaged(why)) => {
                tracing::error!(
                    why,
                    "silences and thresholds cannot be kept; run `watchfire check`. Tried again in a minute"
                );
                self.mutes_again = Wait::begin(SWEEP_LATER);
                Ok(())
            }
            done => done,
        }
    }

    /// One of the alerts that are due cannot be closed, whenever it is tried: the others, and deliveries, must not wait for
    /// it for ever. It loses its timer.
    fn quiet_singly(&mut self) -> Result<(), StoreError> {
        let due = self.transaction(|tx| Ok(tx.quiet_alerts(apply::timers::BATCH)?)).map_err(as_store)?;
        for timer in due {
            match self.transaction(|tx| Ok(apply::signals::quiet(tx, timer.1)?)).map_err(as_store) {
                Err(StoreError::Damaged(why)) => {
                    tracing::error!(
                        alert = timer.1,
                        why,
                        "an alert cannot fall quiet and stays as it is; run `watchfire check`"
                    );
                    self.transaction(|tx| Ok(tx.forget_timer(timer)?)).map_err(as_store)?;
                }
                done => done?,
            }
        }
        Ok(())
    }

    /// The same for second looks: one that cannot be had is left out.
    fn look_singly(&mut self) -> Result<(), StoreError> {
        let due = self.transaction(|tx| Ok(tx.take_looks(apply::timers::BATCH)?)).map_err(as_store)?;
        for alert in due {
            match self.transaction(|tx| Ok(apply::place::look(tx, alert)?)).map_err(as_store) {
                Err(StoreError::Damaged(why)) => {
                    tracing::error!(alert, why, "an alert cannot be looked at again; run `watchfire check`");
                }
                done => done?,
            }
        }
        Ok(())
    }

    /// The same for snoozes: that of an incident which cannot be read loses its timer.
    fn wake_singly(&mut self) -> Result<(), StoreError> {
        let due = self.transaction(|tx| Ok(tx.due_snoozes(apply::timers::BATCH)?)).map_err(as_store)?;
        for timer in due {
            match self.transaction(|tx| Ok(apply::timers::wake(tx, timer)?)).map_err(as_store) {
                Err(StoreError::Damaged(why)) => {
                    tracing::error!(incident = timer.1, why, "an incident cannot be woken; run `watchfire check`");
                    self.transaction(|tx| Ok(tx.forget_snooze(timer)?)).map_err(as_store)?;
                }
                done => done?,
            }
        }
        Ok(())
    }

    /// Timers stand in the store as moments. When the clock is set back they would come late by as much.
    fn notice_set_back(&mut self, now: Time) -> Result<(), StoreError> {
        let running = self.clock.uptime();
        let (seen, ran) = self.seen;
        let by = seen.plus(running.saturating_sub(ran)).since(now);
        if by >= SET_BACK {
            tracing::warn!(seconds = by.as_secs(), "the clock was set back; timers are moved along");
            self.transaction(|tx| Ok(tx.set_back(by)?)).map_err(as_store)?;
        }
        self.seen = (now, running);
        Ok(())
    }

    /// A step of the retention, of a size that keeps up with what comes in.
    fn sweep(&mut self, applied: usize) -> Result<(), StoreError> {
        let by_age = self.trust.look(&self.clock);
        if !self.sweep_again.left().is_zero() {
            return Ok(());
        }
        let budget = retention::IDLE_STEP + applied * retention::PER_DELIVERY;
        match self.transaction(|tx| Ok(retention::sweep(tx, by_age, budget)?)).map_err(as_store) {
            Ok(removed) => self.sweeping = removed >= budget,
            // A row that cannot be read: taking deliveries goes on.
            Err(StoreError::Damaged(why)) => {
                tracing::error!(
                    why,
                    "what is too old cannot be removed; run `watchfire check`. Tried again in an hour"
                );
                self.sweeping = false;
                self.sweep_again = Wait::begin(SWEEP_REST);
            }
            // Removing takes space of its own for a moment. A disk that has none must not fail by this again and again.
            Err(e) => {
                self.sweep_again = Wait::begin(SWEEP_LATER);
                return Err(e);
            }
        }
        Ok(())
    }

    fn something_is_due(&self, now: Time) -> Result<bool, StoreError> {
        Ok(apply::timers::next_in(&self.main.read()?)?.is_some_and(|at| at <= now))
    }
}
