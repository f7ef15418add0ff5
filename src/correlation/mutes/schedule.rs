//! When a mute mutes: once, or again and again on the clocks of a time zone.

use std::time::Duration;

use jiff::{civil, tz::TimeZone};

use crate::model::{Every, Mistake, Mute, MuteKind, Recurrence, Time, Weekday};

/// Minutes of a window at most: a week.
const LONGEST_WINDOW: u32 = 7 * 24 * 60;
/// How far ahead the end may be.
const LONGEST: Duration = Duration::from_secs(366 * 24 * 3600);
/// Days looked at for the next window: a fifth weekday is never further away.
const DAYS: usize = 200;
/// The warning comes so long before the end, or a quarter of the window before it where that is less.
const WARNING: Duration = Duration::from_secs(15 * 60);

/// From when until when.
pub type Window = (Time, Time);

/// The windows of a recurrence that end after `after`, in order. None when its time zone or its time cannot be read.
pub fn occurrences(r: &Recurrence, after: Time) -> impl Iterator<Item = Window> + '_ {
    let length = Duration::from_secs(u64::from(r.minutes) * 60);
    let zone = TimeZone::get(&r.time_zone).ok();
    let clock = clock(&r.at);
    let first = zone.as_ref().and_then(|zone| {
        // The window that is on may have begun as long ago as it is long; a day more for what a change of the clocks does.
        after.minus(length).timestamp().to_zoned(zone.clone()).date().yesterday().ok()
    });
    let dates = std::iter::successors(first, |date| date.tomorrow().ok()).take(DAYS);
    dates.filter(|date| falls_on(r, *date)).filter_map(move |date| {
        let start = Time::from(clock?.on(date).to_zoned(zone.clone()?).ok()?.timestamp());
        let end = start.plus(length);
        (end > after).then_some((start, end))
    })
}

#[derive(Clone, Copy)]
struct ClockTime(civil::Time);

impl ClockTime {
    fn on(self, date: civil::Date) -> civil::DateTime {
        date.to_datetime(self.0)
    }
}

/// `02:00`, `9:30`.
fn clock(text: &str) -> Option<ClockTime> {
    let (hour, minute) = text.trim().split_once(':')?;
    let digits = |s: &str| (matches!(s.len(), 1 | 2) && s.bytes().all(|b| b.is_ascii_digit())).then(|| s.parse().ok());
    let minute = digits(minute).flatten().filter(|_| minute.len() == 2)?;
    civil::Time::new(digits(hour).flatten()?, minute, 0, 0).ok().map(ClockTime)
}

fn falls_on(r: &Recurrence, date: civil::Date) -> bool {
    let day = match date.weekday() {
        civil::Weekday::Monday => Weekday::Monday,
        civil::Weekday::Tuesday => Weekday::Tuesday,
        civil::Weekday::Wednesday => Weekday::Wednesday,
        civil::Weekday::Thursday => Weekday::Thursday,
        civil::Weekday::Friday => Weekday::Friday,
        civil::Weekday::Saturday => Weekday::Saturday,
        civil::Weekday::Sunday => Weekday::Sunday,
    };
    let in_month = match (r.every, r.nth) {
        (Every::Week, _) => true,
        (Every::Month, Some(-1)) => date.day() + 7 > date.days_in_month(),
        (Every::Month, Some(nth)) => (date.day() - 1) / 7 + 1 == nth,
        (Every::Month, None) => false,
    };
    in_month && r.days.contains(&day)
}

/// The window that is on at `now`, cut to the mute's own times. One that has ended for good has none.
pub fn window(mute: &Mute, now: Time) -> Option<Window> {
    let ends_at = mute.ends_at.unwrap_or(Time::from_millis(i64::MAX));
    if mute.ended_at.is_some() || now < mute.starts_at || now >= ends_at {
        return None;
    }
    let Some(recurrence) = &mute.recurrence else { return Some((mute.starts_at, ends_at)) };
    let mut found: Option<Window> = None;
    for (start, end) in occurrences(recurrence, now) {
        match &mut found {
            // Windows that overlap are one.
            Some((_, until)) if start <= *until => *until = end.max(*until),
            None if start <= now => found = Some((start, end)),
            _ => break,
        }
        if found.is_some_and(|(_, until)| until >= ends_at || until.since(now) > LONGEST) {
            break;
        }
    }
    found.map(|(start, end)| (start.max(mute.starts_at), end.min(ends_at)))
}

