//! What a language model thinks of it, beside the built-in answer and never in its place.

use askama::Template;
use askama::filters::HtmlSafe;

use crate::{
    model::*,
    web::pages::{
        text,
        ui::{self, Markup},
    },
};

/// Causes of its shown.
const CAUSES: usize = 3;

/// A second opinion.
#[derive(Debug, Template)]
#[template(path = "fragments/opinion.html")]
pub struct Second {
    model: Markup,
    agreement: String,
    summary: Option<Markup>,
    causes: Vec<Markup>,
    notes: Vec<Markup>,
    made: String,
}
impl HtmlSafe for Second {}

impl Second {
    /// With marks of the evidence that it cites.
    pub fn new(o: &Opinion, evidence: &[Evidence]) -> Self {
        let rank = o.causes.first().and_then(|c| c.rank);
        let mut notes = Vec::new();
        if o.unsupported > 0 {
            let what = ui::plural(o.unsupported, "statement");
            notes.push(ui::foreign(&format!("{what} left out, since no evidence of this investigation supports it.")));
        }
        notes.extend(o.partial.as_deref().map(ui::foreign));
        let form = match o.form {
            OpinionForm::Tools => format!("{}, {}", ui::plural(o.requests, "request"), ui::plural(o.calls, "question")),
            OpinionForm::SinglePrompt => "one prompt".to_owned(),
        };
        let cost = if o.cost > 0.0 { format!(", cost {:.4}", o.cost) } else { String::new() };
        Self {
            model: ui::foreign(&text::shorten(&o.model, 80)),
            agreement: match (o.agreement, rank) {
                (Agreement::Same, _) => "agrees with the first hypothesis".to_owned(),
                (Agreement::Listed, Some(rank)) => format!("puts hypothesis {rank} first"),
                (Agreement::Listed, None) => "puts another hypothesis first".to_owned(),
                (Agreement::Other, _) => "names a cause that is not among the hypotheses".to_owned(),
                (Agreement::None, _) => "names no cause that evidence supports".to_owned(),
            },
            summary: Some(o.summary.as_str()).filter(|s| !s.is_empty()).map(|s| ui::with_marks(s, evidence)),
            causes: o.causes.iter().take(CAUSES).map(|c| cause(c, evidence)).collect(),
            notes,
            made: format!(
                "{form}, {} tokens{cost}, {}. It changes neither ranks nor suggestions.",
                ui::count(o.tokens_in.saturating_add(o.tokens_out)),
                ui::duration(std::time::Duration::from_millis(o.took_ms))
            ),
        }
    }
}

fn cause(c: &OpinionCause, evidence: &[Evidence]) -> Markup {
    let place = c.service.as_deref().or(c.host.as_deref()).map(|p| format!("{}: ", text::shorten(p, 80)));
    let text = ui::with_marks(&format!("{}{}", place.unwrap_or_default(), c.text), evidence);
    let unsaid: Vec<String> = c.evidence.iter().filter(|id| !c.text.contains(&format!("[{id}"))).cloned().collect();
    Markup::joined(&[&text, &ui::evidence(&unsaid, evidence)])
}
