//! The form of a schedule: its rotations, and the overrides that stand in it.

use askama::Template;
use axum::{
    extract::{Path, State},
    response::Response,
};
use http::StatusCode;

use super::{
    ON_CALL, Read,
    field::{Field, Wrongs},
    named, refused,
    rule_form::{Hours, hours_fields, hours_of},
    strip::moment,
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
            said::Said,
            text, time,
            ui::{self, Markup},
        },
        state::AppState,
    },
};

/// Rotations that a form may have.
const MOST: usize = 21;

/// A rotation in the form.
#[derive(Debug)]
struct Turn {
    number: usize,
    fields: Vec<Markup>,
    only: Hours,
}

/// An override that stands.
#[derive(Debug)]
struct Stands {
    number: usize,
    words: Markup,
}

#[derive(Template)]
#[template(path = "pages/notify/schedule.html")]
struct SchedulePage {
    frame: Frame,
    id: Option<ScheduleId>,
    heading: Markup,
    action: String,
    wrong: Vec<(String, Markup)>,
    fields: Vec<Markup>,
    turns: Vec<Turn>,
    stands: Vec<Stands>,
    people: Vec<String>,
}

fn blank(now: Time) -> OnCallSchedule {
    OnCallSchedule {
        id: ScheduleId(0),
        name: String::new(),
        time_zone: "UTC".to_owned(),
        rotations: Vec::new(),
        overrides: Vec::new(),
        feed_secret: String::new(),
        created_at: now,
        created_by: String::new(),
        updated_at: now,
    }
}

fn blank_turn(now: Time) -> Rotation {
    let today = time::local(now).strftime("%Y-%m-%d").to_string();
    Rotation { people: Vec::new(), starts_on: today, hand_over: "09:00".to_owned(), days: 7, only: None }
}

/// The schedule that a form says, on top of what is kept of it. A rotation without people is none.
fn read(fields: &Fields, base: OnCallSchedule) -> OnCallSchedule {
    let mut rotations = Vec::new();
    for n in (0..MOST).take_while(|n| fields.checked(&format!("r{n}.people"))) {
        let get = |part: &str| fields.get(&format!("r{n}.{part}")).trim().to_owned();
        let people = get("people");
        let names = people.split([',', ' ', ';', '\n']).map(str::trim).filter(|p| !p.is_empty());
        let rotation = Rotation {
            people: names.map(ToOwned::to_owned).collect(),
            starts_on: get("starts_on"),
            hand_over: get("hand_over"),
            // What is no number is refused with the bounds.
            days: get("days").parse().unwrap_or(0),
            only: hours_of(fields, &format!("r{n}.only")),
        };
        if !rotation.people.is_empty() {
            rotations.push(rotation);
        }
    }
    let gone = fields.all("drop");
    let kept = base.overrides.iter().enumerate().filter(|(n, _)| !gone.contains(&n.to_string()));
    OnCallSchedule {
        name: fields.get("name").trim().to_owned(),
        time_zone: fields.get("time_zone").trim().to_owned(),
        rotations,
        overrides: kept.map(|(_, o)| o.clone()).collect(),
        ..base
    }
}

