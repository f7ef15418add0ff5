//! How alerts are grouped and how investigations go, as people set it.

use serde_json::json;

use crate::{
    model::*,
    store::{
        CommandError, Store, tables,
        tx::{get, put},
    },
};

impl Store {
    /// Sets it; in force from the next delivery on.
    pub async fn set_correlation(
        &self,
        settings: CorrelationSettings,
        actor: Actor,
    ) -> Result<CorrelationSet, CommandError> {
        self.command(move |tx| {
            let before: Option<CorrelationSet> = get(&tx.settings, tables::CORRELATION)?;
            let previous = before.as_ref().map(|b| b.settings).unwrap_or_default();
            if let Some(before) = before.filter(|b| b.settings == settings) {
                return Ok(before);
            }
            let set = CorrelationSet { settings, previous, by: actor.to_string(), at: tx.now };
            put(&mut tx.settings, tables::CORRELATION, &set)?;
            tx.world.touched = true;
            tx.world.correlation = settings;
            let data = json!({ "before": previous, "after": settings });
            tx.audit(&actor, "correlation.set", "correlation", data)?;
            Ok(set)
        })
        .await
    }

    /// Sets how investigations go; in force from the next one on.
    pub async fn set_investigation(&self, settings: InvestigationSettings, actor: Actor) -> Result<(), CommandError> {
        self.command(move |tx| {
            let before: Option<InvestigationSet> = get(&tx.settings, tables::INVESTIGATION)?;
            let before = before.map(|b| b.settings).unwrap_or_default();
            if before == settings {
                return Ok(());
            }
            let set = InvestigationSet { settings, by: actor.to_string(), at: tx.now };
            put(&mut tx.settings, tables::INVESTIGATION, &set)?;
            tx.world.touched = true;
            tx.world.investigation = settings;
            let data = json!({ "before": before, "after": settings });
            Ok(tx.audit(&actor, "investigation.set", "investigation", data)?)
        })
        .await
    }
}
