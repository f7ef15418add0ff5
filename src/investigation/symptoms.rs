//! From the words of an alert to its symptom, by a table. Unknown is better than a guess.

mod table;

pub use table::Symptoms;

use crate::model::{Alert, Symptom};

/// Words of a description that are looked at: its beginning says what is wrong, the rest is advice.
const DESCRIPTION_WORDS: usize = 40;
/// Labels that name what is measured.
const NAMING_LABELS: &[&str] = &["alertname", "alarm", "chart", "context", "metric", "monitor", "check", "rulename"];

/// Words by which a figure is said to be lower than usual.
const LOWER: &[&str] = &["below", "lower", "drop", "drops", "dropped", "decreased", "decrease", "fell", "falling"];
/// Where little of something is bad: lower is no relief there.
const SUPPLIES: &[&str] =
    &["free", "available", "idle", "left", "remaining", "headroom", "success", "availability", "healthy", "apdex"];
/// Words of a figure that is good while it is high.
const GOOD: &[&str] = &["success", "availability", "apdex"];

/// How an alert came to its symptom, where that changes what it tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Flavour {
    /// As the symptom says.
    #[default]
    Plain,
    /// Seen in the lines of a log.
    Log,
    /// How much goes through it, not how well.
    Volume,
}

/// What an alert says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// The symptom.
    pub symptom: Symptom,
    /// It says that the sender itself sees nothing.
    pub blind: bool,
    /// Where that changes what it tells.
    pub flavour: Flavour,
    /// There is less of it than usual, and less is no lack: fewer requests, an idle processor. Of a figure that is good
    /// while it is high: that it is high.
    pub lower: bool,
}

impl Reading {
    const UNKNOWN: Self = Self { symptom: Symptom::Unknown, blind: false, flavour: Flavour::Plain, lower: false };
}

/// What an alert says: its title, else the labels that name what is measured, else the beginning of its description.
pub fn of(table: &Symptoms, alert: &Alert) -> Reading {
    let search = |words: &[String]| table.search(words);
    let title = split(&without_names(alert));
    let mut description = split(alert.description.as_deref().unwrap_or(""));
    description.truncate(DESCRIPTION_WORDS);
    let labels = || NAMING_LABELS.iter().filter_map(|l| alert.labels.get(*l));
    let found = search(&title)
        .or_else(|| labels().find_map(|text| of_text(table, text)))
        .or_else(|| search(&description))
        // A service may be named after its trouble, when nothing else tells.
        .or_else(|| of_text(table, &alert.title))
        .unwrap_or(Reading::UNKNOWN);
    let says = |words: &[&str]| title.iter().chain(&description).any(|w| words.contains(&w.as_str()));
    let lower = if says(GOOD) && says(&["above"]) { true } else { says(LOWER) && !says(SUPPLIES) };
    Reading { lower: lower && !found.blind, ..found }
}

/// The title without the names of service and machine: a queue is not a backlog.
fn without_names(alert: &Alert) -> String {
    let mut title = alert.title.clone();
    for name in [&alert.service, &alert.host].into_iter().flatten().filter(|n| !n.is_empty()) {
        if title.contains(name.as_str()) {
            title = title.replace(name.as_str(), " ");
        }
    }
    title
}

/// What a text says, if it is recognised.
pub fn of_text(table: &Symptoms, text: &str) -> Option<Reading> {
    table.search(&split(text))
}

/// Lower-case words, split at everything that is not a letter or digit, and inside `camelCase` and `HTTPErrors`.
pub(super) fn split(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut chars = text.chars().peekable();
    let mut before: Option<char> = None;
    while let Some(c) = chars.next() {
        if !c.is_alphanumeric() {
            take(&mut word, &mut words);
            before = None;
            continue;
        }
        let hump = c.is_uppercase()
            && (before.is_some_and(char::is_lowercase)
                || (before.is_some_and(char::is_uppercase) && chars.peek().is_some_and(|n| n.is_lowercase())));
        if hump {
            take(&mut word, &mut words);
        }
        word.extend(c.to_lowercase());
        before = Some(c);
    }
    take(&mut word, &mut words);
    words
}

fn take(word: &mut String, words: &mut Vec<String>) {
    if !word.is_empty() {
        words.push(std::mem::take(word));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn titles_of_real_alerts() {
        let house = Symptoms::default();
        let check = |text: &str, want: &str| {
            let got = of_text(&house, text).map_or("unknown", |r| if r.blind { "no_data" } else { r.symptom.as_str() });
            assert_eq!(got, want, "{text}");
        };
        for line in include_str!("data/titles.tsv").lines().filter(|l| !l.starts_with('#')) {
            let (want, text) = line.split_once('\t').unwrap();
            check(text, want);
        }
    }

    #[test]
    fn words_are_split_like_people_read_them() {
        let check = |text: &str, want: &[&str]| assert_eq!(split(text), want, "{text}");
        check("KubePodCrashLooping", &["kube", "pod", "crash", "looping"]);
        check("HTTPErrors5xx", &["http", "errors5xx"]);
        check("OOMKilled db_1.example", &["oom", "killed", "db", "1", "example"]);
        check("p95 Zürich", &["p95", "zürich"]);
        check(" -- ", &[]);
    }
}
