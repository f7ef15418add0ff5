//! Insights: how it went over weeks and months, and against the time before.

use askama::Template;
use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, StatusCode, header};

use super::{
    ask::{Ask, Params},
    charts::{self, Bars, Hours, WEEKDAYS, Weeks, incidents, moment, service_term, short, took, unit_of},
    frame::{Frame, Section, counts_and_seq},
    terms::href,
    text, time,
    ui::{self, Markup},
};
use crate::{
    model::*,
    store::midnight,
    web::{
        api::insights::{Days, csv},
        error::ApiError,
        state::AppState,
    },
};

/// Services drawn; the table has more.
const DRAWN: usize = 7;
/// Services to choose from.
const CHOICES: usize = 50;
/// Incidents listed of one hour.
const LISTED: usize = 200;
/// The lengths to choose from.
const LENGTHS: [(&str, &str, i64); 3] = [("4w", "4 w", 28), ("12w", "12 w", 84), ("1y", "1 y", 364)];

/// One of the six numbers.
#[derive(Debug)]
pub struct Kpi {
    name: &'static str,
    value: String,
    unit: String,
    class: &'static str,
    delta: String,
    note: String,
}

/// A length to choose.
#[derive(Debug)]
pub struct Length {
    href: String,
    name: &'static str,
    current: bool,
}

/// A week in the table of a chart.
#[derive(Debug)]
pub struct WeekRow {
    href: String,
    from: String,
    n: String,
    median: String,
    slowest: String,
}

/// A chart of weeks, or why there is none.
#[derive(Debug)]
pub struct Times {
    id: &'static str,
    title: &'static str,
    chart: Option<Weeks>,
    none: String,
    rows: Vec<WeekRow>,
}

/// A service in the table.
#[derive(Debug)]
pub struct ServiceRow {
    name: Markup,
    href: String,
    counts: Vec<String>,
    total: String,
}

/// An hour in the table, with a number and its list for each weekday.
#[derive(Debug)]
pub struct HourCounts {
    name: String,
    days: Vec<(u64, String)>,
}

/// Noisy alerts that stand beside the hours; the others are folded away.
const NOISY: usize = 6;

/// A noisy alert.
#[derive(Debug)]
pub struct NoisyRow {
    name: Markup,
    platform: Markup,
    href: String,
    times: String,
    incidents: String,
    folded: String,
    advice: Markup,
    fine: bool,
}

