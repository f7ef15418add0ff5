//! The intake: one thread that gives deliveries their sequence numbers and appends them durably. Append-only and without
//! indexes, so that an acknowledgement never waits for correlation, and a storm costs one commit per drained group.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use redb::{Durability, ReadableTable};
use sha2::{Digest, Sha256};
use tokio::sync::{mpsc, oneshot};

use super::{NewDelivery, StoreError, SubmitError, Submitted, codec, file::File, tables};
use crate::model::{Delivery, DeliveryId};

/// Deliveries that may wait for the intake thread; a sender beyond that waits for a place.
const QUEUE: usize = 4096;
/// A group is committed at the latest when it holds this many bytes of bodies.
const GROUP_BYTES: usize = 8 << 20;
/// A group is committed at the latest when it holds this many deliveries.
const GROUP: usize = 4096;
/// Neighbours are packed together up to this size: 60 KB fits a redb leaf of 64 KiB with its header.
const BLOB_BYTES: usize = 60_000;
/// How long a sender waits for a place in the queue before it is told to come back.
const QUEUE_WAIT: Duration = Duration::from_secs(5);

type Answer = oneshot::Sender<Result<Submitted, SubmitError>>;

/// The way into the intake thread.
#[derive(Debug)]
pub struct Intake {
    queue: mpsc::Sender<(NewDelivery, Answer)>,
    last: Arc<AtomicU64>,
}

/// What the thread works with.
struct Worker {
    file: Arc<File>,
    // The generation of the file that `last` was read from.
    generation: u64,
    queue: mpsc::Receiver<(NewDelivery, Answer)>,
    last: Arc<AtomicU64>,
    applied: Arc<AtomicU64>,
    max_behind: u64,
    wake: Box<dyn Fn() + Send>,
}

impl Intake {
    /// Starts the thread. `applied` is the writer's position; `wake` is called after every durable group.
    pub fn start(
        file: Arc<File>,
        applied: Arc<AtomicU64>,
        max_behind: u64,
        wake: impl Fn() + Send + 'static,
    ) -> Result<(Self, JoinHandle<()>), StoreError> {
        let generation = file.generation();
        let last = Arc::new(AtomicU64::new(last_seq(&file)?));
        let (queue, receiver) = mpsc::channel(QUEUE);
        let worker = Worker {
            file,
            generation,
            queue: receiver,
            last: Arc::clone(&last),
            applied,
            max_behind,
            wake: Box::new(wake),
        };
        let thread = std::thread::Builder::new().name("intake".to_owned()).spawn(move || worker.run())?;
        Ok((Self { queue, last }, thread))
    }

    /// Stores a delivery durably.
    pub async fn submit(&self, delivery: NewDelivery) -> Result<Submitted, SubmitError> {
        let (answer, answered) = oneshot::channel();
        match self.queue.send_timeout((delivery, answer), QUEUE_WAIT).await {
            Ok(()) => answered.await.unwrap_or(Err(StoreError::Stopped.into())),
            Err(mpsc::error::SendTimeoutError::Timeout(_)) => Err(SubmitError::Overloaded { retry_after_secs: 5 }),
            Err(mpsc::error::SendTimeoutError::Closed(_)) => Err(StoreError::Stopped.into()),
        }
    }

    /// The last sequence number on the disk, as it grows.
    pub fn last_handle(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.last)
    }
}

impl Worker {
    fn run(mut self) {
        // Ends when the last sender of the queue is gone: everything accepted before that is still committed.
        while let Some(first) = self.queue.blocking_recv() {
            let mut group = vec![first];
            let mut bytes = 0;
            while group.len() < GROUP && bytes < GROUP_BYTES {
                let Ok(next) = self.queue.try_recv() else { break };
                bytes += next.0.body.len();
                group.push(next);
            }
            self.take(group);
        }
    }

    fn take(&mut self, group: Vec<(NewDelivery, Answer)>) {
        if let Err(e) = self.ready() {
            return refuse(group.into_iter().map(|(_, answer)| answer), &e);
        }
        let last = self.last.load(Ordering::Acquire);
        let behind = last.saturating_sub(self.applied.load(Ordering::Acquire));
        if behind.saturating_add(group.len() as u64) > self.max_behind {
            for (_, answer) in group {
                // The sender may be gone; there is nobody else to tell.
                let _ = answer.send(Err(SubmitError::Overloaded { retry_after_secs: 2 }));
            }
            return;
        }
        let (deliveries, answers): (Vec<_>, Vec<_>) = group.into_iter().unzip();
        match append(&self.file, last, deliveries) {
            Ok((new_last, results)) => {
                self.last.store(new_last, Ordering::Release);
                for (answer, submitted) in answers.into_iter().zip(results) {
                    let _ = answer.send(Ok(submitted));
                }
                (self.wake)();
            }
            Err(e) => {
                tracing::error!(error = %e, deliveries = answers.len(), "deliveries could not be stored; their senders were told so");
                self.file.note(&e);
                refuse(answers, &e);
            }
        }
    }

