//! The whole back from one Markdown document of the form in which it is exported, as people edit it in a repository.
//! What the export adds by itself is passed over: facts, evidence.

use std::collections::BTreeMap;

use jiff::civil::Date;

use super::export::{EMPTY, NONE};
use crate::model::*;

/// What a document says; what it leaves out stays as it stands.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Written {
    /// The version that it was made of, as its facts say.
    pub version: Option<u64>,
    /// Its heading.
    pub title: Option<String>,
    /// By section.
    pub sections: BTreeMap<PostmortemSection, String>,
    /// All actions, where it has that part.
    pub actions: Option<Vec<PostmortemAction>>,
}

/// What is wrong with a document, and what would be right.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {what}")]
pub struct Unreadable {
    /// From 1.
    pub line: usize,
    /// In a sentence.
    pub what: String,
}

/// Where a line stands.
#[derive(Clone, Copy, PartialEq)]
enum Part {
    Head,
    Section(PostmortemSection),
    Actions,
    Evidence,
}

impl Part {
    /// The part that this heading begins.
    fn of(heading: &str) -> Option<Self> {
        let is = |title: &str| heading.eq_ignore_ascii_case(title);
        let section = PostmortemSection::ALL.iter().find(|s| is(s.title())).map(|s| Self::Section(*s));
        section.or_else(|| is("Actions").then_some(Self::Actions)).or_else(|| is("Evidence").then_some(Self::Evidence))
    }
}

/// Reads a document.
///
/// # Errors
/// The first line that cannot be what it stands for.
pub fn read(text: &str) -> Result<Written, Unreadable> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text).replace("\r\n", "\n");
    let mut written = Written::default();
    let mut part = Part::Head;
    let mut seen: Vec<(Part, usize)> = Vec::new();
    let mut body: Vec<&str> = Vec::new();
    let mut fence: Option<&str> = None;
    let wrong = |line: usize, what: String| Unreadable { line, what };
    for (n, line) in (1..).zip(text.lines()) {
        // A heading inside a block of code is none.
        let mark = ["```", "~~~"].into_iter().find(|m| line.trim_start().starts_with(m));
        match (fence, mark) {
            (None, Some(mark)) => fence = Some(mark),
            (Some(open), Some(mark)) if open == mark => fence = None,
            _ => {}
        }
        let heading = line.strip_prefix("## ").filter(|_| fence.is_none());
        if let Some(next) = heading.and_then(|h| Part::of(h.trim().trim_end_matches('#').trim())) {
            close(&mut written, part, &mut body);
            if let Some((_, first)) = seen.iter().find(|(p, _)| *p == next) {
                let what =
                    format!("this heading stands in line {first} already; give the other one three # or other words");
                return Err(wrong(n, what));
            }
            seen.push((next, n));
            part = next;
            continue;
        }
        match part {
            Part::Head => head(&mut written, line).map_err(|what| wrong(n, what))?,
            Part::Section(_) => body.push(line),
            Part::Actions => {
                let actions = written.actions.get_or_insert_default();
                actions.extend(action(line).map_err(|what| wrong(n, what))?);
            }
            Part::Evidence => {}
        }
    }
    close(&mut written, part, &mut body);
    if seen.is_empty() {
        let all: Vec<&str> = PostmortemSection::ALL.iter().map(|s| s.title()).collect();
        return Err(wrong(1, format!("there is no section; write headings such as ## {}", all.join(", ## "))));
    }
    Ok(written)
}

fn close(written: &mut Written, part: Part, body: &mut Vec<&str>) {
    let text = std::mem::take(body).join("\n");
    match part {
        Part::Section(section) => {
            let text = text.trim();
            written.sections.insert(section, if text == EMPTY { String::new() } else { text.to_owned() });
        }
        Part::Actions => drop(written.actions.get_or_insert_default()),
        Part::Head | Part::Evidence => {}
    }
}

/// A line before the first section: the title, and of the facts the version.
fn head(written: &mut Written, line: &str) -> Result<(), String> {
    if let Some(title) = line.strip_prefix("# ")
        && written.title.replace(plain(title.trim())).is_some()
    {
        return Err("there is a title already; give this heading two #".to_owned());
    }
    if let Some((_, version)) = line.strip_prefix("- State: ").and_then(|l| l.rsplit_once(", version ")) {
        let number = version.trim().parse();
        written.version = Some(number.map_err(|_| "after `version` stands no number".to_owned())?);
    }
    Ok(())
}

