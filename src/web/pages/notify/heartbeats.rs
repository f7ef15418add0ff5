//! The form of a heartbeat: what must be heard from time to time.

use askama::Template;
use axum::{
    extract::{Path, State},
    response::Response,
};
use http::StatusCode;

use super::{
    ON_CALL, Read,
    field::{Field, Group, Wrongs, span, span_of},
    named, refused,
};
use crate::{
    model::*,
    web::{
        auth::Admin,
        error::ApiError,
        pages::{
            ask::{Ask, Fields, back},
            connector_forms::AdminForm,
            frame::{Frame, Section},
            platforms,
            said::Said,
            silence_form::{Line, Shown, lines_of, matchers_of, shown, wrong_of},
            text,
            ui::{self, Markup},
        },
        state::AppState,
    },
};

#[derive(Template)]
#[template(path = "pages/notify/heartbeat.html")]
struct HeartbeatPage {
    frame: Frame,
    id: Option<HeartbeatId>,
    heading: Markup,
    action: String,
    wrong: Vec<(String, Markup)>,
    by_alerts: bool,
    platform: Markup,
    lines: Vec<Shown>,
    fields: Vec<Markup>,
    enabled: bool,
}

fn blank(now: Time) -> Heartbeat {
    Heartbeat {
        id: HeartbeatId(0),
        name: String::new(),
        from: HeartbeatFrom::Platform("prometheus".to_owned()),
        every_secs: 600,
        severity: Severity::High,
        enabled: true,
        last_at: None,
        missing_since: None,
        incident: None,
        created_at: now,
        created_by: String::new(),
        updated_at: now,
    }
}

/// The heartbeat that a form says, on top of what is kept of it, and what cannot be read.
fn read(fields: &Fields, base: Heartbeat) -> (Heartbeat, Vec<Mistake>) {
    let mut wrong = Vec::new();
    let every_secs = span_of(fields, "every", "/every_secs", &mut wrong).unwrap_or(0);
    let from = if fields.get("from") == "alerts" {
        HeartbeatFrom::Alerts(matchers_of(&lines_of(fields)))
    } else {
        HeartbeatFrom::Platform(fields.get("platform").to_owned())
    };
    let severity = fields.get("severity").parse().unwrap_or(Severity::High);
    let name = fields.get("name").trim().to_owned();
    (Heartbeat { name, from, every_secs, severity, enabled: fields.checked("enabled"), ..base }, wrong)
}

async fn draw(
    state: &AppState,
    ask: &Ask,
    id: Option<HeartbeatId>,
    h: Heartbeat,
    typed: Option<&Fields>,
    wrong: Vec<Mistake>,
) -> Result<Response, ApiError> {
    let now = ask.now;
    let read = state.store.read(move |view| Read::of(view, now)).await?;
    let wrongs = Wrongs(wrong);
    let (platform, matchers) = match &h.from {
        HeartbeatFrom::Platform(slug) => (slug.as_str(), &[][..]),
        HeartbeatFrom::Alerts(all) => ("", all.as_slice()),
    };
    // The fields of matchers are found by their own places.
    let anchored: Vec<_> = wrongs
        .0
        .iter()
        .map(|m| wrong_of(&Mistake::new(m.path.replace("/from/alerts", "/matchers"), m.what.clone())))
        .collect();
    let all = platforms::in_use(&state.shared.door.registry);
    let platforms = all.iter().map(|p| (p.slug.clone(), text::visible(&p.name))).collect();
    let severities = Severity::ALL.iter().filter(|s| **s != Severity::Info);
    let severities = severities.map(|s| (s.to_string(), s.title().to_owned())).collect();
    let every = typed.map_or_else(|| span(Some(h.every_secs)), |t| t.get("every").to_owned());
    let heading = if id.is_some() { h.name.clone() } else { "New heartbeat".to_owned() };
    let action = id.map_or_else(|| format!("{ON_CALL}/heartbeats/new"), |id| format!("{ON_CALL}/heartbeats/{id}"));
    let status = if wrongs.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    let mut frame = ask.frame(&heading, Section::Settings, &read.overview, read.seq);
    frame.path.clone_from(&action);
    let page = HeartbeatPage {
        frame,
        id,
        heading: ui::foreign(&heading),
        action,
        by_alerts: matches!(h.from, HeartbeatFrom::Alerts(_)),
        platform: Field::choice("platform", "Platform", Group::of(platforms), platform).at(&wrongs, "/from/platform"),
        lines: shown(matchers.iter().map(Line::of).collect(), &anchored),
        fields: vec![
            Field::text("name", "Name", &h.name).placeholder("Prometheus of the shop").at(&wrongs, "/name"),
            Field::text("every", "At least every", &every).help("Such as 10 min.").at(&wrongs, "/every_secs"),
            Field::choice("severity", "If it is missing", Group::of(severities), h.severity.as_str())
                .help("How bad the incident is that opens.")
                .at(&wrongs, "/severity"),
        ],
        enabled: h.enabled,
        wrong: wrongs.all(),
    };
    Ok(ask.page(status, &page))
}

async fn known(state: &AppState, id: HeartbeatId) -> Result<Heartbeat, ApiError> {
    let found = state.store.read(move |view| Ok(view.telling()?.heartbeats.get(&id.0).cloned())).await?;
    found.ok_or_else(|| ApiError::not_found(format_args!("heartbeat {id}")))
}

/// `GET /on-call/heartbeats/new`
pub async fn new(State(state): State<AppState>, _: Admin, ask: Ask) -> Result<Response, ApiError> {
    let heartbeat = blank(ask.now);
    draw(&state, &ask, None, heartbeat, None, Vec::new()).await
}

/// `GET /on-call/heartbeats/{id}`
pub async fn show(
    State(state): State<AppState>,
    _: Admin,
    ask: Ask,
    Path(id): Path<String>,
) -> Result<Response, ApiError> {
    let id = named("heartbeat", &id)?;
    draw(&state, &ask, Some(id), known(&state, id).await?, None, Vec::new()).await
}

/// `POST /on-call/heartbeats/new`
pub async fn add(State(state): State<AppState>, form: AdminForm) -> Result<Response, ApiError> {
    let base = blank(form.ask.now);
    taken(&state, None, base, form).await
}

/// `POST /on-call/heartbeats/{id}`
pub async fn save(
    State(state): State<AppState>,
    Path(id): Path<String>,
    form: AdminForm,
) -> Result<Response, ApiError> {
    let id = named("heartbeat", &id)?;
    let base = known(&state, id).await?;
    taken(&state, Some(id), base, form).await
}

async fn taken(
    state: &AppState,
    id: Option<HeartbeatId>,
    base: Heartbeat,
    form: AdminForm,
) -> Result<Response, ApiError> {
    let (heartbeat, mut wrong) = read(&form.fields, base);
    if wrong.is_empty() {
        match state.store.put_heartbeat(id, heartbeat.clone(), form.actor).await {
            Ok(_) => return Ok(back(&format!("{ON_CALL}#heartbeats"), Some(Said::new("heartbeat")))),
            Err(e) => wrong = refused(e)?,
        }
    }
    draw(state, &form.ask, id, heartbeat, Some(&form.fields), wrong).await
}

/// `POST /on-call/heartbeats/{id}/remove`
pub async fn remove(
    State(state): State<AppState>,
    Path(id): Path<String>,
    form: AdminForm,
) -> Result<Response, ApiError> {
    state.store.remove_heartbeat(named("heartbeat", &id)?, form.actor).await?;
    Ok(back(ON_CALL, Some(Said::new("heartbeat-gone"))))
}
