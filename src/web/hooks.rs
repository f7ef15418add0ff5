//! Where senders post. Outside sessions and the cross-site check: a sender has its own proof.

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
    routing::post,
};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    auth::certificate,
    error::{ApiError, FieldError},
    extract::{Path, drain, read_body},
    lasting::Lasting,
    prefer,
    room::Held,
    state::AppState,
};
use crate::{
    connectors::netdata,
    ingest::{Accepted, Admission, Arrival, Door, Refusal},
    model::*,
};

/// The routes. Listed in the API's description by `api::hooks`.
pub fn router() -> Router<AppState> {
    Router::new()
        .route("/api/webhooks/{platform}", post(plain).put(plain).get(challenge).options(handshake))
        .route(
            "/api/webhooks/{platform}/{key}",
            post(with_key).put(with_key).get(challenge_with_key).options(handshake_with_key),
        )
        // The Netdata agent's Discord sender puts this behind every address.
        .route("/api/webhooks/{platform}/{key}/slack", post(with_key))
        .route("/v1/json/integrations/webhooks/netdata", post(agent))
        // The paths of Aurora, so that senders set up for it go on working.
        .route("/{platform}/webhook/{key}", post(with_key))
        .route("/{platform}/alerts/webhook/{key}", post(with_key).get(challenge_with_key))
}

async fn plain(
    State(state): State<AppState>,
    Path(platform): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    take(&state, &platform, None, request).await
}

async fn with_key(
    State(state): State<AppState>,
    Path((platform, key)): Path<(String, String)>,
    request: Request,
) -> Result<Response, ApiError> {
    take(&state, &platform, Some(&key), request).await
}

/// The Netdata agent's Opsgenie sender, with its own address and its key as `apiKey`.
async fn agent(State(state): State<AppState>, request: Request) -> Result<Response, ApiError> {
    let mut response = take(&state, "netdata", None, request).await?;
    // The agent compares with this one code.
    *response.status_mut() = StatusCode::OK;
    Ok(response)
}

async fn take(state: &AppState, platform: &str, key: Option<&str>, request: Request) -> Result<Response, ApiError> {
    let (parts, body) = request.into_parts();
    let taken = accept(state, platform, key, &parts, body).await?;
    answer(state, platform, taken, &parts.headers).await
}

async fn accept(
    state: &AppState,
    platform: &str,
    key: Option<&str>,
    parts: &Parts,
    body: Body,
) -> Result<Accepted, ApiError> {
    let door = state.door();
    let (headers, query) = (headers(&parts.headers), query(parts.uri.query()));
    let limit = state.config.max_body;
    let shown = certificate::shown(parts, &state.config);
    let admitted = door.admit(platform, &headers, &query, key, shown.as_ref()).await;
    let taken = match admitted.and_then(|admission| door.may_take(&admission).map(|()| admission)) {
        Ok(admission) => {
            if let Some(token) = &admission.token {
                state.touch(token);
            }
            match read(body, limit, &headers).await? {
                Some(body) => taken(door, admission, Arrival { headers, query, body: body.into() }).await,
                None => Err(admission.no_room(2)),
            }
        }
        Err(refusal) => {
            // Most senders look at the answer only when they have sent everything.
            drain(body, limit).await;
            Err(refusal)
        }
    };
    taken.map_err(|refusal| {
        if !matches!(refusal, Refusal::UnknownPlatform(_)) {
            state.shared.metrics.delivery(platform, refusal.word());
        }
        if let Some(of) = refusal.overload() {
            state.shared.metrics.refusal(platform, of);
        }
        refused(platform, refusal, limit)
    })
}

/// The body; none when there is no room for it in memory.
async fn read(body: Body, limit: usize, headers: &[(String, String)]) -> Result<Option<Bytes>, ApiError> {
    let body = match read_body(body, limit).await {
        Ok(body) => body,
        Err(e) if e.code == "no_room" => return Ok(None),
        Err(e) => return Err(e),
    };
    if let Some(held) = Held::current()
        && headers.iter().any(|(name, _)| name == "content-encoding")
        && held.reach(body.len() + limit).await.is_err()
    {
        return Ok(None);
    }
    Ok(Some(body))
}

