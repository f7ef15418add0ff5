//! One action on many incidents, with an outcome for each.

use axum::{Json as Answer, extract::State};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::incident_id;
use crate::{
    model::*,
    store::{CommandError, IncidentPatch},
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
    /// Give them to `owner`, or to nobody.
    Assign,
    /// Make them one, all or none: the oldest of them goes on.
    Merge,
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
    /// Who gets them, for `assign`: a name or `me`; nobody when it is left out.
    #[serde(default)]
    owner: Option<String>,
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

/// Acknowledges, resolves or reopens many, or makes one of them.
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
        (None, Some(q)) => query::matching(&state, q, &who.identity.name(), state.clock.now(), MOST).await?,
        _ => return Err(ApiError::invalid("/incident_ids", "either `incident_ids` or `q` is needed")),
    };
    let mut results = Vec::with_capacity(ids.len());
    if bulk.action == Action::Merge {
        return merge(&state, ids, who.actor).await;
    }
    for id in ids {
        let actor = who.actor.clone();
        let done = match bulk.action {
            Action::Acknowledge => state.store.acknowledge(id, actor).await,
            Action::Assign => {
                let owner = bulk.owner.clone().map(|o| if o == "me" { who.identity.name() } else { o });
                let patch = IncidentPatch { owner: Some(owner), ..IncidentPatch::default() };
                state.store.patch_incident(id, patch, actor).await
            }
            Action::Resolve => state.store.resolve(id, bulk.reason.clone(), actor).await,
            Action::Reopen | Action::Merge => state.store.reopen(id, actor).await,
        };
        results.push(match done {
            Ok(incident) => Outcome { incident_id: id, outcome: "done", status: Some(incident.status), detail: None },
            // The rest would fail the same way.
            Err(CommandError::Store(e)) => return Err(e.into()),
            Err(e) => Outcome { incident_id: id, outcome: "refused", status: None, detail: Some(e.to_string()) },
        });
    }
    Ok(outcomes(results))
}

fn outcomes(results: Vec<Outcome>) -> Answer<Outcomes> {
    let done = results.iter().filter(|r| r.outcome == "done").count();
    Answer(Outcomes { done, refused: results.len() - done, results })
}

/// Merges all into the oldest of them.
async fn merge(state: &AppState, mut ids: Vec<IncidentId>, actor: Actor) -> Result<Answer<Outcomes>, ApiError> {
    ids.dedup();
    let Some(into) = ids.iter().min().copied().filter(|_| ids.len() > 1) else {
        return Err(ApiError::invalid("/incident_ids", "at least two incidents are needed to make one of them"));
    };
    let from = ids.iter().filter(|id| **id != into).copied().collect();
    let done = match state.store.merge_incidents(into, from, actor).await {
        Err(CommandError::Store(e)) => return Err(e.into()),
        done => done.map(|i| i.status).map_err(|e| e.to_string()),
    };
    let of = |id| match &done {
        Ok(survivor) => {
            let status = if id == into { *survivor } else { IncidentStatus::Merged };
            Outcome { incident_id: id, outcome: "done", status: Some(status), detail: None }
        }
        Err(why) => Outcome { incident_id: id, outcome: "refused", status: None, detail: Some(why.clone()) },
    };
    Ok(outcomes(ids.into_iter().map(of).collect()))
}
