//! What can be read: one snapshot, one method per question. A file per subject.

mod access;
mod alerts;
mod backtests;
mod check;
mod check_notices;
#[cfg(test)]
mod check_notices_tests;
mod connectors;
mod deliveries;
mod family;
mod feedback;
mod incidents;
mod insights;
mod live;
mod mutes;
mod newest;
mod notices;
mod opinion;
mod outcomes;
mod overview;
mod postmortems;
mod runbooks;
mod saved_views;
mod searched;
mod seen;
mod services;
mod sparks;
mod spread;
#[cfg(test)]
mod tests;
mod topology;

use std::sync::Arc;

/// Which rows a list wants; they are read from text in `query`.
pub use crate::query::{AlertFilter, IncidentFilter};
pub use alerts::AlertCounts;
pub use deliveries::DeliveryFilter;
pub use feedback::FirstAnswers;
pub use mutes::{Preview, Stale};
pub use newest::NEWEST;
pub use overview::{Opened, Overview};
pub use searched::{AlertText, Words};
pub use seen::{Looked, LookedAlert};
pub use services::{Activities, Activity};
pub use sparks::Spark;
pub use spread::Dot;
pub use topology::{Call, Known, Origin, Topology};

use redb::{AccessGuard, Key, ReadOnlyTable, ReadTransaction, TableDefinition, Value};
use serde::de::DeserializeOwned;

use super::{
    StoreError, codec,
    file::File,
    tables::{self, Rows},
};

/// One consistent snapshot of the store.
pub struct View {
    main: ReadTransaction,
    intake: ReadTransaction,
    remembered: Arc<Remembered>,
    // The last commit of which `remembered` had been told when the snapshot was taken.
    commit: u64,
}

/// What views keep for later ones.
#[derive(Debug, Default)]
pub(super) struct Remembered {
    overviews: overview::Last,
    /// The newest alerts.
    pub newest: newest::Newest,
}

impl std::fmt::Debug for View {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("View(…)")
    }
}

impl View {
    /// A snapshot of both files.
    pub(super) fn of(main: &File, intake: &File, remembered: Arc<Remembered>) -> Result<Self, StoreError> {
        // In this order every delivery is in one of them: what the intake has forgotten since, the main file has.
        let (commit, intake, main) = (remembered.newest.commit(), intake.read()?, main.read()?);
        Ok(Self { main, intake, remembered, commit })
    }

    /// The snapshots of watchfire.redb and intake.redb.
    pub(super) fn transactions(&self) -> (&ReadTransaction, &ReadTransaction) {
        (&self.main, &self.intake)
    }

