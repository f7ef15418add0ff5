//! The whole as one Markdown document.

use super::say;
use crate::model::*;

/// In the place of a section that is empty, and of actions where there are none.
pub(super) const EMPTY: &str = "Nothing is written here.";
pub(super) const NONE: &str = "None yet.";

/// The name of the file.
pub fn file_name(id: IncidentId) -> String {
    format!("postmortem-{id}.md")
}

/// Title, facts, sections, actions, and the evidence that they name.
pub fn markdown(incident: &Incident, postmortem: &Postmortem, evidence: &[Evidence]) -> String {
    let text = &postmortem.text;
    let lasted = incident.resolved_at.map(|at| {
        let onset = incident.onset_at.min(incident.detected_at);
        format!("- Lasted: {} ({} to {})\n", say::duration(at.since(onset)), say::moment(onset), say::moment(at))
    });
    let mut out = format!(
        "# {}\n\n- Incident: {}, {}\n- Severity: {}\n{}- State: {}, version {}\n",
        say::foreign(&text.title),
        incident.id,
        say::quoted(&incident.title),
        incident.severity,
        lasted.unwrap_or_default(),
        postmortem.state,
        postmortem.version,
    );
    for section in PostmortemSection::ALL {
        let body = text.section(*section).trim();
        let body = if body.is_empty() { EMPTY } else { body };
        out.push_str(&format!("\n## {}\n\n{body}\n", section.title()));
    }
    out.push_str("\n## Actions\n\n");
    out.push_str(&actions(&text.actions));
    let named = |e: &&Evidence| text.sections.values().any(|s| s.contains(&format!("[{}]", e.id)));
    let lines: Vec<String> = evidence.iter().filter(named).map(line).collect();
    if !lines.is_empty() {
        out.push_str(&format!("\n## Evidence\n\n{}", lines.concat()));
    }
    out
}

/// A table of actions.
pub fn actions(all: &[PostmortemAction]) -> String {
    if all.is_empty() {
        return format!("{NONE}\n");
    }
    let mut out = "| Action | Owner | Due | State |\n|---|---|---|---|\n".to_owned();
    for a in all {
        let owner = a.owner.as_deref().map(say::foreign).unwrap_or_default();
        let due = a.due.map(|d| d.to_string()).unwrap_or_default();
        out.push_str(&format!("| {} | {owner} | {due} | {} |\n", say::whole(&a.text), a.state.title()));
    }
    out
}

fn line(e: &Evidence) -> String {
    let link = e.url.as_deref().filter(|u| u.starts_with("https://") || u.starts_with("http://"));
    let link = link.filter(|u| !u.contains(['<', '>', ' '])).map(|u| format!(" <{u}>")).unwrap_or_default();
    format!("- **{}**: {}, {}{link}\n", e.id, say::foreign(&e.title), say::moment(e.at))
}
