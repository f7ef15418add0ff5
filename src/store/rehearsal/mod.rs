//! The writer's work in memory and on a recorded clock: what deliveries would have become with other settings. It goes
//! through the same transaction, the same rules and the same timers as the writer, on a database that is never on a disk.

mod context;
#[cfg(test)]
mod grouping_tests;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    path::Path,
    sync::Arc,
    time::Duration,
};

use redb::{Database, ReadableTable, backends::InMemoryBackend};
use serde::Deserialize;

use super::{
    CommandError, NewDelivery, Policy, StoreError, apply, codec,
    commands::{Finish, NewThought, incidents, investigation},
    file::File,
    intake::RETRY_KNOWN,
    open,
    received::retry_key,
    tables::{self, meta},
    tx::{Tx, get},
    views::View,
    world::World,
    writer::KEEP_CHANGES,
};
use crate::model::*;

/// Cues applied in one transaction. It costs nothing but memory, and rows that are changed often are written once.
const GROUP: usize = 2_000;
/// Cache of the database, in bytes; it is in memory once more anyway.
const CACHE: usize = 64 << 20;
/// Rows of the change log that nobody will read are removed so many at a time.
const TRIM: usize = 50_000;
/// Identities of alerts that closed long ago are forgotten this often, as by the writer.
const FORGET: Duration = Duration::from_secs(60);
/// A job is worked on at the moment in which it is taken.
const LEASE: Duration = Duration::from_secs(60);

/// What happens at one recorded moment.
#[derive(Clone, Debug)]
pub enum Cue {
    /// A delivery comes, at its `at`.
    Delivery(Box<NewDelivery>),
    /// As if a person ended incidents.
    Resolve {
        /// When.
        at: Time,
        /// Which.
        which: Which,
        /// What that person found to be the cause, of the one with most alerts.
        cause: Option<NamedCause>,
    },
}

/// Which incidents a person ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Which {
    /// Those opened since the last such cue.
    Latest,
    /// This one, or the one that it is part of by then.
    Incident(IncidentId),
    /// Those with an open alert of these.
    Of(Vec<Fingerprint>),
}

/// A cause that a person named.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct NamedCause {
    /// The service at fault.
    #[serde(default)]
    pub service: Option<String>,
    /// What was wrong with it.
    #[serde(default)]
    pub symptom: Option<Symptom>,
}

impl Cue {
    /// When it happens.
    pub fn at(&self) -> Time {
        match self {
            Self::Delivery(delivery) => delivery.at,
            Self::Resolve { at, .. } => *at,
        }
    }
}

/// What became of a cue, as of then. Where the alerts are in the end, `Rehearsal::fate` tells.
#[derive(Clone, Debug, PartialEq)]
pub struct Played {
    /// What became of the delivery.
    pub outcome: DeliveryOutcome,
    /// Why it was not understood.
    pub problem: Option<Problem>,
    /// What each signal did, in the order of the body.
    pub signals: Vec<Applied>,
    /// The sender had sent it before: it got the first answer again, and nothing changed.
    pub retry: bool,
    /// The incident of a resolve cue that had most alerts.
    pub resolved: Option<IncidentId>,
    /// What a resolve cue named is not there.
    pub missing: Option<IncidentId>,
}

impl Default for Played {
    fn default() -> Self {
        Self {
            outcome: DeliveryOutcome::Accepted,
            problem: None,
            signals: Vec::new(),
            retry: false,
            resolved: None,
            missing: None,
        }
    }
}

/// Investigates an incident as of that moment: its thoughts and its answer. None when there is nothing to investigate.
pub type Engine<'a> =
    dyn Fn(&View, IncidentId, Time) -> Result<Option<(Vec<NewThought>, Finish)>, StoreError> + Sync + 'a;

/// A store in memory whose clock goes from one cue to the next.
pub struct Rehearsal {
    main: File,
    world: World,
    policy: Policy,
    now: Time,
    forgot: Time,
    seq: u64,
    // Incidents up to this number belong to an earlier resolve cue.
    settled: u64,
    // Retry id → when it first came, and which cue that was.
    retries: HashMap<u128, (Time, usize)>,
    played: Vec<Played>,
    // Answers of incidents that ended since, and were looked at again after that.
    at_end: BTreeMap<IncidentId, (InvestigationHead, Investigation)>,
}

