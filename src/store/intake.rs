//! The intake: one thread that gives deliveries their sequence numbers and appends them durably. Without indexes, so that
//! an acknowledgement never waits for correlation, and a storm costs one commit per drained group. What the writer has
//! applied lies in the main file and is forgotten here: the file stays small, and so is the walk over it after a kill.

mod groups;

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use redb::{Durability, ReadableTable, Table};
use tokio::{
    runtime::Handle,
    sync::{mpsc::error::SendTimeoutError, oneshot},
};

use groups::{Entrance, Groups, Weighed};

use super::{
    NewDelivery, StoreError, SubmitError, Submitted,
    file::File,
    pack::{self, Packer},
    received::Received,
    space::Space,
    tables, veil,
};
use crate::model::{DeliveryId, Time};

/// Applied deliveries are forgotten when there are this many of them: what is taken out at the other end of the table costs
/// pages of its own, however much it is.
const FORGET_FROM: u64 = 512;
/// Blobs forgotten with one group at most; a group of the largest size brings fewer.
const FORGET: usize = 256;
/// A sender's retry is known as one for this long; the longest-lived retries of the supported platforms end within hours.
pub(super) const RETRY_KNOWN: Duration = Duration::from_secs(3 * 24 * 3600);
/// Retry ids forgotten with one group at most, for each delivery in it.
const FORGET_RETRIES: usize = 2;
/// How long a sender waits for a place in the queue before it is told to come back.
const QUEUE_WAIT: Duration = Duration::from_secs(5);

type Answer = oneshot::Sender<Result<Submitted, SubmitError>>;
/// Who sent it is waiting.
type Waiting = (Received, Answer);

impl Weighed for Waiting {
    fn bytes(&self) -> usize {
        self.0.size()
    }
}

/// The way into the intake thread.
#[derive(Debug)]
pub struct Intake {
    entrance: Entrance<Waiting>,
    last: Arc<AtomicU64>,
}

/// What the thread works with.
struct Worker {
    file: Arc<File>,
    // The generation of the file that `last` was read from.
    generation: u64,
    last: Arc<AtomicU64>,
    applied: Arc<AtomicU64>,
    max_behind: u64,
    space: Space,
    wake: Box<dyn Fn() + Send>,
    // None outside a runtime.
    runtime: Option<Handle>,
}

impl Intake {
    /// Starts the thread. `applied` is the writer's position; `wake` is called after every durable group.
    pub fn start(
        file: Arc<File>,
        applied: Arc<AtomicU64>,
        max_behind: u64,
        space: Space,
        wake: impl Fn() + Send + 'static,
    ) -> Result<(Self, JoinHandle<()>), StoreError> {
        let generation = file.generation();
        let last = Arc::new(AtomicU64::new(last_seq(&file)?));
        let (entrance, groups) = groups::groups();
        let worker = Worker {
            file,
            generation,
            last: Arc::clone(&last),
            applied,
            max_behind,
            space,
            wake: Box::new(wake),
            runtime: Handle::try_current().ok(),
        };
        let thread = std::thread::Builder::new().name("intake".to_owned()).spawn(move || worker.run(groups))?;
        Ok((Self { entrance, last }, thread))
    }

    /// Stores a delivery durably.
    pub async fn submit(&self, delivery: NewDelivery) -> Result<Submitted, SubmitError> {
        // Here and not on the thread: there is one thread for all, and many that submit.
        let received = Received::new(&delivery)?;
        drop(delivery);
        let (answer, answered) = oneshot::channel();
        match self.entrance.send((received, answer), QUEUE_WAIT).await {
            Ok(()) => answered.await.unwrap_or(Err(StoreError::Stopped.into())),
            Err(SendTimeoutError::Timeout(_)) => Err(SubmitError::Overloaded { retry_after_secs: 5 }),
            Err(SendTimeoutError::Closed(_)) => Err(StoreError::Stopped.into()),
        }
    }

    /// The last sequence number on the disk, as it grows.
    pub fn last_handle(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.last)
    }
}

impl Worker {
    fn run(mut self, groups: Groups<Waiting>) {
        // Ends when the last sender is gone: everything accepted before that is still committed.
        for group in groups {
            self.take(group);
        }
    }

