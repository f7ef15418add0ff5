//! The writer: one thread that owns every write to the main file. Follows the intake in groups, runs commands between
//! them, keeps the timers, and publishes the last change sequence when it is durable.

mod ahead;
mod light;
mod timers;

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc,
    },
    time::Duration,
};

use redb::ReadableTable;
use tokio::sync::{Semaphore, oneshot, watch};

use light::Light;

use super::{
    CommandError, Policy, StoreError, acting, apply, codec, file::File, insights, pack, pack::Stored, retention,
    tables, trouble::Trouble, tx::Tx, views::Remembered, world::World,
};
use crate::{
    model::{
        CorrelationSettings, Delivery, DeliveryOutcome, DeliveryRow, InvestigationSettings, Parsed, Problem, Time,
    },
    runtime::clock::{Clock, Wait},
};

/// Deliveries and bytes applied in one transaction.
pub(super) const GROUP: usize = 4_000;
const GROUP_BYTES: usize = 16 << 20;
/// Of them so many, and so many bytes, are in memory at a time.
const CHUNK: usize = 256;
const CHUNK_BYTES: usize = 1 << 20;
/// A group of this many shows that there is load: the next one waits, so that it is large and cheap.
const LOADED: usize = 64;
const PACE: Duration = Duration::from_millis(200);
/// Timers are looked at this often on the machine's clock; a manual clock wakes the thread itself.
const TICK: Duration = Duration::from_millis(500);
/// Commands that may wait.
const COMMANDS: usize = 1024;
/// Commands run before the next group is looked at, although it is due: each is a durable commit.
const COMMANDS_BETWEEN: u32 = 16;
/// Rows of the change log kept for replay.
pub(super) const KEEP_CHANGES: u64 = 100_000;
/// The change log is trimmed when it is this much too long.
const TRIM: u64 = 10_000;
/// Between two steps of the retention when there is nothing else to do: the disk is for others as well.
const SWEEP_PAUSE: Duration = Duration::from_millis(100);
/// After a failed transaction, before the next attempt.
const RETRY: Duration = Duration::from_secs(1);
/// Between two attempts to open a file again: after an error that may mean reading all of it.
const REOPEN: Duration = Duration::from_millis(if cfg!(test) { 50 } else { 5_000 });

type Command = Box<dyn FnOnce(&mut Writer) + Send>;

enum Work {
    Command(Command),
    /// The intake grew, or a manual clock moved.
    Look,
    Stop,
}

/// The way into the writer thread.
#[derive(Debug)]
pub struct Handle {
    work: mpsc::Sender<Work>,
    // Many intake groups while the writer is busy need one wake-up only.
    woken: Arc<AtomicBool>,
    places: Arc<Semaphore>,
    health: Arc<Trouble>,
}

/// The thread's own state.
pub struct Writer {
    main: Arc<File>,
    intake: Arc<File>,
    world: World,
    // As configured, and with what people set.
    configured: Policy,
    policy: Policy,
    settings: (CorrelationSettings, InvestigationSettings),
    clock: Clock,
    position: Arc<watch::Sender<u64>>,
    applied: Arc<AtomicU64>,
    changes: watch::Sender<u64>,
    remembered: Arc<Remembered>,
    health: Arc<Trouble>,
    stale: bool,
    // The last group ended because it was large: more waits.
    full: bool,
    // From the arrival of the last group's first delivery until all of it was on the disk.
    waited: Duration,
    // Deliveries that are still applied one at a time, because a group of them could not be.
    singly: usize,
    mended: Wait,
    last_trim: Time,
    // The latest time that was seen, and how long the process had run by then.
    seen: (Time, Duration),
    trust: retention::Trust,
    // The last step of the retention removed all it might: there is more.
    sweeping: bool,
    // Nothing is removed until this is over: something stands in the way that a person must look at.
    sweep_again: Wait,
    // Nor is anything done about mutes.
    mutes_again: Wait,
}

