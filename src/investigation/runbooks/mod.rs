//! Runbooks: which fits an incident, by the name of an alert, by service, by labels, by what the texts say, in this order,
//! and which of its sections.

mod book;
pub mod read;

use std::collections::BTreeSet;

pub use self::book::{Book, address};
use self::{book::doc_of, read::Section};
use super::{
    case::{Case, same},
    suggest::is_address,
    words,
};
use crate::model::{Alert, Service};

/// Matches kept.
const KEPT: usize = 5;
/// Alerts whose text is compared: the first of each title.
const TITLES: usize = 8;
/// From here on two texts are about the same, as the text room measures.
const ALIKE: f64 = 0.7;

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
    let said = alerts().find_map(|(i, a)| Some((i, a, book.said_by(a)?)));
    if let Some((i, alert, word)) = said {
        return Some((i, book.matched(Fit::Keyword(word), Some((i, alert)), alert.service.clone())));
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
            let likeness = book.likeness(&doc);
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
