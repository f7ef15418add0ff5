//! A connector as it is: its settings without secrets, and how it does.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    config::ConnectorConfig,
    connectors::{Handle, declared::Wrong},
    ingest::settings::overridden,
    model::*,
    store::{StoreError, View},
    web::{error::FieldError, health::Health, state::AppState},
};

/// A connector: settings, without secrets, and how it does.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct ConnectorObject {
    /// As in URLs.
    pub platform: String,
    /// As people write it.
    pub name: String,
    /// Takes deliveries.
    pub enabled: bool,
    /// Takes none until then.
    pub paused_until: Option<Time>,
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
    /// How many seconds without a repeat end an alert: as set, else where the platform never says that one is over.
    pub closes_after_secs: Option<u32>,
    /// Severities that open or join incidents; empty means all but `info`.
    pub opens: Vec<Severity>,
    /// What the sender puts into one group (`groupKey`) joins one incident, when it begins in its window.
    pub group_by_sender: bool,
    /// Sender's word to our severity.
    pub severity_map: BTreeMap<String, Severity>,
    /// What makes two signals the same alert, in order; empty for the connector's own rule.
    pub identity: Vec<String>,
    /// Which of those fields gave nothing since they were set, in how many signals; after a change also what the last
    /// deliveries say of it.
    pub identity_warnings: Vec<String>,
    /// Deliveries a minute; 0 is unlimited.
    pub rate_per_minute: u32,
    /// Settings that the configuration fixes; they cannot be changed here.
    pub fixed: Vec<&'static str>,
    /// How it is read, for a source that people declared.
    pub declaration: Option<Declaration>,
    /// Why that does not work, when it was stored by a version that took it: nothing is read until it is changed.
    pub declaration_errors: Vec<FieldError>,
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

/// A connector as it is now; none for platforms that the store does not know.
pub fn describe(
    state: &AppState,
    view: &View,
    connector: &Handle,
    base_url: &str,
) -> Result<Option<ConnectorObject>, StoreError> {
    let info = connector.info();
    let slug = connector.slug();
    let Some(s) = view.connector(slug)? else { return Ok(None) };
    let fixed = state.config.connectors.get(slug);
    let s = overridden(s, fixed);
    let declared = connector.declared();
    let mut names = fixed.map(fixed_names).unwrap_or_default();
    if declared.is_some_and(|d| d.is_fixed()) {
        names.push("declaration");
    }
    let counters = view.counters(slug)?;
    let now = state.clock.now();
    let door = &state.shared.door;
    let health = health(Health::of(&s, &counters, door, now), &counters, door.turned_away(slug).map(|r| r.last), now);
    let key = state.store.sealer().open(&s.key)?;
    let tail: String = key.chars().skip(key.chars().count().saturating_sub(4)).collect();
    Ok(Some(ConnectorObject {
        platform: s.platform.clone(),
        name: connector.name().to_owned(),
        enabled: s.enabled,
        paused_until: s.paused(now),
        auth: s.auth,
        webhook_url: format!("{base_url}/api/webhooks/{slug}"),
        key_masked: format!("••••{tail}"),
        old_key_until: s.old_key_until(now),
        signature: info.signature,
        has_signing_secret: s.signing_secret.is_some(),
        has_challenge_secret: s.challenge_secret.is_some(),
        has_basic_password: s.basic_password.is_some(),
        builds: info.builds,
        closes_after_secs: s.closes_after_secs.or_else(|| connector.quiet_secs()),
        rca_enabled: s.rca_enabled,
        identity: s.identity.iter().map(ToString::to_string).collect(),
        identity_warnings: identity_warnings(&s.identity, &counters),
        rate_per_minute: s.rate_per_minute,
        fixed: names,
        declaration: declared.map(|d| d.declaration().clone()),
        declaration_errors: declared.map(|d| declaration_errors(d.faults())).unwrap_or_default(),
        health,
        created_at: s.created_at,
        basic_user: s.basic_user,
        opens: s.opens,
        group_by_sender: s.group_by_sender,
        severity_map: s.severity_map,
    }))
}

/// What is wrong with a declaration, part by part.
pub(super) fn declaration_errors(wrong: &[Wrong]) -> Vec<FieldError> {
    wrong.iter().map(|w| FieldError::new(format!("/{}", w.field), w.what.clone())).collect()
}

/// Fields of the rule in use that gave nothing, with counts.
pub fn identity_warnings(fields: &[IdentityField], counters: &ConnectorCounters) -> Vec<String> {
    let asked = counters.identity_asked;
    let missing = fields.iter().filter_map(|f| Some((f, counters.identity_missing.get(&f.to_string())?)));
    let told = missing.map(|(field, n)| {
        format!("{field} said nothing in {n} of {asked} signals: the connector's own rule was used for them.")
    });
    told.collect()
}

/// The settings that the configuration fixes.
pub fn fixed_names(fixed: &ConnectorConfig) -> Vec<&'static str> {
    let mut names = Vec::new();
    let mut put = |is: bool, name| {
        if is {
            names.push(name);
        }
    };
    put(fixed.enabled.is_some(), "enabled");
    put(fixed.enabled.is_some(), "paused_until");
    put(fixed.auth.is_some(), "auth");
    put(fixed.rca_enabled.is_some(), "rca_enabled");
    put(fixed.rate_per_minute.is_some(), "rate_per_minute");
    put(fixed.opens.is_some(), "opens");
    put(fixed.group_by_sender.is_some(), "group_by_sender");
    put(fixed.identity.is_some(), "identity");
    names
}

fn health(is: Health, c: &ConnectorCounters, turned_away: Option<Time>, now: Time) -> ConnectorHealth {
    let (received_24h, refused_24h) = c.last_24h(now);
    ConnectorHealth {
        state: is.word(),
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