impl std::fmt::Debug for Rehearsal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rehearsal").field("now", &self.now).field("seq", &self.seq).finish_non_exhaustive()
    }
}

/// Why a transaction ended before its group did.
enum Halt {
    /// The group is full.
    Group,
    /// Nothing is left before that moment.
    Done,
    /// An investigation is to be made, for which the rows must be readable.
    Job(Job),
}

/// What an engine found, still to be written.
type Answer = (Lease, Option<(Vec<NewThought>, Finish)>);

impl Rehearsal {
    /// An empty one. `investigation` jobs are left alone unless `play` is given an engine.
    pub fn new(policy: Policy) -> Result<Self, StoreError> {
        let main = File::open(|| {
            let mut builder = Database::builder();
            builder.set_cache_size(CACHE);
            Ok(builder.create_with_backend(InMemoryBackend::new())?)
        })?;
        open::prepare_main(&main, Path::new("memory"))?;
        let world = World::load(&main.read()?)?;
        Ok(Self {
            main,
            world,
            policy,
            now: Time::from_millis(i64::MIN),
            forgot: Time::from_millis(i64::MIN),
            seq: 0,
            settled: 0,
            retries: HashMap::new(),
            played: Vec::new(),
            at_end: BTreeMap::new(),
        })
    }

    /// Declares these services and no others.
    pub fn declare(&mut self, services: Vec<Service>) -> Result<(), CommandError> {
        self.transaction(|_, tx| Ok(tx.replace_topology(services, &Actor::System)))?.map(drop)
    }

    /// The recorded time.
    pub fn now(&self) -> Time {
        self.now
    }

    /// What became of each cue so far.
    pub fn played(&self) -> &[Played] {
        &self.played
    }

    /// The same, to be forgotten here. Retries of what came before are no longer known as such.
    pub fn take_played(&mut self) -> Vec<Played> {
        self.retries.clear();
        std::mem::take(&mut self.played)
    }

    /// Bytes of its rows; it takes about three times as many of memory.
    pub fn bytes(&self) -> u64 {
        meta::BYTES.iter().map(|kind| self.world.last(kind)).sum()
    }

