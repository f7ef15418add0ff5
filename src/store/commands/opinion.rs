//! What the second opinion of a language model leaves in the store: the answer it adds to, what was said, what it cost.

use redb::ReadableTable;

use crate::{
    model::*,
    store::{
        CommandError, Store, StoreError, codec,
        tx::{get, put},
    },
};

/// Transcripts kept of an incident: those of its newest runs.
const KEPT: usize = 3;
/// Days of spending kept.
const DAYS: i64 = 400;

/// The day that spending counts on: days of UTC since the epoch.
pub const fn spending_day(at: Time) -> i64 {
    at.millis().div_euclid(86_400_000)
}

impl Store {
    /// Keeps what was said in a run, in place of what an earlier write of the same run kept; only the newest runs stay.
    pub async fn keep_transcript(&self, id: IncidentId, transcript: Transcript) -> Result<(), CommandError> {
        self.command(move |tx| {
            tx.asked_incident(id)?;
            let range = (id.0, 0)..=(id.0, u64::MAX);
            let held = tx.transcripts.range(range)?.map(|row| Ok(row?.0.value().1));
            let mut held: Vec<u64> = held.collect::<Result<_, StoreError>>()?;
            held.retain(|run| *run != transcript.run);
            for run in held.iter().rev().skip(KEPT - 1) {
                tx.transcripts.remove((id.0, *run))?;
            }
            Ok(put(&mut tx.transcripts, (id.0, transcript.run), &transcript)?)
        })
        .await
    }

    /// Takes this much out of the day's budget before it is spent; the whole clause why not, when it does not fit.
    pub async fn reserve_spending(&self, what: Spending, budget: Budget) -> Result<Option<String>, CommandError> {
        self.command(move |tx| {
            let day = spending_day(tx.now);
            let spent = get::<_, Spending>(&tx.spending, day)?.unwrap_or_default().plus(what);
            if let Some(why) = budget.exceeded(&spent) {
                return Ok(Some(why));
            }
            let old = tx.spending.range(..day - DAYS)?.map(|row| Ok(row?.0.value()));
            let old: Vec<i64> = old.collect::<Result<_, StoreError>>()?;
            for day in old {
                tx.spending.remove(day)?;
            }
            put(&mut tx.spending, day, &spent)?;
            Ok(None)
        })
        .await
    }

    /// Puts what was spent in the place of what was reserved for it.
    pub async fn settle_spending(&self, reserved: Spending, spent: Spending) -> Result<(), CommandError> {
        self.command(move |tx| {
            let day = spending_day(tx.now);
            let known: Spending =
                tx.spending.get(day)?.map(|row| codec::decode(row.value())).transpose()?.unwrap_or_default();
            // Reserved before midnight: that day keeps it, this one counts what was spent.
            let known = if known.requests == 0 { known } else { known.minus(reserved) };
            Ok(put(&mut tx.spending, day, &known.plus(spent))?)
        })
        .await
    }
}
