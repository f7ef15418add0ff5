//! What can be taken back with one press while its outcome is still looked at: by the toast, or without scripts by the
//! button beside the outcome. In memory only; whoever wants to take something back later does it by hand.

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use crate::model::{IncidentId, SuggestionState, Time, Verdict};

/// So long something can be taken back: without scripts the outcome stays on the page until it is left.
const LASTS: Duration = Duration::from_secs(10 * 60);
/// Remembered at most, each with at most a thousand incidents; with more, the oldest is forgotten.
const MOST: usize = 200;

/// How something is taken back.
#[derive(Clone, Debug, PartialEq)]
pub enum Undo {
    /// Incidents go back to who had them, where `now` still has them.
    Owners {
        /// Each with its owner before.
        back: Vec<(IncidentId, Option<String>)>,
        /// Who got them.
        now: Option<String>,
    },
    /// An incident is called as before, where it still has the new title.
    Title {
        /// Which.
        id: IncidentId,
        /// Before.
        back: String,
        /// Since.
        now: String,
    },
    /// What was said of a suggestion.
    Suggestion(IncidentId, String, SuggestionState),
    /// What was said of a cause: its rank, its mark, the verdict before.
    Cause(IncidentId, u32, Option<String>, Option<Verdict>),
    /// Alerts that became an incident of their own return.
    TakenOut {
        /// Where they were.
        from: IncidentId,
        /// What was made of them.
        new: IncidentId,
    },
    /// Snoozes.
    Snooze(Vec<IncidentId>),
}

/// Who did it, when, and how it is taken back.
#[derive(Debug)]
struct Kept {
    token: u64,
    who: String,
    at: Time,
    undo: Undo,
}

/// What can still be taken back.
#[derive(Debug, Default)]
pub struct Undos(Mutex<VecDeque<Kept>>);

impl Undos {
    /// Remembers how something is taken back; the number to ask for it with.
    pub fn keep(&self, who: &str, undo: Undo, now: Time) -> u64 {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // By the clock, so that a page of before a restart takes back nothing of after it.
        let begin = u64::try_from(now.millis()).unwrap_or(0);
        let token = all.back().map_or(begin, |last| begin.max(last.token.saturating_add(1)));
        if all.len() >= MOST {
            all.pop_front();
        }
        all.push_back(Kept { token, who: who.to_owned(), at: now, undo });
        token
    }

    /// Takes it out, once; none when it is not theirs or too old.
    pub fn take(&self, token: u64, who: &str, now: Time) -> Option<Undo> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|k| now.since(k.at) < LASTS);
        let place = all.iter().position(|k| k.token == token && k.who == who)?;
        all.remove(place).map(|k| k.undo)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn once_by_the_same_person_and_not_for_ever() {
        let now = Time::from_secs(1_000);
        let later = |s: u64| now.plus(Duration::from_secs(s));
        let undos = Undos::default();
        let one = |n| Undo::Snooze(vec![IncidentId(n)]);
        let first = undos.keep("ann", one(1), now);
        let second = undos.keep("ann", one(2), now);
        assert_ne!(first, second);
        assert_eq!(undos.take(first, "bob", later(1)), None);
        assert_eq!(undos.take(first, "ann", later(1)), Some(one(1)));
        assert_eq!(undos.take(first, "ann", later(1)), None);
        assert_eq!(undos.take(second, "ann", later(600)), None, "too late");
        let tokens: Vec<u64> = (0..MOST as u64 + 1).map(|n| undos.keep("ann", one(n), now)).collect();
        assert_eq!(undos.take(tokens[0], "ann", now), None, "the oldest had to go");
        assert!(undos.take(tokens[1], "ann", now).is_some());
    }
}
