//! Connectors: what is set, how they do, their keys, and a test.

use std::{collections::BTreeMap, time::Duration};

use axum::{Json as Answer, extract::State, http::StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

pub use super::connector_object::{ConnectorHealth, ConnectorObject, describe, fixed_names, identity_warnings};
use super::{
    connector_identity::{LAST, identity_fields},
    incidents::given,
    listing,
};
use crate::{
    connectors::Handle,
    ingest::{Refusal, new_key},
    model::*,
    store::{AlertFilter, StoreError, View},
    web::{
        auth::{Admin, Client, Responder, Viewer},
        error::ApiError,
        extract::{Json, Path},
        hooks::{Taken, TakenAlert, refused},
        state::AppState,
    },
};

/// How long a rotated key still works.
pub const OLD_KEY_WORKS: Duration = Duration::from_secs(24 * 3600);
/// Longest secret, in bytes.
const LONGEST_SECRET: usize = 1024;
/// Longest list of senders and their certificates, in bytes.
const LONGEST_LIST: usize = 16 << 10;
/// Seconds without a repeat after which an alert may be told to end: a minute to thirty days.
const CLOSES_AFTER: std::ops::RangeInclusive<u32> = 60..=30 * 24 * 3600;
listing! {
    /// Connectors, by the contract's order.
    Connectors { connectors: ConnectorObject }
}

fn find(state: &AppState, platform: &str) -> Result<Handle, ApiError> {
    state.shared.door.registry.find(platform).ok_or_else(|| unknown(state, platform))
}

/// Whether there is such a connector; else the answer that names near ones.
pub fn known(state: &AppState, platform: &str) -> Result<(), ApiError> {
    find(state, platform).map(drop)
}

fn unknown(state: &AppState, platform: &str) -> ApiError {
    refused(platform, Refusal::UnknownPlatform(state.shared.door.registry.near(platform)), 0)
}

/// Changes the settings of a connector. Every change goes through here, so that the door learns of it at once.
pub async fn change(
    state: &AppState,
    platform: &str,
    change: impl FnOnce(&mut ConnectorSettings) + Send + 'static,
    what: Value,
    actor: Actor,
) -> Result<ConnectorSettings, ApiError> {
    let done = state.store.update_connector(platform.to_owned(), change, what, actor).await;
    state.shared.door.forget(platform);
    Ok(done?)
}

/// Gives a connector a new key; the old one works for 24 hours more. The new key.
pub async fn rotate(state: &AppState, platform: &str, actor: Actor) -> Result<String, ApiError> {
    let key = new_key()?;
    let sealed = state.store.sealer().seal(&key)?;
    let now = state.clock.now();
    let swap = move |s: &mut ConnectorSettings| s.rotate(sealed, now, now.plus(OLD_KEY_WORKS));
    change(state, platform, swap, json!({"key": "rotated"}), actor).await?;
    Ok(key)
}

/// Shows a connector's key, and writes that into the audit log.
pub async fn reveal(state: &AppState, platform: &str, actor: Actor) -> Result<String, ApiError> {
    let wanted = platform.to_owned();
    let found = state.store.read(move |view| view.connector(&wanted)).await?;
    let settings = found.ok_or_else(|| unknown(state, platform))?;
    // Written before it is shown: what is not in the log was not seen.
    state.store.audit(actor, "connector.reveal_key", platform.to_owned(), Value::Null).await?;
    Ok(state.store.sealer().open(&settings.key)?)
}

pub(super) async fn described(state: &AppState, platform: &str, client: &Client) -> Result<ConnectorObject, ApiError> {
    let connector = find(state, platform)?;
    let (own, base) = (state.clone(), client.base_url(&state.config));
    let found = state.store.read(move |view| describe(&own, view, &connector, &base)).await?;
    found.ok_or_else(|| unknown(state, platform))
}

/// All connectors.
#[utoipa::path(get, path = "/api/connectors", tag = "connectors", operation_id = "connectors_list", responses((status = 200, body = Connectors)))]
pub async fn list(_: Viewer, State(state): State<AppState>, client: Client) -> Result<Answer<Connectors>, ApiError> {
    let (own, base) = (state.clone(), client.base_url(&state.config));
    let all = move |view: &View| {
        let all = own.shared.door.registry.all();
        let each = all.iter().map(|c| describe(&own, view, c, &base));
        Ok(each.collect::<Result<Vec<_>, StoreError>>()?.into_iter().flatten().collect())
    };
    Ok(Answer(Connectors::all(state.store.read(all).await?)))
}

/// One connector.
#[utoipa::path(get, path = "/api/connectors/{platform}", tag = "connectors", operation_id = "connector_get",
    params(("platform" = String, Path)), responses((status = 200, body = ConnectorObject)))]
