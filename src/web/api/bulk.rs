//! One action on many incidents, with an outcome for each.

use axum::{Json as Answer, extract::State};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::incident_id;
use crate::{
    model::*,
    store::{CommandError, IncidentFilter},
    web::{auth::Responder, error::ApiError, extract::Json, query, state::AppState},
};

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Take them.
    Acknowledge,
    /// End them.
    Resolve,
    /// Open them again.
    Reopen,
}

/// One action on many.
#[derive(Debug, Deserialize, ToSchema)]
pub struct Bulk {
    /// What.
    action: Action,
    /// On these; or give `q`.
    #[serde(default)]
    incident_ids: Option<Vec<String>>,
    /// On all that match, at most 1000.
    #[serde(default)]
    q: Option<String>,
    /// Why it is over, for `resolve`.
    #[serde(default)]
    reason: Option<String>,
}

/// What became of one.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Outcome {
    /// Which.
    incident_id: IncidentId,
    /// `done` or `refused`.
    outcome: &'static str,
    /// Its status now, when done.
    status: Option<IncidentStatus>,
    /// Why not, when refused.
    detail: Option<String>,
}

/// What became of each.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Outcomes {
    /// In the order asked for.
    results: Vec<Outcome>,
    /// How many were done.
    done: usize,
    /// How many were refused.
    refused: usize,
}

const MOST: usize = 1000;

/// Acknowledges, resolves or reopens many.
#[utoipa::path(post, path = "/api/incidents/bulk", tag = "incidents", operation_id = "incidents_bulk", request_body = Bulk,
    responses((status = 200, body = Outcomes)))]
pub async fn bulk(
    who: Responder,
    State(state): State<AppState>,
    Json(bulk): Json<Bulk>,
) -> Result<Answer<Outcomes>, ApiError> {
    let ids = match (&bulk.incident_ids, &bulk.q) {
        (Some(ids), None) if ids.len() > MOST => {
            return Err(ApiError::invalid("/incident_ids", format!("at most {MOST} at once")));
        }
        (Some(ids), None) => ids.iter().map(|id| incident_id(id)).collect::<Result<Vec<_>, _>>()?,
        (None, Some(q)) => {
            let mut filter = IncidentFilter::default();
            query::incidents(q, state.clock.now(), Some(&who.identity.name()), &mut filter)?;
            let search = state.search.clone();
            let found = state.store.read(move |view| search.incidents(view, &filter, None, MOST)).await?;
            found.items.into_iter().map(|i| i.id).collect()
        }
        _ => return Err(ApiError::invalid("/incident_ids", "either `incident_ids` or `q` is needed")),
    };
    let mut results = Vec::with_capacity(ids.len());
    for id in ids {
        let actor = who.actor.clone();
        let done = match bulk.action {
            Action::Acknowledge => state.store.acknowledge(id, actor).await,
            Action::Resolve => state.store.resolve(id, bulk.reason.clone(), actor).await,
            Action::Reopen => state.store.reopen(id, actor).await,
        };
        results.push(match done {
            Ok(incident) => Outcome { incident_id: id, outcome: "done", status: Some(incident.status), detail: None },
            // The rest would fail the same way.
            Err(CommandError::Store(e)) => return Err(e.into()),
            Err(e) => Outcome { incident_id: id, outcome: "refused", status: None, detail: Some(e.to_string()) },
        });
    }
    let done = results.iter().filter(|r| r.outcome == "done").count();
    Ok(Answer(Outcomes { done, refused: results.len() - done, results }))
}
