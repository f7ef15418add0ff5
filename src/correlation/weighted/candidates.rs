//! Which open incidents an alert may have to do with: found through indexes, the newest of each kind, with a bound on all.

use std::{
    collections::{BTreeSet, HashMap},
    hash::Hash,
    time::Duration,
};

use super::{
    profile::{Gone, Profile},
    subject::Subject,
    weights::Weights,
};
use crate::{
    correlation::{names::Key, topology::Topology},
    model::{Fingerprint, Time},
};

/// Incidents taken for one reason, and in all.
const MOST_EACH: usize = 24;
const MOST: usize = 64;
/// Looked at in all to find them.
const MOST_SEEN: usize = 1_024;
/// Services that call the same ones, which are looked up.
const MOST_SIBLINGS: usize = 1_000;
/// Those that had an alert lately, for alerts that say little of where they belong.
const MOST_RECENT: usize = 24;
/// Those that a text is compared with where texts count by themselves.
const MOST_LATEST: usize = 256;

type By<K> = HashMap<K, BTreeSet<u64>>;

/// Names → open incidents.
#[derive(Debug, Default, PartialEq)]
pub struct Index {
    services: By<Key>,
    named: By<Key>,
    hosts: By<Key>,
    alone: By<Key>,
    names: By<Key>,
    groups: By<Fingerprint>,
    recent: BTreeSet<(Time, u64)>,
}

fn put<K: Eq + Hash>(by: &mut By<K>, key: K, number: u64) {
    by.entry(key).or_default().insert(number);
}

fn take<K: Eq + Hash>(by: &mut By<K>, key: &K, number: u64) {
    if let Some(set) = by.get_mut(key) {
        set.remove(&number);
        if set.is_empty() {
            by.remove(key);
        }
    }
}

impl Index {
    /// An incident's profile is about to change.
    pub fn before(&mut self, number: u64, profile: &Profile) {
        self.recent.remove(&(profile.last, number));
    }

    /// An alert was added to it.
    pub fn add(&mut self, number: u64, s: &Subject, profile: &Profile, gone: &Gone) {
        self.recent.insert((profile.last, number));
        if let Some(service) = &s.service {
            put(&mut self.services, service.key, number);
        }
        if let Some(host) = &s.host {
            put(&mut self.hosts, host.key, number);
            if s.service.is_none() {
                put(&mut self.alone, host.key, number);
            }
        }
        for key in &s.named {
            put(&mut self.named, *key, number);
        }
        put(&mut self.names, s.name, number);
        // Last, for it may be what has just come: an alert that began before all others.
        if let Some(key) = gone.service {
            take(&mut self.services, &key, number);
        }
        if let Some(key) = gone.host {
            take(&mut self.hosts, &key, number);
            take(&mut self.alone, &key, number);
        }
        for key in &gone.named {
            take(&mut self.named, key, number);
        }
        if let Some(key) = gone.name {
            take(&mut self.names, &key, number);
        }
    }

    /// The senders' groups of an incident.
    pub fn groups(&mut self, number: u64, groups: &[Fingerprint]) {
        for group in groups {
            put(&mut self.groups, *group, number);
        }
    }

    /// The senders' groups that an incident is found by no more.
    pub fn no_groups(&mut self, number: u64, groups: &[Fingerprint]) {
        for group in groups {
            take(&mut self.groups, group, number);
        }
    }

    /// All that an incident is found by.
    pub fn all(&mut self, number: u64, p: &Profile, groups: &[Fingerprint]) {
        self.groups(number, groups);
        if p.size == 0 {
            return;
        }
        self.recent.insert((p.last, number));
        for x in &p.services {
            put(&mut self.services, x.key, number);
        }
        for x in &p.hosts {
            put(&mut self.hosts, x.key, number);
            if x.alone.is_some() {
                put(&mut self.alone, x.key, number);
            }
        }
        for x in &p.named {
            put(&mut self.named, Key(x.key), number);
        }
        for x in &p.said {
            put(&mut self.names, Key(x.name), number);
        }
    }

