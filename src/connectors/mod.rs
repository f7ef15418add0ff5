//! Senders: what each platform sends, read into signals. Pure: bytes and headers in, `Parsed` or a `Problem` out.
//!
//! A platform is one file (or folder) here and one line in `ALL`. That list feeds routes, pages, documentation and tests.

mod alert_group;
mod alertmanager;
mod azure;
mod better_stack;
mod blank;
mod body;
mod builds;
mod checkmk;
mod cloudevents;
mod datadog;
pub mod declared;
mod dynatrace;
mod ended;
mod explain;
mod fields;
mod gcp;
mod generic;
mod github;
mod gitlab;
mod grafana;
mod healthchecks;
mod html;
mod icinga;
pub mod identity;
mod kibana;
mod labels;
mod moment;
pub mod netdata;
mod newrelic;
mod opsgenie;
mod pagerduty;
mod registry;
mod repair;
mod sentry;
mod signature;
mod sns;
mod splunk;
mod states;
mod text;
mod uptime_kuma;
mod zabbix;

#[cfg(test)]
mod tests;

pub use explain::{Explained, Finding};
pub use registry::{Handle, Registry};

use crate::model::{Parsed, Problem, Severity, Time};

/// One request as a connector sees it, after decompression.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// Names in lower case, without credentials that the door has already checked.
    pub headers: &'a [(String, String)],
    /// Decoded query parameters, in order.
    pub query: &'a [(String, String)],
    /// The body as received, after decompression.
    pub body: &'a [u8],
    /// When it was received: the only clock there is here.
    pub received_at: Time,
    /// Build servers: failed builds open incidents. Others ignore it.
    pub rca_enabled: bool,
}

impl Request<'_> {
    /// The first header of that (lower-case) name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }
}

/// What a platform's sender does when it is refused, and so what it must be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overload {
    /// Retries on 503.
    Unavailable,
    /// Retries on 429 as well; that says more.
    TooMany,
    /// Never retries: it must not be refused for its rate.
    NeverRefuse,
}

/// What is fixed about a platform.
#[derive(Debug)]
pub struct Info {
    /// As in URLs; of a connector that may be a declared one, ask the connector itself.
    pub slug: &'static str,
    /// As people write it; likewise.
    pub name: &'static str,
    /// Two letters for its tile.
    pub tile: &'static str,
    /// What sends there, in its own words and short.
    pub way: &'static str,
    /// Success code, where the sender compares with one literal (202 otherwise).
    pub success: u16,
    /// What the sender retries.
    pub overload: Overload,
    /// Whether a body that is not understood is still answered with 202 and a `problem` (senders that switch the target
    /// off after a 4xx).
    pub lenient: bool,
    /// Whether `rca_enabled` means something here.
    pub builds: bool,
    /// How the sender can prove itself with its own signature, in words; none when it cannot.
    pub signature: Option<&'static str>,
    /// What to do in that platform, step by step, in its own words. `{url}` and `{key}` are filled in.
    pub steps: &'static [&'static str],
    /// How fields are read, as (ours, theirs) for the page.
    pub fields: &'static [(&'static str, &'static str)],
    /// A body as the platform sends it, for "send a test" and for documentation.
    pub sample: &'static str,
}

/// The client certificate that a platform's sender shows, as its vendor publishes it.
#[derive(Clone, Copy, Debug, Default)]
pub struct ClientCertificate {
    /// The CAs that issue it, in PEM; none when the operator has to name them.
    pub ca: Option<&'static str>,
    /// Its common names, of which one must match exactly; empty when any will do.
    pub names: &'static [&'static str],
}

/// The verdict on the platform's own signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signature {
    /// The request carries none.
    Absent,
    /// It is right.
    Valid,
    /// It is wrong or too old.
    Invalid,
}

/// What can be said of a signature that is made with a certificate, before anything is fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Check {
    /// The request carries none.
    Unsigned,
    /// It is right by a certificate that the operator put in.
    Valid,
    /// The certificate is here, at an address of the sender's own.
    Fetch(String),
    /// It names a place that is not asked, in words.
    Refuse(String),
}

