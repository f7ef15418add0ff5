//! A rule that was read: whether an incident is one of those that it tells of.

use minijinja::{Value, context};

use super::{condition, times};
use crate::{
    correlation::mutes::{self, Matchers},
    model::*,
};

/// Events that a rule can be set to tell of; the others follow from them.
pub const TOLD: &[NoticeEvent] = &[
    NoticeEvent::Opened,
    NoticeEvent::Reopened,
    NoticeEvent::SeverityUp,
    NoticeEvent::Analyzed,
    NoticeEvent::Acknowledged,
    NoticeEvent::Resolved,
];
/// Longest wait of any kind.
const LONGEST: u32 = 7 * 24 * 3600;

/// What rules are asked about.
pub type Facts = Incident;

/// A rule with its conditions read.
#[derive(Debug)]
pub struct Rule {
    /// As it is stored.
    pub row: NoticeRule,
    matchers: Option<Matchers>,
    condition: Option<condition::Compiled>,
    // Rows are checked before they are written; one that a later version cannot read tells of nothing.
    unreadable: bool,
}

/// What matchers ask of an incident.
pub fn facts(incident: &Incident) -> mutes::Facts<'_> {
    mutes::Facts {
        service: incident.service.as_deref(),
        host: incident.host.as_deref(),
        environment: incident.environment.as_deref(),
        platform: &incident.source,
        severity: incident.severity,
        title: &incident.title,
        labels: &incident.labels,
    }
}

/// What is wrong with matchers of a rule; none is right as well.
pub fn check_matchers(matchers: &[Matcher]) -> Vec<Mistake> {
    if matchers.is_empty() { Vec::new() } else { mutes::matchers(matchers).err().unwrap_or_default() }
}

/// What is wrong with a rule, with its places; whether its targets are there is for the caller.
pub fn check(rule: &NoticeRule) -> Vec<Mistake> {
    let mut wrong = check_matchers(&rule.matchers);
    let mut at = |path: &str, what: String| wrong.push(Mistake::new(path, what));
    let length = rule.name.chars().count();
    if !(1..=100).contains(&length) {
        at("/name", "a name of 1 to 100 characters is needed".to_owned());
    }
    if let Some(what) = rule.condition.as_deref().and_then(|c| condition::compile(c).err()) {
        at("/condition", what);
    }
    if rule.events.is_empty() {
        at("/events", "at least one event is needed, such as opened".to_owned());
    }
    for event in rule.events.iter().filter(|e| !TOLD.contains(e)) {
        let all: Vec<&str> = TOLD.iter().map(|e| e.as_str()).collect();
        at("/events", format!("a rule cannot be set to tell `{event}`; there are {}", all.join(", ")));
    }
    if rule.targets.is_empty() && rule.policy.is_none() {
        at(
            "/targets",
            "somebody must be told: a channel, a person, whoever is on call, or an escalation policy".to_owned(),
        );
    }
    if rule.targets.len() > 50 {
        at("/targets", "at most 50 targets are allowed".to_owned());
    }
    for (path, secs) in [
        ("/wait_secs", Some(rule.wait_secs)),
        ("/gather_secs", Some(rule.gather_secs)),
        ("/remind_secs", rule.remind_secs),
    ] {
        if secs.is_some_and(|s| s > LONGEST) {
            at(path, "at most seven days are allowed".to_owned());
        }
    }
    if rule.remind_secs.is_some_and(|s| s < 60) {
        at("/remind_secs", "a reminder comes after a minute at the soonest".to_owned());
    }
    let times = rule.times.iter().map(|t| (t, "/times")).chain(rule.quiet.iter().map(|q| (&q.times, "/quiet/times")));
    let places: Vec<Mistake> = times.flat_map(|(t, path)| times::check(t, path)).collect();
    wrong.extend(places);
    wrong
}

impl Rule {
    /// Reads a rule.
    pub fn read(row: NoticeRule) -> Self {
        let matchers = (!row.matchers.is_empty()).then(|| mutes::matchers(&row.matchers));
        let condition = row.condition.as_deref().map(condition::compile);
        let unreadable = matches!(matchers, Some(Err(_))) || matches!(condition, Some(Err(_)));
        Self { matchers: matchers.and_then(Result::ok), condition: condition.and_then(Result::ok), unreadable, row }
    }

    /// Whether it tells of such an incident at that time; the error says which condition does not hold.
    pub fn fits(&self, incident: &Incident, at: Time) -> Result<(), String> {
        if self.unreadable {
            return Err("its conditions cannot be read; change it".to_owned());
        }
        if let Some(from) = self.row.from
            && incident.severity > from
        {
            return Err(format!("severity {} is below {from}", incident.severity));
        }
        if let Some(matchers) = &self.matchers {
            let facts = facts(incident);
            let failed = matchers.each(&facts).zip(&self.row.matchers).find(|(holds, _)| !holds);
            if let Some((_, matcher)) = failed {
                return Err(format!("{matcher} does not hold"));
            }
        }
        if let Some(times) = &self.row.times
            && !times::holds(times, at)
        {
            return Err(format!("it is outside of {}", times::words(times)));
        }
        if let Some(condition) = &self.condition {
            let zone = self.row.times.as_ref().map_or("UTC", |t| &t.time_zone);
            match condition::holds(condition, &values(incident, at, zone)) {
                Ok(true) => {}
                Ok(false) => return Err("its condition is not true".to_owned()),
                Err(why) => return Err(format!("its condition cannot be asked: {why}")),
            }
        }
        Ok(())
    }
}

/// What conditions are asked about.
fn values(i: &Incident, at: Time, zone: &str) -> Value {
    let local = times::zone(zone).map(|zone| times::local(at, &zone));
    let hour = local.as_ref().map_or(0, |l| l.hour());
    let weekday = local.map_or("", |l| times::weekday(l.date()).as_str());
    context! {
        severity => i.severity.as_str(), service => i.service.as_deref().unwrap_or_default(),
        services => &i.affected_services, host => i.host.as_deref().unwrap_or_default(),
        environment => i.environment.as_deref().unwrap_or_default(), source => &i.source, title => &i.title,
        owner => i.owner.as_deref().unwrap_or_default(), labels => &i.labels, alerts => i.alert_count,
        status => i.status.as_str(), hour => hour, weekday => weekday, manual => i.manual,
    }
}
