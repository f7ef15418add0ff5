//! What happened over weeks and months: figures for programs, also as CSV.

use axum::{
    Json as Answer,
    extract::State,
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
};

use super::{
    alerts::wants_csv,
    params::{Params, wrong},
};
use crate::{
    model::*,
    store::{day_of, midnight},
    web::{auth::Viewer, error::ApiError, query, state::AppState},
};

/// Days told of when nobody says how many: twelve weeks.
pub const DAYS: i64 = 84;
/// Days at most: two years.
pub const MOST_DAYS: i64 = 732;

/// Which days are asked for, since the epoch; the last one is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Days {
    /// From this one.
    pub since: i64,
    /// To before this one.
    pub until: i64,
}

impl Days {
    /// The twelve weeks that end with the day of `now`.
    pub fn usual(now: Time) -> Self {
        let until = day_of(now) + 1;
        Self { since: until - DAYS, until }
    }

    /// From `since` and `until` as they are written in addresses: a length before `until` (`12w`, `90d`, `1y`) or a moment.
    /// Whole days in UTC: that of `until` is in it, unless that is a midnight. Which parameter is wrong, and how.
    pub fn parse(since: Option<&str>, until: Option<&str>, now: Time) -> Result<Self, (&'static str, String)> {
        let form = "a time is such as 12w, 90d, 1y or 2026-03-02";
        let at = match until {
            None => now,
            Some(text) => query::time(text, now).ok_or_else(|| ("until", form.to_owned()))?,
        };
        let last = day_of(at);
        let until = if midnight(last) == at { last } else { last + 1 };
        let since = match since {
            None => until - DAYS,
            Some(text) => match length(text) {
                Some(days) => until - days,
                None => day_of(query::time(text, now).ok_or_else(|| ("since", form.to_owned()))?),
            },
        };
        match until - since {
            ..=0 => Err(("since", "it must be before until".to_owned())),
            1..=MOST_DAYS => Ok(Self { since, until }),
            _ => Err(("since", "two years at most can be told of at once".to_owned())),
        }
    }
}

/// `12w`, `90d` or `1y` in days; a year is 52 weeks, so that its weeks are whole.
fn length(text: &str) -> Option<i64> {
    let text = text.trim();
    let unit = match text.chars().last()? {
        'd' => 1,
        'w' => 7,
        'y' => 364,
        _ => return None,
    };
    text.get(..text.len() - 1)?.parse::<i64>().ok().filter(|n| *n > 0)?.checked_mul(unit)
}

/// Times to acknowledge and to resolve, from noise to people, incidents by service, weekday and hour, noisy alerts, and
/// how often the first answer was right; against as long a time before. Tests are left out; days are those of UTC. As CSV
/// with `Accept: text/csv` or `format=csv`.
#[utoipa::path(get, path = "/api/insights", tag = "insights", operation_id = "insights_get",
    params(("since" = Option<String>, Query, description = "`12w`, `90d`, `1y` or a day; 12 weeks when left out"), ("until" = Option<String>, Query),
        ("service" = Option<String>, Query), ("format" = Option<String>, Query, description = "`csv` or `json`")),
    responses((status = 200, body = Insights)))]
pub async fn get(
    _: Viewer,
    State(state): State<AppState>,
    params: Params,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let days = Days::parse(params.one("since"), params.one("until"), state.clock.now())
        .map_err(|(name, message)| wrong(name, &message))?;
    let as_csv = match params.one("format") {
        None => wants_csv(&headers),
        Some("csv") => true,
        Some("json") => false,
        Some(_) => return Err(wrong("format", "it is csv or json")),
    };
    let service = params.one("service").map(str::to_owned);
    let insights = state.store.read(move |v| v.insights(days.since, days.until, service.as_deref())).await?;
    if as_csv {
        let kind = [(header::CONTENT_TYPE, "text/csv; charset=utf-8")];
        return Ok((kind, csv(&insights)).into_response());
    }
    Ok(Answer(insights).into_response())
}