impl Handle {
    /// Runs a command in a transaction of its own. An `Err` of the command leaves everything as it was.
    pub async fn command<R: Send + 'static>(
        &self,
        f: impl FnOnce(&mut Tx<'_>) -> Result<R, CommandError> + Send + 'static,
    ) -> Result<R, CommandError> {
        let place = Arc::clone(&self.places).acquire_owned().await.map_err(|_| StoreError::Stopped)?;
        let (answer, answered) = oneshot::channel();
        let from = acting::here();
        let command: Command = Box::new(move |writer| {
            let _place = place;
            let acted = |tx: &mut Tx<'_>| {
                tx.from = from;
                f(tx)
            };
            // The asker may have gone away; the command is done all the same.
            let _ = answer.send(writer.transaction(acted));
        });
        self.work.send(Work::Command(command)).map_err(|_| StoreError::Stopped)?;
        answered.await.unwrap_or(Err(CommandError::Store(StoreError::Stopped)))
    }

    /// Runs `f` on the thread, when no transaction is open.
    pub async fn look_at<R: Send + 'static>(
        &self,
        f: impl FnOnce() -> Result<R, CommandError> + Send + 'static,
    ) -> Result<R, CommandError> {
        let place = Arc::clone(&self.places).acquire_owned().await.map_err(|_| StoreError::Stopped)?;
        let (answer, answered) = oneshot::channel();
        let command: Command = Box::new(move |_| {
            let _place = place;
            // The asker may have gone away.
            let _ = answer.send(f());
        });
        self.work.send(Work::Command(command)).map_err(|_| StoreError::Stopped)?;
        answered.await.unwrap_or(Err(CommandError::Store(StoreError::Stopped)))
    }

    /// Has the thread look at the intake and the timers.
    pub fn look(&self) {
        if !self.woken.swap(true, Ordering::AcqRel) {
            // A stopped writer needs no waking.
            let _ = self.work.send(Work::Look);
        }
    }

    /// Lets the thread apply what is stored and end.
    pub fn stop(&self) {
        let _ = self.work.send(Work::Stop);
    }

    /// Why nothing can be written, if so.
    pub fn health(&self) -> Result<(), StoreError> {
        self.health.get().map_or(Ok(()), Err)
    }
}

/// What the thread is started with.
pub struct Start {
    /// The main file.
    pub main: Arc<File>,
    /// The intake's file.
    pub intake: Arc<File>,
    /// What to decide by.
    pub policy: Policy,
    /// The time.
    pub clock: Clock,
    /// Told the position after every transaction.
    pub position: Arc<watch::Sender<u64>>,
    /// The same for the intake thread.
    pub applied: Arc<AtomicU64>,
    /// Told the last change after every transaction.
    pub changes: watch::Sender<u64>,
    /// Told the alerts of every transaction.
    pub remembered: Arc<Remembered>,
}

/// Starts the thread.
pub fn start(start: Start) -> Result<(Handle, std::thread::JoinHandle<()>), StoreError> {
    let mut world = World::load(&start.main.read()?)?;
    if counted_otherwise(&start.main)? {
        tracing::info!("counting what insights show anew from all that is stored");
        recount(&start.main, &mut world, &start.policy, start.clock.now())?;
    }
    // Also while the process was not running.
    let seen = (last_applied(&start.main)?.max(start.clock.now()), start.clock.uptime());
    let (work, inbox) = mpsc::channel();
    let health = Arc::<Trouble>::default();
    let woken = Arc::new(AtomicBool::new(false));
    let handle = Handle {
        work,
        woken: Arc::clone(&woken),
        places: Arc::new(Semaphore::new(COMMANDS)),
        health: Arc::clone(&health),
    };
    let writer = Box::new(Writer {
        main: start.main,
        intake: start.intake,
        policy: start.policy.with(&world.correlation).investigating(&world.investigation),
        settings: (world.correlation, world.investigation),
        configured: start.policy,
        world,
        trust: retention::Trust::new(&start.clock),
        sweeping: false,
        sweep_again: Wait::begin(Duration::ZERO),
        mutes_again: Wait::begin(Duration::ZERO),
        clock: start.clock,
        position: start.position,
        applied: start.applied,
        changes: start.changes,
        remembered: start.remembered,
        health,
        stale: false,
        full: false,
        waited: Duration::ZERO,
        singly: 0,
        mended: Wait::begin(Duration::ZERO),
        last_trim: Time::from_millis(0),
        seen,
    });
    let light = Light::start()?;
    let work = move || run(writer, &light, &inbox, &woken);
    let thread = std::thread::Builder::new().name("writer".to_owned()).spawn(work)?;
    Ok((handle, thread))
}

