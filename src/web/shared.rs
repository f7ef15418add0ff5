//! What the web room keeps in memory.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::Duration,
};

use tokio::sync::Semaphore;

use super::{
    auth::{
        limits::LoginLimits,
        oidc::Oidc,
        proxied::{Collisions, Strangers},
        secret::{self, NoRandom},
    },
    tls::Tls,
};
use crate::{
    config::Config,
    ingest::{Memory, rate::SharedTicks},
    model::{Session, Time, Token},
    runtime::clock::Clock,
    store::Overview,
};

/// Requests that wait for an answer, of all connections. One of HTTP/2 carries many.
const MOST_REQUESTS: usize = 8192;

/// Limits, the one-time set-up secret, what the door remembers, metrics.
pub struct Shared {
    /// TLS of the listener.
    pub tls: Arc<Tls>,
    /// What the door remembers of senders.
    pub door: Arc<Memory>,
    /// How often somebody may try to sign in.
    pub logins: LoginLimits,
    /// How often somebody may open links of messages.
    pub links: LoginLimits,
    /// The OpenID provider, where one is configured.
    pub oidc: Option<Oidc>,
    /// Who sends headers that are not believed from them.
    pub strangers: Strangers,
    /// To whom set-up has shown the key of which connector: a page that reloads itself is one look.
    pub shown: Strangers<(String, &'static str)>,
    /// Names that a proxy gave to somebody although they are another person's.
    pub collisions: Collisions,
    /// Figures for `/metrics`.
    pub metrics: super::metrics::Metrics,
    /// The memory that the bodies of all requests may hold.
    pub bodies: super::room::Room,
    /// Requests that wait for the head of their answer; beyond this number they are turned away at once.
    pub(super) requests: Semaphore,
    /// Events written once for all streams.
    pub rendered: super::sse::Rendered,
    /// The figures of the watch panel, and the last change in them: read once for all pages that are told of it.
    pub(super) figures: tokio::sync::Mutex<Option<(u64, Overview)>>,
    /// How many incidents saved views show.
    pub saved: super::saved_views::SavedCounts,
    /// Who is editing which part of a postmortem.
    pub editing: super::editing::Editing,
    /// What can be taken back with one press.
    pub undos: super::undo::Undos,
    /// Passwords that are hashed at the same time.
    pub(super) hashing: Arc<Semaphore>,
    /// What the password of an unknown name is compared with.
    pub(super) nobodys_hash: OnceLock<String>,
    setup_secret: String,
    bootstrap: Option<[u8; 32]>,
    touched: Mutex<HashMap<[u8; 32], Time>>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Shared(…)")
    }
}

impl Shared {
    /// At the start of the process; makes a new set-up secret.
    pub fn new(config: &Config, clock: &Clock, tls: Arc<Tls>) -> Result<Self, NoRandom> {
        let ticks = SharedTicks::new(clock.clone());
        Ok(Self {
            door: Arc::new(Memory::new(ticks.clone(), tls.trust(), config.outside.clone())),
            tls,
            logins: LoginLimits::new(ticks.clone()),
            links: LoginLimits::new(ticks),
            oidc: Oidc::of(&config.sign_in),
            strangers: Strangers::default(),
            shown: Strangers::default(),
            collisions: Collisions::default(),
            metrics: super::metrics::Metrics::new(),
            bodies: super::room::Room::default(),
            requests: Semaphore::new(MOST_REQUESTS),
            rendered: super::sse::Rendered::default(),
            figures: tokio::sync::Mutex::default(),
            saved: super::saved_views::SavedCounts::default(),
            editing: super::editing::Editing::default(),
            undos: super::undo::Undos::default(),
            hashing: Arc::new(Semaphore::new(2)),
            nobodys_hash: OnceLock::new(),
            setup_secret: secret::random::<32>()?,
            bootstrap: config.bootstrap_token.as_deref().map(secret::digest),
            touched: Mutex::default(),
        })
    }

    /// The one-time link that makes the first account, under the address that people reach us by. It works while there
    /// is no account.
    pub fn setup_link(&self, base_url: &str) -> String {
        format!("{}/setup?token={}", base_url.trim_end_matches('/'), self.setup_secret)
    }

    /// Whether this is the secret of that link.
    pub fn is_setup_secret(&self, given: &str) -> bool {
        secret::same(&secret::digest(given), &secret::digest(&self.setup_secret))
    }

    /// Whether this is the digest of the configured token.
    pub fn is_bootstrap(&self, hash: &[u8; 32]) -> bool {
        self.bootstrap.is_some_and(|b| secret::same(&b, hash))
    }

    /// Whether the use of a token should be noted: once an hour.
    pub fn should_touch(&self, token: &Token, now: Time) -> bool {
        self.touch(token.hash, token.last_used, now, Duration::from_secs(3600))
    }

    /// Whether the use of a session should be noted: every five minutes.
    pub fn should_touch_session(&self, hash: [u8; 32], session: &Session, now: Time) -> bool {
        let used = session.last_used.unwrap_or(session.created_at);
        self.touch(hash, Some(used), now, Duration::from_secs(300))
    }

    fn touch(&self, hash: [u8; 32], used: Option<Time>, now: Time, every: Duration) -> bool {
        let before = now.minus(every);
        if used.is_some_and(|used| used > before) {
            return false;
        }
        let mut touched = self.touched.lock().unwrap_or_else(PoisonError::into_inner);
        if touched.get(&hash).is_some_and(|at| *at > before) {
            return false;
        }
        let oldest = now.minus(Duration::from_secs(3600));
        touched.retain(|_, at| *at > oldest);
        touched.insert(hash, now);
        true
    }
}
