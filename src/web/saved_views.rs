//! Saved views with how many incidents or alerts each shows: every page has them in its rail, so they are counted in the background
//! and remembered for a moment.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use super::state::AppState;
use crate::{
    model::*,
    query::{self, AlertFilter, Asker, IncidentFilter},
    search::Search,
    store::{StoreError, View},
};

/// More is shown as `99+`.
const MOST: u64 = 100;
/// Counts of this age are shown; older ones are shown once more while they are counted anew.
const FRESH: Duration = Duration::from_secs(3);
/// People whose counts are remembered.
const PEOPLE: usize = 1_000;

/// A saved view as the rail and the tabs show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// `V-3`.
    pub id: ViewId,
    /// Its name.
    pub name: String,
    /// What it lists.
    pub kind: ViewKind,
    /// Its query.
    pub q: String,
    /// Everybody sees it.
    pub shared: bool,
    /// Who made it.
    pub owner: String,
    /// How many incidents or alerts it shows, up to 100.
    pub count: u64,
}

impl Kept {
    /// The number as it is shown.
    pub fn badge(&self) -> String {
        if self.count >= MOST { "99+".to_owned() } else { self.count.to_string() }
    }

    /// Its list.
    pub fn href(&self) -> String {
        format!("/{}?view={}", self.kind, self.id)
    }
}

#[derive(Clone, Debug)]
struct Counted {
    change: u64,
    at: Duration,
    views: Vec<Kept>,
}

/// What was counted last, by person.
#[derive(Debug, Default)]
pub struct SavedCounts(Mutex<HashMap<String, Counted>>);

impl SavedCounts {
    /// After a view was made, changed or removed.
    pub fn forget(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn known(&self, me: &str) -> Option<Counted> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(me).cloned()
    }

    fn remember(&self, me: String, counted: Counted) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= PEOPLE {
            all.clear();
        }
        all.insert(me, counted);
    }
}

/// How many a view shows, up to 100. A query that cannot be read any more shows none.
pub fn counted(view: &View, search: &Search, of: &SavedView, me: &str, now: Time) -> Result<u64, StoreError> {
    let asker = Asker { now, me: Some(me) };
    let total = match of.kind {
        ViewKind::Incidents => {
            let mut filter = IncidentFilter::default();
            match query::incidents(&of.q, asker, &mut filter) {
                Ok(()) => search.incidents(view, &filter, None, 1)?.total,
                Err(_) => 0,
            }
        }
        ViewKind::Alerts => {
            let mut filter = AlertFilter::default();
            match query::alerts(&of.q, asker, &mut filter) {
                Ok(()) => search.alerts(view, &filter, None, 1)?.total,
                Err(_) => 0,
            }
        }
    };
    Ok(total.min(MOST))
}

/// The views that somebody sees, with counts of a few seconds ago at most when anything changed since.
pub async fn kept(state: &AppState, me: &str) -> Vec<Kept> {
    let change = *state.store.changes().borrow();
    let Some(known) = state.shared.saved.known(me) else { return count(state, me).await };
    let age = state.clock.uptime().saturating_sub(known.at);
    if known.change != change && age >= FRESH {
        let (state, me) = (state.clone(), me.to_owned());
        // At once in the list, so that not every page that comes meanwhile counts as well.
        state.shared.saved.remember(me.clone(), Counted { at: state.clock.uptime(), ..known.clone() });
        tokio::spawn(async move { count(&state, &me).await });
    }
    known.views
}

async fn count(state: &AppState, me: &str) -> Vec<Kept> {
    let (search, now, name) = (state.search.clone(), state.clock.now(), me.to_owned());
    let change = *state.store.changes().borrow();
    let counted = state.store.read(move |view| {
        let views = view.saved_views(&name)?.into_iter().map(|v| {
            let count = counted(view, &search, &v, &name, now)?;
            Ok(Kept { id: v.id, name: v.name, kind: v.kind, q: v.q, shared: v.shared, owner: v.owner, count })
        });
        views.collect::<Result<Vec<_>, StoreError>>()
    });
    // The rail without them is still a rail.
    let Ok(views) = counted.await else { return Vec::new() };
    let counted = Counted { change, at: state.clock.uptime(), views: views.clone() };
    state.shared.saved.remember(me.to_owned(), counted);
    views
}
