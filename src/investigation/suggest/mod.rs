//! What to do next: entries of a catalogue that fit the leading causes by symptom, platform and technology, and name only
//! what is known. Text to copy; never run by the product.

mod catalogue;
mod entry;
mod known;
mod technology;
mod template;

use std::{cmp::Reverse, collections::BTreeSet};

pub use catalogue::Catalogue;
pub use entry::Fault;
pub(super) use entry::is_address;

use self::entry::{Entry, Kind};
use super::{
    case::{Case, same_known},
    facts::Facts,
    ledger::{Ledger, Ref},
    rank::{Candidate, Origin, Ranking},
    runbooks::RunbookMatch,
    words,
};
use crate::model::{Risk, Suggestion, SuggestionKind, SuggestionState, Symptom};
use template::Names;

/// Suggestions at most.
const MOST: usize = 8;
/// Of the leading cause: diagnostics, and of each other kind.
const DIAGNOSTICS: usize = 5;
const MITIGATIONS: usize = 2;
const FIXES: usize = 1;
const PREVENTIONS: usize = 1;
/// Diagnostics of the second cause, and how near it must be to the first.
const FOR_SECOND: usize = 2;
const NEAR: f64 = 0.5;
/// A cause below this gets none, unless it leads.
const WORTH: f64 = 0.1;

/// Suggestions for the leading causes, diagnostics first.
pub(super) fn suggest(case: &Case, facts: &Facts, ranking: &Ranking, ledger: &mut Ledger) -> Vec<Suggestion> {
    let mut causes = ranking.candidates.iter().filter(|c| !c.ruled_out);
    let Some(first) = causes.next() else { return Vec::new() };
    let second = causes.next().filter(|c| c.confidence >= WORTH && c.confidence >= first.confidence * NEAR);
    let of_second = second.map(|c| {
        let mut found = for_cause(case, facts, c, ledger);
        found.retain(|s| s.kind == SuggestionKind::Diagnostic);
        found
    });
    let mut leading = for_cause(case, facts, first, ledger);
    if let Some(runbook) = runbook(case, facts, first, ledger) {
        leading.insert(0, runbook);
    }
    let mut found = Vec::new();
    let mut take = |from: &mut Vec<Suggestion>, kind: SuggestionKind, most: usize| {
        let mut taken = 0;
        for s in from.extract_if(.., |s| s.kind == kind) {
            if taken < most
                && !found
                    .iter()
                    .any(|f: &Suggestion| f.title == s.title || (f.command.is_some() && f.command == s.command))
            {
                found.push(s);
                taken += 1;
            }
        }
        taken
    };
    let mut after = 0;
    for (kind, most) in [
        (SuggestionKind::Mitigation, MITIGATIONS),
        (SuggestionKind::Fix, FIXES),
        (SuggestionKind::Prevention, PREVENTIONS),
    ] {
        after += take(&mut leading, kind, most);
    }
    let room = MOST - after;
    let reserved = of_second.as_ref().map_or(0, |s| s.len().min(FOR_SECOND));
    let mine = take(&mut leading, SuggestionKind::Diagnostic, DIAGNOSTICS.min(room - reserved.min(room)));
    if let Some(mut others) = of_second {
        take(&mut others, SuggestionKind::Diagnostic, FOR_SECOND.min(room - mine));
    }
    found.sort_by_key(|s| s.kind);
    for (s, n) in found.iter_mut().zip(1..) {
        s.id = format!("S{n}");
    }
    found
}

/// Everything that fits a cause, the best fit first.
fn for_cause(case: &Case, facts: &Facts, cause: &Candidate, ledger: &mut Ledger) -> Vec<Suggestion> {
    let known = known::names(case, cause);
    let refs: Vec<Ref> = cause.best(2).into_iter().flat_map(|p| p.refs.iter().copied()).collect();
    let evidence = ledger.marks(case, facts, &refs);
    let why = cause.best(1).first().map(|p| words::sentence(&p.text)).unwrap_or_default();
    let runs = technology::of(case, cause, case.catalogue.technologies());
    let symptom = cause.symptom.unwrap_or(Symptom::Unknown);
    let of = |symptom: Symptom| {
        let entries = case.catalogue.entries().iter();
        let mut fitting: Vec<(u8, &Entry)> =
            entries.filter_map(|e| Some((fit(e, case, cause, symptom, &runs)?, e))).collect();
        fitting.sort_by_key(|(fit, _)| Reverse(*fit));
        let written = fitting.into_iter().filter_map(|(_, e)| fill(e, &known, &why, &evidence));
        written.collect::<Vec<_>>()
    };
    let mut found = of(symptom);
    if symptom != Symptom::Unknown && !found.iter().any(|s| s.kind == SuggestionKind::Diagnostic) {
        // Too little is known for what fits the symptom: what always helps.
        found.extend(of(Symptom::Unknown));
    }
    found
}

