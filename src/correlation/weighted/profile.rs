//! What the correlator knows of an open incident: bounded, whatever its size, and kept in the store beside the incident, so
//! that a restart changes no decision.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::subject::Subject;
use crate::{
    correlation::{
        names::{self, Key},
        topology::{Meant, Topology},
    },
    model::Time,
    text::Doc,
};

/// Bounds of what is kept of one incident; beyond them the longest unheard goes.
const MOST_SERVICES: usize = 512;
const MOST_HOSTS: usize = 256;
const MOST_NAMED: usize = 128;
const MOST_TEXTS: usize = 48;
const MOST_TIMES: usize = 32;
const MOST_ENVIRONMENTS: usize = 8;
/// Silence counts as part of a rhythm up to this many seconds.
const LONGEST_BEAT: f64 = 1800.0;
/// A rhythm before any is heard, in seconds, and how much of a new gap it takes over.
const FIRST_BEAT: f64 = 90.0;
const BEAT_SHARE: f64 = 0.25;

/// A service of the incident.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ServiceSeen {
    /// As it is shown; what is compared follows from it, by what is known of services now.
    pub name: String,
    /// As it is compared.
    #[serde(skip)]
    pub key: Key,
    /// Its first alert.
    pub first: Time,
    /// Its latest alert.
    pub last: Time,
    /// Alerts of it.
    pub count: u32,
}

/// A machine of the incident.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HostSeen {
    /// As it is shown.
    pub name: String,
    /// As it is compared.
    #[serde(skip)]
    pub key: Key,
    /// The latest alert of it.
    pub last: Time,
    /// That one was about the machine itself.
    pub machine: bool,
    /// The latest alert that names the machine and no service.
    pub alone: Option<Time>,
    /// Alerts of it.
    pub count: u32,
}

/// A service that alerts of the incident name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Named {
    /// As it is compared.
    pub key: u64,
    /// The latest alert that named it.
    pub last: Time,
    /// Alerts that did.
    pub count: u32,
}

/// One thing that alerts of the incident say.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Said {
    /// The title without names and numbers.
    pub name: u64,
    /// Of which service; empty for none.
    #[serde(default)]
    pub service: String,
    #[serde(skip)]
    pub key: Option<Key>,
    /// What.
    pub doc: Doc,
    /// The latest alert that said it.
    pub last: Time,
    /// Alerts that did.
    pub count: u32,
}

impl Said {
    fn means(&self, topology: &Topology) -> Option<Key> {
        (!self.service.is_empty()).then(|| topology.key(&self.service))
    }
}

/// What is known of an incident.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Profile {
    /// Onset of its first alert.
    pub first: Time,
    /// Onset of its latest alert.
    pub last: Time,
    /// Alerts.
    pub size: u64,
    /// Those about the network.
    pub network: u64,
    /// Those whose sender never says when they are over.
    pub endless: u64,
    /// The usual gap between two alerts, in milliseconds.
    pub beat: u64,
    /// Where it began, as a service's name.
    pub root: Option<String>,
    /// The latest onsets.
    pub times: VecDeque<Time>,
    /// Environments, the first eight.
    pub environments: Vec<u64>,
    /// Its services.
    pub services: Vec<ServiceSeen>,
    /// Its machines.
    pub hosts: Vec<HostSeen>,
    /// Services that its alerts name.
    pub named: Vec<Named>,
    /// What its alerts say, the latest last.
    pub said: Vec<Said>,
}

/// What had to go for something new: an incident is no longer found by it.
#[derive(Debug, Default, PartialEq)]
pub struct Gone {
    /// A service.
    pub service: Option<Key>,
    /// A machine.
    pub host: Option<Key>,
    /// Services that were named: one alert may name several new ones.
    pub named: Vec<Key>,
    /// A title, when nothing else has it.
    pub name: Option<Key>,
}

/// Takes the longest unheard out when there are too many.
fn bound<T>(list: &mut Vec<T>, most: usize, last: impl Fn(&T) -> Time) -> Option<T> {
    if list.len() <= most {
        return None;
    }
    let (oldest, _) = list.iter().enumerate().min_by_key(|(_, x)| last(x))?;
    Some(list.remove(oldest))
}

