//! What follows from the alerts by counting: which places alert, since when, with what.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::{
    case::{Case, same_known},
    symptoms::{self, Reading},
    words,
};
use crate::{
    correlation::names::{self, Key},
    model::{Alert, Severity, Symptom, Time},
};

/// What a place is known by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Whose {
    /// A service, by its key in the topology.
    Service(Key),
    /// A machine that is no service.
    Host(Key),
    /// Nothing is named.
    Nobody,
}

/// A service or a machine with the alerts that speak of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Place {
    /// What it is known by.
    pub whose: Whose,
    /// The service, by its name in the topology, else as sent.
    pub service: Option<String>,
    /// The machine; of a service only when all its alerts are on one.
    pub host: Option<String>,
    /// Its alerts, as places in the case, in order of onset.
    pub alerts: Vec<usize>,
    /// The first onset.
    pub first: Time,
    /// The worst severity.
    pub worst: Severity,
    /// The strongest symptom, and the alert that shows it first.
    pub symptom: Option<(Symptom, usize)>,
    /// Alerts that are not resolved.
    pub open: usize,
    /// Alerts that say only that the sender sees nothing.
    pub blind: usize,
    /// How much its alerts weigh; many of one kind weigh little more than one.
    pub strength: f64,
    /// For a machine: how many services alert on it.
    pub services: usize,
    /// For a machine: whether alerts without service speak of it.
    pub itself: bool,
}

impl Place {
    /// Who alerts on it: `2 services and the machine itself`.
    pub fn sharers(&self) -> String {
        let services = words::count(self.services, "service");
        if self.itself { format!("{services} and the machine itself") } else { services }
    }

    /// Its name; none when its alerts name neither service nor machine.
    pub fn name(&self) -> Option<&str> {
        self.service.as_deref().or(self.host.as_deref())
    }
}

/// The facts of a case.
#[derive(Clone, Debug, PartialEq)]
pub struct Facts {
    /// What each alert of the case says.
    pub readings: Vec<Reading>,
    /// One for each service, and for each machine whose alerts name no service; by first onset.
    pub places: Vec<Place>,
    /// Machines that several services share.
    pub hosts: Vec<Place>,
    /// The same as `places`, with what other incidents of the same time tell of them and of others.
    pub wide: Vec<Place>,
}

impl Facts {
    /// Counts.
    pub fn of(case: &Case) -> Self {
        let readings: Vec<Reading> = case.every_alert().map(|(_, a)| symptoms::of(&case.symptoms, a)).collect();
        let named: HashSet<Key> =
            case.every_alert().filter_map(|(_, a)| a.service.as_deref()).map(|s| case.topology.key(s)).collect();
        let mut by_place: BTreeMap<Whose, Vec<usize>> = BTreeMap::new();
        let mut everywhere: BTreeMap<Whose, Vec<usize>> = BTreeMap::new();
        let mut by_host: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for (i, alert) in case.every_alert() {
            let whose = whose(case, &named, alert);
            everywhere.entry(whose).or_default().push(i);
            if i >= case.alerts.len() {
                continue;
            }
            by_place.entry(whose).or_default().push(i);
            // A machine that goes by a service's name is that service.
            let own = matches!(whose, Whose::Service(_)) && alert.service.is_none();
            if let Some(host) = alert.host.as_ref().filter(|_| !own) {
                by_host.entry(host.to_lowercase()).or_default().push(i);
            }
        }
        let mut hosts = Vec::new();
        for alerts in by_host.into_values() {
            let services: BTreeSet<Option<String>> = alerts
                .iter()
                .filter_map(|i| case.alerts.get(*i))
                .map(|a| a.service.as_ref().map(|s| s.to_lowercase()))
                .collect();
            if services.len() > 1 {
                let of = alerts.first().and_then(|i| case.alert(*i)).and_then(|a| a.host.as_deref());
                let whose = of.map_or(Whose::Nobody, |h| Whose::Host(names::plain(h)));
                let mut host = place(case, &readings, whose, alerts, true);
                host.itself = services.contains(&None);
                host.services = services.len() - usize::from(host.itself);
                hosts.push(host);
            }
        }
        let all = |by: BTreeMap<Whose, Vec<usize>>| -> Vec<Place> {
            by.into_iter()
                .map(|(whose, alerts)| place(case, &readings, whose, alerts, false))
                // A machine that services share stands among the machines.
                .filter(|p| p.service.is_some() || !hosts.iter().any(|h| h.whose == p.whose))
                .collect()
        };
        let (mut places, mut wide) = (all(by_place), all(everywhere));
        if case.alerts.is_empty() && (case.incident.service.is_some() || case.incident.host.is_some()) {
            let alone = Place {
                whose: match (&case.incident.service, &case.incident.host) {
                    (Some(service), _) => Whose::Service(case.topology.key(service)),
                    (None, Some(host)) => Whose::Host(names::plain(host)),
                    (None, None) => Whose::Nobody,
                },
                service: case.incident.service.clone(),
                host: case.incident.host.clone(),
                alerts: Vec::new(),
                first: case.incident.onset_at,
                worst: case.incident.severity,
                symptom: symptoms::of_text(&case.symptoms, &case.incident.title).map(|r| (r.symptom, usize::MAX)),
                open: 0,
                blind: 0,
                strength: 0.0,
                services: 0,
                itself: false,
            };
            wide.retain(|p| p.whose != alone.whose);
            wide.push(alone.clone());
            places.push(alone);
        }
        let order = |a: &Place, b: &Place| (a.first, &a.alerts).cmp(&(b.first, &b.alerts));
        places.sort_by(order);
        hosts.sort_by(order);
        wide.sort_by(order);
        Self { readings, places, hosts, wide }
    }

