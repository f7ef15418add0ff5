//! Which incidents read alike: candidates by the index, then the cosine of their weighted terms.

use std::collections::BTreeMap;

use tantivy::{
    Searcher, Term,
    collector::TopDocs,
    query::{BooleanQuery, Occur, Query, TermQuery},
    schema::{IndexRecordOption, Value},
};

use super::{Document, Search, SearchError, analyzer, follow};
use crate::{
    model::{Incident, IncidentId},
    store::View,
};

/// Terms asked for: the rarest ones tell most.
const TERMS: usize = 32;
/// Documents compared.
const CANDIDATES: usize = 32;
/// Less alike than this is chance.
const LEAST: f64 = 0.25;
/// A word in the title says as much as this many in the body.
const TITLE: f64 = 2.0;

type Weights = BTreeMap<String, f64>;

impl Search {
    /// Other incidents that read like this one, most alike first, with the likeness between 0 and 1. Blocking.
    pub fn similar(
        &self,
        view: &View,
        incident: &Incident,
        limit: usize,
    ) -> Result<Vec<(IncidentId, f64)>, SearchError> {
        let (title, body) = follow::text(view, incident)?;
        let searcher = self.inner.reader.searcher();
        let mut rarity = Rarity { searcher: &searcher, search: self, known: BTreeMap::new() };
        let mine = rarity.weights(&title, &body)?;
        let mut found: Vec<(IncidentId, f64)> = Vec::new();
        let top = TopDocs::with_limit(CANDIDATES).order_by_score();
        for (_, address) in searcher.search(&self.query(&mine), &top)? {
            let document: Document = searcher.doc(address)?;
            let text = |field| document.get_first(field).and_then(|v| v.as_str()).unwrap_or_default();
            let fields = self.inner.fields;
            let number = document.get_first(fields.number).and_then(|v| v.as_u64());
            let Some(other) = number.map(IncidentId).filter(|n| *n != incident.id) else { continue };
            let theirs = rarity.weights(text(fields.title), text(fields.body))?;
            let alike = cosine(&mine, &theirs);
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
        for (text, weight) in [(title, TITLE), (body, 1.0)] {
            for term in analyzer::terms(text) {
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
        let all = self.searcher.num_docs() as f64;
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
