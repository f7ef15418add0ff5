//! Words and bounds that channels share. Nothing here knows a target.

use std::{borrow::Cow, time::Duration};

use crate::{
    model::*,
    notifications::message::{About, Answer, Digest, Message, Subject},
};

/// How a severity looks in messages: a coloured sign, and a colour for targets with a bar.
pub struct Look {
    /// A sign.
    pub sign: &'static str,
    /// `#RRGGBB`.
    pub colour: &'static str,
    /// In words.
    pub word: &'static str,
}

/// The look of what a message says: green when it is over.
pub fn look(message: &Message) -> Look {
    match message.subject().map(|s| s.status) {
        Some(IncidentStatus::Resolved) => return Look { sign: "✅", colour: "#2EB67D", word: "Resolved" },
        Some(IncidentStatus::Merged) => return Look { sign: "⚪", colour: "#777777", word: "Merged" },
        _ => {}
    }
    severity(message.severity())
}

/// The look of a severity.
pub fn severity(severity: Severity) -> Look {
    let (sign, colour, word) = match severity {
        Severity::Critical => ("🔴", "#D63232", "Critical"),
        Severity::High => ("🟠", "#E8710A", "High"),
        Severity::Medium => ("🟡", "#F2C037", "Medium"),
        Severity::Low => ("🔵", "#2D7FF9", "Low"),
        Severity::Info => ("⚪", "#777777", "Info"),
    };
    Look { sign, colour, word }
}

/// The colour as the number that some targets want.
pub fn colour_number(colour: &str) -> u32 {
    u32::from_str_radix(colour.trim_start_matches('#'), 16).unwrap_or(0)
}

/// At most so many characters (Unicode scalar values), with `…` as the last where something was cut.
pub fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(most.saturating_sub(1)).collect();
    short.push('…');
    short
}

/// At most so many bytes, at the border of a character, with `…` where something was cut.
pub fn cut_bytes(text: &str, most: usize) -> String {
    if text.len() <= most {
        return text.to_owned();
    }
    let mut end = most.saturating_sub('…'.len_utf8());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}…", text.get(..end).unwrap_or_default())
}

/// At most so many UTF-16 code units, likewise.
pub fn cut_utf16(text: &str, most: usize) -> String {
    if text.encode_utf16().count() <= most {
        return text.to_owned();
    }
    let mut units = 0;
    let mut short: String = text
        .chars()
        .take_while(|c| {
            units += c.len_utf16();
            units < most
        })
        .collect();
    short.push('…');
    short
}

/// Foreign text as one line without control characters or marks that turn the direction of writing.
pub fn line(text: &str) -> String {
    let clean = plain(text);
    clean.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Foreign text of several lines, likewise.
pub fn plain(text: &str) -> Cow<'_, str> {
    let bad = |c: char| {
        (c.is_control() && c != '\n' && c != '\t')
            || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}' | '\u{feff}')
    };
    if text.contains(bad) { Cow::Owned(text.chars().filter(|c| !bad(*c)).collect()) } else { Cow::Borrowed(text) }
}

