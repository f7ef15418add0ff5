//! The picture of services and who calls whom: which of them are drawn, and how. A list or table beside it says the same.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use askama::Template;

use super::{
    layers::{self, BOX, Line},
    terms::href,
    text,
    ui::{self, Markup},
};
use crate::{
    model::*,
    store::views::{Activities, Activity, Known, Origin, Topology},
    web::api::services::mentions,
};

/// Boxes drawn at most.
const BOXES: usize = 150;
/// Edges drawn at most.
const EDGES: usize = 800;
/// Characters of a name that fit into a box.
const FITS: usize = 19;

/// A box.
#[derive(Debug)]
struct Box {
    x: String,
    y: String,
    clip: f64,
    href: String,
    name: String,
    label: String,
    class: String,
    icon: Option<Markup>,
    open: Option<String>,
    current: bool,
    origin: bool,
}

/// An edge.
#[derive(Debug)]
struct Edge {
    path: String,
    head: String,
    class: &'static str,
}

/// The picture.
#[derive(Debug, Template)]
#[template(path = "fragments/service_map.html")]
pub struct Map {
    name: &'static str,
    width: String,
    height: String,
    top: &'static str,
    label: String,
    boxes: Vec<Box>,
    edges: Vec<Edge>,
    /// What is not in it, and why.
    pub notes: Vec<String>,
    /// Some edges were learned.
    pub learned: bool,
    /// Some services are not declared.
    pub undeclared: bool,
    /// Some have open incidents.
    pub burning: bool,
}

/// What is to be drawn.
pub(super) struct Graph {
    /// Of the figure.
    pub name: &'static str,
    /// What says the same in words.
    pub same: &'static str,
    /// What the numbers count, in the singular.
    pub unit: &'static str,
    /// The boxes.
    pub nodes: Vec<Node>,
    /// The edges.
    pub edges: Vec<Link>,
    /// What is not in it, and why.
    pub notes: Vec<String>,
}

/// A service, or a group of them.
#[derive(Default)]
pub(super) struct Node {
    /// As it is shown.
    pub name: String,
    /// Where it leads.
    pub href: String,
    /// Nobody declared it.
    pub undeclared: bool,
    /// It is looked at.
    pub current: bool,
    /// The trouble is thought to come from it.
    pub origin: bool,
    /// How many of the unit.
    pub count: u64,
    /// The worst of them.
    pub worst: Option<Severity>,
    /// Services in a group.
    pub of: Option<u64>,
}

/// That one calls another, by their places.
#[derive(Clone, Copy, Default)]
pub(super) struct Link {
    /// Who calls.
    pub from: usize,
    /// Who is called.
    pub to: usize,
    /// Alerts told of it; nobody declared it.
    pub learned: bool,
    /// The trouble may have gone this way.
    pub hot: bool,
}

/// Whether a service is meant by the words of the filter; in lower case.
pub fn fits(known: &Known, wanted: &str) -> bool {
    known.name.to_lowercase().contains(wanted) || known.service.as_ref().is_some_and(|s| mentions(s, wanted))
}

/// The address of the page with a service chosen.
pub fn pick(name: &str, q: &str) -> String {
    href("/topology", q, &[("service", name)])
}

impl Map {
    /// Of what is known: around the service that is chosen or what the filter lets through, else all of it, in groups when
    /// that is too much. None when nobody calls anybody.
    pub fn new(all: &Topology, activities: &Activities, chosen: Option<usize>, q: &str) -> Option<Self> {
        let linked = |n: usize| all.services.get(n).is_some_and(|k| !k.calls.is_empty() || !k.called_by.is_empty());
        let linked: Vec<usize> = (0..all.services.len()).filter(|n| linked(*n) || Some(*n) == chosen).collect();
        if linked.is_empty() {
            return None;
        }
        let wanted = q.trim().to_lowercase();
        let graph = if let Some(chosen) = chosen {
            around(all, activities, vec![chosen], usize::MAX, Some(chosen), q)
        } else if !wanted.is_empty() {
            let found = linked.iter().copied().filter(|n| all.services.get(*n).is_some_and(|k| fits(k, &wanted)));
            around(all, activities, found.collect(), 1, None, q)
        } else if linked.len() <= BOXES {
            around(all, activities, linked, 0, None, q)
        } else {
            grouped(all, activities)
        };
        (!graph.nodes.is_empty()).then(|| Self::draw(graph))
    }

