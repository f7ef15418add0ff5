//! The form of a channel, made from the fields of its kind; the test, the switch, the end.

use std::{collections::BTreeMap, time::Duration};

use askama::Template;
use axum::{
    extract::{Path, State},
    response::Response,
};
use http::StatusCode;

use super::{
    HERE, Read,
    channels::{self as list, Health},
    field::{Field, Group, Wrongs},
    named, refused, words,
};
use crate::{
    model::*,
    notifications::channels::{self, Channel, FieldKind, Info},
    web::{
        auth::{Admin, Client},
        channels::{Wanted, address_mistake, change, make, test},
        error::ApiError,
        pages::{
            ask::{Ask, Fields, Params, back},
            connector_forms::AdminForm,
            frame::{Frame, Section},
            said::Said,
            text,
            ui::{self, Markup, When},
        },
        state::AppState,
    },
};

/// How long the answer to a test is waited for.
const ANSWER: Duration = Duration::from_secs(18);

/// The channel as it is.
#[derive(Debug)]
struct Known {
    id: ChannelId,
    enabled: bool,
    health: Health,
    leads_to: Markup,
    made: When,
    by: Markup,
    /// What a test was answered: taken, and in which words.
    tested: Option<(bool, Markup)>,
    /// Removable secrets that are set.
    taken_away: Vec<(&'static str, &'static str)>,
    /// How its buttons act here: words, the address for them, words.
    buttons: Option<(&'static str, String, &'static str)>,
}

#[derive(Template)]
#[template(path = "pages/notify/channel.html")]
struct ChannelPage {
    frame: Frame,
    heading: Markup,
    info: &'static Info,
    action: String,
    known: Option<Known>,
    wrong: Vec<(String, Markup)>,
    fields: Vec<Markup>,
}

/// What a form is drawn with.
struct Drawn<'a> {
    channel: &'static dyn Channel,
    before: Option<ChannelRow>,
    typed: Option<&'a Fields>,
    wrong: Vec<Mistake>,
    tested: Option<NoticeId>,
    client: &'a Client,
}

async fn draw(state: &AppState, ask: &Ask, drawn: Drawn<'_>) -> Result<Response, ApiError> {
    let Drawn { channel, before, typed, wrong, tested, client } = drawn;
    let (now, info) = (ask.now, channel.info());
    let (read, waiting, tested) = state
        .store
        .read(move |view| {
            let tested = tested.map(|id| view.notice(id)).transpose()?.flatten();
            Ok((Read::of(view, now)?, view.waiting_notices()?, tested))
        })
        .await?;
    let wrongs = Wrongs(wrong);
    let fields = fields(channel, before.as_ref(), typed, &read, &wrongs);
    let known = before.as_ref().map(|c| Known {
        id: c.id,
        enabled: c.enabled,
        health: Health::of(c, waiting.get(&c.id).copied().unwrap_or(0), now),
        leads_to: ui::foreign(&text::shorten(&words::leads_to(c), 200)),
        made: When::full(c.created_at),
        by: ui::foreign(&c.created_by),
        tested: tested.filter(|n| n.channel == c.id && n.event == NoticeEvent::Test).map(|n| {
            let (ok, words) = words::tested(&n);
            (ok, ui::foreign(&text::shorten(&words, 600)))
        }),
        taken_away: info
            .fields
            .iter()
            .filter(|f| f.secret && !f.required && c.secrets.contains_key(f.key))
            .map(|f| (f.key, f.label))
            .collect(),
        buttons: channel.buttons().and_then(|words| words.split_once("URL")).map(|(first, rest)| {
            (first, format!("{}/api/channels/{}/interactions", client.base_url(&state.config), c.id), rest)
        }),
    });
    let status = if wrongs.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    let title = before.as_ref().map_or_else(|| format!("Add {}", info.name), |c| c.name.clone());
    let action =
        before.as_ref().map_or_else(|| format!("{HERE}/new/{}", info.kind), |c| format!("{HERE}/channels/{}", c.id));
    let mut frame = ask.frame(&title, Section::Settings, &read.overview, read.seq);
    frame.path.clone_from(&action);
    let page = ChannelPage { frame, heading: ui::foreign(&title), info, action, known, wrong: wrongs.all(), fields };
    Ok(ask.page(status, &page))
}

