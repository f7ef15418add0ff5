//! Threads whose work may wait: what people and senders wait for goes before it when the processors are busy.

use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    thread::Builder,
};

use tokio::{
    runtime::Runtime,
    sync::{mpsc, oneshot},
};
use tokio_util::task::AbortOnDropHandle;

/// How much less a thread weighs than those of the intake and the pages when all of them want a processor. With one to
/// spare it makes no difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weight {
    /// A thirtieth: what is waited for, but by nobody who holds a connection open.
    Little,
    /// A seventieth: what is looked for a moment later as well.
    Least,
    /// What the others leave, and at once when one of them wakes up: a thread of little weight keeps a processor that it
    /// got for a millisecond or more, which senders would spend waiting. They leave several thousand alerts a second all
    /// the same, because they wait for the disk in between; other programs may leave none for minutes.
    Idle,
}

impl Weight {
    /// As `nice` counts.
    fn nice(self) -> i32 {
        match self {
            Self::Little => 15,
            Self::Least | Self::Idle => 19,
        }
    }
}

type Job = Box<dyn FnOnce() + Send>;

/// One thread that does one thing after the other, of little weight; it ends with its last handle.
///
/// Not the runtime's pool of blocking threads: a thread that gave weight away cannot take it back without privileges, and
/// the next to get it would be slow. Threads that the work starts are as light.
#[derive(Clone, Debug)]
pub struct Background {
    jobs: mpsc::Sender<Job>,
}

/// A runtime of its own on threads of little weight, for tasks that follow what is stored: what they wait for goes before
/// them when the processors are busy. It ends with this, and what runs in it.
#[derive(Debug)]
pub struct Aside(Option<Runtime>);

impl Aside {
    /// Starts its one worker; what blocks gets threads of the same weight.
    ///
    /// # Errors
    /// The system lets this process have no further thread.
    pub fn start(name: &str) -> io::Result<Self> {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        builder.worker_threads(1).thread_name(name).on_thread_start(|| step_back(Weight::Little));
        Ok(Self(Some(builder.enable_all().build()?)))
    }

    /// Runs a task there. It ends when this future is dropped, and a panic goes on here.
    pub fn run<F>(&self, task: F) -> impl Future<Output = ()> + Send + use<F>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let task = self.0.as_ref().map(|runtime| AbortOnDropHandle::new(runtime.spawn(task)));
        async move {
            if let Some(task) = task
                && let Err(e) = task.await
                && e.is_panic()
            {
                std::panic::resume_unwind(e.into_panic());
            }
        }
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        // Waiting for its threads is not allowed where this is dropped.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// The work panicked, and said so in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the work ended by a panic")]
pub struct Panicked;

impl Background {
    /// Starts the thread.
    ///
    /// # Errors
    /// The system lets this process have no further thread.
    pub fn start(name: &str) -> io::Result<Self> {
        let (jobs, mut asked) = mpsc::channel::<Job>(1);
        Builder::new().name(name.to_owned()).spawn(move || {
            step_back(Weight::Least);
            while let Some(job) = asked.blocking_recv() {
                job();
            }
        })?;
        Ok(Self { jobs })
    }

    /// Does the work there and waits for it. Whoever stops waiting does not stop the work.
    ///
    /// # Errors
    /// The work panicked; the thread goes on.
    pub async fn run<R: Send + 'static>(&self, work: impl FnOnce() -> R + Send + 'static) -> Result<R, Panicked> {
        let (answer, answered) = oneshot::channel();
        let job = move || {
            // Nothing of the work outlives a panic but what it shares, which guards itself.
            if let Ok(done) = catch_unwind(AssertUnwindSafe(work)) {
                let _ = answer.send(done);
            }
        };
        self.jobs.send(Box::new(job)).await.map_err(|_| Panicked)?;
        answered.await.map_err(|_| Panicked)
    }
}

/// Gives this thread and those that it starts from now on less weight. It cannot be taken back.
pub fn step_back(weight: Weight) {
    // Elsewhere it would be the weight of the whole process.
    #[cfg(target_os = "linux")]
    {
        if weight == Weight::Idle
            && let Err(e) = idle()
        {
            tracing::debug!(error = ?e, "a thread whose work may wait does not make way at once");
        }
        // Also where it is idle: for kernels that were asked not to let it be.
        if let Err(e) = rustix::process::setpriority_process(None, weight.nice()) {
            tracing::debug!(error = %e, ?weight, "a thread whose work may wait has the weight of the others");
        }
    }
    #[cfg(not(target_os = "linux"))]
    let _ = weight.nice();
}

