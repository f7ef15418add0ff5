//! `similar`: how alike texts are, as the correlator sees it.

use std::path::PathBuf;

use clap::Args;
use serde::Deserialize;

use super::{CliError, out::Out};
use crate::text::{Doc, similarity};

/// Which texts, and what to say of them.
#[derive(Debug, Args)]
pub struct SimilarArgs {
    /// One JSON object a line: `{"id", "title", "description"}`; `-` reads standard input
    file: PathBuf,
    /// How many of the nearest to list for each
    #[arg(long, default_value_t = 10, value_name = "N")]
    top: usize,
    /// Every pair that is at all alike: both ids and the score, between tabs
    #[arg(long)]
    pairs: bool,
}

/// A line of the file.
#[derive(Debug, Deserialize)]
struct Line {
    id: String,
    #[serde(default)]
    title: String,
    #[serde(default)]
    description: Option<String>,
}

/// Compares every text with every other.
pub async fn run(args: SimilarArgs) -> Result<(), CliError> {
    let named = args.file.display().to_string();
    let read = if named == "-" {
        std::io::read_to_string(std::io::stdin())
    } else {
        tokio::fs::read_to_string(&args.file).await
    };
    let text = read.map_err(|e| CliError::Failed(format!("cannot read {named}: {e}")))?;
    let texts = texts(&text).map_err(|e| CliError::Failed(format!("{named}, {e}")))?;
    let mut out = Out::new();
    if args.pairs {
        for (n, (id, doc)) in texts.iter().enumerate() {
            for (other, theirs) in texts.iter().skip(n + 1) {
                let score = similarity(doc, theirs);
                if score > 0.0 {
                    out.line(format_args!("{id}\t{other}\t{score:.9}"))?;
                }
            }
        }
    } else {
        for (n, (id, doc)) in texts.iter().enumerate() {
            out.line(format_args!("{id}\t{}", named_as(doc)))?;
            for (score, other) in nearest(&texts, n, doc, args.top) {
                out.line(format_args!("\t{score:.6}\t{other}"))?;
            }
        }
    }
    out.flush()
}

/// What the lists make of a text: `mysql: replication_lag`.
fn named_as(doc: &Doc) -> String {
    match (doc.component(), doc.symptom()) {
        (Some(component), Some(symptom)) => format!("{component}: {symptom}"),
        (Some(one), None) | (None, Some(one)) => one.to_owned(),
        (None, None) => "-".to_owned(),
    }
}

fn nearest<'a>(texts: &'a [(String, Doc)], own: usize, doc: &Doc, top: usize) -> Vec<(f64, &'a str)> {
    let others = texts.iter().enumerate().filter(|(n, _)| *n != own);
    let mut found: Vec<(f64, &str)> =
        others.map(|(_, (id, theirs))| (similarity(doc, theirs), id.as_str())).filter(|(s, _)| *s > 0.0).collect();
    found.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(b.1)));
    found.truncate(top);
    found
}

/// The texts of a file, or what is wrong with which line.
fn texts(text: &str) -> Result<Vec<(String, Doc)>, String> {
    let mut found: Vec<(String, Doc)> = Vec::new();
    let mut lines: std::collections::BTreeMap<String, usize> = std::collections::BTreeMap::new();
    for (n, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let number = n + 1;
        let line: Line = serde_json::from_str(line).map_err(|e| {
            // It counts lines from where it begins to read, which is always this one.
            let said = e.to_string();
            let said = said.rsplit_once(" at line ").map_or(said.as_str(), |(said, _)| said);
            format!("line {number}: {said} (column {})", e.column())
        })?;
        if line.id.is_empty() || line.id.contains(['\t', '\n']) {
            return Err(format!("line {number}: an id must not be empty nor hold a tab or a line break"));
        }
        if let Some(first) = lines.insert(line.id.clone(), number) {
            return Err(format!("line {number}: the id \"{}\" stands in line {first} already", line.id));
        }
        found.push((line.id, Doc::read(&line.title, line.description.as_deref().unwrap_or_default())));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mistakes_are_told_with_their_line() {
        for (text, want) in [
            ("{\"id\":\"a\"}\n\n{\"id\":7}", "line 3: invalid type"),
            ("{\"id\":\"a\"}\n{\"title\":\"x\"}", "line 2: missing field `id`"),
            ("{\"id\":\"a\"}\n{\"id\":\"a\"}", "line 2: the id \"a\" stands in line 1 already"),
            ("{\"id\":\"\"}", "line 1: an id must not be empty"),
            ("no json", "line 1: expected"),
        ] {
            let problem = texts(text).unwrap_err();
            assert!(problem.starts_with(want), "{text}: {problem}");
        }
    }

    #[test]
    fn the_nearest_come_first_and_not_the_text_itself() {
        let file = [
            r#"{"id":"a","title":"MySQL replication lag","description":null}"#,
            r#"{"id":"b","title":"CPU high"}"#,
            r#"{"id":"c","title":"Replica of mysqld is 120 s behind"}"#,
        ];
        let texts = texts(&file.join("\n")).unwrap();
        let nearest = nearest(&texts, 0, &texts[0].1, 1);
        assert_eq!(nearest.iter().map(|(_, id)| *id).collect::<Vec<_>>(), ["c"]);
        assert_eq!(named_as(&texts[0].1), "mysql: replication_lag");
    }
}