    /// An incident is found by nothing any more.
    pub fn remove(&mut self, number: u64, p: &Profile, groups: &[Fingerprint]) {
        self.recent.remove(&(p.last, number));
        for x in &p.services {
            take(&mut self.services, &x.key, number);
        }
        for x in &p.hosts {
            take(&mut self.hosts, &x.key, number);
            take(&mut self.alone, &x.key, number);
        }
        for x in &p.named {
            take(&mut self.named, &Key(x.key), number);
        }
        for x in &p.said {
            take(&mut self.names, &Key(x.name), number);
        }
        self.no_groups(number, groups);
    }

    /// Whether nothing is found through it.
    #[cfg(test)]
    pub fn is_empty(&self) -> bool {
        [&self.services, &self.named, &self.hosts, &self.alone, &self.names].iter().all(|by| by.is_empty())
            && self.groups.is_empty()
            && self.recent.is_empty()
    }

    /// Open incidents that have an alert of this name.
    pub fn common(&self, name: Key) -> usize {
        self.names.get(&name).map_or(0, BTreeSet::len)
    }

    /// Open incidents that had an alert last, the latest first.
    pub fn latest(&self) -> impl Iterator<Item = u64> + '_ {
        self.recent.iter().rev().take(MOST_LATEST).map(|(_, number)| *number)
    }

    /// Open incidents that an alert may belong to, in order of their numbers. Those that take no alerts any more, such as
    /// many that nobody ever closed, do not stand in the way of older ones that do.
    pub fn candidates(
        &self,
        s: &Subject,
        t: &Topology,
        w: &Weights,
        takes_alerts: impl Fn(u64) -> bool,
    ) -> BTreeSet<u64> {
        let mut found: BTreeSet<u64> = BTreeSet::new();
        let mut seen = 0;
        let mut from = |set: Option<&BTreeSet<u64>>| {
            let mut taken = 0;
            for number in set.into_iter().flatten().rev().take(MOST_SEEN / 4) {
                if found.len() >= MOST || taken >= MOST_EACH || seen >= MOST_SEEN {
                    return;
                }
                seen += 1;
                if takes_alerts(*number) {
                    taken += 1;
                    found.insert(*number);
                }
            }
        };
        if let Some(group) = s.group {
            from(self.groups.get(&group));
        }
        for key in &s.named {
            from(self.services.get(key));
            from(self.named.get(key));
        }
        if let Some(service) = &s.service {
            from(self.services.get(&service.key));
            from(self.named.get(&service.key));
            for host in t.hosts_of(service.key) {
                from(self.alone.get(host));
            }
        }
        if let Some(host) = &s.host {
            from(self.hosts.get(&host.key));
            if s.service.is_none() {
                for key in t.on(host.key) {
                    from(self.services.get(&key));
                }
            }
        }
        from(self.names.get(&s.name));
        if let Some(service) = &s.service {
            for hops in 1..=crate::correlation::topology::DEPTH {
                for near in t.near_at(service.key, hops) {
                    from(self.services.get(&near));
                }
            }
            for x in t.needs(service.key).flat_map(|both| t.needed_by(both)).take(MOST_SIBLINGS) {
                from(self.services.get(&x));
            }
        }
        // Those that only the clock can tell of.
        let unmapped = s.service.as_ref().is_some_and(|m| !t.is_mapped(m.key));
        if s.network || s.service.is_none() || unmapped {
            let window = Duration::from_secs_f64(w.burst_lasts * 2.0);
            let lately = self.recent.range((s.at.minus(window), 0)..=(s.at.plus(window), u64::MAX));
            for (_, number) in lately.rev().take(MOST_RECENT) {
                found.insert(*number);
            }
        }
        found
    }
}
