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
    /// Deliveries a minute; 0 is unlimited.
    pub rate_per_minute: u32,
}

impl std::fmt::Debug for Effective {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Effective").field("enabled", &self.enabled).field("auth", &self.auth).finish_non_exhaustive()
    }
}

impl Effective {
    /// Opens the secrets.
    pub fn open(
        settings: &ConnectorSettings,
        fixed: Option<&ConnectorConfig>,
        sealer: &Sealer,
    ) -> Result<Self, StoreError> {
        let mut settings = settings.clone();
        if let Some(fixed) = fixed {
            fixed.over(&mut settings);
        }
        let opened = |s: &Option<Sealed>| s.as_ref().map(|s| sealer.open(s)).transpose();
        let mut keys = vec![(digest(&sealer.open(&settings.key)?), None)];
        if let Some((old, until)) = &settings.old_key {
            keys.push((digest(&sealer.open(old)?), Some(*until)));
        }
        Ok(Self {
            enabled: settings.enabled,
            auth: settings.auth,
            keys,
            signing_secret: opened(&settings.signing_secret)?,
            challenge_secret: opened(&settings.challenge_secret)?,
            basic_user: settings.basic_user.clone(),
            basic_password: opened(&settings.basic_password)?.as_deref().map(digest),
            rca_enabled: settings.rca_enabled,
            severity_map: settings.severity_map.clone(),
            rate_per_minute: settings.rate_per_minute,
        })
    }
}

/// A new connector key: 192 random bits that may stand in a path.
pub fn new_key() -> Result<String, StoreError> {
    let mut bytes = [0u8; 24];
    getrandom::fill(&mut bytes).map_err(|e| StoreError::Io(format!("the system gives no random numbers: {e}")))?;
    Ok(format!("wk_{}", URL_SAFE_NO_PAD.encode(bytes)))
}

/// SHA-256 of a secret: what is compared, so that comparing tells nothing of its length either.
pub fn digest(secret: &str) -> [u8; 32] {
    Sha256::digest(secret.as_bytes()).into()
}
