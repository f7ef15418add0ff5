//! Who is on call at a moment, and who will be.

use std::time::Duration;

use jiff::{ToSpan, civil, tz::TimeZone};

use super::times;
use crate::model::{Mistake, OnCallSchedule, Rotation, Shift, Time};

/// Shifts that are worked out at most.
const MOST: usize = 2_000;

/// The turn of a rotation that holds a moment: its number (from 0), and from when until when. None before the beginning.
fn turn(rotation: &Rotation, zone: &TimeZone, at: Time) -> Option<(u64, Time, Time)> {
    let start: civil::Date = rotation.starts_on.trim().parse().ok()?;
    let clock = times::clock(&rotation.hand_over)?;
    let days = i64::from(rotation.days.max(1));
    let begins = |n: i64| times::moment(start.checked_add((n * days).days()).ok()?, clock, zone);
    let today = times::local(at, zone).date();
    let passed = i64::from(today.since(start).ok()?.get_days());
    // The clock of the zone says which day it is, and the hand-over of today may be still to come.
    let mut n = passed.div_euclid(days) + 1;
    while n >= 0 {
        let (from, until) = (begins(n)?, begins(n + 1)?);
        if from <= at {
            return (at < until).then_some((u64::try_from(n).ok()?, from, until));
        }
        n -= 1;
    }
    None
}

/// Who is on call in a rotation, and until when that is certain to hold.
fn of_rotation<'a>(rotation: &'a Rotation, zone: &TimeZone, at: Time) -> (Option<&'a str>, Option<Time>) {
    let begins = || {
        let start: civil::Date = rotation.starts_on.trim().parse().ok()?;
        times::moment(start, times::clock(&rotation.hand_over)?, zone).filter(|t| *t > at)
    };
    let Some((n, _, until)) = turn(rotation, zone, at) else { return (None, begins()) };
    let edge = rotation.only.as_ref().and_then(|only| times::next_change(only, at));
    let until = edge.map_or(until, |edge| edge.min(until));
    if rotation.only.as_ref().is_some_and(|only| !times::holds(only, at)) {
        return (None, Some(until));
    }
    let count = u64::try_from(rotation.people.len()).unwrap_or(1).max(1);
    let place = usize::try_from(n % count).unwrap_or(0);
    (rotation.people.get(place).map(String::as_str), Some(until))
}

/// Who is on call, whether by an override, and until when that is certain to hold.
fn at_moment(schedule: &OnCallSchedule, zone: &TimeZone, at: Time) -> (Option<String>, bool, Option<Time>) {
    let edges = schedule.overrides.iter().flat_map(|o| [o.from, o.until]).filter(|t| *t > at).min();
    if let Some(o) = schedule.overrides.iter().rev().find(|o| o.from <= at && at < o.until) {
        return (Some(o.person.clone()), true, edges);
    }
    let mut until = edges;
    let mut who = None;
    for rotation in schedule.rotations.iter().rev() {
        let (person, edge) = of_rotation(rotation, zone, at);
        until = until.into_iter().chain(edge).min();
        if let (None, Some(person)) = (&who, person) {
            who = Some(person.to_owned());
        }
    }
    (who, false, until)
}

/// Who is on call.
pub fn who(schedule: &OnCallSchedule, at: Time) -> Option<String> {
    at_moment(schedule, &times::zone(&schedule.time_zone)?, at).0
}

/// Every shift and gap from a moment to another, in order; the first begins with the span, whenever the shift did.
pub fn shifts(schedule: &OnCallSchedule, from: Time, until: Time) -> Vec<Shift> {
    let Some(zone) = times::zone(&schedule.time_zone) else { return Vec::new() };
    let mut shifts: Vec<Shift> = Vec::new();
    let mut at = from;
    while at < until && shifts.len() < MOST {
        let (person, overridden, edge) = at_moment(schedule, &zone, at);
        let end = edge.map_or(until, |edge| edge.min(until)).max(at.plus(Duration::from_secs(1)));
        match shifts.last_mut() {
            Some(last) if last.person == person && last.overridden == overridden => last.until = end,
            _ => shifts.push(Shift { from: at, until: end, person, overridden }),
        }
        at = end;
    }
    shifts
}

/// What is wrong with a schedule, with its place. `known` says whether a person has an account.
pub fn check(schedule: &OnCallSchedule, known: impl Fn(&str) -> bool) -> Vec<Mistake> {
    let mut wrong = Vec::new();
    let mut at = |path: String, what: String| wrong.push(Mistake::new(path, what));
    if times::zone(&schedule.time_zone).is_none() {
        at("/time_zone".to_owned(), "there is no such time zone; write one such as Europe/Berlin or UTC".to_owned());
    }
    if schedule.rotations.is_empty() && schedule.overrides.is_empty() {
        at("/rotations".to_owned(), "at least one rotation is needed".to_owned());
    }
    if schedule.rotations.len() > 20 || schedule.overrides.len() > 500 {
        at("/rotations".to_owned(), "at most 20 rotations and 500 overrides are allowed".to_owned());
    }
    for (n, rotation) in schedule.rotations.iter().enumerate() {
        let path = format!("/rotations/{n}");
        if rotation.people.is_empty() || rotation.people.len() > 100 {
            at(format!("{path}/people"), "1 to 100 people are needed".to_owned());
        }
        for (m, person) in rotation.people.iter().enumerate().filter(|(_, p)| !known(p)) {
            at(
                format!("{path}/people/{m}"),
                format!("there is no account `{}`", person.chars().take(60).collect::<String>()),
            );
        }
        if rotation.starts_on.trim().parse::<civil::Date>().is_err() {
            at(format!("{path}/starts_on"), "write a day such as 2026-03-02".to_owned());
        }
        if times::clock(&rotation.hand_over).is_none() {
            at(format!("{path}/hand_over"), "write a time such as 09:00".to_owned());
        }
        if !(1..=366).contains(&rotation.days) {
            at(format!("{path}/days"), "1 to 366 days are allowed: 1 for daily, 7 for weekly turns".to_owned());
        }
        for mistake in rotation.only.iter().flat_map(|only| times::check(only, &format!("{path}/only"))) {
            at(mistake.path, mistake.what);
        }
    }
    for (n, o) in schedule.overrides.iter().enumerate() {
        if o.until <= o.from {
            at(format!("/overrides/{n}/until"), "it ends before it begins".to_owned());
        }
        if !known(&o.person) {
            at(
                format!("/overrides/{n}/person"),
                format!("there is no account `{}`", o.person.chars().take(60).collect::<String>()),
            );
        }
    }
    wrong
}
