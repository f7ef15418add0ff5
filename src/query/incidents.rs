//! Which incidents are wanted, and whether one is.

use std::collections::BTreeMap;

use super::test::{Clause, Range, Wants, all_words, among, matches as is_named};
use crate::model::*;

/// Which incidents. Empty lists mean any; everything that is given must hold.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct IncidentFilter {
    /// Empty: all but merged.
    pub statuses: Vec<IncidentStatus>,
    /// Any of these.
    pub severities: Vec<Severity>,
    /// Platforms.
    pub sources: Vec<String>,
    /// Among the affected services, compared without case; `*` at the end is a prefix.
    pub services: Vec<String>,
    /// Among the affected hosts.
    pub hosts: Vec<String>,
    /// Names; `none` for nobody.
    pub owners: Vec<String>,
    /// Detected at or after.
    pub since: Option<Time>,
    /// Detected before.
    pub until: Option<Time>,
    /// Those that ended only when they did at or after this. Where only open ones are asked for, those are added that were
    /// resolved since: `status:open closed:<12h` is what burns and what has just ended.
    pub closed_since: Option<Time>,
    /// Words that must all stand in title, service, id or summary, compared without case.
    pub words: Vec<String>,
    /// What else must hold, or must not.
    pub also: Vec<Clause<IncidentTest>>,
}

/// One thing that is asked of an incident. Of several values one is enough.
#[derive(Clone, Debug, PartialEq)]
pub enum IncidentTest {
    /// Its status.
    Status(Vec<IncidentStatus>),
    /// Its severity.
    Severity(Vec<Severity>),
    /// Its platform.
    Source(Vec<String>),
    /// A service of its alerts.
    Service(Vec<String>),
    /// A host of its alerts.
    Host(Vec<String>),
    /// Who has it.
    Owner(Vec<String>),
    /// Its investigation.
    State(Vec<InvestigationState>),
    /// Why one of its alerts is in it.
    Strategy(Vec<Strategy>),
    /// How many alerts it has.
    Alerts(Vec<Range>),
    /// It ended at or after this.
    ClosedSince(Time),
    /// It ended before this.
    ClosedBefore(Time),
    /// Its number.
    Number(Vec<IncidentId>),
    /// The value of a label that its alerts share.
    Label(String, Vec<String>),
    /// A mark that it has.
    Is(Vec<IncidentIs>),
    /// Words that are said.
    Text(Vec<String>),
}

words! {
    /// A mark of an incident.
    IncidentIs {
        /// Investigating or analyzed.
        Open = "open",
        /// Resolved or merged.
        Closed = "closed",
        /// Somebody has acknowledged it.
        Acknowledged = "acknowledged",
        /// All that burns of it is muted.
        Silenced = "silenced",
        /// Somebody said that it can wait.
        Snoozed = "snoozed",
        /// Some of its alerts go up and down.
        Flapping = "flapping",
        /// Opened by a test notification.
        Test = "test",
        /// Declared by a person or program.
        Manual = "manual",
        /// Others were merged into it.
        Merger = "merger",
        /// A message about it told somebody.
        Told = "told",
        /// It has a postmortem.
        Postmortem = "postmortem",
    }
}

/// What a filter looks at. Lists that it does not want (`IncidentFilter::wants`) may be left empty.
#[derive(Clone, Debug)]
pub struct IncidentSeen<'a> {
    /// Its number.
    pub id: IncidentId,
    /// Where it stands.
    pub status: IncidentStatus,
    /// How bad.
    pub severity: Severity,
    /// Its platform.
    pub source: &'a str,
    /// Who has it.
    pub owner: Option<&'a str>,
    /// When it was opened.
    pub detected_at: Time,
    /// When it was resolved.
    pub resolved_at: Option<Time>,
    /// Its last change.
    pub updated_at: Time,
    /// Services of its alerts.
    pub services: Vec<&'a str>,
    /// Hosts of its alerts.
    pub hosts: Vec<&'a str>,
    /// Labels that its alerts share.
    pub labels: BTreeMap<&'a str, &'a str>,
    /// How many alerts it has.
    pub alerts: u64,
    /// Where its investigation stands.
    pub state: InvestigationState,
    /// The marks that it has.
    pub marks: Vec<IncidentIs>,
    /// Why its alerts are in it.
    pub strategies: Vec<Strategy>,
}

