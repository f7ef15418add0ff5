//! From facts to ranked causes. Pure: the same case gives the same ranking, and every score is the sum of points that
//! can be read as sentences.

mod blame;
pub mod calibration;
pub mod features;
mod measures;
mod memory;
mod points;
mod scene;

use std::{cmp::Ordering, collections::HashSet, time::Duration};

use super::{
    case::{Case, same_known},
    facts::{Facts, Place, decisive},
    ledger::Ref,
    words,
};
use calibration::Calibration;
use features::{self as f, Feature};

use crate::model::{Change, ChangeKind, Conclusion, Severity, Symptom, Time};

/// The score of "something that nobody told us of". What is known must beat it.
const UNSEEN: f64 = 5.75;
/// How much a lead in score says: measured on labelled faults.
const SHARPNESS: f64 = 0.7;
/// A cause below this is not worth the name.
const LEAST: f64 = 0.01;
/// Causes kept, and those kept however unlikely they are.
const KEPT: usize = 8;
const KEPT_ANYWAY: usize = 5;
/// From here on a cause is more likely than the rest together.
const LIKELY: f64 = 0.55;
/// By so much the leading cause must lead.
const LEAD: f64 = 0.15;
/// A symptom this decisive can stand alone.
const ALONE: f64 = 0.8;
/// How long before the onset a change of a service that alerts counts.
pub const BEFORE: Duration = Duration::from_secs(2 * 3600);
/// How long before the onset a change of another service counts a little.
pub const BEFORE_ELSEWHERE: Duration = Duration::from_secs(30 * 60);

/// One reason for or against, with its share of the score.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    /// Which kind of reason.
    pub feature: &'static str,
    /// Below zero: against.
    pub weight: f64,
    /// A clause without capital and full stop.
    pub text: String,
    /// What it rests on.
    pub refs: Vec<Ref>,
    /// Says only that the place alerts; told where there is no better reason.
    pub presence: bool,
}

impl Point {
    /// What a feature brings with this value.
    fn of(feature: &Feature, value: f64, fill: &[(&str, String)], refs: Vec<Ref>) -> Self {
        Self {
            feature: feature.word,
            weight: round_to(value * feature.weight, 1e3),
            text: feature.say(fill),
            refs,
            presence: false,
        }
    }
}

/// What kind of cause it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// A place that alerts.
    Place,
    /// A change, by its place in the case.
    Change(usize),
    /// The sender sees nothing.
    Blind,
}

/// A possible cause.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    /// What kind.
    pub origin: Origin,
    /// The service at fault.
    pub service: Option<String>,
    /// The machine at fault.
    pub host: Option<String>,
    /// What is wrong with it.
    pub symptom: Option<Symptom>,
    /// One line, without capital.
    pub title: String,
    /// Its alerts, as places in the case.
    pub alerts: Vec<usize>,
    /// Strongest first.
    pub points: Vec<Point>,
    /// The sum of the points.
    pub score: f64,
    /// 0 to the cap.
    pub confidence: f64,
    /// Why it cannot be; then it has no confidence.
    pub ruled_out: bool,
    // Whether it can be likely without any other alert.
    stands_alone: bool,
    // Nothing but the time connects it with the incident.
    far: bool,
    first: Time,
}

/// Reasons that tie a cause to the other alerts, or to something besides them.
const TIES: &[&Feature] = &[
    &f::DEPENDENTS,
    &f::CHAIN_END,
    &f::NAMED,
    &f::BLAMED,
    &f::SHARED,
    &f::CHANGE,
    &f::CHANGE_ELSEWHERE,
    &f::COMMIT,
    &f::ENDED,
    &f::ALIKE,
    &f::ALIKE_SAME,
    &f::BLIND_SENDER,
];

impl Candidate {
    /// Whether more than one alert of one place speaks for it.
    fn is_tied(&self) -> bool {
        self.alerts.len() > 1 || self.points.iter().any(|p| p.weight > 0.0 && TIES.iter().any(|t| t.word == p.feature))
    }

    /// Points for it, strongest first.
    pub fn for_it(&self) -> impl Iterator<Item = &Point> {
        self.points.iter().filter(|p| p.weight > 0.0)
    }

