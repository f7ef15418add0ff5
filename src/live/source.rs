//! Reading the change log: each entry with its subject, from one snapshot.

use std::{
    collections::{HashMap, HashSet},
    future::Future,
    pin::Pin,
    sync::Arc,
};

use tokio::sync::watch;

use super::{Event, What};
use crate::{
    model::*,
    store::{Store, StoreError, View},
};

/// A piece of the change log with its subjects.
#[derive(Clone, Debug, Default)]
pub(super) struct Piece {
    /// The first change that the log still holds.
    pub(super) first: u64,
    /// The last change that the log holds.
    pub(super) last: u64,
    /// The last change looked at for this piece, and its time; none when there was nothing after the place asked for.
    pub(super) upto: Option<(u64, Time)>,
    /// What there is to tell, in order.
    pub(super) events: Vec<Arc<Event>>,
}

impl Piece {
    /// Whether changes after `place` were dropped from the log before this piece was read.
    pub(super) fn misses_after(&self, place: u64) -> bool {
        self.first > place.saturating_add(1) || (self.upto.is_none() && self.last > place)
    }
}

/// A piece that will come.
pub(super) type Reading<'a> = Pin<Box<dyn Future<Output = Result<Piece, StoreError>> + Send + 'a>>;

/// Where changes are read: the store, or a test's list.
pub(super) trait Source: std::fmt::Debug + Send + Sync {
    /// The changes after `after`, at most `limit` of them, collapsed.
    fn read(&self, after: u64, limit: usize) -> Reading<'_>;

    /// Tells the last change whenever it grows.
    fn changes(&self) -> watch::Receiver<u64>;
}

impl Source for Store {
    fn read(&self, after: u64, limit: usize) -> Reading<'_> {
        Box::pin(Store::read(self, move |view| {
            let (first, last) = view.change_range()?;
            let log = if after < last { view.change_log(after, limit)? } else { Vec::new() };
            let upto = log.last().map(|e| (e.seq, e.at));
            let events = Resolver::new(view).resolve(collapse(log))?;
            Ok(Piece { first, last, upto, events })
        }))
    }

    fn changes(&self) -> watch::Receiver<u64> {
        Store::changes(self)
    }
}

/// Of several like changes of one incident only the last is told: it carries the incident as it stands, and a burst
/// changes the same incident hundreds of times a second. That it was created is always told.
pub(super) fn collapse(mut log: Vec<ChangeLogEntry>) -> Vec<ChangeLogEntry> {
    let mut told = HashSet::new();
    log.reverse();
    log.retain(|entry| match entry.subject {
        ChangeSubject::Incident(id, change) => change == IncidentChange::Created || told.insert((id, change)),
        _ => true,
    });
    log.reverse();
    log
}

/// Reads subjects, each incident and investigation once for the whole piece.
struct Resolver<'a> {
    view: &'a View,
    incidents: HashMap<IncidentId, Option<Incident>>,
    investigations: HashMap<IncidentId, Investigation>,
}

impl<'a> Resolver<'a> {
    fn new(view: &'a View) -> Self {
        Self { view, incidents: HashMap::new(), investigations: HashMap::new() }
    }

    fn resolve(&mut self, log: Vec<ChangeLogEntry>) -> Result<Vec<Arc<Event>>, StoreError> {
        let mut events = Vec::with_capacity(log.len());
        for ChangeLogEntry { seq, at, subject } in log {
            if let Some(what) = self.subject(subject)? {
                events.push(Arc::new(Event::new(seq, at, what)));
            }
        }
        Ok(events)
    }

