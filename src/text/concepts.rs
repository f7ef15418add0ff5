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

/// What a common word adds to a rule.
const LEAST: f32 = 0.2;

/// Finds them.
pub fn find(lexicon: &Lexicon, title: &[Term], description: &[Term]) -> Concepts {
    let mut found = Concepts::default();
    let said = Said::new(lexicon, title, description);
    found.components = components(lexicon, title, description);
    let mut best: Vec<(f32, usize)> = Vec::new();
    let known = title.iter().chain(description).filter_map(|term| match term {
        Term::Known(id) => Some(*id),
        Term::Other { .. } => None,
    });
    for rule in known.flat_map(|id| lexicon.rules(id)) {
        if let Some(score) = said.score(lexicon, rule) {
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

/// What naming a thing settles, by its level: in the title, near the beginning of the description, and later there. A
/// product that the description begins with tells more than a part of a machine in the title; what comes later is often
/// advice.
const RANKS: [[u8; 3]; 4] = [[3, 2, 1], [7, 4, 2], [10, 6, 3], [11, 8, 5]];
/// The beginning of a description, in terms.
const EARLY: usize = 8;

fn components(lexicon: &Lexicon, title: &[Term], description: &[Term]) -> [Option<u16>; 2] {
    let mut found: Vec<(u8, usize)> = Vec::new();
    let places = title
        .iter()
        .map(|t| (t, 0))
        .chain(description.iter().enumerate().map(|(at, t)| (t, if at < EARLY { 1 } else { 2 })));
    for (term, place) in places {
        let Term::Known(id) = term else { continue };
        let Some(index) = lexicon.component_of(*id) else { continue };
        let Some(component) = lexicon.components.get(index) else { continue };
        let rank = RANKS.get(usize::from(component.level)).and_then(|r| r.get(place)).copied().unwrap_or_default();
        if !found.iter().any(|(_, known)| *known == index) {
            found.push((rank, index));
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
    fn score(&self, lexicon: &Lexicon, rule: &Rule) -> Option<f32> {
        let mut score = 0.0;
        for group in &rule.groups {
            let (id, place) = match group.iter().find(|id| has(&self.title, **id)) {
                Some(id) => (*id, 1.0),
                None => (*group.iter().find(|id| has(&self.all, **id))?, BODY),
            };
            // A telling word (`inode`) is worth two common ones (`disk`, `usage`).
            score += lexicon.weight(id).max(LEAST) * place;
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
pub enum Things {
    /// The same product, or object of a platform.
    Same,
    /// One is a kind of the other: `mysql` and `database`.
    Kind,
    /// Two kinds of one thing: `mysql` and `postgres`.
    Siblings,
    /// Two that have nothing to do with each other.
    Different,
    /// A product, and a machine or a network.
    Part,
    /// A product, and nothing named.
    One,
    /// Machines both, or networks both.
    Plain,
    /// No thing named in either.
    Bare,
    /// A machine and a network, or either and no thing named.
    Mixed,
}

/// How the troubles of two texts stand to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Troubles {
    /// The same.
    Same,
    /// The same among what either also says.
    Also,
    /// Two of one family.
    Family,
    /// Two that have nothing to do with each other.
    Different,
    /// Only one is known.
    One,
    /// Neither is.
    Neither,
}

/// How the components stand to each other.
pub fn things(lexicon: &Lexicon, a: &Concepts, b: &Concepts) -> Things {
    let of = |c: &Concepts| {
        let index = usize::from(c.components.first().copied().flatten()?);
        // A provider is no thing that something can be wrong with.
        lexicon.components.get(index).filter(|c| c.level > 0).map(|c| (index, c))
    };
    // Parts of a machine or of a network, however special, are no products.
    let product = |c: &Component| c.level > 2 || (c.level > 1 && c.class.is_none());
    let ((i, x), (j, y)) = match (of(a), of(b)) {
        (None, None) => return Things::Bare,
        (Some((_, c)), None) | (None, Some((_, c))) => {
            return if product(c) { Things::One } else { Things::Mixed };
        }
        (Some(x), Some(y)) => (x, y),
    };
    match (product(x), product(y)) {
        (false, false) if x.class == y.class => Things::Plain,
        (false, false) => Things::Mixed,
        _ if i == j => Things::Same,
        _ if x.parent == Some(y.name) || y.parent == Some(x.name) => Things::Kind,
        _ if x.loose && y.loose && x.parent == y.parent => Things::Kind,
        (true, true) if x.parent.is_some() && x.parent == y.parent => Things::Siblings,
        (true, true) => Things::Different,
        _ => Things::Part,
    }
}

/// How the symptoms stand to each other.
pub fn troubles(lexicon: &Lexicon, a: &Concepts, b: &Concepts) -> Troubles {
    let (mine, theirs) = (a.symptoms, b.symptoms);
    let family = |i: u16| lexicon.symptoms.get(usize::from(i)).map(|s| s.family);
    match (mine.first().copied().flatten(), theirs.first().copied().flatten()) {
        (None, None) => Troubles::Neither,
        (None, _) | (_, None) => Troubles::One,
        (Some(x), Some(y)) if x == y => Troubles::Same,
        (Some(x), Some(y)) => {
            if mine.iter().flatten().any(|i| theirs.iter().flatten().any(|j| i == j)) {
                Troubles::Also
            } else if family(x) == family(y) {
                Troubles::Family
            } else {
                Troubles::Different
            }
        }
    }
}
