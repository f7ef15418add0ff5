//! What is to be told, before it has the form of a channel. Plain data: made by `render` from the store's rows, put into
//! words and bytes by the channels.

use std::{collections::BTreeMap, time::Duration};

use crate::model::*;

/// One message to one target.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// The same on every try, and no other message's: a UUID. What targets take for telling repeats apart.
    pub key: String,
    /// What happened, in order; several when earlier ones could not be told in time. Never empty.
    pub events: Vec<NoticeEvent>,
    /// When it is sent: what durations are counted to.
    pub now: Time,
    /// How long after it should have been told, when that is worth saying.
    pub late: Option<Duration>,
    /// It may have been told before: the process ended between sending and writing that down.
    pub repeated: bool,
    /// About what.
    pub about: About,
    /// Why this target is told, in one sentence: "Rule Payments." "Step 2 of Payments on-call, nobody acknowledged for
    /// 10 min."
    pub reason: String,
    /// Where to acknowledge with one press, signed for this target; none where that makes no sense.
    pub ack_url: Option<String>,
    /// The product's own address, without a slash at the end; for sender names and ids.
    pub base_url: String,
}

/// What a message is about.
#[derive(Clone, Debug, PartialEq)]
pub enum About {
    /// One incident.
    Incident(Box<Subject>),
    /// Many at once: a storm, or what a rule gathered.
    Digest(Digest),
    /// Nothing: somebody tries the channel.
    Test {
        /// Who does.
        by: String,
        /// What the receiver may hand back to show that it got it.
        token: String,
    },
}

/// An incident as messages tell it.
#[derive(Clone, Debug, PartialEq)]
pub struct Subject {
    /// Its number.
    pub id: IncidentId,
    /// Its title.
    pub title: String,
    /// The first alert's text.
    pub description: Option<String>,
    /// Where it stands.
    pub status: IncidentStatus,
    /// How bad.
    pub severity: Severity,
    /// What it was before, where that changed.
    pub severity_before: Option<Severity>,
    /// The service it began with.
    pub service: Option<String>,
    /// Every service of its alerts.
    pub services: Vec<String>,
    /// The machine it began with.
    pub host: Option<String>,
    /// The environment it began in.
    pub environment: Option<String>,
    /// Who has it.
    pub owner: Option<String>,
    /// As the first sender wrote it.
    pub started_at: Time,
    /// When somebody took it.
    pub acknowledged_at: Option<Time>,
    /// When it ended.
    pub resolved_at: Option<Time>,
    /// How it ended.
    pub resolution: Option<String>,
    /// Its page.
    pub url: String,
    /// The platform's slug.
    pub source: String,
    /// The platform as people write it.
    pub source_name: String,
    /// Deep link of the first alert.
    pub source_url: Option<String>,
    /// Runbook of its alert or service.
    pub runbook_url: Option<String>,
    /// Labels that all its alerts share.
    pub labels: BTreeMap<String, String>,
    /// Members.
    pub alert_count: u64,
    /// Members that are not over.
    pub firing_count: u64,
    /// The first alerts, at most twenty, the one that opened it first.
    pub alerts: Vec<AlertLine>,
    /// What the investigation found; none while it has not ended.
    pub answer: Option<Answer>,
    /// Other open incidents that are critical or high.
    pub other_critical: u64,
    /// Other open incidents that are less.
    pub other_warning: u64,
}

/// An alert as messages tell it.
#[derive(Clone, Debug, PartialEq)]
pub struct AlertLine {
    /// Its id.
    pub id: AlertId,
    /// One line.
    pub title: String,
    /// More.
    pub description: Option<String>,
    /// The service concerned.
    pub service: Option<String>,
    /// The machine concerned.
    pub host: Option<String>,
    /// How bad.
    pub severity: Severity,
    /// Now.
    pub status: AlertStatus,
    /// As the sender wrote it.
    pub started_at: Time,
    /// When it ended.
    pub ended_at: Option<Time>,
    /// Its labels: chart, space, room and so on of the sender are among them.
    pub labels: BTreeMap<String, String>,
    /// Deep link.
    pub source_url: Option<String>,
}