    /// Whether the file can be written. The writer opens it again when not, and then what is on it is what counts: a
    /// commit that seemed to fail may be there.
    fn ready(&mut self) -> Result<(), StoreError> {
        if let Some(e) = self.file.failed() {
            return Err(e);
        }
        let generation = self.file.generation();
        if generation != self.generation {
            self.last.store(last_seq(&self.file)?, Ordering::Release);
            self.generation = generation;
        }
        Ok(())
    }
}

fn refuse(answers: impl IntoIterator<Item = Answer>, e: &StoreError) {
    for answer in answers {
        let _ = answer.send(Err(SubmitError::Store(e.clone())));
    }
}

/// Appends a group in one durable transaction.
fn append(file: &File, mut last: u64, group: Vec<NewDelivery>) -> Result<(u64, Vec<Submitted>), StoreError> {
    let mut txn = file.write()?;
    txn.set_durability(Durability::Immediate)?;
    // Two phases: a one-phase commit can be attacked by bodies crafted to look like a commit slot at a crash.
    txn.set_two_phase_commit(true);
    let mut results = Vec::with_capacity(group.len());
    {
        let mut blobs = txn.open_table(tables::BLOBS)?;
        let mut retries = txn.open_table(tables::RETRIES)?;
        let mut pack = Packer::default();
        // Ids of deliveries of this very group, for a retry that arrives together with its first.
        let mut fresh = std::collections::HashMap::new();
        for new in group {
            let key = new.parsed.retry_id.as_deref().map(|id| retry_key(&new.platform, id));
            if let Some(key) = key {
                let first = retries.get(key)?.map(|seq| seq.value());
                if let Some(seq) = first {
                    let id = match fresh.get(&seq) {
                        Some(id) => Some(*id),
                        None => read_one(&blobs, seq)?.map(|d| d.id),
                    };
                    if let Some(id) = id {
                        results.push(Submitted { id, seq, retry: true });
                        continue;
                    }
                }
            }
            last += 1;
            let id = DeliveryId::new(new.at, last);
            if let Some(key) = key {
                retries.insert(key, last)?;
                fresh.insert(last, id);
            }
            results.push(Submitted { id, seq: last, retry: false });
            let row = codec::encode(&Delivery {
                seq: last,
                id,
                at: new.at,
                platform: new.platform,
                outcome: new.outcome,
                problem: new.problem,
                headers: new.headers,
                body: new.body,
                parsed: new.parsed,
                replay_of: new.replay_of,
            })?;
            if let Some((first, blob)) = pack.push(last, &row) {
                blobs.insert(first, blob.as_slice())?;
            }
        }
        if let Some((first, blob)) = pack.finish() {
            blobs.insert(first, blob.as_slice())?;
        }
    }
    txn.commit()?;
    Ok((last, results))
}

fn retry_key(platform: &str, id: &str) -> u128 {
    let digest = Sha256::new().chain_update(platform).chain_update([0]).chain_update(id).finalize();
    digest.iter().take(16).fold(0, |n, b| (n << 8) | u128::from(*b))
}

/// Packs neighbours into one value: length-prefixed rows, compressed together, since neighbours are alike.
#[derive(Default)]
struct Packer {
    first: u64,
    rows: Vec<u8>,
}

impl Packer {
    fn push(&mut self, seq: u64, row: &[u8]) -> Option<(u64, Vec<u8>)> {
        let full = !self.rows.is_empty() && self.rows.len() + row.len() > BLOB_BYTES;
        let done = if full { self.finish() } else { None };
        if self.rows.is_empty() {
            self.first = seq;
        }
        let length = u32::try_from(row.len()).unwrap_or(u32::MAX);
        self.rows.extend_from_slice(&length.to_be_bytes());
        self.rows.extend_from_slice(row);
        done
    }

    fn finish(&mut self) -> Option<(u64, Vec<u8>)> {
        let rows = std::mem::take(&mut self.rows);
        (!rows.is_empty()).then(|| (self.first, lz4_flex::compress_prepend_size(&rows)))
    }
}

pub(super) fn unpack(blob: &[u8]) -> Result<Vec<u8>, StoreError> {
    // The length comes first and is believed: damage must not ask for more memory than any blob can unpack to.
    let length = blob.first_chunk::<4>().map_or(0, |n| u32::from_le_bytes(*n) as usize);
    if length / 255 > blob.len() {
        return Err(StoreError::Damaged("stored deliveries say that they are longer than they can be".to_owned()));
    }
    lz4_flex::decompress_size_prepended(blob)
        .map_err(|e| StoreError::Damaged(format!("stored deliveries cannot be unpacked: {e}")))
}

