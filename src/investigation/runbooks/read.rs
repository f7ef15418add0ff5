//! A Markdown file as a runbook: what it is for from its front matter, and its sections.

use std::collections::BTreeMap;

use crate::investigation::suggest::Fault;

/// Sections of one file.
const SECTIONS: usize = 60;
/// What is kept of a section: its first lines.
const LINES: usize = 6;
const LETTERS: usize = 500;
/// Values of one key.
const VALUES: usize = 50;

/// What a file says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Front {
    /// `title`.
    pub title: Option<String>,
    /// `alerts`.
    pub alerts: Vec<String>,
    /// `services`.
    pub services: Vec<String>,
    /// `labels`.
    pub labels: BTreeMap<String, String>,
    /// `keywords`.
    pub keywords: Vec<String>,
}

/// A heading with what stands below it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Section {
    /// The heading without its marks; empty before the first.
    pub heading: String,
    /// What its address ends with.
    pub anchor: String,
    /// The first lines below it, one line each.
    pub lines: Vec<String>,
}

/// The front matter and where the text begins, with what is wrong in it.
pub fn front<'a>(file: &str, text: &'a str) -> (Front, &'a str, Vec<Fault>) {
    let mut front = Front::default();
    let mut faults = Vec::new();
    let Some((fence, rest)) = ["---", "+++"].iter().find_map(|f| Some((*f, opening(text, f)?))) else {
        return (front, text, faults);
    };
    let mut fault = |line: usize, what: String| {
        faults.push(Fault { file: file.to_owned(), line: Some(line), column: None, what });
    };
    let mut inner: Vec<&str> = Vec::new();
    let mut after = rest;
    let mut closed = false;
    for line in rest.split_inclusive('\n') {
        after = after.get(line.len()..).unwrap_or("");
        if line.trim_end() == fence {
            closed = true;
            break;
        }
        inner.push(line.trim_end());
    }
    // A rule at the top of a text that has no front matter.
    if !closed {
        return (front, text, faults);
    }
    if fence == "+++" {
        let read: Result<toml::Table, _> = toml::from_str(&inner.join("\n"));
        match read {
            Ok(table) => {
                for (key, value) in table {
                    if let Err(what) = set(&mut front, &key, from_toml(value)) {
                        fault(1, what);
                    }
                }
            }
            Err(e) => {
                let line =
                    e.span().map_or(2, |s| inner.join("\n").get(..s.start).unwrap_or("").matches('\n').count() + 2);
                fault(line, format!("the front matter is no TOML: {}", e.message()));
            }
        }
        return (front, after, faults);
    }
    let mut lines = inner.iter().zip(2..).peekable();
    while let Some((line, number)) = lines.next() {
        if line.trim().is_empty() || line.trim_start().starts_with('#') {
            continue;
        }
        let Some((key, value)) = line.split_once(':').filter(|(k, _)| !k.starts_with([' ', '-', '\t'])) else {
            fault(number, format!("`{}` is no line of the form `key: value`", cut(line, 60)));
            continue;
        };
        let mut read = match scalar_or_list(value) {
            Some(read) => read,
            None => {
                fault(number, "a list in one line ends with `]`".to_owned());
                continue;
            }
        };
        // What is indented below belongs to the key.
        while let Some((below, _)) = lines.next_if(|(l, _)| l.starts_with([' ', '\t', '-'])) {
            let below = below.trim();
            if let Some(item) = below.strip_prefix('-') {
                read.values.push(unquoted(item).to_owned());
            } else if let Some((name, value)) = below.split_once(':') {
                read.pairs.insert(unquoted(name).to_owned(), unquoted(value).to_owned());
            }
        }
        if let Err(what) = set(&mut front, key.trim(), read) {
            fault(number, what);
        }
    }
    (front, after, faults)
}

fn opening<'a>(text: &'a str, fence: &str) -> Option<&'a str> {
    let (first, rest) = text.split_once('\n')?;
    (first.trim_end() == fence).then_some(rest)
}

