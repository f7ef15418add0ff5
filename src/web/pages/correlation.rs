//! Settings of correlation: what holds, other settings tried on the last days, and set.

use std::time::Duration;

use askama::Template;
use axum::{
    extract::State,
    response::{IntoResponse, Redirect, Response},
};
use http::StatusCode;

use super::{
    ask::{Ask, Fields, Params, back},
    connector_forms::AdminForm,
    frame::{Frame, Section, counts_and_seq},
    said::Said,
    settings::tabs,
    text,
    ui::{self, Markup, When},
};
use crate::{
    config::{options::correlation_mode, parse_duration, show_duration},
    model::*,
    store::Policy,
    web::{
        api::{
            backtests::{NewBacktest, begin, find},
            correlation::{CorrelationObject, MOST_REOPEN, MOST_WINDOW, checked},
        },
        error::ApiError,
        state::AppState,
    },
};

const HERE: &str = "/settings/correlation";
/// Fields that can tell of a mistake themselves.
const FIELDS: [&str; 2] = ["/cluster_window_secs", "/reopen_within_secs"];
/// Choices of how far back.
const DAYS: [u32; 5] = [1, 3, 7, 14, 30];
/// Earlier backtests that are listed.
const LISTED: usize = 5;

/// A setting that can be tried.
struct Choice {
    name: &'static str,
    label: &'static str,
    help: String,
    value: String,
    default: &'static str,
    /// Where it is fixed.
    by: Option<String>,
    fixed: bool,
    wrong: Option<String>,
}

/// A line of the list of alerts.
struct Change {
    title: String,
    service: Option<String>,
    incident: Option<String>,
    apart: String,
    together: String,
}

