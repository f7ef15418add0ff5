//! What tools were asked and what they answered, as sentences.

use serde_json::{Value, json};

use super::{Line, Writer};
use crate::{
    investigation::{
        finding::{Finding, Found},
        ledger::Ref,
        probes::Question,
        words,
    },
    model::ThoughtKind,
};

/// Figures that are named where nothing unusual was seen.
const NAMED: usize = 3;

impl Writer<'_> {
    /// What is asked: each question with its exact words.
    pub(in crate::investigation) fn asked(mut self, questions: &[Question]) -> Vec<Line> {
        for q in questions {
            let whose = q.service.as_deref().or(q.host.as_deref());
            let about = whose.map(|w| format!(" about {}", words::plain(w))).unwrap_or_default();
            let text =
                format!("Asks {} at {}{about}: {}", words::tool(q.tool), words::plain(&q.at), words::code(&q.query));
            self.say(ThoughtKind::Action, &text, &[]);
        }
        self.lines
    }

    /// What was answered, from this finding of the case on.
    pub(in crate::investigation) fn answered(mut self, from: usize, notes: &[String]) -> Vec<Line> {
        let findings = self.case.findings.get(from..).unwrap_or_default();
        for (i, f) in (from..).zip(findings) {
            match &f.found {
                Found::Quiet => {}
                Found::Failed { reason } => {
                    let known = self.case.findings.iter().any(|f| !matches!(f.found, Found::Failed { .. }));
                    let rests = if known { "does without it" } else { "rests on alerts alone" };
                    let text = format!("{} at {reason}; the answer below {rests}", words::tool(f.tool));
                    self.say(ThoughtKind::Observation, &printable(&text), &[]);
                }
                _ => {
                    if let Some(text) = found(f) {
                        self.say(ThoughtKind::Observation, &words::upper_first(&text), &[Ref::Finding(i)]);
                    }
                }
            }
        }
        let quiet: Vec<usize> =
            (from..).zip(findings).filter(|(_, f)| f.found == Found::Quiet).map(|(i, _)| i).collect();
        if !quiet.is_empty() {
            let names: Vec<String> = quiet
                .iter()
                .filter_map(|i| self.case.findings.get(*i))
                .map(|f| format!("{} {}", words::tool(f.tool), words::code(&f.query)))
                .collect();
            let refs: Vec<Ref> = quiet.iter().take(NAMED).map(|i| Ref::Finding(*i)).collect();
            let n = words::count(quiet.len(), "answer");
            let shows = if quiet.len() == 1 { "shows" } else { "show" };
            let text = format!("{n} {shows} nothing unusual since the onset: {}", words::list(&names, NAMED));
            self.say(ThoughtKind::Observation, &text, &refs);
        }
        for note in notes {
            self.say(ThoughtKind::Observation, &printable(&words::upper_first(note)), &[]);
        }
        self.lines
    }
}

/// What a finding says, as a clause; none where there was no answer.
pub(in crate::investigation) fn found(f: &Finding) -> Option<String> {
    let tool = words::tool(f.tool);
    let whose = f.service.as_deref().or(f.host.as_deref()).map(words::plain);
    let of = whose.as_ref().map(|w| format!(" of {w}")).unwrap_or_default();
    Some(match &f.found {
        Found::Shift { metric, before, after, unit, deviation, since, .. } => {
            let unit = unit.as_deref().map(|u| format!(" {}", words::plain(u))).unwrap_or_default();
            let since = since.map(|t| format!(" since {}", words::clock(t))).unwrap_or_default();
            format!(
                "{tool}: {}{of} went from {} to {}{unit}{since}, {} times its usual deviation",
                words::plain(metric),
                words::figure(*before),
                words::figure(*after),
                far(*deviation)
            )
        }
        Found::Lines { lines, count } => {
            let first = words::quote(lines.first().map_or("", String::as_str));
            match count {
                0 => format!("{tool}: no line of the log{of} names a failure; it ends with {first}"),
                1 => format!("{tool}: one line of the log{of} tells of failure: {first}"),
                n => format!("{tool}: {n} lines of the log{of} tell of failure, the first of them {first}"),
            }
        }
        Found::Alarm { name, text, .. } => {
            format!("{tool} itself raised {}{of}, which no alert told: {}", words::quote(name), words::plain(text))
        }
        Found::Quiet => format!("{tool}: nothing unusual{of} in {}", words::code(&f.query)),
        Found::Failed { .. } => return None,
    })
}

/// The facts of a finding, for programs.
pub(in crate::investigation) fn data(f: &Finding) -> Value {
    let mut data = json!({"tool": f.tool, "query": f.query, "service": f.service, "host": f.host});
    let more = match &f.found {
        Found::Shift { metric, symptom, before, after, unit, deviation, since } => json!({
            "metric": metric, "symptom": symptom, "before": before, "after": after, "unit": unit,
            "deviation": deviation, "since": since,
        }),
        Found::Lines { lines, count } => json!({"lines": lines, "count": count}),
        Found::Alarm { name, symptom, text } => json!({"alarm": name, "symptom": symptom, "text": text}),
        Found::Quiet => json!({"quiet": true}),
        Found::Failed { reason } => json!({"failed": reason}),
    };
    if let (Some(all), Value::Object(more)) = (data.as_object_mut(), more) {
        all.extend(more);
    }
    data
}

fn far(deviation: f64) -> String {
    if deviation >= 999.0 { "over 900".to_owned() } else { words::figure(deviation) }
}

/// A sentence of ours around text of others: without line ends, marks and brackets that pose as evidence.
fn printable(text: &str) -> String {
    let safe = |c: &char| !words::is_mark(*c) && !c.is_control();
    text.chars()
        .filter(safe)
        .map(|c| {
            if c == '[' {
                '('
            } else if c == ']' {
                ')'
            } else {
                c
            }
        })
        .collect()
}
