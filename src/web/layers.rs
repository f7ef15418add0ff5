//! What every request passes on its way in and out, in one place and in order.

use std::{
    any::Any,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    extract::{DefaultBodyLimit, MatchedPath, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
};
use tower_http::{
    catch_panic::CatchPanicLayer,
    compression::{CompressionLayer, DefaultPredicate, Predicate, predicate::NotForContentType},
    sensitive_headers::SetSensitiveRequestHeadersLayer,
};
use tracing::Instrument;

use super::{
    auth::{csrf, of_parts},
    backup,
    error::{self, ApiError, Audience, audience},
    extract::Deadline,
    pages::{Asked, DEMO_HEADER},
    state::AppState,
};
use crate::store::acting;

/// What a browser may load: only what comes from here. No inline script and no inline style.
const POLICY: &str = "default-src 'self'; img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'; \
                      form-action 'self'; object-src 'none'";

/// Who asks for a route. A storm is thousands of requests of senders in a second: around those stands only what they need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    /// People with their browsers, and programs that read.
    Readers,
    /// Platforms that send alerts: no browser looks at what they are answered.
    Senders,
}

/// Puts everything around the routes. `hooks` stay outside of the cross-site check, because senders are no browsers.
pub fn around(routes: Router<AppState>, hooks: Router<AppState>, state: &AppState) -> Router<AppState> {
    let secret_headers = [
        header::AUTHORIZATION,
        header::PROXY_AUTHORIZATION,
        header::COOKIE,
        HeaderName::from_static("x-watchfire-key"),
        HeaderName::from_static("x-gitlab-token"),
    ];
    // One layer of the router for all requests: each is a box around every route, to be cloned and called.
    let each = |by| {
        (
            middleware::from_fn_with_state((state.clone(), by), named_and_counted),
            SetSensitiveRequestHeadersLayer::new(secret_headers.clone()),
            CatchPanicLayer::custom(panicked),
        )
    };
    // The last added is the outermost; read from the bottom to follow a request.
    let routes = routes
        .layer(DefaultBodyLimit::max(state.config.max_body))
        .layer(CompressionLayer::new().compress_when(compressible()))
        .layer(middleware::from_fn_with_state(state.clone(), same_site))
        .layer(middleware::map_request_with_state(state.clone(), of_a_demo))
        .layer(each(By::Readers));
    // What no route is for is answered by the router that is merged into the other.
    hooks.layer(each(By::Senders)).merge(routes)
}

/// Says to pages whether what they show is made up; nobody else can.
async fn of_a_demo(State(state): State<AppState>, mut request: Request) -> Request {
    let name = HeaderName::from_static(DEMO_HEADER);
    request.headers_mut().remove(&name);
    if state.config.demo {
        request.headers_mut().insert(name, HeaderValue::from_static("1"));
    }
    request
}

// A backup is large, mostly compressed already, and should arrive with its length.
fn compressible() -> impl Predicate {
    DefaultPredicate::new().and(NotForContentType::const_new(backup::KIND))
}

/// Gives the request its id, a span in the log and its place in the figures, holds it within its bounds, and writes errors
/// in their reader's form.
async fn named_and_counted(State((state, by)): State<(AppState, By)>, request: Request, next: Next) -> Response {
    let id = request_id(state.store.nonce());
    let method = request.method().clone();
    // The route and never the path or the query: those can hold keys.
    let matched = request.extensions().get::<MatchedPath>().cloned();
    let route = matched.as_ref().map_or("none", MatchedPath::as_str);
    let reader = audience(request.uri().path());
    let (request, asked) = who_asks(&state, request, reader);
    let began = state.clock.now();
    let span = match by {
        By::Readers => tracing::info_span!("request", id, method = method.as_str(), route),
        // The line that says how a request failed names it all the same; a span costs a storm's senders a twentieth.
        By::Senders => tracing::debug_span!("request", id, method = method.as_str(), route),
    };
    let mut response = async {
        let answer = bounded(&state, request, next).await;
        let frame = async || match asked {
            Some(asked) => asked.frame(&state).await,
            None => None,
        };
        error::render(answer, reader, &id, frame).await
    }
    .instrument(span)
    .await;
    let status = response.status().as_u16();
    let took = state.clock.now().since(began);
    let (method_name, took_ms) = (method.as_str(), took.as_millis());
    if status >= 500 {
        tracing::warn!(id, method = method_name, route, status, took_ms, "answered");
    } else {
        tracing::debug!(id, method = method_name, route, status, took_ms, "answered");
    }
    state.shared.metrics.request(known(&method), route, status, took);
    secure(response.headers_mut(), by);
    if let Ok(id) = HeaderValue::try_from(id) {
        response.headers_mut().insert(HeaderName::from_static("x-request-id"), id);
    }
    response
}

