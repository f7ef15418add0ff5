//! What must not leave: secrets always, names where people want that. Pure.
//!
//! Every text goes through `Redactor::out` before it is sent, and what the model wrote goes through `Redactor::back`
//! before it is used. Redacting twice changes nothing.

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap},
    sync::LazyLock,
};

use regex::{Captures, Regex, RegexBuilder};
use serde_json::Value;

/// What stands in a secret's place: `[redacted: …]`.
const MARK: &str = "[redacted:";
/// Names that are replaced at most; an incident has fewer.
const NAMES: usize = 4_000;

/// A kind of secret: the word that stands in its place, and how it looks. What the group `keep` holds stays.
struct Kind {
    word: &'static str,
    pattern: Regex,
}

fn pattern(text: &str) -> Option<Regex> {
    RegexBuilder::new(text).case_insensitive(true).build().ok()
}

/// In this order: what is wider comes first, so that its middle is not taken out alone. Sources: the makers' own words on
/// the forms of their tokens (GitHub, GitLab, Slack, Stripe, AWS, Google, npm, PyPI, SendGrid, HashiCorp, DigitalOcean,
/// Telegram, Discord, OpenAI, Anthropic), RFC 7519 for JWT, RFC 7468 for PEM, RFC 3986 for credentials in URLs.
static KINDS: LazyLock<Vec<Kind>> = LazyLock::new(|| {
    let kinds: &[(&str, &str)] = &[
        (
            "private key",
            r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY( BLOCK)?-----(?s:.*?)(-----END [A-Z0-9 ]*PRIVATE KEY( BLOCK)?-----|\z)",
        ),
        ("private key", r"\bAGE-SECRET-KEY-1[0-9A-Z]{20,}"),
        ("private key", r"\bPuTTY-User-Key-File-[0-9](?s:.*)"),
        ("credentials", r"(?P<keep>\b[a-z][a-z0-9+.-]+://)[^\s/?#@\[\]'\x22<>]+@"),
        (
            "credentials",
            r"(?P<keep>\b(proxy-)?authorization\\?['\x22]?\s*[:=]\s*\\?['\x22]?)(basic|bearer|digest|token|apikey|negotiate|aws4-hmac-sha256)?[ \t]*[^\s'\x22,;\[\\][^\r\n'\x22,;\\]*",
        ),
        ("token", r"(?P<keep>\b(bearer|basic)[ \t]+)[a-z0-9._~+/=-]{8,}"),
        ("cookie", r"(?P<keep>\b(set-)?cookie\\?['\x22]?\s*[:=]\s*\\?['\x22]?)[^\s'\x22\[\\][^\r\n'\x22\\]*"),
        ("webhook", r"(?P<keep>\bhttps://hooks\.slack(-gov)?\.com/)(services|workflows|triggers)/[a-z0-9/_-]+"),
        ("webhook", r"(?P<keep>\bhttps://([a-z]+\.)?discord(app)?\.com/api/webhooks/)[0-9]+/[a-z0-9_-]+"),
        ("webhook", r"(?P<keep>\bhttps://[a-z0-9.-]+\.webhook\.office\.com/)[^\s'\x22<>]+"),
        ("token", r"\beyJ[a-z0-9_-]{5,}\.[a-z0-9_-]{5,}(\.[a-z0-9_-]*){0,3}"),
        ("AWS key", r"\b(AKIA|ASIA|AROA|AIDA|ABIA|ACCA)[A-Z0-9]{12,20}\b"),
        (
            "token",
            r"\b(gh[pousr]_[a-z0-9]{20,}|github_pat_[a-z0-9_]{20,}|gl(pat|dt|rt|cbt|ptt|ft|soat|imt|agent|oas)-[a-z0-9_.-]{16,})",
        ),
        ("token", r"\b(xox[abceoprs]-[a-z0-9-]{8,}|xapp-[0-9]-[a-z0-9-]{8,})"),
        (
            "key",
            r"\b((sk|rk|pk|whsec)_(live|test)?_?[a-z0-9]{16,}|sk-[a-z0-9_-]{16,}|AIza[a-z0-9_-]{30,}|ya29\.[a-z0-9_-]{16,})",
        ),
        (
            "token",
            r"\b(npm_[a-z0-9]{30,}|pypi-[a-z0-9_-]{30,}|SG\.[a-z0-9_-]{16,}\.[a-z0-9_-]{16,}|hv[sbr]\.[a-z0-9_-]{20,}|do[oprt]_v1_[a-z0-9]{32,}|shp(at|ca|pa|ss)_[a-f0-9]{32}|glsa_[a-z0-9_]{30,}|glc_[a-z0-9+/=]{30,}|dapi[a-f0-9]{32}|wf_[a-z0-9_-]{16,}|hf_[a-z0-9]{30,}|nfp_[a-z0-9]{30,}|fo1_[a-z0-9_-]{30,}|atlasv1\.[a-z0-9_-]{30,}|EAAC[a-z0-9]{30,})",
        ),
        ("token", r"\b[0-9]{8,10}:[a-z0-9_-]{35}\b"),
        (
            "secret",
            r"(?P<keep>[?&;](access_token|id_token|refresh_token|token|api_?key|key|sig|signature|secret|client_secret|password|pwd|auth|code|crc_token|x-amz-(signature|credential|security-token)|x-goog-(signature|credential))=)[^\s&#;'\x22<>\[][^\s&#;'\x22<>]*",
        ),
        (
            "secret",
            r"(?P<keep>\b[a-z0-9_.-]*(passw(or)?d|passwd|passphrase|pwd|pass|secret|token|api[_-]?key|apikey|access[_-]?key([_-]?id)?|account[_-]?key|shared[_-]?key|private[_-]?key|signing[_-]?key|encryption[_-]?key|master[_-]?key|ssh[_-]?key|credentials?|connection[_-]?string|session[_-]?id|sessionid|client[_-]?secret|dsn|otp|pin)[a-z0-9_]*\\?['\x22]?\s{0,3}(:=|=>|=|:)\s{0,3})(\\?\x22[^\x22\r\n]+\x22|\\?'[^'\r\n]+'|[^\s'\x22,;&|<>\[\](){}\\][^\s'\x22,;&|<>\\]*)",
        ),
        (
            "secret",
            r"(?P<keep>\s(--?(password|passwd|token|secret|api-?key|p)[ =]|-u[ =]?[a-z0-9._-]+:))[^\s'\x22\[-][^\s'\x22]*",
        ),
        (
            "secret",
            r"(?P<keep>\b(password|passwort|passphrase|mot de passe|contraseña)\s+(is|ist|est|es|was)\s+)[^\s\[]+",
        ),
    ];
    kinds.iter().filter_map(|(word, text)| Some(Kind { word, pattern: pattern(text)? })).collect()
});

