//! Channels as people change them, by page or by API: checked by the kind's fields, proven where the kind asks for that,
//! then written. And the test message with what came of it.

use std::{collections::BTreeMap, time::Duration};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};

use super::state::AppState;
use crate::{
    model::*,
    notifications::{
        channels::{self, Channel},
        opened,
        setting::{self, Given, SettingError},
    },
    store::{ChannelPatch, CommandError, NewChannel, StoreError, seal},
};

/// Longest address of a person, in characters.
const ADDRESS: usize = 500;

/// What is asked of a channel; what is not named stays.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Wanted {
    /// Its name.
    pub name: Option<String>,
    /// All settings, secrets among them; a secret that is missing stays, an empty one goes.
    pub settings: Option<BTreeMap<String, String>>,
    /// Messages go there.
    pub enabled: Option<bool>,
    /// Where messages go that cannot be told here.
    pub fallback: Option<Option<ChannelId>>,
}

/// Makes a channel.
///
/// # Errors
/// The kind is not known, settings are wrong (`/settings/KEY`), the receiver did not prove itself, or the store refused.
pub async fn make(state: &AppState, kind: &str, wanted: Wanted, actor: Actor) -> Result<ChannelRow, CommandError> {
    let channel = known(kind)?;
    let given = checked(state, channel, &wanted.settings.unwrap_or_default(), None).await?;
    let mut new = NewChannel {
        name: wanted.name.unwrap_or_default(),
        kind: channel.info().kind.to_owned(),
        settings: given.settings,
        secrets: BTreeMap::new(),
        shown: BTreeMap::new(),
        enabled: wanted.enabled.unwrap_or(true),
        fallback: wanted.fallback.flatten(),
    };
    for (key, secret) in given.secrets {
        if let Some((sealed, shown)) = secret {
            new.secrets.insert(key.clone(), sealed);
            new.shown.insert(key, shown);
        }
    }
    state.store.make_channel(new, actor).await
}

/// Changes a channel. Whatever is changed, the receiver proves itself again, but for a channel that is only switched off:
/// that must be possible when nobody answers there.
///
/// # Errors
/// As for making one; or there is none of that id.
pub async fn change(state: &AppState, id: ChannelId, wanted: Wanted, actor: Actor) -> Result<ChannelRow, CommandError> {
    let before = state.store.read(move |view| view.channel(id)).await?;
    let before = before.ok_or_else(|| CommandError::NotFound(format!("channel {id}")))?;
    let only_off = wanted == Wanted { enabled: Some(false), ..Wanted::default() };
    let mut patch = ChannelPatch {
        name: wanted.name,
        enabled: wanted.enabled,
        fallback: wanted.fallback,
        ..ChannelPatch::default()
    };
    if !only_off {
        let channel = known(&before.kind)?;
        let settings = wanted.settings.unwrap_or_else(|| before.settings.clone());
        let given = checked(state, channel, &settings, Some(&before)).await?;
        (patch.settings, patch.secrets) = (Some(given.settings), given.secrets);
    }
    state.store.change_channel(id, patch, actor).await
}

fn known(kind: &str) -> Result<&'static dyn Channel, CommandError> {
    channels::find(kind).ok_or_else(|| {
        let all: Vec<&str> = channels::ALL.iter().map(|c| c.info().kind).collect();
        CommandError::Mistakes(vec![Mistake::new("/kind", format!("one of {} is needed", all.join(", ")))])
    })
}

async fn checked(
    state: &AppState,
    channel: &dyn Channel,
    settings: &BTreeMap<String, String>,
    before: Option<&ChannelRow>,
) -> Result<Given, CommandError> {
    let refused = |e: SettingError| match e {
        SettingError::Wrong(wrong) => CommandError::Mistakes(wrong),
        SettingError::Store(e) => e.into(),
    };
    let plain = state.caller.plain_http();
    let given = setting::read(channel, settings, before, state.store.sealer(), plain).map_err(refused)?;
    let mut bytes = [0; 32];
    seal::random(&mut bytes)?;
    let nonce = BASE64_URL_SAFE_NO_PAD.encode(bytes);
    setting::prove(&state.caller, channel, &given.whole, &nonce).await.map_err(refused)?;
    Ok(given)
}

/// What is wrong with a person's own address at a channel, if anything.
///
/// # Errors
/// Its secrets cannot be opened.
pub fn address_mistake(state: &AppState, row: &ChannelRow, address: &str) -> Result<Option<String>, StoreError> {
    let Some(channel) = channels::find(&row.kind) else { return Ok(None) };
    if address.trim().is_empty() || address.chars().count() > ADDRESS || address.chars().any(char::is_control) {
        return Ok(Some(format!(
            "1 to {ADDRESS} characters on one line are needed; leave it out for the channel's own"
        )));
    }
    let Some(key) = channel.info().address else {
        return Ok(Some(format!("“{}” leads to one place only; leave the address out", row.name)));
    };
    let place = format!("/settings/{key}");
    let whole = opened(state.store.sealer(), channel, row, Some(address))?;
    Ok(channel.check(&whole).into_iter().find(|m| m.path == place).map(|m| m.what))
}

/// What is wrong with the addresses of ways to reach a person.
///
/// # Errors
/// The store cannot be read.
pub async fn contact_mistakes(state: &AppState, contacts: &[Contact]) -> Result<Vec<Mistake>, StoreError> {
    let channels = state.store.read(|view| Ok(view.telling()?.channels)).await?;
    let mut wrong = Vec::new();
    for (n, contact) in contacts.iter().enumerate() {
        let Some((row, address)) = channels.get(&contact.channel.0).zip(contact.address.as_deref()) else { continue };
        let what = address_mistake(state, row, address)?;
        wrong.extend(what.map(|what| Mistake::new(format!("/contacts/{n}/address"), what)));
    }
    Ok(wrong)
}

/// Has a test message sent and waits for what comes of it, at most so long; the message as it stands then.
///
/// # Errors
/// There is no such channel.
pub async fn test(
    state: &AppState,
    id: ChannelId,
    address: Option<String>,
    actor: Actor,
    within: Duration,
) -> Result<Notice, CommandError> {
    let mut changes = state.store.changes();
    let notice = state.store.test_channel(id, address, actor).await?;
    let tried = async {
        loop {
            changes.mark_unchanged();
            let row = state.store.read(move |view| view.notice(notice)).await?;
            let row = row.ok_or_else(|| CommandError::NotFound(format!("notification {notice}")))?;
            // A failed try is an answer too, although it is tried again.
            if !row.is_pending() || !row.attempts.is_empty() || changes.changed().await.is_err() {
                return Ok(row);
            }
        }
    };
    match tokio::time::timeout(within, tried).await {
        Ok(row) => row,
        Err(_) => {
            let row = state.store.read(move |view| view.notice(notice)).await?;
            row.ok_or_else(|| CommandError::NotFound(format!("notification {notice}")))
        }
    }
}
