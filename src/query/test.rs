//! What both kinds of filters are made of.

/// A test that must hold, or must not.
#[derive(Clone, Debug, PartialEq)]
pub struct Clause<T> {
    /// It must not hold.
    pub not: bool,
    /// The test.
    pub test: T,
}

/// Numbers from one to another, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    /// The least.
    pub from: u64,
    /// The greatest.
    pub to: u64,
}

impl Range {
    /// Whether a number is among them.
    pub fn has(self, n: u64) -> bool {
        (self.from..=self.to).contains(&n)
    }

    /// `7`, `>7`, `>=7`, `<7`, `<=7`; none for anything else. `<0` has no number.
    pub fn read(text: &str) -> Option<Self> {
        let (op, rest) = operator(text);
        let digits = !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit());
        let n: u64 = digits.then(|| rest.parse().ok()).flatten()?;
        Some(match op {
            ">" => Self { from: n.saturating_add(1), to: u64::MAX },
            ">=" => Self { from: n, to: u64::MAX },
            "<" if n == 0 => Self { from: 1, to: 0 },
            "<" => Self { from: 0, to: n - 1 },
            "<=" => Self { from: 0, to: n },
            _ => Self { from: n, to: n },
        })
    }
}

/// The comparison that a value begins with, and the rest.
pub fn operator(text: &str) -> (&str, &str) {
    [">=", "<=", ">", "<"].iter().find_map(|op| Some((*op, text.strip_prefix(op)?))).unwrap_or(("", text))
}

/// Which parts of a row a filter looks at, besides those that are cheap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wants {
    /// Names in lists: services and hosts; of an alert its own.
    pub names: bool,
    /// Labels.
    pub labels: bool,
    /// Counts, marks and states.
    pub rest: bool,
    /// Texts.
    pub words: bool,
    /// Why alerts are where they are: rows of another table.
    pub strategies: bool,
    /// Which incident an alert is part of now: merges are followed.
    pub home: bool,
}

/// Whether a value is among those wanted: compared without case, `*` at the end is a prefix. Nothing wanted is anything.
pub fn among(wanted: &[String], value: Option<&str>) -> bool {
    wanted.is_empty() || value.is_some_and(|v| wanted.iter().any(|w| matches(w, v)))
}

/// Whether a value is the wanted one, compared without case; `*` at the end is a prefix.
pub fn matches(wanted: &str, value: &str) -> bool {
    let (wanted, is_prefix) = wanted.strip_suffix('*').map_or((wanted, false), |prefix| (prefix, true));
    if wanted.is_ascii() && value.is_ascii() {
        let part = if is_prefix { value.get(..wanted.len()) } else { Some(value) };
        return part.is_some_and(|p| p.eq_ignore_ascii_case(wanted));
    }
    let (wanted, value) = (wanted.to_lowercase(), value.to_lowercase());
    if is_prefix { value.starts_with(&wanted) } else { value == wanted }
}

/// Whether each of these words stands somewhere in the texts, and of each clause one or none as it says; compared
/// without case.
pub fn all_words<'w>(
    words: &[String],
    mut clauses: impl Iterator<Item = (bool, &'w [String])> + Clone,
    texts: &[&str],
) -> bool {
    // One text, so that a look at ten thousand rows allocates little. No word has a line break in it.
    let mut all = texts.join("\n");
    // Letters beyond ASCII matter only to words that have some, and take ten times as long.
    let plain = words.iter().all(|w| w.is_ascii()) && clauses.clone().all(|(_, any)| any.iter().all(|w| w.is_ascii()));
    if all.is_ascii() || plain {
        all.make_ascii_lowercase();
    } else {
        all = all.to_lowercase();
    }
    let says = |word: &String| all.contains(&word.to_lowercase());
    words.iter().all(says) && clauses.all(|(not, any)| any.iter().any(says) != not)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_compared() {
        for (text, has, has_not) in [
            ("7", vec![7], vec![6, 8]),
            (">7", vec![8, u64::MAX], vec![7]),
            (">=7", vec![7], vec![6]),
            ("<7", vec![0, 6], vec![7]),
            ("<=7", vec![7], vec![8]),
            ("<0", vec![], vec![0]),
        ] {
            let range = Range::read(text).unwrap();
            assert!(has.iter().all(|n| range.has(*n)) && has_not.iter().all(|n| !range.has(*n)), "{text}");
        }
        for wrong in ["", ">", "x", "-1", "1.5", ">>1", "99999999999999999999"] {
            assert_eq!(Range::read(wrong), None, "{wrong}");
        }
    }
}
