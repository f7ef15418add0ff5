//! Text to pieces: identifiers split, names and numbers told from words.

use super::lexicon::Lexicon;

/// What a piece is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A word of the language or of the field.
    Word,
    /// A host's, an instance's or another thing's own name as it is written: `web-01.example.com`.
    Whole,
    /// Part of a host's, an instance's or another thing's own name: says which, not what.
    Name,
    /// A number, with or without its unit.
    Number,
}

/// Longer than this is no word, but a hash or a dump.
const LONGEST: usize = 64;
/// Parts of one identifier that are looked at together ("Persistent", "Volume", "Claim").
const JOINED: usize = 4;
/// The last part of a name of the DNS that is none of ours to read.
const ENDS: &[&str] =
    &["com", "net", "org", "io", "dev", "cloud", "local", "internal", "lan", "corp", "intra", "svc", "de", "eu", "uk"];
/// After a number: how much, not of what.
const UNITS: &[&str] = &[
    "b", "kb", "mb", "gb", "tb", "pb", "kib", "mib", "gib", "tib", "k", "m", "g", "t", "s", "ms", "us", "ns", "sec",
    "secs", "second", "seconds", "min", "mins", "minute", "minutes", "h", "hr", "hrs", "hour", "hours", "d", "day",
    "days", "w", "week", "weeks", "x", "th", "st", "nd", "rd", "bps", "kbps", "mbps", "gbps", "hz", "mhz", "ghz", "v",
    "w", "c", "f", "pct", "percent", "rps", "qps", "iops", "e",
];

/// Hands over every piece in order, in lower case; `each` says whether it wants more. What stands in the marks of a
/// template (`{{ … }}`, `${…}`) is left out: it was never filled in.
pub fn scan(lexicon: &Lexicon, text: &str, each: &mut dyn FnMut(&str, Kind) -> bool) {
    let mut scratch = String::new();
    let (mut rest, mut before) = (text, "");
    while let Some(start) = rest.find(|c: char| !separates(c)) {
        rest = rest.get(start..).unwrap_or_default();
        if let Some(after) = template(rest) {
            rest = after;
            continue;
        }
        let end = rest.find(separates).unwrap_or(rest.len());
        // A template may begin inside a word.
        let chunk = rest.get(..end).unwrap_or_default();
        let end = chunk.find("${").filter(|at| *at > 0).unwrap_or(end);
        let (chunk, after) = rest.split_at_checked(end).unwrap_or((rest, ""));
        rest = after;
        let number = chunk.trim_matches(|c: char| !c.is_alphanumeric());
        if !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()) && !answers(before, rest) {
            if !each(number, Kind::Number) {
                return;
            }
            before = number;
            continue;
        }
        // `500 MB`, `10 minutes`.
        if before.starts_with(|c: char| c.is_ascii_digit()) && UNITS.iter().any(|u| number.eq_ignore_ascii_case(u)) {
            before = "";
            continue;
        }
        before = chunk;
        if !chunk_of(lexicon, chunk, &mut scratch, each) {
            return;
        }
    }
}

fn separates(c: char) -> bool {
    c.is_whitespace()
        || c.is_control()
        || matches!(
            c,
            ',' | ';'
                | '('
                | ')'
                | '['
                | ']'
                | '{'
                | '}'
                | '<'
                | '>'
                | '"'
                | '\''
                | '`'
                | '|'
                | '='
                | '“'
                | '”'
                | '’'
                | '…'
        )
    // Braces of templates are seen before.
}

/// Whether a number between these is an HTTP status: `HTTP 503`, `500 errors`; not `500 MB`.
fn answers(before: &str, after: &str) -> bool {
    const BEFORE: &[&str] =
        &["http", "https", "code", "codes", "status", "error", "errors", "response", "returned", "returns"];
    const AFTER: &[&str] = &["error", "response", "status", "http", "code", "answer"];
    let before = before.trim_matches(|c: char| !c.is_alphanumeric());
    let next = after.trim_start_matches(|c: char| !c.is_alphanumeric());
    BEFORE.iter().any(|w| before.eq_ignore_ascii_case(w))
        || AFTER.iter().any(|w| next.get(..w.len()).is_some_and(|start| start.eq_ignore_ascii_case(w)))
}

/// What follows a template that begins here.
fn template(text: &str) -> Option<&str> {
    let (open, close) =
        [("${", "}"), ("%{", "}"), ("{{", "}}")].into_iter().find(|(open, _)| text.starts_with(open))?;
    let inner = text.get(open.len()..)?;
    inner.find(close).and_then(|end| inner.get(end + close.len()..))
}

fn chunk_of(lexicon: &Lexicon, chunk: &str, scratch: &mut String, each: &mut dyn FnMut(&str, Kind) -> bool) -> bool {
    let address = chunk.contains("://") || chunk.contains('@') || chunk.starts_with('$');
    for part in chunk.split(['/', ':', '\\', '&', '+', '*', '!', '?', '#', '~', '^']) {
        let part = part.trim_matches(|c: char| !c.is_alphanumeric());
        if part.is_empty() {
            continue;
        }
        let name = address || named(lexicon, part, scratch);
        let whole = name && part.len() <= LONGEST && part.contains(|c: char| !c.is_alphanumeric());
        if whole && !lower(part, scratch, Kind::Whole, each) {
            return false;
        }
        for piece in part.split(|c: char| !c.is_alphanumeric()).filter(|p| !p.is_empty() && p.len() <= LONGEST) {
            let more =
                if name { lower(piece, scratch, Kind::Name, each) } else { piece_of(lexicon, piece, scratch, each) };
            if !more {
                return false;
            }
        }
    }
    true
}

