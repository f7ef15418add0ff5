//! Mending near-JSON: what templates and shell scripts send when they put values into text without escaping.
//!
//! Broken quotation marks inside texts are beyond repair: there is no telling where the text ends.

/// Mends, in one walk: byte order marks and NUL are dropped, raw control characters inside strings escaped, bare words
/// in value position quoted, empty values made null, `NaN`, `None`, `True` and their like written as JSON has them,
/// trailing commas dropped. What is valid stays as it is.
pub(super) fn repair(text: &str) -> String {
    let clean: String = text.chars().filter(|c| !matches!(c, '\0' | '\u{feff}')).collect();
    let mut out = String::with_capacity(clean.len() + 64);
    // What encloses this place, innermost last: `{` or `[`.
    let mut open: Vec<char> = Vec::new();
    // A value is due here, not a name and not a comma.
    let mut value_due = false;
    let mut rest = clean.as_str();
    while let Some(c) = rest.chars().next() {
        let in_object = open.last() == Some(&'{');
        let mut taken = c.len_utf8();
        match c {
            '"' => {
                taken = copy_string(rest, &mut out);
                value_due = false;
            }
            '{' | '[' => {
                open.push(c);
                out.push(c);
                value_due = c == '[';
            }
            '}' | ']' => {
                if value_due && in_object {
                    out.push_str("null");
                }
                open.pop();
                out.push(c);
                value_due = false;
            }
            ':' => {
                out.push(c);
                value_due = true;
            }
            ',' => {
                if value_due && in_object {
                    out.push_str("null");
                }
                let next = rest.get(taken..).and_then(|r| r.trim_start().chars().next());
                if !matches!(next, Some('}' | ']') | None) {
                    out.push(c);
                }
                value_due = !in_object;
            }
            c if c.is_whitespace() => out.push(c),
            _ if value_due => {
                let end = rest.find([',', '}', ']', '\n', '"']).unwrap_or(rest.len());
                let word = rest.get(..end).unwrap_or(rest);
                taken = word.len();
                out.push_str(&value(word.trim_end()));
                value_due = false;
            }
            _ => out.push(c),
        }
        rest = rest.get(taken..).unwrap_or("");
    }
    out
}

/// Copies the string that `text` begins with, and says how long it was.
fn copy_string(text: &str, out: &mut String) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match c {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c < ' ' => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
        if c == '"' && at > 0 && !escaped {
            return at + 1;
        }
        escaped = c == '\\' && !escaped;
    }
    text.len()
}

/// A bare word where a value stands, as JSON.
fn value(word: &str) -> String {
    match word {
        "true" | "false" | "null" => word.to_owned(),
        "True" => "true".to_owned(),
        "False" => "false".to_owned(),
        "nan" | "NaN" | "-nan" | "-NaN" | "Infinity" | "-Infinity" | "None" => "null".to_owned(),
        number if serde_json::from_str::<f64>(number).is_ok() => number.to_owned(),
        other => serde_json::Value::from(other).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(broken: &str, want: &str) {
        let mended = repair(broken);
        let value: serde_json::Value = serde_json::from_str(&mended).unwrap_or_else(|e| panic!("{mended}: {e}"));
        assert_eq!(value.to_string(), want, "{broken}");
    }

    #[test]
    fn each_repair() {
        check("\u{feff}{\"a\":\0 1}", r#"{"a":1}"#);
        check("{\"a\":\"line 1\nline\t2\u{1}\"}", r#"{"a":"line 1\nline\t2\u0001"}"#);
        check(r#"{"severity": CRITICAL, "b": 1}"#, r#"{"b":1,"severity":"CRITICAL"}"#);
        check(r#"{"a": , "b": }"#, r#"{"a":null,"b":null}"#);
        check(
            r#"{"a":nan,"b":NaN,"c":-Infinity,"d":None,"e":True,"f":False}"#,
            r#"{"a":null,"b":null,"c":null,"d":null,"e":true,"f":false}"#,
        );
        check("{\"a\":[1,2,],\n\"b\":1,\n}", r#"{"a":[1,2],"b":1}"#);
    }

    #[test]
    fn repairs_together_and_in_lists() {
        check(r#"{"a":[WARN, x y ,3],"t":12 GB,"w":-5.5e3,}"#, r#"{"a":["WARN","x y",3],"t":"12 GB","w":-5500.0}"#);
        check("{\"a\": $LOGS\n,\"b\": ,}", r#"{"a":"$LOGS","b":null}"#);
    }

    #[test]
    fn valid_json_stays_byte_for_byte() {
        let valid = "{\"a\\\"b\": [true, null, -1.5e3, {}], \"c\": \"x: , } \\\\\", \"d\": []}";
        assert_eq!(repair(valid), valid);
    }

    #[test]
    fn hopeless_text_ends() {
        for text in ["{\"a", "[[[", "}}}]", ",,,", "::", "\"\\"] {
            let _ = repair(text);
        }
    }
}
