//! Lists with words: what the index knows, and what is too fresh for it.

use std::{cmp::Reverse, collections::BTreeMap};

use tantivy::{
    DocId, Score, SegmentOrdinal, SegmentReader, Term,
    collector::{Collector, Count, SegmentCollector},
    columnar::Column,
    query::{AllQuery, BooleanQuery, FuzzyTermQuery, Occur, Query, TermQuery},
    schema::{Field, IndexRecordOption},
};

use super::{Search, SearchError, unharmed};
use crate::{
    model::{Alert, Incident, IncidentStatus},
    store::{AlertFilter, IncidentFilter, Listing, StoreError, View, Words},
    text,
};

/// Rows of the change log that are looked at for what is not indexed yet.
const FRESH: usize = 2_000;
/// Numbers taken from the index for one page at most: as many as rows are looked at for one.
const MOST: usize = 8_192;
/// Words of one query.
const WORDS: usize = 16;
/// From so many letters on a word also means those that begin with it.
const BEGINNING: usize = 2;

impl Search {
    /// `View::incidents`, its words looked for in everything that was said in an incident. What changed since the index
    /// was last written is looked at in the rows. Blocking.
    pub fn incidents(
        &self,
        view: &View,
        filter: &IncidentFilter,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Listing<Incident>, StoreError> {
        let Some(query) = self.query_of(self.inner.fields.said, &filter.words) else {
            return view.incidents(filter, before, limit);
        };
        let seq = self.seq();
        // All of them: a list of open ones must not end where older ones begin that are closed.
        match unharmed(|| self.numbers(&query, "number", None, usize::MAX)) {
            Ok(known) if seq > 0 => {
                let fresh = view.change_log(seq, FRESH)?;
                let fresh = fresh.iter().filter_map(|e| super::follow::subject(&e.subject)).map(|id| id.0);
                view.incidents_with(filter, Words::new(known, fresh), before, limit)
            }
            found => {
                unanswered(found);
                view.incidents(filter, before, limit)
            }
        }
    }

    /// `View::alerts`, its words looked for by the index, and in the rows of those that are not in it yet. Blocking.
    pub fn alerts(
        &self,
        view: &View,
        filter: &AlertFilter,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Listing<Alert>, StoreError> {
        // The alerts of one incident are soon looked through.
        let query = match filter.incident {
            None => self.query_of(self.inner.fields.words, &filter.words),
            Some(_) => None,
        };
        let Some(query) = query else { return view.alerts(filter, before, limit) };
        let reached = self.alerts_reached();
        let numbers = || {
            // The newest are counted, whichever page is shown.
            let mut known = self.numbers(&query, "alert", None, MOST)?;
            if let (Some(before), Some(lowest)) = (before, known.last().filter(|_| known.len() == MOST).copied()) {
                known.extend(self.numbers(&query, "alert", Some(before.min(lowest)), MOST)?);
            }
            Ok(known)
        };
        match unharmed(numbers) {
            Ok(known) if reached > 0 => {
                let fresh = view.alerts_after(reached, MOST)?;
                view.alerts_with(filter, Words::new(known, fresh), before, limit)
            }
            found => {
                unanswered(found);
                view.alerts(filter, before, limit)
            }
        }
    }

    /// Whether an incident is found by these words, for a list that is shown while it changes.
    pub fn says(&self, incident: &Incident, words: &[String]) -> bool {
        let Some(query) = self.query_of(self.inner.fields.said, words) else { return true };
        let this = Term::from_field_u64(self.inner.fields.number, incident.id.0);
        let this = Box::new(TermQuery::new(this, IndexRecordOption::Basic)) as Box<dyn Query>;
        let both = BooleanQuery::new(vec![(Occur::Must, this), (Occur::Must, Box::new(query))]);
        unharmed(|| self.numbers(&both, "number", None, 1)).is_ok_and(|found| !found.is_empty())
    }

    /// How many incidents there are of each status, severity, sender and service, as `status:resolved`, among those that
    /// fit what the filter wants of the others and are found by its words. As fresh as the index. Blocking.
    pub fn facets(&self, filter: &IncidentFilter) -> Result<BTreeMap<String, u64>, SearchError> {
        let lower = |values: &[String]| values.iter().map(|v| v.to_lowercase()).collect::<Vec<_>>();
        let wanted = [
            ("status", filter.statuses.iter().map(ToString::to_string).collect()),
            ("severity", filter.severities.iter().map(ToString::to_string).collect()),
            ("source", lower(&filter.sources)),
            ("service", lower(&filter.services)),
        ];
        let mut counts = BTreeMap::new();
        for (group, _) in &wanted {
            let mut all: Vec<(Occur, Box<dyn Query>)> = vec![(Occur::Must, Box::new(self.incident_documents()))];
            if let Some(words) = self.query_of(self.inner.fields.said, &filter.words) {
                all.push((Occur::Must, Box::new(words)));
            }
            // What is chosen of a group says nothing about what else there is to choose in it.
            for (other, values) in wanted.iter().filter(|(other, values)| other != group && !values.is_empty()) {
                all.push((Occur::Must, Box::new(self.any_facet(other, values))));
            }
            if *group != "status" && filter.statuses.is_empty() {
                let merged = self.any_facet("status", &[IncidentStatus::Merged.to_string()]);
                all.push((Occur::MustNot, Box::new(merged)));
            }
            let query = BooleanQuery::new(all);
            let found = unharmed(|| Ok(self.searcher()?.search(&query, &Facets)?))?;
            counts.extend(found.into_iter().filter(|(value, _)| value.split(':').next() == Some(group)));
        }
        Ok(counts)
    }

    pub(super) fn incident_documents(&self) -> TermQuery {
        TermQuery::new(Term::from_field_u64(self.inner.fields.kind, super::INCIDENT), IndexRecordOption::Basic)
    }

    fn any_facet(&self, group: &str, values: &[String]) -> BooleanQuery {
        let each = values.iter().map(|value| {
            let term = |value: &str| Term::from_field_text(self.inner.fields.facet, &format!("{group}:{value}"));
            let query: Box<dyn Query> = match value.strip_suffix('*') {
                Some(beginning) => Box::new(FuzzyTermQuery::new_prefix(term(beginning), 0, false)),
                None => Box::new(TermQuery::new(term(value), IndexRecordOption::Basic)),
            };
            (Occur::Should, query)
        });
        BooleanQuery::new(each.collect())
    }

    /// Every word, as a term of the analyzer or as the beginning of one; none without words.
    fn query_of(&self, field: Field, words: &[String]) -> Option<BooleanQuery> {
        let mut all: Vec<(Occur, Box<dyn Query>)> = Vec::new();
        for word in words.iter().take(WORDS) {
            if let Some(named) = self.named(word) {
                all.push((Occur::Must, named));
                continue;
            }
            let terms: Vec<String> = text::terms(word).take(WORDS).collect();
            let last = terms.len().saturating_sub(1);
            for (n, term) in terms.iter().enumerate() {
                let exact = TermQuery::new(Term::from_field_text(field, term), IndexRecordOption::Basic);
                let mut either: Vec<(Occur, Box<dyn Query>)> = vec![(Occur::Should, Box::new(exact))];
                // Who types has not always come to the end of a word.
                let written = word.rsplit(|c: char| !c.is_alphanumeric()).find(|p| !p.is_empty()).unwrap_or_default();
                let written = written.to_lowercase();
                if n == last && written.chars().count() >= BEGINNING {
                    let begins = FuzzyTermQuery::new_prefix(Term::from_field_text(field, &written), 0, false);
                    either.push((Occur::Should, Box::new(begins)));
                }
                all.push((Occur::Must, Box::new(BooleanQuery::new(either))));
            }
        }
        // Words that say nothing ("the") find everything that has the field.
        match (words.is_empty(), all.is_empty()) {
            (true, _) => None,
            (false, true) => Some(BooleanQuery::new(vec![(Occur::Must, Box::new(AllQuery))])),
            (false, false) => Some(BooleanQuery::new(all)),
        }
    }

    /// A host or the like by its whole name, or the beginning of it, where there is one: its pieces are in many.
    fn named(&self, word: &str) -> Option<Box<dyn Query>> {
        let mut whole = None;
        text::names(word, |name| whole = Some(name.to_owned()));
        let query = FuzzyTermQuery::new_prefix(Term::from_field_text(self.inner.fields.names, &whole?), 0, false);
        let found = self.searcher().and_then(|s| Ok(s.search(&query, &Count)?)).unwrap_or(0);
        (found > 0).then(|| Box::new(query) as Box<dyn Query>)
    }

    /// The numbers that fit, below `before`, the `most` highest, highest first.
    fn numbers(
        &self,
        query: &dyn Query,
        field: &'static str,
        before: Option<u64>,
        most: usize,
    ) -> Result<Vec<u64>, SearchError> {
        Ok(self.searcher()?.search(query, &Numbers { field, before: before.unwrap_or(u64::MAX), most })?)
    }
}

fn unanswered(found: Result<Vec<u64>, SearchError>) {
    if let Err(e) = found {
        tracing::warn!(error = %e, "the text index was not asked; rows are looked through instead");
    }
}

/// Collects the numbers of a fast field.
struct Numbers {
    field: &'static str,
    before: u64,
    most: usize,
}

struct SegmentNumbers {
    column: Column<u64>,
    before: u64,
    most: usize,
    found: Vec<u64>,
}

impl Collector for Numbers {
    type Fruit = Vec<u64>;
    type Child = SegmentNumbers;

    fn for_segment(&self, _: SegmentOrdinal, segment: &SegmentReader) -> tantivy::Result<SegmentNumbers> {
        let column = segment.fast_fields().u64(self.field)?;
        Ok(SegmentNumbers { column, before: self.before, most: self.most, found: Vec::new() })
    }

    fn requires_scoring(&self) -> bool {
        false
    }

    fn merge_fruits(&self, fruits: Vec<Vec<u64>>) -> tantivy::Result<Vec<u64>> {
        let mut all = fruits.concat();
        highest(&mut all, self.most);
        all.sort_unstable_by_key(|n| Reverse(*n));
        // A document that is written anew may be there twice for a moment.
        all.dedup();
        Ok(all)
    }
}

impl SegmentCollector for SegmentNumbers {
    type Fruit = Vec<u64>;

    fn collect(&mut self, doc: DocId, _: Score) {
        self.found.extend(self.column.first(doc).filter(|n| *n < self.before));
    }

    fn harvest(mut self) -> Vec<u64> {
        highest(&mut self.found, self.most);
        self.found
    }
}

/// Leaves the `most` highest, in any order.
fn highest(numbers: &mut Vec<u64>, most: usize) {
    if numbers.len() > most {
        numbers.select_nth_unstable_by_key(most, |n| Reverse(*n));
        numbers.truncate(most);
    }
}

/// Counts the values of the facets.
struct Facets;

struct SegmentFacets {
    column: Option<tantivy::columnar::StrColumn>,
    counts: Vec<u64>,
}

impl Collector for Facets {
    type Fruit = BTreeMap<String, u64>;
    type Child = SegmentFacets;

    fn for_segment(&self, _: SegmentOrdinal, segment: &SegmentReader) -> tantivy::Result<SegmentFacets> {
        let column = segment.fast_fields().str("facet")?;
        let counts = vec![0; column.as_ref().map_or(0, |c| c.num_terms())];
        Ok(SegmentFacets { column, counts })
    }

    fn requires_scoring(&self) -> bool {
        false
    }

    fn merge_fruits(&self, fruits: Vec<Self::Fruit>) -> tantivy::Result<Self::Fruit> {
        let mut all = Self::Fruit::new();
        for (value, count) in fruits.into_iter().flatten() {
            *all.entry(value).or_default() += count;
        }
        Ok(all)
    }
}

impl SegmentCollector for SegmentFacets {
    type Fruit = BTreeMap<String, u64>;

    fn collect(&mut self, doc: DocId, _: Score) {
        for term in self.column.iter().flat_map(|c| c.term_ords(doc)) {
            if let Some(count) = usize::try_from(term).ok().and_then(|t| self.counts.get_mut(t)) {
                *count += 1;
            }
        }
    }

    fn harvest(self) -> Self::Fruit {
        let mut found = Self::Fruit::new();
        let Some(column) = self.column else { return found };
        for (term, count) in (0..).zip(self.counts).filter(|(_, count)| *count > 0) {
            let mut name = String::new();
            // A value that cannot be read is not counted: the list itself does not need it.
            if column.ord_to_str(term, &mut name).unwrap_or(false) {
                found.insert(name, count);
            }
        }
        found
    }
}