/// Long strings that look made by a generator.
static RANDOM: LazyLock<Option<Regex>> = LazyLock::new(|| pattern(r"[a-z0-9+/_=]{28,}"));

/// Field names whose values are secrets whatever they look like.
static FIELD: LazyLock<Option<Regex>> = LazyLock::new(|| {
    pattern(
        r"(^|[._ -])(passw(or)?d|passwd|passphrase|pwd|secret|token|api[_-]?key|apikey|access[_-]?key|private[_-]?key|signing[_-]?key|credentials?|authorization|cookie|client[_-]?secret|connection[_-]?string|dsn)([._ -]|$)|(password|secret|token|apikey|privatekey|accesskey)$",
    )
});

/// Takes secrets out of a text.
pub fn secrets(text: &str) -> Cow<'_, str> {
    let mut text = Cow::Borrowed(text);
    for kind in KINDS.iter() {
        let replaced = kind.pattern.replace_all(&text, |c: &Captures<'_>| {
            let whole = c.get(0).map_or("", |m| m.as_str());
            let keep = c.name("keep").map_or("", |m| m.as_str());
            let secret = whole.get(keep.len()..).unwrap_or_default();
            // Of `:=` the second half may be read as the value's beginning.
            let said = secret.trim_start_matches(['"', '\'', '\\', ' ', '=', '>']);
            if said.starts_with(MARK) || harmless(secret) {
                return whole.to_owned();
            }
            let end = if secret.ends_with('@') { "@" } else { "" };
            format!("{keep}{MARK} {}]{end}", kind.word)
        });
        if let Cow::Owned(new) = replaced {
            text = Cow::Owned(new);
        }
    }
    if let Some(random) = RANDOM.as_ref() {
        let replaced = random.replace_all(&text, |c: &Captures<'_>| {
            let word = c.get(0).map_or("", |m| m.as_str());
            if looks_random(word) { format!("{MARK} secret]") } else { word.to_owned() }
        });
        if let Cow::Owned(new) = replaced {
            text = Cow::Owned(new);
        }
    }
    text
}

