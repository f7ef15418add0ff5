//! From the bytes of a request to a JSON value, whatever the sender says about them.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::{Request, fields::Obj, repair::repair, text};
use crate::model::{Note, Problem};

/// No sender batches more; a body that holds more is a mistake or an attack.
pub(super) const MAX_ITEMS: usize = 10_000;

/// A body that could be read.
pub(super) struct Body {
    pub root: Value,
    pub notes: Vec<Note>,
    /// It was not valid JSON and has been mended.
    pub repaired: bool,
}

impl Body {
    /// The body as an object, for senders that send nothing else.
    pub fn object(&self, sender: &str) -> Result<Obj<'_>, Problem> {
        match &self.root {
            Value::Object(map) => Ok(Obj::new(map)),
            other => Err(problem(
                "unrecognised",
                format!(
                    "{sender} sends an object (`{{…}}`); this body is {}. Check that the body is the template or \
                     payload that the connector's page shows.",
                    kind(other)
                ),
                Some(String::new()),
            )),
        }
    }
}

/// Shorthand for what every connector answers with when it cannot go on.
pub(super) fn problem(code: &str, detail: impl Into<String>, path: Option<String>) -> Problem {
    Problem { code: code.to_owned(), detail: detail.into(), path }
}

/// JSON, but not in this platform's shape: names what was looked for and what is there.
pub(super) fn unrecognised(sender: &str, looked_for: &str, found: Obj<'_>) -> Problem {
    let mut names: Vec<String> = found.keys().take(12).map(|k| format!("`{}`", text::line(k, 40))).collect();
    if found.len() > names.len() {
        names.push("…".to_owned());
    }
    let found = if names.is_empty() { "an empty object".to_owned() } else { names.join(", ") };
    problem(
        "unrecognised",
        format!(
            "This is not what {sender} sends: looked for {looked_for}; found {found}. Check that the sender uses the \
             webhook URL of its own platform and the body that the connector's page shows."
        ),
        Some(String::new()),
    )
}

/// The items of a list, or a problem when there are more than a body may hold.
pub(super) fn limited<'a>(items: &'a [Value], path: &str) -> Result<&'a [Value], Problem> {
    if items.len() > MAX_ITEMS {
        return Err(problem(
            "too_many",
            format!(
                "The list holds {} items; {MAX_ITEMS} is the most that one request may carry. Send it in parts.",
                items.len()
            ),
            Some(path.to_owned()),
        ));
    }
    Ok(items)
}

/// A kind of JSON value in words.
pub(super) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// Reads the body. The content type is a hint only: SNS posts JSON as `text/plain`, agents post it as a form.
pub(super) fn read(request: &Request<'_>) -> Result<Body, Problem> {
    let mut notes = Vec::new();
    let decoded = decode(request.body, &mut notes);
    let start = decoded.trim_start_matches(|c: char| c.is_whitespace() || c == '\0');
    if start.is_empty() {
        return Err(problem("invalid_json", "The body is empty; a JSON object was expected.", None));
    }
    if start.starts_with('<') {
        return Err(problem("invalid_json", "The body is XML or HTML; choose JSON as the sender's format.", None));
    }
    let content_type = request.header("content-type").unwrap_or("").trim();
    let (root, repaired) = if start.starts_with(['{', '[']) {
        json(&decoded)?
    } else if is(content_type, "multipart/form-data") || (content_type.is_empty() && start.starts_with("--")) {
        flatten(multipart(start, content_type)?)
    } else if is(content_type, "application/x-www-form-urlencoded")
        || PAYLOAD_FIELDS.iter().any(|f| start.strip_prefix(f).is_some_and(|r| r.starts_with('=')))
    {
        flatten(form_urlencoded::parse(start.trim_end().as_bytes()).into_owned().collect())
    } else {
        json(&decoded)?
    };
    if repaired {
        notes.push(Note::Warning("The JSON was not valid and was mended before reading.".to_owned()));
    }
    Ok(Body { root, notes, repaired })
}

fn is(content_type: &str, wanted: &str) -> bool {
    content_type.get(..wanted.len()).is_some_and(|c| c.eq_ignore_ascii_case(wanted))
}

