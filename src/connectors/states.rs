//! The states of hosts and services that Nagios brought into the world, and its heirs still use: Checkmk, Icinga.

use crate::model::{Severity, SignalStatus};

/// A state in one of its spellings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Ok,
    Warning,
    Critical,
    Unknown,
    Up,
    Down,
    Unreachable,
}

impl State {
    /// By its word, short or long, or by its number, which means another state for hosts than for services.
    pub fn read(word: &str, of_service: bool) -> Option<Self> {
        let word = word.trim().to_ascii_uppercase();
        Some(match (word.strip_suffix(".0").unwrap_or(&word), of_service) {
            ("OK" | "RECOVERED", _) | ("0", true) => Self::Ok,
            ("WARN" | "WARNING", _) | ("1", true) => Self::Warning,
            ("CRIT" | "CRITICAL", _) | ("2", true) => Self::Critical,
            ("UNKN" | "UNKNOWN", _) | ("3", true) => Self::Unknown,
            ("UP", _) | ("0", false) => Self::Up,
            ("DOWN", _) | ("1", false) => Self::Down,
            ("UNREACH" | "UNREACHABLE", _) | ("2", false) => Self::Unreachable,
            _ => return None,
        })
    }

    pub fn is_over(self) -> bool {
        matches!(self, Self::Ok | Self::Up)
    }

    /// A host that is down takes all its services with it; a service is one thing.
    pub fn severity(self) -> Severity {
        match self {
            Self::Down => Severity::Critical,
            Self::Critical => Severity::High,
            Self::Warning | Self::Unknown | Self::Unreachable => Severity::Medium,
            Self::Ok | Self::Up => Severity::Info,
        }
    }

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::Warning => "WARNING",
            Self::Critical => "CRITICAL",
            Self::Unknown => "UNKNOWN",
            Self::Up => "UP",
            Self::Down => "DOWN",
            Self::Unreachable => "UNREACHABLE",
        }
    }
}

/// What a notification of this type about this state says. Both may be left out, not both at once.
pub(super) fn status(kind: Option<&str>, state: Option<State>) -> Option<SignalStatus> {
    let kind = kind.map(|k| k.trim().to_ascii_uppercase());
    Some(match (kind.as_deref(), state) {
        (Some("RECOVERY"), _) => SignalStatus::Resolved,
        (_, Some(state)) if state.is_over() => SignalStatus::Resolved,
        (Some(kind), _) if kind.starts_with("ACKNOWLEDGEMENT") => SignalStatus::Acknowledged,
        (Some("PROBLEM"), _) | (None, Some(_)) => SignalStatus::Firing,
        // Downtimes, flapping, what people write by hand: nothing new is wrong.
        (Some(_), _) => SignalStatus::Info,
        (None, None) => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_in_all_spellings() {
        for (word, of_service, want) in [
            ("CRIT", true, Some(State::Critical)),
            ("critical", true, Some(State::Critical)),
            ("2.0", true, Some(State::Critical)),
            ("1", false, Some(State::Down)),
            ("0", false, Some(State::Up)),
            ("UNREACH", false, Some(State::Unreachable)),
            ("PENDING", true, None),
        ] {
            assert_eq!(State::read(word, of_service), want, "{word}");
        }
    }

    #[test]
    fn types_of_notifications() {
        for (kind, state, want) in [
            (Some("PROBLEM"), Some(State::Down), Some(SignalStatus::Firing)),
            (Some("RECOVERY"), None, Some(SignalStatus::Resolved)),
            (Some("CUSTOM"), Some(State::Ok), Some(SignalStatus::Resolved)),
            (Some("ACKNOWLEDGEMENT"), Some(State::Critical), Some(SignalStatus::Acknowledged)),
            (Some("DOWNTIMESTART"), Some(State::Critical), Some(SignalStatus::Info)),
            (Some("FLAPPINGSTART"), None, Some(SignalStatus::Info)),
            (None, Some(State::Warning), Some(SignalStatus::Firing)),
            (None, None, None),
        ] {
            assert_eq!(status(kind, state), want, "{kind:?} {state:?}");
        }
    }
}
