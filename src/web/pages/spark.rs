//! A row of numbers as a small line, with its meaning in words beside it.

use std::fmt::Write;

use askama::Template;

use super::ui::Markup;
use crate::model::{ConnectorCounters, Time};

const W: f64 = 40.0;
const TOP: f64 = 1.5;
const FOOT: f64 = 16.5;

/// What was accepted in each of the last 24 hours; nothing when that is nothing.
pub fn day(c: &ConnectorCounters, now: Time) -> Markup {
    let hour = now.millis().div_euclid(3_600_000);
    let counts: Vec<u64> = (hour - 23..=hour).map(|h| c.hours.get(&h).map_or(0, |(accepted, _)| *accepted)).collect();
    if counts.iter().all(|n| *n == 0) { Markup::none() } else { line(&counts) }
}

fn line(values: &[u64]) -> Markup {
    #[derive(Template)]
    #[template(
        source = "<svg class=\"spark\" viewBox=\"0 0 40 18\" preserveAspectRatio=\"none\" aria-hidden=\"true\"><path d=\"{{ path }}\"/></svg>",
        ext = "html"
    )]
    struct Spark {
        path: String,
    }
    let most = values.iter().copied().max().unwrap_or(0).max(1) as f64;
    let step = W / values.len().saturating_sub(1).max(1) as f64;
    let mut path = String::new();
    for (n, value) in values.iter().enumerate() {
        let (x, y) = (n as f64 * step, FOOT - *value as f64 / most * (FOOT - TOP));
        let _ = write!(path, "{}{x:.1} {y:.1}", if n == 0 { "M" } else { " L" });
    }
    Markup::of(&Spark { path })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::pages::samples;

    #[test]
    fn the_line_goes_from_foot_to_top() {
        assert!(line(&[0, 5, 10]).to_string().contains("\"M0.0 16.5 L20.0 9.0 L40.0 1.5\""));
        let mut c = ConnectorCounters::default();
        assert_eq!(day(&c, samples::now()), Markup::none());
        c.count(samples::now(), true);
        assert!(day(&c, samples::now()).to_string().contains("L40.0 1.5"));
    }
}
