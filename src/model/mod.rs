//! The words of the domain: plain data with its wire forms, no behaviour that needs a clock, a disk or a network.
//!
//! Every type here has two forms by serde: JSON for people and programs (times as RFC 3339, ids as strings) and the
//! compact form of the store (times as milliseconds, ids as numbers). A field that is added needs `#[serde(default)]`,
//! so that rows written before it can still be read.

mod access;
mod alert;
mod backtest;
mod change;
mod connector;
mod correction;
mod declaration;
mod delivery;
mod feedback;
mod id;
mod identity;
mod incident;
mod insight;
mod investigation;
mod live;
mod mute;
mod notices;
mod opinion;
mod outcome;
mod postmortem;
mod runbook;
mod saved_view;
pub mod selector;
mod service;
mod settings;
mod severity;
mod signal;
mod time;
mod timeline;
mod tool;
mod topology;

pub use access::{Account, Actor, AuditEntry, AuditFilter, Foreign, Role, Scope, Session, Token, Voucher, session_id};
pub use alert::{Alert, AlertStatus, Flapping, IdentityRule, Membership, Reason, Strategy};
pub use backtest::{Backtest, BacktestFigures, BacktestOutcome, BacktestState, Regrouped};
pub use change::{Change, ChangeKind};
pub use connector::{AuthMode, CloudAccount, ConnectorCounters, ConnectorSettings, Sealed};
pub use correction::{Apart, Learned, Lesson, Side};
pub use declaration::{Declaration, DeclaredField};
pub use delivery::{Applied, DECLARED_BY, DECLARED_FROM, Delivery, DeliveryOutcome, DeliveryRow, OWN_TEST, Problem};
pub use feedback::{FirstAnswer, Judged, OwnWords};
pub use id::{AlertId, DeliveryId, Fingerprint, IncidentId, ParseIdError, numbered_uuid};
pub use identity::IdentityField;
pub use incident::{
    BeforeMerge, Incident, IncidentStatus, InvestigationHead, Leading, Merging, Progress, Snooze, Told,
};
pub use insight::{
    Advice, DayFigures, Durations, FEW, Figures, Funnel, Insights, Judgements, KindName, Noisy, PERCENTILE_ERROR,
    ServiceFigures, Spread, Week,
};
pub use investigation::{
    Cause, CausePoint, Conclusion, Evidence, EvidenceKind, Investigation, InvestigationState, Job, Lease,
    RecordedCause, Risk, Suggestion, SuggestionKind, SuggestionState, Symptom, Thought, ThoughtKind, Tool, Verdict,
};
pub use live::{ChangeLogEntry, ChangeSubject, IncidentChange};
pub use mute::{
    DistinctBy, Every, MatchOp, Matcher, Mute, MuteId, MuteKind, MuteState, Recurrence, Threshold, ThresholdId,
    Waiting, Weekday,
};
pub use notices::{
    Attempt, ChannelHealth, ChannelId, ChannelRow, Considerations, Considered, Considering, Contact, Contacts,
    Escalation, EscalationPolicy, EscalationStep, Follows, Heartbeat, HeartbeatFrom, HeartbeatId, HeartbeatState,
    Notice, NoticeEvent, NoticeId, NoticeRule, NoticeState, OnCallSchedule, Override, ParseNameError, PolicyId, Quiet,
    Rotation, RuleId, Rung, ScheduleId, Shift, Target, WeekTimes,
};
pub use opinion::{
    Agreement, Budget, Called, Limits, ModelKind, ModelState, ModelStatus, Opinion, OpinionCause, OpinionForm, Round,
    Said, Speaker, Spending, Transcript, units,
};
pub use outcome::{
    ENOUGH, KnownCause, Outcome, RULE_LABELS, Reliability, ReliabilityBin, SaidFirst, Shown, kind_of, rule_of,
    without_values,
};
pub use postmortem::{
    ActionState, Postmortem, PostmortemAction, PostmortemSection, PostmortemState, PostmortemText, PostmortemVersion,
    VersionKind,
};
pub use runbook::{NotARunbook, Runbook, RunbookId};
pub use saved_view::{NotAView, SavedView, ViewId, ViewKind};
pub use service::{LearnedEdge, Service};
pub use settings::{CorrelationMode, CorrelationSet, CorrelationSettings, InvestigationSet, InvestigationSettings};
pub use severity::Severity;
pub use signal::{Note, Parsed, Platform, Reply, ReplyAct, Signal, SignalStatus};
pub use time::{ParseTimeError, Time};
pub use timeline::{TimelineEntry, TimelineKind};
pub use tool::{LastAnswer, ToolStatus};
pub use topology::{MAX_SERVICES, Mistake, mistakes, name_key};

/// Declares an enum of fixed words: its wire form, its list of all values, and parsing, from one list.
macro_rules! words {
    ($(#[$meta:meta])* $name:ident { $($(#[$vmeta:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
        pub enum $name { $($(#[$vmeta])* #[serde(rename = $word)] $variant),+ }

        impl $name {
            /// Every value, in the order of the contract.
            pub const ALL: &'static [$name] = &[$($name::$variant),+];

            /// Their words, in the same order.
            #[allow(dead_code)]
            pub const WORDS: &'static [&'static str] = &[$($word),+];

            /// The word used on the wire, in URLs and in queries.
            pub const fn as_str(self) -> &'static str {
                match self { $($name::$variant => $word),+ }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = String;
            fn from_str(s: &str) -> Result<Self, String> {
                Self::ALL.iter().copied().find(|v| v.as_str() == s).ok_or_else(|| {
                    let all: Vec<&str> = Self::ALL.iter().map(|v| v.as_str()).collect();
                    format!("`{s}` is not one of {}", all.join(", "))
                })
            }
        }
    };
}
pub(crate) use words;
