//! Settings: people and tokens, for administrators.

use std::time::Duration;

use askama::Template;
use axum::{
    extract::{Path, State},
    response::Response,
};
use http::StatusCode;

use super::{
    ask::{Ask, back},
    connector_forms::AdminForm,
    frame::{Frame, Section, counts_and_seq},
    said::Said,
    settings::{Tab, tabs},
    text,
    ui::{self, When},
    words,
    you::{Browser, browsers},
};
use crate::{
    model::*,
    store::CommandError,
    web::{
        api::{sessions, users::full_name},
        auth::{NewToken, check_name, create_token, hash_password},
        error::ApiError,
        state::AppState,
    },
};

const HERE: &str = "/settings/people";
/// A token is said to be about to end this long before it does.
const SOON: Duration = Duration::from_secs(14 * 86_400);

/// A person.
#[derive(Debug)]
pub struct Person {
    name: String,
    full_name: String,
    role: &'static str,
    may: &'static str,
    origin: &'static str,
    local: bool,
    seen: Option<When>,
    made: When,
    me: bool,
    disabled: bool,
    browsers: String,
}

impl Person {
    fn of(a: &Account, me: &str, browsers: usize, now: Time) -> Self {
        let (role, may) = words::role(a.role);
        Self {
            name: text::visible(&a.name),
            full_name: text::visible(a.full_name.as_deref().unwrap_or_default()),
            role,
            may,
            origin: words::origin(a.origin),
            local: a.origin == Voucher::Local,
            seen: a.last_seen.map(|t| When::ago(t, now)),
            made: When::full(a.created_at),
            me: a.name == me,
            disabled: a.disabled,
            browsers: ui::plural(browsers as u64, "browser"),
        }
    }
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
    over: bool,
    soon: bool,
}

