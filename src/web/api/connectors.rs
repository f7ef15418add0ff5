//! Connectors: what is set, how they do, their keys, and a test.

use std::{collections::BTreeMap, time::Duration};

use axum::{Json as Answer, extract::State, http::StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::{incidents::given, listing};
use crate::{
    config::ConnectorConfig,
    connectors::{self as registry, Connector},
    ingest::{Refusal, new_key, settings::overridden},
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
/// Longer without a webhook is worth a word.
const QUIET: Duration = Duration::from_secs(3 * 3600);

/// A connector: settings, without secrets, and how it does.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct ConnectorObject {
    /// As in URLs.
    pub platform: String,
    /// As people write it.
    pub name: &'static str,
    /// Takes deliveries.
    pub enabled: bool,
    /// How senders prove who they are.
    pub auth: AuthMode,
    /// Where senders post.
    pub webhook_url: String,
    /// The key's last characters.
    pub key_masked: String,
    /// Until when the key before the last rotation works.
    pub old_key_until: Option<Time>,
    /// How the platform's own signature works; none when it has none.
    pub signature: Option<&'static str>,
    /// A secret for that signature is set.
    pub has_signing_secret: bool,
    /// A secret for Netdata's challenge is set.
    pub has_challenge_secret: bool,
    /// Basic user, when not any.
    pub basic_user: Option<String>,
    /// A Basic password of its own is set.
    pub has_basic_password: bool,
    /// Whether `rca_enabled` means something here.
    pub builds: bool,
    /// Failed builds open incidents.
    pub rca_enabled: bool,
    /// Severities that open or join incidents; empty means all but `info`.
    pub opens: Vec<Severity>,
    /// Sender's word to our severity.
    pub severity_map: BTreeMap<String, Severity>,
    /// Deliveries a minute; 0 is unlimited.
    pub rate_per_minute: u32,
    /// Settings that the configuration fixes; they cannot be changed here.
    pub fixed: Vec<&'static str>,
    /// How it does.
    #[serde(flatten)]
    pub health: ConnectorHealth,
    /// Made at.
    pub created_at: Time,
}

/// How a connector does.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct ConnectorHealth {
    /// receiving, quiet, refused, not_understood, limited, paused or waiting.
    pub state: &'static str,
    /// A delivery was accepted at some time.
    pub connected: bool,
    /// When the last one was accepted.
    pub last_webhook_received: Option<Time>,
    /// Accepted in the last 24 h.
    pub received_24h: u64,
    /// Refused or not understood in the last 24 h.
    pub refused_24h: u64,
    /// Latest problem.
    pub last_problem: Option<Problem>,
    /// When that was.
    pub last_problem_at: Option<Time>,
    /// When a sender last failed to prove who it is, since the start of the process.
    pub last_unauthorized: Option<Time>,
    /// Last sign of life of the sender (`Watchdog`).
    pub last_heartbeat: Option<Time>,
}

listing! {
    /// Connectors, by the contract's order.
    Connectors { connectors: ConnectorObject }
}

/// A connector as it is now; none for platforms that the store does not know.
pub fn describe(
    state: &AppState,
    view: &View,
    connector: &dyn Connector,
    base_url: &str,
) -> Result<Option<ConnectorObject>, StoreError> {
    let info = connector.info();
    let Some(s) = view.connector(info.slug)? else { return Ok(None) };
    let fixed = state.config.connectors.get(info.slug);
    let s = overridden(s, fixed);
    let counters = view.counters(info.slug)?;
    let now = state.clock.now();
    let turned_away = state.shared.door.turned_away(info.slug).map(|(at, _)| at);
    let key = state.store.sealer().open(&s.key)?;
    let tail: String = key.chars().skip(key.chars().count().saturating_sub(4)).collect();
    Ok(Some(ConnectorObject {
        platform: s.platform.clone(),
        name: info.name,
        enabled: s.enabled,
        auth: s.auth,
        webhook_url: format!("{base_url}/api/webhooks/{}", info.slug),
        key_masked: format!("••••{tail}"),
        old_key_until: s.old_key.as_ref().map(|(_, until)| *until).filter(|until| *until > now),
        signature: info.signature,
        has_signing_secret: s.signing_secret.is_some(),
        has_challenge_secret: s.challenge_secret.is_some(),
        has_basic_password: s.basic_password.is_some(),
        builds: info.builds,
        rca_enabled: s.rca_enabled,
        rate_per_minute: s.rate_per_minute,
        fixed: fixed.map(fixed_names).unwrap_or_default(),
        health: health(s.enabled, &counters, turned_away, now),
        created_at: s.created_at,
        basic_user: s.basic_user,
        opens: s.opens,
        severity_map: s.severity_map,
    }))
}

