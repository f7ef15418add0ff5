//! An incident that nobody's tool has told of: declared by a person.

use askama::Template;
use axum::{extract::State, response::Response};
use http::StatusCode;
use serde_json::{Map, Value};

use super::{
    act::Form,
    ask::{Ask, Fields, back},
    frame::{Frame, Section, counts_and_seq},
    said::Said,
    ui,
};
use crate::{
    ingest::declare::NewIncident,
    model::*,
    web::{auth::secret, error::ApiError, prefer, state::AppState},
};

/// What was typed, and what is wrong with it.
#[derive(Debug, Template)]
#[template(path = "pages/declare.html")]
struct DeclarePage {
    frame: Frame,
    title: String,
    service: String,
    severity: String,
    description: String,
    wrong: Vec<String>,
}

async fn page(state: &AppState, ask: &Ask, fields: &Fields, wrong: Vec<String>) -> Result<Response, ApiError> {
    let now = ask.now;
    let (overview, seq) = state.store.read(move |view| counts_and_seq(view, now)).await?;
    let status = if wrong.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    let severity = match fields.get("severity") {
        "" => Severity::High.as_str(),
        given => given,
    };
    let page = DeclarePage {
        frame: ask.frame("Declare incident", Section::Incidents, &overview, seq),
        title: fields.get("title").to_owned(),
        service: fields.get("service").to_owned(),
        severity: severity.to_owned(),
        description: fields.get("description").to_owned(),
        wrong,
    };
    Ok(ask.page(status, &page))
}

/// `GET /incidents/new`
pub async fn new(State(state): State<AppState>, ask: Ask) -> Result<Response, ApiError> {
    page(&state, &ask, &Fields::default(), Vec::new()).await
}

/// `POST /incidents/new`
pub async fn make(State(state): State<AppState>, form: Form) -> Result<Response, ApiError> {
    let Form { ask, actor, fields } = form;
    let text = |name: &str| Some(fields.get(name).trim().to_owned()).filter(|t| !t.is_empty());
    let said = text("description").map(|d| Map::from_iter([("description".to_owned(), Value::from(d))]));
    let new = NewIncident {
        alert_title: text("title"),
        alert_service: text("service"),
        severity: text("severity"),
        alert_metadata: said,
        ..NewIncident::default()
    };
    let unique = secret::random::<16>().map_err(|_| ApiError::internal())?;
    let signal = match new.signal(&unique, &actor) {
        Ok(signal) => signal,
        Err(wrong) => {
            let name = |path: &str| path.trim_start_matches("/alert_").trim_start_matches('/').to_owned();
            let wrong = wrong.into_iter().map(|(path, what)| format!("{}: {what}.", name(path))).collect();
            return page(&state, &ask, &fields, wrong).await;
        }
    };
    let body = serde_json::json!({"title": new.alert_title, "service": new.alert_service, "severity": new.severity,
        "description": fields.get("description"), "declared_by": actor.to_string()});
    let parsed = Parsed { signals: vec![signal], ..Parsed::default() };
    let stored = state.door().declare("manual", parsed, body.to_string().into_bytes(), None, &actor).await?;
    state.shared.metrics.delivery("manual", "accepted");
    let applied = crate::web::applied(&state, stored.seq, prefer::LONGEST).await?;
    let to = match applied.and_then(|a| a.first().and_then(|a| a.incident_id)) {
        Some(id) => format!("/incidents/{id}"),
        // Stored, and not applied yet: it appears in the list by itself.
        None => "/incidents".to_owned(),
    };
    Ok(back(&to, Some(Said::new("declared"))))
}
