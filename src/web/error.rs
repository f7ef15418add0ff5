//! One error for every handler. It travels as data in the response's extensions; the outermost layer writes it as
//! problem JSON or as a page, because only that layer knows the path and the request id.

use axum::{
    body::{Body, to_bytes},
    extract::rejection::{FormRejection, PathRejection, QueryRejection},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use utoipa::ToSchema;

use super::pages::Frame;
use crate::store::{CommandError, StoreError, SubmitError};

/// One wrong field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct FieldError {
    /// Where: a field, a JSON pointer, or a place in a query.
    pub path: String,
    /// What is wrong and what would be right.
    pub message: String,
}

impl FieldError {
    /// A wrong field.
    pub fn new(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self { path: path.into(), message: message.into() }
    }
}

/// Why a request was not done.
#[derive(Clone, Debug, PartialEq)]
pub struct ApiError {
    /// The answer's status.
    pub status: StatusCode,
    /// Stable word for programs.
    pub code: &'static str,
    /// What happened and what to do.
    pub detail: String,
    /// Wrong fields, or allowed values.
    pub errors: Vec<FieldError>,
    /// Seconds until another try makes sense.
    pub retry_after: Option<u32>,
    /// Further members of the problem object.
    pub extra: Vec<(&'static str, serde_json::Value)>,
    /// With 401: Basic opens this door as well. Senders that are given a user and password send them only when asked (SNS).
    pub basic: bool,
}

/// The problem object as it is sent (RFC 9457).
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct ProblemBody {
    /// Names the kind; always relative to the product's documentation.
    #[serde(rename = "type")]
    pub kind: String,
    /// The status in words.
    pub title: String,
    /// The status.
    pub status: u16,
    /// Stable word for programs.
    pub code: String,
    /// What happened and what to do.
    pub detail: String,
    /// Names this request in the log.
    pub request_id: String,
    /// Wrong fields, or allowed values.
    pub errors: Vec<FieldError>,
    /// Members that only some problems have.
    #[serde(flatten)]
    #[schema(ignore)]
    pub extra: serde_json::Map<String, serde_json::Value>,
}

impl ApiError {
    /// An error without fields.
    pub fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self {
            status,
            code,
            detail: detail.into(),
            errors: Vec::new(),
            retry_after: None,
            extra: Vec::new(),
            basic: false,
        }
    }

    /// 400.
    pub fn bad_request(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, detail)
    }

    /// 401.
    pub fn unauthorized(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", detail)
    }

    /// 403.
    pub fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", detail)
    }

    /// 404: there is no such thing.
    pub fn not_found(what: impl std::fmt::Display) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", format!("there is no {what}"))
    }

    /// 422 about one field.
    pub fn invalid(path: impl Into<String>, message: impl Into<String>) -> Self {
        let message = message.into();
        let path = path.into();
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", format!("{path}: {message}"))
            .with_errors(vec![FieldError { path, message }])
    }

    /// 500, without the reason: that is in the log only.
    pub fn internal() -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "something went wrong here; the log says what, under the request id",
        )
    }

    /// The same with these fields.
    #[must_use]
    pub fn with_errors(mut self, errors: Vec<FieldError>) -> Self {
        self.errors = errors;
        self
    }

    /// The same with `Retry-After`.
    #[must_use]
    pub fn retry_after(mut self, secs: u32) -> Self {
        self.retry_after = Some(secs.max(1));
        self
    }

    /// The same with a further member.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<serde_json::Value>) -> Self {
        self.extra.push((name, value.into()));
        self
    }

    /// The problem object.
    pub fn body(&self, request_id: &str) -> ProblemBody {
        ProblemBody {
            kind: format!("/problems/{}", self.code),
            title: title(self.status).to_owned(),
            status: self.status.as_u16(),
            code: self.code.to_owned(),
            detail: self.detail.clone(),
            request_id: request_id.to_owned(),
            errors: self.errors.clone(),
            extra: self.extra.iter().map(|(k, v)| ((*k).to_owned(), v.clone())).collect(),
        }
    }
}

