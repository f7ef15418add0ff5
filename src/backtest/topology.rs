//! Topology files. What two services claim at once is no reason to refuse a backtest: the first one has it.

use std::{
    collections::{BTreeMap, BTreeSet, btree_map::Entry},
    path::Path,
};

use serde::Deserialize;

use super::{BacktestError, input::plain};
use crate::model::{Service, name_key};

/// The file: `{"services":[{"name","aliases":[],"depends_on":[],"hosts":[]}]}`.
#[derive(Deserialize)]
struct Content {
    services: Vec<Service>,
}

/// Services as a file declares them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Topology {
    /// Each name and alias once.
    pub services: Vec<Service>,
    /// What was left out, in sentences.
    pub left_out: Vec<String>,
    // Names and aliases as they are compared → the name.
    names: BTreeMap<String, String>,
}

impl Topology {
    /// Reads a file.
    pub fn read(path: &Path) -> Result<Self, BacktestError> {
        let shown = path.display().to_string();
        let bytes = std::fs::read(path).map_err(|source| BacktestError::Io { path: shown.clone(), source })?;
        let content: Content = serde_json::from_slice(&bytes).map_err(|e| BacktestError::Topology {
            path: shown,
            line: e.line(),
            column: e.column(),
            what: plain(&e),
        })?;
        Ok(Self::of(content.services))
    }

    /// Of declared services. Names come before aliases, and what stands first before what stands later.
    pub fn of(declared: Vec<Service>) -> Self {
        let mut topology = Self::default();
        for service in declared.into_iter().map(Service::tidy) {
            if service.name.is_empty() {
                topology.left_out.push("a service without a name".to_owned());
                continue;
            }
            match topology.names.entry(name_key(&service.name)) {
                Entry::Occupied(_) => topology.left_out.push(format!("a second service `{}`", service.name)),
                Entry::Vacant(place) => {
                    place.insert(service.name.clone());
                    topology.services.push(service);
                }
            }
        }
        for service in &mut topology.services {
            let (name, left_out) = (&service.name, &mut topology.left_out);
            service.aliases.retain(|alias| {
                let other = topology.names.entry(name_key(alias)).or_insert_with(|| name.clone());
                if other != name {
                    left_out.push(format!("the alias `{alias}` of `{name}`, which is a name of `{other}`"));
                }
                other == name
            });
            let own: BTreeSet<String> = service.keys().collect();
            service.depends_on.retain(|needed| !own.contains(&name_key(needed)));
        }
        topology
    }

    /// The name of the service that goes by this name.
    pub fn name<'a>(&'a self, known_as: &'a str) -> &'a str {
        self.names.get(&name_key(known_as)).map_or(known_as, String::as_str)
    }
}
