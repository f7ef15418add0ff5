//! Runbooks: which fits an incident, by the name of an alert, by service, by labels, by what the texts say, in this order,
//! and which of its sections.

pub mod read;

use std::collections::{BTreeMap, BTreeSet};

use self::read::{Section, front, sections};
use super::{
    case::{Case, same},
    folder::File,
    suggest::{Fault, is_address},
    symptoms::split,
    words,
};
use crate::{
    model::{Alert, Runbook, Service},
    text::{Doc, similarity},
};

/// Matches kept.
const KEPT: usize = 5;
/// Alerts whose text is compared: the first of each title.
const TITLES: usize = 8;
/// From here on two texts are about the same, as the text room measures.
const ALIKE: f64 = 0.7;
/// A section is the one that is meant when it is so much like the alert; otherwise it is the first.
const NEAR: f64 = 0.3;
/// Labels that name an alert.
const NAMES: &[&str] = &["alertname", "alert", "alarm", "rulename", "monitor", "check"];

/// Why a runbook fits; the order is that of how much it says.
#[derive(Clone, Debug, PartialEq)]
pub enum Fit {
    /// The sender names it in the alert.
    Sender {
        /// The platform.
        platform: String,
        /// The title of the alert.
        title: String,
    },
    /// It is for an alert of this name.
    Alert(String),
    /// The service is declared with it.
    Declared(String),
    /// It is for this service.
    Service(String),
    /// It is for alerts with these labels.
    Labels(Vec<String>),
    /// It is for alerts with this word.
    Keyword(String),
    /// It reads like the alert.
    Text {
        /// How alike, 0 to 1.
        likeness: f64,
        /// The title of the alert.
        title: String,
    },
}

impl Fit {
    fn rank(&self) -> u8 {
        match self {
            Self::Sender { .. } => 0,
            Self::Alert(_) => 1,
            Self::Declared(_) => 2,
            Self::Service(_) => 3,
            Self::Labels(_) => 4,
            Self::Keyword(_) => 5,
            Self::Text { .. } => 6,
        }
    }
}

/// A runbook that fits a case.
#[derive(Clone, Debug, PartialEq)]
pub struct RunbookMatch {
    /// Its title; none where only an address is known.
    pub title: Option<String>,
    /// Where it is: an address, or a page of this server. What a sender wrote may be neither.
    pub url: Option<String>,
    /// The section that is meant.
    pub section: Option<Section>,
    /// Why.
    pub fit: Fit,
    /// The alert that it fits, as a place in the case.
    pub alert: Option<usize>,
    /// The service that it fits.
    pub service: Option<String>,
}

impl RunbookMatch {
    /// Whether its address may be a link: of the web, or a page of this server.
    pub fn is_link(&self) -> bool {
        self.url.as_deref().is_some_and(|u| is_address(u) || u.starts_with("/runbooks/"))
    }

    /// As the object of a sentence: `“Disk full” of the runbook “Databases”`.
    pub fn name(&self) -> String {
        let book = match (&self.title, &self.fit) {
            (Some(title), _) => format!("the runbook {}", words::quote(title)),
            (None, Fit::Sender { title, .. }) => format!("the runbook of {}", words::quote(title)),
            (None, Fit::Declared(service)) => format!("the runbook of {}", words::plain(service)),
            (None, _) => "the runbook".to_owned(),
        };
        match self.section.as_ref().filter(|s| !s.heading.is_empty() && Some(&s.heading) != self.title.as_ref()) {
            Some(section) => format!("{} in {book}", words::quote(&section.heading)),
            None => book,
        }
    }

