//! Storage and backup: what is on the disk, what is stored, and how it is kept safe.

use std::time::Duration;

use askama::Template;
use axum::{extract::State, response::Response};
use http::StatusCode;

use super::{
    ask::Ask,
    connector_forms::AdminForm,
    frame::{Frame, Section, counts_and_seq},
    settings::tabs,
    text,
    ui::{self, Markup, When},
};
use crate::{
    config::{Config, show_duration},
    model::Time,
    store::{
        StoreError, View,
        backup::{
            key,
            schedule::{Schedule, Status},
        },
    },
    web::{backup, error::ApiError, state::AppState, storage::Sizes},
};

const HERE: &str = "/settings/storage";

/// Kinds of rows as the store counts their bytes: in the words of people, and the table whose rows are counted.
const KINDS: [(&str, &str, &str, &str); 4] = [
    ("deliveries", "Deliveries", "as received, and what became of them", "deliveries"),
    ("alerts", "Alerts", "with their places in incidents", "alerts"),
    ("incidents", "Incidents", "with timelines and investigations", "incidents"),
    ("other", "Other", "changes, steps that live pages catch up on, people, tokens, settings, the audit log", ""),
];

/// A line of what is stored.
struct Kind {
    name: &'static str,
    what: &'static str,
    rows: String,
    bytes: String,
}

/// A name and what is said of it.
type Fact = (&'static str, Markup);

#[derive(Template)]
#[template(path = "pages/storage.html")]
struct StoragePage {
    frame: Frame,
    tabs: Vec<(&'static str, &'static str, bool)>,
    error: Option<String>,
    dir: String,
    files: Vec<(&'static str, &'static str, String)>,
    disk: Vec<Fact>,
    kinds: Vec<Kind>,
    kept: Vec<Fact>,
    schedule: Vec<Fact>,
    trouble: Option<(When, String)>,
    shortest: usize,
}

fn of_file(name: &str) -> &'static str {
    match name {
        "watchfire.redb" => "deliveries, alerts, incidents, people, tokens, settings",
        "intake.redb" => "deliveries on their way in",
        _ => "the text index; made anew when it is lost",
    }
}

fn schedule_facts(schedule: Option<&Schedule>, status: &Status, paths: bool, now: Time) -> Vec<Fact> {
    let Some(schedule) = schedule else {
        return vec![("By the clock", ui::foreign("off; the option backup.dir names a folder and switches them on"))];
    };
    let every =
        format!("every {}, the newest {} are kept", show_duration(schedule.every), ui::count(schedule.keep as u64));
    let mut facts = vec![("By the clock", ui::foreign(&every))];
    if paths {
        facts.push(("Folder", ui::foreign(&schedule.dir.display().to_string())));
    }
    facts.push(match &status.last {
        Some(last) => {
            let size = ui::bytes(last.bytes);
            ("Last", Markup::joined(&[&When::ago(last.at, now), &format_args!(", {size}")]))
        }
        None => ("Last", ui::foreign("none yet")),
    });
    facts.push(("In the folder", ui::foreign(&ui::plural(status.kept as u64, "backup"))));
    if let Some(next) = status.next {
        facts.push(("Next", Markup::joined(&[&When::full(next.max(now))])));
    }
    facts
}

fn kinds(view: &View) -> Result<Vec<Kind>, StoreError> {
    let (sizes, counts) = (view.sizes()?, view.row_counts()?);
    let of = |(key, name, what, table): &(&str, &'static str, &'static str, &str)| Kind {
        name,
        what,
        rows: counts.iter().find(|(t, _)| t == table).map_or(String::new(), |(_, n)| ui::count(*n)),
        bytes: sizes.iter().find(|(k, _)| k == key).map_or(String::new(), |(_, n)| ui::bytes(*n)),
    };
    Ok(KINDS.iter().map(of).collect())
}

/// `30 days`; as the options write it when it is no whole number of days.
fn days(d: Duration) -> String {
    match d.as_secs() {
        s if s > 0 && s.is_multiple_of(86_400) => ui::plural(s / 86_400, "day"),
        _ => show_duration(d),
    }
}

/// What the options say about how long things are kept, in words.
fn kept(config: &Config) -> Vec<Fact> {
    let most = match config.keep_bytes {
        0 => "no limit".to_owned(),
        n => format!("{} of rows; beyond that the oldest deliveries go first, then resolved incidents", ui::bytes(n)),
    };
    let reserve = match config.reserve {
        0 => "nothing; senders are refused when the disk is full".to_owned(),
        n => format!("{}; with less, senders are told to come again", ui::bytes(n)),
    };
    vec![
        ("Deliveries", ui::foreign(&format!("{} as received", days(config.keep_deliveries)))),
        ("Incidents", ui::foreign(&format!("{} after their end; open ones always", days(config.keep_incidents)))),
        ("In all at most", ui::foreign(&most)),
        ("Left free on the disk", ui::foreign(&reserve)),
    ]
}

async fn draw(state: &AppState, ask: &Ask, error: Option<String>) -> Result<Response, ApiError> {
    let now = ask.now;
    let (overview, seq, kinds) = state
        .store
        .read(move |view| {
            let (overview, seq) = counts_and_seq(view, now)?;
            Ok((overview, seq, kinds(view)?))
        })
        .await?;
    let sizes = Sizes::of(state).await;
    let status = state.backups.status();
    // Paths of the machine are for those who run it.
    let paths = ask.identity.may_set_up();
    let mut disk =
        vec![("Waiting", ui::foreign(&format!("{} not applied yet", ui::plural(state.store.behind(), "webhook"))))];
    disk.push(("Left on this disk", ui::foreign(&sizes.free.map_or("not known here".to_owned(), ui::bytes))));
    if let Err(e) = state.store.health() {
        disk.push(("Trouble", ui::foreign(&e.to_string())));
    }
    let mut frame = ask.frame("Settings", Section::Settings, &overview, seq);
    frame.path = HERE.to_owned();
    let code = if error.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    let page = StoragePage {
        frame,
        tabs: tabs(HERE),
        error,
        dir: if paths { text::visible(&state.store.dir().display().to_string()) } else { String::new() },
        files: sizes.files.iter().map(|(name, n)| (*name, of_file(name), ui::bytes(*n))).collect(),
        disk,
        kinds,
        kept: kept(&state.config),
        schedule: schedule_facts(state.backups.schedule(), &status, paths, now),
        trouble: status.failed.map(|(at, why)| {
            let why = if paths { why } else { "an administrator sees here why".to_owned() };
            (When::ago(at, now), text::visible(&why))
        }),
        shortest: key::SHORTEST,
    };
    Ok(ask.page(code, &page))
}

/// `GET /settings/storage`
pub async fn storage(State(state): State<AppState>, ask: Ask) -> Result<Response, ApiError> {
    draw(&state, &ask, None).await
}

/// `POST /settings/storage/backup`: the file, or the page with why not.
pub async fn download(State(state): State<AppState>, form: AdminForm) -> Result<Response, ApiError> {
    let given = form.fields.get("passphrase");
    if given != form.fields.get("again") {
        return draw(&state, &form.ask, Some("The two passphrases are not the same.".to_owned())).await;
    }
    let passphrase = (!given.is_empty()).then(|| given.to_owned());
    match backup::answer(&state, form.actor, passphrase).await {
        Err(e) if e.status.is_client_error() || e.status == StatusCode::INSUFFICIENT_STORAGE => {
            let why = e.errors.first().map_or(e.detail.clone(), |f| f.message.clone());
            draw(&state, &form.ask, Some(text::capital(&format!("{why}.")))).await
        }
        done => done,
    }
}
