//! Words and texts as senders write them: severity words, absent values, limits on hostile text, links.

use std::borrow::Cow;

use serde_json::Value;

use super::html;
use crate::model::Severity;

/// Longest title and longest name of a service, host or environment, in characters.
const TITLE: usize = 500;
const NAME: usize = 250;
/// Longest label value and longest description, in bytes.
const LABEL: usize = 4 << 10;
const DESCRIPTION: usize = 16 << 10;
const URL: usize = 4 << 10;

/// A severity word that all platforms share. Platform tables win over it.
pub(super) fn severity(word: &str) -> Option<Severity> {
    Some(match word.trim().to_ascii_lowercase().as_str() {
        "critical" | "crit" | "fatal" | "emergency" | "emerg" | "disaster" | "page" | "blocker" | "sev0" | "sev1"
        | "sev-1" | "p0" | "p1" => Severity::Critical,
        "high" | "error" | "err" | "major" | "severe" | "alert" | "sev2" | "p2" => Severity::High,
        "medium" | "moderate" | "average" | "warning" | "warn" | "minor" | "sev3" | "p3" => Severity::Medium,
        "low" | "notice" | "sev4" | "p4" | "trivial" => Severity::Low,
        "info" | "informational" | "information" | "none" | "ok" | "debug" | "sev5" | "p5" => Severity::Info,
        _ => return None,
    })
}

/// Whether this text stands for nothing: `null`, `N/A`, a variable that the sender did not fill in.
pub(super) fn absent(text: &str) -> bool {
    let text = text.trim();
    matches!(text, "" | "None")
        || ["null", "n/a", "nan"].iter().any(|w| text.eq_ignore_ascii_case(w))
        || placeholder(text)
}

/// `{State}`, `{Tags[env]}`, `$ALERT_ID`, `$TAGS[env]`, `*monitorURL*`, `{{foo}}`.
fn placeholder(text: &str) -> bool {
    let inside = |open: &str, close: &str| text.strip_prefix(open).and_then(|t| t.strip_suffix(close));
    if let Some(name) = inside("{{", "}}") {
        return !name.contains("{{");
    }
    if let Some(name) = inside("{", "}") {
        return identifier(name);
    }
    if let Some(name) = inside("*", "*") {
        return !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphabetic());
    }
    text.strip_prefix('$').is_some_and(|name| {
        identifier(name) && name.bytes().take_while(|b| *b != b'[').all(|b| !b.is_ascii_lowercase())
    })
}

/// A name, perhaps with a key in brackets.
fn identifier(text: &str) -> bool {
    let (name, key) = text.split_once('[').unwrap_or((text, "]"));
    name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        && key.ends_with(']')
        && !key.contains(' ')
}

