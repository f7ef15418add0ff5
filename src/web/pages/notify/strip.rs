//! Two weeks of a schedule as a strip: one box for each shift, gaps marked, a line for each midnight. Drawn with
//! percentages, so that the words keep their size.

use std::fmt::Write;

use jiff::ToSpan;

use crate::{
    model::*,
    notifications::policy::times,
    web::pages::{
        text, time,
        ui::{self, Markup},
    },
};
use askama::Template;

/// One box.
struct Shown {
    x: String,
    width: String,
    class: &'static str,
    name: String,
    title: String,
}

#[derive(Template)]
#[template(
    source = "<svg class=\"strip\" width=\"100%\" height=\"56\" role=\"img\" aria-label=\"{{ label }}\">{% for b in boxes %}<svg x=\"{{ b.x }}%\" y=\"2\" width=\"{{ b.width }}%\" height=\"34\"><g class=\"node {{ b.class }}\"><title>{{ b.title }}</title><rect x=\"1\" y=\"1\" width=\"100%\" height=\"32\" rx=\"3\"/><text x=\"7\" y=\"21\">{{ b.name }}</text></g></svg>{% endfor %}{% for d in days %}<line class=\"ax\" x1=\"{{ d.0 }}%\" x2=\"{{ d.0 }}%\" y1=\"38\" y2=\"43\"/><text x=\"{{ d.0 }}%\" y=\"54\" dx=\"2\">{{ d.1 }}</text>{% endfor %}</svg>",
    ext = "html"
)]
struct Strip {
    label: String,
    boxes: Vec<Shown>,
    days: Vec<(String, String)>,
}

/// `Tue 3 Mar, 09:00` where the reader is.
pub fn moment(at: Time) -> String {
    time::local(at).strftime("%a %-d %b, %H:%M").to_string()
}

/// The strip of these shifts, which follow one another.
pub fn strip(schedule: &OnCallSchedule, shifts: &[Shift], now: Time) -> Markup {
    let (Some(first), Some(last)) = (shifts.first(), shifts.last()) else { return Markup::none() };
    let (from, until) = (first.from, last.until);
    let whole = until.since(from).as_secs_f64().max(1.0);
    let place = |at: Time| format!("{:.3}", at.since(from).as_secs_f64() / whole * 100.0);
    let shown = |s: &Shift| {
        let name = s.person.as_deref().map_or_else(|| "nobody".to_owned(), text::visible);
        let class = match &s.person {
            None => "bad",
            Some(_) if s.from <= now && now < s.until => "origin",
            Some(_) if s.overridden => "warn",
            Some(_) => "",
        };
        let instead = if s.overridden { ", instead" } else { "" };
        let width = s.until.since(s.from).as_secs_f64() / whole * 100.0;
        Shown {
            x: place(s.from),
            width: format!("{width:.3}"),
            class,
            title: format!("{name}{instead}: {} to {}", moment(s.from), moment(s.until)),
            name,
        }
    };
    let gaps = shifts.iter().filter(|s| s.person.is_none()).count();
    let number = ui::plural(shifts.len() - gaps, "shift");
    let mut label = format!("Who is on call in the next two weeks: {number}");
    if gaps > 0 {
        let _ = write!(label, ", {} with nobody", ui::plural(gaps, "gap"));
    }
    Markup::of(&Strip { label, boxes: shifts.iter().map(shown).collect(), days: days(schedule, from, until, place) })
}

/// The midnights of the schedule's clock, each with its day.
fn days(schedule: &OnCallSchedule, from: Time, until: Time, place: impl Fn(Time) -> String) -> Vec<(String, String)> {
    let Some(zone) = times::zone(&schedule.time_zone) else { return Vec::new() };
    let midnight = jiff::civil::Time::midnight();
    let first = times::local(from, &zone).date();
    let each = (1..=15).filter_map(|n| {
        let day = first.checked_add(n.days()).ok()?;
        let at = times::moment(day, midnight, &zone).filter(|at| *at > from && *at < until)?;
        Some((place(at), day.strftime("%-d").to_string()))
    });
    each.collect()
}
