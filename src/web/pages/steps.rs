//! What is to be done in a platform, step by step, each ticked when it can be seen here to be done.

use askama::Template;

use super::ui::Markup;
use crate::web::health::Health;

/// Beginnings of steps that are another way or an addition: not everybody takes them.
const OTHER_WAYS: &[&str] = &[
    "Or ",
    "Or, ",
    "Agents without",
    "Other senders",
    "By Pub/Sub instead",
    "To take the key out",
    "The older",
    "Where it cannot",
    "Splunk Observability",
];

/// What can be seen here of the set-up there.
#[derive(Clone, Copy, Debug, Default)]
pub struct Seen {
    /// Something came to the address, whether it was taken or not.
    pub reached: bool,
    /// A delivery was accepted, so the sender could prove itself.
    pub proven: bool,
    /// A signing secret is stored.
    pub signing: bool,
    /// Builds open incidents.
    pub rca: bool,
}

impl Seen {
    /// From what was accepted and how it stands.
    pub fn of(accepted: bool, health: &Health, signing: bool, rca: bool) -> Self {
        let reached =
            accepted || !matches!(health, Health::Waiting | Health::Broken(_) | Health::Off | Health::Paused(_));
        Self { reached, proven: accepted, signing, rca }
    }

    fn done(self, text: &str, before_address: bool) -> bool {
        let secret = text.contains("signing secret") || text.contains("put the same secret here");
        match text {
            _ if text.contains("Switch on RCA") => self.rca,
            _ if is_other(text) => secret && self.signing && self.proven,
            _ if text.contains("{key}") => self.proven,
            _ if text.contains("{url}") || before_address => self.reached,
            _ => self.proven,
        }
    }
}

fn is_other(text: &str) -> bool {
    OTHER_WAYS.iter().any(|start| text.starts_with(start)) || text.contains("Switch on RCA")
}

/// One step.
#[derive(Debug)]
pub struct Step {
    /// Its words, with address and key filled in.
    pub text: Markup,
    /// `ok`, `now`, or nothing; `other` when not everybody takes it.
    pub class: &'static str,
    /// The same for those who do not see the tick.
    pub said: &'static str,
}

/// The steps with the next one marked.
pub fn steps(texts: &[&str], url: &str, key: &str, seen: Seen) -> Vec<Step> {
    let address = texts.iter().position(|t| t.contains("{url}")).unwrap_or(0);
    let mut found = false;
    let each = texts.iter().enumerate().map(|(n, text)| {
        let (class, said) = match (seen.done(text, n < address), is_other(text)) {
            (true, _) => ("ok", "Done: "),
            (false, true) => ("other", "If you like: "),
            (false, false) if !found => {
                found = true;
                ("now", "Next: ")
            }
            (false, false) => ("", ""),
        };
        Step { text: filled(text, url, key), class, said }
    });
    each.collect()
}

/// Words between backticks as code, and nothing filled in.
pub fn with_code(text: &str) -> Markup {
    filled(text, "{url}", "{key}")
}

/// A step with the address in its place. Words between backticks are code.
fn filled(text: &str, url: &str, key: &str) -> Markup {
    #[derive(Template)]
    #[template(
        source = "{% for (code, text) in parts %}{% if *code %}<code dir=\"ltr\">{{ text }}</code>{% else %}{{ text }}{% endif %}{% endfor %}",
        ext = "html"
    )]
    struct Filled {
        parts: Vec<(bool, String)>,
    }
    let fill = |s: &str| s.replace("{url}", url).replace("{key}", key);
    let mut parts = Vec::new();
    for (n, part) in text.split('`').enumerate() {
        if n % 2 == 1 {
            parts.push((true, fill(part)));
            continue;
        }
        // Placeholders outside of code stand as code of their own.
        let mut rest = part;
        while let Some(at) = rest.find(['{']) {
            let (before, after) = rest.split_at(at);
            let end = after.find('}').map_or(after.len(), |e| e + 1);
            let (name, tail) = after.split_at(end);
            parts.push((false, before.to_owned()));
            parts.push((matches!(name, "{url}" | "{key}"), fill(name)));
            rest = tail;
        }
        parts.push((false, rest.to_owned()));
    }
    parts.retain(|(_, t)| !t.is_empty());
    Markup::of(&Filled { parts })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::pages::platforms;

    #[test]
    fn steps_show_address_and_code() {
        let html = filled("Paste {url}, set `Bearer {key}`. Leave {this} <b>.", "https://x/api", "KEY").to_string();
        assert_eq!(
            html,
            "Paste <code dir=\"ltr\">https://x/api</code>, set <code dir=\"ltr\">Bearer KEY</code>. Leave {this} &#60;b&#62;."
        );
    }

    #[test]
    fn each_is_ticked_when_it_is_seen() {
        let texts = ["Open it.", "Paste {url}.", "Give {key}.", "Or, sign: signing secret.", "Save."];
        let check = |seen: Seen, want: [&str; 5]| {
            let got: Vec<&str> = steps(&texts, "u", "k", seen).iter().map(|s| s.class).collect();
            assert_eq!(got, want, "{seen:?}");
        };
        check(Seen::default(), ["now", "", "", "other", ""]);
        check(Seen { reached: true, ..Seen::default() }, ["ok", "ok", "now", "other", ""]);
        check(Seen { reached: true, proven: true, ..Seen::default() }, ["ok", "ok", "ok", "other", "ok"]);
        check(Seen { reached: true, proven: true, signing: true, rca: false }, ["ok", "ok", "ok", "ok", "ok"]);
    }

    #[test]
    fn every_platform_has_steps_of_its_own_and_every_other_way_is_one_of_them() {
        // Of declared sources.
        let mut all: Vec<&str> = vec!["Where it cannot"];
        for info in platforms::all() {
            let seen = Seen { reached: true, proven: true, signing: true, rca: true };
            let done = steps(info.steps, "u", "k", seen);
            assert!(done.iter().any(|s| s.class == "ok") && done.iter().all(|s| s.class != "now"), "{}", info.slug);
            assert!(info.steps.iter().any(|s| s.contains("{url}")), "{}", info.slug);
            all.extend(info.steps);
        }
        for start in OTHER_WAYS {
            assert!(*start == "Or " || all.iter().any(|s| s.starts_with(start)), "{start}");
        }
    }
}
