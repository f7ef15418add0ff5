//! What the analysis says: its answer, the causes it weighed, and what to do.

use askama::Template;
use askama::filters::HtmlSafe;

use super::{opinion::Second, shares};
use crate::{
    model::*,
    web::pages::{
        row::LEADS_FROM,
        text, time,
        ui::{self, Markup},
        words,
    },
};

/// Things to check next, and causes that were ruled out, of an answer that nothing leads.
const NEXT: usize = 3;

/// How sure the leading cause is.
#[derive(Debug)]
pub struct Confidence {
    bar: Markup,
    percent: String,
    word: &'static str,
    counts: String,
    confirmed: bool,
}

/// A suggestion that the answer leads to.
#[derive(Debug)]
pub struct Lead {
    anchor: String,
    title: Markup,
    icon: Markup,
    word: &'static str,
}

/// What there is when nothing leads.
#[derive(Debug)]
pub struct Open {
    known: Markup,
    ruled_out: Vec<Markup>,
    next: Vec<Lead>,
}

/// What we think happened.
#[derive(Debug, Template)]
#[template(path = "fragments/answer.html")]
pub struct Answer {
    progress: Option<String>,
    failed: Option<Markup>,
    stopped: bool,
    summary: Option<Markup>,
    instead: &'static str,
    confidence: Option<Confidence>,
    doubt: Option<&'static str>,
    open: Option<Open>,
    recorded: Option<Markup>,
    first: Option<Lead>,
    made: Option<String>,
    second: Option<Second>,
}
impl HtmlSafe for Answer {}

/// The cause that is thought to be it: what a person said, else the first that is likely enough to be shown.
pub fn leading(answer: &Investigation) -> Option<&Cause> {
    answer.leading().filter(|c| c.is_right() || c.confidence >= LEADS_FROM)
}

impl Answer {
    /// From the head of the investigation and what it found; `place` is that in the queue, and how many wait.
    pub fn new(i: &Incident, answer: &Investigation, place: Option<(usize, usize)>) -> Self {
        let head = &i.investigation;
        let lead = leading(answer);
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
        let confirmed = lead.is_some_and(|c| c.verdict == Some(Verdict::Right))
            || (lead.is_some() && head.conclusion == Some(Conclusion::Confirmed));
        let unsure = matches!(head.state, InvestigationState::Complete | InvestigationState::Error)
            && !confirmed
            && (head.conclusion == Some(Conclusion::Inconclusive) || lead.is_none());
        let open = |s: &&Suggestion| s.state == SuggestionState::Open;
        let is_fix = |s: &&Suggestion| matches!(s.kind, SuggestionKind::Fix | SuggestionKind::Mitigation);
        let all = || answer.suggestions.iter().filter(open);
        Self {
            progress: match (head.state, head.progress, place) {
                (InvestigationState::Queued, _, Some((place, of))) if of > 1 => {
                    Some(format!("waits: {} of {}", ui::count(place), ui::count(of)))
                }
                (InvestigationState::Queued, ..) => Some("waits for its turn".to_owned()),
                // The one that is being done counts.
                (InvestigationState::Running, Some(p), _) => {
                    Some(format!("check {} of {}", (p.done + 1).min(p.of), p.of))
                }
                (InvestigationState::Running, ..) => Some(format!("{} so far", ui::plural(head.steps, "step"))),
                _ => None,
            },
            failed: (head.state == InvestigationState::Error)
                .then(|| ui::foreign(head.error.as_deref().unwrap_or("No reason was recorded."))),
            stopped: head.state == InvestigationState::Cancelled && summary.is_some(),
            summary,
            instead,
            confidence: lead.map(|c| Confidence {
                bar: ui::bar(c.confidence, "ember"),
                percent: ui::percent(c.confidence),
                word: words::sureness(c.confidence),
                counts: format!("{} for, {} against", c.evidence.len(), c.against.len()),
                confirmed,
            }),
            doubt: unsure.then_some(if lead.is_some() {
                "Inconclusive: the best guess is weak."
            } else {
                "Inconclusive: nothing leads."
            }),
            open: unsure.then(|| Open {
                known: known(i, answer),
                ruled_out: answer.causes.iter().filter(|c| c.ruled_out).take(NEXT).map(|c| ruled_out(c, answer)).collect(),
                next: all().filter(|s| s.kind == SuggestionKind::Diagnostic).take(NEXT).map(Lead::of).collect(),
            }),
            recorded: answer.recorded.as_ref().map(|r| {
                ui::foreign(&format!("{} recorded the cause: {}.", r.by, r.as_cause().title.trim_end_matches('.')))
            }),
            // Where nothing leads, what to check stands in its list.
            first: all().find(is_fix).or_else(|| all().next().filter(|_| !unsure)).map(Lead::of),
            second: answer.opinion.as_ref().map(|o| Second::new(o, &answer.evidence)),
            made: head.engine.as_deref().map(|e| match e.strip_prefix("built-in").map(|m| m.trim_start_matches([' ', '+'])) {
                Some("") => "Made by the built-in rules alone; evidence marks lead to what it rests on.".to_owned(),
                model => format!(
                    "Made by the built-in rules, with a second opinion of the language model {}; evidence marks lead to \
                     what it rests on.",
                    ui::plain(&text::shorten(model.unwrap_or(e), 80))
                ),
            }),
        }
    }
}

