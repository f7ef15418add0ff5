//! The serving loop: connections with limits, and an orderly end.

use std::{convert::Infallible, net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use axum::{Router, body::Body, extract::ConnectInfo};
use hyper::{Request, body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::ServiceExt;

use super::{
    connections::{Connection, Connections, Limits, Look, Watched},
    guarded::Guarded,
    router::Routes,
    state::AppState,
    tls::{Encrypted, Tls},
};
use crate::runtime::clock::Wait;

/// Time for running requests at the end.
const GRACE: Duration = Duration::from_secs(5);
/// After the system refused a connection, before the next is taken.
const REFUSED: Duration = Duration::from_millis(50);
/// A connection that is asked to make room gets this long to say goodbye.
const GOODBYE: Duration = Duration::from_millis(50);

/// Serves the whole site until `state.stop` is set; then finishes the requests that run.
pub async fn serve(listener: TcpListener, routes: Routes, state: AppState, connections: usize) {
    let (stop, tls) = (state.stop.clone(), Arc::clone(&state.shared.tls));
    let server = Server::new(routes.serve(state), Limits::new(connections), stop);
    if tls.is_on() { server.over(tls) } else { server }.serve(listener, GRACE).await;
}

/// Serves a router until `stop`, without TLS.
pub async fn serve_router(
    listener: TcpListener,
    router: Router,
    limits: Limits,
    stop: CancellationToken,
    grace: Duration,
) {
    Server::new(router, limits, stop).serve(listener, grace).await;
}

/// What every connection is served with. Cheap to clone.
#[derive(Clone)]
pub struct Server {
    http: auto::Builder<TokioExecutor>,
    router: Router,
    limits: Limits,
    connections: Arc<Connections>,
    stop: CancellationToken,
    tls: Option<Arc<Tls>>,
}

impl Server {
    /// Serves a router until `stop`.
    pub fn new(router: Router, limits: Limits, stop: CancellationToken) -> Self {
        let mut http = auto::Builder::new(TokioExecutor::new());
        http.http1().timer(TokioTimer::new()).header_read_timeout(limits.head).max_buf_size(64 * 1024);
        // What a peer may have us hold: a window of body for the connection, and an answer's buffer for each stream.
        http.http2()
            .timer(TokioTimer::new())
            .keep_alive_interval(Duration::from_secs(20))
            .keep_alive_timeout(limits.head)
            .initial_stream_window_size(64 * 1024)
            .initial_connection_window_size(256 * 1024)
            .max_send_buf_size(64 * 1024)
            .max_concurrent_streams(64)
            .max_pending_accept_reset_streams(20)
            .max_local_error_reset_streams(20)
            .max_header_list_size(64 * 1024);
        Self { http, router, limits, connections: Connections::new(limits.connections), stop, tls: None }
    }

    /// The same over TLS.
    pub fn over(self, tls: Arc<Tls>) -> Self {
        Self { tls: Some(tls), ..self }
    }

    /// Takes connections until the stop; then those that are there have this time to end.
    pub async fn serve(self, listener: TcpListener, grace: Duration) {
        let running = TaskTracker::new();
        loop {
            let accepted = tokio::select! {
                biased;
                () = self.stop.cancelled() => break,
                accepted = self.accept(&listener) => accepted,
            };
            let Some((stream, peer, connection)) = accepted else { continue };
            // Answers are small: do not wait for more of them.
            if let Err(e) = stream.set_nodelay(true) {
                tracing::debug!(error = %e, "TCP_NODELAY was not set");
            }
            match self.tls.clone() {
                None => running.spawn(self.clone().connection(stream, peer, connection)),
                Some(tls) => running.spawn(self.clone().encrypted(tls, stream, peer, connection)),
            };
        }
        drop(listener);
        running.close();
        if tokio::time::timeout(grace, running.wait()).await.is_err() {
            tracing::warn!("some requests did not finish in time");
        }
    }

    async fn accept(&self, listener: &TcpListener) -> Option<(TcpStream, SocketAddr, Arc<Connection>)> {
        match listener.accept().await {
            Ok((stream, peer)) => Some((stream, peer, self.connections.open().await)),
            Err(e) => {
                // Out of file handles, mostly: an idle connection gives one back.
                tracing::warn!(error = %e, "a connection was not accepted");
                self.connections.end_oldest_idle();
                tokio::time::sleep(REFUSED).await;
                None
            }
        }
    }

    /// The same as `connection` after a handshake. Until that is done the connection is an idle one, and its time is that
    /// of the first head.
    async fn encrypted(self, tls: Arc<Tls>, stream: TcpStream, peer: SocketAddr, connection: Arc<Connection>) {
        let head = Wait::begin(self.limits.head);
        let greeted = tokio::select! {
            greeted = tokio::time::timeout(head.left(), tls.greet(stream)) => greeted.unwrap_or_else(|_| {
                tracing::debug!("a TLS handshake took too long");
                tls.gave_up();
                None
            }),
            () = self.stop.cancelled() => None,
            () = connection.cut.notified() => None,
        };
        match greeted {
            Some((stream, encrypted)) => {
                self.speak(stream, peer, connection, Some(encrypted), head.left()).await;
            }
            None => connection.close(),
        }
    }

    /// Serves one connection until it ends, or is ended: at the stop, to make room, or because its peer does nothing.
    pub async fn connection<T>(self, stream: T, peer: SocketAddr, connection: Arc<Connection>)
    where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let begin = self.limits.head;
        self.speak(stream, peer, connection, None, begin).await;
    }

    async fn speak<T>(
        self,
        stream: T,
        peer: SocketAddr,
        connection: Arc<Connection>,
        encrypted: Option<Encrypted>,
        begin: Duration,
    ) where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let busy = Arc::clone(&connection);
        let router = self.router;
        let service = service_fn(move |mut request: Request<Incoming>| {
            let (router, busy) = (router.clone(), busy.begin());
            request.extensions_mut().insert(ConnectInfo::<SocketAddr>(peer));
            if let Some(encrypted) = &encrypted {
                request.extensions_mut().insert(encrypted.clone());
            }
            async move {
                let response = match router.oneshot(request.map(Body::new)).await {
                    Ok(response) => response,
                    Err(never) => match never {},
                };
                Ok::<_, Infallible>(response.map(|body| Watched::new(body, busy)))
            }
        });
        let io = TokioIo::new(Guarded::new(stream, begin, self.limits.stall));
        let mut served = pin!(self.http.serve_connection(io, service).into_owned());
        // Often enough that a limit is kept to within a quarter of it.
        let every = self.limits.idle.min(self.limits.stall) / 4;
        let mut ending = false;
        loop {
            let end = tokio::select! {
                ended = served.as_mut() => {
                    if let Err(e) = ended {
                        tracing::debug!(error = %e, "a connection ended");
                    }
                    break;
                }
                () = self.stop.cancelled(), if !ending => false,
                // A request that came in the meantime is answered; another connection makes room.
                () = connection.cut.notified() => match connection.is_busy() {
                    true => continue,
                    false => true,
                },
                () = tokio::time::sleep(every) => match connection.look(&self.limits) {
                    Look::Fine => continue,
                    Look::Idle if !ending => false,
                    Look::Idle => true,
                    Look::Stalled => {
                        tracing::debug!("a connection was cut: its reader does not take the answer");
                        break;
                    }
                },
            };
            ending = true;
            served.as_mut().graceful_shutdown();
            if end {
                // Late or not, the place is needed.
                tokio::time::timeout(GOODBYE, served.as_mut()).await.ok();
                break;
            }
        }
        connection.close();
    }

    /// A place for a connection that did not come through the listener.
    pub async fn open(&self) -> Arc<Connection> {
        self.connections.open().await
    }
}