/// Value, name, meaning of a role.
type RoleChoice = (&'static str, &'static str, &'static str);

fn roles() -> Vec<RoleChoice> {
    Role::ALL.iter().map(|r| (r.as_str(), words::role(*r).0, words::role(*r).1)).collect()
}

/// What stands in the forms of a page that is drawn again.
#[derive(Default)]
struct Again {
    made: Option<String>,
    error: Option<String>,
    name: String,
    token: String,
}

/// An option of sign-in, as it is set.
struct Setting {
    key: &'static str,
    text: String,
}

#[derive(Template)]
#[template(path = "pages/people.html")]
struct PeoplePage {
    frame: Frame,
    tabs: Vec<Tab>,
    allowed: bool,
    people: Vec<Person>,
    roles: Vec<RoleChoice>,
    tokens: Vec<TokenRow>,
    scopes: Vec<(&'static str, &'static str)>,
    elsewhere: Vec<Setting>,
    again: Again,
}

#[derive(Template)]
#[template(path = "pages/person.html")]
struct PersonPage {
    frame: Frame,
    tabs: Vec<Tab>,
    person: Person,
    roles: Vec<RoleChoice>,
    browsers: Vec<Browser>,
    error: Option<String>,
}

/// `GET /settings/people`
pub async fn people(State(state): State<AppState>, ask: Ask) -> Result<Response, ApiError> {
    draw(&state, &ask, Again::default()).await
}

async fn draw(state: &AppState, ask: &Ask, again: Again) -> Result<Response, ApiError> {
    let (now, allowed) = (ask.now, ask.identity.may_set_up());
    let (overview, seq, accounts, open, tokens) = state
        .store
        .read(move |view| {
            let (overview, seq) = counts_and_seq(view, now)?;
            // Who may not see them gets none.
            let (accounts, open, tokens) = if allowed {
                (view.accounts()?, view.sessions(now)?, view.tokens()?)
            } else {
                (Vec::new(), Vec::new(), Vec::new())
            };
            Ok((overview, seq, accounts, open, tokens))
        })
        .await?;
    let me = ask.identity.name();
    let browsers = |a: &Account| open.iter().filter(|(_, s)| s.account == a.name).count();
    let tokens = tokens.iter().map(|t| TokenRow {
        name: text::visible(&t.name),
        by: text::visible(&t.created_by),
        scopes: t.scopes.iter().map(|s| s.as_str()).collect::<Vec<_>>().join(", "),
        hint: text::visible(&t.hint),
        used: t.last_used.map(|t| When::ago(t, now)),
        until: t.expires_at.map(When::full),
        over: t.expires_at.is_some_and(|at| at <= now),
        soon: t.expires_at.is_some_and(|at| at > now && at.since(now) < SOON),
    });
    let status = if again.error.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    let mut frame = ask.frame("Settings", Section::Settings, &overview, seq);
    frame.path = HERE.to_owned();
    let page = PeoplePage {
        frame,
        tabs: tabs(HERE),
        allowed,
        people: accounts.iter().map(|a| Person::of(a, &me, browsers(a), now)).collect(),
        roles: roles(),
        tokens: tokens.collect(),
        scopes: Scope::ALL.iter().map(|s| (s.as_str(), words::scope(*s))).collect(),
        elsewhere: if allowed { elsewhere(state) } else { Vec::new() },
        again,
    };
    Ok(ask.page(status, &page))
}

/// What the configuration says of sign-in by a provider or a proxy; nothing when it says nothing.
fn elsewhere(state: &AppState) -> Vec<Setting> {
    let settings = &state.config.sign_in;
    if settings.issuer.is_none() && settings.user_header.is_none() {
        return Vec::new();
    }
    let of = |prefix| state.config.given.shown(prefix);
    let all = of("oidc.").chain(of("proxy.user_header")).chain(of("proxy.groups_header")).chain(of("groups."));
    let given = all.filter_map(|s| Some((s.option.key, s.text.filter(|t| !t.is_empty())?)));
    given.map(|(key, text)| Setting { key, text: text::visible(text) }).collect()
}

/// The words of a refusal that a person can mend; anything else goes on as an error.
fn refusal(e: CommandError) -> Result<String, ApiError> {
    match e {
        CommandError::Conflict { detail, .. } | CommandError::Invalid { detail, .. } => {
            Ok(text::capital(&format!("{}.", detail.trim_end_matches('.'))))
        }
        other => Err(other.into()),
    }
}

/// `POST /settings/people`
pub async fn add(State(state): State<AppState>, form: AdminForm) -> Result<Response, ApiError> {
    let AdminForm { ask, actor, fields } = form;
    match add_person(&state, actor, &fields, ask.now).await? {
        Ok(()) => Ok(back(HERE, Some(Said::new("person")))),
        Err(error) => {
            let again = Again { error: Some(error), name: text::visible(fields.get("name")), ..Again::default() };
            draw(&state, &ask, again).await
        }
    }
}

/// Adds the person of a form with `name`, `role` and `password`, or says why not.
pub async fn add_person(
    state: &AppState,
    actor: Actor,
    fields: &super::ask::Fields,
    now: Time,
) -> Result<Result<(), String>, ApiError> {
    let role: Role = fields.get("role").parse().map_err(|e: String| ApiError::invalid("role", e))?;
    let Some(name) = check_name(fields.get("name")) else {
        return Ok(Err("A name has 1 to 64 characters of a-z, 0-9, dot, hyphen, underscore and @.".to_owned()));
    };
    let hash = match hash_password(state, fields.get("password").to_owned()).await? {
        Ok(hash) => hash,
        Err(e) => return Ok(Err(text::capital(&format!("{e}.")))),
    };
    match state.store.create_account(Account::local(name, role, hash, now), actor).await {
        Ok(()) => Ok(Ok(())),
        Err(e) => refusal(e).map(Err),
    }
}

/// `GET /settings/people/{name}`
pub async fn person(State(state): State<AppState>, ask: Ask, Path(name): Path<String>) -> Result<Response, ApiError> {
    if !ask.identity.may_set_up() {
        return Err(ApiError::forbidden("only an administrator sees other people"));
    }
    draw_person(&state, &ask, name, None).await
}

async fn draw_person(state: &AppState, ask: &Ask, name: String, error: Option<String>) -> Result<Response, ApiError> {
    let (now, wanted) = (ask.now, name.clone());
    let (overview, seq, found) = state
        .store
        .read(move |view| {
            let (overview, seq) = counts_and_seq(view, now)?;
            Ok((overview, seq, view.account(&wanted)?))
        })
        .await?;
    let account = found.ok_or_else(|| ApiError::not_found(format!("person {}", text::shorten(&name, 64))))?;
    let open = browsers(&sessions::seen(state, &ask.identity, Some(&name)).await?, now);
    let status = if error.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    let mut frame = ask.frame(&account.name, Section::Settings, &overview, seq);
    frame.path = format!("{HERE}/{}", account.name);
    let page = PersonPage {
        frame,
        tabs: tabs(HERE),
        person: Person::of(&account, &ask.identity.name(), open.len(), now),
        roles: roles(),
        browsers: open,
        error,
    };
    Ok(ask.page(status, &page))
}

/// Back to the person, or their page again with why not.
async fn outcome(
    state: &AppState,
    ask: &Ask,
    name: String,
    said: &str,
    result: Result<(), CommandError>,
) -> Result<Response, ApiError> {
    match result {
        Ok(()) => Ok(back(&format!("{HERE}/{name}"), Some(Said::new(said)))),
        Err(e) => draw_person(state, ask, name, Some(refusal(e)?)).await,
    }
}

/// `POST /settings/people/{name}/role`
pub async fn set_role(
    State(state): State<AppState>,
    Path(name): Path<String>,
    form: AdminForm,
) -> Result<Response, ApiError> {
    let role: Role = form.fields.get("role").parse().map_err(|e: String| ApiError::invalid("role", e))?;
    let called = full_name(Some(form.fields.get("full_name").to_owned()))?;
    let mut result = state.store.set_full_name(name.clone(), called, form.actor.clone()).await;
    if result.is_ok() {
        let wanted = name.clone();
        let now = state.store.read(move |view| view.account(&wanted)).await?.map(|a| a.role);
        if now != Some(role) {
            result = state.store.set_role(name.clone(), role, form.actor).await;
        }
    }
    outcome(&state, &form.ask, name, "saved", result).await
}

/// `POST /settings/people/{name}/password`
pub async fn reset(
    State(state): State<AppState>,
    Path(name): Path<String>,
    form: AdminForm,
) -> Result<Response, ApiError> {
    let result = match hash_password(&state, form.fields.get("password").to_owned()).await? {
        Ok(hash) => state.store.set_password(name.clone(), hash, None, form.actor).await,
        Err(e) => Err(CommandError::Invalid { field: "password".to_owned(), detail: e.to_string() }),
    };
    outcome(&state, &form.ask, name, "reset", result).await
}

/// `POST /settings/people/{name}/disable`: with `on`, or lets them in again.
pub async fn disable(
    State(state): State<AppState>,
    Path(name): Path<String>,
    form: AdminForm,
) -> Result<Response, ApiError> {
    let off = form.fields.get("disabled") == "on";
    let result = state.store.set_disabled(name.clone(), off, form.actor).await;
    outcome(&state, &form.ask, name, if off { "person-off" } else { "person-on" }, result).await
}

/// `POST /settings/people/{name}/sign-out`
pub async fn sign_out(
    State(state): State<AppState>,
    Path(name): Path<String>,
    form: AdminForm,
) -> Result<Response, ApiError> {
    let result = state.store.revoke_sessions(name.clone(), None, form.actor).await.map(drop);
    outcome(&state, &form.ask, name, "sessions-ended", result).await
}

/// `POST /settings/people/{name}/remove`
pub async fn remove(
    State(state): State<AppState>,
    Path(name): Path<String>,
    form: AdminForm,
) -> Result<Response, ApiError> {
    match state.store.remove_account(name.clone(), form.actor).await {
        Ok(()) => Ok(back(HERE, Some(Said::new("person-gone")))),
        Err(e) => draw_person(&state, &form.ask, name, Some(refusal(e)?)).await,
    }
}

/// `POST /settings/tokens`: the page with the token on it, once.
pub async fn make_token(State(state): State<AppState>, form: AdminForm) -> Result<Response, ApiError> {
    let AdminForm { ask, actor, fields } = form;
    let days: Option<u64> = match fields.get("days") {
        "" => None,
        days => Some(days.parse().map_err(|_| ApiError::invalid("days", "a whole number of days is needed"))?),
    };
    let new = NewToken {
        name: fields.get("name").to_owned(),
        scopes: fields.all("scope").iter().filter_map(|s| s.parse().ok()).collect(),
        expires_at: days.map(|d| ask.now.plus(Duration::from_secs(d.min(3650) * 86_400))),
    };
    let again = match create_token(&state, new, actor).await {
        Ok((_, plain)) => Again { made: Some(plain), ..Again::default() },
        Err(e) if e.status.is_client_error() => {
            let why = e.errors.first().map_or(e.detail.clone(), |f| f.message.clone());
            let why = text::capital(&format!("{}.", why.trim_end_matches('.')));
            Again { error: Some(why), token: text::visible(fields.get("name")), ..Again::default() }
        }
        Err(e) => return Err(e),
    };
    draw(&state, &ask, again).await
}

/// `POST /settings/tokens/revoke`
pub async fn revoke_token(State(state): State<AppState>, form: AdminForm) -> Result<Response, ApiError> {
    match state.store.revoke_token(form.fields.get("name").to_owned(), form.actor).await {
        Ok(()) => Ok(back(HERE, Some(Said::new("token-gone")))),
        Err(e) => draw(&state, &form.ask, Again { error: Some(refusal(e)?), ..Again::default() }).await,
    }
}
