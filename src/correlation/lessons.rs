//! What people's corrections teach: after three equal ones, such alerts go where people put them. Pure.

use std::collections::BTreeMap;

use crate::model::{Learned, Lesson, Side, Time};

/// Words of a title that are compared.
const WORDS: usize = 12;
/// Characters of each.
const WORD: usize = 40;
/// Lessons kept; beyond, the one that was confirmed longest ago goes.
const MOST: usize = 10_000;

/// Where an alert, or the first alert of an incident, stands, and what it says without what differs from one to the next:
/// words with digits (numbers, addresses, most hosts) and the host's own name.
pub fn side(service: Option<&str>, host: Option<&str>, title: &str) -> Side {
    let lower = |s: &str| s.trim().to_lowercase();
    let host = host.map(lower).filter(|h| !h.is_empty());
    let short = host.as_deref().and_then(|h| h.split('.').next());
    let title = title.to_lowercase();
    let words = title
        .split(|c: char| !(c.is_alphanumeric() || matches!(c, '-' | '_' | '.')))
        .map(|w| w.trim_matches(|c: char| !c.is_alphanumeric()))
        .filter(|w| !w.is_empty() && !w.chars().any(|c| c.is_ascii_digit()))
        .filter(|w| host.as_deref() != Some(*w) && short != Some(*w))
        .map(|w| w.chars().take(WORD).collect::<String>());
    let name = words.take(WORDS).collect::<Vec<_>>().join(" ");
    Side { place: service.map(lower).filter(|s| !s.is_empty()).or(host), name }
}

/// What a correction said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Correction {
    /// They belong together.
    Joined,
    /// They do not.
    Parted,
}

/// What is to be done, with the sentence for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Such an alert joins such an incident.
    Join(String),
    /// Such an alert stays out of such an incident.
    Apart(String),
}

/// All lessons, by the kind of alert and the kind of incident.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Lessons {
    rows: BTreeMap<Side, BTreeMap<Side, Lesson>>,
    count: usize,
}

impl Lessons {
    /// Takes a lesson in as it is stored.
    pub fn put(&mut self, lesson: Lesson) {
        let before = self.rows.entry(lesson.alert.clone()).or_default().insert(lesson.incident.clone(), lesson);
        self.count += usize::from(before.is_none());
    }

    /// Takes one away.
    pub fn remove(&mut self, lesson: &Lesson) {
        let Some(of_alert) = self.rows.get_mut(&lesson.alert) else { return };
        self.count -= usize::from(of_alert.remove(&lesson.incident).is_some());
        if of_alert.is_empty() {
            self.rows.remove(&lesson.alert);
        }
    }

    /// Counts a correction; the lesson as it is now.
    pub fn teach(&mut self, alert: Side, incident: Side, what: Correction, at: Time, by: &str) -> Lesson {
        let known = self.rows.get(&alert).and_then(|of_alert| of_alert.get(&incident)).cloned();
        let fresh = Lesson { alert, incident, joined: 0, parted: 0, last_at: at, last_by: by.to_owned() };
        let mut lesson = known.unwrap_or(fresh);
        let count = match what {
            Correction::Joined => &mut lesson.joined,
            Correction::Parted => &mut lesson.parted,
        };
        *count = count.saturating_add(1);
        (lesson.last_at, lesson.last_by) = (at, by.to_owned());
        self.put(lesson.clone());
        lesson
    }

    /// A correction was taken back by whoever made it: it counts no more. The lesson as it is now, none when nothing is left
    /// of it.
    pub fn take_back(&mut self, alert: &Side, incident: &Side, what: Correction) -> Option<(Lesson, bool)> {
        let mut lesson = self.rows.get(alert)?.get(incident)?.clone();
        let count = match what {
            Correction::Joined => &mut lesson.joined,
            Correction::Parted => &mut lesson.parted,
        };
        *count = count.saturating_sub(1);
        let gone = lesson.joined == 0 && lesson.parted == 0;
        if gone {
            self.remove(&lesson);
        } else {
            self.put(lesson.clone());
        }
        Some((lesson, gone))
    }

