//! Declared services, learned edges and names that nobody declared, as one picture.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::View;
use crate::{model::*, store::StoreError};

/// How a service is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// It is declared.
    #[default]
    Declared,
    /// A declared service depends on it.
    Named,
    /// Alerts told of it only.
    Learned,
}

/// A service in the picture.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Known {
    /// Its name; the one shown.
    pub name: String,
    /// How it is known.
    pub origin: Origin,
    /// What is declared; none when nothing is.
    pub service: Option<Service>,
    /// The services that it calls, by their places, declared ones first.
    pub calls: Vec<Call>,
    /// The services that call it.
    pub called_by: Vec<Call>,
}

/// One end of an edge, seen from the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Call {
    /// The place of the other service.
    pub other: usize,
    /// The place of the learned edge; none when it is declared.
    pub learned: Option<usize>,
}

/// The whole picture.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Topology {
    /// Every service: declared ones by name, then the others by name.
    pub services: Vec<Known>,
    /// Edges that alerts told of, those that people dismissed among them.
    pub learned: Vec<LearnedEdge>,
    // Names and aliases as they are compared → place.
    names: HashMap<String, usize>,
}

impl Topology {
    /// Puts together what is known. `told` are names from alerts, as they are compared and as they are shown.
    pub fn new(declared: Vec<Service>, learned: Vec<LearnedEdge>, told: BTreeMap<String, String>) -> Self {
        let mut all = Self { learned, ..Self::default() };
        for service in declared {
            let place = all.services.len();
            for name in service.keys() {
                all.names.entry(name).or_insert(place);
            }
            all.services.push(Known { name: service.name.clone(), service: Some(service), ..Known::default() });
        }
        let mut others: BTreeMap<String, (Origin, String)> = BTreeMap::new();
        let declared = all.services.iter().filter_map(|k| k.service.as_ref());
        let named = declared.flat_map(|s| &s.depends_on).map(|n| (Origin::Named, name_key(n), n.clone()));
        let ends = all.learned.iter().filter(|e| e.holds()).flat_map(|e| [&e.from, &e.to]);
        let ends = ends.map(|n| (Origin::Learned, name_key(n), n.clone()));
        let told = told.into_iter().map(|(key, name)| (Origin::Learned, key, name));
        for (origin, key, name) in named.chain(ends).chain(told) {
            if !key.is_empty() && !all.names.contains_key(&key) {
                others.entry(key).or_insert((origin, name));
            }
        }
        for (key, (origin, name)) in others {
            all.names.insert(key, all.services.len());
            all.services.push(Known { name, origin, ..Known::default() });
        }
        all.connect();
        all
    }

    fn connect(&mut self) {
        let mut seen: BTreeSet<(usize, usize)> = BTreeSet::new();
        let mut edges: Vec<(usize, usize, Option<usize>)> = Vec::new();
        for (from, known) in self.services.iter().enumerate() {
            let named = known.service.iter().flat_map(|s| &s.depends_on);
            edges.extend(named.filter_map(|n| self.place(n)).map(|to| (from, to, None)));
        }
        for (n, edge) in self.learned.iter().enumerate().filter(|(_, e)| e.holds()) {
            if let (Some(from), Some(to)) = (self.place(&edge.from), self.place(&edge.to)) {
                edges.push((from, to, Some(n)));
            }
        }
        for (from, to, learned) in edges {
            if from == to || !seen.insert((from, to)) {
                continue;
            }
            if let Some(known) = self.services.get_mut(from) {
                known.calls.push(Call { other: to, learned });
            }
            if let Some(known) = self.services.get_mut(to) {
                known.called_by.push(Call { other: from, learned });
            }
        }
    }

    /// The place of the service that goes by that name.
    pub fn place(&self, name: &str) -> Option<usize> {
        self.names.get(&name_key(name)).copied()
    }

    /// The name at a place.
    pub fn name(&self, place: usize) -> &str {
        self.services.get(place).map_or("", |k| &k.name)
    }

    /// What is declared of the service that goes by that name.
    pub fn service(&self, name: &str) -> Option<&Service> {
        self.place(name).and_then(|place| self.services.get(place)).and_then(|k| k.service.as_ref())
    }

    /// Services that are declared.
    pub fn declared(&self) -> impl Iterator<Item = &Service> {
        self.services.iter().filter_map(|k| k.service.as_ref())
    }

    /// Every edge that counts: caller, callee, and the learned edge when it is not declared.
    pub fn edges(&self) -> impl Iterator<Item = (usize, usize, Option<&LearnedEdge>)> {
        let of = |(from, known): (usize, &'_ Known)| -> Vec<(usize, Call)> {
            known.calls.iter().map(|c| (from, *c)).collect()
        };
        self.services
            .iter()
            .enumerate()
            .flat_map(of)
            .map(|(from, call)| (from, call.other, call.learned.and_then(|n| self.learned.get(n))))
    }
}

impl View {
    /// Everything known of services and of who calls whom.
    pub fn topology(&self) -> Result<Topology, StoreError> {
        let told = self.services_of_incidents()?.into_iter().map(|key| (key.clone(), key)).collect();
        Ok(Topology::new(self.services()?, self.learned_edges()?, told))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(name: &str, aliases: &[&str], depends_on: &[&str]) -> Service {
        let owned = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect();
        Service { name: name.into(), aliases: owned(aliases), depends_on: owned(depends_on), ..Service::default() }
    }

    #[test]
    fn what_is_declared_named_learned_and_told_is_one_picture() {
        let learned = |from: &str, to: &str, dismissed: bool| LearnedEdge {
            from: from.into(),
            to: to.into(),
            count: 1,
            first_at: Time::from_secs(0),
            last_at: Time::from_secs(0),
            platform: "grafana".into(),
            dismissed_by: dismissed.then(|| "sre-1".to_owned()),
            dismissed_at: None,
        };
        let all = Topology::new(
            vec![service("web", &["site"], &["API", "ghost", "web"]), service("api", &[], &["site"])],
            vec![learned("Site", "cache", false), learned("web", "api", false), learned("x", "y", true)],
            [("api".to_owned(), "Api".to_owned()), ("db".to_owned(), "DB".to_owned())].into(),
        );
        let shown: Vec<String> = all.services.iter().map(|k| format!("{} {:?}", k.name, k.origin)).collect();
        assert_eq!(shown, ["web Declared", "api Declared", "cache Learned", "DB Learned", "ghost Named"]);
        let edges: Vec<String> = all
            .edges()
            .map(|(a, b, l)| format!("{}>{}{}", all.name(a), all.name(b), if l.is_some() { "?" } else { "" }))
            .collect();
        assert_eq!(edges, ["web>api", "web>ghost", "web>cache?", "api>web"]);
        assert_eq!(all.services[1].called_by, [Call { other: 0, learned: None }]);
        assert_eq!(all.place(" SITE "), Some(0));
        assert_eq!(Topology::new(Vec::new(), Vec::new(), BTreeMap::new()), Topology::default());
    }
}
