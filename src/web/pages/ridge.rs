//! Alert volume as the outline of hills, with a fire where an incident was opened.

use std::fmt::Write;

use super::ui;
use crate::{model::*, store::Overview};

/// Width and height of the drawing.
const W: f64 = 1000.0;
const H: f64 = 60.0;
/// The marks stand in a taller box over the land, in pixels: its height, and where the land begins.
const LAND_TOP: f64 = 16.0;
const LAND_PX: f64 = 54.4;
/// More fires than this cannot be told apart.
const MARKS: usize = 24;

/// A fire.
#[derive(Clone, Debug, PartialEq)]
pub struct Mark {
    /// Per cent from the left.
    pub x: String,
    /// Pixels from the top.
    pub y: String,
    /// Radius.
    pub r: String,
    /// Width of the line around it, half of which is its glow.
    pub glow: String,
}

/// The drawing.
#[derive(Clone, Debug)]
pub struct Ridge {
    /// The hills behind: a slow average.
    pub far: String,
    /// The hills in front.
    pub near: String,
    /// Their upper line.
    pub crest: String,
    /// Fires.
    pub marks: Vec<Mark>,
    /// `peak 94 per min at 03:04`, when there was anything.
    pub peak: Option<String>,
    /// What it shows, in a sentence.
    pub label: String,
    /// Times under it.
    pub axis: Vec<String>,
}

impl Ridge {
    /// Of the last six hours before `now`.
    pub fn new(o: &Overview, now: Time) -> Self {
        let minutes = o.volume.len().max(1);
        let near = heights(&bins(&o.volume, 90));
        let far = heights(&smooth(&bins(&o.volume, 24)));
        let minute = |m: usize| now.minus(std::time::Duration::from_secs(60 * minutes.saturating_sub(m + 1) as u64));
        let top = o.volume.iter().copied().enumerate().max_by_key(|(_, v)| *v).filter(|(_, v)| *v > 0);
        let peak =
            top.map(|(m, v)| format!("peak {} per min at {}", ui::count(v), super::time::clock_short(minute(m))));
        let sum: u64 = o.volume.iter().map(|v| u64::from(*v)).sum();
        let label = match &peak {
            None => "Alerts per minute over the last six hours: none.".to_owned(),
            Some(peak) => format!(
                "Alerts per minute over the last six hours: {} in all, {peak}; {} opened.",
                ui::count(sum),
                ui::plural(o.opened.len() as u64, "incident")
            ),
        };
        let span = minutes as f64 * 60_000.0;
        let marks = o.opened.iter().rev().take(MARKS).rev().map(|m| mark(m.at, m.severity, now, span, &near)).collect();
        let axis = (0..5_usize)
            .map(|i| {
                let back = minutes as u64 * 60 * (4 - i as u64) / 4;
                super::time::clock_short(now.minus(std::time::Duration::from_secs(back)))
            })
            .collect::<Vec<_>>();
        let line = path(&near);
        Self {
            far: format!("{} L{W:.0} {H:.0} L0 {H:.0}Z", path(&far)),
            near: format!("{line} L{W:.0} {H:.0} L0 {H:.0}Z"),
            crest: line,
            marks,
            peak,
            label,
            axis: axis
                .iter()
                .take(4)
                .cloned()
                .chain(axis.last().map(|t| format!("now, {t} {}", super::time::zone_name(now))))
                .collect(),
        }
    }
}

fn mark(at: Time, severity: Severity, now: Time, span: f64, near: &[f64]) -> Mark {
    let share = 1.0 - (now.since(at).as_millis() as f64 / span).clamp(0.0, 1.0);
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let at_bin = (share * (near.len().saturating_sub(1)) as f64).round() as usize;
    let y = LAND_TOP + near.get(at_bin).copied().unwrap_or(H) * LAND_PX / H - 4.0;
    let r = match severity {
        Severity::Critical => 4.5,
        Severity::High => 3.5,
        _ => 2.5,
    };
    // Near the right edge a fire would be cut off.
    Mark {
        x: format!("{:.1}", (share * 100.0).min(99.0)),
        y: format!("{y:.0}"),
        r: format!("{r}"),
        glow: format!("{:.1}", r * 2.8),
    }
}

/// The mean of each of `n` equal parts.
fn bins(volume: &[u32], n: usize) -> Vec<f64> {
    let size = volume.len().div_ceil(n).max(1);
    volume.chunks(size).map(|c| c.iter().map(|v| f64::from(*v)).sum::<f64>() / c.len() as f64).collect()
}

fn smooth(values: &[f64]) -> Vec<f64> {
    (0..values.len())
        .map(|i| {
            let near = values.get(i.saturating_sub(1)..(i + 2).min(values.len())).unwrap_or_default();
            near.iter().sum::<f64>() / near.len().max(1) as f64 * 1.25
        })
        .collect()
}

/// Heights from the top of the drawing. A quiet night is a low hill, not noise blown up to the full height.
fn heights(values: &[f64]) -> Vec<f64> {
    let top = values.iter().copied().fold(0.0, f64::max).max(4.0);
    values.iter().map(|v| H - 6.0 - (v / top) * (H - 14.0)).collect()
}

fn path(heights: &[f64]) -> String {
    let mut out = String::new();
    if heights.is_empty() {
        let _ = write!(out, "M0 {0:.0} L{W:.0} {0:.0}", H - 6.0);
    }
    let step = W / (heights.len().saturating_sub(1).max(1)) as f64;
    for (i, y) in heights.iter().enumerate() {
        let _ = write!(out, "{}{:.0} {y:.1}", if i == 0 { "M" } else { "L" }, step * i as f64);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::views::Opened;

    #[test]
    fn the_peak_is_named_and_fires_stand_where_incidents_opened() {
        let now: Time = "2026-03-03T03:14:00Z".parse().unwrap();
        let mut volume = vec![2; 360];
        volume[349] = 94;
        let at = now.minus(std::time::Duration::from_secs(3 * 3600));
        let o = Overview {
            volume,
            opened: vec![Opened { at, id: IncidentId(1), severity: Severity::Critical }],
            ..Overview::default()
        };
        let r = Ridge::new(&o, now);
        assert_eq!(r.peak.as_deref(), Some("peak 94 per min at 03:04"));
        assert_eq!(r.marks[0].x, "50.0");
        assert_eq!(r.axis, ["21:14", "22:44", "00:14", "01:44", "now, 03:14 UTC"]);
        assert!(r.near.starts_with("M0 ") && r.near.ends_with('Z'));
    }

    #[test]
    fn nothing_is_a_flat_line_and_says_so() {
        let r = Ridge::new(&Overview::default(), Time::from_millis(0));
        assert!(r.peak.is_none() && r.label.ends_with("none."));
        assert!(!r.near.contains("NaN") && !r.far.contains("NaN"));
    }
}
