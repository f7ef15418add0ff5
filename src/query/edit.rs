//! The query text as forms write into it: terms are exchanged, everything else stays as it was typed.

use super::split::spans;

/// The values of a field in the text: `severity:critical,high` gives both. A term with `-` before it is not touched.
pub fn values(q: &str, field: &str) -> Vec<String> {
    spans(q)
        .into_iter()
        .filter(|t| !t.not && t.field.as_deref() == Some(field))
        .flat_map(|t| t.values)
        .filter(|v| !v.is_empty())
        .collect()
}

/// The text with the terms of a field exchanged for these values; without values they are taken away.
pub fn exchange(q: &str, field: &str, values: &[String]) -> String {
    let mut out: Vec<String> = spans(q)
        .into_iter()
        .filter(|t| t.not || t.field.as_deref() != Some(field))
        .map(|t| t.text.to_owned())
        .collect();
    let values: Vec<String> = values.iter().map(|v| v.trim()).filter(|v| !v.is_empty()).map(quote).collect();
    if !values.is_empty() {
        out.push(format!("{field}:{}", values.join(",")));
    }
    out.join(" ")
}

/// The text without one of its terms, counted from 0.
pub fn without(q: &str, term: usize) -> String {
    let left: Vec<&str> = spans(q).into_iter().enumerate().filter(|(n, _)| *n != term).map(|(_, t)| t.text).collect();
    left.join(" ")
}

/// A value in quotes where the language needs them.
pub fn quote(value: &str) -> String {
    let clean: String = value.chars().filter(|c| *c != '"' && !c.is_control()).collect();
    if clean.chars().any(|c| c.is_whitespace() || c == ',' || c == ':') { format!("\"{clean}\"") } else { clean }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_exchange_their_own_terms_only() {
        let check = |q: &str, field: &str, values: &[&str], want: &str| {
            let values: Vec<String> = values.iter().map(|s| (*s).to_owned()).collect();
            assert_eq!(exchange(q, field, &values), want);
        };
        check(
            "status:open closed:<12h",
            "severity",
            &["critical", "high"],
            "status:open closed:<12h severity:critical,high",
        );
        check("severity:low pool -severity:info", "severity", &["high"], "pool -severity:info severity:high");
        check("service:\"check out\" slow", "service", &[], "slow");
        check("\"two words\" status:open", "service", &["a b"], "\"two words\" status:open service:\"a b\"");
        check("  ", "status", &[], "");
    }

    #[test]
    fn values_are_read_back() {
        assert_eq!(values("severity:critical,high x service:\"a b\"", "severity"), ["critical", "high"]);
        assert_eq!(values("service:\"a b\"", "service"), ["a b"]);
        assert!(values("-severity:low", "severity").is_empty());
        assert_eq!(without("a service:\"b c\" d", 1), "a d");
    }
}
