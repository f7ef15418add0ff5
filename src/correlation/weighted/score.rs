//! How well an alert fits an incident: evidence for and against in log-odds, each kind with its own decay, and a sentence
//! for each.

use std::time::Duration;

use super::{profile::Profile, sims::Sims, subject::Subject, weights::Weights};
use crate::{
    correlation::{
        names::Key,
        topology::{Topology, Way},
    },
    model::{Reason, Strategy, Time},
};

/// What the same service, the same machine, a sender's own group and a text are worth at most as one reason: as in mode
/// `any`, so that the figures of both modes say the same.
const SERVICE: f64 = 0.9;
const GROUP: f64 = 0.95;
const TEXT: f64 = 0.7;
const TIME: f64 = 0.7;
/// Less is not worth a sentence.
const SAID_FROM: f64 = 0.05;

/// What an alert is compared with.
#[derive(Clone, Copy, Debug)]
pub struct Home<'a> {
    /// What is known of the incident.
    pub profile: &'a Profile,
    /// Its alerts that have not ended.
    pub firing: u64,
    /// All of them.
    pub alerts: u64,
    /// The senders' groups of its alerts.
    pub groups: &'a [crate::model::Fingerprint],
}

/// One piece of evidence, not yet in words.
#[derive(Clone, Debug, PartialEq)]
pub struct Term {
    /// What kind.
    pub strategy: Strategy,
    /// Log-odds; below zero is against.
    pub weight: f64,
    /// How strong evidence of this kind is, 0 to 1: as the simple rules have it, worth less the older it is.
    pub strength: f64,
    what: What,
}

#[derive(Clone, Debug, PartialEq)]
enum What {
    Service { key: Key, apart: Duration },
    Symptom { similarity: f64 },
    Dependency { of: Key, way: Way, hops: u8, apart: Duration },
    Sibling { of: Key, both: Key },
    NamesIt { service: Key, apart: Duration },
    Machine { name: String, apart: Duration },
    RunsOn { service: Key, host: String },
    RunsOnAlerting { host: String },
    Text { similarity: f64 },
    Network { apart: Duration },
    SameAlert { apart: Duration },
    Busy { alerts: usize },
    Soon { apart: Duration, hourly: f64 },
    Group { window: Duration },
    Environment,
    Ended { of: u64, all: u64 },
    Silence { apart: Duration },
}

/// All that was weighed, and the sum.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Score {
    /// Log-odds; above zero the alert belongs there.
    pub total: f64,
    /// Strongest first is made by `reasons`.
    pub terms: Vec<Term>,
}

impl Score {
    fn add(&mut self, strategy: Strategy, weight: f64, strength: f64, what: What) {
        self.total += weight;
        if weight.abs() > SAID_FROM {
            self.terms.push(Term { strategy, weight, strength, what });
        }
    }

    fn against(&mut self, strategy: Strategy, weight: f64, what: What) {
        self.add(strategy, -weight, -share(weight), what);
    }

    /// How sure it is, 0 to 1.
    pub fn probability(&self) -> f64 {
        probability(self.total)
    }

    /// Why, in sentences: for it, strongest first, then against it.
    pub fn reasons(&self, alert: &Subject, topology: &Topology) -> Vec<Reason> {
        let mut terms: Vec<&Term> = self.terms.iter().collect();
        terms.sort_by(|a, b| b.score().total_cmp(&a.score()).then(a.strategy.cmp(&b.strategy)));
        terms.into_iter().map(|t| t.reason(alert, topology)).collect()
    }
}

pub fn probability(log_odds: f64) -> f64 {
    (1.0 / (1.0 + (-log_odds).exp()) * 1000.0).round() / 1000.0
}

/// Without seconds: what came within the same minute is as good as at once.
fn in_minutes(apart: Duration) -> Duration {
    Duration::from_secs(apart.as_secs() / 60 * 60)
}

fn decay(apart: Duration, lasts: f64) -> f64 {
    (-apart.as_secs_f64() / lasts).exp()
}

/// Damping of a service that many others call: that both hang on it says little.
fn hub(w: &Weights, callers: usize) -> f64 {
    1.0 / (1.0 + w.hub * (callers.saturating_sub(3) as f64).ln_1p())
}

/// How often incidents are opened of late, per second.
#[derive(Clone, Copy, Debug)]
pub struct Openings {
    /// Of those that are known; never zero, for nobody knows from an empty hour.
    pub rate: f64,
    /// Without the last minutes, and a quiet hour counts as quiet.
    pub before: f64,
}

