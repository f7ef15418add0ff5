//! Charts as pictures: a line per week, bars, stacked bars, weekday by hour. What is drawn stands in a table beside each,
//! and every mark leads to the list that it counts.

use std::fmt::Write;

use askama::Template;

use super::{terms::href, text, time, ui};
use crate::model::*;

/// The field of the lines, in units of the drawings, which are 560 wide.
const LEFT: f64 = 34.0;
const RIGHT: f64 = 552.0;
const TOP: f64 = 12.0;
const FOOT: f64 = 166.0;
/// Characters of a name that fit before its bar.
const FITS: usize = 18;

/// The incidents of a time as a query of the list: `service:api since:2026-03-02T00:00Z until:2026-03-09T00:00Z`.
pub fn incidents(since: Time, until: Time, more: &str) -> String {
    // Tests count nowhere, and so they are in no list that tells what was counted.
    let q = format!("{more} -is:test since:{} until:{}", moment(since), moment(until));
    href("/incidents", q.trim(), &[])
}

/// `2026-03-02T00:00Z`.
pub fn moment(at: Time) -> String {
    at.timestamp().strftime("%Y-%m-%dT%H:%MZ").to_string()
}

/// A duration as a number and its unit.
pub fn took(secs: f64) -> String {
    let (n, unit) = unit_of(secs);
    format!("{}\u{a0}{unit}", short(secs / n))
}

/// The unit that suits a duration: seconds in it, and its name.
pub fn unit_of(secs: f64) -> (f64, &'static str) {
    match secs {
        s if s < 100.0 => (1.0, "s"),
        s if s < 6_000.0 => (60.0, "min"),
        s if s < 172_800.0 => (3_600.0, "h"),
        _ => (86_400.0, "d"),
    }
}

/// One digit behind the point below ten.
pub fn short(n: f64) -> String {
    if n < 9.95 && (n - n.round()).abs() >= 0.05 { format!("{n:.1}") } else { format!("{n:.0}") }
}

/// A gridline or a mark of an axis.
#[derive(Debug)]
struct Tick {
    at: String,
    text: String,
}

/// A mark that leads somewhere.
#[derive(Debug)]
struct Mark {
    x: String,
    y: String,
    w: String,
    h: String,
    class: &'static str,
    href: String,
    label: String,
}

/// A line of medians, and one of the slowest tenth.
#[derive(Debug, Template)]
#[template(path = "fragments/chart_weeks.html")]
pub struct Weeks {
    label: String,
    grid: Vec<Tick>,
    weeks: Vec<Tick>,
    area: String,
    median: String,
    slowest: String,
    points: Vec<Mark>,
    last: Option<(String, String, String)>,
    /// What the axis counts.
    pub unit: &'static str,
}

impl Weeks {
    /// `what` took so long in each week; none where fewer than five did, for which there is no line.
    pub fn new(what: &str, weeks: &[Week], of: impl Fn(&Week) -> Spread, service: &str) -> Option<Self> {
        let spreads: Vec<Spread> = weeks.iter().map(&of).collect();
        if spreads.iter().map(|s| s.count).sum::<u64>() < FEW {
            return None;
        }
        let most = spreads.iter().filter_map(|s| s.p90_s).fold(1.0, f64::max);
        let (secs, unit) = unit_of(most);
        let top = nice(most / secs);
        let y = |s: f64| FOOT - (s / secs / top).min(1.0) * (FOOT - TOP);
        let step = (RIGHT - LEFT) / weeks.len().saturating_sub(1).max(1) as f64;
        let x = |n: usize| LEFT + step * n as f64;
        let grid = (0..4).map(|n| {
            let share = f64::from(n) / 3.0;
            Tick { at: format!("{:.0}", FOOT - share * (FOOT - TOP)), text: short(top * share) }
        });
        let every = weeks.len().div_ceil(4).max(1);
        let named = weeks.iter().enumerate().step_by(every);
        let mut points = Vec::new();
        for (n, (week, s)) in weeks.iter().zip(&spreads).enumerate() {
            let (Some(median), Some(p90)) = (s.median_s, s.p90_s) else { continue };
            points.push(Mark {
                x: format!("{:.1}", x(n)),
                y: format!("{:.1}", y(median)),
                w: String::new(),
                h: String::new(),
                class: "p1",
                href: incidents(week.since, week.until, service),
                label: format!(
                    "Week from {}: median {}, slowest tenth from {}, {}",
                    time::date(week.since),
                    took(median),
                    took(p90),
                    ui::plural(s.count, "incident")
                ),
            });
        }
        let last = spreads.iter().rposition(|s| s.median_s.is_some());
        let told = last.and_then(|n| Some((n, spreads.get(n)?.median_s?)));
        let median = line(spreads.iter().map(|s| s.median_s.map(&y)), x);
        Some(Self {
            label: match told {
                Some((_, s)) => {
                    format!("{what} by week: the last median is {}, the axis ends at {} {unit}.", took(s), short(top))
                }
                None => format!("{what} by week."),
            },
            grid: grid.collect(),
            weeks: named
                .map(|(n, w)| Tick {
                    at: format!("{:.0}", x(n)),
                    text: w.since.timestamp().strftime("%-d %b").to_string(),
                })
                .collect(),
            area: area(spreads.iter().map(|s| s.median_s.map(&y)), x),
            slowest: line(spreads.iter().map(|s| s.p90_s.map(&y)), x),
            median,
            points,
            last: told.map(|(n, s)| {
                // Over the line that comes down to it as well.
                let before = n.checked_sub(1).and_then(|n| spreads.get(n)?.median_s).map_or(y(s), &y);
                let over = (y(s).min(before) - 10.0).max(TOP);
                (format!("{:.1}", (x(n) - 4.0).max(60.0)), format!("{over:.1}"), took(s))
            }),
            unit: match unit {
                "s" => "seconds",
                "min" => "minutes",
                "h" => "hours",
                _ => "days",
            },
        })
    }
}

