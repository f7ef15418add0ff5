//! A text cut into terms. Whoever reads, edits or completes a query cuts it here, so that all agree where terms are.

use std::ops::Range;

/// One term as it was typed.
#[derive(Clone, Debug, PartialEq)]
pub struct Span<'q> {
    /// Bytes of the text.
    pub bytes: Range<usize>,
    /// As typed.
    pub text: &'q str,
    /// With `-` before it.
    pub not: bool,
    /// The field before the colon, if there is one: in small letters, but for the name of a label.
    pub field: Option<String>,
    /// The values, without their quotation marks; empty ones too.
    pub values: Vec<String>,
    /// Where each value begins, in bytes of the text.
    pub starts: Vec<usize>,
    /// A quotation mark is not closed.
    pub unclosed: bool,
}

/// Characters before a byte of the text.
pub fn place_of(q: &str, byte: usize) -> usize {
    q.get(..byte).unwrap_or(q).chars().count()
}

/// The terms of a text, in order.
pub fn spans(q: &str) -> Vec<Span<'_>> {
    let mut found = Vec::new();
    let mut chars = q.char_indices().peekable();
    while let Some(&(from, c)) = chars.peek() {
        if c.is_whitespace() {
            chars.next();
            continue;
        }
        let mut field = None;
        let (mut values, mut starts) = (Vec::new(), vec![from]);
        let (mut value, mut end) = (String::new(), from);
        let (mut quoted, mut was_quoted, mut not) = (false, false, false);
        while let Some(&(at, c)) = chars.peek() {
            if c.is_whitespace() && !quoted {
                break;
            }
            chars.next();
            end = at + c.len_utf8();
            match c {
                '"' => {
                    quoted = !quoted;
                    was_quoted = true;
                }
                // `-` alone is a word, as between two names.
                '-' if at == from && chars.peek().is_some_and(|(_, next)| !next.is_whitespace()) => {
                    not = true;
                    starts = vec![end];
                }
                ':' if !quoted && !was_quoted && field.is_none() && is_field(&value) => {
                    field = Some(small(&std::mem::take(&mut value)));
                    starts = vec![end];
                }
                ',' if !quoted && field.is_some() => {
                    values.push(std::mem::take(&mut value));
                    starts.push(end);
                }
                c => value.push(c),
            }
        }
        values.push(value);
        let text = q.get(from..end).unwrap_or_default();
        found.push(Span { bytes: from..end, text, not, field, values, starts, unclosed: quoted });
    }
    found
}

/// Fields have no case; names of labels keep theirs.
fn small(field: &str) -> String {
    match field.split_once('.') {
        Some((head, name)) if head.eq_ignore_ascii_case("label") => format!("label.{name}"),
        _ => field.to_ascii_lowercase(),
    }
}

/// What looks like a field: so that `http://x` and `12:30` stay words.
fn is_field(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b'/'))
        && !["http", "https"].contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terms_are_where_they_were_typed() {
        let q = "ä  -Service:\"a b\",c* \"two words\" http://x 12:30 - label.Env:x -wörd";
        let all = spans(q);
        let texts: Vec<&str> = all.iter().map(|s| s.text).collect();
        assert_eq!(
            texts,
            ["ä", "-Service:\"a b\",c*", "\"two words\"", "http://x", "12:30", "-", "label.Env:x", "-wörd"]
        );
        let service = &all[1];
        assert_eq!((service.not, service.field.as_deref()), (true, Some("service")));
        assert_eq!(service.values, ["a b", "c*"]);
        assert_eq!(place_of(q, service.bytes.start), 3);
        assert_eq!(service.starts.iter().map(|at| &q[*at..*at + 2]).collect::<Vec<_>>(), ["\"a", "c*"]);
        assert_eq!(all[6].field.as_deref(), Some("label.Env"));
        assert!(all[7].not && all[7].field.is_none() && all[7].values == ["wörd"]);
        assert!(!all[5].not && all[2].values == ["two words"]);
        assert!(spans("a \"b c").last().unwrap().unclosed);
    }
}
