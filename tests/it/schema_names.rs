//! Names of the API's types: in its description each stands for one type. Two types of one name would be one there, and
//! whatever was read last would be told of both.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use reqwest::Method;

use crate::support::{TestApp, answer};

/// Types that say themselves how they are described, most of them by a macro over their names.
const BY_HAND: &[&str] = &["Fingerprint", "String", "Time"];

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

/// The first word of letters and digits.
fn word(text: &str) -> String {
    text.trim_start().chars().take_while(|c| c.is_ascii_alphanumeric()).collect()
}

/// Names of types in a file that have a schema, as the description has them.
fn named(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    // Whether the type that comes next has a schema, and under which other name.
    let (mut has, mut other) = (false, None);
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        let line = line.trim();
        if line.starts_with("#[derive(") {
            has |= line.contains("ToSchema");
        } else if let Some((_, name)) = line.strip_prefix("#[schema(").and_then(|l| l.split_once("as = ")) {
            other = Some(word(name));
        } else if line.ends_with("words! {") || line.ends_with("listing! {") {
            while lines.peek().is_some_and(|l| l.trim_start().starts_with("//")) {
                lines.next();
            }
            found.extend(lines.next().map(word));
        } else {
            let line =
                line.trim_start_matches("pub ").trim_start_matches("pub(super) ").trim_start_matches("pub(crate) ");
            let name = ["struct ", "enum "].iter().find_map(|kind| line.strip_prefix(kind)).map(word);
            if let Some(name) = name {
                found.extend(has.then(|| other.take().unwrap_or(name)));
                (has, other) = (false, None);
            }
        }
    }
    found.retain(|name| !name.is_empty());
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn no_two_types_of_the_api_have_one_name() {
    let mut all = Vec::new();
    files(&PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src"), &mut all);
    let mut places: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for file in all {
        for name in named(&fs::read_to_string(&file).unwrap()) {
            places.entry(name).or_default().push(file.display().to_string());
        }
    }
    let twice: BTreeMap<&String, &Vec<String>> = places.iter().filter(|(_, at)| at.len() > 1).collect();
    assert!(twice.is_empty(), "types of one name; give one another, or #[schema(as = …)]: {twice:#?}");
    // Whatever the description names was seen above.
    let test = TestApp::start().await;
    let description = answer(test.request(Method::GET, "/api/openapi.json")).await.json;
    let described = description["components"]["schemas"].as_object().unwrap().keys();
    let unseen: BTreeSet<&String> = described
        .filter(|n| !places.contains_key(*n) && !n.ends_with("Id") && !BY_HAND.contains(&n.as_str()))
        .collect();
    assert!(unseen.is_empty(), "these were not found in the code: {unseen:?}");
    test.stop().await;
}
