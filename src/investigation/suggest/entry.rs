//! One file of the catalogue: technologies with what tells them, ways to reach their servers, and suggestions.

use std::{collections::BTreeMap, ops::Range};

use serde::Deserialize;
use toml::Spanned;

use super::template::{self, Piece, Ways, form, pieces, spelled_out};
use crate::{
    config::place,
    model::{Risk, SuggestionKind, Symptom},
};

/// The longest text of an entry.
const LONGEST: usize = 1_500;
/// Entries of one file.
const MOST: usize = 300;

/// What is wrong with a file, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The file.
    pub file: String,
    /// Line, from 1; none where it is the file as a whole.
    pub line: Option<usize>,
    /// Column, from 1, in characters.
    pub column: Option<usize>,
    /// What, and what would be right.
    pub what: String,
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.line, self.column) {
            (Some(line), Some(column)) => write!(f, "{}:{line}:{column}: {}", self.file, self.what),
            (Some(line), None) => write!(f, "{}:{line}: {}", self.file, self.what),
            _ => write!(f, "{}: {}", self.file, self.what),
        }
    }
}

/// What tells that a place runs a technology. One that fits is enough, so none may be a vague word.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Detect {
    /// Words, or several in a row, in names: service and its aliases, job, container, image, application, chart,
    /// context, alert. `*` at the end means "begins with".
    pub names: Vec<String>,
    /// How names of figures, charts and contexts begin.
    pub metrics: Vec<String>,
    /// Labels that nothing else has.
    pub labels: Vec<String>,
    /// Platforms that send only for it.
    pub senders: Vec<String>,
    /// What it is too.
    pub also: Vec<String>,
}

/// What kind of cause an entry is for.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A place that alerts.
    #[default]
    Place,
    /// A change.
    Change,
    /// A sender that sees nothing.
    Blind,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    technology: BTreeMap<String, Detect>,
    #[serde(default)]
    ways: Ways,
    #[serde(default)]
    suggestion: Vec<Spanned<Written>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    id: Spanned<String>,
    #[serde(default = "yes")]
    enabled: bool,
    kind: Option<SuggestionKind>,
    risk: Option<Risk>,
    #[serde(default)]
    symptoms: Vec<Symptom>,
    technologies: Option<Vec<String>>,
    #[serde(default)]
    platforms: Vec<String>,
    #[serde(default)]
    origin: Kind,
    title: Option<Spanned<String>>,
    expect: Option<Spanned<String>>,
    command: Option<Spanned<String>>,
    undo: Option<Spanned<String>>,
    docs: Option<Spanned<String>>,
}

fn yes() -> bool {
    true
}

/// Something to do, with the names still to be filled in.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its name, by which another file replaces it or switches it off.
    pub id: String,
    /// What for.
    pub kind: SuggestionKind,
    /// What it may do.
    pub risk: Risk,
    /// Any of these; none means any.
    pub symptoms: Vec<Symptom>,
    /// Any of these; none means any.
    pub technologies: Vec<String>,
    /// Senders, any of these; none means any.
    pub platforms: Vec<String>,
    /// What kind of cause.
    pub origin: Kind,
    /// One line.
    pub title: String,
    /// What will be seen, and what it means.
    pub expect: String,
    /// To copy.
    pub command: Option<String>,
    /// How to take it back: a command where the suggestion is one.
    pub undo: Option<String>,
    /// What the maker of the tool says of it.
    pub docs: Option<String>,
    /// The ways of its file.
    pub ways: std::sync::Arc<Ways>,
}

/// What a file holds.
#[derive(Debug, Default)]
pub struct Parsed {
    /// Technologies by name.
    pub technologies: BTreeMap<String, Detect>,
    /// Good entries.
    pub entries: Vec<Entry>,
    /// Ids that are switched off.
    pub off: Vec<String>,
    /// What is wrong with the others.
    pub faults: Vec<Fault>,
}

/// Reads a file. What is wrong is left out and said; the rest is used.
pub fn parse(file: &str, text: &str) -> Parsed {
    let mut parsed = Parsed::default();
    let fault = |span: Option<Range<usize>>, what: String| {
        let at = span.map(|s| place(text, s.start));
        Fault { file: file.to_owned(), line: at.map(|a| a.0), column: at.map(|a| a.1), what }
    };
    let read: File = match toml::from_str(text) {
        Ok(read) => read,
        Err(e) => {
            let what =
                format!("{}; nothing of this file is used until it is put right", e.message().trim_end_matches('.'));
            parsed.faults.push(fault(e.span(), what));
            return parsed;
        }
    };
    if read.suggestion.len() > MOST {
        let what =
            format!("it has {} suggestions; {MOST} are used, so spread them over more files", read.suggestion.len());
        parsed.faults.push(fault(None, what));
    }
    for (name, forms) in &read.ways {
        let wrong = forms.iter().flat_map(|f| unknown(f, &Ways::new()).into_iter().chain(template::mistakes(f)));
        let clash = form(name).map(|_| "a placeholder has this name already; choose another".to_owned());
        parsed.faults.extend(wrong.chain(clash).map(|what| fault(None, format!("ways.{name}: {what}"))));
    }
    let own: Vec<String> = read.technology.keys().cloned().collect();
    let ways = std::sync::Arc::new(read.ways);
    for spanned in read.suggestion.into_iter().take(MOST) {
        let span = spanned.span();
        let written = spanned.into_inner();
        let id = written.id.get_ref().clone();
        if !written.enabled {
            parsed.off.push(id);
            continue;
        }
        let wrong = mistakes(&written, &ways, span);
        if wrong.is_empty() {
            parsed.entries.extend(entry(written, &own, &ways));
        } else {
            parsed
                .faults
                .extend(wrong.into_iter().map(|(span, what)| fault(Some(span), format!("suggestion `{id}`: {what}"))));
        }
    }
    parsed.technologies = read.technology;
    parsed
}

