//! One write transaction with all its tables open, the writer's memory beside it, and the rows touched held back so that
//! each is written once. Everything that changes the store goes through here.

mod family;
mod finish;
mod forget;
mod insights;
mod jobs;
pub mod mutes;
pub mod notices;
pub mod services;
mod timers;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use redb::{ReadableTable, Table, WriteTransaction};
use serde::{Serialize, de::DeserializeOwned};

use super::{
    CommandError, Policy, StoreError, codec,
    counted::Counted,
    pack::{Packer, Stored},
    tables::{self, meta},
    world::{self, World},
};
use crate::model::*;

type Rows<'t> = Counted<'t, u64>;
type ChildRows<'t> = Counted<'t, (u64, u64)>;
type NamedRows<'t> = Counted<'t, &'static str>;
type HashedRows<'t> = Counted<'t, [u8; 32]>;

/// An open transaction. `finish` writes what was held back; without it the transaction must be aborted.
pub struct Tx<'t> {
    /// The writer's memory, already as this transaction will leave the disk.
    pub world: &'t mut World,
    /// What to decide by.
    pub policy: &'t Policy,
    /// The time of this transaction.
    pub now: Time,
    /// The address that asks for it, if one does.
    pub(super) from: Option<String>,
    held: BTreeMap<u64, Held>,
    counters: BTreeMap<Platform, ConnectorCounters>,
    minutes: BTreeMap<i64, u32>,
    received: BTreeMap<(Platform, DeliveryOutcome), u64>,
    rules: BTreeMap<Platform, Arc<Rules>>,
    calm_changed: mutes::Changed,
    // Learned edges whose rows are to be written or removed, and whether there are others than before.
    edges_touched: BTreeSet<(String, String)>,
    topology_changed: bool,
    mutes_changed: bool,
    // Incidents of which the correlator knows something new.
    profiled: BTreeSet<u64>,
    // The one written last: the answer to its delivery asks for it.
    pub(super) last_membership: Option<Membership>,
    meta: Table<'t, &'static str, u64>,
    incidents: Rows<'t>,
    open: Table<'t, u64, ()>,
    closed: Table<'t, (i64, u64), ()>,
    by_service: Table<'t, (&'static str, u64), ()>,
    acks: Table<'t, (i64, u64), u64>,
    alerts: Rows<'t>,
    alerts_touched: Vec<u64>,
    live_alerts: Table<'t, u64, (u128, i64)>,
    quiet: Table<'t, (i64, u64), ()>,
    members: ChildRows<'t>,
    timeline: ChildRows<'t>,
    pub(super) thoughts: ChildRows<'t>,
    pub(super) answers: Rows<'t>,
    pub(super) jobs: Rows<'t>,
    changes: Counted<'t, (i64, u64)>,
    raw: Rows<'t>,
    // Those that do not fill a value of `raw` yet.
    pack: Packer,
    pub(super) deliveries: Rows<'t>,
    pub(super) results: Rows<'t>,
    signals_per_minute: Table<'t, i64, u32>,
    change_log: Rows<'t>,
    pub(super) connectors: NamedRows<'t>,
    pub(super) connector_counters: NamedRows<'t>,
    pub(super) accounts: NamedRows<'t>,
    pub(super) sessions: HashedRows<'t>,
    pub(super) tokens: HashedRows<'t>,
    audit: Rows<'t>,
    pub(super) services: NamedRows<'t>,
    pub(super) edges: Counted<'t, (&'static str, &'static str)>,
    pub(super) profiles: Rows<'t>,
    pub(super) looks: Table<'t, (i64, u64), ()>,
    pub(super) snoozes: Table<'t, (i64, u64), ()>,
    pub(super) apart: Counted<'t, (u128, u128)>,
    pub(super) lessons: NamedRows<'t>,
    pub(super) mutes: Rows<'t>,
    muted: Table<'t, (u64, u64), u64>,
    pub(super) thresholds: Rows<'t>,
    pub(super) waiting: Table<'t, (u64, u64), ()>,
    pub(super) settings: NamedRows<'t>,
    pub(super) backtests: Rows<'t>,
    pub(super) outcomes: Rows<'t>,
    pub(super) postmortems: Rows<'t>,
    pub(super) postmortem_versions: ChildRows<'t>,
    pub(super) transcripts: ChildRows<'t>,
    pub(super) spending: Counted<'t, i64>,
    pub(super) runbooks: Rows<'t>,
    pub(super) saved_views: Rows<'t>,
    pub(super) notices: notices::Tables<'t>,
    insights: insights::Tables<'t>,
}

