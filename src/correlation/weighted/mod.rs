//! Mode `weighted`: evidence of many kinds adds up, for and against; the open incident with the largest sum above zero takes
//! the alert, else a new one opens. Incremental: what is known of each open incident is a bounded profile, found through
//! indexes, so that the cost of an alert depends neither on history nor on how many incidents are open.

mod candidates;
#[cfg(test)]
mod index_tests;
mod profile;
mod score;
mod sims;
mod subject;
#[cfg(test)]
mod tests;
mod weights;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::Duration,
};

use candidates::Index;
pub use profile::Profile;
pub use score::Score;
use score::{Home, Openings, probability};
use sims::Sims;
pub use subject::Subject;
pub use weights::Weights;

use super::topology::Topology;
use crate::model::{Fingerprint, Incident, IncidentId, Reason, Time};
pub use crate::text::Doc;

/// Incidents opened lately, by number, that tell how often one opens.
pub const OPENINGS: u64 = 256;
const HOUR: Duration = Duration::from_secs(3600);
const JUST_NOW: Duration = Duration::from_secs(600);
/// Below so much log-odds above the threshold, or above the second best, a decision is looked at again.
const NEAR: f64 = 1.5;

/// How an open incident stands now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Its alerts that have not ended.
    pub firing: u64,
    /// All of them.
    pub alerts: u64,
    /// Somebody has it.
    pub owned: bool,
}

impl From<&Incident> for Standing {
    fn from(i: &Incident) -> Self {
        Self { firing: i.firing_count, alerts: i.alert_count, owned: i.owner.is_some() }
    }
}

/// An open incident.
#[derive(Clone, Debug, Default, PartialEq)]
struct Open {
    profile: Profile,
    standing: Standing,
    groups: Vec<Fingerprint>,
    // The profile says no more than its only alert does by itself: it need not be kept.
    plain: bool,
}

/// Where an alert belongs.
#[derive(Clone, Debug, PartialEq)]
pub struct Placed {
    /// The incident.
    pub incident: IncidentId,
    /// The strongest reason's score, 0 to 1.
    pub score: f64,
    /// How sure it is that it belongs there, all evidence together, 0 to 1.
    pub probability: f64,
    /// Why, strongest first; never empty.
    pub reasons: Vec<Reason>,
}

/// What was decided about an alert.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Decision {
    /// Its incident; none opens a new one.
    pub placed: Option<Placed>,
    /// Young incidents that the alert ties to that one: they are one, with the reasons.
    pub merge: Vec<Placed>,
    /// Worth a second look when more is known: it was a near thing, or nothing was there to compare it with.
    pub doubtful: bool,
}

/// All open incidents that take alerts by themselves.
#[derive(Debug, Default)]
pub struct Engine {
    /// What is known of services.
    pub topology: Topology,
    /// What everything weighs.
    pub weights: Weights,
    open: HashMap<u64, Open>,
    index: Index,
    // Number → onset: of the latest `OPENINGS` numbers, open or not.
    opened: BTreeMap<u64, Time>,
}

impl PartialEq for Engine {
    // All that a decision rests on; the weights are fixed.
    fn eq(&self, other: &Self) -> bool {
        self.open == other.open
            && self.opened == other.opened
            && self.index == other.index
            && self.topology == other.topology
    }
}

impl Engine {
    /// With what is known of services.
    pub fn new(topology: Topology) -> Self {
        Self { topology, ..Self::default() }
    }

    /// More, or less, is known of services from now on.
    pub fn learn(&mut self, topology: Topology) {
        self.topology = topology;
        // Most incidents have nothing to do with what changed; making the index of ten thousand anew takes long.
        for (number, open) in self.open.iter_mut().filter(|(_, open)| !open.profile.is_resolved(&self.topology)) {
            self.index.remove(*number, &open.profile, &open.groups);
            open.profile.resolve(&self.topology);
            self.index.all(*number, &open.profile, &open.groups);
        }
    }

    /// An incident is open, or what its row says of it changed.
    pub fn open(&mut self, incident: &Incident) {
        let number = incident.id.0;
        let open = self.open.entry(number).or_default();
        open.standing = incident.into();
        if open.groups != incident.sender_groups {
            self.index.no_groups(number, &open.groups);
            open.groups.clone_from(&incident.sender_groups);
            self.index.groups(number, &open.groups);
        }
    }

    /// An incident was opened: counts for how often that happens. `last` is the highest number given.
    pub fn note_opened(&mut self, id: IncidentId, onset: Time, last: u64) {
        self.opened.insert(id.0, onset);
        self.opened = self.opened.split_off(&(last.saturating_sub(OPENINGS) + 1));
    }

