//! Sources that people declare: made, changed, tried and removed.

use std::collections::BTreeMap;

use axum::{
    Json as Answer,
    extract::State,
    http::{HeaderName, StatusCode, header},
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::{
    connector_object::declaration_errors,
    connectors::{ConnectorObject, described},
};
use crate::{
    connectors::{Explained, Finding, declared::Trial},
    ingest::sources::{SourceError, Specimen},
    model::*,
    web::{
        auth::{Admin, Client},
        error::{ApiError, FieldError},
        extract::{Json, Path},
        state::AppState,
    },
};

impl From<SourceError> for ApiError {
    fn from(e: SourceError) -> Self {
        let detail = e.to_string();
        match e {
            SourceError::Wrong(wrong) => {
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", detail).with_errors(declaration_errors(&wrong))
            }
            SourceError::Fixed(_) => Self::new(StatusCode::CONFLICT, "fixed_by_configuration", detail),
            SourceError::Exists(_) | SourceError::TooMany | SourceError::BuiltIn(_) => {
                Self::new(StatusCode::CONFLICT, "conflict", detail)
            }
            SourceError::NotFound(slug) => Self::not_found(format_args!("declared source `{slug}`")),
            SourceError::NoDelivery(id) => Self::not_found(format_args!("delivery {id}, or it is no longer kept")),
            SourceError::Failed => Self::internal(),
            SourceError::Command(e) => e.into(),
            SourceError::Store(e) => e.into(),
        }
    }
}

/// A declared source.
#[derive(Deserialize, ToSchema)]
pub struct NewSource {
    /// Its name in URLs: 2 to 40 characters of a-z, 0-9 and `-`.
    slug: String,
    /// How its bodies are read; an empty one reads them as the generic connector does.
    #[serde(default)]
    #[schema(value_type = Declaration)]
    declaration: Map<String, Value>,
}

/// A declaration as sent, with every name that it cannot have. A misspelt one would say nothing, without a word.
fn declaration(sent: Map<String, Value>) -> Result<Declaration, ApiError> {
    const OTHERS: [&str; 5] = ["body", "resolved", "severities", "quiet_after_secs", "sample"];
    let known: Vec<&str> = DeclaredField::ALL.iter().map(|f| f.as_str()).chain(OTHERS).collect();
    let unknown: Vec<FieldError> = sent
        .keys()
        .filter(|name| !known.contains(&name.as_str()))
        .map(|name| {
            let shown: String = name.chars().take(60).collect();
            FieldError::new(format!("/{shown}"), format!("unknown field; there are {}", known.join(", ")))
        })
        .collect();
    if !unknown.is_empty() {
        let detail = "the declaration has fields that there are not";
        return Err(ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", detail).with_errors(unknown));
    }
    serde_path_to_error::deserialize(Value::Object(sent))
        .map_err(|e| ApiError::invalid(format!("/{}", e.path()), e.inner().to_string()))
}

/// Declares a source. It has a key of its own, and is a connector like any other from now on.
#[utoipa::path(post, path = "/api/connectors", tag = "connectors", operation_id = "connector_declare", request_body = NewSource,
    responses((status = 201, body = ConnectorObject), (status = 409, description = "the name is taken"), (status = 422, description = "the declaration does not work; every reason")))]
pub async fn create(
    who: Admin,
    State(state): State<AppState>,
    client: Client,
    Json(new): Json<NewSource>,
) -> Result<(StatusCode, [(HeaderName, String); 1], Answer<ConnectorObject>), ApiError> {
    state.door().add_source(&new.slug, declaration(new.declaration)?, who.actor).await?;
    let location = [(header::LOCATION, format!("/api/connectors/{}", new.slug))];
    Ok((StatusCode::CREATED, location, Answer(described(&state, &new.slug, &client).await?)))
}

/// Changes how a declared source is read. Deliveries stay; those that are parsed again are read by the new declaration.
#[utoipa::path(put, path = "/api/connectors/{platform}/declaration", tag = "connectors", operation_id = "connector_redeclare", request_body = Declaration,
    params(("platform" = String, Path)), responses((status = 200, body = ConnectorObject), (status = 409, description = "built in, or fixed by the configuration")))]
pub async fn change(
    who: Admin,
    State(state): State<AppState>,
    client: Client,
    Path(platform): Path<String>,
    Json(sent): Json<Map<String, Value>>,
) -> Result<Answer<ConnectorObject>, ApiError> {
    state.door().change_source(&platform, declaration(sent)?, who.actor).await?;
    Ok(Answer(described(&state, &platform, &client).await?))
}

/// Removes a declared source with its key. Its deliveries, alerts and incidents stay.
#[utoipa::path(delete, path = "/api/connectors/{platform}", tag = "connectors", operation_id = "connector_remove",
    params(("platform" = String, Path)), responses((status = 204), (status = 409, description = "built in, or fixed by the configuration")))]
