//! Which incidents read alike: candidates by the index, then their rare words in common and what they mean.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use tantivy::{
    Searcher, Term,
    collector::TopDocs,
    query::{BooleanQuery, Occur, Query, TermQuery},
    schema::{IndexRecordOption, Value},
};

use super::{Document, Search, SearchError, follow, unharmed};
use crate::{
    model::{Incident, IncidentId, IncidentStatus},
    store::{StoreError, View},
    text::{self, Doc},
};

/// Terms asked for: the rarest ones tell most, and frequent ones cost most. Those found are compared by all their terms.
const TERMS: usize = 12;
/// Documents compared.
const CANDIDATES: usize = 32;
/// Less alike than this is chance.
const LEAST: f64 = 0.25;
/// How much the meaning counts beside the words.
const MEANT: f64 = 0.5;
/// A word in the title says as much as this many in the body.
const TITLE: f64 = 2.0;

/// Less than this is no help to a reader.
const WORTH_SHOWING: f64 = 0.3;
/// Text tells more than a service that everything touches.
const TEXT: f64 = 0.75;

/// The same for incidents that are open together: there, when they began tells as well.
const BESIDE_TEXT: f64 = 0.45;
const BESIDE_PLACE: f64 = 0.3;
const BESIDE_TIME: f64 = 0.25;
/// After this long without the other the nearness in time counts a third.
const NEAR: Duration = Duration::from_secs(15 * 60);

type Weights = BTreeMap<String, f64>;

impl Search {
    /// Earlier incidents like this one, most alike first: those that read alike, and those that touched its services.
    /// Tests and merged ones are left out. Blocking.
    pub fn earlier(&self, view: &View, incident: &Incident, limit: usize) -> Result<Vec<(Incident, f64)>, StoreError> {
        // An index that cannot be read costs its part of the answer, not the page.
        let alike = unharmed(|| self.similar(view, incident, CANDIDATES)).unwrap_or_else(|e| {
            tracing::warn!(error = %e, "the text index was not asked for similar incidents");
            Vec::new()
        });
        let mut texts: BTreeMap<IncidentId, f64> = alike.into_iter().filter(|(id, _)| *id < incident.id).collect();
        for service in incident.affected_services.iter().take(5) {
            for found in view.earlier_incidents(service, incident.id, 10)? {
                texts.entry(found.id).or_insert(0.0);
            }
        }
        let mut ranked = Vec::new();
        for (id, text) in texts {
            let wanted = |o: &Incident| o.status != IncidentStatus::Merged && !o.test;
            let Some(other) = view.incident(id)?.filter(wanted) else { continue };
            let similarity = TEXT * text + (1.0 - TEXT) * shared(&services(incident), &services(&other));
            if similarity >= WORTH_SHOWING {
                ranked.push((other, (similarity * 100.0).round() / 100.0));
            }
        }
        ranked.sort_by(|(a, x), (b, y)| y.total_cmp(x).then(b.id.cmp(&a.id)));
        ranked.truncate(limit);
        Ok(ranked)
    }

    /// Open incidents that may tell of the same as this one, the likeliest first, with a likeness between 0 and 1: by what
    /// they say, whom they concern and how near they began. `newest` are looked at in any case. Blocking.
    pub fn beside(
        &self,
        view: &View,
        incident: &Incident,
        newest: Vec<Incident>,
        limit: usize,
    ) -> Result<Vec<(Incident, f64)>, StoreError> {
        let alike = unharmed(|| self.similar(view, incident, CANDIDATES)).unwrap_or_else(|e| {
            tracing::warn!(error = %e, "the text index was not asked for incidents beside this one");
            Vec::new()
        });
        let texts: BTreeMap<IncidentId, f64> = alike.into_iter().collect();
        let mut others: BTreeMap<IncidentId, Incident> = newest.into_iter().map(|o| (o.id, o)).collect();
        for id in texts.keys() {
            if !others.contains_key(id) {
                others.extend(view.incident(*id)?.map(|o| (o.id, o)));
            }
        }
        let mine = services(incident);
        let likeness = |o: &Incident| {
            let apart = o.onset_at.distance(incident.onset_at).as_secs_f64();
            let text = texts.get(&o.id).copied().unwrap_or_default();
            let near = (-apart / NEAR.as_secs_f64()).exp();
            let all = BESIDE_TEXT * text + BESIDE_PLACE * shared(&mine, &services(o)) + BESIDE_TIME * near;
            (all * 100.0).round() / 100.0
        };
        let mut ranked: Vec<(Incident, f64)> = others
            .into_values()
            .filter(|o| o.is_open() && o.id != incident.id)
            .map(|o| (likeness(&o), o))
            .map(|(likeness, o)| (o, likeness))
            .collect();
        ranked.sort_by(|(a, x), (b, y)| y.total_cmp(x).then(b.id.cmp(&a.id)));
        ranked.truncate(limit);
        Ok(ranked)
    }