    /// Lays it out.
    pub(super) fn draw(mut graph: Graph) -> Self {
        if graph.edges.len() > EDGES {
            let left = graph.edges.len() - EDGES;
            graph.notes.push(format!("{} more are not drawn.", ui::plural(left, "dependency").replace("ys", "ies")));
            graph.edges.truncate(EDGES);
        }
        let pairs: Vec<(usize, usize)> = graph.edges.iter().map(|l| (l.from, l.to)).collect();
        let laid = layers::lay(graph.nodes.len(), &pairs);
        let near = |n: usize| graph.nodes.get(n).is_some_and(|node| node.current);
        let edge = |line: Line| {
            let link = graph.edges.get(line.edge).copied().unwrap_or_default();
            let class = match (link.learned, link.hot, near(link.from) || near(link.to)) {
                (false, true, _) => "edge hot",
                (true, true, _) => "edge learned hot",
                (false, _, false) => "edge",
                (false, _, true) => "edge near",
                (true, _, false) => "edge learned",
                (true, _, true) => "edge learned near",
            };
            Edge { path: line.path, head: line.head, class }
        };
        let edges: Vec<Edge> = laid.lines.into_iter().map(edge).collect();
        let boxes: Vec<Box> = graph.nodes.iter().zip(laid.boxes).map(|(node, at)| node.draw(at, graph.unit)).collect();
        let label = format!(
            "{}: {} and {}. {} says the same.",
            graph.name,
            ui::plural(boxes.len(), if graph.nodes.iter().any(|n| n.of.is_some()) { "group" } else { "service" }),
            match edges.len() {
                1 => "1 dependency".to_owned(),
                n => format!("{} dependencies", ui::count(n)),
            },
            graph.same
        );
        // Over the box of the origin there are words.
        let high = graph.nodes.iter().any(|n| n.origin);
        Self {
            name: graph.name,
            width: format!("{:.0}", laid.size.0.ceil()),
            height: format!("{:.0}", laid.size.1.ceil() + if high { 10.0 } else { 0.0 }),
            top: if high { "-10" } else { "0" },
            label,
            learned: graph.edges.iter().any(|l| l.learned),
            undeclared: graph.nodes.iter().any(|n| n.undeclared),
            burning: graph.nodes.iter().any(|n| n.count > 0),
            boxes,
            edges,
            notes: graph.notes,
        }
    }
}

impl Node {
    fn draw(&self, at: (f64, f64), unit: &str) -> Box {
        let name = ui::plain(&self.name);
        let mut says = vec![name.clone()];
        if let Some(of) = self.of {
            says.push(ui::plural(of, "service"));
        }
        if self.undeclared {
            says.push("not declared".to_owned());
        }
        if self.origin {
            says.push("suspected origin".to_owned());
        }
        let worst = self.worst.filter(|_| self.count > 0);
        if let Some(worst) = worst {
            says.push(format!("{}, the worst {worst}", ui::plural(self.count, unit)));
        }
        let mut class = String::from(match worst {
            Some(Severity::Critical) => "node bad",
            Some(Severity::High) => "node warn",
            _ => "node",
        });
        let more = [
            (self.undeclared, " ghost"),
            (self.current, " here"),
            (self.of.is_some(), " many"),
            (self.origin, " origin"),
        ];
        for (is, more) in more {
            if is {
                class.push_str(more);
            }
        }
        let open = match (self.of, self.count) {
            (Some(of), _) => Some(format!("×{}", ui::count(of))),
            (None, 0) => None,
            (None, n) => Some(ui::count(n)),
        };
        let icon = worst.map(|s| ui::icon(&format!("sev-{s}")));
        let room = open.as_ref().map_or(0, |o| o.chars().count() + 1) + if icon.is_some() { 2 } else { 0 };
        #[allow(clippy::cast_precision_loss)]
        let clip = BOX.0 - 20.0 - room as f64 * 7.0;
        Box {
            x: format!("{:.1}", at.0),
            y: format!("{:.1}", at.1),
            clip: clip.max(20.0),
            href: self.href.clone(),
            name: text::shorten(&name, FITS.saturating_sub(room).max(6)),
            label: says.join(", "),
            class,
            icon,
            open,
            current: self.current,
            origin: self.origin,
        }
    }
}

