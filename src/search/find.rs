//! Lists with words: what the index knows, and what is too fresh for it.

use std::cmp::Reverse;

use tantivy::{
    DocId, Score, SegmentOrdinal, SegmentReader, Term,
    collector::{Collector, Count, SegmentCollector},
    columnar::Column,
    query::{AllQuery, BooleanQuery, FuzzyTermQuery, Occur, Query, TermQuery},
    schema::{Field, IndexRecordOption},
};

use super::{Search, SearchError, asked::Parts, unharmed};
use crate::{
    model::{Alert, Incident, IncidentStatus, Severity},
    query::{AlertsBy, IncidentIs, IncidentTest, Sort},
    store::{AlertCounts, AlertFilter, IncidentFilter, Listing, Looked, StoreError, View, Words},
    text,
};

/// Rows of the change log that are looked at for what is not indexed yet.
const FRESH: usize = 2_000;
/// Numbers taken from the index for one page at most: as many as rows are looked at for one.
const MOST: usize = 8_192;
/// Rows of alerts looked at that say the words: each is fetched on its own, where the newest lie side by side.
const FETCHED: usize = 4_000;
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
        let words = filter.wants().words;
        // Few rows are soon looked through, and they are never behind.
        if !words && (view.has_short_way(filter)? || *filter == IncidentFilter::default()) {
            return view.incidents(filter, before, limit);
        }
        let (seq, later) = (self.seq(), self.memory(|m| m.later.clone()));
        // Through a short way all words are looked for; what else is asked may have changed since they were indexed.
        let short = words && view.has_short_way(&filter.wordless())?;
        let query = if short { self.words_of(filter) } else { BooleanQuery::new(self.asked(filter, None).0) };
        // All of them: a list of open ones must not end where older ones begin that are closed.
        match unharmed(|| self.numbers(&query, "number", None, usize::MAX)) {
            Ok(known) if seq > 0 => {
                let log = view.change_log(seq, FRESH)?;
                let fresh = log.iter().filter_map(|e| super::follow::subject(&e.subject)).chain(later).map(|id| id.0);
                let mut listing = view.incidents_with(filter, Words::new(known, fresh), before, limit)?;
                // So far behind that not all is known that has changed.
                listing.total_is_exact &= log.len() < FRESH;
                Ok(listing)
            }
            found => {
                unanswered(found);
                view.incidents(filter, before, limit)
            }
        }
    }

    /// Those that come first in an order, at most `most`, of all that fit, and whether the index chose them; else they are
    /// the newest. It knows how bad incidents are, whether they are open, and how many alerts they have. The total is that
    /// of all that fit. Blocking.
    pub fn incidents_by(
        &self,
        view: &View,
        filter: &IncidentFilter,
        sort: Sort,
        most: usize,
    ) -> Result<(Listing<Incident>, bool), StoreError> {
        let newest = self.incidents(view, filter, None, most)?;
        let knows = matches!(sort, Sort::Triage | Sort::Severity | Sort::Alerts);
        let seq = self.seq();
        if newest.next.is_none() || !knows || seq == 0 {
            return Ok((newest, false));
        }
        let (parts, whole) = self.asked(filter, None);
        let log = view.change_log(seq, FRESH)?;
        // What has changed since may have taken the places of others.
        let found = if whole { unharmed(|| self.first_of(&parts, sort, most + log.len())).ok() } else { None };
        // So far behind that not all is known that has changed.
        let Some(known) = found.filter(|_| log.len() < FRESH) else { return Ok((newest, false)) };
        let later = self.memory(|m| m.later.clone());
        let fresh = log.iter().filter_map(|e| super::follow::subject(&e.subject)).chain(later).map(|id| id.0);
        let listing = view.incidents_with(&filter.clone(), Words::new(known, fresh), None, most + FRESH)?;
        Ok((Listing { total: newest.total, total_is_exact: newest.total_is_exact, next: None, ..listing }, true))
    }

    /// The numbers of those that come first, highest number first.
    fn first_of(&self, parts: &Parts, sort: Sort, most: usize) -> Result<Vec<u64>, SearchError> {
        let all = |more: &Parts| {
            let both = parts.iter().chain(more).map(|(occur, query)| (*occur, query.box_clone()));
            BooleanQuery::new(both.collect())
        };
        let mut found: Vec<u64> = Vec::new();
        if sort == Sort::Alerts {
            found = self.searcher()?.search(&all(&Vec::new()), &Most { field: "alerts", most })?;
        } else {
            let needs = if sort == Sort::Triage { self.needs() } else { vec![Vec::new()] };
            for mut more in needs {
                for severity in Severity::ALL {
                    let room = most.saturating_sub(found.len());
                    if room > 0 {
                        let facet = self.any(self.inner.fields.facet, "severity", &[severity.to_string()]);
                        more.push((Occur::Must, facet));
                        found.extend(self.numbers(&all(&more), "number", None, room)?);
                        more.pop();
                    }
                }
            }
        }
        found.sort_unstable_by_key(|n| Reverse(*n));
        found.dedup();
        Ok(found)
    }

    /// What incidents need, in the order of `Sort::Triage`: somebody, those who have them, nobody as they are muted, nobody
    /// as they are over.
    fn needs(&self) -> Vec<Parts> {
        let (facet, has) = (self.inner.fields.facet, self.inner.fields.has);
        let open = [IncidentStatus::Investigating, IncidentStatus::Analyzed].map(|s| s.to_string());
        let open = |occur| (occur, self.any(facet, "status", &open));
        let nobodys = |occur| (occur, self.any(facet, "owner", &["none".to_owned()]));
        let muted = |occur| (occur, self.any(has, "is", &[IncidentIs::Silenced.to_string()]));
        vec![
            vec![open(Occur::Must), nobodys(Occur::Must), muted(Occur::MustNot)],
            vec![open(Occur::Must), nobodys(Occur::MustNot), muted(Occur::MustNot)],
            vec![open(Occur::Must), muted(Occur::Must)],
            vec![open(Occur::MustNot)],
        ]
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
        if filter.incident.is_some() || !filter.wants().words {
            return view.alerts(filter, before, limit);
        }
        match self.said(view, filter, before)? {
            Some(words) => view.alerts_with(filter, words, before, limit),
            None => view.alerts(filter, before, limit),
        }
    }

    /// `View::alert_counts`, with its words looked for by the index. Blocking.
    pub fn alert_counts(&self, view: &View, filter: &AlertFilter) -> Result<AlertCounts, StoreError> {
        let asks = filter.incident.is_none() && filter.wants().words;
        let words = if asks { self.said(view, filter, None)? } else { None };
        view.alert_counts(filter, words)
    }

    /// `View::alerts_looked`, with its words looked for by the index. Blocking.
    pub fn alerts_looked(
        &self,
        view: &View,
        filter: &AlertFilter,
        by: Option<AlertsBy>,
        most: usize,
    ) -> Result<Looked, StoreError> {
        let asks = filter.incident.is_none() && filter.wants().words;
        let words = if asks { self.said(view, filter, None)? } else { None };
        let cut = words.as_ref().is_some_and(|w| w.many() >= MOST);
        let most = if words.is_some() { most.min(FETCHED) } else { most };
        let mut looked = view.alerts_looked(filter, words, by, most)?;
        if cut && looked.older.is_none() {
            looked.older = looked.alerts.last().map(|a| a.number);
        }
        Ok(looked)
    }

    /// The alerts that say the words of a filter; none when the index does not know.
    fn said(&self, view: &View, filter: &AlertFilter, before: Option<u64>) -> Result<Option<Words>, StoreError> {
        let query = self.words_of_alerts(filter);
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
            Ok(known) if reached > 0 => Ok(Some(Words::new(known, view.alerts_after(reached, MOST)?))),
            found => {
                unanswered(found);
                Ok(None)
            }
        }
    }

    /// What an alert must say and must not say.
    fn words_of_alerts(&self, filter: &AlertFilter) -> BooleanQuery {
        let field = self.inner.fields.words;
        let mut all: Vec<(Occur, Box<dyn Query>)> = Vec::new();
        if let Some(words) = self.query_of(field, &filter.words) {
            all.push((Occur::Must, Box::new(words)));
        }
        for (not, any) in filter.texts() {
            let each = any.iter().filter_map(|w| self.query_of(field, std::slice::from_ref(w)));
            let any = BooleanQuery::new(each.map(|q| (Occur::Should, Box::new(q) as Box<dyn Query>)).collect());
            all.push((if not { Occur::MustNot } else { Occur::Must }, Box::new(any)));
        }
        if all.iter().all(|(occur, _)| *occur == Occur::MustNot) {
            all.push((Occur::Must, Box::new(AllQuery)));
        }
        BooleanQuery::new(all)
    }

    /// What an incident must say and must not say.
    fn words_of(&self, filter: &IncidentFilter) -> BooleanQuery {
        let texts = filter.also.iter().filter(|c| matches!(c.test, IncidentTest::Text(_))).cloned();
        let words = IncidentFilter {
            words: filter.words.clone(),
            also: texts.collect(),
            statuses: IncidentStatus::ALL.to_vec(),
            ..IncidentFilter::default()
        };
        BooleanQuery::new(self.asked(&words, None).0)
    }

    /// Whether an incident is found by the words of a filter, for a list that is shown while it changes.
    pub fn says(&self, incident: &Incident, filter: &IncidentFilter) -> bool {
        if !filter.wants().words {
            return true;
        }
        let this = Term::from_field_u64(self.inner.fields.number, incident.id.0);
        let this = Box::new(TermQuery::new(this, IndexRecordOption::Basic)) as Box<dyn Query>;
        let both = BooleanQuery::new(vec![(Occur::Must, this), (Occur::Must, Box::new(self.words_of(filter)))]);
        unharmed(|| self.numbers(&both, "number", None, 1)).is_ok_and(|found| !found.is_empty())
    }

    pub(super) fn incident_documents(&self) -> TermQuery {
        TermQuery::new(Term::from_field_u64(self.inner.fields.kind, super::INCIDENT), IndexRecordOption::Basic)
    }

    /// Every word, as a term of the analyzer or as the beginning of one; none without words.
    pub(super) fn query_of(&self, field: Field, words: &[String]) -> Option<BooleanQuery> {
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

/// Collects the numbers of incidents that have most of something; of as many the highest number.
struct Most {
    field: &'static str,
    most: usize,
}

struct SegmentMost {
    column: Column<u64>,
    number: Column<u64>,
    most: usize,
    found: Vec<(u64, u64)>,
}

impl Collector for Most {
    type Fruit = Vec<u64>;
    type Child = SegmentMost;

    fn for_segment(&self, _: SegmentOrdinal, segment: &SegmentReader) -> tantivy::Result<SegmentMost> {
        let (column, number) = (segment.fast_fields().u64(self.field)?, segment.fast_fields().u64("number")?);
        Ok(SegmentMost { column, number, most: self.most, found: Vec::new() })
    }

    fn requires_scoring(&self) -> bool {
        false
    }

    fn merge_fruits(&self, fruits: Vec<Vec<(u64, u64)>>) -> tantivy::Result<Vec<u64>> {
        let mut all = fruits.concat();
        all.sort_unstable_by_key(|found| Reverse(*found));
        all.dedup();
        all.truncate(self.most);
        Ok(all.into_iter().map(|(_, number)| number).collect())
    }
}

impl SegmentCollector for SegmentMost {
    type Fruit = Vec<(u64, u64)>;

    fn collect(&mut self, doc: DocId, _: Score) {
        if let (Some(of), Some(number)) = (self.column.first(doc), self.number.first(doc)) {
            self.found.push((of, number));
        }
    }

    fn harvest(mut self) -> Self::Fruit {
        if self.found.len() > self.most {
            self.found.select_nth_unstable_by_key(self.most, |found| Reverse(*found));
            self.found.truncate(self.most);
        }
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