/// Weighs an alert against an incident.
pub fn score(w: &Weights, t: &Topology, s: &Subject, home: Home<'_>, openings: Openings, sims: &mut Sims<'_>) -> Score {
    let p = home.profile;
    let apart = |then: Time| s.at.distance(then);
    let mut score = Score { total: w.bias, terms: Vec::new() };

    let busy = p.times.iter().filter(|then| apart(**then) < Duration::from_secs(300)).count();
    let prior = w.busy * ((busy as f64 + 0.5) / 300.0 / openings.rate).ln();
    let prior = prior.clamp(0.0, w.busy_most);
    score.add(Strategy::TimeCluster, prior, share(prior), What::Busy { alerts: busy });

    let open = home.firing.saturating_sub(p.endless);
    let done = home.alerts.saturating_sub(home.firing);
    if done > 0 {
        let share = done as f64 / (done + open) as f64;
        let against = w.ended * (share - 0.5).max(0.0) * 2.0;
        score.against(Strategy::TimeCluster, against, What::Ended { of: done, all: home.alerts });
    }
    score.against(Strategy::TimeCluster, w.silence * p.silence(s.at), What::Silence { apart: apart(p.last) });
    if let Some(e) = s.environment
        && !p.environments.is_empty()
        && !p.environments.contains(&e.0)
    {
        score.against(Strategy::TagMatch, w.environment, What::Environment);
    }
    let window = Duration::from_secs_f64(w.window);
    let within = apart(p.first) < window;
    if within && s.group.is_some_and(|g| home.groups.contains(&g)) {
        score.add(Strategy::TagMatch, w.group, GROUP, What::Group { window });
    }

    let topology_lasts = Duration::from_secs_f64(w.topology_lasts);
    let live = p.services.iter().filter(|x| apart(x.last) < topology_lasts).count() as f64;
    // How surprising is it that one of so many services is in this incident by chance?
    let rare = |of: f64| 1.0 / (1.0 + w.chance * of * live / t.len().max(1) as f64);

    let own = s.service.as_ref().map(|m| m.key);
    if let Some(key) = own
        && let Some(seen) = p.service(key)
    {
        let gap = apart(seen.last);
        let fresh = decay(gap, w.same_lasts);
        score.add(
            Strategy::ServiceMatch,
            w.same * fresh,
            SERVICE * decay(in_minutes(gap), w.same_lasts),
            What::Service { key, apart: gap },
        );
        let alike = sims.of_service(p, key);
        let lasting = decay(gap, w.symptom_lasts);
        let weight = alike * lasting * (w.symptom + w.same * 0.6 * (1.0 - fresh));
        score.add(Strategy::SemanticSimilarity, weight, alike * lasting * TEXT, What::Symptom { similarity: alike });
    }

    let mut near_by = (0.0, None);
    if let Some(key) = own
        && let Some(near) = t.near(key)
    {
        let root = p.root.as_deref().map(|r| t.service(r).key);
        for x in &p.services {
            let Some(n) = near.get(&x.key) else { continue };
            let by_hops = match n.way {
                Way::Needed => w.needs,
                Way::Needs => w.needed,
            };
            let called = if n.way == Way::Needed { x.key } else { key };
            let mut weight = by_hops.get(usize::from(n.hops) - 1).copied().unwrap_or(0.0) * hub(w, t.callers(called));
            if n.hops > 1 {
                weight *= rare(near.len() as f64 / 3.0);
            }
            if root == Some(x.key) {
                weight *= 1.0 + w.root;
            }
            weight *= decay(apart(x.last), w.topology_lasts);
            if weight > near_by.0 {
                let what = What::Dependency { of: x.key, way: n.way, hops: n.hops, apart: apart(x.last) };
                near_by = (weight, Some(what));
            }
        }
    }
    let (topology, what) = near_by;
    if let Some(what) = what {
        score.add(Strategy::Topology, topology, share(topology), what);
    }

    let mut sibling = (0.0, None);
    if let Some(key) = own.filter(|_| topology < 0.5) {
        // From the incident's side, which is bounded: everything may call the same one.
        for seen in p.services.iter().filter(|x| x.key != key) {
            for both in t.both_need(key, seen.key) {
                let weight = w.sibling * decay(apart(seen.last), w.sibling_lasts) * hub(w, t.callers(both));
                if weight > sibling.0 {
                    sibling = (weight, Some(What::Sibling { of: seen.key, both }));
                }
            }
        }
    }
    if let (weight, Some(what)) = sibling {
        score.add(Strategy::SharedDependency, weight, share(weight), what);
    }
    if let Some(key) = own
        && topology + sibling.0 == 0.0
        && p.service(key).is_none()
        && within
        && !(t.is_mapped(key) && p.services.iter().any(|x| t.is_mapped(x.key)))
    {
        // Nobody knows whether they have to do with each other, so the clock must tell: in an hour in which nothing else
        // happens, two within a minute are hardly by chance.
        let apart = p.times.iter().map(|then| apart(*then)).min().unwrap_or(Duration::MAX);
        let density = decay(apart, w.soon_lasts) / w.soon_lasts;
        let weight = (w.soon * (density / openings.before).ln()).clamp(0.0, w.soon_most);
        let what = What::Soon { apart, hourly: openings.before * 3600.0 };
        score.add(Strategy::TimeCluster, weight, TIME * share(weight) / share(w.soon_most), what);
    }

    let mut named = (0.0, None);
    for key in &s.named {
        let (weight, then) = match (p.service(*key), p.names(*key)) {
            (Some(seen), _) => (w.named, seen.last),
            (None, Some(last)) => (w.named * 0.8, last),
            (None, None) => continue,
        };
        let weight = weight * decay(apart(then), w.named_lasts);
        if weight > named.0 {
            named = (weight, Some(What::NamesIt { service: *key, apart: apart(then) }));
        }
    }
    if let Some(key) = own
        && let Some(last) = p.names(key)
    {
        let weight = w.named * decay(apart(last), w.named_lasts);
        if weight > named.0 {
            named = (weight, Some(What::NamesIt { service: key, apart: apart(last) }));
        }
    }
    if let (weight, Some(what)) = named
        && weight > topology
    {
        // A dependency that is also named is not twice as true.
        score.add(Strategy::Topology, weight - 0.7 * topology, share(weight), what);
    }

    let same_host = s.host.as_ref().and_then(|h| p.host(h.key).map(|seen| (h, seen)));
    match same_host {
        Some((host, seen)) => {
            let itself = if s.machine || seen.machine { w.host_itself } else { 0.0 };
            let fresh = decay(apart(seen.last), w.host_lasts);
            // Where nothing names a service, the machine is what they are about.
            let alone = seen.alone.filter(|_| own.is_none()).map_or(0.0, |then| decay(apart(then), w.same_lasts));
            let weight = ((w.host + itself) * fresh).max(w.same * alone);
            let what = What::Machine { name: host.name.clone(), apart: apart(seen.last) };
            let strength = SERVICE * decay(in_minutes(apart(seen.last)), w.host_lasts).max(alone);
            score.add(Strategy::SameHost, weight, strength, what);
        }
        None => {
            let mut runs = (0.0, None);
            let mut on = 0;
            if let (Some(host), None) = (&s.host, own) {
                on = t.count_on(host.key);
                for seen in p.services.iter().filter(|x| t.is_on(x.key, host.key)) {
                    let weight = w.runs / (on as f64).sqrt() * decay(apart(seen.last), w.runs_lasts);
                    if weight > runs.0 {
                        runs = (weight, Some(What::RunsOn { service: seen.key, host: host.name.clone() }));
                    }
                }
            }
            for seen in p.hosts.iter().filter(|x| own.is_some_and(|key| t.is_on(key, x.key))) {
                let Some(alone) = seen.alone else { continue };
                let weight = w.runs / (t.count_on(seen.key).max(1) as f64).sqrt() * decay(apart(alone), w.runs_lasts);
                if weight > runs.0 {
                    runs = (weight, Some(What::RunsOnAlerting { host: seen.name.clone() }));
                }
            }
            if let (weight, Some(what)) = runs {
                let weight = weight * rare(if on == 0 { 2.0 } else { on as f64 });
                score.add(Strategy::SameHost, weight, share(weight), what);
            }
        }
    }

    if own.is_none() || topology > 0.3 || sibling.0 > 0.3 || same_host.is_some() {
        let similarity = sims.recent(p, s.at, w.text_lasts);
        score.add(Strategy::SemanticSimilarity, w.text * similarity, TEXT * similarity, What::Text { similarity });
    }
    let same_name = p.said.iter().filter(|x| x.name == s.name.0).map(|x| x.last).max();
    if s.network && p.network > 0 && same_name.is_none() {
        let latest = p.said.iter().map(|x| x.last).max().unwrap_or(p.last);
        let part = p.network as f64 / p.size.max(1) as f64;
        let weight = (w.network * part + w.network_text * sims.best(p)) * decay(apart(latest), w.burst_lasts);
        score.add(Strategy::SemanticSimilarity, weight, TEXT * share(weight), What::Network { apart: apart(latest) });
    }
    if let Some(then) = same_name {
        // The same rare alert on many services at once; one that is everywhere says nothing.
        let elsewhere = sims.common.saturating_sub(1) as f64;
        let rarity = 1.0 / (1.0 + 0.25 * elsewhere);
        let weight = w.burst * rarity * decay(apart(then), w.burst_lasts);
        score.add(Strategy::SemanticSimilarity, weight, TEXT * share(weight), What::SameAlert { apart: apart(then) });
    }
    score
}

