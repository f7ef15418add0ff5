//! Settings: oneself. Name, password, and the browsers in which one is signed in.

use askama::Template;
use axum::{
    extract::{Path, State},
    response::{IntoResponse, Redirect, Response},
};
use http::{HeaderMap, StatusCode, header};
use serde_json::json;

use super::{
    ask::{Ask, Fields, back, json},
    frame::{Frame, Section, counts_and_seq},
    said::Said,
    settings::{Tab, tabs},
    text,
    ui::{self, When},
    words,
};
use crate::{
    model::*,
    web::{
        api::{
            objects::SessionObject,
            sessions,
            users::{change_password, full_name},
        },
        auth::{self, Client},
        error::ApiError,
        state::AppState,
    },
};

const HERE: &str = "/settings/you";

/// A browser in which somebody is signed in.
#[derive(Debug)]
pub struct Browser {
    /// To end it by.
    pub id: String,
    /// What it is, in words.
    pub what: String,
    /// What it calls itself.
    pub agent: String,
    /// Where it was last used from.
    pub address: String,
    /// Last used.
    pub used: When,
    /// Signed in.
    pub since: When,
    /// Until when, at most.
    pub ends: When,
    /// The one that asks.
    pub current: bool,
}

/// As pages show them.
pub fn browsers(all: &[SessionObject], now: Time) -> Vec<Browser> {
    let of = |s: &SessionObject| Browser {
        id: s.id.clone(),
        what: what(s.user_agent.as_deref().unwrap_or_default()),
        agent: text::visible(s.user_agent.as_deref().unwrap_or_default()),
        address: text::visible(s.address.as_deref().unwrap_or("not known")),
        used: When::ago(s.last_used.unwrap_or(s.created_at), now),
        since: When::full(s.created_at),
        ends: When::full(s.expires_at),
        current: s.current,
    };
    all.iter().map(of).collect()
}

