//! What makes two signals the same alert: a readable key, and the sentence that explains it.

use super::{labels, text};
use crate::model::{IdentityField, IdentityRule, Signal};

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
    signal.identity = IdentityRule { rule: rule.to_owned(), fields, ..IdentityRule::default() };
    signal
}

/// Gives a signal the identity that people set for its connector: the platform, and these fields in order. Where one of them
/// says nothing the connector's own is left, and says so. Tests keep their own.
pub fn by_fields(platform: &str, fields: &[IdentityField], signal: &mut Signal) {
    if fields.is_empty() || signal.is_test {
        return;
    }
    match key_by_fields(platform, fields, signal) {
        Ok(key) => {
            let told = fields.iter().filter_map(|f| Some((f.to_string(), text::line(f.of(signal)?, PART))));
            let names: Vec<String> = fields.iter().map(ToString::to_string).collect();
            let rule = format!("The fields that are set for this connector: {}.", names.join(", "));
            signal.identity = IdentityRule { rule, fields: told.collect(), missing: Vec::new() };
            signal.own_key = Some(std::mem::replace(&mut signal.dedup_key, key));
        }
        Err(missing) => {
            let are = if missing.len() == 1 { "is" } else { "are" };
            let own = &signal.identity.rule;
            let rule = format!("{} {are} missing, so the connector's own rule was used. {own}", missing.join(" and "));
            signal.identity.rule = rule.trim_end().to_owned();
            signal.identity.missing = missing;
        }
    }
}

/// The key that these fields make of a signal, or those of them that say nothing.
pub fn key_by_fields(platform: &str, fields: &[IdentityField], signal: &Signal) -> Result<String, Vec<String>> {
    let mut key = format!("{platform}:rule");
    let mut missing = Vec::new();
    for field in fields {
        match field.of(signal) {
            Some(value) => {
                key.push(':');
                key.push_str(&part(&format!("{field}={value}")));
            }
            None => missing.push(field.to_string()),
        }
    }
    if missing.is_empty() { Ok(key) } else { Err(missing) }
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
    fn fields_that_people_set_make_the_key_or_leave_it() {
        let fields = |all: &[&str]| all.iter().map(|t| t.parse().unwrap()).collect::<Vec<IdentityField>>();
        let mut own = signal("x", "by id", &[("id", Some("7"))], "t");
        own.service = Some("a:b".into());
        own.labels.insert("n".into(), "v".into());
        let with = |all: &[&str]| {
            let mut signal = own.clone();
            by_fields("x", &fields(all), &mut signal);
            signal
        };
        let set = with(&["service", "labels.n"]);
        assert_eq!(set.dedup_key, "x:rule:service=a\\:b:labels.n=v");
        assert_eq!(set.own_key.as_deref(), Some("x:7"));
        assert_eq!(set.identity.rule, "The fields that are set for this connector: service, labels.n.");
        assert_eq!(set.identity.fields, [("service".into(), "a:b".into()), ("labels.n".into(), "v".into())]);
        let not = with(&["labels.foo", "host", "service"]);
        assert_eq!((not.dedup_key.as_str(), not.own_key), ("x:7", None));
        let want = "labels.foo and host are missing, so the connector's own rule was used. by id";
        assert_eq!((not.identity.rule.as_str(), not.identity.missing.len()), (want, 2));
        assert_eq!(with(&[]), own);
        let test = Signal { is_test: true, ..own.clone() };
        let mut same = test.clone();
        by_fields("x", &fields(&["service"]), &mut same);
        assert_eq!(same, test);
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
