//! On call: who is now and next in each schedule, two weeks of it, what happens when nobody acknowledges, and what must be
//! heard from time to time.

use std::time::Duration;

use askama::Template;
use axum::{
    extract::{Path, State},
    response::Response,
};
use http::StatusCode;

use super::{
    ON_CALL, Read,
    field::{Field, Group, Wrongs, span},
    named, refused,
    strip::{moment, strip},
    words,
};
use crate::{
    model::*,
    notifications::policy::on_call,
    web::{
        auth::{Client, Viewer},
        error::ApiError,
        pages::{
            act::Form,
            ask::{Ask, Fields, back},
            frame::{Frame, Section},
            said::Said,
            text, time,
            ui::{self, Markup, When},
        },
        state::AppState,
    },
};

/// What the strip shows.
const AHEAD: Duration = Duration::from_secs(14 * 24 * 3600);

/// A shift in the table.
#[derive(Debug)]
struct Row {
    who: Option<Markup>,
    from: String,
    until: String,
    instead: bool,
}

/// A schedule on the page.
#[derive(Debug)]
struct Schedule {
    id: ScheduleId,
    name: Markup,
    plain_name: String,
    zone: String,
    now: Option<Markup>,
    until: String,
    next: Option<(Markup, String)>,
    gaps: u64,
    strip: Markup,
    rows: Vec<Row>,
    feed: String,
    /// The fields of "take over".
    form: Vec<Markup>,
    open: bool,
}

/// A policy on the page.
#[derive(Debug)]
struct Policy {
    id: PolicyId,
    name: Markup,
    words: Markup,
}

/// A heartbeat on the page.
#[derive(Debug)]
struct Beat {
    id: HeartbeatId,
    name: Markup,
    from: Markup,
    class: &'static str,
    icon: &'static str,
    state: &'static str,
    heard: Option<When>,
    every: String,
    incident: Option<IncidentId>,
}

#[derive(Template)]
#[template(path = "pages/notify/on_call.html")]
struct OnCallPage {
    frame: Frame,
    wrong: Vec<(String, Markup)>,
    schedules: Vec<Schedule>,
    policies: Vec<Policy>,
    beats: Vec<Beat>,
    role_note: bool,
}

/// A form that was refused: of which schedule, as typed, and why.
struct Refused {
    id: ScheduleId,
    typed: Fields,
    wrong: Vec<Mistake>,
}

/// `GET /on-call`
pub async fn show(State(state): State<AppState>, _: Viewer, ask: Ask, client: Client) -> Result<Response, ApiError> {
    draw(&state, &ask, &client, None).await
}

async fn draw(state: &AppState, ask: &Ask, client: &Client, again: Option<Refused>) -> Result<Response, ApiError> {
    let now = ask.now;
    let read = state.store.read(move |view| Read::of(view, now)).await?;
    let (telling, base) = (&read.telling, client.base_url(&state.config));
    let (form, wrong) = match again {
        Some(Refused { id, typed, wrong }) => (Some((id, typed)), Wrongs(wrong)),
        None => (None, Wrongs::default()),
    };
    let me = ask.identity.name();
    let schedules = telling.schedules.values().map(|s| {
        let typed = form.as_ref().filter(|(id, _)| *id == s.id).map(|(_, typed)| typed);
        schedule(s, &read.people, &me, &base, typed, &wrong, now)
    });
    let policies = telling.policies.values().map(|p| Policy {
        id: p.id,
        name: ui::foreign(&p.name),
        words: ui::foreign(&text::shorten(&words::policy(telling, p), 600)),
    });
    let status = if wrong.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    let mut frame = ask.frame("On call", Section::Settings, &read.overview, read.seq);
    frame.path = ON_CALL.to_owned();
    let page = OnCallPage {
        role_note: !frame.may_admin(),
        frame,
        schedules: schedules.collect(),
        policies: policies.collect(),
        beats: telling.heartbeats.values().map(|h| beat(h, now)).collect(),
        wrong: wrong.all(),
    };
    Ok(ask.page(status, &page))
}

