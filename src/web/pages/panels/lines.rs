//! Lines of the longer panels: thoughts, alerts, the timeline, evidence.

use askama::Template;
use askama::filters::HtmlSafe;

use crate::{
    model::*,
    web::pages::{
        text,
        ui::{self, Markup, When},
        words,
    },
};

/// Pages of this product that evidence may lead to.
const OWN: [&str; 5] = ["/incidents/", "/alerts?", "/runbooks/", "/topology?", "/postmortems/"];

/// Reasons of one alert that are told.
const REASONS: usize = 5;

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
    query: Option<String>,
}
impl HtmlSafe for ThoughtLine {}

impl ThoughtLine {
    /// With links to the evidence that is there by now.
    pub fn new(t: &Thought, evidence: &[Evidence], now: Time) -> Self {
        let (class, icon, kind) = words::thought(t.kind);
        let unsaid: Vec<String> =
            t.evidence.iter().filter(|id| !t.text.contains(&format!("[{id}]"))).cloned().collect();
        let (said, query) = asked(t);
        Self {
            n: t.id,
            class,
            kind,
            at: When::clock(t.at, now),
            icon: ui::icon(icon),
            text: ui::with_marks(&said, evidence),
            marks: ui::evidence(&unsaid, evidence),
            query: query.map(ui::plain),
        }
    }
}

/// A question to a tool holds the query as it was put between backticks: it gets a line of its own.
fn asked(t: &Thought) -> (String, Option<&str>) {
    let query = || {
        let (before, rest) = t.text.split_once('`')?;
        let (query, after) = rest.rsplit_once('`')?;
        let said = format!("{}{after}", before.trim_end().trim_end_matches(':'));
        Some((said, Some(query)))
    };
    let is_question = t.kind == ThoughtKind::Action;
    is_question.then(query).flatten().unwrap_or_else(|| (t.text.clone(), None))
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
    flapping: bool,
    strategy: &'static str,
    /// What weighs most, with its numbers.
    reason: Option<Markup>,
    /// The rest, folded.
    reasons: Vec<Markup>,
    more: String,
    score: Option<(String, Markup)>,
}
impl HtmlSafe for MemberRow {}

impl MemberRow {
    /// With why it is here.
    pub fn new(m: &Membership, a: &Alert, now: Time) -> Self {
        let strategy = |s: Strategy, text: &str| match (s, &a.service) {
            (Strategy::Topology, Some(own)) if is_called(text, own) => "Called by service",
            _ => words::strategy(s),
        };
        let mut reasons = m.reasons.iter().take(REASONS).enumerate().map(|(n, r)| {
            // The first one stands under its strategy.
            let sentence = match n {
                0 => r.text.clone(),
                _ => format!("{}: {}", strategy(r.strategy, &r.text), r.text),
            };
            ui::foreign(&sentence)
        });
        let (reason, reasons) = (reasons.next(), reasons.collect::<Vec<_>>());
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
            flapping: a.flapping.is_some(),
            strategy: strategy(m.strategy, m.reasons.first().map_or("", |r| &r.text)),
            reason,
            more: if reasons.len() == 1 {
                "1 more reason".to_owned()
            } else {
                format!("{} more reasons", reasons.len())
            },
            reasons,
            score: (m.strategy != Strategy::Primary).then(|| (format!("{:.2}", m.score), ui::bar(m.score, ""))),
        }
    }
}

/// `a calls b; …`, of b.
fn is_called(text: &str, service: &str) -> bool {
    let named = text.split(';').next().unwrap_or_default();
    named.strip_suffix(service).is_some_and(|before| before.ends_with("calls ") || before.ends_with("hops on "))
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
    merged: Option<IncidentId>,
    undo: Option<(IncidentId, IncidentId)>,
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
            merged: (e.kind == TimelineKind::Merged)
                .then(|| e.data.get("from").and_then(|v| v.as_str()).and_then(|id| id.parse().ok()))
                .flatten(),
            undo: None,
        }
    }

    /// The line of a merge into this incident takes it back, while it stands.
    pub fn undoing(mut self, i: &Incident, may_act: bool) -> Self {
        if let Some(from) = self.merged.filter(|from| may_act && i.merging.absorbed.contains(from)) {
            self.undo = Some((from, i.id));
        }
        self
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
                // Paths of this product are links as well: earlier incidents, alerts, runbooks.
                url: match e.url.as_deref() {
                    Some(path) if OWN.iter().any(|own| path.starts_with(own)) => Some(path.to_owned()),
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