    /// Bytes of rows stored, by kind: deliveries, alerts, incidents, other. Known without reading them.
    pub fn sizes(&self) -> Result<[(&'static str, u64); 4], StoreError> {
        let mut sizes = [("deliveries", 0), ("alerts", 0), ("incidents", 0), ("other", 0)];
        for ((_, bytes), name) in sizes.iter_mut().zip(tables::meta::BYTES) {
            *bytes = self.number(name)?;
        }
        Ok(sizes)
    }

    /// A number of `tables::meta`; 0 when it was never written.
    fn number(&self, name: &str) -> Result<u64, StoreError> {
        Ok(self.table(tables::META)?.get(name)?.map_or(0, |n| n.value()))
    }

    fn table<K: Key + 'static, V: Value + 'static>(
        &self,
        definition: TableDefinition<'static, K, V>,
    ) -> Result<ReadOnlyTable<K, V>, StoreError> {
        Ok(self.main.open_table(definition)?)
    }

    /// One decoded row.
    fn row<'k, K: Key + 'static, T: DeserializeOwned>(
        &self,
        definition: TableDefinition<'static, K, &'static [u8]>,
        key: impl std::borrow::Borrow<K::SelfType<'k>>,
    ) -> Result<Option<T>, StoreError> {
        self.table(definition)?.get(key)?.map(|bytes| codec::decode(bytes.value())).transpose()
    }

    /// The rows of a table whose keys grow, newest first; those with a key below `before` only.
    fn newest(&self, definition: Rows, before: Option<u64>) -> Result<Found, StoreError> {
        let rows = self.table(definition)?.range(..before.unwrap_or(u64::MAX))?.rev();
        Ok(Box::new(rows.map(|row| {
            let (key, bytes) = row?;
            Ok((key.value(), bytes))
        })))
    }

    /// The rows of a table under these numbers, in their order.
    fn picked(
        &self,
        definition: Rows,
        numbers: impl Iterator<Item = Result<u64, StoreError>> + 'static,
    ) -> Result<Found, StoreError> {
        let table = self.table(definition)?;
        Ok(Box::new(numbers.filter_map(move |number| {
            let row = number.and_then(|n| Ok(table.get(n)?.map(|bytes| (n, bytes))));
            row.transpose()
        })))
    }

    /// The first page of all rows of a table, or a later one: the table knows how many it has.
    fn everything<T: DeserializeOwned>(
        &self,
        definition: Rows,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Listing<T>, StoreError> {
        let total = redb::ReadableTableMetadata::len(&self.table(definition)?)?;
        let mut listing = Listing { items: Vec::new(), next: None, total, total_is_exact: true, looked_through: None };
        for row in self.newest(definition, before)? {
            let (key, bytes) = row?;
            if listing.items.len() == limit {
                listing.next = Some(key + 1);
                break;
            }
            listing.items.push(codec::decode(bytes.value())?);
        }
        Ok(listing)
    }
}

/// Rows as they lie in their table, with their keys.
type Found = Box<dyn Iterator<Item = Result<(u64, AccessGuard<'static, &'static [u8]>), StoreError>>>;

/// Whether a list wants a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fit {
    Yes,
    No,
    /// Nor any that is older.
    NoneOlder,
}

impl From<bool> for Fit {
    fn from(fits: bool) -> Self {
        if fits { Self::Yes } else { Self::No }
    }
}

/// A page of rows that come newest first: those that fit, up to `limit`. Only these are decoded. Counting goes on past the
/// page so that the total is exact for lists that a person could read, and stops where only a machine would care.
///
/// `rows` gives those with a key below the one it is given; `fit` looks at a row's bytes.
fn page<T: DeserializeOwned>(
    rows: impl Fn(Option<u64>) -> Result<Found, StoreError>,
    before: Option<u64>,
    limit: usize,
    fit: impl Fn(&[u8]) -> Result<Fit, StoreError>,
) -> Result<Listing<T>, StoreError> {
    page_of(rows, before, limit, None, fit)
}

/// The same of rows of which it is known about how many there are: they are not counted then once the page is full.
fn page_of<T: DeserializeOwned>(
    rows: impl Fn(Option<u64>) -> Result<Found, StoreError>,
    before: Option<u64>,
    limit: usize,
    about: Option<u64>,
    fit: impl Fn(&[u8]) -> Result<Fit, StoreError>,
) -> Result<Listing<T>, StoreError> {
    let mut listing = Listing { items: Vec::new(), next: None, total: 0, total_is_exact: true, looked_through: None };
    // What is before a later page is counted by another walk, from the newest on.
    let later = before.is_some();
    for (read, row) in rows(before)?.enumerate() {
        let (key, bytes) = row?;
        if read == SCAN || (read >= COUNT && listing.next.is_some()) {
            // The page may be short: its cursor goes on from here.
            if listing.next.is_none() {
                listing.next = Some(key + 1);
                listing.looked_through = u64::try_from(read).ok();
            }
            listing.total_is_exact = false;
            break;
        }
        let row = codec::plain(bytes.value())?;
        match fit(&row)? {
            Fit::No => continue,
            Fit::NoneOlder => break,
            Fit::Yes => listing.total += 1,
        }
        if listing.items.len() < limit {
            listing.items.push(codec::value(&row)?);
            continue;
        }
        listing.next.get_or_insert(key + 1);
        if later || about.is_some() {
            break;
        }
    }
    if let Some(about) = about.filter(|_| later || listing.next.is_some()) {
        (listing.total, listing.total_is_exact) = (about.max(listing.total), false);
    } else if later {
        (listing.total, listing.total_is_exact) = count(rows(None)?, fit)?;
    }
    Ok(listing)
}

/// How many of the newest rows fit, and whether all were looked at.
fn count(rows: Found, fit: impl Fn(&[u8]) -> Result<Fit, StoreError>) -> Result<(u64, bool), StoreError> {
    let mut total = 0;
    for (read, row) in rows.enumerate() {
        let (_, bytes) = row?;
        if read == COUNT {
            return Ok((total, false));
        }
        match fit(&codec::plain(bytes.value())?)? {
            Fit::Yes => total += 1,
            Fit::No => {}
            Fit::NoneOlder => break,
        }
    }
    Ok((total, true))
}

/// Rows looked at for one page at most.
const SCAN: usize = 8_000;
/// Rows looked at for a total at most, once the page is full.
const COUNT: usize = 1_000;

/// A page of a list.
#[derive(Clone, Debug, PartialEq)]
pub struct Listing<T> {
    /// The rows.
    pub items: Vec<T>,
    /// The key to go on after, for the next page; none on the last.
    pub next: Option<u64>,
    /// How many match in all.
    pub total: u64,
    /// Whether `total` was counted to the end.
    pub total_is_exact: bool,
    /// Rows that were looked at, newest first, where there are older ones that might fit as well: the list is short
    /// because of that. None where nothing was left out.
    pub looked_through: Option<u64>,
}
