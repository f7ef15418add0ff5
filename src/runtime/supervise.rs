//! Background tasks: each has a name, is started again when it fails, and is waited for at the end.

use std::{
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{sync::watch, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use super::clock::Clock;
use crate::model::Time;

/// What happens when a task ends although nobody asked it to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnEnd {
    /// It is started again, after a pause that grows with each failure.
    Restart,
    /// The process cannot go on without it.
    Fatal,
}

/// How a task stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskState {
    /// It works.
    Running,
    /// It failed and waits to be started again.
    Waiting,
    /// It ended.
    Ended,
}

/// One line of the task list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskStatus {
    /// Its name.
    pub name: &'static str,
    /// How it stands.
    pub state: TaskState,
    /// Since when.
    pub since: Time,
    /// How often it was started again.
    pub restarts: u32,
    /// Why it last failed.
    pub last_failure: Option<String>,
}

/// Pauses between a failure and the next start.
#[derive(Clone, Copy, Debug)]
pub struct Backoff {
    /// After the first failure; doubles with each further one.
    pub first: Duration,
    /// At most.
    pub most: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { first: Duration::from_millis(500), most: Duration::from_secs(30) }
    }
}

impl Backoff {
    fn after(self, failures: u32) -> Duration {
        self.first.saturating_mul(1u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX)).min(self.most)
    }
}

/// A run this long counts as healthy: the next failure is a first one again.
const HEALTHY_AFTER: Duration = Duration::from_secs(300);

/// Starts tasks and keeps their list. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Supervisor {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    clock: Clock,
    stop: CancellationToken,
    backoff: Backoff,
    list: Mutex<Vec<TaskStatus>>,
    handles: Mutex<Vec<(&'static str, JoinHandle<()>)>>,
    fatal: watch::Sender<Option<String>>,
}

// A task that panicked while it held the list has not made the list wrong.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Supervisor {
    /// For tasks that end when `stop` is cancelled.
    pub fn new(clock: Clock, stop: CancellationToken, backoff: Backoff) -> Self {
        let (list, handles) = (Mutex::default(), Mutex::default());
        Self { inner: Arc::new(Inner { clock, stop, backoff, list, handles, fatal: watch::Sender::new(None) }) }
    }

    /// Starts a task. `make` is called for each start; its future must end soon after the stop token is cancelled.
    pub fn spawn<F, Fut>(&self, name: &'static str, on_end: OnEnd, mut make: F)
    where
        F: FnMut() -> Fut + Send + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let inner = self.inner.clone();
        let index = {
            let mut list = lock(&inner.list);
            let since = inner.clock.now();
            list.push(TaskStatus { name, state: TaskState::Running, since, restarts: 0, last_failure: None });
            list.len() - 1
        };
        let handle = tokio::spawn(async move {
            let mut failures = 0;
            loop {
                let started = inner.clock.now();
                // A task of its own, so that a panic ends only it.
                let ended = tokio::spawn(make()).await;
                if inner.stop.is_cancelled() {
                    inner.mark(index, TaskState::Ended, None);
                    return;
                }
                let why = match ended {
                    Ok(()) => "it ended by itself".to_owned(),
                    Err(e) => panic_text(e),
                };
                if on_end == OnEnd::Fatal {
                    tracing::error!(task = name, why, "a task failed that the process cannot go on without");
                    inner.mark(index, TaskState::Ended, Some(why.clone()));
                    inner.fatal.send_replace(Some(format!("{name}: {why}")));
                    return;
                }
                failures = if inner.clock.now().since(started) >= HEALTHY_AFTER { 1 } else { failures + 1 };
                let pause = inner.backoff.after(failures);
                tracing::error!(task = name, why, pause_ms = pause.as_millis(), "a task failed and is started again");
                inner.mark(index, TaskState::Waiting, Some(why));
                tokio::select! {
                    () = tokio::time::sleep(pause) => inner.restarted(index),
                    () = inner.stop.cancelled() => {
                        inner.mark(index, TaskState::Ended, None);
                        return;
                    }
                }
            }
        });
        lock(&self.inner.handles).push((name, handle));
    }

    /// The task list, in the order of starting.
    pub fn tasks(&self) -> Vec<TaskStatus> {
        lock(&self.inner.list).clone()
    }

    /// Waits until a fatal task has failed, and says which and why.
    pub async fn failed(&self) -> String {
        let mut fatal = self.inner.fatal.subscribe();
        match fatal.wait_for(Option::is_some).await {
            Ok(why) => why.clone().unwrap_or_default(),
            // Cannot be: the sender lives in `self`.
            Err(_) => std::future::pending().await,
        }
    }

    /// Waits for all tasks to end after the stop token was cancelled; the names of those that did not in time, which
    /// are then cut off.
    pub async fn join(&self, within: Duration) -> Vec<&'static str> {
        let handles = std::mem::take(&mut *lock(&self.inner.handles));
        let deadline = tokio::time::sleep(within);
        tokio::pin!(deadline);
        let mut late = Vec::new();
        for (name, mut handle) in handles {
            tokio::select! {
                biased;
                _ = &mut handle => {}
                () = &mut deadline => {
                    handle.abort();
                    late.push(name);
                }
            }
        }
        late
    }
}

