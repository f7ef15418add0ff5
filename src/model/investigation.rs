//! What an investigation writes: thoughts, evidence, causes, suggestions.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::{FirstAnswer, IncidentId, Judged, Opinion, OwnWords, Severity, Time, words};

words! {
    /// Where an investigation stands.
    InvestigationState {
        /// Nothing asked for.
        Idle = "idle",
        /// Waits for its turn.
        Queued = "queued",
        /// Runs.
        Running = "running",
        /// Ended with an answer, maybe "inconclusive".
        Complete = "complete",
        /// Ended without one.
        Error = "error",
        /// Stopped by a person.
        Cancelled = "cancelled",
    }
}
words! {
    /// How sure an investigation is of its leading cause.
    Conclusion {
        /// By a person or by decisive evidence.
        Confirmed = "confirmed",
        /// More likely than the rest together.
        Likely = "likely",
        /// Nothing leads.
        Inconclusive = "inconclusive",
    }
}
words! {
    /// What kind of line it is.
    ThoughtKind {
        /// Something seen.
        Observation = "observation",
        /// Something looked for or compared.
        Analysis = "analysis",
        /// A possible cause, or a cause ruled out.
        Hypothesis = "hypothesis",
        /// Something done: a question asked of a tool.
        Action = "action",
        /// The end.
        Conclusion = "conclusion",
    }
}
words! {
    /// What a suggestion is for.
    SuggestionKind {
        /// Find out more.
        Diagnostic = "diagnostic",
        /// Lessen the harm.
        Mitigation = "mitigation",
        /// Remove the cause.
        Fix = "fix",
        /// Keep it from happening again.
        Prevention = "prevention",
    }
}
words! {
    /// What running a suggestion may do.
    Risk {
        /// Reads only.
        Safe = "safe",
        /// Can be undone.
        Low = "low",
        /// Can be undone with effort.
        Medium = "medium",
        /// Something is lost.
        High = "high",
    }
}
words! {
    /// What a person did with a suggestion.
    SuggestionState {
        /// Nothing yet.
        Open = "open",
        /// Ran it.
        Done = "done",
        /// Did not want it.
        Dismissed = "dismissed",
    }
}
words! {
    /// What a person said of a cause.
    Verdict {
        /// This is it.
        Right = "right",
        /// Not this.
        Wrong = "wrong",
    }
}
words! {
    /// Where a piece of evidence comes from.
    EvidenceKind {
        /// An alert of the incident.
        Alert = "alert",
        /// A deploy, build or configuration change.
        Change = "change",
        /// An earlier incident.
        Incident = "incident",
        /// A figure computed from stored alerts.
        Statistic = "statistic",
        /// A figure that a monitoring tool was asked for.
        Metric = "metric",
        /// Lines of a log.
        Log = "log",
        /// Who calls whom.
        Topology = "topology",
        /// A section of a runbook.
        Runbook = "runbook",
    }
}
words! {
    /// A tool that can be asked.
    Tool {
        /// A Netdata agent.
        Netdata = "netdata",
        /// Prometheus, or what speaks its API.
        Prometheus = "prometheus",
        /// Loki.
        Loki = "loki",
        /// The console text of a Jenkins build.
        Jenkins = "jenkins",
    }
}
words! {
    /// What an alert complains of.
    Symptom {
        /// Nothing answers.
        Unavailable = "unavailable",
        /// Answers are errors.
        Errors = "errors",
        /// Answers are slow.
        Latency = "latency",
        /// Processor time.
        Cpu = "cpu",
        /// Memory.
        Memory = "memory",
        /// Disk space.
        DiskSpace = "disk_space",
        /// Disk speed.
        DiskIo = "disk_io",
        /// Packets, links, DNS.
        Network = "network",
        /// Certificates and TLS.
        Certificate = "certificate",
        /// Connections or pools used up.
        ConnectionExhaustion = "connection_exhaustion",
        /// Queues and lag.
        Backlog = "backlog",
        /// Copies behind.
        Replication = "replication",
        /// Restarts and crashes.
        Restarts = "restarts",
        /// Builds and deploys that failed.
        BuildFailure = "build_failure",
        /// Logins, attacks.
        Security = "security",
        /// More or fewer requests than usual.
        Traffic = "traffic",
        /// Not recognised.
        Unknown = "unknown",
    }
}

/// One line of the log of an investigation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Thought {
    /// 1, 2, 3 … in order.
    pub id: u32,
    /// When it was written.
    pub at: Time,
    /// What kind of line.
    pub kind: ThoughtKind,
    /// The sentence.
    pub text: String,
    /// Ids of evidence it rests on.
    #[serde(default)]
    pub evidence: Vec<String>,
}

/// Something seen that thoughts and causes rest on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Evidence {
    /// `E1`, `E2`, …
    pub id: String,
    /// Where it comes from.
    pub kind: EvidenceKind,
    /// One line.
    pub title: String,
    /// When it happened.
    pub at: Time,
    /// Where to see it.
    #[serde(default)]
    pub url: Option<String>,
    /// The facts.
    #[serde(default)]
    pub data: Value,
}

