use crate::{
    model::*,
    store::{CommandError, Store},
};

impl Store {
    /// Makes the settings of platforms that have none yet (first start, new versions).
    pub async fn ensure_connectors(&self, _defaults: Vec<ConnectorSettings>) -> Result<(), CommandError> {
        unimplemented!()
    }

    /// Changes the settings of a connector; `what` says for the audit log what was changed, without secrets.
    pub async fn update_connector(
        &self,
        _platform: String,
        _change: impl FnOnce(&mut ConnectorSettings) + Send + 'static,
        _what: serde_json::Value,
        _actor: Actor,
    ) -> Result<ConnectorSettings, CommandError> {
        unimplemented!()
    }
}
