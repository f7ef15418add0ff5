//! Who names whom: in texts ("timeouts calling ledger-db"), and by the two ends of a call that labels tell.

use std::collections::{BTreeMap, HashMap};

use super::scene::Scene;
use crate::{
    correlation::{
        edges,
        names::{Hasher, Key, plain},
    },
    investigation::{
        case::Case,
        facts::{Facts, Whose},
    },
};

/// Letters of a name below which it would be found in any text.
const SHORTEST: usize = 3;
/// Words that a name may have, and words of a text that are looked at.
const WORDS: usize = 8;
const TEXT_WORDS: usize = 160;

/// What is said of one place.
#[derive(Clone, Debug, Default)]
pub struct Blame {
    /// In texts of other places' alerts.
    pub named: Said,
    /// As the called end of a call.
    pub called: Said,
}

/// Who says it, and how much.
#[derive(Clone, Debug, Default)]
pub struct Said {
    /// Each alert counts what it counts elsewhere.
    pub weight: f64,
    /// Who, with the first alert that does.
    pub by: BTreeMap<String, usize>,
}

/// For each spot of the scene what others say of it.
pub fn of(case: &Case, facts: &Facts, scene: &Scene) -> Vec<Blame> {
    let mut found = vec![Blame::default(); scene.spots.len()];
    let spot_of: HashMap<Whose, usize> =
        scene.spots.iter().enumerate().filter_map(|(n, s)| Some((facts.wide.get(s.place)?.whose, n))).collect();
    // Names as they are written of what alerts; the topology knows others.
    let mut written: HashMap<Key, Key> = HashMap::new();
    for (whose, n) in &spot_of {
        let name = scene.spots.get(*n).and_then(|s| facts.wide.get(s.place)).and_then(|p| p.service.as_deref());
        if let (Whose::Service(key), Some(name)) = (whose, name) {
            written.entry(plain(name)).or_insert(*key);
        }
    }
    let look = |k: Key| written.get(&k).copied().or_else(|| case.topology.written(k));
    let owner: HashMap<usize, usize> = scene
        .spots
        .iter()
        .enumerate()
        .flat_map(|(n, s)| facts.wide.get(s.place).into_iter().flat_map(move |p| p.alerts.iter().map(move |a| (*a, n))))
        .collect();
    for (i, alert) in case.every_alert() {
        let Some(own) = owner.get(&i) else { continue };
        let own_key = scene.spots.get(*own).and_then(|s| facts.wide.get(s.place)).map(|p| p.whose);
        let Some(Whose::Service(own_key)) = own_key else { continue };
        // Called, caller, and whether only a label or the called side's own alert tells.
        let mut pairs: Vec<(Key, Key, bool)> = Vec::new();
        for (caller, callee) in edges::learned(&alert.labels, alert.service.as_deref()) {
            pairs.push((case.topology.key(&callee), case.topology.key(&caller), true));
        }
        let text = format!("{}\n{}", alert.title, alert.description.as_deref().unwrap_or(""));
        for other in names_in(&text, &look).into_iter().filter(|k| *k != own_key) {
            let calls_me = case.topology.needs(other).any(|k| k == own_key);
            let i_call = case.topology.needs(own_key).any(|k| k == other);
            // "latency of calls from frontend", told of what frontend calls.
            pairs.push(if calls_me && !i_call { (own_key, other, true) } else { (other, own_key, false) });
        }
        pairs.sort_unstable();
        pairs.dedup();
        for (called, caller, call) in pairs.into_iter().filter(|(a, b, _)| a != b) {
            let Some(blame) = spot_of.get(&Whose::Service(called)).and_then(|n| found.get_mut(*n)) else { continue };
            let alerting = scene.at(caller).and_then(|n| scene.spots.get(n)).and_then(|s| facts.wide.get(s.place));
            let Some(name) = alerting.and_then(|p| p.name()).or_else(|| case.topology.name(caller)) else { continue };
            let blame = if call { &mut blame.called } else { &mut blame.named };
            blame.weight += case.counts(i);
            blame.by.entry(name.to_owned()).or_insert(i);
        }
    }
    found
}

/// The services named in a text, each once, in order; the longest name first where several stand at a place.
fn names_in(text: &str, look: &impl Fn(Key) -> Option<Key>) -> Vec<Key> {
    let words = words(text);
    let mut found: Vec<Key> = Vec::new();
    let mut at = 0;
    while let Some(first) = words.get(at) {
        let mut hasher = Hasher::default();
        let mut best: Option<(usize, Key)> = None;
        let mut letters = 0;
        for (n, word) in words.iter().skip(at).take(WORDS).enumerate() {
            if n > 0 && word.far {
                break;
            }
            hasher.push(word.text);
            letters += word.text.len();
            // `api` does not stand in `payments-api`, nor in `api.example.com`.
            if letters >= SHORTEST
                && !first.joined
                && !word.joins
                && let Some(key) = look(hasher.key())
            {
                best = Some((n + 1, key));
            }
        }
        match best {
            Some((n, key)) => {
                if !found.contains(&key) {
                    found.push(key);
                }
                at += n;
            }
            None => at += 1,
        }
    }
    found
}

struct Word<'a> {
    text: &'a str,
    // Hangs on the word before by a hyphen or a full stop.
    joined: bool,
    // The word after hangs on it in that way.
    joins: bool,
    // More than one sign stands before it.
    far: bool,
}

fn words(text: &str) -> Vec<Word<'_>> {
    let mut found: Vec<Word<'_>> = Vec::new();
    let mut begin: Option<usize> = None;
    let mut end_before = 0;
    for (at, c) in text.char_indices().chain(std::iter::once((text.len(), ' '))) {
        if c.is_alphanumeric() {
            begin.get_or_insert(at);
        } else if let Some(from) = begin.take() {
            let gap = text.get(end_before..from).unwrap_or("");
            let joined = !found.is_empty() && matches!(gap, "-" | ".");
            if let Some(last) = found.last_mut().filter(|_| joined) {
                last.joins = true;
            }
            found.push(Word {
                text: text.get(from..at).unwrap_or(""),
                joined,
                joins: false,
                far: gap.chars().count() > 2,
            });
            end_before = at;
            if found.len() >= TEXT_WORDS {
                break;
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_found_only_as_a_word() {
        let check = |text: &str, names: &[&str], want: &[&str]| {
            let known: HashMap<Key, Key> = names.iter().map(|n| (plain(n), plain(n))).collect();
            let found = names_in(text, &|k| known.get(&k).copied());
            assert_eq!(found, want.iter().map(|n| plain(n)).collect::<Vec<_>>(), "{text}");
        };
        check("timeouts calling payments", &["payments"], &["payments"]);
        check("timeouts calling payments.", &["payments"], &["payments"]);
        check("timeouts calling payments-worker", &["payments"], &[]);
        check("timeouts calling payments-worker", &["payments", "payments-worker"], &["payments-worker"]);
        check("error at payments.example.com", &["payments"], &[]);
        check("(payments): 5xx", &["payments"], &["payments"]);
        check("repayments late", &["payments"], &[]);
        check("zürich-api", &["api"], &[]);
        check("edge_latency_p50:frontend_checkout", &["frontend", "checkout"], &["frontend", "checkout"]);
        check("up db", &["up", "db"], &[]);
    }
}
