//! The incident list: what needs somebody, first.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use askama::Template;

use super::{
    facets::{Facet, Link, Tab, facets, sinces, tabs},
    frame::Frame,
    row::{Need, Row},
    terms::{self, href},
    ui,
    watch::Watch,
};
use crate::{
    model::*,
    store::{Listing, Overview},
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
        /// Go on after this one.
        after: Option<IncidentId>,
    },
    /// What a query matched, newest id first.
    Matched {
        /// One page of them.
        listing: Listing<Incident>,
        /// Not the first page.
        later_page: bool,
    },
}

/// Why a query cannot be understood.
#[derive(Clone, Debug)]
pub struct QueryError {
    /// What is wrong and what would be right.
    pub message: String,
    /// The term.
    pub at: Option<String>,
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
    /// The query as typed; empty for the default.
    pub q: String,
    /// Incidents of each value of a facet, as `status:resolved`.
    pub counts: BTreeMap<String, u64>,
    /// Who reads.
    pub me: String,
    /// The query was not understood.
    pub error: Option<QueryError>,
    /// What to show instead, before the first alert.
    pub teach: Option<Teach>,
    /// The red banner of an action that was refused.
    pub refused: Option<ui::Markup>,
}

/// Rows that need the same.
#[derive(Clone, Debug)]
pub struct Group {
    key: &'static str,
    name: &'static str,
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
    guilty: String,
    pager: Option<Pager>,
}

impl ListPage {
    /// The page of `input`.
    pub fn new(frame: Frame, input: Input) -> Self {
        let Input { overview, found, sources, counts, q, me, error, teach, refused } = input;
        let now = frame.now;
        let mine = match &found {
            Found::Default { open, .. } if open.1 <= STORM => {
                Some(open.0.iter().filter(|i| i.owner.as_deref() == Some(&me)).count())
            }
            _ => None,
        };
        let filtered = !q.is_empty() && q != DEFAULT_QUERY;
        let (groups, pager, storm) = match found {
            Found::Default { open, closed, after } => default_list(open, closed, after, now),
            Found::Matched { listing, later_page } => matched_list(listing, later_page, &q, now),
        };
        let none = groups.iter().all(|g| g.rows.is_empty());
        let empty = match (none, filtered) {
            (false, _) => Empty::No,
            (true, false) => Empty::Quiet,
            (true, true) => Empty::NoMatch,
        };
        let shown = if q.is_empty() { DEFAULT_QUERY.to_owned() } else { q };
        Self {
            watch: Watch::new(&overview, now),
            tabs: tabs(&overview, mine, &shown),
            facets: facets(&shown, &sources, &counts),
            since: terms::values(&shown, "since").into_iter().next(),
            sinces: sinces(&shown),
            guilty: guilty(&shown),
            view: if filtered { "query" } else { "default" },
            q: shown,
            frame,
            refused,
            teach,
            error,
            filtered,
            storm,
            groups,
            empty,
            pager,
        }
    }
}

type List = (Vec<Group>, Option<Pager>, Option<Storm>);

/// Need, then severity, then the youngest.
fn triage(i: &Incident) -> (Need, Severity, std::cmp::Reverse<Time>, std::cmp::Reverse<IncidentId>) {
    (Need::of(i), i.severity, std::cmp::Reverse(i.detected_at), std::cmp::Reverse(i.id))
}

fn default_list(
    open: (Vec<Incident>, u64),
    closed: (Vec<Incident>, u64),
    after: Option<IncidentId>,
    now: Time,
) -> List {
    let (mut all, total) = open;
    let storm = (total > STORM).then(|| Storm {
        total: ui::count(total),
        shown: PAGE.min(all.len()),
        services: by_service(&all),
    });
    if storm.is_some() {
        all.truncate(PAGE);
    }
    let count = |need| all.iter().filter(|i| Need::of(i) == need).count();
    let counts = [count(Need::Someone), count(Need::Handled), count(Need::Muted)];
    all.sort_by_key(triage);
    let from = after.and_then(|a| all.iter().position(|i| i.id == a)).map_or(0, |p| p + 1);
    let page: Vec<&Incident> = all.iter().skip(from).take(PAGE).collect();
    let more = storm.is_none() && from + page.len() < all.len();
    let rows = |need| page.iter().filter(|i| Need::of(i) == need).map(|i| Row::new(i, now)).collect::<Vec<_>>();
    let [someone, handled, muted] = counts;
    let mut groups = vec![
        Group {
            key: "someone",
            name: "Needs someone",
            count: ui::count(someone as u64),
            all: None,
            rows: rows(Need::Someone),
        },
        Group {
            key: "handled",
            name: "Being handled",
            count: ui::count(handled as u64),
            all: None,
            rows: rows(Need::Handled),
        },
        Group { key: "muted", name: "Muted", count: ui::count(muted as u64), all: None, rows: rows(Need::Muted) },
    ];
    if !more {
        let (mut ended, ended_total) = closed;
        ended.truncate(CLOSED_ROWS);
        let shown = ended.len() as u64;
        groups.push(Group {
            key: "closed",
            name: "Closed in the last 12 h",
            count: if shown < ended_total {
                format!("{shown} of {}", ui::count(ended_total))
            } else {
                ui::count(shown)
            },
            all: (shown < ended_total).then(|| href("/incidents", "status:resolved,merged", &[])),
            rows: ended.iter().map(|i| Row::new(i, now)).collect(),
        });
    }
    let last = page.last().map(|i| i.id.to_string()).unwrap_or_default();
    let pager = (from > 0 || more).then(|| Pager {
        text: format!("{} to {} of {} open", from + 1, from + page.len(), ui::count(all.len() as u64)),
        newer: (from > 0).then(|| "/incidents".to_owned()),
        older: more.then(|| href("/incidents", "", &[("after", &last)])),
        word: "Next",
    });
    (groups, pager, storm)
}

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

