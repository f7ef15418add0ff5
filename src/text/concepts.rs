//! Which thing a text is about and what is wrong with it.

use super::{
    Class,
    lexicon::{Component, Id, Lexicon, Rule, Symptom, Term},
};

/// Things and troubles of one text, the surest first.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Concepts {
    components: [Option<u16>; 2],
    symptoms: [Option<u16>; 2],
}

/// A word of the description counts for less: it often tells what else may be wrong or what to do.
const BODY: f32 = 0.55;
/// A second symptom that is said nearly as well is kept.
const NEARLY: f32 = 0.75;

/// Finds them.
pub fn find(lexicon: &Lexicon, title: &[Term], description: &[Term]) -> Concepts {
    let mut found = Concepts::default();
    let said = Said::new(lexicon, title, description);
    found.components = components(lexicon, title, description);
    let mut best: Vec<(f32, usize)> = Vec::new();
    for rule in &lexicon.rules {
        if let Some(score) = said.score(rule) {
            match best.iter_mut().find(|(_, s)| *s == rule.symptom) {
                Some(known) => known.0 = known.0.max(score),
                None => best.push((score, rule.symptom)),
            }
        }
    }
    best.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    let least = best.first().map_or(0.0, |(score, _)| score * NEARLY);
    for (place, (_, symptom)) in found.symptoms.iter_mut().zip(best.into_iter().filter(|(s, _)| *s >= least)) {
        *place = u16::try_from(symptom).ok();
    }
    found
}

fn components(lexicon: &Lexicon, title: &[Term], description: &[Term]) -> [Option<u16>; 2] {
    let mut found: Vec<(u8, usize)> = Vec::new();
    for (terms, in_title) in [(title, true), (description, false)] {
        for term in terms {
            let Term::Known(id) = term else { continue };
            let Some(index) = lexicon.component_of(*id) else { continue };
            let Some(component) = lexicon.components.get(index) else { continue };
            // A product in the description tells more than a part of a machine in the title.
            let rank = component.level * 2 + u8::from(in_title);
            if !found.iter().any(|(_, known)| *known == index) {
                found.push((rank, index));
            }
        }
    }
    // Stable: of equal rank the one that is said first.
    found.sort_by_key(|(rank, _)| std::cmp::Reverse(*rank));
    let mut places = [None; 2];
    for (place, (_, index)) in places.iter_mut().zip(found) {
        *place = u16::try_from(index).ok();
    }
    places
}

/// Which terms of the lists a text has, and where.
struct Said {
    title: Vec<u64>,
    all: Vec<u64>,
}

impl Said {
    fn new(lexicon: &Lexicon, title: &[Term], description: &[Term]) -> Self {
        let mut said = Self { title: vec![0; lexicon.len() / 64 + 1], all: vec![0; lexicon.len() / 64 + 1] };
        for term in title {
            mark(&mut said.title, term);
            mark(&mut said.all, term);
        }
        for term in description {
            mark(&mut said.all, term);
        }
        said
    }

    /// How well a rule's words are said; none when one is missing.
    fn score(&self, rule: &Rule) -> Option<f32> {
        let mut score = 0.0;
        for group in &rule.groups {
            score += if group.iter().any(|id| has(&self.title, *id)) {
                1.0
            } else if group.iter().any(|id| has(&self.all, *id)) {
                BODY
            } else {
                return None;
            };
        }
        (!rule.without.iter().any(|id| has(&self.all, *id))).then_some(score)
    }
}

fn mark(bits: &mut [u64], term: &Term) {
    if let Term::Known(id) = term
        && let Some(word) = bits.get_mut(usize::from(*id) / 64)
    {
        *word |= 1 << (id % 64);
    }
}

fn has(bits: &[u64], id: Id) -> bool {
    bits.get(usize::from(id) / 64).is_some_and(|word| word & (1 << (id % 64)) != 0)
}

impl Concepts {
    /// By their names, as rows have them; names that the lists no longer have are left out.
    pub fn named(lexicon: &Lexicon, components: &[String], symptoms: &[String]) -> Self {
        let mut found = Self::default();
        let known = components.iter().filter_map(|name| lexicon.components.iter().position(|c| c.name == name));
        for (place, index) in found.components.iter_mut().zip(known) {
            *place = u16::try_from(index).ok();
        }
        let known = symptoms.iter().filter_map(|name| lexicon.symptoms.iter().position(|s| s.name == name));
        for (place, index) in found.symptoms.iter_mut().zip(known) {
            *place = u16::try_from(index).ok();
        }
        found
    }

    /// The things, the surest first.
    pub fn components<'a>(&self, lexicon: &'a Lexicon) -> impl Iterator<Item = &'a Component> + use<'a> {
        self.components.into_iter().flatten().filter_map(|i| lexicon.components.get(usize::from(i)))
    }

    /// The troubles, the surest first.
    pub fn symptoms<'a>(&self, lexicon: &'a Lexicon) -> impl Iterator<Item = &'a Symptom> + use<'a> {
        self.symptoms.into_iter().flatten().filter_map(|i| lexicon.symptoms.get(usize::from(i)))
    }

    /// Whether the component or the symptom is of this class. A product is not its machine: "MySQL uses much CPU" is about
    /// MySQL.
    pub fn is_about(&self, lexicon: &Lexicon, class: Class) -> bool {
        let component = self.components(lexicon).next();
        let of_component = component.is_some_and(|c| c.class == Some(class));
        let of_symptom = self.symptoms(lexicon).next().is_some_and(|s| s.class == Some(class));
        let product = component.is_some_and(|c| c.level >= 2 && c.class.is_none());
        of_component || (of_symptom && !product)
    }
}

/// How the things of two texts stand to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    /// The same.
    Same,
    /// One is a kind of the other.
    Kind,
    /// Kinds of the same, or troubles of one family.
    Near,
    /// Two different ones.
    Different,
    /// Only one is known.
    One,
    /// Neither is.
    Neither,
}

/// How the components stand to each other.
pub fn components_of(lexicon: &Lexicon, a: &Concepts, b: &Concepts) -> Relation {
    match (a.components.first().copied().flatten(), b.components.first().copied().flatten()) {
        (None, None) => Relation::Neither,
        (None, _) | (_, None) => Relation::One,
        (Some(x), Some(y)) if x == y => Relation::Same,
        (Some(x), Some(y)) => {
            let parent = |i: u16| lexicon.components.get(usize::from(i)).and_then(|c| c.parent);
            if parent(x) == Some(usize::from(y)) || parent(y) == Some(usize::from(x)) {
                Relation::Kind
            } else if parent(x).is_some() && parent(x) == parent(y) {
                Relation::Near
            } else {
                Relation::Different
            }
        }
    }
}

/// How the symptoms stand to each other.
pub fn symptoms_of(lexicon: &Lexicon, a: &Concepts, b: &Concepts) -> Relation {
    let (mine, theirs) = (a.symptoms, b.symptoms);
    match (mine.iter().flatten().next(), theirs.iter().flatten().next()) {
        (None, None) => Relation::Neither,
        (None, _) | (_, None) => Relation::One,
        (Some(x), Some(y)) if x == y => Relation::Same,
        (Some(x), Some(y)) => {
            let family = |i: &u16| lexicon.symptoms.get(usize::from(*i)).map(|s| s.family);
            if mine.iter().flatten().any(|i| theirs.iter().flatten().any(|j| i == j)) {
                Relation::Kind
            } else if family(x) == family(y) {
                Relation::Near
            } else {
                Relation::Different
            }
        }
    }
}