impl Inner {
    fn mark(&self, index: usize, state: TaskState, failure: Option<String>) {
        let now = self.clock.now();
        if let Some(task) = lock(&self.list).get_mut(index) {
            task.state = state;
            task.since = now;
            task.last_failure = failure.or(task.last_failure.take());
        }
    }

    fn restarted(&self, index: usize) {
        self.mark(index, TaskState::Running, None);
        if let Some(task) = lock(&self.list).get_mut(index) {
            task.restarts += 1;
        }
    }
}

fn panic_text(e: tokio::task::JoinError) -> String {
    let Ok(payload) = e.try_into_panic() else { return "it was cut off".to_owned() };
    let text =
        payload.downcast_ref::<&str>().map(|s| (*s).to_owned()).or_else(|| payload.downcast_ref::<String>().cloned());
    format!("it panicked: {}", text.unwrap_or_else(|| "no message".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};

    fn supervisor() -> (Supervisor, CancellationToken) {
        let stop = CancellationToken::new();
        let backoff = Backoff { first: Duration::ZERO, most: Duration::ZERO };
        (Supervisor::new(Clock::manual(Time::from_secs(1)), stop.clone(), backoff), stop)
    }

    #[tokio::test]
    async fn a_task_that_panics_is_started_again() {
        let (s, stop) = supervisor();
        let runs = Arc::new(AtomicU32::new(0));
        let (third, stopped) = (CancellationToken::new(), stop.clone());
        let reached = third.clone();
        s.spawn("worker", OnEnd::Restart, move || {
            let (n, third, stop) = (runs.fetch_add(1, Ordering::SeqCst), third.clone(), stopped.clone());
            async move {
                assert!(n >= 2, "not yet");
                third.cancel();
                stop.cancelled().await;
            }
        });
        reached.cancelled().await;
        let task = s.tasks().remove(0);
        assert_eq!((task.name, task.state, task.restarts), ("worker", TaskState::Running, 2));
        assert!(task.last_failure.unwrap().contains("not yet"));
        stop.cancel();
        assert_eq!(s.join(Duration::from_secs(10)).await, Vec::<&str>::new());
        assert_eq!(s.tasks().remove(0).state, TaskState::Ended);
    }

    #[tokio::test]
    async fn a_fatal_task_says_why() {
        let (s, _stop) = supervisor();
        s.spawn("heart", OnEnd::Fatal, || async {});
        assert_eq!(s.failed().await, "heart: it ended by itself");
    }

    #[tokio::test]
    async fn a_task_that_does_not_end_is_named_and_cut_off() {
        let (s, stop) = supervisor();
        s.spawn("mule", OnEnd::Restart, std::future::pending);
        stop.cancel();
        assert_eq!(s.join(Duration::from_millis(1)).await, ["mule"]);
    }

    #[test]
    fn pauses_grow_and_are_bounded() {
        let b = Backoff::default();
        let pauses = [1, 2, 3, 7, 40, u32::MAX].map(|n| b.after(n).as_millis());
        assert_eq!(pauses, [500, 1000, 2000, 30_000, 30_000, 30_000]);
    }
}
