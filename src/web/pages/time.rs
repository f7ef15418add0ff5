//! Times and durations as pages say them.

use std::{fmt, time::Duration};

use askama::filters::HtmlSafe;

use crate::model::Time;

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

/// `03:02:11`, in UTC.
pub fn clock(at: Time) -> String {
    at.timestamp().strftime("%H:%M:%S").to_string()
}

/// `03:02`, in UTC.
pub fn clock_short(at: Time) -> String {
    at.timestamp().strftime("%H:%M").to_string()
}

/// `3 Mar 2026`.
pub fn date(at: Time) -> String {
    at.timestamp().strftime("%-d %b %Y").to_string()
}

/// `Tue 3 Mar 2026, 03:02:00 UTC`.
pub fn full(at: Time) -> String {
    at.timestamp().strftime("%a %-d %b %Y, %H:%M:%S UTC").to_string()
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
            Form::Clock => (None, format!("{}, {}", at.timestamp().strftime("%-d %b"), clock(at))),
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