/// The boxes in the picture: width and height.
impl Map {
    fn box_width(&self) -> f64 {
        BOX.0
    }

    fn box_height(&self) -> f64 {
        BOX.1
    }
}

/// Services and those near them, at most `BOXES`, the nearest first.
fn around(
    all: &Topology,
    activities: &Activities,
    from: Vec<usize>,
    far: usize,
    chosen: Option<usize>,
    q: &str,
) -> Graph {
    let mut places: BTreeMap<usize, usize> = BTreeMap::new();
    let mut taken = Vec::new();
    let mut left = 0;
    let mut queue: VecDeque<(usize, usize)> = from.into_iter().map(|n| (n, 0)).collect();
    while let Some((n, distance)) = queue.pop_front() {
        if places.contains_key(&n) {
            continue;
        }
        if taken.len() == BOXES {
            left += 1;
            continue;
        }
        places.insert(n, taken.len());
        taken.push(n);
        if distance < far
            && let Some(known) = all.services.get(n)
        {
            queue.extend(known.calls.iter().chain(&known.called_by).map(|c| (c.other, distance + 1)));
        }
    }
    let node = |n: &usize| {
        let known = all.services.get(*n)?;
        let (count, worst) = burning(activities, known);
        Some(Node {
            href: pick(&known.name, q),
            undeclared: known.origin != Origin::Declared,
            current: chosen == Some(*n),
            name: known.name.clone(),
            count,
            worst,
            ..Node::default()
        })
    };
    let edges = all.edges().filter_map(|(a, b, learned)| {
        let (from, to) = (places.get(&a).copied()?, places.get(&b).copied()?);
        Some(Link { from, to, learned: learned.is_some(), hot: false })
    });
    let mut notes = Vec::new();
    if left > 0 {
        notes.push(format!("The {BOXES} nearest services are drawn; choose another one to see around it."));
    }
    of_services(taken.iter().filter_map(node).collect(), edges.collect(), notes)
}

fn of_services(nodes: Vec<Node>, edges: Vec<Link>, notes: Vec<String>) -> Graph {
    Graph { name: "Map of services", same: "The list below", unit: "open incident", nodes, edges, notes }
}

/// Open incidents of a service by any of its names, and the worst of them.
pub fn burning(activities: &Activities, known: &Known) -> (u64, Option<Severity>) {
    let of = of(activities, known);
    (of.open, of.worst)
}

/// What goes on at a service, by any of its names.
pub fn of(activities: &Activities, known: &Known) -> Activity {
    let keys: BTreeSet<String> = match &known.service {
        Some(service) => service.keys().collect(),
        None => [name_key(&known.name)].into(),
    };
    let mut sum = Activity::default();
    for found in keys.iter().filter_map(|k| activities.by_service.get(k)) {
        sum.open += found.open;
        sum.alerts += found.alerts;
        sum.worst = match (sum.worst, found.worst) {
            (Some(a), Some(b)) => Some(a.worst(b)),
            (a, b) => a.or(b),
        };
    }
    sum
}

/// The group of a service when there are too many: who owns it, else the first part of its name.
fn group(known: &Known) -> String {
    let owner = known.service.as_ref().and_then(|s| s.owner.clone());
    owner.unwrap_or_else(|| {
        let first = known.name.split(['-', '_', '.', '/', ' ', ':']).find(|p| !p.is_empty());
        first.unwrap_or(&known.name).to_lowercase()
    })
}

/// What a group of services amounts to.
#[derive(Default)]
struct Group {
    services: u64,
    declared: u64,
    open: u64,
    worst: Option<Severity>,
}

