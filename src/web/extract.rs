//! Extractors whose refusals are problems, and the body read with its limits.

use std::{
    error::Error as StdError,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    body::{Body, Bytes, HttpBody},
    extract::{FromRequest, FromRequestParts, Request},
    http::{StatusCode, request::Parts},
};
use http_body_util::BodyExt;
use hyper::body::{Frame, SizeHint};
use serde::de::DeserializeOwned;

use super::{
    error::{ApiError, FieldError},
    room::{Held, NoRoom},
    state::AppState,
};

/// The sender took too long for its body.
#[derive(Debug, thiserror::Error)]
#[error("the body did not arrive in time")]
pub struct Late;

/// A body that must have arrived as a whole within a time: a sender that trickles bytes is cut off.
pub struct Deadline {
    inner: Body,
    within: Duration,
    // Made at the first wait: most bodies are already here.
    timer: Option<Pin<Box<tokio::time::Sleep>>>,
}

impl Deadline {
    /// Wraps a body.
    pub fn new(inner: Body, within: Duration) -> Self {
        Self { inner, within, timer: None }
    }
}

impl HttpBody for Deadline {
    type Data = Bytes;
    type Error = axum::BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::BoxError>>> {
        // Once it runs, it counts: frames without anything in them may come without end.
        if self.timer.as_mut().is_some_and(|timer| timer.as_mut().poll(cx).is_ready()) {
            return Poll::Ready(Some(Err(Box::new(Late))));
        }
        if let Poll::Ready(frame) = Pin::new(&mut self.inner).poll_frame(cx) {
            return Poll::Ready(frame.map(|f| f.map_err(Into::into)));
        }
        let within = self.within;
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(within)));
        match timer.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(Some(Err(Box::new(Late)))),
            Poll::Pending => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

fn is_late(e: &(dyn StdError + 'static)) -> bool {
    let mut next = Some(e);
    while let Some(e) = next {
        if e.is::<Late>() {
            return true;
        }
        next = e.source();
    }
    false
}

/// Reads a body of at most `limit` bytes. A larger one is read on and thrown away, up to twice the limit or for one
/// second, because most senders see an answer only after they have sent everything. What is read takes room of the
/// memory for bodies until the request is answered.
pub async fn read_body(mut body: Body, limit: usize) -> Result<Bytes, ApiError> {
    let mut whole: Option<Vec<u8>> = None;
    let mut first = Bytes::new();
    let held = Held::current();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|e| body_error(&e))?;
        let Ok(data) = frame.into_data() else { continue };
        let have = whole.as_ref().map_or(first.len(), Vec::len);
        if have + data.len() > limit {
            drain(body, (limit.saturating_mul(2)).saturating_sub(have + data.len())).await;
            return Err(too_large(limit));
        }
        // As it arrives, and not what the sender says that it will send: that costs it nothing.
        if let Some(held) = &held
            && let Err(e) = held.reach(have + data.len()).await
        {
            drop((whole, first));
            drain(body, limit).await;
            return Err(e.into());
        }
        match &mut whole {
            Some(whole) => whole.extend_from_slice(&data),
            None if first.is_empty() => first = data,
            None => {
                let mut joined = Vec::with_capacity((first.len() + data.len()) * 2);
                joined.extend_from_slice(&first);
                joined.extend_from_slice(&data);
                whole = Some(joined);
            }
        }
    }
    Ok(whole.map_or(first, Bytes::from))
}

/// Reads and throws away at most `at_most` bytes, for at most one second.
pub async fn drain(mut body: Body, at_most: usize) {
    let all = async {
        let mut seen = 0;
        while seen <= at_most {
            match body.frame().await {
                Some(Ok(frame)) => seen += frame.data_ref().map_or(0, Bytes::len),
                _ => break,
            }
        }
    };
    // Late or not, the answer is the same.
    tokio::time::timeout(Duration::from_secs(1), all).await.ok();
}

/// 413 with the limit.
pub fn too_large(limit: usize) -> ApiError {
    ApiError::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        "too_large",
        format!("the body is larger than {limit} bytes after decompression; `max_body` sets this limit"),
    )
}

impl From<NoRoom> for ApiError {
    fn from(e: NoRoom) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "no_room", format!("{e} at the same time; try again in 2 s"))
            .retry_after(2)
    }
}

fn body_error(e: &axum::Error) -> ApiError {
    if is_late(e) {
        ApiError::new(StatusCode::REQUEST_TIMEOUT, "too_slow", "the body did not arrive in time")
    } else {
        ApiError::bad_request("broken_body", "the body broke off")
    }
}

/// A JSON body, whatever the content type says. Problems name the path.
#[derive(Debug)]
pub struct Json<T>(pub T);

impl<T: DeserializeOwned> FromRequest<AppState> for Json<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &AppState) -> Result<Self, ApiError> {
        parse_json(&read_body(request.into_body(), state.config.max_body).await?).map(Self)
    }
}

/// The same for actions whose body may be missing: nothing at all is an empty object.
#[derive(Debug)]
pub struct OptionalJson<T>(pub T);

