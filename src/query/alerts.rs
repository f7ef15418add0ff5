//! Which alerts are wanted, and whether one is.

use std::collections::BTreeMap;

use super::test::{Clause, Range, Wants, all_words, among};
use crate::model::*;

/// Which alerts. Empty lists mean any; everything that is given must hold.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AlertFilter {
    /// Any of these.
    pub statuses: Vec<AlertStatus>,
    /// Any of these.
    pub severities: Vec<Severity>,
    /// Platforms.
    pub sources: Vec<String>,
    /// Compared without case; `*` at the end is a prefix.
    pub services: Vec<String>,
    /// Compared without case; `*` at the end is a prefix.
    pub hosts: Vec<String>,
    /// Of this incident. The rows are found through it; `fits` does not look at it.
    pub incident: Option<IncidentId>,
    /// Last seen at or after.
    pub since: Option<Time>,
    /// Last seen before.
    pub until: Option<Time>,
    /// Words that must all stand in title, service, host or description.
    pub words: Vec<String>,
    /// Label name and value.
    pub labels: Vec<(String, String)>,
    /// What else must hold, or must not.
    pub also: Vec<Clause<AlertTest>>,
}

/// One thing that is asked of an alert. Of several values one is enough.
#[derive(Clone, Debug, PartialEq)]
pub enum AlertTest {
    /// Its status.
    Status(Vec<AlertStatus>),
    /// Its severity.
    Severity(Vec<Severity>),
    /// Its platform.
    Source(Vec<String>),
    /// What it is called.
    Name(Vec<String>),
    /// Its service.
    Service(Vec<String>),
    /// Its host.
    Host(Vec<String>),
    /// The incident that it is part of.
    Incident(Vec<OfIncident>),
    /// Why it is part of that.
    Strategy(Vec<Strategy>),
    /// How often it was received.
    Repeats(Vec<Range>),
    /// First seen at or after the one and before the other.
    Began(Option<Time>, Option<Time>),
    /// Last seen at or after the one and before the other.
    Seen(Option<Time>, Option<Time>),
    /// Still open, or it ended at or after this.
    ClosedSince(Time),
    /// It ended before this.
    ClosedBefore(Time),
    /// The value of a label.
    Label(String, Vec<String>),
    /// A mark that it has.
    Is(Vec<AlertIs>),
    /// Words that it says.
    Text(Vec<String>),
}

/// What can be asked of an alert's incident.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OfIncident {
    /// It is part of one.
    Any,
    /// It is part of none.
    None,
    /// It is part of this one.
    This(IncidentId),
}

words! {
    /// A mark of an alert.
    AlertIs {
        /// It is not over.
        Open = "open",
        /// It goes up and down.
        Flapping = "flapping",
        /// It burns, and calls for nobody.
        Silenced = "silenced",
        /// An incident waits for more like it.
        Waiting = "waiting",
        /// Sent by a test button.
        Test = "test",
        /// Read from mended JSON.
        Mended = "mended",
    }
}

/// What a filter looks at. Lists that it does not want (`AlertFilter::wants`) may be left empty.
#[derive(Clone, Debug)]
pub struct AlertSeen<'a> {
    /// Where it stands.
    pub status: AlertStatus,
    /// How bad.
    pub severity: Severity,
    /// What it is called.
    pub title: &'a str,
    /// Its platform.
    pub source: &'a str,
    /// Its service.
    pub service: Option<&'a str>,
    /// Its host.
    pub host: Option<&'a str>,
    /// First received.
    pub first_seen: Time,
    /// Last received.
    pub last_seen: Time,
    /// When it ended.
    pub ended_at: Option<Time>,
    /// The incident that it is part of.
    pub incident: Option<IncidentId>,
    /// How often it was received.
    pub count: u64,
    /// Its labels.
    pub labels: BTreeMap<&'a str, &'a str>,
    /// The marks that it has.
    pub marks: Vec<AlertIs>,
    /// Why it is part of its incident.
    pub strategy: Option<Strategy>,
}

