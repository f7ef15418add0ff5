//! What was found, as sentences with marks of evidence. Every sentence is made of the numbers and names of its case.

pub(super) mod answers;
mod conclusion;

use std::time::Duration;

use super::{
    case::Case,
    facts::{Facts, Place},
    ledger::{Ledger, Ref, brackets},
    rank::{Ranking, change_name},
    words,
};
use crate::model::{IncidentStatus, ThoughtKind};

/// Places after the first that get a line of their own.
const PLACES: usize = 4;
/// Earlier incidents and changes that get a line of their own.
const LINES: usize = 4;
/// Causes that get a line of their own.
const CAUSES: usize = 3;
/// Runbooks that get a line of their own.
const RUNBOOKS: usize = 3;
/// From so many times on an alert is worth a line for its repeats.
const REPEATS: u64 = 5;

/// One thought before it is written.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// What kind.
    pub kind: ThoughtKind,
    /// The sentence.
    pub text: String,
    /// Ids of evidence.
    pub evidence: Vec<String>,
}

impl Line {
    /// As the store takes it.
    pub fn thought(self) -> crate::store::NewThought {
        crate::store::NewThought { kind: self.kind, text: self.text, evidence: self.evidence }
    }
}

/// Writes lines and gives facts their marks.
pub(super) struct Writer<'a> {
    pub(super) case: &'a Case,
    pub(super) facts: &'a Facts,
    pub(super) ledger: &'a mut Ledger,
    lines: Vec<Line>,
}

impl<'a> Writer<'a> {
    pub(super) fn new(case: &'a Case, facts: &'a Facts, ledger: &'a mut Ledger) -> Self {
        Self { case, facts, ledger, lines: Vec::new() }
    }

    fn say(&mut self, kind: ThoughtKind, text: &str, refs: &[Ref]) {
        let evidence = self.ledger.marks(self.case, self.facts, refs);
        let text = words::sentence(&format!("{}{}", text.trim_end_matches('.'), brackets(&evidence)));
        self.lines.push(Line { kind, text, evidence });
    }

    fn marked(&mut self, text: &str, refs: &[Ref]) -> String {
        let ids = self.ledger.marks(self.case, self.facts, refs);
        format!("{text}{}", brackets(&ids))
    }

    fn title(&self, alert: usize) -> String {
        words::quote(self.case.alerts.get(alert).map_or(&self.case.incident.title, |a| &a.title))
    }

    /// What the alerts say.
    pub(super) fn alerts(mut self) -> Vec<Line> {
        let case = self.case;
        if case.alerts.is_empty() {
            let text = format!(
                "No alert belongs to {}; it was opened by {}",
                case.incident.id,
                words::platform(&case.incident.source)
            );
            self.say(ThoughtKind::Observation, &text, &[]);
            return self.lines;
        }
        let text = self.extent();
        self.say(ThoughtKind::Observation, &text, &[Ref::Onset]);
        self.beginning();
        for place in self.facts.places.iter().skip(1).take(PLACES) {
            let text = self.later(place);
            let refs: Vec<Ref> = place.alerts.first().map(|i| Ref::Alert(*i)).into_iter().collect();
            self.say(ThoughtKind::Observation, &text, &refs);
        }
        for (i, host) in self.facts.hosts.iter().enumerate().take(LINES) {
            let name = words::plain(host.host.as_deref().unwrap_or_default());
            let what = host
                .symptom
                .and_then(|(s, _)| words::symptom(s))
                .map(|s| format!(", among them {s}"))
                .unwrap_or_default();
            let text = format!(
                "{} of {} are on one machine, {name}{what}",
                words::count(host.alerts.len(), "alert"),
                host.sharers()
            );
            let refs: Vec<Ref> = [Ref::Host(i)].into_iter().chain(host.symptom.map(|(_, a)| Ref::Alert(a))).collect();
            self.say(ThoughtKind::Analysis, &text, &refs);
        }
        self.repeats();
        self.endings();
        self.lines
    }

    /// Which runbooks fit, and why.
    pub(super) fn runbooks(mut self) -> Vec<Line> {
        for (i, found) in self.case.runbooks.iter().enumerate().take(RUNBOOKS) {
            let text = format!("{} fits: {}", found.name(), found.why());
            self.say(ThoughtKind::Observation, &text, &[Ref::Runbook(i)]);
        }
        self.lines
    }