/// Every figure on a line of its own: table, of what, figure, value, and the value before where there is one.
pub fn csv(i: &Insights) -> String {
    let mut lines = vec!["table,of,figure,value,before".to_owned()];
    let mut line = |table: &str, of: &str, figure: &str, value: Option<f64>, before: Option<f64>| {
        let number = |n: Option<f64>| n.map(|n| format!("{}", (n * 1000.0).round() / 1000.0)).unwrap_or_default();
        lines.push(format!("{table},{},{figure},{},{}", cell(of), number(value), number(before)));
    };
    #[allow(clippy::cast_precision_loss)]
    let whole = |n: u64| Some(n as f64);
    let (now, was) = (&i.period, &i.before);
    for (table, a, b) in [("acknowledge", now.acknowledge, was.acknowledge), ("resolve", now.resolve, was.resolve)] {
        line(table, "", "count", whole(a.count), whole(b.count));
        line(table, "", "median_s", a.median_s, b.median_s);
        line(table, "", "p90_s", a.p90_s, b.p90_s);
    }
    let funnel = |f: &Funnel| [f.received, f.alerts, f.groups, f.incidents, f.told, f.notified];
    line("funnel", "", "webhooks", now.funnel.webhooks.and_then(whole), was.funnel.webhooks.and_then(whole));
    for ((name, a), b) in ["received", "alerts", "groups", "incidents", "told", "notified"]
        .iter()
        .zip(funnel(&now.funnel))
        .zip(funnel(&was.funnel))
    {
        line("funnel", "", name, whole(a), whole(b));
    }
    line("night", "", "told", whole(now.night), whole(was.night));
    line("first_answers", "", "judged", whole(now.first_answers.judged), whole(was.first_answers.judged));
    line("first_answers", "", "right", whole(now.first_answers.right), whole(was.first_answers.right));
    for w in &i.weeks {
        let of = w.since.to_string();
        line("week", &of, "incidents", whole(w.incidents), None);
        for (name, s) in [("acknowledge", w.acknowledge), ("resolve", w.resolve)] {
            line("week", &of, &format!("{name}_count"), whole(s.count), None);
            line("week", &of, &format!("{name}_median_s"), s.median_s, None);
            line("week", &of, &format!("{name}_p90_s"), s.p90_s, None);
        }
    }
    for s in &i.services {
        for (severity, n) in Severity::ALL.iter().zip(s.severities()) {
            line("service", &s.service, severity.as_str(), whole(n), None);
        }
    }
    let days = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
    for (day, hours) in days.iter().zip(&i.hours) {
        for (hour, n) in hours.iter().enumerate() {
            line("hour", &format!("{day} {hour:02}:00"), "incidents", whole(*n), None);
        }
    }
    for n in &i.noisiest {
        let of = format!("{}: {}", n.platform, n.name);
        for (name, n) in
            [("times", n.times), ("alerts", n.alerts), ("incidents", n.incidents), ("acted_on", n.acted_on)]
        {
            line("noisy", &of, name, whole(n), None);
        }
    }
    lines.join("\r\n") + "\r\n"
}

/// A text of others as one cell that no spreadsheet takes for a formula.
fn cell(text: &str) -> String {
    let safe = if text.starts_with(['=', '+', '-', '@', '\t', '\r']) { format!("'{text}") } else { text.to_owned() };
    let quoted = safe.contains([',', '"', '\n', '\r']);
    if quoted { format!("\"{}\"", safe.replace('"', "\"\"")) } else { safe }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn periods_are_whole_days() {
        let now: Time = "2026-03-03T03:14:00Z".parse().unwrap();
        let today = day_of(now);
        let check = |since: Option<&str>, until: Option<&str>, want: Result<(i64, i64), &str>| {
            let found = Days::parse(since, until, now).map(|d| (d.since - today, d.until - today)).map_err(|e| e.0);
            assert_eq!(found, want, "{since:?} {until:?}");
        };
        check(None, None, Ok((-83, 1)));
        check(Some("4w"), None, Ok((-27, 1)));
        check(Some("1y"), None, Ok((-363, 1)));
        check(Some("2026-03-01"), None, Ok((-2, 1)));
        check(Some("7d"), Some("2026-03-01"), Ok((-9, -2)));
        check(Some("7d"), Some("2026-03-01T10:00Z"), Ok((-8, -1)));
        check(Some("2026-03-04"), None, Err("since"));
        check(Some("9y"), None, Err("since"));
        check(Some("soon"), None, Err("since"));
        check(None, Some("later"), Err("until"));
    }

    #[test]
    fn csv_is_a_line_a_figure_and_no_formula() {
        let service = ServiceFigures { service: "=cmd(\"x\"),1".into(), incidents: 1, high: 1, ..Default::default() };
        let i = Insights { services: vec![service], ..Insights::default() };
        let text = csv(&i);
        assert!(text.contains("\r\nservice,\"'=cmd(\"\"x\"\"),1\",high,1,\r\n"), "{text}");
        assert!(text.contains("\r\nfunnel,,webhooks,,\r\n"));
        assert_eq!(text.lines().filter(|l| l.starts_with("hour,")).count(), 168);
    }
}
