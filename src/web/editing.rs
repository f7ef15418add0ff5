//! Who is editing which part of a postmortem: told to others who open it, and held against nobody. It is in memory only,
//! and is over after a while without a word.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crate::model::{IncidentId, Time};

/// So long somebody is taken to be editing who has opened a part and not saved it.
const LASTS: Duration = Duration::from_secs(10 * 60);
/// Remembered at most; with more, what began longest ago is forgotten.
const MOST: usize = 2_000;

/// Incident, part, who → since when.
type Editors = BTreeMap<(IncidentId, String, String), Time>;

/// Who edits what.
#[derive(Debug, Default)]
pub struct Editing(Mutex<Editors>);

impl Editing {
    fn editors(&self) -> MutexGuard<'_, Editors> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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
        editors.insert((id, part.to_owned(), who.to_owned()), now);
    }

    /// Somebody saved it, or left it.
    pub fn end(&self, id: IncidentId, part: &str, who: &str) {
        self.editors().remove(&(id, part.to_owned(), who.to_owned()));
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
        editing.begin(id, "causes", "kim", start);
        editing.begin(IncidentId(2), "causes", "lee", start);
        assert_eq!(told("sre-1", 1), ["kim: causes"]);
        assert!(told("kim", 1).is_empty(), "nobody is told of themselves");
        editing.end(id, "causes", "kim");
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
