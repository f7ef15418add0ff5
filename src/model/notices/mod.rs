//! Notifications: where to tell, whom, when, and what became of each message.

mod channel;
mod heartbeat;
mod ids;
mod notice;
mod on_call;
mod rule;

pub use channel::{ChannelHealth, ChannelRow, Follows};
pub use heartbeat::{Heartbeat, HeartbeatFrom, HeartbeatState};
pub use ids::{ChannelId, HeartbeatId, NoticeId, ParseNameError, PolicyId, RuleId, ScheduleId};
pub use notice::{Attempt, Considerations, Considered, Considering, Notice, NoticeEvent, NoticeState, Rung};
pub use on_call::{
    Contact, Contacts, Escalation, EscalationPolicy, EscalationStep, OnCallSchedule, Override, Rotation, Shift,
};
pub use rule::{NoticeRule, Quiet, Target, WeekTimes};
