//! Rules: if, tell, when.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{ChannelId, NoticeEvent, PolicyId, RuleId, ScheduleId};
use crate::model::{Matcher, Severity, Time, Weekday};

/// Whom a rule or a step tells.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// A channel, at the address of its settings.
    Channel(ChannelId),
    /// A person, by all contact methods that the severity is enough for.
    Person(String),
    /// Whoever is on call.
    OnCall(ScheduleId),
}

/// Hours of the week. A span that ends before it begins goes over midnight.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WeekTimes {
    /// IANA name: `Europe/Berlin`.
    pub time_zone: String,
    /// On which days it begins; empty for all.
    #[serde(default)]
    pub days: Vec<Weekday>,
    /// From when: `08:00`.
    pub from: String,
    /// Until when: `18:00`; the same as `from` for the whole day.
    pub until: String,
}

/// When a rule keeps quiet: messages wait until the end of these hours, and are dropped if the incident is over by then.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Quiet {
    /// Which hours.
    pub times: WeekTimes,
    /// This severity and worse is told all the same; none holds everything back.
    #[serde(default)]
    pub but_from: Option<Severity>,
}

/// If an incident is like this, tell these, when that happens.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct NoticeRule {
    /// Its id.
    pub id: RuleId,
    /// As people call it.
    pub name: String,
    /// It is looked at.
    pub enabled: bool,
    /// Its place among the rules; lower first.
    pub position: u32,
    /// Incidents of this severity and worse; none for all.
    #[serde(default)]
    pub from: Option<Severity>,
    /// All of these must hold; none holds for every incident.
    #[serde(default)]
    pub matchers: Vec<Matcher>,
    /// And this, an expression of minijinja that must be true: `severity in ["critical", "high"] and "db" in service`.
    #[serde(default)]
    pub condition: Option<String>,
    /// And it is one of these hours when the incident opens.
    #[serde(default)]
    pub times: Option<WeekTimes>,
    /// What is told.
    pub events: Vec<NoticeEvent>,
    /// Whom.
    #[serde(default)]
    pub targets: Vec<Target>,
    /// Who is told when nobody acknowledges.
    #[serde(default)]
    pub policy: Option<PolicyId>,
    /// Holds the first message back for so many seconds; it is not sent if the incident is over by then.
    #[serde(default)]
    pub wait_secs: u32,
    /// Gathers for so many seconds what goes to the same target, and tells it at once.
    #[serde(default)]
    pub gather_secs: u32,
    /// When it keeps quiet.
    #[serde(default)]
    pub quiet: Option<Quiet>,
    /// Reminds of an open incident after so many seconds, again and again.
    #[serde(default)]
    pub remind_secs: Option<u32>,
    /// Rules behind it are not looked at for an incident that fits this one.
    #[serde(default)]
    pub last: bool,
    /// When it was made.
    pub created_at: Time,
    /// By whom.
    pub created_by: String,
    /// When a person last changed it.
    pub updated_at: Time,
}
