//! People, sessions, tokens, audit; what people taught.

use redb::ReadableTable;

use super::{Listing, View};
use crate::{
    model::*,
    store::{StoreError, codec, tables},
};

impl View {
    /// Everybody, by name.
    pub fn accounts(&self) -> Result<Vec<Account>, StoreError> {
        self.table(tables::ACCOUNTS)?.iter()?.map(|row| codec::decode(row?.1.value())).collect()
    }

    /// One person.
    pub fn account(&self, name: &str) -> Result<Option<Account>, StoreError> {
        self.row(tables::ACCOUNTS, name)
    }

    /// The session whose cookie hashes to this.
    pub fn session(&self, hash: &[u8; 32]) -> Result<Option<Session>, StoreError> {
        self.row(tables::SESSIONS, *hash)
    }

    /// All tokens, by name.
    pub fn tokens(&self) -> Result<Vec<Token>, StoreError> {
        let mut tokens: Vec<Token> = self
            .table(tables::TOKENS)?
            .iter()?
            .map(|row| codec::decode(row?.1.value()))
            .collect::<Result<_, StoreError>>()?;
        tokens.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(tokens)
    }

    /// The token that hashes to this.
    pub fn token(&self, hash: &[u8; 32]) -> Result<Option<Token>, StoreError> {
        self.row(tables::TOKENS, *hash)
    }

    /// The audit log, latest first, entries with a number below `before` only.
    pub fn audit(&self, before: Option<u64>, limit: usize) -> Result<Listing<AuditEntry>, StoreError> {
        self.everything(tables::AUDIT, before, limit)
    }

    /// What people's corrections taught, the latest confirmed first.
    pub fn lessons(&self) -> Result<Vec<Lesson>, StoreError> {
        let rows = self.table(tables::LESSONS)?;
        let mut lessons: Vec<Lesson> =
            rows.iter()?.map(|row| codec::decode(row?.1.value())).collect::<Result<_, StoreError>>()?;
        lessons.sort_by(|a, b| (b.last_at, &a.alert, &a.incident).cmp(&(a.last_at, &b.alert, &b.incident)));
        Ok(lessons)
    }
}
