//! What people's corrections of the grouping taught, and forgetting it.

use askama::Template;
use axum::{extract::State, response::Response};
use http::StatusCode;

use super::{
    act::Form,
    ask::{Ask, back},
    frame::{Frame, Section, counts_and_seq},
    said::Said,
    settings::tabs,
    ui::{self, Markup, When},
};
use crate::{
    model::*,
    web::{error::ApiError, state::AppState},
};

const HERE: &str = "/settings/lessons";
/// Lessons on the page; the API has the rest.
const SHOWN: usize = 200;

/// A lesson.
struct Row {
    id: String,
    alert: Markup,
    alert_at: Markup,
    incident: Markup,
    incident_at: Markup,
    said: String,
    learned: Option<&'static str>,
    last: When,
    by: Markup,
}

#[derive(Template)]
#[template(path = "pages/lessons.html")]
struct LessonsPage {
    frame: Frame,
    tabs: Vec<(&'static str, &'static str, bool)>,
    more: Option<String>,
    rows: Vec<Row>,
}

fn said(lesson: &Lesson) -> String {
    let times = |n: u32| if n == 1 { "once".to_owned() } else { format!("{n} times") };
    match (lesson.joined, lesson.parted) {
        (joined, 0) => format!("put together {}", times(joined)),
        (0, parted) => format!("taken apart {}", times(parted)),
        (joined, parted) => format!("put together {}, taken apart {}", times(joined), times(parted)),
    }
}

impl Row {
    fn of(lesson: &Lesson, now: Time) -> Self {
        let name = |s: &Side| ui::foreign(if s.name.is_empty() { "without a title" } else { &s.name });
        let place = |s: &Side| ui::foreign(s.place.as_deref().unwrap_or("anywhere"));
        Self {
            id: lesson.id(),
            alert: name(&lesson.alert),
            alert_at: place(&lesson.alert),
            incident: name(&lesson.incident),
            incident_at: place(&lesson.incident),
            said: said(lesson),
            learned: lesson.learned().map(|v| match v {
                Learned::Join => "the next one joins",
                Learned::Apart => "the next one stays out",
            }),
            last: When::ago(lesson.last_at, now),
            by: ui::foreign(&lesson.last_by),
        }
    }
}

/// `GET /settings/lessons`
pub async fn lessons(State(state): State<AppState>, ask: Ask) -> Result<Response, ApiError> {
    let now = ask.now;
    let (overview, seq, all) = state
        .store
        .read(move |view| {
            let (overview, seq) = counts_and_seq(view, now)?;
            Ok((overview, seq, view.lessons()?))
        })
        .await?;
    let page = LessonsPage {
        frame: ask.frame("Settings", Section::Settings, &overview, seq),
        tabs: tabs(HERE),
        more: (all.len() > SHOWN).then(|| format!("{} more", ui::count((all.len() - SHOWN) as u64))),
        rows: all.iter().take(SHOWN).map(|l| Row::of(l, now)).collect(),
    };
    Ok(ask.page(StatusCode::OK, &page))
}

/// `POST /settings/lessons/forget`
pub async fn forget(State(state): State<AppState>, form: Form) -> Result<Response, ApiError> {
    state.store.forget_lesson(form.fields.get("id").to_owned(), form.actor).await?;
    Ok(back(HERE, Some(Said::new("forgotten"))))
}