/// Has the delivery taken whether its sender waits for that or not: what is held of the memory is held until then.
async fn taken(door: Door, admission: Admission, arrival: Arrival) -> Result<Accepted, Refusal> {
    let held = Held::current();
    let work = async move {
        let taken = door.accept(&admission, arrival).await;
        if let Some(held) = held {
            held.release();
        }
        taken
    };
    Lasting::new(work).await
}

/// What one alert of a delivery is and, once applied, became.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(untagged)]
pub enum TakenAlert {
    /// Applied.
    Applied(Applied),
    /// Stored.
    Stored {
        /// Identity.
        fingerprint: Fingerprint,
        /// What was said.
        status: SignalStatus,
    },
}

/// The answer to a delivery.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Taken {
    /// Names the delivery.
    pub delivery_id: DeliveryId,
    /// Its alerts, in the order of the body.
    pub alerts: Vec<TakenAlert>,
    /// What was not understood, although the sender is told success.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<Problem>,
}

async fn answer(state: &AppState, platform: &str, taken: Accepted, headers: &HeaderMap) -> Result<Response, ApiError> {
    let word = if taken.problem.is_some() { "unparsed" } else { "accepted" };
    state.shared.metrics.delivery(platform, word);
    let status = StatusCode::from_u16(taken.success).unwrap_or(StatusCode::ACCEPTED);
    let mut alerts: Vec<TakenAlert> = taken
        .signals
        .iter()
        .map(|(fingerprint, status)| TakenAlert::Stored { fingerprint: *fingerprint, status: *status })
        .collect();
    let mut preferred = None;
    if let Some(wait) = prefer::wait(headers)
        && let Some(applied) = super::applied(state, taken.stored.seq, wait).await?
    {
        alerts = applied.into_iter().map(TakenAlert::Applied).collect();
        preferred = HeaderValue::from_str(&format!("wait={}", wait.as_secs())).ok();
    }
    let body = Taken { delivery_id: taken.stored.id, alerts, problem: taken.problem };
    let mut response = match taken.reply {
        None => (status, axum::Json(body)).into_response(),
        Some((name, value)) => {
            let mut body = serde_json::to_value(body).unwrap_or_default();
            if let Some(body) = body.as_object_mut() {
                body.insert(name.to_owned(), value.into());
            }
            (status, axum::Json(body)).into_response()
        }
    };
    if let Some(preferred) = preferred {
        response.headers_mut().insert(HeaderName::from_static("preference-applied"), preferred);
    }
    Ok(response)
}

