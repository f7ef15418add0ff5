//! What alerts show of each place, and how that hangs together: strengths by kind of trouble, callers and callees.
//!
//! Only numbers; sentences are made in `measures`.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    iter::once,
};

use crate::{
    correlation::names::Key,
    investigation::{
        case::Case,
        facts::{self, Facts, Whose},
        symptoms::{Flavour, Reading},
    },
    model::Symptom,
};

/// What counts of an alert of another incident: with a call known between the two, and without.
pub const CONNECTED: f64 = 0.8;
const UNCONNECTED: f64 = 0.4;
/// What most places show says little of any of them, but not less than this; among a few places that cannot be told.
const COMMON: f64 = 0.1;
const A_FEW: usize = 6;
/// How far what a callee shows explains what its caller shows.
const EXPLAINS: f64 = 0.95;
/// What counts of a place that shows others: a load balancer alerts when what is behind it fails.
const OF_A_FRONT: f64 = 0.5;
/// Calls over which alerting callers are looked for, services looked at while looking, and what each call takes off.
const HOPS: u32 = 4;
const LOOKED_AT: usize = 400;
const PER_HOP: f64 = 0.7;
/// The same for runs of the same trouble.
const RUN_HOPS: u32 = 6;
const PER_RUN_HOP: f64 = 0.8;
/// Parts of names of what only shows others.
const FRONTS: &[&str] = &[
    "elb",
    "alb",
    "nlb",
    "lb",
    "loadbalancer",
    "ingress",
    "haproxy",
    "vip",
    "remote",
    "client",
    "proxy",
    "envoy",
    "traefik",
    "cdn",
];

/// A kind of trouble.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Kind {
    /// Its symptom.
    pub symptom: Symptom,
    /// How it is seen.
    pub flavour: Flavour,
    /// Less than usual.
    pub lower: bool,
}

impl From<Reading> for Kind {
    fn from(r: Reading) -> Self {
        // Of these alone it matters.
        use Symptom::{Cpu, DiskSpace, Errors, Latency, Memory, Traffic, Unavailable};
        let matters = matches!(r.symptom, Cpu | Memory | Latency | Traffic | DiskSpace | Errors | Unavailable);
        let lower = r.lower && (matters || r.flavour == Flavour::Volume);
        Self { symptom: r.symptom, flavour: r.flavour, lower }
    }
}

impl Kind {
    /// A plain one.
    pub const fn of(symptom: Symptom) -> Self {
        Self { symptom, flavour: Flavour::Plain, lower: false }
    }

    /// How much an alert of this kind tells of where the fault is: traffic moves everywhere when one place fails.
    fn tells(self) -> f64 {
        match (self.symptom, self.flavour, self.lower) {
            (_, Flavour::Log, _) => 0.4,
            (_, Flavour::Volume, false) => 0.3,
            (_, Flavour::Volume, true) | (Symptom::Cpu | Symptom::DiskSpace, _, true) => 0.2,
            (Symptom::Memory, _, true) => 0.5,
            (Symptom::Traffic, ..) => 0.25,
            (_, _, true) => 0.1,
            (Symptom::Latency | Symptom::Errors | Symptom::Backlog | Symptom::DiskSpace | Symptom::DiskIo, ..) => 0.6,
            (Symptom::Unknown, ..) => 0.4,
            (Symptom::Unavailable, ..) => 0.8,
            _ => 1.0,
        }
    }

    /// Whether it may come from something that is called, rather than from a lack of its own.
    pub fn is_effect(self) -> bool {
        use Symptom::{Backlog, Errors, Latency, Traffic, Unavailable, Unknown};
        self.flavour != Flavour::Plain
            || matches!(self.symptom, Latency | Errors | Unavailable | Traffic | Unknown | Backlog)
            || self.lower && self.symptom == Symptom::Cpu
    }
}

/// A place that may be the cause.
#[derive(Clone, Debug, Default)]
pub struct Spot {
    /// Its place among `Facts::wide`.
    pub place: usize,
    /// Strength by kind of trouble, damped so that many alerts of a kind weigh little more than one.
    pub kinds: BTreeMap<Kind, f64>,
    /// All of it, each kind by how much it tells.
    pub strength: f64,
    /// The part of it that is a lack of its own.
    pub lack: f64,
    /// What is left when what its callees explain is taken off.
    pub own: f64,
    /// The callee that explains most of it.
    pub explained_by: Option<usize>,
    /// Alerting callers by calls between, nearest first.
    pub callers: Vec<(usize, u32)>,
    /// Strength of those, each call between taken off, as a share of all.
    pub dependents: f64,
    /// The longest run of the same trouble up from it.
    pub run: f64,
    /// The part of it whose trouble ends here.
    pub run_end: f64,
    /// Whether the runs are of slow answers rather than of failures.
    pub run_is_slow: bool,
    /// Who stands on it.
    pub above: Vec<usize>,
    /// Its strength less the mean of its siblings'; none without siblings.
    pub beyond_siblings: Option<f64>,
    /// Siblings that alert.
    pub siblings: Vec<usize>,
    /// Its name says that it shows others.
    pub front: bool,
    /// All its alerts are in other incidents.
    pub around: bool,
    /// Its worst alert is critical, and counts so much.
    pub critical: f64,
}