/// How well an entry fits; none when it does not.
fn fit(entry: &Entry, case: &Case, cause: &Candidate, symptom: Symptom, runs: &BTreeSet<String>) -> Option<u8> {
    let platform =
        cause.alerts.first().and_then(|i| case.alerts.get(*i)).map_or(&case.incident.source, |a| &a.platform);
    let technology = entry.technologies.iter().any(|t| runs.contains(t));
    let shows = entry.symptoms.contains(&symptom);
    if (!entry.platforms.is_empty() && !entry.platforms.contains(platform))
        || (!entry.technologies.is_empty() && !technology)
        || (!entry.symptoms.is_empty() && !shows)
    {
        return None;
    }
    let own_kind = match (entry.origin, cause.origin) {
        (Kind::Blind, Origin::Blind) | (Kind::Change, Origin::Change(_)) => true,
        // What a change broke is looked at like anything else.
        (Kind::Place, Origin::Place | Origin::Change(_)) => false,
        _ => return None,
    };
    // A technology without its symptom says less than a symptom with its technology, and more than a symptom alone.
    Some(
        8 * u8::from(own_kind) + 4 * u8::from(technology) + 2 * u8::from(shows) + u8::from(!entry.platforms.is_empty()),
    )
}

/// The runbook that fits the cause, else the one that fits best.
fn runbook(case: &Case, facts: &Facts, cause: &Candidate, ledger: &mut Ledger) -> Option<Suggestion> {
    let of_cause = |r: &RunbookMatch| {
        r.alert.is_some_and(|a| cause.alerts.contains(&a)) || same_known(r.service.as_deref(), cause.service.as_deref())
    };
    let at = case.runbooks.iter().position(of_cause).unwrap_or(0);
    let found = case.runbooks.get(at)?;
    let evidence = ledger.marks(case, facts, &[Ref::Runbook(at)]);
    let address = found
        .url
        .as_deref()
        .filter(|_| !found.is_link())
        .map(|u| format!(" It is at {}.", words::plain(u)))
        .unwrap_or_default();
    Some(Suggestion {
        id: String::new(),
        entry: None,
        kind: SuggestionKind::Diagnostic,
        risk: Risk::Safe,
        title: format!("Follow {}", found.name()),
        rationale: format!("{}{address}", words::sentence(&found.why())),
        command: None,
        undo: None,
        evidence,
        runbook_url: found.url.clone().filter(|_| found.is_link()),
        docs_url: None,
        state: SuggestionState::Open,
    })
}

fn fill(entry: &Entry, known: &Names, why: &str, evidence: &[String]) -> Option<Suggestion> {
    let text = |t: &str| known.text(t);
    let command = match &entry.command {
        Some(command) => Some(known.command(command, &entry.ways)?),
        None => None,
    };
    let undo = match (&entry.undo, &entry.command) {
        // An undo is a command where the suggestion is one and it begins like one.
        (Some(undo), Some(_)) => Some(known.command(undo, &entry.ways)?),
        (Some(undo), None) => Some(text(undo)?),
        (None, _) => None,
    };
    Some(Suggestion {
        id: String::new(),
        entry: Some(entry.id.clone()),
        kind: entry.kind,
        risk: entry.risk,
        title: text(&entry.title)?,
        rationale: format!("{why} {}", text(&entry.expect)?).trim_start().to_owned(),
        command,
        undo,
        evidence: evidence.to_vec(),
        runbook_url: None,
        docs_url: entry.docs.clone(),
        state: SuggestionState::Open,
    })
}

#[cfg(test)]
mod own_tests;
#[cfg(test)]
mod tests;
