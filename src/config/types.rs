//! The settings as the rooms use them: checked, with their defaults filled in.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    path::PathBuf,
    time::Duration,
};

use ipnet::IpNet;

use super::{model::ModelConfig, sign_in::SignIn};
pub use crate::model::CorrelationMode;
use crate::model::{AuthMode, Declaration, IdentityField, Severity};
pub use crate::outgoing::address::Url;

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Everything that can be set.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The file that was read, if any.
    pub file: Option<PathBuf>,
    /// Where the databases, the key file and the index are.
    pub data_dir: PathBuf,
    /// `host:port` to listen on; port 0 takes a free one.
    pub listen: String,
    /// How browsers and senders reach it, without a slash at the end; none means "as the request came".
    pub public_url: Option<String>,
    /// PEM file of the server's certificate chain; with it, the listener speaks TLS.
    pub tls_cert: Option<PathBuf>,
    /// PEM file of its private key.
    pub tls_key: Option<PathBuf>,
    /// PEM file of the CAs of senders whose connector has none of its own.
    pub tls_client_ca: Option<PathBuf>,
    /// Proxies whose headers are believed: `X-Forwarded-For`, `-Proto`, `-Host`, and those below.
    pub trusted_proxies: Vec<IpNet>,
    /// The header, in lower case, in which they pass a client's certificate.
    pub proxy_cert_header: Option<String>,
    /// The header, in lower case, in which they pass the subject of a client's certificate that they verified.
    pub proxy_subject_header: Option<String>,
    /// The header, in lower case, that says `SUCCESS` when they did.
    pub proxy_verify_header: Option<String>,
    /// Sign-in by an OpenID provider or a proxy in front, and what groups may do.
    pub sign_in: SignIn,
    /// `WATCHFIRE_BOOTSTRAP_TOKEN`: an administrator's token from outside, at least 24 characters.
    pub bootstrap_token: Option<String>,
    /// Log line format.
    pub log_format: LogFormat,
    /// Log filter, as of tracing's `EnvFilter`.
    pub log_level: String,
    /// Largest body of a webhook, after decompression, in bytes (1 MiB; at most 10 MiB).
    pub max_body: usize,
    /// Time to receive a request's whole body.
    pub body_deadline: Duration,
    /// Signed-in browsers stay signed in for this long.
    pub session_lifetime: Duration,
    /// Cache of each database file, in bytes.
    pub cache_bytes: usize,
    /// Bytes that must stay free on the disk for deliveries to be taken.
    pub reserve: u64,
    /// How long deliveries are kept as received.
    pub keep_deliveries: Duration,
    /// How long incidents are kept after their end.
    pub keep_incidents: Duration,
    /// Bytes of rows kept at most; 0 is unlimited.
    pub keep_bytes: u64,
    /// Folder of scheduled backups; none makes none.
    pub backup_dir: Option<PathBuf>,
    /// Time between two of them.
    pub backup_every: Duration,
    /// How many of them are kept.
    pub backup_keep: usize,
    /// How alerts are grouped.
    pub correlation_mode: CorrelationMode,
    /// An alert within this distance of an incident's start joins it.
    pub cluster_window: Duration,
    /// A re-fire within this time of the end reopens the incident.
    pub reopen_within: Duration,
    /// Incidents of test notifications close by themselves after this time.
    pub test_closes_after: Duration,
    /// How long an investigation waits for the rest of a burst.
    pub investigation_delay: Duration,
    /// Investigations at the same time.
    pub investigation_workers: usize,
    /// The language model that is asked for a second opinion, if one is.
    pub model: ModelConfig,
    /// The tools that investigations may ask.
    pub probes: ProbeSettings,
    /// PEM file of CAs that are trusted, besides those of the machine, in calls to other services.
    pub outgoing_ca: Option<PathBuf>,
    /// Networks of this machine and others that channels of notifications may lead to, although they are refused otherwise.
    pub notify_allow: Vec<IpNet>,
    /// Channels may have addresses without TLS.
    pub notify_plain_http: bool,
    /// Mail may go without TLS.
    pub notify_plain_mail: bool,
    /// Called each half minute while this server does what it should; a secret, as its path is often one.
    pub notify_heartbeat_url: Option<Url>,
    /// Folder of further suggestions; none has none.
    pub suggestions_dir: Option<PathBuf>,
    /// Folder of runbooks; none has none.
    pub runbooks_dir: Option<PathBuf>,
    /// File with phrases that tell symptoms, over those of the house; none has only those.
    pub symptoms_file: Option<PathBuf>,
    /// Deliveries that may wait to be applied before senders are told to wait.
    pub max_behind: u64,
    /// Keys of settings that pages can change as well, where they were given: then pages cannot.
    pub fixed: BTreeSet<&'static str>,
    /// What was given for options that pages only show.
    pub given: super::Given,
    /// Where the hosts of senders (for their certificates and confirmations) are asked instead; no option, for tests.
    pub outside: Option<String>,
    /// Made-up data is shown and goes on coming: a flag of `serve`, and no option.
    pub demo: bool,
    /// Settings of connectors that are fixed by the file or the environment; they win over what the pages set.
    pub connectors: BTreeMap<String, ConnectorConfig>,
    /// Sources that the file declares, by their name in URLs; the pages show them and cannot change them.
    pub sources: BTreeMap<String, Declaration>,
}

