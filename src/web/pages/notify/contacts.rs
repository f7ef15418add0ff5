//! How a person is reached: oneself, and for administrators everybody.

use askama::Template;
use axum::{
    extract::{Path, State},
    response::Response,
};
use http::StatusCode;

use super::{
    Read,
    field::{Field, Group, Wrongs, severities},
    refused,
};
use crate::{
    model::*,
    notifications::channels,
    web::{
        auth::Admin,
        channels::contact_mistakes,
        error::ApiError,
        pages::{
            ask::{Ask, Fields, back},
            connector_forms::AdminForm,
            frame::{Frame, Section},
            said::Said,
            settings::{Tab, tabs},
            text,
            ui::{self, Markup},
        },
        state::AppState,
    },
};

/// Where one's own are.
pub const OWN: &str = "/settings/contacts";
/// Empty lines to fill.
const EMPTY: usize = 2;

#[derive(Template)]
#[template(path = "pages/notify/contacts.html")]
struct ContactsPage {
    frame: Frame,
    tabs: Vec<Tab>,
    action: String,
    /// Whose, where that is somebody else.
    other: Option<String>,
    /// A token is no person.
    nobody: bool,
    wrong: Vec<(String, Markup)>,
    rows: Vec<Vec<Markup>>,
    /// What an address is, by channel.
    addresses: Vec<(String, String)>,
    on_call: Vec<String>,
    any_channel: bool,
}

fn read(fields: &Fields) -> (Vec<Contact>, Vec<Mistake>) {
    let all = |name: &str| fields.0.iter().filter(|(n, _)| n == name).map(|(_, v)| v.trim()).collect::<Vec<_>>();
    let (channels, addresses, froms) = (all("channel"), all("address"), all("from"));
    let (mut contacts, mut wrong) = (Vec::new(), Vec::new());
    for ((channel, address), from) in channels.into_iter().zip(addresses).zip(froms).take(40) {
        match (channel.parse::<ChannelId>(), address) {
            (Ok(channel), _) => contacts.push(Contact {
                channel,
                address: Some(address.to_owned()).filter(|a| !a.is_empty()),
                from: from.parse().ok(),
            }),
            (Err(_), "") => {}
            // Kept as it was typed: there is no channel 0.
            (Err(_), address) => {
                let path = format!("/contacts/{}/channel", contacts.len());
                wrong.push(Mistake::new(path, "choose the channel of this address"));
                let address = Some(address.to_owned());
                contacts.push(Contact { channel: ChannelId(0), address, from: from.parse().ok() });
            }
        }
    }
    (contacts, wrong)
}

