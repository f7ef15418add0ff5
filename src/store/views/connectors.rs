use super::View;
use crate::{model::*, store::StoreError};

impl View {
    /// What is set for every connector, by name.
    pub fn connectors(&self) -> Result<Vec<ConnectorSettings>, StoreError> {
        unimplemented!()
    }

    /// What is set for one.
    pub fn connector(&self, _platform: &str) -> Result<Option<ConnectorSettings>, StoreError> {
        unimplemented!()
    }

    /// What one has received; zeros when nothing.
    pub fn counters(&self, _platform: &str) -> Result<ConnectorCounters, StoreError> {
        unimplemented!()
    }
}
