//! Text and numbers as pages say them, and the handling of text from outside.

/// Escapes for text and for attributes in double quotes.
pub fn escape(s: &str) -> String {
    let mut out = String::with_capacity(s.len() + 8);
    for c in s.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

/// Shows what would otherwise act unseen: control characters as their pictures, characters that reorder text by name.
/// A command that is copied must be the command that was read.
pub fn visible(s: &str) -> String {
    if !s.chars().any(acts_unseen) {
        return s.to_owned();
    }
    let mut out = String::with_capacity(s.len() + 16);
    for c in s.chars() {
        match c {
            '\u{0}'..='\u{1f}' if acts_unseen(c) => {
                out.push(char::from_u32(0x2400 + u32::from(c)).unwrap_or('\u{fffd}'))
            }
            '\u{7f}' => out.push('\u{2421}'),
            c if acts_unseen(c) => out.push_str(&format!("<U+{:04X}>", u32::from(c))),
            c => out.push(c),
        }
    }
    out
}

fn acts_unseen(c: char) -> bool {
    match c {
        '\n' | '\t' => false,
        c if c.is_control() => true,
        '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}' => true,
        _ => false,
    }
}

/// The address when it leads to a page and not to a script.
pub fn url(s: &Option<String>) -> Option<&str> {
    let s = s.as_deref()?.trim();
    let rest = ["https://", "http://"]
        .iter()
        .find_map(|p| s.get(..p.len()).filter(|head| head.eq_ignore_ascii_case(p)).and_then(|_| s.get(p.len()..)))?;
    (!rest.is_empty() && !s.chars().any(|c| c.is_whitespace() || c.is_control())).then_some(s)
}

/// `4,812`.
pub fn count(n: impl TryInto<u64>) -> String {
    let digits = n.try_into().unwrap_or(0).to_string();
    let mut out = String::with_capacity(digits.len() + 3);
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    out
}

/// A number that may not be exact, or is so large that nobody counts it: `about 12,300`.
pub fn about(n: u64, exact: bool) -> String {
    match n {
        0..=10_000 if exact => count(n),
        0..=10_000 => format!("about {}", count(n)),
        _ => format!("about {}", count(n / 100 * 100)),
    }
}

/// `1 alert`, `14 alerts`.
pub fn plural(n: impl TryInto<u64>, one: &str) -> String {
    let n = n.try_into().unwrap_or(0);
    format!("{}\u{a0}{one}{}", count(n), if n == 1 { "" } else { "s" })
}

/// `alert` or `alerts`, for a count that is written already and stands elsewhere.
pub fn unit(count: &str, one: &str) -> String {
    format!("{one}{}", if count == "1" { "" } else { "s" })
}

/// `82 %`.
pub fn percent(share: f64) -> String {
    format!("{:.0}\u{a0}%", share.clamp(0.0, 1.0) * 100.0)
}

/// `612 bytes`, `3.4 KB`, `1.2 MB`.
pub fn bytes(n: impl TryInto<u64>) -> String {
    let n = n.try_into().unwrap_or(0);
    // Sizes far below 2^52: exact as f64.
    #[allow(clippy::cast_precision_loss)]
    let f = n as f64;
    match n {
        0..=1023 => plural(n, "byte"),
        1024..=1_048_575 => format!("{:.1}\u{a0}KB", f / 1024.0),
        1_048_576..=1_073_741_823 => format!("{:.1}\u{a0}MB", f / 1_048_576.0),
        _ => format!("{:.1}\u{a0}GB", f / 1_073_741_824.0),
    }
}

/// Two letters for a person: `sre-2` is `S2`, `on-call` is `OC`.
pub fn initials(name: &str) -> String {
    let mut parts = name.split(|c: char| !c.is_alphanumeric()).filter_map(|p| p.chars().next());
    let first = parts.next().unwrap_or('?');
    let second = parts.next().or_else(|| name.chars().nth(1).filter(|c| c.is_alphanumeric()));
    std::iter::once(first).chain(second).flat_map(char::to_uppercase).collect()
}

/// With a capital.
pub fn capital(s: &str) -> String {
    let mut chars = s.chars();
    chars.next().map(|c| c.to_uppercase().chain(chars).collect()).unwrap_or_default()
}

/// Cuts after `max` characters, with an ellipsis.
pub fn shorten(s: &str, max: usize) -> String {
    match s.char_indices().nth(max) {
        Some((i, _)) => format!("{}…", s.get(..i).unwrap_or(s).trim_end()),
        None => s.to_owned(),
    }
}

/// Valid JSON on lines of its own. Every token stays as it was sent: the order of keys and the digits of numbers too.
fn indent(json: &str) -> String {
    let mut out = String::with_capacity(json.len() * 2);
    let (mut depth, mut string, mut escaped) = (0_usize, false, false);
    let mut chars = json.chars().peekable();
    let newline = |out: &mut String, depth: usize| {
        out.push('\n');
        out.extend(std::iter::repeat_n("  ", depth.min(64)));
    };
    while let Some(c) = chars.next() {
        if string {
            out.push(c);
            (string, escaped) = (escaped || c != '"', !escaped && c == '\\');
            continue;
        }
        match c {
            '"' => {
                string = true;
                out.push(c);
            }
            '{' | '[' => {
                out.push(c);
                while chars.peek().is_some_and(|n| n.is_whitespace()) {
                    chars.next();
                }
                if chars.peek().is_some_and(|n| *n == '}' || *n == ']') {
                    out.extend(chars.next());
                } else {
                    depth += 1;
                    newline(&mut out, depth);
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                newline(&mut out, depth);
                out.push(c);
            }
            ',' => {
                out.push(c);
                newline(&mut out, depth);
            }
            ':' => out.push_str(": "),
            c if c.is_whitespace() => {}
            c => out.push(c),
        }
    }
    out
}

/// A payload for people: JSON on lines of its own, anything else as text; at most `max` bytes, and whether it was cut.
pub fn body(bytes: &[u8], max: usize) -> (String, bool) {
    let raw = String::from_utf8_lossy(bytes);
    let is_json = serde_json::from_slice::<serde::de::IgnoredAny>(bytes).is_ok();
    let text = visible(&if is_json { without_secrets(&indent(&raw)) } else { raw.into_owned() });
    if text.len() <= max {
        return (text, false);
    }
    let mut end = max;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    (text.get(..end).unwrap_or_default().to_owned(), true)
}

/// Parts of names whose values are secrets.
const SECRETS: [&str; 9] =
    ["password", "passwd", "secret", "token", "apikey", "accesskey", "privatekey", "authorization", "credential"];

/// JSON, a line for each value, without the texts that stand under names of secrets.
fn without_secrets(json: &str) -> String {
    let hides = |line: &str| {
        let (name, value) = line.trim_start().strip_prefix('"')?.split_once("\": ")?;
        let name: String = name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect();
        let secret = value.starts_with('"') && value.trim_end_matches(',').len() > 2;
        (secret && SECRETS.iter().any(|s| name.contains(s))).then(|| line.len() - value.len())
    };
    let lines = json.split('\n').map(|line| match hides(line).and_then(|at| line.get(..at)) {
        Some(name) => format!("{name}\"•••• masked\"{}", if line.ends_with(',') { "," } else { "" }),
        None => line.to_owned(),
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_under_the_name_of_a_secret_is_masked() {
        let json = br#"{"labels":{"api_key":"s3cr3t","DB-Password":"a\"b","token":"","tokens":3,"service":"token"},"x":"secret"}"#;
        let (text, cut) = body(json, 10_000);
        assert!(!cut && !text.contains("s3cr3t") && !text.contains("a\\\"b"), "{text}");
        for kept in [
            "\"api_key\": \"•••• masked\",",
            "\"token\": \"\"",
            "\"tokens\": 3",
            "\"service\": \"token\"",
            "\"x\": \"secret\"",
        ] {
            assert!(text.contains(kept), "{kept}: {text}");
        }
    }

    #[test]
    fn numbers_and_names() {
        assert_eq!(count(0_u64), "0");
        assert_eq!(count(999_u64), "999");
        assert_eq!(count(1_024_406_u64), "1,024,406");
        assert_eq!(plural(1_u64, "alert"), "1\u{a0}alert");
        assert_eq!(percent(0.824), "82\u{a0}%");
        assert_eq!(bytes(3_482_u64), "3.4\u{a0}KB");
        for (name, want) in [("sre-2", "S2"), ("on-call", "OC"), ("anna", "AN"), ("", "?"), ("x", "X")] {
            assert_eq!(initials(name), want);
        }
        assert_eq!(shorten("häßlich", 3), "häß…");
    }

    #[test]
    fn only_addresses_of_pages_are_linked() {
        for (given, good) in [
            ("https://grafana.example.com/a?b=c", true),
            ("HTTP://x", true),
            ("javascript:alert(1)", false),
            ("//evil.example.com", false),
            ("https://", false),
            ("https://a b", false),
            ("data:text/html,x", false),
        ] {
            assert_eq!(url(&Some(given.to_owned())).is_some(), good, "{given}");
        }
    }

    #[test]
    fn json_is_laid_out_and_every_token_kept() {
        let given = br#"{"z":1.50,"a":[1,{"x":"a,{\"b\\"},[ ]],"n":{ }}"#;
        let want = "{\n  \"z\": 1.50,\n  \"a\": [\n    1,\n    {\n      \"x\": \"a,{\\\"b\\\\\"\n    },\n    []\n  ],\n  \"n\": {}\n}";
        assert_eq!(body(given, 1000), (want.to_owned(), false));
        assert_eq!(body(b"plain <text> {", 1000).0, "plain <text> {");
        assert_eq!(body("ää".as_bytes(), 3), ("ä".to_owned(), true));
    }

    #[test]
    fn unseen_characters_are_shown() {
        assert_eq!(visible("a\u{0}b\u{1b}\n\t\u{7f}"), "a␀b␛\n\t␡");
        assert_eq!(visible("rm \u{202e}x"), "rm <U+202E>x");
        assert_eq!(visible("schön مرحبا 日本"), "schön مرحبا 日本");
    }
}