    /// Plays cues in order. Between them, and not after the last, the timers run.
    pub fn play<E: From<StoreError>>(
        &mut self,
        cues: impl Iterator<Item = Result<Cue, E>>,
        engine: Option<(&str, &Engine<'_>)>,
    ) -> Result<(), E> {
        let mut cues = cues.peekable();
        let mut answer: Option<Answer> = None;
        loop {
            let mut failed = None;
            let halt = self.transaction(|this, tx| {
                this.write(tx, answer.take())?;
                for _ in 0..GROUP {
                    let at = match cues.peek() {
                        None => return Ok(Halt::Done),
                        Some(Ok(cue)) => cue.at(),
                        Some(Err(_)) => Time::from_millis(i64::MIN),
                    };
                    if let Some(job) = this.pass(tx, at, engine.map(|(name, _)| name))? {
                        return Ok(Halt::Job(job));
                    }
                    match cues.next() {
                        Some(Ok(cue)) => this.cue(tx, cue)?,
                        Some(Err(e)) => {
                            failed = Some(e);
                            return Ok(Halt::Done);
                        }
                        None => return Ok(Halt::Done),
                    }
                }
                Ok(Halt::Group)
            })?;
            match (failed, halt) {
                (Some(e), _) => return Err(e),
                (None, Halt::Done) => return Ok(()),
                (None, Halt::Group) => {}
                (None, Halt::Job(job)) => answer = Some(self.investigate(&job, engine)?),
            }
        }
    }

    /// Lets time pass up to and with `until`, with what it brings by itself.
    pub fn pass_until(&mut self, until: Time, engine: Option<(&str, &Engine<'_>)>) -> Result<(), StoreError> {
        let end = until.plus(Duration::from_millis(1));
        let mut answer: Option<Answer> = None;
        loop {
            let halt = self.transaction(|this, tx| {
                this.write(tx, answer.take())?;
                Ok(match this.pass(tx, end, engine.map(|(name, _)| name))? {
                    Some(job) => Halt::Job(job),
                    None => Halt::Done,
                })
            })?;
            match halt {
                Halt::Job(job) => answer = Some(self.investigate(&job, engine)?),
                Halt::Done | Halt::Group => break,
            }
        }
        self.now = self.now.max(until);
        Ok(())
    }

    /// Goes through the moments before `end`. Stops at a job that is to be done.
    fn pass(&mut self, tx: &mut Tx<'_>, end: Time, engine: Option<&str>) -> Result<Option<Job>, StoreError> {
        loop {
            let timer = apply::timers::next(tx)?.filter(|at| *at < end);
            let job = match engine {
                Some(_) => tx.world.queue.next_due().filter(|at| *at < end),
                None => None,
            };
            match (timer, job, engine) {
                (None, None, _) => return Ok(None),
                (timer, Some(at), Some(engine)) if timer.is_none_or(|t| at < t) => {
                    self.at(tx, at)?;
                    // What is due is there, so that one is found.
                    if let Some(job) = investigation::lease_next(tx, LEASE, engine).map_err(as_store)? {
                        return Ok(Some(job));
                    }
                    return Err(StoreError::Damaged("a job that is due cannot be taken".to_owned()));
                }
                (Some(at), _, _) => {
                    self.at(tx, at)?;
                    apply::timers::due(tx)?;
                }
                (None, Some(_), _) => return Ok(None),
            }
        }
    }

    /// It is that late; a recorded clock that was set back stands still until it has caught up.
    fn at(&mut self, tx: &mut Tx<'_>, at: Time) -> Result<(), StoreError> {
        self.now = self.now.max(at);
        tx.now = self.now;
        if tx.now.since(self.forgot) >= FORGET {
            self.forgot = tx.now;
            tx.forget_closed()?;
        }
        // What comes now meets the silences and thresholds that are on by now.
        if tx.world.calm.is_due(tx.now) {
            apply::mutes::look(tx)?;
            apply::thresholds::expire(tx)?;
        }
        Ok(())
    }

    fn cue(&mut self, tx: &mut Tx<'_>, cue: Cue) -> Result<(), StoreError> {
        self.at(tx, cue.at())?;
        let played = match cue {
            Cue::Delivery(delivery) => self.deliver(tx, *delivery)?,
            Cue::Resolve { which, cause, .. } => self.resolve(tx, which, cause)?,
        };
        self.played.push(played);
        Ok(())
    }

    fn deliver(&mut self, tx: &mut Tx<'_>, new: NewDelivery) -> Result<Played, StoreError> {
        if let Some(id) = &new.parsed.retry_id {
            let key = retry_key(&new.platform, id);
            let known = self.retries.get(&key).filter(|(first, _)| new.at.since(*first) <= RETRY_KNOWN);
            if let Some(first) = known.and_then(|(_, cue)| self.played.get(*cue)) {
                return Ok(Played { retry: true, ..first.clone() });
            }
            self.retries.insert(key, (new.at, self.played.len()));
        }
        self.seq += 1;
        let NewDelivery { at, platform, outcome, problem, headers, body, parsed, .. } = new;
        let id = DeliveryId::new(at, self.seq);
        let delivery =
            Delivery { seq: self.seq, id, at, platform, outcome, problem, headers, body, parsed, replay_of: None };
        apply::delivery(tx, &delivery, &[])?;
        let problem = delivery.problem;
        let signals = get(&tx.results, self.seq)?.unwrap_or_default();
        // Nobody lists the deliveries of a rehearsal, and there may be very many.
        tx.results.remove(self.seq)?;
        tx.deliveries.remove(self.seq)?;
        Ok(Played { outcome, problem, signals, ..Played::default() })
    }

    fn resolve(&mut self, tx: &mut Tx<'_>, which: Which, cause: Option<NamedCause>) -> Result<Played, StoreError> {
        let last = tx.world.last(meta::INCIDENT);
        let mut wanted: BTreeSet<IncidentId> = BTreeSet::new();
        match which {
            Which::Incident(id) => match survivor(tx, id)? {
                Some(id) => wanted.extend([id]),
                None => return Ok(Played { missing: Some(id), ..Played::default() }),
            },
            Which::Latest => {
                wanted.extend((self.settled + 1..=last).map(IncidentId));
                self.settled = last;
            }
            Which::Of(fingerprints) => {
                for fingerprint in fingerprints {
                    let live = tx.world.alerts.get(&fingerprint).filter(|live| live.closed_at.is_none()).copied();
                    let Some(live) = live else { continue };
                    if let Some(id) = tx.alert(live.number)?.and_then(|alert| alert.incident) {
                        wanted.extend(survivor(tx, id)?);
                    }
                }
            }
        }
        let by = Actor::Person("backtest".to_owned());
        let mut most: Option<(u64, IncidentId)> = None;
        for id in wanted {
            let incident = tx.known_incident(id)?;
            if incident.status == IncidentStatus::Merged {
                continue;
            }
            if most.is_none_or(|(alerts, _)| incident.alert_count > alerts) {
                most = Some((incident.alert_count, id));
            }
            if incident.is_open() {
                incidents::resolve(tx, id, None, &by).map_err(as_store)?;
            }
        }
        let resolved = most.map(|(_, id)| id);
        if let (Some(id), Some(NamedCause { service, symptom })) = (resolved, cause) {
            // What was thought until then is what counts: recording the answer is not finding it.
            let head = tx.known_incident(id)?.investigation.clone();
            let answer = get(&tx.answers, id.0)?.unwrap_or_default();
            self.at_end.entry(id).or_insert((head, answer));
            investigation::record_cause(tx, id, service, symptom, &by).map_err(as_store)?;
        }
        Ok(Played { resolved, ..Played::default() })
    }

    fn investigate(&self, job: &Job, engine: Option<(&str, &Engine<'_>)>) -> Result<Answer, StoreError> {
        let Some((_, engine)) = engine else { return Ok((job.lease(), None)) };
        Ok((job.lease(), engine(&self.view()?, job.incident, self.now)?))
    }

    fn write(&mut self, tx: &mut Tx<'_>, answer: Option<Answer>) -> Result<(), StoreError> {
        let Some((lease, found)) = answer else { return Ok(()) };
        let id = lease.incident;
        let incident = tx.known_incident(id)?;
        if incident.is_open() {
            self.at_end.remove(&id);
        } else if let Some(answer) = get::<_, Investigation>(&tx.answers, id.0)? {
            let head = tx.known_incident(id)?.investigation.clone();
            self.at_end.entry(id).or_insert((head, answer));
        }
        let Some((thoughts, finish)) = found else {
            tx.remove_job(id)?;
            return Ok(());
        };
        investigation::think(tx, lease, thoughts, None).map_err(as_store)?;
        investigation::end(tx, lease, finish).map_err(as_store)
    }

    fn transaction<R>(
        &mut self,
        f: impl FnOnce(&mut Self, &mut Tx<'_>) -> Result<R, StoreError>,
    ) -> Result<R, StoreError> {
        let txn = self.main.write()?;
        let policy = self.policy.clone();
        // Lent to the transaction, so that the rest can be changed beside it.
        let mut world = std::mem::take(&mut self.world);
        let done = (|| {
            let mut tx = Tx::open(&txn, &mut world, &policy, self.now)?;
            let result = f(self, &mut tx)?;
            tx.trim_change_log(KEEP_CHANGES, 0, TRIM)?;
            tx.finish()?;
            Ok::<R, StoreError>(result)
        })();
        self.world = world;
        let result = done?;
        txn.commit()?;
        #[cfg(test)]
        {
            let mut loaded = World::load(&self.main.read()?)?;
            loaded.touched = self.world.touched;
            assert_eq!(loaded, self.world);
        }
        Ok(result)
    }

    /// A snapshot of where it stands.
    pub fn view(&self) -> Result<View, StoreError> {
        View::of(&self.main, &self.main, Arc::default())
    }

    /// Every incident that is not part of another one, in order, with its investigation as of its end, or as of now.
    pub fn incidents(&self) -> Result<Vec<(Incident, Investigation)>, StoreError> {
        let txn = self.main.read()?;
        let (rows, answers) = (txn.open_table(tables::INCIDENTS)?, txn.open_table(tables::ANSWERS)?);
        let mut found = Vec::new();
        for row in rows.iter()? {
            let (number, bytes) = row?;
            let mut incident: Incident = codec::decode(bytes.value())?;
            if incident.status == IncidentStatus::Merged {
                continue;
            }
            let answer = match self.at_end.get(&incident.id).filter(|_| !incident.is_open()) {
                Some((head, answer)) => {
                    incident.investigation = head.clone();
                    answer.clone()
                }
                None => answers.get(number.value())?.map(|b| codec::decode(b.value())).transpose()?.unwrap_or_default(),
            };
            found.push((incident, answer));
        }
        Ok(found)
    }

    /// Where each alert is in the end, by its number: moved and merged ones where they came to be.
    pub fn fates(&self) -> Result<HashMap<u64, Fate>, StoreError> {
        let txn = self.main.read()?;
        let merged = merged(&txn.open_table(tables::INCIDENTS)?)?;
        let members = txn.open_table(tables::MEMBERS)?;
        let mut fates = HashMap::new();
        for row in txn.open_table(tables::ALERTS)?.iter()? {
            let (number, bytes) = row?;
            let alert: Alert = codec::decode(bytes.value())?;
            let Some(first) = alert.incident else { continue };
            let why = members.get((first.0, number.value()))?;
            let why: Option<Membership> = why.map(|b| codec::decode(b.value())).transpose()?;
            let incident = follow(&merged, first);
            let Alert { title, service, .. } = alert;
            fates.insert(number.value(), Fate { incident, why, title, service });
        }
        Ok(fates)
    }
}

/// Where an alert is in the end.
#[derive(Clone, Debug, PartialEq)]
pub struct Fate {
    /// The incident, or the one that it was merged into.
    pub incident: IncidentId,
    /// Why there.
    pub why: Option<Membership>,
    /// Its title.
    pub title: String,
    /// Its service.
    pub service: Option<String>,
}

/// Incidents that are part of another one, and of which.
fn merged(incidents: &impl ReadableTable<u64, &'static [u8]>) -> Result<HashMap<IncidentId, IncidentId>, StoreError> {
    let mut merged = HashMap::new();
    for row in incidents.iter()? {
        let incident: Incident = codec::decode(row?.1.value())?;
        if let Some(into) = incident.merged_into.filter(|_| incident.status == IncidentStatus::Merged) {
            merged.insert(incident.id, into);
        }
    }
    Ok(merged)
}

fn follow(merged: &HashMap<IncidentId, IncidentId>, mut id: IncidentId) -> IncidentId {
    // Bounded, in case that a damaged store has a circle.
    for _ in 0..merged.len() {
        match merged.get(&id) {
            Some(into) => id = *into,
            None => break,
        }
    }
    id
}

/// The incident that one is part of by now; none when there is no such incident.
fn survivor(tx: &mut Tx<'_>, mut id: IncidentId) -> Result<Option<IncidentId>, StoreError> {
    for _ in 0..=tx.world.last(meta::INCIDENT) {
        match tx.incident(id)? {
            None => return Ok(None),
            Some(incident) => match incident.merged_into.filter(|_| incident.status == IncidentStatus::Merged) {
                Some(into) => id = into,
                None => return Ok(Some(id)),
            },
        }
    }
    Ok(Some(id))
}

fn as_store(e: CommandError) -> StoreError {
    match e {
        CommandError::Store(e) => e,
        other => StoreError::Damaged(other.to_string()),
    }
}