    /// Why it fits, as a clause.
    pub fn why(&self) -> String {
        match &self.fit {
            Fit::Sender { platform, title } => {
                format!("{} names it in the alert {}", words::platform(platform), words::quote(title))
            }
            Fit::Alert(name) => format!("it is for the alert {}", words::quote(name)),
            Fit::Declared(service) => format!("{} is declared with it", words::plain(service)),
            Fit::Service(service) => format!("it is for the service {}", words::plain(service)),
            Fit::Labels(pairs) => format!(
                "it is for alerts with {}",
                words::list(&pairs.iter().map(|p| words::plain(p)).collect::<Vec<_>>(), 3)
            ),
            Fit::Keyword(word) => format!("it is for alerts that say {}", words::quote(word)),
            Fit::Text { likeness, title } => {
                format!("it reads like the alert {} (likeness {})", words::quote(title), words::percent(*likeness))
            }
        }
    }
}

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

    fn matched(&self, fit: Fit, alert: Option<(usize, &Alert)>, service: Option<String>) -> RunbookMatch {
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

    fn for_alert(&self, alert: &Alert) -> Option<String> {
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
fn fits(pattern: &str, name: &str) -> bool {
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

fn doc_of(alert: &Alert) -> Doc {
    Doc::read(&alert.title, alert.description.as_deref().unwrap_or(""))
}

/// The runbooks that fit a case, best first: the better reason, then the earlier alert, then the name.
pub fn find<'a>(case: &Case, books: impl Iterator<Item = &'a Book> + Clone) -> Vec<RunbookMatch> {
    let mut found: Vec<(u8, usize, String, RunbookMatch)> = Vec::new();
    let mut links: BTreeSet<String> = BTreeSet::new();
    for (i, alert) in case.alerts.iter().enumerate() {
        let Some(url) = alert.runbook_url.as_ref().filter(|u| links.insert((*u).clone())) else { continue };
        let fit = Fit::Sender { platform: alert.platform.clone(), title: alert.title.clone() };
        let linked = RunbookMatch {
            title: None,
            url: Some(url.clone()),
            section: None,
            fit,
            alert: Some(i),
            service: alert.service.clone(),
        };
        found.push((0, i, String::new(), linked));
    }
    let services = case.services();
    for service in &case.declared {
        let Some(url) = service.runbook_url.as_ref().filter(|u| links.insert((*u).clone())) else { continue };
        let fit = Fit::Declared(service.name.clone());
        let linked = RunbookMatch {
            title: None,
            url: Some(url.clone()),
            section: None,
            fit,
            alert: None,
            service: Some(service.name.clone()),
        };
        let at = services.iter().position(|s| names(service).any(|n| same(n, s))).unwrap_or(usize::MAX);
        found.push((linked.fit.rank(), at, service.name.clone(), linked));
    }
    for book in books.clone() {
        if let Some((at, matched)) = by_name(case, book, &services) {
            found.push((matched.fit.rank(), at, book.name.clone(), matched));
        }
    }
    // Texts only speak where nothing better does: likeness is the weakest reason, and the dearest to look for.
    if found.is_empty() {
        found.extend(by_text(case, books));
    }
    found.sort_by(|a, b| (a.0, a.1, &a.2).cmp(&(b.0, b.1, &b.2)));
    found.into_iter().map(|(.., m)| m).take(KEPT).collect()
}

fn names(service: &Service) -> impl Iterator<Item = &String> {
    std::iter::once(&service.name).chain(&service.aliases)
}

fn by_name(case: &Case, book: &Book, services: &[String]) -> Option<(usize, RunbookMatch)> {
    let alerts = || case.alerts.iter().enumerate();
    if let Some((i, alert, name)) = alerts().find_map(|(i, a)| Some((i, a, book.for_alert(a)?))) {
        return Some((i, book.matched(Fit::Alert(name), Some((i, alert)), alert.service.clone())));
    }
    let known = |wanted: &String, service: &String| {
        same(wanted, service)
            || case.declared.iter().any(|d| names(d).any(|n| same(n, wanted)) && names(d).any(|n| same(n, service)))
    };
    if let Some((at, service)) = services.iter().enumerate().find(|(_, s)| book.services.iter().any(|w| known(w, s))) {
        let alert = alerts().find(|(_, a)| a.service.as_ref().is_some_and(|s| same(s, service)));
        return Some((at, book.matched(Fit::Service(service.clone()), alert, Some(service.clone()))));
    }
    if !book.labels.is_empty() {
        let has = |a: &Alert| book.labels.iter().all(|(k, v)| a.labels.get(k).is_some_and(|l| l == v));
        if let Some((i, alert)) = alerts().find(|(_, a)| has(a)) {
            let pairs = book.labels.iter().map(|(k, v)| format!("{k}={v}")).collect();
            return Some((i, book.matched(Fit::Labels(pairs), Some((i, alert)), alert.service.clone())));
        }
    }
    if !book.keywords.is_empty() {
        for (i, alert) in alerts() {
            let (title, description) = (split(&alert.title), split(alert.description.as_deref().unwrap_or("")));
            if let Some(word) = book.keywords.iter().find(|k| contains(&title, k) || contains(&description, k)) {
                let fit = Fit::Keyword(word.join(" "));
                return Some((i, book.matched(fit, Some((i, alert)), alert.service.clone())));
            }
        }
    }
    None
}

fn by_text<'a>(case: &Case, books: impl Iterator<Item = &'a Book> + Clone) -> Vec<(u8, usize, String, RunbookMatch)> {
    let mut titles: Vec<&str> = Vec::new();
    let mut found: Vec<(f64, u8, usize, String, RunbookMatch)> = Vec::new();
    for (i, alert) in case.alerts.iter().enumerate() {
        if titles.len() >= TITLES {
            break;
        }
        if titles.contains(&alert.title.as_str()) {
            continue;
        }
        titles.push(&alert.title);
        let doc = doc_of(alert);
        for book in books.clone() {
            let texts = book.sections.iter().map(|(_, d)| d).chain(std::iter::once(&book.doc));
            let likeness = texts.map(|d| similarity(&doc, d)).fold(0.0, f64::max);
            if likeness >= ALIKE && !found.iter().any(|f| f.3 == book.name) {
                let fit = Fit::Text { likeness, title: alert.title.clone() };
                let matched = book.matched(fit, Some((i, alert)), alert.service.clone());
                found.push((likeness, matched.fit.rank(), i, book.name.clone(), matched));
            }
        }
    }
    found.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| (a.2, &a.3).cmp(&(b.2, &b.3))));
    // The order by likeness outlasts the sort by place.
    found.into_iter().enumerate().map(|(n, (_, rank, _, name, m))| (rank, n, name, m)).collect()
}

#[cfg(test)]
mod tests;
