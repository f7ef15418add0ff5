//! What happened when, from alerts, changes and the incident's own timeline.

use std::collections::BTreeSet;

use super::{Material, say};
use crate::model::*;

/// Services whose first alert has a line of its own.
const FIRSTS: usize = 12;
/// Lines in all; of more, those in the middle are left out.
const LINES: usize = 80;

/// A table in order of time.
pub fn timeline(m: &Material) -> String {
    let mut rows = alerts(m);
    rows.extend(m.changes.iter().filter_map(|c| Some((c.at?, change(c)))));
    rows.extend(m.timeline.iter().filter_map(|e| Some((e.at, entry(m, e)?))));
    rows.sort_by_key(|(at, _)| *at);
    let (first, last) = (m.onset(), rows.last().map_or(m.onset(), |(at, _)| *at));
    let one_day = rows.first().is_none_or(|(at, _)| say::date(*at) == say::date(last));
    let head = if one_day { format!("{}, UTC", say::date(first)) } else { "UTC".to_owned() };
    let stamp = if one_day { "%H:%M" } else { "%-d %b %H:%M" };
    let left_out = rows.len().saturating_sub(LINES);
    let mut table = format!("| {head} | Event |\n|---|---|\n");
    for (n, (at, text)) in rows.iter().enumerate() {
        let middle = n >= LINES / 2 && n < LINES / 2 + left_out;
        if middle {
            if n == LINES / 2 {
                table.push_str(&format!("| | {} left out here |\n", say::count(left_out, "line")));
            }
            continue;
        }
        table.push_str(&format!("| {} | {text} |\n", at.timestamp().strftime(stamp)));
    }
    table.trim_end().to_owned()
}

/// The first alert of each service, and how many came besides.
fn alerts(m: &Material) -> Vec<(Time, String)> {
    let mut seen = BTreeSet::new();
    let mut rows = Vec::new();
    for alert in &m.alerts {
        let place = alert.service.as_deref().or(alert.host.as_deref());
        if !seen.insert(place.map(name_key)) || rows.len() >= FIRSTS {
            continue;
        }
        let of = place.map(|p| format!(" of {}", say::foreign(p))).unwrap_or_default();
        let from = say::foreign(&alert.platform);
        rows.push((
            alert.onset_at,
            format!("First alert{of}: {} ({from}, {})", say::quoted(&alert.title), alert.severity),
        ));
    }
    let told = u64::try_from(rows.len()).unwrap_or(u64::MAX);
    let more = m.incident.alert_count.saturating_sub(told);
    if let Some(last) = m.alerts.last().filter(|_| more > 0 && told > 0) {
        rows.push((last.onset_at, format!("{} by now", say::count(more, "further alert"))));
    }
    // By itself, not because somebody closed the incident.
    let over = |a: &Alert| a.ended_at.filter(|at| m.incident.resolved_at.is_none_or(|r| *at < r));
    let all = u64::try_from(m.alerts.len()).is_ok_and(|n| n == m.incident.alert_count);
    if all
        && m.alerts.iter().all(|a| over(a).is_some())
        && let Some(last) = m.alerts.iter().filter_map(over).max()
    {
        rows.push((last, "The last alert ended".to_owned()));
    }
    rows
}

fn change(c: &Change) -> String {
    let of = c.service.as_deref().map(|s| format!(" of {}", say::foreign(s))).unwrap_or_default();
    let version = c.version.as_deref().filter(|v| !v.is_empty() && !c.title.contains(*v));
    let version = version.map(|v| format!(", version {}", say::foreign(v))).unwrap_or_default();
    let outcome = c.outcome.as_deref().map(|o| format!(", {}", say::foreign(o))).unwrap_or_default();
    let kind = match c.kind {
        ChangeKind::Deploy => "Deploy",
        ChangeKind::Build => "Build",
        ChangeKind::Config => "Change of configuration",
        ChangeKind::Flag => "Change of a flag",
        ChangeKind::Other => "Change",
    };
    format!("{kind}{of}: {}{version}{outcome}", say::quoted(&c.title))
}

/// What of the incident's own timeline tells its story; none for the rest.
fn entry(m: &Material, e: &TimelineEntry) -> Option<String> {
    let by = if e.actor == "system" { String::new() } else { format!(", by {}", say::foreign(&e.actor)) };
    let text = say::foreign(e.text.trim().trim_end_matches('.'));
    Some(match e.kind {
        TimelineKind::Opened => format!("{} was opened", m.incident.id),
        TimelineKind::Comment => format!("{} wrote: {}", say::foreign(&e.actor), say::quoted(&e.text)),
        TimelineKind::Resolved => format!("Resolved{by}: {text}"),
        // An alert tells of itself above; what was found stands under the causes.
        TimelineKind::AlertCorrelated
        | TimelineKind::AlertResolved
        | TimelineKind::AlertRefired
        | TimelineKind::AlertNote
        | TimelineKind::AlertAcknowledged
        | TimelineKind::AlertMoved
        | TimelineKind::FlappingEnded
        | TimelineKind::Title
        | TimelineKind::Service
        | TimelineKind::InvestigationStarted
        | TimelineKind::Threshold
        | TimelineKind::Notified
        | TimelineKind::Postmortem => return None,
        TimelineKind::Feedback if e.data.get("state").is_some_and(|s| s != "done") => return None,
        TimelineKind::Acknowledged
        | TimelineKind::Unacknowledged
        | TimelineKind::Owner
        | TimelineKind::Reopened
        | TimelineKind::Merged
        | TimelineKind::Unmerged
        | TimelineKind::Severity
        | TimelineKind::FlappingBegan
        | TimelineKind::InvestigationFinished
        | TimelineKind::Muted
        | TimelineKind::Unmuted
        | TimelineKind::Snoozed
        | TimelineKind::Woken
        | TimelineKind::Feedback => format!("{text}{by}"),
    })
}
