//! The incident list: what needs somebody, first.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use askama::Template;

use super::{
    facets::{Facet, Link, Tab, facets, sinces, tabs},
    frame::Frame,
    list::{Asked, Grouping},
    nothing::Nothing,
    row::{Need, Row},
    saved::{Keep, Own},
    terms::{self, href},
    ui,
    watch::Watch,
};
use crate::{
    model::*,
    query::Sort,
    search::Counts,
    store::{Listing, Overview, Spark},
    web::saved_views::Kept,
};

/// What the list shows when nothing is asked for.
pub const DEFAULT_QUERY: &str = "status:open closed:<12h";
/// Closed ones of this age stay in the default list.
pub const CLOSED_WITHIN: Duration = Duration::from_secs(12 * 3600);
/// Rows on a page.
pub const PAGE: usize = 50;
/// Closed rows under the open ones.
pub const CLOSED_ROWS: usize = 10;
/// From here on rows one by one help nobody.
pub const STORM: u64 = 1_000;
/// Open ones that are read to count a storm by service.
pub const STORM_READ: usize = 5_000;
const STORM_SERVICES: usize = 24;

/// What was found.
#[derive(Clone, Debug)]
pub enum Found {
    /// The default list.
    Default {
        /// Open ones, newest id first, and how many there are.
        open: (Vec<Incident>, u64),
        /// Closed ones, latest end first, and how many there are.
        closed: (Vec<Incident>, u64),
    },
    /// One page of what a query matched, newest id first.
    Page(Listing<Incident>),
    /// The newest that a query matched, to be put into an order.
    Sorted(Listing<Incident>),
    /// Those that come first in the order, of all that a query matched.
    Ranked(Listing<Incident>),
}

/// Why a query cannot be understood.
#[derive(Clone, Debug)]
pub struct QueryError {
    /// What is wrong and what would be right.
    pub message: String,
    /// The term.
    pub at: Option<String>,
    /// The term that was probably meant, and the query with it; on pages of incidents its address.
    pub meant: Option<(String, String)>,
    /// What is shown instead.
    pub shown: String,
}

/// All that the page is made from.
#[derive(Debug)]
pub struct Input {
    /// Figures.
    pub overview: Overview,
    /// Incidents.
    pub found: Found,
    /// Name in URLs and name for people of the platforms to choose from.
    pub sources: Vec<(String, String)>,
    /// The query as typed, which may be wrong; empty for the default.
    pub typed: String,
    /// What the address asks for, with the query that is shown.
    pub asked: Asked,
    /// Incidents of each value of a facet.
    pub counts: Counts,
    /// Open incidents of each value, where there are very many.
    pub storm: Option<Counts>,
    /// Who reads.
    pub me: String,
    /// The query was not understood.
    pub error: Option<QueryError>,
    /// What to show instead, before the first alert.
    pub teach: Option<Teach>,
    /// The red banner of an action that was refused.
    pub refused: Option<ui::Markup>,
    /// Why nothing was found.
    pub nothing: Option<Nothing>,
    /// What joined them in the last hour.
    pub sparks: BTreeMap<IncidentId, Spark>,
    /// To whom one can be given.
    pub people: Vec<String>,
    /// Saved views of the reader.
    pub views: Vec<Kept>,
}

/// What is done with all that match, beyond the page.
#[derive(Clone, Debug)]
pub struct All {
    count: String,
    q: String,
}

/// A word to choose and where it leads.
#[derive(Clone, Debug)]
pub struct Choose {
    name: &'static str,
    href: String,
    current: bool,
}

/// Rows that need the same.
#[derive(Clone, Debug)]
pub struct Group {
    key: &'static str,
    name: ui::Markup,
    count: String,
    all: Option<String>,
    rows: Vec<Row>,
}

impl Group {
    /// Nothing in it: there for live rows only.
    pub fn hidden(&self) -> bool {
        self.rows.is_empty()
    }
}

/// The foot of the list.
#[derive(Clone, Debug)]
pub struct Pager {
    text: String,
    newer: Option<String>,
    older: Option<String>,
    word: &'static str,
}

/// More open than can be read.
#[derive(Clone, Debug)]
pub struct Storm {
    total: String,
    shown: usize,
    services: Vec<Counted>,
}

