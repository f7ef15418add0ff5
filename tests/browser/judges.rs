//! Judges of others, installed from `tools/package.json`: axe for accessibility, html-validate for the markup.

use std::{fs, path::PathBuf, process::Command, sync::LazyLock};

use serde_json::Value;

use crate::browser::Browser;

static AXE: LazyLock<String> = LazyLock::new(|| {
    let file = tools().join("node_modules/axe-core/axe.min.js");
    fs::read_to_string(&file).unwrap_or_else(|e| panic!("{}: {e}; run `npm ci` in tests/browser/tools", file.display()))
});

/// Rules of WCAG 2.2 at levels A and AA, and what axe's authors hold good practice.
const RUN: &str = "axe.run(document, {resultTypes: ['violations']}).then((found) => found.violations
    .filter((v) => ['serious', 'critical'].includes(v.impact))
    .map((v) => `${v.id} (${v.impact}): ${v.help}: ` + v.nodes.slice(0, 3)
        .map((n) => `${n.target.join(' ')} ${n.failureSummary.split('\\n').slice(1, 3).join(' ').trim()}`).join('; ')))";

fn tools() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/browser/tools")
}

/// Serious findings on the page that is shown.
pub async fn accessibility(browser: &Browser) -> Vec<String> {
    browser.run(&AXE).await;
    let found = browser.js(RUN).await;
    found.as_array().unwrap().iter().map(|f| f.as_str().unwrap().to_owned()).collect()
}

/// The page as the server sent it.
pub async fn source(browser: &Browser) -> String {
    let text = browser.js("fetch(location.href, {headers: {accept: 'text/html'}}).then((a) => a.text())").await;
    text.as_str().unwrap().to_owned()
}

/// What is wrong with the markup of these pages, each a name and its text.
pub fn markup(pages: &[(String, String)]) -> Vec<String> {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in pages {
        fs::write(dir.path().join(format!("{name}.html")), text).unwrap();
    }
    let mut command = Command::new("node");
    let said = dir.path().join("said.json");
    command.arg(tools().join("node_modules/html-validate/bin/html-validate.mjs"));
    // Into a file: it ends before a pipe has taken all of it.
    command.arg("--formatter").arg(format!("json={}", said.display()));
    command.arg("--config").arg(tools().join("html-validate.json")).arg(dir.path().join("*.html"));
    let done = command.output().expect("node runs");
    let said = fs::read_to_string(&said).unwrap_or_default();
    let found: Vec<Value> = serde_json::from_str(&said)
        .unwrap_or_else(|e| panic!("{e}: {said:.500} {}", String::from_utf8_lossy(&done.stderr)));
    let line = |file: &Value, m: &Value| {
        let name = file["filePath"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
        format!("{name} line {}: {} ({}) {}", m["line"], m["message"], m["ruleId"], m["selector"])
    };
    found.iter().flat_map(|f| f["messages"].as_array().unwrap().iter().map(|m| line(f, m))).collect()
}
