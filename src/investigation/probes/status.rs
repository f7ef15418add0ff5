//! How tools did when they were last asked: in memory, for the settings page and the metrics.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use crate::{
    model::{LastAnswer, Time, Tool, ToolStatus},
    runtime::clock::Clock,
};

/// Addresses remembered besides those that are configured: services may declare thousands of agents.
const MOST: usize = 200;

/// How tools did, by tool and host.
#[derive(Debug)]
pub(super) struct Statuses {
    clock: Clock,
    known: Mutex<BTreeMap<(Tool, String), ToolStatus>>,
}

impl Statuses {
    /// Nothing was asked yet of those that are configured.
    pub(super) fn new(clock: Clock, configured: impl Iterator<Item = (Tool, String)>) -> Self {
        let status = |(tool, at): (Tool, String)| ((tool, at.clone()), ToolStatus::new(tool, at, true));
        Self { clock, known: Mutex::new(configured.map(status).collect()) }
    }

    /// It was asked: why there was no good answer, or none for one.
    pub(super) fn asked(&self, tool: Tool, at: &str, failure: Option<String>) {
        let now = self.clock.now();
        let mut known = self.known();
        let key = (tool, at.to_owned());
        if !known.contains_key(&key) && known.values().filter(|s| !s.configured).count() >= MOST {
            forget_oldest(&mut known);
        }
        let status = known.entry(key).or_insert_with(|| ToolStatus::new(tool, at.to_owned(), false));
        let count = if failure.is_some() { &mut status.failed } else { &mut status.answered };
        *count = count.saturating_add(1);
        status.last = Some(LastAnswer { at: now, failure });
    }

    /// All of them, by tool and host. `left_alone` says until when one is not asked.
    pub(super) fn all(&self, left_alone: impl Fn(&str) -> Option<Time>) -> Vec<ToolStatus> {
        let all: Vec<ToolStatus> = self.known().values().cloned().collect();
        all.into_iter().map(|s| ToolStatus { left_alone_until: left_alone(&s.at), ..s }).collect()
    }

    fn known(&self) -> MutexGuard<'_, BTreeMap<(Tool, String), ToolStatus>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn forget_oldest(known: &mut BTreeMap<(Tool, String), ToolStatus>) {
    let declared = known.iter().filter(|(_, s)| !s.configured);
    let oldest = declared.min_by_key(|(_, s)| s.last.as_ref().map(|l| l.at)).map(|(key, _)| key.clone());
    if let Some(key) = oldest {
        known.remove(&key);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_last_answer_counts_and_those_that_are_configured_stay() {
        let clock = Clock::manual(Time::from_secs(1_000));
        let statuses = Statuses::new(clock.clone(), [(Tool::Loki, "loki:3100".to_owned())].into_iter());
        let first = |s: &Statuses| s.all(|_| None).remove(0);
        assert_eq!(first(&statuses), ToolStatus::new(Tool::Loki, "loki:3100".into(), true));
        statuses.asked(Tool::Loki, "loki:3100", Some("does not answer".into()));
        clock.advance(Duration::from_secs(5));
        statuses.asked(Tool::Loki, "loki:3100", None);
        let last = Some(LastAnswer { at: Time::from_secs(1_005), failure: None });
        assert_eq!((first(&statuses).last, first(&statuses).answered, first(&statuses).failed), (last, 1, 1));
        for n in 0..300 {
            clock.advance(Duration::from_secs(1));
            statuses.asked(Tool::Netdata, &format!("web-{n:03}:19999"), None);
        }
        let all = statuses.all(|at| (at == "web-299:19999").then_some(Time::from_secs(9)));
        assert_eq!(all.len(), MOST + 1);
        let names: Vec<&str> = all.iter().map(|s| s.at.as_str()).collect();
        assert!(names.contains(&"loki:3100") && names.contains(&"web-299:19999") && !names.contains(&"web-099:19999"));
        assert_eq!(all.iter().filter(|s| s.left_alone_until.is_some()).count(), 1);
    }
}
