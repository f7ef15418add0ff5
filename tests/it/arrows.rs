//! Which room may use which, and what is named only in one place: read from the sources.
//!
//! Code of tests is left out: a test may set up a neighbour.

use std::{collections::BTreeSet, path::Path};

/// Every room, with the rooms it may use. All may use `model`, `config` and `runtime::clock` unless they are pure.
const ROOMS: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("connectors", &[]),
    ("text", &[]),
    ("query", &["text"]),
    ("correlation", &["text"]),
    ("ingest", &["connectors", "store"]),
    // Pure calls: the writer decides inside its transaction, and what services declare is held to what can be asked.
    (
        "store",
        &[
            "correlation",
            "query",
            "notifications::policy",
            "notifications::channels",
            "outgoing::address",
            "runtime::background",
        ],
    ),
    ("search", &["store", "query", "text", "runtime::background"]),
    ("live", &["store"]),
    ("postmortem", &[]),
    // Pure calls: conditions are those of silences; platforms have names.
    ("notifications", &["store", "correlation::mutes", "outgoing", "connectors"]),
    ("outgoing", &["runtime::tls"]),
    // Pure calls for text and topology; the index for incidents that read alike.
    (
        "investigation",
        &["store", "search", "text", "correlation::topology", "correlation::names", "correlation::edges", "outgoing"],
    ),
    // The way of a delivery, in memory.
    ("backtest", &["ingest", "store", "investigation"]),
    // Connectors for what is fixed about each platform: names, steps, samples.
    // What people wrote for investigations: pages and API show it.
    (
        "web",
        &[
            "ingest",
            "postmortem",
            "backtest",
            "query",
            "text::nearest",
            "store",
            "search",
            "live",
            "connectors",
            "outgoing",
            "runtime::supervise",
            "investigation::Library",
            "investigation::Probes",
            "investigation::Shelf",
            "investigation::runbooks",
            "notifications",
        ],
    ),
    // Pure calls: what is wrong with a declared source, or with an address, is told at its place in the file.
    ("config", &["connectors::declared", "outgoing::address", "text::nearest"]),
    // Made-up senders, whose incidents are investigated as others are.
    ("demo", &["ingest", "store", "investigation", "outgoing", "connectors"]),
    ("runtime", &["runtime"]),
    ("cli", &["app", "backtest", "store", "runtime", "text"]),
    ("app", &["*"]),
    // For tests and fuzzing only; nothing of it is in the product.
    ("fuzzing", &["*"]),
    ("lib", &["*"]),
    ("main", &["*"]),
];

/// Parts that depend on their arguments alone.
const PURE: &[&str] = &[
    "model",
    "connectors",
    "text",
    "query",
    "correlation",
    "postmortem",
    "notifications::policy",
    "notifications::channels",
    "notifications::message",
    "investigation::rank",
];
/// What pure parts must not name, besides the clock.
const IMPURE: &[&str] = &["tokio", "tokio_util", "redb", "tantivy", "axum", "reqwest", "hyper"];
/// Crates that one room keeps to itself.
const KEPT: &[(&str, &str)] = &[("redb", "store"), ("tantivy", "search"), ("axum", "web"), ("askama", "web")];
/// Reading the time.
const CLOCKS: &[&str] = &["Timestamp::now", "Zoned::now", "SystemTime::now", "Instant::now"];
/// Where time is read besides `runtime::clock`, and why that is right.
const CLOCK_EXCEPTIONS: &[(&str, &str)] =
    &[("src/web/pages/live.rs", "the runtime's timer paces a stream; no time of it is shown or kept")];