    /// An incident's row is gone.
    pub fn forget(&mut self, id: IncidentId) {
        self.opened.remove(&id.0);
        self.close(id);
    }

    /// An alert joined an open incident. `plain` is what the alert says by itself, without what is known of services.
    pub fn add(&mut self, id: IncidentId, subject: &Subject, plain: bool) {
        let Some(open) = self.open.get_mut(&id.0) else { return };
        self.index.before(id.0, &open.profile);
        open.plain = plain && open.profile.size == 0;
        let gone = open.profile.add(subject);
        self.index.add(id.0, subject, &open.profile, &gone);
    }

    /// What is known of an incident, as it was kept or made anew; `plain` as in `add`.
    pub fn know(&mut self, id: IncidentId, mut profile: Profile, plain: bool) {
        let Some(open) = self.open.get_mut(&id.0) else { return };
        profile.resolve(&self.topology);
        self.index.remove(id.0, &open.profile, &open.groups);
        self.index.all(id.0, &profile, &open.groups);
        (open.profile, open.plain) = (profile, plain);
    }

    /// What is known of an open incident.
    pub fn profile(&self, id: IncidentId) -> Option<&Profile> {
        self.open.get(&id.0).map(|o| &o.profile)
    }

    /// What is to be kept of an incident: nothing of one that is not open, or whose only alert says it all.
    pub fn kept(&self, id: IncidentId) -> Option<&Profile> {
        self.open.get(&id.0).filter(|o| !o.plain).map(|o| &o.profile)
    }

    /// Whether an incident's only alert says all that is known of it.
    pub fn is_plain(&self, id: IncidentId) -> bool {
        self.open.get(&id.0).is_some_and(|o| o.plain)
    }

    /// An incident is no longer open.
    pub fn close(&mut self, id: IncidentId) {
        if let Some(open) = self.open.remove(&id.0) {
            self.index.remove(id.0, &open.profile, &open.groups);
        }
    }

    /// Incidents opened in the hour around a moment.
    fn openings(&self, at: Time) -> Openings {
        let within = |span: Duration| self.opened.values().filter(|t| at.distance(**t) < span).count() as f64;
        let lately = within(HOUR);
        // What was opened just now may be the very thing that is to be put together.
        let before = lately - within(JUST_NOW);
        Openings { rate: (lately + 6.0) / HOUR.as_secs_f64(), before: (before + 1.0) / HOUR.as_secs_f64() }
    }

    fn score(
        &self,
        subject: &Subject,
        profile: &Profile,
        open: &Open,
        now: Standing,
        openings: Openings,
        sims: &mut Sims<'_>,
    ) -> Score {
        let home = Home { profile, firing: now.firing, alerts: now.alerts, groups: &open.groups };
        score::score(&self.weights, &self.topology, subject, home, openings, sims)
    }

    /// Every candidate with how well it fits, best first: then the older, then the lower number.
    fn ranked(
        &self,
        subject: &Subject,
        forbidden: &BTreeSet<IncidentId>,
        standing: &impl Fn(IncidentId) -> Option<Standing>,
        sims: &mut Sims<'_>,
    ) -> Vec<(IncidentId, Score, &Open)> {
        let openings = self.openings(subject.at);
        let idle = Duration::from_secs_f64(self.weights.idle);
        let mut found = Vec::new();
        let fit = |number: u64| {
            let open = self.open.get(&number).filter(|_| !forbidden.contains(&IncidentId(number)));
            open.filter(|o| o.profile.size > 0 && subject.at.since(o.profile.last) <= idle)
        };
        let takes_alerts = |number| fit(number).is_some();
        for number in self.index.candidates(subject, &self.topology, &self.weights, takes_alerts) {
            let id = IncidentId(number);
            let Some(open) = fit(number) else { continue };
            let now = standing(id).unwrap_or(open.standing);
            let score = self.score(subject, &open.profile, open, now, openings, sims);
            found.push((id, score, open));
        }
        found.sort_by(|(a, x, i), (b, y, j)| {
            y.total.total_cmp(&x.total).then(i.profile.first.cmp(&j.profile.first)).then(a.cmp(b))
        });
        found
    }

    fn placed(&self, subject: &Subject, incident: IncidentId, score: &Score) -> Placed {
        let reasons = score.reasons(subject, &self.topology);
        let strongest = reasons.first().map_or(0.0, |r| r.score);
        Placed { incident, score: strongest, probability: score.probability(), reasons }
    }