async fn draw(
    state: &AppState,
    ask: &Ask,
    id: Option<ScheduleId>,
    s: OnCallSchedule,
    wrong: Vec<Mistake>,
) -> Result<Response, ApiError> {
    let now = ask.now;
    let read = state.store.read(move |view| Read::of(view, now)).await?;
    let wrongs = Wrongs(wrong);
    let turns = s.rotations.iter().cloned().chain([blank_turn(now)]).enumerate().map(|(n, r)| {
        let path = |part: &str| format!("/rotations/{n}/{part}");
        let name = |part: &str| format!("r{n}.{part}");
        // The refusal of a schedule without any stands at the first.
        let people = if s.rotations.is_empty() { "/rotations".to_owned() } else { path("people") };
        let last = n == s.rotations.len();
        let fields = vec![
            Field::text(name("people"), "People, in their order", &r.people.join(", "))
                .placeholder("kim, sam")
                .help(if last { "Names of accounts. Empty: no such rotation." } else { "Empty takes it away." })
                .at(&wrongs, &people),
            Field::text(name("starts_on"), "First turn begins", &r.starts_on)
                .kind("date")
                .at(&wrongs, &path("starts_on")),
            Field::text(name("hand_over"), "Hand over at", &r.hand_over).kind("time").at(&wrongs, &path("hand_over")),
            Field::text(name("days"), "After days", &r.days.to_string())
                .help("1 for daily, 7 for weekly turns.")
                .at(&wrongs, &path("days")),
        ];
        Turn { number: n + 1, fields, only: hours_fields(&name("only"), r.only.as_ref(), &wrongs, &path("only")) }
    });
    let stands = s.overrides.iter().enumerate().filter(|(_, o)| o.until > now).map(|(number, o)| {
        let words = format!("{}: {} to {}, by {}", o.person, moment(o.from), moment(o.until), o.by);
        Stands { number, words: ui::foreign(&words) }
    });
    let heading = if id.is_some() { s.name.clone() } else { "New schedule".to_owned() };
    let action = id.map_or_else(|| format!("{ON_CALL}/schedules/new"), |id| format!("{ON_CALL}/schedules/{id}"));
    let status = if wrongs.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    let mut frame = ask.frame(&heading, Section::Settings, &read.overview, read.seq);
    frame.path.clone_from(&action);
    let page = SchedulePage {
        frame,
        id,
        heading: ui::foreign(&heading),
        action,
        fields: vec![
            Field::text("name", "Name", &s.name).placeholder("Payments").at(&wrongs, "/name"),
            Field::text("time_zone", "Time zone", &s.time_zone)
                .help("Such as Europe/Berlin: hand-overs keep to the clock there when summer time begins and ends.")
                .at(&wrongs, "/time_zone"),
        ],
        turns: turns.collect(),
        stands: stands.collect(),
        people: read.people.iter().map(|p| text::visible(p)).collect(),
        wrong: wrongs.all(),
    };
    Ok(ask.page(status, &page))
}

async fn known(state: &AppState, id: ScheduleId) -> Result<OnCallSchedule, ApiError> {
    let found = state.store.read(move |view| view.schedule(id)).await?;
    found.ok_or_else(|| ApiError::not_found(format_args!("schedule {id}")))
}

/// `GET /on-call/schedules/new`
pub async fn new(State(state): State<AppState>, _: Admin, ask: Ask) -> Result<Response, ApiError> {
    let schedule = blank(ask.now);
    draw(&state, &ask, None, schedule, Vec::new()).await
}

/// `GET /on-call/schedules/{id}`
pub async fn show(
    State(state): State<AppState>,
    _: Admin,
    ask: Ask,
    Path(id): Path<String>,
) -> Result<Response, ApiError> {
    let id = named("schedule", &id)?;
    draw(&state, &ask, Some(id), known(&state, id).await?, Vec::new()).await
}

/// `POST /on-call/schedules/new`
pub async fn add(State(state): State<AppState>, form: AdminForm) -> Result<Response, ApiError> {
    let base = blank(form.ask.now);
    taken(&state, None, base, form).await
}

/// `POST /on-call/schedules/{id}`
pub async fn save(
    State(state): State<AppState>,
    Path(id): Path<String>,
    form: AdminForm,
) -> Result<Response, ApiError> {
    let id = named("schedule", &id)?;
    let base = known(&state, id).await?;
    taken(&state, Some(id), base, form).await
}

async fn taken(
    state: &AppState,
    id: Option<ScheduleId>,
    base: OnCallSchedule,
    form: AdminForm,
) -> Result<Response, ApiError> {
    let schedule = read(&form.fields, base);
    match state.store.put_schedule(id, schedule.clone(), form.actor).await {
        Ok(row) => Ok(back(&format!("{ON_CALL}#{}", row.id), Some(Said::new("schedule")))),
        Err(e) => draw(state, &form.ask, id, schedule, refused(e)?).await,
    }
}

/// `POST /on-call/schedules/{id}/remove`
pub async fn remove(
    State(state): State<AppState>,
    Path(id): Path<String>,
    form: AdminForm,
) -> Result<Response, ApiError> {
    let id = named("schedule", &id)?;
    let row = known(&state, id).await?;
    match state.store.remove_schedule(id, form.actor).await {
        Ok(()) => Ok(back(ON_CALL, Some(Said::new("schedule-gone")))),
        Err(e) => draw(&state, &form.ask, Some(id), row, refused(e)?).await,
    }
}
