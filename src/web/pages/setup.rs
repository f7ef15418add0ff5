//! First run: the administrator, then the first alert, then on its way.

use askama::Template;
use axum::{
    extract::State,
    response::{IntoResponse, Redirect, Response},
};
use http::{HeaderMap, StatusCode, header};
use serde_json::json;

use super::{
    ask::{Ask, Fields, Params, back, html},
    connector_forms::AdminForm,
    deliveries::{APPLIED, door, refused},
    frame::{Frame, Prefs},
    people::add_person,
    platforms, text, ui, words,
};
use crate::{
    connectors::Info,
    ingest::Refusal,
    model::*,
    store::{StoreError, View},
    web::{
        api::connectors::note_test,
        auth::{self, Admin, Client, SetupError},
        error::ApiError,
        state::AppState,
    },
};

/// The account form.
#[derive(Debug)]
pub struct FirstAccount {
    error: Option<String>,
    token: String,
    user: String,
}

/// Waiting for the first alert.
#[derive(Debug)]
pub struct Waiting {
    platforms: Vec<&'static Info>,
    slug: &'static str,
    name: &'static str,
    curl: String,
    /// Only what comes after this counts.
    after: i64,
    again: bool,
}

/// Who is told.
#[derive(Debug)]
pub struct Told {
    incident: Option<IncidentId>,
    received: bool,
    people: Vec<(String, &'static str)>,
    roles: Vec<(&'static str, &'static str, &'static str)>,
    error: Option<String>,
    name: String,
}

/// The end of it.
#[derive(Debug)]
pub struct Done {
    incident: Option<IncidentId>,
    received: bool,
    people: String,
}

/// What the page is about.
#[derive(Debug)]
pub enum Part {
    /// The link lacks its secret.
    NoLink,
    /// The administrator.
    Account(FirstAccount),
    /// The first alert.
    Alert(Waiting),
    /// Who is told.
    Told(Told),
    /// Ready.
    Done(Done),
}

#[derive(Template)]
#[template(path = "pages/setup.html")]
struct SetupPage {
    frame: Frame,
    step: u8,
    waiting: Option<String>,
    /// Somebody is signed in, so that the steps can be gone back to.
    signed_in: bool,
    part: Part,
}

fn page(frame: Frame, part: Part) -> SetupPage {
    let step = match part {
        Part::NoLink | Part::Account(_) => 1,
        Part::Alert(_) => 2,
        Part::Told(_) => 3,
        Part::Done(_) => 4,
    };
    let waiting = match &part {
        Part::Alert(a) => Some(format!("/setup/first-alert?platform={}&after={}", a.slug, a.after)),
        _ => None,
    };
    SetupPage { frame, step, waiting, signed_in: step > 1, part }
}

/// `GET /setup?token=`
pub async fn start(
    State(state): State<AppState>,
    headers: HeaderMap,
    Params(params): Params,
) -> Result<Response, ApiError> {
    if !state.store.read(|view| Ok(view.accounts()?.is_empty())).await? {
        return Ok(Redirect::to("/incidents").into_response());
    }
    let token = params.get("token");
    let part = if state.shared.is_setup_secret(token) {
        Part::Account(FirstAccount { error: None, token: token.to_owned(), user: String::new() })
    } else {
        Part::NoLink
    };
    let frame = Frame::bare("Set-up", state.clock.now(), &Prefs::of(&headers));
    Ok(html(StatusCode::OK, &page(frame, part)))
}

/// `POST /setup`
pub async fn make(
    State(state): State<AppState>,
    client: Client,
    headers: HeaderMap,
    fields: Fields,
) -> Result<Response, ApiError> {
    let (token, user, password) = (fields.get("token"), fields.get("user"), fields.get("password"));
    let made = if password == fields.get("again") {
        auth::set_up(&state, &client, token, user, password).await.map_err(|e| match e {
            SetupError::Failed(e) => Err(e),
            other => Ok(text::capital(&format!("{other}."))),
        })
    } else {
        Err(Ok("The two passwords are not the same.".to_owned()))
    };
    match made {
        Ok(cookie) => {
            let mut response = back("/setup/first-alert", None);
            response.headers_mut().append(header::SET_COOKIE, cookie);
            Ok(response)
        }
        Err(Err(e)) => Err(e),
        Err(Ok(error)) => {
            let user = text::visible(&text::shorten(user, 64));
            let part = Part::Account(FirstAccount { error: Some(error), token: token.to_owned(), user });
            let frame = Frame::bare("Set-up", state.clock.now(), &Prefs::of(&headers));
            Ok(html(StatusCode::UNPROCESSABLE_ENTITY, &page(frame, part)))
        }
    }
}

/// Whether anything was accepted after that moment, and the newest incident.
fn arrived(view: &View, after: Time) -> Result<(bool, Option<IncidentId>), StoreError> {
    let mut received = false;
    for connector in view.connectors()? {
        received |= view.counters(&connector.platform)?.last_accepted.is_some_and(|at| at > after);
    }
    let (open, _) = view.open_incidents(1)?;
    Ok((received, open.first().map(|i| i.id)))
}

/// The moment that the page names; the beginning of time where it names none.
fn after(params: &Fields) -> Time {
    Time::from_millis(params.get("after").parse().unwrap_or(0))
}

/// `GET /setup/first-alert?platform=&after=`: a command that works, with the real key in it. It waits for what comes after
/// the moment that is named, or with `again` after now: the step can be found again.
pub async fn first_alert(
    State(state): State<AppState>,
    admin: Admin,
    ask: Ask,
    client: Client,
    Params(params): Params,
) -> Result<Response, ApiError> {
    let info = platforms::info(params.get("platform"))
        .or_else(|| platforms::info("generic"))
        .ok_or_else(|| ApiError::not_found("connector"))?;
    let again = params.checked("again");
    let after = if again { ask.now } else { after(&params) };
    let ((received, _), settings) =
        state.store.read(move |view| Ok((arrived(view, after)?, view.connector(info.slug)?))).await?;
    if received {
        return Ok(Redirect::to("/setup/people").into_response());
    }
    let settings = settings.ok_or_else(|| ApiError::not_found("connector of that name"))?;
    let key = state.store.sealer().open(&settings.key)?;
    if state.shared.shown.name((admin.actor.to_string(), info.slug), ask.now) {
        state.store.audit(admin.actor, "connector.reveal_key", info.slug.to_owned(), json!({"on": "set-up"})).await?;
    }
    let part = Part::Alert(Waiting {
        platforms: platforms::all().collect(),
        slug: info.slug,
        name: info.name,
        curl: curl(&client.base_url(&state.config), info.slug, &key),
        after: after.millis(),
        again,
    });
    let frame = ask.bare("First alert");
    Ok(html(StatusCode::OK, &page(frame, part)))
}

/// `POST /setup/first-alert`: sends it for the reader.
pub async fn send(State(state): State<AppState>, form: AdminForm) -> Result<Response, ApiError> {
    let platform = form.fields.get("platform").to_owned();
    match door(&state).test(&platform).await {
        Ok(accepted) => {
            note_test(&state, form.actor, platform).await?;
            state.store.applied(accepted.stored.seq, APPLIED).await;
            Ok(back("/setup/people", None))
        }
        Err(Refusal::NotUnderstood(_, stored)) => Ok(back(&format!("/deliveries/{}", stored.id), None)),
        Err(refusal) => Err(refused(&refusal)),
    }
}

/// `GET /setup/arrived?after=`: whether the page may move on.
pub async fn has_arrived(
    State(state): State<AppState>,
    _ask: Ask,
    Params(params): Params,
) -> Result<Response, ApiError> {
    let after = after(&params);
    let (received, _) = state.store.read(move |view| arrived(view, after)).await?;
    Ok(super::ask::json(StatusCode::OK, &json!({ "received": received })))
}

async fn draw_told(state: &AppState, ask: &Ask, error: Option<String>, name: &str) -> Result<Response, ApiError> {
    let ((received, incident), accounts) =
        state.store.read(|view| Ok((arrived(view, Time::from_millis(0))?, view.accounts()?))).await?;
    let status = if error.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    let part = Part::Told(Told {
        incident,
        received,
        people: accounts.iter().map(|a| (text::visible(&a.name), words::role(a.role).0)).collect(),
        roles: Role::ALL.iter().rev().map(|r| (r.as_str(), words::role(*r).0, words::role(*r).1)).collect(),
        error,
        name: text::visible(name),
    });
    Ok(html(status, &page(ask.bare("Who is told"), part)))
}

/// `GET /setup/people`: who is told.
pub async fn people(State(state): State<AppState>, _admin: Admin, ask: Ask) -> Result<Response, ApiError> {
    draw_told(&state, &ask, None, "").await
}

/// `POST /setup/people`: one person more.
pub async fn tell(State(state): State<AppState>, form: AdminForm) -> Result<Response, ApiError> {
    let AdminForm { ask, actor, fields } = form;
    match add_person(&state, actor, &fields, ask.now).await? {
        Ok(()) => Ok(back("/setup/people", None)),
        Err(error) => draw_told(&state, &ask, Some(error), fields.get("name")).await,
    }
}

/// `GET /setup/done`
pub async fn done(State(state): State<AppState>, ask: Ask) -> Result<Response, ApiError> {
    let ((received, incident), people) =
        state.store.read(|view| Ok((arrived(view, Time::from_millis(0))?, view.accounts()?.len()))).await?;
    let frame = ask.bare("Ready");
    Ok(html(
        StatusCode::OK,
        &page(frame, Part::Done(Done { incident, received, people: ui::plural(people as u64, "account") })),
    ))
}

/// A command that sends one alert of that platform.
pub fn curl(base: &str, slug: &str, key: &str) -> String {
    let body = match platforms::info(slug) {
        Some(info) if slug != "generic" => serde_json::from_str::<serde_json::Value>(info.sample)
            .map_or_else(|_| info.sample.to_owned(), |v| v.to_string()),
        _ => r#"{"title": "My first alert", "severity": "high", "service": "demo"}"#.to_owned(),
    };
    // In single quotes the shell reads everything as it is, but for the quote itself.
    let body = body.replace('\'', r"'\''");
    format!(
        "curl -X POST {base}/api/webhooks/{slug} \\\n  -H \"Authorization: Bearer {key}\" \\\n  \
         -H \"Content-Type: application/json\" \\\n  -d '{body}'"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_is_one_that_a_shell_can_run() {
        let c = curl("https://wf.example.com", "generic", "wk_abc");
        assert!(c.starts_with("curl -X POST https://wf.example.com/api/webhooks/generic \\\n"));
        assert!(
            c.contains("Bearer wk_abc")
                && c.ends_with("'{\"title\": \"My first alert\", \"severity\": \"high\", \"service\": \"demo\"}'")
        );
        for info in platforms::all() {
            let c = curl("http://x", info.slug, "k");
            let body = c.split_once("-d '").unwrap().1.strip_suffix('\'').unwrap().replace(r"'\''", "'");
            assert!(serde_json::from_str::<serde_json::Value>(&body).is_ok(), "{}", info.slug);
        }
    }
}