/// What the configuration fixes about one connector; `None` leaves it to the pages and the API.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ConnectorConfig {
    /// Takes deliveries.
    pub enabled: Option<bool>,
    /// How senders prove who they are.
    pub auth: Option<AuthMode>,
    /// Build servers: failed builds open incidents.
    pub rca_enabled: Option<bool>,
    /// Deliveries a minute, sustained; 0 is unlimited.
    pub rate_per_minute: Option<u32>,
    /// Severities that open or join incidents.
    pub opens: Option<Vec<Severity>>,
    /// What the sender puts into one group belongs to one incident.
    pub group_by_sender: Option<bool>,
    /// What makes an alert the same as another, in place of the connector's own rule.
    pub identity: Option<Vec<IdentityField>>,
    /// PEM file of the CAs of its sender's client certificates.
    pub client_ca: Option<PathBuf>,
    /// Common names of which the client certificate must have one.
    pub client_cn: Option<Vec<String>>,
}

/// The tools that investigations may ask, and how much. Without addresses none is asked but the Netdata agents that people
/// declare for services.
#[derive(Clone, Default, PartialEq)]
pub struct ProbeSettings {
    /// Prometheus, or what speaks its API.
    pub prometheus: Option<Url>,
    /// `user:password` or a bearer token; so are the others.
    pub prometheus_credentials: Option<String>,
    /// Loki.
    pub loki: Option<Url>,
    /// Who asks it.
    pub loki_credentials: Option<String>,
    /// Whose logs, where Loki has several tenants.
    pub loki_tenant: Option<String>,
    /// The labels of a service's logs, with `"$service"` for its name.
    pub loki_selector: String,
    /// Jenkins.
    pub jenkins: Option<Url>,
    /// Who asks it.
    pub jenkins_credentials: Option<String>,
    /// A Netdata agent, or the parent of several.
    pub netdata: Option<Url>,
    /// Who asks it.
    pub netdata_credentials: Option<String>,
    /// The operator's list of usual metrics.
    pub metrics: Option<PathBuf>,
    /// For one question.
    pub question_time: Duration,
    /// For all questions of one investigation.
    pub time: Duration,
    /// Bytes of one answer.
    pub max_answer: usize,
    /// Questions of one investigation.
    pub questions: usize,
}

impl std::fmt::Debug for ProbeSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Credentials are left out.
        let at = |url: &Option<Url>| url.as_ref().map(Url::to_string);
        f.debug_struct("ProbeSettings")
            .field("prometheus", &at(&self.prometheus))
            .field("loki", &at(&self.loki))
            .field("jenkins", &at(&self.jenkins))
            .field("netdata", &at(&self.netdata))
            .finish_non_exhaustive()
    }
}

impl Config {
    /// Whether the headers of this peer are believed.
    pub fn trusts(&self, peer: IpAddr) -> bool {
        let peer = peer.to_canonical();
        self.trusted_proxies.iter().any(|net| net.contains(&peer))
    }

    /// How to reach the listener from this machine, as far as the configuration tells: `http` or `https`.
    pub fn scheme(&self) -> &'static str {
        if self.tls_cert.is_some() { "https" } else { "http" }
    }
}
