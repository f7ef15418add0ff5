//! Who a person is and what they belong to, from what a provider says. Pure.

use serde_json::{Map, Value};

/// Groups of one person at most: more than that is no list of groups.
const MOST: usize = 2_000;

/// The value of a claim. A name with dots is looked for as it stands, then as a way into objects.
pub fn claim<'a>(claims: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    claims.get(name).or_else(|| {
        let (first, rest) = name.split_once('.')?;
        rest.split('.').try_fold(claims.get(first)?, |value, key| value.get(key))
    })
}

/// The groups of a claim: a list of texts, or a text with commas or spaces. None when the claim is not there.
pub fn groups(claims: &Map<String, Value>, name: &str) -> Option<Vec<String>> {
    let found = match claim(claims, name)? {
        Value::Array(all) => all.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        Value::String(text) if text.contains(',') => split(text, &[',']),
        Value::String(text) => split(text, &[' ']),
        _ => return None,
    };
    Some(found.into_iter().take(MOST).collect())
}

/// The groups of a header, with commas; Authentik writes bars.
pub fn groups_of_header(text: &str) -> Vec<String> {
    split(text, &[',', '|'])
}

fn split(text: &str, at: &[char]) -> Vec<String> {
    text.split(at).map(str::trim).filter(|g| !g.is_empty()).map(str::to_owned).collect()
}

/// A name that may be shown: one line of at most 100 letters.
pub fn shown(text: &str) -> Option<String> {
    let words: Vec<&str> =
        text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|w| !w.is_empty()).collect();
    Some(words.join(" ").chars().take(100).collect::<String>()).filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn groups_come_in_many_forms() {
        let check = |claims: Value, name: &str, want: Option<&[&str]>| {
            let Value::Object(claims) = claims else { panic!() };
            let got = groups(&claims, name);
            let want = want.map(|w| w.iter().map(|g| (*g).to_owned()).collect::<Vec<_>>());
            assert_eq!(got, want, "{name}");
        };
        check(json!({"groups": ["ops", "On Call", 7]}), "groups", Some(&["ops", "On Call"]));
        check(json!({"groups": "ops, On Call"}), "groups", Some(&["ops", "On Call"]));
        check(json!({"roles": "ops dev"}), "roles", Some(&["ops", "dev"]));
        check(json!({"groups": []}), "groups", Some(&[]));
        check(json!({"groups": {"a": 1}}), "groups", None);
        check(json!({}), "groups", None);
        check(json!({"realm_access": {"roles": ["ops"]}}), "realm_access.roles", Some(&["ops"]));
        check(json!({"https://x.example/groups": ["ops"]}), "https://x.example/groups", Some(&["ops"]));
        assert_eq!(groups_of_header("ops|on call, dev,"), ["ops", "on call", "dev"]);
    }
}
