//! A filter of incidents as a question to the index. What the index does not have is left out of it: rows are looked at
//! afterwards in any case.

use std::ops::Bound;

use tantivy::{
    Term,
    query::{BooleanQuery, FuzzyTermQuery, Occur, Query, RangeQuery, TermQuery},
    schema::{Field, IndexRecordOption},
};

use super::Search;
use crate::{
    model::{IncidentStatus, Time},
    query::{IncidentFilter, IncidentTest, Range},
};

/// Parts of a question that must all hold.
pub(super) type Parts = Vec<(Occur, Box<dyn Query>)>;

/// Fields of a filter whose values are counted.
pub(super) const COUNTED: [&str; 5] = ["status", "severity", "source", "service", "owner"];

impl Search {
    /// What a filter asks, without what it asks of one field; and whether that is all of it.
    pub(super) fn asked(&self, filter: &IncidentFilter, but: Option<&str>) -> (Parts, bool) {
        let mut all: Parts = vec![(Occur::Must, Box::new(self.incident_documents()))];
        let mut whole = true;
        if let Some(words) = self.query_of(self.inner.fields.said, &filter.words) {
            all.push((Occur::Must, Box::new(words)));
        }
        let strings = |values: &[String]| values.iter().map(|v| v.to_lowercase()).collect::<Vec<_>>();
        let lists = [
            ("severity", words_of(&filter.severities)),
            ("source", strings(&filter.sources)),
            ("service", strings(&filter.services)),
            ("owner", strings(&filter.owners)),
        ];
        for (field, values) in lists.iter().filter(|(field, values)| but != Some(field) && !values.is_empty()) {
            all.push((Occur::Must, self.any(self.inner.fields.facet, field, values)));
        }
        if !filter.hosts.is_empty() {
            all.push((Occur::Must, self.any(self.inner.fields.has, "host", &strings(&filter.hosts))));
        }
        if but != Some("status") {
            self.ask_status(filter, &mut all);
        }
        if filter.since.is_some() || filter.until.is_some() {
            all.push((Occur::Must, times(self.inner.fields.opened, filter.since, filter.until)));
        }
        for clause in filter.also.iter().filter(|c| but.is_none_or(|but| field_of(&c.test) != but)) {
            match self.ask(&clause.test) {
                Some(query) => all.push((if clause.not { Occur::MustNot } else { Occur::Must }, query)),
                None => whole = false,
            }
        }
        (all, whole)
    }

    /// The status, with what `closed_since` adds or leaves out.
    fn ask_status(&self, filter: &IncidentFilter, all: &mut Parts) {
        let facet = self.inner.fields.facet;
        let closed = || self.any(facet, "status", &words_of(&[IncidentStatus::Resolved, IncidentStatus::Merged]));
        let statuses = (!filter.statuses.is_empty()).then(|| self.any(facet, "status", &words_of(&filter.statuses)));
        match (statuses, filter.closed_since) {
            (None, _) if filter.numbers().is_some() => {}
            (None, _) => {
                all.push((Occur::MustNot, self.any(facet, "status", &words_of(&[IncidentStatus::Merged]))));
            }
            (Some(open), Some(t)) if filter.open_only() => {
                let resolved = self.any(facet, "status", &words_of(&[IncidentStatus::Resolved]));
                let lately = times(self.inner.fields.ended, Some(t), None);
                let ended = BooleanQuery::new(vec![(Occur::Must, resolved), (Occur::Must, lately)]);
                let either = BooleanQuery::new(vec![(Occur::Should, open), (Occur::Should, Box::new(ended))]);
                all.push((Occur::Must, Box::new(either)));
                return;
            }
            (Some(some), _) => all.push((Occur::Must, some)),
        }
        if let Some(t) = filter.closed_since {
            let before = times(self.inner.fields.ended, None, Some(t));
            let gone = BooleanQuery::new(vec![(Occur::Must, closed()), (Occur::Must, before)]);
            all.push((Occur::MustNot, Box::new(gone)));
        }
    }

