//! What the analysis says: its answer, the causes it weighed, and what to do.

use askama::Template;
use askama::filters::HtmlSafe;

use crate::{
    model::*,
    web::pages::{
        row::LEADS_FROM,
        text,
        ui::{self, Markup},
        words,
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
        let lead = answer.leading().filter(|c| c.is_right() || c.confidence >= LEADS_FROM);
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

/// One possible cause.
#[derive(Debug)]
pub struct Hypothesis {
    rank: u32,
    /// As stored: the form says which cause was read.
    read: String,
    title: Markup,
    place: Option<Markup>,
    out: bool,
    evidence: Markup,
    against: Markup,
    has_for: bool,
    has_against: bool,
    percent: String,
    bar: Markup,
    right: bool,
    wrong: bool,
}

/// All possible causes.
#[derive(Debug, Template)]
#[template(path = "fragments/hypotheses.html")]
pub struct Hypotheses {
    base: String,
    may_act: bool,
    sub: String,
    none: &'static str,
    other: Option<Markup>,
    rows: Vec<Hypothesis>,
}
impl HtmlSafe for Hypotheses {}

impl Hypotheses {
    /// In order of rank; those ruled out stay.
    pub fn new(i: &Incident, answer: &Investigation, may_act: bool) -> Self {
        let mut causes: Vec<&Cause> = answer.causes.iter().collect();
        let place = |c: &Cause| (!c.is_right(), c.ruled_out && !c.is_right(), c.is_wrong(), c.rank);
        causes.sort_by_key(|c| place(c));
        let out = causes.iter().filter(|c| c.ruled_out || c.is_wrong()).count();
        let first = answer.leading().map(|c| c.rank);
        // What people recorded may be none of those found.
        let other = answer.recorded.as_ref().filter(|_| !causes.iter().any(|c| c.is_right()));
        let other = other.map(|r| ui::foreign(&format!("{}, says {}", r.as_cause().title, r.by)));
        let rows = causes
            .iter()
            .map(|c| {
                let class = if Some(c.rank) == first { "ember" } else { "weak" };
                let place = match (&c.service, &c.host) {
                    (Some(s), Some(h)) if s != h => Some(format!("{s} on {h}")),
                    (Some(s), _) => Some(s.clone()),
                    (None, h) => h.clone(),
                };
                Hypothesis {
                    rank: c.rank,
                    read: c.title.clone(),
                    title: ui::with_marks(&c.title, &answer.evidence),
                    place: place.map(|p| ui::foreign(&text::shorten(&p, 120))),
                    out: c.ruled_out,
                    evidence: ui::evidence(&c.evidence, &answer.evidence),
                    against: ui::evidence(&c.against, &answer.evidence),
                    has_for: !c.evidence.is_empty(),
                    has_against: !c.against.is_empty(),
                    percent: ui::percent(c.confidence),
                    bar: ui::bar(c.confidence, class),
                    right: c.is_right(),
                    wrong: c.is_wrong(),
                }
            })
            .collect();
        let busy = matches!(i.investigation.state, InvestigationState::Queued | InvestigationState::Running);
        Self {
            base: format!("/incidents/{}", i.id),
            may_act: may_act && i.status != IncidentStatus::Merged,
            other,
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

/// A cause to choose from.
#[derive(Debug)]
pub struct Choice {
    rank: u32,
    title: String,
    shown: String,
    chosen: bool,
}

/// What it was, as the form of the end asks for it.
#[derive(Debug, Template)]
#[template(path = "fragments/asked_cause.html")]
pub struct AskedCause {
    id: &'static str,
    causes: Vec<Choice>,
}
impl HtmlSafe for AskedCause {}

impl AskedCause {
    /// The causes in order of rank; `id` begins the names of the fields' elements.
    pub fn new(id: &'static str, answer: &Investigation) -> Self {
        let open = answer.causes.iter().filter(|c| c.is_right() || !(c.ruled_out || c.is_wrong()));
        let choice = |c: &Cause| Choice {
            rank: c.rank,
            title: c.title.clone(),
            shown: format!(
                "{}. {}, {}",
                c.rank,
                text::visible(&text::shorten(&c.title, 90)),
                ui::percent(c.confidence)
            ),
            chosen: c.is_right(),
        };
        Self { id, causes: open.map(choice).collect() }
    }
}

/// One thing to do.
#[derive(Debug)]
pub struct Step {
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
    rows: Vec<Step>,
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
                Step {
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