fn title(status: StatusCode) -> &'static str {
    status.canonical_reason().unwrap_or("Error")
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = self.status;
        response.extensions_mut().insert(self);
        response
    }
}

impl From<StoreError> for ApiError {
    fn from(e: StoreError) -> Self {
        match e {
            StoreError::Full => Self::new(StatusCode::INSUFFICIENT_STORAGE, "disk_full", e.to_string()).retry_after(30),
            StoreError::Stopped => Self::new(StatusCode::SERVICE_UNAVAILABLE, "stopping", e.to_string()).retry_after(5),
            other => {
                tracing::error!(error = %other, "the store failed");
                Self::new(
                    StatusCode::SERVICE_UNAVAILABLE,
                    "store_unavailable",
                    "the store cannot be read or written now",
                )
                .retry_after(10)
            }
        }
    }
}

impl From<SubmitError> for ApiError {
    fn from(e: SubmitError) -> Self {
        match e {
            SubmitError::Overloaded { retry_after_secs } => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "overloaded", e.to_string()).retry_after(retry_after_secs)
            }
            SubmitError::Store(store) => store.into(),
        }
    }
}

impl From<CommandError> for ApiError {
    fn from(e: CommandError) -> Self {
        match e {
            CommandError::NotFound(what) => Self::not_found(what),
            CommandError::Conflict { detail, allowed } => {
                let errors = allowed.into_iter().map(|value| FieldError::new("allowed", value)).collect();
                Self::new(StatusCode::CONFLICT, "conflict", detail).with_errors(errors)
            }
            CommandError::Invalid { field, detail } => {
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", detail.clone())
                    .with_errors(vec![FieldError::new(field, detail)])
            }
            CommandError::Mistakes(all) => {
                let detail = all.first().map_or_else(String::new, |m| format!("{}: {}", m.path, m.what));
                let errors = all.into_iter().map(|m| FieldError::new(m.path, m.what)).collect();
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", detail).with_errors(errors)
            }
            CommandError::Store(store) => store.into(),
        }
    }
}

macro_rules! from_rejection {
    ($($t:ty => $code:literal),+ $(,)?) => {
        $(impl From<$t> for ApiError {
            fn from(r: $t) -> Self {
                ApiError::new(r.status(), $code, r.body_text())
            }
        })+
    };
}
from_rejection!(QueryRejection => "invalid_query", PathRejection => "invalid_path", FormRejection => "invalid_form");

/// Who reads the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    /// A program: problem JSON.
    Program,
    /// A person: a page.
    Person,
}

/// Whether a path belongs to the API (and so answers problem JSON) or to the pages.
pub fn audience(path: &str) -> Audience {
    let program = ["/api/", "/netdata/", "/v1/"].iter().any(|p| path.starts_with(p))
        || ["/api", "/healthz", "/readyz", "/metrics"].contains(&path)
        || path.contains("/webhook/");
    if program { Audience::Program } else { Audience::Person }
}

/// Writes an error response in the form that its reader understands; `frame` is asked for where that is a page. Everything else passes unchanged; errors that axum
/// or a layer wrote as plain text become problems too.
pub async fn render<F: Future<Output = Option<Frame>>>(
    response: Response,
    reader: Audience,
    request_id: &str,
    frame: impl FnOnce() -> F,
) -> Response {
    let status = response.status();
    if !status.is_client_error() && !status.is_server_error() {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let error = match parts.extensions.remove::<ApiError>() {
        Some(error) => error,
        None if is_plain(parts.headers.get(header::CONTENT_TYPE)) => plain_error(status, body).await,
        None => return Response::from_parts(parts, body),
    };
    let mut out = match reader {
        Audience::Program => {
            let json = serde_json::to_vec(&error.body(request_id)).unwrap_or_default();
            let mut out = Response::new(Body::from(json));
            out.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
            *out.status_mut() = error.status;
            out
        }
        Audience::Person => {
            let frame = frame().await;
            super::pages::error_page(error.status, title(error.status), &error.detail, request_id, frame)
        }
    };
    // What handlers and axum set besides (Allow, Set-Cookie) stays.
    for (name, value) in &parts.headers {
        if name != header::CONTENT_TYPE && name != header::CONTENT_LENGTH {
            out.headers_mut().append(name, value.clone());
        }
    }
    if let Some(secs) = error.retry_after {
        out.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(secs));
    }
    if error.status == StatusCode::UNAUTHORIZED && reader == Audience::Program {
        // The one that some senders look for comes first: not all read further.
        let basic = error.basic.then_some("Basic realm=\"watchfire\"");
        for way in basic.into_iter().chain(["Bearer realm=\"watchfire\""]) {
            out.headers_mut().append(header::WWW_AUTHENTICATE, HeaderValue::from_static(way));
        }
    }
    out
}

