//! What can be read: one snapshot, one method per question. A file per subject.

mod access;
mod alerts;
mod connectors;
mod deliveries;
mod incidents;
mod live;
mod overview;

pub use alerts::AlertFilter;
pub use deliveries::DeliveryFilter;
pub use incidents::IncidentFilter;
pub use overview::{Opened, Overview};

/// One consistent snapshot of the store.
#[derive(Debug)]
pub struct View {}

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
