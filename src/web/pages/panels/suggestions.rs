//! What can be done about it: text to copy.

use askama::Template;
use askama::filters::HtmlSafe;

use crate::{
    model::*,
    web::pages::{
        text,
        ui::{self, Markup},
        words,
    },
};

/// One thing to do.
#[derive(Debug)]
pub struct Row {
    id: String,
    anchor: String,
    icon: Markup,
    title: Markup,
    risk: &'static str,
    risk_class: &'static str,
    risk_icon: Markup,
    kind: &'static str,
    evidence: Markup,
    rationale: Markup,
    command: Option<String>,
    undo: Option<Markup>,
    runbook: Option<String>,
    state: Option<&'static str>,
    done: bool,
    dismissed: bool,
}

/// What can be done about it.
#[derive(Debug, Template)]
#[template(path = "fragments/suggestions.html")]
pub struct Suggestions {
    base: String,
    may_act: bool,
    none: &'static str,
    rows: Vec<Row>,
}
impl HtmlSafe for Suggestions {}

impl Suggestions {
    /// As stored: diagnostics before fixes.
    pub fn new(i: &Incident, answer: &Investigation, may_act: bool) -> Self {
        let rows = answer
            .suggestions
            .iter()
            .map(|s| {
                let (risk_class, risk_icon, risk) = words::risk(s.risk);
                let (kind, icon) = words::suggestion(s.kind);
                Row {
                    id: form_urlencoded::byte_serialize(s.id.as_bytes()).collect(),
                    anchor: s.id.chars().filter(char::is_ascii_alphanumeric).collect(),
                    icon: ui::icon(icon),
                    title: ui::foreign(&s.title),
                    risk,
                    risk_class,
                    risk_icon: ui::icon(risk_icon),
                    kind,
                    evidence: ui::evidence(&s.evidence, &answer.evidence),
                    rationale: ui::with_marks(&s.rationale, &answer.evidence),
                    command: s.command.as_deref().map(ui::plain),
                    undo: s.undo.as_deref().map(ui::foreign),
                    runbook: text::url(&s.runbook_url).map(str::to_owned),
                    state: match s.state {
                        SuggestionState::Open => None,
                        SuggestionState::Done => Some("was run"),
                        SuggestionState::Dismissed => Some("dismissed"),
                    },
                    done: s.state == SuggestionState::Done,
                    dismissed: s.state == SuggestionState::Dismissed,
                }
            })
            .collect();
        let busy = matches!(i.investigation.state, InvestigationState::Queued | InvestigationState::Running);
        let none = if busy { "None yet." } else { "Nothing to suggest." };
        Self {
            base: format!("/incidents/{}", i.id),
            may_act: may_act && i.status != IncidentStatus::Merged,
            none,
            rows,
        }
    }
}
