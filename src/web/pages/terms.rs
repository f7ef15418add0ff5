//! The query text as the facet forms write into it: terms are exchanged, everything else stays as it was typed.

/// One term as typed, with the field it is about, if any. A term with `-` before it is not touched by the forms.
#[derive(Debug, PartialEq)]
struct Term<'a> {
    text: &'a str,
    field: Option<&'a str>,
}

/// Splits at spaces outside of quotes.
fn split(q: &str) -> Vec<Term<'_>> {
    let mut terms = Vec::new();
    let (mut start, mut quoted) = (None, false);
    for (i, c) in q.char_indices() {
        match (c, start) {
            ('"', _) => {
                quoted = !quoted;
                start = start.or(Some(i));
            }
            (c, Some(from)) if c.is_whitespace() && !quoted => {
                terms.extend(q.get(from..i));
                start = None;
            }
            (c, None) if !c.is_whitespace() => start = Some(i),
            _ => {}
        }
    }
    terms.extend(start.and_then(|from| q.get(from..)));
    terms
        .into_iter()
        .map(|text| {
            let field =
                text.split_once(':').map(|(f, _)| f).filter(|f| f.chars().all(|c| c.is_alphanumeric() || c == '.'));
            Term { text, field: field.filter(|f| !f.is_empty()) }
        })
        .collect()
}

/// The values of a field in the text: `severity:critical,high` gives both.
pub fn values(q: &str, field: &str) -> Vec<String> {
    split(q)
        .into_iter()
        .filter(|t| t.field == Some(field))
        .filter_map(|t| t.text.split_once(':'))
        .flat_map(|(_, v)| v.split(',').map(|v| v.trim_matches('"').to_owned()).collect::<Vec<_>>())
        .filter(|v| !v.is_empty())
        .collect()
}

/// The text with the terms of a field exchanged for these values; without values they are taken away.
pub fn exchange(q: &str, field: &str, values: &[String]) -> String {
    let mut out: Vec<String> =
        split(q).into_iter().filter(|t| t.field != Some(field)).map(|t| t.text.to_owned()).collect();
    let values: Vec<String> = values.iter().map(|v| v.trim()).filter(|v| !v.is_empty()).map(quote).collect();
    if !values.is_empty() {
        out.push(format!("{field}:{}", values.join(",")));
    }
    out.join(" ")
}

/// A value in quotes where the language needs them.
pub fn quote(value: &str) -> String {
    let clean: String = value.chars().filter(|c| *c != '"' && !c.is_control()).collect();
    if clean.chars().any(|c| c.is_whitespace() || c == ',' || c == ':') { format!("\"{clean}\"") } else { clean }
}

/// `/incidents?q=…`, or the bare path for an empty query.
pub fn href(path: &str, q: &str, more: &[(&str, &str)]) -> String {
    let mut s = form_urlencoded::Serializer::new(String::new());
    if !q.is_empty() {
        s.append_pair("q", q);
    }
    for (k, v) in more {
        s.append_pair(k, v);
    }
    let query = s.finish();
    if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facets_exchange_their_own_terms_only() {
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
    }

    #[test]
    fn addresses_are_encoded() {
        assert_eq!(href("/incidents", "", &[]), "/incidents");
        assert_eq!(href("/incidents", "a:<b&", &[("before", "4")]), "/incidents?q=a%3A%3Cb%26&before=4");
    }
}
