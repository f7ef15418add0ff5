//! What the writer keeps in memory: which signals meet which alerts, and which open incidents are candidates. A copy of
//! what the tables say, dropped and read again after any failed commit: memory never leads the disk.

mod calm;
mod queue;
mod services;
mod telling;

pub use calm::Calm;
pub use queue::Queue;
pub use telling::Telling;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    hash::Hash,
};

use redb::{ReadTransaction, ReadableTable};

use super::{StoreError, codec, tables};
use crate::{
    correlation::{
        Candidate, Subject,
        lessons::Lessons,
        topology::Topology,
        weighted::{self, Engine, Profile},
    },
    model::{
        Alert, CorrelationSet, CorrelationSettings, Fingerprint, Incident, IncidentId, InvestigationSet,
        InvestigationSettings, LearnedEdge, Service, Time, name_key,
    },
};
use services::Touch;

/// Candidates looked at for one alert: enough for any real grouping, and a bound on the cost in a storm.
const MAX_CANDIDATES: usize = 64;

/// An alert that a signal can still meet.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LiveAlert {
    /// Its number.
    pub number: u64,
    /// When it closed; none while open.
    pub closed_at: Option<Time>,
}

/// An open incident as a candidate.
#[derive(Clone, Debug, PartialEq)]
struct OpenIncident {
    service: Option<String>,
    host: Option<String>,
    onset: Time,
    groups: Vec<Fingerprint>,
}

/// The writer's memory.
#[derive(Debug, Default, PartialEq)]
pub struct World {
    /// Identity → alert, for alerts that are open or closed a short time ago.
    pub alerts: HashMap<Fingerprint, LiveAlert>,
    // Those of them that are closed, in the order in which they are to be forgotten.
    closed: BTreeSet<(Time, Fingerprint)>,
    incidents: HashMap<u64, OpenIncident>,
    by_service: HashMap<String, BTreeSet<u64>>,
    by_host: HashMap<String, BTreeSet<u64>>,
    by_group: HashMap<Fingerprint, BTreeSet<u64>>,
    by_onset: BTreeSet<(Time, u64)>,
    /// What mutes alerts and what makes them wait.
    pub calm: Calm,
    /// Who is told what.
    pub telling: Telling,
    /// What is declared of services, by name as it is compared.
    pub services: BTreeMap<String, Service>,
    // Names and aliases as they are compared → the service.
    service_names: HashMap<String, String>,
    /// What alerts told: caller and callee as they are compared → the edge. Nothing that is declared.
    pub edges: BTreeMap<(String, String), LearnedEdge>,
    /// Another one whenever services or edges are there that were not, or the other way round.
    pub topology_version: Touch,
    /// What the correlator knows of open incidents, and of services as of `engine_knows`.
    pub engine: Engine,
    engine_knows: Touch,
    /// Identities that people keep apart, each under both.
    pub apart: BTreeMap<Fingerprint, BTreeSet<Fingerprint>>,
    /// What people's corrections taught.
    pub lessons: Lessons,
    /// What people set about correlation.
    pub correlation: CorrelationSettings,
    /// What people set about investigations.
    pub investigation: InvestigationSettings,
    /// Investigations that wait or run.
    pub queue: Queue,
    /// Last numbers given, by the names of `tables::meta`.
    pub numbers: BTreeMap<&'static str, u64>,
    /// Changed since this was last set to false: it may be ahead of the disk if the transaction fails.
    pub touched: bool,
}

/// Names as they are compared.
pub fn key(name: &str) -> String {
    name_key(name)
}

/// Takes a number out of an index, and a name without any.
fn remove<K: Eq + Hash>(index: &mut HashMap<K, BTreeSet<u64>>, name: &K, number: u64) {
    if let Some(set) = index.get_mut(name) {
        set.remove(&number);
        if set.is_empty() {
            index.remove(name);
        }
    }
}

/// What is known of an open incident when the memory is read.
enum Known {
    /// From its own row.
    Kept(Profile),
    /// From its only alert.
    Told(Profile),
}

fn profile(txn: &ReadTransaction, incident: &Incident) -> Result<Option<Known>, StoreError> {
    let number = incident.id.0;
    if let Some(row) = txn.open_table(tables::PROFILES)?.get(number)? {
        return Ok(Some(Known::Kept(codec::decode(row.value())?)));
    }
    let Some(first) = txn.open_table(tables::MEMBERS)?.range((number, 0)..=(number, u64::MAX))?.next() else {
        return Ok(None);
    };
    let alert = first?.0.value().1;
    let Some(row) = txn.open_table(tables::ALERTS)?.get(alert)? else { return Ok(None) };
    let alert: Alert = codec::decode(row.value())?;
    let mut profile = Profile::default();
    profile.add(&weighted::Subject::plain(&alert));
    Ok(Some(Known::Told(profile)))
}

