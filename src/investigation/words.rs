//! Numbers, times and names as sentences have them.

use std::time::Duration;

use crate::model::{Severity, Symptom, Time, Tool};

/// Letters of a quoted title before it is cut.
const QUOTED: usize = 100;
/// Letters of a query before it is cut.
const CODE: usize = 400;

/// `40 s`, `4 min`, `2 h 5 min`, `3 days`; number and unit stay on one line.
pub fn duration(d: Duration) -> String {
    let s = d.as_secs();
    match s {
        0..=59 => format!("{s}\u{a0}s"),
        60..=5_399 => format!("{}\u{a0}min", (s + 30) / 60),
        5_400..=129_599 => {
            let min = (s + 30) / 60;
            match min % 60 {
                0 => format!("{}\u{a0}h", min / 60),
                m => format!("{}\u{a0}h\u{a0}{m}\u{a0}min", min / 60),
            }
        }
        _ => format!("{}\u{a0}days", (s + 43_200) / 86_400),
    }
}

/// `10:30 UTC`.
pub fn clock(t: Time) -> String {
    format!("{} UTC", t.timestamp().strftime("%H:%M"))
}

/// `1 alert`, `14 alerts`.
pub fn count(n: usize, one: &str) -> String {
    match (n, one.strip_suffix('y')) {
        (1, _) => format!("1 {one}"),
        (_, Some(stem)) => format!("{n} {stem}ies"),
        _ => format!("{n} {one}s"),
    }
}

/// `a`, `a and b`, `a, b and 4 more`.
pub fn list<S: AsRef<str>>(names: &[S], most: usize) -> String {
    let shown: Vec<&str> = names.iter().take(most.max(1)).map(AsRef::as_ref).collect();
    let more = names.len().saturating_sub(shown.len());
    match (shown.split_last(), more) {
        (None, _) => String::new(),
        (Some((only, [])), 0) => (*only).to_owned(),
        (Some((last, rest)), 0) => format!("{} and {last}", rest.join(", ")),
        (Some(_), more) => format!("{} and {more} more", shown.join(", ")),
    }
}

/// How sure: a word, for figures that pretend to know more.
pub fn confidence(p: f64) -> &'static str {
    match p {
        p if p < 0.4 => "low",
        p if p < 0.65 => "medium",
        _ => "high",
    }
}

/// `62 %`.
pub fn percent(share: f64) -> String {
    format!("{:.0}\u{a0}%", share.clamp(0.0, 1.0) * 100.0)
}

/// Text of others made harmless for a sentence: one line, no control or direction marks, no brackets (those are marks
/// of evidence), not too long.
pub fn plain(text: &str) -> String {
    let mut out = String::new();
    let mut letters = 0;
    for word in text.split(|c: char| (c.is_whitespace() && c != '\u{a0}') || c.is_control()).filter(|w| !w.is_empty()) {
        if !out.is_empty() {
            out.push(' ');
            letters += 1;
        }
        for c in word.chars().filter(|c| !is_mark(*c)) {
            if letters >= QUOTED {
                out.push('…');
                return out;
            }
            out.push(match c {
                '[' => '(',
                ']' => ')',
                other => other,
            });
            letters += 1;
        }
    }
    out
}

/// The same in quotation marks.
pub fn quote(text: &str) -> String {
    format!("“{}”", plain(text).replace(['“', '”'], "\""))
}

/// A query or a path of a tool, exact but for what could pose as a mark of evidence or turn the writing, and cut.
pub fn code(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text.chars().filter(|c| !is_mark(*c)).take(CODE + 1).peekable();
    let mut letters = 0;
    while let Some(c) = rest.next() {
        letters += 1;
        if letters > CODE {
            out.push('…');
            break;
        }
        out.push(match c {
            '[' if rest.peek() == Some(&'E') => '(',
            '`' => '\'',
            c if c.is_control() => ' ',
            c => c,
        });
    }
    format!("`{out}`")
}

/// A figure as people read it: `0.031`, `12.5`, `1,840`, `2.1 G`.
pub fn figure(n: f64) -> String {
    let size = n.abs();
    let cut = |s: String| if s.contains('.') { s.trim_end_matches('0').trim_end_matches('.').to_owned() } else { s };
    match size {
        _ if !n.is_finite() => "no number".to_owned(),
        0.0 => "0".to_owned(),
        s if s >= 1e12 => format!("{}\u{a0}T", cut(format!("{:.1}", n / 1e12))),
        s if s >= 1e9 => format!("{}\u{a0}G", cut(format!("{:.1}", n / 1e9))),
        s if s >= 1e6 => format!("{}\u{a0}M", cut(format!("{:.1}", n / 1e6))),
        s if s >= 1e4 => format!("{}\u{a0}k", cut(format!("{:.1}", n / 1e3))),
        s if s >= 100.0 => format!("{n:.0}"),
        s if s >= 1.0 => cut(format!("{n:.1}")),
        s if s >= 0.01 => cut(format!("{n:.3}")),
        _ => format!("{n:.1e}"),
    }
}

