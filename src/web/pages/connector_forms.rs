//! The forms of one connector's page.

use std::time::Duration;

use axum::{
    extract::{FromRequest, FromRequestParts, Path, Request, State},
    response::{IntoResponse, Response},
};
use http::{StatusCode, request::Parts};
use serde_json::json;

use super::{
    act::Form,
    ask::{Ask, Fields, back},
    connector::{Answer, draw},
    deliveries::{APPLIED, refused},
    said::Said,
    text,
};
use crate::{
    ingest::Refusal,
    model::*,
    web::{
        api::{
            connectors::{ConnectorPatch, apply, note_test, reveal as reveal_key, rotate as rotate_key},
            netdata_cloud,
        },
        auth::{Admin, Client, Denied},
        error::ApiError,
        state::AppState,
    },
};

/// The longest pause, in hours.
const MOST_PAUSE: u64 = 31 * 24;

/// An administrator with what they sent.
#[derive(Debug)]
pub struct AdminForm {
    /// Who looks.
    pub ask: Ask,
    /// Who acts.
    pub actor: Actor,
    /// What was sent.
    pub fields: Fields,
}

impl FromRequest<AppState> for AdminForm {
    type Rejection = Response;

    async fn from_request(request: Request, state: &AppState) -> Result<Self, Response> {
        let (mut parts, body) = request.into_parts();
        let (ask, actor) = admin(&mut parts, state).await.map_err(IntoResponse::into_response)?;
        let request = Request::from_parts(parts, body);
        let fields = Fields::from_request(request, state).await.map_err(IntoResponse::into_response)?;
        Ok(Self { ask, actor, fields })
    }
}

async fn admin(parts: &mut Parts, state: &AppState) -> Result<(Ask, Actor), Denied> {
    let actor = Admin::from_request_parts(parts, state).await?.actor;
    Ok((Ask::from_request_parts(parts, state).await?, actor))
}

/// Back to the page when it was taken; else the page with the reason in that form and what was typed.
pub async fn outcome(
    state: &AppState,
    client: &Client,
    slug: &str,
    form: AdminForm,
    name: &'static str,
    result: Result<(), ApiError>,
) -> Result<Response, ApiError> {
    match result {
        Ok(()) => Ok(back(&format!("/connectors/{slug}#{name}"), Some(Said::new("saved")))),
        Err(e)
            if e.status.is_client_error() && e.status != StatusCode::NOT_FOUND
                || e.status == StatusCode::BAD_GATEWAY =>
        {
            let why = e.errors.first().map_or(&e.detail, |field| &field.message);
            let why = format!("Not saved: {}.", text::visible(&text::shorten(why.trim_end_matches('.'), 500)));
            let answer = Answer { wrong: Some((name, why)), typed: form.fields, ..Answer::default() };
            draw(state, &form.ask, client, slug, e.status, answer).await
        }
        Err(e) => Err(e),
    }
}

/// `POST /connectors/{platform}/reveal`: the page with the key on it, once.
pub async fn reveal(
    State(state): State<AppState>,
    Path(slug): Path<String>,
    client: Client,
    form: AdminForm,
) -> Result<Response, ApiError> {
    let key = Some(reveal_key(&state, &slug, form.actor).await?);
    draw(&state, &form.ask, &client, &slug, StatusCode::OK, Answer { key, ..Answer::default() }).await
}

/// `POST /connectors/{platform}/rotate`: a new key, shown once.
pub async fn rotate(
    State(state): State<AppState>,
    Path(slug): Path<String>,
    client: Client,
    form: AdminForm,
) -> Result<Response, ApiError> {
    let key = Some(rotate_key(&state, &slug, form.actor).await?);
    draw(&state, &form.ask, &client, &slug, StatusCode::OK, Answer { key, ..Answer::default() }).await
}

