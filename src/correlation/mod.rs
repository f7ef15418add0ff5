//! Which incident an alert belongs to, and why. Pure: given the alert and the open candidates, it decides.

mod any;
pub mod edges;
pub mod lessons;
pub mod mutes;
pub mod names;
mod onset;
pub mod thresholds;
pub mod topology;
pub mod weighted;

pub use any::{Candidate, Group, Match, NEAREST, Subject, best};
pub use onset::onset;
