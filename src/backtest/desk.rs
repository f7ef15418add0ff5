//! Backtests that people ask a running server for: one at a time, in the background, noted in the store.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::Ordering},
    time::Duration,
};

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::stored::{Progress, Stopped, compare};
use crate::{
    model::*,
    store::{CommandError, Policy, Store, StoreError},
};

/// Days back at most.
pub const MOST_DAYS: u32 = 90;

/// Takes and does backtests. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Backtests {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    store: Store,
    configured: Policy,
    asked: Notify,
    running: Mutex<Option<(u64, Arc<Progress>)>>,
}

impl Backtests {
    /// Of that store. One that ran when the process ended is noted as broken off.
    pub async fn open(store: Store, configured: Policy) -> Result<Self, CommandError> {
        while let Some(left) = store.read(|view| view.running_backtest()).await? {
            store.end_backtest(left.id, BacktestState::BrokenOff, None, None, Actor::System).await?;
        }
        let inner = Inner { store, configured, asked: Notify::new(), running: Mutex::default() };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// What the writer decides by, as configured.
    pub fn configured(&self) -> &Policy {
        &self.inner.configured
    }

    /// Begins one over the last days. A conflict while another one runs.
    pub async fn begin(
        &self,
        settings: CorrelationSettings,
        days: u32,
        now: Time,
        actor: Actor,
    ) -> Result<Backtest, CommandError> {
        let days = days.clamp(1, MOST_DAYS);
        let since = now.minus(Duration::from_secs(u64::from(days) * 86_400));
        let backtest = self.inner.store.begin_backtest(settings, since, actor).await?;
        self.inner.asked.notify_one();
        Ok(backtest)
    }

    /// Stops one that runs.
    pub async fn cancel(&self, id: u64, actor: Actor) -> Result<(), CommandError> {
        self.inner.store.end_backtest(id, BacktestState::Cancelled, None, None, actor).await?;
        if let Some((_, progress)) = self.running().as_ref().filter(|(running, _)| *running == id) {
            progress.cancelled.store(true, Ordering::Relaxed);
        }
        Ok(())
    }

    /// How many deliveries one that runs has played, of how many.
    pub fn progress(&self, id: u64) -> Option<(u64, u64)> {
        let running = self.running();
        let (_, progress) = running.as_ref().filter(|(running, _)| *running == id)?;
        Some((progress.done.load(Ordering::Relaxed), progress.total.load(Ordering::Relaxed)))
    }

    fn running(&self) -> MutexGuard<'_, Option<(u64, Arc<Progress>)>> {
        self.inner.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does what is asked for until the stop token is set.
    pub async fn run(self, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.inner.asked.notified() => {}
            }
            match self.inner.store.read(|view| view.running_backtest()).await {
                Ok(Some(backtest)) => self.lead(backtest, &stop).await,
                Ok(None) => {}
                Err(StoreError::Stopped) => return,
                Err(e) => tracing::warn!(error = %e, "a backtest could not be begun"),
            }
        }
    }

    async fn lead(&self, backtest: Backtest, stop: &CancellationToken) {
        let (id, progress) = (backtest.id, Arc::new(Progress::default()));
        *self.running() = Some((id, Arc::clone(&progress)));
        let (this, at_work) = (self.clone(), Arc::clone(&progress));
        let mut work = tokio::task::spawn_blocking(move || this.compare(&backtest, &at_work));
        let done = tokio::select! {
            done = &mut work => done,
            () = stop.cancelled() => {
                progress.cancelled.store(true, Ordering::Relaxed);
                work.await
            }
        };
        *self.running() = None;
        let (state, outcome, error) = match done {
            // The row says that it runs until the next start, which knows that it does not.
            Ok(Err(Stopped::Cancelled)) | Ok(Err(Stopped::Store(StoreError::Stopped))) => return,
            Ok(Ok(outcome)) => (BacktestState::Done, Some(outcome), None),
            Ok(Err(e)) => (BacktestState::Failed, None, Some(e.to_string())),
            Err(e) => {
                tracing::error!(backtest = id, error = %e, "a backtest broke off");
                let why = "it broke off by a fault of the program; the log has the details";
                (BacktestState::Failed, None, Some(why.to_owned()))
            }
        };
        if let Err(e) = self.inner.store.end_backtest(id, state, outcome, error, Actor::System).await {
            tracing::warn!(backtest = id, error = %e, "the outcome of a backtest could not be written");
        }
    }

    fn compare(&self, backtest: &Backtest, progress: &Progress) -> Result<BacktestOutcome, Stopped> {
        let Inner { store, configured, .. } = &*self.inner;
        let set = store.view()?.correlation()?.map(|set| set.settings).unwrap_or_default();
        compare(store, backtest.since, configured.with(&set), configured.with(&backtest.settings), progress)
    }
}