/// Whether insights were counted by other rules than this version's, or not at all.
fn counted_otherwise(main: &File) -> Result<bool, StoreError> {
    let rules = main.read()?.open_table(tables::META)?.get(tables::meta::INSIGHTS)?.map(|n| n.value());
    Ok(rules != Some(insights::RULES))
}

fn recount(main: &File, world: &mut World, policy: &Policy, now: Time) -> Result<(), StoreError> {
    let mut txn = main.write()?;
    txn.set_quick_repair(true);
    let mut tx = Tx::open(&txn, world, policy, now)?;
    tx.recount()?;
    tx.finish()?;
    Ok(txn.commit()?)
}

/// When the newest delivery was applied.
fn last_applied(main: &File) -> Result<Time, StoreError> {
    let deliveries = main.read()?.open_table(tables::DELIVERIES)?;
    let newest = deliveries.last()?.map(|(_, row)| codec::decode::<DeliveryRow>(row.value())).transpose()?;
    Ok(newest.map_or(Time::from_millis(0), |row| row.applied_at))
}

fn run(mut writer: Box<Writer>, light: &Light, inbox: &mpsc::Receiver<Work>, woken: &AtomicBool) {
    let mut wait = Wait::begin(Duration::ZERO);
    let mut paced = false;
    let mut commands = 0;
    let mut stopping = false;
    loop {
        match inbox.recv_timeout(wait.left()) {
            Ok(Work::Command(command)) => {
                command(&mut writer);
                commands += 1;
                // Commands go between groups, but many of them do not hold the next group up.
                if commands < COMMANDS_BETWEEN {
                    continue;
                }
            }
            // `woken` stays set, so no further wake-up comes, and the wait runs to its end.
            Ok(Work::Look) if paced => continue,
            Ok(Work::Look) | Err(mpsc::RecvTimeoutError::Timeout) => {}
            Ok(Work::Stop) | Err(mpsc::RecvTimeoutError::Disconnected) => stopping = true,
        }
        commands = 0;
        woken.store(false, Ordering::Release);
        let Some((back, round)) = light.round(writer) else {
            tracing::error!("the thread that applies deliveries ended; nothing more is applied until a new start");
            return;
        };
        writer = back;
        let (pause, hold) = match round {
            Ok(0) if stopping => return,
            // There is time for it, and what comes meanwhile interrupts the wait.
            Ok(0) if writer.sweeping => (SWEEP_PAUSE, false),
            Ok(0) => (TICK, false),
            // What a full group left behind has waited long enough.
            Ok(applied) if applied >= LOADED && !writer.full && !stopping => (PACE, true),
            Ok(_) => (Duration::ZERO, false),
            Err(_) if stopping => return,
            Err(_) => (RETRY, true),
        };
        // Begun once: commands in between must not put the next round off.
        (wait, paced) = (Wait::begin(pause), hold);
    }
}

impl Writer {
    /// How many deliveries wait.
    fn behind(&self) -> u64 {
        let last = || pack::last_seq(&self.intake.read()?.open_table(tables::BLOBS)?);
        // What cannot be read, or makes redb panic, fails the round as well, which says so.
        let last = catch_unwind(AssertUnwindSafe(last)).ok().and_then(Result::ok);
        last.unwrap_or_default().saturating_sub(self.world.last(tables::meta::POSITION))
    }

