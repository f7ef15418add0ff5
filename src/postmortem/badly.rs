//! What did not help, and where it was luck, as far as it is stored.

use std::time::Duration;

use super::{Material, say};
use crate::model::*;

/// Opened later than this after its onset is late.
const LATE: Duration = Duration::from_secs(5 * 60);
/// Taken later than this is slow.
const SLOW: Duration = Duration::from_secs(30 * 60);

/// A list of facts, or that none is known.
pub fn badly(m: &Material) -> String {
    let i = &m.incident;
    let mut facts = Vec::new();
    let late = i.detected_at.since(m.onset());
    if late > LATE {
        facts.push(format!("It was opened {} after its first alert began.", say::duration(late)));
    }
    match i.acknowledged_at.map(|at| at.since(i.detected_at)) {
        Some(took) if took > SLOW => {
            facts.push(format!("It was acknowledged only {} after it was opened.", say::duration(took)));
        }
        Some(_) => {}
        None if by_itself(m) => {
            facts.push("We got lucky: it ended by itself, and nobody had taken it.".to_owned());
        }
        None => facts.push("Nobody has acknowledged it.".to_owned()),
    }
    let times = |kind| m.timeline.iter().filter(|e| e.kind == kind).count();
    let reopened = times(TimelineKind::Reopened);
    if reopened > 0 {
        facts.push(format!("It came back {} after it had been resolved.", say::count(reopened, "time")));
    }
    if times(TimelineKind::FlappingBegan) > 0 {
        facts.push("Alerts of it went up and down.".to_owned());
    }
    let raised = m.timeline.iter().find(|e| {
        let severity = |key: &str| e.data.get(key).and_then(|v| v.as_str()).and_then(|s| s.parse::<Severity>().ok());
        e.kind == TimelineKind::Severity && severity("to") < severity("from") && severity("to").is_some()
    });
    if let Some(e) = raised {
        let later = say::duration(e.at.since(i.detected_at));
        facts.push(format!("It was worse than it looked at first: {later} in, {}", lower(&say::foreign(&e.text))));
    }
    if m.answer.first_was_right() == Some(false) {
        facts.push(match &m.answer.first {
            Some(first) => format!("What the investigation put first was not it: {}.", say::foreign(&first.title)),
            None => "The investigation named no cause.".to_owned(),
        });
    }
    if i.investigation.state == InvestigationState::Error {
        facts.push("The investigation did not finish.".to_owned());
    }
    if !i.mutes.is_empty() {
        facts.push("Alerts of it were muted for a time.".to_owned());
    }
    let gap = say::gap("what did not help, and where it could have been worse.");
    if facts.is_empty() {
        return format!("Nothing of it is known from what is stored.\n\n{gap}");
    }
    let facts: String = facts.iter().map(|f| format!("- {f}\n")).collect();
    format!("{facts}\n{gap}")
}

/// Its alerts ended, and no person closed it.
fn by_itself(m: &Material) -> bool {
    let end = m.timeline.iter().rev().find(|e| e.kind == TimelineKind::Resolved);
    m.incident.resolved_at.is_some() && end.is_some_and(|e| e.actor == "system" || e.actor == m.incident.source)
}

fn lower(s: &str) -> String {
    let mut chars = s.chars();
    chars.next().map(|c| c.to_lowercase().chain(chars).collect()).unwrap_or_default()
}
