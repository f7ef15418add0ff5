//! How alike two documents are: shared words, component and symptom, through one small logistic.

use super::{
    concepts::{Relation, components_of, symptoms_of},
    doc::Doc,
    lexicon::Lexicon,
};

/// Whether two texts say the same, 0 to 1: 1 for the same words, from about 0.7 on "about the same", near 0 for two
/// troubles or two things. Symmetric and always the same.
pub fn similarity(a: &Doc, b: &Doc) -> f64 {
    if a == b {
        return if a.terms.is_empty() { 0.0 } else { 1.0 };
    }
    let lexicon = Lexicon::get();
    let cosine = cosine(a, b);
    let component = match components_of(lexicon, &a.concepts, &b.concepts) {
        Relation::Same => 2.0,
        Relation::Kind => 0.5,
        Relation::Near => -1.5,
        Relation::Different => -3.0,
        Relation::One => -0.5,
        Relation::Neither => 0.0,
    };
    let symptom = match symptoms_of(lexicon, &a.concepts, &b.concepts) {
        Relation::Same => 2.5,
        Relation::Kind => 1.5,
        Relation::Near => -1.0,
        Relation::Different => -3.0,
        Relation::One => -0.5,
        Relation::Neither => 0.0,
    };
    let z = -4.0 + 6.0 * cosine + component + symptom;
    1.0 / (1.0 + (-z).exp())
}

/// The words and concepts that two texts have in common, the most telling first, for a sentence of why.
pub fn shared(a: &Doc, b: &Doc) -> Vec<String> {
    let (mine, theirs): (Vec<&str>, Vec<&str>) = (a.words().collect(), b.words().collect());
    let mut found: Vec<(f32, &str)> = Vec::new();
    for (term, word) in a.terms.iter().zip(mine) {
        if theirs.contains(&word) && term.weight > 0.2 {
            found.push((term.weight, word));
        }
    }
    found.sort_by(|x, y| y.0.total_cmp(&x.0).then(x.1.cmp(y.1)));
    found.into_iter().map(|(_, word)| word.to_owned()).collect()
}

fn cosine(a: &Doc, b: &Doc) -> f64 {
    let (mut i, mut j) = (a.terms.iter().peekable(), b.terms.iter().peekable());
    let mut product = 0.0_f32;
    while let (Some(x), Some(y)) = (i.peek(), j.peek()) {
        match x.hash.cmp(&y.hash) {
            std::cmp::Ordering::Less => drop(i.next()),
            std::cmp::Ordering::Greater => drop(j.next()),
            std::cmp::Ordering::Equal => {
                product += x.weight * y.weight;
                i.next();
                j.next();
            }
        }
    }
    let length = |d: &Doc| d.terms.iter().map(|t| t.weight * t.weight).sum::<f32>().sqrt();
    let both = length(a) * length(b);
    if both > 0.0 { f64::from((product / both).clamp(0.0, 1.0)) } else { 0.0 }
}
