//! The connectors in use: the fixed list, and beside it those that people declared.

use std::{
    collections::BTreeMap,
    fmt,
    ops::Deref,
    sync::{Arc, PoisonError, RwLock},
};

use super::{ALL, Connector, declared::Declared, find, nearest};

/// A connector in use. Cheap to clone.
#[derive(Clone)]
pub enum Handle {
    /// Part of this version.
    Fixed(&'static dyn Connector),
    /// Declared by people.
    Declared(Arc<Declared>),
}

impl Deref for Handle {
    type Target = dyn Connector;

    fn deref(&self) -> &Self::Target {
        match self {
            Self::Fixed(connector) => *connector,
            Self::Declared(connector) => connector.as_ref(),
        }
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Handle").field(&self.slug()).finish()
    }
}

impl Handle {
    /// The declared source, when it is one.
    pub fn declared(&self) -> Option<&Arc<Declared>> {
        match self {
            Self::Fixed(_) => None,
            Self::Declared(declared) => Some(declared),
        }
    }
}

/// All connectors in use. The fixed ones are found without a lock.
#[derive(Debug, Default)]
pub struct Registry {
    declared: RwLock<BTreeMap<String, Arc<Declared>>>,
}

impl Registry {
    /// The connector of that name in URLs. A declared source never stands in the way of a fixed one.
    pub fn find(&self, slug: &str) -> Option<Handle> {
        if let Some(fixed) = find(slug) {
            return Some(Handle::Fixed(fixed));
        }
        self.read(|declared| declared.get(slug).cloned()).map(Handle::Declared)
    }

    /// Every connector: the fixed ones in the order of the contract, then the declared ones by name.
    pub fn all(&self) -> Vec<Handle> {
        let fixed = ALL.iter().map(|c| Handle::Fixed(*c));
        fixed.chain(self.declared().into_iter().map(Handle::Declared)).collect()
    }

    /// The declared ones by name, without those whose name this version gives to a platform.
    pub fn declared(&self) -> Vec<Arc<Declared>> {
        self.read(|declared| declared.values().filter(|d| find(d.slug()).is_none()).cloned().collect())
    }

    /// Connectors whose names are near this one, nearest first, for an answer that helps.
    pub fn near(&self, slug: &str) -> Vec<String> {
        self.read(|declared| {
            let known = ALL.iter().map(|c| c.info().slug).chain(declared.keys().map(String::as_str));
            nearest(slug, known).into_iter().map(str::to_owned).collect()
        })
    }

    /// Puts a declared source in, in the place of the one of its name.
    pub fn put(&self, declared: Arc<Declared>) {
        let mut all = self.declared.write().unwrap_or_else(PoisonError::into_inner);
        all.insert(declared.slug().to_owned(), declared);
    }

    /// Takes a declared source out.
    pub fn remove(&self, slug: &str) {
        self.declared.write().unwrap_or_else(PoisonError::into_inner).remove(slug);
    }

    fn read<T>(&self, look: impl FnOnce(&BTreeMap<String, Arc<Declared>>) -> T) -> T {
        look(&self.declared.read().unwrap_or_else(PoisonError::into_inner))
    }
}