/// The fields of a kind with what is set, what was typed, what was wrong.
fn fields(
    channel: &dyn Channel,
    before: Option<&ChannelRow>,
    typed: Option<&Fields>,
    read: &Read,
    wrongs: &Wrongs,
) -> Vec<Markup> {
    let info = channel.info();
    let set = |name: &str, otherwise: &str| typed.map_or(otherwise, |t| t.get(name)).to_owned();
    let name = set("name", before.map_or(info.name, |c| c.name.as_str()));
    let mut all = vec![
        Field::text("name", "Name", &name).help("As it is called in rules, such as #incidents.").at(wrongs, "/name"),
    ];
    for f in info.fields {
        let form = format!("s.{}", f.key);
        let was = before.and_then(|c| c.settings.get(f.key)).map_or("", String::as_str);
        let shown = before.and_then(|c| c.shown.get(f.key)).map_or("", String::as_str);
        // What is secret is not sent back.
        let value = if f.secret { String::new() } else { set(&form, was) };
        let field = match f.kind {
            FieldKind::Switch => {
                let value = if value.is_empty() { f.default.to_owned() } else { value };
                Field::choice(&form, f.label, words_of(&["on", "off"]), if value.is_empty() { "off" } else { &value })
            }
            FieldKind::Choice(each) => {
                let value = if value.is_empty() { f.default.to_owned() } else { value };
                Field::choice(&form, f.label, words_of(each), &value)
            }
            FieldKind::Lines if f.secret => Field::text(&form, f.label, "").lines(""),
            FieldKind::Lines | FieldKind::Certificates => Field::text(&form, f.label, "").lines(&value),
            // Not a password: browsers would offer to keep it as one of this site.
            _ => Field::text(&form, f.label, &value),
        };
        let field = if f.secret {
            let field = field.placeholder(if shown.is_empty() { f.default } else { shown });
            if shown.is_empty() { field } else { field.set("is set; empty keeps it") }
        } else {
            field.placeholder(f.default).set(if f.required { "" } else { "may be empty" })
        };
        all.push(field.help(f.help).at(wrongs, &format!("/settings/{}", f.key)));
    }
    let others = read.telling.channels.values().filter(|c| before.is_none_or(|b| b.id != c.id));
    let options = others.map(|c| (c.id.to_string(), text::visible(&c.name)));
    let options = [(String::new(), "nowhere else".to_owned())].into_iter().chain(options).collect();
    let was = before.and_then(|c| c.fallback).map(|id| id.to_string()).unwrap_or_default();
    let fallback =
        Field::choice("fallback", "If it cannot be told here, tell", Group::of(options), &set("fallback", &was))
            .help("After three tries that failed the other channel is told as well.");
    all.push(fallback.at(wrongs, "/fallback"));
    all
}

fn words_of(words: &[&str]) -> Vec<Group> {
    Group::of(words.iter().map(|w| ((*w).to_owned(), (*w).to_owned())).collect())
}

/// What a form asks for.
fn wanted(channel: &dyn Channel, form: &Fields) -> Result<Wanted, Vec<Mistake>> {
    let mut settings = BTreeMap::new();
    for f in channel.info().fields {
        let value = form.get(&format!("s.{}", f.key));
        let goes = f.secret && form.all("forget").iter().any(|key| key == f.key);
        // A secret that is not typed stays.
        if !f.secret || !value.trim().is_empty() || goes {
            settings.insert(f.key.to_owned(), if goes { String::new() } else { value.to_owned() });
        }
    }
    let fallback = match form.get("fallback") {
        "" => None,
        id => Some(id.parse().map_err(|e: ParseNameError| vec![Mistake::new("/fallback", e.to_string())])?),
    };
    let name = Some(form.get("name").to_owned());
    Ok(Wanted { name, settings: Some(settings), enabled: None, fallback: Some(fallback) })
}

fn kind(name: &str) -> Result<&'static dyn Channel, ApiError> {
    let found = channels::find(name);
    found.ok_or_else(|| ApiError::not_found(format_args!("kind of channel “{}”", text::shorten(name, 40))))
}

async fn row(state: &AppState, id: ChannelId) -> Result<ChannelRow, ApiError> {
    let found = state.store.read(move |view| view.channel(id)).await?;
    found.ok_or_else(|| ApiError::not_found(format_args!("channel {id}")))
}

/// `GET /settings/notifications/new/{kind}`
pub async fn new(
    State(state): State<AppState>,
    client: Client,
    _: Admin,
    ask: Ask,
    Path(name): Path<String>,
) -> Result<Response, ApiError> {
    let drawn =
        Drawn { channel: kind(&name)?, before: None, typed: None, wrong: Vec::new(), tested: None, client: &client };
    draw(&state, &ask, drawn).await
}

