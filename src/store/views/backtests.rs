//! Settings of correlation, and their backtests.

use redb::ReadableTable;

use super::{Listing, View};
use crate::{
    model::*,
    store::{StoreError, codec, tables},
};

impl View {
    /// What people set about correlation; none when nobody has.
    pub fn correlation(&self) -> Result<Option<CorrelationSet>, StoreError> {
        self.row(tables::SETTINGS, tables::CORRELATION)
    }

    /// What people set about investigations; none when nobody has.
    pub fn investigation_settings(&self) -> Result<Option<InvestigationSet>, StoreError> {
        self.row(tables::SETTINGS, tables::INVESTIGATION)
    }

    /// One backtest.
    pub fn backtest(&self, id: u64) -> Result<Option<Backtest>, StoreError> {
        self.row(tables::BACKTESTS, id)
    }

    /// Backtests, newest first.
    pub fn backtests(&self, before: Option<u64>, limit: usize) -> Result<Listing<Backtest>, StoreError> {
        self.everything(tables::BACKTESTS, before, limit)
    }

    /// The one that runs; or that ran when the process ended.
    pub fn running_backtest(&self) -> Result<Option<Backtest>, StoreError> {
        for row in self.table(tables::BACKTESTS)?.iter()?.rev() {
            let backtest: Backtest = codec::decode(row?.1.value())?;
            if backtest.state == BacktestState::Running {
                return Ok(Some(backtest));
            }
        }
        Ok(None)
    }
}
