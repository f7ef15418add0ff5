//! What was found, as sentences with marks of evidence. Every sentence is made of the numbers and names of its case.

use std::time::Duration;

use super::{
    case::Case,
    facts::{Facts, Place},
    ledger::{Ledger, Ref, brackets},
    rank::{Candidate, Origin, Ranking, change_name},
    words,
};
use crate::model::{Conclusion, IncidentStatus, Severity, Suggestion, ThoughtKind};

/// Places after the first that get a line of their own.
const PLACES: usize = 4;
/// Earlier incidents and changes that get a line of their own.
const LINES: usize = 4;
/// Causes that get a line of their own.
const CAUSES: usize = 3;
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

    /// The end, and the summary: the same sentences.
    pub(super) fn conclusion(mut self, ranking: &Ranking, next: Option<&Suggestion>) -> (String, Vec<Line>) {
        let mut sentences = match ranking.leading() {
            Some(first) if ranking.conclusion == Conclusion::Likely => vec![self.belief(first), self.reach(first)],
            Some(first) => vec![self.doubt(first, ranking), self.against(first, ranking)],
            None => {
                let text = match self.case.alerts.len() {
                    0 => format!("We do not know yet: {} has no alert and no change to go by", self.case.incident.id),
                    1 => format!(
                        "We do not know yet: the only alert, {}, names neither service nor machine",
                        self.title(0)
                    ),
                    n => format!("We do not know yet: none of the {n} alerts names a service or a machine"),
                };
                vec![self.marked(&text, &[Ref::Alert(0)])]
            }
        };
        if let Some(next) = next.filter(|_| ranking.conclusion != Conclusion::Likely) {
            sentences.push(format!("Look next: {}", lower_first(&next.title)));
        }
        let summary =
            sentences.iter().filter(|s| !s.is_empty()).map(|s| words::sentence(s)).collect::<Vec<_>>().join(" ");
        let refs: Vec<Ref> =
            ranking.leading().map(|c| c.best(2).into_iter().flat_map(|p| p.refs.clone()).collect()).unwrap_or_default();
        let evidence = self.ledger.marks(self.case, self.facts, &refs);
        self.lines.push(Line { kind: ThoughtKind::Conclusion, text: summary.clone(), evidence });
        (summary, self.lines)
    }

    fn reasons(&mut self, points: Vec<&super::rank::Point>) -> String {
        let texts: Vec<String> = points.iter().map(|p| self.marked(&p.text, &p.refs)).collect();
        words::list(&texts, texts.len())
    }

    fn belief(&mut self, first: &Candidate) -> String {
        format!("We think it comes from {}: {}", first.title, self.reasons(first.best(2)))
    }

    fn reach(&mut self, first: &Candidate) -> String {
        let others: Vec<String> = self
            .facts
            .places
            .iter()
            .filter(|p| p.name().is_some_and(|n| Some(n) != first.place()))
            .filter_map(|p| p.name().map(words::plain))
            .collect();
        let worst = self.case.alerts.iter().map(|a| a.severity).min().unwrap_or(Severity::Info);
        let alerts = words::count(self.case.alerts.len(), "alert");
        let text = if first.origin == Origin::Blind {
            let seen: Vec<String> = self.facts.places.iter().filter_map(|p| p.name().map(words::plain)).collect();
            format!(
                "Whether {} work{} is not known from {alerts}",
                words::list(&seen, 3),
                if seen.len() == 1 { "s" } else { "" }
            )
        } else if others.is_empty() {
            format!(
                "{alerts} since {}, {} at worst, and nothing else is affected",
                words::clock(self.case.onset()),
                words::severity(worst)
            )
        } else {
            format!(
                "Affected too: {}; {alerts} in all since {}",
                words::list(&others, 3),
                words::clock(self.case.onset())
            )
        };
        self.marked(&text, &[Ref::Onset])
    }

    fn doubt(&mut self, first: &Candidate, ranking: &Ranking) -> String {
        let why = self.reasons(first.best(1));
        let why = if why.is_empty() { String::new() } else { format!(": {why}") };
        let second = ranking.candidates.get(1).filter(|c| !c.ruled_out && first.confidence - c.confidence < 0.15);
        match second {
            Some(second) => format!(
                "Nothing leads yet: {} ({}) and {} ({}) are about as likely{}",
                first.title,
                words::percent(first.confidence),
                second.title,
                words::percent(second.confidence),
                why.replacen(": ", "; for the first, ", 1)
            ),
            None => format!(
                "We are not sure: {} is the best guess at {}{why}",
                first.title,
                words::percent(first.confidence)
            ),
        }
    }

    fn against(&mut self, first: &Candidate, ranking: &Ranking) -> String {
        let ruled_out: Vec<_> =
            ranking.candidates.iter().filter(|c| c.ruled_out).flat_map(|c| c.points.iter()).take(1).collect();
        if !ruled_out.is_empty() {
            return format!("Ruled out: {}", self.reasons(ruled_out));
        }
        let contra: Vec<_> = first.against().take(1).collect();
        if !contra.is_empty() {
            return format!("Against it: {}", self.reasons(contra));
        }
        if self.case.changes.is_empty() {
            let place = first.service.as_deref().map(|p| format!(" of {}", words::plain(p))).unwrap_or_default();
            return format!("No change{place} is stored for the 2 h before {}", words::clock(self.case.onset()));
        }
        String::new()
    }

    /// A test notification: it arrived, and that is all there is to find.
    pub(super) fn test(mut self) -> (String, Vec<Line>) {
        let case = self.case;
        let first = case.alerts.first();
        let sender = words::platform(first.map_or(&case.incident.source, |a| &a.platform));
        let at = words::clock(first.map_or(case.incident.detected_at, |a| a.first_seen));
        let refs: Vec<Ref> = first.map(|_| Ref::Alert(0)).into_iter().collect();
        let text =
            self.marked(&format!("{sender} sent its test notification {}", words::quote(&case.incident.title)), &refs);
        let summary = format!(
            "{} It was received at {at} and read, so the way from {sender} to here works; there is no cause to look for.",
            words::sentence(&text)
        );
        self.say(
            ThoughtKind::Observation,
            &format!("{} is marked as a test by {sender}", words::quote(&case.incident.title)),
            &refs,
        );
        let evidence = self.ledger.marks(case, self.facts, &refs);
        self.lines.push(Line { kind: ThoughtKind::Conclusion, text: summary.clone(), evidence });
        (summary, self.lines)
    }
}

fn lower_first(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|c| c.to_lowercase().chain(chars).collect()).unwrap_or_default()
}
