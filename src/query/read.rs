//! Terms become filters, or a mistake with its place and what would be right.

use std::{fmt::Display, str::FromStr, time::Duration};

use super::{
    ALERTS, AlertFilter, AlertIs, AlertTest, Clause, Field, INCIDENTS, IncidentFilter, IncidentIs, IncidentTest,
    OfIncident, Range, Values, fields,
    split::{Span, place_of, spans},
    test::operator,
    time,
    when::duration,
};
use crate::{model::*, text::nearest};

/// What is wrong with a query, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct QueryError {
    /// Characters before what is wrong.
    pub at: usize,
    /// The wrong term.
    pub term: String,
    /// What is wrong and what would be right.
    pub message: String,
    /// The fields or values that would be right.
    pub allowed: Vec<String>,
    /// What was probably meant.
    pub meant: Option<Box<Meant>>,
}

/// What was probably meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meant {
    /// The term.
    pub term: String,
    /// The whole query with it.
    pub query: String,
}

/// Who asks, and when.
#[derive(Clone, Copy, Debug)]
pub struct Asker<'a> {
    /// Now, for `6h`.
    pub now: Time,
    /// The name of who asks, for `owner:me`.
    pub me: Option<&'a str>,
}

/// Longer queries are mistakes or attacks.
const LONGEST: usize = 2000;

/// Adds the terms of `q` to a filter of incidents.
pub fn incidents(q: &str, asker: Asker<'_>, filter: &mut IncidentFilter) -> Result<(), QueryError> {
    for term in terms(q, INCIDENTS)? {
        let not = term.span.not;
        let mut also = |test| filter.also.push(Clause { not, test });
        match term.field {
            None | Some("text") if not || term.span.values.len() > 1 => also(IncidentTest::Text(term.values())),
            None | Some("text") => filter.words.extend(term.values()),
            Some("status") => {
                put(&mut filter.statuses, term.words(statuses)?, not, &mut filter.also, IncidentTest::Status);
            }
            Some("severity") => {
                put(&mut filter.severities, term.severities()?, not, &mut filter.also, IncidentTest::Severity);
            }
            Some("source") => put(&mut filter.sources, term.lower(), not, &mut filter.also, IncidentTest::Source),
            Some("service") => put(&mut filter.services, term.values(), not, &mut filter.also, IncidentTest::Service),
            Some("host") => put(&mut filter.hosts, term.values(), not, &mut filter.also, IncidentTest::Host),
            Some("owner") => {
                let named = |v: String| if v == "me" { asker.me.unwrap_or("none").to_owned() } else { v };
                let owners = term.values().into_iter().map(named).collect();
                put(&mut filter.owners, owners, not, &mut filter.also, IncidentTest::Owner);
            }
            Some("state") => also(IncidentTest::State(term.words(|_| None)?)),
            Some("strategy") => also(IncidentTest::Strategy(term.words(|_| None)?)),
            Some("alerts") => also(IncidentTest::Alerts(term.ranges()?)),
            Some(field @ ("since" | "until")) => {
                let at = term.moment(asker.now)?;
                bound(&mut filter.since, &mut filter.until, at, (field == "since") != not);
            }
            Some("age") => {
                let (at, older) = term.age(asker.now)?;
                bound(&mut filter.since, &mut filter.until, at, older == not);
            }
            Some("closed") => match (term.age(asker.now)?, not) {
                ((at, false), false) => filter.closed_since = filter.closed_since.max(Some(at)),
                ((at, false), true) => also(IncidentTest::ClosedSince(at)),
                ((at, true), _) => also(IncidentTest::ClosedBefore(at)),
            },
            Some("incident") => also(IncidentTest::Number(term.numbers()?)),
            Some("is") => {
                let silenced = |v: &str| (v == "muted").then_some(&[IncidentIs::Silenced][..]);
                also(IncidentTest::Is(term.words(silenced)?));
            }
            Some(_) => also(IncidentTest::Label(term.label(), term.values())),
        }
    }
    Ok(())
}

