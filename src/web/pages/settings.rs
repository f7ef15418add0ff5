//! Settings: the sections, this browser, about.

use askama::Template;
use axum::{
    extract::State,
    response::{Redirect, Response},
};
use http::StatusCode;

use super::{
    ask::{Ask, Fields, back, set_cookie},
    frame::{Frame, Section, counts_and_seq},
    login::set_theme,
    said::Said,
    text, time,
    ui::{self, Markup},
};
use crate::{
    model::*,
    store::Overview,
    web::{error::ApiError, state::AppState},
};

/// A choice: value, words, whether it is the one.
type Choice = (&'static str, &'static str, bool);

/// What is kept in this browser.
#[derive(Debug)]
pub struct Browser {
    themes: Vec<Choice>,
    zone: Option<String>,
    notify: Vec<Choice>,
    sounds: Vec<Choice>,
}

/// About this installation.
#[derive(Debug)]
pub struct About {
    facts: Vec<(&'static str, Markup)>,
}

/// A section.
#[derive(Debug)]
pub enum Part {
    /// This browser.
    Browser(Browser),
    /// About.
    About(About),
}

#[derive(Template)]
#[template(path = "pages/settings.html")]
struct SettingsPage {
    frame: Frame,
    tabs: Vec<Tab>,
    error: Option<String>,
    part: Part,
}

/// Address, name, and whether it is the one that is looked at.
pub type Tab = (&'static str, &'static str, bool);

/// The sections, and whether each is the one that is looked at.
pub fn tabs(here: &str) -> Vec<Tab> {
    let all = [
        ("/settings/notifications", "Notifications"),
        ("/on-call", "On call"),
        ("/settings/you", "You"),
        ("/settings/contacts", "How you are reached"),
        ("/settings/browser", "This browser"),
        ("/settings/correlation", "Correlation"),
        ("/settings/investigation", "Investigation"),
        ("/settings/people", "People and tokens"),
        ("/settings/audit", "Audit"),
        ("/settings/lessons", "Lessons"),
        ("/settings/storage", "Storage and backup"),
        ("/settings/about", "About"),
    ];
    all.into_iter().map(|(href, name)| (href, name, href == here)).collect()
}

fn page(ask: &Ask, overview: &Overview, seq: u64, part: Part, error: Option<String>) -> Response {
    let here = match part {
        Part::Browser(_) => "/settings/browser",
        Part::About(_) => "/settings/about",
    };
    let status = if error.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    let mut frame = ask.frame("Settings", Section::Settings, overview, seq);
    // A form that was refused is drawn at the address it was sent to, where nothing can be fetched.
    frame.path = here.to_owned();
    ask.page(status, &SettingsPage { frame, tabs: tabs(here), error, part })
}

async fn figures(state: &AppState, now: Time) -> Result<(Overview, u64), ApiError> {
    Ok(state.store.read(move |view| counts_and_seq(view, now)).await?)
}

/// `GET /settings`
pub async fn index() -> Redirect {
    Redirect::to("/settings/browser")
}

fn choices(all: [(&'static str, &'static str); 3], now: Option<&str>) -> Vec<Choice> {
    all.into_iter().map(|(value, name)| (value, name, value == now.unwrap_or(all[0].0))).collect()
}

async fn draw_browser(
    state: &AppState,
    ask: &Ask,
    zone: Option<String>,
    error: Option<String>,
) -> Result<Response, ApiError> {
    let (overview, seq) = figures(state, ask.now).await?;
    let part = Part::Browser(Browser {
        themes: choices([("system", "System"), ("light", "Light"), ("dark", "Dark")], ask.prefs.theme),
        zone,
        notify: choices([("", "Nothing"), ("critical", "Critical ones"), ("all", "All new ones")], ask.prefs.notify),
        sounds: choices([("", "None"), ("once", "Once"), ("until", "Until acknowledged")], ask.prefs.sound),
    });
    Ok(page(ask, &overview, seq, part, error))
}

/// `GET /settings/browser`
pub async fn browser(State(state): State<AppState>, ask: Ask) -> Result<Response, ApiError> {
    draw_browser(&state, &ask, ask.prefs.zone.clone(), None).await
}

/// `POST /settings/browser`
pub async fn save_browser(State(state): State<AppState>, ask: Ask, fields: Fields) -> Result<Response, ApiError> {
    let typed = fields.get("tz").trim();
    let zone = (fields.get("times") == "zone" && !typed.is_empty()).then_some(typed);
    if let Some(name) = zone.filter(|name| time::zone(name).is_none() && !["UTC", "Etc/UTC"].contains(name)) {
        let name = text::visible(&text::shorten(name, 64));
        let error = format!("“{name}” is not a time zone; write one such as Europe/Berlin.");
        return draw_browser(&state, &ask, Some(name), Some(error)).await;
    }
    let mut response = back("/settings/browser", Some(Said::new("saved")));
    set_theme(&mut response, fields.get("theme"));
    let one_of = |name: &str, words: &[&'static str]| words.iter().find(|w| **w == fields.get(name)).copied();
    for (name, value) in [
        ("keys", (!fields.checked("keys")).then_some("off")),
        ("density", fields.checked("compact").then_some("compact")),
        ("tz", zone),
        ("notify", one_of("notify", &["critical", "all"])),
        ("sound", one_of("sound", &["once", "until"])),
    ] {
        let cookie = match value {
            Some(v) => format!("{name}={v}; Path=/; Max-Age=31536000; SameSite=Lax"),
            None => format!("{name}=; Path=/; Max-Age=0; SameSite=Lax"),
        };
        set_cookie(&mut response, &cookie);
    }
    Ok(response)
}

/// `GET /settings/about`
pub async fn about(State(state): State<AppState>, ask: Ask) -> Result<Response, ApiError> {
    let (overview, seq) = figures(&state, ask.now).await?;
    let health = match state.store.health() {
        Ok(()) => "written and read".to_owned(),
        Err(e) => e.to_string(),
    };
    let ends = state.shared.tls.figures().ends;
    let tls = match (state.shared.tls.is_on(), ends) {
        (true, Some(ends)) => format!("on; the certificate ends {ends}"),
        (true, None) => "on".to_owned(),
        (false, _) => "off".to_owned(),
    };
    let size: u64 = state.store.read(|view| view.sizes()).await?.iter().map(|(_, bytes)| bytes).sum();
    let by = sign_in(&state);
    let facts = vec![
        ("Version", ui::foreign(env!("CARGO_PKG_VERSION"))),
        ("Store", ui::foreign(&health)),
        ("Waiting", ui::foreign(&format!("{} not applied yet", ui::plural(state.store.behind(), "webhook")))),
        ("Public URL", ui::foreign_or(&state.config.public_url, "as the request came")),
        ("TLS", ui::foreign(&tls)),
        ("Stored", ui::foreign(&format!("{} of rows", ui::bytes(size)))),
        ("Sign-in", ui::foreign(&by)),
        ("Licence", ui::foreign("Apache-2.0")),
        ("API", ui::foreign("described at /api/openapi.json, OpenAPI 3.1")),
    ];
    Ok(page(&ask, &overview, seq, Part::About(About { facts }), None))
}

/// The ways in which people sign in.
fn sign_in(state: &AppState) -> String {
    let mut ways = vec!["passwords".to_owned()];
    if state.shared.oidc.is_some() {
        ways.push(state.config.sign_in.provider.clone());
    }
    if state.config.sign_in.user_header.is_some() {
        ways.push("the proxy in front".to_owned());
    }
    ways.join(", ")
}