impl<'a> AlertSeen<'a> {
    /// All of an alert but its strategy, which its row does not have.
    pub fn of(a: &'a Alert) -> Self {
        let marks = [
            (AlertIs::Open, a.is_open()),
            (AlertIs::Flapping, a.flapping.is_some()),
            (AlertIs::Silenced, a.is_muted()),
            (AlertIs::Waiting, a.is_waiting()),
            (AlertIs::Test, a.test),
            (AlertIs::Mended, a.repaired),
        ];
        Self {
            status: a.status,
            severity: a.severity,
            title: &a.title,
            source: &a.platform,
            service: a.service.as_deref(),
            host: a.host.as_deref(),
            first_seen: a.first_seen,
            last_seen: a.last_seen,
            ended_at: a.ended_at,
            incident: a.incident,
            count: a.count,
            labels: a.labels.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect(),
            marks: marks.into_iter().filter(|(_, has)| *has).map(|(mark, _)| mark).collect(),
            strategy: None,
        }
    }

    fn ended_at(&self) -> Time {
        self.ended_at.unwrap_or(self.last_seen)
    }
}

impl AlertFilter {
    /// Whether an alert is wanted, its words looked for in its row.
    pub fn matches(&self, a: &Alert) -> bool {
        self.fits(&AlertSeen::of(a))
            && self.incident.is_none_or(|id| a.incident == Some(id))
            && self.words_fit(&[
                &a.title,
                a.service.as_deref().unwrap_or_default(),
                a.host.as_deref().unwrap_or_default(),
                a.description.as_deref().unwrap_or_default(),
            ])
    }

    /// Whether these texts say the words.
    pub fn words_fit(&self, texts: &[&str]) -> bool {
        all_words(&self.words, self.texts(), texts)
    }

    /// The clauses about words: whether they must not be said, and the words of which one is enough.
    pub fn texts(&self) -> impl Iterator<Item = (bool, &[String])> + Clone {
        self.also.iter().filter_map(|c| match &c.test {
            AlertTest::Text(any) => Some((c.not, any.as_slice())),
            _ => None,
        })
    }

    /// Only what must not be said.
    #[must_use]
    pub fn unsaid(&self) -> Self {
        let not = self.also.iter().filter(|c| c.not && matches!(c.test, AlertTest::Text(_)));
        Self { also: not.cloned().collect(), ..Self::default() }
    }

    /// The same without words.
    #[must_use]
    pub fn wordless(&self) -> Self {
        let mut bare = Self { words: Vec::new(), ..self.clone() };
        bare.also.retain(|c| !matches!(c.test, AlertTest::Text(_)));
        bare
    }

    /// Whether all but its words and `incident` fit.
    pub fn fits(&self, a: &AlertSeen<'_>) -> bool {
        self.misses(a).next().is_none()
    }