/// A service with its number of open incidents.
#[derive(Clone, Debug)]
pub struct Counted {
    name: ui::Markup,
    href: String,
    count: String,
}

/// Why there are no rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Empty {
    /// There are.
    No,
    /// Nothing burns.
    Quiet,
    /// The query matches nothing.
    NoMatch,
}

/// Before the first alert.
#[derive(Clone, Debug)]
pub struct Teach {
    /// A command that works.
    pub curl: String,
    /// Where the key is found.
    pub key_place: String,
    /// What can be connected.
    pub connectors: Vec<&'static crate::connectors::Info>,
}

/// The page.
#[derive(Debug, Template)]
#[template(path = "pages/incidents.html")]
pub struct ListPage {
    frame: Frame,
    refused: Option<ui::Markup>,
    teach: Option<Teach>,
    watch: Watch,
    tabs: Vec<Tab>,
    /// In the text field: as typed.
    typed: String,
    /// The query of the rows below.
    q: String,
    error: Option<QueryError>,
    facets: Vec<Facet>,
    since: Option<String>,
    sinces: Vec<Link>,
    filtered: bool,
    storm: Option<Storm>,
    view: &'static str,
    groups: Vec<Group>,
    empty: Empty,
    nothing: Nothing,
    guilty: String,
    pager: Option<Pager>,
    keep: Vec<(&'static str, String)>,
    sorts: Vec<Choose>,
    sorted: &'static str,
    groupings: Vec<Choose>,
    wall: bool,
    wall_href: String,
    all: Option<All>,
    keep_view: Keep,
    people: Vec<String>,
    snoozes: Vec<(&'static str, String)>,
    wrong: Option<String>,
}

/// Orders as people choose them.
const SORTS: [(Sort, &str); 6] = [
    (Sort::Triage, "needs someone first"),
    (Sort::Newest, "newest first"),
    (Sort::Started, "began last"),
    (Sort::Severity, "worst first"),
    (Sort::Alerts, "most alerts"),
    (Sort::Updated, "changed last"),
];

impl ListPage {
    /// The page of `input`.
    pub fn new(frame: Frame, input: Input) -> Self {
        let Input {
            overview,
            found,
            sources,
            typed,
            asked,
            counts,
            storm: by,
            me,
            error,
            teach,
            refused,
            nothing,
            sparks,
            ..
        } = input;
        let now = frame.now;
        let mine = match &found {
            Found::Default { open, .. } if open.1 <= STORM => {
                Some(open.0.iter().filter(|i| i.owner.as_deref() == Some(&me)).count())
            }
            _ => None,
        };
        let filtered = !asked.q.is_empty();
        let drawn = Drawn { asked: &asked, sparks: &sparks, now };
        let total = match &found {
            Found::Default { open, .. } => open.1,
            Found::Page(l) | Found::Sorted(l) | Found::Ranked(l) => l.total,
        };
        let (groups, pager, storm) = match found {
            Found::Default { open, closed } => drawn.default_list(open, closed, by.as_ref()),
            Found::Page(listing) => drawn.by_number(listing),
            Found::Sorted(listing) => drawn.sorted(listing, false),
            Found::Ranked(listing) => drawn.sorted(listing, true),
        };
        let rows: usize = groups.iter().map(|g| g.rows.len()).sum();
        let none = rows == 0;
        let empty = match (none, filtered) {
            (false, _) => Empty::No,
            (true, false) => Empty::Quiet,
            (true, true) => Empty::NoMatch,
        };
        let shown = if asked.q.is_empty() { DEFAULT_QUERY.to_owned() } else { asked.q.clone() };
        let choose = |name: &str, all: &[(&str, &'static str)], current: &str| -> Vec<Choose> {
            let one = |(value, words): &(&str, &'static str)| Choose {
                name: words,
                href: asked.with(name, value),
                current: *value == current,
            };
            all.iter().map(one).collect()
        };
        let sorts: Vec<(&str, &'static str)> = SORTS.iter().map(|(s, words)| (s.as_str(), *words)).collect();
        let groupings = [("need", "What it needs"), ("service", "Service"), ("none", "Nothing")];
        let own = input.views.iter().find(|v| Some(v.id) == asked.view && (v.owner == me || frame.may_admin()));
        Self {
            watch: Watch::new(&overview, now),
            tabs: tabs(&overview, mine, &shown, asked.view, &input.views),
            facets: facets(&shown, &sources, &counts),
            since: terms::values(&shown, "since").into_iter().next(),
            sinces: sinces(&shown),
            guilty: ui::plain(&asked.q),
            view: if asked.is_default() { "default" } else { "query" },
            typed: if typed.is_empty() { DEFAULT_QUERY.to_owned() } else { typed },
            keep: kept_fields(&asked),
            sorts: choose("sort", &sorts, asked.sort.as_str()),
            sorted: SORTS.iter().find(|(s, _)| *s == asked.sort).map_or("", |(_, words)| *words),
            groupings: choose("group", &groupings, asked.group.as_str()),
            wall: asked.wall,
            wall_href: asked.with("display", if asked.wall { "" } else { "wall" }),
            all: (total > rows as u64 && !none && error.is_none()).then(|| All {
                count: ui::count(total),
                // What is closed already is not what an action is for.
                q: if asked.q.is_empty() { "status:open".to_owned() } else { asked.q.clone() },
            }),
            keep_view: Keep { kind: ViewKind::Incidents, q: shown.clone(), own: own.map(Own::of) },
            people: input.people.iter().map(|p| ui::plain(p)).collect(),
            snoozes: vec![
                ("60", "Snooze for 1\u{a0}h".to_owned()),
                ("240", "Snooze for 4\u{a0}h".to_owned()),
                ("morning", format!("Snooze until {}", super::silences::moment(super::time::morning(now), now))),
            ],
            wrong: asked.wrong.clone(),
            q: shown,
            frame,
            refused,
            teach,
            error,
            filtered,
            storm,
            groups,
            empty,
            nothing: nothing.unwrap_or_default(),
            pager,
        }
    }
}

impl ListPage {
    /// The address of another query.
    fn to(&self, q: &str) -> String {
        href("/incidents", q, &[])
    }
}

/// What the form of the text field must not lose.
fn kept_fields(asked: &Asked) -> Vec<(&'static str, String)> {
    let mut kept = Vec::new();
    if asked.sort != Sort::Triage {
        kept.push(("sort", asked.sort.to_string()));
    }
    if asked.limit != PAGE {
        kept.push(("limit", asked.limit.to_string()));
    }
    if asked.group == Grouping::Service {
        kept.push(("group", asked.group.to_string()));
    }
    kept
}

/// The incidents of the page that are drawn.
pub fn shown(found: &Found, asked: &Asked) -> Vec<IncidentId> {
    let none = BTreeMap::new();
    let drawn = Drawn { asked, sparks: &none, now: Time::from_millis(0) };
    match found {
        Found::Default { open, closed } => {
            let mut all: Vec<&Incident> = open.0.iter().collect();
            let (_, page) = drawn.window(&mut all);
            page.iter().map(|i| i.id).chain(closed.0.iter().take(CLOSED_ROWS).map(|i| i.id)).collect()
        }
        Found::Page(listing) => listing.items.iter().map(|i| i.id).collect(),
        Found::Sorted(listing) | Found::Ranked(listing) => {
            let mut all: Vec<&Incident> = listing.items.iter().collect();
            let (_, page) = drawn.window(&mut all);
            page.iter().map(|i| i.id).collect()
        }
    }
}

type List = (Vec<Group>, Option<Pager>, Option<Storm>);

/// What rows are drawn with.
struct Drawn<'a> {
    asked: &'a Asked,
    sparks: &'a BTreeMap<IncidentId, Spark>,
    now: Time,
}

impl Drawn<'_> {
    fn row(&self, i: &Incident) -> Row {
        Row::new(i, self.sparks.get(&i.id), self.now)
    }

    /// The incidents in their order, and those of this page with the place of the first.
    fn window<'i>(&self, all: &mut Vec<&'i Incident>) -> (usize, Vec<&'i Incident>) {
        let sort = self.asked.sort;
        all.sort_by(|a, b| sort.compare(a, b));
        if self.asked.group == Grouping::Service {
            // The service whose first one comes first.
            let mut places: HashMap<Option<&str>, usize> = HashMap::new();
            for (n, i) in all.iter().enumerate() {
                places.entry(i.service.as_deref()).or_insert(n);
            }
            all.sort_by_key(|i| places.get(&i.service.as_deref()).copied());
        }
        let from = match self.asked.after {
            None => 0,
            Some(after) => all.iter().position(|i| i.id == after).map_or(0, |p| p + 1),
        };
        (from, all.iter().skip(from).take(self.asked.limit).copied().collect())
    }

    fn default_list(&self, open: (Vec<Incident>, u64), closed: (Vec<Incident>, u64), counts: Option<&Counts>) -> List {
        let (open, total) = open;
        let storm = (total > STORM).then(|| Storm {
            total: ui::count(total),
            shown: PAGE.min(open.len()),
            services: counts.map(counted).filter(|c| !c.is_empty()).unwrap_or_else(|| by_service(&open)),
        });
        let whole: Vec<&Incident> = open.iter().collect();
        let mut all = whole.clone();
        if storm.is_some() {
            all.truncate(PAGE);
        }
        let (from, page) = self.window(&mut all);
        let more = storm.is_none() && from + page.len() < all.len();
        let mut groups = self.by_need(&whole, &page, [Need::Someone, Need::Handled, Need::Muted].as_slice());
        if !more {
            let (mut ended, ended_total) = closed;
            ended.truncate(CLOSED_ROWS);
            let shown = ended.len() as u64;
            groups.push(Group {
                key: "closed",
                name: ui::own("Closed in the last 12 h"),
                count: if shown < ended_total {
                    format!("{shown} of {}", ui::count(ended_total))
                } else {
                    ui::count(shown)
                },
                all: (shown < ended_total).then(|| href("/incidents", "status:resolved,merged", &[])),
                rows: ended.iter().map(|i| self.row(i)).collect(),
            });
        }
        let last = page.last().map(|i| i.id.to_string()).unwrap_or_default();
        let pager = (from > 0 || more).then(|| Pager {
            text: format!("{} to {} of {} open", from + 1, from + page.len(), ui::count(all.len() as u64)),
            newer: (from > 0).then(|| self.asked.with("", "")),
            older: more.then(|| self.asked.with("after", &last)),
            word: "Next",
        });
        (groups, pager, storm)
    }

    fn by_need(&self, all: &[&Incident], page: &[&Incident], needs: &[Need]) -> Vec<Group> {
        let group = |need: &Need| Group {
            key: need.key(),
            name: ui::own(need.title()),
            count: ui::count(all.iter().filter(|i| Need::of(i) == *need).count() as u64),
            all: None,
            rows: page.iter().filter(|i| Need::of(i) == *need).map(|i| self.row(i)).collect(),
        };
        needs.iter().map(group).collect()
    }

    /// One page in the order of numbers.
    fn by_number(&self, listing: Listing<Incident>) -> List {
        let later = self.asked.before.is_some();
        let next = listing.next.map(|n| self.asked.with("before", &n.to_string()));
        let total = about(&listing);
        let pager = (later || next.is_some()).then(|| Pager {
            text: match listing.looked_through {
                Some(n) => format!(
                    "{} shown, found among the newest {}; older ones were not looked at",
                    listing.items.len(),
                    ui::count(n)
                ),
                None => format!("{} shown, {total} match, newest first", listing.items.len()),
            },
            newer: later.then(|| self.asked.with("", "")),
            older: next,
            word: "Older",
        });
        let rows = listing.items.iter().map(|i| self.row(i)).collect();
        let groups = vec![Group { key: "all", name: ui::own("Newest first"), count: total, all: None, rows }];
        (groups, pager, None)
    }

    /// A page of what was put into an order. `ranked`: they come first of all that match.
    fn sorted(&self, listing: Listing<Incident>, ranked: bool) -> List {
        let mut all: Vec<&Incident> = listing.items.iter().collect();
        let (from, page) = self.window(&mut all);
        let more = from + page.len() < all.len();
        let whole = listing.next.is_none();
        let last = page.last().map(|i| i.id.to_string()).unwrap_or_default();
        let found = match listing.looked_through {
            _ if ranked => {
                format!("of the first {} in this order; {} match", ui::count(all.len() as u64), about(&listing))
            }
            Some(n) => format!("found among the newest {}; older ones were not looked at", ui::count(n)),
            None if whole => format!("of {} that match", ui::count(all.len() as u64)),
            None => format!("of the newest {}; {} match", ui::count(all.len() as u64), about(&listing)),
        };
        let pager = (from > 0 || more || !whole).then(|| Pager {
            text: format!("{} to {} {found}", from.saturating_add(1).min(all.len()), from + page.len()),
            newer: (from > 0).then(|| self.asked.with("", "")),
            older: match (more, listing.next) {
                (true, _) => Some(self.asked.with("after", &last)),
                // What is older than all that was put into the order, in the order of numbers.
                (false, Some(next)) if !ranked => Some(self.asked.with("before", &next.to_string())),
                (false, _) => None,
            },
            word: if more { "Next" } else { "Older" },
        });
        let groups = match self.asked.group {
            Grouping::Need => self.by_need(&all, &page, &Need::ALL),
            Grouping::None => vec![Group {
                key: "all",
                name: ui::own("All"),
                count: about(&listing),
                all: None,
                rows: page.iter().map(|i| self.row(i)).collect(),
            }],
            Grouping::Service => self.by_services(&all, &page),
        };
        (groups, pager, None)
    }

    fn by_services(&self, all: &[&Incident], page: &[&Incident]) -> Vec<Group> {
        let mut groups: Vec<(Option<&str>, Vec<&Incident>)> = Vec::new();
        for i in page {
            match groups.last_mut().filter(|(service, _)| *service == i.service.as_deref()) {
                Some((_, rows)) => rows.push(i),
                None => groups.push((i.service.as_deref(), vec![i])),
            }
        }
        let group = |(service, rows): (Option<&str>, Vec<&Incident>)| {
            let term = format!("{} service:{}", self.asked.q, terms::quote(service.unwrap_or_default()));
            let count = all.iter().filter(|i| i.service.as_deref() == service).count();
            Group {
                key: "service",
                name: service.map_or_else(|| ui::own("No service"), ui::foreign),
                count: ui::count(count as u64),
                all: (count > rows.len() && service.is_some()).then(|| href("/incidents", term.trim(), &[])),
                rows: rows.into_iter().map(|i| self.row(i)).collect(),
            }
        };
        groups.into_iter().map(group).collect()
    }
}

/// How many match, as it is known.
fn about(listing: &Listing<Incident>) -> String {
    ui::about(listing.total, listing.total_is_exact)
}

/// Services with most open incidents, as the text index counts them.
fn counted(counts: &Counts) -> Vec<Counted> {
    let named = |(value, n): (&String, &u64)| Some((value.strip_prefix("service:")?.to_owned(), *n));
    let mut all: Vec<(String, u64)> = counts.by.iter().filter_map(named).collect();
    all.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(&b.0)));
    let one = |(service, n): (String, u64)| Counted {
        name: ui::foreign(&service),
        href: href("/incidents", &format!("status:open service:{}", terms::quote(&service)), &[]),
        count: ui::count(n),
    };
    all.into_iter().take(STORM_SERVICES).map(one).collect()
}

