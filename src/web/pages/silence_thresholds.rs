//! Grouping thresholds: the list, and the form with a preview.

use askama::Template;
use axum::{
    extract::{Path, State},
    response::Response,
};
use http::StatusCode;

use super::{
    act::Form,
    ask::{Ask, Fields, Params, back},
    frame::{Frame, Section, counts_and_seq},
    said::Said,
    silence_form::{Caught, Line, Shown, Wrong, lines_of, matchers_of, prefilled, shown, wrong_of},
    silences::MutedAlert,
    text,
    ui::{self, Markup},
};
use crate::{
    model::*,
    store::{CommandError, NewThreshold, ThresholdPatch},
    web::{
        auth::{Responder, Viewer},
        error::ApiError,
        state::AppState,
    },
};

/// Alerts shown that wait.
const WAITING: usize = 50;

/// One in the list.
#[derive(Debug)]
pub struct Row {
    id: ThresholdId,
    reason: Markup,
    author: Markup,
    matchers: Vec<String>,
    opens: String,
    progress: String,
    counts: String,
    incident: Option<IncidentId>,
}

/// `5 alerts or 3 hosts within 10 min`.
fn opens(t: &Threshold) -> String {
    let different = match t.distinct_by {
        DistinctBy::Fingerprint => "different ones",
        DistinctBy::Host => "hosts",
    };
    let parts: Vec<String> = [t.count.map(|n| format!("{n} alerts")), t.distinct.map(|k| format!("{k} {different}"))]
        .into_iter()
        .flatten()
        .collect();
    format!("{} within {}\u{a0}min", parts.join(" or "), t.within_minutes)
}

impl Row {
    fn new(t: &Threshold, progress: String) -> Self {
        Self {
            id: t.id,
            reason: ui::foreign(&text::shorten(&t.reason, 160)),
            author: ui::foreign(&t.author),
            matchers: t.matchers.iter().map(|m| text::visible(&text::shorten(&m.to_string(), 120))).collect(),
            opens: opens(t),
            progress,
            counts: format!(
                "reached {}, {} waited, {} in vain",
                ui::plural(t.reached, "time"),
                ui::count(t.held),
                ui::count(t.passed)
            ),
            incident: t.incident,
        }
    }
}

/// The list.
#[derive(Debug, Template)]
#[template(path = "pages/thresholds.html")]
pub struct ListPage {
    frame: Frame,
    rows: Vec<Row>,
}

/// `GET /silences/thresholds`
pub async fn list(State(state): State<AppState>, _: Viewer, ask: Ask) -> Result<Response, ApiError> {
    let now = ask.now;
    let (overview, seq, rows) = state
        .store
        .read(move |view| {
            let (overview, seq) = counts_and_seq(view, now)?;
            let mut rows = Vec::new();
            for t in view.thresholds()? {
                let progress = view.threshold_progress(t.id, now)?.unwrap_or_default();
                rows.push(Row::new(&t, progress));
            }
            Ok((overview, seq, rows))
        })
        .await?;
    let frame = ask.frame("Thresholds", Section::Alerts, &overview, seq);
    Ok(ask.page(StatusCode::OK, &ListPage { frame, rows }))
}

/// What was typed.
#[derive(Clone, Debug, Default)]
struct Typed {
    lines: Vec<Line>,
    count: String,
    distinct: String,
    by_host: bool,
    within: String,
    reason: String,
}

impl Typed {
    fn of_form(f: &Fields) -> Self {
        Self {
            lines: lines_of(f),
            count: f.get("count").trim().to_owned(),
            distinct: f.get("distinct").trim().to_owned(),
            by_host: f.get("by") == "host",
            within: f.get("within").trim().to_owned(),
            reason: f.get("reason").to_owned(),
        }
    }

    fn of(t: &Threshold) -> Self {
        let number = |n: Option<u32>| n.map(|n| n.to_string()).unwrap_or_default();
        Self {
            lines: t.matchers.iter().map(Line::of).collect(),
            count: number(t.count),
            distinct: number(t.distinct),
            by_host: t.distinct_by == DistinctBy::Host,
            within: t.within_minutes.to_string(),
            reason: t.reason.clone(),
        }
    }

    fn read(&self) -> Result<NewThreshold, Vec<Mistake>> {
        let mut wrong = Vec::new();
        let mut number = |path: &str, text: &str| -> Option<u32> {
            let read = text.parse().ok();
            if read.is_none() && !text.is_empty() {
                wrong.push(Mistake::new(path, format!("`{}` is no whole number", text::shorten(text, 20))));
            }
            read
        };
        let (count, distinct) = (number("/count", &self.count), number("/distinct", &self.distinct));
        let within_minutes = number("/within_minutes", &self.within).unwrap_or(0);
        let distinct_by = if self.by_host { DistinctBy::Host } else { DistinctBy::Fingerprint };
        let (matchers, reason) = (matchers_of(&self.lines), self.reason.clone());
        let new = NewThreshold { matchers, count, distinct, distinct_by, within_minutes, reason };
        if wrong.is_empty() { Ok(new) } else { Err(wrong) }
    }
}

/// The form.
#[derive(Debug, Template)]
#[template(path = "pages/threshold.html")]
pub struct FormPage {
    frame: Frame,
    row: Option<Row>,
    action: String,
    typed: Typed,
    lines: Vec<Shown>,
    errors: Vec<Wrong>,
    caught: Option<Caught>,
    waiting: Vec<MutedAlert>,
}