    /// How many, on how many places, from when to when.
    fn extent(&self) -> String {
        let case = self.case;
        let mut senders: Vec<String> = Vec::new();
        for alert in &case.alerts {
            let name = words::platform(&alert.platform);
            if !senders.contains(&name) {
                senders.push(name);
            }
        }
        let places = self.facts.places.len();
        let n = case.alerts.len();
        let total = usize::try_from(case.incident.alert_count).unwrap_or(n).max(n);
        let read = if total > n { format!(" (the strongest {n} of {total})") } else { String::new() };
        let spread = if places > 1 { format!(" on {}", words::count(places, "place")) } else { String::new() };
        let last = case.alerts.last().map_or(case.onset(), |a| a.onset_at);
        let span = match last.since(case.onset()) {
            Duration::ZERO => format!("at {}", words::clock(case.onset())),
            d => format!("the first at {}, the last {} later", words::clock(case.onset()), words::duration(d)),
        };
        format!("{}{read} from {}{spread}, {span}", words::count(n, "alert"), words::list(&senders, 4))
    }

    fn beginning(&mut self) {
        let Some(first) = self
            .facts
            .places
            .iter()
            .chain(&self.facts.hosts)
            .filter(|p| !p.alerts.is_empty())
            .min_by_key(|p| (p.first, p.services))
        else {
            return;
        };
        let Some(&alert) = first.alerts.first() else { return };
        let severity = self.case.alerts.get(alert).map_or(first.worst, |a| a.severity);
        let on = first.name().map(|n| format!(" on {}", words::plain(n))).unwrap_or_default();
        let what = words::symptom(self.facts.symptom(alert)).map(|s| format!(": {s}")).unwrap_or_default();
        let kinds = if self.facts.blind(alert) { ": the sender gets no data".to_owned() } else { what };
        let text = format!("It began with {}{on}, {}{kinds}", self.title(alert), words::severity(severity));
        self.say(ThoughtKind::Observation, &text, &[Ref::Alert(alert)]);
    }

    fn later(&self, place: &Place) -> String {
        let name = words::plain(place.name().unwrap_or("alerts without service or machine"));
        let what =
            place.symptom.and_then(|(s, _)| words::symptom(s)).map(|s| format!(", mainly {s}")).unwrap_or_default();
        let when = match place.first.since(self.case.onset()) {
            Duration::ZERO => "at the same time".to_owned(),
            d => format!("{} after the first", words::duration(d)),
        };
        format!("Then {name}: {}{what}, {when}", words::count(place.alerts.len(), "alert"))
    }

    fn repeats(&mut self) {
        let Some((i, alert)) =
            self.case.alerts.iter().enumerate().max_by(|(i, a), (j, b)| (a.count, j).cmp(&(b.count, i)))
        else {
            return;
        };
        if alert.count >= REPEATS {
            let over = words::duration(alert.last_seen.since(alert.first_seen));
            let text = format!("{} was received {} times within {over}", self.title(i), alert.count);
            self.say(ThoughtKind::Observation, &text, &[Ref::Alert(i)]);
        }
    }

    fn endings(&mut self) {
        let n = self.case.alerts.len();
        let ended: Vec<usize> = (0..n).filter(|i| self.case.alerts.get(*i).is_some_and(|a| !a.is_open())).collect();
        if !ended.is_empty() {
            let refs: Vec<Ref> = ended.iter().take(2).map(|i| Ref::Alert(*i)).collect();
            let rest = n - ended.len();
            let text = if rest == 0 {
                format!(
                    "{} {} resolved",
                    if n == 1 { "the only alert".to_owned() } else { format!("all {n} alerts") },
                    if n == 1 { "has" } else { "have" }
                )
            } else {
                format!("{} of {n} alerts resolved, {rest} still open", ended.len())
            };
            self.say(ThoughtKind::Observation, &text, &refs);
        }
    }

