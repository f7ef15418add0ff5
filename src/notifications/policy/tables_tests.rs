//! The small pure parts, each as a table: what goes out as one message, when it is tried again, who is on call, which hours
//! are quiet, what a rule is asked about.

use super::{
    check, condition,
    gather::pick,
    loud, on_call,
    plan_tests::{at, incident, notice, rule},
    times,
};
use crate::model::{NoticeEvent as E, NoticeState as S, *};

/// A message that is due: `3!` of incident 3, tried; `3?` in doubt; `3g` gathers; `0` about nothing.
fn due(n: usize, text: &str) -> Notice {
    let (which, event) = text.split_once(' ').unwrap();
    let number: u64 = which.trim_end_matches(['!', '?', 'g']).parse().unwrap();
    let mut one = notice(n as u64 + 1, number, event.parse().unwrap(), S::Waiting);
    one.incident = one.incident.filter(|_| number > 0);
    one.tries = u32::from(which.ends_with('!'));
    one.in_doubt = which.ends_with('?');
    one.gathers = which.ends_with('g');
    // What was tried together is due together.
    one.due_at = if one.tries > 0 || one.in_doubt { at("2026-03-03T10:00:00Z") } else { at("2026-03-03T09:00:00Z") };
    one
}

#[test]
fn what_goes_out_as_one_message() {
    use Follows::{Fed, Keyed, Read};
    let cases: &[(Follows, bool, &[&str], &str)] = &[
        (Read, false, &[], "told [] drop []"),
        (Read, false, &["0 test", "1 opened"], "told [1] drop []"),
        (Read, false, &["1 opened"], "told [1] drop []"),
        // All of an incident at once, also what came while it was tried.
        (Read, false, &["1 opened", "2 opened", "1 resolved"], "told [1, 3] drop []"),
        (Read, false, &["1! opened", "2 opened", "1 resolved"], "told [1, 3] drop []"),
        (Read, false, &["1 opened", "2 opened", "3 opened"], "told [1] drop []"),
        (Read, false, &["1 opened", "2 opened", "3 opened", "4 opened"], "digest [1, 2, 3, 4] drop []"),
        (Read, false, &["1 opened", "1 resolved", "2 opened", "3 opened"], "told [1, 2] drop []"),
        (Read, false, &["1g opened", "2g opened"], "digest [1, 2] drop []"),
        (Read, false, &["1g opened", "2 opened"], "told [1] drop []"),
        (Read, false, &["1g opened"], "told [1] drop []"),
        // What was tried alone stays alone, and what was tried together together.
        (Read, false, &["1! opened", "2 opened", "3 opened", "4 opened"], "told [1] drop []"),
        (Read, false, &["1? opened", "2 opened", "3 opened", "4 opened"], "told [1] drop []"),
        (Read, false, &["1! opened", "2! opened", "3 opened"], "digest [1, 2] drop []"),
        (Read, false, &["1? opened", "2? opened", "1 resolved"], "digest [1, 2] drop []"),
        (Read, false, &["1 opened", "2 opened", "3 opened", "4 opened", "5! opened"], "digest [1, 2, 3, 4] drop []"),
        (Keyed, false, &["1 opened", "1 acknowledged", "2 opened"], "told [1] drop []"),
        (Keyed, false, &["1 opened", "1 acknowledged", "2 opened", "1 resolved"], "told [] drop [1, 2, 4]"),
        (Keyed, false, &["1 opened", "1 merged"], "told [] drop [1, 2]"),
        (Keyed, false, &["1! opened", "1 resolved"], "told [1] drop []"),
        (Keyed, false, &["1? opened", "1 resolved"], "told [1] drop []"),
        (Keyed, true, &["1 severity_up", "1 resolved"], "told [1] drop []"),
        (Keyed, false, &["1 resolved"], "told [1] drop []"),
        (Keyed, false, &["1 acknowledged", "1 resolved"], "told [1] drop []"),
        (Fed, false, &["1 opened", "1 resolved"], "told [1] drop []"),
        (Fed, false, &["1 opened", "2 opened", "3 opened", "4 opened", "5 opened"], "told [1] drop []"),
    ];
    for (follows, known, rows, want) in cases {
        let rows: Vec<Notice> = rows.iter().enumerate().map(|(n, text)| due(n, text)).collect();
        let picked = pick(*follows, &rows, *known);
        let told: Vec<u64> = picked.told.iter().map(|n| n.0).collect();
        let drop: Vec<u64> = picked.drop.iter().map(|(n, _)| n.0).collect();
        let how = if picked.digest { "digest" } else { "told" };
        assert_eq!(format!("{how} {told:?} drop {drop:?}"), *want, "{rows:#?}");
    }
}

