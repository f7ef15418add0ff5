//! Services: what is declared of them, who calls whom, and what alerts told about it.

use askama::Template;
use axum::{extract::State, response::Response};
use http::StatusCode;

use super::{
    act::Form,
    ask::{Ask, Params, back},
    frame::{Frame, Section, counts_and_seq},
    map::{self, Map, fits, pick},
    said::Said,
    terms::{self, href},
    text,
    ui::{self, Markup, When},
};
use crate::{
    model::*,
    store::views::{Activities, Call, Known, Origin, Topology},
    web::{
        api::services::{EdgeVerdict, pass},
        auth::Client,
        error::ApiError,
        state::AppState,
    },
};

/// Services on one page of the list.
const PAGE: usize = 50;
/// Learned edges shown.
const LEARNED: usize = 50;
/// Names in a cell before "and 3 more".
const NAMES: usize = 4;
/// What "lately" is.
const DAY: std::time::Duration = std::time::Duration::from_secs(24 * 3600);

/// A link to a service.
#[derive(Debug)]
pub struct Link {
    name: Markup,
    href: String,
    learned: bool,
}

/// The first of some names, and how many more there are.
#[derive(Debug, Default)]
pub struct Some3<T> {
    first: Vec<T>,
    more: usize,
}

impl<T> Some3<T> {
    fn of(all: impl Iterator<Item = T>, most: usize) -> Self {
        let mut all: Vec<T> = all.collect();
        let more = all.len().saturating_sub(most);
        all.truncate(most);
        Self { first: all, more }
    }
}

/// One service in the list.
#[derive(Debug)]
struct Row {
    name: Markup,
    pick: String,
    edit: String,
    origin: Origin,
    aliases: Some3<Markup>,
    owner: Option<Markup>,
    tier: Option<Markup>,
    hosts: Some3<Markup>,
    calls: Some3<Link>,
    called_by: Some3<Link>,
    open: Option<(Markup, String, String)>,
    alerts: Option<(String, String)>,
    current: bool,
}

/// One learned edge.
#[derive(Debug)]
struct LearnedRow {
    from: String,
    to: String,
    from_shown: Link,
    to_shown: Link,
    count: String,
    last: When,
    platform: Markup,
    by: Option<Markup>,
}

/// A service that is looked at.
#[derive(Debug)]
struct Chosen {
    name: Markup,
    origin: Origin,
    edit: String,
    close: String,
    facts: Vec<(&'static str, Markup)>,
    aliases: Vec<Markup>,
    hosts: Vec<Markup>,
    calls: Some3<Link>,
    called_by: Some3<Link>,
    runbook: Option<String>,
    open: Option<(Markup, String, String)>,
}

/// The page.
#[derive(Debug, Template)]
#[template(path = "pages/topology.html")]
pub struct TopologyPage {
    frame: Frame,
    sub: String,
    q: String,
    error: Option<String>,
    empty: bool,
    map: Option<Map>,
    drawn: Option<Markup>,
    chosen: Option<Chosen>,
    rows: Vec<Row>,
    heading: String,
    exact: bool,
    newer: Option<String>,
    older: Option<String>,
    learned: Vec<LearnedRow>,
    learned_more: usize,
    dismissed: Vec<LearnedRow>,
    path: String,
    example: String,
}

/// What is read for the page.
struct Read {
    all: Topology,
    activities: Activities,
}

impl Read {
    fn link(&self, call: &Call, q: &str) -> Link {
        let name = self.all.name(call.other);
        Link { name: ui::foreign(&text::shorten(name, 60)), href: pick(name, q), learned: call.learned.is_some() }
    }

    fn open(&self, known: &Known) -> Option<(Markup, String, String)> {
        let (open, worst) = map::burning(&self.activities, known);
        let worst = worst.filter(|_| open > 0)?;
        let to = href("/incidents", &format!("status:open {}", service_term(known)), &[]);
        Some((ui::severity(worst), ui::count(open), to))
    }