fn decode<'a>(bytes: &'a [u8], notes: &mut Vec<Note>) -> Cow<'a, str> {
    let utf16 = |rest: &[u8], read: fn([u8; 2]) -> u16| -> String {
        let units: Vec<u16> = rest.as_chunks::<2>().0.iter().map(|pair| read(*pair)).collect();
        String::from_utf16_lossy(&units)
    };
    if let Some(rest) = bytes.strip_prefix(&[0xFF, 0xFE]) {
        return Cow::Owned(utf16(rest, u16::from_le_bytes));
    }
    if let Some(rest) = bytes.strip_prefix(&[0xFE, 0xFF]) {
        return Cow::Owned(utf16(rest, u16::from_be_bytes));
    }
    let bytes = bytes.strip_prefix(&[0xEF, 0xBB, 0xBF]).unwrap_or(bytes);
    match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => {
            notes.push(Note::Warning(
                "The body is not valid UTF-8; the characters that could not be read were replaced.".to_owned(),
            ));
            String::from_utf8_lossy(bytes)
        }
    }
}

/// Strictly first, then once more after mending. The problem names the place in what was sent.
fn json(text: &str) -> Result<(Value, bool), Problem> {
    let error = match serde_json::from_str(text) {
        Ok(value) => return Ok((value, false)),
        Err(error) => error,
    };
    if too_deep(&error) {
        return Err(deep());
    }
    match serde_json::from_str(&repair(text)) {
        Ok(value) => Ok((value, true)),
        Err(e) if too_deep(&e) => Err(deep()),
        Err(_) => Err(problem(
            "invalid_json",
            format!(
                "The body cannot be read as JSON: {error}. Unquoted variables and quotation marks inside texts are the \
                 usual reasons; check the sender's template."
            ),
            Some(format!("line {}, column {}", error.line(), error.column())),
        )),
    }
}

/// serde_json has no other sign of its own limit of 128 levels than its wording.
fn too_deep(error: &serde_json::Error) -> bool {
    error.to_string().starts_with("recursion limit exceeded")
}

fn deep() -> Problem {
    problem("too_deep", "The JSON is nested more than 127 levels deep; no platform sends that.", None)
}

/// Fields that carry a whole JSON document in a form.
const PAYLOAD_FIELDS: [&str; 4] = ["payload", "data", "body", "json"];

fn flatten(fields: Vec<(String, String)>) -> (Value, bool) {
    let mut payloads = fields.iter().filter(|(name, _)| PAYLOAD_FIELDS.contains(&name.as_str()));
    if let (Some((_, only)), None) = (payloads.next(), payloads.next())
        && let Ok((value @ (Value::Object(_) | Value::Array(_)), repaired)) = json(only)
    {
        return (value, repaired);
    }
    (Value::Object(fields.into_iter().map(|(name, value)| (name, Value::String(value))).collect::<Map<_, _>>()), false)
}

fn multipart(text: &str, content_type: &str) -> Result<Vec<(String, String)>, Problem> {
    let boundary = parameter(content_type, "boundary")
        .or_else(|| text.lines().next().and_then(|l| l.trim_end().strip_prefix("--")).map(str::to_owned))
        .filter(|b| !b.is_empty())
        .ok_or_else(|| problem("invalid_json", "The form names no boundary in its content type.", None))?;
    let mut fields = Vec::new();
    for part in text.split(&format!("--{boundary}")).skip(1) {
        let Some((head, value)) = part.split_once("\r\n\r\n").or_else(|| part.split_once("\n\n")) else { continue };
        let name = head
            .lines()
            .filter_map(|line| line.split_once(':'))
            .find(|(header, _)| header.trim().eq_ignore_ascii_case("content-disposition"))
            .and_then(|(_, disposition)| parameter(disposition, "name"));
        if let Some(name) = name {
            let value = value.strip_suffix("\r\n").or_else(|| value.strip_suffix('\n')).unwrap_or(value);
            fields.push((name, value.to_owned()));
        }
    }
    if fields.is_empty() {
        return Err(problem("invalid_json", "The form holds no fields.", None));
    }
    Ok(fields)
}

