//! Takes a field's value out of a body that is kept, in whatever form it stands there: JSON, JSON within a text of JSON,
//! a form, percent-encoded, or XML. The length stays, and so does what was valid.

/// Texts within texts that are looked into; nobody escapes more often.
const MOST_NESTED: usize = 4;

/// One character of the body, and the bytes that it takes.
#[derive(Clone, Copy)]
struct Unit {
    byte: u8,
    len: usize,
}

/// How often the text around a field was percent-encoded.
#[derive(Clone, Copy)]
enum Encoded {
    /// Not at all: `%22` is a text like any other.
    Never,
    /// Once: `%22` is a mark, and `%2522` the text `%22`.
    Once,
    /// Twice or more: `%2522` is a mark.
    Twice,
}

impl Encoded {
    /// As the mark that follows the field's name is.
    fn of(after: &[u8]) -> Encoded {
        match after {
            [b'%', b'2', b'5', ..] => Encoded::Twice,
            [b'%', ..] => Encoded::Once,
            _ => Encoded::Never,
        }
    }

    /// The next character, if it stands encoded.
    fn next(self, rest: &[u8]) -> Option<Unit> {
        let hex = |b: &u8| char::from(*b).to_digit(16).and_then(|d| u8::try_from(d).ok());
        let digits = |high: &u8, low: &u8| Some(hex(high)? << 4 | hex(low)?);
        match (self, rest) {
            (Encoded::Never, _) => None,
            (Encoded::Twice, [b'%', b'2', b'5', high, low, ..]) => digits(high, low).map(|byte| Unit { byte, len: 5 }),
            (_, [b'%', high, low, ..]) => digits(high, low).map(|byte| Unit { byte, len: 3 }),
            _ => None,
        }
    }
}

/// A place in the body, moved on character by character.
#[derive(Clone, Copy)]
struct Cursor<'a> {
    body: &'a [u8],
    at: usize,
    encoded: Encoded,
}

impl Cursor<'_> {
    fn peek(&self) -> Option<Unit> {
        let rest = self.body.get(self.at..)?;
        self.encoded.next(rest).or_else(|| rest.first().map(|byte| Unit { byte: *byte, len: 1 }))
    }

    fn next_if(&mut self, wanted: impl Fn(u8) -> bool) -> Option<Unit> {
        let next = self.peek().filter(|u| wanted(u.byte))?;
        self.at += next.len;
        Some(next)
    }

    fn skip(&mut self, wanted: impl Fn(u8) -> bool) -> usize {
        std::iter::from_fn(|| self.next_if(&wanted)).count()
    }

    /// A quotation mark with the backslashes before it; stays where it is when there is none.
    fn quote(&mut self) -> Option<(u8, usize)> {
        let mut ahead = *self;
        let escapes = ahead.skip(|b| b == b'\\');
        let mark = ahead.next_if(|b| matches!(b, b'"' | b'\''))?;
        self.at = ahead.at;
        Some((mark.byte, escapes))
    }

    /// Space of any kind: as it is, as a plus, or as an escape of JSON. How many lines it ends.
    fn space(&mut self) -> usize {
        let mut lines = 0;
        loop {
            let mut ahead = *self;
            let escapes = ahead.skip(|b| b == b'\\');
            let Some(next) = ahead.peek() else { return lines };
            let is_space = match escapes {
                0 => next.byte.is_ascii_whitespace() || next.byte == b'+' && !matches!(self.encoded, Encoded::Never),
                _ => matches!(next.byte, b'n' | b'r' | b't'),
            };
            if !is_space {
                return lines;
            }
            lines += usize::from(next.byte == b'\n' || escapes > 0 && next.byte == b'n');
            self.at = ahead.at + next.len;
        }
    }
}

/// Where a value ends.
#[derive(Clone, Copy)]
enum Until {
    /// This quotation mark with so many backslashes before it.
    Quote(u8, usize),
    /// The end of a field of JSON that has no quotation marks.
    Bare,
    /// The end of a field of a form.
    Field,
    /// The end of a line.
    Line,
    /// The next tag.
    Tag,
}

/// Overwrites the value of this field wherever it stands in the body.
pub(super) fn blank(body: &mut [u8], field: &str) {
    let mut from = 0;
    while let Some(found) = body.get(from..).and_then(|rest| memchr::memmem::find(rest, field.as_bytes())) {
        let name = from + found;
        from = name + field.len();
        if let Some((start, end, fill)) = value(body, name, from) {
            body.get_mut(start..end).unwrap_or_default().fill(fill);
            from = end;
        }
    }
}

