//! Which lines of a log tell what went wrong. Pure.

use std::{borrow::Cow, sync::LazyLock};

use regex::Regex;

use crate::investigation::words;

/// Lines that are told, and letters of each.
const TOLD: usize = 5;
/// Lines that are told where a text is wanted in them.
const WANTED: usize = 15;
const LETTERS: usize = 300;
/// Longer lines are not searched beyond this, in bytes.
const SEARCHED: usize = 4_096;

/// Words of failure, one expression a line, as an editable list.
const TABLE: &str = include_str!("../data/failing.txt");

static FAILING: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(&pattern()).ok());

/// One expression for all lines of the list.
fn pattern() -> String {
    let parts: Vec<&str> = TABLE.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#')).collect();
    format!("(?i)(?:{})", parts.join("|"))
}

/// Lines that tell of failure.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Telling<T> {
    /// The first of them, cut, with what came with each.
    pub lines: Vec<(T, String)>,
    /// How many there were.
    pub count: usize,
}

/// The lines that tell of failure, in order; those that say the same but for their numbers count and are told once.
pub fn telling<'a, T: Copy>(lines: impl IntoIterator<Item = (T, &'a str)>) -> Telling<T> {
    let mut found = Telling { lines: Vec::new(), count: 0 };
    let mut seen: Vec<String> = Vec::new();
    for (with, line) in lines {
        let plain = without_colours(beginning(line));
        let searched = plain.as_ref();
        if !FAILING.as_ref().is_some_and(|f| f.is_match(searched)) {
            continue;
        }
        found.count += 1;
        let shape: String = searched.chars().filter(|c| !c.is_ascii_digit()).take(LETTERS).collect();
        if found.lines.len() < TOLD && !seen.contains(&shape) {
            found.lines.push((with, shown(searched)));
            seen.push(shape);
        }
    }
    found
}

/// The lines with this text in them, in order, whatever the case of its letters.
pub fn with<'a, T: Copy>(text: &str, lines: impl IntoIterator<Item = (T, &'a str)>) -> Telling<T> {
    let text = text.to_lowercase();
    let mut found = Telling { lines: Vec::new(), count: 0 };
    for (with, line) in lines {
        let plain = without_colours(beginning(line));
        if !plain.to_lowercase().contains(&text) {
            continue;
        }
        found.count += 1;
        if found.lines.len() < WANTED {
            found.lines.push((with, shown(&plain)));
        }
    }
    found
}

fn beginning(line: &str) -> &str {
    let end = (0..=SEARCHED.min(line.len())).rev().find(|at| line.is_char_boundary(*at));
    end.and_then(|end| line.get(..end)).unwrap_or(line)
}

fn without_colours(line: &str) -> Cow<'_, str> {
    static COLOURS: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new("\u{1b}\\[[0-9;]*[A-Za-z]").ok());
    COLOURS.as_ref().map_or_else(|| line.into(), |c| c.replace_all(line, ""))
}

/// A line as it is told: without colours, control and direction marks, and cut.
pub fn shown(line: &str) -> String {
    let plain = without_colours(beginning(line));
    let words: Vec<&str> =
        plain.split(|c: char| c.is_whitespace() || c.is_control()).filter(|w| !w.is_empty()).collect();
    let mut out: String = words.join(" ").chars().filter(|c| !words::is_mark(*c)).take(LETTERS + 1).collect();
    if out.chars().count() > LETTERS {
        out.pop();
        out.push('…');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_tell_and_lines_that_do_not() {
        assert!(Regex::new(&pattern()).is_ok());
        let check = |line: &str, want: bool| assert_eq!(telling([((), line)]).count == 1, want, "{line}");
        for line in [
            "2026-01-01 ERROR c.e.Checkout - connection refused",
            "level=error msg=\"no such table\"",
            "{\"level\":\"fatal\",\"msg\":\"x\"}",
            "Exception in thread \"main\" java.lang.OutOfMemoryError: Java heap space",
            "panic: runtime error: index out of range",
            "Traceback (most recent call last):",
            "npm ERR! code ELIFECYCLE",
            "make: *** [Makefile:12: test] Error 2",
            "FAILED tests/test_cart.py::test_total - assert 1 == 2",
            "[ERROR] COMPILATION ERROR :",
            "BUILD FAILURE",
            "fatal: unable to access 'https://git/': Could not resolve host",
            "ORA-01555: snapshot too old",
            "error[E0308]: mismatched types",
            "kernel: Out of memory: Killed process 12 (java)",
            "curl: (7) Failed to connect to db port 5432: Connection refused",
            "upstream timed out (110: Connection timed out)",
            "dial tcp: i/o timeout",
            "context deadline exceeded",
        ] {
            check(line, true);
        }
        for line in [
            "INFO started",
            "0 errors, 0 warnings",
            "Tests run: 12, Failures: 0, Errors: 0",
            "GET /error-page 200",
            "Finished: SUCCESS",
            "terror in the night",
            "",
        ] {
            check(line, false);
        }
    }

    #[test]
    fn told_once_counted_all_and_cut() {
        let lines: Vec<String> = (0..30).map(|n| format!("ERROR request {n} failed")).collect();
        let found = telling(lines.iter().map(|l| ((), l.as_str())));
        assert_eq!((found.lines.len(), found.count), (1, 30));
        let long = format!("\u{1b}[31mERROR\u{1b}[0m\t{}\u{202e}", "x".repeat(9_000));
        let found = telling([((), long.as_str())]);
        assert!(found.lines[0].1.starts_with("ERROR xxx") && found.lines[0].1.chars().count() == 301);
    }
}