/// A round number that is not less.
fn nice(n: f64) -> f64 {
    let power = 10_f64.powf(n.max(0.01).log10().floor());
    // Those of which a third is round as well.
    let steps = [1.2, 1.5, 1.8, 2.1, 2.4, 3.0, 3.6, 4.5, 6.0, 7.5, 9.0, 12.0];
    steps.iter().map(|s| s * power).find(|s| *s >= n).unwrap_or(12.0 * power)
}

/// A path that is broken where there is nothing.
fn line(heights: impl Iterator<Item = Option<f64>>, x: impl Fn(usize) -> f64) -> String {
    let (mut path, mut on) = (String::new(), false);
    for (n, y) in heights.enumerate() {
        if let Some(y) = y {
            let _ = write!(path, "{}{:.1} {y:.1}", if on { "L" } else { "M" }, x(n));
        }
        on = y.is_some();
    }
    path
}

/// What is under the line, a piece for each of its pieces.
fn area(heights: impl Iterator<Item = Option<f64>>, x: impl Fn(usize) -> f64) -> String {
    let (mut path, mut from) = (String::new(), None);
    let mut before = 0.0;
    for (n, y) in heights.chain([None]).enumerate() {
        match (y, from) {
            (Some(y), None) => {
                from = Some(x(n));
                let _ = write!(path, "M{:.1} {FOOT} L{:.1} {y:.1}", x(n), x(n));
            }
            (Some(y), Some(_)) => drop(write!(path, "L{:.1} {y:.1}", x(n))),
            (None, Some(_)) => {
                let _ = write!(path, "L{before:.1} {FOOT}Z");
                from = None;
            }
            (None, None) => {}
        }
        before = x(n);
    }
    path
}

/// A bar with its name before it and its number behind it.
#[derive(Debug)]
struct Bar {
    base: String,
    name: String,
    full: String,
    parts: Vec<Mark>,
    at: String,
    total: String,
}

/// Bars below each other.
#[derive(Debug, Template)]
#[template(path = "fragments/chart_bars.html")]
pub struct Bars {
    label: String,
    height: String,
    rows: Vec<Bar>,
}

