//! Grouping: which open incident an alert belongs to, and why. Pure; the caller gives the candidates and the times.

mod any;
pub mod edges;
pub mod mutes;
mod onset;
pub mod thresholds;

pub use any::{Candidate, Group, Match, Subject, best};
pub use onset::onset;