/// A scalar as trimmed text; none for absent values, lists and objects.
pub(super) fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(s) if absent(s) || !s.contains(visible) => None,
        Value::String(s) => Some(s.trim().to_owned()),
        Value::Number(n) => Some(n.to_string()),
        Value::Bool(b) => Some(b.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// Neither a space, nor a control character, nor a mark that reorders the text around it.
fn visible(c: char) -> bool {
    !(c.is_whitespace()
        || c.is_control()
        || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}'))
}

/// One line of at most `max` characters: spaces collapsed, control characters and the marks that reorder text removed
/// (right-to-left text itself stays).
pub(super) fn line(text: &str, max: usize) -> String {
    // All places of two spaces, at once: see `is_plain`.
    let twice = text.bytes().zip(text.bytes().skip(1)).fold(false, |twice, (a, b)| twice | ((a == b' ') & (b == b' ')));
    if text.len() <= max && !twice && !text.starts_with(' ') && !text.ends_with(' ') && is_plain(text) {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len().min(max * 4));
    let mut count = 0;
    let mut space = false;
    for c in text.chars() {
        if c.is_whitespace() {
            space = count > 0;
            continue;
        }
        if !visible(c) {
            continue;
        }
        if count + usize::from(space) >= max {
            out.pop();
            out.push('…');
            break;
        }
        if space {
            out.push(' ');
            count += 1;
            space = false;
        }
        out.push(c);
        count += 1;
    }
    out
}

/// A title; none when nothing is left of it.
pub(super) fn title(text: &str) -> Option<String> {
    Some(line(text, TITLE)).filter(|t| !absent(t))
}

/// A name of a service, an environment and the like.
pub(super) fn name(text: &str) -> Option<String> {
    Some(line(text, NAME)).filter(|t| !absent(t))
}

/// A machine's name without scheme, path and port.
pub(super) fn host(text: &str) -> Option<String> {
    let text = name(text)?;
    let bare = text.split_once("://").map_or(text.as_str(), |(_, rest)| rest.split(['/', '?']).next().unwrap_or(rest));
    let bare = if let Some(rest) = bare.strip_prefix('[') {
        rest.split(']').next().unwrap_or(rest)
    } else {
        match bare.rsplit_once(':') {
            // More than one colon is an IPv6 address without a port.
            Some((head, port)) if !head.contains(':') && port.bytes().all(|b| b.is_ascii_digit()) => head,
            _ => bare,
        }
    };
    Some(bare.to_owned()).filter(|h| !absent(h))
}

/// A description: HTML stripped, Markdown verbatim, control characters but line ends and tabs removed.
pub(super) fn description(text: &str) -> Option<String> {
    // More than this is cut in any case; markup may be as much again.
    let text = html::strip(head(text, 4 * DESCRIPTION));
    Some(cap(printable(&text).trim(), DESCRIPTION)).filter(|t| !absent(t))
}

/// A label's value, cut to its limit.
pub(super) fn label(text: &str) -> String {
    cap(printable(text).trim(), LABEL)
}

/// Nothing but printable ASCII and spaces. Looks at every byte, which takes less time than stopping at the first odd one.
fn is_plain(text: &str) -> bool {
    text.bytes().fold(true, |plain, b| plain & (b' '..0x7f).contains(&b))
}

/// Without control characters but line ends and tabs.
fn printable(text: &str) -> Cow<'_, str> {
    if is_plain(text) {
        return Cow::Borrowed(text);
    }
    let odd = |c: char| c.is_control() && !matches!(c, '\n' | '\t');
    if text.contains(odd) { Cow::Owned(text.replace(odd, "")) } else { Cow::Borrowed(text) }
}

fn cap(text: &str, bytes: usize) -> String {
    if text.len() <= bytes {
        return text.to_owned();
    }
    format!("{}…", head(text, bytes.saturating_sub(3)))
}

/// The first so many bytes, but no half character.
pub(super) fn head(text: &str, bytes: usize) -> &str {
    let end = (0..=bytes.min(text.len())).rev().find(|i| text.is_char_boundary(*i)).unwrap_or(0);
    text.get(..end).unwrap_or("")
}

/// The link, if it may be shown as one: http or https, with a host, without anything that a browser would bend.
pub(super) fn url(text: &str) -> Option<String> {
    let text = text.trim();
    let rest = ["https://", "http://"]
        .iter()
        .find(|scheme| text.get(..scheme.len()).is_some_and(|t| t.eq_ignore_ascii_case(scheme)))
        .and_then(|scheme| text.get(scheme.len()..))?;
    let host = rest.split(['/', '?', '#']).next().unwrap_or("");
    let bent = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '"' | '<' | '>' | '\\' | '`');
    let is_bent = match is_plain(text) {
        true => text.bytes().fold(false, |bent, b| bent | matches!(b, b' ' | b'"' | b'<' | b'>' | b'\\' | b'`')),
        false => text.contains(bent),
    };
    let clean = text.len() <= URL && !is_bent;
    (clean && !host.is_empty()).then(|| text.to_owned())
}

/// The host of a link, without user and port, in lower case.
pub(super) fn url_host(link: &str) -> Option<String> {
    let link = url(link)?;
    let authority = link.split_once("://")?.1.split(['/', '?', '#']).next()?;
    host(authority.rsplit('@').next()?).map(|h| h.to_ascii_lowercase())
}

