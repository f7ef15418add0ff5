//! Presses of buttons in messages, as the tool tells of them. Whoever presses has no session here: the tool's signature
//! proves it, and all that it can do is to acknowledge an incident that was told there.

use axum::{body::Body, extract::State, http::HeaderMap};

use crate::{
    model::*,
    notifications::{
        channels::{self, Channel, Press, PressError, Receipt, Settings, To, Told},
        opened,
        render::{self, Here},
    },
    store::{CommandError, StoreError, View, seal::Sealer},
    web::{
        auth::Client,
        error::ApiError,
        extract::{Path, drain, read_body},
        state::AppState,
    },
};

/// Longest body: a press comes with the message in which it was.
const MOST: usize = 1 << 20;
/// Merges followed to where an incident lives on.
const DEEPEST: usize = 32;
/// Entries of a timeline that are looked through for what happened after a press.
const LATEST: usize = 200;

/// What is not proven learns nothing, not even whether there is such a channel.
fn unproven(why: &PressError) -> ApiError {
    ApiError::unauthorized(format!("{why}; the page of the channel has the steps"))
}

/// A channel with its settings opened.
struct Known {
    kind: &'static dyn Channel,
    row: ChannelRow,
    settings: Settings,
}

/// Takes the press of a button. For Slack, as the Request URL of Interactivity: signed with the app's signing secret
/// (`X-Slack-Signature` over `X-Slack-Request-Timestamp` and the body, at most five minutes old). Whoever pressed has the
/// incident, as the person who has that Slack id as their address at the channel, else under their name there. The message
/// is changed in place. The same press again does nothing.
#[utoipa::path(post, path = "/api/channels/{id}/interactions", tag = "notifications", operation_id = "channel_interaction",
    params(("id" = String, Path), ("X-Slack-Request-Timestamp" = String, Header), ("X-Slack-Signature" = String, Header)),
    request_body(content = String, content_type = "application/x-www-form-urlencoded", description = "`payload`, as Slack sends it"),
    security(()),
    responses((status = 200, description = "taken, or nothing that is done here"), (status = 401, description = "not proven"),
    (status = 400, description = "proven, and cannot be read")))]
pub async fn take(
    State(state): State<AppState>,
    Path(named): Path<String>,
    client: Client,
    headers: HeaderMap,
    body: Body,
) -> Result<(), ApiError> {
    let Some(known) = known(&state, &named).await?.filter(|k| k.kind.buttons().is_some()) else {
        drain(body, MOST).await;
        return Err(unproven(&PressError::NotSetUp));
    };
    let body = read_body(body, MOST).await?;
    let all = headers.iter().filter_map(|(n, v)| Some((n.as_str().to_owned(), v.to_str().ok()?.to_owned())));
    let (headers, now) = (all.collect::<Vec<_>>(), state.clock.now());
    let pressed = known.kind.pressed(&known.settings, &Told { headers: &headers, body: &body, now });
    let press = match pressed {
        Ok(Some(press)) => press,
        Ok(None) => return Ok(()),
        Err(e @ PressError::Unreadable) => return Err(ApiError::bad_request("unreadable", e.to_string())),
        Err(e) => return Err(unproven(&e)),
    };
    let (asked, sealer, own) = (press.clone(), state.store.sealer().clone(), known.row.clone());
    let secret = known.settings.get("signing_secret").to_owned();
    let found = state.store.read(move |view| find(view, &sealer, &own, &secret, &asked)).await?;
    let Some(Found { told, free, actor }) = found else { return Ok(()) };
    if let Some(id) = free {
        match state.store.acknowledge_as(id, Some(None), actor).await {
            // Somebody was faster, or it is over by now: the message says so.
            Ok(_) | Err(CommandError::Conflict { .. } | CommandError::NotFound(_)) => {}
            Err(e) => return Err(e.into()),
        }
    }
    let here = Here { base_url: client.base_url(&state.config), now };
    // The tool waits three seconds for its answer; the message may take longer.
    tokio::spawn(async move {
        if let Err(e) = change(&state, known, told, press.place, here).await {
            tracing::debug!(error = %e, "the message in which a button was pressed stays as it was");
        }
    });
    Ok(())
}

async fn known(state: &AppState, named: &str) -> Result<Option<Known>, ApiError> {
    let Ok(id) = named.parse::<ChannelId>() else { return Ok(None) };
    let Some(row) = state.store.read(move |view| view.channel(id)).await? else { return Ok(None) };
    let Some(kind) = channels::find(&row.kind) else { return Ok(None) };
    let settings = opened(state.store.sealer(), kind, &row, None)?;
    Ok(Some(Known { kind, row, settings }))
}

/// What a press leads to.
struct Found {
    /// The message, or one like it.
    told: Notice,
    /// The incident, when nobody has it and it is open.
    free: Option<IncidentId>,
    actor: Actor,
}

fn find(
    view: &View,
    sealer: &Sealer,
    channel: &ChannelRow,
    secret: &str,
    press: &Press,
) -> Result<Option<Found>, StoreError> {
    // Only what was told there.
    let told = view.notices_of(press.incident)?.into_iter().rev().find(|n| n.channel == channel.id);
    let (Some(told), Some(mut home)) = (told, view.incident(press.incident)?) else { return Ok(None) };
    for _ in 0..DEEPEST {
        match home.merged_into.map(|into| view.incident(into)).transpose()?.flatten() {
            Some(into) => home = into,
            None => break,
        }
    }
    // A press that comes again does not undo what people did after it.
    let over = [TimelineKind::Unacknowledged, TimelineKind::Reopened];
    let latest = view.timeline(home.id, None, LATEST)?;
    let overtaken = latest.iter().any(|e| over.contains(&e.kind) && e.at > press.at);
    let free = home.is_open() && home.owner.is_none() && !overtaken;
    let actor = match person(view, sealer, channel, secret, press)? {
        Some(name) => Actor::Person(name),
        None => Actor::Sender(format!("{} ({})", press.name, channel.kind)),
    };
    Ok(Some(Found { told, free: free.then_some(home.id), actor }))
}

/// The account that has this id as its address at the channel, or at another one of the same app.
fn person(
    view: &View,
    sealer: &Sealer,
    channel: &ChannelRow,
    secret: &str,
    press: &Press,
) -> Result<Option<String>, StoreError> {
    let telling = view.telling()?;
    for contacts in telling.people.values() {
        let theirs = contacts.contacts.iter().filter(|c| c.address.as_deref() == Some(press.by.as_str()));
        for row in theirs.filter_map(|c| telling.channels.get(&c.channel.0)).filter(|r| r.kind == channel.kind) {
            let same = row.id == channel.id
                || row.secrets.get("signing_secret").is_some_and(|s| sealer.open(s).is_ok_and(|s| s == secret));
            if same && view.account(&contacts.person)?.is_some_and(|a| !a.disabled) {
                return Ok(Some(contacts.person.clone()));
            }
        }
    }
    Ok(None)
}

/// Has the message say how the incident stands.
async fn change(
    state: &AppState,
    known: Known,
    told: Notice,
    receipt: Receipt,
    here: Here,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let message = state.store.read(move |view| render::standing(view, &told, &here)).await?;
    let to = To { settings: known.settings, receipt, lasting: known.row.lasting };
    let call = message.and_then(|message| channels::change(known.kind.calls(&to, &message)));
    if let Some(call) = call {
        state.caller.make(&to.settings, &call).await?;
    }
    Ok(())
}
