//! What the time does by itself: the same for the writer, which looks at its clock, and for a rehearsal, which goes from
//! one moment to the next.

use redb::{ReadTransaction, ReadableTable};

use super::{lifecycle, notices, place, signals};
use crate::{
    model::{Actor, IncidentId, Time},
    store::{StoreError, tables, tx::Tx},
};

/// Alerts that fall quiet in one step.
pub const BATCH: usize = 1_000;

/// The first moment that something waits for; what comes then is done by `due`. A table of moments that is read here has
/// its line there as well.
pub fn next(tx: &Tx<'_>) -> Result<Option<Time>, StoreError> {
    tx.first_timer()
}

/// The same, on a snapshot.
pub fn next_in(txn: &ReadTransaction) -> Result<Option<Time>, StoreError> {
    let (quiet, look) = (first(&txn.open_table(tables::QUIET)?)?, first(&txn.open_table(tables::LOOKS)?)?);
    let (step, wake) = (first(&txn.open_table(tables::ESCALATIONS_DUE)?)?, first(&txn.open_table(tables::SNOOZES)?)?);
    Ok(quiet.into_iter().chain(look).chain(step).chain(wake).min())
}

/// Does what has waited for this moment, or a part of it when there is much. `next` tells of the rest.
pub fn due(tx: &mut Tx<'_>) -> Result<(), StoreError> {
    for (_, number) in tx.quiet_alerts(BATCH)? {
        signals::quiet(tx, number)?;
    }
    for number in tx.take_looks(BATCH)? {
        place::look(tx, number)?;
    }
    for timer in tx.due_snoozes(BATCH)? {
        wake(tx, timer)?;
    }
    for number in tx.take_escalations(BATCH)? {
        notices::step(tx, IncidentId(number))?;
    }
    Ok(())
}

/// The time of a snooze has come.
pub fn wake(tx: &mut Tx<'_>, timer: (i64, u64)) -> Result<(), StoreError> {
    lifecycle::wake(tx, IncidentId(timer.1), &Actor::System, "No longer snoozed: its time has come.".to_owned())?;
    // In any case, so that nothing is due for ever.
    tx.forget_snooze(timer)
}

/// The earliest moment in a table of them.
pub fn first(table: &impl ReadableTable<(i64, u64), ()>) -> Result<Option<Time>, StoreError> {
    Ok(table.first()?.map(|(key, _)| Time::from_millis(key.value().0)))
}