    fn row(&self, n: usize, known: &Known, chosen: Option<usize>, q: &str) -> Row {
        let service = known.service.clone().unwrap_or_default();
        let names = |all: &[String], most| Some3::of(all.iter().map(|n| ui::foreign(&text::shorten(n, 60))), most);
        let alerts = map::of(&self.activities, known).alerts;
        let lately = href("/alerts", &format!("{} since:24h", service_term(known)), &[]);
        Row {
            name: ui::foreign(&text::shorten(&known.name, 80)),
            pick: pick(&known.name, q),
            edit: href("/topology/service", "", &[("name", &known.name)]),
            origin: known.origin,
            aliases: names(&service.aliases, 2),
            owner: service.owner.as_deref().map(|o| ui::foreign(&text::shorten(o, 40))),
            tier: service.tier.as_deref().map(|t| ui::foreign(&text::shorten(t, 20))),
            hosts: names(&service.hosts, 2),
            calls: Some3::of(known.calls.iter().map(|c| self.link(c, q)), NAMES),
            called_by: Some3::of(known.called_by.iter().map(|c| self.link(c, q)), NAMES),
            open: self.open(known),
            alerts: (alerts > 0).then(|| (ui::count(alerts), lately)),
            current: chosen == Some(n),
        }
    }

    fn learned(&self, edge: &LearnedEdge, now: Time, q: &str) -> LearnedRow {
        let shown =
            |name: &str| Link { name: ui::foreign(&text::shorten(name, 60)), href: pick(name, q), learned: false };
        LearnedRow {
            from: edge.from.clone(),
            to: edge.to.clone(),
            from_shown: shown(&edge.from),
            to_shown: shown(&edge.to),
            count: ui::plural(edge.count, "alert"),
            last: When::ago(edge.last_at, now),
            platform: ui::source(&edge.platform),
            by: edge.dismissed_by.as_deref().map(ui::foreign),
        }
    }

