//! Work that goes on when whoever asked for it has gone away.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use tokio::runtime::Handle;
use tracing::Instrument;

/// Work that is done to its end whether it is waited for or not. It runs where it is waited for; only what is dropped
/// before its end becomes a task of its own, so that the usual way costs none.
pub struct Lasting<F: Future<Output: Send> + Send + 'static> {
    // None once it has ended.
    work: Option<Pin<Box<F>>>,
}

impl<F: Future<Output: Send> + Send + 'static> Lasting<F> {
    /// Begins when it is first waited for, or dropped.
    pub fn new(work: F) -> Self {
        Self { work: Some(Box::pin(work)) }
    }
}

impl<F: Future<Output: Send> + Send + 'static> Future for Lasting<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        // Taken out while it runs: after a panic there is nothing to go on with.
        let Some(mut work) = self.work.take() else { return Poll::Pending };
        let done = work.as_mut().poll(cx);
        if done.is_pending() {
            self.work = Some(work);
        }
        done
    }
}

impl<F: Future<Output: Send> + Send + 'static> Drop for Lasting<F> {
    fn drop(&mut self) {
        // Without a runtime the process is ending, and the work with it.
        if let (Some(work), Ok(runtime)) = (self.work.take(), Handle::try_current()) {
            runtime.spawn(work.in_current_span());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn what_is_waited_for_ends_where_it_is_waited_for() {
        let task = tokio::task::try_id();
        assert!(Lasting::new(async move { tokio::task::try_id() == task }).await);
    }

    #[tokio::test]
    async fn what_nobody_waits_for_any_more_is_done_all_the_same() {
        let (go, gone) = oneshot::channel::<()>();
        let (done, is_done) = oneshot::channel();
        let work = Lasting::new(async move {
            gone.await.unwrap();
            done.send(7).unwrap();
        });
        assert!(tokio::time::timeout(Duration::from_millis(1), work).await.is_err());
        go.send(()).unwrap();
        assert_eq!(is_done.await, Ok(7));
        // Nor does it need to have begun.
        let (done, is_done) = oneshot::channel();
        drop(Lasting::new(async move { done.send(8).unwrap() }));
        assert_eq!(is_done.await, Ok(8));
    }

    #[tokio::test]
    async fn a_panic_is_the_askers() {
        let work = tokio::spawn(Lasting::new(async { panic!("on purpose") }));
        assert!(work.await.unwrap_err().is_panic());
    }
}