    fn take(&mut self, group: Vec<Waiting>) {
        if let Err(e) = guarded(|| self.ready()) {
            return refuse(group.into_iter().map(|(_, answer)| answer), &e);
        }
        let last = self.last.load(Ordering::Acquire);
        let applied = self.applied.load(Ordering::Acquire);
        let behind = last.saturating_sub(applied);
        if behind.saturating_add(group.len() as u64) > self.max_behind {
            for (_, answer) in group {
                // The sender may be gone; there is nobody else to tell.
                let _ = answer.send(Err(SubmitError::Overloaded { retry_after_secs: 2 }));
            }
            return;
        }
        let (deliveries, answers): (Vec<_>, Vec<_>) = group.into_iter().unzip();
        match guarded(|| append(&self.file, last, applied, deliveries)) {
            Ok((new_last, results)) => {
                self.last.store(new_last, Ordering::Release);
                (self.wake)();
                self.tell(answers, results);
            }
            Err(e) => {
                tracing::error!(error = %e, deliveries = answers.len(), "deliveries could not be stored; their senders were told so");
                self.file.note(&e);
                refuse(answers, &e);
            }
        }
    }

    /// Tells the senders that their deliveries are on the disk. On the runtime, where waking many tasks is cheap: this
    /// thread would enter the kernel for each of them, while the next group waits.
    fn tell(&self, answers: Vec<Answer>, results: Vec<Submitted>) {
        let many = answers.len() > 1;
        let tell = move || {
            for (answer, submitted) in answers.into_iter().zip(results) {
                // The sender may be gone; what it sent is kept all the same.
                let _ = answer.send(Ok(submitted));
            }
        };
        match &self.runtime {
            Some(runtime) if many => drop(runtime.spawn(async move { tell() })),
            _ => tell(),
        }
    }

    /// Whether the file can be written. The writer opens it again when not, and then what is on it is what counts: a
    /// commit that seemed to fail may be there.
    fn ready(&mut self) -> Result<(), StoreError> {
        if let Some(e) = self.file.failed() {
            return Err(e);
        }
        // Before the database fails: what is left is for the writer, which must apply what was acknowledged.
        self.space.enough()?;
        let generation = self.file.generation();
        if generation != self.generation {
            self.last.store(last_seq(&self.file)?, Ordering::Release);
            self.generation = generation;
        }
        Ok(())
    }
}

/// A damaged page can make redb panic: the thread must outlive that, or nothing is taken until the process starts anew. The
/// error is one after which the file is opened again, because what is on it is no longer known.
fn guarded<R>(work: impl FnOnce() -> Result<R, StoreError>) -> Result<R, StoreError> {
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|_| Err(StoreError::Io("writing to the intake's file panicked".to_owned())))
}

fn refuse(answers: impl IntoIterator<Item = Answer>, e: &StoreError) {
    for answer in answers {
        let _ = answer.send(Err(SubmitError::Store(e.clone())));
    }
}

/// Appends a group in one durable transaction, and forgets what the writer has applied up to `applied`.
fn append(file: &File, mut last: u64, applied: u64, group: Vec<Received>) -> Result<(u64, Vec<Submitted>), StoreError> {
    let mut txn = file.write()?;
    txn.set_durability(Durability::Immediate)?;
    // One phase, because every sender waits for each sync. What a power cut leaves of it is told by checksums, which nobody
    // can make out: of what senders chose, bodies are veiled and their ids for retries hashed by SHA-256.
    txn.set_two_phase_commit(false);
    let mut results = Vec::with_capacity(group.len());
    {
        let mut blobs = txn.open_table(tables::BLOBS)?;
        let mut retries = txn.open_table(tables::RETRIES)?;
        let mut order = txn.open_table(tables::RETRY_ORDER)?;
        let newest = group.iter().map(|d| d.at).max();
        forget_applied(&mut blobs, applied)?;
        if let Some(newest) = newest {
            forget_retries(&mut retries, &mut order, newest.minus(RETRY_KNOWN), FORGET_RETRIES * group.len())?;
        }
        let mut pack = Packer::for_about(group.iter().map(Received::size).sum());
        for new in group {
            if let Some(key) = new.retry {
                let first = retries.get(key)?.map(|first| first.value());
                if let Some((seq, at)) = first {
                    results.push(Submitted { id: DeliveryId::new(Time::from_millis(at), seq), seq, retry: true });
                    continue;
                }
            }
            last += 1;
            let id = DeliveryId::new(new.at, last);
            if let Some(key) = new.retry {
                retries.insert(key, (last, new.at.millis()))?;
                order.insert(last, key)?;
            }
            results.push(Submitted { id, seq: last, retry: false });
            let row = new.row(last, id)?;
            if let Some((first, blob)) = pack.push(last, &row) {
                blobs.insert(first, veil::over(&blob)?.as_slice())?;
            }
        }
        if let Some((first, blob)) = pack.finish() {
            blobs.insert(first, veil::over(&blob)?.as_slice())?;
        }
    }
    txn.commit()?;
    Ok((last, results))
}