impl Profile {
    /// One more alert.
    pub fn add(&mut self, s: &Subject) -> Gone {
        let at = s.at;
        let mut gone = Gone::default();
        if self.size == 0 {
            *self = Self::default();
            (self.first, self.last, self.beat) = (at, at, (FIRST_BEAT * 1000.0) as u64);
            self.root = s.service.as_ref().map(|m| m.name.clone());
        } else {
            let gap = at.since(self.last).as_secs_f64().min(LONGEST_BEAT);
            let beat = self.beat as f64 / 1000.0;
            self.beat = ((beat + BEAT_SHARE * (gap - beat)) * 1000.0) as u64;
            if at < self.first {
                self.first = at;
                self.root = s.service.as_ref().map(|m| m.name.clone());
            }
            self.last = self.last.max(at);
        }
        self.size += 1;
        self.network += u64::from(s.network);
        self.endless += u64::from(s.endless);
        self.times.push_back(at);
        if self.times.len() > MOST_TIMES {
            self.times.pop_front();
        }
        if let Some(e) = s.environment
            && self.environments.len() < MOST_ENVIRONMENTS
            && !self.environments.contains(&e.0)
        {
            self.environments.push(e.0);
        }
        if let Some(Meant { key, name }) = &s.service {
            match self.services.iter_mut().find(|x| x.key == *key) {
                Some(seen) => {
                    (seen.first, seen.last) = (seen.first.min(at), seen.last.max(at));
                    seen.count += 1;
                }
                None => {
                    self.services.push(ServiceSeen { name: name.clone(), key: *key, first: at, last: at, count: 1 });
                    gone.service = bound(&mut self.services, MOST_SERVICES, |x| x.last).map(|x| x.key);
                    // Two names may have come to mean one service.
                    gone.service = gone.service.filter(|key| self.service(*key).is_none());
                }
            }
        }
        if let Some(Meant { key, name }) = &s.host {
            let alone = s.service.is_none().then_some(at);
            match self.hosts.iter_mut().find(|x| x.key == *key) {
                Some(seen) => {
                    if at >= seen.last {
                        (seen.last, seen.machine) = (at, s.machine);
                    }
                    seen.alone = seen.alone.max(alone);
                    seen.count += 1;
                }
                None => {
                    self.hosts.push(HostSeen {
                        name: name.clone(),
                        key: *key,
                        last: at,
                        machine: s.machine,
                        alone,
                        count: 1,
                    });
                    gone.host = bound(&mut self.hosts, MOST_HOSTS, |x| x.last).map(|x| x.key);
                }
            }
        }
        for key in &s.named {
            match self.named.iter_mut().find(|x| x.key == key.0) {
                Some(seen) => {
                    seen.last = seen.last.max(at);
                    seen.count += 1;
                }
                None => {
                    self.named.push(Named { key: key.0, last: at, count: 1 });
                    gone.named.extend(bound(&mut self.named, MOST_NAMED, |x| x.last).map(|x| Key(x.key)));
                }
            }
        }
        let key = s.service.as_ref().map(|m| m.key);
        let service = s.service.as_ref().map(|m| m.name.clone()).unwrap_or_default();
        let mut said = Said { name: s.name.0, service, key, doc: s.doc.clone(), last: at, count: 1 };
        // The latest stands last, so that the oldest goes first.
        if let Some(before) = self.said.iter().position(|x| x.name == said.name && x.key == key && x.doc == said.doc) {
            let before = self.said.remove(before);
            (said.last, said.count) = (before.last.max(at), before.count + 1);
        }
        self.said.push(said);
        if self.said.len() > MOST_TEXTS {
            let name = self.said.remove(0).name;
            gone.name = (!self.said.iter().any(|x| x.name == name)).then_some(Key(name));
        }
        gone
    }

    /// What would be known without one of its alerts. What only that one told goes; times stay as they are where others told
    /// the same.
    pub fn without(&self, s: &Subject) -> Self {
        let mut p = self.clone();
        p.size = p.size.saturating_sub(1);
        p.network = p.network.saturating_sub(u64::from(s.network));
        p.endless = p.endless.saturating_sub(u64::from(s.endless));
        if let Some(at) = p.times.iter().position(|t| *t == s.at) {
            p.times.remove(at);
        }
        let key = s.service.as_ref().map(|m| m.key);
        let fewer = |count: &mut u32| {
            *count = count.saturating_sub(1);
            *count > 0
        };
        if let Some(n) = p.services.iter().position(|x| Some(x.key) == key)
            && p.services.get_mut(n).is_some_and(|x| !fewer(&mut x.count))
        {
            p.services.remove(n);
        }
        p.hosts.retain_mut(|x| s.host.as_ref().is_none_or(|h| h.key != x.key) || fewer(&mut x.count));
        p.named.retain_mut(|x| !s.named.contains(&Key(x.key)) || fewer(&mut x.count));
        p.said.retain_mut(|x| !(x.name == s.name.0 && x.key == key && x.doc == s.doc) || fewer(&mut x.count));
        if p.last == s.at {
            p.last = p.times.iter().max().copied().unwrap_or(p.last);
        }
        if p.first == s.at
            && let Some(first) = p.services.iter().min_by_key(|x| x.first)
        {
            (p.first, p.root) = (first.first, Some(first.name.clone()));
        }
        p
    }

