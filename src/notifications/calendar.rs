//! A schedule as calendar programs read it: iCalendar (RFC 5545), in times of UTC, so that no table of a time zone is
//! needed.

use std::time::Duration;

use sha2::{Digest, Sha256};

use super::policy::on_call;
use crate::model::{OnCallSchedule, Time};

/// What is told begins at a multiple of this, so that a shift that is cut there keeps its begin, and with that its id,
/// from one reading to the next.
const GRID: i64 = 90 * 24 * 3600;
/// How long after that it ends.
const SPAN: Duration = Duration::from_secs(450 * 24 * 3600);
/// Longest line, in bytes, without its end.
const LINE: usize = 75;

/// The calendar: a shift is an event, a gap is none.
pub fn of(schedule: &OnCallSchedule, now: Time) -> String {
    let from = Time::from_secs((now.millis().div_euclid(1000).div_euclid(GRID) - 1) * GRID);
    // The same id on each reading, another one in each house; the key itself cannot be read out of it.
    let house: String = Sha256::digest(format!("calendar {}", schedule.feed_secret))
        .iter()
        .take(6)
        .map(|b| format!("{b:02x}"))
        .collect();
    let mut out = String::new();
    for text in ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//Watchfire//On call//EN", "CALSCALE:GREGORIAN"] {
        line(&mut out, text);
    }
    line(&mut out, "METHOD:PUBLISH");
    line(&mut out, &format!("X-WR-CALNAME:{}", escaped(&schedule.name)));
    line(&mut out, "REFRESH-INTERVAL;VALUE=DURATION:PT1H");
    line(&mut out, "X-PUBLISHED-TTL:PT1H");
    for shift in on_call::shifts(schedule, from, from.plus(SPAN)) {
        let Some(person) = &shift.person else { continue };
        line(&mut out, "BEGIN:VEVENT");
        line(&mut out, &format!("UID:{}-{}@{house}.watchfire", schedule.id, utc(shift.from)));
        line(&mut out, &format!("DTSTAMP:{}", utc(schedule.updated_at)));
        line(&mut out, &format!("DTSTART:{}", utc(shift.from)));
        line(&mut out, &format!("DTEND:{}", utc(shift.until)));
        line(&mut out, &format!("SUMMARY:{}", escaped(&format!("{person} is on call: {}", schedule.name))));
        if shift.overridden {
            let by = schedule.overrides.iter().rev().find(|o| o.from <= shift.from && shift.from < o.until);
            let by = by.map(|o| o.by.as_str()).filter(|by| !by.is_empty());
            let words = by.map_or_else(|| "An override.".to_owned(), |by| format!("An override by {by}."));
            line(&mut out, &format!("DESCRIPTION:{}", escaped(&words)));
        }
        line(&mut out, "TRANSP:TRANSPARENT");
        line(&mut out, "END:VEVENT");
    }
    line(&mut out, "END:VCALENDAR");
    out
}

/// `20260302T080000Z`.
fn utc(at: Time) -> String {
    at.timestamp().strftime("%Y%m%dT%H%M%SZ").to_string()
}

/// A text value (RFC 5545, 3.3.11). Control characters are left out.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '\\' | ';' | ',' => out.extend(['\\', letter]),
            '\n' => out.push_str("\\n"),
            letter if letter.is_control() => {}
            letter => out.push(letter),
        }
    }
    out
}