    /// The fields that are asked for and do not fit. Words and `incident` are not looked at.
    pub fn misses<'s>(&'s self, a: &'s AlertSeen<'_>) -> impl Iterator<Item = &'static str> + 's {
        let label = |name: &str, wanted: &String| {
            a.labels.get(name).is_some_and(|v| among(std::slice::from_ref(wanted), Some(v)))
        };
        let lists = [
            ("status", self.statuses.is_empty() || self.statuses.contains(&a.status)),
            ("severity", self.severities.is_empty() || self.severities.contains(&a.severity)),
            ("since", self.since.is_none_or(|t| a.last_seen >= t) && self.until.is_none_or(|t| a.last_seen < t)),
            ("source", among(&self.sources, Some(a.source))),
            ("service", among(&self.services, a.service)),
            ("host", among(&self.hosts, a.host)),
            ("label.*", self.labels.iter().all(|(name, wanted)| label(name, wanted))),
        ];
        let clauses =
            self.also.iter().filter(|c| c.test.holds(a).is_some_and(|holds| holds == c.not)).map(|c| c.test.field());
        lists.into_iter().filter(|(_, fits)| !fits).map(|(field, _)| field).chain(clauses)
    }

    /// Only alerts that are open are wanted: they have a table of their own.
    pub fn open_only(&self) -> bool {
        !self.statuses.is_empty() && !self.statuses.contains(&AlertStatus::Resolved)
    }

    /// First seen at or after: no older alert can fit.
    pub fn began_since(&self) -> Option<Time> {
        let from = |c: &Clause<AlertTest>| match c.test {
            AlertTest::Began(from, _) if !c.not => from,
            _ => None,
        };
        self.also.iter().filter_map(from).max()
    }

    /// What is to be read of a row.
    pub fn wants(&self) -> Wants {
        let mut wants = Wants { labels: !self.labels.is_empty(), words: !self.words.is_empty(), ..Wants::default() };
        for clause in &self.also {
            match clause.test {
                AlertTest::Label(..) => wants.labels = true,
                AlertTest::Name(_) => wants.names = true,
                AlertTest::Repeats(_)
                | AlertTest::Is(_)
                | AlertTest::Began(..)
                | AlertTest::ClosedSince(_)
                | AlertTest::ClosedBefore(_) => wants.rest = true,
                AlertTest::Incident(_) => wants.home = true,
                AlertTest::Strategy(_) => wants.strategies = true,
                AlertTest::Text(_) => wants.words = true,
                AlertTest::Status(_)
                | AlertTest::Severity(_)
                | AlertTest::Source(_)
                | AlertTest::Service(_)
                | AlertTest::Host(_)
                | AlertTest::Seen(..) => {}
            }
        }
        wants
    }
}

impl AlertTest {
    /// Whether it holds; none where that is not seen here.
    pub fn holds(&self, a: &AlertSeen<'_>) -> Option<bool> {
        let within = |at: Time, from: &Option<Time>, to: &Option<Time>| {
            from.is_none_or(|t| at >= t) && to.is_none_or(|t| at < t)
        };
        let open = a.status != AlertStatus::Resolved || a.marks.contains(&AlertIs::Open);
        Some(match self {
            Self::Status(some) => some.contains(&a.status),
            Self::Severity(some) => some.contains(&a.severity),
            Self::Source(some) => among(some, Some(a.source)),
            Self::Name(some) => among(some, Some(a.title)),
            Self::Service(some) => among(some, a.service),
            Self::Host(some) => among(some, a.host),
            Self::Incident(some) => some.iter().any(|of| match of {
                OfIncident::Any => a.incident.is_some(),
                OfIncident::None => a.incident.is_none(),
                OfIncident::This(id) => a.incident == Some(*id),
            }),
            Self::Strategy(some) => a.strategy.is_some_and(|s| some.contains(&s)),
            Self::Repeats(some) => some.iter().any(|r| r.has(a.count)),
            Self::Began(from, to) => within(a.first_seen, from, to),
            Self::Seen(from, to) => within(a.last_seen, from, to),
            Self::ClosedSince(t) => open || a.ended_at() >= *t,
            Self::ClosedBefore(t) => !open && a.ended_at() < *t,
            Self::Label(name, some) => a.labels.get(name.as_str()).is_some_and(|v| among(some, Some(v))),
            Self::Is(some) => some.iter().any(|mark| a.marks.contains(mark)),
            Self::Text(_) => return None,
        })
    }

    /// The field that it is about.
    fn field(&self) -> &'static str {
        match self {
            Self::Status(_) => "status",
            Self::Severity(_) => "severity",
            Self::Source(_) => "source",
            Self::Name(_) => "name",
            Self::Service(_) => "service",
            Self::Host(_) => "host",
            Self::Incident(_) => "incident",
            Self::Strategy(_) => "strategy",
            Self::Repeats(_) => "repeats",
            Self::Began(..) => "age",
            Self::Seen(..) => "since",
            Self::ClosedSince(_) | Self::ClosedBefore(_) => "closed",
            Self::Label(..) => "label.*",
            Self::Is(_) => "is",
            Self::Text(_) => "text",
        }
    }
}
