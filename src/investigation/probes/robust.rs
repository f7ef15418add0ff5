//! Whether a figure left what it was before: by the median and the median absolute deviation, which a few odd points do
//! not move. Pure.

use std::time::Duration;

use crate::model::Time;

/// So many deviations from the median are no chance: about five of the standard kind.
const LEFT: f64 = 8.0;
/// The most that is told: of a figure that never moved, anything is infinitely far.
const MOST: f64 = 999.0;
/// A deviation is at least this share of the median: a figure that stood still may move a little.
const FLOOR: f64 = 0.01;
/// A change that matters is at least this share of the figure.
const SHARE: f64 = 0.1;
/// Beyond what one in twenty points before reached, by this factor.
const BEYOND: f64 = 1.25;
/// Alerts come late: rules wait, and look back. The time before the onset that belongs to it, when there is enough before.
const LATE: Duration = Duration::from_secs(300);
/// Points before, at least; and so many that the late part can be left out.
const FEW: usize = 3;
const ENOUGH: usize = 10;

/// Which way out matters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Direction {
    /// More.
    Up,
    /// Less.
    Down,
    /// Either.
    #[default]
    Any,
}

/// What counts.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rule {
    /// Which way.
    pub direction: Direction,
    /// The least change, in the figure's own unit.
    pub least: f64,
}

/// How a figure went.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Course {
    /// It left what it was.
    Left {
        /// The median before.
        before: f64,
        /// The most distant value since.
        after: f64,
        /// The distance, in median absolute deviations.
        deviation: f64,
        /// The first value that was out.
        since: Time,
    },
    /// It stayed.
    Steady,
    /// There are too few points to say.
    Unknown,
}

/// How a figure went around the onset. Points may come in any order and without values that are no numbers.
pub fn course(points: &[(Time, f64)], onset: Time, rule: Rule) -> Course {
    let mut points: Vec<(Time, f64)> = points.iter().copied().filter(|(_, v)| v.is_finite()).collect();
    points.sort_by_key(|(at, _)| *at);
    let until = |end: Time| points.iter().filter(|(at, _)| *at < end).map(|(_, v)| *v).collect::<Vec<f64>>();
    let early = until(onset.minus(LATE));
    let (before, from) = if early.len() >= ENOUGH { (early, onset.minus(LATE)) } else { (until(onset), onset) };
    let since = || points.iter().copied().filter(|(at, _)| *at >= from);
    let (Some(median), true) = (median(before.clone()), before.len() >= FEW && since().next().is_some()) else {
        return Course::Unknown;
    };
    let mut distances: Vec<f64> = before.iter().map(|v| (v - median).abs()).collect();
    distances.sort_by(f64::total_cmp);
    let usual = distances.get(distances.len() * 95 / 100).copied().unwrap_or(0.0);
    let deviation = distances.get(distances.len() / 2).copied().unwrap_or(0.0).max(FLOOR * median.abs()).max(1e-9);
    let out = |v: f64| {
        let way = match rule.direction {
            Direction::Up => v > median,
            Direction::Down => v < median,
            Direction::Any => true,
        };
        let distance = (v - median).abs();
        way && distance >= LEFT * deviation
            && distance >= rule.least
            && distance > BEYOND * usual
            && distance >= SHARE * v.abs().max(median.abs())
    };
    let farthest =
        since().filter(|(_, v)| out(*v)).max_by(|a, b| (a.1 - median).abs().total_cmp(&(b.1 - median).abs()));
    let Some((_, after)) = farthest else { return Course::Steady };
    let same_side = |v: f64| (v > median) == (after > median);
    let since = since().find(|(_, v)| out(*v) && same_side(*v)).map_or(from, |(at, _)| at);
    Course::Left { before: median, after, deviation: ((after - median).abs() / deviation).min(MOST), since }
}

/// The middle of the values; the upper of two.
pub fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A value a minute, the last five of them since the onset.
    fn check(before: &[f64], since: &[f64], rule: Rule, want: Option<(f64, f64)>) {
        let onset = Time::from_secs(100_000);
        let minute = |n: usize| Duration::from_secs(60 * n as u64);
        let early = before.iter().rev().enumerate().map(|(n, v)| (onset.minus(minute(n + 1)), *v));
        let late = since.iter().enumerate().map(|(n, v)| (onset.plus(minute(n)), *v));
        let points: Vec<_> = early.chain(late).collect();
        let got = match course(&points, onset, rule) {
            Course::Left { before, after, deviation, since } => {
                assert!((LEFT..=MOST).contains(&deviation) && since >= onset.minus(LATE));
                Some((before, after))
            }
            _ => None,
        };
        assert_eq!(got, want, "{before:?} {since:?}");
    }

    #[test]
    fn a_figure_left_or_it_did_not() {
        let any = Rule::default();
        let noise = [10.0, 11.0, 9.0, 10.0, 12.0, 10.0, 9.0, 11.0, 10.0, 10.0, 9.0, 11.0, 10.0, 10.0, 12.0, 11.0];
        check(&noise, &[10.0, 180.0, 185.0], any, Some((10.0, 185.0)));
        check(&noise, &[10.0, 12.0, 13.0], any, None);
        check(&noise, &[10.0, f64::NAN, 12.0], any, None);
        // What never moved.
        check(&[0.0; 16], &[0.0, 1.0], any, Some((0.0, 1.0)));
        check(&[0.0; 16], &[0.0, 0.0], any, None);
        check(&[2e8; 16], &[2.05e8], any, None);
        check(&[1.0; 16], &[0.0], Rule { direction: Direction::Down, least: 0.5 }, Some((1.0, 0.0)));
        // A way that does not matter, and too little.
        check(&[1.0; 16], &[0.0], Rule { direction: Direction::Up, least: 0.0 }, None);
        check(&[0.0; 16], &[0.004], Rule { direction: Direction::Up, least: 0.01 }, None);
        // What has spikes as a habit.
        let spiky = [1.0, 1.0, 90.0, 1.0, 1.0, 1.0, 90.0, 1.0, 1.0, 1.0, 90.0, 1.0, 1.0, 1.0, 1.0, 1.0];
        check(&spiky, &[1.0, 92.0], any, None);
        // One odd point before hides nothing.
        let mut odd = [1.0; 40];
        odd[7] = 500.0;
        check(&odd, &[1.0, 60.0], any, Some((1.0, 60.0)));
        // Little is known: a new tool, or none at all.
        check(&[1.0, 1.0, 1.0], &[9.0], any, Some((1.0, 9.0)));
        check(&[1.0, 1.0], &[9.0], any, None);
        check(&noise, &[], any, None);
        check(&[], &[9.0], any, None);
    }

    #[test]
    fn what_moved_before_its_alert_is_seen_where_it_moved() {
        let onset = Time::from_secs(100_000);
        let value = |n: i64| if n < -12 { 1.0 } else { 50.0 };
        let points: Vec<_> = (-240..1).map(|n| (Time::from_secs(100_000 + 15 * n), value(n))).collect();
        let Course::Left { since, before, .. } = course(&points, onset, Rule::default()) else { panic!() };
        assert_eq!((since, before), (Time::from_secs(100_000 - 180), 1.0));
        let mut shuffled = points.clone();
        shuffled.reverse();
        assert_eq!(course(&shuffled, onset, Rule::default()), course(&points, onset, Rule::default()));
    }
}
