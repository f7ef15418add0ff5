//! How many incidents or alerts a query finds of each value.

use std::collections::BTreeMap;

use axum::{Json as Answer, extract::State};
use serde::Serialize;
use utoipa::ToSchema;

use super::params::{Params, wrong};
use crate::{
    store::{AlertFilter, IncidentFilter},
    web::{auth::Viewer, error::ApiError, query, state::AppState},
};

/// Counts by value. What a query asks of a field says nothing about what else there is of it: `severity:high` leaves the
/// counts of other severities as they are.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Facets {
    /// As `severity:high`. Of incidents: status, severity, source, service, owner; of alerts: status, severity, source,
    /// `incident:any` and `incident:none`.
    counts: BTreeMap<String, u64>,
    /// Whether all was counted.
    counts_are_exact: bool,
}

/// How many there are of each status, severity, source and so on. Of incidents as fresh as the text index, which may be a
/// second behind; of alerts among the newest 10,000.
#[utoipa::path(get, path = "/api/facets", tag = "incidents", operation_id = "facets",
    params(("of" = Option<String>, Query, description = "incidents, when left out, or alerts"),
        ("q" = Option<String>, Query, description = "the query of the list")),
    responses((status = 200, body = Facets)))]
pub async fn facets(who: Viewer, State(state): State<AppState>, params: Params) -> Result<Answer<Facets>, ApiError> {
    let (q, me) = (params.one("q").unwrap_or_default(), who.identity.name());
    let asker = query::Asker { now: state.clock.now(), me: Some(&me) };
    let search = state.search.clone();
    match params.one("of").unwrap_or("incidents") {
        "incidents" => {
            let mut filter = IncidentFilter::default();
            query::incidents(q, asker, &mut filter)?;
            let counts = state.store.read(move |_| Ok(search.facets(&filter))).await?.map_err(|e| {
                tracing::warn!(error = %e, "facets were not counted");
                ApiError::internal()
            })?;
            Ok(Answer(Facets { counts: counts.by, counts_are_exact: !counts.about }))
        }
        "alerts" => {
            let mut filter = AlertFilter::default();
            query::alerts(q, asker, &mut filter)?;
            let counts = state.store.read(move |view| search.alert_counts(view, &filter)).await?;
            Ok(Answer(Facets { counts: counts.by, counts_are_exact: counts.looked_through.is_none() }))
        }
        _ => Err(wrong("of", "incidents or alerts is needed")),
    }
}
