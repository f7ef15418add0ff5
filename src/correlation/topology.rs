//! Who calls whom and who runs where, as far as it is known: from what people declare and from what alerts told.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque},
    sync::OnceLock,
};

use super::names::{self, Hasher, Key};
use crate::model::Service;

/// How far dependencies are followed.
pub const DEPTH: u8 = 3;
/// Services looked at around one: a bound for hubs that everything hangs on.
const MOST_NEAR: usize = 1_000;
/// Words of a text that a service's name may have.
const WORDS: usize = 5;
/// Words of a text that are looked at.
const TEXT_WORDS: usize = 120;

/// In which direction another service stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// It is called by this one, over some hops.
    Needed,
    /// It calls this one, over some hops.
    Needs,
}

/// Another service near this one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Near {
    /// Which.
    pub key: Key,
    /// Calls between them, 1 to `DEPTH`.
    pub hops: u8,
    /// Which way.
    pub way: Way,
}

#[derive(Debug, Default)]
struct Node {
    key: Key,
    name: String,
    up: Vec<usize>,
    down: Vec<usize>,
    hosts: Vec<Key>,
    near: OnceLock<HashMap<Key, Near>>,
    // The same by hops, in a fixed order.
    by_hops: OnceLock<[Vec<Key>; DEPTH as usize]>,
}

/// Everything that is known of services.
#[derive(Debug, Default)]
pub struct Topology {
    nodes: Vec<Node>,
    by_key: HashMap<Key, usize>,
    // Every way to write a service's name → its place.
    written: HashMap<Key, usize>,
    on_host: HashMap<Key, Vec<usize>>,
    // Service and machine, the same once more.
    placed: HashSet<(Key, Key)>,
    // Caller and callee, the same once more.
    calls: HashSet<(Key, Key)>,
    host_names: HashMap<Key, String>,
}

// But for what is worked out when it is first asked for.
impl PartialEq for Topology {
    fn eq(&self, other: &Self) -> bool {
        fn said(n: &Node) -> (Key, &str, &[usize], &[usize], &[Key]) {
            (n.key, &n.name, &n.up, &n.down, &n.hosts)
        }
        self.nodes.iter().map(said).eq(other.nodes.iter().map(said))
            && self.written == other.written
            && self.on_host == other.on_host
            && self.host_names == other.host_names
    }
}

/// A service as an alert means it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meant {
    /// As it is compared.
    pub key: Key,
    /// As it is shown: the declared name, else as sent.
    pub name: String,
}

impl Topology {
    /// From what is declared, and from pairs of caller and callee that alerts told of.
    pub fn new<'a>(
        services: impl IntoIterator<Item = &'a Service>,
        learned: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Self {
        let services: Vec<&Service> = services.into_iter().collect();
        let learned: Vec<(&str, &str)> = learned.into_iter().collect();
        let mut topology = Self::default();
        // Each is one, also where one name says where another one runs: `api` and `api-dev`.
        for service in &services {
            topology.exact(&service.name);
        }
        // Aliases after all names: a name is stronger than somebody else's alias.
        for service in &services {
            let Some(n) = topology.find(&service.name) else { continue };
            for alias in &service.aliases {
                topology.written.entry(names::plain(alias)).or_insert(n);
            }
        }
        // Forms without environment and the like last, and only where they mean one service.
        let mut bare: BTreeMap<Key, BTreeSet<usize>> = BTreeMap::new();
        for service in &services {
            let Some(n) = topology.find(&service.name) else { continue };
            for name in std::iter::once(&service.name).chain(&service.aliases) {
                bare.entry(names::plain(names::bare_service(name))).or_default().insert(n);
            }
        }
        for (key, meant) in bare {
            if let (1, Some(n)) = (meant.len(), meant.first()) {
                topology.written.entry(key).or_insert(*n);
            }
        }
        let mut edges: BTreeSet<(usize, usize)> = BTreeSet::new();
        for service in &services {
            let Some(from) = topology.find(&service.name) else { continue };
            for callee in &service.depends_on {
                let to = topology.node(callee);
                edges.insert((from, to));
            }
        }
        for (caller, callee) in learned {
            let (from, to) = (topology.node(caller), topology.node(callee));
            edges.insert((from, to));
        }
        for (from, to) in edges.into_iter().filter(|(from, to)| from != to) {
            if let (Some(caller), Some(callee)) = (topology.nodes.get(from), topology.nodes.get(to)) {
                topology.calls.insert((caller.key, callee.key));
            }
            if let Some(node) = topology.nodes.get_mut(from) {
                node.up.push(to);
            }
            if let Some(node) = topology.nodes.get_mut(to) {
                node.down.push(from);
            }
        }
        for service in &services {
            let Some(n) = topology.find(&service.name) else { continue };
            for host in &service.hosts {
                let name = names::host(host);
                let key = names::plain(&name);
                topology.host_names.entry(key).or_insert(name);
                let on = topology.on_host.entry(key).or_default();
                if let Some(node) = topology.nodes.get_mut(n)
                    && topology.placed.insert((node.key, key))
                {
                    on.push(n);
                    node.hosts.push(key);
                }
            }
        }
        topology
    }