fn schedule(
    s: &OnCallSchedule,
    people: &[String],
    me: &str,
    base: &str,
    typed: Option<&Fields>,
    wrong: &Wrongs,
    now: Time,
) -> Schedule {
    let shifts = on_call::shifts(s, now, now.plus(AHEAD));
    let who = |shift: &Shift| shift.person.as_deref().map(ui::foreign);
    let current = shifts.first();
    let none = Wrongs::default();
    let wrong = if typed.is_some() { wrong } else { &none };
    let set = |name: &str, otherwise: &str| typed.map_or(otherwise, |t| t.get(name)).to_owned();
    let options = people.iter().map(|p| (p.clone(), text::visible(p))).collect();
    // Each schedule has such a form: the ids differ.
    let field = |name: &str, label: &str, value: &str| Field::text(name, label, value).within(&s.id.to_string());
    let form = vec![
        Field::choice("person", "Who", Group::of(options), &set("person", me))
            .within(&s.id.to_string())
            .at(wrong, "/person"),
        field("from", "From", &set("from", "")).kind("datetime-local").help("Empty is now.").at(wrong, "/from"),
        field("until", "Until", &set("until", &time::field(now.plus(Duration::from_secs(8 * 3600)))))
            .kind("datetime-local")
            .at(wrong, "/until"),
    ];
    Schedule {
        id: s.id,
        name: ui::foreign(&s.name),
        plain_name: text::visible(&s.name),
        zone: text::visible(&s.time_zone),
        now: current.and_then(who),
        until: current.map(|c| moment(c.until)).unwrap_or_default(),
        next: shifts.iter().skip(1).find_map(|c| Some((who(c)?, moment(c.from)))),
        gaps: shifts.iter().filter(|c| c.person.is_none()).count() as u64,
        strip: strip(s, &shifts, now),
        rows: shifts
            .iter()
            .take(100)
            .map(|c| Row { who: who(c), from: moment(c.from), until: moment(c.until), instead: c.overridden })
            .collect(),
        feed: format!("{base}/api/schedules/{}/calendar.ics?key={}", s.id, s.feed_secret),
        form,
        open: typed.is_some(),
    }
}

fn beat(h: &Heartbeat, now: Time) -> Beat {
    let (class, icon, state) = match h.state() {
        HeartbeatState::Alive => ("ok", "check", "heard in time"),
        HeartbeatState::Missing => ("failing", "warn", "missing"),
        HeartbeatState::Waiting => ("", "clock", "not heard yet"),
        HeartbeatState::Off => ("", "pause", "off"),
    };
    let from = match &h.from {
        HeartbeatFrom::Platform(slug) => format!("any webhook of {slug}"),
        HeartbeatFrom::Alerts(all) => {
            format!("alerts with {}", words::and(&all.iter().map(ToString::to_string).collect::<Vec<_>>()))
        }
    };
    Beat {
        id: h.id,
        name: ui::foreign(&h.name),
        from: ui::foreign(&text::shorten(&from, 200)),
        class,
        icon,
        state,
        heard: h.last_at.map(|at| When::ago(at, now)),
        every: span(Some(h.every_secs)),
        incident: h.incident.filter(|_| h.missing_since.is_some()),
    }
}

/// `POST /on-call/schedules/{id}/override`: somebody takes over.
pub async fn take_over(
    State(state): State<AppState>,
    Path(id): Path<String>,
    client: Client,
    form: Form,
) -> Result<Response, ApiError> {
    let Form { ask, actor, fields } = form;
    let id: ScheduleId = named("schedule", &id)?;
    let mut wrong = Vec::new();
    let mut moment = |name: &str| match fields.get(name).trim() {
        "" => None,
        given => {
            let read = time::read_local(given);
            if read.is_none() {
                wrong.push(Mistake::new(format!("/{name}"), "a time such as 2026-03-03T09:00 is needed"));
            }
            read
        }
    };
    let (from, until) = (moment("from").unwrap_or(ask.now), moment("until"));
    if until.is_none() && wrong.is_empty() {
        wrong.push(Mistake::new("/until", "say until when"));
    }
    if let Some(until) = until.filter(|_| wrong.is_empty()) {
        let new = Override { from, until, person: fields.get("person").to_owned(), by: String::new() };
        match state.store.override_schedule(id, new, actor).await {
            Ok(_) => return Ok(back(&format!("{ON_CALL}#{id}"), Some(Said::new("taken-over")))),
            Err(e) => wrong = refused(e)?,
        }
    }
    draw(&state, &ask, &client, Some(Refused { id, typed: fields, wrong })).await
}