fn fixed_names(fixed: &ConnectorConfig) -> Vec<&'static str> {
    let mut names = Vec::new();
    let mut put = |is: bool, name| {
        if is {
            names.push(name);
        }
    };
    put(fixed.enabled.is_some(), "enabled");
    put(fixed.auth.is_some(), "auth");
    put(fixed.rca_enabled.is_some(), "rca_enabled");
    put(fixed.rate_per_minute.is_some(), "rate_per_minute");
    put(fixed.opens.is_some(), "opens");
    names
}

fn health(enabled: bool, c: &ConnectorCounters, turned_away: Option<Time>, now: Time) -> ConnectorHealth {
    let (received_24h, refused_24h) = c.last_24h(now);
    let problem_code = c.last_problem.as_ref().map(|(p, _)| p.code.as_str());
    let state = match (&c.last, c.last_accepted) {
        _ if !enabled => "paused",
        // What happens now says more than what went well before.
        (_, accepted) if turned_away.is_some_and(|at| accepted.is_none_or(|a| at > a)) => "refused",
        (Some((_, _, DeliveryOutcome::Unparsed)), _) => "not_understood",
        (Some((_, _, DeliveryOutcome::Refused)), _) if problem_code == Some("over_rate") => "limited",
        (Some((_, _, DeliveryOutcome::Refused)), _) => "refused",
        (_, Some(at)) if now.since(at) > QUIET => "quiet",
        (_, Some(_)) => "receiving",
        _ => "waiting",
    };
    ConnectorHealth {
        state,
        connected: c.last_accepted.is_some(),
        last_webhook_received: c.last_accepted,
        received_24h,
        refused_24h,
        last_problem: c.last_problem.as_ref().map(|(p, _)| p.clone()),
        last_problem_at: c.last_problem.as_ref().map(|(_, at)| *at),
        last_unauthorized: turned_away,
        last_heartbeat: c.last_heartbeat,
    }
}

fn find(platform: &str) -> Result<&'static dyn Connector, ApiError> {
    registry::find(platform).ok_or_else(|| unknown(platform))
}

fn unknown(platform: &str) -> ApiError {
    refused(platform, Refusal::UnknownPlatform(registry::near(platform)), 0)
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
    let until = state.clock.now().plus(OLD_KEY_WORKS);
    let swap = move |s: &mut ConnectorSettings| {
        let old = std::mem::replace(&mut s.key, sealed);
        s.old_key = Some((old, until));
    };
    change(state, platform, swap, json!({"key": "rotated"}), actor).await?;
    Ok(key)
}

/// Shows a connector's key, and writes that into the audit log.
pub async fn reveal(state: &AppState, platform: &str, actor: Actor) -> Result<String, ApiError> {
    let wanted = platform.to_owned();
    let found = state.store.read(move |view| view.connector(&wanted)).await?;
    let settings = found.ok_or_else(|| unknown(platform))?;
    // Written before it is shown: what is not in the log was not seen.
    state.store.audit(actor, "connector.reveal_key", platform.to_owned(), Value::Null).await?;
    Ok(state.store.sealer().open(&settings.key)?)
}

async fn described(state: &AppState, platform: &str, client: &Client) -> Result<ConnectorObject, ApiError> {
    let connector = find(platform)?;
    let (own, base) = (state.clone(), client.base_url(&state.config));
    let found = state.store.read(move |view| describe(&own, view, connector, &base)).await?;
    found.ok_or_else(|| unknown(platform))
}

