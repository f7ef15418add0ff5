//! Tables of encoded rows that count their bytes as they change, so that the size of what is stored is known at any time
//! without reading it.

use std::ops::Deref;

use redb::{Key, ReadableTable, Table};
use serde::Serialize;

use super::{StoreError, codec};

/// A table of rows in a write transaction.
pub struct Counted<'t, K: Key + 'static> {
    table: Table<'t, K, &'static [u8]>,
    grown: i64,
}

impl<'t, K: Key + 'static> Counted<'t, K> {
    /// Counts from here on.
    pub fn new(table: Table<'t, K, &'static [u8]>) -> Self {
        Self { table, grown: 0 }
    }

    /// Writes a row.
    pub fn put<'k, T: Serialize>(
        &mut self,
        key: impl std::borrow::Borrow<K::SelfType<'k>>,
        row: &T,
    ) -> Result<(), StoreError> {
        self.put_bytes(key, &codec::encode_row(row)?)
    }

    /// Writes a row that is encoded already.
    pub fn put_bytes<'k>(
        &mut self,
        key: impl std::borrow::Borrow<K::SelfType<'k>>,
        row: &[u8],
    ) -> Result<(), StoreError> {
        let key_bytes = key_bytes::<K>(key.borrow());
        let before = self.table.insert(key.borrow(), row)?.map(|old| signed(key_bytes + old.value().len()));
        self.grown += signed(key_bytes + row.len()) - before.unwrap_or(0);
        Ok(())
    }

    /// Writes a row, and gives what was there before, as it is stored.
    pub fn replace<'k, T: Serialize>(
        &mut self,
        key: impl std::borrow::Borrow<K::SelfType<'k>>,
        row: &T,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        let row = codec::encode_row(row)?;
        let key_bytes = key_bytes::<K>(key.borrow());
        let before = self.table.insert(key.borrow(), row.as_slice())?.map(|old| old.value().to_vec());
        self.grown += signed(key_bytes + row.len()) - before.as_ref().map_or(0, |old| signed(key_bytes + old.len()));
        Ok(before)
    }

    /// Removes a row; whether it was there.
    pub fn remove<'k>(&mut self, key: impl std::borrow::Borrow<K::SelfType<'k>>) -> Result<bool, StoreError> {
        let key_bytes = key_bytes::<K>(key.borrow());
        let before = self.table.remove(key.borrow())?.map(|old| signed(key_bytes + old.value().len()));
        self.grown -= before.unwrap_or(0);
        Ok(before.is_some())
    }

    /// By how many bytes it has grown since `new`; less than zero when it shrank.
    pub fn grown(&self) -> i64 {
        self.grown
    }
}

// For reading only: writing past the counter would make it wrong.
impl<'t, K: Key + 'static> Deref for Counted<'t, K> {
    type Target = Table<'t, K, &'static [u8]>;

    fn deref(&self) -> &Self::Target {
        &self.table
    }
}

/// The bytes of a table's rows, by reading all of it: what the counter must say.
pub fn measure<K: Key + 'static>(table: &impl ReadableTable<K, &'static [u8]>) -> Result<u64, StoreError> {
    let mut bytes = 0;
    for row in table.iter()? {
        let (key, value) = row?;
        bytes += (key_bytes::<K>(&key.value()) + value.value().len()) as u64;
    }
    Ok(bytes)
}

fn key_bytes<'k, K: Key + 'static>(key: &K::SelfType<'k>) -> usize {
    K::as_bytes(key).as_ref().len()
}

fn signed(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}
