//! The key file and the secrets that it opens: whether they belong together, and what to do when it is lost.

use std::path::PathBuf;

use super::{AppError, close, ensure_connectors, open_store};
use crate::{
    config::Config,
    ingest::settings::new_key,
    model::{Actor, ConnectorSettings, Platform, Sealed, Time},
    runtime::clock::Clock,
    store::{Store, StoreError, seal::Sealer},
};

/// What a new key file meant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Renewed {
    /// Where the key file is that did not fit.
    pub aside: Option<PathBuf>,
    /// Connectors with a new key.
    pub keys: Vec<Platform>,
    /// Of these, the ones whose secrets of other places must be entered again.
    pub lost_secrets: Vec<Platform>,
}

fn all(settings: &ConnectorSettings) -> impl Iterator<Item = &Sealed> {
    let others = [&settings.signing_secret, &settings.challenge_secret, &settings.basic_password];
    let old = settings.old_keys.iter().map(|(key, _)| key);
    let cloud = settings.cloud.as_ref().map(|account| &account.token);
    std::iter::once(&settings.key).chain(old).chain(others.into_iter().flatten()).chain(cloud)
}

/// Refuses to go on with a key file of another database: every sender would be refused, one by one.
pub async fn check(store: &Store) -> Result<(), AppError> {
    let sealer = store.sealer().clone();
    if !store.read(move |view| Ok(unreadable(view.connectors()?, &sealer))).await?.is_empty() {
        return Err(AppError::Key(store.dir().join("secret.key").display().to_string()));
    }
    Ok(())
}

fn unreadable(mut settings: Vec<ConnectorSettings>, sealer: &Sealer) -> Vec<ConnectorSettings> {
    settings.retain(|s| all(s).any(|sealed| sealer.open(sealed).is_err()));
    settings
}

/// Makes a new key file for a stopped server whose own is lost, and new keys for its connectors. None when the one that
/// is there fits: then nothing is changed.
pub async fn rekey(config: &Config, clock: Clock) -> Result<Option<Renewed>, AppError> {
    match open_store(config, clock.clone()).await {
        Err(AppError::Store(StoreError::NoKey(_))) => {}
        Err(e) => return Err(e),
        Ok(store) => {
            let checked = check(&store).await;
            close(store).await;
            match checked {
                Ok(()) => return Ok(None),
                Err(AppError::Key(_)) => {}
                Err(e) => return Err(e),
            }
        }
    }
    let aside = Sealer::renew_file(&config.data_dir, clock.now())?;
    let store = open_store(config, clock.clone()).await?;
    let done = renew(&store, clock.now()).await;
    let ensured = ensure_connectors(&store, &clock, config).await;
    close(store).await;
    ensured?;
    Ok(Some(Renewed { aside, ..done? }))
}

async fn renew(store: &Store, now: Time) -> Result<Renewed, AppError> {
    let sealer = store.sealer().clone();
    let lost = store.read(move |view| Ok(unreadable(view.connectors()?, &sealer))).await?;
    let mut renewed = Renewed::default();
    for settings in lost {
        let key = store.sealer().seal(&new_key()?)?;
        let change = move |s: &mut ConnectorSettings| {
            s.key = key;
            s.old_keys.clear();
            (s.signing_secret, s.challenge_secret, s.basic_password) = (None, None, None);
            s.cloud = None;
        };
        let platform = settings.platform.clone();
        let what = serde_json::json!({ "rekey": now });
        store.update_connector(platform.clone(), change, what, Actor::System).await?;
        let others = [&settings.signing_secret, &settings.challenge_secret, &settings.basic_password];
        if others.iter().any(|s| s.is_some()) || settings.cloud.is_some() {
            renewed.lost_secrets.push(platform.clone());
        }
        renewed.keys.push(platform);
    }
    Ok(renewed)
}
