//! What a table says, as one number: equal digests, equal rows. Made while a backup is copied, again from the copy, and
//! again after a restore.

use std::path::Path;

use redb::{Key, ReadTransaction, ReadableDatabase, ReadableTable, TableDefinition, TableError, TableHandle, Value};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::every::{EachTable, Part};
use crate::store::{StoreError, View, tables};

/// A table and what it says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableDigest {
    /// Its name.
    pub name: String,
    /// How many rows.
    pub rows: u64,
    /// SHA-256 over every row in order, each as the lengths of key and value (4 bytes, big-endian) and both. The random
    /// number that names a store is left out: a restored store gets its own.
    pub sha256: String,
}

/// The digest of a table, row by row.
#[derive(Default)]
pub struct RowDigest {
    rows: u64,
    hash: Sha256,
}

impl RowDigest {
    /// Takes a row.
    pub fn row(&mut self, table: &str, key: &[u8], value: &[u8]) {
        if table == tables::META.name() && key == tables::meta::NONCE.as_bytes() {
            return;
        }
        self.rows += 1;
        for bytes in [key, value] {
            // Rows are far below 4 GiB: redb's own limit is 3.
            self.hash.update(u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes());
            self.hash.update(bytes);
        }
    }

    /// The end of the table.
    pub fn finish(self, table: &str) -> TableDigest {
        TableDigest { name: table.to_owned(), rows: self.rows, sha256: hex(&self.hash.finalize()) }
    }
}

/// Bytes in lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

struct Digests<'a> {
    txn: &'a ReadTransaction,
    found: Vec<TableDigest>,
}

impl EachTable for Digests<'_> {
    fn table<K: Key + 'static, V: Value + 'static>(
        &mut self,
        definition: TableDefinition<'static, K, V>,
    ) -> Result<(), StoreError> {
        let mut digest = RowDigest::default();
        match self.txn.open_table(definition) {
            Ok(table) => {
                for row in table.iter()? {
                    let (key, value) = row?;
                    let (key, value) = (key.value(), value.value());
                    digest.row(definition.name(), K::as_bytes(&key).as_ref(), V::as_bytes(&value).as_ref());
                }
            }
            // A file from before the table was invented has no rows of it.
            Err(TableError::TableDoesNotExist(_)) => {}
            Err(e) => return Err(e.into()),
        }
        self.found.push(digest.finish(definition.name()));
        Ok(())
    }
}

/// The digests of every table of a snapshot. Reads everything.
pub fn of(part: Part, txn: &ReadTransaction) -> Result<Vec<TableDigest>, StoreError> {
    let mut digests = Digests { txn, found: Vec::new() };
    part.each(&mut digests)?;
    Ok(digests.found)
}

/// The digests of the database files in a folder that no process has open, without changing them.
pub fn of_folder(dir: &Path) -> Result<Vec<TableDigest>, StoreError> {
    let mut all = Vec::new();
    for part in Part::ALL {
        let database = redb::ReadOnlyDatabase::open(dir.join(part.file()))?;
        all.extend(of(part, &database.begin_read()?)?);
    }
    Ok(all)
}

impl View {
    /// The digests of every table. Reads everything.
    pub fn digests(&self) -> Result<Vec<TableDigest>, StoreError> {
        let mut all = Vec::new();
        for part in Part::ALL {
            all.extend(of(part, self.snapshot(part))?);
        }
        Ok(all)
    }

    /// One number for everything that is stored. Reads everything.
    pub fn digest(&self) -> Result<String, StoreError> {
        Ok(together(&self.digests()?))
    }
}

/// One number for all tables.
pub fn together(tables: &[TableDigest]) -> String {
    let mut hash = Sha256::new();
    for table in tables {
        hash.update(format!("{} {} {}\n", table.name, table.rows, table.sha256));
    }
    hex(&hash.finalize())
}
