//! The incident list: what its address asks for, and what is read for it.

use axum::{
    extract::State,
    response::{IntoResponse, Redirect, Response},
};
use http::{HeaderValue, StatusCode, header};
use serde_json::json;

use super::{
    ask::{Ask, Fields, Params, json},
    frame::{Section, counts_and_seq},
    incidents::{self, CLOSED_WITHIN, DEFAULT_QUERY, Found, Input, ListPage, PAGE, STORM_READ, Teach},
    nothing::{self, Nothing},
    platforms,
    read::{folded, query_error},
    row::{Need, Row},
    terms, text,
    watch::Watch,
};
use crate::{
    model::*,
    query::{IncidentTest, Sort},
    store::{AlertFilter, IncidentFilter, StoreError, View},
    web::{auth::Client, error::ApiError, query, saved_views::Kept, state::AppState},
};

/// Most that are put into an order; of more, the newest.
pub const SORTED: usize = 1_000;

words! {
    /// How rows are put together.
    Grouping {
        /// By what they need.
        Need = "need",
        /// By their service.
        Service = "service",
        /// Not at all.
        None = "none",
    }
}

/// What the address asks for.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The query; empty for the default list.
    pub q: String,
    /// The saved view that it is.
    pub view: Option<ViewId>,
    /// The order.
    pub sort: Sort,
    /// The groups.
    pub group: Grouping,
    /// Rows on a page.
    pub limit: usize,
    /// Rows close together, whatever the reader has set.
    pub compact: Option<bool>,
    /// For a screen on a wall.
    pub wall: bool,
    /// Numbers below this one, in the order of numbers.
    pub before: Option<u64>,
    /// What follows this one in the order of the list.
    pub after: Option<IncidentId>,
    /// Values that cannot be read, and what can.
    pub wrong: Option<String>,
    /// What means nothing here, kept in links for whoever put it there.
    pub others: Vec<(String, String)>,
}

/// What an address can say to this page.
const KNOWN: &[&str] = &[
    "q", "was", "by", "view", "status", "severity", "source", "service", "owner", "since", "until", "sort", "group",
    "limit", "density", "display", "before", "after", "ids",
];
/// Of what it cannot, so many, each so long at most.
const OTHERS: (usize, usize) = (8, 200);

/// What is wrong with the values of an address, in words; the rest of it counts.
fn wrong(fields: &Fields) -> Option<String> {
    let each: [(&str, &[&str]); 5] = [
        ("sort", Sort::WORDS),
        ("group", Grouping::WORDS),
        ("limit", &["25", "50", "100"]),
        ("density", &["roomy", "compact"]),
        ("display", &["list", "wall"]),
    ];
    let wrong = |(name, words): &(&str, &[&str])| {
        let value = fields.get(name);
        (!value.is_empty() && !words.contains(&value)).then(|| {
            let value = text::visible(&text::shorten(value, 40));
            format!("{name}={value} is not known here: {} are. ", words.join(", "))
        })
    };
    let all: String = each.iter().filter_map(wrong).collect();
    (!all.is_empty()).then(|| format!("{all}It is left out."))
}

impl Asked {
    /// From the fields of an address. What cannot be read is as if it were not there.
    pub fn of(fields: &Fields, kept: &[Kept]) -> Self {
        let typed = fields.get("q").trim().to_owned();
        // A query in the address goes before a view.
        let named = |v: &&Kept| v.kind == ViewKind::Incidents && fields.get("view").parse() == Ok(v.id);
        let view = kept.iter().find(named).filter(|_| typed.is_empty());
        let q = view.map_or(typed, |v| v.q.clone());
        let before = fields.get("before").parse().ok();
        let sort: Option<Sort> = fields.get("sort").parse().ok();
        let sort = if before.is_some() { Sort::Newest } else { sort.unwrap_or(Sort::Triage) };
        let usual = if sort == Sort::Triage { Grouping::Need } else { Grouping::None };
        Self {
            q: if q == DEFAULT_QUERY { String::new() } else { q },
            view: view.map(|v| v.id),
            sort,
            group: fields.get("group").parse().unwrap_or(usual),
            limit: fields.get("limit").parse().ok().filter(|n| [25, PAGE, 100].contains(n)).unwrap_or(PAGE),
            compact: match fields.get("density") {
                "compact" => Some(true),
                "roomy" => Some(false),
                _ => None,
            },
            wall: fields.get("display") == "wall",
            before,
            after: fields.get("after").parse().ok(),
            wrong: wrong(fields),
            others: fields
                .0
                .iter()
                .filter(|(n, v)| !KNOWN.contains(&n.as_str()) && n.len() + v.len() <= OTHERS.1)
                .take(OTHERS.0)
                .cloned()
                .collect(),
        }
    }