/// `POST /connectors/{platform}/test`
pub async fn test(State(state): State<AppState>, Path(slug): Path<String>, form: Form) -> Result<Response, ApiError> {
    let began = state.clock.now();
    let (stored, code) = match state.door().test(&slug).await {
        Ok(accepted) if accepted.problem.is_some() => (accepted.stored, 422),
        Ok(accepted) => (accepted.stored, accepted.success),
        Err(Refusal::NotUnderstood(_, stored)) => (stored, 422),
        Err(refusal) => return Err(refused(&refusal)),
    };
    let ms = state.clock.now().since(began).as_millis();
    note_test(&state, form.actor, slug.clone()).await?;
    state.store.applied(stored.seq, APPLIED).await;
    let to = format!("/connectors/{slug}?tested={}&code={code}&ms={ms}#test", stored.id);
    Ok(back(&to, Some(Said::new("tested"))))
}

/// `POST /connectors/{platform}/opens`
pub async fn opens(
    State(state): State<AppState>,
    Path(slug): Path<String>,
    client: Client,
    form: AdminForm,
) -> Result<Response, ApiError> {
    let opens: Vec<Severity> = form.fields.all("opens").iter().filter_map(|s| s.parse().ok()).collect();
    let result = if opens.is_empty() {
        Err(ApiError::invalid("opens", "choose at least one severity; to stop a connector, switch it off"))
    } else {
        let patch = ConnectorPatch { opens: Some(opens), ..ConnectorPatch::default() };
        apply(&state, &slug, patch, form.actor.clone()).await
    };
    outcome(&state, &client, &slug, form, "opens", result).await
}

/// `POST /connectors/{platform}/rca`: whether failed builds open incidents.
pub async fn rca(
    State(state): State<AppState>,
    Path(slug): Path<String>,
    client: Client,
    form: AdminForm,
) -> Result<Response, ApiError> {
    let patch = ConnectorPatch { rca_enabled: Some(form.fields.get("rca") == "on"), ..ConnectorPatch::default() };
    let result = apply(&state, &slug, patch, form.actor.clone()).await;
    if result.is_ok() && form.fields.get("to") == "connectors" {
        return Ok(back("/connectors", Some(Said::new("saved"))));
    }
    outcome(&state, &client, &slug, form, "rca", result).await
}

/// `POST /connectors/{platform}/groups`: whether alerts of one group of the sender are kept together.
pub async fn groups(
    State(state): State<AppState>,
    Path(slug): Path<String>,
    client: Client,
    form: AdminForm,
) -> Result<Response, ApiError> {
    let patch = ConnectorPatch { group_by_sender: Some(form.fields.checked("groups")), ..ConnectorPatch::default() };
    let result = apply(&state, &slug, patch, form.actor.clone()).await;
    outcome(&state, &client, &slug, form, "groups", result).await
}

/// `POST /connectors/{platform}/proof`
pub async fn proof(
    State(state): State<AppState>,
    Path(slug): Path<String>,
    client: Client,
    form: AdminForm,
) -> Result<Response, ApiError> {
    let f = &form.fields;
    // An empty field keeps what is stored: it cannot be shown, so it cannot be sent back.
    let secret = |name: &str, taken_away: &str| match f.get(name).trim() {
        _ if f.checked(taken_away) => Some(None),
        "" => None,
        given => Some(Some(given.to_owned())),
    };
    let patch = ConnectorPatch {
        auth: f.get("auth").parse().ok(),
        signing_secret: secret("signing_secret", "no_signing"),
        challenge_secret: secret("challenge_secret", "no_challenge"),
        // The forms of one secret do not have it.
        basic_user: f.checked("basic_user").then(|| Some(f.get("basic_user").trim().to_owned())),
        basic_password: secret("basic_password", "no_basic"),
        ..ConnectorPatch::default()
    };
    let name = match f.get("form") {
        "signing" => "signing",
        "challenge" => "challenge",
        _ => "proof",
    };
    let result = apply(&state, &slug, patch, form.actor.clone()).await;
    outcome(&state, &client, &slug, form, name, result).await
}