async fn draw(
    state: &AppState,
    ask: &Ask,
    person: &str,
    typed: Option<Vec<Contact>>,
    wrong: Vec<Mistake>,
) -> Result<Response, ApiError> {
    let now = ask.now;
    let read = state.store.read(move |view| Read::of(view, now)).await?;
    let telling = &read.telling;
    let wrongs = Wrongs(wrong);
    let known = telling.people.get(person).map(|p| p.contacts.clone()).unwrap_or_default();
    let contacts = typed.unwrap_or(known);
    let options = telling.channels.values().map(|c| (c.id.to_string(), text::visible(&c.name)));
    let options: Vec<_> = [(String::new(), "—".to_owned())].into_iter().chain(options).collect();
    let lines = contacts.iter().map(Some).chain(std::iter::repeat_n(None, EMPTY)).enumerate();
    let rows = lines.map(|(n, c)| {
        let path = |part: &str| format!("/contacts/{n}/{part}");
        let n = n.to_string();
        let channel = c.map(|c| c.channel.to_string()).unwrap_or_default();
        let from = c.and_then(|c| c.from).map(|s| s.as_str()).unwrap_or_default();
        let address = c.and_then(|c| c.address.as_deref()).unwrap_or_default();
        vec![
            Field::choice("channel", "Channel", Group::of(options.clone()), &channel)
                .within(&n)
                .at(&wrongs, &path("channel")),
            Field::text("address", "Address there", address)
                .placeholder("the channel's own")
                .within(&n)
                .at(&wrongs, &path("address")),
            Field::choice("from", "Of", severities("Everything"), from).within(&n).at(&wrongs, &path("from")),
        ]
    });
    let addresses = telling.channels.values().filter_map(|c| {
        let info = channels::find(&c.kind)?.info();
        let field = info.fields.iter().find(|f| Some(f.key) == info.address)?;
        Some((text::visible(&c.name), format!("{}. {}", field.label, field.help)))
    });
    let takes_turns = |s: &&OnCallSchedule| s.rotations.iter().any(|r| r.people.iter().any(|p| p == person));
    let on_call = telling.schedules.values().filter(takes_turns).map(|s| text::visible(&s.name));
    let me = ask.identity.account.as_ref().is_some_and(|a| a.name == person);
    let status = if wrongs.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    let here = if me || person.is_empty() { OWN.to_owned() } else { format!("/settings/people/{person}/contacts") };
    let mut frame = ask.frame("How you are reached", Section::Settings, &read.overview, read.seq);
    frame.path.clone_from(&here);
    let page = ContactsPage {
        frame,
        tabs: tabs(OWN),
        action: here,
        other: (!me && !person.is_empty()).then(|| text::visible(person)),
        nobody: person.is_empty(),
        rows: rows.collect(),
        addresses: addresses.collect(),
        on_call: on_call.collect(),
        any_channel: !telling.channels.is_empty(),
        wrong: wrongs.all(),
    };
    Ok(ask.page(status, &page))
}

fn own(ask: &Ask) -> String {
    ask.identity.account.as_ref().map(|a| a.name.clone()).unwrap_or_default()
}

/// `GET /settings/contacts`
pub async fn show(State(state): State<AppState>, ask: Ask) -> Result<Response, ApiError> {
    draw(&state, &ask, &own(&ask), None, Vec::new()).await
}

/// `POST /settings/contacts`
pub async fn save(State(state): State<AppState>, ask: Ask, fields: Fields) -> Result<Response, ApiError> {
    let person = own(&ask);
    if person.is_empty() {
        return Err(ApiError::forbidden("a token is no person"));
    }
    let actor = ask.identity.actor.clone();
    taken(&state, &ask, person, &fields, actor, OWN).await
}

async fn exists(state: &AppState, name: &str) -> Result<(), ApiError> {
    let wanted = name.to_owned();
    let found = state.store.read(move |view| view.account(&wanted)).await?;
    found.map(drop).ok_or_else(|| ApiError::not_found(format_args!("person {}", text::shorten(name, 64))))
}

/// `GET /settings/people/{name}/contacts`
pub async fn show_other(
    State(state): State<AppState>,
    _: Admin,
    ask: Ask,
    Path(name): Path<String>,
) -> Result<Response, ApiError> {
    exists(&state, &name).await?;
    draw(&state, &ask, &name, None, Vec::new()).await
}

/// `POST /settings/people/{name}/contacts`
pub async fn save_other(
    State(state): State<AppState>,
    Path(name): Path<String>,
    form: AdminForm,
) -> Result<Response, ApiError> {
    exists(&state, &name).await?;
    let to = format!("/settings/people/{name}");
    taken(&state, &form.ask, name, &form.fields, form.actor, &to).await
}

async fn taken(
    state: &AppState,
    ask: &Ask,
    person: String,
    fields: &Fields,
    actor: Actor,
    to: &str,
) -> Result<Response, ApiError> {
    let (contacts, mut wrong) = read(fields);
    wrong.extend(contact_mistakes(state, &contacts).await?);
    if wrong.is_empty() {
        let row = Contacts { person: person.clone(), contacts: contacts.clone() };
        match state.store.put_contacts(row, actor).await {
            Ok(_) => return Ok(back(to, Some(Said::new("saved")))),
            Err(e) => wrong = refused(e)?,
        }
    }
    draw(state, ask, &person, Some(contacts), wrong).await
}