    /// The list that shows first.
    pub fn is_default(&self) -> bool {
        self.q.is_empty() && self.sort == Sort::Triage && self.group == Grouping::Need
    }

    /// The address of this list with something else in it; from its first page unless that is what is given.
    pub fn with(&self, name: &str, value: &str) -> String {
        let usual = if self.sort == Sort::Triage { Grouping::Need } else { Grouping::None };
        let mut all: Vec<(&str, String)> = Vec::new();
        match self.view {
            Some(view) => all.push(("view", view.to_string())),
            None if !self.q.is_empty() => all.push(("q", self.q.clone())),
            None => {}
        }
        if self.sort != Sort::Triage {
            all.push(("sort", self.sort.to_string()));
        }
        // Another order begins with the groups that go with it.
        if self.group != usual && name != "sort" {
            all.push(("group", self.group.to_string()));
        }
        if self.limit != PAGE {
            all.push(("limit", self.limit.to_string()));
        }
        if let Some(compact) = self.compact {
            all.push(("density", if compact { "compact" } else { "roomy" }.to_owned()));
        }
        if self.wall {
            all.push(("display", "wall".to_owned()));
        }
        all.retain(|(n, _)| *n != name);
        if !value.is_empty() {
            all.push((name, value.to_owned()));
        }
        let others = self.others.iter().map(|(n, v)| (n.as_str(), v.as_str()));
        let more: Vec<(&str, &str)> = all.iter().map(|(n, v)| (*n, v.as_str())).chain(others).collect();
        terms::href("/incidents", "", &more)
    }
}

/// `GET /incidents`
pub async fn list(
    State(state): State<AppState>,
    ask: Ask,
    client: Client,
    Params(params): Params,
) -> Result<Response, ApiError> {
    // A facet narrows the saved view down that the address names.
    let of_view = Asked::of(&params, &ask.views);
    let mut base = params.clone();
    if of_view.view.is_some() {
        base.0.insert(0, ("q".to_owned(), of_view.q));
    }
    if let Some(q) = folded(&base, &["status", "severity", "source", "service", "owner", "since", "until"]) {
        let asked = Asked { q: String::new(), view: None, ..Asked::of(&params, &ask.views) };
        let q = if q == DEFAULT_QUERY { "" } else { &q };
        return Ok(Redirect::to(&asked.with("q", q)).into_response());
    }
    let asked = Asked::of(&params, &ask.views);
    if params.get("by") == "text" {
        let (me, mut filter) = (ask.identity.name(), IncidentFilter::default());
        // What was sent by the form gets an address that can be passed on.
        if query::incidents(&asked.q, query::Asker { now: ask.now, me: Some(&me) }, &mut filter).is_ok() {
            return Ok(Redirect::to(&asked.with("", "")).into_response());
        }
    }
    let page = list_page(&state, &ask, &client, &params, None).await?;
    let mut response = ask.page(StatusCode::OK, &page);
    if asked.wall {
        // Nobody stands before it to press a button.
        response.headers_mut().insert(header::REFRESH, HeaderValue::from_static("30"));
    }
    Ok(response)
}