/// The same of those that were read.
fn by_service(open: &[Incident]) -> Vec<Counted> {
    let mut counts: HashMap<Option<&str>, u64> = HashMap::new();
    for i in open {
        *counts.entry(i.service.as_deref()).or_default() += 1;
    }
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(&b.0)));
    counts
        .into_iter()
        .take(STORM_SERVICES)
        .map(|(service, n)| Counted {
            name: service.map_or_else(|| ui::foreign("no service"), ui::foreign),
            href: match service {
                Some(s) => href("/incidents", &format!("status:open service:{}", terms::quote(s)), &[]),
                None => href("/incidents", "status:open", &[]),
            },
            count: ui::count(n),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::pages::samples;

    fn page(q: &str, found: Found) -> String {
        let fields = super::super::ask::Fields(vec![("q".to_owned(), q.to_owned())]);
        let asked = Asked::of(&fields, &[]);
        let by = BTreeMap::from([("severity:critical".to_owned(), 1_204)]);
        let spark = [0, 1, 0, 0, 3, 5, 2, 1, 0, 0, 7, 4];
        let input = Input {
            sparks: shown(&found, &asked).into_iter().map(|id| (id, spark)).collect(),
            overview: samples::overview(),
            found,
            sources: senders(),
            counts: Counts { by, about: false },
            storm: None,
            typed: q.to_owned(),
            asked,
            me: "on-call".into(),
            error: None,
            teach: None,
            refused: None,
            nothing: None,
            people: vec!["ann".into()],
            views: Vec::new(),
        };
        ListPage::new(samples::frame("", super::super::frame::Section::Incidents), input).render().unwrap()
    }

    fn order(html: &str) -> Vec<u64> {
        html.split("data-row=\"INC-").skip(1).map(|s| s.split('"').next().unwrap().parse().unwrap()).collect()
    }

    #[test]
    fn grouped_by_need_then_severity_then_age() {
        let make = |n, sev, owner: Option<&str>, minutes: u64| {
            let mut i = samples::incident(n);
            i.severity = sev;
            i.owner = owner.map(str::to_owned);
            i.detected_at = samples::now().minus(Duration::from_secs(minutes * 60));
            i
        };
        let open = vec![
            make(1, Severity::Low, None, 1),
            make(2, Severity::Critical, Some("sre-1"), 2),
            make(3, Severity::Critical, None, 50),
            make(4, Severity::Critical, None, 5),
        ];
        let html = page("", Found::Default { open: (open, 4), closed: (vec![], 0) });
        assert_eq!(order(&html), [4, 3, 1, 2]);
        assert!(html.contains("<b>Needs someone</b> &ensp;<span data-count=\"someone\">3</span>"));
    }

    /// More platforms than most have.
    fn senders() -> Vec<(String, String)> {
        super::super::platforms::all().take(8).map(|i| (i.slug.to_owned(), i.name.to_owned())).collect()
    }

    /// How often each kind of element is there.
    fn tags(html: &str) -> String {
        let mut all: BTreeMap<&str, usize> = BTreeMap::new();
        for part in html.split('<').filter(|p| p.starts_with(|c: char| c.is_ascii_lowercase())) {
            *all.entry(part.split([' ', '>']).next().unwrap()).or_default() += 1;
        }
        format!("{all:?}")
    }

    #[test]
    fn fifty_rows_fit_the_first_round_trip() {
        let mut open: Vec<Incident> = samples::incidents(120);
        for i in &mut open {
            i.owner = None;
        }
        let html = page("", Found::Default { open: (open, 120), closed: (vec![], 0) });
        assert_eq!(order(&html).len(), PAGE);
        assert!(html.contains("1 to 50 of 120 open"));
        let mut z = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        std::io::Write::write_all(&mut z, html.as_bytes()).unwrap();
        let size = z.finish().unwrap().len();
        assert!(size < 14 * 1024, "{size} bytes compressed");
        let nodes = html.matches('<').count() - html.matches("</").count() - 1;
        assert!(nodes <= 1_500, "{nodes} nodes: {}", tags(&html));
    }

    #[test]
    fn a_storm_is_counted_by_service_and_says_so() {
        let open = samples::incidents(1_200);
        let html = page("", Found::Default { open: (open, 1_200), closed: (vec![], 0) });
        assert!(html.contains("Storm: 1,200 open"), "{html}");
        assert_eq!(order(&html).len(), PAGE);
        let by = [("service:a b", 700), ("service:c", 900), ("status:open", 1_200)];
        let told = counted(&Counts { by: by.map(|(v, n)| (v.to_owned(), n)).into(), about: false });
        let told: Vec<_> = told.iter().map(|c| (c.count.as_str(), c.href.as_str())).collect();
        assert_eq!(
            told,
            [
                ("900", "/incidents?q=status%3Aopen+service%3Ac"),
                ("700", "/incidents?q=status%3Aopen+service%3A%22a+b%22")
            ]
        );
    }

    #[test]
    fn closed_ones_stand_below_with_how_they_ended() {
        let html = page("", Found::Default { open: (samples::incidents(2), 2), closed: (samples::closed(), 12) });
        assert_eq!(order(&html).last(), Some(&2026));
        assert!(
            html.contains("2 of 12</span> <a href=\"/incidents?q=status%3Aresolved%2Cmerged\">Show all</a>"),
            "{html}"
        );
        assert!(html.contains("Provider outage, failed over by hand") && html.contains("Merged into INC-2027"));
    }

    #[test]
    fn empty_lists_say_why() {
        let none = || Found::Default { open: (vec![], 0), closed: (vec![], 0) };
        assert!(page("", none()).contains("All quiet"));
        let listing = Listing { items: vec![], next: None, total: 0, total_is_exact: true, looked_through: None };
        let html = page("severity:low <script>", Found::Sorted(listing));
        assert!(html.contains("No incident matches") && !html.contains("<script>"));
    }
}