impl<'a> IncidentSeen<'a> {
    /// All of an incident but its strategies, which its row does not have.
    pub fn of(i: &'a Incident) -> Self {
        let marks = [
            (IncidentIs::Open, i.is_open()),
            (IncidentIs::Closed, !i.is_open()),
            (IncidentIs::Acknowledged, i.acknowledged_at.is_some()),
            (IncidentIs::Silenced, i.muted),
            (IncidentIs::Snoozed, i.snoozed.is_some()),
            (IncidentIs::Flapping, i.flapping),
            (IncidentIs::Test, i.test),
            (IncidentIs::Manual, i.manual),
            (IncidentIs::Merger, !i.merging.absorbed.is_empty()),
            (IncidentIs::Told, i.told_at.is_some()),
            (IncidentIs::Postmortem, i.postmortem.is_some()),
        ];
        Self {
            id: i.id,
            status: i.status,
            severity: i.severity,
            source: &i.source,
            owner: i.owner.as_deref(),
            detected_at: i.detected_at,
            resolved_at: i.resolved_at,
            updated_at: i.updated_at,
            services: i.affected_services.iter().map(String::as_str).collect(),
            hosts: i.affected_hosts.iter().map(String::as_str).collect(),
            labels: i.labels.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect(),
            alerts: i.alert_count,
            state: i.investigation.state,
            marks: marks.into_iter().filter(|(_, has)| *has).map(|(mark, _)| mark).collect(),
            strategies: Vec::new(),
        }
    }

    fn ended_at(&self) -> Time {
        self.resolved_at.unwrap_or(self.updated_at)
    }
}

impl IncidentFilter {
    /// Whether an incident is wanted, its words looked for in its row. Strategies are not in it: who asks for them fills
    /// `IncidentSeen`.
    pub fn matches(&self, i: &Incident) -> bool {
        self.fits(&IncidentSeen::of(i)) && self.says(i)
    }

    /// Whether its row says the words.
    pub fn says(&self, i: &Incident) -> bool {
        let summary = i.investigation.summary.as_deref().unwrap_or_default();
        let names = [i.affected_services.join(" "), i.affected_hosts.join(" ")];
        self.words_fit(&[&i.title, &i.id.to_string(), &names[0], &names[1], summary])
    }

    /// Whether these texts say the words.
    pub fn words_fit(&self, texts: &[&str]) -> bool {
        all_words(&self.words, self.texts(), texts)
    }

    /// The clauses about words: whether they must not be said, and the words of which one is enough.
    pub fn texts(&self) -> impl Iterator<Item = (bool, &[String])> + Clone {
        self.also.iter().filter_map(|c| match &c.test {
            IncidentTest::Text(any) => Some((c.not, any.as_slice())),
            _ => None,
        })
    }

    /// Only what must not be said.
    #[must_use]
    pub fn unsaid(&self) -> Self {
        let not = self.also.iter().filter(|c| c.not && matches!(c.test, IncidentTest::Text(_)));
        Self { also: not.cloned().collect(), ..Self::default() }
    }

    /// The same without words.
    #[must_use]
    pub fn wordless(&self) -> Self {
        let mut bare = Self { words: Vec::new(), ..self.clone() };
        bare.also.retain(|c| !matches!(c.test, IncidentTest::Text(_)));
        bare
    }

    /// Whether all but its words fit.
    pub fn fits(&self, i: &IncidentSeen<'_>) -> bool {
        let any = |wanted: &[String], names: &[&str]| {
            wanted.is_empty() || names.iter().any(|n| wanted.iter().any(|w| is_named(w, n)))
        };
        self.status_fits(i)
            && (self.owners.is_empty() || owned(&self.owners, i.owner))
            && (self.severities.is_empty() || self.severities.contains(&i.severity))
            && among(&self.sources, Some(i.source))
            && self.since.is_none_or(|t| i.detected_at >= t)
            && self.until.is_none_or(|t| i.detected_at < t)
            && any(&self.services, &i.services)
            && any(&self.hosts, &i.hosts)
            && self.also.iter().all(|c| c.test.holds(i).is_none_or(|holds| holds != c.not))
    }

