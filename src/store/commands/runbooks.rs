//! Runbooks: made, changed and removed.

use std::collections::BTreeMap;

use redb::ReadableTable;
use serde_json::json;

use crate::{
    model::*,
    store::{
        CommandError, Store, StoreError,
        tables::meta,
        tx::{Tx, get, put},
    },
};

/// Runbooks at most; further ones belong into the folder.
const MOST: usize = 500;

/// A runbook to be made.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NewRunbook {
    /// See `Runbook`.
    pub title: String,
    /// See `Runbook`.
    pub url: Option<String>,
    /// See `Runbook`.
    pub markdown: Option<String>,
    /// See `Runbook`.
    pub alerts: Vec<String>,
    /// See `Runbook`.
    pub services: Vec<String>,
    /// See `Runbook`.
    pub labels: BTreeMap<String, String>,
    /// See `Runbook`.
    pub keywords: Vec<String>,
}

/// What is changed of one; `None` leaves as it is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RunbookPatch {
    /// See `Runbook`.
    pub title: Option<String>,
    /// See `Runbook`.
    pub url: Option<Option<String>>,
    /// See `Runbook`.
    pub markdown: Option<Option<String>>,
    /// See `Runbook`.
    pub alerts: Option<Vec<String>>,
    /// See `Runbook`.
    pub services: Option<Vec<String>>,
    /// See `Runbook`.
    pub labels: Option<BTreeMap<String, String>>,
    /// See `Runbook`.
    pub keywords: Option<Vec<String>>,
}

fn check(runbook: &Runbook) -> Result<(), CommandError> {
    let wrong = runbook.mistakes();
    if wrong.is_empty() { Ok(()) } else { Err(CommandError::Mistakes(wrong)) }
}

// The text itself would make the log of who did what hard to read.
fn audited(r: &Runbook) -> serde_json::Value {
    json!({ "title": r.title, "url": r.url, "alerts": r.alerts, "services": r.services, "labels": r.labels,
        "keywords": r.keywords, "markdown_bytes": r.markdown.as_ref().map(String::len) })
}

fn known(tx: &Tx<'_>, id: RunbookId) -> Result<Runbook, CommandError> {
    get::<_, Runbook>(&tx.runbooks, id.0)?.ok_or_else(|| CommandError::NotFound(format!("runbook {id}")))
}

impl Store {
    /// Makes one.
    pub async fn make_runbook(&self, new: NewRunbook, actor: Actor) -> Result<Runbook, CommandError> {
        self.command(move |tx| {
            let mut runbook = Runbook {
                id: RunbookId(0),
                title: new.title.trim().to_owned(),
                url: new.url,
                markdown: new.markdown,
                alerts: new.alerts,
                services: new.services,
                labels: new.labels,
                keywords: new.keywords,
                author: actor.to_string(),
                created_at: tx.now,
                updated_at: tx.now,
                updated_by: None,
            };
            check(&runbook)?;
            if tx.runbooks.iter().map_err(StoreError::from)?.count() >= MOST {
                let detail = format!(
                    "there are {MOST} runbooks; remove some first, or put them into investigation.runbooks_dir"
                );
                return Err(CommandError::Conflict { detail, allowed: Vec::new() });
            }
            runbook.id = RunbookId(tx.world.next(meta::RUNBOOK));
            put(&mut tx.runbooks, runbook.id.0, &runbook)?;
            tx.audit(&actor, "runbook.create", runbook.id.to_string(), audited(&runbook))?;
            Ok(runbook)
        })
        .await
    }

    /// Changes one.
    pub async fn change_runbook(
        &self,
        id: RunbookId,
        patch: RunbookPatch,
        actor: Actor,
    ) -> Result<Runbook, CommandError> {
        self.command(move |tx| {
            let before = known(tx, id)?;
            let mut runbook = before.clone();
            runbook.title = patch.title.map_or(runbook.title, |t| t.trim().to_owned());
            runbook.url = patch.url.unwrap_or(runbook.url);
            runbook.markdown = patch.markdown.unwrap_or(runbook.markdown);
            runbook.alerts = patch.alerts.unwrap_or(runbook.alerts);
            runbook.services = patch.services.unwrap_or(runbook.services);
            runbook.labels = patch.labels.unwrap_or(runbook.labels);
            runbook.keywords = patch.keywords.unwrap_or(runbook.keywords);
            check(&runbook)?;
            if runbook == before {
                return Ok(runbook);
            }
            // Later than before also when the clock was set back: what was read of it is known by this time.
            runbook.updated_at = tx.now.max(Time::from_millis(before.updated_at.millis() + 1));
            runbook.updated_by = Some(actor.to_string());
            put(&mut tx.runbooks, id.0, &runbook)?;
            let data = json!({ "from": audited(&before), "to": audited(&runbook) });
            tx.audit(&actor, "runbook.change", id.to_string(), data)?;
            Ok(runbook)
        })
        .await
    }

    /// Removes one.
    pub async fn remove_runbook(&self, id: RunbookId, actor: Actor) -> Result<(), CommandError> {
        self.command(move |tx| {
            let runbook = known(tx, id)?;
            tx.runbooks.remove(id.0)?;
            Ok(tx.audit(&actor, "runbook.remove", id.to_string(), audited(&runbook))?)
        })
        .await
    }
}
