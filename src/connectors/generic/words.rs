//! Words for states, and names of fields without their spelling.

use std::borrow::Cow;

use crate::{
    connectors::text,
    model::{Severity, SignalStatus},
};

/// A name in lower case, without anything but letters and digits.
pub(super) fn normal(name: &str) -> Cow<'_, str> {
    if name.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9')) {
        return Cow::Borrowed(name);
    }
    name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}

/// A word for a state; none for words that say nothing about it.
pub(in crate::connectors) fn status(word: &str) -> Option<SignalStatus> {
    let plain = normal(word);
    let plain: &str = &plain;
    Some(match plain.strip_prefix("incident").or_else(|| plain.strip_prefix("alert")).unwrap_or(plain) {
        "resolved" | "resolve" | "ok" | "okay" | "closed" | "close" | "recovered" | "recover" | "recovery" | "up"
        | "normal" | "clear" | "cleared" | "inactive" | "success" | "succeeded" | "healthy" | "fixed" | "done"
        | "passing" | "green" => SignalStatus::Resolved,
        "acknowledged" | "acknowledge" | "ack" | "acked" => SignalStatus::Acknowledged,
        "paused" | "pending" | "muted" | "suppressed" | "silenced" | "maintenance" => SignalStatus::Info,
        "firing" | "fire" | "ing" | "triggered" | "trigger" | "open" | "opened" | "active" | "down" | "failed"
        | "failing" | "failure" | "unhealthy" | "red" | "reopened" | "nodata" => SignalStatus::Firing,
        _ => return text::severity(word).filter(|s| *s != Severity::Info).map(|_| SignalStatus::Firing),
    })
}

/// The same for what a field for states says: there, words count that at the head of a title are part of its text, and
/// numbers in a field that can only be a state.
pub(in crate::connectors) fn of_field(field: &str, word: &str) -> Option<SignalStatus> {
    match (word.trim().to_ascii_lowercase().as_str(), &*normal(field)) {
        ("false", _) | ("0", "state") => Some(SignalStatus::Resolved),
        ("test" | "info" | "informational" | "information", _) => Some(SignalStatus::Info),
        _ => status(word),
    }
}

/// A state at the head of a title, as in `[RESOLVED] Disk full` or `OK: Disk full`, and the title without it.
pub(super) fn of_title(title: &str) -> Option<(SignalStatus, &str)> {
    let (word, rest) = match title.strip_prefix('[') {
        Some(inner) => inner.split_once(']')?,
        None => title.split_once(':')?,
    };
    let rest = rest.trim_start_matches([':', '-', ' ']);
    // `[FIRING:2]` counts alerts.
    let status = status(word.split(':').next().unwrap_or(word))?;
    (!rest.is_empty()).then_some((status, rest))
}

/// The title without its state, so that both ends of an alert have one identity.
pub(super) fn without_state(title: &str) -> &str {
    of_title(title).map_or(title, |(_, rest)| rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_in_words_and_titles() {
        for (word, want) in [
            ("Resolved", Some(SignalStatus::Resolved)),
            ("OK", Some(SignalStatus::Resolved)),
            ("incident.acknowledged", Some(SignalStatus::Acknowledged)),
            ("alerting", Some(SignalStatus::Firing)),
            ("critical", Some(SignalStatus::Firing)),
            ("deployed", None),
        ] {
            assert_eq!(status(word), want, "{word}");
        }
        for (field, word, want) in [
            ("status", "false", Some(SignalStatus::Resolved)),
            ("State", "0", Some(SignalStatus::Resolved)),
            ("status", "0", None),
            ("phase", "Succeeded", Some(SignalStatus::Resolved)),
            ("status", "INFO", Some(SignalStatus::Info)),
            ("status", "firing", Some(SignalStatus::Firing)),
        ] {
            assert_eq!(of_field(field, word), want, "{field} {word}");
        }
        for (title, want) in [
            ("Info: Disk full", "Info: Disk full"),
            ("[RESOLVED] Disk full", "Disk full"),
            ("[FIRING:2] Disk full", "Disk full"),
            ("Recovered: Disk full", "Disk full"),
            ("api: too slow", "api: too slow"),
            ("[web] down", "[web] down"),
            ("OK:", "OK:"),
        ] {
            assert_eq!(without_state(title), want);
        }
    }
}