impl Spot {
    /// Slow answers and failures.
    fn ill(&self) -> f64 {
        let of_it = |k: &Kind| {
            !k.lower && k.flavour == Flavour::Plain && (k.symptom == Symptom::Latency || is_failure(k.symptom))
        };
        self.kinds.iter().filter(|(k, _)| of_it(k)).map(|(_, v)| *v).sum()
    }
}

/// All of them.
#[derive(Clone, Debug, Default)]
pub struct Scene {
    /// By their order in `Facts::wide`.
    pub spots: Vec<Spot>,
    /// Direct alerting callees of each.
    pub callees: Vec<Vec<usize>>,
    /// Direct alerting callers of each.
    pub direct: Vec<Vec<usize>>,
    /// Greatest strength, own strength, lack and run of any.
    pub most: Most,
    /// Of each kind the greatest strength at one place.
    pub by_kind: BTreeMap<Kind, f64>,
    /// Sum of all strengths.
    pub total: f64,
    by_key: HashMap<Key, usize>,
}

/// Greatest values of any place.
#[derive(Clone, Copy, Debug, Default)]
pub struct Most {
    pub strength: f64,
    pub own: f64,
    pub lack: f64,
}

impl Scene {
    /// Counts. `heard` says which alerts count for a place.
    pub fn of(case: &Case, facts: &Facts) -> Self {
        let mut scene = Self::default();
        let speaks = |(_, p): &(usize, &facts::Place)| p.name().is_some() && p.blind * 2 <= p.alerts.len();
        let places: Vec<(usize, &facts::Place)> = facts.wide.iter().enumerate().filter(speaks).collect();
        let common = Common::of(facts, &places);
        for (n, place) in &places {
            let mut spot = Spot { place: *n, front: place.name().is_some_and(is_front), ..Spot::default() };
            spot.around = place.alerts.iter().all(|i| *i >= case.alerts.len()) && !place.alerts.is_empty();
            let mut sums: BTreeMap<Kind, f64> = BTreeMap::new();
            for i in &place.alerts {
                let (Some(alert), Some(reading)) = (case.alert(*i), facts.reading(*i)) else { continue };
                let kind = Kind::from(reading);
                let counts = case.counts(*i);
                *sums.entry(kind).or_default() += facts::weight(alert.severity) * counts * common.share(kind);
                if alert.severity == crate::model::Severity::Critical {
                    spot.critical = spot.critical.max(counts);
                }
            }
            let of_front = if spot.front { OF_A_FRONT } else { 1.0 };
            spot.kinds = sums.into_iter().map(|(k, w)| (k, of_front * w.ln_1p())).collect();
            spot.strength = spot.kinds.iter().map(|(k, v)| k.tells() * v).sum();
            spot.lack = spot.kinds.iter().filter(|(k, _)| !k.is_effect()).map(|(k, v)| k.tells() * v).sum();
            if let Whose::Service(key) = place.whose {
                scene.by_key.insert(key, scene.spots.len());
            }
            scene.spots.push(spot);
        }
        scene.connect(case, facts);
        scene.explain();
        scene.run_up();
        scene.compare_siblings(case, facts);
        let most = |of: fn(&Spot) -> f64| scene.spots.iter().map(of).fold(0.0, f64::max);
        let (strength, own, lack) = (most(|s| s.strength), most(|s| s.own), most(|s| s.lack));
        scene.most = Most { strength, own, lack };
        scene
    }

    /// The place of a service that alerts.
    pub fn at(&self, service: Key) -> Option<usize> {
        self.by_key.get(&service).copied()
    }