    fn status_fits(&self, i: &IncidentSeen<'_>) -> bool {
        let listed = match self.statuses.as_slice() {
            // Who asks for it by its number wants it, wherever it went.
            [] => i.status != IncidentStatus::Merged || self.numbers().is_some(),
            some => some.contains(&i.status),
        };
        match self.closed_since {
            None => listed,
            Some(_) if i.status.is_open() => listed,
            Some(t) if self.open_only() => i.status == IncidentStatus::Resolved && i.ended_at() >= t,
            Some(t) => listed && i.ended_at() >= t,
        }
    }

    /// Only open ones are asked for, apart from what `closed_since` adds.
    pub fn open_only(&self) -> bool {
        !self.statuses.is_empty() && self.statuses.iter().all(|s| s.is_open())
    }

    /// The incidents that are asked for by number, if any are.
    pub fn numbers(&self) -> Option<&[IncidentId]> {
        self.also.iter().find_map(|c| match &c.test {
            IncidentTest::Number(ids) if !c.not => Some(ids.as_slice()),
            _ => None,
        })
    }

    /// A service that is asked for by its whole name: its incidents have a table of their own.
    pub fn one_service(&self) -> Option<&str> {
        let clauses = self.also.iter().filter_map(|c| match &c.test {
            IncidentTest::Service(some) if !c.not => Some(some),
            _ => None,
        });
        std::iter::once(&self.services).chain(clauses).find_map(|some| match some.as_slice() {
            [one] if !one.ends_with('*') => Some(one.as_str()),
            _ => None,
        })
    }

    /// What is to be read of a row.
    pub fn wants(&self) -> Wants {
        let mut wants = Wants {
            names: !(self.services.is_empty() && self.hosts.is_empty()),
            words: !self.words.is_empty(),
            ..Wants::default()
        };
        for clause in &self.also {
            match clause.test {
                IncidentTest::Service(_) | IncidentTest::Host(_) => wants.names = true,
                IncidentTest::Label(..) => wants.labels = true,
                IncidentTest::State(_) | IncidentTest::Alerts(_) | IncidentTest::Is(_) => wants.rest = true,
                IncidentTest::Strategy(_) => wants.strategies = true,
                IncidentTest::Text(_) => wants.words = true,
                IncidentTest::Status(_)
                | IncidentTest::Severity(_)
                | IncidentTest::Source(_)
                | IncidentTest::Owner(_)
                | IncidentTest::ClosedSince(_)
                | IncidentTest::ClosedBefore(_)
                | IncidentTest::Number(_) => {}
            }
        }
        wants
    }
}

impl IncidentTest {
    /// Whether it holds; none where that is not seen here.
    pub fn holds(&self, i: &IncidentSeen<'_>) -> Option<bool> {
        let any = |wanted: &[String], names: &[&str]| names.iter().any(|n| wanted.iter().any(|w| is_named(w, n)));
        Some(match self {
            Self::Status(some) => some.contains(&i.status),
            Self::Severity(some) => some.contains(&i.severity),
            Self::Source(some) => among(some, Some(i.source)),
            Self::Service(some) => any(some, &i.services),
            Self::Host(some) => any(some, &i.hosts),
            Self::Owner(some) => owned(some, i.owner),
            Self::State(some) => some.contains(&i.state),
            Self::Strategy(some) => some.iter().any(|s| i.strategies.contains(s)),
            Self::Alerts(some) => some.iter().any(|r| r.has(i.alerts)),
            Self::ClosedSince(t) => !i.status.is_open() && i.ended_at() >= *t,
            Self::ClosedBefore(t) => !i.status.is_open() && i.ended_at() < *t,
            Self::Number(some) => some.contains(&i.id),
            Self::Label(name, some) => i.labels.get(name.as_str()).is_some_and(|v| among(some, Some(v))),
            Self::Is(some) => some.iter().any(|mark| i.marks.contains(mark)),
            Self::Text(_) => return None,
        })
    }
}

fn owned(wanted: &[String], owner: Option<&str>) -> bool {
    match owner {
        None => wanted.iter().any(|w| w == "none"),
        Some(owner) => wanted.iter().any(|w| is_named(w, owner)),
    }
}