/// Adds the terms of `q` to a filter of alerts.
pub fn alerts(q: &str, asker: Asker<'_>, filter: &mut AlertFilter) -> Result<(), QueryError> {
    for term in terms(q, ALERTS)? {
        let not = term.span.not;
        let mut also = |test| filter.also.push(Clause { not, test });
        match term.field {
            None | Some("text") if not || term.span.values.len() > 1 => also(AlertTest::Text(term.values())),
            None | Some("text") => filter.words.extend(term.values()),
            Some("status" | "state") => {
                let open = |v: &str| (v == "open").then_some(&[AlertStatus::Firing, AlertStatus::Acknowledged][..]);
                put(&mut filter.statuses, term.words(open)?, not, &mut filter.also, AlertTest::Status);
            }
            Some("severity") => {
                put(&mut filter.severities, term.severities()?, not, &mut filter.also, AlertTest::Severity);
            }
            Some("name") => also(AlertTest::Name(term.values())),
            Some("source") => put(&mut filter.sources, term.lower(), not, &mut filter.also, AlertTest::Source),
            Some("service") => put(&mut filter.services, term.values(), not, &mut filter.also, AlertTest::Service),
            Some("host") => put(&mut filter.hosts, term.values(), not, &mut filter.also, AlertTest::Host),
            Some("incident") => match (term.incidents()?.as_slice(), not) {
                ([OfIncident::This(id)], false) if filter.incident.is_none() => filter.incident = Some(*id),
                (some, _) => also(AlertTest::Incident(some.to_vec())),
            },
            Some("strategy") => also(AlertTest::Strategy(term.words(|_| None)?)),
            Some("repeats") => also(AlertTest::Repeats(term.ranges()?)),
            Some(field @ ("since" | "until")) => {
                let at = term.moment(asker.now)?;
                bound(&mut filter.since, &mut filter.until, at, (field == "since") != not);
            }
            Some("age") => {
                let (at, older) = term.age(asker.now)?;
                let (from, to) = if older == not { (Some(at), None) } else { (None, Some(at)) };
                filter.also.push(Clause { not: false, test: AlertTest::Began(from, to) });
            }
            Some("closed") => {
                let (at, before) = term.age(asker.now)?;
                also(if before { AlertTest::ClosedBefore(at) } else { AlertTest::ClosedSince(at) });
            }
            Some("is") => {
                let silenced = |v: &str| (v == "muted").then_some(&[AlertIs::Silenced][..]);
                also(AlertTest::Is(term.words(silenced)?));
            }
            Some(_) => match (term.values().as_slice(), not) {
                ([one], false) => filter.labels.push((term.label(), one.clone())),
                (some, _) => also(AlertTest::Label(term.label(), some.to_vec())),
            },
        }
    }
    Ok(())
}

/// The first time that a field is asked for fills its list, which the store chooses its way by; all others are further
/// clauses, because terms are joined by and.
fn put<T, Test>(
    list: &mut Vec<T>,
    values: Vec<T>,
    not: bool,
    also: &mut Vec<Clause<Test>>,
    test: impl Fn(Vec<T>) -> Test,
) {
    if !not && list.is_empty() {
        *list = values;
    } else {
        also.push(Clause { not, test: test(values) });
    }
}

fn bound(since: &mut Option<Time>, until: &mut Option<Time>, at: Time, from: bool) {
    if from {
        *since = (*since).max(Some(at));
    } else {
        *until = Some(until.map_or(at, |u| u.min(at)));
    }
}

fn statuses(value: &str) -> Option<&'static [IncidentStatus]> {
    use IncidentStatus::*;
    match value {
        "open" => Some(&[Investigating, Analyzed]),
        "closed" => Some(&[Resolved, Merged]),
        _ => None,
    }
}

/// A term whose field is known, and the text that it is part of.
struct Term<'q> {
    q: &'q str,
    span: Span<'q>,
    field: Option<&'static str>,
    of: Option<&'static Field>,
}