/// Removes blobs that are wholly applied; the last one stays and tells the last number.
fn forget_applied(blobs: &mut Table<'_, u64, &'static [u8]>, applied: u64) -> Result<(), StoreError> {
    let firsts: Vec<u64> =
        blobs.range(..=applied)?.take(FORGET + 1).map(|row| Ok(row?.0.value())).collect::<Result<_, StoreError>>()?;
    if firsts.first().is_none_or(|first| applied - first < FORGET_FROM) {
        return Ok(());
    }
    // A blob ends where the next one begins. What begins after `applied` was not read, so the last one read stays.
    for first in firsts.iter().take(firsts.len() - 1) {
        blobs.remove(first)?;
    }
    Ok(())
}

fn forget_retries(
    retries: &mut Table<'_, u128, (u64, i64)>,
    order: &mut Table<'_, u64, u128>,
    before: Time,
    most: usize,
) -> Result<(), StoreError> {
    for _ in 0..most {
        let Some((seq, key)) = order.first()?.map(|(seq, key)| (seq.value(), key.value())) else { return Ok(()) };
        let old = retries.get(key)?.is_none_or(|first| first.value().1 < before.millis());
        if !old {
            return Ok(());
        }
        retries.remove(key)?;
        order.remove(seq)?;
    }
    Ok(())
}

/// The last sequence number on the disk; 0 when empty.
pub fn last_seq(file: &File) -> Result<u64, StoreError> {
    pack::last_seq(&file.read()?.open_table(tables::BLOBS)?)
}

