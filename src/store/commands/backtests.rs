//! Backtests: asked for, ended, and broken off with the process.

use redb::ReadableTable;
use serde_json::json;

use crate::{
    model::*,
    store::{
        CommandError, Store, StoreError, codec,
        tables::meta,
        tx::{get, put},
    },
};

/// Backtests kept.
const KEPT: usize = 50;

impl Store {
    /// Notes that one begins. One at a time: a conflict while another runs.
    pub async fn begin_backtest(
        &self,
        settings: CorrelationSettings,
        since: Time,
        actor: Actor,
    ) -> Result<Backtest, CommandError> {
        self.command(move |tx| {
            let mut old = Vec::new();
            for row in tx.backtests.iter().map_err(StoreError::from)? {
                let (number, bytes) = row.map_err(StoreError::from)?;
                let known: Backtest = codec::decode(bytes.value())?;
                if known.state == BacktestState::Running {
                    return Err(CommandError::Conflict {
                        detail: format!("backtest {} runs; wait for its end, or cancel it", known.id),
                        allowed: vec!["cancel".to_owned()],
                    });
                }
                old.push(number.value());
            }
            for number in old.iter().rev().skip(KEPT - 1) {
                tx.backtests.remove(number)?;
            }
            let id = tx.world.next(meta::BACKTEST);
            let backtest = Backtest {
                id,
                state: BacktestState::Running,
                settings,
                since,
                by: actor.to_string(),
                at: tx.now,
                ended_at: None,
                error: None,
                outcome: None,
            };
            put(&mut tx.backtests, id, &backtest)?;
            tx.audit(&actor, "backtest.begin", id.to_string(), json!({ "settings": settings, "since": since }))?;
            Ok(backtest)
        })
        .await
    }

    /// Notes how one ended. One that has ended already stays as it is.
    pub async fn end_backtest(
        &self,
        id: u64,
        state: BacktestState,
        outcome: Option<BacktestOutcome>,
        error: Option<String>,
        actor: Actor,
    ) -> Result<(), CommandError> {
        self.command(move |tx| {
            let Some(mut backtest) = get::<_, Backtest>(&tx.backtests, id)? else { return Ok(()) };
            if backtest.state == BacktestState::Running {
                backtest.state = state;
                backtest.ended_at = Some(tx.now);
                backtest.outcome = outcome;
                backtest.error = error;
                put(&mut tx.backtests, id, &backtest)?;
                if state == BacktestState::Cancelled {
                    tx.audit(&actor, "backtest.cancel", id.to_string(), serde_json::Value::Null)?;
                }
            }
            Ok(())
        })
        .await
    }
}
