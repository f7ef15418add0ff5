//! What happened, and what it reached.

use std::time::Duration;

use super::{Material, say};
use crate::model::*;

/// Names listed in one sentence.
const NAMES: usize = 10;
/// What is opened within this time after its onset was opened at once.
const AT_ONCE: Duration = Duration::from_secs(60);

/// A few sentences from beginning to end.
pub fn summary(m: &Material) -> String {
    let i = &m.incident;
    let service = i.service.as_deref().or(i.host.as_deref());
    let on = service.map(|s| format!(" on {}", say::foreign(s))).unwrap_or_default();
    let env = i.environment.as_deref().map(|e| format!(" in {}", say::foreign(e))).unwrap_or_default();
    let kind = if i.test { "test" } else { "incident" };
    let mut story = vec![format!("{} was a {} {kind}{on}{env}.", say::quoted(&i.title), i.severity), began(m)];
    story.push(match (&i.owner, i.acknowledged_at) {
        (Some(owner), Some(at)) => {
            format!("{} took it {} after it was opened.", say::foreign(owner), say::duration(at.since(i.detected_at)))
        }
        _ => "Nobody has acknowledged it.".to_owned(),
    });
    story.push(match i.resolved_at {
        Some(at) => {
            let day = if say::date(at) == say::date(m.onset()) { say::clock(at) } else { say::moment(at) };
            format!("It was resolved at {day}, {} after it began.", say::duration(at.since(m.onset())))
        }
        None => "It is not resolved yet.".to_owned(),
    });
    let mut paragraphs = vec![story.join(" "), cause(m)];
    if let Some(how) = i.resolution.as_deref().filter(|_| i.resolved_at.is_some()) {
        paragraphs.push(format!("How it ended: {}", say::sentence(&say::quoted(how))));
    }
    paragraphs.push(say::gap("what people outside noticed, in one or two sentences."));
    paragraphs.join("\n\n")
}

fn began(m: &Material) -> String {
    let i = &m.incident;
    let onset = m.onset();
    let opened = match i.detected_at.since(onset) {
        d if i.manual => format!("it was declared by hand {} later", say::duration(d)),
        d if d < AT_ONCE => "it was opened here at once".to_owned(),
        d => format!("it was opened here {} later", say::duration(d)),
    };
    format!("It began on {}; {opened}.", say::moment(onset))
}

/// One sentence on where it came from, as sure as it is.
fn cause(m: &Material) -> String {
    if let Some(recorded) = &m.answer.recorded {
        let found = m.answer.causes.iter().find(|c| c.is_right());
        let title = found.map_or_else(|| recorded.as_cause().title, |c| c.title.clone());
        let marks = found.map(|c| say::marks(&c.evidence)).unwrap_or_default();
        return format!("The cause: {}{marks}. {} recorded it.", say::foreign(&title), say::foreign(&recorded.by));
    }
    match m.answer.leading() {
        Some(c) if m.incident.investigation.conclusion == Some(Conclusion::Likely) => format!(
            "The cause that the investigation holds most likely, with {}: {}{}. Nobody has confirmed it.",
            say::percent(c.confidence),
            say::foreign(&c.title),
            say::marks(&c.evidence)
        ),
        Some(c) => format!(
            "The cause is not known. The best guess, with {}, is: {}{}.",
            say::percent(c.confidence),
            say::foreign(&c.title),
            say::marks(&c.evidence)
        ),
        None => "The cause is not known.".to_owned(),
    }
}

/// What it reached, as far as alerts tell.
pub fn impact(m: &Material) -> String {
    let i = &m.incident;
    let names = |all: &[String]| all.iter().map(|n| say::foreign(n)).collect::<Vec<_>>();
    let by = if i.severity_pinned { ", set by a person" } else { "" };
    let until = match i.resolved_at {
        Some(at) if say::date(at) == say::date(m.onset()) => {
            format!("{} to {}", say::moment(m.onset()), say::clock(at))
        }
        Some(at) => format!("{} to {}", say::moment(m.onset()), say::moment(at)),
        None => format!("since {}", say::moment(m.onset())),
    };
    let mut facts = vec![
        format!("Severity: {}{by}", i.severity),
        format!(
            "{}: {} ({until})",
            if i.resolved_at.is_some() { "Lasted" } else { "Has lasted" },
            say::duration(m.end().since(m.onset()))
        ),
    ];
    if !i.affected_services.is_empty() {
        facts.push(format!("Services that alerted: {}", say::list(&names(&i.affected_services), NAMES)));
    }
    if !i.affected_hosts.is_empty() {
        facts.push(format!("Machines that alerted: {}", say::list(&names(&i.affected_hosts), NAMES)));
    }
    let mut senders: Vec<String> = Vec::new();
    for alert in &m.alerts {
        let sender = say::foreign(&alert.platform);
        if !senders.contains(&sender) {
            senders.push(sender);
        }
    }
    let from = if senders.is_empty() { String::new() } else { format!(" from {}", say::list(&senders, NAMES)) };
    facts.push(format!("Alerts: {}{from}", i.alert_count));
    if !i.mutes.is_empty() {
        let mutes: Vec<String> = i.mutes.iter().map(ToString::to_string).collect();
        facts.push(format!("Alerts of it were muted by {}", say::list(&mutes, NAMES)));
    }
    let facts: String = facts.iter().map(|f| format!("- {f}\n")).collect();
    let gap = say::gap("how many people or requests were affected, and what that cost. Alerts do not tell.");
    format!("{facts}\n{gap}")
}