/// The page.
#[derive(Debug, Template)]
#[template(path = "pages/insights.html")]
pub struct Page {
    frame: Frame,
    sub: String,
    wrong: Option<String>,
    kpis: Vec<Kpi>,
    lengths: Vec<Length>,
    service: String,
    services_known: Vec<String>,
    since: String,
    until: String,
    csv: String,
    times: [Times; 2],
    funnel: Bars,
    steps: Vec<charts::Step>,
    services: Option<Bars>,
    service_rows: Vec<ServiceRow>,
    hours: Hours,
    weekdays: [&'static str; 7],
    hour_rows: Vec<HourCounts>,
    noisiest: Vec<Vec<NoisyRow>>,
    noisy_since: String,
    empty: bool,
}

/// What the address asks for.
struct Asked {
    days: Days,
    service: String,
    wrong: Option<String>,
}

impl Asked {
    fn of(params: &super::ask::Fields, now: Time) -> Self {
        let given = |name: &str| Some(params.get(name).trim()).filter(|v| !v.is_empty()).map(str::to_owned);
        let (since, until) = (given("since"), given("until"));
        let (days, wrong) = match Days::parse(since.as_deref(), until.as_deref(), now) {
            Ok(days) => (days, None),
            Err((name, message)) => (Days::usual(now), Some(format!("{name}: {message}."))),
        };
        Self { days, service: given("service").unwrap_or_default(), wrong }
    }
}

/// `GET /insights?since=&until=&service=`; as CSV with `format=csv` or `Accept: text/csv`.
pub async fn show(
    State(state): State<AppState>,
    ask: Ask,
    Params(params): Params,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let now = ask.now;
    let asked = Asked::of(&params, now);
    let (days, service) = (asked.days, asked.service.clone());
    let (overview, seq, insights, known, tells) = state
        .store
        .read(move |view| {
            let (overview, seq) = counts_and_seq(view, now)?;
            let one = Some(service.as_str()).filter(|s| !s.is_empty());
            let insights = view.insights(days.since, days.until, one)?;
            let known = match one {
                None => insights.services.clone(),
                Some(_) => view.insights(days.since, days.until, None)?.services,
            };
            Ok((overview, seq, insights, known, !view.channels()?.is_empty()))
        })
        .await?;
    let wanted = headers.get(header::ACCEPT).is_some_and(|v| v == "text/csv");
    if params.get("format") == "csv" || wanted {
        let name = "attachment; filename=\"insights.csv\"";
        let kind = [(header::CONTENT_TYPE, "text/csv; charset=utf-8"), (header::CONTENT_DISPOSITION, name)];
        return Ok((kind, csv(&insights)).into_response());
    }
    let frame = ask.frame("Insights", Section::Insights, &overview, seq);
    Ok(ask.page(StatusCode::OK, &page(frame, asked, (&insights, tells), &known, now)))
}

fn page(frame: Frame, asked: Asked, (i, tells): (&Insights, bool), known: &[ServiceFigures], now: Time) -> Page {
    let Asked { days, service, wrong } = asked;
    let Days { since, until } = days;
    let (from, to) = (midnight(since), midnight(until));
    let term = service_term(&service);
    let address = |length: &str, more: &[(&str, &str)]| {
        let mut all = vec![("since", length)];
        all.extend(Some(("service", service.as_str())).filter(|(_, s)| !s.is_empty()));
        all.extend(more);
        href("/insights", "", &all)
    };
    let today = Days::usual(now).until;
    let lengths = LENGTHS.map(|(value, name, n)| Length {
        href: address(value, &[]),
        name,
        current: until == today && until - since == n,
    });
    let (since_text, until_text) = (moment(from), moment(to));
    let list = incidents(from, to, &term);
    let hour_list = |day: usize, hour: usize| {
        let (day, hour) = (day.to_string(), hour.to_string());
        href(
            "/insights/hour",
            "",
            &[
                ("weekday", day.as_str()),
                ("hour", hour.as_str()),
                ("since", since_text.as_str()),
                ("until", until_text.as_str()),
                ("service", service.as_str()),
            ],
        )
    };
    let f = i.period.funnel;
    let alerts = href("/alerts", format!("{term} -is:test since:{since_text} until:{until_text}").trim(), &[]);
    let mut steps: Vec<charts::Step> = Vec::new();
    if let Some(webhooks) = f.webhooks {
        let more = [("outcome", "accepted"), ("with", "alerts"), ("since", &since_text), ("until", &until_text)];
        steps.push(("Webhooks", webhooks, href("/deliveries", "", &more)));
    }
    steps.push(("Alerts received", f.received, alerts.clone()));
    steps.push(("Without repeats", f.alerts, alerts));
    let all_states = format!("{term} status:open,closed");
    steps.push(("Groups", f.groups, incidents(from, to, all_states.trim())));
    steps.push(("Incidents opened", f.incidents, list.clone()));
    steps.push(("Not silenced", f.told, incidents(from, to, format!("{term} -is:silenced").trim())));
    // Where nobody can be told that says nothing.
    if tells || f.notified > 0 {
        steps.push(("Somebody told", f.notified, incidents(from, to, format!("{term} is:told").trim())));
    }
    let taken = |id, title, what, mark: &str, of: fn(&Week) -> Spread| {
        let term = format!("{term} {mark}");
        let term = term.trim();
        let count: u64 = i.weeks.iter().map(|w| of(w).count).sum();
        Times {
            id,
            title,
            chart: Weeks::new(title, &i.weeks, of, term),
            none: match count {
                0 => format!("No incident of this time was {what} yet."),
                n => format!(
                    "Only {} of this time {} {what}: too few for a line.",
                    ui::plural(n, "incident"),
                    if n == 1 { "was" } else { "were" }
                ),
            },
            rows: i.weeks.iter().rev().map(|w| week_row(w, of(w), term)).collect(),
        }
    };
    let drawn: Vec<ServiceFigures> = i.services.iter().take(DRAWN).cloned().collect();
    Page {
        sub: heading(days, &service, now),
        wrong,
        kpis: kpis(i),
        lengths: lengths.into(),
        services_known: known.iter().take(CHOICES).map(|s| s.service.clone()).filter(|s| *s != service).collect(),
        csv: address(&since_text, &[("until", until_text.as_str()), ("format", "csv")]),
        times: [
            taken("ack", "Time to acknowledge", "acknowledged", "is:acknowledged", |w| w.acknowledge),
            taken("res", "Time to resolve", "resolved", "status:resolved", |w| w.resolve),
        ],
        funnel: Bars::funnel(&steps),
        steps,
        services: (!drawn.is_empty()).then(|| Bars::services(&drawn, from, to)),
        service_rows: i.services.iter().map(|s| service_row(s, from, to)).collect(),
        hours: Hours::new(&i.hours, hour_list),
        weekdays: WEEKDAYS,
        hour_rows: (0..24)
            .map(|hour| {
                let counts = i.hours.iter().map(|day| day.get(hour).copied().unwrap_or(0)).enumerate();
                let days = counts.map(|(day, n)| (n, if n > 0 { hour_list(day, hour) } else { String::new() }));
                HourCounts { name: format!("{hour:02}:00"), days: days.collect() }
            })
            .collect(),
        noisiest: i.noisiest.chunks(NOISY).map(|some| some.iter().map(noisy_row).collect()).collect(),
        noisy_since: time::date(midnight(since - crate::store::weekday(since))),
        empty: i.period.funnel.received == 0 && i.period.funnel.groups == 0,
        since: if days == Days::usual(now) { String::new() } else { since_text },
        until: if until == today { String::new() } else { until_text },
        service,
        frame,
    }
}

/// `Last 12 weeks against the 12 before, all services`.
fn heading(days: Days, service: &str, now: Time) -> String {
    let n = days.until - days.since;
    let weeks = n % 7 == 0;
    let (count, unit) = if weeks { (n / 7, "week") } else { (n, "day") };
    let length = ui::plural(u64::try_from(count).unwrap_or(0), unit);
    let when = match days.until == Days::usual(now).until {
        true => format!("Last {length}"),
        false => format!("{} to {}", time::date(midnight(days.since)), time::date(midnight(days.until - 1))),
    };
    let service = if service.is_empty() { "all services".to_owned() } else { ui::plain(service) };
    format!("{when} against the {length} before, {service}. Days are those of UTC; tests are left out.")
}

fn kpis(i: &Insights) -> Vec<Kpi> {
    let (now, was) = (&i.period, &i.before);
    let took_so = |name, a: Spread, b: Spread| {
        let (value, unit) = match a.median_s {
            None => ("–".to_owned(), String::new()),
            Some(s) => {
                let (n, unit) = unit_of(s);
                (short(s / n), format!("{unit}, median"))
            }
        };
        let (class, delta, note) = match (a.median_s, b.median_s) {
            _ if a.count < FEW => ("", String::new(), format!("of {}: few", ui::plural(a.count, "incident"))),
            (Some(a), Some(before)) if b.count >= FEW => {
                let (class, delta) = relative(a, before, Better::Less);
                (class, delta, format!("from {}", took(before)))
            }
            _ => ("", String::new(), "nothing before to compare".to_owned()),
        };
        Kpi { name, value, unit, class, delta, note }
    };
    let (incidents, before) = (now.funnel.incidents, was.funnel.incidents);
    let (class, delta) = match before {
        0 => ("", String::new()),
        _ => relative(float(incidents), float(before), Better::Neither),
    };
    let opened = Kpi {
        name: "Incidents",
        value: ui::count(incidents),
        unit: String::new(),
        class,
        delta,
        note: format!("{} before", ui::count(before)),
    };
    let folded =
        |f: &Funnel| (f.received >= 10).then(|| (1.0 - float(f.incidents.min(f.received)) / float(f.received)) * 100.0);
    let (class, delta) = points(folded(&now.funnel), folded(&was.funnel), Better::More);
    let noise = Kpi {
        name: "Noise folded",
        value: folded(&now.funnel).map_or("–".to_owned(), |n| format!("{:.1}", (n * 10.0).floor() / 10.0)),
        unit: folded(&now.funnel).map_or(String::new(), |_| "%".to_owned()),
        class,
        delta,
        note: format!("of {} received", ui::count(now.funnel.received)),
    };
    let (class, delta) = difference(now.night, was.night);
    let night = Kpi {
        name: "At night",
        value: ui::count(now.night),
        unit: String::new(),
        class,
        delta,
        note: "22:00 to 07:00 UTC, not silenced".to_owned(),
    };
    let right = |j: Judgements| (j.judged > 0).then(|| float(j.right) / float(j.judged) * 100.0);
    let (a, b) = (now.first_answers, was.first_answers);
    let enough = a.judged >= FEW && b.judged >= FEW;
    let (class, delta) = if enough { points(right(a), right(b), Better::More) } else { ("", String::new()) };
    let first = Kpi {
        name: "First answer right",
        value: right(a).map_or("–".to_owned(), |n| format!("{n:.0}")),
        unit: right(a).map_or(String::new(), |_| "%".to_owned()),
        class,
        delta,
        note: match a.judged {
            0 => "nobody has judged one".to_owned(),
            n => format!("{} of {} judged", ui::count(a.right), ui::count(n)),
        },
    };
    vec![
        took_so("Time to acknowledge", now.acknowledge, was.acknowledge),
        took_so("Time to resolve", now.resolve, was.resolve),
        opened,
        noise,
        night,
        first,
    ]
}

#[allow(clippy::cast_precision_loss)]
fn float(n: u64) -> f64 {
    n as f64
}

/// Which direction is good news.
#[derive(Clone, Copy, PartialEq)]
enum Better {
    Less,
    More,
    Neither,
}

/// The class and the word of a change.
fn judged(change: f64, better: Better) -> (&'static str, &'static str) {
    match (better, change < 0.0) {
        (Better::Neither, less) => ("", if less { "fewer" } else { "more" }),
        (Better::Less, true) | (Better::More, false) => ("good", "better"),
        _ => ("bad", "worse"),
    }
}

/// `−67 %, better`.
fn relative(now: f64, before: f64, better: Better) -> (&'static str, String) {
    let change = (now - before) / before.max(f64::MIN_POSITIVE) * 100.0;
    if change.abs() < 0.5 {
        return ("", "as before".to_owned());
    }
    let (class, word) = judged(change, better);
    (class, format!("{}\u{a0}%, {word}", signed(change)))
}

/// `+0.4 points, better`.
fn points(now: Option<f64>, before: Option<f64>, better: Better) -> (&'static str, String) {
    let (Some(now), Some(before)) = (now, before) else { return ("", String::new()) };
    let change = now - before;
    if change.abs() < 0.05 {
        return ("", "as before".to_owned());
    }
    let (class, word) = judged(change, better);
    (class, format!("{}{} points, {word}", sign(change), short(change.abs())))
}

/// `−12, better`: fewer are better.
fn difference(now: u64, before: u64) -> (&'static str, String) {
    match now.cmp(&before) {
        std::cmp::Ordering::Equal => ("", "as before".to_owned()),
        std::cmp::Ordering::Less => ("good", format!("−{}, better", ui::count(before - now))),
        std::cmp::Ordering::Greater => ("bad", format!("+{}, worse", ui::count(now - before))),
    }
}

fn sign(n: f64) -> &'static str {
    if n < 0.0 { "−" } else { "+" }
}

