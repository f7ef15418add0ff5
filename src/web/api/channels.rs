//! Channels: where messages go. Secrets are taken and never told; what is set is proved to be theirs who set it.

use std::{collections::BTreeMap, time::Duration};

use axum::{
    Json as Answer,
    extract::State,
    http::{HeaderName, StatusCode, header},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{incidents::given, listing};
use crate::{
    model::*,
    web::{
        auth::{Admin, Viewer},
        channels::{self as set, Wanted},
        error::ApiError,
        extract::{Json, OptionalJson, Path},
        state::AppState,
    },
};

/// How long a test is waited for: somewhat more than one call may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// A place where messages go.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct ChannelObject {
    /// `CH-2`.
    id: ChannelId,
    /// As people call it.
    name: String,
    /// A kind of `/api/channel-kinds`.
    kind: String,
    /// What is set; a secret as its last four letters, of an address also its host.
    settings: BTreeMap<String, String>,
    /// Messages go there.
    enabled: bool,
    /// Where messages go that cannot be told here.
    fallback: Option<ChannelId>,
    /// How it does.
    health: ChannelHealth,
    /// Messages that wait for it.
    waiting: u64,
    /// When it was made.
    created_at: Time,
    /// By whom.
    created_by: String,
    /// When a person last changed it.
    updated_at: Time,
}

impl ChannelObject {
    fn of(row: ChannelRow, waiting: u64) -> Self {
        let mut settings = row.settings;
        settings.extend(row.shown);
        Self {
            id: row.id,
            name: row.name,
            kind: row.kind,
            settings,
            enabled: row.enabled,
            fallback: row.fallback,
            health: row.health,
            waiting,
            created_at: row.created_at,
            created_by: row.created_by,
            updated_at: row.updated_at,
        }
    }
}

listing! {
    /// Channels, oldest first.
    Channels { channels: ChannelObject }
}

/// A channel to be made.
#[derive(Debug, Deserialize, ToSchema)]
pub struct MakeChannel {
    /// 1 to 100 characters; no two channels are called the same.
    #[serde(default)]
    name: String,
    /// A kind of `/api/channel-kinds`.
    #[serde(default)]
    kind: String,
    /// Its settings, secrets among them.
    #[serde(default)]
    settings: BTreeMap<String, String>,
    /// Messages go there.
    #[serde(default = "yes")]
    enabled: bool,
    /// Where messages go that cannot be told here.
    #[serde(default)]
    fallback: Option<ChannelId>,
}

fn yes() -> bool {
    true
}

/// What is changed of a channel; what is left out stays.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default)]
pub struct ChangeChannel {
    /// 1 to 100 characters.
    name: Option<String>,
    /// Those that change; an empty one is taken away. A secret that is given as it is shown stays.
    settings: Option<BTreeMap<String, String>>,
    /// Messages go there.
    enabled: Option<bool>,
    /// Null for none.
    #[serde(deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    fallback: Option<Option<ChannelId>>,
}

/// Where a test goes.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default)]
pub struct TestChannel {
    /// Another address than the channel's own: of a person.
    address: Option<String>,
}

/// What came of a test.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct ChannelTest {
    /// The message.
    notification: NoticeId,
    /// The target took it.
    ok: bool,
    /// Where it stands: `sent`, `failed`, or `waiting` when nothing was heard in time.
    state: NoticeState,
    /// The status of the answer, if there was one.
    status: Option<u16>,
    /// What the target said, or why there was no answer.
    said: String,
    /// How long it took, in ms; none when it was not tried in time.
    took_ms: Option<u64>,
    /// How the channel does now.
    health: ChannelHealth,
}

fn id(text: &str) -> Result<ChannelId, ApiError> {
    text.parse().map_err(|_| ApiError::not_found(format!("channel `{}`", text.chars().take(60).collect::<String>())))
}

async fn row(state: &AppState, id: ChannelId) -> Result<ChannelRow, ApiError> {
    let found = state.store.read(move |view| view.channel(id)).await?;
    found.ok_or_else(|| ApiError::not_found(format!("channel {id}")))
}

async fn object(state: &AppState, row: ChannelRow) -> Result<ChannelObject, ApiError> {
    let waiting = state.store.read(|view| view.waiting_notices()).await?;
    let waiting = waiting.get(&row.id).copied().unwrap_or_default();
    Ok(ChannelObject::of(row, waiting))
}

/// Every channel with how it does.
#[utoipa::path(get, path = "/api/channels", tag = "notifications", operation_id = "channels_list",
    responses((status = 200, body = Channels)))]
pub async fn list(_: Viewer, State(state): State<AppState>) -> Result<Answer<Channels>, ApiError> {
    let (rows, waiting) = state.store.read(|view| Ok((view.channels()?, view.waiting_notices()?))).await?;
    let of = |row: ChannelRow| {
        let waiting = waiting.get(&row.id).copied().unwrap_or_default();
        ChannelObject::of(row, waiting)
    };
    Ok(Answer(Channels::all(rows.into_iter().map(of).collect())))
}

