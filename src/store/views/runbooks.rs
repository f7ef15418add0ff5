//! Runbooks that people wrote or linked here.

use redb::ReadableTable;

use super::View;
use crate::{
    model::*,
    store::{StoreError, codec, tables},
};

impl View {
    /// All of them, oldest first.
    pub fn runbooks(&self) -> Result<Vec<Runbook>, StoreError> {
        self.table(tables::RUNBOOKS)?.iter()?.map(|row| codec::decode(row?.1.value())).collect()
    }

    /// One of them.
    pub fn runbook(&self, id: RunbookId) -> Result<Option<Runbook>, StoreError> {
        self.row(tables::RUNBOOKS, id.0)
    }
}