fn terms<'q>(q: &'q str, known: &'static [Field]) -> Result<Vec<Term<'q>>, QueryError> {
    let fail = |at: usize, term: &str, message: &str| QueryError {
        at,
        term: term.to_owned(),
        message: message.to_owned(),
        allowed: Vec::new(),
        meant: None,
    };
    if q.chars().count() > LONGEST {
        return Err(fail(0, "q", "the query is longer than 2000 characters"));
    }
    let mut found = Vec::new();
    for mut span in spans(q) {
        let at = place_of(q, span.bytes.start);
        if span.unclosed {
            return Err(fail(at, span.text, "a closing quotation mark is missing"));
        }
        span.values.retain(|v| !v.is_empty());
        if span.values.is_empty() {
            // `""` alone asks for nothing; `service:` is unfinished.
            match &span.field {
                Some(name) => {
                    return Err(unfinished(known, name, fail(at, span.text, "a value is missing after the colon")));
                }
                None => continue,
            }
        }
        let of = match &span.field {
            None => None,
            Some(name) => {
                let of = fields::field(known, name);
                Some(of.ok_or_else(|| unknown(q, &span, name, known))?)
            }
        };
        found.push(Term { q, span, field: of.map(|of| of.name), of });
    }
    Ok(found)
}

fn unfinished(known: &'static [Field], name: &str, mut error: QueryError) -> QueryError {
    if let Some(Field { values: Values::Fixed(words), .. }) = fields::field(known, name) {
        error.allowed = words.iter().map(|w| (*w).to_owned()).collect();
        error.message = format!("{}; {name} is one of {}", error.message, words.join(", "));
    }
    error
}

fn unknown(q: &str, span: &Span<'_>, name: &str, known: &'static [Field]) -> QueryError {
    let names: Vec<&str> = known.iter().map(|f| f.name).collect();
    let other = if known == INCIDENTS { ALERTS } else { INCIDENTS };
    let elsewhere = if fields::field(other, name).is_some() {
        let what = if other == ALERTS { "alerts" } else { "incidents" };
        format!(", only for {what}")
    } else {
        String::new()
    };
    let values = span.text.split_once(':').map_or("", |(_, v)| v);
    let not = if span.not { "-" } else { "" };
    let near = nearest(name, names.iter().copied().filter(|n| *n != "label.*"));
    let meant = near.map(|near| format!("{not}{near}:{values}"));
    let message = match &meant {
        Some(term) => format!("there is no field {name} here{elsewhere}; did you mean {term}?"),
        None => format!("there is no field {name} here{elsewhere}; fields are {}", names.join(", ")),
    };
    QueryError {
        at: place_of(q, span.bytes.start) + usize::from(span.not),
        term: span.text.to_owned(),
        message,
        allowed: names.iter().map(|n| (*n).to_owned()).collect(),
        meant: meant.map(|term| {
            let query = corrected(q, span, &term);
            Box::new(Meant { term, query })
        }),
    }
}

/// The text with another term in the place of this one.
fn corrected(q: &str, span: &Span<'_>, term: &str) -> String {
    let (before, after) = (q.get(..span.bytes.start).unwrap_or_default(), q.get(span.bytes.end..).unwrap_or_default());
    format!("{before}{term}{after}")
}