pub async fn get(
    _: Viewer,
    State(state): State<AppState>,
    client: Client,
    Path(platform): Path<String>,
) -> Result<Answer<ConnectorObject>, ApiError> {
    Ok(Answer(described(&state, &platform, &client).await?))
}

/// What may be changed; what is left out stays. Secrets can be written and never read; null takes them away.
#[derive(Default, Deserialize, ToSchema)]
pub struct ConnectorPatch {
    /// Takes deliveries.
    pub enabled: Option<bool>,
    /// Takes nothing until then; null ends a pause.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    pub paused_until: Option<Option<Time>>,
    /// How senders prove who they are.
    pub auth: Option<AuthMode>,
    /// Secret of the platform's own signature.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    pub signing_secret: Option<Option<String>>,
    /// Secret of Netdata's challenge.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    pub challenge_secret: Option<Option<String>>,
    /// Basic user, when not any.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    pub basic_user: Option<Option<String>>,
    /// Basic password, when not the key.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    pub basic_password: Option<Option<String>>,
    /// Failed builds open incidents.
    pub rca_enabled: Option<bool>,
    /// Severities that open or join incidents.
    pub opens: Option<Vec<Severity>>,
    /// The sender's own groups count as one.
    pub group_by_sender: Option<bool>,
    /// Sender's word to our severity.
    pub severity_map: Option<BTreeMap<String, Severity>>,
    /// Ends an alert after so many seconds without a repeat.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<u32>)]
    pub closes_after_secs: Option<Option<u32>>,
    /// What makes two signals the same alert, in order; empty for the connector's own rule. Try it first.
    pub identity: Option<Vec<String>>,
    /// Deliveries a minute; 0 is unlimited.
    pub rate_per_minute: Option<u32>,
}

impl ConnectorPatch {
    /// The names of what it changes, and for the audit log the values, without secrets.
    fn what(&self) -> serde_json::Map<String, Value> {
        let mut what = serde_json::Map::new();
        let secret = |s: &Option<Option<String>>| {
            s.as_ref().map(|s| if s.is_some() { json!("set") } else { json!("taken away") })
        };
        for (name, value) in [
            ("enabled", self.enabled.map(|v| json!(v))),
            ("paused_until", self.paused_until.map(|v| json!(v))),
            ("auth", self.auth.map(|v| json!(v))),
            ("signing_secret", secret(&self.signing_secret)),
            ("challenge_secret", secret(&self.challenge_secret)),
            ("basic_user", self.basic_user.as_ref().map(|v| json!(v))),
            ("basic_password", secret(&self.basic_password)),
            ("rca_enabled", self.rca_enabled.map(|v| json!(v))),
            ("group_by_sender", self.group_by_sender.map(|v| json!(v))),
            ("opens", self.opens.as_ref().map(|v| json!(v))),
            ("severity_map", self.severity_map.as_ref().map(|v| json!(v))),
            ("closes_after_secs", self.closes_after_secs.map(|v| json!(v))),
            ("identity", self.identity.as_ref().map(|v| json!(v))),
            ("rate_per_minute", self.rate_per_minute.map(|v| json!(v))),
        ] {
            if let Some(value) = value {
                what.insert(name.to_owned(), value);
            }
        }
        what
    }
}

