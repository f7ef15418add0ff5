//! All entries: those of the house, and over them those of the people who run it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, LazyLock},
};

use super::entry::{Detect, Entry, Fault, parse};
use crate::investigation::folder::File;

macro_rules! files {
    ($($name:literal),+ $(,)?) => {
        &[$(($name, include_str!(concat!("../data/suggestions/", $name, ".toml")))),+]
    };
}

/// The files of the house, in the order in which their entries are preferred among equals.
pub(super) const FILES: &[(&str, &str)] = files![
    "changes",
    "general",
    "kubernetes",
    "containers",
    "systemd",
    "postgresql",
    "mysql",
    "redis",
    "kafka",
    "rabbitmq",
    "elasticsearch",
    "http",
    "dns",
    "tls",
    "jvm",
    "ci",
    "disks",
    "host",
];

/// Technologies and entries. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Catalogue {
    inner: Arc<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    technologies: BTreeMap<String, Detect>,
    entries: Vec<Entry>,
}

// A test reads every file, so a product without suggestions does not leave the house.
static BUILT_IN: LazyLock<Catalogue> = LazyLock::new(|| {
    let mut all = Inner::default();
    for (name, text) in FILES {
        all.take(parse(name, text));
    }
    Catalogue { inner: Arc::new(all) }
});

impl Inner {
    fn take(&mut self, parsed: super::entry::Parsed) {
        self.technologies.extend(parsed.technologies);
        self.entries.retain(|e| !parsed.off.contains(&e.id));
        for entry in parsed.entries {
            match self.entries.iter_mut().find(|e| e.id == entry.id) {
                Some(known) => *known = entry,
                None => self.entries.push(entry),
            }
        }
    }
}

impl Default for Catalogue {
    fn default() -> Self {
        BUILT_IN.clone()
    }
}

impl PartialEq for Catalogue {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.inner, &other.inner)
    }
}

impl Catalogue {
    /// That of the house with files laid over it, in the order of their names, and what is wrong with those.
    pub fn with(files: &[File]) -> (Self, Vec<Fault>) {
        let house = &BUILT_IN.inner;
        let mut all = Inner { technologies: house.technologies.clone(), entries: house.entries.clone() };
        let mut faults = Vec::new();
        let mut whose: BTreeMap<String, String> = BTreeMap::new();
        let known: BTreeSet<String> = all.entries.iter().map(|e| e.id.clone()).collect();
        let mut all_parsed: Vec<_> = files.iter().map(|f| (f.name.clone(), parse(&f.name, &f.text))).collect();
        for (name, parsed) in &mut all_parsed {
            faults.append(&mut parsed.faults);
            parsed.entries.retain(|e| match whose.get(&e.id) {
                Some(first) => {
                    let what = format!("suggestion `{}` stands in {first} already; give one of them another id", e.id);
                    faults.push(Fault { file: name.clone(), line: None, column: None, what });
                    false
                }
                None => whose.insert(e.id.clone(), name.clone()).is_none(),
            });
        }
        for (name, parsed) in all_parsed {
            for id in parsed.off.iter().filter(|id| !known.contains(*id) && !whose.contains_key(*id)) {
                let what = format!(
                    "suggestion `{id}` is switched off and there is none; look for its id in the page or the API"
                );
                faults.push(Fault { file: name.clone(), line: None, column: None, what });
            }
            all.take(parsed);
        }
        for entry in &all.entries {
            for strange in entry.technologies.iter().filter(|t| !all.technologies.contains_key(*t)) {
                let there: Vec<&str> = all.technologies.keys().map(String::as_str).collect();
                let what = format!(
                    "suggestion `{}`: nothing tells the technology `{strange}`; write a [technology.{strange}], or one of {}",
                    entry.id,
                    there.join(", ")
                );
                let file = whose.get(&entry.id).cloned().unwrap_or_default();
                faults.push(Fault { file, line: None, column: None, what });
            }
        }
        (Self { inner: Arc::new(all) }, faults)
    }

    /// What tells technologies, by name.
    pub(super) fn technologies(&self) -> &BTreeMap<String, Detect> {
        &self.inner.technologies
    }

    /// Every entry.
    pub(super) fn entries(&self) -> &[Entry] {
        &self.inner.entries
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.inner.entries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.inner.entries.is_empty()
    }
}