#[derive(Default)]
struct Value {
    values: Vec<String>,
    pairs: BTreeMap<String, String>,
}

fn set(front: &mut Front, key: &str, value: Value) -> Result<(), String> {
    let mut values = value.values;
    values.retain(|v| !v.is_empty());
    values.truncate(VALUES);
    match key.to_ascii_lowercase().as_str() {
        "title" => front.title = values.into_iter().next(),
        "alerts" | "alert" => front.alerts = values,
        "services" | "service" => front.services = values,
        "keywords" | "keyword" => front.keywords = values,
        "labels" if !values.is_empty() => {
            return Err("`labels` has names with values: `labels:` and below it `  team: shop`".to_owned());
        }
        "labels" => front.labels = value.pairs,
        // What other programs keep there is theirs.
        _ => {}
    }
    Ok(())
}

fn scalar_or_list(text: &str) -> Option<Value> {
    let text = text.trim();
    let mut value = Value::default();
    if let Some(inner) = text.strip_prefix('[') {
        value.values = inner.strip_suffix(']')?.split(',').map(|v| unquoted(v).to_owned()).collect();
    } else if let Some(inner) = text.strip_prefix('{') {
        let pairs = inner.strip_suffix('}')?.split(',').filter_map(|p| p.split_once(':'));
        value.pairs = pairs.map(|(k, v)| (unquoted(k).to_owned(), unquoted(v).to_owned())).collect();
    } else if !text.is_empty() {
        value.values.push(unquoted(text).to_owned());
    }
    Some(value)
}

fn unquoted(text: &str) -> &str {
    let text = text.trim();
    ['"', '\''].iter().find_map(|q| text.strip_prefix(*q)?.strip_suffix(*q)).unwrap_or(text)
}

fn from_toml(value: toml::Value) -> Value {
    let text = |v: toml::Value| match v {
        toml::Value::String(s) => s,
        other => other.to_string(),
    };
    match value {
        toml::Value::Array(all) => Value { values: all.into_iter().map(text).collect(), ..Value::default() },
        toml::Value::Table(all) => {
            Value { pairs: all.into_iter().map(|(k, v)| (k, text(v))).collect(), ..Value::default() }
        }
        one => Value { values: vec![text(one)], ..Value::default() },
    }
}

/// The sections of a text, in order; what stands before the first heading is one without a heading.
pub fn sections(text: &str) -> Vec<Section> {
    let mut found = vec![Section::default()];
    let mut fence: Option<&str> = None;
    let mut letters = 0;
    for line in text.lines() {
        let bare = line.trim_start();
        let mark = ["```", "~~~"].into_iter().find(|m| bare.starts_with(m));
        match (fence, mark) {
            (None, Some(open)) => fence = Some(open),
            (Some(open), Some(mark)) if open == mark => fence = None,
            _ => {}
        }
        if fence.is_none()
            && mark.is_none()
            && let Some(heading) = heading(line)
        {
            if found.len() > SECTIONS {
                break;
            }
            let heading = cut(heading, 200);
            let anchor = anchor(&heading, &found);
            found.push(Section { heading, anchor, lines: Vec::new() });
            letters = 0;
            continue;
        }
        let Some(section) = found.last_mut() else { continue };
        if mark.is_none() && !bare.is_empty() && section.lines.len() < LINES && letters < LETTERS {
            let line = cut(line.trim_end(), LETTERS - letters);
            letters += line.chars().count();
            section.lines.push(line);
        }
    }
    found.retain(|s| !s.heading.is_empty() || !s.lines.is_empty());
    found
}

