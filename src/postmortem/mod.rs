//! Postmortems: a draft from what is stored, the whole as Markdown, and what differs between two versions. Pure: the same
//! material gives the same bytes.
//!
//! A draft says only what is known, with its times; what people must add is marked as a gap (`GAP`).

mod badly;
mod brief;
mod causes;
mod diff;
mod draft;
mod export;
mod import;
mod material;
mod say;
mod sections;
#[cfg(test)]
mod tests;
mod timeline;
mod well;

pub use brief::brief;
pub use diff::{Line, LineSide, lines};
pub use draft::draft;
pub use export::{actions as actions_table, file_name, markdown};
pub use import::{Unreadable, Written, read};
pub use material::Material;

/// How a line begins that people must replace.
pub const GAP: &str = "> **To fill in:**";

/// Gaps that are left in a text.
pub fn gaps(text: &crate::model::PostmortemText) -> usize {
    text.sections.values().flat_map(|s| s.lines()).filter(|l| l.trim_start().starts_with(GAP)).count()
}