/// A parameter of a link's query, decoded.
pub(super) fn url_parameter(link: &str, wanted: &str) -> Option<String> {
    let query = link.split_once('?')?.1.split('#').next()?;
    let found = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == wanted)?.1;
    (!absent(&found)).then(|| found.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_severity() {
        for (word, want) in [
            (" CRITICAL ", Some(Severity::Critical)),
            ("Sev-1", Some(Severity::Critical)),
            ("err", Some(Severity::High)),
            ("Warn", Some(Severity::Medium)),
            ("P4", Some(Severity::Low)),
            ("none", Some(Severity::Info)),
            ("1", None),
            ("spicy", None),
        ] {
            assert_eq!(severity(word), want, "{word}");
        }
    }

    #[test]
    fn absent_values_and_placeholders() {
        for text in [
            "",
            " ",
            "null",
            "NULL",
            "None",
            "N/A",
            "nan",
            "{State}",
            "{Tags[env]}",
            "$ALERT_ID",
            "$TAGS[env]",
            "*monitorURL*",
            "{{foo}}",
            "{{ $labels.instance }}",
        ] {
            assert!(absent(text), "{text}");
        }
        for text in [
            "none",
            "0",
            "{}",
            "{a b}",
            "$5",
            "$5.00 lost",
            "$name",
            "* down *",
            "**",
            "{{a}} and {{b}}",
            "{State} x",
            "nano",
        ] {
            assert!(!absent(text), "{text}");
        }
    }

    #[test]
    fn titles_are_one_tame_line() {
        assert_eq!(title("a\u{0}\u{7}b\r\n  c\td").unwrap(), "ab c d");
        assert_eq!(title("\u{202e}evil\u{2066} שלום عالم").unwrap(), "evil שלום عالم");
        let long = title(&"ä".repeat(5000)).unwrap();
        assert_eq!((long.chars().count(), long.ends_with('…')), (500, true));
        assert_eq!(title(&"x".repeat(500)).unwrap(), "x".repeat(500));
        assert_eq!(title("\u{202e} \n"), None);
    }

    #[test]
    fn long_labels_and_descriptions_are_cut_between_characters() {
        assert!(label(&"ä".repeat(9999)).len() <= LABEL);
        assert!(description(&"ä".repeat(99_999)).unwrap().len() <= DESCRIPTION);
        assert_eq!(label("short"), "short");
    }

    #[test]
    fn hosts_lose_their_port() {
        for (text, want) in [
            ("web-1:9100", "web-1"),
            ("10.0.0.7:9100", "10.0.0.7"),
            ("[fe80::1]:9100", "fe80::1"),
            ("fe80::1", "fe80::1"),
            ("https://shop.example.com:8443/health?x=1", "shop.example.com"),
            ("web-1", "web-1"),
            ("a:b", "a:b"),
        ] {
            assert_eq!(host(text).as_deref(), Some(want), "{text}");
        }
        assert_eq!(host(":9100"), None);
    }

    #[test]
    fn only_web_links_are_links() {
        for good in ["https://a.example/x?y=1#z", "HTTP://a", " http://[::1]:80/ "] {
            assert_eq!(url(good).as_deref(), Some(good.trim()));
        }
        for bad in [
            "javascript:alert(1)",
            "//a.example",
            "ftp://a",
            "https://",
            "http:///x",
            "https://a b",
            "data:text/html,x",
            "https://a/\"onclick=",
            "java\nscript:x",
            "https://a\\b",
            "",
        ] {
            assert_eq!(url(bad), None, "{bad}");
        }
        assert_eq!(url(&format!("https://a/{}", "x".repeat(URL))), None);
        assert_eq!(url_host("https://user:pw@Grafana.Example.com:3000/x").as_deref(), Some("grafana.example.com"));
        assert_eq!(url_parameter("https://a/?chart=x&transition=a%2Fb#f", "transition").as_deref(), Some("a/b"));
    }
}
