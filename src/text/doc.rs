//! A text as the correlator keeps it: few, weighted terms and what they name.

use serde::{Deserialize, Serialize};

use super::{
    Class,
    concepts::{self, Concepts},
    lexicon::{Lexicon, Term},
    scan::{self, Kind},
};

/// Terms looked at in a title and in a description.
const TITLE: usize = 40;
const DESCRIPTION: usize = 60;
/// Terms kept, title's first.
const KEPT: usize = 32;
/// What a description's word says beside a title's.
const BODY: f32 = 0.5;
/// Longer stems are cut: they are somebody's identifiers.
const LONGEST: usize = 24;

/// A title and a description, read. A few hundred bytes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "Stored", into = "Stored")]
pub struct Doc {
    /// By hash, each once.
    pub(super) terms: Box<[Weighted]>,
    /// The terms' names in the same order, with spaces between; a title's begin with `+`.
    words: Box<str>,
    pub(super) concepts: Concepts,
}

/// A term as it is compared.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Weighted {
    pub hash: u32,
    pub weight: f32,
    pub title: bool,
}

/// The form of rows: words and names, so that other lists in a later version read it as far as they can.
#[derive(Serialize, Deserialize)]
struct Stored {
    #[serde(rename = "w")]
    words: String,
    #[serde(rename = "c", default, skip_serializing_if = "Vec::is_empty")]
    components: Vec<String>,
    #[serde(rename = "s", default, skip_serializing_if = "Vec::is_empty")]
    symptoms: Vec<String>,
}

impl From<Doc> for Stored {
    fn from(doc: Doc) -> Self {
        let lexicon = Lexicon::get();
        Self {
            components: doc.concepts.components(lexicon).map(|c| c.name.to_owned()).collect(),
            symptoms: doc.concepts.symptoms(lexicon).map(|s| s.name.to_owned()).collect(),
            words: doc.words.into(),
        }
    }
}

impl From<Stored> for Doc {
    fn from(stored: Stored) -> Self {
        let lexicon = Lexicon::get();
        let words = stored.words.split(' ').filter(|w| !w.is_empty()).take(KEPT).map(|w| match w.strip_prefix('+') {
            Some(word) => (true, word.to_owned()),
            None => (false, w.to_owned()),
        });
        Self::of(lexicon, words.collect(), Concepts::named(lexicon, &stored.components, &stored.symptoms))
    }
}

impl Doc {
    /// Reads a text. Cheap: microseconds, however long it is.
    pub fn read(title: &str, description: &str) -> Self {
        let lexicon = Lexicon::get();
        let title = terms(lexicon, title, TITLE);
        let description = terms(lexicon, description, DESCRIPTION);
        let concepts = concepts::find(lexicon, &title, &description);
        let mut words: Vec<(bool, String)> = Vec::new();
        for (in_title, term) in title.iter().map(|t| (true, t)).chain(description.iter().map(|t| (false, t))) {
            let name = lexicon.name(term);
            let end = name.char_indices().nth(LONGEST).map_or(name.len(), |(at, _)| at);
            let name = name.get(..end).unwrap_or(name);
            if words.len() < KEPT && !words.iter().any(|(_, w)| w == name) {
                words.push((in_title, name.to_owned()));
            }
        }
        Self::of(lexicon, words, concepts)
    }

    fn of(lexicon: &Lexicon, words: Vec<(bool, String)>, concepts: Concepts) -> Self {
        let mut all: Vec<(Weighted, String)> = words
            .into_iter()
            .map(|(title, word)| {
                let weight = lexicon.weight_of(&word) * if title { 1.0 } else { BODY };
                (Weighted { hash: hash(&word), weight, title }, word)
            })
            .collect();
        all.sort_by(|(a, x), (b, y)| a.hash.cmp(&b.hash).then_with(|| x.cmp(y)));
        // Two words of one hash would be counted as one: rare, harmless, and not worth keeping both.
        all.dedup_by_key(|(term, _)| term.hash);
        let text: Vec<String> =
            all.iter().map(|(term, word)| if term.title { format!("+{word}") } else { word.clone() }).collect();
        Self { terms: all.into_iter().map(|(term, _)| term).collect(), words: text.join(" ").into(), concepts }
    }

    /// Whether it is about machines, or about the network: by the component and by the symptom.
    pub fn is_about(&self, class: Class) -> bool {
        self.concepts.is_about(Lexicon::get(), class)
    }

    /// What is wrong, as far as the lists know it: `replication_lag`.
    pub fn symptom(&self) -> Option<&'static str> {
        self.concepts.symptoms(Lexicon::get()).next().map(|s| s.name)
    }

    /// With what, as far as the lists know it: `mysql`.
    pub fn component(&self) -> Option<&'static str> {
        self.concepts.components(Lexicon::get()).next().map(|c| c.name)
    }

    /// The terms' names, in the order of `terms`.
    pub(super) fn words(&self) -> impl Iterator<Item = &str> {
        self.words.split(' ').filter(|w| !w.is_empty()).map(|w| w.strip_prefix('+').unwrap_or(w))
    }
}

/// The terms of a text that say what it is about, phrases joined; at most `most`.
fn terms(lexicon: &Lexicon, text: &str, most: usize) -> Vec<Term> {
    let mut found: Vec<Term> = Vec::with_capacity(most.min(16));
    scan::scan(lexicon, text, &mut |piece, kind| {
        if kind == Kind::Word && !lexicon.stops(piece) {
            found.push(lexicon.term(piece));
        }
        found.len() < most
    });
    let mut joined = Vec::with_capacity(found.len());
    let mut at = 0;
    while let Some(rest) = found.get(at..).filter(|r| !r.is_empty()) {
        match lexicon.phrase(rest) {
            Some((id, length)) => {
                joined.push(Term::Known(id));
                at += length;
            }
            None => {
                joined.extend(rest.first().cloned());
                at += 1;
            }
        }
    }
    joined
}

/// FNV-1a: the same everywhere and for ever, which the standard library's is not.
fn hash(word: &str) -> u32 {
    word.bytes().fold(0x811c_9dc5, |h, b| (h ^ u32::from(b)).wrapping_mul(0x0100_0193))
}
