//! Settings › Notifications: the channels with how each does, and the rules in plain words.

use askama::Template;
use axum::{extract::State, response::Response};
use http::StatusCode;

use super::{HERE, Read, words};
use crate::{
    model::*,
    notifications::channels::{self, Info},
    web::{
        auth::Viewer,
        error::ApiError,
        pages::{
            ask::Ask,
            frame::{Frame, Section},
            settings::{Tab, tabs},
            text,
            ui::{self, Markup},
        },
        state::AppState,
    },
};

/// How a channel does.
#[derive(Debug)]
pub(super) struct Health {
    pub(super) class: &'static str,
    pub(super) icon: &'static str,
    pub(super) words: Markup,
}

impl Health {
    pub(super) fn of(c: &ChannelRow, waiting: u64, now: Time) -> Self {
        let (class, icon, words) = words::health(c, waiting, now);
        Self { class, icon, words: ui::foreign(&text::shorten(&words, 300)) }
    }
}

/// One in the list.
#[derive(Debug)]
struct Row {
    id: ChannelId,
    name: Markup,
    plain_name: String,
    tile: &'static str,
    kind: &'static str,
    leads_to: Markup,
    health: Health,
    fallback: Option<Markup>,
    enabled: bool,
}

/// A rule in the list.
#[derive(Debug)]
struct RuleRow {
    id: RuleId,
    name: Markup,
    plain_name: String,
    words: Markup,
    enabled: bool,
    first: bool,
    last: bool,
}

#[derive(Template)]
#[template(path = "pages/notify/notifications.html")]
struct NotificationsPage {
    frame: Frame,
    tabs: Vec<Tab>,
    error: Option<Markup>,
    channels: Vec<Row>,
    rules: Vec<RuleRow>,
    kinds: Vec<&'static Info>,
}

/// `GET /settings/notifications`
pub async fn show(State(state): State<AppState>, _: Viewer, ask: Ask) -> Result<Response, ApiError> {
    draw(&state, &ask, None).await
}

/// The page, with why something was refused.
pub(super) async fn draw(state: &AppState, ask: &Ask, error: Option<String>) -> Result<Response, ApiError> {
    let now = ask.now;
    let (read, waiting) = state.store.read(move |view| Ok((Read::of(view, now)?, view.waiting_notices()?))).await?;
    let telling = &read.telling;
    let row = |c: &ChannelRow| {
        let info = channels::find(&c.kind).map(|k| k.info());
        let spare = c.fallback.and_then(|id| telling.channels.get(&id.0));
        Row {
            id: c.id,
            name: ui::foreign(&c.name),
            plain_name: text::visible(&c.name),
            tile: info.map_or("?", |i| i.tile),
            kind: info.map_or("not known", |i| i.name),
            leads_to: ui::foreign(&text::shorten(&words::leads_to(c), 120)),
            health: Health::of(c, waiting.get(&c.id).copied().unwrap_or(0), now),
            fallback: spare.map(|s| ui::foreign(&s.name)),
            enabled: c.enabled,
        }
    };
    let ordered = ordered(telling.rules());
    let many = ordered.len();
    let rule = |(n, r): (usize, &&NoticeRule)| RuleRow {
        id: r.id,
        name: ui::foreign(&r.name),
        plain_name: text::visible(&r.name),
        words: ui::foreign(&text::shorten(&words::rule(telling, r), 600)),
        enabled: r.enabled,
        first: n == 0,
        last: n + 1 == many,
    };
    let status = if error.is_some() { StatusCode::CONFLICT } else { StatusCode::OK };
    let mut frame = ask.frame("Notifications", Section::Settings, &read.overview, read.seq);
    frame.path = HERE.to_owned();
    let page = NotificationsPage {
        tabs: tabs(HERE),
        error: error.map(|e| ui::foreign(&text::capital(&e))),
        channels: telling.channels.values().map(row).collect(),
        rules: ordered.iter().enumerate().map(rule).collect(),
        kinds: channels::ALL.iter().map(|c| c.info()).collect(),
        frame,
    };
    Ok(ask.page(status, &page))
}

/// Rules in the order in which they are asked.
pub(super) fn ordered<'a>(rules: impl Iterator<Item = &'a NoticeRule>) -> Vec<&'a NoticeRule> {
    let mut all: Vec<&NoticeRule> = rules.collect();
    all.sort_by_key(|r| (r.position, r.id));
    all
}
