//! Backtests of settings over the deliveries of the last days.

use axum::{Json as Answer, extract::State, http::StatusCode};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{correlation::checked, listing, params::Params};
use crate::{
    backtest::MOST_DAYS,
    model::*,
    web::{
        auth::{Admin, Viewer},
        error::ApiError,
        extract::{Json, Path},
        state::AppState,
    },
};

listing! {
    /// Backtests, newest first.
    BacktestList { backtests: BacktestObject }
}

/// A backtest, and how far it has come.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct BacktestObject {
    /// The backtest.
    #[serde(flatten)]
    pub backtest: Backtest,
    /// While it runs: deliveries played.
    pub played: Option<u64>,
    /// While it runs: of so many; 0 while they are counted.
    pub to_play: Option<u64>,
}

impl BacktestObject {
    /// With its progress.
    pub fn of(state: &AppState, backtest: Backtest) -> Self {
        let (played, to_play) = state.backtests.progress(backtest.id).unzip();
        Self { backtest, played, to_play }
    }
}

/// What to try.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
pub struct NewBacktest {
    /// Over the deliveries of so many days, 1 to 90; 7 when left out.
    #[serde(default)]
    pub days: Option<u32>,
    /// Settings to try; what is left out is as configured.
    #[serde(default)]
    pub settings: CorrelationSettings,
}

/// One backtest, or 404.
pub async fn find(state: &AppState, id: &str) -> Result<Backtest, ApiError> {
    let missing = || ApiError::not_found("such backtest");
    let id: u64 = id.parse().map_err(|_| missing())?;
    state.store.read(move |view| view.backtest(id)).await?.ok_or_else(missing)
}

/// Begins one, when it can be done.
pub async fn begin(state: &AppState, new: NewBacktest, actor: Actor) -> Result<Backtest, ApiError> {
    let days = new.days.unwrap_or(7);
    if !(1..=MOST_DAYS).contains(&days) {
        return Err(ApiError::invalid("/days", format!("1 to {MOST_DAYS} days are taken")));
    }
    let settings = checked(state.backtests.configured(), new.settings)?;
    Ok(state.backtests.begin(settings, days, state.clock.now(), actor).await?)
}

/// Backtests, newest first.
#[utoipa::path(get, path = "/api/backtests", tag = "correlation", operation_id = "backtests_list",
    params(("limit" = Option<usize>, Query), ("cursor" = Option<String>, Query)), responses((status = 200, body = BacktestList)))]
pub async fn list(_: Viewer, State(state): State<AppState>, params: Params) -> Result<Answer<BacktestList>, ApiError> {
    let (cursor, limit) = (params.cursor()?, params.limit()?);
    let page = state.store.read(move |view| view.backtests(cursor, limit)).await?;
    Ok(Answer(BacktestList::of(page, |b| BacktestObject::of(&state, b.clone()))))
}

/// Tries settings on stored deliveries, in the background. One at a time.
#[utoipa::path(post, path = "/api/backtests", tag = "correlation", operation_id = "backtest_begin", request_body = NewBacktest,
    responses((status = 202, body = BacktestObject), (status = 409, description = "another one runs, or the configuration fixes a setting")))]
pub async fn create(
    who: Admin,
    State(state): State<AppState>,
    Json(new): Json<NewBacktest>,
) -> Result<(StatusCode, Answer<BacktestObject>), ApiError> {
    let backtest = begin(&state, new, who.actor).await?;
    Ok((StatusCode::ACCEPTED, Answer(BacktestObject::of(&state, backtest))))
}

/// One backtest, with its outcome once it has ended.
#[utoipa::path(get, path = "/api/backtests/{id}", tag = "correlation", operation_id = "backtest_get",
    params(("id" = String, Path)), responses((status = 200, body = BacktestObject)))]
pub async fn get(
    _: Viewer,
    State(state): State<AppState>,
    Path(id): Path<String>,
) -> Result<Answer<BacktestObject>, ApiError> {
    let backtest = find(&state, &id).await?;
    Ok(Answer(BacktestObject::of(&state, backtest)))
}

/// Stops one that runs; one that has ended stays as it is.
#[utoipa::path(delete, path = "/api/backtests/{id}", tag = "correlation", operation_id = "backtest_cancel",
    params(("id" = String, Path)), responses((status = 200, body = BacktestObject)))]
pub async fn cancel(
    who: Admin,
    State(state): State<AppState>,
    Path(id): Path<String>,
) -> Result<Answer<BacktestObject>, ApiError> {
    let found = find(&state, &id).await?;
    state.backtests.cancel(found.id, who.actor).await?;
    let backtest = find(&state, &id).await?;
    Ok(Answer(BacktestObject::of(&state, backtest)))
}
