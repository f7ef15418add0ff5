//! The single reasons for and against a place, each with its weight.

use std::{collections::BTreeSet, time::Duration};

use super::{BEFORE, Point, change_name, took_effect};
use crate::{
    investigation::{
        case::{Case, Earlier, same, same_known},
        facts::{Facts, Place, decisive},
        ledger::Ref,
        symptoms, words,
    },
    model::{Change, ChangeKind, Conclusion, IncidentStatus, Severity, Symptom, Time},
};

/// Services named so shortly that the name would be found in any text.
const SHORTEST_NAME: usize = 3;
/// What the place that alerts most gets for it; the others get their share of it.
const PRESENCE: f64 = 2.0;
/// Places by which a place can be named before more tell nothing new.
const BLAMED_BY: usize = 2;

/// The case with what all points need, computed once.
pub(super) struct Context<'a> {
    pub(super) case: &'a Case,
    pub(super) facts: &'a Facts,
    texts: Vec<String>,
    strongest: f64,
    total: f64,
}

impl<'a> Context<'a> {
    pub(super) fn new(case: &'a Case, facts: &'a Facts) -> Self {
        let texts = case
            .alerts
            .iter()
            .map(|a| {
                let labels = a.labels.iter().filter(|(k, _)| is_callee_label(k)).map(|(_, v)| v.as_str());
                let parts = [a.title.as_str(), a.description.as_deref().unwrap_or("")];
                parts.into_iter().chain(labels).collect::<Vec<_>>().join("\n").to_lowercase()
            })
            .collect();
        let all = || facts.places.iter().chain(&facts.hosts).map(|p| p.strength);
        Self {
            case,
            facts,
            texts,
            strongest: all().fold(0.0, f64::max),
            total: facts.places.iter().map(|p| p.strength).sum(),
        }
    }

    /// Changes that fit, with their place and time.
    pub(super) fn changes(
        &self,
        fits: impl Fn(&Change, Time) -> bool,
    ) -> impl Iterator<Item = (usize, &'a Change, Time)> {
        let with_time = self.case.changes.iter().enumerate().filter_map(|(i, c)| Some((i, c, c.at?)));
        with_time.filter(move |(_, c, at)| fits(c, *at))
    }

    /// What is wrong with a place, as the subject of a sentence.
    pub(super) fn complaint(&self, place: &Place) -> String {
        if let Some(known) = place.symptom.and_then(|(s, _)| words::symptom(s)) {
            return known.to_owned();
        }
        let title =
            place.alerts.first().and_then(|i| self.case.alerts.get(*i)).map_or(&self.case.incident.title, |a| &a.title);
        words::quote(title)
    }

    /// Who sent the alerts of a place.
    pub(super) fn sender(&self, place: &Place) -> String {
        let first = place.alerts.first().and_then(|i| self.case.alerts.get(*i));
        words::platform(first.map_or(&self.case.incident.source, |a| &a.platform))
    }

    pub(super) fn of_place(&self, place: &Place) -> Vec<Point> {
        let mut points = self.presence(place);
        points.extend(self.self_explaining(place));
        points.extend(self.onset(place));
        points.extend(self.blamed(place));
        points.extend(self.remembered(place));
        points.extend(self.machine_below(place));
        points.extend(self.commit(place));
        points.extend(self.weaknesses(place));
        points
    }

    pub(super) fn of_host(&self, i: usize, host: &Place) -> Vec<Point> {
        let mut points = self.presence(host);
        points.extend(self.self_explaining(host));
        let text = format!("{} alert on it", host.sharers());
        let sharers = host.services + usize::from(host.itself);
        let weight = 0.4 * sharers.saturating_sub(1).clamp(1, 2) as f64;
        points.push(Point::new(weight, text, vec![Ref::Host(i)]));
        points.extend(self.onset(host));
        points.extend(self.remembered(host));
        points.extend(self.weaknesses(host));
        points
    }

    pub(super) fn of_blind(&self, place: &Place) -> Vec<Point> {
        let mut points = self.presence(place);
        let refs = self.citing(place, |i| self.facts.blind(i));
        let text = format!("{} say only that no data comes", words::count(place.blind, "alert"));
        points.push(Point::new(0.5, one_says(text, place.blind), refs));
        points.extend(self.weaknesses(place));
        points
    }