/// Words that stand where secrets stand and are none: `token=expired`, `password: none`.
fn harmless(secret: &str) -> bool {
    let word = secret.trim_matches(['"', '\'', '\\', '@']).to_ascii_lowercase();
    matches!(
        word.as_str(),
        "" | "null"
            | "nil"
            | "none"
            | "true"
            | "false"
            | "missing"
            | "expired"
            | "invalid"
            | "empty"
            | "unset"
            | "required"
            | "***"
            | "****"
            | "xxx"
            | "<redacted>"
    )
}

/// Upper case, lower case and digits well mixed: a key of some kind. Hexadecimal digests and names are not.
fn looks_random(word: &str) -> bool {
    let bytes = word.as_bytes();
    let count = |f: fn(&u8) -> bool| bytes.iter().filter(|b| f(b)).count();
    let (upper, lower, digits) =
        (count(u8::is_ascii_uppercase), count(u8::is_ascii_lowercase), count(u8::is_ascii_digit));
    if upper < 4 || lower < 4 || digits < 2 || word.split('/').any(|part| part.len() < 4 && word.contains('/')) {
        return false;
    }
    // How often the kind of character changes tells random strings from CamelCase and versions.
    let class = |b: &u8| (b.is_ascii_uppercase(), b.is_ascii_lowercase(), b.is_ascii_digit());
    let turns = bytes.windows(2).filter(|w| matches!(w, [a, b] if class(a) != class(b))).count();
    turns * 3 >= bytes.len()
}

/// A kind of name, as its replacement begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Named {
    /// A service.
    Service,
    /// A machine.
    Host,
    /// A person.
    Person,
    /// An address of the network.
    Address,
}

impl Named {
    const fn word(self) -> &'static str {
        match self {
            Self::Service => "svc-x",
            Self::Host => "host-x",
            Self::Person => "person-x",
            Self::Address => "addr-x",
        }
    }
}

/// Redacts what leaves and turns names back in what comes.
#[derive(Debug, Default)]
pub struct Redactor {
    names: Option<Names>,
    // Known secrets, wherever they stand: the key of the endpoint.
    own: Vec<String>,
}

#[derive(Debug)]
struct Names {
    // In lower case → what stands for it.
    made_up: HashMap<String, String>,
    // What stands for it → the name as it was first written.
    real: BTreeMap<String, String>,
    counts: BTreeMap<Named, usize>,
    known: Option<Regex>,
}

static MADE_UP: LazyLock<Option<Regex>> = LazyLock::new(|| pattern(r"\b(svc|host|person|addr)-x[0-9]{1,6}\b"));
static MAIL: LazyLock<Option<Regex>> = LazyLock::new(|| pattern(r"[a-z0-9._%+-]+@[a-z0-9][a-z0-9.-]*\.[a-z][a-z]+"));
static ADDRESS: LazyLock<Option<Regex>> = LazyLock::new(|| {
    pattern(
        r"\b((25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])\.){3}(25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])\b|\b([0-9a-f]{1,4}:){1,6}(:[0-9a-f]{1,4}){1,6}\b|\b([0-9a-f]{1,4}:){3,7}[0-9a-f]{1,4}\b",
    )
});

impl Redactor {
    /// Takes secrets out, among them these, which are known by themselves.
    pub fn new(own: Vec<String>) -> Self {
        Self { names: None, own: own.into_iter().filter(|s| s.len() >= 4).collect() }
    }