impl Term<'_> {
    fn values(&self) -> Vec<String> {
        self.span.values.clone()
    }

    /// The name of the label that is asked for, in the case that it has.
    fn label(&self) -> String {
        self.span.field.as_deref().and_then(|f| f.strip_prefix("label.")).unwrap_or_default().to_owned()
    }

    fn lower(&self) -> Vec<String> {
        self.span.values.iter().map(|v| v.to_lowercase()).collect()
    }

    /// An error about one of the values.
    fn error(&self, value: &str, message: impl Display, allowed: &[&str]) -> QueryError {
        // Where that value begins, unless an empty one was left out before it.
        let nth = self.span.values.iter().position(|v| v == value).unwrap_or(0);
        let whole = self.span.values.len() == self.span.starts.len();
        let byte = self.span.starts.get(nth).copied().filter(|_| whole).unwrap_or(self.span.bytes.start);
        let meant = nearest(&value.to_lowercase(), allowed.iter().copied()).filter(|_| !value.is_empty()).map(|near| {
            let term = self.span.text.replacen(value, near, 1);
            let query = corrected(self.q, &self.span, &term);
            Box::new(Meant { term, query })
        });
        let message = match &meant {
            Some(meant) => format!("{message}; did you mean {}?", meant.term),
            None => message.to_string(),
        };
        QueryError {
            at: place_of(self.q, byte),
            term: self.span.text.to_owned(),
            message,
            allowed: allowed.iter().map(|s| (*s).to_owned()).collect(),
            meant,
        }
    }

    fn one(&self) -> Result<&str, QueryError> {
        match self.span.values.as_slice() {
            [one] => Ok(one),
            some => Err(self.error(
                some.get(1).map_or("", String::as_str),
                "one value is needed here, without a comma",
                &[],
            )),
        }
    }

    fn moment(&self, now: Time) -> Result<Time, QueryError> {
        let one = self.one()?;
        time(one, now).ok_or_else(|| self.error(one, "a time is such as 6h, 7d or 2026-03-02T15:14Z", &[]))
    }

    /// A moment, and whether what is older is wanted.
    fn age(&self, now: Time) -> Result<(Time, bool), QueryError> {
        let one = self.one()?;
        let (op, rest) = operator(one);
        let at = match duration(rest) {
            Some(ago) => Some(now.minus(ago)),
            None => time(rest, now).filter(|_| !rest.is_empty()),
        };
        let at = at.ok_or_else(|| self.error(one, "how long ago is such as <12h, >7d or 30m", &[]))?;
        // Of a whole duration the border itself belongs to what is older.
        let at = if op == ">=" { at.plus(Duration::from_millis(1)) } else { at };
        Ok((at, op.starts_with('>')))
    }

    fn ranges(&self) -> Result<Vec<Range>, QueryError> {
        let each = self.span.values.iter();
        each.map(|v| Range::read(v).ok_or_else(|| self.error(v, "a number is such as 10, >10 or <=3", &[]))).collect()
    }

    fn numbers(&self) -> Result<Vec<IncidentId>, QueryError> {
        let each = self.span.values.iter();
        each.map(|v| v.parse().map_err(|_| self.error(v, "an incident is such as INC-42", &[]))).collect()
    }

    fn incidents(&self) -> Result<Vec<OfIncident>, QueryError> {
        let each = self.span.values.iter();
        each.map(|v| match v.to_ascii_lowercase().as_str() {
            "any" => Ok(OfIncident::Any),
            "none" => Ok(OfIncident::None),
            _ => v
                .parse()
                .map(OfIncident::This)
                .map_err(|_| self.error(v, "an incident is such as INC-42, or any, or none", &["any", "none"])),
        })
        .collect()
    }

    /// Fixed words, and what stands for several of them.
    fn words<T: FromStr<Err = String> + Copy + 'static>(
        &self,
        group: impl Fn(&str) -> Option<&'static [T]>,
    ) -> Result<Vec<T>, QueryError> {
        let mut found = Vec::new();
        for value in &self.span.values {
            let small = value.to_ascii_lowercase();
            match (group(&small), small.parse()) {
                (Some(several), _) => found.extend_from_slice(several),
                (None, Ok(one)) => found.push(one),
                (None, Err(_)) => return Err(self.no_word(value)),
            }
        }
        Ok(found)
    }

    fn no_word(&self, value: &str) -> QueryError {
        let (name, words) = match self.of {
            Some(Field { name, values: Values::Fixed(words), .. }) => (*name, *words),
            _ => ("value", [].as_slice()),
        };
        let word = operator(value).1;
        let mut error = self.error(word, format_args!("{word} is no {name}"), words);
        error.message = match &error.meant {
            Some(_) => error.message,
            None => format!("{}; it is one of {}", error.message, words.join(", ")),
        };
        error
    }

    // `>=high` is high and worse.
    fn severities(&self) -> Result<Vec<Severity>, QueryError> {
        let compared = |value: &str| -> Option<&'static [Severity]> {
            let (op, word) = operator(value);
            let place = Severity::ALL.iter().position(|s| s.as_str() == word)?;
            match op {
                ">=" => Severity::ALL.get(..=place),
                ">" => Severity::ALL.get(..place),
                "<=" => Severity::ALL.get(place..),
                "<" => Severity::ALL.get(place + 1..),
                _ => None,
            }
        };
        self.words(compared)
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