/// A backtest as it is shown.
struct Shown {
    id: u64,
    state: BacktestState,
    asked: When,
    by: String,
    over: String,
    settings: String,
    fields: Vec<(&'static str, String)>,
    progress: Option<(u64, u64, Markup)>,
    error: Option<String>,
    figures: Vec<(&'static str, String, String)>,
    regrouped: String,
    changes: Vec<Change>,
    more: u64,
    holds: bool,
}

#[derive(Template)]
#[template(path = "pages/correlation.html")]
struct CorrelationPage {
    frame: Frame,
    tabs: Vec<(&'static str, &'static str, bool)>,
    error: Option<String>,
    facts: Vec<(&'static str, Markup)>,
    undo: Option<(When, String, String)>,
    mode: String,
    modes: Vec<(&'static str, &'static str)>,
    mode_fixed: bool,
    choices: Vec<Choice>,
    days: Vec<(u32, String)>,
    shown: Option<Shown>,
    earlier: Vec<(u64, String, When, bool)>,
}

fn mode_words(mode: CorrelationMode) -> &'static str {
    match mode {
        CorrelationMode::Weighted => "All evidence is weighed together",
        CorrelationMode::Any => "Any one rule is enough",
    }
}

fn secs(n: u32) -> String {
    show_duration(Duration::from_secs(u64::from(n)))
}

/// Settings in a line of words.
fn in_words(settings: &CorrelationSettings) -> String {
    let mut parts = Vec::new();
    parts.extend(settings.mode.map(|m| format!("mode {m}")));
    parts.extend(settings.cluster_window_secs.map(|n| format!("window {}", secs(n))));
    parts.extend(settings.reopen_within_secs.map(|n| format!("reopens within {}", secs(n))));
    if parts.is_empty() { "as configured".to_owned() } else { parts.join(", ") }
}

/// The settings as the fields of a form that sets them.
fn as_fields(settings: &CorrelationSettings) -> Vec<(&'static str, String)> {
    let mut fields = Vec::new();
    fields.extend(settings.mode.map(|m| ("mode", m.to_string())));
    fields.extend(settings.cluster_window_secs.map(|n| ("window", secs(n))));
    fields.extend(settings.reopen_within_secs.map(|n| ("reopen", secs(n))));
    fields
}

/// What a form says; what is fixed is not asked for, and what is as configured stays so when that changes.
fn of_fields(configured: &Policy, fields: &Fields) -> Result<CorrelationSettings, ApiError> {
    let free = |key: &str| !configured.fixed.contains(key);
    let mode = Some(fields.get("mode")).filter(|m| !m.is_empty() && free("correlation.mode"));
    let mode = mode.map(str::parse).transpose().map_err(|e: String| ApiError::invalid("/mode", e))?;
    let time = |name: &str, path: &str, key: &str| -> Result<Option<u32>, ApiError> {
        let text = Some(fields.get(name).trim()).filter(|t| !t.is_empty() && free(key));
        let read = text.map(parse_duration).transpose().map_err(|e| ApiError::invalid(path, e))?;
        Ok(read.map(|d| u32::try_from(d.as_secs()).unwrap_or(u32::MAX)))
    };
    let window = time("window", "/cluster_window_secs", "correlation.cluster_window")?;
    let reopen = time("reopen", "/reopen_within_secs", "correlation.reopen_within")?;
    let usual = CorrelationObject::of(configured, None);
    let settings = CorrelationSettings {
        mode: mode.filter(|m| *m != usual.mode),
        cluster_window_secs: window.filter(|n| *n != usual.cluster_window_secs),
        reopen_within_secs: reopen.filter(|n| *n != usual.reopen_within_secs),
    };
    checked(configured, settings)
}

fn facts(object: &CorrelationObject, now: Time) -> Vec<(&'static str, Markup)> {
    let set = object.set.as_ref().map(|s| s.settings).unwrap_or_default();
    let from = |key: &str, is_set: bool| match (object.fixed.iter().any(|f| f == key), is_set) {
        (true, _) => format!(" (fixed by the configuration, {key})"),
        (false, true) => " (set here)".to_owned(),
        (false, false) => String::new(),
    };
    let line = |value: String, key: &str, is_set: bool| ui::foreign(&format!("{value}{}", from(key, is_set)));
    let mut facts = vec![
        ("Mode", line(format!("{}: {}", object.mode, mode_words(object.mode)), "correlation.mode", set.mode.is_some())),
        (
            "Time window",
            line(secs(object.cluster_window_secs), "correlation.cluster_window", set.cluster_window_secs.is_some()),
        ),
        (
            "Reopens within",
            line(secs(object.reopen_within_secs), "correlation.reopen_within", set.reopen_within_secs.is_some()),
        ),
    ];
    if let Some(set) = &object.set {
        let by = ui::foreign(&set.by);
        facts.push(("Changed", Markup::joined(&[&When::ago(set.at, now), &" by ", &by])));
    }
    facts
}

fn company(count: u64, one: Option<&String>, what: &str) -> String {
    match (count, one) {
        (0, _) => String::new(),
        (1, Some(title)) => format!("{what} “{}”", text::shorten(&text::visible(title), 80)),
        (n, Some(title)) => {
            let others = ui::plural(n - 1, "other");
            format!("{what} “{}” and {others}", text::shorten(&text::visible(title), 80))
        }
        (n, None) => format!("{what} {}", ui::plural(n, "alert")),
    }
}

fn shown(state: &AppState, backtest: Backtest, holds: &CorrelationSettings, now: Time) -> Shown {
    let progress = state.backtests.progress(backtest.id).filter(|_| backtest.state == BacktestState::Running);
    let outcome = backtest.outcome.unwrap_or_default();
    let figures = [
        ("Incidents", outcome.now.incidents, outcome.then.incidents),
        ("With one alert", outcome.now.alone, outcome.then.alone),
        ("Alerts of the largest", outcome.now.largest, outcome.then.largest),
    ];
    let changes = outcome.changes.iter().map(|c| Change {
        title: text::shorten(&text::visible(&c.title), 160),
        service: c.service.as_deref().map(text::visible),
        incident: c.incident_id.map(|id| id.to_string()),
        apart: company(c.apart, c.apart_from.as_ref(), "no longer with"),
        together: company(c.together, c.together_with.as_ref(), "now with"),
    });
    let from = outcome.from.unwrap_or(backtest.since);
    Shown {
        id: backtest.id,
        state: backtest.state,
        asked: When::ago(backtest.at, now),
        by: text::visible(&backtest.by),
        over: format!(
            "{} webhooks with {} since {}",
            ui::count(outcome.deliveries),
            ui::plural(outcome.alerts, "alert"),
            super::time::full(from)
        ),
        settings: in_words(&backtest.settings),
        fields: as_fields(&backtest.settings),
        progress: progress.map(|(done, of)| (done, of, ui::bar(done as f64 / of.max(1) as f64, ""))),
        error: backtest.error.as_deref().map(text::visible),
        figures: figures.into_iter().map(|(name, a, b)| (name, ui::count(a), ui::count(b))).collect(),
        regrouped: ui::plural(outcome.regrouped, "alert"),
        more: outcome.regrouped.saturating_sub(outcome.changes.len() as u64),
        changes: changes.collect(),
        holds: backtest.settings == *holds,
    }
}

fn state_words(state: BacktestState) -> &'static str {
    match state {
        BacktestState::Running => "runs",
        BacktestState::Done => "done",
        BacktestState::Cancelled => "cancelled",
        BacktestState::BrokenOff => "broken off when the server stopped",
        BacktestState::Failed => "failed",
    }
}

/// What stands in the forms of a page that is drawn again.
#[derive(Default)]
struct Again {
    /// The field, and why not.
    error: Option<(String, String)>,
    typed: Option<Fields>,
    wanted: Option<u64>,
}

async fn draw(state: &AppState, ask: &Ask, again: Again) -> Result<Response, ApiError> {
    let now = ask.now;
    let wanted = again.wanted;
    let (overview, seq, set, newest, wanted) = state
        .store
        .read(move |view| {
            let (overview, seq) = counts_and_seq(view, now)?;
            let wanted = wanted.map(|id| view.backtest(id)).transpose()?.flatten();
            Ok((overview, seq, view.correlation()?, view.backtests(None, LISTED)?.items, wanted))
        })
        .await?;
    let configured = state.backtests.configured();
    let holds = set.as_ref().map(|s| s.settings).unwrap_or_default();
    let object = CorrelationObject::of(configured, set);
    let typed = again.typed.unwrap_or_default();
    let now_or = |name: &str, value: String| match typed.get(name) {
        "" => value,
        typed => text::visible(typed),
    };
    let given = |key: &str| {
        let shown = state.config.given.shown("correlation.").find(|s| s.option.key == key);
        shown.map_or(("", None), |s| (s.option.default.unwrap_or_default(), s.by.map(text::visible)))
    };
    let (window, reopen) = (given("correlation.cluster_window"), given("correlation.reopen_within"));
    let wrong_at = |path: &str| again.error.as_ref().filter(|(at, _)| at == path).map(|(_, why)| why.clone());
    let fixed = |key: &str| object.fixed.iter().any(|f| f == key);
    let choices = vec![
        Choice {
            name: "window",
            label: "Time window",
            help: format!(
                "In mode any, an alert that began so soon after an incident's start belongs to it; up to {}.",
                secs(MOST_WINDOW)
            ),
            default: window.0,
            by: window.1,
            wrong: wrong_at("/cluster_window_secs"),
            value: now_or("window", secs(object.cluster_window_secs)),
            fixed: fixed("correlation.cluster_window"),
        },
        Choice {
            name: "reopen",
            label: "Reopens within",
            help: format!(
                "An alert that fires again so soon after its end reopens its incident; up to {}.",
                secs(MOST_REOPEN)
            ),
            default: reopen.0,
            by: reopen.1,
            wrong: wrong_at("/reopen_within_secs"),
            value: now_or("reopen", secs(object.reopen_within_secs)),
            fixed: fixed("correlation.reopen_within"),
        },
    ];
    let modes = CorrelationMode::ALL.iter().filter(|m| correlation_mode(m.as_str()).is_ok());
    let undo = object.set.as_ref().filter(|s| s.previous != s.settings);
    let code = if again.error.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    let mut frame = ask.frame("Settings", Section::Settings, &overview, seq);
    frame.path = HERE.to_owned();
    let looked_at = wanted.or_else(|| newest.first().cloned());
    let here = looked_at.as_ref().map(|b| b.id);
    let page = CorrelationPage {
        frame,
        tabs: tabs(HERE),
        // What belongs to a field stands there.
        error: again.error.as_ref().filter(|(at, _)| !FIELDS.contains(&at.as_str())).map(|(_, why)| why.clone()),
        facts: facts(&object, now),
        undo: undo.map(|s| (When::ago(s.at, now), text::visible(&s.by), in_words(&s.previous))),
        mode: now_or("mode", object.mode.to_string()),
        modes: modes.map(|m| (m.as_str(), mode_words(*m))).collect(),
        mode_fixed: fixed("correlation.mode"),
        choices,
        days: DAYS.iter().map(|d| (*d, ui::plural(u64::from(*d), "day"))).collect(),
        shown: looked_at.map(|b| shown(state, b, &holds, now)),
        earlier: newest
            .iter()
            .map(|b| {
                let what = format!("{}: {}", in_words(&b.settings), state_words(b.state));
                (b.id, what, When::ago(b.at, now), Some(b.id) == here)
            })
            .collect(),
    };
    Ok(ask.page(code, &page))
}

/// `GET /settings/correlation`
pub async fn correlation(
    State(state): State<AppState>,
    ask: Ask,
    Params(params): Params,
) -> Result<Response, ApiError> {
    let wanted = params.get("backtest").parse().ok();
    draw(&state, &ask, Again { wanted, ..Again::default() }).await
}

/// The page again with why not.
async fn refused(state: &AppState, form: AdminForm, e: ApiError) -> Result<Response, ApiError> {
    if !e.status.is_client_error() {
        return Err(e);
    }
    let why = e.errors.first().map_or(&e.detail, |f| &f.message);
    let at = e.errors.first().map(|f| f.path.clone()).unwrap_or_default();
    let error = Some((at, text::capital(&format!("{}.", text::visible(why.trim_end_matches('.'))))));
    draw(state, &form.ask, Again { error, typed: Some(form.fields), wanted: None }).await
}

/// `POST /settings/correlation`
pub async fn set(State(state): State<AppState>, form: AdminForm) -> Result<Response, ApiError> {
    match of_fields(state.backtests.configured(), &form.fields) {
        Ok(settings) => {
            state.store.set_correlation(settings, form.actor).await?;
            Ok(back(HERE, Some(Said::new("saved"))))
        }
        Err(e) => refused(&state, form, e).await,
    }
}

/// `POST /settings/correlation/undo`
pub async fn undo(State(state): State<AppState>, form: AdminForm) -> Result<Response, ApiError> {
    if let Some(set) = state.store.read(|view| view.correlation()).await? {
        state.store.set_correlation(set.previous, form.actor).await?;
    }
    Ok(back(HERE, Some(Said::new("saved"))))
}

/// `POST /settings/correlation/try`
pub async fn attempt(State(state): State<AppState>, form: AdminForm) -> Result<Response, ApiError> {
    let begun = match of_fields(state.backtests.configured(), &form.fields) {
        Ok(settings) => {
            let new = NewBacktest { days: form.fields.get("days").parse().ok(), settings };
            begin(&state, new, form.actor.clone()).await
        }
        Err(e) => Err(e),
    };
    match begun {
        Ok(backtest) => Ok(Redirect::to(&format!("{HERE}?backtest={}#result", backtest.id)).into_response()),
        Err(e) => refused(&state, form, e).await,
    }
}

/// `POST /settings/correlation/cancel`
pub async fn cancel(State(state): State<AppState>, form: AdminForm) -> Result<Response, ApiError> {
    let backtest = find(&state, form.fields.get("backtest")).await?;
    state.backtests.cancel(backtest.id, form.actor).await?;
    Ok(Redirect::to(&format!("{HERE}?backtest={}#result", backtest.id)).into_response())
}
