//! The days on which clocks change, in three zones: by an hour, by an hour on other days, and by half an hour.

use jiff::civil;

use super::{on_call, times};
use crate::model::{OnCallSchedule, Rotation, ScheduleId, Time, WeekTimes};

/// Zone, the day before the clocks change, what is left out or comes twice and its moment, and how long that night is.
struct Change {
    zone: &'static str,
    before: &'static str,
    odd: (&'static str, &'static str, &'static str),
    hands_over: [&'static str; 3],
    night: (&'static str, &'static str),
}

const CHANGES: &[Change] = &[
    Change {
        zone: "Europe/Berlin",
        before: "2026-03-28",
        odd: ("2026-03-29", "02:30", "2026-03-29T01:30:00Z"),
        hands_over: ["2026-03-28T08:00:00Z", "2026-03-29T07:00:00Z", "2026-03-30T07:00:00Z"],
        night: ("2026-03-28T21:00:00Z", "2026-03-29T04:00:00Z"),
    },
    Change {
        zone: "Europe/Berlin",
        before: "2026-10-24",
        odd: ("2026-10-25", "02:30", "2026-10-25T00:30:00Z"),
        hands_over: ["2026-10-24T07:00:00Z", "2026-10-25T08:00:00Z", "2026-10-26T08:00:00Z"],
        night: ("2026-10-24T20:00:00Z", "2026-10-25T05:00:00Z"),
    },
    Change {
        zone: "America/New_York",
        before: "2026-03-07",
        odd: ("2026-03-08", "02:30", "2026-03-08T07:30:00Z"),
        hands_over: ["2026-03-07T14:00:00Z", "2026-03-08T13:00:00Z", "2026-03-09T13:00:00Z"],
        night: ("2026-03-08T03:00:00Z", "2026-03-08T10:00:00Z"),
    },
    Change {
        zone: "America/New_York",
        before: "2026-10-31",
        odd: ("2026-11-01", "01:30", "2026-11-01T05:30:00Z"),
        hands_over: ["2026-10-31T13:00:00Z", "2026-11-01T14:00:00Z", "2026-11-02T14:00:00Z"],
        night: ("2026-11-01T02:00:00Z", "2026-11-01T11:00:00Z"),
    },
    Change {
        zone: "Australia/Lord_Howe",
        before: "2026-04-04",
        odd: ("2026-04-05", "01:45", "2026-04-04T14:45:00Z"),
        hands_over: ["2026-04-03T22:00:00Z", "2026-04-04T22:30:00Z", "2026-04-05T22:30:00Z"],
        night: ("2026-04-04T11:00:00Z", "2026-04-04T19:30:00Z"),
    },
    Change {
        zone: "Australia/Lord_Howe",
        before: "2026-10-03",
        odd: ("2026-10-04", "02:15", "2026-10-03T15:45:00Z"),
        hands_over: ["2026-10-02T22:30:00Z", "2026-10-03T22:00:00Z", "2026-10-04T22:00:00Z"],
        night: ("2026-10-03T11:30:00Z", "2026-10-03T19:00:00Z"),
    },
];

fn at(text: &str) -> Time {
    text.parse().unwrap()
}

fn daily(c: &Change, hand_over: &str, only: Option<WeekTimes>) -> OnCallSchedule {
    OnCallSchedule {
        id: ScheduleId(1),
        name: "Daily".to_owned(),
        time_zone: c.zone.to_owned(),
        rotations: vec![Rotation {
            people: ["ada", "bob", "cyd"].map(ToOwned::to_owned).to_vec(),
            starts_on: c.before.to_owned(),
            hand_over: hand_over.to_owned(),
            days: 1,
            only,
        }],
        overrides: Vec::new(),
        feed_secret: String::new(),
        created_at: Time::default(),
        created_by: String::new(),
        updated_at: Time::default(),
    }
}

fn night(c: &Change) -> WeekTimes {
    WeekTimes { time_zone: c.zone.to_owned(), days: Vec::new(), from: "22:00".to_owned(), until: "06:00".to_owned() }
}

#[test]
fn hand_overs_keep_to_the_clock_on_the_wall() {
    for c in CHANGES {
        let schedule = daily(c, "09:00", None);
        let [first, second, third] = c.hands_over.map(at);
        let shifts = on_call::shifts(&schedule, first, third);
        let told: Vec<(Time, Time, &str)> =
            shifts.iter().map(|s| (s.from, s.until, s.person.as_deref().unwrap_or("nobody"))).collect();
        assert_eq!(told, [(first, second, "ada"), (second, third, "bob")], "{} {}", c.zone, c.before);
        let second_before = second.minus(std::time::Duration::from_secs(1));
        assert_eq!(on_call::who(&schedule, second_before).as_deref(), Some("ada"), "{} {}", c.zone, c.before);
        assert_eq!(on_call::who(&schedule, second).as_deref(), Some("bob"), "{} {}", c.zone, c.before);
    }
}

#[test]
fn a_time_that_is_left_out_is_later_and_of_one_that_comes_twice_it_is_the_first() {
    for c in CHANGES {
        let (day, clock, moment) = c.odd;
        let zone = times::zone(c.zone).unwrap();
        let day: civil::Date = day.parse().unwrap();
        assert_eq!(times::moment(day, times::clock(clock).unwrap(), &zone), Some(at(moment)), "{} {clock}", c.zone);
        // A hand-over at that time happens once, and nobody is left out.
        let schedule = daily(c, clock, None);
        let minute = std::time::Duration::from_secs(60);
        let around = on_call::shifts(&schedule, at(moment).minus(minute * 180), at(moment).plus(minute * 180));
        let told: Vec<(Time, &str)> =
            around.iter().map(|s| (s.until, s.person.as_deref().unwrap_or("nobody"))).collect();
        assert_eq!(told, [(at(moment), "ada"), (at(moment).plus(minute * 180), "bob")], "{} {clock}", c.zone);
    }
}

#[test]
fn a_night_in_which_clocks_change_is_shorter_or_longer() {
    for c in CHANGES {
        let (from, until) = (at(c.night.0), at(c.night.1));
        let hours = night(c);
        let second = std::time::Duration::from_secs(1);
        for (moment, inside) in [(from.minus(second), false), (from, true), (until.minus(second), true), (until, false)]
        {
            assert_eq!(times::holds(&hours, moment), inside, "{} at {moment}", c.zone);
            assert_eq!(times::until(&hours, moment), inside.then_some(until), "{} at {moment}", c.zone);
        }
        assert_eq!(times::next_change(&hours, from.minus(second)), Some(from), "{}", c.zone);
        assert_eq!(times::next_change(&hours, from), Some(until), "{}", c.zone);
        // On call at night only: a gap before and after.
        let schedule = daily(c, "12:00", Some(hours));
        let hour = second * 3600;
        let told: Vec<(Time, Time, bool)> = on_call::shifts(&schedule, from.minus(hour), until.plus(hour))
            .iter()
            .map(|s| (s.from, s.until, s.person.is_some()))
            .collect();
        assert_eq!(
            told,
            [(from.minus(hour), from, false), (from, until, true), (until, until.plus(hour), false)],
            "{}",
            c.zone
        );
    }
}