    /// What happened before.
    pub(super) fn earlier(mut self) -> Vec<Line> {
        let services: Vec<String> = self.case.services().iter().map(|s| words::plain(s)).collect();
        if services.is_empty() {
            let text = format!("{} names no service, so earlier incidents cannot be compared", self.case.incident.id);
            self.say(ThoughtKind::Action, &text, &[]);
            return self.lines;
        }
        let whose = words::list(&services, 3);
        let earlier = &self.case.earlier;
        if earlier.is_empty() {
            self.say(ThoughtKind::Action, &format!("Looked for earlier incidents of {whose}: none is stored"), &[]);
            return self.lines;
        }
        let mut took: Vec<Duration> = earlier
            .iter()
            .filter(|e| e.incident.status == IncidentStatus::Resolved)
            .filter_map(|e| Some(e.incident.resolved_at?.since(e.incident.detected_at)))
            .collect();
        took.sort();
        let ended = match took.get(took.len() / 2) {
            Some(median) => format!("{} resolved, the median after {}", took.len(), words::duration(*median)),
            None => "none resolved".to_owned(),
        };
        let text = format!("Looked for earlier incidents of {whose}: {} found, {ended}", earlier.len());
        self.say(ThoughtKind::Action, &text, &[Ref::History]);
        for (i, e) in earlier.iter().enumerate().filter(|(_, e)| e.incident.resolution.is_some()).take(LINES) {
            let ago = words::duration(self.case.onset().since(e.incident.detected_at));
            let how = words::quote(e.incident.resolution.as_deref().unwrap_or_default());
            let text =
                format!("{}, {ago} earlier, {}, ended with {how}", e.incident.id, words::quote(&e.incident.title));
            self.say(ThoughtKind::Observation, &text, &[Ref::Earlier(i)]);
        }
        self.lines
    }

    /// What was changed.
    pub(super) fn changes(mut self) -> Vec<Line> {
        let onset = self.case.onset();
        let from = words::clock(onset.minus(super::rank::BEFORE));
        let to = words::clock(self.case.now);
        let changes = &self.case.changes;
        if changes.is_empty() {
            let whose = words::list(&self.case.services().iter().map(|s| words::plain(s)).collect::<Vec<_>>(), 3);
            let whose = if whose.is_empty() { String::new() } else { format!(" of {whose}") };
            self.say(
                ThoughtKind::Action,
                &format!("Looked for changes{whose} from {from} to {to}: none is stored"),
                &[],
            );
            return self.lines;
        }
        self.say(ThoughtKind::Action, &format!("Looked for changes from {from} to {to}: {} found", changes.len()), &[]);
        let mut nearest: Vec<usize> = (0..changes.len()).collect();
        nearest.sort_by_key(|i| (changes.get(*i).and_then(|c| c.at).map(|at| at.distance(onset)), *i));
        nearest.truncate(LINES);
        nearest.sort_unstable();
        for i in nearest {
            let Some((c, at)) = changes.get(i).and_then(|c| Some((c, c.at?))) else { continue };
            let whose = c.service.as_deref().map(|s| format!(" of {}", words::plain(s))).unwrap_or_default();
            let lag = words::duration(at.distance(onset));
            let side = if at > onset { "after" } else { "before" };
            let how = c.outcome.as_deref().map(|o| format!(" ({})", words::plain(o))).unwrap_or_default();
            let from = self.case.beginning();
            let text = format!("{}{whose}{how} at {}, {lag} {side} {from}", change_name(c), words::clock(at));
            self.say(ThoughtKind::Observation, &text, &[Ref::Change(i)]);
        }
        self.lines
    }

    /// What it may come from, and what it does not come from.
    pub(super) fn hypotheses(mut self, ranking: &Ranking) -> Vec<Line> {
        for (n, c) in ranking.candidates.iter().filter(|c| !c.ruled_out).take(CAUSES).enumerate() {
            let join =
                |points: Vec<&super::rank::Point>| points.iter().map(|p| p.text.clone()).collect::<Vec<_>>().join("; ");
            let pro: Vec<_> = c.for_it().take(3).collect();
            let contra: Vec<_> = c.against().take(2).collect();
            let refs: Vec<Ref> = pro.iter().chain(&contra).flat_map(|p| p.refs.iter().copied()).collect();
            let against = if contra.is_empty() { String::new() } else { format!(". Against: {}", join(contra)) };
            let text = format!(
                "{}. {}, {}. For: {}{against}",
                n + 1,
                words::sentence(&c.title).trim_end_matches('.'),
                words::percent(c.confidence),
                join(pro)
            );
            self.say(ThoughtKind::Hypothesis, &text, &refs);
        }
        for c in ranking.candidates.iter().filter(|c| c.ruled_out) {
            for p in &c.points {
                self.say(ThoughtKind::Hypothesis, &format!("Ruled out: {}", p.text), &p.refs);
            }
        }
        self.lines
    }
}
