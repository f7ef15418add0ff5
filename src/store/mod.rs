//! The store: two redb files behind one intake thread and one writer thread. The only room that names redb.
//!
//! Readers take a `View` (one snapshot) on the blocking pool; every change is a command to the writer thread, or a
//! delivery through the intake. Nothing is answered, published or followed before it is durable.

pub mod commands;
pub mod error;
pub mod seal;
pub mod views;

use std::{path::PathBuf, sync::Arc, time::Duration};

use tokio::sync::watch;

use crate::{model::*, runtime::clock::Clock};
pub use error::{CommandError, StoreError, SubmitError};
pub use views::{AlertFilter, DeliveryFilter, IncidentFilter, Listing, Overview, View};

/// Where and how to open the store.
#[derive(Clone, Debug)]
pub struct StoreOptions {
    /// The data folder; made when missing.
    pub dir: PathBuf,
    /// Cache of each file, in bytes.
    pub cache_bytes: usize,
    /// What the writer decides by.
    pub policy: Policy,
}

/// What the writer decides by: the settings of correlation and lifecycle.
#[derive(Clone, Debug)]
pub struct Policy {
    /// An alert within this distance of an incident's start joins it (`time_cluster`).
    pub cluster_window: Duration,
    /// A re-fire within this time of the end reopens.
    pub reopen_within: Duration,
    /// Test alerts close by themselves after this time.
    pub test_closes_after: Duration,
    /// An investigation waits this long for the rest of a burst.
    pub investigation_delay: Duration,
    /// Deliveries that may wait between intake and writer before senders are told to wait.
    pub max_behind: u64,
}

/// A delivery at the door: parsed, not yet stored.
#[derive(Clone, Debug)]
pub struct NewDelivery {
    /// When it was received.
    pub at: Time,
    /// For whom.
    pub platform: Platform,
    /// Decided at the door.
    pub outcome: DeliveryOutcome,
    /// Why not accepted, or what to know.
    pub problem: Option<Problem>,
    /// Without credentials.
    pub headers: Vec<(String, String)>,
    /// As received, after decompression.
    pub body: Vec<u8>,
    /// What was read from it.
    pub parsed: Parsed,
    /// Parsed again from this delivery.
    pub replay_of: Option<u64>,
}

/// A delivery is on the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Submitted {
    /// Its id; the first one's, when this was a retry.
    pub id: DeliveryId,
    /// Its sequence number.
    pub seq: u64,
    /// The sender had sent it before, and nothing changed.
    pub retry: bool,
}

/// The store. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Store {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    changes: watch::Sender<u64>,
}

impl Store {
    /// Opens or makes the store and starts its threads. Blocking.
    pub fn open(_options: StoreOptions, _clock: Clock) -> Result<Self, StoreError> {
        unimplemented!()
    }

    /// Stores a delivery durably. Returns when it is on the disk; cancelling the future does not take it back.
    pub async fn submit(&self, _delivery: NewDelivery) -> Result<Submitted, SubmitError> {
        unimplemented!()
    }

    /// Waits until the delivery of that sequence number has been applied. `false` when `within` passed first.
    pub async fn applied(&self, _seq: u64, _within: Duration) -> bool {
        unimplemented!()
    }

    /// Runs `f` on a snapshot, on the blocking pool. Keep it short: a snapshot pins old pages.
    pub async fn read<R: Send + 'static>(
        &self,
        _f: impl FnOnce(&View) -> Result<R, StoreError> + Send + 'static,
    ) -> Result<R, StoreError> {
        unimplemented!()
    }

    /// A snapshot for blocking callers.
    pub fn view(&self) -> Result<View, StoreError> {
        unimplemented!()
    }

    /// Tells the last change sequence whenever it grows, after it is durable.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.inner.changes.subscribe()
    }

    /// Encrypts and decrypts secrets with the key file of the data folder.
    pub fn sealer(&self) -> &seal::Sealer {
        unimplemented!()
    }

    /// Whether deliveries and commands are being written; the reason when not.
    pub fn health(&self) -> Result<(), StoreError> {
        unimplemented!()
    }

    /// Deliveries stored but not yet applied.
    pub fn behind(&self) -> u64 {
        unimplemented!()
    }

    /// Finishes what was accepted, stops the threads and closes the files. Blocking; idempotent.
    pub fn close(&self) {
        unimplemented!()
    }
}
