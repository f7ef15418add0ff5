//! What to do next: entries of a catalogue that fit the leading causes and name only what is known. Text to copy; never
//! run by the product.

use std::{collections::BTreeMap, sync::LazyLock};

use serde::Deserialize;

use super::{
    case::Case,
    facts::Facts,
    ledger::{Ledger, Ref},
    rank::{Candidate, Origin, Ranking},
    words,
};
use crate::model::{Risk, Suggestion, SuggestionKind, SuggestionState, Symptom};

const CATALOGUE: &str = include_str!("data/suggestions.toml");
/// Suggestions at most.
const MOST: usize = 8;
/// Causes that get suggestions, and how many each after the first.
const CAUSES: usize = 3;
const FOR_OTHERS: usize = 2;
/// A cause below this gets none, unless it leads.
const WORTH: f64 = 0.1;
/// The longest name that is put into a command.
const LONGEST: usize = 253;

#[derive(Debug, Deserialize)]
struct Catalogue {
    suggestion: Vec<Entry>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    kind: SuggestionKind,
    risk: Risk,
    #[serde(default)]
    symptoms: Vec<Symptom>,
    #[serde(default)]
    origin: Kind,
    #[serde(default)]
    platforms: Vec<String>,
    title: String,
    expect: String,
    command: Option<String>,
    undo: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
enum Kind {
    #[default]
    Place,
    Change,
    Blind,
}

// A test reads the catalogue, so a product without suggestions does not leave the house.
static ENTRIES: LazyLock<Vec<Entry>> =
    LazyLock::new(|| toml::from_str::<Catalogue>(CATALOGUE).map(|c| c.suggestion).unwrap_or_default());

/// Suggestions for the leading causes, diagnostics first.
pub(super) fn suggest(case: &Case, facts: &Facts, ranking: &Ranking, ledger: &mut Ledger) -> Vec<Suggestion> {
    let mut found: Vec<Suggestion> = Vec::new();
    let causes = ranking.candidates.iter().filter(|c| !c.ruled_out).take(CAUSES).enumerate();
    for (n, cause) in causes.filter(|(n, c)| *n == 0 || c.confidence >= WORTH) {
        let known = Names::of(case, cause);
        let refs: Vec<Ref> = cause.best(2).into_iter().flat_map(|p| p.refs.iter().copied()).collect();
        let evidence = ledger.marks(case, facts, &refs);
        let why = cause.best(1).first().map(|p| words::sentence(&p.text)).unwrap_or_default();
        let mut mine = runbook(case, cause, &evidence).into_iter().collect::<Vec<_>>();
        let symptom = cause.symptom.unwrap_or(Symptom::Unknown);
        let of = |s: Symptom| ENTRIES.iter().filter(move |e| fits(e, case, cause, s));
        mine.extend(of(symptom).filter_map(|e| fill(e, &known, &why, &evidence)));
        if n == 0 && !mine.iter().any(|s| s.kind == SuggestionKind::Diagnostic) {
            // Too little is known for what fits the symptom: what always helps.
            mine.extend(of(Symptom::Unknown).filter_map(|e| fill(e, &known, &why, &evidence)));
        }
        mine.retain(|s| !found.iter().any(|f| f.title == s.title || (f.command.is_some() && f.command == s.command)));
        mine.truncate(if n == 0 { MOST } else { FOR_OTHERS });
        found.extend(mine);
    }
    // By need within a kind: the order of discovery is that of the causes.
    found.truncate(MOST);
    found.sort_by_key(|s| s.kind);
    for (s, n) in found.iter_mut().zip(1..) {
        s.id = format!("S{n}");
    }
    found
}

fn fits(entry: &Entry, case: &Case, cause: &Candidate, symptom: Symptom) -> bool {
    let platform =
        cause.alerts.first().and_then(|i| case.alerts.get(*i)).map_or(&case.incident.source, |a| &a.platform);
    if !entry.platforms.is_empty() && !entry.platforms.contains(platform) {
        return false;
    }
    let shows = entry.symptoms.is_empty() || entry.symptoms.contains(&symptom);
    match (entry.origin, cause.origin) {
        (Kind::Blind, Origin::Blind) => true,
        (Kind::Change, Origin::Change(_)) => shows,
        // What a change broke is looked at like anything else.
        (Kind::Place, Origin::Place | Origin::Change(_)) => shows && !entry.symptoms.is_empty(),
        _ => false,
    }
}

/// What the sender itself names.
fn runbook(case: &Case, cause: &Candidate, evidence: &[String]) -> Option<Suggestion> {
    let alert = cause.alerts.iter().filter_map(|i| case.alerts.get(*i)).find(|a| a.runbook_url.is_some())?;
    Some(Suggestion {
        id: String::new(),
        kind: SuggestionKind::Diagnostic,
        risk: Risk::Safe,
        title: format!("Follow the runbook of {}", words::quote(&alert.title)),
        rationale: format!("{} names it in the alert.", words::platform(&alert.platform)),
        command: None,
        undo: None,
        evidence: evidence.to_vec(),
        runbook_url: alert.runbook_url.clone(),
        state: SuggestionState::Open,
    })
}

fn fill(entry: &Entry, known: &Names, why: &str, evidence: &[String]) -> Option<Suggestion> {
    let text = |t: &str| known.fill(t, words::plain);
    let command = match &entry.command {
        Some(command) => Some(known.fill(command, shell_quote)?),
        None => None,
    };
    let undo = match (&entry.undo, &entry.command) {
        // An undo is a command where the suggestion is one and it begins like one.
        (Some(undo), Some(_)) => Some(known.fill(undo, shell_quote)?),
        (Some(undo), None) => Some(text(undo)?),
        (None, _) => None,
    };
    Some(Suggestion {
        id: String::new(),
        kind: entry.kind,
        risk: entry.risk,
        title: text(&entry.title)?,
        rationale: format!("{why} {}", text(&entry.expect)?).trim_start().to_owned(),
        command,
        undo,
        evidence: evidence.to_vec(),
        runbook_url: None,
        state: SuggestionState::Open,
    })
}

/// What the placeholders stand for.
struct Names {
    values: BTreeMap<&'static str, String>,
}

impl Names {
    fn of(case: &Case, cause: &Candidate) -> Self {
        let mut values = BTreeMap::new();
        let mut put = |name: &'static str, value: Option<&str>| {
            if let Some(value) = value.filter(|v| is_usable(v)) {
                values.entry(name).or_insert_with(|| value.to_owned());
            }
        };
        put("service", cause.service.as_deref());
        put("host", cause.host.as_deref());
        if let Some((_, change)) = cause.change(case) {
            put("version", change.version.as_deref());
            let commit = ["commit", "git_commit", "sha"].iter().find_map(|k| change.details.get(*k));
            put("commit", commit.map(String::as_str).filter(|c| is_commit(c)));
            put("commit", change.version.as_deref().filter(|c| is_commit(c)));
        }
        for alert in cause.alerts.iter().filter_map(|i| case.alerts.get(*i)) {
            let label = |names: &[&str]| names.iter().find_map(|n| alert.labels.get(*n)).map(String::as_str);
            let word = |names: &[&str]| label(names).filter(|v| is_word(v));
            put("namespace", word(&["namespace", "kubernetes_namespace", "kube_namespace"]));
            put("pod", word(&["pod", "pod_name", "kube_pod"]));
            put("database", word(&["datname", "database", "db_name"]));
            put("commit", label(&["commit", "git_commit", "commit_sha", "sha", "revision"]).filter(|c| is_commit(c)));
        }
        let first = cause.alerts.first().and_then(|i| case.alerts.get(*i));
        let sender = words::platform(first.map_or(&case.incident.source, |a| &a.platform));
        put("sender", Some(&sender));
        Self { values }
    }