fn entry(w: Written, own: &[String], ways: &std::sync::Arc<Ways>) -> Option<Entry> {
    let text = |s: Option<Spanned<String>>| s.map(Spanned::into_inner);
    Some(Entry {
        id: w.id.into_inner(),
        kind: w.kind?,
        risk: w.risk?,
        symptoms: w.symptoms,
        technologies: w.technologies.unwrap_or_else(|| own.to_vec()),
        platforms: w.platforms,
        origin: w.origin,
        title: text(w.title)?,
        expect: text(w.expect)?,
        command: text(w.command),
        undo: text(w.undo),
        docs: text(w.docs),
        ways: ways.clone(),
    })
}

/// Names in a template that stand for nothing.
fn unknown(template: &str, ways: &Ways) -> Vec<String> {
    let strange = pieces(template).into_iter().filter_map(|p| match p {
        Piece::Name(name) if form(name).is_none() && !ways.contains_key(name) => Some(name),
        _ => None,
    });
    let known =
        || template::PLACEHOLDERS.iter().map(|p| p.0).chain(ways.keys().map(String::as_str)).collect::<Vec<_>>();
    strange.map(|name| format!("`{{{name}}}` stands for nothing; known: {}", known().join(", "))).collect()
}

fn mistakes(w: &Written, ways: &Ways, whole: Range<usize>) -> Vec<(Range<usize>, String)> {
    let mut wrong: Vec<(Range<usize>, String)> = Vec::new();
    let mut at = |span: Range<usize>, what: &str| wrong.push((span, what.to_owned()));
    let id = w.id.get_ref();
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    if id.is_empty() || id.len() > 80 || !id.bytes().all(plain) {
        at(w.id.span(), "an id has small letters, digits and `-`, at most 80");
    }
    match (w.kind, w.risk) {
        (None, _) => at(whole.clone(), "`kind` is missing: diagnostic, mitigation, fix or prevention"),
        (_, None) => at(whole.clone(), "`risk` is missing: safe, low, medium or high"),
        (Some(SuggestionKind::Diagnostic), Some(risk)) if risk != Risk::Safe => {
            at(
                whole.clone(),
                "a diagnostic only reads, so its risk is `safe`; what changes something is a mitigation or a fix",
            );
        }
        (_, Some(risk)) if risk >= Risk::Medium && w.command.is_some() && w.undo.is_none() => {
            at(whole.clone(), "`undo` is missing: with this risk, say how to take it back");
        }
        _ => {}
    }
    if w.origin == Kind::Place && w.symptoms.is_empty() && w.technologies.as_ref().is_some_and(Vec::is_empty) {
        at(whole.clone(), "it would fit everything; name `symptoms` or `technologies`");
    }
    for (name, text) in [("title", &w.title), ("expect", &w.expect)] {
        match text {
            None => at(whole.clone(), &format!("`{name}` is missing")),
            Some(text) if text.get_ref().trim().is_empty() => at(text.span(), &format!("`{name}` is empty")),
            Some(_) => {}
        }
    }
    if let Some(docs) = w.docs.as_ref().filter(|d| !is_address(d.get_ref())) {
        at(docs.span(), "`docs` is an address that begins with https:// or http://");
    }
    for text in [&w.title, &w.expect, &w.command, &w.undo].into_iter().flatten() {
        if text.get_ref().len() > LONGEST {
            at(text.span(), &format!("it is longer than {LONGEST} bytes"));
        }
        for what in unknown(text.get_ref(), ways) {
            at(text.span(), &what);
        }
    }
    let undo = w.undo.as_ref().filter(|_| w.command.is_some());
    for command in w.command.iter().chain(undo) {
        let mut said: Vec<String> =
            spelled_out(command.get_ref(), ways).iter().flat_map(|c| template::mistakes(c)).collect();
        said.sort();
        said.dedup();
        for what in said {
            at(command.span(), &what);
        }
    }
    wrong
}

/// Whether it leads to a page and not to a script.
pub fn is_address(text: &str) -> bool {
    ["https://", "http://"]
        .iter()
        .any(|p| text.get(..p.len()).is_some_and(|h| h.eq_ignore_ascii_case(p)) && text.len() > p.len())
        && !text.chars().any(|c| c.is_whitespace() || c.is_control())
}
