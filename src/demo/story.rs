//! What the demo tells in its first two minutes: a deploy of payments that exhausts a connection pool, what breaks above it,
//! noise, a flap, and the way back.

use std::time::Duration;

use super::{
    bodies::{Alarm, Sent, deployed},
    company::{CASCADE, FLAPS, NOISE},
};
use crate::model::Time;

/// Something that is sent, so long after the beginning.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    /// Seconds.
    pub at: u64,
    what: What,
}

#[derive(Clone, Copy, Debug)]
enum What {
    Deploy(&'static str, &'static str),
    Alarm { alarm: Alarm, firing: bool, began: u64 },
}

/// The whole of it is told in so many seconds.
#[cfg(test)]
pub const LASTS: u64 = 120;

/// The steps in order.
pub fn steps() -> Vec<Step> {
    let mut steps = vec![
        Step { at: 0, what: What::Deploy("v4.12.0", "Reuse connections across retries") },
        Step { at: 78, what: What::Deploy("v4.11.3", "Go back to v4.11.3") },
    ];
    let mut alarm = |at: u64, alarm: Alarm, firing: bool, began: u64| {
        steps.push(Step { at, what: What::Alarm { alarm, firing, began } });
    };
    let begin = [12, 18, 25, 33, 41, 47, 54];
    let over = [92, 96, 98, 102, 106, 110, 114];
    for ((one, from), to) in CASCADE.into_iter().zip(begin).zip(over) {
        alarm(from, one, true, from);
        alarm(to, one, false, from);
    }
    // Alertmanager says it again.
    alarm(60, CASCADE[1], true, begin[1]);
    for (one, from) in NOISE.into_iter().zip([5, 29, 44]) {
        alarm(from, one, true, from);
    }
    alarm(116, NOISE[2], false, 44);
    for from in [15, 31, 50, 66] {
        alarm(from, FLAPS, true, from);
        alarm(from + 8, FLAPS, false, from);
    }
    steps.sort_by_key(|s| s.at);
    steps
}

impl Step {
    /// What is sent when the story began at `start`. Another `turn` for each.
    pub fn sent(&self, start: Time, turn: u64) -> Sent {
        let after = |secs: u64| start.plus(Duration::from_secs(secs));
        match self.what {
            What::Deploy(version, what) => deployed("payments", version, what, after(self.at), turn),
            What::Alarm { alarm, firing, began } => alarm.sent(firing, after(began), after(self.at), turn),
        }
    }
}