    /// How much it alerts, compared with the place that alerts most.
    fn presence(&self, place: &Place) -> Vec<Point> {
        if place.alerts.is_empty() {
            let text = format!("{} was opened for it", self.case.incident.id);
            return vec![Point { presence: true, ..Point::new(0.8 * PRESENCE, text, Vec::new()) }];
        }
        if self.strongest <= 0.0 {
            return Vec::new();
        }
        let share = place.strength / self.strongest;
        let all = self.case.alerts.len();
        let text = if all == place.alerts.len() {
            match all {
                1 => "the only alert is about it".to_owned(),
                n => format!("all {n} alerts are about it"),
            }
        } else {
            format!(
                "{} of {all} alerts {} about it, {} of their weight",
                place.alerts.len(),
                if place.alerts.len() == 1 { "is" } else { "are" },
                words::percent(place.strength / self.total.max(place.strength))
            )
        };
        vec![Point { presence: true, ..Point::new(PRESENCE * share, text, self.citing(place, |_| true)) }]
    }

    fn self_explaining(&self, place: &Place) -> Option<Point> {
        let (symptom, alert) = place.symptom?;
        let weight = 0.9 * decisive(symptom);
        let refs = if alert == usize::MAX { Vec::new() } else { vec![Ref::Alert(alert)] };
        let name = words::symptom(symptom)?;
        let text = if decisive(symptom) >= 0.7 {
            format!("{name} is a cause more often than an effect")
        } else {
            format!("{name} can be a cause of its own")
        };
        (weight > 0.0).then_some(Point::new(weight, text, refs))
    }

    /// Who began. Alerts are evaluated every minute or so, hence a small gap tells little.
    fn onset(&self, place: &Place) -> Option<Point> {
        let mine = |p: &&Place| {
            p.name() != place.name() && (place.services == 0 || !same_known(p.host.as_deref(), place.host.as_deref()))
        };
        // What was over before this began did not bring it about.
        let over = |p: &&Place| {
            let ends = p.alerts.iter().filter_map(|i| self.case.alerts.get(*i)).map(|a| a.ended_at.or(a.closed_at));
            p.open == 0 && ends.flatten().max().is_some_and(|end| end < place.first)
        };
        let other = self.facts.places.iter().filter(mine).filter(|p| !over(p)).min_by_key(|p| p.first)?;
        let first = place.alerts.first().map(|i| Ref::Alert(*i));
        let refs: Vec<Ref> = first.into_iter().chain([Ref::Onset]).collect();
        let name = words::plain(other.name().unwrap_or("an unnamed place"));
        let gap = place.first.distance(other.first);
        let strength = (gap.as_secs_f64() / 300.0).min(1.0);
        if place.first < other.first {
            let text = format!("it alerted first, {} before {name}", words::duration(gap));
            Some(Point::new(if gap > Duration::from_secs(60) { 0.2 + 0.4 * strength } else { 0.1 }, text, refs))
        } else if gap > Duration::from_secs(60) {
            let text = format!("{name} alerted {} earlier", words::duration(gap));
            Some(Point::new(-0.2 * strength, text, refs))
        } else {
            None
        }
    }

    /// Alerts of other places that name it.
    fn blamed(&self, place: &Place) -> Option<Point> {
        let name = place.service.as_deref().filter(|n| n.len() >= SHORTEST_NAME)?.to_lowercase();
        let mut by: BTreeSet<&str> = BTreeSet::new();
        let mut refs = Vec::new();
        for (i, (alert, text)) in self.case.alerts.iter().zip(&self.texts).enumerate() {
            let other = alert.service.as_deref().or(alert.host.as_deref());
            let Some(other) = other.filter(|o| !same(o, &name) && alert.service.is_some()) else { continue };
            if names(text, &name) && by.insert(other) {
                refs.push(Ref::Alert(i));
            }
        }
        let who: Vec<String> = by.iter().map(|n| words::plain(n)).collect();
        let weight = 0.7 * who.len().min(BLAMED_BY) as f64;
        refs.truncate(3);
        let text = format!(
            "{} of {} name{} it",
            if who.len() == 1 { "an alert" } else { "alerts" },
            words::list(&who, 3),
            if who.len() == 1 { "s" } else { "" }
        );
        (!who.is_empty()).then_some(Point::new(weight, text, refs))
    }

