//! All open connections: how many there may be, which of them are idle, and which are given up. An idle one never keeps a
//! sender out: when all places are taken, the one that has been idle longest makes room.

use std::{
    collections::{BTreeMap, HashMap},
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::body::{Body, Bytes, HttpBody};
use hyper::body::{Frame, SizeHint};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use crate::runtime::clock::Wait;

/// What connections may do.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections at the same time.
    pub connections: usize,
    /// Time for the head of a request; also how long an idle connection of HTTP/1 is kept.
    pub head: Duration,
    /// How long a connection without a request is kept, whatever else is said on it.
    pub idle: Duration,
    /// How long a reader may take for one piece of an answer (64 KiB).
    pub stall: Duration,
}

impl Limits {
    /// The usual ones.
    pub fn new(connections: usize) -> Self {
        let secs = Duration::from_secs;
        Self { connections, head: secs(10), idle: secs(60), stall: secs(30) }
    }
}

/// Large pieces of an answer are handed out in parts of this size, so that progress can be seen.
const PART: usize = 64 * 1024;
/// How often the place of a connection that was asked to end is looked for.
const AGAIN: Duration = Duration::from_millis(50);

/// All open connections.
#[derive(Debug)]
pub struct Connections {
    places: Arc<Semaphore>,
    idle: Mutex<Idle>,
}

// The idle ones in the order in which they became so.
#[derive(Debug, Default)]
struct Idle {
    next: u64,
    list: BTreeMap<u64, Arc<Connection>>,
}

/// One connection.
#[derive(Debug)]
pub struct Connection {
    all: Arc<Connections>,
    state: Mutex<State>,
    /// Told when another needs the place.
    pub cut: Notify,
    _place: OwnedSemaphorePermit,
}

#[derive(Debug, Default)]
struct State {
    // Requests whose answers have not ended.
    active: usize,
    // Its number among the idle, and since when.
    idle: Option<(u64, Wait)>,
    // Pieces of answers that were handed out and are not yet taken, by answer.
    handed: HashMap<u64, Wait>,
    next_answer: u64,
    closed: bool,
}

/// How a connection does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// Well.
    Fine,
    /// Without a request for too long.
    Idle,
    /// Its reader does not take the answer.
    Stalled,
}

impl Connections {
    /// None yet.
    pub fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { places: Arc::new(Semaphore::new(most)), idle: Mutex::default() })
    }

    /// A place for a new connection. When there is none, those that have been idle longest end until there is one.
    pub async fn open(self: &Arc<Self>) -> Arc<Connection> {
        let place = loop {
            if let Ok(place) = Arc::clone(&self.places).try_acquire_owned() {
                break place;
            }
            self.end_oldest_idle();
            if let Ok(Ok(place)) = tokio::time::timeout(AGAIN, Arc::clone(&self.places).acquire_owned()).await {
                break place;
            }
        };
        let connection =
            Arc::new(Connection { all: Arc::clone(self), state: Mutex::default(), cut: Notify::new(), _place: place });
        connection.rest(&mut lock(&connection.state));
        connection
    }

    /// Asks the connection that has been idle longest to end; whether there is one.
    pub fn end_oldest_idle(&self) -> bool {
        let oldest = lock(&self.idle).list.pop_first();
        if let Some((_, connection)) = &oldest {
            connection.cut.notify_one();
        }
        oldest.is_some()
    }
}

impl Connection {
    /// A request begins.
    pub fn begin(self: &Arc<Self>) -> Busy {
        let mut state = lock(&self.state);
        state.active += 1;
        if let Some((number, _)) = state.idle.take() {
            lock(&self.all.idle).list.remove(&number);
        }
        state.next_answer += 1;
        Busy { connection: Arc::clone(self), answer: state.next_answer }
    }

    fn rest(self: &Arc<Self>, state: &mut State) {
        if state.closed {
            return;
        }
        let mut idle = lock(&self.all.idle);
        idle.next += 1;
        let number = idle.next;
        idle.list.insert(number, Arc::clone(self));
        state.idle = Some((number, Wait::begin(Duration::ZERO)));
    }

    /// How it does.
    pub fn look(&self, limits: &Limits) -> Look {
        let state = lock(&self.state);
        if state.handed.values().any(|wait| wait.passed() >= limits.stall) {
            Look::Stalled
        } else if state.idle.as_ref().is_some_and(|(_, wait)| wait.passed() >= limits.idle) {
            Look::Idle
        } else {
            Look::Fine
        }
    }

    /// Whether a request runs on it.
    pub fn is_busy(&self) -> bool {
        lock(&self.state).active > 0
    }

    /// It has ended. Answers that still run on it keep its place until they notice.
    pub fn close(&self) {
        let mut state = lock(&self.state);
        state.closed = true;
        if let Some((number, _)) = state.idle.take() {
            lock(&self.all.idle).list.remove(&number);
        }
    }
}

/// A request that runs, until its answer has ended.
#[derive(Debug)]
pub struct Busy {
    connection: Arc<Connection>,
    answer: u64,
}

impl Busy {
    fn handed(&self) {
        lock(&self.connection.state).handed.insert(self.answer, Wait::begin(Duration::ZERO));
    }

    fn taken(&self) {
        lock(&self.connection.state).handed.remove(&self.answer);
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        let mut state = lock(&self.connection.state);
        state.handed.remove(&self.answer);
        state.active = state.active.saturating_sub(1);
        if state.active == 0 {
            self.connection.rest(&mut state);
        }
    }
}

/// An answer that tells whether its reader takes it.
pub struct Watched {
    inner: Body,
    rest: Bytes,
    busy: Busy,
}

impl Watched {
    /// The answer of a request.
    pub fn new(inner: Body, busy: Busy) -> Self {
        Self { inner, rest: Bytes::new(), busy }
    }

    fn part(&mut self) -> Frame<Bytes> {
        let part = self.rest.split_to(self.rest.len().min(PART));
        self.busy.handed();
        Frame::data(part)
    }
}

impl HttpBody for Watched {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        // Asked for more: what was handed out before has been taken.
        self.busy.taken();
        if !self.rest.is_empty() {
            return Poll::Ready(Some(Ok(self.part())));
        }
        let frame = ready!(Pin::new(&mut self.inner).poll_frame(cx));
        Poll::Ready(match frame {
            Some(Ok(frame)) => Some(Ok(match frame.into_data() {
                Ok(data) => {
                    self.rest = data;
                    self.part()
                }
                Err(other) => other,
            })),
            end => end,
        })
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (inner, rest) = (self.inner.size_hint(), self.rest.len() as u64);
        let mut hint = SizeHint::new();
        if let Some(upper) = inner.upper() {
            hint.set_upper(upper.saturating_add(rest));
        }
        hint.set_lower(inner.lower().saturating_add(rest));
        hint
    }
}

fn lock<T>(m: &Mutex<T>) -> MutexGuard<'_, T> {
    m.lock().unwrap_or_else(PoisonError::into_inner)
}
