//! Backups of a running server: for whoever asks, and by the clock into a folder of which the newest are kept.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio_util::sync::CancellationToken;

use super::{BackupError, Manifest, Order, forget, partial, put, space, write};
use crate::{model::Time, runtime::clock::Clock, store::Store};

/// After a failure the next attempt comes after this, or earlier when backups are made more often.
const AGAIN: Duration = Duration::from_secs(15 * 60);
/// The clock is looked at this often: it may have been set, or the machine may have slept.
const LOOK: Duration = Duration::from_secs(10 * 60);
/// Downloads that may be on their way at the same time: each holds a whole copy on the disk.
const DOWNLOADS: usize = 2;
const FORM: &str = "%Y%m%dT%H%M%SZ";
const DOWNLOAD: &str = "backup-download-";

/// Where, how often and how many.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// The folder.
    pub dir: PathBuf,
    /// The time between two.
    pub every: Duration,
    /// How many are kept.
    pub keep: usize,
}

/// A backup that is in the folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Its file's name.
    pub name: String,
    /// When it was made.
    pub at: Time,
    /// Its size.
    pub bytes: u64,
}

/// How scheduled backups stand.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// The last one that was made.
    pub last: Option<Kept>,
    /// How many are in the folder.
    pub kept: usize,
    /// Since the last good one: when the last attempt failed, and why.
    pub failed: Option<(Time, String)>,
    /// Failed attempts since the start of the process.
    pub failures: u64,
    /// When the next one is due.
    pub next: Option<Time>,
}

/// A backup on its way to whoever asked for it. Its file has no name any more and goes with it.
#[derive(Debug)]
pub struct Download {
    /// Read it from the start.
    pub file: File,
    /// Its length.
    pub bytes: u64,
    /// What it should be called.
    pub name: String,
    /// What it holds.
    pub manifest: Manifest,
    /// Held until it has been sent.
    pub place: OwnedSemaphorePermit,
}

/// Makes backups of a running server. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Backups {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    store: Store,
    clock: Clock,
    schedule: Option<Schedule>,
    stop: CancellationToken,
    status: Mutex<Status>,
    attempts: watch::Sender<u64>,
    one: tokio::sync::Mutex<()>,
    downloads: Arc<Semaphore>,
    free: fn(&Path) -> Option<u64>,
}

/// The name of a backup made at that time.
pub fn name_of(at: Time) -> String {
    format!("watchfire-{}.tar", at.timestamp().strftime(FORM))
}

/// When a backup of that name was made; none for files of others.
fn time_of(name: &str) -> Option<Time> {
    let stamp = name.strip_prefix("watchfire-")?.strip_suffix(".tar")?;
    let civil = jiff::civil::DateTime::strptime(FORM, stamp).ok()?;
    let at = Time::from(civil.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp());
    (name_of(at) == name).then_some(at)
}

/// The backups in a folder, newest first.
fn kept(dir: &Path) -> io::Result<Vec<Kept>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let Some(at) = time_of(&name) else { continue };
        let meta = entry.metadata()?;
        if meta.is_file() {
            found.push(Kept { name, at, bytes: meta.len() });
        }
    }
    found.sort_by_key(|k| std::cmp::Reverse(k.at));
    Ok(found)
}

impl Backups {
    /// Of that store; `stop` breaks off what is being made.
    pub fn new(store: Store, clock: Clock, schedule: Option<Schedule>, stop: CancellationToken) -> Self {
        Self::with(store, clock, schedule, stop, space::free)
    }

    pub(super) fn with(
        store: Store,
        clock: Clock,
        schedule: Option<Schedule>,
        stop: CancellationToken,
        free: fn(&Path) -> Option<u64>,
    ) -> Self {
        let backups = Self {
            inner: Arc::new(Inner {
                store,
                clock,
                schedule,
                stop,
                status: Mutex::default(),
                attempts: watch::Sender::new(0),
                one: tokio::sync::Mutex::default(),
                downloads: Arc::new(Semaphore::new(DOWNLOADS)),
                free,
            }),
        };
        backups.forget_downloads();
        backups.look_at_folder();
        backups
    }