/// What is set for a platform about the grouping of its alerts.
#[derive(Debug)]
pub struct Rules {
    /// The severities that open or join incidents; empty for those that do by themselves.
    pub opens: Vec<Severity>,
    /// What the sender puts into one group belongs together.
    pub group_by_sender: bool,
}

/// An incident in the hands of this transaction.
struct Held {
    incident: Incident,
    before: Option<Incident>,
    changed: BTreeSet<IncidentChange>,
}

/// Reads one row of a table of encoded rows.
pub(super) fn get<'k, K: redb::Key + 'static, T: DeserializeOwned>(
    table: &Counted<'_, K>,
    key: impl std::borrow::Borrow<K::SelfType<'k>>,
) -> Result<Option<T>, StoreError> {
    table.get(key)?.map(|bytes| codec::decode(bytes.value())).transpose()
}

/// Writes one row of a table of encoded rows.
pub(super) fn put<'k, K: redb::Key + 'static, T: Serialize>(
    table: &mut Counted<'_, K>,
    key: impl std::borrow::Borrow<K::SelfType<'k>>,
    row: &T,
) -> Result<(), StoreError> {
    table.put(key, row)
}

impl<'t> Tx<'t> {
    /// Opens every table.
    pub fn open(
        txn: &'t WriteTransaction,
        world: &'t mut World,
        policy: &'t Policy,
        now: Time,
    ) -> Result<Self, StoreError> {
        world.engine.weights.window = policy.cluster_window.as_secs_f64();
        Ok(Self {
            world,
            policy,
            now,
            from: None,
            held: BTreeMap::new(),
            counters: BTreeMap::new(),
            minutes: BTreeMap::new(),
            received: BTreeMap::new(),
            rules: BTreeMap::new(),
            calm_changed: mutes::Changed::default(),
            edges_touched: BTreeSet::new(),
            topology_changed: false,
            mutes_changed: false,
            profiled: BTreeSet::new(),
            last_membership: None,
            meta: txn.open_table(tables::META)?,
            incidents: Counted::new(txn.open_table(tables::INCIDENTS)?),
            open: txn.open_table(tables::OPEN)?,
            closed: txn.open_table(tables::CLOSED)?,
            by_service: txn.open_table(tables::BY_SERVICE)?,
            acks: txn.open_table(tables::ACKS)?,
            alerts: Counted::new(txn.open_table(tables::ALERTS)?),
            alerts_touched: Vec::new(),
            live_alerts: txn.open_table(tables::LIVE_ALERTS)?,
            quiet: txn.open_table(tables::QUIET)?,
            members: Counted::new(txn.open_table(tables::MEMBERS)?),
            timeline: Counted::new(txn.open_table(tables::TIMELINE)?),
            thoughts: Counted::new(txn.open_table(tables::THOUGHTS)?),
            answers: Counted::new(txn.open_table(tables::ANSWERS)?),
            jobs: Counted::new(txn.open_table(tables::JOBS)?),
            changes: Counted::new(txn.open_table(tables::CHANGES)?),
            raw: Counted::new(txn.open_table(tables::RAW)?),
            pack: Packer::default(),
            deliveries: Counted::new(txn.open_table(tables::DELIVERIES)?),
            results: Counted::new(txn.open_table(tables::RESULTS)?),
            signals_per_minute: txn.open_table(tables::MINUTES)?,
            change_log: Counted::new(txn.open_table(tables::CHANGE_LOG)?),
            connectors: Counted::new(txn.open_table(tables::CONNECTORS)?),
            connector_counters: Counted::new(txn.open_table(tables::COUNTERS)?),
            accounts: Counted::new(txn.open_table(tables::ACCOUNTS)?),
            sessions: Counted::new(txn.open_table(tables::SESSIONS)?),
            tokens: Counted::new(txn.open_table(tables::TOKENS)?),
            audit: Counted::new(txn.open_table(tables::AUDIT)?),
            services: Counted::new(txn.open_table(tables::SERVICES)?),
            edges: Counted::new(txn.open_table(tables::EDGES)?),
            profiles: Counted::new(txn.open_table(tables::PROFILES)?),
            looks: txn.open_table(tables::LOOKS)?,
            snoozes: txn.open_table(tables::SNOOZES)?,
            apart: Counted::new(txn.open_table(tables::APART)?),
            lessons: Counted::new(txn.open_table(tables::LESSONS)?),
            mutes: Counted::new(txn.open_table(tables::MUTES)?),
            muted: txn.open_table(tables::MUTED)?,
            thresholds: Counted::new(txn.open_table(tables::THRESHOLDS)?),
            waiting: txn.open_table(tables::WAITING)?,
            settings: Counted::new(txn.open_table(tables::SETTINGS)?),
            backtests: Counted::new(txn.open_table(tables::BACKTESTS)?),
            outcomes: Counted::new(txn.open_table(tables::OUTCOMES)?),
            postmortems: Counted::new(txn.open_table(tables::POSTMORTEMS)?),
            postmortem_versions: Counted::new(txn.open_table(tables::POSTMORTEM_VERSIONS)?),
            transcripts: Counted::new(txn.open_table(tables::TRANSCRIPTS)?),
            spending: Counted::new(txn.open_table(tables::SPENDING)?),
            runbooks: Counted::new(txn.open_table(tables::RUNBOOKS)?),
            saved_views: Counted::new(txn.open_table(tables::SAVED_VIEWS)?),
            notices: notices::Tables::open(txn)?,
            insights: insights::Tables::open(txn)?,
        })
    }

