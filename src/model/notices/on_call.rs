//! Who is told: contact methods, schedules, escalation.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{ChannelId, PolicyId, RuleId, ScheduleId, Target, WeekTimes};
use crate::model::{IncidentId, Severity, Time};

/// One way to reach a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Contact {
    /// By which channel.
    pub channel: ChannelId,
    /// The person's own address there (mail address, chat id, topic); the channel's own when left out.
    #[serde(default)]
    pub address: Option<String>,
    /// For this severity and worse; for all when left out.
    #[serde(default)]
    pub from: Option<Severity>,
}

/// How a person is reached.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Contacts {
    /// The account's name.
    pub person: String,
    /// All ways, each of which is used.
    pub contacts: Vec<Contact>,
}

/// People who take turns.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Rotation {
    /// In this order.
    pub people: Vec<String>,
    /// The day on which the first of them begins: `2026-03-02`.
    pub starts_on: String,
    /// When one hands over to the next, on the clock of the schedule: `09:00`.
    pub hand_over: String,
    /// After how many days: 1 for daily, 7 for weekly.
    pub days: u16,
    /// Only at these hours; at others, nobody of this rotation.
    #[serde(default)]
    pub only: Option<WeekTimes>,
}

/// Somebody else for a while.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Override {
    /// From when.
    pub from: Time,
    /// Until when.
    pub until: Time,
    /// Who.
    pub person: String,
    /// Who said so.
    #[serde(default)]
    pub by: String,
}

/// Who is on call when.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OnCallSchedule {
    /// Its id.
    pub id: ScheduleId,
    /// As people call it.
    pub name: String,
    /// IANA name of its clock.
    pub time_zone: String,
    /// At a moment the last of these counts that has somebody.
    pub rotations: Vec<Rotation>,
    /// These come first; of several, the one that was made last.
    #[serde(default)]
    pub overrides: Vec<Override>,
    /// Lets calendar programs read it; part of the feed's address.
    pub feed_secret: String,
    /// When it was made.
    pub created_at: Time,
    /// By whom.
    pub created_by: String,
    /// When a person last changed it.
    pub updated_at: Time,
}

/// A span of a schedule in which one person is on call, or nobody.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Shift {
    /// From when.
    pub from: Time,
    /// Until when.
    pub until: Time,
    /// Who; none is a gap.
    pub person: Option<String>,
    /// It is an override.
    pub overridden: bool,
}

/// One step of a policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EscalationStep {
    /// So many seconds after the step before, or after the beginning.
    pub after_secs: u32,
    /// Who is told.
    pub targets: Vec<Target>,
}

/// Who is told one after the other until somebody acknowledges.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct EscalationPolicy {
    /// Its id.
    pub id: PolicyId,
    /// As people call it.
    pub name: String,
    /// In this order.
    pub steps: Vec<EscalationStep>,
    /// How often all steps are gone through once more.
    #[serde(default)]
    pub repeat: u8,
    /// An acknowledgement holds for so many seconds; the incident is nobody's again after that, and the steps begin anew.
    #[serde(default)]
    pub unacknowledge_secs: Option<u32>,
    /// When it was made.
    pub created_at: Time,
    /// By whom.
    pub created_by: String,
    /// When a person last changed it.
    pub updated_at: Time,
}

/// Where the escalation of an incident stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Escalation {
    /// Of which incident.
    pub incident: IncidentId,
    /// By which policy.
    pub policy: PolicyId,
    /// Which rule began it.
    pub rule: RuleId,
    /// When it began.
    pub began_at: Time,
    /// The step that is next, from 0.
    pub step: u32,
    /// How often all steps were gone through.
    pub round: u8,
    /// When the next step is, or when the acknowledgement ends; none when nothing comes.
    #[serde(default)]
    pub next_at: Option<Time>,
    /// Somebody has acknowledged; it waits for the end of that.
    #[serde(default)]
    pub acknowledged: bool,
    /// Why nothing comes any more, in one sentence.
    #[serde(default)]
    pub ended: Option<String>,
}