pub async fn remove(
    who: Admin,
    State(state): State<AppState>,
    Path(platform): Path<String>,
) -> Result<StatusCode, ApiError> {
    state.door().remove_source(&platform, who.actor).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// What to try, and on what.
#[derive(Deserialize, ToSchema)]
pub struct Attempt {
    /// The declaration; left out: the one in use.
    #[serde(default)]
    #[schema(value_type = Option<Declaration>)]
    declaration: Option<Map<String, Value>>,
    /// A stored delivery, of any connector.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    delivery_id: Option<DeliveryId>,
    /// A body instead: a text as it was sent, or the JSON itself.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    body: Option<Value>,
}

/// One alert as it would be.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct TriedAlert {
    path: String,
    status: SignalStatus,
    severity: Severity,
    severity_raw: Option<String>,
    title: String,
    description: Option<String>,
    dedup_key: String,
    /// What makes it the same alert again.
    identity: String,
    service: Option<String>,
    host: Option<String>,
    environment: Option<String>,
    started_at: Option<Time>,
    ended_at: Option<Time>,
    url: Option<String>,
    labels: BTreeMap<String, String>,
    quiet_after_secs: Option<u32>,
}

/// How one field of an alert was found.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct FoundField {
    field: &'static str,
    value: Option<String>,
    /// Where in the body it stood, as JSON pointers.
    from: Option<String>,
    why: String,
}

/// How one alert was read.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct FoundFields {
    path: String,
    fields: Vec<FoundField>,
}

impl From<Explained> for FoundFields {
    fn from(e: Explained) -> Self {
        let fields =
            e.findings.into_iter().map(|Finding { field, value, from, why }| FoundField { field, value, from, why });
        Self { path: e.path, fields: fields.collect() }
    }
}

/// What a declaration would make of a body. Nothing was stored.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Tried {
    /// Whether it would be understood.
    understood: bool,
    /// Why not.
    problem: Option<Problem>,
    /// What it would say, the first hundred alerts.
    alerts: Vec<TriedAlert>,
    /// How many alerts there are.
    total: usize,
    /// Fields of the declaration that give nothing, or cannot be used.
    warnings: Vec<String>,
    /// Of the first alerts: what each field resolved to, from where, and why.
    explained: Vec<FoundFields>,
}

/// Alerts in one answer.
const SHOWN: usize = 100;

impl From<Trial> for Tried {
    fn from(trial: Trial) -> Self {
        let (signals, problem) = match trial.parsed {
            Ok(parsed) => (parsed.signals, None),
            Err(problem) => (Vec::new(), Some(problem)),
        };
        let total = signals.len();
        let alerts = signals.into_iter().take(SHOWN).map(|s| TriedAlert {
            path: s.path,
            status: s.status,
            severity: s.severity,
            severity_raw: s.severity_raw,
            title: s.title,
            description: s.description,
            dedup_key: s.dedup_key,
            identity: s.identity.rule,
            service: s.service,
            host: s.host,
            environment: s.environment,
            started_at: s.started_at,
            ended_at: s.ended_at,
            url: s.url,
            labels: s.labels,
            quiet_after_secs: s.quiet_after_secs,
        });
        Self {
            understood: problem.is_none(),
            problem,
            alerts: alerts.collect(),
            total,
            warnings: trial.warnings,
            explained: trial.explained.into_iter().map(Into::into).collect(),
        }
    }
}

/// Tries a declaration on a stored delivery or a body. Nothing is stored, and nothing comes of it; the source need not be
/// there yet.
#[utoipa::path(post, path = "/api/connectors/{platform}/try", tag = "connectors", operation_id = "connector_try", request_body = Attempt,
    params(("platform" = String, Path)), responses((status = 200, body = Tried), (status = 422, description = "the declaration does not work; every reason")))]
pub async fn attempt(
    _: Admin,
    State(state): State<AppState>,
    Path(platform): Path<String>,
    Json(attempt): Json<Attempt>,
) -> Result<Answer<Tried>, ApiError> {
    let door = state.door();
    let declaration = match attempt.declaration {
        Some(sent) => declaration(sent)?,
        None => match door.memory.registry.find(&platform).as_ref().and_then(|c| c.declared()) {
            Some(declared) => declared.declaration().clone(),
            None => return Err(SourceError::NotFound(platform).into()),
        },
    };
    let specimen = match (attempt.delivery_id, attempt.body) {
        (Some(id), None) => Specimen::Delivery(id),
        (None, Some(Value::String(text))) => Specimen::Body(text.into_bytes()),
        (None, Some(json)) => Specimen::Body(json.to_string().into_bytes()),
        (Some(_), Some(_)) => return Err(ApiError::invalid("/body", "give one of `delivery_id` and `body`, not both")),
        (None, None) => return Err(ApiError::invalid("/body", "give a `delivery_id`, or a `body` to try it on")),
    };
    Ok(Answer(door.try_source(&platform, declaration, specimen).await?.into()))
}