    /// The place of a service of this name, made when there is none.
    fn node(&mut self, name: &str) -> usize {
        self.find(name).unwrap_or_else(|| self.exact(name))
    }

    /// The place of the service of just this name, made when there is none.
    fn exact(&mut self, name: &str) -> usize {
        let key = names::plain(name);
        if let Some(n) = self.written.get(&key) {
            return *n;
        }
        let n = self.nodes.len();
        self.nodes.push(Node { key, name: name.trim().to_owned(), ..Node::default() });
        self.written.insert(key, n);
        self.by_key.insert(key, n);
        n
    }

    fn find(&self, name: &str) -> Option<usize> {
        let exact = self.written.get(&names::plain(name));
        exact.or_else(|| self.written.get(&names::plain(names::bare_service(name)))).copied()
    }

    fn meant(&self, n: usize) -> Option<Meant> {
        self.nodes.get(n).map(|node| Meant { key: node.key, name: node.name.clone() })
    }

    fn at(&self, key: Key) -> Option<&Node> {
        self.by_key.get(&key).and_then(|n| self.nodes.get(*n))
    }

    /// How many services are known.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether none is known.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// The service that a name means; one that is not known is meant as it is written.
    pub fn service(&self, name: &str) -> Meant {
        self.find(name).and_then(|n| self.meant(n)).unwrap_or_else(|| {
            let bare = names::bare_service(name);
            Meant { key: names::plain(bare), name: name.to_owned() }
        })
    }

    /// The key of `service`.
    pub fn key(&self, name: &str) -> Key {
        let known = self.find(name).and_then(|n| self.nodes.get(n)).map(|n| n.key);
        known.unwrap_or_else(|| names::plain(names::bare_service(name)))
    }

    /// The service that a name means, if it is known.
    pub fn known(&self, name: &str) -> Option<Meant> {
        self.find(name).and_then(|n| self.meant(n))
    }

    /// The only service that is known to run on a machine.
    pub fn alone_on(&self, host: Key) -> Option<Meant> {
        match self.on_host.get(&host).map(Vec::as_slice) {
            Some([n]) => self.meant(*n),
            _ => None,
        }
    }