    fn connect(&mut self, case: &Case, facts: &Facts) {
        self.total = self.spots.iter().map(|s| s.strength).sum();
        for spot in &self.spots {
            for (kind, v) in &spot.kinds {
                let most = self.by_kind.entry(*kind).or_default();
                *most = most.max(*v);
            }
        }
        let keys: Vec<Option<Key>> = self
            .spots
            .iter()
            .map(|s| match facts.wide.get(s.place).map(|p| p.whose) {
                Some(Whose::Service(key)) => Some(key),
                _ => None,
            })
            .collect();
        for (i, key) in keys.iter().enumerate() {
            let known = |found: &mut dyn Iterator<Item = Key>| -> Vec<usize> {
                let mut found: Vec<usize> = found.filter_map(|k| self.at(k)).filter(|n| *n != i).collect();
                found.sort_unstable();
                found
            };
            let Some(key) = *key else {
                self.callees.push(Vec::new());
                self.direct.push(Vec::new());
                continue;
            };
            let callees = known(&mut case.topology.needs(key));
            let direct = known(&mut case.topology.needed_by(key));
            self.callees.push(callees);
            self.direct.push(direct);
            let callers = self.callers_of(case, key);
            let strength = |n: usize| self.spots.get(n).map_or(0.0, |s| s.strength);
            let weight: f64 = callers.iter().map(|(n, hops)| strength(*n) * PER_HOP.powi(*hops as i32 - 1)).sum();
            let total = self.total;
            if let Some(spot) = self.spots.get_mut(i) {
                spot.dependents = if total > 0.0 { weight / total } else { 0.0 };
                spot.callers = callers;
            }
        }
    }

    /// Alerting callers over some calls, those between need not alert.
    fn callers_of(&self, case: &Case, key: Key) -> Vec<(usize, u32)> {
        let mut found = Vec::new();
        let mut seen: HashSet<Key> = once(key).collect();
        let mut front = vec![key];
        for hops in 1..=HOPS {
            let mut next: Vec<Key> = Vec::new();
            for service in front {
                for caller in case.topology.needed_by(service) {
                    if seen.len() < LOOKED_AT && seen.insert(caller) {
                        next.push(caller);
                    }
                }
            }
            let mut here: Vec<(usize, u32)> = next.iter().filter_map(|k| Some((self.at(*k)?, hops))).collect();
            here.sort_unstable();
            found.extend(here);
            front = next;
        }
        found
    }

    /// Takes off what callees explain.
    fn explain(&mut self) {
        let strength: Vec<f64> = self.spots.iter().map(|s| s.strength).collect();
        for (spot, callees) in self.spots.iter_mut().zip(&self.callees) {
            let of = |n: usize| strength.get(n).copied().unwrap_or(0.0);
            let best = callees.iter().copied().max_by(|a, b| of(*a).total_cmp(&of(*b)).then(b.cmp(a)));
            let share = match best {
                Some(best) if spot.strength > 0.0 => (of(best) / spot.strength).min(1.0),
                _ => 0.0,
            };
            spot.own = spot.lack + (spot.strength - spot.lack) * (1.0 - EXPLAINS * share);
            spot.explained_by = best.filter(|_| share > 0.3);
        }
    }

    /// Runs of the same trouble from callee to caller: of slow answers and of failures apart.
    fn run_up(&mut self) {
        for slow in [true, false] {
            let of_it = |k: &Kind| {
                !k.lower
                    && k.flavour == Flavour::Plain
                    && if slow { k.symptom == Symptom::Latency } else { is_failure(k.symptom) }
            };
            let trouble: Vec<f64> =
                self.spots.iter().map(|s| s.kinds.iter().filter(|(k, _)| of_it(k)).map(|(_, v)| *v).sum()).collect();
            let has = |n: usize| trouble.get(n).copied().unwrap_or(0.0);
            if trouble.iter().filter(|v| **v > 0.0).count() < 2 {
                continue;
            }
            let runs: Vec<(f64, Vec<usize>)> = (0..self.spots.len()).map(|n| self.run(n, &has)).collect();
            let longest = runs.iter().map(|(v, _)| *v).fold(0.0, f64::max);
            if longest <= 0.0 {
                continue;
            }
            let ill: Vec<f64> = self.spots.iter().map(|s| s.ill()).collect();
            let ill = |n: usize| ill.get(n).copied().unwrap_or(0.0);
            for (n, (length, above)) in runs.into_iter().enumerate() {
                let share = length / longest;
                let callees = self.callees.get(n).map_or(&[][..], Vec::as_slice);
                let ends = !callees.iter().any(|d| has(*d) > 0.0);
                // Failures above something slow end there only as far as they are more than that.
                let below = callees.iter().map(|d| ill(*d)).fold(0.0, f64::max);
                let end = share * (1.0 - (below / ill(n).max(f64::MIN_POSITIVE)).min(1.0));
                let Some(spot) = self.spots.get_mut(n) else { continue };
                if share > spot.run {
                    spot.run = share;
                }
                if ends && end > spot.run_end {
                    spot.run_end = end;
                    spot.run_is_slow = slow;
                    spot.above.clone_from(&above);
                }
                if spot.above.is_empty() {
                    spot.above = above;
                }
            }
        }
    }

