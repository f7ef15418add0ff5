//! Investigations that wait or run, in the order of their urgency: in a storm there are thousands, and the next one must be
//! found without reading their rows.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::model::{IncidentId, Job, Severity, Time};

/// Severity, since when it waits, incident.
type Urgency = (Severity, Time, u64);

/// The queue, as the rows of the jobs tell it.
#[derive(Debug, Default, PartialEq)]
pub struct Queue {
    // With the time before which nobody may take it.
    urgent: BTreeMap<Urgency, Time>,
    by_due: BTreeSet<(Time, u64)>,
    places: HashMap<u64, Urgency>,
}

impl Queue {
    /// A job is there, or changed.
    pub fn put(&mut self, job: &Job) {
        self.remove(job.incident);
        let number = job.incident.0;
        let urgency = (job.severity, job.queued_at, number);
        let due = job.leased_until.map_or(job.not_before, |t| t.max(job.not_before));
        self.urgent.insert(urgency, due);
        self.by_due.insert((due, number));
        self.places.insert(number, urgency);
    }

    /// A job is gone.
    pub fn remove(&mut self, id: IncidentId) {
        if let Some(due) = self.places.remove(&id.0).and_then(|urgency| self.urgent.remove(&urgency)) {
            self.by_due.remove(&(due, id.0));
        }
    }

    /// Whether the incident's investigation waits or runs.
    pub fn has(&self, id: IncidentId) -> bool {
        self.places.contains_key(&id.0)
    }

    /// The most urgent one that may be taken: the worst, and among equals the one that waits longest.
    pub fn first_due(&self, now: Time) -> Option<IncidentId> {
        // Mostly nothing is due, or nearly everything is.
        if self.next_due().is_none_or(|due| due > now) {
            return None;
        }
        self.urgent.iter().find(|(_, due)| **due <= now).map(|((.., number), _)| IncidentId(*number))
    }

    /// When the next one may be taken; none without any.
    pub fn next_due(&self) -> Option<Time> {
        self.by_due.first().map(|(due, _)| *due)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_worst_goes_first_then_the_oldest_and_what_is_taken_waits() {
        let at = |s: u64| Time::from_secs(1_000).plus(Duration::from_secs(s));
        let job = |n: u64, severity: Severity, queued: u64| Job {
            incident: IncidentId(n),
            severity,
            lease: 0,
            queued_at: at(queued),
            not_before: at(queued),
            leased_until: None,
            attempts: 0,
            reason: "opened".into(),
            again: false,
            answered: false,
        };
        let mut queue = Queue::default();
        for one in [job(1, Severity::Low, 0), job(2, Severity::High, 2), job(3, Severity::High, 1)] {
            queue.put(&one);
        }
        queue.put(&job(4, Severity::Critical, 9));
        let order = |queue: &mut Queue, now: u64| {
            let mut found = Vec::new();
            while let Some(id) = queue.first_due(at(now)) {
                found.push(id.0);
                queue.remove(id);
            }
            found
        };
        assert_eq!(queue.next_due(), Some(at(0)));
        queue.put(&Job { leased_until: Some(at(60)), ..job(3, Severity::High, 1) });
        assert_eq!(order(&mut queue, 5), [2, 1], "one is taken, and one is not due yet");
        assert_eq!(queue.next_due(), Some(at(9)));
        assert_eq!(order(&mut queue, 60), [4, 3]);
        assert_eq!(queue, Queue::default());
    }
}
