//! Services and edges between them: what people declare, and what alerts tell.

use std::{collections::BTreeMap, time::Duration};

use serde_json::json;

use super::{Tx, put};
use crate::{
    model::*,
    outgoing::address,
    store::{CommandError, StoreError, world::key},
};

/// Learned edges kept.
pub const MAX_LEARNED: usize = if cfg!(test) { 60 } else { 5_000 };
/// As many make room at once when there are too many, so that finding them costs little for each.
const ROOM: usize = if cfg!(test) { 3 } else { 50 };
/// Learned edges of which no alert told for so long are forgotten.
pub const UNSEEN: Duration = Duration::from_secs(30 * 24 * 3600);

/// Mistakes told at once.
const MISTAKES: usize = 100;

/// How a service was kept.
#[derive(Clone, Debug, PartialEq)]
pub struct Kept {
    /// As it stands now.
    pub service: Service,
    /// It was not there before.
    pub new: bool,
}

/// What a topology became.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Replaced {
    /// Services that were not there before.
    pub added: usize,
    /// Services that are other than before.
    pub changed: usize,
    /// Services that are no longer there.
    pub removed: usize,
}

fn edge_key(from: &str, to: &str) -> (String, String) {
    (key(from), key(to))
}

/// What is wrong with where a service says it can be asked about. What stood before is left alone: it was taken once, and
/// investigations say what is wrong with it.
fn addresses(at: &str, service: &Service, stood: Option<&Service>, wrong: &mut Vec<Mistake>) {
    let new = |text: &Option<String>, of: fn(&Service) -> &Option<String>| {
        text.clone().filter(|_| stood.is_none_or(|s| of(s) != text))
    };
    let checked = [
        (
            "netdata",
            new(&service.netdata, |s| &s.netdata)
                .and_then(|t| address::base(&t).err())
                .map(|e| format!("the address {e}")),
        ),
        ("prometheus", new(&service.prometheus, |s| &s.prometheus).and_then(|t| selector::matchers(&t).err())),
    ];
    for (field, why) in checked {
        wrong.extend(why.filter(|_| wrong.len() < MISTAKES).map(|what| Mistake::new(format!("{at}/{field}"), what)));
    }
}

