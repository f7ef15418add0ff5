//! Evidence: each fact that a sentence rests on gets its mark once, in the order in which it was found.

use std::collections::BTreeMap;

use serde_json::json;

use super::{
    case::Case,
    facts::{self, Facts, Whose},
    finding::Found,
    narrate::answers,
    words,
};
use crate::{
    correlation::names::Key,
    model::{Evidence, EvidenceKind, Time},
};

/// Calls listed in a piece of evidence.
const CALLS: usize = 50;

/// A fact that can be cited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ref {
    /// An alert of the case.
    Alert(usize),
    /// A change of the case.
    Change(usize),
    /// An earlier incident of the case.
    Earlier(usize),
    /// What a tool answered, of the case.
    Finding(usize),
    /// The order in which places began to alert.
    Onset,
    /// How earlier incidents went.
    History,
    /// The alerts of one machine, by its place among the machines.
    Host(usize),
    /// A runbook that fits the case.
    Runbook(usize),
    /// Who calls whom among the places that alert.
    Calls,
    /// How incidents ended, all together.
    Outcomes,
}

/// The evidence so far.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    marks: BTreeMap<Ref, String>,
    evidence: Vec<Evidence>,
}

impl Ledger {
    /// The mark of a fact, `E1` and so on; none for a fact that the case does not hold.
    pub fn mark(&mut self, case: &Case, facts: &Facts, fact: Ref) -> Option<String> {
        if let Some(known) = self.marks.get(&fact) {
            return Some(known.clone());
        }
        let id = format!("E{}", self.evidence.len() + 1);
        self.evidence.push(entry(id.clone(), case, facts, fact)?);
        self.marks.insert(fact, id.clone());
        Some(id)
    }

    /// The marks of several facts, each once.
    pub fn marks(&mut self, case: &Case, facts: &Facts, refs: &[Ref]) -> Vec<String> {
        let mut ids: Vec<String> = Vec::new();
        for fact in refs {
            match self.mark(case, facts, *fact) {
                Some(id) if !ids.contains(&id) => ids.push(id),
                _ => {}
            }
        }
        ids
    }

    /// The mark of something that is no fact of the case, such as what a tool answered later; the same thing twice has one
    /// mark.
    pub fn other(
        &mut self,
        kind: EvidenceKind,
        title: String,
        at: Time,
        url: Option<String>,
        data: serde_json::Value,
    ) -> String {
        let known = self.evidence.iter().find(|e| e.kind == kind && e.title == title && e.data == data);
        if let Some(known) = known {
            return known.id.clone();
        }
        let id = format!("E{}", self.evidence.len() + 1);
        self.evidence.push(Evidence { id: id.clone(), kind, title, at, url, data });
        id
    }

    /// All evidence so far, in the order in which it was found.
    pub fn evidence(&self) -> &[Evidence] {
        &self.evidence
    }
}

/// Marks as they stand in a sentence: ` [E1][E2]`.
pub fn brackets(ids: &[String]) -> String {
    ids.iter().take(3).enumerate().map(|(n, id)| if n == 0 { format!(" [{id}]") } else { format!("[{id}]") }).collect()
}