    /// What is known of two incidents that become one.
    pub fn merge(&mut self, other: Self) {
        if self.size == 0 {
            *self = other;
            return;
        }
        if other.size == 0 {
            return;
        }
        if other.first < self.first {
            (self.first, self.root) = (other.first, other.root);
        }
        if other.size > self.size {
            self.beat = other.beat;
        }
        self.last = self.last.max(other.last);
        self.size += other.size;
        self.network += other.network;
        self.endless += other.endless;
        self.times.extend(other.times);
        self.times.make_contiguous().sort_unstable();
        while self.times.len() > MOST_TIMES {
            self.times.pop_front();
        }
        for e in other.environments {
            if self.environments.len() < MOST_ENVIRONMENTS && !self.environments.contains(&e) {
                self.environments.push(e);
            }
        }
        for x in other.services {
            match self.services.iter_mut().find(|y| y.key == x.key) {
                Some(y) => (y.first, y.last, y.count) = (y.first.min(x.first), y.last.max(x.last), y.count + x.count),
                None => self.services.push(x),
            }
            bound(&mut self.services, MOST_SERVICES, |x| x.last);
        }
        for x in other.hosts {
            match self.hosts.iter_mut().find(|y| y.key == x.key) {
                Some(y) => {
                    if x.last > y.last {
                        (y.last, y.machine) = (x.last, x.machine);
                    }
                    (y.alone, y.count) = (y.alone.max(x.alone), y.count + x.count);
                }
                None => self.hosts.push(x),
            }
            bound(&mut self.hosts, MOST_HOSTS, |x| x.last);
        }
        for x in other.named {
            match self.named.iter_mut().find(|y| y.key == x.key) {
                Some(y) => (y.last, y.count) = (y.last.max(x.last), y.count + x.count),
                None => self.named.push(x),
            }
            bound(&mut self.named, MOST_NAMED, |x| x.last);
        }
        for x in other.said {
            match self.said.iter_mut().find(|y| y.name == x.name && y.key == x.key && y.doc == x.doc) {
                Some(y) => (y.last, y.count) = (y.last.max(x.last), y.count + x.count),
                None => self.said.push(x),
            }
        }
        self.said.sort_by_key(|x| x.last);
        while self.said.len() > MOST_TEXTS {
            self.said.remove(0);
        }
    }

    /// What is compared, from the names: after reading it from the store, and when more is known of services.
    pub fn resolve(&mut self, topology: &Topology) {
        for service in &mut self.services {
            service.key = topology.key(&service.name);
        }
        for host in &mut self.hosts {
            host.key = names::plain(&host.name);
        }
        for said in &mut self.said {
            said.key = said.means(topology);
        }
    }

    /// Whether `resolve` would change nothing, of a profile that was resolved before.
    pub fn is_resolved(&self, topology: &Topology) -> bool {
        self.services.iter().all(|x| x.key == topology.key(&x.name))
            && self.said.iter().all(|x| x.key == x.means(topology))
    }

    /// A service of it.
    pub fn service(&self, key: Key) -> Option<&ServiceSeen> {
        self.services.iter().find(|s| s.key == key)
    }

    /// A machine of it.
    pub fn host(&self, key: Key) -> Option<&HostSeen> {
        self.hosts.iter().find(|h| h.key == key)
    }

    /// When its alerts last named a service.
    pub fn names(&self, key: Key) -> Option<Time> {
        self.named.iter().find(|n| n.key == key.0).map(|n| n.last)
    }

    /// How much longer than its own rhythm it has been silent at a moment: the logarithm of how many times, 0 in rhythm.
    pub fn silence(&self, at: Time) -> f64 {
        if self.size < 4 {
            return 0.0;
        }
        let usual = FIRST_BEAT + 8.0 * (self.beat as f64 / 1000.0);
        (at.since(self.last).as_secs_f64() / usual).max(1.0).ln()
    }
}
