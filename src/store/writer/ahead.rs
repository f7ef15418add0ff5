//! Under load, what comes next is unpacked and read on a thread of its own while what came before is applied: a third of
//! the work on an alert needs nothing that the writer knows.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::mpsc::{self, Receiver},
    thread::{Builder, Scope},
};

use super::{CHUNK, waiting};
use crate::{
    correlation::weighted::{Doc, Subject},
    model::{Delivery, Signal, SignalStatus},
    store::{file::File, pack::Stored},
};

/// Chunks that wait to be applied: one is enough as long as reading is the quicker of the two.
const WAITING: usize = 1;

/// Deliveries in order, each with what its signals say.
pub type Chunk = Vec<(Stored, Vec<Option<Doc>>)>;

/// Reads up to `most` deliveries after `position`. What cannot be read ends them and says nothing against what was read
/// before: the next group begins there, and meets it before it changes anything.
pub fn start<'scope>(
    threads: &'scope Scope<'scope, '_>,
    intake: &'scope File,
    position: u64,
    most: usize,
) -> Receiver<Chunk> {
    let (send, chunks) = mpsc::sync_channel(WAITING);
    let work = move || {
        let mut count = 0;
        while count < most {
            let next = || -> Option<Chunk> {
                let stored = waiting(intake, position + count as u64, CHUNK.min(most - count)).ok()?;
                Some(
                    stored
                        .into_iter()
                        .map(|stored| {
                            let docs = read(&stored.delivery);
                            (stored, docs)
                        })
                        .collect(),
                )
            };
            let Ok(Some(chunk)) = catch_unwind(AssertUnwindSafe(next)) else { return };
            count += chunk.len();
            // Nobody waits for more once a group is large, or has failed.
            if chunk.is_empty() || send.send(chunk).is_err() {
                return;
            }
        }
    };
    // Without a thread the group is what was read already.
    if let Err(e) = Builder::new().name("writer-ahead".to_owned()).spawn_scoped(threads, work) {
        tracing::warn!(error = %e, "no thread to read ahead with; deliveries are applied in smaller groups");
    }
    chunks
}

/// What its signals say, of those that may begin something.
fn read(delivery: &Delivery) -> Vec<Option<Doc>> {
    let says = |s: &Signal| Subject::read(&s.title, s.description.as_deref());
    let begins = |s: &&Signal| s.status == SignalStatus::Firing;
    delivery.parsed.signals.iter().map(|s| Some(s).filter(begins).map(says)).collect()
}
