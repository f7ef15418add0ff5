//! A disk in memory on which things go wrong when told so: full for a while, or failing for so many calls.

use std::{
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
};

use redb::{Database, StorageBackend};

use super::{StoreError, file::File};

/// The disk, which outlives the databases that are opened on it.
#[derive(Clone, Debug, Default)]
pub struct Disk {
    inner: Arc<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    bytes: Mutex<Vec<u8>>,
    full: AtomicBool,
    // Calls of each kind that fail from now on.
    failing: [AtomicU32; 3],
}

/// What a disk is asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    Read,
    Write,
    Sync,
}

impl Disk {
    /// Whether there is no space from now on.
    pub fn set_full(&self, full: bool) {
        self.inner.full.store(full, Ordering::SeqCst);
    }

    /// Answers the next `times` calls of this kind with an error of input and output; 0 mends it.
    pub fn fail(&self, call: Call, times: u32) {
        self.inner.failing[call as usize].store(times, Ordering::SeqCst);
    }

    /// A file on it.
    pub fn file(&self) -> File {
        let disk = self.clone();
        File::open(move || Database::builder().create_with_backend(disk.clone()).map_err(StoreError::from)).unwrap()
    }

    fn space(&self) -> io::Result<()> {
        if self.inner.full.load(Ordering::SeqCst) { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    fn works(&self, call: Call) -> io::Result<()> {
        let left = &self.inner.failing[call as usize];
        let failed = left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1)).is_ok();
        // EIO, as Linux numbers it.
        if failed { Err(io::Error::from_raw_os_error(5)) } else { Ok(()) }
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.inner.bytes.lock().unwrap().len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.works(Call::Read)?;
        let from = usize::try_from(offset).unwrap();
        out.copy_from_slice(&self.inner.bytes.lock().unwrap()[from..from + out.len()]);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.space()?;
        self.works(Call::Write)?;
        self.inner.bytes.lock().unwrap().resize(usize::try_from(len).unwrap(), 0);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        self.space()?;
        self.works(Call::Sync)
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.space()?;
        self.works(Call::Write)?;
        let from = usize::try_from(offset).unwrap();
        self.inner.bytes.lock().unwrap()[from..from + data.len()].copy_from_slice(data);
        Ok(())
    }
}