/// One step from noise to people: its name, its number, and the list of them.
pub type Step = (&'static str, u64, String);

impl Bars {
    /// From noise to people. The bars grow with the logarithm: next to a hundred thousand webhooks forty incidents would
    /// not be seen.
    pub fn funnel(steps: &[Step]) -> Self {
        let scale = |n: u64| (n as f64 + 1.0).ln();
        let most = steps.iter().map(|(_, n, _)| scale(*n)).fold(1.0, f64::max);
        let rows = steps.iter().enumerate().map(|(n, (name, count, href))| {
            let y = 4.0 + 36.0 * n as f64;
            let width = (scale(*count) / most * 280.0).max(2.0);
            let class = if n + 1 == steps.len() { "f-ember" } else { "c-slate" };
            Bar {
                base: format!("{}", y + 17.0),
                name: (*name).to_owned(),
                full: (*name).to_owned(),
                parts: vec![Mark {
                    x: "186".to_owned(),
                    y: format!("{y}"),
                    w: format!("{width:.1}"),
                    h: "24".to_owned(),
                    class,
                    href: href.clone(),
                    label: format!("{name}: {}", ui::count(*count)),
                }],
                at: format!("{:.1}", 186.0 + width + 8.0),
                total: ui::count(*count),
            }
        });
        let rows: Vec<Bar> = rows.collect();
        let said: Vec<String> =
            steps.iter().map(|(name, n, _)| format!("{} {}", ui::count(*n), name.to_lowercase())).collect();
        Self { label: format!("From noise to people: {}.", said.join(", ")), height: height(rows.len(), 36.0), rows }
    }

    /// Services with most incidents, each by severity.
    pub fn services(services: &[ServiceFigures], since: Time, until: Time) -> Self {
        let most = services.iter().map(|s| s.incidents).max().unwrap_or(1).max(1) as f64;
        let room = 400.0;
        let rows = services.iter().enumerate().map(|(n, s)| {
            let y = 6.0 + 25.0 * n as f64;
            let mut x = 122.0;
            let mut parts = Vec::new();
            for (severity, n) in Severity::ALL.iter().zip(s.severities()).filter(|(_, n)| *n > 0) {
                let width = n as f64 / most * room;
                let q = format!("{} severity:{severity}", service_term(&s.service));
                parts.push(Mark {
                    x: format!("{x:.1}"),
                    y: format!("{y}"),
                    w: format!("{:.1}", (width - 1.5).max(1.0)),
                    h: "16".to_owned(),
                    class: class_of(*severity),
                    href: incidents(since, until, &q),
                    label: format!("{}: {} {severity}", ui::plain(&s.service), ui::count(n)),
                });
                x += width;
            }
            Bar {
                base: format!("{}", y + 13.0),
                name: ui::plain(&text::shorten(&s.service, FITS)),
                full: ui::plain(&s.service),
                parts,
                at: format!("{:.1}", x + 8.0),
                total: ui::count(s.incidents),
            }
        });
        let rows: Vec<Bar> = rows.collect();
        let first: Vec<String> =
            services.iter().take(3).map(|s| format!("{} {}", ui::plain(&s.service), s.incidents)).collect();
        Self {
            label: format!("Incidents by service, most first: {}.", first.join(", ")),
            height: height(rows.len(), 25.0),
            rows,
        }
    }
}

fn height(rows: usize, each: f64) -> String {
    format!("{:.0}", rows as f64 * each + 6.0)
}

/// A service as a term of a query.
pub fn service_term(service: &str) -> String {
    if service.is_empty() {
        return String::new();
    }
    format!("service:\"{}\"", service.replace(['"', '\\'], " "))
}

fn class_of(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => "c-crit",
        Severity::High => "c-high",
        Severity::Medium => "c-med",
        Severity::Low | Severity::Info => "c-low",
    }
}

/// Weekday by hour.
#[derive(Debug, Template)]
#[template(path = "fragments/chart_hours.html")]
pub struct Hours {
    label: String,
    days: Vec<Tick>,
    axis: Vec<Tick>,
    cells: Vec<Mark>,
}

/// Days of the week, Monday first.
pub const WEEKDAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

impl Hours {
    /// `list` leads to the incidents of a weekday and hour.
    pub fn new(hours: &[[u64; 24]; 7], list: impl Fn(usize, usize) -> String) -> Self {
        let most = hours.iter().flatten().copied().max().unwrap_or(0);
        let (step, side) = (21.4, 19.4);
        let x = |hour: usize| 36.0 + step * hour as f64;
        let y = |day: usize| 4.0 + 21.0 * day as f64;
        let mut cells = Vec::new();
        let mut top = (0, 0, 0);
        for (day, (row, name)) in hours.iter().zip(WEEKDAYS).enumerate() {
            for (hour, n) in row.iter().enumerate() {
                if *n > top.0 {
                    top = (*n, day, hour);
                }
                cells.push(Mark {
                    x: format!("{:.1}", x(hour)),
                    y: format!("{}", y(day)),
                    w: format!("{side}"),
                    h: "19".to_owned(),
                    class: shade(*n, most),
                    href: if *n > 0 { list(day, hour) } else { String::new() },
                    label: format!("{name} {hour:02}:00 to {:02}:00: {}", hour + 1, ui::plural(*n, "incident")),
                });
            }
        }
        let day = WEEKDAYS.get(top.1).copied().unwrap_or_default();
        let label = match top.0 {
            0 => "Incidents by weekday and hour, UTC: none.".to_owned(),
            n => format!("Incidents by weekday and hour, UTC: most on {day} from {:02}:00, {n} of them.", top.2),
        };
        let tick = |at: f64, text: String| Tick { at: format!("{at:.0}"), text };
        Self {
            label,
            days: WEEKDAYS.iter().enumerate().map(|(n, d)| tick(y(n) + 13.0, (*d).to_owned())).collect(),
            axis: [0, 6, 12, 18].iter().map(|h| tick(x(*h), format!("{h:02}:00"))).collect(),
            cells,
        }
    }
}