/// The name of a tool as its maker writes it.
pub fn tool(t: Tool) -> &'static str {
    match t {
        Tool::Netdata => "Netdata",
        Tool::Prometheus => "Prometheus",
        Tool::Loki => "Loki",
        Tool::Jenkins => "Jenkins",
    }
}

/// With a capital at its beginning.
pub fn upper_first(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|c| c.to_uppercase().chain(chars).collect()).unwrap_or_default()
}

/// Invisible characters and those that turn the direction of writing.
pub fn is_mark(c: char) -> bool {
    matches!(c, '\u{00ad}' | '\u{061c}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// A symptom as the subject of a sentence; none where it is not known.
pub fn symptom(s: Symptom) -> Option<&'static str> {
    Some(match s {
        Symptom::Unavailable => "no answer",
        Symptom::Errors => "errors",
        Symptom::Latency => "slow answers",
        Symptom::Cpu => "processor load",
        Symptom::Memory => "memory shortage",
        Symptom::DiskSpace => "disk space running out",
        Symptom::DiskIo => "a slow disk",
        Symptom::Network => "network trouble",
        Symptom::Certificate => "a certificate problem",
        Symptom::ConnectionExhaustion => "connections used up",
        Symptom::Backlog => "a growing backlog",
        Symptom::Replication => "replication falling behind",
        Symptom::Restarts => "restarts",
        Symptom::BuildFailure => "a failed build",
        Symptom::Security => "a security alarm",
        Symptom::Traffic => "unusual traffic",
        Symptom::Unknown => return None,
    })
}

/// `critical`, as sentences have it.
pub fn severity(s: Severity) -> &'static str {
    s.as_str()
}

/// A platform's name as its maker writes it.
pub fn platform(name: &str) -> String {
    match name {
        "pagerduty" => "PagerDuty".into(),
        "cloudbees" => "CloudBees".into(),
        "newrelic" => "New Relic".into(),
        "github" => "GitHub".into(),
        "gitlab" => "GitLab".into(),
        "uptime-kuma" => "Uptime Kuma".into(),
        "sns" => "SNS".into(),
        "gcp" => "Google Cloud".into(),
        "manual" => "a person".into(),
        "generic" => "a generic sender".into(),
        other => {
            let other = plain(other);
            let mut chars = other.chars();
            chars.next().map(|c| c.to_uppercase().chain(chars).collect()).unwrap_or_default()
        }
    }
}

/// A sentence begins with a capital and ends with a full stop.
pub fn sentence(text: &str) -> String {
    let mut chars = text.trim_end_matches('.').chars();
    let first: String = chars.next().map(|c| c.to_uppercase().collect()).unwrap_or_default();
    format!("{first}{}.", chars.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_the_unit_people_would_say() {
        let check = |s: u64, want: &str| assert_eq!(duration(Duration::from_secs(s)), want);
        check(0, "0\u{a0}s");
        check(59, "59\u{a0}s");
        check(60, "1\u{a0}min");
        check(240, "4\u{a0}min");
        check(5_400, "1\u{a0}h\u{a0}30\u{a0}min");
        check(7_200, "2\u{a0}h");
        check(3 * 86_400, "3\u{a0}days");
    }

    #[test]
    fn lists_say_how_many_more() {
        let check = |names: &[&str], want: &str| assert_eq!(list(names, 2), want);
        check(&[], "");
        check(&["a"], "a");
        check(&["a", "b"], "a and b");
        check(&["a", "b", "c", "d"], "a, b and 2 more");
    }

    #[test]
    fn figures_have_as_many_digits_as_tell_something() {
        let check = |n: f64, want: &str| assert_eq!(figure(n), want);
        check(0.0, "0");
        check(1.0, "1");
        check(12.34, "12.3");
        check(0.0314, "0.031");
        check(0.0001, "1.0e-4");
        check(-185.6, "-186");
        check(2_147_483_648.0, "2.1\u{a0}G");
        check(50_000.0, "50\u{a0}k");
        check(f64::NAN, "no number");
    }

    #[test]
    fn text_of_others_cannot_pose_as_ours() {
        assert_eq!(code("rate(x[5m]) [E1] `a`\n\u{202e}b"), "`rate(x[5m]) (E1] 'a' b`");
        assert_eq!(code(&"x".repeat(500)).chars().count(), 403);
        assert_eq!(plain("a\n\u{1b}[31m  b [E1]\u{202e}"), "a (31m b (E1)");
        assert_eq!(plain(&"x".repeat(300)).chars().count(), 101);
        assert_eq!(quote("say “hi”"), "“say \"hi\"”");
    }
}
