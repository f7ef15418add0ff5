//! The link in a message that acknowledges with one press: a page with one button, so that programs that open links do
//! nothing. Whoever has the link may do that one thing, without a session.

use askama::Template;
use axum::{
    extract::{Path, State},
    response::Response,
};
use http::{HeaderMap, StatusCode};

use super::{
    ask::html,
    frame::{Frame, Prefs},
    text,
    ui::{self, Markup},
};
use crate::{
    model::*,
    notifications::links::{LinkError, Linked, Links},
    store::{CommandError, StoreError, View},
    web::{auth::Client, error::ApiError, state::AppState},
};

#[derive(Template)]
#[template(path = "pages/ack.html")]
struct AckPage {
    frame: Frame,
    /// Why there is nothing to press; none when there is.
    nothing: Option<String>,
    /// It was done just now.
    done: bool,
    incident: Option<Shown>,
    /// Who acknowledges with a press.
    who: String,
}

/// An incident, as far as a message tells it anyway.
struct Shown {
    id: IncidentId,
    title: String,
    severity: Markup,
    status: Markup,
    href: String,
}

/// What a link leads to.
enum Found {
    Incident { incident: Box<Incident>, actor: Actor, home: IncidentId },
    Nothing(&'static str),
}

fn find(view: &View, linked: Linked) -> Result<Found, StoreError> {
    let notice = view.notice(linked.notice)?.filter(|n| n.incident == Some(linked.incident));
    let (Some(notice), Some(incident)) = (notice, view.incident(linked.incident)?) else {
        return Ok(Found::Nothing("The incident of this link is not kept any more."));
    };
    let actor = match notice.person {
        Some(name) => match view.account(&name)?.filter(|a| !a.disabled) {
            Some(account) => Actor::Person(account.name),
            None => return Ok(Found::Nothing("This link is of an account that is not there any more.")),
        },
        None => {
            let channel = view.channel(notice.channel)?;
            Actor::Program(channel.map_or_else(|| notice.channel.to_string(), |c| c.name))
        }
    };
    let home = incident.merged_into.unwrap_or(incident.id);
    Ok(Found::Incident { incident: Box::new(incident), actor, home })
}

/// Why it cannot be acknowledged, if so.
fn nothing_to_do(i: &Incident, home: IncidentId) -> Option<String> {
    match (i.status, &i.owner) {
        (IncidentStatus::Merged, _) => Some(format!("It is part of {home} now. Acknowledge that one.")),
        (IncidentStatus::Resolved, _) => Some("It is over already.".to_owned()),
        (_, Some(owner)) => Some(format!("{owner} has acknowledged it already.")),
        _ => None,
    }
}

struct Opened {
    page: AckPage,
    status: StatusCode,
    /// Who may acknowledge which incident now.
    may: Option<(IncidentId, Actor)>,
}

async fn open(state: &AppState, client: &Client, headers: &HeaderMap, token: &str) -> Result<Opened, ApiError> {
    state.shared.links.take_address(client.addr).map_err(|secs| {
        ApiError::new(StatusCode::TOO_MANY_REQUESTS, "too_many_tries", "too many tries from this address")
            .retry_after(secs)
    })?;
    let now = state.clock.now();
    let prefs = Prefs { demo: state.config.demo, ..Prefs::of(headers) };
    let frame = || Frame::bare("Acknowledge", now, &prefs);
    let blank = || AckPage { frame: frame(), nothing: None, done: false, incident: None, who: String::new() };
    let said = |status: StatusCode, what: String| Opened {
        page: AckPage { nothing: Some(text::capital(&what)), ..blank() },
        status,
        may: None,
    };
    let linked = match Links::new(state.store.sealer().link_key()).read(token, now) {
        Ok(linked) => linked,
        Err(e @ LinkError::Wrong) => return Ok(said(StatusCode::NOT_FOUND, format!("{e}."))),
        Err(e @ LinkError::Old) => return Ok(said(StatusCode::GONE, format!("{e}."))),
    };
    let (incident, actor, home) = match state.store.read(move |view| find(view, linked)).await? {
        Found::Nothing(what) => return Ok(said(StatusCode::GONE, what.to_owned())),
        Found::Incident { incident, actor, home } => (incident, actor, home),
    };
    let nothing = nothing_to_do(&incident, home);
    let may = nothing.is_none().then(|| (incident.id, actor.clone()));
    let shown = Shown {
        id: incident.id,
        title: text::visible(&incident.title),
        severity: ui::severity(incident.severity),
        status: ui::status(incident.status),
        href: format!("/incidents/{home}"),
    };
    let page = AckPage { nothing, incident: Some(shown), who: text::visible(&actor.to_string()), ..blank() };
    Ok(Opened { page, status: StatusCode::OK, may })
}

/// `GET /ack/{token}`: what it is about, and one button.
pub async fn show(
    State(state): State<AppState>,
    client: Client,
    headers: HeaderMap,
    Path(token): Path<String>,
) -> Result<Response, ApiError> {
    let opened = open(&state, &client, &headers, &token).await?;
    Ok(html(opened.status, &opened.page))
}

/// `POST /ack/{token}`: acknowledges, as the person whom the message reached, or as the channel where it reached none.
pub async fn acknowledge(
    State(state): State<AppState>,
    client: Client,
    headers: HeaderMap,
    Path(token): Path<String>,
) -> Result<Response, ApiError> {
    let opened = open(&state, &client, &headers, &token).await?;
    let Some((id, actor)) = opened.may else { return Ok(html(opened.status, &opened.page)) };
    match state.store.acknowledge_as(id, Some(None), actor).await {
        Ok(_) => Ok(html(StatusCode::OK, &AckPage { done: true, ..opened.page })),
        // Somebody was faster: the page says who.
        Err(CommandError::Conflict { .. }) => {
            let again = open(&state, &client, &headers, &token).await?;
            Ok(html(again.status, &again.page))
        }
        Err(e) => Err(e.into()),
    }
}
