//! What alerts say: the one analyzer of the correlator and of the text index, and how alike two texts are. Pure, and the same
//! after every start: everything it knows stands in the lists under `data/`, nothing is learned from what comes in.
//!
//! A text is cut into pieces (`scan`), pieces become terms of the field (`lexicon`), terms name a component and a symptom
//! (`concepts`), and two documents are compared by all of it (`likeness`).

mod concepts;
mod doc;
mod lexicon;
mod likeness;
mod near;
mod scan;

pub use doc::Doc;
pub use likeness::{shared, similarity};
pub use near::nearest;

use lexicon::Lexicon;
use scan::Kind;

/// What an alert is broadly about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// A machine: its processor, memory, disks, clock, power, or itself.
    Host,
    /// What connects machines: interfaces, links, packets, names, or that something cannot be reached.
    Network,
}

impl Class {
    fn named(name: &str) -> Option<Self> {
        match name {
            "host" => Some(Self::Host),
            "network" => Some(Self::Network),
            _ => None,
        }
    }
}

/// The terms of a text in order, with repeats: identifiers split, words stemmed and given the name that the field has for
/// them (`PostgreSQL` and `pg` are `postgres`). Numbers stay, and the pieces of names, because people search for them.
pub fn terms(text: &str) -> impl Iterator<Item = String> + use<> {
    let mut found = Vec::new();
    pieces(text, |term| found.push(term.to_owned()));
    found.into_iter()
}

/// `terms`, without a string for each.
pub fn pieces(text: &str, mut each: impl FnMut(&str)) {
    let lexicon = Lexicon::get();
    scan::scan(lexicon, text, &mut |piece, kind| {
        match kind {
            Kind::Word if lexicon.stops(piece) => {}
            Kind::Word | Kind::Name => each(lexicon.name(&lexicon.term(piece))),
            Kind::Number => each(piece),
            Kind::Whole => {}
        }
        true
    });
}

/// The names of hosts and the like in a text, whole and in small letters: those with a number in them, which their pieces do
/// not tell.
pub fn names(text: &str, mut each: impl FnMut(&str)) {
    scan::scan(Lexicon::get(), text, &mut |piece, kind| {
        if kind == Kind::Whole && piece.contains(|c: char| c.is_ascii_digit()) {
            each(piece);
        }
        true
    });
}

#[cfg(test)]
mod tests;