    /// The best reasons for it. That a place alerts at all is told only where there is no other.
    pub fn best(&self, most: usize) -> Vec<&Point> {
        let better: Vec<_> = self.for_it().filter(|p| !p.presence).take(most).collect();
        if better.is_empty() { self.for_it().take(1).collect() } else { better }
    }

    /// Points against it, strongest first.
    pub fn against(&self) -> impl Iterator<Item = &Point> {
        self.points.iter().rev().filter(|p| p.weight < 0.0)
    }

    /// Service or machine.
    pub fn place(&self) -> Option<&str> {
        self.service.as_deref().or(self.host.as_deref())
    }

    /// The change that it names.
    pub fn change<'a>(&self, case: &'a Case) -> Option<(usize, &'a Change)> {
        match self.origin {
            Origin::Change(i) => case.changes.get(i).map(|c| (i, c)),
            _ => None,
        }
    }
}

/// Causes in order, and how sure the first is.
#[derive(Clone, Debug, PartialEq)]
pub struct Ranking {
    /// Best first; the ruled-out ones last.
    pub candidates: Vec<Candidate>,
    /// `Likely` or `Inconclusive`; never more by itself.
    pub conclusion: Conclusion,
    /// How scores became confidences.
    pub calibration: Calibration,
}

impl Ranking {
    /// The leading cause, unless it is ruled out.
    pub fn leading(&self) -> Option<&Candidate> {
        self.candidates.first().filter(|c| !c.ruled_out)
    }
}

/// Ranks the causes of a case.
pub fn rank(case: &Case, facts: &Facts) -> Ranking {
    let ctx = points::Context::new(case, facts);
    let mut all: Vec<Candidate> = Vec::new();
    let speaks: HashSet<usize> = ctx.scene.spots.iter().map(|s| s.place).collect();
    for (n, spot) in ctx.scene.spots.iter().enumerate() {
        if let Some(place) = facts.wide.get(spot.place) {
            all.push(of_place(&ctx, n, place));
        }
    }
    let silent = facts.wide.iter().enumerate().filter(|(n, _)| !speaks.contains(n));
    for (_, place) in
        silent.filter(|(_, p)| p.blind * 2 > p.alerts.len() && facts.places.iter().any(|o| o.whose == p.whose))
    {
        all.push(blind(&ctx, place));
    }
    all.extend(blind_sender(&ctx));
    for (i, host) in facts.hosts.iter().enumerate() {
        if host.symptom.is_some() {
            all.push(of_host(&ctx, i, host));
        }
    }
    // Known neither by name nor by what was changed: nobody could act on it.
    all.retain(|c| c.place().is_some() || c.origin != Origin::Place);
    all.extend(changes_elsewhere(&ctx));
    let mut ruled_out = ruled_out(&ctx);

    for candidate in all.iter_mut().chain(&mut ruled_out) {
        finish(candidate);
    }
    all.sort_by(order);
    let scores: Vec<f64> = all.iter().map(|c| c.score).collect();
    let calibration = Calibration::of(&case.outcomes);
    let confidences = calibration.confidences(&scores);
    for (candidate, confidence) in all.iter_mut().zip(confidences) {
        candidate.confidence = round(confidence);
    }
    let conclusion = conclude(case, &all);
    all.truncate(KEPT);
    let mut n = 0;
    all.retain(|c| {
        n += 1;
        n <= KEPT_ANYWAY || c.confidence >= LEAST
    });
    all.extend(ruled_out);
    Ranking { candidates: all, conclusion, calibration }
}

/// Two digits: more would pretend to know more, and bytes must not hang on the last bit of a sum.
fn round(x: f64) -> f64 {
    round_to(x, 1e2)
}

fn round_to(x: f64, digits: f64) -> f64 {
    (x * digits).round() / digits
}

fn order(a: &Candidate, b: &Candidate) -> Ordering {
    b.score
        .total_cmp(&a.score)
        .then_with(|| a.first.cmp(&b.first))
        .then_with(|| (&a.service, &a.host, a.origin).cmp(&(&b.service, &b.host, b.origin)))
}

fn conclude(case: &Case, ranked: &[Candidate]) -> Conclusion {
    let (Some(first), second) = (ranked.first(), ranked.get(1)) else { return Conclusion::Inconclusive };
    let leads = first.confidence - second.map_or(0.0, |s| s.confidence) >= LEAD;
    let alone = first.stands_alone && !case.alerts.is_empty() && !case.incident.flapping;
    // Several alerts that have nothing to do with each other say no more than one.
    let supported = alone || (case.alerts.len() > 1 && first.is_tied());
    let likely = first.confidence >= LIKELY && leads && supported && !first.far && !case.incident.test;
    if likely { Conclusion::Likely } else { Conclusion::Inconclusive }
}

