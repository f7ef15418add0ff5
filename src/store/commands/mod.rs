//! What people, programs and background rooms may change: each command is one durable transaction, checked before it
//! writes. A file per subject. Every method is async and returns when the change is on the disk.

mod access;
mod backtests;
mod channels;
mod connectors;
mod corrections;
mod correlation;
pub(super) mod feedback;
pub(super) mod incidents;
pub(super) mod investigation;
mod mutes;
mod notice_rules;
mod on_call;
mod opinion;
mod outbox;
mod postmortems;
mod runbooks;
mod saved_views;
mod services;
mod snoozes;
mod thresholds;

pub use channels::{ChannelPatch, NewChannel};
pub use feedback::{GivenCause, Resolution};
pub use incidents::{IncidentPatch, Seen};
pub use investigation::{Finish, NewThought};

pub use mutes::{MutePatch, NewMute};
pub use opinion::spending_day;
pub use outbox::{AT_ONCE, Package, Place, Sent, SentEnd};
pub use postmortems::{Against, PostmortemEdit, Saved};
pub use runbooks::{NewRunbook, RunbookPatch};
pub use saved_views::ViewPatch;
pub use thresholds::{NewThreshold, ThresholdPatch};
