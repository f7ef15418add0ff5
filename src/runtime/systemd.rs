//! Telling systemd how we are: ready, alive, stopping. Does nothing where systemd did not ask.

use std::{future::Future, time::Duration};

use sd_notify::NotifyState;
use tokio_util::sync::CancellationToken;

/// Ready for requests.
pub fn ready(url: &str) {
    notify(&[NotifyState::Ready, NotifyState::Status(&format!("listening on {url}"))]);
}

/// Stopping in order.
pub fn stopping() {
    notify(&[NotifyState::Stopping, NotifyState::Status("stopping")]);
}

/// Reports in twice per watchdog period until `stop`, each time after `alive` has answered: when the process hangs, no
/// report goes out and systemd starts it anew.
pub async fn watchdog<F, Fut>(alive: F, stop: CancellationToken)
where
    F: Fn() -> Fut,
    Fut: Future<Output = ()>,
{
    let Some(period) = sd_notify::watchdog_enabled().filter(|p| !p.is_zero()) else { return stop.cancelled().await };
    loop {
        alive().await;
        notify(&[NotifyState::Watchdog]);
        tokio::select! {
            () = tokio::time::sleep((period / 2).max(Duration::from_millis(100))) => {}
            () = stop.cancelled() => return,
        }
    }
}

fn notify(states: &[NotifyState<'_>]) {
    if let Err(e) = sd_notify::notify(states) {
        tracing::warn!(error = %e, "systemd cannot be told");
    }
}
