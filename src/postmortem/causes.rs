//! What it came from, what was weighed besides, and what is not known.

use super::{Material, material::symptom, say};
use crate::model::*;

/// Causes told besides the one that leads.
const OTHERS: usize = 4;
/// Reasons told for each, and against it.
const REASONS: usize = 3;
/// Earlier incidents told.
const EARLIER: usize = 3;

/// The cause with its evidence, the others, and what is left to find out.
pub fn causes(m: &Material) -> String {
    let answer = &m.answer;
    let lead = answer.leading().filter(|c| answer.recorded.is_none() || c.is_right());
    let mut parts = vec![verdict(m, lead)];
    if let Some(lead) = lead {
        parts.extend(reasons(lead));
    }
    let mut others: Vec<&Cause> = answer.causes.iter().filter(|c| lead.is_none_or(|l| l.rank != c.rank)).collect();
    others.sort_by_key(|c| (c.is_wrong() || c.ruled_out, c.rank));
    if !others.is_empty() {
        let lines: String = others.iter().take(OTHERS).map(|c| other(answer, c)).collect();
        parts.push(format!("Weighed as well:\n\n{}", lines.trim_end()));
    }
    if !m.before.is_empty() {
        let lines: String = m.before.iter().take(EARLIER).map(earlier).collect();
        parts.push(format!("Seen before:\n\n{}", lines.trim_end()));
    }
    parts.push(say::gap("why this could happen, and why nothing stopped it earlier."));
    parts.join("\n\n")
}

fn verdict(m: &Material, lead: Option<&Cause>) -> String {
    let answer = &m.answer;
    match (&answer.recorded, lead) {
        (Some(r), Some(c)) => {
            format!("**{}**, recorded by {} on {}.", say::foreign(&c.title), say::foreign(&r.by), say::moment(r.at))
        }
        (Some(r), None) => format!(
            "**{}**, recorded by {} on {}. The investigation had not named it.",
            say::foreign(&r.as_cause().title),
            say::foreign(&r.by),
            say::moment(r.at)
        ),
        (None, Some(c)) => format!(
            "Nobody has recorded the cause. The investigation ended {}, and put first, with {}: **{}**.",
            match m.incident.investigation.conclusion {
                Some(conclusion) => format!("as {conclusion}"),
                None => "without a conclusion".to_owned(),
            },
            say::percent(c.confidence),
            say::foreign(&c.title)
        ),
        (None, None) => format!(
            "The cause is not known: nobody has recorded it, and {}.",
            if answer.own.is_some() { "the investigation found none" } else { "no investigation has ended" }
        ),
    }
}

fn reasons(c: &Cause) -> Vec<String> {
    let lines = |against: bool| -> String {
        let points = c.points.iter().filter(|p| (p.weight < 0.0) == against).take(REASONS);
        points.map(|p| format!("- {}{}\n", say::foreign(&p.text), say::marks(&p.evidence))).collect()
    };
    let part = |head: &str, lines: String| (!lines.is_empty()).then(|| format!("{head}\n\n{}", lines.trim_end()));
    let place = match (&c.service, &c.host, c.symptom.filter(|s| *s != Symptom::Unknown)) {
        (Some(s), Some(h), _) if s != h => Some(format!("Where: {} on {}.", say::foreign(s), say::foreign(h))),
        _ => None,
    };
    let what = c.symptom.filter(|s| *s != Symptom::Unknown).map(|s| format!("What was seen: {}.", symptom(s)));
    let facts: Vec<String> = place.into_iter().chain(what).collect();
    let facts = (!facts.is_empty()).then(|| facts.join(" "));
    let evidence = c.points.is_empty() && !c.evidence.is_empty();
    let bare = evidence.then(|| format!("Evidence:{}", say::marks(&c.evidence)));
    facts.into_iter().chain(part("For it:", lines(false))).chain(bare).chain(part("Against it:", lines(true))).collect()
}

fn other(answer: &Investigation, c: &Cause) -> String {
    let said = answer.judged.iter().rev().find(|j| j.is_of(c));
    let how = match said {
        Some(j) if c.is_wrong() => format!("not this, said {}", say::foreign(&j.by)),
        _ if c.ruled_out => "ruled out".to_owned(),
        _ => say::percent(c.confidence),
    };
    format!("- {}: {how}{}\n", say::foreign(&c.title), say::marks(&c.evidence))
}

fn earlier(i: &Incident) -> String {
    let how = i.resolution.as_deref().map(|r| format!(", which ended with {}", say::quoted(r))).unwrap_or_default();
    format!("- {} on {}, {}{how}\n", i.id, say::date(i.onset_at), say::quoted(&i.title))
}
