//! Where a round of the writer runs. While many deliveries wait, on a thread that makes way for the others, so that the
//! senders of those that come get their answers first: they give up after seconds, and what is on the disk is applied in
//! its turn. On the writer's own thread when so few wait that somebody may be looking, or so many, or for so long, that
//! they must not become more.
//!
//! Two threads, because one that gave weight away cannot take it back.

use std::{
    io,
    sync::mpsc::{self, Receiver, SyncSender},
    thread::Builder,
    time::Duration,
};

use super::{GROUP, LOADED, Writer};
use crate::{
    runtime::background::{Weight, step_back},
    store::StoreError,
};

/// What has waited for this long was put off enough, also where others leave the processors to nobody.
const PUT_OFF: Duration = Duration::from_secs(30);

type Round = Result<usize, StoreError>;

/// The thread that makes way. It ends with this.
pub struct Light {
    rounds: SyncSender<Box<Writer>>,
    done: Receiver<(Box<Writer>, Round)>,
}

/// Whether a round with so many waiting, of `most` that may wait, is for that thread. `waited` is what the last round's
/// first had to. Where there is little room nothing waits: all of it could fill up while one round makes way.
fn may_wait(behind: u64, most: u64, waited: Duration) -> bool {
    most / 2 >= GROUP as u64 && behind >= LOADED as u64 && behind < most / 2 && waited < PUT_OFF
}

impl Light {
    /// Starts the thread.
    pub fn start() -> io::Result<Self> {
        let (rounds, asked) = mpsc::sync_channel::<Box<Writer>>(0);
        let (answer, done) = mpsc::sync_channel(1);
        Builder::new().name("writer-light".to_owned()).spawn(move || {
            step_back(Weight::Idle);
            while let Ok(mut writer) = asked.recv() {
                let applied = writer.round();
                if answer.send((writer, applied)).is_err() {
                    return;
                }
            }
        })?;
        Ok(Self { rounds, done })
    }

    /// A round, wherever it is to run. None when the thread took the writer with it, which no panic of a round does.
    pub fn round(&self, mut writer: Box<Writer>) -> Option<(Box<Writer>, Round)> {
        if !may_wait(writer.behind(), writer.policy.max_behind, writer.waited) {
            let applied = writer.round();
            return Some((writer, applied));
        }
        match self.rounds.send(writer) {
            Ok(()) => self.done.recv().ok(),
            Err(mpsc::SendError(mut writer)) => {
                let applied = writer.round();
                Some((writer, applied))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_waits_for_its_senders_until_too_much_waits() {
        let check = |behind, most, waited, want| {
            let waited = Duration::from_secs(waited);
            assert_eq!(may_wait(behind, most, waited), want, "{behind} of {most} after {waited:?}");
        };
        check(0, 1_000_000, 0, false);
        check(63, 1_000_000, 0, false);
        check(64, 1_000_000, 0, true);
        check(64, 1_000_000, 29, true);
        check(64, 1_000_000, 30, false);
        check(499_999, 1_000_000, 0, true);
        check(500_000, 1_000_000, 0, false);
        check(70, 150, 0, false);
        check(100, 150, 0, false);
        check(70, 2 * GROUP as u64, 0, true);
        check(u64::MAX, u64::MAX, 0, false);
    }
}