fn finish(c: &mut Candidate) {
    c.points.retain(|p| p.weight != 0.0);
    c.points.sort_by(|a, b| b.weight.total_cmp(&a.weight).then_with(|| a.text.cmp(&b.text)));
    c.score = round_to(c.points.iter().map(|p| p.weight).sum(), 1e3);
}

fn candidate(place: &Place, origin: Origin, title: String, points: Vec<Point>) -> Candidate {
    Candidate {
        origin,
        service: place.service.clone(),
        host: place.host.clone(),
        symptom: place.symptom.map(|(s, _)| s).filter(|s| *s != Symptom::Unknown),
        title,
        alerts: place.alerts.clone(),
        points,
        score: 0.0,
        confidence: 0.0,
        ruled_out: false,
        stands_alone: false,
        far: false,
        first: place.first,
    }
}

fn of_place(ctx: &points::Context<'_>, n: usize, place: &Place) -> Candidate {
    let mut points = ctx.of_place(n, place);
    let change = ctx.change_before(place);
    let what = ctx.complaint(place);
    let name = words::plain(place.name().unwrap_or("an unnamed place"));
    let (origin, title) = match &change {
        Some((i, point)) => {
            points.push(point.clone());
            let named = ctx.case.changes.get(*i).map(change_name).unwrap_or_default();
            (Origin::Change(*i), format!("{what} on {name} after {named}"))
        }
        None => (Origin::Place, format!("{what} on {name}")),
    };
    let around = ctx.scene.spots.get(n).is_some_and(|s| s.around);
    let connected = |i: &usize| ctx.case.counts(*i) >= scene::CONNECTED;
    let far = around && !place.alerts.iter().any(connected);
    let severe = place.worst <= Severity::High || place.symptom.is_some_and(|(s, _)| decisive(s) >= 1.0);
    let itself = place.symptom.is_some_and(|(s, _)| decisive(s) >= ALONE) && severe && !around;
    Candidate { stands_alone: change.is_some() || itself, far, ..candidate(place, origin, title, points) }
}

fn of_host(ctx: &points::Context<'_>, i: usize, host: &Place) -> Candidate {
    let name = words::plain(host.name().unwrap_or_default());
    let title = format!("{} on the machine {name}", ctx.complaint(host));
    Candidate { stands_alone: true, ..candidate(host, Origin::Place, title, ctx.of_host(i, host)) }
}

fn blind(ctx: &points::Context<'_>, place: &Place) -> Candidate {
    let sender = ctx.sender(place);
    let name = words::plain(place.name().unwrap_or("an unnamed place"));
    let title = format!("missing data of {name} in {sender}");
    Candidate { symptom: None, ..candidate(place, Origin::Blind, title, ctx.of_blind(place)) }
}

/// One sender without data for several places at once: more likely its source than all the places.
fn blind_sender(ctx: &points::Context<'_>) -> Option<Candidate> {
    let blind: Vec<usize> = (0..ctx.case.alerts.len()).filter(|i| ctx.facts.blind(*i)).collect();
    let first = ctx.case.alerts.get(*blind.first()?)?;
    let one_sender = blind.iter().filter_map(|i| ctx.case.alerts.get(*i)).all(|a| a.platform == first.platform);
    let places = ctx.facts.places.iter().filter(|p| p.blind > 0).count();
    if !one_sender || places < 2 {
        return None;
    }
    let sender = words::platform(&first.platform);
    let share = blind.len() as f64 / ctx.case.alerts.len().max(1) as f64;
    let fill = [
        ("n", blind.len().to_string()),
        ("all", words::count(ctx.case.alerts.len(), "alert")),
        ("sender", sender.clone()),
        ("places", words::count(places, "place")),
    ];
    let refs: Vec<Ref> = blind.iter().take(3).map(|i| Ref::Alert(*i)).collect();
    let points = vec![Point::of(&f::BLIND_SENDER, share, &fill, refs)];
    Some(Candidate {
        origin: Origin::Blind,
        service: None,
        host: None,
        symptom: None,
        title: format!("the data source of {sender}"),
        first: first.onset_at,
        alerts: blind,
        points,
        score: 0.0,
        confidence: 0.0,
        ruled_out: false,
        stands_alone: false,
        far: false,
    })
}

