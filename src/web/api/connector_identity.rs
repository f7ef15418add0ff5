//! What makes a connector's alerts the same: tried before it is saved.

use axum::{Json as Answer, extract::State};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    ingest::identity::{MOST, Regroup, Told, Trial},
    model::IdentityField,
    web::{
        auth::Admin,
        error::ApiError,
        extract::{Json, Path},
        state::AppState,
    },
};

/// Deliveries looked at when nothing is said.
pub const LAST: usize = 200;

/// What to try, and on how much.
#[derive(Deserialize, ToSchema)]
pub struct IdentityAttempt {
    /// Ordered: `service`, `host`, `title`, `severity`, `environment`, `labels.NAME`, `annotations.NAME`. Empty for the
    /// connector's own rule.
    fields: Vec<String>,
    /// How many of its last deliveries, 1 to 1000; 200 when left out.
    #[serde(default)]
    last: Option<usize>,
}

/// Reads fields as they are written, with every mistake at its place.
pub fn identity_fields(texts: &[String], path: &str) -> Result<Vec<IdentityField>, ApiError> {
    let mut fields = Vec::with_capacity(texts.len().min(IdentityField::MOST));
    for (n, text) in texts.iter().enumerate().take(IdentityField::MOST + 1) {
        fields.push(text.parse().map_err(|why: String| ApiError::invalid(format!("{path}/{n}"), why))?);
    }
    match IdentityField::mistake(&fields) {
        Some(why) => Err(ApiError::invalid(path, why)),
        None => Ok(fields),
    }
}

/// One alert.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct TriedIdentity {
    /// Its key.
    dedup_key: String,
    /// One line.
    title: String,
}

impl From<Told> for TriedIdentity {
    fn from(t: Told) -> Self {
        Self { dedup_key: t.key, title: t.title }
    }
}

/// One alert by one rule that is several by the other.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct RegroupedAlerts {
    /// The one.
    one: TriedIdentity,
    /// The several, the first five.
    several: Vec<TriedIdentity>,
    /// How many they are.
    count: usize,
}

impl From<Regroup> for RegroupedAlerts {
    fn from(r: Regroup) -> Self {
        Self { one: r.one.into(), several: r.several.into_iter().map(Into::into).collect(), count: r.count }
    }
}

/// A field, and how often something is true of it.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct FieldCount {
    /// The field.
    field: String,
    /// How often.
    count: usize,
}

/// What the fields would have made of the last deliveries. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct IdentityTried {
    /// What was tried.
    fields: Vec<String>,
    /// Deliveries looked at.
    deliveries: usize,
    /// Signals in them, without tests.
    signals: usize,
    /// Alerts by the rule in use.
    alerts_now: usize,
    /// Alerts by these fields.
    alerts_then: usize,
    /// Alerts that would fall together, at most 50 examples, the largest first: `one` is by these fields.
    together: Vec<RegroupedAlerts>,
    /// How many such groups there are.
    together_total: usize,
    /// Alerts that would fall apart, at most 50 examples, the largest first: `one` is by the rule in use.
    apart: Vec<RegroupedAlerts>,
    /// How many there are.
    apart_total: usize,
    /// Fields that say nothing, and in how many signals.
    missing: Vec<FieldCount>,
    /// Fields that are another at the end than at the beginning, and for how many ends.
    differing: Vec<FieldCount>,
    /// Ends that have a beginning among these deliveries.
    ends: usize,
    /// Ends that would no longer meet their beginning.
    lost_ends: usize,
    /// Ends that would end an alert while something else that it stands for still burns.
    early_ends: usize,
    /// The same in sentences: what to know before it is saved.
    warnings: Vec<String>,
}

impl IdentityTried {
    /// Of what was found.
    pub fn of(fields: &[IdentityField], trial: Trial) -> Self {
        let warnings = trial.warnings();
        let counts = |all: Vec<(IdentityField, usize)>| {
            all.into_iter().map(|(field, count)| FieldCount { field: field.to_string(), count }).collect()
        };
        let groups = |all: Vec<Regroup>| all.into_iter().map(Into::into).collect();
        Self {
            fields: fields.iter().map(ToString::to_string).collect(),
            deliveries: trial.deliveries,
            signals: trial.signals,
            alerts_now: trial.alerts_now,
            alerts_then: trial.alerts_then,
            together: groups(trial.together),
            together_total: trial.together_total,
            apart: groups(trial.apart),
            apart_total: trial.apart_total,
            missing: counts(trial.missing),
            differing: counts(trial.differing),
            ends: trial.ends,
            lost_ends: trial.lost_ends,
            early_ends: trial.early_ends,
            warnings,
        }
    }
}

/// Tries what makes a connector's alerts the same on its last deliveries: which alerts would fall together or apart, which
/// fields say nothing, and which ends would not meet their beginning. Nothing changes.
#[utoipa::path(post, path = "/api/connectors/{platform}/identity/try", tag = "connectors", operation_id = "connector_identity_try",
    request_body = IdentityAttempt, params(("platform" = String, Path)),
    responses((status = 200, body = IdentityTried), (status = 422, description = "a field that there is not, or too many")))]
pub async fn attempt(
    _: Admin,
    State(state): State<AppState>,
    Path(platform): Path<String>,
    Json(attempt): Json<IdentityAttempt>,
) -> Result<Answer<IdentityTried>, ApiError> {
    super::connectors::known(&state, &platform)?;
    let fields = identity_fields(&attempt.fields, "/fields")?;
    let last = attempt.last.unwrap_or(LAST);
    if !(1..=MOST).contains(&last) {
        return Err(ApiError::invalid("/last", format!("1 to {MOST} deliveries are looked at")));
    }
    let trial = state.door().try_identity(&platform, fields.clone(), last).await?;
    Ok(Answer(IdentityTried::of(&fields, trial)))
}
