//! What we think happened, in two or three sentences.

use askama::Template;
use askama::filters::HtmlSafe;

use crate::{
    model::*,
    web::pages::{
        row::LEADS_FROM,
        ui::{self, Markup},
    },
};

/// How sure the leading cause is.
#[derive(Debug)]
pub struct Confidence {
    bar: Markup,
    percent: String,
    counts: String,
}

/// What we think happened.
#[derive(Debug, Template)]
#[template(path = "fragments/answer.html")]
pub struct Answer {
    progress: Option<String>,
    failed: Option<Markup>,
    summary: Option<Markup>,
    instead: &'static str,
    confidence: Option<Confidence>,
    doubt: Option<String>,
    fixes: bool,
    made: Option<String>,
}
impl HtmlSafe for Answer {}

impl Answer {
    /// From the head of the investigation and what it found.
    pub fn new(i: &Incident, answer: &Investigation) -> Self {
        let head = &i.investigation;
        let lead = answer.causes.iter().filter(|c| !c.ruled_out && c.confidence >= LEADS_FROM).min_by_key(|c| c.rank);
        let out = answer.causes.iter().filter(|c| c.ruled_out).count();
        let summary = head.summary.clone().or_else(|| lead.map(|c| c.title.clone()));
        let marked = summary.as_deref().is_some_and(|s| s.contains("[E"));
        let summary = summary.map(|s| match lead {
            // A summary without marks of its own is linked to what its cause rests on.
            Some(c) if !marked => ui::with_marks(&format!("{s} [{}]", c.evidence.join(", ")), &answer.evidence),
            _ => ui::with_marks(&s, &answer.evidence),
        });
        let instead = match head.state {
            InvestigationState::Idle => "Nobody has asked for an analysis of this incident.",
            InvestigationState::Queued => "The analysis starts in a moment, when the rest of the burst has arrived.",
            InvestigationState::Running => {
                "The analysis is looking for the cause. What it finds appears below as it goes."
            }
            InvestigationState::Complete => "We do not know yet. Nothing that was looked at explains these alerts.",
            InvestigationState::Error => "There is no answer, because the analysis did not finish.",
            InvestigationState::Cancelled => "The analysis was stopped before it had an answer.",
        };
        let unsure = head.state == InvestigationState::Complete
            && (head.conclusion == Some(Conclusion::Inconclusive) || lead.is_none());
        let doubt = unsure.then(|| {
            let what =
                if lead.is_some() { "Inconclusive: the best guess is weak" } else { "Inconclusive: nothing leads" };
            let out = if out > 0 { format!(", {out} ruled out") } else { String::new() };
            let next = if answer.suggestions.is_empty() { "" } else { " What to check next is under Suggestions." };
            format!("{what}{out}.{next}")
        });
        Self {
            progress: match head.state {
                InvestigationState::Queued => Some("waits for its turn".to_owned()),
                InvestigationState::Running => Some(format!("{} so far", ui::plural(head.steps, "step"))),
                _ => None,
            },
            failed: (head.state == InvestigationState::Error)
                .then(|| ui::foreign(head.error.as_deref().unwrap_or("No reason was recorded."))),
            summary,
            instead,
            confidence: lead.map(|c| Confidence {
                bar: ui::bar(c.confidence, "ember"),
                percent: ui::percent(c.confidence),
                counts: format!("{} for, {} against", c.evidence.len(), c.against.len()),
            }),
            doubt,
            fixes: answer.suggestions.iter().any(|s| s.state == SuggestionState::Open),
            made: head.engine.as_deref().map(|e| match e {
                "built-in" => "Made by the built-in rules; evidence marks lead to what it rests on.".to_owned(),
                model => format!(
                    "Made by the built-in rules and {}; evidence marks lead to what it rests on.",
                    ui::plain(model)
                ),
            }),
        }
    }
}