    /// The services that run on a machine.
    pub fn on(&self, host: Key) -> impl Iterator<Item = Key> + '_ {
        self.on_host.get(&host).into_iter().flatten().filter_map(|n| self.nodes.get(*n)).map(|n| n.key)
    }

    /// How many of them there are.
    pub fn count_on(&self, host: Key) -> usize {
        self.on_host.get(&host).map_or(0, Vec::len)
    }

    /// Whether a service is known to run on a machine.
    pub fn is_on(&self, service: Key, host: Key) -> bool {
        self.placed.contains(&(service, host))
    }

    /// The machines that a service runs on.
    pub fn hosts_of(&self, service: Key) -> &[Key] {
        self.at(service).map_or(&[], |n| n.hosts.as_slice())
    }

    /// Services that a service calls.
    pub fn needs(&self, service: Key) -> impl Iterator<Item = Key> + '_ {
        self.at(service).into_iter().flat_map(|n| &n.up).filter_map(|n| self.nodes.get(*n)).map(|n| n.key)
    }

    /// Whether it is known of a service what it calls, or what calls it.
    pub fn is_mapped(&self, service: Key) -> bool {
        self.needs(service).next().is_some() || self.needed_by(service).next().is_some()
    }

    /// Services that call a service.
    pub fn needed_by(&self, service: Key) -> impl Iterator<Item = Key> + '_ {
        self.at(service).into_iter().flat_map(|n| &n.down).filter_map(|n| self.nodes.get(*n)).map(|n| n.key)
    }

    /// The services that both call, found from the one that calls fewer.
    pub fn both_need(&self, a: Key, b: Key) -> impl Iterator<Item = Key> + '_ {
        let count = |key: Key| self.at(key).map_or(0, |n| n.up.len());
        let (few, many) = if count(a) <= count(b) { (a, b) } else { (b, a) };
        self.needs(few).filter(move |x| self.calls.contains(&(many, *x)))
    }

    /// How many call it.
    pub fn callers(&self, service: Key) -> usize {
        self.at(service).map_or(0, |n| n.down.len())
    }

    /// The service that is written just so, by the key of the writing.
    pub fn written(&self, plain: Key) -> Option<Key> {
        self.written.get(&plain).and_then(|n| self.nodes.get(*n)).map(|n| n.key)
    }

    /// Every known service with its name.
    pub fn services(&self) -> impl Iterator<Item = (Key, &str)> {
        self.nodes.iter().map(|n| (n.key, n.name.as_str()))
    }

    /// The declared name of a service, by its key.
    pub fn name(&self, service: Key) -> Option<&str> {
        self.at(service).map(|n| n.name.as_str())
    }

    /// Everything within `DEPTH` calls of a service, by key; nothing for one that is not known. Loops end where they began.
    pub fn near(&self, service: Key) -> Option<&HashMap<Key, Near>> {
        let n = *self.by_key.get(&service)?;
        Some(self.nodes.get(n)?.near.get_or_init(|| self.walk(n)))
    }

    /// Those of them that are so many calls away, in a fixed order.
    pub fn near_at(&self, service: Key, hops: u8) -> impl Iterator<Item = Key> + '_ {
        let lists = self.near(service).zip(self.at(service)).map(|(near, node)| {
            node.by_hops.get_or_init(|| {
                let mut lists: [Vec<Key>; DEPTH as usize] = Default::default();
                for n in near.values() {
                    if let Some(list) = lists.get_mut(usize::from(n.hops) - 1) {
                        list.push(n.key);
                    }
                }
                lists.iter_mut().for_each(|l| l.sort());
                lists
            })
        });
        lists.and_then(|l| l.get(usize::from(hops) - 1)).into_iter().flatten().copied()
    }

    fn walk(&self, from: usize) -> HashMap<Key, Near> {
        let mut found: HashMap<Key, Near> = HashMap::new();
        for way in [Way::Needed, Way::Needs] {
            let mut seen: BTreeSet<usize> = [from].into();
            let mut front: VecDeque<(usize, u8)> = [(from, 0)].into();
            while let Some((n, hops)) = front.pop_front() {
                let Some(node) = self.nodes.get(n).filter(|_| hops < DEPTH) else { continue };
                let next = if way == Way::Needed { &node.up } else { &node.down };
                for m in next {
                    if found.len() >= MOST_NEAR {
                        return found;
                    }
                    let Some(other) = self.nodes.get(*m).filter(|_| seen.insert(*m)) else { continue };
                    front.push_back((*m, hops + 1));
                    let key = other.key;
                    let near = Near { key, hops: hops + 1, way };
                    // Both ways: the shorter one counts, the dependency before the dependent.
                    found
                        .entry(key)
                        .and_modify(|n| {
                            if n.hops > near.hops {
                                *n = near
                            }
                        })
                        .or_insert(near);
                }
            }
        }
        found
    }

    /// The service named in a text, the longest name first: what the alert is about when nothing else says so.
    pub fn in_text(&self, text: &str) -> Option<Meant> {
        let mut best: Option<(usize, usize)> = None;
        self.windows(text, |n, words, length| {
            // A single common word is too little to be sure.
            if (words > 1 || length > 3) && best.is_none_or(|(_, l)| length > l) {
                best = Some((n, length));
            }
        });
        best.and_then(|(n, _)| self.meant(n))
    }

    /// Other services named in a text ("timeouts calling ledger-db"), those of one word only after a word that points at
    /// them; at most eight, in order of appearance.
    pub fn named_in(&self, text: &str, own: Option<Key>) -> Vec<Key> {
        let mut found: Vec<usize> = Vec::new();
        self.windows(text, |n, words, _| {
            if words > 1 && !found.contains(&n) && found.len() < 16 {
                found.push(n);
            }
        });
        let named = |n: &usize| self.nodes.get(*n).map(|node| (node.key, node.name.to_lowercase()));
        let all: Vec<(Key, String)> = found.iter().filter_map(named).collect();
        all.iter()
            .filter(|(key, _)| Some(*key) != own)
            // "ledger" inside of "ledger-db" is not named.
            .filter(|(_, name)| {
                !all.iter().any(|(_, o)| {
                    o.len() > name.len() && o.starts_with(name) && o.as_bytes().get(name.len()) == Some(&b'-')
                })
            })
            .map(|(key, _)| *key)
            .take(8)
            .collect()
    }

    /// Calls `found` with each service whose name stands in the text, with its words and its length.
    fn windows(&self, text: &str, mut found: impl FnMut(usize, usize, usize)) {
        if self.nodes.is_empty() {
            return;
        }
        let joins = |c: char| matches!(c, '-' | '_' | '/' | '.' | ' ');
        let mut budget = TEXT_WORDS;
        for segment in text.split(|c: char| !(c.is_alphanumeric() || joins(c))) {
            let parts: Vec<&str> = segment.split(joins).collect();
            for (i, first) in parts.iter().enumerate() {
                if first.is_empty() {
                    continue;
                }
                if budget == 0 {
                    return;
                }
                budget -= 1;
                let mut hasher = Hasher::default();
                let mut length = 0;
                for (words, part) in parts.iter().skip(i).take(WORDS).enumerate() {
                    if part.is_empty() {
                        break;
                    }
                    hasher.push(part);
                    length += part.len();
                    if let Some(n) = self.written.get(&hasher.key()) {
                        found(*n, words + 1, length);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn declared_names_are_services_of_their_own() {
        let service = |name: &str, calls: &[&str]| Service {
            name: name.into(),
            depends_on: calls.iter().map(|c| (*c).to_owned()).collect(),
            ..Service::default()
        };
        let services = [service("api", &["db"]), service("api-dev", &["mail"]), service("staging-web", &[])];
        let t = Topology::new(&services, []);
        for (asked, want) in
            [("api", "api"), ("api-dev", "api-dev"), ("API-prod", "api"), ("web-prod", "staging-web"), ("db", "db")]
        {
            assert_eq!(t.service(asked).name, want, "{asked}");
            assert_eq!(t.key(asked), t.service(asked).key, "{asked}");
        }
        let called = |name: &str| t.needs(t.key(name)).map(|k| t.name(k).unwrap()).collect::<Vec<_>>();
        assert_eq!((called("api"), called("api-dev")), (vec!["db"], vec!["mail"]));
    }
}