impl FormPage {
    fn wrong(&self, anchor: &str) -> bool {
        self.errors.iter().any(|e| e.anchor == anchor)
    }
}

async fn draw(
    state: &AppState,
    ask: &Ask,
    id: Option<ThresholdId>,
    mut typed: Typed,
    mut wrong: Vec<Mistake>,
) -> Result<Response, ApiError> {
    let now = ask.now;
    let matchers = Some(matchers_of(&typed.lines)).filter(|m| !m.is_empty());
    let (overview, seq, preview, known) = state
        .store
        .read(move |view| {
            let (overview, seq) = counts_and_seq(view, now)?;
            let preview = matchers.map(|m| view.preview(&m, now)).transpose()?;
            let known = match id {
                None => None,
                Some(id) => match view.threshold(id)? {
                    None => None,
                    Some(t) => Some((view.threshold_progress(id, now)?.unwrap_or_default(), t, view.waiting_for(id)?)),
                },
            };
            Ok((overview, seq, preview, known))
        })
        .await?;
    let caught = match preview {
        Some(Ok(preview)) => Some(Caught::new(&preview, now)),
        Some(Err(mistakes)) if wrong.is_empty() => {
            wrong = mistakes;
            None
        }
        _ => None,
    };
    let status = if wrong.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    let errors: Vec<Wrong> = wrong.iter().map(wrong_of).collect();
    let waiting = known.iter().flat_map(|(_, _, w)| w).take(WAITING).map(|a| MutedAlert::new(a, now)).collect();
    let page = FormPage {
        frame: ask.frame("Threshold", Section::Alerts, &overview, seq),
        action: id.map_or_else(|| "/silences/thresholds/new".to_owned(), |id| format!("/silences/thresholds/{id}")),
        row: known.map(|(progress, t, _)| Row::new(&t, progress)),
        lines: shown(std::mem::take(&mut typed.lines), &errors),
        typed,
        errors,
        caught,
        waiting,
    };
    Ok(ask.page(status, &page))
}

/// `GET /silences/thresholds/new?alert=&match=`
pub async fn new(
    State(state): State<AppState>,
    _: Responder,
    ask: Ask,
    Params(params): Params,
) -> Result<Response, ApiError> {
    let lines = state.store.read(move |view| prefilled(view, &params)).await?;
    let typed = Typed { lines, count: "5".to_owned(), within: "10".to_owned(), ..Typed::default() };
    draw(&state, &ask, None, typed, Vec::new()).await
}

/// `POST /silences/thresholds/new`
pub async fn make(State(state): State<AppState>, form: Form) -> Result<Response, ApiError> {
    let Form { ask, actor, fields } = form;
    let typed = Typed::of_form(&fields);
    let new = match typed.read() {
        Ok(new) => new,
        Err(wrong) => return draw(&state, &ask, None, typed, wrong).await,
    };
    if fields.get("do") != "save" {
        return draw(&state, &ask, None, typed, Vec::new()).await;
    }
    match state.store.make_threshold(new, actor).await {
        Ok(_) => Ok(back("/silences/thresholds", Some(Said::new("threshold")))),
        Err(CommandError::Mistakes(wrong)) => draw(&state, &ask, None, typed, wrong).await,
        Err(e) => Err(e.into()),
    }
}

fn threshold_id(text: &str) -> Result<ThresholdId, ApiError> {
    text.parse().map_err(|_| ApiError::not_found(format_args!("threshold “{}”", text::shorten(text, 40))))
}

/// `GET /silences/thresholds/{id}`
pub async fn show(
    State(state): State<AppState>,
    _: Viewer,
    ask: Ask,
    Path(id): Path<String>,
) -> Result<Response, ApiError> {
    let id = threshold_id(&id)?;
    let found = state.store.read(move |view| view.threshold(id)).await?;
    let found = found.ok_or_else(|| ApiError::not_found(format_args!("threshold {id}")))?;
    draw(&state, &ask, Some(id), Typed::of(&found), Vec::new()).await
}

/// `POST /silences/thresholds/{id}`
pub async fn change(State(state): State<AppState>, Path(id): Path<String>, form: Form) -> Result<Response, ApiError> {
    let id = threshold_id(&id)?;
    let Form { ask, actor, fields } = form;
    let typed = Typed::of_form(&fields);
    let new = match typed.read() {
        Ok(new) => new,
        Err(wrong) => return draw(&state, &ask, Some(id), typed, wrong).await,
    };
    if fields.get("do") != "save" {
        return draw(&state, &ask, Some(id), typed, Vec::new()).await;
    }
    let patch = ThresholdPatch {
        matchers: Some(new.matchers),
        count: Some(new.count),
        distinct: Some(new.distinct),
        distinct_by: Some(new.distinct_by),
        within_minutes: Some(new.within_minutes),
        reason: Some(new.reason),
    };
    match state.store.change_threshold(id, patch, actor).await {
        Ok(_) => Ok(back("/silences/thresholds", Some(Said::new("threshold")))),
        Err(CommandError::Mistakes(wrong)) => draw(&state, &ask, Some(id), typed, wrong).await,
        Err(e) => Err(e.into()),
    }
}

/// `POST /silences/thresholds/{id}/remove`
pub async fn remove(State(state): State<AppState>, Path(id): Path<String>, form: Form) -> Result<Response, ApiError> {
    state.store.remove_threshold(threshold_id(&id)?, form.actor).await?;
    Ok(back("/silences/thresholds", Some(Said::new("threshold-gone"))))
}