/// A refusal as the sender is told.
pub fn refused(platform: &str, refusal: Refusal, limit: usize) -> ApiError {
    let over = |says_more| if says_more { StatusCode::TOO_MANY_REQUESTS } else { StatusCode::SERVICE_UNAVAILABLE };
    match refusal {
        Refusal::UnknownPlatform(near) => {
            let shown: String = platform.chars().take(60).collect();
            let hint = match near.as_slice() {
                [] => "; `GET /api/connectors` lists all, and `generic` takes any JSON".to_owned(),
                near => format!("; did you mean {}?", near.join(", ")),
            };
            ApiError::new(StatusCode::NOT_FOUND, "unknown_platform", format!("there is no platform `{shown}`{hint}"))
                .with("near", near)
        }
        Refusal::Unauthorized { why, ways } => {
            let detail = format!(
                "{why}; the key is shown on the page Connectors under {platform}, and by `watchfire connectors`; ways: {}",
                ways.join("; ")
            );
            let basic = ways.iter().any(|way| way.starts_with("Basic "));
            ApiError { basic, ..ApiError::unauthorized(detail).with("ways", ways) }
        }
        Refusal::Unchecked { why } => {
            ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "signature_unchecked", why).retry_after(20)
        }
        Refusal::Off => {
            ApiError::new(StatusCode::FORBIDDEN, "connector_off", format!("the connector {platform} is switched off"))
        }
        Refusal::OverRate { says_more, retry_after_secs } => ApiError::new(
            over(says_more),
            "over_rate",
            format!("{platform} sends more than its connector takes a minute"),
        )
        .retry_after(retry_after_secs),
        Refusal::Busy { says_more, of, retry_after_secs } => {
            let what = match of {
                "behind" => "too many deliveries wait to be applied",
                "memory" => "too much is being received at the same time",
                _ => "too many deliveries are being stored at the same time",
            };
            let detail = format!("{what}; try again in {retry_after_secs} s");
            ApiError::new(over(says_more), "overloaded", detail).with("reason", of).retry_after(retry_after_secs)
        }
        Refusal::TooLarge => super::extract::too_large(limit),
        Refusal::Empty => {
            ApiError::bad_request("empty_body", "the body is empty; there is nothing to read and nothing to keep")
        }
        Refusal::Encoding(why) => ApiError::bad_request("bad_encoding", why),
        Refusal::NotUnderstood(problem, stored) => {
            let path = problem.path.clone().unwrap_or_default();
            ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, "not_understood", problem.detail.clone())
                .with_errors(vec![FieldError::new(path, problem.detail)])
                .with("delivery_id", stored.id.to_string())
                .with("reason", problem.code)
        }
        Refusal::NotStored { says_more, error } => {
            let e = ApiError::from(error);
            if e.code == "overloaded" { ApiError { status: over(says_more), ..e } } else { e }
        }
        Refusal::Store(e) => e.into(),
    }
}

/// Names in lower case; values that are no text are left out.
fn headers(map: &HeaderMap) -> Vec<(String, String)> {
    map.iter().filter_map(|(n, v)| Some((n.as_str().to_owned(), v.to_str().ok()?.to_owned()))).collect()
}

fn query(query: Option<&str>) -> Vec<(String, String)> {
    form_urlencoded::parse(query.unwrap_or_default().as_bytes()).into_owned().collect()
}

async fn handshake(
    State(state): State<AppState>,
    Path(platform): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    answer_handshake(&state, &platform, None, &request.into_parts().0).await
}

async fn handshake_with_key(
    State(state): State<AppState>,
    Path((platform, key)): Path<(String, String)>,
    request: Request,
) -> Result<Response, ApiError> {
    answer_handshake(&state, &platform, Some(&key), &request.into_parts().0).await
}

/// Senders of CloudEvents (Azure Event Grid) ask with OPTIONS whether this address wants what they send: "HTTP 1.1 Web
/// Hooks for Event Delivery", 4. Only whoever knows the key is told so.
async fn answer_handshake(
    state: &AppState,
    platform: &str,
    key: Option<&str>,
    parts: &Parts,
) -> Result<Response, ApiError> {
    let (headers, query) = (headers(&parts.headers), query(parts.uri.query()));
    let shown = certificate::shown(parts, &state.config);
    let admitted = state.door().admit(platform, &headers, &query, key, shown.as_ref()).await;
    let admission = admitted.map_err(|refusal| refused(platform, refusal, 0))?;
    if !admission.is_proven() {
        return Err(ApiError::unauthorized("this question carries no signature; put the connector's key into the URL"));
    }
    let mut response = StatusCode::OK.into_response();
    let answer = response.headers_mut();
    answer.insert(header::ALLOW, HeaderValue::from_static("POST, PUT, OPTIONS"));
    if let Some(origin) = parts.headers.get("webhook-request-origin") {
        answer.insert(HeaderName::from_static("webhook-allowed-origin"), origin.clone());
        let rate = match admission.settings.rate_per_minute {
            0 => HeaderValue::from_static("*"),
            rate => HeaderValue::from(rate),
        };
        answer.insert(HeaderName::from_static("webhook-allowed-rate"), rate);
    }
    Ok(response)
}

