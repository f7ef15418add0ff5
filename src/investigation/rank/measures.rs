//! The reasons for and against a place that follow from alerts and calls: what `scene` counted, said with names.

use std::time::Duration;

use super::{
    Point,
    blame::{Blame, Said},
    features::{self as f, Feature},
    points::Context,
    scene::{Kind, Spot},
};
use crate::{
    investigation::{
        facts::{Place, Whose, decisive},
        ledger::Ref,
        symptoms::Flavour,
        words,
    },
    model::{Severity, Symptom},
};

/// Kinds of trouble from which on more tell nothing new.
const MANY_KINDS: f64 = 5.0;
/// What a decisive symptom counts in alerts that are not severe.
const NOT_SEVERE: f64 = 0.2;
/// Two evaluations of a rule: what alerts earlier by less may as well have begun later.
const TWO_EVALUATIONS: Duration = Duration::from_secs(120);
/// Names said of callers and the like.
const NAMES: usize = 3;

impl Context<'_> {
    /// Everything of a place that alerts.
    pub(super) fn measures(&self, n: usize, place: &Place) -> Vec<Point> {
        let Some(spot) = self.scene.spots.get(n) else { return Vec::new() };
        let mut points = vec![self.presence(spot, place)];
        points.push(self.own(spot, place));
        points.extend(self.critical(spot, place));
        points.extend(self.diversity(spot, place));
        points.extend(self.lack(spot, place));
        points.extend(self.decisive(place));
        points.extend(self.elsewhere(spot, place));
        points.extend(self.kinds(spot, place));
        points.extend(self.callers(spot));
        points.extend(self.run(spot, place));
        points.extend(self.blamed(n));
        points.extend(self.siblings(spot, place));
        if spot.front {
            points.push(Point::of(&f::FRONT, 1.0, &[], self.citing(place, |_| true)));
        }
        points
    }

    /// How much it alerts, compared with the place that alerts most.
    fn presence(&self, spot: &Spot, place: &Place) -> Point {
        let here = place.alerts.iter().filter(|i| **i < self.case.alerts.len()).count();
        let all = self.case.alerts.len();
        let what = if spot.around {
            format!(
                "{} of the same time {} about it",
                words::count(place.alerts.len(), "alert"),
                are(place.alerts.len())
            )
        } else if all == here {
            match all {
                1 => "the only alert is about it".to_owned(),
                n => format!("all {n} alerts are about it"),
            }
        } else {
            let share = if self.scene.total > 0.0 { spot.strength / self.scene.total } else { 0.0 };
            format!("{here} of {all} alerts {} about it, {} of their weight", are(here), words::percent(share))
        };
        let value = ratio(spot.strength, self.scene.most.strength);
        Point { presence: true, ..Point::of(&f::PRESENCE, value, &[("what", what)], self.citing(place, |_| true)) }
    }

    /// What is its own trouble and not its callees'.
    fn own(&self, spot: &Spot, place: &Place) -> Point {
        let value = ratio(spot.own, self.scene.most.own);
        let what = match spot.explained_by.and_then(|n| self.name_of(n)) {
            Some(callee) => {
                let share = words::percent(ratio(spot.own, spot.strength));
                format!("{share} of its trouble is its own, the rest may come from {callee}, which it calls")
            }
            None if self.case.topology.is_empty() => {
                "its trouble may be its own: nothing is known of what it calls".to_owned()
            }
            None => "its trouble is its own: nothing that it calls alerts as much".to_owned(),
        };
        let mut refs = self.citing(place, |_| true);
        refs.extend(spot.explained_by.map(|_| Ref::Calls));
        // Where nothing is known of calls that says no more than that it alerts.
        let point = Point::of(&f::OWN, value, &[("what", what)], refs);
        Point { presence: self.case.topology.is_empty() || self.scene.spots.len() < 2, ..point }
    }

    fn critical(&self, spot: &Spot, place: &Place) -> Option<Point> {
        let is = |i: usize| self.case.alert(i).is_some_and(|a| a.severity == Severity::Critical);
        let n = place.alerts.iter().filter(|i| is(**i)).count();
        let n_of = if n == place.alerts.len() && n == 1 { "one".to_owned() } else { n.to_string() };
        let fill = [("n", n_of), ("are", are(n).to_owned())];
        (n > 0).then(|| Point::of(&f::CRITICAL, spot.critical, &fill, self.citing(place, is)))
    }

    fn diversity(&self, spot: &Spot, place: &Place) -> Option<Point> {
        let n = spot.kinds.len();
        let kinds: Vec<String> = spot.kinds.keys().map(|k| kind_name(*k)).collect();
        let fill = [("n", words::count(n, "kind")), ("kinds", words::list(&kinds, 4))];
        let point = Point::of(&f::DIVERSITY, (n as f64 / MANY_KINDS).min(1.0), &fill, self.citing(place, |_| true));
        (n > 0).then_some(Point { presence: n == 1, ..point })
    }

    fn lack(&self, spot: &Spot, place: &Place) -> Option<Point> {
        let kinds: Vec<String> = spot.kinds.keys().filter(|k| !k.is_effect()).map(|k| kind_name(*k)).collect();
        let refs = self.citing(place, |i| self.facts.reading(i).is_some_and(|r| !Kind::from(r).is_effect()));
        let value = ratio(spot.lack, self.scene.most.lack);
        (value > 0.0).then(|| Point::of(&f::RESOURCE, value, &[("kinds", words::list(&kinds, NAMES))], refs))
    }

    /// A full disk is a cause, slow answers are an effect of something.
    pub(super) fn decisive(&self, place: &Place) -> Option<Point> {
        let (symptom, alert) = place.symptom?;
        let name = words::symptom(symptom)?;
        let all = place.alerts.iter().filter(|i| self.facts.symptom(**i) == symptom);
        let severe =
            alert == usize::MAX || all.filter_map(|i| self.case.alert(*i)).any(|a| a.severity <= Severity::High);
        let value = decisive(symptom) * if severe { 1.0 } else { NOT_SEVERE };
        let tells =
            if decisive(symptom) >= 0.7 { "is a cause more often than an effect" } else { "can be a cause of its own" };
        let refs = if alert == usize::MAX { Vec::new() } else { vec![Ref::Alert(alert)] };
        let fill = [("symptom", name.to_owned()), ("tells", tells.to_owned())];
        (value > 0.0).then(|| Point::of(&f::DECISIVE, value, &fill, refs))
    }

    fn elsewhere(&self, spot: &Spot, place: &Place) -> Option<Point> {
        let mut incidents: Vec<String> =
            place.alerts.iter().filter_map(|i| self.case.alert(*i)?.incident).map(|id| id.to_string()).collect();
        incidents.sort();
        incidents.dedup();
        let fill = [("incidents", words::list(&incidents, 2))];
        spot.around.then(|| Point::of(&f::AROUND, 1.0, &fill, self.citing(place, |_| true)))
    }

    /// Which kinds of trouble it shows, compared with who shows most of them.
    fn kinds(&self, spot: &Spot, place: &Place) -> Vec<Point> {
        let feature = |k: Kind| -> Option<&'static Feature> {
            Some(match (k.symptom, k.flavour, k.lower) {
                (_, Flavour::Log, _) => &f::LOG,
                (_, Flavour::Volume, _) => return None,
                (Symptom::Traffic, _, true) => &f::LESS_TRAFFIC,
                (Symptom::Traffic, _, false) => &f::TRAFFIC,
                (Symptom::Unavailable, _, false) => &f::UNAVAILABLE,
                (Symptom::Errors, _, false) => &f::ERRORS,
                (Symptom::Network, ..) => &f::NETWORK,
                (Symptom::Latency, _, false) => &f::LATENCY,
                _ => return None,
            })
        };
        let shown = spot.kinds.iter().filter_map(|(k, v)| Some((feature(*k)?, *k, *v)));
        let point = |(feature, kind, v): (&'static Feature, Kind, f64)| {
            let most = self.scene.by_kind.get(&kind).copied().unwrap_or(0.0);
            let refs = self.citing(place, |i| self.facts.reading(i).is_some_and(|r| Kind::from(r) == kind));
            Point { presence: true, ..Point::of(feature, ratio(v, most), &[], refs) }
        };
        shown.map(point).collect()
    }

    fn callers(&self, spot: &Spot) -> Option<Point> {
        let whose = self.facts.wide.get(spot.place).map(|p| p.whose);
        if spot.callers.is_empty() {
            let known = self.scene.spots.len() > 1 && !self.case.topology.is_empty();
            let service = matches!(whose, Some(Whose::Service(_)));
            return (known && service).then(|| Point::of(&f::NOBODY_CALLS, 1.0, &[], vec![Ref::Calls]));
        }
        let names: Vec<String> = spot.callers.iter().filter_map(|(n, _)| self.name_of(*n)).collect();
        let one = names.len() == 1;
        let fill = [
            ("names", words::list(&names, NAMES)),
            ("call", if one { "calls" } else { "call" }.to_owned()),
            ("alert", if one { "alerts" } else { "alert" }.to_owned()),
        ];
        Some(Point::of(&f::DEPENDENTS, spot.dependents, &fill, vec![Ref::Calls]))
    }

    fn run(&self, spot: &Spot, place: &Place) -> Vec<Point> {
        let names: Vec<String> = spot.above.iter().filter_map(|n| self.name_of(*n)).collect();
        let mut points = Vec::new();
        if spot.run > 0.0 {
            let fill = [("names", words::list(&names, NAMES))];
            points.push(Point::of(&f::CHAIN, spot.run, &fill, vec![Ref::Calls]));
        }
        if spot.run_end > 0.0 {
            let kind = if spot.run_is_slow { "slow answers" } else { "failures" };
            let fill = [("kind", kind.to_owned()), ("names", words::list(&names, NAMES)), ("lead", "lead".to_owned())];
            let refs = self.citing(place, |_| true).into_iter().take(1).chain([Ref::Calls]).collect();
            points.push(Point::of(&f::CHAIN_END, spot.run_end, &fill, refs));
        }
        points
    }

    fn blamed(&self, n: usize) -> Vec<Point> {
        let Some(blame) = self.blame.get(n) else { return Vec::new() };
        let point = |feature: &Feature, of: fn(&Blame) -> &Said| {
            let (said, most) = (of(blame), self.blame.iter().map(|b| of(b).weight).fold(0.0, f64::max));
            let who: Vec<String> = said.by.keys().map(|n| words::plain(n)).collect();
            let fill = [
                ("names", words::list(&who, NAMES)),
                ("name", if who.len() == 1 { "names" } else { "name" }.to_owned()),
            ];
            let refs: Vec<Ref> = said.by.values().take(3).map(|i| Ref::Alert(*i)).collect();
            (!who.is_empty()).then(|| Point::of(feature, ratio(said.weight, most), &fill, refs))
        };
        let (named, called) = (point(&f::NAMED, |b| &b.named), point(&f::BLAMED, |b| &b.called));
        named.into_iter().chain(called).collect()
    }

    fn siblings(&self, spot: &Spot, place: &Place) -> Option<Point> {
        let beyond = spot.beyond_siblings?;
        let value = if self.scene.most.strength > 0.0 { beyond / self.scene.most.strength } else { 0.0 };
        let names: Vec<String> = spot.siblings.iter().filter_map(|n| self.name_of(*n)).collect();
        let what = match (names.is_empty(), value < 0.0) {
            (true, _) => "others of its kind are quiet".to_owned(),
            (false, false) => format!("it alerts more than {}, of the same kind", words::list(&names, NAMES)),
            (false, true) => format!("{}, of the same kind, alert more", words::list(&names, NAMES)),
        };
        (value != 0.0).then(|| Point::of(&f::SIBLING, value, &[("what", what)], self.citing(place, |_| true)))
    }

    /// That it began, where the next began clearly later. Rules are evaluated every minute or so, and so less tells nothing.
    pub(super) fn first(&self, place: &Place) -> Option<Point> {
        // What was over before others began did not bring them about.
        let ends = place.alerts.iter().filter_map(|i| self.case.alert(*i)).map(|a| a.ended_at.or(a.closed_at));
        let over = if place.open == 0 { ends.flatten().max() } else { None };
        let other = self.facts.wide.iter().filter(|p| p.whose != place.whose).min_by_key(|p| p.first)?;
        let gap = other.first.since(place.first);
        if gap <= TWO_EVALUATIONS || over.is_some_and(|end| end < other.first) {
            return None;
        }
        let name = words::plain(other.name().unwrap_or("an unnamed place"));
        let refs: Vec<Ref> = place.alerts.first().map(|i| Ref::Alert(*i)).into_iter().chain([Ref::Onset]).collect();
        Some(Point::of(&f::FIRST, 1.0, &[("gap", words::duration(gap)), ("name", name)], refs))
    }

    fn name_of(&self, spot: usize) -> Option<String> {
        let place = self.scene.spots.get(spot).and_then(|s| self.facts.wide.get(s.place))?;
        place.name().map(words::plain)
    }
}

pub(super) fn are(n: usize) -> &'static str {
    if n == 1 { "is" } else { "are" }
}

pub(super) fn ratio(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { (part / whole).min(1.0) } else { 0.0 }
}

fn kind_name(k: Kind) -> String {
    let name = words::symptom(k.symptom).unwrap_or("something unknown");
    match (k.flavour, k.lower) {
        (Flavour::Log, _) => "unusual log lines".to_owned(),
        (Flavour::Volume, false) => "more network traffic".to_owned(),
        (Flavour::Volume, true) => "less network traffic".to_owned(),
        (Flavour::Plain, true) => format!("less than usual of {name}"),
        (Flavour::Plain, false) => name.to_owned(),
    }
}
