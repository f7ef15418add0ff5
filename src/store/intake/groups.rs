//! How deliveries come together into groups that share a commit. A commit writes seven pages beside its bodies, and senders
//! who were just answered are about to send again: with many of them it pays to wait for those.

use std::{
    fmt,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    thread::{self, Thread},
    time::Duration,
};

use tokio::sync::mpsc::{self, error::SendTimeoutError};

/// Deliveries that may wait for the intake thread; a sender beyond that waits for a place.
const QUEUE: usize = 4096;
/// A group ends at the latest when it holds this many bytes of bodies.
const GROUP_BYTES: usize = 8 << 20;
/// A group ends at the latest when it holds this many deliveries.
const GROUP: usize = 4096;
/// Of fewer senders no group waits for company: that costs them more than the pages do.
const MANY: usize = 20;
/// A group of this size is large enough: the pages beside its bodies are few.
const LARGE: usize = 64;
/// A group that is smaller than the last ones waits at most so long for more, and so often.
const COMPANY: Duration = Duration::from_micros(900);
const WAITS: usize = 2;

/// What comes together.
pub trait Weighed {
    /// About how many bytes it takes.
    fn bytes(&self) -> usize;
}

/// Where the senders come in.
pub struct Entrance<T> {
    queue: mpsc::Sender<T>,
    bell: Arc<Bell>,
}

/// The groups, for the one thread that takes them. They end when every sender is gone and all that was sent is taken.
pub struct Groups<T> {
    queue: mpsc::Receiver<T>,
    bell: Arc<Bell>,
    company: Duration,
    // The sizes of the last two groups: of many senders, one part waits for a commit while the other part sends.
    sizes: [usize; 2],
    // So many at least were seen to send, for some groups after it: a sync that takes long makes uneven ones.
    senders: usize,
}

/// Wakes the thread that waits for company when so many have come as it waits for. A thread that looked by itself every now
/// and then would take the processor from senders each time.
#[derive(Debug)]
struct Bell {
    // How many must be in the queue; `usize::MAX` while nobody waits.
    awaited: AtomicUsize,
    thread: OnceLock<Thread>,
}

/// Both ends.
pub fn groups<T: Weighed>() -> (Entrance<T>, Groups<T>) {
    let (sender, receiver) = mpsc::channel(QUEUE);
    let bell = Arc::new(Bell { awaited: AtomicUsize::new(usize::MAX), thread: OnceLock::new() });
    let entrance = Entrance { queue: sender, bell: Arc::clone(&bell) };
    (entrance, Groups { queue: receiver, bell, company: COMPANY, sizes: [0; 2], senders: 0 })
}

// Not derived: what is in the queue is the senders' own.
impl<T> fmt::Debug for Entrance<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entrance").field("bell", &self.bell).finish_non_exhaustive()
    }
}

impl<T> Entrance<T> {
    /// Puts it into the queue, if there is a place for it within that time.
    pub async fn send(&self, item: T, within: Duration) -> Result<(), SendTimeoutError<T>> {
        self.queue.send_timeout(item, within).await?;
        self.bell.heard(self.queue.max_capacity() - self.queue.capacity());
        Ok(())
    }
}

impl Bell {
    fn heard(&self, here: usize) {
        if here >= self.awaited.load(Ordering::SeqCst)
            && let Some(thread) = self.thread.get()
        {
            thread.unpark();
        }
    }

    /// Waits until there are so many, or for `most`, or for nothing: a ring that came too late for the last wait ends this one.
    fn wait(&self, missing: usize, most: Duration, here: impl FnOnce() -> usize) {
        self.thread.get_or_init(thread::current);
        self.awaited.store(missing, Ordering::SeqCst);
        // Those who came before that rang for nobody.
        if here() < missing {
            thread::park_timeout(most);
        }
        self.awaited.store(usize::MAX, Ordering::SeqCst);
    }
}

