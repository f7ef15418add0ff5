//! What is to be done in a platform, step by step, each ticked when it can be seen here to be done.

use askama::Template;

use super::ui::Markup;
use crate::{model::*, web::health::Health};

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
    "Where a challenge secret",
    "Splunk Observability",
];
/// A heading is at most so long; a longer first sentence stays plain text.
const HEADING: usize = 110;
/// Code that is longer than this stands for itself, to be copied.
const INLINE: usize = 60;

/// What can be seen here of the set-up there.
#[derive(Clone, Copy, Debug, Default)]
pub struct Seen {
    /// Something came to the address, whether it was taken or not.
    pub reached: bool,
    /// Something was taken, so the sender could prove itself.
    pub proven: bool,
    /// A test came, from there or from here.
    pub tested: bool,
    /// Something came that was no test.
    pub real: bool,
    /// A signing secret is stored.
    pub signing: bool,
    /// A challenge secret is stored.
    pub challenge: bool,
    /// Builds open incidents.
    pub rca: bool,
}

impl Seen {
    /// From what is set, what came, and how it stands.
    pub fn of(s: &ConnectorSettings, c: &ConnectorCounters, health: &Health) -> Self {
        let proven = c.is_proven();
        Self {
            reached: proven || c.last_from_there.is_some() || matches!(health, Health::Unproven(_)),
            proven,
            tested: c.last_test.is_some(),
            real: c.last_real.is_some(),
            signing: s.signing_secret.is_some(),
            challenge: s.challenge_secret.is_some(),
            rca: s.rca_enabled,
        }
    }

    fn done(self, text: &str, before_address: bool) -> bool {
        match text {
            _ if text.contains("Switch on RCA") => self.rca,
            _ if text.contains("challenge secret") => self.challenge,
            _ if is_other(text) => wants_signing(text) && self.signing && self.proven,
            _ if text.contains("{key}") => self.proven,
            _ if text.contains("{url}") || before_address => self.reached,
            _ => self.proven,
        }
    }
}

fn is_other(text: &str) -> bool {
    OTHER_WAYS.iter().any(|start| text.starts_with(start)) || text.contains("Switch on RCA")
}

fn wants_signing(text: &str) -> bool {
    text.contains("signing secret") || text.contains("same secret here")
}

/// What stands in a step besides its words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Holds {
    /// The address, to be copied.
    pub url: bool,
    /// The key.
    pub key: bool,
    /// The field of the signing secret.
    pub signing: bool,
    /// The field of the challenge secret.
    pub challenge: bool,
    /// The verification token of the last test.
    pub token: bool,
}

/// One step.
#[derive(Debug)]
pub struct Step {
    /// Its first sentence, when that is short enough for a heading.
    pub heading: Option<Markup>,
    /// The rest of its words, with address and key filled in.
    pub text: Option<Markup>,
    /// What is to be copied whole.
    pub blocks: Vec<String>,
    /// What stands in it.
    pub holds: Holds,
    /// `ok`, `now`, or nothing; `other` when not everybody takes it.
    pub class: &'static str,
    /// The same for those who do not see the tick.
    pub said: &'static str,
}

/// The steps with the next one marked. What belongs into a step stands in the first one that speaks of it.
pub fn steps(texts: &[&str], url: &str, key: &str, seen: Seen) -> Vec<Step> {
    let address = texts.iter().position(|t| t.contains("{url}")).unwrap_or(0);
    let first = |asks: fn(&str) -> bool| texts.iter().position(|t| asks(t));
    let (of_key, of_signing) = (first(|t| t.contains("{key}")), first(wants_signing));
    let (of_challenge, of_token) =
        (first(|t| t.contains("challenge secret")), first(|t| t.contains("verification token")));
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
        let holds = Holds {
            url: n == address && text.contains("{url}"),
            key: of_key == Some(n),
            signing: of_signing == Some(n),
            challenge: of_challenge == Some(n),
            token: of_token == Some(n),
        };
        let (heading, rest) = split(text);
        let mut blocks = Vec::new();
        let heading = heading.map(|h| filled(h, url, key, None));
        let text = filled(rest, url, key, Some(&mut blocks));
        let text = (!text.to_string().is_empty()).then_some(text);
        Step { heading, text, blocks, holds, class, said }
    });
    each.collect()
}