fn violations(files: &[(String, String)]) -> Vec<String> {
    let mut found = Vec::new();
    for (path, text) in files {
        let module = module_of(path);
        let room = module[0].as_str();
        let code = code_of(text);
        let Some((_, allowed)) = ROOMS.iter().find(|(name, _)| *name == room) else {
            found.push(format!("{path}: `{room}` is no known room; say in this test what it may use"));
            continue;
        };
        let name = module.join("::");
        let pure = PURE.iter().any(|p| within(&name, p));
        for used in crate_paths(&code, &module) {
            let target = used.split("::").next().unwrap_or_default();
            let own = target == room;
            let common = target == "model" || (!pure && (target == "config" || within(&used, "runtime::clock")));
            let listed = allowed.iter().any(|a| *a == "*" || within(&used, a));
            let web_is_private = target == "web" && !matches!(room, "web" | "app" | "fuzzing");
            if (!own && !common && !listed) || web_is_private {
                found.push(format!("{path}: `{room}` may not use `{used}`"));
            }
        }
        if pure {
            for krate in IMPURE.iter().filter(|k| names_crate(&code, k)) {
                found.push(format!("{path}: `{name}` is pure and may not name `{krate}`"));
            }
        }
        for (krate, keeper) in KEPT.iter().filter(|(k, keeper)| *keeper != room && names_crate(&code, k)) {
            found.push(format!("{path}: only `{keeper}` names `{krate}`"));
        }
        let excepted =
            path.ends_with("src/runtime/clock.rs") || CLOCK_EXCEPTIONS.iter().any(|(p, _)| path.ends_with(p));
        for clock in CLOCKS.iter().filter(|c| !excepted && code.contains(*c)) {
            found.push(format!("{path}: only `runtime::clock` reads the time, not `{clock}`"));
        }
    }
    found
}

fn within(path: &str, parent: &str) -> bool {
    path == parent || path.strip_prefix(parent).is_some_and(|rest| rest.starts_with("::"))
}

/// `src/store/views/mod.rs` is `store::views`.
fn module_of(path: &str) -> Vec<String> {
    let inner = path.rsplit_once("src/").map_or(path, |(_, inner)| inner).trim_end_matches(".rs");
    inner.split('/').filter(|part| *part != "mod").map(str::to_owned).collect()
}

/// Without comments, and without the tests at the end.
fn code_of(text: &str) -> String {
    let end = text.find("#[cfg(test)]\nmod ").or_else(|| text.find("#[cfg(test)]\n#[path")).unwrap_or(text.len());
    text[..end].lines().filter(|l| !l.trim_start().starts_with("//")).map(|l| format!("{l}\n")).collect()
}

fn names_crate(code: &str, krate: &str) -> bool {
    code.match_indices(krate).any(|(i, _)| {
        let before = code[..i].chars().next_back();
        let after = &code[i + krate.len()..];
        // `crate::store::redb` would be our own module, `::redb` at a path's start is the crate.
        let starts = before.is_none_or(|c| !(c.is_alphanumeric() || c == '_' || c == '"'))
            && !(code[..i].ends_with("::") && code[..i - 2].ends_with(|c: char| c.is_alphanumeric() || c == '}'));
        let used = code[..i].trim_end().ends_with("use") || code[..i].trim_end().ends_with("extern crate");
        starts && (after.starts_with("::") || (used && after.starts_with([';', ' '])))
    })
}

/// Every path that begins at the crate's root, spelled out, without `crate::`.
fn crate_paths(code: &str, module: &[String]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (i, _) in code.match_indices("crate::") {
        if !code[..i].ends_with(|c: char| c.is_alphanumeric() || c == '_') {
            tree(&code[i + "crate::".len()..], "", &mut found);
        }
    }
    // `super::` as often as the module is deep leads to the root as well.
    let climb = "super::".repeat(module.len());
    for (i, _) in code.match_indices(&climb) {
        if !code[..i].ends_with("super::") && !code[..i].ends_with(|c: char| c.is_alphanumeric()) {
            tree(&code[i + climb.len()..], "", &mut found);
        }
    }
    found
}

/// Reads a path with its braces; returns what is left after it.
fn tree<'a>(text: &'a str, prefix: &str, found: &mut BTreeSet<String>) -> &'a str {
    let text = text.trim_start();
    let join = |name: &str| if prefix.is_empty() { name.to_owned() } else { format!("{prefix}::{name}") };
    if let Some(mut rest) = text.strip_prefix('{') {
        loop {
            rest = tree(rest, prefix, found).trim_start();
            match rest.strip_prefix(',') {
                Some(next) if !next.trim_start().starts_with('}') => rest = next,
                Some(next) => return next.trim_start().strip_prefix('}').unwrap_or(next),
                None => return rest.strip_prefix('}').unwrap_or(rest),
            }
        }
    }
    let end = text.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    let mut rest = rest;
    if let Some(alias) = rest.trim_start().strip_prefix("as ") {
        rest = alias.trim_start().trim_start_matches(|c: char| c.is_alphanumeric() || c == '_');
    }
    match rest.strip_prefix("::") {
        Some(next) if next.trim_start().starts_with(|c: char| c.is_alphabetic() || c == '_' || c == '{') => {
            tree(next, &join(name), found)
        }
        _ => {
            if !name.is_empty() {
                found.insert(join(name));
            }
            rest.strip_prefix("::").map_or(rest, |r| r.trim_start_matches('*')).trim_start_matches('*')
        }
    }
}

