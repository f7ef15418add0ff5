//! Settings of connectors.

use crate::{
    model::*,
    store::{
        CommandError, Store,
        tx::{get, put},
    },
};

impl Store {
    /// Makes the settings of platforms that have none yet (first start, new versions).
    pub async fn ensure_connectors(&self, defaults: Vec<ConnectorSettings>) -> Result<(), CommandError> {
        self.command(move |tx| {
            for settings in defaults {
                if get::<_, ConnectorSettings>(&tx.connectors, settings.platform.as_str())?.is_none() {
                    put(&mut tx.connectors, settings.platform.as_str(), &settings)?;
                }
            }
            Ok(())
        })
        .await
    }

    /// Changes the settings of a connector; `what` says for the audit log what was changed, without secrets.
    pub async fn update_connector(
        &self,
        platform: String,
        change: impl FnOnce(&mut ConnectorSettings) + Send + 'static,
        what: serde_json::Value,
        actor: Actor,
    ) -> Result<ConnectorSettings, CommandError> {
        self.command(move |tx| {
            let found: Option<ConnectorSettings> = get(&tx.connectors, platform.as_str())?;
            let mut settings = found.ok_or_else(|| CommandError::NotFound(format!("connector {platform}")))?;
            change(&mut settings);
            put(&mut tx.connectors, platform.as_str(), &settings)?;
            tx.audit(&actor, "connector.update", platform, what)?;
            Ok(settings)
        })
        .await
    }
}
