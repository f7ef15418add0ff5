//! The store: two redb files behind one intake thread and one writer thread. The only room that names redb.
//!
//! Readers take a `View` (one snapshot) on the blocking pool; every change is a command to the writer thread, or a
//! delivery through the intake. Nothing is answered, published or followed before it is durable.

pub mod acting;
mod apply;
pub mod backup;
mod codec;
pub mod commands;
mod compact;
#[cfg(test)]
mod corrections_properties;
#[cfg(test)]
mod corrections_tests;
mod counted;
#[cfg(test)]
mod damage_tests;
pub mod error;
#[cfg(test)]
mod faults;
#[cfg(test)]
mod faults_power;
#[cfg(test)]
mod faults_tests;
#[cfg(test)]
mod feedback_tests;
mod fields;
mod file;
#[cfg(test)]
mod flapping_tests;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
#[cfg(test)]
mod groups_tests;
mod insights;
#[cfg(test)]
mod insights_tests;
mod intake;
#[cfg(test)]
mod investigation_tests;
mod migrate;
#[cfg(test)]
mod mutes_tests;
mod open;
#[cfg(test)]
mod outbox_limits_tests;
#[cfg(test)]
mod outbox_tests;
#[cfg(test)]
mod outcomes_tests;
mod pack;
#[cfg(test)]
mod postmortem_tests;
#[cfg(test)]
mod power_tests;
mod ready;
mod received;
pub mod rehearsal;
mod retention;
pub mod seal;
#[cfg(test)]
mod services_tests;
#[cfg(test)]
mod snoozes_tests;
mod space;
mod squeeze;
mod tables;
#[cfg(test)]
mod telling_tests;
#[cfg(test)]
mod tests;
mod trouble;
#[cfg(test)]
mod trouble_tests;
mod tx;
mod veil;
mod verify;
pub mod views;
mod world;
mod writer;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use tokio::sync::{Semaphore, watch};

use crate::{config::CorrelationMode, model::*, runtime::clock::Clock};
pub use commands::{
    Against, ChannelPatch, Finish, GivenCause, IncidentPatch, MutePatch, NewChannel, NewMute, NewRunbook, NewThought,
    NewThreshold, Package, Place, PostmortemEdit, Resolution, RunbookPatch, Saved, Seen as SeenBefore, Sent, SentEnd,
    ThresholdPatch, ViewPatch,
};
pub use compact::{Compacted, compact};
pub use error::{CommandError, StoreError, SubmitError};
pub use open::private_folder;
pub use retention::Retention;
use space::Space;
pub use verify::verify;
pub use views::{
    AlertCounts, AlertFilter, AlertText, DeliveryFilter, FirstAnswers, IncidentFilter, Listing, Looked, LookedAlert,
    NEWEST, Opened, Overview, Preview, Spark, Stale, View, Words,
};
pub use world::Telling;

pub use insights::{day as day_of, midnight, weekday};

/// Snapshots read at the same time; more wait, so that a storm of readers cannot pin the whole file.
const READERS: usize = 32;

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
    /// How alerts are grouped.
    pub mode: CorrelationMode,
    /// Keys of settings that the configuration fixes: those of pages give way.
    pub fixed: BTreeSet<&'static str>,
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
    /// Severities that open or join incidents, where the configuration fixes them for a platform; they win over what is
    /// stored and are not written there, so that they end with their line in the file.
    pub opens: BTreeMap<Platform, Vec<Severity>>,
    /// Whether the sender's own groups count, where the configuration fixes it for a platform; likewise.
    pub group_by_sender: BTreeMap<Platform, bool>,
    /// Who besides this server can say that somebody is an administrator.
    pub vouchers: BTreeSet<Voucher>,
    /// How long things are kept.
    pub retention: Retention,
    /// Bytes that must stay free on the disk for deliveries to be taken; 0 never refuses.
    pub reserve: u64,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            mode: CorrelationMode::default(),
            fixed: BTreeSet::new(),
            cluster_window: Duration::from_secs(5 * 60),
            reopen_within: Duration::from_secs(15 * 60),
            test_closes_after: Duration::from_secs(10 * 60),
            investigation_delay: Duration::from_secs(2),
            max_behind: 1_000_000,
            opens: BTreeMap::new(),
            group_by_sender: BTreeMap::new(),
            vouchers: BTreeSet::new(),
            retention: Retention::default(),
            reserve: 256 << 20,
        }
    }
}

impl Policy {
    /// With what people set, where the configuration does not fix it.
    #[must_use]
    pub fn with(&self, set: &CorrelationSettings) -> Self {
        let free = |key: &str| !self.fixed.contains(key);
        let secs = |n: u32| Duration::from_secs(u64::from(n));
        let mut policy = self.clone();
        policy.mode = set.mode.filter(|_| free("correlation.mode")).unwrap_or(self.mode);
        let window = set.cluster_window_secs.filter(|_| free("correlation.cluster_window"));
        policy.cluster_window = window.map_or(self.cluster_window, secs);
        let reopen = set.reopen_within_secs.filter(|_| free("correlation.reopen_within"));
        policy.reopen_within = reopen.map_or(self.reopen_within, secs);
        policy
    }