    /// The lesson to forget when there are too many: the one that was confirmed longest ago.
    pub fn surplus(&self) -> Option<Lesson> {
        let oldest = || self.all().min_by_key(|l| (l.last_at, &l.alert, &l.incident)).cloned();
        if self.count > MOST { oldest() } else { None }
    }

    /// Every lesson.
    pub fn all(&self) -> impl Iterator<Item = &Lesson> {
        self.rows.values().flat_map(BTreeMap::values)
    }

    /// What was learned of such an alert and such an incident.
    pub fn verdict(&self, alert: &Side, incident: &Side) -> Option<Verdict> {
        self.rows.get(alert)?.get(incident).and_then(learned)
    }

    /// Everything that was learned of such an alert, by the kind of incident.
    pub fn of_alert(&self, alert: &Side) -> impl Iterator<Item = (&Side, Verdict)> {
        let rows = self.rows.get(alert).into_iter().flatten();
        rows.filter_map(|(incident, lesson)| Some((incident, learned(lesson)?)))
    }
}

/// What a lesson says, with the sentence.
fn learned(lesson: &Lesson) -> Option<Verdict> {
    let date: String = lesson.last_at.to_string().chars().take(10).collect();
    let last = format!("(last by {} on {date})", lesson.last_by);
    Some(match lesson.learned()? {
        Learned::Join => Verdict::Join(format!("People put such alerts together {} times {last}.", lesson.joined)),
        Learned::Apart => Verdict::Apart(format!("People took such alerts apart {} times {last}.", lesson.parted)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_without_numbers_and_hosts() {
        let check = |service, host, title: &str, place: Option<&str>, name: &str| {
            let want = Side { place: place.map(str::to_owned), name: name.to_owned() };
            assert_eq!(side(service, host, title), want, "{title}");
        };
        check(Some("API "), None, "High latency: 532 ms (> 500)", Some("api"), "high latency ms");
        check(
            None,
            Some("db-01.example.com"),
            "Disk 93% full on DB-01 [/var/lib]",
            Some("db-01.example.com"),
            "disk full on var lib",
        );
        check(None, Some("web.example.com"), "web: oom_killer", Some("web.example.com"), "oom_killer");
        check(None, None, "10.0.0.7:9100 down", None, "down");
        check(None, None, "", None, "");
    }

    #[test]
    fn three_equal_corrections_teach_unless_others_said_otherwise() {
        use Correction::{Joined, Parted};
        let (alert, incident) = (side(Some("db"), None, "slow"), side(Some("api"), None, "errors"));
        let at = Time::from_secs(1_772_500_000);
        let check = |said: &[Correction], want: Option<&str>| {
            let mut lessons = Lessons::default();
            for what in said {
                lessons.teach(alert.clone(), incident.clone(), *what, at, "kim");
            }
            let text = lessons.verdict(&alert, &incident).map(|v| match v {
                Verdict::Join(text) | Verdict::Apart(text) => text,
            });
            assert_eq!(text.as_deref(), want, "{said:?}");
            assert_eq!(lessons.verdict(&incident, &alert), None);
        };
        check(&[Joined, Joined], None);
        check(&[Joined; 3], Some("People put such alerts together 3 times (last by kim on 2026-03-03)."));
        check(&[Parted; 3], Some("People took such alerts apart 3 times (last by kim on 2026-03-03)."));
        check(
            &[Joined, Parted, Joined, Joined],
            Some("People put such alerts together 3 times (last by kim on 2026-03-03)."),
        );
        check(&[Joined, Parted, Parted, Joined, Joined, Joined, Joined], None);
    }

    #[test]
    fn what_is_taken_back_does_not_count() {
        let (alert, incident) = (side(Some("db"), None, "slow"), side(Some("api"), None, "errors"));
        let mut lessons = Lessons::default();
        for n in 0..3 {
            lessons.teach(alert.clone(), incident.clone(), Correction::Joined, Time::from_secs(n), "kim");
        }
        assert!(matches!(lessons.take_back(&alert, &incident, Correction::Joined), Some((_, false))));
        assert_eq!(lessons.verdict(&alert, &incident), None);
        lessons.take_back(&alert, &incident, Correction::Joined);
        assert!(matches!(lessons.take_back(&alert, &incident, Correction::Joined), Some((_, true))));
        assert_eq!(lessons, Lessons::default());
    }
}