/// The list, with the banner of an action over it that was not done for all.
pub async fn list_page(
    state: &AppState,
    ask: &Ask,
    client: &Client,
    params: &Fields,
    refused: Option<super::ui::Markup>,
) -> Result<ListPage, ApiError> {
    let mut asked = Asked::of(params, &ask.views);
    let (me, now) = (ask.identity.name(), ask.now);
    let asker = query::Asker { now, me: Some(&me) };
    let typed = asked.q.clone();
    let mut filter = IncidentFilter::default();
    let mut error = query::incidents(&typed, asker, &mut filter).err().map(query_error);
    if let Some(error) = &mut error {
        // The last list that could be read stays, dimmed.
        let was = params.get("was").trim();
        filter = IncidentFilter::default();
        let readable = was != DEFAULT_QUERY && query::incidents(was, asker, &mut filter).is_ok();
        asked.q = if readable { was.to_owned() } else { String::new() };
        asked.view = None;
        error.meant = error.meant.take().map(|(term, q)| (term, asked.with("q", &q)));
        error.shown = if asked.q.is_empty() { "the default list".to_owned() } else { format!("“{}”", asked.q) };
        if !readable {
            filter = IncidentFilter::default();
        }
    }
    if asked.q.is_empty() && !asked.is_default() {
        query::incidents(DEFAULT_QUERY, asker, &mut filter)?;
    }
    let search = state.search.clone();
    let (read, name) = (asked.clone(), me.clone());
    let (overview, seq, found, ever, senders, counts, storm, nothing, sparks, people) = state
        .store
        .read(move |view| {
            let (overview, seq) = counts_and_seq(view, now)?;
            let found = if read.is_default() {
                Found::Default {
                    open: view.open_incidents(STORM_READ)?,
                    closed: view.closed_since(now.minus(CLOSED_WITHIN), incidents::CLOSED_ROWS)?,
                }
            } else if read.sort == Sort::Newest && read.group == Grouping::None {
                Found::Page(search.incidents(view, &filter, read.before, read.limit)?)
            } else {
                let (listing, ranked) = search.incidents_by(view, &filter, read.sort, SORTED)?;
                if ranked { Found::Ranked(listing) } else { Found::Sorted(listing) }
            };
            let storm = match &found {
                Found::Default { open: (_, total), .. } if *total > incidents::STORM => {
                    let open = IncidentFilter {
                        statuses: vec![IncidentStatus::Investigating, IncidentStatus::Analyzed],
                        ..IncidentFilter::default()
                    };
                    search.facets(&open).ok()
                }
                _ => None,
            };
            let nothing: Option<Nothing> = match &found {
                Found::Page(l) | Found::Sorted(l) | Found::Ranked(l) if l.items.is_empty() => {
                    Some(nothing::why(view, &search, &read.q, query::Asker { now, me: Some(&name) })?)
                }
                _ => None,
            };
            if read.q.is_empty() {
                query::incidents(DEFAULT_QUERY, query::Asker { now, me: Some(&name) }, &mut filter).ok();
            }
            // Without them the list is still a list.
            let counts = search.facets(&filter).unwrap_or_default();
            let shown = incidents::shown(&found, &read);
            let sparks = view.sparks(&shown, now)?;
            let people: Vec<String> = view.accounts()?.into_iter().map(|a| a.name).collect();
            let ever = ever_had_an_alert(view)?;
            Ok((overview, seq, found, ever, view.senders()?, counts, storm, nothing, sparks, people))
        })
        .await?;
    let sources = platforms::names(&state.shared.door.registry, &senders, &terms::values(&asked.q, "source"));
    let base = client.base_url(&state.config);
    let teach = (!ever).then(|| Teach {
        curl: super::setup::curl(&base, "generic", "$WATCHFIRE_KEY"),
        key_place: "The key is on the page of the connector “Generic JSON”, under Connectors.".to_owned(),
        connectors: platforms::all().collect(),
    });
    let mut frame = ask.frame("", Section::Incidents, &overview, seq);
    if let Some(compact) = asked.compact {
        frame.density = if compact { "density-compact" } else { "" };
    }
    if asked.wall {
        frame.density = "wall";
        frame.theme = frame.theme.or(Some("dark"));
    }
    let input = Input {
        overview,
        found,
        sources,
        counts,
        storm,
        typed,
        asked,
        me,
        error,
        teach,
        refused,
        nothing,
        sparks,
        people,
        views: ask.views.iter().filter(|v| v.kind == ViewKind::Incidents).cloned().collect(),
    };
    Ok(ListPage::new(frame, input))
}

fn ever_had_an_alert(view: &View) -> Result<bool, StoreError> {
    // An incident has at least one. Of alerts the first row answers; incidents would be counted, on every look at the list.
    Ok(!view.alerts(&AlertFilter::default(), None, 1)?.items.is_empty())
}