/// Groups of services instead of the services.
fn grouped(all: &Topology, activities: &Activities) -> Graph {
    let mut groups: BTreeMap<String, Group> = BTreeMap::new();
    for known in all.services.iter().filter(|k| !k.calls.is_empty() || !k.called_by.is_empty()) {
        let (open, worst) = burning(activities, known);
        let of = groups.entry(group(known)).or_default();
        of.services += 1;
        of.declared += u64::from(known.origin == Origin::Declared);
        of.open += open;
        of.worst = of.worst.into_iter().chain(worst).reduce(Severity::worst);
    }
    let total = groups.len();
    let mut largest: Vec<(&String, &Group)> = groups.iter().collect();
    largest.sort_by_key(|(name, of)| (std::cmp::Reverse(of.services), *name));
    largest.truncate(BOXES);
    let places: BTreeMap<&str, usize> = largest.iter().enumerate().map(|(n, (name, _))| (name.as_str(), n)).collect();
    let of = |n: usize| all.services.get(n).and_then(|k| places.get(group(k).as_str()).copied());
    let mut edges: BTreeMap<(usize, usize), bool> = BTreeMap::new();
    for (a, b, learned) in all.edges() {
        if let (Some(a), Some(b)) = (of(a), of(b))
            && a != b
        {
            // One that is declared makes the edge of the groups a declared one.
            edges.entry((a, b)).and_modify(|l| *l &= learned.is_some()).or_insert(learned.is_some());
        }
    }
    let mut notes = vec![format!(
        "More than {BOXES} services depend on each other: they are drawn in groups, by owner or by the first part of the name. \
         Press one, or filter, to see inside."
    )];
    if total > BOXES {
        notes.push(format!("The {BOXES} largest of {} groups are drawn.", ui::count(total)));
    }
    let node = |(name, of): (&String, &Group)| Node {
        name: name.clone(),
        href: href("/topology", name, &[]),
        undeclared: of.declared == 0,
        count: of.open,
        worst: of.worst,
        of: Some(of.services),
        ..Node::default()
    };
    let edges = edges.into_iter().map(|((from, to), learned)| Link { from, to, learned, hot: false });
    of_services(largest.into_iter().map(node).collect(), edges.collect(), notes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(name: &str, owner: Option<&str>, depends_on: Vec<String>) -> Service {
        Service { name: name.into(), owner: owner.map(str::to_owned), depends_on, ..Service::default() }
    }

    fn topology(services: Vec<Service>) -> Topology {
        Topology::new(services, Vec::new(), BTreeMap::new())
    }

    fn check(all: &Topology, chosen: Option<&str>, q: &str, boxes: usize) -> Map {
        let chosen = chosen.and_then(|c| all.place(c));
        let map = Map::new(all, &Activities::default(), chosen, q).unwrap();
        assert_eq!(map.boxes.len(), boxes, "{chosen:?} {q}");
        map
    }

    #[test]
    fn what_is_too_much_is_drawn_in_groups_and_from_near() {
        // Two hundred in a chain, of four teams; the last has no owner.
        let chain: Vec<Service> = (0..200)
            .map(|n| {
                let owner = ["shop", "money", "search"].get(n % 4).copied();
                service(&format!("old-{n}"), owner, vec![format!("old-{}", n + 1)])
            })
            .collect();
        let all = topology(chain);
        let map = check(&all, None, "", 4);
        assert!(map.notes[0].contains("in groups"));
        assert!(map.render().unwrap().contains("href=\"/topology?q=money\""));
        let map = check(&all, Some("old-100"), "", 150);
        assert!(map.notes[0].contains("nearest") && map.boxes.iter().filter(|b| b.current).count() == 1);
        // Those found, and what is beside them.
        check(&all, None, "old-77", 3);
        assert!(Map::new(&topology(vec![service("a", None, vec![])]), &Activities::default(), None, "").is_none());
        check(&topology(vec![service("a", None, vec!["b".into()]), service("c", None, vec![])]), None, "", 2);
    }

    #[test]
    fn severity_is_said_three_ways_and_names_stay_text() {
        let evil = "<script>alert(1)</script>\u{202e}";
        let all = topology(vec![service(evil, None, vec!["\"><b>".into()]), service("alias", None, vec![evil.into()])]);
        let burns = Activity { open: 3, worst: Some(Severity::Critical), ..Activity::default() };
        let activities = Activities { by_service: [("alias".to_owned(), burns)].into(), exact: true };
        let html = Map::new(&all, &activities, None, "").unwrap().render().unwrap();
        assert!(!html.contains("<script") && !html.contains("<b>") && !html.contains('\u{202e}'), "{html}");
        for part in
            ["node bad", "sev-critical", "3\u{a0}open incidents, the worst critical", "node ghost", "not declared"]
        {
            assert!(html.contains(part), "{part}: {html}");
        }
    }
}
