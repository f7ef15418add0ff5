//! What an alert of Prometheus measures: the expression behind its link, without the comparison that makes it an alert.
//! Pure; the link is text of others, and nothing but its expression is used.

use std::collections::BTreeMap;

/// Longest expression that is asked, in bytes.
const LONGEST: usize = 2_000;

/// The expression in the link that Prometheus gives its alerts (`generatorURL`: `…/graph?g0.expr=…`).
/// <https://prometheus.io/docs/alerting/latest/clients/>
pub fn of_link(link: &str) -> Option<String> {
    let (_, query) = link.split_once('?')?;
    let query = query.split('#').next().unwrap_or_default();
    let (_, found) = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "g0.expr")?;
    let measured = measured(&found);
    (!measured.is_empty() && measured.len() <= LONGEST && !measured.contains('\0')).then(|| measured.to_owned())
}

/// The figure that an alerting expression compares: `rate(x[5m]) > 0.5 and on() y` is about `rate(x[5m])`.
pub fn measured(expression: &str) -> &str {
    let mut rest = expression.trim();
    loop {
        let before = rest;
        rest = first_operand(rest);
        if let Some((left, right)) = comparison(rest) {
            let right = right.trim_start_matches('=').trim();
            let right = right.strip_prefix("bool").filter(|r| r.starts_with([' ', '('])).unwrap_or(right).trim();
            rest = if left.trim().parse::<f64>().is_ok() { right } else { left.trim() };
        }
        rest = unwrapped(rest);
        if rest == before {
            return rest;
        }
    }
}

/// Without the parentheses around all of it.
fn unwrapped(text: &str) -> &str {
    let Some(inner) = text.strip_prefix('(').and_then(|t| t.strip_suffix(')')) else { return text };
    // `(a) + (b)` begins and ends with them as well.
    let mut depth = 0_i32;
    let closed = outside(inner, |_, c| {
        depth += i32::from(c == '(') - i32::from(c == ')');
        depth < 0
    });
    if closed.is_some() { text } else { inner.trim() }
}

/// Up to the first set operator that stands outside of all brackets.
fn first_operand(text: &str) -> &str {
    let mut depth = 0_i32;
    let at = outside(text, |at, c| {
        depth += nesting(c);
        let before = text.get(..at).and_then(|t| t.chars().next_back());
        let here = text.get(at..).unwrap_or_default();
        let word = |w: &&str| {
            here.get(..w.len()).is_some_and(|h| h.eq_ignore_ascii_case(w))
                && !here.get(w.len()..).is_some_and(|r| r.starts_with(name))
        };
        depth == 0 && at > 0 && !before.is_some_and(name) && ["and", "or", "unless"].iter().any(word)
    });
    at.and_then(|at| text.get(..at)).unwrap_or(text).trim()
}

/// What stands on both sides of the first comparison outside of all brackets.
fn comparison(text: &str) -> Option<(&str, &str)> {
    let mut depth = 0_i32;
    let at = outside(text, |at, c| {
        depth += nesting(c);
        let next = text.get(at + c.len_utf8()..).unwrap_or_default();
        depth == 0 && (matches!(c, '<' | '>') || matches!(c, '=' | '!') && next.starts_with('='))
    })?;
    Some((text.get(..at)?, text.get(at + 1..)?))
}

fn nesting(c: char) -> i32 {
    match c {
        '(' | '[' | '{' => 1,
        ')' | ']' | '}' => -1,
        _ => 0,
    }
}

fn name(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == ':'
}

/// The first place outside of quotes that is looked for.
fn outside(text: &str, mut wanted: impl FnMut(usize, char) -> bool) -> Option<usize> {
    let mut quote: Option<char> = None;
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match quote {
            Some(q) => {
                let ends = c == q && !escaped;
                escaped = c == '\\' && !escaped && q != '`';
                if ends {
                    quote = None;
                }
            }
            None if matches!(c, '"' | '\'' | '`') => quote = Some(c),
            None if wanted(at, c) => return Some(at),
            None => {}
        }
    }
    None
}

/// Whether a series may be the one that an alert is about: no label of both says otherwise.
pub fn fits(series: &BTreeMap<String, String>, alert: &BTreeMap<String, String>) -> bool {
    series.iter().all(|(name, value)| name == "__name__" || alert.get(name).is_none_or(|v| v == value))
}

/// A value between quotation marks of PromQL and LogQL.
pub fn quoted(value: &str) -> String {
    let mut out = String::from("\"");
    for c in value.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            c if c.is_control() => {}
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// The same for what is compared as an expression: every sign stands for itself.
pub fn quoted_pattern(value: &str, after: &str) -> String {
    quoted(&format!("{}{after}", regex::escape(value)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_measured() {
        let check = |expression: &str, want: &str| assert_eq!(measured(expression), want, "{expression}");
        check("checkout_failing == 1", "checkout_failing");
        check("up{job=\"a\"} == bool 0", "up{job=\"a\"}");
        check(
            "sum(rate(x{code=~\"5..\"}[5m])) / sum(rate(x[5m])) > 0.05",
            "sum(rate(x{code=~\"5..\"}[5m])) / sum(rate(x[5m]))",
        );
        check("(a / b) > 5", "a / b");
        check("(a > 5)", "a");
        check("(a) + (b) > 5", "(a) + (b)");
        check("a > 5 and on(instance) b < 3", "a");
        check("5 < a", "a");
        check("5 <= bool a", "a");
        check("a >= b", "a");
        check("a != 0", "a");
        check("x{a!=\"1\",b=\" and > \"} > 3", "x{a!=\"1\",b=\" and > \"}");
        check("absent(up{job=\"a\"})", "absent(up{job=\"a\"})");
        check("land_ordered_total > 1", "land_ordered_total");
        check(
            "predict_linear(node_filesystem_free_bytes[1h], 4 * 3600) < 0",
            "predict_linear(node_filesystem_free_bytes[1h], 4 * 3600)",
        );
        check("x{a='\\'>'} > 1", "x{a='\\'>'}");
        check("", "");
        check("((((", "((((");
        check("> 5", "");
    }

    #[test]
    fn it_is_taken_out_of_the_link() {
        let check = |link: &str, want: Option<&str>| assert_eq!(of_link(link).as_deref(), want, "{link}");
        check("http://p:9090/graph?g0.expr=checkout_failing+%3D%3D+1&g0.tab=1", Some("checkout_failing"));
        check("http://p:9090/query?g0.tab=1&g0.expr=up%20%3C%201#x", Some("up"));
        check("http://p:9090/graph", None);
        check("http://grafana/alerting/grafana/x/view?orgId=1", None);
        check(&format!("http://p/graph?g0.expr={}", "x".repeat(3_000)), None);
    }

    #[test]
    fn values_stay_values() {
        assert_eq!(quoted("a\"} or up{x=\"\\"), r#""a\"} or up{x=\"\\""#);
        assert_eq!(quoted("a\nb\u{7}"), "\"a\\nb\"");
        assert_eq!(quoted_pattern("db-1.x", "(:[0-9]+)?"), "\"db\\\\-1\\\\.x(:[0-9]+)?\"");
        let labels = |of: &[(&str, &str)]| of.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
        let alert: BTreeMap<String, String> = labels(&[("job", "a"), ("alertname", "X")]);
        assert!(fits(&labels(&[("__name__", "x"), ("job", "a"), ("pod", "p")]), &alert));
        assert!(!fits(&labels(&[("job", "b")]), &alert));
    }
}
