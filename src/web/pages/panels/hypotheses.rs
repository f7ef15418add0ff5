//! Possible causes, ranked, with the evidence for and against.

use askama::Template;
use askama::filters::HtmlSafe;

use crate::{
    model::*,
    web::pages::{
        text,
        ui::{self, Markup},
    },
};

/// One possible cause.
#[derive(Debug)]
pub struct Hypothesis {
    rank: u32,
    title: Markup,
    place: Option<Markup>,
    out: bool,
    evidence: Markup,
    against: Markup,
    has_for: bool,
    has_against: bool,
    percent: String,
    bar: Markup,
}

/// All possible causes.
#[derive(Debug, Template)]
#[template(path = "fragments/hypotheses.html")]
pub struct Hypotheses {
    sub: String,
    none: &'static str,
    rows: Vec<Hypothesis>,
}
impl HtmlSafe for Hypotheses {}

impl Hypotheses {
    /// In order of rank; those ruled out stay.
    pub fn new(i: &Incident, answer: &Investigation) -> Self {
        let mut causes: Vec<&Cause> = answer.causes.iter().collect();
        causes.sort_by_key(|c| (c.ruled_out, c.rank));
        let out = causes.iter().filter(|c| c.ruled_out).count();
        let first = causes.first().map(|c| c.rank);
        let rows = causes
            .iter()
            .map(|c| {
                let class = if !c.ruled_out && Some(c.rank) == first { "ember" } else { "weak" };
                let place = match (&c.service, &c.host) {
                    (Some(s), Some(h)) if s != h => Some(format!("{s} on {h}")),
                    (Some(s), _) => Some(s.clone()),
                    (None, h) => h.clone(),
                };
                Hypothesis {
                    rank: c.rank,
                    title: ui::with_marks(&c.title, &answer.evidence),
                    place: place.map(|p| ui::foreign(&text::shorten(&p, 120))),
                    out: c.ruled_out,
                    evidence: ui::evidence(&c.evidence, &answer.evidence),
                    against: ui::evidence(&c.against, &answer.evidence),
                    has_for: !c.evidence.is_empty(),
                    has_against: !c.against.is_empty(),
                    percent: ui::percent(c.confidence),
                    bar: ui::bar(c.confidence, class),
                }
            })
            .collect();
        let busy = matches!(i.investigation.state, InvestigationState::Queued | InvestigationState::Running);
        Self {
            sub: match (causes.len() - out, out) {
                (0, 0) => String::new(),
                (n, 0) => format!("{n} open"),
                (n, out) => format!("{n} open, {out} ruled out"),
            },
            none: if busy { "None yet." } else { "None was found." },
            rows,
        }
    }
}
