//! The panels of an incident's page, each of which is drawn again on its own when something in it changes.

mod answer;
mod evidence;
mod facts;
mod head;
mod hypotheses;
mod lines;
mod suggestions;

pub use answer::Answer;
pub use evidence::EvidenceList;
pub use facts::{Facts, writing};
pub use head::{Actions, Head};
pub use hypotheses::Hypotheses;
pub use lines::{MemberRow, ThoughtLine, TimelineLine};
pub use suggestions::Suggestions;