/// Five shades, from nothing to the most.
fn shade(n: u64, most: u64) -> &'static str {
    match (n * 4).div_ceil(most.max(1)) {
        0 => "h0",
        1 => "h1",
        2 => "h2",
        3 => "h3",
        _ => "h4",
    }
}

impl askama::filters::HtmlSafe for Weeks {}
impl askama::filters::HtmlSafe for Bars {}
impl askama::filters::HtmlSafe for Hours {}

#[cfg(test)]
mod tests {
    use super::*;

    fn week(n: i64, count: u64, median: Option<f64>) -> Week {
        let since = Time::from_secs(1_772_409_600 + n * 604_800);
        let acknowledge = Spread { count, median_s: median, p90_s: median.map(|m| m * 2.0) };
        Week { since, until: Time::from_secs(1_772_409_600 + (n + 1) * 604_800), acknowledge, ..Week::default() }
    }

    #[test]
    fn a_line_of_weeks_leads_to_them_and_breaks_where_there_is_nothing() {
        let weeks = [week(0, 4, Some(90.0)), week(1, 0, None), week(2, 3, Some(240.0))];
        let chart = Weeks::new("Time to acknowledge", &weeks, |w| w.acknowledge, "service:\"api\"").unwrap();
        assert_eq!((chart.median.matches('M').count(), chart.points.len(), chart.unit), (2, 2, "minutes"));
        assert_eq!(
            chart.points[0].href,
            "/incidents?q=service%3A%22api%22+-is%3Atest+since%3A2026-03-02T00%3A00Z+until%3A2026-03-09T00%3A00Z"
        );
        assert!(chart.label.contains("last median is 4\u{a0}min"), "{}", chart.label);
        assert!(Weeks::new("", &[week(0, 4, Some(1.0))], |w| w.acknowledge, "").is_none(), "fewer than five");
    }

    #[test]
    fn numbers_are_short() {
        let check = |secs: f64, want: &str| assert_eq!(took(secs), want);
        check(42.0, "42\u{a0}s");
        check(192.0, "3.2\u{a0}min");
        check(600.0, "10\u{a0}min");
        check(7_200.0, "2\u{a0}h");
        check(300_000.0, "3.5\u{a0}d");
        assert_eq!([0.7, 8.1, 41.0, 99.0].map(nice), [0.75, 9.0, 45.0, 120.0]);
    }

    #[test]
    fn cells_lead_to_their_hour_and_empty_ones_nowhere() {
        let mut hours = [[0; 24]; 7];
        hours[3][5] = 8;
        hours[0][0] = 1;
        let chart = Hours::new(&hours, |d, h| format!("/x?{d}-{h}"));
        assert_eq!(chart.cells.iter().filter(|c| !c.href.is_empty()).count(), 2);
        assert_eq!((chart.cells[0].class, chart.cells[3 * 24 + 5].class, chart.cells[1].class), ("h1", "h4", "h0"));
        assert!(chart.label.contains("most on Thu from 05:00, 8"));
    }

    #[test]
    fn bars_are_as_long_as_they_count() {
        let service = |name: &str, critical, low| ServiceFigures {
            service: name.into(),
            incidents: critical + low,
            critical,
            low,
            ..ServiceFigures::default()
        };
        let (since, until) = (Time::from_secs(0), Time::from_secs(86_400));
        let bars = Bars::services(&[service("api \"x\"", 3, 1), service("db", 2, 0)], since, until);
        assert_eq!(bars.rows[0].parts.len(), 2);
        assert!(bars.rows[0].parts[0].href.contains("severity%3Acritical"));
        assert_eq!(bars.rows[0].parts[0].w, "298.5");
        let funnel = Bars::funnel(&[("Webhooks", 9, "/d".into()), ("Incidents", 0, "/i".into())]);
        assert_eq!(funnel.label, "From noise to people: 9 webhooks, 0 incidents.");
    }
}