/// `web-01`, `ip-10-0-0-1.ec2.internal`, `10.0.0.1`, `checkout-7d9f8b6c4d-x2x9z`: a name. `crash-looping`,
/// `system.cpu.user`, `http-5xx`: words.
fn named(lexicon: &Lexicon, part: &str, scratch: &mut String) -> bool {
    let joined = part.contains(['-', '.', '_']);
    if !joined {
        return false;
    }
    let end = part.rsplit('.').next().filter(|e| e.len() < part.len());
    if end.is_some_and(|e| ENDS.iter().any(|known| e.eq_ignore_ascii_case(known))) {
        return true;
    }
    if !part.starts_with(|c: char| c.is_alphabetic()) {
        // 10.0.0.1; hexadecimal ids; not 95th-percentile nor 1.5.
        return part.matches(['.', '-']).count() >= 3 && part.contains(|c: char| c.is_ascii_digit());
    }
    // In snake case a number is mostly part of a rule's own name (`load_average_15`).
    part.contains(['-', '.'])
        && part.split(|c: char| !c.is_alphanumeric()).any(|piece| {
            piece.contains(|c: char| c.is_ascii_digit()) && !measure(piece) && {
                lowered(piece, scratch);
                !lexicon.knows(scratch)
            }
        })
}

/// A number with its unit; a bare number counts when it is no ordinal of an instance (`-1`, `-02`).
fn measure(piece: &str) -> bool {
    let digits = piece.bytes().take_while(u8::is_ascii_digit).count();
    let unit = piece.get(digits..).unwrap_or_default();
    digits > 0 && !unit.is_empty() && UNITS.iter().any(|u| unit.eq_ignore_ascii_case(u))
}

fn lowered(piece: &str, scratch: &mut String) {
    scratch.clear();
    for c in piece.chars() {
        if c.is_ascii() { scratch.push(c.to_ascii_lowercase()) } else { scratch.extend(c.to_lowercase()) }
    }
}

fn lower(piece: &str, scratch: &mut String, kind: Kind, each: &mut dyn FnMut(&str, Kind) -> bool) -> bool {
    lowered(piece, scratch);
    each(scratch, kind)
}

/// One run of letters and digits.
fn piece_of(lexicon: &Lexicon, piece: &str, scratch: &mut String, each: &mut dyn FnMut(&str, Kind) -> bool) -> bool {
    lowered(piece, scratch);
    let number = piece.bytes().all(|b| b.is_ascii_digit());
    // Of bare numbers only an HTTP status says anything.
    if lexicon.knows(scratch) && (!number || piece.len() == 3) {
        return each(scratch, Kind::Word);
    }
    if number || measure(piece) {
        return each(scratch, Kind::Number);
    }
    let cuts = cuts(piece);
    let digits = piece.contains(|c: char| c.is_ascii_digit());
    if cuts.len() <= 2 {
        return each(scratch, if digits { Kind::Name } else { Kind::Word });
    }
    let ends: Vec<usize> = cuts;
    let mut at = 0;
    while at + 1 < ends.len() {
        let (mut to, mut kind) = (at + 1, None);
        // The longest run of parts that the lexicon knows: `MySQL`, `CrashLoop`, `p99`, `5xx`.
        for end in (at + 1..ends.len().min(at + 1 + JOINED)).rev() {
            if let Some(joined) = slice(piece, &ends, at, end) {
                lowered(joined, scratch);
                if lexicon.knows(scratch) {
                    (to, kind) = (end, Some(Kind::Word));
                    break;
                }
            }
        }
        let Some(part) = slice(piece, &ends, at, to) else { return true };
        lowered(part, scratch);
        let numeric = part.starts_with(|c: char| c.is_ascii_digit());
        // Letters that end in a number and belong to nothing known: `web01`, `a3f9c2`.
        let own = digits && ends.len() <= 3 && kind.is_none();
        let kind = kind.unwrap_or(if numeric {
            Kind::Number
        } else if own {
            Kind::Name
        } else {
            Kind::Word
        });
        if !each(scratch, kind) {
            return false;
        }
        at = to;
    }
    true
}

fn slice<'a>(piece: &'a str, ends: &[usize], from: usize, to: usize) -> Option<&'a str> {
    piece.get(*ends.get(from)?..*ends.get(to)?)
}

/// How many letters stand together from here.
fn run(piece: &str, at: usize) -> usize {
    piece.get(at..).unwrap_or_default().chars().take_while(|c| c.is_alphabetic()).count()
}

/// Where an identifier is cut: `aB`, `ABc`, and before digits; digits keep what follows in small letters (`5xx`).
fn cuts(piece: &str) -> Vec<usize> {
    let mut cuts = vec![0];
    let mut chars = piece.char_indices().peekable();
    let mut before: Option<char> = None;
    while let Some((at, c)) = chars.next() {
        if let Some(b) = before {
            let next_small = chars.peek().is_some_and(|(_, n)| n.is_lowercase());
            let camel =
                c.is_uppercase() && (b.is_lowercase() || b.is_ascii_digit() || (b.is_uppercase() && next_small));
            // `509check`, but not `5xx`.
            let word = b.is_ascii_digit() && c.is_alphabetic() && run(piece, at) > 3;
            if camel || word || (c.is_ascii_digit() && !b.is_ascii_digit()) {
                cuts.push(at);
            }
        }
        before = Some(c);
    }
    cuts.push(piece.len());
    cuts
}
