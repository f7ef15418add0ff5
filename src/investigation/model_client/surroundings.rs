//! The services around an incident: what a model may look at, and which names it may accuse.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::{
    investigation::{Case, case::same},
    model::name_key,
    store::{
        StoreError, View,
        views::{Call, Known, Origin, Topology},
    },
};

/// Services told of.
const MOST: usize = 80;
/// How far from the incident's own.
const HOPS: usize = 2;
/// Names of one kind told of one service.
const NAMES: usize = 20;

/// A service near the incident.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Neighbour {
    /// Its name.
    pub name: String,
    /// Its other names.
    pub aliases: Vec<String>,
    /// What it calls.
    pub calls: Vec<String>,
    /// Who calls it.
    pub called_by: Vec<String>,
    /// Where it runs.
    pub hosts: Vec<String>,
    /// Who owns it.
    pub owner: Option<String>,
    /// How important it is.
    pub tier: Option<String>,
    /// Its runbook.
    pub runbook_url: Option<String>,
    /// Alerts of it in this incident.
    pub alerts: usize,
}

impl Neighbour {
    /// Whether this is one of its names.
    pub fn goes_by(&self, name: &str) -> bool {
        same(&self.name, name) || self.aliases.iter().any(|a| same(a, name))
    }
}

/// What is known around an incident.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Surroundings {
    /// The incident's own services first, then by distance.
    pub services: Vec<Neighbour>,
    // Names as they are compared → as they are shown.
    known_services: BTreeMap<String, String>,
    known_hosts: BTreeMap<String, String>,
}

impl Surroundings {
    /// From the store.
    pub fn read(view: &View, case: &Case) -> Result<Self, StoreError> {
        Ok(Self::of(&view.topology()?, case))
    }

    /// Of a topology and a case.
    pub fn of(topology: &Topology, case: &Case) -> Self {
        let mut around = Self::default();
        let name = |place: usize| topology.services.get(place).map(|k| k.name.clone());
        let mut far: BTreeSet<usize> = BTreeSet::new();
        let mut queue: VecDeque<(usize, usize)> = VecDeque::new();
        for service in case.services() {
            if let Some(place) = topology.place(&service)
                && far.insert(place)
            {
                queue.push_back((place, 0));
            }
        }
        while let Some((place, hops)) = queue.pop_front() {
            let Some(known) = topology.services.get(place) else { continue };
            if around.services.len() >= MOST {
                break;
            }
            let ends = |calls: &[Call]| calls.iter().take(NAMES).filter_map(|c| name(c.other)).collect();
            let declared = known.service.clone().unwrap_or_default();
            let mut near = Neighbour {
                name: known.name.clone(),
                aliases: declared.aliases,
                calls: ends(&known.calls),
                called_by: ends(&known.called_by),
                hosts: declared.hosts.into_iter().take(NAMES).collect(),
                owner: declared.owner,
                tier: declared.tier,
                runbook_url: declared.runbook_url,
                alerts: 0,
            };
            near.alerts = case.alerts.iter().filter(|a| a.service.as_deref().is_some_and(|s| near.goes_by(s))).count();
            around.services.push(near);
            if hops < HOPS {
                for call in known.calls.iter().chain(&known.called_by) {
                    if far.insert(call.other) {
                        queue.push_back((call.other, hops + 1));
                    }
                }
            }
        }
        // A name that only alerts of other incidents brought up is known to nobody.
        let told = |k: &Known| k.origin == Origin::Learned && k.calls.is_empty() && k.called_by.is_empty();
        for known in topology.services.iter().filter(|k| !told(k)) {
            around.service(&known.name, &known.name);
            if let Some(service) = &known.service {
                service.aliases.iter().for_each(|a| around.service(a, &known.name));
                service.hosts.iter().for_each(|h| around.host(h));
            }
        }
        // What alerts say themselves comes last, and changes no name that is declared.
        for service in case.services() {
            around.service(&service, &service);
        }
        let hosts = case.alerts.iter().filter_map(|a| a.host.as_ref());
        for host in hosts.chain(&case.incident.host).chain(&case.incident.affected_hosts) {
            around.host(host);
        }
        around
    }

    fn service(&mut self, name: &str, shown: &str) {
        self.known_services.entry(name_key(name)).or_insert_with(|| shown.to_owned());
    }

    fn host(&mut self, name: &str) {
        self.known_hosts.entry(name_key(name)).or_insert_with(|| name.to_owned());
    }

    /// The service of this name, if alerts or topology know one.
    pub fn known_service(&self, name: &str) -> Option<&str> {
        self.known_services.get(&name_key(name)).map(String::as_str)
    }

    /// The machine of this name, if alerts or topology know one.
    pub fn known_host(&self, name: &str) -> Option<&str> {
        self.known_hosts.get(&name_key(name)).map(String::as_str)
    }

    /// All names that are known: services, machines.
    pub fn names(&self) -> (impl Iterator<Item = &str>, impl Iterator<Item = &str>) {
        let services = self.known_services.iter().flat_map(|(key, shown)| [shown.as_str(), key.as_str()]);
        (services, self.known_hosts.values().map(String::as_str))
    }
}