/// `&`, `<`, `>` and quotes as HTML has them.
pub fn html(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

/// Takes the sting out of `@all`, `@here`, `<!channel>` and names: a mark without width behind the sign.
pub fn unmentioned(text: &str) -> String {
    text.replace('@', "@\u{200b}").replace("<!", "<\u{200b}!")
}

/// What happened, in one or two words: `Opened`, `Acknowledged by sre-1`.
pub fn happened(message: &Message) -> String {
    let owner = |word: &str| match message.subject().and_then(|s| s.owner.as_deref()) {
        Some(owner) => format!("{word} by {}", line(owner)),
        None => word.to_owned(),
    };
    match message.event() {
        NoticeEvent::Opened => "Opened".to_owned(),
        NoticeEvent::Reopened => "Open again".to_owned(),
        NoticeEvent::Merged => "Part of another incident now".to_owned(),
        NoticeEvent::SeverityUp => match message.subject().and_then(|s| s.severity_before) {
            Some(before) => {
                let now = severity(message.severity()).word.to_lowercase();
                format!("Raised from {} to {now}", severity(before).word.to_lowercase())
            }
            None => "Raised".to_owned(),
        },
        NoticeEvent::Acknowledged => owner("Acknowledged"),
        NoticeEvent::Analyzed => "Analysis done".to_owned(),
        NoticeEvent::Reminder => "Still open".to_owned(),
        NoticeEvent::Escalated => "Not acknowledged yet".to_owned(),
        NoticeEvent::Resolved => match message.subject() {
            Some(s) if message.events.contains(&NoticeEvent::Opened) => {
                format!("Opened and resolved after {}", lasted(s, message.now))
            }
            Some(s) => format!("Resolved after {}", lasted(s, message.now)),
            None => "Resolved".to_owned(),
        },
        NoticeEvent::Test => "Test".to_owned(),
    }
}

/// How long an incident lasted, or has.
pub fn lasted(subject: &Subject, now: Time) -> String {
    duration(subject.resolved_at.unwrap_or(now).since(subject.started_at))
}

/// `4 s`, `12 min`, `1 h 21`, `3 d 4 h`, with no-break spaces.
pub fn duration(time: Duration) -> String {
    const GAP: char = '\u{a0}';
    let secs = time.as_secs();
    match secs {
        0..60 => format!("{secs}{GAP}s"),
        60..3_600 => format!("{}{GAP}min", secs / 60),
        3_600..86_400 => format!("{}{GAP}h{GAP}{:02}", secs / 3_600, secs % 3_600 / 60),
        _ => format!("{}{GAP}d{GAP}{}{GAP}h", secs / 86_400, secs % 86_400 / 3_600),
    }
}

/// The first line of a message, without markup: `Critical: Disk full on db-1`, `Resolved: …`, `12 incidents …`.
pub fn headline(message: &Message) -> String {
    match &message.about {
        About::Incident(s) => format!("{}: {}", look(message).word, line(&s.title)),
        About::Digest(d) => digest_headline(d),
        About::Test { by, .. } => format!("Test notification from Watchfire, sent by {}", line(by)),
    }
}

/// `12 incidents: 3 critical, 9 high`.
pub fn digest_headline(digest: &Digest) -> String {
    let parts: Vec<String> =
        digest.severities.iter().map(|(s, n)| format!("{n} {}", severity(*s).word.to_lowercase())).collect();
    let what = if digest.incidents == 1 { "incident" } else { "incidents" };
    format!("{} {what}: {}", digest.incidents, parts.join(", "))
}

/// What an investigation found, in one paragraph without markup.
pub fn answer(answer: &Answer) -> String {
    let mut text = plain(&answer.summary).into_owned();
    if let Some((step, command)) = &answer.first_step {
        text.push_str(&format!("\nFirst: {}", line(step)));
        if let Some(command) = command {
            text.push_str(&format!(" ({})", line(command)));
        }
    }
    text
}

/// Facts of an incident as (name, value), those that are known: for tables and field lists.
pub fn facts(message: &Message, subject: &Subject) -> Vec<(&'static str, String)> {
    let mut facts = vec![("Severity", severity(subject.severity).word.to_owned())];
    let mut add = |name, value: &Option<String>| {
        if let Some(value) = value.as_deref().map(line).filter(|v| !v.is_empty()) {
            facts.push((name, value));
        }
    };
    add("Service", &subject.service);
    add("Host", &subject.host);
    add("Environment", &subject.environment);
    add("Owner", &subject.owner);
    facts.push(("Started", moment(subject.started_at)));
    if let Some(at) = subject.resolved_at {
        facts.push(("Resolved", format!("{} (after {})", moment(at), lasted(subject, message.now))));
    }
    facts.push(("Source", line(&subject.source_name)));
    facts
}

/// `2026-03-03 03:02 UTC`.
pub fn moment(at: Time) -> String {
    at.timestamp().strftime("%Y-%m-%d %H:%M UTC").to_string()
}

/// `INC-42, 14 alerts`.
pub fn count(subject: &Subject) -> String {
    let alerts = if subject.alert_count == 1 { "alert" } else { "alerts" };
    format!("{}, {} {alerts}", subject.id, subject.alert_count)
}

/// What to know of the message itself: late, maybe told before.
pub fn remarks(message: &Message) -> Option<String> {
    let late = message.late.map(|by| format!("This message is {} late.", duration(by)));
    let again = message.repeated.then(|| "It may have reached you before.".to_owned());
    let all: Vec<String> = late.into_iter().chain(again).collect();
    (!all.is_empty()).then(|| all.join(" "))
}

/// `Retry-After`: seconds, or a date of HTTP.
pub fn retry_after(value: &str, now: Time) -> Option<Duration> {
    let value = value.trim();
    if let Ok(secs) = value.parse::<f64>() {
        return Duration::try_from_secs_f64(secs).ok();
    }
    let at = jiff::fmt::rfc2822::parse(value).ok()?.timestamp();
    let secs = at.as_second().saturating_sub(now.timestamp().as_second());
    Some(Duration::from_secs(u64::try_from(secs).unwrap_or(0)))
}

/// A status in words.
pub fn status(status: u16) -> String {
    let word = match status {
        400 => " (not understood)",
        401 => " (credentials refused)",
        403 => " (forbidden)",
        404 => " (not found)",
        408 => " (too slow)",
        410 => " (gone)",
        413 => " (too large)",
        422 => " (not accepted)",
        429 => " (too many)",
        500 => " (it failed)",
        502..=504 => " (not available)",
        507 => " (full)",
        _ => "",
    };
    format!("answered {status}{word}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_cut_by_what_the_target_counts() {
        for (text, most, by_char, by_byte, by_unit) in [
            ("abc", 3, "abc", "abc", "abc"),
            ("abcd", 3, "ab…", "…", "ab…"),
            ("äöüß", 3, "äö…", "…", "äö…"),
            ("😀😀😀", 3, "😀😀😀", "…", "😀…"),
            ("😀😀😀😀", 8, "😀😀😀😀", "😀…", "😀😀😀😀"),
        ] {
            assert_eq!(cut(text, most), by_char, "{text}");
            assert_eq!(cut_bytes(text, most), by_byte, "{text}");
            assert_eq!(cut_utf16(text, most), by_unit, "{text}");
            assert!(cut_bytes(text, most).len() <= most.max(3));
            assert!(cut_utf16(text, most).encode_utf16().count() <= most);
        }
    }

    #[test]
    fn a_wish_to_wait_is_read_as_seconds_or_as_a_date() {
        let now = "2026-03-02T03:00:00Z".parse().unwrap();
        for (value, want) in [
            ("3", Some(3_000)),
            ("0.25", Some(250)),
            ("Mon, 02 Mar 2026 03:01:00 GMT", Some(60_000)),
            ("Mon, 02 Mar 2026 02:01:00 GMT", Some(0)),
            ("-1", None),
            ("soon", None),
        ] {
            assert_eq!(retry_after(value, now).map(|d| d.as_millis()), want, "{value}");
        }
    }

    #[test]
    fn foreign_text_loses_what_could_mislead() {
        assert_eq!(line("a\u{202e}b\n\t c\u{0}"), "ab c");
        assert_eq!(unmentioned("@all hi"), "@\u{200b}all hi");
        assert_eq!(html("<a b='c'>&\""), "&lt;a b=&#39;c&#39;&gt;&amp;&quot;");
    }
}
