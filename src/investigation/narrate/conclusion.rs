//! The last sentences of an investigation: what it comes from, how far it reaches, and what to look at next.

use super::{Line, Writer};
use crate::{
    investigation::{
        ledger::Ref,
        rank::{
            Candidate, Origin, Point, Ranking,
            calibration::{self, Calibration},
        },
        words,
    },
    model::{Conclusion, ENOUGH, Severity, Suggestion, ThoughtKind},
};

/// Things to inspect that are named where nothing leads.
const LOOK: usize = 3;

impl Writer<'_> {
    /// The end, and the summary: the same sentences.
    pub(in crate::investigation) fn conclusion(
        mut self,
        ranking: &Ranking,
        next: &[&Suggestion],
    ) -> (String, Vec<Line>) {
        let mut sentences = match ranking.leading() {
            Some(first) if ranking.conclusion == Conclusion::Likely => {
                vec![self.belief(first), self.sureness(first, ranking), self.reach(first)]
            }
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
        if ranking.conclusion != Conclusion::Likely {
            let look = self.look_next(ranking, next);
            if !look.is_empty() {
                sentences.push(format!("Look next: {}", words::list(&look, LOOK)));
            }
        }
        let summary =
            sentences.iter().filter(|s| !s.is_empty()).map(|s| words::sentence(s)).collect::<Vec<_>>().join(" ");
        let refs: Vec<Ref> =
            ranking.leading().map(|c| c.best(2).into_iter().flat_map(|p| p.refs.clone()).collect()).unwrap_or_default();
        let evidence = self.ledger.marks(self.case, self.facts, &refs);
        self.lines.push(Line { kind: ThoughtKind::Conclusion, text: summary.clone(), evidence });
        (summary, self.lines)
    }

    fn reasons(&mut self, points: Vec<&Point>) -> String {
        let texts: Vec<String> = points.iter().map(|p| self.marked(&p.text, &p.refs)).collect();
        words::list(&texts, texts.len())
    }

    fn belief(&mut self, first: &Candidate) -> String {
        format!("We think it comes from {}: {}", first.title, self.reasons(first.best(2)))
    }

    /// How sure, in a word, and what that word rests on.
    fn sureness(&self, first: &Candidate, ranking: &Ranking) -> String {
        let known = calibration::judged(&self.case.outcomes);
        let (word, percent) = (words::confidence(first.confidence), words::percent(first.confidence));
        match ranking.calibration {
            Calibration::Fresh => format!(
                "Confidence is {word} ({percent}); it stays at or below {} until {ENOUGH} causes are recorded, {known} are",
                words::percent(calibration::CAP)
            ),
            Calibration::Fitted { .. } => {
                format!("Confidence is {word} ({percent}), going by {known} answers and what people recorded")
            }
        }
    }

    /// What to inspect while nothing leads: what tells more about the first, then the next ones.
    fn look_next(&self, ranking: &Ranking, next: &[&Suggestion]) -> Vec<String> {
        let mut look: Vec<String> = next.iter().take(LOOK).map(|s| lower_first(&s.title)).collect();
        let others = ranking.candidates.iter().filter(|c| !c.ruled_out).skip(usize::from(!look.is_empty()));
        for name in others.filter_map(|c| c.place()).map(words::plain) {
            let text = format!("what changed on {name}");
            if look.len() < LOOK && !look.contains(&text) {
                look.push(text);
            }
        }
        look
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
    pub(in crate::investigation) fn test(mut self) -> (String, Vec<Line>) {
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
