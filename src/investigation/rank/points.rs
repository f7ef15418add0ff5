//! The case with what its reasons need, and the reasons that do not come from counting alerts: changes, what happened
//! before, machines, what tools answered, weaknesses.

use super::{
    BEFORE, Point,
    blame::{self, Blame},
    change_name, features as f,
    measures::ratio,
    memory::Memory,
    scene::{Kind, Scene},
    took_effect,
};
use crate::{
    investigation::{
        case::{Case, Earlier, same, same_known},
        facts::{Facts, Place, decisive},
        finding::{Finding, Found},
        ledger::Ref,
        symptoms, words,
    },
    model::{Change, ChangeKind, Conclusion, IncidentStatus, Severity, Symptom, Time, Tool},
};

/// Services named so shortly that the name would be found in any text.
const SHORTEST_NAME: usize = 3;
/// Deviations of a figure from which on more tell nothing new, and how many are ordinary.
const GREAT_SHIFT: f64 = 50.0;
const ORDINARY_SHIFT: f64 = 3.0;
/// What the shift of a figure counts that may be an effect of a callee's.
const SHIFT_BELOW: f64 = 0.3;

/// The case with what all points need, computed once.
pub(super) struct Context<'a> {
    pub(super) case: &'a Case,
    pub(super) facts: &'a Facts,
    pub(super) scene: Scene,
    pub(super) blame: Vec<Blame>,
    pub(super) memory: Memory,
}

