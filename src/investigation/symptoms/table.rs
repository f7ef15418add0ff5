//! The table: that of the house, and over it that of the people who run it, in the same form.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, LazyLock},
};

use super::{Flavour, Reading, split};
use crate::{investigation::suggest::Fault, model::Symptom};

const HOUSE: &str = include_str!("../data/symptoms.tsv");
/// Other words allowed between two words of a phrase.
const GAP: usize = 3;
/// Lines of a table of one's own, words of a phrase, and mistakes told of one file.
const LINES: usize = 5_000;
const WORDS: usize = 12;
const TOLD: usize = 50;
/// In the place of a symptom: the phrase tells nothing.
const OFF: &str = "-";

#[derive(Clone, Debug)]
struct Phrase {
    words: Vec<String>,
    reading: Reading,
}

#[derive(Debug, Default)]
struct Table {
    // The upper one wins among those of the same length.
    phrases: Vec<Phrase>,
    // By first word; those whose first word is open-ended stand apart.
    by_word: HashMap<String, Vec<usize>>,
    open: Vec<usize>,
}

/// Which words tell which symptom. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Symptoms(Arc<Table>);

// A test reads every line, so a product without its table does not leave the house.
static BUILT_IN: LazyLock<Symptoms> = LazyLock::new(|| {
    let lines = rows(HOUSE).filter_map(|(_, line)| row(line).ok());
    Symptoms::of(lines.filter_map(|r| Some(Phrase { words: r.words, reading: r.reading? })))
});

impl Default for Symptoms {
    fn default() -> Self {
        BUILT_IN.clone()
    }
}

impl PartialEq for Symptoms {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Symptoms {
    fn of(phrases: impl Iterator<Item = Phrase>) -> Self {
        let mut table = Table::default();
        for phrase in phrases {
            let at = table.phrases.len();
            match phrase.words.first() {
                Some(first) if first.ends_with('*') => table.open.push(at),
                Some(first) => table.by_word.entry(first.clone()).or_default().push(at),
                None => continue,
            }
            table.phrases.push(phrase);
        }
        Self(Arc::new(table))
    }

    /// That of the house with the lines of a file over it, and what is wrong with those. A phrase of the file comes before
    /// all of the house, and in the place of the one with the same words.
    pub fn with(name: &str, text: &str) -> (Self, Vec<Fault>) {
        let mut faults: Vec<Fault> = Vec::new();
        let mut fault = |line: usize, what: String| {
            if faults.len() < TOLD {
                faults.push(Fault { file: name.to_owned(), line: Some(line), column: None, what });
            }
        };
        let mut seen: HashMap<Vec<String>, usize> = HashMap::new();
        let mut own: Vec<Phrase> = Vec::new();
        for (count, (n, line)) in rows(text).enumerate() {
            if count >= LINES {
                fault(n, format!("a table has at most {LINES} phrases; from here on they are not used"));
                break;
            }
            let Row { words, reading } = match row(line) {
                Ok(row) => row,
                Err(what) => {
                    fault(n, what);
                    continue;
                }
            };
            if let Some(first) = seen.insert(words.clone(), n) {
                seen.insert(words.clone(), first);
                fault(n, format!("`{}` stands in line {first} already; take one of them out", words.join(" ")));
                continue;
            }
            match reading {
                Some(reading) => own.push(Phrase { words, reading }),
                None if BUILT_IN.0.phrases.iter().all(|p| p.words != words) => {
                    let what = format!(
                        "`{}` is to tell nothing, and it is no phrase of the table; write the words as \
                         src/investigation/data/symptoms.tsv has them",
                        words.join(" ")
                    );
                    fault(n, what);
                }
                None => {}
            }
        }
        let taken: HashSet<&Vec<String>> = seen.keys().collect();
        let house = BUILT_IN.0.phrases.iter().filter(|p| !taken.contains(&p.words)).cloned();
        (Self::of(own.into_iter().chain(house)), faults)
    }

    /// How many phrases there are.
    pub fn len(&self) -> usize {
        self.0.phrases.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.phrases.is_empty()
    }

