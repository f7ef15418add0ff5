//! Schema 1 → 2: applied deliveries move from the intake, which kept them all, to the main file; retry ids say when they
//! were received, so that they can be forgotten; the bytes of rows are counted.

use redb::{Durability, ReadableDatabase, ReadableTable, TableDefinition};

use super::{Files, set_schema};
use crate::store::{
    StoreError, pack,
    tables::{self, meta},
};

/// Schema 1: 128 bits of the SHA-256 of platform and the sender's retry id → sequence number.
const RETRIES_1: TableDefinition<'static, u128, u64> = TableDefinition::new("retries");

/// Runs the step. The intake first: its deliveries stay until the main file has them.
pub fn run(files: &Files<'_>) -> Result<(), StoreError> {
    retries(files)?;
    deliveries(files)
}

pub(super) fn retries(files: &Files<'_>) -> Result<(), StoreError> {
    let mut txn = files.intake.begin_write()?;
    txn.set_durability(Durability::Immediate)?;
    {
        let blobs = txn.open_table(tables::BLOBS)?;
        let old = txn.open_table(RETRIES_1)?;
        let mut retries = txn.open_table(tables::RETRIES)?;
        let mut order = txn.open_table(tables::RETRY_ORDER)?;
        for row in old.iter()? {
            let (key, seq) = row?;
            if let Some(delivery) = pack::read_one(&blobs, seq.value())? {
                retries.insert(key.value(), (seq.value(), delivery.at.millis()))?;
                order.insert(seq.value(), key.value())?;
            }
        }
    }
    txn.delete_table(RETRIES_1)?;
    Ok(txn.commit()?)
}

fn deliveries(files: &Files<'_>) -> Result<(), StoreError> {
    let intake = files.intake.begin_read()?;
    let blobs = intake.open_table(tables::BLOBS)?;
    let mut txn = files.main.begin_write()?;
    txn.set_durability(Durability::Immediate)?;
    txn.set_quick_repair(true);
    {
        let mut table = txn.open_table(tables::META)?;
        let position = table.get(meta::POSITION)?.map_or(0, |n| n.value());
        let mut raw = txn.open_table(tables::RAW)?;
        for row in blobs.range(..=position)? {
            let (first, blob) = row?;
            let first = first.value();
            if first + pack::count(blob.value())? <= position + 1 {
                raw.insert(first, blob.value())?;
                continue;
            }
            // The position stands within this one.
            let mut pack = pack::Packer::default();
            let applied = usize::try_from(position + 1 - first).unwrap_or(0);
            for stored in pack::read_after(&blobs, first.saturating_sub(1), applied, usize::MAX)? {
                if let Some((first, blob)) = pack.push(stored.delivery.seq, &stored.row) {
                    raw.insert(first, blob.as_slice())?;
                }
            }
            if let Some((first, blob)) = pack.finish() {
                raw.insert(first, blob.as_slice())?;
            }
        }
        drop(raw);
        for (name, bytes) in meta::BYTES.into_iter().zip(tables::measure!(&txn)) {
            table.insert(name, bytes)?;
        }
    }
    set_schema(&txn, 2)?;
    Ok(txn.commit()?)
}
