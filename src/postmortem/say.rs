//! Times, numbers and foreign text as Markdown says them.

use std::time::Duration;

use crate::model::Time;

/// Characters of foreign text in one place.
const LONGEST: usize = 400;

/// `4 s`, `12 min`, `1 h 21 min`, `3 d 4 h`; number and unit stay on one line.
pub fn duration(d: Duration) -> String {
    let s = d.as_secs();
    let (m, h) = (s / 60, s / 3600);
    match s {
        0..60 => format!("{s}\u{a0}s"),
        60..3600 => format!("{m}\u{a0}min"),
        3600..86_400 => format!("{h}\u{a0}h\u{a0}{}\u{a0}min", m % 60),
        _ => format!("{}\u{a0}d\u{a0}{}\u{a0}h", h / 24, h % 24),
    }
}

/// `21:04 UTC`.
pub fn clock(at: Time) -> String {
    at.timestamp().strftime("%H:%M UTC").to_string()
}

/// `2 March 2026`.
pub fn date(at: Time) -> String {
    at.timestamp().strftime("%-d %B %Y").to_string()
}

/// `2 March 2026, 21:04 UTC`.
pub fn moment(at: Time) -> String {
    format!("{}, {}", date(at), clock(at))
}

/// `1 alert`, `14 alerts`.
pub fn count(n: impl TryInto<u64>, one: &str) -> String {
    match n.try_into().unwrap_or(0) {
        1 => format!("1 {one}"),
        n => format!("{n} {one}s"),
    }
}

/// `82 %`.
pub fn percent(share: f64) -> String {
    format!("{:.0}\u{a0}%", share.clamp(0.0, 1.0) * 100.0)
}

/// `a`, `a and b`, `a, b and 4 more`.
pub fn list(names: &[String], most: usize) -> String {
    let shown = names.get(..most.min(names.len())).unwrap_or_default();
    let more = names.len() - shown.len();
    match (shown, more) {
        ([], _) => String::new(),
        (shown, 1..) => format!("{} and {more} more", shown.join(", ")),
        ([one], 0) => one.clone(),
        ([rest @ .., last], 0) => format!("{} and {last}", rest.join(", ")),
    }
}

/// Foreign text on one line of Markdown, as the words that it is: nothing in it is markup, ends a table's cell, or acts
/// unseen.
pub fn foreign(text: &str) -> String {
    foreign_to(text, LONGEST)
}

/// The same, however long it is.
pub fn whole(text: &str) -> String {
    foreign_to(text, usize::MAX)
}

fn foreign_to(text: &str, most: usize) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    let (mut taken, mut space) = (0, false);
    let mut chars = text.trim().chars().peekable();
    let mut before = ' ';
    while let Some(c) = chars.next() {
        if (c.is_whitespace() && c != '\u{a0}') || c.is_control() {
            space = true;
            continue;
        }
        if taken >= most {
            out.push('…');
            break;
        }
        if std::mem::take(&mut space) && !out.is_empty() {
            out.push(' ');
            before = ' ';
        }
        taken += 1;
        let next = chars.peek().copied().unwrap_or(' ');
        let markup = match c {
            '\\' | '`' | '*' | '[' | ']' | '<' | '>' | '|' | '~' => true,
            // Inside a name it is only a letter.
            '_' => !(before.is_alphanumeric() && next.is_alphanumeric()),
            '&' => next == '#' || next.is_ascii_alphabetic(),
            '#' | '+' | '-' | '=' => out.is_empty(),
            '.' | ')' => !out.is_empty() && out.chars().all(|c| c.is_ascii_digit()),
            _ => false,
        };
        if markup {
            out.push('\\');
        }
        out.push(c);
        before = c;
    }
    out
}

/// The same in quotation marks.
pub fn quoted(text: &str) -> String {
    format!("“{}”", foreign(text))
}

/// A sentence that ends as one.
pub fn sentence(text: &str) -> String {
    let text = text.trim();
    match text.chars().last() {
        Some('.' | '!' | '?' | '…' | '”') | None => text.to_owned(),
        Some(_) => format!("{text}."),
    }
}

/// Marks of evidence that lead to it: ` [E1] [E2]`.
pub fn marks(ids: &[String]) -> String {
    ids.iter().map(|id| format!(" [{id}]")).collect()
}

/// A line that people must replace.
pub fn gap(what: &str) -> String {
    format!("{} {what}", super::GAP)
}
