//! Which series of Prometheus are those of a service, as people declare it: `job="shop",namespace=~"a|b"`, also in braces
//! and after the name of a metric. <https://prometheus.io/docs/prometheus/latest/querying/basics/#instant-vector-selectors>

/// The matchers of a declared selector, without braces and the name of a metric.
///
/// # Errors
/// What is wrong with it, and what would be right.
pub fn matchers(text: &str) -> Result<String, String> {
    let wrong = |what: &str| format!("{what}; write matchers such as job=\"checkout\"");
    let text = text.trim();
    let inner = match text.split_once('{') {
        // A brace inside a value is none.
        Some((name, rest)) if !name.contains('=') => {
            if !name.trim().bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b':')) {
                return Err(wrong("before the brace stands no name of a metric"));
            }
            rest.trim_end().strip_suffix('}').ok_or_else(|| wrong("the brace is not closed at the end"))?
        }
        _ => text,
    };
    let inner = inner.trim().trim_end_matches(',').trim();
    if inner.is_empty() {
        return Err(wrong("it names no label, so it would be about everything"));
    }
    let mut rest = inner;
    loop {
        rest = matcher(rest.trim_start()).map_err(wrong)?.trim_start();
        match rest.strip_prefix(',') {
            Some(more) => rest = more,
            None if rest.is_empty() => return Ok(inner.to_owned()),
            None => return Err(wrong("between two matchers stands no comma")),
        }
    }
}

/// What is left after one matcher.
fn matcher(text: &str) -> Result<&str, &'static str> {
    let end = text.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(text.len());
    let (name, rest) = text.split_at_checked(end).unwrap_or((text, ""));
    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
        return Err("a matcher begins with the name of a label");
    }
    let rest = rest.trim_start();
    let value = ["=~", "!~", "!=", "="].iter().find_map(|op| rest.strip_prefix(op));
    let value = value.ok_or("after the name of a label stands =, !=, =~ or !~")?.trim_start();
    let quote = value.chars().next().filter(|c| matches!(c, '"' | '\'' | '`')).ok_or("the value is not in quotes")?;
    let mut escaped = false;
    for (at, c) in value.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' if quote != '`' => escaped = true,
            c if c == quote => return Ok(value.get(at + 1..).unwrap_or_default()),
            _ => {}
        }
    }
    Err("the quotes of a value are not closed")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selectors() {
        let check = |text: &str, want: Result<&str, &str>| match (matchers(text), want) {
            (Ok(got), Ok(want)) => assert_eq!(got, want, "{text}"),
            (Err(got), Err(part)) => assert!(got.contains(part), "{text}: {got}"),
            (got, want) => panic!("{text}: {got:?} instead of {want:?}"),
        };
        check("job=\"a\"", Ok("job=\"a\""));
        check(" {job=\"a\",} ", Ok("job=\"a\""));
        check("up{job='a', x=~\"b{2}\"}", Ok("job='a', x=~\"b{2}\""));
        check("x=~\"a{2}\"", Ok("x=~\"a{2}\""));
        check("job = `a\\`,x!=\"\\\"\"", Ok("job = `a\\`,x!=\"\\\"\""));
        check("checkout", Err("after the name of a label"));
        check("", Err("about everything"));
        check("up{}", Err("about everything"));
        check("job=checkout", Err("not in quotes"));
        check("job=\"a", Err("not closed"));
        check("{job=\"a\"", Err("brace is not closed"));
        check("job=\"a\" x=\"b\"", Err("no comma"));
        check("job=\"a\"} or up{x=\"b\"", Err("no comma"));
        check("sum(up){job=\"a\"}", Err("no name of a metric"));
        check("1a=\"b\"", Err("begins with the name of a label"));
    }
}