    // ---- incidents ----

    /// An incident to look at or change; changes are kept until `finish`.
    pub fn incident(&mut self, id: IncidentId) -> Result<Option<&mut Incident>, StoreError> {
        if !self.held.contains_key(&id.0) {
            let Some(incident) = get::<_, Incident>(&self.incidents, id.0)? else { return Ok(None) };
            let before = Some(incident.clone());
            self.held.insert(id.0, Held { incident, before, changed: BTreeSet::new() });
        }
        Ok(self.held.get_mut(&id.0).map(|h| &mut h.incident))
    }

    /// As `incident`, where its absence would be damage.
    pub fn known_incident(&mut self, id: IncidentId) -> Result<&mut Incident, StoreError> {
        self.incident(id)?.ok_or_else(|| StoreError::Damaged(format!("{id} is referred to and has no row")))
    }

    /// As `incident`, where its absence is the caller's mistake.
    pub fn asked_incident(&mut self, id: IncidentId) -> Result<&mut Incident, CommandError> {
        self.incident(id)?.ok_or_else(|| CommandError::NotFound(format!("incident {id}")))
    }

    /// A new incident.
    pub fn create_incident(&mut self, incident: Incident) {
        let number = incident.id.0;
        self.world.open(&incident);
        self.world.opened(&incident);
        self.held.insert(number, Held { incident, before: None, changed: [IncidentChange::Created].into() });
    }

    /// An incident as this transaction will leave it, if it has it in its hands.
    pub fn held_incident(&self, id: IncidentId) -> Option<&Incident> {
        self.held.get(&id.0).map(|h| &h.incident)
    }

    /// What the correlator knows of an incident changed: it is kept with the rest.
    pub fn profiled(&mut self, id: IncidentId) {
        self.profiled.insert(id.0);
    }

    /// Says what about an incident changed, for the change log.
    pub fn changed(&mut self, id: IncidentId, what: IncidentChange) {
        let now = self.now;
        if let Some(held) = self.held.get_mut(&id.0) {
            held.changed.insert(what);
            held.incident.updated_at = held.incident.updated_at.max(now);
        }
    }

