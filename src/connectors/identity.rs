//! What makes two signals the same alert: a readable key, and the sentence that explains it.

use super::{labels, text};
use crate::model::{IdentityRule, Signal};

/// Longest part of a key; longer ones are cut and told apart by a hash.
const PART: usize = 300;

/// A firing signal with its identity: the platform and these parts, in order. A part that is absent leaves its place
/// empty, so that parts cannot be mistaken for each other. Where all are absent, the title is what is left.
pub(super) fn signal(platform: &str, rule: &str, parts: &[(&str, Option<&str>)], title: impl Into<String>) -> Signal {
    let title = title.into();
    let by_title = [("title", Some(title.as_str()))];
    let told = parts.iter().any(|(_, value)| value.is_some_and(|v| !text::line(v, PART).is_empty()));
    let (rule, parts) =
        if told { (rule, parts) } else { ("The title, as nothing else tells it apart.", &by_title[..]) };
    let mut key = platform.to_owned();
    for (_, value) in parts {
        key.push(':');
        key.push_str(&part(value.unwrap_or("")));
    }
    let fields = parts
        .iter()
        .filter_map(|(name, value)| value.map(|v| ((*name).to_owned(), text::line(v, PART))))
        .filter(|(_, value)| !value.is_empty())
        .collect();
    let mut signal = Signal::new(key, title.clone());
    signal.identity = IdentityRule { rule: rule.to_owned(), fields };
    signal
}

/// A part as it stands in the key, with the separator escaped.
fn part(value: &str) -> String {
    let clean = text::line(value, PART * 2).replace('\\', "\\\\").replace(':', "\\:");
    if clean.chars().count() <= PART && value.chars().count() <= PART {
        return clean;
    }
    let head: String = clean.chars().take(PART).collect();
    format!("{head}…{:016x}", labels::fnv(value.bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(parts: &[(&str, Option<&str>)]) -> String {
        signal("x", "", parts, "").dedup_key
    }

    #[test]
    fn parts_stay_apart() {
        assert_eq!(key(&[("a", Some("1")), ("b", None), ("c", Some("3"))]), "x:1::3");
        assert_ne!(key(&[("a", Some("1:2")), ("b", Some("3"))]), key(&[("a", Some("1")), ("b", Some("2:3"))]));
        let long = "y".repeat(1000);
        assert_ne!(key(&[("a", Some(&format!("{long}1")))]), key(&[("a", Some(&format!("{long}2")))]));
        assert!(key(&[("a", Some(&long))]).len() < 400);
    }

    #[test]
    fn explains_only_what_is_there() {
        let signal = signal("x", "by a and b", &[("a", Some("1")), ("b", None)], "t");
        assert_eq!(signal.identity.rule, "by a and b");
        assert_eq!(signal.identity.fields, [("a".to_owned(), "1".to_owned())]);
        let untold = super::signal("x", "by a", &[("a", None), ("b", Some(" "))], "t");
        assert_eq!(
            (untold.dedup_key.as_str(), untold.identity.fields),
            ("x:t", vec![("title".to_owned(), "t".to_owned())])
        );
    }
}