/// The value that follows the name between these places, without its marks, and what to write over it.
fn value(body: &[u8], name: usize, after: usize) -> Option<(usize, usize, u8)> {
    let mut cursor = Cursor { body, at: after, encoded: Encoded::of(body.get(after..)?) };
    let named = cursor.quote();
    let lines = cursor.space();
    let mark = cursor.peek()?;
    let until = match mark.byte {
        b':' | b'=' => {
            cursor.at += mark.len;
            cursor.space();
            match cursor.quote() {
                Some((quote, escapes)) => Until::Quote(quote, escapes),
                None if mark.byte == b':' => Until::Bare,
                None => Until::Field,
            }
        }
        b'>' if body.get(..name).is_some_and(|before| before.ends_with(b"<") || before.ends_with(b"%3C")) => {
            cursor.at += mark.len;
            Until::Tag
        }
        // A part of a form: an empty line stands between its head and what it says.
        _ if named.is_some() && lines > 1 => Until::Line,
        _ => return None,
    };
    let start = cursor.at;
    let end = end(cursor, until);
    let said = body.get(start..end)?;
    let fill = match until {
        // JSON without quotation marks stays JSON: these words say nothing, and a number stays one.
        Until::Bare if matches!(said, b"null" | b"true" | b"false") => return None,
        Until::Bare if said.iter().all(u8::is_ascii_digit) => b'1',
        _ => b'*',
    };
    Some((start, end, fill))
}

fn end(mut cursor: Cursor<'_>, until: Until) -> usize {
    loop {
        let here = cursor.at;
        let escapes = cursor.skip(|b| b == b'\\');
        let Some(next) = cursor.peek() else { return cursor.at };
        let ends = match until {
            Until::Quote(quote, opened) if next.byte == quote => match closes(escapes, opened) {
                // The mark's own backslashes stay with it.
                Some(own) => return backslashes(cursor, here, escapes - own),
                None => false,
            },
            Until::Quote(..) => false,
            Until::Bare => matches!(next.byte, b',' | b'}' | b']' | b'&' | b'"') || next.byte.is_ascii_whitespace(),
            Until::Field => matches!(next.byte, b'&' | b'"') || next.byte.is_ascii_whitespace(),
            Until::Line => matches!(next.byte, b'\r' | b'\n'),
            Until::Tag => next.byte == b'<',
        };
        if ends {
            return if next.byte == b'"' { here } else { cursor.at };
        }
        cursor.at += next.len;
    }
}

/// Whether a quotation mark behind so many backslashes closes what one behind `opened` of them began, or something around
/// it; then how many of its backslashes are the mark's own.
fn closes(escapes: usize, opened: usize) -> Option<usize> {
    let mut left = escapes;
    let mut own = 0;
    // Each level of texts within texts doubles the backslashes before a mark and adds one.
    for _ in 0..=MOST_NESTED {
        if left.is_multiple_of(2) {
            return Some(if own >= opened { opened } else { 0 });
        }
        if own >= opened {
            return None;
        }
        left /= 2;
        own = own * 2 + 1;
    }
    None
}

