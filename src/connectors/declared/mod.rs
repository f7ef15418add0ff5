//! Sources that people declare themselves: expressions say where in a body the fields of an alert stand, and what they do
//! not say is found as for the generic connector. Expressions are compiled once, and none of them can hang or grow
//! without bounds, whatever a sender sends.

mod document;
mod language;
mod read;

use super::{
    ALL, Connector, Explained, Info, Overload, Request, Signature,
    body::{MAX_ITEMS, problem},
    moment, signature, text,
};
use crate::model::{Declaration, DeclaredField, Parsed, Problem, Severity};

pub use read::Trial;

/// Words and entries that a declaration may list.
const MOST_WORDS: usize = 100;
/// Longest word, in characters.
const LONGEST_WORD: usize = 100;
/// Longest sample, in bytes.
const LONGEST_SAMPLE: usize = 64 << 10;
/// Longest account of what is wrong with a declaration in an answer to a sender, in bytes.
const LONGEST_FAULT: usize = 2 << 10;
/// Quiet times that make sense: a minute to 30 days, in seconds.
const QUIET: std::ops::RangeInclusive<u32> = 60..=30 * 24 * 3600;
/// Names that stand for something else in addresses and lists.
const TAKEN: &[&str] = &[
    "alerts",
    "api",
    "assets",
    "audit",
    "backup",
    "by-hand",
    "changes",
    "connectors",
    "custom",
    "deliveries",
    "hooks",
    "incidents",
    "live",
    "login",
    "logout",
    "manual",
    "metrics",
    "new",
    "settings",
    "setup",
    "stream",
    "system",
    "theme",
    "tokens",
    "try",
    "users",
    "version",
    "webhook",
    "webhooks",
];

/// What declared sources share.
static INFO: Info = Info {
    slug: "declared",
    name: "Declared source",
    tile: "{}",
    way: "A source of your own",
    success: 202,
    overload: Overload::TooMany,
    lenient: false,
    builds: false,
    signature: Some("Hex HMAC-SHA256 of the body in the header X-Watchfire-Signature"),
    steps: &[
        "Have it send its JSON by POST to {url} with the header `Authorization: Bearer {key}`.",
        "Where it cannot set headers, the key may stand in the address: `{url}?key={key}`.",
        "Look at the first delivery below: it says which field was taken from where. Then change the declaration, and \
         parse the delivery again.",
    ],
    fields: &[],
    sample: include_str!("../samples/generic.json"),
};

/// A declared source, ready to read.
pub struct Declared {
    slug: String,
    fixed: bool,
    declaration: Declaration,
    compiled: Vec<(DeclaredField, language::Compiled)>,
    // In lower case, as they are compared.
    resolved: Vec<String>,
    severities: Vec<(String, Severity)>,
    faults: Vec<Wrong>,
}

impl std::fmt::Debug for Declared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Declared").field("slug", &self.slug).field("fixed", &self.fixed).finish_non_exhaustive()
    }
}

/// A part of a declaration that does not work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// The part: `slug`, a field's name, `resolved`, `severities`, `quiet_after_secs` or `sample`.
    pub field: &'static str,
    /// What is wrong and what would be right, with the expression and the place in it.
    pub what: String,
}

/// What is wrong with a name for a declared source; none when it can be one.
pub fn wrong_slug(slug: &str) -> Option<String> {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    if !(2..=40).contains(&slug.len())
        || !slug.bytes().all(plain)
        || !slug.starts_with(|c: char| c.is_ascii_lowercase())
        || slug.ends_with('-')
    {
        return Some(
            "2 to 40 characters of a-z, 0-9 and `-` are taken, beginning with a letter, such as `batch-jobs`"
                .to_owned(),
        );
    }
    if ALL.iter().any(|c| c.info().slug == slug) {
        return Some(format!("`{slug}` is a platform that is built in; choose another name, such as `{slug}-own`"));
    }
    TAKEN.contains(&slug).then(|| format!("`{slug}` stands for something else here; choose another name"))
}

/// What is wrong with one expression; empty when nothing is. For configurations, which read one value at a time.
pub fn wrong_expression(expression: &str) -> Vec<String> {
    let faults = language::compile(expression).err().unwrap_or_default();
    faults.into_iter().map(|fault| said(expression, &fault)).collect()
}

fn said(expression: &str, fault: &language::Fault) -> String {
    let shown = text::line(expression, 120);
    match fault.place {
        Some(place) => format!("`{shown}`, character {place}: {}", fault.what),
        None => format!("`{shown}`: {}", fault.what),
    }
}