impl World {
    /// Reads it from the tables.
    pub fn load(txn: &ReadTransaction) -> Result<Self, StoreError> {
        let mut world = Self::default();
        let meta = txn.open_table(tables::META)?;
        for name in [
            tables::meta::POSITION,
            tables::meta::ALERT,
            tables::meta::INCIDENT,
            tables::meta::CHANGE,
            tables::meta::EVENT,
            tables::meta::AUDIT,
            tables::meta::SWEPT,
            tables::meta::MUTE,
            tables::meta::BACKTEST,
            tables::meta::RUNBOOK,
            tables::meta::VIEW,
            tables::meta::NOTICE,
            tables::meta::BOOK,
        ]
        .into_iter()
        .chain(tables::meta::BYTES)
        {
            world.numbers.insert(name, meta.get(name)?.map_or(0, |n| n.value()));
        }
        if let Some(row) = txn.open_table(tables::SETTINGS)?.get(tables::CORRELATION)? {
            world.correlation = codec::decode::<CorrelationSet>(row.value())?.settings;
        }
        if let Some(row) = txn.open_table(tables::SETTINGS)?.get(tables::INVESTIGATION)? {
            world.investigation = codec::decode::<InvestigationSet>(row.value())?.settings;
        }
        for row in txn.open_table(tables::LIVE_ALERTS)?.iter()? {
            let (number, value) = row?;
            let (fingerprint, closed) = value.value();
            let closed_at = (closed != i64::MAX).then(|| Time::from_millis(closed));
            world.meet(Fingerprint(fingerprint), LiveAlert { number: number.value(), closed_at });
        }
        world.calm = Calm::load(txn)?;
        world.telling = Telling::load(txn)?;
        for row in txn.open_table(tables::SERVICES)?.iter()? {
            world.declare(codec::decode(row?.1.value())?);
        }
        for row in txn.open_table(tables::EDGES)?.iter()? {
            let (names, bytes) = row?;
            let (from, to) = names.value();
            world.edges.insert((from.to_owned(), to.to_owned()), codec::decode(bytes.value())?);
        }
        // Also where nothing is declared.
        world.topology_version.touch();
        world.catch_up();
        let incidents = txn.open_table(tables::INCIDENTS)?;
        for row in txn.open_table(tables::OPEN)?.iter()? {
            let number = row?.0.value();
            let bytes = incidents
                .get(number)?
                .ok_or_else(|| StoreError::Damaged(format!("INC-{number} is listed as open and has no row")))?;
            let incident: Incident = codec::decode(bytes.value())?;
            world.open(&incident);
            if let Some(profile) = profile(txn, &incident)? {
                match profile {
                    Known::Kept(profile) => world.engine.know(incident.id, profile, false),
                    Known::Told(profile) => world.engine.know(incident.id, profile, true),
                }
            }
        }
        let last = world.last(tables::meta::INCIDENT);
        for row in incidents.range(last.saturating_sub(weighted::OPENINGS) + 1..)? {
            let incident: Incident = codec::decode(row?.1.value())?;
            world.opened(&incident);
        }
        for row in txn.open_table(tables::APART)?.iter()? {
            let (one, other) = row?.0.value();
            world.part(Fingerprint(one), Fingerprint(other));
        }
        for row in txn.open_table(tables::LESSONS)?.iter()? {
            world.lessons.put(codec::decode(row?.1.value())?);
        }
        for row in txn.open_table(tables::JOBS)?.iter()? {
            world.queue.put(&codec::decode(row?.1.value())?);
        }
        Ok(world)
    }

    /// The correlator learns what is known of services by now.
    pub fn catch_up(&mut self) {
        if self.engine_knows.0 != self.topology_version.0 {
            self.engine_knows = self.topology_version;
            let edges = self.edges.values().filter(|e| e.holds()).map(|e| (e.from.as_str(), e.to.as_str()));
            self.engine.learn(Topology::new(self.services.values(), edges));
        }
    }

    /// An incident was opened: that tells how often one opens.
    pub fn opened(&mut self, incident: &Incident) {
        if !incident.test && !incident.manual {
            self.engine.note_opened(incident.id, incident.onset_at, self.last(tables::meta::INCIDENT));
        }
    }

    /// Two identities are kept apart.
    pub fn part(&mut self, one: Fingerprint, other: Fingerprint) {
        self.touched = true;
        self.apart.entry(one).or_default().insert(other);
        self.apart.entry(other).or_default().insert(one);
    }

    /// Two identities are no longer kept apart.
    pub fn unpart(&mut self, one: Fingerprint, other: Fingerprint) {
        self.touched = true;
        for (a, b) in [(one, other), (other, one)] {
            if let Some(partners) = self.apart.get_mut(&a) {
                partners.remove(&b);
                if partners.is_empty() {
                    self.apart.remove(&a);
                }
            }
        }
    }

    /// How many pairs are kept apart.
    pub fn pairs(&self) -> usize {
        self.apart.values().map(BTreeSet::len).sum::<usize>() / 2
    }