    /// What was asked for.
    pub fn schedule(&self) -> Option<&Schedule> {
        self.inner.schedule.as_ref()
    }

    /// How it stands.
    pub fn status(&self) -> Status {
        self.state().clone()
    }

    /// Tells how many scheduled ones have been tried, after each.
    pub fn attempts(&self) -> watch::Receiver<u64> {
        self.inner.attempts.subscribe()
    }

    fn state(&self) -> MutexGuard<'_, Status> {
        self.inner.status.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The folder remembers what was made before the process started.
    fn look_at_folder(&self) {
        let Some(schedule) = &self.inner.schedule else { return };
        let now = self.inner.clock.now();
        let found = kept(&schedule.dir).unwrap_or_default();
        let mut status = self.state();
        status.kept = found.len();
        // One from the future was named by a clock that was wrong, and must not put the next one off.
        status.last = found.into_iter().find(|k| k.at <= now);
        let due = status.last.as_ref().map_or(now, |k| k.at.plus(schedule.every));
        status.next = Some(due);
    }

    /// Makes scheduled backups until the stop token is set.
    pub async fn run(self) {
        let stop = self.inner.stop.clone();
        if self.inner.schedule.is_none() {
            return stop.cancelled().await;
        }
        loop {
            let now = self.inner.clock.now();
            let next = self.state().next.unwrap_or(now);
            if next <= now {
                self.scheduled().await;
                if stop.is_cancelled() {
                    return;
                }
                continue;
            }
            tokio::select! {
                () = self.inner.clock.sleep_until(next.min(now.plus(LOOK))) => {}
                () = stop.cancelled() => return,
            }
        }
    }

    /// Removes the copies for downloads that a killed process left.
    fn forget_downloads(&self) {
        for entry in fs::read_dir(self.inner.store.dir()).into_iter().flatten().flatten() {
            let left = entry.file_name().to_string_lossy().starts_with(DOWNLOAD);
            if let Some(Err(e)) = left.then(|| fs::remove_file(entry.path())) {
                tracing::warn!(error = %e, "what a broken-off backup left could not be removed");
            }
        }
    }

    /// One attempt, and what came of it.
    async fn scheduled(&self) {
        let Some(schedule) = self.inner.schedule.clone() else { return };
        let began = self.inner.clock.now();
        let result = self.one_scheduled(&schedule, began).await;
        let now = self.inner.clock.now();
        match result {
            Ok(made) => {
                tracing::info!(file = %schedule.dir.join(&made.name).display(), bytes = made.bytes, took_ms = now.since(began).as_millis(), "backup made");
                let count = kept(&schedule.dir).map_or(0, |k| k.len());
                let mut status = self.state();
                status.failed = None;
                status.kept = count;
                status.next = Some(made.at.plus(schedule.every));
                status.last = Some(made);
            }
            Err(BackupError::Stopped) if self.inner.stop.is_cancelled() => {}
            Err(e) => {
                let next = now.plus(schedule.every.min(AGAIN));
                tracing::error!(error = %e, dir = %schedule.dir.display(), again_at = %next, "the scheduled backup failed");
                let mut status = self.state();
                status.failed = Some((now, e.to_string()));
                status.failures += 1;
                status.next = Some(next);
            }
        }
        self.inner.attempts.send_modify(|n| *n += 1);
    }