async fn challenge(
    state: State<AppState>,
    Path(platform): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    if sent_by_get(&state, &platform, &request) {
        return take(&state, &platform, None, request).await;
    }
    answer_challenge(&state, &platform, request.uri().query()).await
}

async fn challenge_with_key(
    state: State<AppState>,
    Path((platform, key)): Path<(String, String)>,
    request: Request,
) -> Result<Response, ApiError> {
    if sent_by_get(&state, &platform, &request) {
        return take(&state, &platform, Some(&key), request).await;
    }
    answer_challenge(&state, &platform, request.uri().query()).await
}

/// Whether this is a delivery of a sender that can be set to GET. HEAD, which comes here too, is none.
fn sent_by_get(state: &AppState, platform: &str, request: &Request) -> bool {
    let takes = || state.shared.door.registry.find(platform).is_some_and(|c| c.takes_query());
    request.method() == Method::GET && takes()
}

/// Netdata asks for proof that the address is ours before it sends anything.
async fn answer_challenge(state: &AppState, platform: &str, given: Option<&str>) -> Result<Response, ApiError> {
    if platform != "netdata" {
        return Err(match state.shared.door.registry.find(platform) {
            Some(_) => {
                ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "webhooks are sent with POST")
            }
            None => refused(platform, Refusal::UnknownPlatform(state.shared.door.registry.near(platform)), 0),
        });
    }
    let token = query(given).into_iter().find(|(name, _)| name == "crc_token").map(|(_, value)| value);
    let Some(token) = token.filter(|t| !t.is_empty() && t.len() <= 1024) else {
        return Err(ApiError::bad_request("crc_token_missing", "the challenge needs `?crc_token=…`"));
    };
    let settings = state.shared.door.settings(platform, &state.store, &state.config).await?;
    let Some(secret) = settings.as_ref().and_then(|s| s.challenge_secret.as_deref()) else {
        return Err(ApiError::new(
            StatusCode::NOT_FOUND,
            "no_challenge_secret",
            "no challenge secret is set; copy it from Netdata to the connector's page",
        ));
    };
    let body = serde_json::json!({"response_token": netdata::challenge(secret, &token)});
    Ok(([(header::CACHE_CONTROL, "no-store")], axum::Json(body)).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{StoreError, SubmitError};

    #[test]
    fn refusals_have_the_codes_of_the_contract() {
        let overloaded = || SubmitError::Overloaded { retry_after_secs: 3 };
        for (refusal, status, code) in [
            (Refusal::UnknownPlatform(vec!["grafana".to_owned()]), 404, "unknown_platform"),
            (Refusal::Unauthorized { why: "w".into(), ways: vec![] }, 401, "unauthorized"),
            (Refusal::Off, 403, "connector_off"),
            (Refusal::OverRate { says_more: true, retry_after_secs: 2 }, 429, "over_rate"),
            (Refusal::OverRate { says_more: false, retry_after_secs: 2 }, 503, "over_rate"),
            (Refusal::Busy { says_more: true, of: "queue", retry_after_secs: 2 }, 429, "overloaded"),
            (Refusal::Busy { says_more: false, of: "memory", retry_after_secs: 2 }, 503, "overloaded"),
            (Refusal::TooLarge, 413, "too_large"),
            (Refusal::Empty, 400, "empty_body"),
            (Refusal::NotStored { says_more: true, error: overloaded() }, 429, "overloaded"),
            (Refusal::NotStored { says_more: false, error: overloaded() }, 503, "overloaded"),
            (Refusal::NotStored { says_more: true, error: StoreError::Full.into() }, 507, "disk_full"),
        ] {
            let e = refused("grafana", refusal.clone(), 10);
            assert_eq!((e.status.as_u16(), e.code), (status, code), "{refusal:?}");
            assert_eq!(e.retry_after.is_some(), [429, 503, 507].contains(&status), "{refusal:?}");
        }
    }
}