fn rotation(people: &[&str], starts_on: &str, days: u16, only: Option<(&str, &str)>) -> Rotation {
    let only = only.map(|(from, until)| WeekTimes {
        time_zone: "Europe/Berlin".to_owned(),
        days: Vec::new(),
        from: from.to_owned(),
        until: until.to_owned(),
    });
    let people = people.iter().map(|p| (*p).to_owned()).collect();
    Rotation { people, starts_on: starts_on.to_owned(), hand_over: "09:00".to_owned(), days, only }
}

#[test]
fn who_is_on_call() {
    let turn = |from: &str, until: &str, person: &str| Override {
        from: at(from),
        until: at(until),
        person: person.to_owned(),
        by: String::new(),
    };
    let schedule = OnCallSchedule {
        id: ScheduleId(1),
        name: "Ops".to_owned(),
        time_zone: "Europe/Berlin".to_owned(),
        rotations: vec![
            rotation(&["ada", "bob"], "2026-03-02", 7, None),
            // The last that has somebody counts.
            rotation(&["cyd"], "2026-03-02", 1, Some(("22:00", "06:00"))),
        ],
        overrides: vec![
            turn("2026-03-12T10:00:00Z", "2026-03-12T14:00:00Z", "eve"),
            // Of two the one that was made last.
            turn("2026-03-12T11:00:00Z", "2026-03-12T12:00:00Z", "fay"),
        ],
        feed_secret: String::new(),
        created_at: Time::default(),
        created_by: String::new(),
        updated_at: Time::default(),
    };
    for (moment, want) in [
        // Before it begins.
        ("2026-03-02T07:59:59Z", None),
        ("2026-03-02T08:00:00Z", Some("ada")),
        ("2026-03-02T20:59:59Z", Some("ada")),
        ("2026-03-02T21:00:00Z", Some("cyd")),
        ("2026-03-03T04:59:59Z", Some("cyd")),
        ("2026-03-03T05:00:00Z", Some("ada")),
        ("2026-03-09T07:59:59Z", Some("ada")),
        ("2026-03-09T08:00:00Z", Some("bob")),
        ("2026-03-12T09:59:59Z", Some("bob")),
        ("2026-03-12T10:00:00Z", Some("eve")),
        ("2026-03-12T11:30:00Z", Some("fay")),
        ("2026-03-12T12:00:00Z", Some("eve")),
        ("2026-03-12T14:00:00Z", Some("bob")),
        // Years later the turns still alternate, in summer time as well.
        ("2028-07-03T07:00:00Z", Some("ada")),
        ("2028-07-10T07:00:00Z", Some("bob")),
    ] {
        assert_eq!(on_call::who(&schedule, at(moment)).as_deref(), want, "{moment}");
    }
    let shifts = on_call::shifts(&schedule, at("2026-03-12T09:00:00Z"), at("2026-03-12T15:00:00Z"));
    let told: Vec<(&str, bool)> =
        shifts.iter().map(|s| (s.person.as_deref().unwrap_or("nobody"), s.overridden)).collect();
    assert_eq!(told, [("bob", false), ("eve", true), ("fay", true), ("eve", true), ("bob", false)]);
    assert!(shifts.windows(2).all(|w| w[0].until == w[1].from), "{shifts:#?}");
}

fn hours(days: &[Weekday], from: &str, until: &str) -> WeekTimes {
    WeekTimes { time_zone: "UTC".to_owned(), days: days.to_vec(), from: from.to_owned(), until: until.to_owned() }
}