impl<T: DeserializeOwned> FromRequest<AppState> for OptionalJson<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &AppState) -> Result<Self, ApiError> {
        let bytes = read_body(request.into_body(), state.config.max_body).await?;
        parse_json(if bytes.trim_ascii().is_empty() { b"{}" } else { &bytes }).map(Self)
    }
}

/// 400 when it is not JSON, 422 with the path when it is not what is asked for.
pub fn parse_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let de = &mut serde_json::Deserializer::from_slice(text);
    let parsed = serde_path_to_error::deserialize(&mut *de).map_err(|e| {
        let inner = e.inner();
        if inner.is_data() {
            let path = pointer(e.path());
            ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", format!("{path}: {inner}"))
                .with_errors(vec![FieldError::new(path, inner.to_string())])
        } else {
            ApiError::bad_request("not_json", format!("the body is not JSON: {inner}"))
        }
    })?;
    de.end().map_err(|e| ApiError::bad_request("not_json", format!("the body is not JSON: {e}")))?;
    Ok(parsed)
}

/// The same for JSON that was read already: 422 with the path when it is not what is asked for.
pub fn parse_value<T: DeserializeOwned>(value: serde_json::Value) -> Result<T, ApiError> {
    serde_path_to_error::deserialize(value).map_err(|e| {
        let path = pointer(e.path());
        ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", format!("{path}: {}", e.inner()))
            .with_errors(vec![FieldError::new(path, e.inner().to_string())])
    })
}

fn pointer(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    let mut out = String::new();
    for segment in path {
        out.push('/');
        match segment {
            Segment::Seq { index } => out.push_str(&index.to_string()),
            Segment::Map { key } => out.push_str(&key.replace('~', "~0").replace('/', "~1")),
            Segment::Enum { variant } => out.push_str(variant),
            Segment::Unknown => out.push('?'),
        }
    }
    out
}

/// Query parameters into a struct; refusals are problems.
#[derive(Debug)]
pub struct Query<T>(pub T);

impl<T: DeserializeOwned> FromRequestParts<AppState> for Query<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &AppState) -> Result<Self, ApiError> {
        Ok(Self(axum::extract::Query::<T>::try_from_uri(&parts.uri)?.0))
    }
}

/// Path parameters; refusals are problems.
#[derive(Debug)]
pub struct Path<T>(pub T);

impl<T: DeserializeOwned + Send> FromRequestParts<AppState> for Path<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        let axum::extract::Path(value) = axum::extract::Path::<T>::from_request_parts(parts, state)
            .await
            .map_err(|r| ApiError::new(StatusCode::NOT_FOUND, "not_found", r.body_text()))?;
        Ok(Self(value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    struct Wanted {
        #[serde(rename = "alerts")]
        _alerts: Vec<Inner>,
    }
    #[derive(Debug, serde::Deserialize)]
    struct Inner {
        #[serde(rename = "n")]
        _n: u32,
    }

    #[test]
    fn json_problems_name_the_path() {
        let check = |text: &str, status: u16, path: Option<&str>| {
            let e = parse_json::<Wanted>(text.as_bytes()).unwrap_err();
            assert_eq!(e.status.as_u16(), status, "{text}");
            assert_eq!(e.errors.first().map(|f| f.path.as_str()), path, "{text}");
        };
        check("{", 400, None);
        check("{\"alerts\":[]} x", 400, None);
        check("{\"alerts\":[{\"n\":1},{\"n\":\"x\"}]}", 422, Some("/alerts/1/n"));
        check("{\"alerts\":7}", 422, Some("/alerts"));
    }

    #[tokio::test]
    async fn bodies_over_the_limit_are_refused() {
        assert_eq!(read_body(Body::from(vec![1u8; 10]), 10).await.unwrap().len(), 10);
        let e = read_body(Body::from(vec![1u8; 11]), 10).await.unwrap_err();
        assert_eq!(e.status, StatusCode::PAYLOAD_TOO_LARGE);
    }

    #[tokio::test]
    async fn frames_are_joined() {
        let frames = tokio_stream::iter(["ab", "c", "def"].map(|s| Ok::<_, std::io::Error>(Bytes::from(s))));
        assert_eq!(read_body(Body::from_stream(frames), 10).await.unwrap(), "abcdef");
    }

    #[tokio::test]
    async fn a_body_that_trickles_is_cut_off() {
        let (tx, rx) = tokio::sync::mpsc::channel::<Result<Bytes, std::io::Error>>(1);
        let frames = Body::from_stream(tokio_stream::wrappers::ReceiverStream::new(rx));
        let body = Body::new(Deadline::new(frames, Duration::from_millis(50)));
        // A frame whenever the reader waits: no single wait is long, the whole is.
        let sender = tokio::spawn(async move { while tx.send(Ok(Bytes::new())).await.is_ok() {} });
        let e = read_body(body, 1 << 20).await.unwrap_err();
        assert_eq!(e.status, StatusCode::REQUEST_TIMEOUT);
        sender.await.unwrap();
    }
}
