//! Times and durations as pages say them.

use std::{fmt, time::Duration};

use askama::filters::HtmlSafe;
use axum::{extract::Request, middleware::Next, response::Response};
use jiff::{Zoned, tz::TimeZone};

use super::frame::cookie;
use crate::model::Time;

tokio::task_local! {
    /// The zone of whoever the present page is for.
    static ZONE: TimeZone;
}

/// The zone that a reader chose for this browser, by its name in the cookie; none is UTC.
pub fn chosen(headers: &http::HeaderMap) -> Option<TimeZone> {
    zone(cookie(headers, "tz")?)
}

/// A zone by its name, such as `Europe/Berlin`.
pub fn zone(name: &str) -> Option<TimeZone> {
    // What names no place and no time is not looked for.
    let plain =
        name.len() <= 64 && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'/' | b'_' | b'-' | b'+'));
    plain.then(|| TimeZone::get(name).ok()).flatten().filter(|zone| *zone != TimeZone::UTC)
}

/// Has every page say times in the zone of its reader.
pub async fn in_zone(request: Request, next: Next) -> Response {
    match chosen(request.headers()) {
        Some(zone) => ZONE.scope(zone, next.run(request)).await,
        None => next.run(request).await,
    }
}

/// The time where the reader is.
pub fn local(at: Time) -> Zoned {
    at.timestamp().to_zoned(ZONE.try_with(Clone::clone).unwrap_or(TimeZone::UTC))
}

/// The zone's short name at that time: `UTC`, `CET`.
pub fn zone_name(at: Time) -> String {
    local(at).strftime("%Z").to_string()
}

/// A no-break space: a number stays with its unit.
const NB: char = '\u{a0}';

/// `4 s`, `12 min`, `1 h 21`, `3 d 4 h`.
pub fn duration(d: Duration) -> String {
    let s = d.as_secs();
    let (m, h) = (s / 60, s / 3600);
    if s < 60 {
        format!("{s}{NB}s")
    } else if m < 60 {
        format!("{m}{NB}min")
    } else if h < 24 {
        format!("{h}{NB}h{NB}{:02}", m % 60)
    } else {
        format!("{}{NB}d{NB}{}{NB}h", h / 24, h % 24)
    }
}

/// Nine o'clock tomorrow where the reader is.
pub fn morning(now: Time) -> Time {
    let nine =
        local(now).tomorrow().and_then(|day| day.with().hour(9).minute(0).second(0).subsec_nanosecond(0).build());
    nine.map_or(now.plus(Duration::from_secs(12 * 3600)), |nine| Time::from_millis(nine.timestamp().as_millisecond()))
}

/// A time as a field of the browser has it, `2026-03-03T09:00`, where the reader is.
pub fn read_local(text: &str) -> Option<Time> {
    let there: jiff::civil::DateTime = text.trim().parse().ok()?;
    let zone = ZONE.try_with(Clone::clone).unwrap_or(TimeZone::UTC);
    Some(Time::from_millis(there.to_zoned(zone).ok()?.timestamp().as_millisecond()))
}

/// The other way round.
pub fn field(at: Time) -> String {
    local(at).strftime("%Y-%m-%dT%H:%M").to_string()
}

/// `03:02:11`.
pub fn clock(at: Time) -> String {
    local(at).strftime("%H:%M:%S").to_string()
}

/// `03:02`.
pub fn clock_short(at: Time) -> String {
    local(at).strftime("%H:%M").to_string()
}

/// `3 Mar 2026`.
pub fn date(at: Time) -> String {
    local(at).strftime("%-d %b %Y").to_string()
}

/// `Tue 3 Mar 2026, 03:02:00 UTC`.
pub fn full(at: Time) -> String {
    local(at).strftime("%a %-d %b %Y, %H:%M:%S %Z").to_string()
}

/// A `<time>` element. The attribute `data-rel` lets the script go on counting; it holds the words that follow.
#[derive(Clone, Copy, Debug)]
pub struct When {
    at: Time,
    now: Time,
    form: Form,
}

#[derive(Clone, Copy, Debug)]
enum Form {
    Age,
    Ago,
    Clock,
    Full,
}

impl HtmlSafe for When {}

impl When {
    /// `12 min`; a date from a week on.
    pub fn age(at: Time, now: Time) -> Self {
        Self { at, now, form: Form::Age }
    }