fn signed(n: f64) -> String {
    format!("{}{:.0}", sign(n), n.abs())
}

fn week_row(w: &Week, s: Spread, term: &str) -> WeekRow {
    let said = |s: Option<f64>| s.map_or("–".to_owned(), took);
    WeekRow {
        href: incidents(w.since, w.until, term),
        from: time::date(w.since),
        n: ui::count(s.count),
        median: said(s.median_s),
        slowest: said(s.p90_s),
    }
}

fn service_row(s: &ServiceFigures, since: Time, until: Time) -> ServiceRow {
    ServiceRow {
        name: ui::foreign(&text::shorten(&s.service, 80)),
        href: incidents(since, until, &service_term(&s.service)),
        counts: s.severities().iter().map(|n| ui::count(*n)).collect(),
        total: ui::count(s.incidents),
    }
}

fn noisy_row(n: &Noisy) -> NoisyRow {
    NoisyRow {
        name: ui::foreign(&text::shorten(&n.name, 80)),
        platform: ui::source_tile(&n.platform),
        href: href("/alerts", &format!("{} -is:test", n.query), &[]),
        times: ui::count(n.times),
        incidents: ui::count(n.incidents),
        // All but one of very many is not all.
        folded: format!("{:.1}\u{a0}%", (n.folded() * 1000.0).floor() / 10.0),
        advice: ui::foreign(&n.text),
        fine: n.advice == Advice::Fine,
    }
}

