//! Services and edges between them, as they are declared and as alerts told.

use std::collections::{BTreeMap, BTreeSet};

use redb::ReadableTable;

use super::View;
use crate::{
    model::*,
    store::{StoreError, codec, fields, tables},
};

/// Alerts looked at for the figures of services; the newest count.
const LOOKED_AT: usize = 20_000;
/// Open incidents looked at for the same.
const OPEN_LOOKED_AT: usize = 10_000;
/// Services told of that nobody declared.
const UNDECLARED: usize = 1_000;

/// What goes on at a service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Activity {
    /// Open incidents that concern it.
    pub open: u64,
    /// The worst of them.
    pub worst: Option<Severity>,
    /// New alerts of the time asked for.
    pub alerts: u64,
    /// Its name, as an incident or alert has it.
    pub name: String,
}

/// What goes on at all services, by names as they are compared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Activities {
    /// By service.
    pub by_service: BTreeMap<String, Activity>,
    /// Whether everything was counted; otherwise the newest only.
    pub exact: bool,
}

impl View {
    /// All declared services, by name.
    pub fn services(&self) -> Result<Vec<Service>, StoreError> {
        self.table(tables::SERVICES)?.iter()?.map(|row| codec::decode(row?.1.value())).collect()
    }

    /// The declared service of that name, or none; aliases do not count.
    pub fn service(&self, name: &str) -> Result<Option<Service>, StoreError> {
        self.row(tables::SERVICES, name_key(name).as_str())
    }

    /// All edges that alerts told of, those that people dismissed among them.
    pub fn learned_edges(&self) -> Result<Vec<LearnedEdge>, StoreError> {
        self.table(tables::EDGES)?.iter()?.map(|row| codec::decode(row?.1.value())).collect()
    }

    /// Names of services as they are compared that incidents concern, in order, at most a thousand.
    pub fn services_of_incidents(&self) -> Result<BTreeSet<String>, StoreError> {
        let table = self.table(tables::BY_SERVICE)?;
        let mut names = BTreeSet::new();
        let mut after = String::new();
        while names.len() < UNDECLARED {
            // A step for each name, however many incidents it has.
            let Some(row) = table.range((after.as_str(), 0)..)?.next() else { break };
            let name = row?.0.value().0.to_owned();
            after.clone_from(&name);
            after.push('\0');
            if !name.is_empty() {
                names.insert(name);
            }
        }
        Ok(names)
    }

    /// What goes on at services: open incidents, and alerts first received since then.
    pub fn activities(&self, since: Time) -> Result<Activities, StoreError> {
        let mut found = Activities { exact: true, ..Activities::default() };
        let incidents = self.table(tables::INCIDENTS)?;
        for (n, row) in self.table(tables::OPEN)?.iter()?.rev().enumerate() {
            if n == OPEN_LOOKED_AT {
                found.exact = false;
                break;
            }
            let Some(bytes) = incidents.get(row?.0.value())? else { continue };
            let incident: Incident = codec::decode(bytes.value())?;
            for service in &incident.affected_services {
                let of = found.of(service);
                of.open += 1;
                // Severities are ordered worst first.
                of.worst = Some(of.worst.map_or(incident.severity, |w| w.min(incident.severity)));
            }
        }
        for (n, row) in self.newest(tables::ALERTS, None)?.enumerate() {
            if n == LOOKED_AT {
                found.exact = false;
                break;
            }
            let (_, bytes) = row?;
            let plain = codec::plain(bytes.value())?;
            let [service, first_seen] = fields::fields(&plain, ["service", "first_seen"])?;
            // Alerts are numbered as they come.
            if fields::value::<Time>(first_seen)? < since {
                break;
            }
            let service = fields::text(service)?;
            if !service.is_empty() {
                found.of(service).alerts += 1;
            }
        }
        Ok(found)
    }
}

impl Activities {
    fn of(&mut self, service: &str) -> &mut Activity {
        let of = self.by_service.entry(name_key(service)).or_default();
        if of.name.is_empty() {
            service.trim().clone_into(&mut of.name);
        }
        of
    }
}