    fn run(&self, from: usize, has: &impl Fn(usize) -> f64) -> (f64, Vec<usize>) {
        let (mut length, mut above) = (0.0, Vec::new());
        if has(from) <= 0.0 {
            return (length, above);
        }
        let mut seen: BTreeSet<usize> = once(from).collect();
        let mut front: BTreeSet<usize> = once(from).collect();
        for hop in 0..RUN_HOPS {
            let callers = front.iter().filter_map(|n| self.direct.get(*n)).flatten().copied();
            let next: BTreeSet<usize> = callers.filter(|n| has(*n) > 0.0 && !seen.contains(n)).collect();
            if next.is_empty() {
                break;
            }
            length += next.iter().map(|n| has(*n)).sum::<f64>() * PER_RUN_HOP.powi(hop as i32);
            seen.extend(&next);
            above.extend(&next);
            front = next;
        }
        (length, above)
    }

    /// Copies of a service differ by a number at the end of their names; those that do not alert are known from the
    /// topology.
    fn compare_siblings(&mut self, case: &Case, facts: &Facts) {
        let mut families: HashMap<String, (Vec<usize>, usize)> = HashMap::new();
        for (n, spot) in self.spots.iter().enumerate() {
            let Some(name) = facts.wide.get(spot.place).and_then(|p| p.name()) else { continue };
            if let Some(family) = family(name) {
                families.entry(family).or_default().0.push(n);
            }
        }
        for (key, name) in case.topology.services() {
            if self.at(key).is_none()
                && let Some((_, quiet)) = family(name).and_then(|f| families.get_mut(&f))
            {
                *quiet += 1;
            }
        }
        for (members, quiet) in families.into_values() {
            let others = members.len() + quiet - 1;
            if others == 0 {
                continue;
            }
            let all: f64 = members.iter().filter_map(|n| self.spots.get(*n)).map(|s| s.strength).sum();
            for n in &members {
                let Some(spot) = self.spots.get_mut(*n) else { continue };
                spot.beyond_siblings = Some(spot.strength - (all - spot.strength) / others as f64);
                spot.siblings = members.iter().copied().filter(|m| m != n).collect();
            }
        }
    }
}

impl Case {
    /// What an alert counts.
    pub fn counts(&self, alert: usize) -> f64 {
        let around = alert.checked_sub(self.alerts.len()).and_then(|i| self.around.get(i));
        around.map_or(1.0, |n| if n.connected { CONNECTED } else { UNCONNECTED })
    }
}

/// On how many places each kind of trouble is seen.
struct Common {
    places: usize,
    seen: BTreeMap<Kind, usize>,
}

impl Common {
    fn of(facts: &Facts, places: &[(usize, &facts::Place)]) -> Self {
        let mut seen: BTreeMap<Kind, usize> = BTreeMap::new();
        for (_, place) in places {
            let kinds: BTreeSet<Kind> = place.alerts.iter().filter_map(|i| facts.reading(*i)).map(Kind::from).collect();
            for kind in kinds {
                *seen.entry(kind).or_default() += 1;
            }
        }
        Self { places: places.len(), seen }
    }

    /// What is left of an alert's weight: all where one place shows it, little where all do. What does not answer is always
    /// told whole.
    fn share(&self, kind: Kind) -> f64 {
        let on = self.seen.get(&kind).copied().unwrap_or(1).max(1);
        if self.places < A_FEW || kind == Kind::of(Symptom::Unavailable) {
            return 1.0;
        }
        (1.0 - (on as f64).ln() / (self.places as f64 + 1.0).ln()).max(COMMON)
    }
}

fn is_failure(s: Symptom) -> bool {
    matches!(s, Symptom::Unavailable | Symptom::Errors)
}

fn is_front(name: &str) -> bool {
    name.split(|c: char| !c.is_alphanumeric()).any(|part| FRONTS.iter().any(|f| f.eq_ignore_ascii_case(part)))
}

/// The name without the number at its end; none where there is no number, or nothing before it.
fn family(name: &str) -> Option<String> {
    let base = name.trim_end_matches(|c: char| c.is_ascii_digit()).trim_end_matches(['-', '_']);
    (!base.is_empty()).then(|| base.to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fronts_are_told_by_parts_of_their_names() {
        for name in ["shop-lb", "servi-abc.us-west-2.elb.amazonaws.com_remote", "PetSearch_client", "nginx-ingress"] {
            assert!(is_front(name), "{name}");
        }
        for name in ["checkout", "album", "remoteness", "clients-db"] {
            assert!(!is_front(name), "{name}");
        }
    }

    #[test]
    fn copies_are_told_by_the_number_at_the_end() {
        assert_eq!(family("Carts-0"), Some("carts".into()));
        assert_eq!(family("ts-travel2"), Some("ts-travel".into()));
        assert_eq!(family("42"), None);
    }
}
