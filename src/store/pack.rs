//! How deliveries lie on the disk, in the intake and in the main file alike: neighbours packed into one compressed value
//! under the first one's sequence number.

use redb::ReadableTable;

use super::{StoreError, codec, veil};
use crate::model::Delivery;

/// A value alone in its leaf takes a power of two pages. Most of such a leaf should be filled, so packed values aim at
/// this: four pages but for the leaf's header, and a little less, because neighbours are only about as alike as the last.
const AIM: usize = 16 * 1024 * 15 / 16;
/// Before anything is known of how well deliveries compress.
const FIRST: usize = 60_000;
/// However well they compress: whoever reads one delivery unpacks all of its value.
const MOST: usize = 256 * 1024;

/// Packs neighbours into one value: length-prefixed rows, compressed together, since neighbours are alike.
pub struct Packer {
    first: u64,
    rows: Vec<u8>,
    // What `rows` may grow to.
    most: usize,
}

impl Default for Packer {
    fn default() -> Self {
        Self { first: 0, rows: Vec::new(), most: FIRST }
    }
}

impl Packer {
    /// For rows of so many bytes together.
    pub fn for_about(bytes: usize) -> Self {
        Self { rows: Vec::with_capacity(bytes.min(FIRST)), ..Self::default() }
    }

    /// Adds a row; the numbers must follow each other without a gap. Returns a full value to be written under its number.
    pub fn push(&mut self, seq: u64, row: &[u8]) -> Option<(u64, Vec<u8>)> {
        let full = !self.rows.is_empty() && self.rows.len() + row.len() > self.most;
        let done = if full { self.finish() } else { None };
        if self.rows.is_empty() {
            self.first = seq;
        }
        let length = u32::try_from(row.len()).unwrap_or(u32::MAX);
        self.rows.extend_from_slice(&length.to_be_bytes());
        self.rows.extend_from_slice(row);
        done
    }

    /// What is left.
    pub fn finish(&mut self) -> Option<(u64, Vec<u8>)> {
        if self.rows.is_empty() {
            return None;
        }
        let packed = lz4_flex::compress_prepend_size(&self.rows);
        self.most = (self.rows.len() * AIM / packed.len()).min(MOST);
        // Its room stays: the next rows fill as much.
        self.rows.clear();
        Some((self.first, packed))
    }
}

pub(super) fn unpack(blob: &[u8]) -> Result<Vec<u8>, StoreError> {
    let blob = &*veil::lifted(blob);
    // The length comes first and is believed: damage must not ask for more memory than any blob can unpack to.
    let length = blob.first_chunk::<4>().map_or(0, |n| u32::from_le_bytes(*n) as usize);
    if length / 255 > blob.len() {
        return Err(StoreError::Damaged("stored deliveries say that they are longer than they can be".to_owned()));
    }
    lz4_flex::decompress_size_prepended(blob)
        .map_err(|e| StoreError::Damaged(format!("stored deliveries cannot be unpacked: {e}")))
}

/// The rows of an unpacked blob, in order.
pub(super) fn rows(mut bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (length, rest) = bytes.split_first_chunk::<4>()?;
        let (row, rest) = rest.split_at_checked(u32::from_be_bytes(*length) as usize)?;
        bytes = rest;
        Some(row)
    })
}

/// How many deliveries a blob holds.
pub fn count(blob: &[u8]) -> Result<u64, StoreError> {
    Ok(rows(&unpack(blob)?).count() as u64)
}

/// The last sequence number in a table of blobs; 0 when empty.
pub fn last_seq(blobs: &impl ReadableTable<u64, &'static [u8]>) -> Result<u64, StoreError> {
    match blobs.last()? {
        Some((first, blob)) => Ok((first.value() + count(blob.value())?).saturating_sub(1)),
        None => Ok(0),
    }
}

/// One delivery; none when it is not there.
pub fn read_one(blobs: &impl ReadableTable<u64, &'static [u8]>, seq: u64) -> Result<Option<Delivery>, StoreError> {
    let Some(found) = blobs.range(..=seq)?.next_back() else { return Ok(None) };
    let (first, blob) = found?;
    let bytes = unpack(blob.value())?;
    let index = usize::try_from(seq - first.value()).unwrap_or(usize::MAX);
    rows(&bytes).nth(index).map(codec::decode).transpose()
}

/// A delivery, and the row that it was read from: whoever keeps it elsewhere need not write it anew.
#[derive(Clone)]
pub struct Stored {
    /// As the row says.
    pub delivery: Delivery,
    /// As it is encoded.
    pub row: Vec<u8>,
}

/// Deliveries after `seq` in order, until about `max` of them or `max_bytes` of rows are read.
pub fn read_after(
    blobs: &impl ReadableTable<u64, &'static [u8]>,
    seq: u64,
    max: usize,
    max_bytes: usize,
) -> Result<Vec<Stored>, StoreError> {
    let mut out = Vec::new();
    let mut bytes = 0;
    // The blob that holds `seq + 1` may begin before it.
    let start = match blobs.range(..=seq + 1)?.next_back() {
        Some(found) => found?.0.value(),
        None => seq + 1,
    };
    for found in blobs.range(start..)? {
        let (first, blob) = found?;
        let unpacked = unpack(blob.value())?;
        for (n, row) in (first.value()..).zip(rows(&unpacked)) {
            if n > seq && out.len() < max {
                bytes += row.len();
                out.push(Stored { delivery: codec::decode(row)?, row: row.to_vec() });
            }
        }
        if out.len() >= max || bytes >= max_bytes {
            break;
        }
    }
    Ok(out)
}
