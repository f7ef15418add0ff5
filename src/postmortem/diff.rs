//! What differs between two texts, line by line.

use similar::{ChangeTag, TextDiff};

/// Lines of both texts beyond which they are not compared but shown one after the other.
const LINES: usize = 8_000;

/// Where a line stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineSide {
    /// In both.
    Both,
    /// In the old one only.
    Old,
    /// In the new one only.
    New,
}

/// A line, without its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Where it stands.
    pub side: LineSide,
    /// What it says.
    pub text: String,
}

/// All lines of both texts in order, those that are in both once.
pub fn lines(old: &str, new: &str) -> Vec<Line> {
    let line = |side: LineSide, text: &str| Line { side, text: text.trim_end_matches(['\n', '\r']).to_owned() };
    if old.lines().count() + new.lines().count() > LINES {
        let old = old.lines().map(|l| line(LineSide::Old, l));
        return old.chain(new.lines().map(|l| line(LineSide::New, l))).collect();
    }
    // The last line has an end or not, and says the same.
    let (old, new) = (old.trim_end().to_owned() + "\n", new.trim_end().to_owned() + "\n");
    let diff = TextDiff::from_lines(&old, &new);
    let side = |tag| match tag {
        ChangeTag::Equal => LineSide::Both,
        ChangeTag::Delete => LineSide::Old,
        ChangeTag::Insert => LineSide::New,
    };
    diff.iter_all_changes().map(|c| line(side(c.tag()), c.value())).collect()
}
