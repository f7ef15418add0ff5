//! Hours of the week on the clock of a time zone.

use jiff::{ToSpan, Zoned, civil, tz::TimeZone};

use crate::model::{Mistake, Time, WeekTimes, Weekday};

/// A time zone by its IANA name.
pub fn zone(name: &str) -> Option<TimeZone> {
    TimeZone::get(name.trim()).ok()
}

/// `02:00`, `9:30`.
pub fn clock(text: &str) -> Option<civil::Time> {
    let (hour, minute) = text.trim().split_once(':')?;
    let digits = |s: &str| (matches!(s.len(), 1 | 2) && s.bytes().all(|b| b.is_ascii_digit())).then(|| s.parse().ok());
    let minute = digits(minute).flatten().filter(|_| minute.len() == 2)?;
    civil::Time::new(digits(hour).flatten()?, minute, 0, 0).ok()
}

/// The moment of this time on this day. A time that a change of the clocks leaves out is an hour later; of one that comes
/// twice it is the first.
pub fn moment(day: civil::Date, time: civil::Time, zone: &TimeZone) -> Option<Time> {
    Some(day.to_datetime(time).to_zoned(zone.clone()).ok()?.timestamp().into())
}

/// A moment on the clock of a zone.
pub fn local(at: Time, zone: &TimeZone) -> Zoned {
    at.timestamp().to_zoned(zone.clone())
}

/// The day of the week as it is written.
pub fn weekday(day: civil::Date) -> Weekday {
    match day.weekday() {
        civil::Weekday::Monday => Weekday::Monday,
        civil::Weekday::Tuesday => Weekday::Tuesday,
        civil::Weekday::Wednesday => Weekday::Wednesday,
        civil::Weekday::Thursday => Weekday::Thursday,
        civil::Weekday::Friday => Weekday::Friday,
        civil::Weekday::Saturday => Weekday::Saturday,
        civil::Weekday::Sunday => Weekday::Sunday,
    }
}

/// The span that begins on this day.
fn span(times: &WeekTimes, day: civil::Date, zone: &TimeZone) -> Option<(Time, Time)> {
    if !times.days.is_empty() && !times.days.contains(&weekday(day)) {
        return None;
    }
    let (from, until) = (clock(&times.from)?, clock(&times.until)?);
    let last = if until <= from { day.checked_add(1.day()).ok()? } else { day };
    Some((moment(day, from, zone)?, moment(last, until, zone)?))
}

/// The spans around a moment, in order.
fn around(times: &WeekTimes, at: Time, days: i64) -> Vec<(Time, Time)> {
    let Some(zone) = zone(&times.time_zone) else { return Vec::new() };
    let today = local(at, &zone).date();
    (-2..=days).filter_map(|n| span(times, today.checked_add(n.days()).ok()?, &zone)).collect()
}

/// Until when these hours last, if it is one of them; spans that touch are one, up to a week ahead.
pub fn until(times: &WeekTimes, at: Time) -> Option<Time> {
    let mut end = None;
    for (from, to) in around(times, at, 8) {
        match end {
            None if from <= at && at < to => end = Some(to),
            Some(so_far) if from <= so_far && to > so_far => end = Some(to),
            _ => {}
        }
    }
    end
}

/// Whether it is one of these hours.
pub fn holds(times: &WeekTimes, at: Time) -> bool {
    around(times, at, 1).iter().any(|(from, to)| *from <= at && at < *to)
}

/// When these hours begin or end next after a moment, within eight days.
pub fn next_change(times: &WeekTimes, after: Time) -> Option<Time> {
    let now = holds(times, after);
    let mut edges: Vec<Time> =
        around(times, after, 8).into_iter().flat_map(|(a, b)| [a, b]).filter(|t| *t > after).collect();
    edges.sort_unstable();
    edges.into_iter().find(|t| holds(times, *t) != now)
}

/// What is wrong with hours, with its place.
pub fn check(times: &WeekTimes, path: &str) -> Vec<Mistake> {
    let mut wrong = Vec::new();
    if zone(&times.time_zone).is_none() {
        let what = "there is no such time zone; write one such as Europe/Berlin or UTC";
        wrong.push(Mistake::new(format!("{path}/time_zone"), what));
    }
    for (name, text) in [("from", &times.from), ("until", &times.until)] {
        if clock(text).is_none() {
            wrong.push(Mistake::new(format!("{path}/{name}"), "write a time such as 08:30"));
        }
    }
    wrong
}

/// In words: `mon–fri 08:00 to 18:00 Europe/Berlin`.
pub fn words(times: &WeekTimes) -> String {
    let days: Vec<&str> = times.days.iter().map(|d| d.as_str()).collect();
    let days = if days.is_empty() { "daily".to_owned() } else { days.join(", ") };
    format!("{days} {} to {} {}", times.from, times.until, times.time_zone)
}
