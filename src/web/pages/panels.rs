//! The panels of an incident's page, each of which is drawn again on its own when something in it changes.

use askama::Template;
use askama::filters::HtmlSafe;

use super::{
    row::LEADS_FROM,
    terms, text,
    ui::{self, Markup, When},
    words,
};
use crate::model::*;

/// Title and signals.
#[derive(Debug, Template)]
#[template(path = "fragments/incident_head.html")]
pub struct Head {
    title: String,
    severity: Markup,
    status: Markup,
    service: Option<Markup>,
    service_href: String,
    tags: Vec<&'static str>,
    opened: When,
    opened_clock: String,
    source: Markup,
    source_url: Option<String>,
    owner: Markup,
}
impl HtmlSafe for Head {}

impl Head {
    /// Of an incident at `now`.
    pub fn new(i: &Incident, now: Time) -> Self {
        let mut tags = Vec::new();
        tags.extend(i.test.then_some("test"));
        tags.extend(i.flapping.then_some("flapping"));
        tags.extend(i.severity_pinned.then_some("severity set by hand"));
        let query = i.service.as_deref().map(|s| format!("service:{}", terms::quote(s))).unwrap_or_default();
        Self {
            title: text::visible(&i.title),
            severity: ui::severity_box(i.severity),
            status: ui::status(i.status),
            service: i.service.as_deref().map(|s| ui::foreign(&text::shorten(s, 80))),
            service_href: terms::href("/incidents", &query, &[]),
            tags,
            opened: When::ago(i.detected_at, now),
            opened_clock: super::time::clock_short(i.detected_at),
            source: ui::source(&i.source),
            source_url: text::url(&i.source_url).map(str::to_owned),
            owner: ui::foreign_or(&i.owner, "Nobody yet"),
        }
    }
}

/// What can be done with it now.
#[derive(Debug, Template)]
#[template(path = "fragments/incident_actions.html")]
pub struct Actions {
    base: String,
    may_act: bool,
    open: bool,
    resolved: bool,
    owned: bool,
    mine: bool,
    running: bool,
}
impl HtmlSafe for Actions {}

impl Actions {
    /// For somebody of that name and role.
    pub fn new(i: &Incident, me: &str, may_act: bool) -> Self {
        let busy = matches!(i.investigation.state, InvestigationState::Queued | InvestigationState::Running);
        Self {
            base: format!("/incidents/{}", i.id),
            may_act,
            open: i.is_open(),
            resolved: i.status == IncidentStatus::Resolved,
            owned: i.owner.is_some(),
            mine: i.owner.as_deref() == Some(me),
            running: busy && i.is_open(),
        }
    }

    /// Whether there is anything to press.
    pub fn any(&self) -> bool {
        self.may_act && (self.open || self.resolved)
    }
}

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