/// Changes a connector's settings.
pub async fn apply(state: &AppState, platform: &str, patch: ConnectorPatch, actor: Actor) -> Result<(), ApiError> {
    let connector = find(state, platform)?;
    // Where a platform signs by certificates, they stand there too.
    let longest = if connector.certified().is_some() { LONGEST_LIST } else { LONGEST_SECRET };
    let what = patch.what();
    let fixed = state.config.connectors.get(platform).map(fixed_names).unwrap_or_default();
    if let Some(name) = fixed.into_iter().find(|name| what.contains_key(*name)) {
        let detail =
            format!("`{name}` is fixed by the configuration (`connectors.{platform}.{name}`) and is changed there");
        return Err(ApiError::new(StatusCode::CONFLICT, "fixed_by_configuration", detail));
    }
    for (path, secret, longest) in [
        ("/signing_secret", &patch.signing_secret, longest),
        ("/challenge_secret", &patch.challenge_secret, LONGEST_SECRET),
        ("/basic_password", &patch.basic_password, LONGEST_SECRET),
    ] {
        if secret.as_ref().and_then(Option::as_deref).is_some_and(|s| s.is_empty() || s.len() > longest) {
            return Err(ApiError::invalid(path, format!("1 to {longest} bytes are taken; null takes it away")));
        }
    }
    if patch.closes_after_secs.flatten().is_some_and(|secs| !CLOSES_AFTER.contains(&secs)) {
        let detail = "60 to 2592000 seconds are taken; null leaves it to the platform's own way";
        return Err(ApiError::invalid("/closes_after_secs", detail));
    }
    let identity = patch.identity.as_deref().map(|texts| identity_fields(texts, "/identity")).transpose()?;
    let sealer = state.store.sealer();
    let seal = |s: Option<Option<String>>| s.map(|s| s.map(|s| sealer.seal(&s)).transpose()).transpose();
    let (signing, challenge, password) =
        (seal(patch.signing_secret)?, seal(patch.challenge_secret)?, seal(patch.basic_password)?);
    let edit = move |s: &mut ConnectorSettings| {
        s.enabled = patch.enabled.unwrap_or(s.enabled);
        s.paused_until = patch.paused_until.unwrap_or(s.paused_until);
        s.auth = patch.auth.unwrap_or(s.auth);
        s.rca_enabled = patch.rca_enabled.unwrap_or(s.rca_enabled);
        s.group_by_sender = patch.group_by_sender.unwrap_or(s.group_by_sender);
        s.rate_per_minute = patch.rate_per_minute.unwrap_or(s.rate_per_minute);
        s.closes_after_secs = patch.closes_after_secs.unwrap_or(s.closes_after_secs);
        if let Some(identity) = identity {
            s.identity = identity;
        }
        if let Some(opens) = patch.opens {
            s.opens = opens;
        }
        if let Some(map) = patch.severity_map {
            // Compared without case, so kept without.
            s.severity_map = map.into_iter().map(|(word, severity)| (word.trim().to_lowercase(), severity)).collect();
        }
        if let Some(user) = patch.basic_user {
            s.basic_user = user.filter(|u| !u.is_empty());
        }
        for (slot, new) in
            [(&mut s.signing_secret, signing), (&mut s.challenge_secret, challenge), (&mut s.basic_password, password)]
        {
            if let Some(new) = new {
                *slot = new;
            }
        }
    };
    if !what.is_empty() {
        change(state, platform, edit, Value::Object(what), actor).await?;
    }
    Ok(())
}

/// Changes a connector.
#[utoipa::path(patch, path = "/api/connectors/{platform}", tag = "connectors", operation_id = "connector_patch", request_body = ConnectorPatch,
    params(("platform" = String, Path)), responses((status = 200, body = ConnectorObject), (status = 409, description = "fixed by the configuration")))]
pub async fn patch(
    who: Admin,
    State(state): State<AppState>,
    client: Client,
    Path(platform): Path<String>,
    Json(patch): Json<ConnectorPatch>,
) -> Result<Answer<ConnectorObject>, ApiError> {
    let identity = patch.identity.as_deref().map(|texts| identity_fields(texts, "/identity")).transpose()?;
    // Before it is saved: what it is compared with is the rule in use.
    let warnings = match identity.filter(|fields| !fields.is_empty()) {
        Some(fields) => {
            known(&state, &platform)?;
            state.door().try_identity(&platform, fields, LAST).await?.warnings()
        }
        None => Vec::new(),
    };
    apply(&state, &platform, patch, who.actor).await?;
    let mut object = described(&state, &platform, &client).await?;
    object.identity_warnings.extend(warnings);
    Ok(Answer(object))
}

/// What a test did.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Tested {
    /// The code that the sender would have got.
    pub status: u16,
    /// How long it took to store.
    pub took_ms: u64,
    /// As for a sender.
    #[serde(flatten)]
    pub taken: Taken,
}

/// Sends the platform's sample through the real path, marked as a test, and waits for its effect.
pub async fn run_test(state: &AppState, platform: &str) -> Result<Tested, ApiError> {
    let began = state.clock.now();
    let taken = state.door().test(platform).await.map_err(|r| refused(platform, r, state.config.max_body))?;
    let took_ms = u64::try_from(state.clock.now().since(began).as_millis()).unwrap_or(u64::MAX);
    let results = crate::web::applied(state, taken.stored.seq, Duration::from_secs(5)).await?;
    let alerts = match results {
        Some(applied) => applied.into_iter().map(TakenAlert::Applied).collect(),
        None => taken.signals.iter().map(|(f, s)| TakenAlert::Stored { fingerprint: *f, status: *s }).collect(),
    };
    let status = if taken.problem.is_some() { 422 } else { taken.success };
    Ok(Tested { status, took_ms, taken: Taken { delivery_id: taken.stored.id, alerts, problem: taken.problem } })
}

