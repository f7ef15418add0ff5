//! Saved views.

use redb::ReadableTable;

use super::View;
use crate::{
    model::*,
    store::{StoreError, codec, tables},
};

impl View {
    /// Those that somebody sees, oldest first.
    pub fn saved_views(&self, name: &str) -> Result<Vec<SavedView>, StoreError> {
        let rows = self.table(tables::SAVED_VIEWS)?;
        let all = rows.iter()?.map(|row| codec::decode::<SavedView>(row?.1.value()));
        all.filter(|view| view.as_ref().is_ok_and(|v| v.is_for(name)) || view.is_err()).collect()
    }

    /// One that somebody sees.
    pub fn saved_view(&self, id: ViewId, name: &str) -> Result<Option<SavedView>, StoreError> {
        Ok(self.row(tables::SAVED_VIEWS, id.0)?.filter(|v: &SavedView| v.is_for(name)))
    }
}
