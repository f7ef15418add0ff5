//! Notifications: who is told what, when, by which channel, and why. `policy` decides (pure, called by the writer), the
//! store keeps each message as a row, `runner` sends, `channels` know how each target wants it.

pub mod calendar;
pub mod channels;
pub mod links;
pub mod message;
pub mod policy;
pub mod render;
mod runner;
pub mod setting;

pub use runner::{Auditor, Caller, Runner, opened};

use std::time::Duration;

/// The time for one call to a target, the wire's bound for every channel.
pub const CALL: Duration = Duration::from_secs(15);
