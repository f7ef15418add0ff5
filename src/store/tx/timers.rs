//! What waits for a moment: second looks, the end of quiet alerts, the end of snoozes.

use redb::ReadableTable;

use super::Tx;
use crate::{
    model::*,
    store::{StoreError, apply, codec},
};

impl Tx<'_> {
    /// Has an alert looked at again.
    pub fn look_again(&mut self, alert: u64, at: Time) -> Result<(), StoreError> {
        self.looks.insert((at.millis(), alert), ())?;
        Ok(())
    }

    /// Takes the alerts that are to be looked at again by now, at most `limit`.
    pub fn take_looks(&mut self, limit: usize) -> Result<Vec<u64>, StoreError> {
        let due = self.looks.range(..=(self.now.millis(), u64::MAX))?;
        let due: Vec<(i64, u64)> = due.take(limit).map(|row| Ok(row?.0.value())).collect::<Result<_, StoreError>>()?;
        for key in &due {
            self.looks.remove(key)?;
        }
        Ok(due.into_iter().map(|(_, number)| number).collect())
    }

    /// Alerts whose quiet time has come, with that time, at most `limit`.
    pub fn quiet_alerts(&self, limit: usize) -> Result<Vec<(i64, u64)>, StoreError> {
        let due = self.quiet.range(..=(self.now.millis(), u64::MAX))?;
        due.take(limit).map(|row| Ok(row?.0.value())).collect()
    }

    /// The first moment that something waits for.
    pub fn first_timer(&self) -> Result<Option<Time>, StoreError> {
        let (quiet, look) = (apply::timers::first(&self.quiet)?, apply::timers::first(&self.looks)?);
        let step = apply::timers::first(&self.notices.escalations_due)?;
        let wake = apply::timers::first(&self.snoozes)?;
        Ok(quiet.into_iter().chain(look).chain(step).chain(wake).min())
    }

    /// Incidents whose snooze is over, with that time, at most `limit`.
    pub fn due_snoozes(&self, limit: usize) -> Result<Vec<(i64, u64)>, StoreError> {
        let due = self.snoozes.range(..=(self.now.millis(), u64::MAX))?;
        due.take(limit).map(|row| Ok(row?.0.value())).collect()
    }

    /// Takes the timer of a snooze away whose incident cannot be read.
    pub fn forget_snooze(&mut self, timer: (i64, u64)) -> Result<(), StoreError> {
        self.snoozes.remove(timer)?;
        Ok(())
    }

    /// Takes the timer of an alert away that cannot be closed.
    pub fn forget_timer(&mut self, timer: (i64, u64)) -> Result<(), StoreError> {
        self.quiet.remove(timer)?;
        Ok(())
    }

    /// The clock was set back by this much: whatever waits for a moment waits no longer than it would have.
    pub fn set_back(&mut self, by: std::time::Duration) -> Result<(), StoreError> {
        let quiet: Vec<u64> = self.quiet.iter()?.map(|row| Ok(row?.0.value().1)).collect::<Result<_, StoreError>>()?;
        for number in quiet {
            if let Some(mut alert) = self.alert(number)? {
                let before = alert.timer();
                alert.quiet_at = alert.quiet_at.map(|t| t.minus(by));
                for refire in &mut alert.refires {
                    *refire = refire.minus(by);
                }
                if let Some(flapping) = &mut alert.flapping {
                    flapping.until = flapping.until.minus(by);
                }
                self.put_alert(&alert, before)?;
            }
        }
        let looks: Vec<(i64, u64)> =
            self.looks.iter()?.map(|row| Ok(row?.0.value())).collect::<Result<_, StoreError>>()?;
        for (at, number) in looks {
            self.looks.remove((at, number))?;
            self.looks.insert((Time::from_millis(at).minus(by).millis(), number), ())?;
        }
        let snoozes: Vec<u64> =
            self.snoozes.iter()?.map(|row| Ok(row?.0.value().1)).collect::<Result<_, StoreError>>()?;
        for number in snoozes {
            if let Some(snooze) = &mut self.known_incident(IncidentId(number))?.snoozed {
                snooze.until = snooze.until.minus(by);
            }
        }
        let jobs: Vec<Job> =
            self.jobs.iter()?.map(|row| codec::decode(row?.1.value())).collect::<Result<_, StoreError>>()?;
        for mut job in jobs {
            job.not_before = job.not_before.minus(by);
            job.leased_until = job.leased_until.map(|t| t.minus(by));
            self.put_job(&job)?;
        }
        self.set_notices_back(by)?;
        self.set_mutes_back(by)
    }
}
