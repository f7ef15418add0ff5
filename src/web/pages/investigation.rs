//! Settings of investigations: what they may ask, what they may spend, and how well they did. All of it is shown only.

use askama::Template;
use axum::{extract::State, response::Response};
use http::StatusCode;

use super::{
    ask::Ask,
    frame::{Frame, Section, counts_and_seq},
    settings::tabs,
    ui::{self, Markup},
};
use crate::{
    config::{Kind, Shown},
    web::{error::ApiError, state::AppState},
};

const HERE: &str = "/settings/investigation";
const ALL: &str = "investigation.";
/// Groups of options by how their keys begin, with their headings; what fits none belongs to the first.
const GROUPS: [(&str, &str, &str); 3] = [
    ("", "How it runs", "in the background, for every new incident"),
    ("investigation.probes.", "What may be asked", "read-only questions to your own tools"),
    ("investigation.model.", "Language model", "a second opinion, off unless it is set"),
];

/// An option.
#[derive(Debug)]
struct Row {
    key: &'static str,
    value: Option<Markup>,
    place: Markup,
    help: &'static str,
}

/// Options that belong together.
#[derive(Debug)]
struct Group {
    heading: &'static str,
    sub: &'static str,
    set: bool,
    rows: Vec<Row>,
}

#[derive(Template)]
#[template(path = "pages/investigation.html")]
struct InvestigationPage {
    frame: Frame,
    tabs: Vec<(&'static str, &'static str, bool)>,
    groups: Vec<Group>,
}

impl Row {
    fn of(s: &Shown<'_>) -> Self {
        Self {
            key: s.option.key,
            value: s.text.filter(|t| !t.is_empty()).map(ui::foreign),
            place: match (s.by, s.text) {
                (Some(by), _) => ui::foreign(&format!("set by {by}")),
                (None, Some(_)) => ui::foreign("the default"),
                (None, None) if s.option.kind == Kind::Secret => ui::foreign("none given"),
                (None, None) => ui::foreign("not set"),
            },
            help: s.option.help,
        }
    }
}

fn group_of(key: &str) -> usize {
    GROUPS.iter().skip(1).position(|(prefix, ..)| key.starts_with(prefix)).map_or(0, |n| n + 1)
}

fn groups<'a>(all: impl Iterator<Item = Shown<'a>>) -> Vec<Group> {
    let group = |(_, heading, sub): (_, _, _)| Group { heading, sub, set: false, rows: Vec::new() };
    let mut groups: Vec<Group> = GROUPS.into_iter().map(group).collect();
    for shown in all {
        if let Some(group) = groups.get_mut(group_of(shown.option.key)) {
            group.set |= shown.by.is_some();
            group.rows.push(Row::of(&shown));
        }
    }
    groups.retain(|g| !g.rows.is_empty());
    groups
}

/// `GET /settings/investigation`
pub async fn investigation(State(state): State<AppState>, ask: Ask) -> Result<Response, ApiError> {
    let now = ask.now;
    let (overview, seq) = state.store.read(move |view| counts_and_seq(view, now)).await?;
    let page = InvestigationPage {
        frame: ask.frame("Investigation", Section::Settings, &overview, seq),
        tabs: tabs(HERE),
        groups: groups(state.config.given.shown(ALL)),
    };
    Ok(ask.page(StatusCode::OK, &page))
}