impl Declared {
    /// Compiles a declaration; everything that is wrong with it when it does not work. `fixed` ones stand in the
    /// configuration and are changed there.
    pub fn new(slug: &str, declaration: Declaration, fixed: bool) -> Result<Self, Vec<Wrong>> {
        let mut wrong = Vec::new();
        if let Some(what) = wrong_slug(slug) {
            wrong.push(Wrong { field: "slug", what });
        }
        let mut compiled = Vec::new();
        for field in DeclaredField::ALL {
            let Some(expression) = declaration.expression(*field) else { continue };
            match language::compile(expression) {
                Ok(ready) => compiled.push((*field, ready)),
                Err(faults) => wrong
                    .extend(faults.into_iter().map(|f| Wrong { field: field.as_str(), what: said(expression, &f) })),
            }
        }
        let word = |w: &str| w.trim().to_lowercase();
        let too_long = |w: &str| w.chars().count() > LONGEST_WORD || w.is_empty();
        let resolved: Vec<String> = declaration.resolved.iter().map(|w| word(w)).collect();
        let severities: Vec<(String, Severity)> = declaration.severities.iter().map(|(w, s)| (word(w), *s)).collect();
        let words = format!("at most {MOST_WORDS} words of 1 to {LONGEST_WORD} characters are taken");
        if resolved.len() > MOST_WORDS || resolved.iter().any(|w| too_long(w)) {
            wrong.push(Wrong { field: "resolved", what: words.clone() });
        }
        if severities.len() > MOST_WORDS || severities.iter().any(|(w, _)| too_long(w)) {
            wrong.push(Wrong { field: "severities", what: words });
        }
        if declaration.quiet_after_secs.is_some_and(|secs| !QUIET.contains(&secs)) {
            let what = "a quiet time of a minute to 30 days is needed, in seconds, or none".to_owned();
            wrong.push(Wrong { field: "quiet_after_secs", what });
        }
        if declaration.sample.as_ref().is_some_and(|s| s.len() > LONGEST_SAMPLE) {
            let what = format!("at most {} KiB are taken; one alert is enough", LONGEST_SAMPLE >> 10);
            wrong.push(Wrong { field: "sample", what });
        }
        if !wrong.is_empty() {
            return Err(wrong);
        }
        Ok(Self { slug: slug.to_owned(), fixed, declaration, compiled, resolved, severities, faults: Vec::new() })
    }

    /// One that is stored and does not work, because it was stored by a version that took it. It understands nothing and
    /// says why, so that what comes is kept until somebody changes it.
    pub fn broken(slug: &str, declaration: Declaration, faults: Vec<Wrong>) -> Self {
        let (compiled, resolved, severities) = (Vec::new(), Vec::new(), Vec::new());
        Self { slug: slug.to_owned(), fixed: false, declaration, compiled, resolved, severities, faults }
    }

    /// Why it does not work; empty when it does.
    pub fn faults(&self) -> &[Wrong] {
        &self.faults
    }

    /// The same in one sentence; none when it works.
    pub fn fault(&self) -> Option<String> {
        let each: Vec<String> = self.faults.iter().map(|w| format!("{}: {}", w.field, w.what)).collect();
        (!each.is_empty()).then(|| {
            format!(
                "Its declaration does not work in this version of Watchfire, so nothing is read: {}",
                each.join("; ")
            )
        })
    }

    /// What was declared.
    pub fn declaration(&self) -> &Declaration {
        &self.declaration
    }

    /// Whether it stands in the configuration, and is changed there.
    pub fn is_fixed(&self) -> bool {
        self.fixed
    }

    /// How a body would be read, without anything coming of it.
    pub fn try_on(&self, request: &Request<'_>) -> Trial {
        self.trial(request)
    }
}

impl Connector for Declared {
    fn info(&self) -> &'static Info {
        &INFO
    }

    fn slug(&self) -> &str {
        &self.slug
    }

    fn name(&self) -> &str {
        &self.slug
    }

    fn sample(&self) -> &str {
        self.declaration.sample.as_deref().unwrap_or(INFO.sample)
    }

    fn parse(&self, request: &Request<'_>) -> Result<Parsed, Problem> {
        if let Some(fault) = self.fault() {
            return Err(problem("declaration", text::head(&fault, LONGEST_FAULT), None));
        }
        self.read(request, &mut read::Report::default())
    }

    fn explain(&self, request: &Request<'_>) -> Vec<Explained> {
        if self.faults.is_empty() { self.trial(request).explained } else { Vec::new() }
    }

    fn quiet_secs(&self) -> Option<u32> {
        self.declaration.quiet_after_secs
    }

    fn verify(&self, request: &Request<'_>, secrets: &[&str]) -> Signature {
        signature::verify_hex(request, &["x-watchfire-signature"], secrets)
    }
}

#[cfg(test)]
mod tests;