    /// The text with its placeholders filled; none when one is not known.
    fn fill(&self, template: &str, write: impl Fn(&str) -> String) -> Option<String> {
        let mut out = String::with_capacity(template.len() + 32);
        let mut rest = template;
        while let Some((before, after)) = rest.split_once('{') {
            let (name, after) = after.split_once('}')?;
            out.push_str(before);
            out.push_str(&write(self.values.get(name)?));
            rest = after;
        }
        out.push_str(rest);
        Some(out)
    }
}

/// Names come from whoever can send an alert. What could pose as an option, or as something else on a screen, is not used.
fn is_usable(value: &str) -> bool {
    !value.is_empty()
        && value.len() <= LONGEST
        && !value.starts_with('-')
        && value.trim() == value
        && !value.chars().any(|c| c.is_control() || words::is_mark(c) || (c.is_whitespace() && c != ' '))
}

/// What their own rules allow; a database named `host=…` would be a connection string.
fn is_word(value: &str) -> bool {
    value.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
}

fn is_commit(value: &str) -> bool {
    (7..=64).contains(&value.len()) && value.bytes().all(|b| b.is_ascii_hexdigit())
}

/// One word of a POSIX shell, whatever the text holds.
fn shell_quote(value: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b'/' | b':' | b'@' | b'+');
    if !value.is_empty() && value.bytes().all(plain) {
        value.to_owned()
    } else {
        format!("'{}'", value.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PLACEHOLDERS: &[&str] = &["service", "host", "version", "commit", "namespace", "pod", "database", "sender"];

    fn all(value: &str) -> Names {
        Names { values: PLACEHOLDERS.iter().map(|p| (*p, value.to_owned())).collect() }
    }

    fn templates() -> impl Iterator<Item = &'static String> {
        ENTRIES.iter().flat_map(|e| e.command.iter().chain(&e.undo))
    }

    /// Words as a POSIX shell splits them; what stands unquoted and means something to it is a word of its own.
    fn split(command: &str) -> Vec<String> {
        let mut words = Vec::new();
        let mut word: Option<String> = None;
        let mut chars = command.chars();
        while let Some(c) = chars.next() {
            match c {
                '\'' => word.get_or_insert_default().extend(chars.by_ref().take_while(|c| *c != '\'')),
                '"' => word.get_or_insert_default().extend(chars.by_ref().take_while(|c| *c != '"')),
                '\\' => word.get_or_insert_default().extend(chars.next()),
                ' ' | '\t' => words.extend(word.take()),
                ';' | '&' | '|' | '<' | '>' | '(' | ')' | '$' | '`' | '\n' | '*' | '?' | '[' | '#' | '~' | '!'
                | '{' => {
                    words.extend(word.take());
                    words.push(format!("meaning:{c}"));
                }
                other => word.get_or_insert_default().push(other),
            }
        }
        words.extend(word);
        words
    }

    fn stays_one_word(value: &str) {
        for template in templates() {
            let tame = all("NAME").fill(template, shell_quote).unwrap();
            let filled = all(value).fill(template, shell_quote).unwrap();
            let want: Vec<String> = split(&tame).iter().map(|w| w.replace("NAME", value)).collect();
            assert_eq!(split(&filled), want, "{template}");
        }
    }

    proptest! {
        #[test]
        fn no_name_leaves_its_word(value in any::<String>()) {
            stays_one_word(&value);
        }

        #[test]
        fn no_name_of_shell_letters_leaves_its_word(value in "[a'\"$`\\\\;&|<>(){}*?~#! -]{0,12}") {
            stays_one_word(&value);
        }
    }

    #[test]
    fn a_real_shell_reads_names_as_they_are() {
        let values = [
            "a",
            "",
            "it's",
            "'",
            "''",
            "$(id)",
            "`id`",
            "\\",
            "a b",
            "\"",
            "x'; echo y; '",
            "*",
            "~",
            "#a",
            "ä→",
            "a\\'b",
        ];
        for value in values {
            let script = format!("printf '%s|' {} end", shell_quote(value));
            let out = std::process::Command::new("sh").arg("-c").arg(&script).output().unwrap();
            assert_eq!(String::from_utf8_lossy(&out.stdout), format!("{value}|end|"), "{script}");
        }
    }

    #[test]
    fn every_entry_of_the_catalogue_is_sound() {
        let catalogue: Catalogue = toml::from_str(CATALOGUE).unwrap();
        for e in &catalogue.suggestion {
            let title = &e.title;
            assert!(all("x").fill(title, str::to_owned).is_some(), "unknown placeholder: {title}");
            assert!(all("x").fill(&e.expect, str::to_owned).is_some(), "unknown placeholder: {title}");
            assert!(!title.ends_with('.') && e.expect.ends_with('.'), "{title}");
            assert!(e.kind != SuggestionKind::Diagnostic || e.risk == Risk::Safe, "a diagnostic only reads: {title}");
            assert!(e.command.is_none() || e.risk < Risk::Medium || e.undo.is_some(), "no way back: {title}");
            assert!(e.origin != Kind::Place || !e.symptoms.is_empty(), "fits everything: {title}");
            for command in e.command.iter().chain(&e.undo) {
                let filled = all("NAME").fill(command, |_| "@".to_owned()).expect(title);
                let quoted: Vec<&str> = filled.split('\'').skip(1).step_by(2).collect();
                assert!(!quoted.iter().any(|q| q.contains('@')), "a name inside quotes: {title}");
                // The second shell, on the other machine, would read a name again.
                if let Some(rest) = filled.strip_prefix("ssh ") {
                    assert!(rest.strip_prefix("-- @ '").is_some_and(|r| !r.contains('@')), "{title}");
                }
                assert!(!filled.contains("sh -c") && !filled.contains("eval"), "{title}");
            }
        }
        for symptom in Symptom::ALL {
            let helps = |e: &&Entry| e.kind == SuggestionKind::Diagnostic && e.symptoms.contains(symptom);
            assert!(catalogue.suggestion.iter().any(|e| helps(&e)), "nothing to look at for {symptom}");
        }
    }

    #[test]
    fn names_that_could_pose_as_something_else_are_not_used() {
        let check = |value: &str, want: bool| assert_eq!(is_usable(value), want, "{value:?}");
        check("db-1", true);
        check("Zürich API", true);
        check("x'; rm -rf /", true);
        check("-oProxyCommand=x", false);
        check("", false);
        check(" a", false);
        check("a\nb", false);
        check("a\u{1b}[201~", false);
        check("a\u{202e}b", false);
        check(&"x".repeat(254), false);
        let known = Names { values: BTreeMap::from([("host", "db-1".to_owned())]) };
        assert_eq!(known.fill("{host} of {service}", str::to_owned), None, "what is not known is not told");
    }
}
