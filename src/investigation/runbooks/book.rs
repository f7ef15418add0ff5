//! A runbook as it is matched: what it is for, and its sections.

use std::collections::BTreeMap;

use super::{
    Fit, RunbookMatch,
    read::{Section, front, sections},
};
use crate::{
    investigation::{case::same, folder::File, suggest::Fault, symptoms::split},
    model::{Alert, Runbook},
    text::{Doc, similarity},
};

/// A section is the one that is meant when it is so much like the alert; otherwise it is the first.
const NEAR: f64 = 0.3;
/// Labels that name an alert.
const NAMES: &[&str] = &["alertname", "alert", "alarm", "rulename", "monitor", "check"];

/// A runbook as it is matched.
#[derive(Debug)]
pub struct Book {
    /// The path of its file, or `R-3`.
    pub name: String,
    /// One line.
    pub title: String,
    url: Option<String>,
    // Whether this server shows its text, so that a section has an address.
    shown: bool,
    /// Names of alerts that it is for.
    pub alerts: Vec<String>,
    /// Services that it is for.
    pub services: Vec<String>,
    /// Labels that an alert must have.
    pub labels: BTreeMap<String, String>,
    keywords: Vec<Vec<String>>,
    sections: Vec<(Section, Doc)>,
    doc: Doc,
}

impl Book {
    /// Of a file of the folder.
    pub fn of_file(file: &File) -> (Self, Vec<Fault>) {
        let (front, text, faults) = front(&file.name, &file.text);
        let stem = file.name.rsplit('/').next().unwrap_or(&file.name);
        let stem = stem.rsplit_once('.').map_or(stem, |(stem, _)| stem).to_owned();
        let sections = sections(text);
        let heading = sections.iter().find(|s| !s.heading.is_empty()).map(|s| s.heading.clone());
        let title = front.title.clone().or(heading).unwrap_or_else(|| stem.clone());
        let mut alerts = front.alerts;
        // A file may be named after its alert.
        alerts.push(stem);
        let url = Some(address(&file.name));
        let book = Self::new(file.name.clone(), title, url, true, sections);
        (
            Self {
                alerts,
                services: front.services,
                labels: front.labels,
                keywords: keywords(&front.keywords),
                ..book
            },
            faults,
        )
    }

    /// Of the store.
    pub fn of_row(row: Runbook) -> Self {
        let sections = sections(row.markdown.as_deref().unwrap_or(""));
        let shown = row.url.is_none();
        let url = row.url.or_else(|| Some(address(&row.id.to_string())));
        let book = Self::new(row.id.to_string(), row.title, url, shown, sections);
        Self {
            alerts: row.alerts,
            services: row.services,
            labels: row.labels,
            keywords: keywords(&row.keywords),
            ..book
        }
    }

    fn new(name: String, title: String, url: Option<String>, shown: bool, sections: Vec<Section>) -> Self {
        let doc = Doc::read(&title, "");
        let sections = sections.into_iter().map(|s| {
            let doc = Doc::read(&format!("{title} {}", s.heading), &s.lines.join(" "));
            (s, doc)
        });
        Self {
            name,
            url,
            shown,
            alerts: Vec::new(),
            services: Vec::new(),
            labels: BTreeMap::new(),
            keywords: Vec::new(),
            sections: sections.collect(),
            doc,
            title,
        }
    }

    /// Words or phrases in texts of alerts.
    pub fn keywords(&self) -> Vec<String> {
        self.keywords.iter().map(|k| k.join(" ")).collect()
    }

    /// The first of its words or phrases that an alert says.
    pub(super) fn said_by(&self, alert: &Alert) -> Option<String> {
        if self.keywords.is_empty() {
            return None;
        }
        let (title, description) = (split(&alert.title), split(alert.description.as_deref().unwrap_or("")));
        let word = self.keywords.iter().find(|k| contains(&title, k) || contains(&description, k))?;
        Some(word.join(" "))
    }

    /// How much its title or one of its sections reads like a text, 0 to 1.
    pub(super) fn likeness(&self, doc: &Doc) -> f64 {
        let texts = self.sections.iter().map(|(_, d)| d).chain(std::iter::once(&self.doc));
        texts.map(|d| similarity(doc, d)).fold(0.0, f64::max)
    }

