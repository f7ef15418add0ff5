//! Health, figures, version and the description of the API.

use axum::{
    Extension, Json as Answer,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    model::IncidentStatus,
    web::{auth::Viewer, error::ApiError, metrics::Now, state::AppState, storage::Sizes},
};

/// The API's description, made once.
#[derive(Clone, Debug)]
pub struct Description(pub axum::body::Bytes);

/// What runs.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Version {
    /// The product.
    name: &'static str,
    /// Its version.
    version: &'static str,
}

/// The version.
#[utoipa::path(get, path = "/api/version", tag = "system", operation_id = "version", security(()), responses((status = 200, body = Version)))]
pub async fn version() -> Answer<Version> {
    Answer(Version { name: env!("CARGO_PKG_NAME"), version: env!("CARGO_PKG_VERSION") })
}

/// This description.
#[utoipa::path(get, path = "/api/openapi.json", tag = "system", operation_id = "openapi", security(()),
    responses((status = 200, description = "OpenAPI 3.1", content_type = "application/json")))]
pub async fn openapi(Extension(Description(bytes)): Extension<Description>) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], bytes).into_response()
}

/// Whether it works.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Health {
    /// `ok` or `failing`.
    status: &'static str,
    /// What is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
}

fn health(state: &AppState, ready: bool) -> (StatusCode, Answer<Health>) {
    let failing =
        |detail: String| (StatusCode::SERVICE_UNAVAILABLE, Answer(Health { status: "failing", detail: Some(detail) }));
    if let Err(e) = state.store.health() {
        // Anybody may ask, so no paths and no messages of the system.
        tracing::debug!(error = %e, "not healthy");
        return failing("the store cannot be written".to_owned());
    }
    if ready && state.stop.is_cancelled() {
        return failing("stopping".to_owned());
    }
    if ready && state.store.behind() >= state.config.max_behind {
        return failing("too many deliveries wait to be applied".to_owned());
    }
    (StatusCode::OK, Answer(Health { status: "ok", detail: None }))
}

/// Whether the process is alive and can write.
#[utoipa::path(get, path = "/healthz", tag = "system", operation_id = "healthz", security(()),
    responses((status = 200, body = Health), (status = 503, body = Health)))]
pub async fn healthz(State(state): State<AppState>) -> (StatusCode, Answer<Health>) {
    health(&state, false)
}

/// Whether it takes requests.
#[utoipa::path(get, path = "/readyz", tag = "system", operation_id = "readyz", security(()),
    responses((status = 200, body = Health), (status = 503, body = Health)))]
pub async fn readyz(State(state): State<AppState>) -> (StatusCode, Answer<Health>) {
    health(&state, true)
}

/// Figures in Prometheus text.
#[utoipa::path(get, path = "/metrics", tag = "system", operation_id = "metrics", responses((status = 200, content_type = "text/plain")))]
pub async fn metrics(_: Viewer, State(state): State<AppState>, headers: HeaderMap) -> Result<Response, ApiError> {
    // More than this many open ones are counted all the same; only their split by status is of the newest.
    let ((open, total), rows) = state.store.read(|view| Ok((view.open_incidents(5000)?, view.sizes()?))).await?;
    let count = |status| open.iter().filter(|i| i.status == status).count();
    let analyzed = u64::try_from(count(IncidentStatus::Analyzed)).unwrap_or(0);
    let by_status =
        [(IncidentStatus::Analyzed, analyzed), (IncidentStatus::Investigating, total.saturating_sub(analyzed))];
    let (sizes, backups) = (Sizes::of(&state).await, state.backups.status());
    let (bodies, tls) = (state.shared.bodies.held(), state.shared.tls.figures());
    let now = Now {
        behind: state.store.behind(),
        bodies,
        rows: rows.to_vec(),
        sizes,
        backups,
        tls,
        tools: state.probes.status(),
    };
    let text = state.shared.metrics.render(&now, &by_status).map_err(|_| ApiError::internal())?;
    // The older form reads the newer one: what it does not know is a comment to it.
    let accept = headers.get(header::ACCEPT).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let kind = if accept.contains("application/openmetrics-text") {
        "application/openmetrics-text; version=1.0.0; charset=utf-8"
    } else {
        "text/plain; version=0.0.4; charset=utf-8"
    };
    Ok(([(header::CONTENT_TYPE, kind)], text).into_response())
}