/// The place after so many backslashes.
fn backslashes(cursor: Cursor<'_>, from: usize, count: usize) -> usize {
    let mut at = Cursor { at: from, ..cursor };
    for _ in 0..count {
        at.next_if(|b| b == b'\\');
    }
    at.at
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn blanked(sent: &str) -> String {
        let mut body = sent.as_bytes().to_vec();
        blank(&mut body, "session_key");
        String::from_utf8(body).unwrap()
    }

    #[test]
    fn a_field_is_blanked_wherever_it_stands() {
        for (sent, want) in [
            (r#"{"session_key": "a\"b", "x": "k"}"#, r#"{"session_key": "****", "x": "k"}"#),
            (r#"{"session_key": "ab\\", "x": "k"}"#, r#"{"session_key": "****", "x": "k"}"#),
            (
                r#"{"a":{"session_key":"1"},"session_key":77,"b":1}"#,
                r#"{"a":{"session_key":"*"},"session_key":11,"b":1}"#,
            ),
            (r#"{"session_key":null,"b":1}"#, r#"{"session_key":null,"b":1}"#),
            (r#"{"session_key":abc}"#, r#"{"session_key":***}"#),
            ("session_key=ab%20c,d&x=1", "session_key=********&x=1"),
            ("session_key", "session_key"),
            (r#"{"session_key": "", "a": "b"}"#, r#"{"session_key": "", "a": "b"}"#),
            (
                r#"{"a": "the session_key, no", "session_key":"x"}"#,
                r#"{"a": "the session_key, no", "session_key":"*"}"#,
            ),
            (r#"{"session_key":"#, r#"{"session_key":"#),
            // A text of JSON, and one within one.
            (r#"{"m":"{\"session_key\": \"abc\"}","x":1}"#, r#"{"m":"{\"session_key\": \"***\"}","x":1}"#),
            (r#"{"m":"{\"session_key\": \"a\\\"c\", \"x\":1}"}"#, r#"{"m":"{\"session_key\": \"******\", \"x\":1}"}"#),
            (r#"{"m":"{\"session_key\":\n \"abc\"}"}"#, r#"{"m":"{\"session_key\":\n \"***\"}"}"#),
            (r#"{"m":"{\"session_key\":77}"}"#, r#"{"m":"{\"session_key\":11}"}"#),
            (r#"{"m":"{\"session_key\": \"cut","x":"k"}"#, r#"{"m":"{\"session_key\": \"***","x":"k"}"#),
            (
                r#"{"m":"{\"n\":\"{\\\"session_key\\\":\\\"abc\\\"}\"}"}"#,
                r#"{"m":"{\"n\":\"{\\\"session_key\\\":\\\"***\\\"}\"}"}"#,
            ),
            (r#"{"m":"{'session_key': 'abc', 'x': 'k'}"}"#, r#"{"m":"{'session_key': '***', 'x': 'k'}"}"#),
            (r#"{"m":"with session_key: abc"}"#, r#"{"m":"with session_key: ***"}"#),
            (r#"{"url":"https://s/x?session_key=abc","b":1}"#, r#"{"url":"https://s/x?session_key=***","b":1}"#),
            // In an address or a form.
            (
                "payload=%7B%22session_key%22%3A%22abc%22%2C%22x%22%3A1%7D&y=1",
                "payload=%7B%22session_key%22%3A%22***%22%2C%22x%22%3A1%7D&y=1",
            ),
            ("payload=%7B%22session_key%22%3A+%22a%5C%22c%22%7D", "payload=%7B%22session_key%22%3A+%22********%22%7D"),
            (
                "payload=%7B%22m%22%3A%22%7B%5C%22session_key%5C%22%3A%5C%22abc%5C%22%7D%22%7D",
                "payload=%7B%22m%22%3A%22%7B%5C%22session_key%5C%22%3A%5C%22***%5C%22%7D%22%7D",
            ),
            ("payload=%7B%22session_key%22%3A77%7D&y=1", "payload=%7B%22session_key%22%3A11%7D&y=1"),
            (
                "q=%257B%2522session_key%2522%253A%2522abc%2522%257D",
                "q=%257B%2522session_key%2522%253A%2522***%2522%257D",
            ),
            ("payload=%7B%22session_key%22%3A%22a%2522b%22%7D", "payload=%7B%22session_key%22%3A%22*******%22%7D"),
            (
                "q=%257B%2522session_key%2522%253A%2522a%252522b%2522%257D",
                "q=%257B%2522session_key%2522%253A%2522*********%2522%257D",
            ),
            (
                "link=https%3A%2F%2Fs%3Fsession_key%3Dabc%26y%3D1&z=2",
                "link=https%3A%2F%2Fs%3Fsession_key%3D***%26y%3D1&z=2",
            ),
            // A form in parts, and XML.
            (
                "--b\r\nContent-Disposition: form-data; name=\"session_key\"\r\n\r\nabc\r\n--b--",
                "--b\r\nContent-Disposition: form-data; name=\"session_key\"\r\n\r\n***\r\n--b--",
            ),
            (
                "<alert><session_key>abc</session_key> <x/></alert>",
                "<alert><session_key>***</session_key> <x/></alert>",
            ),
        ] {
            assert_eq!(blanked(sent), want);
        }
    }

    proptest! {
        #[test]
        fn what_was_valid_stays_so_and_the_rest_stays(key in "[a-c25\\\\\"'%&:=,{}<>+ é]{1,12}", depth in 0usize..4, form: bool) {
            let mut json = serde_json::json!({"a": "before", "session_key": key, "z": "after"}).to_string();
            for _ in 0..depth {
                json = serde_json::json!({"inner": json}).to_string();
            }
            let sent = match form {
                true => form_urlencoded::Serializer::new(String::new()).append_pair("payload", &json).finish(),
                false => json,
            };
            let got = blanked(&sent);
            prop_assert_eq!(got.len(), sent.len());
            let mut json = match form {
                true => form_urlencoded::parse(got.as_bytes()).next().unwrap().1.into_owned(),
                false => got,
            };
            for _ in 0..depth {
                let outer: serde_json::Value = serde_json::from_str(&json).unwrap();
                json = outer["inner"].as_str().unwrap().to_owned();
            }
            let read: serde_json::Value = serde_json::from_str(&json).unwrap();
            prop_assert_eq!((&read["a"], &read["z"]), (&serde_json::json!("before"), &serde_json::json!("after")));
            let left = read["session_key"].as_str().unwrap();
            prop_assert!(!left.is_empty() && left.chars().all(|c| c == '*'), "{}", left);
        }
    }
}
