//! The audit log: who did what.

use axum::{Json as Answer, extract::State};

use super::{listing, params::Params};
use crate::{
    model::AuditEntry,
    web::{auth::Admin, error::ApiError, state::AppState},
};

listing! {
    /// Entries, latest first.
    Audit { audit: AuditEntry }
}

/// The audit log, latest first.
#[utoipa::path(get, path = "/api/audit", tag = "access", operation_id = "audit_list",
    params(("limit" = Option<usize>, Query), ("cursor" = Option<String>, Query)), responses((status = 200, body = Audit)))]
pub async fn list(_: Admin, State(state): State<AppState>, params: Params) -> Result<Answer<Audit>, ApiError> {
    let (cursor, limit) = (params.cursor()?, params.limit()?);
    let page = state.store.read(move |view| view.audit(cursor, limit)).await?;
    Ok(Answer(Audit::of(page, Clone::clone)))
}
