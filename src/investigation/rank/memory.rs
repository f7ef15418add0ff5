//! What ended incidents tell: how rarely things alert, which alerts go with being the cause, and the incidents most alike.
//!
//! Only causes that people recorded count as known. Votes count above the share that a place has anyway: a history of one
//! cause would otherwise vote for it whatever happens.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::{Point, features as f, measures::ratio, points::Context};
use crate::{
    correlation::names::Key,
    investigation::{case::Case, facts::Place, ledger::Ref, words},
    model::{IncidentId, Outcome, Shown, kind_of, rule_of},
};

/// Ended incidents that vote, and how much more the alike ones count.
const VOTERS: usize = 10;
const SHARPER: i32 = 3;
/// Incidents that a small history is filled up with, of which nothing is known.
const UNKNOWN: f64 = 3.0;
const SMALL: f64 = 10.0;
/// As many incidents of which the cause is not known are thought beside those that are, where it is counted who often is it.
const DOUBT: f64 = 2.0;
/// Sums of logarithms from which on more tell nothing new.
const CERTAIN: f64 = 3.0;
/// Below this much above chance a vote is no reason.
const CHANCE: f64 = 0.02;

/// A sign: what alerted where.
type Sign = (Key, u32);

/// What is remembered, as far as this case needs it.
#[derive(Debug, Default)]
pub struct Memory {
    /// Ended incidents, and those of them whose cause is known.
    ended: usize,
    known: usize,
    // Of all ended: in how many a sign was seen.
    seen: HashMap<Sign, u32>,
    // Of the known ones: in how many places a kind was seen, at how many of those that were the cause; how often a sign was
    // seen, how often where it was the cause; how often a place was the cause.
    kind_seen: HashMap<u32, u32>,
    kind_at_cause: HashMap<u32, u32>,
    sign_seen: HashMap<Sign, u32>,
    sign_at_cause: HashMap<Sign, u32>,
    causes: HashMap<Key, u32>,
    // How often any place that alerts is the cause.
    chance: f64,
    votes: BTreeMap<Key, Vote>,
}

/// What the incidents most alike say of a place.
#[derive(Debug, Default)]
struct Vote {
    share: f64,
    same: f64,
    incidents: Vec<IncidentId>,
}

struct Past<'a> {
    id: IncidentId,
    signs: BTreeSet<Sign>,
    cause: Key,
    outcome: &'a Outcome,
}

impl Memory {
    /// Reads what the case brings.
    pub fn of(case: &Case) -> Self {
        let mut memory = Self::default();
        let mut past: Vec<Past<'_>> = Vec::new();
        let mut places = 0;
        for (id, outcome) in case.outcomes.iter().filter(|(id, _)| *id != case.incident.id) {
            let signs = signs(case, &outcome.places);
            memory.ended += 1;
            for sign in &signs {
                *memory.seen.entry(*sign).or_default() += 1;
            }
            let Some(service) = outcome.cause.as_ref().and_then(|c| c.service.as_deref().or(c.host.as_deref())) else {
                continue;
            };
            let cause = case.topology.key(service);
            memory.known += 1;
            *memory.causes.entry(cause).or_default() += 1;
            places += signs.iter().map(|(place, _)| place).collect::<BTreeSet<_>>().len();
            for sign in &signs {
                *memory.kind_seen.entry(sign.1).or_default() += 1;
                *memory.sign_seen.entry(*sign).or_default() += 1;
                if sign.0 == cause {
                    *memory.kind_at_cause.entry(sign.1).or_default() += 1;
                    *memory.sign_at_cause.entry(*sign).or_default() += 1;
                }
            }
            past.push(Past { id: *id, signs, cause, outcome });
        }
        memory.chance = ratio(memory.known as f64, places as f64);
        memory.vote(case, &past);
        memory
    }

    fn telling(&self, sign: &Sign) -> f64 {
        let seen = self.seen.get(sign).copied().unwrap_or(0);
        ((self.ended as f64 + 1.0) / (f64::from(seen) + 0.5)).ln().max(0.0)
    }

