//! A database at a place inside another file: so a copy is written straight into the archive, which needs half the space
//! and half the writing of a copy beside it.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom, Write},
    sync::{Mutex, MutexGuard, PoisonError},
};

use redb::StorageBackend;

/// Everything of a file from an offset on.
#[derive(Debug)]
pub struct Inside {
    file: Mutex<File>,
    start: u64,
}

impl Inside {
    /// The part of `file` that begins at `start`, and is the last one in it.
    pub fn new(file: File, start: u64) -> Self {
        Self { file: Mutex::new(file), start }
    }

    fn file(&self) -> MutexGuard<'_, File> {
        self.file.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl StorageBackend for Inside {
    fn len(&self) -> io::Result<u64> {
        Ok(self.file().metadata()?.len().saturating_sub(self.start))
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let mut file = self.file();
        file.seek(SeekFrom::Start(self.start + offset))?;
        file.read_exact(out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file().set_len(self.start + len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file().sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut file = self.file();
        file.seek(SeekFrom::Start(self.start + offset))?;
        file.write_all(data)
    }
}
