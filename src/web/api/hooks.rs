//! The description of the addresses that senders post to; they are served by `web::hooks`.

#![allow(dead_code, reason = "described here, served there")]

use utoipa_axum::{router::OpenApiRouter, routes};

use crate::web::hooks::Taken;

/// A description only.
pub fn described() -> OpenApiRouter {
    OpenApiRouter::new().routes(routes!(webhook, webhook_put)).routes(routes!(webhook_with_key, webhook_with_key_put))
}

/// Takes a delivery. The key goes into `Authorization: Bearer`, Basic, `X-Watchfire-Key` or `?key=`; or the platform signs.
/// Uptime Kuma, Healthchecks and generic senders may send their fields in the query instead, by GET too.
#[utoipa::path(post, path = "/api/webhooks/{platform}", tag = "webhooks", operation_id = "webhook",
    params(("platform" = String, Path), ("Prefer" = Option<String>, Header, description = "`wait=5`: answer when it has been applied")),
    request_body(content = Vec<u8>, content_type = "application/json", description = "what the platform sends"),
    responses((status = 202, body = Taken)))]
async fn webhook() {}

/// The same with the key in the path.
#[utoipa::path(post, path = "/api/webhooks/{platform}/{key}", tag = "webhooks", operation_id = "webhook_with_key",
    params(("platform" = String, Path), ("key" = String, Path)),
    request_body(content = Vec<u8>, content_type = "application/json", description = "what the platform sends"),
    responses((status = 202, body = Taken)))]
async fn webhook_with_key() {}

/// The same, for senders that are set to PUT.
#[utoipa::path(put, path = "/api/webhooks/{platform}", tag = "webhooks", operation_id = "webhook_put",
    params(("platform" = String, Path), ("Prefer" = Option<String>, Header, description = "`wait=5`: answer when it has been applied")),
    request_body(content = Vec<u8>, content_type = "application/json", description = "what the platform sends"),
    responses((status = 202, body = Taken)))]
async fn webhook_put() {}

/// The same, for senders that are set to PUT, with the key in the path.
#[utoipa::path(put, path = "/api/webhooks/{platform}/{key}", tag = "webhooks", operation_id = "webhook_with_key_put",
    params(("platform" = String, Path), ("key" = String, Path)),
    request_body(content = Vec<u8>, content_type = "application/json", description = "what the platform sends"),
    responses((status = 202, body = Taken)))]
async fn webhook_with_key_put() {}
