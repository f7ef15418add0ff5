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
    platforms, text, ui,
};
use crate::{
    connectors::Info,
    ingest::Refusal,
    model::*,
    store::{StoreError, View},
    web::{
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
}

/// The end of it.
#[derive(Debug)]
pub struct Done {
    incident: Option<IncidentId>,
    received: bool,
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
    /// Ready.
    Done(Done),
}

#[derive(Template)]
#[template(path = "pages/setup.html")]
struct SetupPage {
    frame: Frame,
    step: u8,
    waiting: bool,
    part: Part,
}

fn page(frame: Frame, part: Part) -> SetupPage {
    let step = match part {
        Part::NoLink | Part::Account(_) => 1,
        Part::Alert(_) => 2,
        Part::Done(_) => 3,
    };
    SetupPage { frame, step, waiting: step == 2, part }
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

/// Whether anything was accepted yet, and the newest incident.
fn arrived(view: &View) -> Result<(bool, Option<IncidentId>), StoreError> {
    let mut received = false;
    for connector in view.connectors()? {
        received |= view.counters(&connector.platform)?.last_accepted.is_some();
    }
    let (open, _) = view.open_incidents(1)?;
    Ok((received, open.first().map(|i| i.id)))
}

/// `GET /setup/first-alert?platform=`: a command that works, with the real key in it.
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
    let ((received, _), settings) =
        state.store.read(move |view| Ok((arrived(view)?, view.connector(info.slug)?))).await?;
    if received {
        return Ok(Redirect::to("/setup/done").into_response());
    }
    let settings = settings.ok_or_else(|| ApiError::not_found("connector of that name"))?;
    let key = state.store.sealer().open(&settings.key)?;
    state.store.audit(admin.actor, "connector.reveal_key", info.slug.to_owned(), json!({"on": "set-up"})).await?;
    let part = Part::Alert(Waiting {
        platforms: platforms::all().collect(),
        slug: info.slug,
        name: info.name,
        curl: curl(&client.base_url(&state.config), info.slug, &key),
    });
    let frame = Frame::bare("First alert", ask.now, &ask.prefs);
    Ok(html(StatusCode::OK, &page(frame, part)))
}

/// `POST /setup/first-alert`: sends it for the reader.
pub async fn send(State(state): State<AppState>, form: AdminForm) -> Result<Response, ApiError> {
    match door(&state).test(form.fields.get("platform")).await {
        Ok(accepted) => {
            state.store.applied(accepted.stored.seq, APPLIED).await;
            Ok(back("/setup/done", None))
        }
        Err(Refusal::NotUnderstood(_, stored)) => Ok(back(&format!("/deliveries/{}", stored.id), None)),
        Err(refusal) => Err(refused(&refusal)),
    }
}

/// `GET /setup/arrived`: whether the page may move on.
pub async fn has_arrived(State(state): State<AppState>, _ask: Ask) -> Result<Response, ApiError> {
    let (received, _) = state.store.read(arrived).await?;
    Ok(super::ask::json(StatusCode::OK, &json!({ "received": received })))
}

/// `GET /setup/done`
pub async fn done(State(state): State<AppState>, ask: Ask) -> Result<Response, ApiError> {
    let (received, incident) = state.store.read(arrived).await?;
    let frame = Frame::bare("Ready", ask.now, &ask.prefs);
    Ok(html(StatusCode::OK, &page(frame, Part::Done(Done { incident, received }))))
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