/// The first sentence as a heading, without its full stop, and the rest.
fn split(text: &str) -> (Option<&str>, &str) {
    let mut code = false;
    let mut depth = 0_i32;
    let mut before = ' ';
    let mut end = text.len();
    for (at, c) in text.char_indices() {
        match c {
            '`' => code = !code,
            '{' | '(' => depth += 1,
            '}' | ')' => depth -= 1,
            ' ' if before == '.' && !code && depth <= 0 => {
                end = at;
                break;
            }
            _ => {}
        }
        before = c;
    }
    let (first, rest) = text.split_at(end);
    let first = first.strip_suffix('.').unwrap_or(first);
    if first.chars().count() > HEADING { (None, text) } else { (Some(first), rest.trim_start()) }
}

/// Words between backticks as code, and nothing filled in.
pub fn with_code(text: &str) -> Markup {
    filled(text, "{url}", "{key}", None)
}

/// A step in pieces: whether it is code, and what it says. Between backticks is code, and so are the address, the key and
/// JSON without them.
fn pieces(text: &str) -> Vec<(bool, String)> {
    // Lines of a file, as the texts of the connectors have them.
    let text = text.replace("` new line `", "\n");
    let mut parts = Vec::new();
    for (n, part) in text.split('`').enumerate() {
        if n % 2 == 1 {
            parts.push((true, part.to_owned()));
            continue;
        }
        let mut rest = part;
        while let Some(at) = rest.find('{') {
            let (before, after) = rest.split_at(at);
            let json = after.starts_with("{\"");
            let end = if json || after.starts_with("{{") { closing(after) } else { word(after) };
            let (name, tail) = after.split_at(end);
            parts.push((false, before.to_owned()));
            parts.push((json || name.starts_with("{url}") || name.starts_with("{key}"), name.to_owned()));
            rest = tail;
        }
        parts.push((false, rest.to_owned()));
    }
    parts.retain(|(_, t)| !t.is_empty());
    parts
}

/// Where the brace that the text begins with is closed again.
fn closing(text: &str) -> usize {
    let mut depth = 0_i32;
    for (at, c) in text.char_indices() {
        depth += i32::from(c == '{') - i32::from(c == '}');
        if depth == 0 {
            return at + 1;
        }
    }
    text.len()
}

/// Where a placeholder ends; what follows an address without a space belongs to it.
fn word(text: &str) -> usize {
    let end = text.find('}').map_or(text.len(), |at| at + 1);
    if !text.starts_with("{url}") {
        return end;
    }
    let whole = text.find(|c: char| c.is_whitespace() || ",;:)".contains(c)).unwrap_or(text.len());
    text.get(..whole).map_or(end, |t| t.trim_end_matches('.').len()).max(end)
}

