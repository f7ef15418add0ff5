//! The serving loop: connections with limits, and an orderly end.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::{Router, extract::ConnectInfo};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto, graceful::GracefulShutdown},
    service::TowerToHyperService,
};
use tokio::{net::TcpListener, sync::Semaphore};
use tower::ServiceExt;

use super::{first_bytes::FirstBytes, state::AppState};

/// Connections at the same time. Beyond this new ones wait in the system's queue.
const MOST_CONNECTIONS: usize = 4096;
/// Time for the head of a request; also how long an idle connection is kept.
const HEAD_WITHIN: Duration = Duration::from_secs(10);
/// Time for running requests at the end.
const GRACE: Duration = Duration::from_secs(5);

/// Serves the whole site until `state.stop` is set; then finishes the requests that run.
pub async fn serve(listener: TcpListener, state: AppState) {
    let stop = state.stop.clone();
    serve_router(listener, super::serve_router(state), stop.cancelled_owned(), GRACE).await;
}

/// Serves a router until `stop`.
pub async fn serve_router(listener: TcpListener, router: Router, stop: impl Future<Output = ()>, grace: Duration) {
    let places = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    let graceful = GracefulShutdown::new();
    let mut stop = std::pin::pin!(stop);
    let server = {
        let mut server = auto::Builder::new(TokioExecutor::new());
        server.http1().timer(TokioTimer::new()).header_read_timeout(HEAD_WITHIN).max_buf_size(64 * 1024);
        server
            .http2()
            .timer(TokioTimer::new())
            .keep_alive_interval(Duration::from_secs(20))
            .keep_alive_timeout(HEAD_WITHIN)
            .max_concurrent_streams(100)
            .max_header_list_size(64 * 1024);
        server
    };
    loop {
        let accepted = tokio::select! {
            biased;
            () = &mut stop => break,
            accepted = accept(&listener, &places) => accepted,
        };
        let Some((stream, peer, place)) = accepted else { continue };
        // Answers are small: do not wait for more of them.
        if let Err(e) = stream.set_nodelay(true) {
            tracing::debug!(error = %e, "TCP_NODELAY was not set");
        }
        let service = router.clone().map_request(move |mut request: hyper::Request<hyper::body::Incoming>| {
            request.extensions_mut().insert(ConnectInfo::<SocketAddr>(peer));
            request.map(axum::body::Body::new)
        });
        let connection = server
            .serve_connection(TokioIo::new(FirstBytes::new(stream, HEAD_WITHIN)), TowerToHyperService::new(service));
        let connection = graceful.watch(connection.into_owned());
        tokio::spawn(async move {
            if let Err(e) = connection.await {
                tracing::debug!(error = %e, "a connection ended");
            }
            drop(place);
        });
    }
    drop(listener);
    if tokio::time::timeout(grace, graceful.shutdown()).await.is_err() {
        tracing::warn!("some requests did not finish in time");
    }
}

type Accepted = (tokio::net::TcpStream, SocketAddr, tokio::sync::OwnedSemaphorePermit);

async fn accept(listener: &TcpListener, places: &Arc<Semaphore>) -> Option<Accepted> {
    let place = Arc::clone(places).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, peer)) => Some((stream, peer, place)),
        Err(e) => {
            // Out of file handles, mostly: give others the time to end.
            tracing::warn!(error = %e, "a connection was not accepted");
            tokio::time::sleep(Duration::from_millis(100)).await;
            None
        }
    }
}
