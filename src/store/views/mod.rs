//! What can be read: one snapshot, one method per question. A file per subject.

mod access;
mod alerts;
mod check;
mod connectors;
mod deliveries;
mod incidents;
mod live;
mod overview;

pub use alerts::AlertFilter;
pub use deliveries::DeliveryFilter;
pub use incidents::IncidentFilter;
pub use overview::{Opened, Overview};

use redb::{Key, ReadOnlyTable, ReadTransaction, ReadableTable, TableDefinition, Value};
use serde::de::DeserializeOwned;

use super::{StoreError, codec, tables};

/// One consistent snapshot of the store.
pub struct View {
    main: ReadTransaction,
    intake: ReadTransaction,
}

impl std::fmt::Debug for View {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("View(…)")
    }
}

impl View {
    pub(super) fn new(main: ReadTransaction, intake: ReadTransaction) -> Self {
        Self { main, intake }
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

    /// A page of a table whose keys grow, newest first: rows that pass, up to `limit`. Counting goes on past the page so
    /// that the total is exact for lists that a person could read, and stops where only a machine would care.
    fn page<T: DeserializeOwned>(
        &self,
        definition: TableDefinition<'static, u64, &'static [u8]>,
        before: Option<u64>,
        limit: usize,
        everything: bool,
        keep: impl Fn(&T) -> bool,
    ) -> Result<Listing<T>, StoreError> {
        let table = self.table(definition)?;
        let mut listing = Listing { items: Vec::new(), next: None, total: 0, total_is_exact: true };
        if everything {
            // No condition: the table knows how many rows it has.
            listing.total = redb::ReadableTableMetadata::len(&table)?;
            for found in table.range(..before.unwrap_or(u64::MAX))?.rev() {
                let (key, bytes) = found?;
                if listing.items.len() == limit {
                    listing.next = Some(key.value() + 1);
                    break;
                }
                listing.items.push(codec::decode(bytes.value())?);
            }
            return Ok(listing);
        }
        for (read, found) in table.range(..before.unwrap_or(u64::MAX))?.rev().enumerate() {
            let (key, bytes) = found?;
            if read == SCAN {
                // The page may be short: its cursor goes on from here.
                listing.next = Some(key.value() + 1);
                break;
            }
            let row: T = codec::decode(bytes.value())?;
            if !keep(&row) {
                continue;
            }
            if listing.items.len() == limit {
                listing.next = Some(key.value() + 1);
                break;
            }
            listing.items.push(row);
        }
        if before.is_none() && listing.next.is_none() {
            listing.total = listing.items.len() as u64;
            return Ok(listing);
        }
        for (read, found) in table.iter()?.rev().enumerate() {
            if read == SCAN {
                listing.total_is_exact = false;
                break;
            }
            if keep(&codec::decode(found?.1.value())?) {
                listing.total += 1;
            }
        }
        Ok(listing)
    }
}

/// Rows read for one page, and again for its total, at most.
const SCAN: usize = 10_000;

/// Whether a value is among those wanted: compared without case, `*` at the end is a prefix. Nothing wanted is anything.
fn among(wanted: &[String], value: Option<&str>) -> bool {
    wanted.is_empty() || value.is_some_and(|v| wanted.iter().any(|w| matches(w, v)))
}

fn matches(wanted: &str, value: &str) -> bool {
    let (wanted, value) = (wanted.to_lowercase(), value.to_lowercase());
    match wanted.strip_suffix('*') {
        Some(prefix) => value.starts_with(prefix),
        None => wanted == value,
    }
}

/// Whether every word stands somewhere in the texts, compared without case.
fn all_words(words: &[String], texts: &[&str]) -> bool {
    let mut lower = None;
    words.iter().all(|word| {
        let texts = lower.get_or_insert_with(|| texts.iter().map(|t| t.to_lowercase()).collect::<Vec<_>>());
        let word = word.to_lowercase();
        texts.iter().any(|t| t.contains(&word))
    })
}

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
}