/// A possible cause.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Cause {
    /// 1 is the leading one.
    pub rank: u32,
    /// The service at fault.
    #[serde(default)]
    pub service: Option<String>,
    /// The machine at fault.
    #[serde(default)]
    pub host: Option<String>,
    /// What is wrong with it.
    #[serde(default)]
    pub symptom: Option<Symptom>,
    /// One line.
    pub title: String,
    /// 0 to 1.
    pub confidence: f64,
    /// Evidence for.
    #[serde(default)]
    pub evidence: Vec<String>,
    /// Evidence against.
    #[serde(default)]
    pub against: Vec<String>,
    /// Looked at and excluded; stays visible.
    #[serde(default)]
    pub ruled_out: bool,
    /// What its points sum up to; what confidence was made of.
    #[serde(default)]
    pub score: f64,
    /// Every reason with its share of the score, strongest first.
    #[serde(default)]
    pub points: Vec<CausePoint>,
    /// What a person said of it.
    #[serde(default)]
    pub verdict: Option<Verdict>,
}

/// One reason for or against a cause.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CausePoint {
    /// What kind of reason, one stable word.
    pub feature: String,
    /// Its share of the score; below zero it speaks against.
    pub weight: f64,
    /// A clause without capital and full stop.
    pub text: String,
    /// Ids of evidence.
    #[serde(default)]
    pub evidence: Vec<String>,
}

/// Something to do. Text to copy; never run by the product.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Suggestion {
    /// `S1`, `S2`, …
    pub id: String,
    /// The entry of the catalogue that it is made of, by which files replace it or switch it off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entry: Option<String>,
    /// What for.
    pub kind: SuggestionKind,
    /// What it may do.
    pub risk: Risk,
    /// One line.
    pub title: String,
    /// Why, and what to expect.
    pub rationale: String,
    /// To copy; names from alerts are shell-quoted.
    #[serde(default)]
    pub command: Option<String>,
    /// How to take it back.
    #[serde(default)]
    pub undo: Option<String>,
    /// Evidence it rests on.
    #[serde(default)]
    pub evidence: Vec<String>,
    /// Where it is written down.
    #[serde(default)]
    pub runbook_url: Option<String>,
    /// What the maker of the tool says of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub docs_url: Option<String>,
    /// What a person did with it.
    pub state: SuggestionState,
}

/// The answer of an investigation: everything but its thoughts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Investigation {
    /// Ranked.
    #[serde(default)]
    pub causes: Vec<Cause>,
    /// In order of discovery.
    #[serde(default)]
    pub evidence: Vec<Evidence>,
    /// Diagnostics before fixes.
    #[serde(default)]
    pub suggestions: Vec<Suggestion>,
    /// What a person found to be the cause. It outlasts every later investigation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recorded: Option<RecordedCause>,
    /// What a language model thinks of it; causes and ranks are never its.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opinion: Option<Opinion>,
    /// What people said of causes. It outlasts every later investigation.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub judged: Vec<Judged>,
    /// What was put first before anybody judged: later runs change it only until then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first: Option<FirstAnswer>,
    /// How the last run itself ended; none before the first has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own: Option<OwnWords>,
}

/// The cause as a person recorded it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RecordedCause {
    /// The service at fault.
    #[serde(default)]
    pub service: Option<String>,
    /// The machine at fault.
    #[serde(default)]
    pub host: Option<String>,
    /// What was wrong with it.
    #[serde(default)]
    pub symptom: Option<Symptom>,
    /// Who says so.
    pub by: String,
    /// Since when.
    pub at: Time,
}

impl RecordedCause {
    /// The same as an investigation would have found it.
    pub fn as_cause(&self) -> Cause {
        let what = self.symptom.filter(|s| *s != Symptom::Unknown).map(|s| s.as_str().replace('_', " "));
        let title = match (self.service.as_ref().or(self.host.as_ref()), what) {
            (Some(place), Some(what)) => format!("{place}: {what}"),
            (Some(place), None) => place.clone(),
            (None, what) => what.unwrap_or_else(|| "recorded without a service".to_owned()),
        };
        Cause {
            rank: 1,
            service: self.service.clone(),
            host: self.host.clone(),
            symptom: self.symptom,
            title,
            confidence: 1.0,
            evidence: Vec::new(),
            against: Vec::new(),
            ruled_out: false,
            score: 0.0,
            points: Vec::new(),
            verdict: Some(Verdict::Right),
        }
    }
}

/// The right to write one run of an investigation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Lease {
    /// Of which incident.
    pub incident: IncidentId,
    /// Which run.
    pub number: u64,
}

/// A wish that an incident be investigated; in the store until it is done, so that no crash forgets it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Job {
    /// Which incident.
    pub incident: IncidentId,
    /// Since when it waits.
    pub queued_at: Time,
    /// Not before this time (lets a burst assemble first).
    pub not_before: Time,
    /// Taken by a runner until then; a lease that ran out is taken again.
    #[serde(default)]
    pub leased_until: Option<Time>,
    /// Times taken.
    #[serde(default)]
    pub attempts: u32,
    /// Why: `opened`, `asked`, `changed`.
    pub reason: String,
    /// How bad the incident was when it was queued: the most urgent job is found without reading its incident.
    pub severity: Severity,
    /// Grows with every lease of any job: a runner whose lease is over can no longer write.
    #[serde(default)]
    pub lease: u64,
    /// Asked for again while it ran: run once more at the end.
    #[serde(default)]
    pub again: bool,
    /// The answer of this run was stored already; what follows adds to it.
    #[serde(default)]
    pub answered: bool,
}

impl Job {
    /// The right to write the run that this job was leased for.
    pub const fn lease(&self) -> Lease {
        Lease { incident: self.incident, number: self.lease }
    }
}
