//! Who is editing which part of a postmortem: told to others who open it, and held against nobody. It is in memory only,
//! and is over after a while without a word.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::broadcast;

use crate::model::{IncidentId, Time};

/// So long somebody is taken to be editing who has opened a part and not saved it.
const LASTS: Duration = Duration::from_secs(10 * 60);
/// Remembered at most; with more, what began longest ago is forgotten.
const MOST: usize = 2_000;

/// Incident, part, who → since when.
type Editors = BTreeMap<(IncidentId, String, String), Time>;

/// Incidents that a slow stream may fall behind by; it says nothing of those before.
const BEHIND: usize = 64;

/// Who edits what.
#[derive(Debug)]
pub struct Editing {
    editors: Mutex<Editors>,
    changed: broadcast::Sender<IncidentId>,
}

impl Default for Editing {
    fn default() -> Self {
        Self { editors: Mutex::default(), changed: broadcast::Sender::new(BEHIND) }
    }
}

impl Editing {
    fn editors(&self) -> MutexGuard<'_, Editors> {
        self.editors.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells of each postmortem where somebody began or ended.
    pub fn changes(&self) -> broadcast::Receiver<IncidentId> {
        self.changed.subscribe()
    }

    /// Somebody opened a part.
    pub fn begin(&self, id: IncidentId, part: &str, who: &str, now: Time) {
        let mut editors = self.editors();
        editors.retain(|_, since| now.since(*since) < LASTS);
        if editors.len() >= MOST
            && let Some(oldest) = editors.iter().min_by_key(|(_, since)| **since).map(|(key, _)| key.clone())
        {
            editors.remove(&oldest);
        }
        let new = editors.insert((id, part.to_owned(), who.to_owned()), now).is_none();
        drop(editors);
        if new {
            // Nobody may be listening.
            let _ = self.changed.send(id);
        }
    }

    /// Somebody saved it, or left it.
    pub fn end(&self, id: IncidentId, part: &str, who: &str) {
        let gone = self.editors().remove(&(id, part.to_owned(), who.to_owned())).is_some();
        if gone {
            let _ = self.changed.send(id);
        }
    }

    /// Part by part, who else is at it.
    pub fn others(&self, id: IncidentId, me: &str, now: Time) -> Vec<(String, String)> {
        let editors = self.editors();
        let here = editors.iter().filter(|((of, _, who), since)| *of == id && who != me && now.since(**since) < LASTS);
        here.map(|((_, part, who), _)| (part.clone(), who.clone())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn others_are_told_until_it_is_saved_or_over() {
        let editing = Editing::default();
        let (id, start) = (IncidentId(1), Time::from_secs(1_000));
        let after = |s: u64| start.plus(Duration::from_secs(s));
        let told = |me: &str, s| {
            editing.others(id, me, after(s)).into_iter().map(|(p, w)| format!("{w}: {p}")).collect::<Vec<_>>()
        };
        let mut told_of = editing.changes();
        editing.begin(id, "causes", "kim", start);
        editing.begin(id, "causes", "kim", start);
        assert_eq!((told_of.try_recv(), told_of.try_recv().is_err()), (Ok(id), true), "reading again is no news");
        editing.begin(IncidentId(2), "causes", "lee", start);
        assert_eq!(told("sre-1", 1), ["kim: causes"]);
        assert!(told("kim", 1).is_empty(), "nobody is told of themselves");
        told_of = editing.changes();
        editing.end(id, "causes", "kim");
        editing.end(id, "causes", "kim");
        assert_eq!((told_of.try_recv(), told_of.try_recv().is_err()), (Ok(id), true));
        assert!(told("sre-1", 1).is_empty());
        editing.begin(id, "summary", "kim", start);
        assert_eq!(told("sre-1", 599), ["kim: summary"]);
        assert!(told("sre-1", 600).is_empty());
        for n in 0..2_500 {
            editing.begin(id, &n.to_string(), "kim", after(700));
        }
        assert_eq!(editing.others(id, "", after(701)).len(), MOST);
    }
}
