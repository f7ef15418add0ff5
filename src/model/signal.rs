//! What a connector makes of one request: signals (about alerts), changes (deploys, builds) and notes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Change, Fingerprint, IdentityRule, IncidentId, Severity, Time, words};

/// The name of a sender's platform as it stands in URLs: `grafana`, `netdata`, … `manual` and `changes` are the API's own.
pub type Platform = String;

words! {
    /// What the sender says of its alert.
    SignalStatus {
        /// It burns.
        Firing = "firing",
        /// Somebody took it, in the sender's tool.
        Acknowledged = "acknowledged",
        /// It is over.
        Resolved = "resolved",
        /// Worth a line in the timeline of an open alert; opens nothing.
        Info = "info",
    }
}

/// One statement about one alert, in the form that every connector produces.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Signal {
    /// What is said.
    pub status: SignalStatus,
    /// The readable identity of the alert instance, the same for firing and resolved; begins with the platform.
    pub dedup_key: String,
    /// Which rule made the key, from which fields, for "why is this the same alert?".
    #[serde(default)]
    pub identity: IdentityRule,
    /// One line of plain text.
    pub title: String,
    /// Longer plain text or Markdown; HTML is stripped.
    #[serde(default)]
    pub description: Option<String>,
    /// On our scale.
    pub severity: Severity,
    /// As the sender wrote it.
    #[serde(default)]
    pub severity_raw: Option<String>,
    /// The service concerned; null is better than a guess.
    #[serde(default)]
    pub service: Option<String>,
    /// The machine concerned, without port.
    #[serde(default)]
    pub host: Option<String>,
    /// `production`, `staging`, … as sent.
    #[serde(default)]
    pub environment: Option<String>,
    /// When the sender says it began.
    #[serde(default)]
    pub started_at: Option<Time>,
    /// When the sender says it ended.
    #[serde(default)]
    pub ended_at: Option<Time>,
    /// When the sender saw what it reports, where it tells this apart from the start.
    #[serde(default)]
    pub observed_at: Option<Time>,
    /// The exact deep link into the sender's tool.
    #[serde(default)]
    pub url: Option<String>,
    /// A picture of the chart.
    #[serde(default)]
    pub image_url: Option<String>,
    /// A runbook named by the sender.
    #[serde(default)]
    pub runbook_url: Option<String>,
    /// What identifies.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// What explains.
    #[serde(default)]
    pub annotations: BTreeMap<String, String>,
    /// The sender's test button.
    #[serde(default)]
    pub is_test: bool,
    /// The JSON was not valid and was mended before reading.
    #[serde(default)]
    pub repaired: bool,
    /// The key by the connector's own rule, where people set another one for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own_key: Option<String>,
    /// Where in the body this item stands, as a JSON pointer; empty for the whole body.
    #[serde(default)]
    pub path: String,
    /// The sender's own name of this episode (Datadog's cycle key), where it has one.
    #[serde(default)]
    pub episode: Option<String>,
    /// The sender's own grouping, usable as evidence (`groupKey` of Grafana and Alertmanager).
    #[serde(default)]
    pub group_key: Option<String>,
    /// The platform never says that it is over: resolve after this many seconds without a repeat.
    #[serde(default)]
    pub quiet_after_secs: Option<u32>,
    /// Does not open an incident that is not open (Datadog's `Renotify`); still a repeat of an open one.
    #[serde(default)]
    pub repeat_only: bool,
}

impl Signal {
    /// A firing signal with nothing known but its identity and title; connectors fill in the rest.
    pub fn new(dedup_key: impl Into<String>, title: impl Into<String>) -> Self {
        Self {
            status: SignalStatus::Firing,
            dedup_key: dedup_key.into(),
            identity: IdentityRule::default(),
            title: title.into(),
            description: None,
            severity: Severity::Medium,
            severity_raw: None,
            service: None,
            host: None,
            environment: None,
            started_at: None,
            ended_at: None,
            observed_at: None,
            url: None,
            image_url: None,
            runbook_url: None,
            labels: BTreeMap::new(),
            annotations: BTreeMap::new(),
            is_test: false,
            repaired: false,
            own_key: None,
            path: String::new(),
            episode: None,
            group_key: None,
            quiet_after_secs: None,
            repeat_only: false,
        }
    }

    /// What makes it the same alert as another.
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(&self.dedup_key)
    }
}

/// Something in a request that is neither an alert nor a change.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Note {
    /// A ping or a test without an alert, in words.
    Ping(String),
    /// Netdata's verification token from its test notification, to be shown to the operator.
    TestToken(String),
    /// An always-firing alert that says that the sender is alive (`Watchdog`).
    Heartbeat(String),
    /// Recognised, but nothing to act on (build started, note written), in words.
    Ignored(String),
    /// Something about the reading itself: mended JSON, lossy text, cut groups.
    Warning(String),
}

words! {
    /// What somebody did in a tool that Watchfire tells of its incidents.
    ReplyAct {
        /// Took it.
        Acknowledge = "acknowledge",
        /// Ended it.
        Resolve = "resolve",
    }
}

/// What somebody did there to an incident that is ours: a wish that the same be done here. Never what we did there
/// ourselves.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reply {
    /// Which of ours.
    pub incident: IncidentId,
    /// What.
    pub act: ReplyAct,
    /// Who, as that tool names people; never empty.
    pub by: String,
    /// When, where it is said.
    #[serde(default)]
    pub at: Option<Time>,
}

/// All that one request says.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Parsed {
    /// About alerts, in the order of the body.
    #[serde(default)]
    pub signals: Vec<Signal>,
    /// Deploys, builds, configuration changes.
    #[serde(default)]
    pub changes: Vec<Change>,
    /// The rest.
    #[serde(default)]
    pub notes: Vec<Note>,
    /// The sender's own id of this delivery where its retries repeat it; scoped by platform when compared.
    #[serde(default)]
    pub retry_id: Option<String>,
    /// What people did elsewhere to incidents of ours.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub replies: Vec<Reply>,
}

impl Parsed {
    /// About how many bytes of memory its texts take.
    pub fn weight(&self) -> usize {
        let text = |t: &Option<String>| t.as_ref().map_or(0, String::len);
        let pairs = |m: &BTreeMap<String, String>| m.iter().map(|(k, v)| k.len() + v.len()).sum::<usize>();
        let signals = self.signals.iter().map(|s| {
            s.dedup_key.len()
                + s.own_key.as_ref().map_or(0, String::len)
                + s.title.len()
                + s.identity.rule.len()
                + s.identity.fields.iter().map(|(k, v)| k.len() + v.len()).sum::<usize>()
                + [&s.description, &s.severity_raw, &s.service, &s.host, &s.environment]
                    .into_iter()
                    .map(text)
                    .sum::<usize>()
                + [&s.url, &s.image_url, &s.runbook_url, &s.episode, &s.group_key].into_iter().map(text).sum::<usize>()
                + pairs(&s.labels)
                + pairs(&s.annotations)
        });
        let changes = self.changes.iter().map(|c| c.title.len() + text(&c.service) + text(&c.url) + pairs(&c.details));
        let replies = self.replies.iter().map(|r| std::mem::size_of::<Reply>() + r.by.len());
        signals.sum::<usize>() + changes.sum::<usize>() + replies.sum::<usize>()
    }
}
