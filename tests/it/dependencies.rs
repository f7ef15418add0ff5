//! What `cargo deny check` holds the dependencies to, as far as it can be told without that tool: where they come from,
//! which are banned, and under which licences they are.

use std::{collections::BTreeSet, path::Path, process::Command};

use serde_json::Value;

fn read(name: &str) -> toml::Table {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    std::fs::read_to_string(path).unwrap().parse().unwrap()
}

/// What is wrong with the packages of a lock file.
fn wrong_sources(lock: &toml::Table, banned: &BTreeSet<&str>) -> Vec<String> {
    let mut wrong = Vec::new();
    for package in lock["package"].as_array().unwrap() {
        let name = package["name"].as_str().unwrap();
        let from = package.get("source").and_then(|s| s.as_str());
        if from.is_some_and(|s| s != "registry+https://github.com/rust-lang/crates.io-index") {
            wrong.push(format!("{name} comes from {from:?}"));
        }
        if banned.contains(name) {
            wrong.push(format!("{name} is banned in deny.toml"));
        }
    }
    wrong
}

#[test]
fn dependencies_come_from_the_registry_and_none_is_banned() {
    let deny = read("deny.toml");
    let banned = deny["bans"]["deny"].as_array().unwrap().iter().map(|d| d["crate"].as_str().unwrap()).collect();
    assert_eq!(wrong_sources(&read("Cargo.lock"), &banned), Vec::<String>::new());
    let odd = "[[package]]\nname = \"openssl-sys\"\nsource = \"git+https://example.com/x\"\n";
    assert_eq!(wrong_sources(&odd.parse().unwrap(), &banned).len(), 2, "the check finds what it should");
}

/// Whether a licence expression is met by allowed ones.
fn is_allowed(expression: &str, allowed: &BTreeSet<&str>) -> bool {
    let plain = expression.replace(['(', ')'], " ").replace('/', " OR ");
    plain.split(" OR ").any(|any| any.split(" AND ").all(|one| allowed.contains(one.trim())))
        // `(A OR B) AND C`: each part is met by itself.
        || expression.split(" AND ").all(|all| all.replace(['(', ')'], "").split(" OR ").any(|one| allowed.contains(one.trim())))
}

/// What the product is built of and with, without what only its tests use.
fn shipped(resolve: &Value) -> BTreeSet<&str> {
    let nodes = resolve["nodes"].as_array().unwrap();
    let mut found = BTreeSet::new();
    let mut next = vec![resolve["root"].as_str().unwrap()];
    while let Some(id) = next.pop() {
        if !found.insert(id) {
            continue;
        }
        let node = nodes.iter().find(|n| n["id"] == id).unwrap();
        for dep in node["deps"].as_array().unwrap() {
            if dep["dep_kinds"].as_array().unwrap().iter().any(|k| k["kind"] != "dev") {
                next.push(dep["pkg"].as_str().unwrap());
            }
        }
    }
    found
}

#[test]
fn every_licence_is_on_the_list() {
    let deny = read("deny.toml");
    let allowed: BTreeSet<&str> =
        deny["licenses"]["allow"].as_array().unwrap().iter().map(|l| l.as_str().unwrap()).collect();
    let asked = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--offline",
            "--locked",
            "--format-version",
            "1",
            "--filter-platform",
            "x86_64-unknown-linux-gnu",
        ])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(asked.status.success(), "{}", String::from_utf8_lossy(&asked.stderr));
    let metadata: Value = serde_json::from_slice(&asked.stdout).unwrap();
    let shipped = shipped(&metadata["resolve"]);
    assert!(shipped.len() > 100, "{}", shipped.len());
    let wrong: Vec<String> = metadata["packages"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|p| shipped.contains(p["id"].as_str().unwrap()))
        .filter(|p| !p["license"].as_str().is_some_and(|l| is_allowed(l, &allowed)))
        .map(|p| format!("{} {}", p["name"], p["license"]))
        .collect();
    assert_eq!(wrong, Vec::<String>::new());
    for (expression, want) in
        [("MIT OR GPL-3.0", true), ("MIT AND GPL-3.0", false), ("(MIT OR X) AND Apache-2.0", true), ("GPL-3.0", false)]
    {
        assert_eq!(is_allowed(expression, &allowed), want, "{expression}");
    }
}
