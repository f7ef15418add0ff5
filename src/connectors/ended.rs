//! Workflows, pipelines and deployments that have ended: a change each, and an alert where failures open incidents.

use super::{identity, labels, labels::Labels, text};
use crate::model::{Change, ChangeKind, Severity, Signal, SignalStatus, Time};

/// Something that has ended, well or not.
pub(super) struct Ended {
    /// `Workflow`, `Pipeline`, …
    pub what: &'static str,
    /// What its parts identify, in a sentence.
    pub rule: &'static str,
    /// What makes the next one the same alert.
    pub parts: Vec<(&'static str, Option<String>)>,
    /// Which, for the title.
    pub label: String,
    pub kind: ChangeKind,
    /// In the sender's word.
    pub outcome: String,
    /// What that word means, and how the title has it.
    pub state: (SignalStatus, Severity, &'static str),
    pub service: Option<String>,
    pub environment: Option<String>,
    pub url: Option<String>,
    pub commit: Option<String>,
    pub began: Option<Time>,
    pub ended: Option<Time>,
    pub description: Option<String>,
    pub details: Labels,
}

impl Ended {
    fn title(&self) -> String {
        text::line(&format!("{} {}: {}", self.what, self.state.2, self.label), 500)
    }

    /// As a change of this platform.
    pub fn change(&self, platform: &str) -> Change {
        Change {
            service: self.service.as_deref().and_then(text::name),
            kind: self.kind,
            title: self.title(),
            url: self.url.clone(),
            version: self.commit.as_deref().and_then(text::name),
            at: self.ended.or(self.began),
            source: platform.to_owned(),
            outcome: text::name(&self.outcome),
            details: self.details.clone(),
        }
    }

    /// As what it says of an alert.
    pub fn signal(&self, platform: &str) -> Signal {
        let parts: Vec<(&str, Option<&str>)> = self.parts.iter().map(|(n, v)| (*n, v.as_deref())).collect();
        let mut signal = identity::signal(platform, self.rule, &parts, self.title());
        (signal.status, signal.severity, _) = self.state;
        signal.severity_raw = text::name(&self.outcome);
        signal.service = self.service.as_deref().and_then(text::name);
        signal.environment = self.environment.as_deref().and_then(text::name);
        signal.observed_at = self.ended;
        match signal.status {
            // The failure is what fires, and it happened at the end.
            SignalStatus::Firing => signal.started_at = self.ended.or(self.began),
            SignalStatus::Resolved => signal.ended_at = self.ended,
            SignalStatus::Acknowledged | SignalStatus::Info => {}
        }
        signal.description = self.description.as_deref().and_then(text::description);
        signal.url = self.url.clone();
        for (name, value) in &self.parts {
            labels::add(&mut signal.labels, name, value.as_deref());
        }
        signal.annotations = self.details.clone();
        signal
    }
}

/// The words of a title, those that are there.
pub(super) fn label(name: Option<&str>, branch: Option<&str>, project: Option<&str>) -> String {
    let words = [name.map(str::to_owned), branch.map(|b| format!("on {b}")), project.map(|p| format!("({p})"))];
    words.into_iter().flatten().collect::<Vec<_>>().join(" ")
}

/// Whether a job of that name brings something out, as far as its name says.
pub(super) fn deploys(name: &str) -> bool {
    name.split(|c: char| !c.is_ascii_alphanumeric())
        .any(|word| ["deploy", "deployment", "release", "rollout"].iter().any(|d| word.eq_ignore_ascii_case(d)))
}