/// A platform that signs with a certificate of its own, and wants to be called back before it sends. Fetching is not for
/// here: these say what to fetch, and what the answer means.
pub trait Certified: Sync {
    /// What to do about the signature. `known` is the operator's list of senders and certificates.
    fn check(&self, request: &Request<'_>, known: &str) -> Check;

    /// Whether the key of this certificate (PEM) made the signature.
    fn signed_by(&self, request: &Request<'_>, pem: &str) -> Signature;

    /// Whether the sender is on the operator's list: a right signature alone says only that the platform sent it.
    fn allows(&self, request: &Request<'_>, known: &str) -> bool;

    /// The address that must be called once so that the sender goes on; an error says why that one is not.
    fn confirmation(&self, request: &Request<'_>) -> Option<Result<String, String>>;
}

/// A platform.
pub trait Connector: Sync {
    /// What is fixed about it. Declared ones share one, so their names are asked of the connector.
    fn info(&self) -> &'static Info;

    /// As in URLs.
    fn slug(&self) -> &str {
        self.info().slug
    }

    /// As people write it.
    fn name(&self) -> &str {
        self.info().name
    }

    /// A body as the platform sends it, for "send a test".
    fn sample(&self) -> &str {
        self.info().sample
    }

    /// Reads a request. An `Err` keeps the delivery, shows it and names the place.
    fn parse(&self, request: &Request<'_>) -> Result<Parsed, Problem>;

    /// The client certificate of its sender.
    fn client_certificate(&self) -> ClientCertificate {
        ClientCertificate::default()
    }

    /// The code that answers this request with success. A platform with several senders may owe them different ones.
    fn success(&self, _request: &Request<'_>) -> u16 {
        self.info().success
    }

    /// What must stand in the answer's body for this sender to go on, as (name, value): Event Grid wants its code back.
    fn reply(&self, _request: &Request<'_>) -> Option<(&'static str, String)> {
        None
    }

    /// Whether a request without a body, GET included, carries its fields in the query.
    fn takes_query(&self) -> bool {
        false
    }

    /// For a platform that signs with a certificate instead of a secret.
    fn certified(&self) -> Option<&dyn Certified> {
        None
    }

    /// Which field of each alert was taken from where, and why; empty where the platform's format alone decides. As of
    /// now: for people who look at a delivery.
    fn explain(&self, _request: &Request<'_>) -> Vec<Explained> {
        Vec::new()
    }

    /// How many seconds without a repeat end an alert, where this platform never says that one is over.
    fn quiet_secs(&self) -> Option<u32> {
        None
    }

    /// Whether it says which of its alerts it has put into one group (`groupKey`).
    fn groups(&self) -> bool {
        false
    }

    /// Overwrites what must not be kept of a body: credentials of the sender itself. Its length stays.
    fn redact(&self, _body: &mut [u8]) {}

    /// Checks the platform's own signature against any of the secrets, in constant time.
    fn verify(&self, _request: &Request<'_>, _secrets: &[&str]) -> Signature {
        Signature::Absent
    }
}

/// Every platform, in the order of the contract.
pub const ALL: &[&dyn Connector] = &[
    &grafana::Grafana,
    &pagerduty::PagerDuty,
    &datadog::Datadog,
    &netdata::Netdata,
    &dynatrace::Dynatrace,
    &splunk::Splunk,
    &builds::JENKINS,
    &builds::CLOUDBEES,
    &alertmanager::Alertmanager,
    &sns::Sns,
    &newrelic::NewRelic,
    &sentry::Sentry,
    &zabbix::Zabbix,
    &uptime_kuma::UptimeKuma,
    &github::GitHub,
    &gitlab::GitLab,
    &azure::Azure,
    &gcp::GoogleCloud,
    &healthchecks::Healthchecks,
    &better_stack::BetterStack,
    &opsgenie::Opsgenie,
    &kibana::Kibana,
    &checkmk::Checkmk,
    &icinga::Icinga,
    &cloudevents::CloudEvents,
    &generic::Generic,
];

/// The platform of that name in URLs, of those that are part of this version. Declared ones are in a `Registry`.
pub fn find(slug: &str) -> Option<&'static dyn Connector> {
    ALL.iter().copied().find(|c| c.info().slug == slug)
}

/// Our severity for a word that senders use, from the table that all platforms share.
pub fn severity(word: &str) -> Option<Severity> {
    text::severity(word)
}

/// Text as one line of at most `max` characters, without what acts unseen: control characters and marks that reorder it.
pub fn line(text: &str, max: usize) -> String {
    text::line(text, max)
}

/// A point in time in any of the forms that senders use: text with or without zone, or numbers since 1970.
pub fn moment(value: &serde_json::Value) -> Option<Time> {
    moment::time(value)
}

/// Platforms of this version whose names are near this one, nearest first, for an answer that helps.
pub fn near(slug: &str) -> Vec<&'static str> {
    nearest(slug, ALL.iter().map(|c| c.info().slug))
}

fn nearest<'a>(slug: &str, known: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let wanted = text::line(slug, 40).to_ascii_lowercase();
    let mut found: Vec<(usize, &str)> = known
        .map(|known| (distance(&wanted, known), known))
        .filter(|(d, known)| {
            *d <= 1 + known.len() / 4 || (wanted.len() > 2 && (known.contains(&wanted) || wanted.contains(known)))
        })
        .collect();
    found.sort();
    found.into_iter().map(|(_, known)| known).collect()
}

/// Edit distance (Levenshtein), by rows.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        let mut next = vec![left];
        for (to, above) in b.chars().zip(row.iter().skip(1)) {
            left = (left + 1).min(above + 1).min(diagonal + usize::from(from != to));
            diagonal = *above;
            next.push(left);
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}