/// A row of the table of actions.
fn action(line: &str) -> Result<Option<PostmortemAction>, String> {
    let row = line.trim();
    if row.is_empty() || row == NONE {
        return Ok(None);
    }
    let Some(inner) = row.strip_prefix('|') else {
        return Err("an action is a row of the table: | Action | Owner | Due | State |".to_owned());
    };
    let cells = cells(inner.strip_suffix('|').filter(|r| !r.ends_with('\\')).unwrap_or(inner));
    let is_rule = cells.iter().all(|c| !c.is_empty() && c.bytes().all(|b| matches!(b, b'-' | b':')));
    if is_rule || cells.first().is_some_and(|c| c.eq_ignore_ascii_case("action")) {
        return Ok(None);
    }
    let [text, owner, due, state] = cells.as_slice() else {
        return Err(format!("a row has {} cells, and 4 are needed: action, owner, due, state", cells.len()));
    };
    let due = Some(due).filter(|d| !d.is_empty()).map(|d| d.parse::<Date>()).transpose();
    let named = |s: &&ActionState| s.title().eq_ignore_ascii_case(state) || s.as_str().eq_ignore_ascii_case(state);
    let state = if state.is_empty() { Some(&ActionState::Open) } else { ActionState::ALL.iter().find(named) };
    Ok(Some(PostmortemAction {
        text: plain(text),
        owner: Some(plain(owner)).filter(|o| !o.is_empty()),
        due: due.map_err(|_| "the day is written as 2026-03-31".to_owned())?,
        state: *state.ok_or("the state is one of open, in progress, done, dropped")?,
    }))
}

/// The cells of a row; `\|` ends none.
fn cells(row: &str) -> Vec<String> {
    let mut all = vec![String::new()];
    let mut escaped = false;
    for c in row.chars() {
        if c == '|' && !escaped {
            all.push(String::new());
            continue;
        }
        escaped = c == '\\' && !escaped;
        if let Some(last) = all.last_mut() {
            last.push(c);
        }
    }
    all.iter().map(|c| c.trim().to_owned()).collect()
}

/// The words that Markdown says: without the marks that keep signs from being markup.
fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match (c, chars.peek()) {
            ('\\', Some(next)) if next.is_ascii_punctuation() => out.extend(chars.next()),
            _ => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        let check = |text: &str, line: usize, part: &str| {
            let wrong = read(text).unwrap_err();
            assert!(wrong.line == line && wrong.what.contains(part), "{text}: {wrong}");
        };
        check("just words", 1, "there is no section; write headings such as ## Summary");
        check("# A\n# B\n## Summary\n", 2, "a title already");
        check("- State: draft, version x\n## Summary\n", 1, "no number");
        check("## Summary\na\n## summary\n", 3, "stands in line 1 already");
        check("## Actions\n- do it\n", 2, "a row of the table");
        check("## Actions\n| a | b |\n", 2, "2 cells");
        check("## Actions\n| a | b | soon | open |\n", 2, "2026-03-31");
        check("## Actions\n| a | b | | later |\n", 2, "open, in progress, done, dropped");
    }

    #[test]
    fn what_is_left_out_stays_and_code_holds_no_headings() {
        let got = read(
            "intro\n## Causes ##\r\nThe pool.\n\n```\n## Summary\n```\n### Deeper\n## Own words\nx\n## Evidence\n- E1\n",
        );
        let got = got.unwrap();
        let causes = "The pool.\n\n```\n## Summary\n```\n### Deeper\n## Own words\nx";
        assert_eq!(got.sections, BTreeMap::from([(PostmortemSection::Causes, causes.to_owned())]));
        assert_eq!((got.title, got.version, got.actions), (None, None, None));
        let none = read("## Actions\n\nNone yet.\n## Summary\nNothing is written here.\n").unwrap();
        assert_eq!((none.actions, none.sections[&PostmortemSection::Summary].as_str()), (Some(Vec::new()), ""));
    }

    #[test]
    fn actions_are_rows() {
        let text = "## Actions\n| Action | Owner | Due | State |\n|---|:--|---|---|\n| a \\| b\\\\ | kim\\_ | 2026-03-31 | In progress |\n| c | | | |\n";
        let got = read(text).unwrap().actions.unwrap();
        assert_eq!(
            (got[0].text.as_str(), got[0].owner.as_deref(), got[0].state),
            ("a | b\\", Some("kim_"), ActionState::InProgress)
        );
        assert_eq!(got[0].due.unwrap().to_string(), "2026-03-31");
        assert_eq!(
            (got[1].text.as_str(), &got[1].owner, got[1].due, got[1].state),
            ("c", &None, None, ActionState::Open)
        );
    }
}