/// `GET /incidents/rows`: rows by id, and whether they fit the query. For lists that show something else than the
/// default, and for a list that has missed changes.
pub async fn rows(State(state): State<AppState>, ask: Ask, Params(params): Params) -> Result<Response, ApiError> {
    let q = params.get("q").trim().to_owned();
    let me = ask.identity.name();
    let now = ask.now;
    let mut filter = IncidentFilter::default();
    query::incidents(&q, query::Asker { now, me: Some(&me) }, &mut filter)?;
    let default = q.is_empty() || q == DEFAULT_QUERY;
    let ids: Vec<IncidentId> = params.get("ids").split(',').filter_map(|i| i.parse().ok()).take(200).collect();
    let (search, wanted) = (state.search.clone(), filter.clone());
    let (found, sparks) = state
        .store
        .read(move |view| {
            let found = if !ids.is_empty() {
                ids.into_iter()
                    .filter_map(|id| view.incident(id).transpose())
                    .collect::<Result<Vec<_>, StoreError>>()?
            } else if default {
                let mut all = view.open_incidents(PAGE)?.0;
                all.extend(view.closed_since(now.minus(CLOSED_WITHIN), incidents::CLOSED_ROWS)?.0);
                all
            } else {
                search.incidents(view, &wanted, None, PAGE)?.items
            };
            let ids: Vec<IncidentId> = found.iter().map(|i| i.id).collect();
            let sparks = view.sparks(&ids, now)?;
            Ok((found, sparks))
        })
        .await?;
    // Why alerts are in an incident does not change under a reader, and no row has it.
    filter.also.retain(|c| !matches!(c.test, IncidentTest::Strategy(_)));
    // A word may stand where the row has none: in a note, in an alert.
    let bare = filter.wordless();
    let fits = |i: &Incident| filter.matches(i) || (bare.matches(i) && state.search.says(i, &filter));
    let rows: Vec<_> = found
        .iter()
        .map(|i| {
            let fits = default || fits(i);
            let html = super::ui::Markup::of(&Row::new(i, sparks.get(&i.id), now)).to_string();
            json!({"id": i.id, "group": Need::of(i).key(), "fits": fits, "severity": i.severity, "html": html})
        })
        .collect();
    Ok(json(StatusCode::OK, &json!({ "rows": rows })))
}

/// `GET /incidents/watch`: the panel over the list.
pub async fn watch(State(state): State<AppState>, ask: Ask) -> Result<Response, ApiError> {
    let now = ask.now;
    let overview = state.store.read(move |view| view.overview(now)).await?;
    Ok(super::ask::html(StatusCode::OK, &Watch::new(&overview, now)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(address: &str) -> Asked {
        let kept = Kept {
            id: ViewId(3),
            name: "Payments".into(),
            kind: ViewKind::Incidents,
            q: "service:pay*".into(),
            shared: true,
            owner: "ann".into(),
            count: 2,
        };
        Asked::of(&Fields::parse(address.as_bytes()), &[kept])
    }

    #[test]
    fn the_address_holds_all_that_is_not_usual() {
        for (address, want) in [
            ("", "/incidents"),
            ("q=status:open+closed:%3C12h&sort=triage&group=need&limit=50", "/incidents"),
            ("q=a&sort=-alerts&group=none", "/incidents?q=a&sort=-alerts"),
            ("sort=wrong&group=service&limit=7&display=wall", "/incidents?group=service&display=wall"),
            ("view=V-3&limit=25&density=compact", "/incidents?view=V-3&limit=25&density=compact"),
            ("view=V-3&q=x", "/incidents?q=x"),
            ("view=V-9", "/incidents"),
            ("from=chat&q=a&by=text&x=1", "/incidents?q=a&from=chat&x=1"),
        ] {
            assert_eq!(asked(address).with("", ""), want, "{address}");
        }
        assert_eq!(asked("view=V-3&sort=-alerts").with("sort", ""), "/incidents?view=V-3");
        assert_eq!(asked("q=a&group=service").with("after", "INC-4"), "/incidents?q=a&group=service&after=INC-4");
        let said = |address: &str| asked(address).wrong;
        assert_eq!(said("sort=-alerts&group=none&limit=25&density=roomy&display=list&other=x"), None);
        let wrong = said("sort=-alrts&limit=7").unwrap();
        for part in ["sort=-alrts is not", "-alerts", "limit=7 is not known here: 25, 50, 100 are. It is left out."] {
            assert!(wrong.contains(part), "{wrong}");
        }
        assert_eq!(asked("view=V-3").q, "service:pay*");
        assert_eq!(asked("q=a&before=7").sort, Sort::Newest);
    }
}
