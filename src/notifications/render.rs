//! From rows to a message, as things stand when it is sent: what changed while it waited is told as it is now.

use std::collections::BTreeMap;

use super::message::{About, AlertLine, Answer, Digest, DigestLine, Message, Subject};
use crate::{
    connectors,
    model::*,
    store::{Package, StoreError, View},
};

/// Alerts told of one incident.
const ALERTS: usize = 20;
/// Incidents named in a digest, and services.
const NAMED: usize = 10;
const SERVICES: usize = 5;
/// A message that comes later than this says so.
const LATE: std::time::Duration = std::time::Duration::from_secs(5 * 60);

/// What is known of the server itself.
#[derive(Clone, Debug)]
pub struct Here {
    /// Its address for others, without a slash at the end.
    pub base_url: String,
    /// Now.
    pub now: Time,
}

/// The message that a package is. None when there is nothing left to tell: the incident is gone.
pub fn message(
    view: &View,
    package: &Package,
    here: &Here,
    ack: impl Fn(IncidentId, NoticeId) -> String,
) -> Result<Option<Message>, StoreError> {
    let Some(lead) = package.notices.first() else { return Ok(None) };
    let (about, ack_url) = match lead.incident {
        None => {
            let by = lead.person.clone().unwrap_or_default();
            (About::Test { by, token: lead.key.clone() }, None)
        }
        Some(_) if package.digest => match digest(view, package, here)? {
            Some(digest) => (About::Digest(digest), None),
            None => return Ok(None),
        },
        Some(id) => match subject(view, id, here)? {
            Some(mut subject) => {
                subject.severity_before = package.notices.iter().find_map(|n| n.severity_before);
                let open = subject.status.is_open() && subject.acknowledged_at.is_none();
                let url = open.then(|| format!("{}/ack/{}", here.base_url, ack(id, lead.id)));
                (About::Incident(Box::new(subject)), url)
            }
            None => return Ok(None),
        },
    };
    let mut events: Vec<NoticeEvent> = Vec::new();
    for event in package.notices.iter().map(|n| n.event) {
        if !events.contains(&event) {
            events.push(event);
        }
    }
    // Of several the last one's, so that another message than the one that was tried has another key: what a target takes for
    // a repeat it leaves out.
    let key = package.notices.last().unwrap_or(lead).key.clone();
    let planned = package.notices.iter().map(|n| n.planned_at).min().unwrap_or(here.now);
    Ok(Some(Message {
        key,
        events,
        now: here.now,
        late: Some(here.now.since(planned)).filter(|late| *late >= LATE),
        repeated: package.notices.iter().any(|n| n.in_doubt),
        about,
        reason: lead.reason.clone(),
        ack_url,
        base_url: here.base_url.clone(),
    }))
}

/// How an incident stands, for a message that is changed in place beside the outbox, with the reason of a notice that was
/// sent there. None while it stands as that notice told, or is gone.
pub fn standing(view: &View, told: &Notice, here: &Here) -> Result<Option<Message>, StoreError> {
    let Some(id) = told.incident else { return Ok(None) };
    let Some(subject) = subject(view, id, here)? else { return Ok(None) };
    let event = match subject.status {
        IncidentStatus::Resolved => NoticeEvent::Resolved,
        IncidentStatus::Merged => NoticeEvent::Merged,
        _ if subject.acknowledged_at.is_some() => NoticeEvent::Acknowledged,
        _ => return Ok(None),
    };
    Ok(Some(Message {
        key: told.key.clone(),
        events: vec![event],
        now: here.now,
        late: None,
        repeated: false,
        about: About::Incident(Box::new(subject)),
        reason: told.reason.clone(),
        ack_url: None,
        base_url: here.base_url.clone(),
    }))
}

/// A text of an investigation without its marks of evidence (`[E3, E7]`), which lead nowhere from a message.
fn unmarked(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(" [E") {
        let (before, behind) = rest.split_at(at);
        out.push_str(before);
        let mark = behind.find(']').filter(|end| {
            let inside = behind.get(2..*end).unwrap_or_default();
            inside
                .split(", ")
                .all(|id| id.strip_prefix('E').is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit())))
        });
        let skip = mark.map_or(" [E".len(), |end| end + 1);
        if mark.is_none() {
            out.push_str(" [E");
        }
        rest = behind.get(skip..).unwrap_or_default();
    }
    out.push_str(rest);
    out
}

/// A platform as people write it; one that people declare by its own word.
fn source_name(slug: &str) -> String {
    connectors::ALL.iter().find(|c| c.slug() == slug).map_or_else(|| slug.to_owned(), |c| c.name().to_owned())
}

fn page(here: &Here, id: IncidentId) -> String {
    format!("{}/incidents/{id}", here.base_url)
}