/// All connectors.
#[utoipa::path(get, path = "/api/connectors", tag = "connectors", operation_id = "connectors_list", responses((status = 200, body = Connectors)))]
pub async fn list(_: Viewer, State(state): State<AppState>, client: Client) -> Result<Answer<Connectors>, ApiError> {
    let (own, base) = (state.clone(), client.base_url(&state.config));
    let all = move |view: &View| {
        let each = registry::ALL.iter().map(|c| describe(&own, view, *c, &base));
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
    enabled: Option<bool>,
    auth: Option<AuthMode>,
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    signing_secret: Option<Option<String>>,
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    challenge_secret: Option<Option<String>>,
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    basic_user: Option<Option<String>>,
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    basic_password: Option<Option<String>>,
    rca_enabled: Option<bool>,
    opens: Option<Vec<Severity>>,
    severity_map: Option<BTreeMap<String, Severity>>,
    rate_per_minute: Option<u32>,
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
            ("auth", self.auth.map(|v| json!(v))),
            ("signing_secret", secret(&self.signing_secret)),
            ("challenge_secret", secret(&self.challenge_secret)),
            ("basic_user", self.basic_user.as_ref().map(|v| json!(v))),
            ("basic_password", secret(&self.basic_password)),
            ("rca_enabled", self.rca_enabled.map(|v| json!(v))),
            ("opens", self.opens.as_ref().map(|v| json!(v))),
            ("severity_map", self.severity_map.as_ref().map(|v| json!(v))),
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
    find(platform)?;
    let what = patch.what();
    let fixed = state.config.connectors.get(platform).map(fixed_names).unwrap_or_default();
    if let Some(name) = fixed.into_iter().find(|name| what.contains_key(*name)) {
        let detail =
            format!("`{name}` is fixed by the configuration (`connectors.{platform}.{name}`) and is changed there");
        return Err(ApiError::new(StatusCode::CONFLICT, "fixed_by_configuration", detail));
    }
    for (path, secret) in [
        ("/signing_secret", &patch.signing_secret),
        ("/challenge_secret", &patch.challenge_secret),
        ("/basic_password", &patch.basic_password),
    ] {
        if secret.as_ref().and_then(Option::as_deref).is_some_and(|s| s.is_empty() || s.len() > 1024) {
            return Err(ApiError::invalid(path, "1 to 1024 bytes are taken; null takes it away"));
        }
    }
    let sealer = state.store.sealer();
    let seal = |s: Option<Option<String>>| s.map(|s| s.map(|s| sealer.seal(&s)).transpose()).transpose();
    let (signing, challenge, password) =
        (seal(patch.signing_secret)?, seal(patch.challenge_secret)?, seal(patch.basic_password)?);
    let edit = move |s: &mut ConnectorSettings| {
        s.enabled = patch.enabled.unwrap_or(s.enabled);
        s.auth = patch.auth.unwrap_or(s.auth);
        s.rca_enabled = patch.rca_enabled.unwrap_or(s.rca_enabled);
        s.rate_per_minute = patch.rate_per_minute.unwrap_or(s.rate_per_minute);
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
    apply(&state, &platform, patch, who.actor).await?;
    Ok(Answer(described(&state, &platform, &client).await?))
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
    _: Responder,
    State(state): State<AppState>,
    Path(platform): Path<String>,
) -> Result<Answer<Tested>, ApiError> {
    Ok(Answer(run_test(&state, &platform).await?))
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
    find(&platform)?;
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
    find(&platform)?;
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
    fn states() {
        let at = |s| Time::from_secs(1_772_500_000 + s);
        let id = DeliveryId::new(at(0), 1);
        let counters = |outcome, accepted: Option<i64>, code: Option<&str>| ConnectorCounters {
            last: Some((id, at(0), outcome)),
            last_accepted: accepted.map(at),
            last_problem: code.map(|c| (Problem { code: c.into(), detail: String::new(), path: None }, at(0))),
            ..ConnectorCounters::default()
        };
        use DeliveryOutcome::*;
        for (enabled, c, away, now, want) in [
            (true, ConnectorCounters::default(), None, 10, "waiting"),
            (true, ConnectorCounters::default(), Some(at(5)), 10, "refused"),
            (true, counters(Accepted, Some(0), None), None, 10, "receiving"),
            (true, counters(Accepted, Some(0), None), None, 4 * 3600, "quiet"),
            (true, counters(Accepted, Some(0), None), Some(at(5)), 10, "refused"),
            (true, counters(Accepted, Some(7), None), Some(at(5)), 10, "receiving"),
            (true, counters(Unparsed, Some(0), None), None, 10, "not_understood"),
            (true, counters(Refused, Some(0), Some("over_rate")), None, 10, "limited"),
            (false, counters(Accepted, Some(0), None), None, 10, "paused"),
        ] {
            assert_eq!(health(enabled, &c, away, at(now)).state, want, "{c:?} {away:?}");
        }
    }

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
