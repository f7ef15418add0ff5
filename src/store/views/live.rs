use super::View;
use crate::{model::*, store::StoreError};

impl View {
    /// Changes after the sequence `after`, in order, at most `limit`.
    pub fn change_log(&self, _after: u64, _limit: usize) -> Result<Vec<ChangeLogEntry>, StoreError> {
        unimplemented!()
    }

    /// The first and the last change sequence that can still be replayed; both the last one when the log is empty.
    pub fn change_range(&self) -> Result<(u64, u64), StoreError> {
        unimplemented!()
    }
}
