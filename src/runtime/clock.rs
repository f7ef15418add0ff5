//! The only place that reads the time.

use std::sync::{
    Arc, LazyLock, Mutex, PoisonError,
    atomic::{AtomicI64, Ordering},
};
use std::time::Duration;

use tokio::sync::watch;

use crate::model::Time;

/// Where the time comes from: the machine, or a test's hand.
#[derive(Clone, Debug)]
pub enum Clock {
    /// The machine's clock.
    System,
    /// Stands still until it is moved.
    Manual(Arc<Manual>),
}

/// A clock that a test moves.
pub struct Manual {
    millis: AtomicI64,
    // How long it has run: what it was advanced by, whatever it was set to.
    ran: AtomicI64,
    // Sleepers wait for a move instead of polling.
    moved: watch::Sender<()>,
    // Threads that wait outside the async runtime are called instead.
    callbacks: Mutex<Vec<Box<dyn Fn() + Send>>>,
}

impl std::fmt::Debug for Manual {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Manual").field(&self.millis).finish()
    }
}

/// When the process first asked for its running time.
static STARTED: LazyLock<std::time::Instant> = LazyLock::new(std::time::Instant::now);

impl Manual {
    fn tell(&self) {
        self.moved.send_replace(());
        for call in self.callbacks.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            call();
        }
    }
}

impl Clock {
    /// A clock that stands at `at`.
    pub fn manual(at: Time) -> Self {
        Self::Manual(Arc::new(Manual {
            millis: AtomicI64::new(at.millis()),
            ran: AtomicI64::new(0),
            moved: watch::Sender::new(()),
            callbacks: Mutex::new(Vec::new()),
        }))
    }

    /// The time.
    pub fn now(&self) -> Time {
        match self {
            Self::System => Time::from(jiff::Timestamp::now()),
            Self::Manual(m) => Time::from_millis(m.millis.load(Ordering::SeqCst)),
        }
    }

    /// How long the process has run, on a clock that nobody sets.
    pub fn uptime(&self) -> Duration {
        match self {
            Self::System => STARTED.elapsed(),
            Self::Manual(m) => Duration::from_millis(u64::try_from(m.ran.load(Ordering::SeqCst)).unwrap_or(0)),
        }
    }

    /// Moves a manual clock forward; the machine's clock cannot be moved.
    pub fn advance(&self, by: Duration) {
        if let Self::Manual(m) = self {
            let by = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
            m.millis.fetch_add(by, Ordering::SeqCst);
            m.ran.fetch_add(by, Ordering::SeqCst);
            m.tell();
        }
    }

    /// Sets a manual clock, as people and time servers set the machine's: no time passes.
    pub fn set(&self, to: Time) {
        if let Self::Manual(m) = self {
            m.millis.store(to.millis(), Ordering::SeqCst);
            m.tell();
        }
    }

    /// Calls `f` after every move of a manual clock. The machine's clock moves by itself: who waits on it, polls.
    pub fn on_move(&self, f: impl Fn() + Send + 'static) {
        if let Self::Manual(m) = self {
            m.callbacks.lock().unwrap_or_else(PoisonError::into_inner).push(Box::new(f));
        }
    }

    /// Returns when `d` has passed on this clock.
    pub async fn sleep(&self, d: Duration) {
        self.sleep_until_run(self.uptime() + d).await;
    }

    /// Returns when the process has run for so long: as the machine's timers, which do not care what its clock is set to.
    pub async fn sleep_until_run(&self, until: Duration) {
        match self {
            Self::System => tokio::time::sleep(until.saturating_sub(self.uptime())).await,
            Self::Manual(m) => {
                let mut moved = m.moved.subscribe();
                while self.uptime() < until {
                    if moved.changed().await.is_err() {
                        return;
                    }
                }
            }
        }
    }

    /// Returns when this clock has reached `at`; at once when it has.
    pub async fn sleep_until(&self, at: Time) {
        match self {
            Self::System => tokio::time::sleep(at.since(self.now())).await,
            Self::Manual(m) => {
                // Subscribed before looking, so that no move in between is missed.
                let mut moved = m.moved.subscribe();
                // One that was set back meanwhile does not sleep for longer.
                let until = self.uptime() + at.since(self.now());
                while self.now() < at && self.uptime() < until {
                    if moved.changed().await.is_err() {
                        return;
                    }
                }
            }
        }
    }
}

/// A wait that has begun, on the machine's own steady clock whatever a manual one shows: for threads that pace themselves.
/// No time of it is shown or kept.
#[derive(Clone, Copy, Debug)]
pub struct Wait {
    began: std::time::Instant,
    whole: Duration,
}

impl Wait {
    /// Begins now.
    pub fn begin(whole: Duration) -> Self {
        Self { began: std::time::Instant::now(), whole }
    }

    /// How long ago it began.
    pub fn passed(self) -> Duration {
        self.began.elapsed()
    }

    /// What is left of it; zero when it is over.
    pub fn left(self) -> Duration {
        self.whole.saturating_sub(self.began.elapsed())
    }
}
