//! An incident as it stands, as Markdown for a chat or a ticket.

use super::say;
use crate::model::*;

/// Causes, suggestions and alerts in it; the rest is on the page.
const EACH: usize = 5;
/// Entries of the timeline in it, the latest.
const TOLD: usize = 20;

/// The incident, what is thought of it, its strongest alerts, and what happened. `address` is where its page is.
pub fn brief(
    i: &Incident,
    answer: &Investigation,
    members: &[(Membership, Alert)],
    timeline: &[TimelineEntry],
    address: &str,
) -> String {
    let mut out = format!("# {}: {}\n\n", i.id, say::foreign(&i.title));
    let mut fact = |name: &str, value: String| out.push_str(&format!("- {name}: {value}\n"));
    fact("Status", status(i));
    fact("Severity", i.severity.to_string());
    if !i.affected_services.is_empty() {
        let names: Vec<String> = i.affected_services.iter().map(|s| say::foreign(s)).collect();
        fact("Services", say::list(&names, EACH));
    }
    fact("Began", say::moment(i.onset_at));
    fact("Owner", i.owner.as_deref().map_or_else(|| "nobody yet".to_owned(), say::foreign));
    fact("Alerts", format!("{}, {} firing", i.alert_count, i.firing_count));
    fact("Page", format!("<{address}>"));

    let summary = i.investigation.summary.as_deref().map(say::whole);
    if summary.is_some() || !answer.causes.is_empty() {
        out.push_str("\n## What we think happened\n\n");
        if let Some(summary) = summary {
            out.push_str(&format!("{}\n", say::sentence(&summary)));
        }
        let causes = answer.causes.iter().filter(|c| !c.ruled_out).take(EACH);
        let lines: String = causes.map(cause).collect();
        if !lines.is_empty() {
            out.push_str(&format!("\n{lines}"));
        }
    }
    let open = answer.suggestions.iter().filter(|s| s.state != SuggestionState::Dismissed);
    let steps: String = open.take(EACH).map(step).collect();
    if !steps.is_empty() {
        out.push_str(&format!("\n## Suggestions\n\n{steps}"));
    }
    if !members.is_empty() {
        out.push_str("\n## Alerts\n\n");
        members.iter().take(EACH).for_each(|(_, a)| out.push_str(&alert(a)));
        let more = i.alert_count.saturating_sub(members.len().min(EACH) as u64);
        if more > 0 {
            out.push_str(&format!("- and {more} more\n"));
        }
    }
    let skip = timeline.len().saturating_sub(TOLD);
    if !timeline.is_empty() {
        out.push_str("\n## Timeline\n\n");
        timeline.iter().skip(skip).for_each(|e| out.push_str(&told(e)));
    }
    out
}

fn status(i: &Incident) -> String {
    match (i.status, i.resolved_at, i.merged_into) {
        (IncidentStatus::Resolved, Some(at), _) => {
            let how = i.resolution.as_deref().map(|r| format!(": {}", say::foreign(r))).unwrap_or_default();
            format!("resolved {}{how}", say::moment(at))
        }
        (IncidentStatus::Merged, _, Some(into)) => format!("merged into {into}"),
        (status, ..) => match &i.snoozed {
            Some(s) => format!("{status}, snoozed until {}", say::moment(s.until)),
            None => status.to_string(),
        },
    }
}

fn cause(c: &Cause) -> String {
    let marks = say::marks(&c.evidence);
    format!("{}. {}, {}{marks}\n", c.rank, say::whole(&c.title), say::percent(c.confidence))
}

fn step(s: &Suggestion) -> String {
    // Inside a block of code nothing is markup but its own end.
    let command = s.command.as_deref().map(|c| {
        let lines: String = c.lines().map(|l| format!("  {l}\n")).collect();
        format!("\n  ````\n{lines}  ````\n")
    });
    let command = command.filter(|c| !c.contains("`````")).unwrap_or_else(|| "\n".to_owned());
    format!("- {}{command}", say::whole(&s.title))
}

fn alert(a: &Alert) -> String {
    let place = a.service.as_ref().or(a.host.as_ref()).map(|p| format!(", {}", say::foreign(p))).unwrap_or_default();
    let state = if a.is_open() { "" } else { ", over" };
    format!("- {}: {}{place}, since {}{state}\n", a.severity, say::foreign(&a.title), say::clock(a.onset_at))
}

fn told(e: &TimelineEntry) -> String {
    let by = if e.actor == "system" { String::new() } else { format!(" ({})", say::foreign(&e.actor)) };
    format!("- {} {}{by}\n", say::moment(e.at), say::foreign(&e.text))
}