fn sources(dir: &Path, into: &mut Vec<(String, String)>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            if path.file_name().is_some_and(|n| n != "tests") {
                sources(&path, into);
            }
        } else if path.extension().is_some_and(|e| e == "rs") {
            let stem = path.file_stem().unwrap().to_string_lossy();
            if stem != "tests" && !stem.ends_with("_tests") {
                into.push((path.display().to_string(), std::fs::read_to_string(&path).unwrap()));
            }
        }
    }
}

#[test]
fn the_sources_keep_to_the_arrows() {
    let mut files = Vec::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut files);
    assert!(files.len() > 40, "the sources were not found");
    let found = violations(&files);
    assert!(found.is_empty(), "{}", found.join("\n"));
    for (excepted, _) in CLOCK_EXCEPTIONS {
        let (_, text) = files.iter().find(|(path, _)| path.ends_with(excepted)).expect(excepted);
        assert!(CLOCKS.iter().any(|c| text.contains(c)), "{excepted} needs no exception any more");
    }
}

#[test]
fn every_kind_of_violation_is_seen() {
    for (path, text, want) in [
        ("src/model/x.rs", "use crate::store::Store;", Some("may not use `store::Store`")),
        ("src/connectors/x.rs", "use crate::{model::*, runtime::{clock::Clock}};", Some("may not use `runtime::clock")),
        ("src/connectors/x.rs", "use crate::{\n    model::{A, B as C},\n    store,\n};", Some("may not use `store`")),
        ("src/store/x.rs", "fn f() { crate::live::Hub::new() }", Some("may not use `live::Hub::new`")),
        ("src/store/a/b.rs", "use super::super::super::ingest::x;", Some("may not use `ingest::x`")),
        ("src/live/mod.rs", "use super::search;", Some("may not use `search`")),
        ("src/investigation/x.rs", "use crate::notifications::x;", Some("may not use `notifications")),
        ("src/cli/x.rs", "use crate::web::auth;", Some("may not use `web::auth`")),
        ("src/notifications/policy.rs", "tokio::spawn(f);", Some("may not name `tokio`")),
        ("src/investigation/rank/x.rs", "use crate::config::Config;", Some("may not use `config")),
        ("src/web/x.rs", "use redb::Database;", Some("only `store` names `redb`")),
        ("src/store/x.rs", "use axum;", Some("only `web` names `axum`")),
        ("src/app.rs", "#[derive(askama::Template)]", Some("only `web` names `askama`")),
        ("src/web/x.rs", "let t = std::time::Instant::now();", Some("reads the time")),
        ("src/cellar/mod.rs", "", Some("no known room")),
        ("src/web/x.rs", "use crate::{store::{Store, View}, live::Hub, config::Config, runtime::clock::Clock};", None),
        ("src/store/views/x.rs", "use super::View; use redb::Database; use crate::correlation::decide;", None),
        ("src/model/x.rs", "// use crate::store;\n/// `redb::x`\nconst F: &str = \"watchfire.redb\";", None),
        ("src/store/x.rs", "fn f() {}\n#[cfg(test)]\nmod tests {\n    use crate::app::App;\n}", None),
        ("src/runtime/clock.rs", "jiff::Timestamp::now()", None),
    ] {
        let found = violations(&[(path.to_owned(), text.to_owned())]);
        match want {
            None => assert!(found.is_empty(), "{path}: {text}: {found:?}"),
            Some(part) => assert!(found.iter().any(|f| f.contains(part)), "{path}: {text}: {found:?}"),
        }
    }
}
