//! An alert as the correlator sees it: what it is about, made once and compared with many incidents.

use crate::{
    correlation::{
        Group,
        names::{self, Key},
        topology::{Meant, Topology},
    },
    model::{Alert, Fingerprint, Time},
    text::{Class, Doc},
};

/// Labels whose value may be another name of a service, when nothing else says which one: ids of the sender's own entities
/// and names of workloads.
const ENTITIES: &[&str] = &[
    "impacted_entity",
    "entity",
    "entity_id",
    "entity_name",
    "workload",
    "deployment",
    "statefulset",
    "daemonset",
    "app",
    "application",
    "component",
    "container",
    "job",
];

/// An alert, ready to be compared.
#[derive(Clone, Debug, PartialEq)]
pub struct Subject {
    /// When it began, clamped.
    pub at: Time,
    /// The service it is about: stated, an entity of the sender, named in the text, or the only one on its machine.
    pub service: Option<Meant>,
    /// Its machine: key and name.
    pub host: Option<Meant>,
    /// Where: production, staging.
    pub environment: Option<Key>,
    /// Its title without names and numbers: the same for all alerts of one rule.
    pub name: Key,
    /// What it says.
    pub doc: Doc,
    /// Other services that its text names.
    pub named: Vec<Key>,
    /// The sender's group, where that counts.
    pub group: Option<Fingerprint>,
    /// The same as its sender names it, with who that is.
    pub group_name: Option<String>,
    /// It is about a machine.
    pub machine: bool,
    /// It is about the network, or a machine that cannot be reached.
    pub network: bool,
    /// Its sender never says when it is over.
    pub endless: bool,
}

impl Subject {
    /// Reads an alert without knowing anything of services: what can be made again from its row at any time.
    pub fn plain(alert: &Alert) -> Self {
        Self::of(alert, None, &Topology::default())
    }

    /// Reads an alert.
    pub fn of(alert: &Alert, group: Option<Group<'_>>, topology: &Topology) -> Self {
        Self::with(Self::read(&alert.title, alert.description.as_deref()), alert, group, topology)
    }

    /// What title and description of an alert say: the larger part of the work, and the one that nothing else is needed for.
    pub fn read(title: &str, description: Option<&str>) -> Doc {
        Doc::read(title, description.unwrap_or_default())
    }

    /// Of an alert that says this.
    pub fn with(doc: Doc, alert: &Alert, group: Option<Group<'_>>, topology: &Topology) -> Self {
        let description = alert.description.as_deref().unwrap_or_default();
        let text = format!("{} | {description}", alert.title);
        let host = alert.host.as_deref().map(names::host).filter(|h| !names::says_nothing(h));
        let host = host.map(|name| Meant { key: names::plain(&name), name });
        let stated = alert.service.as_deref().filter(|s| !names::says_nothing(s)).map(|s| topology.service(s));
        let entity = || ENTITIES.iter().find_map(|l| alert.labels.get(*l).and_then(|v| topology.known(v)));
        let service = stated
            .or_else(entity)
            .or_else(|| topology.in_text(&text))
            .or_else(|| host.as_ref().and_then(|h| topology.alone_on(h.key)));
        Self {
            at: alert.onset_at,
            named: topology.named_in(&text, service.as_ref().map(|s| s.key)),
            environment: alert.environment.as_deref().filter(|e| !names::says_nothing(e)).map(names::environment),
            name: pattern(alert, service.as_ref(), host.as_ref(), topology),
            group: group.map(|g| g.of),
            group_name: group.map(|g| format!("{} put it into the same group ({})", alert.platform, g.short())),
            machine: doc.is_about(Class::Host),
            network: doc.is_about(Class::Network),
            endless: alert.quiet_at.is_some(),
            doc,
            service,
            host,
        }
    }
}

/// A title without what differs between the alerts of one rule: services, machines, numbers.
fn pattern(alert: &Alert, service: Option<&Meant>, host: Option<&Meant>, topology: &Topology) -> Key {
    let mut hasher = names::Hasher::default();
    let own = |word: &str| {
        let key = names::plain(word);
        service.is_some_and(|s| s.key == key)
            || alert.service.as_deref().is_some_and(|s| names::plain(s) == key)
            || host.is_some_and(|h| h.key == names::plain(&names::host(word)))
            || (word.contains(['-', '_', '/', '.']) && topology.known(word).is_some())
    };
    for word in alert.title.split_whitespace() {
        let word = word.trim_matches(|c: char| !c.is_alphanumeric());
        let numbered = word.bytes().any(|b| b.is_ascii_digit()) && word.contains(['-', '.', ':', '/']);
        if word.is_empty() || numbered || own(word) {
            continue;
        }
        let letters: String = word.chars().filter(|c| !c.is_ascii_digit()).collect();
        hasher.push(&letters);
    }
    hasher.key()
}
