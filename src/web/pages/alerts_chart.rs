//! Alerts over time: how many were last seen in each slice of it, by severity. Each bar leads to the list of what it counts.

use std::time::Duration;

use askama::{Template, filters::HtmlSafe};

use super::{
    terms,
    time::{clock_short, date},
    ui,
};
use crate::{
    model::*,
    store::{AlertFilter, Looked},
};

/// Slices at most.
const SLICES: i64 = 72;
/// How long a slice may be, in minutes: lengths that people count in.
const LENGTHS: [i64; 17] = [1, 2, 5, 10, 15, 20, 30, 60, 120, 180, 360, 720, 1440, 2880, 10_080, 20_160, 43_200];
/// The drawing.
const W: f64 = 1000.0;
const H: f64 = 110.0;

/// What the chart is of.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Seen {
    /// When each alert was last seen, and its severity.
    pub alerts: Vec<(Time, Severity)>,
    /// Whether that is all that fit.
    pub whole: bool,
    /// The first moment that is asked for.
    pub since: Option<Time>,
    /// The last one.
    pub until: Option<Time>,
}

impl Seen {
    /// Of what fits a filter.
    pub fn of(looked: &Looked, filter: &AlertFilter) -> Self {
        let alerts = looked.alerts.iter().map(|a| (a.seen, a.severity)).collect();
        Self { alerts, whole: looked.older.is_none(), since: filter.since, until: filter.until }
    }
}

/// One part of a bar.
#[derive(Debug)]
struct Part {
    class: &'static str,
    y: String,
    height: String,
}

/// A slice with something in it.
#[derive(Debug)]
struct Bar {
    href: String,
    /// `3 Mar, 10:20 to 10:40: 4 alerts, 1 critical`.
    words: String,
    when: String,
    counts: Vec<String>,
    x: String,
    parts: Vec<Part>,
}

/// The chart.
#[derive(Debug, Template)]
#[template(path = "fragments/alerts_chart.html")]
pub struct Chart {
    label: String,
    from: i64,
    until: i64,
    slice: i64,
    width: String,
    bars: Vec<Bar>,
    severities: Vec<&'static str>,
    begins: String,
    ends: String,
    q: String,
}
impl HtmlSafe for Chart {}

const CLASSES: [(Severity, &str); 5] = [
    (Severity::Info, "c-info"),
    (Severity::Low, "c-low"),
    (Severity::Medium, "c-med"),
    (Severity::High, "c-high"),
    (Severity::Critical, "c-crit"),
];

