//! The list of postmortems, and what ended lately without one.

use std::{collections::BTreeMap, time::Duration};

use askama::Template;
use axum::{extract::State, response::Response};
use http::StatusCode;

use super::{
    ask::{Ask, Params},
    frame::{Frame, Section, counts_and_seq},
    read::query_error,
    text,
    time::When,
    ui::{self, Markup},
};
use crate::{
    model::*,
    store::IncidentFilter,
    web::{
        api::postmortems::{PostmortemHead, today},
        error::ApiError,
        query,
        state::AppState,
    },
};

/// Postmortems on one page.
const ROWS: usize = 100;
/// Incidents that words are looked for in.
const SEARCHED: usize = 500;
/// Incidents that ended within this time and were bad are worth a postmortem.
const LATELY: Duration = Duration::from_secs(14 * 86_400);
const CLOSED: usize = 200;
const OWED: usize = 5;

/// One postmortem.
#[derive(Debug)]
pub struct Row {
    id: IncidentId,
    title: Markup,
    severity: Option<Markup>,
    published: bool,
    gaps: Option<String>,
    actions: String,
    overdue: Option<String>,
    updated: When,
    by: Markup,
}

impl Row {
    fn new(p: &Postmortem, incident: Option<&Incident>, now: Time) -> Self {
        let head = PostmortemHead::of(p, now);
        let open = p.text.actions.iter().filter(|a| matches!(a.state, ActionState::Open | ActionState::InProgress));
        Self {
            id: p.incident,
            title: ui::foreign(&text::shorten(&p.text.title, 160)),
            severity: incident.map(|i| ui::severity(i.severity)),
            published: p.state == PostmortemState::Published,
            gaps: (head.gaps > 0).then(|| format!("{} to fill in", ui::plural(head.gaps, "place"))),
            actions: match (p.text.actions.len(), open.count()) {
                (0, _) => String::new(),
                (all, 0) => format!("{all} done"),
                (all, open) => format!("{open} of {all} open"),
            },
            overdue: (head.overdue > 0).then(|| format!("{} overdue", head.overdue)),
            updated: When::ago(p.updated_at, now),
            by: ui::foreign(&p.updated_by),
        }
    }
}

/// One incident that has none.
#[derive(Debug)]
pub struct Owed {
    id: IncidentId,
    severity: Markup,
    title: Markup,
    ended: Option<When>,
}

/// The list.
#[derive(Debug, Template)]
#[template(path = "pages/postmortems.html")]
pub struct ListPage {
    frame: Frame,
    q: String,
    error: Option<String>,
    rows: Vec<Row>,
    older: Option<u64>,
    owed: Vec<Owed>,
    overdue: u64,
}

/// `GET /postmortems?q=&before=`
pub async fn list(State(state): State<AppState>, ask: Ask, Params(params): Params) -> Result<Response, ApiError> {
    let now = ask.now;
    let q = params.get("q").trim().to_owned();
    let before = params.get("before").parse().ok();
    let me = ask.identity.name();
    let mut filter = IncidentFilter::default();
    let wrong = query::incidents(&q, query::Asker { now, me: Some(&me) }, &mut filter).err().map(query_error);
    let searched = !q.is_empty() && wrong.is_none();
    let search = state.search.clone();
    let (overview, seq, found, next, incidents, owed) = state
        .store
        .read(move |view| {
            let (overview, seq) = counts_and_seq(view, now)?;
            let (mut found, mut next) = (Vec::new(), None);
            if searched {
                for incident in search.incidents(view, &filter, None, SEARCHED)?.items {
                    if incident.postmortem.is_some() {
                        found.extend(view.postmortem(incident.id)?);
                    }
                }
                found.truncate(ROWS);
            } else {
                let listing = view.postmortems(before, ROWS)?;
                (found, next) = (listing.items, listing.next);
            }
            let mut incidents = BTreeMap::new();
            for p in &found {
                incidents.extend(view.incident(p.incident)?.map(|i| (i.id, i)));
            }
            let mut owed = view.closed_since(now.minus(LATELY), CLOSED)?.0;
            owed.retain(|i| i.postmortem.is_none() && !i.test && i.severity <= Severity::High);
            owed.truncate(OWED);
            Ok((overview, seq, found, next, incidents, owed))
        })
        .await?;
    let day = today(now);
    let overdue = found.iter().flat_map(|p| &p.text.actions).filter(|a| a.is_overdue(day)).count();
    let page = ListPage {
        error: wrong.map(|e| e.message),
        rows: found.iter().map(|p| Row::new(p, incidents.get(&p.incident), now)).collect(),
        older: next,
        owed: owed
            .iter()
            .map(|i| Owed {
                id: i.id,
                severity: ui::severity(i.severity),
                title: ui::foreign(&text::shorten(&i.title, 120)),
                ended: i.resolved_at.map(|at| When::ago(at, now)),
            })
            .collect(),
        overdue: u64::try_from(overdue).unwrap_or(u64::MAX),
        q,
        frame: ask.frame("Postmortems", Section::Postmortems, &overview, seq),
    };
    Ok(ask.page(StatusCode::OK, &page))
}
