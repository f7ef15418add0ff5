//! What a backtest says: a line for each delivery and for each incident, for programs.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;

use super::{BacktestError, Input};
use crate::{
    model::*,
    store::rehearsal::{Fate, Played, Rehearsal},
};

/// What one line of the input did.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DeliveryLine {
    /// From 1, every physical line counted.
    pub line: u64,
    /// What became of it.
    pub outcome: DeliveryOutcome,
    /// Its alerts, in the order of the body.
    pub alerts: Vec<AlertPart>,
}

/// What one signal of a delivery did, and where its alert is in the end.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AlertPart {
    /// Identity.
    pub fingerprint: Fingerprint,
    /// The incident that it is part of in the end.
    pub incident: Option<IncidentId>,
    /// Why there.
    pub strategy: Option<Strategy>,
    /// How strongly.
    pub correlation_score: Option<f64>,
    /// This signal opened an incident.
    pub new_incident: bool,
}

/// An incident in the end.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct IncidentLine {
    /// Its id.
    pub incident: IncidentId,
    /// Where it stands.
    pub status: IncidentStatus,
    /// How bad.
    pub severity: Severity,
    /// One line.
    pub title: String,
    /// The service that it began with.
    pub service: Option<String>,
    /// As the first alert's sender wrote it.
    pub started_at: Time,
    /// When it ended.
    pub resolved_at: Option<Time>,
    /// Members.
    pub alert_count: u64,
    /// Every service of its alerts.
    pub services: Vec<String>,
    /// How sure the investigation was.
    pub conclusion: Option<Conclusion>,
    /// What it put forward, at its end or else at the end of the input.
    pub causes: Vec<CausePart>,
}

/// A possible cause.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CausePart {
    /// 1 leads.
    pub rank: u32,
    /// The service at fault, by the name that the topology gives it.
    pub service: Option<String>,
    /// The machine at fault.
    pub host: Option<String>,
    /// What is wrong with it.
    pub symptom: Option<Symptom>,
    /// 0 to 1.
    pub confidence: f64,
}

/// All of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// In the order of the file.
    pub deliveries: Vec<DeliveryLine>,
    /// In the order in which they were opened.
    pub incidents: Vec<IncidentLine>,
}

impl Report {
    /// Of what was played.
    pub fn new(input: &Input, rehearsal: &Rehearsal, services: &[Service]) -> Result<Self, BacktestError> {
        let fates = rehearsal.fates()?;
        let mut deliveries: Vec<DeliveryLine> =
            input.lines().zip(rehearsal.played()).map(|(line, played)| delivery(line, played, &fates)).collect();
        deliveries.sort_by_key(|d| d.line);
        let names = names(services);
        let incidents = rehearsal.incidents()?.into_iter().map(|(i, answer)| incident(i, answer, &names)).collect();
        Ok(Self { deliveries, incidents })
    }
}

fn delivery(line: u64, played: &Played, fates: &HashMap<u64, Fate>) -> DeliveryLine {
    let alerts = played.signals.iter().map(|applied| {
        let fate = applied.alert_id.and_then(|id| fates.get(&id.number()));
        let why = fate.and_then(|f| f.why.as_ref());
        AlertPart {
            fingerprint: applied.fingerprint,
            incident: fate.map(|f| f.incident),
            strategy: why.map(|m| m.strategy),
            correlation_score: why.map(|m| m.score),
            new_incident: applied.new_incident,
        }
    });
    DeliveryLine { line, outcome: played.outcome, alerts: alerts.collect() }
}

/// Names and other names in lower case → the name.
fn names(services: &[Service]) -> BTreeMap<String, String> {
    let mut names = BTreeMap::new();
    // A name wins over another service's other name, and the first to say a name over those after it.
    for service in services {
        names.entry(service.name.trim().to_lowercase()).or_insert_with(|| service.name.clone());
    }
    for service in services {
        for alias in &service.aliases {
            names.entry(alias.trim().to_lowercase()).or_insert_with(|| service.name.clone());
        }
    }
    names
}

fn incident(i: Incident, answer: Investigation, names: &BTreeMap<String, String>) -> IncidentLine {
    let named = |service: String| names.get(&service.trim().to_lowercase()).cloned().unwrap_or(service);
    let causes = answer.causes.into_iter().filter(|c| !c.ruled_out);
    IncidentLine {
        incident: i.id,
        status: i.status,
        severity: i.severity,
        title: i.title,
        service: i.service,
        started_at: i.started_at,
        resolved_at: i.resolved_at,
        alert_count: i.alert_count,
        services: i.affected_services,
        conclusion: i.investigation.conclusion,
        causes: causes
            .map(|c| CausePart {
                rank: c.rank,
                service: c.service.map(named),
                host: c.host,
                symptom: c.symptom,
                confidence: c.confidence,
            })
            .collect(),
    }
}