    async fn one_scheduled(&self, schedule: &Schedule, at: Time) -> Result<Kept, BackupError> {
        let name = name_of(at);
        let to = schedule.dir.join(&name);
        let unfinished = partial(&to);
        let dir = schedule.dir.clone();
        blocking(move || {
            crate::store::private_folder(&dir).map_err(BackupError::file(&dir))?;
            // What an attempt left that was killed.
            for entry in fs::read_dir(&dir).map_err(BackupError::file(&dir))?.flatten() {
                let name = entry.file_name().to_string_lossy().into_owned();
                if name.strip_suffix(".partial").is_some_and(|n| time_of(n).is_some()) {
                    forget(&entry.path())?;
                }
            }
            Ok(())
        })
        .await?;
        let _one = self.inner.one.lock().await;
        let bytes = self.make(unfinished.clone(), at, None, CancellationToken::new(), |made| Ok(made.bytes)).await?;
        let (dir, keep) = (schedule.dir.clone(), schedule.keep);
        blocking(move || {
            // The same second twice: the newer one is as good.
            put(&unfinished, &to, true)?;
            prune(&dir, keep, &to);
            Ok(())
        })
        .await?;
        Ok(Kept { name, at, bytes })
    }

    /// Writes one, and has it `taken` before anybody can go away. `gone` is set when whoever asked went away.
    async fn make<R: Send + 'static>(
        &self,
        path: PathBuf,
        at: Time,
        passphrase: Option<String>,
        gone: CancellationToken,
        taken: impl FnOnce(super::Made) -> Result<R, BackupError> + Send + 'static,
    ) -> Result<R, BackupError> {
        let view = self.inner.store.exclusive_view().await?;
        let (store, stop, free) = (self.inner.store.clone(), self.inner.stop.clone(), self.inner.free);
        blocking(move || {
            let going = |_| !stop.is_cancelled() && !gone.is_cancelled();
            let order = Order { passphrase: passphrase.as_deref(), free, ..Order::new(&path, at, &going) };
            taken(write(&store, &view, &order)?)
        })
        .await
    }

    /// Makes one to be sent away. Breaks off when the future is dropped.
    pub async fn download(&self, passphrase: Option<String>) -> Result<Download, BackupError> {
        let place = Arc::clone(&self.inner.downloads).try_acquire_owned().map_err(|_| BackupError::Busy)?;
        let Ok(_one) = self.inner.one.try_lock() else { return Err(BackupError::Busy) };
        let at = self.inner.clock.now();
        let mut random = [0; 8];
        crate::store::seal::random(&mut random)?;
        let path = self.inner.store.dir().join(format!("{DOWNLOAD}{}", super::digest::hex(&random)));
        let gone = CancellationToken::new();
        let asked = gone.clone().drop_guard();
        let unnamed = path.clone();
        let taken = move |made| {
            let file = File::open(&unnamed).map_err(BackupError::file(&unnamed));
            // Without a name it is gone with its last reader, whatever happens to the process or to whoever asked.
            fs::remove_file(&unnamed).map_err(BackupError::file(&unnamed))?;
            Ok((made, file?))
        };
        let (made, file) = self.make(path, at, passphrase, gone, taken).await?;
        asked.disarm();
        Ok(Download { file, bytes: made.bytes, name: name_of(at), manifest: made.manifest, place })
    }
}

/// Takes the oldest away until `keep` are left; never the one just made, and never a file of another name.
pub(super) fn prune(dir: &Path, keep: usize, made: &Path) {
    let others = kept(dir).unwrap_or_default().into_iter().map(|k| dir.join(k.name)).filter(|p| p != made);
    // What names a later time than the one just made comes from a clock that was ahead: it does not push real ones out.
    let (ahead, before): (Vec<_>, Vec<_>) = others.partition(|p| p.as_path() > made);
    for old in before.into_iter().chain(ahead).skip(keep.saturating_sub(1)) {
        if let Err(e) = fs::remove_file(&old) {
            tracing::warn!(file = %old.display(), error = %e, "an old backup could not be removed");
        }
    }
}

async fn blocking<R: Send + 'static>(
    work: impl FnOnce() -> Result<R, BackupError> + Send + 'static,
) -> Result<R, BackupError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(e) => Err(BackupError::File { path: "backup".to_owned(), why: format!("it ended by a panic: {e}") }),
    }
}