    fn vote(&mut self, case: &Case, past: &[Past<'_>]) {
        let now = signs(case, &Outcome::shown(&case.alerts));
        let length = |signs: &BTreeSet<Sign>| signs.iter().map(|s| self.telling(s).powi(2)).sum::<f64>().sqrt();
        let own = length(&now);
        let mut alike: Vec<(f64, &Past<'_>)> = past
            .iter()
            .map(|p| {
                let common: f64 = p.signs.intersection(&now).map(|s| self.telling(s).powi(2)).sum();
                (ratio(common, own * length(&p.signs)), p)
            })
            .collect();
        alike.sort_by(|(a, p), (b, q)| b.total_cmp(a).then(q.id.cmp(&p.id)));
        alike.truncate(VOTERS);
        let total: f64 = alike.iter().map(|(a, _)| a.powi(SHARPER)).sum();
        let Some((most, _)) = alike.first().filter(|_| total > 0.0) else { return };
        let sure = (1.5 * most).min(1.0);
        let mut votes: BTreeMap<Key, Vote> = BTreeMap::new();
        for (a, p) in &alike {
            let weight = |signs: &mut dyn Iterator<Item = &Sign>| signs.map(|s| self.telling(s).max(0.05)).sum::<f64>();
            let then = || p.signs.iter().filter(|(place, _)| *place == p.cause);
            let same = ratio(weight(&mut then().filter(|s| now.contains(*s))), weight(&mut then()));
            let vote = votes.entry(p.cause).or_default();
            vote.share += a.powi(SHARPER) / total;
            vote.same += a.powi(SHARPER) * same / total;
            if *a > 0.0 {
                vote.incidents.push(p.id);
            }
        }
        for (cause, vote) in &mut votes {
            let anyway = ratio(f64::from(self.causes.get(cause).copied().unwrap_or(0)), past.len() as f64);
            vote.share = (vote.share - anyway).max(0.0) * sure;
            vote.same = (vote.same - anyway).max(0.0) * sure;
        }
        debug_assert!(past.iter().all(|p| p.outcome.cause.is_some()));
        self.votes = votes;
    }

    /// How much more often than others a place is the cause where this is seen, as a logarithm.
    fn lift(&self, seen: u32, at_cause: u32, chance: f64) -> f64 {
        if chance <= 0.0 {
            return 0.0;
        }
        ((f64::from(at_cause) + UNKNOWN * chance) / ((f64::from(seen) + UNKNOWN) * chance)).ln()
    }
}

impl Context<'_> {
    /// What ended incidents say of a place.
    pub(super) fn remembered_of_all(&self, place: &Place) -> Vec<Point> {
        let memory = &self.memory;
        let Some(key) = place.name().map(|n| self.case.topology.key(n)).filter(|_| memory.ended > 0) else {
            return Vec::new();
        };
        let mut kinds: BTreeMap<u32, usize> = BTreeMap::new();
        for i in place.alerts.iter().filter(|i| self.case.alert(**i).is_some()) {
            if let Some(alert) = self.case.alert(*i) {
                kinds.entry(kind_of(alert)).or_insert(*i);
            }
        }
        let mut points = Vec::new();
        points.extend(self.rare(key, &kinds));
        if memory.known == 0 {
            return points;
        }
        let refs = vec![Ref::Outcomes];
        if let Some(vote) = memory.votes.get(&key).filter(|v| v.share > CHANCE) {
            let ids: Vec<String> = vote.incidents.iter().take(3).map(ToString::to_string).collect();
            let fill = [("incidents", words::list(&ids, 3))];
            points.push(Point::of(&f::ALIKE, vote.share, &fill, refs.clone()));
            if vote.same > CHANCE {
                points.push(Point::of(&f::ALIKE_SAME, vote.same, &[], refs.clone()));
            }
        }
        let sure = ratio(memory.known as f64, memory.known as f64 + SMALL);
        let mut best: Option<(f64, usize, u32, u32)> = None;
        let (mut kind_sum, mut sign_sum) = (0.0, 0.0);
        let often = memory.causes.get(&key).copied().unwrap_or(0);
        let own_chance = (f64::from(often) + 1.0) / (memory.known as f64 + SMALL);
        for (kind, alert) in &kinds {
            let count = |of: &HashMap<u32, u32>| of.get(kind).copied().unwrap_or(0);
            let (seen, at_cause) = (count(&memory.kind_seen), count(&memory.kind_at_cause));
            let lift = memory.lift(seen, at_cause, memory.chance);
            kind_sum += lift;
            if best.is_none_or(|(b, ..)| lift.abs() > f64::abs(b)) {
                best = Some((lift, *alert, seen, at_cause));
            }
            let count = |of: &HashMap<Sign, u32>| of.get(&(key, *kind)).copied().unwrap_or(0);
            sign_sum += memory.lift(count(&memory.sign_seen), count(&memory.sign_at_cause), own_chance);
        }
        let damped = |sum: f64| sure * (sum / (kinds.len().max(1) as f64).sqrt() / CERTAIN).clamp(-1.0, 1.0);
        if let Some((_, alert, seen, at_cause)) = best {
            let fill = [
                ("rule", self.rule(alert)),
                ("n", at_cause.to_string()),
                ("times", words::count(seen as usize, "time")),
            ];
            points.push(Point::of(&f::TELLING, damped(kind_sum), &fill, refs.clone()));
            let fill = [("n", often.to_string()), ("known", words::count(memory.known, "ended incident"))];
            points.push(Point::of(&f::OWN_SIGNS, damped(sign_sum), &fill, refs.clone()));
        }
        if often > 0 {
            let fill = [("n", often.to_string()), ("known", words::count(memory.known, "ended incident"))];
            points.push(Point::of(&f::OFTEN, ratio(f64::from(often), memory.known as f64 + DOUBT), &fill, refs));
        }
        points
    }

    /// What seldom alerts tells more.
    fn rare(&self, key: Key, kinds: &BTreeMap<u32, usize>) -> Option<Point> {
        let memory = &self.memory;
        if memory.ended < SMALL as usize {
            return None;
        }
        let most = (memory.ended as f64 + 1.0).ln();
        let of = |kind: &u32| ratio(memory.telling(&(key, *kind)), most).clamp(0.02, 1.0);
        let sum: f64 = kinds.keys().map(of).sum();
        let (kind, alert) = kinds.iter().max_by(|a, b| of(a.0).total_cmp(&of(b.0)).then(b.1.cmp(a.1)))?;
        let seen = memory.seen.get(&(key, *kind)).copied().unwrap_or(0);
        let fill = [
            ("rule", self.rule(*alert)),
            ("n", seen.to_string()),
            ("ended", words::count(memory.ended, "ended incident")),
        ];
        Some(Point::of(&f::RARE, (sum.ln_1p() / 2.0).min(1.0), &fill, vec![Ref::Outcomes]))
    }

    fn rule(&self, alert: usize) -> String {
        words::quote(&self.case.alert(alert).map(|a| rule_of(a).0).unwrap_or_default())
    }
}

fn signs(case: &Case, places: &[Shown]) -> BTreeSet<Sign> {
    let of = |shown: &Shown| {
        let key = case.topology.key(&shown.place);
        shown.kinds.iter().map(move |k| (key, *k)).collect::<Vec<_>>()
    };
    places.iter().flat_map(of).collect()
}