    /// Writes a timeline entry.
    pub fn note(
        &mut self,
        id: IncidentId,
        kind: TimelineKind,
        actor: &Actor,
        text: impl Into<String>,
        data: serde_json::Value,
    ) -> Result<(), StoreError> {
        let seq = self.world.next(meta::CHANGE);
        let entry = TimelineEntry { seq, at: self.now, kind, actor: actor.to_string(), text: text.into(), data };
        put(&mut self.timeline, (id.0, seq), &entry)
    }

    // ---- alerts ----

    /// One alert.
    pub fn alert(&self, number: u64) -> Result<Option<Alert>, StoreError> {
        get(&self.alerts, number)
    }

    /// Writes an alert, and what meets and closes it. `timer_before` is its timer (`Alert::timer`) as it was.
    pub fn put_alert(&mut self, alert: &Alert, timer_before: Option<Time>) -> Result<(), StoreError> {
        let number = alert.id.number();
        let before = self.alerts.replace(number, alert)?;
        self.alerts_touched.push(number);
        self.count_alert(alert, before.as_deref())?;
        let live = world::LiveAlert { number, closed_at: alert.closed_at };
        // Most often a repeat, which changes nothing here: writing the same again would cost a page.
        let known = self.world.alerts.get(&alert.fingerprint);
        // One that is over and was forgotten, or gave way to a later one, is met by nothing, whatever is written of it.
        let met = alert.is_open() || known.is_some_and(|k| k.number == number);
        if met && known != Some(&live) {
            let closed = alert.closed_at.map_or(i64::MAX, Time::millis);
            self.live_alerts.insert(number, (alert.fingerprint.0, closed))?;
            self.world.meet(alert.fingerprint, live);
        }
        let timer = alert.timer();
        if timer_before != timer {
            if let Some(at) = timer_before {
                self.quiet.remove((at.millis(), number))?;
            }
            if let Some(at) = timer {
                self.quiet.insert((at.millis(), number), ())?;
            }
        }
        self.follow_mutes(alert)
    }

    /// Writes why an alert is part of an incident.
    pub fn put_membership(&mut self, membership: &Membership) -> Result<(), StoreError> {
        put(&mut self.members, (membership.incident.0, membership.alert.number()), membership)?;
        self.last_membership = Some(membership.clone());
        Ok(())
    }

    /// Why an alert is part of its incident.
    pub fn membership(&self, incident: IncidentId, alert: AlertId) -> Result<Option<Membership>, StoreError> {
        let last = self.last_membership.as_ref().filter(|m| m.incident == incident && m.alert == alert);
        match last {
            Some(last) => Ok(Some(last.clone())),
            None => get(&self.members, (incident.0, alert.number())),
        }
    }

    /// Forgets identities of alerts that closed too long ago to be re-fired; their rows stay.
    pub fn forget_closed(&mut self) -> Result<usize, StoreError> {
        let horizon = self.now.minus(self.policy.reopen_within);
        let old = self.world.closed_before(horizon);
        for (fingerprint, number) in &old {
            self.world.forget(fingerprint);
            self.live_alerts.remove(number)?;
        }
        Ok(old.len())
    }

    /// A closed alert whose identity starts a new episode: only the new one can be met from now on.
    pub fn supersede(&mut self, closed: &Alert) -> Result<(), StoreError> {
        self.live_alerts.remove(closed.id.number())?;
        self.world.forget(&closed.fingerprint);
        Ok(())
    }

    // ---- the rest ----

    /// Keeps a delivery as received, in order and without a gap to the one before.
    pub fn keep_raw(&mut self, received: &Stored) -> Result<(), StoreError> {
        match self.pack.push(received.delivery.seq, &received.row) {
            Some((first, blob)) => self.raw.put_bytes(first, &blob),
            None => Ok(()),
        }
    }

    /// Stores a deploy, build or other change.
    pub fn put_change(&mut self, change: &Change, at: Time) -> Result<(), StoreError> {
        let number = self.world.next(meta::EVENT);
        put(&mut self.changes, (at.millis(), number), change)
    }

