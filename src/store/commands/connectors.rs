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

    /// Makes a connector that people declare; one whose settings are there from before keeps them and its key.
    pub async fn add_connector(
        &self,
        new: ConnectorSettings,
        what: serde_json::Value,
        actor: Actor,
    ) -> Result<ConnectorSettings, CommandError> {
        self.command(move |tx| {
            let platform = new.platform.clone();
            let found: Option<ConnectorSettings> = get(&tx.connectors, platform.as_str())?;
            let settings = match found {
                Some(old) if old.declaration.is_some() => {
                    let detail = format!("there is a connector {platform} already");
                    return Err(CommandError::Conflict { detail, allowed: Vec::new() });
                }
                Some(old) => ConnectorSettings { declaration: new.declaration, ..old },
                None => new,
            };
            put(&mut tx.connectors, platform.as_str(), &settings)?;
            tx.audit(&actor, "connector.declare", platform, what)?;
            Ok(settings)
        })
        .await
    }

    /// Removes a connector with its key and its counters. What it delivered stays.
    pub async fn remove_connector(&self, platform: String, actor: Actor) -> Result<(), CommandError> {
        self.command(move |tx| {
            let found: Option<ConnectorSettings> = get(&tx.connectors, platform.as_str())?;
            let Some(settings) = found else {
                return Err(CommandError::NotFound(format!("connector {platform}")));
            };
            let before = serde_json::json!({ "before": plain(&settings, |_| true) });
            tx.connectors.remove(platform.as_str())?;
            tx.connector_counters.remove(platform.as_str())?;
            tx.audit(&actor, "connector.remove", platform, before)?;
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
            let identity = settings.identity.clone();
            let before = plain(&settings, |field| what.get(field).is_some());
            change(&mut settings);
            put(&mut tx.connectors, platform.as_str(), &settings)?;
            if settings.identity != identity {
                // What was counted was of another rule.
                let counters = tx.counters(&platform)?;
                counters.identity_missing.clear();
                counters.identity_asked = 0;
            }
            tx.audit(&actor, "connector.update", platform, serde_json::json!({ "before": before, "after": what }))?;
            Ok(settings)
        })
        .await
    }
}

/// Fields of a connector that are no secret, so that the audit log may have them.
const PLAIN: [&str; 13] = [
    "enabled",
    "paused_until",
    "auth",
    "basic_user",
    "rca_enabled",
    "group_by_sender",
    "opens",
    "severity_map",
    "closes_after_secs",
    "identity",
    "rate_per_minute",
    "declaration",
    "platform",
];

/// Those of them that are wanted, with their values.
fn plain(settings: &ConnectorSettings, wanted: impl Fn(&str) -> bool) -> serde_json::Value {
    let all = serde_json::to_value(settings).unwrap_or_default();
    let fields = PLAIN.into_iter().filter(|field| wanted(field));
    let picked = fields.filter_map(|field| Some((field.to_owned(), all.get(field)?.clone())));
    serde_json::Value::Object(picked.collect())
}