/// What is certain of an incident that nothing explains.
fn known(i: &Incident, answer: &Investigation) -> Markup {
    let mut places = Vec::new();
    for (n, unit) in [(i.affected_services.len(), "service"), (i.affected_hosts.len(), "machine")] {
        if n > 0 {
            places.push(ui::plural(n, unit));
        }
    }
    let places = if places.is_empty() { String::new() } else { format!(" on {}", places.join(" and ")) };
    let firing = if i.firing_count > 0 { format!(", {} firing", ui::count(i.firing_count)) } else { String::new() };
    let changes: Vec<&str> =
        answer.evidence.iter().filter(|e| e.kind == EvidenceKind::Change).map(|e| e.id.as_str()).take(NEXT).collect();
    let changes = match changes.len() {
        0 => "no change is known before it".to_owned(),
        n => format!("{} before it [{}]", ui::plural(n, "change"), changes.join(", ")),
    };
    let alerts = ui::plural(i.alert_count, "alert");
    let text = format!(
        "{alerts}{places} since {} {}{firing}; {changes}",
        time::clock(i.onset_at),
        time::zone_name(i.onset_at)
    );
    ui::with_marks(&text, &answer.evidence)
}

fn ruled_out(c: &Cause, answer: &Investigation) -> Markup {
    Markup::joined(&[&ui::with_marks(&c.title, &answer.evidence), &ui::evidence(&c.against, &answer.evidence)])
}

impl Lead {
    fn of(s: &Suggestion) -> Self {
        let (_, icon) = words::suggestion(s.kind);
        Self {
            anchor: anchor(&s.id),
            title: ui::foreign(&text::shorten(&s.title, 70)),
            icon: ui::icon(icon),
            word: match s.kind {
                SuggestionKind::Diagnostic => "Check first",
                SuggestionKind::Mitigation => "First relief",
                SuggestionKind::Fix => "First fix",
                SuggestionKind::Prevention => "To prevent it",
            },
        }
    }
}

/// Where a suggestion stands on the page.
fn anchor(id: &str) -> String {
    id.chars().filter(char::is_ascii_alphanumeric).collect()
}

/// One possible cause.
#[derive(Debug)]
pub struct Hypothesis {
    rank: u32,
    /// The form says which cause was read.
    mark: String,
    title: Markup,
    place: Option<Markup>,
    out: bool,
    evidence: Markup,
    against: Markup,
    fors: usize,
    againsts: usize,
    percent: String,
    word: &'static str,
    bar: Markup,
    points: Vec<(Markup, String)>,
    score: String,
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
        let first = leading(answer).map(|c| c.rank);
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
                    mark: c.mark(),
                    title: ui::with_marks(&c.title, &answer.evidence),
                    place: place.map(|p| ui::foreign(&text::shorten(&p, 120))),
                    out: c.ruled_out,
                    evidence: ui::evidence(&c.evidence, &answer.evidence),
                    against: ui::evidence(&c.against, &answer.evidence),
                    fors: c.evidence.len(),
                    againsts: c.against.len(),
                    percent: ui::percent(c.confidence),
                    word: words::sureness(c.confidence),
                    bar: ui::bar(c.confidence, class),
                    points: points(c, &answer.evidence),
                    score: shares::signed(shares::hundredths(c.score)),
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

/// Every reason with its share; the shares shown add up to the score shown.
fn points(c: &Cause, all: &[Evidence]) -> Vec<(Markup, String)> {
    let weights: Vec<f64> = c.points.iter().map(|p| p.weight).collect();
    let shown = shares::rounded(&weights, c.score);
    let point = |(p, share): (&CausePoint, i64)| {
        let text = ui::with_marks(&p.text, all);
        (Markup::joined(&[&text, &ui::evidence(&p.evidence, all)]), shares::signed(share))
    };
    c.points.iter().zip(shown).map(point).collect()
}

/// A cause to choose from.
#[derive(Debug)]
pub struct Choice {
    rank: u32,
    mark: String,
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
            mark: c.mark(),
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
    docs: Option<String>,
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
    /// Diagnostics before fixes; else as stored.
    pub fn new(i: &Incident, answer: &Investigation, may_act: bool) -> Self {
        let mut all: Vec<&Suggestion> = answer.suggestions.iter().collect();
        all.sort_by_key(|s| s.kind);
        let rows = all
            .into_iter()
            .map(|s| {
                let (risk_class, risk_icon, risk) = words::risk(s.risk);
                let (kind, icon) = words::suggestion(s.kind);
                Step {
                    id: form_urlencoded::byte_serialize(s.id.as_bytes()).collect(),
                    anchor: anchor(&s.id),
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
                    // Of the web, or a page of this server.
                    runbook: text::url(&s.runbook_url)
                        .or_else(|| s.runbook_url.as_deref().filter(|u| u.starts_with("/runbooks/")))
                        .map(str::to_owned),
                    docs: text::url(&s.docs_url).map(str::to_owned),
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
