//! Queries of lists as the web room takes them: mistakes as problems, and parameters with fixed words.

use std::str::FromStr;

pub use crate::query::{Asker, QueryError, alerts, incidents, time};
use crate::{
    model::{IncidentId, Time},
    store::IncidentFilter,
    web::{
        error::{ApiError, FieldError},
        state::AppState,
    },
};

/// The newest incidents that a query shows, for an action on all of them.
pub async fn matching(
    state: &AppState,
    q: &str,
    me: &str,
    now: Time,
    most: usize,
) -> Result<Vec<IncidentId>, ApiError> {
    let mut filter = IncidentFilter::default();
    incidents(q, Asker { now, me: Some(me) }, &mut filter)?;
    let search = state.search.clone();
    let found = state.store.read(move |view| search.incidents(view, &filter, None, most)).await?;
    Ok(found.items.into_iter().map(|i| i.id).collect())
}

impl From<QueryError> for ApiError {
    fn from(e: QueryError) -> Self {
        let mut errors = vec![FieldError::new(format!("q, character {}", e.at + 1), e.message.clone())];
        errors.extend(e.allowed.into_iter().map(|value| FieldError::new("allowed", value)));
        errors.extend(e.meant.map(|meant| FieldError::new("did_you_mean", meant.query)));
        Self::bad_request("invalid_query", format!("`{}`: {}", e.term, e.message)).with_errors(errors)
    }
}

/// The values of a repeated or comma-separated parameter, read as one of fixed words.
pub fn values<T: FromStr<Err = String>>(name: &'static str, given: &[String]) -> Result<Vec<T>, ApiError> {
    let each = given.iter().flat_map(|g| g.split(',')).map(str::trim).filter(|v| !v.is_empty());
    each.map(|v| {
        v.to_ascii_lowercase().parse().map_err(|e: String| {
            ApiError::bad_request("invalid_query", format!("{name}: {e}")).with_errors(vec![FieldError::new(name, e)])
        })
    })
    .collect()
}