impl Tx<'_> {
    /// Declares a service, or changes one. With `was`, the service of that name takes the new name, and what depends on it
    /// follows.
    pub fn put_service(&mut self, was: Option<&str>, service: Service, by: &Actor) -> Result<Kept, CommandError> {
        let service = service.tidy();
        let name = key(&service.name);
        let old = was.map(key).filter(|old| *old != name);
        if let (Some(old), Some(was)) = (&old, was)
            && !self.world.services.contains_key(old)
        {
            return Err(CommandError::NotFound(format!("service `{was}`")));
        }
        let others = self.world.services.iter().filter(|(n, _)| **n != name && Some(*n) != old.as_ref());
        let renamed_onto = old.is_some() && self.world.services.contains_key(&name);
        let mut wrong = mistakes(others.map(|(_, s)| (String::new(), s)).chain([(String::new(), &service)]));
        let stood = self.world.services.get(old.as_ref().unwrap_or(&name));
        addresses("", &service, stood, &mut wrong);
        if renamed_onto {
            let what = format!("there is a service `{}` already", service.name);
            wrong.insert(0, Mistake { path: "/name".to_owned(), what });
        }
        if !wrong.is_empty() {
            return Err(CommandError::Mistakes(wrong));
        }
        let before = match &old {
            Some(old) => self.take_service(old)?,
            None => self.world.services.get(&name).cloned(),
        };
        if before.as_ref() != Some(&service) {
            self.write_service(service.clone())?;
            if let (Some(_), Some(before)) = (&old, &before) {
                self.follow_name(&before.name, &service.name)?;
            }
            self.settle_edges();
            self.topology_changed = true;
            let data = json!({ "before": before, "after": service });
            let action = if before.is_some() { "service.update" } else { "service.add" };
            self.audit(by, action, service.name.clone(), data)?;
        }
        Ok(Kept { service, new: before.is_none() })
    }

    /// What named a service by its old name names it by its new one.
    fn follow_name(&mut self, old: &str, new: &str) -> Result<(), StoreError> {
        let (old_key, new_key) = (key(old), key(new));
        let names_it = |s: &Service| s.depends_on.iter().any(|d| key(d) == old_key);
        // Not the service itself: that it named its old name does not make it depend on itself.
        let others = self.world.services.iter().filter(|(name, s)| **name != new_key && names_it(s));
        let affected: Vec<Service> = others.map(|(_, s)| s.clone()).collect();
        for mut service in affected {
            for name in service.depends_on.iter_mut().filter(|d| key(d) == old_key) {
                new.clone_into(name);
            }
            self.write_service(service.tidy())?;
        }
        let ends_there = |(from, to): &&(String, String)| *from == old_key || *to == old_key;
        let edges: Vec<(String, String)> = self.world.edges.keys().filter(ends_there).cloned().collect();
        for at in edges {
            let Some(mut edge) = self.remove_edge(&at) else { continue };
            for name in [&mut edge.from, &mut edge.to] {
                if key(name) == old_key {
                    new.clone_into(name);
                }
            }
            let at = [at.0, at.1].map(|k| if k == old_key { new_key.clone() } else { k });
            self.merge_edge(at.into(), edge);
        }
        Ok(())
    }

    /// Declares services or changes them, all or none; others stay.
    pub fn put_services(&mut self, services: Vec<Service>, by: &Actor) -> Result<Replaced, CommandError> {
        let named: std::collections::BTreeSet<String> = services.iter().map(|s| key(&s.name)).collect();
        let others: Vec<Service> =
            self.world.services.iter().filter(|(n, _)| !named.contains(*n)).map(|(_, s)| s.clone()).collect();
        self.settle(others, services, "services.update", by)
    }

    /// Declares these services and no others, all or none.
    pub fn replace_topology(&mut self, services: Vec<Service>, by: &Actor) -> Result<Replaced, CommandError> {
        self.settle(Vec::new(), services, "topology.replace", by)
    }

    fn settle(
        &mut self,
        stay: Vec<Service>,
        services: Vec<Service>,
        action: &str,
        by: &Actor,
    ) -> Result<Replaced, CommandError> {
        let services: Vec<Service> = services.into_iter().map(Service::tidy).collect();
        let new = services.iter().enumerate().map(|(n, s)| (format!("/services/{n}"), s));
        let mut wrong = mistakes(stay.iter().map(|s| ("/services".to_owned(), s)).chain(new));
        for (n, service) in services.iter().enumerate() {
            let stood = self.world.services.get(&key(&service.name));
            addresses(&format!("/services/{n}"), service, stood, &mut wrong);
        }
        if !wrong.is_empty() {
            return Err(CommandError::Mistakes(wrong));
        }
        let next: BTreeMap<String, Service> = stay.into_iter().chain(services).map(|s| (key(&s.name), s)).collect();
        let mut done = Replaced::default();
        let gone: Vec<String> = self.world.services.keys().filter(|n| !next.contains_key(*n)).cloned().collect();
        // All of them first: what is left may take their names.
        for name in &gone {
            self.take_service(name)?;
            done.removed += 1;
        }
        let mut write = Vec::new();
        for (name, service) in next {
            match self.world.services.get(&name) {
                Some(known) if *known == service => {}
                Some(_) => {
                    done.changed += 1;
                    self.world.undeclare(&name);
                    write.push(service);
                }
                None => {
                    done.added += 1;
                    write.push(service);
                }
            }
        }
        for service in write {
            self.write_service(service)?;
        }
        if done != Replaced::default() {
            self.settle_edges();
            self.topology_changed = true;
            let data = json!({ "added": done.added, "changed": done.changed, "removed": done.removed });
            self.audit(by, action, format!("{} services", self.world.services.len()), data)?;
        }
        Ok(done)
    }

    /// Removes a service. What depends on it keeps its name.
    pub fn delete_service(&mut self, name: &str, by: &Actor) -> Result<Service, CommandError> {
        let Some(service) = self.take_service(&key(name))? else {
            return Err(CommandError::NotFound(format!("service `{name}`")));
        };
        self.settle_edges();
        self.topology_changed = true;
        self.audit(by, "service.remove", service.name.clone(), json!({ "before": service }))?;
        Ok(service)
    }

    fn write_service(&mut self, service: Service) -> Result<(), StoreError> {
        put(&mut self.services, key(&service.name).as_str(), &service)?;
        self.world.declare(service);
        Ok(())
    }

    fn take_service(&mut self, name: &str) -> Result<Option<Service>, StoreError> {
        self.services.remove(name)?;
        Ok(self.world.undeclare(name))
    }

    // ---- learned edges ----

    /// What a new alert tells of who calls whom.
    pub fn learn_edges(&mut self, alert: &Alert) {
        if alert.test {
            return;
        }
        for (from, to) in crate::correlation::edges::learned(&alert.labels, alert.service.as_deref()) {
            self.learn(&from, &to, alert);
        }
    }

    fn learn(&mut self, from: &str, to: &str, alert: &Alert) {
        let (from, to) = (self.world.canonical(from).to_owned(), self.world.canonical(to).to_owned());
        let at = edge_key(&from, &to);
        if at.0.is_empty() || at.1.is_empty() || at.0 == at.1 || self.world.is_declared(&from, &to) {
            return;
        }
        self.world.touched = true;
        if let Some(edge) = self.world.edges.get_mut(&at) {
            edge.count += 1;
            edge.last_at = edge.last_at.max(self.now);
            edge.platform.clone_from(&alert.platform);
            self.edges_touched.insert(at);
            return;
        }
        if self.world.edges.len() >= MAX_LEARNED {
            self.make_room();
        }
        let edge = LearnedEdge {
            from,
            to,
            count: 1,
            first_at: self.now,
            last_at: self.now,
            platform: alert.platform.clone(),
            dismissed_by: None,
            dismissed_at: None,
        };
        self.world.edges.insert(at.clone(), edge);
        self.edges_changed(at);
    }

    /// Another set of edges than before.
    fn edges_changed(&mut self, at: (String, String)) {
        self.world.touched = true;
        self.world.topology_version.touch();
        self.topology_changed = true;
        self.edges_touched.insert(at);
    }

    fn remove_edge(&mut self, at: &(String, String)) -> Option<LearnedEdge> {
        let edge = self.world.edges.remove(at)?;
        self.edges_changed(at.clone());
        Some(edge)
    }

    /// An edge under its names, with what another one under the same names told.
    fn merge_edge(&mut self, at: (String, String), edge: LearnedEdge) {
        let merged = match self.world.edges.remove(&at) {
            None => edge,
            Some(known) => {
                let latest = if edge.last_at > known.last_at { &edge } else { &known };
                LearnedEdge {
                    count: known.count.saturating_add(edge.count),
                    first_at: known.first_at.min(edge.first_at),
                    last_at: latest.last_at,
                    platform: latest.platform.clone(),
                    dismissed_by: known.dismissed_by.or(edge.dismissed_by),
                    dismissed_at: known.dismissed_at.or(edge.dismissed_at),
                    ..edge
                }
            }
        };
        self.world.edges.insert(at.clone(), merged);
        self.edges_changed(at);
    }

    /// The edges that were heard of longest ago go, those that nobody judged first.
    fn make_room(&mut self) {
        let mut oldest: Vec<(bool, Time, (String, String))> =
            self.world.edges.iter().map(|(at, e)| (!e.holds(), e.last_at, at.clone())).collect();
        oldest.sort();
        for (_, _, at) in oldest.into_iter().take(ROOM) {
            self.remove_edge(&at);
        }
    }

    /// After services changed: edges go by the declared names, and what is declared needs no learning.
    fn settle_edges(&mut self) {
        let world = &*self.world;
        let astray: Vec<(String, String)> = world
            .edges
            .iter()
            .filter(|(at, e)| {
                let now = edge_key(world.canonical(&e.from), world.canonical(&e.to));
                now != **at || now.0 == now.1 || world.is_declared(&e.from, &e.to)
            })
            .map(|(at, _)| at.clone())
            .collect();
        for at in astray {
            let Some(mut edge) = self.remove_edge(&at) else { continue };
            edge.from = self.world.canonical(&edge.from).to_owned();
            edge.to = self.world.canonical(&edge.to).to_owned();
            let at = edge_key(&edge.from, &edge.to);
            if at.0 != at.1 && !self.world.is_declared(&edge.from, &edge.to) {
                self.merge_edge(at, edge);
            }
        }
    }

    fn known_edge(&self, from: &str, to: &str) -> Result<(String, String), CommandError> {
        let at = edge_key(self.world.canonical(from), self.world.canonical(to));
        let missing = || CommandError::NotFound(format!("learned edge from `{from}` to `{to}`"));
        self.world.edges.contains_key(&at).then_some(at).ok_or_else(missing)
    }

    /// A person says that an edge is not so, or takes that back.
    pub fn dismiss_edge(
        &mut self,
        from: &str,
        to: &str,
        dismissed: bool,
        by: &Actor,
    ) -> Result<LearnedEdge, CommandError> {
        let at = self.known_edge(from, to)?;
        let now = self.now;
        let Some(edge) = self.world.edges.get_mut(&at) else {
            return Err(CommandError::NotFound(format!("learned edge from `{from}` to `{to}`")));
        };
        if edge.holds() != dismissed {
            return Ok(edge.clone());
        }
        edge.dismissed_by = dismissed.then(|| by.to_string());
        edge.dismissed_at = dismissed.then_some(now);
        let edge = edge.clone();
        self.edges_changed(at);
        let action = if dismissed { "edge.dismiss" } else { "edge.restore" };
        self.audit(by, action, format!("{} → {}", edge.from, edge.to), json!({ "count": edge.count }))?;
        Ok(edge)
    }

    /// A person says that an edge is so: it is declared from now on, with its caller when that was not.
    pub fn adopt_edge(&mut self, from: &str, to: &str, by: &Actor) -> Result<Service, CommandError> {
        let at = self.known_edge(from, to)?;
        let Some(edge) = self.world.edges.get(&at).cloned() else {
            return Err(CommandError::NotFound(format!("learned edge from `{from}` to `{to}`")));
        };
        let known = self.world.service(&edge.from).cloned();
        let mut service = known.unwrap_or_else(|| Service { name: edge.from.clone(), ..Service::default() });
        service.depends_on.push(edge.to.clone());
        self.audit(by, "edge.adopt", format!("{} → {}", edge.from, edge.to), json!({ "count": edge.count }))?;
        Ok(self.put_service(None, service, by)?.service)
    }

    /// Forgets edges of which no alert told since `horizon`; those that a person dismissed stay. Returns how many.
    pub fn forget_edges(&mut self, horizon: Time, budget: usize) -> usize {
        let unseen = self.world.edges.iter().filter(|(_, e)| e.holds() && e.last_at < horizon);
        let old: Vec<(String, String)> = unseen.map(|(at, _)| at.clone()).take(budget).collect();
        for at in &old {
            self.remove_edge(at);
        }
        old.len()
    }

    /// Writes the edges that were touched, each once, and tells that the topology or the mutes are others.
    pub(super) fn write_edges(&mut self) -> Result<(), StoreError> {
        for at in std::mem::take(&mut self.edges_touched) {
            let names = (at.0.as_str(), at.1.as_str());
            match self.world.edges.get(&at) {
                Some(edge) => put(&mut self.edges, names, edge)?,
                None => {
                    self.edges.remove(names)?;
                }
            }
        }
        if std::mem::take(&mut self.topology_changed) {
            self.log(ChangeSubject::Topology)?;
        }
        if std::mem::take(&mut self.mutes_changed) {
            self.log(ChangeSubject::Mutes)?;
        }
        Ok(())
    }
}