#[test]
fn quiet_hours_hold_back_until_they_end() {
    let night = hours(&[], "22:00", "06:00");
    let weekend = hours(&[Weekday::Saturday, Weekday::Sunday], "00:00", "00:00");
    for (times, but_from, severity, due, want) in [
        (&night, None, Severity::Critical, "2026-03-03T21:59:59Z", "2026-03-03T21:59:59Z"),
        (&night, None, Severity::Critical, "2026-03-03T22:00:00Z", "2026-03-04T06:00:00Z"),
        (&night, None, Severity::Critical, "2026-03-04T05:59:59Z", "2026-03-04T06:00:00Z"),
        (&night, None, Severity::Critical, "2026-03-04T06:00:00Z", "2026-03-04T06:00:00Z"),
        (&night, Some(Severity::High), Severity::Critical, "2026-03-03T23:00:00Z", "2026-03-03T23:00:00Z"),
        (&night, Some(Severity::High), Severity::High, "2026-03-03T23:00:00Z", "2026-03-03T23:00:00Z"),
        (&night, Some(Severity::High), Severity::Medium, "2026-03-03T23:00:00Z", "2026-03-04T06:00:00Z"),
        // Days that touch are one: Friday is loud, Monday too.
        (&weekend, None, Severity::Low, "2026-03-06T23:59:59Z", "2026-03-06T23:59:59Z"),
        (&weekend, None, Severity::Low, "2026-03-07T00:00:00Z", "2026-03-09T00:00:00Z"),
        (&weekend, None, Severity::Low, "2026-03-08T12:00:00Z", "2026-03-09T00:00:00Z"),
    ] {
        let quiet = Some(Quiet { times: times.clone(), but_from });
        let row = NoticeRule { quiet, ..rule("All", &[E::Opened], &[]) };
        assert_eq!(loud(&row, severity, at(due)), at(want), "{} {severity} {due}", times::words(times));
    }
    let never = NoticeRule { quiet: None, ..rule("All", &[E::Opened], &[]) };
    assert_eq!(loud(&never, Severity::Info, at("2026-03-03T23:00:00Z")), at("2026-03-03T23:00:00Z"));
}

#[test]
fn rules_are_asked_about_severity_labels_hours_and_conditions() {
    let fits = |row: NoticeRule| super::Rule::read(row).fits(&incident(1), at("2026-03-03T10:30:00Z"));
    let all = || rule("All", &[E::Opened], &[1]);
    let condition = |text: &str| NoticeRule { condition: Some(text.to_owned()), ..all() };
    for (row, why) in [
        (all(), None),
        (NoticeRule { from: Some(Severity::High), ..all() }, None),
        (NoticeRule { from: Some(Severity::Critical), ..all() }, Some("severity high is below critical")),
        (NoticeRule { times: Some(hours(&[], "10:00", "11:00")), ..all() }, None),
        (NoticeRule { times: Some(hours(&[], "11:00", "12:00")), ..all() }, Some("it is outside of daily 11:00")),
        (
            NoticeRule { times: Some(hours(&[Weekday::Monday], "10:00", "11:00")), ..all() },
            Some("it is outside of mon"),
        ),
        (condition("severity == 'high' and 'ord' in service"), None),
        (condition("labels.env == 'prod' and alerts > 3"), None),
        (condition("weekday == 'tue' and hour == 10"), None),
        (condition("labels.nothing == 'x'"), Some("its condition is not true")),
        (condition("severity ="), Some("its conditions cannot be read")),
    ] {
        let told = fits(row.clone());
        match why {
            None => assert_eq!(told, Ok(()), "{row:?}"),
            Some(why) => assert!(told.as_ref().is_err_and(|e| e.starts_with(why)), "{told:?} instead of {why}"),
        }
    }
    for (text, wrong) in [
        ("severity == 'high'", ""),
        ("severiti == 'high'", "there is no `severiti`"),
        ("severity ==", "it cannot be read"),
        ("range(100000)|length > 1", "there is no `range`"),
    ] {
        let read = condition::compile(text).err().unwrap_or_default();
        assert!(read.starts_with(wrong) && read.is_empty() == wrong.is_empty(), "{text}: {read}");
    }
    for (row, path) in [
        (rule("", &[E::Opened], &[1]), "/name"),
        (rule("x", &[], &[1]), "/events"),
        (rule("x", &[E::Reminder], &[1]), "/events"),
        (rule("x", &[E::Opened], &[]), "/targets"),
        (NoticeRule { remind_secs: Some(59), ..all() }, "/remind_secs"),
        (NoticeRule { wait_secs: 604_801, ..all() }, "/wait_secs"),
        (NoticeRule { times: Some(hours(&[], "25:00", "11:00")), ..all() }, "/times/from"),
    ] {
        let paths: Vec<String> = check(&row).into_iter().map(|m| m.path).collect();
        assert_eq!(paths, [path], "{row:?}");
    }
    assert_eq!(check(&all()), Vec::<Mistake>::new());
}