/// Does the work on a thread of such weight and waits for it: for what starts threads of its own, which weigh as much. A
/// panic goes on here.
///
/// # Errors
/// The system lets this process have no further thread.
pub fn of_weight<R: Send>(weight: Weight, work: impl FnOnce() -> R + Send) -> io::Result<R> {
    std::thread::scope(|threads| {
        let begun = move || {
            step_back(weight);
            work()
        };
        let done = Builder::new().spawn_scoped(threads, begun)?.join();
        Ok(done.unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    })
}

/// `SCHED_IDLE`, see sched(7).
#[cfg(target_os = "linux")]
fn idle() -> Result<(), thread_priority::Error> {
    use thread_priority::{
        NormalThreadSchedulePolicy, ThreadPriority, ThreadSchedulePolicy, set_thread_priority_and_policy,
        thread_native_id,
    };
    let policy = ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Idle);
    set_thread_priority_and_policy(thread_native_id(), ThreadPriority::Min, policy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_is_done_in_turn_and_a_panic_ends_nothing() {
        let background = Background::start("test").unwrap();
        assert_eq!(background.run(|| 1).await, Ok(1));
        assert_eq!(background.run(|| -> u8 { panic!("of the test") }).await, Err(Panicked));
        assert_eq!(background.run(|| 2).await, Ok(2));
    }

    #[tokio::test]
    async fn a_task_aside_ends_with_its_future_and_its_panic_goes_on() {
        let aside = Aside::start("test").unwrap();
        let (done, ended) = oneshot::channel();
        aside.run(async move { done.send(1).unwrap() }).await;
        assert_eq!(ended.await, Ok(1));

        let (held, gone) = oneshot::channel::<()>();
        let forever = aside.run(async move {
            std::future::pending::<()>().await;
            drop(held);
        });
        drop(forever);
        assert!(gone.await.is_err(), "what it held is dropped");

        let panicked = tokio::spawn(aside.run(async { panic!("of the test") })).await.unwrap_err();
        assert_eq!(panicked.into_panic().downcast_ref(), Some(&"of the test"));
    }

    #[cfg(target_os = "linux")]
    fn weight() -> (i32, thread_priority::ThreadSchedulePolicy) {
        (rustix::process::getpriority_process(None).unwrap(), thread_priority::thread_schedule_policy().unwrap())
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn a_task_aside_is_light_and_so_is_what_it_blocks_with() {
        let aside = Aside::start("test").unwrap();
        let (tell, told) = oneshot::channel();
        let task = aside.run(async move {
            let blocking = tokio::task::spawn_blocking(weight).await.unwrap();
            tell.send((weight(), blocking)).unwrap();
        });
        task.await;
        let (nice, policy) = weight();
        let light = (nice.max(Weight::Little.nice()), policy);
        assert_eq!(told.await, Ok((light, light)));
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn its_thread_and_those_it_starts_are_light_and_no_other_is() {
        let before = weight();
        let background = Background::start("test").unwrap();
        let there = move || (weight(), std::thread::spawn(weight).join().unwrap());
        let light = (before.0.max(Weight::Least.nice()), before.1);
        assert_eq!(background.run(there).await, Ok((light, light)));
        assert_eq!(weight(), before);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn threads_that_the_work_starts_weigh_what_it_does_and_its_panic_goes_on() {
        use thread_priority::{NormalThreadSchedulePolicy, ThreadSchedulePolicy};
        let before = weight();
        let check = |of, policy| {
            let started = of_weight(of, || std::thread::spawn(weight)).unwrap();
            assert_eq!(started.join().unwrap(), (before.0.max(of.nice()), policy), "{of:?}");
        };
        check(Weight::Little, before.1);
        check(Weight::Least, before.1);
        check(Weight::Idle, ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Idle));
        assert_eq!(weight(), before);
        let panicked = catch_unwind(|| of_weight(Weight::Idle, || panic!("of the test"))).unwrap_err();
        assert_eq!(panicked.downcast_ref(), Some(&"of the test"));
    }
}
