//! The words of the field: what they mean, how much they tell, and which things and troubles they name. Read once from the
//! lists in `data/`, which are part of the program.

use std::{borrow::Cow, collections::HashMap, sync::LazyLock};

use frostem::{Algorithm, Stemmer};

use super::Class;

const STOP: &str = include_str!("data/stop.txt");
const WORDS: &str = include_str!("data/words.txt");
const COMMON: &str = include_str!("data/common.txt");
const COMPONENTS: &str = include_str!("data/components.txt");
const SYMPTOMS: &str = include_str!("data/symptoms.txt");

/// What a word weighs that no list names: it may tell much (`galera`) or nothing (a team's name).
pub const UNKNOWN: f32 = 1.0;

/// Stems of fewer letters are no words' but abbreviations'.
const SHORTEST: usize = 4;

/// The number of a term of the lists.
pub type Id = u16;

/// A thing that alerts are about.
#[derive(Debug)]
pub struct Component {
    /// `mysql`
    pub name: &'static str,
    /// What it is a kind of.
    pub parent: Option<&'static str>,
    /// Whether two of a kind may be the same: parts of Kubernetes, load balancers.
    pub loose: bool,
    /// How much naming it settles: a product (3), a platform (2), a part of a machine (1), a provider (0).
    pub level: u8,
    /// Machines or networks.
    pub class: Option<Class>,
}

/// What can be wrong with it.
#[derive(Debug)]
pub struct Symptom {
    /// `replication_lag`
    pub name: &'static str,
    /// Troubles of one family are not the same but do not contradict each other.
    pub family: &'static str,
    /// Machines or networks, whatever the component.
    pub class: Option<Class>,
}

/// Words that together say a symptom: one of each group.
#[derive(Debug)]
pub struct Rule {
    /// Which symptom.
    pub symptom: usize,
    /// Alternatives for each place.
    pub groups: Vec<Vec<Id>>,
    /// Words that say it is something else.
    pub without: Vec<Id>,
}

/// All lists.
pub struct Lexicon {
    stemmer: Stemmer,
    /// Words as they are written, and their stems.
    words: HashMap<String, Id>,
    stems: HashMap<String, Id>,
    stop: HashMap<&'static str, ()>,
    names: Vec<String>,
    weights: Vec<f32>,
    /// Terms in a row that are one term; by their first.
    phrases: HashMap<Id, Vec<(Vec<Id>, Id)>>,
    common: HashMap<String, f32>,
    /// Things by the term that names them.
    named: HashMap<Id, usize>,
    /// In the order of the list.
    pub components: Vec<Component>,
    /// In the order of the list.
    pub symptoms: Vec<Symptom>,
    /// How troubles are said.
    rules: Vec<Rule>,
    /// Rules by each word of their first place.
    begun: HashMap<Id, Vec<usize>>,
}

static LEXICON: LazyLock<Lexicon> = LazyLock::new(Lexicon::read);

/// A normalised term.
#[derive(Clone, Debug, PartialEq)]
pub enum Term {
    /// Of the lists.
    Known(Id),
    /// Another word.
    Other {
        /// What it is compared by.
        stem: String,
        /// As it was written, in small letters.
        word: String,
    },
}