/// Sends a test.
#[utoipa::path(post, path = "/api/connectors/{platform}/test", tag = "connectors", operation_id = "connector_test",
    params(("platform" = String, Path)), responses((status = 200, body = Tested)))]
pub async fn test(
    who: Responder,
    State(state): State<AppState>,
    Path(platform): Path<String>,
) -> Result<Answer<Tested>, ApiError> {
    let tested = run_test(&state, &platform).await?;
    note_test(&state, who.actor, platform).await?;
    Ok(Answer(tested))
}

/// Writes into the audit log that somebody sent a test.
pub async fn note_test(state: &AppState, actor: Actor, platform: String) -> Result<(), ApiError> {
    Ok(state.store.audit(actor, "connector.test", platform, Value::Null).await?)
}

/// A key, shown.
#[derive(Serialize, ToSchema)]
pub struct Shown {
    /// The key.
    key: String,
    /// Until when the one before works.
    old_key_until: Option<Time>,
}

/// Makes a new key; the old one works for 24 hours more.
#[utoipa::path(post, path = "/api/connectors/{platform}/rotate-key", tag = "connectors", operation_id = "connector_rotate_key",
    params(("platform" = String, Path)), responses((status = 200, body = Shown)))]
pub async fn rotate_key(
    who: Admin,
    State(state): State<AppState>,
    Path(platform): Path<String>,
) -> Result<Answer<Shown>, ApiError> {
    find(&state, &platform)?;
    let old_key_until = Some(state.clock.now().plus(OLD_KEY_WORKS));
    Ok(Answer(Shown { key: rotate(&state, &platform, who.actor).await?, old_key_until }))
}

/// Shows the key; that is written into the audit log.
#[utoipa::path(post, path = "/api/connectors/{platform}/reveal-key", tag = "connectors", operation_id = "connector_reveal_key",
    params(("platform" = String, Path)), responses((status = 200, body = Shown)))]
pub async fn reveal_key(
    who: Admin,
    State(state): State<AppState>,
    Path(platform): Path<String>,
) -> Result<Answer<Shown>, ApiError> {
    find(&state, &platform)?;
    Ok(Answer(Shown { key: reveal(&state, &platform, who.actor).await?, old_key_until: None }))
}

/// Whether a platform is connected.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct PlatformStatus {
    /// How it does.
    #[serde(flatten)]
    health: ConnectorHealth,
    /// The platform's own address, from the links of its latest alert.
    base_url: Option<String>,
    /// Where it posts to.
    webhook_url: String,
}

/// Whether a platform is connected, and how it does.
#[utoipa::path(get, path = "/api/{platform}/status", tag = "connectors", operation_id = "platform_status",
    params(("platform" = String, Path)), responses((status = 200, body = PlatformStatus)))]
pub async fn status(
    _: Viewer,
    State(state): State<AppState>,
    client: Client,
    Path(platform): Path<String>,
) -> Result<Answer<PlatformStatus>, ApiError> {
    let connector = described(&state, &platform, &client).await?;
    let filter = AlertFilter { sources: vec![platform], ..AlertFilter::default() };
    let latest = state.store.read(move |view| view.alerts(&filter, None, 1)).await?;
    let base_url = latest.items.first().and_then(|a| a.source_url.as_deref()).and_then(origin);
    Ok(Answer(PlatformStatus { health: connector.health, base_url, webhook_url: connector.webhook_url }))
}

fn origin(url: &str) -> Option<String> {
    let parsed: axum::http::Uri = url.parse().ok()?;
    let host = parsed.authority()?.as_str().rsplit('@').next()?;
    Some(format!("{}://{host}", parsed.scheme_str()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_audit_log_gets_no_secrets() {
        let patch: ConnectorPatch =
            serde_json::from_str(r#"{"signing_secret":"s3cret","basic_password":null,"enabled":false}"#).unwrap();
        let what = Value::Object(patch.what());
        assert_eq!(what, json!({"signing_secret": "set", "basic_password": "taken away", "enabled": false}));
    }

    #[test]
    fn origins() {
        assert_eq!(origin("https://u:p@g.example.com:3000/d/1?x=2").as_deref(), Some("https://g.example.com:3000"));
        assert_eq!(origin("not a link"), None);
    }
}