    fn subject(&mut self, subject: ChangeSubject) -> Result<Option<What>, StoreError> {
        Ok(match subject {
            ChangeSubject::Incident(id, change) => self.incident(id)?.map(|i| What::Incident(change, Box::new(i))),
            ChangeSubject::AlertCorrelated(id, alert) => match self.view.alert(alert)? {
                // Moved on to another incident since: that move is a change of its own.
                Some(alert) => self
                    .view
                    .membership(&alert)?
                    .filter(|m| m.incident == id)
                    .map(|m| What::AlertCorrelated(id, Box::new(alert), Box::new(m))),
                None => None,
            },
            ChangeSubject::Thought(id, n) => self.view.thought(id, n)?.map(|t| What::Thought(id, t)),
            ChangeSubject::Suggestion(id, name) => {
                let all = &self.investigation(id)?.suggestions;
                all.iter().find(|s| s.id == name).map(|s| What::Suggestion(id, s.clone()))
            }
            ChangeSubject::Cause(id, rank) => {
                let all = &self.investigation(id)?.causes;
                all.iter().find(|c| c.rank == rank).map(|c| What::Cause(id, c.clone()))
            }
            ChangeSubject::Delivery { platform, outcome, count } => Some(What::Delivery { platform, outcome, count }),
            ChangeSubject::Topology => Some(What::Topology),
            ChangeSubject::Notifications => Some(What::Notifications),
            ChangeSubject::Mutes => Some(What::Mutes),
        })
    }

    fn incident(&mut self, id: IncidentId) -> Result<Option<Incident>, StoreError> {
        if let Some(known) = self.incidents.get(&id) {
            return Ok(known.clone());
        }
        let incident = self.view.incident(id)?;
        self.incidents.insert(id, incident.clone());
        Ok(incident)
    }

    fn investigation(&mut self, id: IncidentId) -> Result<&Investigation, StoreError> {
        use std::collections::hash_map::Entry;
        Ok(match self.investigations.entry(id) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(free) => free.insert(self.view.investigation(id)?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(subjects: &[(u64, IncidentChange)]) -> Vec<ChangeLogEntry> {
        subjects
            .iter()
            .zip(1..)
            .map(|((id, change), seq)| ChangeLogEntry {
                seq,
                at: Time::default(),
                subject: ChangeSubject::Incident(IncidentId(*id), *change),
            })
            .collect()
    }

    #[test]
    fn like_changes_of_one_incident_are_told_once_and_creation_always() {
        use IncidentChange::{Alerts, Created, Severity, Status};
        let check = |subjects: &[(u64, IncidentChange)], want: &[u64]| {
            let kept: Vec<u64> = collapse(log(subjects)).iter().map(|e| e.seq).collect();
            assert_eq!(kept, want, "{subjects:?}");
        };
        check(&[(1, Created), (1, Alerts), (1, Alerts), (1, Alerts)], &[1, 4]);
        check(&[(1, Alerts), (2, Alerts), (1, Alerts), (2, Alerts)], &[3, 4]);
        check(&[(1, Alerts), (1, Severity), (1, Alerts), (1, Status)], &[2, 3, 4]);
        check(&[(1, Created), (1, Alerts), (1, Created)], &[1, 2, 3]);
        check(&[], &[]);
    }

    #[test]
    fn thoughts_and_deliveries_are_never_collapsed() {
        let entry = |seq, subject| ChangeLogEntry { seq, at: Time::default(), subject };
        let delivery =
            || ChangeSubject::Delivery { platform: "grafana".into(), outcome: DeliveryOutcome::Accepted, count: 1 };
        let log = vec![
            entry(1, delivery()),
            entry(2, ChangeSubject::Thought(IncidentId(1), 1)),
            entry(3, ChangeSubject::Thought(IncidentId(1), 2)),
            entry(4, delivery()),
        ];
        assert_eq!(collapse(log.clone()), log);
    }

    #[test]
    fn a_piece_knows_what_it_misses() {
        let piece = |first, last, upto: Option<u64>| Piece {
            first,
            last,
            upto: upto.map(|u| (u, Time::default())),
            events: Vec::new(),
        };
        assert!(!piece(1, 9, Some(9)).misses_after(0));
        assert!(!piece(5, 9, Some(9)).misses_after(4));
        assert!(piece(5, 9, Some(9)).misses_after(3));
        // An empty log names its last change as both ends.
        assert!(!piece(9, 9, None).misses_after(9));
        assert!(piece(9, 9, None).misses_after(8));
    }
}