/// The text of a heading such as `## Disk full ##`.
fn heading(line: &str) -> Option<&str> {
    let indented = line.len() - line.trim_start_matches(' ').len();
    let line = line.trim();
    let level = line.bytes().take_while(|b| *b == b'#').count();
    let rest = line.get(level..).filter(|r| (1..=6).contains(&level) && indented < 4 && r.starts_with([' ', '\t']))?;
    let text = rest.trim().trim_end_matches('#').trim_end();
    (!text.is_empty()).then_some(text)
}

/// As GitHub and GitLab make them: small letters, digits and dashes; the second of the same name ends with `-1`.
fn anchor(heading: &str, before: &[Section]) -> String {
    let mut plain = String::new();
    for c in heading.to_lowercase().chars() {
        match c {
            ' ' | '-' => plain.push('-'),
            c if c.is_alphanumeric() || c == '_' => plain.push(c),
            _ => {}
        }
    }
    let taken = |a: &str| before.iter().any(|s| s.anchor == a);
    let again = (1..).map(|n| format!("{plain}-{n}"));
    std::iter::once(plain.clone()).chain(again).find(|a| !taken(a)).unwrap_or(plain)
}

fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((at, _)) => format!("{}…", text.get(..at).unwrap_or("")),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn front_matter_in_its_usual_forms() {
        let yaml = "---\ntitle: \"Checkout\"\nalerts: [HighErrorRate, 'Slow*']\nservices:\n  - checkout\n  - cart\nlabels:\n  team: shop\n# mine\nlayout: page\nkeywords: payment refused\n---\n# A\n";
        let (front, rest, faults) = front("c.md", yaml);
        assert_eq!(faults, []);
        assert_eq!(rest, "# A\n");
        assert_eq!(front.title.as_deref(), Some("Checkout"));
        assert_eq!(front.alerts, ["HighErrorRate", "Slow*"]);
        assert_eq!(front.services, ["checkout", "cart"]);
        assert_eq!(front.labels, BTreeMap::from([("team".into(), "shop".into())]));
        assert_eq!(front.keywords, ["payment refused"]);
        let toml = "+++\ntitle = \"Checkout\"\nalerts = [\"HighErrorRate\", \"Slow*\"]\nservices = [\"checkout\", \"cart\"]\nkeywords = \"payment refused\"\n[labels]\nteam = \"shop\"\n+++\n# A\n";
        assert_eq!(super::front("c.md", toml), (front, "# A\n", Vec::new()));
    }

    #[test]
    fn mistakes_of_front_matter_have_their_line_and_lose_nothing_else() {
        let (front, rest, faults) = front("c.md", "---\nalerts: [A\nservices: [b]\nwhat\nlabels: x\n---\nText");
        let said: Vec<String> = faults.iter().map(ToString::to_string).collect();
        assert!(said[0].starts_with("c.md:2: a list"), "{said:?}");
        assert!(said[1].starts_with("c.md:4: `what` is no line"), "{said:?}");
        assert!(said[2].starts_with("c.md:5: `labels` has names"), "{said:?}");
        assert_eq!((front.services, rest), (vec!["b".to_owned()], "Text"));
        let (_, rest, faults) = super::front("c.md", "---\nno end\n");
        assert_eq!((rest, faults.len()), ("---\nno end\n", 0));
    }

    #[test]
    fn sections_end_at_the_next_heading_and_code_has_none() {
        let all = sections(
            "Before\n\n# One\nfirst\n```sh\n# no heading\n```\n#nor this\n## Two & three ##\nsecond\n## Two & three\n",
        );
        let shown: Vec<(&str, &str, String)> =
            all.iter().map(|s| (s.heading.as_str(), s.anchor.as_str(), s.lines.join("|"))).collect();
        let want = [
            ("", "", "Before"),
            ("One", "one", "first|# no heading|#nor this"),
            ("Two & three", "two--three", "second"),
            ("Two & three", "two--three-1", ""),
        ];
        assert_eq!(shown, want.map(|(a, b, c)| (a, b, c.to_owned())));
        assert!(sections(&"# x\n".repeat(500)).len() <= SECTIONS + 1);
    }
}
