//! How it spread: the alerts of an incident over time, a lane for each place, and the services around them. Both are
//! drawn here, and both stand as a table beside their picture.

mod lanes;
mod places;
mod reach;
#[cfg(test)]
pub mod tests;

use std::time::Duration;

use askama::Template;
use askama::filters::HtmlSafe;

use self::{
    lanes::Lanes,
    places::{Place, places},
    reach::Reach,
};
use crate::{
    model::*,
    store::{
        StoreError, View,
        views::{Dot, Topology},
    },
    web::pages::{
        panels::answer::leading,
        text, time,
        ui::{self, Markup, When},
    },
};

/// Alerts read: of more, those received first.
const DOTS: usize = 4_000;
/// Changes this long before the first alert are read, and so many.
const BEFORE: Duration = Duration::from_secs(2 * 3600);
const CHANGES: usize = 200;
/// Rows of each table.
const ROWS: usize = 50;

/// What the pictures are made from, of one snapshot.
#[derive(Clone, Debug, Default)]
pub struct Scene {
    /// Its alerts in order of onset.
    pub dots: Vec<Dot>,
    /// Changes before and while they fired, latest first.
    pub changes: Vec<Change>,
    /// Services, and who calls whom.
    pub services: Topology,
}

impl Scene {
    /// Reads it.
    pub fn of(view: &View, i: &Incident) -> Result<Self, StoreError> {
        let dots = view.dots(i.id, DOTS)?;
        let Some((first, last)) = dots.first().zip(dots.last()) else { return Ok(Self::default()) };
        let changes = view.changes(None, first.at.minus(BEFORE), last.at.max(i.detected_at), CHANGES)?;
        // Names that nobody declared come from the alerts themselves.
        let told = dots.iter().filter_map(|d| d.service.clone()).map(|s| (name_key(&s), s)).collect();
        Ok(Self { services: Topology::new(view.services()?, view.learned_edges()?, told), dots, changes })
    }

    /// The last change before it began, of its services or of one beside them.
    pub fn last_change(&self, i: &Incident) -> Option<&Change> {
        let places = places(i, self, None);
        let reach = Reach::new(self, &places, None);
        let onset = self.dots.first().map_or(i.onset_at, |d| d.at);
        self.changes.iter().find(|c| c.at.is_some_and(|at| at <= onset) && self.is_near(c, &reach, &places))
    }

    fn is_near(&self, c: &Change, reach: &Reach, places: &[Place<'_>]) -> bool {
        c.service.as_deref().is_some_and(|s| reach.knows(self.services.place(s), s, places))
    }
}

/// A place in the table.
#[derive(Debug)]
struct PlaceRow {
    name: Markup,
    href: String,
    origin: bool,
    alerts: String,
    worst: Markup,
    first: When,
    last: When,
}

/// A change in the table.
#[derive(Debug)]
struct ChangeRow {
    at: When,
    what: Markup,
    url: Option<String>,
    place: Markup,
    distance: String,
}

/// The panel.
#[derive(Debug, Template)]
#[template(path = "fragments/spread.html")]
pub struct Spread {
    sub: String,
    lanes: Option<Lanes>,
    rows: Vec<PlaceRow>,
    more: Option<String>,
    changes: Vec<ChangeRow>,
    reach: Option<Reach>,
    /// Why there is no map, or what is not in it.
    notes: Vec<String>,
}
impl HtmlSafe for Spread {}

impl Spread {
    /// Of an incident, with the cause that leads in ember.
    pub fn new(i: &Incident, scene: &Scene, answer: &Investigation, now: Time) -> Self {
        let places = places(i, scene, leading(answer));
        let reach = Reach::new(scene, &places, leading(answer));
        let changes: Vec<&Change> = scene.changes.iter().filter(|c| scene.is_near(c, &reach, &places)).collect();
        let onset = scene.dots.first().map_or(i.onset_at, |d| d.at);
        let mut notes = Vec::new();
        let read = scene.dots.len() as u64;
        if read < i.alert_count && read as usize >= DOTS {
            notes.push(format!("The first {} alerts of {}.", ui::count(read), ui::count(i.alert_count)));
        }
        let drawn = !reach.is_empty();
        if drawn {
            notes.extend(reach.left());
        } else if places.len() > 1 {
            notes.push("Nothing is known of who calls whom among these, so there is no map.".to_owned());
        }
        Self {
            sub: sub(&places, scene),
            lanes: Lanes::new(i, &places, &changes),
            more: (places.len() > ROWS).then(|| format!("And {} more.", ui::count(places.len() - ROWS))),
            rows: places.iter().take(ROWS).map(|p| p.row(now)).collect(),
            changes: changes.iter().rev().take(ROWS).map(|c| change_row(c, onset, now)).collect(),
            reach: drawn.then_some(reach),
            notes,
        }
    }
}

/// `14 alerts on 5 services in 15 min`.
fn sub(places: &[Place<'_>], scene: &Scene) -> String {
    let Some((first, last)) = scene.dots.first().zip(scene.dots.last()) else { return String::new() };
    let unit = if places.iter().all(|p| p.is_service) { "service" } else { "place" };
    let span = last.at.since(first.at);
    let span = if span.is_zero() { String::new() } else { format!(" in {}", ui::duration(span)) };
    format!("{} on {}{span}", ui::plural(scene.dots.len(), "alert"), ui::plural(places.len(), unit))
}

impl Place<'_> {
    fn row(&self, now: Time) -> PlaceRow {
        PlaceRow {
            name: ui::foreign(&text::shorten(&self.name, 80)),
            href: self.href.clone(),
            origin: self.origin,
            alerts: ui::count(self.dots.len()),
            worst: ui::severity(self.worst),
            first: When::clock(self.first, now),
            last: When::clock(self.last, now),
        }
    }
}

fn change_row(c: &Change, onset: Time, now: Time) -> ChangeRow {
    let at = c.at.unwrap_or(onset);
    let distance = ui::duration(onset.distance(at));
    ChangeRow {
        at: When::clock(at, now),
        what: ui::foreign(&format!("{}: {}", text::capital(c.kind.as_str()), text::shorten(&c.title, 120))),
        url: text::url(&c.url).map(str::to_owned),
        place: ui::foreign(&text::shorten(c.service.as_deref().unwrap_or_default(), 80)),
        distance: if at <= onset {
            format!("{distance} before the first alert")
        } else {
            format!("{distance} after the first alert")
        },
    }
}

/// `03:02` on the day of the incident; the seconds where the picture is about seconds.
fn moment(at: Time, seconds: bool) -> String {
    if seconds { time::clock(at) } else { time::clock_short(at) }
}