    /// The newest open incidents that began with that service or host, in lower case, at most `most`.
    pub fn open_at(&self, place: &str, most: usize) -> Vec<IncidentId> {
        let named = |index: &HashMap<String, BTreeSet<u64>>| -> Vec<u64> {
            index.get(place).map(|set| set.iter().rev().take(most).copied().collect()).unwrap_or_default()
        };
        let found: BTreeSet<u64> = named(&self.by_service).into_iter().chain(named(&self.by_host)).collect();
        found.into_iter().rev().take(most).map(IncidentId).collect()
    }

    /// Signals of this identity meet this alert from now on.
    pub fn meet(&mut self, fingerprint: Fingerprint, alert: LiveAlert) {
        self.forget(&fingerprint);
        if let Some(at) = alert.closed_at {
            self.closed.insert((at, fingerprint));
        }
        self.alerts.insert(fingerprint, alert);
    }

    /// Signals of this identity meet nothing from now on.
    pub fn forget(&mut self, fingerprint: &Fingerprint) {
        self.touched = true;
        if let Some(LiveAlert { closed_at: Some(at), .. }) = self.alerts.remove(fingerprint) {
            self.closed.remove(&(at, *fingerprint));
        }
    }

    /// Identities and numbers of alerts that closed before that time.
    pub fn closed_before(&self, horizon: Time) -> Vec<(Fingerprint, u64)> {
        let old = self.closed.iter().take_while(|(at, _)| *at < horizon);
        old.filter_map(|(_, f)| self.alerts.get(f).map(|live| (*f, live.number))).collect()
    }

    /// The next number of a kind.
    pub fn next(&mut self, name: &'static str) -> u64 {
        self.touched = true;
        let n = self.numbers.entry(name).or_default();
        *n += 1;
        *n
    }

    /// The last number of a kind.
    pub fn last(&self, name: &'static str) -> u64 {
        self.numbers.get(name).copied().unwrap_or(0)
    }

    /// An incident is open (again), or what it is found by changed. Tests and manual incidents are never candidates.
    pub fn open(&mut self, incident: &Incident) {
        self.touched = true;
        self.unlist(incident.id);
        if incident.test || incident.manual {
            return;
        }
        let number = incident.id.0;
        let open = OpenIncident {
            service: incident.service.clone(),
            host: incident.host.clone(),
            onset: incident.onset_at,
            groups: incident.sender_groups.clone(),
        };
        if let Some(service) = &open.service {
            self.by_service.entry(key(service)).or_default().insert(number);
        }
        if let Some(host) = &open.host {
            self.by_host.entry(key(host)).or_default().insert(number);
        }
        for group in &open.groups {
            self.by_group.entry(*group).or_default().insert(number);
        }
        self.by_onset.insert((open.onset, number));
        self.incidents.insert(number, open);
        self.engine.open(incident);
    }

    /// An incident is no longer open.
    pub fn close(&mut self, id: IncidentId) {
        self.unlist(id);
        self.engine.close(id);
    }

    /// An incident's row is gone.
    pub fn remove(&mut self, id: IncidentId) {
        self.close(id);
        self.engine.forget(id);
    }

    fn unlist(&mut self, id: IncidentId) {
        let Some(open) = self.incidents.remove(&id.0) else { return };
        self.touched = true;
        self.by_onset.remove(&(open.onset, id.0));
        for group in open.groups {
            remove(&mut self.by_group, &group, id.0);
        }
        for (index, name) in [(&mut self.by_service, open.service), (&mut self.by_host, open.host)] {
            if let Some(name) = name {
                remove(index, &key(&name), id.0);
            }
        }
    }

    /// Open incidents that could have something to do with an alert: same service, same host, same group of the sender, or a
    /// start within `window`. The newest of each kind, at most `MAX_CANDIDATES` of each.
    pub fn candidates(&self, alert: &Subject<'_>, window: std::time::Duration) -> Vec<Candidate<'_>> {
        let Subject { service, host, onset, group, .. } = *alert;
        let named = |index: &HashMap<String, BTreeSet<u64>>, name: Option<&str>| -> Vec<u64> {
            let set = name.and_then(|n| index.get(&key(n)));
            set.map(|s| s.iter().rev().take(MAX_CANDIDATES).copied().collect()).unwrap_or_default()
        };
        let mut numbers: BTreeSet<u64> = BTreeSet::new();
        numbers.extend(named(&self.by_service, service));
        numbers.extend(named(&self.by_host, host));
        let grouped = group.and_then(|g| self.by_group.get(&g.of));
        numbers.extend(grouped.into_iter().flatten().rev().take(MAX_CANDIDATES));
        numbers.extend(alert.nearest.iter().map(|(id, _)| id.0));
        let near = self.by_onset.range((onset.minus(window), 0)..=(onset.plus(window), u64::MAX));
        numbers.extend(near.rev().take(MAX_CANDIDATES).map(|(_, n)| *n));
        numbers
            .into_iter()
            .filter_map(|n| {
                self.incidents.get(&n).map(|i| Candidate {
                    incident: IncidentId(n),
                    service: i.service.as_deref(),
                    host: i.host.as_deref(),
                    onset: i.onset,
                    groups: &i.groups,
                })
            })
            .collect()
    }
}
