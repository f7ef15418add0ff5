//! Settings: this browser, people and tokens, about.

use std::time::Duration;

use askama::Template;
use axum::{
    extract::State,
    response::{IntoResponse, Redirect, Response},
};
use http::{HeaderMap, StatusCode};

use super::{
    ask::{Ask, Fields, back, set_cookie},
    connector_forms::AdminForm,
    frame::{Frame, Section, counts_and_seq},
    login::set_theme,
    said::Said,
    text,
    ui::{self, Markup, When},
    words,
};
use crate::{
    model::*,
    store::{CommandError, Overview},
    web::{
        auth::{self, Client, NewToken, check_name, create_token, hash_password, verify_password},
        error::ApiError,
        state::AppState,
    },
};

/// A person in the list.
#[derive(Debug)]
pub struct Person {
    name: String,
    role: &'static str,
    may: &'static str,
    seen: Option<When>,
    me: bool,
}

/// A token in the list.
#[derive(Debug)]
pub struct TokenRow {
    name: String,
    by: String,
    scopes: String,
    hint: String,
    used: Option<When>,
    until: Option<When>,
}

/// People and tokens.
#[derive(Debug)]
pub struct People {
    people: Vec<Person>,
    roles: Vec<(&'static str, &'static str, &'static str)>,
    tokens: Vec<TokenRow>,
    scopes: Vec<(&'static str, &'static str)>,
    made: Option<String>,
    typed_name: String,
    typed_token: String,
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
    Browser,
    /// People and tokens.
    People(People),
    /// The same for those who may not.
    NotAllowed,
    /// About.
    About(About),
}

#[derive(Template)]
#[template(path = "pages/settings.html")]
struct SettingsPage {
    frame: Frame,
    tabs: Vec<(&'static str, &'static str, bool)>,
    themes: Vec<(&'static str, &'static str, bool)>,
    error: Option<String>,
    part: Part,
}

/// The sections, and whether each is the one that is looked at.
pub fn tabs(here: &str) -> Vec<(&'static str, &'static str, bool)> {
    let all = [
        ("/settings/browser", "This browser"),
        ("/settings/correlation", "Correlation"),
        ("/settings/investigation", "Investigation"),
        ("/settings/people", "People and tokens"),
        ("/settings/lessons", "Lessons"),
        ("/settings/storage", "Storage and backup"),
        ("/settings/about", "About"),
    ];
    all.into_iter().map(|(href, name)| (href, name, href == here)).collect()
}

fn page(ask: &Ask, overview: &Overview, seq: u64, part: Part, error: Option<String>) -> Response {
    let here = match part {
        Part::Browser => "/settings/browser",
        Part::People(_) | Part::NotAllowed => "/settings/people",
        Part::About(_) => "/settings/about",
    };
    let theme = ask.prefs.theme.unwrap_or("system");
    let themes = [("system", "System"), ("light", "Light"), ("dark", "Dark")];
    let status = if error.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    let mut frame = ask.frame("Settings", Section::Settings, overview, seq);
    // A form that was refused is drawn at the address it was sent to, where nothing can be fetched.
    frame.path = here.to_owned();
    let page = SettingsPage {
        frame,
        tabs: tabs(here),
        themes: themes.into_iter().map(|(v, name)| (v, name, v == theme)).collect(),
        error,
        part,
    };
    ask.page(status, &page)
}

async fn figures(state: &AppState, now: Time) -> Result<(Overview, u64), ApiError> {
    Ok(state.store.read(move |view| counts_and_seq(view, now)).await?)
}

/// `GET /settings`
pub async fn index() -> Redirect {
    Redirect::to("/settings/browser")
}

/// `GET /settings/browser`
pub async fn browser(State(state): State<AppState>, ask: Ask) -> Result<Response, ApiError> {
    let (overview, seq) = figures(&state, ask.now).await?;
    Ok(page(&ask, &overview, seq, Part::Browser, None))
}

/// `POST /settings/browser`
pub async fn save_browser(_ask: Ask, fields: Fields) -> Response {
    let mut response = back("/settings/browser", Some(Said::new("saved")));
    set_theme(&mut response, fields.get("theme"));
    let keep = |name: &str, value: Option<&str>| match value {
        Some(v) => format!("{name}={v}; Path=/; Max-Age=31536000; SameSite=Lax"),
        None => format!("{name}=; Path=/; Max-Age=0; SameSite=Lax"),
    };
    set_cookie(&mut response, &keep("keys", (!fields.checked("keys")).then_some("off")));
    set_cookie(&mut response, &keep("density", fields.checked("compact").then_some("compact")));
    response
}

/// `POST /settings/password`
pub async fn change_password(
    State(state): State<AppState>,
    ask: Ask,
    client: Client,
    headers: HeaderMap,
    fields: Fields,
) -> Result<Response, ApiError> {
    let Some(account) = &ask.identity.account else {
        return Err(ApiError::forbidden("a token has no password"));
    };
    let name = account.name.clone();
    state.shared.logins.take(&name, client.addr).map_err(|secs| {
        ApiError::new(StatusCode::TOO_MANY_REQUESTS, "too_many_tries", "too many tries").retry_after(secs)
    })?;
    let wanted = name.clone();
    let stored =
        state.store.read(move |view| view.account(&wanted)).await?.ok_or_else(|| ApiError::not_found("account"))?;
    let right = verify_password(&state, fields.get("old").to_owned(), stored.password_hash).await?;
    let refused = if right {
        match hash_password(&state, fields.get("new").to_owned()).await? {
            Ok(hash) => {
                state.store.set_password(name, hash, ask.identity.actor.clone()).await?;
                // Their sessions have ended, this one too.
                auth::logout(&state, &client, &headers).await?;
                return Ok(Redirect::to("/login").into_response());
            }
            Err(e) => text::capital(&format!("{e}.")),
        }
    } else {
        "The password now is not right.".to_owned()
    };
    let (overview, seq) = figures(&state, ask.now).await?;
    Ok(page(&ask, &overview, seq, Part::Browser, Some(refused)))
}

/// What stands in the forms of a page that is drawn again.
#[derive(Default)]
struct Again {
    made: Option<String>,
    error: Option<String>,
    name: String,
    token: String,
}

async fn draw_people(state: &AppState, ask: &Ask, again: Again) -> Result<Response, ApiError> {
    let now = ask.now;
    if !ask.identity.may_set_up() {
        let (overview, seq) = figures(state, now).await?;
        return Ok(page(ask, &overview, seq, Part::NotAllowed, None));
    }
    let (overview, seq, accounts, tokens) = state
        .store
        .read(move |view| {
            let (overview, seq) = counts_and_seq(view, now)?;
            Ok((overview, seq, view.accounts()?, view.tokens()?))
        })
        .await?;
    let me = ask.identity.name();
    let people = accounts.iter().map(|a| {
        let (role, may) = words::role(a.role);
        Person {
            name: text::visible(&a.name),
            role,
            may,
            seen: a.last_seen.map(|t| When::ago(t, now)),
            me: a.name == me,
        }
    });
    let tokens = tokens.iter().map(|t| TokenRow {
        name: text::visible(&t.name),
        by: text::visible(&t.created_by),
        scopes: t.scopes.iter().map(|s| s.as_str()).collect::<Vec<_>>().join(", "),
        hint: text::visible(&t.hint),
        used: t.last_used.map(|t| When::ago(t, now)),
        until: t.expires_at.map(When::full),
    });
    let part = Part::People(People {
        people: people.collect(),
        roles: Role::ALL.iter().map(|r| (r.as_str(), words::role(*r).0, words::role(*r).1)).collect(),
        tokens: tokens.collect(),
        scopes: Scope::ALL.iter().map(|s| (s.as_str(), words::scope(*s))).collect(),
        made: again.made,
        typed_name: again.name,
        typed_token: again.token,
    });
    Ok(page(ask, &overview, seq, part, again.error))
}

/// `GET /settings/people`
pub async fn people(State(state): State<AppState>, ask: Ask) -> Result<Response, ApiError> {
    draw_people(&state, &ask, Again::default()).await
}

/// Done, or the page again with why not.
async fn outcome(
    state: &AppState,
    ask: &Ask,
    said: &str,
    result: Result<(), CommandError>,
    again: Again,
) -> Result<Response, ApiError> {
    match result {
        Ok(()) => Ok(back("/settings/people", Some(Said::new(said)))),
        Err(CommandError::Conflict { detail, .. } | CommandError::Invalid { detail, .. }) => {
            let error = Some(text::capital(&format!("{}.", detail.trim_end_matches('.'))));
            draw_people(state, ask, Again { error, ..again }).await
        }
        Err(e) => Err(e.into()),
    }
}

/// `POST /settings/people`
pub async fn add_person(State(state): State<AppState>, form: AdminForm) -> Result<Response, ApiError> {
    let AdminForm { ask, actor, fields } = form;
    let again = Again { name: text::visible(fields.get("name")), ..Again::default() };
    let role: Role = fields.get("role").parse().map_err(|e: String| ApiError::invalid("role", e))?;
    let made = match check_name(fields.get("name")) {
        None => Err("a name has 1 to 64 characters of a-z, 0-9, dot, hyphen, underscore and @".to_owned()),
        Some(name) => match hash_password(&state, fields.get("password").to_owned()).await? {
            Ok(password_hash) => {
                let account = Account { name, role, password_hash, created_at: ask.now, last_seen: None };
                Ok(state.store.create_account(account, actor).await)
            }
            Err(e) => Err(e.to_string()),
        },
    };
    let result = made.unwrap_or_else(|detail| Err(CommandError::Invalid { field: "name".to_owned(), detail }));
    outcome(&state, &ask, "person", result, again).await
}

/// `POST /settings/people/role`
pub async fn set_role(State(state): State<AppState>, form: AdminForm) -> Result<Response, ApiError> {
    let role: Role = form.fields.get("role").parse().map_err(|e: String| ApiError::invalid("role", e))?;
    let result = state.store.set_role(form.fields.get("name").to_owned(), role, form.actor).await;
    outcome(&state, &form.ask, "saved", result, Again::default()).await
}

/// `POST /settings/people/remove`
pub async fn remove_person(State(state): State<AppState>, form: AdminForm) -> Result<Response, ApiError> {
    let result = state.store.remove_account(form.fields.get("name").to_owned(), form.actor).await;
    outcome(&state, &form.ask, "person-gone", result, Again::default()).await
}

/// `POST /settings/tokens`: the page with the token on it, once.
pub async fn make_token(State(state): State<AppState>, form: AdminForm) -> Result<Response, ApiError> {
    let AdminForm { ask, actor, fields } = form;
    let days: Option<u64> = fields.get("days").parse().ok();
    let new = NewToken {
        name: fields.get("name").to_owned(),
        scopes: fields.all("scope").iter().filter_map(|s| s.parse().ok()).collect(),
        expires_at: days.map(|d| ask.now.plus(Duration::from_secs(d.min(3650) * 86_400))),
    };
    let again = match create_token(&state, new, actor).await {
        Ok((_, plain)) => Again { made: Some(plain), ..Again::default() },
        Err(e) if e.status.is_client_error() => {
            let why = e.errors.first().map_or(e.detail.clone(), |f| f.message.clone());
            Again { error: Some(text::capital(&why)), token: text::visible(fields.get("name")), ..Again::default() }
        }
        Err(e) => return Err(e),
    };
    draw_people(&state, &ask, again).await
}

/// `POST /settings/tokens/revoke`
pub async fn revoke_token(State(state): State<AppState>, form: AdminForm) -> Result<Response, ApiError> {
    let result = state.store.revoke_token(form.fields.get("name").to_owned(), form.actor).await;
    outcome(&state, &form.ask, "token-gone", result, Again::default()).await
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
    let facts = vec![
        ("Version", ui::foreign(env!("CARGO_PKG_VERSION"))),
        ("Store", ui::foreign(&health)),
        ("Waiting", ui::foreign(&format!("{} not applied yet", ui::plural(state.store.behind(), "webhook")))),
        ("Public URL", ui::foreign_or(&state.config.public_url, "as the request came")),
        ("TLS", ui::foreign(&tls)),
    ];
    Ok(page(&ask, &overview, seq, Part::About(About { facts }), None))
}