/// Whether it mutes at `now`.
pub fn active(mute: &Mute, now: Time) -> bool {
    window(mute, now).is_some()
}

/// When it next begins, pauses or ends for good, after `now`; none when it has ended.
pub fn next_change(mute: &Mute, now: Time) -> Option<Time> {
    if mute.ended_at.is_some() {
        return None;
    }
    if let Some((_, until)) = window(mute, now) {
        return Some(until);
    }
    let begins = match &mute.recurrence {
        None => Some(mute.starts_at).filter(|start| *start > now),
        Some(r) => {
            // What is on when it begins is cut to that moment.
            let from = now.max(mute.starts_at);
            occurrences(r, from).map(|(start, _)| start.max(mute.starts_at)).find(|start| *start > now)
        }
    };
    let begins = begins.filter(|begin| mute.ends_at.is_none_or(|end| *begin < end));
    let ends = mute.ends_at.filter(|end| *end > now);
    [begins, ends].into_iter().flatten().min()
}

/// When to warn that a window ends.
fn warns_at((start, end): Window) -> Time {
    end.minus(WARNING.min(end.since(start) / 4))
}

/// The end that is so near that it is time to warn of it.
pub fn near_end(mute: &Mute, now: Time) -> Option<Time> {
    window(mute, now).filter(|w| now >= warns_at(*w)).map(|(_, end)| end)
}

/// When it ends because nothing that it mutes burns any more.
pub fn quiet_end(mute: &Mute) -> Option<Time> {
    let after = Duration::from_secs(u64::from(mute.quiet_minutes?) * 60);
    Some(mute.quiet_since?.plus(after))
}

/// When it must be looked at again, after what is due at `now` was done.
pub fn look_at(mute: &Mute, now: Time) -> Option<Time> {
    let warning = window(mute, now).filter(|w| mute.warned_of != Some(w.1)).map(warns_at);
    let quiet = quiet_end(mute).filter(|_| mute.ended_at.is_none());
    [next_change(mute, now), warning, quiet].into_iter().flatten().min()
}