    /// What an alert says, whole.
    pub fn reading(&self, alert: usize) -> Option<Reading> {
        self.readings.get(alert).copied()
    }

    /// What an alert says.
    pub fn symptom(&self, alert: usize) -> Symptom {
        self.readings.get(alert).map_or(Symptom::Unknown, |r| r.symptom)
    }

    /// Whether an alert says only that the sender sees nothing.
    pub fn blind(&self, alert: usize) -> bool {
        self.readings.get(alert).is_some_and(|r| r.blind)
    }
}

/// Whose an alert is. A machine that goes by a service's name is that service: one container, one name.
fn whose(case: &Case, named: &HashSet<Key>, alert: &Alert) -> Whose {
    match (&alert.service, &alert.host) {
        (Some(service), _) => Whose::Service(case.topology.key(service)),
        (None, Some(host)) => {
            let key = case.topology.key(host);
            let is_service = named.contains(&key) || case.topology.known(host).is_some();
            if is_service { Whose::Service(key) } else { Whose::Host(names::plain(host)) }
        }
        (None, None) => Whose::Nobody,
    }
}

fn place(case: &Case, readings: &[Reading], whose: Whose, alerts: Vec<usize>, machine: bool) -> Place {
    let members: Vec<_> =
        alerts.iter().filter_map(|i| Some((*i, case.alert(*i)?, readings.get(*i).copied()?))).collect();
    let first_of =
        |pick: fn(&crate::model::Alert) -> Option<&String>| members.iter().find_map(|(_, a, _)| pick(a)).cloned();
    let host = first_of(|a| a.host.as_ref())
        .filter(|h| members.iter().all(|(_, a, _)| a.host.as_deref().is_none_or(|o| same_known(Some(o), Some(h)))));
    // By symptom: the weights of its alerts, and the first of them.
    let mut kinds: BTreeMap<Symptom, (f64, usize)> = BTreeMap::new();
    for (i, alert, reading) in &members {
        let kind = kinds.entry(reading.symptom).or_insert((0.0, *i));
        kind.0 += weight(alert.severity);
    }
    let strength = kinds.iter().map(|(s, (w, _))| telling(*s) * w.ln_1p()).sum();
    // A machine is a cause by what machines can lack; services on it have their own symptoms.
    let fits = |s: Symptom| s != Symptom::Unknown && (!machine || of_machine(s));
    let symptom = kinds
        .iter()
        .filter(|(s, _)| fits(**s))
        .max_by(|(a, (wa, _)), (b, (wb, _))| {
            (wa.ln_1p() + decisive(**a)).total_cmp(&(wb.ln_1p() + decisive(**b))).then(b.cmp(a))
        })
        .map(|(s, (_, i))| (*s, *i));
    let service = match whose {
        Whose::Service(key) => {
            let known = case.topology.name(key).map(str::to_owned);
            known.or_else(|| first_of(|a| a.service.as_ref())).or_else(|| first_of(|a| a.host.as_ref()))
        }
        _ => None,
    };
    Place {
        whose,
        service: if machine { None } else { service },
        host,
        first: members.iter().map(|(_, a, _)| a.onset_at).min().unwrap_or(case.incident.onset_at),
        worst: members.iter().map(|(_, a, _)| a.severity).min().unwrap_or(Severity::Info),
        symptom,
        open: members.iter().filter(|(_, a, _)| a.is_open()).count(),
        blind: members.iter().filter(|(_, _, r)| r.blind).count(),
        strength,
        services: 0,
        itself: false,
        alerts,
    }
}

/// What one alert weighs.
pub fn weight(severity: Severity) -> f64 {
    match severity {
        Severity::Critical => 1.7,
        Severity::High => 1.4,
        Severity::Medium => 1.0,
        Severity::Low => 0.5,
        Severity::Info => 0.2,
    }
}

/// What a machine as a whole can suffer from.
pub fn of_machine(s: Symptom) -> bool {
    use Symptom::{Cpu, DiskIo, DiskSpace, Memory, Network, Unavailable};
    matches!(s, Cpu | DiskIo | DiskSpace | Memory | Network | Unavailable)
}

/// How much an alert of this kind tells of where the fault is: traffic moves everywhere when one place fails.
fn telling(s: Symptom) -> f64 {
    match s {
        Symptom::Latency | Symptom::Unknown | Symptom::Backlog => 0.6,
        Symptom::Network => 0.4,
        Symptom::Traffic => 0.25,
        Symptom::Errors | Symptom::Unavailable => 0.8,
        _ => 1.0,
    }
}

/// How far a symptom explains itself, 0 to 1: a full disk is a cause, slow answers are an effect of something.
pub fn decisive(s: Symptom) -> f64 {
    match s {
        Symptom::DiskSpace | Symptom::Certificate => 1.0,
        Symptom::ConnectionExhaustion | Symptom::BuildFailure => 0.8,
        // Alone that is more often a peak than a lack.
        Symptom::DiskIo | Symptom::Memory => 0.7,
        Symptom::Restarts | Symptom::Replication => 0.6,
        Symptom::Cpu | Symptom::Network | Symptom::Security => 0.5,
        Symptom::Backlog | Symptom::Unavailable => 0.4,
        Symptom::Traffic => 0.3,
        Symptom::Errors => 0.1,
        Symptom::Latency | Symptom::Unknown => 0.0,
    }
}