    /// The phrase with most words among those that stand in these words, and of several the upper one.
    pub(super) fn search(&self, words: &[String]) -> Option<Reading> {
        let table = &*self.0;
        let mut best: Option<(usize, usize)> = None;
        for (start, word) in words.iter().enumerate() {
            let closed = table.by_word.get(word.as_str()).into_iter().flatten();
            for &at in closed.chain(&table.open) {
                let Some(phrase) = table.phrases.get(at) else { continue };
                let rank = (phrase.words.len(), usize::MAX - at);
                if best.is_none_or(|b| rank > b) && stands(&phrase.words, words.get(start..).unwrap_or(&[])) {
                    best = Some(rank);
                }
            }
        }
        best.and_then(|(_, at)| table.phrases.get(usize::MAX - at)).map(|p| p.reading)
    }
}

/// A line of a table; no reading where the phrase is to tell nothing.
struct Row {
    words: Vec<String>,
    reading: Option<Reading>,
}

fn rows(text: &str) -> impl Iterator<Item = (usize, &str)> {
    (1..).zip(text.lines()).filter(|(_, l)| !l.trim().is_empty() && !l.starts_with('#'))
}

/// `symptom TAB words`. The error says what would be right.
fn row(line: &str) -> Result<Row, String> {
    let Some((name, phrase)) = line.split_once('\t') else {
        return Err("there is no tab in it; write a symptom, a tab, and the words".to_owned());
    };
    let reading = if name.trim() == OFF { None } else { Some(reading(name.trim())?) };
    let mut words = Vec::new();
    for word in phrase.split_whitespace() {
        let (stem, rest) = match word.strip_suffix('*') {
            Some(stem) => (stem, "*"),
            None => (word, ""),
        };
        // As the words of alerts are taken apart, so that `Disk-Full` is found.
        let mut parts = split(stem);
        match parts.last_mut() {
            Some(last) => last.push_str(rest),
            None => return Err(format!("`{}` has neither letter nor digit; write words", short(word))),
        }
        words.append(&mut parts);
    }
    match words.len() {
        0 => Err("there are no words after the tab; write those that an alert has".to_owned()),
        1..=WORDS => Ok(Row { words, reading }),
        n => Err(format!("it has {n} words; write at most {WORDS} of those that tell most")),
    }
}

fn reading(name: &str) -> Result<Reading, String> {
    let (plain, flavour) = match name.split_once('.') {
        None => (name, Flavour::Plain),
        Some((plain, "log")) => (plain, Flavour::Log),
        Some((plain, "volume")) => (plain, Flavour::Volume),
        Some((plain, other)) => {
            return Err(format!("`.{}` is unknown; write {plain}.log, {plain}.volume, or {plain}", short(other)));
        }
    };
    if plain == "no_data" {
        return Ok(Reading { blind: true, ..Reading::UNKNOWN });
    }
    match plain.parse::<Symptom>() {
        Ok(symptom) if symptom != Symptom::Unknown => Ok(Reading { symptom, flavour, ..Reading::UNKNOWN }),
        _ => {
            let all: Vec<&str> = Symptom::ALL.iter().filter(|s| **s != Symptom::Unknown).map(|s| s.as_str()).collect();
            Err(format!(
                "`{}` is no symptom; write one of {}, no_data, or `{OFF}` for a phrase that is to tell nothing",
                short(plain),
                all.join(", ")
            ))
        }
    }
}

fn short(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(40).collect()
}

/// Whether the phrase begins at the first of these words.
fn stands(phrase: &[String], words: &[String]) -> bool {
    let mut rest = words;
    for (n, wanted) in phrase.iter().enumerate() {
        let reach = if n == 0 { 1 } else { GAP + 1 };
        let Some(at) = rest.iter().take(reach).position(|w| same(wanted, w)) else { return false };
        rest = rest.get(at + 1..).unwrap_or(&[]);
    }
    true
}

fn same(wanted: &str, word: &str) -> bool {
    wanted.strip_suffix('*').map_or(wanted == word, |stem| word.starts_with(stem))
}

#[cfg(test)]
mod tests {
    use super::{super::of_text, *};

    #[test]
    fn every_line_of_the_house_is_a_phrase_and_none_stands_twice() {
        let mut seen = HashSet::new();
        for (n, line) in rows(HOUSE) {
            let row = row(line).unwrap_or_else(|e| panic!("{n}: {e}"));
            assert!(row.reading.is_some(), "{line}");
            assert_eq!(row.words.join(" "), line.split_once('\t').unwrap().1, "it is written as words are taken apart");
            assert!(seen.insert(row.words), "stands twice: {line}");
        }
        assert_eq!(Symptoms::default().len(), seen.len());
    }

    #[test]
    fn a_table_of_ones_own_adds_replaces_and_takes_away() {
        let own = "# ours\nbacklog\tTailspin-Lag\n\ncpu\tdisk full\n-\tdisk space\nno_data\tprobe silent\nerrors.log\tblew u*\n";
        let (table, faults) = Symptoms::with("own.tsv", own);
        assert_eq!(faults, []);
        let check = |text: &str, want: &str| {
            let got = of_text(&table, text).map_or("none", |r| if r.blind { "no_data" } else { r.symptom.as_str() });
            assert_eq!(got, want, "{text}");
        };
        check("TailspinLag is 12", "backlog");
        check("Disk full", "cpu");
        check("little disk space", "none");
        check("probe went silent", "no_data");
        check("it blew up", "errors");
        check("OOM killed", "memory");
        let house = Symptoms::default();
        assert_eq!(
            of_text(&house, "Disk full").map(|r| r.symptom),
            Some(Symptom::DiskSpace),
            "that of the house stays"
        );
    }

    #[test]
    fn mistakes_have_their_line_and_a_remedy_and_the_rest_is_used() {
        let check = |text: &str, want: &str| {
            let (table, faults) = Symptoms::with("own.tsv", text);
            let told: Vec<String> = faults.iter().map(ToString::to_string).collect();
            assert!(told.len() == 1 && told[0].contains(want), "{text}: {told:?}");
            assert_eq!(of_text(&table, "OOM killed").map(|r| r.symptom), Some(Symptom::Memory));
        };
        check("cpu burning hot", "own.tsv:1: there is no tab in it");
        check("\n# x\nsadness\tcries", "own.tsv:3: `sadness` is no symptom; write one of unavailable, errors");
        check("unknown\tx", "`unknown` is no symptom");
        check("cpu.loud\tfans", "`.loud` is unknown; write cpu.log, cpu.volume, or cpu");
        check("cpu\t  ", "no words after the tab");
        check("cpu\t --- ", "neither letter nor digit");
        check("cpu\ta b\ncpu\tA-B", "own.tsv:2: `a b` stands in line 1 already");
        check("-\tnever heard", "is no phrase of the table");
        check(&format!("cpu\t{}", "w ".repeat(13)), "it has 13 words; write at most 12");
        let many: String = (0..5_002).map(|n| format!("cpu\tfan{n}\n")).collect();
        check(&many, "own.tsv:5001: a table has at most 5000 phrases");
    }
}
