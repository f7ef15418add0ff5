//! The yardstick: what the same listener can take when it does nothing but read. It parses the same bodies into the same
//! typed signals as Watchfire, answers 202 with the same fields, and stores nothing.

use axum::{
    Json, Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode},
    routing::post,
};
use tokio_util::sync::CancellationToken;
use watchfire::{
    connectors,
    model::*,
    runtime::{clock::Clock, files},
    web,
};
use watchfire_bench::args::{arg, quit};

#[tokio::main]
async fn main() {
    let addr = arg("listen", "127.0.0.1:0".to_owned());
    let listener = tokio::net::TcpListener::bind(&addr).await.unwrap_or_else(|e| quit(&format!("{addr}: {e}")));
    let bound = listener.local_addr().unwrap_or_else(|e| quit(&e.to_string()));
    println!("bare: listening on http://{bound}");
    let router = Router::new().route("/api/webhooks/alertmanager", post(take)).with_state(Clock::System);
    // Ends with the process.
    let limits = web::connections::Limits::new(files::connections());
    web::server::serve_router(listener, router, limits, CancellationToken::new(), std::time::Duration::ZERO).await;
}

async fn take(State(clock): State<Clock>, headers: HeaderMap, body: Bytes) -> (StatusCode, Json<serde_json::Value>) {
    let headers: Vec<(String, String)> =
        headers.iter().filter_map(|(n, v)| Some((n.as_str().to_owned(), v.to_str().ok()?.to_owned()))).collect();
    let Some(connector) = connectors::find("alertmanager") else { quit("this Watchfire has no such connector") };
    let at = clock.now();
    let request =
        connectors::Request { headers: &headers, query: &[], body: &body, received_at: at, rca_enabled: false };
    match connector.parse(&request) {
        Ok(parsed) => {
            let alerts: Vec<_> = parsed
                .signals
                .iter()
                .map(|s| serde_json::json!({ "fingerprint": s.fingerprint(), "status": s.status }))
                .collect();
            let id = DeliveryId::new(at, 1);
            (StatusCode::ACCEPTED, Json(serde_json::json!({ "delivery_id": id, "alerts": alerts })))
        }
        Err(problem) => (StatusCode::UNPROCESSABLE_ENTITY, Json(serde_json::json!(problem))),
    }
}
