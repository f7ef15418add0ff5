//! Fan-out of changes: follows the store's change log, coalesces, and serves any number of streams with replay.

use std::sync::Arc;

use crate::{
    model::*,
    store::{Store, StoreError},
};

/// One change with what it is about, as it stands now. Shared by all streams.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Its place; the `id:` of the stream.
    pub seq: u64,
    /// When.
    pub at: Time,
    /// What.
    pub what: What,
}

/// A change with its subject read from the store.
#[derive(Clone, Debug, PartialEq)]
pub enum What {
    /// An incident changed.
    Incident(IncidentChange, Box<Incident>),
    /// An alert joined an incident.
    AlertCorrelated(IncidentId, Box<Alert>, Box<Membership>),
    /// A thought was written.
    Thought(IncidentId, Thought),
    /// A suggestion was made or changed.
    Suggestion(IncidentId, Suggestion),
    /// A cause was ranked.
    Cause(IncidentId, Cause),
    /// Deliveries were applied.
    Delivery {
        /// For whom.
        platform: Platform,
        /// What became of them.
        outcome: DeliveryOutcome,
        /// How many.
        count: u64,
    },
    /// More was missed than can be replayed, or the subject is gone: reload.
    Reset,
}

/// The fan-out. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Hub {}

/// One stream's place.
#[derive(Debug)]
pub struct Subscription {}

impl Hub {
    /// A hub that follows the store; `run` must be spawned.
    pub fn new(_store: Store) -> Self {
        unimplemented!()
    }

    /// Follows until `stop`: wakes on the store's change watch, coalesces for 250 ms at most, reads each change once.
    pub async fn run(self, _stop: tokio_util::sync::CancellationToken) {
        unimplemented!()
    }

    /// A stream from now on, or after the change `after` (`Last-Event-ID`).
    pub fn subscribe(&self, _after: Option<u64>) -> Subscription {
        unimplemented!()
    }
}

impl Subscription {
    /// The next events in order, at least one. Waits. Falls back to the store when the ring has moved on, and to `Reset`
    /// (with the newest sequence) when the store no longer has what was missed.
    pub async fn next(&mut self) -> Result<Vec<Arc<Event>>, StoreError> {
        unimplemented!()
    }
}