    /// Applies the next group and what the timers ask for. Returns how many deliveries were applied.
    fn round(&mut self) -> Result<usize, StoreError> {
        let work = || {
            self.mend().and_then(|()| self.mutes()).and_then(|()| self.group()).and_then(|n| self.timers(n).map(|()| n))
        };
        // A damaged page can make redb panic: that must be said, and not end the thread that says it.
        let result = catch_unwind(AssertUnwindSafe(work))
            .unwrap_or_else(|_| Err(StoreError::Damaged("the store could not be read: it panicked".to_owned())));
        self.note_health(result.as_ref().err());
        result
    }

    fn note_health(&self, error: Option<&StoreError>) {
        match (self.health.get(), error) {
            (None, Some(e)) => {
                tracing::error!(error = %e, "the store cannot be written; deliveries are refused until it can")
            }
            (Some(_), None) => tracing::info!("the store can be written again"),
            _ => {}
        }
        self.health.set(error.cloned());
    }

    /// Applies what waits, in one transaction. Returns how many deliveries that were.
    fn group(&mut self) -> Result<usize, StoreError> {
        self.refresh()?;
        let position = self.world.last(tables::meta::POSITION);
        let most = if self.singly > 0 { 1 } else { GROUP };
        let first = waiting(&self.intake, position, most.min(CHUNK))?;
        let Some(alone) = first.first().cloned() else { return Ok(0) };
        let intake = Arc::clone(&self.intake);
        let (mut count, mut bytes) = (first.len(), 0);
        let left = self.behind().saturating_sub(count as u64);
        let result = std::thread::scope(|threads| {
            let more = left > 0 && most > count;
            let following = more.then(|| ahead::start(threads, &intake, position + count as u64, most - count));
            self.transaction(|tx| {
                for stored in &first {
                    apply::delivery(tx, &stored.delivery, &[])?;
                    tx.keep_raw(stored)?;
                    bytes += stored.row.len();
                }
                for chunk in following.into_iter().flatten() {
                    for (stored, docs) in &chunk {
                        apply::delivery(tx, &stored.delivery, docs)?;
                        tx.keep_raw(stored)?;
                        bytes += stored.row.len();
                    }
                    count += chunk.len();
                    if bytes >= GROUP_BYTES {
                        break;
                    }
                }
                // With the group that made it grow, so that no storm outruns the trimming.
                tx.trim_change_log(KEEP_CHANGES, TRIM, 4 * TRIM as usize)?;
                Ok(())
            })
        });
        match result.map_err(as_store) {
            // One of them cannot be applied, whenever it is tried: the others must not wait for it for ever.
            Err(StoreError::Damaged(_)) if count > 1 => {
                self.singly = count;
                return self.group();
            }
            Err(StoreError::Damaged(why)) => self.set_aside(&alone, &why)?,
            done => done?,
        }
        self.singly = self.singly.saturating_sub(count);
        self.full = count >= GROUP || bytes >= GROUP_BYTES;
        self.waited = self.clock.now().since(alone.delivery.at);
        Ok(count)
    }

    /// Keeps a delivery that cannot be applied as one that was not understood.
    fn set_aside(&mut self, stored: &Stored, why: &str) -> Result<(), StoreError> {
        let delivery = &stored.delivery;
        tracing::error!(delivery = %delivery.id, why, "a delivery cannot be applied; it is kept and set aside");
        self.transaction(|tx| {
            apply::delivery(tx, &not_applied(delivery.clone()), &[])?;
            Ok(tx.keep_raw(stored)?)
        })
        .map_err(as_store)
    }

    /// Opens the files again that failed.
    fn mend(&mut self) -> Result<(), StoreError> {
        for file in [Arc::clone(&self.main), Arc::clone(&self.intake)] {
            let Some(error) = file.failed() else { continue };
            if !self.mended.left().is_zero() {
                return Err(error);
            }
            self.mended = Wait::begin(REOPEN);
            file.reopen()?;
            tracing::warn!(error = %error, "a file of the store was opened again after an error");
            // A commit that seemed to fail may be on the disk.
            self.stale = true;
            self.refresh()?;
            self.publish();
        }
        Ok(())
    }