    /// With what people set about investigations, where the configuration does not fix it.
    #[must_use]
    pub fn investigating(self, set: &InvestigationSettings) -> Self {
        let delay = set.delay_ms.filter(|_| !self.fixed.contains("investigation.delay"));
        Self { investigation_delay: delay.map_or(self.investigation_delay, Duration::from_millis), ..self }
    }
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

struct Inner {
    dir: PathBuf,
    space: Space,
    main: Arc<file::File>,
    intake_file: Arc<file::File>,
    intake: Mutex<Option<Arc<intake::Intake>>>,
    last: Arc<AtomicU64>,
    writer: Arc<writer::Handle>,
    position: Arc<watch::Sender<u64>>,
    applied: Arc<AtomicU64>,
    changes: watch::Sender<u64>,
    readers: Arc<Semaphore>,
    remembered: Arc<views::Remembered>,
    sealer: seal::Sealer,
    nonce: u64,
    threads: Mutex<Option<[JoinHandle<()>; 2]>>,
    // Read while a snapshot is read on the blocking pool; true once the store is closed.
    closed: RwLock<bool>,
    lock: Mutex<Option<std::fs::File>>,
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("dir", &self.dir).finish_non_exhaustive()
    }
}

impl Store {
    /// Opens or makes the store and starts its threads. Blocking.
    ///
    /// Fails when another process has the folder, when a newer version wrote it, or when the files do not belong together.
    pub fn open(options: StoreOptions, clock: Clock) -> Result<Self, StoreError> {
        let dir = options.dir.clone();
        // Rows of a damaged file can break assumptions that redb makes only with an assertion.
        catch_unwind(AssertUnwindSafe(|| Self::on(open::files(&options)?, options, clock)))
            .unwrap_or_else(|_| Err(open::damaged(&dir, "a file's contents contradict each other")))
    }

    fn on(files: open::Files, options: StoreOptions, clock: Clock) -> Result<Self, StoreError> {
        let position = Arc::new(watch::Sender::new(files.position));
        let applied = Arc::new(AtomicU64::new(files.position));
        let changes = watch::Sender::new(files.last_change);
        let remembered = Arc::<views::Remembered>::default();
        let (handle, writer_thread) = writer::start(writer::Start {
            main: Arc::clone(&files.main),
            intake: Arc::clone(&files.intake),
            policy: options.policy.clone(),
            clock: clock.clone(),
            position: Arc::clone(&position),
            applied: Arc::clone(&applied),
            changes: changes.clone(),
            remembered: Arc::clone(&remembered),
        })?;
        let writer = Arc::new(handle);
        let wake = Arc::clone(&writer);
        let space = Space::new(&options.dir, options.policy.reserve);
        let (intake, intake_thread) = intake::Intake::start(
            Arc::clone(&files.intake),
            Arc::clone(&applied),
            options.policy.max_behind,
            space.clone(),
            move || wake.look(),
        )?;
        let wake = Arc::clone(&writer);
        clock.on_move(move || wake.look());
        Ok(Self {
            inner: Arc::new(Inner {
                dir: options.dir,
                space,
                main: files.main,
                intake_file: files.intake,
                last: intake.last_handle(),
                intake: Mutex::new(Some(Arc::new(intake))),
                writer,
                position,
                applied,
                changes,
                remembered,
                readers: Arc::new(Semaphore::new(READERS)),
                sealer: files.sealer,
                nonce: files.nonce,
                threads: Mutex::new(Some([intake_thread, writer_thread])),
                closed: RwLock::new(false),
                lock: Mutex::new(Some(files.lock)),
            }),
        })
    }

    /// Stores a delivery durably. Returns when it is on the disk; cancelling the future does not take it back.
    pub async fn submit(&self, delivery: NewDelivery) -> Result<Submitted, SubmitError> {
        self.writable()?;
        let intake = self.inner.intake.lock().unwrap_or_else(PoisonError::into_inner).clone();
        intake.ok_or(StoreError::Stopped)?.submit(delivery).await
    }

    /// Waits until the delivery of that sequence number has been applied. `false` when `within` passed first.
    pub async fn applied(&self, seq: u64, within: Duration) -> bool {
        let mut position = self.inner.position.subscribe();
        tokio::time::timeout(within, position.wait_for(|p| *p >= seq)).await.is_ok_and(|r| r.is_ok())
    }