    /// One test; none when the index does not know.
    fn ask(&self, test: &IncidentTest) -> Option<Box<dyn Query>> {
        let (facet, has) = (self.inner.fields.facet, self.inner.fields.has);
        let strings = |values: &[String]| values.iter().map(|v| v.to_lowercase()).collect::<Vec<_>>();
        Some(match test {
            IncidentTest::Status(some) => self.any(facet, "status", &words_of(some)),
            IncidentTest::Severity(some) => self.any(facet, "severity", &words_of(some)),
            IncidentTest::Source(some) => self.any(facet, "source", &strings(some)),
            IncidentTest::Service(some) => self.any(facet, "service", &strings(some)),
            IncidentTest::Owner(some) => self.any(facet, "owner", &strings(some)),
            IncidentTest::Host(some) => self.any(has, "host", &strings(some)),
            IncidentTest::State(some) => self.any(has, "state", &words_of(some)),
            IncidentTest::Is(some) => self.any(has, "is", &words_of(some)),
            IncidentTest::Label(name, some) => self.any(has, &format!("label.{name}"), &strings(some)),
            IncidentTest::Alerts(some) => either(some.iter().map(|r| self.count(*r))),
            IncidentTest::Number(some) => either(some.iter().map(|id| {
                let term = Term::from_field_u64(self.inner.fields.number, id.0);
                Box::new(TermQuery::new(term, IndexRecordOption::Basic)) as Box<dyn Query>
            })),
            IncidentTest::ClosedSince(t) => times(self.inner.fields.ended, Some(*t), None),
            IncidentTest::ClosedBefore(t) => times(self.inner.fields.ended, None, Some(*t)),
            IncidentTest::Text(some) => {
                let each = some.iter().filter_map(|w| self.query_of(self.inner.fields.said, std::slice::from_ref(w)));
                either(each.map(|q| Box::new(q) as Box<dyn Query>))
            }
            // Reasons of memberships are in no incident's document.
            IncidentTest::Strategy(_) => return None,
        })
    }

    fn count(&self, range: Range) -> Box<dyn Query> {
        let term = |n| Term::from_field_u64(self.inner.fields.alerts, n);
        Box::new(RangeQuery::new(Bound::Included(term(range.from)), Bound::Included(term(range.to))))
    }

    /// Any of these values of a field; `*` at the end is a beginning.
    pub(super) fn any(&self, field: Field, name: &str, values: &[String]) -> Box<dyn Query> {
        either(values.iter().map(|value| {
            let term = |value: &str| Term::from_field_text(field, &format!("{name}:{value}"));
            match value.strip_suffix('*') {
                Some(beginning) => Box::new(FuzzyTermQuery::new_prefix(term(beginning), 0, false)) as Box<dyn Query>,
                None => Box::new(TermQuery::new(term(value), IndexRecordOption::Basic)),
            }
        }))
    }
}

fn either(queries: impl Iterator<Item = Box<dyn Query>>) -> Box<dyn Query> {
    Box::new(BooleanQuery::new(queries.map(|q| (Occur::Should, q)).collect()))
}

fn words_of<T: ToString>(values: &[T]) -> Vec<String> {
    values.iter().map(ToString::to_string).collect()
}

/// At or after the one, before the other.
fn times(field: Field, from: Option<Time>, to: Option<Time>) -> Box<dyn Query> {
    let term = |t: Time| Term::from_field_i64(field, t.millis());
    let from = from.map_or(Bound::Unbounded, |t| Bound::Included(term(t)));
    let to = to.map_or(Bound::Unbounded, |t| Bound::Excluded(term(t)));
    match (&from, &to) {
        // A question without any border has no field.
        (Bound::Unbounded, Bound::Unbounded) => Box::new(tantivy::query::AllQuery),
        _ => Box::new(RangeQuery::new(from, to)),
    }
}

/// The counted field that a test is about.
fn field_of(test: &IncidentTest) -> &'static str {
    match test {
        IncidentTest::Status(_) => "status",
        IncidentTest::Severity(_) => "severity",
        IncidentTest::Source(_) => "source",
        IncidentTest::Service(_) => "service",
        IncidentTest::Owner(_) => "owner",
        _ => "",
    }
}

/// The counted fields that a filter asks something of.
pub(super) fn asks_of(filter: &IncidentFilter) -> Vec<&'static str> {
    let lists = [
        ("status", !filter.statuses.is_empty()),
        ("severity", !filter.severities.is_empty()),
        ("source", !filter.sources.is_empty()),
        ("service", !filter.services.is_empty()),
        ("owner", !filter.owners.is_empty()),
    ];
    let clauses = filter.also.iter().map(|c| field_of(&c.test));
    let asked: Vec<&str> = lists.into_iter().filter(|(_, asks)| *asks).map(|(field, _)| field).chain(clauses).collect();
    // What is merged is left out by its status, unless statuses are asked for.
    COUNTED.into_iter().filter(|field| *field == "status" || asked.contains(field)).collect()
}