/// `POST /connectors/{platform}/limits`
pub async fn limits(
    State(state): State<AppState>,
    Path(slug): Path<String>,
    client: Client,
    form: AdminForm,
) -> Result<Response, ApiError> {
    let result = match limits_of(&form.fields) {
        Ok(patch) => apply(&state, &slug, patch, form.actor.clone()).await,
        Err(e) => Err(e),
    };
    outcome(&state, &client, &slug, form, "limits", result).await
}

fn limits_of(fields: &Fields) -> Result<ConnectorPatch, ApiError> {
    let number = |name: &str| match fields.get(name).trim() {
        "" => Ok(None),
        n => n.parse::<u32>().map(Some).map_err(|_| ApiError::invalid(name, "a whole number is needed")),
    };
    let closes = number("closes")?.map(|minutes| minutes.saturating_mul(60));
    Ok(ConnectorPatch {
        rate_per_minute: number("rate")?,
        closes_after_secs: Some(closes),
        ..ConnectorPatch::default()
    })
}

/// `POST /connectors/{platform}/switch`: on, off with a reason, or a pause of some hours.
pub async fn switch(
    State(state): State<AppState>,
    Path(slug): Path<String>,
    client: Client,
    form: AdminForm,
) -> Result<Response, ApiError> {
    let reason = text::shorten(form.fields.get("reason").trim(), 300);
    let result = match form.fields.get("enabled") {
        "pause" => match hours_of(&form.fields) {
            Ok(hours) => {
                let until = form.ask.now.plus(Duration::from_secs(hours * 3600));
                let patch = ConnectorPatch { paused_until: Some(Some(until)), ..ConnectorPatch::default() };
                apply(&state, &slug, patch, form.actor.clone()).await
            }
            Err(e) => Err(e),
        },
        word => {
            let on = word == "on";
            let patch = ConnectorPatch { enabled: Some(on), paused_until: Some(None), ..ConnectorPatch::default() };
            let done = apply(&state, &slug, patch, form.actor.clone()).await;
            if done.is_ok() && !on {
                let why = json!({ "reason": reason });
                state.store.audit(form.actor.clone(), "connector.disconnect", slug.clone(), why).await?;
            }
            done
        }
    };
    outcome(&state, &client, &slug, form, "switch", result).await
}

/// For how many hours; one when nothing is said.
fn hours_of(fields: &Fields) -> Result<u64, ApiError> {
    let hours = match fields.get("hours") {
        "" => Some(1),
        given => given.parse().ok().filter(|hours| (1..=MOST_PAUSE).contains(hours)),
    };
    hours.ok_or_else(|| ApiError::invalid("hours", format!("1 to {MOST_PAUSE} hours are taken")))
}

/// `POST /connectors/netdata/account`: connects the Netdata Cloud account, or forgets it.
pub async fn account(State(state): State<AppState>, client: Client, form: AdminForm) -> Result<Response, ApiError> {
    let f = &form.fields;
    let result = if f.get("do") == "disconnect" {
        netdata_cloud::forget(&state, form.actor.clone()).await
    } else {
        let given = |name: &str| Some(f.get(name).trim().to_owned()).filter(|v| !v.is_empty());
        let wanted = netdata_cloud::Connect {
            api_token: given("api_token"),
            base_url: given("base_url"),
            space_name: given("space_name"),
            force: f.checked("force"),
        };
        netdata_cloud::connect_account(&state, wanted, form.actor.clone()).await
    };
    outcome(&state, &client, "netdata", form, "account", result.map(drop)).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_numbers_or_left_to_the_platform() {
        let check = |form: &str, want: Option<(Option<u32>, Option<u32>)>| {
            let got = limits_of(&Fields::parse(form.as_bytes())).ok();
            assert_eq!(got.map(|p| (p.rate_per_minute, p.closes_after_secs.flatten())), want, "{form}");
        };
        check("rate=600&closes=90", Some((Some(600), Some(5400))));
        check("rate=0&closes=", Some((Some(0), None)));
        check("rate=&closes=1", Some((None, Some(60))));
        check("rate=many&closes=", None);
        check("rate=1&closes=-1", None);
    }
}
