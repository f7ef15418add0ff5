//! Runbooks of the folder and of the store: which there are, and one as it is written.

use askama::Template;
use axum::{
    extract::{Path, State},
    response::Response,
};
use http::StatusCode;

use super::{
    ask::Ask,
    frame::{Frame, Section, counts_and_seq},
    markdown, text,
    ui::{self, Markup},
};
use crate::{
    investigation::runbooks::{
        address,
        read::{front, sections},
    },
    model::*,
    web::{api::runbooks::shelf, error::ApiError, state::AppState},
};

/// One in the list.
struct Row {
    href: String,
    outside: bool,
    title: Markup,
    name: Markup,
    fits: Vec<String>,
}

#[derive(Template)]
#[template(path = "pages/runbooks.html")]
struct ListPage {
    frame: Frame,
    rows: Vec<Row>,
    wrong: Vec<String>,
}

#[derive(Template)]
#[template(path = "pages/runbook.html")]
struct RunbookPage {
    frame: Frame,
    title: Markup,
    name: Markup,
    link: Option<String>,
    body: Markup,
}

fn fits<'a>(
    alerts: impl IntoIterator<Item = &'a String>,
    services: impl IntoIterator<Item = &'a String>,
    labels: impl IntoIterator<Item = (&'a String, &'a String)>,
) -> Vec<String> {
    let all = alerts.into_iter().cloned().chain(services.into_iter().cloned());
    let all = all.chain(labels.into_iter().map(|(k, v)| format!("{k}={v}")));
    all.map(|one| text::visible(&text::shorten(&one, 80))).take(12).collect()
}

/// `GET /runbooks`
pub async fn list(State(state): State<AppState>, ask: Ask) -> Result<Response, ApiError> {
    let now = ask.now;
    let shelf = shelf(&state).await?;
    let read = state.store.read(move |view| Ok((counts_and_seq(view, now)?, view.runbooks()?)));
    let ((overview, seq), stored) = read.await?;
    let of_row = |r: &Runbook| Row {
        href: text::url(&r.url).map_or_else(|| address(&r.id.to_string()), str::to_owned),
        outside: r.url.is_some(),
        title: ui::foreign(&r.title),
        name: ui::foreign(&r.id.to_string()),
        fits: fits(&r.alerts, &r.services, &r.labels),
    };
    let of_file = |b: &crate::investigation::runbooks::Book| Row {
        href: address(&b.name),
        outside: false,
        title: ui::foreign(&text::shorten(&b.title, 160)),
        name: ui::foreign(&b.name),
        fits: fits(&b.alerts, &b.services, &b.labels),
    };
    let rows = stored.iter().map(of_row).chain(shelf.runbooks.iter().map(|b| of_file(b)));
    let page = ListPage {
        frame: ask.frame("Runbooks", Section::Incidents, &overview, seq),
        rows: rows.collect(),
        wrong: shelf.faults.iter().map(|f| text::visible(&f.to_string())).take(20).collect(),
    };
    Ok(ask.page(StatusCode::OK, &page))
}

/// `GET /runbooks/{name}`
pub async fn one(State(state): State<AppState>, Path(name): Path<String>, ask: Ask) -> Result<Response, ApiError> {
    let now = ask.now;
    let shelf = shelf(&state).await?;
    let id: Option<RunbookId> = name.starts_with("R-").then(|| name.parse().ok()).flatten();
    let read = state.store.read(move |view| {
        let row = id.map(|id| view.runbook(id)).transpose()?.flatten();
        Ok((counts_and_seq(view, now)?, row))
    });
    let ((overview, seq), row) = read.await?;
    let missing = || ApiError::not_found(format!("runbook `{}`", name.chars().take(60).collect::<String>()));
    let (title, source, link) = match row {
        Some(row) => (row.title, row.markdown.unwrap_or_default(), row.url),
        None => {
            let book = shelf.runbooks.iter().find(|b| b.name == name).ok_or_else(missing)?;
            let file = shelf.texts.iter().find(|f| f.name == name).ok_or_else(missing)?;
            (book.title.clone(), front(&file.name, &file.text).1.to_owned(), None)
        }
    };
    let mut headings = sections(&source).into_iter().filter(|s| !s.anchor.is_empty()).collect::<Vec<_>>();
    let anchor = |heading: &str| {
        let at = headings.iter().position(|s| s.heading == heading)?;
        Some(headings.remove(at).anchor)
    };
    let page = RunbookPage {
        frame: ask.frame(&text::shorten(&title, 80), Section::Incidents, &overview, seq),
        title: ui::foreign(&title),
        name: ui::foreign(&name),
        link: text::url(&link).map(str::to_owned),
        body: markdown::document(&source, anchor),
    };
    Ok(ask.page(StatusCode::OK, &page))
}