impl<T: Weighed> Iterator for Groups<T> {
    type Item = Vec<T>;

    fn next(&mut self) -> Option<Vec<T>> {
        let first = self.queue.blocking_recv()?;
        let [before, last] = self.sizes;
        self.senders = last.max(self.senders - self.senders / 16);
        let wanted = if self.senders < MANY { 1 } else { before.midpoint(last).min(LARGE) };
        let group = self.gather(first, wanted);
        self.sizes = [last, group.len()];
        Some(group)
    }
}

impl<T: Weighed> Groups<T> {
    /// What waits, and for a moment what comes until there are as many as `wanted`.
    fn gather(&mut self, first: T, wanted: usize) -> Vec<T> {
        let mut bytes = first.bytes();
        let mut group = vec![first];
        for waits in 0.. {
            while group.len() < GROUP && bytes < GROUP_BYTES {
                let Ok(next) = self.queue.try_recv() else { break };
                bytes += next.bytes();
                group.push(next);
            }
            let missing = wanted.saturating_sub(group.len());
            if missing == 0 || bytes >= GROUP_BYTES || waits >= WAITS {
                break;
            }
            self.bell.wait(missing, self.company, || self.queue.len());
        }
        group
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Longer than a test goes on.
    const NEVER: Duration = Duration::from_secs(20);
    const SOON: Duration = Duration::from_secs(10);

    impl Weighed for u8 {
        fn bytes(&self) -> usize {
            1
        }
    }

    async fn send(entrance: &Entrance<u8>, count: usize) {
        for _ in 0..count {
            entrance.send(0, SOON).await.unwrap();
        }
    }

    type Taking = tokio::task::JoinHandle<(usize, Groups<u8>)>;

    /// Has the next group taken on a thread of its own.
    fn take(mut groups: Groups<u8>) -> Taking {
        tokio::task::spawn_blocking(move || (groups.next().unwrap().len(), groups))
    }

    async fn taken(taking: Taking) -> (usize, Groups<u8>) {
        tokio::time::timeout(SOON, taking).await.expect("nobody waits in vain for ever").unwrap()
    }

    /// Takes groups that were sent whole before anybody looked, and says how large they were.
    async fn check(company: Duration, sent: &[usize]) -> (Entrance<u8>, Groups<u8>) {
        let (entrance, mut groups) = groups();
        groups.company = company;
        for count in sent {
            send(&entrance, *count).await;
            let (size, back) = taken(take(groups)).await;
            assert_eq!(size, *count, "of {sent:?}");
            groups = back;
        }
        (entrance, groups)
    }

    #[tokio::test]
    async fn of_few_senders_nobody_waits() {
        check(NEVER, &[1, MANY - 1, 1, 3]).await;
    }

    #[tokio::test]
    async fn who_waits_in_vain_goes_on() {
        check(COMPANY, &[40, 40, 1, 5]).await;
    }

    #[tokio::test]
    async fn a_group_goes_when_as_many_have_come_as_before() {
        let (entrance, groups) = check(NEVER, &[40, 40]).await;
        let bell = Arc::clone(&groups.bell);
        let awaits = async |count| {
            while bell.awaited.load(Ordering::SeqCst) != count {
                tokio::task::yield_now().await;
            }
        };
        send(&entrance, 30).await;
        let taking = take(groups);
        awaits(10).await;
        send(&entrance, 9).await;
        assert!(!taking.is_finished());
        send(&entrance, 1).await;
        assert_eq!(taken(taking).await.0, 40);
    }

    #[tokio::test]
    async fn what_was_sent_is_taken_when_all_senders_are_gone() {
        let (entrance, mut groups) = check(NEVER, &[3]).await;
        send(&entrance, 2).await;
        drop(entrance);
        let rest =
            tokio::task::spawn_blocking(move || (groups.next().map(|g| g.len()), groups.next().map(|g| g.len())));
        assert_eq!(rest.await.unwrap(), (Some(2), None));
    }
}
