//! What a backtest says: a line for each delivery and for each incident, for programs.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;

use super::{BacktestError, Input, Topology};
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
    /// Why it was not understood.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<Problem>,
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
    /// In the order in which they were opened; those that were merged are part of others.
    pub incidents: Vec<IncidentLine>,
    /// Alerts after deduplication that are part of an incident.
    pub alerts: u64,
    /// Senders' retries: they changed nothing.
    pub retries: u64,
    /// Alerts that joined on the weakest grounds, one of each incident, weakest first.
    pub doubtful: Vec<Doubt>,
}

/// An alert whose place is doubtful.
#[derive(Clone, Debug, PartialEq)]
pub struct Doubt {
    /// Where it is.
    pub incident: IncidentId,
    /// Its title.
    pub title: String,
    /// Its service.
    pub service: Option<String>,
    /// How strongly it belongs there.
    pub score: f64,
    /// Why, as the server says it.
    pub reason: String,
}

/// What is at least so strong is not doubtful.
const STRONG: f64 = 0.8;
/// Doubtful groupings kept.
const DOUBTS: usize = 10;

fn doubtful(fates: &HashMap<u64, Fate>) -> Vec<Doubt> {
    let mut weakest: BTreeMap<IncidentId, (f64, u64)> = BTreeMap::new();
    for (number, fate) in fates {
        let Some(why) = fate.why.as_ref().filter(|w| w.strategy != Strategy::Primary && w.score < STRONG) else {
            continue;
        };
        let known = weakest.entry(fate.incident).or_insert((why.score, *number));
        if (why.score, *number) < *known {
            *known = (why.score, *number);
        }
    }
    let mut weakest: Vec<(IncidentId, (f64, u64))> = weakest.into_iter().collect();
    weakest.sort_by(|a, b| a.1.0.total_cmp(&b.1.0).then(a.0.cmp(&b.0)));
    let doubt = |(incident, (score, number)): (IncidentId, (f64, u64))| {
        let fate = fates.get(&number)?;
        let reason = fate.why.as_ref().and_then(|w| w.reasons.first()).map(|r| r.text.clone()).unwrap_or_default();
        Some(Doubt { incident, title: fate.title.clone(), service: fate.service.clone(), score, reason })
    };
    weakest.into_iter().take(DOUBTS).filter_map(doubt).collect()
}

impl Report {
    /// Of what was played.
    pub fn new(input: &Input, rehearsal: &Rehearsal, topology: &Topology) -> Result<Self, BacktestError> {
        let fates = rehearsal.fates()?;
        let mut deliveries: Vec<DeliveryLine> =
            input.lines().zip(rehearsal.played()).map(|(line, played)| delivery(line, played, &fates)).collect();
        deliveries.sort_by_key(|d| d.line);
        let incidents = rehearsal.incidents()?.into_iter().map(|(i, answer)| incident(i, answer, topology)).collect();
        let retries = rehearsal.played().iter().filter(|p| p.retry).count() as u64;
        Ok(Self { deliveries, incidents, alerts: fates.len() as u64, retries, doubtful: doubtful(&fates) })
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
    DeliveryLine { line, outcome: played.outcome, alerts: alerts.collect(), problem: played.problem.clone() }
}

fn incident(i: Incident, answer: Investigation, topology: &Topology) -> IncidentLine {
    let named = |service: String| topology.name(&service).to_owned();
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