    /// Writes the row of a delivery.
    pub fn put_delivery(&mut self, row: &DeliveryRow) -> Result<(), StoreError> {
        self.count_delivery(row);
        put(&mut self.deliveries, row.seq, row)
    }

    /// Writes a row of the change log.
    pub fn log(&mut self, subject: ChangeSubject) -> Result<u64, StoreError> {
        let seq = self.world.next(meta::CHANGE);
        put(&mut self.change_log, seq, &ChangeLogEntry { seq, at: self.now, subject })?;
        Ok(seq)
    }

    /// Writes an audit entry.
    pub fn audit(
        &mut self,
        actor: &Actor,
        action: &str,
        subject: impl Into<String>,
        data: serde_json::Value,
    ) -> Result<(), StoreError> {
        let number = self.world.next(meta::AUDIT);
        let entry = AuditEntry {
            at: self.now,
            actor: actor.to_string(),
            action: action.to_owned(),
            subject: subject.into(),
            data,
            address: self.from.clone(),
        };
        put(&mut self.audit, number, &entry)
    }

    /// The counters of a connector, kept until `finish`.
    pub fn counters(&mut self, platform: &str) -> Result<&mut ConnectorCounters, StoreError> {
        if !self.counters.contains_key(platform) {
            let counters = get(&self.connector_counters, platform)?.unwrap_or_default();
            self.counters.insert(platform.to_owned(), counters);
        }
        Ok(self.counters.entry(platform.to_owned()).or_default())
    }

    /// What is set for a platform about the grouping of its alerts. Read once for all of its deliveries: a command that
    /// changes it has a transaction of its own.
    pub fn rules(&mut self, platform: &str) -> Result<Arc<Rules>, StoreError> {
        if let Some(known) = self.rules.get(platform) {
            return Ok(Arc::clone(known));
        }
        let stored = get::<_, ConnectorSettings>(&self.connectors, platform)?;
        let (opens, group_by_sender) = stored.map(|s| (s.opens, s.group_by_sender)).unwrap_or_default();
        let rules = Arc::new(Rules {
            opens: self.policy.opens.get(platform).cloned().unwrap_or(opens),
            group_by_sender: self.policy.group_by_sender.get(platform).copied().unwrap_or(group_by_sender),
        });
        self.rules.insert(platform.to_owned(), Arc::clone(&rules));
        Ok(rules)
    }

    /// Counts a delivery for the change log: one event for all of a platform in this transaction.
    pub fn received(&mut self, platform: &str, outcome: DeliveryOutcome) {
        *self.received.entry((platform.to_owned(), outcome)).or_default() += 1;
    }

    /// Counts a firing signal for the volume chart.
    pub fn count_signal(&mut self, at: Time) {
        *self.minutes.entry(at.millis().div_euclid(60_000)).or_default() += 1;
    }

    /// Removes the oldest rows of the change log, once `slack` more than `keep` are there; at most `batch` at a time.
    pub fn trim_change_log(&mut self, keep: u64, slack: u64, batch: usize) -> Result<(), StoreError> {
        let Some(first) = self.change_log.first()?.map(|(k, _)| k.value()) else { return Ok(()) };
        let horizon = self.world.last(meta::CHANGE).saturating_sub(keep);
        if horizon.saturating_sub(first) < slack {
            return Ok(());
        }
        let old: Vec<u64> = self
            .change_log
            .range(..horizon)?
            .take(batch)
            .map(|row| Ok(row?.0.value()))
            .collect::<Result<_, StoreError>>()?;
        for seq in &old {
            self.change_log.remove(seq)?;
        }
        Ok(())
    }

    /// Removes sessions that have run out.
    pub fn trim_sessions(&mut self) -> Result<(), StoreError> {
        let mut old = Vec::new();
        for row in self.sessions.iter()? {
            let (hash, bytes) = row?;
            // One that cannot be read lets nobody in either.
            if codec::decode::<Session>(bytes.value()).map_or(true, |s| s.expires_at <= self.now) {
                old.push(hash.value());
            }
        }
        for hash in old {
            self.sessions.remove(hash)?;
        }
        Ok(())
    }
}
