//! The audit log: who did what.

use axum::{
    Json as Answer,
    body::{Body, Bytes},
    extract::State,
    http::{HeaderValue, header},
    response::Response,
};
use serde::Serialize;
use serde_json::Value;
use tokio::sync::mpsc;
use tokio_stream::{StreamExt, wrappers::ReceiverStream};
use utoipa::ToSchema;

use super::{
    alerts::cell,
    listing,
    params::{Params, wrong},
};
use crate::{
    model::{Actor, AuditEntry, AuditFilter, Time},
    store::Store,
    web::{auth::Admin, error::ApiError, state::AppState},
};

listing! {
    /// Entries, latest first.
    Audit { audit: AuditObject }
}

/// One act.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct AuditObject {
    /// Its number; later acts have higher ones.
    pub id: u64,
    /// When.
    pub at: Time,
    /// Who: a person, `token:NAME`, or `system`.
    pub actor: String,
    /// What, as `area.verb`: `incident.resolve`, `connector.reveal_key`.
    pub action: String,
    /// On what.
    pub subject: String,
    /// The address that it was asked from.
    pub address: Option<String>,
    /// `before` and `after` where something changed; reasons and counts. Never a secret.
    pub data: Value,
}

impl AuditObject {
    /// From the stored row.
    pub fn of((id, entry): &(u64, AuditEntry)) -> Self {
        let AuditEntry { at, actor, action, subject, data, address } = entry.clone();
        Self { id: *id, at, actor, action, subject, address, data }
    }
}

/// What is wanted, from the parameters of a list or of a page.
pub fn filter(params: &Params, now: Time) -> Result<AuditFilter, ApiError> {
    Ok(AuditFilter {
        actor: params.words("actor"),
        action: params.words("action"),
        object: params.one("object").map(|o| o.split_whitespace().map(str::to_owned).collect()).unwrap_or_default(),
        since: params.time("since", now)?,
        until: params.time("until", now)?,
    })
}

/// The audit log, latest first.
#[utoipa::path(get, path = "/api/audit", tag = "access", operation_id = "audit_list",
    params(("actor" = Option<String>, Query, description = "by these; `*` at the end is a prefix"),
        ("action" = Option<String>, Query, description = "these acts, such as `incident.*`"),
        ("object" = Option<String>, Query, description = "words that stand in what it was done to"),
        ("since" = Option<String>, Query), ("until" = Option<String>, Query),
        ("limit" = Option<usize>, Query), ("cursor" = Option<String>, Query)), responses((status = 200, body = Audit)))]
pub async fn list(_: Admin, State(state): State<AppState>, params: Params) -> Result<Answer<Audit>, ApiError> {
    let (cursor, limit) = (params.cursor()?, params.limit()?);
    let filter = filter(&params, state.clock.now())?;
    let page = state.store.read(move |view| view.audit_of(&filter, cursor, limit)).await?;
    Ok(Answer(Audit::of(page, AuditObject::of)))
}

/// How an export is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Csv,
    Ndjson,
}

/// The audit log as a file, latest first: `format=csv` or `ndjson`.
#[utoipa::path(get, path = "/api/audit/export", tag = "access", operation_id = "audit_export",
    params(("format" = Option<String>, Query, description = "csv (as left out) or ndjson"),
        ("actor" = Option<String>, Query), ("action" = Option<String>, Query), ("object" = Option<String>, Query),
        ("since" = Option<String>, Query), ("until" = Option<String>, Query)),
    responses((status = 200, content_type = "text/csv", body = String)))]
pub async fn export(who: Admin, State(state): State<AppState>, params: Params) -> Result<Response, ApiError> {
    let form = match params.one("format") {
        None | Some("csv") => Form::Csv,
        Some("ndjson") => Form::Ndjson,
        Some(_) => return Err(wrong("format", "`csv` or `ndjson` is needed")),
    };
    let wanted = filter(&params, state.clock.now())?;
    let (name, kind) = match form {
        Form::Csv => ("watchfire-audit.csv", "text/csv; charset=utf-8"),
        Form::Ndjson => ("watchfire-audit.ndjson", "application/x-ndjson"),
    };
    note(&state, who.actor, name).await?;
    let (send, receive) = mpsc::channel(2);
    let store = state.store.clone();
    tokio::spawn(async move {
        if let Err(e) = write(&store, &wanted, form, &send).await {
            // Cut off, so that nobody takes a part for the whole.
            let _ = send.send(Err(std::io::Error::other(e.to_string()))).await;
        }
    });
    let mut response = Response::new(Body::from_stream(ReceiverStream::new(receive).map(|piece| piece)));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    if let Ok(value) = HeaderValue::try_from(format!("attachment; filename=\"{name}\"")) {
        headers.insert(header::CONTENT_DISPOSITION, value);
    }
    Ok(response)
}

/// Who took the log out is in the log.
async fn note(state: &AppState, actor: Actor, name: &str) -> Result<(), ApiError> {
    Ok(state.store.audit(actor, "audit.export", name.to_owned(), Value::Null).await?)
}

/// Entries of one piece.
const PIECE: usize = 500;

async fn write(
    store: &Store,
    filter: &AuditFilter,
    form: Form,
    to: &mpsc::Sender<Result<Bytes, std::io::Error>>,
) -> Result<(), crate::store::StoreError> {
    let mut text =
        if form == Form::Csv { "id,at,actor,action,subject,address,data\r\n".to_owned() } else { String::new() };
    let mut before = None;
    loop {
        let wanted = filter.clone();
        let (items, next) = store.read(move |view| view.audit_page(&wanted, before, PIECE)).await?;
        for entry in &items {
            let object = AuditObject::of(entry);
            match form {
                Form::Csv => text.push_str(&line(&object)),
                Form::Ndjson => {
                    text.push_str(&serde_json::to_string(&object).unwrap_or_default());
                    text.push('\n');
                }
            }
        }
        // Nobody reads it any more: nothing is left to do.
        if to.send(Ok(Bytes::from(std::mem::take(&mut text)))).await.is_err() || next.is_none() {
            return Ok(());
        }
        before = next;
    }
}

fn line(o: &AuditObject) -> String {
    let data = if o.data.is_null() { String::new() } else { o.data.to_string() };
    let fields = [
        o.id.to_string(),
        o.at.to_string(),
        o.actor.clone(),
        o.action.clone(),
        o.subject.clone(),
        o.address.clone().unwrap_or_default(),
        data,
    ];
    format!("{}\r\n", fields.map(|f| cell(&f)).join(","))
}