    /// Where an alert belongs, and what else it ties together. None of `forbidden`, whatever speaks for them. `standing`
    /// tells how an incident stands where that is newer than what its row said.
    pub fn place(
        &self,
        subject: &Subject,
        forbidden: &BTreeSet<IncidentId>,
        standing: impl Fn(IncidentId) -> Option<Standing>,
    ) -> Decision {
        let mut sims = Sims::new(&subject.doc, self.index.common(subject.name));
        let ranked = self.ranked(subject, forbidden, &standing, &mut sims);
        let mut ranked = ranked.iter();
        let Some((id, score, home)) = ranked.next().filter(|(_, s, _)| s.total > 0.0) else {
            return Decision { doubtful: true, ..Decision::default() };
        };
        let mut decision = Decision {
            placed: Some(self.placed(subject, *id, score)),
            doubtful: score.total < NEAR,
            ..Decision::default()
        };
        for (other, other_score, open) in ranked {
            decision.doubtful |= other_score.total > 0.0 && score.total - other_score.total < NEAR;
            let owned = |id: IncidentId, open: &Open| standing(id).unwrap_or(open.standing).owned;
            if other_score.total > self.weights.merge
                && self.young(home, open, subject.at)
                && !(owned(*id, home) && owned(*other, open))
            {
                decision.merge.push(self.placed(subject, *other, other_score));
            }
        }
        decision
    }

    /// Two incidents that began about now, and about together.
    fn young(&self, a: &Open, b: &Open, at: Time) -> bool {
        let age = Duration::from_secs_f64(self.weights.merge_age);
        let later = a.profile.first.max(b.profile.first);
        a.profile.first.distance(b.profile.first) < age && at.since(later) < age
    }

    /// Of the open incidents that had an alert last, the `most` whose words are nearest to a text, with how alike they are,
    /// best first: for the rule of mode `any`.
    pub fn nearest(&self, doc: &Doc, most: usize) -> Vec<(IncidentId, f64)> {
        let mut sims = Sims::new(doc, 0);
        let alike = |number: u64| Some((IncidentId(number), sims.latest(&self.open.get(&number)?.profile)));
        let mut found: Vec<(IncidentId, f64)> = self.index.latest().filter_map(alike).collect();
        found.sort_by(|(a, x), (b, y)| y.total_cmp(x).then(a.cmp(b)));
        found.truncate(most);
        found
    }

    /// A second look at an alert of an open incident: another one that it fits clearly better, with what is known by now.
    pub fn better(
        &self,
        subject: &Subject,
        own: IncidentId,
        forbidden: &BTreeSet<IncidentId>,
        standing: impl Fn(IncidentId) -> Option<Standing>,
    ) -> Option<Better> {
        let mut elsewhere = forbidden.clone();
        elsewhere.insert(own);
        let mut sims = Sims::new(&subject.doc, self.index.common(subject.name));
        let ranked = self.ranked(subject, &elsewhere, &standing, &mut sims);
        let (id, score, _) = ranked.first().filter(|(_, s, _)| s.total > 0.0)?;
        let open = self.open.get(&own.0)?;
        let without = open.profile.without(subject);
        let stays = if without.size == 0 {
            0.0
        } else {
            let now = standing(own).unwrap_or(open.standing);
            self.score(subject, &without, open, now, self.openings(subject.at), &mut sims).total.max(0.0)
        };
        Some(Better {
            to: self.placed(subject, *id, score),
            clearly: score.total - stays >= self.weights.again,
            stays: probability(stays),
            without,
        })
    }

    /// How well all of these alerts fit an open incident: whether a small incident of theirs is part of it.
    pub fn fits_all(
        &self,
        subjects: &[Subject],
        incident: IncidentId,
        standing: impl Fn(IncidentId) -> Option<Standing>,
    ) -> bool {
        let Some(open) = self.open.get(&incident.0) else { return false };
        let now = standing(incident).unwrap_or(open.standing);
        let fit = |s: &Subject| {
            let mut sims = Sims::new(&s.doc, self.index.common(s.name));
            // One alert that fits very well must not speak for all.
            self.score(s, &open.profile, open, now, self.openings(s.at), &mut sims).total.clamp(-1.0, 4.0)
        };
        !subjects.is_empty() && subjects.iter().map(fit).sum::<f64>() / subjects.len() as f64 > self.weights.together
    }
}

/// What a second look found.
#[derive(Clone, Debug, PartialEq)]
pub struct Better {
    /// The incident that it fits best, but its own.
    pub to: Placed,
    /// It fits so much better there that it should move.
    pub clearly: bool,
    /// How well it fits its own, 0 to 1.
    pub stays: f64,
    /// What is known of its own without it.
    pub without: Profile,
}