/// The first sequence number that is still on the disk; none when empty.
pub fn first_seq(file: &File) -> Result<Option<u64>, StoreError> {
    Ok(file.read()?.open_table(tables::BLOBS)?.first()?.map(|(first, _)| first.value()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::*;

    fn delivery(n: usize, retry: Option<&str>) -> Received {
        Received::new(&NewDelivery {
            at: Time::from_secs(1_772_500_000),
            platform: "grafana".into(),
            outcome: DeliveryOutcome::Accepted,
            problem: None,
            headers: Vec::new(),
            body: format!("{{\"n\":{n},\"pad\":\"{}\"}}", "x".repeat(n % 5000)).into_bytes(),
            parsed: Parsed { retry_id: retry.map(str::to_owned), ..Parsed::default() },
            replay_of: None,
        })
        .unwrap()
    }

    fn database() -> (tempfile::TempDir, File) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("intake.redb");
        let db = File::open(move || Ok(redb::Database::create(&path)?)).unwrap();
        let txn = db.write().unwrap();
        txn.open_table(tables::BLOBS).unwrap();
        txn.open_table(tables::RETRIES).unwrap();
        txn.open_table(tables::RETRY_ORDER).unwrap();
        txn.commit().unwrap();
        (dir, db)
    }

    #[test]
    fn numbers_go_on_and_every_delivery_is_found_again() {
        let (_dir, db) = database();
        let mut last = 0;
        for group in [1usize, 700, 3] {
            let (new_last, results) = append(&db, last, 0, (0..group).map(|n| delivery(n, None)).collect()).unwrap();
            assert_eq!(results.iter().map(|r| r.seq).collect::<Vec<_>>(), (last + 1..=new_last).collect::<Vec<_>>());
            last = new_last;
            assert_eq!(last_seq(&db).unwrap(), last);
        }
        let txn = db.read().unwrap();
        let blobs = txn.open_table(tables::BLOBS).unwrap();
        for seq in 1..=last {
            assert_eq!(pack::read_one(&blobs, seq).unwrap().unwrap().seq, seq);
        }
        assert_eq!(pack::read_one(&blobs, last + 1).unwrap(), None);
        for (after, max) in [(0, 10_000), (0, 5), (350, 10), (last, 10), (last - 1, 10)] {
            let found: Vec<u64> =
                pack::read_after(&blobs, after, max, usize::MAX).unwrap().iter().map(|s| s.delivery.seq).collect();
            let want: Vec<u64> = (after + 1..=last).take(max).collect();
            assert_eq!(found, want, "after {after}, {max} at most");
        }
    }

    /// The commits are of one phase: what senders can choose must not stand in the file as they chose it.
    #[test]
    fn nothing_stands_in_the_file_as_it_was_sent() {
        let (dir, db) = database();
        let (body, retry) = ("sent by somebody who means ill", "ill-retry-0123456789");
        let sent = Received::new(&NewDelivery {
            at: Time::from_secs(1_772_500_000),
            platform: "grafana".into(),
            outcome: DeliveryOutcome::Accepted,
            problem: None,
            headers: vec![("user-agent".to_owned(), "ill-header-0123456789".to_owned())],
            body: body.as_bytes().to_vec(),
            parsed: Parsed { retry_id: Some(retry.to_owned()), ..Parsed::default() },
            replay_of: None,
        })
        .unwrap();
        append(&db, 0, 0, vec![sent]).unwrap();
        let read = pack::read_one(&db.read().unwrap().open_table(tables::BLOBS).unwrap(), 1).unwrap().unwrap();
        assert_eq!(read.body, body.as_bytes());
        db.close();
        let file = std::fs::read(dir.path().join("intake.redb")).unwrap();
        for chosen in [body, retry, "ill-header-0123456789"] {
            assert!(memchr::memmem::find(&file, chosen.as_bytes()).is_none(), "{chosen}");
        }
    }

    #[test]
    fn a_senders_retry_gets_the_first_answer_again() {
        let (_dir, db) = database();
        let (last, first) = append(&db, 0, 0, vec![delivery(1, Some("a")), delivery(2, Some("a"))]).unwrap();
        assert_eq!((last, first[1].retry, first[1].id), (1, true, first[0].id));
        let (last, again) = append(&db, last, 0, vec![delivery(3, Some("a")), delivery(4, Some("b"))]).unwrap();
        assert_eq!((last, again[0].id, again[0].retry, again[1].retry), (2, first[0].id, true, false));
    }

    fn firsts(db: &File) -> Vec<u64> {
        let txn = db.read().unwrap();
        let blobs = txn.open_table(tables::BLOBS).unwrap();
        blobs.iter().unwrap().map(|row| row.unwrap().0.value()).collect()
    }

    #[test]
    fn what_is_applied_is_forgotten_but_for_the_end() {
        let (_dir, db) = database();
        let mut last = 0;
        for _ in 0..100 {
            last = append(&db, last, 0, (0..12).map(|n| delivery(n, None)).collect()).unwrap().0;
        }
        assert_eq!(firsts(&db).len(), 100);
        // Few are not worth the work.
        last = append(&db, last, FORGET_FROM, vec![delivery(1, None)]).unwrap().0;
        assert_eq!(firsts(&db).first(), Some(&1));
        last = append(&db, last, 600, vec![delivery(1, None)]).unwrap().0;
        // The blob that ends with 600 is applied as well, which only the next blob tells.
        assert_eq!(firsts(&db).first(), Some(&589));
        // All of it is applied: the last blob tells the number to go on from.
        last = append(&db, last, last, vec![delivery(1, None)]).unwrap().0;
        assert_eq!((firsts(&db), last_seq(&db).unwrap()), (vec![last - 1, last], 1203));
    }

    #[test]
    fn retry_ids_are_forgotten_after_days() {
        let (_dir, db) = database();
        let at = |days: u64, id: &str| {
            let mut delivery = delivery(1, Some(id));
            delivery.at = delivery.at.plus(Duration::from_secs(days * 24 * 3600));
            delivery
        };
        let (last, _) = append(&db, 0, 0, vec![at(0, "a"), at(2, "b")]).unwrap();
        let (last, results) = append(&db, last, 0, vec![at(2, "a"), at(2, "b")]).unwrap();
        assert_eq!(results.iter().map(|r| (r.seq, r.retry)).collect::<Vec<_>>(), [(1, true), (2, true)]);
        let (last, results) = append(&db, last, 0, vec![at(4, "a"), at(4, "b"), at(4, "c")]).unwrap();
        assert_eq!(results.iter().map(|r| (r.seq, r.retry)).collect::<Vec<_>>(), [(3, false), (2, true), (4, false)]);
        assert_eq!(last, 4);
        let txn = db.read().unwrap();
        let kept = redb::ReadableTableMetadata::len(&txn.open_table(tables::RETRY_ORDER).unwrap()).unwrap();
        assert_eq!(
            (kept, redb::ReadableTableMetadata::len(&txn.open_table(tables::RETRIES).unwrap()).unwrap()),
            (3, 3)
        );
    }
}
