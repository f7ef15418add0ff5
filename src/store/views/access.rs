//! People, sessions, tokens, audit; what people taught.

use redb::ReadableTable;

use super::{Listing, View};
use crate::{
    model::*,
    query::{all_words, among},
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

    /// All sessions that have not run out, with their keys; the one used last comes first.
    pub fn sessions(&self, now: Time) -> Result<Vec<([u8; 32], Session)>, StoreError> {
        let mut found = Vec::new();
        for row in self.table(tables::SESSIONS)?.iter()? {
            let (hash, bytes) = row?;
            let session: Session = codec::decode(bytes.value())?;
            if session.expires_at > now {
                found.push((hash.value(), session));
            }
        }
        found.sort_by_key(|(_, s)| std::cmp::Reverse(s.last_used.unwrap_or(s.created_at)));
        Ok(found)
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

    /// The same, only what is wanted; each with its number.
    pub fn audit_of(
        &self,
        filter: &AuditFilter,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Listing<(u64, AuditEntry)>, StoreError> {
        if *filter == AuditFilter::default() {
            let total = redb::ReadableTableMetadata::len(&self.table(tables::AUDIT)?)?;
            let (items, next) = self.audit_page(filter, before, limit)?;
            return Ok(Listing { items, next, total, total_is_exact: true, looked_through: None });
        }
        let (items, next) = self.audit_page(filter, before, limit)?;
        let mut listing = Listing { items, next, total: 0, total_is_exact: true, looked_through: None };
        // From the newest on, so that every page says the same.
        for (read, row) in self.newest(tables::AUDIT, None)?.enumerate() {
            let entry: AuditEntry = codec::decode(row?.1.value())?;
            if read == AUDITED {
                listing.total_is_exact = false;
                break;
            }
            if filter.since.is_some_and(|since| entry.at < since) {
                break;
            }
            listing.total += u64::from(wanted(filter, &entry));
        }
        Ok(listing)
    }

    /// The entries of one page with their numbers, and where the next one begins.
    #[allow(clippy::type_complexity, reason = "both go into a listing")]
    pub fn audit_page(
        &self,
        filter: &AuditFilter,
        before: Option<u64>,
        limit: usize,
    ) -> Result<(Vec<(u64, AuditEntry)>, Option<u64>), StoreError> {
        let mut items = Vec::new();
        for (read, row) in self.newest(tables::AUDIT, before)?.enumerate() {
            let (number, bytes) = row?;
            if read == AUDITED {
                // The page is short; its cursor goes on from here.
                return Ok((items, Some(number + 1)));
            }
            let entry: AuditEntry = codec::decode(bytes.value())?;
            if filter.since.is_some_and(|since| entry.at < since) {
                break;
            }
            if !wanted(filter, &entry) {
                continue;
            }
            if items.len() == limit {
                return Ok((items, Some(number + 1)));
            }
            items.push((number, entry));
        }
        Ok((items, None))
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

/// Entries of the audit log looked at for one page at most.
const AUDITED: usize = 50_000;

fn wanted(filter: &AuditFilter, entry: &AuditEntry) -> bool {
    filter.until.is_none_or(|until| entry.at < until)
        && among(&filter.actor, Some(&entry.actor))
        && among(&filter.action, Some(&entry.action))
        && all_words(&filter.object, std::iter::empty(), &[&entry.subject])
}