/// A step with address and key in their places. Long code goes into `blocks`, when there are some.
fn filled(text: &str, url: &str, key: &str, mut blocks: Option<&mut Vec<String>>) -> Markup {
    #[derive(Template)]
    #[template(
        source = "{% for (code, text) in parts %}{% if *code %}<code dir=\"ltr\">{{ text }}</code>{% else %}{{ text }}{% endif %}{% endfor %}",
        ext = "html"
    )]
    struct Filled {
        parts: Vec<(bool, String)>,
    }
    let mut parts = Vec::new();
    for (code, part) in pieces(text) {
        let part = if code { part.replace("{url}", url).replace("{key}", key) } else { part };
        match &mut blocks {
            Some(blocks)
                if code && (part.chars().count() > INLINE.max(url.len() + key.len() + 8) || part.contains('\n')) =>
            {
                parts.push((false, "as below".to_owned()));
                blocks.push(part);
            }
            _ => parts.push((code, part)),
        }
    }
    // A block that is all there is to say needs no words before it.
    if matches!(parts.as_slice(), [(false, only)] if only == "as below") {
        parts.clear();
    }
    Markup::of(&Filled { parts })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::pages::platforms;

    fn seen(all: bool) -> Seen {
        Seen { reached: all, proven: all, tested: all, real: all, signing: all, challenge: all, rca: all }
    }

    #[test]
    fn steps_show_address_and_code() {
        let check = |text: &str, want: &str, blocks: &[&str]| {
            let mut found = Vec::new();
            assert_eq!(filled(text, "https://x/api", "KEY", Some(&mut found)).to_string(), want);
            assert_eq!(found, blocks, "{text}");
        };
        check(
            "Paste {url}, set `Bearer {key}`. Leave {this} <b>.",
            "Paste <code dir=\"ltr\">https://x/api</code>, set <code dir=\"ltr\">Bearer KEY</code>. Leave {this} &#60;b&#62;.",
            &[],
        );
        check("URI {url}/{key}: so", "URI <code dir=\"ltr\">https://x/api/KEY</code>: so", &[]);
        check("Use {url}/{key}.", "Use <code dir=\"ltr\">https://x/api/KEY</code>.", &[]);
        check("Give {\"A\": \"{key}\"}.", "Give <code dir=\"ltr\">{&#34;A&#34;: &#34;KEY&#34;}</code>.", &[]);
        let long = format!("{{\"a\":\"{{PID}}\",\"b\":{{\"c\":\"{}\"}}}}", "x".repeat(60));
        check(&format!("Set it to: {long}. More."), "Set it to: as below. More.", &[&long]);
        check("`one` new line `two`", "", &["one\ntwo"]);
    }

    #[test]
    fn a_short_first_sentence_is_the_heading() {
        for (text, heading, rest) in [
            ("Open it. Then go.", Some("Open it"), "Then go."),
            ("Check with `a. b`, then go", Some("Check with `a. b`, then go"), ""),
            ("Paste {url}. It is https.", Some("Paste {url}"), "It is https."),
        ] {
            assert_eq!(split(text), (heading, rest));
        }
        assert_eq!(split(&"a".repeat(200)).0, None);
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
        check(seen(true), ["ok", "ok", "ok", "ok", "ok"]);
    }

    #[test]
    fn only_what_comes_from_there_reaches_the_address() {
        let settings = crate::web::pages::samples::connector("grafana");
        let at = Some(Time::from_secs(1_772_500_000));
        let check = |c: ConnectorCounters, want: (bool, bool, bool, bool)| {
            let seen = Seen::of(&settings, &c, &Health::Receiving);
            assert_eq!((seen.reached, seen.proven, seen.tested, seen.real), want, "{c:?}");
        };
        let none = ConnectorCounters::default;
        check(none(), (false, false, false, false));
        check(
            ConnectorCounters { last_accepted: at, last_own_test: at, last_test: at, ..none() },
            (false, false, true, false),
        );
        check(ConnectorCounters { last_from_there: at, ..none() }, (true, false, false, false));
        check(
            ConnectorCounters { last_from_there: at, last_proven: at, last_test: at, ..none() },
            (true, true, true, false),
        );
        check(ConnectorCounters { last_proven: at, last_real: at, ..none() }, (true, true, false, true));
        // Of a folder of an earlier version, which did not tell them apart.
        check(ConnectorCounters { last_accepted: at, ..none() }, (true, true, false, false));
    }

    #[test]
    fn every_platform_has_steps_of_its_own_and_every_other_way_is_one_of_them() {
        // Of declared sources.
        let mut all: Vec<&str> = vec!["Where it cannot"];
        for info in platforms::all() {
            let done = steps(info.steps, "u", "k", seen(true));
            assert!(done.iter().any(|s| s.class == "ok") && done.iter().all(|s| s.class != "now"), "{}", info.slug);
            // Address and key stand in one step each, and a signing secret in none where nothing is signed.
            let count = |f: fn(&Holds) -> bool| done.iter().filter(|s| f(&s.holds)).count();
            assert_eq!((count(|h| h.url), count(|h| h.key)), (1, 1), "{}", info.slug);
            assert!(count(|h| h.signing) <= usize::from(info.signature.is_some()), "{}", info.slug);
            assert!(done.iter().all(|s| s.blocks.iter().all(|b| !b.contains("{url}") && !b.contains("{key}"))));
            all.extend(info.steps);
        }
        for start in OTHER_WAYS {
            assert!(*start == "Or " || all.iter().any(|s| s.starts_with(start)), "{start}");
        }
    }
}
