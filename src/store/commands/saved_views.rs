//! Saved views: made, changed and removed.

use redb::ReadableTable;
use serde_json::json;

use crate::{
    model::*,
    query::{self, Asker},
    store::{
        CommandError, Store, StoreError, codec,
        tables::meta,
        tx::{Tx, get, put},
    },
};

/// Saved views of everybody.
const MOST: usize = 500;
/// Saved views of one person: the rail shows them all.
const EACH: usize = 30;

/// What is changed of a view; `None` leaves as it is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ViewPatch {
    /// See `SavedView`.
    pub name: Option<String>,
    /// See `SavedView`.
    pub q: Option<String>,
    /// See `SavedView`.
    pub shared: Option<bool>,
}

fn audited(v: &SavedView) -> serde_json::Value {
    json!({ "name": v.name, "kind": v.kind, "q": v.q, "shared": v.shared, "owner": v.owner })
}

fn all(tx: &Tx<'_>) -> Result<Vec<SavedView>, StoreError> {
    tx.saved_views.iter()?.map(|row| codec::decode(row?.1.value())).collect()
}

fn check(tx: &Tx<'_>, view: &SavedView) -> Result<(), CommandError> {
    let mut wrong = view.mistakes();
    let asker = Asker { now: tx.now, me: None };
    let read = match view.kind {
        ViewKind::Incidents => query::incidents(&view.q, asker, &mut Default::default()),
        ViewKind::Alerts => query::alerts(&view.q, asker, &mut Default::default()),
    };
    if let Err(e) = read {
        wrong.push(Mistake::new("/q", format!("character {}: {e}", e.at + 1)));
    }
    if !wrong.is_empty() {
        return Err(CommandError::Mistakes(wrong));
    }
    let conflict = |detail: String| Err(CommandError::Conflict { detail, allowed: Vec::new() });
    let others: Vec<SavedView> = all(tx)?.into_iter().filter(|v| v.id != view.id).collect();
    if others.len() >= MOST || others.iter().filter(|v| v.owner == view.owner).count() >= EACH {
        return conflict(format!("there are {EACH} views of one person at most, and {MOST} of all; remove some first"));
    }
    // Two of the same name cannot be told apart where both are seen; what others keep for themselves is not told.
    let seen = |v: &&SavedView| v.shared || v.owner == view.owner;
    match others.iter().filter(seen).find(|v| v.name.to_lowercase() == view.name.to_lowercase()) {
        Some(other) => conflict(format!("{} of {} has this name already", other.id, other.owner)),
        None => Ok(()),
    }
}

/// A view that the actor may change: an own one, or any shared one of whoever may set up.
fn own(tx: &Tx<'_>, id: ViewId, actor: &Actor, all: bool) -> Result<SavedView, CommandError> {
    let view: Option<SavedView> = get(&tx.saved_views, id.0)?;
    let missing = || CommandError::NotFound(format!("saved view {id}"));
    let view = view.filter(|v| v.is_for(&actor.to_string())).ok_or_else(missing)?;
    if view.owner == actor.to_string() || all {
        return Ok(view);
    }
    let detail = format!("{id} is a view of {}; save one of your own", view.owner);
    Err(CommandError::Conflict { detail, allowed: Vec::new() })
}

impl Store {
    /// Keeps a view.
    pub async fn save_view(
        &self,
        (kind, name): (ViewKind, String),
        q: String,
        shared: bool,
        actor: Actor,
    ) -> Result<SavedView, CommandError> {
        self.command(move |tx| {
            let mut view = SavedView {
                id: ViewId(0),
                name: name.trim().to_owned(),
                kind,
                q: q.trim().to_owned(),
                shared,
                owner: actor.to_string(),
                created_at: tx.now,
                updated_at: tx.now,
            };
            check(tx, &view)?;
            view.id = ViewId(tx.world.next(meta::VIEW));
            put(&mut tx.saved_views, view.id.0, &view)?;
            tx.audit(&actor, "view.create", view.id.to_string(), audited(&view))?;
            Ok(view)
        })
        .await
    }

    /// Changes one. `all`: also a shared one of others.
    pub async fn change_view(
        &self,
        id: ViewId,
        patch: ViewPatch,
        all: bool,
        actor: Actor,
    ) -> Result<SavedView, CommandError> {
        self.command(move |tx| {
            let before = own(tx, id, &actor, all)?;
            let mut view = before.clone();
            view.name = patch.name.map_or(view.name, |n| n.trim().to_owned());
            view.q = patch.q.map_or(view.q, |q| q.trim().to_owned());
            view.shared = patch.shared.unwrap_or(view.shared);
            check(tx, &view)?;
            if view == before {
                return Ok(view);
            }
            view.updated_at = tx.now;
            put(&mut tx.saved_views, id.0, &view)?;
            let data = json!({ "from": audited(&before), "to": audited(&view) });
            tx.audit(&actor, "view.change", id.to_string(), data)?;
            Ok(view)
        })
        .await
    }

    /// Removes one. `all`: also a shared one of others.
    pub async fn remove_view(&self, id: ViewId, all: bool, actor: Actor) -> Result<(), CommandError> {
        self.command(move |tx| {
            let view = own(tx, id, &actor, all)?;
            tx.saved_views.remove(id.0)?;
            Ok(tx.audit(&actor, "view.remove", id.to_string(), audited(&view))?)
        })
        .await
    }
}