    fn chosen(&self, n: usize, q: &str) -> Option<Chosen> {
        let known = self.all.services.get(n)?;
        let service = known.service.clone().unwrap_or_default();
        let shown = |t: &Option<String>| t.as_deref().map(|t| ui::foreign(&text::shorten(t, 200)));
        let facts = [
            ("Owner", shown(&service.owner)),
            ("Tier", shown(&service.tier)),
            ("Prometheus", shown(&service.prometheus)),
            ("Netdata", shown(&service.netdata)),
        ];
        let all = |names: &[String]| names.iter().map(|n| ui::foreign(&text::shorten(n, 120))).collect();
        Some(Chosen {
            name: ui::foreign(&known.name),
            origin: known.origin,
            edit: href("/topology/service", "", &[("name", &known.name)]),
            close: href("/topology", q, &[]),
            facts: facts.into_iter().filter_map(|(k, v)| v.map(|v| (k, v))).collect(),
            aliases: all(&service.aliases),
            hosts: all(&service.hosts),
            calls: Some3::of(known.calls.iter().map(|c| self.link(c, q)), 60),
            called_by: Some3::of(known.called_by.iter().map(|c| self.link(c, q)), 60),
            runbook: text::url(&service.runbook_url).map(str::to_owned),
            open: self.open(known),
        })
    }
}

/// The part of a query that means a service by any of its names.
fn service_term(known: &Known) -> String {
    let aliases = known.service.iter().flat_map(|s| &s.aliases).take(10);
    let names: Vec<String> = std::iter::once(&known.name).chain(aliases).map(|n| terms::quote(n)).collect();
    format!("service:{}", names.join(","))
}

/// What to paste to declare a few.
fn example(base: &str) -> String {
    format!(
        "curl -X PUT {base}/api/topology \\\n  -H \"Authorization: Bearer $TOKEN\" \\\n  -d '{{\"services\": [\n    {{\"name\": \"storefront\", \
         \"depends_on\": [\"checkout\"]}},\n    {{\"name\": \"checkout\", \"depends_on\": [\"orders-db\"]}},\n    {{\"name\": \"orders-db\", \
         \"hosts\": [\"db-1\"]}}]}}'"
    )
}

/// `GET /topology?q=&service=&from=`
pub async fn topology(
    State(state): State<AppState>,
    ask: Ask,
    client: Client,
    Params(params): Params,
) -> Result<Response, ApiError> {
    let now = ask.now;
    let (overview, seq, read) = state
        .store
        .read(move |view| {
            let (overview, seq) = counts_and_seq(view, now)?;
            let activities = view.activities(now.minus(DAY))?;
            let told = view.services_of_incidents()?.into_iter();
            let told = told.map(|key| {
                let name = activities.by_service.get(&key).map_or_else(|| key.clone(), |a| a.name.clone());
                (key, name)
            });
            let all = Topology::new(view.services()?, view.learned_edges()?, told.collect());
            Ok((overview, seq, Read { all, activities }))
        })
        .await?;
    let q = params.get("q").trim().to_owned();
    let wanted = q.to_lowercase();
    let asked = params.get("service");
    let chosen = Some(asked).filter(|a| !a.is_empty()).and_then(|a| read.all.place(a));
    let error = (!asked.is_empty() && chosen.is_none())
        .then(|| format!("No service “{}” is known.", text::visible(&text::shorten(asked, 60))));
    let mut found: Vec<(usize, &Known)> =
        read.all.services.iter().enumerate().filter(|(_, k)| wanted.is_empty() || fits(k, &wanted)).collect();
    // What burns first, worst first; then as they stand: declared ones by name, then the others.
    found.sort_by_cached_key(|(n, k)| {
        let (open, worst) = map::burning(&read.activities, k);
        (worst.filter(|_| open > 0).is_none(), worst, std::cmp::Reverse(open), *n)
    });
    let from: usize = params.get("from").parse().unwrap_or(0);
    let from = if from < found.len() { from - from % PAGE } else { 0 };
    let page = |from: usize| match from {
        0 => href("/topology", &q, &[]),
        n => href("/topology", &q, &[("from", &n.to_string())]),
    };
    let map = Map::new(&read.all, &read.activities, chosen, &q);
    let mut learned: Vec<&LearnedEdge> = read.all.learned.iter().collect();
    learned.sort_by_key(|e| (std::cmp::Reverse(e.last_at), &e.from, &e.to));
    let (holding, dismissed): (Vec<&LearnedEdge>, Vec<&LearnedEdge>) = learned.into_iter().partition(|e| e.holds());
    let rows = |edges: &[&LearnedEdge]| edges.iter().take(LEARNED).map(|e| read.learned(e, now, &q)).collect();
    let declared = read.all.declared().count();
    let undeclared = read.all.services.len() - declared;
    let edges = read.all.edges().count();
    let page = TopologyPage {
        sub: format!(
            "{} declared, {} known from alerts or by name only; {}",
            ui::plural(declared, "service"),
            ui::count(undeclared),
            if edges == 1 { "1 dependency".to_owned() } else { format!("{} dependencies", ui::count(edges)) },
        ),
        error,
        empty: read.all.services.is_empty(),
        drawn: map.as_ref().map(Markup::of),
        map,
        chosen: chosen.and_then(|n| read.chosen(n, &q)),
        rows: found.iter().skip(from).take(PAGE).map(|(n, k)| read.row(*n, k, chosen, &q)).collect(),
        heading: match (found.len(), wanted.is_empty()) {
            (n, true) => ui::plural(n, "service"),
            (n, false) => format!("{} of {}", ui::count(n), ui::plural(read.all.services.len(), "service")),
        },
        exact: read.activities.exact,
        newer: (from > 0).then(|| page(from.saturating_sub(PAGE))),
        older: (from + PAGE < found.len()).then(|| page(from + PAGE)),
        learned: rows(&holding),
        learned_more: holding.len().saturating_sub(LEARNED),
        dismissed: rows(&dismissed),
        path: ask.path.clone(),
        example: example(&client.base_url(&state.config)),
        frame: ask.frame("Services", Section::Services, &overview, seq),
        q,
    };
    Ok(ask.page(StatusCode::OK, &page))
}

/// `POST /topology/edges`: what a person says of a learned edge.
pub async fn judge(State(state): State<AppState>, form: Form) -> Result<Response, ApiError> {
    let Form { actor, fields, .. } = form;
    let (verdict, said) = match fields.get("do") {
        "adopt" => (EdgeVerdict::Adopt, "adopted"),
        "dismiss" => (EdgeVerdict::Dismiss, "edge-dismissed"),
        "restore" => (EdgeVerdict::Restore, "edge-restored"),
        _ => return Err(ApiError::invalid("do", "adopt, dismiss or restore")),
    };
    pass(&state, fields.get("from").to_owned(), fields.get("to").to_owned(), verdict, actor).await?;
    let to = fields.get("back");
    let to = if to.starts_with("/topology") { to } else { "/topology" };
    Ok(back(&format!("{}#learned", to.split('#').next().unwrap_or_default()), Some(Said::new(said))))
}
