//! Sources that people declare: kept, tried, changed and removed while everything runs.

use std::{panic::AssertUnwindSafe, sync::Arc};

use serde_json::json;

use super::{
    accept::{Door, QUERY_HEADER, apply_settings},
    outcome::Arrival,
    settings::default_settings,
};
use crate::{
    config::Config,
    connectors::{
        self, Explained, Registry, Request,
        declared::{Declared, Trial, Wrong},
    },
    model::*,
    store::{CommandError, Store, StoreError},
};

/// Declared sources at most: each is a row, a key and a set of figures.
const MOST: usize = 200;
/// Larger bodies are not explained: a page has no place for it.
const EXPLAINED: usize = 1 << 20;

/// Why a declared source was not made, changed or tried.
#[derive(Clone, Debug, thiserror::Error)]
pub enum SourceError {
    /// The declaration does not work; everything that is wrong with it.
    #[error("{}", .0.iter().map(|w| format!("{}: {}", w.field, w.what)).collect::<Vec<_>>().join("; "))]
    Wrong(Vec<Wrong>),
    /// Another connector has the name.
    #[error("there is a connector {0} already; choose another name, or change that one")]
    Exists(String),
    /// There are too many.
    #[error("there are {MOST} declared sources already; remove one that is not used")]
    TooMany,
    /// No declared source has the name.
    #[error("there is no declared source {0}")]
    NotFound(String),
    /// It is a platform of this version.
    #[error("{0} is built in and cannot be changed or removed; it can be switched off")]
    BuiltIn(String),
    /// It stands in the configuration.
    #[error("{0} is declared in the configuration (`[sources.{0}]`) and is changed there")]
    Fixed(String),
    /// The delivery to try it on is no longer kept.
    #[error("there is no delivery {0}, or its body is no longer kept")]
    NoDelivery(DeliveryId),
    /// Reading failed in an unforeseen way.
    #[error("reading this body failed in an unforeseen way")]
    Failed,
    /// The store refused.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What to try a declaration on.
#[derive(Clone, Debug)]
pub enum Specimen {
    /// A delivery that is kept.
    Delivery(DeliveryId),
    /// A body.
    Body(Vec<u8>),
}

/// Puts every declared source into the registry; those of the configuration win over stored ones of the same name.
pub async fn load(registry: &Registry, store: &Store, config: &Config) -> Result<(), SourceError> {
    for settings in store.read(|view| view.connectors()).await? {
        let Some(declaration) = settings.declaration else { continue };
        match Declared::new(&settings.platform, declaration.clone(), false) {
            Ok(declared) => registry.put(Arc::new(declared)),
            // It worked when it was stored; a later version may know a word less. Its deliveries wait for the remedy.
            Err(wrong) => {
                let broken = Declared::broken(&settings.platform, declaration, wrong);
                tracing::error!(source = settings.platform, why = broken.fault(), "a declared source reads nothing");
                registry.put(Arc::new(broken));
            }
        }
    }
    for (slug, declaration) in &config.sources {
        registry.put(Arc::new(Declared::new(slug, declaration.clone(), true).map_err(SourceError::Wrong)?));
    }
    Ok(())
}

impl Door {
    /// Makes a source with a key of its own, in use from now on.
    pub async fn add_source(&self, slug: &str, declaration: Declaration, actor: Actor) -> Result<(), SourceError> {
        let declared = Declared::new(slug, declaration.clone(), false).map_err(SourceError::Wrong)?;
        let _alone = self.memory.declaring.lock().await;
        if self.memory.registry.find(slug).is_some() {
            return Err(SourceError::Exists(slug.to_owned()));
        }
        if self.memory.registry.declared().len() >= MOST {
            return Err(SourceError::TooMany);
        }
        let what = json!(declaration);
        let settings = ConnectorSettings {
            declaration: Some(declaration),
            ..default_settings(slug, self.clock.now(), self.store.sealer())?
        };
        self.store.add_connector(settings, what, actor).await?;
        self.memory.forget(slug);
        self.memory.registry.put(Arc::new(declared));
        Ok(())
    }