/// A line with its end, folded where it is too long (RFC 5545, 3.1), never within a letter.
fn line(out: &mut String, text: &str) {
    let mut length = 0;
    for letter in text.chars() {
        if length + letter.len_utf8() > LINE {
            out.push_str("\r\n ");
            length = 1;
        }
        out.push(letter);
        length += letter.len_utf8();
    }
    out.push_str("\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Override, Rotation, ScheduleId};

    fn schedule() -> OnCallSchedule {
        let at = |t: &str| t.parse().unwrap();
        OnCallSchedule {
            id: ScheduleId(4),
            name: "Payments; first line, with a \\ and a name that is long enough to be folded: äöü äöü".to_owned(),
            time_zone: "Europe/Berlin".to_owned(),
            rotations: vec![Rotation {
                people: vec!["ada".to_owned(), "bob".to_owned()],
                starts_on: "2026-03-02".to_owned(),
                hand_over: "09:00".to_owned(),
                days: 7,
                only: None,
            }],
            overrides: vec![Override {
                from: at("2026-03-18T10:00:00Z"),
                until: at("2026-03-18T12:00:00Z"),
                person: "bob".to_owned(),
                by: "ada".to_owned(),
            }],
            feed_secret: "0123".to_owned(),
            created_at: at("2026-03-01T00:00:00Z"),
            created_by: "ada".to_owned(),
            updated_at: at("2026-03-01T00:00:00Z"),
        }
    }

    #[test]
    fn the_calendar_is_as_it_was() {
        let text = of(&schedule(), "2026-03-10T00:00:00Z".parse().unwrap());
        assert!(text.ends_with("END:VCALENDAR\r\n") && !text.replace("\r\n", "").contains(['\r', '\n']));
        for line in text.split("\r\n") {
            assert!(line.len() <= LINE, "{line}");
        }
        // The head and the first weeks, over an override and the change of the clocks on 29 March.
        let begin: String = text.split_inclusive("END:VEVENT\r\n").take(7).collect();
        assert_eq!(begin.replace('\r', ""), include_str!("calendar.golden.ics"));
    }

    #[test]
    fn ids_stay_from_one_reading_to_the_next() {
        let ids = |at: &str, s: &OnCallSchedule| -> Vec<String> {
            let text = of(s, at.parse().unwrap());
            text.split("\r\n").filter(|l| l.starts_with("UID:")).map(ToOwned::to_owned).collect()
        };
        let one = schedule();
        assert_eq!(ids("2026-03-10T00:00:00Z", &one), ids("2026-03-20T17:03:11Z", &one));
        let other = OnCallSchedule { feed_secret: "4567".to_owned(), ..schedule() };
        assert_ne!(ids("2026-03-10T00:00:00Z", &one), ids("2026-03-10T00:00:00Z", &other));
        let all = ids("2026-03-10T00:00:00Z", &one);
        assert_eq!(all.iter().collect::<std::collections::BTreeSet<_>>().len(), all.len());
    }

    /// What stands in a calendar again, unfolded, as a list of lines.
    fn unfolded(text: &str) -> Vec<String> {
        text.replace("\r\n ", "").split("\r\n").filter(|l| !l.is_empty()).map(ToOwned::to_owned).collect()
    }

    #[test]
    fn names_cannot_write_lines_of_their_own() {
        for (name, want) in [
            ("Plain", "Plain"),
            ("a;b,c\\d", "a\\;b\\,c\\\\d"),
            ("two\nlines", "two\\nlines"),
            ("x\r\nBEGIN:VEVENT\r\nSUMMARY:y", "x\\nBEGIN:VEVENT\\nSUMMARY:y"),
            ("bell\u{7}\u{0}\ttab", "belltab"),
            ("\"quoted\": colon", "\"quoted\": colon"),
            ("🔥äöü", "🔥äöü"),
        ] {
            let one = OnCallSchedule { name: name.to_owned(), ..schedule() };
            let lines = unfolded(&of(&one, "2026-03-10T00:00:00Z".parse().unwrap()));
            assert!(lines.contains(&format!("X-WR-CALNAME:{want}")), "{name:?}: {:?}", &lines[..8]);
            let begins = lines.iter().filter(|l| *l == "BEGIN:VEVENT").count();
            let ends = lines.iter().filter(|l| *l == "END:VEVENT").count();
            assert!(begins == ends && begins > 10, "{name:?}: {begins} {ends}");
            assert_eq!(lines.iter().filter(|l| l.starts_with("SUMMARY:")).count(), begins, "{name:?}");
        }
    }

    #[test]
    fn long_lines_are_folded_between_letters() {
        for (letter, many) in [("a", 300), ("ä", 200), ("🔥", 100), ("a🔥", 90)] {
            let mut out = String::new();
            let text = format!("SUMMARY:{}", letter.repeat(many));
            line(&mut out, &text);
            for piece in out.split("\r\n") {
                assert!(piece.len() <= LINE, "{} bytes", piece.len());
            }
            assert_eq!(unfolded(&out), [text]);
        }
    }

    #[test]
    fn gaps_are_no_events_and_nobody_makes_none() {
        let only = crate::model::WeekTimes {
            time_zone: "Europe/Berlin".to_owned(),
            days: Vec::new(),
            from: "09:00".to_owned(),
            until: "17:00".to_owned(),
        };
        let mut days = schedule();
        days.rotations[0].only = Some(only);
        days.overrides.clear();
        let at = "2026-03-10T00:00:00Z".parse().unwrap();
        let lines = unfolded(&of(&days, at));
        let of_day = |day: &str| {
            let all =
                lines.iter().filter(|l| l.contains(day)).filter(|l| l.starts_with("DTSTART") || l.starts_with("DTEND"));
            all.cloned().collect::<Vec<_>>()
        };
        // In winter and in summer.
        assert_eq!(of_day("20260310"), ["DTSTART:20260310T080000Z", "DTEND:20260310T160000Z"]);
        assert_eq!(of_day("20260410"), ["DTSTART:20260410T070000Z", "DTEND:20260410T150000Z"]);
        let nobody = OnCallSchedule { rotations: Vec::new(), overrides: Vec::new(), ..schedule() };
        let lines = unfolded(&of(&nobody, at));
        assert!(!lines.iter().any(|l| l.contains("VEVENT")) && lines.last().is_some_and(|l| l == "END:VCALENDAR"));
    }
}