/// Makes a channel, once its receiver has shown that it is whoever it should be where the kind asks for that.
#[utoipa::path(post, path = "/api/channels", tag = "notifications", operation_id = "channel_make", request_body = MakeChannel,
    responses((status = 201, body = ChannelObject), (status = 422, description = "every mistake with its place")))]
pub async fn make(
    who: Admin,
    State(state): State<AppState>,
    Json(new): Json<MakeChannel>,
) -> Result<(StatusCode, [(HeaderName, String); 1], Answer<ChannelObject>), ApiError> {
    let wanted = Wanted {
        name: Some(new.name),
        settings: Some(new.settings),
        enabled: Some(new.enabled),
        fallback: Some(new.fallback),
    };
    let made = set::make(&state, &new.kind, wanted, who.actor).await?;
    let location = [(header::LOCATION, format!("/api/channels/{}", made.id))];
    Ok((StatusCode::CREATED, location, Answer(ChannelObject::of(made, 0))))
}

/// One channel.
#[utoipa::path(get, path = "/api/channels/{id}", tag = "notifications", operation_id = "channel_get", params(("id" = String, Path)),
    responses((status = 200, body = ChannelObject)))]
pub async fn get(
    _: Viewer,
    State(state): State<AppState>,
    Path(named): Path<String>,
) -> Result<Answer<ChannelObject>, ApiError> {
    let row = row(&state, id(&named)?).await?;
    Ok(Answer(object(&state, row).await?))
}

/// Changes a channel. Its receiver shows again that it is whoever it should be, whatever is changed; one that is switched
/// off when it is switched on.
#[utoipa::path(patch, path = "/api/channels/{id}", tag = "notifications", operation_id = "channel_change", request_body = ChangeChannel,
    params(("id" = String, Path)), responses((status = 200, body = ChannelObject), (status = 422, description = "every mistake with its place")))]
pub async fn change(
    who: Admin,
    State(state): State<AppState>,
    Path(named): Path<String>,
    Json(c): Json<ChangeChannel>,
) -> Result<Answer<ChannelObject>, ApiError> {
    let before = row(&state, id(&named)?).await?;
    let mut settings = before.settings.clone();
    settings.extend(c.settings.unwrap_or_default());
    settings.retain(|key, value| before.shown.get(key) != Some(value));
    // All of them, so that the receiver is asked whatever is changed.
    let wanted = Wanted { name: c.name, settings: Some(settings), enabled: c.enabled, fallback: c.fallback };
    let changed = set::change(&state, before.id, wanted, who.actor).await?;
    Ok(Answer(object(&state, changed).await?))
}

/// Removes a channel that nothing uses. What waits for it is dropped.
#[utoipa::path(delete, path = "/api/channels/{id}", tag = "notifications", operation_id = "channel_remove", params(("id" = String, Path)),
    responses((status = 204), (status = 409, description = "something uses it")))]
pub async fn remove(
    who: Admin,
    State(state): State<AppState>,
    Path(named): Path<String>,
) -> Result<StatusCode, ApiError> {
    state.store.remove_channel(id(&named)?, who.actor).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Sends a test message and waits for the target's answer, up to 20 s. A channel that was given up is tried all the same.
#[utoipa::path(post, path = "/api/channels/{id}/test", tag = "notifications", operation_id = "channel_test", request_body = TestChannel,
    params(("id" = String, Path)), responses((status = 200, body = ChannelTest, description = "`ok` says whether the target took it"),
    (status = 422, description = "the address cannot be one of this channel")))]
pub async fn test(
    who: Admin,
    State(state): State<AppState>,
    Path(named): Path<String>,
    OptionalJson(to): OptionalJson<TestChannel>,
) -> Result<Answer<ChannelTest>, ApiError> {
    let row = row(&state, id(&named)?).await?;
    if let Some(address) = &to.address
        && let Some(what) = set::address_mistake(&state, &row, address)?
    {
        return Err(ApiError::invalid("/address", what));
    }
    let address = to.address.map(|a| a.trim().to_owned());
    let notice = set::test(&state, row.id, address, who.actor, PATIENCE).await?;
    let health = self::row(&state, row.id).await?.health;
    let last = notice.attempts.last();
    let nothing = || "Nothing was heard in time; the message stays on its way.".to_owned();
    Ok(Answer(ChannelTest {
        notification: notice.id,
        ok: notice.state == NoticeState::Sent,
        state: notice.state,
        status: last.and_then(|a| a.status),
        said: last.map(|a| a.said.clone()).or_else(|| notice.why.clone()).unwrap_or_else(nothing),
        took_ms: last.map(|a| a.took_ms),
        health,
    }))
}