/// The rows of an unpacked blob, in order.
pub(super) fn rows(mut bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (length, rest) = bytes.split_first_chunk::<4>()?;
        let (row, rest) = rest.split_at_checked(u32::from_be_bytes(*length) as usize)?;
        bytes = rest;
        Some(row)
    })
}

/// The last sequence number on the disk; 0 when empty.
pub fn last_seq(file: &File) -> Result<u64, StoreError> {
    let txn = file.read()?;
    let blobs = txn.open_table(tables::BLOBS)?;
    match blobs.last()? {
        Some((first, blob)) => Ok(first.value() + (rows(&unpack(blob.value())?).count() as u64).saturating_sub(1)),
        None => Ok(0),
    }
}

/// One delivery; none when it is no longer kept.
pub fn read_one(blobs: &impl ReadableTable<u64, &'static [u8]>, seq: u64) -> Result<Option<Delivery>, StoreError> {
    let Some(found) = blobs.range(..=seq)?.next_back() else { return Ok(None) };
    let (first, blob) = found?;
    let bytes = unpack(blob.value())?;
    let index = usize::try_from(seq - first.value()).unwrap_or(usize::MAX);
    rows(&bytes).nth(index).map(codec::decode).transpose()
}

/// Deliveries after `seq` in order, until about `max` of them or `max_bytes` of rows are read.
pub fn read_after(
    blobs: &impl ReadableTable<u64, &'static [u8]>,
    seq: u64,
    max: usize,
    max_bytes: usize,
) -> Result<Vec<Delivery>, StoreError> {
    let mut out = Vec::new();
    let mut bytes = 0;
    // The blob that holds `seq + 1` may begin before it.
    let start = match blobs.range(..=seq + 1)?.next_back() {
        Some(found) => found?.0.value(),
        None => seq + 1,
    };
    for found in blobs.range(start..)? {
        let (first, blob) = found?;
        let unpacked = unpack(blob.value())?;
        for (n, row) in (first.value()..).zip(rows(&unpacked)) {
            if n > seq && out.len() < max {
                bytes += row.len();
                out.push(codec::decode(row)?);
            }
        }
        if out.len() >= max || bytes >= max_bytes {
            break;
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::*;

    fn delivery(n: usize, retry: Option<&str>) -> NewDelivery {
        NewDelivery {
            at: Time::from_secs(1_772_500_000),
            platform: "grafana".into(),
            outcome: DeliveryOutcome::Accepted,
            problem: None,
            headers: Vec::new(),
            body: format!("{{\"n\":{n},\"pad\":\"{}\"}}", "x".repeat(n % 5000)).into_bytes(),
            parsed: Parsed { retry_id: retry.map(str::to_owned), ..Parsed::default() },
            replay_of: None,
        }
    }

    fn database() -> (tempfile::TempDir, File) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("intake.redb");
        let db = File::open(move || Ok(redb::Database::create(&path)?)).unwrap();
        let txn = db.write().unwrap();
        txn.open_table(tables::BLOBS).unwrap();
        txn.open_table(tables::RETRIES).unwrap();
        txn.commit().unwrap();
        (dir, db)
    }

    #[test]
    fn numbers_go_on_and_every_delivery_is_found_again() {
        let (_dir, db) = database();
        let mut last = 0;
        for group in [1usize, 700, 3] {
            let (new_last, results) = append(&db, last, (0..group).map(|n| delivery(n, None)).collect()).unwrap();
            assert_eq!(results.iter().map(|r| r.seq).collect::<Vec<_>>(), (last + 1..=new_last).collect::<Vec<_>>());
            last = new_last;
            assert_eq!(last_seq(&db).unwrap(), last);
        }
        let txn = db.read().unwrap();
        let blobs = txn.open_table(tables::BLOBS).unwrap();
        for seq in 1..=last {
            assert_eq!(read_one(&blobs, seq).unwrap().unwrap().seq, seq);
        }
        assert_eq!(read_one(&blobs, last + 1).unwrap(), None);
        for (after, max) in [(0, 10_000), (0, 5), (350, 10), (last, 10), (last - 1, 10)] {
            let found: Vec<u64> = read_after(&blobs, after, max, usize::MAX).unwrap().iter().map(|d| d.seq).collect();
            let want: Vec<u64> = (after + 1..=last).take(max).collect();
            assert_eq!(found, want, "after {after}, {max} at most");
        }
    }

    #[test]
    fn a_senders_retry_gets_the_first_answer_again() {
        let (_dir, db) = database();
        let (last, first) = append(&db, 0, vec![delivery(1, Some("a")), delivery(2, Some("a"))]).unwrap();
        assert_eq!((last, first[1].retry, first[1].id), (1, true, first[0].id));
        let (last, again) = append(&db, last, vec![delivery(3, Some("a")), delivery(4, Some("b"))]).unwrap();
        assert_eq!((last, again[0].id, again[0].retry, again[1].retry), (2, first[0].id, true, false));
    }
}