/// What an investigation found, short.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// How sure.
    pub conclusion: Conclusion,
    /// Two or three sentences.
    pub summary: String,
    /// The leading cause and how likely it is, 0 to 1.
    pub leading: Option<(String, f64)>,
    /// The first thing to look at or do: title and command.
    pub first_step: Option<(String, Option<String>)>,
}

/// Many incidents in one message.
#[derive(Clone, Debug, PartialEq)]
pub struct Digest {
    /// How many it tells of.
    pub incidents: u64,
    /// How many of each severity, worst first; none that are 0.
    pub severities: Vec<(Severity, u64)>,
    /// The services with most of them, at most five.
    pub services: Vec<(String, u64)>,
    /// How many were opened, acknowledged, resolved: by event, in the order of `NoticeEvent`.
    pub events: Vec<(NoticeEvent, u64)>,
    /// The worst of them, at most ten: name, severity, status, title, page.
    pub first: Vec<DigestLine>,
    /// The list of all.
    pub url: String,
}

/// One incident in a digest.
#[derive(Clone, Debug, PartialEq)]
pub struct DigestLine {
    /// Its number.
    pub id: IncidentId,
    /// How bad.
    pub severity: Severity,
    /// Where it stands.
    pub status: IncidentStatus,
    /// One line.
    pub title: String,
    /// Its page.
    pub url: String,
}

impl Message {
    /// What happened last: what the message says first.
    pub fn event(&self) -> NoticeEvent {
        self.events.last().copied().unwrap_or(NoticeEvent::Opened)
    }

    /// It is about an incident that is over.
    pub fn is_over(&self) -> bool {
        self.subject().is_some_and(|s| !s.status.is_open())
    }

    /// The incident, if it is about one.
    pub fn subject(&self) -> Option<&Subject> {
        match &self.about {
            About::Incident(subject) => Some(subject),
            About::Digest(_) | About::Test { .. } => None,
        }
    }

    /// How bad what it tells is; information for a test.
    pub fn severity(&self) -> Severity {
        match &self.about {
            About::Incident(subject) => subject.severity,
            About::Digest(digest) => digest.severities.first().map_or(Severity::Info, |(s, _)| *s),
            About::Test { .. } => Severity::Info,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::channels::samples, *};

    #[test]
    fn samples_say_what_happened_last_and_how_bad_it_is() {
        use NoticeEvent as E;
        for (name, event, over, severity, about) in [
            ("opened", E::Opened, false, Severity::Critical, true),
            ("severity-up", E::SeverityUp, false, Severity::Critical, true),
            ("analyzed", E::Analyzed, false, Severity::Critical, true),
            ("acknowledged", E::Acknowledged, false, Severity::Critical, true),
            ("escalated", E::Escalated, false, Severity::Critical, true),
            ("reminder", E::Reminder, false, Severity::Critical, true),
            ("resolved", E::Resolved, true, Severity::Critical, true),
            ("opened-and-resolved", E::Resolved, true, Severity::Critical, true),
            ("merged", E::Merged, true, Severity::Critical, true),
            // The worst of those that it tells of.
            ("digest", E::Opened, false, Severity::Critical, false),
            ("test", E::Test, false, Severity::Info, false),
            ("bare", E::Opened, false, Severity::Info, true),
        ] {
            let (_, message) = samples::all().into_iter().find(|(n, _)| *n == name).unwrap();
            let got = (message.event(), message.is_over(), message.severity(), message.subject().is_some());
            assert_eq!(got, (event, over, severity, about), "{name}");
        }
        let (_, mut message) = samples::all().remove(0);
        message.events.clear();
        assert_eq!(message.event(), E::Opened);
    }
}