impl Lexicon {
    /// The one of this program.
    pub fn get() -> &'static Self {
        &LEXICON
    }

    /// Whether a word, as it is written in small letters, is in the lists.
    pub fn knows(&self, word: &str) -> bool {
        self.words.contains_key(word)
    }

    /// Whether it says nothing by itself.
    pub fn stops(&self, word: &str) -> bool {
        self.stop.contains_key(word)
    }

    /// A word in small letters as a term.
    pub fn term(&self, word: &str) -> Term {
        if let Some(id) = self.words.get(word) {
            return Term::Known(*id);
        }
        let stem = self.stem(word);
        // Short stems belong to abbreviations: `nats` is no `nat`, `acme` no `acm`.
        match self.stems.get(stem.as_ref()).filter(|_| stem.len() >= SHORTEST) {
            Some(id) => Term::Known(*id),
            None => Term::Other { stem: stem.into_owned(), word: word.to_owned() },
        }
    }

    /// The stem of a word in small letters.
    pub fn stem<'a>(&self, word: &'a str) -> Cow<'a, str> {
        if word.is_ascii() && word.len() > 3 { self.stemmer.stem(word) } else { Cow::Borrowed(word) }
    }

    /// The readable name of a term.
    pub fn name<'a>(&'a self, term: &'a Term) -> &'a str {
        match term {
            Term::Known(id) => self.names.get(usize::from(*id)).map_or("", String::as_str),
            Term::Other { stem, .. } => stem,
        }
    }

    /// What a reader is shown of a term.
    pub fn shown<'a>(&'a self, term: &'a Term) -> &'a str {
        match term {
            Term::Other { word, .. } => word,
            known @ Term::Known(_) => self.name(known),
        }
    }

    /// How much a term tells, 0 to about 1.
    pub fn weight_of(&self, term: &Term) -> f32 {
        match term {
            Term::Known(id) => self.weight(*id),
            Term::Other { stem, .. } => self.common.get(stem).copied().unwrap_or(UNKNOWN),
        }
    }

    /// How many terms the lists have.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// How much a term of the lists tells.
    pub fn weight(&self, id: Id) -> f32 {
        self.weights.get(usize::from(id)).copied().unwrap_or(UNKNOWN)
    }

    /// The thing that a term names.
    pub fn component_of(&self, id: Id) -> Option<usize> {
        self.named.get(&id).copied()
    }

    /// The rules that may hold where a term is said.
    pub fn rules(&self, id: Id) -> impl Iterator<Item = &Rule> {
        self.begun.get(&id).into_iter().flatten().filter_map(|i| self.rules.get(*i))
    }

    /// The term for the longest phrase that `terms` begin with, and its length.
    pub fn phrase(&self, terms: &[Term]) -> Option<(Id, usize)> {
        let Some(Term::Known(first)) = terms.first() else { return None };
        let is = |words: &[Id]| {
            words.len() <= terms.len() && words.iter().zip(terms).all(|(w, t)| matches!(t, Term::Known(id) if id == w))
        };
        // Longest first.
        self.phrases.get(first)?.iter().find(|(words, _)| is(words)).map(|(words, id)| (*id, words.len()))
    }

    fn id(&mut self, name: &str) -> Id {
        if let Some(known) = self.words.get(name) {
            return *known;
        }
        // More than 65,535 terms would need lists of another kind.
        let id = Id::try_from(self.names.len()).unwrap_or(Id::MAX);
        self.names.push(name.to_owned());
        self.weights.push(UNKNOWN);
        self.spelled(name, id);
        id
    }

    /// `word!` stands for itself only: "paging" is not "page".
    fn spelled(&mut self, word: &str, id: Id) {
        if let Some(word) = word.strip_suffix('!') {
            self.words.entry(word.to_owned()).or_insert(id);
            return;
        }
        let stem = self.stem(word).into_owned();
        self.words.entry(word.to_owned()).or_insert(id);
        if stem.len() >= SHORTEST {
            self.stems.entry(stem).or_insert(id);
        }
    }

    /// The term of a word in a list: what it means if it is known, itself otherwise.
    fn listed(&mut self, word: &str) -> Id {
        match self.term(word) {
            Term::Known(id) => id,
            Term::Other { .. } => self.id(word),
        }
    }

    fn read() -> Self {
        let mut lexicon = Self {
            stemmer: Stemmer::new(Algorithm::English),
            words: HashMap::new(),
            stems: HashMap::new(),
            stop: STOP
                .lines()
                .filter(|l| !l.starts_with('#'))
                .flat_map(str::split_whitespace)
                .map(|w| (w, ()))
                .collect(),
            names: Vec::new(),
            weights: Vec::new(),
            phrases: HashMap::new(),
            common: HashMap::new(),
            named: HashMap::new(),
            components: Vec::new(),
            symptoms: Vec::new(),
            rules: Vec::new(),
            begun: HashMap::new(),
        };
        lexicon.words();
        lexicon.components();
        lexicon.symptoms();
        lexicon.common();
        for phrases in lexicon.phrases.values_mut() {
            phrases.sort_by_key(|(words, _)| std::cmp::Reverse(words.len()));
        }
        lexicon
    }

    /// `term = word, word, words in a row`, `word!` for one that stands for itself only
    fn words(&mut self) {
        // Single words first, so that phrases are made of terms.
        for (name, variants) in lines(WORDS).filter_map(|l| l.split_once('=')) {
            let id = self.id(name.trim());
            for word in variants.split(',').map(str::trim).filter(|w| !w.is_empty() && !w.contains(' ')) {
                self.spelled(word, id);
            }
        }
        for (name, variants) in lines(WORDS).filter_map(|l| l.split_once('=')) {
            let id = self.id(name.trim());
            for phrase in variants.split(',').map(str::trim).filter(|w| w.contains(' ')) {
                self.phrase_for(phrase, id);
            }
        }
    }

    fn phrase_for(&mut self, phrase: &str, id: Id) {
        let words: Vec<&str> = phrase.split_whitespace().filter(|w| !self.stops(w)).collect();
        let ids: Vec<Id> = words.into_iter().map(|w| self.listed(w)).collect();
        // With its empty words left out it may be a single word, which means something else.
        if let Some(first) = ids.first().copied().filter(|_| ids.len() > 1) {
            self.phrases.entry(first).or_default().push((ids, id));
        }
    }

    /// `@level class` heads a part; `name < parent = word, word, words in a row`, or `name ~ parent = …`
    fn components(&mut self) {
        let (mut level, mut class) = (3, None);
        for line in lines(COMPONENTS) {
            if let Some(head) = line.strip_prefix('@') {
                let mut words = head.split_whitespace();
                level = words.next().and_then(|n| n.parse().ok()).unwrap_or(level);
                class = words.next().and_then(Class::named);
                continue;
            }
            let (head, variants) = line.split_once('=').unwrap_or((line, ""));
            let (name, parent) = head.split_once(['<', '~']).map_or((head, None), |(n, p)| (n, Some(p.trim())));
            let name = name.trim();
            let index = self.components.len();
            self.components.push(Component { name, parent, loose: head.contains('~'), level, class });
            let own = self.listed(name);
            self.named.entry(own).or_insert(index);
            for variant in variants.split(',').map(str::trim).filter(|v| !v.is_empty()) {
                let id = if variant.contains(' ') {
                    let id = self.id(&variant.replace(' ', "_"));
                    self.phrase_for(variant, id);
                    id
                } else {
                    self.listed(variant)
                };
                self.named.entry(id).or_insert(index);
            }
        }
    }

    /// `@family class` heads a part; `name = word word/other !not | word word`
    fn symptoms(&mut self) {
        let (mut family, mut class) = ("", None);
        for line in lines(SYMPTOMS) {
            if let Some(head) = line.strip_prefix('@') {
                let mut words = head.split_whitespace();
                family = words.next().unwrap_or_default();
                class = words.next().and_then(Class::named);
                continue;
            }
            let Some((name, rules)) = line.split_once('=') else { continue };
            let name = name.trim();
            let symptom = self.symptoms.iter().position(|s| s.name == name).unwrap_or_else(|| {
                self.symptoms.push(Symptom { name, family, class });
                self.symptoms.len() - 1
            });
            for rule in rules.split('|') {
                let (mut groups, mut without): (Vec<Vec<Id>>, Vec<Id>) = (Vec::new(), Vec::new());
                for word in rule.split_whitespace() {
                    match word.strip_prefix('!') {
                        Some(word) => without.extend(word.split('/').map(|w| self.listed(w))),
                        None => groups.push(word.split('/').map(|w| self.listed(w)).collect()),
                    }
                }
                for first in groups.first().into_iter().flatten() {
                    self.begun.entry(*first).or_default().push(self.rules.len());
                }
                self.rules.push(Rule { symptom, groups, without });
            }
        }
    }

    /// `weight: word word`
    fn common(&mut self) {
        for (weight, words) in lines(COMMON).filter_map(|l| l.split_once(':')) {
            let Ok(weight) = weight.trim().parse::<f32>() else { continue };
            for word in words.split_whitespace() {
                match self.term(word) {
                    Term::Known(id) => {
                        if let Some(place) = self.weights.get_mut(usize::from(id)) {
                            *place = weight;
                        }
                    }
                    Term::Other { stem, .. } => {
                        self.common.insert(stem, weight);
                    }
                }
            }
        }
    }
}

fn lines(text: &'static str) -> impl Iterator<Item = &'static str> {
    text.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#'))
}
