//! Connectors.

use std::collections::BTreeSet;

use redb::ReadableTable;

use super::View;
use crate::{
    model::*,
    store::{StoreError, codec, tables},
};

impl View {
    /// What is set for every connector, by name.
    pub fn connectors(&self) -> Result<Vec<ConnectorSettings>, StoreError> {
        self.table(tables::CONNECTORS)?.iter()?.map(|row| codec::decode(row?.1.value())).collect()
    }

    /// What is set for one.
    pub fn connector(&self, platform: &str) -> Result<Option<ConnectorSettings>, StoreError> {
        self.row(tables::CONNECTORS, platform)
    }

    /// The platforms that ever sent something, by name: only they have counters.
    pub fn senders(&self) -> Result<BTreeSet<Platform>, StoreError> {
        self.table(tables::COUNTERS)?.iter()?.map(|row| Ok(row?.0.value().to_owned())).collect()
    }

    /// What one has received; zeros when nothing.
    pub fn counters(&self, platform: &str) -> Result<ConnectorCounters, StoreError> {
        Ok(self.row(tables::COUNTERS, platform)?.unwrap_or_default())
    }
}