/// One thing to do.
#[derive(Debug)]
pub struct Todo {
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
    rows: Vec<Todo>,
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
                Todo {
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

/// One line of the log.
#[derive(Debug, Template)]
#[template(path = "fragments/thought.html")]
pub struct ThoughtLine {
    n: u32,
    class: &'static str,
    kind: &'static str,
    at: When,
    icon: Markup,
    text: Markup,
    marks: Markup,
}
impl HtmlSafe for ThoughtLine {}

impl ThoughtLine {
    /// With links to the evidence that is there by now.
    pub fn new(t: &Thought, evidence: &[Evidence], now: Time) -> Self {
        let (class, icon, kind) = words::thought(t.kind);
        let unsaid: Vec<String> =
            t.evidence.iter().filter(|id| !t.text.contains(&format!("[{id}]"))).cloned().collect();
        Self {
            n: t.id,
            class,
            kind,
            at: When::clock(t.at, now),
            icon: ui::icon(icon),
            text: ui::with_marks(&t.text, evidence),
            marks: ui::evidence(&unsaid, evidence),
        }
    }
}

/// One correlated alert.
#[derive(Debug, Template)]
#[template(path = "fragments/member_row.html")]
pub struct MemberRow {
    id: AlertId,
    severity: Markup,
    title: String,
    times: u64,
    source: Markup,
    at: When,
    place: Option<Markup>,
    ended: bool,
    strategy: &'static str,
    reasons: Vec<Markup>,
    score: Option<(String, Markup)>,
}
impl HtmlSafe for MemberRow {}

impl MemberRow {
    /// With why it is here.
    pub fn new(m: &Membership, a: &Alert, now: Time) -> Self {
        let reasons = m.reasons.iter().take(4).map(|r| {
            let sentence = if m.reasons.len() > 1 && r.strategy != m.strategy {
                format!("{}: {}", words::strategy(r.strategy), r.text)
            } else {
                r.text.clone()
            };
            ui::foreign(&sentence)
        });
        let place = a.host.as_ref().or(a.service.as_ref());
        Self {
            id: a.id,
            severity: ui::severity(a.severity),
            title: text::visible(&text::shorten(&a.title, 200)),
            times: a.count,
            source: ui::source(&a.platform),
            at: When::ago(a.first_seen, now),
            place: place.map(|p| ui::foreign(&text::shorten(p, 60))),
            ended: !a.is_open(),
            strategy: words::strategy(m.strategy),
            reasons: reasons.collect(),
            score: (m.strategy != Strategy::Primary).then(|| (format!("{:.2}", m.score), ui::bar(m.score, ""))),
        }
    }
}

/// One line of the timeline.
#[derive(Debug, Template)]
#[template(path = "fragments/timeline_line.html")]
pub struct TimelineLine {
    seq: u64,
    dot: &'static str,
    comment: bool,
    text: Markup,
    at: When,
    actor: Option<Markup>,
}
impl HtmlSafe for TimelineLine {}

impl TimelineLine {
    /// Who did what, when. What the product did by itself needs no name.
    pub fn new(e: &TimelineEntry, now: Time) -> Self {
        Self {
            seq: e.seq,
            dot: words::timeline_dot(e.kind),
            comment: e.kind == TimelineKind::Comment,
            text: ui::foreign(&e.text),
            at: When::clock(e.at, now),
            actor: (e.actor != "system").then(|| ui::foreign(&e.actor)),
        }
    }
}

/// One piece of evidence.
#[derive(Debug)]
pub struct EvidenceRow {
    id: String,
    kind: &'static str,
    title: Markup,
    at: When,
    url: Option<String>,
    data: Vec<(String, String)>,
}

/// What the sentences rest on.
#[derive(Debug, Template)]
#[template(path = "fragments/evidence.html")]
pub struct EvidenceList {
    rows: Vec<EvidenceRow>,
}
impl HtmlSafe for EvidenceList {}

impl EvidenceList {
    /// In order of discovery.
    pub fn new(all: &[Evidence], now: Time) -> Self {
        let rows = all
            .iter()
            .map(|e| EvidenceRow {
                id: e.id.clone(),
                kind: words::evidence(e.kind),
                title: ui::foreign(&e.title),
                at: When::clock(e.at, now),
                // Paths of this product are links as well: earlier incidents and alerts.
                url: match e.url.as_deref() {
                    Some(path) if path.starts_with("/incidents/") || path.starts_with("/alerts?") => {
                        Some(path.to_owned())
                    }
                    _ => text::url(&e.url).map(str::to_owned),
                },
                data: facts_of(&e.data),
            })
            .collect();
        Self { rows }
    }
}

/// Short facts only: names with plain values.
fn facts_of(data: &serde_json::Value) -> Vec<(String, String)> {
    let value = |v: &serde_json::Value| match v {
        serde_json::Value::String(s) => Some(s.clone()),
        serde_json::Value::Number(n) => Some(n.to_string()),
        serde_json::Value::Bool(b) => Some(b.to_string()),
        _ => None,
    };
    let Some(map) = data.as_object() else { return Vec::new() };
    map.iter()
        // Ids are for programs.
        .filter(|(k, _)| !k.ends_with("_id"))
        .filter_map(|(k, v)| value(v).map(|v| (text::visible(k), text::shorten(&text::visible(&v), 80))))
        .take(6)
        .collect()
}

/// A fact with its name.
#[derive(Debug)]
pub struct Fact {
    name: &'static str,
    value: Markup,
    note: Option<String>,
}

/// What is known for sure.
#[derive(Debug, Template)]
#[template(path = "fragments/facts.html")]
pub struct Facts {
    rows: Vec<Fact>,
    labels: Vec<String>,
}
impl HtmlSafe for Facts {}

impl Facts {
    /// Of the incident, its first alerts and the last change before it.
    pub fn new(i: &Incident, members: &[(Membership, Alert)], change: Option<&Change>, now: Time) -> Self {
        let mut rows = Vec::new();
        let mut fact = |name, value: Markup, note: Option<String>| rows.push(Fact { name, value, note });
        let list = |names: &[String]| {
            let shown = names.iter().take(8).cloned().collect::<Vec<_>>().join(", ");
            let more = names.len().saturating_sub(8);
            ui::foreign(&if more > 0 { format!("{shown} and {more} more") } else { shown })
        };
        let when = |at| Markup::of(&Moment { at: When::full(at) });
        if !i.affected_services.is_empty() {
            fact("Services", list(&i.affected_services), None);
        }
        if !i.affected_hosts.is_empty() {
            fact("Hosts", list(&i.affected_hosts), None);
        }
        if let Some(e) = &i.environment {
            fact("Environment", ui::foreign(e), None);
        }
        fact(
            "Alerts",
            ui::foreign(&ui::plural(i.alert_count, "alert")),
            Some(format!("{} firing", ui::count(i.firing_count))),
        );
        fact(
            "Began",
            when(i.started_at),
            (i.started_at != i.detected_at)
                .then(|| format!("received {} later", ui::duration(i.detected_at.since(i.started_at)))),
        );
        if let Some(owner) = &i.owner {
            let note =
                i.acknowledged_at.map(|at| format!("acknowledged after {}", ui::duration(at.since(i.detected_at))));
            fact("Owner", ui::foreign(owner), note);
        }
        if let Some(c) = change {
            let ago = c.at.map(|at| {
                let d = ui::duration(i.onset_at.distance(at));
                if at <= i.onset_at { format!("{} {d} before", c.kind) } else { format!("{} {d} after", c.kind) }
            });
            let value = match text::url(&c.url) {
                Some(href) => Markup::of(&Link { href, text: ui::foreign(&c.title) }),
                None => ui::foreign(&c.title),
            };
            fact("Last change", value, ago);
        }
        if let Some(href) = members.iter().find_map(|(_, a)| text::url(&a.runbook_url)) {
            fact("Runbook", Markup::of(&Link { href, text: ui::foreign(&text::shorten(href, 60)) }), None);
        }
        if let (Some(at), Some(start)) = (i.resolved_at, Some(i.detected_at)) {
            fact("Resolved", when(at), Some(format!("after {}", ui::duration(at.since(start)))));
        }
        let _ = now;
        let labels =
            i.labels.iter().take(12).map(|(k, v)| text::visible(&text::shorten(&format!("{k}={v}"), 60))).collect();
        Self { rows, labels }
    }
}

#[derive(Template)]
#[template(source = "{{ at }}", ext = "html")]
struct Moment {
    at: When,
}

#[derive(Template)]
#[template(source = "<a href=\"{{ href }}\" rel=\"noopener noreferrer\">{{ text }}</a>", ext = "html")]
struct Link<'a> {
    href: &'a str,
    text: Markup,
}

/// What the analysis is doing, beside the heading of its log.
pub fn writing(i: &Incident) -> Markup {
    #[derive(Template)]
    #[template(source = "<span class=\"st {{ class }}\">{{ mark }}{{ words }}</span>", ext = "html")]
    struct Writing {
        class: &'static str,
        mark: Markup,
        words: String,
    }
    let head = &i.investigation;
    let took = head.started_at.zip(head.finished_at).map(|(from, to)| ui::duration(to.since(from)));
    let steps = ui::plural(head.steps, "step");
    let (class, mark, words) = match head.state {
        InvestigationState::Idle => return Markup::none(),
        InvestigationState::Queued => ("investigating", ui::pulse(), "waits".to_owned()),
        InvestigationState::Running => ("investigating", ui::pulse(), "writing".to_owned()),
        InvestigationState::Complete => {
            ("", ui::icon("check"), took.map_or(steps.clone(), |t| format!("{steps} in {t}")))
        }
        InvestigationState::Error => ("failing", ui::icon("warn"), "did not finish".to_owned()),
        InvestigationState::Cancelled => ("", ui::icon("x"), "stopped".to_owned()),
    };
    Markup::of(&Writing { class, mark, words })
}