/// Notes who asks for a page, so that an error has the frame of all other pages.
fn who_asks(state: &AppState, request: Request, reader: Audience) -> (Request, Option<Asked>) {
    if reader == Audience::Program || request.uri().path().starts_with("/assets/") {
        return (request, None);
    }
    let (parts, body) = request.into_parts();
    let path = parts.uri.path_and_query().filter(|_| parts.method.is_safe()).map(|p| p.as_str());
    let asked = Asked::of(&parts.headers, of_parts(&parts, &state.config), path);
    (Request::from_parts(parts, body), asked)
}

// Anybody can make methods up, and each would be a series for ever.
fn known(method: &Method) -> &str {
    let known = [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::OPTIONS];
    if known.contains(method) { method.as_str() } else { "other" }
}

// Unique enough for a log: which store, and the how-manieth request since the start.
fn request_id(nonce: u64) -> String {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    format!("{:06x}-{}", nonce & 0xff_ffff, NEXT.fetch_add(1, Ordering::Relaxed))
}

fn panicked(what: Box<dyn Any + Send + 'static>) -> Response {
    let what = what
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| what.downcast_ref::<&str>().copied())
        .unwrap_or("no message");
    tracing::error!(what, "a handler panicked");
    ApiError::internal().into_response()
}

/// Holds a request within its bounds: so many at the same time, a body in time, and memory for it.
async fn bounded(state: &AppState, request: Request, next: Next) -> Response {
    let Ok(_place) = state.shared.requests.try_acquire() else {
        state.shared.metrics.turned_away("requests");
        return ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "overloaded", "too many requests wait for an answer")
            .retry_after(2)
            .into_response();
    };
    let within: Duration = state.config.body_deadline;
    let request = request.map(|body| Body::new(Deadline::new(body, within)));
    state.shared.bodies.hold().during(next.run(request)).await
}

async fn same_site(State(state): State<AppState>, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    let client = of_parts(&parts, &state.config);
    if csrf::is_cross_site(&parts.method, &parts.headers, &client, &state.config) {
        return ApiError::new(
            StatusCode::FORBIDDEN,
            "cross_site",
            "this request came from another site; if you reach Watchfire by another address than it knows, set `public_url`",
        )
        .into_response();
    }
    // For the audit log: whatever is done for this request is done from there.
    acting::from(client.addr, next.run(Request::from_parts(parts, body))).await
}

/// What is told with every answer, unless the handler said otherwise.
fn secure(headers: &mut HeaderMap, by: By) {
    // The second also for senders: some send by GET, and what a proxy answers in our place is lost.
    let all = [(header::X_CONTENT_TYPE_OPTIONS, "nosniff"), (header::CACHE_CONTROL, "no-store")];
    let for_pages = [(header::CONTENT_SECURITY_POLICY, POLICY), (header::REFERRER_POLICY, "same-origin")];
    let for_pages = for_pages.into_iter().filter(|_| by == By::Readers);
    // With room for the request's id.
    headers.reserve(5);
    for (name, value) in all.into_iter().chain(for_pages) {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
}
