//! The order of the rules, their switch, their end.

use axum::{
    extract::{Path, State},
    response::Response,
};

use super::{
    HERE,
    channels::{draw, ordered},
    named,
};
use crate::{
    model::*,
    store::CommandError,
    web::{
        error::ApiError,
        pages::{ask::back, connector_forms::AdminForm, said::Said},
        state::AppState,
    },
};

async fn all(state: &AppState) -> Result<Vec<NoticeRule>, ApiError> {
    let telling = state.store.read(|view| view.telling()).await?;
    Ok(ordered(telling.rules()).into_iter().cloned().collect())
}

/// `POST /settings/notifications/rules/{id}/move`: one place `up` or `down`.
pub async fn move_it(
    State(state): State<AppState>,
    Path(id): Path<String>,
    form: AdminForm,
) -> Result<Response, ApiError> {
    let id: RuleId = named("rule", &id)?;
    let mut rules = all(&state).await?;
    let at = rules.iter().position(|r| r.id == id).ok_or_else(|| ApiError::not_found(format_args!("rule {id}")))?;
    let to = if form.fields.get("to") == "up" { at.checked_sub(1) } else { Some(at + 1) };
    if let Some(to) = to.filter(|to| *to < rules.len()) {
        rules.swap(at, to);
    }
    // Rules that were made elsewhere may have the same place; afterwards each has its own.
    for (n, rule) in rules.into_iter().enumerate() {
        let position = u32::try_from(n + 1).unwrap_or(u32::MAX);
        if rule.position != position || rule.id == id {
            let moved = NoticeRule { position, ..rule };
            state.store.put_notice_rule(Some(moved.id), moved, form.actor.clone()).await?;
        }
    }
    Ok(back(&format!("{HERE}#rules"), Some(Said::new("rule-moved"))))
}

/// `POST /settings/notifications/rules/{id}/switch`
pub async fn switch(
    State(state): State<AppState>,
    Path(id): Path<String>,
    form: AdminForm,
) -> Result<Response, ApiError> {
    let id: RuleId = named("rule", &id)?;
    let found = all(&state).await?.into_iter().find(|r| r.id == id);
    let rule = found.ok_or_else(|| ApiError::not_found(format_args!("rule {id}")))?;
    let enabled = form.fields.get("enabled") == "on";
    match state.store.put_notice_rule(Some(id), NoticeRule { enabled, ..rule }, form.actor).await {
        Ok(_) => Ok(back(&format!("{HERE}#rules"), Some(Said::new(if enabled { "rule-on" } else { "rule-off" })))),
        // It was right once; what it names may be gone.
        Err(CommandError::Mistakes(wrong)) => draw(&state, &form.ask, wrong.into_iter().next().map(|m| m.what)).await,
        Err(e) => Err(e.into()),
    }
}

/// `POST /settings/notifications/rules/{id}/remove`
pub async fn remove(
    State(state): State<AppState>,
    Path(id): Path<String>,
    form: AdminForm,
) -> Result<Response, ApiError> {
    state.store.remove_notice_rule(named("rule", &id)?, form.actor).await?;
    Ok(back(HERE, Some(Said::new("rule-gone"))))
}
