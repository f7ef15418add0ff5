//! The outcome of an action, carried over the redirect in a cookie: a word of a fixed list and two numbers, so that
//! nothing foreign can be said.

use std::fmt;

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Said {
    word: &'static str,
    done: u32,
    failed: u32,
    /// How it is taken back (`web::undo`); 0 where it is not.
    undo: u64,
}

const SENTENCES: &[(&str, &str)] = &[
    ("acknowledged", "Acknowledged by you"),
    ("unacknowledged", "Acknowledgement taken back"),
    ("resolved", "Resolved by you"),
    ("reopened", "Reopened by you"),
    ("commented", "Added to the timeline"),
    ("investigate", "Investigation asked for"),
    ("cancelled", "Analysis stopped"),
    ("assigned", "Assigned by you"),
    ("severity", "Severity set by you"),
    ("severity-back", "Severity is its alerts' again"),
    ("renamed", "Title set by you"),
    ("snoozed", "Snoozed by you"),
    ("woken", "Woken by you"),
    ("taken-out", "Taken out into an incident of its own"),
    ("declared", "Declared by you"),
    ("view-saved", "View saved"),
    ("view-gone", "View removed"),
    ("merged", "Merged by you"),
    ("unmerged", "Merge undone"),
    ("split", "Taken out: this is its incident now"),
    ("attached", "Moved here by you"),
    ("forgotten", "Lesson forgotten"),
    ("used", "Noted: you ran it"),
    ("dismissed", "Suggestion dismissed"),
    ("right", "Recorded: this is it"),
    ("wrong", "Noted: not this"),
    ("taken-back", "Taken back"),
    ("undone", "Taken back"),
    ("saved", "Saved"),
    ("drafted", "Drafted from what is stored"),
    ("published", "Published by you"),
    ("unpublished", "A draft again"),
    ("restored", "Taken back"),
    ("silenced", "Silenced by you"),
    ("window", "Maintenance window saved"),
    ("extended", "Extended by you"),
    ("mute-ended", "Ended by you"),
    ("threshold", "Threshold saved"),
    ("threshold-gone", "Threshold removed; what waited for it opened an incident"),
    ("source-gone", "Source removed"),
    ("service-gone", "Service removed"),
    ("adopted", "Adopted: it is declared now"),
    ("edge-dismissed", "Dismissed; it is not learned again"),
    ("edge-restored", "Taken back"),
    ("imported", "Imported"),
    ("rotated", "New key made; the old one works for 24 h"),
    ("tested", "Test sent"),
    ("channel", "Channel added; send a test"),
    ("channel-on", "Channel switched on"),
    ("channel-off", "Channel switched off"),
    ("channel-gone", "Channel removed"),
    ("rule", "Rule saved"),
    ("rule-on", "Rule switched on"),
    ("rule-off", "Rule switched off"),
    ("rule-moved", "Rule moved"),
    ("rule-gone", "Rule removed"),
    ("schedule", "Schedule saved"),
    ("schedule-gone", "Schedule removed"),
    ("taken-over", "Taken over"),
    ("policy", "Policy saved"),
    ("policy-gone", "Policy removed"),
    ("heartbeat", "Heartbeat saved"),
    ("heartbeat-gone", "Heartbeat removed"),
    ("replayed", "Parsed again"),
    ("person", "Person added"),
    ("person-gone", "Person removed"),
    ("person-off", "Disabled: their sessions have ended"),
    ("person-on", "Let in again"),
    ("token-gone", "Token revoked"),
    ("password", "Password changed; all other sessions have ended"),
    ("reset", "New password set; their sessions have ended"),
    ("session-gone", "Session ended"),
    ("sessions-gone", "All other sessions have ended"),
    ("sessions-ended", "All their sessions have ended"),
];

impl Said {
    /// One of the fixed words; an unknown one says "Saved".
    pub fn new(word: &str) -> Self {
        Self {
            word: SENTENCES.iter().find(|(w, _)| *w == word).map_or("saved", |(w, _)| *w),
            done: 0,
            failed: 0,
            undo: 0,
        }
    }

    /// The outcome of an action on several.
    pub fn many(word: &str, done: u32, failed: u32) -> Self {
        Self { done, failed, ..Self::new(word) }
    }

    /// The same, which can be taken back.
    pub fn undone_by(self, undo: Option<u64>) -> Self {
        Self { undo: undo.unwrap_or(0), ..self }
    }

    /// The number by which it can be taken back.
    pub fn undo(self) -> Option<u64> {
        Some(self.undo).filter(|n| *n > 0)
    }

    /// As the cookie holds it.
    pub fn cookie(self) -> String {
        match (self.done, self.failed, self.undo) {
            (0, 0, 0) => self.word.to_owned(),
            (d, f, 0) => format!("{}.{d}.{f}", self.word),
            (d, f, u) => format!("{}.{d}.{f}.{u}", self.word),
        }
    }

    /// From the cookie.
    pub fn read(value: &str) -> Option<Self> {
        let mut parts = value.split('.');
        let word = parts.next()?;
        let (word, _) = SENTENCES.iter().find(|(w, _)| *w == word)?;
        let mut number = || parts.next().and_then(|p| p.parse::<u64>().ok()).unwrap_or(0);
        let mut count = || u32::try_from(number()).unwrap_or(0);
        let (done, failed) = (count(), count());
        Some(Self { word, done, failed, undo: number() })
    }
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sentence = SENTENCES.iter().find(|(w, _)| *w == self.word).map_or("", |(_, s)| *s);
        match (self.done, self.failed) {
            (0, 0) => f.write_str(sentence),
            (done, 0) => write!(f, "{done} {}", self.word),
            (done, failed) => write!(f, "{done} {}, {failed} could not be: they had changed meanwhile", self.word),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_in_the_list_can_be_said() {
        assert_eq!(Said::read("resolved").unwrap().to_string(), "Resolved by you");
        assert_eq!(Said::read("<script>"), None);
        let undone = Said::new("acknowledged").undone_by(Some(1_772_500_000_123));
        assert_eq!(undone.cookie(), "acknowledged.0.0.1772500000123");
        assert_eq!(Said::read(&undone.cookie()), Some(undone));
        assert_eq!((undone.undo(), Said::new("resolved").undo()), (Some(1_772_500_000_123), None));
        let many = Said::many("acknowledged", 5, 1);
        assert_eq!(many.cookie(), "acknowledged.5.1");
        assert_eq!(
            Said::read("acknowledged.5.1").unwrap().to_string(),
            "5 acknowledged, 1 could not be: they had changed meanwhile"
        );
    }
}