/// A whole answer is grouped by need; one that has pages is in the order of its pages.
fn matched_list(listing: Listing<Incident>, later_page: bool, q: &str, now: Time) -> List {
    let Listing { mut items, next, total, total_is_exact } = listing;
    let paged = later_page || next.is_some();
    let about = if total_is_exact { "" } else { "about " };
    let pager = paged.then(|| Pager {
        text: format!("{} shown, {about}{} match, newest first", items.len(), ui::count(total)),
        newer: later_page.then(|| href("/incidents", q, &[])),
        older: next.map(|n| href("/incidents", q, &[("before", &n.to_string())])),
        word: "Older",
    });
    let groups = if paged {
        let rows = items.iter().map(|i| Row::new(i, now)).collect();
        vec![Group { key: "all", name: "Newest first", count: format!("{about}{}", ui::count(total)), all: None, rows }]
    } else {
        items.sort_by_key(triage);
        Need::ALL
            .into_iter()
            .zip(["Needs someone", "Being handled", "Closed"])
            .map(|(need, name)| {
                let rows: Vec<Row> = items.iter().filter(|i| Need::of(i) == need).map(|i| Row::new(i, now)).collect();
                Group { key: need.key(), name, count: ui::count(rows.len() as u64), all: None, rows }
            })
            .collect()
    };
    (groups, pager, None)
}

/// Which terms to loosen.
fn guilty(q: &str) -> String {
    format!("Nothing fits all of “{}”. Take a term away, or look at closed ones with status:resolved.", ui::plain(q))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::pages::samples;

    fn page(q: &str, found: Found) -> String {
        let input = Input {
            overview: samples::overview(),
            found,
            sources: senders(),
            counts: BTreeMap::from([("severity:critical".to_owned(), 1_204)]),
            q: q.to_owned(),
            me: "on-call".into(),
            error: None,
            teach: None,
            refused: None,
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
        let html = page("", Found::Default { open: (open, 4), closed: (vec![], 0), after: None });
        assert_eq!(order(&html), [4, 3, 1, 2]);
        assert!(html.contains("<b>Needs someone</b> &ensp;<span data-count=\"someone\">3</span>"));
    }

    /// More platforms than most have.
    fn senders() -> Vec<(String, String)> {
        super::super::platforms::all().take(8).map(|i| (i.slug.to_owned(), i.name.to_owned())).collect()
    }

    #[test]
    fn fifty_rows_fit_the_first_round_trip() {
        let mut open: Vec<Incident> = samples::incidents(120);
        for i in &mut open {
            i.owner = None;
        }
        let html = page("", Found::Default { open: (open, 120), closed: (vec![], 0), after: None });
        assert_eq!(order(&html).len(), PAGE);
        assert!(html.contains("1 to 50 of 120 open"));
        let mut z = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        std::io::Write::write_all(&mut z, html.as_bytes()).unwrap();
        let size = z.finish().unwrap().len();
        assert!(size < 14 * 1024, "{size} bytes compressed");
        let nodes = html.matches('<').count() - html.matches("</").count() - 1;
        assert!(nodes <= 1_500, "{nodes} nodes");
    }

    #[test]
    fn a_storm_is_counted_by_service_and_says_so() {
        let open = samples::incidents(1_200);
        let html = page("", Found::Default { open: (open, 1_200), closed: (vec![], 0), after: None });
        assert!(html.contains("Storm: 1,200 open"), "{html}");
        assert_eq!(order(&html).len(), PAGE);
    }

    #[test]
    fn closed_ones_stand_below_with_how_they_ended() {
        let html =
            page("", Found::Default { open: (samples::incidents(2), 2), closed: (samples::closed(), 12), after: None });
        assert_eq!(order(&html).last(), Some(&2026));
        assert!(
            html.contains("2 of 12</span> <a href=\"/incidents?q=status%3Aresolved%2Cmerged\">Show all</a>"),
            "{html}"
        );
        assert!(html.contains("Provider outage, failed over by hand") && html.contains("Merged into INC-2027"));
    }

    #[test]
    fn empty_lists_say_why() {
        let none = || Found::Default { open: (vec![], 0), closed: (vec![], 0), after: None };
        assert!(page("", none()).contains("All quiet"));
        let listing = Listing { items: vec![], next: None, total: 0, total_is_exact: true };
        let html = page("severity:low <script>", Found::Matched { listing, later_page: false });
        assert!(html.contains("No incident matches") && !html.contains("<script>"));
    }
}
