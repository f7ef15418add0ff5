//! How alike two documents are: shared words, component and symptom, through one small logistic.

use super::{
    concepts::{Things, Troubles, things, troubles},
    doc::Doc,
    lexicon::Lexicon,
};

/// What is measured of a pair.
const FEATURES: usize = 22;

/// What each says for or against "about the same", in log-odds: fitted to labelled alerts of five vendors, half of them read
/// with a part of the products left out of the lists, so that words still count where no list helps.
const WEIGHTS: [f64; FEATURES] = [
    -1.9, 2.55, -0.2, -0.8, 1.6, 1.4, 1.3, -1.0, -1.75, -2.75, -1.0, 1.5, 1.1, 1.2, 2.2, 1.0, -0.9, -2.65, 0.5, -0.1,
    1.45, -0.7,
];

/// Two products that are not the same: what is said of them may read alike and is about two things.
const CONFLICT: f64 = 0.35;

/// Words that weigh less are not worth showing.
const TELLING: f32 = 0.25;
/// Things shown of what two texts share.
const SHOWN: usize = 6;

/// Whether two texts say the same, 0 to 1: 1 for the same words, from about 0.7 on "about the same", near 0 for two
/// troubles or two things. Symmetric and always the same.
pub fn similarity(a: &Doc, b: &Doc) -> f64 {
    if a == b {
        return if a.is_empty() { 0.0 } else { 1.0 };
    }
    let lexicon = Lexicon::get();
    let things = things(lexicon, &a.concepts, &b.concepts);
    let troubles = troubles(lexicon, &a.concepts, &b.concepts);
    let words = overlap(a, b);
    let z: f64 = features(things, troubles, &words).iter().zip(WEIGHTS).map(|(f, w)| f * w).sum();
    let likely = 1.0 / (1.0 + (-z).exp());
    match things {
        Things::Siblings | Things::Different => likely * CONFLICT,
        // Nothing that both name: the words alone must carry it.
        Things::Bare | Things::Mixed | Things::One if !alike(troubles) => likely.min(words.all),
        _ => likely,
    }
}

fn alike(troubles: Troubles) -> bool {
    matches!(troubles, Troubles::Same | Troubles::Also)
}

fn features(things: Things, troubles: Troubles, words: &Overlap) -> [f64; FEATURES] {
    let is = |yes: bool| if yes { 1.0 } else { 0.0 };
    [
        1.0,
        words.all,
        words.apart,
        words.both,
        words.rarest,
        is(things == Things::Same),
        is(things == Things::Kind),
        is(things == Things::Siblings),
        is(things == Things::Different),
        is(things == Things::Part),
        is(things == Things::One),
        is(things == Things::Plain),
        is(things == Things::Mixed),
        is(things == Things::Bare),
        is(troubles == Troubles::Same),
        is(troubles == Troubles::Also),
        is(troubles == Troubles::Family),
        is(troubles == Troubles::Different),
        is(troubles == Troubles::One),
        is(troubles == Troubles::Neither),
        is(things == Things::Same && alike(troubles)),
        is(things == Things::Same) * words.all,
    ]
}

/// What two texts have in common, for a sentence of why: the trouble, the thing, then the words that tell most. At most
/// six.
pub fn shared(a: &Doc, b: &Doc) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    found.extend(a.symptom().filter(|s| b.symptom() == Some(s)).map(|s| s.replace('_', " ")));
    found.extend(a.component().filter(|c| b.component() == Some(c)).map(str::to_owned));
    let mut words: Vec<(f32, &str)> = a
        .terms
        .iter()
        .zip(a.words())
        .filter(|(term, _)| term.weight >= TELLING && b.terms.iter().any(|t| t.hash == term.hash))
        .map(|(term, word)| (term.weight, word))
        .filter(|(_, word)| !found.iter().any(|f| f.split(' ').any(|part| part.starts_with(word))))
        .collect();
    words.sort_by(|x, y| y.0.total_cmp(&x.0).then(x.1.cmp(y.1)));
    found.extend(words.into_iter().map(|(_, word)| word.replace('_', " ")));
    found.truncate(SHOWN);
    found
}

/// What two texts' words have in common, and what not.
struct Overlap {
    /// The cosine of all words.
    all: f64,
    /// What the titles say that the other text does not, as the weight of its words.
    apart: f64,
    /// That of the title which says less of its own: nothing, when one title is all in the other text.
    both: f64,
    /// The most telling word of both.
    rarest: f64,
}

fn overlap(a: &Doc, b: &Doc) -> Overlap {
    let (mut i, mut j) = (a.terms.iter().peekable(), b.terms.iter().peekable());
    let (mut all, mut rarest) = (0.0_f32, 0.0_f32);
    let (mut mine, mut theirs) = (0.0_f32, 0.0_f32);
    loop {
        let order = match (i.peek(), j.peek()) {
            (Some(x), Some(y)) => x.hash.cmp(&y.hash),
            (Some(_), None) => std::cmp::Ordering::Less,
            (None, Some(_)) => std::cmp::Ordering::Greater,
            (None, None) => break,
        };
        let x = if order.is_le() { i.next() } else { None };
        let y = if order.is_ge() { j.next() } else { None };
        match (x, y) {
            (Some(x), Some(y)) => {
                let product = x.weight * y.weight;
                all += product;
                rarest = rarest.max(product);
            }
            (Some(x), None) if x.title => mine += x.weight,
            (None, Some(y)) if y.title => theirs += y.weight,
            _ => {}
        }
    }
    let lengths = a.length * b.length;
    Overlap {
        all: if lengths > 0.0 { f64::from((all / lengths).clamp(0.0, 1.0)) } else { 0.0 },
        apart: f64::from((mine + theirs).min(6.0)),
        both: f64::from(mine.min(theirs).min(3.0)),
        rarest: f64::from(rarest),
    }
}
