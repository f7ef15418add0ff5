//! Investigations: reads what the store knows about an incident, ranks what it may come from, says why, and suggests
//! what to do. The built-in one needs nothing but the store; where tools are configured, `probes` asks them.
//!
//! `gather` reads, `symptoms`, `facts`, `rank`, `suggest` and `narrate` are pure, and `runner` leads jobs from the queue
//! through all of them.

mod case;
mod facts;
mod finding;
mod folder;
mod gather;
mod ledger;
mod library;
mod model_client;
mod narrate;
pub mod probes;
mod rank;
pub mod runbooks;
mod runner;
mod suggest;
mod symptoms;
mod words;

pub use case::{Case, Earlier};
pub use finding::{Finding, Found};
pub use folder::File;
pub use library::{Library, Shelf};
#[cfg(any(test, fuzzing))]
pub use model_client::fuzzing;
pub use model_client::{Model, ModelError, Replayed};
pub use narrate::Line;
pub use probes::Probes;
pub use runner::Runner;
pub use suggest::{Catalogue, Fault};
pub use symptoms::Symptoms;

use crate::{
    model::*,
    store::{NewThought, StoreError, View, commands::Finish},
};
use facts::Facts;
use ledger::Ledger;
use narrate::Writer;
use probes::Question;
use rank::{Candidate, Ranking};

/// Incidents of the same time whose answers are made again after this one's.
const NEIGHBOURS: usize = 4;
/// The name of the built-in engine.
pub const ENGINE: &str = "built-in";

/// An investigation in steps: each step says what it found from what the case holds by then.
#[derive(Debug, Default)]
pub struct Inquiry {
    ledger: Ledger,
}

impl Inquiry {
    /// What the alerts say.
    pub fn alerts(&mut self, case: &Case) -> Vec<Line> {
        Writer::new(case, &Facts::of(case), &mut self.ledger).alerts()
    }

    /// What happened to its services before.
    pub fn earlier(&mut self, case: &Case) -> Vec<Line> {
        Writer::new(case, &Facts::of(case), &mut self.ledger).earlier()
    }

    /// What was changed around the onset.
    pub fn changes(&mut self, case: &Case) -> Vec<Line> {
        Writer::new(case, &Facts::of(case), &mut self.ledger).changes()
    }

    /// What tools are asked.
    pub fn asked(&mut self, case: &Case, questions: &[Question]) -> Vec<Line> {
        Writer::new(case, &Facts::of(case), &mut self.ledger).asked(questions)
    }

    /// What they answered: the findings of the case from this one on, and what is to be said besides.
    pub fn answered(&mut self, case: &Case, from: usize, notes: &[String]) -> Vec<Line> {
        Writer::new(case, &Facts::of(case), &mut self.ledger).answered(from, notes)
    }

    /// Which runbooks fit.
    pub fn runbooks(&mut self, case: &Case) -> Vec<Line> {
        Writer::new(case, &Facts::of(case), &mut self.ledger).runbooks()
    }

    /// What it comes from, and the answer.
    pub fn conclude(&mut self, case: &Case) -> (Vec<Line>, Finish) {
        let facts = Facts::of(case);
        if case.incident.test {
            let (summary, lines) = Writer::new(case, &facts, &mut self.ledger).test();
            return (lines, self.finish(case, summary, Conclusion::Inconclusive, Vec::new(), Vec::new()));
        }
        let ranking = rank::rank(case, &facts);
        let mut lines = Writer::new(case, &facts, &mut self.ledger).hypotheses(&ranking);
        let causes = causes(case, &facts, &ranking, &mut self.ledger);
        let suggestions = suggest::suggest(case, &facts, &ranking, &mut self.ledger);
        let next: Vec<&Suggestion> = suggestions.iter().filter(|s| s.kind == SuggestionKind::Diagnostic).collect();
        let (summary, last) = Writer::new(case, &facts, &mut self.ledger).conclusion(&ranking, &next);
        lines.extend(last);
        (lines, self.finish(case, summary, ranking.conclusion, causes, suggestions))
    }

    /// The evidence with its marks, for what goes on citing after the end.
    fn into_ledger(self) -> Ledger {
        self.ledger
    }

    fn finish(
        &self,
        case: &Case,
        summary: String,
        conclusion: Conclusion,
        causes: Vec<Cause>,
        suggestions: Vec<Suggestion>,
    ) -> Finish {
        let evidence = self.ledger.evidence().to_vec();
        Finish {
            state: InvestigationState::Complete,
            conclusion: Some(conclusion),
            summary: Some(summary),
            error: None,
            around: case.neighbours(NEIGHBOURS),
            answer: Investigation { causes, evidence, suggestions, ..Investigation::default() },
        }
    }
}