impl<'a> Context<'a> {
    pub(super) fn new(case: &'a Case, facts: &'a Facts) -> Self {
        let scene = Scene::of(case, facts);
        let blame = blame::of(case, facts, &scene);
        Self { case, facts, scene, blame, memory: Memory::of(case) }
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

    /// Everything of a place; `n` is its spot in the scene.
    pub(super) fn of_place(&self, n: usize, place: &Place) -> Vec<Point> {
        let mut points = if place.alerts.is_empty() {
            let text = format!("{} was opened for it", self.case.incident.id);
            let opened = Point { presence: true, text, ..Point::of(&f::PRESENCE, 0.8, &[], Vec::new()) };
            std::iter::once(opened).chain(self.decisive(place)).collect()
        } else {
            self.measures(n, place)
        };
        points.extend(self.first(place));
        points.extend(self.remembered(place));
        points.extend(self.remembered_of_all(place));
        points.extend(self.machine_below(place));
        points.extend(self.commit(place));
        points.extend(self.answers(n, place));
        points.extend(self.weaknesses(place));
        points
    }

    pub(super) fn of_host(&self, i: usize, host: &Place) -> Vec<Point> {
        let strongest = self.scene.most.strength.max(host.strength);
        let all = self.case.alerts.len();
        let share = words::percent(host.alerts.len() as f64 / all.max(1) as f64);
        let what = format!("{} of {all} alerts are on it, {share}", host.alerts.len());
        let presence = Point::of(&f::PRESENCE, ratio(host.strength, strongest), &[("what", what)], vec![Ref::Host(i)]);
        let mut points = vec![Point { presence: true, ..presence }];
        let what = "a machine calls nothing that could explain it".to_owned();
        points.push(Point { presence: true, ..Point::of(&f::OWN, 1.0, &[("what", what)], vec![Ref::Host(i)]) });
        points.extend(self.decisive(host));
        let sharers = host.services + usize::from(host.itself);
        let value = 0.5 * sharers.saturating_sub(1).clamp(1, 2) as f64;
        points.push(Point::of(&f::SHARED, value, &[("sharers", host.sharers())], vec![Ref::Host(i)]));
        points.extend(self.first(host));
        points.extend(self.remembered(host));
        points.extend(self.weaknesses(host));
        points
    }

    pub(super) fn of_blind(&self, place: &Place) -> Vec<Point> {
        let all = self.case.alerts.len();
        let what =
            format!("{} of {all} alerts {} about it", place.alerts.len(), super::measures::are(place.alerts.len()));
        let value = ratio(place.alerts.len() as f64, all as f64);
        let presence = Point::of(&f::PRESENCE, value, &[("what", what)], self.citing(place, |_| true));
        let mut points = vec![Point { presence: true, ..presence }];
        let refs = self.citing(place, |i| self.facts.blind(i));
        let fill = [
            ("n", words::count(place.blind, "alert")),
            ("say", if place.blind == 1 { "says" } else { "say" }.to_owned()),
        ];
        points.push(Point::of(&f::BLIND, 1.0, &fill, refs));
        points.extend(self.weaknesses(place));
        points
    }

    /// What tools answered when they were asked about it. Their figures move with everything around, so that they never
    /// weigh more than where alerts end.
    fn answers(&self, n: usize, place: &Place) -> Vec<Point> {
        let about = |p: &Place, a: &Finding| {
            let named = a.service.as_deref().map(|s| self.case.topology.key(s));
            match (named, p.whose) {
                (Some(key), crate::investigation::facts::Whose::Service(own)) => key == own,
                _ => a.service.is_none() && same_known(a.host.as_deref(), p.host.as_deref()),
            }
        };
        let callees = self.scene.callees.get(n).into_iter().flatten();
        let below: Vec<&Place> = callees.filter_map(|c| self.facts.wide.get(self.scene.spots.get(*c)?.place)).collect();
        let mut best: Option<Point> = None;
        let (mut alarm, mut lines, mut quiet) = (None, None, None);
        for (i, a) in self.case.findings.iter().enumerate().filter(|(_, a)| about(place, a)) {
            let refs = vec![Ref::Finding(i)];
            match &a.found {
                Found::Shift { metric, symptom, before, after, unit, deviation, .. } => {
                    let moved = |d: f64| ((d.max(0.0) + 1.0) / (ORDINARY_SHIFT + 1.0)).ln().max(0.0);
                    let mut value = (moved(*deviation) / moved(GREAT_SHIFT)).min(1.0);
                    let lower_down = self.case.findings.iter().any(|o| {
                        matches!(&o.found, Found::Shift { deviation, .. } if *deviation > ORDINARY_SHIFT)
                            && below.iter().any(|p| about(p, o))
                    });
                    if Kind::of(*symptom).is_effect() && lower_down {
                        value *= SHIFT_BELOW;
                    }
                    let unit = unit.as_deref().map(|u| format!(" {}", words::plain(u))).unwrap_or_default();
                    let fill = [
                        ("metric", words::plain(metric)),
                        ("before", words::figure(*before)),
                        ("after", format!("{}{unit}", words::figure(*after))),
                    ];
                    let point = Point::of(&f::SHIFT, value, &fill, refs);
                    if best.as_ref().is_none_or(|b| point.weight > b.weight) {
                        best = Some(point);
                    }
                }
                Found::Alarm { name, .. } if alarm.is_none() => {
                    let fill = [("tool", tool(a.tool).to_owned()), ("alarm", words::quote(name))];
                    alarm = Some(Point::of(&f::ALARM, 1.0, &fill, refs));
                }
                Found::Lines { lines: found, count } if lines.is_none() && *count > 0 => {
                    let first = found.first().map(|l| words::quote(l)).unwrap_or_default();
                    let fill = [("n", words::count(*count, "line")), ("line", first)];
                    lines = Some(Point::of(&f::LINES, 1.0, &fill, refs));
                }
                Found::Quiet if quiet.is_none() => {
                    quiet = Some(Point::of(&f::QUIET, 1.0, &[("tool", tool(a.tool).to_owned())], refs));
                }
                _ => {}
            }
        }
        let quiet = if best.is_none() { quiet } else { None };
        best.into_iter().chain(alarm).chain(lines).chain(quiet).collect()
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
        let value = 0.8 + 0.1 * (alike.len() - 1).min(2) as f64;
        // What happened whatever the alerts were tells less about these alerts.
        let mut others = self.facts.places.iter().filter(|p| p.name() != place.name());
        let others = others.any(|p| self.was_same(latest, p));
        Some(Point::of(&f::ENDED, if others { value / 2.0 } else { value }, &[("what", text)], refs))
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
            let says = symptoms::of_text(&self.case.symptoms, text).is_some_and(|r| shows(r.symptom));
            touched && says || names_it && (says || touched)
        });
        by_cause || by_words
    }

    /// A service on a machine that several services share and that itself lacks something.
    fn machine_below(&self, place: &Place) -> Option<Point> {
        // A service that is that machine by name does not stand on it.
        let (i, host) = self.facts.hosts.iter().enumerate().find(|(_, h)| {
            h.symptom.is_some() && place.service.is_some() && same_known(h.host.as_deref(), place.host.as_deref())
        })?;
        let (symptom, _) = host.symptom?;
        let fill = [
            ("host", words::plain(host.host.as_deref().unwrap_or_default())),
            ("symptom", words::symptom(symptom)?.to_owned()),
            ("sharers", host.sharers()),
        ];
        Some(Point::of(&f::MACHINE_BELOW, 1.0, &fill, vec![Ref::Host(i)]))
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
        Some(Point::of(&f::COMMIT, 1.0, &[("commit", commit)], vec![Ref::Alert(i)]))
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
            0..=600 => 1.0,
            601..=1800 => 0.7,
            1801..=3600 => 0.45,
            _ => 0.2,
        };
        let value = if change.kind == ChangeKind::Build { near * 0.5 } else { near };
        let fill = [
            ("change", change_name(change)),
            ("service", words::plain(service)),
            ("gap", words::duration(lag)),
            ("beginning", self.case.beginning().to_owned()),
        ];
        Some((i, Point::of(&f::CHANGE, value, &fill, vec![Ref::Change(i)])))
    }

    fn weaknesses(&self, place: &Place) -> Vec<Point> {
        let mut points = Vec::new();
        let all_open = self.case.every_alert().filter(|(_, a)| a.is_open()).count();
        if place.open == 0 && all_open > 0 && !place.alerts.is_empty() {
            let fill = [
                ("alerts", one_has(place.alerts.len())),
                ("others", words::count(all_open, "other")),
                ("s", if all_open == 1 { "s" } else { "" }.to_owned()),
            ];
            points.push(Point::of(&f::OVER, 1.0, &fill, self.citing(place, |_| true)));
        }
        if place.worst >= Severity::Low && !place.alerts.is_empty() {
            let fill = [("severity", words::severity(place.worst).to_owned())];
            points.push(Point::of(&f::MILD, 1.0, &fill, self.citing(place, |_| true)));
        }
        let one = self.case.every_alert().count() == 1 && place.alerts.len() == 1;
        let explained = place.symptom.map_or(0.0, |(s, _)| decisive(s));
        if one && explained < 1.0 {
            points.push(Point::of(&f::LONE, 1.0 - explained, &[], self.citing(place, |_| true)));
        }
        if self.case.incident.flapping && self.case.alerts.len() == place.alerts.len() {
            points.push(Point::of(&f::FLAPS, 1.0, &[], self.citing(place, |_| true)));
        }
        points
    }

    /// The first alerts of a place that fit, at most two.
    pub(super) fn citing(&self, place: &Place, fits: impl Fn(usize) -> bool) -> Vec<Ref> {
        place.alerts.iter().copied().filter(|i| fits(*i)).take(2).map(Ref::Alert).collect()
    }
}

fn one_has(n: usize) -> String {
    if n == 1 { "alert has".to_owned() } else { format!("{n} alerts have") }
}

fn tool(t: Tool) -> &'static str {
    match t {
        Tool::Netdata => "Netdata",
        Tool::Prometheus => "Prometheus",
        Tool::Loki => "Loki",
        Tool::Jenkins => "Jenkins",
    }
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
}
