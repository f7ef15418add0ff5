//! Single messages, and what was considered before there was one.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{ChannelId, NoticeId, PolicyId, RuleId};
use crate::model::{IncidentId, Severity, Time, words};

words! {
    /// What is told.
    NoticeEvent {
        /// An incident was opened.
        Opened = "opened",
        /// One that was over is open again.
        Reopened = "reopened",
        /// It got worse.
        SeverityUp = "severity_up",
        /// The investigation has an answer.
        Analyzed = "analyzed",
        /// Somebody took it.
        Acknowledged = "acknowledged",
        /// Nobody took it in time: the next step of a policy.
        Escalated = "escalated",
        /// It is still open.
        Reminder = "reminder",
        /// It is part of another one now.
        Merged = "merged",
        /// It is over.
        Resolved = "resolved",
        /// Somebody tries a channel.
        Test = "test",
    }
}

words! {
    /// Where a message stands.
    NoticeState {
        /// Its time has not come, or it is tried again later.
        Waiting = "waiting",
        /// It is on its way.
        Sending = "sending",
        /// The target took it.
        Sent = "sent",
        /// It was told in another message.
        Included = "included",
        /// It was no longer needed.
        Dropped = "dropped",
        /// The target will not take it.
        Failed = "failed",
    }
}

/// A step of a policy, as a message names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Rung {
    /// The policy.
    pub policy: PolicyId,
    /// The step, from 0.
    pub step: u32,
    /// The round, from 0.
    pub round: u8,
}

/// One try.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = NoticeAttempt)]
pub struct Attempt {
    /// When it began.
    pub at: Time,
    /// How long it took, in ms.
    pub took_ms: u64,
    /// It was taken.
    pub ok: bool,
    /// The status of the answer, if there was one.
    #[serde(default)]
    pub status: Option<u16>,
    /// What the target said, or why there was no answer; no address, no secret.
    pub said: String,
}

/// One message to one target: a row of the outbox.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Notice {
    /// Its id.
    pub id: NoticeId,
    /// About which incident; none for a test.
    #[serde(default)]
    pub incident: Option<IncidentId>,
    /// What is told.
    pub event: NoticeEvent,
    /// What the severity was before, where that is told.
    #[serde(default)]
    pub severity_before: Option<Severity>,
    /// By which rule.
    #[serde(default)]
    pub rule: Option<RuleId>,
    /// By which step of a policy.
    #[serde(default)]
    pub rung: Option<Rung>,
    /// Why this target, in one sentence.
    pub reason: String,
    /// Where to.
    pub channel: ChannelId,
    /// The person who is reached there.
    #[serde(default)]
    pub person: Option<String>,
    /// The person's own address there.
    #[serde(default)]
    pub address: Option<String>,
    /// When it was written.
    pub created_at: Time,
    /// When it should go out first.
    pub planned_at: Time,
    /// When it is tried next.
    pub due_at: Time,
    /// Where it stands.
    pub state: NoticeState,
    /// Why it stands there, in one sentence.
    #[serde(default)]
    pub why: Option<String>,
    /// The last ten tries.
    #[serde(default)]
    pub attempts: Vec<Attempt>,
    /// All tries.
    #[serde(default)]
    pub tries: u32,
    /// Calls of it that the target has taken already.
    #[serde(default)]
    pub steps_done: Vec<String>,
    /// A try was begun of which the end is not known.
    #[serde(default)]
    pub in_doubt: bool,
    /// Its rule gathers: it may be told together with others.
    #[serde(default)]
    pub gathers: bool,
    /// Its rule reminds again after so many seconds.
    #[serde(default)]
    pub remind_secs: Option<u32>,
    /// The same on each try; a UUID.
    pub key: String,
    /// When it came to its end.
    #[serde(default)]
    pub ended_at: Option<Time>,
    /// In which message it was told.
    #[serde(default)]
    pub told_in: Option<NoticeId>,
    /// The channel that failed before, and that this one stands in for.
    #[serde(default)]
    pub instead_of: Option<ChannelId>,
}

impl Notice {
    /// It may still be sent.
    pub fn is_pending(&self) -> bool {
        matches!(self.state, NoticeState::Waiting | NoticeState::Sending)
    }

    /// It waits, and its time has come.
    pub fn is_due(&self, now: Time) -> bool {
        self.state == NoticeState::Waiting && self.due_at <= now
    }

    /// Whoever is told there may know of it, although it is not known to have been sent: a try of which the end is not known,
    /// or of which a part was taken.
    pub fn may_have_arrived(&self) -> bool {
        self.in_doubt || !self.steps_done.is_empty()
    }

    /// When its target took it, by itself or within another message.
    pub fn arrived_at(&self) -> Option<Time> {
        self.ended_at.filter(|_| matches!(self.state, NoticeState::Sent | NoticeState::Included))
    }

    /// The same place: messages to it go out in order.
    pub fn place(&self) -> (ChannelId, Option<&str>) {
        (self.channel, self.address.as_deref())
    }
}

words! {
    /// What a rule did about an event.
    Considering {
        /// Messages were written.
        Tells = "tells",
        /// Its conditions do not hold.
        NotForThis = "not_for_this",
        /// It does not tell of such an event.
        NotOfThis = "not_of_this",
        /// Another rule tells the same target of it.
        AlreadyTold = "already_told",
        /// A rule before it was the last.
        NotReached = "not_reached",
        /// There is nobody to tell.
        Nobody = "nobody",
        /// It is switched off.
        Off = "off",
        /// Nobody is told: muted, or a test.
        Muted = "muted",
    }
}

/// What one rule did about an event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Considered {
    /// Which; none where no rule was asked.
    #[serde(default)]
    pub rule: Option<RuleId>,
    /// What it was called.
    pub name: String,
    /// What it did.
    pub outcome: Considering,
    /// Why, in one sentence: the condition that did not hold, the silence, who was on call.
    pub why: String,
    /// Messages that it wrote.
    #[serde(default)]
    pub notices: Vec<NoticeId>,
}

/// What was considered when something happened to an incident.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Considerations {
    /// When.
    pub at: Time,
    /// What happened.
    pub event: NoticeEvent,
    /// Every rule, in their order; at most fifty.
    pub considered: Vec<Considered>,
}