    /// Runs `f` on a snapshot, on the blocking pool. Keep it short: a snapshot pins old pages.
    pub async fn read<R: Send + 'static>(
        &self,
        f: impl FnOnce(&View) -> Result<R, StoreError> + Send + 'static,
    ) -> Result<R, StoreError> {
        let place = Arc::clone(&self.inner.readers).acquire_owned().await.map_err(|_| StoreError::Stopped)?;
        let store = self.clone();
        let work = move || {
            // Held until the snapshot is gone, also when the asker went away before that.
            let _place = place;
            let closed = store.inner.closed.read().unwrap_or_else(PoisonError::into_inner);
            if *closed { Err(StoreError::Stopped) } else { f(&store.view()?) }
        };
        match tokio::task::spawn_blocking(work).await {
            Ok(read) => read,
            Err(e) if e.is_panic() => Err(StoreError::Damaged("reading failed: it panicked".to_owned())),
            Err(_) => Err(StoreError::Stopped),
        }
    }

    /// A snapshot for blocking callers.
    pub fn view(&self) -> Result<View, StoreError> {
        View::of(&self.inner.main, &self.inner.intake_file, Arc::clone(&self.inner.remembered))
    }

    /// A snapshot taken between two changes: the intake holds everything that the main file has not applied, and ends at or
    /// after its position.
    pub async fn exclusive_view(&self) -> Result<View, CommandError> {
        let store = self.clone();
        self.inner.writer.look_at(move || Ok(store.view()?)).await
    }

    /// Every violated invariant as a sentence; empty when the store is whole. Reads everything.
    pub async fn check(&self) -> Result<Vec<String>, CommandError> {
        let (view, sealer) = (self.exclusive_view().await?, self.sealer().clone());
        let checked = move || Ok::<_, StoreError>([view.check()?, view.check_secrets(&sealer)?].concat());
        let checked = tokio::task::spawn_blocking(checked).await;
        Ok(checked.map_err(|_| StoreError::Stopped)??)
    }

    /// Bytes that must stay free on the disk for deliveries to be taken.
    pub fn reserve(&self) -> u64 {
        self.inner.space.reserve()
    }

    /// Bytes that may still be written on the disk of the data folder; none when the system does not say.
    pub fn free_space(&self) -> Option<u64> {
        space::free(&self.inner.dir)
    }

    /// Tells the last change sequence whenever it grows, after it is durable.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.inner.changes.subscribe()
    }

    /// Tells the sequence number of the last delivery applied whenever it grows, after it is durable.
    pub fn position(&self) -> watch::Receiver<u64> {
        self.inner.position.subscribe()
    }

    /// Encrypts and decrypts secrets with the key file of the data folder.
    pub fn sealer(&self) -> &seal::Sealer {
        &self.inner.sealer
    }

    /// A random number of this store: a stream's position means nothing in another one.
    pub fn nonce(&self) -> u64 {
        self.inner.nonce
    }

    /// Where it is.
    pub fn dir(&self) -> &Path {
        &self.inner.dir
    }

    /// Whether deliveries are taken and commands are done; the reason when not.
    pub fn health(&self) -> Result<(), StoreError> {
        self.writable()?;
        self.inner.space.enough()
    }

    /// The same, with what was known of the disk's room a moment ago: cheap enough to be asked for each delivery. The intake
    /// asks the disk itself before it writes.
    pub fn health_lately(&self) -> Result<(), StoreError> {
        self.writable()?;
        self.inner.space.enough_lately()
    }

    /// Whether the files can be written. Space is looked at with each group: it may have come back.
    fn writable(&self) -> Result<(), StoreError> {
        self.inner.writer.health()?;
        self.inner.intake_file.failed().map_or(Ok(()), Err)
    }

    /// Deliveries stored but not yet applied.
    pub fn behind(&self) -> u64 {
        let last = self.inner.last.load(Ordering::Acquire);
        last.saturating_sub(self.inner.applied.load(Ordering::Acquire))
    }

    /// Whether more come than are applied: so many wait that no one transaction takes them all.
    pub fn in_burst(&self) -> bool {
        self.behind() > writer::GROUP as u64
    }

    /// Finishes what was accepted, stops the threads and closes the files. Blocking; idempotent.
    pub fn close(&self) {
        // The intake thread ends when its queue has no sender left, and has then stored all it was given.
        drop(self.inner.intake.lock().unwrap_or_else(PoisonError::into_inner).take());
        let threads = self.inner.threads.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some([intake, writer]) = threads {
            let ended = intake.join();
            self.inner.writer.stop();
            if ended.and(writer.join()).is_err() {
                tracing::error!("a thread of the store ended by a panic; what was acknowledged is on the disk");
            }
        }
        // Waits for the snapshots that are being read; whoever still holds the store afterwards holds nothing open.
        *self.inner.closed.write().unwrap_or_else(PoisonError::into_inner) = true;
        self.inner.main.close();
        self.inner.intake_file.close();
        drop(self.inner.lock.lock().unwrap_or_else(PoisonError::into_inner).take());
    }

    /// Runs a command in the writer.
    async fn command<R: Send + 'static>(
        &self,
        f: impl FnOnce(&mut tx::Tx<'_>) -> Result<R, CommandError> + Send + 'static,
    ) -> Result<R, CommandError> {
        self.inner.writer.command(f).await
    }
}
