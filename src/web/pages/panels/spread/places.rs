//! Where the alerts of an incident are: a service by any of its names, else a machine.

use std::collections::BTreeMap;

use super::Scene;
use crate::{
    model::*,
    store::views::Dot,
    web::pages::{terms, text},
};

/// Names of one place in a query.
const NAMES: usize = 5;

/// A place with its alerts.
#[derive(Debug)]
pub(super) struct Place<'a> {
    /// As it is shown.
    pub name: String,
    /// It is a service, not a machine.
    pub is_service: bool,
    /// Its place among all services.
    pub service: Option<usize>,
    /// Its alerts in order of onset.
    pub dots: Vec<&'a Dot>,
    /// The worst of them.
    pub worst: Severity,
    /// The first onset.
    pub first: Time,
    /// The last onset.
    pub last: Time,
    /// The trouble is thought to come from here.
    pub origin: bool,
    /// Its alerts in the list of alerts.
    pub href: String,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Known(usize),
    Service(String),
    Host(String),
    Nowhere,
}

impl Key {
    fn of(scene: &Scene, service: Option<&str>, host: Option<&str>) -> Self {
        match (service, host) {
            (Some(s), _) => scene.services.place(s).map_or_else(|| Self::Service(name_key(s)), Self::Known),
            (None, Some(h)) => Self::Host(name_key(h)),
            (None, None) => Self::Nowhere,
        }
    }
}

/// All places, the one that began first.
pub(super) fn places<'a>(i: &Incident, scene: &'a Scene, leading: Option<&Cause>) -> Vec<Place<'a>> {
    let mut found: BTreeMap<Key, Vec<&Dot>> = BTreeMap::new();
    for dot in &scene.dots {
        found.entry(Key::of(scene, dot.service.as_deref(), dot.host.as_deref())).or_default().push(dot);
    }
    let origin = leading.map(|c| Key::of(scene, c.service.as_deref(), c.host.as_deref()));
    let place = |(key, dots): (Key, Vec<&'a Dot>)| {
        let (first, last) = dots.first().copied().zip(dots.last().copied())?;
        let (name, service) = match &key {
            Key::Known(n) => (scene.services.name(*n).to_owned(), Some(*n)),
            Key::Service(_) => (first.service.clone().unwrap_or_default(), None),
            Key::Host(_) => (first.host.clone().unwrap_or_default(), None),
            Key::Nowhere => ("without a place".to_owned(), None),
        };
        Some(Place {
            href: href(i.id, &key, &dots),
            origin: key != Key::Nowhere && origin.as_ref() == Some(&key),
            is_service: matches!(key, Key::Known(_) | Key::Service(_)),
            worst: dots.iter().map(|d| d.severity).reduce(Severity::worst).unwrap_or(first.severity),
            first: first.at,
            last: last.at,
            name: text::visible(&name),
            service,
            dots,
        })
    };
    let mut all: Vec<Place<'_>> = found.into_iter().filter_map(place).collect();
    // The sort is stable: what began together stays in the order of the services.
    all.sort_by_key(|p| p.first);
    all
}

fn href(id: IncidentId, key: &Key, dots: &[&Dot]) -> String {
    let of = |field: &str, name: fn(&Dot) -> Option<&str>| {
        let mut names: Vec<&str> = Vec::new();
        for name in dots.iter().filter_map(|d| name(d)) {
            if names.len() < NAMES && !names.contains(&name) {
                names.push(name);
            }
        }
        let names: Vec<String> = names.into_iter().map(terms::quote).collect();
        format!("incident:{id} {field}:{}", names.join(","))
    };
    let q = match key {
        Key::Known(_) | Key::Service(_) => of("service", |d| d.service.as_deref()),
        Key::Host(_) => of("host", |d| d.host.as_deref()),
        Key::Nowhere => format!("incident:{id}"),
    };
    terms::href("/alerts", &q, &[])
}