impl Chart {
    /// Of what was seen; none where there is nothing to draw.
    pub fn new(seen: &Seen, q: &str, now: Time) -> Option<Self> {
        let last = seen.until.unwrap_or(now).min(now);
        let inside: Vec<(Time, Severity)> =
            seen.alerts.iter().copied().filter(|(at, _)| *at <= last.max(now)).collect();
        let oldest = inside.iter().map(|(at, _)| *at).min()?;
        // What could not be looked at is not drawn as nothing.
        let first = seen.since.filter(|_| seen.whole).unwrap_or(oldest);
        let (from, slice, count) = slices(first, last.max(first));
        let mut counts = vec![[0_u64; CLASSES.len()]; count];
        for (at, severity) in &inside {
            let n = usize::try_from((at.millis() - from) / slice).unwrap_or(0).min(count.saturating_sub(1));
            let class = CLASSES.iter().position(|(s, _)| s == severity).unwrap_or(0);
            if let Some(cell) = counts.get_mut(n).and_then(|c| c.get_mut(class)) {
                *cell += 1;
            }
        }
        let sums = counts.iter().map(|c| c.iter().sum::<u64>());
        let (peak_at, most) = sums.enumerate().max_by_key(|(n, sum)| (*sum, usize::MAX - n))?;
        let slot = W / count as f64;
        let bars = counts.iter().enumerate().filter(|(_, c)| c.iter().any(|n| *n > 0));
        let bars: Vec<Bar> = bars.map(|(n, c)| bar(n, c, from, slice, slot, most, q, last)).collect();
        let shown = |s: &Severity| CLASSES.iter().position(|(c, _)| c == s);
        let used: Vec<Severity> = Severity::ALL
            .iter()
            .copied()
            .filter(|s| shown(s).is_some_and(|at| counts.iter().any(|c| c.get(at).is_some_and(|n| *n > 0))))
            .collect();
        let about = if seen.whole { "" } else { "the newest " };
        let end = Time::from_millis(from + slice * i64::try_from(count).unwrap_or(1));
        let peak = Time::from_millis(from + slice * i64::try_from(peak_at).unwrap_or(0));
        let label = format!(
            "Alerts by when they were last seen, in slices of {}, {about}{} stacked by severity; most, {}, in the slice from {}.",
            ui::duration(Duration::from_millis(slice.unsigned_abs())),
            ui::plural(inside.len() as u64, "alert"),
            ui::count(most),
            moment(peak),
        );
        Some(
            Self {
                label,
                from,
                until: end.millis(),
                slice,
                width: format!("{:.1}", (slot * 0.86).max(1.0)),
                bars,
                severities: used.iter().map(|s| s.title()).collect(),
                begins: moment(Time::from_millis(from)),
                ends: if seen.until.is_none_or(|u| u >= now) {
                    format!("now, {}\u{a0}UTC", clock_short(now))
                } else {
                    format!("{}\u{a0}UTC", moment(end.min(last)))
                },
                q: q.to_owned(),
            }
            .with_used(&used),
        )
    }

    /// Only severities that occur stand in the table.
    fn with_used(mut self, used: &[Severity]) -> Self {
        for bar in &mut self.bars {
            let kept = used.iter().filter_map(|s| CLASSES.iter().position(|(c, _)| c == s));
            bar.counts = kept.filter_map(|at| bar.counts.get(at).cloned()).collect();
        }
        self
    }
}

/// The first moment, in milliseconds, how long a slice is, and how many there are: at round times.
fn slices(first: Time, last: Time) -> (i64, i64, usize) {
    let span = (last.millis() - first.millis()).max(1);
    let fits = |minutes: &&i64| span / (*minutes * 60_000) <= SLICES;
    let slice = LENGTHS.iter().find(fits).copied().unwrap_or(43_200 * (1 + span / (43_200 * 60_000 * SLICES))) * 60_000;
    let from = first.millis().div_euclid(slice) * slice;
    let count = (last.millis() - from).div_euclid(slice) + 1;
    (from, slice, usize::try_from(count).unwrap_or(1).max(1))
}

#[allow(clippy::too_many_arguments, reason = "one bar of the chart above, taken out of it")]
fn bar(
    n: usize,
    counts: &[u64; CLASSES.len()],
    from: i64,
    slice: i64,
    slot: f64,
    most: u64,
    q: &str,
    last: Time,
) -> Bar {
    let begin = Time::from_millis(from + slice * i64::try_from(n).unwrap_or(0));
    let end = Time::from_millis(begin.millis() + slice);
    let mut foot = H;
    let mut parts = Vec::new();
    for (count, (_, class)) in counts.iter().zip(CLASSES).filter(|(c, _)| **c > 0) {
        let height = *count as f64 / most.max(1) as f64 * (H - 4.0);
        foot -= height;
        // A hair of the ground between two parts.
        parts.push(Part { class, y: format!("{foot:.1}"), height: format!("{:.1}", (height - 1.0).max(height * 0.7)) });
    }
    let sum: u64 = counts.iter().sum();
    let critical = counts.last().copied().filter(|n| *n > 0);
    let critical = critical.map(|n| format!(", {} critical", ui::count(n))).unwrap_or_default();
    let day = |at: Time| at.timestamp().strftime("%-d %b").to_string();
    let when = if day(begin) == day(end) || slice < 86_400_000 {
        format!("{}, {} to {}", day(begin), clock_short(begin), clock_short(end))
    } else {
        format!("{} to {}", day(begin), day(end))
    };
    Bar {
        href: between(q, begin, end, last),
        words: format!("{when}: {}{critical}", ui::plural(sum, "alert")),
        when,
        counts: counts.iter().map(|n| ui::count(*n)).collect(),
        x: format!("{:.1}", n as f64 * slot + slot * 0.07),
        parts,
    }
}