/// An incident as messages tell it.
pub fn subject(view: &View, id: IncidentId, here: &Here) -> Result<Option<Subject>, StoreError> {
    let Some(i) = view.incident(id)? else { return Ok(None) };
    let members = view.members(id, ALERTS)?;
    let first = members.first().map(|(_, alert)| alert.clone());
    let service = match &i.service {
        Some(name) => view.service(name)?,
        None => None,
    };
    let runbook = first.as_ref().and_then(|a| a.runbook_url.clone()).or_else(|| service.and_then(|s| s.runbook_url));
    let (open, critical) = view.open_about(here.now)?;
    let own = u64::from(i.is_open());
    let own_critical = u64::from(i.is_open() && i.severity == Severity::Critical);
    let conclusion = i.investigation.conclusion.unwrap_or(Conclusion::Inconclusive);
    // What to look at next helps nobody any more when it is over, but what it was does.
    let useful = i.is_open() || conclusion != Conclusion::Inconclusive;
    let answer = match (&i.investigation.summary, i.investigation.state) {
        (Some(summary), InvestigationState::Complete) if useful => {
            let found = view.investigation(id)?;
            let step = found.suggestions.iter().find(|s| i.is_open() && s.state == SuggestionState::Open);
            Some(Answer {
                conclusion,
                summary: unmarked(summary),
                leading: i.leading.as_ref().map(|l| (l.title.clone(), l.confidence)),
                first_step: step.map(|s| (s.title.clone(), s.command.clone())),
            })
        }
        _ => None,
    };
    let alerts = members.into_iter().map(|(_, a)| AlertLine {
        id: a.id,
        title: a.title,
        description: a.description,
        service: a.service,
        host: a.host,
        severity: a.severity,
        status: a.status,
        started_at: a.started_at,
        ended_at: a.ended_at,
        labels: a.labels,
        source_url: a.source_url,
    });
    Ok(Some(Subject {
        id,
        title: i.title,
        description: first.and_then(|a| a.description),
        status: i.status,
        severity: i.severity,
        severity_before: None,
        service: i.service,
        services: i.affected_services,
        host: i.host,
        environment: i.environment,
        owner: i.owner,
        started_at: i.started_at,
        acknowledged_at: i.acknowledged_at,
        resolved_at: i.resolved_at,
        resolution: i.resolution,
        url: page(here, id),
        source_name: source_name(&i.source),
        source: i.source,
        source_url: i.source_url,
        runbook_url: runbook,
        labels: i.labels,
        alert_count: i.alert_count,
        firing_count: i.firing_count,
        alerts: alerts.collect(),
        answer,
        other_critical: critical.saturating_sub(own_critical),
        other_warning: open.saturating_sub(critical).saturating_sub(own - own_critical),
    }))
}

/// Many incidents as one message.
fn digest(view: &View, package: &Package, here: &Here) -> Result<Option<Digest>, StoreError> {
    let mut found: BTreeMap<IncidentId, Incident> = BTreeMap::new();
    let mut events: BTreeMap<NoticeEvent, u64> = BTreeMap::new();
    for notice in &package.notices {
        let Some(id) = notice.incident else { continue };
        *events.entry(notice.event).or_default() += 1;
        if !found.contains_key(&id)
            && let Some(incident) = view.incident(id)?
        {
            found.insert(id, incident);
        }
    }
    let mut all: Vec<Incident> = found.into_values().collect();
    if all.is_empty() {
        return Ok(None);
    }
    all.sort_by_key(|i| (!i.is_open(), i.severity, i.id));
    let mut severities: BTreeMap<Severity, u64> = BTreeMap::new();
    let mut services: BTreeMap<String, u64> = BTreeMap::new();
    for i in &all {
        *severities.entry(i.severity).or_default() += 1;
        if let Some(service) = &i.service {
            *services.entry(service.clone()).or_default() += 1;
        }
    }
    let mut services: Vec<(String, u64)> = services.into_iter().collect();
    services.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(&b.0)));
    services.truncate(SERVICES);
    let first = all.iter().take(NAMED).map(|i| DigestLine {
        id: i.id,
        severity: i.severity,
        status: i.status,
        title: i.title.clone(),
        url: page(here, i.id),
    });
    Ok(Some(Digest {
        incidents: all.len() as u64,
        severities: severities.into_iter().collect(),
        services,
        events: events.into_iter().collect(),
        first: first.collect(),
        url: format!("{}/incidents", here.base_url),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_of_evidence_are_left_out() {
        for (text, want) in [
            ("It is so [E3]. And [E1, E12] so.", "It is so. And so."),
            ("No mark [Eve] and [E] here", "No mark [Eve] and [E] here"),
            ("Open [E3", "Open [E3"),
            ("", ""),
        ] {
            assert_eq!(unmarked(text), want, "{text}");
        }
    }
}