    /// After a failed transaction the memory may be ahead of the disk: read it again.
    fn refresh(&mut self) -> Result<(), StoreError> {
        if self.stale {
            self.world = World::load(&self.main.read()?)?;
            self.remembered.newest.doubted();
            self.stale = false;
        }
        Ok(())
    }

    /// Runs `f` in one durable transaction.
    fn transaction<R>(&mut self, f: impl FnOnce(&mut Tx<'_>) -> Result<R, CommandError>) -> Result<R, CommandError> {
        if let Some(e) = self.main.failed() {
            return Err(e.into());
        }
        self.refresh()?;
        self.world.touched = false;
        // A fault in one piece of work must not take the thread along, and with it every write to come.
        let result = catch_unwind(AssertUnwindSafe(|| self.attempt(f)))
            .unwrap_or_else(|_| Err(StoreError::Damaged("a change could not be made: it panicked".to_owned()).into()));
        // A command that was refused before it changed anything needs no new memory.
        self.stale = result.is_err() && self.world.touched;
        if let Err(CommandError::Store(e)) = &result {
            self.main.note(e);
        }
        result
    }

    fn attempt<R>(&mut self, f: impl FnOnce(&mut Tx<'_>) -> Result<R, CommandError>) -> Result<R, CommandError> {
        let settings = (self.world.correlation, self.world.investigation);
        if self.settings != settings {
            self.settings = settings;
            self.policy = self.configured.with(&settings.0).investigating(&settings.1);
        }
        let mut txn = self.main.write()?;
        // Without quick-repair a kill costs a walk over the whole file at the next start.
        txn.set_quick_repair(true);
        let mut tx = Tx::open(&txn, &mut self.world, &self.policy, self.clock.now())?;
        let result = f(&mut tx)?;
        let alerts = tx.finish()?;
        txn.commit()?;
        self.remembered.newest.touched(alerts);
        #[cfg(test)]
        self.memory_says_what_the_disk_says();
        self.publish();
        Ok(result)
    }

    /// Tells everybody how far the disk has come, which the memory now says as well.
    fn publish(&self) {
        let position = self.world.last(tables::meta::POSITION);
        self.applied.store(position, Ordering::Release);
        self.position.send_replace(position);
        self.changes.send_replace(self.world.last(tables::meta::CHANGE));
    }
}

#[cfg(test)]
impl Writer {
    fn memory_says_what_the_disk_says(&mut self) {
        let mut loaded = World::load(&self.main.read().unwrap()).unwrap();
        loaded.touched = self.world.touched;
        assert_eq!(loaded, self.world);
        super::View::of(&self.main, &self.main, Arc::clone(&self.remembered)).unwrap().newest_says_what_rows_say();
    }
}

/// The delivery without what cannot be applied: as one that was not understood, it is shown and can be replayed.
fn not_applied(delivery: Delivery) -> Delivery {
    let detail = "applying this delivery failed in an unforeseen way; it is kept and can be replayed";
    let problem = Problem { code: "not_applied".to_owned(), detail: detail.to_owned(), path: None };
    Delivery { outcome: DeliveryOutcome::Unparsed, problem: Some(problem), parsed: Parsed::default(), ..delivery }
}

/// What the intake has after that position.
fn waiting(intake: &File, position: u64, most: usize) -> Result<Vec<Stored>, StoreError> {
    let read = || pack::read_after(&intake.read()?.open_table(tables::BLOBS)?, position, most, CHUNK_BYTES);
    read().inspect_err(|e| intake.note(e))
}

fn as_store(e: CommandError) -> StoreError {
    match e {
        CommandError::Store(e) => e,
        other => StoreError::Damaged(other.to_string()),
    }
}