/// A parameter of a header such as `form-data; name="payload"`.
fn parameter(header: &str, wanted: &str) -> Option<String> {
    header
        .split(';')
        .skip(1)
        .filter_map(|p| p.split_once('='))
        .find(|(name, _)| name.trim().eq_ignore_ascii_case(wanted))
        .map(|(_, value)| value.trim().trim_matches('"').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Time;

    fn read_as(content_type: &str, body: &[u8]) -> Result<Body, Problem> {
        let headers = [("content-type".to_owned(), content_type.to_owned())];
        read(&Request { headers: &headers, query: &[], body, received_at: Time::default(), rca_enabled: false })
    }

    fn check(content_type: &str, body: &[u8], want: &str, notes: usize) {
        let body = read_as(content_type, body).unwrap();
        assert_eq!(body.root.to_string(), want);
        assert_eq!(body.notes.len(), notes, "{:?}", body.notes);
    }

    #[test]
    fn encodings() {
        check("", b"\xEF\xBB\xBF{\"a\":1}", r#"{"a":1}"#, 0);
        let wide = |order: fn(u16) -> [u8; 2]| -> Vec<u8> {
            "\u{feff}{\"a\":\"é\"}".encode_utf16().flat_map(order).collect()
        };
        check("", &wide(u16::to_le_bytes), r#"{"a":"é"}"#, 0);
        check("", &wide(u16::to_be_bytes), r#"{"a":"é"}"#, 0);
        check("", b"{\"a\":\"caf\xE9\"}", "{\"a\":\"caf\u{fffd}\"}", 1);
    }

    #[test]
    fn content_type_is_only_a_hint() {
        for content_type in ["text/plain", "application/x-www-form-urlencoded", "application/xml", ""] {
            check(content_type, b" \n{\"a\":1}", r#"{"a":1}"#, 0);
        }
        check("", b"{\"a\":1,\"a\":2}", r#"{"a":2}"#, 0);
    }

    #[test]
    fn forms() {
        let form = "application/x-www-form-urlencoded; charset=utf-8";
        check(form, b"title=CPU+%3E+90&id=7", r#"{"id":"7","title":"CPU > 90"}"#, 0);
        check(form, b"payload=%7B%22a%22%3A1%7D&x=1", r#"{"a":1}"#, 0);
        check("", b"payload=%7B%22a%22%3A1%7D", r#"{"a":1}"#, 0);
        check(form, b"body=plain+text", r#"{"body":"plain text"}"#, 0);
        check(form, b"data=%5B1%5D&json=%5B2%5D", r#"{"data":"[1]","json":"[2]"}"#, 0);
        let parts = "--XX\r\nContent-Disposition: form-data; name=\"title\"\r\n\r\nDisk full\r\n--XX\r\n\
                     Content-Disposition: form-data; name=\"n\"\r\n\r\n1\r\n--XX--\r\n";
        check("multipart/form-data; boundary=XX", parts.as_bytes(), r#"{"n":"1","title":"Disk full"}"#, 0);
        check("", parts.replace("Disk full", "x").replace('\r', "").as_bytes(), r#"{"n":"1","title":"x"}"#, 0);
        let json = parts.replace("title", "data").replace("Disk full", r#"{"a":1}"#);
        check("multipart/form-data; boundary=\"XX\"", json.as_bytes(), r#"{"a":1}"#, 0);
    }

    #[test]
    fn what_cannot_be_read_says_where() {
        for (body, code, path) in [
            ("", "invalid_json", None),
            ("hello", "invalid_json", Some("line 1, column 1")),
            ("<?xml version=\"1.0\"?><job/>", "invalid_json", None),
            ("{\n\"a\": \"b\"c\"}", "invalid_json", Some("line 2, column 9")),
        ] {
            let problem = read_as("", body.as_bytes()).err().unwrap();
            assert_eq!((problem.code.as_str(), problem.path.as_deref()), (code, path), "{body}: {}", problem.detail);
        }
        assert_eq!(read_as("", "[".repeat(200_000).as_bytes()).err().unwrap().code, "too_deep");
        assert_eq!(read_as("", "{\"a\":".repeat(130).as_bytes()).err().unwrap().code, "too_deep");
    }

    #[test]
    fn a_scalar_is_no_object() {
        let body = read_as("", b"[1]").unwrap();
        let problem = body.object("Grafana").err().unwrap();
        assert_eq!(problem.code, "unrecognised");
        assert!(problem.detail.contains("Grafana sends an object") && problem.detail.contains("a list"));
        assert_eq!(read_as("", b"\"x\"").unwrap().object("Grafana").err().unwrap().path.as_deref(), Some(""));
    }
}
