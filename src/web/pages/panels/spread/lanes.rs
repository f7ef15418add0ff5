//! Alerts on an axis of time, a lane for each place. Alerts that would cover each other are one mark with their number,
//! so that ten thousand cost no more than some hundred.

use std::{collections::BTreeSet, time::Duration};

use super::{moment, places::Place};
use crate::{
    model::*,
    web::pages::{
        text, time,
        ui::{self, count},
    },
};

/// Lanes drawn; the table has the rest.
const LANES: usize = 12;
/// The axis begins here, right of the names, and ends there.
const LEFT: f64 = 140.0;
const RIGHT: f64 = 806.0;
/// Width of the drawing, height of a lane, the middle of the first.
pub(super) const WIDTH: f64 = 820.0;
const LANE: f64 = 29.0;
const TOP: f64 = 36.0;
/// Characters of a name that fit.
const FITS: usize = 19;
/// Half of a mark; a letter, and a digit, where the typeface is wide.
const HALF: f64 = 7.5;
const LETTER: f64 = 5.9;
const DIGIT: f64 = 7.0;
/// With more marks than this the words of each are left to the table.
const TITLES: usize = 60;
/// Changes drawn as lines.
const LINES: usize = 12;
/// A picture is of at least this time.
const SHORTEST: Duration = Duration::from_secs(300);
/// Changes are drawn that came this long before the first alert.
const NEAR: Duration = Duration::from_secs(1800);
/// Distances between times on the axis, in seconds.
const STEPS: &[i64] =
    &[5, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 21_600, 43_200, 86_400, 172_800, 604_800, 2_592_000];
/// Times on the axis at most.
const TICKS: i64 = 7;

/// A lane.
#[derive(Debug)]
pub(super) struct Lane {
    pub y: f64,
    pub name: String,
    pub hot: bool,
}

/// A time on the axis.
#[derive(Debug)]
pub(super) struct Tick {
    pub x: String,
    pub label: String,
}

/// A line down all lanes.
#[derive(Debug)]
pub(super) struct Line {
    pub x: String,
    pub title: String,
    pub label: Option<(String, String)>,
}

/// One or more alerts.
#[derive(Debug)]
pub(super) struct Mark {
    pub x: String,
    pub y: f64,
    pub shape: Severity,
    pub number: Option<(String, String)>,
    pub title: Option<String>,
}

/// The picture.
#[derive(Debug)]
pub(super) struct Lanes {
    pub height: f64,
    pub foot: f64,
    pub label: String,
    pub band: (String, String),
    pub lanes: Vec<Lane>,
    pub ticks: Vec<Tick>,
    pub lines: Vec<Line>,
    pub opened: Line,
    pub shapes: BTreeSet<Severity>,
    pub marks: Vec<Mark>,
    pub more: Option<String>,
}

/// From times to places on the axis.
#[derive(Clone, Copy)]
struct Axis {
    from: i64,
    to: i64,
}

impl Axis {
    fn x(self, at: Time) -> f64 {
        let span = (self.to - self.from).max(1) as f64;
        LEFT + (at.millis() - self.from) as f64 / span * (RIGHT - LEFT)
    }

    fn ticks(self) -> Vec<Tick> {
        let span = (self.to - self.from) / 1000;
        let step = STEPS.iter().copied().find(|s| span / s < TICKS).unwrap_or(span.max(1)) * 1000;
        let first = self.from.div_euclid(step) + 1;
        let tick = |n: i64| {
            let at = Time::from_millis(n * step);
            let midnight = at.millis().rem_euclid(86_400_000) == 0;
            let label = if step >= 86_400_000 || (midnight && span > 43_200) {
                crate::web::pages::time::local(at).strftime("%-d %b").to_string()
            } else {
                moment(at, step < 60_000)
            };
            Tick { x: px(self.x(at)), label }
        };
        // Where a word would be cut off at the edge there is none.
        let fits = |n: &i64| self.x(Time::from_millis(n * step)) < RIGHT - 4.0;
        (first..=self.to.div_euclid(step)).filter(fits).map(tick).collect()
    }
}

fn px(x: f64) -> String {
    format!("{x:.1}")
}