    /// Earlier incidents that ended with the same cause.
    fn remembered(&self, place: &Place) -> Option<Point> {
        let alike: Vec<(usize, &Earlier)> =
            self.case.earlier.iter().enumerate().filter(|(_, e)| self.was_same(e, place)).collect();
        let (_, latest) = alike.first()?;
        let incident = &latest.incident;
        let ago = words::duration(self.case.onset().since(incident.detected_at));
        let how = match &incident.resolution {
            Some(text) => format!("ended with {}", words::quote(text)),
            None => "was confirmed to come from it".to_owned(),
        };
        let text = match alike.len() {
            1 => format!("{} {ago} before {how}", incident.id),
            n => format!("{} {ago} before {how}, and {} like it", incident.id, words::count(n - 1, "earlier one")),
        };
        let refs = alike.iter().take(3).map(|(i, _)| Ref::Earlier(*i)).collect();
        let weight = 0.8 + 0.2 * (alike.len() - 1).min(2) as f64;
        // What happened whatever the alerts were tells less about these alerts.
        let mut others = self.facts.places.iter().filter(|p| p.name() != place.name());
        let others = others.any(|p| self.was_same(latest, p));
        Some(Point::new(if others { weight / 2.0 } else { weight }, text, refs))
    }

    fn was_same(&self, earlier: &Earlier, place: &Place) -> bool {
        let incident = &earlier.incident;
        if incident.status != IncidentStatus::Resolved || incident.test {
            return false;
        }
        let shows = |s: Symptom| s != Symptom::Unknown && place.alerts.iter().any(|i| self.facts.symptom(*i) == s);
        let confirmed = incident.investigation.conclusion == Some(Conclusion::Confirmed);
        let by_cause = earlier.cause.as_ref().filter(|_| confirmed).is_some_and(|c| {
            (same_known(c.service.as_deref(), place.service.as_deref())
                || (place.service.is_none() && same_known(c.host.as_deref(), place.host.as_deref())))
                && c.symptom.is_none_or(shows)
        });
        let touched = place.service.as_deref().is_some_and(|s| incident.affected_services.iter().any(|o| same(o, s)))
            || place.host.as_deref().is_some_and(|h| incident.affected_hosts.iter().any(|o| same(o, h)));
        let by_words = incident.resolution.as_deref().is_some_and(|text| {
            let names_it = [&place.service, &place.host]
                .into_iter()
                .flatten()
                .any(|n| n.len() >= SHORTEST_NAME && names(&text.to_lowercase(), &n.to_lowercase()));
            let says = symptoms::of_text(text).is_some_and(|r| shows(r.symptom));
            touched && says || names_it && (says || touched)
        });
        by_cause || by_words
    }

    /// A service on a machine that several services share and that itself lacks something.
    fn machine_below(&self, place: &Place) -> Option<Point> {
        let (i, host) = self.facts.hosts.iter().enumerate().find(|(_, h)| {
            h.symptom.is_some() && place.service.is_some() && same_known(h.host.as_deref(), place.host.as_deref())
        })?;
        let (symptom, _) = host.symptom?;
        let text = format!(
            "the machine {} has {}, and {} alert on it",
            words::plain(host.host.as_deref().unwrap_or_default()),
            words::symptom(symptom)?,
            host.sharers()
        );
        Some(Point::new(-0.7, text, vec![Ref::Host(i)]))
    }

    /// A failed build that says what went into it.
    fn commit(&self, place: &Place) -> Option<Point> {
        let (i, commit) =
            place.alerts.iter().filter(|i| self.facts.symptom(**i) == Symptom::BuildFailure).find_map(|i| {
                let labels = &self.case.alerts.get(*i)?.labels;
                let commit =
                    ["commit", "git_commit", "commit_sha", "sha", "revision"].iter().find_map(|l| labels.get(*l))?;
                Some((*i, words::plain(&commit.chars().take(12).collect::<String>())))
            })?;
        let text = format!("the build names commit {commit}");
        Some(Point::new(0.5, text, vec![Ref::Alert(i)]))
    }

