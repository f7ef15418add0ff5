//! How many incidents or alerts there are of each value, for the filter that a list has; and what names are in use.

use std::collections::BTreeMap;

use tantivy::{
    DocId, Score, SegmentOrdinal, SegmentReader,
    collector::{Collector, SegmentCollector},
    columnar::StrColumn,
    query::BooleanQuery,
};

use super::{
    Search, SearchError,
    asked::{COUNTED, asks_of},
    unharmed,
};
use crate::query::IncidentFilter;

/// Counts by value, as `status:resolved`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// How many have each value.
    pub by: BTreeMap<String, u64>,
    /// Something of the filter was left out, or not all rows were looked at: there may be less or more.
    pub about: bool,
}

/// A name that is in use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// The value.
    pub name: String,
    /// How many have it.
    pub count: u64,
}

impl Search {
    /// How many incidents there are of each status, severity, sender, service and owner among those that fit what the
    /// filter asks of the others. As fresh as the index. Blocking.
    pub fn facets(&self, filter: &IncidentFilter) -> Result<Counts, SearchError> {
        let mut counts = Counts::default();
        let asked = asks_of(filter);
        // Fields that nothing is asked of are counted together.
        let rest: Vec<&str> = COUNTED.into_iter().filter(|field| !asked.contains(field)).collect();
        // What is chosen of a field says nothing about what else there is to choose of it.
        let passes = asked.iter().map(|field| (Some(*field), vec![*field])).chain([(None, rest)]);
        for (but, fields) in passes.filter(|(_, fields)| !fields.is_empty()) {
            let (parts, whole) = self.asked(filter, but);
            counts.about |= !whole;
            let query = BooleanQuery::new(parts);
            let found = unharmed(|| Ok(self.searcher()?.search(&query, &Facets)?))?;
            let group = |value: &str| value.split(':').next().is_some_and(|of| fields.contains(&of));
            counts.by.extend(found.into_iter().filter(|(value, _)| group(value)));
        }
        Ok(counts)
    }

    /// The names of a counted field that begin so or have it inside, the most frequent first, among incidents that fit
    /// the filter. Blocking.
    pub fn names(
        &self,
        filter: &IncidentFilter,
        field: &str,
        typed: &str,
        most: usize,
    ) -> Result<Vec<Named>, SearchError> {
        let (parts, _) = self.asked(filter, Some(field));
        let query = BooleanQuery::new(parts);
        let found = unharmed(|| Ok(self.searcher()?.search(&query, &Facets)?))?;
        let typed = typed.to_lowercase();
        let names = found.into_iter().filter_map(|(value, count)| {
            let name = value.strip_prefix(field)?.strip_prefix(':')?;
            name.contains(&typed).then(|| Named { name: name.to_owned(), count })
        });
        let mut names: Vec<Named> = names.collect();
        names.sort_by(|a, b| {
            let begins = |n: &Named| !n.name.starts_with(&typed);
            begins(a).cmp(&begins(b)).then(b.count.cmp(&a.count)).then(a.name.cmp(&b.name))
        });
        names.truncate(most);
        Ok(names)
    }

    /// The values of a field that is not counted (hosts, labels) that begin so, with how many incidents have them; of
    /// `label.*` the names of labels. In the order of the alphabet. Blocking.
    pub fn others(&self, field: &str, typed: &str, most: usize) -> Result<Vec<Named>, SearchError> {
        let (prefix, names) = match field.strip_prefix("label.") {
            Some("*" | "") => (format!("label.{typed}"), true),
            _ => (format!("{field}:{typed}"), false),
        };
        let mut found: BTreeMap<String, u64> = BTreeMap::new();
        let searcher = self.searcher()?;
        unharmed(|| {
            for segment in searcher.segment_readers() {
                let index = segment.inverted_index(self.inner.fields.has)?;
                let mut terms = index.terms().range().ge(prefix.as_bytes()).into_stream()?;
                for _ in 0..LOOKED_AT {
                    if !terms.advance() || !terms.key().starts_with(prefix.as_bytes()) || found.len() > 4 * most {
                        break;
                    }
                    let Ok(term) = std::str::from_utf8(terms.key()) else { continue };
                    let name = match names {
                        true => term.split(':').next().unwrap_or(term),
                        false => term.strip_prefix(field).and_then(|t| t.strip_prefix(':')).unwrap_or(term),
                    };
                    *found.entry(name.to_owned()).or_default() += u64::from(terms.value().doc_freq);
                }
            }
            Ok(())
        })?;
        Ok(found.into_iter().take(most).map(|(name, count)| Named { name, count }).collect())
    }
}

/// Terms of one segment that are looked at for what somebody types.
const LOOKED_AT: usize = 5_000;

/// Counts the values of the facets.
struct Facets;

struct SegmentFacets {
    column: Option<StrColumn>,
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