/// Changes of services that do not alert, shortly before: weak, but worth a look.
fn changes_elsewhere(ctx: &points::Context<'_>) -> Vec<Candidate> {
    let onset = ctx.case.onset();
    let elsewhere =
        |c: &Change| !ctx.facts.places.iter().any(|p| same_known(p.service.as_deref(), c.service.as_deref()));
    let mut found: Vec<Candidate> = ctx
        .changes(|c, at| elsewhere(c) && at <= onset && onset.since(at) <= BEFORE_ELSEWHERE && took_effect(c))
        .map(|(i, c, at)| {
            let before = words::duration(onset.since(at));
            let fill = [("change", change_name(c)), ("gap", before), ("beginning", ctx.case.beginning().to_owned())];
            let mut points = vec![Point::of(&f::CHANGE_ELSEWHERE, 1.0, &fill, vec![Ref::Change(i)])];
            let whose = c.service.as_deref().map(words::plain);
            let none = match &whose {
                Some(name) => format!("nothing of {name} alerts"),
                None => "it is not known which service it belongs to".to_owned(),
            };
            points.push(Point::of(&f::NO_ALERT, 1.0, &[("what", none)], vec![Ref::Onset]));
            of_change(i, c, at, points)
        })
        .collect();
    // The latest are the nearest to the onset.
    let skip = found.len().saturating_sub(3);
    found.drain(..skip);
    found
}

/// Changes of services that alert which came too late or never took effect.
fn ruled_out(ctx: &points::Context<'_>) -> Vec<Candidate> {
    let onset = ctx.case.onset();
    let here = |c: &Change| ctx.facts.places.iter().any(|p| same_known(p.service.as_deref(), c.service.as_deref()));
    ctx.changes(|c, at| here(c) && onset.distance(at) <= BEFORE && (at > onset || !took_effect(c)))
        .map(|(i, c, at)| {
            let refs = vec![Ref::Change(i), Ref::Onset];
            let point = if at > onset {
                let fill = [
                    ("change", change_name(c)),
                    ("gap", words::duration(at.since(onset))),
                    ("beginning", ctx.case.beginning().to_owned()),
                ];
                Point::of(&f::TOO_LATE, 1.0, &fill, refs)
            } else {
                let outcome = words::quote(c.outcome.as_deref().unwrap_or_default());
                Point::of(&f::DID_NOT_GO_OUT, 1.0, &[("change", change_name(c)), ("outcome", outcome)], refs)
            };
            let points = vec![point];
            Candidate { ruled_out: true, ..of_change(i, c, at, points) }
        })
        .take(3)
        .collect()
}

fn of_change(i: usize, c: &Change, at: Time, points: Vec<Point>) -> Candidate {
    let name = change_name(c);
    let title = match &c.service {
        Some(service) => format!("{name} of {}", words::plain(service)),
        None => name,
    };
    Candidate {
        origin: Origin::Change(i),
        service: c.service.clone(),
        host: None,
        symptom: None,
        title,
        alerts: Vec::new(),
        points,
        score: 0.0,
        confidence: 0.0,
        ruled_out: false,
        stands_alone: true,
        far: false,
        first: at,
    }
}

/// `deploy 2.3.1`, else what it was called.
pub fn change_name(c: &Change) -> String {
    let kind = match c.kind {
        ChangeKind::Deploy => "deploy",
        ChangeKind::Build => "build",
        ChangeKind::Config => "configuration change",
        ChangeKind::Flag => "flag change",
        ChangeKind::Other => "change",
    };
    match c.version.as_deref().filter(|v| !v.is_empty()) {
        Some(version) => format!("{kind} {}", words::plain(version)),
        None => format!("{kind} {}", words::quote(&c.title)),
    }
}

/// A build that failed changed nothing that runs. A deploy that failed may have stopped half-way, so it counts.
fn took_effect(c: &Change) -> bool {
    let outcome = c.outcome.as_deref().unwrap_or("").to_lowercase();
    let failed = ["fail", "abort", "cancel", "error", "not_built"].iter().any(|w| outcome.starts_with(w));
    c.kind != ChangeKind::Build || !failed
}
