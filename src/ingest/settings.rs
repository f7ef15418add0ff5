//! What holds for a connector: its stored settings, with what the configuration fixes on top, ready to be compared with.

use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};

use crate::{
    config::ConnectorConfig,
    model::*,
    store::{StoreError, seal::Sealer},
};

/// A connector's settings with its secrets opened. Keys only as digests: they are compared, never shown from here.
#[derive(Clone)]
pub struct Effective {
    /// Takes deliveries.
    pub enabled: bool,
    /// Takes none until then.
    pub paused_until: Option<Time>,
    /// How senders prove who they are.
    pub auth: AuthMode,
    /// Digests of the keys that work, and until when.
    pub keys: Vec<([u8; 32], Option<Time>)>,
    /// Secret of the platform's own signature.
    pub signing_secret: Option<String>,
    /// Secret of Netdata's challenge.
    pub challenge_secret: Option<String>,
    /// Basic user, when not any.
    pub basic_user: Option<String>,
    /// Digest of the Basic password, when not the key.
    pub basic_password: Option<[u8; 32]>,
    /// Failed builds open incidents.
    pub rca_enabled: bool,
    /// Sender's word to our severity.
    pub severity_map: BTreeMap<String, Severity>,
    /// Ends an alert after so many seconds without a repeat, where the platform's own way is not wanted.
    pub closes_after_secs: Option<u32>,
    /// What makes an alert the same as another, in place of the connector's own rule; empty for that.
    pub identity: Vec<IdentityField>,
    /// Deliveries a minute; 0 is unlimited.
    pub rate_per_minute: u32,
}

impl std::fmt::Debug for Effective {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Effective").field("enabled", &self.enabled).field("auth", &self.auth).finish_non_exhaustive()
    }
}

impl Effective {
    /// Whether deliveries are taken now.
    pub fn takes(&self, now: Time) -> bool {
        self.enabled && self.paused_until.is_none_or(|until| until <= now)
    }

    /// Opens the secrets.
    pub fn open(
        settings: &ConnectorSettings,
        fixed: Option<&ConnectorConfig>,
        sealer: &Sealer,
    ) -> Result<Self, StoreError> {
        let settings = overridden(settings.clone(), fixed);
        let opened = |s: &Option<Sealed>| s.as_ref().map(|s| sealer.open(s)).transpose();
        let mut keys = vec![(digest(&sealer.open(&settings.key)?), None)];
        for (old, until) in &settings.old_keys {
            keys.push((digest(&sealer.open(old)?), Some(*until)));
        }
        Ok(Self {
            enabled: settings.enabled,
            paused_until: settings.paused_until,
            auth: settings.auth,
            keys,
            signing_secret: opened(&settings.signing_secret)?,
            challenge_secret: opened(&settings.challenge_secret)?,
            basic_user: settings.basic_user.clone(),
            basic_password: opened(&settings.basic_password)?.as_deref().map(digest),
            rca_enabled: settings.rca_enabled,
            severity_map: settings.severity_map.clone(),
            closes_after_secs: settings.closes_after_secs,
            identity: settings.identity.clone(),
            rate_per_minute: settings.rate_per_minute,
        })
    }
}

/// The settings with what the configuration fixes.
pub fn overridden(mut settings: ConnectorSettings, fixed: Option<&ConnectorConfig>) -> ConnectorSettings {
    if let Some(fixed) = fixed {
        settings.enabled = fixed.enabled.unwrap_or(settings.enabled);
        settings.paused_until = settings.paused_until.filter(|_| fixed.enabled.is_none());
        settings.auth = fixed.auth.unwrap_or(settings.auth);
        settings.rca_enabled = fixed.rca_enabled.unwrap_or(settings.rca_enabled);
        settings.rate_per_minute = fixed.rate_per_minute.unwrap_or(settings.rate_per_minute);
        settings.group_by_sender = fixed.group_by_sender.unwrap_or(settings.group_by_sender);
        if let Some(identity) = &fixed.identity {
            settings.identity.clone_from(identity);
        }
        if let Some(opens) = &fixed.opens {
            settings.opens.clone_from(opens);
        }
    }
    settings
}

/// A new connector key: 192 random bits that may stand in a path.
pub fn new_key() -> Result<String, StoreError> {
    let mut bytes = [0u8; 24];
    getrandom::fill(&mut bytes).map_err(|e| StoreError::Io(format!("the system gives no random numbers: {e}")))?;
    Ok(format!("wk_{}", URL_SAFE_NO_PAD.encode(bytes)))
}

/// The settings of a platform that has none yet, with a key of its own.
pub fn default_settings(platform: &str, now: Time, sealer: &Sealer) -> Result<ConnectorSettings, StoreError> {
    Ok(ConnectorSettings {
        platform: platform.to_owned(),
        enabled: true,
        paused_until: None,
        auth: AuthMode::AnyOf,
        key: sealer.seal(&new_key()?)?,
        old_keys: Vec::new(),
        signing_secret: None,
        challenge_secret: None,
        basic_user: None,
        basic_password: None,
        rca_enabled: false,
        opens: Vec::new(),
        group_by_sender: false,
        severity_map: BTreeMap::new(),
        closes_after_secs: None,
        identity: Vec::new(),
        rate_per_minute: 6000,
        test_token: None,
        cloud: None,
        created_at: now,
        declaration: None,
    })
}

/// SHA-256 of a secret: what is compared, so that comparing tells nothing of its length either.
pub fn digest(secret: &str) -> [u8; 32] {
    Sha256::digest(secret.as_bytes()).into()
}