    /// Replaces these names as well, each by the same made-up one everywhere; mail and network addresses too.
    #[must_use]
    pub fn with_names<'a>(mut self, names: impl IntoIterator<Item = (Named, &'a str)>) -> Self {
        let mut all = Names { made_up: HashMap::new(), real: BTreeMap::new(), counts: BTreeMap::new(), known: None };
        for (kind, name) in names {
            let name = name.trim();
            // One letter stands in every word.
            if name.chars().nth(1).is_some() && name.chars().nth(300).is_none() && all.made_up.len() < NAMES {
                all.stand_in(kind, name);
            }
        }
        let mut known: Vec<&String> = all.made_up.keys().collect();
        // The longest first, since the first that fits is taken.
        known.sort_by_key(|name| (std::cmp::Reverse(name.len()), name.as_str()));
        if !known.is_empty() {
            let any: Vec<String> = known.iter().map(|name| regex::escape(name)).collect();
            all.known = RegexBuilder::new(&any.join("|")).case_insensitive(true).size_limit(64 << 20).build().ok();
        }
        self.names = Some(all);
        self
    }

    /// A text as it may leave.
    pub fn out(&mut self, text: &str) -> String {
        let mut text = text.to_owned();
        for secret in &self.own {
            if text.contains(secret.as_str()) {
                text = text.replace(secret.as_str(), "[redacted: key]");
            }
        }
        let text = secrets(&text).into_owned();
        match &mut self.names {
            Some(names) => names.hide(&text),
            None => text,
        }
    }

    /// A value as it may leave: every text in it, and whole where the field's name says that it is a secret.
    pub fn value(&mut self, value: &mut Value) {
        match value {
            Value::String(text) => *text = self.out(text),
            Value::Array(items) => items.iter_mut().for_each(|item| self.value(item)),
            Value::Object(fields) => {
                let old = std::mem::take(fields);
                for (name, mut inner) in old {
                    let secret = FIELD.as_ref().is_some_and(|f| f.is_match(&name));
                    match &inner {
                        Value::String(text) if secret && !harmless(text) && !text.starts_with(MARK) => {
                            inner = Value::String("[redacted: secret]".to_owned());
                        }
                        _ => self.value(&mut inner),
                    }
                    fields.insert(self.out(&name), inner);
                }
            }
            _ => {}
        }
    }

    /// What the model wrote, with real names.
    pub fn back(&self, text: &str) -> String {
        let (Some(names), Some(made_up)) = (&self.names, MADE_UP.as_ref()) else { return text.to_owned() };
        let name = |c: &Captures<'_>| {
            let word = c.get(0).map_or("", |m| m.as_str());
            names.real.get(&word.to_ascii_lowercase()).cloned().unwrap_or_else(|| word.to_owned())
        };
        made_up.replace_all(text, name).into_owned()
    }
}

impl Names {
    fn stand_in(&mut self, kind: Named, name: &str) -> String {
        let key = name.to_lowercase();
        if let Some(known) = self.made_up.get(&key) {
            return known.clone();
        }
        let n = self.counts.entry(kind).or_default();
        *n += 1;
        let word = format!("{}{n}", kind.word());
        self.real.insert(word.clone(), name.to_owned());
        self.made_up.insert(key, word.clone());
        word
    }

    fn hide(&mut self, text: &str) -> String {
        let mut text = text.to_owned();
        for (kind, form) in [(Named::Person, MAIL.as_ref()), (Named::Address, ADDRESS.as_ref())] {
            let Some(form) = form else { continue };
            text = form
                .replace_all(&text, |c: &Captures<'_>| self.stand_in(kind, c.get(0).map_or("", |m| m.as_str())))
                .into_owned();
        }
        let Some(known) = self.known.clone() else { return text };
        let mut out = String::with_capacity(text.len());
        let mut rest = 0;
        for found in known.find_iter(&text) {
            let (before, after) = (text.get(..found.start()), text.get(found.end()..));
            let inside = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
            // A part of a longer word is another word.
            if inside(before.and_then(|t| t.chars().next_back())) || inside(after.and_then(|t| t.chars().next())) {
                continue;
            }
            out.push_str(text.get(rest..found.start()).unwrap_or_default());
            let name = self.made_up.get(&found.as_str().to_lowercase());
            out.push_str(name.map_or("[redacted: name]", String::as_str));
            rest = found.end();
        }
        out.push_str(text.get(rest..).unwrap_or_default());
        out
    }
}

#[cfg(test)]
#[path = "redact_tests.rs"]
mod tests;