/// The incidents of one weekday and hour.
#[derive(Debug, Template)]
#[template(path = "pages/insights_hour.html")]
pub struct HourPage {
    frame: Frame,
    title: String,
    sub: String,
    back: String,
    rows: Vec<HourRow>,
    more: bool,
}

/// One of them.
#[derive(Debug)]
pub struct HourRow {
    id: IncidentId,
    severity: Markup,
    status: Markup,
    title: Markup,
    service: Markup,
    at: ui::When,
}

/// `GET /insights/hour?weekday=0&hour=3&since=&until=&service=`
pub async fn hour(State(state): State<AppState>, ask: Ask, Params(params): Params) -> Result<Response, ApiError> {
    let now = ask.now;
    let Asked { days, service, .. } = Asked::of(&params, now);
    let number = |name: &str, most: usize| params.get(name).parse::<usize>().ok().filter(|n| *n < most);
    let (Some(weekday), Some(hour)) = (number("weekday", 7), number("hour", 24)) else {
        return Err(ApiError::not_found("this hour of the week".to_owned()));
    };
    let of = service.clone();
    let (overview, seq, found) = state
        .store
        .read(move |view| {
            let (overview, seq) = counts_and_seq(view, now)?;
            let one = Some(of.as_str()).filter(|s| !s.is_empty());
            let day = i64::try_from(weekday).unwrap_or(0);
            Ok((overview, seq, view.opened_in(days.since, days.until, (day, hour), one, LISTED)?))
        })
        .await?;
    let name = ["Mondays", "Tuesdays", "Wednesdays", "Thursdays", "Fridays", "Saturdays", "Sundays"];
    let page = HourPage {
        title: format!(
            "{} from {hour:02}:00 to {:02}:00 UTC",
            name.get(weekday).copied().unwrap_or_default(),
            hour + 1
        ),
        sub: format!(
            "{}{} opened from {} to {}{}",
            if found.len() == LISTED { "the newest " } else { "" },
            ui::plural(found.len() as u64, "incident"),
            time::date(midnight(days.since)),
            time::date(midnight(days.until - 1)),
            if service.is_empty() { String::new() } else { format!(", {}", ui::plain(&service)) }
        ),
        back: href(
            "/insights",
            "",
            &[
                ("since", moment(midnight(days.since)).as_str()),
                ("until", moment(midnight(days.until)).as_str()),
                ("service", service.as_str()),
            ],
        ),
        more: found.len() == LISTED,
        rows: found
            .iter()
            .map(|i| HourRow {
                id: i.id,
                severity: ui::severity(i.severity),
                status: ui::status(i.status),
                title: ui::foreign(&text::shorten(&i.title, 160)),
                service: ui::foreign_or(&i.service, "–"),
                at: ui::When::full(i.detected_at),
            })
            .collect(),
        frame: ask.frame("Insights", Section::Insights, &overview, seq),
    };
    Ok(ask.page(StatusCode::OK, &page))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_good_or_bad_by_meaning() {
        assert_eq!(relative(3.2, 9.8, Better::Less), ("good", "−67\u{a0}%, better".to_owned()));
        assert_eq!(relative(412.0, 396.0, Better::Neither), ("", "+4\u{a0}%, more".to_owned()));
        assert_eq!(relative(5.0, 5.0, Better::Less).1, "as before");
        assert_eq!(points(Some(71.0), Some(62.0), Better::More), ("good", "+9 points, better".to_owned()));
        assert_eq!(points(Some(99.1), Some(99.5), Better::More), ("bad", "−0.4 points, worse".to_owned()));
        assert_eq!(difference(31, 43), ("good", "−12, better".to_owned()));
        assert_eq!(difference(5, 4).0, "bad");
    }

    #[test]
    fn few_are_not_compared() {
        let spread = |count| Spread { count, median_s: Some(60.0), p90_s: Some(90.0) };
        let figures = |count| Figures { acknowledge: spread(count), ..Figures::default() };
        let of = |now, before| kpis(&Insights { period: figures(now), before: figures(before), ..Insights::default() });
        assert_eq!((of(4, 90)[0].delta.as_str(), of(4, 90)[0].note.as_str()), ("", "of 4\u{a0}incidents: few"));
        assert_eq!(of(9, 4)[0].note, "nothing before to compare");
        assert_eq!(of(9, 9)[0].delta, "as before");
    }

    #[test]
    fn the_heading_says_what_is_compared() {
        let now: Time = "2026-03-03T03:14:00Z".parse().unwrap();
        let said = heading(Days::usual(now), "", now);
        assert!(said.starts_with("Last 12\u{a0}weeks against the 12\u{a0}weeks before, all services."), "{said}");
        let days = Days::parse(Some("2026-02-01"), Some("2026-02-11"), now).unwrap();
        assert!(
            heading(days, "api", now).starts_with("1 Feb 2026 to 10 Feb 2026 against the 10\u{a0}days before, api.")
        );
    }
}