fn entry(id: String, case: &Case, facts: &Facts, fact: Ref) -> Option<Evidence> {
    let of = |kind, title: String, at, url: Option<String>, data| Some(Evidence { id, kind, title, at, url, data });
    match fact {
        Ref::Alert(i) => {
            let a = case.alert(i)?;
            let data = json!({
                "alert_id": a.id, "platform": a.platform, "service": a.service, "host": a.host,
                "severity": a.severity, "status": a.status, "symptom": facts.symptom(i), "count": a.count,
            });
            of(EvidenceKind::Alert, words::plain(&a.title), a.onset_at, a.source_url.clone(), data)
        }
        Ref::Change(i) => {
            let c = case.changes.get(i)?;
            let data = json!({
                "service": c.service, "kind": c.kind, "version": c.version, "outcome": c.outcome, "source": c.source,
            });
            of(EvidenceKind::Change, words::plain(&c.title), c.at?, c.url.clone(), data)
        }
        Ref::Earlier(i) => {
            let e = &case.earlier.get(i)?.incident;
            let title = format!("{}: {}", e.id, words::plain(&e.title));
            let data = json!({
                "incident_id": e.id, "status": e.status, "resolution": e.resolution, "resolved_at": e.resolved_at,
            });
            of(EvidenceKind::Incident, title, e.detected_at, None, data)
        }
        Ref::Finding(i) => {
            let f = case.findings.get(i)?;
            let kind = if matches!(f.found, Found::Lines { .. }) { EvidenceKind::Log } else { EvidenceKind::Metric };
            of(kind, words::upper_first(&answers::found(f)?), f.at, f.url.clone(), answers::data(f))
        }
        Ref::Runbook(i) => {
            let r = case.runbooks.get(i)?;
            let section = r.section.as_ref();
            let data = json!({
                "title": r.title, "section": section.map(|s| &s.heading), "lines": section.map(|s| &s.lines),
                "url": r.url, "why": r.why(),
            });
            let at = r.alert.and_then(|a| case.alerts.get(a)).map_or_else(|| case.onset(), |a| a.onset_at);
            let url = r.url.clone().filter(|_| r.is_link());
            of(EvidenceKind::Runbook, words::sentence(&r.name()).trim_end_matches('.').to_owned(), at, url, data)
        }
        Ref::Onset => {
            let first = facts.places.first().map_or_else(|| case.onset(), |p| p.first);
            let order: Vec<_> = facts
                .places
                .iter()
                .map(|p| json!({"place": p.name(), "first": p.first, "alerts": p.alerts.len()}))
                .collect();
            let title = format!("Onset of {}, in order", words::count(facts.places.len(), "place"));
            of(EvidenceKind::Statistic, title, first, None, json!({ "order": order }))
        }
        Ref::History => {
            let ids: Vec<_> = case.earlier.iter().map(|e| e.incident.id).collect();
            let title = words::count(ids.len(), "earlier incident");
            of(EvidenceKind::Statistic, title, case.now, None, json!({ "incidents": ids }))
        }
        Ref::Calls => {
            let known = |p: &facts::Place| match p.whose {
                Whose::Service(key) => Some((key, p.name()?.to_owned())),
                _ => None,
            };
            let names: BTreeMap<Key, String> = facts.wide.iter().filter_map(known).collect();
            let mut calls: Vec<(&str, &str)> = Vec::new();
            for (key, name) in &names {
                calls.extend(case.topology.needs(*key).filter_map(|c| Some((name.as_str(), names.get(&c)?.as_str()))));
            }
            calls.sort_unstable();
            let title = format!("{} between services that alert", words::count(calls.len(), "call"));
            calls.truncate(CALLS);
            let calls: Vec<_> = calls.iter().map(|(from, to)| json!({ "from": from, "to": to })).collect();
            of(EvidenceKind::Topology, title, case.onset(), None, json!({ "calls": calls }))
        }
        Ref::Outcomes => {
            let known = case.outcomes.iter().filter(|(_, o)| o.cause.is_some()).count();
            let title =
                format!("{}, the cause of {known} recorded", words::count(case.outcomes.len(), "ended incident"));
            let data = json!({ "ended": case.outcomes.len(), "recorded": known });
            of(EvidenceKind::Statistic, title, case.now, None, data)
        }
        Ref::Host(i) => {
            let h = facts.hosts.get(i)?;
            let name = words::plain(h.host.as_deref()?);
            let title = format!("{} on {name}", words::count(h.alerts.len(), "alert"));
            let data = json!({"host": h.host, "services": h.services, "alerts": h.alerts.len()});
            of(EvidenceKind::Statistic, title, h.first, None, data)
        }
    }
}