impl Lanes {
    /// None without an alert.
    pub fn new(i: &Incident, places: &[Place<'_>], changes: &[&Change]) -> Option<Self> {
        let first = places.iter().map(|p| p.first).min()?;
        let last = places.iter().map(|p| p.last).max()?.max(i.detected_at);
        let reach = NEAR.max(last.since(first));
        let near = |c: &&&Change| c.at.is_some_and(|at| at >= first.minus(reach) && at <= last);
        let near: Vec<&Change> = changes.iter().filter(near).take(LINES).copied().collect();
        let begin = near.iter().filter_map(|c| c.at).min().map_or(first, |at| at.min(first)).min(i.detected_at);
        let span = last.since(begin).max(SHORTEST);
        let pad = span / 20;
        let axis = Axis { from: begin.minus(pad).millis(), to: begin.plus(span + pad).millis() };

        let shown = shown(places);
        let foot = TOP + LANE * (shown.len().max(1) - 1) as f64 + 20.0;
        let mut marks: Vec<Mark> = Vec::new();
        for (place, y) in shown.iter().zip(0..).map(|(p, n)| (*p, TOP + LANE * f64::from(n))) {
            marks.extend(clusters(place, axis).into_iter().map(|c| c.mark(y)));
        }
        if marks.len() > TITLES {
            marks.iter_mut().for_each(|m| m.title = None);
        }
        let opened = line(
            axis,
            i.detected_at,
            &format!("incident opened {}", time::clock_short(i.detected_at)),
            &mut Vec::new(),
        );
        let mut taken = opened.1;
        let lines = near.iter().filter_map(|c| Some(line(axis, c.at?, &short(c), &mut taken).0)).collect();
        let left = LEFT.max(axis.x(first) - 2.0 * HALF);
        let end = i.resolved_at.map_or(RIGHT, |at| axis.x(at).clamp(left, RIGHT));
        Some(Self {
            height: foot + 26.0,
            foot,
            label: label(i, places, &near),
            band: (px(left), px(end - left)),
            lanes: shown
                .iter()
                .zip(0..)
                .map(|(p, n)| Lane { y: TOP + LANE * f64::from(n), name: text::shorten(&p.name, FITS), hot: p.origin })
                .collect(),
            ticks: axis.ticks(),
            lines,
            opened: opened.0,
            shapes: marks.iter().map(|m| m.shape).collect(),
            marks,
            more: (places.len() > LANES).then(|| {
                let n = places.len() - LANES;
                let unit = if places.iter().all(|p| p.is_service) { "service" } else { "place" };
                format!("and {} more {unit}{}", count(n), if n == 1 { "" } else { "s" })
            }),
        })
    }

    pub fn width(&self) -> f64 {
        WIDTH
    }

    pub fn right(&self) -> f64 {
        RIGHT
    }

    pub fn left(&self) -> f64 {
        LEFT
    }
}

/// The first lanes; the one of the origin is among them.
fn shown<'a, 'b>(places: &'b [Place<'a>]) -> Vec<&'b Place<'a>> {
    let mut shown: Vec<&Place<'_>> = places.iter().take(LANES).collect();
    if let Some(origin) = places.iter().skip(LANES).find(|p| p.origin) {
        shown.pop();
        shown.push(origin);
    }
    shown
}

/// Alerts that stand so near to each other that they are one mark.
struct Cluster<'a> {
    x: f64,
    n: usize,
    worst: Severity,
    first: Time,
    last: Time,
    title: &'a str,
}

impl Cluster<'_> {
    /// Where the next mark may stand.
    fn free(&self) -> f64 {
        let number = if self.n > 1 { DIGIT * (2 + self.n.ilog10()) as f64 + 4.0 } else { 0.0 };
        self.x + 2.0 * HALF + number
    }

    fn mark(self, y: f64) -> Mark {
        let when = match (moment(self.first, true), moment(self.last, true)) {
            (a, b) if a == b => a,
            (a, b) => format!("{a} to {b}"),
        };
        let title = match self.n {
            1 => format!("{}, {}, {when}", text::visible(&text::shorten(self.title, 80)), self.worst),
            n => format!("{}, {} at worst, {when}", ui::plural(n, "alert"), self.worst),
        };
        Mark {
            x: px(self.x),
            y,
            shape: self.worst,
            number: (self.n > 1).then(|| (px(self.x + HALF + 1.5), format!("×{}", self.n))),
            title: Some(title),
        }
    }
}

fn clusters<'a>(place: &Place<'a>, axis: Axis) -> Vec<Cluster<'a>> {
    let mut found: Vec<Cluster<'a>> = Vec::new();
    for dot in &place.dots {
        let x = axis.x(dot.at);
        match found.last_mut() {
            Some(c) if x < c.free() => {
                c.n += 1;
                c.worst = c.worst.worst(dot.severity);
                c.last = dot.at;
            }
            _ => found.push(Cluster { x, n: 1, worst: dot.severity, first: dot.at, last: dot.at, title: &dot.title }),
        }
    }
    found
}

/// `deploy 2.31.0`.
fn short(c: &Change) -> String {
    let what = c.version.as_deref().filter(|v| v.chars().count() <= 20).unwrap_or(&c.title);
    format!("{} {}", c.kind, text::visible(&text::shorten(what, 20)))
}

/// A line, with words over it where there is room for them.
fn line(axis: Axis, at: Time, words: &str, taken: &mut Vec<(f64, f64)>) -> (Line, Vec<(f64, f64)>) {
    let x = axis.x(at).clamp(LEFT, RIGHT);
    let half = words.chars().count() as f64 * LETTER / 2.0;
    let middle = x.clamp(half, WIDTH - half);
    let (from, to) = (middle - half - 4.0, middle + half + 4.0);
    let free = taken.iter().all(|(a, b)| to <= *a || from >= *b);
    if free {
        taken.push((from, to));
    }
    let title = format!("{words}, {}", time::full(at));
    (Line { x: px(x), title, label: free.then(|| (px(middle), words.to_owned())) }, taken.clone())
}

/// What the picture shows, in sentences.
fn label(i: &Incident, places: &[Place<'_>], changes: &[&Change]) -> String {
    let total: usize = places.iter().map(|p| p.dots.len()).sum();
    let names = places.iter().take(4).map(|p| format!("{} from {}", text::shorten(&p.name, 60), time::clock(p.first)));
    let mut names: Vec<String> = names.collect();
    if places.len() > 4 {
        names.push(format!("{} more", count(places.len() - 4)));
    }
    let mut label = format!("{} over time: {}.", ui::plural(total, "alert"), names.join(", "));
    if let Some(c) = changes.first() {
        let at = c.at.map(|at| format!(" at {}", time::clock(at))).unwrap_or_default();
        label.push_str(&format!(" The last change is {}{at}.", text::visible(&text::shorten(&c.title, 80))));
    }
    label.push_str(&format!(" Opened at {}. The table below says the same.", time::clock(i.detected_at)));
    label
}