/// A span of time in words.
pub fn span(d: Duration) -> String {
    match d.as_secs() {
        n @ 0..=119 => format!("{n}\u{a0}s"),
        n @ 120..=7199 => format!("{}\u{a0}min", n / 60),
        n => format!("{}\u{a0}h", n / 3600),
    }
}

impl Term {
    fn reason(&self, alert: &Subject, t: &Topology) -> Reason {
        let name = |key: &Key| t.name(*key).unwrap_or("it").to_owned();
        let own = || alert.service.as_ref().map_or("it", |m| m.name.as_str());
        let percent = |x: &f64| format!("{:.0}\u{a0}%", x * 100.0);
        let text = match &self.what {
            What::Service { apart, .. } => {
                format!("Same service, {}; its latest alert was {} away.", own(), span(*apart))
            }
            What::Symptom { similarity } => format!("That service said about the same ({}).", percent(similarity)),
            What::Dependency { of, way, hops, apart } => {
                let (from, to) = match way {
                    Way::Needed => (own().to_owned(), name(of)),
                    Way::Needs => (name(of), own().to_owned()),
                };
                let how = if *hops == 1 { "calls".to_owned() } else { format!("depends over {hops} hops on") };
                format!("{from} {how} {to}; {} alerted {} apart.", name(of), span(*apart))
            }
            What::Sibling { of, both } => format!("{} and {} both call {}.", own(), name(of), name(both)),
            What::NamesIt { service, apart } => {
                format!("The text of one names {}, {} apart.", name(service), span(*apart))
            }
            What::Machine { name, apart } => {
                format!("Same machine, {name}; its latest alert was {} away.", span(*apart))
            }
            What::RunsOn { service, host } => format!("{} runs on {host}.", name(service)),
            What::RunsOnAlerting { host } => format!("{} runs on {host}, which alerted.", own()),
            What::Text { similarity } => format!("The texts are {} alike.", percent(similarity)),
            What::Network { apart } => {
                format!("Both are about the network or machines that cannot be reached, {} apart.", span(*apart))
            }
            What::SameAlert { apart } => format!("The same alert elsewhere, {} apart.", span(*apart)),
            What::Busy { alerts } => format!("{alerts} alerts of this incident came within five minutes of it."),
            What::Soon { apart, hourly } => format!(
                "{} apart, and nobody knows what calls what here; {} opened within the hour.",
                span(*apart),
                if *hourly < 2.5 { "hardly any incident".to_owned() } else { format!("about {hourly:.0} incidents") }
            ),
            What::Group { window } => format!(
                "{}, within the window of {}.",
                alert.group_name.as_deref().unwrap_or("Its sender put it into the same group"),
                span(*window)
            ),
            What::Environment => "Against: another environment.".to_owned(),
            What::Ended { of, all } => format!("Against: {of} of {all} alerts of this incident have ended."),
            What::Silence { apart } => {
                format!("Against: nothing of this incident for {}, longer than its rhythm.", span(*apart))
            }
        };
        Reason { strategy: self.strategy, score: self.score(), text }
    }

    fn score(&self) -> f64 {
        (self.strength * 100.0).round() / 100.0
    }
}

/// A piece of evidence as a number between 0 and 1, below zero against.
fn share(weight: f64) -> f64 {
    (1.0 - (-weight.abs() / 2.0).exp()).copysign(weight)
}
