//! An error that stays until what caused it is mended. Many threads ask for it, for each delivery, and mostly there is
//! none: asking then writes nothing that others read.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use super::StoreError;

/// The error, if there is one.
#[derive(Debug, Default)]
pub struct Trouble {
    error: Mutex<Option<StoreError>>,
    is_there: AtomicBool,
}

impl Trouble {
    /// The error.
    pub fn get(&self) -> Option<StoreError> {
        if !self.is_there.load(Ordering::Acquire) {
            return None;
        }
        self.error.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Replaces it.
    pub fn set(&self, error: Option<StoreError>) {
        self.change(|held| *held = error);
    }

    /// Keeps this one, unless there is one before it: the first says why, those after it only that there was one.
    pub fn keep(&self, error: &StoreError) {
        self.change(|held| *held = held.take().or_else(|| Some(error.clone())));
    }

    fn change(&self, change: impl FnOnce(&mut Option<StoreError>)) {
        let mut held = self.error.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut held);
        self.is_there.store(held.is_some(), Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_error_stays_until_it_is_replaced() {
        let trouble = Trouble::default();
        let is = |wanted: Option<&StoreError>| {
            assert_eq!(trouble.get().map(|e| e.to_string()), wanted.map(ToString::to_string));
        };
        is(None);
        trouble.keep(&StoreError::Full);
        trouble.keep(&StoreError::Stopped);
        is(Some(&StoreError::Full));
        trouble.set(Some(StoreError::Stopped));
        is(Some(&StoreError::Stopped));
        trouble.set(None);
        is(None);
    }
}