fn is_plain(content_type: Option<&HeaderValue>) -> bool {
    content_type.is_none_or(|v| v.as_bytes().starts_with(b"text/plain"))
}

async fn plain_error(status: StatusCode, body: Body) -> ApiError {
    let text = to_bytes(body, 4096).await.ok().and_then(|b| String::from_utf8(b.to_vec()).ok()).unwrap_or_default();
    let (code, fallback) = match status {
        StatusCode::NOT_FOUND => ("not_found", "there is nothing at this address"),
        StatusCode::METHOD_NOT_ALLOWED => ("method_not_allowed", "this address does not take that method"),
        StatusCode::PAYLOAD_TOO_LARGE => ("too_large", "the body is larger than allowed"),
        StatusCode::UNSUPPORTED_MEDIA_TYPE => {
            ("unsupported_media_type", "the body is not of a type that is taken here")
        }
        s if s.is_server_error() => return ApiError { status, ..ApiError::internal() },
        _ => ("bad_request", "the request cannot be understood"),
    };
    ApiError::new(status, code, if text.trim().is_empty() { fallback.to_owned() } else { text })
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn rendered(response: Response, reader: Audience) -> (StatusCode, serde_json::Value, axum::http::HeaderMap) {
        let out = render(response, reader, "r-1", async || None).await;
        let (parts, body) = out.into_parts();
        let bytes = to_bytes(body, 1 << 20).await.unwrap();
        (parts.status, serde_json::from_slice(&bytes).unwrap_or_default(), parts.headers)
    }

    #[tokio::test]
    async fn conflicts_name_what_is_allowed() {
        let e = CommandError::Conflict { detail: "it is merged".into(), allowed: vec!["resolved".into()] };
        let (status, body, _) = rendered(ApiError::from(e).into_response(), Audience::Program).await;
        assert_eq!(status, StatusCode::CONFLICT);
        assert_eq!(body["code"], "conflict");
        assert_eq!(body["errors"][0]["message"], "resolved");
        assert_eq!(body["request_id"], "r-1");
    }

    #[tokio::test]
    async fn plain_errors_become_problems_and_keep_their_headers() {
        let mut r = (StatusCode::METHOD_NOT_ALLOWED, [(header::ALLOW, "GET")]).into_response();
        r.headers_mut().remove(header::CONTENT_TYPE);
        let (status, body, headers) = rendered(r, Audience::Program).await;
        assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(body["code"], "method_not_allowed");
        assert_eq!(headers[header::ALLOW], "GET");
        assert_eq!(headers[header::CONTENT_TYPE], "application/problem+json");
    }

    #[tokio::test]
    async fn a_full_disk_and_an_overload_say_when_to_come_back() {
        for (e, status) in [
            (SubmitError::Store(StoreError::Full), StatusCode::INSUFFICIENT_STORAGE),
            (SubmitError::Overloaded { retry_after_secs: 7 }, StatusCode::SERVICE_UNAVAILABLE),
        ] {
            let (got, _, headers) = rendered(ApiError::from(e).into_response(), Audience::Program).await;
            assert_eq!(got, status);
            assert!(headers.contains_key(header::RETRY_AFTER));
        }
    }

    #[test]
    fn paths_have_an_audience() {
        for (path, want) in [
            ("/api/incidents", Audience::Program),
            ("/datadog/webhook/k", Audience::Program),
            ("/metrics", Audience::Program),
            ("/", Audience::Person),
            ("/incidents/INC-1", Audience::Person),
        ] {
            assert_eq!(audience(path), want, "{path}");
        }
    }
}