    /// Other incidents that read like this one, most alike first, with the likeness between 0 and 1. Blocking.
    pub(super) fn similar(
        &self,
        view: &View,
        incident: &Incident,
        limit: usize,
    ) -> Result<Vec<(IncidentId, f64)>, SearchError> {
        let (title, body) = follow::text(view, incident)?;
        let searcher = self.searcher()?;
        let mut rarity = Rarity { searcher: &searcher, search: self, known: BTreeMap::new() };
        let mine = rarity.weights(&title, &body)?;
        let read = Doc::read(&title, &body);
        let mut found: Vec<(IncidentId, f64)> = Vec::new();
        let top = TopDocs::with_limit(CANDIDATES).order_by_score();
        for (_, address) in searcher.search(&self.query(&mine), &top)? {
            let document: Document = searcher.doc(address)?;
            let kept = |field| document.get_first(field).and_then(|v| v.as_str()).unwrap_or_default();
            let fields = self.inner.fields;
            let number = document.get_first(fields.number).and_then(|v| v.as_u64());
            let Some(other) = number.map(IncidentId).filter(|n| *n != incident.id) else { continue };
            let theirs = rarity.weights(kept(fields.title), kept(fields.body))?;
            // Rare words of this place (its services, its jobs), and what the field knows of products and troubles.
            let meant = text::similarity(&read, &Doc::read(kept(fields.title), kept(fields.body)));
            let alike = (1.0 - MEANT) * cosine(&mine, &theirs) + MEANT * meant;
            if alike >= LEAST {
                found.push((other, alike));
            }
        }
        found.sort_by(|a, b| b.1.total_cmp(&a.1).then(b.0.cmp(&a.0)));
        found.truncate(limit);
        Ok(found)
    }

    fn query(&self, weights: &Weights) -> BooleanQuery {
        let mut terms: Vec<(&String, &f64)> = weights.iter().collect();
        terms.sort_by(|a, b| b.1.total_cmp(a.1).then(a.0.cmp(b.0)));
        let fields = [self.inner.fields.title, self.inner.fields.body];
        let clauses = terms.into_iter().take(TERMS).flat_map(|(term, _)| {
            fields.map(|field| {
                let query = TermQuery::new(Term::from_field_text(field, term), IndexRecordOption::WithFreqs);
                (Occur::Should, Box::new(query) as Box<dyn Query>)
            })
        });
        BooleanQuery::new(clauses.collect())
    }
}

/// How rare terms are in the index.
struct Rarity<'a> {
    searcher: &'a Searcher,
    search: &'a Search,
    known: BTreeMap<String, f64>,
}

impl Rarity<'_> {
    fn weights(&mut self, title: &str, body: &str) -> Result<Weights, SearchError> {
        let mut counts: Weights = BTreeMap::new();
        for (part, weight) in [(title, TITLE), (body, 1.0)] {
            for term in text::terms(part) {
                *counts.entry(term).or_default() += weight;
            }
        }
        for (term, count) in &mut counts {
            // Saturating: the tenth mention of a word adds little.
            *count = (1.0 + count.ln().max(0.0)) * self.of(term)?;
        }
        Ok(counts)
    }

    fn of(&mut self, term: &str) -> Result<f64, SearchError> {
        if let Some(known) = self.known.get(term) {
            return Ok(*known);
        }
        let fields = self.search.inner.fields;
        let mut documents = 0;
        for field in [fields.title, fields.body] {
            documents = documents.max(self.searcher.doc_freq(&Term::from_field_text(field, term))?);
        }
        let all = self.search.len() as f64;
        let rarity = (1.0 + (all + 1.0) / (documents as f64 + 1.0)).ln();
        self.known.insert(term.to_owned(), rarity);
        Ok(rarity)
    }
}

fn cosine(a: &Weights, b: &Weights) -> f64 {
    let length = |w: &Weights| w.values().map(|x| x * x).sum::<f64>().sqrt();
    let product: f64 = a.iter().filter_map(|(term, x)| b.get(term).map(|y| x * y)).sum();
    let both = length(a) * length(b);
    if both > 0.0 { (product / both).clamp(0.0, 1.0) } else { 0.0 }
}

fn services(incident: &Incident) -> BTreeSet<String> {
    incident.affected_services.iter().map(|s| s.to_lowercase()).collect()
}

/// The share of all names that both have; 0 when neither has any.
#[allow(clippy::cast_precision_loss, reason = "an incident lists few services")]
fn shared(a: &BTreeSet<String>, b: &BTreeSet<String>) -> f64 {
    let all = a.union(b).count();
    if all == 0 { 0.0 } else { a.intersection(b).count() as f64 / all as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sharing_is_a_share() {
        let set = |s: &str| s.split(' ').filter(|w| !w.is_empty()).map(str::to_owned).collect();
        for (a, b, want) in
            [("api db", "api db", 1.0), ("api db", "api web", 1.0 / 3.0), ("", "", 0.0), ("api", "", 0.0)]
        {
            assert_eq!(shared(&set(a), &set(b)), want, "{a} and {b}");
        }
    }
}