    /// The change of this service that came last before it all began.
    pub(super) fn change_before(&self, place: &Place) -> Option<(usize, Point)> {
        let onset = self.case.onset();
        let service = place.service.as_deref()?;
        let (i, change, at) = self
            .changes(|c, at| {
                same_known(c.service.as_deref(), Some(service))
                    && at <= onset
                    && onset.since(at) <= BEFORE
                    && took_effect(c)
            })
            .last()?;
        let lag = onset.since(at);
        let near = match lag.as_secs() {
            0..=600 => 1.8,
            601..=1800 => 1.3,
            1801..=3600 => 0.8,
            _ => 0.4,
        };
        let weight = if change.kind == ChangeKind::Build { near * 0.5 } else { near };
        let text = format!(
            "{} of {} came {} before {}",
            change_name(change),
            words::plain(service),
            words::duration(lag),
            self.case.beginning()
        );
        Some((i, Point::new(weight, text, vec![Ref::Change(i)])))
    }

    fn weaknesses(&self, place: &Place) -> Vec<Point> {
        let mut points = Vec::new();
        let all_open = self.case.alerts.iter().filter(|a| a.is_open()).count();
        if place.open == 0 && all_open > 0 && !place.alerts.is_empty() {
            let text = format!(
                "its {} resolved while {} still fire{}",
                one_is(place.alerts.len()),
                words::count(all_open, "other"),
                if all_open == 1 { "s" } else { "" }
            );
            points.push(Point::new(-0.5, text, self.citing(place, |_| true)));
        }
        if place.worst >= Severity::Low && !place.alerts.is_empty() {
            let text = format!("nothing about it is worse than {}", words::severity(place.worst));
            points.push(Point::new(-0.4, text, self.citing(place, |_| true)));
        }
        if self.case.incident.flapping && self.case.alerts.len() == place.alerts.len() {
            points.push(Point::new(-0.3, "it goes up and down".to_owned(), self.citing(place, |_| true)));
        }
        points
    }

    /// The first alerts of a place that fit, at most two.
    fn citing(&self, place: &Place, fits: impl Fn(usize) -> bool) -> Vec<Ref> {
        place.alerts.iter().copied().filter(|i| fits(*i)).take(2).map(Ref::Alert).collect()
    }
}

fn one_is(n: usize) -> String {
    if n == 1 { "alert has".to_owned() } else { format!("{n} alerts have") }
}

fn one_says(text: String, n: usize) -> String {
    if n == 1 { text.replacen(" say ", " says ", 1) } else { text }
}

/// Labels by which senders name the called side of a call.
fn is_callee_label(label: &str) -> bool {
    let label = label.to_lowercase().replace(['.', '-'], "_");
    matches!(
        label.as_str(),
        "upstream"
            | "callee"
            | "destination"
            | "destination_service"
            | "destination_service_name"
            | "destination_workload"
            | "peer_service"
            | "remote_service"
            | "target_service"
            | "dependency"
            | "backend"
    )
}

/// Whether the text has the name as a word of its own: `api` does not stand in `payments-api`.
fn names(text: &str, name: &str) -> bool {
    let joins = |c: char| c.is_alphanumeric() || c == '-' || c == '_';
    text.match_indices(name).any(|(at, found)| {
        let before = text.get(..at).and_then(|t| t.chars().next_back());
        let mut after = text.get(at + found.len()..).unwrap_or("").chars();
        // A full stop joins inside `api.example.com` but not at the end of a sentence.
        let next = after.next();
        let joined = match next {
            Some('.') => after.next().is_some_and(char::is_alphanumeric),
            Some(c) => joins(c),
            None => false,
        };
        !before.is_some_and(|c| joins(c) || c == '.') && !joined
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_found_only_as_a_word() {
        let check = |text: &str, name: &str, want: bool| assert_eq!(names(text, name), want, "{name} in {text}");
        check("timeouts calling payments", "payments", true);
        check("timeouts calling payments.", "payments", true);
        check("timeouts calling payments-worker", "payments", false);
        check("error at payments.example.com", "payments", false);
        check("(payments): 5xx", "payments", true);
        check("repayments late", "payments", false);
        check("zürich-api", "api", false);
    }

    #[test]
    fn labels_of_the_called_side_are_known_in_their_spellings() {
        for label in ["peer.service", "destination_service", "Destination-Service", "upstream"] {
            assert!(is_callee_label(label), "{label}");
        }
        assert!(!is_callee_label("service"));
    }
}
