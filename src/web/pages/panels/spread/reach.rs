//! The services of an incident and those beside them, as a map with the suspected origin in ember.

use std::collections::{BTreeMap, BTreeSet};

use super::{ROWS, Scene, places::Place};
use crate::{
    model::*,
    store::views::Origin,
    web::pages::{
        map::{Graph, Link, Map, Node, pick},
        text,
        ui::{self, Markup},
    },
};

/// Services with alerts in the picture, and services beside them.
const TOUCHED: usize = 24;
const BESIDE: usize = 10;

/// An edge in the table.
#[derive(Debug)]
pub(super) struct Row {
    pub from: Markup,
    pub to: Markup,
    pub learned: bool,
    pub alerts: String,
}

/// The map with its table.
#[derive(Debug)]
pub(super) struct Reach {
    pub map: Option<Map>,
    pub rows: Vec<Row>,
    taken: BTreeSet<usize>,
    left: Vec<String>,
}

impl Reach {
    /// Around the places that are services.
    pub fn new(scene: &Scene, places: &[Place<'_>], leading: Option<&Cause>) -> Self {
        let all = &scene.services;
        let origin = leading.and_then(|c| c.service.as_deref()).and_then(|s| all.place(s));
        let alerting: BTreeMap<usize, &Place<'_>> = places.iter().filter_map(|p| p.service.map(|n| (n, p))).collect();
        // The origin leads, and may have no alert of its own.
        let wanted = origin.into_iter().chain(places.iter().filter_map(|p| p.service));
        let mut taken: Vec<usize> = Vec::new();
        for n in wanted {
            if taken.len() < TOUCHED && !taken.contains(&n) {
                taken.push(n);
            }
        }
        let touched: BTreeSet<usize> = taken.iter().copied().collect();
        let mut beside: BTreeMap<usize, usize> = BTreeMap::new();
        for known in taken.iter().filter_map(|n| all.services.get(*n)) {
            for call in known.calls.iter().chain(&known.called_by).filter(|c| !touched.contains(&c.other)) {
                *beside.entry(call.other).or_default() += 1;
            }
        }
        let mut beside: Vec<(usize, usize)> = beside.into_iter().collect();
        // Those with most ties to what alerts come first.
        beside.sort_by_key(|(n, ties)| (std::cmp::Reverse(*ties), *n));
        let mut left = Vec::new();
        if alerting.len() > TOUCHED {
            left.push(format!("The map shows {TOUCHED} of {} services with alerts.", ui::count(alerting.len())));
        }
        if beside.len() > BESIDE {
            left.push(format!("{} more beside them are not drawn.", ui::plural(beside.len() - BESIDE, "service")));
        }
        taken.extend(beside.into_iter().take(BESIDE).map(|(n, _)| n));
        let at: BTreeMap<usize, usize> = taken.iter().enumerate().map(|(at, n)| (*n, at)).collect();

        let mut links = Vec::new();
        let mut rows = Vec::new();
        for (a, b, learned) in all.edges() {
            let Some((from, to)) = at.get(&a).copied().zip(at.get(&b).copied()) else { continue };
            let hot = touched.contains(&a) && touched.contains(&b);
            links.push(Link { from, to, learned: learned.is_some(), hot });
            let count = |n: &usize| alerting.get(n).map_or(0, |p| p.dots.len());
            rows.push(Row {
                from: ui::foreign(&text::shorten(all.name(a), 80)),
                to: ui::foreign(&text::shorten(all.name(b), 80)),
                learned: learned.is_some(),
                alerts: format!("{}, {}", ui::count(count(&a)), ui::count(count(&b))),
            });
        }
        rows.truncate(ROWS);
        // What has no edge says nothing on a map, unless it is the origin.
        let tied: BTreeSet<usize> = links.iter().flat_map(|l| [l.from, l.to]).collect();
        let places_of: BTreeMap<usize, usize> = tied.iter().enumerate().map(|(new, old)| (*old, new)).collect();
        for link in &mut links {
            link.from = places_of.get(&link.from).copied().unwrap_or_default();
            link.to = places_of.get(&link.to).copied().unwrap_or_default();
        }
        let node = |n: &usize| {
            let known = all.services.get(*n)?;
            let place = alerting.get(n);
            Some(Node {
                name: known.name.clone(),
                href: place.map_or_else(|| pick(&known.name, ""), |p| p.href.clone()),
                undeclared: known.origin != Origin::Declared,
                origin: origin == Some(*n),
                count: place.map_or(0, |p| p.dots.len() as u64),
                worst: place.map(|p| p.worst),
                ..Node::default()
            })
        };
        let nodes: Vec<Node> = tied.iter().filter_map(|at| taken.get(*at)).filter_map(node).collect();
        let graph = Graph {
            name: "Services it touches",
            same: "The table below",
            unit: "alert",
            nodes,
            edges: links,
            notes: Vec::new(),
        };
        Self {
            map: (!graph.nodes.is_empty()).then(|| Map::draw(graph)),
            rows,
            taken: taken.into_iter().collect(),
            left,
        }
    }

    /// There is no map.
    pub fn is_empty(&self) -> bool {
        self.map.is_none()
    }

    /// What is not in it.
    pub fn left(&self) -> impl Iterator<Item = String> + '_ {
        self.left.iter().cloned()
    }

    /// Whether a service is among those that alert or stand beside one.
    pub fn knows(&self, service: Option<usize>, name: &str, places: &[Place<'_>]) -> bool {
        match service {
            Some(n) => self.taken.contains(&n),
            None => places.iter().any(|p| name_key(&p.name) == name_key(name)),
        }
    }

    /// The picture.
    pub fn drawn(&self) -> Markup {
        self.map.as_ref().map_or_else(Markup::none, Markup::of)
    }
}
