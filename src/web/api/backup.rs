//! Backups of the running server.

use axum::{extract::State, response::Response};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::web::{auth::Admin, backup, error::ApiError, extract::OptionalJson, state::AppState};

/// What it should hold.
#[derive(Default, Deserialize, ToSchema)]
pub struct BackupRequest {
    /// Takes the key file along, encrypted under this: at least 10 characters. Left out: the key file is not in the
    /// backup, and without a copy of it connector keys and secrets cannot be read after a restore.
    #[serde(default)]
    passphrase: Option<String>,
}

/// Makes a backup and sends it: a tar file with fresh copies of both databases, a manifest, and at its end the SHA-256 of
/// all of them. The first byte comes when it is made; that takes as long as reading the store twice.
#[utoipa::path(post, path = "/api/backup", tag = "system", operation_id = "backup", request_body = BackupRequest,
    responses((status = 200, description = "the backup", content_type = "application/x-tar"),
        (status = 409, description = "another one is being made"),
        (status = 507, description = "too little space on the disk of the data folder")))]
pub async fn make(
    who: Admin,
    State(state): State<AppState>,
    OptionalJson(wanted): OptionalJson<BackupRequest>,
) -> Result<Response, ApiError> {
    backup::answer(&state, who.actor, wanted.passphrase).await
}
