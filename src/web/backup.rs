//! A backup as an answer: made first, so that what goes wrong has a status, then sent from its file.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use axum::{
    body::{Body, Bytes},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::json;
use tokio::sync::OwnedSemaphorePermit;
use tokio_stream::Stream;
use tokio_util::{io::ReaderStream, sync::WaitForCancellationFutureOwned};

use super::{error::ApiError, state::AppState};
use crate::{
    model::Actor,
    store::backup::{BackupError, key},
};

/// What is sent.
pub const KIND: &str = "application/x-tar";
/// Sent at once.
const PIECE: usize = 256 << 10;

impl From<BackupError> for ApiError {
    fn from(e: BackupError) -> Self {
        match e {
            BackupError::Store(e) => e.into(),
            BackupError::Passphrase(why) => Self::invalid("/passphrase", why),
            BackupError::Busy => Self::new(StatusCode::CONFLICT, "busy", e.to_string()).retry_after(10),
            BackupError::Stopped => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "stopping", e.to_string()).retry_after(5)
            }
            BackupError::NoSpace { .. } => {
                Self::new(StatusCode::INSUFFICIENT_STORAGE, "disk_full", e.to_string()).retry_after(60)
            }
            other => {
                tracing::error!(error = %other, "a backup could not be made");
                Self::internal()
            }
        }
    }
}

/// Makes a backup and sends it. It is noted who took it: it holds everything.
pub async fn answer(state: &AppState, actor: Actor, passphrase: Option<String>) -> Result<Response, ApiError> {
    if let Some(passphrase) = &passphrase {
        key::check(passphrase)?;
    }
    let with_key = json!({ "with_key": passphrase.is_some() });
    state.store.audit(actor, "backup.download", "backup".to_owned(), with_key).await?;
    let made = state.backups.download(passphrase).await?;
    tracing::info!(bytes = made.bytes, with_key = made.manifest.with_key, "a backup is sent");
    let disposition = HeaderValue::from_str(&format!("attachment; filename=\"{}\"", made.name));
    let file = ReaderStream::with_capacity(tokio::fs::File::from_std(made.file), PIECE);
    let stop = Box::pin(state.stop.clone().cancelled_owned());
    let body = Body::from_stream(Sending { file, stop, _place: made.place });
    let mut response = body.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(KIND));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(made.bytes));
    headers.insert(header::CONTENT_DISPOSITION, disposition.unwrap_or(HeaderValue::from_static("attachment")));
    Ok(response)
}

/// The file, until the process stops: what has arrived then is too short, which its reader sees.
struct Sending {
    file: ReaderStream<tokio::fs::File>,
    stop: Pin<Box<WaitForCancellationFutureOwned>>,
    _place: OwnedSemaphorePermit,
}

impl Stream for Sending {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.stop.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Some(Err(io::Error::other("the process stops"))));
        }
        Pin::new(&mut self.file).poll_next(cx)
    }
}
