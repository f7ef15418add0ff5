use super::{Listing, View};
use crate::{model::*, store::StoreError};

impl View {
    /// Everybody, by name.
    pub fn accounts(&self) -> Result<Vec<Account>, StoreError> {
        unimplemented!()
    }

    /// One person.
    pub fn account(&self, _name: &str) -> Result<Option<Account>, StoreError> {
        unimplemented!()
    }

    /// The session whose cookie hashes to this.
    pub fn session(&self, _hash: &[u8; 32]) -> Result<Option<Session>, StoreError> {
        unimplemented!()
    }

    /// All tokens, by name.
    pub fn tokens(&self) -> Result<Vec<Token>, StoreError> {
        unimplemented!()
    }

    /// The token that hashes to this.
    pub fn token(&self, _hash: &[u8; 32]) -> Result<Option<Token>, StoreError> {
        unimplemented!()
    }

    /// The audit log, latest first, entries with a number below `before` only.
    pub fn audit(&self, _before: Option<u64>, _limit: usize) -> Result<Listing<AuditEntry>, StoreError> {
        unimplemented!()
    }
}