/// The list of the same query between two moments.
pub fn between(q: &str, begin: Time, end: Time, last: Time) -> String {
    let minute = |at: Time| at.timestamp().strftime("%Y-%m-%dT%H:%MZ").to_string();
    let q = terms::exchange(q, "since", &[minute(begin)]);
    // What comes meanwhile belongs to the newest slice.
    let until = if end > last { Vec::new() } else { vec![minute(end)] };
    terms::href("/alerts", &terms::exchange(&q, "until", &until), &[])
}

fn moment(at: Time) -> String {
    format!("{}, {}", date(at), clock_short(at))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::pages::samples;

    fn seen(minutes: &[(u64, Severity)], hours: Option<u64>) -> Seen {
        let ago = |m: u64| samples::now().minus(Duration::from_secs(m * 60));
        let alerts = minutes.iter().map(|(m, s)| (ago(*m), *s)).collect();
        Seen { alerts, whole: true, since: hours.map(|h| ago(h * 60)), until: None }
    }

    #[test]
    fn slices_are_round_and_few() {
        let now = samples::now();
        for (hours, minutes) in [(1, 1), (6, 5), (24, 20), (24 * 7, 180), (24 * 90, 2880), (24 * 3650, 86_400)] {
            let first = now.minus(Duration::from_secs(hours * 3600));
            let (from, slice, count) = slices(first, now);
            assert_eq!(slice, minutes * 60_000, "{hours}");
            assert!(count <= 74 && from <= first.millis() && from % slice == 0, "{hours}: {count}");
            assert!(from + slice * count as i64 > now.millis());
        }
        assert_eq!(slices(now, now).2, 1);
    }

    #[test]
    fn every_alert_is_counted_once_and_each_bar_leads_to_its_own() {
        let seen =
            seen(&[(0, Severity::Critical), (3, Severity::Low), (3, Severity::Low), (700, Severity::High)], Some(24));
        let chart = Chart::new(&seen, "since:24h severity:low", samples::now()).unwrap();
        let total: u64 = chart.bars.iter().flat_map(|b| &b.counts).map(|n| n.parse::<u64>().unwrap()).sum();
        assert_eq!((total, chart.severities.as_slice()), (4, ["Critical", "High", "Low"].as_slice()));
        let html = chart.to_string();
        assert!(html.contains("q=severity%3Alow+since%3A"), "{html}");
        assert!(chart.bars.iter().all(|b| !b.href.contains("24h")), "the time is exchanged");
        assert!(!chart.bars.last().unwrap().href.contains("until"), "the newest goes on");
        assert!(chart.bars[0].href.contains("until"));
        assert_eq!(
            html.matches("<rect").count(),
            chart.bars.len() + chart.bars.iter().map(|b| b.parts.len()).sum::<usize>()
        );
    }

    #[test]
    fn nothing_is_no_chart_and_what_was_not_looked_at_is_not_drawn_as_nothing() {
        assert!(Chart::new(&Seen::default(), "", samples::now()).is_none());
        let part = Seen { whole: false, ..seen(&[(5, Severity::Low), (65, Severity::Low)], Some(24 * 90)) };
        let chart = Chart::new(&part, "", samples::now()).unwrap();
        assert!(chart.slice == 60_000 && chart.label.contains("the newest 2"), "{}", chart.label);
    }

    #[test]
    fn a_query_of_others_stays_text() {
        let evil = "\"><script>alert(1)</script>";
        let html = Chart::new(&seen(&[(1, Severity::Low)], None), evil, samples::now()).unwrap().to_string();
        assert!(!html.contains("<script>"), "{html}");
    }
}