/// The whole investigation of an incident of the store, as `Runner` makes it, in one go: what it would write. None when
/// there is no such incident. `shelf` is what people have written for it.
pub fn of_stored(
    view: &View,
    id: IncidentId,
    now: Time,
    shelf: &Shelf,
) -> Result<Option<(Vec<NewThought>, Finish)>, StoreError> {
    let mut inquiry = Inquiry::default();
    let Some(mut case) = gather::alerts(view, id, now)? else { return Ok(None) };
    case.symptoms = shelf.symptoms.clone();
    let mut lines = Vec::new();
    if !case.incident.test {
        lines.extend(inquiry.alerts(&case));
        case = gather::earlier(view, case)?;
        lines.extend(inquiry.earlier(&case));
        case = gather::changes(view, case)?;
        lines.extend(inquiry.changes(&case));
        case = gather::runbooks(view, case, &Library::default(), shelf.clone())?;
        lines.extend(inquiry.runbooks(&case));
    }
    let (last, finish) = inquiry.conclude(&case);
    lines.extend(last);
    Ok(Some((lines.into_iter().map(Line::thought).collect(), finish)))
}

/// A conversation with a language model once more, from its transcript: of this run, or of the newest. The case is read as
/// it stands now, so that what was changed since shows as a difference. None when there is no such transcript.
pub fn replay_stored(
    view: &View,
    id: IncidentId,
    run: Option<u64>,
    shelf: &Shelf,
) -> Result<Option<(Transcript, Replayed)>, StoreError> {
    let transcripts = view.transcripts(id)?;
    let wanted = transcripts.into_iter().rev().find(|t| run.is_none_or(|run| t.run == run));
    let Some(transcript) = wanted else { return Ok(None) };
    let Some(case) = gather::alerts(view, id, transcript.at)? else { return Ok(None) };
    let case = gather::changes(view, gather::earlier(view, case)?)?;
    let mut case = gather::runbooks(view, case, &Library::default(), shelf.clone())?;
    case.findings = serde_json::from_value(transcript.findings.clone()).unwrap_or_default();
    let around = model_client::Surroundings::read(view, &case)?;
    let replayed = model_client::replay(&transcript, &case, &around);
    Ok(Some((transcript, replayed)))
}

/// The whole investigation of a case of which everything is known: all its lines and its answer. Pure.
pub fn examine(case: &Case) -> (Vec<Line>, Finish) {
    let (lines, finish, _) = examined(case);
    (lines, finish)
}

/// The same, with the evidence to go on citing.
fn examined(case: &Case) -> (Vec<Line>, Finish, Ledger) {
    let mut inquiry = Inquiry::default();
    let mut lines = Vec::new();
    if !case.incident.test {
        lines.extend(inquiry.alerts(case));
        lines.extend(inquiry.earlier(case));
        lines.extend(inquiry.changes(case));
        lines.extend(inquiry.runbooks(case));
        // In the runner's order, so that evidence has the same marks.
        lines.extend(inquiry.answered(case, 0, &[]));
    }
    let (last, finish) = inquiry.conclude(case);
    lines.extend(last);
    (lines, finish, inquiry.ledger)
}

fn causes(case: &Case, facts: &Facts, ranking: &Ranking, ledger: &mut Ledger) -> Vec<Cause> {
    let ranked = ranking.candidates.iter().zip(1..);
    ranked.map(|(c, rank)| cause(rank, c, &mut |refs| ledger.marks(case, facts, refs))).collect()
}

fn cause(rank: u32, c: &Candidate, marks: &mut impl FnMut(&[ledger::Ref]) -> Vec<String>) -> Cause {
    let mut side = |against: bool| {
        let points = c.points.iter().filter(|p| (p.weight < 0.0) == against);
        let refs: Vec<_> = points.flat_map(|p| p.refs.iter().copied()).collect();
        marks(&refs)
    };
    let (evidence, against) = (side(false), side(true));
    let points = c.points.iter().map(|p| CausePoint {
        feature: p.feature.to_owned(),
        weight: p.weight,
        text: p.text.clone(),
        evidence: marks(&p.refs),
    });
    Cause {
        rank,
        service: c.service.clone(),
        host: c.host.clone(),
        symptom: c.symptom,
        title: words::sentence(&c.title).trim_end_matches('.').to_owned(),
        confidence: c.confidence,
        evidence,
        against,
        ruled_out: c.ruled_out,
        score: c.score,
        points: points.collect(),
        verdict: None,
    }
}

#[cfg(test)]
mod tests;