    /// `12 min ago`; a date from a week on.
    pub fn ago(at: Time, now: Time) -> Self {
        Self { at, now, form: Form::Ago }
    }

    /// `03:02:11`; with the date when it is not the day of `now`.
    pub fn clock(at: Time, now: Time) -> Self {
        Self { at, now, form: Form::Clock }
    }

    /// `Tue 3 Mar 2026, 03:02:00 UTC`.
    pub fn full(at: Time) -> Self {
        Self { at, now: at, form: Form::Full }
    }
}

impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { at, now, form } = *self;
        let stamp = at.timestamp().strftime("%Y-%m-%dT%H:%M:%SZ");
        let age = now.since(at);
        let old = age >= Duration::from_secs(7 * 86_400);
        let (rel, text) = match form {
            Form::Age | Form::Ago if old => (None, date(at)),
            Form::Age => (Some(""), duration(age)),
            Form::Ago => (Some(" ago"), format!("{} ago", duration(age))),
            Form::Clock if date(at) == date(now) => (None, clock(at)),
            Form::Clock => (None, format!("{}, {}", local(at).strftime("%-d %b"), clock(at))),
            Form::Full => (None, full(at)),
        };
        write!(f, "<time datetime=\"{stamp}\"")?;
        if let Some(rel) = rel {
            write!(f, " data-rel=\"{rel}\"")?;
        }
        if matches!(form, Form::Full) {
            return write!(f, ">{text}</time>");
        }
        write!(f, " title=\"{}\">{text}</time>", full(at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_keep_number_and_unit_together() {
        for (secs, want) in [
            (0, "0\u{a0}s"),
            (59, "59\u{a0}s"),
            (60, "1\u{a0}min"),
            (4_860, "1\u{a0}h\u{a0}21"),
            (86_400, "1\u{a0}d\u{a0}0\u{a0}h"),
            (273_600, "3\u{a0}d\u{a0}4\u{a0}h"),
        ] {
            assert_eq!(duration(Duration::from_secs(secs)), want);
        }
    }

    #[tokio::test]
    async fn a_reader_has_times_of_their_own_place() {
        let at: Time = "2026-07-03T22:02:00Z".parse().unwrap();
        let here = async { (full(at), clock_short(at), date(at), zone_name(at)) };
        let want = ("Sat 4 Jul 2026, 00:02:00 CEST", "00:02", "4 Jul 2026", "CEST");
        let got = ZONE.scope(zone("Europe/Berlin").unwrap(), here).await;
        assert_eq!((got.0.as_str(), got.1.as_str(), got.2.as_str(), got.3.as_str()), want);
        assert_eq!(full(at), "Fri 3 Jul 2026, 22:02:00 UTC");
        let there = async { (field(morning(at)), morning(at), read_local("2026-07-05T09:00"), read_local("soon")) };
        let got = ZONE.scope(zone("Europe/Berlin").unwrap(), there).await;
        let nine: Time = "2026-07-05T07:00:00Z".parse().unwrap();
        assert_eq!(got, ("2026-07-05T09:00".to_owned(), nine, Some(nine), None));
        for (name, known) in [
            ("Europe/Berlin", true),
            ("UTC", false),
            ("", false),
            ("../etc/passwd", false),
            ("Atlantis/Capital", false),
        ] {
            assert_eq!(zone(name).is_some(), known, "{name}");
        }
    }

    #[test]
    fn a_time_says_itself_twice_and_is_a_date_after_a_week() {
        let at: Time = "2026-03-03T03:02:00Z".parse().unwrap();
        let now = at.plus(Duration::from_secs(720));
        assert_eq!(
            When::ago(at, now).to_string(),
            "<time datetime=\"2026-03-03T03:02:00Z\" data-rel=\" ago\" title=\"Tue 3 Mar 2026, 03:02:00 UTC\">12\u{a0}min ago</time>"
        );
        assert!(When::age(at, at.plus(Duration::from_secs(700_000))).to_string().ends_with(">3 Mar 2026</time>"));
        assert!(When::clock(at, now).to_string().ends_with(">03:02:00</time>"));
        assert!(When::clock(at, at.plus(Duration::from_secs(86_400))).to_string().ends_with(">3 Mar, 03:02:00</time>"));
    }
}