/// `Firefox on Linux`, from what a browser calls itself. The first that fits: most call themselves several.
fn what(agent: &str) -> String {
    const BROWSERS: [(&str, &str); 8] = [
        ("Edg", "Edge"),
        ("OPR/", "Opera"),
        ("Firefox/", "Firefox"),
        ("FxiOS/", "Firefox"),
        ("CriOS/", "Chrome"),
        ("Chrome/", "Chrome"),
        ("Safari/", "Safari"),
        ("curl/", "curl"),
    ];
    const SYSTEMS: [(&str, &str); 6] = [
        ("Android", "Android"),
        ("iPhone", "iPhone"),
        ("iPad", "iPad"),
        ("Windows", "Windows"),
        ("Mac OS X", "macOS"),
        ("Linux", "Linux"),
    ];
    let find =
        |list: &[(&str, &'static str)]| list.iter().find(|(mark, _)| agent.contains(mark)).map(|(_, name)| *name);
    match (find(&BROWSERS), find(&SYSTEMS)) {
        (Some(browser), Some(system)) => format!("{browser} on {system}"),
        (Some(one), None) | (None, Some(one)) => one.to_owned(),
        (None, None) => "A browser".to_owned(),
    }
}

#[derive(Template)]
#[template(path = "pages/you.html")]
struct YouPage {
    frame: Frame,
    tabs: Vec<Tab>,
    error: Option<String>,
    role: &'static str,
    may: &'static str,
    /// None for a token.
    origin: Option<&'static str>,
    local: bool,
    full_name: String,
    browsers: Vec<Browser>,
}

/// `GET /settings/you`
pub async fn show(State(state): State<AppState>, ask: Ask) -> Result<Response, ApiError> {
    draw(&state, &ask, None).await
}

async fn draw(state: &AppState, ask: &Ask, error: Option<String>) -> Result<Response, ApiError> {
    let now = ask.now;
    let (overview, seq) = state.store.read(move |view| counts_and_seq(view, now)).await?;
    let account = ask.identity.account.as_ref();
    let open = match account {
        Some(account) => sessions::seen(state, &ask.identity, Some(&account.name)).await?,
        None => Vec::new(),
    };
    let (role, may) = words::role(ask.role());
    let status = if error.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    let mut frame = ask.frame("You", Section::Settings, &overview, seq);
    frame.path = HERE.to_owned();
    let page = YouPage {
        frame,
        tabs: tabs(HERE),
        error,
        role,
        may,
        origin: account.map(|a| words::origin(a.origin)),
        local: account.is_some_and(|a| a.origin == Voucher::Local),
        full_name: text::visible(account.and_then(|a| a.full_name.as_deref()).unwrap_or_default()),
        browsers: browsers(&open, now),
    };
    Ok(ask.page(status, &page))
}

/// `POST /settings/you`: the name that one is called by.
pub async fn save(State(state): State<AppState>, ask: Ask, fields: Fields) -> Result<Response, ApiError> {
    let Some(account) = &ask.identity.account else {
        return Err(ApiError::forbidden("a token is no person"));
    };
    let name = account.name.clone();
    match full_name(Some(fields.get("full_name").to_owned())) {
        Ok(called) => {
            state.store.set_full_name(name, called, ask.identity.actor.clone()).await?;
            Ok(back(HERE, Some(Said::new("saved"))))
        }
        Err(e) => draw(&state, &ask, Some(said(&e))).await,
    }
}

/// The words of a refusal.
fn said(e: &ApiError) -> String {
    let why = e.errors.first().map_or(&e.detail, |field| &field.message);
    text::capital(&format!("{}.", why.trim_end_matches('.')))
}

/// `POST /settings/you/password`
pub async fn password(
    State(state): State<AppState>,
    ask: Ask,
    client: Client,
    fields: Fields,
) -> Result<Response, ApiError> {
    let (now, new) = (fields.get("old").to_owned(), fields.get("new").to_owned());
    match change_password(&state, &client, &ask.identity, now, new).await {
        Ok(()) => Ok(back(HERE, Some(Said::new("password")))),
        Err(e) if e.status == StatusCode::UNPROCESSABLE_ENTITY || e.status == StatusCode::CONFLICT => {
            draw(&state, &ask, Some(said(&e))).await
        }
        Err(e) => Err(e),
    }
}

/// `POST /settings/you/sign-out`: everywhere but here.
pub async fn sign_out_elsewhere(State(state): State<AppState>, ask: Ask) -> Result<Response, ApiError> {
    let Some(account) = &ask.identity.account else {
        return Err(ApiError::forbidden("a token has no sessions"));
    };
    let except = ask.identity.session.map(|s| s.hash);
    state.store.revoke_sessions(account.name.clone(), except, ask.identity.actor.clone()).await?;
    Ok(back(HERE, Some(Said::new("sessions-gone"))))
}

/// `POST /settings/sessions/{id}/end`: one's own, or for administrators anybody's.
pub async fn end_session(
    State(state): State<AppState>,
    ask: Ask,
    Path(id): Path<String>,
    fields: Fields,
) -> Result<Response, ApiError> {
    sessions::end(&state, &ask.identity, id).await?;
    let of = fields.get("person");
    let to = if of.is_empty() { HERE.to_owned() } else { format!("/settings/people/{of}") };
    Ok(back(&to, Some(Said::new("session-gone"))))
}

/// `POST /session/extend`: stays signed in. For the script that says when a session ends.
pub async fn extend(
    State(state): State<AppState>,
    ask: Ask,
    client: Client,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let (until, cookie) = auth::extend(&state, &client, &headers).await?;
    let mut response = if ask.script {
        json(StatusCode::OK, &json!({ "ends": until.millis() }))
    } else {
        Redirect::to(HERE).into_response()
    };
    if let Some(cookie) = cookie {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn browsers_are_named_by_what_they_are() {
        for (agent, want) in [
            ("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "Firefox on Linux"),
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/140.0 Safari/537.36 Edg/140.0",
                "Edge on Windows",
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1 Version/18.0 Mobile Safari/604.1",
                "Safari on iPhone",
            ),
            (
                "Mozilla/5.0 (Linux; Android 15) AppleWebKit/537.36 Chrome/140.0 Mobile Safari/537.36",
                "Chrome on Android",
            ),
            ("curl/8.5.0", "curl"),
            ("", "A browser"),
        ] {
            assert_eq!(what(agent), want, "{agent}");
        }
    }
}
