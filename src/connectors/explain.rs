//! Which field of an alert was taken from where, and why: for people who ask how a body was read.

use super::text;
use crate::model::DeclaredField;

/// How one field was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Ours: `title`, `severity`, …
    pub field: &'static str,
    /// What it became; none when nothing says it.
    pub value: Option<String>,
    /// Where in the body it stood, as a JSON pointer; none when it stood nowhere.
    pub from: Option<String>,
    /// The rule, in words.
    pub why: String,
}

/// How one alert was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Explained {
    /// Where in the body it stands, as a JSON pointer; empty for the whole body.
    pub path: String,
    /// One for each field, in the order of the page.
    pub findings: Vec<Finding>,
}

/// Alerts of one body that are explained; the others are read by the same rules.
pub const MOST_EXPLAINED: usize = 20;
/// Longest value that is shown, in characters.
const SHOWN: usize = 200;

/// Takes findings down when somebody asked for them, and costs nothing when not.
#[derive(Default)]
pub(super) struct Log(Option<Vec<Finding>>);

impl Log {
    pub fn kept() -> Self {
        Self(Some(Vec::new()))
    }

    /// In the order of the page.
    pub fn into_findings(self) -> Vec<Finding> {
        let mut findings = self.0.unwrap_or_default();
        sort(&mut findings);
        findings
    }

    pub fn add(&mut self, finding: impl FnOnce() -> Finding) {
        if let Some(findings) = &mut self.0 {
            findings.push(finding());
        }
    }
}

impl Finding {
    pub(super) fn new(field: &'static str, value: Option<&str>, from: Option<String>, why: String) -> Self {
        Self { field, value: value.map(|v| text::line(v, SHOWN)), from, why }
    }
}

/// What names and grades an alert first, then where it is, then the rest.
pub(super) fn sort(findings: &mut [Finding]) {
    let place = |name: &str| DeclaredField::ALL.iter().position(|f| f.as_str() == name).unwrap_or(usize::MAX);
    findings.sort_by_key(|finding| place(finding.field));
}

/// A name as a part of a JSON pointer.
pub(super) fn pointer_part(name: &str) -> String {
    text::line(&name.replace('~', "~0").replace('/', "~1"), 100)
}
