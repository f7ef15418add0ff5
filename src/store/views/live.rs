use redb::ReadableTable;

use super::View;
use crate::{
    model::*,
    store::{StoreError, codec, tables},
};

impl View {
    /// Changes after the sequence `after`, in order, at most `limit`.
    pub fn change_log(&self, after: u64, limit: usize) -> Result<Vec<ChangeLogEntry>, StoreError> {
        let table = self.table(tables::CHANGE_LOG)?;
        let rows = table.range(after.saturating_add(1)..)?.take(limit);
        rows.map(|row| codec::decode(row?.1.value())).collect()
    }

    /// The first and the last change sequence that can still be replayed; both the last one when the log is empty.
    pub fn change_range(&self) -> Result<(u64, u64), StoreError> {
        let last = self.table(tables::META)?.get(tables::meta::CHANGE)?.map_or(0, |n| n.value());
        let first = self.table(tables::CHANGE_LOG)?.first()?.map_or(last, |(k, _)| k.value());
        Ok((first, last))
    }
}
