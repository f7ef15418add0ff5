//! The change log.

use redb::ReadableTable;

use super::View;
use crate::{
    model::*,
    store::{StoreError, codec, tables, writer::KEEP_CHANGES},
};

impl View {
    /// Changes after the sequence `after`, in order, at most `limit`.
    pub fn change_log(&self, after: u64, limit: usize) -> Result<Vec<ChangeLogEntry>, StoreError> {
        let table = self.table(tables::CHANGE_LOG)?;
        let rows = table.range(after.saturating_add(1)..)?.take(limit);
        rows.map(|row| codec::decode(row?.1.value())).collect()
    }

    /// The first and the last change sequence that can still be replayed; both the last one when the log is empty.
    ///
    /// Timelines take numbers of the same sequence, so that the log has gaps: the number of its first row says only
    /// where it begins once rows were dropped, and that of its last row is the last that anybody can wait for.
    pub fn change_range(&self) -> Result<(u64, u64), StoreError> {
        let given = self.table(tables::META)?.get(tables::meta::CHANGE)?.map_or(0, |n| n.value());
        let log = self.table(tables::CHANGE_LOG)?;
        let key = |row: Option<(redb::AccessGuard<'_, u64>, _)>| {
            row.map(|(k, _): (_, redb::AccessGuard<'_, &[u8]>)| k.value())
        };
        let last = key(log.last()?).unwrap_or(given);
        let first = if given <= KEEP_CHANGES { 1.min(last) } else { key(log.first()?).unwrap_or(last) };
        Ok((first, last))
    }
}