/// `POST /settings/notifications/new/{kind}`
pub async fn add(
    State(state): State<AppState>,
    client: Client,
    Path(name): Path<String>,
    form: AdminForm,
) -> Result<Response, ApiError> {
    let AdminForm { ask, actor, fields } = form;
    let channel = kind(&name)?;
    let result = match wanted(channel, &fields) {
        Ok(wanted) => make(&state, channel.info().kind, wanted, actor).await.map_err(refused),
        Err(wrong) => Err(Ok(wrong)),
    };
    match result {
        Ok(row) => Ok(back(&format!("{HERE}/channels/{}", row.id), Some(Said::new("channel")))),
        Err(wrong) => {
            let drawn =
                Drawn { channel, before: None, typed: Some(&fields), wrong: wrong?, tested: None, client: &client };
            draw(&state, &ask, drawn).await
        }
    }
}

/// `GET /settings/notifications/channels/{id}?tested=`
pub async fn show(
    State(state): State<AppState>,
    client: Client,
    _: Admin,
    ask: Ask,
    Path(id): Path<String>,
    Params(params): Params,
) -> Result<Response, ApiError> {
    let row = row(&state, named("channel", &id)?).await?;
    let tested = params.get("tested").parse().ok();
    let drawn =
        Drawn { channel: kind(&row.kind)?, before: Some(row), typed: None, wrong: Vec::new(), tested, client: &client };
    draw(&state, &ask, drawn).await
}

/// `POST /settings/notifications/channels/{id}`
pub async fn save(
    State(state): State<AppState>,
    client: Client,
    Path(id): Path<String>,
    form: AdminForm,
) -> Result<Response, ApiError> {
    let AdminForm { ask, actor, fields } = form;
    let before = row(&state, named("channel", &id)?).await?;
    let channel = kind(&before.kind)?;
    let result = match wanted(channel, &fields) {
        Ok(wanted) => change(&state, before.id, wanted, actor).await.map_err(refused),
        Err(wrong) => Err(Ok(wrong)),
    };
    match result {
        Ok(row) => Ok(back(&format!("{HERE}/channels/{}", row.id), Some(Said::new("saved")))),
        Err(wrong) => {
            let drawn = Drawn {
                channel,
                before: Some(before),
                typed: Some(&fields),
                wrong: wrong?,
                tested: None,
                client: &client,
            };
            draw(&state, &ask, drawn).await
        }
    }
}

/// `POST /settings/notifications/channels/{id}/test`: back with what the target said.
pub async fn try_it(
    State(state): State<AppState>,
    client: Client,
    Path(id): Path<String>,
    form: AdminForm,
) -> Result<Response, ApiError> {
    let before = row(&state, named("channel", &id)?).await?;
    let id = before.id;
    let address = Some(form.fields.get("address").trim().to_owned()).filter(|a| !a.is_empty());
    if let Some(given) = &address
        && let Some(what) = address_mistake(&state, &before, given)?
    {
        let (channel, wrong) = (kind(&before.kind)?, vec![Mistake::new("/address", what)]);
        let drawn = Drawn { channel, before: Some(before), typed: None, wrong, tested: None, client: &client };
        return draw(&state, &form.ask, drawn).await;
    }
    let notice = test(&state, id, address, form.actor, ANSWER).await?;
    Ok(back(&format!("{HERE}/channels/{id}?tested={}#tested", notice.id), None))
}

/// `POST /settings/notifications/channels/{id}/switch`
pub async fn switch(
    State(state): State<AppState>,
    Path(id): Path<String>,
    form: AdminForm,
) -> Result<Response, ApiError> {
    let on = form.fields.get("enabled") == "on";
    let wanted = Wanted { enabled: Some(on), ..Wanted::default() };
    match change(&state, named("channel", &id)?, wanted, form.actor).await {
        Ok(_) => Ok(back(&format!("{HERE}#channels"), Some(Said::new(if on { "channel-on" } else { "channel-off" })))),
        Err(e) => list::draw(&state, &form.ask, refused(e)?.into_iter().next().map(|m| m.what)).await,
    }
}

/// `POST /settings/notifications/channels/{id}/remove`
pub async fn remove(
    State(state): State<AppState>,
    client: Client,
    Path(id): Path<String>,
    form: AdminForm,
) -> Result<Response, ApiError> {
    let before = row(&state, named("channel", &id)?).await?;
    match state.store.remove_channel(before.id, form.actor).await {
        Ok(()) => Ok(back(HERE, Some(Said::new("channel-gone")))),
        Err(e) => {
            let channel = kind(&before.kind)?;
            let drawn =
                Drawn { channel, before: Some(before), typed: None, wrong: refused(e)?, tested: None, client: &client };
            draw(&state, &form.ask, drawn).await
        }
    }
}
