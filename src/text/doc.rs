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
/// Longer words are cut: they are somebody's identifiers.
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
    /// Of the terms' weights as a vector.
    pub(super) length: f32,
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
            Some(word) => (true, lexicon.term(word)),
            None => (false, lexicon.term(w)),
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
        let title = title.into_iter().map(|t| (true, t));
        let description = description.into_iter().map(|t| (false, t));
        Self::of(lexicon, title.chain(description).collect(), concepts)
    }

    /// Of terms, a title's first; each is taken once.
    fn of(lexicon: &Lexicon, words: Vec<(bool, Term)>, concepts: Concepts) -> Self {
        let mut all: Vec<(Weighted, Term)> = Vec::with_capacity(words.len().min(KEPT));
        for (title, term) in words {
            let hash = hash(lexicon.name(&term));
            // Two words of one hash count as one: rare and harmless.
            if all.len() < KEPT && !all.iter().any(|(known, _)| known.hash == hash) {
                let weight = lexicon.weight_of(&term) * if title { 1.0 } else { BODY };
                all.push((Weighted { hash, weight, title }, term));
            }
        }
        all.sort_unstable_by_key(|(term, _)| term.hash);
        let mut words = String::new();
        for (weighted, term) in &all {
            if !words.is_empty() {
                words.push(' ');
            }
            if weighted.title {
                words.push('+');
            }
            words.push_str(lexicon.shown(term));
        }
        let length = all.iter().map(|(term, _)| term.weight * term.weight).sum::<f32>().sqrt();
        Self { terms: all.into_iter().map(|(term, _)| term).collect(), words: words.into(), concepts, length }
    }

    /// A number for what it says: the same for equal texts.
    pub fn digest(&self) -> u64 {
        let terms = self.terms.iter().map(|t| u64::from(t.hash) << 1 | u64::from(t.title));
        terms.fold(0xcbf2_9ce4_8422_2325, |sum, term| (sum ^ term).wrapping_mul(0x0000_0100_0000_01b3))
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

    /// Whether it says nothing.
    pub(super) fn is_empty(&self) -> bool {
        self.terms.is_empty()
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
            let end = piece.char_indices().nth(LONGEST).map_or(piece.len(), |(at, _)| at);
            found.push(lexicon.term(piece.get(..end).unwrap_or(piece)));
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