    pub(super) fn matched(&self, fit: Fit, alert: Option<(usize, &Alert)>, service: Option<String>) -> RunbookMatch {
        let section = alert.map_or_else(|| self.sections.first().map(|(s, _)| s), |(_, a)| self.section(a)).cloned();
        let anchor = section.as_ref().filter(|s| self.shown && !s.anchor.is_empty());
        let url = self.url.as_ref().map(|u| match anchor {
            Some(s) => format!("{u}#{}", encoded(&s.anchor)),
            None => u.clone(),
        });
        RunbookMatch { title: Some(self.title.clone()), url, section, fit, alert: alert.map(|(i, _)| i), service }
    }

    /// The section that is meant: named after the alert, else most like it, else the first that says something.
    fn section(&self, alert: &Alert) -> Option<&Section> {
        let names: Vec<Vec<String>> = alert_names(alert).iter().map(|n| split(n)).collect();
        let named = self.sections.iter().find(|(s, _)| {
            let heading = split(&s.heading);
            !heading.is_empty() && names.iter().any(|n| *n == heading || (n.len() > 1 && contains(&heading, n)))
        });
        if let Some((section, _)) = named {
            return Some(section);
        }
        let doc = doc_of(alert);
        let mut best: Option<(f64, &Section)> = None;
        for (section, text) in &self.sections {
            let likeness = similarity(&doc, text);
            if likeness >= NEAR && best.is_none_or(|(b, _)| likeness > b) {
                best = Some((likeness, section));
            }
        }
        best.map(|(_, s)| s).or_else(|| self.sections.iter().map(|(s, _)| s).find(|s| !s.lines.is_empty()))
    }

    /// The name of the alert, where it is for that.
    pub(super) fn for_alert(&self, alert: &Alert) -> Option<String> {
        let names = alert_names(alert);
        let listed = self.alerts.iter().find(|p| names.iter().any(|n| fits(p, n)));
        let headed = || {
            let headings = self.sections.iter().filter(|(s, _)| s.heading.chars().any(char::is_alphanumeric));
            // A heading of one word is too easily the word of some title; a name in one piece is not.
            let mut named = headings.filter(|(s, _)| !s.heading.contains(' '));
            named.find(|(s, _)| names.iter().any(|n| same(n, &s.heading))).map(|(s, _)| &s.heading)
        };
        listed.or_else(headed).map(|_| names.first().cloned().unwrap_or_default())
    }
}

/// The page of a runbook on this server.
pub fn address(name: &str) -> String {
    let parts: Vec<String> = name.split('/').map(encoded).collect();
    format!("/runbooks/{}", parts.join("/"))
}

fn encoded(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC)
        .to_string()
        .replace("%2D", "-")
        .replace("%2E", ".")
        .replace("%5F", "_")
}

fn keywords(all: &[String]) -> Vec<Vec<String>> {
    all.iter().map(|k| split(k)).filter(|k| !k.is_empty()).collect()
}

fn contains(words: &[String], wanted: &[String]) -> bool {
    !wanted.is_empty() && words.windows(wanted.len()).any(|w| w == wanted)
}

/// The names of an alert, the most particular first.
fn alert_names(alert: &Alert) -> Vec<String> {
    let mut names: Vec<String> = NAMES.iter().filter_map(|l| alert.labels.get(*l)).cloned().collect();
    names.push(alert.title.clone());
    names
}

/// Whether a name is that of the pattern, in which `*` stands for anything. A title may go on after the name.
pub(super) fn fits(pattern: &str, name: &str) -> bool {
    let (pattern, name) = (pattern.to_lowercase(), name.to_lowercase());
    let mut parts = pattern.split('*');
    let Some(rest) =
        parts.next().filter(|p| pattern.len() > p.len() || !p.is_empty()).and_then(|p| name.strip_prefix(p))
    else {
        return false;
    };
    if !pattern.contains('*') {
        return rest.chars().next().is_none_or(|c| matches!(c, ':' | ' ' | '(' | '[' | ',' | '-'));
    }
    let mut rest = rest;
    let mut last = "";
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = rest.get(at + part.len()..).unwrap_or("");
        last = part;
    }
    last.is_empty() || name.ends_with(last)
}

pub(super) fn doc_of(alert: &Alert) -> Doc {
    Doc::read(&alert.title, alert.description.as_deref().unwrap_or(""))
}