    /// Changes a source. What it delivered stays; what comes or is parsed again is read by the new declaration.
    pub async fn change_source(&self, slug: &str, declaration: Declaration, actor: Actor) -> Result<(), SourceError> {
        let _alone = self.memory.declaring.lock().await;
        self.changeable(slug)?;
        let declared = Declared::new(slug, declaration.clone(), false).map_err(SourceError::Wrong)?;
        let what = json!({ "declaration": declaration });
        let change = move |s: &mut ConnectorSettings| s.declaration = Some(declaration);
        self.store.update_connector(slug.to_owned(), change, what, actor).await?;
        self.memory.forget(slug);
        self.memory.registry.put(Arc::new(declared));
        Ok(())
    }

    /// Removes a source and its key. What it delivered stays, and so do its alerts and incidents.
    pub async fn remove_source(&self, slug: &str, actor: Actor) -> Result<(), SourceError> {
        let _alone = self.memory.declaring.lock().await;
        self.changeable(slug)?;
        // Nothing more is taken for it before its key is gone.
        self.memory.registry.remove(slug);
        let removed = self.store.remove_connector(slug.to_owned(), actor).await;
        self.memory.forget(slug);
        if let Err(e) = removed {
            load(&self.memory.registry, &self.store, &self.config).await?;
            return Err(e.into());
        }
        Ok(())
    }

    fn changeable(&self, slug: &str) -> Result<(), SourceError> {
        if connectors::find(slug).is_some() {
            return Err(SourceError::BuiltIn(slug.to_owned()));
        }
        let found = self.memory.registry.find(slug);
        match found.as_ref().and_then(|handle| handle.declared()) {
            None => Err(SourceError::NotFound(slug.to_owned())),
            Some(declared) if declared.is_fixed() => Err(SourceError::Fixed(slug.to_owned())),
            Some(_) => Ok(()),
        }
    }

    /// What a declaration would make of a body. Nothing is stored, and nothing comes of it.
    pub async fn try_source(
        &self,
        slug: &str,
        declaration: Declaration,
        specimen: Specimen,
    ) -> Result<Trial, SourceError> {
        let declared = Declared::new(slug, declaration, false).map_err(SourceError::Wrong)?;
        let _place = self.memory.reading.acquire().await.map_err(|_| StoreError::Stopped)?;
        let (arrival, body, at) = match specimen {
            Specimen::Body(body) => (Arrival::default(), body, self.clock.now()),
            Specimen::Delivery(id) => {
                let found = self.store.read(move |view| view.delivery(id.number())).await?.filter(|d| d.id == id);
                let delivery = found.ok_or(SourceError::NoDelivery(id))?;
                (as_it_came(delivery.headers), delivery.body, delivery.at)
            }
        };
        let mut trial = off_thread(move || declared.try_on(&read_at(&arrival, &body, at))).await?;
        let settings = self.memory.settings(slug, &self.store, &self.config).await?;
        if let (Ok(parsed), Some(settings)) = (&mut trial.parsed, settings) {
            apply_settings(slug, parsed, &settings);
        }
        Ok(trial)
    }

    /// Which field of a delivery's alerts is taken from where, and why, as its connector reads it today; empty where that
    /// is not a question, or the body is too large for it.
    pub async fn explain(&self, delivery: &Delivery) -> Result<Vec<Explained>, SourceError> {
        let Some(connector) = self.memory.registry.find(&delivery.platform) else { return Ok(Vec::new()) };
        if delivery.body.len() > EXPLAINED {
            return Ok(Vec::new());
        }
        let _place = self.memory.reading.acquire().await.map_err(|_| StoreError::Stopped)?;
        let (arrival, body, at) = (as_it_came(delivery.headers.clone()), delivery.body.clone(), delivery.at);
        off_thread(move || connector.explain(&read_at(&arrival, &body, at))).await
    }
}

fn as_it_came(headers: Vec<(String, String)>) -> Arrival {
    let kept = headers.iter().find(|(name, _)| name == QUERY_HEADER);
    let query = kept.map(|(_, q)| form_urlencoded::parse(q.as_bytes()).into_owned().collect()).unwrap_or_default();
    Arrival { headers, query, body: Vec::new() }
}

fn read_at<'a>(arrival: &'a Arrival, body: &'a [u8], at: Time) -> Request<'a> {
    Request { headers: &arrival.headers, query: &arrival.query, body, received_at: at, rca_enabled: false }
}

/// Reads on a thread that may be busy with it.
async fn off_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, SourceError> {
    let done = tokio::task::spawn_blocking(|| std::panic::catch_unwind(AssertUnwindSafe(work))).await;
    done.map_err(|_| StoreError::Stopped)?.map_err(|_| SourceError::Failed)
}
