//! The watch panel: where things stand right now.

use std::time::Duration;

use askama::Template;

use super::{
    ridge::Ridge,
    ui::{self, When},
};
use crate::{model::*, store::Overview};

/// The panel over the list.
#[derive(Clone, Debug, Template)]
#[template(path = "fragments/watch.html")]
pub struct Watch {
    open: String,
    critical: u64,
    handled: String,
    unowned: u64,
    oldest: Option<When>,
    alerts: String,
    folded: String,
    ack: Option<(String, &'static str)>,
    ridge: Ridge,
}

impl askama::filters::HtmlSafe for Watch {}

impl Watch {
    /// From the figures at `now`.
    pub fn new(o: &Overview, now: Time) -> Self {
        Self {
            open: ui::count(o.open),
            critical: o.critical,
            handled: handled(o),
            unowned: o.unowned,
            oldest: o.oldest_unowned.map(|at| When::age(at, now)),
            alerts: ui::count(o.alerts_24h),
            folded: folded(o.alerts_24h, o.incidents_24h),
            ack: o.ack_median_ms.map(|ms| ack(Duration::from_millis(ms))),
            ridge: Ridge::new(o, now),
        }
    }
}

/// `3 being handled`, and how many call for nobody.
fn handled(o: &Overview) -> String {
    let handled = ui::count(o.open.saturating_sub(o.unowned).saturating_sub(o.muted));
    let muted = if o.muted > 0 { format!(", {} muted or snoozed", ui::count(o.muted)) } else { String::new() };
    format!("{handled} being handled{muted}")
}

/// `folded into 19, −99.6 %`.
fn folded(alerts: u64, incidents: u64) -> String {
    if alerts == 0 {
        return "none received".to_owned();
    }
    let into = format!("folded into {}", ui::count(incidents));
    // A share of a handful says nothing.
    if incidents == 0 || incidents >= alerts || alerts < 10 {
        return into;
    }
    #[allow(clippy::cast_precision_loss)]
    let less = (1.0 - incidents as f64 / alerts as f64) * 100.0;
    // 99.96 % would be rounded to "all of them".
    format!("{into}, −{:.1}\u{a0}%", (less * 10.0).floor() / 10.0)
}

/// A number and its unit.
fn ack(d: Duration) -> (String, &'static str) {
    let s = d.as_secs_f64();
    match d.as_secs() {
        0..=59 => (format!("{s:.0}"), "s"),
        60..=3599 => (format!("{:.1}", s / 60.0), "min"),
        _ => (format!("{:.1}", s / 3600.0), "h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_in_words() {
        let o = Overview { open: 7, unowned: 2, muted: 1, ..Overview::default() };
        assert_eq!(handled(&o), "4 being handled, 1 muted or snoozed");
        assert_eq!(folded(4812, 19), "folded into 19, −99.6\u{a0}%");
        assert_eq!(folded(0, 0), "none received");
        assert_eq!(folded(3, 3), "folded into 3");
        assert_eq!(folded(100_000, 1), "folded into 1, −99.9\u{a0}%");
        assert_eq!(ack(Duration::from_millis(192_000)), ("3.2".to_owned(), "min"));
    }
}