/// What is wrong with the times of a mute that is made or changed at `now`.
pub fn check_schedule(mute: &Mute, now: Time) -> Vec<Mistake> {
    let mut wrong = Vec::new();
    let mut add = |path: &str, what: String| wrong.push(Mistake::new(path, what));
    match mute.ends_at {
        None if mute.recurrence.is_none() => add("/ends_at", "an end is needed; it can be extended later".to_owned()),
        Some(end) if end <= mute.starts_at => add("/ends_at", "it must be after the start".to_owned()),
        Some(end) if end <= now => add("/ends_at", "it is in the past".to_owned()),
        Some(end) if end.since(now) > LONGEST => add("/ends_at", "it may be a year ahead at most".to_owned()),
        _ => {}
    }
    if mute.starts_at.since(now) > LONGEST {
        add("/starts_at", "it may be a year ahead at most".to_owned());
    }
    if mute.quiet_minutes.is_some_and(|m| !(1..=LONGEST_WINDOW).contains(&m)) {
        add("/quiet_minutes", format!("1 to {LONGEST_WINDOW} minutes are allowed"));
    }
    let Some(r) = &mute.recurrence else { return wrong };
    if mute.id.kind == MuteKind::Silence {
        add("/recurrence", "a silence comes once; a maintenance window can come back".to_owned());
    }
    if mute.quiet_minutes.is_some() {
        add("/quiet_minutes", "a window that comes back ends by the clock".to_owned());
    }
    if r.days.is_empty() {
        add("/recurrence/days", "at least one day is needed: mon, tue, wed, thu, fri, sat, sun".to_owned());
    }
    match (r.every, r.nth) {
        (Every::Week, Some(_)) => add("/recurrence/nth", "it is for `month` only".to_owned()),
        (Every::Month, None | Some(..=-2 | 0 | 6..)) => {
            add("/recurrence/nth", "1 to 5 is needed, or -1 for the last in the month".to_owned());
        }
        _ => {}
    }
    if clock(&r.at).is_none() {
        add("/recurrence/at", "a time of day such as 02:00 is needed".to_owned());
    }
    if !(1..=LONGEST_WINDOW).contains(&r.minutes) {
        add("/recurrence/minutes", format!("1 to {LONGEST_WINDOW} minutes are allowed"));
    }
    if TimeZone::get(&r.time_zone).is_err() {
        let short: String = r.time_zone.chars().take(60).collect();
        add(
            "/recurrence/time_zone",
            format!("there is no time zone `{short}`; one such as Europe/Berlin or UTC is needed"),
        );
    }
    if wrong.is_empty() && !active(mute, now) && mute.ends_at.is_some() && next_change(mute, now) == mute.ends_at {
        wrong.push(Mistake::new("/ends_at", "no window begins before it"));
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::MuteId;

    fn at(text: &str) -> Time {
        text.parse().unwrap()
    }

    fn every_week(days: &[Weekday], at: &str, minutes: u32, time_zone: &str) -> Recurrence {
        let time_zone = time_zone.to_owned();
        Recurrence { every: Every::Week, days: days.to_vec(), nth: None, at: at.to_owned(), minutes, time_zone }
    }

    fn mute(recurrence: Option<Recurrence>, from: &str, until: Option<&str>) -> Mute {
        Mute {
            id: MuteId { number: 1, kind: MuteKind::Maintenance },
            matchers: Vec::new(),
            starts_at: at(from),
            ends_at: until.map(at),
            quiet_minutes: None,
            recurrence,
            author: "sre-1".into(),
            reason: "patches".into(),
            created_at: at(from),
            updated_at: at(from),
            updated_by: None,
            ended_at: None,
            ended_how: None,
            on_until: None,
            look_at: None,
            quiet_since: None,
            warned_of: None,
            muted_now: 0,
            muted_alerts: 0,
            muted_incidents: 0,
            last_matched_at: None,
        }
    }

    /// The windows after a moment, as they are written in UTC.
    fn check(r: &Recurrence, after: &str, want: &[(&str, &str)]) {
        let got: Vec<(String, String)> = occurrences(r, at(after))
            .take(want.len())
            .map(|(a, b)| (a.timestamp().to_string(), b.timestamp().to_string()))
            .collect();
        let want: Vec<(String, String)> =
            want.iter().map(|(a, b)| (format!("2026-{a}:00Z"), format!("2026-{b}:00Z"))).collect();
        assert_eq!(got, want, "{r:?} after {after}");
    }

    #[test]
    fn both_changes_of_the_clocks_in_berlin() {
        use Weekday::*;
        // 29 March 2026: 02:00 CET is 03:00 CEST. 25 October 2026: 03:00 CEST is 02:00 CET.
        let every_day = &[Monday, Tuesday, Wednesday, Thursday, Friday, Saturday, Sunday];
        let before = every_week(&[Sunday], "01:00", 120, "Europe/Berlin");
        check(&before, "2026-03-23T00:00:00Z", &[("03-29T00:00", "03-29T02:00"), ("04-04T23:00", "04-05T01:00")]);
        // A time that is left out is an hour later.
        let inside = every_week(every_day, "02:30", 60, "Europe/Berlin");
        check(
            &inside,
            "2026-03-28T12:00:00Z",
            &[("03-29T01:30", "03-29T02:30"), ("03-30T00:30", "03-30T01:30"), ("03-31T00:30", "03-31T01:30")],
        );
        // Of a time that comes twice it is the first.
        check(&inside, "2026-10-24T12:00:00Z", &[("10-25T00:30", "10-25T01:30"), ("10-26T01:30", "10-26T02:30")]);
        // Across the change it lasts as long as it says.
        let across = every_week(&[Saturday], "22:00", 480, "Europe/Berlin");
        check(&across, "2026-03-28T12:00:00Z", &[("03-28T21:00", "03-29T05:00"), ("04-04T20:00", "04-05T04:00")]);
        check(&across, "2026-10-24T12:00:00Z", &[("10-24T20:00", "10-25T04:00"), ("10-31T21:00", "11-01T05:00")]);
    }

    #[test]
    fn other_zones_and_months() {
        use Weekday::*;
        // 8 March 2026: 02:00 EST is 03:00 EDT. 1 November 2026: 02:00 EDT is 01:00 EST.
        let new_york = every_week(&[Sunday], "02:30", 30, "America/New_York");
        check(&new_york, "2026-03-07T00:00:00Z", &[("03-08T07:30", "03-08T08:00"), ("03-15T06:30", "03-15T07:00")]);
        let twice = every_week(&[Sunday], "01:30", 30, "America/New_York");
        check(&twice, "2026-10-31T00:00:00Z", &[("11-01T05:30", "11-01T06:00"), ("11-08T06:30", "11-08T07:00")]);
        // Half an hour is what changes on Lord Howe: 4 October 2026, 02:00 is 02:30.
        let half = every_week(&[Sunday], "02:15", 15, "Australia/Lord_Howe");
        check(&half, "2026-10-01T00:00:00Z", &[("10-03T15:45", "10-03T16:00"), ("10-10T15:15", "10-10T15:30")]);
        let month =
            |nth, day| Recurrence { every: Every::Month, nth: Some(nth), ..every_week(&[day], "03:00", 60, "UTC") };
        check(
            &month(2, Tuesday),
            "2026-03-11T00:00:00Z",
            &[("04-14T03:00", "04-14T04:00"), ("05-12T03:00", "05-12T04:00")],
        );
        check(
            &month(-1, Sunday),
            "2026-02-01T00:00:00Z",
            &[("02-22T03:00", "02-22T04:00"), ("03-29T03:00", "03-29T04:00")],
        );
        // February and March have no fifth Friday after the one of January.
        check(
            &month(5, Friday),
            "2026-01-30T00:00:00Z",
            &[("01-30T03:00", "01-30T04:00"), ("05-29T03:00", "05-29T04:00")],
        );
        // One that began yesterday and is still on.
        let long = every_week(&[Monday], "12:00", 7 * 24 * 60, "UTC");
        check(&long, "2026-03-09T11:59:00Z", &[("03-02T12:00", "03-09T12:00"), ("03-09T12:00", "03-16T12:00")]);
    }

    #[test]
    fn what_is_on_and_what_comes_next() {
        let once = mute(None, "2026-03-02T10:00:00Z", Some("2026-03-02T12:00:00Z"));
        let daily = every_week(Weekday::ALL, "02:00", 120, "Europe/Berlin");
        let again = mute(Some(daily.clone()), "2026-03-02T02:00:00Z", Some("2026-03-04T01:30:00Z"));
        let long = every_week(Weekday::ALL, "00:00", 30 * 60, "UTC");
        let overlaps = mute(Some(long), "2026-03-02T00:00:00Z", Some("2026-03-05T00:00:00Z"));
        for (m, now, want, next) in [
            (&once, "2026-03-02T09:59:59Z", None, Some("2026-03-02T10:00:00Z")),
            (
                &once,
                "2026-03-02T10:00:00Z",
                Some(("2026-03-02T10:00:00Z", "2026-03-02T12:00:00Z")),
                Some("2026-03-02T12:00:00Z"),
            ),
            (&once, "2026-03-02T12:00:00Z", None, None),
            // Made in the middle of a window: the rest of it counts. 02:00 in Berlin is 01:00.
            (
                &again,
                "2026-03-02T02:30:00Z",
                Some(("2026-03-02T02:00:00Z", "2026-03-02T03:00:00Z")),
                Some("2026-03-02T03:00:00Z"),
            ),
            (&again, "2026-03-02T01:59:00Z", None, Some("2026-03-02T02:00:00Z")),
            (&again, "2026-03-02T03:00:00Z", None, Some("2026-03-03T01:00:00Z")),
            // Its end cuts the last one short, and nothing follows.
            (
                &again,
                "2026-03-04T01:10:00Z",
                Some(("2026-03-04T01:00:00Z", "2026-03-04T01:30:00Z")),
                Some("2026-03-04T01:30:00Z"),
            ),
            (&again, "2026-03-04T01:30:00Z", None, None),
            (
                &overlaps,
                "2026-03-02T12:00:00Z",
                Some(("2026-03-02T00:00:00Z", "2026-03-05T00:00:00Z")),
                Some("2026-03-05T00:00:00Z"),
            ),
        ] {
            assert_eq!(window(m, at(now)), want.map(|(a, b)| (at(a), at(b))), "{now}");
            assert_eq!(active(m, at(now)), want.is_some(), "{now}");
            assert_eq!(next_change(m, at(now)), next.map(at), "{now}");
        }
        let ended = Mute { ended_at: Some(at("2026-03-02T10:30:00Z")), ..once.clone() };
        assert_eq!(
            (window(&ended, at("2026-03-02T11:00:00Z")), next_change(&ended, at("2026-03-02T11:00:00Z"))),
            (None, None)
        );
        // The warning stands between; a short one has a short warning.
        let now = at("2026-03-02T10:00:00Z");
        assert_eq!(look_at(&once, now), Some(at("2026-03-02T11:45:00Z")));
        assert_eq!(near_end(&once, at("2026-03-02T11:45:00Z")), once.ends_at);
        let warned = Mute { warned_of: once.ends_at, ..once.clone() };
        assert_eq!(look_at(&warned, at("2026-03-02T11:45:00Z")), once.ends_at);
        let short = Mute { ends_at: Some(at("2026-03-02T10:10:00Z")), ..once.clone() };
        assert_eq!(look_at(&short, now), Some(at("2026-03-02T10:07:30Z")));
        let quiet = Mute { quiet_minutes: Some(5), quiet_since: Some(now), ..once };
        assert_eq!(look_at(&quiet, now), Some(at("2026-03-02T10:05:00Z")));
    }

    #[test]
    fn wrong_times_are_named() {
        let now = "2026-03-02T10:00:00Z";
        let weekly = || every_week(&[Weekday::Sunday], "02:00", 60, "Europe/Berlin");
        let monthly = |nth| Recurrence { every: Every::Month, nth, ..weekly() };
        for (recurrence, until, path) in [
            (None, None, "/ends_at"),
            (None, Some("2026-03-02T10:00:00Z"), "/ends_at"),
            (None, Some("2028-03-02T10:00:00Z"), "/ends_at"),
            (Some(Recurrence { days: vec![], ..weekly() }), None, "/recurrence/days"),
            (Some(Recurrence { at: "25:00".into(), ..weekly() }), None, "/recurrence/at"),
            (Some(Recurrence { at: "2:5".into(), ..weekly() }), None, "/recurrence/at"),
            (Some(Recurrence { minutes: 0, ..weekly() }), None, "/recurrence/minutes"),
            (Some(Recurrence { minutes: 10_081, ..weekly() }), None, "/recurrence/minutes"),
            (Some(Recurrence { time_zone: "Mars/Olympus".into(), ..weekly() }), None, "/recurrence/time_zone"),
            (Some(Recurrence { nth: Some(2), ..weekly() }), None, "/recurrence/nth"),
            (Some(monthly(None)), None, "/recurrence/nth"),
            (Some(monthly(Some(0))), None, "/recurrence/nth"),
            (Some(monthly(Some(-2))), None, "/recurrence/nth"),
            (Some(weekly()), Some("2026-03-05T10:00:00Z"), "/ends_at"),
        ] {
            let wrong = check_schedule(&mute(recurrence, now, until), at(now));
            assert_eq!(wrong.iter().map(|w| w.path.as_str()).collect::<Vec<_>>(), [path], "{wrong:?}");
        }
        for (recurrence, until) in
            [(None, Some("2026-03-02T10:00:01Z")), (Some(weekly()), None), (Some(monthly(Some(-1))), None)]
        {
            assert_eq!(check_schedule(&mute(recurrence, now, until), at(now)), []);
        }
    }
}
